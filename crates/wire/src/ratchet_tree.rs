//! Parent nodes, the `ratchet_tree` extension, and the inputs of tree hashes and parent hashes
//! (sections 7.1, 7.8, 7.9 and 12.4.3.3).

use crate::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer, codec, small_enum};
use crate::ids::{Bytes, HpkePublicKey};
use crate::leaf_node::LeafNode;
use crate::tree_math::LeafIndex;
use alloc::boxed::Box;
use alloc::vec::Vec;

small_enum! {
    /// The kind of a node.
    NodeType {
        /// A leaf.
        Leaf = 1,
        /// A parent.
        Parent = 2,
    }
}

/// A non-blank parent node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParentNode {
    /// The public key; members below this node know its private key.
    pub encryption_key: HpkePublicKey,
    /// The parent hash of the nearest non-blank node above; empty for the root.
    pub parent_hash: Bytes,
    /// The leaves below this node that do not know the private key, in ascending order.
    pub unmerged_leaves: Vec<LeafIndex>,
}
codec!(ParentNode { encryption_key, parent_hash, unmerged_leaves });

/// A non-blank node of the ratchet tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A leaf.
    Leaf(Box<LeafNode>),
    /// A parent.
    Parent(ParentNode),
}

impl Encode for Node {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        match self {
            Self::Leaf(leaf) => {
                NodeType::Leaf.encode(w)?;
                leaf.encode(w)
            }
            Self::Parent(parent) => {
                NodeType::Parent.encode(w)?;
                parent.encode(w)
            }
        }
    }
}

impl Decode for Node {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match NodeType::decode(r)? {
            NodeType::Leaf => Ok(Self::Leaf(Decode::decode(r)?)),
            NodeType::Parent => Ok(Self::Parent(Decode::decode(r)?)),
        }
    }
}

/// The data of a `ratchet_tree` extension: the nodes from left to right, without trailing blank
/// ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RatchetTreeExtension {
    /// The nodes; `None` is a blank one.
    pub nodes: Vec<Option<Node>>,
}
codec!(RatchetTreeExtension { nodes });

/// LeafNodeHashInput as a TreeHashInput: the input of a leaf's tree hash.
#[derive(Clone, Copy, Debug)]
pub struct LeafNodeHashInput<'a> {
    /// The leaf's index.
    pub leaf_index: LeafIndex,
    /// The encoded LeafNode; `None` for a blank leaf.
    pub leaf_node: Option<&'a [u8]>,
}

fn put_optional(w: &mut Writer, encoded: Option<&[u8]>) -> Result<(), EncodeError> {
    u8::from(encoded.is_some()).encode(w)?;
    w.put(encoded.unwrap_or_default());
    Ok(())
}

impl Encode for LeafNodeHashInput<'_> {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        NodeType::Leaf.encode(w)?;
        self.leaf_index.encode(w)?;
        put_optional(w, self.leaf_node)
    }
}

/// ParentNodeHashInput as a TreeHashInput: the input of a parent's tree hash.
#[derive(Clone, Copy, Debug)]
pub struct ParentNodeHashInput<'a> {
    /// The encoded ParentNode; `None` for a blank parent.
    pub parent_node: Option<&'a [u8]>,
    /// The tree hash of the left child.
    pub left_hash: &'a [u8],
    /// The tree hash of the right child.
    pub right_hash: &'a [u8],
}

impl Encode for ParentNodeHashInput<'_> {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        NodeType::Parent.encode(w)?;
        put_optional(w, self.parent_node)?;
        w.put_opaque(self.left_hash)?;
        w.put_opaque(self.right_hash)
    }
}

/// ParentHashInput: the input of a node's parent hash, with one of its children as the copath
/// child.
#[derive(Clone, Copy, Debug)]
pub struct ParentHashInput<'a> {
    /// The node's key.
    pub encryption_key: &'a HpkePublicKey,
    /// The node's own parent hash; empty for the root.
    pub parent_hash: &'a [u8],
    /// The tree hash of the copath child without the leaves that are unmerged at the node.
    pub original_sibling_tree_hash: &'a [u8],
}

impl Encode for ParentHashInput<'_> {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.encryption_key.encode(w)?;
        w.put_opaque(self.parent_hash)?;
        w.put_opaque(self.original_sibling_tree_hash)
    }
}
