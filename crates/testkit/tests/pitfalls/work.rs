//! The cost of operations, counted and not timed; and the ends of counters.

use crate::welcome::{Forged, invited};
use conclave_crypto::Suites;
use conclave_crypto::testing::{Counter, Hooked, Operation};
use conclave_group::{
    CommitOptions, Config, Error, ExternalJoinStage, Framing, ObserverStage, Rejection,
    WelcomeStage,
};
use conclave_provider_rustcrypto::RustCrypto;
use conclave_testkit::party::*;
use conclave_tree::TreeRead;
use conclave_wire::Epoch;

/// The numbers of hashes and verified signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Work {
    hashes: usize,
    verified: usize,
}

/// The portable provider with counters.
type Counting = Hooked<RustCrypto, (Counter, Counter)>;

fn counting() -> Counting {
    let hashes = Counter::of(Operation::Hash);
    let verified = Counter::of(Operation::Verify);
    Hooked::new(RustCrypto::new().with_suites(Suites::CONCLAVE), (hashes, verified))
}

fn work_of<T>(counting: &Counting, what: impl FnOnce() -> T) -> (Work, T) {
    let (hashes, verified) = &counting.hook;
    let (hashes, (verified, result)) = hashes.during(|| verified.during(what));
    (Work { hashes, verified }, result)
}

/// The cost to join a group of n, to open it for an external commit, to observe it, and to receive a
/// message in it. Half of the members have populated the tree, the others are unmerged.
fn costs(n: usize) -> [Work; 4] {
    let mut first = Setup::of(SUITE).found(leaf_params("first", SUITE));
    let half = n as u64 / 2;
    for seed in 1..half {
        let leaf = leaf_params(&format!("outside {seed}"), SUITE);
        let info = first.group_info();
        let (_, commit) = Peer::join_from_outside(&info, leaf, None, 1000 + seed).unwrap();
        first.receive(&commit);
    }
    let owns: Vec<_> = (0..half).map(|i| key_package(&format!("added {i}"), 5000 + i)).collect();
    let messages = first.commit(commit_of(owns.iter().map(add).collect())).unwrap();
    first.accepted();

    let last = owns.last().unwrap();
    let welcome = &messages.welcomes[0].message;
    let counting = counting();
    let (join, joined) = work_of(&counting, || {
        let stage = WelcomeStage::open(&counting, Config::default(), welcome, last).unwrap();
        stage.join(&counting, &[], None, None).unwrap()
    });
    assert_eq!(joined.members().count(), n);

    let info = first.group_info();
    let (outside, _) = work_of(&counting, || {
        ExternalJoinStage::open(&counting, Config::default(), &info, None).unwrap()
    });
    let (observe, _) = work_of(&counting, || {
        ObserverStage::open(&counting, Config::default(), &info, None).unwrap()
    });

    let mut last = Peer::join(welcome, last, 3).unwrap();
    let message = last.say(b"hello");
    let (message, received) =
        work_of(&counting, || first.group.process(&counting, NOW, &message).map(drop));
    received.unwrap();
    [join, outside, observe, message]
}

#[test]
fn joining_hashes_and_verifies_in_proportion_to_the_group() {
    let small = costs(32);
    let large = costs(128);
    println!("32 members: {small:?}\n128 members: {large:?}");
    for (n, costs) in [(32, small), (128, large)] {
        for join in &costs[..3] {
            // Each leaf once, and the GroupInfo.
            assert_eq!(join.verified, n + 1);
            // Each of the 2n nodes, and the inputs of the parent hashes.
            assert!(join.hashes < 4 * n, "{join:?} for {n}");
        }
        assert_eq!(costs[3], Work { hashes: small[3].hashes, verified: 1 });
    }

    for (small, large) in small.iter().zip(&large).take(3) {
        assert!(large.hashes < 5 * small.hashes, "{small:?}, {large:?}");
    }
}

/// Key packages were checked when they were chosen, and the path's leaf has just been signed.
#[test]
fn our_own_commit_verifies_no_signature_again() {
    let mut first = Setup::of(SUITE).found(leaf_params("first", SUITE));
    let adds = (1..4).map(|seed| add(&key_package("added", seed))).collect();
    let counting = counting();

    let (made, step) = work_of(&counting, || {
        let options = CommitOptions { force_path: true, ..commit_of(adds) };
        first.group.commit(&counting, &mut first.rng, NOW, options).unwrap()
    });
    let id = first.take(step).id;
    let (applied, step) =
        work_of(&counting, || first.group.commit_accepted(&counting, NOW, &id).unwrap());
    first.take(step);

    assert_eq!(first.group.tree().member_count(), 4);
    assert_eq!((made.verified, applied.verified), (0, 0));
}

#[test]
fn an_export_longer_than_the_kdf_allows_is_refused_not_truncated() {
    let peers = group_of(&["alice"]);
    let export = |length| peers[0].group.export(&PROVIDER, b"label", b"context", length);
    let most = 255 * hash_len();
    for length in [0, 1, 32, 33, most] {
        assert_eq!(export(length).unwrap().len(), length);
    }
    for length in [most + 1, 0xffff, 0x1_0000, 0x1_0001, 0x1_0020, usize::MAX] {
        let refused = export(length).unwrap_err();
        assert!(matches!(refused, Error::Crypto(_)), "{length}: {refused}");
    }
}

#[test]
fn the_last_epoch_works_and_ends_with_an_error() {
    let (_, eve, welcome, signer) = invited();
    for epoch in [u64::MAX - 1, u64::MAX] {
        let mut forged = Forged::open(&welcome, &eve, &signer);
        forged.welcome.info.group_context.epoch = Epoch(epoch);
        forged.confirm();
        let mut eve = Peer::join(&forged.close(), &eve, 5).unwrap();
        eve.reload();
        if epoch < u64::MAX {
            eve.say(b"one epoch before the last");
            eve.commit(CommitOptions::default()).unwrap();
            eve.reload();
            eve.accepted();
        }
        assert_eq!(eve.group.epoch(), Epoch(u64::MAX));
        for _ in 0..2 {
            eve.say(b"the last");
            let ended = eve.commit(CommitOptions::default()).unwrap_err();
            assert_eq!(ended, Rejection::EpochExhausted.into());
            eve.propose_update(None, &Framing::default());
            let step = eve.group.discard_proposals().unwrap();
            eve.take(step);
            eve.reload();
        }
    }
}
