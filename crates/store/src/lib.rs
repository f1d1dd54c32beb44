//! Where a client keeps its groups and everything that must move with them.
//!
//! A [`Store`] knows nothing of MLS. It loads the rows of a group, and writes a [`WriteSet`]: any
//! number of groups' [`Batch`]es together with key-value pairs of the application (a cursor, a
//! history, an outbox), all of it durable and atomic, or none of it. So a messenger cannot have
//! read a message whose key it still holds, nor have lost one whose key is gone.
//!
//! * [`MemoryStore`]: for tests, and the model that the others are compared with;
//! * [`SqliteStore`]: one file that survives the death of the process at any moment.
//!
//! Values are [`Secret`]s on both sides of the trait: wiped when dropped, never printed.
#![forbid(unsafe_code)]

mod error;
mod memory;
mod sqlite;
#[cfg(test)]
mod tests;
mod write_set;

pub use conclave_mls::crypto::Secret;
pub use conclave_mls::rows::{Batch, RowKey, Table};
pub use conclave_mls::{GroupId, WriteError};
pub use error::StoreError;
pub use memory::MemoryStore;
pub use sqlite::SqliteStore;
pub use write_set::{AppWrite, WriteSet};

/// A client's storage.
///
/// One process has a store open at a time, and one thread writes.
pub trait Store: Send {
    /// All rows of a group, ascending by key; none if the store does not have the group.
    ///
    /// # Errors
    /// If the store cannot be read, or holds a row whose key makes no sense.
    fn load(&self, group: &GroupId) -> Result<Vec<(RowKey, Secret)>, StoreError>;

    /// Writes all of a set as one atomic, durable step: when this returns, the set is on disk.
    ///
    /// # Errors
    /// If the set cannot be written. Then nothing of it was, unless the error
    /// [may have written](WriteError::may_have_written). A [new](Batch::new) group that the store
    /// has already is [`StoreError::GroupExists`].
    fn write(&mut self, set: &WriteSet) -> Result<(), StoreError>;

    /// The groups that have rows, ascending.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn groups(&self) -> Result<Vec<GroupId>, StoreError>;

    /// The application's value of a key.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn get(&self, namespace: &str, key: &[u8]) -> Result<Option<Secret>, StoreError>;

    /// The application's keys of a namespace from `from` on (that key included, an empty one
    /// being before all others), ascending as bytes, with their values: `limit` of them at most.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn scan(
        &self,
        namespace: &str,
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Secret)>, StoreError>;
}

impl<S: Store + ?Sized> Store for Box<S> {
    fn load(&self, group: &GroupId) -> Result<Vec<(RowKey, Secret)>, StoreError> {
        (**self).load(group)
    }
    fn write(&mut self, set: &WriteSet) -> Result<(), StoreError> {
        (**self).write(set)
    }
    fn groups(&self) -> Result<Vec<GroupId>, StoreError> {
        (**self).groups()
    }
    fn get(&self, namespace: &str, key: &[u8]) -> Result<Option<Secret>, StoreError> {
        (**self).get(namespace, key)
    }
    fn scan(
        &self,
        namespace: &str,
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Secret)>, StoreError> {
        (**self).scan(namespace, from, limit)
    }
}
