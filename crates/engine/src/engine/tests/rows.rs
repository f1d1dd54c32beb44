//! What an application keeps beside the engine, and the messenger's part of it.

use super::*;
use crate::{AppRows, Content, Expired, MessageExpiration, Output};

const COUNT: (&str, &[u8]) = ("counts", b"messages");

/// How many messages a device's application has counted.
fn count(engine: &Engine<Disk>) -> u64 {
    let stored = engine.app_row(COUNT.0, COUNT.1).unwrap();
    stored.map_or(0, |stored| u64::from_be_bytes(stored.expose().try_into().unwrap()))
}

/// Counts the messages that the engine gives out, with the acknowledgement in one write; or dies before it.
fn count_messages(world: &mut World, i: usize, dies: bool) {
    let device = &mut world.devices[i];
    let outputs = device.engine.outputs(world.now);
    let is_message =
        |output: &&Output| matches!(output, Output::News { news: News::Message { .. }, .. });
    let new = outputs.iter().filter(is_message).count() as u64;
    if dies {
        return world.kill(i);
    }
    let mut rows = AppRows::new();
    rows.put(COUNT.0, COUNT.1, (count(&device.engine) + new).to_be_bytes());
    let before = device.disk.writes();
    device.engine.acknowledge_with(&outputs, rows).unwrap();
    assert_eq!(device.disk.writes(), before + 1, "one write");
}

#[test]
fn what_an_event_leads_to_is_stored_once_whenever_the_process_dies() {
    let mut world = World::new(901);
    let [a, b] = ["a/pc", "b/pc"].map(|id| world.add(id));
    world.group("g", &[a, b]);
    for n in 0..40 {
        world.say(a, &format!("text {n}"));
        while world.step(a) {}
        while world.step_without_outputs(b) {}
        match world.rng.below(4) {
            0 => count_messages(&mut world, b, true),
            1 => count_messages(&mut world, b, false),
            2 => {
                count_messages(&mut world, b, false);
                world.kill(b);
            }
            _ => {}
        }
    }
    while world.step_without_outputs(b) {}
    count_messages(&mut world, b, false);
    assert_eq!(count(&world.devices[b].engine), 40);
    assert!(world.devices[b].life > 10, "it has died often");
}

#[test]
fn what_has_expired_is_in_no_history_and_its_event_does_not_say_it() {
    let mut world = World::new(905);
    let [a, b] = ["a/pc", "b/pc"].map(|id| world.add(id));
    world.group("g", &[a, b]);
    for text in ["gone", "stays"] {
        world.say(a, text);
    }
    while world.step(a) {}
    while world.step_without_outputs(b) {}

    let messages = |engine: &Engine<Disk>| {
        let events = engine.events_after(0, usize::MAX).into_iter();
        let messages = events.filter_map(|event| match event {
            Output::News { news: News::Message { seq, time, expiration, content, .. }, .. } => {
                Some((seq, time, expiration, content.text().unwrap().to_string()))
            }
            _ => None,
        });
        messages.collect::<Vec<_>>()
    };
    let group = world.group_id(b);
    let before = messages(&world.devices[b].engine);
    let [(number, time, None, _), stays] = &before[..] else { panic!("{before:?}") };
    let expired = Expired { group: group.clone(), number: *number, at: time + 7 };
    let mut rows = AppRows::new();
    rows.put(COUNT.0, COUNT.1, 1_u64.to_be_bytes());
    world.devices[b].engine.expire(&[expired], rows).unwrap();

    for _ in 0..2 {
        let engine = &world.devices[b].engine;
        let left = (*number, *time, Some(MessageExpiration::after(7)), String::new());
        assert_eq!(messages(engine), [left, stays.clone()]);
        let kept = engine.history(&group, 10).unwrap();
        let [News::Message { seq, .. }] = &kept[..] else { panic!("{kept:?}") };
        assert_eq!((*seq, count(engine)), (stays.0, 1));
        world.kill(b);
    }
}

/// Answers the messages of others that the engine gives out, each in one write with its acknowledgement; or dies after
/// so many writes.
fn answer_messages(world: &mut World, i: usize, writes: u64) {
    let now = world.now;
    let engine = &mut world.devices[i].engine;
    let events = engine.events_after(0, usize::MAX);
    for event in events.iter().take(usize::try_from(writes).unwrap()) {
        let Output::News { group: Some(group), news, .. } = event else { continue };
        match news {
            News::Message { own: false, content, .. } => {
                let answer = Content::from_text(format!("re {}", content.text().unwrap()));
                let event = core::slice::from_ref(event);
                engine.send_with(now, group, answer, event, AppRows::new()).unwrap();
            }
            _ => engine.acknowledge(core::slice::from_ref(event)).unwrap(),
        }
    }
    if events.len() as u64 > writes {
        world.kill(i);
    }
}

