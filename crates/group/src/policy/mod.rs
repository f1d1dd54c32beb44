//! An application's rules for proposals and commits, beyond those of RFC 9420 (section 12.2).
//!
//! A [`Policy`] judges every proposal and commit, before it is sent and when it is received, for
//! members and observers. All of them must come to the same answer, so it sees the group and the
//! message and nothing else, neither a clock nor a network.

pub(crate) mod all_of;
pub(crate) mod covering;
pub(crate) mod permissions;
pub(crate) mod ready_made;

use crate::credentials::Verdict;
use crate::error::reasons::Obstacle;
use crate::error::{Error, Misuse, Rejection};
use crate::view::GroupView;
use crate::view::proposals::{ListedProposal, PendingProposal};
use alloc::vec::Vec;
use conclave_wire::{LeafNode, Proposal, Sender};
use core::fmt;

/// A proposal with its sender.
#[derive(Clone, Copy, Debug)]
pub struct Proposed<'a> {
    /// The proposer; for a proposal by value, the committer.
    pub sender: Sender,
    /// The proposal.
    pub proposal: &'a Proposal,
    /// Whether it came in its own message, which a commit references.
    pub by_reference: bool,
}

impl<'a> From<&'a ListedProposal> for Proposed<'a> {
    fn from(item: &'a ListedProposal) -> Self {
        let ListedProposal { sender, proposal, reference } = item;
        Self { sender: *sender, proposal, by_reference: reference.is_some() }
    }
}

impl<'a> From<PendingProposal<'a>> for Proposed<'a> {
    fn from(item: PendingProposal<'a>) -> Self {
        Self { sender: item.sender, proposal: item.proposal, by_reference: true }
    }
}

/// A commit, with all its proposals.
#[derive(Clone, Debug)]
pub struct ProposedCommit<'a> {
    /// The committer: a member, or a client that joins by the commit.
    pub sender: Sender,
    /// The committed proposals.
    pub proposals: Vec<Proposed<'a>>,
    /// The committer's new leaf node, if the commit has a path.
    pub leaf: Option<&'a LeafNode>,
}

/// An application's rules for proposals and commits, beyond those of RFC 9420.
///
/// Every member and observer must give the same answer to the same message. So a policy sees the
/// group and the message and nothing else. Questions that take a clock or a network are asked at
/// the stages, about credentials.
///
/// ```
#[doc = client!()]
/// use conclave_mls::policy::{GroupView, Policy, ProposedCommit};
///
/// /// At most ten proposals in a commit.
/// #[derive(Debug)]
/// struct SmallCommits;
///
/// impl Policy for SmallCommits {
///     fn id(&self) -> Vec<u8> {
///         b"small commits, version 1".to_vec()
///     }
///
///     fn commit(&self, _: GroupView<'_>, commit: &ProposedCommit<'_>) -> Verdict {
///         if commit.proposals.len() <= 10 {
///             Verdict::Accept
///         } else {
///             Verdict::refuse("more than ten proposals")
///         }
///     }
/// }
/// ```
pub trait Policy: fmt::Debug + Send + Sync {
    /// A short name for these rules, with their version. It is stored with the group, and a group
    /// loads only under the name that it was stored under (see
    /// [`Config::adopt_policy`](crate::Config::adopt_policy)). Default: empty.
    fn id(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Judges a proposal, by value in a commit or in its own message. Default: accepted.
    fn proposal(&self, group: GroupView<'_>, proposal: Proposed<'_>) -> Verdict {
        let _ = (group, proposal);
        Verdict::Accept
    }

    /// Whether a member may commit a proposal at all. A committer leaves out the received proposals
    /// that it may not commit. Commits are not judged by this but by [`Self::commit`], which must
    /// refuse the same and may refuse more. Default: accepted.
    fn committable(
        &self,
        group: GroupView<'_>,
        committer: Sender,
        proposal: Proposed<'_>,
    ) -> Verdict {
        let _ = (group, committer, proposal);
        Verdict::Accept
    }

    /// Judges a commit as a whole: when it is made, when it is received, and when our own is
    /// accepted. Its proposals were accepted by [`Self::proposal`] before, those by reference when
    /// they were received. Default: accepted.
    fn commit(&self, group: GroupView<'_>, commit: &ProposedCommit<'_>) -> Verdict {
        let _ = (group, commit);
        Verdict::Accept
    }
}

/// Checks a proposal by a policy.
pub(crate) fn check_proposal(
    policy: &dyn Policy,
    group: GroupView<'_>,
    proposal: Proposed<'_>,
) -> Result<(), Error> {
    by_policy(policy.proposal(group, proposal))
}

/// Checks a commit by a policy, with its proposals by value.
pub(crate) fn check_commit(
    policy: &dyn Policy,
    group: GroupView<'_>,
    sender: Sender,
    list: &[ListedProposal],
    leaf: Option<&LeafNode>,
) -> Result<(), Error> {
    let proposals: Vec<Proposed<'_>> = list.iter().map(Proposed::from).collect();
    for item in proposals.iter().filter(|item| !item.by_reference) {
        check_proposal(policy, group, *item)?;
    }
    by_policy(policy.commit(group, &ProposedCommit { sender, proposals, leaf }))
}

fn by_policy(verdict: Verdict) -> Result<(), Error> {
    match verdict {
        Verdict::Accept => Ok(()),
        Verdict::Refuse(reason) => Err(Rejection::RefusedByPolicy { reason }.into()),
        // A policy has everything that it needs to judge, and all members must come to one answer.
        Verdict::Later => Err(Misuse::NotPossible(Obstacle::PolicyCannotWait).into()),
    }
}
