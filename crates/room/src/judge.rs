//! The judge: whether a commit keeps to a room's policy.
//!
//! It knows the room before the commit and the commit, and nothing else. So members who send or receive it, and a service
//! that follows the group, all come to the same answer.

use crate::capability::Capability;
use crate::components::{
    BASE_ROOM_POLICY, CHAT_HISTORY_POLICY, JOIN_LINK_POLICY, MESSAGE_EXPIRATION_POLICY,
    PARTICIPANT_LIST, PREAUTH_LIST, ROLES_LIST, ROOM_METADATA, STATUS_NOTIFICATION_POLICY,
};
use crate::participants::{Participant, RolesByUser};
use crate::refusal::Refusal;
use crate::role::{Claim, Role, RoleIndex};
use crate::state::RoomState;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use conclave_mls::component::ComponentId;

/// Who proposes or commits something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Actor {
    /// A client of this user, by its URI, that is in the group.
    Member(String),
    /// A client of this user that joins from outside.
    Joiner(String),
    /// An external sender that the group names: its service.
    Service,
}

impl Actor {
    /// The user, if it is one.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::Member(user) | Self::Joiner(user) => Some(user),
            Self::Service => None,
        }
    }

    fn is(&self, user: &str) -> bool {
        self.user() == Some(user)
    }
}

/// A client that is added or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientChange {
    /// Who proposes it.
    pub by: Actor,
    /// Whose client it is, by the user's URI.
    pub user: String,
}

/// What somebody does with the group's links to join by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkUse {
    /// Makes one.
    Make,
    /// Revokes one.
    Revoke,
    /// Joins by one. Whether the link is good is checked elsewhere.
    Join,
}

/// A proposal that concerns the room as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Who proposes it.
    pub by: Actor,
    /// What has to be allowed for it.
    pub needs: Capability,
}

/// What a room's policy has to know of a commit.
#[derive(Clone, Debug)]
pub struct RoomCommit {
    /// Who commits.
    pub by: Actor,
    /// What the committer's credential says of the user, for preauthorizations.
    pub claims: Vec<Claim>,
    /// How many clients each user has in the group before it.
    pub clients: BTreeMap<String, u32>,
    /// The clients that are added, the joiner's own among them.
    pub adds: Vec<ClientChange>,
    /// The clients that are removed.
    pub removes: Vec<ClientChange>,
    /// The committer's updates of the room's components, in its order.
    pub updates: Vec<(ComponentId, Vec<u8>)>,
    /// What the committer does with links.
    pub links: Vec<LinkUse>,
    /// Proposals that need a capability and nothing else.
    pub demands: Vec<Demand>,
}

/// Judges a commit. The answer is the room after it.
///
/// # Errors
/// The reason to refuse it.
pub fn judge(before: &RoomState, commit: &RoomCommit) -> Result<RoomState, Refusal> {
    let updates: Vec<(ComponentId, &[u8])> =
        commit.updates.iter().map(|(id, update)| (*id, &**update)).collect();
    let (after, _) = before.updated(&updates)?;
    let judging = Judging::new(before, &after, commit);
    judging.components()?;
    judging.links_and_demands()?;
    judging.participants()?;
    judging.clients()?;
    judging.bounds()?;
    Ok(after)
}

/// Judges a proposal that came in its own message. A commit that refers to it is judged again, by [`judge`].
///
/// # Errors
/// The reason why nobody may commit it.
pub fn judge_proposal(room: &RoomState, proposed: &Proposed) -> Result<(), Refusal> {
    match proposed {
        Proposed::Add(change) => added_client(room, room, change, false),
        Proposed::Remove(change) => removed_client(room, change),
        Proposed::Demand(demand) => allows(room, &demand.by, demand.needs),
    }
}

/// A proposal that came in its own message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proposed {
    /// A client is added.
    Add(ClientChange),
    /// A client is removed.
    Remove(ClientChange),
    /// Something else.
    Demand(Demand),
}

