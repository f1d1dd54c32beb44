//! Indices of nodes in a complete binary tree and their relations (Appendix C).
//!
//! Leaves are the even nodes: leaf `L` is node `2L`. A parent's level is the number of its trailing
//! one bits. All relations except [`TreeSize::root`] are independent of the tree's size.

use crate::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer};
use core::fmt;
use core::ops::Range;

/// The index of a leaf, counted from the left, starting at 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeafIndex(pub u32);

impl LeafIndex {
    /// The leaf's node. An index beyond every tree's leaves gives a node beyond every tree.
    #[must_use]
    pub fn node(self) -> NodeIndex {
        NodeIndex(self.0.saturating_mul(2))
    }
}

impl fmt::Debug for LeafIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "leaf {}", self.0)
    }
}

impl fmt::Display for LeafIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Encode for LeafIndex {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.0.encode(w)
    }
}

impl Decode for LeafIndex {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        u32::decode(r).map(Self)
    }
}

/// The index of a node, counted in order from the left, starting at 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeIndex(pub u32);

impl fmt::Debug for NodeIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {}", self.0)
    }
}

impl fmt::Display for NodeIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl NodeIndex {
    /// The height above the leaves.
    #[must_use]
    pub fn level(self) -> u32 {
        self.0.trailing_ones()
    }

    /// The leaf at this node; `None` for a parent.
    #[must_use]
    pub fn leaf(self) -> Option<LeafIndex> {
        (self.0 & 1 == 0).then_some(LeafIndex(self.0 / 2))
    }

    /// The left child; `None` for a leaf.
    #[must_use]
    pub fn left(self) -> Option<Self> {
        let half = 1u32.checked_shl(self.level().checked_sub(1)?)?;
        Some(Self(self.0 ^ half))
    }

    /// The right child; `None` for a leaf.
    #[must_use]
    pub fn right(self) -> Option<Self> {
        let half = 3u32.checked_shl(self.level().checked_sub(1)?)?;
        Some(Self(self.0 ^ half))
    }

    /// The left and the right child; `None` for a leaf.
    #[must_use]
    pub fn children(self) -> Option<(Self, Self)> {
        Some((self.left()?, self.right()?))
    }

    /// The parent of this node.
    ///
    /// For the root of a tree, this is the root of the tree of twice the size.
    #[must_use]
    pub fn parent(self) -> Self {
        let k = self.level();
        let here = 1u32.checked_shl(k).unwrap_or(0);
        let above = here.checked_shl(1).unwrap_or(0);
        Self((self.0 | here) & !above)
    }

    /// The other child of this node's parent.
    #[must_use]
    pub fn sibling(self) -> Self {
        let above = 2u32.checked_shl(self.level()).unwrap_or(0);
        Self(self.0 ^ above)
    }

    /// The indices of the leaves below this node; for a leaf, its own.
    #[must_use]
    pub fn leaves(self) -> Range<u32> {
        let width = 1u32.checked_shl(self.level()).unwrap_or(u32::MAX);
        let first = self.0.saturating_add(1).saturating_sub(width) / 2;
        first..first.saturating_add(width)
    }

    /// Whether `other` is this node or below it.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        let half = (1u32.checked_shl(self.level()).unwrap_or(0)).wrapping_sub(1);
        (self.0.saturating_sub(half)..=self.0.saturating_add(half)).contains(&other.0)
    }
}

/// The number of leaves of a tree, including blank ones: a power of two up to 2^30.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeSize(u32);

impl TreeSize {
    /// The tree of one leaf.
    pub const ONE: Self = Self(1);
    /// The largest tree.
    pub const MAX: Self = Self(1 << 30);

    /// The smallest tree with at least `n` leaves; `None` for 0 and for more than 2^30.
    #[must_use]
    pub fn for_leaves(n: u32) -> Option<Self> {
        (1..=Self::MAX.0).contains(&n).then(|| Self(n.next_power_of_two()))
    }

    /// The number of leaves.
    #[must_use]
    pub fn leaf_count(self) -> u32 {
        self.0
    }

    /// The number of nodes.
    #[must_use]
    pub fn node_count(self) -> u32 {
        self.0 * 2 - 1
    }

    /// The root.
    #[must_use]
    pub fn root(self) -> NodeIndex {
        NodeIndex(self.0 - 1)
    }

