//! Identities and their stored form.

use super::fixture::*;
use crate::{
    CommitOptions, Config, Error, Group, Identity, OwnKeyPackage, ValidKeyPackage, Verdict,
};
use conclave_crypto::Secret;
use conclave_tree::TreeRead;
use conclave_wire::{Credential, LeafIndex};

fn identity(name: &str, seed: u64) -> Identity {
    let rng = &mut TestRng(seed);
    let credential = Credential::basic(name.as_bytes());
    let identity = Identity::generate(&PROVIDER, rng, credential, SUITE).unwrap();
    Identity { leaf: leaf_params(name), ..identity }
}

#[test]
fn an_identity_survives_its_stored_form() {
    let alice = identity("alice", 1);
    let stored = alice.to_secret().unwrap();
    let loaded = Identity::from_secret(&stored).unwrap();
    assert_eq!(loaded, alice);
    assert_eq!(loaded.leaf.capabilities.extensions, [CUSTOM]);
    // The key pair signs as before.
    let params = loaded.key_package_params(LIFETIME);
    let own = OwnKeyPackage::generate(&PROVIDER, &mut TestRng(2), params, loaded.signer).unwrap();
    let kp = own.key_package().clone();
    let stage = ValidKeyPackage::check(&PROVIDER, NOW, &Config::default(), kp).unwrap();
    assert_eq!(stage.credential().credential, Credential::basic(b"alice"));
    assert_eq!(stage.credential().signature_key, alice.signer.public);
}

#[test]
fn a_damaged_or_wrong_stored_identity_is_an_error() {
    let stored = identity("alice", 1).to_secret().unwrap();
    let error = |stored: Secret| match Identity::from_secret(&stored) {
        Err(Error::Storage(what)) => what,
        other => panic!("{other:?}"),
    };

    for place in 0..stored.len() {
        let mut damaged = stored.clone();
        damaged.expose_mut()[place] ^= 1;
        let what = error(damaged);
        assert!(what.starts_with("stored identity: it is damaged"), "{place}: {what}");
        let cut = Secret::copy_from(&stored.expose()[..place]);
        let what = error(cut);
        assert!(what.starts_with("stored identity: "), "cut to {place}: {what}");
    }

    // Something else that was stored.
    let what = error(key_package("alice", 1).to_secret().unwrap());
    assert_eq!(&*what, "stored identity: it is damaged, or not a stored identity");
}

#[test]
fn a_renewed_identity_has_a_fresh_key_pair_and_nothing_else_new() {
    let mut peers = group_of(&["alice", "bob"]);
    let old = identity("alice", 1);
    let new = old.renewed(&PROVIDER, &mut TestRng(2)).unwrap();
    assert_ne!(new.signer, old.signer);
    assert_eq!(new, Identity { signer: new.signer.clone(), ..old });
    let leaf = Some(new.leaf_update());
    commits(&mut peers, 0, CommitOptions { leaf, ..CommitOptions::default() });
    let key = peers[1].group.tree().signature_key(LeafIndex(0));
    assert_eq!(key, Some(new.signer.public));
}

#[test]
fn an_identity_creates_groups_and_joins_them_from_outside() {
    let alice = identity("alice", 1);
    let params = alice.group_params(b"a group".as_slice().into(), LIFETIME);
    let rng = &mut TestRng(3);
    let new = Group::create(&PROVIDER, rng, Config::default(), params, alice.signer).unwrap();
    let mut peers = alloc::vec![Peer::settle(new, 1)];

    let options = crate::GroupInfoOptions { ratchet_tree: true, external_pub: true };
    let info = peers[0].group.group_info(&PROVIDER, options).unwrap();
    let stage = crate::ExternalJoinStage::open(&PROVIDER, Config::default(), &info, None).unwrap();
    let bob = identity("bob", 2);
    let options = bob.external_join_options();
    let joined = stage.commit(&PROVIDER, rng, &[Verdict::Accept], options).unwrap();
    assert_eq!(peers[0].follows(&joined.commit).committer.signature_key, bob.signer.public);
    peers.push(Peer::settle(joined.group, 2));
    agree(&peers);
}
