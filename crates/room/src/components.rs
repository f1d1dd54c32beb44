//! The other components of a room: its metadata, its base policy, and its policies for links, expiry, history and
//! status notifications.

use crate::text::{Optionality, Text, fields, get_bool, get_list, invalid, put_bool};
use alloc::vec::Vec;
use conclave_mls::component::ComponentId;
use conclave_mls::wire::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer};

/// The participant list (draft-ietf-mimi-protocol-06).
pub const PARTICIPANT_LIST: ComponentId = ComponentId(0x0022);
/// The room's metadata (draft-ietf-mimi-protocol-06).
pub const ROOM_METADATA: ComponentId = ComponentId(0x0023);
/// The room's roles (draft-ietf-mimi-room-policy-03, as are the following; the values are its suggestions).
pub const ROLES_LIST: ComponentId = ComponentId(0x0025);
/// The users who are preauthorized.
pub const PREAUTH_LIST: ComponentId = ComponentId(0x0026);
/// The base policy.
pub const BASE_ROOM_POLICY: ComponentId = ComponentId(0x0027);
/// The policy for delivery and read notifications.
pub const STATUS_NOTIFICATION_POLICY: ComponentId = ComponentId(0x0028);
/// The policy for new join links.
pub const JOIN_LINK_POLICY: ComponentId = ComponentId(0x0029);
/// The policy for history.
pub const CHAT_HISTORY_POLICY: ComponentId = ComponentId(0x002e);
/// The policy for messages that expire.
pub const MESSAGE_EXPIRATION_POLICY: ComponentId = ComponentId(0x0030);

/// The components of a room, by ascending identifier. All members of a room support them.
pub const COMPONENTS: [ComponentId; 9] = [
    PARTICIPANT_LIST,
    ROOM_METADATA,
    ROLES_LIST,
    PREAUTH_LIST,
    BASE_ROOM_POLICY,
    STATUS_NOTIFICATION_POLICY,
    JOIN_LINK_POLICY,
    CHAT_HISTORY_POLICY,
    MESSAGE_EXPIRATION_POLICY,
];

/// The most descriptions of a room.
const MAX_DESCRIPTIONS: usize = 16;
/// The most components that a base policy names, and the most roles that a history policy names.
const MAX_LIST: usize = 256;

/// A description of a room (`RichDescription`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RichDescription {
    /// Its media type; empty for plain text.
    pub media_type: Text,
    /// Its language.
    pub language_tag: Text,
    /// What it says.
    pub content: Text,
}
fields!(RichDescription { media_type, language_tag, content });

/// What people are shown of a room (`RoomMetaData`): the data of the component `room_metadata`, and its update, which
/// replaces it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomMetadata {
    /// The room's URI. It never changes.
    pub room_uri: Text,
    /// The room's name.
    pub name: Text,
    /// Descriptions, in several languages or formats.
    pub descriptions: Vec<RichDescription>,
    /// A URI of the room's picture; empty if it has none.
    pub avatar: Text,
    /// The room's subject: its topic.
    pub subject: Text,
    /// The room's mood.
    pub mood: Text,
}

impl Encode for RoomMetadata {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.room_uri.encode(w)?;
        self.name.encode(w)?;
        self.descriptions.encode(w)?;
        self.avatar.encode(w)?;
        self.subject.encode(w)?;
        self.mood.encode(w)
    }
}

impl Decode for RoomMetadata {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            room_uri: Decode::decode(r)?,
            name: Decode::decode(r)?,
            descriptions: get_list(r, MAX_DESCRIPTIONS, "room_descriptions")?,
            avatar: Decode::decode(r)?,
            subject: Decode::decode(r)?,
            mood: Decode::decode(r)?,
        })
    }
}

/// The rules of a room beside those of roles (`BaseRoomPolicy`): the data of the component `base_room_policy`, and its
/// update, which replaces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseRoomPolicy {
    /// Whether the participants stay those that the room began with, as in a direct chat.
    pub fixed_membership: bool,
    /// Whether all participants are participants of another room.
    pub parent_dependent: bool,
    /// That other room, one at most.
    pub parent_room: Vec<Text>,
    /// Whether a user may have several clients in the group.
    pub multi_device: bool,
    /// The most clients in the group.
    pub max_clients: Option<u32>,
    /// The most participants who are not banned.
    pub max_users: Option<u32>,
    /// Whether credentials may name pseudonyms.
    pub pseudonyms_allowed: bool,
    /// Whether the room outlives its group.
    pub persistent_room: bool,
    /// Whether it can be searched for.
    pub discoverable: bool,
    /// The other components of its policy.
    pub policy_components: Vec<ComponentId>,
}

impl Default for BaseRoomPolicy {
    fn default() -> Self {
        Self {
            fixed_membership: false,
            parent_dependent: false,
            parent_room: Vec::new(),
            multi_device: true,
            max_clients: None,
            max_users: None,
            pseudonyms_allowed: false,
            persistent_room: false,
            discoverable: false,
            policy_components: Vec::new(),
        }
    }
}

impl Encode for BaseRoomPolicy {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        put_bool(w, self.fixed_membership)?;
        put_bool(w, self.parent_dependent)?;
        self.parent_room.encode(w)?;
        put_bool(w, self.multi_device)?;
        self.max_clients.encode(w)?;
        self.max_users.encode(w)?;
        put_bool(w, self.pseudonyms_allowed)?;
        put_bool(w, self.persistent_room)?;
        put_bool(w, self.discoverable)?;
        self.policy_components.encode(w)
    }
}

