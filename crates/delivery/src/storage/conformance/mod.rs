//! A conformance kit for whoever writes a [`Storage`](super::Storage) (feature `testing`).
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
mod certificates;
mod directory;
mod durability;
mod groups;
mod inbox;
mod key_packages;
mod log;
mod place;
mod removals;
mod samples;
mod state_marks;
mod uploads;

pub use place::Place;

/// Checks a storage. `new` returns a place at each call in which there is no storage yet.
///
/// # Panics
/// If the storage breaks its contract.
pub fn check<P: Place>(new: impl Fn() -> P) {
    let checks: [fn(&dyn Fn() -> P); 11] = [
        accounts::check,
        certificates::check,
        directory::check,
        key_packages::check,
        groups::check,
        log::check,
        state_marks::check,
        inbox::check,
        uploads::check,
        removals::check,
        durability::check,
    ];
    for check in checks {
        check(&new);
    }
}
