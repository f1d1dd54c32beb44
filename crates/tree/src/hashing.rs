//! Tree hashes (section 7.8). Each is computed once.

use crate::error::TreeError;
use crate::read::TreeRead;
use alloc::vec::Vec;
use conclave_crypto::{Digest, Suite};
use conclave_wire::{Encode, LeafNodeHashInput, NodeIndex, ParentNodeHashInput};

/// A tree that caches hashes.
pub(crate) trait HashCache: TreeRead {
    /// The tree hash of a node, if it is known. A blank node outside the tree may have one.
    fn known_hash(&self, node: NodeIndex) -> Option<Digest>;
    /// Caches the tree hash of a node.
    fn set_hash(&mut self, node: NodeIndex, hash: Digest);
}

/// The number of inputs in a batch.
const BATCH: usize = 1024;

/// Computes the unknown hashes at and below a node, level by level, and returns the node's own
/// hash. It does not descend below nodes with a known hash.
pub(crate) fn complete_hashes(
    suite: &Suite<'_>,
    tree: &mut impl HashCache,
    top: NodeIndex,
) -> Result<Digest, TreeError> {
    let mut levels: Vec<Vec<NodeIndex>> = Vec::new();
    levels.resize_with(top.level() as usize + 1, Vec::new);

    let mut open = alloc::vec![top];
    while let Some(node) = open.pop() {
        if tree.known_hash(node).is_some() {
            continue;
        }
        if let Some(level) = levels.get_mut(node.level() as usize) {
            level.push(node);
        }
        if let Some((left, right)) = node.children() {
            open.extend([left, right]);
        }
    }

    for level in levels {
        for nodes in level.chunks(BATCH) {
            hash_nodes(suite, tree, nodes)?;
        }
    }
    tree.known_hash(top).ok_or(TreeError::WrongCache { node: top })
}

fn hash_nodes(
    suite: &Suite<'_>,
    tree: &mut impl HashCache,
    nodes: &[NodeIndex],
) -> Result<(), TreeError> {
    let inputs: Vec<Vec<u8>> =
        nodes.iter().map(|node| hash_input(tree, *node)).collect::<Result<_, _>>()?;
    let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();

    let hashes = suite.provider().hash_many(suite.params().hash, &inputs)?;
    nodes.iter().zip(hashes).for_each(|(node, hash)| tree.set_hash(*node, hash));
    Ok(())
}

/// Computes the tree hash of a node from its children's known hashes, even if the node's own is
/// known.
pub(crate) fn compute_hash(
    suite: &Suite<'_>,
    tree: &impl HashCache,
    node: NodeIndex,
) -> Result<Digest, TreeError> {
    Ok(suite.hash(&[&hash_input(tree, node)?])?)
}

/// Encodes the TreeHashInput of a node from its children's known hashes.
fn hash_input(tree: &impl HashCache, node: NodeIndex) -> Result<Vec<u8>, TreeError> {
    let known = |child| tree.known_hash(child).ok_or(TreeError::WrongCache { node: child });
    let input = match (node.leaf(), node.children()) {
        (Some(leaf_index), _) => {
            LeafNodeHashInput { leaf_index, leaf_node: tree.node(node) }.to_bytes()
        }
        (None, Some((left, right))) => ParentNodeHashInput {
            parent_node: tree.node(node),
            left_hash: &known(left)?,
            right_hash: &known(right)?,
        }
        .to_bytes(),
        (None, None) => return Err(TreeError::WrongCache { node }),
    };
    Ok(input?)
}
