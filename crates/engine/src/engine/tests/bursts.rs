//! Many messages said at once.

use super::*;
use crate::CommandError;
use crate::Content;
use std::cell::RefCell;
use std::rc::Rc;

/// The names of calls, in order.
type Calls = Rc<RefCell<Vec<&'static str>>>;

/// A group g of a and b.
fn talking(seed: u64) -> (World, [usize; 2]) {
    let mut world = World::new(seed);
    let both = ["a/pc", "b/pc"].map(|id| world.add(id));
    world.group("g", &both);
    (world, both)
}

impl World {
    fn say_all(&mut self, i: usize, texts: &[String]) {
        texts.iter().for_each(|text| self.say(i, text));
    }

    /// Notes calls that send from now on.
    fn note_sending(&mut self) -> Calls {
        let calls = Calls::default();
        let noted = calls.clone();
        self.fault = Some(Box::new(move |request| {
            noted.borrow_mut().extend(match request {
                Request::SendMessage(_) => Some("one"),
                Request::SendMessages(_) => Some("many"),
                _ => None,
            });
            None
        }));
        calls
    }
}

fn texts(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("text {n}")).collect()
}

#[test]
fn what_is_said_at_once_goes_by_few_calls_and_arrives_in_order() {
    let (mut world, [a, b]) = talking(801);
    let calls = world.note_sending();
    let said = texts(130);
    world.say_all(a, &said);
    world.settle();
    assert_eq!(world.texts(b), said);
    assert_eq!(world.texts(a), said);
    assert_eq!(*calls.borrow(), ["many", "many", "many"]);
    calls.borrow_mut().clear();
    world.say(a, "one more");
    world.settle();
    assert_eq!(*calls.borrow(), ["one"]);
}

#[test]
fn what_is_sent_together_is_one_write_or_refused_as_a_whole() {
    let (mut world, [a, b]) = talking(809);
    let contents = || texts(20).into_iter().map(Content::from_text).collect::<Vec<_>>();
    let writes = |world: &World| world.devices[a].disk.writes();
    let before = writes(&world);
    let group = world.devices[a].current();
    world.devices[a].engine.send(world.now, &group, contents()).unwrap();
    assert_eq!(writes(&world), before + 1);
    world.settle();
    assert_eq!(world.texts(b), texts(20));
    // One write encrypts them, one takes them from the log, one notes that they were shown.
    assert_eq!(writes(&world), before + 4);

    let outsider = world.add("c/pc");
    world.settle();
    let engine = &mut world.devices[outsider].engine;
    let refused = engine.send(world.now, &group, contents());
    assert!(matches!(refused, Err(CommandError::Refused(Reason::NotMember))), "{refused:?}");
    let long = Content::from_text("x".repeat(crate::MAX_CONTENT + 1));
    let said = vec![Content::from_text("short"), long];
    let before = writes(&world);
    let refused = world.devices[a].engine.send(world.now, &group, said);
    assert!(matches!(refused, Err(CommandError::Refused(Reason::TooLong { .. }))), "{refused:?}");
    assert_eq!(writes(&world), before, "nothing has changed");
}

#[test]
fn a_burst_has_few_bytes() {
    let (mut world, [a, b]) = talking(802);
    let sizes = Rc::<RefCell<Vec<usize>>>::default();
    let noted = sizes.clone();
    world.fault = Some(Box::new(move |request| {
        if let Request::SendMessages(many) = request {
            noted.borrow_mut().push(many.messages.iter().map(|m| m.len()).sum());
        }
        None
    }));
    let said: Vec<String> = (0..20).map(|n| format!("{n} {}", "x".repeat(5000))).collect();
    world.say_all(a, &said);
    world.settle();
    assert_eq!(world.texts(b), said);
    assert!(sizes.borrow().iter().all(|bytes| *bytes <= 48 << 10), "{sizes:?}");
    assert!(sizes.borrow().len() >= 2, "{sizes:?}");
}

