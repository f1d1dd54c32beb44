//! What goes wrong: a service that lies, forgets or refuses, members that do what this messenger
//! never does, clocks that jump.

use super::*;
use crate::conversation::rules::GROUP_INFO;
use crate::conversation::waits::COUNT_INTERVAL;
use crate::suites::HYBRID;
use conclave_delivery_api::{
    ClaimKeyPackages, CountKeyPackages, Event, InboxItem, LogPage, LogPosition, Outcome,
    SubmitProposal,
};
use conclave_mls::group::{CommitOptions, Framing, LeafIndex, NewProposal, ProtocolVersion};
use conclave_mls::wire::codec::Decode;
use conclave_mls::wire::{Content, Epoch, MlsMessage, MlsMessageBody, ProposalOrRef, ReInit};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

impl World {
    /// Takes all key packages of a device but that of last resort.
    fn take_key_packages(&mut self, i: usize, of: usize) {
        let user = self.devices[of].id.user.clone();
        for _ in 0..10 {
            let (cipher_suite, devices) = (HYBRID, Vec::new());
            let claim = ClaimKeyPackages { user: user.clone(), cipher_suite, devices };
            self.call(i, claim.into()).unwrap();
        }
    }

    /// Makes a group of two, the second invited by its key package of last resort, which opens its
    /// Welcome for ever; and gives that.
    fn group_by_last_resort(&mut self, a: usize, b: usize) -> InboxItem {
        self.settle();
        self.take_key_packages(a, b);
        let seen = Rc::new(RefCell::new(None));
        let welcome = seen.clone();
        self.lie = Some(Box::new(move |reply| {
            if let Reply::FetchInbox(page) = reply {
                *welcome.borrow_mut() = page.items.first().cloned();
            }
        }));
        self.group("g", &[a, b]);
        self.lie = None;
        seen.take().unwrap()
    }

    /// The service gives a device a Welcome again.
    fn replay(&mut self, i: usize, welcome: InboxItem) {
        self.lie = Some(Box::new(move |reply| {
            if let Reply::FetchInbox(page) = reply {
                page.items = vec![welcome.clone()];
            }
        }));
        self.devices[i].hints.push_back(StreamEvent::Event(Event::Inbox));
        self.settle();
        self.lie = None;
    }
}

#[test]
fn a_welcome_that_is_repeated_does_not_bring_back_who_was_removed() {
    let mut world = World::new(42);
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    let welcome = world.group_by_last_resort(a, b);
    world.say(a, "/remove b");
    world.settle();
    world.replay(b, welcome.clone());
    world.kill(b);
    world.settle();
    world.replay(b, welcome);
    assert_eq!(world.devices[b].count("joined g"), 1);
    // A later one does.
    world.say(a, "/invite b");
    world.settle();
    world.agree(&[a, b]);
}

#[test]
fn a_welcome_that_is_repeated_takes_no_group_back_to_a_past_epoch() {
    let mut world = World::new(43);
    let [a, b, c] = ["a/pc", "b/pc", "c/pc"].map(|id| world.add(id));
    let welcome = world.group_by_last_resort(a, b);
    world.say(a, "/invite c");
    world.settle();
    world.agree(&[a, b, c]);
    let id = welcome.welcome.group_id.clone();
    world.devices[b].engine.stick(&id, made_so()).unwrap();
    world.replay(b, welcome);
    assert_eq!(world.devices[b].count("joined g"), 1);
    assert_eq!(world.devices[b].engine.conversations[&id].group().epoch(), Epoch(2));
}

/// Which calls of a device that says something and invites somebody go wrong.
type Which = fn(&Request) -> bool;

