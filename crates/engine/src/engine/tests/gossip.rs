//! What members tell each other of the service's directory inside their messages.

use super::transparency::forked;
use super::*;
use crate::book::Change;
use crate::content::Content;
use crate::record::{Item, Payload, Work};
use conclave_delivery_api::{LogPosition, Outcome};
use conclave_directory::{Finding, Head, SignedRoot, Signer};
use conclave_mls::Event;
use conclave_mls::crypto::CryptoProvider;

const MINUTE: u64 = 60_000;

impl World {
    /// A service that answers what concerns accounts to one device, from a copy that goes its own way.
    pub(super) fn fork_for(&mut self, victim: usize) {
        let (service, _folder) = forked(self.folder.path());
        let answers = Box::new(move |i, request: &Request| {
            let about = matches!(
                request,
                Request::FetchAccount(_) | Request::FetchExtension(_) | Request::FetchHistory(_)
            );
            i == victim && about
        });
        self.other = Some(Other { service, answers, _folder });
    }

    /// The fork publishes something of its own.
    pub(super) fn publish_fork(&self, user: &str) {
        let head = Head { length: 1, hash: [7; 32] };
        let batch = [(user.as_bytes().to_vec(), head)];
        let other = &self.other.as_ref().unwrap().service;
        other.directory().publish(&batch, self.time().as_secs()).unwrap();
    }

    fn newest(&self, i: usize) -> SignedRoot {
        self.devices[i].engine.book.watch().unwrap().newest().unwrap().clone()
    }

    /// Looks up all that a device knows, and so learns the newest root.
    pub(super) fn look_up(&mut self, i: usize) {
        let engine = &mut self.devices[i].engine;
        engine.lookups.extend(engine.book.accounts().keys().cloned());
        self.settle();
    }

    /// How many calls a device makes while something is done.
    fn calls(&mut self, act: impl FnOnce(&mut Self), counts: fn(&Request) -> bool) -> u32 {
        let seen = std::rc::Rc::new(std::cell::Cell::new(0));
        let count = seen.clone();
        self.fault = Some(Box::new(move |request| {
            count.set(count.get() + u32::from(counts(request)));
            None
        }));
        act(self);
        self.fault = None;
        seen.get()
    }

    /// Says something, and returns how many bytes of ciphertext it has become.
    fn sealed(&mut self, from: usize, text: &str) -> usize {
        self.say(from, text);
        let mut length = 0;
        while length == 0 {
            match self.devices[from].engine.next_request(self.now).unwrap() {
                Some(request) => {
                    length = match &request {
                        Request::SendMessage(send) => send.message.len(),
                        Request::SendMessages(send) => send.messages[0].len(),
                        _ => 0,
                    };
                    self.call_and_answer(from, request);
                }
                None => self.now += 100,
            }
        }
        self.settle();
        length
    }
}

/// A group of a, b and c whose accounts are published, and all of whom know it.
pub(super) fn published(seed: u64) -> (World, [usize; 3]) {
    let mut world = World::new(seed);
    let all = ["a/pc", "b/pc", "c/pc"].map(|id| world.add(id));
    world.group("g", &all);
    world.pass(20_000);
    all.iter().for_each(|i| world.look_up(*i));
    (world, all)
}

#[test]
fn a_root_goes_with_a_text_once_until_there_is_another_or_members_come() {
    let (mut world, [a, b, _]) = published(1);
    let plain = "0123456789".repeat(20);
    let with = world.sealed(a, &plain);
    let without = world.sealed(a, &plain);
    assert!(with > without + 100, "{with} {without}");
    assert_eq!(world.sealed(a, &plain), without);
    assert!(world.sealed(b, &plain) > without + 100, "each member passes on what it has seen");

    // A newer one.
    world.add("d/pc");
    world.pass(20_000);
    world.look_up(a);
    assert_eq!((world.sealed(a, &plain), world.sealed(a, &plain)), (with, without));

    // A new member.
    world.say(a, "/invite d");
    world.settle();
    assert_eq!((world.sealed(a, &plain), world.sealed(a, &plain)), (with, without));

    // Nobody else is there.
    world.say(a, "/new alone");
    world.settle();
    assert_eq!(world.sealed(a, &plain), without);
    for i in 0..world.devices.len() {
        assert!(!world.devices[i].has_line("alarm"), "{:?}", world.devices[i].lines());
    }
}

