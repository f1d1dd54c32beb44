//! Rules that no message can break while others hold, and states that no test reaches by sending.
//! The test kit's `rules` cover what a member can send.

use super::fixture::*;
use crate::commit::validate::resolve_proposals;
use crate::validate::list::{CheckedList, Committer, Origin};
use crate::validate::proposal::{Linking, check_proposal};
use crate::view::proposals::ListedProposal;
use crate::{CommitOptions, NewProposal, Rejection};
use alloc::vec;
use conclave_framing::protect_public;
use conclave_tree::TreeRead;
use conclave_wire::{
    Bytes, Commit, Content, Encode, Epoch, LeafIndex, LeafNodeSource, MlsMessage, MlsMessageBody,
    NodeIndex, Proposal, ProposalOrRef, Sender,
};

#[test]
fn an_update_from_outside_is_refused() {
    let peers = group_of(&["alice", "bob"]);
    let group = &peers[0].group;
    let suite = suite();
    let mut leaf = group.tree().leaf(LeafIndex(1)).unwrap();
    leaf.leaf_node_source = LeafNodeSource::Update;
    let update = Proposal::Update(leaf.into());

    for sender in [Sender::External(0), Sender::NewMemberProposal, Sender::NewMemberCommit] {
        let alone = check_proposal(&suite, group.view(), sender, &update, Linking::Forbidden);
        assert_eq!(rejection(alone.unwrap_err()), Rejection::UpdateFromOutside);
        let list = vec![ListedProposal::by_value(sender, update.clone())];
        let committer = Committer::Member(LeafIndex(0));
        let linking = Linking::Forbidden;
        let listed =
            CheckedList::check(&suite, group.view(), committer, list, linking, Origin::Received);
        assert_eq!(rejection(listed.unwrap_err()), Rejection::UpdateFromOutside);
    }
}

#[test]
fn an_external_commit_has_no_references_and_one_remove_at_most() {
    let peers = group_of(&["alice", "bob", "carol"]);
    let suite = suite();
    let check = |proposals| {
        let group = peers[0].group.view();
        let sender = Sender::NewMemberCommit;
        let commit = Commit { proposals, path: None };
        let linking = Linking::Forbidden;
        resolve_proposals(group, &suite, sender, &commit, linking, Origin::Received)
            .map(|list| list.len())
    };

    let init = || ProposalOrRef::Proposal(Proposal::ExternalInit(Bytes::default()));
    let remove = |leaf| ProposalOrRef::Proposal(Proposal::Remove(LeafIndex(leaf)));
    assert_eq!(check(vec![init(), remove(1)]), Ok(2));

    let two = check(vec![init(), remove(1), remove(2)]);
    assert_eq!(two, Err(Rejection::ExternalRemoves.into()));
    let unknown = ProposalOrRef::Reference([5; 32].into());
    assert_eq!(check(vec![init(), unknown]), Err(Rejection::ExternalReference.into()));
}

#[test]
fn the_last_epoch_has_no_next() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    for peer in &mut peers {
        peer.group.public.epoch.context.epoch = Epoch(u64::MAX);
    }

    let failed = peers[0].try_commit(CommitOptions::default());
    assert_eq!(rejection(failed.unwrap_err()), Rejection::EpochExhausted);

    // Another member's commit, which needs no path.
    let add = Proposal::Add(key_package("dave", 50).key_package().clone().into());
    let proposals = vec![ProposalOrRef::Proposal(add)];
    let commit = Content::Commit(Commit { proposals, path: None });
    let alice = &peers[0].group;
    let mut content = alice.sign(&suite(), commit, &Default::default()).unwrap();
    content.auth.confirmation_tag = Some([0; 32].into());

    let key = &alice.secrets().unwrap().membership_key;
    let message = protect_public(&suite(), content, alice.context(), key).unwrap();
    let message = MlsMessage::from(MlsMessageBody::PublicMessage(message.into()));
    let before = peers[1].all_rows();
    let refused = peers[1].process(&message.to_bytes().unwrap()).unwrap_err();
    assert_eq!(rejection(refused.error), Rejection::EpochExhausted);
    assert_eq!(peers[1].all_rows(), before);
}

#[test]
fn making_a_commit_changes_nothing_before_it_is_applied() {
    let mut peers = group_of(&["alice", "bob"]);
    let before = peers[0].all_rows();
    let carol = key_package("carol", 50);
    let options = commit_of(vec![NewProposal::Add(valid(&carol))]);
    let rng = &mut TestRng(1);
    let step = peers[0].group.commit(&PROVIDER, rng, NOW, options).unwrap();
    assert_eq!(peers[0].all_rows(), before);
    // Once applied it is pending. The epoch stays as it was until the commit is accepted.
    let epoch = peers[0].group.epoch();
    let tree = peers[0].group.tree().tree_hash().to_vec();
    peers[0].take(step);
    assert_eq!((peers[0].group.epoch(), peers[0].group.tree().tree_hash()), (epoch, &tree[..]));
}

#[test]
fn replaced_private_keys_are_gone_from_memory_and_rows() {
    let mut peers = group_of(&["alice", "bob", "carol", "dave"]);
    commits(&mut peers, 0, CommitOptions::default());
    let before = peers[1].group.private_keys.clone();

    // Bob's leaf and both nodes above it, from Alice's path.
    assert_eq!(before.len(), 3);
    let parent = NodeIndex(1);
    let root = peers[1].group.tree().size().root();
    let holds = |peer: &Peer, node: NodeIndex| {
        let old = before[&node].0.expose();
        peer.rows.values().any(|row| row.expose().windows(old.len()).any(|w| w == old))
    };
    assert!(holds(&peers[1], root) && holds(&peers[1], parent));

    // A path gives the root a new key.
    commits(&mut peers, 2, CommitOptions::default());
    assert_ne!(peers[1].group.private_keys[&root], before[&root]);
    assert!(!holds(&peers[1], root) && holds(&peers[1], parent));

    // An Update blanks the nodes above it: nobody has keys there until the next path.
    let update = peers[0].propose_update(None, &Default::default());
    deliver(&mut peers, 0, &update);
    commits(&mut peers, 3, CommitOptions::default());
    assert_eq!(peers[1].group.tree().encryption_key(parent), None);
    assert!(!peers[1].group.private_keys.contains_key(&parent) && !holds(&peers[1], parent));
}
