//! What every member and observer knows about a group in an epoch.
//!
//! The rules of `validate` and an application's [`Policy`](crate::Policy) judge by this and nothing
//! else, so that all clients come to the same answer.

mod components;
pub(crate) mod epoch;
pub(crate) mod proposals;

use crate::event::Member;
use crate::limits::Limits;
use conclave_tree::{RatchetTree, TreeRead};
use conclave_wire::{
    CipherSuite, Credential, CustomProposal, Epoch, Extension, GroupContext, GroupId, LeafIndex,
};
use core::fmt;
use epoch::PublicEpoch;
use proposals::{PendingProposal, ProposalCache};

/// The public state of a group in its current epoch: what members and observers have in common.
///
/// [`Group::view`](crate::Group::view) and [`Observer::view`](crate::Observer::view) return it, and
/// a [`Policy`](crate::Policy) judges by it.
#[derive(Clone, Copy)]
pub struct GroupView<'a> {
    pub(crate) epoch: &'a PublicEpoch,
    pub(crate) tree: &'a RatchetTree,
    pub(crate) pending: &'a ProposalCache,
    pub(crate) limits: &'a Limits,
    /// The proposal types beyond RFC 9420's that this client implements.
    pub(crate) custom: &'a [CustomProposal],
}

impl fmt::Debug for GroupView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GroupView").field(self.group_id()).finish()
    }
}

impl<'a> GroupView<'a> {
    /// The group's identifier.
    #[must_use]
    pub fn group_id(&self) -> &'a GroupId {
        &self.epoch.context.group_id
    }

    /// The current epoch.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch.context.epoch
    }

    /// The cipher suite.
    #[must_use]
    pub fn cipher_suite(&self) -> CipherSuite {
        self.epoch.context.cipher_suite
    }

    /// The epoch's GroupContext.
    #[must_use]
    pub fn context(&self) -> &'a GroupContext {
        &self.epoch.context
    }

    /// The GroupContext's extensions.
    #[must_use]
    pub fn extensions(&self) -> &'a [Extension] {
        &self.epoch.context.extensions
    }

    /// The ratchet tree. [`TreeRead::to_extension_bytes`] encodes it for clients that join.
    #[must_use]
    pub fn tree(&self) -> &'a RatchetTree {
        self.tree
    }

    /// The members, by ascending leaf.
    pub fn members(&self) -> impl Iterator<Item = Member> + use<'a> {
        members(self.tree)
    }

    /// The member at a leaf.
    #[must_use]
    pub fn member(&self, leaf: LeafIndex) -> Option<Member> {
        self.tree.leaf(leaf).map(|node| Member::of(leaf, &node))
    }

    /// The member with a credential: the first by leaf, if several have it.
    #[must_use]
    pub fn find(&self, credential: &Credential) -> Option<Member> {
        self.members().find(|member| member.credential == *credential)
    }

    /// The credential of the member at a leaf.
    #[must_use]
    pub fn credential(&self, leaf: LeafIndex) -> Option<Credential> {
        self.tree.leaf(leaf).map(|leaf| leaf.credential)
    }

    /// The proposals that wait for a commit, by order of arrival.
    pub fn proposals(&self) -> impl Iterator<Item = PendingProposal<'a>> + use<'a> {
        self.pending.iter().filter_map(|(_, listed)| PendingProposal::of(listed))
    }
}

/// The members of a tree, by ascending leaf.
pub(crate) fn members(tree: &RatchetTree) -> impl Iterator<Item = Member> {
    tree.members().filter_map(|leaf| tree.leaf(leaf).map(|node| Member::of(leaf, &node)))
}