#[test]
fn a_message_is_answered_once_whenever_the_process_dies() {
    let mut world = World::new(904);
    let [a, b] = ["a/pc", "b/pc"].map(|id| world.add(id));
    world.group("g", &[a, b]);
    for n in 0..40 {
        world.say(a, &format!("text {n}"));
        while world.step(a) {}
        while world.step_without_outputs(b) {}
        let writes = world.rng.below(4);
        answer_messages(&mut world, b, writes);
    }
    while world.step_without_outputs(b) {}
    answer_messages(&mut world, b, u64::MAX);
    world.settle();
    let mut answers = world.texts(a);
    answers.retain(|text| text.starts_with("re "));
    let expected: Vec<String> = (0..40).map(|n| format!("re text {n}")).collect();
    assert_eq!(answers, expected);
    assert!(world.devices[b].life > 10, "it has died often");
}

#[test]
fn an_applications_tables_are_ordered_and_apart_from_the_engines() {
    let mut world = World::new(902);
    let a = world.add("a/pc");
    world.say(a, "/new g");
    world.settle();
    let engine = &mut world.devices[a].engine;
    let mut rows = AppRows::new();
    for table in ["meta", "group", "queue", "line", "history", "", "x"] {
        for key in [b"b".as_slice(), b"identity", b"a"] {
            rows.put(table, key, b"mine".as_slice());
        }
    }
    rows.delete("x", b"b".as_slice());
    engine.write_app_rows(rows).unwrap();
    let keys = |engine: &Engine<Disk>, table: &str, from: &[u8], limit| -> Vec<Vec<u8>> {
        let rows = engine.app_rows(table, from, limit).unwrap();
        rows.into_iter().map(|(key, _)| key).collect()
    };
    world.kill(a);
    world.say(a, "hello");
    world.settle();
    assert_eq!(world.devices[a].messages().len(), 1);
    let engine = &world.devices[a].engine;
    assert_eq!(keys(engine, "meta", b"", 9), [b"a".as_slice(), b"b", b"identity"]);
    assert_eq!(keys(engine, "meta", b"b", 1), [b"b"]);
    assert_eq!(keys(engine, "x", b"", 9), [b"a".as_slice(), b"identity"]);
    assert_eq!(engine.app_row("meta", b"a").unwrap().unwrap().expose(), b"mine");
}

/// As the engine kept it while it had a current group.
#[test]
fn lines_go_where_an_earlier_version_has_left_them() {
    let mut world = World::new(903);
    let a = world.add("a/pc");
    world.say(a, "/new one");
    let one = world.devices[a].current();
    world.say(a, "/new two");
    world.settle();
    let mut set = WriteSet::new();
    set.put("meta", b"current".as_slice(), one.to_vec());
    set.delete("app/messenger", b"current".as_slice());
    world.devices[a].disk.write(&set).unwrap();

    world.kill(a);
    assert_eq!(world.devices[a].current_name().as_deref(), Some("one"));
    world.say(a, "/switch two");
    world.kill(a);
    assert_eq!(world.devices[a].current_name().as_deref(), Some("two"));
}

/// Where lines go is decided by events, which a process that dies is given again.
#[test]
fn lines_go_to_the_same_group_when_the_process_dies_before_it_has_shown_why() {
    let mut world = World::new(904);
    let [a, b] = ["a/pc", "b/pc"].map(|id| world.add(id));
    world.settle();
    world.say(a, "/new g");
    world.say(a, "/invite b");
    world.settle();
    world.say(b, "/accept");
    assert_eq!(world.devices[b].current_name().as_deref(), Some("g"));
    world.say(a, "/reset");
    while world.step(a) || world.step_without_outputs(b) {}
    let shown = world.devices[b].engine.outputs(world.now);
    assert!(!shown.is_empty());
    let device = &mut world.devices[b];
    device.messenger.take(&device.engine, &shown);
    let at_first = device.current();
    world.kill(b);
    assert_ne!(world.devices[b].current(), at_first, "nothing of it is stored");
    world.settle();
    assert_eq!(world.devices[b].current(), at_first);
    assert_eq!(world.devices[b].current_name().as_deref(), Some("g"));
    world.kill(b);
    assert_eq!(world.devices[b].current(), at_first);
}
