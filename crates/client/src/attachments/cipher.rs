//! How a file of any length is encrypted and decrypted in place.

use conclave_content::{Aead, Decryption, Secret};
use conclave_mls::crypto::CryptoRng;
use core::fmt;
use std::fs::File;
use std::io;

/// By how many bytes an encrypted file is longer than the file: the tag of each AEAD of [`Aead`].
pub const TAG_LENGTH: u64 = 16;

/// What a file is encrypted under: a key that is used for it alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileKey {
    /// The algorithm.
    pub aead: Aead,
    /// The key.
    pub key: Secret,
    /// The nonce.
    pub nonce: Vec<u8>,
    /// The additional authenticated data.
    pub aad: Vec<u8>,
}

impl FileKey {
    /// A fresh key, of the algorithm that every client of MIMI content has (draft-ietf-mimi-content-08, section 4.5).
    pub(super) fn fresh(rng: &mut dyn CryptoRng) -> Self {
        let aead = Aead::Aes128Gcm;
        let mut nonce = vec![0; aead.nonce_length()];
        rng.fill_bytes(&mut nonce);
        Self { aead, key: Secret::random(aead.key_length(), rng), nonce, aad: Vec::new() }
    }

    /// The key of a file that is sealed as a stream: it has neither nonce nor additional data.
    pub(crate) fn of_stream(key: Secret) -> Self {
        Self { aead: Aead::ChaCha20Poly1305, key, nonce: Vec::new(), aad: Vec::new() }
    }

    pub(super) fn of(decryption: &Decryption<'_>) -> Self {
        let Decryption { aead, key, nonce, aad } = decryption;
        Self { aead: *aead, key: (*key).clone(), nonce: nonce.to_vec(), aad: aad.to_vec() }
    }
}

/// Why a file cannot be encrypted or decrypted.
#[derive(Debug)]
#[non_exhaustive]
pub enum CipherError {
    /// The file cannot be read or written.
    File(io::Error),
    /// The file was encrypted under another key, or changed since.
    Forged,
    /// The provider cannot do it: why.
    Unsupported(String),
}

impl fmt::Display for CipherError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(e) => fmt::Display::fmt(e, f),
            Self::Forged => f.write_str("it was encrypted under another key, or changed since"),
            Self::Unsupported(why) => f.write_str(why),
        }
    }
}

impl core::error::Error for CipherError {}

impl From<io::Error> for CipherError {
    fn from(e: io::Error) -> Self {
        Self::File(e)
    }
}

/// Encrypts and decrypts files in place, in memory that does not grow with them.
pub trait FileCipher: fmt::Debug + Send + Sync {
    /// Encrypts a file, whose last [`TAG_LENGTH`] bytes are room for the tag.
    ///
    /// # Errors
    /// If it cannot be read or written, or is too short.
    fn seal(&self, key: &FileKey, file: &File) -> Result<(), CipherError>;

    /// Decrypts a file. The tag stays behind its content. If this fails, the file is of no further use.
    ///
    /// # Errors
    /// [`CipherError::Forged`] if it was encrypted under another key, or changed since.
    fn open(&self, key: &FileKey, file: &File) -> Result<(), CipherError>;
}
