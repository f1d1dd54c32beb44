use crate::delta::{Shape, TreeDelta};
use crate::error::TreeError;
use crate::hashing::{HashCache, complete_hashes};
use crate::index::{Feature, FeatureCounts, KeyIndex, fingerprint};
use crate::read::TreeRead;
use crate::tree::RatchetTree;
use crate::view;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use conclave_crypto::{Digest, Suite};
use conclave_wire::{
    CredentialType, Decode, Encode, HpkePublicKey, LeafIndex, LeafNode, NodeIndex, ParentNode,
    SignaturePublicKey, TreeSize,
};
use core::fmt;

/// The next tree while it is being built: changes over an unchanged tree.
///
/// Apply proposals in the order of section 12.3: updates, removes, adds, then the path. If a step
/// fails, drop the staged tree: it may hold a part of that step's changes.
pub struct StagedTree<'a> {
    base: &'a RatchetTree,
    delta: TreeDelta,
}

impl fmt::Debug for StagedTree<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StagedTree").field("base", self.base).field("delta", &self.delta).finish()
    }
}

/// The effect on the nodes above changed leaves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Above {
    /// They become blank.
    Blank,
    /// Non-blank nodes get the leaves as unmerged leaves.
    Unmerge,
}

/// A leaf's node with its new content; `None` blanks it.
type LeafChange = (NodeIndex, Option<Box<[u8]>>);

impl RatchetTree {
    /// The tree of a group that has just been created (section 11): one leaf.
    ///
    /// # Errors
    /// If the leaf is too long to encode, or the provider fails.
    pub fn new(suite: &Suite<'_>, leaf: &LeafNode) -> Result<Self, TreeError> {
        let mut tree = Self::from_nodes(suite, TreeSize::ONE, alloc::vec![None])?;
        let mut staged = StagedTree::new(&tree);
        staged.add_leaf(leaf)?;
        let mut delta = staged.into_delta(suite)?;
        tree.swap(&mut delta);
        Ok(tree)
    }
}

impl<'a> StagedTree<'a> {
    /// A staged tree without changes.
    #[must_use]
    pub fn new(base: &'a RatchetTree) -> Self {
        let delta = TreeDelta {
            size: base.size(),
            nodes: BTreeMap::new(),
            shapes: BTreeMap::new(),
            keys: KeyIndex::default(),
            counts: FeatureCounts::default(),
        };
        Self { base, delta }
    }

    /// Adds a member at the leftmost blank leaf (section 12.1.1).
    ///
    /// # Errors
    /// If the tree cannot grow, or the leaf is too long to encode.
    pub fn add_leaf(&mut self, leaf: &LeafNode) -> Result<LeafIndex, TreeError> {
        let added = self.add_leaves(&[leaf])?;
        added.first().copied().ok_or(TreeError::TooLarge)
    }

    /// Adds members, each at the leftmost leaf that is then blank (section 12.1.1), and returns
    /// their leaves. Adding many at once costs less than one by one.
    ///
    /// # Errors
    /// Those of [`Self::add_leaf`].
    pub fn add_leaves(&mut self, leaves: &[&LeafNode]) -> Result<Vec<LeafIndex>, TreeError> {
        let mut changes: Vec<LeafChange> = Vec::with_capacity(leaves.len());
        let mut added = Vec::with_capacity(leaves.len());

        let mut from = 0;
        for leaf in leaves {
            let place = self.blank_leaf_from(from)?;
            from = place.0 + 1;
            added.push(place);
            changes.push((place.node(), Some(leaf.to_bytes()?.into())));
        }
        self.change_leaves(changes, Above::Unmerge)?;
        Ok(added)
    }

    /// The leftmost blank leaf, which a member takes who joins by an external commit (section
    /// 12.4.2). Extends the tree if there is none. The leaf stays blank until the path is merged.
    ///
    /// # Errors
    /// [`TreeError::TooLarge`].
    pub fn place_leaf(&mut self) -> Result<LeafIndex, TreeError> {
        self.blank_leaf_from(0)
    }

    /// Replaces a member's leaf and blanks its direct path (section 12.1.2).
    ///
    /// # Errors
    /// If there is no such member, the encryption key stays the same (section 7.3), or the leaf is
    /// too long to encode.
    pub fn update_leaf(&mut self, leaf: LeafIndex, new: &LeafNode) -> Result<(), TreeError> {
        let old = self.node(leaf.node()).ok_or(TreeError::NoSuchMember { leaf })?;
        if view::encryption_key(old) == Some(&new.encryption_key) {
            return Err(TreeError::EncryptionKeyUnchanged { leaf });
        }
        self.set_leaf_blanking_path(leaf, new)
    }

