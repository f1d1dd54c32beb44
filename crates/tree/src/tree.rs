use crate::delta::{Shape, TreeDelta};
use crate::error::TreeError;
use crate::hashing::{HashCache, complete_hashes};
use crate::index::{Feature, FeatureCounts, KeyIndex};
use crate::read::TreeRead;
use crate::view;
use alloc::boxed::Box;
use alloc::vec::Vec;
use conclave_crypto::{Digest, Suite};
use conclave_wire::{
    CredentialType, HpkePublicKey, LeafIndex, NodeIndex, SignaturePublicKey, TreeSize,
};
use core::fmt;

/// The hashes of nodes in one flat buffer: `len` bytes for each node, and a bit that says whether
/// the hash is known.
#[derive(Clone)]
pub(crate) struct Hashes {
    len: usize,
    bytes: Vec<u8>,
    known: Vec<u64>,
}

impl Hashes {
    /// Unknown hashes for a number of nodes. `None` if no buffer can hold so many.
    fn new(len: usize, nodes: usize) -> Option<Self> {
        // On systems that hand out zeroed pages, unwritten parts take no memory.
        let bytes = alloc::vec![0; Self::size_of(len, nodes)?];
        Some(Self { len, bytes, known: alloc::vec![0; nodes.div_ceil(64)] })
    }

    /// The length of the buffer for a number of nodes. `None` if no buffer can be that long, which
    /// happens with the largest trees on 32-bit machines.
    fn size_of(len: usize, nodes: usize) -> Option<usize> {
        nodes.checked_mul(len).filter(|bytes| isize::try_from(*bytes).is_ok())
    }

    /// Grows to a number of nodes that [`Hashes::size_of`] accepted.
    fn grow(&mut self, nodes: usize) {
        if self.bytes.len() < nodes * self.len {
            self.bytes.resize(nodes * self.len, 0);
            self.known.resize(nodes.div_ceil(64), 0);
        }
    }

    fn get(&self, node: NodeIndex) -> Option<&[u8]> {
        let i = node.0 as usize;
        let known = self.known.get(i / 64)? >> (i % 64) & 1 == 1;
        self.bytes.get(i * self.len..(i + 1) * self.len).filter(|_| known)
    }

    fn set(&mut self, node: NodeIndex, hash: Option<&[u8]>) {
        let i = node.0 as usize;
        let Some(word) = self.known.get_mut(i / 64) else { return };
        let bytes = self.bytes.get_mut(i * self.len..(i + 1) * self.len);

        match (bytes, hash) {
            (Some(bytes), Some(hash)) if hash.len() == bytes.len() => {
                bytes.copy_from_slice(hash);
                *word |= 1 << (i % 64);
            }
            _ => *word &= !(1 << (i % 64)),
        }
    }
}

/// The ratchet tree of an epoch (section 7), valid as a whole.
///
/// [`RatchetTree::new`], [`UnverifiedTree::verify`](crate::UnverifiedTree::verify) and
/// [`RatchetTree::load`] make one; only [`RatchetTree::swap`] changes it.
///
/// It holds each node in its encoding, the tree hash of each node with members below it, the number
/// of members below each parent, the nodes of each key, and the number of members with each
/// feature. The hash of a blank subtree is computed when it is first needed, and kept in memory.
#[derive(Clone)]
pub struct RatchetTree {
    size: TreeSize,
    /// May be shorter than the tree, if the missing nodes are blank, or longer, if the excess nodes
    /// are blank.
    nodes: Vec<Option<Box<[u8]>>>,
    /// The number of members below each parent, by half the parent's index.
    below: Vec<u32>,
    hashes: Hashes,
    keys: KeyIndex,
    counts: FeatureCounts,
}

impl fmt::Debug for RatchetTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RatchetTree")
            .field("size", &self.size.leaf_count())
            .field("members", &self.member_count())
            .finish_non_exhaustive()
    }
}

impl RatchetTree {
    /// A tree of these nodes, followed by blank ones, without hashes.
    ///
    /// # Errors
    /// [`TreeError::TooLarge`] if no buffer can hold the hashes.
    pub(crate) fn from_nodes(
        suite: &Suite<'_>,
        size: TreeSize,
        nodes: Vec<Option<Box<[u8]>>>,
    ) -> Result<Self, TreeError> {
        let hashes = Hashes::new(suite.params().hash.len(), size.node_count() as usize)
            .ok_or(TreeError::TooLarge)?;
        let (below, keys, counts) = summarise(size, &nodes);
        Ok(Self { size, nodes, below, hashes, keys, counts })
    }

