#![doc = include_str!("../README.md")]
#![cfg_attr(not(any(feature = "server", test)), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod auditor;
mod entry;
mod error;
mod evidence;
mod extension;
mod finding;
#[cfg(any(test, feature = "testing"))]
pub mod fuzz;
mod history;
mod label;
mod lookup;
mod name;
mod path;
mod root;
mod roots;
#[cfg(feature = "server")]
pub mod server;
mod statement;
#[cfg(all(test, feature = "server"))]
mod tests;
mod tree;

pub use auditor::{AuditError, Audited, Auditor};
pub use entry::{Agreement, Entry, Head, Lookup, MAX_NAME};
pub use error::{ProofError, RootError};
pub use evidence::{Evidence, EvidenceError, MAX_EVIDENCE};
pub use extension::{MAX_EXTENSION, verify_append_only};
pub use finding::Finding;
pub use history::{Depth, MAX_HISTORY, verify_history};
pub use lookup::{MAX_LOOKUP, verify_lookup};
pub use root::{Root, ServiceKey, SignedRoot, Signer};
pub use roots::{Roots, Seen, Source};
pub use statement::{Claim, Statement};
