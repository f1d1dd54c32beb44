//! What a user is told.

use super::files::FileShown;
use super::profiles::ProfileShown;
use super::said::{Did, Said};
use conclave_delivery_api::{DeviceId, Name};
use conclave_engine::{
    Answer, DeviceView, GroupView, LinkView, Member, News, PairCode, RoomPolicy, RoomView,
};
use conclave_mls::CipherSuite;

/// Something that a user is told. Groups are called by their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// An event of the engine's. It may be shown twice after a crash, with the same number.
    News {
        /// Its number.
        key: u64,
        /// The group's name; empty for news of no group.
        group: String,
        /// What happened.
        news: News,
    },
    /// Something that was asked for did not come about: an event, in words.
    Failed {
        /// The event's number.
        key: u64,
        /// The group's name; empty if it is about none.
        group: String,
        /// What and why.
        what: String,
    },
    /// Something that the user must decide on: an event, in words.
    Alarm {
        /// The event's number.
        key: u64,
        /// The group's name; empty if it is about none.
        group: String,
        /// What, and what to do.
        what: String,
    },
    /// What else the engine says.
    Answer(Answer),
    /// A group.
    Group {
        /// The group.
        group: GroupView,
        /// Whether commands are about it.
        current: bool,
    },
    /// The code of a group's epoch, equal for all members.
    Epoch {
        /// The group's name.
        group: String,
        /// The epoch.
        epoch: u64,
        /// The code.
        code: String,
        /// The group's suite.
        suite: CipherSuite,
    },
    /// A member of a group.
    Member {
        /// The group's name.
        group: String,
        /// The member.
        member: Member,
        /// The display name of its user, at the first of that user's devices; empty for none.
        called: String,
    },
    /// What a room says of itself, beside who takes part in it.
    Room {
        /// The group's name here.
        group: String,
        /// The room.
        room: RoomView,
    },
    /// Somebody in a room.
    RoomUser {
        /// The group's name.
        group: String,
        /// Who.
        user: Name,
        /// The name of the user's role.
        role: String,
        /// The user's display name; empty for none.
        called: String,
    },
    /// What a policy of a room says.
    RoomPolicy {
        /// The group's name.
        group: String,
        /// What it says.
        policy: RoomPolicy,
    },
    /// A preauthorized user, who may join a room by a link in a certain role.
    Preauthorized {
        /// The group's name.
        group: String,
        /// Who.
        user: Name,
        /// The name of that role.
        role: String,
    },
    /// A device of somebody's.
    Device(DeviceView),
    /// A link into a group.
    JoinLink {
        /// The group's name.
        group: String,
        /// The link.
        link: LinkView,
    },
    /// A code to compare.
    Pair {
        /// This device.
        me: DeviceId,
        /// The other one, and the code.
        pair: PairCode,
    },
    /// An old message.
    History {
        /// The group's name.
        group: String,
        /// The message.
        news: News,
    },
    /// What somebody said, as the history has it.
    Said(Box<Said>),
    /// What happened to something that was said.
    Did {
        /// The group's name.
        group: String,
        /// What.
        did: Did,
    },
    /// What a user says of themselves.
    Profile {
        /// The name of the group in which that came; empty if somebody has asked for it.
        group: String,
        /// What.
        profile: ProfileShown,
    },
    /// What becomes of a file that is sent or saved.
    File {
        /// The group's name.
        group: String,
        /// What.
        file: FileShown,
    },
    /// Something worth knowing.
    Note {
        /// The group's name; empty for a note about none.
        group: String,
        /// What.
        what: String,
    },
    /// A line was refused, or something failed of which nothing is kept: why.
    Refused(String),
}

impl Shown {
    /// Whether this is not worth a line of its own: the progress of a file, except at each ten percent.
    #[must_use]
    pub fn is_minor(&self) -> bool {
        matches!(self, Self::File { file: FileShown::Moved { is_step: false, .. }, .. })
    }
}
