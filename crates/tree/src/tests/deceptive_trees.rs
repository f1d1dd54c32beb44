//! Trees that were forged to deceive a new member.

use crate::parent_hash::parent_hash;
use crate::testing::{Plan, TestRng, World, group_id, member, sign, suite};
use crate::{LeafRule, TreeError, TreeRead, UnverifiedTree};
use alloc::boxed::Box;
use alloc::vec::Vec;
use conclave_wire::{
    Certificate, Credential, CredentialType, DecodeError, Encode, Extension, ExtensionType,
    GroupId, LeafIndex, LeafNode, LeafNodeSource, Node, NodeIndex, ParentNode,
};

/// Nine members, most of whom have committed; then two blank leaves, and new members who are
/// unmerged at several nodes.
fn world() -> World {
    let mut world = World::populated(1, 9);
    world.commit(0, &Plan { removes: Vec::from([2, 6]), path: true, ..Plan::default() });
    world.commit(3, &Plan { path: true, ..Plan::default() });
    world.commit(7, &Plan { path: true, ..Plan::default() });
    world.commit(0, &Plan { adds: 2, ..Plan::default() });
    world.commit(5, &Plan { path: true, ..Plan::default() });
    world.commit(0, &Plan { adds: 2, ..Plan::default() });
    world
}

struct Forged {
    world: World,
    nodes: Vec<Option<Node>>,
}

impl Forged {
    fn new() -> Self {
        let world = world();
        let nodes = world.extension().nodes;
        Self { world, nodes }
    }

    fn leaf(&mut self, leaf: u32) -> &mut LeafNode {
        match &mut self.nodes[leaf as usize * 2] {
            Some(Node::Leaf(leaf)) => leaf,
            _ => panic!("blank leaf"),
        }
    }

    fn parent(&mut self, node: u32) -> &mut ParentNode {
        match &mut self.nodes[node as usize] {
            Some(Node::Parent(parent)) => parent,
            _ => panic!("blank parent"),
        }
    }

    /// Signs a leaf again with its member's key.
    fn resign(&mut self, leaf: u32) {
        let signer = self.world.signers[&leaf].clone();
        sign(self.leaf(leaf), &signer, LeafIndex(leaf));
    }

    fn verify(&self) -> Result<(), TreeError> {
        self.verify_for(&group_id())
    }

    fn verify_for(&self, group_id: &GroupId) -> Result<(), TreeError> {
        let bytes = self.nodes.to_bytes().unwrap();
        UnverifiedTree::decode(&suite(), &bytes)?.verify(&suite(), group_id).map(drop)
    }

    /// The non-blank parents.
    fn parents(&self) -> Vec<u32> {
        let filled = self.nodes.iter().enumerate();
        filled.filter(|(_, n)| matches!(n, Some(Node::Parent(_)))).map(|(i, _)| i as u32).collect()
    }
}

fn decode(nodes: &[Option<Node>]) -> Result<UnverifiedTree, TreeError> {
    UnverifiedTree::decode(&suite(), &nodes.to_bytes().unwrap())
}

#[test]
fn the_tree_is_valid_before_it_is_tampered_with() {
    let mut forged = Forged::new();
    forged.verify().unwrap();
    forged.world.check();

    // The other tests need merged and unmerged leaves at several heights.
    let unmerged = |n: u32, f: &mut Forged| f.parent(n).unmerged_leaves.len();
    let counts: Vec<_> =
        forged.parents().into_iter().map(|n| (n, unmerged(n, &mut forged))).collect();
    assert!(counts.iter().filter(|(_, n)| *n > 0).count() >= 2, "{counts:?}");
    assert!(counts.len() >= 6, "{counts:?}");
}

