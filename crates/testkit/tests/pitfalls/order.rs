//! Messages in the wrong order, and clocks that are wrong or missing.

use conclave_crypto::Suite;
use conclave_group::{
    CommitOptions, Config, Error, Framing, KeyPackageParams, NewProposal, OwnKeyPackage, Rejection,
    ValidKeyPackage, Verdict,
};
use conclave_testkit::SeededRng;
use conclave_testkit::party::*;
use conclave_tree::{TreeRead, UnverifiedTree};
use conclave_wire::{Epoch, LeafIndex, LeafNodeSource, Lifetime, UnixTime};
use std::time::Duration;

#[test]
fn commits_out_of_order_are_refused_without_harm_and_accepted_in_order() {
    for framing in [Framing::default(), encrypted()] {
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
                let message = Epoch(1 + place as u64);
                let current = Epoch(1 + next as u64);
                let wrong = Rejection::WrongEpoch { message, current };
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
fn groups_work_at_any_time() {
    for now in times() {
        let mut peers = group_of(&["alice", "bob", "carol"]);
        let said = peers[0].say(b"hello");
        let proposal = peers[0].propose_update(None, &Framing::default());
        let late = said.clone();
        let step = peers[1].process_at(now, &said).unwrap().unwrap();
        peers[1].take(step);
        for place in [1, 2] {
            let step = peers[place].process_at(now, &proposal).unwrap().unwrap();
            peers[place].take(step);
        }

        for round in 0..3 {
            let messages = peers[2].commit(CommitOptions::default()).unwrap();
            for place in [0, 1] {
                let step = peers[place].process_at(now, &messages.commit).unwrap().unwrap();
                peers[place].take(step);
            }
            let step = peers[2].group.commit_accepted(&PROVIDER, now, &messages.id).unwrap();
            peers[2].take(step);
            agree(&peers);
            if round == 0 {
                let step = peers[2].process_at(now, &late).unwrap().unwrap();
                peers[2].take(step);
            }
        }

        for end in [UnixTime::MIN, UnixTime::MAX] {
            if let Some(step) = peers[0].group.expire_past_epochs(end) {
                peers[0].take(step);
            }
        }
        peers[0].reload();
    }
}

/// Times at both ends of the range, and in its middle.
fn times() -> [UnixTime; 5] {
    let second = Duration::from_secs(1);
    let first = UnixTime::MIN;
    let last = UnixTime::MAX;
    [first, first.saturating_add(second), NOW, last.saturating_sub(second), last]
}

fn with_lifetime(name: &str, lifetime: Lifetime, seed: u64) -> OwnKeyPackage {
    let params = KeyPackageParams::new(SUITE, leaf_params(name, SUITE), lifetime);
    let rng = &mut SeededRng::from_u64(seed);
    OwnKeyPackage::generate(&PROVIDER, rng, params, signer(SUITE, seed)).unwrap()
}

#[test]
fn a_lifetime_is_judged_by_the_given_time() {
    let config = Config::default();
    let longest = config.limits.lifetime.as_secs();
    let skew = config.clock_skew.as_secs();
    let mut ends = times().map(UnixTime::as_secs).to_vec();
    ends.extend([u64::MAX - 1, u64::MAX]);

    for not_before in &ends {
        for not_after in &ends {
            let not_before = *not_before;
            let not_after = *not_after;
            let own = with_lifetime("eve", Lifetime { not_before, not_after }, 21);
            for now in times() {
                let kp = own.key_package().clone();
                let checked = ValidKeyPackage::check(&PROVIDER, now, &config, kp);
                let now = now.as_secs();
                let short = not_after.saturating_sub(not_before) <= longest;
                let begun = not_before <= now + skew;
                let good = short && begun && now <= not_after;
                assert_eq!(checked.is_ok(), good, "{not_before} to {not_after} at {now}");
            }
        }
    }
}

#[test]
fn expired_members_keep_nobody_from_joining_or_committing() {
    let mut peers = group_of(&["alice", "bob"]);
    let second = Duration::from_secs(1);
    let later = NOW.saturating_add(10 * 365 * 24 * 60 * 60 * second);
    assert!(later.as_secs() > LIFETIME.not_after);
    let leaf = peers[0].group.tree().leaf(LeafIndex(1)).unwrap();
    assert_eq!(leaf.leaf_node_source, LeafNodeSource::KeyPackage(LIFETIME));

    let fresh = Lifetime::starting_at(later.saturating_sub(second), 2 * second);
    let carol = with_lifetime("carol", fresh, 31);
    let kp = carol.key_package().clone();
    let stage = ValidKeyPackage::check(&PROVIDER, later, &Config::default(), kp).unwrap();
    let add = NewProposal::Add(Box::new(stage.resolve(Verdict::Accept).unwrap()));
    let rng = &mut SeededRng::from_u64(32);
    let step = peers[0].group.commit(&PROVIDER, rng, later, commit_of(vec![add])).unwrap();
    let messages = peers[0].take(step);
    peers[0].accepted();

    // The newcomer's lifetime, too, has ended when bob receives the commit.
    let then = later.saturating_add(1000 * second);
    let step = peers[1].process_at(then, &messages.commit).unwrap().unwrap();
    peers[1].take(step);
    peers.push(Peer::join(&messages.welcomes[0].message, &carol, 3).unwrap());

    let info = peers[2].group_info();
    let mut observer = watch(&info);
    let leaf = leaf_params("dave", SUITE);
    let (dave, commit) = Peer::join_from_outside(&info, leaf, None, 32).unwrap();
    observe(&mut observer, &commit).unwrap();
    for peer in &mut peers {
        let step = peer.process_at(later.saturating_add(2000 * second), &commit).unwrap().unwrap();
        peer.take(step);
    }
    peers.push(dave);
    agree(&peers);
}

/// The hash of a tree, computed from its encoding alone.
fn recomputed(peer: &Peer) -> Vec<u8> {
    let suite = Suite::new(&PROVIDER, SUITE).unwrap();
    let bytes = peer.group.tree().to_extension_bytes().unwrap();
    UnverifiedTree::decode(&suite, &bytes).unwrap().tree_hash().to_vec()
}

#[test]
fn the_tree_hash_is_right_after_every_way_of_leaving() {
    // Proposed by the member that leaves, or by another; by value; and by an external commit of the
    // same client.
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
                let message = peers[from].propose(remove(), &Framing::default());
                deliver(&mut peers, from, &message);
                observe(&mut observer, &message).unwrap();
            }
            2 => proposals.push(remove()),
            _ => {}
        }
        let commit = match way {
            3 => {
                let info = peers[1].group_info();
                let leaf = leaf_params("eve", SUITE);
                let (new, commit) =
                    Peer::join_from_outside(&info, leaf, Some(LeafIndex(4)), 50).unwrap();
                deliver(&mut peers, 5, &commit);
                peers.push(new);
                commit
            }
            _ => commits(&mut peers, 0, commit_of(proposals)).commit,
        };
        observe(&mut observer, &commit).unwrap();

        // The removed member keeps the tree that it had, and its hash.
        let gone = peers.remove(4);
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
