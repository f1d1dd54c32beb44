//! Receiving messages (sections 6, 12.1, 12.4.2 and 15.3).
//!
//! A message goes through stages. It is opened and its signature verified. The application is asked
//! what it has to decide: credentials and PSKs. With the answers the message becomes a transition.
//! A message that is rejected changes nothing, except that the key which it consumed is deleted.

use crate::app_data::AppDataRequest;
use crate::commit::advance::{Advance, Incoming, PathSource};
use crate::commit::validate::resolve_proposals;
use crate::credentials::{CredentialRequest, Verdict, check_verdicts};
use crate::error::{Error, Misuse, Rejection};
use crate::event::{
    ApplicationMessage, CachedProposal, Committed, EpochChange, Event, Member,
    TargetedApplicationMessage,
};
use crate::state::group::{Delta, Group, SecretTreeChange};
use crate::state::stored::put_secret_tree_rows;
use crate::store::rows::Batch;
use crate::transition::{Revision, State, Transition};
use crate::validate::app_data::app_data_requests;
use crate::validate::credentials::{commit_credentials, proposal_credentials};
use crate::validate::list::{CheckedList, Origin};
use crate::validate::proposal::{Linking, check_readable};
use crate::validate::safe_aad;
use crate::view::proposals::{ListedProposal, injected_psk};
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
    Bytes, ContentType, Decode, Epoch, GroupContext, LeafIndex, LeafNode, MlsMessageBody,
    PreSharedKeyId, PrivateMessage, Proposal, PskType, PublicMessage, Sender, UnixTime,
};
use core::mem::take;

