use crate::error::TreeError;
use crate::index::Feature;
use crate::view::{self, ParentView};
use alloc::boxed::Box;
use alloc::vec::Vec;
use conclave_wire::{
    CredentialType, Decode, EncodeError, ExtensionType, HpkePublicKey, LeafIndex, LeafNode,
    NodeIndex, NodeType, ParentNode, ProposalType, SignaturePublicKey, TreeSize, Writer,
};

/// The signature key in an encoded leaf node, read without decoding the rest.
#[must_use]
pub fn encoded_signature_key(leaf_node: &[u8]) -> Option<SignaturePublicKey> {
    view::signature_key(leaf_node).map(Into::into)
}

/// The questions that every tree answers, whether it belongs to an epoch or is being staged.
pub trait TreeRead {
    /// The number of leaves, including blank ones.
    fn size(&self) -> TreeSize;

    /// A node's encoding: a LeafNode for even nodes, a ParentNode for odd ones. `None` if the node
    /// is blank or outside the tree.
    fn node(&self, node: NodeIndex) -> Option<&[u8]>;

    /// The number of non-blank leaves at or below a node.
    fn leaf_count_below(&self, node: NodeIndex) -> u32;

    /// The number of members with a feature. O(log n).
    fn members_with(&self, feature: Feature) -> u32;

    /// The credential types that members have, in ascending order.
    fn credential_types_in_use(&self) -> Vec<CredentialType>;

    /// The member with a signature key. O(log n).
    fn member_with_signature_key(&self, key: &SignaturePublicKey) -> Option<LeafIndex>;

    /// A node with an encryption key. O(log n).
    fn node_with_encryption_key(&self, key: &HpkePublicKey) -> Option<NodeIndex>;

    /// Decodes a leaf. `None` if it is blank or outside the tree.
    fn leaf(&self, leaf: LeafIndex) -> Option<LeafNode> {
        LeafNode::from_bytes(self.node(leaf.node())?).ok()
    }

    /// Decodes a parent. `None` if the node is blank, outside the tree, or a leaf.
    fn parent(&self, node: NodeIndex) -> Option<ParentNode> {
        if node.leaf().is_some() {
            return None;
        }
        ParentNode::from_bytes(self.node(node)?).ok()
    }

    /// Whether a leaf is among the unmerged leaves of a parent. `None` if the node is blank, outside
    /// the tree, or a leaf.
    fn is_unmerged(&self, parent: NodeIndex, leaf: LeafIndex) -> Option<bool> {
        if parent.leaf().is_some() {
            return None;
        }
        let parent = ParentView::parse(self.node(parent)?).ok()?;
        Some(parent.unmerged_leaves().any(|unmerged| unmerged == leaf.0))
    }

    /// Whether there is a member at a leaf.
    fn is_member(&self, leaf: LeafIndex) -> bool {
        self.node(leaf.node()).is_some()
    }

    /// A node's encryption key.
    fn encryption_key(&self, node: NodeIndex) -> Option<HpkePublicKey> {
        view::encryption_key(self.node(node)?).map(Into::into)
    }

    /// A member's signature key.
    fn signature_key(&self, leaf: LeafIndex) -> Option<SignaturePublicKey> {
        view::signature_key(self.node(leaf.node())?).map(Into::into)
    }

    /// The resolution of a node: the nearest non-blank nodes, from left to right, that cover all
    /// members below it (section 4.1.1).
    ///
    /// In an unverified tree, the unmerged leaves among them can be any numbers.
    fn resolution(&self, node: NodeIndex) -> Vec<NodeIndex> {
        let mut resolution = Vec::new();
        let mut open = alloc::vec![node];
        while let Some(at) = open.pop() {
            if self.leaf_count_below(at) == 0 {
                continue;
            }
            match (at.children(), self.node(at)) {
                // A leaf with a count of 1 is a member.
                (None, _) => resolution.push(at),
                (Some(_), Some(encoded)) => {
                    resolution.push(at);
                    if let Ok(parent) = ParentView::parse(encoded) {
                        resolution.extend(parent.unmerged_leaves().map(|l| LeafIndex(l).node()));
                    }
                }
                (Some((left, right)), None) => open.extend([right, left]),
            }
        }
        resolution
    }

    /// The filtered direct path of a leaf, from the leaf up, each node with its child on the copath
    /// (section 4.1.2). It is empty for a leaf outside the tree. O(log n).
    fn filtered_direct_path(&self, leaf: LeafIndex) -> Vec<(NodeIndex, NodeIndex)> {
        if !self.size().has_leaf(leaf) {
            return Vec::new();
        }

        // A resolution is empty if and only if the subtree has no member.
        self.size()
            .direct_and_copath(leaf.node())
            .filter(|(_, copath_child)| self.leaf_count_below(*copath_child) > 0)
            .collect()
    }

    /// The leaves of the members, in ascending order.
    fn members(&self) -> Box<dyn Iterator<Item = LeafIndex> + '_> {
        let leaves = 0..self.size().leaf_count();
        Box::new(leaves.map(LeafIndex).filter(|leaf| self.is_member(*leaf)))
    }

    /// The number of members.
    fn member_count(&self) -> u32 {
        self.leaf_count_below(self.size().root())
    }

    /// Whether all members support an extension type. The default types are always supported.
    fn all_support_extension(&self, kind: ExtensionType) -> bool {
        kind.is_default() || self.members_with(Feature::Extension(kind)) == self.member_count()
    }

    /// Whether all members support a proposal type. The default types are always supported.
    fn all_support_proposal(&self, kind: ProposalType) -> bool {
        kind.is_default() || self.members_with(Feature::Proposal(kind)) == self.member_count()
    }

    /// Whether all members support a credential type.
    fn all_support_credential(&self, kind: CredentialType) -> bool {
        self.members_with(Feature::Credential(kind)) == self.member_count()
    }

    /// Checks that all members support each credential type in use (section 7.3).
    ///
    /// # Errors
    /// [`TreeError::CredentialUnsupported`].
    fn check_credential_support(&self) -> Result<(), TreeError> {
        let in_use = self.credential_types_in_use();
        match in_use.into_iter().find(|kind| !self.all_support_credential(*kind)) {
            Some(kind) => Err(TreeError::CredentialUnsupported(kind)),
            None => Ok(()),
        }
    }

    /// Encodes the tree as the data of a `ratchet_tree` extension (section 12.4.3.3).
    ///
    /// # Errors
    /// If the encoding is longer than a vector can be.
    fn to_extension_bytes(&self) -> Result<Vec<u8>, EncodeError> {
        let end = (0..self.size().node_count())
            .rev()
            .find(|i| self.node(NodeIndex(*i)).is_some())
            .map_or(0, |last| last + 1);

        let mut w = Writer::new();
        w.put_vector(|w| {
            for node in (0..end).map(NodeIndex) {
                let kind = if node.leaf().is_some() { NodeType::Leaf } else { NodeType::Parent };
                match self.node(node) {
                    None => w.put(&[0]),
                    Some(encoded) => {
                        w.put(&[1, kind as u8]);
                        w.put(encoded);
                    }
                }
            }
            Ok(())
        })?;
        Ok(w.finish())
    }
}
