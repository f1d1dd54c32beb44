//! Peeking: a second process reads what waits, and disturbs nothing.

use super::*;
use crate::{Peek, PeekError, Peeked};
use conclave_mls::storage::Batch;
use std::sync::atomic::AtomicU32;

impl World {
    /// Peeks into a device's state, while its own process may go on.
    fn peek(&mut self, i: usize) -> Result<Peeked, PeekError> {
        let disk = self.devices[i].disk.clone();
        let peek = self.begin_peek(disk)?;
        self.end_peek(i, peek)
    }

    fn begin_peek(&mut self, disk: Disk) -> Result<Peek<Disk>, PeekError> {
        let seed = self.rng.below(u64::MAX);
        Peek::open(disk, provider(), Box::new(TestRng(seed)))
    }

    fn end_peek(&mut self, i: usize, mut peek: Peek<Disk>) -> Result<Peeked, PeekError> {
        // A session of its own.
        let session = self.devices[i].session.take();
        let done = self.drive(i, &mut peek);
        self.devices[i].session = session;
        done.map(|()| peek.into_peeked())
    }

    fn drive(&mut self, i: usize, peek: &mut Peek<Disk>) -> Result<(), PeekError> {
        while let Some(request) = peek.next(self.now)? {
            let only_reads = matches!(
                request,
                Request::DescribeService(_)
                    | Request::OpenSession(_)
                    | Request::FetchInbox(_)
                    | Request::FetchLog(_)
            );
            assert!(only_reads, "{request:?}");
            let reply = self.call(i, request);
            if let Ok(Reply::OpenSession(opened)) = &reply {
                let (token, key) = (opened.token.clone(), peek.session_key().unwrap().clone());
                self.devices[i].session = Some(Session { token, key, next: 1 });
            }
            peek.reply(self.now, reply)?;
        }
        Ok(())
    }

    /// Lets only these do what they can.
    fn settle_only(&mut self, devices: &[usize]) {
        let away: Vec<usize> = (0..self.devices.len())
            .filter(|i| !devices.contains(i) && !self.devices[*i].revoked)
            .collect();
        self.off(&away);
        self.settle();
        away.iter().for_each(|i| self.devices[*i].revoked = false);
    }
}

fn texts(peeked: &Peeked) -> Vec<String> {
    let messages = peeked.groups.iter().flat_map(|group| &group.messages);
    messages.map(|said| format!("{}: {}", said.sender, said.content.text().unwrap())).collect()
}

#[test]
fn a_peek_shows_what_waits_and_disturbs_nothing() {
    let mut world = World::new(1);
    let all = ["a/pc", "b/pc"].map(|id| world.add_classic(id));
    world.group("g", &all);
    let [a, b] = all;
    assert_eq!(world.peek(b).unwrap(), Peeked::default());

    for n in 0..3 {
        world.say(a, &format!("m{n}"));
    }
    world.say(a, "/new other");
    world.say(a, "/invite b");
    world.settle_only(&[a]);
    // What b says itself waits, too, and stays where it is.
    world.say(b, "mine");
    let (writes, refusals) = (world.devices[b].disk.writes(), world.refusals.len());
    let peeked = world.peek(b).unwrap();
    assert_eq!(texts(&peeked), ["a/pc: m0", "a/pc: m1", "a/pc: m2"]);
    assert_eq!((peeked.invitations, peeked.groups[0].unread), (1, 0));
    assert_eq!(peeked.groups[0].name, "g");
    assert_eq!(world.peek(b).unwrap(), peeked, "it is there as before");
    assert_eq!(world.devices[b].disk.writes(), writes);

    // The process that writes goes on in its own session, and shows all of it.
    world.settle();
    assert_eq!(world.refusals.len(), refusals, "{:?}", world.refusals);
    assert_eq!(world.texts(b), ["m0", "m1", "m2", "mine"]);
    assert_eq!(world.texts(a), ["m0", "m1", "m2", "mine"]);
    assert_eq!(world.devices[b].count("unreadable"), 0);
    assert_eq!(world.peek(b).unwrap(), Peeked::default());
}

#[test]
fn what_follows_a_commit_is_read_if_it_can_be_judged_and_counted_if_not() {
    let mut world = World::new(2);
    let all = ["a/pc", "b/pc", "c/pc"].map(|id| world.add_classic(id));
    world.group("g", &all);
    let [a, b, _] = all;
    world.say(a, "before");
    world.say(a, "/topic lunch");
    world.say(a, "after");
    world.settle_only(&[a]);
    assert_eq!(texts(&world.peek(b).unwrap()), ["a/pc: before", "a/pc: after"]);

    // Of d, who comes in then, b has never heard.
    let d = world.add_classic("d/pc");
    world.settle_only(&[a, d]);
    world.say(a, "/invite d");
    world.settle_only(&[a, d]);
    world.say(a, "later");
    world.settle_only(&[a, d]);
    assert_eq!(world.devices[a].count("added g "), 3, "{:?}", world.devices[a].lines());
    let peeked = world.peek(b).unwrap();
    assert_eq!(texts(&peeked), ["a/pc: before", "a/pc: after"]);
    assert!(peeked.groups[0].unread >= 2, "{peeked:?}");
    world.settle();
    assert_eq!(world.texts(b), ["before", "after", "later"]);

    world.say(a, "/remove b");
    world.settle_only(&[a]);
    assert!(world.peek(b).unwrap().groups[0].removed);
}

