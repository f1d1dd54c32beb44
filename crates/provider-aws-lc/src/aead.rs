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

/// Encrypts content in place. Its last 16 bytes are room for the tag.
pub(crate) fn seal_in_place(
    aead: Aead,
    key: &[u8],
    nonce: &[u8],
    aad: &[u8],
    content: &mut [u8],
) -> Result<(), CryptoError> {
    let (key, nonce) = set_up(aead, key, nonce)?;
    let (body, room) =
        content.split_last_chunk_mut::<TAG_LEN>().ok_or(CryptoError::InvalidLength)?;
    let tag = key.seal_in_place_separate_tag(nonce, Aad::from(aad), body);
    room.copy_from_slice(tag.map_err(|_| CryptoError::InvalidLength)?.as_ref());
    Ok(())
}

/// Decrypts content in place, with the tag behind it, which stays there.
pub(crate) fn open_in_place(
    aead: Aead,
    key: &[u8],
    nonce: &[u8],
    aad: &[u8],
    content: &mut [u8],
) -> Result<(), CryptoError> {
    let (key, nonce) = set_up(aead, key, nonce)?;
    key.open_in_place(nonce, Aad::from(aad), content)
        .map(|_| ())
        .map_err(|_| CryptoError::OpenFailed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRETS: [(Aead, &[u8]); 3] = [
        (Aead::Aes128Gcm, &[7; 16]),
        (Aead::Aes256Gcm, &[7; 32]),
        (Aead::ChaCha20Poly1305, &[7; 32]),
    ];

    #[test]
    fn what_is_sealed_in_place_is_what_is_sealed_apart() {
        for (aead, key) in SECRETS {
            for length in [0, 1, 16, 70_000] {
                let content: Vec<u8> = (0..length).map(|n| n as u8).collect();
                let apart = seal(aead, key, &[1; NONCE_LEN], b"aad", &content).unwrap();
                let mut here = [content.as_slice(), &[0; TAG_LEN]].concat();
                seal_in_place(aead, key, &[1; NONCE_LEN], b"aad", &mut here).unwrap();
                assert_eq!(here, apart);
                open_in_place(aead, key, &[1; NONCE_LEN], b"aad", &mut here).unwrap();
                assert_eq!(here[..length], content);
            }
        }
    }

    #[test]
    fn what_was_changed_or_is_too_short_is_not_opened_in_place() {
        let (aead, key) = SECRETS[0];
        let sealed = seal(aead, key, &[1; NONCE_LEN], b"", &[5; 40]).unwrap();
        for at in [0, 39, 40, 55] {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            let opened = open_in_place(aead, key, &[1; NONCE_LEN], b"", &mut changed);
            assert_eq!(opened, Err(CryptoError::OpenFailed));
        }
        let mut short = [0; TAG_LEN - 1];
        assert!(open_in_place(aead, key, &[1; NONCE_LEN], b"", &mut short).is_err());
        assert!(seal_in_place(aead, key, &[1; NONCE_LEN], b"", &mut short).is_err());
    }
}
