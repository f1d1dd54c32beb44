//! A member and what it has stored.

use super::archive::OwnPast;
use super::*;

/// Everything that can be seen of a member, in memory and on disk.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// The rows of the state in memory.
    pub(super) memory: Rows,
    /// The rows that are stored.
    pub(super) disk: Rows,
    status: Status,
    context: GroupContext,
    tree_hash: Vec<u8>,
    members: Vec<Member>,
    authenticator: Secret,
    exported: Secret,
    proposals: usize,
    commit: Option<CommitMessages>,
}

impl Seen {
    /// Whether both are in the same epoch, with the same tree and secrets.
    pub(super) fn is_in_the_epoch_of(&self, other: &Self) -> bool {
        self.context == other.context
            && self.tree_hash == other.tree_hash
            && self.members == other.members
            && self.authenticator == other.authenticator
            && self.exported == other.exported
    }

    /// Everything but the secret tree of an epoch.
    pub(super) fn without_secret_tree(mut self, epoch: u64) -> Self {
        let other = |key: &RowKey| key.epoch != epoch || !SECRET_TREE.contains(&key.table);
        self.memory.retain(|key, _| other(key));
        self.disk.retain(|key, _| other(key));
        self
    }
}

/// The tables of a secret tree.
pub(super) const SECRET_TREE: [Table; 3] =
    [Table::SecretTreeNode, Table::Ratchet, Table::SkippedKey];

impl Peer {
    pub(super) fn of(name: String, provider: &'static dyn CryptoProvider, new: NewGroup) -> Self {
        let mut rows = Rows::new();
        let Ok(group) = new.store(|batch| stored(&mut rows, batch));
        Self { name, provider, group, rows, held: Vec::new(), past: OwnPast::default() }
    }

    pub(super) fn take<O: Outcome<Event>>(&mut self, step: Transition<Group, O>) -> O {
        take(&mut self.group, &mut self.rows, step)
    }

    fn loaded(&self) -> Group {
        Group::load(self.provider, Config::default(), self.rows.clone()).expect("stored rows load")
    }

    /// Forgets the group in memory and loads it from the rows.
    pub(super) fn reload(&mut self) {
        self.group = self.loaded();
    }

    /// The same member a second time, to try steps that must not happen to the first.
    pub(super) fn twin(&self) -> Self {
        Self {
            name: format!("{}'s twin", self.name),
            provider: provider_for(self.group.cipher_suite(), true),
            group: self.loaded(),
            rows: self.rows.clone(),
            held: Vec::new(),
            past: OwnPast::default(),
        }
    }

    pub(super) fn seen(&self) -> Seen {
        let group = &self.group;
        let exported = group.export(self.provider, b"seen", b"", 32).expect("a member");
        Seen {
            memory: rows_of(group.rows()),
            disk: self.rows.clone(),
            status: group.status(),
            context: group.context().clone(),
            tree_hash: group.tree().tree_hash().to_vec(),
            members: group.members().collect(),
            authenticator: group.epoch_authenticator().expect("a member").as_secret().clone(),
            exported,
            proposals: group.pending_proposals(),
            commit: group.pending_commit().cloned(),
        }
    }

    /// The step that a message leads to; none if the message is known. Nothing is changed.
    pub(super) fn probe(
        &self,
        now: UnixTime,
        message: &[u8],
        psks: &[(PskType, Secret)],
    ) -> Result<Option<Transition<Group, Event>>, Refused> {
        accepting::process(&self.group, self.provider, now, message, accepting::known(psks))
    }

    /// Receives a message that must not be refused; none if the message is known.
    pub(super) fn receive(
        &mut self,
        now: UnixTime,
        message: &[u8],
        psks: &[(PskType, Secret)],
    ) -> Option<Event> {
        let step = self.probe(now, message, psks);
        let step = step.unwrap_or_else(|refused| panic!("{}: {refused}", self.name));
        step.map(|step| self.take(step))
    }

    /// Makes a commit, which is then pending.
    pub(super) fn commit(
        &mut self,
        rng: &mut SeededRng,
        now: UnixTime,
        options: CommitOptions,
    ) -> CommitMessages {
        let step = accepting::commit(&self.group, self.provider, rng, now, options);
        let step = step.unwrap_or_else(|error| panic!("{}: {error}", self.name));
        self.take(step)
    }

    /// Enters the epoch of the pending commit.
    pub(super) fn accepted(&mut self, now: UnixTime) {
        let step = self.group.commit_accepted(self.provider, now, &pending_id(&self.group));
        self.take(step.expect("pending"));
    }

    /// Gives the pending commit up.
    pub(super) fn rejected(&mut self) {
        let step = self.group.commit_rejected(&pending_id(&self.group));
        self.take(step.expect("pending"));
    }

    /// Makes a proposal.
    pub(super) fn propose(
        &mut self,
        rng: &mut SeededRng,
        now: UnixTime,
        proposal: NewProposal,
        framing: &Framing,
    ) -> Vec<u8> {
        let step = self.group.propose(self.provider, rng, now, proposal, framing);
        self.take(step.expect("a proposal")).message
    }

    /// Encrypts data.
    pub(super) fn say(&mut self, rng: &mut SeededRng, data: &[u8], framing: &Framing) -> Vec<u8> {
        let step = self.group.encrypt(self.provider, rng, data, framing);
        self.take(step.expect("an epoch to send in"))
    }
}
