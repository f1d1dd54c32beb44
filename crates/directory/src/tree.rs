//! The tree's root, computed again from the nodes that a proof names.
//!
//! The tree is a Patricia tree over the bits of labels: each inner node has two children, and its label is
//! what theirs have in common. The root's label is empty, and it alone may lack a child.

use crate::label;
use akd_core::{AzksValue, Configuration as _, NodeLabel, WhatsAppV1Configuration};
use alloc::vec::Vec;
use conclave_mls::wire::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer};

/// How the tree hashes: as WhatsApp's does, which is the one configuration of `akd` that is in use and that
/// will not change.
pub(crate) type Hashing = WhatsAppV1Configuration;

/// A node of the tree: its label, and the hash that its parent takes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) label: NodeLabel,
    pub(crate) hash: [u8; 32],
}

impl Node {
    /// The place of a child that the root lacks. It is encoded with a label of no bits.
    pub(crate) fn missing() -> Self {
        Self { label: NodeLabel::root(), hash: Hashing::empty_node_hash().0 }
    }

    pub(crate) fn is_missing(&self) -> bool {
        // The length comes first, because each call hashes to get the empty node.
        self.label.label_len == 0 && *self == Self::missing()
    }

    /// The label as the tree hashes it.
    fn hashed_label(&self) -> Vec<u8> {
        if self.is_missing() {
            return Hashing::empty_label().value::<Hashing>();
        }
        self.label.value::<Hashing>()
    }
}

impl Encode for Node {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        label::put(w, &self.label);
        w.put(&self.hash);
        Ok(())
    }
}

impl Decode for Node {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let label = label::take(r)?;
        let node = Self { label, hash: r.take_array()? };

        // No node but a missing one has the empty label: the root is nobody's child.
        if label.label_len == 0 && !node.is_missing() {
            return Err(DecodeError::InvalidValue { field: "Node", value: 0 });
        }
        Ok(node)
    }
}

/// The hash of a leaf with this commitment that came in this epoch.
pub(crate) fn leaf_hash(commitment: [u8; 32], epoch: u64) -> [u8; 32] {
    Hashing::hash_leaf_with_commitment(AzksValue(commitment), epoch).0
}

/// The hash of the node above two nodes.
pub(crate) fn parent_hash(left: &Node, right: &Node) -> [u8; 32] {
    let (left_hash, right_hash) = (AzksValue(left.hash), AzksValue(right.hash));
    let (left_label, right_label) = (left.hashed_label(), right.hashed_label());
    Hashing::compute_parent_hash_from_children(&left_hash, &left_label, &right_hash, &right_label).0
}

/// Nodes that are no tree: they are out of order, or one stands below another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Disorder;

/// The root of the tree that consists of these subtrees, which ascend by their bits.
pub(crate) fn root(nodes: impl IntoIterator<Item = Node>) -> Result<[u8; 32], Disorder> {
    // Subtrees whose right neighbours are still to come, and how many bits each has in common with the next.
    let mut open: Vec<Node> = Vec::new();
    let mut joints: Vec<u32> = Vec::new();
    let mut last: Option<NodeLabel> = None;

    for node in nodes {
        if let Some(last) = last {
            let shared = label::common(&last, &node.label);
            let nested = shared == last.label_len || shared == node.label.label_len;
            if nested || last.label_val >= node.label.label_val {
                return Err(Disorder);
            }
            close(&mut open, &mut joints, shared)?;
            joints.push(shared);
        } else if node.label.label_len == 0 {
            return Err(Disorder);
        }
        last = Some(node.label);
        open.push(node);
    }

    let Some(first) = last else {
        return Ok(Hashing::compute_root_hash_from_val(&Hashing::empty_root_value()));
    };

    // The root joins the two halves, of which one may be missing.
    let split = joints.first() == Some(&0);
    close(&mut open, &mut joints, 0)?;
    let value = match open.as_slice() {
        [left, right] if split => parent_hash(left, right),
        [only] if label::goes_right(&first, 0) => parent_hash(&Node::missing(), only),
        [only] => parent_hash(only, &Node::missing()),
        _ => return Err(Disorder),
    };
    Ok(Hashing::compute_root_hash_from_val(&AzksValue(value)))
}

/// Joins the subtrees that have more than this many bits in common.
fn close(open: &mut Vec<Node>, joints: &mut Vec<u32>, shared: u32) -> Result<(), Disorder> {
    while let Some(bits) = joints.pop_if(|bits| *bits > shared) {
        let right = open.pop().ok_or(Disorder)?;
        let left = open.pop().ok_or(Disorder)?;
        let hash = parent_hash(&left, &right);
        open.push(Node { label: label::prefix(&left.label, bits), hash });
    }
    Ok(())
}