#[test]
fn an_empty_directory_is_not_passed_on() {
    let mut world = World::new(2);
    world.publish_at = u64::MAX;
    let all = ["a/pc", "b/pc"].map(|id| world.add(id));
    world.group("g", &all);
    let plain = "0123456789".repeat(20);
    assert_eq!(world.sealed(all[0], &plain), world.sealed(all[0], &plain));
}

#[test]
fn gossip_makes_no_messages_and_few_calls() {
    let (mut world, [a, b, c]) = published(3);
    let calls = world.calls(
        |world| {
            for n in 0..12 {
                world.add(&format!("u{n}/pc"));
                world.pass(20_000);
                world.devices.pop();
                world.look_up(a);
                world.say(a, "hello");
                world.settle();
            }
        },
        |request| is_sending(request) || matches!(request, Request::FetchExtension(_)),
    );
    // 12 messages, and for each new root one proof for each device at most.
    assert!(calls <= 12 + 3 * 12, "{calls}");
    for i in [a, b, c] {
        let seqs: Vec<u64> = world.devices[i].messages().iter().map(|m| m.1).collect();
        assert_eq!(seqs.len(), 12);
        assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1), "{seqs:?}");
    }
}

#[test]
fn a_root_ahead_is_fetched_and_checked() {
    let (mut world, [a, b, c]) = published(4);
    world.add("d/pc");
    world.pass(20_000);
    world.look_up(a);
    let ahead = world.newest(a);
    assert!(world.newest(b).epoch < ahead.epoch);
    world.say(a, "hello");
    world.settle();
    world.pass(2 * MINUTE);
    for i in [b, c] {
        assert_eq!(world.newest(i).root, ahead.root);
        assert!(!world.devices[i].has_line("alarm"), "{:?}", world.devices[i].lines());
    }
    // One that is behind is checked, too: this one was never seen by a.
    world.add("e/pc");
    world.pass(20_000);
    world.look_up(b);
    world.add("f/pc");
    world.pass(20_000);
    world.look_up(a);
    let proofs = world.calls(
        |world| {
            world.say(b, "hello");
            world.settle();
            world.pass(2 * MINUTE);
        },
        |request| matches!(request, Request::FetchExtension(_)),
    );
    assert!(proofs > 0);
    assert!(world.devices[a].engine.book.watch().unwrap().owed().is_empty());
    assert!(!world.devices[a].has_line("alarm"), "{:?}", world.devices[a].lines());
}

#[test]
fn a_message_of_an_epoch_that_is_over_passes_its_root_on_again() {
    let (mut world, [a, _, _]) = published(5);
    let passed = |world: &World| {
        let device = &world.devices[a];
        device.engine.book.record(&device.current()).unwrap().passed
    };
    world.say(a, "hello");
    let request = loop {
        match world.devices[a].engine.next_request(world.now).unwrap() {
            Some(request @ Request::SendMessage(_)) => break request,
            Some(other) => world.call_and_answer(a, other),
            None => world.now += 100,
        }
    };
    assert!(passed(&world).is_some());
    let id = world.devices[a].current();
    let late = Outcome::WrongEpoch { receipt: world.receipt(&id, LogPosition::beginning(9)) };
    world.devices[a].engine.answer(world.now, Ok(Reply::SendMessage(late))).unwrap();
    assert_eq!(passed(&world), None);
    let Request::SendMessage(first) = request else { panic!() };
    assert_eq!(world.sealed(a, "another"), first.message.len(), "the first is sent first");
}

/// Says something in the current group, as a member that has another program.
pub(super) fn say_payload(world: &mut World, from: usize, payload: &Payload) {
    let id = world.devices[from].current();
    let engine = &mut world.devices[from].engine;
    let framing = conclave_mls::group::Framing::default();
    let live = engine.conversations.get(&id).unwrap();
    let step =
        live.group().encrypt(&*engine.provider, &mut *engine.rng, &payload.to_data(), &framing);
    let mut message = Vec::new();
    engine
        .step(&id, step.unwrap(), |event| {
            if let Event::Message(sealed) = event {
                message = sealed.clone();
            }
            Vec::new()
        })
        .unwrap();
    let request = conclave_delivery_api::SendMessage { message: message.into() };
    world.call(from, request.into()).unwrap();
    world.settle();
}

