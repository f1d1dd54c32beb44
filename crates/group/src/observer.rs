//! An observer: it follows a group from its public messages, without secrets.
//!
//! It validates proposals and commits as a member does, apart from what takes the group's secrets:
//! membership tags, path secrets and confirmation tags. Delivery services run it.

use crate::app_data::AppDataRequest;
use crate::commit::validate::{resolve_proposals, validate_commit};
use crate::config::Config;
use crate::credentials::{CredentialRequest, Verdict, check_verdicts};
use crate::error::{Error, Misuse, Rejection};
use crate::event::{CachedProposal, EpochChange, Member};
use crate::external_target::ExternalTarget;
use crate::group_info::{GroupInfoMisfit, can_be_joined_by, group_info_misfits};
use crate::join::by_welcome::verified_state;
use crate::join::external::decode_group_info;
use crate::policy::covering::left_out;
use crate::policy::{Proposed, ProposedCommit};
use crate::process::Answers;
use crate::state::group::{Group, Status};
use crate::state::public::{PublicDelta, PublicState};
use crate::store::row_codec::{Ledger, StoredRows, count_after, named, nothing_left, tree_size};
use crate::store::rows::{Batch, RowKey, Table};
use crate::transition::{Change, Fold, Outcome, Revision, Sealed, State, Transition};
use crate::validate::app_data::app_data_requests;
use crate::validate::credentials::join_credentials;
use crate::validate::credentials::{commit_credentials, proposal_credentials};
use crate::validate::list::{CheckedList, Origin};
use crate::validate::proposal::{Linking, check_supported};
use crate::view::GroupView;
use crate::view::epoch::PublicEpoch;
use crate::view::proposals::{ListedProposal, PendingProposal, leaving_member};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use conclave_crypto::{CryptoProvider, Secret, Suite};
use conclave_framing::{Verified, VerifiedCommit, VerifiedProposal};
use conclave_tree::{RatchetTree, TreeRead};
use conclave_wire::{
    Encode, Epoch, GroupContext, GroupId, GroupInfo, LeafIndex, Proposal, Reader, Sender, TreeSize,
    Writer,
};

/// The public state of a group, followed without its secrets.
///
/// ```
#[doc = two_members!()]
/// use conclave_mls::observe::{ObserverEvent, ObserverStage};
///
/// # let options = conclave_mls::GroupInfoOptions { ratchet_tree: true, external_pub: true };
/// # let info = alice.group_info(&provider, options)?;
/// # let step = alice.commit(&provider, &mut rng, now, Default::default())?;
/// # let message = apply(&mut alice, step, |write| store.write(write))?.commit;
/// # let accept_all = |n: usize| vec![Verdict::Accept; n];
/// let stage = ObserverStage::open(&provider, Config::default(), &info, None)?;
/// let verdicts = accept_all(stage.credentials().len());
/// let mut observer = stage.resolve(&verdicts)?;
///
/// let stage = observer.process(&provider, &message)?;
/// let answers = accept_all(stage.credentials().len()).into();
/// let step = stage.resolve(&observer, &provider, &answers)?;
/// match apply(&mut observer, step, |write| store.write(write))? {
///     ObserverEvent::Epoch(change) => println!("epoch {}", change.epoch),
///     _ => {}
/// }
/// # Done::Ok(())
/// ```
#[derive(Debug)]
pub struct Observer {
    pub(crate) public: PublicState,
    group_info: Option<Vec<u8>>,
    revision: Revision,
}

/// A change of an [`Observer`].
#[derive(Debug, Default)]
pub struct ObserverDelta {
    public: PublicDelta,
    group_info: Change<Vec<u8>>,
}

/// The outcome of an observer's transition.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
// It is given out once and not kept in lists, so a box would only cost.
#[allow(clippy::large_enum_variant)]
pub enum ObserverEvent {
    /// A proposal was cached.
    ProposalReceived(CachedProposal),
    /// A commit was applied.
    Epoch(EpochChange),
    /// A GroupInfo of the current epoch was taken.
    GroupInfo,
}

impl Outcome<ObserverEvent> for ObserverEvent {
    fn from_event(event: ObserverEvent) -> Self {
        event
    }
}

impl Sealed for Observer {}

impl State for Observer {
    type Delta = ObserverDelta;
    type Event = ObserverEvent;

