//! An observer: follows a group from its public messages, without secrets.
//!
//! It validates proposals and commits as a member would, but for what needs the group's secrets:
//! membership tags, path secrets and confirmation tags. It is what a delivery service runs.

use crate::cache::PendingProposal;
use crate::config::Config;
use crate::credentials::{CredentialRequest, Verdict, check_verdicts};
use crate::error::{Error, Misuse, Rejection};
use crate::event::{EpochChange, Member};
use crate::external::{ExternalTarget, decode_group_info};
use crate::join::{check_group_info_signature, join_credentials, members, verified_state};
use crate::proposals::{CheckedList, Linking, ListedProposal, Origin, credential_requests};
use crate::public::{PublicDelta, PublicEpoch, PublicState};
use crate::row_codec::{Ledger, StoredRows, count_after, named, nothing_left, tree_size};
use crate::rows::{Batch, RowKey, Table};
use crate::rules::{check_group_info_extensions, check_public_key};
use crate::transition::{Fold, Revision, Sealed, State, Transition, swap_value};
use alloc::vec::Vec;
use conclave_crypto::{CryptoProvider, Secret, Suite};
use conclave_framing::{Verified, VerifiedCommit, VerifiedProposal, open_public};
use conclave_tree::{RatchetTree, TreeRead};
use conclave_wire::{
    Encode, Epoch, ExtensionType, GroupContext, GroupId, GroupInfo, HpkePublicKey, MlsMessageBody,
    Proposal, ProposalRef, ProposalType, Reader, Sender, TreeSize, Writer, find_extension,
};

/// The public state of a group that an observer follows.
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
    group_info: Option<Option<Vec<u8>>>,
}

/// What an observer's transition gives out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObserverEvent {
    /// A proposal was cached.
    ProposalReceived {
        /// Who proposed.
        sender: Sender,
        /// How a commit refers to it.
        reference: ProposalRef,
        /// What kind it is.
        proposal_type: ProposalType,
    },
    /// A commit was applied.
    Epoch(EpochChange),
    /// A GroupInfo of the current epoch was taken.
    GroupInfo,
}

impl Sealed for Observer {}

impl State for Observer {
    type Delta = ObserverDelta;
    type Event = ObserverEvent;

    fn swap(&mut self, delta: &mut ObserverDelta) {
        self.public.swap(&mut delta.public);
        swap_value(&mut self.group_info, &mut delta.group_info);
    }

    fn revision(&self) -> Revision {
        self.revision
    }

    fn revision_mut(&mut self) -> &mut Revision {
        &mut self.revision
    }
}

/// A group that is valid but for the application's verdicts on its members' credentials.
#[derive(Debug)]
pub struct ObserverStage {
    observer: Observer,
    credentials: Vec<CredentialRequest>,
}

/// A message to a group that is verified, its credentials to be judged.
#[derive(Debug)]
pub struct ObservedStage {
    revision: Revision,
    checked: Checked,
    credentials: Vec<CredentialRequest>,
}

/// What came of checking a message.
#[derive(Debug)]
enum Checked {
    /// A valid proposal.
    Proposal(VerifiedProposal),
    /// A commit and its proposals, a valid list.
    Commit(VerifiedCommit, CheckedList),
}

impl ObserverStage {
    /// Verifies a GroupInfo, an encoded MLSMessage, and the ratchet tree in it or given apart.
    ///
    /// # Errors
    /// If one breaks a rule, or the provider does not support the suite.
    pub fn open(
        provider: &dyn CryptoProvider,
        config: Config,
        group_info: &[u8],
        ratchet_tree: Option<&[u8]>,
    ) -> Result<Self, Error> {
        let info = decode_group_info(&config.limits, group_info)?;
        let suite = Suite::new(provider, info.group_context.cipher_suite)?;
        // One that lets nobody in is good for observing, and is not passed on.
        let joinable = match can_be_joined_by(&suite, &info) {
            Ok(_) => true,
            Err(Error::Rejected(_) | Error::Malformed(_)) => false,
            Err(other) => return Err(other),
        };
        let public = verified_state(&suite, config, info, ratchet_tree)?;
        let credentials = join_credentials(&public, None)?;
        let group_info = joinable.then(|| group_info.to_vec());
        let observer = Observer { public, group_info, revision: Revision::first() };
        Ok(Self { observer, credentials })
    }