    /// Removes members given in any order, blanks their direct paths and truncates the tree
    /// (section 12.1.3).
    ///
    /// # Errors
    /// [`TreeError::NoSuchMember`], also if a leaf is given twice.
    pub fn remove_leaves(&mut self, leaves: &[LeafIndex]) -> Result<(), TreeError> {
        let mut leaves = leaves.to_vec();
        leaves.sort_unstable();
        let mut before = None;
        for leaf in &leaves {
            if before.replace(*leaf) == Some(*leaf) || !self.is_member(*leaf) {
                return Err(TreeError::NoSuchMember { leaf: *leaf });
            }
        }

        let changes = leaves.into_iter().map(|leaf| (leaf.node(), None)).collect();
        self.change_leaves(changes, Above::Blank)?;
        self.truncate();
        Ok(())
    }

    /// Removes the right half of the tree as long as it has no member (section 7.7).
    fn truncate(&mut self) {
        while let Some(half) = self.delta.size.halved() {
            let root = self.delta.size.root();
            if root.right().is_none_or(|right| self.leaf_count_below(right) > 0) {
                return;
            }
            self.set_content(root, None);
            self.touch(root).below = 0;
            self.delta.size = half;
        }
    }

    /// The leftmost blank leaf at or right of `from`. Extends the tree if there is none.
    fn blank_leaf_from(&mut self, from: u32) -> Result<LeafIndex, TreeError> {
        loop {
            if let Some(leaf) = self.find_blank(self.delta.size.root(), from) {
                return Ok(leaf);
            }
            self.extend()?;
        }
    }

    fn find_blank(&self, top: NodeIndex, from: u32) -> Option<LeafIndex> {
        let leaves = top.leaves();
        let full = self.leaf_count_below(top) as usize == leaves.len();
        if leaves.end <= from || full {
            return None;
        }

        match top.children() {
            None => top.leaf(),
            Some((left, right)) => {
                self.find_blank(left, from).or_else(|| self.find_blank(right, from))
            }
        }
    }

    /// Doubles the tree (section 7.7).
    fn extend(&mut self) -> Result<(), TreeError> {
        let old_root = self.delta.size.root();
        let below = self.leaf_count_below(old_root);
        let doubled = self.delta.size.doubled().filter(|size| self.base.can_grow_to(*size));
        self.delta.size = doubled.ok_or(TreeError::TooLarge)?;
        self.touch(self.delta.size.root()).below = below;
        Ok(())
    }

    /// Sets a blank or non-blank leaf, and blanks its direct path.
    pub(crate) fn set_leaf_blanking_path(
        &mut self,
        leaf: LeafIndex,
        new: &LeafNode,
    ) -> Result<(), TreeError> {
        if !self.delta.size.has_leaf(leaf) {
            return Err(TreeError::NoSuchLeaf { leaf });
        }
        let change = (leaf.node(), Some(new.to_bytes()?.into()));
        self.change_leaves(alloc::vec![change], Above::Blank)
    }

    /// Sets a parent on a path that was already touched.
    pub(crate) fn set_parent(
        &mut self,
        node: NodeIndex,
        parent: &ParentNode,
    ) -> Result<(), TreeError> {
        self.set_content(node, Some(parent.to_bytes()?.into()));
        self.touch(node);
        Ok(())
    }

    /// Changes leaves given in ascending order, and each node above them once.
    fn change_leaves(&mut self, changes: Vec<LeafChange>, above: Above) -> Result<(), TreeError> {
        let leaves: Vec<LeafIndex> = changes.iter().filter_map(|(node, _)| node.leaf()).collect();
        let mut level: Vec<(NodeIndex, i64)> = Vec::with_capacity(changes.len());
        for (node, content) in changes {
            let change = i64::from(content.is_some()) - i64::from(self.node(node).is_some());
            self.set_content(node, content);
            level.push((node, change));
        }

        // Go up level by level, with the change of the member count below each node.
        let root = self.delta.size.root();
        while !level.is_empty() {
            let mut parents: Vec<(NodeIndex, i64)> = Vec::with_capacity(level.len());
            for (node, change) in level {
                if node.leaf().is_none() {
                    self.change_parent(node, above, &leaves)?;
                }
                let shape = self.touch(node);
                shape.below = u32::try_from(i64::from(shape.below) + change).unwrap_or(0);
                let parent = node.parent();
                match parents.last_mut() {
                    _ if node == root => {}
                    Some((last, sum)) if *last == parent => *sum += change,
                    _ => parents.push((parent, change)),
                }
            }
            level = parents;
        }
        Ok(())
    }

