//! Content that is somewhere else, and how it is decrypted (section 4.5).

use crate::cbor::{Reader, Writer};
use crate::error::ContentError;
use alloc::string::String;
use alloc::vec::Vec;
use conclave_crypto::Secret;
use core::fmt;

/// A reference to content that is somewhere else, with what is needed to decrypt and to check it.
///
/// Whoever fetches it uses [`Self::fetch`], which says no to fields that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalPart {
    /// The media type of the content.
    pub content_type: String,
    /// Where it can be fetched.
    pub url: String,
    /// When the content becomes invalid, in seconds since 1970; 0 if it does not.
    pub expires: u32,
    /// The size of the content in octets; 0 if nothing is said of it.
    pub size: u64,
    /// The IANA's number of the AEAD; 0 if the content is not encrypted.
    pub enc_alg: u16,
    /// The AEAD's key.
    pub key: Secret,
    /// The AEAD's nonce.
    pub nonce: Vec<u8>,
    /// The AEAD's additional authenticated data.
    pub aad: Vec<u8>,
    /// The number of the hash algorithm in the IANA's registry of named information; 0 if there is no hash.
    pub hash_alg: u8,
    /// The hash of what lies at the URL.
    pub content_hash: Vec<u8>,
    /// A description; empty if there is none.
    pub description: String,
    /// A suggested file name; empty if there is none.
    pub filename: String,
}

/// How content is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Aead {
    /// `AEAD_AES_128_GCM`, which everybody has to implement.
    Aes128Gcm = 1,
    /// `AEAD_AES_256_GCM`.
    Aes256Gcm = 2,
    /// `AEAD_CHACHA20_POLY1305`.
    ChaCha20Poly1305 = 29,
}

impl Aead {
    const ALL: [Self; 3] = [Self::Aes128Gcm, Self::Aes256Gcm, Self::ChaCha20Poly1305];

    /// The length of a key, in octets.
    #[must_use]
    pub fn key_length(self) -> usize {
        if self == Self::Aes128Gcm { 16 } else { 32 }
    }

    /// The length of a nonce, in octets.
    #[must_use]
    pub fn nonce_length(self) -> usize {
        12
    }
}

/// How content is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HashAlgorithm {
    /// `sha-256`.
    Sha256 = 1,
    /// `sha-384`.
    Sha384 = 7,
    /// `sha-512`.
    Sha512 = 8,
}

impl HashAlgorithm {
    const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// The length of a hash, in octets.
    #[must_use]
    pub fn length(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// What is needed to fetch content, decrypt it and check it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetch<'a> {
    /// Where it is: an `http` or `https` URL of printable ASCII.
    pub url: &'a str,
    /// Its size in octets; none if nothing is said of it. Stop reading there.
    pub size: Option<u64>,
    /// How to decrypt it; none if it is not encrypted.
    pub decryption: Option<Decryption<'a>>,
    /// The hash of what lies at the URL; none if nothing is said of it.
    pub hash: Option<(HashAlgorithm, &'a [u8])>,
}

/// What a caller's cryptography needs to decrypt content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decryption<'a> {
    /// The algorithm.
    pub aead: Aead,
    /// The key, as long as the algorithm has it.
    pub key: &'a Secret,
    /// The nonce, as long as the algorithm has it.
    pub nonce: &'a [u8],
    /// The additional authenticated data.
    pub aad: &'a [u8],
}

/// Why external content is not fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExternalFault {
    /// The content was to be used until then, in seconds since 1970.
    Expired(u32),
    /// The URL has another scheme than `http` and `https`, no host, or characters that no URL has.
    Url,
    /// The number of the AEAD is unknown.
    UnknownAead(u16),
    /// Key or nonce have another length than the AEAD's.
    KeyLength,
    /// The content is not encrypted, and there is a key, a nonce or additional data.
    KeyWithoutAead,
    /// The number of the hash algorithm is unknown, or there is a hash without an algorithm.
    UnknownHash(u8),
    /// The hash has another length than its algorithm's.
    HashLength,
}

