//! Who may do what in a room, judged without a group: the table of the standard roles, and the draft's rules.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use conclave_mls::component::ComponentId;
use conclave_mls::wire::codec::{Decode, Encode};
use conclave_room::standard::{ADMIN, MEMBER, MODERATOR, OWNER, VISITOR};
use conclave_room::{
    Actor, BASE_ROOM_POLICY, BaseRoomPolicy, CHAT_HISTORY_POLICY, COMPONENTS, Capability, Claim,
    ClientChange, Demand, HistoryPolicy, HistoryReach, LinkUse, Optionality, PARTICIPANT_LIST,
    PREAUTH_LIST, Participants, Preauthorization, Preauthorizations, Proposed, ROLES_LIST,
    ROOM_METADATA, Refusal, Role, RoleIndex, Roles, RoomCommit, RoomMetadata, RoomState,
    StatusNotificationPolicy, StatusReports, Text, judge, judge_proposal, leavers,
};
use std::collections::BTreeMap;

const AUTHORITY: &str = "a.example";
const NONE: RoleIndex = RoleIndex::NONE;
const BANNED: RoleIndex = RoleIndex::BANNED;

fn uri(user: &str) -> String {
    conclave_room::user_uri(AUTHORITY, user)
}

fn text(text: &str) -> Text {
    Text::try_from(text).unwrap()
}

/// A room with a user of each role, who is called as it is, and a second member and owner; each with one client.
struct Scene {
    room: RoomState,
    clients: BTreeMap<String, u32>,
}

impl Scene {
    fn new() -> Self {
        let mut room = RoomState::new("mimi://a.example/r/01", "lunch", &uri("owner")).unwrap();
        let users = [
            ("admin", ADMIN),
            ("moderator", MODERATOR),
            ("member", MEMBER),
            ("visitor", VISITOR),
            ("other", MEMBER),
            ("owner2", OWNER),
            ("troll", BANNED),
        ];
        for (user, role) in users {
            room.participants = room.participants.with(&text(&uri(user)), role);
        }
        let inside = room.participants.all().iter().filter(|p| p.role != BANNED);
        let clients = inside.map(|p| (p.user.as_str().to_string(), 1)).collect();
        Self { room, clients }
    }

    fn direct() -> Self {
        let room = RoomState::direct("mimi://a.example/r/02", [&uri("alice"), &uri("bob")]);
        let clients = BTreeMap::from([(uri("alice"), 1)]);
        Self { room: room.unwrap(), clients }
    }

    fn by(&self, user: &str) -> RoomCommit {
        self.of(Actor::Member(uri(user)))
    }

    fn of(&self, by: Actor) -> RoomCommit {
        RoomCommit {
            by,
            claims: Vec::new(),
            clients: self.clients.clone(),
            adds: Vec::new(),
            removes: Vec::new(),
            updates: Vec::new(),
            links: Vec::new(),
            demands: Vec::new(),
        }
    }

    /// Whoever joins from outside, with a client of its own.
    fn joiner(&self, user: &str) -> RoomCommit {
        let by = Actor::Joiner(uri(user));
        let adds = vec![ClientChange { by: by.clone(), user: uri(user) }];
        RoomCommit { adds, ..self.of(by) }
    }

    /// The update that gives a user a role.
    fn roles_given(&self, users: &[(&str, RoleIndex)]) -> (ComponentId, Vec<u8>) {
        let mut after = self.room.participants.clone();
        for (user, role) in users {
            after = after.with(&text(&uri(user)), *role);
        }
        (PARTICIPANT_LIST, self.room.participants.update_to(&after).to_bytes().unwrap())
    }

    /// A commit that moves a user into a role, and does to the user's clients what goes along.
    fn moves(&self, by: &str, user: &str, role: RoleIndex) -> RoomCommit {
        let mut commit = self.by(by);
        commit.updates.push(self.roles_given(&[(user, role)]));
        let change = || ClientChange { by: Actor::Member(uri(by)), user: uri(user) };
        if self.room.participants.role_of(&uri(user)) == NONE && role != BANNED {
            commit.adds.push(change());
        }
        if role == NONE || role == BANNED {
            let count = self.clients.get(&uri(user)).copied().unwrap_or_default();
            commit.removes.extend((0..count).map(|_| change()));
        }
        commit
    }