/// Lets a member invite somebody and say something while some of its calls go wrong, and says
/// something once they do not: whatever was given up, that arrives.
fn nothing_is_held_up(seed: u64, which: Which, error: CallError) -> World {
    let mut world = World::new(seed);
    let [a, b, c] = ["a/pc", "b/pc", "c/pc"].map(|id| world.add(id));
    world.group("g", &[a, b]);
    world.fault = Some(Box::new(move |request| which(request).then(|| error.clone())));
    world.say(a, "/invite c");
    world.say(a, "hello");
    world.settle();
    world.fault = None;
    for i in [a, b, c] {
        world.kill(i);
    }
    world.say(a, "still here");
    world.settle();
    let said = world.devices[b].messages();
    assert!(said.last().is_some_and(|(.., text)| text == "still here"), "{seed}");
    world
}

#[test]
fn calls_whose_answers_make_no_sense_are_given_up() {
    let nonsense = || CallError::Strange("it was made so".into());
    let failed = [
        (50, (|r| matches!(r, Request::SubmitCommit(_))) as Which, 0, "failed g c is not invited:"),
        (51, |r| matches!(r, Request::ClaimKeyPackages(_)), 0, "failed g c is not invited:"),
        (52, |r| matches!(r, Request::FetchAccount(_)), 0, "failed g c is not invited:"),
        (53, is_sending, 0, "failed g not sent, as"),
        (54, |r| matches!(r, Request::FetchLog(_)), 1, "error g cannot go on:"),
    ];
    for (seed, which, i, begin) in failed {
        let world = nothing_is_held_up(seed, which, nonsense());
        let (device, told) = (&world.devices[i], format!("{begin} {}", nonsense()));
        assert!(device.has_line(&told), "{told}: {:?}", device.lines());
        assert!(device.has_line("offline "), "it was tried again at first");
    }
    let quiet = [
        (55, (|r| matches!(r, Request::FetchInbox(_))) as Which),
        (56, |r| matches!(r, Request::AckInbox(_))),
        (57, |r| matches!(r, Request::CountKeyPackages(_))),
        (58, |r| matches!(r, Request::PublishKeyPackages(_))),
    ];
    for (seed, which) in quiet {
        let world = nothing_is_held_up(seed, which, nonsense());
        assert!(world.devices[2].has_line("joined "), "{seed}: {:?}", world.devices[2].lines());
    }
}

#[test]
fn an_invitation_for_which_too_much_was_claimed_fails_and_holds_nothing_up() {
    let limited = |seconds| CallError::Postponed {
        code: ErrorCode::RateLimited,
        detail: "it was made so".into(),
        retry_after: Duration::from_secs(seconds),
    };
    let which = |r: &Request| matches!(r, Request::ClaimKeyPackages(_));
    let world = nothing_is_held_up(60, which, limited(31));
    let told = format!("failed g c is not invited: {}", limited(31));
    assert!(world.devices[0].has_line(&told), "{:?}", world.devices[0].lines());
    assert!(!world.devices[0].has_line("offline"));
}

#[test]
fn a_messenger_that_is_too_old_says_so_and_stops() {
    for (seed, which) in [
        (61, (|r| matches!(r, Request::OpenSession(_))) as Which),
        (62, |r| matches!(r, Request::SubmitAccount(_))),
        (63, |r| matches!(r, Request::CountKeyPackages(_))),
    ] {
        let mut world = World::new(seed);
        let a = world.add("a/pc");
        let ended = (0..20).find_map(|_| {
            let request = world.devices[a].engine.next_request(world.now).unwrap().unwrap();
            if !which(&request) {
                world.call_and_answer(a, request);
                return None;
            }
            let refused =
                CallError::refused(ErrorCode::ClientOutdated, "it was made so: update it");
            Some(world.devices[a].engine.answer(world.now, Err(refused)).unwrap_err())
        });
        let ended = ended.unwrap();
        assert!(matches!(ended, EngineError::Outdated(_)), "{ended:?}");
        let told =
            "this messenger is too old: it was made so: update it. What is not sent yet is kept";
        assert_eq!(ended.to_string(), told);
    }
}

#[test]
fn requests_that_are_too_long_are_given_up() {
    let which = |r: &Request| matches!(r, Request::SubmitCommit(_));
    let world = nothing_is_held_up(59, which, CallError::TooLong);
    let told = format!("failed g c is not invited: {}", CallError::TooLong);
    assert!(world.devices[0].has_line(&told), "{:?}", world.devices[0].lines());
    assert!(!world.devices[0].has_line("offline"));
}

