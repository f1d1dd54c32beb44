//! A user has more or less of something than everybody.

use super::room::{Room, room, room_with};
use crate::attachments::{AttachmentLimits, FolderStore};
use crate::service::{Act, ClaimLimits, Field, Limits, Report, ServiceError};
use crate::storage::Quota;
use crate::testing::*;
use conclave_delivery_api::*;
use core::time::Duration;
use std::sync::Arc;

fn give(desk: &Desk, user: &str, quotas: &[(Quota, Option<u64>)]) -> Result<Report, ServiceError> {
    let act = Act::Quota(user.parse().unwrap(), quotas.to_vec());
    Ok(desk.service.administer(act, desk.now)?.reply)
}

fn give_alice(r: &Room, of: Quota, most: Option<u64>) {
    give(&r.desk, "alice", &[(of, most)]).unwrap();
}

fn make(r: &Room, by: &Own, n: u8) -> Result<(), ErrorCode> {
    let kind = GroupKind::Opaque { epoch: 0 };
    let made = r.desk.call(by, CreateGroup { group_id: [n].into(), kind });
    made.map(drop).map_err(|e| e.code)
}

#[test]
fn a_user_makes_as_many_groups_as_it_was_given() {
    let r = room_with(Limits { groups: 2, ..Limits::default() });
    assert_eq!([1, 2, 3].map(|n| make(&r, &r.alice, n)), [Ok(()), Ok(()), Err(ErrorCode::TooMany)]);
    give_alice(&r, Quota::Groups, Some(3));
    assert_eq!([3, 4].map(|n| make(&r, &r.alice, n)), [Ok(()), Err(ErrorCode::TooMany)]);
    assert_eq!([5, 6, 7].map(|n| make(&r, &r.bob, n)), [Ok(()), Ok(()), Err(ErrorCode::TooMany)]);

    // Less takes nothing away, and none is none.
    give_alice(&r, Quota::Groups, Some(0));
    assert_eq!([3, 4].map(|n| make(&r, &r.alice, n)), [Ok(()), Err(ErrorCode::TooMany)]);
    let carol = Own::new("carol/pc", &mut Dice(5));
    r.desk.register(&carol);
    give(&r.desk, "carol", &[(Quota::Groups, Some(0))]).unwrap();
    assert_eq!(make(&r, &carol, 8), Err(ErrorCode::TooMany));
    give(&r.desk, "carol", &[(Quota::Groups, None)]).unwrap();
    assert_eq!([8, 9, 10].map(|n| make(&r, &carol, n)), [Ok(()), Ok(()), Err(ErrorCode::TooMany)]);
}

#[test]
fn a_users_devices_have_as_many_key_packages_as_it_was_given() {
    let mut r = room_with(Limits { key_packages: 2, ..Limits::default() });
    let publish = |r: &mut Room, n: usize| {
        let lifetime = Own::lifetime(NOW);
        let packages = (0..n).map(|_| r.alice.key_package(false, lifetime, &mut r.dice));
        let key_packages = packages.map(|p| key_package_message(p.key_package())).collect();
        let published = r.desk.call(&r.alice, PublishKeyPackages { key_packages });
        published.map(|done| done.reply.stored).map_err(|e| (e.code, e.detail))
    };
    let refused = |most: u32| {
        let detail = format!("a device has at most {most} key packages of a suite");
        Err((ErrorCode::TooMany, detail))
    };
    assert_eq!(publish(&mut r, 3), refused(2));
    give_alice(&r, Quota::KeyPackages, Some(3));
    assert_eq!(publish(&mut r, 3), Ok(3));
    assert_eq!(publish(&mut r, 1), refused(3));
    // Before signatures are checked, too.
    assert_eq!(publish(&mut r, 5), refused(3));
    give_alice(&r, Quota::KeyPackages, Some(1));
    assert_eq!(publish(&mut r, 1), refused(1));
}

#[test]
fn a_users_attachments_have_as_many_bytes_as_it_was_given() {
    let mut r = room();
    let store = FolderStore::open(&r.dir.path().join("attachments")).unwrap();
    let limits = AttachmentLimits { quota: 10, total: 1000, ..AttachmentLimits::default() };
    r.desk.service = r.desk.service.with_attachments(Arc::new(store), limits);
    let begin = |by: &Own, n: u8, size: u64| {
        let begun = r.desk.call(by, BeginUpload { hash: [n; 32].into(), size });
        begun.map(drop).map_err(|e| e.code)
    };
    assert_eq!(begin(&r.alice, 1, 11), Err(ErrorCode::Quota));
    give_alice(&r, Quota::Attachments, Some(15));
    assert_eq!(begin(&r.alice, 1, 11), Ok(()));
    assert_eq!(begin(&r.alice, 2, 5), Err(ErrorCode::Quota));
    assert_eq!(begin(&r.alice, 2, 4), Ok(()));
    assert_eq!(begin(&r.bob, 3, 11), Err(ErrorCode::Quota), "it is alice's");
    give_alice(&r, Quota::Attachments, Some(0));
    assert_eq!(begin(&r.alice, 4, 1), Err(ErrorCode::Quota));
    // Whoever has more is held to what all have together.
    give_alice(&r, Quota::Attachments, Some(1 << 50));
    assert_eq!(begin(&r.alice, 4, 986), Err(ErrorCode::Quota));
    assert_eq!(begin(&r.alice, 4, 985), Ok(()));
}

