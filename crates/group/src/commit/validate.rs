//! Validating a commit, for members and observers alike.
//!
//! Section 12.4.2 lists what a member does with a received commit. This is where each step is:
//!
//! 1. The epoch is the current one: `PublicState::check_current`.
//! 2. The message is unprotected, and
//! 3. its signature verified: `conclave_framing`, with the key of its sender (`Group::verify`).
//! 4. The list of proposals is valid (section 12.2): [`resolve_proposals`].
//!
//!    *Here the application judges the credentials and provides the PSKs.*
//!
//! 5. All PSKs are available: `Group::psk_values`.
//! 6. The proposals are applied (section 12.3),
//! 7. a path is there if it has to be,
//! 8. and its leaf node is valid and merged into the tree: [`validate_commit`], which also checks
//!    what the commit leads to, and asks the application's policy.
//! 9. The path is decrypted, or the commit secret is zero;
//! 10. the transcript hashes,
//! 11. the key schedule,
//! 12. and the confirmation tag follow: `commit/advance.rs`, for members alone.
//! 13. The new state takes effect: `apply`, once the application has stored it.
//! 14. After a ReInit the group is closed: `PublicEpoch::reinit`.

use crate::commit::epoch::confirmed_after;
use crate::error::limit::Limit;
use crate::error::{Error, Rejection};
use crate::policy::{self, Policy};
use crate::validate::apply::{Applied, apply};
use crate::validate::leaf::{check_leaf, check_own_leaf};
use crate::validate::list::{CheckedList, Committer, Origin};
use crate::validate::proposal::Linking;
use crate::view::GroupView;
use crate::view::proposals::{ListedProposal, encoded_len};
use alloc::collections::BTreeSet;
use conclave_crypto::Suite;
use conclave_tree::{TreeRead, merge_path};
use conclave_wire::{
    AuthenticatedCommit, Commit, GroupContext, LeafIndex, LeafNode, LeafNodeContext,
    LeafNodeSource, Proposal, ProposalOrRef, SelfRemove, Sender, UpdatePath,
};

/// A commit that is valid as far as that can be known without secrets, applied to a staged tree.
pub(crate) struct StagedCommit<'a> {
    pub(crate) applied: Applied<'a>,
    /// The committer's leaf, in the new tree.
    pub(crate) committer: LeafIndex,
    /// The context of the new epoch. It has the old confirmed transcript hash until
    /// [`Self::enter_transcript`].
    pub(crate) context: GroupContext,
}

impl StagedCommit<'_> {
    /// Adds the commit to the transcript (section 8.2): step 10.
    pub(crate) fn enter_transcript(
        &mut self,
        group: GroupView<'_>,
        suite: &Suite<'_>,
        commit: &AuthenticatedCommit,
    ) -> Result<(), Error> {
        self.context.confirmed_transcript_hash =
            confirmed_after(group, suite, &commit.transcript_hash_input())?;
        Ok(())
    }
}

/// Looks up a commit's proposals and checks the list (section 12.2): step 4.
pub(crate) fn resolve_proposals(
    group: GroupView<'_>,
    suite: &Suite<'_>,
    sender: Sender,
    commit: &Commit,
    linking: Linking,
    origin: Origin,
) -> Result<CheckedList, Error> {
    group.limits.check(Limit::Proposals, commit.proposals.len())?;
    check_references(group, commit)?;

    let from_outside = sender == Sender::NewMemberCommit;
    let resolve = |item: &ProposalOrRef| match item {
        ProposalOrRef::Proposal(p) => Ok(ListedProposal::by_value(sender, p.clone())),
        ProposalOrRef::Reference(reference) => match group.pending.find(reference) {
            // A client that joins from outside can refer to SelfRemoves, and to nothing else.
            Some((_, listed)) if from_outside && !listed.is_self_remove() => {
                Err(Error::from(Rejection::ExternalReference))
            }
            None if from_outside && !can_be_left_by_self_remove(group) => {
                Err(Rejection::ExternalReference.into())
            }
            Some((_, listed)) => Ok(listed.clone()),
            None => Err(Rejection::UnknownProposal(reference.clone()).into()),
        },
    };
    let list = commit.proposals.iter().map(resolve).collect::<Result<_, _>>()?;
    CheckedList::check(suite, group, Committer::of(sender), list, linking, origin)
}

