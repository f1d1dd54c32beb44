//! Rooms: what their users change, who may, and what becomes of a client that does not ask.

use super::*;
use crate::book::Change;
use crate::content::Content;
use crate::record::{Item, Payload, RoomChange, RoomPolicy, Work};
use conclave_mls::{Config, Group};
use conclave_room::{MessageExpiration, Optionality, StatusNotificationPolicy};

/// A room of a's with b and c, and d, who is not in it.
fn world(seed: u64) -> (World, [usize; 4]) {
    let mut world = World::new(seed);
    let all = ["a/pc", "b/pc", "c/pc", "d/pc"].map(|id| world.add(id));
    world.group("g", &all[..3]);
    (world, all)
}

impl World {
    fn says(&mut self, i: usize, line: &str) {
        self.say(i, line);
        self.settle();
    }

    fn room(&self, i: usize) -> crate::view::RoomView {
        let id = self.group_id(i);
        self.devices[i].engine.room(&id).unwrap()
    }

    fn role(&self, seen_by: usize, user: &str) -> Option<String> {
        let room = self.room(seen_by);
        let found = room.users.into_iter().find(|(known, _)| known.as_str() == user);
        found.map(|(_, role)| role)
    }

    /// Gives a device work in its group that its client does not ask about.
    fn force(&mut self, i: usize, work: Work) {
        let item = Item { group: self.group_id(i), work };
        self.devices[i].engine.book.commit(None, vec![Change::NewItem(item)]).unwrap();
    }

    /// Makes a device's client one that does not ask what it may do.
    fn modify(&mut self, i: usize) {
        let id = self.group_id(i);
        let engine = &mut self.devices[i].engine;
        let rows = engine.book.store().load(&id).unwrap();
        let config = Config { adopt_policy: true, ..Config::default() };
        let group = Group::load(&*engine.provider, config, rows).unwrap();
        engine.conversations.get_mut(&id).unwrap().set_group(group);
    }
}

#[test]
fn name_topic_and_picture_change_for_everybody_and_all_are_told_who_did_it() {
    let (mut world, [a, b, c, _]) = world(200);
    world.says(b, "/topic soup at noon");
    world.says(b, "/picture https://x.example/soup.png");
    world.says(b, "/rename dinner");
    for i in [a, b, c] {
        let lines = world.devices[i].lines();
        let told = |begin: &str, end: &str| {
            let is_told = |line: &&String| line.starts_with(begin) && line.ends_with(end);
            assert_eq!(lines.iter().filter(is_told).count(), 1, "{begin}: {lines:?}");
        };
        told("topic ", "by b/pc soup at noon");
        told("picture ", "by b/pc https://x.example/soup.png");
        told("renamed ", "by b/pc dinner");
        let room = world.room(i);
        assert_eq!((room.name.as_str(), room.topic.as_str()), ("dinner", "soup at noon"));
        let id = world.group_id(i);
        assert_eq!(world.devices[i].engine.group_name(&id), "dinner");
    }
    world.agree(&[a, b, c]);
}

#[test]
fn whoever_comes_in_knows_the_room_by_its_state() {
    let (mut world, [a, _, _, d]) = world(201);
    world.says(a, "/rename dinner");
    world.says(a, "/topic soup");
    world.says(a, "/invite d");
    let id = world.group_id(a);
    assert_eq!(world.devices[d].engine.group_name(&id), "dinner");
    let room = world.devices[d].engine.room(&id).unwrap();
    assert_eq!((room.topic.as_str(), room.own_role.as_str()), ("soup", "member"));
    assert!(room.uri.starts_with("mimi://localhost/r/"), "{}", room.uri);
    world.say(d, "/accept");
    world.says(d, "/room");
    let lines = world.devices[d].lines();
    assert!(
        lines.iter().any(|line| line.starts_with("room dinner open member mimi://")),
        "{lines:?}"
    );
    assert!(lines.contains(&"role dinner a owner".to_string()), "{lines:?}");
}

