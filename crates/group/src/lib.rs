//! Groups of MLS (RFC 9420 sections 10 to 12, 14 and 15): creating and joining, proposals and
//! commits, messages, observers.
//!
//! Every operation takes `&self` and yields a [`Transition`], which [`apply`] writes and then moves
//! in. What the application has to decide, above all whether it accepts a credential, is asked at a
//! stage in between: a [`CommitStage`], for example, yields its transition only for an answer.
//!
//! * [`Group`]: a member's state; [`Observer`]: a delivery service's;
//! * [`WelcomeStage`], [`ExternalJoinStage`]: ways into a group;
//! * [`Identity`], [`OwnKeyPackage`], [`ValidKeyPackage`]: a client, its key packages, and those of
//!   others;
//! * [`Policy`], [`Rules`]: the application's rules;
//! * [`rows`]: what a store keeps;
//! * [`Error`]: what can go wrong, grouped by who is at fault.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

/// Hidden lines that begin an example: a provider, randomness, a time, a store, and ways to make
/// clients.
macro_rules! client {
    () => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc/client.md"))
    };
}

/// Hidden lines that begin an example with a group of Alice and Bob, `carol` to be added. They
/// follow `client!`.
macro_rules! two_members {
    () => {
        concat!(
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc/client.md")),
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc/two_members.md")),
        )
    };
}

/// Hidden lines that begin an example with a group of Alice and Bob, who support the proposals and
/// components of draft-ietf-mls-extensions-10, the component `TOPIC` among them.
macro_rules! two_components {
    () => {
        concat!(
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc/client.md")),
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc/components.md")),
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc/two_members.md")),
        )
    };
}

/// Hidden lines that begin an example with a group of Alice and Bob whose leaves invite targeted
/// messages. They follow `client!`.
macro_rules! two_targeted {
    () => {
        concat!(
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc/client.md")),
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc/invites_targeted.md")),
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc/two_members.md")),
        )
    };
}

// From the lowest floor to the highest: a file imports only from files above its own in this list.
mod error;
mod limits;

mod app_data;
mod credentials;
mod event;
mod store;
mod transition;

mod view;

// Where messages are judged, a match over a protocol's enum names every variant: whoever adds one
// is led to each place that has to treat it.
#[deny(clippy::wildcard_enum_match_arm)]
mod validate;

#[deny(clippy::wildcard_enum_match_arm)]
mod policy;

mod config;
mod seed;

mod key_package;
mod leaf_components;

mod external_target;
mod state;

mod component;

mod rewind;
mod send;
mod targeted;

#[deny(clippy::wildcard_enum_match_arm)]
mod commit;

mod join;
#[deny(clippy::wildcard_enum_match_arm)]
mod process;

mod group_info;
mod identity;
mod observer;

pub use store::rows;

pub use app_data::{AppDataChange, AppDataRequest, EphemeralData};
pub use commit::advance::ProvidedPsks;
pub use commit::options::CommitOptions;
pub use commit::own::CommitDraft;
pub use commit::welcome::GroupInfoOptions;
pub use component::{Component, PublicComponent};
pub use conclave_framing::{FramingError, Padding};
pub use conclave_schedule::{EpochAuthenticator, RatchetError, RatchetLimits, ResumptionPsk};
pub use conclave_tree::{LeafRule, TreeError};
pub use config::Config;
pub use credentials::{CredentialRequest, Verdict, sign_binding};
pub use error::limit::Limit;
pub use error::reasons::{CredentialSubject, LinkFault, Obstacle};
pub use error::remedy::Remedy;
pub use error::{Error, Misuse, Rejection};
pub use event::{
    ApplicationMessage, CachedProposal, CommitId, CommitMessages, Committed, ComponentSecret,
    CustomChange, EpochChange, Event, Member, ProposalMessage, TargetedApplicationMessage,
    WelcomeMessage,
};
pub use external_target::ExternalTarget;
pub use group_info::GroupInfoMisfit;
pub use identity::Identity;
pub use join::by_welcome::{JoinStage, WelcomeStage, welcome_recipients};
pub use join::create::{GroupParams, NewGroup};
pub use join::external::{ExternalCommit, ExternalJoinOptions, ExternalJoinStage};
pub use key_package::{
    KeyPackageParams, KeyPackageStage, LeafParams, OwnKeyPackage, ValidKeyPackage,
    key_package_from_message,
};
pub use limits::Limits;
pub use observer::{ObservedStage, Observer, ObserverEvent, ObserverStage};
pub use policy::all_of::AllOf;
pub use policy::permissions::{Action, Actor, Permission};
pub use policy::ready_made::Rules;
pub use policy::{Policy, Proposed, ProposedCommit};
pub use process::{Answers, CommitStage, ProposalStage, Received, Refused};
pub use seed::KeySeed;
pub use send::{Framing, LeafUpdate, NewProposal};
pub use state::group::{Group, Status};
pub use state::link::{Link, Unmatched};
pub use transition::{
    ApplyError, Fold, FoldWriting, Outcome, State, Transition, Write, WriteError, Writing, apply,
    begin,
};
pub use view::GroupView;
pub use view::proposals::PendingProposal;

#[cfg(test)]
mod tests;