/// Whether all members support SelfRemove under some code point: then a reference that a client which
/// joins makes can be to one that we have not received.
fn can_be_left_by_self_remove(group: GroupView<'_>) -> bool {
    let profiles = group.custom.iter().filter_map(|known| known.self_remove);
    let mut formats = core::iter::once(SelfRemove::DRAFT).chain(profiles);
    formats.any(|format| group.tree.all_support_proposal(format.proposal_type))
}

/// Checks that a commit references twice only what may be in a list twice, which is nothing that
/// RFC 9420 defines (section 12.2) and no SelfRemove. Copies count against [`Limit::PendingBytes`]: a reference is
/// short, and the proposal can be long.
fn check_references(group: GroupView<'_>, commit: &Commit) -> Result<(), Error> {
    let mut references = BTreeSet::new();
    let mut bytes = group.pending.bytes();
    for item in &commit.proposals {
        let ProposalOrRef::Reference(reference) = item else { continue };
        if references.insert(reference) {
            continue;
        }

        match group.pending.find(reference).map(|(_, listed)| &listed.proposal) {
            Some(
                proposal @ (Proposal::AppDataUpdate(_)
                | Proposal::AppEphemeral(_)
                | Proposal::Custom { .. }),
            ) => {
                bytes = bytes.saturating_add(encoded_len(proposal));
                group.limits.check(Limit::PendingBytes, bytes)?;
            }
            _ => return Err(Rejection::RepeatedReference(reference.clone()).into()),
        }
    }
    Ok(())
}

/// Checks a commit and stages its effect on the tree and the context: steps 6 to 8. The same
/// function judges received commits, our own when they are accepted, and those that an observer
/// sees.
pub(crate) fn validate_commit<'a>(
    group: GroupView<'a>,
    policy: &dyn Policy,
    suite: &Suite<'_>,
    sender: Sender,
    list: &CheckedList,
    path: Option<&UpdatePath>,
    origin: Origin,
) -> Result<StagedCommit<'a>, Error> {
    // Step 6, section 12.3: apply the proposals.
    let mut applied = apply(group, list)?;
    applied.update_app_data(list)?;

    // Step 7, section 12.4: a path is there if the proposals need one.
    if applied.needs_path && path.is_none() {
        return Err(Rejection::PathMissing.into());
    }

    // Step 8, section 7.3: the path's leaf node is valid. Section 7.5: merge the path into the
    // tree. A client that joins by the commit takes the leftmost blank leaf.
    let committer = match Committer::of(sender) {
        Committer::Member(leaf) => leaf,
        Committer::External => applied.tree.place_leaf()?,
    };
    if let Some(path) = path {
        check_path_leaf(group, suite, sender, committer, &applied, &path.leaf_node, origin)?;
        let new_leaves = applied.new_leaves();
        merge_path(suite, &mut applied.tree, committer, path, &new_leaves)?;
    }

    // Sections 7.3, 11.1 and 12.2: all members support what the new epoch needs, and no key occurs
    // twice.
    applied.check(group)?;

    // The application's rules. For our own commit too: proposals may have come since it was made.
    policy::check_commit(policy, group, sender, list, path.map(|path| &path.leaf_node))?;

    let context = applied.provisional_context(suite, group)?;
    Ok(StagedCommit { applied, committer, context })
}

/// Checks the leaf node of a path (sections 7.3 and 12.4.2).
fn check_path_leaf(
    group: GroupView<'_>,
    suite: &Suite<'_>,
    sender: Sender,
    committer: LeafIndex,
    applied: &Applied<'_>,
    leaf: &LeafNode,
    origin: Origin,
) -> Result<(), Error> {
    if !matches!(leaf.leaf_node_source, LeafNodeSource::Commit(_)) {
        return Err(Rejection::CommitLeafSource.into());
    }
    let context = LeafNodeContext { group_id: group.group_id(), leaf_index: committer };
    match origin {
        Origin::Received => check_leaf(suite, group.limits, leaf, context)?,
        Origin::Own => check_own_leaf(suite, group.limits, group.custom, leaf)?,
    }
    if Committer::of(sender) == Committer::External {
        check_resync(applied, leaf)?;
    }
    Ok(())
}

/// Checks that a client which replaces its old leaf brings a new encryption key, as an Update must
/// (section 12.2).
fn check_resync(applied: &Applied<'_>, leaf: &LeafNode) -> Result<(), Rejection> {
    let mut removed = applied.removed.iter();
    if removed.any(|(_, old)| old.encryption_key == leaf.encryption_key) {
        return Err(Rejection::ExternalKeyUnchanged);
    }
    Ok(())
}
