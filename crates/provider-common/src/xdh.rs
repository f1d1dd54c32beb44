//! Which public keys and shared secrets of X25519 and X448 are refused.

use conclave_crypto::{CryptoError, DhGroup, Secret, has_low_order};

/// Checks that a public key of X25519 or X448 has the right length and is not of low order.
///
/// # Errors
/// [`CryptoError::InvalidPublicKey`].
pub fn validate_public_key(group: DhGroup, public: &[u8]) -> Result<(), CryptoError> {
    let valid = public.len() == group.public_key_len() && !has_low_order(group, public);
    valid.then_some(()).ok_or(CryptoError::InvalidPublicKey)
}

/// The result of a key agreement, unless it is all zeros (RFC 7748 section 6, RFC 9180 section 7.1.4).
///
/// # Errors
/// [`CryptoError::InvalidSharedSecret`].
pub fn shared_secret(bytes: &[u8]) -> Result<Secret, CryptoError> {
    let secret = Secret::copy_from(bytes);
    if secret == Secret::zero(bytes.len()) {
        return Err(CryptoError::InvalidSharedSecret);
    }
    Ok(secret)
}
