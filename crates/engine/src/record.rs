//! What is stored beside the groups' own rows.

mod codec;

pub(crate) use codec::IDENTITY_VERSION;

use crate::content::Content;
use crate::notice::{Notice, Warning};
use crate::reason::Reason;
use crate::watch::{KeyId, PassedRoot};
pub(crate) use crate::who::Who;
use conclave_delivery_api::{ChainHash, DeviceId, JoinLink, LogEntry, Name, Receipt};
use conclave_mls::crypto::{Secret, SignatureKeyPair};
use conclave_mls::{CipherSuite, GroupId};
use conclave_room::{MessageExpiration, StatusNotificationPolicy};

/// Who this device is.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) device: DeviceId,
    /// The suite of the groups that it makes, unless another is chosen.
    pub(crate) cipher_suite: CipherSuite,
    /// The other suites that it can be invited into, all with the same signature scheme.
    pub(crate) other_suites: Vec<CipherSuite>,
    pub(crate) signer: SignatureKeyPair,
}

impl Identity {
    /// All suites of the device: it has key packages of each.
    pub(crate) fn suites(&self) -> impl Iterator<Item = CipherSuite> {
        core::iter::once(self.cipher_suite).chain(self.other_suites.iter().copied())
    }
}

/// How far a group has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Made here; the service does not have it yet. Holds the request that creates it.
    Creating(Vec<u8>),
    /// A member.
    Active,
    /// It was reset. What is to be sent waits for the successor, which this device is not in yet.
    Ended,
    /// Removed by somebody else, or reset.
    Removed,
    /// Left.
    Left,
}

/// A group, apart from its MLS state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupRecord {
    /// The name that this user knows it by; empty while it is not known.
    pub(crate) name: String,
    /// The number of the last log entry that was processed.
    pub(crate) cursor: u64,
    /// The hash of the log up to that entry; none if it was processed before hashes were noted.
    pub(crate) chain: Option<ChainHash>,
    /// The service's word on the latest place of the log that it has shown; none if it was used as evidence.
    pub(crate) receipt: Option<Receipt>,
    /// The last epoch that this device was a member in; 0 if that was not noted.
    pub(crate) epoch: u64,
    pub(crate) stage: Stage,
    /// When this device came in, in milliseconds since 1970.
    pub(crate) joined_at: u64,
    /// Who brought this device in, until the user accepts the group: nothing is said there before.
    pub(crate) asked_by: Option<DeviceId>,
    /// Which root was passed on here last, since members came in: of which service, and its epoch.
    pub(crate) passed: Option<(KeyId, u64)>,
    pub(crate) own_key: OwnKey,
}

impl GroupRecord {
    /// A group that this device comes into now, in milliseconds since 1970, and of whose log it knows nothing.
    pub(crate) fn new(name: String, stage: Stage, now: u64) -> Self {
        Self {
            name,
            cursor: 0,
            chain: None,
            receipt: None,
            epoch: 0,
            stage,
            joined_at: now,
            asked_by: None,
            passed: None,
            own_key: OwnKey::new(now),
        }
    }

    /// The number of the last entry of the log that was read, and the hash after it.
    pub(crate) fn place(&self) -> (u64, Option<ChainHash>) {
        (self.cursor, self.chain)
    }
}

/// How long, and for how much, this device's key in a group is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OwnKey {
    /// Since when, in milliseconds since 1970; 0 if that was not noted.
    pub(crate) since: u64,
    /// How many messages it has sent since.
    pub(crate) sent: u32,
}

impl OwnKey {
    /// A key that is in use from a time on.
    pub(crate) fn new(since: u64) -> Self {
        Self { since, sent: 0 }
    }
}

/// An entry of a group's log, kept in case the service loses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// The hash of the log before it.
    pub(crate) before: ChainHash,
    pub(crate) entry: LogEntry,
    /// The service's word on its place, if a page ended there.
    pub(crate) receipt: Option<Receipt>,
}

/// What the user thinks of somebody else's invitations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// They are taken.
    Accepted,
    /// They are not taken, and not shown.
    Blocked,
}

