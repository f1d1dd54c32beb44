//! Key packages: stored all or none, each given out once.

use super::place::Place;
use super::samples::{SUITE, current, extension, info, package, packages_of, register};
use crate::storage::DeviceInfo;
use crate::storage::{
    Extended, Give, KeyPackageRecord, KeyPackagesAdded, KeyPackagesRefused, NewKeyPackages,
    REMEMBERED, Storage,
};
use conclave_delivery_api::{Bytes, CipherSuite, DeviceId};
use std::collections::BTreeSet;

pub(super) fn check<P: Place>(new: &dyn Fn() -> P) {
    claims(new);
    last_resort(new);
    lifetimes(new);
    forgotten(new);
    all_or_none(new);
    replaced(new);
    ended(new);
    withdrawals(new);
    races(new);
}

fn add(
    storage: &impl Storage,
    owner: &DeviceId,
    packages: Vec<KeyPackageRecord>,
) -> KeyPackagesAdded {
    storage.add_key_packages(packages_of(&current(storage, owner), packages)).unwrap()
}

/// Claims a package of one device.
fn claim(storage: &impl Storage, owner: &DeviceId, now: u64) -> Option<Bytes> {
    storage.claim_key_packages(vec![owner.clone()], SUITE, Give::Next, now).unwrap().remove(0)
}

fn listed(storage: &impl Storage, owner: &DeviceId) -> Vec<Bytes> {
    storage.key_packages(owner, 0).unwrap().into_iter().map(|p| p.message).collect()
}

fn claims<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let [alice, bob] = register(&storage, ["alice/pc", "bob/pc"]);
    let other_suite = KeyPackageRecord { cipher_suite: CipherSuite(2), ..package(9) };
    let packages = vec![package(1), other_suite.clone(), package(2)];
    assert_eq!(add(&storage, &alice, packages), KeyPackagesAdded::Stored(3));
    assert_eq!(add(&storage, &bob, vec![package(3)]), KeyPackagesAdded::Stored(1));

    // What is stored already is passed over.
    assert_eq!(add(&storage, &alice, vec![package(1), package(4)]), KeyPackagesAdded::Stored(1));
    let all = [package(1), other_suite.clone(), package(2), package(4)].map(|p| p.message);
    assert_eq!(listed(&storage, &alice), all);

    // One for each device, in the order in which they were asked for, the oldest first.
    let owners = vec![bob.clone(), alice.clone(), bob.clone()];
    let claimed = storage.claim_key_packages(owners, SUITE, Give::Next, 0).unwrap();
    assert_eq!(claimed, [Some(package(3).message), Some(package(1).message), None]);
    assert_eq!(claim(&storage, &alice, 0), Some(package(2).message));
    assert_eq!(claim(&storage, &alice, 0), Some(package(4).message));
    assert_eq!(claim(&storage, &alice, 0), None, "only another suite's is left");
    assert_eq!(listed(&storage, &alice), [other_suite.message]);

    // Who had a package is known when it is gone, and it does not come again.
    assert_eq!(storage.key_package_owner(&package(1).reference), Ok(Some(alice.clone())));
    assert_eq!(storage.key_package_owner(&package(3).reference), Ok(Some(bob)));
    assert_eq!(storage.key_package_owner(&package(8).reference), Ok(None));
    assert_eq!(add(&storage, &alice, vec![package(1)]), KeyPackagesAdded::Stored(0));
    assert_eq!(claim(&storage, &alice, 0), None, "a package is given out again");
}

fn last_resort<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let [alice] = register(&storage, ["alice/pc"]);
    let last = |n| KeyPackageRecord { last_resort: true, ..package(n) };
    add(&storage, &alice, vec![last(1), package(2)]);
    assert_eq!(claim(&storage, &alice, 0), Some(package(2).message), "before the last resort");
    for _ in 0..2 {
        assert_eq!(claim(&storage, &alice, 0), Some(last(1).message));
    }

    // It alone, of those who have one.
    let [bob] = register(&storage, ["bob/pc"]);
    add(&storage, &alice, vec![package(4)]);
    add(&storage, &bob, vec![package(5)]);
    for _ in 0..2 {
        let owners = vec![bob.clone(), alice.clone()];
        let claimed = storage.claim_key_packages(owners, SUITE, Give::LastResort, 0).unwrap();
        assert_eq!(claimed, [None, Some(last(1).message)]);
    }
    assert_eq!(claim(&storage, &alice, 0), Some(package(4).message), "it was not used up");
    assert_eq!(claim(&storage, &bob, 0), Some(package(5).message), "it was not used up");

    // A new one replaces it.
    add(&storage, &alice, vec![last(3)]);
    assert_eq!(claim(&storage, &alice, 0), Some(last(3).message));
    assert_eq!(listed(&storage, &alice), [last(3).message]);
    assert!(storage.key_packages(&alice, 0).unwrap()[0].last_resort);
}

