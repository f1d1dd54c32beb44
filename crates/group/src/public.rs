//! The public half of a group: what members and observers have in common, and how a commit
//! changes it.

use crate::cache::{ProposalCache, ProposalChanges, encoded_len};
use crate::config::Config;
use crate::credentials::{CredentialRequest, Verdict};
use crate::error::{CredentialSubject, Error, Misuse, Rejection};
use crate::event::{EpochChange, Member};
use crate::limits::Limit;
use crate::policy::{GroupView, Proposed, ProposedCommit};
use crate::proposals::{
    Applied, CheckedList, Committer, Linking, ListedProposal, Origin, apply, check_proposal,
    credential_requests, leaf_request,
};
use crate::row_codec::{StoredRows, damaged_tree, named, node_index};
use crate::rows::{Batch, RowKey, Table};
use crate::rules;
use crate::transition::swap_value;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use conclave_crypto::Suite;
use conclave_framing::UnverifiedContent;
use conclave_schedule::{confirmed_transcript_hash, interim_transcript_hash};
use conclave_tree::{RatchetTree, TreeDelta, TreeRead, merge_path};
use conclave_wire::{
    Bytes, Commit, ConfirmedTranscriptHashInput, Decode, Encode, Epoch, GroupContext, GroupId,
    LeafIndex, LeafNode, LeafNodeContext, LeafNodeSource, Mac, MlsMessage, MlsMessageBody,
    Proposal, ProposalOrRef, ProtocolVersion, ReInit, Reader, Sender, SignaturePublicKey, TreeSize,
    UpdatePath, Writer,
};

/// What of an epoch is public, but for the tree and the proposals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicEpoch {
    pub(crate) context: GroupContext,
    pub(crate) interim_transcript_hash: Bytes,
    pub(crate) confirmation_tag: Mac,
    /// The ReInit that the commit which began this epoch held: the group is closed.
    pub(crate) reinit: Option<ReInit>,
    /// The [name](crate::Policy::id) of the policy that the epoch began under. In a row of its own.
    pub(crate) policy: Vec<u8>,
}

/// The public state of a group in an epoch.
#[derive(Debug)]
pub(crate) struct PublicState {
    pub(crate) config: Config,
    pub(crate) epoch: PublicEpoch,
    pub(crate) tree: RatchetTree,
    /// The proposals received in this epoch, by order of arrival.
    pub(crate) proposals: ProposalCache,
}

/// A change of the public state.
#[derive(Debug, Default)]
pub(crate) struct PublicDelta {
    pub(crate) epoch: Option<PublicEpoch>,
    pub(crate) tree: Option<TreeDelta>,
    pub(crate) proposals: ProposalChanges,
}

/// A commit, checked and applied to a staged tree as far as that needs no secrets.
pub(crate) struct StagedCommit<'a> {
    pub(crate) applied: Applied<'a>,
    /// The committer's leaf, in the new tree.
    pub(crate) committer: LeafIndex,
    /// The leaves that Adds of this commit made.
    pub(crate) new_leaves: Vec<LeafIndex>,
    /// The context of the new epoch, with the old confirmed transcript hash.
    pub(crate) provisional: GroupContext,
}

impl PublicState {
    pub(crate) fn swap(&mut self, delta: &mut PublicDelta) {
        swap_value(&mut self.epoch, &mut delta.epoch);
        if let Some(tree) = &mut delta.tree {
            self.tree.swap(tree);
        }
        self.proposals.swap(&mut delta.proposals);
    }

    /// The key that verifies a message of the current epoch (section 6.1).
    pub(crate) fn key_of_sender(
        &self,
        content: &UnverifiedContent,
    ) -> Result<SignaturePublicKey, Error> {
        match content.sender() {
            Sender::Member(leaf) => {
                self.tree.signature_key(leaf).ok_or(Rejection::SenderNotMember(leaf).into())
            }
            Sender::External(index) => {
                let senders = rules::external_senders(&self.epoch.context.extensions)?;
                let place = usize::try_from(index).unwrap_or(usize::MAX);
                let found = senders.into_iter().nth(place);
                Ok(found.ok_or(Rejection::UnknownExternalSender(index))?.signature_key)
            }
            Sender::NewMemberProposal | Sender::NewMemberCommit => {
                Ok(content.new_member_key().cloned().ok_or(Rejection::PathMissing)?)
            }
        }
    }

