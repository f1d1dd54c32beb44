//! Update paths between members with private keys.

use crate::testing::{TestRng, group_id, member, sign, suite};
use crate::{
    NewPath, PathKeys, RatchetTree, StagedTree, TreeError, TreeRead, create_path,
    keys_from_path_secret, merge_path, open_path, seal_path, verify_leaf_signature,
};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use conclave_crypto::{HpkePrivateKey, Secret, SignatureKeyPair};
use conclave_wire::{
    LeafIndex, LeafNode, LeafNodeContext, LeafNodeSource, NodeIndex, UpdatePath, UpdatePathNode,
};

const CONTEXT: &[u8] = b"a group context";

struct Party {
    signer: SignatureKeyPair,
    keys: BTreeMap<NodeIndex, HpkePrivateKey>,
}

struct Group {
    rng: TestRng,
    tree: RatchetTree,
    parties: BTreeMap<LeafIndex, Party>,
}

fn candidate(rng: &mut TestRng) -> (LeafNode, SignatureKeyPair, HpkePrivateKey) {
    let (mut leaf, signer) = member(rng);
    let key_pair = suite().hpke_key_pair(rng).unwrap();
    leaf.encryption_key = key_pair.public;
    sign(&mut leaf, &signer, LeafIndex(0));
    (leaf, signer, key_pair.private)
}

/// A commit as its receivers see it.
struct Sent {
    path: UpdatePath,
    new: NewPath,
    added: Vec<LeafIndex>,
}

impl Group {
    fn new(seed: u64) -> Self {
        let mut rng = TestRng(seed);
        let (leaf, signer, key) = candidate(&mut rng);
        let tree = RatchetTree::new(&suite(), &leaf).unwrap();
        let keys = BTreeMap::from([(NodeIndex(0), key)]);
        let parties = BTreeMap::from([(LeafIndex(0), Party { signer, keys })]);
        Self { rng, tree, parties }
    }

    /// A group of `n` members, of whom some have committed and some are unmerged.
    fn of(seed: u64, n: usize) -> Self {
        let mut group = Self::new(seed);
        group.commit(LeafIndex(0), &[], n - 3);
        for sender in 1..n as u32 / 2 {
            group.commit(LeafIndex(sender), &[], 0);
        }
        group.add_without_path(2);
        group
    }

    fn add_without_path(&mut self, n: usize) {
        let new: Vec<_> = (0..n).map(|_| candidate(&mut self.rng)).collect();
        let mut staged = StagedTree::new(&self.tree);
        for (leaf, signer, key) in new {
            let place = staged.add_leaf(&leaf).unwrap();
            let keys = BTreeMap::from([(place.node(), key)]);
            self.parties.insert(place, Party { signer, keys });
        }
        let mut delta = staged.into_delta(&suite()).unwrap();
        self.tree.swap(&mut delta);
    }

    /// Sends a commit with a path, opens it for each member, and applies it.
    fn commit(&mut self, sender: LeafIndex, removes: &[LeafIndex], adds: usize) -> Sent {
        let new: Vec<_> = (0..adds).map(|_| candidate(&mut self.rng)).collect();
        let tree = self.tree.clone();
        let proposals = |staged: &mut StagedTree<'_>| {
            staged.remove_leaves(removes).unwrap();
            staged.add_leaves(&new.iter().map(|n| &n.0).collect::<Vec<_>>()).unwrap()
        };

        let mut staged = StagedTree::new(&tree);
        let added = proposals(&mut staged);
        let sent = self.send(&mut staged, sender, added);
        let hash = staged.tree_hash(&suite()).unwrap();

        let mut staged = StagedTree::new(&tree);
        proposals(&mut staged);
        merge_path(&suite(), &mut staged, sender, &sent.path, &sent.added).unwrap();
        staged.check_unique_keys().unwrap();
        assert_eq!(staged.tree_hash(&suite()).unwrap(), hash);

