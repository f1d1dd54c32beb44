//! Many users invited at once.

use super::*;
use std::cell::RefCell;
use std::rc::Rc;

/// How many commits were submitted, and whose key packages were claimed, in the order of the calls.
#[derive(Default)]
struct Calls {
    commits: usize,
    claims: Vec<String>,
}

impl World {
    /// Devices of new users that can be invited.
    fn crowd(&mut self, count: usize) -> Vec<usize> {
        let crowd = (0..count).map(|n| self.add(&format!("u{n}/pc"))).collect();
        self.settle();
        crowd
    }

    /// Notes the calls from now on; these ones fail in the way that they say.
    fn note_invites(
        &mut self,
        fails: impl Fn(&Request) -> Option<CallError> + 'static,
    ) -> Rc<RefCell<Calls>> {
        let calls = Rc::<RefCell<Calls>>::default();
        let noted = calls.clone();
        self.fault = Some(Box::new(move |request| {
            let mut calls = noted.borrow_mut();
            match request {
                Request::SubmitCommit(_) => calls.commits += 1,
                Request::ClaimKeyPackages(claim) => calls.claims.push(claim.user.to_string()),
                _ => {}
            }
            fails(request)
        }));
        calls
    }

    fn all_accept(&mut self, who: &[usize]) {
        who.iter().for_each(|i| self.accept(*i, "g"));
        self.settle();
    }
}

fn all_of(count: usize) -> String {
    (0..count).map(|n| format!(" u{n}")).collect()
}

#[test]
fn thirty_users_come_in_by_one_commit_and_whoever_cannot_holds_nobody_up() {
    let mut world = World::new(901);
    let [a, b] = ["a/pc", "b/pc"].map(|id| world.add(id));
    world.group("g", &[a, b]);
    let crowd = world.crowd(30);
    let old = world.add_classic("old/pc");
    world.settle();

    let calls = world.note_invites(|_| None);
    world.say(a, &format!("/invite nobody b old{}", all_of(30)));
    world.settle();
    assert_eq!(calls.borrow().commits, 1);
    assert_eq!(calls.borrow().claims.len(), 31);
    assert_eq!(world.devices[a].count("failed g nobody is not invited"), 1);
    assert_eq!(world.devices[a].count("failed g old/pc is not invited"), 1);
    assert_eq!(world.devices[a].count("note g all devices of b are in the group"), 1);
    assert_eq!(world.devices[a].count("failed "), 2, "{:?}", world.devices[a].lines());
    assert!(!world.devices[old].has_line("invited "));

    world.all_accept(&crowd);
    let all: Vec<usize> = [a, b].into_iter().chain(crowd.iter().copied()).collect();
    world.agree(&all);
    world.say(a, "hello");
    world.settle();
    for i in &crowd {
        let messages = world.devices[*i].messages();
        // The commit, the name, what is said: their numbers have no gap for other names.
        let [(group, seq, ..)] = &messages[..] else { panic!("{messages:?}") };
        assert_eq!((group.as_str(), *seq), ("g", world.devices[b].messages()[0].1));
        assert!(world.devices[*i].has_line("joined g") || world.devices[*i].has_line("invited g"));
    }
}

/// Whom the user invites, the user trusts: what those invite to is taken without a question.
#[test]
fn each_of_those_invited_at_once_is_trusted() {
    let mut world = World::new(902);
    let a = world.add("a/pc");
    world.group("g", &[a]);
    let crowd = world.crowd(3);
    world.say(a, &format!("/invite{}", all_of(3)));
    world.settle();
    for (n, i) in crowd.into_iter().enumerate() {
        world.say(i, &format!("/new h{n}"));
        world.say(i, "/invite a");
        world.settle();
        let lines = world.devices[a].lines();
        assert!(world.devices[a].has_line(&format!("joined h{n} ")), "{lines:?}");
        assert!(!world.devices[a].has_line(&format!("invited h{n} ")), "{lines:?}");
    }
}

