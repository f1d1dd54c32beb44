//! Bounds on everything that others can make grow, in one place.

use crate::error::Rejection;
use crate::error::limit::Limit;
use conclave_schedule::RatchetLimits;
use core::time::Duration;

/// Bounds on everything that others can make grow. Each bound is inclusive.
///
/// All members of a group should have the same limits: a member that refuses what the others accept
/// parts from the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The length of an encoded message to the group, in bytes. Default 64 MiB, enough for a commit
    /// that adds some 200,000 members, or 4,000 with the largest post-quantum keys.
    pub message_bytes: usize,
    /// The length of an encoded Welcome, GroupInfo or separate ratchet tree, in bytes. Default 512
    /// MiB.
    pub join_bytes: usize,
    /// The number of leaves of a ratchet tree, including blank ones up to the next power of two.
    /// Default 2^20.
    pub tree_leaves: usize,
    /// The length of an encoded leaf node with its credential, capabilities and extensions, in
    /// bytes. Default 64 KiB.
    pub leaf_bytes: usize,
    /// The length of the encoded extensions of a GroupContext, key package, ReInit or GroupInfo
    /// (apart from its ratchet tree), in bytes. Default 1 MiB.
    pub extensions_bytes: usize,
    /// The number of proposals in a commit. Default 2^18.
    pub proposals: usize,
    /// The number of received proposals that wait for a commit. A commit that refers to one for
    /// which there was no room cannot be processed, and the client falls behind. Default 2^16.
    pub pending_proposals: usize,
    /// The total length of the encoded proposals that wait for a commit, in bytes. Default 128 MiB.
    pub pending_bytes: usize,
    /// The number of PSKs in a commit or Welcome. Default 256.
    pub psks: usize,
    /// The number of bindings in a credential of type `multi` or `weak-multi`, each with a signature to
    /// verify. Default 16.
    pub bindings: usize,
    /// How far a message may be ahead of its sender's ratchet, and how many skipped keys of a
    /// ratchet are kept. Default 2000 of each.
    pub ratchet: RatchetLimits,
    /// The number of targeted messages that are read in an epoch. Each is remembered until the epoch
    /// is deleted, so that none is read twice; further ones are refused. Default 2^14.
    pub targeted_messages: usize,
    /// The number of past epochs that are kept, so that late messages still open and their
    /// resumption PSKs can be used. Default 3.
    pub past_epochs: usize,
    /// The time for which a past epoch is kept, in whole seconds. Default one week.
    pub past_epoch_age: Duration,
    /// The number of [checkpoints](crate::Group::checkpoint) that are kept. A further one drops the
    /// oldest. Default 4.
    pub checkpoints: usize,
    /// The number of records that are kept beside checkpoints: one for each commit and proposal of our own
    /// and for each epoch in which we sent something encrypted, since the oldest checkpoint. A further one
    /// drops the oldest checkpoint. Default 1024.
    pub checkpoint_records: usize,
    /// The longest lifetime of a key package to be added, in whole seconds. Default 400 days.
    pub lifetime: Duration,
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
            bindings: 16,
            ratchet: RatchetLimits::default(),
            targeted_messages: 1 << 14,
            past_epochs: 3,
            past_epoch_age: Duration::from_secs(7 * DAY),
            checkpoints: 4,
            checkpoint_records: 1024,
            lifetime: Duration::from_secs(400 * DAY),
        }
    }
}

impl Limits {
    /// Fails if `found` exceeds a limit.
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
            Limit::TargetedMessages => self.targeted_messages,
            Limit::Bindings => self.bindings,
        };

        if found > allowed {
            return Err(Rejection::OverLimit { limit, found, allowed });
        }
        Ok(())
    }
}