#[test]
fn a_user_claims_as_often_as_it_was_given() {
    let claims = ClaimLimits { pair: 9, asker: 2, target: 90, period: Duration::from_secs(60) };
    let r = room_with(Limits { claims, ..Limits::default() });
    let claim = |by: &Own, of: &Own| {
        let user = of.id.user.clone();
        let claim = ClaimKeyPackages { user, cipher_suite: SUITE, devices: vec![] };
        r.desk.call(by, claim).map(drop).map_err(|e| e.code)
    };
    let slow = Err(ErrorCode::RateLimited);
    assert_eq!([(); 3].map(|()| claim(&r.alice, &r.bob)), [Ok(()), Ok(()), slow]);
    // What was claimed before counts no more.
    give_alice(&r, Quota::Claims, Some(6));
    let seven = [(); 7].map(|()| claim(&r.alice, &r.bob));
    assert_eq!(seven, [Ok(()), Ok(()), Ok(()), Ok(()), Ok(()), Ok(()), slow]);
    assert_eq!([(); 3].map(|()| claim(&r.bob, &r.alice)), [Ok(()), Ok(()), slow], "as before");
}

#[test]
fn what_is_out_of_range_or_of_nobody_is_refused_and_changes_nothing() {
    let r = room();
    let refused = |user, quota, most| give(&r.desk, user, &[(quota, most)]).unwrap_err().code;
    let over = Some(u64::from(u32::MAX) + 1);
    for (quota, most) in [
        (Quota::Groups, over),
        (Quota::KeyPackages, Some(0)),
        (Quota::KeyPackages, over),
        (Quota::Claims, Some(0)),
        (Quota::Claims, over),
        (Quota::Attachments, Some((1 << 50) + 1)),
        (Quota::Attachments, Some(u64::MAX)),
    ] {
        let both = [(Quota::Groups, Some(7)), (quota, most)];
        assert_eq!(give(&r.desk, "alice", &both).unwrap_err().code, ErrorCode::Invalid);
    }
    assert_eq!(refused("nobody", Quota::Groups, Some(1)), ErrorCode::UnknownUser);
    let listed = r.desk.service.administer(Act::Quotas, r.desk.now).unwrap().reply;
    assert_eq!(listed, Report::new());
}

#[test]
fn quotas_are_listed_and_outlive_a_crash_and_a_backup() {
    let r = room();
    let text = |text: &str| Field::Text(text.into());
    let given = [(Quota::Groups, Some(0)), (Quota::Attachments, Some(1 << 50))];
    let row = vec![
        ("user", text("alice")),
        ("groups", Field::Number(0)),
        ("key_packages", text("default")),
        ("attachments", Field::Number(1 << 50)),
        ("claims", text("default")),
    ];
    assert_eq!(give(&r.desk, "alice", &given).unwrap(), std::slice::from_ref(&row));
    assert_eq!(give(&r.desk, "alice", &[]).unwrap(), std::slice::from_ref(&row), "to look");
    let nothing = give(&r.desk, "bob", &[]).unwrap();
    assert!(nothing[0][1..].iter().all(|(_, value)| *value == text("default")), "{nothing:?}");

    let made = tempfile::tempdir().unwrap();
    let backup = made.path().join("backup");
    crate::backup::backup(r.dir.path(), &backup, provider(), NOW).unwrap();
    for folder in [crash_copy(r.dir.path()).path(), &*backup] {
        let desk = Desk::open(folder);
        let listed = desk.service.administer(Act::Quotas, NOW).unwrap().reply;
        assert_eq!(listed, std::slice::from_ref(&row));
        let users = desk.service.administer(Act::Users, NOW).unwrap().reply;
        let own: Vec<_> = users.iter().map(|user| user.last().unwrap().clone()).collect();
        assert_eq!(own, [true, false].map(|own| ("own_quota", Field::Flag(own))));
    }
    give(&r.desk, "alice", &given.map(|(quota, _)| (quota, None))).unwrap();
    assert_eq!(r.desk.service.administer(Act::Quotas, NOW).unwrap().reply, Report::new());
}
