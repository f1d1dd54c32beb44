//! SHA-2, HMAC and HKDF (RFC 5869), over inputs in parts.

use alloc::vec::Vec;
use conclave_crypto::{CryptoError, Digest, Secret};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha384, Sha512};
use zeroize::Zeroize;

pub(crate) type HmacSha256 = Hmac<Sha256>;
pub(crate) type HmacSha384 = Hmac<Sha384>;
pub(crate) type HmacSha512 = Hmac<Sha512>;

pub(crate) fn digest<D: sha2::Digest>(parts: &[&[u8]]) -> Result<Digest, CryptoError> {
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

pub(crate) fn hmac<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Result<Digest, CryptoError> {
    let mut mac = keyed::<M>(key)?;
    absorb(&mut mac, parts);
    Digest::new(&mac.finalize().into_bytes()).ok_or(CryptoError::InvalidLength)
}

pub(crate) fn extract<M: Mac + KeyInit>(salt: &[u8], ikm: &[&[u8]]) -> Result<Secret, CryptoError> {
    let mut mac = keyed::<M>(salt)?;
    absorb(&mut mac, ikm);
    let mut prk = mac.finalize().into_bytes();
    let secret = Secret::copy_from(&prk);
    prk.zeroize();
    Ok(secret)
}

pub(crate) fn expand<M: Mac + KeyInit + Clone>(
    prk: &[u8],
    info: &[&[u8]],
    length: usize,
) -> Result<Secret, CryptoError> {
    let block_len = M::output_size();
    if length > block_len * usize::from(u8::MAX) {
        return Err(CryptoError::InvalidLength);
    }
    let keyed = keyed::<M>(prk)?;
    let mut out = Secret::zero(length);
    let mut previous = Vec::with_capacity(block_len);
    for (counter, block) in (1..=u8::MAX).zip(out.expose_mut().chunks_mut(block_len)) {
        let mut mac = keyed.clone();
        mac.update(&previous);
        absorb(&mut mac, info);
        mac.update(&[counter]);
        let mut full = mac.finalize().into_bytes();
        for (to, from) in block.iter_mut().zip(&full) {
            *to = *from;
        }
        previous.zeroize();
        previous.extend_from_slice(&full);
        full.zeroize();
    }
    previous.zeroize();
    Ok(out)
}
