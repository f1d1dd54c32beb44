//! Rooms: what a group is called, who takes part in which role, and what each role may do.
//!
//! All of that stands in components of the GroupContext (draft-ietf-mls-extensions), in the formats of
//! draft-ietf-mimi-room-policy-03 and draft-ietf-mimi-protocol-06. So members agree on it as on the rest of a group's state:
//! a newcomer reads it in the GroupContext, and only a commit changes it. [`RoomState`] is what they say.
//!
//! * **One judge.** [`judge`] says of a commit whether the room before it allows it, and if not, [why](Refusal). Members
//!   ask it before they send and when they receive, and a service that follows the group when it takes a commit. A client
//!   that does not ask gains nothing: everybody else refuses its commit. [`RoomPolicy`] is the judge as a policy of groups.
//! * **Roles are data.** A room defines its [`Roles`]: what their holders may do, and from which roles into which they may
//!   move users. New rooms have [visitors, members, moderators, admins and owners](Roles::standard).
//! * **Direct chats** are [rooms of two users](RoomState::direct). Nobody is added to them.
//! * **Bounds.** Whatever others can make grow is bounded when it is decoded, and what decodes encodes to the same bytes.
//!
//! The crate has no I/O, no clock and no randomness, and works without `std`.
//!
//! ```
//! use conclave_mls::GroupId;
//! use conclave_room::{Capability, RoomState, room_uri, user_uri};
//!
//! let uri = room_uri("example.com", &GroupId::from(vec![1, 2, 3]));
//! let room = RoomState::new(&uri, "lunch", &user_uri("example.com", "alice"))?;
//! assert!(room.may("alice", Capability::BAN));
//! assert!(!room.may("bob", Capability::SEND_MESSAGE));
//! # Ok::<_, Box<dyn core::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod text;
mod uri;

mod capability;
mod components;
mod participants;
mod role;

mod state;

mod presets;
mod refusal;

mod judge;

mod policy;

#[cfg(any(test, feature = "testing"))]
pub mod fuzz;

pub use capability::Capability;
pub use components::{
    BASE_ROOM_POLICY, BaseRoomPolicy, CHAT_HISTORY_POLICY, COMPONENTS, HistoryPolicy,
    JOIN_LINK_POLICY, JoinLinkPolicy, MESSAGE_EXPIRATION_POLICY, MessageExpiration,
    PARTICIPANT_LIST, PREAUTH_LIST, ROLES_LIST, ROOM_METADATA, RichDescription, RoomMetadata,
    STATUS_NOTIFICATION_POLICY, StatusNotificationPolicy,
};
pub use judge::{
    Actor, ClientChange, Demand, LinkUse, Proposed, RoomCommit, judge, judge_proposal, leavers,
};
pub use participants::{
    MAX_PARTICIPANTS, Participant, Participants, ParticipantsUpdate, RoleChange,
};
pub use policy::RoomPolicy;
pub use presets::standard;
pub use refusal::Refusal;
pub use role::{
    Claim, MAX_PREAUTHORIZATIONS, MAX_ROLES, Preauthorization, Preauthorizations, Role,
    RoleChanges, RoleIndex, Roles,
};
pub use state::{HistoryReach, RoomError, RoomState, StatusReports};
pub use text::{BadText, MAX_TEXT, Optionality, Text};
pub use uri::{
    LOCAL_AUTHORITY, is_authority, room_authority, room_uri, url_authority, user_authority,
    user_of, user_uri,
};
