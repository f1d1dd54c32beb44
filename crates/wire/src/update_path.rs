//! Update paths (section 7.6).

use crate::codec::codec;
use crate::ids::{Bytes, HpkePublicKey};
use crate::leaf_node::LeafNode;
use alloc::vec::Vec;

/// A ciphertext of a public-key encryption (section 5.1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HpkeCiphertext {
    /// The encapsulated key.
    pub kem_output: Bytes,
    /// The ciphertext.
    pub ciphertext: Bytes,
}
codec!(HpkeCiphertext { kem_output, ciphertext });

/// The new key of one node of a filtered direct path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdatePathNode {
    /// The node's new public key.
    pub encryption_key: HpkePublicKey,
    /// The node's path secret, encrypted to each node in the resolution of its copath child.
    pub encrypted_path_secret: Vec<HpkeCiphertext>,
}
codec!(UpdatePathNode { encryption_key, encrypted_path_secret });

/// New keys for a leaf and its filtered direct path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdatePath {
    /// The sender's new leaf node.
    pub leaf_node: LeafNode,
    /// The nodes of the filtered direct path, from the leaf up.
    pub nodes: Vec<UpdatePathNode>,
}
codec!(UpdatePath { leaf_node, nodes });
