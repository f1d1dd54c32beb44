//! Lists of proposals: validation (section 12.2) and application (section 12.3).

use crate::credentials::CredentialRequest;
use crate::error::{CredentialSubject, Error, Rejection};
use crate::event::CustomChange;
use crate::key_package::{check_key_package, check_key_package_fits, check_key_packages};
use crate::limits::{Limit, Limits};
use crate::public::PublicState;
use crate::row_codec::nothing_left;
use crate::rules;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use conclave_crypto::Suite;
use conclave_tree::{RatchetTree, StagedTree, TreeRead};
use conclave_wire::{
    Bytes, Encode, Epoch, Extension, GroupContext, LeafIndex, LeafNode, LeafNodeContext,
    LeafNodeSource, PreSharedKeyId, Proposal, ProposalRef, PskType, ReInit, Reader,
    ResumptionPskUsage, Sender, SignaturePublicKey,
};

/// A proposal with who made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListedProposal {
    /// Who proposed it; for a proposal by value, the committer.
    pub(crate) sender: Sender,
    /// The proposal.
    pub(crate) proposal: Proposal,
    /// How a commit refers to it, if it came in a message of its own.
    pub(crate) reference: Option<ProposalRef>,
}

/// Who commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Committer {
    Member(LeafIndex),
    External,
}

impl Committer {
    /// Who sent a commit.
    pub(crate) fn of(sender: Sender) -> Self {
        match sender {
            Sender::Member(leaf) => Self::Member(leaf),
            _ => Self::External,
        }
    }
}

/// Whether PSKs that link the group to another may be used: only in a group's first commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Linking {
    Forbidden,
    Allowed,
}

impl Linking {
    /// For a commit of one's own or that is looked at from outside: epoch 0 has no member but the
    /// creator, so that a member's commit there is the group's first.
    pub(crate) fn observed(epoch: Epoch, sender: Sender) -> Self {
        match (epoch, sender) {
            (Epoch::FIRST, Sender::Member(_)) => Self::Allowed,
            _ => Self::Forbidden,
        }
    }
}

/// Who made a list of proposals, for what need not be checked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Somebody else.
    Received,
    /// This client: its Adds are of valid key packages, its path's leaf it has signed itself.
    Own,
}

