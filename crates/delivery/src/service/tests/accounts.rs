//! Account logs: what the service takes, and what it does with devices that come and go.

use super::room::{Room, room};
use crate::service::{Limits, ServiceError};
use crate::testing::*;
use conclave_account::{Change, Entry};
use conclave_delivery_api::*;
use std::collections::BTreeSet;

/// Submits entries; where the log ends then, or why they are refused.
fn submit(desk: &Desk, own: &Own, entries: &[Entry]) -> Result<u64, ServiceError> {
    let done = desk.anonymous(submission(&own.id.user, entries))?;
    Ok(done.reply.length)
}

fn refused(desk: &Desk, own: &Own, entries: &[Entry]) -> ErrorCode {
    submit(desk, own, entries).unwrap_err().code
}

/// The log that the service has of Alice.
fn log(r: &Room) -> Vec<Bytes> {
    let user = r.alice.id.user.clone();
    r.desk.reply(&r.bob, FetchAccount { user, after: 0 }).entries
}

fn encoded(log: &[Entry]) -> Vec<Bytes> {
    submission(&log[0].user, log).entries
}

#[test]
fn the_same_log_twice_is_one_account() {
    let mut r = room();
    let head = r.alice.account.head();
    let expected = AccountHead { length: 1, hash: head.hash.as_slice().into() };
    assert_eq!(r.desk.register(&r.alice), expected);
    let again = r.desk.anonymous(r.alice.submission()).unwrap();
    assert_eq!((again.reply, again.notices), (expected, vec![]), "nothing has happened");

    // Nor does whoever knows less take something away.
    let old = r.alice.clone();
    r.alice.add("phone", &mut r.dice);
    r.desk.register(&r.alice);
    assert_eq!(r.desk.register(&old).length, 2);
    assert_eq!(log(&r), encoded(&r.alice.log));
}

#[test]
fn a_longer_log_extends_the_shorter() {
    let mut r = room();
    r.alice.add("phone", &mut r.dice);
    r.alice.add("tablet", &mut r.dice);
    r.alice.add("watch", &mut r.dice);
    let entries = &r.alice.log;

    // What is new alone, or with some that the service has.
    assert_eq!(submit(&r.desk, &r.alice, &entries[1..2]).unwrap(), 2);
    assert_eq!(submit(&r.desk, &r.alice, &entries[1..3]).unwrap(), 3);
    assert_eq!(submit(&r.desk, &r.alice, entries).unwrap(), 4);
    assert_eq!(log(&r), encoded(entries));
    let page = r.desk.reply(&r.bob, FetchAccount { user: r.alice.id.user.clone(), after: 3 });
    assert_eq!((page.entries, page.length), (encoded(&entries[3..]), 4));
    let user = "carol".parse().unwrap();
    let unknown = FetchAccount { user, after: 0 };
    assert_eq!(r.desk.refused(&r.bob, unknown), ErrorCode::UnknownUser);
}

#[test]
fn a_service_that_has_forgotten_all_takes_the_whole_log() {
    let mut r = room();
    let phone = r.alice.add("phone", &mut r.dice);
    r.alice.revoke("phone");
    r.alice.rotate(&mut r.dice);
    r.desk.register(&r.alice);

    let other = tempfile::tempdir().unwrap();
    r.desk = Desk::open(other.path());
    let part = refused(&r.desk, &r.alice, &r.alice.log[1..]);
    assert_eq!(part, ErrorCode::BadEntry, "without its beginning");
    assert_eq!(r.desk.register(&r.alice).length, 4);
    r.desk.register(&r.bob);
    assert_eq!(log(&r), encoded(&r.alice.log));
    assert_eq!(r.desk.open_session(&phone).unwrap_err().code, ErrorCode::Revoked);
    r.desk.open_session(&r.alice).unwrap();
}

