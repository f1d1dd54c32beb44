//! Writing DER: `x509-cert` reads certificates, and has no way to put one together but with keys of its own traits.

use conclave_mls::UnixTime;
use conclave_mls::crypto::{CryptoError, CryptoProvider, SignatureKeyPair, SignatureScheme};
use conclave_x509::algorithm_identifiers;
use core::time::Duration;
use x509_cert::der::Encode;
use x509_cert::der::asn1::{GeneralizedTime, ObjectIdentifier, UtcTime};

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const UTF8_STRING: u8 = 0x0c;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// `commonName` (RFC 5280 appendix A.1).
pub(crate) const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// The error for a signature scheme that X.509 does not have.
pub(crate) const NO_KEYS: CryptoError =
    CryptoError::UnsupportedComponent("X.509 has no keys for this signature scheme");

/// The tag of an explicit or constructed field of this number.
pub(crate) const fn context(number: u8) -> u8 {
    0xa0 | number
}

/// A value of a tag, whose content is these parts.
pub(crate) fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = vec![tag];
    match u8::try_from(len) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let bytes = len.to_be_bytes();
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            let bytes = bytes.get(zeros..).unwrap_or_default();
            out.push(0x80 | u8::try_from(bytes.len()).unwrap_or(0x7f));
            out.extend(bytes);
        }
    }
    parts.iter().for_each(|part| out.extend(*part));
    out
}

/// A non-negative integer in big-endian bytes.
pub(crate) fn integer(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let bytes = bytes.get(zeros..).unwrap_or_default();
    match bytes.first() {
        Some(first) if *first < 0x80 => tlv(INTEGER, &[bytes]),
        _ => tlv(INTEGER, &[&[0], bytes]),
    }
}

/// The name whose only part is this common name.
pub(crate) fn common_name(name: &str) -> Option<Vec<u8>> {
    let oid = COMMON_NAME.to_der().ok()?;
    let attribute = tlv(SEQUENCE, &[&oid, &tlv(UTF8_STRING, &[name.as_bytes()])]);
    Some(tlv(SEQUENCE, &[&tlv(SET, &[&attribute])]))
}

/// A time: a UTCTime until 2049, a GeneralizedTime then (RFC 5280 section 4.1.2.5).
pub(crate) fn time(at: UnixTime) -> Option<Vec<u8>> {
    let since_1970 = Duration::from_secs(at.as_secs());
    match UtcTime::from_unix_duration(since_1970) {
        Ok(utc) => utc.to_der().ok(),
        Err(_) => GeneralizedTime::from_unix_duration(since_1970).ok()?.to_der().ok(),
    }
}

/// An extension.
pub(crate) fn extension(oid: ObjectIdentifier, critical: bool, value: &[u8]) -> Option<Vec<u8>> {
    const TRUE: [u8; 3] = [0x01, 0x01, 0xff];
    let critical: &[u8] = if critical { &TRUE } else { &[] };
    Some(tlv(SEQUENCE, &[&oid.to_der().ok()?, critical, &tlv(OCTET_STRING, &[value])]))
}

/// A SubjectPublicKeyInfo; none if X.509 has no keys for the scheme.
pub(crate) fn public_key_info(scheme: SignatureScheme, key: &[u8]) -> Option<Vec<u8>> {
    let (algorithm, _) = algorithm_identifiers(scheme)?;
    Some(tlv(SEQUENCE, &[&tlv(SEQUENCE, &[algorithm]), &tlv(BIT_STRING, &[&[0], key])]))
}

/// The AlgorithmIdentifier of a scheme's signatures; none if X.509 has none.
pub(crate) fn signature_algorithm(scheme: SignatureScheme) -> Option<Vec<u8>> {
    let (_, algorithm) = algorithm_identifiers(scheme)?;
    Some(tlv(SEQUENCE, &[algorithm]))
}

/// Signs the first part of a certificate, list or request, and puts the three parts together (RFC 5280 section
/// 4.1.1).
pub(crate) fn signed(
    provider: &dyn CryptoProvider,
    (scheme, key): (SignatureScheme, &SignatureKeyPair),
    content: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let algorithm = signature_algorithm(scheme).ok_or(NO_KEYS)?;
    let signature = provider.sign(scheme, key, content)?;
    let signature = tlv(BIT_STRING, &[&[0], &signature]);
    Ok(tlv(SEQUENCE, &[content, &algorithm, &signature]))
}
