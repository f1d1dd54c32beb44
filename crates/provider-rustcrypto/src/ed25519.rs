use alloc::vec::Vec;
use conclave_crypto::CryptoError;
use ed25519_dalek::{Signature, Signer, SigningKey, Verifier, VerifyingKey};
use zeroize::Zeroizing;

pub(crate) const SEED_LEN: usize = 32;

fn signing_key(seed: &[u8]) -> Result<SigningKey, CryptoError> {
    let seed: [u8; SEED_LEN] = seed.try_into().map_err(|_| CryptoError::InvalidPrivateKey)?;
    Ok(SigningKey::from_bytes(&Zeroizing::new(seed)))
}

pub(crate) fn public_key(seed: &[u8]) -> Result<Vec<u8>, CryptoError> {
    Ok(signing_key(seed)?.verifying_key().as_bytes().to_vec())
}

pub(crate) fn sign(seed: &[u8], public: &[u8], message: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let key = signing_key(seed)?;
    if key.verifying_key().as_bytes() != public {
        return Err(CryptoError::InvalidPrivateKey);
    }
    Ok(key.sign(message).to_bytes().to_vec())
}

/// Whether the y-coordinate, without the sign bit, is below p = 2^255 - 19.
fn is_canonical(key: &[u8; 32]) -> bool {
    let [first, middle @ .., last] = key;
    *first < 0xed || last & 0x7f != 0x7f || middle.iter().any(|b| *b != 0xff)
}

pub(crate) fn verify(public: &[u8], message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
    let public: &[u8; 32] = public.try_into().map_err(|_| CryptoError::InvalidPublicKey)?;
    // A "negative zero" x-coordinate belongs to small orders only.
    let key = VerifyingKey::from_bytes(public)
        .ok()
        .filter(|key| is_canonical(public) && !key.is_weak())
        .ok_or(CryptoError::InvalidPublicKey)?;
    let signature: &[u8; 64] = signature.try_into().map_err(|_| CryptoError::InvalidSignature)?;
    key.verify(message, &Signature::from_bytes(signature))
        .map_err(|_| CryptoError::InvalidSignature)
}
