use alloc::vec::Vec;
use conclave_crypto::CryptoError;
use ed25519_dalek::{Signer, SigningKey};
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