/// What of an account the service's directory does not have yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unpublished {
    /// How many entries the account's log had when that was noted.
    pub(crate) length: u64,
    /// The directory's epoch then.
    pub(crate) epoch: u64,
    /// The time then, in milliseconds since 1970.
    pub(crate) since: u64,
}

/// Something that the user wants and that is not done yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) group: GroupId,
    pub(crate) work: Work,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Send a payload. Sealed in the write that advanced the ratchet, sent then.
    Send { payload: Payload, sealed: Option<Vec<u8>> },
    /// Add whoever of these devices is not in the group. `committing`: the group's pending commit
    /// does it. `by_itself`: nobody has asked for it.
    Invite { who: Who, committing: bool, by_itself: bool },
    /// Remove whoever of these devices is in the group.
    Remove { who: Who, committing: bool },
    /// Leave: remove the user's other devices, unless this one leaves `alone`, then propose to be
    /// removed. The proposal is of one epoch.
    Leave { alone: bool, committing: bool, proposed: Option<(u64, Vec<u8>)> },
    /// Make a join link, which ends at a time in seconds since 1970, and show it when the group has it.
    MakeLink { link: JoinLink, expires_at: u64, max_uses: u32, committing: bool },
    /// Revoke the join link of this number.
    Unlink { number: u32, committing: bool },
    /// Change the room.
    Room { change: RoomChange, committing: bool },
    /// Join the group by a link: with the commit and the group that it leads to, once they are made.
    Join { link: JoinLink, commit: Option<Secret> },
}

impl Work {
    /// Whether it is an invitation that the group's pending commit does.
    pub(crate) fn is_invite_in_commit(&self) -> bool {
        matches!(self, Self::Invite { committing: true, .. })
    }
}

/// A change of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoomChange {
    /// It is called this.
    Name(String),
    /// Its topic; empty for none.
    Topic(String),
    /// A URI of its picture; empty for none.
    Picture(String),
    /// A user has this role, by its name.
    Role {
        /// Who.
        user: Name,
        /// Which: one of the room's roles.
        role: String,
    },
    /// A user who is not in the room may come in in this role, by its name; no longer, if there is none.
    Preauthorized {
        /// Who.
        user: Name,
        /// Which: one of the room's roles.
        role: Option<String>,
    },
    /// One of its policies says this.
    Policy(RoomPolicy),
}

/// What one of a room's policies says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoomPolicy {
    /// Devices that come in are given what was said in the last so many seconds; nothing, if there is no number.
    History(Option<u32>),
    /// Whether messages expire.
    Expiry(MessageExpiration),
    /// Whether members report that messages have arrived and were read.
    Reports(StatusNotificationPolicy),
}

/// The data of an application message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    /// What the application says.
    Content(Content),
    /// The same, and the newest root of the service's directory that its sender has seen. Made when content is
    /// sealed; what waits to be sent is content.
    Rooted(Box<PassedRoot>, Content),
    /// What the group is called: for new members, who cannot have heard it before.
    Name(String),
    /// Data of a kind that a later version makes.
    Unknown(Vec<u8>),
}

