//! What a host can look at.

use crate::reason::Reason;
use crate::record::RoomPolicy;
use conclave_delivery_api::{DeviceId, Name};
use conclave_mls::{CipherSuite, GroupId};
use conclave_room::Capability;

/// A group that this device knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupView {
    /// Its identifier.
    pub id: GroupId,
    /// What it is called here: no other group has this name, nor one that looks like it.
    pub name: String,
    /// Where this device stands in it.
    pub phase: Phase,
    /// Its epoch, if this device is in it.
    pub epoch: Option<u64>,
    /// How many devices are in it, as far as this device can see.
    pub members: usize,
    /// Its suite, if this device is in it.
    pub suite: Option<CipherSuite>,
    /// How many things are to be done in it that the user asked for.
    pub to_do: usize,
}

/// Where this device stands in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It has made the group, and the service does not have it yet.
    Creating,
    /// It is a member.
    Member,
    /// It is a member, and says nothing before the user accepts the group.
    Invited {
        /// Who has brought it in.
        by: DeviceId,
    },
    /// It is a member, and is to leave.
    Leaving,
    /// It is a member that cannot follow the group any further.
    Stuck {
        /// Why.
        reason: Reason,
    },
    /// The group has ended. What is to be said in it is kept for its successor, which this device is not in yet.
    Ended,
    /// It was removed, or is in the group's successor.
    Removed,
    /// It has left.
    Left,
}

/// Who is in a group, and what all of them can compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    /// The epoch.
    pub epoch: u64,
    /// The epoch's code, equal for all members.
    pub code: String,
    /// The group's suite.
    pub suite: CipherSuite,
    /// The members, those of each user together.
    pub members: Vec<Member>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Which device.
    pub device: DeviceId,
    /// Whether that is this device.
    pub own: bool,
    /// The code of its name and key.
    pub code: String,
    /// When its user's account took it in, and who did; none if that account does not say so any more.
    pub admitted: Option<Admitted>,
}

/// When a device came into its user's account, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// When, in seconds since 1970.
    pub since: u64,
    /// By which device, or the recovery key; none for the account's first device.
    pub by: Option<String>,
}

/// A device of a user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceView {
    /// Which.
    pub device: DeviceId,
    /// Whether that is this device.
    pub own: bool,
    /// The beginning of its verification code.
    pub code: String,
    /// What makes it one.
    pub warrant: Warrant,
}

/// What makes a device one of a user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warrant {
    /// The user's account.
    Account(Admitted),
    /// A CA's certificate.
    Certificate {
        /// From when it is valid, in seconds since 1970.
        since: u64,
        /// Until when.
        until: u64,
    },
}

/// A link into a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkView {
    /// Its number.
    pub number: u32,
    /// Who made it.
    pub maker: DeviceId,
    /// How many have joined by it.
    pub uses: u32,
    /// How many may.
    pub max_uses: u32,
    /// When it ends, in seconds since 1970.
    pub expires_at: u64,
    /// Whether nobody can join by it any more.
    pub over: bool,
}

/// A code that this device and another one both show, if nobody stands between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairCode {
    /// The other device.
    pub other: DeviceId,
    /// The code.
    pub code: String,
}

/// What a room's own state says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomView {
    /// Its URI, which identifiers of messages derive from.
    pub uri: String,
    /// Its name, as it says; empty until somebody renames it. Here it may be called differently, see
    /// [`Engine::group_name`](crate::Engine::group_name).
    pub name: String,
    /// Its topic; empty for none.
    pub topic: String,
    /// A URI of its picture; empty for none.
    pub picture: String,
    /// Whether it is a direct chat: two users, to whom nobody is added.
    pub direct: bool,
    /// Its users, each with its role's name, banned ones too.
    pub users: Vec<(Name, String)>,
    /// The names of its roles.
    pub roles: Vec<String>,
    /// The role of this device's user.
    pub own_role: String,
    /// What that role allows.
    pub capabilities: Vec<Capability>,
    /// The preauthorized users: each may join by a link in the role of this name.
    pub preauthorized: Vec<(Name, String)>,
    /// What its policies say.
    pub policies: Vec<RoomPolicy>,
}
