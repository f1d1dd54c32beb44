//! Conclave behind the working group's interop interface, and a driver that runs clients of that interface
//! through scenarios.
//!
//! * [`service`]: the gRPC service `MLSClient` over `conclave-mls`;
//! * [`drive`]: scripts in the format of the working group's configurations, run between any such
//!   services in all suites and modes, with a recorder of `passive-client` vectors.
#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

pub mod drive;
pub mod service;

/// The interface of `proto/mls_client.proto`.
#[allow(missing_docs, unused_qualifications, clippy::all, clippy::indexing_slicing)]
pub mod proto {
    tonic::include_proto!("mls_client");
}

/// The largest message of a call, in bytes: a group of thousands has a large tree.
pub const MESSAGE_BYTES: usize = 256 << 20;
