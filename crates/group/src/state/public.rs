//! The public half of a group's state, which members and observers share.

use crate::config::Config;
use crate::error::limit::Limit;
use crate::error::{Error, Misuse, Rejection};
use crate::policy::{self, Proposed};
use crate::store::context_codec::{AppData, dictionary, restore_context};
use crate::store::row_codec::{StoredRows, component_id, damaged_tree, named, node_index};
use crate::store::rows::{Batch, RowKey, Table};
use crate::transition::swap_value;
use crate::validate::leaf::external_senders;
use crate::validate::proposal::{Linking, check_proposal};
use crate::validate::safe_aad;
use crate::view::GroupView;
use crate::view::epoch::PublicEpoch;
use crate::view::proposals::{ListedProposal, ProposalCache, ProposalChanges, encoded_len};
use alloc::vec::Vec;
use conclave_crypto::Suite;
use conclave_framing::{UnverifiedContent, Verified, open_public};
use conclave_tree::{RatchetTree, TreeDelta, TreeRead};
use conclave_wire::{
    Decode, Encode, Epoch, GroupId, MlsMessage, MlsMessageBody, Proposal, Reader, Sender,
    SignaturePublicKey, TreeSize, Writer,
};

/// The public state of a group in an epoch.
#[derive(Clone, Debug)]
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

impl PublicState {
    pub(crate) fn swap(&mut self, delta: &mut PublicDelta) {
        swap_value(&mut self.epoch, &mut delta.epoch);
        if let Some(tree) = &mut delta.tree {
            self.tree.swap(tree);
        }
        self.proposals.swap(&mut delta.proposals);
    }

    /// The public state as the rules and policies see it.
    pub(crate) fn view(&self) -> GroupView<'_> {
        GroupView {
            epoch: &self.epoch,
            tree: &self.tree,
            pending: &self.proposals,
            limits: &self.config.limits,
            custom: &self.config.proposals,
        }
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
                let senders = external_senders(&self.epoch.context.extensions)?;
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

    /// Verifies a PublicMessage to the group in this epoch, an encoded MLSMessage, as far as it can be
    /// without the membership key (section 6).
    pub(crate) fn verify(&self, suite: &Suite<'_>, message: &[u8]) -> Result<Verified, Error> {
        let MlsMessageBody::PublicMessage(message) = self.decode_message(message)? else {
            return Err(Rejection::UnexpectedMessage.into());
        };

        let context = &self.epoch.context;
        self.check_current(&message.content.group_id, message.content.epoch)?;
        let content = open_public(suite, *message, context, None)?;
        let key = self.key_of_sender(&content)?;

        let verified = content.verify(suite, context, &key)?;
        safe_aad::check_received(&context.extensions, verified.authenticated_data())?;
        Ok(verified)
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

    /// Checks a proposal in its own message, by the protocol's rules and the application's.
    pub(crate) fn check_lone_proposal(
        &self,
        suite: &Suite<'_>,
        sender: Sender,
        proposal: &Proposal,
    ) -> Result<(), Error> {
        let limits = &self.config.limits;
        let waiting = &self.proposals;
        limits.check(Limit::PendingProposals, waiting.len().saturating_add(1))?;
        let bytes = waiting.bytes().saturating_add(encoded_len(proposal));
        limits.check(Limit::PendingBytes, bytes)?;

        check_proposal(suite, self.view(), sender, proposal, Linking::Forbidden)?;
        let proposed = Proposed { sender, proposal, by_reference: true };
        policy::check_proposal(&*self.config.policy, self.view(), proposed)
    }

    /// The change that caches a proposal, with its place. No change if it is there already.
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

pub(crate) fn proposal_row(listed: &ListedProposal) -> Result<Vec<u8>, Error> {
    let mut w = Writer::new();
    listed.sender.encode(&mut w)?;
    listed.reference.encode(&mut w)?;
    listed.proposal.encode(&mut w)?;
    Ok(w.finish())
}

pub(crate) fn proposal_from_row(bytes: &[u8], config: &Config) -> Result<ListedProposal, Error> {
    let mut r = Reader::with_proposals(bytes, &config.proposals);
    Ok(ListedProposal {
        sender: Decode::decode(&mut r)?,
        reference: Decode::decode(&mut r)?,
        proposal: Proposal::from_reader(r)?,
    })
}

impl PublicState {
    /// The state whose tree and proposals [`Self::put_rows`] wrote.
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

        let mut data = AppData::new();
        for (key, row) in rows.of(Table::AppData) {
            data.insert(named(key, component_id(key))?, row.into());
        }
        restore_context(&mut epoch.context, &data, 0)?;

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

    /// Writes all rows of the tree and the proposals.
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
        for (component, data) in dictionary(&self.epoch.context.extensions)? {
            batch.put(RowKey::new(Table::AppData, component.0.into()), &data);
        }
        Ok(())
    }
}