        removes.iter().for_each(|leaf| drop(self.parties.remove(leaf)));
        for (me, party) in &mut self.parties {
            let keys = if *me == sender {
                party.keys.insert(sender.node(), sent.new.leaf_key.private.clone());
                sent.new.keys.clone()
            } else {
                open(&staged, sender, *me, &party.keys, &sent).unwrap()
            };
            assert_eq!(keys.commit_secret, sent.new.keys.commit_secret);
            party.keys.extend(keys.keys);
        }

        for ((_, signer, key), place) in new.into_iter().zip(&sent.added) {
            let above = staged.size().common_ancestor(*place, sender);
            let secret = sent.new.keys.path_secret(above).unwrap();
            let derived = keys_from_path_secret(&suite(), &staged, *place, sender, secret).unwrap();
            let mut keys: BTreeMap<_, _> = derived.keys.into_iter().collect();
            keys.insert(place.node(), key);
            self.parties.insert(*place, Party { signer, keys });
        }

        let mut delta = staged.into_delta(&suite()).unwrap();
        self.tree.swap(&mut delta);
        self.check_private_keys();
        sent
    }

    fn send(
        &mut self,
        staged: &mut StagedTree<'_>,
        sender: LeafIndex,
        added: Vec<LeafIndex>,
    ) -> Sent {
        let template = self.tree.leaf(sender).unwrap();
        let signer = &self.parties[&sender].signer;
        let suite = suite();
        let rng = &mut self.rng;
        let new = create_path(&suite, staged, sender, template, signer, &group_id(), rng).unwrap();
        let context = LeafNodeContext { group_id: &group_id(), leaf_index: sender };
        verify_leaf_signature(&suite, &new.leaf_node, context).unwrap();
        let path = seal_path(&suite, staged, sender, &new, CONTEXT, &added, rng).unwrap();
        Sent { path, new, added }
    }

    /// Checks the invariant of section 4.2: members know the keys of exactly the nodes above them
    /// at which they are not unmerged.
    fn check_private_keys(&mut self) {
        for (leaf, party) in &mut self.parties {
            let current = |node: &NodeIndex, key: &mut HpkePrivateKey| {
                let public = suite().hpke_public_key(key).unwrap();
                self.tree.encryption_key(*node) == Some(public)
            };
            party.keys.retain(current);

            for node in self.tree.size().direct_path(leaf.node()) {
                let parent = self.tree.parent(node);
                let merged = parent.is_some_and(|p| !p.unmerged_leaves.contains(leaf));
                assert_eq!(party.keys.contains_key(&node), merged, "{leaf} {node}");
            }
            assert!(party.keys.contains_key(&leaf.node()));
        }
    }
}

fn open(
    staged: &StagedTree<'_>,
    sender: LeafIndex,
    me: LeafIndex,
    keys: &BTreeMap<NodeIndex, HpkePrivateKey>,
    sent: &Sent,
) -> Result<PathKeys, TreeError> {
    let private = |node: NodeIndex| keys.get(&node).cloned();
    open_path(&suite(), staged, sender, me, &private, &sent.path, CONTEXT, &sent.added)
}

#[test]
fn all_members_agree_on_the_secret_of_every_commit() {
    let mut group = Group::of(1, 9);
    for _ in 0..25 {
        let members: Vec<LeafIndex> = group.parties.keys().copied().collect();
        let sender = group.rng.pick(&members);
        let mut removes = Vec::new();
        if members.len() > 5 && group.rng.below(3) == 0 {
            let leaf = group.rng.pick(&members);
            removes.extend((leaf != sender).then_some(leaf));
        }

        let adds = if members.len() < 14 { group.rng.below(3) } else { 0 };
        group.commit(sender, &removes, adds);
        if group.rng.below(4) == 0 && members.len() < 14 {
            group.add_without_path(1);
        }
    }
}

#[test]
fn new_members_get_keys_although_the_path_is_not_sealed_to_them() {
    let mut group = Group::new(2);
    let sent = group.commit(LeafIndex(0), &[], 3);
    assert_eq!(sent.path.nodes.len(), 2);
    assert!(sent.path.nodes.iter().all(|n| n.encrypted_path_secret.is_empty()));

    // The next path is sealed to the new members' leaves and nodes.
    let sent = group.commit(LeafIndex(3), &[], 0);
    let sealed: Vec<usize> =
        sent.path.nodes.iter().map(|n| n.encrypted_path_secret.len()).collect();
    assert_eq!(sealed, [1, 1]);
}