/// A message that was refused.
///
/// It is not an [`Error`](core::error::Error), so `?` into a box of errors does not compile: apply
/// [`Self::key_deletion`] first, then act on [`Self::error`].
///
/// ```
#[doc = two_members!()]
/// use conclave_mls::error::Remedy;
///
/// # let step = alice.encrypt(&provider, &mut rng, b"once", &Default::default())?;
/// # let message = apply(&mut alice, step, |write| store.write(write))?;
/// # if let Ok(Received::Application(step)) = bob.process(&provider, now, &message) {
/// #     apply(&mut bob, step, |write| store.write(write))?;
/// # }
/// // A replay: its key is gone.
/// let refused = bob.process(&provider, now, &message).unwrap_err();
/// if let Some(step) = refused.key_deletion {
///     apply(&mut bob, *step, |write| store.write(write))?;
/// }
/// assert_eq!(refused.error.remedy(), Remedy::Drop);
/// # Done::Ok(())
/// ```
#[must_use = "the key of a refused message has to be deleted"]
#[derive(Debug)]
pub struct Refused {
    /// Why it was refused.
    pub error: Error,
    /// The step that deletes the message's key and does nothing else. There is one if the message
    /// was encrypted and its sender's signature verified, because then the key is consumed (section
    /// 9.2).
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

/// A received message, ready to be judged or applied: [`Group::process`] gives it.
#[must_use = "a message changes nothing until its step is applied"]
#[derive(Debug)]
#[non_exhaustive]
pub enum Received {
    /// Application data. Apply the step to see it.
    Application(Transition<Group, ApplicationMessage>),
    /// Data for us alone (draft-ietf-mls-targeted-messages-02). Apply the step to see it.
    Targeted(Transition<Group, TargetedApplicationMessage>),
    /// A proposal. Its credentials are to be judged.
    Proposal(ProposalStage),
    /// A commit. Its credentials are to be judged and its PSKs provided.
    Commit(CommitStage),
    /// Our own commit, which came back: the pending one or, in a group with
    /// [checkpoints](Group::checkpoint), any that we made in this epoch. It is the step into the new epoch.
    OwnCommit(Transition<Group, EpochChange>),
    /// A proposal of ours that is not cached any more, as after a [rewind](Group::rewind). The step caches it
    /// again.
    OwnProposal(Transition<Group, Option<CachedProposal>>),
    /// A message that we sent, or a proposal that we know already. There is nothing to do.
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

/// A proposal that is valid, apart from the application's verdicts on its credentials.
///
/// ```
#[doc = two_members!()]
/// # let step = alice.propose(&provider, &mut rng, now, carol, &Default::default())?;
/// # let message = apply(&mut alice, step, |write| store.write(write))?.message;
/// # let Ok(Received::Proposal(stage)) = bob.process(&provider, now, &message) else { panic!() };
/// // `stage` came from `Group::process`: ask the authentication service, then cache the proposal.
/// let verdicts: Vec<Verdict> = stage.credentials().iter().map(|_| Verdict::Accept).collect();
/// let step = stage.resolve(&bob, &verdicts).map_err(|refused| refused.error)?;
/// let cached = apply(&mut bob, step, |write| store.write(write))?;
/// assert!(cached.is_some());
/// # Done::Ok(())
/// ```
#[derive(Debug)]
pub struct ProposalStage {
    revision: Revision,
    content: VerifiedProposal,
    /// Whether it is cached already and came again under another key.
    known: bool,
    credentials: Vec<CredentialRequest>,
    consumed: Consumed,
}

/// A commit whose signature and proposals are valid, with questions to the application.
///
/// ```
#[doc = two_members!()]
/// use conclave_mls::group::{Answers, Committed};
///
/// # let options = conclave_mls::CommitOptions { proposals: vec![carol], ..Default::default() };
/// # let step = alice.commit(&provider, &mut rng, now, options)?;
/// # let message = apply(&mut alice, step, |write| store.write(write))?.commit;
/// # let Ok(Received::Commit(stage)) = bob.process(&provider, now, &message) else { panic!() };
/// // `stage` came from `Group::process`: judge the credentials, provide the PSKs, then follow.
/// let verdicts = stage.credentials().iter().map(|_| Verdict::Accept).collect();
/// let answers = Answers { verdicts, ..Answers::default() };
/// let step = stage.resolve(&bob, &provider, now, &answers).map_err(|refused| refused.error)?;
/// match apply(&mut bob, step, |write| store.write(write))? {
///     Committed::Epoch(change) => assert_eq!(change.added.len(), 1),
///     Committed::Removal(_) => println!("removed, if the others accept this commit"),
/// }
/// # Done::Ok(())
/// ```
#[derive(Debug)]
pub struct CommitStage {
    revision: Revision,
    content: VerifiedCommit,
    list: CheckedList,
    credentials: Vec<CredentialRequest>,
    psks: Vec<PreSharedKeyId>,
    app_data: Vec<AppDataRequest>,
    consumed: Consumed,
}

/// The application's answers to a [`CommitStage`], or to the commit in an
/// [`ObservedStage`](crate::ObservedStage).
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// One verdict for each of [`CommitStage::credentials`], in that order.
    pub verdicts: Vec<Verdict>,
    /// The PSKs of [`CommitStage::psks`], by their identifiers. An observer needs none.
    pub psks: Vec<(PskType, Secret)>,
    /// The new data of each of [`CommitStage::app_data`], in that order.
    pub app_data: Vec<Bytes>,
}

impl From<Vec<Verdict>> for Answers {
    fn from(verdicts: Vec<Verdict>) -> Self {
        Self { verdicts, ..Self::default() }
    }
}

/// An opened message, whose key is consumed.
struct Opened {
    content: UnverifiedContent,
    epoch: Epoch,
    generation: u32,
    consumed: Consumed,
}

/// # Receiving
impl Group {
    /// Opens and verifies a message to this group: an encoded MLSMessage.
    ///
    /// ```
    #[doc = two_members!()]
    /// use conclave_mls::credential::CredentialRequest;
    /// use conclave_mls::group::{Answers, Refused};
    ///
    /// /// Asks the authentication service.
    /// fn judge(asked: &[CredentialRequest]) -> Vec<Verdict> {
    ///     asked.iter().map(|_| Verdict::Accept).collect()
    /// }
    ///
    /// # let mut steps = vec![alice.encrypt(&provider, &mut rng, b"hello", &Default::default())?];
    /// # let message = apply(&mut alice, steps.remove(0), |write| store.write(write))?;
    /// # (|| {
    /// let step = match bob.process(&provider, now, &message)? {
    ///     Received::Application(step) => step.untyped(),
    ///     Received::Targeted(step) => step.untyped(),
    ///     Received::OwnCommit(step) => step.untyped(),
    ///     Received::Proposal(stage) => {
    ///         let verdicts = judge(stage.credentials());
    ///         stage.resolve(&bob, &verdicts)?.untyped()
    ///     }
    ///     Received::Commit(stage) => {
    ///         let verdicts = judge(stage.credentials());
    ///         let answers = Answers { verdicts, ..Answers::default() };
    ///         stage.resolve(&bob, &provider, now, &answers)?.untyped()
    ///     }
    ///     _ => return Ok(()), // known already
    /// };
    /// match apply(&mut bob, step, |write| store.write(write)) {
    ///     Ok(Event::Application(message)) => assert_eq!(message.data, b"hello"),
    ///     Ok(Event::Epoch(change)) => println!("epoch {}", change.epoch),
    ///     Ok(_) => {}
    ///     Err(error) => panic!("{error}"),
    /// }
    /// # Ok::<_, Refused>(())
    /// # })().unwrap();
    /// # Done::Ok(())
    /// ```
    ///
    /// # Errors
    /// If it is malformed, does not open or verify, or is of another group or epoch.
    pub fn process(
        &self,
        provider: &dyn CryptoProvider,
        now: UnixTime,
        message: &[u8],
    ) -> Result<Received, Refused> {
        let suite = self.suite(provider)?;
        self.secrets()?;

        if let Some(own) = self.own_commit(|own| own.messages.commit == message) {
            return Ok(Received::OwnCommit(self.follow_own(provider, now, own)?));
        }
        if let Some(own) = self.own_proposal(message) {
            let step = self.propose_again(&suite, own)?;
            return Ok(step.map_or(Received::Known, Received::OwnProposal));
        }

        let opened = match self.public.decode_message(message)? {
            MlsMessageBody::PublicMessage(message) => self.open_public(&suite, *message)?,
            MlsMessageBody::PrivateMessage(message) => {
                match self.open_private(&suite, &message)? {
                    Some(opened) => opened,
                    None => return Ok(Received::Known),
                }
            }
            MlsMessageBody::TargetedMessage(message) => {
                return Ok(Received::Targeted(self.receive_targeted(&suite, &message)?));
            }
            MlsMessageBody::Welcome(_)
            | MlsMessageBody::GroupInfo(_)
            | MlsMessageBody::KeyPackage(_) => return Err(Rejection::UnexpectedMessage.into()),
        };

        // Every member can encrypt with another's keys. So a message that does not verify changes
        // nothing: otherwise it would consume a key that its owner has yet to send with.
        let Opened { content, epoch, generation, mut consumed } = opened;
        let verified = self.verify(&suite, content, epoch)?;
        let extensions = &self.context_in(epoch).extensions;
        if let Err(error) = safe_aad::check_received(extensions, verified.authenticated_data()) {
            return Err(self.refuse(error, consumed));
        }
        let received = match verified {
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
        Ok(content.verify(suite, self.context_in(epoch), &key)?)
    }

    /// The context of the current epoch or of a past one that is kept.
    fn context_in(&self, epoch: Epoch) -> &GroupContext {
        self.past.get(&epoch).map_or(self.context(), |past| &past.context)
    }

    /// A refusal that deletes the key which the message consumed. If the message is not at fault,
    /// the key stays, so that the message can be processed again.
    fn refuse(&self, error: Error, consumed: Consumed) -> Refused {
        if consumed.0.is_none() || !error.condemns() {
            return error.into();
        }

        let mut delta = Delta::default();
        let mut batch = self.batch();
        consumed.put(&mut delta, &mut batch);
        let deletion = self.silent_step(delta, batch, Event::KeyDeleted);
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

    /// Opens a PrivateMessage. None for application data or a proposal that we sent.
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

        // Section 6.3.2: the sender data, with the secrets of the message's epoch.
        let wrong = || Error::from(Rejection::WrongEpoch { message: epoch, current });
        let sender_data_secret = match self.past.get(&epoch) {
            _ if epoch == current => &self.secrets()?.sender_data,
            Some(past) => &past.sender_data,
            None => return Err(wrong()),
        };
        let tree = self.secret_trees.get(&epoch).ok_or_else(wrong)?;
        let sender_data = open_sender_data(suite, message, sender_data_secret)?;
        let sender = sender_data.leaf_index;
        let generation = sender_data.generation;
        if self.leaf_in_epoch(epoch, sender).is_none() {
            return Err(Rejection::SenderNotMember(sender).into());
        }

        // Section 6.3.1: the content, with the key of its generation.
        let kind = match message.content_type {
            ContentType::Application => RatchetKind::Application,
            ContentType::Proposal | ContentType::Commit => RatchetKind::Handshake,
        };
        // A commit of ours gets here only if it was given up. It is not known then, and its key is
        // gone.
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

        let mut delta = Delta::default();
        let mut batch = self.batch();
        consumed.put(&mut delta, &mut batch);
        let message = ApplicationMessage {
            sender: Member::of(leaf, &node),
            epoch,
            generation,
            authenticated_data,
            data: data.into_vec(),
        };
        Ok(Received::Application(self.step(delta, batch, message)))
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
            let credentials = Vec::new();
            let consumed = take(consumed);
            let stage = ProposalStage { revision, content, known: true, credentials, consumed };
            return Ok(Received::Proposal(stage));
        }

        let sender = content.sender();
        let proposal = content.proposal();
        check_readable(proposal, consumed.0.is_some())?;
        self.public.check_lone_proposal(suite, sender, proposal)?;
        let credentials = proposal_credentials(self.view(), sender, proposal)?;
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
        let sender = content.content.sender;
        let commit = &content.content.commit;
        let view = self.view();
        let linking = Linking::Forbidden;
        let list = resolve_proposals(view, suite, sender, commit, linking, Origin::Received)?;

        let credentials = commit_credentials(view, sender, &list, commit.path.as_deref())?;
        let psks = list.iter().filter_map(|item| injected_psk(&item.proposal).cloned()).collect();
        let app_data = app_data_requests(view, &list)?;
        let revision = self.revision();
        let consumed = take(consumed);
        let stage = CommitStage { revision, content, list, credentials, psks, app_data, consumed };
        Ok(Received::Commit(stage))
    }

