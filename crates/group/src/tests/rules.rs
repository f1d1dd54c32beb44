//! Rules that no message can break as long as others hold, and ends that no test reaches by
//! sending. What a member can send is in testkit's tests of rules.

use super::fixture::*;
use crate::proposals::{CheckedList, Committer, Linking, ListedProposal, Origin, check_proposal};
use crate::{CommitOptions, NewProposal, Rejection};
use alloc::vec;
use conclave_framing::protect_public;
use conclave_tree::TreeRead;
use conclave_wire::{
    Bytes, Commit, Content, Encode, Epoch, LeafIndex, LeafNodeSource, MlsMessage, MlsMessageBody,
    NodeIndex, Proposal, ProposalOrRef, Sender,
};

#[test]
fn an_update_from_outside_is_refused_alone_and_in_a_list() {
    let peers = group_of(&["alice", "bob"]);
    let (group, suite) = (&peers[0].group, suite());
    let mut leaf = group.tree().leaf(LeafIndex(1)).unwrap();
    leaf.leaf_node_source = LeafNodeSource::Update;
    let update = Proposal::Update(leaf.into());
    for sender in [Sender::External(0), Sender::NewMemberProposal, Sender::NewMemberCommit] {
        let alone = check_proposal(&suite, &group.public, sender, &update, Linking::Forbidden);
        assert_eq!(rejection(alone.unwrap_err()), Rejection::UpdateFromOutside);
        let list = vec![ListedProposal::by_value(sender, update.clone())];
        let committer = Committer::Member(LeafIndex(0));
        let (linking, origin) = (Linking::Forbidden, Origin::Received);
        let listed = CheckedList::check(&suite, &group.public, committer, list, linking, origin);
        assert_eq!(rejection(listed.unwrap_err()), Rejection::UpdateFromOutside);
    }
}

#[test]
fn an_external_commit_refers_to_no_proposal_and_removes_one_leaf_at_most() {
    let peers = group_of(&["alice", "bob", "carol"]);
    let (public, suite, sender) = (&peers[0].group.public, suite(), Sender::NewMemberCommit);
    let check = |proposals| {
        let commit = Commit { proposals, path: None };
        let (linking, origin) = (Linking::Forbidden, Origin::Received);
        public.commit_list(&suite, sender, &commit, linking, origin).map(|list| list.len())
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
    // Somebody else's commit, which needs no path.
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
    // Applied, it is pending: the epoch is as it was until the delivery service has accepted it.
    let (epoch, tree) = (peers[0].group.epoch(), peers[0].group.tree().tree_hash().to_vec());
    peers[0].take(step);
    assert_eq!((peers[0].group.epoch(), peers[0].group.tree().tree_hash()), (epoch, &tree[..]));
}

#[test]
fn the_private_keys_that_a_commit_replaces_are_gone_from_memory_and_rows() {
    let mut peers = group_of(&["alice", "bob", "carol", "dave"]);
    commits(&mut peers, 0, CommitOptions::default());
    let before = peers[1].group.private_keys.clone();
    // His leaf and both nodes above it, of alice's path.
    assert_eq!(before.len(), 3);
    let parent = NodeIndex(1);
    let (root, holds) = (peers[1].group.tree().size().root(), |peer: &Peer, node: NodeIndex| {
        let old = before[&node].0.expose();
        peer.rows.values().any(|row| row.expose().windows(old.len()).any(|w| w == old))
    });
    assert!(holds(&peers[1], root) && holds(&peers[1], parent));
    // A path gives the root another key.
    commits(&mut peers, 2, CommitOptions::default());
    assert_ne!(peers[1].group.private_keys[&root], before[&root]);
    assert!(!holds(&peers[1], root) && holds(&peers[1], parent));
    // An Update blanks what is above it: nobody has a key there until the next path.
    let update = peers[0].propose_update(None, &Default::default());
    deliver(&mut peers, 0, &update);
    commits(&mut peers, 3, CommitOptions::default());
    assert_eq!(peers[1].group.tree().encryption_key(parent), None);
    assert!(!peers[1].group.private_keys.contains_key(&parent) && !holds(&peers[1], parent));
}
