//! Bounds on everything that somebody else can make grow, in one place.

use crate::error::Rejection;
use conclave_schedule::RatchetLimits;
use core::fmt;

/// Bounds on what others can make grow. Each is inclusive.
///
/// Members of a group should have the same: what one refuses and the others accept parts it from
/// the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A message to the group, encoded, in bytes. Default 64 MiB, which holds a commit that adds
    /// some 200,000 members, or 4,000 with the largest post-quantum keys.
    pub message_bytes: usize,
    /// A Welcome, a GroupInfo, or a ratchet tree that comes apart, encoded, in bytes. Default
    /// 512 MiB.
    pub join_bytes: usize,
    /// The leaves of a ratchet tree, blank ones and those up to the next power of two included.
    /// Default 2^20.
    pub tree_leaves: usize,
    /// An encoded leaf node with its credential, capabilities and extensions, in bytes. Default
    /// 64 KiB.
    pub leaf_bytes: usize,
    /// The extensions of a GroupContext, key package, ReInit, or GroupInfo (but for its ratchet
    /// tree), encoded, in bytes. Default 1 MiB.
    pub extensions_bytes: usize,
    /// The proposals of a commit. Default 2^18.
    pub proposals: usize,
    /// The received proposals that wait for a commit. A commit that refers to one that found no room
    /// is not understood, so that this client falls behind. Default 2^16.
    pub pending_proposals: usize,
    /// The received proposals that wait for a commit, encoded, in bytes together. Default 128 MiB.
    pub pending_bytes: usize,
    /// The PSKs of a commit or Welcome. Default 256.
    pub psks: usize,
    /// How far a message may be ahead of its sender's ratchet, and how many skipped keys of a ratchet
    /// are kept. Default 2000 of each.
    pub ratchet: RatchetLimits,
    /// The past epochs that are kept, so that late messages still open and their resumption PSKs
    /// can be used. Default 3.
    pub past_epochs: usize,
    /// How long a past epoch is kept, in seconds. Default one week.
    pub past_epoch_age: u64,
    /// The lifetime of a key package that is to be added, in seconds. Default 400 days.
    pub lifetime: u64,
}

impl Default for Limits {
    fn default() -> Self {
        const DAY: u64 = 24 * 60 * 60;
        Self {
            message_bytes: 64 << 20,
            join_bytes: 512 << 20,
            tree_leaves: 1 << 20,
            leaf_bytes: 64 << 10,
            extensions_bytes: 1 << 20,
            proposals: 1 << 18,
            pending_proposals: 1 << 16,
            pending_bytes: 128 << 20,
            psks: 256,
            ratchet: RatchetLimits::default(),
            past_epochs: 3,
            past_epoch_age: 7 * DAY,
            lifetime: 400 * DAY,
        }
    }
}

/// A bound of [`Limits`] that something went over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// [`Limits::message_bytes`].
    MessageBytes,
    /// [`Limits::join_bytes`].
    JoinBytes,
    /// [`Limits::tree_leaves`].
    TreeLeaves,
    /// [`Limits::leaf_bytes`].
    LeafBytes,
    /// [`Limits::extensions_bytes`].
    ExtensionsBytes,
    /// [`Limits::proposals`].
    Proposals,
    /// [`Limits::pending_proposals`].
    PendingProposals,
    /// [`Limits::pending_bytes`].
    PendingBytes,
    /// [`Limits::psks`].
    Psks,
}

impl Limits {
    /// That `found` is not over a limit.
    pub(crate) fn check(&self, limit: Limit, found: usize) -> Result<(), Rejection> {
        let allowed = match limit {
            Limit::MessageBytes => self.message_bytes,
            Limit::JoinBytes => self.join_bytes,
            Limit::TreeLeaves => self.tree_leaves,
            Limit::LeafBytes => self.leaf_bytes,
            Limit::ExtensionsBytes => self.extensions_bytes,
            Limit::Proposals => self.proposals,
            Limit::PendingProposals => self.pending_proposals,
            Limit::PendingBytes => self.pending_bytes,
            Limit::Psks => self.psks,
        };
        match found <= allowed {
            true => Ok(()),
            false => Err(Rejection::OverLimit { limit, found, allowed }),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MessageBytes => "bytes of a message",
            Self::JoinBytes => "bytes to join by",
            Self::TreeLeaves => "leaves of a tree",
            Self::LeafBytes => "bytes of a leaf node",
            Self::ExtensionsBytes => "bytes of extensions",
            Self::Proposals => "proposals of a commit",
            Self::PendingProposals => "pending proposals",
            Self::PendingBytes => "bytes of pending proposals",
            Self::Psks => "PSKs",
        })
    }
}