#[test]
fn what_makes_no_sense_for_a_while_costs_nothing() {
    let mut world = World::new(60);
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    world.group("g", &[a, b]);
    let until = Rc::new(Cell::new(5));
    world.fault = Some(Box::new(move |_| {
        let left = until.get();
        until.set(i32::max(left - 1, 0));
        (left > 0).then(|| CallError::Strange("it was made so".into()))
    }));
    world.say(a, "hello");
    world.settle();
    assert_eq!(world.devices[b].messages().len(), 1);
    assert!(!world.devices[a].has_line("failed") && !world.devices[a].has_line("error"));
}

#[test]
fn a_group_that_cannot_be_followed_is_retried_after_an_outage() {
    let mut world = World::new(61);
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    world.group("g", &[a, b]);
    world.fault = Some(Box::new(|request| {
        let log = matches!(request, Request::FetchLog(_));
        log.then(|| CallError::Strange("status 502".into()))
    }));
    world.say(a, "hello");
    world.settle();
    assert!(world.devices[b].has_line("error g cannot go on: "));
    world.fault = None;
    world.devices[b].hints.push_back(StreamEvent::Connected);
    world.settle();
    assert_eq!(world.devices[b].messages().len(), 1);
}

#[test]
fn what_is_said_to_one_group_goes_to_no_other() {
    let mut world = World::new(62);
    let (a, mallory) = (world.add("a/pc"), world.add("mallory/pc"));
    world.group("family", &[mallory, a]);
    world.say(mallory, "/remove a");
    world.settle();
    world.group("evil", &[mallory, a]);
    assert!(world.devices[a].has_line("joined evil"));
    assert_eq!(world.devices[a].current_name().as_deref(), Some("family"));
    world.say(a, "dear all");
    world.settle();
    assert!(world.devices[a].has_line("error you are no longer in family"));
    assert!(world.devices[mallory].messages().is_empty());
}

impl World {
    /// A device proposes something in its current group, as this messenger does not by itself.
    fn propose(&mut self, i: usize, proposal: NewProposal) {
        let id = self.devices[i].current();
        let engine = &mut self.devices[i].engine;
        let (now, framing) = (engine.time(), Framing::default());
        let (provider, rng) = (&*engine.provider, &mut *engine.rng);
        let group = engine.conversations[&id].group();
        let step = group.propose(provider, rng, now, proposal, &framing).unwrap();
        let proposed = engine.step(&id, step, |_| Vec::new()).unwrap().unwrap();
        self.call(i, SubmitProposal { proposal: proposed.message.into() }.into()).unwrap();
    }

    /// The same, as a commit.
    fn commit(&mut self, i: usize, proposal: NewProposal) {
        let id = self.devices[i].current();
        let engine = &mut self.devices[i].engine;
        let now = engine.time();
        let (provider, rng) = (&*engine.provider, &mut *engine.rng);
        let (proposals, group_info) = (vec![proposal], Some(GROUP_INFO));
        let options = CommitOptions { proposals, group_info, ..CommitOptions::default() };
        let step = engine.conversations[&id].group().commit(provider, rng, now, options).unwrap();
        engine.step(&id, step, |_| Vec::new()).unwrap();
        self.settle();
    }
}

#[test]
fn who_proposes_to_remove_somebody_else_is_not_said_to_leave() {
    let mut world = World::new(63);
    let [a, b, c] = ["a/pc", "b/pc", "c/pc"].map(|id| world.add(id));
    world.group("g", &[a, b, c]);
    let leaf = |leaf| NewProposal::Remove(LeafIndex(leaf));
    world.propose(a, leaf(2));
    world.settle();
    let told = "note g a/pc proposes to remove c/pc";
    assert!(world.devices[b].has_line(told), "{:?}", world.devices[b].lines());
    assert!(!world.devices[b].has_line("leaving"));
    world.agree(&[a, b]);
}

