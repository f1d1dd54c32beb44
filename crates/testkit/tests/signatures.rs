//! Members never disagree on a signature.
//!
//! Mallory's key and signatures have components of small order, which only the owner of a key can
//! craft. The equation without the cofactor refuses most of these signatures, and a batch without it
//! accepts them by chance. By our rule everybody accepts them on every path: alone or in a batch, and
//! with either provider.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use conclave_crypto::testing::{Hook, Hooked};
use conclave_crypto::{CryptoProvider, Secret, SignatureKeyPair};
use conclave_group::{
    CommitMessages, CommitOptions, Config, ExternalJoinOptions, Framing, KeyPackageParams,
    LeafUpdate, NewProposal, OwnKeyPackage, ValidKeyPackage,
};
use conclave_provider_rustcrypto::RustCrypto;
use conclave_testkit::party::*;
use conclave_testkit::{SeededRng, accepting};
use conclave_wire::LeafIndex;
use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT as B, EIGHT_TORSION};
use curve25519_dalek::{EdwardsPoint, Scalar};
use sha2::{Digest, Sha512};
use std::cell::Cell;

// ── mallory ──────────────────────────────────────────────────────────────────────────────────

/// Signs with twisted keys; with others it leaves the signature to the provider.
struct Twist;

static MALLORYS: Hooked<RustCrypto, Twist> = Hooked::new(RustCrypto::new(), Twist);

thread_local! {
    /// How many signatures of this test the equation without the cofactor would refuse.
    static REFUSED_WITHOUT_COFACTOR: Cell<usize> = const { Cell::new(0) };
}

fn scalar(parts: &[&[u8]]) -> Scalar {
    let mut hash = Sha512::new();
    parts.iter().for_each(|part| hash.update(part));
    Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
}

/// The sum of a point and one of order eight.
fn twisted(point: EdwardsPoint) -> [u8; 32] {
    (point + EIGHT_TORSION[1]).compress().to_bytes()
}

fn twisted_pair(seed: u8) -> SignatureKeyPair {
    let private = [seed; 32];
    let public = twisted(scalar(&[&private]) * B);
    SignatureKeyPair::new(Secret::copy_from(&private), public.to_vec().into())
}

impl Hook for Twist {
    fn sign(&self, pair: &SignatureKeyPair, message: &[u8]) -> Option<Vec<u8>> {
        let a = scalar(&[pair.private.expose()]);
        if *pair.public != twisted(a * B) {
            return None;
        }
        let nonce = scalar(&[pair.private.expose(), b"nonce", message]);
        let r = twisted(nonce * B);
        let k = scalar(&[&r, &pair.public, message]);
        let cancels = EIGHT_TORSION[1] + k * EIGHT_TORSION[1] == EIGHT_TORSION[0];
        let refused = &REFUSED_WITHOUT_COFACTOR;
        refused.set(refused.get() + usize::from(!cancels));
        Some([r, (nonce + k * a).to_bytes()].concat())
    }
}

fn mallorys_key_package(seed: u8) -> OwnKeyPackage {
    let params = KeyPackageParams::new(SUITE, leaf_params("mallory", SUITE), LIFETIME);
    let mut rng = SeededRng::from_u64(seed.into());
    OwnKeyPackage::generate(&MALLORYS, &mut rng, params, twisted_pair(seed)).unwrap()
}

// ── the others ───────────────────────────────────────────────────────────────────────────────

fn providers() -> [&'static dyn CryptoProvider; 2] {
    [portable(), native()]
}

fn setup(provider: &'static dyn CryptoProvider) -> Setup {
    Setup { provider, ..Setup::of(SUITE) }
}

/// Mallory's place.
const MALLORY: usize = 6;

/// Six honest members, half of them with each provider, and mallory, whom one of them has added.
fn group() -> Vec<Peer> {
    let mut peers = setup(portable()).members(6);
    peers.iter_mut().step_by(2).for_each(|peer| peer.provider = native());
    let own = mallorys_key_package(1);
    let messages = commits(&mut peers, 0, commit_of(vec![add(&own)]));
    peers.push(joins(&MALLORYS, &own, &messages));
    agree(&peers);
    peers
}

fn joins(
    provider: &'static dyn CryptoProvider,
    own: &OwnKeyPackage,
    messages: &CommitMessages,
) -> Peer {
    setup(provider).join(&messages.welcomes[0].message, own, &[], 9).expect("joins")
}

