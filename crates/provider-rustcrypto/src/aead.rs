use aes_gcm::aead::array::Array;
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use alloc::vec::Vec;
use chacha20poly1305::ChaCha20Poly1305;
use conclave_crypto::{Aead, CryptoError, Secret};

/// The length of a tag in bytes.
const TAG_LEN: usize = 16;

pub(crate) fn seal(
    aead: Aead,
    key: &[u8],
    nonce: &[u8],
    aad: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    match aead {
        Aead::Aes128Gcm => seal_with::<Aes128Gcm>(key, nonce, aad, plaintext),
        Aead::Aes256Gcm => seal_with::<Aes256Gcm>(key, nonce, aad, plaintext),
        Aead::ChaCha20Poly1305 => seal_with::<ChaCha20Poly1305>(key, nonce, aad, plaintext),
        _ => Err(CryptoError::UnsupportedComponent(aead.name())),
    }
}

pub(crate) fn open(
    aead: Aead,
    key: &[u8],
    nonce: &[u8],
    aad: &[u8],
    ciphertext: &[u8],
) -> Result<Secret, CryptoError> {
    match aead {
        Aead::Aes128Gcm => open_with::<Aes128Gcm>(key, nonce, aad, ciphertext),
        Aead::Aes256Gcm => open_with::<Aes256Gcm>(key, nonce, aad, ciphertext),
        Aead::ChaCha20Poly1305 => open_with::<ChaCha20Poly1305>(key, nonce, aad, ciphertext),
        _ => Err(CryptoError::UnsupportedComponent(aead.name())),
    }
}

fn cipher<A: KeyInit>(key: &[u8]) -> Result<A, CryptoError> {
    A::new_from_slice(key).map_err(|_| CryptoError::InvalidLength)
}

fn seal_with<A: AeadInOut + KeyInit>(
    key: &[u8],
    nonce: &[u8],
    aad: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let cipher = cipher::<A>(key)?;
    let nonce = <&Array<u8, A::NonceSize>>::try_from(nonce);
    let nonce = nonce.map_err(|_| CryptoError::InvalidLength)?;

    // Room for the tag from the start, so that growing leaves no copy of the plaintext behind.
    let mut out = Vec::with_capacity(plaintext.len() + TAG_LEN);
    out.extend_from_slice(plaintext);
    let tag = cipher.encrypt_inout_detached(nonce, aad, out.as_mut_slice().into());
    out.extend_from_slice(&tag.map_err(|_| CryptoError::InvalidLength)?);
    Ok(out)
}

fn open_with<A: AeadInOut + KeyInit>(
    key: &[u8],
    nonce: &[u8],
    aad: &[u8],
    ciphertext: &[u8],
) -> Result<Secret, CryptoError> {
    let cipher = cipher::<A>(key)?;
    let nonce = <&Array<u8, A::NonceSize>>::try_from(nonce);
    let nonce = nonce.map_err(|_| CryptoError::InvalidLength)?;
    let (body, tag) = ciphertext.split_last_chunk::<TAG_LEN>().ok_or(CryptoError::OpenFailed)?;
    let tag = <&Array<u8, A::TagSize>>::try_from(tag.as_slice());
    let tag = tag.map_err(|_| CryptoError::OpenFailed)?;

    let mut out = Secret::copy_from(body);
    cipher
        .decrypt_inout_detached(nonce, aad, out.expose_mut().into(), tag)
        .map_err(|_| CryptoError::OpenFailed)?;
    Ok(out)
}
