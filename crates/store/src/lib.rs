//! Where a client keeps its groups and everything that must move with them.
//!
//! A [`Store`] knows nothing of MLS. It loads the rows of a group, and writes a [`WriteSet`]: the
//! [`Batch`]es of any number of groups together with key-value pairs of the application (a cursor, a
//! history, an outbox). All of a set is written, durably, or none of it. So no crash leaves a messenger
//! with a text that it has shown and whose key it still holds, or without a text whose key is gone.
//!
//! * [`MemoryStore`]: for tests, and the model that other stores are compared with;
//! * [`SqliteStore`]: one file that survives the death of the process at any moment, in
//!   [plaintext](SqliteStore::open) or [encrypted](SqliteStore::open_encrypted) (feature `sqlite`). On Unix, other
//!   processes read [snapshots](SqliteStore::snapshot) of it;
//! * [`KeyFile`]: the key of an encrypted store under a passphrase (feature `passphrase`).
//!
//! [`apply`], [`apply_fold`] and [`apply_new`] write a group's steps, or a new group, together with what the
//! application keeps beside them.
//!
//! A store of your own implements [`Store`] and runs the checks of `conclave-store-test`.
//!
//! Values are [`Secret`]s on both sides of the trait: wiped when dropped, never printed.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(all(feature = "sqlite", feature = "passphrase")),
    allow(rustdoc::broken_intra_doc_links)
)]

#[cfg(any(feature = "sqlite", feature = "passphrase"))]
mod aead;
mod apply;
mod error;
#[cfg(feature = "passphrase")]
mod key_file;
mod memory;
#[cfg(feature = "sqlite")]
mod sqlite;
mod write_set;

pub use apply::{apply, apply_fold, apply_new};
pub use conclave_mls::GroupId;
pub use conclave_mls::crypto::Secret;
pub use conclave_mls::storage::{Batch, RowKey, Table, WriteError};
pub use error::{Cause, StoreError};
#[cfg(feature = "passphrase")]
pub use key_file::{KeyFile, KeyFileError};
pub use memory::MemoryStore;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;
pub use write_set::{AppWrite, WriteSet};

/// A client's storage.
///
/// One process has a store open at a time, and one thread writes.
///
/// Three things are asked of an implementation. *Atomic*: all of a set is written, or nothing.
/// *Durable*: when [`Self::write`] returns, the set survives a power cut. *Forgetting*: a value that was
/// deleted or replaced is gone; a store that keeps old versions keeps keys that forward secrecy has
/// promised to delete. Encrypt the values: they are private keys.
pub trait Store: Send {
    /// Returns all rows of a group, ascending by key; none if the store does not have the group.
    ///
    /// # Errors
    /// If the store cannot be read; [`StoreError::Damaged`] if it holds what it cannot have written.
    fn load(&self, group: &GroupId) -> Result<Vec<(RowKey, Secret)>, StoreError>;

    /// Writes all of a set as one atomic, durable step: when this returns, the set is on disk.
    ///
    /// Batches are written in order, and so are the application's keys. A [new](Batch::new) group must not
    /// be there yet; [`WriteSet::check_new_groups`] checks it.
    ///
    /// # Errors
    /// If the set cannot be written. Then nothing of it was, unless the error
    /// [may have written](WriteError::may_have_written). [`StoreError::GroupExists`] if a new group is
    /// stored already.
    fn write(&mut self, set: &WriteSet) -> Result<(), StoreError>;

    /// Returns the groups that have rows, ascending.
    ///
    /// # Errors
    /// As [`Self::load`].
    fn groups(&self) -> Result<Vec<GroupId>, StoreError>;

    /// Returns the application's value of a key.
    ///
    /// # Errors
    /// As [`Self::load`].
    fn get(&self, namespace: &str, key: &[u8]) -> Result<Option<Secret>, StoreError>;

    /// Returns the application's keys of a namespace with their values, ascending as bytes, from `from`
    /// on (inclusive; the empty key is before all others), `limit` of them at most.
    ///
    /// # Errors
    /// As [`Self::load`].
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