#[test]
fn a_device_comes_in_by_an_entry_of_its_accounts_devices_alone() {
    let mut r = room();
    let mallory = Own::new("mallory/pc", &mut r.dice);
    r.desk.register(&mallory);
    let ghost = Own::new("x/y", &mut r.dice).keys;
    let add = Change::AddDevice(r.alice.proved("ghost", &ghost));

    // By a stranger, in the laptop's name and in his own.
    let thief = r.alice.thief(&mut r.dice);
    let forged = thief.entry(add.clone());
    let own_name = Entry { author: mallory.author(), ..forged.clone() };
    for entry in [forged, own_name] {
        assert_eq!(refused(&r.desk, &r.alice, &[entry]), ErrorCode::BadEntry);
    }

    // Of another account: under its own name, and under Alice's.
    let other = mallory.entry(Change::AddDevice(mallory.proved("ghost", &ghost)));
    let next = Entry { sequence: r.alice.account.head().length, ..other.clone() };
    assert_eq!(refused(&r.desk, &r.alice, &[other]), ErrorCode::BadEntry);
    assert_eq!(refused(&r.desk, &r.alice, &[next]), ErrorCode::BadEntry);

    let user = "carol".parse().unwrap();
    let misplaced = SubmitAccount { user, ..mallory.submission() };
    assert_eq!(r.desk.anonymous(misplaced).unwrap_err().code, ErrorCode::BadEntry);

    // By a device that is revoked.
    let phone = r.alice.add("phone", &mut r.dice);
    r.alice.revoke("phone");
    r.desk.register(&r.alice);
    let late = Own { keys: phone.keys, id: phone.id, ..r.alice.clone() };
    let entry = late.entry(add);
    assert_eq!(refused(&r.desk, &r.alice, &[entry]), ErrorCode::BadEntry);

    // One that proves nothing, and one that is no entry.
    let mut unproved = r.alice.proved("ghost", &ghost);
    unproved.proof = Bytes::default();
    let entry = r.alice.entry(Change::AddDevice(unproved));
    assert_eq!(refused(&r.desk, &r.alice, &[entry]), ErrorCode::BadEntry);
    let nonsense = SubmitAccount {
        user: r.alice.id.user.clone(),
        entries: vec![vec![1, 2].into()],
        invitation: None,
    };
    assert_eq!(r.desk.anonymous(nonsense).unwrap_err().code, ErrorCode::Malformed);
    assert_eq!(refused(&r.desk, &r.alice, &[]), ErrorCode::Malformed);

    assert_eq!(log(&r), encoded(&r.alice.log), "nothing of it is stored");
    let ghost = Own { keys: ghost, id: "alice/ghost".parse().unwrap(), ..r.alice.clone() };
    assert_eq!(r.desk.open_session(&ghost).unwrap_err().code, ErrorCode::UnknownDevice);
}

#[test]
fn entries_are_taken_together_or_not_at_all() {
    let mut r = room();
    r.alice.add("phone", &mut r.dice);
    let mut log_with_fault = r.alice.log.clone();
    let thief = r.alice.thief(&mut r.dice);
    log_with_fault.push(thief.entry(Change::RevokeDevice("phone".parse().unwrap())));
    assert_eq!(refused(&r.desk, &r.alice, &log_with_fault), ErrorCode::BadEntry);
    assert_eq!(log(&r).len(), 1);
}

#[test]
fn a_log_with_another_history_is_a_fork() {
    let mut r = room();
    let mut other = r.alice.clone();
    r.alice.add("phone", &mut r.dice);
    r.alice.add("tablet", &mut r.dice);
    r.desk.register(&r.alice);

    // Both are signed by the laptop.
    other.add("ghost", &mut r.dice);
    let error = submit(&r.desk, &other, &other.log).unwrap_err();
    assert_eq!(error.code, ErrorCode::AccountForked, "{error}");
    assert!(error.detail.contains("entry 1"), "{error}");

    // Also if what differs comes later, or is not sent.
    other.add("ghost-2", &mut r.dice);
    other.add("ghost-3", &mut r.dice);
    assert_eq!(refused(&r.desk, &other, &other.log[3..]), ErrorCode::AccountForked);
    let first = Own::new("alice/laptop", &mut r.dice);
    assert_eq!(refused(&r.desk, &first, &first.log), ErrorCode::AccountForked);
    // Something is missing between.
    r.alice.add("watch", &mut r.dice);
    r.alice.add("car", &mut r.dice);
    assert_eq!(refused(&r.desk, &r.alice, &r.alice.log[4..]), ErrorCode::AccountForked);
    assert_eq!(log(&r), encoded(&r.alice.log[..3]));
}

