//! How an encrypted store seals its values.
//!
//! *Keys.* `master = HKDF-Extract(salt, key)`: the salt is 32 random bytes that the file keeps, so
//! that two files with one key, and one file before and after a `rekey`, share nothing. A value is
//! sealed under a key of its own, `HKDF-Expand(master, place ‖ 24 random bytes)`. A random nonce of 96
//! bits under one key would be good for about 2^32 values, and a counter would repeat when an older
//! copy of the file comes back; here each value's key is used once, with an all-zero nonce, and two
//! values share a key only if the same place is given the same 192 random bits twice.
//!
//! *Places.* A value's place (its group and row, or its namespace and key) and the version of this format
//! are its associated data, so that a value opens at its own place alone.
//!
//! *Sums.* What remains is to put an older value of a place back, to delete one, or to bring a deleted
//! one back. So the expansion above yields a second output, the value's mark, and a store keeps the sum
//! of the marks of each group's rows, of all groups' sums, and of the application's values: MSet-Add-Hash
//! (Clarke et al., "Incremental Multiset Hash Functions and Their Application to Memory Integrity
//! Checking", 2003). Nobody without the key can compute a mark, and the sums are sealed themselves. They
//! change with each write by what the write adds and removes, and cost no reading of the rest.

use crate::{GroupId, RowKey, Secret, StoreError, aead};
use conclave_mls::crypto::{Aead, CryptoError, CryptoProvider, Kdf};
use core::fmt;
use std::sync::Arc;

/// The version of this format, bound into every derivation.
const LABEL: &[u8] = b"conclave-store 1";

const KDF: Kdf = Kdf::HkdfSha256;
const NONCE: [u8; 12] = [0; 12];
const KEY_LEN: usize = 32;

/// The least that a store's key may have.
const MIN_KEY_LEN: usize = 32;

/// The length of the random bytes before a sealed value.
pub(super) const SALT_LEN: usize = 24;

/// What a value is stored as.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    /// A row of a group. The table is a number, as nobody vouches for those in a file.
    Row { group: &'a GroupId, table: u8, epoch: u64, index: u64 },
    /// A value of the application's.
    App { namespace: &'a str, key: &'a [u8] },
    /// The sum of a group's rows.
    Group(&'a GroupId),
    /// The sums of the groups and of the application's values.
    Sums,
}

impl<'a> Place<'a> {
    /// The place of a row.
    pub(super) fn row(group: &'a GroupId, key: &RowKey) -> Self {
        let RowKey { table, epoch, index } = *key;
        Self::Row { group, table: table as u8, epoch, index }
    }

    /// An encoding that no other place has.
    fn encode(self) -> Vec<u8> {
        let mut bytes = LABEL.to_vec();
        match self {
            Self::Row { group, table, epoch, index } => {
                bytes.push(1);
                put_with_length(&mut bytes, group.as_ref());
                bytes.push(table);
                bytes.extend_from_slice(&epoch.to_be_bytes());
                bytes.extend_from_slice(&index.to_be_bytes());
            }
            Self::App { namespace, key } => {
                bytes.push(2);
                put_with_length(&mut bytes, namespace.as_bytes());
                put_with_length(&mut bytes, key);
            }
            Self::Group(group) => {
                bytes.push(3);
                put_with_length(&mut bytes, group.as_ref());
            }
            Self::Sums => bytes.push(4),
        }
        bytes
    }
}

fn put_with_length(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
    bytes.extend_from_slice(part);
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row { group, table, epoch, index } => {
                write!(f, "a row of {group:?} (table {table}, epoch {epoch}, index {index})")
            }
            Self::App { namespace, .. } => write!(f, "a value of the namespace {namespace:?}"),
            Self::Group(group) => write!(f, "the sum of the rows of {group:?}"),
            Self::Sums => f.write_str("the sums of the store"),
        }
    }
}

/// What one value adds to a sum.
#[derive(Clone, Copy)]
struct Mark([u64; 4]);

impl Mark {
    fn of(bytes: &[u8]) -> Self {
        let mut lanes = [0; 4];
        for (lane, bytes) in lanes.iter_mut().zip(bytes.chunks_exact(8)) {
            *lane = bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
        }
        Self(lanes)
    }
}

/// The sum of the marks of a set of values. Adding is the same in any order, and what was added twice
/// is not what was never added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum([u64; 4]);

impl Sum {
    /// The length of its encoding.
    pub(super) const LEN: usize = 32;

    fn add(&mut self, mark: Mark) {
        for (lane, n) in self.0.iter_mut().zip(mark.0) {
            *lane = lane.wrapping_add(n);
        }
    }

    fn subtract(&mut self, mark: Mark) {
        for (lane, n) in self.0.iter_mut().zip(mark.0) {
            *lane = lane.wrapping_sub(n);
        }
    }

    pub(super) fn to_bytes(self) -> Vec<u8> {
        self.0.iter().flat_map(|lane| lane.to_be_bytes()).collect()
    }

    /// The sum of an encoding of [`Self::LEN`] bytes.
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self(Mark::of(bytes).0)
    }
}

/// What the file keeps of how it is sealed, in the clear.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) aead: u16,
    pub(super) salt: Vec<u8>,
    /// Shows whether a key is the right one, and that the header is as it was written.
    pub(super) key_check: Vec<u8>,
}

