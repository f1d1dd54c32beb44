//! Results of SQLite, and what callers of the storage see of them.

use crate::storage::StorageError;

pub(super) type Sql<T> = rusqlite::Result<T>;

pub(super) fn failed(e: rusqlite::Error) -> StorageError {
    StorageError::Failed(e.to_string())
}