impl fmt::Display for ExternalFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired(at) => write!(f, "the content expired at {at} (seconds since 1970)"),
            Self::Url => f.write_str("the URL is not a valid http or https URL"),
            Self::UnknownAead(id) => write!(f, "the AEAD {id} is unknown"),
            Self::KeyLength => {
                f.write_str("the key or the nonce has the wrong length for the AEAD")
            }
            Self::KeyWithoutAead => {
                f.write_str("there is a key, a nonce or additional data, but no AEAD")
            }
            Self::UnknownHash(id) => write!(f, "the hash algorithm {id} is unknown"),
            Self::HashLength => f.write_str("the hash has the wrong length for its algorithm"),
        }
    }
}

impl core::error::Error for ExternalFault {}

impl ExternalPart {
    /// What is needed to fetch the content, at a time in seconds since 1970.
    ///
    /// # Errors
    /// If the content has expired, the URL is none that a client fetches by itself (section 7.1), an algorithm is
    /// unknown, or fields contradict each other.
    pub fn fetch(&self, now: u64) -> Result<Fetch<'_>, ExternalFault> {
        if self.expires != 0 && u64::from(self.expires) <= now {
            return Err(ExternalFault::Expired(self.expires));
        }
        self.checked()
    }

    /// [`Self::fetch`], whatever the time.
    pub(crate) fn checked(&self) -> Result<Fetch<'_>, ExternalFault> {
        if !is_web_url(&self.url) {
            return Err(ExternalFault::Url);
        }
        let size = if self.size == 0 { None } else { Some(self.size) };
        Ok(Fetch { url: &self.url, size, decryption: self.decryption()?, hash: self.hash()? })
    }

    fn decryption(&self) -> Result<Option<Decryption<'_>>, ExternalFault> {
        if self.enc_alg == 0 {
            let is_plain = self.key.is_empty() && self.nonce.is_empty() && self.aad.is_empty();
            return if is_plain { Ok(None) } else { Err(ExternalFault::KeyWithoutAead) };
        }
        let aead = Aead::ALL.into_iter().find(|aead| *aead as u16 == self.enc_alg);
        let aead = aead.ok_or(ExternalFault::UnknownAead(self.enc_alg))?;
        if self.key.len() != aead.key_length() || self.nonce.len() != aead.nonce_length() {
            return Err(ExternalFault::KeyLength);
        }
        Ok(Some(Decryption { aead, key: &self.key, nonce: &self.nonce, aad: &self.aad }))
    }

    fn hash(&self) -> Result<Option<(HashAlgorithm, &[u8])>, ExternalFault> {
        if self.hash_alg == 0 && self.content_hash.is_empty() {
            return Ok(None);
        }
        let algorithm = HashAlgorithm::ALL.into_iter().find(|alg| *alg as u8 == self.hash_alg);
        let algorithm = algorithm.ok_or(ExternalFault::UnknownHash(self.hash_alg))?;
        if self.content_hash.len() != algorithm.length() {
            return Err(ExternalFault::HashLength);
        }
        Ok(Some((algorithm, &self.content_hash)))
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, ContentError> {
        reader.charge(size_of::<Self>())?;
        Ok(Self {
            content_type: reader.text()?.into(),
            url: reader.text()?.into(),
            expires: reader.number("the time of expiry")?,
            size: reader.unsigned()?,
            enc_alg: reader.number("encAlg")?,
            key: Secret::copy_from(reader.bytes()?),
            nonce: reader.bytes()?.into(),
            aad: reader.bytes()?.into(),
            hash_alg: reader.number("hashAlg")?,
            content_hash: reader.bytes()?.into(),
            description: reader.text()?.into(),
            filename: reader.text()?.into(),
        })
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.text(&self.content_type);
        writer.text(&self.url);
        writer.unsigned(self.expires);
        writer.unsigned(self.size);
        writer.unsigned(self.enc_alg);
        writer.bytes(self.key.expose());
        writer.bytes(&self.nonce);
        writer.bytes(&self.aad);
        writer.unsigned(self.hash_alg);
        writer.bytes(&self.content_hash);
        writer.text(&self.description);
        writer.text(&self.filename);
    }
}

/// Whether text is an `http` or `https` URL with a host, of printable ASCII alone: what is not stands percent-encoded in
/// a URL (RFC 3986 section 2), and here would hide where it leads to.
fn is_web_url(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let is_web = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // What comes before an `@` looks like the host, and is not.
    let has_host = !authority.is_empty() && !authority.starts_with(':') && !authority.contains('@');
    let is_clean = url.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b));
    is_web && has_host && is_clean
}