#[test]
fn a_group_that_cannot_be_read_hides_no_other() {
    let mut world = World::new(4);
    let all = ["a/pc", "b/pc"].map(|id| world.add_classic(id));
    let [a, b] = all;
    world.group("g", &all);
    let first = world.devices[b].current();
    world.group("h", &all);
    for text in ["to h", "/switch g", "to g"] {
        world.say(a, text);
    }
    world.settle_only(&[a]);
    assert_eq!(world.peek(b).unwrap().groups.len(), 2);
    let of_first = first.clone();
    world.fault = Some(Box::new(move |request| match request {
        Request::FetchLog(fetch) if fetch.group_id == of_first => {
            Some(CallError::refused(ErrorCode::UnknownGroup, "it was made so"))
        }
        _ => None,
    }));
    assert_eq!(texts(&world.peek(b).unwrap()), ["a/pc: to h"]);

    // A state that is damaged is the messenger's to report.
    world.fault = None;
    let rows =
        WriteSet { batches: vec![Batch { clear: true, ..Batch::new(first) }], ..WriteSet::new() };
    world.devices[b].disk.get().write(&rows).unwrap();
    assert_eq!(texts(&world.peek(b).unwrap()), ["a/pc: to h"]);
}

#[test]
fn a_peek_signs_nothing_for_another_service() {
    let mut world = World::new(3);
    let all = ["a/pc", "b/pc"].map(|id| world.add_classic(id));
    world.group("g", &all);
    world.lie = Some(Box::new(|reply| {
        if let Reply::DescribeService(info) = reply {
            info.key = vec![7; 32].into();
        }
    }));
    assert!(matches!(world.peek(all[1]), Err(PeekError::OtherService)));
    let empty = Peek::open(Disk::default(), provider(), Box::new(TestRng(1)));
    assert!(matches!(empty, Err(PeekError::NoDevice)));
}

#[test]
fn a_state_that_has_met_no_service_signs_nothing() {
    let mut world = World::new(5);
    let new = world.switch_on("a/pc", Some(CLASSIC), Disk::default());
    assert!(matches!(world.peek(new), Err(PeekError::NoDevice)));
}

#[test]
fn what_a_device_says_after_a_peek_began_is_no_news_to_it() {
    let mut world = World::new(6);
    let all = ["a/pc", "b/pc"].map(|id| world.add_classic(id));
    world.group("g", &all);
    let [a, b] = all;
    world.say(a, "before");
    world.settle_only(&[a]);
    let state = world.devices[b].disk.get().clone();
    let peek = world.begin_peek(Disk(Arc::new(Mutex::new(state)), Arc::default())).unwrap();
    world.say(b, "mine");
    world.settle();
    world.say(a, "after");
    world.settle();
    let peeked = world.end_peek(b, peek).unwrap();
    assert_eq!(texts(&peeked), ["a/pc: before", "a/pc: after"]);
    assert_eq!(world.texts(b), ["before", "mine", "after"]);
}

#[test]
fn invitations_of_blocked_senders_are_not_counted() {
    let mut world = World::new(7);
    let [a, b, c] = ["a/pc", "b/pc", "c/pc"].map(|id| world.add_classic(id));
    world.say(b, "/block c");
    world.settle();
    for (who, name) in [(a, "wanted"), (c, "unwanted")] {
        world.say(who, &format!("/new {name}"));
        world.say(who, "/invite b");
        world.settle_only(&[a, c]);
    }
    assert_eq!(world.peek(b).unwrap().invitations, 1);
    world.settle();
    assert_eq!(world.peek(b).unwrap().invitations, 0);
}

#[test]
fn a_peek_whose_session_was_ended_opens_another_but_not_forever() {
    let mut world = World::new(8);
    let all = ["a/pc", "b/pc"].map(|id| world.add_classic(id));
    world.group("g", &all);
    let [a, b] = all;
    world.say(a, "hello");
    world.settle_only(&[a]);
    for (endings, shown) in [(1, true), (u32::MAX, false)] {
        let left = AtomicU32::new(endings);
        world.fault = Some(Box::new(move |request| {
            let ends = matches!(request, Request::FetchLog(_)) && left.load(Ordering::Relaxed) > 0;
            ends.then(|| {
                left.fetch_sub(1, Ordering::Relaxed);
                CallError::refused(ErrorCode::Unauthorized, "it was made so")
            })
        }));
        match world.peek(b) {
            Ok(peeked) => assert!(shown && texts(&peeked) == ["a/pc: hello"], "{peeked:?}"),
            Err(e) => assert!(!shown && matches!(e, PeekError::Call(_)), "{e}"),
        }
    }
}

#[test]
fn a_peek_keeps_so_much_and_counts_the_rest() {
    let mut world = World::new(9);
    let all = ["a/pc", "b/pc"].map(|id| world.add_classic(id));
    let [a, b] = all;
    world.group("g", &all);
    for _ in 0..20 {
        world.say(a, &"x".repeat(60_000));
    }
    world.settle_only(&[a]);
    let peeked = world.peek(b).unwrap();
    let group = &peeked.groups[0];
    // The 18th makes it more than 1 MiB.
    assert_eq!((group.messages.len(), group.unread), (18, 2));
}