#[test]
fn that_a_group_is_closed_is_told() {
    let mut world = World::new(64);
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    world.group("g", &[a, b]);
    let reinit = ReInit {
        group_id: b"another".as_slice().into(),
        version: ProtocolVersion::MLS_1_0,
        cipher_suite: HYBRID,
        extensions: Vec::new(),
    };
    world.commit(a, NewProposal::ReInit(reinit));
    for i in [a, b] {
        let told = "note g a/pc has closed this group";
        assert!(world.devices[i].has_line(told), "{:?}", world.devices[i].lines());
    }
    world.say(b, "hello?");
    world.settle();
    let lines = world.devices[b].lines();
    let told =
        |line: &&String| line.starts_with("failed g not sent, as ") && line.ends_with(": hello?");
    assert_eq!(lines.iter().filter(told).count(), 1, "{lines:?}");
}

#[test]
fn a_service_that_is_set_back_within_an_epoch_is_noticed() {
    fn shorter(reply: &mut Reply) {
        if let Reply::FetchLog(page) = reply {
            (page.head, page.end.position.seq, page.entries) = (1, 1, Vec::new());
        }
    }
    fn earlier(reply: &mut Reply) {
        if let Reply::SendMessage(Outcome::Accepted { receipt, .. }) = reply {
            receipt.position.seq = 2;
        }
    }
    for (seed, lie) in [(65, shorter as fn(&mut Reply)), (66, earlier)] {
        let mut world = World::new(seed);
        let (a, b) = (world.add("a/pc"), world.add("b/pc"));
        world.group("g", &[a, b]);
        world.say(a, "one");
        world.settle();
        world.kill(a);
        world.lie = Some(Box::new(lie));
        world.say(a, "two");
        world.settle();
        let told = "error g cannot go on: the service has lost data: its log ends with message ";
        assert!(world.devices[a].has_line(told), "{:?}", world.devices[a].lines());
    }
}

#[test]
fn numbers_that_no_log_reaches_do_no_harm() {
    let mut world = World::new(67);
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    world.lie = Some(Box::new(|reply| match reply {
        Reply::FetchInbox(page) => {
            page.items.iter_mut().for_each(|item| item.welcome.position.seq = u64::MAX);
        }
        Reply::FetchLog(page) => page.head = u64::MAX,
        _ => {}
    }));
    world.group("g", &[a, b]);
    world.say(b, "hello");
    world.settle();
    // Nor do those of what it is told to be the number of what it says.
    world.lie = Some(Box::new(|reply| {
        if let Reply::SendMessage(Outcome::Accepted { receipt, .. }) = reply {
            receipt.position.seq = u64::MAX;
        }
    }));
    world.say(a, "hello");
    world.settle();
    assert_eq!(world.devices[a].messages().last().unwrap().3, "hello");
}

/// Whether a commit refers to what somebody has proposed.
fn refers(request: &Request) -> bool {
    let Request::SubmitCommit(submitted) = request else { return false };
    let message = MlsMessage::from_bytes(&submitted.commit).unwrap();
    let MlsMessageBody::PublicMessage(message) = message.body else { panic!() };
    let Content::Commit(commit) = message.content.content else { panic!() };
    commit.proposals.iter().any(|proposal| matches!(proposal, ProposalOrRef::Reference(_)))
}

fn refuse_what_refers(request: &Request) -> Option<CallError> {
    refers(request).then(|| CallError::refused(ErrorCode::Invalid, "it was made so"))
}

#[test]
fn whoever_cannot_commit_what_was_proposed_follows_who_can() {
    let (mut world, [a, b, _]) = World::departure(68);
    world.fault = Some(Box::new(refuse_what_refers));
    world.now += 5_000;
    while world.step(a) {}
    assert!(world.devices[a].has_line("error g: cannot commit the members' proposals: "));
    world.fault = None;
    world.settle();
    world.agree(&[a, b]);
    let lines = world.devices[a].lines();
    assert!(lines.contains(&"removed g 4 c/pc by b/pc".into()), "{lines:?}");
    assert!(!world.devices[a].has_line("error g cannot go on"), "{lines:?}");
}