#[test]
fn a_sole_members_path_is_its_leaf() {
    let mut group = Group::new(3);
    let sent = group.commit(LeafIndex(0), &[], 0);
    assert!(sent.path.nodes.is_empty());
    let source = sent.path.leaf_node.leaf_node_source;
    assert_eq!(source, LeafNodeSource::Commit(Default::default()));

    group.commit(LeafIndex(0), &[], 1);
    let sent = group.commit(LeafIndex(1), &[LeafIndex(0)], 0);
    assert!(sent.path.nodes.is_empty());
}

#[test]
fn an_external_joiner_takes_the_leftmost_blank_leaf() {
    for (removed, want) in [(None, 8), (Some(LeafIndex(2)), 2)] {
        let group = Group::of(4, 8);
        let mut rng = TestRng(40);
        let (template, signer, _) = candidate(&mut rng);
        let suite = suite();

        let mut staged = StagedTree::new(&group.tree);
        staged.remove_leaves(removed.as_slice()).unwrap();
        let me = staged.place_leaf().unwrap();
        assert_eq!(me, LeafIndex(want));
        let new =
            create_path(&suite, &mut staged, me, template, &signer, &group_id(), &mut rng).unwrap();
        let path = seal_path(&suite, &staged, me, &new, CONTEXT, &[], &mut rng).unwrap();
        let sent = Sent { path, new, added: Vec::new() };

        let mut received = StagedTree::new(&group.tree);
        received.remove_leaves(removed.as_slice()).unwrap();
        assert_eq!(received.place_leaf().unwrap(), me);
        merge_path(&suite, &mut received, me, &sent.path, &[]).unwrap();
        assert_eq!(received.tree_hash(&suite).unwrap(), staged.tree_hash(&suite).unwrap());

        for (leaf, party) in group.parties.iter().filter(|(leaf, _)| Some(**leaf) != removed) {
            let keys = open(&received, me, *leaf, &party.keys, &sent).unwrap();
            assert_eq!(keys.commit_secret, sent.new.keys.commit_secret);
        }

        let mut tree = group.tree.clone();
        tree.swap(&mut received.into_delta(&suite).unwrap());
        tree.check_caches(&suite).unwrap();
    }
}

/// A group of eight members, and a path of leaf 1 that is not yet merged.
fn sent() -> (Group, Sent) {
    let mut group = Group::of(5, 8);
    let tree = group.tree.clone();
    let sent = group.send(&mut StagedTree::new(&tree), LeafIndex(1), Vec::new());
    (group, sent)
}

fn merge(group: &Group, path: &UpdatePath) -> Result<(), TreeError> {
    merge_path(&suite(), &mut StagedTree::new(&group.tree), LeafIndex(1), path, &[])
}

#[test]
fn a_path_with_a_wrong_number_of_nodes_is_refused() {
    let (group, sent) = sent();
    merge(&group, &sent.path).unwrap();

    let mut longer = sent.path.clone();
    let key = TestRng(6).pick(&[[7u8; 32]]);
    let extra = UpdatePathNode { encryption_key: key.into(), encrypted_path_secret: Vec::new() };
    longer.nodes.push(extra);
    assert_eq!(merge(&group, &longer), Err(TreeError::PathLength { expected: 3, found: 4 }));

    let mut shorter = sent.path;
    shorter.nodes.pop();
    assert_eq!(merge(&group, &shorter), Err(TreeError::PathLength { expected: 3, found: 2 }));
}

#[test]
fn a_path_with_a_wrong_number_of_ciphertexts_is_refused() {
    let (group, sent) = sent();
    let node = NodeIndex(3);

    let mut fewer = sent.path.clone();
    fewer.nodes[1].encrypted_path_secret.pop();
    let found = fewer.nodes[1].encrypted_path_secret.len();
    let expected = found + 1;
    assert_eq!(merge(&group, &fewer), Err(TreeError::PathCiphertexts { node, expected, found }));

    // The path fits without new members, but not with one.
    let tree = &group.tree;
    let mut staged = StagedTree::new(tree);
    let new = [LeafIndex(7)];
    let error = merge_path(&suite(), &mut staged, LeafIndex(1), &sent.path, &new).unwrap_err();
    assert!(matches!(error, TreeError::PathCiphertexts { node: NodeIndex(7), .. }), "{error}");
}

