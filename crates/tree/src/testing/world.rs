use super::{Oracle, TestRng, group_id, member, sign, suite};
use crate::{NewPath, RatchetTree, StagedTree, TreeDelta, TreeRead, UnverifiedTree, create_path};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use conclave_crypto::{Secret, SignatureKeyPair};
use conclave_wire::{Encode, LeafIndex, LeafNode, LeafNodeSource, NodeIndex, RatchetTreeExtension};

/// A group: its tree, the oracle's tree, the stored rows, and the members' signature keys.
pub(crate) struct World {
    pub(crate) rng: TestRng,
    pub(crate) tree: RatchetTree,
    pub(crate) oracle: Oracle,
    pub(crate) signers: BTreeMap<u32, SignatureKeyPair>,
    stored: BTreeMap<u32, Vec<u8>>,
}

/// The changes of one commit.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) updates: Vec<u32>,
    pub(crate) removes: Vec<u32>,
    pub(crate) adds: usize,
    pub(crate) path: bool,
}

/// Everything that a tree holds, including what is not in its rows.
fn everything(tree: &RatchetTree) -> impl PartialEq + core::fmt::Debug + use<> {
    let nodes = 0..tree.size().node_count() * 2;
    let hashes: Vec<Option<Vec<u8>>> =
        nodes.map(|n| tree.stored_hash(NodeIndex(n)).map(<[u8]>::to_vec)).collect();
    let rows: Vec<(u32, Vec<u8>)> = tree.rows().collect();
    (tree.size(), hashes, rows, tree.index().clone(), tree.counts().clone())
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = TestRng(seed);
        let (leaf, signer) = member(&mut rng);
        let tree = RatchetTree::new(&suite(), &leaf).unwrap();
        let stored = tree.rows().collect();
        let signers = BTreeMap::from([(0, signer)]);
        Self { rng, tree, oracle: Oracle::new(leaf), signers, stored }
    }

    /// A group of `n` members in which each new member has committed once.
    pub(crate) fn populated(seed: u64, n: usize) -> Self {
        let mut world = Self::new(seed);
        for _ in 1..n {
            world.commit(0, &Plan { adds: 1, path: true, ..Plan::default() });
            let newest = *world.oracle.members().last().unwrap();
            world.commit(newest, &Plan { path: true, ..Plan::default() });
        }
        world
    }

    /// A group of `n` members in which all parents are blank.
    pub(crate) fn bare(seed: u64, n: usize) -> Self {
        let mut world = Self::new(seed);
        world.commit(0, &Plan { adds: n - 1, ..Plan::default() });
        world
    }

    /// An updated leaf for a member.
    pub(crate) fn update_of(&mut self, leaf: u32) -> LeafNode {
        let (mut new, _) = member(&mut self.rng);
        new.leaf_node_source = LeafNodeSource::Update;
        new.signature_key = self.signers[&leaf].public.clone();
        sign(&mut new, &self.signers[&leaf], LeafIndex(leaf));
        new
    }

    /// A committer's template for [`create_path`].
    pub(crate) fn template(&self, leaf: u32) -> LeafNode {
        self.tree.leaf(LeafIndex(leaf)).unwrap()
    }

    /// Makes a commit here and with the oracle, and applies it. Returns the number of rows to
    /// write.
    pub(crate) fn commit(&mut self, sender: u32, plan: &Plan) -> usize {
        let before = self.tree.clone();
        let mut staged = StagedTree::new(&before);

        for leaf in &plan.updates {
            let new = self.update_of(*leaf);
            staged.update_leaf(LeafIndex(*leaf), &new).unwrap();
            self.oracle.update(*leaf, new);
        }

        let removes: Vec<LeafIndex> = plan.removes.iter().map(|l| LeafIndex(*l)).collect();
        staged.remove_leaves(&removes).unwrap();
        for leaf in &plan.removes {
            self.oracle.remove(*leaf);
            self.signers.remove(leaf);
        }

        let (new, signers): (Vec<_>, Vec<_>) =
            (0..plan.adds).map(|_| member(&mut self.rng)).unzip();
        let added = staged.add_leaves(&new.iter().collect::<Vec<_>>()).unwrap();
        for ((leaf, signer), place) in new.into_iter().zip(signers).zip(added) {
            assert_eq!(self.oracle.add(leaf), place.0);
            self.signers.insert(place.0, signer);
        }

        if plan.path {
            self.put_path(&mut staged, sender);
        }
        staged.check_unique_keys().unwrap();
        let delta = staged.into_delta(&suite()).unwrap();
        self.apply(delta)
    }

    /// Creates a path and checks its parent hash against the oracle's.
    fn put_path(&mut self, staged: &mut StagedTree<'_>, sender: u32) -> NewPath {
        let path = create_path(
            &suite(),
            staged,
            LeafIndex(sender),
            self.template(sender),
            &self.signers[&sender],
            &group_id(),
            &mut self.rng,
        )
        .unwrap();
        let hash = self.oracle.merge(sender, &path.leaf_node, &path.public_keys);
        assert_eq!(path.leaf_node.leaf_node_source, LeafNodeSource::Commit(hash.into()));
        assert_ne!(path.keys.commit_secret, Secret::default());
        path
    }

    /// Applies a delta and checks that swaps are exact. Returns the number of rows to write.
    pub(crate) fn apply(&mut self, mut delta: TreeDelta) -> usize {
        let rows = delta.rows();

        let before = everything(&self.tree);
        self.tree.swap(&mut delta);
        let after = everything(&self.tree);
        self.tree.swap(&mut delta);
        assert_eq!(everything(&self.tree), before, "a second swap restores");
        assert_eq!(delta.rows(), rows, "and gives the delta back");
        self.tree.swap(&mut delta);
        assert_eq!(everything(&self.tree), after, "a third does what the first did");

        let n = rows.len();
        for (node, row) in rows {
            match row {
                Some(row) => drop(self.stored.insert(node, row)),
                None => drop(self.stored.remove(&node).expect("only stored rows are deleted")),
            }
        }
        n
    }

    /// Compares everything visible with the oracle.
    pub(crate) fn check(&self) {
        self.tree.check_caches(&suite()).unwrap();
        self.check_nodes(&self.tree);
        assert!(self.oracle.is_parent_hash_valid());

        let rows: BTreeMap<u32, Vec<u8>> = self.tree.rows().collect();
        assert_eq!(rows, self.stored);
        let stored = self.stored.clone().into_iter();
        let loaded = RatchetTree::load(&suite(), self.tree.size(), stored).unwrap();
        loaded.check_caches(&suite()).unwrap();
        assert_eq!(loaded.rows().collect::<BTreeMap<_, _>>(), rows);

        let bytes = self.tree.to_extension_bytes().unwrap();
        assert_eq!(bytes, self.oracle.to_extension().to_bytes().unwrap());
        let received = UnverifiedTree::decode(&suite(), &bytes).unwrap();
        self.check_nodes(&received);
        let verified = received.verify(&suite(), &group_id()).unwrap();
        assert_eq!(verified.tree_hash(), self.tree.tree_hash());
        verified.check_caches(&suite()).unwrap();
    }

    fn check_nodes(&self, tree: &impl TreeRead) {
        assert_eq!(tree.size().leaf_count(), self.oracle.size());
        let members: Vec<u32> = tree.members().map(|l| l.0).collect();
        assert_eq!(members, self.oracle.members());
        assert_eq!(tree.member_count() as usize, members.len());

        for (node, linked) in self.oracle.root.all().into_iter().enumerate() {
            let node = NodeIndex(node as u32);
            assert_eq!(linked.index(), node);
            assert_eq!(tree.node(node), linked.encoded().as_deref(), "{node}");
            assert_eq!(tree.resolution(node), linked.resolution(), "{node}");
            if let Some(hash) = self.tree.node_hash(node) {
                assert_eq!(hash, linked.tree_hash(), "{node}");
            }
            if let Some(key) = tree.encryption_key(node) {
                assert_eq!(tree.node_with_encryption_key(&key), Some(node));
            }
        }

        for leaf in members {
            let want = self.oracle.root.filtered_path(leaf);
            assert_eq!(tree.filtered_direct_path(LeafIndex(leaf)), want);
            let key = tree.signature_key(LeafIndex(leaf)).unwrap();
            assert_eq!(tree.member_with_signature_key(&key), Some(LeafIndex(leaf)));
        }
    }

    /// The tree in its sent form, for tests to tamper with.
    pub(crate) fn extension(&self) -> RatchetTreeExtension {
        self.oracle.to_extension()
    }
}
