//! Receiving messages (sections 6, 12.1, 12.4.2 and 15.3).
//!
//! A message goes through stages: it is opened and its signature verified; what the application
//! has to answer (credentials, PSKs) is asked; with the answers it becomes a transition. Only the
//! deletion of a key that the message consumed can follow from a message that is rejected.

use crate::advance::{Advance, Incoming, PathSource};
use crate::credentials::{CredentialRequest, Verdict, check_verdicts};
use crate::error::{Error, Misuse, Rejection};
use crate::event::{ApplicationMessage, Event, Member};
use crate::proposals::{CheckedList, Linking, ListedProposal, Origin, credential_requests};
use crate::rows::Batch;
use crate::state::{Delta, Group, SecretTreeChange};
use crate::stored::put_secret_tree_rows;
use crate::transition::{Revision, State, Transition};
use alloc::boxed::Box;
use alloc::vec::Vec;
use conclave_crypto::{CryptoProvider, Secret, Suite};
use conclave_framing::{
    UnverifiedContent, Verified, VerifiedApplication, VerifiedCommit, VerifiedProposal,
    open_private, open_public, open_sender_data,
};
use conclave_schedule::{RatchetKind, SecretTreeDelta};
use conclave_tree::encoded_signature_key;
use conclave_wire::{
    ContentType, Decode, Epoch, LeafIndex, LeafNode, MlsMessageBody, PreSharedKeyId,
    PrivateMessage, Proposal, PskType, PublicMessage, Sender,
};
use core::mem::take;

/// A message that was refused.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub error: Error,
    /// If the message was encrypted and its sender's signature verified, its key is consumed
    /// (section 9.2): the step that deletes it, and nothing else.
    pub key_deletion: Option<Box<Transition<Group>>>,
}

impl<E: Into<Error>> From<E> for Refused {
    fn from(e: E) -> Self {
        Self { error: e.into(), key_deletion: None }
    }
}

impl core::fmt::Display for Refused {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.error.fmt(f)
    }
}

impl core::error::Error for Refused {}

/// What a received message leads to.
#[derive(Debug)]
pub enum Received {
    /// Application data: apply the step to see it.
    Application(Transition<Group>),
    /// A proposal, whose credentials are to be judged.
    Proposal(ProposalStage),
    /// A commit, whose credentials are to be judged and whose PSKs are to be provided.
    Commit(CommitStage),
    /// The own pending commit, as the delivery service accepted it: the step into the new epoch.
    OwnCommit(Transition<Group>),
    /// A message that this client sent itself, or a proposal that is known already. Nothing is to
    /// be done.
    Known,
}

/// A key that a message consumed.
#[derive(Default)]
struct Consumed(Option<(Epoch, SecretTreeDelta)>);

impl core::fmt::Debug for Consumed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(if self.0.is_some() { "Consumed(1)" } else { "Consumed(0)" })
    }
}

impl Consumed {
    fn put(self, delta: &mut Delta, batch: &mut Batch) {
        if let Some((epoch, used)) = self.0 {
            // A commit may itself delete the epoch that it was sent in.
            if batch.deleted_epochs.contains(&epoch.0) {
                return;
            }
            put_secret_tree_rows(epoch, used.rows(), batch);
            delta.secret_trees.insert(epoch, SecretTreeChange::Part(used));
        }
    }
}

/// A proposal that is valid but for the application's verdicts.
#[derive(Debug)]
pub struct ProposalStage {
    revision: Revision,
    content: VerifiedProposal,
    /// Whether it is cached already, and came under another key.
    known: bool,
    credentials: Vec<CredentialRequest>,
    consumed: Consumed,
}

/// A commit whose sender is verified.
#[derive(Debug)]
pub struct CommitStage {
    revision: Revision,
    content: VerifiedCommit,
    list: CheckedList,
    credentials: Vec<CredentialRequest>,
    psks: Vec<PreSharedKeyId>,
    consumed: Consumed,
}

/// What the application answers to a [`CommitStage`].
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// One verdict for each of [`CommitStage::credentials`], in that order.
    pub verdicts: Vec<Verdict>,
    /// The PSKs of [`CommitStage::psks`], by where they come from.
    pub psks: Vec<(PskType, Secret)>,
}

/// A message of the group that is opened, its key consumed.
struct Opened {
    content: UnverifiedContent,
    epoch: Epoch,
    generation: u32,
    consumed: Consumed,
}

