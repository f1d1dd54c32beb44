//! What the kit asks for besides the store.

use conclave_store::{Store, StoreError, WriteSet};
use std::cell::RefCell;

/// A place where one store is kept: a file, a folder, a database.
///
/// Only [`Self::open`] has to be written. Each of the other methods adds checks.
pub trait Place: Sized {
    /// The store.
    type Store: Store + 'static;

    /// Opens the store of this place. It is empty at first, and later holds what was written.
    ///
    /// # Errors
    /// As the store's own way of opening.
    fn open(&self) -> Result<Self::Store, StoreError>;

    /// Whether the store refuses to be opened while it is open. Two clients that write the same group use
    /// the same keys for different messages.
    fn is_exclusive(&self) -> bool {
        true
    }

    /// Returns a place with what would be left of the store if the process died now. Default: none, and
    /// crashes are not checked.
    ///
    /// For a file this is a copy, made while the store is open; for a memory-mapped file or a database
    /// server, kill the process that has it.
    fn crash(&self, store: &Self::Store) -> Option<Self> {
        let _ = store;
        None
    }

    /// Writes a set while something fails: a disk that is full, a connection that is lost. Default: none,
    /// and failures are not checked.
    ///
    /// The kit calls it with 0, 1, 2 … as `way`, until it returns none for want of another way to fail.
    /// A write may also succeed in spite of the failure.
    fn failing_write(
        &self,
        store: &mut Self::Store,
        set: &WriteSet,
        way: usize,
    ) -> Option<Result<(), StoreError>> {
        let _ = (store, set, way);
        None
    }

    /// Returns all bytes that the store keeps: those of its files. Default: none, and it is not checked
    /// what they hold.
    fn bytes_at_rest(&self) -> Option<Vec<u8>> {
        None
    }

    /// Whether no value is readable in [`Self::bytes_at_rest`]. Default: false.
    fn is_encrypted(&self) -> bool {
        false
    }
}

/// A store that is opened once.
pub(crate) struct Unplaced<S>(RefCell<Option<S>>);

impl<S> Unplaced<S> {
    pub(crate) fn new(store: S) -> Self {
        Self(RefCell::new(Some(store)))
    }
}

impl<S: Store + 'static> Place for Unplaced<S> {
    type Store = S;

    fn open(&self) -> Result<S, StoreError> {
        self.0.take().ok_or_else(|| StoreError::failed("it can be opened once only"))
    }
}
