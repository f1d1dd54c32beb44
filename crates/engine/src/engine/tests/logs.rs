//! What a device makes of a group's log: it goes by its own hash of it.

use super::{World, provider};
use crate::request::{Reply, Request};
use conclave_delivery_api::{
    ChainHash, ChainInput, Event, LogEvidence, LogPage, LogPosition, Outcome, StreamEvent,
};
use conclave_mls::GroupId;

/// Two devices in a group, in which both have spoken.
fn talking(seed: u64) -> (World, [usize; 2]) {
    let mut world = World::new(seed);
    let all = [world.add("a/pc"), world.add("b/pc")];
    world.group("g", &all);
    for i in all {
        world.say(i, "hello");
        world.settle();
    }
    (world, all)
}

const OTHER_LOG: &str = "error g cannot go on: the service's log up to message ";
const NONSENSE: &str = "error g cannot go on: what the service shows of its log after message ";
const TWO_WAYS: &str = "alarm g THE SERVICE HAS GONE ON WITH THE LOG OF THIS GROUP IN TWO WAYS";

/// What evidence a device has, each checked as others would.
fn evidence(world: &mut World, i: usize) -> Vec<LogEvidence> {
    let engine = &mut world.devices[i].engine;
    let files = core::iter::from_fn(|| engine.next_evidence().unwrap());
    let found = files.map(|found| LogEvidence::read(&found.bytes).unwrap());
    found.inspect(|evidence| assert_eq!(evidence.check(&*provider()), Ok(()))).collect()
}

#[test]
fn a_log_that_was_rewritten_is_noticed_and_not_taken() {
    /// Another time, that no signature of a member covers.
    fn time(reply: &mut Reply) {
        if let Reply::FetchLog(page) = reply {
            page.entries.iter_mut().for_each(|entry| entry.received_at += 1);
        }
    }
    /// An end that its entries do not lead to.
    fn end(reply: &mut Reply) {
        if let Reply::FetchLog(page) = reply {
            page.end.position.chain = ChainHash([7; 32]);
        }
    }
    for (seed, lie) in [(301, time as fn(&mut Reply)), (302, end)] {
        let (mut world, [a, b]) = talking(seed);
        world.lie = Some(Box::new(lie));
        world.lied_to = Some(a);
        world.say(b, "between the lines");
        world.settle();
        assert!(world.devices[a].has_line(NONSENSE), "{:?}", world.devices[a].lines());
        let heard = world.devices[a].messages();
        assert!(heard.iter().all(|(.., text)| text == "hello"), "{heard:?}");
        assert_eq!(evidence(&mut world, a), []);

        // When the service shows the log again that it showed before, all goes on.
        world.lie = None;
        world.devices[a].hints.push_back(StreamEvent::Connected);
        world.settle();
        assert_eq!(world.devices[a].messages().last().unwrap().3, "between the lines");
    }
}

/// A page of another log, which adds up: everything in it came later.
fn another_log(id: &GroupId, page: &mut LogPage, before: ChainHash) {
    let mut chain = before;
    for entry in &mut page.entries {
        entry.received_at += 1;
        chain = ChainInput::of(id, entry).after(&chain).unwrap();
    }
    (page.before, page.end.position.chain) = (Some(before), chain);
}

#[test]
fn a_service_that_shows_another_log_is_convicted_with_evidence_once() {
    let (mut world, [a, b]) = talking(306);
    let id = world.devices[a].current();
    let group = id.clone();
    world.lie = Some(Box::new(move |reply| {
        if let Reply::FetchLog(page) = reply {
            another_log(&group, page, ChainHash([9; 32]));
        }
    }));
    world.lied_to = Some(a);
    world.say(b, "between the lines");
    world.settle();
    let lines = world.devices[a].lines();
    assert!(world.devices[a].has_line(OTHER_LOG), "{lines:?}");
    assert!(world.devices[a].has_line(TWO_WAYS), "{lines:?}");
    let found = evidence(&mut world, a);
    assert_eq!((found.len(), found[0].links.len()), (1, 1));
    assert_eq!(found[0].first.group_id, id);

    // Neither later nor in another process is the same told again.
    for _ in 0..2 {
        world.kill(a);
        world.devices[a].hints.push_back(StreamEvent::Connected);
        world.say(b, "more");
        world.settle();
    }
    assert_eq!(world.devices[a].count(TWO_WAYS), 1);
    assert!(world.devices[a].count(OTHER_LOG) > 1);
}