    /// Refuses a stage's message by a rule of the application's own.
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
    /// The proposer.
    #[must_use]
    pub fn sender(&self) -> Sender {
        self.content.sender()
    }

    /// The proposal.
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

    /// Refuses the proposal by a rule of the application's own. A stage that is dropped instead
    /// leaves the key of an encrypted message undeleted (section 9.2).
    pub fn refuse(mut self, group: &Group, reason: &str) -> Refused {
        let consumed = take(&mut self.consumed);
        group.refuse_by_policy(self.revision, consumed, reason)
    }

    /// The step that caches the proposal, if all verdicts accept. There is one for each credential,
    /// in order.
    ///
    /// # Errors
    /// If a verdict does not accept, or the group has changed in the meantime.
    pub fn resolve(
        mut self,
        group: &Group,
        verdicts: &[Verdict],
    ) -> Result<Transition<Group, Option<CachedProposal>>, Refused> {
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
    ) -> Result<Transition<Group, Option<CachedProposal>>, Error> {
        check_verdicts(&self.credentials, verdicts)?;
        let mut delta = Delta::default();
        let mut batch = group.batch();
        if self.known {
            take(consumed).put(&mut delta, &mut batch);
            return Ok(group.step(delta, batch, None));
        }

        let sender = self.sender();
        let (proposal, reference) = self.content.into_parts();
        let proposal_type = proposal.proposal_type();
        let listed = ListedProposal { sender, proposal, reference: Some(reference.clone()) };
        (_, delta.public) = group.public.cache_proposal(listed, &mut batch)?;
        take(consumed).put(&mut delta, &mut batch);
        let cached = CachedProposal { sender, reference, proposal_type };
        Ok(group.step(delta, batch, Some(cached)))
    }
}

impl CommitStage {
    /// The committer.
    #[must_use]
    pub fn sender(&self) -> Sender {
        self.content.content.sender
    }