#[test]
fn entries_are_not_signed_in_the_future() {
    let mut r = room();
    let at = |seconds: u64| {
        let now = NOW.saturating_add(core::time::Duration::from_secs(seconds));
        let entry = r.alice.entry(Change::AddDevice(r.alice.proved("phone", &r.bob.keys)));
        Entry { issued_at: now, ..entry }.signed(&PROVIDER, SCHEME, &r.alice.keys).unwrap()
    };
    let error = submit(&r.desk, &r.alice, &[at(601)]).unwrap_err();
    assert_eq!(error.code, ErrorCode::Clock, "nobody could sign an earlier one after it");
    assert!(error.detail.contains("601 seconds ahead"), "{error}");
    assert_eq!(submit(&r.desk, &r.alice, &[at(600)]).unwrap(), 2);
    r.desk.wait(1);
}

#[test]
fn names_that_look_alike_are_one_name() {
    let mut r = room();
    for (name, taken) in [("a1ice/pc", "alice"), ("b0b/pc", "bob"), ("alice/pc", "alice")] {
        let own = Own::new(name, &mut r.dice);
        let error = r.desk.anonymous(own.submission()).unwrap_err();
        if name == "alice/pc" {
            assert_eq!(error.code, ErrorCode::AccountForked, "the very same name: {error}");
        } else {
            assert_eq!(error.code, ErrorCode::NameTaken, "{error}");
            assert!(error.detail.contains(taken), "{error}");
        }
    }

    // Whichever came first; and what looks different is different.
    for (first, second) in [("l00k/pc", "look/pc"), ("barn/pc", "bam/pc"), ("p1l1/pc", "plll/pc")] {
        r.desk.register(&Own::new(first, &mut r.dice));
        let own = Own::new(second, &mut r.dice);
        let error = r.desk.anonymous(own.submission()).unwrap_err();
        assert_eq!(error.code, ErrorCode::NameTaken, "{second}: {error}");
    }
    for other in ["alise/pc", "bob2/pc", "boob/pc", "al-ice/pc"] {
        r.desk.register(&Own::new(other, &mut r.dice));
    }
    // An account goes on under its own name.
    r.alice.add("phone", &mut r.dice);
    assert_eq!(r.desk.register(&r.alice).length, 2);
}

#[test]
fn of_names_that_look_alike_one_is_first() {
    for round in 0..8 {
        let dir = tempfile::tempdir().unwrap();
        let desk = Desk::open(dir.path());
        let mut dice = Dice(round);
        let owns = ["look/pc", "l00k/pc", "lo0k/pc", "1ook/pc"].map(|id| Own::new(id, &mut dice));
        let results: Vec<Result<(), ErrorCode>> = std::thread::scope(|scope| {
            let register = |own: &Own| desk.anonymous(own.submission()).map(drop);
            let threads: Vec<_> =
                owns.iter().map(|own| scope.spawn(move || register(own))).collect();
            let results = threads.into_iter().map(|thread| thread.join().unwrap());
            results.map(|result| result.map_err(|e| e.code)).collect()
        });
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
        let taken = results.iter().filter(|result| **result == Err(ErrorCode::NameTaken)).count();
        assert_eq!(taken, 3, "{results:?}");
    }
}

