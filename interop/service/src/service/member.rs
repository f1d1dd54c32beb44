//! A member of a group: its state, its rows, and the PSKs that it knows.

use super::failure::Failure;
use super::tools::{Tools, judge_all, now, rng};
use conclave_mls::crypto::Secret;
use conclave_mls::error::Misuse;
use conclave_mls::group::{
    Answers, ApplicationMessage, Committed, Framing, LeafIndex, NewGroup, NewProposal,
    ProposalMessage, PskType, Refused,
};
use conclave_mls::join::{Link, WelcomeStage};
use conclave_mls::key_package::OwnKeyPackage;
use conclave_mls::storage::{Batch, Outcome, RowKey};
use conclave_mls::wire::ProposalRef;
use conclave_mls::{Credential, Epoch, Event, Group, Received, Transition, apply};
use std::collections::BTreeMap;
use std::convert::Infallible;

/// PSKs of the application, by their names.
pub(crate) type Psks = Vec<(PskType, Secret)>;

/// A member of a group.
pub(crate) struct Member {
    group: Group,
    /// The rows that a store would hold, if the group is loaded from them after every step. Nothing outlives
    /// the process, so otherwise no rows are kept.
    rows: Option<BTreeMap<RowKey, Secret>>,
    psks: Psks,
    encrypt: bool,
    /// The proposals of the epoch [`Self::seen_in`], by their messages. The harness passes all of an epoch's
    /// proposals with every commit, even those that this member has seen before or has sent.
    seen: BTreeMap<Vec<u8>, ProposalRef>,
    seen_in: Epoch,
}

impl Member {
    /// The member of a new group.
    pub(crate) fn new(tools: &Tools, new: NewGroup, psks: Psks, encrypt: bool) -> Self {
        let mut rows = tools.reload.then(BTreeMap::new);
        let write = |batch: &Batch| {
            rows.iter_mut().for_each(|rows| batch.apply_to(rows));
            Ok::<_, Infallible>(())
        };
        let Ok(group) = new.store(write);
        let seen_in = group.epoch();
        Self { group, rows, psks, encrypt, seen: BTreeMap::new(), seen_in }
    }

    pub(crate) fn group(&self) -> &Group {
        &self.group
    }

    pub(crate) fn psks(&self) -> &Psks {
        &self.psks
    }

    pub(crate) fn psks_mut(&mut self) -> &mut Psks {
        &mut self.psks
    }

    pub(crate) fn encrypts(&self) -> bool {
        self.encrypt
    }

    /// How this member's proposals and commits are framed.
    pub(crate) fn framing(&self) -> Framing {
        Framing { encrypt: self.encrypt, ..Framing::default() }
    }

    /// The epoch authenticator, by which members compare their views.
    pub(crate) fn authenticator(&self) -> Result<Vec<u8>, Failure> {
        Ok(self.group.epoch_authenticator()?.expose().to_vec())
    }

    /// Our own credential.
    pub(crate) fn credential(&self) -> Result<Credential, Failure> {
        let me = self.group.own_member().ok_or_else(removed)?;
        Ok(me.credential)
    }

    /// The leaf of an identity.
    pub(crate) fn leaf_of(&self, identity: &[u8]) -> Result<LeafIndex, Failure> {
        leaf_of(self.group.members(), identity)
    }

    /// Writes the rows of a step, applies it, and returns its outcome.
    pub(crate) fn take<O: Outcome<Event>>(
        &mut self,
        tools: &Tools,
        step: Transition<Group, O>,
    ) -> Result<O, Failure> {
        let rows = &mut self.rows;
        let outcome = apply(&mut self.group, step, |write| {
            rows.iter_mut().for_each(|rows| write.batch.apply_to(rows));
            Ok::<_, Infallible>(())
        });

        let outcome = outcome.map_err(Failure::internal)?;

        if self.seen_in != self.group.epoch() {
            self.seen.clear();
            self.seen_in = self.group.epoch();
        }

        if let Some(rows) = self.rows.as_ref().filter(|rows| !rows.is_empty()) {
            let config = self.group.config().clone();
            self.group = Group::load(tools.crypto(), config, rows.clone())?;
        }

        Ok(outcome)
    }

    /// The failure of a refused message, whose key is deleted.
    fn refused(&mut self, tools: &Tools, refused: Refused) -> Failure {
        if let Some(deletion) = refused.key_deletion
            && let Err(failure) = self.take(tools, *deletion)
        {
            return failure;
        }
        refused.error.into()
    }

    fn process(&mut self, tools: &Tools, message: &[u8]) -> Result<Received, Failure> {
        let received = self.group.process(tools.crypto(), now(), message);
        received.map_err(|e| self.refused(tools, e))
    }