#[test]
fn roles_are_given_by_those_who_may_and_used_at_once() {
    let (mut world, [a, b, c, _]) = world(202);
    assert_eq!(world.role(c, "a").as_deref(), Some("owner"));
    world.says(b, "/remove c");
    assert!(
        world.devices[b].has_line("error the role member does not allow removing anybody"),
        "{:?}",
        world.devices[b].lines()
    );
    world.says(b, "/role c visitor");
    assert!(
        world.devices[b].has_line("failed g nothing is changed"),
        "{:?}",
        world.devices[b].lines()
    );
    assert_eq!(world.role(a, "c").as_deref(), Some("member"));

    world.says(a, "/role b moderator");
    assert_eq!(world.role(c, "b").as_deref(), Some("moderator"));
    let is_told = |line: &String| {
        line.starts_with("role-changed g ") && line.ends_with("by a/pc b moderator")
    };
    assert!(world.devices[c].lines().iter().any(is_told));
    world.says(b, "/remove c");
    assert!(world.devices[c].has_line("out g "));
    assert_eq!(world.role(a, "c"), None);
    world.says(b, "/remove a");
    assert!(!world.devices[a].has_line("out g "));
    world.agree(&[a, b]);
}

#[test]
fn a_visitor_reads_and_what_it_writes_all_the_same_is_not_shown() {
    let (mut world, [a, b, c, _]) = world(203);
    world.says(a, "/role c visitor");
    world.says(b, "for all");
    assert_eq!(world.devices[c].messages().last().unwrap().3, "for all");
    world.says(c, "me too");
    assert!(
        world.devices[c].has_line("error the role visitor does not allow writing"),
        "{:?}",
        world.devices[c].lines()
    );

    // A client that does not ask.
    let payload = Payload::Content(Content::from_text("me too"));
    world.force(c, Work::Send { payload, sealed: None });
    world.settle();
    for i in [a, b] {
        assert_ne!(world.devices[i].messages().last().unwrap().3, "me too");
        assert!(world.devices[i].has_line("unreadable g "), "{:?}", world.devices[i].lines());
    }
}

/// What is told of the policy for expiry with the messages of a device, in the log's order.
fn expirations(world: &World, i: usize) -> Vec<Option<MessageExpiration>> {
    let id = world.group_id(i);
    let news = world.devices[i].engine.history(&id, usize::MAX).unwrap();
    let expirations = news.iter().filter_map(|news| match news {
        News::Message { expiration, .. } => Some(*expiration),
        _ => None,
    });
    expirations.collect()
}

#[test]
fn a_policy_needs_a_capability_and_holds_for_what_is_said_after_it() {
    let (mut world, [a, b, c, d]) = world(208);
    world.says(b, "before");
    world.says(b, "/expiry 7d");
    assert!(world.devices[b].has_line("error the role member does not allow deciding when"));
    world.says(b, "/reports forbid");
    assert!(world.devices[b].has_line("error the role member does not allow deciding what"));

    world.says(a, "/expiry 7d");
    // A client that sets no expiry: the policy counts all the same.
    let payload = Payload::Content(Content::from_text("after"));
    world.force(b, Work::Send { payload, sealed: None });
    world.settle();
    world.says(a, "/reports allow forbid");
    world.says(a, "/expiry off");
    world.says(c, "at last");
    // Nothing is committed for what is so already.
    let position = world.devices[a].engine.log_position(&world.group_id(a));
    world.says(a, "/expiry off");
    assert_eq!(world.devices[a].engine.log_position(&world.group_id(a)), position);

    let reports = StatusNotificationPolicy {
        delivery_notifications: Optionality::Optional,
        read_receipts: Optionality::Forbidden,
    };
    for i in [a, b, c] {
        let lines = world.devices[i].lines();
        let told = |begin: &str, end: &str| {
            let is_told = |line: &&String| line.starts_with(begin) && line.ends_with(end);
            assert_eq!(lines.iter().filter(is_told).count(), 1, "{begin}: {lines:?}");
        };
        told("expiry-policy g ", "by a/pc required 604800 604800 604800");
        told("expiry-policy g ", "by a/pc optional 0 4294967295 -");
        told("reports-policy g ", "by a/pc optional forbidden");
        let expected =
            [None, Some(MessageExpiration::after(604_800)), Some(MessageExpiration::OPEN)];
        assert_eq!(expirations(&world, i), expected);
        let id = world.group_id(i);
        let engine = &world.devices[i].engine;
        let policies = [RoomPolicy::Expiry(MessageExpiration::OPEN), RoomPolicy::Reports(reports)];
        assert_eq!(engine.policies(&id), policies);
        assert_eq!(engine.message_expiration(&id), Some(MessageExpiration::OPEN));
        let reported = engine.status_reports(&id, true);
        assert!(reported.delivered && !reported.read);
    }

    // A new member knows them with the room.
    world.says(a, "/invite d");
    world.says(d, "/accept");
    world.says(d, "/room");
    assert!(world.devices[d].has_line("policy g expiry optional 0 4294967295 -"));
    assert!(world.devices[d].has_line("policy g reports optional forbidden"));
}

