//! A tree as rows, and back.

use crate::error::TreeError;
use crate::hashing::{HashCache, complete_hashes, compute_hash};
use crate::read::TreeRead;
use crate::row::{decode_row, encode_row};
use crate::tree::RatchetTree;
use alloc::boxed::Box;
use alloc::vec::Vec;
use conclave_crypto::{Digest, Suite};
use conclave_wire::{NodeIndex, TreeSize};

impl RatchetTree {
    /// All rows of the tree for its first write: `(node, row)`, in ascending order.
    pub fn rows(&self) -> impl Iterator<Item = (u32, Vec<u8>)> + '_ {
        let nodes = (0..self.size().node_count()).map(NodeIndex);
        nodes.filter(|node| self.has_row(*node)).map(|node| {
            let hash = self.node_hash(node).unwrap_or_default();
            (node.0, encode_row(self.node(node), hash))
        })
    }

    /// Loads a tree from its rows, in any order: those of [`RatchetTree::rows`] with all later
    /// changes of [`TreeDelta::rows`](crate::TreeDelta::rows). This takes one pass and computes
    /// only the hashes of blank subtrees.
    ///
    /// Only the form of the rows is checked. The store must return what was written; use
    /// [`RatchetTree::check_caches`] if it may not.
    ///
    /// # Errors
    /// [`TreeError::DamagedRow`], [`TreeError::MissingRow`], [`TreeError::TooLarge`].
    pub fn load(
        suite: &Suite<'_>,
        size: TreeSize,
        rows: impl Iterator<Item = (u32, impl AsRef<[u8]>)>,
    ) -> Result<Self, TreeError> {
        let hash_len = suite.params().hash.len();
        let mut nodes: Vec<Option<Box<[u8]>>> = Vec::new();
        let mut hashes: Vec<(NodeIndex, Digest)> = Vec::new();
        let mut rows_end = 0;

        for (index, row) in rows {
            let node = NodeIndex(index);
            let damaged = TreeError::DamagedRow { node };
            let (content, hash) =
                decode_row(node, row.as_ref()).filter(|_| size.has_node(node)).ok_or(damaged)?;
            let hash = Digest::new(hash).filter(|h| h.len() == hash_len).ok_or(damaged)?;
            rows_end = rows_end.max(index + 1);
            if let Some(content) = content {
                // The vector grows with the rows, so a wrong size claims no memory.
                if nodes.len() <= index as usize {
                    nodes.resize(index as usize + 1, None);
                }
                if let Some(slot) = nodes.get_mut(index as usize) {
                    *slot = Some(content.into());
                }
            }
            hashes.push((node, hash));
        }

        // The size must be the smallest one with room for the last row.
        let leaves = rows_end / 2 + 1;
        if rows_end == 0 || TreeSize::for_leaves(leaves) != Some(size) {
            return Err(TreeError::MissingRow { node: size.root() });
        }

        let mut tree = Self::from_nodes(suite, size, nodes)?;
        for (node, hash) in hashes {
            if tree.known_hash(node).is_some() || !tree.has_row(node) {
                return Err(TreeError::DamagedRow { node });
            }
            tree.set_hash(node, hash);
        }

        let mut all = (0..size.node_count()).map(NodeIndex);
        if let Some(node) = all.find(|node| tree.has_row(*node) && tree.known_hash(*node).is_none())
        {
            return Err(TreeError::MissingRow { node });
        }
        check_empty_halves(suite, &mut tree)?;
        Ok(tree)
    }
}

/// Checks for lost leaves. A leaf without its row looks blank, so if a child of a node is an empty
/// subtree, the node's hash must confirm that.
fn check_empty_halves(suite: &Suite<'_>, tree: &mut RatchetTree) -> Result<(), TreeError> {
    for node in (0..tree.size().node_count()).map(NodeIndex).filter(|n| n.leaf().is_none()) {
        let Some((left, right)) = node.children().filter(|_| tree.has_row(node)) else { continue };
        let halves = [left, right];
        let Some(empty) = halves.into_iter().find(|half| !tree.has_row(*half)) else { continue };

        complete_hashes(suite, tree, empty)?;
        if Some(compute_hash(suite, tree, node)?) != tree.known_hash(node) {
            return Err(TreeError::MissingRow { node: empty });
        }
    }
    Ok(())
}
