//! Update paths that open, unless their maker spoils them.

use super::Insider;
use crate::SeededRng;
use conclave_crypto::CryptoProvider;
use conclave_tree::{NewPath, StagedTree, TreeRead, create_path, seal_path};
use conclave_wire::{Encode, GroupContext, LeafIndex, LeafNode, UpdatePath};

/// The owner of a path, and the commit that it is for.
#[derive(Debug, Default)]
pub struct PathFor {
    /// The leaves that the commit removes.
    pub removes: Vec<LeafIndex>,
    /// The leaf of a client that joins by the path; none for the insider's own path.
    pub joiner: Option<LeafNode>,
}

impl Insider {
    /// A path that is signed with the insider's key and whose secrets open for all members; with the
    /// leaf that it starts from. `change` may spoil the secrets before they are sealed.
    ///
    /// # Panics
    /// If the tree has no place for it.
    #[must_use]
    pub fn path(
        &self,
        provider: &dyn CryptoProvider,
        rng: &mut SeededRng,
        of: PathFor,
        change: impl FnOnce(&mut NewPath),
    ) -> (LeafIndex, UpdatePath) {
        let suite = self.suite(provider);

        let mut tree = StagedTree::new(&self.tree);
        tree.remove_leaves(&of.removes).expect("members to remove");
        let (leaf, template) = match of.joiner {
            Some(joiner) => (tree.place_leaf().expect("a place"), joiner),
            None => (self.own_leaf, tree.leaf(self.own_leaf).expect("the own leaf")),
        };
        let signer = &self.signer;
        let group_id = &self.context.group_id;
        let path = create_path(&suite, &mut tree, leaf, template, signer, group_id, rng);
        let mut path = path.expect("a path");

        let context = GroupContext {
            epoch: self.context.epoch.next().expect("a next epoch"),
            tree_hash: tree.tree_hash(&suite).expect("a tree hash").to_vec().into(),
            ..self.context.clone()
        };
        let context = context.to_bytes().expect("an encoding");
        change(&mut path);
        let sealed = seal_path(&suite, &tree, leaf, &path, &context, &[], rng);
        (leaf, sealed.expect("sealed"))
    }
}