#[test]
fn a_burst_that_an_epoch_overtakes_is_encrypted_again() {
    let (mut world, [a, b]) = talking(803);
    world.add("c/pc");
    world.settle();
    let said = texts(10);
    world.say_all(a, &said);
    // It is encrypted, and not sent yet, when several epochs begin.
    let request = world.devices[a].engine.next_request(world.now).unwrap().unwrap();
    assert!(matches!(&request, Request::SendMessages(many) if many.messages.len() == 10));
    world.devices[a].revoked = true;
    for _ in 0..3 {
        world.say(b, "/invite c");
        world.settle();
        world.say(b, "/remove c");
        world.settle();
    }
    world.devices[a].revoked = false;
    world.call_and_answer(a, request);
    world.settle();
    assert_eq!(world.texts(b), said);
    assert_eq!(world.texts(a), said);
    assert!(world.refusals.is_empty(), "{:?}", world.refusals);
}

#[test]
fn a_burst_whose_answer_was_lost_is_taken_once() {
    let (mut world, [a, b]) = talking(804);
    let said = texts(10);
    world.say_all(a, &said);
    let request = world.devices[a].engine.next_request(world.now).unwrap().unwrap();
    world.call(a, request).unwrap();
    world.kill(a);
    // More is said before it is known.
    world.say(a, "and more");
    world.settle();
    let all: Vec<String> = said.into_iter().chain(["and more".into()]).collect();
    assert_eq!(world.texts(b), all);
    assert_eq!(world.texts(a), all);
}

#[test]
fn a_burst_that_is_refused_goes_message_by_message() {
    let (mut world, [a, b]) = talking(805);
    world.fault = Some(Box::new(|request| {
        let is_many = matches!(request, Request::SendMessages(_));
        is_many.then(|| CallError::refused(ErrorCode::Invalid, "it was made so"))
    }));
    let said = texts(3);
    world.say_all(a, &said);
    world.settle();
    assert_eq!(world.texts(b), said);
    let lines = world.devices[a].lines();
    assert!(
        !lines.iter().any(|line| line.starts_with("error ") || line.starts_with("failed ")),
        "{lines:?}"
    );
}

/// The service may not show a device's messages in another order than it sent them.
#[test]
fn a_burst_in_another_order_is_noticed_by_its_sender() {
    let (mut world, [a, b]) = talking(810);
    let said = texts(3);
    world.say_all(a, &said);
    let request = world.devices[a].engine.next_request(world.now).unwrap().unwrap();
    let Request::SendMessages(mut many) = request else { panic!("{request:?}") };
    many.messages.swap(0, 1);
    let reply = world.call(a, many.into());
    world.devices[a].engine.answer(world.now, reply).unwrap();
    world.settle();
    assert!(
        world.devices[a].has_line("error g cannot go on: the service has put what this device")
    );
    assert_eq!(world.texts(b).len(), 3);
    assert!(world.texts(a).is_empty());
}

#[test]
fn how_many_the_service_says_it_has_taken_decides_nothing() {
    for (seed, taken) in [(806, 1), (807, 64)] {
        let (mut world, [a, b]) = talking(seed);
        world.lie = Some(Box::new(move |reply| {
            if let Reply::SendMessages(sent) = reply {
                sent.taken = taken;
            }
        }));
        let said = texts(10);
        world.say_all(a, &said);
        world.settle();
        assert_eq!(world.texts(b), said);
        assert_eq!(world.texts(a), said);
    }
}

#[test]
fn an_answer_to_a_burst_that_contradicts_itself_makes_no_sense() {
    let (mut world, [a, b]) = talking(808);
    world.lie = Some(Box::new(|reply| {
        if let Reply::SendMessages(sent) = reply {
            sent.taken = 0;
        }
    }));
    let said = texts(10);
    world.say_all(a, &said);
    for _ in 0..20 {
        world.step(a);
    }
    assert!(world.devices[a].has_line("offline the service's answer makes no sense"));
    world.lie = None;
    world.settle();
    assert_eq!(world.texts(b), said);
    assert_eq!(world.texts(a), said);
}
