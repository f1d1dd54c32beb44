use alloc::vec::Vec;
use conclave_crypto::{CryptoError, Secret, SignatureKeyPair};
use conclave_wire::SignaturePublicKey;
use ed25519_dalek::{Signer, SigningKey};
use zeroize::Zeroizing;

const SEED_LEN: usize = 32;

fn signing_key(seed: &[u8]) -> Result<SigningKey, CryptoError> {
    let seed: [u8; SEED_LEN] = seed.try_into().map_err(|_| CryptoError::InvalidPrivateKey)?;
    Ok(SigningKey::from_bytes(&Zeroizing::new(seed)))
}

pub(crate) fn public_key(seed: &[u8]) -> Result<Vec<u8>, CryptoError> {
    Ok(signing_key(seed)?.verifying_key().as_bytes().to_vec())
}

/// Computes the public key of a private key once: that takes half as long as a signature.
fn prepare(seed: &Secret, public: &SignaturePublicKey) -> Result<SigningKey, CryptoError> {
    let key = signing_key(seed.expose())?;
    let same = key.verifying_key().as_bytes() == &**public;
    same.then_some(key).ok_or(CryptoError::InvalidPrivateKey)
}

pub(crate) fn sign(key_pair: &SignatureKeyPair, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let key = key_pair.prepared(prepare)?;
    Ok(key.sign(message).to_bytes().to_vec())
}