fn lifetimes<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let [alice] = register(&storage, ["alice/pc"]);
    let until = |n, not_after| KeyPackageRecord { not_after, ..package(n) };
    add(&storage, &alice, vec![until(1, 10), until(2, u64::MAX), until(3, 20)]);
    assert_eq!(storage.key_packages(&alice, 10).unwrap().len(), 3, "its last second");
    assert_eq!(storage.key_packages(&alice, 11).unwrap().len(), 2);
    assert_eq!(claim(&storage, &alice, 11), Some(until(2, 0).message), "the first has expired");
    assert_eq!(claim(&storage, &alice, 20), Some(until(3, 0).message));
    assert_eq!(claim(&storage, &alice, 20), None);

    // Those that have expired make room.
    for (package, now) in [(until(4, 100), 50), (until(5, 200), 101)] {
        let new = packages_of(&current(&storage, &alice), vec![package]);
        let added = storage.add_key_packages(NewKeyPackages { cap: 1, now, ..new });
        assert_eq!(added, Ok(KeyPackagesAdded::Stored(1)));
    }
}

/// What is remembered of a key package ends some time after it, whoever's it was.
fn forgotten<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let [alice, bob] = register(&storage, ["alice/pc", "bob/pc"]);
    let until = |n, not_after| KeyPackageRecord { not_after, ..package(n) };
    add(&storage, &alice, vec![until(1, 10), until(2, 10), until(3, 20)]);
    assert_eq!(claim(&storage, &alice, 0), Some(until(1, 0).message));
    let later = |packages, now| {
        let new = packages_of(&current(&storage, &bob), packages);
        storage.add_key_packages(NewKeyPackages { now, ..new }).unwrap()
    };
    let owner = |n| storage.key_package_owner(&package(n).reference).unwrap();

    let expired = 10 + REMEMBERED;
    let again = KeyPackageRecord { init_key_hash: [1; 32], ..until(5, u64::MAX) };
    assert_eq!(later(vec![until(4, u64::MAX)], expired), KeyPackagesAdded::Stored(1));
    assert_eq!(
        later(vec![again.clone()], expired),
        KeyPackagesAdded::Refused(KeyPackagesRefused::InitKeyReused(0))
    );
    assert_eq!([1, 2, 3].map(owner), [(); 3].map(|()| Some(alice.clone())));

    assert_eq!(later(vec![again], expired + 1), KeyPackagesAdded::Stored(1));
    assert_eq!([1, 2, 3].map(owner), [None, None, Some(alice.clone())]);
    assert_eq!([4, 5].map(owner), [Some(bob.clone()), Some(bob.clone())]);
    assert!(storage.key_packages(&alice, 0).unwrap().is_empty(), "they have expired");
}

fn all_or_none<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let [alice, bob] = register(&storage, ["alice/pc", "bob/pc"]);
    add(&storage, &bob, vec![package(1)]);

    let reused = KeyPackageRecord { init_key_hash: [1; 32], ..package(3) };
    let added = add(&storage, &alice, vec![package(2), reused, package(4)]);
    assert_eq!(added, KeyPackagesAdded::Refused(KeyPackagesRefused::InitKeyReused(1)));
    assert!(listed(&storage, &alice).is_empty(), "a part is stored");
    assert_eq!(storage.key_package_owner(&package(2).reference), Ok(None));

    let three = vec![package(2), package(3), package(4)];
    let three = packages_of(&current(&storage, &alice), three);
    let added = storage.add_key_packages(NewKeyPackages { cap: 2, ..three.clone() });
    assert_eq!(added, Ok(KeyPackagesAdded::Refused(KeyPackagesRefused::TooMany(2))));
    assert!(listed(&storage, &alice).is_empty(), "a part is stored");
    let added = storage.add_key_packages(NewKeyPackages { cap: 3, ..three });
    assert_eq!(added, Ok(KeyPackagesAdded::Stored(3)), "what was refused can be stored later");
}