    fn swap(&mut self, delta: &mut ObserverDelta) {
        self.public.swap(&mut delta.public);
        delta.group_info.swap(&mut self.group_info);
    }

    fn revision(&self) -> Revision {
        self.revision
    }

    fn revision_mut(&mut self) -> &mut Revision {
        &mut self.revision
    }
}

/// A group that is valid, apart from the application's verdicts on its members' credentials.
/// [`Observer`] has an example.
#[derive(Debug)]
pub struct ObserverStage {
    observer: Observer,
    credentials: Vec<CredentialRequest>,
}

/// A verified message to a group, whose credentials are to be judged.
#[derive(Debug)]
pub struct ObservedStage {
    revision: Revision,
    checked: Checked,
    credentials: Vec<CredentialRequest>,
    app_data: Vec<AppDataRequest>,
}

/// A message that was checked.
#[derive(Debug)]
enum Checked {
    /// A valid proposal.
    Proposal(VerifiedProposal),
    /// A commit, and its proposals, which are a valid list.
    Commit(VerifiedCommit, CheckedList),
}

impl ObserverStage {
    /// Verifies a GroupInfo, an encoded MLSMessage, and the ratchet tree, which is in it or given
    /// separately.
    ///
    /// # Errors
    /// If one of them breaks a rule, or the provider does not support the suite.
    pub fn open(
        provider: &dyn CryptoProvider,
        config: Config,
        group_info: &[u8],
        ratchet_tree: Option<&[u8]>,
    ) -> Result<Self, Error> {
        let info = decode_group_info(&config.limits, group_info)?;
        let suite = Suite::new(provider, info.group_context.cipher_suite)?;

        // A GroupInfo that nobody can join by is good enough to observe. It is not passed on.
        let joinable = match can_be_joined_by(&suite, &info) {
            Ok(_) => true,
            Err(Error::Rejected(_) | Error::Malformed(_)) => false,
            Err(other) => return Err(other),
        };

        let public = verified_state(&suite, config, info, ratchet_tree)?;
        let credentials = join_credentials(public.view(), None)?;
        let group_info = joinable.then(|| group_info.to_vec());
        let observer = Observer { public, group_info, revision: Revision::first() };
        Ok(Self { observer, credentials })
    }

    /// The credentials to judge: those of all members and external senders.
    #[must_use]
    pub fn credentials(&self) -> &[CredentialRequest] {
        &self.credentials
    }

    /// The observer, if all verdicts accept. There is one for each credential, in order. Store
    /// [`Observer::rows`] before relying on it.
    ///
    /// # Errors
    /// If a verdict does not accept.
    pub fn resolve(self, verdicts: &[Verdict]) -> Result<Observer, Error> {
        check_verdicts(&self.credentials, verdicts)?;
        Ok(self.observer)
    }
}

/// # Following from outside
impl Group {
    /// An observer that goes on from this group's current epoch, with the proposals that are cached here, and under the
    /// same rules. It follows commits whose keys this member cannot derive, as a delivery service follows them: to judge
    /// what it misses before it joins from outside.
    ///
    /// It takes each commit's confirmation tag as given. [`Observer::group_info_misfits`] says whether a GroupInfo is
    /// of the group that the commits have led to.
    ///
    /// ```
    #[doc = two_members!()]
    /// let mut observer = bob.observer()?;
    /// # let step = alice.commit(&provider, &mut rng, now, Default::default())?;
    /// # let sent = apply(&mut alice, step, |write| store.write(write))?;
    /// # let step = alice.commit_accepted(&provider, now, &sent.id)?;
    /// # apply(&mut alice, step, |write| store.write(write))?;
    /// # let message = sent.commit;
    ///
    /// // `message` is a commit that bob cannot follow.
    /// let stage = observer.process(&provider, &message)?;
    /// let verdicts: Vec<_> = stage.credentials().iter().map(|_| Verdict::Accept).collect();
    /// let step = stage.resolve(&observer, &provider, &verdicts.into())?;
    /// // It is not stored.
    /// apply(&mut observer, step, |_| Ok::<_, core::convert::Infallible>(()))?;
    ///
    /// # let options = conclave_mls::GroupInfoOptions { ratchet_tree: true, external_pub: true };
    /// # let info = alice.group_info(&provider, options)?;
    /// // `info` is what bob would join by.
    /// assert!(observer.group_info_misfits(&provider, &info)?.is_empty());
    /// # Done::Ok(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse::Deleted`] if the state was deleted.
    pub fn observer(&self) -> Result<Observer, Error> {
        if self.status() == Status::Deleted {
            return Err(Misuse::Deleted.into());
        }
        let (public, group_info) = (self.public.clone(), None);
        Ok(Observer { public, group_info, revision: Revision::first() })
    }
}

