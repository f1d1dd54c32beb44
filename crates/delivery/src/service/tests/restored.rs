//! What a restored service takes back of a log, and from whom.

use super::room::{Room, room};
use super::tracked::{ID, Member, World, stored};
use crate::testing::*;
use conclave_delivery_api::*;
use conclave_mls::group::Framing;

fn fetch(desk: &Desk, own: &Own, after: u64) -> LogPage {
    desk.reply(own, FetchLog { group_id: ID.into(), after, limit: 100 })
}

/// What gives back the entries of a page.
fn giving_back(page: &LogPage) -> RestoreLog {
    RestoreLog {
        group_id: ID.into(),
        before: page.before.unwrap(),
        entries: page.entries.clone(),
        end: page.end.clone(),
    }
}

/// An opaque group in which alice has said something, a service that was set back to then, and what it has lost.
fn set_back() -> (Room, tempfile::TempDir, Desk, LogPage) {
    let mut r = room();
    r.desk
        .reply(&r.alice, CreateGroup { group_id: ID.into(), kind: GroupKind::Opaque { epoch: 0 } });
    let say = |r: &Room, text: &str| {
        let message = private(&ID.into(), 0, ContentType::Application, text.as_bytes());
        r.desk.reply(&r.alice, SendMessage { message })
    };
    say(&r, "before");
    let (dir, desk) = next_life(r.dir.path());
    for text in ["one", "two", "three"] {
        r.desk.wait(5);
        say(&r, text);
    }
    let lost = fetch(&r.desk, &r.alice, 1);
    assert_eq!(lost.entries.len(), 3);
    (r, dir, desk, lost)
}

#[test]
fn a_log_that_was_set_back_becomes_what_it_was_whoever_gives_it_back() {
    let (r, _dir, mut desk, lost) = set_back();
    desk.wait(100);
    for (who, own) in [("a stranger", &r.bob), ("its author, once more", &r.alice)] {
        let done = desk.call(own, giving_back(&lost)).unwrap();
        assert_eq!(done.reply.taken, 3, "{who}");
        assert_eq!(done.reply.receipt.position, lost.end.position, "{who}");
        assert_ne!(done.reply.receipt.incarnation, lost.end.incarnation);
        assert_eq!(done.notices.len(), usize::from(who == "a stranger"), "the last place is told");
        let now = fetch(&desk, &r.alice, 1);
        assert_eq!((now.before, now.entries), (lost.before, lost.entries.clone()), "{who}");
    }
}

#[test]
fn what_was_said_meanwhile_stays_and_each_entry_comes_once() {
    let (r, _dir, mut desk, lost) = set_back();
    desk.wait(100);
    let say = |text: &[u8]| {
        let message = private(&ID.into(), 0, ContentType::Application, text);
        desk.reply(&r.alice, SendMessage { message })
    };
    say(b"meanwhile");
    say(b"two");
    assert_eq!(desk.reply(&r.bob, giving_back(&lost)).taken, 3);
    let now = fetch(&desk, &r.alice, 1).entries;
    let messages: Vec<&Bytes> = now.iter().map(|entry| &entry.message).collect();
    let [one, two, three] = [0, 1, 2].map(|i| &lost.entries[i].message);
    assert_eq!(messages[1..], [two, one, three]);
    assert_eq!(now[2].received_at, lost.entries[0].received_at);
}

#[test]
fn what_its_own_receipt_does_not_show_is_not_taken_back() {
    let (r, _dir, desk, lost) = set_back();
    let good = giving_back(&lost);
    let (other, service) = (room(), r.desk.service_key());
    assert_ne!(other.desk.service_key(), service);
    let change = |change: &dyn Fn(&mut RestoreLog)| {
        let mut request = good.clone();
        change(&mut request);
        request
    };
    let signed = |request: &mut RestoreLog| {
        request.end = other.desk.service.sign_again(request.end.clone()).unwrap();
    };
    let present = fetch(&desk, &r.alice, 0).end.incarnation;
    let of_now = |request: &mut RestoreLog| {
        request.end.incarnation = present;
        request.end = desk.service.sign_again(request.end.clone()).unwrap();
    };
    let many = |request: &mut RestoreLog| {
        request.entries = vec![request.entries[0].clone(); MAX_PAGE as usize + 1];
    };
    let cases = [
        (change(&|r| r.entries[1].message = [1].into()), ErrorCode::Invalid),
        (change(&|r| r.entries[0].received_at += 1), ErrorCode::Invalid),
        (change(&|r| drop(r.entries.remove(1))), ErrorCode::Invalid),
        (change(&|r| drop(r.entries.pop())), ErrorCode::Invalid),
        (change(&|r| r.entries.clear()), ErrorCode::Invalid),
        (change(&|r| r.before = ChainHash([1; 32])), ErrorCode::Invalid),
        (change(&|r| r.group_id = [9; 16].into()), ErrorCode::Invalid),
        (change(&many), ErrorCode::Invalid),
        (change(&of_now), ErrorCode::Invalid),
        (change(&signed), ErrorCode::BadProof),
        (change(&|r| r.end.signature[0] ^= 1), ErrorCode::BadProof),
    ];
    for (n, (request, code)) in cases.into_iter().enumerate() {
        assert_eq!(desk.refused(&r.alice, request), code, "{n}");
    }
    let e = desk.call(&r.alice, change(&many)).unwrap_err();
    assert!(e.detail.contains("come at once"), "they do not add up either: {e}");
    // To the service that has lost nothing it is of its own life.
    assert_eq!(r.desk.refused(&r.alice, good.clone()), ErrorCode::Invalid);
    assert_eq!(fetch(&desk, &r.alice, 1).entries, []);
    assert_eq!(desk.reply(&r.alice, good).taken, 3);
}

