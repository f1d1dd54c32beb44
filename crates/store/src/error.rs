use conclave_mls::GroupId;
use conclave_mls::crypto::CryptoError;
use conclave_mls::storage::WriteError;
use core::error::Error;
use core::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Errors of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError {
    /// The file is open already, in another process or in this one.
    InUse(PathBuf),
    /// The file is being written to all the time, so no snapshot of it can be made at the moment.
    Busy(PathBuf),
    /// The file was written by a later version of the program.
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The latest format that this version knows.
        known: u32,
    },
    /// The file is not a store: it is not an SQLite database, or another program's.
    NotAStore(PathBuf),
    /// The file is encrypted, and was opened without a key.
    Encrypted(PathBuf),
    /// The file is not encrypted, and was opened with a key. Nothing was read from it.
    NotEncrypted(PathBuf),
    /// The key is not the one that encrypts the file, or the file's header was changed.
    WrongKey(PathBuf),
    /// The key has too few bytes.
    ShortKey {
        /// How many it has.
        len: usize,
    },
    /// The file could not be opened or created.
    Open {
        /// The file.
        path: PathBuf,
        /// The system's or the database's error.
        cause: Cause,
    },
    /// The store holds something that it cannot have written: what, and where.
    Damaged(String),
    /// The set holds a [new](conclave_mls::storage::Batch::new) group, and the store already has a group
    /// of this identifier. Nothing was written.
    GroupExists(GroupId),
    /// The crypto provider failed or lacks an algorithm. Nothing was written.
    Crypto(CryptoError),
    /// Reading or writing failed. Nothing was written.
    Failed(Cause),
    /// A write failed at its last step, and may have happened. Open the store again to know.
    Unknown(Cause),
}

impl StoreError {
    /// Reading or writing failed, and nothing was written.
    pub fn failed(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Failed(Cause::new(cause))
    }

    /// A write failed and may have happened.
    pub fn unknown(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unknown(Cause::new(cause))
    }
}

impl WriteError for StoreError {
    /// Returns whether the write may have happened although it failed. The store must be opened
    /// again to know.
    fn may_have_written(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse(path) => {
                write!(f, "{} is in use: it is open already, here or elsewhere", path.display())
            }
            Self::Busy(path) => {
                write!(f, "{} is being written to all the time: try again", path.display())
            }
            Self::NewerFormat { path, found, known } => write!(
                f,
                "{} was written by a later version (format {found}; this version knows up to \
                 {known})",
                path.display()
            ),
            Self::NotAStore(path) => write!(f, "{} is not a Conclave store", path.display()),
            Self::Encrypted(path) => {
                write!(f, "{} is encrypted: open it with its key", path.display())
            }
            Self::NotEncrypted(path) => {
                write!(f, "{} is not encrypted, but a key was given for it", path.display())
            }
            Self::WrongKey(path) => {
                write!(f, "the key does not open {}, or its header was changed", path.display())
            }
            Self::ShortKey { len } => {
                write!(f, "a key of {len} bytes is too short: a store takes 32 random bytes")
            }
            Self::Open { path, cause } => {
                write!(f, "{} cannot be opened: {cause}", path.display())
            }
            Self::Damaged(what) => write!(f, "the store is damaged: {what}"),
            Self::GroupExists(group) => {
                write!(f, "the store already holds a group with the identifier {group:?}")
            }
            Self::Crypto(e) => write!(f, "the store cannot encrypt or decrypt: {e}"),
            Self::Failed(cause) => write!(f, "the store failed: {cause}"),
            Self::Unknown(cause) => {
                write!(f, "the store failed at the end of a write that may have happened: {cause}")
            }
        }
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Open { cause, .. } | Self::Failed(cause) | Self::Unknown(cause) => {
                Some(cause.get())
            }
            Self::Crypto(e) => Some(e),
            _ => None,
        }
    }
}

/// The error of the system or the database underneath, or a text.
///
/// Two are equal if they say the same.
#[derive(Clone, Debug)]
pub struct Cause(Arc<dyn Error + Send + Sync>);

impl Cause {
    /// Keeps an error, or a text.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Arc::from(error.into()))
    }

    /// The error.
    #[must_use]
    pub fn get(&self) -> &(dyn Error + 'static) {
        &*self.0
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PartialEq for Cause {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for Cause {}
