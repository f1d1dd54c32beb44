//! Single rules of the service.

use super::room::{Room, room, room_with};
use crate::service::{ClaimLimits, Limits, ServiceError};
use crate::testing::*;
use conclave_delivery_api::*;
use conclave_mls::key_package::OwnKeyPackage;
use conclave_mls::wire::Lifetime;
use core::time::Duration;

fn opaque(group: &GroupId) -> CreateGroup {
    CreateGroup { group_id: group.clone(), kind: GroupKind::Opaque { epoch: 0 } }
}

#[test]
fn a_key_package_must_be_valid_and_the_publishers_own() {
    let mut r = room();
    let now = Own::lifetime(NOW);
    let publish = |own: &Own, messages: Vec<Bytes>| {
        r.desk.refused(own, PublishKeyPackages { key_packages: messages })
    };
    let good = r.alice.key_package(false, now, &mut r.dice);
    let message = key_package_message(good.key_package());
    assert_eq!(publish(&r.bob, vec![message.clone()]), ErrorCode::Invalid, "somebody else's");
    let mut broken = good.key_package().clone();
    broken.signature = vec![0; 64].into();
    let broken = key_package_message(&broken);
    assert_eq!(publish(&r.alice, vec![message.clone(), broken]), ErrorCode::Invalid);
    let now_secs = NOW.as_secs();
    let expired = Lifetime { not_before: now_secs - 9_000_000, not_after: now_secs - 8_000_000 };
    let expired = r.alice.key_package(false, expired, &mut r.dice);
    let expired = key_package_message(expired.key_package());
    assert_eq!(publish(&r.alice, vec![expired]), ErrorCode::Invalid);
    assert_eq!(publish(&r.alice, vec![vec![1, 2].into()]), ErrorCode::Malformed);
    let wrong = private(&[1].into(), 0, ContentType::Application, b"");
    assert_eq!(publish(&r.alice, vec![wrong]), ErrorCode::Invalid, "no key package");
    let forged = r.alice.thief(&mut r.dice).key_package(false, now, &mut r.dice);
    let forged = key_package_message(forged.key_package());
    assert_eq!(publish(&r.alice, vec![forged]), ErrorCode::Invalid, "not the key in the account");
    let counts = r.desk.reply(&r.alice, CountKeyPackages {}).counts;
    assert_eq!(counts, [], "nothing was stored");
}