#[test]
fn what_is_proposed_and_cannot_be_committed_holds_nothing_up() {
    let mut world = World::new(69);
    let [a, b, c] = ["a/pc", "b/pc", "c/pc"].map(|id| world.add(id));
    world.group("g", &[a, b]);
    world.say(b, "/leave");
    world.fault = Some(Box::new(refuse_what_refers));
    world.settle();
    world.say(a, "/invite c");
    world.settle();
    world.say(a, "hello");
    world.settle();
    for i in [b, c] {
        assert_eq!(world.devices[i].messages().len(), 1, "{:?}", world.devices[a].lines());
    }
    world.agree(&[a, b, c]);
    world.fault = None;
    world.say(a, "goodbye");
    world.settle();
    world.agree(&[a, c]);
    assert!(world.devices[b].has_line("left g"));
}

#[test]
fn a_service_that_takes_no_session_is_asked_with_pauses() {
    let mut world = World::new(70);
    let a = world.add("a/pc");
    world.fault = Some(Box::new(|request| {
        use Request::{DescribeService, OpenSession, SubmitAccount};
        let before = matches!(request, DescribeService(_) | SubmitAccount(_) | OpenSession(_));
        (!before).then(|| CallError::refused(ErrorCode::Unauthorized, "it was made so"))
    }));
    let begun = world.now;
    for _ in 0..100 {
        // Its events come all the same.
        world.devices[a].hints.push_back(StreamEvent::Connected);
        world.step(a);
        if !world.step(a) {
            world.now = world.devices[a].engine.wake_at().unwrap();
        }
    }
    assert!(world.now - begun > 60_000, "{}", world.now - begun);
    world.fault = None;
    world.settle();
    assert!(world.devices[a].has_line("ready a/pc"));
}

fn wakes_soon(engine: &Engine<Disk>, now: u64) -> bool {
    engine.wake_at().is_some_and(|at| at < now + SOON)
}

/// A member that is about to commit another's departure.
fn about_to_commit(seed: u64) -> World {
    let (mut world, [a, ..]) = World::departure(seed);
    while world.step(a) {}
    assert!(wakes_soon(&world.devices[a].engine, world.now));
    world
}

#[test]
fn what_is_due_and_cannot_be_done_wakes_nobody() {
    // In a group that cannot be followed.
    let mut world = about_to_commit(71);
    let id = world.devices[0].current();
    let engine = &mut world.devices[0].engine;
    engine.stick(&id, made_so()).unwrap();
    assert!(!wakes_soon(engine, world.now));

    // While a commit is under way, of which the log knows nothing yet.
    let mut world = about_to_commit(76);
    let id = world.devices[0].current();
    let engine = &mut world.devices[0].engine;
    let (at, record) = (engine.wake_at().unwrap(), engine.book.record(&id).unwrap());
    let (head, before) = (record.cursor, record.chain.unwrap());
    let place = |seq, epoch| LogPosition { seq, epoch, chain: before };
    let (later, end) = (world.receipt(&id, place(head + 2, 3)), world.receipt(&id, place(head, 2)));
    let engine = &mut world.devices[0].engine;
    assert!(matches!(engine.next_request(at).unwrap(), Some(Request::SubmitCommit(_))));
    let accepted = Outcome::Accepted { receipt: later, received_at: 1 };
    engine.answer(at, Ok(Reply::SubmitCommit(accepted))).unwrap();
    assert!(matches!(engine.next_request(at).unwrap(), Some(Request::FetchLog(_))));
    let (entries, before) = (Vec::new(), Some(before));
    let page = LogPage { entries, head, before, end, ending: None };
    engine.answer(at, Ok(Reply::FetchLog(page))).unwrap();
    assert!(engine.next_request(at).unwrap().is_none());
    assert!(!wakes_soon(engine, at));

    // While a call is under way.
    let mut world = about_to_commit(72);
    let now = world.now;
    let engine = &mut world.devices[0].engine;
    engine.heard(now, StreamEvent::Event(Event::Inbox));
    assert!(engine.next_request(now).unwrap().is_some());
    assert_eq!(engine.wake_at(), None);

    // While nobody answers.
    engine.answer(now, Err(unreachable())).unwrap();
    for _ in 0..6 {
        let at = engine.wake_at().unwrap();
        assert!(engine.next_request(at).unwrap().is_some(), "it was woken for nothing");
        engine.answer(at, Err(unreachable())).unwrap();
    }
}

