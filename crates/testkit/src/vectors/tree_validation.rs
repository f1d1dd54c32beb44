//! Resolutions, tree hashes, parent hashes and signatures (RFC 9420 sections 4.1.1, 7.8, 7.9 and
//! 12.4.3.1).

use super::compare::{same, same_value};
use super::hex::Hex;
use super::problem::{At, Problem};
use super::trees::Grown;
use super::{Kind, SuiteVector};
use crate::SeededRng;
use conclave_crypto::Suite;
use conclave_tree::{TreeRead, UnverifiedTree};
use conclave_wire::{GroupId, NodeIndex};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(super) struct TreeValidation {
    cipher_suite: u16,
    tree: Hex,
    group_id: Hex,
    resolutions: Vec<Vec<u32>>,
    tree_hashes: Vec<Hex>,
}

fn resolution(tree: &impl TreeRead, node: NodeIndex) -> Vec<u32> {
    tree.resolution(node).into_iter().map(|n| n.0).collect()
}

impl SuiteVector for TreeValidation {
    fn cipher_suite(&self) -> u16 {
        self.cipher_suite
    }

    fn check(&self, suite: &Suite<'_>, _: &mut SeededRng) -> Result<(), Problem> {
        let tree = UnverifiedTree::decode(suite, &self.tree).at("tree")?;
        let nodes = tree.size().node_count();
        same_value("the number of resolutions", &(nodes as usize), &self.resolutions.len())?;
        same_value("the number of tree hashes", &(nodes as usize), &self.tree_hashes.len())?;
        let each = (0..nodes).zip(&self.resolutions).zip(&self.tree_hashes);
        for ((i, listed), tree_hash) in each {
            let node = NodeIndex(i);
            let computed = resolution(&tree, node);
            same_value(format_args!("the resolution of node {i}"), &computed, listed)?;
            let hash = tree.node_hash(node).at("a node has no tree hash")?;
            same(format_args!("the tree hash of node {i}"), hash, tree_hash)?;
        }

        let group_id = GroupId::from(&self.group_id);
        let verified = tree.verify(suite, &group_id).at("the tree is not valid")?;
        verified.check_caches(suite)?;
        same("tree, encoded again,", &verified.to_extension_bytes()?, &self.tree)
    }

    fn generate(_: Kind, suite: &Suite<'_>, rng: &mut SeededRng) -> Result<Vec<Self>, Problem> {
        // A full tree, and one with blanks at its end.
        let mut trees = vec![Grown::of_size(suite, 2, rng)?, Grown::of_size(suite, 5, rng)?];
        // Blanks inside, and blanks that the parent hashes skip.
        for (removed, added) in [(&[2, 3][..], 1), (&[1, 2, 3], 0)] {
            let mut grown = Grown::of_size(suite, 8, rng)?;
            grown.commit(0, removed, added, rng)?;
            trees.push(grown);
        }
        // Unmerged leaves, and unmerged leaves below skipped blanks.
        let mut grown = Grown::of_size(suite, 7, rng)?;
        grown.commit(0, &[], 1, rng)?;
        trees.extend([grown, Grown::figure_20(suite, rng)?]);
        trees.iter().map(|grown| Self::of(suite, grown)).collect()
    }
}

impl TreeValidation {
    fn of(suite: &Suite<'_>, grown: &Grown<'_>) -> Result<Self, Problem> {
        let bytes = grown.encode()?;
        let tree = UnverifiedTree::decode(suite, &bytes)?;
        let nodes = (0..tree.size().node_count()).map(NodeIndex);
        let hash = |node| tree.node_hash(node).map(Hex::of).at("a node has no tree hash");
        Ok(Self {
            cipher_suite: suite.cipher_suite().0,
            group_id: Hex::of(&grown.group_id),
            resolutions: nodes.clone().map(|node| resolution(&tree, node)).collect(),
            tree_hashes: nodes.map(hash).collect::<Result<_, _>>()?,
            tree: bytes.into(),
        })
    }
}