    /// Whether a buffer can hold the hashes of a tree of this size.
    pub(crate) fn can_grow_to(&self, size: TreeSize) -> bool {
        Hashes::size_of(self.hashes.len, size.node_count() as usize).is_some()
    }

    /// The tree hash of the root (section 7.8).
    #[must_use]
    pub fn tree_hash(&self) -> &[u8] {
        self.hashes.get(self.size.root()).unwrap_or_default()
    }

    /// The tree hash of a node. `None` if the node is outside the tree, or if it has no member
    /// below it and no change has needed its hash yet.
    #[must_use]
    pub fn node_hash(&self, node: NodeIndex) -> Option<&[u8]> {
        self.hashes.get(node).filter(|_| self.size.has_node(node))
    }

    /// Moves a delta's values in and the replaced values out, so that a second swap restores the
    /// tree exactly. O(changed).
    ///
    /// The delta must come from a [`StagedTree`](crate::StagedTree) over this tree in its current state, or from
    /// swapping one into it. A delta of another tree leaves this one inconsistent.
    pub fn swap(&mut self, delta: &mut TreeDelta) {
        self.grow(self.size.max(delta.size), delta.nodes.keys().next_back().copied());
        core::mem::swap(&mut self.size, &mut delta.size);

        delta.keys = KeyIndex::default();
        for (node, content) in &mut delta.nodes {
            let Some(slot) = self.nodes.get_mut(*node as usize) else { continue };
            if let Some(encoded) = slot {
                self.keys.remove(*node, encoded);
                delta.keys.insert(*node, encoded);
            }
            core::mem::swap(slot, content);
            if let Some(encoded) = slot {
                self.keys.insert(*node, encoded);
            }
        }

        for (node, shape) in &mut delta.shapes {
            let content = delta.nodes.get(node).and_then(Option::as_deref);
            self.swap_shape(NodeIndex(*node), shape, content.is_some());
        }

        self.counts.add_all(&delta.counts);
        delta.counts.negate();
    }

    /// Makes room for a tree of this size, and for the contents of its nodes up to `last`.
    fn grow(&mut self, size: TreeSize, last: Option<u32>) {
        let filled = last.map_or(0, |i| i as usize + 1);
        if self.nodes.len() < filled {
            self.nodes.resize(filled, None);
        }

        let nodes = size.node_count() as usize;
        if self.below.len() < nodes / 2 {
            self.below.resize(nodes / 2, 0);
            self.hashes.grow(nodes);
        }
    }

    /// Swaps the properties of a node whose content is already swapped. `was_filled` says whether
    /// the node had content before.
    fn swap_shape(&mut self, node: NodeIndex, shape: &mut Shape, was_filled: bool) {
        let hash = self.hashes.get(node).and_then(Digest::new);
        self.hashes.set(node, shape.hash.as_deref());
        shape.hash = hash;

        if node.leaf().is_some() {
            shape.below = was_filled.into();
        } else if let Some(below) = self.below.get_mut(node.0 as usize / 2) {
            core::mem::swap(below, &mut shape.below);
        }

        shape.other_has_row = self.has_row(node);
    }

    /// Whether a node has a row: it has a member at or below it.
    pub(crate) fn has_row(&self, node: NodeIndex) -> bool {
        self.leaf_count_below(node) > 0
    }

    pub(crate) fn index(&self) -> &KeyIndex {
        &self.keys
    }

    pub(crate) fn counts(&self) -> &FeatureCounts {
        &self.counts
    }

    /// The known hash of a node, even if the node is outside the tree.
    pub(crate) fn stored_hash(&self, node: NodeIndex) -> Option<&[u8]> {
        self.hashes.get(node)
    }

    /// Releases the memory of nodes from when the tree was larger, and of blank nodes at its end.
    pub fn shrink_to_fit(&mut self) {
        let nodes = self.size.node_count() as usize;
        let filled = self.nodes.iter().rposition(Option::is_some);
        self.nodes.truncate(filled.map_or(0, |last| last + 1));
        self.nodes.shrink_to_fit();

        if self.below.len() > nodes / 2 {
            self.below.truncate(nodes / 2);
            self.below.shrink_to_fit();
            self.hashes.bytes.truncate(nodes * self.hashes.len);
            self.hashes.bytes.shrink_to_fit();
            self.hashes.known.truncate(nodes.div_ceil(64));
            // The last word may hold bits of nodes that no longer exist.
            let beyond = nodes % 64;
            if let Some(last) = self.hashes.known.last_mut().filter(|_| beyond > 0) {
                *last &= (1 << beyond) - 1;
            }
        }
    }