    /// Twice this size; `None` for the largest tree.
    #[must_use]
    pub fn doubled(self) -> Option<Self> {
        (self < Self::MAX).then_some(Self(self.0 * 2))
    }

    /// Half this size; `None` for the tree of one leaf.
    #[must_use]
    pub fn halved(self) -> Option<Self> {
        (self.0 > 1).then_some(Self(self.0 / 2))
    }

    /// Whether the tree has this leaf.
    #[must_use]
    pub fn has_leaf(self, leaf: LeafIndex) -> bool {
        leaf.0 < self.0
    }

    /// Whether the tree has this node.
    #[must_use]
    pub fn has_node(self, node: NodeIndex) -> bool {
        node.0 < self.node_count()
    }

    /// The nodes above a node, from its parent to the root.
    pub fn direct_path(self, node: NodeIndex) -> impl Iterator<Item = NodeIndex> {
        let root = self.root();
        let mut at = node;
        core::iter::from_fn(move || {
            if at.level() >= root.level() {
                return None;
            }
            at = at.parent();
            Some(at)
        })
    }

    /// The direct path of a node with its copath, from the node up: pairs of a node on the direct
    /// path and its child that is not on the way to `node`.
    pub fn direct_and_copath(
        self,
        node: NodeIndex,
    ) -> impl Iterator<Item = (NodeIndex, NodeIndex)> {
        let root = self.root();
        let mut at = node;
        core::iter::from_fn(move || {
            if at.level() >= root.level() {
                return None;
            }
            let sibling = at.sibling();
            at = at.parent();
            Some((at, sibling))
        })
    }

    /// The lowest common ancestor of two different leaves.
    #[must_use]
    pub fn common_ancestor(self, a: LeafIndex, b: LeafIndex) -> NodeIndex {
        let differing = u32::BITS - (a.0 ^ b.0).leading_zeros();
        let level = differing.min(self.root().level());
        let base = a.node().0.checked_shr(level + 1).unwrap_or(0);
        let low = 1u32.checked_shl(level).unwrap_or(0).wrapping_sub(1);
        NodeIndex(base.checked_shl(level + 1).unwrap_or(0) | low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn node_relations_agree_in_all_small_trees() {
        for depth in 0..8 {
            let size = TreeSize::for_leaves(1 << depth).unwrap();
            assert_eq!(size.root().level(), depth);
            for i in 0..size.node_count() {
                let x = NodeIndex(i);
                match x.children() {
                    None => assert_eq!(x.leaf().unwrap().node(), x),
                    Some((l, r)) => {
                        assert_eq!((l.parent(), r.parent()), (x, x));
                        assert_eq!((l.sibling(), r.sibling()), (r, l));
                        assert_eq!(l.leaves().end, r.leaves().start);
                        assert_eq!(x.leaves(), l.leaves().start..r.leaves().end);
                        assert!(x.covers(l) && x.covers(r) && !l.covers(r) && !l.covers(x));
                    }
                }

                let path: Vec<_> = size.direct_path(x).collect();
                assert_eq!(path.last().copied().unwrap_or(x), size.root());
                assert!(path.iter().all(|p| p.covers(x)));
            }
            for a in 0..size.leaf_count() {
                for b in 0..size.leaf_count() {
                    if a == b {
                        continue;
                    }
                    let (a, b) = (LeafIndex(a), LeafIndex(b));
                    let lowest = size.direct_path(a.node()).find(|p| p.covers(b.node())).unwrap();
                    assert_eq!(size.common_ancestor(a, b), lowest);
                }
            }
        }
    }

    #[test]
    fn no_index_panics() {
        for i in [0, 1, 2, u32::MAX - 1, u32::MAX, 1 << 31, (1 << 31) - 1] {
            let x = NodeIndex(i);
            let _ = (x.level(), x.leaf(), x.children(), x.parent(), x.sibling(), x.covers(x));
            let _ = (LeafIndex(i).node(), TreeSize::MAX.has_node(x));
            let _ = TreeSize::MAX.common_ancestor(LeafIndex(i), LeafIndex(0));
            let _ = TreeSize::MAX.direct_path(x).count();
            assert!(!x.leaves().is_empty());
        }
    }
}
