//! What the components of a GroupContext say of a room.

use crate::capability::Capability;
use crate::components::{
    BASE_ROOM_POLICY, BaseRoomPolicy, CHAT_HISTORY_POLICY, COMPONENTS, HistoryPolicy,
    JOIN_LINK_POLICY, JoinLinkPolicy, MESSAGE_EXPIRATION_POLICY, MessageExpiration,
    PARTICIPANT_LIST, PREAUTH_LIST, ROLES_LIST, ROOM_METADATA, RoomMetadata,
    STATUS_NOTIFICATION_POLICY, StatusNotificationPolicy,
};
use crate::participants::{Participants, ParticipantsUpdate};
use crate::role::{Claim, Preauthorizations, Role, RoleIndex, Roles};
use crate::text::{Optionality, Text};
use crate::uri::{room_authority, user_of, user_uri};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use conclave_mls::component::{AppDataDictionary, ComponentId};
use conclave_mls::group::GroupView;
use conclave_mls::wire::codec::{Decode, DecodeError, Encode, EncodeError};
use conclave_mls::wire::{Bytes, ComponentsList, Extension};
use core::fmt;

/// The components of a group make no room.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RoomError {
    /// It has some of the components that make a room, but not this one.
    Missing(ComponentId),
    /// A component's data is malformed.
    Malformed(ComponentId, DecodeError),
    /// Its URI is not a room's.
    RoomUri,
    /// A participant has a role that the room does not define.
    UnknownRole(RoleIndex),
}

impl fmt::Display for RoomError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(id) => write!(f, "the room has no component {id}"),
            Self::Malformed(id, e) => write!(f, "the room's component {id} is malformed: {e}"),
            Self::RoomUri => f.write_str("the room's URI is not of the form mimi://AUTHORITY/r/ID"),
            Self::UnknownRole(index) => write!(f, "the room does not define role {index}"),
        }
    }
}

impl core::error::Error for RoomError {}

impl RoomMetadata {
    /// What people are shown of the room that a group is; none if it is no room.
    ///
    /// # Errors
    /// [`RoomError::Malformed`].
    pub fn of(group: GroupView<'_>) -> Result<Option<Self>, RoomError> {
        in_group(group, ROOM_METADATA)
    }
}

impl MessageExpiration {
    /// Whether messages of the room that a group is expire, if it says so.
    ///
    /// # Errors
    /// [`RoomError::Malformed`].
    pub fn of(group: GroupView<'_>) -> Result<Option<Self>, RoomError> {
        in_group(group, MESSAGE_EXPIRATION_POLICY)
    }
}

/// One component of a group.
fn in_group<T: Decode>(group: GroupView<'_>, id: ComponentId) -> Result<Option<T>, RoomError> {
    optional(id, AppDataDictionary::find_data(group.extensions(), id).ok().flatten())
}

/// How far back what was said in a room may be given to a device that comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryReach {
    /// Nothing is given.
    Nothing,
    /// What was said in the last so many seconds.
    Seconds(u32),
    /// All that there is.
    All,
}

/// What a client reports of messages that come in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusReports {
    /// That they have arrived.
    pub delivered: bool,
    /// That they were read.
    pub read: bool,
}

/// What the components of a GroupContext say of a room: all that its members agree on apart from who is in the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomState {
    /// What people are shown.
    pub metadata: RoomMetadata,
    /// The rules beside those of roles.
    pub base: BaseRoomPolicy,
    /// The roles.
    pub roles: Roles,
    /// The users.
    pub participants: Participants,
    /// Who may take which role by what their credentials say.
    pub preauthorized: Preauthorizations,
    /// What new join links may be like, if that is bounded.
    pub join_links: Option<JoinLinkPolicy>,
    /// Who may give newcomers what was said before, if the room says so.
    pub history: Option<HistoryPolicy>,
    /// Whether messages expire, if the room says so.
    pub expiration: Option<MessageExpiration>,
    /// Whether delivery and reading are reported, if the room says so.
    pub status_notifications: Option<StatusNotificationPolicy>,
}

