//! Messages in the wrong order, and clocks that are wrong or that there are none of.

use conclave_group::{CommitOptions, Config, Error, Event, Rejection, ValidKeyPackage, Verdict};
use conclave_group::{KeyPackageParams, NewProposal, OwnKeyPackage};
use conclave_testkit::SeededRng;
use conclave_testkit::party::*;
use conclave_tree::{TreeRead, UnverifiedTree};
use conclave_wire::{Epoch, LeafIndex, LeafNodeSource, Lifetime};

#[test]
fn commits_out_of_order_are_refused_without_harm_and_accepted_in_order() {
    for framing in [Default::default(), encrypted()] {
        let mut peers = group_of(&["alice", "bob", "carol"]);
        let mut behind = peers.pop().unwrap();
        let made: Vec<Vec<u8>> = (0..4)
            .map(|n| {
                let framing = framing.clone();
                let options = CommitOptions { framing, ..CommitOptions::default() };
                commits(&mut peers, n % 2, options).commit
            })
            .collect();
        for next in 0..made.len() {
            for (place, message) in made.iter().enumerate().filter(|(place, _)| *place != next) {
                let refused = behind.refuses(message);
                let (message, current) = (1 + place as u64, 1 + next as u64);
                let wrong =
                    Rejection::WrongEpoch { message: Epoch(message), current: Epoch(current) };
                assert_eq!(rejection(refused.error), wrong);
                assert!(refused.key_deletion.is_none());
            }
            behind.receive(&made[next]);
            behind.reload();
        }
        peers.push(behind);
        agree(&peers);
    }
}

#[test]
fn any_time_may_be_given() {
    for now in [0, 1, NOW, u64::MAX - 1, u64::MAX] {
        let mut peers = group_of(&["alice", "bob", "carol"]);
        let said = peers[0].say(b"hello");
        let proposal = peers[0].propose_update(None, &Default::default());
        let late = said.clone();
        let step = peers[1].process_at(now, &said).unwrap().unwrap();
        peers[1].take(step);
        for place in [1, 2] {
            let step = peers[place].process_at(now, &proposal).unwrap().unwrap();
            peers[place].take(step);
        }
        for round in 0..3 {
            let commit = peers[2].commit(CommitOptions::default()).unwrap().commit;
            for place in [0, 1] {
                let step = peers[place].process_at(now, &commit).unwrap().unwrap();
                peers[place].take(step);
            }
            let step = peers[2]
                .group
                .commit_accepted(&PROVIDER, now, &pending_id(&peers[2].group))
                .unwrap();
            peers[2].take(step);
            agree(&peers);
            if round == 0 {
                let step = peers[2].process_at(now, &late).unwrap().unwrap();
                peers[2].take(step);
            }
        }
        for end in [0, u64::MAX] {
            if let Some(step) = peers[0].group.expire_past_epochs(end) {
                peers[0].take(step);
            }
        }
        peers[0].reload();
    }
}

fn with_lifetime(name: &str, lifetime: Lifetime, seed: u64) -> OwnKeyPackage {
    let params = KeyPackageParams {
        cipher_suite: SUITE,
        leaf: leaf_params(name, SUITE),
        lifetime,
        extensions: Vec::new(),
        last_resort: false,
    };
    let rng = &mut SeededRng::from_u64(seed);
    OwnKeyPackage::generate(&PROVIDER, rng, params, signer(SUITE, seed)).unwrap()
}

#[test]
fn a_lifetime_of_any_ends_is_judged_by_the_time_that_is_given() {
    let config = Config::default();
    let ends = [0, 1, NOW, u64::MAX - 1, u64::MAX];
    for not_before in ends {
        for not_after in ends {
            let own = with_lifetime("eve", Lifetime { not_before, not_after }, 21);
            for now in ends {
                let kp = own.key_package().clone();
                let checked = ValidKeyPackage::check(&PROVIDER, now, &config, kp);
                let short = not_after.saturating_sub(not_before) <= config.limits.lifetime;
                let begun = not_before <= now.saturating_add(config.clock_skew);
                let good = short && begun && now <= not_after;
                assert_eq!(checked.is_ok(), good, "{not_before} to {not_after} at {now}");
            }
        }
    }
}

