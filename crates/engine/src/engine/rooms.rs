//! Rooms: groups whose own state says what they are called, who takes part in which role, and what each role may do.
//!
//! New groups are rooms. Whether somebody may do something is judged by the policy in `rules`, when it is sent and when it
//! is received. Here is what this device does for its user in a room: a commit that adds or removes clients says what
//! becomes of their users.

use super::{CommandError, Engine, EngineError, Purpose};
use crate::book::Change;
use crate::conversation::rules::policy;
use crate::names::is_group_name;
use crate::reason::Reason;
use crate::record::{Item, RoomChange, Work};
use crate::request::Request;
use crate::view::RoomView;
use crate::who::Who;
use conclave_certificates::device_of;
use conclave_delivery_api::{Encode, JOIN_LINKS, Name};
use conclave_mls::component::ComponentId;
use conclave_mls::group::{LeafIndex, NewProposal, Proposal, Sender};
use conclave_mls::wire::Extension;
use conclave_mls::{Credential, Group, GroupId};
use conclave_room::standard::MEMBER;
use conclave_room::{
    Actor, CHAT_HISTORY_POLICY, Capability, ClientChange, HistoryPolicy, HistoryReach,
    LOCAL_AUTHORITY, PARTICIPANT_LIST, Participants, ROOM_METADATA, RoleIndex, RoomMetadata,
    RoomState, Text, is_authority, leavers, room_uri, url_authority, user_of, user_uri,
};
use conclave_store::Store;
use std::collections::BTreeMap;

type Next = Option<(Request, Purpose)>;

/// The room that a group is.
pub(super) fn room_of(group: &Group) -> Option<RoomState> {
    RoomState::of(group.view()).ok().flatten()
}

/// The URI of the room that a group is, as [`Engine::room_uri`] has it.
pub(super) fn uri_of(group: &Group) -> String {
    match RoomMetadata::of(group.view()).ok().flatten() {
        Some(metadata) => metadata.room_uri.as_str().into(),
        None => room_uri(LOCAL_AUTHORITY, group.group_id()),
    }
}

/// What a room is called for one of its users; empty if it does not say, or says what is no name.
pub(super) fn name_of(room: &RoomState, me: &Name) -> String {
    let others = || room.users().map(|(user, _)| user).find(|user| *user != me.as_str());
    let name = match room.is_direct() {
        true => others().unwrap_or_default(),
        false => room.metadata.name.as_str(),
    };
    if is_group_name(name) { name.to_string() } else { String::new() }
}

/// The user whose client has a credential, by the user's URI in a room.
fn user_in(room: &RoomState, credential: &Credential) -> Option<Text> {
    room.uri_of(device_of(credential)?.user.as_str())
}

/// The user whose client has a leaf, by the user's URI in a room.
fn user_at(group: &Group, room: &RoomState, leaf: LeafIndex) -> Option<Text> {
    user_in(room, &group.member(leaf)?.credential)
}

/// What changed in a room's metadata, for its users.
pub(super) fn metadata_changes(old: &RoomMetadata, new: &RoomMetadata) -> Vec<RoomChange> {
    let name = RoomChange::Name(new.name.as_str().into());
    let topic = RoomChange::Topic(new.subject.as_str().into());
    let picture = RoomChange::Picture(new.avatar.as_str().into());
    let all = [
        (old.name != new.name, name),
        (old.subject != new.subject, topic),
        (old.avatar != new.avatar, picture),
    ];
    all.into_iter().filter_map(|(changed, change)| changed.then_some(change)).collect()
}

/// The new policy for history, if it has changed.
pub(super) fn history_change(old: &RoomState, new: &RoomState) -> Option<RoomChange> {
    let seconds = match new.history.as_ref().filter(|_| new.history != old.history)? {
        HistoryPolicy::Forbidden => None,
        HistoryPolicy::Shared { max_time_period, .. } => Some(*max_time_period),
    };
    Some(RoomChange::History(seconds))
}

/// The new roles of users who are in both participant lists, and of users who are banned now.
pub(super) fn role_changes(room: &RoomState, old: &Participants) -> Vec<RoomChange> {
    let authority = room.authority();
    let new = room.participants.all().iter();
    new.filter(|participant| {
        let before = old.role_of(participant.user.as_str());
        let was_in = before != RoleIndex::NONE || participant.role == RoleIndex::BANNED;
        before != participant.role && was_in
    })
    .filter_map(|participant| {
        let user = user_of(authority, participant.user.as_str())?.parse().ok()?;
        let role = room.roles.get(participant.role)?.name.as_str().to_string();
        Some(RoomChange::Role { user, role })
    })
    .collect()
}