#[test]
fn a_user_named_twice_comes_in_once() {
    let mut world = World::new(903);
    let a = world.add("a/pc");
    world.group("g", &[a]);
    let crowd = world.crowd(2);
    let calls = world.note_invites(|_| None);
    world.say(a, "/invite u0 u1 u0");
    world.settle();
    assert_eq!((calls.borrow().commits, calls.borrow().claims.len()), (1, 2));
    assert_eq!(world.devices[a].count("note g all devices of u0 are in the group"), 1);
    assert!(!world.devices[a].has_line("failed"), "{:?}", world.devices[a].lines());
    world.all_accept(&crowd);
    world.agree(&[a, crowd[0], crowd[1]]);
}

#[test]
fn a_race_lost_to_another_commit_begins_all_of_them_again() {
    let mut world = World::new(904);
    let [a, b, c] = ["a/pc", "b/pc", "c/pc"].map(|id| world.add(id));
    world.group("g", &[a, b]);
    let crowd = world.crowd(5);
    world.hold_commit(a, &format!("/invite{}", all_of(5)));
    world.fault = None;
    world.say(b, "/invite c");
    while world.step(b) {}
    // It has not heard of that when it sends its own.
    world.devices[a].hints.clear();

    let calls = world.note_invites(|_| None);
    world.settle();
    // The one that lost, and the one in its place.
    assert_eq!((calls.borrow().commits, calls.borrow().claims.len()), (2, 5));
    world.all_accept(&crowd);
    world.accept(c, "g");
    world.settle();
    let all: Vec<usize> = [a, b, c].into_iter().chain(crowd).collect();
    world.agree(&all);
    assert!(!world.devices[a].has_line("failed"), "{:?}", world.devices[a].lines());
}

#[test]
fn a_commit_of_somebody_else_between_claims_costs_no_key_packages() {
    let mut world = World::new(905);
    let [a, b, c] = ["a/pc", "b/pc", "c/pc"].map(|id| world.add(id));
    world.group("g", &[a, b]);
    let crowd = world.crowd(5);
    let calls = world.note_invites(|_| None);
    world.say(a, &format!("/invite{}", all_of(5)));
    while calls.borrow().claims.len() < 3 {
        assert!(world.step(a));
    }
    // It even adds one of them.
    world.say(b, "/invite c u1");
    while world.step(b) {}
    calls.borrow_mut().claims.clear();
    world.settle();
    assert_eq!(calls.borrow().claims, ["u3", "u4"]);
    world.all_accept(&crowd);
    world.accept(c, "g");
    world.settle();
    let all: Vec<usize> = [a, b, c].into_iter().chain(crowd).collect();
    world.agree(&all);
    assert_eq!(world.devices[a].count("note g all devices of u1 are in the group"), 1);
}

#[test]
fn whoever_dies_between_claims_and_commit_claims_again() {
    for (seed, claims) in [(906, 3), (907, 5)] {
        let mut world = World::new(seed);
        let a = world.add("a/pc");
        world.group("g", &[a]);
        let crowd = world.crowd(5);
        let calls = world.note_invites(|_| None);
        world.say(a, &format!("/invite{}", all_of(5)));
        while calls.borrow().claims.len() < claims {
            assert!(world.step(a));
        }
        world.kill(a);
        calls.borrow_mut().claims.clear();
        world.settle();
        assert_eq!((calls.borrow().commits, calls.borrow().claims.len()), (1, 5));
        world.all_accept(&crowd);
        let all: Vec<usize> = [a].into_iter().chain(crowd).collect();
        world.agree(&all);
    }
}

#[test]
fn a_commit_of_many_survives_the_process_that_made_it() {
    let mut world = World::new(908);
    let a = world.add("a/pc");
    world.group("g", &[a]);
    let crowd = world.crowd(5);
    world.hold_commit(a, &format!("/invite{}", all_of(5)));
    world.kill(a);
    let calls = world.note_invites(|_| None);
    world.settle();
    assert_eq!((calls.borrow().commits, calls.borrow().claims.len()), (1, 0));
    world.all_accept(&crowd);
    let all: Vec<usize> = [a].into_iter().chain(crowd).collect();
    world.agree(&all);
    assert_eq!(world.devices[a].engine.waiting(), 0);
}