#[test]
fn devices_that_race_for_the_next_entry_leave_one_log() {
    let mut r = room();
    let phone = r.alice.add("phone", &mut r.dice);
    r.desk.register(&r.alice);
    let laptop = r.alice.clone();
    let owns: Vec<Own> = (0..8u64)
        .map(|n| {
            let mut own = if n % 2 == 0 { laptop.clone() } else { phone.clone() };
            own.add(&format!("new-{n}"), &mut r.dice);
            own
        })
        .collect();
    let results: Vec<Result<(), ErrorCode>> = std::thread::scope(|scope| {
        let desk = &r.desk;
        let submit = |own: &Own| desk.anonymous(own.submission()).map(drop);
        let threads: Vec<_> = owns.iter().map(|own| scope.spawn(move || submit(own))).collect();
        let results = threads.into_iter().map(|thread| thread.join().unwrap());
        results.map(|result| result.map_err(|e| e.code)).collect()
    });
    let won: Vec<usize> = (0..8).filter(|n| results[*n].is_ok()).collect();
    assert_eq!(won.len(), 1, "{results:?}");
    assert!(
        results
            .iter()
            .flat_map(|result| result.err())
            .all(|code| matches!(code, ErrorCode::AccountForked | ErrorCode::Unavailable)),
        "{results:?}"
    );
    assert_eq!(log(&r), encoded(&owns[won[0]].log));
}

#[test]
fn key_packages_go_with_the_device_or_with_its_key() {
    let mut r = room();
    let phone = r.alice.add("phone", &mut r.dice);
    r.desk.register(&r.alice);
    let lifetime = Own::lifetime(NOW);
    let [a, b] = [false, true].map(|last| r.alice.key_package(last, lifetime, &mut r.dice));
    let c = phone.key_package(false, lifetime, &mut r.dice);
    r.desk.publish(&r.alice, &[&a, &b]);
    r.desk.publish(&phone, &[&c]);
    let claim =
        ClaimKeyPackages { user: r.alice.id.user.clone(), cipher_suite: SUITE, devices: vec![] };

    let before = r.alice.clone();
    r.alice.rotate(&mut r.dice);
    r.desk.register(&r.alice);
    let claimed = |r: &Room| -> Vec<(String, bool)> {
        let devices = r.desk.reply(&r.bob, claim.clone()).devices.into_iter();
        devices.map(|d| (d.device.device.to_string(), d.key_package.is_some())).collect()
    };
    assert_eq!(claimed(&r), [("laptop".into(), false), ("phone".into(), true)]);
    // Nor can the former key publish some, and what it signed the new one cannot.
    let late = before.key_package(false, lifetime, &mut r.dice);
    let publish =
        PublishKeyPackages { key_packages: vec![key_package_message(late.key_package())] };
    assert_eq!(r.desk.refused(&before, publish.clone()), ErrorCode::Invalid);
    assert_eq!(r.desk.refused(&r.alice, publish), ErrorCode::Invalid);

    let d = phone.key_package(true, lifetime, &mut r.dice);
    r.desk.publish(&phone, &[&d]);
    r.alice.revoke("phone");
    r.desk.register(&r.alice);
    assert_eq!(claimed(&r), [("laptop".into(), false)], "whoever is revoked is not invited");
    let revoked = r.desk.refused(
        &phone,
        PublishKeyPackages { key_packages: vec![key_package_message(c.key_package())] },
    );
    assert_eq!(revoked, ErrorCode::Invalid);
}

/// Puts a device into a group of Bob's, with a Welcome in its inbox.
fn invite(r: &mut Room, own: &Own, group: &GroupId) {
    let kind = GroupKind::Opaque { epoch: 0 };
    r.desk.reply(&r.bob, CreateGroup { group_id: group.clone(), kind });
    let package = own.key_package(false, Own::lifetime(NOW), &mut r.dice);
    r.desk.publish(own, &[&package]);
    let request = SubmitCommit {
        added: vec![own.id.clone()],
        welcomes: vec![welcome(std::slice::from_ref(package.reference()))],
        ..SubmitCommit::new(private(group, 0, ContentType::Commit, b"add"))
    };
    r.desk.reply(&r.bob, request);
}