    /// Decodes a message to the group: an encoded MLSMessage.
    pub(crate) fn decode_message(&self, message: &[u8]) -> Result<MlsMessageBody, Error> {
        self.config.limits.check(Limit::MessageBytes, message.len())?;
        let reader = Reader::with_proposals(message, &self.config.proposals);
        Ok(MlsMessage::from_reader(reader)?.body)
    }

    /// Checks that a message is of this group.
    pub(crate) fn check_group(&self, group_id: &GroupId) -> Result<(), Error> {
        if *group_id != self.epoch.context.group_id {
            return Err(Rejection::WrongGroup.into());
        }
        Ok(())
    }

    /// Checks that a handshake message is of this group and epoch, and that the group is open.
    pub(crate) fn check_current(&self, group_id: &GroupId, epoch: Epoch) -> Result<(), Error> {
        self.check_group(group_id)?;
        let current = self.epoch.context.epoch;
        if epoch != current {
            return Err(Rejection::WrongEpoch { message: epoch, current }.into());
        }
        if self.epoch.reinit.is_some() {
            return Err(Rejection::GroupReinitialized.into());
        }
        Ok(())
    }

    /// The proposals of a commit, those by reference looked up, checked as a list.
    pub(crate) fn commit_list(
        &self,
        suite: &Suite<'_>,
        sender: Sender,
        commit: &Commit,
        linking: Linking,
        origin: Origin,
    ) -> Result<CheckedList, Error> {
        self.config.limits.check(Limit::Proposals, commit.proposals.len())?;
        self.check_references(commit)?;
        let resolve = |item: &ProposalOrRef| match item {
            ProposalOrRef::Proposal(p) => Ok(ListedProposal::by_value(sender, p.clone())),
            ProposalOrRef::Reference(_) if sender == Sender::NewMemberCommit => {
                Err(Rejection::ExternalReference.into())
            }
            ProposalOrRef::Reference(reference) => self
                .proposals
                .find(reference)
                .map(|(_, listed)| listed.clone())
                .ok_or(Error::Rejected(Rejection::UnknownProposal(reference.clone()))),
        };
        let list = commit.proposals.iter().map(resolve).collect::<Result<_, _>>()?;
        self.checked_list(suite, Committer::of(sender), list, linking, origin)
    }

    /// Checks that a commit refers twice only to what may be in a list twice, which is nothing that RFC
    /// 9420 defines (section 12.2). The copies count against [`Limit::PendingBytes`]: a reference is short,
    /// and the proposal can be long.
    fn check_references(&self, commit: &Commit) -> Result<(), Error> {
        let mut references = BTreeSet::new();
        let mut bytes = self.proposals.bytes();
        for item in &commit.proposals {
            let ProposalOrRef::Reference(reference) = item else { continue };
            if references.insert(reference) {
                continue;
            }
            match self.proposals.find(reference).map(|(_, listed)| &listed.proposal) {
                Some(proposal @ Proposal::Custom { .. }) => {
                    bytes = bytes.saturating_add(encoded_len(proposal));
                    self.config.limits.check(Limit::PendingBytes, bytes)?;
                }
                _ => return Err(Rejection::RepeatedReference(reference.clone()).into()),
            }
        }
        Ok(())
    }

    /// Checks a list of proposals against the epoch (section 12.2).
    pub(crate) fn checked_list(
        &self,
        suite: &Suite<'_>,
        committer: Committer,
        list: Vec<ListedProposal>,
        linking: Linking,
        origin: Origin,
    ) -> Result<CheckedList, Error> {
        CheckedList::check(suite, self, committer, list, linking, origin)
    }

    /// Checks a proposal in a message of its own, by the protocol's rules and the application's.
    pub(crate) fn check_lone_proposal(
        &self,
        suite: &Suite<'_>,
        sender: Sender,
        proposal: &Proposal,
    ) -> Result<(), Error> {
        let (limits, waiting) = (&self.config.limits, &self.proposals);
        limits.check(Limit::PendingProposals, waiting.len().saturating_add(1))?;
        let bytes = waiting.bytes().saturating_add(encoded_len(proposal));
        limits.check(Limit::PendingBytes, bytes)?;
        check_proposal(suite, self, sender, proposal, Linking::Forbidden)?;
        let listed = Proposed { sender, proposal, by_reference: true };
        by_policy(self.config.policy.proposal(GroupView(self), listed))
    }