/// # Looking
impl Observer {
    /// The public state, which members and observers have in common: context, tree, members, cached
    /// proposals.
    #[must_use]
    pub fn view(&self) -> GroupView<'_> {
        self.public.view()
    }

    /// The group's identifier.
    #[must_use]
    pub fn group_id(&self) -> &GroupId {
        &self.public.epoch.context.group_id
    }

    /// The current epoch.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.public.epoch.context.epoch
    }

    /// The current epoch's context.
    #[must_use]
    pub fn context(&self) -> &GroupContext {
        &self.public.epoch.context
    }

    /// The ratchet tree. [`TreeRead::to_extension_bytes`] encodes it for clients that join.
    #[must_use]
    pub fn tree(&self) -> &RatchetTree {
        &self.public.tree
    }

    /// The members, by ascending leaf.
    pub fn members(&self) -> impl Iterator<Item = Member> {
        self.view().members()
    }

    /// The proposals that wait for a commit, by order of arrival.
    pub fn proposals(&self) -> impl Iterator<Item = PendingProposal<'_>> {
        self.view().proposals()
    }

    /// What an outsider must know about the group to send it proposals.
    #[must_use]
    pub fn external_target(&self) -> ExternalTarget {
        ExternalTarget::of(self.context(), &self.public.config)
    }

    /// The GroupInfo of the current epoch, an encoded MLSMessage, if a member has given one.
    #[must_use]
    pub fn group_info(&self) -> Option<&[u8]> {
        self.group_info.as_deref()
    }
}