/// The users whose clients all leave at their own request among a commit's removals. The committer takes these users out
/// of the participant list.
#[must_use]
pub fn leavers<'a>(
    room: &RoomState,
    clients: &BTreeMap<String, u32>,
    removes: &'a [ClientChange],
) -> Vec<&'a str> {
    if room.base.fixed_membership {
        return Vec::new();
    }
    let mut own: BTreeMap<&str, u32> = BTreeMap::new();
    for remove in removes.iter().filter(|remove| remove.by.is(&remove.user)) {
        let count = own.entry(&remove.user).or_default();
        *count = count.saturating_add(1);
    }
    let leaves = |(user, count): &(&str, u32)| {
        let role = room.role_of_uri(user);
        let may = |role: &Role| {
            role.has(Capability::REMOVE_SELF) && role.may_move(role.index, RoleIndex::NONE)
        };
        clients.get(*user) == Some(count) && role.is_some_and(may)
    };
    own.into_iter().filter(leaves).map(|(user, _)| user).collect()
}

/// A commit between the room before and after it.
struct Judging<'a> {
    before: &'a RoomState,
    after: &'a RoomState,
    commit: &'a RoomCommit,
    /// How many clients each user has after it.
    clients: BTreeMap<&'a str, u32>,
    leavers: BTreeSet<&'a str>,
    roles_after: RolesByUser<'a>,
    /// The users who are new in the participant list.
    added: BTreeSet<&'a str>,
    /// The users who are no longer in it, or are now banned.
    expelled: BTreeSet<&'a str>,
}

impl<'a> Judging<'a> {
    fn new(before: &'a RoomState, after: &'a RoomState, commit: &'a RoomCommit) -> Self {
        let mut clients: BTreeMap<&str, u32> =
            commit.clients.iter().map(|(user, count)| (user.as_str(), *count)).collect();
        for remove in &commit.removes {
            let count = clients.entry(&remove.user).or_default();
            *count = count.saturating_sub(1);
        }
        for add in &commit.adds {
            let count = clients.entry(&add.user).or_default();
            *count = count.saturating_add(1);
        }

        let (roles_before, roles_after) =
            (before.participants.by_user(), after.participants.by_user());
        let users = after.participants.all().iter().map(|participant| participant.user.as_str());
        let added = users.filter(|user| !roles_before.has(user)).collect();
        let users = before.participants.all().iter().map(|participant| participant.user.as_str());
        let is_expelled = |user: &&str| match roles_after.of(user) {
            RoleIndex::NONE => true,
            RoleIndex::BANNED => roles_before.of(user) != RoleIndex::BANNED,
            _ => false,
        };
        let expelled = users.filter(is_expelled).collect();

        let leavers = leavers(before, &commit.clients, &commit.removes).into_iter().collect();
        Self { before, after, commit, clients, leavers, roles_after, added, expelled }
    }

    /// Whether the committer may do something.
    fn needs(&self, capability: Capability) -> Result<(), Refusal> {
        allows(self.before, &self.commit.by, capability)
    }

    /// The updates of components, apart from what happens to participants.
    fn components(&self) -> Result<(), Refusal> {
        let mut updated = BTreeSet::new();
        for (id, _) in &self.commit.updates {
            let is_first = updated.insert(*id);
            if !is_first && *id != PARTICIPANT_LIST {
                return Err(Refusal::UpdatedTwice(*id));
            }
        }

        // A joiner adds itself to the participant list, takes those who leave out of it, and changes nothing else.
        let joins = matches!(self.commit.by, Actor::Joiner(_));
        if joins && updated.iter().any(|id| *id != PARTICIPANT_LIST) {
            return Err(Refusal::JoinerDoesMore);
        }

        updated.iter().try_for_each(|id| self.component(*id))?;

        let changes_list = self.before.participants != self.after.participants;
        if updated.contains(&ROLES_LIST) && changes_list {
            return Err(Refusal::RolesWithParticipants);
        }
        if updated.contains(&PREAUTH_LIST) && !self.only_removes_participants() {
            return Err(Refusal::PreauthorizedWithParticipants);
        }
        Ok(())
    }