    fn change_parent(
        &mut self,
        node: NodeIndex,
        above: Above,
        leaves: &[LeafIndex],
    ) -> Result<(), TreeError> {
        let Some(encoded) = self.node(node) else { return Ok(()) };
        match above {
            Above::Blank => self.set_content(node, None),
            Above::Unmerge => {
                let mut parent = ParentNode::from_bytes(encoded)?;
                let range = node.leaves();
                let start = leaves.partition_point(|l| l.0 < range.start);
                let end = leaves.partition_point(|l| l.0 < range.end);
                parent.unmerged_leaves.extend(leaves.get(start..end).unwrap_or_default());
                parent.unmerged_leaves.sort_unstable();
                self.set_content(node, Some(parent.to_bytes()?.into()));
            }
        }
        Ok(())
    }

    /// Sets a node's content, its index entries and its counts, without the nodes above.
    fn set_content(&mut self, node: NodeIndex, content: Option<Box<[u8]>>) {
        let is_leaf = node.leaf().is_some();
        if content.is_none() && self.node(node).is_none() {
            return;
        }
        let TreeDelta { nodes, keys, counts, .. } = &mut self.delta;
        match nodes.get(&node.0).map(Option::as_deref) {
            Some(Some(old)) => {
                keys.remove(node.0, old);
                if is_leaf {
                    counts.add_leaf(old, -1);
                }
            }
            Some(None) => {}
            // The base's index stays as it is: its entries for nodes in the delta are ignored.
            None => match self.base.node(node) {
                Some(old) if is_leaf => counts.add_leaf(old, -1),
                _ => {}
            },
        }

        if let Some(new) = &content {
            keys.insert(node.0, new);
            if is_leaf {
                counts.add_leaf(new, 1);
            }
        }
        nodes.insert(node.0, content);
    }

    /// A node's shape, with its hash unset.
    fn touch(&mut self, node: NodeIndex) -> &mut Shape {
        let base = self.base;
        let shape = self.delta.shapes.entry(node.0).or_insert_with(|| Shape {
            below: base.leaf_count_below(node),
            hash: None,
            other_has_row: base.has_row(node),
        });
        shape.hash = None;
        shape
    }

    /// The tree hash of the root. Only changed and unknown hashes are computed.
    ///
    /// # Errors
    /// If the provider fails.
    pub fn tree_hash(&mut self, suite: &Suite<'_>) -> Result<Digest, TreeError> {
        self.node_hash(suite, self.delta.size.root())
    }

    /// The tree hash of a node in the tree.
    ///
    /// # Errors
    /// If the provider fails.
    pub fn node_hash(&mut self, suite: &Suite<'_>, node: NodeIndex) -> Result<Digest, TreeError> {
        complete_hashes(suite, self, node)
    }

    /// The changes with all their tree hashes.
    ///
    /// # Errors
    /// If the provider fails.
    pub fn into_delta(mut self, suite: &Suite<'_>) -> Result<TreeDelta, TreeError> {
        self.tree_hash(suite)?;
        Ok(self.delta)
    }

    /// The leaves that differ from the base's, in ascending order with their old contents: a
    /// reverse delta of the leaves.
    #[must_use]
    pub fn replaced_leaves(&self) -> Vec<(LeafIndex, Option<Vec<u8>>)> {
        self.changed_nodes()
            .filter_map(|node| {
                let before = self.base.node(node);
                let differs = before != self.node(node);
                node.leaf().filter(|_| differs).map(|leaf| (leaf, before.map(<[u8]>::to_vec)))
            })
            .collect()
    }

    /// Checks that no key of a changed node occurs elsewhere in the tree (section 7.3). Call this
    /// after all changes. O(changed · log n), plus one comparison for each key with a colliding
    /// fingerprint.
    ///
    /// # Errors
    /// [`TreeError::DuplicateEncryptionKey`], [`TreeError::DuplicateSignatureKey`].
    pub fn check_unique_keys(&self) -> Result<(), TreeError> {
        if let Some((node, other)) = self.encryption_key_twice(view::encryption_key) {
            return Err(TreeError::DuplicateEncryptionKey { node, other });
        }

        let leaves = self.changed_nodes().filter(|node| node.leaf().is_some());
        let in_base = |key: &[u8]| self.base.index().signature(key);
        let twice = self.key_twice(leaves, view::signature_key, in_base);
        match twice.and_then(|(node, other)| node.leaf().zip(other.leaf())) {
            Some((leaf, other)) => Err(TreeError::DuplicateSignatureKey { leaf, other }),
            None => Ok(()),
        }
    }

    fn changed_nodes(&self) -> impl Iterator<Item = NodeIndex> {
        self.delta.nodes.keys().map(|node| NodeIndex(*node))
    }

    pub(crate) fn encryption_key_twice(
        &self,
        key_of: impl Fn(&[u8]) -> Option<&[u8]>,
    ) -> Option<(NodeIndex, NodeIndex)> {
        self.key_twice(self.changed_nodes(), key_of, |key| self.base.index().encryption(key))
    }