impl Group {
    /// Opens and verifies a message to this group: an encoded MLSMessage.
    ///
    /// # Errors
    /// If it is malformed, does not open or verify, or is of another group or epoch.
    pub fn process(
        &self,
        provider: &dyn CryptoProvider,
        now: u64,
        message: &[u8],
    ) -> Result<Received, Refused> {
        let suite = self.suite(provider)?;
        self.secrets()?;
        if let Some(own) = self.pending_commit().filter(|own| own.commit == message) {
            return Ok(Received::OwnCommit(self.commit_accepted(provider, now, &own.id)?));
        }
        let opened = match self.public.decode_message(message)? {
            MlsMessageBody::PublicMessage(message) => self.open_public(&suite, *message)?,
            MlsMessageBody::PrivateMessage(message) => {
                match self.open_private(&suite, &message)? {
                    Some(opened) => opened,
                    None => return Ok(Received::Known),
                }
            }
            MlsMessageBody::Welcome(_)
            | MlsMessageBody::GroupInfo(_)
            | MlsMessageBody::KeyPackage(_) => return Err(Rejection::UnexpectedMessage.into()),
        };

        // Every member can seal with another's keys. So a message that does not verify changes nothing:
        // otherwise it would use up a key that its owner has yet to send with.
        let Opened { content, epoch, generation, mut consumed } = opened;
        let received = match self.verify(&suite, content, epoch)? {
            Verified::Application(content) => {
                return Ok(self.receive_application(content, epoch, generation, consumed)?);
            }
            Verified::Proposal(content) => self.receive_proposal(&suite, content, &mut consumed),
            Verified::Commit(content) => self.receive_commit(&suite, content, &mut consumed),
        };
        received.map_err(|error| self.refuse(error, consumed))
    }

    /// Verifies a message's signature with the key that its sender had in the message's epoch.
    fn verify(
        &self,
        suite: &Suite<'_>,
        content: UnverifiedContent,
        epoch: Epoch,
    ) -> Result<Verified, Error> {
        let key = match content.sender() {
            Sender::Member(leaf) => self
                .leaf_in_epoch(epoch, leaf)
                .and_then(encoded_signature_key)
                .ok_or(Rejection::SenderNotMember(leaf))?,
            Sender::External(_) | Sender::NewMemberProposal | Sender::NewMemberCommit => {
                self.public.key_of_sender(&content)?
            }
        };
        let context = self.past.get(&epoch).map_or(self.context(), |past| &past.context);
        Ok(content.verify(suite, context, &key)?)
    }

    /// A refusal that deletes the key which the refused message consumed. If the fault is not the
    /// message's, the key stays, so that the message can be processed again.
    fn refuse(&self, error: Error, consumed: Consumed) -> Refused {
        if consumed.0.is_none() || !error.condemns() {
            return error.into();
        }
        let (mut delta, mut batch) = (Delta::default(), self.batch());
        consumed.put(&mut delta, &mut batch);
        let deletion = self.step(delta, batch, Event::KeyDeleted);
        Refused { error, key_deletion: Some(Box::new(deletion)) }
    }

    fn open_public(&self, suite: &Suite<'_>, message: PublicMessage) -> Result<Opened, Error> {
        let PublicMessage { content, .. } = &message;
        self.public.check_current(&content.group_id, content.epoch)?;
        let key = &self.secrets()?.membership_key;
        let content = open_public(suite, message, self.context(), Some(key))?;
        let epoch = self.epoch();
        Ok(Opened { content, epoch, generation: 0, consumed: Consumed::default() })
    }

    /// Opens a PrivateMessage; none for application data or a proposal that this client has sent.
    fn open_private(
        &self,
        suite: &Suite<'_>,
        message: &PrivateMessage,
    ) -> Result<Option<Opened>, Error> {
        let current = self.epoch();
        let epoch = message.epoch;
        match message.content_type {
            ContentType::Application => self.public.check_group(&message.group_id)?,
            ContentType::Proposal | ContentType::Commit => {
                self.public.check_current(&message.group_id, epoch)?;
            }
        }
        let wrong = || Error::from(Rejection::WrongEpoch { message: epoch, current });
        let sender_data_secret = match self.past.get(&epoch) {
            _ if epoch == current => &self.secrets()?.sender_data,
            Some(past) => &past.sender_data,
            None => return Err(wrong()),
        };
        let tree = self.secret_trees.get(&epoch).ok_or_else(wrong)?;
        let sender_data = open_sender_data(suite, message, sender_data_secret)?;
        let (sender, generation) = (sender_data.leaf_index, sender_data.generation);
        if self.leaf_in_epoch(epoch, sender).is_none() {
            return Err(Rejection::SenderNotMember(sender).into());
        }
        let kind = match message.content_type {
            ContentType::Application => RatchetKind::Application,
            ContentType::Proposal | ContentType::Commit => RatchetKind::Handshake,
        };
        // An own commit gets here only if it was given up. Then it is not known: its key is gone.
        if sender == self.own_leaf
            && message.content_type != ContentType::Commit
            && generation < tree.next_generation(sender, kind)
        {
            return Ok(None);
        }
        let (key, used) = tree.receive(suite, sender, kind, generation, self.limits().ratchet)?;
        let content = open_private(suite, message, &sender_data, key, &self.config().proposals)?;
        let consumed = Consumed(Some((epoch, used)));
        Ok(Some(Opened { content, epoch, generation, consumed }))
    }

