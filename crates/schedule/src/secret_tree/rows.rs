//! The stored form: one row for each node secret, ratchet and skipped key. The store detects
//! damaged rows; missing and contradictory ones are detected here.

use super::ratchet::RatchetId;
use super::row::{
    SecretTreeRow, decode_key, decode_node, decode_ratchet, encode_key, encode_node, encode_ratchet,
};
use super::{RatchetError, RatchetKind, SecretTree};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use conclave_crypto::Secret;
use conclave_wire::{DecodeError, LeafIndex, NodeIndex, TreeSize};
use core::ops::Range;

impl SecretTree {
    /// All rows of this tree, for its first write.
    #[must_use]
    pub fn rows(&self) -> Vec<(SecretTreeRow, Secret)> {
        let nodes = self
            .nodes
            .iter()
            .map(|(node, secret)| (SecretTreeRow::Node(node.0), encode_node(secret)));
        let ratchets = self.ratchets.iter().map(|(id, r)| (id.row(), encode_ratchet(r)));
        let skipped = self
            .skipped
            .iter()
            .map(|((id, generation), key)| (id.skipped_row(*generation), encode_key(key)));
        nodes.chain(ratchets).chain(skipped).collect()
    }

    /// Loads a tree of this size from its stored rows, in any order.
    ///
    /// # Errors
    /// [`RatchetError::DamagedRow`] with a row that cannot be decoded, occurs twice or contradicts
    /// another; [`RatchetError::MissingRow`]; [`RatchetError::SkippedKeysMissing`].
    pub fn load<'a>(
        size: TreeSize,
        rows: impl Iterator<Item = (SecretTreeRow, &'a [u8])>,
    ) -> Result<Self, RatchetError> {
        let mut tree = Self {
            size,
            nodes: BTreeMap::new(),
            ratchets: BTreeMap::new(),
            skipped: BTreeMap::new(),
        };

        for (row, bytes) in rows {
            let damaged = |_: DecodeError| RatchetError::DamagedRow(row);
            let repeated = match row {
                SecretTreeRow::Node(node) => tree
                    .nodes
                    .insert(NodeIndex(node), decode_node(bytes).map_err(damaged)?)
                    .is_some(),
                SecretTreeRow::Ratchet { leaf, kind } => {
                    let ratchet = decode_ratchet(bytes).map_err(damaged)?;
                    tree.ratchets.insert(RatchetId { leaf, kind }, ratchet).is_some()
                }
                SecretTreeRow::Skipped { leaf, kind, generation } => {
                    let key = decode_key(bytes).map_err(damaged)?;
                    tree.skipped.insert((RatchetId { leaf, kind }, generation), key).is_some()
                }
            };
            if repeated {
                return Err(RatchetError::DamagedRow(row));
            }
        }

        if let Some(row) = tree.contradiction() {
            return Err(RatchetError::DamagedRow(row));
        }
        if let Some(row) = tree.gap(tree.size.root()) {
            return Err(RatchetError::MissingRow(row));
        }
        match tree.short_of_keys() {
            Some(id) => Err(RatchetError::SkippedKeysMissing { leaf: id.leaf, kind: id.kind }),
            None => Ok(tree),
        }
    }

    /// A missing row at or below a node: every leaf must have a secret above it, or both of its
    /// ratchets. Takes time proportional to the number of rows.
    fn gap(&self, node: NodeIndex) -> Option<SecretTreeRow> {
        if self.nodes.contains_key(&node) {
            return None;
        }

        match (node.children(), node.leaf()) {
            (Some((left, right)), _) => {
                if self.any_below(node) {
                    self.gap(left).or_else(|| self.gap(right))
                } else {
                    Some(SecretTreeRow::Node(node.0))
                }
            }
            (None, Some(leaf)) => {
                let kinds = [RatchetKind::Handshake, RatchetKind::Application];
                let missing: Vec<_> = kinds
                    .into_iter()
                    .map(|kind| RatchetId { leaf, kind })
                    .filter(|id| !self.ratchets.contains_key(id))
                    .collect();
                match missing.as_slice() {
                    [] => None,
                    [one] => Some(one.row()),
                    _ => Some(SecretTreeRow::Node(node.0)),
                }
            }
            (None, None) => Some(SecretTreeRow::Node(node.0)),
        }
    }

    /// Whether a node has a secret or ratchet below it.
    fn any_below(&self, node: NodeIndex) -> bool {
        let Range { start, end } = node.leaves();
        let first = RatchetId { leaf: LeafIndex(start), kind: RatchetKind::Handshake };
        let end = RatchetId { leaf: LeafIndex(end), ..first };

        self.nodes.range(first.leaf.node()..end.leaf.node()).next().is_some()
            || self.ratchets.range(first..end).next().is_some()
    }

    /// A ratchet with a wrong number of skipped keys.
    fn short_of_keys(&self) -> Option<RatchetId> {
        let kept = |id: &RatchetId| u32::try_from(self.skipped_of(*id).count()).ok();
        let short = self.ratchets.iter().find(|(id, ratchet)| kept(id) != Some(ratchet.skipped));
        short.map(|(id, _)| *id)
    }

    /// A row that contradicts the others: it lies outside the tree, is a secret above an opened
    /// leaf (which must have been consumed), or a skipped generation that its ratchet has not
    /// passed.
    fn contradiction(&self) -> Option<SecretTreeRow> {
        let outside = self.nodes.keys().find(|node| !self.size.has_node(**node)).copied();
        let unconsumed = || {
            self.ratchets.keys().find_map(|id| {
                let leaf = id.leaf.node();
                core::iter::once(leaf)
                    .chain(self.size.direct_path(leaf))
                    .find(|node| self.nodes.contains_key(node))
            })
        };
        let stray = || self.ratchets.keys().find(|id| !self.size.has_leaf(id.leaf));
        let early = || {
            self.skipped.keys().find(|(id, generation)| {
                self.ratchets.get(id).is_none_or(|ratchet| *generation >= ratchet.next)
            })
        };

        outside
            .or_else(unconsumed)
            .map(|node| SecretTreeRow::Node(node.0))
            .or_else(|| stray().map(|id| id.row()))
            .or_else(|| early().map(|(id, generation)| id.skipped_row(*generation)))
    }
}