/// # Following
impl Observer {
    /// Begins a fold: many transitions with one write.
    pub fn fold(&mut self) -> Fold<'_, Self> {
        let batch = Batch::new(self.group_id().clone());
        Fold::new(self, batch)
    }

    /// Verifies a PublicMessage to this group, an encoded MLSMessage.
    ///
    /// # Errors
    /// If it is malformed, does not verify, or is of another group or epoch. A PrivateMessage
    /// cannot be followed.
    pub fn process(
        &self,
        provider: &dyn CryptoProvider,
        message: &[u8],
    ) -> Result<ObservedStage, Error> {
        let suite = Suite::new(provider, self.context().cipher_suite)?;
        let (checked, credentials, app_data) = match self.public.verify(&suite, message)? {
            Verified::Proposal(content) => {
                let sender = content.sender();
                let proposal = content.proposal();
                // A proposal that is cached already takes no more room.
                if self.public.proposals.find(content.reference()).is_none() {
                    self.public.check_lone_proposal(&suite, sender, proposal)?;
                }
                let credentials = proposal_credentials(self.view(), sender, proposal)?;
                (Checked::Proposal(content), credentials, Vec::new())
            }
            Verified::Commit(content) => {
                let sender = content.content.sender;
                let commit = &content.content.commit;
                let linking = Linking::observed(self.epoch(), sender);
                let view = self.view();
                let list =
                    resolve_proposals(view, &suite, sender, commit, linking, Origin::Received)?;
                let path = commit.path.as_deref();
                let credentials = commit_credentials(view, sender, &list, path)?;
                let app_data = app_data_requests(view, &list)?;
                (Checked::Commit(content, list), credentials, app_data)
            }
            Verified::Application(_) => return Err(Rejection::UnexpectedMessage.into()),
        };
        Ok(ObservedStage { revision: self.revision, checked, credentials, app_data })
    }

    /// Takes a GroupInfo of the current epoch, an encoded MLSMessage, from a member, for clients
    /// that join from outside.
    ///
    /// A later one must name the same `external_pub` as the first of its epoch, so that no member
    /// can replace a good one by one that keeps newcomers out. Only members can tell whether the
    /// first is right: take it from the committer, together with the commit. A wrong one keeps
    /// newcomers out until the next epoch.
    ///
    /// ```
    #[doc = two_members!()]
    /// # let options = conclave_mls::GroupInfoOptions { ratchet_tree: true, external_pub: true };
    /// # let first = alice.group_info(&provider, options)?;
    /// # let verdicts = [Verdict::Accept, Verdict::Accept];
    /// # let stage = conclave_mls::ObserverStage::open(&provider, Config::default(), &first, None)?;
    /// # let mut observer = stage.resolve(&verdicts)?;
    /// # let info = bob.group_info(&provider, options)?;
    /// let step = observer.take_group_info(&provider, &info)?;
    /// apply(&mut observer, step, |write| store.write(write))?;
    /// assert_eq!(observer.group_info(), Some(&info[..]));
    /// # Done::Ok(())
    /// ```
    ///
    /// # Errors
    /// If it is not of this epoch, is not signed by a member, holds another ratchet tree than the
    /// group's, or nobody can join by it.
    pub fn take_group_info(
        &self,
        provider: &dyn CryptoProvider,
        group_info: &[u8],
    ) -> Result<Transition<Self>, Error> {
        let suite = Suite::new(provider, self.context().cipher_suite)?;
        let info = decode_group_info(&self.public.config.limits, group_info)?;

        if let Some(first) = self.misfits(&suite, &info)?.into_iter().next() {
            return Err(first.error);
        }

        let mut batch = Batch::new(self.group_id().clone());
        batch.put(RowKey::new(Table::GroupInfo, 0), group_info);
        let delta = ObserverDelta {
            group_info: Change::Set(group_info.to_vec()),
            ..ObserverDelta::default()
        };
        self.put_ledger(&delta, &mut batch);
        Ok(Transition::silent(self, delta, batch, ObserverEvent::GroupInfo))
    }

    /// All in which a GroupInfo, an encoded MLSMessage, does not fit this state: for whoever wants to know why
    /// [`Self::take_group_info`] refuses it. Of one of another group, suite or epoch, the GroupContext alone is
    /// compared. It is signed by whoever made it, so believe no more of it than that.
    ///
    /// # Errors
    /// If it is malformed or breaks a rule by itself, whatever the state.
    pub fn group_info_misfits(
        &self,
        provider: &dyn CryptoProvider,
        group_info: &[u8],
    ) -> Result<Vec<GroupInfoMisfit>, Error> {
        let suite = Suite::new(provider, self.context().cipher_suite)?;
        let info = decode_group_info(&self.public.config.limits, group_info)?;
        self.misfits(&suite, &info)
    }

    fn misfits(&self, suite: &Suite<'_>, info: &GroupInfo) -> Result<Vec<GroupInfoMisfit>, Error> {
        // It must not contradict an earlier one of its epoch.
        let before = self.group_info.as_deref().map(|before| {
            let before = decode_group_info(&self.public.config.limits, before)?;
            can_be_joined_by(suite, &before)
        });
        group_info_misfits(suite, &self.public, before.transpose()?.as_ref(), info)
    }
}

/// # Storing
impl Observer {
    /// All rows of the observer: what a store holds after every batch so far.
    ///
    /// # Errors
    /// None for an observer that could be stored before.
    pub fn rows(&self) -> Result<Batch, Error> {
        let mut batch = Batch::new(self.group_id().clone());
        batch.clear = true;
        let header = observer_header(&self.public.epoch, self.public.tree.size())?;
        batch.put(RowKey::new(Table::ObserverHeader, 0), &header);
        self.public.put_rows(&mut batch)?;
        self.ledger().put(&mut batch);
        if let Some(info) = &self.group_info {
            batch.put(RowKey::new(Table::GroupInfo, 0), info);
        }
        Ok(batch)
    }

