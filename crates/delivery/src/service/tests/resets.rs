//! A group that is broken ends, and another takes its place.

use super::tracked::{ID, Member, World, stored};
use crate::service::{Act, Notice};
use crate::testing::*;
use conclave_delivery_api::*;
use conclave_mls::group::{Framing, NewProposal};

fn reset(old: &GroupId, random: u8) -> ResetGroup {
    let group_id = successor_id(&PROVIDER, old, [random; 16]).unwrap();
    let successor = CreateGroup { group_id, kind: GroupKind::Opaque { epoch: 0 } };
    ResetGroup { group_id: old.clone(), successor }
}

fn with_two() -> (World, Member, Member) {
    let mut w = World::new();
    let mut alice = w.create("alice/laptop");
    let bob = w.add(&mut alice, "bob/phone");
    (w, alice, bob)
}

fn message(w: &mut World, by: &mut Member, text: &[u8]) -> SendMessage {
    let step = by.group.encrypt(&PROVIDER, &mut w.dice, text, &Framing::default()).unwrap();
    SendMessage { message: stored(&mut by.group, step).into() }
}

#[test]
fn a_group_that_was_reset_takes_nothing_more_and_its_log_stays() {
    let (mut w, mut alice, mut bob) = with_two();
    let before = message(&mut w, &mut alice, b"before");
    let after = message(&mut w, &mut bob, b"after");
    let commit = w.staged(&mut bob, vec![]);
    let accepted = w.desk.reply(&alice.own, before.clone());
    let request = reset(&ID.into(), 1);
    let successor = request.successor.group_id.clone();
    let done = w.desk.call(&alice.own, request.clone()).unwrap();
    let WasReset { successor: made, receipt } = done.reply;
    assert_eq!(made, successor);
    let receipt = receipt.unwrap();
    assert_eq!(receipt.verify(&PROVIDER, &w.desk.service_key()), Ok(()));
    let begins = LogPosition::beginning(0);
    assert_eq!((&receipt.group_id, receipt.position), (&successor, begins));
    let ending = Ending::Succeeded(successor);
    let event = Event::Ended { group_id: ID.into(), ending: ending.clone() };
    let to = [alice.own.id.clone(), bob.own.id.clone()].into();
    assert_eq!(done.notices, [Notice { to, event: event.clone() }]);

    assert_eq!(w.desk.refused(&bob.own, after), ErrorCode::GroupEnded);
    assert_eq!(w.desk.refused(&bob.own, commit), ErrorCode::GroupEnded);
    assert_eq!(w.desk.reply(&alice.own, before), accepted, "the answer was lost");
    let page = w.desk.reply(&bob.own, FetchLog { group_id: ID.into(), after: 0, limit: 9 });
    assert_eq!((page.entries.len(), page.ending), (2, Some(ending)));
    // Who comes later is told, too.
    w.restart();
    let current = w.desk.service.current_events(&bob.own.info()).unwrap();
    assert!(current.contains(&event), "{current:?}");
    assert_eq!(w.desk.reply(&alice.own, request).successor, page_successor(&w, &bob));
}

