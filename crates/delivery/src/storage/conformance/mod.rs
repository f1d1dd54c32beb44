//! A conformance kit for whoever writes a [`Storage`] (feature `testing`).
//!
//! ```
//! use conclave_delivery::storage::conformance::{Place, check};
//! use conclave_delivery::storage::{SqliteStorage, StorageError};
//!
//! struct Folder(tempfile::TempDir);
//!
//! impl Place for Folder {
//!     type Storage = SqliteStorage;
//!
//!     fn open(&self) -> Result<SqliteStorage, StorageError> {
//!         SqliteStorage::open(self.0.path())
//!     }
//! }
//!
//! check(|| Folder(tempfile::tempdir().unwrap()));
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod accounts;
mod durability;
mod groups;
mod inbox;
mod key_packages;
mod log;

use super::{
    Append, Appended, CommitEffects, GroupAdded, KeyPackageRecord, NewGroup, Storage, StorageError,
};
use crate::api::{CipherSuite, ContentType, DeviceId, DeviceInfo, GroupId};

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

/// Checks a storage. `new` returns a place at each call in which there is no storage yet.
///
/// # Panics
/// If the storage breaks its contract.
pub fn check<P: Place>(new: impl Fn() -> P) {
    let checks: [fn(&dyn Fn() -> P); 6] = [
        accounts::check,
        key_packages::check,
        groups::check,
        log::check,
        inbox::check,
        durability::check,
    ];
    for check in checks {
        check(&new);
    }
}

/// The suite of all devices and key packages that need no other.
const SUITE: CipherSuite = CipherSuite(1);

/// A device name.
fn id(name: &str) -> DeviceId {
    name.parse().unwrap()
}

fn info(name: &str) -> DeviceInfo {
    DeviceInfo {
        device: id(name),
        cipher_suite: SUITE,
        signature_key: name.as_bytes().into(),
        registered_at: 7,
    }
}

/// Registers devices.
fn register<const N: usize>(storage: &impl Storage, names: [&str; N]) -> [DeviceId; N] {
    names.map(|name| storage.register(&info(name)).unwrap().device)
}

/// A group of one member.
fn new_group(n: u8, creator: &DeviceId) -> NewGroup {
    NewGroup {
        group_id: GroupId::from([n]),
        tracked: false,
        epoch: 0,
        request_hash: [n; 32],
        creator: creator.clone(),
        members: vec![creator.clone()],
        rows: None,
        now: 7,
    }
}

/// Creates a group of these members, the first being the creator.
fn create(storage: &impl Storage, n: u8, members: &[&DeviceId]) -> GroupId {
    let names = members.iter().copied().cloned().collect();
    let new = NewGroup { members: names, ..new_group(n, members[0]) };
    let group_id = new.group_id.clone();
    assert_eq!(storage.create_group(new, 100), Ok(GroupAdded::There));
    group_id
}

/// An application message, different for each number.
fn entry(group_id: &GroupId, sender: &DeviceId, n: u8) -> Append {
    Append {
        group_id: group_id.clone(),
        expected_handshake: None,
        epoch: 0,
        content_type: ContentType::Application,
        sender: sender.clone(),
        received_at: 100 + u64::from(n),
        hash: [n; 32],
        message: vec![n; 3].into(),
        commit: None,
        rows: None,
    }
}

/// A commit of an epoch with these effects.
fn commit(
    group_id: &GroupId,
    sender: &DeviceId,
    n: u8,
    epoch: u64,
    effects: CommitEffects,
) -> Append {
    Append {
        epoch,
        content_type: ContentType::Commit,
        commit: Some(effects),
        ..entry(group_id, sender, n)
    }
}

/// Appends an entry that has to win.
fn won(storage: &impl Storage, append: Append) -> u64 {
    match storage.append(append).unwrap() {
        Appended::Won(seq) => seq,
        other => panic!("the entry is not appended: {other:?}"),
    }
}

/// A key package, different for each number.
fn package(n: u8) -> KeyPackageRecord {
    KeyPackageRecord {
        reference: vec![n; 32].into(),
        init_key_hash: [n; 32],
        cipher_suite: SUITE,
        not_after: 1000,
        last_resort: false,
        message: vec![n; 5].into(),
    }
}