#[test]
fn a_preauthorized_user_joins_by_a_link_in_that_role_unless_banned() {
    let (mut world, [a, b, c, d]) = world(230);
    let e = world.add("e/pc");
    world.says(b, "/preauth add d moderator");
    assert!(world.devices[b].has_line("error the role member does not allow preauthorizing"));
    world.says(a, "/preauth add d king");
    assert!(world.devices[a].has_line("error there is no role king: "));
    world.says(a, "/preauth add c moderator");
    let lines = world.devices[a].lines();
    assert!(lines.iter().any(|line| line.contains("in the room's list already")), "{lines:?}");
    world.says(a, "/preauth add d moderator");
    world.says(a, "/preauth add e admin");
    world.says(a, "/preauth remove e");
    for i in [a, b, c] {
        let told = |end: &str| {
            let lines = world.devices[i].lines();
            let is_told =
                |line: &&String| line.starts_with("preauthorized g ") && line.ends_with(end);
            assert_eq!(lines.iter().filter(is_told).count(), 1, "{end}: {lines:?}");
        };
        told("by a/pc d moderator");
        told("by a/pc e admin");
        told("by a/pc e -");
        assert_eq!(world.room(i).preauthorized, [("d".parse().unwrap(), "moderator".to_string())]);
    }

    let link = world.link_of(b, "--uses 3");
    world.joins(d, &link);
    world.joins(e, &link);
    for i in [a, b, c, d] {
        assert_eq!(world.role(i, "d").as_deref(), Some("moderator"));
        assert_eq!(world.role(i, "e").as_deref(), Some("member"));
    }
    world.agree(&[a, b, c, d, e]);
    world.says(d, "/remove e");
    assert!(world.devices[e].has_line("out g "), "{:?}", world.devices[e].lines());

    // A banned user does not come back by the list.
    world.says(a, "/role d banned");
    world.joins(d, &link);
    let lines = world.devices[d].lines();
    assert!(lines.iter().any(|line| line.contains("you are banned from it")), "{lines:?}");
}

#[test]
fn both_users_of_a_direct_chat_may_change_its_policies() {
    let (mut world, [a, b, ..]) = world(209);
    world.says(a, "/direct b");
    world.says(a, "psst");
    world.says(b, "/switch a");
    world.says(b, "/expiry 1h");
    assert!(world.devices[a].lines().iter().any(|line| {
        line.starts_with("expiry-policy b ") && line.ends_with("by b/pc required 3600 3600 3600")
    }));
}

#[test]
fn a_banned_user_is_out_and_does_not_come_back_before_it_is_forgiven() {
    let (mut world, [a, b, c, _]) = world(204);
    let link = world.link_of(b, "--uses 3");
    world.says(a, "/role c banned");
    assert!(world.devices[c].has_line("out g "));
    assert_eq!(world.role(b, "c").as_deref(), Some("banned"));
    world.joins(c, &link);
    let lines = world.devices[c].lines();
    assert!(lines.iter().any(|line| line.contains("you are banned from it")), "{lines:?}");
    world.says(b, "/invite c");
    assert!(world.devices[b].lines().iter().any(|line| line.contains("is banned")));
    world.says(a, "/role c member");
    world.says(b, "/invite c");
    assert_eq!(world.devices[c].count("joined g "), 2, "{:?}", world.devices[c].lines());
    world.agree(&[a, b, c]);
}

#[test]
fn whoever_leaves_or_joins_by_a_link_is_in_the_list_accordingly() {
    let (mut world, [a, b, c, d]) = world(205);
    world.says(b, "/leave");
    assert!(world.devices[b].has_line("left g "), "{:?}", world.devices[b].lines());
    assert_eq!(world.role(c, "b"), None);
    let link = world.link_of(c, "");
    world.joins(d, &link);
    assert_eq!(world.role(a, "d").as_deref(), Some("member"));
    world.agree(&[a, c, d]);
}