    /// Checks a commit by the application's rules: one that is to be sent, or was received.
    pub(crate) fn check_policy(
        &self,
        sender: Sender,
        list: &[ListedProposal],
        leaf: Option<&LeafNode>,
    ) -> Result<(), Error> {
        let (policy, group) = (&self.config.policy, GroupView(self));
        let proposals: Vec<Proposed<'_>> = list.iter().map(Proposed::from).collect();
        for item in proposals.iter().filter(|item| !item.by_reference) {
            by_policy(policy.proposal(group, *item))?;
        }
        by_policy(policy.commit(group, &ProposedCommit { sender, proposals, leaf }))
    }

    /// Applies a list of proposals (section 12.3).
    pub(crate) fn apply_list(&self, list: &CheckedList) -> Result<Applied<'_>, Error> {
        apply(self, list)
    }

    /// The credentials that a commit brings in: of its proposals by value and of its path.
    pub(crate) fn commit_credentials(
        &self,
        sender: Sender,
        list: &[ListedProposal],
        path: Option<&UpdatePath>,
    ) -> Result<Vec<CredentialRequest>, Error> {
        let mut requests = Vec::new();
        for item in list.iter().filter(|item| item.reference.is_none()) {
            let (context, tree) = (&self.epoch.context, &self.tree);
            requests.extend(credential_requests(context, tree, item.sender, &item.proposal)?);
        }
        if let Some(path) = path {
            requests.extend(match sender {
                Sender::Member(leaf) => {
                    let old = self.tree.leaf(leaf);
                    leaf_request(CredentialSubject::Member(leaf), &path.leaf_node, old.as_ref())
                }
                _ => {
                    let removed = list.iter().find_map(|item| match item.proposal {
                        Proposal::Remove(leaf) => Some((leaf, self.tree.leaf(leaf)?)),
                        _ => None,
                    });
                    // Somebody who joins is judged, even with the key of who it replaces.
                    let joiner = CredentialSubject::ExternalJoiner;
                    let mut request = leaf_request(joiner, &path.leaf_node, None);
                    if let (Some(request), Some((leaf, old))) = (&mut request, removed) {
                        request.subject = CredentialSubject::ExternalReplacement(leaf);
                        request.replaces = Some(old.credential);
                    }
                    request
                }
            });
        }
        Ok(requests)
    }

    /// Checks a verified commit and stages what it does to tree and context (section 12.4.2).
    pub(crate) fn stage_commit(
        &self,
        suite: &Suite<'_>,
        sender: Sender,
        list: &CheckedList,
        path: Option<&UpdatePath>,
        origin: Origin,
    ) -> Result<StagedCommit<'_>, Error> {
        let who = Committer::of(sender);
        let mut applied = self.apply_list(list)?;
        if applied.needs_path && path.is_none() {
            return Err(Rejection::PathMissing.into());
        }
        let committer = match who {
            Committer::Member(leaf) => leaf,
            Committer::External => applied.tree.place_leaf()?,
        };
        let new_leaves: Vec<LeafIndex> = applied.added.iter().map(|(leaf, _)| *leaf).collect();
        if let Some(path) = path {
            if !matches!(path.leaf_node.leaf_node_source, LeafNodeSource::Commit(_)) {
                return Err(Rejection::CommitLeafSource.into());
            }
            let group_id = &self.epoch.context.group_id;
            let context = LeafNodeContext { group_id, leaf_index: committer };
            match origin {
                Origin::Received => {
                    rules::check_leaf(suite, &self.config.limits, &path.leaf_node, context)?;
                }
                Origin::Own => rules::check_own_leaf(suite, &self.config, &path.leaf_node)?,
            }
            if who == Committer::External {
                check_resync(&applied, &path.leaf_node)?;
            }
            merge_path(suite, &mut applied.tree, committer, path, &new_leaves)?;
        }
        self.check_result(&applied)?;
        // An own commit, too: proposals may have come since it was made.
        self.check_policy(sender, list, path.map(|path| &path.leaf_node))?;
        let provisional = self.provisional_context(suite, &mut applied)?;
        Ok(StagedCommit { applied, committer, new_leaves, provisional })
    }

    /// Checks the tree and extensions that a commit leads to.
    pub(crate) fn check_result(&self, applied: &Applied<'_>) -> Result<(), Error> {
        let (limits, leaves) = (&self.config.limits, applied.tree.size().leaf_count());
        limits.check(Limit::TreeLeaves, usize::try_from(leaves).unwrap_or(usize::MAX))?;
        applied.tree.check_unique_keys()?;
        rules::check_group_support(limits, &applied.tree, &applied.extensions)
    }

    /// The context of the next epoch, but for the confirmed transcript hash.
    pub(crate) fn provisional_context(
        &self,
        suite: &Suite<'_>,
        applied: &mut Applied<'_>,
    ) -> Result<GroupContext, Error> {
        let old = &self.epoch.context;
        Ok(GroupContext {
            version: old.version,
            cipher_suite: old.cipher_suite,
            group_id: old.group_id.clone(),
            epoch: old.epoch.next().ok_or(Rejection::EpochExhausted)?,
            tree_hash: applied.tree.tree_hash(suite)?.to_vec().into(),
            confirmed_transcript_hash: old.confirmed_transcript_hash.clone(),
            extensions: applied.extensions.clone(),
        })
    }

    /// The confirmed transcript hash with a commit added (section 8.2).
    pub(crate) fn confirmed_after(
        &self,
        suite: &Suite<'_>,
        commit: &ConfirmedTranscriptHashInput<'_, impl Encode>,
    ) -> Result<Bytes, Error> {
        let interim = &self.epoch.interim_transcript_hash;
        Ok(confirmed_transcript_hash(suite, interim, commit)?.to_vec().into())
    }

    /// The public half of the step that a staged commit makes, once its confirmed transcript hash
    /// and confirmation tag are known, with the leaves that it replaces.
    pub(crate) fn finish_commit(
        &self,
        suite: &Suite<'_>,
        staged: StagedCommit<'_>,
        context: GroupContext,
        confirmation_tag: Mac,
        sender: Sender,
        batch: &mut Batch,
    ) -> Result<FinishedCommit, Error> {
        let StagedCommit { applied, committer, .. } = staged;
        let tree = &applied.tree;
        let member = |leaf: LeafIndex| tree.leaf(leaf).map(|node| Member::of(leaf, &node));
        let mut added: Vec<Member> =
            applied.added.iter().filter_map(|(leaf, _)| member(*leaf)).collect();
        if sender == Sender::NewMemberCommit {
            added.extend(member(committer));
        }
        let change = EpochChange {
            epoch: context.epoch,
            committer: member(committer).ok_or(Rejection::SenderNotMember(committer))?,
            external: sender == Sender::NewMemberCommit,
            added,
            removed: applied.removed.iter().map(|(leaf, node)| Member::of(*leaf, node)).collect(),
            updated: applied.updated.iter().filter_map(|leaf| member(*leaf)).collect(),
            extensions_changed: context.extensions != self.epoch.context.extensions,
            reinit: applied.reinit.clone(),
            custom: applied.custom,
            own: false,
            discarded_own_commit: false,
        };
        let replaced_leaves = applied.tree.replaced_leaves();
        let tree = applied.tree.into_delta(suite)?;
        for (node, row) in tree.rows() {
            batch.set(RowKey::new(Table::Tree, node.into()), row.as_deref());
        }
        let policy = self.config.policy.id();
        if policy != self.epoch.policy {
            batch.set(RowKey::new(Table::Policy, 0), (!policy.is_empty()).then_some(&*policy));
        }
        let confirmed = &context.confirmed_transcript_hash;
        let interim = interim_transcript_hash(suite, confirmed, &confirmation_tag)?;
        let delta = PublicDelta {
            epoch: Some(PublicEpoch {
                context,
                interim_transcript_hash: interim.to_vec().into(),
                confirmation_tag,
                reinit: applied.reinit,
                policy,
            }),
            tree: Some(tree),
            proposals: self.proposals.places().map(|place| (place, None)).collect(),
        };
        for place in self.proposals.places() {
            batch.delete(RowKey::new(Table::Proposal, place));
        }
        Ok(FinishedCommit { delta, change, replaced_leaves })
    }

    /// The step that caches a proposal, with its place; no change if it is there already.
    pub(crate) fn cache_proposal(
        &self,
        listed: ListedProposal,
        batch: &mut Batch,
    ) -> Result<(u64, PublicDelta), Error> {
        if let Some((place, _)) = listed.reference.as_ref().and_then(|r| self.proposals.find(r)) {
            return Ok((place, PublicDelta::default()));
        }
        let place = self.proposals.next_place();
        batch.put(RowKey::new(Table::Proposal, place), &proposal_row(&listed)?);
        let mut delta = PublicDelta::default();
        delta.proposals.insert(place, Some(listed));
        Ok((place, delta))
    }
}

