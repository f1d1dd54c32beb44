use conclave_mls::{GroupId, WriteError};
use core::fmt;
use std::path::PathBuf;

/// Why a store could not be opened, read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has the file open, or this one has it open twice.
    InUse(PathBuf),
    /// The file was written by a later version of the program.
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// The format that it has.
        found: u32,
        /// The latest format that this version knows.
        known: u32,
    },
    /// The file is not a store: no SQLite database, or somebody else's.
    NotAStore(PathBuf),
    /// The file could not be opened or created.
    Open {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The file is a store, and what it holds makes no sense.
    Damaged(String),
    /// A set holds a [new](conclave_mls::rows::Batch::new) group, and the store has one under this
    /// identifier already. Nothing was written.
    GroupExists(GroupId),
    /// Reading or writing failed; nothing was written.
    Failed(String),
    /// The last step of a write failed, and whether it is on disk is known only when the store
    /// is opened again.
    Unknown(String),
}

impl WriteError for StoreError {
    /// Whether a write that gave this error may have happened all the same. The store must be
    /// opened again to know.
    fn may_have_written(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse(path) => {
                write!(f, "{} is in use by another process", path.display())
            }
            Self::NewerFormat { path, found, known } => write!(
                f,
                "{} was written by a later version (format {found}; this version knows up to \
                 {known})",
                path.display()
            ),
            Self::NotAStore(path) => write!(f, "{} is not a Conclave store", path.display()),
            Self::Open { path, reason } => {
                write!(f, "{} cannot be opened: {reason}", path.display())
            }
            Self::Damaged(what) => write!(f, "the store is damaged: {what}"),
            Self::GroupExists(group) => {
                write!(f, "the store holds a group under the identifier {group:?} already")
            }
            Self::Failed(reason) => write!(f, "the store failed: {reason}"),
            Self::Unknown(reason) => {
                write!(
                    f,
                    "the store failed at the end of a write, which may have happened: {reason}"
                )
            }
        }
    }
}

impl core::error::Error for StoreError {}
