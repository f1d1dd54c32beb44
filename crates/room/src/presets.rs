//! The roles that new rooms have, and new rooms.

use crate::capability::Capability;
use crate::components::{BaseRoomPolicy, COMPONENTS, RoomMetadata};
use crate::participants::{Participant, Participants};
use crate::role::{Preauthorizations, Role, RoleChanges, RoleIndex, Roles};
use crate::state::RoomState;
use crate::text::{BadText, Text};
use alloc::vec::Vec;

/// The roles of a room that people are invited into.
pub mod standard {
    use super::RoleIndex;

    /// Reads, and writes nothing.
    pub const VISITOR: RoleIndex = RoleIndex(2);
    /// Writes, invites others, makes links, and changes name, topic and picture.
    pub const MEMBER: RoleIndex = RoleIndex(3);
    /// May also remove and ban members.
    pub const MODERATOR: RoleIndex = RoleIndex(4);
    /// May also give out roles up to its own.
    pub const ADMIN: RoleIndex = RoleIndex(5);
    /// Does all that the room allows anybody to do.
    pub const OWNER: RoleIndex = RoleIndex(6);
}

use standard::{ADMIN, MEMBER, MODERATOR, OWNER, VISITOR};

const READING: &[Capability] = &[
    Capability::ADD_OWN_CLIENT,
    Capability::REMOVE_OWN_CLIENT,
    Capability::REMOVE_SELF,
    Capability::RECEIVE_MESSAGE,
    Capability::COPY_MESSAGE,
    Capability::REPORT_ABUSE,
    Capability::DOWNLOAD_IMAGE,
    Capability::DOWNLOAD_AUDIO,
    Capability::DOWNLOAD_VIDEO,
    Capability::DOWNLOAD_ATTACHMENT,
    Capability::FOLLOW_LINK,
    Capability::COPY_LINK,
];

const WRITING: &[Capability] = &[
    Capability::SEND_MESSAGE,
    Capability::REPLY_TO_MESSAGE,
    Capability::REACT_TO_MESSAGE,
    Capability::EDIT_REACTION,
    Capability::DELETE_OWN_REACTION,
    Capability::EDIT_OWN_MESSAGE,
    Capability::DELETE_OWN_MESSAGE,
    Capability::START_TOPIC,
    Capability::REPLY_IN_TOPIC,
    Capability::EDIT_OWN_TOPIC,
    Capability::UPLOAD_IMAGE,
    Capability::UPLOAD_AUDIO,
    Capability::UPLOAD_VIDEO,
    Capability::UPLOAD_ATTACHMENT,
    Capability::SEND_LINK,
    Capability::SEND_LINK_PREVIEW,
    Capability::CHANGE_OWN_NAME,
    Capability::CHANGE_OWN_PRESENCE,
    Capability::CHANGE_OWN_MOOD,
    Capability::CHANGE_OWN_AVATAR,
];

const OF_MEMBER: &[Capability] = &[
    Capability::ADD_PARTICIPANT,
    Capability::CREATE_JOIN_CODE,
    Capability::DELETE_JOIN_CODE,
    Capability::CHANGE_ROOM_NAME,
    Capability::CHANGE_ROOM_DESCRIPTION,
    Capability::CHANGE_ROOM_AVATAR,
    Capability::CHANGE_ROOM_SUBJECT,
    Capability::CHANGE_ROOM_MOOD,
];

const OF_MODERATOR: &[Capability] = &[
    Capability::REMOVE_PARTICIPANT,
    Capability::KICK,
    Capability::BAN,
    Capability::UNBAN,
    Capability::DELETE_OTHER_MESSAGE,
    Capability::DELETE_OTHER_REACTION,
    Capability::EDIT_OTHER_TOPIC,
];

const OF_ADMIN: &[Capability] =
    &[Capability::CHANGE_USER_ROLE, Capability::CHANGE_OTHER_POLICY_ATTRIBUTE];

const OF_OWNER: &[Capability] = &[
    Capability::CHANGE_ROLE_DEFINITIONS,
    Capability::CHANGE_PREAUTHORIZED_USER_LIST,
    Capability::CHANGE_MLS_OPERATIONAL_POLICIES,
    Capability::SEND_MLS_REINIT_PROPOSAL,
    Capability::DESTROY_ROOM,
];