    /// Recomputes everything that the tree caches, and compares. O(n). This is for tests, and for
    /// applications that do not trust their storage.
    ///
    /// # Errors
    /// [`TreeError::WrongCache`] with a node whose values differ; or if the provider fails.
    pub fn check_caches(&self, suite: &Suite<'_>) -> Result<(), TreeError> {
        let wrong = |node| Err(TreeError::WrongCache { node });
        let n = self.size.node_count() as usize;
        if let Some(beyond) = self.nodes.iter().skip(n).position(Option::is_some) {
            return wrong(NodeIndex((n + beyond) as u32));
        }

        let nodes = self.nodes.iter().take(n).cloned().collect();
        let mut fresh = Self::from_nodes(suite, self.size, nodes)?;
        let root = self.size.root();
        complete_hashes(suite, &mut fresh, root)?;

        for node in (0..n as u32).map(NodeIndex) {
            let same_count = self.leaf_count_below(node) == fresh.leaf_count_below(node);
            let same_hash = match self.hashes.get(node) {
                None => !self.has_row(node),
                known => known == fresh.hashes.get(node),
            };
            if !same_count || !same_hash {
                return wrong(node);
            }
        }

        if self.keys != fresh.keys || self.counts != fresh.counts {
            return wrong(root);
        }
        Ok(())
    }
}

/// Computes the number of members below each parent, the index of keys, and the counts of features.
fn summarise(size: TreeSize, nodes: &[Option<Box<[u8]>>]) -> (Vec<u32>, KeyIndex, FeatureCounts) {
    let mut counts = FeatureCounts::default();
    let mut below = alloc::vec![0u32; size.node_count() as usize / 2];
    for (leaf, encoded) in nodes.iter().step_by(2).enumerate() {
        let Some(encoded) = encoded else { continue };
        counts.add_leaf(encoded, 1);
        // Count at the lowest parent only. The other counts are sums, computed next.
        if let Some(n) = below.get_mut(LeafIndex(leaf as u32).node().parent().0 as usize / 2) {
            *n += 1;
        }
    }

    let mut width = 2u32;
    while width < size.leaf_count() {
        // Parents above `width` leaves: every `2 * width`-th node.
        let mut at = width - 1;
        while at < size.node_count() {
            let parent = NodeIndex(at).parent();
            let sum: u32 = below.get(at as usize / 2).copied().unwrap_or(0);
            if let Some(n) = below.get_mut(parent.0 as usize / 2) {
                *n += sum;
            }
            at += width * 2;
        }
        width *= 2;
    }

    let filled = nodes.iter().enumerate();
    let filled = filled.filter_map(|(i, n)| n.as_deref().map(|encoded| (i as u32, encoded)));
    (below, KeyIndex::of_nodes(filled), counts)
}

impl TreeRead for RatchetTree {
    fn size(&self) -> TreeSize {
        self.size
    }

    fn node(&self, node: NodeIndex) -> Option<&[u8]> {
        if !self.size.has_node(node) {
            return None;
        }
        self.nodes.get(node.0 as usize)?.as_deref()
    }

    fn leaf_count_below(&self, node: NodeIndex) -> u32 {
        if !self.size.has_node(node) {
            return 0;
        }
        match node.leaf() {
            Some(_) => self.node(node).is_some().into(),
            None => self.below.get(node.0 as usize / 2).copied().unwrap_or(0),
        }
    }

    fn members_with(&self, feature: Feature) -> u32 {
        u32::try_from(self.counts.get(feature)).unwrap_or(0)
    }

    fn credential_types_in_use(&self) -> Vec<CredentialType> {
        self.counts.credential_types().collect()
    }

    fn member_with_signature_key(&self, key: &SignaturePublicKey) -> Option<LeafIndex> {
        let has_key =
            |node: &NodeIndex| self.node(*node).and_then(view::signature_key) == Some(key.as_ref());
        self.keys.signature(key).map(NodeIndex).find(has_key)?.leaf()
    }

