//! A member and what it has stored.

use super::archive::OwnPast;
use super::*;

/// What a message leads to once everything that is asked was answered.
pub(super) enum Outcome {
    /// A step, not yet taken.
    Step(Box<Transition<Group>>),
    /// Nothing is to be done.
    Known,
    Refused(Refused),
}

/// All that can be seen of a member, in memory and on disk.
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
    /// All but the secret tree of an epoch.
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
    pub(super) fn of(name: String, provider: Box<dyn CryptoProvider>, new: NewGroup) -> Self {
        let mut rows = Rows::new();
        let group = new.store(|batch| stored(&mut rows, batch)).expect("stored");
        Self { name, provider, group, rows, held: Vec::new(), past: OwnPast::default() }
    }

    pub(super) fn take(&mut self, step: Transition<Group>) -> Event {
        let rows = &mut self.rows;
        apply(&mut self.group, step, |write| stored(rows, write.batch)).expect("fits its state")
    }

    fn loaded(&self) -> Group {
        let rows = self.rows.iter().map(|(key, value)| (*key, value.clone()));
        let config = Config::default();
        Group::load(&*self.provider, config, rows).expect("stored rows load")
    }

    /// Forgets the group in memory and loads it from the rows.
    pub(super) fn reload(&mut self) {
        self.group = self.loaded();
    }

    /// The same member a second time, to try out what must not happen to the first.
    pub(super) fn twin(&self) -> Self {
        let provider = provider_for(self.group.cipher_suite(), true);
        let (name, rows) = (format!("{}'s twin", self.name), self.rows.clone());
        let past = OwnPast::default();
        Self { name, provider, group: self.loaded(), rows, held: Vec::new(), past }
    }

    pub(super) fn seen(&self) -> Seen {
        let group = &self.group;
        let mut memory = Rows::new();
        group.rows().expect("a state has rows").apply_to(&mut memory);
        let exported = group.export(&*self.provider, b"seen", b"", 32).expect("a member");
        Seen {
            memory,
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

    /// What a message leads to if every credential is accepted. Nothing is changed.
    pub(super) fn probe(&self, now: u64, message: &[u8], psks: &[(PskType, Secret)]) -> Outcome {
        let provider = &*self.provider;
        let step = match self.group.process(provider, now, message) {
            Ok(Received::Application(step) | Received::OwnCommit(step)) => Ok(step),
            Ok(Received::Proposal(stage)) => {
                let verdicts = vec![Verdict::Accept; stage.credentials().len()];
                stage.resolve(&self.group, &verdicts)
            }
            Ok(Received::Commit(stage)) => {
                let verdicts = vec![Verdict::Accept; stage.credentials().len()];
                let answers = Answers { verdicts, psks: psks.to_vec() };
                stage.resolve(&self.group, provider, now, &answers)
            }
            Ok(Received::Known) => return Outcome::Known,
            Err(refused) => Err(refused),
        };
        step.map_or_else(Outcome::Refused, |step| Outcome::Step(Box::new(step)))
    }

    /// Receives a message that must not be refused.
    pub(super) fn receive(
        &mut self,
        now: u64,
        message: &[u8],
        psks: &[(PskType, Secret)],
    ) -> Option<Event> {
        match self.probe(now, message, psks) {
            Outcome::Step(step) => Some(self.take(*step)),
            Outcome::Known => None,
            Outcome::Refused(refused) => panic!("{}: {refused}", self.name),
        }
    }
}