#[test]
fn a_root_that_a_member_made_up_says_nothing_about_the_service() {
    let (mut world, [a, b, c]) = published(6);
    let mut passed = world.devices[b].engine.book.watch().unwrap().to_pass().unwrap();
    passed.root.root = [1; 32];
    say_payload(
        &mut world,
        b,
        &Payload::Rooted(Box::new(passed.clone()), Content::from_text("one")),
    );
    say_payload(
        &mut world,
        b,
        &Payload::Rooted(Box::new(passed.clone()), Content::from_text("two")),
    );

    // Signed by a key of its own.
    let pair = provider()
        .signature_key_pair(conclave_delivery_api::SESSION_SCHEME, &mut TestRng(1))
        .unwrap();
    let signer = Signer::new(conclave_delivery_api::SESSION_SCHEME, pair);
    passed.root = signer.root(&*provider(), passed.root.epoch, [1; 32], 7).unwrap();
    say_payload(
        &mut world,
        b,
        &Payload::Rooted(Box::new(passed.clone()), Content::from_text("three")),
    );
    for i in [a, c] {
        let device = &world.devices[i];
        assert_eq!(device.messages().len(), 3);
        assert_eq!(device.count("note - b/pc passes on a root"), 1, "{:?}", device.lines());
        assert!(!device.has_line("alarm"), "{:?}", device.lines());
    }
    assert!(world.evidence(a).is_empty());
}

#[test]
fn a_member_who_knows_the_service_by_another_key_is_told() {
    let (mut world, [a, b, c]) = published(7);
    let mut passed = world.devices[b].engine.book.watch().unwrap().to_pass().unwrap();
    passed.key = [1; 8];
    say_payload(&mut world, b, &Payload::Rooted(Box::new(passed), Content::from_text("hello")));
    for i in [a, c] {
        let line = world.devices[i].line("alarm - b/pc knows the service by another key").unwrap();
        assert!(line.contains("/verify b"), "{line}");
    }
}

/// A group of a, b and c, where c is shown another directory than the others.
fn two_directories(seed: u64) -> (World, [usize; 3]) {
    let (mut world, all) = published(seed);
    world.fork_for(all[2]);
    world.publish_fork("x");
    world.add("d/pc");
    world.pass(20_000);
    all.iter().for_each(|i| world.look_up(*i));
    (world, all)
}

#[test]
fn a_root_goes_with_a_text_that_has_no_room_in_the_first_call() {
    let (mut world, [a, b, c]) = two_directories(21);
    let group = world.devices[c].current();
    let engine = &mut world.devices[c].engine;
    let work = Work::Send { payload: Payload::Name("g".into()), sealed: None };
    engine.book.commit(None, vec![Change::NewItem(Item { group, work })]).unwrap();
    world.say(c, &"x".repeat(50 << 10));
    world.settle();
    for i in [a, b] {
        assert!(world.devices[i].has_line("alarm - THE SERVICE HAS SHOWN TWO DIRECTORIES"));
        assert_eq!(world.devices[i].messages().len(), 1);
    }
}

#[test]
fn two_directories_are_proved_by_one_message() {
    let (mut world, [a, b, c]) = two_directories(8);
    assert_eq!(world.newest(a).epoch, world.newest(c).epoch);
    assert_ne!(world.newest(a).root, world.newest(c).root);
    for i in [a, b, c] {
        assert!(!world.devices[i].has_line("alarm"), "each of them sees one directory");
    }

    world.say(c, "hello");
    world.settle();
    for i in [a, b] {
        let alarm = world.devices[i].line("alarm - THE SERVICE HAS SHOWN TWO DIRECTORIES").unwrap();
        assert!(alarm.contains("c/pc was shown another directory than you"), "{alarm}");
        assert!(alarm.contains("conclave audit --evidence /folder/of/"), "{alarm}");
        assert!(matches!(world.evidence(i)[..], [Finding::TwoRoots { .. }]));
        assert_eq!(world.devices[i].messages().len(), 1, "the message is shown all the same");
    }
    // c learns it by the first answer, and what is said goes on.
    world.say(a, "did you see that?");
    world.settle();
    assert!(world.devices[c].has_line("alarm - THE SERVICE HAS SHOWN TWO DIRECTORIES"));
    assert_eq!(world.devices[c].messages().len(), 2);
}