    /// Makes a proposal and returns its message.
    pub(crate) fn propose(
        &mut self,
        tools: &Tools,
        proposal: NewProposal,
    ) -> Result<Vec<u8>, Failure> {
        let framing = self.framing();
        let step = self.group.propose(tools.crypto(), &mut rng(), now(), proposal, &framing)?;
        self.proposed(tools, step)
    }

    /// Proposes to renew our own leaf.
    pub(crate) fn propose_update(&mut self, tools: &Tools) -> Result<Vec<u8>, Failure> {
        let framing = self.framing();
        let step = self.group.propose_update(tools.crypto(), &mut rng(), None, &framing)?;
        self.proposed(tools, step)
    }

    fn proposed(
        &mut self,
        tools: &Tools,
        step: Transition<Group, ProposalMessage>,
    ) -> Result<Vec<u8>, Failure> {
        let ProposalMessage { message, reference } = self.take(tools, step)?;
        self.seen.insert(message.clone(), reference);
        Ok(message)
    }

    /// Caches a proposal unless it is known, and returns the reference by which commits name it.
    pub(crate) fn hear(&mut self, tools: &Tools, message: &[u8]) -> Result<ProposalRef, Failure> {
        if let Some(reference) = self.seen.get(message) {
            return Ok(reference.clone());
        }

        let Received::Proposal(stage) = self.process(tools, message)? else {
            return Err(Failure::invalid("the proposal is another kind of message"));
        };

        let verdicts = judge_all(stage.credentials());
        let step = stage.resolve(&self.group, &verdicts);
        let step = step.map_err(|e| self.refused(tools, e))?;
        let cached = self.take(tools, step)?;

        let reference = cached
            .ok_or_else(|| Failure::invalid("the proposal came before in another message"))?
            .reference;
        self.seen.insert(message.to_vec(), reference.clone());
        Ok(reference)
    }

    /// Enters the epoch that a commit begins: a peer's commit, or our own.
    pub(crate) fn follow(&mut self, tools: &Tools, message: &[u8]) -> Result<(), Failure> {
        match self.process(tools, message)? {
            Received::OwnCommit(step) => {
                self.take(tools, step)?;
                Ok(())
            }
            Received::Commit(stage) => {
                let verdicts = judge_all(stage.credentials());
                let answers = Answers { verdicts, psks: self.psks.clone(), ..Answers::default() };
                let step = stage.resolve(&self.group, tools.crypto(), now(), &answers);
                let step = step.map_err(|e| self.refused(tools, e))?;
                match self.take(tools, step)? {
                    Committed::Epoch(_) => Ok(()),
                    Committed::Removal(_) => {
                        // The runner's order is that of the delivery service.
                        let deletion = self.group.delete()?;
                        self.take(tools, deletion)?;
                        Err(removed())
                    }
                }
            }
            _ => Err(Failure::invalid("the commit is another kind of message")),
        }
    }

    /// Enters the epoch of our own pending commit.
    pub(crate) fn accepted(&mut self, tools: &Tools) -> Result<(), Failure> {
        let pending = self.group.pending_commit().ok_or(Misuse::NoCommitPending)?;
        let step = self.group.commit_accepted(tools.crypto(), now(), &pending.id)?;
        self.take(tools, step)?;
        Ok(())
    }

    /// Reads application data.
    pub(crate) fn read(
        &mut self,
        tools: &Tools,
        message: &[u8],
    ) -> Result<ApplicationMessage, Failure> {
        match self.process(tools, message)? {
            Received::Application(step) => self.take(tools, step),
            _ => Err(Failure::invalid("the ciphertext is another kind of message")),
        }
    }
}

fn removed() -> Failure {
    Failure::not_now("this client was removed from the group")
}

/// The leaf of an identity among members.
pub(crate) fn leaf_of(
    mut members: impl Iterator<Item = conclave_mls::group::Member>,
    identity: &[u8],
) -> Result<LeafIndex, Failure> {
    let found = members.find(|member| member.credential.identity() == Some(identity));
    let unknown = || {
        let name = String::from_utf8_lossy(identity);
        Failure::not_now(format!("no member is called {name:?}"))
    };
    found.map(|member| member.index).ok_or_else(unknown)
}

/// Joins by a Welcome.
pub(crate) fn join(
    tools: &Tools,
    own: &OwnKeyPackage,
    welcome: &[u8],
    ratchet_tree: Option<&[u8]>,
    psks: &Psks,
    link: Option<&Link>,
) -> Result<NewGroup, Failure> {
    let stage = WelcomeStage::open(tools.crypto(), tools.config.clone(), welcome, own)?;
    let join = stage.join(tools.crypto(), psks, ratchet_tree, link)?;
    let verdicts = judge_all(join.credentials());
    Ok(join.resolve(&verdicts)?)
}
