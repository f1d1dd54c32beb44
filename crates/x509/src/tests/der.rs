//! Certificates written by hand, where `rcgen` cannot write them.

use super::ca::NOW;
use conclave_crypto::testing::TestRng;
use conclave_mls::crypto::{CryptoProvider, SignatureKeyPair, SignatureScheme};
use conclave_provider_rustcrypto::RustCrypto;
use std::sync::atomic::{AtomicU64, Ordering};

static NEXT: AtomicU64 = AtomicU64::new(1);

pub(super) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut der = vec![tag];
    match content.len() {
        len @ ..128 => der.push(len as u8),
        len @ 128..256 => der.extend([0x81, len as u8]),
        len => der.extend([0x82, (len >> 8) as u8, len as u8]),
    }
    der.extend(content);
    der
}

pub(super) fn seq(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

/// An object identifier with the given content.
pub(super) fn oid(content: &[u8]) -> Vec<u8> {
    tlv(6, content)
}

fn bits(bytes: &[u8]) -> Vec<u8> {
    tlv(3, &[&[0], bytes].concat())
}

pub(super) fn common_name(name: &str) -> Vec<u8> {
    let attribute = seq(&[&oid(&[0x55, 4, 3]), &tlv(0x0c, name.as_bytes())]);
    seq(&[&tlv(0x31, &attribute)])
}

pub(super) fn extension(id: &[u8], content: &[u8]) -> Vec<u8> {
    seq(&[&oid(id), &tlv(4, content)])
}

/// subjectAltName with one mail address.
pub(super) fn mail_address(address: &str) -> Vec<u8> {
    extension(&[0x55, 29, 17], &seq(&[&tlv(0x81, address.as_bytes())]))
}

/// basicConstraints of a CA.
pub(super) fn ca_flag() -> Vec<u8> {
    extension(&[0x55, 29, 19], &seq(&[&[1, 1, 0xff]]))
}

/// An EdDSA or ML-DSA key pair.
pub(super) struct RawKey {
    scheme: SignatureScheme,
    pub(super) pair: SignatureKeyPair,
}

impl RawKey {
    pub(super) fn new(scheme: SignatureScheme) -> Self {
        let mut rng = TestRng(1 << 40 | NEXT.fetch_add(1, Ordering::Relaxed));
        let pair = RustCrypto::new().signature_key_pair(scheme, &mut rng).unwrap();
        Self { scheme, pair }
    }

    /// The AlgorithmIdentifier of its keys and signatures (RFC 8410, RFC 9881 section 2).
    pub(super) fn algorithm(&self) -> Vec<u8> {
        let ml_dsa = |last| oid(&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, last]);
        let id = match self.scheme {
            SignatureScheme::MlDsa44 => ml_dsa(17),
            SignatureScheme::MlDsa65 => ml_dsa(18),
            SignatureScheme::MlDsa87 => ml_dsa(19),
            _ => oid(&[0x2b, 0x65, 0x70]),
        };
        seq(&[&id])
    }

    /// A certificate that is valid for the year before and the year after [`NOW`].
    pub(super) fn certify(
        &self,
        issuer: &str,
        subject: &str,
        key: &RawKey,
        extensions: &[Vec<u8>],
    ) -> Vec<u8> {
        assert_eq!(NOW.as_secs(), 1_767_225_600);
        let serial = (1_000_000 + NEXT.fetch_add(1, Ordering::Relaxed) as u32).to_be_bytes();
        let to_be_signed = seq(&[
            &tlv(0xa0, &[2, 1, 2]),
            &tlv(2, &serial[1..]),
            &self.algorithm(),
            &common_name(issuer),
            &seq(&[&tlv(0x17, b"250101000000Z"), &tlv(0x17, b"270101000000Z")]),
            &common_name(subject),
            &seq(&[&key.algorithm(), &bits(&key.pair.public)]),
            &tlv(0xa3, &tlv(0x30, &extensions.concat())),
        ]);
        let signature = RustCrypto::new().sign(self.scheme, &self.pair, &to_be_signed).unwrap();
        seq(&[&to_be_signed, &self.algorithm(), &bits(&signature)])
    }
}
