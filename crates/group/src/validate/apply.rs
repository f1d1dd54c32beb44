//! Applying a list of proposals (section 12.3).

use crate::app_data::{AppDataChange, EphemeralData};
use crate::error::limit::Limit;
use crate::error::{Error, Rejection};
use crate::event::CustomChange;
use crate::validate::app_data::{change_dictionary, may_require};
use crate::validate::components::check_component_support;
use crate::validate::leaf::check_group_support;
use crate::validate::list::CheckedList;
use crate::view::GroupView;
use crate::view::proposals::leaving_member;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use conclave_crypto::Suite;
use conclave_tree::{StagedTree, TreeRead};
use conclave_wire::{
    Bytes, ComponentData, Extension, GroupContext, LeafIndex, LeafNode, PreSharedKeyId, Proposal,
    ProposalType, ReInit, Sender,
};

/// A tree and extensions with a list of proposals applied.
pub(crate) struct Applied<'a> {
    pub(crate) tree: StagedTree<'a>,
    pub(crate) extensions: Vec<Extension>,
    /// The new leaves, each with the index in the list of the Add that made it.
    pub(crate) added: Vec<(LeafIndex, usize)>,
    /// The removed leaves, as they were.
    pub(crate) removed: Vec<(LeafIndex, LeafNode)>,
    pub(crate) updated: Vec<LeafIndex>,
    pub(crate) psks: Vec<PreSharedKeyId>,
    pub(crate) external_init: Option<Bytes>,
    pub(crate) reinit: Option<ReInit>,
    /// The members among the removed ones that asked for it by a SelfRemove.
    pub(crate) left: Vec<LeafIndex>,
    /// The data of AppEphemeral proposals.
    pub(crate) ephemeral: Vec<EphemeralData>,
    /// The changes of the dictionary, once they are made.
    pub(crate) app_data: Vec<AppDataChange>,
    /// The proposals of the application's own types, each with its sender.
    pub(crate) custom: Vec<CustomChange>,
    /// The types of proposal beyond RFC 9420's in the list.
    pub(crate) beyond: BTreeSet<ProposalType>,
    /// Whether a commit of this list must have a path (section 12.4).
    pub(crate) needs_path: bool,
}

/// Applies a list in the order of section 12.3, apart from its AppDataUpdates, which
/// [`Applied::update_app_data`] applies after all others.
pub(crate) fn apply<'a>(group: GroupView<'a>, list: &CheckedList) -> Result<Applied<'a>, Error> {
    let mut applied = Applied {
        tree: StagedTree::new(group.tree),
        extensions: group.context().extensions.clone(),
        added: Vec::new(),
        removed: Vec::new(),
        updated: Vec::new(),
        psks: Vec::new(),
        external_init: None,
        reinit: None,
        left: Vec::new(),
        ephemeral: Vec::new(),
        app_data: Vec::new(),
        custom: Vec::new(),
        beyond: BTreeSet::new(),
        needs_path: list.is_empty(),
    };
    let mut adds: Vec<(usize, &LeafNode)> = Vec::new();

    // What does not depend on the order takes effect here, the rest below.
    for (place, item) in list.iter().enumerate() {
        match &item.proposal {
            Proposal::GroupContextExtensions(extensions) => {
                applied.extensions.clone_from(extensions);
            }
            Proposal::Update(leaf) => {
                // An Update from anybody else was refused as a proposal by itself.
                if let Sender::Member(index) = item.sender {
                    applied.tree.update_leaf(index, leaf)?;
                    applied.updated.push(index);
                }
            }
            Proposal::Remove(index) => applied.remove(group, *index)?,
            Proposal::SelfRemove(_) => {
                // A SelfRemove from anybody else was refused as a proposal by itself.
                if let Some(index) = leaving_member(item.sender) {
                    applied.remove(group, index)?;
                    applied.left.push(index);
                }
            }
            Proposal::Add(key_package) => adds.push((place, &key_package.leaf_node)),
            Proposal::PreSharedKey(id) => applied.psks.push(id.clone()),
            Proposal::ExternalInit(kem_output) => applied.external_init = Some(kem_output.clone()),
            Proposal::ReInit(reinit) => applied.reinit = Some(reinit.clone()),
            Proposal::AppEphemeral(ComponentData { component_id, data }) => {
                applied.ephemeral.push(EphemeralData {
                    sender: item.sender,
                    component_id: *component_id,
                    data: data.clone(),
                });
            }
            Proposal::AppDataUpdate(_) => {}
            Proposal::Custom { proposal_type, body } => applied.custom.push(CustomChange {
                sender: item.sender,
                proposal_type: *proposal_type,
                body: body.clone(),
            }),
        }

        let proposal_type = item.proposal.proposal_type();
        let rules = item.proposal.rules(group.custom);
        let rules = rules.ok_or(Rejection::UnsupportedProposal(proposal_type))?;
        applied.needs_path |= rules.path_required;
        if !proposal_type.is_default() {
            applied.beyond.insert(proposal_type);
        }
    }

    let removed: Vec<LeafIndex> = applied.removed.iter().map(|(index, _)| *index).collect();
    applied.tree.remove_leaves(&removed)?;

    // Now the tree holds the members that will process the commit (section 12.2).
    for proposal_type in &applied.beyond {
        if !applied.tree.all_support_proposal(*proposal_type) {
            return Err(Rejection::UnsupportedProposal(*proposal_type).into());
        }
    }

    let leaves: Vec<&LeafNode> = adds.iter().map(|(_, leaf)| *leaf).collect();
    let added = applied.tree.add_leaves(&leaves)?;
    applied.added = added.into_iter().zip(adds.iter().map(|(place, _)| *place)).collect();
    Ok(applied)
}