    /// The credentials to judge: of all members and external senders.
    #[must_use]
    pub fn credentials(&self) -> &[CredentialRequest] {
        &self.credentials
    }

    /// The observer, if all verdicts, one for each credential, accept. Store
    /// [`Observer::rows`] before relying on it.
    ///
    /// # Errors
    /// If one does not.
    pub fn resolve(self, verdicts: &[Verdict]) -> Result<Observer, Error> {
        check_verdicts(&self.credentials, verdicts)?;
        Ok(self.observer)
    }
}

impl Observer {
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

    /// The ratchet tree. [`TreeRead::to_extension_bytes`] encodes it for those who join.
    #[must_use]
    pub fn tree(&self) -> &RatchetTree {
        &self.public.tree
    }

    /// The members, by ascending leaf.
    pub fn members(&self) -> impl Iterator<Item = Member> {
        members(&self.public.tree)
    }

    /// The proposals that wait for a commit, by order of arrival.
    pub fn proposals(&self) -> impl Iterator<Item = PendingProposal<'_>> {
        self.public.proposals.iter().filter_map(|(_, listed)| PendingProposal::of(listed))
    }

    /// The group as somebody outside has to know it who sends it proposals.
    #[must_use]
    pub fn external_target(&self) -> ExternalTarget {
        ExternalTarget::of(self.context())
    }

    /// The GroupInfo of the current epoch, an encoded MLSMessage, if a member has given one.
    #[must_use]
    pub fn group_info(&self) -> Option<&[u8]> {
        self.group_info.as_deref()
    }

    /// Starts a fold of many transitions into one write.
    pub fn fold(&mut self) -> Fold<'_, Self> {
        let batch = Batch::new(self.group_id().clone());
        Fold::new(self, batch)
    }

    /// Verifies a PublicMessage to this group: an encoded MLSMessage.
    ///
    /// # Errors
    /// If it is malformed, does not verify, or is of another group or epoch; a PrivateMessage
    /// cannot be followed.
    pub fn process(
        &self,
        provider: &dyn CryptoProvider,
        message: &[u8],
    ) -> Result<ObservedStage, Error> {
        let suite = Suite::new(provider, self.context().cipher_suite)?;
        let MlsMessageBody::PublicMessage(message) = self.public.decode_message(message)? else {
            return Err(Rejection::UnexpectedMessage.into());
        };
        self.public.check_current(&message.content.group_id, message.content.epoch)?;
        let content = open_public(&suite, *message, self.context(), None)?;
        let key = self.public.key_of_sender(&content)?;
        let (context, tree) = (self.context(), &self.public.tree);
        let (checked, credentials) = match content.verify(&suite, context, &key)? {
            Verified::Proposal(content) => {
                let (sender, proposal) = (content.sender(), content.proposal());
                // One that is there already takes no more room.
                if self.public.proposals.find(content.reference()).is_none() {
                    self.public.check_lone_proposal(&suite, sender, proposal)?;
                }
                let credentials = credential_requests(context, tree, sender, proposal)?;
                (Checked::Proposal(content), credentials)
            }
            Verified::Commit(content) => {
                let (sender, commit) = (content.content.sender, &content.content.commit);
                let linking = Linking::observed(self.epoch(), sender);
                let list =
                    self.public.commit_list(&suite, sender, commit, linking, Origin::Received)?;
                let path = commit.path.as_deref();
                let credentials = self.public.commit_credentials(sender, &list, path)?;
                (Checked::Commit(content, list), credentials)
            }
            Verified::Application(_) => return Err(Rejection::UnexpectedMessage.into()),
        };
        Ok(ObservedStage { revision: self.revision, checked, credentials })
    }

    /// Takes the GroupInfo of the current epoch, an encoded MLSMessage, from a member: for those who
    /// join from outside. A later one has to name the same `external_pub` as the first of its epoch, so
    /// that no member can replace a good one by one that keeps newcomers out. Whether the first is right
    /// only members can tell: take it from the committer, together with the commit. A wrong one keeps
    /// newcomers out until the next epoch.
    ///
    /// # Errors
    /// If it is not of this epoch, is not signed by a member, holds a ratchet tree that is not the
    /// group's, or lets nobody join.
    pub fn take_group_info(
        &self,
        provider: &dyn CryptoProvider,
        group_info: &[u8],
    ) -> Result<Transition<Self>, Error> {
        let suite = Suite::new(provider, self.context().cipher_suite)?;
        let info = decode_group_info(&self.public.config.limits, group_info)?;
        let epoch = &self.public.epoch;
        if info.group_context.group_id != epoch.context.group_id {
            return Err(Rejection::WrongGroup.into());
        }
        if info.group_context.epoch != epoch.context.epoch {
            let (message, current) = (info.group_context.epoch, epoch.context.epoch);
            return Err(Rejection::WrongEpoch { message, current }.into());
        }
        if info.group_context != epoch.context {
            return Err(Rejection::TreeHash.into());
        }
        if info.confirmation_tag != epoch.confirmation_tag {
            return Err(Rejection::ConfirmationTag.into());
        }
        let key = self.public.tree.signature_key(info.signer).ok_or(Rejection::GroupInfoSigner)?;
        check_group_info_signature(&suite, &info, &key)?;
        check_group_info_extensions(&self.public.config.limits, &info.extensions)?;
        let external_pub = can_be_joined_by(&suite, &info)?;
        let tree = info.extensions.iter().find(|e| e.extension_type == ExtensionType::RATCHET_TREE);
        if tree.is_some_and(|tree| !self.is_own_tree(&tree.extension_data)) {
            return Err(Rejection::TreeHash.into());
        }
        if let Some(before) = &self.group_info {
            let before = decode_group_info(&self.public.config.limits, before)?;
            if can_be_joined_by(&suite, &before)? != external_pub {
                return Err(Rejection::ExternalPubChanged.into());
            }
        }

        let mut batch = Batch::new(self.group_id().clone());
        batch.put(RowKey::new(Table::GroupInfo, 0), group_info);
        let delta = ObserverDelta {
            group_info: Some(Some(group_info.to_vec())),
            ..ObserverDelta::default()
        };
        Ok(self.step(delta, batch, ObserverEvent::GroupInfo))
    }

    fn is_own_tree(&self, encoded: &[u8]) -> bool {
        self.tree().to_extension_bytes().is_ok_and(|own| own == encoded)
    }

    /// All rows of the observer.
    ///
    /// # Errors
    /// If the state cannot be encoded.
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
    /// If a row is missing, damaged or does not fit the others; the error says which.
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

    fn ledger(&self) -> Ledger {
        Ledger {
            proposals: u32::try_from(self.public.proposals.len()).unwrap_or(u32::MAX),
            single: self.group_info.is_some(),
            policy: !self.public.epoch.policy.is_empty(),
            ..Ledger::default()
        }
    }

    /// A step of this state, with the count of its rows if that changes.
    fn step(
        &self,
        delta: ObserverDelta,
        mut batch: Batch,
        event: ObserverEvent,
    ) -> Transition<Self> {
        let proposals = &self.public.proposals;
        let has = |place: &u64| proposals.has(*place);
        let ledger = Ledger {
            proposals: count_after(proposals.len(), has, delta.public.proposals.iter()),
            single: delta.group_info.as_ref().unwrap_or(&self.group_info).is_some(),
            policy: !delta.public.epoch.as_ref().unwrap_or(&self.public.epoch).policy.is_empty(),
            ..Ledger::default()
        };
        if ledger != self.ledger() {
            ledger.put(&mut batch);
        }
        Transition::new(self, delta, batch, event)
    }
}