    /// The update of one component.
    fn component(&self, id: ComponentId) -> Result<(), Refusal> {
        match id {
            ROOM_METADATA => self.metadata(),
            ROLES_LIST => self.needs(Capability::CHANGE_ROLE_DEFINITIONS),
            PREAUTH_LIST => self.needs(Capability::CHANGE_PREAUTHORIZED_USER_LIST),
            BASE_ROOM_POLICY => self.needs(Capability::CHANGE_ROOM_MEMBERSHIP_STYLE),
            JOIN_LINK_POLICY
            | CHAT_HISTORY_POLICY
            | MESSAGE_EXPIRATION_POLICY
            | STATUS_NOTIFICATION_POLICY => self.needs(Capability::CHANGE_OTHER_POLICY_ATTRIBUTE),
            // The participant list is judged user by user. Other components are not a room's.
            _ => Ok(()),
        }
    }

    /// Whether the participant list stays as it is, apart from users who are taken out of it.
    fn only_removes_participants(&self) -> bool {
        let keeps_role = |old: &Participant| {
            let role = self.roles_after.of(old.user.as_str());
            role == old.role || role == RoleIndex::NONE
        };
        self.added.is_empty() && self.before.participants.all().iter().all(keeps_role)
    }

    /// What the committer does with links, and what else needs a capability.
    fn links_and_demands(&self) -> Result<(), Refusal> {
        for link in &self.commit.links {
            match link {
                LinkUse::Make => self.needs(Capability::CREATE_JOIN_CODE)?,
                LinkUse::Revoke => self.needs(Capability::DELETE_JOIN_CODE)?,
                LinkUse::Join => {}
            }
        }
        for demand in &self.commit.demands {
            allows(self.before, &demand.by, demand.needs)?;
        }
        Ok(())
    }

    /// Each field of the metadata needs a capability of its own.
    fn metadata(&self) -> Result<(), Refusal> {
        let (old, new) = (&self.before.metadata, &self.after.metadata);
        if old.room_uri != new.room_uri {
            return Err(Refusal::RoomUri);
        }
        let fields = [
            (old.name != new.name, Capability::CHANGE_ROOM_NAME),
            (old.descriptions != new.descriptions, Capability::CHANGE_ROOM_DESCRIPTION),
            (old.avatar != new.avatar, Capability::CHANGE_ROOM_AVATAR),
            (old.subject != new.subject, Capability::CHANGE_ROOM_SUBJECT),
            (old.mood != new.mood, Capability::CHANGE_ROOM_MOOD),
        ];
        fields.into_iter().filter(|(changed, _)| *changed).try_for_each(|(_, c)| self.needs(c))
    }

    /// What happens to the participant list.
    fn participants(&self) -> Result<(), Refusal> {
        let fixed = self.before.base.fixed_membership;
        for user in &self.added {
            if fixed {
                return Err(Refusal::FixedMembership);
            }
            self.added_participant(user)?;
        }

        for Participant { user, role: from } in self.before.participants.all() {
            let (user, from) = (user.as_str(), *from);
            let to = self.roles_after.of(user);
            if from == to {
                continue;
            }
            if fixed && to == RoleIndex::NONE {
                return Err(Refusal::FixedMembership);
            }
            self.moved_participant(user, from, to)?;
            if self.expelled.contains(user) && self.clients.get(user).is_some_and(|n| *n > 0) {
                return Err(Refusal::ClientsLeft);
            }
        }
        Ok(())
    }

    /// A participant gets another role, or leaves the list.
    fn moved_participant(&self, user: &str, from: RoleIndex, to: RoleIndex) -> Result<(), Refusal> {
        match to {
            RoleIndex::NONE if self.leavers.contains(user) => Ok(()),
            _ if matches!(self.commit.by, Actor::Joiner(_)) => Err(Refusal::JoinerDoesMore),
            RoleIndex::NONE => {
                self.needs(Capability::REMOVE_PARTICIPANT)?;
                self.may_move(from, RoleIndex::NONE)
            }
            to => self.changed_role(user, from, to),
        }
    }

    fn added_participant(&self, user: &str) -> Result<(), Refusal> {
        let role = self.roles_after.of(user);
        match &self.commit.by {
            Actor::Member(_) => {
                if role != RoleIndex::BANNED || self.needs(Capability::BAN).is_err() {
                    self.needs(Capability::ADD_PARTICIPANT)?;
                }
                self.may_move(RoleIndex::NONE, role)
            }
            Actor::Joiner(own) if own == user => self.joined(role),
            Actor::Joiner(_) | Actor::Service => Err(Refusal::JoinerDoesMore),
        }
    }