#[test]
fn a_device_under_a_revoked_ones_name_has_nothing_of_it() {
    let group: GroupId = [5; 16].into();
    // The name is used again by a later request, and by the same one.
    for at_once in [false, true] {
        let mut r = room();
        let phone = r.alice.add("phone", &mut r.dice);
        r.desk.register(&r.alice);
        invite(&mut r, &phone, &group);
        let fetch = FetchLog { group_id: group.clone(), after: 0, limit: 10 };
        r.desk.reply(&phone, fetch.clone());
        let session = r.desk.open_session(&phone).unwrap();

        r.alice.revoke("phone");
        if !at_once {
            r.desk.register(&r.alice);
        }
        let new = r.alice.add("phone", &mut r.dice);
        r.desk.register(&r.alice);
        assert_eq!(new.id, phone.id);

        assert_eq!(r.desk.open_session(&phone).unwrap_err().code, ErrorCode::Revoked);
        assert_eq!(r.desk.request(&session, 1).unwrap_err().code, ErrorCode::Unauthorized);
        r.desk.open_session(&new).unwrap();
        assert_eq!(r.desk.reply(&new, FetchInbox { limit: 10 }).total, 0);
        assert_eq!(r.desk.reply(&new, CountKeyPackages {}).counts, []);
        assert_eq!(r.desk.refused(&new, fetch), ErrorCode::NotMember);
        let info = FetchGroupInfo { group_id: group.clone() };
        assert_eq!(r.desk.refused(&new, info), ErrorCode::NotMember);
        let told = r.desk.service.current_events(&new.info()).unwrap();
        let length = r.alice.account.head().length;
        let user = r.alice.id.user.clone();
        assert!(matches!(told[0], Event::Incarnation(_)), "{told:?}");
        assert_eq!(told[1..], [Event::Account { user, length }, Event::Ready]);

        // It is invited as any other.
        let package = new.key_package(false, Own::lifetime(NOW), &mut r.dice);
        r.desk.publish(&new, &[&package]);
        let request = SubmitCommit {
            added: vec![new.id.clone()],
            welcomes: vec![welcome(std::slice::from_ref(package.reference()))],
            ..SubmitCommit::new(private(&group, 1, ContentType::Commit, b"add"))
        };
        r.desk.reply(&r.bob, request);
        assert_eq!(r.desk.reply(&new, FetchInbox { limit: 10 }).total, 1);
    }
}

#[test]
fn a_revoked_device_is_not_added_to_a_group() {
    let mut r = room();
    let phone = r.alice.add("phone", &mut r.dice);
    r.alice.revoke("phone");
    r.desk.register(&r.alice);
    let group: GroupId = [5; 16].into();
    let kind = GroupKind::Opaque { epoch: 0 };
    r.desk.reply(&r.bob, CreateGroup { group_id: group.clone(), kind });
    let add = SubmitCommit {
        added: vec![phone.id.clone()],
        ..SubmitCommit::new(private(&group, 0, ContentType::Commit, b"add"))
    };
    assert_eq!(r.desk.refused(&r.bob, add), ErrorCode::DevicesOutdated);
    let remove = SubmitCommit {
        removed: vec![phone.id.clone()],
        ..SubmitCommit::new(private(&group, 0, ContentType::Commit, b"remove"))
    };
    assert!(r.desk.call(&r.bob, remove).is_ok(), "its leaf may still be there");
}

