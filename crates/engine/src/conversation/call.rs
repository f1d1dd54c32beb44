//! The calls that conversations make.

use crate::request::Request;

/// The purpose of a conversation's call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// Creates the group, which the service does not have yet.
    Create,
    /// Fetches the log's next page.
    Log,
    /// Gives back what the service has lost of the log.
    Restore,
    /// Submits the pending commit.
    Commit,
    /// Sends the messages at the front of the queue.
    Message,
    /// Submits a proposal: that this device leaves.
    Proposal,
    /// Fetches the account of a user who is invited, or the user's certificates.
    InviteLookup,
    /// Claims key packages of a user who is invited.
    InviteClaim,
    /// Fetches the group's state, so that this device can come back into it.
    GroupInfo,
    /// Fetches what this device misses of the log before it comes back.
    Missed,
    /// Submits the external commit by which this device comes back.
    Rejoin,
}

impl Call {
    /// Whether its outcome changes nothing that other conversations depend on, so that calls of theirs may be under way
    /// beside it.
    pub(crate) fn concerns_only_its_group(self) -> bool {
        match self {
            Self::Log
            | Self::Restore
            | Self::Commit
            | Self::Message
            | Self::Proposal
            | Self::GroupInfo
            | Self::Missed
            | Self::Rejoin => true,
            Self::Create | Self::InviteLookup | Self::InviteClaim => false,
        }
    }
}

/// The next call of a conversation; none if there is nothing to do, or nothing that can be done now.
pub(crate) type Next = Option<(Request, Call)>;
