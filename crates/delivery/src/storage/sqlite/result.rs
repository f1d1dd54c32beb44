//! Results of SQLite, and what callers of the storage see of them.

use crate::storage::StorageError;
use rusqlite::ErrorCode;

pub(super) type Sql<T> = rusqlite::Result<T>;

pub(super) fn failed(e: rusqlite::Error) -> StorageError {
    match e.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StorageError::Damaged(e.to_string())
        }
        _ => StorageError::Failed(e.to_string()),
    }
}
