//! Rooms, as a host sees and changes them.
//!
//! New groups are rooms. Whether somebody may do something is judged by the policy in `rules`, when it is sent and when it
//! is received.

use super::{CommandError, Engine, EngineError};
use crate::book::Change;
use crate::conversation::rooms::{policies_of, room_of, uri_of};
use crate::names::is_group_name;
use crate::reason::Reason;
use crate::record::{RoomChange, RoomPolicy, Work};
use crate::view::RoomView;
use crate::who::Who;
use conclave_delivery_api::{JOIN_LINKS, Name};
use conclave_mls::GroupId;
use conclave_mls::wire::Extension;
use conclave_room::{
    Capability, HistoryReach, LOCAL_AUTHORITY, MAX_PREAUTHORIZATIONS, MessageExpiration, Role,
    RoleIndex, RoomState, StatusReports, Text, is_authority, room_uri, url_authority, user_uri,
};
use conclave_store::Store;

impl<S: Store> Engine<S> {
    /// What a room's own state says; none for a group that is no room, or that this device is not in.
    #[must_use]
    pub fn room(&self, group: &GroupId) -> Option<RoomView> {
        let room = room_of(self.conversations.get(group)?.group())?;
        let own = room.role_of(self.device().user.as_str())?;
        let users = room
            .users()
            .filter_map(|(user, role)| Some((user.parse().ok()?, role.name.as_str().to_string())));
        Some(RoomView {
            uri: room.metadata.room_uri.as_str().into(),
            name: room.metadata.name.as_str().into(),
            topic: room.metadata.subject.as_str().into(),
            picture: room.metadata.avatar.as_str().into(),
            direct: room.is_direct(),
            users: users.collect(),
            roles: room.roles.all().iter().map(|role| role.name.as_str().to_string()).collect(),
            own_role: own.name.as_str().into(),
            capabilities: own.capabilities.clone(),
            preauthorized: room
                .preauthorized_users()
                .filter_map(|(user, role)| Some((user.parse().ok()?, role.name.as_str().into())))
                .collect(),
            policies: policies_of(&room),
        })
    }

    /// The URI of a group's room, from which its members derive the identifiers of messages: that in the room's own
    /// state. A group that is no room has one of [`LOCAL_AUTHORITY`]. None if this device is not in the group, and was not
    /// when it ended: what is said in a group that has ended is sent in its successor.
    #[must_use]
    pub fn room_uri(&self, group: &GroupId) -> Option<String> {
        self.look_into(group, uri_of)
    }

    /// What this device reports of messages that come in, if its user wants it to, or not: the policy of a room may demand or
    /// forbid it. Nothing in a group that this device is not in.
    #[must_use]
    pub fn status_reports(&self, group: &GroupId, is_wanted: bool) -> StatusReports {
        let Some(conversation) = self.conversations.get(group) else {
            return StatusReports::default();
        };
        match RoomState::of(conversation.group().view()) {
            Ok(Some(room)) => room.status_reports(is_wanted),
            Ok(None) => StatusReports { delivered: is_wanted, read: is_wanted },
            Err(_) => StatusReports::default(),
        }
    }

    /// What a room's policies say.
    #[must_use]
    pub fn policies(&self, group: &GroupId) -> Vec<RoomPolicy> {
        let room = self.conversations.get(group).and_then(|c| room_of(c.group()));
        room.map(|room| policies_of(&room)).unwrap_or_default()
    }

    /// What a room's policy says of the expiry of messages. None if it says nothing, the group is no room, or this device is not
    /// in it.
    #[must_use]
    pub fn message_expiration(&self, group: &GroupId) -> Option<MessageExpiration> {
        MessageExpiration::of(self.conversations.get(group)?.group().view()).ok().flatten()
    }

    /// How much of what was said this device may give to another device of its user that joins, by the room's policy: all of
    /// it in a group that is no room, and so has no policy.
    #[must_use]
    pub fn history_for_own_device(&self, group: &GroupId) -> HistoryReach {
        let Some(conversation) = self.conversations.get(group) else {
            return HistoryReach::Nothing;
        };
        match RoomState::of(conversation.group().view()) {
            Ok(Some(room)) => room.history_for_own_client(self.device().user.as_str()),
            Ok(None) => HistoryReach::All,
            Err(_) => HistoryReach::Nothing,
        }
    }

