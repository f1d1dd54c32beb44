//! The store in one SQLite file.
//!
//! WAL with `synchronous=FULL`, so a write is on disk when it returns; the file is held by an
//! exclusive lock, which ends with the process however it ends; `secure_delete` overwrites what is
//! deleted, and the log is emptied after every write, so that a value that was deleted is in neither.
//! On Unix another process can read a snapshot of it meanwhile.

mod files;
#[cfg(unix)]
mod log;
mod open;
mod read;
mod rekey;
mod seal;
#[cfg(unix)]
mod snapshot;
#[cfg(test)]
mod tests;
mod write;

use crate::{GroupId, Secret, StoreError};
use conclave_mls::crypto::CryptoProvider;
use rusqlite::{Connection, ErrorCode, OptionalExtension};
use seal::{Place, Sealer, Sum};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A store in a file that survives the death of the process at any moment.
///
/// **[`SqliteStore::open`] keeps everything in plaintext**: private keys, epoch secrets and what the
/// application stores. Whoever reads the file has them. **[`SqliteStore::open_encrypted`] encrypts and
/// authenticates every value**, the application's included, under a key that the application keeps
/// elsewhere.
///
/// ```
/// use conclave_mls::group::Framing;
/// use conclave_mls::{Config, Event, Group};
/// use conclave_provider_rustcrypto::RustCrypto;
/// use conclave_store::{Secret, SqliteStore, Store, apply, apply_new};
/// use std::sync::Arc;
///
/// # use conclave_mls::group::NewGroup;
/// # use conclave_mls::key_package::Lifetime;
/// # use conclave_mls::{CipherSuite, Credential, Identity};
/// # fn create(rng: &mut impl conclave_mls::crypto::CryptoRng) -> Result<NewGroup, conclave_mls::Error> {
/// #     let (provider, suite) = (RustCrypto::new(), CipherSuite(1));
/// #     let alice = Identity::generate(&provider, rng, Credential::basic(b"alice"), suite)?;
/// #     let lifetime = Lifetime { not_before: 0, not_after: 1_000 };
/// #     let params = alice.group_params(b"a group".as_slice().into(), lifetime);
/// #     Group::create(&provider, rng, Config::default(), params, alice.signer)
/// # }
/// # fn key_from_the_keychain() -> Secret { Secret::new(vec![7; 32]) }
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("state.db");
/// # let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
/// let provider = RustCrypto::new();
/// let key = key_from_the_keychain(); // 32 random bytes
/// let mut store = SqliteStore::open_encrypted(&path, &key, Arc::new(provider))?;
///
/// // A new group, and with it where to begin reading its messages.
/// let new = create(&mut rng)?;
/// let id = new.peek().group_id().clone();
/// let mut group = apply_new(&mut store, new, |set, group| {
///     set.put("cursor", group.group_id().as_ref(), 0u64.to_be_bytes());
/// })?;
///
/// // A message, and with the step that made it the copy that is sent again until it arrives.
/// let step = group.encrypt(&provider, &mut rng, b"hello", &Framing::default())?;
/// let message = apply(&mut store, &mut group, step, |set, event| {
///     if let Event::Message(message) = event {
///         set.put("outbox", 1u64.to_be_bytes(), message.as_slice());
///     }
/// })?;
///
/// // After a restart, all of it is there.
/// drop((store, group));
/// let store = SqliteStore::open_encrypted(&path, &key, Arc::new(provider))?;
/// let group = Group::load(&provider, Config::default(), store.load(&id)?)?;
/// assert_eq!(group.members().count(), 1);
/// assert_eq!(store.get("outbox", &1u64.to_be_bytes())?.unwrap().expose(), message);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # What encryption protects
///
/// Without the key, a file that was stolen shows no value, and a value that was changed, cut, moved to
/// another place or exchanged between files is [`StoreError::Damaged`] when it is read. A group's rows
/// belong together: if one is missing or comes from another time, the group does not load; if a whole
/// group was removed, brought back or set back, the store does not open. A value *of the application's*
/// that was removed, or set back to an older value of the same key, is found by [`SqliteStore::verify`]
/// alone, which reads the whole store.
///
/// It does not protect:
///
/// * **an older copy of the whole file.** It opens. Going on from it uses keys twice and reads messages
///   again, so keep the file out of backups, synchronised folders and a file system's snapshots;
/// * **what is not a value**: the identifiers of groups, epochs, the kinds, numbers and sizes of rows, the
///   application's namespaces and keys, and, for an observer who returns, which values change and when.
///   Do not put a secret into a key;
/// * **deleted values whose ciphertext survives elsewhere.** SQLite overwrites what is deleted and the log
///   is emptied after every write, but flash memory, file systems and copies may keep old blocks, and the
///   key opens them. [`SqliteStore::rekey`] and deleting the old key puts an end to it;
/// * **the running process**: the key is in memory while the store is open, and so is what was read.
///
/// The key is 32 bytes or more that nobody can guess: from the system's keychain, or from a password by
/// Argon2 or the like, not the password itself. Each value is sealed with AES-256-GCM or, if the provider
/// lacks it, ChaCha20-Poly1305, under a key of its own, which HKDF-SHA256 derives from the store's key, a
/// salt of the file, the value's place and 192 random bits. So no nonce repeats, however much is
/// written and whichever copy is written to. A value grows by 40 bytes.
#[derive(Debug)]
pub struct SqliteStore {
    db: Connection,
    path: PathBuf,
    /// None if the file is plaintext.
    sealer: Option<Sealer>,
}