    /// A changed node and another node with the same key.
    ///
    /// An attacker can make keys with equal fingerprints. The keys are therefore sorted, and the
    /// base's nodes with a fingerprint are visited once, not once for each changed node.
    fn key_twice<I: Iterator<Item = u32>>(
        &self,
        changed: impl Iterator<Item = NodeIndex>,
        key_of: impl Fn(&[u8]) -> Option<&[u8]>,
        in_base: impl Fn(&[u8]) -> I,
    ) -> Option<(NodeIndex, NodeIndex)> {
        let key = |node: NodeIndex| self.node(node).and_then(&key_of);
        let mut keys: Vec<(u32, &[u8], NodeIndex)> =
            changed.filter_map(|node| key(node).map(|key| (fingerprint(key), key, node))).collect();
        keys.sort_unstable();

        keys.chunk_by(|a, b| a.0 == b.0).find_map(|alike| {
            let twice = alike.windows(2).find_map(|pair| match pair {
                [(_, a, node), (_, b, other)] if a == b => Some((*node, *other)),
                _ => None,
            });

            let (_, any, _) = alike.first()?;
            let unchanged = in_base(any).filter(|node| !self.delta.nodes.contains_key(node));
            twice.or_else(|| {
                unchanged.map(NodeIndex).find_map(|other| {
                    let place = alike.binary_search_by_key(&key(other)?, |(_, key, _)| key).ok()?;
                    Some((alike.get(place)?.2, other))
                })
            })
        })
    }

    /// The node with an encryption key, if there is one.
    pub(crate) fn find_encryption_key(&self, key: &[u8]) -> Option<NodeIndex> {
        let staged = self.delta.keys.encryption(key);
        let base = self.base.index().encryption(key);
        let base = base.filter(|node| !self.delta.nodes.contains_key(node));
        let mut nodes = staged.chain(base).map(NodeIndex);
        nodes.find(|node| self.node(*node).and_then(view::encryption_key) == Some(key))
    }

    fn find_signature_key(&self, key: &[u8]) -> Option<NodeIndex> {
        let staged = self.delta.keys.signature(key);
        let base = self.base.index().signature(key);
        let base = base.filter(|node| !self.delta.nodes.contains_key(node));
        let mut nodes = staged.chain(base).map(NodeIndex);
        nodes.find(|node| self.node(*node).and_then(view::signature_key) == Some(key))
    }
}

impl TreeRead for StagedTree<'_> {
    fn size(&self) -> TreeSize {
        self.delta.size
    }

    fn node(&self, node: NodeIndex) -> Option<&[u8]> {
        if !self.delta.size.has_node(node) {
            return None;
        }
        match self.delta.nodes.get(&node.0) {
            Some(content) => content.as_deref(),
            None => self.base.node(node),
        }
    }

    fn leaf_count_below(&self, node: NodeIndex) -> u32 {
        if !self.delta.size.has_node(node) {
            return 0;
        }
        match self.delta.shapes.get(&node.0) {
            Some(shape) => shape.below,
            None => self.base.leaf_count_below(node),
        }
    }

    fn members_with(&self, feature: Feature) -> u32 {
        let sum = self.base.counts().get(feature).saturating_add(self.delta.counts.get(feature));
        u32::try_from(sum).unwrap_or(0)
    }

    fn credential_types_in_use(&self) -> Vec<CredentialType> {
        let both =
            self.base.counts().credential_types().chain(self.delta.counts.credential_types());
        let mut types: Vec<CredentialType> =
            both.filter(|kind| self.members_with(Feature::CredentialInUse(*kind)) > 0).collect();
        types.sort_unstable();
        types.dedup();
        types
    }

    fn member_with_signature_key(&self, key: &SignaturePublicKey) -> Option<LeafIndex> {
        self.find_signature_key(key)?.leaf()
    }

    fn node_with_encryption_key(&self, key: &HpkePublicKey) -> Option<NodeIndex> {
        self.find_encryption_key(key)
    }
}

impl HashCache for StagedTree<'_> {
    fn known_hash(&self, node: NodeIndex) -> Option<Digest> {
        match self.delta.shapes.get(&node.0) {
            Some(shape) => shape.hash,
            None => self.base.stored_hash(node).and_then(Digest::new),
        }
    }

    fn set_hash(&mut self, node: NodeIndex, hash: Digest) {
        self.touch(node).hash = Some(hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::World;

    #[test]
    fn a_tree_of_maximum_size_does_not_grow() {
        let world = World::new(1);
        let mut staged = StagedTree::new(&world.tree);
        staged.delta.size = TreeSize::MAX;
        assert_eq!(staged.extend(), Err(TreeError::TooLarge));
        assert_eq!(staged.delta.size, TreeSize::MAX);
    }
}