impl Decode for BaseRoomPolicy {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let policy = Self {
            fixed_membership: get_bool(r)?,
            parent_dependent: get_bool(r)?,
            parent_room: get_list(r, 1, "parent_room")?,
            multi_device: get_bool(r)?,
            max_clients: Decode::decode(r)?,
            max_users: Decode::decode(r)?,
            pseudonyms_allowed: get_bool(r)?,
            persistent_room: get_bool(r)?,
            discoverable: get_bool(r)?,
            policy_components: get_list(r, MAX_LIST, "policy_component_ids")?,
        };
        if policy.parent_dependent == policy.parent_room.is_empty() {
            return Err(invalid("parent_room", policy.parent_room.len()));
        }
        Ok(policy)
    }
}

/// Whether delivery and reading are reported (`StatusNotificationPolicy`): the data of the component
/// `status_notification_policy`, and its update, which replaces it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusNotificationPolicy {
    /// Reports that a message has arrived.
    pub delivery_notifications: Optionality,
    /// Reports that it was read.
    pub read_receipts: Optionality,
}
fields!(StatusNotificationPolicy { delivery_notifications, read_receipts });

/// What new join links may be like (`JoinLinkPolicy`): the data of the component `join_link_policy`, and its update,
/// which replaces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinLinkPolicy {
    /// Whether at most one link is good at a time: the old one is revoked before a new one is made, or with it.
    pub on_request: bool,
    /// Where a link can be asked for; may be empty.
    pub join_link: Text,
    /// Whether several users may join by one link.
    pub multiuser: bool,
    /// The longest that a new link is good for, in seconds.
    pub expiration: u32,
}

impl Encode for JoinLinkPolicy {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        put_bool(w, self.on_request)?;
        self.join_link.encode(w)?;
        put_bool(w, self.multiuser)?;
        self.expiration.encode(w)
    }
}

impl Decode for JoinLinkPolicy {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            on_request: get_bool(r)?,
            join_link: Decode::decode(r)?,
            multiuser: get_bool(r)?,
            expiration: Decode::decode(r)?,
        })
    }
}

/// Who may give newcomers what was said before (`HistoryPolicy`): the data of the component `chat_history_policy`, and
/// its update, which replaces it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum HistoryPolicy {
    /// Nobody.
    #[default]
    Forbidden,
    /// Members of some roles.
    Shared {
        /// Whether they must.
        required: bool,
        /// The roles, by their numbers.
        roles: Vec<u32>,
        /// Whether their clients may without being asked to.
        automatically: bool,
        /// How far back, in seconds.
        max_time_period: u32,
    },
}

impl Encode for HistoryPolicy {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        let Self::Shared { required, roles, automatically, max_time_period } = self else {
            return Optionality::Forbidden.encode(w);
        };
        optionality(*required).encode(w)?;
        roles.encode(w)?;
        put_bool(w, *automatically)?;
        max_time_period.encode(w)
    }
}

impl Decode for HistoryPolicy {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let required = match Optionality::decode(r)? {
            Optionality::Forbidden => return Ok(Self::Forbidden),
            other => other == Optionality::Required,
        };
        let roles: Vec<u32> = get_list(r, MAX_LIST, "roles_that_can_share")?;
        // Roles 0 and 1 are of those who are not in the group.
        if let Some(role) = roles.iter().find(|role| **role <= 1) {
            let value = (*role).into();
            return Err(DecodeError::InvalidValue { field: "roles_that_can_share", value });
        }
        Ok(Self::Shared {
            required,
            roles,
            automatically: get_bool(r)?,
            max_time_period: Decode::decode(r)?,
        })
    }
}

/// Whether messages expire (`MessageExpiration`): the data of the component `message_expiration_policy`, and its update,
/// which replaces it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MessageExpiration {
    /// None may.
    #[default]
    Forbidden,
    /// They may, or must.
    Allowed {
        /// Whether they must.
        required: bool,
        /// After how many seconds at the earliest.
        min: u32,
        /// After how many at the latest.
        max: u32,
        /// After how many by themselves.
        default: Option<u32>,
    },
}

impl MessageExpiration {
    /// Each sender may choose, and most choose nothing: as in a room without such a policy.
    pub const OPEN: Self = Self::Allowed { required: false, min: 0, max: u32::MAX, default: None };

    /// All messages expire after so many seconds.
    #[must_use]
    pub fn after(seconds: u32) -> Self {
        Self::Allowed { required: true, min: seconds, max: seconds, default: Some(seconds) }
    }

    /// Whether its bounds make sense: those of a policy that decodes do.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        match *self {
            Self::Forbidden => true,
            Self::Allowed { min, max, default, .. } => {
                min <= max && default.is_none_or(|default| (min..=max).contains(&default))
            }
        }
    }
}

impl Encode for MessageExpiration {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        let Self::Allowed { required, min, max, default } = self else {
            return Optionality::Forbidden.encode(w);
        };
        optionality(*required).encode(w)?;
        min.encode(w)?;
        max.encode(w)?;
        default.encode(w)
    }
}

impl Decode for MessageExpiration {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let required = match Optionality::decode(r)? {
            Optionality::Forbidden => return Ok(Self::Forbidden),
            other => other == Optionality::Required,
        };
        let (min, max) = (u32::decode(r)?, u32::decode(r)?);
        let policy = Self::Allowed { required, min, max, default: Decode::decode(r)? };
        if policy.is_consistent() {
            Ok(policy)
        } else {
            let value = max.into();
            Err(DecodeError::InvalidValue { field: "max_expiration_duration", value })
        }
    }
}

fn optionality(required: bool) -> Optionality {
    if required { Optionality::Required } else { Optionality::Optional }
}