    /// The step that gives out application data.
    fn receive_application(
        &self,
        content: VerifiedApplication,
        epoch: Epoch,
        generation: u32,
        consumed: Consumed,
    ) -> Result<Received, Error> {
        let leaf = content.sender();
        let node = self.leaf_in_epoch(epoch, leaf).ok_or(Rejection::SenderNotMember(leaf))?;
        let node = LeafNode::from_bytes(node)?;
        let (authenticated_data, data) = content.into_parts();

        let (mut delta, mut batch) = (Delta::default(), self.batch());
        consumed.put(&mut delta, &mut batch);
        let event = Event::Application(ApplicationMessage {
            sender: Member::of(leaf, &node),
            epoch,
            generation,
            authenticated_data,
            data: data.into_vec(),
        });
        Ok(Received::Application(self.step(delta, batch, event)))
    }

    fn receive_proposal(
        &self,
        suite: &Suite<'_>,
        content: VerifiedProposal,
        consumed: &mut Consumed,
    ) -> Result<Received, Error> {
        let revision = self.revision();
        if self.public.proposals.find(content.reference()).is_some() {
            if consumed.0.is_none() {
                return Ok(Received::Known);
            }
            let (credentials, consumed) = (Vec::new(), take(consumed));
            let stage = ProposalStage { revision, content, known: true, credentials, consumed };
            return Ok(Received::Proposal(stage));
        }
        let (sender, proposal) = (content.sender(), content.proposal());
        self.public.check_lone_proposal(suite, sender, proposal)?;
        let (context, tree) = (self.context(), &self.public.tree);
        let credentials = credential_requests(context, tree, sender, proposal)?;
        let consumed = take(consumed);
        let stage = ProposalStage { revision, content, known: false, credentials, consumed };
        Ok(Received::Proposal(stage))
    }

    fn receive_commit(
        &self,
        suite: &Suite<'_>,
        content: VerifiedCommit,
        consumed: &mut Consumed,
    ) -> Result<Received, Error> {
        let (sender, commit) = (content.content.sender, &content.content.commit);
        let list =
            self.public.commit_list(suite, sender, commit, Linking::Forbidden, Origin::Received)?;
        let credentials = self.public.commit_credentials(sender, &list, commit.path.as_deref())?;
        let psks = list
            .iter()
            .filter_map(|item| match &item.proposal {
                Proposal::PreSharedKey(id) => Some(id.clone()),
                _ => None,
            })
            .collect();
        let (revision, consumed) = (self.revision(), take(consumed));
        let stage = CommitStage { revision, content, list, credentials, psks, consumed };
        Ok(Received::Commit(stage))
    }

    /// A stage's message, refused by a rule of the application's own.
    fn refuse_by_policy(&self, revision: Revision, consumed: Consumed, reason: &str) -> Refused {
        match self.check_stage(revision) {
            Err(stale) => stale.into(),
            Ok(()) => {
                let error = Rejection::RefusedByPolicy { reason: reason.into() };
                self.refuse(error.into(), consumed)
            }
        }
    }

    /// Checks that a stage was computed from the current state.
    fn check_stage(&self, revision: Revision) -> Result<(), Error> {
        if self.revision().is(revision) { Ok(()) } else { Err(Misuse::Stale.into()) }
    }
}

impl ProposalStage {
    /// Who proposes.
    #[must_use]
    pub fn sender(&self) -> Sender {
        self.content.sender()
    }

    /// What is proposed.
    #[must_use]
    pub fn proposal(&self) -> &Proposal {
        self.content.proposal()
    }

    /// The message's authenticated data.
    #[must_use]
    pub fn authenticated_data(&self) -> &[u8] {
        self.content.authenticated_data()
    }

    /// The credentials to judge.
    #[must_use]
    pub fn credentials(&self) -> &[CredentialRequest] {
        &self.credentials
    }

    /// Refuses the proposal by a rule of the application's own: a stage that is only dropped leaves
    /// the key of an encrypted message undeleted (section 9.2).
    #[must_use]
    pub fn refuse(mut self, group: &Group, reason: &str) -> Refused {
        let consumed = take(&mut self.consumed);
        group.refuse_by_policy(self.revision, consumed, reason)
    }