impl<S: Store> Engine<S> {
    /// What a room's own state says; none for a group that is no room, or that this device is not in.
    #[must_use]
    pub fn room(&self, group: &GroupId) -> Option<RoomView> {
        let room = room_of(&self.conversations.get(group)?.group)?;
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
        })
    }

    /// The URI of a group's room, from which its members derive the identifiers of messages: that in the room's own
    /// state. A group that is no room has one of [`LOCAL_AUTHORITY`]. None if this device is not in the group, and was not
    /// when it ended: what is said in a group that has ended is sent in its successor.
    #[must_use]
    pub fn room_uri(&self, group: &GroupId) -> Option<String> {
        self.look_into(group, uri_of)
    }

    /// How much of what was said this device may give to another device of its user that joins, by the room's policy: all of
    /// it in a group that is no room, and so has no policy.
    #[must_use]
    pub fn history_for_own_device(&self, group: &GroupId) -> HistoryReach {
        let Some(live) = self.conversations.get(group) else { return HistoryReach::Nothing };
        match RoomState::of(live.group.view()) {
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
        let Some(live) = self.conversations.get(group) else { return true };
        match RoomState::of(live.group.view()) {
            Ok(Some(room)) => room.may(self.device().user.as_str(), capability),
            Ok(None) => true,
            Err(_) => false,
        }
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
            Work::Room { change: RoomChange::History(_), .. } => {
                (Capability::CHANGE_OTHER_POLICY_ATTRIBUTE, "deciding what new devices are given")
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

    /// The proposals of a commit, and an update of the room's participant list for them: a user who was no participant
    /// and gets a client becomes a member, and one who has no client left is no participant any more.
    pub(super) fn with_participants(
        group: &Group,
        me: &Name,
        mut proposals: Vec<NewProposal>,
        received: bool,
    ) -> Result<Vec<NewProposal>, conclave_mls::Error> {
        let Some(room) = room_of(group) else { return Ok(proposals) };
        let updates_list = |proposal: &NewProposal| match proposal {
            NewProposal::AppDataUpdate { component_id, .. } => *component_id == PARTICIPANT_LIST,
            _ => false,
        };
        if proposals.iter().any(updates_list) {
            return Ok(proposals);
        }

        let mut after = with_added(&room, &proposals);
        for user in users_out(group, &room, me, &proposals, received) {
            if after.role_of(user.as_str()) != RoleIndex::NONE {
                after = after.with(&user, RoleIndex::NONE);
            }
        }

        let update = room.participants.update_to(&after);
        if !update.is_empty() {
            proposals.push(updating(PARTICIPANT_LIST, &update)?);
        }
        Ok(proposals)
    }

    /// Begins to change a room.
    pub(super) fn change_room(
        &mut self,
        group: &GroupId,
        change: RoomChange,
    ) -> Result<(), CommandError> {
        let Some(live) = self.conversations.get(group) else {
            return Err(Reason::NotMember.into());
        };
        let room = room_of(&live.group).ok_or(Reason::NotRoom)?;
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
            RoomChange::History(_) => {}
        }
        self.queue(group, vec![Work::Room { change, committing: false }], Vec::new())
    }

    /// Makes the commit that changes a room.
    pub(super) fn next_room_change(
        &mut self,
        id: &GroupId,
        key: u64,
        change: &RoomChange,
    ) -> Result<Next, EngineError> {
        let Some(live) = self.conversations.get(id) else { return Ok(None) };
        let unchanged = |e: conclave_mls::Error| Reason::RoomUnchanged { why: e.to_string() };
        let made = room_of(&live.group).map(|room| proposals_of(&live.group, &room, change));
        let proposals = match made.transpose() {
            Ok(proposals) => proposals.unwrap_or_default(),
            Err(e) => return self.cannot(id, key, unchanged(e)),
        };
        if proposals.is_empty() {
            // It is so already.
            self.give_up(id, key, [])?;
            return Ok(None);
        }

        let work = Work::Room { change: change.clone(), committing: true };
        let item = Item { group: id.clone(), work };
        match self.commit(id, proposals, Some((key, item)), Vec::new())? {
            Ok(next) => Ok(next),
            Err(e) => self.cannot(id, key, unchanged(e)),
        }
    }
}

/// The participant list of a room with the users whose clients are added.
fn with_added(room: &RoomState, proposals: &[NewProposal]) -> Participants {
    let mut after = room.participants.clone();
    for proposal in proposals {
        let NewProposal::Add(package) = proposal else { continue };
        let Some(user) = user_in(room, &package.key_package().leaf_node.credential) else {
            continue;
        };
        if after.role_of(user.as_str()) == RoleIndex::NONE {
            after = after.with(&user, MEMBER);
        }
    }
    after
}

/// The users who have no client left after a commit of ours: we remove them all, or they have all asked to leave.
fn users_out(
    group: &Group,
    room: &RoomState,
    me: &Name,
    proposals: &[NewProposal],
    received: bool,
) -> Vec<Text> {
    let mut removed: BTreeMap<Text, u32> = BTreeMap::new();
    for proposal in proposals {
        let NewProposal::Remove(leaf) = proposal else { continue };
        if let Some(user) = user_at(group, room, *leaf) {
            *removed.entry(user).or_default() += 1;
        }
    }
    let asked = if received { received_removes(group, room) } else { Vec::new() };
    if room.base.fixed_membership || removed.is_empty() && asked.is_empty() {
        return Vec::new();
    }

    let clients = policy().clients(group.view(), room);
    let own = room.uri_of(me.as_str());
    let by_us = removed.into_iter().filter(|(user, count)| {
        clients.get(user.as_str()) == Some(count) && Some(user) != own.as_ref()
    });
    let left = leavers(room, &clients, &asked).into_iter();
    let left = left.filter_map(|user| Text::try_from(user).ok());
    by_us.map(|(user, _)| user).chain(left).collect()
}

/// Checks that a room has a user and a role.
fn check_role_of(room: &RoomState, user: &Name, role: &str) -> Result<(), Reason> {
    let is_in = |role: RoleIndex| role != RoleIndex::NONE;
    if !room.roles.named(role).is_some_and(|role| is_in(role.index)) {
        let roles = room.roles.all().iter().filter(|role| is_in(role.index));
        let roles: Vec<&str> = roles.map(|role| role.name.as_str()).collect();
        return Err(Reason::NoSuchRole { role: role.into(), roles: roles.join(", ") });
    }
    if !room.role_of(user.as_str()).is_some_and(|role| is_in(role.index)) {
        return Err(Reason::NotInGroup { who: Who { user: user.clone(), device: None } });
    }
    Ok(())
}

/// The removals that others have proposed, as a room sees them.
fn received_removes(group: &Group, room: &RoomState) -> Vec<ClientChange> {
    let removes = group.view().proposals().filter_map(|pending| {
        let Sender::Member(by) = pending.sender else { return None };
        let leaf = match pending.proposal {
            Proposal::Remove(leaf) => *leaf,
            Proposal::SelfRemove(_) => by,
            _ => return None,
        };
        // No commit removes its committer.
        if leaf == group.own_leaf() {
            return None;
        }
        let by = Actor::Member(user_at(group, room, by)?.as_str().into());
        Some(ClientChange { by, user: user_at(group, room, leaf)?.as_str().into() })
    });
    removes.collect()
}

/// The proposals that make a change of a room; none if it is so already.
fn proposals_of(
    group: &Group,
    room: &RoomState,
    change: &RoomChange,
) -> Result<Vec<NewProposal>, conclave_mls::Error> {
    let mut metadata = room.metadata.clone();
    let text = |text: &str| Text::try_from(text).unwrap_or_default();
    match change {
        RoomChange::Name(name) => metadata.name = text(name),
        RoomChange::Topic(topic) => metadata.subject = text(topic),
        RoomChange::Picture(uri) => metadata.avatar = text(uri),
        RoomChange::Role { user, role } => return role_proposals(group, room, user, role),
        RoomChange::History(seconds) => {
            let policy = history_policy(room, *seconds);
            if room.history.as_ref() == Some(&policy) {
                return Ok(Vec::new());
            }
            return Ok(vec![updating(CHAT_HISTORY_POLICY, &policy)?]);
        }
    }
    if metadata == room.metadata {
        return Ok(Vec::new());
    }
    Ok(vec![updating(ROOM_METADATA, &metadata)?])
}

/// The policy by which everybody in a room may share what was said in the last so many seconds, if a user asks for it; or
/// nobody may share anything.
fn history_policy(room: &RoomState, seconds: Option<u32>) -> HistoryPolicy {
    let Some(max_time_period) = seconds else { return HistoryPolicy::Forbidden };
    let roles = room.roles.all().iter().filter(|role| role.takes_part());
    let roles = roles.map(|role| role.index.0).filter(|role| *role > RoleIndex::BANNED.0).collect();
    HistoryPolicy::Shared { required: false, roles, automatically: false, max_time_period }
}

fn role_proposals(
    group: &Group,
    room: &RoomState,
    user: &Name,
    role: &str,
) -> Result<Vec<NewProposal>, conclave_mls::Error> {
    let (Some(uri), Some(role)) = (room.uri_of(user.as_str()), room.roles.named(role)) else {
        return Ok(Vec::new());
    };
    let update = room.participants.update_to(&room.participants.with(&uri, role.index));
    if update.is_empty() {
        return Ok(Vec::new());
    }
    let mut proposals = vec![updating(PARTICIPANT_LIST, &update)?];
    if !role.takes_part() {
        let theirs =
            group.members().filter(|m| user_in(room, &m.credential).as_ref() == Some(&uri));
        proposals.extend(theirs.map(|member| NewProposal::Remove(member.index)));
    }
    Ok(proposals)
}

fn updating(
    component_id: ComponentId,
    update: &impl Encode,
) -> Result<NewProposal, conclave_mls::Error> {
    Ok(NewProposal::AppDataUpdate { component_id, update: update.to_bytes()?.into() })
}
