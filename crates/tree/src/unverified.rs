use crate::error::TreeError;
use crate::hashing::complete_hashes;
use crate::index::Feature;
use crate::leaf::{LEAF_LABEL, check_view};
use crate::parent_hash::{check_parent_hashes, check_unmerged_leaves};
use crate::read::TreeRead;
use crate::tree::RatchetTree;
use crate::view::{self, LeafView, ParentView, Source};
use alloc::boxed::Box;
use alloc::vec::Vec;
use conclave_crypto::{Suite, VerifyItem};
use conclave_wire::{
    CredentialType, Decode, DecodeError, Encode, GroupId, HpkePublicKey, LeafIndex, NodeIndex,
    NodeType, Reader, SignaturePublicKey, TreeSize, Writer,
};

/// A ratchet tree from outside that is well formed and has its hashes, but is not verified.
#[derive(Clone, Debug)]
pub struct UnverifiedTree {
    tree: RatchetTree,
}

impl UnverifiedTree {
    /// Decodes the data of a `ratchet_tree` extension (section 12.4.3.3), and computes each tree
    /// hash once. The memory used is proportional to the length of `bytes`.
    ///
    /// # Errors
    /// If the bytes do not encode such a tree: [`TreeError::Decode`], [`TreeError::Empty`],
    /// [`TreeError::TooLarge`], [`TreeError::LastNodeBlank`], [`TreeError::WrongNodeType`],
    /// [`TreeError::ParentWithoutLeaves`]; or if the provider fails.
    pub fn decode(suite: &Suite<'_>, bytes: &[u8]) -> Result<Self, TreeError> {
        Self::decode_within(suite, bytes, usize::MAX)
    }

    /// Like [`Self::decode`], for at most `max_leaves` leaves, including blank ones. A larger tree
    /// is refused before it takes memory.
    ///
    /// # Errors
    /// Those of [`Self::decode`], and [`TreeError::OverLimit`].
    pub fn decode_within(
        suite: &Suite<'_>,
        bytes: &[u8],
        max_leaves: usize,
    ) -> Result<Self, TreeError> {
        let nodes = decode_nodes(bytes, max_leaves)?;
        let last = nodes.last().ok_or(TreeError::Empty)?;
        if last.is_none() {
            return Err(TreeError::LastNodeBlank);
        }

        let leaves = u32::try_from(nodes.len() / 2 + 1).map_err(|_| TreeError::TooLarge)?;
        let size = TreeSize::for_leaves(leaves).ok_or(TreeError::TooLarge)?;
        check_leaf_count(size.leaf_count(), max_leaves)?;

        let mut tree = RatchetTree::from_nodes(suite, size, nodes)?;
        let mut all = (0..size.node_count()).map(NodeIndex);
        if let Some(node) =
            all.find(|node| tree.node(*node).is_some() && tree.leaf_count_below(*node) == 0)
        {
            return Err(TreeError::ParentWithoutLeaves { node });
        }

        complete_hashes(suite, &mut tree, size.root())?;
        Ok(Self { tree })
    }

    /// The tree hash of the root (section 7.8).
    #[must_use]
    pub fn tree_hash(&self) -> &[u8] {
        self.tree.tree_hash()
    }

    /// The length of the longest encoded leaf node in bytes.
    #[must_use]
    pub fn longest_leaf(&self) -> usize {
        let leaves = (0..self.tree.size().leaf_count()).map(|leaf| LeafIndex(leaf).node());
        leaves.filter_map(|node| self.tree.node(node).map(<[u8]>::len)).max().unwrap_or(0)
    }

    /// The tree hash of a node; `None` if the node is outside the tree.
    #[must_use]
    pub fn node_hash(&self, node: NodeIndex) -> Option<&[u8]> {
        self.tree.node_hash(node)
    }

    /// Performs a new member's checks of the tree (section 12.4.3.1): the rules and signatures of
    /// all leaves, the support of all credential types in use, the unmerged leaves, the uniqueness
    /// and validity of keys, and the parent hashes.
    ///
    /// The caller must check what depends on more than the tree: that the tree hash is the one in
    /// the GroupContext, the group's required capabilities, lifetimes, and credentials.
    ///
    /// # Errors
    /// The first rule that the tree breaks, with the node.
    pub fn verify(self, suite: &Suite<'_>, group_id: &GroupId) -> Result<RatchetTree, TreeError> {
        let tree = self.tree;
        check_leaves(&tree)?;
        tree.check_credential_support()?;
        check_unmerged_leaves(&tree)?;
        check_keys(suite, &tree)?;
        check_parent_hashes(suite, &tree)?;
        check_signatures(suite, &tree, group_id)?;
        Ok(tree)
    }
}

/// Splits a tree into its encoded nodes, and checks that each is well formed and of the type for
/// its place.
fn decode_nodes(bytes: &[u8], max_leaves: usize) -> Result<Vec<Option<Box<[u8]>>>, TreeError> {
    let mut outer = Reader::new(bytes);
    let mut r = outer.vector()?;
    if !outer.is_empty() {
        return Err(DecodeError::TrailingBytes(outer.rest().len()).into());
    }

    let mut nodes = Vec::new();
    while !r.is_empty() {
        let node = NodeIndex(u32::try_from(nodes.len()).map_err(|_| TreeError::TooLarge)?);
        if !TreeSize::MAX.has_node(node) {
            return Err(TreeError::TooLarge);
        }
        if let Some(leaf) = node.leaf() {
            check_leaf_count(leaf.0.saturating_add(1), max_leaves)?;
        }
        nodes.push(decode_node(&mut r, node)?);
    }
    Ok(nodes)
}

