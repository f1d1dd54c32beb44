//! The key of an encrypted store, under a passphrase.

use crate::{Secret, aead};
use argon2::{Algorithm, Argon2, Params, Version};
use conclave_mls::crypto::{Aead, CryptoError, CryptoProvider};
use core::fmt;

/// What a file of this format begins with.
const MAGIC: &[u8; 16] = b"conclave-key v1\n";
const SALT_LEN: usize = 16;
const KEY_LEN: usize = 32;
const TAG_LEN: usize = 16;
/// The magic, three costs, the salt and the AEAD: all that is in the clear.
const HEADER_LEN: usize = MAGIC.len() + 3 * 4 + SALT_LEN + 2;
const LEN: usize = HEADER_LEN + KEY_LEN + TAG_LEN;

/// The key that a passphrase gives is used for one message: each file has a salt of its own.
const NONCE: [u8; 12] = [0; 12];

/// The second of the choices that RFC 9106 recommends (section 4), on one lane: 64 MiB and three passes.
const COSTS: Costs = Costs { memory_kib: 64 << 10, passes: 3, lanes: 1 };
/// The most that a file may ask for: 1 GiB and sixteen passes.
const MOST: Costs = Costs { memory_kib: 1 << 20, passes: 16, lanes: 16 };

/// What guessing one passphrase costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Costs {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// The key of a store, sealed under a passphrase: what an application keeps beside the store.
///
/// The key is random, and the passphrase seals nothing but the key (Argon2id, then AES-256-GCM or, if the
/// provider lacks it, ChaCha20-Poly1305). So another passphrase is one write of [`Self::LEN`] bytes, and none
/// of the store. It does not change the key: whoever knows an older passphrase and has a copy of the older
/// file opens the store of today. [`SqliteStore::rekey`](crate::SqliteStore::rekey) puts an end to that.
///
/// ```
/// use conclave_provider_rustcrypto::RustCrypto;
/// use conclave_store::{KeyFile, Secret};
///
/// let provider = RustCrypto::new();
/// let passphrase = Secret::new(b"correct horse battery staple".to_vec());
/// let (file, key) = KeyFile::create(&provider, &passphrase)?;
/// let bytes = file.to_bytes(); // beside the store
///
/// let file = KeyFile::from_bytes(&bytes)?;
/// assert_eq!(file.open(&provider, &passphrase)?, key);
/// # Ok::<_, conclave_store::KeyFileError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFile {
    costs: Costs,
    salt: [u8; SALT_LEN],
    aead: Aead,
    sealed: [u8; KEY_LEN + TAG_LEN],
}

impl KeyFile {
    /// The length of a file, in bytes.
    pub const LEN: usize = LEN;

    /// The AEAD that seals the key, and is meant for what the key seals.
    #[must_use]
    pub fn aead(&self) -> Aead {
        self.aead
    }

    /// Makes a key of 32 random bytes and seals it. It takes about a quarter of a second and 64 MiB.
    ///
    /// # Errors
    /// [`KeyFileError::Crypto`] if the provider lacks both AEADs, [`KeyFileError::NoRandomness`] if the system
    /// has none, and [`KeyFileError::Derivation`] if there is not enough memory.
    pub fn create(
        provider: &dyn CryptoProvider,
        passphrase: &Secret,
    ) -> Result<(Self, Secret), KeyFileError> {
        let mut key = vec![0; KEY_LEN];
        getrandom::fill(&mut key).map_err(|_| KeyFileError::NoRandomness)?;
        let key = Secret::new(key);
        Ok((Self::seal(provider, passphrase, &key)?, key))
    }

    /// Seals a key of 32 bytes under a passphrase: another one, say. See [`Self::create`] for the cost.
    ///
    /// # Errors
    /// As [`Self::create`]; and [`KeyFileError::Format`] if the key has another length.
    pub fn seal(
        provider: &dyn CryptoProvider,
        passphrase: &Secret,
        key: &Secret,
    ) -> Result<Self, KeyFileError> {
        if key.len() != KEY_LEN {
            return Err(KeyFileError::Format);
        }
        let aead = aead::preferred(provider);
        let mut salt = [0; SALT_LEN];
        getrandom::fill(&mut salt).map_err(|_| KeyFileError::NoRandomness)?;

        let mut file = Self { costs: COSTS, salt, aead, sealed: [0; KEY_LEN + TAG_LEN] };
        let under = file.derive(passphrase)?;
        let sealed = provider.aead_seal(aead, &under, &NONCE, &file.header(), key.expose());
        let sealed = sealed.map_err(KeyFileError::Crypto)?;
        file.sealed = sealed.try_into().map_err(|_| KeyFileError::Format)?;
        Ok(file)
    }

    /// Opens the key.
    ///
    /// # Errors
    /// [`KeyFileError::WrongPassphrase`] if the passphrase is another one, or the file was changed; and as
    /// [`Self::create`].
    pub fn open(
        &self,
        provider: &dyn CryptoProvider,
        passphrase: &Secret,
    ) -> Result<Secret, KeyFileError> {
        let under = self.derive(passphrase)?;
        let key = provider.aead_open(self.aead, &under, &NONCE, &self.header(), &self.sealed);
        key.map_err(|e| match e {
            CryptoError::OpenFailed => KeyFileError::WrongPassphrase,
            e => KeyFileError::Crypto(e),
        })
    }

