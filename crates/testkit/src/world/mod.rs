//! A simulated world: clients, groups and a delivery service in one process, driven by a seed.
//!
//! A [`World`] takes random steps: everything that RFC 9420 lets a group do, with late, reordered
//! and duplicated messages, and clients that load their stored rows again. After each step it checks
//! that
//!
//! * all members agree on epoch authenticator, tree hash and an exported secret;
//! * the observer agrees on context, tree and members;
//! * cached hashes and indices equal recomputed ones;
//! * the rows that a client has written are those of its state, reloaded or not;
//! * a refused message changes neither state nor rows: before a message is delivered, hostile
//!   variants of it are tried (`hostile`).
//!
//! A check that fails panics. The message names the seed, the step, and the command that takes the
//! same steps again.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod archive;
mod check;
mod clients;
mod components;
mod delivery;
mod hostile;
mod peer;
mod state;
mod steps;
mod watcher;
mod ways_in;

use crate::forge::Insider;
use crate::party::{ALL, NOW, Rows, inviting, pending_id, rows_of, stored, supporting, take};
use crate::{SeededRng, accepting};
use clients::Joiner;
use conclave_crypto::{CryptoProvider, HpkePrivateKey, Secret, SignatureKeyPair, Suite};
use conclave_group::rows::{RowKey, Table};
use conclave_group::{
    Answers, AppDataRequest, ApplyError, CommitMessages, CommitOptions, Config, Error, Event,
    ExternalJoinOptions, ExternalJoinStage, ExternalTarget, Framing, Group, GroupInfoOptions,
    GroupParams, KeyPackageParams, LeafParams, LeafUpdate, Link, Member, Misuse, NewGroup,
    NewProposal, Observer, ObserverEvent, ObserverStage, Obstacle, Outcome, OwnKeyPackage,
    Received, Refused, Rejection, Status, Transition, ValidKeyPackage, Verdict, WelcomeStage,
    apply,
};
use conclave_schedule::RatchetError;
use conclave_tree::TreeRead;
use conclave_wire::{
    AppDataDictionary, Bytes, CipherSuite, Credential, CredentialType, Epoch, Extension,
    ExtensionType, ExternalSender, GroupContext, GroupId, LeafIndex, Lifetime, NodeIndex, Proposal,
    ProtocolVersion, PskType, ReInit, RequiredCapabilities, ResumptionPskUsage, Sender, UnixTime,
    WireFormat, find_extension,
};
use rand_core::Rng;
use state::{COMPONENTS, CUSTOM_EXTENSION, Held, Hostile, Peer, SUITES, Watcher, provider_for};
pub use state::{Counts, World, WorldParams};
use std::collections::BTreeMap;
use std::time::Duration;

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
            now: NOW,
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
        let new = world.found(&name, provider, group_id, Vec::new());
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

    /// How many hostile messages of each kind were refused; kinds that did not occur count 0.
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
