//! Rooms: groups whose own state says what they are called, who takes part in which role, and what each role may do.
//!
//! Whether somebody may do something is judged by the policy in `rules`, when it is sent and when it is received. Here is
//! what this device does for its user in a room: a commit that adds or removes clients says what becomes of their users.

use super::Conversation;
use super::call::Next;
use super::context::Context;
use super::rules::policy;
use crate::error::EngineError;
use crate::names::is_group_name;
use crate::reason::Reason;
use crate::record::{Item, RoomChange, RoomPolicy, Work};
use conclave_certificates::device_of;
use conclave_delivery_api::{Encode, Name};
use conclave_mls::component::ComponentId;
use conclave_mls::group::{LeafIndex, NewProposal, Proposal, Sender};
use conclave_mls::{Credential, Group};
use conclave_room::standard::MEMBER;
use conclave_room::{
    Actor, CHAT_HISTORY_POLICY, Capability, Claim, ClientChange, HistoryPolicy, LOCAL_AUTHORITY,
    MESSAGE_EXPIRATION_POLICY, MessageExpiration, PARTICIPANT_LIST, PREAUTH_LIST, Participants,
    Preauthorization, ROLES_LIST, ROOM_METADATA, RoleIndex, RoomMetadata, RoomState,
    STATUS_NOTIFICATION_POLICY, Text, leavers, room_uri, user_of,
};
use conclave_store::Store;
use std::collections::BTreeMap;

/// The room that a group is.
pub(crate) fn room_of(group: &Group) -> Option<RoomState> {
    RoomState::of(group.view()).ok().flatten()
}

/// The URI of the room that a group is, as `Engine::room_uri` has it.
pub(crate) fn uri_of(group: &Group) -> String {
    match RoomMetadata::of(group.view()).ok().flatten() {
        Some(metadata) => metadata.room_uri.as_str().into(),
        None => room_uri(LOCAL_AUTHORITY, group.group_id()),
    }
}

