//! A member of a group: its state, its rows, and the PSKs that it knows.

use super::failure::Failure;
use super::tools::{Tools, judge_all, now, rng};
use conclave_mls::crypto::Secret;
use conclave_mls::rows::{Batch, RowKey};
use conclave_mls::wire::ProposalRef;
use conclave_mls::{
    Answers, ApplicationMessage, Credential, Event, Framing, Group, LeafIndex, Link, Misuse,
    NewGroup, NewProposal, OwnKeyPackage, PskType, Received, Refused, Transition, WelcomeStage,
    apply,
};
use std::collections::BTreeMap;
use std::convert::Infallible;

/// PSKs of the application, by what they are called.
pub(crate) type Psks = Vec<(PskType, Secret)>;

/// A member of a group.
pub(crate) struct Member {
    group: Group,
    /// What a store would hold, if the group is to be loaded from it. Nothing else outlives the
    /// process, so that otherwise nothing is kept.
    rows: Option<BTreeMap<RowKey, Secret>>,
    psks: Psks,
    encrypt: bool,
    /// The proposals of this epoch, by the messages that brought them: the harness gives all of them
    /// with every commit, also those that were seen before or that this member has sent.
    seen: BTreeMap<Vec<u8>, ProposalRef>,
}

impl Member {
    /// The member whose group has just come into being.
    pub(crate) fn new(tools: &Tools, new: NewGroup, psks: Psks, encrypt: bool) -> Self {
        let mut rows = tools.reload.then(BTreeMap::new);
        let write = |batch: &Batch| {
            rows.iter_mut().for_each(|rows| batch.apply_to(rows));
            Ok::<_, Infallible>(())
        };
        let Ok(group) = new.store(write);
        Self { group, rows, psks, encrypt, seen: BTreeMap::new() }
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

    /// By what members compare their views.
    pub(crate) fn authenticator(&self) -> Result<Vec<u8>, Failure> {
        Ok(self.group.epoch_authenticator()?.expose().to_vec())
    }

    /// Who this is.
    pub(crate) fn credential(&self) -> Result<Credential, Failure> {
        let me = self.group.own_member().ok_or_else(removed)?;
        Ok(me.credential)
    }

    /// The leaf of an identity.
    pub(crate) fn leaf_of(&self, identity: &[u8]) -> Result<LeafIndex, Failure> {
        leaf_of(self.group.members(), identity)
    }

    /// Writes the rows of a step, takes it, and gives out what came of it.
    pub(crate) fn take(
        &mut self,
        tools: &Tools,
        step: Transition<Group>,
    ) -> Result<Event, Failure> {
        let rows = &mut self.rows;
        let event = apply(&mut self.group, step, |write| {
            rows.iter_mut().for_each(|rows| write.batch.apply_to(rows));
            Ok::<_, Infallible>(())
        });
        let event = event.map_err(Failure::internal)?;
        if matches!(event, Event::Epoch(_)) {
            self.seen.clear();
        }
        if let Some(rows) = self.rows.as_ref().filter(|rows| !rows.is_empty()) {
            let config = self.group.config().clone();
            self.group = Group::load(tools.crypto(), config, rows.clone())?;
        }
        Ok(event)
    }

    /// A refused message; the key that it used up is deleted.
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

    /// Proposes something.
    pub(crate) fn propose(
        &mut self,
        tools: &Tools,
        proposal: NewProposal,
    ) -> Result<Vec<u8>, Failure> {
        let framing = self.framing();
        let step = self.group.propose(tools.crypto(), &mut rng(), now(), proposal, &framing)?;
        self.proposed(tools, step)
    }

    /// Proposes to renew the own leaf.
    pub(crate) fn propose_update(&mut self, tools: &Tools) -> Result<Vec<u8>, Failure> {
        let framing = self.framing();
        let step = self.group.propose_update(tools.crypto(), &mut rng(), None, &framing)?;
        self.proposed(tools, step)
    }

    fn proposed(&mut self, tools: &Tools, step: Transition<Group>) -> Result<Vec<u8>, Failure> {
        let Event::Proposal { message, reference } = self.take(tools, step)? else {
            return Err(Failure::internal("no proposal came of proposing"));
        };
        self.seen.insert(message.clone(), reference);
        Ok(message)
    }

    /// Caches a proposal, unless it is known, and says how commits refer to it.
    pub(crate) fn hear(&mut self, tools: &Tools, message: &[u8]) -> Result<ProposalRef, Failure> {
        if let Some(reference) = self.seen.get(message) {
            return Ok(reference.clone());
        }
        let Received::Proposal(stage) = self.process(tools, message)? else {
            return Err(Failure::invalid("what was given as a proposal is something else"));
        };
        let verdicts = judge_all(stage.credentials());
        let step = stage.resolve(&self.group, tools.crypto(), &verdicts);
        let step = step.map_err(|e| self.refused(tools, e))?;
        let Event::ProposalReceived { reference, .. } = self.take(tools, step)? else {
            return Err(Failure::internal("no proposal came of a proposal"));
        };
        self.seen.insert(message.to_vec(), reference.clone());
        Ok(reference)
    }

    /// Goes into the epoch that a commit begins, somebody's or one's own.
    pub(crate) fn follow(&mut self, tools: &Tools, message: &[u8]) -> Result<(), Failure> {
        let step = match self.process(tools, message)? {
            Received::OwnCommit(step) => step,
            Received::Commit(stage) => {
                let verdicts = judge_all(stage.credentials());
                let answers = Answers { verdicts, psks: self.psks.clone() };
                let step = stage.resolve(&self.group, tools.crypto(), now(), &answers);
                step.map_err(|e| self.refused(tools, e))?
            }
            _ => return Err(Failure::invalid("what was given as a commit is something else")),
        };
        self.arrive(tools, step)
    }

    /// Goes into the epoch of the own pending commit.
    pub(crate) fn accepted(&mut self, tools: &Tools) -> Result<(), Failure> {
        let pending = self.group.pending_commit().ok_or(Misuse::NoCommitPending)?;
        let step = self.group.commit_accepted(tools.crypto(), now(), &pending.id)?;
        self.arrive(tools, step)
    }

    fn arrive(&mut self, tools: &Tools, step: Transition<Group>) -> Result<(), Failure> {
        match self.take(tools, step)? {
            Event::Epoch(_) => Ok(()),
            Event::Removal(_) => {
                // The runner's order is the delivery service's.
                let deletion = self.group.delete()?;
                self.take(tools, deletion)?;
                Err(removed())
            }
            _ => Err(Failure::internal("no epoch came of a commit")),
        }
    }

    /// Reads application data.
    pub(crate) fn read(
        &mut self,
        tools: &Tools,
        message: &[u8],
    ) -> Result<ApplicationMessage, Failure> {
        let Received::Application(step) = self.process(tools, message)? else {
            return Err(Failure::invalid("what was given as a ciphertext is something else"));
        };
        match self.take(tools, step)? {
            Event::Application(read) => Ok(read),
            _ => Err(Failure::internal("no data came of application data")),
        }
    }
}

fn removed() -> Failure {
    Failure::not_now("this client was removed from the group")
}

/// The leaf of an identity among members.
pub(crate) fn leaf_of(
    mut members: impl Iterator<Item = conclave_mls::Member>,
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
