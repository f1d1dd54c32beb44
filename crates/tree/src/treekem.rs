//! Update paths: creating, sealing, merging and opening them (sections 7.4 to 7.6 and 7.9).

use crate::error::TreeError;
use crate::leaf::sign_leaf;
use crate::parent_hash::parent_hash;
use crate::read::TreeRead;
use crate::staged::StagedTree;
use alloc::vec::Vec;
use conclave_crypto::{CryptoRng, HpkeKeyPair, HpkePrivateKey, Secret, SignatureKeyPair, Suite};
use conclave_wire::{
    Bytes, GroupId, HpkePublicKey, LeafIndex, LeafNode, LeafNodeContext, LeafNodeSource, NodeIndex,
    ParentNode, UpdatePath, UpdatePathNode,
};

/// The label of an encrypted path secret (section 7.6).
const PATH_LABEL: &[u8] = b"UpdatePathNode";

/// The secrets of an update path and the keys derived from them, from one node of the sender's
/// filtered direct path up to the root.
#[derive(Clone, Debug)]
pub struct PathKeys {
    /// The path secrets, from the lowest node up.
    pub secrets: Vec<(NodeIndex, Secret)>,
    /// The private keys of the same nodes.
    pub keys: Vec<(NodeIndex, HpkePrivateKey)>,
    /// The path secret one step after the last (section 8).
    pub commit_secret: Secret,
}

impl PathKeys {
    /// The path secret of a node, for the Welcome of a new member below it (section 12.4.3.1).
    #[must_use]
    pub fn path_secret(&self, node: NodeIndex) -> Option<&Secret> {
        self.secrets.iter().find(|(n, _)| *n == node).map(|(_, secret)| secret)
    }
}

/// An update path that its sender created and has not sealed yet.
#[derive(Clone, Debug)]
pub struct NewPath {
    /// The sender's new, signed leaf node.
    pub leaf_node: LeafNode,
    /// The key pair of the new leaf node.
    pub leaf_key: HpkeKeyPair,
    /// The secrets and private keys of the sender's filtered direct path.
    pub keys: PathKeys,
    /// The public keys of the same nodes.
    pub public_keys: Vec<HpkePublicKey>,
}

/// Derives the key pair of a path secret (section 7.4).
fn node_key(suite: &Suite<'_>, path_secret: &Secret) -> Result<HpkeKeyPair, TreeError> {
    Ok(suite.derive_key_pair(&suite.derive_secret(path_secret, b"node")?)?)
}

/// What a path's keys derive from: all that is random in it.
#[derive(Clone, Debug)]
pub struct PathOrigin {
    /// The input of `DeriveKeyPair` for the leaf's key pair.
    pub leaf: Secret,
    /// The path secret of the lowest node of the filtered direct path: `KDF.Nh` bytes.
    pub path: Secret,
}

impl PathOrigin {
    /// A fresh origin.
    #[must_use]
    pub fn random(suite: &Suite<'_>, rng: &mut dyn CryptoRng) -> Self {
        Self {
            leaf: Secret::random(suite.params().kem.seed_len(), rng),
            path: Secret::random(suite.nh(), rng),
        }
    }
}

/// Creates fresh keys for a leaf and its filtered direct path, and puts them into the tree (section
/// 7.5): blanks the direct path, sets keys and parent hashes, and sets the signed leaf with source
/// `commit`.
///
/// `sender` is a member's leaf, or the leaf from [`StagedTree::place_leaf`]. `template` is the new
/// leaf; its encryption key, source and signature are replaced.
///
/// # Errors
/// [`TreeError::NoSuchLeaf`]; or if the key pair is invalid or the provider fails.
pub fn create_path(
    suite: &Suite<'_>,
    tree: &mut StagedTree<'_>,
    sender: LeafIndex,
    template: LeafNode,
    signer: &SignatureKeyPair,
    group_id: &GroupId,
    rng: &mut dyn CryptoRng,
) -> Result<NewPath, TreeError> {
    let origin = PathOrigin::random(suite, rng);
    create_path_from(suite, tree, sender, template, signer, group_id, origin)
}

