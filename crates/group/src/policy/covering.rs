//! The pending proposals that a commit could hold: those that it leaves out, for
//! [`Rules::cover_all_pending`](crate::Rules::cover_all_pending), and those that a commit of ours
//! takes.
//!
//! Others decide how many proposals wait. So the commit is applied once, and each pending proposal
//! is compared with the result: O((committed + pending) · log n), plus the length of the proposals.

use crate::error::Error;
use crate::error::limit::Limit;
use crate::limits::Limits;
use crate::policy::{Proposed, ProposedCommit};
use crate::validate::app_data::may_require;
use crate::validate::apply::{Applied, apply};
use crate::validate::bindings::Bindings;
use crate::validate::components::Requirements;
use crate::validate::leaf as rules;
use crate::validate::list::{CheckedList, Committer, check_list};
use crate::view::GroupView;
use crate::view::proposals::{ListedProposal, added_client, leaving_member, removed_leaf};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use conclave_tree::{Feature, TreeRead};
use conclave_wire::{
    Bytes, CredentialType, ExtensionType, HpkePublicKey, LeafIndex, LeafNode, MultiCredential,
    Proposal, ProposalRef, ProposalType, Sender, SignaturePublicKey, TreeSize,
};
use core::cell::OnceCell;

/// The pending proposals that a member's commit does not cover and each of which would be valid in it.
/// A Remove of a member whose Update is committed would be in the Update's place.
pub(crate) fn left_out<'a, T: Copy>(
    group: GroupView<'_>,
    committer: LeafIndex,
    commit: &ProposedCommit<'_>,
    pending: impl Iterator<Item = T>,
) -> impl Iterator<Item = T>
where
    Proposed<'a>: From<T>,
{
    let committed = &commit.proposals;
    let covered = Covered::by(committed);

    // Usually nothing is left out. Then the commit need not be applied.
    let mut outcome = None;
    pending.filter(move |item| {
        let item = Proposed::from(*item);
        if covered.covers(&item) {
            return false;
        }
        let outcome = outcome
            .get_or_insert_with(|| Outcome::of(group, committer, committed, commit.leaf).ok());
        outcome.as_ref().is_some_and(|outcome| outcome.has_room_for(&covered, &item))
    })
}

/// Filters Adds and proposals beyond RFC 9420's, in their order: those remain that would be valid
/// in a member's commit and with each other. All of them remain if the commit is not valid without
/// its path, as they must be tried then.
pub(crate) fn fitting_beside(
    group: GroupView<'_>,
    committer: LeafIndex,
    committed: &[ListedProposal],
    more: Vec<ListedProposal>,
) -> Vec<ListedProposal> {
    let committed: Vec<Proposed<'_>> = committed.iter().map(Proposed::from).collect();
    let covered = Covered::by(&committed);
    let Ok(mut outcome) = Outcome::of(group, committer, &committed, None) else { return more };

    let mut fits = Vec::with_capacity(more.len());
    for item in &more {
        let room = outcome.has_room_for(&covered, &item.into());
        if room {
            outcome.take(&item.proposal);
        }
        fits.push(room);
    }
    more.into_iter().zip(fits).filter_map(|(item, fits)| fits.then_some(item)).collect()
}

/// The contents of a commit, by which to find what it covers.
#[derive(Default)]
struct Covered<'c> {
    any: bool,
    closes: bool,
    context_extensions: bool,
    removed: BTreeSet<LeafIndex>,
    updated: BTreeSet<Sender>,
    added: BTreeSet<&'c SignaturePublicKey>,
    custom: BTreeSet<(Sender, ProposalType, &'c Bytes)>,
}