impl Roles {
    /// The roles of a new room: none, banned, visitor, member, moderator, admin, owner. Each may do what the ones
    /// before it may.
    #[must_use]
    pub fn standard() -> Self {
        const OUT: RoleIndex = RoleIndex::NONE;
        const BANNED: RoleIndex = RoleIndex::BANNED;
        let steps = [READING, WRITING, OF_MEMBER, OF_MODERATOR, OF_ADMIN, OF_OWNER];
        let upto = |steps_taken: usize| -> Vec<Capability> {
            steps.iter().take(steps_taken).copied().flatten().copied().collect()
        };

        // A user in one of the lower roles may be moved into any other of `to`.
        let among = |lower: &[RoleIndex], to: &[RoleIndex]| -> Vec<RoleChanges> {
            let others = |from: RoleIndex| to.iter().copied().filter(|to| *to != from).collect();
            lower.iter().map(|from| RoleChanges { from: *from, to: others(*from) }).collect()
        };
        let leave = |from: RoleIndex| RoleChanges { from, to: [OUT].into() };
        let moderates = [OUT, BANNED, VISITOR, MEMBER];
        let mut by_moderator = among(&moderates, &moderates);
        by_moderator.push(leave(MODERATOR));
        let administers = [OUT, BANNED, VISITOR, MEMBER, MODERATOR];
        let mut by_admin = among(&administers, &[OUT, BANNED, VISITOR, MEMBER, MODERATOR, ADMIN]);
        by_admin.push(leave(ADMIN));
        let all = [OUT, BANNED, VISITOR, MEMBER, MODERATOR, ADMIN, OWNER];
        let by_member = [RoleChanges { from: OUT, to: [VISITOR, MEMBER].into() }, leave(MEMBER)];
        let by_nobody = [RoleChanges { from: OUT, to: [MEMBER].into() }];

        Self::checked([
            role(
                OUT,
                "none",
                "not in the room",
                [Capability::USE_JOIN_CODE].into(),
                by_nobody.into(),
            )
            .without_clients(),
            role(BANNED, "banned", "may not come back", Vec::new(), Vec::new()).without_clients(),
            role(VISITOR, "visitor", "reads", upto(1), [leave(VISITOR)].into()),
            role(MEMBER, "member", "talks and invites", upto(3), by_member.into()),
            role(MODERATOR, "moderator", "removes and bans", upto(4), by_moderator),
            role(ADMIN, "admin", "gives out roles", upto(5), by_admin),
            role(OWNER, "owner", "may do everything", upto(6), among(&all, &all)),
        ])
    }

    /// The roles of a direct chat: its two users have one role, and each may change its policies. Nobody is added or removed.
    #[must_use]
    pub fn direct() -> Self {
        let policies = [Capability::CHANGE_OTHER_POLICY_ATTRIBUTE];
        let capabilities = READING.iter().chain(WRITING).copied().chain(policies);
        let capabilities = capabilities.filter(|c| *c != Capability::REMOVE_SELF).collect();
        Self::checked([role(MEMBER, "member", "talks", capabilities, Vec::new())])
    }

    /// Roles that decode, as tests show.
    fn checked<const N: usize>(roles: [Role; N]) -> Self {
        Self::new(roles.into()).unwrap_or_else(|_| unreachable!("the roles of new rooms are valid"))
    }
}

impl Role {
    fn without_clients(self) -> Self {
        Self { max_active: Some(0), ..self }
    }
}

fn role(
    index: RoleIndex,
    name: &str,
    description: &str,
    capabilities: Vec<Capability>,
    changes: Vec<RoleChanges>,
) -> Role {
    Role {
        index,
        name: Text::try_from(name).unwrap_or_default(),
        description: Text::try_from(description).unwrap_or_default(),
        capabilities,
        min_participants: 0,
        max_participants: None,
        min_active: 0,
        max_active: None,
        changes,
    }
}

impl RoomState {
    /// A new room with one owner, with the [standard roles](Roles::standard).
    ///
    /// # Errors
    /// If a text is too long.
    pub fn new(room_uri: &str, name: &str, owner_uri: &str) -> Result<Self, BadText> {
        Ok(Self::begin(
            RoomMetadata {
                room_uri: Text::try_from(room_uri)?,
                name: Text::try_from(name)?,
                ..RoomMetadata::default()
            },
            (BaseRoomPolicy::default(), Roles::standard()),
            [Participant { user: Text::try_from(owner_uri)?, role: OWNER }].into(),
        ))
    }

    /// A new direct chat of two users. Nobody is added to it.
    ///
    /// # Errors
    /// If a text is too long.
    pub fn direct(room_uri: &str, users: [&str; 2]) -> Result<Self, BadText> {
        let mut list = Vec::new();
        for user in users {
            list.push(Participant { user: Text::try_from(user)?, role: MEMBER });
        }
        Ok(Self::begin(
            RoomMetadata { room_uri: Text::try_from(room_uri)?, ..RoomMetadata::default() },
            (
                BaseRoomPolicy { fixed_membership: true, ..BaseRoomPolicy::default() },
                Roles::direct(),
            ),
            list,
        ))
    }

    fn begin(
        metadata: RoomMetadata,
        (base, roles): (BaseRoomPolicy, Roles),
        list: Vec<Participant>,
    ) -> Self {
        let policy_components = COMPONENTS.to_vec();
        Self {
            metadata,
            base: BaseRoomPolicy { policy_components, ..base },
            roles,
            participants: Participants::new(list).unwrap_or_default(),
            preauthorized: Preauthorizations::default(),
            join_links: None,
            history: None,
            expiration: None,
            status_notifications: None,
        }
    }
}
