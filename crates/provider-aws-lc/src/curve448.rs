//! Ed448 with an empty context, and X448, both from crrl.

use conclave_crypto::{CryptoError, Secret};
use conclave_provider_common::xdh;
use crrl::ed448::{PrivateKey, PublicKey};
use zeroize::Zeroizing;

fn key_pair(seed: &[u8]) -> Result<PrivateKey, CryptoError> {
    PrivateKey::decode(seed).ok_or(CryptoError::InvalidPrivateKey)
}

pub(crate) fn ed448_public_key(seed: &[u8]) -> Result<Vec<u8>, CryptoError> {
    Ok(key_pair(seed)?.public_key.encode().to_vec())
}

pub(crate) fn ed448_sign(
    seed: &[u8],
    public: &[u8],
    message: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let pair = key_pair(seed)?;
    if pair.public_key.encode() != public {
        return Err(CryptoError::InvalidPrivateKey);
    }
    Ok(pair.sign_raw(message).to_vec())
}

pub(crate) fn ed448_verify(
    public: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), CryptoError> {
    let public = PublicKey::decode(public)
        .filter(|key| key.point.has_low_order() == 0)
        .ok_or(CryptoError::InvalidPublicKey)?;

    let valid = public.verify_raw(signature, message);
    valid.then_some(()).ok_or(CryptoError::InvalidSignature)
}

fn private_key(bytes: &[u8]) -> Result<Zeroizing<[u8; 56]>, CryptoError> {
    bytes.try_into().map(Zeroizing::new).map_err(|_| CryptoError::InvalidPrivateKey)
}

pub(crate) fn x448_public_key(private: &[u8]) -> Result<Vec<u8>, CryptoError> {
    Ok(crrl::x448::x448_base(&*private_key(private)?).to_vec())
}

pub(crate) fn x448(private: &[u8], public: &[u8]) -> Result<Secret, CryptoError> {
    let private = private_key(private)?;
    let public = public.try_into().map_err(|_| CryptoError::InvalidPublicKey)?;
    let shared = Zeroizing::new(crrl::x448::x448(public, &private));
    xdh::shared_secret(&*shared)
}
