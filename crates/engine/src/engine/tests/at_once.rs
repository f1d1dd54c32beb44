//! Calls of several groups under way at once.

use super::*;
use crate::engine::{CallId, MAX_CALLS};

/// a and b are in so many groups, a has been away, and b has said something in each.
fn missed_in(seed: u64, groups: usize) -> (World, usize) {
    let mut world = World::new(seed);
    let [a, b] = ["a/pc", "b/pc"].map(|id| world.add(id));
    for n in 0..groups {
        world.group(&format!("g{n}"), &[a, b]);
    }
    world.devices[a].revoked = true;
    for n in 0..groups {
        world.say(b, &format!("/switch g{n}"));
        world.say(b, &format!("text {n}"));
    }
    world.settle();
    world.devices[a].revoked = false;
    while let Some(hint) = world.devices[a].hints.pop_front() {
        world.devices[a].engine.heard(world.now, hint);
    }
    (world, a)
}

impl World {
    /// All calls that a device wants to make now.
    fn calls_of(&mut self, i: usize) -> Vec<(CallId, Request)> {
        let now = self.now;
        core::iter::from_fn(|| self.devices[i].engine.next(now).unwrap()).collect()
    }

    fn outcome_of(&mut self, i: usize, (call, request): (CallId, Request)) {
        let reply = self.call(i, request);
        self.devices[i].engine.reply(self.now, call, reply).unwrap();
    }
}

/// The groups whose logs are asked for; nothing else is.
fn logs(calls: &[(CallId, Request)]) -> std::collections::BTreeSet<GroupId> {
    let group = |(_, request): &(CallId, Request)| match request {
        Request::FetchLog(fetch) => fetch.group_id.clone(),
        other => panic!("{other:?}"),
    };
    calls.iter().map(group).collect()
}

#[test]
fn logs_of_several_groups_are_fetched_at_once_and_may_come_in_any_order() {
    let (mut world, a) = missed_in(1201, MAX_CALLS + 2);
    let mut calls = world.calls_of(a);
    assert_eq!((calls.len(), logs(&calls).len()), (MAX_CALLS, MAX_CALLS));
    assert_eq!(world.devices[a].engine.wake_at(), None, "an answer wakes it");

    // The last is answered first, and makes room for one more.
    for _ in 0..2 {
        world.outcome_of(a, calls.pop().unwrap());
        let more = world.calls_of(a);
        assert_eq!(more.len(), 1, "{more:?}");
        calls.splice(0..0, more);
        assert_eq!(logs(&calls).len(), MAX_CALLS, "never two of one group");
    }
    while let Some(call) = calls.pop() {
        world.outcome_of(a, call);
        calls.splice(0..0, world.calls_of(a));
    }
    world.settle();
    let mut texts = world.texts(a);
    texts.sort();
    let expected: Vec<String> = (0..MAX_CALLS + 2).map(|n| format!("text {n}")).collect();
    assert_eq!(texts, expected);
}

#[test]
fn what_concerns_more_than_one_group_waits_until_nothing_is_under_way_and_is_next() {
    let (mut world, a) = missed_in(1202, MAX_CALLS + 2);
    let mut calls = world.calls_of(a);
    world.devices[a].engine.heard(world.now, StreamEvent::Event(Event::Inbox));
    while let Some(call) = calls.pop() {
        world.outcome_of(a, call);
        let next = world.calls_of(a);
        match calls.is_empty() {
            false => assert!(next.is_empty(), "{next:?}"),
            true => assert!(matches!(next[..], [(_, Request::FetchInbox(_))]), "{next:?}"),
        }
    }
}

#[test]
fn a_session_that_ends_while_several_calls_are_under_way_ends_once() {
    let (mut world, a) = missed_in(1203, MAX_CALLS);
    let calls = world.calls_of(a);
    assert_eq!(calls.len(), MAX_CALLS);
    for (call, _) in calls {
        let error = CallError::refused(ErrorCode::Unauthorized, "there is no such session");
        world.devices[a].engine.reply(world.now, call, Err(error)).unwrap();
    }
    assert_eq!(world.devices[a].engine.sessions_refused, 1);
    world.settle();
    assert_eq!(world.texts(a).len(), MAX_CALLS);
    assert_eq!(world.devices[a].count("offline "), 0, "{:?}", world.devices[a].lines());
}

#[test]
fn calls_that_fail_together_are_tried_again_as_soon_as_one_is() {
    let (mut world, a) = missed_in(1204, MAX_CALLS);
    for (call, _) in world.calls_of(a) {
        world.devices[a].engine.reply(world.now, call, Err(unreachable())).unwrap();
    }
    let engine = &world.devices[a].engine;
    assert_eq!(engine.wake_at(), Some(world.now + crate::engine::FIRST_WAIT));
    world.devices[a].take_outputs(world.now);
    assert_eq!(world.devices[a].count("offline "), 1, "{:?}", world.devices[a].lines());
}

#[test]
fn an_outcome_that_nobody_waits_for_changes_nothing() {
    let (mut world, a) = missed_in(1205, 1);
    let (call, request) = world.calls_of(a).pop().unwrap();
    let reply = world.call(a, request);
    world.devices[a].engine.reply(world.now, call, reply.clone()).unwrap();
    let before = world.devices[a].engine.state();
    world.devices[a].engine.reply(world.now, call, reply).unwrap();
    world.devices[a].engine.reply(world.now, call, Err(unreachable())).unwrap();
    assert_eq!(world.devices[a].engine.state(), before);
}