/// The rule of an Update for the leaf that replaces a removed one (section 12.2).
fn check_resync(applied: &Applied<'_>, leaf: &LeafNode) -> Result<(), Rejection> {
    let mut removed = applied.removed.iter();
    match removed.any(|(_, old)| old.encryption_key == leaf.encryption_key) {
        true => Err(Rejection::ExternalKeyUnchanged),
        false => Ok(()),
    }
}

/// The public half of a commit's step.
pub(crate) struct FinishedCommit {
    pub(crate) delta: PublicDelta,
    pub(crate) change: EpochChange,
    /// The leaves that the new tree has otherwise, with their old encodings.
    pub(crate) replaced_leaves: Vec<(LeafIndex, Option<Vec<u8>>)>,
}

fn by_policy(verdict: Verdict) -> Result<(), Error> {
    match verdict {
        Verdict::Accept => Ok(()),
        Verdict::Refuse(reason) => Err(Rejection::RefusedByPolicy { reason }.into()),
        // A policy has all that it judges by, and all members must come to one answer.
        Verdict::Later => Err(Misuse::NotPossible("a policy cannot judge later").into()),
    }
}

fn proposal_row(listed: &ListedProposal) -> Result<Vec<u8>, Error> {
    let mut w = Writer::new();
    listed.sender.encode(&mut w)?;
    listed.reference.encode(&mut w)?;
    listed.proposal.encode(&mut w)?;
    Ok(w.finish())
}

