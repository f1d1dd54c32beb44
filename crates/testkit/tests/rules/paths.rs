//! Update paths (sections 7.5, 7.6, 7.9.2 and 12.4.2).

use super::scene::*;
use conclave_crypto::Secret;
use conclave_group::Rejection;
use conclave_testkit::forge::{Insider, PathFor};
use conclave_tree::TreeError;
use conclave_wire::{Bytes, Content, HpkePublicKey, LeafIndex, LeafNodeSource, UpdatePath};

fn path(scene: &Scene) -> UpdatePath {
    scene.insider.path(&PROVIDER, &mut rng(8), PathFor::default(), |_| {}).1
}

/// A commit of the path with a change, its leaf signed again.
fn changed(scene: &Scene, change: impl FnOnce(&mut UpdatePath)) -> Content {
    let mut path = path(scene);
    change(&mut path);
    scene.insider.sign_leaf(&PROVIDER, &mut path.leaf_node, LeafIndex(0));
    commit(Vec::new(), Some(path))
}

#[test]
fn a_path_of_the_wrong_shape_is_refused_by_members_and_observers() {
    let scene = Scene::new();
    let length = |e: &TreeError| matches!(e, TreeError::PathLength { .. });
    let counts = |e: &TreeError| matches!(e, TreeError::PathCiphertexts { .. });
    let shorter = changed(&scene, |path| drop(path.nodes.pop()));
    scene.refused_by_all("shorter", shorter, SeenBy::All, of_tree(length));
    let longer = changed(&scene, |path| path.nodes.push(path.nodes[0].clone()));
    scene.refused_by_all("longer", longer, SeenBy::All, of_tree(length));
    let none = changed(&scene, |path| path.nodes.clear());
    scene.refused_by_all("no node", none, SeenBy::All, of_tree(length));

    for place in 0..path(&scene).nodes.len() {
        let fewer = changed(&scene, |path| {
            path.nodes[place].encrypted_path_secret.pop();
        });
        scene.refused_by_all("fewer", fewer, SeenBy::All, of_tree(counts));

        let more = changed(&scene, |path| {
            let again = path.nodes[place].encrypted_path_secret[0].clone();
            path.nodes[place].encrypted_path_secret.push(again);
        });
        scene.refused_by_all("more", more, SeenBy::All, of_tree(counts));
    }
}

#[test]
fn the_keys_of_a_path_are_new_valid_and_different() {
    let scene = Scene::new();
    let in_tree = |e: &TreeError| matches!(e, TreeError::PathKeyInTree { .. });
    let old = leaf_of(&scene.alice, LeafIndex(0)).encryption_key;
    let kept = changed(&scene, |path| path.leaf_node.encryption_key = old.clone());
    scene.refused_by_all("the committer's old key", kept, SeenBy::All, of_tree(in_tree));
    let bobs = leaf_of(&scene.alice, BOB).encryption_key;
    let taken = changed(&scene, |path| path.nodes[0].encryption_key = bobs);
    scene.refused_by_all("another's key", taken, SeenBy::All, of_tree(in_tree));

    let twice = changed(&scene, |path| {
        path.nodes[1].encryption_key = path.nodes[0].encryption_key.clone();
    });
    let repeated = |e: &TreeError| matches!(e, TreeError::PathKeyRepeated { .. });
    scene.refused_by_all("twice", twice, SeenBy::All, of_tree(repeated));

    let none = changed(&scene, |path| path.nodes[1].encryption_key = HpkePublicKey::from([0; 32]));
    let invalid = |e: &TreeError| matches!(e, TreeError::InvalidEncryptionKey { .. });
    scene.refused_by_all("no key", none, SeenBy::All, of_tree(invalid));
}

#[test]
fn a_path_under_another_parent_hash_is_refused_by_members_and_observers() {
    let scene = Scene::new();
    for claimed in [Bytes::default(), [7; 32].into()] {
        let said = changed(&scene, |path| {
            path.leaf_node.leaf_node_source = LeafNodeSource::Commit(claimed);
        });
        let rule = of_tree(|e| *e == TreeError::PathParentHash);
        scene.refused_by_all("parent hash", said, SeenBy::All, rule);
    }

    // The key of a node that the parent hash does not cover.
    let key = suite().hpke_key_pair(&mut rng(6)).unwrap().public;
    let said = changed(&scene, |path| path.nodes[1].encryption_key = key);
    let rule = of_tree(|e| *e == TreeError::PathParentHash);
    scene.refused_by_all("another key", said, SeenBy::All, rule);
}

#[test]
fn a_committer_may_not_take_anothers_signature_key() {
    let scene = Scene::new();
    let mut path = path(&scene);
    let carol = Insider::of(&scene.judges[1]);
    path.leaf_node.signature_key = carol.signer.public.clone();
    carol.sign_leaf(&PROVIDER, &mut path.leaf_node, LeafIndex(0));
    let rule = of_tree(|e| matches!(e, TreeError::DuplicateSignatureKey { .. }));
    scene.refused_by_all("carol's", commit(Vec::new(), Some(path)), SeenBy::All, rule);
}

#[test]
fn members_refuse_path_secrets_that_do_not_match_the_public_keys() {
    let scene = Scene::new();
    let of = PathFor::default;
    let (_, path) = scene.insider.path(&PROVIDER, &mut rng(8), of(), |path| {
        for (_, secret) in &mut path.keys.secrets {
            secret.expose_mut()[0] ^= 1;
        }
    });
    let rule = of_tree(|e| matches!(e, TreeError::PathKeyMismatch { .. }));
    scene.refused_by_all("other", commit(Vec::new(), Some(path)), SeenBy::Members, rule);

    let (_, path) = scene.insider.path(&PROVIDER, &mut rng(8), of(), |path| {
        for (_, secret) in &mut path.keys.secrets {
            *secret = Secret::copy_from(&secret.expose()[1..]);
        }
    });
    let rule = of_tree(|e| *e == TreeError::PathSecretLength);
    scene.refused_by_all("short", commit(Vec::new(), Some(path)), SeenBy::Members, rule);

    let mut path = self::path(&scene);
    for node in &mut path.nodes {
        for sealed in &mut node.encrypted_path_secret {
            sealed.ciphertext = [0; 48].into();
        }
    }
    let rule = is(Rejection::PathOpen);
    scene.refused_by_all("closed", commit(Vec::new(), Some(path)), SeenBy::Members, rule);
}

#[test]
fn a_path_made_for_a_removal_is_refused_without_it() {
    // The path was made for a commit that removes eve, so that it has no ciphertext for her.
    let scene = Scene::new();
    let of = PathFor { removes: vec![EVE], joiner: None };
    let (_, path) = scene.insider.path(&PROVIDER, &mut rng(8), of, |_| {});
    let rule =
        of_tree(|e| matches!(e, TreeError::PathLength { .. } | TreeError::PathCiphertexts { .. }));
    scene.refused_by_all("eve", commit(Vec::new(), Some(path)), SeenBy::All, rule);
}