impl<'c> Covered<'c> {
    fn by(committed: &[Proposed<'c>]) -> Self {
        let mut covered = Self { any: !committed.is_empty(), ..Self::default() };
        for Proposed { sender, proposal, .. } in committed {
            match proposal {
                Proposal::Add(key_package) => {
                    covered.added.insert(&key_package.leaf_node.signature_key);
                }
                Proposal::Update(_) => {
                    covered.updated.insert(*sender);
                }
                Proposal::Remove(_) | Proposal::SelfRemove(_) => {
                    covered.removed.extend(removed_leaf(*sender, proposal));
                }
                Proposal::GroupContextExtensions(_) => covered.context_extensions = true,
                Proposal::ReInit(_) => covered.closes = true,
                Proposal::Custom { proposal_type, body } => {
                    covered.custom.insert((*sender, *proposal_type, body));
                }
                Proposal::PreSharedKey(_)
                | Proposal::ExternalInit(_)
                | Proposal::AppDataUpdate(_)
                | Proposal::AppEphemeral(_) => {}
            }
        }
        covered
    }

    /// Whether the commit holds a pending proposal or one that takes its place, or removes its
    /// proposer. Nobody can see which PSKs the committer knows, or what it knows of components, so
    /// these count as covered.
    fn covers(&self, item: &Proposed<'_>) -> bool {
        if self.closes
            || matches!(item.sender, Sender::Member(leaf) if self.removed.contains(&leaf))
        {
            return true;
        }

        match item.proposal {
            Proposal::PreSharedKey(_) | Proposal::AppDataUpdate(_) | Proposal::AppEphemeral(_) => {
                true
            }
            Proposal::Add(key_package) => self.added.contains(&key_package.leaf_node.signature_key),
            // No Update takes the place of a Remove (section 12.2).
            Proposal::Update(_) => self.updated.contains(&item.sender),
            Proposal::Remove(leaf) => self.removed.contains(leaf),
            // Its proposer is not removed.
            Proposal::SelfRemove(_) => false,
            Proposal::GroupContextExtensions(_) => self.context_extensions,
            Proposal::ReInit(_) => self.any,
            Proposal::Custom { proposal_type, body } => {
                self.custom.contains(&(item.sender, *proposal_type, body))
            }
            Proposal::ExternalInit(_) => false,
        }
    }
}

/// The result of a commit, apart from its path above the leaf, and what that demands of one more
/// proposal.
struct Outcome<'a> {
    group: GroupView<'a>,
    committer: LeafIndex,
    /// The number of proposals in the commit.
    len: usize,
    applied: Applied<'a>,
    /// What every leaf must list.
    extensions: BTreeSet<ExtensionType>,
    proposals: BTreeSet<ProposalType>,
    credentials: BTreeSet<CredentialType>,
    in_use: BTreeSet<CredentialType>,
    /// What it requires of leaves beside that. None if an AppDataUpdate may change it: what comes of one
    /// is known to its component alone.
    requirements: Option<Requirements>,
    /// The types of proposal beyond RFC 9420's that the commit holds. All who process it list them.
    beyond: BTreeSet<ProposalType>,
    /// The number of new members that list a type of proposal.
    added_with: BTreeMap<ProposalType, u32>,
    /// The bindings of all members, from when a leaf is first compared with them.
    bindings: OnceCell<Option<Bindings>>,
    /// The Adds that were taken.
    taken: Taken<'a>,
}

/// New members beside those of the commit.
#[derive(Default)]
struct Taken<'a> {
    count: u32,
    leaves: Vec<&'a LeafNode>,
    encryption_keys: BTreeSet<&'a HpkePublicKey>,
    signature_keys: BTreeSet<&'a SignaturePublicKey>,
    /// The number of them that list a type of credential.
    listing: BTreeMap<CredentialType, u32>,
}

impl<'a> Outcome<'a> {
    /// The outcome of a commit, with the committer's new leaf if it has a path: the commit may be
    /// valid only because of what that leaf supports.
    fn of(
        group: GroupView<'a>,
        committer: LeafIndex,
        committed: &[Proposed<'_>],
        leaf: Option<&LeafNode>,
    ) -> Result<Self, Error> {
        // Apply the commit.
        let limits = group.limits;
        // A SelfRemove is valid only by reference. To which one does not matter here.
        let listed = |item: &Proposed<'_>| ListedProposal {
            sender: item.sender,
            proposal: item.proposal.clone(),
            reference: item.by_reference.then(|| ProposalRef::from([].as_slice())),
        };
        let list: Vec<ListedProposal> = committed.iter().map(listed).collect();
        check_list(limits, group.custom, Committer::Member(committer), &list)?;
        let list = CheckedList::of_checked(list);
        let mut applied = apply(group, &list)?;
        if let Some(leaf) = leaf {
            applied.tree.update_leaf(committer, leaf)?;
        }
        applied.check_before_updates(group, &list)?;

        // What the group asks of its members after it.
        let required = rules::required_capabilities(&applied.extensions)?.unwrap_or_default();
        let in_context = applied.extensions.iter().map(|e| e.extension_type);
        let extensions = in_context.chain(required.extension_types);
        let mut added_with: BTreeMap<ProposalType, u32> = BTreeMap::new();
        for key_package in committed.iter().filter_map(|item| added_client(item.proposal)) {
            for listed in set(&key_package.leaf_node.capabilities.proposals) {
                let count = added_with.entry(listed).or_default();
                *count = count.saturating_add(1);
            }
        }

        Ok(Self {
            extensions: extensions.filter(|t| !t.is_default()).collect(),
            proposals: required.proposal_types.into_iter().filter(|t| !t.is_default()).collect(),
            credentials: required.credential_types.into_iter().collect(),
            in_use: applied.tree.credential_types_in_use().into_iter().collect(),
            requirements: if committed.iter().any(|item| may_require(item.proposal)) {
                None
            } else {
                Some(Requirements::of(&applied.extensions)?)
            },
            beyond: applied.beyond.clone(),
            len: committed.len(),
            added_with,
            bindings: OnceCell::new(),
            applied,
            group,
            committer,
            taken: Taken::default(),
        })
    }