#[test]
fn a_clock_that_is_set_back_stops_nothing() {
    let hours = 5 * 60 * 60 * 1000;
    // Somebody else's proposal is to be committed.
    let mut world = about_to_commit(73);
    world.now -= hours;
    let late = world.now + 10_000;
    while world.step(0) {}
    assert!(world.devices[0].engine.wake_at().unwrap() <= late);

    // A call is to be made again.
    let mut world = World::new(74);
    let a = world.add("a/pc");
    assert!(world.devices[a].engine.next_request(world.now).unwrap().is_some());
    world.devices[a].engine.answer(world.now, Err(unreachable())).unwrap();
    world.now -= hours;
    let late = world.now + 20_000;
    world.settle();
    assert!(world.devices[a].has_line("ready a/pc") && world.now < late);

    // News wait for a name.
    let mut world = World::new(75);
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    world.fault = Some(Box::new(|request| match request {
        request if is_sending(request) => Some(unreachable()),
        _ => None,
    }));
    world.settle();
    world.say(a, "/new g");
    world.say(a, "/invite b");
    while world.devices[b].engine.conversations.is_empty() {
        (0..2).for_each(|i| {
            world.step(i);
        });
    }
    world.now -= hours;
    while world.step(b) {}
    assert!(world.devices[b].has_line("joined "));
}

#[test]
fn key_packages_that_somebody_takes_without_an_invitation_are_made_again() {
    let mut world = World::new(77);
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    world.settle();
    world.take_key_packages(a, b);
    let available = |world: &mut World| {
        let reply = world.call(b, Request::CountKeyPackages(CountKeyPackages {})).unwrap();
        let Reply::CountKeyPackages(counts) = reply else { panic!("{reply:?}") };
        let of = counts.counts.iter().find(|count| count.cipher_suite == HYBRID);
        of.map_or(0, |of| of.available)
    };
    world.settle();
    assert_eq!(available(&mut world), 0);
    assert!(world.devices[b].engine.is_settled());
    world.now += COUNT_INTERVAL;
    world.settle();
    assert_eq!(available(&mut world), 10);
}

#[test]
fn what_was_encrypted_long_ago_and_not_sent_is_encrypted_again() {
    for days in [0, 2, 8] {
        let mut world = World::new(60);
        let [a, b, c] = ["a/pc", "b/pc", "c/pc"].map(|id| world.add(id));
        world.group("g", &[a, b, c]);
        world.say(a, "late");
        // It is sealed and stored; the call is not made, and the process dies.
        let now = world.now;
        let call = world.devices[a].engine.next_request(now).unwrap();
        assert!(matches!(call, Some(Request::SendMessage(_))), "{call:?}");
        let others = |world: &mut World, line: &str| {
            world.say(b, line);
            for _ in 0..200 {
                world.step(b);
                world.step(c);
                world.now += 100;
            }
        };
        others(&mut world, "/remove c");
        world.now += days * 24 * 60 * 60 * 1000;
        others(&mut world, "/invite c");
        world.kill(a);
        world.settle();
        let said = |i: usize| {
            let messages = world.devices[i].messages();
            messages.iter().filter(|(.., text)| text == "late").count()
        };
        assert_eq!((said(a), said(b)), (1, 1), "after {days} days {:#?}", world.devices[b].lines());
    }
}
