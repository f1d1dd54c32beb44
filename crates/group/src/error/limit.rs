//! The bounds that an error can name.

use core::fmt;

/// A bound of [`Limits`](crate::Limits) that something exceeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// [`Limits::message_bytes`](crate::Limits::message_bytes).
    MessageBytes,
    /// [`Limits::join_bytes`](crate::Limits::join_bytes).
    JoinBytes,
    /// [`Limits::tree_leaves`](crate::Limits::tree_leaves).
    TreeLeaves,
    /// [`Limits::leaf_bytes`](crate::Limits::leaf_bytes).
    LeafBytes,
    /// [`Limits::extensions_bytes`](crate::Limits::extensions_bytes).
    ExtensionsBytes,
    /// [`Limits::proposals`](crate::Limits::proposals).
    Proposals,
    /// [`Limits::pending_proposals`](crate::Limits::pending_proposals).
    PendingProposals,
    /// [`Limits::pending_bytes`](crate::Limits::pending_bytes).
    PendingBytes,
    /// [`Limits::psks`](crate::Limits::psks).
    Psks,
    /// [`Limits::targeted_messages`](crate::Limits::targeted_messages).
    TargetedMessages,
    /// [`Limits::bindings`](crate::Limits::bindings).
    Bindings,
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
            Self::TargetedMessages => "targeted messages of an epoch",
            Self::Bindings => "bindings of a credential",
        })
    }
}