/// [`create_path`] with keys from a given origin, which must not be used again.
///
/// # Errors
/// Those of [`create_path`]; [`TreeError::PathKeyInTree`] if the origin was used before and one of
/// its keys is still in the tree.
pub fn create_path_from(
    suite: &Suite<'_>,
    tree: &mut StagedTree<'_>,
    sender: LeafIndex,
    template: LeafNode,
    signer: &SignatureKeyPair,
    group_id: &GroupId,
    origin: PathOrigin,
) -> Result<NewPath, TreeError> {
    let path = tree.filtered_direct_path(sender);
    let leaf_key = suite.derive_key_pair(&origin.leaf)?;

    // section 7.4: path secrets, and the key pairs of their nodes
    let mut next = origin.path;
    let mut secrets = Vec::with_capacity(path.len());
    let mut node_secrets = Vec::with_capacity(path.len());
    for (node, _) in &path {
        node_secrets.push(suite.derive_secret(&next, b"node")?);
        let after = suite.derive_secret(&next, b"path")?;
        secrets.push((*node, core::mem::replace(&mut next, after)));
    }
    let mut keys = Vec::new();
    let mut public_keys = Vec::new();
    for ((node, _), key_pair) in path.iter().zip(suite.derive_key_pairs(&node_secrets)?) {
        keys.push((*node, key_pair.private));
        public_keys.push(key_pair.public);
    }

    // section 12.4.2: what others would refuse
    let leaf = core::iter::once((sender.node(), &leaf_key.public));
    for (node, key) in leaf.chain(path.iter().map(|(node, _)| *node).zip(&public_keys)) {
        if let Some(other) = tree.find_encryption_key(key) {
            return Err(TreeError::PathKeyInTree { node, other });
        }
    }

    // section 7.9: parent hashes
    let (parents, leaf_parent_hash) = link_path(suite, tree, &path, &public_keys)?;

    let mut leaf_node = template;
    leaf_node.encryption_key = leaf_key.public.clone();
    leaf_node.leaf_node_source = LeafNodeSource::Commit(leaf_parent_hash);
    sign_leaf(suite, &mut leaf_node, signer, LeafNodeContext { group_id, leaf_index: sender })?;
    put_path(tree, sender, &leaf_node, &parents)?;

    let keys = PathKeys { secrets, keys, commit_secret: next };
    Ok(NewPath { leaf_node, leaf_key, keys, public_keys })
}

/// The parent nodes of a path with their parent hashes, and the parent hash of the leaf.
///
/// The hash of each node covers its copath child in its current state, because no leaf is unmerged
/// after a path.
fn link_path(
    suite: &Suite<'_>,
    tree: &mut StagedTree<'_>,
    path: &[(NodeIndex, NodeIndex)],
    public_keys: &[HpkePublicKey],
) -> Result<(Vec<(NodeIndex, ParentNode)>, Bytes), TreeError> {
    let mut parents = Vec::with_capacity(path.len());
    let mut above = Bytes::default();
    for ((node, copath_child), key) in path.iter().zip(public_keys).rev() {
        let sibling_hash = tree.node_hash(suite, *copath_child)?;
        let hash = parent_hash(suite, key, &above, &sibling_hash)?;
        let hash = Bytes::from(hash.as_ref());
        let parent = ParentNode {
            encryption_key: key.clone(),
            parent_hash: core::mem::replace(&mut above, hash),
            unmerged_leaves: Vec::new(),
        };
        parents.push((*node, parent));
    }
    Ok((parents, above))
}

fn put_path(
    tree: &mut StagedTree<'_>,
    sender: LeafIndex,
    leaf: &LeafNode,
    parents: &[(NodeIndex, ParentNode)],
) -> Result<(), TreeError> {
    tree.set_leaf_blanking_path(sender, leaf)?;
    parents.iter().try_for_each(|(node, parent)| tree.set_parent(*node, parent))
}

/// The nodes of leaves, in ascending order.
fn as_nodes(leaves: &[LeafIndex]) -> Vec<NodeIndex> {
    let mut nodes: Vec<NodeIndex> = leaves.iter().map(|leaf| leaf.node()).collect();
    nodes.sort_unstable();
    nodes
}

/// The nodes that a path secret is encrypted to: the resolution of the copath child without new
/// leaves.
fn recipients(tree: &StagedTree<'_>, copath_child: NodeIndex, new: &[NodeIndex]) -> Vec<NodeIndex> {
    let mut nodes = tree.resolution(copath_child);
    if !new.is_empty() {
        nodes.retain(|node| new.binary_search(node).is_err());
    }
    nodes
}