/// The devices that a submission tells, and those that it cuts off.
fn effects(r: &Room) -> (BTreeSet<String>, BTreeSet<String>) {
    let done = r.desk.anonymous(r.alice.submission()).unwrap();
    let length = r.alice.account.head().length;
    let user = r.alice.id.user.clone();
    for notice in &done.notices {
        assert_eq!(notice.event, Event::Account { user: user.clone(), length });
    }
    let told = done.notices.iter().flat_map(|notice| notice.to.iter()).map(ToString::to_string);
    (told.collect(), done.ended.iter().map(ToString::to_string).collect())
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

#[test]
fn a_change_is_told_to_own_devices_and_to_those_in_common_groups() {
    let mut r = room();
    let mut bob = r.bob.clone();
    bob.add("pc", &mut r.dice);
    r.desk.register(&bob);
    for stranger in ["carol/pc", "dave/pc"] {
        r.desk.register(&Own::new(stranger, &mut r.dice));
    }
    let phone = r.alice.add("phone", &mut r.dice);
    assert_eq!(effects(&r), (set(&["alice/laptop", "alice/phone"]), set(&[])));

    // Bob's phone shares a group with Alice's phone; his other device and others do not.
    invite(&mut r, &phone, &[5; 16].into());
    r.alice.add("tablet", &mut r.dice);
    let told = set(&["alice/laptop", "alice/phone", "alice/tablet", "bob/phone"]);
    assert_eq!(effects(&r), (told, set(&[])));

    // The revoked one hears of it as the last thing, and those in its groups must.
    r.alice.revoke("phone");
    let told = set(&["alice/laptop", "alice/phone", "alice/tablet", "bob/phone"]);
    assert_eq!(effects(&r), (told, set(&["alice/phone"])));
    assert_eq!(effects(&r), (set(&[]), set(&["alice/phone"])), "a repeated request tells nobody");
    r.alice.rotate(&mut r.dice);
    assert_eq!(effects(&r).0, set(&["alice/laptop", "alice/tablet"]));
}

/// Whoever was away when an account changed.
#[test]
fn a_stream_begins_with_the_accounts_that_concern_it() {
    let mut r = room();
    let phone = r.alice.add("phone", &mut r.dice);
    r.desk.register(&r.alice);
    r.desk.register(&Own::new("carol/pc", &mut r.dice));
    invite(&mut r, &phone, &[5; 16].into());
    r.alice.add("tablet", &mut r.dice);
    r.desk.register(&r.alice);

    let told = r.desk.service.current_events(&r.bob.info()).unwrap();
    let account = |own: &Own, length| Event::Account { user: own.id.user.clone(), length };
    let log = FetchLog { group_id: [5; 16].into(), after: 0, limit: 100 };
    let end = r.desk.reply(&r.bob, log).end;
    let (position, first) = (end.position, Event::Incarnation(end.incarnation));
    assert_eq!((position.seq, position.epoch), (1, 1));
    let group = Event::Group { group_id: [5; 16].into(), position };
    assert_eq!(told, [first, account(&r.alice, 3), account(&r.bob, 1), group, Event::Ready]);
}

#[test]
fn whoever_loses_its_key_is_cut_off() {
    let mut r = room();
    r.alice.add("phone", &mut r.dice);
    r.desk.register(&r.alice);
    r.alice.rotate(&mut r.dice);
    assert_eq!(effects(&r).1, set(&["alice/laptop"]));

    // Also if another device takes the name by the same request.
    r.alice.revoke("phone");
    r.alice.add("phone", &mut r.dice);
    assert_eq!(effects(&r).1, set(&["alice/phone"]));
}

#[test]
fn an_account_has_so_many_devices() {
    let mut r = room();
    for n in 1..conclave_account::MAX_DEVICES {
        r.alice.add(&format!("d{n}"), &mut r.dice);
    }
    r.desk.register(&r.alice);
    let one_more = r.alice.entry(Change::AddDevice(r.alice.proved("more", &r.bob.keys)));
    assert_eq!(refused(&r.desk, &r.alice, &[one_more]), ErrorCode::TooMany);
    assert!(Limits::default().devices >= conclave_account::MAX_DEVICES, "all can be claimed of");
}
