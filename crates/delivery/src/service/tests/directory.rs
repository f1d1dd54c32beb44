//! What the service publishes of accounts, and proves.

use crate::service::Holder;
use crate::service::long_proofs::{LongProofs, MAX_LONG_PROOFS};
use crate::testing::*;
use conclave_delivery_api::*;
use conclave_directory::{
    Agreement, Audited, Auditor, Depth, Lookup, Root, ServiceKey, verify_append_only,
    verify_history, verify_lookup,
};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

fn service_key(desk: &Desk) -> Arc<ServiceKey> {
    let info = desk.anonymous(DescribeService {}).unwrap().reply;
    Arc::new(ServiceKey { scheme: SESSION_SCHEME, public: info.key })
}

fn verified(desk: &Desk, root: &SignedRoot) -> Root {
    root.verify(&PROVIDER, &service_key(desk)).unwrap()
}

fn newest(desk: &Desk) -> u64 {
    desk.anonymous(FetchRoots { from: 0 }).unwrap().reply.newest
}

/// What the directory proves of a user, asked by a device.
fn proved(desk: &Desk, asker: &Own, user: &str) -> Lookup {
    let page = desk.reply(asker, FetchAccount { user: user.parse().unwrap(), after: 0 });
    let root = verified(desk, &page.directory.root);
    verify_lookup(&PROVIDER, &root, user.as_bytes(), &page.directory.proof).unwrap()
}

/// How the log of a device's user relates to what the directory has.
fn agreement(desk: &Desk, own: &Own) -> Option<Agreement> {
    let hash = |number: u64| {
        let entry = own.log.get(usize::try_from(number).unwrap().checked_sub(1)?)?;
        Some(entry.hash(&PROVIDER).unwrap())
    };
    match proved(desk, own, own.id.user.as_str()) {
        Lookup::Present(entry) => Some(entry.compare(own.log.len() as u64, hash)),
        Lookup::Absent => None,
    }
}

fn open(path: &Path) -> Desk {
    Desk::open(path)
}

#[test]
fn an_account_is_used_at_once_and_published_with_the_next_batch() {
    let dir = tempfile::tempdir().unwrap();
    let desk = open(dir.path());
    let mut dice = Dice(1);
    let mut alice = Own::new("alice/pc", &mut dice);
    desk.register(&alice);
    assert_eq!(agreement(&desk, &alice), None, "nothing is published yet");

    let published = desk.service.publish(desk.now).unwrap().unwrap();
    assert_eq!((published.root.epoch, published.changes), (1, 1));
    assert_eq!(agreement(&desk, &alice), Some(Agreement::Same));

    alice.add("phone", &mut dice);
    desk.register(&alice);
    assert_eq!(agreement(&desk, &alice), Some(Agreement::DirectoryBehind));
    assert_eq!(desk.service.publish(desk.now).unwrap().unwrap().root.epoch, 2);
    assert_eq!(agreement(&desk, &alice), Some(Agreement::Same));
    assert_eq!(desk.service.publish(desk.now), Ok(None), "nothing has changed");
    assert_eq!(newest(&desk), 2);
}

#[test]
fn what_a_crash_left_unpublished_is_published_afterwards_once() {
    let dir = tempfile::tempdir().unwrap();
    let desk = open(dir.path());
    let (alice, bob) = (Own::new("alice/pc", &mut Dice(1)), Own::new("bob/pc", &mut Dice(2)));
    desk.register(&alice);
    desk.service.publish(desk.now).unwrap();
    desk.register(&bob);

    let crashed = crash_copy(dir.path());
    let again = open(crashed.path());
    assert_eq!(agreement(&again, &alice), Some(Agreement::Same));
    assert_eq!(again.service.publish(again.now).unwrap().unwrap().changes, 1);
    assert_eq!(agreement(&again, &bob), Some(Agreement::Same));
    drop(again);

    // The process died after it had published, and before it had noted that.
    let db = rusqlite::Connection::open(crashed.path().join("delivery.db")).unwrap();
    assert_eq!(db.execute("UPDATE account SET published = 0", []).unwrap(), 2);
    drop(db);
    let again = open(crashed.path());
    assert_eq!(again.service.publish(again.now), Ok(None));
    assert_eq!(newest(&again), 2, "the same is published twice");
    assert_eq!(agreement(&again, &bob), Some(Agreement::Same));
}

#[test]
fn anybody_can_follow_the_roots_and_check_that_each_extends_the_last() {
    let dir = tempfile::tempdir().unwrap();
    let desk = open(dir.path());
    for n in 0..3 {
        desk.register(&Own::new(&format!("user-{n}/pc"), &mut Dice(n)));
        desk.service.publish(desk.now).unwrap().unwrap();
    }

    let page = desk.anonymous(FetchRoots { from: 0 }).unwrap().reply;
    assert_eq!((page.roots.len(), page.newest), (4, 3));
    let mut auditor = Auditor::new((*service_key(&desk)).clone());
    for root in &page.roots {
        let to = root.epoch;
        let proof = to
            .checked_sub(1)
            .map(|from| desk.anonymous(FetchExtension { from, to }).unwrap().reply.proof);
        let step = auditor.step(&PROVIDER, root.clone(), proof.as_deref());
        assert_eq!(step, Ok(Audited::Extends));
    }

    // A client that was away asks for all of it at once.
    let proof = desk.anonymous(FetchExtension { from: 1, to: 3 }).unwrap().reply.proof;
    let [old, new] = [1, 3].map(|n: usize| verified(&desk, &page.roots[n]));
    assert_eq!(verify_append_only(&PROVIDER, &old, &new, &proof), Ok(()));
    assert_eq!(desk.anonymous(FetchRoots { from: 3 }).unwrap().reply.roots, page.roots[3..]);
    assert_eq!(desk.anonymous(FetchRoots { from: 9 }).unwrap().reply.roots, []);
    for (from, to) in [(0, 4), (2, 2), (3, 1), (u64::MAX, u64::MAX)] {
        let refused = desk.anonymous(FetchExtension { from, to }).unwrap_err();
        assert_eq!(refused.code, ErrorCode::UnknownEpoch, "{from} {to}");
    }
}

