//! Ed25519 and X25519, from AWS-LC.

use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use aws_lc_rs::signature::{
    ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey as VerificationKey,
};
use conclave_crypto::{CryptoError, Secret};

pub(crate) const SEED_LEN: usize = 32;

fn key_pair(seed: &[u8]) -> Result<Ed25519KeyPair, CryptoError> {
    if seed.len() != SEED_LEN {
        return Err(CryptoError::InvalidPrivateKey);
    }
    Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| CryptoError::InvalidPrivateKey)
}

pub(crate) fn ed25519_public_key(seed: &[u8]) -> Result<Vec<u8>, CryptoError> {
    Ok(key_pair(seed)?.public_key().as_ref().to_vec())
}

pub(crate) fn ed25519_sign(
    seed: &[u8],
    public: &[u8],
    message: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let pair = key_pair(seed)?;
    if pair.public_key().as_ref() != public {
        return Err(CryptoError::InvalidPrivateKey);
    }
    let signature = pair.try_sign(message);
    let signature = signature.map_err(|_| CryptoError::Provider("Ed25519 signing failed"))?;
    Ok(signature.as_ref().to_vec())
}

/// The y-coordinates of the points whose order divides 8, in little-endian order: those of order
/// 4, 1, 2, and the four of order 8.
const SMALL_ORDER: [[u8; 32]; 5] = {
    let mut one = [0; 32];
    one[0] = 1;
    let mut minus_one = [0xff; 32];
    minus_one[0] = 0xec;
    minus_one[31] = 0x7f;
    [
        [0; 32],
        one,
        minus_one,
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef,
            0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88,
            0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10,
            0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77,
            0x92, 0xac, 0x03, 0x7a,
        ],
    ]
};

/// Whether a key may verify: its y-coordinate is below p = 2^255 - 19 and not a small-order
/// point's. (An x-coordinate of "negative zero" belongs to small orders only.)
fn is_acceptable(key: &[u8; 32]) -> bool {
    let mut y = *key;
    let [first, middle @ .., last] = &mut y;
    *last &= 0x7f;
    let canonical = *first < 0xed || *last != 0x7f || middle.iter().any(|b| *b != 0xff);
    canonical && !SMALL_ORDER.contains(&y)
}

pub(crate) fn ed25519_verify(
    public: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), CryptoError> {
    // AWS-LC takes other lengths for DER.
    let public: &[u8; 32] = public.try_into().map_err(|_| CryptoError::InvalidPublicKey)?;
    if !is_acceptable(public) {
        return Err(CryptoError::InvalidPublicKey);
    }
    VerificationKey::new(&ED25519, public)
        .verify(message, signature)
        .map_err(|_| CryptoError::InvalidSignature)
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
    // Every 32 bytes are a key: what fails from here on is a result of all zeros.
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
