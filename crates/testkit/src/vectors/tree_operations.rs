//! Adding, updating and removing leaves (RFC 9420 sections 12.1.1 to 12.1.3).

use super::compare::same;
use super::hex::Hex;
use super::problem::{At, Problem, ensure};
use super::sample::Client;
use super::trees::{Grown, load_unverified};
use super::{Kind, SuiteVector};
use crate::SeededRng;
use conclave_crypto::Suite;
use conclave_tree::{RatchetTree, StagedTree, TreeRead, UnverifiedTree};
use conclave_wire::{Encode, LeafIndex, Proposal};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(super) struct TreeOperations {
    cipher_suite: u16,
    tree_before: Hex,
    proposal: Hex,
    proposal_sender: u32,
    tree_hash_before: Hex,
    tree_after: Hex,
    tree_hash_after: Hex,
}

/// The tree with a proposal applied.
fn apply(
    suite: &Suite<'_>,
    mut tree: RatchetTree,
    proposal: &Proposal,
    sender: LeafIndex,
) -> Result<RatchetTree, Problem> {
    ensure(tree.is_member(sender), format_args!("the sender, {sender}, is no member"))?;
    let mut staged = StagedTree::new(&tree);
    match proposal {
        Proposal::Add(key_package) => staged.add_leaf(&key_package.leaf_node).map(|_| ())?,
        Proposal::Update(leaf_node) => staged.update_leaf(sender, leaf_node)?,
        Proposal::Remove(removed) => staged.remove_leaves(&[*removed])?,
        other => {
            let kind = other.proposal_type();
            return Err(Problem::new(format_args!("{kind:?} does not change the tree")));
        }
    }

    let mut delta = staged.into_delta(suite)?;
    tree.swap(&mut delta);
    tree.check_caches(suite)?;
    Ok(tree)
}

impl SuiteVector for TreeOperations {
    fn cipher_suite(&self) -> u16 {
        self.cipher_suite
    }

    fn check(&self, suite: &Suite<'_>, _: &mut SeededRng) -> Result<(), Problem> {
        let before = UnverifiedTree::decode(suite, &self.tree_before).at("tree_before")?;
        same("tree_hash_before", before.tree_hash(), &self.tree_hash_before)?;
        let proposal: Proposal = self.proposal.decode("proposal")?;
        let sender = LeafIndex(self.proposal_sender);
        let after = apply(suite, load_unverified(suite, &before)?, &proposal, sender)?;
        same("tree_after", &after.to_extension_bytes()?, &self.tree_after)?;
        same("tree_hash_after", after.tree_hash(), &self.tree_hash_after)
    }

    fn generate(_: Kind, suite: &Suite<'_>, rng: &mut SeededRng) -> Result<Vec<Self>, Problem> {
        let add = |rng: &mut SeededRng| -> Result<Proposal, Problem> {
            Ok(Proposal::Add(Box::new(Client::new(suite, "added", rng)?.key_package)))
        };
        let mut full = Grown::of_size(suite, 4, rng)?;
        let mut vectors = vec![
            // The tree grows.
            Self::of(suite, &full, &add(rng)?, 3)?,
            Self::of(suite, &full, &Proposal::Remove(LeafIndex(1)), 0)?,
            // Two leaves are left of three, with a tree for four.
            Self::of(suite, &full, &Proposal::Remove(LeafIndex(3)), 2)?,
        ];

        let update = Proposal::Update(Box::new(full.update(LeafIndex(2), rng)?));
        vectors.push(Self::of(suite, &full, &update, 2)?);
        // A blank leaf in the middle is filled, unmerged at the nodes above it.
        full.commit(0, &[1], 0, rng)?;
        vectors.push(Self::of(suite, &full, &add(rng)?, 2)?);
        // The tree shrinks to a quarter.
        full.commit(0, &[2], 0, rng)?;
        vectors.push(Self::of(suite, &full, &Proposal::Remove(LeafIndex(3)), 0)?);
        Ok(vectors)
    }
}

impl TreeOperations {
    fn of(
        suite: &Suite<'_>,
        grown: &Grown<'_>,
        proposal: &Proposal,
        proposal_sender: u32,
    ) -> Result<Self, Problem> {
        let after = apply(suite, grown.tree.clone(), proposal, LeafIndex(proposal_sender))?;
        Ok(Self {
            cipher_suite: suite.cipher_suite().0,
            tree_before: grown.encode()?.into(),
            proposal: proposal.to_bytes()?.into(),
            proposal_sender,
            tree_hash_before: Hex::of(grown.tree.tree_hash()),
            tree_after: after.to_extension_bytes()?.into(),
            tree_hash_after: Hex::of(after.tree_hash()),
        })
    }
}
