//! A row of the stored form: its key, and its content.

use super::ratchet::{MessageKey, Ratchet, RatchetId, RatchetKind};
use alloc::vec::Vec;
use conclave_crypto::Secret;
use conclave_wire::{DecodeError, LeafIndex, Reader, TreeSize};
use core::fmt;

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

pub(super) fn decode_node(bytes: &[u8]) -> Result<Secret, DecodeError> {
    rest(Reader::new(bytes))
}

pub(super) fn decode_ratchet(bytes: &[u8]) -> Result<Ratchet, DecodeError> {
    let mut r = Reader::new(bytes);
    let next = u32::from_be_bytes(r.take_array()?);
    let skipped = u32::from_be_bytes(r.take_array()?);
    Ok(Ratchet { next, skipped, secret: rest(r)? })
}

pub(super) fn decode_key(bytes: &[u8]) -> Result<MessageKey, DecodeError> {
    let mut r = Reader::new(bytes);
    let [key_len] = r.take_array()?;
    let key = Secret::copy_from(r.take(key_len.into())?);
    Ok(MessageKey { key, nonce: rest(r)? })
}