#[test]
fn a_path_whose_keys_are_in_the_tree_is_refused() {
    let (group, sent) = sent();
    // The sender's own leaf and parents count, although the path replaces them.
    for other in [2, 3, 4, 7, 9, 14].map(NodeIndex) {
        let Some(key) = group.tree.encryption_key(other) else { continue };
        let mut path = sent.path.clone();
        path.nodes[1].encryption_key = key.clone();
        let node = NodeIndex(3);
        assert_eq!(merge(&group, &path), Err(TreeError::PathKeyInTree { node, other }));

        let mut path = sent.path.clone();
        path.leaf_node.encryption_key = key;
        let node = NodeIndex(2);
        assert_eq!(merge(&group, &path), Err(TreeError::PathKeyInTree { node, other }));
    }
}

#[test]
fn a_path_that_has_a_key_twice_is_refused() {
    let (group, sent) = sent();
    let mut path = sent.path.clone();
    path.nodes[2].encryption_key = path.nodes[0].encryption_key.clone();
    let node = NodeIndex(7);
    assert_eq!(merge(&group, &path), Err(TreeError::PathKeyRepeated { node }));

    let mut path = sent.path;
    path.nodes[2].encryption_key = path.leaf_node.encryption_key.clone();
    assert_eq!(merge(&group, &path), Err(TreeError::PathKeyRepeated { node }));
}

#[test]
fn a_path_with_an_invalid_key_is_refused() {
    let (group, sent) = sent();
    let mut path = sent.path;
    path.nodes[0].encryption_key = [1u8; 31].into();
    let node = NodeIndex(1);
    assert_eq!(merge(&group, &path), Err(TreeError::InvalidEncryptionKey { node }));
}

#[test]
fn a_path_leaf_with_a_wrong_parent_hash_or_source_is_refused() {
    let (group, sent) = sent();
    let mut path = sent.path.clone();
    path.leaf_node.leaf_node_source = LeafNodeSource::Commit([0u8; 32].into());
    assert_eq!(merge(&group, &path), Err(TreeError::PathParentHash));
    path.leaf_node.leaf_node_source = LeafNodeSource::Update;
    assert_eq!(merge(&group, &path), Err(TreeError::PathLeafSource));

    // Another key on the path also gives another hash.
    let mut path = sent.path;
    path.nodes[2].encryption_key = [7u8; 32].into();
    assert_eq!(merge(&group, &path), Err(TreeError::PathParentHash));
}

#[test]
fn a_path_for_a_leaf_outside_the_tree_is_refused() {
    let (mut group, sent) = sent();
    let suite = suite();
    let tree = group.tree.clone();

    for leaf in [LeafIndex(8), LeafIndex(u32::MAX)] {
        let mut staged = StagedTree::new(&tree);
        let merged = merge_path(&suite, &mut staged, leaf, &sent.path, &[]);
        assert_eq!(merged, Err(TreeError::NoSuchLeaf { leaf }));

        let (template, signer, _) = candidate(&mut group.rng);
        let id = group_id();
        let rng = &mut group.rng;
        let made = create_path(&suite, &mut staged, leaf, template, &signer, &id, rng);
        assert_eq!(made.err(), Some(TreeError::NoSuchLeaf { leaf }));
    }
}

