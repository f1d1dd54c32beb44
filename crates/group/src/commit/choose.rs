//! The received proposals that a commit takes.

use crate::view::GroupView;
use crate::view::proposals::{ListedProposal, removed_leaf};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use conclave_tree::TreeRead;
use conclave_wire::{LeafIndex, PreSharedKeyId, Proposal, Sender, SignaturePublicKey};

/// The received proposals that a member can commit together with `wanted`, which takes precedence:
/// Removes before Updates, a member's last Update, the last GroupContextExtensions, no ReInit
/// beside others, nothing about the committer's own leaf, no client twice (section 12.2), and PSKs
/// up to the limit.
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
    let removed: BTreeSet<LeafIndex> =
        all.filter_map(|item| removed_leaf(&item.proposal)).collect();
    let mut seen = Seen {
        committer,
        group,
        removed: &removed,
        leaves: BTreeSet::new(),
        psks: BTreeSet::new(),
        keys: BTreeSet::new(),
        context_extensions: false,
    };
    for item in wanted {
        seen.admits(item);
    }

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
            Proposal::Remove(leaf) => *leaf != self.committer && self.leaves.insert(*leaf),
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
            Proposal::ReInit(_) | Proposal::Custom { .. } => true,
            Proposal::ExternalInit(_) => false,
        }
    }
}
