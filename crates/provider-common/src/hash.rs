//! SHA-2, HMAC and HKDF (RFC 5869), over inputs in parts.

use alloc::vec::Vec;
use conclave_crypto::{CryptoError, Digest, Hash, Kdf, Secret};
use hmac::digest::Output;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha384, Sha512};
use zeroize::Zeroize;

/// The hash of the concatenation of `parts`.
///
/// # Errors
/// If the hash function is not SHA-2.
#[inline]
pub fn hash(hash: Hash, parts: &[&[u8]]) -> Result<Digest, CryptoError> {
    match hash {
        Hash::Sha256 => digest::<Sha256>(parts),
        Hash::Sha384 => digest::<Sha384>(parts),
        Hash::Sha512 => digest::<Sha512>(parts),
        _ => Err(CryptoError::UnsupportedComponent(hash.name())),
    }
}

/// The HMAC of the concatenation of `parts`.
///
/// # Errors
/// If the hash function is not SHA-2.
#[inline]
pub fn hmac(hash: Hash, key: &Secret, parts: &[&[u8]]) -> Result<Digest, CryptoError> {
    match hash {
        Hash::Sha256 => mac::<Hmac<Sha256>>(key.expose(), parts),
        Hash::Sha384 => mac::<Hmac<Sha384>>(key.expose(), parts),
        Hash::Sha512 => mac::<Hmac<Sha512>>(key.expose(), parts),
        _ => Err(CryptoError::UnsupportedComponent(hash.name())),
    }
}

/// HKDF's `Extract`, with the input keying material as the concatenation of `ikm`.
///
/// # Errors
/// If the KDF is not HKDF with SHA-2.
#[inline]
pub fn extract(kdf: Kdf, salt: &[u8], ikm: &[&[u8]]) -> Result<Secret, CryptoError> {
    match kdf {
        Kdf::HkdfSha256 => extract_with::<Hmac<Sha256>>(salt, ikm),
        Kdf::HkdfSha384 => extract_with::<Hmac<Sha384>>(salt, ikm),
        Kdf::HkdfSha512 => extract_with::<Hmac<Sha512>>(salt, ikm),
        _ => Err(CryptoError::UnsupportedComponent(kdf.name())),
    }
}

/// HKDF's `Expand` to `length` bytes, with the info as the concatenation of `info`.
///
/// # Errors
/// [`CryptoError::InvalidLength`] if `length` is over 255 blocks; or if the KDF is not HKDF with SHA-2.
#[inline]
pub fn expand(
    kdf: Kdf,
    prk: &Secret,
    info: &[&[u8]],
    length: usize,
) -> Result<Secret, CryptoError> {
    match kdf {
        Kdf::HkdfSha256 => expand_with::<Hmac<Sha256>>(prk.expose(), info, length),
        Kdf::HkdfSha384 => expand_with::<Hmac<Sha384>>(prk.expose(), info, length),
        Kdf::HkdfSha512 => expand_with::<Hmac<Sha512>>(prk.expose(), info, length),
        _ => Err(CryptoError::UnsupportedComponent(kdf.name())),
    }
}

/// [`expand`] of the same secret for many pairs of an info and a length.
///
/// # Errors
/// Those of [`expand`].
#[inline]
pub fn expand_many(
    kdf: Kdf,
    prk: &Secret,
    items: &[(&[u8], usize)],
) -> Result<Vec<Secret>, CryptoError> {
    match kdf {
        Kdf::HkdfSha256 => expand_many_with::<Hmac<Sha256>>(prk.expose(), items),
        Kdf::HkdfSha384 => expand_many_with::<Hmac<Sha384>>(prk.expose(), items),
        Kdf::HkdfSha512 => expand_many_with::<Hmac<Sha512>>(prk.expose(), items),
        _ => Err(CryptoError::UnsupportedComponent(kdf.name())),
    }
}

fn digest<D: sha2::Digest>(parts: &[&[u8]]) -> Result<Digest, CryptoError> {
    let mut state = D::new();
    for part in parts {
        state.update(part);
    }
    Digest::new(&state.finalize()).ok_or(CryptoError::InvalidLength)
}

fn keyed<M: Mac + KeyInit>(key: &[u8]) -> Result<M, CryptoError> {
    <M as KeyInit>::new_from_slice(key).map_err(|_| CryptoError::InvalidLength)
}

fn absorb<M: Mac>(mac: &mut M, parts: &[&[u8]]) {
    for part in parts {
        mac.update(part);
    }
}

fn mac<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Result<Digest, CryptoError> {
    let mut mac = keyed::<M>(key)?;
    absorb(&mut mac, parts);
    Digest::new(&mac.finalize().into_bytes()).ok_or(CryptoError::InvalidLength)
}

fn extract_with<M: Mac + KeyInit>(salt: &[u8], ikm: &[&[u8]]) -> Result<Secret, CryptoError> {
    let mut mac = keyed::<M>(salt)?;
    absorb(&mut mac, ikm);

    let mut prk = mac.finalize().into_bytes();
    let secret = Secret::copy_from(&prk);
    prk.zeroize();
    Ok(secret)
}

fn expand_with<M: Mac + KeyInit + Clone>(
    prk: &[u8],
    info: &[&[u8]],
    length: usize,
) -> Result<Secret, CryptoError> {
    expand_keyed(&keyed::<M>(prk)?, info, length)
}

fn expand_many_with<M: Mac + KeyInit + Clone>(
    prk: &[u8],
    items: &[(&[u8], usize)],
) -> Result<Vec<Secret>, CryptoError> {
    let keyed = keyed::<M>(prk)?;
    items.iter().map(|(info, length)| expand_keyed(&keyed, &[info], *length)).collect()
}

fn expand_keyed<M: Mac + Clone>(
    keyed: &M,
    info: &[&[u8]],
    length: usize,
) -> Result<Secret, CryptoError> {
    let block_len = M::output_size();
    if length > block_len * usize::from(u8::MAX) {
        return Err(CryptoError::InvalidLength);
    }

    let mut out = Secret::zero(length);
    let mut full = Output::<M>::default();
    for (counter, block) in (1..=u8::MAX).zip(out.expose_mut().chunks_mut(block_len)) {
        let mut mac = keyed.clone();
        if counter > 1 {
            mac.update(&full);
        }
        absorb(&mut mac, info);
        mac.update(&[counter]);

        full = mac.finalize().into_bytes();
        for (to, from) in block.iter_mut().zip(&full) {
            *to = *from;
        }
    }
    full.zeroize();
    Ok(out)
}
