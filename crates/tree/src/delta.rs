use crate::index::{FeatureCounts, KeyIndex};
use crate::row::encode_row;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use conclave_crypto::Digest;
use conclave_wire::{NodeIndex, TreeSize};
use core::fmt;

/// The properties of a node with a changed subtree, apart from its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// The number of members at or below it.
    pub(crate) below: u32,
    /// Its tree hash, if it is known.
    pub(crate) hash: Option<Digest>,
    /// Whether the tree that the delta applies to has a row for the node.
    pub(crate) other_has_row: bool,
}

/// The difference between two trees: the changed nodes and those above them.
/// [`StagedTree::into_delta`](crate::StagedTree::into_delta) makes it.
///
/// [`RatchetTree::swap`](crate::RatchetTree::swap) moves its values in. Afterwards it holds the old
/// values, which lead back.
#[derive(Clone)]
pub struct TreeDelta {
    pub(crate) size: TreeSize,
    /// Changed contents; `None` for a blank node.
    pub(crate) nodes: BTreeMap<u32, Option<Box<[u8]>>>,
    /// Other changed properties, also for each node of `nodes`.
    pub(crate) shapes: BTreeMap<u32, Shape>,
    /// The keys of `nodes`.
    pub(crate) keys: KeyIndex,
    /// The difference of the counts.
    pub(crate) counts: FeatureCounts,
}

impl fmt::Debug for TreeDelta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TreeDelta")
            .field("size", &self.size.leaf_count())
            .field("nodes", &self.shapes.len())
            .finish_non_exhaustive()
    }
}

impl TreeDelta {
    /// The size of the tree after the delta is swapped in.
    #[must_use]
    pub fn size(&self) -> TreeSize {
        self.size
    }

    /// The rows to write, so that the store holds the tree with the delta: for each node its new
    /// row, or `None` to delete its row. There is at most one for each changed node and each node
    /// above one.
    ///
    /// Call this before the delta is swapped in.
    #[must_use]
    pub fn rows(&self) -> Vec<(u32, Option<Vec<u8>>)> {
        let mut rows = Vec::new();
        for (node, shape) in &self.shapes {
            // A touched parent without content in the delta is blank in both trees.
            let content = self.nodes.get(node).and_then(Option::as_deref);
            if shape.below > 0 && self.size.has_node(NodeIndex(*node)) {
                let hash = shape.hash.as_deref().unwrap_or_default();
                rows.push((*node, Some(encode_row(content, hash))));
            } else if shape.other_has_row {
                rows.push((*node, None));
            }
        }
        rows
    }
}