    /// A user who was not a participant joins in a role.
    fn joined(&self, role: RoleIndex) -> Result<(), Refusal> {
        let none = self.before.roles.get(RoleIndex::NONE);
        let moves = none.is_some_and(|none| none.may_move(RoleIndex::NONE, role));
        let may = |capability| none.is_some_and(|none| none.has(capability));
        let by_link = self.commit.links.contains(&LinkUse::Join);
        if moves && (may(Capability::OPEN_JOIN) || by_link && may(Capability::USE_JOIN_CODE)) {
            return Ok(());
        }
        if self.before.role_if_preauthorized(&self.commit.claims) == Some(role) {
            return Ok(());
        }
        Err(Refusal::MayNotJoin)
    }

    fn changed_role(&self, user: &str, from: RoleIndex, to: RoleIndex) -> Result<(), Refusal> {
        let Actor::Member(own) = &self.commit.by else { return Err(Refusal::JoinerDoesMore) };
        if own == user {
            self.needs(Capability::CHANGE_OWN_ROLE)?;
            let authorized = self.before.preauthorized.role_for(&self.commit.claims) == Some(to);
            return if authorized { Ok(()) } else { Err(Refusal::RoleChange { from, to }) };
        }

        let may = |capability| self.needs(capability).is_ok();
        let special = match (from, to) {
            (_, RoleIndex::BANNED) => may(Capability::BAN),
            (RoleIndex::BANNED, _) => may(Capability::UNBAN),
            _ => false,
        };
        if !special {
            self.needs(Capability::CHANGE_USER_ROLE)?;
        }
        self.may_move(from, to)
    }

    fn may_move(&self, from: RoleIndex, to: RoleIndex) -> Result<(), Refusal> {
        may_move(self.before, &self.commit.by, from, to)
    }

    /// What happens to clients.
    fn clients(&self) -> Result<(), Refusal> {
        for add in &self.commit.adds {
            // The member who brings in a user brings in the user's clients too.
            let is_new = self.added.contains(add.user.as_str()) && add.by == self.commit.by;
            added_client(self.before, self.after, add, is_new)?;
        }
        for remove in &self.commit.removes {
            let is_expelled =
                self.expelled.contains(remove.user.as_str()) && remove.by == self.commit.by;
            if !is_expelled {
                removed_client(self.before, remove)?;
            }
        }
        Ok(())
    }

    /// The bounds on numbers of clients and participants, as far as the commit changes these.
    fn bounds(&self) -> Result<(), Refusal> {
        let base = &self.after.base;
        let before = total(self.commit.clients.values().copied());
        let after = total(self.clients.values().copied());
        if after > before && base.max_clients.is_some_and(|max| after > max) {
            return Err(Refusal::TooManyClients);
        }
        let is_second = |add: &ClientChange| {
            self.clients.get(add.user.as_str()).is_some_and(|count| *count > 1)
        };
        if !base.multi_device && self.commit.adds.iter().any(is_second) {
            return Err(Refusal::TooManyClients);
        }

        let users = |room: &RoomState| {
            let all = room.participants.all().iter();
            all.filter(|participant| participant.role != RoleIndex::BANNED).count()
        };
        let (before, after) = (users(self.before), users(self.after));
        let max = base.max_users.and_then(|max| usize::try_from(max).ok());
        if after > before && max.is_some_and(|max| after > max) {
            return Err(Refusal::TooManyParticipants);
        }

        self.after.roles.all().iter().try_for_each(|role| self.role_bounds(role))
    }

    fn role_bounds(&self, role: &Role) -> Result<(), Refusal> {
        let is_bounded = role.min_participants > 0
            || role.min_active > 0
            || role.max_participants.is_some()
            || role.max_active.is_some();
        if !is_bounded || role.index == RoleIndex::NONE {
            return Ok(());
        }

        let index = role.index;
        let in_role = |room: &'a RoomState| {
            let all = room.participants.all().iter();
            all.filter(move |participant| participant.role == index)
        };
        let was_active = |participant: &&Participant| {
            self.commit.clients.get(participant.user.as_str()).is_some_and(|count| *count > 0)
        };
        let is_active = |participant: &&Participant| {
            self.clients.get(participant.user.as_str()).is_some_and(|count| *count > 0)
        };
        let all = (in_role(self.before).count(), in_role(self.after).count());
        let active = (
            in_role(self.before).filter(was_active).count(),
            in_role(self.after).filter(is_active).count(),
        );