/// What a room is called for one of its users; empty if it does not say, or says what is no name.
pub(crate) fn name_of(room: &RoomState, me: &Name) -> String {
    let other = || room.users().map(|(user, _)| user).find(|user| *user != me.as_str());
    let name =
        if room.is_direct() { other().unwrap_or_default() } else { room.metadata.name.as_str() };
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
pub(crate) fn metadata_changes(old: &RoomMetadata, new: &RoomMetadata) -> Vec<RoomChange> {
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

/// What the policies of a room say.
pub(crate) fn policies_of(room: &RoomState) -> Vec<RoomPolicy> {
    let seconds = |policy: &HistoryPolicy| match policy {
        HistoryPolicy::Forbidden => None,
        HistoryPolicy::Shared { max_time_period, .. } => Some(*max_time_period),
    };
    let history = room.history.as_ref().map(|policy| RoomPolicy::History(seconds(policy)));
    let expiry = room.expiration.map(RoomPolicy::Expiry);
    let reports = room.status_notifications.map(RoomPolicy::Reports);
    [history, expiry, reports].into_iter().flatten().collect()
}

/// The policies that have changed.
pub(crate) fn policy_changes(old: &RoomState, new: &RoomState) -> Vec<RoomChange> {
    let old = policies_of(old);
    let changed = policies_of(new).into_iter().filter(|policy| !old.contains(policy));
    changed.map(RoomChange::Policy).collect()
}

/// How the list of preauthorized users has changed.
pub(crate) fn preauthorization_changes(old: &RoomState, new: &RoomState) -> Vec<RoomChange> {
    let (old, new) = (preauthorized_roles(old), preauthorized_roles(new));
    let gone = old.keys().filter(|user| !new.contains_key(*user)).map(|user| (*user, None));
    let given = new.iter().filter(|(user, role)| old.get(*user) != Some(*role));
    let given = given.map(|(user, role)| (*user, Some((*role).to_string())));

    gone.chain(given)
        .filter_map(|(user, role)| {
            Some(RoomChange::Preauthorized { user: user.parse().ok()?, role })
        })
        .collect()
}

/// The preauthorized users of a room, and the name of the role of each.
fn preauthorized_roles(room: &RoomState) -> BTreeMap<&str, &str> {
    let mut roles = BTreeMap::new();
    for (user, role) in room.preauthorized_users() {
        // The first entry of a user counts.
        roles.entry(user).or_insert(role.name.as_str());
    }
    roles
}

/// The new roles of users who are in both participant lists, and of users who are banned now.
pub(crate) fn role_changes(room: &RoomState, old: &Participants) -> Vec<RoomChange> {
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

impl Conversation {
    /// The commit that changes the room.
    pub(crate) fn next_room_change<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        key: u64,
        change: &RoomChange,
    ) -> Result<Next, EngineError> {
        let unchanged = |e: conclave_mls::Error| Reason::RoomUnchanged { why: e.to_string() };
        let made = room_of(&self.group).map(|room| proposals_of(&self.group, &room, change));
        let proposals = match made.transpose() {
            Ok(proposals) => proposals.unwrap_or_default(),
            Err(e) => return self.cannot(cx, key, unchanged(e)),
        };
        if proposals.is_empty() {
            // It is so already.
            self.give_up(cx, key, [])?;
            return Ok(None);
        }

        let work = Work::Room { change: change.clone(), committing: true };
        let item = Item { group: self.id.clone(), work };
        match self.commit(cx, proposals, Some((key, item)), Vec::new())? {
            Ok(next) => Ok(next),
            Err(e) => self.cannot(cx, key, unchanged(e)),
        }
    }

    /// Whether a user may do something in the group: everything, if it is no room.
    pub(crate) fn may(&self, user: &Name, capability: Capability) -> bool {
        match RoomState::of(self.group.view()) {
            Ok(Some(room)) => room.may(user.as_str(), capability),
            Ok(None) => true,
            Err(_) => false,
        }
    }
}

/// The proposals of a commit, and an update of the room's participant list for them: a user who was no participant
/// and gets a client becomes a member, and one who has no client left is no participant any more.
pub(crate) fn with_participants(
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
        RoomChange::Policy(policy) => return policy_proposals(room, policy),
        RoomChange::Preauthorized { user, role } => {
            return preauthorization(group, room, user, role.as_deref());
        }
    }
    if metadata == room.metadata {
        return Ok(Vec::new());
    }
    Ok(vec![updating(ROOM_METADATA, &metadata)?])
}

/// The proposal that makes a policy say something; none if it says so already.
fn policy_proposals(
    room: &RoomState,
    policy: &RoomPolicy,
) -> Result<Vec<NewProposal>, conclave_mls::Error> {
    let (is_so, proposal) = match policy {
        RoomPolicy::History(seconds) => {
            let policy = history_policy(room, *seconds);
            let is_so = room.history.as_ref() == Some(&policy);
            (is_so, updating(CHAT_HISTORY_POLICY, &policy)?)
        }
        RoomPolicy::Expiry(policy) => {
            let is_so = room.expiration.unwrap_or(MessageExpiration::OPEN) == *policy;
            (is_so, updating(MESSAGE_EXPIRATION_POLICY, policy)?)
        }
        RoomPolicy::Reports(policy) => {
            let is_so = room.status_notifications.unwrap_or_default() == *policy;
            (is_so, updating(STATUS_NOTIFICATION_POLICY, policy)?)
        }
    };
    Ok(if is_so { Vec::new() } else { vec![proposal] })
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

/// The proposals that preauthorize a user for a role or, without one, for none. They also let the role be joined that way, if
/// it did not.
fn preauthorization(
    group: &Group,
    room: &RoomState,
    user: &Name,
    role: Option<&str>,
) -> Result<Vec<NewProposal>, conclave_mls::Error> {
    let own = group.member(group.own_leaf()).map(|member| member.credential);
    let (Some(uri), Some(own)) = (room.uri_of(user.as_str()), own) else { return Ok(Vec::new()) };
    let mut roles = room.roles.all().to_vec();
    let mut proposals = Vec::new();
    let mut list = room.preauthorized.clone();
    list.0.retain(|entry| entry.user() != Some(uri.as_str()));

    if let Some(name) = role {
        let Some(role) = roles.iter_mut().find(|role| role.name.as_str() == name) else {
            return Ok(Vec::new());
        };
        if !role.has(Capability::JOIN_IF_PREAUTHORIZED) {
            role.capabilities.push(Capability::JOIN_IF_PREAUTHORIZED);
        }
        // All members have credentials of one type. An entry that names a user goes before those with other claims.
        let claims = vec![Claim::of_user(&own, uri)];
        list.0.insert(0, Preauthorization { claims, role: role.clone() });
    }
    if roles != room.roles.all() {
        proposals.push(updating(ROLES_LIST, &roles)?);
    }

    let known = preauthorized_roles(room).get(user.as_str()).copied();
    if known != role || !proposals.is_empty() {
        proposals.push(updating(PREAUTH_LIST, &list)?);
    }
    Ok(proposals)
}

fn updating(
    component_id: ComponentId,
    update: &impl Encode,
) -> Result<NewProposal, conclave_mls::Error> {
    Ok(NewProposal::AppDataUpdate { component_id, update: update.to_bytes()?.into() })
}
