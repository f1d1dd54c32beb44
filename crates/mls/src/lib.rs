//! Messaging Layer Security (RFC 9420): end-to-end encryption for groups, from two members to many thousands.
//!
//! # Where do I start?
//!
//! * [`conclave-device`] is what most applications want: it holds provider, clock, policy and identity in one
//!   place, for an application that brings its own delivery service. This crate is what it is made of.
//! * [`guide::getting_started`] goes from nothing to a running program with both: what to depend on, and then
//!   one task after the other.
//! * [The example below](#a-group-of-two) is a whole program on this crate: two members, one message.
//!
//! # What do I bring?
//!
//! This crate has no clock, no randomness, no files and no network. You bring:
//!
//! * a *provider of cryptography*: [`conclave-provider-aws-lc`] (fast, native), [`conclave-provider-rustcrypto`]
//!   (portable: browsers, microcontrollers), or [your own](crypto::CryptoProvider);
//! * the *time* and *randomness*, as arguments: [`UnixTime`], and a [`CryptoRng`](crypto::CryptoRng) such as the
//!   operating system's;
//! * a *store* of [two operations](storage): [`conclave-store`] has SQLite, encrypted or not, and memory;
//! * a *delivery service* that carries messages, puts a group's commits into one order and holds key packages;
//! * an *authentication service*: an answer to "is this [`credential`] who it says it is?" ([`conclave-x509`]
//!   answers for certificates);
//! * a [`Config`]: [limits](limits) and the [rules](policy) of your application. It has defaults.
//!
//! # What do I get?
//!
//! * All of RFC 9420 with its seven cipher suites, and [post-quantum suites](guide::post_quantum).
//! * [`Group`]: a member's state. [`Group::create`], a [Welcome](join::WelcomeStage) and an [external
//!   commit](join::ExternalJoinStage) lead to one; [`Group::load`] leads back to it after a restart.
//! * [`Transition`]: every operation computes one and changes nothing. [`apply`] hands it to your store and
//!   moves it in when it is written, so that memory, disk and wire cannot diverge in a crash.
//! * Stages, such as [`CommitStage`](group::CommitStage): what the application decides, above all about
//!   credentials, is asked between two calls, and there is no way around the answer.
//! * [`observe`]: a delivery service's view of a group, without its secrets.
//!
//! No independent audit has been made yet. What is promised and what is a draft is in [stability.md].
//!
//! [`conclave-device`]: https://docs.rs/conclave-device
//! [`conclave-provider-aws-lc`]: https://docs.rs/conclave-provider-aws-lc
//! [`conclave-provider-rustcrypto`]: https://docs.rs/conclave-provider-rustcrypto
//! [`conclave-store`]: https://docs.rs/conclave-store
//! [`conclave-x509`]: https://docs.rs/conclave-x509
//! [stability.md]: https://github.com/conclave-mls/conclave/blob/main/docs/stability.md
//!
//! # Modules
//!
//! | module | for |
//! |---|---|
//! | [`group`] | members: proposals, commits, messages |
//! | [`join`] | ways into a group: Welcomes, external commits, linked groups |
//! | [`key_package`] | how clients are invited |
//! | [`credential`] | the question at every stage: is this client who it says it is? |
//! | [`component`] | parts of the application that share a group |
//! | [`policy`] | rules of the application for proposals and commits |
//! | [`limits`] | bounds on everything that others can make grow |
//! | [`storage`] | transitions, rows, writes |
//! | [`observe`] | delivery services |
//! | [`error`] | errors by who is at fault, and what to do about them |
//! | [`crypto`], [`wire`] | what a provider implements; RFC 9420's structures |
//! | [`guide`] | the manual: tasks, attacks and their answers, the reasons for each default |
//!
//! # A group of two
//!
//! ```
#![doc = include_str!("../examples/two_members.rs")]
//! ```
#![no_std]
#![forbid(unsafe_code)]

pub mod guide;

pub use conclave_group::{
    Config, Error, Event, Group, Identity, Received, Transition, Verdict, apply,
};
pub use conclave_wire::{CipherSuite, Credential, Epoch, GroupId, UnixTime};

