//! The AEADs of encrypted stores and of the files of their keys.

use conclave_mls::crypto::{Aead, CryptoProvider};

const KNOWN: [Aead; 2] = [Aead::Aes256Gcm, Aead::ChaCha20Poly1305];

/// The first of them that a provider has; if it has none, the last, with which it then fails.
pub(crate) fn preferred(provider: &dyn CryptoProvider) -> Aead {
    let found = KNOWN.into_iter().find(|aead| provider.has_aead(*aead));
    found.unwrap_or(Aead::ChaCha20Poly1305)
}

/// The one of a number in a file.
pub(crate) fn by_number(number: u16) -> Option<Aead> {
    KNOWN.into_iter().find(|aead| *aead as u16 == number)
}