    /// An observer from its stored rows, in any order.
    ///
    /// # Errors
    /// [`Error::Storage`] if a row is damaged or missing, or does not fit the others: the text
    /// names it.
    pub fn load(
        provider: &dyn CryptoProvider,
        config: Config,
        rows: impl IntoIterator<Item = (RowKey, Secret)>,
    ) -> Result<Self, Error> {
        let rows = StoredRows::new(rows);
        let mut r = Reader::new(rows.single(Table::ObserverHeader)?);
        let header = PublicEpoch::decode(&mut r)
            .and_then(|epoch| Ok((epoch, tree_size(&mut r)?)))
            .and_then(|header| nothing_left(&r).map(|()| header));
        let (epoch, size) = named(&RowKey::new(Table::ObserverHeader, 0), header)?;
        rows.check(&epoch.context.group_id)?;
        let suite = Suite::new(provider, epoch.context.cipher_suite)?;
        let public = PublicState::from_rows(&suite, config, epoch, size, &rows)?;
        let info = rows.of(Table::GroupInfo).next().map(|(_, row)| row.to_vec());
        let observer = Self { public, group_info: info, revision: Revision::first() };
        observer.ledger().check(&rows)?;
        Ok(observer)
    }
}

impl Observer {
    fn ledger(&self) -> Ledger {
        Ledger {
            proposals: u32::try_from(self.public.proposals.len()).unwrap_or(u32::MAX),
            single: self.group_info.is_some(),
            policy: !self.public.epoch.policy.is_empty(),
            ..Ledger::default()
        }
    }

    /// A step of this state.
    fn step(
        &self,
        delta: ObserverDelta,
        mut batch: Batch,
        event: ObserverEvent,
    ) -> Transition<Self, ObserverEvent> {
        self.put_ledger(&delta, &mut batch);
        Transition::new(self, delta, batch, event)
    }

    /// Writes the count of the rows if the step changes it.
    fn put_ledger(&self, delta: &ObserverDelta, batch: &mut Batch) {
        let proposals = &self.public.proposals;
        let has = |place: &u64| proposals.has(*place);
        let ledger = Ledger {
            proposals: count_after(proposals.len(), has, delta.public.proposals.iter()),
            single: delta.group_info.is_some_after(self.group_info.is_some()),
            policy: !delta.public.epoch.as_ref().unwrap_or(&self.public.epoch).policy.is_empty(),
            ..Ledger::default()
        };
        if ledger != self.ledger() {
            ledger.put(batch);
        }
    }
}

fn observer_header(epoch: &PublicEpoch, size: TreeSize) -> Result<Vec<u8>, Error> {
    let mut w = Writer::new();
    epoch.encode(&mut w)?;
    size.leaf_count().encode(&mut w)?;
    Ok(w.finish())
}

impl ObservedStage {
    /// The sender of the message.
    #[must_use]
    pub fn sender(&self) -> Sender {
        match &self.checked {
            Checked::Proposal(content) => content.sender(),
            Checked::Commit(content, _) => content.content.sender,
        }
    }

    /// Whether the message is a commit. Otherwise it is a proposal.
    #[must_use]
    pub fn is_commit(&self) -> bool {
        matches!(self.checked, Checked::Commit(..))
    }

    /// The proposals of a commit, or the proposal, each with its proposer.
    pub fn proposals(&self) -> impl Iterator<Item = (Sender, &Proposal)> {
        let (list, own) = match &self.checked {
            Checked::Commit(_, list) => (list.iter(), None),
            Checked::Proposal(content) => ([].iter(), Some((content.sender(), content.proposal()))),
        };
        list.map(|item| (item.sender, &item.proposal)).chain(own)
    }

