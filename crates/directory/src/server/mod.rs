//! The directory itself: what a service runs.
//!
//! [`Directory`] keeps the tree in [`Records`], which an engine implements with three operations: get, get
//! many, and one atomic put. [`MemoryRecords`] is one.

mod directory;
mod error;
mod extensions;
mod labels;
mod memory;
mod names;
mod records;
mod rows;
mod snapshot;
mod walk;

pub use directory::{Directory, Page};
pub use error::DirectoryError;
pub use memory::MemoryRecords;
pub use names::NameKey;
#[cfg(any(test, feature = "testing"))]
pub use records::conformance;
pub use records::{Batch, Put, Records, RecordsError};
