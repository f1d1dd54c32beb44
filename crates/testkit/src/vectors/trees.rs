//! Trees in the form of files, and trees that grow by commits as in a group.

use super::problem::{At, Problem, ensure};
use super::sample::Client;
use crate::SeededRng;
use conclave_crypto::{HpkeKeyPair, Secret, SignatureKeyPair, Suite};
use conclave_tree::{RatchetTree, StagedTree, TreeRead, UnverifiedTree, create_path};
use conclave_wire::{GroupId, LeafIndex, LeafNode, LeafNodeContext, LeafNodeSource, NodeIndex};
use std::collections::BTreeMap;

/// The tree of a `ratchet_tree`. It need only be well formed: files whose description does not ask for
/// a valid tree may hold invalid ones.
///
/// Only a tree from our own storage need not pass [`UnverifiedTree::verify`], so this function writes
/// the rows of [`RatchetTree::rows`] and loads them.
pub(super) fn load_unverified(
    suite: &Suite<'_>,
    unverified: &UnverifiedTree,
) -> Result<RatchetTree, Problem> {
    const ROW_VERSION: u8 = 1;
    let mut rows = Vec::new();
    for node in (0..unverified.size().node_count()).map(NodeIndex) {
        if unverified.leaf_count_below(node) == 0 {
            continue;
        }
        let encoded = unverified.node(node);
        let content = encoded.unwrap_or_default();
        let mut row = vec![ROW_VERSION, encoded.is_some().into()];
        row.extend(u32::try_from(content.len())?.to_be_bytes());
        row.extend(content);
        row.extend(unverified.node_hash(node).at("a node has no hash")?);
        rows.push((node.0, row));
    }
    Ok(RatchetTree::load(suite, unverified.size(), rows.into_iter())?)
}

/// A member's private part of a tree.
#[derive(Clone)]
pub(super) struct Member {
    pub(super) signer: SignatureKeyPair,
    pub(super) leaf: HpkeKeyPair,
    /// The path secrets of the parents whose private key it knows.
    pub(super) path_secrets: BTreeMap<NodeIndex, Secret>,
}

/// A tree with the private parts of all its members, changed by commits.
pub(super) struct Grown<'a> {
    suite: Suite<'a>,
    pub(super) group_id: GroupId,
    pub(super) tree: RatchetTree,
    pub(super) members: BTreeMap<LeafIndex, Member>,
}

impl<'a> Grown<'a> {
    /// A tree of one member.
    pub(super) fn new(suite: &Suite<'a>, rng: &mut SeededRng) -> Result<Self, Problem> {
        let client = Client::new(suite, "member 0", rng)?;
        let tree = RatchetTree::new(suite, &client.key_package.leaf_node)?;
        let members = BTreeMap::from([(LeafIndex(0), Member::of(client))]);
        Ok(Self { suite: *suite, group_id: rng.bytes(16).into(), tree, members })
    }

    /// `get_tree(n)` of the format's description: `n` members, each of which except the last has added
    /// the next.
    pub(super) fn of_size(suite: &Suite<'a>, n: u32, rng: &mut SeededRng) -> Result<Self, Problem> {
        let mut grown = Self::new(suite, rng)?;
        for committer in 0..n.saturating_sub(1) {
            grown.commit(committer, &[], 1, rng)?;
        }
        Ok(grown)
    }

    /// The tree of RFC 9420 section 7.9: a leaf that is unmerged at two nodes, and below them a blank node
    /// that parent hashes skip. (Its appendix B describes how such a tree arises.)
    pub(super) fn figure_20(suite: &Suite<'a>, rng: &mut SeededRng) -> Result<Self, Problem> {
        let a = 0;
        let e = 4;
        let f = 5;
        let mut grown = Self::new(suite, rng)?;
        grown.commit(a, &[], 6, rng)?;
        grown.commit(a, &[f], 0, rng)?;
        grown.commit(e, &[], 0, rng)?;
        grown.add_without_path(rng)?;
        Ok(grown)
    }

    /// A commit with a path: removes members, adds new ones, renews the committer's keys.
    pub(super) fn commit(
        &mut self,
        committer: u32,
        removed: &[u32],
        added: u32,
        rng: &mut SeededRng,
    ) -> Result<(), Problem> {
        let committer = LeafIndex(committer);
        let removed: Vec<LeafIndex> = removed.iter().copied().map(LeafIndex).collect();
        let mut staged = StagedTree::new(&self.tree);
        staged.remove_leaves(&removed)?;
        let mut members = self.members.clone();
        members.retain(|leaf, _| !removed.contains(leaf));
        for _ in 0..added {
            let client = Client::new(&self.suite, &format!("member {}", members.len()), rng)?;
            let leaf = staged.add_leaf(&client.key_package.leaf_node)?;
            members.insert(leaf, Member::of(client));
        }

        let me = members.get_mut(&committer).at("the committer is no member")?;
        let template = staged.leaf(committer).at("the committer is not in the tree")?;
        let suite = &self.suite;
        let group_id = &self.group_id;
        let path = create_path(suite, &mut staged, committer, template, &me.signer, group_id, rng)?;
        me.leaf = path.leaf_key;
        for (leaf, member) in &mut members {
            // Drop the secrets of blanked nodes; the path replaces those of its own nodes.
            member.path_secrets.retain(|node, _| staged.node(*node).is_some());
            for (node, secret) in &path.keys.secrets {
                if node.covers(leaf.node()) {
                    member.path_secrets.insert(*node, secret.clone());
                }
            }
        }

        let mut delta = staged.into_delta(&self.suite)?;
        self.tree.swap(&mut delta);
        self.members = members;
        Ok(())
    }

    /// A commit without a path that adds a member.
    pub(super) fn add_without_path(&mut self, rng: &mut SeededRng) -> Result<(), Problem> {
        let client = Client::new(&self.suite, "member without a path", rng)?;
        let mut staged = StagedTree::new(&self.tree);
        let leaf = staged.add_leaf(&client.key_package.leaf_node)?;
        let mut delta = staged.into_delta(&self.suite)?;
        self.tree.swap(&mut delta);
        self.members.insert(leaf, Member::of(client));
        Ok(())
    }

    /// A leaf node for an Update proposal of a member.
    pub(super) fn update(&self, leaf: LeafIndex, rng: &mut SeededRng) -> Result<LeafNode, Problem> {
        let member = self.members.get(&leaf).at("the updater is no member")?;
        let mut node = self.tree.leaf(leaf).at("the updater is not in the tree")?;
        node.encryption_key = self.suite.hpke_key_pair(rng)?.public;
        node.leaf_node_source = LeafNodeSource::Update;
        let context = LeafNodeContext { group_id: &self.group_id, leaf_index: leaf };
        conclave_tree::sign_leaf(&self.suite, &mut node, &member.signer, context)?;
        Ok(node)
    }

    /// The tree as in a `ratchet_tree` extension, after a check that it is valid.
    pub(super) fn encode(&self) -> Result<Vec<u8>, Problem> {
        let bytes = self.tree.to_extension_bytes()?;
        let again = UnverifiedTree::decode(&self.suite, &bytes)?;
        ensure(again.tree_hash() == self.tree.tree_hash(), "the tree's hash is not its own")?;
        again.verify(&self.suite, &self.group_id)?;
        Ok(bytes)
    }
}

impl Member {
    fn of(client: Client) -> Self {
        let Client { signer, leaf, .. } = client;
        Self { signer, leaf, path_secrets: BTreeMap::new() }
    }
}