    fn described(&self, change: impl FnOnce(&mut RoomMetadata)) -> (ComponentId, Vec<u8>) {
        let mut metadata = self.room.metadata.clone();
        change(&mut metadata);
        (ROOM_METADATA, metadata.to_bytes().unwrap())
    }

    fn refused(&self, commit: &RoomCommit) -> Refusal {
        judge(&self.room, commit).unwrap_err()
    }

    fn allows(&self, commit: &RoomCommit) -> bool {
        judge(&self.room, commit).is_ok()
    }
}

const ROLES: [&str; 5] = ["visitor", "member", "moderator", "admin", "owner"];

/// Checks an action of each role against a row of the table.
fn row(action: &str, wanted: &str, commit: impl Fn(&Scene, &str) -> RoomCommit) {
    let scene = Scene::new();
    for (role, wanted) in ROLES.iter().zip(wanted.chars()) {
        let judged = judge(&scene.room, &commit(&scene, role));
        assert_eq!(judged.is_ok(), wanted == 'y', "{role} {action}: {:?}", judged.err());
    }
}

#[test]
fn each_standard_role_may_do_what_the_table_says() {
    row("brings in a member", "nyyyy", |s, by| s.moves(by, "new", MEMBER));
    row("brings in a visitor", "nyyyy", |s, by| s.moves(by, "new", VISITOR));
    row("brings in a moderator", "nnnyy", |s, by| s.moves(by, "new", MODERATOR));
    row("brings in an admin", "nnnyy", |s, by| s.moves(by, "new", ADMIN));
    row("brings in an owner", "nnnny", |s, by| s.moves(by, "new", OWNER));
    row("removes a member", "nnyyy", |s, by| s.moves(by, "other", NONE));
    row("removes an owner", "nnnny", |s, by| s.moves(by, "owner2", NONE));
    row("bans a member", "nnyyy", |s, by| s.moves(by, "other", BANNED));
    row("bans a stranger", "nnyyy", |s, by| s.moves(by, "new", BANNED));
    row("bans an owner", "nnnny", |s, by| s.moves(by, "owner2", BANNED));
    row("lets back in a banned user", "nnyyy", |s, by| s.moves(by, "troll", MEMBER));
    row("forgives a banned user", "nnyyy", |s, by| s.moves(by, "troll", NONE));
    row("makes a member a moderator", "nnnyy", |s, by| s.moves(by, "other", MODERATOR));
    row("makes a member an admin", "nnnyy", |s, by| s.moves(by, "other", ADMIN));
    row("makes a member an owner", "nnnny", |s, by| s.moves(by, "other", OWNER));
    row("makes a member a visitor", "nnnyy", |s, by| s.moves(by, "other", VISITOR));
    row("makes an owner a member", "nnnny", |s, by| s.moves(by, "owner2", MEMBER));
    row("takes out a member's device", "nnyyy", |s, by| {
        let change = ClientChange { by: Actor::Member(uri(by)), user: uri("other") };
        RoomCommit { removes: vec![change], ..s.by(by) }
    });
    row("takes out an owner's device", "nnnny", |s, by| {
        let change = ClientChange { by: Actor::Member(uri(by)), user: uri("owner2") };
        RoomCommit { removes: vec![change], ..s.by(by) }
    });
    row("brings in another device of a member's", "nyyyy", |s, by| {
        let change = ClientChange { by: Actor::Member(uri(by)), user: uri("other") };
        RoomCommit { adds: vec![change], ..s.by(by) }
    });
    row("brings in its own device", "yyyyy", |s, by| {
        let change = ClientChange { by: Actor::Member(uri(by)), user: uri(by) };
        RoomCommit { adds: vec![change], ..s.by(by) }
    });
    row("makes a link", "nyyyy", |s, by| RoomCommit { links: vec![LinkUse::Make], ..s.by(by) });
    row("revokes a link", "nyyyy", |s, by| RoomCommit { links: vec![LinkUse::Revoke], ..s.by(by) });
    type Change = fn(&mut RoomMetadata);
    let fields: [(&str, Change); 5] = [
        ("changes the name", |m| m.name = text("dinner")),
        ("changes the topic", |m| m.subject = text("soup")),
        ("changes the picture", |m| m.avatar = text("https://a.example/soup.png")),
        ("changes the mood", |m| m.mood = text("hungry")),
        ("changes the description", |m| m.descriptions.push(Default::default())),
    ];
    for (action, change) in fields {
        row(action, "nyyyy", |s, by| RoomCommit { updates: vec![s.described(change)], ..s.by(by) });
    }
    let history = HistoryPolicy::Forbidden.to_bytes().unwrap();
    row("changes the policy for history", "nnnyy", |s, by| RoomCommit {
        updates: vec![(CHAT_HISTORY_POLICY, history.clone())],
        ..s.by(by)
    });
    row("defines roles", "nnnny", |s, by| RoomCommit {
        updates: vec![(ROLES_LIST, s.room.roles.to_bytes().unwrap())],
        ..s.by(by)
    });
    row("preauthorizes users", "nnnny", |s, by| RoomCommit {
        updates: vec![(PREAUTH_LIST, Preauthorizations::default().to_bytes().unwrap())],
        ..s.by(by)
    });
    row("changes the base policy", "nnnnn", |s, by| RoomCommit {
        updates: vec![(BASE_ROOM_POLICY, s.room.base.to_bytes().unwrap())],
        ..s.by(by)
    });
    for (needs, wanted) in [
        (Capability::SEND_MLS_REINIT_PROPOSAL, "nnnny"),
        (Capability::CHANGE_MLS_OPERATIONAL_POLICIES, "nnnny"),
        (Capability::SEND_MLS_PSK_PROPOSAL, "nnnnn"),
    ] {
        row("demands it", wanted, |s, by| RoomCommit {
            demands: vec![Demand { by: Actor::Member(uri(by)), needs }],
            ..s.by(by)
        });
    }
}