#[test]
fn a_direct_chat_is_of_two_and_nobody_is_added() {
    let (mut world, [a, b, c, _]) = world(206);
    world.says(a, "/direct b");
    world.says(a, "psst");
    let id = {
        let groups = world.devices[a].engine.groups();
        groups.into_iter().find(|group| group.name == "b").unwrap().id
    };
    assert_eq!(world.devices[b].engine.group_name(&id), "a");
    assert_eq!(world.devices[b].messages().last().unwrap().3, "psst");
    assert!(world.devices[b].engine.room(&id).unwrap().direct);
    world.says(a, "/invite c");
    assert!(!world.devices[c].lines().iter().any(|line| line.starts_with("joined a ")));
    let lines = world.devices[a].lines();
    assert!(
        lines.iter().any(|line| line.contains("participants of this room never change")),
        "{lines:?}"
    );
    world.says(a, "/direct b");
    assert!(world.devices[a].has_line("error there is a direct chat with b already"));
}

#[test]
fn the_service_does_not_take_what_a_modified_client_oversteps_by() {
    let (mut world, [a, b, c, _]) = world(207);
    world.modify(b);
    let change = RoomChange::Role { user: "b".parse().unwrap(), role: "owner".into() };
    world.force(b, Work::Room { change, committing: false });
    world.settle();
    let lines = world.devices[b].lines();
    assert!(lines.iter().any(|line| line.contains("not-allowed")), "{lines:?}");
    for i in [a, c] {
        assert_eq!(world.role(i, "b").as_deref(), Some("member"));
    }
    world.says(a, "still here");
    assert_eq!(world.devices[c].messages().last().unwrap().3, "still here");
}

/// The authority in the URI of a device's newest room of this name.
fn authority(world: &World, i: usize, name: &str) -> String {
    let engine = &world.devices[i].engine;
    let group = engine.groups().into_iter().find(|group| group.name == name).unwrap();
    let uri = engine.room_uri(&group.id).unwrap();
    assert_eq!(engine.room(&group.id).unwrap().uri, uri);
    conclave_room::room_authority(&uri).unwrap().to_string()
}

#[test]
fn a_room_keeps_the_authority_that_it_was_made_with_for_all_its_members() {
    let mut world = World::new(220);
    let [a, b] = ["a/pc", "b/pc"].map(|id| world.add(id));
    // A room of a client that knows no name of its service.
    world.group("old", &[a, b]);
    world.devices[a].engine.reached_at("http://One.example:4820/x");
    world.devices[b].engine.reached_at("https://two.example");
    world.group("ones", &[a, b]);
    world.group("twos", &[b, a]);
    for i in [a, b] {
        assert_eq!(authority(&world, i, "old"), "localhost");
        assert_eq!(authority(&world, i, "ones"), "one.example:4820");
        assert_eq!(authority(&world, i, "twos"), "two.example");
        let id =
            world.devices[i].engine.groups().into_iter().find(|g| g.name == "ones").unwrap().id;
        let users = world.devices[i].engine.room(&id).unwrap().users;
        assert_eq!(users.len(), 2, "{users:?}");
    }

    // A group that begins anew stays the room of the same users.
    world.says(a, "/switch ones");
    world.says(a, "/reset");
    for i in [a, b] {
        world.settle();
        assert_eq!(authority(&world, i, "ones"), "one.example:4820");
    }
}

#[test]
fn a_service_that_has_a_domain_gives_it_to_new_rooms() {
    let limits = Limits { domain: Some("chat.example".into()), ..Limits::default() };
    let mut world = World::new(221);
    let storage = SqliteStorage::open(&world.folder.path().join("named")).unwrap();
    let begun = UnixTime::from_secs(1_700_000_000).unwrap();
    world.service = Service::new(storage, provider(), limits, Registration::Open, begun).unwrap();
    let [a, b] = ["a/pc", "b/pc"].map(|id| world.add(id));
    for i in [a, b] {
        world.devices[i].engine.reached_at("http://127.0.0.1:4820");
    }
    world.group("g", &[a, b]);
    assert_eq!(authority(&world, b, "g"), "chat.example");

    // It is remembered where the service is out of reach.
    world.kill(a);
    world.say(a, "/new h");
    assert_eq!(authority(&world, a, "h"), "chat.example");
}