fn replaced<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let [alice, bob] = register(&storage, ["alice/pc", "bob/pc"]);
    let last = |n| KeyPackageRecord { last_resort: true, ..package(n) };
    let other_suite = KeyPackageRecord { cipher_suite: CipherSuite(2), ..package(5) };
    add(&storage, &alice, vec![package(1), package(2), package(3), last(4), other_suite.clone()]);
    add(&storage, &bob, vec![package(6)]);
    assert_eq!(claim(&storage, &alice, 0), Some(package(1).message));
    let replace = |packages, cap| {
        let new = packages_of(&current(&storage, &alice), packages);
        storage.add_key_packages(NewKeyPackages { replaced: Some(SUITE), cap, ..new }).unwrap()
    };

    // What is refused replaces nothing.
    let before = listed(&storage, &alice);
    let reused = KeyPackageRecord { init_key_hash: [6; 32], ..package(7) };
    assert_eq!(
        replace(vec![package(8), reused], 9),
        KeyPackagesAdded::Refused(KeyPackagesRefused::InitKeyReused(1))
    );
    assert_eq!(
        replace(vec![package(8), package(9)], 1),
        KeyPackagesAdded::Refused(KeyPackagesRefused::TooMany(1))
    );
    assert_eq!(listed(&storage, &alice), before, "a part was replaced");

    // One stays, one comes; one that was claimed does not come back. Another suite's and another device's stay.
    let wanted = vec![package(1), package(3), package(7)];
    for stored in [1, 0] {
        assert_eq!(replace(wanted.clone(), 2), KeyPackagesAdded::Stored(stored));
        let left = [package(3), other_suite.clone(), package(7)].map(|p| p.message);
        assert_eq!(listed(&storage, &alice), left);
        assert_eq!(listed(&storage, &bob), [package(6).message]);
    }
    assert_eq!(replace(vec![], 2), KeyPackagesAdded::Stored(0));
    assert_eq!(listed(&storage, &alice), [other_suite.message]);
}

/// Key packages that were checked while the device had another key, or was active.
fn ended<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let [alice] = register(&storage, ["alice/pc"]);
    let before = info("alice/pc");
    let rotated = DeviceInfo { signature_key: vec![7; 4].into(), ..before.clone() };
    let revoked = DeviceInfo { active: false, ..rotated.clone() };
    for (length, now) in [(1, rotated.clone()), (2, revoked)] {
        let extended = storage.extend_account(extension("alice", length, vec![now]));
        assert_eq!(extended, Ok(Extended::Stored));
        let known = if length == 1 { &before } else { &rotated };
        let late = storage.add_key_packages(packages_of(known, vec![package(1)]));
        assert_eq!(late, Ok(KeyPackagesAdded::Refused(KeyPackagesRefused::Ended)));
        assert!(listed(&storage, &alice).is_empty());
    }
    assert_eq!(storage.key_package_owner(&package(1).reference), Ok(None));
}

fn withdrawals<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let [alice, bob] = register(&storage, ["alice/pc", "bob/pc"]);
    add(&storage, &alice, vec![package(1), package(2)]);
    add(&storage, &bob, vec![package(3)]);
    let numbers = |owner| -> Vec<i64> {
        storage.key_packages(owner, 0).unwrap().iter().map(|package| package.number).collect()
    };
    let (of_alice, of_bob) = (numbers(&alice), numbers(&bob));

    // Only a device's own, and each once.
    let asked = vec![of_alice[0], of_bob[0], of_alice[0]];
    assert_eq!(storage.withdraw_key_packages(&alice, asked), Ok(1));
    assert_eq!(listed(&storage, &alice), [package(2).message]);
    assert_eq!(listed(&storage, &bob), [package(3).message]);

    // A number is not given to another package.
    storage.withdraw_key_packages(&alice, of_alice.clone()).unwrap();
    add(&storage, &alice, vec![package(4)]);
    assert!(numbers(&alice).iter().all(|number| !of_alice.contains(number)));
}

fn races<P: Place>(new: &dyn Fn() -> P) {
    const COUNT: u8 = 24;
    let place = new();
    let storage = place.open().unwrap();
    let [alice] = register(&storage, ["alice/pc"]);
    add(&storage, &alice, (0..COUNT).map(package).collect());
    let claimed: Vec<Option<Bytes>> = std::thread::scope(|scope| {
        let one = || claim(&storage, &alice, 0);
        let threads: Vec<_> = (0..=COUNT).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let given: BTreeSet<&[u8]> = claimed.iter().flatten().map(|message| &**message).collect();
    assert_eq!(given.len(), usize::from(COUNT), "each package is given out once");
    assert_eq!(claimed.iter().filter(|message| message.is_none()).count(), 1);
}
