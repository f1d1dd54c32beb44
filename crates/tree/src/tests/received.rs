//! Answers of a tree from outside before it is verified, and early refusals.

use crate::testing::{Plan, World, suite};
use crate::{Feature, TreeError, TreeRead, UnverifiedTree};
use alloc::vec::Vec;
use conclave_wire::{CredentialType, ExtensionType, LeafIndex, NodeIndex};

#[test]
fn a_received_tree_answers_like_the_one_sent() {
    let mut world = World::populated(1, 6);
    let mut update = world.update_of(3);
    let kind = ExtensionType(0xf00d);
    update.capabilities.extensions.push(kind);
    crate::testing::sign(&mut update, &world.signers[&3], LeafIndex(3));

    let mut staged = crate::StagedTree::new(&world.tree);
    staged.update_leaf(LeafIndex(3), &update).unwrap();
    staged.remove_leaves(&[LeafIndex(1)]).unwrap();
    let mut delta = staged.into_delta(&suite()).unwrap();
    let sent = &mut world.tree;
    sent.swap(&mut delta);

    let bytes = sent.to_extension_bytes().unwrap();
    let received = UnverifiedTree::decode(&suite(), &bytes).unwrap();
    assert_eq!(received.tree_hash(), sent.tree_hash());
    for node in (0..=sent.size().node_count()).map(NodeIndex) {
        assert_eq!(received.node_hash(node).is_some(), sent.size().has_node(node), "{node}");
        if sent.node_hash(node).is_some() {
            assert_eq!(received.node_hash(node), sent.node_hash(node), "{node}");
        }
    }
    let longest = sent.members().map(|leaf| sent.node(leaf.node()).unwrap().len()).max();
    assert_eq!(Some(received.longest_leaf()), longest);

    let features = [
        (Feature::Extension(kind), 1),
        (Feature::Extension(ExtensionType(0xf00e)), 0),
        (Feature::Credential(CredentialType::BASIC), 5),
    ];
    for (feature, members) in features {
        assert_eq!(received.members_with(feature), members);
        assert_eq!(sent.members_with(feature), members);
    }
    assert_eq!(received.credential_types_in_use(), [CredentialType::BASIC]);
}

#[test]
fn a_tree_over_the_leaf_limit_is_refused() {
    let mut world = World::bare(2, 6);
    world.commit(0, &Plan { removes: Vec::from([2]), ..Plan::default() });
    let bytes = world.tree.to_extension_bytes().unwrap();
    let decode = |max| UnverifiedTree::decode_within(&suite(), &bytes, max).map(drop);

    // The encoding has six leaves, the tree eight.
    for max in 8..10 {
        assert_eq!(decode(max), Ok(()));
    }
    for max in 0..6 {
        assert_eq!(decode(max), Err(TreeError::OverLimit { leaves: max + 1 }));
    }
    for max in 6..8 {
        assert_eq!(decode(max), Err(TreeError::OverLimit { leaves: 8 }));
    }
}