fn proposal_from_row(bytes: &[u8], config: &Config) -> Result<ListedProposal, Error> {
    let mut r = Reader::with_proposals(bytes, &config.proposals);
    Ok(ListedProposal {
        sender: Decode::decode(&mut r)?,
        reference: Decode::decode(&mut r)?,
        proposal: Proposal::from_reader(r)?,
    })
}

impl PublicEpoch {
    pub(crate) fn encode(&self, w: &mut Writer) -> Result<(), Error> {
        self.context.encode(w)?;
        self.interim_transcript_hash.encode(w)?;
        self.confirmation_tag.encode(w)?;
        self.reinit.encode(w)?;
        Ok(())
    }

    pub(crate) fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        let epoch = Self {
            context: Decode::decode(r)?,
            interim_transcript_hash: Decode::decode(r)?,
            confirmation_tag: Decode::decode(r)?,
            reinit: Decode::decode(r)?,
            policy: Vec::new(),
        };
        if epoch.context.version != ProtocolVersion::MLS10 {
            return Err(Rejection::WrongVersion(epoch.context.version).into());
        }
        Ok(epoch)
    }
}

impl PublicState {
    /// The state whose tree and proposals [`Self::put_rows`] has written.
    pub(crate) fn from_rows(
        suite: &Suite<'_>,
        config: Config,
        mut epoch: PublicEpoch,
        size: TreeSize,
        rows: &StoredRows,
    ) -> Result<Self, Error> {
        let nodes = rows.of(Table::Tree).map(|(key, row)| (node_index(key), row));
        let tree = RatchetTree::load(suite, size, nodes).map_err(damaged_tree)?;
        if *tree.tree_hash() != *epoch.context.tree_hash {
            return Err(Error::storage(
                "a Tree row is missing or of another epoch: the header has another tree hash",
            ));
        }
        epoch.policy = rows.of(Table::Policy).next().map_or_else(Vec::new, |(_, row)| row.to_vec());
        if !config.adopt_policy && epoch.policy != config.policy.id() {
            return Err(Misuse::OtherPolicy.into());
        }
        let mut proposals = ProposalCache::default();
        for (key, row) in rows.of(Table::Proposal) {
            proposals.set(key.index, Some(named(key, proposal_from_row(row, &config))?));
        }
        Ok(Self { config, epoch, tree, proposals })
    }

    /// All rows of the tree and the proposals.
    pub(crate) fn put_rows(&self, batch: &mut Batch) -> Result<(), Error> {
        for (node, row) in self.tree.rows() {
            batch.put(RowKey::new(Table::Tree, node.into()), &row);
        }
        for (place, listed) in self.proposals.iter() {
            batch.put(RowKey::new(Table::Proposal, place), &proposal_row(listed)?);
        }
        if !self.epoch.policy.is_empty() {
            batch.put(RowKey::new(Table::Policy, 0), &self.epoch.policy);
        }
        Ok(())
    }
}