#[test]
fn nobody_changes_its_own_role() {
    for (role, above) in
        [("visitor", MEMBER), ("member", OWNER), ("admin", OWNER), ("owner", ADMIN)]
    {
        let scene = Scene::new();
        let refused = scene.refused(&scene.moves(role, role, above));
        assert!(matches!(refused, Refusal::Lacks { .. }), "{role}: {refused}");
    }
}

#[test]
fn somebody_who_is_no_participant_may_do_nothing() {
    let scene = Scene::new();
    let commit = scene.moves("stranger", "new", MEMBER);
    let refused = scene.refused(&commit);
    assert_eq!(
        refused,
        Refusal::Lacks { role: Some(text("none")), capability: Capability::ADD_PARTICIPANT }
    );
}

#[test]
fn a_client_comes_in_with_its_user_alone() {
    let scene = Scene::new();
    let add = |user: &str| ClientChange { by: Actor::Member(uri("owner")), user: uri(user) };
    let alone = RoomCommit { adds: vec![add("new")], ..scene.by("owner") };
    assert_eq!(scene.refused(&alone), Refusal::NotParticipant);
    let banned = RoomCommit { adds: vec![add("troll")], ..scene.by("owner") };
    assert_eq!(scene.refused(&banned), Refusal::Banned);

    // What an owner proposes in a message of its own, may be committed by a visitor.
    let proposed = RoomCommit { adds: vec![add("other")], ..scene.by("visitor") };
    assert!(scene.allows(&proposed));
    let unknown = judge_proposal(&scene.room, &Proposed::Add(add("new")));
    assert_eq!(unknown, Err(Refusal::NotParticipant));
}

