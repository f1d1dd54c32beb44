//! Groups of MLS (RFC 9420 sections 10 to 12, 14 and 15): creating and joining, proposals and
//! commits, messages, observers.
//!
//! Every step is computed from `&self` and yields a [`Transition`], which [`apply`] writes and
//! then moves in; see there. What the application has to decide, above all whether it accepts a
//! credential, stands as a stage between: a [`CommitStage`], say, yields its transition only for
//! an answer.
//!
//! * [`Group`]: a member's state; [`Observer`]: a delivery service's;
//! * [`WelcomeStage`], [`ExternalJoinStage`]: the ways in;
//! * [`ValidKeyPackage`], [`OwnKeyPackage`]: others' and own key packages;
//! * [`rows`]: what a store keeps;
//! * [`Error`]: what can go wrong, by whose fault it is.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod rows;

mod error;

mod config;
mod covering;
mod credentials;
mod event;
mod limits;
mod permissions;
mod policy;
mod row_codec;
mod rules;
mod transition;

mod key_package;
mod proposals;

mod cache;
mod pending;
mod public;
mod state;
mod stored;

mod advance;
mod create;
mod link;
mod send;
mod welcome;

mod commit;
mod join;
mod process;

mod external;
mod observer;
mod pending_join;

pub use advance::ProvidedPsks;
pub use cache::PendingProposal;
pub use commit::CommitOptions;
pub use conclave_framing::{FramingError, Padding};
pub use conclave_schedule::{EpochAuthenticator, RatchetError, RatchetLimits, ResumptionPsk};
pub use conclave_tree::{LeafRule, TreeError};
pub use config::Config;
pub use create::{GroupParams, NewGroup};
pub use credentials::{CredentialRequest, Verdict};
pub use error::{CredentialSubject, Error, Misuse, Rejection};
pub use event::{
    ApplicationMessage, CommitId, CommitMessages, CustomChange, EpochChange, Event, Member,
    WelcomeMessage,
};
pub use external::{ExternalCommit, ExternalJoinOptions, ExternalJoinStage, ExternalTarget};
pub use join::{JoinStage, WelcomeStage, welcome_recipients};
pub use key_package::{
    KeyPackageParams, KeyPackageStage, LeafParams, OwnKeyPackage, ValidKeyPackage,
};
pub use limits::{Limit, Limits};
pub use link::{Link, Unmatched};
pub use observer::{ObservedStage, Observer, ObserverEvent, ObserverStage};
pub use permissions::{Permission, Rules, What, Who};
pub use policy::{GroupView, Policy, Proposed, ProposedCommit};
pub use process::{Answers, CommitStage, ProposalStage, Received, Refused};
pub use send::{Framing, LeafUpdate, NewProposal};
pub use state::{Group, Status};
pub use transition::{ApplyError, Fold, State, Transition, Write, WriteError, apply};
pub use welcome::GroupInfoOptions;

#[cfg(test)]
mod tests;
