//! The received proposals that a commit takes.

use crate::view::GroupView;
use crate::view::proposals::ListedProposal;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use conclave_tree::TreeRead;
use conclave_wire::{
    AppDataUpdate, AppDataUpdateOperation, ComponentId, LeafIndex, PreSharedKeyId, Proposal,
    Sender, SignaturePublicKey,
};

/// The received proposals that a member can commit together with `wanted`, which takes precedence:
/// SelfRemoves before Removes, both before Updates, a member's last Update, the last
/// GroupContextExtensions, no ReInit beside others, nothing about the committer's own leaf, no
/// client twice (section 12.2), PSKs up to the limit, and what the last AppDataUpdate of a component
/// does, updates or a removal.
pub(crate) fn committable<'a>(
    committer: LeafIndex,
    group: GroupView<'a>,
    received: &[&'a ListedProposal],
    wanted: &'a [ListedProposal],
) -> Vec<ListedProposal> {
    if wanted.iter().any(|item| matches!(item.proposal, Proposal::ReInit(_))) {
        return Vec::new();
    }

    let all = received.iter().copied().chain(wanted);
    let removed: BTreeSet<LeafIndex> = all.filter_map(ListedProposal::removed_leaf).collect();
    let leaving = received.iter().filter(|item| item.is_self_remove());
    let leaving = leaving.filter_map(|item| item.removed_leaf()).collect();
    let mut seen = Seen {
        committer,
        group,
        removed: &removed,
        leaving: BTreeSet::new(),
        updated: BTreeMap::new(),
        leaves: BTreeSet::new(),
        psks: BTreeSet::new(),
        keys: BTreeSet::new(),
        context_extensions: false,
    };
    for item in wanted {
        seen.admits(item);
    }
    seen.leaving = leaving;

    // From the last to the first, so that the last of several conflicting ones wins.
    let mut kept: Vec<&ListedProposal> =
        received.iter().rev().copied().filter(|item| seen.admits(item)).collect();
    kept.reverse();

    let closes = |item: &&ListedProposal| matches!(item.proposal, Proposal::ReInit(_));
    if wanted.is_empty() && kept.iter().all(closes) {
        kept.truncate(1);
    } else {
        kept.retain(|item| !closes(item));
    }
    kept.into_iter().cloned().collect()
}

/// What the proposals taken so far affect.
struct Seen<'a> {
    committer: LeafIndex,
    group: GroupView<'a>,
    /// The leaves that the list removes.
    removed: &'a BTreeSet<LeafIndex>,
    /// The leaves of members who asked for it themselves. A Remove of one is invalid.
    leaving: BTreeSet<LeafIndex>,
    /// The components whose data the list changes, and whether it removes it.
    updated: BTreeMap<ComponentId, bool>,
    leaves: BTreeSet<LeafIndex>,
    psks: BTreeSet<&'a PreSharedKeyId>,
    keys: BTreeSet<&'a SignaturePublicKey>,
    context_extensions: bool,
}

impl<'a> Seen<'a> {
    /// Whether a proposal is compatible with those taken so far. If so, it is taken.
    fn admits(&mut self, item: &'a ListedProposal) -> bool {
        match &item.proposal {
            Proposal::Update(_) => {
                let Sender::Member(leaf) = item.sender else { return false };
                leaf != self.committer && !self.removed.contains(&leaf) && self.leaves.insert(leaf)
            }
            Proposal::Remove(leaf) => {
                *leaf != self.committer && !self.leaving.contains(leaf) && self.leaves.insert(*leaf)
            }
            Proposal::SelfRemove(_) => item
                .removed_leaf()
                .is_some_and(|leaf| leaf != self.committer && self.leaves.insert(leaf)),
            Proposal::AppDataUpdate(AppDataUpdate { component_id, operation }) => {
                let removes = matches!(operation, AppDataUpdateOperation::Remove);
                match self.updated.get(component_id) {
                    None => self.updated.insert(*component_id, removes).is_none(),
                    Some(removed) => !removes && !removed,
                }
            }
            Proposal::Add(key_package) => {
                let key = &key_package.leaf_node.signature_key;
                let member = self.group.tree.member_with_signature_key(key);
                member.is_none_or(|leaf| self.removed.contains(&leaf)) && self.keys.insert(key)
            }
            Proposal::PreSharedKey(id) => {
                self.psks.len() < self.group.limits.psks && self.psks.insert(id)
            }
            Proposal::GroupContextExtensions(_) => {
                !core::mem::replace(&mut self.context_extensions, true)
            }
            Proposal::ReInit(_) | Proposal::AppEphemeral(_) | Proposal::Custom { .. } => true,
            Proposal::ExternalInit(_) => false,
        }
    }
}