/// What a user is told, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Somebody said something: oneself, too.
    Message {
        /// The number in the group's log.
        seq: u64,
        /// When the service had it, in seconds since 1970.
        time: u64,
        /// Who.
        sender: DeviceId,
        /// Whether that is this device.
        own: bool,
        /// Whether the sender's role in the room, at this place in the log, allowed deleting what others have said. False for
        /// messages that an earlier version has stored.
        moderates: bool,
        /// What the room's policy said of expiry at this place in the log, if it said anything.
        expiration: Option<MessageExpiration>,
        /// What.
        content: Content,
    },
    /// A group that was made here is at the service.
    Created {
        /// Its suite; none in news that were stored before suites were told.
        suite: Option<CipherSuite>,
    },
    /// This device is in a group from now on.
    Joined {
        /// The number of the commit that added it.
        seq: u64,
        /// Who submitted that commit.
        by: DeviceId,
        /// The group's suite; none in news that were stored before suites were told.
        suite: Option<CipherSuite>,
    },
    /// A device came in.
    Added {
        /// The number of the commit.
        seq: u64,
        /// Which.
        who: DeviceId,
        /// Who committed; the device itself, if it came by an external commit.
        by: DeviceId,
        /// The beginning of the device's verification code; empty in news that were stored before
        /// codes were told.
        code: String,
    },
    /// This device is in a group from now on, by a join link.
    JoinedByLink {
        /// The number of its commit.
        seq: u64,
        /// Who made the link.
        maker: DeviceId,
        /// The group's suite.
        suite: CipherSuite,
    },
    /// A device came in by a join link.
    AddedByLink {
        /// The number of its commit.
        seq: u64,
        /// Which.
        who: DeviceId,
        /// Who made the link.
        maker: DeviceId,
        /// The beginning of the device's verification code.
        code: String,
    },
    /// A join link of this device's is in force: whoever has its text can join.
    LinkMade {
        /// The link. It is shown this once.
        text: String,
        /// How many devices may join by it.
        max_uses: u32,
        /// When it ends, in seconds since 1970.
        expires_at: u64,
    },
    /// Somebody whom the user has not accepted yet has brought this device into a group. Nothing is
    /// said there until the user accepts it.
    Invited {
        /// The number of the commit that added this device.
        seq: u64,
        /// Who.
        by: DeviceId,
        /// The beginning of that device's verification code.
        code: String,
    },
    /// A device is out.
    Removed {
        /// The number of the commit.
        seq: u64,
        /// Which.
        who: DeviceId,
        /// Who committed.
        by: DeviceId,
    },
    /// Somebody changed the room.
    Room {
        /// The number of the commit.
        seq: u64,
        /// Who committed.
        by: DeviceId,
        /// What.
        change: RoomChange,
    },
    /// A device wants to leave.
    Leaving {
        /// The number of the proposal.
        seq: u64,
        /// Which.
        who: DeviceId,
    },
    /// This device is out.
    Out {
        /// The number of the commit.
        seq: u64,
        /// Who committed.
        by: DeviceId,
        /// Whether this device had asked for it.
        left: bool,
    },
    /// The group has ended. Nothing can be said in it any more: what is to be said is sent in its successor, as soon as
    /// this device is in that.
    Ended {
        /// Its successor, if a member has made one; none if the service's administrator has ended it, so that a member
        /// is still to begin it anew.
        successor: Option<GroupId>,
    },
    /// The group takes the place of another one, where what was said before is.
    Replaces {
        /// That one.
        old: GroupId,
    },
    /// The group cannot be followed until something else happens: [`Reason::remedy`] says what can be done meanwhile.
    Waits {
        /// Why.
        reason: Reason,
    },
    /// Another process has gone on from a copy of this device's state, or from a later state than this one. Its keys
    /// are not used any more.
    StateCopied {
        /// When the other one began, in seconds since 1970, if the service has said so; none if a log shows it.
        since: Option<u64>,
        /// Whether this device gets a new key of its own accord. Where a CA certifies devices, it needs another
        /// certificate.
        by_itself: bool,
    },
    /// This device, whose state was a copy, has a key of its own again, and comes back into its groups.
    KeyRenewed,
    /// This device is in a group again, in place of its former leaf.
    Rejoined {
        /// The number of its commit.
        seq: u64,
        /// How many messages of the log before that it cannot read.
        missed: u64,
    },
    /// This device has come back into a group, or taken a new key, so often that it waits.
    RejoinLimited {
        /// Until when, in seconds since 1970.
        until: u64,
    },
    /// A message could not be read.
    Unreadable {
        /// Its number.
        seq: u64,
        /// Who submitted it, as the service says.
        sender: DeviceId,
        /// Why.
        reason: String,
    },
    /// Something that the user wanted did not come about.
    Failed {
        /// What and why.
        reason: Reason,
    },
    /// A part of what the user wanted did not come about, or something that the engine has tried of its own accord.
    NotDone {
        /// What and why.
        reason: Reason,
    },
    /// Something that the user must know of, and decide on.
    Alarm {
        /// What; [`Warning::remedy`] says what to do.
        warning: Warning,
    },
    /// Something worth knowing.
    Note {
        /// What.
        notice: Notice,
    },
}

/// News of a group, or of none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) group: Option<GroupId>,
    pub(crate) news: News,
}
