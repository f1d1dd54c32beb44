//! What a host can ask for.

use crate::record::{RoomChange, Who};
use conclave_account::LinkCode;
use conclave_delivery_api::{JoinLink, Name};
use conclave_mls::{CipherSuite, GroupId};

/// What a host asks for, on behalf of its user. What is said in a group goes to
/// [`Engine::send`](crate::Engine::send).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Make a group.
    New {
        /// What it is called.
        name: String,
        /// Its suite; the one that the device prefers, if none is chosen.
        suite: Option<CipherSuite>,
    },
    /// Make a direct chat with a user: nobody else is ever added to it.
    Direct {
        /// With whom.
        user: Name,
        /// Its suite; the one that the device prefers, if none is chosen.
        suite: Option<CipherSuite>,
    },
    /// Change a room: its name, topic or picture, or somebody's role.
    ChangeRoom {
        /// The room.
        group: GroupId,
        /// How.
        change: RoomChange,
    },
    /// Add devices to a group. Users and devices among them that were blocked are unblocked.
    Invite {
        /// The group.
        group: GroupId,
        /// Whom.
        who: Vec<Who>,
    },
    /// Remove devices from a group.
    Remove {
        /// The group.
        group: GroupId,
        /// Whom.
        who: Vec<Who>,
    },
    /// Make a link into a group.
    InviteLink {
        /// The group.
        group: GroupId,
        /// How many devices may join by it.
        max_uses: u32,
        /// For how many seconds.
        lifetime: u64,
    },
    /// Revoke a link into a group.
    Unlink {
        /// The group.
        group: GroupId,
        /// The link's number.
        number: u32,
    },
    /// Join a group by a link.
    Join(JoinLink),
    /// Leave a group.
    Leave(GroupId),
    /// Begin a group anew, in another one with the same members.
    Reset(GroupId),
    /// Accept a group that somebody has brought this device into, and that person's further invitations.
    Accept(GroupId),
    /// Leave such a group with this device.
    Decline(GroupId),
    /// Leave all such groups of somebody's, and take none any more.
    Block(Who),
    /// Admit the device that shows this code to the own account.
    Link(LinkCode),
    /// Revoke a device of the own account.
    Revoke(Name),
    /// Make a recovery key for the own account; with the words of the one that it replaces, if there is one.
    Recovery(Option<String>),
    /// Show that the words of the new recovery key are written down: two of them.
    ConfirmRecovery([String; 2]),
    /// Add this new device to its user's account by the words of the recovery key.
    Recover(String),
    /// Take a user's account for another one from now on.
    Acknowledge(Name),
    /// Go on with the service after a warning about it.
    AcknowledgeService,
}
