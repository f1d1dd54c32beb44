//! The life of a group in each of the post-quantum suites, whose members use either provider.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use conclave_crypto::{CryptoError, CryptoProvider, PqSuite, Secret, Suite, Suites};
use conclave_group::{
    CommitOptions, Config, Error, KeyPackageParams, LeafParams, Limits, NewProposal, OwnKeyPackage,
    Rejection, ValidKeyPackage,
};
use conclave_provider_aws_lc::AwsLc;
use conclave_provider_rustcrypto::RustCrypto;
use conclave_testkit::SeededRng;
use conclave_testkit::forge::sign_key_package;
use conclave_testkit::party::*;
use conclave_tree::TreeRead;
use conclave_wire::{Credential, Encode, LeafIndex};

/// Lets each member send a message, which all others read, and one to the next member alone.
fn all_speak(peers: &mut [Peer]) {
    for from in 0..peers.len() {
        let next = (from + 1) % peers.len();
        let leaf = peers[next].group.own_leaf();
        let message = peers[from].tell(leaf, b"psst");
        assert_eq!(peers[next].hears(&message).data, b"psst");

        let message = peers[from].say(b"hello");
        for (i, peer) in peers.iter_mut().enumerate() {
            if i != from {
                assert_eq!(peer.reads(&message).data, b"hello");
            }
        }
    }
}

/// The setup of members with a provider.
fn setup(suite: PqSuite, provider: &'static dyn CryptoProvider) -> Setup {
    let suite = Suites::CONCLAVE.code_point(suite).expect("a suite of this table");
    Setup { provider, ..Setup::of(suite) }
}

/// The life of a group: it is created; two members are added by one commit, one joins by an external
/// commit; there are updates by proposal and by commit, and a removal. In between, everybody loads its
/// rows.
fn life(suite: PqSuite) {
    let native = setup(suite, native());
    let portable = setup(suite, portable());
    let leaf = |name| inviting(leaf_params(name, native.suite));
    let mut peers = vec![native.found(leaf("founder"))];

    let own = [
        (&portable, portable.key_package(leaf("first"), 41)),
        (&native, native.key_package(leaf("second"), 42)),
    ];
    let adds = own.iter().map(|(_, own)| add(own)).collect();
    let messages = commits(&mut peers, 0, commit_of(adds));
    let welcome = &messages.welcomes[0].message;
    for ((setup, own), seed) in own.iter().zip(41..) {
        peers.push(setup.join(welcome, own, &[], seed).expect("joins"));
    }
    agree(&peers);
    all_speak(&mut peers);

    let info = peers[1].group_info();
    let joined = portable.join_from_outside(&info, leaf("outsider"), None, 43);
    let (joined, commit) = joined.expect("joins");
    for peer in &mut peers {
        peer.receive(&commit);
    }
    peers.push(joined);
    agree(&peers);
    peers.iter_mut().for_each(Peer::reload);
    all_speak(&mut peers);

    for who in 0..4 {
        let update = peers[(who + 1) % 4].propose_update(None, &encrypted());
        deliver(&mut peers, (who + 1) % 4, &update);
        peers.iter_mut().for_each(Peer::reload);
        let options = CommitOptions { force_path: true, ..CommitOptions::default() };
        commits(&mut peers, who, options);
        agree(&peers);
        all_speak(&mut peers);
    }

    let proposals = vec![NewProposal::Remove(LeafIndex(1))];
    commits(&mut peers, 3, CommitOptions { proposals, ..CommitOptions::default() });
    let removed = peers.remove(1);
    assert!(removed.rows.is_empty());
    agree(&peers);
    peers.iter_mut().for_each(Peer::reload);
    all_speak(&mut peers);

    let exported: Vec<Secret> = peers
        .iter()
        .map(|peer| peer.group.export(peer.provider, b"label", b"context", 32).unwrap())
        .collect();
    assert!(exported.windows(2).all(|pair| pair[0] == pair[1]));
    keys_are_of_the_suite(&peers, suite);
}

/// Checks that the keys in the tree have the lengths of the suite's KEM and signature scheme.
fn keys_are_of_the_suite(peers: &[Peer], suite: PqSuite) {
    let params = *peers[0].suite().params();
    assert_eq!(params.name, suite.name());
    let signature_key_len = match params.signature.code_point() {
        0x0403 => 65,
        0x0503 => 97,
        0x0807 => 32,
        0x0904 => 1312,
        0x0905 => 1952,
        0x0906 => 2592,
        other => panic!("not a scheme of these suites: {other:#06x}"),
    };

    for peer in peers {
        let leaf = peer.group.tree().leaf(peer.group.own_leaf()).unwrap();
        assert_eq!(leaf.encryption_key.len(), params.kem.public_key_len());
        assert_eq!(leaf.signature_key.len(), signature_key_len);
    }
}

#[test]
fn groups_work_in_mlkem768x25519_aes128_ed25519() {
    life(PqSuite::MlKem768X25519Aes128Ed25519);
}