/// The key by which others join from outside, if a GroupInfo has one (section 12.4.3.2).
fn can_be_joined_by(suite: &Suite<'_>, info: &GroupInfo) -> Result<HpkePublicKey, Error> {
    let key = find_extension(&info.extensions, ExtensionType::EXTERNAL_PUB)?
        .ok_or(Rejection::ExternalPubMissing)?;
    check_public_key(suite, &key)?;
    Ok(key)
}

fn observer_header(epoch: &PublicEpoch, size: TreeSize) -> Result<Vec<u8>, Error> {
    let mut w = Writer::new();
    epoch.encode(&mut w)?;
    size.leaf_count().encode(&mut w)?;
    Ok(w.finish())
}

impl ObservedStage {
    /// Who sent the message.
    #[must_use]
    pub fn sender(&self) -> Sender {
        match &self.checked {
            Checked::Proposal(content) => content.sender(),
            Checked::Commit(content, _) => content.content.sender,
        }
    }

    /// Whether the message is a commit; else it is a proposal.
    #[must_use]
    pub fn is_commit(&self) -> bool {
        matches!(self.checked, Checked::Commit(..))
    }

    /// The proposals of a commit, with who made each; or the proposal.
    pub fn proposals(&self) -> impl Iterator<Item = (Sender, &Proposal)> {
        let (list, own) = match &self.checked {
            Checked::Commit(_, list) => (list.iter(), None),
            Checked::Proposal(content) => ([].iter(), Some((content.sender(), content.proposal()))),
        };
        list.map(|item| (item.sender, &item.proposal)).chain(own)
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

    /// The step that caches the proposal or applies the commit, if all verdicts, one for each
    /// credential, accept.
    ///
    /// # Errors
    /// If one does not, or the commit breaks a rule; or if the observer has changed in the
    /// meantime.
    pub fn resolve(
        self,
        observer: &Observer,
        provider: &dyn CryptoProvider,
        verdicts: &[Verdict],
    ) -> Result<Transition<Observer>, Error> {
        if !observer.revision.is(self.revision) {
            return Err(Misuse::Stale.into());
        }
        check_verdicts(&self.credentials, verdicts)?;
        let suite = Suite::new(provider, observer.context().cipher_suite)?;
        let mut batch = Batch::new(observer.group_id().clone());
        let sender = self.sender();
        let public = &observer.public;
        let (content, list) = match self.checked {
            Checked::Proposal(content) => {
                let (proposal, reference) = content.into_parts();
                let proposal_type = proposal.proposal_type();
                let listed =
                    ListedProposal { sender, proposal, reference: Some(reference.clone()) };
                let (_, public) = public.cache_proposal(listed, &mut batch)?;
                let delta = ObserverDelta { public, group_info: None };
                let event = ObserverEvent::ProposalReceived { sender, reference, proposal_type };
                return Ok(observer.step(delta, batch, event));
            }
            Checked::Commit(content, list) => (content, list),
        };

        let path = content.content.commit.path.as_deref();
        let staged = public.stage_commit(&suite, sender, &list, path, Origin::Received)?;
        let mut context = staged.provisional.clone();
        context.confirmed_transcript_hash =
            public.confirmed_after(&suite, &content.transcript_hash_input())?;
        let tag = content.confirmation_tag.clone();
        let finished = public.finish_commit(&suite, staged, context, tag, sender, &mut batch)?;
        let delta = ObserverDelta { public: finished.delta, group_info: Some(None) };
        if let (Some(epoch), Some(tree)) = (&delta.public.epoch, &delta.public.tree) {
            let header = observer_header(epoch, tree.size())?;
            batch.put(RowKey::new(Table::ObserverHeader, 0), &header);
        }
        batch.delete(RowKey::new(Table::GroupInfo, 0));
        let event = ObserverEvent::Epoch(finished.change);
        Ok(observer.step(delta, batch, event))
    }
}