/// Members: what they send, propose and commit, and what comes of it.
pub mod group {
    pub use conclave_group::{
        Answers, ApplicationMessage, CachedProposal, CommitId, CommitMessages, CommitOptions,
        CommitStage, Committed, CustomChange, EpochAuthenticator, EpochChange, Framing,
        GroupParams, GroupView, KeySeed, LeafUpdate, Member, NewGroup, NewProposal, Padding,
        PendingProposal, ProposalMessage, ProposalStage, ProvidedPsks, Refused, ResumptionPsk,
        Status, TargetedApplicationMessage, WelcomeMessage,
    };
    #[doc(no_inline)]
    pub use conclave_group::{Config, Event, Group, Received};
    pub use conclave_tree::{RatchetTree, TreeRead};
    pub use conclave_wire::{
        CustomProposal, Extension, ExtensionType, GroupContext, LeafIndex, PreSharedKeyId,
        Proposal, ProposalRules, ProposalType, ProtocolVersion, PskType, ReInit,
        RequiredCapabilities, SelfRemove, Sender,
    };
}

/// Ways into a group: by a Welcome, from outside, and as the continuation of another group.
pub mod join {
    pub use conclave_group::{
        ExternalCommit, ExternalJoinOptions, ExternalJoinStage, ExternalTarget, GroupInfoOptions,
        JoinStage, Link, NewGroup, Unmatched, WelcomeStage, welcome_recipients,
    };
}

/// Key packages: how clients are invited.
pub mod key_package {
    pub use conclave_group::{
        KeyPackageParams, KeyPackageStage, OwnKeyPackage, ValidKeyPackage, key_package_from_message,
    };
    pub use conclave_wire::{KeyPackage, KeyPackageRef, Lifetime};
}

/// Credentials: who a client is, and the application's verdict on it.
pub mod credential {
    pub use conclave_group::{CredentialRequest, CredentialSubject, LeafParams, sign_binding};
    #[doc(no_inline)]
    pub use conclave_group::{Identity, Verdict};
    #[doc(no_inline)]
    pub use conclave_wire::Credential;
    pub use conclave_wire::{
        Capabilities, CredentialBinding, CredentialType, ExternalSender, MultiCredential,
        SignaturePublicKey,
    };

    use crate::crypto::{CryptoProvider, CryptoRng, SignatureKeyPair, Suite};
    use crate::{CipherSuite, Error};

    /// A new signature key pair for a client, of a cipher suite's signature scheme.
    ///
    /// ```
    /// # use conclave_mls::{CipherSuite, credential::signature_key_pair};
    /// # use conclave_provider_rustcrypto::RustCrypto;
    /// # let mut rng = getrandom::rand_core::UnwrapErr(getrandom::SysRng);
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
}

/// Components: parts of the application that share a group, each with keys, secrets and data of its own
/// (draft-ietf-mls-extensions-10). [`guide::components`] shows them.
pub mod component {
    pub use conclave_group::{
        AppDataChange, AppDataRequest, CommitDraft, Component, ComponentSecret, EphemeralData,
        PublicComponent,
    };
    pub use conclave_wire::{
        AppAck, AppDataDictionary, AppDataUpdate, AppDataUpdateOperation, ApplicationFraming,
        ComponentData, ComponentId, ComponentsList, HpkeCiphertext, MediaType, MediaTypeList,
        MessageRange, Parameter, SafeAad, SafeAadItem, WireFormat, WireFormats,
    };
    #[doc(no_inline)]
    pub use conclave_wire::{Decode, Encode};
}

/// The application's rules for proposals and commits.
pub mod policy {
    pub use conclave_group::{
        Action, Actor, AllOf, GroupView, Permission, Policy, Proposed, ProposedCommit, Rules,
    };
}

/// Bounds on everything that others can make grow.
pub mod limits {
    pub use conclave_group::{Limit, Limits, RatchetLimits};
}

/// Transitions and their writes: what a store keeps, and when a step takes effect.
pub mod storage {
    pub use conclave_group::rows::{self, Batch, RowKey, Table};
    pub use conclave_group::{
        ApplyError, Fold, FoldWriting, Outcome, State, Write, WriteError, Writing, begin,
    };
    #[doc(no_inline)]
    pub use conclave_group::{Transition, apply};
}

/// Observers: a group's public state, followed without its secrets. What a delivery service runs.
pub mod observe {
    pub use conclave_group::{
        GroupInfoMisfit, GroupView, ObservedStage, Observer, ObserverEvent, ObserverStage,
    };
}

/// Errors, grouped by who is at fault.
pub mod error {
    #[doc(no_inline)]
    pub use conclave_group::Error;
    pub use conclave_group::{
        ApplyError, FramingError, LeafRule, LinkFault, Misuse, Obstacle, RatchetError, Rejection,
        Remedy, TreeError,
    };
}

/// What a provider of cryptography implements; secrets and keys.
pub mod crypto {
    pub use conclave_crypto::*;
}

/// The structures of RFC 9420 on the wire, untrusted, and their codec.
pub mod wire {
    pub use conclave_wire::*;
}