    /// The step that caches the proposal, if all verdicts, one for each credential, accept.
    ///
    /// # Errors
    /// If one does not; or if the group has changed in the meantime.
    pub fn resolve(
        mut self,
        group: &Group,
        verdicts: &[Verdict],
    ) -> Result<Transition<Group>, Refused> {
        group.check_stage(self.revision)?;
        let mut consumed = take(&mut self.consumed);
        let step = self.step(group, verdicts, &mut consumed);
        step.map_err(|error| group.refuse(error, consumed))
    }

    fn step(
        self,
        group: &Group,
        verdicts: &[Verdict],
        consumed: &mut Consumed,
    ) -> Result<Transition<Group>, Error> {
        check_verdicts(&self.credentials, verdicts)?;
        let (mut delta, mut batch) = (Delta::default(), group.batch());
        if self.known {
            take(consumed).put(&mut delta, &mut batch);
            return Ok(group.step(delta, batch, Event::KeyDeleted));
        }
        let sender = self.sender();
        let (proposal, reference) = self.content.into_parts();
        let proposal_type = proposal.proposal_type();
        let listed = ListedProposal { sender, proposal, reference: Some(reference.clone()) };
        (_, delta.public) = group.public.cache_proposal(listed, &mut batch)?;
        take(consumed).put(&mut delta, &mut batch);
        let event = Event::ProposalReceived { sender, reference, proposal_type };
        Ok(group.step(delta, batch, event))
    }
}

impl CommitStage {
    /// Who commits.
    #[must_use]
    pub fn sender(&self) -> Sender {
        self.content.content.sender
    }

    /// The proposals that it commits, with who made each.
    pub fn proposals(&self) -> impl Iterator<Item = (Sender, &Proposal)> {
        self.list.iter().map(|item| (item.sender, &item.proposal))
    }

    /// The leaves of members that it removes.
    pub fn removes(&self) -> impl Iterator<Item = LeafIndex> {
        self.list.iter().filter_map(|item| match item.proposal {
            Proposal::Remove(leaf) => Some(leaf),
            _ => None,
        })
    }

    /// The message's authenticated data.
    #[must_use]
    pub fn authenticated_data(&self) -> &[u8] {
        &self.content.content.authenticated_data
    }

    /// The credentials to judge: of proposals by value and of the path. Those of proposals by
    /// reference were judged when they were received.
    #[must_use]
    pub fn credentials(&self) -> &[CredentialRequest] {
        &self.credentials
    }

    /// The PSKs that the commit injects. Resumption PSKs of this group need not be provided.
    #[must_use]
    pub fn psks(&self) -> &[PreSharedKeyId] {
        &self.psks
    }

    /// Refuses the commit by a rule of the application's own: a stage that is only dropped leaves
    /// the key of an encrypted message undeleted (section 9.2).
    #[must_use]
    pub fn refuse(mut self, group: &Group, reason: &str) -> Refused {
        let consumed = take(&mut self.consumed);
        group.refuse_by_policy(self.revision, consumed, reason)
    }

    /// The step into the new epoch, if all verdicts accept and the commit is valid.
    ///
    /// # Errors
    /// If one does not, a PSK is missing, or the commit breaks a rule; or if the group has changed
    /// in the meantime.
    pub fn resolve(
        mut self,
        group: &Group,
        provider: &dyn CryptoProvider,
        now: u64,
        answers: &Answers,
    ) -> Result<Transition<Group>, Refused> {
        group.check_stage(self.revision)?;
        let mut consumed = take(&mut self.consumed);
        let step = self.step(group, provider, now, answers, &mut consumed);
        step.map_err(|error| group.refuse(error, consumed))
    }

    fn step(
        self,
        group: &Group,
        provider: &dyn CryptoProvider,
        now: u64,
        answers: &Answers,
        consumed: &mut Consumed,
    ) -> Result<Transition<Group>, Error> {
        check_verdicts(&self.credentials, &answers.verdicts)?;
        let suite = group.suite(provider)?;
        let psks = match self.removes().any(|leaf| leaf == group.own_leaf) {
            true => Vec::new(),
            false => group.psk_values(&self.psks, &answers.psks)?,
        };
        let incoming = Incoming {
            now,
            content: &self.content,
            list: &self.list,
            source: PathSource::Received,
            psks: &psks,
        };
        let Advance { mut delta, mut batch, event } = group.advance(&suite, &incoming)?;
        take(consumed).put(&mut delta, &mut batch);
        Ok(group.step(delta, batch, event))
    }
}
