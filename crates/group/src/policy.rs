//! An application's rules for proposals and commits, beyond those of RFC 9420 (section 12.2).
//!
//! A [`Policy`] is asked for every proposal and commit, before it is sent and when it is received,
//! by members and observers. As all of them must come to the same answer, it sees the group and
//! the message and nothing else, neither a clock nor a network; what depends on those is asked at
//! the stages of credentials.

use crate::credentials::Verdict;
use crate::proposals::ListedProposal;
use crate::public::PublicState;
use alloc::vec::Vec;
use conclave_tree::{RatchetTree, TreeRead};
use conclave_wire::{Credential, GroupContext, LeafIndex, LeafNode, Proposal, Sender};
use core::fmt;

/// A proposal, with who makes it.
#[derive(Clone, Copy, Debug)]
pub struct Proposed<'a> {
    /// Who proposes; for a proposal by value, the committer.
    pub sender: Sender,
    /// What is proposed.
    pub proposal: &'a Proposal,
    /// Whether it comes in a message of its own, to which a commit refers.
    pub by_reference: bool,
}

impl<'a> From<&'a ListedProposal> for Proposed<'a> {
    fn from(item: &'a ListedProposal) -> Self {
        let ListedProposal { sender, proposal, reference } = item;
        Self { sender: *sender, proposal, by_reference: reference.is_some() }
    }
}

/// A commit, with all its proposals.
#[derive(Clone, Debug)]
pub struct ProposedCommit<'a> {
    /// Who commits: a member, or somebody that joins by it.
    pub sender: Sender,
    /// What is committed.
    pub proposals: Vec<Proposed<'a>>,
    /// The committer's new leaf node, if the commit has a path.
    pub leaf: Option<&'a LeafNode>,
}

/// A group as a policy sees it, in the epoch in which the proposal or commit is made.
#[derive(Clone, Copy)]
pub struct GroupView<'a>(pub(crate) &'a PublicState);

impl fmt::Debug for GroupView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GroupView").field(&self.context().group_id).finish()
    }
}

impl<'a> GroupView<'a> {
    /// The epoch's context, with the group's extensions.
    #[must_use]
    pub fn context(&self) -> &'a GroupContext {
        &self.0.epoch.context
    }

    /// The ratchet tree.
    #[must_use]
    pub fn tree(&self) -> &'a RatchetTree {
        &self.0.tree
    }

    /// The credential of the member at a leaf.
    #[must_use]
    pub fn credential(&self, leaf: LeafIndex) -> Option<Credential> {
        self.tree().leaf(leaf).map(|leaf| leaf.credential)
    }

    /// The proposals that wait for a commit, by order of arrival.
    pub fn pending(&self) -> impl Iterator<Item = Proposed<'a>> {
        self.0.proposals.iter().map(|(_, listed)| listed.into())
    }
}

/// An application's rules for proposals and commits, beyond those of RFC 9420.
///
/// The same message must have the same answer at every member and observer. So a policy sees the
/// group and the message and nothing else; what depends on a clock or a network is asked at the
/// stages, of credentials.
pub trait Policy: fmt::Debug + Send + Sync {
    /// A name for these rules, with their version, in few bytes. It is stored with the group, and a
    /// group that was stored under one name is loaded only under that name (see
    /// [`Config::adopt_policy`](crate::Config::adopt_policy)). Default: empty.
    fn id(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Judges a proposal: by value in a commit, or in a message of its own. Default: accepted.
    fn proposal(&self, group: GroupView<'_>, proposal: Proposed<'_>) -> Verdict {
        let _ = (group, proposal);
        Verdict::Accept
    }

    /// Whether somebody may commit a proposal at all. Who commits leaves those received proposals
    /// out for which it may not; a commit is not judged by this, but by [`Self::commit`], which
    /// refuses the same and more. Default: accepted.
    fn committable(
        &self,
        group: GroupView<'_>,
        committer: Sender,
        proposal: Proposed<'_>,
    ) -> Verdict {
        let _ = (group, committer, proposal);
        Verdict::Accept
    }

    /// Judges a commit as a whole, when it is made, received, and when the own one is accepted. Its
    /// proposals by value were accepted by [`Self::proposal`]; those
    /// by reference were when they were received. Default: accepted.
    fn commit(&self, group: GroupView<'_>, commit: &ProposedCommit<'_>) -> Verdict {
        let _ = (group, commit);
        Verdict::Accept
    }
}