/// Checks that the equation without the cofactor refuses at least this many of the signatures that an
/// action makes.
fn crafted<T>(least: usize, action: impl FnOnce() -> T) -> T {
    let before = REFUSED_WITHOUT_COFACTOR.get();
    let result = action();
    let made = REFUSED_WITHOUT_COFACTOR.get() - before;
    assert!(made >= least, "{made} crafted signatures");
    result
}

// ── the paths ────────────────────────────────────────────────────────────────────────────────

#[test]
fn crafted_key_packages_are_accepted_alone_and_in_a_batch() {
    let crafted = crafted(5, || [1, 2, 3, 4, 5].map(mallorys_key_package));
    let honest = [5, 6, 7].map(|seed| key_package("honest", seed));
    let list: Vec<_> = crafted.iter().chain(&honest).map(|own| own.key_package().clone()).collect();
    for provider in providers() {
        for kp in &list {
            let alone = ValidKeyPackage::check(provider, NOW, &Config::default(), kp.clone());
            assert!(alone.is_ok(), "{}: {alone:?}", provider.name());
        }
        let all = ValidKeyPackage::check_many(provider, NOW, &Config::default(), list.clone());
        assert!(all.is_ok(), "{}: {all:?}", provider.name());
    }
}

#[test]
fn commits_with_crafted_leaves_are_accepted_and_their_trees_joined() {
    let mut peers = group();
    let own = crafted(4, || [2, 3, 4, 5].map(mallorys_key_package));
    let newcomers = [50, 51].map(|seed| key_package("newcomer", seed));
    let adds = own.iter().chain(&newcomers).map(add).collect();
    let messages = commits(&mut peers, 1, commit_of(adds));
    for (own, provider) in newcomers.iter().zip(providers()) {
        peers.push(joins(provider, own, &messages));
    }
    agree(&peers);
}

#[test]
fn crafted_welcomes_updates_paths_proposals_and_messages_are_accepted() {
    let mut peers = group();
    crafted(15, || rounds(&mut peers));
    let removal = NewProposal::Remove(LeafIndex(1));
    let removal = peers[MALLORY].propose(removal, &encrypted());
    deliver(&mut peers, MALLORY, &removal);
}

fn rounds(peers: &mut Vec<Peer>) {
    for round in 0..4 {
        let update = peers[MALLORY].propose_update(None, &Framing::default());
        deliver(peers, MALLORY, &update);
        commits(peers, round, CommitOptions::default());
        agree(peers);

        let signer = twisted_pair(100 + round as u8);
        let leaf = Some(LeafUpdate { params: leaf_params("mallory", SUITE), signer });
        let own = key_package("newcomer", 60 + round as u64);
        let framing = if round % 2 == 0 { encrypted() } else { Framing::default() };
        let options = CommitOptions { leaf, framing, ..commit_of(vec![add(&own)]) };
        let messages = commits(peers, MALLORY, options);
        let newcomer = joins(providers()[round % 2], &own, &messages);
        peers.push(newcomer);
        agree(peers);

        let said = peers[MALLORY].say(b"hello");
        for (i, peer) in peers.iter_mut().enumerate().filter(|(i, _)| *i != MALLORY) {
            assert_eq!(peer.reads(&said).data, b"hello", "{i}");
        }
    }
}

#[test]
fn crafted_external_commits_are_accepted_and_observed() {
    let mut peers = group();
    let mut observer = watch(&peers[0].group_info());
    for seed in 20..24 {
        let info = peers[usize::from(seed) % 2].group_info();
        let leaf = leaf_params("mallory again", SUITE);
        let options = ExternalJoinOptions::new(leaf, twisted_pair(seed));
        let mut rng = SeededRng::from_u64(seed.into());
        let joined =
            accepting::join_from_outside(&MALLORYS, &mut rng, config(), &info, None, options)
                .unwrap();

        for peer in &mut peers {
            peer.receive(&joined.commit);
        }
        observe(&mut observer, &joined.commit).expect("observed");
        let joined = Peer { provider: &MALLORYS, ..Peer::settle(joined.group, seed.into()) };
        peers.push(joined);
        agree(&peers);
    }

    // A newcomer verifies the signature of a GroupInfo by mallory, and all leaves in a batch.
    let info = crafted(2, || [MALLORY, 7, 8, 9].map(|i| peers[i].group_info()));
    for provider in providers() {
        for info in &info {
            let leaf = leaf_params("outsider", SUITE);
            assert!(setup(provider).join_from_outside(info, leaf, None, 70).is_ok());
        }
    }
}