/// Encrypts a path's secrets to the resolutions of the copath in one batch (section 7.5).
///
/// `group_context` is the encoded provisional GroupContext. `new_leaves` are the leaves that the
/// same commit adds, whose members get their secrets from the Welcome.
///
/// # Errors
/// If a key in the tree is invalid, or the provider fails.
pub fn seal_path(
    suite: &Suite<'_>,
    tree: &StagedTree<'_>,
    sender: LeafIndex,
    path: &NewPath,
    group_context: &[u8],
    new_leaves: &[LeafIndex],
    rng: &mut dyn CryptoRng,
) -> Result<UpdatePath, TreeError> {
    let new = as_nodes(new_leaves);
    let mut keys: Vec<HpkePublicKey> = Vec::new();
    let mut counts = Vec::with_capacity(path.public_keys.len());
    for (_, copath_child) in tree.filtered_direct_path(sender) {
        let nodes = recipients(tree, copath_child, &new);
        counts.push(nodes.len());
        keys.extend(nodes.into_iter().filter_map(|node| tree.encryption_key(node)));
    }

    let secrets = path.keys.secrets.iter().zip(&counts);
    let secrets = secrets.flat_map(|((_, secret), n)| core::iter::repeat_n(secret.expose(), *n));
    let sealed: Vec<(&HpkePublicKey, &[u8])> = keys.iter().zip(secrets).collect();
    let sealed = suite.encrypt_many_with_label(&sealed, PATH_LABEL, group_context, rng)?;

    let mut sealed = sealed.into_iter();
    let nodes = path.public_keys.iter().zip(counts).map(|(key, n)| UpdatePathNode {
        encryption_key: key.clone(),
        encrypted_path_secret: sealed.by_ref().take(n).collect(),
    });
    Ok(UpdatePath { leaf_node: path.leaf_node.clone(), nodes: nodes.collect() })
}

/// Checks an update path against the tree with its proposals applied, and puts it into the tree
/// (sections 7.5 and 12.4.2). This needs no secret, so that observers can follow.
///
/// `sender` and `new_leaves` are as in [`create_path`] and [`seal_path`]. The caller must check the
/// leaf's own rules and its signature before, and [`StagedTree::check_unique_keys`] after.
///
/// # Errors
/// The first rule that the path breaks.
pub fn merge_path(
    suite: &Suite<'_>,
    tree: &mut StagedTree<'_>,
    sender: LeafIndex,
    path: &UpdatePath,
    new_leaves: &[LeafIndex],
) -> Result<(), TreeError> {
    let LeafNodeSource::Commit(claimed) = &path.leaf_node.leaf_node_source else {
        return Err(TreeError::PathLeafSource);
    };
    if !tree.size().has_leaf(sender) {
        return Err(TreeError::NoSuchLeaf { leaf: sender });
    }

    let nodes = tree.filtered_direct_path(sender);
    check_counts(tree, &nodes, path, &as_nodes(new_leaves))?;
    check_path_keys(suite, tree, sender, &nodes, path)?;

    // section 7.9: parent hashes
    let keys: Vec<HpkePublicKey> = path.nodes.iter().map(|n| n.encryption_key.clone()).collect();
    let (parents, leaf_parent_hash) = link_path(suite, tree, &nodes, &keys)?;
    if *claimed != leaf_parent_hash {
        return Err(TreeError::PathParentHash);
    }

    put_path(tree, sender, &path.leaf_node, &parents)
}

/// Checks the numbers of nodes and ciphertexts of a path (section 7.6).
fn check_counts(
    tree: &StagedTree<'_>,
    nodes: &[(NodeIndex, NodeIndex)],
    path: &UpdatePath,
    new: &[NodeIndex],
) -> Result<(), TreeError> {
    if nodes.len() != path.nodes.len() {
        return Err(TreeError::PathLength { expected: nodes.len(), found: path.nodes.len() });
    }

    for ((node, copath_child), path_node) in nodes.iter().zip(&path.nodes) {
        let expected = recipients(tree, *copath_child, new).len();
        let found = path_node.encrypted_path_secret.len();
        if expected != found {
            return Err(TreeError::PathCiphertexts { node: *node, expected, found });
        }
    }
    Ok(())
}

/// Checks that each key of a path is valid, not in the tree, and in the path only once (section
/// 12.4.2).
fn check_path_keys(
    suite: &Suite<'_>,
    tree: &StagedTree<'_>,
    sender: LeafIndex,
    nodes: &[(NodeIndex, NodeIndex)],
    path: &UpdatePath,
) -> Result<(), TreeError> {
    let mut keys: Vec<(&HpkePublicKey, NodeIndex)> = Vec::with_capacity(nodes.len() + 1);
    keys.push((&path.leaf_node.encryption_key, sender.node()));
    keys.extend(path.nodes.iter().zip(nodes).map(|(n, (node, _))| (&n.encryption_key, *node)));

    for (key, node) in &keys {
        suite
            .validate_hpke_public_key(key)
            .map_err(|e| TreeError::of_input(e, TreeError::InvalidEncryptionKey { node: *node }))?;
        if let Some(other) = tree.find_encryption_key(key) {
            return Err(TreeError::PathKeyInTree { node: *node, other });
        }
    }

    keys.sort_unstable();
    for pair in keys.windows(2) {
        if let [(a, _), (b, node)] = pair
            && a == b
        {
            return Err(TreeError::PathKeyRepeated { node: *node });
        }
    }
    Ok(())
}

