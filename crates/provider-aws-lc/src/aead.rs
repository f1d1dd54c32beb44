use aws_lc_rs::aead::{
    AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey,
};
use conclave_crypto::{Aead, CryptoError, Secret};

/// The length of a tag in bytes.
const TAG_LEN: usize = 16;

fn set_up(aead: Aead, key: &[u8], nonce: &[u8]) -> Result<(LessSafeKey, Nonce), CryptoError> {
    let algorithm = match aead {
        Aead::Aes128Gcm => &AES_128_GCM,
        Aead::Aes256Gcm => &AES_256_GCM,
        Aead::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        _ => return Err(CryptoError::UnsupportedComponent(aead.name())),
    };

    let key = UnboundKey::new(algorithm, key).map_err(|_| CryptoError::InvalidLength)?;
    let nonce = <[u8; NONCE_LEN]>::try_from(nonce).map_err(|_| CryptoError::InvalidLength)?;
    Ok((LessSafeKey::new(key), Nonce::assume_unique_for_key(nonce)))
}

pub(crate) fn seal(
    aead: Aead,
    key: &[u8],
    nonce: &[u8],
    aad: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let (key, nonce) = set_up(aead, key, nonce)?;

    // Room for the tag from the start, so that growing leaves no copy of the plaintext behind.
    let mut out = Vec::with_capacity(plaintext.len() + TAG_LEN);
    out.extend_from_slice(plaintext);
    let tag = key.seal_in_place_separate_tag(nonce, Aad::from(aad), &mut out);
    out.extend_from_slice(tag.map_err(|_| CryptoError::InvalidLength)?.as_ref());
    Ok(out)
}

pub(crate) fn open(
    aead: Aead,
    key: &[u8],
    nonce: &[u8],
    aad: &[u8],
    ciphertext: &[u8],
) -> Result<Secret, CryptoError> {
    let (key, nonce) = set_up(aead, key, nonce)?;
    let (body, tag) = ciphertext.split_last_chunk::<TAG_LEN>().ok_or(CryptoError::OpenFailed)?;

    let mut out = Secret::zero(body.len());
    key.open_separate_gather(nonce, Aad::from(aad), body, tag, out.expose_mut())
        .map_err(|_| CryptoError::OpenFailed)?;
    Ok(out)
}
