//! What a user can want.

use crate::content::Content;
use crate::record::Who;
use conclave_account::LinkCode;
use conclave_delivery_api::{JoinLink, Name};
use conclave_mls::CipherSuite;

/// What a user wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Make a group.
    New {
        /// What it is called.
        name: String,
        /// Its suite; the one that the device prefers, if none is chosen.
        suite: Option<CipherSuite>,
    },
    /// Add devices to the current group.
    Invite(Vec<Who>),
    /// Remove devices from the current group.
    Remove(Vec<Who>),
    /// Make a link into the current group.
    InviteLink {
        /// How many devices may join by it.
        max_uses: u32,
        /// For how many seconds.
        lifetime: u64,
    },
    /// List the links into the current group.
    Links,
    /// Revoke a link, by its number.
    Unlink(u32),
    /// Join a group by a link.
    Join(JoinLink),
    /// List the current group's members.
    Members,
    /// List all groups.
    Groups,
    /// Make another group the current one.
    Switch(String),
    /// Leave the current group.
    Leave,
    /// Begin the current group anew, in another one with the same members.
    Reset,
    /// Accept a group that somebody has brought this device into, and that person's further
    /// invitations; the only such group, if none is named.
    Accept(Option<String>),
    /// Leave such a group with this device.
    Decline(Option<String>),
    /// Leave all such groups of somebody's, and take none any more.
    Block(Who),
    /// Show the codes to compare with somebody.
    Verify(Who),
    /// Admit the device that shows this code to the own account.
    Link(LinkCode),
    /// Revoke a device of the own account.
    Revoke(Name),
    /// List a user's devices; the own ones, if nobody is named.
    Devices(Option<Name>),
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
    /// Show the last messages of the current group.
    History(usize),
    /// Say something in the current group: at most [`MAX_CONTENT`](crate::MAX_CONTENT) bytes.
    Send(Content),
}
