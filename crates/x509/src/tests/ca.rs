//! Certificate authorities for the tests. `rcgen` writes the certificates; MLS's crypto provider has the
//! keys, so members sign with the keys that their certificates name.

use crate::{Authenticated, Certified, Moment, X509Error, X509Validator, credential};
use conclave_crypto::testing::TestRng;
use conclave_mls::credential::{CredentialRequest, CredentialSubject};
use conclave_mls::crypto::{CryptoProvider, SignatureKeyPair, SignatureScheme, Suite};
use conclave_mls::{CipherSuite, UnixTime};
use conclave_provider_rustcrypto::RustCrypto;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyUsagePurpose,
    PublicKeyData, SanType, SignatureAlgorithm, SigningKey, date_time_ymd,
};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The first second of 2026; certificates are valid for the year before and the year after.
pub(super) const NOW: UnixTime = UnixTime::from_secs(1_767_225_600).unwrap();
pub(super) const YEAR: u64 = 365 * 24 * 3600;

/// A time so many seconds after 1970.
pub(super) fn time(seconds: u64) -> UnixTime {
    UnixTime::from_secs(seconds).unwrap()
}

static NEXT: AtomicU64 = AtomicU64::new(1);

/// The suite of all tests that need no other.
pub(super) const SUITE: CipherSuite = CipherSuite(1);

pub(super) fn scheme_of(suite: CipherSuite) -> SignatureScheme {
    RustCrypto::new().suite(suite).unwrap().signature
}

/// The signature key of a member or a CA.
#[derive(Clone)]
pub(super) struct Key {
    scheme: SignatureScheme,
    pub(super) pair: SignatureKeyPair,
}

impl Key {
    pub(super) fn new(suite: CipherSuite) -> Self {
        let mut rng = TestRng(NEXT.fetch_add(1, Ordering::Relaxed));
        let scheme = scheme_of(suite);
        let pair = RustCrypto::new().signature_key_pair(scheme, &mut rng).unwrap();
        Self { scheme, pair }
    }
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.pair.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self.scheme {
            SignatureScheme::EcdsaSecp256r1Sha256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            SignatureScheme::EcdsaSecp384r1Sha384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            SignatureScheme::EcdsaSecp521r1Sha512 => &rcgen::PKCS_ECDSA_P521_SHA512,
            _ => &rcgen::PKCS_ED25519,
        }
    }
}

impl SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let message = name_ed448(self.scheme, message.to_vec());
        Ok(RustCrypto::new().sign(self.scheme, &self.pair, &message).unwrap())
    }
}

/// `rcgen` has no Ed448, whose identifier differs from Ed25519's in its last byte.
fn name_ed448(scheme: SignatureScheme, mut der: Vec<u8>) -> Vec<u8> {
    const ED25519: [u8; 5] = [0x06, 0x03, 0x2b, 0x65, 0x70];
    if scheme == SignatureScheme::Ed448 {
        for i in 0..der.len() - ED25519.len() {
            if der[i..i + ED25519.len()] == ED25519 {
                der[i + 4] = 0x71;
            }
        }
    }
    der
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(NEXT.fetch_add(1, Ordering::Relaxed).into());
    let now = date_time_ymd(2026, 1, 1);
    params.not_before = now - Duration::from_secs(YEAR);
    params.not_after = now + Duration::from_secs(YEAR);
    params
}

pub(super) fn ca_params(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

pub(super) fn mail(address: &str) -> SanType {
    SanType::Rfc822Name(Ia5String::try_from(address).unwrap())
}

pub(super) fn dns(name: &str) -> SanType {
    SanType::DnsName(Ia5String::try_from(name).unwrap())
}

/// A certificate authority.
pub(super) struct Ca {
    pub(super) issuer: Issuer<'static, Key>,
    pub(super) der: Vec<u8>,
}

impl Ca {
    pub(super) fn root(name: &str) -> Self {
        Self::root_of(SUITE, name)
    }

    pub(super) fn root_of(suite: CipherSuite, name: &str) -> Self {
        let params = ca_params(name);
        let key = Key::new(suite);
        let der = params.self_signed(&key).unwrap().der().to_vec();
        let der = name_ed448(key.scheme, der);
        Self { issuer: Issuer::new(params, key), der }
    }

    /// A CA below this one, with its certificate changed before it is signed.
    pub(super) fn ca(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = ca_params(name);
        change(&mut params);
        let key = Key::new(SUITE);
        let der = params.signed_by(&key, &self.issuer).unwrap().der().to_vec();
        Self { issuer: Issuer::new(params, key), der }
    }

    /// A certificate for a mail address, changed before it is signed.
    pub(super) fn issue(
        &self,
        address: &str,
        key: &Key,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Vec<u8> {
        let mut params = params("a member");
        params.subject_alt_names = vec![mail(address)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        change(&mut params);
        let der = params.signed_by(key, &self.issuer).unwrap().der().to_vec();
        name_ed448(self.issuer.key().scheme, der)
    }
}

/// The tests' policy: a certificate with one mail address identifies its owner by it.
pub(super) fn by_mail(certified: &Certified) -> Option<Vec<u8>> {
    match certified.presented.email_addresses.as_slice() {
        [address] => Some(address.clone().into_bytes()),
        _ => None,
    }
}

pub(super) fn validator(root: &Ca) -> X509Validator {
    X509Validator::new(&[&root.der], by_mail).unwrap()
}

/// A request for a new member.
pub(super) fn request(chain: &[&[u8]], key: &Key) -> CredentialRequest {
    CredentialRequest {
        subject: CredentialSubject::NewMember,
        credential: credential(chain),
        signature_key: key.pair.public.clone(),
        replaces: None,
    }
}

pub(super) fn validate_at(
    validator: &X509Validator,
    moment: impl Into<Moment>,
    request: &CredentialRequest,
) -> Result<Authenticated, X509Error> {
    let provider = RustCrypto::new();
    validator.validate(&Suite::new(&provider, SUITE).unwrap(), moment, request)
}

pub(super) fn validate(
    validator: &X509Validator,
    request: &CredentialRequest,
) -> Result<Authenticated, X509Error> {
    validate_at(validator, NOW, request)
}