#[test]
fn a_user_goes_with_all_of_its_clients_or_not_at_all() {
    let mut scene = Scene::new();
    scene.clients.insert(uri("other"), 2);
    let whole = scene.moves("owner", "other", NONE);
    assert!(scene.allows(&whole));
    let mut half = whole.clone();
    half.removes.pop();
    assert_eq!(scene.refused(&half), Refusal::ClientsLeft);
    let mut half = scene.moves("owner", "other", BANNED);
    half.removes.pop();
    assert_eq!(scene.refused(&half), Refusal::ClientsLeft);
    // A commit cannot remove the committer, so nobody leaves the list by a commit of its own.
    let mut own = scene.moves("other", "other", NONE);
    own.removes.clear();
    assert!(matches!(scene.refused(&own), Refusal::Lacks { .. }));
}

#[test]
fn whoever_has_asked_to_leave_is_taken_out_by_anybody() {
    let mut scene = Scene::new();
    scene.clients.insert(uri("other"), 2);
    let leave =
        |n: usize| vec![ClientChange { by: Actor::Member(uri("other")), user: uri("other") }; n];
    assert_eq!(leavers(&scene.room, &scene.clients, &leave(2)), [uri("other")]);
    assert!(leavers(&scene.room, &scene.clients, &leave(1)).is_empty());
    let all = RoomCommit {
        removes: leave(2),
        updates: vec![scene.roles_given(&[("other", NONE)])],
        ..scene.by("visitor")
    };
    assert!(scene.allows(&all));
    assert!(scene.allows(&RoomCommit { updates: Vec::new(), ..all.clone() }));
    // One of two devices leaves: the user stays.
    let one = RoomCommit { removes: leave(1), ..all.clone() };
    assert!(matches!(scene.refused(&one), Refusal::Lacks { .. }));
    // Nobody else goes along.
    let more = RoomCommit {
        updates: vec![scene.roles_given(&[("other", NONE), ("member", NONE)])],
        ..all
    };
    assert!(matches!(scene.refused(&more), Refusal::Lacks { .. }));
}

#[test]
fn a_user_is_touched_once_by_a_commit() {
    let scene = Scene::new();
    let mut commit = scene.by("owner");
    commit.updates.push(scene.roles_given(&[("other", ADMIN)]));
    assert!(scene.allows(&commit));
    commit.updates.push(scene.roles_given(&[("member", ADMIN)]));
    assert!(scene.allows(&commit));
    commit.updates.push(scene.roles_given(&[("other", MODERATOR)]));
    assert!(matches!(scene.refused(&commit), Refusal::Room(_)));

    let mut twice = scene.by("owner");
    twice.updates.push(scene.described(|m| m.name = text("a")));
    twice.updates.push(scene.described(|m| m.name = text("b")));
    assert_eq!(scene.refused(&twice), Refusal::UpdatedTwice(ROOM_METADATA));
}

#[test]
fn what_is_reported_of_messages_is_the_users_choice_unless_the_room_has_decided() {
    let mut room = Scene::new().room;
    let reports = |room: &RoomState, wanted| {
        let StatusReports { delivered, read } = room.status_reports(wanted);
        (delivered, read)
    };
    assert_eq!((reports(&room, true), reports(&room, false)), ((true, true), (false, false)));

    use Optionality::{Forbidden, Optional, Required};
    for (delivery_notifications, read_receipts, wanted, not_wanted) in [
        (Optional, Optional, (true, true), (false, false)),
        (Forbidden, Optional, (false, true), (false, false)),
        (Optional, Forbidden, (true, false), (false, false)),
        (Required, Forbidden, (true, false), (true, false)),
        (Forbidden, Required, (false, true), (false, true)),
    ] {
        let policy = StatusNotificationPolicy { delivery_notifications, read_receipts };
        room.status_notifications = Some(policy);
        assert_eq!(
            (reports(&room, true), reports(&room, false)),
            (wanted, not_wanted),
            "{policy:?}"
        );
    }
}