impl SqliteStore {
    /// Opens a plaintext store, and creates it if there is no such file.
    ///
    /// On Unix only the owner can access the file and those that SQLite keeps beside it. If others could
    /// access it, say because it is a copy, they lose that permission here; keys that they have read stay
    /// known to them.
    ///
    /// # Errors
    /// [`StoreError::InUse`] if it is open elsewhere, [`StoreError::Encrypted`] if it takes a key,
    /// [`StoreError::NotAStore`] or [`StoreError::NewerFormat`] if it cannot be read by this version,
    /// and [`StoreError::Open`] if the file cannot be opened or made private.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with(path.as_ref(), None)
    }

    /// Opens an encrypted store, and creates it if there is no such file.
    ///
    /// The key must have at least 32 bytes that nobody can guess. Permissions are as of
    /// [`Self::open`].
    ///
    /// # Errors
    /// As [`Self::open`]; and [`StoreError::WrongKey`] if the key is another, [`StoreError::NotEncrypted`]
    /// if the file is a plaintext store, [`StoreError::ShortKey`], [`StoreError::Crypto`] if the provider
    /// lacks HKDF-SHA256 or the file's AEAD, and [`StoreError::Damaged`] if groups were removed, added or
    /// set back.
    pub fn open_encrypted(
        path: impl AsRef<Path>,
        key: &Secret,
        provider: Arc<dyn CryptoProvider>,
    ) -> Result<Self, StoreError> {
        Self::open_with(path.as_ref(), Some((key, provider)))
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the values in the file are encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.sealer.is_some()
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        let _ = empty_log(&self.db);
    }
}

/// Errors inside this module: the database's, which mean different things at different times, and the
/// store's.
enum Fault {
    Sqlite(rusqlite::Error),
    Store(StoreError),
}

impl From<rusqlite::Error> for Fault {
    fn from(e: rusqlite::Error) -> Self {
        Self::Sqlite(e)
    }
}

impl From<StoreError> for Fault {
    fn from(e: StoreError) -> Self {
        Self::Store(e)
    }
}

impl From<Fault> for StoreError {
    /// The error of a store that is open.
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Store(e) => e,
            Fault::Sqlite(e) => match e.sqlite_error_code() {
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                    Self::Damaged(e.to_string())
                }
                None if is_of_content(&e) => Self::Damaged(e.to_string()),
                _ => Self::failed(e),
            },
        }
    }
}

/// Whether a column holds something else than this store writes there.
fn is_of_content(e: &rusqlite::Error) -> bool {
    use rusqlite::Error as E;
    matches!(
        e,
        E::InvalidColumnType(..) | E::IntegralValueOutOfRange(..) | E::FromSqlConversionFailure(..)
    )
}

/// Moves the log into the database and cuts it to nothing.
fn empty_log(db: &Connection) -> rusqlite::Result<()> {
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// A `u64` as SQLite's signed integer, in the same order.
fn ordered(n: u64) -> i64 {
    (n ^ 1 << 63).cast_signed()
}

fn unordered(n: i64) -> u64 {
    n.cast_unsigned() ^ 1 << 63
}

/// The number under which a group's rows are stored.
fn group_number(db: &Connection, group: &GroupId) -> rusqlite::Result<Option<i64>> {
    db.prepare_cached("SELECT id FROM mls_group WHERE group_id = ?")?
        .query_row([group.as_ref()], |r| r.get(0))
        .optional()
}

/// The sealed sum of a group's rows.
fn sealed_sum(db: &Connection, number: i64) -> rusqlite::Result<Option<Vec<u8>>> {
    db.prepare_cached("SELECT value FROM group_sum WHERE grp = ?")?
        .query_row([number], |r| r.get(0))
        .optional()
}

/// The sums from which all that an encrypted store holds can be told to be whole.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Sums {
    /// Of the sums of the groups.
    groups: Sum,
    /// Of the application's values.
    app: Sum,
}

impl Sums {
    fn read(db: &Connection, sealer: &Sealer) -> Result<Self, Fault> {
        let sealed: Vec<u8> =
            db.prepare_cached("SELECT sums FROM seal")?.query_row([], |r| r.get(0))?;
        let sums = sealer.open_value(Place::Sums, &sealed, &mut Sum::default())?;
        let (groups, app) = sums.expose().split_at_checked(Sum::LEN).unwrap_or_default();
        Ok(Self { groups: Sum::of(groups), app: Sum::of(app) })
    }

    fn write(self, db: &Connection, sealer: &Sealer) -> Result<(), Fault> {
        let sums = [self.groups.to_bytes(), self.app.to_bytes()].concat();
        let sealed = sealer.seal(Place::Sums, &sums, &mut Sum::default())?;
        db.prepare_cached("UPDATE seal SET sums = ?")?.execute([sealed])?;
        Ok(())
    }
}
