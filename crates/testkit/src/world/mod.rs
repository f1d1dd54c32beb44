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

mod check;
mod clients;
mod delivery;
mod hostile;
mod peer;
mod steps;
mod watcher;
mod ways_in;

use crate::SeededRng;
use crate::forge::Insider;
use conclave_crypto::{CryptoProvider, HpkePrivateKey, Secret, SignatureKeyPair, Suite, Suites};
use conclave_group::rows::{Batch, RowKey, Table};
use conclave_group::{
    Answers, ApplyError, CommitMessages, CommitOptions, Config, Error, Event, ExternalJoinOptions,
    ExternalJoinStage, ExternalTarget, Framing, Group, GroupInfoOptions, GroupParams,
    KeyPackageParams, LeafParams, LeafUpdate, Link, Member, Misuse, NewGroup, NewProposal,
    Observer, ObserverStage, OwnKeyPackage, Padding, Received, Refused, Rejection, Status,
    Transition, ValidKeyPackage, Verdict, WelcomeStage, apply,
};
use conclave_provider_aws_lc::AwsLc;
use conclave_provider_rustcrypto::RustCrypto;
use conclave_schedule::RatchetError;
use conclave_tree::TreeRead;
use conclave_wire::{
    CipherSuite, Credential, CredentialType, Epoch, Extension, ExtensionType, ExternalSender,
    GroupContext, GroupId, LeafIndex, Lifetime, NodeIndex, Proposal, ProtocolVersion, PskType,
    ReInit, RequiredCapabilities,
};
use hostile::{Hostile, OwnPast};
use rand_core::Rng;
use std::collections::BTreeMap;
use std::convert::Infallible;

/// An extension type of private use that all clients here support.
const CUSTOM_EXTENSION: ExtensionType = ExtensionType(0xf001);
const START: u64 = 1_700_000_000;
/// All suites, the post-quantum ones at Conclave's code points.
const SUITES: Suites = Suites::CONCLAVE;

/// The rows that a client has written.
type Rows = BTreeMap<RowKey, Secret>;

/// A message that has not been delivered to somebody yet.
struct Held {
    epoch: Epoch,
    message: Vec<u8>,
    data: Vec<u8>,
    sender: LeafIndex,
}

struct Peer {
    name: String,
    provider: Box<dyn CryptoProvider>,
    group: Group,
    rows: Rows,
    held: Vec<Held>,
    past: OwnPast,
}

struct Watcher {
    observer: Observer,
    rows: Rows,
}

/// How a world is to be.
#[derive(Clone, Copy, Debug)]
pub struct WorldParams {
    /// Decides everything that happens.
    pub seed: u64,
    /// The cipher suite of the first group: one of [`Suites::CONCLAVE`]. Worlds that begin with a
    /// post-quantum suite go on in any, others in one of RFC 9420.
    pub cipher_suite: CipherSuite,
    /// At most this many members.
    pub max_members: usize,
    /// Whether handshake messages are encrypted, so that no observer can follow.
    pub encrypt: bool,
}

/// How often each kind of step was taken.
pub type Counts = BTreeMap<&'static str, u64>;

/// A group with its members, what is under way to them, and an observer.
pub struct World {
    params: WorldParams,
    rng: SeededRng,
    suite: CipherSuite,
    now: u64,
    step: u64,
    clients: u64,
    config: Config,
    peers: Vec<Peer>,
    watcher: Option<Watcher>,
    external: Option<SignatureKeyPair>,
    psks: BTreeMap<Vec<u8>, Secret>,
    counts: Counts,
    hostile: Hostile,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "World {{ {:?}, step {}, {} members }}", self.params, self.step, self.peers.len())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            use std::io::Write;
            let WorldParams { seed, cipher_suite, max_members, encrypt } = self.params;
            let _ = writeln!(
                std::io::stderr(),
                "this happened in {self:?}; again: cargo model --seed {seed} --suite {} \
                 --members {max_members} --encrypt {encrypt} --steps {} --worlds 1",
                cipher_suite.0,
                self.step,
            );
        }
    }
}

fn provider_for(suite: CipherSuite, coin: bool) -> Box<dyn CryptoProvider> {
    let native = AwsLc::with_threads(1).with_suites(SUITES);
    match coin && native.suite(suite).is_some() {
        true => Box::new(native),
        false => Box::new(RustCrypto::new().with_suites(SUITES)),
    }
}

fn stored(rows: &mut Rows, batch: &Batch) -> Result<(), Infallible> {
    batch.apply_to(rows);
    Ok(())
}

impl World {
    /// A world of one group with one member.
    #[must_use]
    pub fn new(params: WorldParams) -> Self {
        let rng = SeededRng::from_u64(params.seed);
        let mut world = Self {
            params,
            hostile: Hostile::new(&rng),
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

    fn below(&mut self, n: usize) -> usize {
        (self.rng.next_u64() % n.max(1) as u64) as usize
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.rng.next_u64() % 100 < percent
    }

    fn bytes(&mut self, n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    fn some_peer(&mut self) -> usize {
        let n = self.peers.len();
        self.below(n)
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn framing(&mut self) -> Framing {
        let padding = match self.below(3) {
            0 => Padding::None,
            1 => Padding::Padme,
            _ => Padding::ToMultipleOf(64),
        };
        let n = self.below(20);
        let authenticated_data = self.bytes(n);
        Framing { encrypt: self.params.encrypt, authenticated_data, padding }
    }
}

#[cfg(test)]
mod tests;
