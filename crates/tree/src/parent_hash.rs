//! Parent hashes (section 7.9), and the checks of them and of unmerged leaves in a tree from
//! outside.

use crate::error::TreeError;
use crate::hashing::HashCache;
use crate::read::TreeRead;
use crate::tree::RatchetTree;
use crate::view::{LeafView, ParentView, Source};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use conclave_crypto::{Digest, Suite};
use conclave_wire::{
    Decode, Encode, HpkePublicKey, LeafIndex, LeafNodeHashInput, NodeIndex, ParentHashInput,
    ParentNode, ParentNodeHashInput,
};

/// Computes the parent hash of a node with one of its children as the copath child (section 7.9).
pub(crate) fn parent_hash(
    suite: &Suite<'_>,
    encryption_key: &HpkePublicKey,
    parent_hash: &[u8],
    original_sibling_tree_hash: &[u8],
) -> Result<Digest, TreeError> {
    let input =
        ParentHashInput { encryption_key, parent_hash, original_sibling_tree_hash }.to_bytes()?;
    Ok(suite.hash(&[&input])?)
}

/// The part of an ascending list of leaves that is below a node.
fn below(leaves: &[u32], node: NodeIndex) -> &[u32] {
    let range = node.leaves();
    let start = leaves.partition_point(|l| *l < range.start);
    let end = leaves.partition_point(|l| *l < range.end);
    leaves.get(start..end).unwrap_or_default()
}

/// Checks the unmerged leaves of all parents (sections 7.1 and 12.4.3.1): they must be in ascending
/// order, below the parent, not blank, and also unmerged at all nodes between.
pub(crate) fn check_unmerged_leaves(tree: &RatchetTree) -> Result<(), TreeError> {
    check_unmerged_below(tree, tree.size().root(), &[])
}

/// Checks a subtree. `above` are the leaves that are unmerged at the nearest non-blank node above.
/// The recursion is as deep as the tree.
fn check_unmerged_below(
    tree: &RatchetTree,
    node: NodeIndex,
    above: &[u32],
) -> Result<(), TreeError> {
    let Some((left, right)) = node.children().filter(|_| tree.leaf_count_below(node) > 0) else {
        return Ok(());
    };
    let above = below(above, node);
    let Some(encoded) = tree.node(node) else {
        check_unmerged_below(tree, left, above)?;
        return check_unmerged_below(tree, right, above);
    };

    let own: Vec<u32> = ParentView::parse(encoded)?.unmerged_leaves().collect();
    if !own.is_sorted_by(|a, b| a < b) {
        return Err(TreeError::UnmergedLeavesUnsorted { node });
    }

    let range = node.leaves();
    for leaf in own.iter().map(|l| LeafIndex(*l)) {
        if !range.contains(&leaf.0) {
            return Err(TreeError::UnmergedLeafNotBelow { node, leaf });
        }
        if !tree.is_member(leaf) {
            return Err(TreeError::UnmergedLeafBlank { node, leaf });
        }
    }

    if let Some(missing) = above.iter().find(|l| own.binary_search(l).is_err()) {
        return Err(TreeError::UnmergedLeafMissing { node, leaf: LeafIndex(*missing) });
    }

    check_unmerged_below(tree, left, &own)?;
    check_unmerged_below(tree, right, &own)
}

/// Checks that all parents are parent-hash valid (section 7.9.2). The unmerged leaves must already
/// be checked, and all tree hashes known.
pub(crate) fn check_parent_hashes(suite: &Suite<'_>, tree: &RatchetTree) -> Result<(), TreeError> {
    let mut originals = OriginalHashes { suite, tree, known: BTreeMap::new() };
    for node in (0..tree.size().node_count()).map(NodeIndex) {
        let Some((left, right)) = node.children() else { continue };
        let Some(encoded) = tree.node(node) else { continue };
        let parent = ParentView::parse(encoded)?;

        // A node below either child may have been set together with this one. Nodes below both
        // children cannot have its parent hash, because each hash would cover the other.
        if !is_linked(&mut originals, &parent, left, right)?
            && !is_linked(&mut originals, &parent, right, left)?
        {
            return Err(TreeError::ParentHash { node });
        }
    }
    Ok(())
}

