//! Messaging Layer Security (RFC 9420): end-to-end encryption for groups, from two to many
//! thousand members.
//!
//! This is the crate that applications depend on. It has no clock, no source of randomness, no
//! store and no network: they come in as arguments, and every step comes out as a [`Transition`]
//! that is written first and applied then ([`apply`]).
//!
//! * [`Group`]: a member's state of a group. [`Group::create`], [`WelcomeStage`] and
//!   [`ExternalJoinStage`] lead to one, [`Group::load`] back to it after a restart;
//! * [`OwnKeyPackage`] and [`ValidKeyPackage`]: how clients are invited;
//! * [`Config`]: what the application decides for a group: [`Limits`] on what others can make grow,
//!   a [`Policy`] for proposals and commits ([`Rules`] are a ready-made one), the types of proposal
//!   of its own;
//! * [`CredentialRequest`] and [`Verdict`]: whose a key is, asked at every stage that brings one in;
//! * [`Observer`]: follows a group without its secrets, for delivery services;
//! * [`rows`]: what a store keeps: [`Group::load`] reads it, a [`Transition`]'s batch changes it;
//! * [`Error`]: what can go wrong, by whose fault it is;
//! * [`crypto`]: what a provider of cryptography implements; [`wire`]: the structures on the wire.
//!
//! The [`guide`] goes through all tasks of an application, from nothing to a running program;
//! `examples/tour` runs them. X.509 credentials are in `conclave-x509`, a store over SQLite in
//! `conclave-store`.
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
    Bytes, Capabilities, CipherSuite, Credential, CredentialType, CustomProposal, Epoch, Extension,
    ExtensionType, ExternalSender, GroupContext, GroupId, KeyPackage, KeyPackageRef, LeafIndex,
    Lifetime, PreSharedKeyId, Proposal, ProposalType, ProtocolVersion, PskType, ReInit,
    RequiredCapabilities, Sender, SignaturePublicKey,
};

use crypto::{CryptoProvider, CryptoRng, SignatureKeyPair, Suite};

/// A new signature key pair for a client, of a cipher suite's signature scheme.
///
/// ```
/// # use conclave_mls::{CipherSuite, signature_key_pair};
/// # use conclave_mls::crypto::CryptoProvider;
/// # use conclave_provider_rustcrypto::RustCrypto;
/// # let mut rng = conclave_testkit::SeededRng::new([1; 32]);
/// # let provider = RustCrypto::new();
/// let signer = signature_key_pair(&provider, &mut rng, CipherSuite(1))?;
/// assert_eq!(signer.public.len(), 32); // Ed25519
/// assert!(signature_key_pair(&provider, &mut rng, CipherSuite(0x7a7a)).is_err());
/// # Ok::<_, conclave_mls::Error>(())
/// ```
///
/// # Errors
/// If the provider does not support the suite, or fails.
pub fn signature_key_pair(
    provider: &dyn CryptoProvider,
    rng: &mut dyn CryptoRng,
    cipher_suite: CipherSuite,
) -> Result<SignatureKeyPair, Error> {
    Ok(Suite::new(provider, cipher_suite)?.signature_key_pair(rng)?)
}

/// What a provider of cryptography implements, secrets and keys.
pub mod crypto {
    pub use conclave_crypto::*;
}

/// The structures of RFC 9420 on the wire, untrusted, and their codec.
pub mod wire {
    pub use conclave_wire::*;
}

pub mod guide;