    fn limits(&self) -> &Limits {
        self.group.limits
    }

    /// Whether the commit would be valid with one more proposal, which it does not cover.
    fn has_room_for(&self, covered: &Covered<'_>, item: &Proposed<'_>) -> bool {
        let replaces = removed_leaf(item.sender, item.proposal)
            .is_some_and(|leaf| covered.updated.contains(&Sender::Member(leaf)));
        let len = self.len.saturating_add(usize::from(!replaces));
        if self.limits().check(Limit::Proposals, len).is_err() {
            return false;
        }

        match item.proposal {
            Proposal::Add(key_package) => self.can_add(&key_package.leaf_node),
            Proposal::Update(new) => match item.sender {
                Sender::Member(leaf) => self.can_update(leaf, new),
                Sender::External(_) | Sender::NewMemberProposal | Sender::NewMemberCommit => false,
            },
            // What holds for all members holds for fewer.
            Proposal::Remove(leaf) => *leaf != self.committer && self.group.tree.is_member(*leaf),
            // Others decide how many of these wait, so the members' leaves are not read for each: one
            // that requires something else of them may be left out.
            Proposal::GroupContextExtensions(extensions) => {
                rules::check_extension_support(self.limits(), &self.applied.tree, extensions)
                    .is_ok()
                    && Requirements::of(extensions).is_ok_and(|new| Some(new) == self.requirements)
            }
            Proposal::SelfRemove(format) => {
                leaving_member(item.sender)
                    .is_some_and(|leaf| leaf != self.committer && self.group.tree.is_member(leaf))
                    && self.all_support(format.proposal_type)
            }
            Proposal::ReInit(_) => self.len == 0,
            Proposal::AppDataUpdate(_) | Proposal::AppEphemeral(_) => {
                self.all_support(item.proposal.proposal_type())
            }
            Proposal::Custom { proposal_type, .. } => {
                self.all_support(*proposal_type)
                    && rules::custom_proposal(self.group.custom, *proposal_type).is_ok()
            }
            // It covers every PSK, and an ExternalInit is not pending.
            Proposal::PreSharedKey(_) | Proposal::ExternalInit(_) => false,
        }
    }

    /// Takes a proposal for which there is room, so that later ones must fit beside it.
    fn take(&mut self, proposal: &'a Proposal) {
        self.len = self.len.saturating_add(1);
        let Some(key_package) = added_client(proposal) else { return };

        let LeafNode { encryption_key, signature_key, credential, capabilities, .. } =
            &key_package.leaf_node;
        self.taken.count = self.taken.count.saturating_add(1);
        self.taken.leaves.push(&key_package.leaf_node);
        if let Some(all) = self.bindings.get_mut() {
            all.take_if(|all| all.add(self.group.limits, &key_package.leaf_node).is_err());
        }
        self.taken.encryption_keys.insert(encryption_key);
        self.taken.signature_keys.insert(signature_key);
        self.in_use.insert(credential.credential_type());
        for listed in set(&capabilities.credentials) {
            let count = self.taken.listing.entry(listed).or_default();
            *count = count.saturating_add(1);
        }
    }