#[test]
fn a_user_reads_all_that_the_directory_ever_had_under_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let desk = open(dir.path());
    let mut dice = Dice(1);
    let mut alice = Own::new("alice/pc", &mut dice);
    let bob = Own::new("bob/pc", &mut dice);
    desk.register(&bob);
    assert_eq!(desk.refused(&bob, FetchHistory {}), ErrorCode::NotPublished);
    for device in ["phone", "tablet"] {
        desk.register(&alice);
        desk.service.publish(desk.now).unwrap().unwrap();
        alice.add(device, &mut dice);
    }

    let recovery = Holder::Recovery("alice".parse().unwrap());
    let pages = [
        desk.reply(&alice, FetchHistory {}),
        desk.run(Some(recovery), FetchHistory {}).unwrap().reply,
    ];
    for page in pages {
        let root = verified(&desk, &page.root);
        let history =
            verify_history(&PROVIDER, &root, b"alice", Depth::Complete, &page.proof).unwrap();
        let lengths: Vec<u64> = history.iter().map(|entry| entry.head.length).collect();
        assert_eq!(lengths, [1, 2]);
    }
    assert_eq!(desk.anonymous(FetchHistory {}).unwrap_err().code, ErrorCode::Unauthorized);
}

#[test]
fn a_quiet_directory_is_signed_again_every_hour() {
    let dir = tempfile::tempdir().unwrap();
    let mut desk = open(dir.path());
    let root = |desk: &Desk| desk.anonymous(FetchRoots { from: 0 }).unwrap().reply.roots.remove(0);
    let begun = root(&desk);
    desk.wait(3599);
    assert_eq!(desk.service.publish(desk.now), Ok(None));
    assert_eq!(root(&desk), begun);

    desk.wait(1);
    assert_eq!(desk.service.publish(desk.now), Ok(None));
    let refreshed = root(&desk);
    assert_eq!((refreshed.epoch, refreshed.root), (0, begun.root));
    assert_eq!(refreshed.published_at, begun.published_at + 3600);
}

#[test]
fn so_many_long_proofs_are_made_at_once() {
    let proofs = LongProofs::default();
    let turns: Vec<_> = (0..MAX_LONG_PROOFS).map(|_| proofs.begin().unwrap()).collect();
    let Err(refused) = proofs.begin() else { panic!("one more is made") };
    assert_eq!(refused.code, ErrorCode::Unavailable);
    drop(turns);
    assert!(proofs.begin().is_ok());
}

#[test]
#[ignore = "a measurement"]
fn what_fetching_an_account_costs() {
    const USERS: u64 = 2_000;
    const CALLS: u32 = 500;
    let dir = tempfile::tempdir().unwrap();
    let desk = open(dir.path());
    let all: Vec<Own> =
        (0..USERS).map(|n| Own::new(&format!("user-{n}/pc"), &mut Dice(n))).collect();
    all.iter().for_each(|own| drop(desk.register(own)));
    let begun = Instant::now();
    desk.service.publish(desk.now).unwrap();
    println!("the first batch: {:?}", begun.elapsed());

    let asked = |n: u32| all[(n as usize * 7) % all.len()].id.user.clone();
    let begun = Instant::now();
    let fetch = |n| desk.reply(&all[0], FetchAccount { user: asked(n), after: 0 });
    let pages: Vec<AccountPage> = (0..CALLS).map(fetch).collect();
    println!("an account: {:?}", begun.elapsed() / CALLS);
    let begun = Instant::now();
    // Other users than before, whose proofs are not kept.
    (CALLS..2 * CALLS).for_each(|n| drop(desk.service.directory_page(&asked(n)).unwrap()));
    println!("its lookup alone: {:?}", begun.elapsed() / CALLS);

    let average = |sizes: Vec<usize>| sizes.iter().sum::<usize>() / sizes.len();
    let whole = pages.iter().map(|page| page.to_bytes().unwrap().len());
    let lookups = pages.iter().map(|page| page.directory.to_bytes().unwrap().len());
    let (whole, lookup) = (average(whole.collect()), average(lookups.collect()));
    println!("{whole} bytes, {lookup} of them of the directory");

    let root = verified(&desk, &pages[0].directory.root);
    let begun = Instant::now();
    for (n, page) in (0..).zip(&pages) {
        let user = asked(n);
        page.directory.root.verify(&PROVIDER, root.key()).unwrap();
        let proof = &page.directory.proof;
        verify_lookup(&PROVIDER, &root, user.as_str().as_bytes(), proof).unwrap();
    }
    println!("checking one: {:?}", begun.elapsed() / CALLS);
}
