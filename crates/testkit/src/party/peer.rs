//! A member with the rows that it has written.

use super::client::{
    ALL, NOW, PROVIDER, Rows, leaf_params, pending_id, rows_of, signer, stored, take,
};
use crate::{SeededRng, accepting};
use conclave_crypto::{CryptoProvider, Secret, Suite};
use conclave_group::{
    ApplicationMessage, CommitMessages, CommitOptions, EpochChange, Error, Event, Framing, Group,
    LeafUpdate, NewGroup, NewProposal, Outcome, Refused, TargetedApplicationMessage, Transition,
};
use conclave_wire::{LeafIndex, PskType, UnixTime};

/// A member with the rows that it has written.
pub struct Peer {
    /// The member's state.
    pub group: Group,
    /// The rows that it has written.
    pub rows: Rows,
    /// The source of its randomness.
    pub rng: SeededRng,
    /// The PSKs that it knows.
    pub psks: Vec<(PskType, Secret)>,
    /// Its provider.
    pub provider: &'static dyn CryptoProvider,
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Peer({:?})", self.group)
    }
}

// A method panics if what it is named after is not possible: a test wants that.
#[allow(clippy::missing_panics_doc)]
impl Peer {
    /// A member whose group has just come into being.
    #[must_use]
    pub fn settle(new: NewGroup, seed: u64) -> Self {
        let mut rows = Rows::new();
        let Ok(group) = new.store(|batch| stored(&mut rows, batch));
        let rng = SeededRng::from_u64(seed).fork("peer");
        Self { group, rows, rng, psks: Vec::new(), provider: &PROVIDER }
    }

    /// Applies a step and writes its rows. What is stored must then be what the state is.
    pub fn take<O: Outcome<Event>>(&mut self, step: Transition<Group, O>) -> O {
        let outcome = take(&mut self.group, &mut self.rows, step);
        self.check();
        outcome
    }

    /// All rows of the state in memory.
    #[must_use]
    pub fn all_rows(&self) -> Rows {
        rows_of(self.group.rows())
    }

