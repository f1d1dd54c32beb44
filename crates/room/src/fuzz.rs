//! Properties that hold whatever bytes come: for fuzzers, and for tests with random bytes.

use crate::components::{
    BaseRoomPolicy, COMPONENTS, HistoryPolicy, JoinLinkPolicy, MessageExpiration, RoomMetadata,
    StatusNotificationPolicy,
};
use crate::judge::{Actor, ClientChange, RoomCommit, judge};
use crate::participants::{MAX_PARTICIPANTS, Participants, ParticipantsUpdate};
use crate::presets::standard;
use crate::role::{MAX_ROLES, Preauthorizations, RoleIndex, Roles};
use crate::state::RoomState;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use conclave_mls::wire::codec::{Decode, Encode};
use core::fmt::Debug;

/// What decodes encodes to the same bytes, within the bounds.
///
/// # Panics
/// If it does not.
pub fn decode(bytes: &[u8]) {
    if let Some(list) = same::<Participants>(bytes) {
        assert!(list.all().len() <= MAX_PARTICIPANTS);
        assert!(list.all().iter().all(|participant| participant.role != RoleIndex::NONE));
    }
    if let Some(roles) = same::<Roles>(bytes) {
        assert!(roles.all().len() <= MAX_ROLES);
    }
    let _ = same::<ParticipantsUpdate>(bytes);
    let _ = same::<Preauthorizations>(bytes);
    let _ = same::<RoomMetadata>(bytes);
    let _ = same::<BaseRoomPolicy>(bytes);
    let _ = same::<JoinLinkPolicy>(bytes);
    let _ = same::<HistoryPolicy>(bytes);
    let _ = same::<MessageExpiration>(bytes);
    let _ = same::<StatusNotificationPolicy>(bytes);
}

fn same<T: Decode + Encode + Debug>(bytes: &[u8]) -> Option<T> {
    let value = T::from_bytes(bytes).ok()?;
    assert_eq!(value.to_bytes().as_deref(), Ok(bytes), "another encoding of {value:?}");
    Some(value)
}

const USERS: [&str; 6] = [
    "mimi://a/u/owner",
    "mimi://a/u/admin",
    "mimi://a/u/moderator",
    "mimi://a/u/member",
    "mimi://a/u/visitor",
    "mimi://a/u/stranger",
];

/// A room with one user of each role but "banned", each with one client.
fn room() -> (RoomState, BTreeMap<String, u32>) {
    let roles = [
        standard::OWNER,
        standard::ADMIN,
        standard::MODERATOR,
        standard::MEMBER,
        standard::VISITOR,
    ];
    let begun = RoomState::new("mimi://a/r/1", "room", "mimi://a/u/owner");
    let mut room = begun.unwrap_or_else(|e| unreachable!("{e}"));
    let mut clients = BTreeMap::new();
    for (user, role) in USERS.iter().zip(roles) {
        let uri = crate::text::Text::try_from(*user).unwrap_or_default();
        room.participants = room.participants.with(&uri, role);
        clients.insert((*user).to_string(), 1);
    }
    (room, clients)
}

/// Judging a commit does not panic, and nobody gains by it what their role does not give.
///
/// The first byte says who commits, then come two for each change of a client, and, after a zero, one for a component
/// and an update of it.
///
/// # Panics
/// If one of these does not hold.
pub fn judged(bytes: &[u8]) {
    let (before, clients) = room();
    let user = |byte: u8| {
        let place = usize::from(byte) % USERS.len();
        USERS.get(place).copied().unwrap_or_default().to_string()
    };
    let mut rest = bytes.iter().copied();
    let by = Actor::Member(user(rest.next().unwrap_or_default() % 5));

    let (mut adds, mut removes) = (Vec::new(), Vec::new());
    while let Some(kind) = rest.next().filter(|kind| *kind != 0) {
        let change = ClientChange { by: by.clone(), user: user(rest.next().unwrap_or_default()) };
        if kind % 2 == 0 { adds.push(change) } else { removes.push(change) }
    }

    let component = COMPONENTS.get(usize::from(rest.next().unwrap_or_default()) % COMPONENTS.len());
    let update: Vec<u8> = rest.collect();
    let updates = if update.is_empty() {
        Vec::new()
    } else {
        component.map(|id| (*id, update)).into_iter().collect()
    };

    let commit = RoomCommit {
        by,
        claims: Vec::new(),
        clients,
        adds,
        removes,
        updates,
        links: Vec::new(),
        demands: Vec::new(),
    };
    if let Ok(after) = judge(&before, &commit) {
        allowed(&before, &commit, &after);
    }
}

/// Checks what holds of every commit that is allowed.
fn allowed(before: &RoomState, commit: &RoomCommit, after: &RoomState) {
    assert_eq!(after.check(), Ok(()));
    let by = commit.by.user().unwrap_or_default();
    let role = before.participants.role_of(by);

    // Nobody gives a role above its own, or moves a user who is above it.
    for participant in after.participants.all() {
        let user = participant.user.as_str();
        let old = before.participants.role_of(user);
        if participant.role > old && old != RoleIndex::NONE {
            assert!(role >= standard::MODERATOR, "{by} promotes {user}");
            assert!(participant.role <= role, "{by} gives {user} more than it has");
        }
        assert!(participant.role == old || old <= role, "{by} moves {user}, who is above it");
    }

    // Nobody removes anybody above itself, and a visitor changes nothing.
    for remove in commit.removes.iter().filter(|remove| remove.user != by) {
        let of = before.participants.role_of(&remove.user);
        assert!(of <= role && role >= standard::MODERATOR, "{by} removes {}", remove.user);
    }
    // A visitor may leave.
    if role < standard::MEMBER && commit.removes.is_empty() {
        assert_eq!(before, after, "{by} changes the room");
    }
    if role < standard::OWNER {
        assert_eq!(before.roles, after.roles, "{by} defines roles");
    }
    assert_eq!(before.metadata.room_uri, after.metadata.room_uri);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Text;

    #[test]
    fn whatever_bytes_come_the_bounds_and_rules_hold() {
        // A small generator: the fuzz target goes further.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as usize
        };
        let (room, _) = room();
        let uri = |user: &str| Text::try_from(user).unwrap();
        let changed = room.participants.with(&uri("mimi://a/u/member"), standard::ADMIN);
        let changed = changed.with(&uri("mimi://a/u/stranger"), standard::MEMBER);
        let seeds = [
            room.participants.update_to(&changed).to_bytes().unwrap(),
            room.metadata.to_bytes().unwrap(),
            room.roles.to_bytes().unwrap(),
            Preauthorizations::default().to_bytes().unwrap(),
            room.base.to_bytes().unwrap(),
            room.participants.to_bytes().unwrap(),
        ];
        for round in 0..20_000 {
            let seed = round % seeds.len();
            let mut bytes = seeds[seed].clone();
            for _ in 0..next() % 4 {
                let at = next() % bytes.len();
                bytes[at] = next() as u8;
            }
            decode(&bytes);
            let mut commit = [next() as u8, next() as u8, next() as u8, 0, seed as u8].to_vec();
            commit.extend(&bytes);
            judged(&commit);
        }
    }
}
