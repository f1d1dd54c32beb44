//! What a call of a conversation's is for.

use crate::request::Request;

/// What a call of a conversation's is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// The group, which the service does not have yet.
    Create,
    Log,
    /// What the service has lost of the log.
    Restore,
    Commit,
    /// The messages at the front of the queue.
    Message,
    Proposal,
    InviteLookup,
    InviteClaim,
    /// The state of the group, into which this device comes back.
    GroupInfo,
    /// The commit that comes back.
    Rejoin,
}

impl Call {
    /// Whether calls of other conversations may be under way beside it: its outcome changes nothing that they depend on.
    pub(crate) fn is_of_group_alone(self) -> bool {
        match self {
            Self::Log
            | Self::Restore
            | Self::Commit
            | Self::Message
            | Self::Proposal
            | Self::GroupInfo
            | Self::Rejoin => true,
            Self::Create | Self::InviteLookup | Self::InviteClaim => false,
        }
    }
}

/// The next call of a conversation; none if there is nothing to do, or nothing that can be done now.
pub(crate) type Next = Option<(Request, Call)>;