#[test]
fn a_device_that_is_revoked_meanwhile_is_left_out_of_the_commit_of_many() {
    let mut world = World::new(909);
    let a = world.add("a/pc");
    world.group("g", &[a]);
    let crowd = world.crowd(5);
    world.add("u2/phone");
    world.settle();
    world.hold_commit(a, &format!("/invite{}", all_of(5)));
    world.fault = None;
    world.say(crowd[2], "/revoke phone");
    while world.step(crowd[2]) {}

    let calls = world.note_invites(|_| None);
    world.settle();
    assert_eq!(world.was_refused(a, ErrorCode::DevicesOutdated), 1);
    assert_eq!(calls.borrow().claims, ["u2"], "the others' are still there");
    world.all_accept(&crowd);
    let all: Vec<usize> = [a].into_iter().chain(crowd).collect();
    world.agree(&all);
    assert!(!world.devices[a].has_line("failed"), "{:?}", world.devices[a].lines());
}

/// It may be about one of them, and say nothing of which.
#[test]
fn one_for_whom_commits_are_refused_does_not_keep_the_others_out() {
    let mut world = World::new(910);
    let a = world.add("a/pc");
    world.group("g", &[a]);
    let crowd = world.crowd(9);
    let bad = b"u5/pc";
    let calls = world.note_invites(move |request| {
        let Request::SubmitCommit(commit) = request else { return None };
        let names_it = commit.commit.windows(bad.len()).any(|part| part == bad);
        names_it.then(|| CallError::refused(ErrorCode::Invalid, "it was made so"))
    });
    world.say(a, &format!("/invite{}", all_of(9)));
    world.settle();
    assert_eq!(world.devices[a].count("failed "), 1, "{:?}", world.devices[a].lines());
    assert!(world.devices[a].has_line("failed g u5 is not invited: "));
    assert_eq!(calls.borrow().claims.len(), 9);
    world.fault = None;
    world.all_accept(&crowd);
    let others = crowd.iter().copied().filter(|i| *i != crowd[5]);
    let all: Vec<usize> = [a].into_iter().chain(others).collect();
    world.agree(&all);
}

#[test]
fn claims_that_the_service_postpones_hold_up_nobody_whose_are_there() {
    let mut world = World::new(911);
    let a = world.add("a/pc");
    world.group("g", &[a]);
    let crowd = world.crowd(4);
    world.note_invites(|request| {
        let Request::ClaimKeyPackages(claim) = request else { return None };
        let (code, detail) = (ErrorCode::RateLimited, "it was made so".into());
        let retry_after = Duration::from_secs(20);
        let error = CallError::Postponed { code, detail, retry_after };
        (claim.user.as_str() == "u2").then_some(error)
    });
    world.say(a, &format!("/invite{}", all_of(4)));
    for _ in 0..400 {
        for i in 0..world.devices.len() {
            world.step(i);
        }
        world.now += 10;
    }
    assert_eq!(world.devices[a].count("added g "), 2, "{:?}", world.devices[a].lines());
    world.fault = None;
    world.settle();
    world.all_accept(&crowd);
    let all: Vec<usize> = [a].into_iter().chain(crowd).collect();
    world.agree(&all);
}

#[test]
fn a_claim_that_is_refused_once_is_made_again_for_each_user() {
    let mut world = World::new(911);
    let [a, b] = ["a/pc", "b/pc"].map(|id| world.add(id));
    world.group("g", &[a, b]);
    let crowd = world.crowd(3);
    let refused = RefCell::new(std::collections::BTreeSet::new());
    let calls = world.note_invites(move |request| {
        let Request::ClaimKeyPackages(claim) = request else { return None };
        let is_first = refused.borrow_mut().insert(claim.user.clone());
        is_first.then(|| CallError::refused(ErrorCode::Invalid, "it was made so"))
    });
    world.say(a, &format!("/invite{}", all_of(3)));
    world.settle();
    assert_eq!((calls.borrow().commits, calls.borrow().claims.len()), (1, 6));
    assert_eq!(world.devices[a].count("failed "), 0, "{:?}", world.devices[a].lines());
    world.all_accept(&crowd);
    world.agree(&[a, b, crowd[0], crowd[1], crowd[2]]);
}
