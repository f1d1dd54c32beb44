//! A client's side of MLS groups (RFC 9420), for applications that bring their own delivery service.
//!
//! A [`Device`] holds what every operation needs: the provider of cryptography, the clock, the settings. A
//! [`Room`] is one group of it. Every operation computes a [`Step`], which changes nothing until it is written to
//! your store; what may leave (a ciphertext, a commit, a text that was received) is given out by that write and
//! not before. So a crash at any moment loses nothing and reuses no key.
//!
//! | task | call |
//! |---|---|
//! | have an identity | [`Device::identity`] |
//! | be invited | [`Device::key_packages`], [`Device::join`] |
//! | create, load | [`Device::create`], [`Device::load`] |
//! | add, remove, rotate | [`Room::change`], then [`Room::accepted`] or [`Room::rejected`] |
//! | send, receive | [`Room::encrypt`], [`Room::receive`] |
//! | come back without state | [`Device::rejoin`] |
//!
//! The crate performs no I/O but through a [`Store`]: [`Step::write`] for one that blocks, [`Step::write_with`]
//! for a database that is awaited, in one transaction with whatever the application puts beside it.
//!
//! ```
#![doc = include_str!("../examples/two_devices.rs")]
//! ```
#![forbid(unsafe_code)]

mod error;
mod settings;
mod step;

mod change;
mod receive;

mod room;

mod device;
mod rejoin;

pub use change::Changes;
pub use conclave_store::{MemoryStore, Store, WriteSet};
pub use device::{Device, IDENTITIES, JoinOptions, Joining, KEY_PACKAGES, REJOINS};
pub use error::Error;
pub use receive::{Asking, Received, Refusal};
pub use rejoin::{PendingRejoin, Rejoining};
pub use room::Room;
pub use settings::{Components, Settings};
pub use step::{Prepared, Step};
