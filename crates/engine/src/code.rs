//! Codes by which people make sure, over a channel that they trust, that nobody stands between
//! them: equal on both screens, or somebody does.

use conclave_delivery_api::DeviceId;
use conclave_mls::credential::SignaturePublicKey;
use conclave_mls::crypto::{CryptoError, CryptoProvider, Hash};
use conclave_mls::wire::codec::{Encode, Writer};

/// Groups of five digits of SHA-512 over a label and these parts, each with its length: five
/// bytes give one group, as a number modulo 100,000.
fn digits(
    provider: &dyn CryptoProvider,
    label: &[u8],
    parts: &[&[u8]],
    groups: usize,
) -> Result<String, CryptoError> {
    let mut w = Writer::new();
    w.put_opaque(label)?;
    for part in parts {
        w.put_opaque(part)?;
    }
    let digest = provider.hash(Hash::Sha512, &[&w.finish()])?;
    let number = |bytes: &[u8]| bytes.iter().fold(0u64, |n, b| n << 8 | u64::from(*b)) % 100_000;
    let groups: Vec<String> =
        digest.chunks_exact(5).take(groups).map(|bytes| format!("{:05}", number(bytes))).collect();
    Ok(groups.join(" "))
}

fn device_bytes(device: &DeviceId, key: &SignaturePublicKey) -> Result<Vec<u8>, CryptoError> {
    let mut w = Writer::new();
    w.put_opaque(&device.identity())?;
    key.encode(&mut w)?;
    Ok(w.finish())
}

/// The code of one device's identity and signature key: 30 digits, about 100 bits.
///
/// # Errors
/// If the provider has no SHA-512.
pub fn member_code(
    provider: &dyn CryptoProvider,
    device: &DeviceId,
    key: &SignaturePublicKey,
) -> Result<String, CryptoError> {
    digits(provider, b"Conclave member code 1", &[&device_bytes(device, key)?], 6)
}

/// The beginning of a [`member_code`], for lines that stand beside others: 15 digits, about 50 bits.
pub(crate) fn short_member_code(
    provider: &dyn CryptoProvider,
    device: &DeviceId,
    key: &SignaturePublicKey,
) -> Result<String, CryptoError> {
    digits(provider, b"Conclave member code 1", &[&device_bytes(device, key)?], 3)
}

/// The code of two devices, whichever of them computes it: 60 digits, about 199 bits.
///
/// # Errors
/// If the provider has no SHA-512.
pub fn pair_code(
    provider: &dyn CryptoProvider,
    one: (&DeviceId, &SignaturePublicKey),
    other: (&DeviceId, &SignaturePublicKey),
) -> Result<String, CryptoError> {
    let mut parts = [device_bytes(one.0, one.1)?, device_bytes(other.0, other.1)?];
    parts.sort_unstable();
    digits(provider, b"Conclave pair code 1", &parts.each_ref().map(Vec::as_slice), 12)
}

/// The code of an epoch, from its epoch authenticator (RFC 9420 section 8.7): equal for all who
/// see the same group in the same epoch. 20 digits, about 66 bits.
///
/// # Errors
/// If the provider has no SHA-512.
pub fn epoch_code(
    provider: &dyn CryptoProvider,
    epoch_authenticator: &[u8],
) -> Result<String, CryptoError> {
    digits(provider, b"Conclave epoch code 1", &[epoch_authenticator], 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use conclave_provider_rustcrypto::RustCrypto;

    #[test]
    fn both_sides_of_a_pair_see_the_same_code() {
        let provider = RustCrypto::new();
        let (a, b): (DeviceId, DeviceId) = ("a/x".parse().unwrap(), "b/y".parse().unwrap());
        let (ka, kb): (SignaturePublicKey, SignaturePublicKey) =
            (vec![1; 32].into(), vec![2; 32].into());
        let code = pair_code(&provider, (&a, &ka), (&b, &kb)).unwrap();
        assert_eq!(code, pair_code(&provider, (&b, &kb), (&a, &ka)).unwrap());
        assert_ne!(code, pair_code(&provider, (&b, &ka), (&a, &kb)).unwrap());
        assert_eq!(code.len(), 12 * 6 - 1);
        assert!(code.chars().all(|c| c.is_ascii_digit() || c == ' '));
    }

    #[test]
    fn a_member_code_depends_on_name_and_key() {
        let provider = RustCrypto::new();
        let (a, b): (DeviceId, DeviceId) = ("a/x".parse().unwrap(), "a/y".parse().unwrap());
        let (ka, kb): (SignaturePublicKey, SignaturePublicKey) =
            (vec![1; 32].into(), vec![2; 32].into());
        let code = member_code(&provider, &a, &ka).unwrap();
        assert_eq!(code.len(), 6 * 6 - 1);
        assert_ne!(code, member_code(&provider, &b, &ka).unwrap());
        assert_ne!(code, member_code(&provider, &a, &kb).unwrap());
    }
}