    /// Its suite, with its provider.
    #[must_use]
    pub fn suite(&self) -> Suite<'static> {
        Suite::new(self.provider, self.group.cipher_suite()).expect("supported")
    }

    /// Checks that what is stored is what the state is, and that cached values are right.
    pub fn check(&self) {
        assert_eq!(self.all_rows(), self.rows);
        self.group.tree().check_caches(&self.suite()).expect("cached values are right");
    }

    /// Forgets the group in memory and loads it from its rows.
    pub fn reload(&mut self) {
        self.group = self.load(&self.rows).expect("rows load");
        self.check();
    }

    /// A group from rows, as this member would load it.
    ///
    /// # Errors
    /// If the rows do not fit together.
    pub fn load(&self, rows: &Rows) -> Result<Group, Error> {
        Group::load(self.provider, self.group.config().clone(), rows.clone())
    }

    /// A thief that has copied this member's rows and PSKs as they are now.
    #[must_use]
    pub fn thief(&self) -> Self {
        Self {
            group: self.load(&self.rows).expect("rows load"),
            rows: self.rows.clone(),
            rng: self.rng.fork("thief"),
            psks: self.psks.clone(),
            provider: self.provider,
        }
    }

    /// Another credential and signature key for its leaf.
    pub fn new_leaf(&mut self, name: &str) -> LeafUpdate {
        let suite = self.group.cipher_suite();
        let signer = signer(suite, self.rng.below(u64::MAX));
        LeafUpdate { params: leaf_params(name, suite), signer }
    }

    /// Makes a commit, which is then pending. The member adds the PSKs that it knows.
    ///
    /// # Errors
    /// If the commit cannot be made.
    pub fn commit(&mut self, mut options: CommitOptions) -> Result<CommitMessages, Error> {
        options.psks.extend(self.psks.iter().cloned());
        let step = accepting::commit(&self.group, self.provider, &mut self.rng, NOW, options)?;
        Ok(self.take(step))
    }

    /// Enters the epoch of the pending commit.
    pub fn accepted(&mut self) -> EpochChange {
        let id = pending_id(&self.group);
        let step = self.group.commit_accepted(self.provider, NOW, &id).expect("pending");
        self.take(step)
    }

    /// Gives the pending commit up.
    pub fn rejected(&mut self) {
        let step = self.group.commit_rejected(&pending_id(&self.group)).expect("pending");
        self.take(step);
    }

    /// Makes a proposal.
    pub fn propose(&mut self, proposal: NewProposal, framing: &Framing) -> Vec<u8> {
        let step = self.group.propose(self.provider, &mut self.rng, NOW, proposal, framing);
        self.take(step.expect("a proposal")).message
    }

    /// Proposes to renew its own leaf.
    pub fn propose_update(&mut self, change: Option<LeafUpdate>, framing: &Framing) -> Vec<u8> {
        let step = self.group.propose_update(self.provider, &mut self.rng, change, framing);
        self.take(step.expect("an Update")).message
    }

    /// Encrypts data.
    pub fn say(&mut self, data: &[u8]) -> Vec<u8> {
        let framing = Framing::default();
        let step = self.group.encrypt(self.provider, &mut self.rng, data, &framing);
        self.take(step.expect("a message"))
    }

    /// Encrypts data to one member, whose leaf must invite it.
    pub fn tell(&mut self, recipient: LeafIndex, data: &[u8]) -> Vec<u8> {
        let framing = Framing::default();
        let told = self.group.encrypt_to(self.provider, &mut self.rng, recipient, data, &framing);
        told.expect("a member who takes it")
    }

    /// A GroupInfo by which anyone can join.
    #[must_use]
    pub fn group_info(&self) -> Vec<u8> {
        self.group.group_info(self.provider, ALL).expect("a GroupInfo")
    }

    /// The step that a message leads to at a time; none if the message is known.
    ///
    /// # Errors
    /// If the message is refused.
    pub fn process_at(
        &self,
        now: UnixTime,
        message: &[u8],
    ) -> Result<Option<Transition<Group, Event>>, Refused> {
        accepting::process(&self.group, self.provider, now, message, accepting::known(&self.psks))
    }

    /// The step that a message leads to; none if the message is known.
    ///
    /// # Errors
    /// If the message is refused.
    pub fn process(&self, message: &[u8]) -> Result<Option<Transition<Group, Event>>, Refused> {
        self.process_at(NOW, message)
    }

    /// Receives a message that must be accepted.
    pub fn receive(&mut self, message: &[u8]) -> Event {
        let step = self.process(message).expect("accepted").expect("new");
        self.take(step)
    }

    /// Receives a message that must be application data.
    pub fn reads(&mut self, message: &[u8]) -> ApplicationMessage {
        match self.receive(message) {
            Event::Application(message) => message,
            other => panic!("no application data: {other:?}"),
        }
    }

    /// Reads a message to it alone.
    pub fn hears(&mut self, message: &[u8]) -> TargetedApplicationMessage {
        match self.receive(message) {
            Event::Targeted(message) => message,
            other => panic!("no data for it alone: {other:?}"),
        }
    }

    /// Checks that it refuses a message, and that nothing changes thereby.
    pub fn refuses(&self, message: &[u8]) -> Refused {
        let refused = match self.process(message) {
            Err(refused) => refused,
            Ok(step) => panic!("the message led to {step:?}"),
        };
        assert_eq!(self.all_rows(), self.rows);
        refused
    }
}

/// Checks that all members are in the same epoch, with the same tree.
///
/// # Panics
/// If they are not.
pub fn agree(peers: &[Peer]) {
    let epoch = |peer: &Peer| {
        let authenticator = peer.group.epoch_authenticator().expect("a member").clone();
        (authenticator, peer.group.tree().tree_hash().to_vec())
    };
    for pair in peers.windows(2) {
        assert_eq!(epoch(&pair[0]), epoch(&pair[1]));
    }
}
