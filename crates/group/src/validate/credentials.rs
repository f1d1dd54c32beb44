//! The credentials that proposals and commits bring into a group (section 5.3.1).

use crate::credentials::CredentialRequest;
use crate::error::Error;
use crate::error::reasons::CredentialSubject;
use crate::validate::leaf::external_senders;
use crate::view::GroupView;
use crate::view::proposals::ListedProposal;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use conclave_tree::{RatchetTree, TreeRead};
use conclave_wire::{
    Encode, Extension, ExternalSender, LeafIndex, LeafNode, Proposal, Sender, UpdatePath,
};

/// The credentials that a proposal brings into the group.
pub(crate) fn proposal_credentials(
    group: GroupView<'_>,
    sender: Sender,
    proposal: &Proposal,
) -> Result<Vec<CredentialRequest>, Error> {
    match proposal {
        Proposal::Add(key_package) => {
            let request = leaf_request(CredentialSubject::NewMember, &key_package.leaf_node, None);
            Ok(request.into_iter().collect())
        }
        Proposal::Update(leaf) => {
            // An Update from anybody else was refused as a proposal by itself.
            let Sender::Member(index) = sender else { return Ok(Vec::new()) };
            let old = group.tree.leaf(index);
            let request = leaf_request(CredentialSubject::Member(index), leaf, old.as_ref());
            Ok(request.into_iter().collect())
        }
        Proposal::GroupContextExtensions(extensions) => {
            let known = external_senders(group.extensions())?;
            external_sender_requests(extensions, &known)
        }
        Proposal::Remove(_)
        | Proposal::PreSharedKey(_)
        | Proposal::ReInit(_)
        | Proposal::ExternalInit(_)
        | Proposal::AppDataUpdate(_)
        | Proposal::AppEphemeral(_)
        | Proposal::SelfRemove(_)
        | Proposal::Custom { .. } => Ok(Vec::new()),
    }
}

/// The credentials that a commit brings in: those of its proposals by value and of its path. Those
/// of proposals by reference were judged when they were received.
pub(crate) fn commit_credentials(
    group: GroupView<'_>,
    sender: Sender,
    list: &[ListedProposal],
    path: Option<&UpdatePath>,
) -> Result<Vec<CredentialRequest>, Error> {
    let mut requests = Vec::new();
    for item in list.iter().filter(|item| item.reference.is_none()) {
        requests.extend(proposal_credentials(group, item.sender, &item.proposal)?);
    }

    let Some(path) = path else { return Ok(requests) };
    match sender {
        Sender::Member(leaf) => {
            let old = group.tree.leaf(leaf);
            let subject = CredentialSubject::Member(leaf);
            requests.extend(leaf_request(subject, &path.leaf_node, old.as_ref()));
        }
        Sender::External(_) | Sender::NewMemberProposal | Sender::NewMemberCommit => {
            requests.extend(joiner_request(group, list, &path.leaf_node));
        }
    }
    Ok(requests)
}

/// A client that joins is judged even if it brings the key of the member that it replaces.
fn joiner_request(
    group: GroupView<'_>,
    list: &[ListedProposal],
    leaf: &LeafNode,
) -> Option<CredentialRequest> {
    let mut request = leaf_request(CredentialSubject::ExternalJoiner, leaf, None)?;
    // Not a SelfRemove: that is of a member who leaves, whoever joins.
    let mut removed =
        list.iter().filter(|item| !item.is_self_remove()).filter_map(ListedProposal::removed_leaf);
    let replaced = removed.find_map(|leaf| Some((leaf, group.tree.leaf(leaf)?)));
    if let Some((leaf, old)) = replaced {
        request.subject = CredentialSubject::ExternalReplacement(leaf);
        request.replaces = Some(old.credential);
    }
    Some(request)
}

/// The credentials of all members except our own, and of the external senders: what a client that
/// joins has to judge.
pub(crate) fn join_credentials(
    group: GroupView<'_>,
    own_leaf: Option<LeafIndex>,
) -> Result<Vec<CredentialRequest>, Error> {
    let tree: &RatchetTree = group.tree;
    let others = tree.members().filter(|leaf| Some(*leaf) != own_leaf);
    let mut requests: Vec<CredentialRequest> = others
        .filter_map(|leaf| leaf_request(CredentialSubject::Member(leaf), &tree.leaf(leaf)?, None))
        .collect();
    requests.extend(external_sender_requests(group.extensions(), &[])?);
    Ok(requests)
}

/// Requests for the external senders in an extension list that are not among the known ones.
fn external_sender_requests(
    extensions: &[Extension],
    known: &[ExternalSender],
) -> Result<Vec<CredentialRequest>, Error> {
    let senders = external_senders(extensions)?;

    // Looked up by encoding in a set: both lists are attacker-controlled, and this avoids O(n²).
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

/// A request for a leaf node's credential, unless the leaf node that it replaces has the same
/// credential and key.
fn leaf_request(
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