#[test]
fn malformed_trees_are_refused() {
    let forged = Forged::new();
    let bytes = forged.nodes.to_bytes().unwrap();
    for n in 0..bytes.len() {
        assert!(UnverifiedTree::decode(&suite(), &bytes[..n]).is_err());
    }

    let trailing = [&bytes[..], &[0]].concat();
    let error = UnverifiedTree::decode(&suite(), &trailing).unwrap_err();
    assert_eq!(error, TreeError::Decode(DecodeError::TrailingBytes(1)));

    assert_eq!(decode(&[]).unwrap_err(), TreeError::Empty);
    let mut blank_end = forged.nodes.clone();
    blank_end.push(None);
    assert_eq!(decode(&blank_end).unwrap_err(), TreeError::LastNodeBlank);
    assert_eq!(decode(&[None]).unwrap_err(), TreeError::LastNodeBlank);

    let shifted = &forged.nodes[1..];
    assert_eq!(decode(shifted).unwrap_err(), TreeError::WrongNodeType { node: NodeIndex(0) });
    let two_leaves = [forged.nodes[0].clone(), forged.nodes[0].clone()];
    assert_eq!(decode(&two_leaves).unwrap_err(), TreeError::WrongNodeType { node: NodeIndex(1) });
}

#[test]
fn a_flipped_bit_anywhere_is_refused_and_never_panics() {
    let forged = Forged::new();
    let bytes = forged.nodes.to_bytes().unwrap();
    let hash = forged.world.tree.tree_hash();
    for at in (0..bytes.len()).step_by(3) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        if let Ok(tree) = UnverifiedTree::decode(&suite(), &flipped) {
            assert_ne!(tree.tree_hash(), hash);
            tree.verify(&suite(), &group_id()).unwrap_err();
        }
    }
}

#[test]
fn a_parent_without_members_below_is_refused() {
    let mut forged = Forged::new();
    let parent = forged.nodes[forged.parents()[0] as usize].clone();
    forged.nodes.resize(27, None);
    forged.nodes[25] = parent;
    forged.nodes.truncate(26);
    assert_eq!(forged.verify(), Err(TreeError::ParentWithoutLeaves { node: NodeIndex(25) }));
}

#[test]
fn a_leaf_that_breaks_a_rule_is_refused() {
    let mut forged = Forged::new();
    let extension = |n| Extension { extension_type: ExtensionType(n), extension_data: [].into() };
    forged.leaf(3).extensions.push(extension(0xf001));
    forged.resign(3);
    let leaf = LeafIndex(3);
    let rule = LeafRule::ExtensionNotListed(ExtensionType(0xf001));
    assert_eq!(forged.verify(), Err(TreeError::LeafRule { leaf, rule }));

    // A default extension need not be listed, but may occur only once.
    forged.leaf(3).extensions = Vec::from([extension(1), extension(1)]);
    forged.resign(3);
    let rule = LeafRule::DuplicateExtension(ExtensionType(1));
    assert_eq!(forged.verify(), Err(TreeError::LeafRule { leaf, rule }));

    forged.leaf(3).extensions.clear();
    forged.leaf(3).capabilities.credentials.clear();
    forged.resign(3);
    let rule = LeafRule::CredentialTypeNotListed(CredentialType::BASIC);
    assert_eq!(forged.verify(), Err(TreeError::LeafRule { leaf, rule }));
}

#[test]
fn a_credential_that_not_all_support_is_refused() {
    let mut forged = Forged::new();
    let certificates = Vec::from([Certificate { cert_data: [1, 2, 3].into() }]);
    forged.leaf(4).credential = Credential::X509 { certificates };
    forged.leaf(4).capabilities.credentials.push(CredentialType::X509);
    forged.resign(4);
    let want = Err(TreeError::CredentialUnsupported(CredentialType::X509));
    assert_eq!(forged.verify(), want);

    // Listing the type as often as there are members does not help.
    forged.leaf(4).capabilities.credentials.extend([CredentialType::X509; 20]);
    forged.resign(4);
    assert_eq!(forged.verify(), want);
}

