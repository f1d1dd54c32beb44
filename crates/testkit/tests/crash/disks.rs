//! The members' stores. A member whose process dies comes back with what its store holds.

use conclave_store::{MemoryStore, SqliteStore, Store, WriteSet};
use conclave_testkit::party::Rows;
use conclave_wire::GroupId;
use std::cell::RefCell;
use std::io::Write;
use std::path::Path;
use std::rc::Rc;

/// A member's store.
pub(crate) trait Disk {
    /// The store as it is.
    fn store(&self) -> &dyn Store;
    /// Writes a set atomically and durably.
    fn commit(&mut self, set: &WriteSet);
    /// Lets the process die, and opens the store again.
    fn crash(&mut self) {}
}

/// All rows of the tests' group.
pub(crate) fn rows_of(store: &dyn Store) -> Rows {
    store.load(&group_id()).expect("loaded").into_iter().collect()
}

/// The tests' group.
pub(crate) fn group_id() -> GroupId {
    b"a group".as_slice().into()
}

/// Everything that a store holds, in the same form for all kinds of stores.
pub(crate) fn contents(store: &dyn Store) -> (Rows, Vec<(Vec<u8>, conclave_store::Secret)>) {
    let app = ["outbox", "history", "numbers"]
        .into_iter()
        .flat_map(|namespace| store.scan(namespace, &[], usize::MAX).expect("scanned"));
    (rows_of(store), app.collect())
}

impl Disk for MemoryStore {
    fn store(&self) -> &dyn Store {
        self
    }
    fn commit(&mut self, set: &WriteSet) {
        Store::write(self, set).expect("memory");
    }
}

/// A store in memory that keeps a copy of itself after each write.
#[derive(Default)]
pub(crate) struct Recording {
    now: MemoryStore,
    pub(crate) all: Rc<RefCell<Vec<MemoryStore>>>,
}

impl Disk for Recording {
    fn store(&self) -> &dyn Store {
        &self.now
    }
    fn commit(&mut self, set: &WriteSet) {
        Disk::commit(&mut self.now, set);
        self.all.borrow_mut().push(self.now.clone());
    }
}

/// A SQLite file that reports each write on standard output.
pub(crate) struct Reporting(SqliteStore);

impl Reporting {
    pub(crate) fn open(path: &Path) -> Self {
        Self(SqliteStore::open(path).expect("a store"))
    }
}

impl Disk for Reporting {
    fn store(&self) -> &dyn Store {
        &self.0
    }
    fn commit(&mut self, set: &WriteSet) {
        self.0.write(set).expect("written");
        let mut out = std::io::stdout().lock();
        out.write_all(b"written\n").and_then(|()| out.flush()).expect("a reader");
    }
}

/// A SQLite file. A crash copies the database and its log as they are, without closing them, and goes
/// on with the copy.
pub(crate) struct File {
    dir: tempfile::TempDir,
    store: SqliteStore,
    images: u32,
}

impl File {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open(dir.path().join("0.db")).expect("a store");
        Self { dir, store, images: 0 }
    }
}

impl Disk for File {
    fn store(&self) -> &dyn Store {
        &self.store
    }
    fn commit(&mut self, set: &WriteSet) {
        self.store.write(set).expect("written");
    }
    fn crash(&mut self) {
        let path = |image: u32, suffix: &str| self.dir.path().join(format!("{image}.db{suffix}"));
        for suffix in ["", "-wal"] {
            std::fs::copy(path(self.images, suffix), path(self.images + 1, suffix))
                .expect("an image");
        }
        self.images += 1;
        self.store = SqliteStore::open(path(self.images, "")).expect("an image opens");
    }
}