fn check_leaf_count(leaves: u32, max_leaves: usize) -> Result<(), TreeError> {
    let leaves = usize::try_from(leaves).unwrap_or(usize::MAX);
    if leaves <= max_leaves { Ok(()) } else { Err(TreeError::OverLimit { leaves }) }
}

fn decode_node(r: &mut Reader<'_>, node: NodeIndex) -> Result<Option<Box<[u8]>>, TreeError> {
    match u8::decode(r)? {
        0 => return Ok(None),
        1 => {}
        other => return Err(DecodeError::InvalidPresence(other).into()),
    }
    let kind = NodeType::decode(r)?;
    if (kind == NodeType::Leaf) != node.leaf().is_some() {
        return Err(TreeError::WrongNodeType { node });
    }

    let all = r.rest();
    match kind {
        NodeType::Leaf => LeafView::read(r).map(|_| ())?,
        NodeType::Parent => ParentView::read(r).map(|_| ())?,
    }
    Ok(all.get(..all.len() - r.rest().len()).map(Into::into))
}

fn check_leaves(tree: &RatchetTree) -> Result<(), TreeError> {
    for leaf in tree.members() {
        let Some(encoded) = tree.node(leaf.node()) else { continue };
        let view = LeafView::parse(encoded)?;
        check_view(&view).map_err(|rule| TreeError::LeafRule { leaf, rule })?;
    }
    Ok(())
}

/// Checks that keys are unique and valid (sections 7.3 and 12.4.3.1).
fn check_keys(suite: &Suite<'_>, tree: &RatchetTree) -> Result<(), TreeError> {
    let node_at = |node| tree.node(NodeIndex(node));
    let encryption = |node| node_at(node).and_then(view::encryption_key);
    if let Some((a, b)) = tree.index().equal_encryption_keys(encryption) {
        return Err(TreeError::DuplicateEncryptionKey { node: NodeIndex(a), other: NodeIndex(b) });
    }

    let signature = |node| node_at(node).and_then(view::signature_key);
    if let Some((a, b)) = tree.index().equal_signature_keys(signature) {
        let leaf = LeafIndex(a / 2);
        let other = LeafIndex(b / 2);
        return Err(TreeError::DuplicateSignatureKey { leaf, other });
    }

    for node in (0..tree.size().node_count()).map(NodeIndex) {
        if let Some(key) = tree.encryption_key(node) {
            suite
                .validate_hpke_public_key(&key)
                .map_err(|e| TreeError::of_input(e, TreeError::InvalidEncryptionKey { node }))?;
        }
    }
    Ok(())
}

/// The number of signatures in a batch: enough for a provider to batch them and spread them over
/// cores, but little memory compared to the tree.
const SIGNATURES: usize = 4096;

fn check_signatures(
    suite: &Suite<'_>,
    tree: &RatchetTree,
    group_id: &GroupId,
) -> Result<(), TreeError> {
    let members: Vec<LeafIndex> = tree.members().collect();
    for leaves in members.chunks(SIGNATURES) {
        let signed: Vec<(SignaturePublicKey, Vec<u8>, &[u8])> = leaves
            .iter()
            .map(|leaf| signed_content(tree, *leaf, group_id))
            .collect::<Result<_, _>>()?;
        let items: Vec<VerifyItem<'_>> = signed
            .iter()
            .map(|(public_key, message, signature)| VerifyItem { public_key, message, signature })
            .collect();

        suite.verify_many(&items).map_err(|(bad, e)| {
            let leaf = leaves.get(bad).copied().unwrap_or(LeafIndex(0));
            TreeError::of_input(e, TreeError::LeafSignature { leaf })
        })?;
    }
    Ok(())
}

/// A leaf's signature key, the SignContent of its LeafNodeTBS, and its signature.
fn signed_content<'a>(
    tree: &'a RatchetTree,
    leaf: LeafIndex,
    group_id: &GroupId,
) -> Result<(SignaturePublicKey, Vec<u8>, &'a [u8]), TreeError> {
    let view = LeafView::parse(tree.node(leaf.node()).unwrap_or_default())?;

    let mut w = Writer::new();
    w.put(view.signed);
    if view.source != Source::KeyPackage {
        group_id.encode(&mut w)?;
        leaf.encode(&mut w)?;
    }

    let message = Suite::sign_content(LEAF_LABEL, &w.finish())?;
    Ok((view.signature_key.into(), message, view.signature))
}

impl TreeRead for UnverifiedTree {
    fn size(&self) -> TreeSize {
        self.tree.size()
    }
    fn node(&self, node: NodeIndex) -> Option<&[u8]> {
        self.tree.node(node)
    }
    fn leaf_count_below(&self, node: NodeIndex) -> u32 {
        self.tree.leaf_count_below(node)
    }
    fn members_with(&self, feature: Feature) -> u32 {
        self.tree.members_with(feature)
    }
    fn credential_types_in_use(&self) -> Vec<CredentialType> {
        self.tree.credential_types_in_use()
    }
    fn member_with_signature_key(&self, key: &SignaturePublicKey) -> Option<LeafIndex> {
        self.tree.member_with_signature_key(key)
    }
    fn node_with_encryption_key(&self, key: &HpkePublicKey) -> Option<NodeIndex> {
        self.tree.node_with_encryption_key(key)
    }
}
