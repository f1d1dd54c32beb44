//! The ratchet tree of RFC 9420: sections 4 and 7, the tree's part of sections 12.1 and 12.4, and
//! TreeKEM.
//!
//! * [`RatchetTree`]: the tree of an epoch, with encoded nodes and cached tree hashes;
//! * [`StagedTree`]: the next tree, an overlay of changes over an unchanged tree. It yields a
//!   [`TreeDelta`]: the rows to write, and the values that [`RatchetTree::swap`] moves in;
//! * [`TreeRead`]: the questions that both answer;
//! * [`UnverifiedTree`]: a tree from outside, and the checks that turn it into a [`RatchetTree`];
//! * [`leaf`](check_leaf_rules): the rules for one leaf node;
//! * [`create_path`] … [`open_path`]: update paths and their secrets.
//!
//! Staging and applying cost time proportional to the changed nodes and their paths to the root,
//! never to the whole tree. A tree never holds a private key.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod delta;
mod error;
mod hashing;
mod index;
mod leaf;
mod parent_hash;
mod read;
mod row;
mod rows;
mod staged;
mod tree;
mod treekem;
mod unverified;
mod view;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use delta::TreeDelta;
pub use error::{LeafRule, TreeError};
pub use index::Feature;
pub use leaf::{
    check_leaf_rules, check_own_leaf_rules, leaf_sign_content, sign_leaf, verify_leaf_signature,
};
pub use read::{TreeRead, encoded_signature_key};
pub use staged::StagedTree;
pub use tree::RatchetTree;
pub use treekem::{
    NewPath, PathKeys, PathOrigin, create_path, create_path_from, keys_from_path_secret,
    merge_path, open_path, seal_path,
};
pub use unverified::UnverifiedTree;
