//! What a refusal lists is done, and the commit made again.

use super::*;
use conclave_delivery_api::{Bytes, Details, MissingProposal, SubmitProposal};

/// Nobody can submit commits.
fn no_commits(request: &Request) -> Option<CallError> {
    matches!(request, Request::SubmitCommit(_)).then(unreachable)
}

impl World {
    /// Lets a device make a commit that does not reach the service yet.
    pub(super) fn hold_commit(&mut self, i: usize, line: &str) {
        self.fault = Some(Box::new(no_commits));
        self.say(i, line);
        while self.step(i) {}
        let groups = self.devices[i].engine.conversations.values();
        assert_eq!(groups.filter(|live| live.group().pending_commit().is_some()).count(), 1);
    }

    pub(super) fn was_refused(&self, i: usize, code: ErrorCode) -> usize {
        self.refusals.iter().filter(|refused| **refused == (i, code)).count()
    }
}

#[test]
fn a_commit_that_crosses_a_departure_takes_it_along() {
    let mut world = World::new(120);
    let [a, b, c, d] = ["a/pc", "b/pc", "c/pc", "d/pc"].map(|id| world.add(id));
    world.group("g", &[a, b, c]);
    world.hold_commit(c, "/invite d");
    world.say(b, "/leave");
    while world.step(b) {}

    world.fault = None;
    while world.was_refused(c, ErrorCode::ProposalsMissing) == 0 {
        if !world.step(c) {
            world.now += 100;
        }
    }
    world.settle();
    world.accept(d, "g");
    world.settle();
    world.agree(&[a, c, d]);
    assert!(world.devices[b].has_line("left g"), "{:?}", world.devices[b].lines());
    assert_eq!(world.was_refused(c, ErrorCode::ProposalsMissing), 1, "once");
    assert_eq!(world.errors(c), Vec::<String>::new());
    assert!(!world.devices[c].has_line("failed"), "{:?}", world.devices[c].lines());
}

/// The service cannot see that its membership tag is wrong; members refuse it.
#[test]
fn a_departure_that_members_cannot_read_holds_nothing_up() {
    let mut world = World::new(121);
    let [a, c, b] = ["a/pc", "c/pc", "b/pc"].map(|id| world.add(id));
    world.group("g", &[a, b]);
    let proposed = Arc::new(Mutex::new(None::<Bytes>));
    let kept = proposed.clone();
    world.fault = Some(Box::new(move |request| {
        let Request::SubmitProposal(proposal) = request else { return None };
        *kept.lock().unwrap() = Some(proposal.proposal.clone());
        Some(unreachable())
    }));
    world.say(b, "/leave");
    while world.step(b) {}
    world.fault = None;
    let mut bent = proposed.lock().unwrap().clone().unwrap().into_vec();
    *bent.last_mut().unwrap() ^= 1;
    world.call(b, Request::SubmitProposal(SubmitProposal { proposal: bent.into() })).unwrap();
    world.devices.remove(b);

    world.say(a, "/invite c");
    world.settle();
    world.accept(c, "g");
    world.say(a, "hello");
    world.settle();
    assert!(world.was_refused(a, ErrorCode::ProposalsMissing) > 0);
    assert_eq!(world.devices[c].messages().len(), 1, "{:?}", world.devices[a].lines());
    assert!(!world.devices[a].has_line("failed"), "{:?}", world.devices[a].lines());
}

#[test]
fn whoever_is_invited_while_a_device_is_revoked_comes_in_without_it() {
    let mut world = World::new(122);
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    world.add("b/phone");
    world.group("g", &[a]);
    world.hold_commit(a, "/invite b");
    world.say(b, "/revoke phone");
    while world.step(b) {}

    world.fault = None;
    world.settle();
    assert_eq!(world.was_refused(a, ErrorCode::DevicesOutdated), 1);
    world.accept(b, "g");
    world.say(a, "hello");
    world.settle();
    world.agree(&[a, b]);
    assert_eq!(world.devices[b].messages().len(), 1, "{:?}", world.devices[a].lines());
    assert!(!world.devices[a].has_line("failed"), "{:?}", world.devices[a].lines());
}

/// It would never come to an end otherwise.
#[test]
fn a_service_that_asks_for_more_and_more_is_not_followed_for_ever() {
    let mut world = World::new(123);
    let [a, b, c] = ["a/pc", "b/pc", "c/pc"].map(|id| world.add(id));
    world.group("g", &[a, b]);
    world.fault = Some(Box::new(|request| {
        let Request::SubmitCommit(_) = request else { return None };
        let position = LogPosition::beginning(u64::MAX);
        let missing = vec![MissingProposal { reference: [7].into(), seq: u64::MAX }];
        let details = Details::Proposals { end: position, missing, total: 1 };
        let (code, detail) = (ErrorCode::ProposalsMissing, "it was made so".into());
        Some(CallError::Refused { code, detail, details: Some(Box::new(details)) })
    }));
    world.say(a, "/invite c");
    world.settle();
    assert!(
        world.devices[a].has_line("failed g c is not invited"),
        "{:?}",
        world.devices[a].lines()
    );

    world.fault = None;
    world.say(a, "/invite c");
    world.settle();
    world.accept(c, "g");
    world.settle();
    world.agree(&[a, b, c]);
}