impl RoomState {
    /// The room that a group's extensions describe. None if they describe none.
    ///
    /// # Errors
    /// If some of what makes a room is there, and the rest is not, or is malformed.
    pub fn in_extensions(extensions: &[Extension]) -> Result<Option<Self>, RoomError> {
        // A dictionary was checked when it came in.
        let data = |id: ComponentId| AppDataDictionary::find_data(extensions, id).ok().flatten();
        if COMPONENTS.iter().all(|id| data(*id).is_none()) {
            return Ok(None);
        }
        let room = Self {
            metadata: needed(ROOM_METADATA, data(ROOM_METADATA))?,
            base: needed(BASE_ROOM_POLICY, data(BASE_ROOM_POLICY))?,
            roles: needed(ROLES_LIST, data(ROLES_LIST))?,
            participants: needed(PARTICIPANT_LIST, data(PARTICIPANT_LIST))?,
            preauthorized: optional(PREAUTH_LIST, data(PREAUTH_LIST))?.unwrap_or_default(),
            join_links: optional(JOIN_LINK_POLICY, data(JOIN_LINK_POLICY))?,
            history: optional(CHAT_HISTORY_POLICY, data(CHAT_HISTORY_POLICY))?,
            expiration: optional(MESSAGE_EXPIRATION_POLICY, data(MESSAGE_EXPIRATION_POLICY))?,
            status_notifications: optional(
                STATUS_NOTIFICATION_POLICY,
                data(STATUS_NOTIFICATION_POLICY),
            )?,
        };
        room.check()?;
        Ok(Some(room))
    }

    /// The room that a group is. None if it is none.
    ///
    /// # Errors
    /// The errors of [`Self::in_extensions`].
    pub fn of(group: GroupView<'_>) -> Result<Option<Self>, RoomError> {
        Self::in_extensions(group.extensions())
    }

    /// Checks what holds between components.
    ///
    /// # Errors
    /// [`RoomError::RoomUri`] and [`RoomError::UnknownRole`].
    pub fn check(&self) -> Result<(), RoomError> {
        room_authority(self.metadata.room_uri.as_str()).ok_or(RoomError::RoomUri)?;
        let unknown = |role: &RoleIndex| self.roles.get(*role).is_none();
        let mut roles = self.participants.all().iter().map(|participant| participant.role);
        match roles.find(unknown) {
            Some(role) => Err(RoomError::UnknownRole(role)),
            None => Ok(()),
        }
    }

    /// A new group's dictionary of components: the room's, and what all members have to support, `others` among it.
    ///
    /// # Errors
    /// If something is too long to encode.
    pub fn dictionary(&self, others: &[ComponentId]) -> Result<AppDataDictionary, EncodeError> {
        let required = ComponentsList { component_ids: [&COMPONENTS, others].concat() };
        let mut dictionary = AppDataDictionary::default()
            .with(ComponentId::APP_COMPONENTS, required.to_bytes()?)
            .with(PARTICIPANT_LIST, self.participants.to_bytes()?)
            .with(ROOM_METADATA, self.metadata.to_bytes()?)
            .with(ROLES_LIST, self.roles.to_bytes()?)
            .with(BASE_ROOM_POLICY, self.base.to_bytes()?);
        let policies = [
            (
                PREAUTH_LIST,
                Some(self.preauthorized.to_bytes()?).filter(|_| !self.preauthorized.0.is_empty()),
            ),
            (JOIN_LINK_POLICY, self.join_links.as_ref().map(Encode::to_bytes).transpose()?),
            (CHAT_HISTORY_POLICY, self.history.as_ref().map(Encode::to_bytes).transpose()?),
            (
                MESSAGE_EXPIRATION_POLICY,
                self.expiration.as_ref().map(Encode::to_bytes).transpose()?,
            ),
            (
                STATUS_NOTIFICATION_POLICY,
                self.status_notifications.as_ref().map(Encode::to_bytes).transpose()?,
            ),
        ];
        for (id, data) in policies {
            if let Some(data) = data {
                dictionary.set(id, data.into());
            }
        }
        Ok(dictionary)
    }