#[test]
fn a_link_leads_to_the_role_of_a_member_and_to_nothing_else() {
    let scene = Scene::new();
    let join = |users: &[(&str, RoleIndex)], links: Vec<LinkUse>| RoomCommit {
        updates: vec![scene.roles_given(users)],
        links,
        ..scene.joiner("new")
    };
    assert_eq!(scene.room.role_by_link(), Some(MEMBER));
    assert!(scene.allows(&join(&[("new", MEMBER)], vec![LinkUse::Join])));
    assert_eq!(scene.refused(&join(&[("new", MEMBER)], Vec::new())), Refusal::MayNotJoin);
    assert_eq!(scene.refused(&join(&[("new", ADMIN)], vec![LinkUse::Join])), Refusal::MayNotJoin);
    assert_eq!(scene.refused(&join(&[], vec![LinkUse::Join])), Refusal::NotParticipant);
    let more = [("new", MEMBER), ("friend", MEMBER)];
    assert_eq!(scene.refused(&join(&more, vec![LinkUse::Join])), Refusal::JoinerDoesMore);
    // Who is banned is in the list, and does not get past that.
    let banned = RoomCommit { links: vec![LinkUse::Join], ..scene.joiner("troll") };
    assert_eq!(scene.refused(&banned), Refusal::Banned);
}

#[test]
fn a_joiner_does_nothing_but_join_whatever_its_role() {
    let scene = Scene::new();
    let back = scene.joiner("owner");
    assert!(scene.allows(&back));
    let renames =
        RoomCommit { updates: vec![scene.described(|m| m.name = text("mine"))], ..back.clone() };
    assert_eq!(scene.refused(&renames), Refusal::JoinerDoesMore);
    let promotes =
        RoomCommit { updates: vec![scene.roles_given(&[("other", OWNER)])], ..back.clone() };
    assert_eq!(scene.refused(&promotes), Refusal::JoinerDoesMore);
    let other = ClientChange { by: back.by.clone(), user: uri("other") };
    let removes = RoomCommit { removes: vec![other], ..back.clone() };
    assert_eq!(scene.refused(&removes), Refusal::JoinerDoesMore);
    let own = ClientChange { by: back.by.clone(), user: uri("owner") };
    assert!(scene.allows(&RoomCommit { removes: vec![own], ..back }));
}

#[test]
fn whoever_is_preauthorized_joins_in_that_role_unless_banned() {
    let mut scene = Scene::new();
    let claim = |user: &str| Claim { credential_type: 1, id: text(""), value: text(&uri(user)) };
    let member = scene.room.roles.get(MEMBER).unwrap().clone();
    let mut roles = scene.room.roles.all().to_vec();
    for role in roles.iter_mut().filter(|role| role.index == MEMBER) {
        role.capabilities.push(Capability::JOIN_IF_PREAUTHORIZED);
    }
    scene.room.roles = Roles::new(roles).unwrap();
    let entry = |user| Preauthorization { claims: vec![claim(user)], role: member.clone() };
    scene.room.preauthorized = Preauthorizations(vec![entry("expert"), entry("troll")]);

    let join = |user: &str, role| RoomCommit {
        claims: vec![claim(user)],
        updates: vec![scene.roles_given(&[(user, role)])],
        ..scene.joiner(user)
    };
    assert!(scene.allows(&join("expert", MEMBER)));
    assert_eq!(scene.refused(&join("expert", ADMIN)), Refusal::MayNotJoin);
    assert_eq!(scene.refused(&join("layman", MEMBER)), Refusal::MayNotJoin);
    assert_eq!(scene.refused(&join("troll", MEMBER)), Refusal::JoinerDoesMore);
}