#[test]
fn groups_work_in_mlkem768x25519_aes256_ed25519() {
    life(PqSuite::MlKem768X25519Aes256Ed25519);
}

#[test]
fn groups_work_in_mlkem768p256_aes128_p256() {
    life(PqSuite::MlKem768P256Aes128P256);
}

#[test]
fn groups_work_in_mlkem768p256_aes256_p256() {
    life(PqSuite::MlKem768P256Aes256P256);
}

#[test]
fn groups_work_in_mlkem1024p384_aes256_p384() {
    life(PqSuite::MlKem1024P384Aes256P384);
}

#[test]
fn groups_work_in_mlkem768_aes256_ed25519() {
    life(PqSuite::MlKem768Aes256Ed25519);
}

#[test]
fn groups_work_in_mlkem768_aes256_p256() {
    life(PqSuite::MlKem768Aes256P256);
}

#[test]
fn groups_work_in_mlkem1024_aes256_p384() {
    life(PqSuite::MlKem1024Aes256P384);
}

#[test]
fn groups_work_in_mlkem768x25519_chacha20_mldsa44() {
    life(PqSuite::MlKem768X25519ChaCha20MlDsa44);
}

#[test]
fn groups_work_in_mlkem768_aes256_mldsa65() {
    life(PqSuite::MlKem768Aes256MlDsa65);
}

#[test]
fn groups_work_in_mlkem1024_aes256_mldsa87() {
    life(PqSuite::MlKem1024Aes256MlDsa87);
}

/// A provider without the table does not know the suite, and reports that.
#[test]
fn without_a_code_point_there_is_no_post_quantum_suite() {
    let setup = setup(PqSuite::MlKem768X25519Aes128Ed25519, native());
    let own = setup.key_package(leaf_params("client", setup.suite), 1);
    let plain: [&dyn CryptoProvider; 2] = [&AwsLc::with_threads(1), &RustCrypto::new()];
    for provider in plain {
        let key_package = own.key_package().clone();
        let refused = ValidKeyPackage::check(provider, NOW, &setup.config, key_package);
        let error = refused.expect_err("an unknown suite");
        assert!(matches!(error, Error::Crypto(CryptoError::UnsupportedSuite(_))), "{error:?}");
    }
}

/// A leaf with the largest keys fits the default limits with room for credentials; a lower limit
/// refuses it as it does any other.
#[test]
fn leaves_of_the_largest_suite_are_within_the_limits_and_held_to_them() {
    let setup = setup(PqSuite::MlKem1024Aes256MlDsa87, portable());
    let own = setup.key_package(leaf_params("client", setup.suite), 1);
    let leaf = own.key_package().leaf_node.to_bytes().unwrap().len();
    assert!((8_000..10_000).contains(&leaf), "{leaf} bytes");
    let check = |leaf_bytes| {
        let limits = Limits { leaf_bytes, ..Limits::default() };
        let config = Config { limits, ..Config::default() };
        let key_package = own.key_package().clone();
        ValidKeyPackage::check(portable(), NOW, &config, key_package).map(drop)
    };
    assert_eq!(check(Limits::default().leaf_bytes), Ok(()));
    assert_eq!(check(leaf), Ok(()));
    let over = check(leaf - 1);
    assert!(matches!(over, Err(Error::Rejected(Rejection::OverLimit { .. }))), "{over:?}");
}

/// A key that ML-KEM cannot use is refused on receipt, and not only when a member seals to it.
#[test]
fn a_key_package_with_a_coefficient_over_ml_kems_modulus_is_refused() {
    for at in [PqSuite::MlKem768X25519Aes128Ed25519, PqSuite::MlKem1024Aes256P384] {
        let setup = setup(at, native());
        let mut rng = SeededRng::from_u64(44);
        let provider = setup.provider;
        let suite = Suite::new(provider, setup.suite).unwrap();
        let signer = suite.signature_key_pair(&mut rng).unwrap();
        let leaf = LeafParams::new(Credential::basic(b"client"), &[setup.suite]);
        let params = KeyPackageParams::new(setup.suite, leaf, LIFETIME);
        let own = OwnKeyPackage::generate(provider, &mut rng, params, signer.clone()).unwrap();
        let check = |damage: fn(&mut Vec<u8>)| {
            let mut key_package = own.key_package().clone();
            let mut key = key_package.init_key.to_vec();
            damage(&mut key);
            key_package.init_key = key.into();
            sign_key_package(&suite, &mut key_package, &signer);
            ValidKeyPackage::check(provider, NOW, &setup.config, key_package).map(drop)
        };

        assert_eq!(check(|_| ()), Ok(()));
        let refused = Err(Error::Rejected(Rejection::InvalidPublicKey));
        assert_eq!(check(|key| key[..3].fill(0xff)), refused);
        assert_eq!(check(|key| key.truncate(32)), refused);
    }
}
