//! Results of SQLite, and what callers of the storage see of them.

use crate::storage::StorageError;
use rusqlite::ErrorCode;
use rusqlite::ffi::{SQLITE_IOERR_SHMOPEN, SQLITE_IOERR_SHMSIZE};

pub(super) type Sql<T> = rusqlite::Result<T>;

pub(super) fn failed(e: rusqlite::Error) -> StorageError {
    match e.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StorageError::Damaged(e.to_string())
        }
        _ => StorageError::Failed(reason(&e)),
    }
}

/// Why something failed, and what to look at if that is known.
pub(super) fn reason(e: &rusqlite::Error) -> String {
    match (e.sqlite_error_code(), e.sqlite_error().map(|error| error.extended_code)) {
        (Some(ErrorCode::DiskFull), _) => "the disk is full: free room where the state is".into(),
        (_, Some(SQLITE_IOERR_SHMOPEN | SQLITE_IOERR_SHMSIZE)) => {
            "delivery.db-shm cannot be made: free room where the state is, if the disk is full"
                .into()
        }
        (Some(ErrorCode::SystemIoFailure), _) => format!("{e}: the system's log may say why"),
        _ => e.to_string(),
    }
}