#[test]
fn nobody_is_added_to_a_direct_chat_or_taken_out_of_it() {
    let mut scene = Scene::direct();
    assert!(scene.room.is_direct());
    // It begins with one of the two, who brings in the other.
    let bob = ClientChange { by: Actor::Member(uri("alice")), user: uri("bob") };
    assert!(scene.allows(&RoomCommit { adds: vec![bob], ..scene.by("alice") }));
    scene.clients.insert(uri("bob"), 1);
    for by in ["alice", "bob"] {
        let added = scene.moves(by, "carol", MEMBER);
        assert_eq!(scene.refused(&added), Refusal::FixedMembership);
        let mut alone = scene.moves(by, "carol", MEMBER);
        alone.updates.clear();
        assert_eq!(scene.refused(&alone), Refusal::NotParticipant);
    }
    assert_eq!(scene.refused(&scene.moves("alice", "bob", NONE)), Refusal::FixedMembership);
    let kick = ClientChange { by: Actor::Member(uri("alice")), user: uri("bob") };
    let kicks = RoomCommit { removes: vec![kick], ..scene.by("alice") };
    assert!(matches!(scene.refused(&kicks), Refusal::Lacks { .. }));
    let link = RoomCommit { links: vec![LinkUse::Make], ..scene.by("alice") };
    assert!(matches!(scene.refused(&link), Refusal::Lacks { .. }));
    let join = RoomCommit {
        links: vec![LinkUse::Join],
        updates: vec![scene.roles_given(&[("carol", MEMBER)])],
        ..scene.joiner("carol")
    };
    assert_eq!(scene.refused(&join), Refusal::FixedMembership);
}

#[test]
fn bounds_are_kept_where_a_commit_changes_a_number() {
    let mut scene = Scene::new();
    scene.room.base = BaseRoomPolicy { max_users: Some(7), ..scene.room.base };
    assert_eq!(scene.refused(&scene.moves("owner", "new", MEMBER)), Refusal::TooManyParticipants);
    assert!(scene.allows(&scene.moves("owner", "new", BANNED)));

    let mut scene = Scene::new();
    scene.room.base = BaseRoomPolicy { max_clients: Some(7), ..scene.room.base };
    assert_eq!(scene.refused(&scene.moves("owner", "new", MEMBER)), Refusal::TooManyClients);

    let mut scene = Scene::new();
    scene.room.base = BaseRoomPolicy { multi_device: false, ..scene.room.base };
    let own = ClientChange { by: Actor::Member(uri("owner")), user: uri("owner") };
    let second = RoomCommit { adds: vec![own], ..scene.by("owner") };
    assert_eq!(scene.refused(&second), Refusal::TooManyClients);

    let bound = |change: fn(&mut Role)| {
        let mut scene = Scene::new();
        let mut roles = scene.room.roles.all().to_vec();
        roles.iter_mut().filter(|role| role.index == OWNER).for_each(change);
        scene.room.roles = Roles::new(roles).unwrap();
        scene
    };
    let scene = bound(|role| role.min_participants = 2);
    assert_eq!(scene.refused(&scene.moves("owner", "owner2", MEMBER)), Refusal::RoleBounds(OWNER));
    let scene = bound(|role| role.max_participants = Some(2));
    assert_eq!(scene.refused(&scene.moves("owner", "other", OWNER)), Refusal::RoleBounds(OWNER));
    let scene = bound(|role| role.min_active = 2);
    let kick = ClientChange { by: Actor::Member(uri("owner")), user: uri("owner2") };
    let kicks = RoomCommit { removes: vec![kick], ..scene.by("owner") };
    assert_eq!(scene.refused(&kicks), Refusal::RoleBounds(OWNER));
    let scene = bound(|role| role.max_active = Some(2));
    assert_eq!(scene.refused(&scene.moves("owner", "other", OWNER)), Refusal::RoleBounds(OWNER));
}

#[test]
fn disruptive_changes_come_without_participants() {
    let scene = Scene::new();
    let mut commit = scene.moves("owner", "new", MEMBER);
    commit.updates.push((ROLES_LIST, scene.room.roles.to_bytes().unwrap()));
    assert_eq!(scene.refused(&commit), Refusal::RolesWithParticipants);
    let preauthorizes = (PREAUTH_LIST, Preauthorizations::default().to_bytes().unwrap());
    let mut commit = scene.moves("owner", "new", MEMBER);
    commit.updates.push(preauthorizes.clone());
    assert_eq!(scene.refused(&commit), Refusal::PreauthorizedWithParticipants);
    let mut commit = scene.moves("owner", "other", NONE);
    commit.updates.push(preauthorizes);
    assert!(scene.allows(&commit));
}