/// Seals and opens values under one key.
pub(super) struct Sealer {
    provider: Arc<dyn CryptoProvider>,
    aead: Aead,
    master: Secret,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer({:?} by {})", self.aead, self.provider.name())
    }
}

impl Sealer {
    /// A sealer with a new salt, and the header to keep.
    pub(super) fn create(
        key: &Secret,
        provider: Arc<dyn CryptoProvider>,
    ) -> Result<(Self, Header), StoreError> {
        Self::create_with(aead::preferred(&*provider), key, provider)
    }

    pub(super) fn create_with(
        aead: Aead,
        key: &Secret,
        provider: Arc<dyn CryptoProvider>,
    ) -> Result<(Self, Header), StoreError> {
        let mut salt = vec![0; 32];
        fill_random(&mut salt)?;
        let sealer = Self::new(key, provider, aead, &salt)?;
        let key_check = sealer.key_check()?;
        Ok((sealer, Header { aead: aead as u16, salt, key_check }))
    }

    /// The sealer of a header. None if the key is not the header's, or the header was changed.
    pub(super) fn open(
        key: &Secret,
        provider: Arc<dyn CryptoProvider>,
        header: &Header,
    ) -> Result<Option<Self>, StoreError> {
        let Some(aead) = aead::by_number(header.aead) else { return Ok(None) };
        let sealer = Self::new(key, provider, aead, &header.salt)?;
        let is_right = Secret::new(sealer.key_check()?) == Secret::copy_from(&header.key_check);
        Ok(is_right.then_some(sealer))
    }

    fn new(
        key: &Secret,
        provider: Arc<dyn CryptoProvider>,
        aead: Aead,
        salt: &[u8],
    ) -> Result<Self, StoreError> {
        if key.len() < MIN_KEY_LEN {
            return Err(StoreError::ShortKey { len: key.len() });
        }
        if !provider.has_aead(aead) {
            let missing = match aead {
                Aead::Aes256Gcm => "AES-256-GCM",
                _ => "ChaCha20-Poly1305",
            };
            return Err(StoreError::Crypto(CryptoError::UnsupportedComponent(missing)));
        }
        let master = provider.extract(KDF, salt, &[key.expose()]).map_err(StoreError::Crypto)?;
        Ok(Self { provider, aead, master })
    }

    fn key_check(&self) -> Result<Vec<u8>, StoreError> {
        let aead = (self.aead as u16).to_be_bytes();
        let info: [&[u8]; 3] = [LABEL, b" key check", &aead];
        let check = self.provider.expand(KDF, &self.master, &info, KEY_LEN);
        Ok(check.map_err(StoreError::Crypto)?.expose().to_vec())
    }

    /// The key and the mark of a value.
    fn derive(&self, place: &[u8], salt: &[u8]) -> Result<(Secret, Mark), StoreError> {
        let both = self.provider.expand(KDF, &self.master, &[place, salt], KEY_LEN + Sum::LEN);
        let both = both.map_err(StoreError::Crypto)?;
        let (key, mark) = both.expose().split_at_checked(KEY_LEN).unwrap_or_default();
        Ok((Secret::copy_from(key), Mark::of(mark)))
    }

    /// Seals a value and adds it to a sum.
    pub(super) fn seal(
        &self,
        place: Place<'_>,
        value: &[u8],
        sum: &mut Sum,
    ) -> Result<Vec<u8>, StoreError> {
        let mut sealed = vec![0; SALT_LEN];
        fill_random(&mut sealed)?;

        let place = place.encode();
        let (key, mark) = self.derive(&place, &sealed)?;
        let ciphertext = self.provider.aead_seal(self.aead, &key, &NONCE, &place, value);
        sealed.extend_from_slice(&ciphertext.map_err(StoreError::Crypto)?);
        sum.add(mark);
        Ok(sealed)
    }

    /// Opens a value and adds it to a sum.
    pub(super) fn open_value(
        &self,
        place: Place<'_>,
        sealed: &[u8],
        sum: &mut Sum,
    ) -> Result<Secret, StoreError> {
        let (salt, ciphertext) = split(place, sealed)?;
        let encoded = place.encode();
        let (key, mark) = self.derive(&encoded, salt)?;
        let value = self.provider.aead_open(self.aead, &key, &NONCE, &encoded, ciphertext);
        let value = value.map_err(|e| match e {
            CryptoError::OpenFailed => altered(place),
            e => StoreError::Crypto(e),
        })?;
        sum.add(mark);
        Ok(value)
    }

    /// Subtracts a value, sealed or the first bytes of it, from a sum.
    pub(super) fn subtract(
        &self,
        place: Place<'_>,
        sealed: &[u8],
        sum: &mut Sum,
    ) -> Result<(), StoreError> {
        let (salt, _) = split(place, sealed)?;
        let (_, mark) = self.derive(&place.encode(), salt)?;
        sum.subtract(mark);
        Ok(())
    }
}

fn split<'a>(place: Place<'_>, sealed: &'a [u8]) -> Result<(&'a [u8], &'a [u8]), StoreError> {
    sealed.split_at_checked(SALT_LEN).ok_or_else(|| altered(place))
}

fn altered(place: Place<'_>) -> StoreError {
    StoreError::Damaged(format!("{place} was changed, or moved here from another place"))
}

fn fill_random(bytes: &mut [u8]) -> Result<(), StoreError> {
    getrandom::fill(bytes).map_err(|e| StoreError::failed(format!("no randomness: {e}")))
}
