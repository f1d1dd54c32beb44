//! Keys from a caller's secret, and the next generation: what clients that act as one member need.

use super::fixture::*;
use crate::{
    CommitOptions, Config, Error, ExternalJoinOptions, ExternalJoinStage, Framing, Group,
    GroupInfoOptions, GroupParams, KeyPackageParams, KeySeed, Misuse, NewProposal, Obstacle,
    OwnKeyPackage, Rejection, TreeError, Verdict,
};
use alloc::vec;
use conclave_crypto::{HpkeKeyPair, Secret};
use conclave_tree::TreeRead;
use conclave_wire::{LeafIndex, NodeIndex};

const BOB: LeafIndex = LeafIndex(1);

fn secret(n: u8) -> Secret {
    Secret::new(vec![n; 32])
}

fn seed(n: u8) -> KeySeed {
    KeySeed::new(secret(n))
}

/// Seeds that are too short or too long by one.
fn wrong_seeds() -> [KeySeed; 2] {
    [31, 33].map(|n| KeySeed::new(Secret::zero(n)))
}

fn wrong_length() -> Error {
    Misuse::NotPossible(Obstacle::SeedLength).into()
}

/// What another client derives from the same seed, by a label of draft-ietf-mls-virtual-clients.
fn derived(n: u8, label: &[u8]) -> Secret {
    suite().derive_secret(&secret(n), label).unwrap()
}

fn key_pair(n: u8, label: &[u8]) -> HpkeKeyPair {
    suite().derive_key_pair(&derived(n, label)).unwrap()
}

fn from_seed(n: u8) -> CommitOptions {
    CommitOptions { seed: Some(seed(n)), ..CommitOptions::default() }
}

/// Checks a committer's leaf and path against a seed.
fn check_path(group: &Group, leaf: LeafIndex, n: u8) {
    let tree = group.tree();
    let leaf_key = key_pair(n, b"Encryption Key").public;
    assert_eq!(tree.encryption_key(leaf.node()), Some(leaf_key));

    let mut path_secret = derived(n, b"Path Generation");
    let path = tree.filtered_direct_path(leaf);
    assert!(!path.is_empty());
    for (node, _) in path {
        let node_secret = suite().derive_secret(&path_secret, b"node").unwrap();
        let key = suite().derive_key_pair(&node_secret).unwrap().public;
        assert_eq!(tree.encryption_key(node), Some(key), "{node:?}");
        path_secret = suite().derive_secret(&path_secret, b"path").unwrap();
    }
}

#[test]
fn a_key_packages_keys_derive_from_its_seed() {
    let params = || KeyPackageParams::new(SUITE, leaf_params("bob"), LIFETIME);
    let own = |seed: &KeySeed| {
        OwnKeyPackage::from_seed(&PROVIDER, seed, params(), signer(&mut TestRng(5)))
    };
    let made = own(&seed(1)).unwrap();
    assert_eq!(own(&seed(1)).unwrap(), made);
    let init = key_pair(1, b"Init Key");
    let leaf = key_pair(1, b"Encryption Key");
    assert_eq!((made.init_key(), &made.key_package().init_key), (&init.private, &init.public));
    assert_eq!(made.leaf_key(), &leaf.private);
    assert_eq!(made.key_package().leaf_node.encryption_key, leaf.public);

    for wrong in wrong_seeds() {
        assert_eq!(own(&wrong).unwrap_err(), wrong_length());
    }

    // It lets its owner in as any other does.
    let mut alice = Peer::found_with("alice", Config::default(), b"a group");
    let messages = alice.commit(commit_of(vec![NewProposal::Add(valid(&made))]));
    alice.accepted();
    let bob = Peer::join(&messages.welcomes[0].message, &made, Config::default(), 2);
    agree(&[alice, bob]);
}

#[test]
fn a_commits_keys_derive_from_its_seed() {
    let mut peers = group_of(&["alice", "bob", "carol", "dave"]);
    commits(&mut peers, 1, from_seed(1));
    agree(&peers);
    for peer in &peers {
        check_path(&peer.group, BOB, 1);
    }

    for wrong in wrong_seeds() {
        let options = CommitOptions { seed: Some(wrong), ..CommitOptions::default() };
        assert_eq!(peers[1].try_commit(options).unwrap_err(), wrong_length());
    }
    peers[1].reload();
    commits(&mut peers, 0, CommitOptions::default());
    agree(&peers);
}

