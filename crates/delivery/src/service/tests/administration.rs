//! What an administrator may do: look, invite, block, drop what is old. Nobody's account log is changed by it.

use super::room::{Room, room, room_with};
use crate::service::{Act, Field, Limits, Report, ServiceError};
use crate::testing::*;
use conclave_delivery_api::*;
use core::time::Duration;

fn administer(desk: &Desk, act: Act) -> Result<Report, ServiceError> {
    Ok(desk.service.administer(act, desk.now)?.reply)
}

fn field<'a>(row: &'a [(&'static str, Field)], name: &str) -> &'a Field {
    &row.iter().find(|(known, _)| *known == name).unwrap().1
}

fn number(report: &Report, name: &str) -> u64 {
    match field(&report[0], name) {
        Field::Number(number) => *number,
        other => panic!("{other:?}"),
    }
}

/// A group of alice's with so many messages.
fn group_with(r: &Room, messages: u8) -> GroupId {
    let id = GroupId::from([7; 16]);
    let kind = GroupKind::Opaque { epoch: 0 };
    r.desk.reply(&r.alice, CreateGroup { group_id: id.clone(), kind });
    for n in 0..messages {
        send(r, &id, n);
    }
    id
}

fn send(r: &Room, id: &GroupId, n: u8) {
    let message = private(id, 0, ContentType::Application, &[n; 500]);
    let sent = r.desk.reply(&r.alice, SendMessage { message });
    assert!(matches!(sent, Outcome::Accepted { .. }), "{sent:?}");
}

fn fetch(r: &Room, id: &GroupId, after: u64) -> Result<LogPage, ServiceError> {
    let fetch = FetchLog { group_id: id.clone(), after, limit: 100 };
    Ok(r.desk.call(&r.alice, fetch)?.reply)
}

#[test]
fn a_blocked_user_has_no_session_and_gives_no_key_package() {
    let mut r = room();
    let session = r.desk.open_session(&r.bob).unwrap();
    let package = r.bob.key_package(false, Own::lifetime(NOW), &mut r.dice);
    r.desk.publish(&r.bob, &[&package]);
    let bob = r.bob.id.user.clone();

    let done = r.desk.service.administer(Act::Block(bob.clone()), NOW).unwrap();
    assert_eq!(done.ended, [r.bob.id.clone()], "its event streams end");
    assert_eq!(r.desk.request(&session, 1).unwrap_err().code, ErrorCode::Unauthorized);
    assert_eq!(r.desk.open_session(&r.bob).unwrap_err().code, ErrorCode::Blocked);
    let claim = ClaimKeyPackages { user: bob.clone(), cipher_suite: SUITE, devices: vec![] };
    assert_eq!(r.desk.refused(&r.alice, claim.clone()), ErrorCode::Blocked);
    // It lasts, and its account is as it was.
    let desk = Desk::open(crash_copy(r.dir.path()).path());
    assert_eq!(desk.open_session(&r.bob).unwrap_err().code, ErrorCode::Blocked);
    r.desk.open_session(&r.alice).unwrap();

    administer(&r.desk, Act::Unblock(bob)).unwrap();
    r.desk.open_session(&r.bob).unwrap();
    assert!(r.desk.reply(&r.alice, claim).devices[0].key_package.is_some());
    let nobody = administer(&r.desk, Act::Block("nobody".parse().unwrap())).unwrap_err();
    assert_eq!(nobody.code, ErrorCode::UnknownUser);
}

#[test]
fn invitations_are_open_until_they_are_used_or_expire() {
    let dir = tempfile::tempdir().unwrap();
    let mut desk = Desk::new(dir.path(), Limits::default(), Registration::Invitation);
    let invite = |desk: &Desk, days| match field(
        &administer(desk, Act::Invite(days)).unwrap()[0],
        "invitation",
    ) {
        Field::Text(text) => parse_hex(text).unwrap(),
        other => panic!("{other:?}"),
    };
    let open = |desk: &Desk| administer(desk, Act::Invitations).unwrap().len();
    let (used, _short, _long) = (invite(&desk, 3), invite(&desk, 1), invite(&desk, 9));
    assert_eq!(open(&desk), 3);

    let alice = Own::new("alice/pc", &mut Dice(3));
    let invitation = Some(used.into());
    desk.anonymous(SubmitAccount { invitation, ..alice.submission() }).unwrap();
    assert_eq!(open(&desk), 2);
    desk.wait(2 * 24 * 60 * 60);
    assert_eq!(open(&desk), 1);
}

#[test]
fn messages_that_are_too_many_or_too_old_are_dropped_and_readers_told() {
    let week = Duration::from_secs(7 * 24 * 60 * 60);
    let few = Limits { log_entries: Some(4), ..Limits::default() };
    let young = Limits { log_age: Some(week), ..Limits::default() };
    for limits in [few, young] {
        let mut r = room_with(limits);
        let id = group_with(&r, 20);
        assert_eq!(fetch(&r, &id, 0).unwrap().entries.len(), 20);
        r.desk.wait(week.as_secs() + 1);
        (20..24).for_each(|n| send(&r, &id, n));

        let compacted = administer(&r.desk, Act::Compact).unwrap();
        assert_eq!(number(&compacted, "messages_dropped"), 20);
        for after in [0, 19] {
            let refused = fetch(&r, &id, after).unwrap_err();
            assert_eq!(refused.code, ErrorCode::LogTruncated);
            assert!(refused.detail.contains("begins with number 21"), "{refused}");
        }
        let page = fetch(&r, &id, 20).unwrap();
        assert_eq!((page.entries.len(), page.head), (4, 24));
        assert_eq!(fetch(&r, &id, 24).unwrap().entries, []);
        assert_eq!(number(&administer(&r.desk, Act::Compact).unwrap(), "messages_dropped"), 0);
        // Numbers go on.
        send(&r, &id, 24);
        assert_eq!(fetch(&r, &id, 24).unwrap().entries[0].seq, 25);
    }
}

#[test]
fn without_a_limit_nothing_is_dropped() {
    let mut r = room();
    let id = group_with(&r, 3);
    let carol = Own::new("carol/pc", &mut r.dice);
    r.desk.register(&carol);
    invite_two(&mut r, 1, &carol);
    r.desk.wait(10 * 365 * 24 * 60 * 60);
    assert_eq!(number(&administer(&r.desk, Act::Compact).unwrap(), "messages_dropped"), 0);
    assert_eq!(fetch(&r, &id, 0).unwrap().entries.len(), 3);
    assert_eq!(waiting(&r, &r.bob), [GroupId::from([1; 16])]);
}

#[test]
fn the_last_message_of_a_log_is_never_dropped() {
    let mut r = room_with(Limits { log_age: Some(Duration::from_secs(60)), ..Limits::default() });
    let id = group_with(&r, 3);
    r.desk.wait(3600);
    assert_eq!(number(&administer(&r.desk, Act::Compact).unwrap(), "messages_dropped"), 2);
    assert_eq!(fetch(&r, &id, 0).unwrap_err().code, ErrorCode::LogTruncated);
    assert_eq!(fetch(&r, &id, 2).unwrap().entries.len(), 1);
}

/// Alice's group of this number, into which one Welcome invites bob and carol.
fn invite_two(r: &mut Room, n: u8, carol: &Own) -> GroupId {
    let id = GroupId::from([n; 16]);
    let kind = GroupKind::Opaque { epoch: 0 };
    r.desk.reply(&r.alice, CreateGroup { group_id: id.clone(), kind });
    let lifetime = Own::lifetime(r.desk.now);
    let packages = [&r.bob, carol].map(|own| {
        let package = own.key_package(false, lifetime, &mut r.dice);
        r.desk.publish(own, &[&package]);
        package.reference().clone()
    });
    let request = SubmitCommit {
        welcomes: vec![welcome(&packages)],
        ratchet_tree: Some(vec![9; 30].into()),
        added: vec![r.bob.id.clone(), carol.id.clone()],
        ..SubmitCommit::new(private(&id, 0, ContentType::Commit, b"adds bob and carol"))
    };
    r.desk.reply(&r.alice, request);
    id
}

/// The groups of the Welcomes that wait for a device.
fn waiting(r: &Room, own: &Own) -> Vec<GroupId> {
    let items = r.desk.reply(own, FetchInbox { limit: 100 }).items.into_iter();
    items.map(|item| item.welcome.group_id).collect()
}

#[test]
fn a_welcome_that_nobody_fetches_is_dropped_when_its_time_is_over() {
    let week = 7 * 24 * 60 * 60;
    let inbox_age = Some(Duration::from_secs(week));
    let mut r = room_with(Limits { inbox_age, ..Limits::default() });
    let carol = Own::new("carol/pc", &mut r.dice);
    r.desk.register(&carol);
    let old = invite_two(&mut r, 1, &carol);
    r.desk.wait(week - 1);
    let young = invite_two(&mut r, 2, &carol);
    let compact =
        |r: &Room| number(&administer(&r.desk, Act::Compact).unwrap(), "welcomes_dropped");
    r.desk.wait(1);
    assert_eq!(compact(&r), 0, "at the edge");
    let both = [old.clone(), young.clone()];
    assert_eq!([waiting(&r, &r.bob), waiting(&r, &carol)], [both.clone(), both]);

    // Carol takes hers in time, and bob's of the same Welcome goes all the same.
    let first = r.desk.reply(&carol, FetchInbox { limit: 1 }).items.remove(0);
    r.desk.reply(&carol, AckInbox { ids: vec![first.id] });
    r.desk.wait(1);
    assert_eq!(compact(&r), 1);
    let young = [young];
    assert_eq!([waiting(&r, &r.bob), waiting(&r, &carol)], [young.clone(), young]);
    assert_eq!(compact(&r), 0);

    // Nothing of it is left, bob is a member all the same, and logs keep what they have.
    let folder = crash_copy(r.dir.path());
    assert_eq!(crate::storage::SqliteStorage::open(folder.path()).unwrap().check(), Ok(()));
    assert_eq!(blobs(folder.path()), 2);
    let page = r.desk.reply(&r.bob, FetchLog { group_id: old, after: 0, limit: 9 });
    assert_eq!(page.entries.len(), 1);
}

/// How many Welcomes and trees are stored.
fn blobs(folder: &std::path::Path) -> u32 {
    let db = rusqlite::Connection::open(folder.join("delivery.db")).unwrap();
    db.query_row("SELECT count(*) FROM blob", [], |r| r.get(0)).unwrap()
}

#[test]
fn many_old_welcomes_are_dropped_in_steps() {
    let inbox_age = Some(Duration::from_secs(60));
    let mut r = room_with(Limits { inbox_age, groups: 600, ..Limits::default() });
    let package = r.bob.key_package(true, Own::lifetime(NOW), &mut r.dice);
    r.desk.publish(&r.bob, &[&package]);
    for n in 0..501u16 {
        let id = GroupId::from(n.to_be_bytes());
        let kind = GroupKind::Opaque { epoch: 0 };
        r.desk.reply(&r.alice, CreateGroup { group_id: id.clone(), kind });
        let request = SubmitCommit {
            welcomes: vec![welcome(std::slice::from_ref(package.reference()))],
            added: vec![r.bob.id.clone()],
            ..SubmitCommit::new(private(&id, 0, ContentType::Commit, b"adds bob"))
        };
        r.desk.reply(&r.alice, request);
    }
    r.desk.wait(61);
    let compacted = administer(&r.desk, Act::Compact).unwrap();
    assert_eq!(number(&compacted, "welcomes_dropped"), 501);
    assert_eq!(waiting(&r, &r.bob), []);
}

#[test]
fn lists_say_who_and_what_there_is() {
    let mut r = room();
    let tablet = r.alice.add("tablet", &mut r.dice);
    r.desk.register(&tablet);
    group_with(&r, 5);
    let users = administer(&r.desk, Act::Users).unwrap();
    assert_eq!(users.len(), 2);
    assert_eq!(field(&users[0], "user"), &Field::Text("alice".into()));
    assert_eq!(number(&users, "devices"), 2);
    assert_eq!(number(&users, "groups_made"), 1);
    let devices = administer(&r.desk, Act::Devices("alice".parse().unwrap())).unwrap();
    assert_eq!(devices.len(), 2);
    let groups = administer(&r.desk, Act::Groups).unwrap();
    assert_eq!((number(&groups, "messages"), number(&groups, "members")), (5, 1));
    let status = administer(&r.desk, Act::Status).unwrap();
    assert_eq!((number(&status, "users"), number(&status, "messages")), (2, 5));
}
