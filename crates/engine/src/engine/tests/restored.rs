//! A service that was restored from a backup, or set up anew.

use super::*;
use crate::record::Kept;
use conclave_delivery::backup;
use conclave_delivery::service::Act;
use conclave_delivery_api::ContentType;

/// A group g of a, b and c, in which everybody has said something.
fn talking(seed: u64) -> (World, [usize; 3]) {
    let mut world = World::new(seed);
    let all = ["a/pc", "b/pc", "c/pc"].map(|id| world.add(id));
    world.group("g", &all);
    for i in all {
        world.say(i, &format!("before {i}"));
        world.settle();
    }
    (world, all)
}

impl World {
    /// A backup of the service as it is now.
    fn save(&self) -> tempfile::TempDir {
        let saved = tempfile::tempdir().unwrap();
        backup::backup(self.folder.path(), saved.path(), provider(), self.time()).unwrap();
        saved
    }

    /// The service is restored from a backup.
    fn restore(&mut self, saved: &tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        backup::restore(saved.path(), folder.path(), provider(), self.time()).unwrap();
        let storage = SqliteStorage::open(folder.path()).unwrap();
        let begun = self.time();
        let limits = Limits::default();
        let service = Service::new(storage, provider(), limits, Registration::Open, begun);
        self.swap(service.unwrap());
        self.folder = folder;
        // Whoever listens is cut off, and has no session when it comes back.
        for device in &mut self.devices {
            let error = CallError::refused(ErrorCode::Unauthorized, "there is no such session");
            device
                .hints
                .push_back(StreamEvent::Disconnected { error, retry_in: Default::default() });
        }
    }
}

const RESTORED: &str = "note - the service was restored from a backup, and may have lost what";

#[test]
fn a_service_that_was_restored_is_noticed_once_and_nothing_else_is_told() {
    let (mut world, all) = talking(401);
    let saved = world.save();
    world.settle();
    for i in all {
        assert_eq!(world.devices[i].count(RESTORED), 0);
    }
    world.restore(&saved);
    world.settle();
    for i in all {
        world.kill(i);
        world.say(i, &format!("after {i}"));
        world.settle();
    }
    for i in all {
        let lines = world.devices[i].lines();
        assert_eq!(world.devices[i].count(RESTORED), 1, "{lines:?}");
        assert!(!lines.iter().any(|line| line.starts_with("error ")), "{lines:?}");
        assert_eq!(world.devices[i].messages().len(), 6);
    }
}

#[test]
fn a_service_that_was_set_up_anew_is_noticed_once() {
    let (mut world, [a, ..]) = talking(402);
    let (service, folder) = service(provider());
    world.swap(service);
    world.folder = folder;
    world.settle();
    world.kill(a);
    world.settle();
    assert_eq!(world.devices[a].count("note - the service was set up anew, and may"), 1);
}

#[test]
fn a_stream_of_another_life_than_the_session_leads_to_another_session() {
    let (mut world, [a, ..]) = talking(403);
    let engine = &mut world.devices[a].engine;
    let known = engine.book.incarnation().unwrap();
    engine.heard(world.now, StreamEvent::Event(Event::Incarnation(known)));
    assert!(engine.next_request(world.now).unwrap().is_none());
    let other = Incarnation { number: 2, ..known };
    engine.heard(world.now, StreamEvent::Event(Event::Incarnation(other)));
    assert!(matches!(engine.next_request(world.now).unwrap(), Some(Request::DescribeService(_))));
}

#[test]
fn an_answer_under_way_counts_when_the_session_ends_meanwhile() {
    let (mut world, [a, b, _]) = talking(409);
    let id = world.devices[a].current();
    let head = world.devices[a].engine.book.record(&id).unwrap().cursor;
    world.off(&[a]);
    world.say(b, "meanwhile");
    world.settle();
    world.devices[a].revoked = false;

    let mut position = world.devices[b].engine.conversations[&id].receipt().unwrap().position;
    position.seq = head + 1;
    world.devices[a].hints.clear();
    world.devices[a]
        .engine
        .heard(world.now, StreamEvent::Event(Event::Group { group_id: id, position }));
    let request = world.devices[a].engine.next_request(world.now).unwrap().unwrap();
    assert!(matches!(request, Request::FetchLog(_)), "{request:?}");
    let page = world.call(a, request);
    let error = CallError::refused(ErrorCode::Unauthorized, "there is no such session");
    let ended = StreamEvent::Disconnected { error, retry_in: Default::default() };
    world.devices[a].engine.heard(world.now, ended);
    world.devices[a].engine.answer(world.now, page).unwrap();
    world.settle();

    assert!(world.devices[a].messages().iter().any(|message| message.3 == "meanwhile"));
    assert_eq!(world.devices[a].count("offline "), 0, "{:?}", world.devices[a].lines());
}

impl World {
    /// A device is switched off: it hears and does nothing.
    pub(super) fn off(&mut self, devices: &[usize]) {
        devices.iter().for_each(|i| self.devices[*i].revoked = true);
    }