/// Opens a member's part of an update path (section 7.5): decrypts the path secret of the lowest
/// common ancestor of sender and member, derives all secrets and keys from there up, and checks
/// them against the path.
///
/// `tree` is the tree after [`merge_path`]. `private` returns the member's private keys from before
/// this commit's path: of its leaf (the new one, if the commit updates it) and of the parents
/// above. `group_context` and `new_leaves` are as in [`seal_path`].
///
/// # Errors
/// If the member cannot open the path, or the path's keys do not match its secrets.
#[allow(clippy::too_many_arguments)]
pub fn open_path(
    suite: &Suite<'_>,
    tree: &StagedTree<'_>,
    sender: LeafIndex,
    me: LeafIndex,
    private: &dyn Fn(NodeIndex) -> Option<HpkePrivateKey>,
    path: &UpdatePath,
    group_context: &[u8],
    new_leaves: &[LeafIndex],
) -> Result<PathKeys, TreeError> {
    let outside = TreeError::NotARecipient { leaf: me };

    // the lowest common ancestor, and the ciphertexts of its path secret
    let nodes = tree.filtered_direct_path(sender);
    let covers_me = |(_, copath_child): &(NodeIndex, NodeIndex)| copath_child.covers(me.node());
    let at = nodes.iter().position(covers_me).ok_or(outside)?;
    let (_, copath_child) = nodes.get(at).ok_or(outside)?;
    let resolution = recipients(tree, *copath_child, &as_nodes(new_leaves));
    let sealed = &path.nodes.get(at).ok_or(outside)?.encrypted_path_secret;

    let mut openable = resolution.iter().zip(sealed).filter(|(node, _)| node.covers(me.node()));
    let (key_pair, ciphertext) = openable
        .find_map(|(node, ciphertext)| {
            let key_pair =
                HpkeKeyPair { private: private(*node)?, public: tree.encryption_key(*node)? };
            Some((key_pair, ciphertext))
        })
        .ok_or(TreeError::NoPrivateKey { leaf: me })?;

    let secret = suite.decrypt_with_label(&key_pair, PATH_LABEL, group_context, ciphertext)?;
    derive_path(suite, tree, nodes.get(at..).unwrap_or_default(), secret)
}

/// Derives a new member's keys from the path secret in its Welcome (section 12.4.3.1): those of the
/// lowest common ancestor of the member and the signer, and of the nodes above. They are checked
/// against the tree. A new member does not need the `commit_secret` in the result.
///
/// # Errors
/// If the tree's keys do not match the secret, or `me` and `signer` are the same.
pub fn keys_from_path_secret(
    suite: &Suite<'_>,
    tree: &impl TreeRead,
    me: LeafIndex,
    signer: LeafIndex,
    path_secret: &Secret,
) -> Result<PathKeys, TreeError> {
    let outside = TreeError::NotARecipient { leaf: me };
    let nodes = tree.filtered_direct_path(signer);
    let covers_me = |(_, copath_child): &(NodeIndex, NodeIndex)| copath_child.covers(me.node());
    let at = nodes.iter().position(covers_me).ok_or(outside)?;
    derive_path(suite, tree, nodes.get(at..).unwrap_or_default(), path_secret.clone())
}

/// Derives secrets and keys along a path from the path secret of its first node, and checks that
/// the tree has these keys.
fn derive_path(
    suite: &Suite<'_>,
    tree: &impl TreeRead,
    nodes: &[(NodeIndex, NodeIndex)],
    path_secret: Secret,
) -> Result<PathKeys, TreeError> {
    if path_secret.len() != suite.nh() {
        return Err(TreeError::PathSecretLength);
    }

    let mut next = path_secret;
    let mut secrets = Vec::new();
    let mut keys = Vec::new();
    for (node, _) in nodes {
        let key_pair = node_key(suite, &next)?;
        if tree.encryption_key(*node).as_ref() != Some(&key_pair.public) {
            return Err(TreeError::PathKeyMismatch { node: *node });
        }
        keys.push((*node, key_pair.private));
        let after = suite.derive_secret(&next, b"path")?;
        secrets.push((*node, core::mem::replace(&mut next, after)));
    }
    Ok(PathKeys { secrets, keys, commit_secret: next })
}