    /// The authority of the room and of its users.
    #[must_use]
    pub fn authority(&self) -> &str {
        room_authority(self.metadata.room_uri.as_str()).unwrap_or_default()
    }

    /// The URI of a user of the room's authority. None if it is too long.
    #[must_use]
    pub fn uri_of(&self, user: &str) -> Option<Text> {
        Text::try_from(user_uri(self.authority(), user).as_str()).ok()
    }

    /// The users of the room's authority, each with its role. Participants of others are left out.
    pub fn users(&self) -> impl Iterator<Item = (&str, &Role)> {
        let authority = self.authority();
        self.participants.all().iter().filter_map(move |participant| {
            let user = user_of(authority, participant.user.as_str())?;
            Some((user, self.roles.get(participant.role)?))
        })
    }

    /// The role of a user; of role 0 if it is no participant.
    #[must_use]
    pub fn role_of(&self, user: &str) -> Option<&Role> {
        self.role_of_uri(&user_uri(self.authority(), user))
    }

    /// The role of a user by its URI.
    #[must_use]
    pub fn role_of_uri(&self, uri: &str) -> Option<&Role> {
        self.roles.get(self.participants.role_of(uri))
    }

    /// Whether a user may do something.
    #[must_use]
    pub fn may(&self, user: &str, capability: Capability) -> bool {
        self.role_of(user).is_some_and(|role| role.has(capability))
    }

    /// How far back a client of a user may give what was said to another client of the same user that comes in.
    ///
    /// The draft says what a policy means for *new joiners*, and does not exempt a joiner of the same user: clients are
    /// "expected to not to share chat history with new joiners" if that is forbidden, as sharing "substantially weakens
    /// forward secrecy". It leaves open what holds without a policy. Then nobody has limited anything: a user who could read
    /// it aloud to the new device may give it.
    #[must_use]
    pub fn history_for_own_client(&self, user: &str) -> HistoryReach {
        let Some(policy) = &self.history else { return HistoryReach::All };
        let HistoryPolicy::Shared { roles, max_time_period, .. } = policy else {
            return HistoryReach::Nothing;
        };
        let own = self.role_of(user).map(|role| role.index.0);
        if own.is_some_and(|own| roles.contains(&own)) && *max_time_period > 0 {
            HistoryReach::Seconds(*max_time_period)
        } else {
            HistoryReach::Nothing
        }
    }

    /// What a client reports, if its user wants it to, or not: the user's choice counts where the policy leaves reports
    /// optional ("Status Notifications component"), and in a room without such a policy.
    #[must_use]
    pub fn status_reports(&self, is_wanted: bool) -> StatusReports {
        let reports = |policy| match policy {
            Optionality::Optional => is_wanted,
            Optionality::Required => true,
            Optionality::Forbidden => false,
        };
        let policy = self.status_notifications.unwrap_or_default();
        StatusReports {
            delivered: reports(policy.delivery_notifications),
            read: reports(policy.read_receipts),
        }
    }

