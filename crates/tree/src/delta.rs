use crate::index::{FeatureCounts, KeyIndex};
use crate::row::encode_row;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use conclave_crypto::Digest;
use conclave_wire::{NodeIndex, TreeSize};
use core::fmt;

/// What a node whose subtree changed has besides its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// The members below it, or at it.
    pub(crate) below: u32,
    /// Its tree hash, unless that has to be computed.
    pub(crate) hash: Option<Digest>,
    /// Whether the tree that the delta applies to has a row of the node.
    pub(crate) other_has_row: bool,
}

/// The difference between two trees: the nodes on the paths of what changed. Made by
/// [`StagedTree::into_delta`](crate::StagedTree::into_delta).
///
/// [`RatchetTree::swap`](crate::RatchetTree::swap) moves it in, and leaves the way back in it.
#[derive(Clone)]
pub struct TreeDelta {
    pub(crate) size: TreeSize,
    /// Contents that differ, none for blank.
    pub(crate) nodes: BTreeMap<u32, Option<Box<[u8]>>>,
    /// What else differs; each node of `nodes` is in here too.
    pub(crate) shapes: BTreeMap<u32, Shape>,
    /// The keys of `nodes`.
    pub(crate) keys: KeyIndex,
    /// By how much the counts differ.
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
    /// The number of leaves that the tree has once the delta is in.
    #[must_use]
    pub fn size(&self) -> TreeSize {
        self.size
    }

    /// The rows to write so that what is stored becomes the tree with the delta in: of each node
    /// the new row, or none if its row is to be deleted. As many as the paths of what changed.
    ///
    /// For a delta that has not been swapped in.
    #[must_use]
    pub fn rows(&self) -> Vec<(u32, Option<Vec<u8>>)> {
        let mut rows = Vec::new();
        for (node, shape) in &self.shapes {
            // A touched parent whose content is not in here is blank on both sides.
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