#[test]
fn only_its_recipients_can_open_a_path() {
    let (group, sent) = sent();
    let sender = LeafIndex(1);
    let mut staged = StagedTree::new(&group.tree);
    merge_path(&suite(), &mut staged, sender, &sent.path, &[]).unwrap();

    let keys = &group.parties[&LeafIndex(4)].keys;
    for leaf in [sender, LeafIndex(8), LeafIndex(u32::MAX)] {
        let opened = open(&staged, sender, leaf, keys, &sent);
        assert_eq!(opened.err(), Some(TreeError::NotARecipient { leaf }));
    }

    let leaf = LeafIndex(4);
    let none = open(&staged, sender, leaf, &BTreeMap::new(), &sent);
    assert_eq!(none.err(), Some(TreeError::NoPrivateKey { leaf }));

    // The encryption covers the context.
    let private = |node: NodeIndex| keys.get(&node).cloned();
    let other = open_path(&suite(), &staged, sender, leaf, &private, &sent.path, b"another", &[]);
    assert!(matches!(other, Err(TreeError::Crypto(_))));

    // A list of ciphertexts that is too short does not panic.
    let mut cut = Sent { path: sent.path.clone(), new: sent.new.clone(), added: Vec::new() };
    cut.path.nodes.truncate(1);
    assert_eq!(
        open(&staged, sender, leaf, keys, &cut).err(),
        Some(TreeError::NotARecipient { leaf })
    );
}

#[test]
fn a_path_with_keys_that_do_not_match_its_secrets_is_refused() {
    let (mut group, sent) = sent();
    // The path is signed and hashed correctly, but holds the secrets of another one.
    let mut other = sent.new.clone();
    let tree = group.tree.clone();
    let mut staged = StagedTree::new(&tree);
    let real = group.send(&mut staged, LeafIndex(1), Vec::new());
    other.leaf_node = real.new.leaf_node;
    other.public_keys = real.new.public_keys;
    let suite = suite();
    let rng = &mut group.rng;
    let path = seal_path(&suite, &staged, LeafIndex(1), &other, CONTEXT, &[], rng).unwrap();
    let forged = Sent { path, new: other, added: Vec::new() };

    let mut received = StagedTree::new(&tree);
    merge_path(&suite, &mut received, LeafIndex(1), &forged.path, &[]).unwrap();
    let keys = &group.parties[&LeafIndex(4)].keys;
    let opened = open(&received, LeafIndex(1), LeafIndex(4), keys, &forged);
    assert_eq!(opened.err(), Some(TreeError::PathKeyMismatch { node: NodeIndex(7) }));
}

#[test]
fn a_path_secret_of_a_wrong_length_is_refused() {
    let (mut group, sent) = sent();
    let tree = group.tree.clone();
    let mut staged = StagedTree::new(&tree);
    merge_path(&suite(), &mut staged, LeafIndex(1), &sent.path, &[]).unwrap();

    let mut short = sent.new.clone();
    for (_, secret) in &mut short.keys.secrets {
        *secret = Secret::zero(31);
    }
    let suite = suite();
    let rng = &mut group.rng;
    let path = seal_path(&suite, &staged, LeafIndex(1), &short, CONTEXT, &[], rng).unwrap();
    let short = Sent { path, new: short, added: Vec::new() };

    let keys = &group.parties[&LeafIndex(4)].keys;
    let opened = open(&staged, LeafIndex(1), LeafIndex(4), keys, &short);
    assert_eq!(opened.err(), Some(TreeError::PathSecretLength));
}

#[test]
fn a_joiner_refuses_path_secrets_that_do_not_match_the_tree() {
    let (group, sent) = sent();
    let mut staged = StagedTree::new(&group.tree);
    merge_path(&suite(), &mut staged, LeafIndex(1), &sent.path, &[]).unwrap();
    let derive = |me: u32, signer: u32, secret: &Secret| {
        keys_from_path_secret(&suite(), &staged, LeafIndex(me), LeafIndex(signer), secret)
    };

    let (_, root_secret) = sent.new.keys.secrets.last().unwrap();
    assert_eq!(derive(4, 1, root_secret).unwrap().keys.len(), 1);
    let wrong = derive(4, 1, &Secret::zero(32)).err();
    assert_eq!(wrong, Some(TreeError::PathKeyMismatch { node: NodeIndex(7) }));
    assert_eq!(derive(4, 1, &Secret::zero(33)).err(), Some(TreeError::PathSecretLength));
    let same = derive(1, 1, root_secret).err();
    assert_eq!(same, Some(TreeError::NotARecipient { leaf: LeafIndex(1) }));
}