        if keeps_bounds(all, role.min_participants, role.max_participants)
            && keeps_bounds(active, role.min_active, role.max_active)
        {
            Ok(())
        } else {
            Err(Refusal::RoleBounds(role.index))
        }
    }
}

fn total(counts: impl Iterator<Item = u32>) -> u32 {
    counts.fold(0, u32::saturating_add)
}

/// Whether a number that falls stays at its least, and one that rises at its most. One that was outside already may stay
/// there.
fn keeps_bounds((before, after): (usize, usize), min: u32, max: Option<u32>) -> bool {
    let count = u32::try_from(after).unwrap_or(u32::MAX);
    let is_too_low = after < before && count < min;
    let is_too_high = after > before && max.is_some_and(|max| count > max);
    !is_too_low && !is_too_high
}

/// The role of somebody. The service has none.
fn role_of<'a>(room: &'a RoomState, by: &Actor) -> Option<&'a Role> {
    room.role_of_uri(by.user()?)
}

fn allows(room: &RoomState, by: &Actor, capability: Capability) -> Result<(), Refusal> {
    let role = role_of(room, by);
    if role.is_some_and(|role| role.has(capability)) {
        return Ok(());
    }
    Err(Refusal::Lacks { role: role.map(|role| role.name.clone()), capability })
}

fn may_move(room: &RoomState, by: &Actor, from: RoleIndex, to: RoleIndex) -> Result<(), Refusal> {
    if role_of(room, by).is_some_and(|role| role.may_move(from, to)) {
        Ok(())
    } else {
        Err(Refusal::RoleChange { from, to })
    }
}

/// Whether a user is a participant, in a role whose holders may have clients in the group.
fn takes_part(room: &RoomState, user: &str) -> bool {
    room.role_of_uri(user).is_some_and(|role| role.index != RoleIndex::NONE && role.takes_part())
}

/// A client is added, of a user who is a participant.
fn added_client(
    before: &RoomState,
    after: &RoomState,
    add: &ClientChange,
    is_new: bool,
) -> Result<(), Refusal> {
    let role = after.roles.get(after.participants.role_of(&add.user));
    let role = role.filter(|role| role.index != RoleIndex::NONE).ok_or(Refusal::NotParticipant)?;
    if !role.takes_part() {
        return Err(Refusal::Banned);
    }
    if is_new {
        return Ok(());
    }

    if add.by.is(&add.user) {
        return allows(before, &add.by, Capability::ADD_OWN_CLIENT);
    }
    // A room with fixed members begins with one of them, who brings in the other's clients.
    let is_participant = add.by.user().is_some_and(|user| takes_part(before, user));
    if before.base.fixed_membership && is_participant {
        return Ok(());
    }
    allows(before, &add.by, Capability::ADD_PARTICIPANT)
}

/// A client is removed, of a user who stays in the participant list.
fn removed_client(room: &RoomState, remove: &ClientChange) -> Result<(), Refusal> {
    // The service proposes the removal of revoked devices; members judge that by the user's account.
    if remove.by == Actor::Service {
        return Ok(());
    }
    if remove.by.is(&remove.user) {
        // A client that comes back from outside removes its former leaf.
        if matches!(remove.by, Actor::Joiner(_)) {
            return Ok(());
        }
        return allows(room, &remove.by, Capability::REMOVE_OWN_CLIENT)
            .or_else(|e| allows(room, &remove.by, Capability::REMOVE_SELF).map_err(|_| e));
    }
    if matches!(remove.by, Actor::Joiner(_)) {
        return Err(Refusal::JoinerDoesMore);
    }

    allows(room, &remove.by, Capability::KICK)?;
    // A user who is no participant, or is banned, has no place in the group, whatever the sender may move.
    if takes_part(room, &remove.user) {
        let of = room.participants.role_of(&remove.user);
        may_move(room, &remove.by, of, RoleIndex::NONE)?;
    }
    Ok(())
}
