//! What changed in the tree between two epochs.

use super::error::DirectoryError;
use super::records::Records;
use super::snapshot::Shared;
use crate::extension::Added;
use crate::tree::{self, Node};
use akd::NodeLabel;
use akd::tree_node::TreeNodeType;

/// The most nodes of a proof, which fit into its greatest length.
const MAX_NODES: usize = 400_000;

/// The subtrees that have not changed since an epoch, and the leaves that came in after it, up to another.
pub(super) fn between<R: Records>(
    snapshot: &Shared<R>,
    from: u64,
    to: u64,
) -> Result<(Vec<Node>, Vec<Added>), DirectoryError> {
    let mut kept = Vec::new();
    let mut added = Vec::new();
    let mut ahead = vec![NodeLabel::root()];

    while let Some(label) = ahead.pop() {
        let node = snapshot.node(&label)?;
        if node.min_descendant_epoch > to {
            continue;
        }
        if kept.len() + added.len() == MAX_NODES {
            return Err(DirectoryError::TooLarge);
        }

        let is_leaf = node.node_type == TreeNodeType::Leaf;
        let is_root = node.node_type == TreeNodeType::Root;
        if node.last_epoch <= from && !is_root {
            let hash = node.hash.0;
            let hash = if is_leaf { tree::leaf_hash(hash, node.last_epoch) } else { hash };
            kept.push(Node { label, hash });
        } else if is_leaf {
            let commitment = node.hash.0;
            added.push(Added { label: label.label_val, commitment, epoch: node.last_epoch });
        } else {
            // The left one is taken next, so that labels ascend.
            ahead.extend([node.right_child, node.left_child].into_iter().flatten());
        }
    }
    Ok((kept, added))
}