    /// The number of the last entry of a group's log that this device has read.
    #[must_use]
    pub fn log_position(&self, group: &GroupId) -> Option<u64> {
        Some(self.book.record(group)?.cursor)
    }

    /// Takes note of the address at which this device reaches the service. Its host stands in the URIs of rooms that
    /// this device makes, unless the service has told it a domain.
    pub fn reached_at(&mut self, url: &str) {
        self.host = url_authority(url);
    }

    /// The domain that the service has for URIs, as it has told last.
    pub(super) fn take_domain(&mut self, told: Option<&Text>) -> Result<(), EngineError> {
        let told = told.map(Text::as_str).filter(|domain| is_authority(domain));
        if told != self.book.domain() {
            self.book.commit(None, vec![Change::Domain(told.map(String::from))])?;
        }
        Ok(())
    }

    fn authority_of_new_rooms(&self) -> &str {
        self.book.domain().or(self.host.as_deref()).unwrap_or(LOCAL_AUTHORITY)
    }

    /// Whether this device's user may do something in a group: everything, if it is no room.
    pub(super) fn may(&self, group: &GroupId, capability: Capability) -> bool {
        let conversation = self.conversations.get(group);
        conversation.is_none_or(|conversation| conversation.may(&self.device().user, capability))
    }

    /// Checks that this device's user may do some work in a group, if that is a room.
    pub(super) fn check_role(&self, group: &GroupId, work: &Work) -> Result<(), Reason> {
        let (capability, what) = match work {
            Work::Send { .. } => (Capability::SEND_MESSAGE, "writing"),
            Work::Remove { who, .. } if who.user == self.device().user => return Ok(()),
            Work::Remove { .. } => (Capability::REMOVE_PARTICIPANT, "removing anybody"),
            Work::MakeLink { .. } => (Capability::CREATE_JOIN_CODE, "making links"),
            Work::Unlink { .. } => (Capability::DELETE_JOIN_CODE, "revoking links"),
            Work::Room { change: RoomChange::Name(_), .. } => {
                (Capability::CHANGE_ROOM_NAME, "renaming the room")
            }
            Work::Room { change: RoomChange::Topic(_), .. } => {
                (Capability::CHANGE_ROOM_SUBJECT, "changing the topic")
            }
            Work::Room { change: RoomChange::Picture(_), .. } => {
                (Capability::CHANGE_ROOM_AVATAR, "changing the picture")
            }
            Work::Room { change: RoomChange::Policy(policy), .. } => {
                let what = match policy {
                    RoomPolicy::History(_) => "deciding what new devices are given",
                    RoomPolicy::Expiry(_) => "deciding when messages disappear",
                    RoomPolicy::Reports(_) => "deciding what members report",
                };
                (Capability::CHANGE_OTHER_POLICY_ATTRIBUTE, what)
            }
            Work::Room { change: RoomChange::Preauthorized { .. }, .. } => {
                (Capability::CHANGE_PREAUTHORIZED_USER_LIST, "preauthorizing users")
            }
            // Who may ban depends on the role.
            Work::Room { change: RoomChange::Role { .. }, .. }
            | Work::Invite { .. }
            | Work::Leave { .. }
            | Work::Join { .. } => return Ok(()),
        };
        if self.may(group, capability) {
            return Ok(());
        }
        let role = self.room(group).map(|room| room.own_role).unwrap_or_default();
        Err(Reason::NotAllowed { role, what: what.into() })
    }

    /// A new room, with this device's user as its owner, or a direct chat with another user.
    ///
    /// Its components do not name it: the service reads them. Members learn the name by an encrypted message
    /// ([`Payload::Name`](crate::record::Payload::Name)), until somebody renames the room for all to see.
    pub(super) fn new_room(&self, id: &GroupId, with: Option<&Name>) -> RoomState {
        let authority = self.authority_of_new_rooms();
        let uri = room_uri(authority, id);
        let me = user_uri(authority, self.device().user.as_str());
        let room = match with {
            None => RoomState::new(&uri, "", &me),
            Some(other) => RoomState::direct(&uri, [&me, &user_uri(authority, other.as_str())]),
        };
        // Names are shorter than any text of a room may be.
        room.unwrap_or_else(|e| unreachable!("{e}"))
    }

