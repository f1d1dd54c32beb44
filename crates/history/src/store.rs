//! What a history asks of a store.

use conclave_store::{Secret, Store, StoreError, WriteSet};

/// Rows in tables, which are ordered by key: a [`Store`], or the application's part of one that something else owns.
///
/// A history writes only keys of the application's ([`WriteSet::app`]), in tables whose names begin with `h.`.
pub trait Rows {
    /// Returns the row of a key.
    ///
    /// # Errors
    /// If it cannot be read.
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Secret>, StoreError>;

    /// Returns the rows of a table, ascending by key as bytes, from `from` on (inclusive), `limit` of them at most.
    ///
    /// # Errors
    /// If they cannot be read.
    fn scan(
        &self,
        table: &str,
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Secret)>, StoreError>;
}

/// Rows that can be written, too.
pub trait RowsMut: Rows {
    /// Writes a set in one atomic step.
    ///
    /// # Errors
    /// If it cannot be written.
    fn write(&mut self, set: &WriteSet) -> Result<(), StoreError>;
}

impl<S: Store> Rows for S {
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Secret>, StoreError> {
        Store::get(self, table, key)
    }

    fn scan(
        &self,
        table: &str,
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Secret)>, StoreError> {
        Store::scan(self, table, from, limit)
    }
}

impl<S: Store> RowsMut for S {
    fn write(&mut self, set: &WriteSet) -> Result<(), StoreError> {
        Store::write(self, set)
    }
}