    /// It is on again, as another process.
    pub(super) fn on(&mut self, devices: &[usize]) {
        for i in devices {
            self.devices[*i].revoked = false;
            self.kill(*i);
        }
    }

    /// All of these have seen the same texts, each once, and nothing has gone wrong.
    fn all_have(&mut self, devices: &[usize], texts: &[&str]) {
        for i in devices {
            let lines = self.devices[*i].lines();
            for text in texts {
                let seen = self.devices[*i].messages().iter().filter(|m| m.3 == *text).count();
                assert_eq!(seen, 1, "{text}: {lines:#?}");
            }
            let wrong = |line: &&String| line.starts_with("error ") || line.starts_with("unread");
            assert_eq!(lines.iter().find(wrong), None, "{lines:#?}");
            assert!(self.devices[*i].engine.is_settled(), "{}", self.devices[*i].engine.state());
        }
        self.agree(devices);
    }

    /// Each of these says something that all others hear.
    fn all_talk(&mut self, devices: &[usize]) {
        for i in devices {
            self.say(*i, &format!("then {i}"));
            self.settle();
        }
        let texts: Vec<String> = devices.iter().map(|i| format!("then {i}")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        self.all_have(devices, &texts);
    }
}

#[test]
fn messages_that_a_restored_service_lost_are_there_again_for_those_who_were_away() {
    let (mut world, [a, b, c]) = talking(404);
    let saved = world.save();
    world.off(&[c]);
    for (i, text) in [(a, "one"), (b, "two"), (a, "three")] {
        world.say(i, text);
        world.settle();
    }
    world.restore(&saved);
    world.settle();
    let id = world.devices[a].current();
    let chain = |world: &World, i: usize| {
        let record = world.devices[i].engine.book.record(&id).unwrap().clone();
        (record.cursor, record.chain, record.receipt.unwrap().incarnation.number)
    };
    world.on(&[c]);
    world.settle();
    world.all_have(&[a, b, c], &["one", "two", "three"]);
    assert_eq!(chain(&world, a), chain(&world, c));
    assert_eq!(chain(&world, b), chain(&world, c));
    assert_eq!(chain(&world, c).2, 2);
    assert_eq!(world.devices[a].count("note g the service has back what it had lost"), 1);
    world.all_talk(&[a, b, c]);
}

/// A group of a, b and c, whose next commits, which bring in d, a restored service has lost. c knows nothing of them.
fn set_back_across_commits(seed: u64) -> (World, [usize; 4]) {
    let (mut world, [a, b, c]) = talking(seed);
    let d = world.add("d/pc");
    world.settle();
    let saved = world.save();
    world.off(&[c]);
    world.say(a, "/invite d");
    world.settle();
    world.accept(d, "g");
    world.settle();
    for (i, text) in [(a, "one"), (d, "two"), (b, "three")] {
        world.say(i, text);
        world.settle();
    }
    world.off(&[a, b, d]);
    world.restore(&saved);
    (world, [a, b, c, d])
}

#[test]
fn commits_that_a_restored_service_lost_are_there_again_and_nobody_is_left_behind() {
    let (mut world, [a, b, c, d]) = set_back_across_commits(405);
    // Whoever was brought in by one waits until a member has given it back.
    world.on(&[d]);
    world.settle();
    assert_eq!(world.devices[d].count("note g g waits: the service was restored"), 1);
    world.on(&[a, b, c]);
    world.settle();
    world.all_have(&[a, b, c, d], &["one", "three"]);
    world.all_talk(&[a, b, c, d]);
}

#[test]
fn what_is_said_before_the_lost_commits_are_back_is_read_by_all() {
    let (mut world, [a, b, c, d]) = set_back_across_commits(406);
    world.on(&[c]);
    world.settle();
    world.say(c, "alone");
    world.settle();
    assert_eq!(world.devices[c].messages().last().unwrap().3, "alone");
    world.on(&[b]);
    world.settle();
    world.on(&[a, d]);
    world.settle();
    // d cannot find its place in a log that it was never shown from before it came in.
    assert_eq!(world.devices[d].count("note g g waits: the service was restored from a time"), 1);
    for i in [a, b, c] {
        for text in ["one", "two", "three", "alone"] {
            let seen = world.devices[i].messages().iter().filter(|m| m.3 == text).count();
            assert_eq!(seen, 1, "{text}: {:#?}", world.devices[i].lines());
        }
    }
    for line in ["/remove d", "/invite d"] {
        world.say(a, line);
        world.settle();
    }
    world.all_talk(&[a, b, c, d]);
}

#[test]
fn nothing_new_is_said_before_those_who_have_more_can_give_it_back() {
    let (mut world, [a, b, c, d]) = set_back_across_commits(407);
    world.on(&[c]);
    world.say(c, "alone");
    let until = world.now + 8_000;
    while world.now < until {
        if !world.step(c) {
            world.now += 500;
        }
    }
    assert_eq!(world.devices[c].messages().last().unwrap().3, "before 2");
    world.on(&[a, b, d]);
    world.settle();
    world.all_have(&[a, b, c, d], &["one", "three", "alone"]);
}

#[test]
fn a_group_that_has_gone_on_in_another_way_says_so_and_is_begun_anew() {
    let (mut world, [a, b, c, d]) = set_back_across_commits(408);
    let e = world.add("e/pc");
    world.on(&[c]);
    world.settle();
    world.say(c, "/invite e");
    world.settle();
    world.on(&[a, b]);
    world.settle();
    for i in [a, b] {
        let told = "error g cannot go on: the service was restored from a backup, and members who";
        assert_eq!(world.devices[i].count(told), 1, "{:#?}", world.devices[i].lines());
    }
    world.say(a, "/reset");
    world.settle();
    world.on(&[d]);
    world.settle();
    world.say(b, "after it all");
    world.settle();
    for i in [a, b, c] {
        assert_eq!(world.devices[i].messages().last().unwrap().3, "after it all");
    }
    assert!(world.devices[e].has_line("invited ") || world.devices[e].has_line("joined "));
}

#[test]
fn a_service_that_is_set_back_again_and_again_gets_back_what_it_lost() {
    let (mut world, [a, b, c]) = talking(409);
    let saved = world.save();
    let mut texts = Vec::new();
    for round in 0..3 {
        for i in [a, b, c] {
            let text = format!("round {round} {i}");
            world.say(i, &text);
            texts.push(text);
            world.settle();
        }
        world.restore(&saved);
        // Processes that die meanwhile begin where they were.
        for i in [a, b, c] {
            for _ in 0..20 {
                world.step(i);
            }
            world.kill(i);
        }
        world.settle();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        world.all_have(&[a, b, c], &texts);
    }
}

#[test]
fn what_a_restored_service_does_not_take_back_is_told_and_the_others_go_on() {
    let (mut world, [a, b, c]) = talking(410);
    let saved = world.save();
    world.off(&[c]);
    world.say(a, "one");
    world.settle();
    world.restore(&saved);
    world.fault = Some(Box::new(|request| {
        let refused = CallError::refused(ErrorCode::Invalid, "it was made so");
        matches!(request, Request::RestoreLog(_)).then_some(refused)
    }));
    world.settle();
    let told = "note g the service has lost messages of this group (1), and does not take them";
    assert_eq!(world.devices[a].count(told), 1, "{:#?}", world.devices[a].lines());
    world.on(&[c]);
    world.settle();
    world.all_talk(&[a, b, c]);
}

#[test]
fn what_is_kept_of_a_log_has_an_end() {
    let (mut world, [a, b, ..]) = talking(411);
    let id = world.devices[a].current();
    let kept = |world: &World| world.devices[a].engine.book.kept(&id, usize::MAX).unwrap();
    let first = kept(&world).first().unwrap().entry.seq;
    assert_eq!(first, 1);
    // The last number and one of a month later.
    world.now += 31 * 24 * 60 * 60 * 1000;
    world.say(b, "later");
    world.settle();
    let left = kept(&world);
    assert!(left[0].entry.seq >= 2 && left.last().unwrap().entry.seq > 3);
    for n in 0..10 {
        world.say(b, &format!("later {n}"));
        world.settle();
    }
    let is_text = |kept: &&Kept| kept.entry.content_type == ContentType::Application;
    let texts = kept(&world).iter().filter(is_text).count();
    assert_eq!(texts, 11, "what is old is gone");
    world.say(a, "/leave");
    world.settle();
    assert_eq!(kept(&world).len(), 0);
}

/// A service whose logs keep three messages.
fn forgetful(seed: u64) -> (World, [usize; 3]) {
    let mut world = World::new(seed);
    let folder = tempfile::tempdir().unwrap();
    let storage = SqliteStorage::open(folder.path()).unwrap();
    let limits = Limits { log_entries: Some(3), ..Limits::default() };
    let begun = world.time();
    let service = Service::new(storage, provider(), limits, Registration::Open, begun);
    world.swap(service.unwrap());
    world.folder = folder;
    let all = ["a/pc", "b/pc", "c/pc"].map(|id| world.add(id));
    world.group("g", &all);
    (world, all)
}

#[test]
fn a_device_that_was_away_for_longer_than_logs_keep_is_told_and_invited_again() {
    for (seed, missed) in [(412, 3), (413, 4)] {
        let (mut world, [a, b, c]) = forgetful(seed);
        world.off(&[c]);
        for n in 0..missed {
            world.say(a, &format!("missed {n}"));
            world.settle();
        }
        world.service.administer(Act::Compact, world.time()).unwrap();
        world.on(&[c]);
        world.settle();
        let told = "note g g waits: the service keeps messages for some time only, and this device";
        assert_eq!(world.devices[c].count(told), usize::from(missed > 3), "{missed}");
        if missed > 3 {
            for line in ["/remove c", "/invite c"] {
                world.say(a, line);
                world.settle();
            }
        }
        world.all_talk(&[a, b, c]);
    }
}