#[test]
fn what_an_administrator_ends_takes_nothing_more_and_a_member_may_succeed_it() {
    let (mut w, mut alice, mut bob) = with_two();
    let before = message(&mut w, &mut alice, b"before");
    let after = message(&mut w, &mut bob, b"after");
    let commit = w.staged(&mut bob, vec![]);
    let accepted = w.desk.reply(&alice.own, before.clone());
    let administer = |w: &World, id: GroupId| w.desk.service.administer(Act::Reset(id), w.desk.now);
    assert_eq!(administer(&w, [9; 16].into()).unwrap_err().code, ErrorCode::UnknownGroup);
    let to = [alice.own.id.clone(), bob.own.id.clone()].into();
    let event = Event::Ended { group_id: ID.into(), ending: Ending::Unsucceeded };
    let done = administer(&w, ID.into()).unwrap();
    assert_eq!(done.notices, [Notice { to, event: event.clone() }]);

    assert_eq!(w.desk.refused(&bob.own, after), ErrorCode::GroupEnded);
    assert_eq!(w.desk.refused(&bob.own, commit), ErrorCode::GroupEnded);
    assert_eq!(w.desk.reply(&alice.own, before), accepted, "the answer was lost");
    w.restart();
    let current = w.desk.service.current_events(&bob.own.info()).unwrap();
    assert!(current.contains(&event), "{current:?}");
    let fetch = FetchLog { group_id: ID.into(), after: 0, limit: 9 };
    let page = w.desk.reply(&bob.own, fetch);
    assert_eq!((page.entries.len(), page.ending), (2, Some(Ending::Unsucceeded)));

    // It has no successor but the one that a member names.
    let mallory = w.device("mallory/pc");
    assert_eq!(w.desk.refused(&mallory, reset(&ID.into(), 1)), ErrorCode::NotMember);
    let made = w.desk.reply(&bob.own, reset(&ID.into(), 2));
    assert!(made.receipt.is_some());
    let late = w.desk.reply(&alice.own, reset(&ID.into(), 3));
    assert_eq!((late.successor, late.receipt), (made.successor.clone(), None));
    let again = administer(&w, ID.into()).unwrap();
    let ending = Ending::Succeeded(made.successor);
    assert_eq!(again.notices[0].event, Event::Ended { group_id: ID.into(), ending });
}

fn page_successor(w: &World, by: &Member) -> GroupId {
    let fetch = FetchLog { group_id: ID.into(), after: 0, limit: 1 };
    w.desk.reply(&by.own, fetch).ending.unwrap().successor().unwrap().clone()
}

#[test]
fn who_was_removed_before_hears_nothing_of_a_reset() {
    let (mut w, mut alice, bob) = with_two();
    let leaf = bob.group.own_leaf();
    let request = w.staged(&mut alice, vec![NewProposal::Remove(leaf)]);
    w.submit(&mut alice, request);
    let done = w.desk.call(&alice.own, reset(&ID.into(), 1)).unwrap();
    assert_eq!(*done.notices[0].to, [alice.own.id.clone()]);
    let fetch = FetchLog { group_id: ID.into(), after: 0, limit: 9 };
    assert_eq!(w.desk.reply(&bob.own, fetch).ending, None);
    let told = w.desk.service.current_events(&bob.own.info()).unwrap();
    assert!(!told.iter().any(|event| matches!(event, Event::Ended { .. })), "{told:?}");
    assert_eq!(w.desk.refused(&bob.own, reset(&ID.into(), 1)), ErrorCode::NotMember);
}

#[test]
fn of_two_who_reset_a_group_the_first_makes_its_successor() {
    let (w, alice, bob) = with_two();
    let (first, second) = (reset(&ID.into(), 1), reset(&ID.into(), 2));
    let made = w.desk.reply(&bob.own, first.clone());
    let late = w.desk.reply(&alice.own, second.clone());
    assert_eq!((late.successor, late.receipt), (made.successor.clone(), None));
    let other = FetchLog { group_id: second.successor.group_id, after: 0, limit: 1 };
    assert_eq!(w.desk.refused(&alice.own, other), ErrorCode::UnknownGroup);
    // The successor can be reset in turn.
    let again = reset(&made.successor, 3);
    assert_eq!(w.desk.reply(&bob.own, again.clone()).successor, again.successor.group_id);
}

#[test]
fn only_a_device_in_a_group_resets_it() {
    let (mut w, alice, _) = with_two();
    let mallory = w.device("mallory/pc");
    assert_eq!(w.desk.refused(&mallory, reset(&ID.into(), 1)), ErrorCode::NotMember);
    assert_eq!(w.desk.refused(&alice.own, reset(&[9; 16].into(), 1)), ErrorCode::UnknownGroup);
    let mut other = reset(&ID.into(), 1);
    for unnamed in [vec![7; 32], vec![7; 16], reset(&[9; 16].into(), 1).successor.group_id.to_vec()]
    {
        other.successor.group_id = unnamed.into();
        assert_eq!(w.desk.refused(&alice.own, other.clone()), ErrorCode::Invalid);
    }
    let fetch = FetchLog { group_id: ID.into(), after: 0, limit: 1 };
    assert_eq!(w.desk.reply(&alice.own, fetch).ending, None);
}
