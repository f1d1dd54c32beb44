//! Ways from a node up to the root, and what is not in the tree.

use crate::error::ProofError;
use crate::label;
use crate::tree::{self, Hashing, Node};
use akd_core::{
    AzksElement, AzksValue, Configuration as _, Direction, MembershipProof, NodeLabel,
    NonMembershipProof, SiblingProof,
};
use alloc::vec::Vec;
use conclave_mls::wire::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer};

/// The most steps of a path: one for each bit of a label.
const MAX_STEPS: usize = label::LEAF_BITS as usize;

/// The nodes beside the way from the root down to a node, from the root on.
///
/// The nodes on the way have no place here: their labels follow from those beside them, their hashes are
/// computed. A path therefore describes one shape of the tree, and it is a possible one.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Path(Vec<Node>);

impl Encode for Path {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.0.encode(w)
    }
}

impl Decode for Path {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let nodes: Vec<Node> = Vec::decode(r)?;
        if nodes.len() > MAX_STEPS {
            return Err(DecodeError::InvalidValue { field: "Path", value: nodes.len() as u64 });
        }
        Ok(Self(nodes))
    }
}

impl Path {
    /// The proof in the form that the tree's verification takes: that a node with this label and hash stands
    /// at the path's end.
    pub(crate) fn membership(
        &self,
        label: NodeLabel,
        hash: [u8; 32],
    ) -> Result<MembershipProof, ProofError> {
        if self.0.is_empty() != (label.label_len == 0) {
            return Err(ProofError::Shape("a path that does not start at the root"));
        }

        let mut sibling_proofs = Vec::with_capacity(self.0.len());
        let mut above = None;
        for node in &self.0 {
            // The node above both is where they part. The first one is the root, the others lie deeper.
            let bits = if node.is_missing() { 0 } else { label::common(&label, &node.label) };
            let in_order = above.map_or(bits == 0, |above| bits > above);
            let beside =
                bits < label.label_len && (node.is_missing() || bits < node.label.label_len);
            if !in_order || !beside {
                return Err(ProofError::Shape("a node that is not beside the path"));
            }
            above = Some(bits);

            let right = label::goes_right(&label, bits);
            sibling_proofs.push(SiblingProof {
                label: label::prefix(&label, bits),
                siblings: [element(node)],
                direction: if right { Direction::Right } else { Direction::Left },
            });
        }
        Ok(MembershipProof { label, hash_val: AzksValue(hash), sibling_proofs })
    }

    /// A path from the form in which the tree gives it.
    #[cfg(feature = "server")]
    pub(crate) fn from_tree(proof: &MembershipProof) -> Self {
        Self(proof.sibling_proofs.iter().map(|step| node(&step.siblings[0])).collect())
    }
}

/// That a leaf is not in the tree: the two children of the node where the way to it ends, neither of which is
/// on the way.
///
/// That neither is on the way is checked here. The verification of `akd_core` 0.13 does not: it takes the two
/// children of any node that is on the way, even if the leaf is below one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Absence {
    label: [u8; 32],
    left: Node,
    right: Node,
    path: Path,
}

impl Encode for Absence {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.put(&self.label);
        self.left.encode(w)?;
        self.right.encode(w)?;
        self.path.encode(w)
    }
}

impl Decode for Absence {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let label = r.take_array()?;
        let left = Node::decode(r)?;
        let right = Node::decode(r)?;
        Ok(Self { label, left, right, path: Path::decode(r)? })
    }
}

impl Absence {
    /// The label of the leaf that is not there.
    pub(crate) fn label(&self) -> NodeLabel {
        label::leaf(self.label)
    }

    /// The proof in the form that the tree's verification takes.
    pub(crate) fn non_membership(&self) -> Result<NonMembershipProof, ProofError> {
        let above = self.above()?;
        let hash = tree::parent_hash(&self.left, &self.right);
        Ok(NonMembershipProof {
            label: self.label(),
            longest_prefix: above,
            longest_prefix_children: [element(&self.left), element(&self.right)],
            longest_prefix_membership_proof: self.path.membership(above, hash)?,
        })
    }

    /// The label of the node where the way ends.
    fn above(&self) -> Result<NodeLabel, ProofError> {
        let leaf = self.label();
        let (left, right) = (&self.left, &self.right);
        let one_missing = left.is_missing() || right.is_missing();
        let bits = if one_missing { 0 } else { label::common(&left.label, &right.label) };

        for (child, is_right) in [(left, false), (right, true)] {
            if child.is_missing() {
                continue;
            }
            let below = child.label.label_len > bits;
            if !below || label::goes_right(&child.label, bits) != is_right {
                return Err(ProofError::Shape("children that are on the wrong side"));
            }
            if label::common(&child.label, &leaf) == child.label.label_len {
                return Err(ProofError::Shape(
                    "an absent leaf could be below a node that is there",
                ));
            }
        }

        let above = label::prefix(&leaf, bits);
        if !one_missing && label::prefix(&left.label, bits) != above {
            return Err(ProofError::Shape("children that are not on the way to the absent leaf"));
        }
        Ok(above)
    }

    /// Every subtree of the tree, if the proof is right, ascending by their bits.
    pub(crate) fn subtrees(&self) -> Vec<Node> {
        let nodes = self.path.0.iter().chain([&self.left, &self.right]);
        let mut nodes: Vec<Node> = nodes.filter(|node| !node.is_missing()).copied().collect();
        nodes.sort_unstable_by_key(|node| node.label.label_val);
        nodes
    }

    /// A proof from the form in which the tree gives it.
    #[cfg(feature = "server")]
    pub(crate) fn from_tree(proof: &NonMembershipProof) -> Self {
        let [left, right] = &proof.longest_prefix_children;
        Self {
            label: proof.label.label_val,
            left: node(left),
            right: node(right),
            path: Path::from_tree(&proof.longest_prefix_membership_proof),
        }
    }
}

/// A node in the form that the tree's verification takes.
fn element(node: &Node) -> AzksElement {
    let label = if node.is_missing() { Hashing::empty_label() } else { node.label };
    AzksElement { label, value: AzksValue(node.hash) }
}

/// A node from the form in which the tree gives it.
#[cfg(feature = "server")]
fn node(element: &AzksElement) -> Node {
    if element.label == Hashing::empty_label() {
        return Node::missing();
    }
    Node { label: element.label, hash: element.value.0 }
}
