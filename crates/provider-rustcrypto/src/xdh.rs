//! X25519 and X448 (RFC 7748). A public key that is not canonically encoded counts as its value, as
//! section 5 requires; results of all zeros are refused.

use alloc::vec::Vec;
use conclave_crypto::{CryptoError, Secret};
use conclave_provider_common::xdh::shared_secret;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

fn private_key<const N: usize>(bytes: &[u8]) -> Result<Zeroizing<[u8; N]>, CryptoError> {
    bytes.try_into().map(Zeroizing::new).map_err(|_| CryptoError::InvalidPrivateKey)
}

fn public_key<const N: usize>(bytes: &[u8]) -> Result<[u8; N], CryptoError> {
    bytes.try_into().map_err(|_| CryptoError::InvalidPublicKey)
}

pub(crate) fn x25519_public_key(private: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let private = StaticSecret::from(*private_key(private)?);
    Ok(PublicKey::from(&private).as_bytes().to_vec())
}

pub(crate) fn x25519(private: &[u8], public: &[u8]) -> Result<Secret, CryptoError> {
    let private = StaticSecret::from(*private_key(private)?);
    let public = PublicKey::from(public_key::<32>(public)?);
    shared_secret(private.diffie_hellman(&public).as_bytes())
}

pub(crate) fn x448_public_key(private: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let private = private_key(private)?;
    Ok(x448::x448_unchecked(*private, x448::X448_BASEPOINT_BYTES).to_vec())
}

pub(crate) fn x448(private: &[u8], public: &[u8]) -> Result<Secret, CryptoError> {
    let private = private_key(private)?;
    // `x448::x448` knows only the canonical encodings of low-order points; the result tells all.
    let shared = Zeroizing::new(x448::x448_unchecked(*private, public_key(public)?));
    shared_secret(&*shared)
}
