//! The stored form: one row for each node secret, ratchet and skipped key. The store detects damaged
//! rows; missing and contradictory ones are detected here.

use super::ratchet::{Ratchet, RatchetId};
use super::{MessageKey, RatchetError, RatchetKind, SecretTree};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use conclave_crypto::Secret;
use conclave_wire::{DecodeError, LeafIndex, NodeIndex, Reader, TreeSize};
use core::fmt;
use core::ops::Range;

/// The key of a row, which says what the row holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretTreeRow {
    /// The secret of a node.
    Node(u32),
    /// The head of a ratchet: its next generation and secret.
    Ratchet {
        /// The sender.
        leaf: LeafIndex,
        /// The ratchet.
        kind: RatchetKind,
    },
    /// The key of a skipped generation.
    Skipped {
        /// The sender.
        leaf: LeafIndex,
        /// The ratchet.
        kind: RatchetKind,
        /// The generation.
        generation: u32,
    },
}

impl fmt::Display for SecretTreeRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(node) => write!(f, "the secret of node {node}"),
            Self::Ratchet { leaf, kind } => write!(f, "the {kind} ratchet of {leaf}"),
            Self::Skipped { leaf, kind, generation } => {
                write!(f, "skipped key {generation} of the {kind} ratchet of {leaf}")
            }
        }
    }
}

impl SecretTreeRow {
    /// This key as numbers: a sub-table from 0 to 2, and an index that keeps the order of the keys and
    /// is below 2^63 for every leaf that a tree can have.
    #[must_use]
    pub fn to_index(self) -> (u8, u64) {
        let ratchet = |leaf: LeafIndex, kind| u64::from(leaf.0) << 1 | kind as u64;

        match self {
            Self::Node(node) => (0, node.into()),
            Self::Ratchet { leaf, kind } => (1, ratchet(leaf, kind)),
            Self::Skipped { leaf, kind, generation } => {
                (2, ratchet(leaf, kind) << 32 | u64::from(generation))
            }
        }
    }

    /// The key with this sub-table and index, if there is one.
    #[must_use]
    pub fn from_index(table: u8, index: u64) -> Option<Self> {
        let ratchet = |n: u64| {
            let kind = match n & 1 {
                0 => RatchetKind::Handshake,
                _ => RatchetKind::Application,
            };
            let leaf = LeafIndex(u32::try_from(n >> 1).ok()?);
            TreeSize::MAX.has_leaf(leaf).then_some((leaf, kind))
        };

        match table {
            0 => u32::try_from(index).ok().map(Self::Node),
            1 => ratchet(index).map(|(leaf, kind)| Self::Ratchet { leaf, kind }),
            2 => {
                let (leaf, kind) = ratchet(index >> 32)?;
                let generation = index as u32;
                Some(Self::Skipped { leaf, kind, generation })
            }
            _ => None,
        }
    }
}

impl RatchetId {
    pub(super) fn row(self) -> SecretTreeRow {
        SecretTreeRow::Ratchet { leaf: self.leaf, kind: self.kind }
    }

    pub(super) fn skipped_row(self, generation: u32) -> SecretTreeRow {
        SecretTreeRow::Skipped { leaf: self.leaf, kind: self.kind, generation }
    }
}

/// Concatenates parts in a buffer of exactly their length.
fn concat(parts: &[&[u8]]) -> Secret {
    let mut bytes = Vec::with_capacity(parts.iter().map(|p| p.len()).sum());
    parts.iter().for_each(|p| bytes.extend_from_slice(p));
    Secret::new(bytes)
}

pub(super) fn encode_node(secret: &Secret) -> Secret {
    secret.clone()
}

pub(super) fn encode_ratchet(ratchet: &Ratchet) -> Secret {
    let next = ratchet.next.to_be_bytes();
    let skipped = ratchet.skipped.to_be_bytes();
    concat(&[&next, &skipped, ratchet.secret.expose()])
}

pub(super) fn encode_key(key: &MessageKey) -> Secret {
    // In every AEAD, keys are far shorter than the limit of a length byte.
    concat(&[&[key.key.len() as u8], key.key.expose(), key.nonce.expose()])
}

fn rest(r: Reader<'_>) -> Result<Secret, DecodeError> {
    if r.is_empty() { Err(DecodeError::Truncated) } else { Ok(Secret::copy_from(r.rest())) }
}

fn decode_node(bytes: &Secret) -> Result<Secret, DecodeError> {
    rest(Reader::new(bytes.expose()))
}

fn decode_ratchet(bytes: &Secret) -> Result<Ratchet, DecodeError> {
    let mut r = Reader::new(bytes.expose());
    let next = u32::from_be_bytes(r.take_array()?);
    let skipped = u32::from_be_bytes(r.take_array()?);
    Ok(Ratchet { next, skipped, secret: rest(r)? })
}

fn decode_key(bytes: &Secret) -> Result<MessageKey, DecodeError> {
    let mut r = Reader::new(bytes.expose());
    let [key_len] = r.take_array()?;
    let key = Secret::copy_from(r.take(key_len.into())?);
    Ok(MessageKey { key, nonce: rest(r)? })
}

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
    pub fn load(
        size: TreeSize,
        rows: impl Iterator<Item = (SecretTreeRow, Secret)>,
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
                    .insert(NodeIndex(node), decode_node(&bytes).map_err(damaged)?)
                    .is_some(),
                SecretTreeRow::Ratchet { leaf, kind } => {
                    let ratchet = decode_ratchet(&bytes).map_err(damaged)?;
                    tree.ratchets.insert(RatchetId { leaf, kind }, ratchet).is_some()
                }
                SecretTreeRow::Skipped { leaf, kind, generation } => {
                    let key = decode_key(&bytes).map_err(damaged)?;
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

    /// A missing row at or below a node: every leaf must have a secret above it, or both of its ratchets.
    /// Takes time proportional to the number of rows.
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

    /// A row that contradicts the others: it lies outside the tree, is a secret above an opened leaf
    /// (which must have been consumed), or a skipped generation that its ratchet has not passed.
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