    /// Those of these pending proposals of the observer's that a commit leaves out, though it would be valid with
    /// each of them: neither are they in it, nor does something in it take their place. An external commit can
    /// hold SelfRemoves alone. PSKs and updates of components are not counted: who commits may lack what they take.
    ///
    /// Section 12.4 asks a committer to take all proposals that it has received; whether a commit that does not is
    /// refused is the caller's decision.
    #[must_use]
    pub fn left_out<'a>(
        &self,
        observer: &'a Observer,
        pending: impl Iterator<Item = PendingProposal<'a>>,
    ) -> Vec<PendingProposal<'a>> {
        let Checked::Commit(content, list) = &self.checked else { return Vec::new() };
        let sender = content.content.sender;
        match sender {
            Sender::Member(committer) => {
                let path = content.content.commit.path.as_deref();
                let proposals = list.iter().map(Proposed::from).collect();
                let leaf = path.map(|path| &path.leaf_node);
                let commit = ProposedCommit { sender, proposals, leaf };
                left_out(observer.view(), committer, &commit, pending).collect()
            }
            Sender::NewMemberCommit => {
                let removed: BTreeSet<LeafIndex> =
                    list.iter().filter_map(ListedProposal::removed_leaf).collect();
                let stays = |item: &PendingProposal<'a>| {
                    matches!(item.proposal, Proposal::SelfRemove(_))
                        && leaving_member(item.sender).is_some_and(|leaf| !removed.contains(&leaf))
                        && check_supported(observer.view(), item.proposal).is_ok()
                };
                pending.filter(stays).collect()
            }
            Sender::External(_) | Sender::NewMemberProposal => Vec::new(),
        }
    }

    /// The message's authenticated data.
    #[must_use]
    pub fn authenticated_data(&self) -> &[u8] {
        match &self.checked {
            Checked::Proposal(content) => content.authenticated_data(),
            Checked::Commit(content, _) => &content.content.authenticated_data,
        }
    }

    /// The credentials to judge.
    #[must_use]
    pub fn credentials(&self) -> &[CredentialRequest] {
        &self.credentials
    }

    /// The components whose data a commit updates, as in
    /// [`CommitStage::app_data`](crate::CommitStage::app_data). If the observer does not know what the
    /// updates mean, the committer has to tell it the new data, which nobody but members can check.
    #[must_use]
    pub fn app_data(&self) -> &[AppDataRequest] {
        &self.app_data
    }

    /// The step that caches the proposal or applies the commit, if all verdicts accept. There is
    /// one for each credential, in order.
    ///
    /// # Errors
    /// If a verdict does not accept, a component's data is missing, the commit breaks a rule, or the
    /// observer has changed in the meantime.
    pub fn resolve(
        self,
        observer: &Observer,
        provider: &dyn CryptoProvider,
        answers: &Answers,
    ) -> Result<Transition<Observer, ObserverEvent>, Error> {
        if !observer.revision.is(self.revision) {
            return Err(Misuse::Stale.into());
        }
        check_verdicts(&self.credentials, &answers.verdicts)?;

        match self.checked {
            Checked::Proposal(content) => observer.cache(content),
            Checked::Commit(content, mut list) => {
                list.answer(answers.app_data.clone())?;
                let suite = Suite::new(provider, observer.context().cipher_suite)?;
                observer.follow(&suite, &content, &list)
            }
        }
    }
}

impl Observer {
    /// The step that caches a proposal.
    fn cache(&self, content: VerifiedProposal) -> Result<Transition<Self, ObserverEvent>, Error> {
        let sender = content.sender();
        let (proposal, reference) = content.into_parts();
        let proposal_type = proposal.proposal_type();

        let mut batch = Batch::new(self.group_id().clone());
        let listed = ListedProposal { sender, proposal, reference: Some(reference.clone()) };
        let (_, public) = self.public.cache_proposal(listed, &mut batch)?;
        let delta = ObserverDelta { public, group_info: Change::Keep };
        let cached = CachedProposal { sender, reference, proposal_type };
        Ok(self.step(delta, batch, ObserverEvent::ProposalReceived(cached)))
    }

    /// The step into the epoch that a commit begins.
    fn follow(
        &self,
        suite: &Suite<'_>,
        content: &VerifiedCommit,
        list: &CheckedList,
    ) -> Result<Transition<Self, ObserverEvent>, Error> {
        let sender = content.content.sender;
        let view = self.view();
        let policy = &*self.public.config.policy;
        let path = content.content.commit.path.as_deref();
        let mut staged =
            validate_commit(view, policy, suite, sender, list, path, Origin::Received)?;

        // Section 8.2: the confirmation tag cannot be checked without the secrets of the epoch.
        staged.enter_transcript(view, suite, content)?;
        let tag = content.confirmation_tag.clone();

        let mut batch = Batch::new(self.group_id().clone());
        let finished = self.public.finish_commit(suite, staged, tag, sender, &mut batch)?;
        let delta = ObserverDelta { public: finished.delta, group_info: Change::Remove };
        if let (Some(epoch), Some(tree)) = (&delta.public.epoch, &delta.public.tree) {
            let header = observer_header(epoch, tree.size())?;
            batch.put(RowKey::new(Table::ObserverHeader, 0), &header);
        }
        batch.delete(RowKey::new(Table::GroupInfo, 0));
        Ok(self.step(delta, batch, ObserverEvent::Epoch(finished.change)))
    }
}