#[test]
fn members_whose_lifetime_has_ended_keep_nobody_from_joining_and_committing() {
    let mut peers = group_of(&["alice", "bob"]);
    let later = LIFETIME.not_after + 10 * 365 * 24 * 60 * 60;
    let leaf = peers[0].group.tree().leaf(LeafIndex(1)).unwrap();
    assert_eq!(leaf.leaf_node_source, LeafNodeSource::KeyPackage(LIFETIME));
    let fresh = Lifetime { not_before: later - 1, not_after: later + 1 };
    let carol = with_lifetime("carol", fresh, 31);
    let kp = carol.key_package().clone();
    let stage = ValidKeyPackage::check(&PROVIDER, later, &Config::default(), kp).unwrap();
    let add = NewProposal::Add(Box::new(stage.resolve(Verdict::Accept).unwrap()));
    let rng = &mut SeededRng::from_u64(32);
    let step = peers[0].group.commit(&PROVIDER, rng, later, commit_of(vec![add])).unwrap();
    let Event::Commit(messages) = peers[0].take(step) else { panic!("no commit") };
    peers[0].accepted();
    // The new one's lifetime, too, has ended by the time that the commit comes to bob.
    let step = peers[1].process_at(later + 1000, &messages.commit).unwrap().unwrap();
    peers[1].take(step);
    peers.push(Peer::join(&messages.welcomes[0].message, &carol, 3).unwrap());
    let info = peers[2].group_info();
    let mut observer = watch(&info);
    let leaf = leaf_params("dave", SUITE);
    let (dave, commit) = Peer::join_from_outside(&info, leaf, None, 32).unwrap();
    observe(&mut observer, &commit).unwrap();
    for peer in &mut peers {
        let step = peer.process_at(later + 2000, &commit).unwrap().unwrap();
        peer.take(step);
    }
    peers.push(dave);
    agree(&peers);
}

/// The hash of a tree, computed from nothing but its encoding.
fn recomputed(peer: &Peer) -> Vec<u8> {
    let suite = conclave_crypto::Suite::new(&PROVIDER, SUITE).unwrap();
    let bytes = peer.group.tree().to_extension_bytes().unwrap();
    UnverifiedTree::decode(&suite, &bytes).unwrap().tree_hash().to_vec()
}

#[test]
fn after_every_way_of_leaving_the_tree_hash_is_that_of_the_tree() {
    // Proposed by who leaves, or by another; by value; and by the member's own new appearance.
    for way in 0..4 {
        let mut peers = group_of(&["alice", "bob", "carol", "dave", "eve"]);
        for place in 0..5 {
            commits(&mut peers, place, CommitOptions::default());
        }
        let mut observer = watch(&peers[0].group_info());
        let leaf = LeafIndex(4);
        let remove = || NewProposal::Remove(leaf);
        let mut proposals = Vec::new();
        match way {
            0 | 1 => {
                let from = if way == 0 { 4 } else { 2 };
                let message = peers[from].propose(remove(), &Default::default());
                deliver(&mut peers, from, &message);
                observe(&mut observer, &message).unwrap();
            }
            2 => proposals.push(remove()),
            _ => {}
        }
        let commit = match way {
            3 => {
                let (info, leaf) = (peers[1].group_info(), leaf_params("eve", SUITE));
                let (new, commit) =
                    Peer::join_from_outside(&info, leaf, Some(LeafIndex(4)), 50).unwrap();
                deliver(&mut peers, 5, &commit);
                peers.push(new);
                commit
            }
            _ => commits(&mut peers, 0, commit_of(proposals)).commit,
        };
        observe(&mut observer, &commit).unwrap();
        let gone = peers.remove(4);
        // Whoever was removed stays with the tree that it had, and its hash.
        assert_eq!(gone.group.tree().tree_hash(), recomputed(&gone));
        for peer in &peers {
            assert_eq!(peer.group.tree().tree_hash(), recomputed(peer), "way {way}");
            assert_ne!(peer.group.tree().tree_hash(), gone.group.tree().tree_hash());
            assert_eq!(*peer.group.context().tree_hash, recomputed(peer));
        }
        assert_eq!(observer.tree().tree_hash(), peers[0].group.tree().tree_hash());
        agree(&peers);
        let last = peers.len() - 1;
        commits(&mut peers, last, CommitOptions::default());
        agree(&peers);
        let late = gone.group.process(&PROVIDER, NOW, &commit).unwrap_err().error;
        assert!(matches!(late, Error::Misuse(_)), "{late}");
    }
}