/// Whether a node at or below `child` was set together with `parent`. That node is a leaf or was
/// checked in the same way, so the chain ends at a leaf.
fn is_linked(
    originals: &mut OriginalHashes<'_>,
    parent: &ParentView<'_>,
    child: NodeIndex,
    sibling: NodeIndex,
) -> Result<bool, TreeError> {
    let tree = originals.tree;
    let unmerged: Vec<u32> = parent.unmerged_leaves().collect();
    let Some(found) = descendant(tree, child, below(&unmerged, child)) else { return Ok(false) };
    let Some(encoded) = tree.node(found) else { return Ok(false) };

    let claimed = match found.leaf() {
        Some(_) => match LeafView::parse(encoded)?.source {
            Source::Commit { parent_hash } => parent_hash,
            Source::KeyPackage | Source::Update => return Ok(false),
        },
        None => ParentView::parse(encoded)?.parent_hash,
    };

    let original = originals.of(sibling, below(&unmerged, sibling))?;
    let key = parent.encryption_key.into();
    let actual = parent_hash(originals.suite, &key, parent.parent_hash, &original)?;
    Ok(claimed == &*actual)
}

/// The only node in the resolution of `child` that is not an unmerged leaf of the parent. `None` if
/// there are more or none, or if an unmerged leaf below `child` is missing in the resolution.
fn descendant(tree: &RatchetTree, child: NodeIndex, unmerged: &[u32]) -> Option<NodeIndex> {
    let resolution = tree.resolution(child);
    if resolution.len() != unmerged.len() + 1 {
        return None;
    }

    let is_merged = |node: &NodeIndex| match node.leaf() {
        Some(leaf) => unmerged.binary_search(&leaf.0).is_err(),
        None => true,
    };
    let mut rest = resolution.into_iter().filter(is_merged);
    // The lengths match, so exactly one node is left if and only if all unmerged leaves were found.
    rest.next().filter(|_| rest.next().is_none())
}

/// Tree hashes of subtrees without some leaves. Each is computed once.
///
/// The lists of unmerged leaves at the nodes above a subtree are subsets of each other, so the
/// number of left-out leaves identifies them.
struct OriginalHashes<'a> {
    suite: &'a Suite<'a>,
    tree: &'a RatchetTree,
    known: BTreeMap<(NodeIndex, usize), Digest>,
}

impl OriginalHashes<'_> {
    /// The tree hash that a node had before the leaves `added` were added below it.
    fn of(&mut self, node: NodeIndex, added: &[u32]) -> Result<Digest, TreeError> {
        if added.is_empty() {
            return self.tree.known_hash(node).ok_or(TreeError::WrongCache { node });
        }
        if let Some(known) = self.known.get(&(node, added.len())) {
            return Ok(*known);
        }

        let input = match (node.leaf(), node.children()) {
            (None, Some((left, right))) => {
                let left_hash = self.of(left, below(added, left))?;
                let right_hash = self.of(right, below(added, right))?;
                let parent = self.tree.node(node).map(|n| without(n, added)).transpose()?;
                ParentNodeHashInput {
                    parent_node: parent.as_deref(),
                    left_hash: &left_hash,
                    right_hash: &right_hash,
                }
                .to_bytes()?
            }
            (leaf, _) => {
                let leaf_index = leaf.ok_or(TreeError::WrongCache { node })?;
                LeafNodeHashInput { leaf_index, leaf_node: None }.to_bytes()?
            }
        };

        let hash = self.suite.hash(&[&input])?;
        self.known.insert((node, added.len()), hash);
        Ok(hash)
    }
}

/// An encoded parent node without some of its unmerged leaves.
fn without(encoded: &[u8], added: &[u32]) -> Result<Vec<u8>, TreeError> {
    let mut parent = ParentNode::from_bytes(encoded)?;
    parent.unmerged_leaves.retain(|l| added.binary_search(&l.0).is_err());
    Ok(parent.to_bytes()?)
}
