//! Why a commit is refused.

use crate::capability::Capability;
use crate::role::RoleIndex;
use crate::state::RoomError;
use crate::text::Text;
use conclave_mls::component::ComponentId;
use core::fmt;

/// Why a commit or proposal does not keep to a room's policy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The sender's role does not allow it.
    Lacks {
        /// The role's name. None if the sender has no role at all.
        role: Option<Text>,
        /// What it does not allow.
        capability: Capability,
    },
    /// The sender's role does not allow moving anybody from this role into that one.
    RoleChange {
        /// The role before.
        from: RoleIndex,
        /// The role after.
        to: RoleIndex,
    },
    /// The room has the participants that it began with.
    FixedMembership,
    /// A client is added whose user is not a participant.
    NotParticipant,
    /// A client is added whose user is banned, or has a role without clients.
    Banned,
    /// A user leaves the participant list, or is banned, and one of the user's clients stays.
    ClientsLeft,
    /// A user who may not join does.
    MayNotJoin,
    /// A client that joins from outside does something else as well.
    JoinerDoesMore,
    /// The room's URI would change.
    RoomUri,
    /// A component is updated twice by one commit.
    UpdatedTwice(ComponentId),
    /// Roles are defined by a commit that changes the participant list.
    RolesWithParticipants,
    /// Users are preauthorized by a commit that adds participants or changes roles.
    PreauthorizedWithParticipants,
    /// The room would have more clients than its policy allows, or a user would.
    TooManyClients,
    /// The room would have more participants than its policy allows.
    TooManyParticipants,
    /// A role would have fewer or more participants than it allows.
    RoleBounds(RoleIndex),
    /// The data of a component would be removed.
    RemovesComponent(ComponentId),
    /// A member proposes a change of a component, instead of committing it.
    UpdateByReference,
    /// A proposal that rooms do not allow.
    UnknownProposal,
    /// A credential names no user.
    NoUser,
    /// The commit does not lead to a valid room.
    Room(RoomError),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lacks { role: Some(role), capability } => {
                write!(f, "the role {role} does not include {capability}")
            }
            Self::Lacks { role: None, capability } => {
                write!(
                    f,
                    "the sender is not a participant of the room, and this takes {capability}"
                )
            }
            Self::RoleChange { from, to } => {
                write!(f, "the sender's role does not allow changes from role {from} to role {to}")
            }
            Self::FixedMembership => f.write_str("the participants of this room never change"),
            Self::NotParticipant => f.write_str("the added client's user is not a participant"),
            Self::Banned => f.write_str("the added client's user is banned"),
            Self::ClientsLeft => {
                f.write_str("a user who leaves or is banned would still have clients in the room")
            }
            Self::MayNotJoin => f.write_str("the room does not let this user join in this way"),
            Self::JoinerDoesMore => {
                f.write_str("a client that joins from outside may add itself and do nothing else")
            }
            Self::RoomUri => f.write_str("the room's URI never changes"),
            Self::UpdatedTwice(id) => write!(f, "component {id} is updated twice"),
            Self::RolesWithParticipants => {
                f.write_str("a commit that defines roles may not change participants")
            }
            Self::PreauthorizedWithParticipants => f.write_str(
                "a commit that preauthorizes users may not add participants or change their roles",
            ),
            Self::TooManyClients => f.write_str("the room's policy allows no more clients"),
            Self::TooManyParticipants => {
                f.write_str("the room's policy allows no more participants")
            }
            Self::RoleBounds(role) => {
                write!(f, "role {role} would have too few or too many participants")
            }
            Self::RemovesComponent(id) => write!(f, "nobody may remove the data of component {id}"),
            Self::UpdateByReference => f.write_str("only a committer changes a component's data"),
            Self::UnknownProposal => f.write_str("the rules of rooms do not allow this proposal"),
            Self::NoUser => f.write_str("a credential names no user"),
            Self::Room(e) => fmt::Display::fmt(e, f),
        }
    }
}

impl core::error::Error for Refusal {}

impl From<RoomError> for Refusal {
    fn from(e: RoomError) -> Self {
        Self::Room(e)
    }
}