    /// The proposals that it commits, each with its proposer.
    pub fn proposals(&self) -> impl Iterator<Item = (Sender, &Proposal)> {
        self.list.iter().map(|item| (item.sender, &item.proposal))
    }

    /// The leaves of members that it removes.
    pub fn removes(&self) -> impl Iterator<Item = LeafIndex> {
        self.list.iter().filter_map(ListedProposal::removed_leaf)
    }

    /// The message's authenticated data.
    #[must_use]
    pub fn authenticated_data(&self) -> &[u8] {
        &self.content.content.authenticated_data
    }

    /// The credentials to judge: those of proposals by value and of the path. Those of proposals by
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

    /// The components whose data the commit updates, in ascending order
    /// (draft-ietf-mls-extensions-10). Each decides what its updates mean: the answer is its new data.
    /// If it does not know the component or finds an update invalid, [refuse](Self::refuse) the commit.
    #[must_use]
    pub fn app_data(&self) -> &[AppDataRequest] {
        &self.app_data
    }

    /// Refuses the commit by a rule of the application's own. A stage that is dropped instead
    /// leaves the key of an encrypted message undeleted (section 9.2).
    pub fn refuse(mut self, group: &Group, reason: &str) -> Refused {
        let consumed = take(&mut self.consumed);
        group.refuse_by_policy(self.revision, consumed, reason)
    }