#[test]
fn a_seed_that_is_used_again_is_refused_while_its_keys_are_in_the_tree() {
    let mut peers = group_of(&["alice", "bob", "carol", "dave"]);
    commits(&mut peers, 1, from_seed(1));
    let refused = peers[1].try_commit(from_seed(1)).unwrap_err();
    let rule = TreeError::PathKeyInTree { node: BOB.node(), other: BOB.node() };
    assert_eq!(refused, Rejection::Tree(rule).into());

    // Nor may another member use it.
    let refused = peers[0].try_commit(from_seed(1)).unwrap_err();
    let rule = TreeError::PathKeyInTree { node: NodeIndex(0), other: BOB.node() };
    assert_eq!(refused, Rejection::Tree(rule).into());
}

#[test]
fn an_updates_key_derives_from_its_seed() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let framing = Framing::default();
    let propose = |peer: &mut Peer, seed: &KeySeed| {
        let rng = &mut peer.rng;
        peer.group.propose_update_from_seed(&PROVIDER, rng, seed, None, &framing)
    };
    let step = propose(&mut peers[1], &seed(1)).unwrap();
    let message = peers[1].take(step).message;
    deliver(&mut peers, 1, &message);
    commits(&mut peers, 0, CommitOptions::default());
    agree(&peers);
    let key = key_pair(1, b"Encryption Key");
    assert_eq!(peers[2].group.tree().encryption_key(BOB.node()), Some(key.public));
    assert_eq!(peers[1].group.private_keys.get(&BOB.node()), Some(&key.private));

    let again = propose(&mut peers[1], &seed(1)).unwrap_err();
    assert_eq!(again, Rejection::UpdateKeyUnchanged.into());
    for wrong in wrong_seeds() {
        assert_eq!(propose(&mut peers[1], &wrong).unwrap_err(), wrong_length());
    }
}

#[test]
fn an_external_commits_keys_derive_from_its_seed() {
    let mut peers = group_of(&["alice", "bob"]);
    let all = GroupInfoOptions { ratchet_tree: true, external_pub: true };
    let info = peers[0].group.group_info(&PROVIDER, all).unwrap();
    let join = |seed| {
        let stage = ExternalJoinStage::open(&PROVIDER, Config::default(), &info, None).unwrap();
        let verdicts = vec![Verdict::Accept; stage.credentials().len()];
        let options = ExternalJoinOptions::new(leaf_params("carol"), signer(&mut TestRng(8)));
        stage.with_seed(seed).commit(&PROVIDER, &mut TestRng(9), &verdicts, options)
    };
    for wrong in wrong_seeds() {
        assert_eq!(join(wrong).unwrap_err(), wrong_length());
    }

    let joined = join(seed(1)).unwrap();
    let carol = Peer::settle(joined.group, 4);
    peers[0].receive(&joined.commit);
    peers[1].receive(&joined.commit);
    let leaf = carol.group.own_leaf();
    peers.push(carol);
    agree(&peers);
    check_path(&peers[0].group, leaf, 1);
}

#[test]
fn a_creators_key_derives_from_its_seed() {
    let create = |seed: &KeySeed| {
        let params =
            GroupParams::new(b"a group".as_slice().into(), SUITE, leaf_params("a"), LIFETIME);
        let rng = &mut TestRng(3);
        let signer = signer(&mut TestRng(2));
        Group::create_from_seed(&PROVIDER, rng, seed, Config::default(), params, signer)
    };
    for wrong in wrong_seeds() {
        assert_eq!(create(&wrong).unwrap_err(), wrong_length());
    }
    let mut alice = Peer::settle(create(&seed(1)).unwrap(), 1);
    let key = key_pair(1, b"Encryption Key").public;
    assert_eq!(alice.group.tree().encryption_key(NodeIndex(0)), Some(key));
    alice.commit(CommitOptions::default());
    alice.accepted();
}

#[test]
fn the_next_generation_is_known_before_a_message_is_sealed() {
    let mut peers = group_of(&["alice", "bob"]);
    for n in 0..3 {
        assert_eq!(peers[0].group.next_generation(), Ok(n));
        let message = peers[0].say(b"x");
        assert_eq!(peers[1].reads(&message).generation, n);
        peers[0].reload();
    }
    // Others' messages and our own handshakes are of other ratchets.
    let message = peers[1].say(b"x");
    peers[0].reads(&message);
    let leave = peers[0].propose(NewProposal::Remove(BOB), &encrypted());
    peers[1].caches(&leave);
    assert_eq!(peers[0].group.next_generation(), Ok(3));

    let mut peers = group_of(&["alice", "bob"]);
    peers[0].say(b"x");
    commits(&mut peers, 0, CommitOptions::default());
    assert_eq!(peers[0].group.next_generation(), Ok(0));
    let step = peers[0].group.delete().unwrap();
    peers[0].take(step);
    assert_eq!(peers[0].group.next_generation(), Err(Misuse::Deleted.into()));
}
