//! The rules of account logs.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;
mod link;
mod model;
mod names;
mod rules;