    /// Whether this is a direct chat: two users, to whom nobody is added.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        self.base.fixed_membership && self.participants.all().len() == 2
    }

    /// The role of a user who joins by a link: the first into which role 0 may move itself.
    #[must_use]
    pub fn role_by_link(&self) -> Option<RoleIndex> {
        let none = self.roles.get(RoleIndex::NONE)?;
        if !none.has(Capability::USE_JOIN_CODE) || self.base.fixed_membership {
            return None;
        }
        let changes = none.changes.iter().find(|changes| changes.from == RoleIndex::NONE)?;
        changes.to.iter().copied().find(|role| *role != RoleIndex::NONE)
    }

    /// The role in which a user who is not a participant may come in by what its credential says: that of the first entry whose
    /// claims it has, if that role can be joined so ("Preauthorized Users").
    #[must_use]
    pub fn role_if_preauthorized(&self, claims: &[Claim]) -> Option<RoleIndex> {
        let role = self.roles.get(self.preauthorized.role_for(claims)?)?;
        let can_be_joined = role.index != RoleIndex::NONE
            && role.takes_part()
            && role.has(Capability::JOIN_IF_PREAUTHORIZED);
        (can_be_joined && !self.base.fixed_membership).then_some(role.index)
    }

    /// The users of the room's authority who are preauthorized by name, each with the role. Entries that ask for other claims
    /// are left out.
    pub fn preauthorized_users(&self) -> impl Iterator<Item = (&str, &Role)> {
        let authority = self.authority();
        self.preauthorized.0.iter().filter_map(move |entry| {
            let user = user_of(authority, entry.user()?)?;
            Some((user, self.roles.get(entry.role.index)?))
        })
    }

    /// The room after the updates of one commit, in the commit's order, and the new data of each component that they
    /// are about, by ascending component.
    ///
    /// # Errors
    /// If an update is malformed, about no component of a room, or leads to no room.
    pub fn updated(
        &self,
        updates: &[(ComponentId, &[u8])],
    ) -> Result<(Self, Vec<(ComponentId, Bytes)>), RoomError> {
        let mut after = self.clone();
        let mut lists = Vec::new();
        for (id, update) in updates {
            let malformed = |e| RoomError::Malformed(*id, e);
            match *id {
                PARTICIPANT_LIST => {
                    lists.push(ParticipantsUpdate::from_bytes(update).map_err(malformed)?);
                }
                ROOM_METADATA => after.metadata = Decode::from_bytes(update).map_err(malformed)?,
                ROLES_LIST => after.roles = Decode::from_bytes(update).map_err(malformed)?,
                PREAUTH_LIST => {
                    after.preauthorized = Decode::from_bytes(update).map_err(malformed)?
                }
                BASE_ROOM_POLICY => after.base = Decode::from_bytes(update).map_err(malformed)?,
                JOIN_LINK_POLICY => {
                    after.join_links = Some(Decode::from_bytes(update).map_err(malformed)?);
                }
                CHAT_HISTORY_POLICY => {
                    after.history = Some(Decode::from_bytes(update).map_err(malformed)?);
                }
                MESSAGE_EXPIRATION_POLICY => {
                    after.expiration = Some(Decode::from_bytes(update).map_err(malformed)?);
                }
                STATUS_NOTIFICATION_POLICY => {
                    after.status_notifications =
                        Some(Decode::from_bytes(update).map_err(malformed)?);
                }
                other => return Err(RoomError::Missing(other)),
            }
        }
        let malformed = |e| RoomError::Malformed(PARTICIPANT_LIST, e);
        after.participants = self.participants.updated(&lists).map_err(malformed)?;
        after.check()?;

        // All updates but those of the participant list are the new data. The last of a component counts.
        let last: BTreeMap<ComponentId, &[u8]> = updates.iter().copied().collect();
        let new_data = |(id, update): (ComponentId, &[u8])| {
            let data: Bytes = match id {
                PARTICIPANT_LIST => after.participants.to_bytes().unwrap_or_default().into(),
                _ => update.into(),
            };
            (id, data)
        };
        let data = last.into_iter().map(new_data).collect();
        Ok((after, data))
    }
}

fn needed<T: Decode>(id: ComponentId, data: Option<&[u8]>) -> Result<T, RoomError> {
    optional(id, data)?.ok_or(RoomError::Missing(id))
}

fn optional<T: Decode>(id: ComponentId, data: Option<&[u8]>) -> Result<Option<T>, RoomError> {
    data.map(|data| T::from_bytes(data).map_err(|e| RoomError::Malformed(id, e))).transpose()
}