#[test]
fn a_device_has_key_packages_of_several_suites_with_one_key() {
    let mut r = room();
    let now = Own::lifetime(NOW);
    // An account holds a key of a signature scheme, whatever the suite.
    let package = |suite, last, dice: &mut Dice| r.alice.key_package_of(suite, last, now, dice);
    let classic = [false, true].map(|last| package(SUITE, last, &mut r.dice));
    let pq = [false, false, true].map(|last| package(HYBRID, last, &mut r.dice));
    let all: Vec<_> = classic.iter().chain(&pq).collect();
    assert_eq!(r.desk.publish(&r.alice, &all).stored, 5);
    let counts = || {
        let mut counts = r.desk.reply(&r.alice, CountKeyPackages {}).counts;
        counts.sort_by_key(|count| count.cipher_suite);
        let of = |count: KeyPackageCount| (count.cipher_suite, count.available, count.last_resort);
        counts.into_iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(counts(), [(SUITE, 1, 1), (HYBRID, 2, 1)]);
    let claim = |cipher_suite| {
        let (user, devices) = ("alice".parse().unwrap(), vec![]);
        let claim = ClaimKeyPackages { user, cipher_suite, devices };
        r.desk.reply(&r.bob, claim).devices.remove(0).key_package
    };
    // Two, then the last resort again and again; of its suite each.
    for wanted in [&pq[0], &pq[1], &pq[2], &pq[2]] {
        assert_eq!(claim(HYBRID), Some(key_package_message(wanted.key_package())));
    }
    assert_eq!(counts(), [(SUITE, 1, 1), (HYBRID, 0, 1)]);
    assert_eq!(claim(SUITE), Some(key_package_message(classic[0].key_package())));
    assert_eq!(claim(CipherSuite(3)), None, "there is none, and no other instead");
}

#[test]
fn an_init_key_is_published_once() {
    let mut r = room();
    let first = r.alice.key_package(false, Own::lifetime(NOW), &mut r.dice);
    assert_eq!(r.desk.publish(&r.alice, &[&first]).stored, 1);
    assert_eq!(r.desk.publish(&r.alice, &[&first]).stored, 0, "a repeated request");
    let mut again = first.key_package().clone();
    again.extensions.push(conclave_mls::wire::Extension {
        extension_type: conclave_mls::wire::ExtensionType(0x0a0a),
        extension_data: Bytes::default(),
    });
    again.leaf_node.capabilities.extensions.push(conclave_mls::wire::ExtensionType(0x0a0a));
    conclave_tree::sign_leaf(
        &suite(),
        &mut again.leaf_node,
        &r.alice.keys,
        conclave_mls::wire::LeafNodeContext {
            group_id: &GroupId::default(),
            leaf_index: conclave_mls::wire::LeafIndex(0),
        },
    )
    .unwrap();
    let tbs = conclave_mls::wire::KeyPackageTbs(&again).to_bytes().unwrap();
    again.signature =
        suite().sign_with_label(&r.alice.keys, b"KeyPackageTBS", &tbs).unwrap().into();
    let request = PublishKeyPackages { key_packages: vec![key_package_message(&again)] };
    assert_eq!(r.desk.refused(&r.alice, request), ErrorCode::InitKeyReused);
    let claim =
        ClaimKeyPackages { user: "alice".parse().unwrap(), cipher_suite: SUITE, devices: vec![] };
    assert!(r.desk.reply(&r.bob, claim.clone()).devices[0].key_package.is_some());
    assert_eq!(r.desk.publish(&r.alice, &[&first]).stored, 0, "not even after it was claimed");
    assert_eq!(r.desk.reply(&r.bob, claim).devices[0].key_package, None);
}

#[test]
fn the_last_resort_is_given_when_nothing_else_is_left() {
    let mut r = room();
    let now = Own::lifetime(NOW);
    let one = r.alice.key_package(false, now, &mut r.dice);
    let short = Lifetime { not_before: NOW.as_secs() - 1, not_after: NOW.as_secs() + 10 };
    let short = r.alice.key_package(false, short, &mut r.dice);
    let old_last = r.alice.key_package(true, now, &mut r.dice);
    let last = r.alice.key_package(true, now, &mut r.dice);
    r.desk.publish(&r.alice, &[&short, &old_last, &one, &last]);
    r.desk.wait(20);
    let counts = r.desk.reply(&r.alice, CountKeyPackages {}).counts;
    let references = [&one, &last].map(|package| package.reference().clone()).to_vec();
    let want = KeyPackageCount { cipher_suite: SUITE, available: 1, last_resort: 1, references };
    assert_eq!(counts, [want]);
    let claim = || {
        let claim = ClaimKeyPackages {
            user: "alice".parse().unwrap(),
            cipher_suite: SUITE,
            devices: vec![],
        };
        r.desk.reply(&r.bob, claim).devices.remove(0).key_package.unwrap()
    };
    assert_eq!(claim(), key_package_message(one.key_package()), "the expired one is passed over");
    assert_eq!(claim(), key_package_message(last.key_package()));
    assert_eq!(claim(), key_package_message(last.key_package()), "it stays");
}

#[test]
fn nobody_drains_anothers_key_packages() {
    let claims = ClaimLimits { pair: 4, asker: 5, target: 6, period: Duration::from_secs(60) };
    let mut r = room_with(Limits { claims, ..Limits::default() });
    let carol = Own::new("carol/pc", &mut r.dice);
    r.desk.register(&carol);
    let claim = |r: &Room, by: &Own, of: &Own| {
        let user = of.id.user.clone();
        let claim = ClaimKeyPackages { user, cipher_suite: SUITE, devices: vec![] };
        r.desk.call(by, claim).map(|mut done| done.reply.devices.remove(0).key_package)
    };
    let lifetime = Own::lifetime(NOW);
    let of_alice: Vec<_> =
        (0..9).map(|_| r.alice.key_package(false, lifetime, &mut r.dice)).collect();
    r.desk.publish(&r.alice, &of_alice.iter().collect::<Vec<_>>());
    let given = |n: usize| Ok(Some(key_package_message(of_alice[n].key_package())));
    let wait = |refused: Result<_, ServiceError>| {
        let refused = refused.unwrap_err();
        assert_eq!(refused.code, ErrorCode::RateLimited);
        refused.limit.unwrap().wait.as_secs()
    };

    // One of her, and one of all.
    assert_eq!([(); 4].map(|()| claim(&r, &r.bob, &r.alice)), [0, 1, 2, 3].map(given));
    assert_eq!(wait(claim(&r, &r.bob, &r.alice)), 15);
    assert_eq!(claim(&r, &r.bob, &carol), Ok(None));
    assert_eq!(wait(claim(&r, &r.bob, &carol)), 12);

    // All of her: she has none of last resort, and keeps the others.
    assert_eq!([(); 2].map(|()| claim(&r, &carol, &r.alice)), [4, 5].map(given));
    assert_eq!(wait(claim(&r, &carol, &r.alice)), 10);
    let last = r.alice.key_package(true, lifetime, &mut r.dice);
    r.desk.publish(&r.alice, &[&last]);
    r.desk.wait(9);
    assert_eq!(claim(&r, &carol, &r.alice), Ok(Some(key_package_message(last.key_package()))));
    r.desk.wait(30);
    assert_eq!([(); 2].map(|()| claim(&r, &r.bob, &r.alice)), [6, 7].map(given));
}

#[test]
fn a_withdrawn_key_package_is_given_out_no_more() {
    let mut r = room();
    let now = Own::lifetime(NOW);
    let [gone, kept, last] =
        [false, false, true].map(|last| r.alice.key_package(last, now, &mut r.dice));
    r.desk.publish(&r.alice, &[&gone, &kept, &last]);
    let references: Vec<_> = [&gone, &last].map(|package| package.reference().clone()).to_vec();
    let withdraw = WithdrawKeyPackages { references: references.clone() };
    assert_eq!(r.desk.reply(&r.bob, withdraw.clone()).withdrawn, 0, "they are not his");
    assert_eq!(r.desk.reply(&r.alice, withdraw.clone()).withdrawn, 2);
    assert_eq!(r.desk.reply(&r.alice, withdraw).withdrawn, 0, "a repeated request");

    let counted = r.desk.reply(&r.alice, CountKeyPackages {});
    assert_eq!(counted.now, NOW.as_secs());
    let references = vec![kept.reference().clone()];
    let want = KeyPackageCount { cipher_suite: SUITE, available: 1, last_resort: 0, references };
    assert_eq!(counted.counts, [want]);
    let claim =
        ClaimKeyPackages { user: "alice".parse().unwrap(), cipher_suite: SUITE, devices: vec![] };
    let claimed = |r: &Room| r.desk.reply(&r.bob, claim.clone()).devices.remove(0).key_package;
    assert_eq!(claimed(&r), Some(key_package_message(kept.key_package())));
    assert_eq!(claimed(&r), None);
    assert_eq!(r.desk.publish(&r.alice, &[&gone]).stored, 0, "it does not come back");
}

#[test]
fn key_packages_of_a_suite_are_replaced_in_one_step() {
    let mut r = room();
    let lifetime = Own::lifetime(NOW);
    let mut new = |last, suite| r.alice.key_package_of(suite, last, lifetime, &mut r.dice);
    let [old, kept, old_last] = [false, false, true].map(|last| new(last, SUITE));
    let [fresh, last] = [false, true].map(|last| new(last, SUITE));
    let other = new(false, HYBRID);
    r.desk.publish(&r.alice, &[&old, &kept, &old_last, &other]);
    let held = |r: &Room| -> Vec<_> {
        let counts = r.desk.reply(&r.alice, CountKeyPackages {}).counts.into_iter();
        counts.flat_map(|count| count.references).collect()
    };
    let references = |packages: &[&OwnKeyPackage]| -> Vec<_> {
        packages.iter().map(|package| package.reference().clone()).collect()
    };
    let replace = |packages: &[&OwnKeyPackage]| {
        let messages = packages.iter().map(|p| key_package_message(p.key_package()));
        ReplaceKeyPackages { cipher_suite: SUITE, key_packages: messages.collect() }
    };

    // One of another suite, or another's: nothing is replaced.
    for refused in [
        replace(&[&fresh, &other]),
        ReplaceKeyPackages { cipher_suite: HYBRID, ..replace(&[&fresh]) },
    ] {
        assert_eq!(r.desk.refused(&r.alice, refused), ErrorCode::Invalid);
    }
    assert_eq!(r.desk.refused(&r.bob, replace(&[&fresh])), ErrorCode::Invalid);
    assert_eq!(held(&r), references(&[&old, &kept, &old_last, &other]));

    for stored in [2, 0] {
        let request = replace(&[&kept, &fresh, &last]);
        assert_eq!(r.desk.reply(&r.alice, request).stored, stored);
        assert_eq!(held(&r), references(&[&kept, &fresh, &last, &other]));
    }
    assert_eq!(r.desk.publish(&r.alice, &[&old]).stored, 0, "it does not come back");
    let count = vec![Bytes::default(); 202];
    let many = ReplaceKeyPackages { cipher_suite: SUITE, key_packages: count };
    assert_eq!(r.desk.refused(&r.alice, many), ErrorCode::TooMany);
}

#[test]
fn key_packages_are_bounded() {
    let mut r = room();
    let many: Vec<Bytes> = vec![Bytes::default(); 202];
    let request = PublishKeyPackages { key_packages: many };
    assert_eq!(r.desk.refused(&r.alice, request), ErrorCode::TooMany);
    let now = Own::lifetime(NOW);
    let packages: Vec<_> = (0..201).map(|_| r.alice.key_package(false, now, &mut r.dice)).collect();
    let all: Vec<_> = packages.iter().collect();
    let request = PublishKeyPackages {
        key_packages: all.iter().map(|p| key_package_message(p.key_package())).collect(),
    };
    assert_eq!(r.desk.refused(&r.alice, request), ErrorCode::TooMany);
    assert_eq!(r.desk.reply(&r.alice, CountKeyPackages {}).counts, [], "all or none");
    assert_eq!(r.desk.publish(&r.alice, &all[..200]).stored, 200);
}

#[test]
fn strangers_see_and_send_nothing() {
    let r = room();
    let group: GroupId = [5; 16].into();
    r.desk.reply(&r.alice, opaque(&group));
    let fetch = FetchLog { group_id: group.clone(), after: 0, limit: 10 };
    assert_eq!(r.desk.refused(&r.bob, fetch), ErrorCode::NotMember);
    let send = SendMessage { message: private(&group, 0, ContentType::Application, b"x") };
    assert_eq!(r.desk.refused(&r.bob, send), ErrorCode::NotMember);
    let submit = SubmitCommit::new(private(&group, 0, ContentType::Commit, b"x"));
    assert_eq!(r.desk.refused(&r.bob, submit), ErrorCode::NotMember);
    let info = FetchGroupInfo { group_id: group.clone() };
    assert_eq!(r.desk.refused(&r.bob, info.clone()), ErrorCode::NotMember);
    assert_eq!(r.desk.refused(&r.alice, info), ErrorCode::NoGroupInfo);
    assert_eq!(r.desk.refused(&r.bob, opaque(&group)), ErrorCode::GroupExists);
    let repeated = r.desk.reply(&r.alice, opaque(&group));
    assert_eq!(repeated.receipt.position, LogPosition::beginning(0));
    let nowhere = SendMessage { message: private(&[6].into(), 0, ContentType::Application, b"x") };
    assert_eq!(r.desk.refused(&r.bob, nowhere), ErrorCode::UnknownGroup);
}

#[test]
fn a_message_of_the_wrong_kind_is_refused() {
    let r = room();
    let group: GroupId = [5; 16].into();
    r.desk.reply(&r.alice, opaque(&group));
    let application = private(&group, 0, ContentType::Application, b"x");
    let proposal = private(&group, 0, ContentType::Proposal, b"x");
    assert_eq!(r.desk.refused(&r.alice, SubmitCommit::new(application)), ErrorCode::Invalid);
    let send = SendMessage { message: proposal };
    assert_eq!(r.desk.refused(&r.alice, send), ErrorCode::Invalid);
    let send = SendMessage { message: targeted(&group, 0) };
    assert_eq!(r.desk.refused(&r.alice, send), ErrorCode::Invalid);
    assert_eq!(
        r.desk.refused(&r.alice, SubmitCommit::new(targeted(&group, 0))),
        ErrorCode::Invalid
    );
    let mut trailing = private(&group, 0, ContentType::Application, b"x").into_vec();
    trailing.push(0);
    let send = SendMessage { message: trailing.into() };
    assert_eq!(r.desk.refused(&r.alice, send), ErrorCode::Malformed);
}

#[test]
fn late_messages_are_taken_for_a_few_epochs() {
    let r = room();
    let group: GroupId = [5; 16].into();
    r.desk.reply(&r.alice, opaque(&group));
    for epoch in 0..5 {
        let commit = SubmitCommit::new(private(&group, epoch, ContentType::Commit, b"c"));
        let accepted = Brief::Accepted { epoch: epoch + 1, seq: epoch + 1 };
        assert_eq!(brief(&r.desk.reply(&r.alice, commit)), accepted);
    }
    let send = |epoch| {
        let message = private(&group, epoch, ContentType::Application, b"late");
        brief(&r.desk.reply(&r.alice, SendMessage { message }))
    };
    let wrong = Brief::WrongEpoch { epoch: 5, head: 5 };
    assert_eq!((send(1), send(6)), (wrong, wrong));
    assert_eq!(send(2), Brief::Accepted { epoch: 5, seq: 6 });
    let proposal = private(&group, 4, ContentType::Proposal, b"p");
    let refused = r.desk.reply(&r.alice, SubmitProposal { proposal });
    assert_eq!(brief(&refused), Brief::WrongEpoch { epoch: 5, head: 6 });
}

#[test]
fn a_message_of_an_epoch_that_ended_long_ago_is_to_be_made_again() {
    let mut r = room();
    let group: GroupId = [5; 16].into();
    r.desk.reply(&r.alice, opaque(&group));
    let day = 24 * 60 * 60;
    // One epoch goes on for long; it is when it ends that counts.
    r.desk.wait(30 * day);
    r.desk.reply(&r.alice, SubmitCommit::new(private(&group, 0, ContentType::Commit, b"c")));
    let send = |r: &Room, epoch, data: &[u8]| {
        let message = private(&group, epoch, ContentType::Application, data);
        brief(&r.desk.reply(&r.alice, SendMessage { message }))
    };
    r.desk.wait(day);
    let accepted = Brief::Accepted { epoch: 1, seq: 2 };
    assert_eq!(send(&r, 0, b"late"), accepted);
    r.desk.wait(1);
    assert_eq!(send(&r, 0, b"too late"), Brief::WrongEpoch { epoch: 1, head: 2 });
    assert_eq!(send(&r, 0, b"late"), accepted, "the answer was lost");
    assert_eq!(send(&r, 1, b"too late"), Brief::Accepted { epoch: 1, seq: 3 });
}

#[test]
fn an_inbox_is_bounded_until_it_is_fetched() {
    // Each of the Welcomes below has fewer than 100 bytes.
    let of_items = Limits { inbox_items: 2, ..Limits::default() };
    let of_bytes = Limits { inbox_bytes: 2 * 1100, ..Limits::default() };
    for limits in [of_items, of_bytes] {
        let mut r = room_with(limits);
        let bob = r.bob.clone();
        let mut epoch = 0;
        let mut add = |r: &mut Room, welcomes: usize| {
            let package = bob.key_package(false, Own::lifetime(NOW), &mut r.dice);
            r.desk.publish(&bob, &[&package]);
            let welcome = welcome(std::slice::from_ref(package.reference()));
            let request = SubmitCommit {
                added: vec![bob.id.clone()],
                welcomes: vec![welcome; welcomes],
                ratchet_tree: Some(vec![7; 1000].into()),
                ..SubmitCommit::new(private(&[5].into(), epoch, ContentType::Commit, b"c"))
            };
            let done = r.desk.call(&r.alice, request);
            epoch += u64::from(done.is_ok());
            done.map(|_| ()).map_err(|e| e.code)
        };
        r.desk.reply(&r.alice, opaque(&[5].into()));
        assert_eq!(add(&mut r, 3), Err(ErrorCode::TooMany), "in one commit");
        assert_eq!(add(&mut r, 1), Ok(()));
        assert_eq!(add(&mut r, 2), Err(ErrorCode::TooMany));
        assert_eq!(add(&mut r, 1), Ok(()));
        assert_eq!(add(&mut r, 1), Err(ErrorCode::TooMany));
        let first = r.desk.reply(&r.bob, FetchInbox { limit: 1 });
        assert_eq!(first.total, 2);
        r.desk.reply(&r.bob, AckInbox { ids: vec![first.items[0].id] });
        assert_eq!(add(&mut r, 1), Ok(()));
    }
}

#[test]
fn a_device_makes_so_many_groups() {
    let r = room_with(Limits { groups: 2, ..Limits::default() });
    let make = |own: &Own, n: u8| r.desk.call(own, opaque(&[n].into())).map_err(|e| e.code);
    assert!(make(&r.alice, 1).is_ok() && make(&r.alice, 2).is_ok());
    assert_eq!(make(&r.alice, 3).unwrap_err(), ErrorCode::TooMany);
    assert!(make(&r.alice, 2).is_ok(), "repeated");
    // To be in groups of others is not to make them, and to be out does not undo it.
    assert!(make(&r.bob, 4).is_ok());
    let swap = SubmitCommit {
        added: vec![r.bob.id.clone()],
        removed: vec![r.alice.id.clone()],
        ..SubmitCommit::new(private(&[1].into(), 0, ContentType::Commit, b"c"))
    };
    r.desk.reply(&r.alice, swap);
    assert!(make(&r.bob, 5).is_ok());
    assert_eq!(make(&r.alice, 3).unwrap_err(), ErrorCode::TooMany);
}

#[test]
fn a_second_process_is_told_that_the_directory_is_in_use() {
    let r = room();
    let error = crate::storage::SqliteStorage::open(r.dir.path()).unwrap_err();
    assert!(matches!(error, crate::storage::StorageError::InUse(_)), "{error}");
}