impl Applied<'_> {
    fn remove(&mut self, group: GroupView<'_>, index: LeafIndex) -> Result<(), Rejection> {
        let leaf = group.tree.leaf(index).ok_or(Rejection::RemoveOfNobody(index))?;
        self.removed.push((index, leaf));
        Ok(())
    }

    /// Applies the AppDataUpdates of the list, by the answers of their components.
    pub(crate) fn update_app_data(&mut self, list: &CheckedList) -> Result<(), Error> {
        self.app_data = change_dictionary(&mut self.extensions, list, list.app_data())?;
        Ok(())
    }

    /// Checks the resulting tree and extensions (sections 7.3, 11.1 and 12.2).
    pub(crate) fn check(&self, group: GroupView<'_>) -> Result<(), Error> {
        self.check_members(group)?;
        // Looked up only if something is required.
        let changed = core::iter::once_with(|| self.tree.replaced_leaves()).flatten();
        let changed = changed.map(|(leaf, _)| leaf);
        check_component_support(&self.tree, &self.extensions, group.extensions(), changed)
    }

    /// [`Self::check`] before AppDataUpdates of a list are applied: without what components are
    /// required, if one may change that.
    pub(crate) fn check_before_updates(
        &self,
        group: GroupView<'_>,
        list: &CheckedList,
    ) -> Result<(), Error> {
        if list.iter().any(|item| may_require(&item.proposal)) {
            self.check_members(group)
        } else {
            self.check(group)
        }
    }

    fn check_members(&self, group: GroupView<'_>) -> Result<(), Error> {
        let leaves = usize::try_from(self.tree.size().leaf_count()).unwrap_or(usize::MAX);
        group.limits.check(Limit::TreeLeaves, leaves)?;
        self.tree.check_unique_keys()?;
        check_group_support(group.limits, &self.tree, &self.extensions)
    }

    /// The leaves that Adds of this list made.
    pub(crate) fn new_leaves(&self) -> Vec<LeafIndex> {
        self.added.iter().map(|(leaf, _)| *leaf).collect()
    }

    /// The GroupContext of the next epoch, still with the old confirmed transcript hash.
    pub(crate) fn provisional_context(
        &mut self,
        suite: &Suite<'_>,
        group: GroupView<'_>,
    ) -> Result<GroupContext, Error> {
        let old = group.context();
        Ok(GroupContext {
            version: old.version,
            cipher_suite: old.cipher_suite,
            group_id: old.group_id.clone(),
            epoch: old.epoch.next().ok_or(Rejection::EpochExhausted)?,
            tree_hash: self.tree.tree_hash(suite)?.to_vec().into(),
            confirmed_transcript_hash: old.confirmed_transcript_hash.clone(),
            extensions: self.extensions.clone(),
        })
    }
}