#[test]
fn commits_of_opaque_groups_are_submitted_again_by_their_authors() {
    let (r, _dir, desk, _) = set_back();
    let message = private(&ID.into(), 0, ContentType::Commit, b"x");
    r.desk.reply(&r.alice, SubmitCommit::new(message.clone()));
    let lost = fetch(&r.desk, &r.alice, 1);
    // What came before it is.
    assert_eq!(desk.reply(&r.alice, giving_back(&lost)).taken, 3);
    assert_eq!(
        desk.refused(&r.alice, giving_back(&fetch(&r.desk, &r.alice, 4))),
        ErrorCode::Invalid
    );
    desk.reply(&r.alice, SubmitCommit::new(message));
    assert_eq!(desk.reply(&r.alice, giving_back(&lost)).taken, 4);
}

fn said(w: &mut World, by: &mut Member, text: &[u8]) -> LogPage {
    let step = by.group.encrypt(&PROVIDER, &mut w.dice, text, &Framing::default()).unwrap();
    let message = stored(&mut by.group, step).into();
    w.desk.reply(&by.own, SendMessage { message });
    fetch(&w.desk, &by.own, 0)
}

#[test]
fn a_lost_commit_brings_back_its_members_and_no_other_takes_its_place() {
    let mut w = World::new();
    let mut alice = w.create("alice/laptop");
    let bob = w.add(&mut alice, "bob/phone");
    let (_dir, desk) = w.next_life();
    let mut carol = w.add(&mut alice, "carol/pc");
    let log = said(&mut w, &mut carol, b"hello");
    assert_eq!(log.entries.len(), 3);

    // Nobody knows carol there.
    assert_eq!(
        desk.refused(&carol.own, FetchLog { group_id: ID.into(), after: 0, limit: 9 }),
        ErrorCode::NotMember
    );
    assert_eq!(desk.reply(&bob.own, giving_back(&log)).taken, 1, "the first was never lost");
    let rest = RestoreLog {
        before: log.chains(&ID.into(), None).unwrap()[0],
        entries: log.entries[1..].to_vec(),
        ..giving_back(&log)
    };
    assert_eq!(desk.refused(&bob.own, rest.clone()), ErrorCode::Invalid, "whose key is it?");
    desk.register(&carol.own);
    let done = desk.call(&bob.own, rest.clone()).unwrap();
    assert_eq!((done.reply.taken, done.reply.receipt.position), (2, log.end.position));
    assert!(done.notices.iter().any(|notice| notice.to.contains(&carol.own.id)));
    assert_eq!(fetch(&desk, &carol.own, 0).entries, log.entries);
}

#[test]
fn a_commit_of_an_epoch_that_has_ended_in_another_way_is_not_taken_back() {
    let mut w = World::new();
    let mut alice = w.create("alice/laptop");
    let mut bob = w.add(&mut alice, "bob/phone");
    let competing = w.staged(&mut bob, vec![]);
    let (_dir, desk) = w.next_life();
    let own = w.staged(&mut alice, vec![]);
    w.submit(&mut alice, own);
    let lost = fetch(&w.desk, &alice.own, 1);
    desk.reply(&bob.own, competing);
    assert_eq!(desk.refused(&alice.own, giving_back(&lost)), ErrorCode::Invalid);
    assert_eq!(fetch(&desk, &bob.own, 0).entries.len(), 2);
}