#[test]
fn a_leaf_with_a_wrong_signature_is_refused() {
    for leaf in [0, 3, 9] {
        let mut forged = Forged::new();
        let mut signature = forged.leaf(leaf).signature.to_vec();
        signature[7] ^= 1;
        forged.leaf(leaf).signature = signature.into();

        // If a parent hash covers the leaf, that check fails first.
        let leaf = LeafIndex(leaf);
        let error = forged.verify().unwrap_err();
        let parent_hash = matches!(error, TreeError::ParentHash { .. });
        assert!(parent_hash || error == TreeError::LeafSignature { leaf }, "{error}");
    }

    // No parent hash covers the newest member.
    let mut forged = Forged::new();
    let last = *forged.world.oracle.members().last().unwrap();
    forged.leaf(last).signature = [0u8; 64].into();
    assert_eq!(forged.verify(), Err(TreeError::LeafSignature { leaf: LeafIndex(last) }));
}

#[test]
fn leaves_of_commits_are_bound_to_their_group() {
    let forged = Forged::new();
    let error = forged.verify_for(&GroupId::from(*b"another group")).unwrap_err();
    assert!(matches!(error, TreeError::LeafSignature { .. }), "{error}");
}

#[test]
fn a_duplicate_key_is_refused() {
    let mut forged = Forged::new();
    let last = *forged.world.oracle.members().last().unwrap();
    let keys: Vec<_> = [0, 6, 16].map(NodeIndex).into();
    for node in keys.into_iter().chain(forged.parents().into_iter().map(NodeIndex)) {
        let Some(key) = forged.world.tree.encryption_key(node) else { continue };
        forged.leaf(last).encryption_key = key;
        forged.resign(last);

        let other = LeafIndex(last).node();
        let both = [(node, other), (other, node)];
        let want = both.map(|(node, other)| TreeError::DuplicateEncryptionKey { node, other });
        let error = forged.verify().unwrap_err();
        assert!(want.contains(&error), "{error}");
    }

    let mut forged = Forged::new();
    let key = forged.parent(3).encryption_key.clone();
    forged.parent(7).encryption_key = key;
    let error = forged.verify().unwrap_err();
    assert!(matches!(error, TreeError::DuplicateEncryptionKey { .. }), "{error}");

    // One client has two leaves.
    let mut forged = Forged::new();
    let signer = forged.world.signers[&0].clone();
    forged.leaf(last).signature_key = signer.public.clone();
    sign(forged.leaf(last), &signer, LeafIndex(last));
    let error = forged.verify().unwrap_err();
    let same = [
        TreeError::DuplicateSignatureKey { leaf: LeafIndex(0), other: LeafIndex(last) },
        TreeError::DuplicateSignatureKey { leaf: LeafIndex(last), other: LeafIndex(0) },
    ];
    assert!(same.contains(&error), "{error}");

    let signer = forged.world.signers[&1].clone();
    forged.leaf(0).signature_key = forged.world.signers[&0].public.clone();
    forged.leaf(last).signature_key = signer.public.clone();
    let error = forged.verify().unwrap_err();
    let same = [
        TreeError::DuplicateSignatureKey { leaf: LeafIndex(1), other: LeafIndex(last) },
        TreeError::DuplicateSignatureKey { leaf: LeafIndex(last), other: LeafIndex(1) },
    ];
    assert!(same.contains(&error), "{error}");
}

#[test]
fn an_invalid_key_is_refused() {
    let mut forged = Forged::new();
    let last = *forged.world.oracle.members().last().unwrap();
    forged.leaf(last).encryption_key = [1u8; 33].into();
    forged.resign(last);
    let node = LeafIndex(last).node();
    assert_eq!(forged.verify(), Err(TreeError::InvalidEncryptionKey { node }));
}

#[test]
fn unmerged_leaves_out_of_order_are_refused() {
    let mut forged = Forged::new();
    let many = forged.parents().into_iter().find(|n| forged.parent(*n).unmerged_leaves.len() > 1);
    let many = many.unwrap();
    let want = Err(TreeError::UnmergedLeavesUnsorted { node: NodeIndex(many) });
    forged.parent(many).unmerged_leaves.reverse();
    assert_eq!(forged.verify(), want);

    let first = forged.parent(many).unmerged_leaves[0];
    forged.parent(many).unmerged_leaves = Vec::from([first, first]);
    assert_eq!(forged.verify(), want);
}