/// The rules for a proposal by itself, against the current epoch (section 12.1).
pub(crate) fn check_proposal(
    suite: &Suite<'_>,
    group: &PublicState,
    sender: Sender,
    proposal: &Proposal,
    linking: Linking,
) -> Result<(), Error> {
    let PublicState { config, epoch, tree, .. } = group;
    let (limits, context) = (&config.limits, &epoch.context);
    match proposal {
        Proposal::Add(key_package) => check_key_package(suite, limits, key_package),
        Proposal::Update(leaf) => check_update(suite, group, sender, leaf),
        Proposal::Remove(leaf) => match tree.node(leaf.node()) {
            Some(_) => Ok(()),
            None => Err(Rejection::RemoveOfNobody(*leaf).into()),
        },
        Proposal::PreSharedKey(id) => check_psk(suite, id, linking),
        Proposal::ReInit(reinit) if reinit.version < context.version => {
            Err(Rejection::ReInitVersion(reinit.version).into())
        }
        Proposal::ReInit(reinit) => Ok(rules::check_extension_list(limits, &reinit.extensions)?),
        Proposal::GroupContextExtensions(extensions) => {
            rules::check_extension_list(limits, extensions)?;
            // What cannot be read would keep whoever commits from it, and from all others.
            rules::external_senders(extensions)?;
            rules::required_capabilities(extensions)?;
            Ok(())
        }
        Proposal::Custom { proposal_type, body } => {
            let known = rules::custom_proposal(config, *proposal_type)?;
            // One's own would else be read otherwise by others, and by oneself from its row.
            let mut r = Reader::with_proposals(body, &config.proposals);
            (known.read)(&mut r)?;
            nothing_left(&r)?;
            match sender {
                Sender::External(_) if !known.external => {
                    Err(Rejection::ExternalSenderProposal(*proposal_type).into())
                }
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

fn check_update(
    suite: &Suite<'_>,
    group: &PublicState,
    sender: Sender,
    leaf: &LeafNode,
) -> Result<(), Error> {
    let Sender::Member(leaf_index) = sender else {
        return Err(Rejection::UpdateFromOutside.into());
    };
    if leaf.leaf_node_source != LeafNodeSource::Update {
        return Err(Rejection::UpdateLeafSource.into());
    }
    if group.tree.encryption_key(leaf_index.node()).as_ref() == Some(&leaf.encryption_key) {
        return Err(Rejection::UpdateKeyUnchanged.into());
    }
    let group_id = &group.epoch.context.group_id;
    let context = LeafNodeContext { group_id, leaf_index };
    rules::check_leaf(suite, &group.config.limits, leaf, context)
}

fn check_psk(suite: &Suite<'_>, id: &PreSharedKeyId, linking: Linking) -> Result<(), Error> {
    let links = matches!(
        id.psktype,
        PskType::Resumption { usage: ResumptionPskUsage::Reinit | ResumptionPskUsage::Branch, .. }
    );
    if links && linking == Linking::Forbidden {
        return Err(Rejection::PskUsage.into());
    }
    if id.psk_nonce.len() != suite.nh() {
        return Err(Rejection::PskNonceLength.into());
    }
    Ok(())
}

/// The proposals of a commit, checked by all rules but those for what comes of them. Good for the
/// epoch that it was checked against.
#[derive(Clone, Debug)]
pub(crate) struct CheckedList(Vec<ListedProposal>);

impl CheckedList {
    /// Checks a list (section 12.2).
    pub(crate) fn check(
        suite: &Suite<'_>,
        group: &PublicState,
        committer: Committer,
        list: Vec<ListedProposal>,
        linking: Linking,
        origin: Origin,
    ) -> Result<Self, Error> {
        group.config.limits.check(Limit::Proposals, list.len())?;
        check_list(&group.config.limits, committer, &list)?;
        // A proposal by reference was checked when it was received, in this same epoch.
        let mut added = Vec::new();
        for ListedProposal { sender, proposal, .. } in list.iter().filter(|i| i.reference.is_none())
        {
            match (proposal, origin) {
                (Proposal::Add(kp), Origin::Own) => {
                    check_key_package_fits(suite, &group.config.limits, kp)?;
                }
                (Proposal::Add(kp), Origin::Received) => added.push(&**kp),
                _ => check_proposal(suite, group, *sender, proposal, linking)?,
            }
        }
        check_key_packages(suite, &group.config.limits, added.into_iter())
            .map_err(|(_, error)| error)?;
        Ok(Self(list))
    }

    /// A list that went through [`check_list`], of proposals that have been checked before.
    pub(crate) fn of_checked(list: Vec<ListedProposal>) -> Self {
        Self(list)
    }
}

impl core::ops::Deref for CheckedList {
    type Target = [ListedProposal];
    fn deref(&self) -> &[ListedProposal] {
        &self.0
    }
}

/// The rules for the list as a whole that do not need the resulting tree (section 12.2).
pub(crate) fn check_list(
    limits: &Limits,
    committer: Committer,
    list: &[ListedProposal],
) -> Result<(), Rejection> {
    match committer {
        Committer::Member(leaf) => check_member_list(leaf, list)?,
        Committer::External => check_external_list(list)?,
    }
    let mut psks = BTreeSet::new();
    for item in list {
        if let Proposal::PreSharedKey(id) = &item.proposal
            && !psks.insert(id)
        {
            return Err(Rejection::DuplicatePsk);
        }
    }
    limits.check(Limit::Psks, psks.len())?;
    match u16::try_from(psks.len()) {
        Ok(_) => Ok(()),
        Err(_) => Err(Rejection::TooManyPsks),
    }
}

fn check_member_list(committer: LeafIndex, list: &[ListedProposal]) -> Result<(), Rejection> {
    let mut changed = BTreeSet::new();
    let mut context_extensions = false;
    for item in list {
        let leaf = match (&item.proposal, item.sender) {
            (Proposal::Update(_), Sender::Member(leaf)) if leaf == committer => {
                return Err(Rejection::CommitterUpdates);
            }
            (Proposal::Update(_), Sender::Member(leaf)) => leaf,
            (Proposal::Remove(leaf), _) if *leaf == committer => {
                return Err(Rejection::CommitterRemoved);
            }
            (Proposal::Remove(leaf), _) => *leaf,
            (Proposal::ExternalInit(_), _) => return Err(Rejection::ExternalInitByMember),
            (Proposal::ReInit(_), _) if list.len() > 1 => return Err(Rejection::ReInitNotAlone),
            (Proposal::GroupContextExtensions(_), _) if context_extensions => {
                return Err(Rejection::SeveralGroupContextExtensions);
            }
            (Proposal::GroupContextExtensions(_), _) => {
                context_extensions = true;
                continue;
            }
            _ => continue,
        };
        if !changed.insert(leaf) {
            return Err(Rejection::SeveralChangesOfLeaf(leaf));
        }
    }
    Ok(())
}

/// All are by value: a reference is refused when it is looked up.
fn check_external_list(list: &[ListedProposal]) -> Result<(), Rejection> {
    let (mut inits, mut removes) = (0, 0);
    for item in list {
        match &item.proposal {
            Proposal::ExternalInit(_) => inits += 1,
            Proposal::Remove(_) => removes += 1,
            Proposal::PreSharedKey(_) => {}
            other => return Err(Rejection::ExternalProposal(other.proposal_type())),
        }
    }
    if inits != 1 {
        return Err(Rejection::ExternalInitCount);
    }
    if removes > 1 {
        return Err(Rejection::ExternalRemoves);
    }
    Ok(())
}

/// A tree and extensions with a list of proposals applied.
pub(crate) struct Applied<'a> {
    pub(crate) tree: StagedTree<'a>,
    pub(crate) extensions: Vec<Extension>,
    /// The new leaves, with the place in the list of the Add that made each.
    pub(crate) added: Vec<(LeafIndex, usize)>,
    /// The removed leaves, as they were.
    pub(crate) removed: Vec<(LeafIndex, LeafNode)>,
    pub(crate) updated: Vec<LeafIndex>,
    pub(crate) psks: Vec<PreSharedKeyId>,
    pub(crate) external_init: Option<Bytes>,
    pub(crate) reinit: Option<ReInit>,
    /// The proposals that RFC 9420 does not define, with who made each.
    pub(crate) custom: Vec<CustomChange>,
    /// Whether a commit of this list must have a path (section 12.4).
    pub(crate) needs_path: bool,
}

/// Applies a list in the order of section 12.3.
pub(crate) fn apply<'a>(group: &'a PublicState, list: &CheckedList) -> Result<Applied<'a>, Error> {
    let mut applied = Applied {
        tree: StagedTree::new(&group.tree),
        extensions: group.epoch.context.extensions.clone(),
        added: Vec::new(),
        removed: Vec::new(),
        updated: Vec::new(),
        psks: Vec::new(),
        external_init: None,
        reinit: None,
        custom: Vec::new(),
        needs_path: list.is_empty(),
    };
    for item in list.iter() {
        match (&item.proposal, item.sender) {
            (Proposal::GroupContextExtensions(extensions), _) => {
                applied.extensions.clone_from(extensions);
                applied.needs_path = true;
            }
            (Proposal::Update(leaf), Sender::Member(index)) => {
                applied.tree.update_leaf(index, leaf)?;
                applied.updated.push(index);
                applied.needs_path = true;
            }
            _ => {}
        }
    }
    let removes = list.iter().filter_map(|item| match item.proposal {
        Proposal::Remove(index) => Some(index),
        _ => None,
    });
    for index in removes {
        let leaf = applied.tree.leaf(index).ok_or(Rejection::RemoveOfNobody(index))?;
        applied.removed.push((index, leaf));
        applied.needs_path = true;
    }
    let removed: Vec<LeafIndex> = applied.removed.iter().map(|(index, _)| *index).collect();
    applied.tree.remove_leaves(&removed)?;
    // Here the tree holds those who will process the commit (section 12.2).
    for item in list.iter() {
        let Proposal::Custom { proposal_type, body } = &item.proposal else { continue };
        if !applied.tree.all_support_proposal(*proposal_type) {
            return Err(Rejection::UnsupportedProposal(*proposal_type).into());
        }
        applied.needs_path |= rules::custom_proposal(&group.config, *proposal_type)?.path_required;
        let (sender, proposal_type, body) = (item.sender, *proposal_type, body.clone());
        applied.custom.push(CustomChange { sender, proposal_type, body });
    }
    let adds: Vec<(usize, &LeafNode)> = list
        .iter()
        .enumerate()
        .filter_map(|(place, item)| match &item.proposal {
            Proposal::Add(key_package) => Some((place, &key_package.leaf_node)),
            _ => None,
        })
        .collect();
    let leaves: Vec<&LeafNode> = adds.iter().map(|(_, leaf)| *leaf).collect();
    let added = applied.tree.add_leaves(&leaves)?;
    applied.added = added.into_iter().zip(adds.iter().map(|(place, _)| *place)).collect();
    for item in list.iter() {
        match &item.proposal {
            Proposal::PreSharedKey(id) => applied.psks.push(id.clone()),
            Proposal::ExternalInit(kem_output) => {
                applied.external_init = Some(kem_output.clone());
                applied.needs_path = true;
            }
            Proposal::ReInit(reinit) => applied.reinit = Some(reinit.clone()),
            _ => {}
        }
    }
    Ok(applied)
}

/// The credentials that a proposal brings into the group.
pub(crate) fn credential_requests(
    context: &GroupContext,
    tree: &RatchetTree,
    sender: Sender,
    proposal: &Proposal,
) -> Result<Vec<CredentialRequest>, Error> {
    match (proposal, sender) {
        (Proposal::Add(key_package), _) => {
            Ok(leaf_request(CredentialSubject::NewMember, &key_package.leaf_node, None)
                .into_iter()
                .collect())
        }
        (Proposal::Update(leaf), Sender::Member(index)) => {
            let old = tree.leaf(index);
            let subject = CredentialSubject::Member(index);
            Ok(leaf_request(subject, leaf, old.as_ref()).into_iter().collect())
        }
        (Proposal::GroupContextExtensions(extensions), _) => {
            let known = rules::external_senders(&context.extensions)?;
            Ok(external_sender_requests(extensions, &known)?)
        }
        _ => Ok(Vec::new()),
    }
}

/// Requests for the external senders of an extension list that are not among the known ones.
pub(crate) fn external_sender_requests(
    extensions: &[Extension],
    known: &[conclave_wire::ExternalSender],
) -> Result<Vec<CredentialRequest>, Error> {
    let senders = rules::external_senders(extensions)?;
    // Both lists come from outside: sought by their encodings, so that long ones cost no square.
    let known: BTreeSet<Vec<u8>> = known.iter().map(Encode::to_bytes).collect::<Result<_, _>>()?;
    let mut requests = Vec::new();
    for (sender, i) in senders.into_iter().zip(0u32..) {
        if !known.contains(&sender.to_bytes()?) {
            requests.push(CredentialRequest {
                subject: CredentialSubject::ExternalSender(i),
                credential: sender.credential,
                signature_key: sender.signature_key,
                replaces: None,
            });
        }
    }
    Ok(requests)
}

/// A request for a leaf node's credential, unless it and its key are those of the leaf node that
/// it replaces.
pub(crate) fn leaf_request(
    subject: CredentialSubject,
    leaf: &LeafNode,
    old: Option<&LeafNode>,
) -> Option<CredentialRequest> {
    let unchanged = old.is_some_and(|old| {
        old.credential == leaf.credential && old.signature_key == leaf.signature_key
    });
    (!unchanged).then(|| CredentialRequest {
        subject,
        credential: leaf.credential.clone(),
        signature_key: leaf.signature_key.clone(),
        replaces: old.map(|old| old.credential.clone()),
    })
}

/// Of the received proposals those that a member can commit with `wanted`, which go before:
/// Removes before Updates, the last Update of a member, the last GroupContextExtensions, no ReInit
/// beside others, nothing that speaks of the committer's own leaf, no client twice (section 12.2), and
/// no more PSKs than the limit says.
pub(crate) fn committable<'a>(
    committer: LeafIndex,
    group: &PublicState,
    received: &[&'a ListedProposal],
    wanted: &'a [ListedProposal],
) -> Vec<ListedProposal> {
    if wanted.iter().any(|item| matches!(item.proposal, Proposal::ReInit(_))) {
        return Vec::new();
    }
    let removed: BTreeSet<LeafIndex> = received
        .iter()
        .copied()
        .chain(wanted)
        .filter_map(|item| match item.proposal {
            Proposal::Remove(leaf) => Some(leaf),
            _ => None,
        })
        .collect();
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
    // From the last to the first, so that the last of several wins.
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

/// What the proposals of a list so far speak of.
struct Seen<'a> {
    committer: LeafIndex,
    group: &'a PublicState,
    /// The leaves that the list removes.
    removed: &'a BTreeSet<LeafIndex>,
    leaves: BTreeSet<LeafIndex>,
    psks: BTreeSet<&'a PreSharedKeyId>,
    keys: BTreeSet<&'a SignaturePublicKey>,
    context_extensions: bool,
}

impl<'a> Seen<'a> {
    /// Whether a proposal goes with those so far; from then on it is among them.
    fn admits(&mut self, item: &'a ListedProposal) -> bool {
        match (&item.proposal, item.sender) {
            (Proposal::Update(_), Sender::Member(leaf)) => {
                leaf != self.committer && !self.removed.contains(&leaf) && self.leaves.insert(leaf)
            }
            (Proposal::Remove(leaf), _) => *leaf != self.committer && self.leaves.insert(*leaf),
            (Proposal::Add(key_package), _) => {
                let key = &key_package.leaf_node.signature_key;
                let there = self.group.tree.member_with_signature_key(key);
                there.is_none_or(|leaf| self.removed.contains(&leaf)) && self.keys.insert(key)
            }
            (Proposal::PreSharedKey(id), _) => {
                self.psks.len() < self.group.config.limits.psks && self.psks.insert(id)
            }
            (Proposal::GroupContextExtensions(_), _) => {
                !core::mem::replace(&mut self.context_extensions, true)
            }
            (Proposal::ReInit(_) | Proposal::Custom { .. }, _) => true,
            _ => false,
        }
    }
}

impl ListedProposal {
    /// A proposal by value.
    pub(crate) fn by_value(sender: Sender, proposal: Proposal) -> Self {
        Self { sender, proposal, reference: None }
    }
}

/// Boxes what the wire boxes.
pub(crate) fn update(leaf: LeafNode) -> Proposal {
    Proposal::Update(Box::new(leaf))
}