#[test]
fn the_uri_and_the_sense_of_a_room_are_kept() {
    let scene = Scene::new();
    let moved = scene.described(|m| m.room_uri = text("mimi://evil.example/r/01"));
    let commit = RoomCommit { updates: vec![moved], ..scene.by("owner") };
    assert_eq!(scene.refused(&commit), Refusal::RoomUri);
    // Roles without the one that participants have.
    let only = Roles::new(vec![scene.room.roles.get(OWNER).unwrap().clone()]).unwrap();
    let commit =
        RoomCommit { updates: vec![(ROLES_LIST, only.to_bytes().unwrap())], ..scene.by("owner") };
    assert!(matches!(scene.refused(&commit), Refusal::Room(_)));
    let unknown = scene.roles_given(&[("other", RoleIndex(99))]);
    let commit = RoomCommit { updates: vec![unknown], ..scene.by("owner") };
    assert!(matches!(scene.refused(&commit), Refusal::Room(_)));
    for id in COMPONENTS {
        let commit = RoomCommit { updates: vec![(id, vec![0xff; 3])], ..scene.by("owner") };
        assert!(matches!(scene.refused(&commit), Refusal::Room(_)), "{id}");
    }
}

#[test]
fn a_dictionary_is_read_as_the_room_that_it_was_made_of() {
    let mut scene = Scene::new();
    scene.room.history = Some(HistoryPolicy::Shared {
        required: false,
        roles: vec![3, 4],
        automatically: true,
        max_time_period: 86_400,
    });
    let dictionary = scene.room.dictionary(&[ComponentId(0x8c01)]).unwrap();
    let extensions = [dictionary.to_extension().unwrap()];
    assert_eq!(RoomState::in_extensions(&extensions).unwrap(), Some(scene.room.clone()));
    assert_eq!(RoomState::in_extensions(&[]), Ok(None));

    for id in [PARTICIPANT_LIST, ROOM_METADATA, ROLES_LIST, BASE_ROOM_POLICY] {
        let mut without = dictionary.clone();
        without.remove(id);
        let extensions = [without.to_extension().unwrap()];
        let error = RoomState::in_extensions(&extensions).unwrap_err();
        assert_eq!(error, conclave_room::RoomError::Missing(id));
        let damaged = dictionary.clone().with(id, [0xff; 5]);
        assert!(RoomState::in_extensions(&[damaged.to_extension().unwrap()]).is_err(), "{id}");
    }
}

#[test]
fn updates_of_the_list_lead_where_they_were_made_for() {
    let scene = Scene::new();
    let before = &scene.room.participants;
    let after = before
        .with(&text(&uri("other")), NONE)
        .with(&text(&uri("member")), ADMIN)
        .with(&text(&uri("new")), VISITOR);
    let update = before.update_to(&after);
    assert_eq!(before.updated(std::slice::from_ref(&update)).unwrap(), after);
    assert!(before.updated(&[update.clone(), update]).is_err());
    let decoded = Participants::from_bytes(&after.to_bytes().unwrap()).unwrap();
    assert_eq!(decoded, after);
}

#[test]
fn history_is_given_as_far_as_the_policy_lets_this_role() {
    let reach = |history: Option<HistoryPolicy>, user: &str| {
        let mut scene = Scene::new();
        scene.room.history = history;
        scene.room.history_for_own_client(user)
    };
    let shared = |roles: &[u32], max_time_period| {
        let roles = roles.to_vec();
        let automatically = true;
        Some(HistoryPolicy::Shared { required: true, roles, automatically, max_time_period })
    };
    assert_eq!(reach(None, "member"), HistoryReach::All);
    assert_eq!(reach(Some(HistoryPolicy::Forbidden), "owner"), HistoryReach::Nothing);
    assert_eq!(reach(shared(&[MEMBER.0], 60), "member"), HistoryReach::Seconds(60));
    assert_eq!(reach(shared(&[MEMBER.0], 60), "owner"), HistoryReach::Nothing);
    assert_eq!(reach(shared(&[MEMBER.0], 0), "member"), HistoryReach::Nothing);
    assert_eq!(reach(shared(&[MEMBER.0], 60), "stranger"), HistoryReach::Nothing);
}