    fn node_with_encryption_key(&self, key: &HpkePublicKey) -> Option<NodeIndex> {
        let has_key = |node: &NodeIndex| {
            self.node(*node).and_then(view::encryption_key) == Some(key.as_ref())
        };
        self.keys.encryption(key).map(NodeIndex).find(has_key)
    }
}

impl HashCache for RatchetTree {
    fn known_hash(&self, node: NodeIndex) -> Option<Digest> {
        self.hashes.get(node).and_then(Digest::new)
    }

    fn set_hash(&mut self, node: NodeIndex, hash: Digest) {
        self.hashes.set(node, Some(&hash));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StagedTree;
    use crate::testing::{Plan, World, suite};

    #[test]
    fn hashes_that_no_buffer_can_hold_are_refused() {
        // Like 2^27 hashes of 32 bytes on a 32-bit machine: the product wraps around to 0.
        let wraps = usize::MAX / 32 + 1;
        assert_eq!(Hashes::size_of(32, wraps), None);
        assert_eq!(Hashes::size_of(32, wraps / 2), None);
        assert_eq!(Hashes::size_of(32, 7), Some(224));

        let mut world = World::new(1);
        world.tree.hashes.len = usize::MAX / 4;
        let mut staged = StagedTree::new(&world.tree);
        assert_eq!(staged.place_leaf(), Err(TreeError::TooLarge));
        assert_eq!(staged.size(), TreeSize::ONE);
    }

    fn lengths(tree: &RatchetTree) -> [usize; 4] {
        [tree.nodes.len(), tree.below.len(), tree.hashes.bytes.len(), tree.hashes.known.len()]
    }

    #[test]
    fn a_tree_uses_no_more_memory_than_a_loaded_one() {
        let mut world = World::new(1);
        let loaded = |tree: &RatchetTree| {
            lengths(&RatchetTree::load(&suite(), tree.size(), tree.rows()).unwrap())
        };

        // 63 and 127 nodes are on either side of a word of bits.
        for leaves in [1, 2, 3, 32, 33, 65] {
            let adds = leaves - world.tree.member_count() as usize;
            world.commit(0, &Plan { adds, ..Plan::default() });
            assert_eq!(lengths(&world.tree), loaded(&world.tree), "{leaves}");
        }

        for leaves in [64, 33, 5, 1] {
            let removes = (leaves..world.tree.member_count()).collect();
            world.commit(0, &Plan { removes, ..Plan::default() });
            world.tree.shrink_to_fit();
            assert_eq!(lengths(&world.tree), loaded(&world.tree), "{leaves}");

            let n = world.tree.size().node_count() as usize;
            let bits = world.tree.hashes.known.len() * 64;
            let known = |node: usize| world.tree.hashes.known[node / 64] >> (node % 64) & 1 == 1;
            assert!((n..bits).all(|node| !known(node)), "{leaves}");
            assert!((0..n).all(known), "{leaves}");
            world.check();
        }
    }

    #[test]
    fn each_wrongly_cached_value_is_found_and_its_node_named() {
        let world = World::populated(2, 3);
        let root = world.tree.size().root();
        let check = |change: &dyn Fn(&mut RatchetTree)| {
            let mut tree = world.tree.clone();
            change(&mut tree);
            tree.check_caches(&suite())
        };
        let wrong = |node| Err(TreeError::WrongCache { node: NodeIndex(node) });

        assert_eq!(check(&|_| {}), Ok(()));
        // The hash of a blank subtree need not be known.
        assert_eq!(check(&|tree| tree.hashes.set(NodeIndex(6), None)), Ok(()));
        assert_eq!(check(&|tree| tree.hashes.set(NodeIndex(6), Some(&[7; 32]))), wrong(6));
        assert_eq!(check(&|tree| tree.hashes.set(NodeIndex(2), None)), wrong(2));
        assert_eq!(check(&|tree| tree.hashes.set(NodeIndex(4), Some(&[7; 32]))), wrong(4));
        assert_eq!(check(&|tree| tree.below[0] += 1), wrong(1));

        let beyond = |tree: &mut RatchetTree| {
            tree.nodes.resize(11, None);
            tree.nodes[9] = tree.nodes[0].clone();
        };
        assert_eq!(check(&beyond), wrong(9));
        assert_eq!(check(&|tree| tree.keys = KeyIndex::default()), wrong(root.0));
        assert_eq!(check(&|tree| tree.counts = FeatureCounts::default()), wrong(root.0));
    }
}
