//! Where storages are kept.

use crate::storage::{Storage, StorageError};

/// A place where one storage is kept: a folder, a database.
pub trait Place: Sized + Sync {
    /// The storage.
    type Storage: Storage;

    /// Opens the storage of this place. It is empty at first, and later holds what was written.
    ///
    /// # Errors
    /// As the storage's own way of opening.
    fn open(&self) -> Result<Self::Storage, StorageError>;

    /// Whether the storage refuses to be opened while it is open.
    fn is_exclusive(&self) -> bool {
        true
    }

    /// Returns a place with what would be left of the storage if the process died now. Default: none, and
    /// crashes are not checked.
    fn crash(&self, storage: &Self::Storage) -> Option<Self> {
        let _ = storage;
        None
    }
}