    /// The bytes to keep.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.header();
        bytes.extend_from_slice(&self.sealed);
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`KeyFileError::Format`] if it is anything else, or asks for more work than this version is ready to do.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyFileError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(KeyFileError::Format)?;
        let mut rest = Reader(rest);
        let [memory_kib, passes, lanes] = [rest.number()?, rest.number()?, rest.number()?];
        let costs = Costs { memory_kib, passes, lanes };
        let too_much = memory_kib > MOST.memory_kib || passes > MOST.passes || lanes > MOST.lanes;
        if too_much || costs.params().is_err() {
            return Err(KeyFileError::Format);
        }

        let salt = rest.take()?;
        let number = u16::from_be_bytes(rest.take()?);
        let aead = aead::by_number(number).ok_or(KeyFileError::Format)?;
        let sealed = rest.take()?;
        if rest.0.is_empty() {
            Ok(Self { costs, salt, aead, sealed })
        } else {
            Err(KeyFileError::Format)
        }
    }

    /// All that is in the clear. It is authenticated with the key.
    fn header(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(LEN);
        bytes.extend_from_slice(MAGIC);
        let Costs { memory_kib, passes, lanes } = self.costs;
        for cost in [memory_kib, passes, lanes] {
            bytes.extend_from_slice(&cost.to_be_bytes());
        }
        bytes.extend_from_slice(&self.salt);
        bytes.extend_from_slice(&(self.aead as u16).to_be_bytes());
        bytes
    }

    /// The key that seals the key.
    fn derive(&self, passphrase: &Secret) -> Result<Secret, KeyFileError> {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, self.costs.params()?);
        let mut key = Secret::new(vec![0; KEY_LEN]);
        argon2
            .hash_password_into(passphrase.expose(), &self.salt, key.expose_mut())
            .map_err(|e| KeyFileError::Derivation(e.to_string()))?;
        Ok(key)
    }
}

impl Costs {
    fn params(self) -> Result<Params, KeyFileError> {
        Params::new(self.memory_kib, self.passes, self.lanes, Some(KEY_LEN))
            .map_err(|e| KeyFileError::Derivation(e.to_string()))
    }
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], KeyFileError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(KeyFileError::Format)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn number(&mut self) -> Result<u32, KeyFileError> {
        self.take().map(u32::from_be_bytes)
    }
}

/// Why a key was not sealed or opened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The file is not one of a key, or of a later version, or the key does not have 32 bytes.
    Format,
    /// The passphrase is not the one that the key is under, or the file was changed.
    WrongPassphrase,
    /// The system has no randomness.
    NoRandomness,
    /// Argon2 failed: there is not enough memory.
    Derivation(String),
    /// The provider failed.
    Crypto(CryptoError),
}

impl fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format => {
                f.write_str("this is not the file of a key, or is one of a later version")
            }
            Self::WrongPassphrase => {
                f.write_str("the passphrase is wrong, or the key's file was changed")
            }
            Self::NoRandomness => f.write_str("the system has no randomness"),
            Self::Derivation(e) => write!(f, "Argon2 failed: {e}"),
            Self::Crypto(e) => write!(f, "the key cannot be sealed or opened: {e}"),
        }
    }
}

impl core::error::Error for KeyFileError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Crypto(e) => Some(e),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conclave_provider_rustcrypto::RustCrypto;

    fn passphrase(text: &str) -> Secret {
        Secret::new(text.as_bytes().to_vec())
    }

    #[test]
    fn a_key_opens_by_its_passphrase_alone() {
        let provider = RustCrypto::new();
        let (file, key) = KeyFile::create(&provider, &passphrase("right")).unwrap();
        let read = KeyFile::from_bytes(&file.to_bytes()).unwrap();
        assert_eq!(read.open(&provider, &passphrase("right")), Ok(key.clone()));
        let wrong = read.open(&provider, &passphrase("wrong"));
        assert_eq!(wrong, Err(KeyFileError::WrongPassphrase));

        // Another passphrase, the same key, and nothing else in common.
        let changed = KeyFile::seal(&provider, &passphrase("other"), &key).unwrap();
        assert_eq!(changed.open(&provider, &passphrase("other")), Ok(key));
        assert_ne!(changed.salt, file.salt);
        assert!(changed.open(&provider, &passphrase("right")).is_err());
    }

    #[test]
    fn every_changed_byte_of_a_key_file_is_noticed() {
        let provider = RustCrypto::new();
        let (file, _) = KeyFile::create(&provider, &passphrase("right")).unwrap();
        let bytes = file.to_bytes();
        assert_eq!(bytes.len(), KeyFile::LEN);
        // One byte of each field: Argon2 takes its time.
        for at in [0, 18, 23, 27, 30, 45, 46, 80] {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let opened = KeyFile::from_bytes(&changed)
                .and_then(|file| file.open(&provider, &passphrase("right")));
            assert!(opened.is_err(), "byte {at}");
        }
        for cut in [0, 15, 16, HEADER_LEN, LEN - 1] {
            assert_eq!(KeyFile::from_bytes(&bytes[..cut]), Err(KeyFileError::Format));
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert_eq!(KeyFile::from_bytes(&longer), Err(KeyFileError::Format));
    }

    #[test]
    fn a_key_file_cannot_ask_for_the_machines_memory_or_its_day() {
        let provider = RustCrypto::new();
        let (file, _) = KeyFile::create(&provider, &passphrase("right")).unwrap();
        for costs in [
            Costs { memory_kib: MOST.memory_kib + 1, ..COSTS },
            Costs { passes: MOST.passes + 1, ..COSTS },
            Costs { lanes: MOST.lanes + 1, ..COSTS },
            Costs { memory_kib: 0, ..COSTS },
            Costs { passes: 0, ..COSTS },
            Costs { lanes: 0, ..COSTS },
        ] {
            let asking = KeyFile { costs, ..file.clone() };
            let read = KeyFile::from_bytes(&asking.to_bytes());
            assert_eq!(read, Err(KeyFileError::Format), "{costs:?}");
        }
    }
}