    /// The step into the new epoch, if all verdicts accept and the commit is valid.
    ///
    /// # Errors
    /// If a verdict does not accept, a PSK or a component's data is missing, the commit breaks a rule,
    /// or the group has changed in the meantime.
    pub fn resolve(
        mut self,
        group: &Group,
        provider: &dyn CryptoProvider,
        now: UnixTime,
        answers: &Answers,
    ) -> Result<Transition<Group, Committed>, Refused> {
        group.check_stage(self.revision)?;
        let mut consumed = take(&mut self.consumed);
        let step = self.step(group, provider, now, answers, &mut consumed);
        step.map_err(|error| group.refuse(error, consumed))
    }

    fn step(
        mut self,
        group: &Group,
        provider: &dyn CryptoProvider,
        now: UnixTime,
        answers: &Answers,
        consumed: &mut Consumed,
    ) -> Result<Transition<Group, Committed>, Error> {
        check_verdicts(&self.credentials, &answers.verdicts)?;
        self.list.answer(answers.app_data.clone())?;
        let suite = group.suite(provider)?;
        let psks = if self.removes().any(|leaf| leaf == group.own_leaf) {
            Vec::new()
        } else {
            group.psk_values(&self.psks, &answers.psks)?
        };

        let incoming = Incoming {
            now,
            content: &self.content,
            list: &self.list,
            source: PathSource::Received,
            psks: &psks,
        };
        let Advance { mut delta, mut batch, outcome } = group.advance(&suite, &incoming)?;
        take(consumed).put(&mut delta, &mut batch);
        Ok(group.step(delta, batch, outcome))
    }
}