#[test]
fn an_answer_that_contradicts_another_one_convicts_the_service() {
    let (mut world, [a, _]) = talking(303);
    world.say(a, "one");
    world.settle();
    let record = |world: &World| {
        let id = world.devices[a].current();
        world.devices[a].engine.book.record(&id).cloned().unwrap()
    };
    let kept = record(&world).receipt.unwrap();
    assert_eq!(Some(kept.position.chain), record(&world).chain);
    // What was acknowledged is given another place: that of what was there before.
    world.lie = Some(Box::new(move |reply| {
        if let Reply::SendMessage(Outcome::Accepted { receipt, .. }) = reply {
            receipt.position.seq = kept.position.seq;
        }
    }));
    world.kill(a);
    world.say(a, "two");
    world.settle();
    assert!(world.devices[a].has_line(TWO_WAYS), "{:?}", world.devices[a].lines());
    let found = evidence(&mut world, a);
    assert_eq!((found.len(), found[0].links.len()), (1, 0));
}

#[test]
fn an_answer_that_the_service_has_not_signed_is_none() {
    fn unsigned(reply: &mut Reply) {
        if let Reply::SendMessage(Outcome::Accepted { receipt, .. }) = reply {
            receipt.signature = Vec::new();
        }
    }
    fn of_another_group(reply: &mut Reply) {
        if let Reply::SendMessage(Outcome::Accepted { receipt, .. }) = reply {
            receipt.group_id = [7; 16].into();
        }
    }
    for (seed, lie) in [(307, unsigned as fn(&mut Reply)), (308, of_another_group)] {
        let (mut world, [a, _]) = talking(seed);
        world.lie = Some(Box::new(lie));
        world.say(a, "one");
        while !world.devices[a].has_line("offline ") {
            world.step(a);
        }
        let why = "a receipt that the service has not signed";
        assert!(world.devices[a].lines().iter().any(|line| line.contains(why)));
        world.lie = None;
        world.settle();
        assert_eq!(world.devices[a].messages().last().unwrap().3, "one");
        assert_eq!(evidence(&mut world, a), []);
    }
}

#[test]
fn a_hint_of_another_log_makes_a_device_look() {
    let (mut world, [a, _]) = talking(304);
    let id = world.devices[a].current();
    let engine = &mut world.devices[a].engine;
    let record = engine.book.record(&id).unwrap();
    let (cursor, chain) = (record.cursor, record.chain.unwrap());
    let hint = |seq, chain| {
        let position = LogPosition { seq, epoch: 1, chain };
        StreamEvent::Event(Event::Group { group_id: id.clone(), position })
    };
    let now = world.now;
    let looks = |engine: &mut super::Engine<super::Disk>| {
        matches!(engine.next_request(now).unwrap(), Some(Request::FetchLog(_)))
    };
    // The same, and one that was overtaken.
    engine.heard(now, hint(cursor, chain));
    engine.heard(now, hint(cursor - 1, ChainHash([7; 32])));
    assert!(!looks(engine));
    // A log that is shorter when the stream begins.
    engine.heard(now, StreamEvent::Connected);
    engine.heard(now, hint(cursor - 1, chain));
    assert!(looks(engine));

    // Another one of the same length, at any time.
    let (mut world, [a, _]) = talking(305);
    let group_id = world.devices[a].current();
    let engine = &mut world.devices[a].engine;
    let position = LogPosition { seq: cursor, epoch: 1, chain: ChainHash([7; 32]) };
    engine.heard(world.now, StreamEvent::Event(Event::Group { group_id, position }));
    assert!(matches!(engine.next_request(world.now).unwrap(), Some(Request::FetchLog(_))));
}
