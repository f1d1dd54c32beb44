//! The rules for a list of proposals as a whole (section 12.2).

use crate::error::limit::Limit;
use crate::error::{Error, Rejection};
use crate::limits::Limits;
use crate::validate::app_data::{check_answers, check_operations};
use crate::validate::key_package::{check_key_package_fits, check_key_packages};
use crate::validate::proposal::{Linking, check_proposal};
use crate::view::GroupView;
use crate::view::proposals::{ListedProposal, injected_psk};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use conclave_crypto::Suite;
use conclave_wire::{Bytes, CustomProposal, LeafIndex, Proposal, Sender};

/// The kind of committer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Committer {
    Member(LeafIndex),
    External,
}

impl Committer {
    /// The sender of a commit.
    pub(crate) fn of(sender: Sender) -> Self {
        match sender {
            Sender::Member(leaf) => Self::Member(leaf),
            Sender::External(_) | Sender::NewMemberProposal | Sender::NewMemberCommit => {
                Self::External
            }
        }
    }
}

/// Who made a list of proposals: our own need not be checked again in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Somebody else.
    Received,
    /// This client. Its Adds are of valid key packages, and it signed its path's leaf itself.
    Own,
}

/// The proposals of a commit, checked by all rules except those on the resulting tree. Valid for
/// the epoch that they were checked against.
#[derive(Clone, Debug)]
pub(crate) struct CheckedList {
    list: Vec<ListedProposal>,
    /// The new data of the components that the list updates, in ascending order.
    app_data: Vec<Bytes>,
}

impl CheckedList {
    /// Checks a list: as a whole, and each proposal by value by itself. A proposal by reference was
    /// checked when it was received, in this same epoch.
    pub(crate) fn check(
        suite: &Suite<'_>,
        group: GroupView<'_>,
        committer: Committer,
        list: Vec<ListedProposal>,
        linking: Linking,
        origin: Origin,
    ) -> Result<Self, Error> {
        group.limits.check(Limit::Proposals, list.len())?;
        check_list(group.limits, group.custom, committer, &list)?;

        let mut added = Vec::new();
        for item in list.iter().filter(|item| item.reference.is_none()) {
            match (&item.proposal, origin) {
                (Proposal::Add(kp), Origin::Own) => {
                    check_key_package_fits(suite, group.limits, kp)?;
                }
                (Proposal::Add(kp), Origin::Received) => added.push(&**kp),
                (proposal, _) => check_proposal(suite, group, item.sender, proposal, linking)?,
            }
        }
        // In batches: a commit can add thousands.
        check_key_packages(suite, group.limits, added.into_iter()).map_err(|(_, error)| error)?;
        Ok(Self::of_checked(list))
    }

    /// A list that passed [`check_list`], of proposals that were checked before.
    pub(crate) fn of_checked(list: Vec<ListedProposal>) -> Self {
        Self { list, app_data: Vec::new() }
    }

    /// Takes the answers of the components that the list updates, one for each.
    pub(crate) fn answer(&mut self, app_data: Vec<Bytes>) -> Result<(), Error> {
        check_answers(&self.list, &app_data)?;
        self.app_data = app_data;
        Ok(())
    }

    /// The answers of the components that the list updates, in ascending order.
    pub(crate) fn app_data(&self) -> &[Bytes] {
        &self.app_data
    }
}

impl core::ops::Deref for CheckedList {
    type Target = [ListedProposal];
    fn deref(&self) -> &[ListedProposal] {
        &self.list
    }
}

/// Checks a list by the rules that need no tree (section 12.2).
pub(crate) fn check_list(
    limits: &Limits,
    custom: &[CustomProposal],
    committer: Committer,
    list: &[ListedProposal],
) -> Result<(), Rejection> {
    // draft-ietf-mls-extensions-10: SelfRemove only by reference.
    if list.iter().any(|item| item.is_self_remove() && item.reference.is_none()) {
        return Err(Rejection::SelfRemoveByValue);
    }
    match committer {
        Committer::Member(leaf) => check_member_list(leaf, list)?,
        Committer::External => check_external_list(custom, list)?,
    }
    check_operations(list)?;

    let mut psks = BTreeSet::new();
    for id in list.iter().filter_map(|item| injected_psk(&item.proposal)) {
        if !psks.insert(id) {
            return Err(Rejection::DuplicatePsk);
        }
    }
    limits.check(Limit::Psks, psks.len())?;
    // Section 8.4: a PSKLabel counts them in 16 bits.
    if psks.len() > usize::from(u16::MAX) {
        return Err(Rejection::TooManyPsks);
    }
    Ok(())
}

/// The list of a member's commit.
fn check_member_list(committer: LeafIndex, list: &[ListedProposal]) -> Result<(), Rejection> {
    let mut changed = BTreeSet::new();
    let mut context_extensions = false;
    for item in list {
        let changed_leaf = match &item.proposal {
            Proposal::Update(_) => match item.sender {
                Sender::Member(leaf) if leaf == committer => {
                    return Err(Rejection::CommitterUpdates);
                }
                Sender::Member(leaf) => Some(leaf),
                // Refused as a proposal by itself.
                Sender::External(_) | Sender::NewMemberProposal | Sender::NewMemberCommit => None,
            },
            Proposal::Remove(_) | Proposal::SelfRemove(_) => {
                let removed = item.removed_leaf();
                if removed == Some(committer) {
                    return Err(Rejection::CommitterRemoved);
                }
                removed
            }

            Proposal::ReInit(_) if list.len() > 1 => return Err(Rejection::ReInitNotAlone),
            Proposal::ExternalInit(_) => return Err(Rejection::ExternalInitByMember),
            Proposal::GroupContextExtensions(_) => {
                if core::mem::replace(&mut context_extensions, true) {
                    return Err(Rejection::SeveralGroupContextExtensions);
                }
                None
            }

            // The tree finds a client that is added twice or is a member already.
            Proposal::Add(_)
            | Proposal::PreSharedKey(_)
            | Proposal::ReInit(_)
            | Proposal::AppDataUpdate(_)
            | Proposal::AppEphemeral(_)
            | Proposal::Custom { .. } => None,
        };
        if let Some(leaf) = changed_leaf
            && !changed.insert(leaf)
        {
            return Err(Rejection::SeveralChangesOfLeaf(leaf));
        }
    }
    Ok(())
}

/// The list of an external commit. All proposals but SelfRemoves are by value: any other reference is
/// refused when it is looked up.
fn check_external_list(
    custom: &[CustomProposal],
    list: &[ListedProposal],
) -> Result<(), Rejection> {
    let mut inits = 0;
    let mut removes = 0;
    let mut removed = BTreeSet::new();
    let mut removed_twice = None;
    for item in list {
        let proposal = &item.proposal;
        if !proposal.rules(custom).is_some_and(|rules| rules.external_commit) {
            return Err(Rejection::ExternalProposal(proposal.proposal_type()));
        }
        inits += usize::from(matches!(proposal, Proposal::ExternalInit(_)));
        removes += usize::from(matches!(proposal, Proposal::Remove(_)));
        if let Some(leaf) = item.removed_leaf()
            && !removed.insert(leaf)
        {
            removed_twice = Some(leaf);
        }
    }

    if inits != 1 {
        return Err(Rejection::ExternalInitCount);
    }
    if removes > 1 {
        return Err(Rejection::ExternalRemoves);
    }
    if let Some(leaf) = removed_twice {
        return Err(Rejection::SeveralChangesOfLeaf(leaf));
    }
    Ok(())
}
