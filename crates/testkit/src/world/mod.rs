//! A simulated world: clients, groups and a delivery service in one process, driven by a seed.
//!
//! A [`World`] takes random steps (everything that RFC 9420 lets a group do, messages late,
//! reordered and duplicated, clients reloaded from their stored rows) and after each step checks
//! what must hold:
//!
//! * all members agree on epoch authenticator, tree hash and an exported secret;
//! * the observer agrees on context, tree and members;
//! * cached hashes and indices equal recomputed ones;
//! * the rows that a client's batches add up to are those of its state, reloaded or not;
//! * a message that is refused changes neither state nor rows: before messages are delivered,
//!   hostile variants of them are tried (`hostile`).
//!
//! What does not hold is a panic whose message names the seed and the step, and the command that
//! takes the same steps again.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod archive;
mod check;
mod clients;
mod delivery;
mod hostile;
mod peer;
mod state;
mod steps;
mod watcher;
mod ways_in;

use crate::SeededRng;
use crate::forge::Insider;
use conclave_crypto::{CryptoProvider, HpkePrivateKey, Secret, SignatureKeyPair, Suite};
use conclave_group::rows::{RowKey, Table};
use conclave_group::{
    Answers, ApplyError, CommitMessages, CommitOptions, Config, Error, Event, ExternalJoinOptions,
    ExternalJoinStage, ExternalTarget, Framing, Group, GroupInfoOptions, GroupParams,
    KeyPackageParams, LeafParams, LeafUpdate, Link, Member, Misuse, NewGroup, NewProposal,
    Observer, ObserverStage, OwnKeyPackage, Received, Refused, Rejection, Status, Transition,
    ValidKeyPackage, Verdict, WelcomeStage, apply,
};
use conclave_schedule::RatchetError;
use conclave_tree::TreeRead;
use conclave_wire::{
    CipherSuite, Credential, CredentialType, Epoch, Extension, ExtensionType, ExternalSender,
    GroupContext, GroupId, LeafIndex, Lifetime, NodeIndex, Proposal, ProtocolVersion, PskType,
    ReInit, RequiredCapabilities,
};
use rand_core::Rng;
use state::{
    CUSTOM_EXTENSION, Held, Hostile, Peer, Rows, START, SUITES, Watcher, provider_for, stored,
};
pub use state::{Counts, World, WorldParams};
use std::collections::BTreeMap;

impl World {
    /// A world of one group with one member.
    #[must_use]
    pub fn new(params: WorldParams) -> Self {
        let rng = SeededRng::from_u64(params.seed);
        let mut world = Self {
            params,
            hostile: Hostile::new(&rng, hostile::all_kinds()),
            rng,
            suite: params.cipher_suite,
            now: START,
            step: 0,
            clients: 0,
            config: Config::default(),
            peers: Vec::new(),
            watcher: None,
            external: None,
            psks: BTreeMap::new(),
            counts: Counts::new(),
        };
        let (name, provider) = world.new_client();
        let group_id = world.bytes(16).into();
        let (new, _) = world.found(&name, &*provider, group_id, Vec::new());
        world.settle(name, provider, new);
        world.watch();
        world
    }

    /// Takes random steps.
    pub fn run(&mut self, steps: u64) -> &Counts {
        for _ in 0..steps {
            self.random_step();
        }
        &self.counts
    }

    /// How many hostile messages of each kind came to nothing; kinds that did not occur count 0.
    #[must_use]
    pub fn refusals(&self) -> &Counts {
        &self.hostile.refused
    }

    /// The number of members.
    #[must_use]
    pub fn members(&self) -> usize {
        self.peers.len()
    }
}

#[cfg(test)]
mod tests;
