//! Messaging Layer Security (RFC 9420): end-to-end encryption for groups, from two to many
//! thousand members.
//!
//! This is the crate that applications depend on. It has no clock, no source of randomness, no
//! store and no network: they come in as arguments, and every step comes out as a [`Transition`]
//! that is written first and applied then ([`apply`]).
//!
//! * [`Group`]: a member's state of a group. [`Group::create`], [`WelcomeStage`] and
//!   [`ExternalJoinStage`] lead to one;
//! * [`OwnKeyPackage`] and [`ValidKeyPackage`]: how clients are invited;
//! * [`Observer`]: follows a group without its secrets, for delivery services;
//! * [`rows`]: what a store keeps: [`Group::load`] reads it, a [`Transition`]'s batch changes it;
//! * [`crypto`]: what a provider of cryptography implements; [`wire`]: the structures on the wire.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
#![doc = include_str!("two_members.rs")]
//! # Ok(())
//! # }
//! ```
#![no_std]
#![forbid(unsafe_code)]

pub use conclave_group::*;
pub use conclave_tree::{RatchetTree, TreeRead};
pub use conclave_wire::{
    Capabilities, CipherSuite, Credential, CredentialType, Extension, ExtensionType,
    ExternalSender, GroupId, KeyPackage, KeyPackageRef, LeafIndex, Lifetime, PreSharedKeyId,
    ProtocolVersion, PskType, ReInit, RequiredCapabilities, Sender, SignaturePublicKey,
};

/// What a provider of cryptography implements, secrets and keys.
pub mod crypto {
    pub use conclave_crypto::*;
}

/// The structures of RFC 9420 on the wire, untrusted, and their codec.
pub mod wire {
    pub use conclave_wire::*;
}

/// The user's guide, so that its code is compiled with the other examples.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide.md")]
pub struct Guide;
