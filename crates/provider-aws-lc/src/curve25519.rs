//! Ed25519 and X25519, from AWS-LC.

use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use aws_lc_rs::signature::{
    ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey as VerificationKey,
};
use conclave_crypto::{CryptoError, Secret, SignatureKeyPair};
use conclave_provider_common::ed25519;
use conclave_wire::SignaturePublicKey;

const SEED_LEN: usize = 32;

fn key_pair(seed: &[u8]) -> Result<Ed25519KeyPair, CryptoError> {
    if seed.len() != SEED_LEN {
        return Err(CryptoError::InvalidPrivateKey);
    }
    Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| CryptoError::InvalidPrivateKey)
}

pub(crate) fn ed25519_public_key(seed: &[u8]) -> Result<Vec<u8>, CryptoError> {
    Ok(key_pair(seed)?.public_key().as_ref().to_vec())
}

/// Computes the public key of a private key once: that takes half as long as a signature.
fn ed25519_prepare(
    seed: &Secret,
    public: &SignaturePublicKey,
) -> Result<Ed25519KeyPair, CryptoError> {
    let pair = key_pair(seed.expose())?;
    let same = pair.public_key().as_ref() == &**public;
    same.then_some(pair).ok_or(CryptoError::InvalidPrivateKey)
}

pub(crate) fn ed25519_sign(
    key_pair: &SignatureKeyPair,
    message: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let pair = key_pair.prepared(ed25519_prepare)?;
    let signature = pair.try_sign(message);
    let signature = signature.map_err(|_| CryptoError::Provider("Ed25519 signing failed"))?;
    Ok(signature.as_ref().to_vec())
}

pub(crate) fn ed25519_verify(
    public: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), CryptoError> {
    let key = ed25519::check_public_key(public)?;

    // AWS-LC checks the equation without the cofactor and compares R byte for byte, so the rule accepts
    // whatever it accepts. What it refuses is nearly always invalid, and need not be fast.
    if VerificationKey::new(&ED25519, key).verify(message, signature).is_ok() {
        return Ok(());
    }
    ed25519::verify(public, message, signature)
}

fn private_key(bytes: &[u8]) -> Result<PrivateKey, CryptoError> {
    PrivateKey::from_private_key(&X25519, bytes).map_err(|_| CryptoError::InvalidPrivateKey)
}

fn public_half(private: &PrivateKey) -> Result<Vec<u8>, CryptoError> {
    let public = private.compute_public_key();
    Ok(public.map_err(|_| CryptoError::InvalidPrivateKey)?.as_ref().to_vec())
}

fn shared_secret(private: &PrivateKey, public: &[u8]) -> Result<Secret, CryptoError> {
    if public.len() != 32 {
        return Err(CryptoError::InvalidPublicKey);
    }

    // Any 32 bytes are a key, so the only failure left is a result of all zeros.
    let public = UnparsedPublicKey::new(&X25519, public);
    agree(private, public, CryptoError::InvalidSharedSecret, |s| Ok(Secret::copy_from(s)))
}

pub(crate) fn x25519_public_key(private: &[u8]) -> Result<Vec<u8>, CryptoError> {
    public_half(&private_key(private)?)
}

pub(crate) fn x25519(private: &[u8], public: &[u8]) -> Result<Secret, CryptoError> {
    shared_secret(&private_key(private)?, public)
}

pub(crate) fn x25519_both(private: &[u8], public: &[u8]) -> Result<(Vec<u8>, Secret), CryptoError> {
    let private = private_key(private)?;
    Ok((public_half(&private)?, shared_secret(&private, public)?))
}