    fn can_add(&self, leaf: &LeafNode) -> bool {
        let tree = &self.applied.tree;
        let taken = &self.taken;
        let members = tree.member_count().saturating_add(taken.count);
        let size =
            TreeSize::for_leaves(members.saturating_add(1)).map(|size| size.max(tree.size()));
        let leaves = size.and_then(|size| usize::try_from(size.leaf_count()).ok());

        let credential_type = leaf.credential.credential_type();
        let listing = taken.listing.get(&credential_type).copied().unwrap_or(0);
        let all_listing = tree.members_with(Feature::Credential(credential_type));

        leaves.is_some_and(|leaves| self.limits().check(Limit::TreeLeaves, leaves).is_ok())
            && !taken.encryption_keys.contains(&leaf.encryption_key)
            && !taken.signature_keys.contains(&leaf.signature_key)
            && tree.node_with_encryption_key(&leaf.encryption_key).is_none()
            && tree.member_with_signature_key(&leaf.signature_key).is_none()
            && all_listing.saturating_add(listing) == members
            && self.lists_what_it_has_to(leaf, None)
            && self.bindings_fit(leaf)
    }

    fn can_update(&self, index: LeafIndex, new: &LeafNode) -> bool {
        let tree = &self.applied.tree;
        let Some(old) = tree.leaf(index).filter(|_| index != self.committer) else { return false };
        // The nodes above it become blank, and their keys are free.
        let is_free = |node| tree.size().direct_and_copath(index.node()).any(|(n, _)| n == node);
        let new_type = new.credential.credential_type();
        let others_list = tree
            .members_with(Feature::Credential(new_type))
            .saturating_sub(u32::from(old.capabilities.credentials.contains(&new_type)));
        tree.node_with_encryption_key(&new.encryption_key).is_none_or(is_free)
            && tree.member_with_signature_key(&new.signature_key).is_none_or(|leaf| leaf == index)
            && others_list.saturating_add(1) == tree.member_count()
            && self.lists_what_it_has_to(new, Some(&old))
            && is_within(&self.beyond, &set(&new.capabilities.proposals))
            && self.bindings_fit(new)
    }

    /// Whether a leaf and the members support each other's bindings. A leaf that an Update replaces
    /// counts among them, so an Update that fits only without it may be left out.
    fn bindings_fit(&self, leaf: &LeafNode) -> bool {
        let new = leaf.credential.credential_type();
        if !self.in_use.iter().chain([&new]).any(|t| MultiCredential::is_type(*t)) {
            return true;
        }
        let all = self.bindings.get_or_init(|| {
            let mut all = Bindings::of_tree(self.limits(), &self.applied.tree).ok()?;
            for taken in &self.taken.leaves {
                all.add(self.limits(), taken).ok()?;
            }
            Some(all)
        });
        all.as_ref().is_some_and(|all| all.fit(self.limits(), leaf))
    }

    /// Whether a leaf's capabilities list what the group asks of every member. `replaced` is the
    /// leaf whose place it takes.
    fn lists_what_it_has_to(&self, leaf: &LeafNode, replaced: Option<&LeafNode>) -> bool {
        let capabilities = &leaf.capabilities;
        let credentials = set(&capabilities.credentials);
        let last_of_its_type = replaced
            .map(|old| old.credential.credential_type())
            .filter(|t| self.applied.tree.members_with(Feature::CredentialInUse(*t)) == 1);
        // Each type is listed, and counted, once.
        let listed = self.in_use.len().saturating_sub(usize::from(last_of_its_type.is_some()));
        is_within(&self.extensions, &set(&capabilities.extensions))
            && is_within(&self.proposals, &set(&capabilities.proposals))
            && is_within(&self.credentials, &credentials)
            && self.requirements.as_ref().is_some_and(|required| required.met_by(leaf))
            && listed <= credentials.len()
            && self.in_use.iter().all(|t| credentials.contains(t) || Some(*t) == last_of_its_type)
    }

    /// Whether all members that process the commit list a type of proposal beyond RFC 9420's.
    fn all_support(&self, wanted: ProposalType) -> bool {
        let tree = &self.applied.tree;
        let new = u32::try_from(self.applied.added.len()).unwrap_or(u32::MAX);
        let added_with = self.added_with.get(&wanted).copied().unwrap_or(0);
        let listing = tree.members_with(Feature::Proposal(wanted)).saturating_sub(added_with);
        listing == tree.member_count().saturating_sub(new)
    }
}

fn set<T: Copy + Ord>(list: &[T]) -> BTreeSet<T> {
    list.iter().copied().collect()
}

/// Whether all of these are listed. A list that is longer than what is listed is not walked
/// through.
fn is_within<T: Ord>(wanted: &BTreeSet<T>, listed: &BTreeSet<T>) -> bool {
    wanted.len() <= listed.len() && wanted.is_subset(listed)
}