    /// The room of a group's successor: the same people, in the same roles.
    pub(super) fn succeeding_room(
        &self,
        room: Option<RoomState>,
        id: &GroupId,
    ) -> Option<RoomState> {
        let mut room = room?;
        room.metadata.room_uri = Text::try_from(room_uri(room.authority(), id).as_str()).ok()?;
        Some(room)
    }

    /// The extension that makes a new group a room.
    pub(super) fn room_extension(room: &RoomState) -> Result<Extension, EngineError> {
        let dictionary = room.dictionary(&[JOIN_LINKS]).map_err(conclave_mls::Error::from)?;
        Ok(dictionary.to_extension().map_err(conclave_mls::Error::from)?)
    }

    /// Begins to change a room.
    pub(super) fn change_room(
        &mut self,
        group: &GroupId,
        change: RoomChange,
    ) -> Result<(), CommandError> {
        let Some(conversation) = self.conversations.get(group) else {
            return Err(Reason::NotMember.into());
        };
        let room = room_of(conversation.group()).ok_or(Reason::NotRoom)?;
        match &change {
            RoomChange::Name(_) if room.is_direct() => return Err(Reason::DirectHasNoName.into()),
            RoomChange::Name(name) if !is_group_name(name) => {
                return Err(Reason::UnusableName.into());
            }
            RoomChange::Name(_) => {}
            RoomChange::Topic(text) | RoomChange::Picture(text) => {
                let checked = Text::try_from(text.as_str());
                checked.map_err(|e| Reason::RoomUnchanged { why: e.to_string() })?;
            }
            RoomChange::Role { user, role } => check_role_of(&room, user, role)?,
            RoomChange::Policy(RoomPolicy::Expiry(policy)) if !policy.is_consistent() => {
                let why = "the bounds are the wrong way round, or the default is outside them";
                return Err(Reason::RoomUnchanged { why: why.into() }.into());
            }
            RoomChange::Preauthorized { user, role } => {
                check_preauthorization(&room, user, role.as_deref())?;
            }
            RoomChange::Policy(_) => {}
        }
        self.queue(group, vec![Work::Room { change, committing: false }], Vec::new())
    }
}

/// Checks that a room has a role of this name that somebody can be in.
fn check_role_name(
    room: &RoomState,
    name: &str,
    is_in: impl Fn(&Role) -> bool,
) -> Result<(), Reason> {
    if room.roles.named(name).is_some_and(&is_in) {
        return Ok(());
    }
    let roles = room.roles.all().iter().filter(|role| is_in(role));
    let roles: Vec<&str> = roles.map(|role| role.name.as_str()).collect();
    Err(Reason::NoSuchRole { role: name.into(), roles: roles.join(", ") })
}

/// Checks that a user can be preauthorized for a role, or no longer be.
fn check_preauthorization(room: &RoomState, user: &Name, role: Option<&str>) -> Result<(), Reason> {
    let unchanged = |why: String| Err(Reason::RoomUnchanged { why });
    let is_listed = room.preauthorized_users().any(|(known, _)| known == user.as_str());
    let Some(role) = role else {
        return if is_listed { Ok(()) } else { unchanged(format!("{user} is not preauthorized")) };
    };
    check_role_name(room, role, |role| role.index != RoleIndex::NONE && role.takes_part())?;
    if let Some(own) = room.role_of(user.as_str()).filter(|role| role.index != RoleIndex::NONE) {
        return unchanged(format!(
            "{user} is in the room's list already, as {}",
            own.name.as_str()
        ));
    }
    if !is_listed && room.preauthorized.0.len() >= MAX_PREAUTHORIZATIONS {
        return unchanged(format!(
            "the room has {MAX_PREAUTHORIZATIONS} preauthorized users already, which is the limit"
        ));
    }
    Ok(())
}

/// Checks that a room has a user and a role.
fn check_role_of(room: &RoomState, user: &Name, role: &str) -> Result<(), Reason> {
    let is_in = |role: RoleIndex| role != RoleIndex::NONE;
    check_role_name(room, role, |role| is_in(role.index))?;
    if !room.role_of(user.as_str()).is_some_and(|role| is_in(role.index)) {
        return Err(Reason::NotInGroup { who: Who { user: user.clone(), device: None } });
    }
    Ok(())
}