#[test]
fn unmerged_leaves_that_are_elsewhere_or_blank_are_refused() {
    for leaf in [LeafIndex(8), LeafIndex(200), LeafIndex(u32::MAX)] {
        let mut forged = Forged::new();
        forged.parent(3).unmerged_leaves = Vec::from([leaf]);
        let node = NodeIndex(3);
        assert_eq!(forged.verify(), Err(TreeError::UnmergedLeafNotBelow { node, leaf }));

        // A resolution in the unverified tree stays short.
        let tree = decode(&forged.nodes).unwrap();
        assert!(tree.resolution(NodeIndex(15)).len() < 20);
    }

    let mut forged = Forged::new();
    let root = forged.world.tree.size().root();
    let leaf = LeafIndex(15);
    forged.parent(root.0).unmerged_leaves.push(leaf);
    assert_eq!(forged.verify(), Err(TreeError::UnmergedLeafBlank { node: root, leaf }));
}

#[test]
fn a_leaf_unmerged_above_but_not_between_is_refused() {
    let mut forged = Forged::new();
    let root = forged.world.tree.size().root();
    // A leaf with a parent between it and the root.
    forged.parent(root.0).unmerged_leaves.insert(0, LeafIndex(0));
    let want = forged.parents().into_iter().map(NodeIndex);
    let between = want.filter(|n| n.covers(NodeIndex(0)) && *n != root).max_by_key(|n| n.level());
    let want = TreeError::UnmergedLeafMissing { node: between.unwrap(), leaf: LeafIndex(0) };
    assert_eq!(forged.verify(), Err(want));
}

#[test]
fn a_wrong_parent_hash_is_refused() {
    let forged = Forged::new();
    for node in forged.parents() {
        let invalid = |forged: &Forged| {
            let error = forged.verify().unwrap_err();
            assert!(matches!(error, TreeError::ParentHash { .. }), "{node}: {error}");
        };

        // Another key, as if an outsider had set the node.
        let mut forged = Forged::new();
        forged.parent(node).encryption_key = [9u8; 32].into();
        invalid(&forged);

        // Another hash of the nodes above.
        let mut forged = Forged::new();
        forged.parent(node).parent_hash = [0u8; 32].into();
        invalid(&forged);
        let mut forged = Forged::new();
        forged.parent(node).parent_hash = Default::default();
        if forged.nodes != forged.world.extension().nodes {
            invalid(&forged);
        }
    }
}

#[test]
fn a_leaf_with_no_or_a_wrong_parent_hash_unlinks_its_path() {
    let mut forged = Forged::new();
    let committed = |leaf: &LeafNode| match &leaf.leaf_node_source {
        LeafNodeSource::Commit(hash) => !hash.is_empty(),
        _ => false,
    };

    // The last committer is linked to the root.
    assert!(committed(forged.leaf(5)));
    forged.leaf(5).leaf_node_source = LeafNodeSource::Update;
    forged.resign(5);
    let error = forged.verify().unwrap_err();
    assert!(matches!(error, TreeError::ParentHash { .. }), "{error}");

    forged.leaf(5).leaf_node_source = LeafNodeSource::Commit([0u8; 32].into());
    forged.resign(5);
    let error = forged.verify().unwrap_err();
    assert!(matches!(error, TreeError::ParentHash { .. }), "{error}");
}

#[test]
fn members_may_not_be_hidden_from_or_slipped_under_a_parent() {
    // A parent hash fixes the members below the sibling, who received the path's secrets.
    let mut forged = Forged::new();
    let mut rng = TestRng(2);
    let (new, signer) = member(&mut rng);
    forged.nodes[0] = Some(Node::Leaf(Box::new(new)));
    forged.world.signers.insert(0, signer);
    let error = forged.verify().unwrap_err();
    assert!(matches!(error, TreeError::ParentHash { .. }), "{error}");

    // Unmerged leaves that are passed off as merged.
    let mut forged = Forged::new();
    for node in forged.parents() {
        forged.parent(node).unmerged_leaves.clear();
    }
    let error = forged.verify().unwrap_err();
    assert!(matches!(error, TreeError::ParentHash { .. }), "{error}");

    // A merged leaf that is passed off as unmerged at all nodes above.
    let mut forged = Forged::new();
    for node in forged.parents() {
        let leaf = LeafIndex(3);
        if NodeIndex(node).covers(leaf.node()) {
            let unmerged = &mut forged.parent(node).unmerged_leaves;
            unmerged.push(leaf);
            unmerged.sort();
        }
    }
    let error = forged.verify().unwrap_err();
    assert!(matches!(error, TreeError::ParentHash { .. }), "{error}");
}

