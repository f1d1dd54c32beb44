//! Applying a list of proposals (section 12.3).

use crate::error::limit::Limit;
use crate::error::{Error, Rejection};
use crate::event::CustomChange;
use crate::validate::leaf::check_group_support;
use crate::validate::list::CheckedList;
use crate::view::GroupView;
use alloc::vec::Vec;
use conclave_crypto::Suite;
use conclave_tree::{StagedTree, TreeRead};
use conclave_wire::{
    Bytes, Extension, GroupContext, LeafIndex, LeafNode, PreSharedKeyId, Proposal, ReInit, Sender,
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
    /// The proposals of types beyond RFC 9420's, each with its sender.
    pub(crate) custom: Vec<CustomChange>,
    /// Whether a commit of this list must have a path (section 12.4).
    pub(crate) needs_path: bool,
}

/// Applies a list in the order of section 12.3.
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
        custom: Vec::new(),
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
            Proposal::Remove(index) => {
                let leaf = group.tree.leaf(*index).ok_or(Rejection::RemoveOfNobody(*index))?;
                applied.removed.push((*index, leaf));
            }
            Proposal::Add(key_package) => adds.push((place, &key_package.leaf_node)),
            Proposal::PreSharedKey(id) => applied.psks.push(id.clone()),
            Proposal::ExternalInit(kem_output) => applied.external_init = Some(kem_output.clone()),
            Proposal::ReInit(reinit) => applied.reinit = Some(reinit.clone()),
            Proposal::Custom { proposal_type, body } => applied.custom.push(CustomChange {
                sender: item.sender,
                proposal_type: *proposal_type,
                body: body.clone(),
            }),
        }

        let rules = item.proposal.rules(group.custom);
        let rules = rules.ok_or(Rejection::UnsupportedProposal(item.proposal.proposal_type()))?;
        applied.needs_path |= rules.path_required;
    }

    let removed: Vec<LeafIndex> = applied.removed.iter().map(|(index, _)| *index).collect();
    applied.tree.remove_leaves(&removed)?;

    // Now the tree holds the members that will process the commit (section 12.2).
    for change in &applied.custom {
        if !applied.tree.all_support_proposal(change.proposal_type) {
            return Err(Rejection::UnsupportedProposal(change.proposal_type).into());
        }
    }

    let leaves: Vec<&LeafNode> = adds.iter().map(|(_, leaf)| *leaf).collect();
    let added = applied.tree.add_leaves(&leaves)?;
    applied.added = added.into_iter().zip(adds.iter().map(|(place, _)| *place)).collect();
    Ok(applied)
}

impl Applied<'_> {
    /// Checks the resulting tree and extensions (sections 7.3, 11.1 and 12.2).
    pub(crate) fn check(&self, group: GroupView<'_>) -> Result<(), Error> {
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
