//! The directory's records in a storage.

use super::{Storage, StorageError};
use conclave_directory::server::{Batch, Put, Records, RecordsError};
use std::sync::Arc;

/// A storage as the directory sees it.
#[derive(Debug)]
pub struct DirectoryRecords<S>(pub Arc<S>);

fn records_error(e: StorageError) -> RecordsError {
    match e {
        StorageError::Unknown(reason) => RecordsError::Unknown(reason),
        other => RecordsError::Failed(other.to_string()),
    }
}

impl<S: Storage> Records for DirectoryRecords<S> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, RecordsError> {
        let rows = self.get_many(&[key.to_vec()])?;
        Ok(rows.into_iter().next().flatten())
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, RecordsError> {
        self.0.directory_rows(keys).map_err(records_error)
    }

    fn put(&self, batch: Batch) -> Result<Put, RecordsError> {
        self.0.put_directory(batch).map_err(records_error)
    }
}