/// Leaf 8 committed before leaves 13 and 14 were added, leaf 0 before leaf 14 was: both are
/// unmerged at node 23, but only leaf 14 at node 15 above it.
fn parents_with_different_unmerged_leaves() -> World {
    let mut world = World::bare(1, 13);
    world.commit(8, &Plan { path: true, ..Plan::default() });
    world.commit(0, &Plan { adds: 1, ..Plan::default() });
    world.commit(0, &Plan { path: true, ..Plan::default() });
    world.commit(0, &Plan { adds: 1, ..Plan::default() });
    world
}

#[test]
fn honest_parents_may_differ_in_their_unmerged_leaves() {
    let world = parents_with_different_unmerged_leaves();
    let unmerged = |node| world.tree.parent(NodeIndex(node)).unwrap().unmerged_leaves;
    assert_eq!(unmerged(15), [LeafIndex(14)]);
    assert_eq!(unmerged(23), [LeafIndex(13), LeafIndex(14)]);

    // The parent hash of node 15 leaves one leaf of the subtree at node 27 out, that of node 23
    // two: the same subtree has two original hashes.
    world.check();
}

#[test]
fn a_leaf_unmerged_above_a_node_with_other_unmerged_leaves_is_refused() {
    let world = parents_with_different_unmerged_leaves();
    let nodes = world.extension().nodes;
    let mut forged = Forged { world, nodes };
    forged.verify().unwrap();

    // Leaf 0 signs that leaf 12 was not there when it committed; node 23 below says that it was.
    // All parent hashes agree with that story, so only the list of unmerged leaves reveals it.
    let before = without_leaves_from(12, &forged.nodes);
    let all = [12, 13, 14].map(LeafIndex);
    forged.parent(15).unmerged_leaves = all.into();

    let mut above: Vec<u8> = Vec::new();
    for (node, sibling) in [(15, 23), (7, 11), (3, 5), (1, 2)] {
        forged.parent(node).parent_hash = above.clone().into();
        let key = forged.parent(node).encryption_key.clone();
        let sibling = before.node_hash(NodeIndex(sibling)).unwrap();
        above = parent_hash(&suite(), &key, &above, sibling).unwrap().to_vec();
    }
    forged.leaf(0).leaf_node_source = LeafNodeSource::Commit(above.into());
    forged.resign(0);

    let want = TreeError::UnmergedLeafMissing { node: NodeIndex(23), leaf: LeafIndex(12) };
    assert_eq!(forged.verify(), Err(want));
}

/// The tree before a leaf and all leaves right of it were added.
fn without_leaves_from(first: u32, nodes: &[Option<Node>]) -> UnverifiedTree {
    let mut nodes = nodes.to_vec();
    nodes.truncate(first as usize * 2);
    for node in &mut nodes {
        if let Some(Node::Parent(parent)) = node {
            parent.unmerged_leaves.retain(|leaf| leaf.0 < first);
        }
    }
    while nodes.last().is_some_and(Option::is_none) {
        nodes.pop();
    }
    decode(&nodes).unwrap()
}

#[test]
fn one_x25519_key_in_two_encodings_counts_as_two_keys() {
    // Section 7.3 requires unique keys. X25519 ignores the top bit of a public key, so each key has
    // two encodings; keys are compared as bytes. A member that refused the second encoding would
    // part from members whose implementations accept it.
    let mut forged = Forged::new();
    let last = *forged.world.oracle.members().last().unwrap();
    let mut key = forged.leaf(0).encryption_key.to_vec();
    key[31] ^= 0x80;
    forged.leaf(last).encryption_key = key.into();
    forged.resign(last);
    assert_eq!(forged.verify(), Ok(()));
}
