//! What is there after a restart or a crash.

use super::place::Place;
use super::samples::{SUITE, commit, create, entry, info, package, packages_of, register, won};
use crate::storage::{
    CommitEffects, DirectoryBatch, Give, KeyPackagesAdded, Membership, Put, Storage,
};
use conclave_delivery_api::{DeviceId, GroupId};

pub(super) fn check<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    if place.is_exclusive() {
        assert!(place.open().is_err(), "it is open twice");
    }

    let [alice, bob] = register(&storage, ["alice/pc", "bob/pc"]);
    if let Some(left) = place.crash(&storage) {
        assert_eq!(left.open().unwrap().device(&bob), Ok(Some(info("bob/pc"))), "after a crash");
    }
    let group = fill(&storage, &alice, &bob);
    if let Some(left) = place.crash(&storage) {
        holds_all(&left.open().unwrap(), &group, &alice, &bob);
    }
    drop(storage);

    let storage = place.open().unwrap();
    holds_all(&storage, &group, &alice, &bob);
    // Numbers go on where they were.
    assert_eq!(won(&storage, entry(&group, &alice, 9)), 3);
}

/// Something of each kind.
fn fill(storage: &impl Storage, alice: &DeviceId, bob: &DeviceId) -> GroupId {
    let group = create(storage, 1, &[alice]);
    let packages = vec![package(1), package(2)];
    let added = storage.add_key_packages(packages_of(&info("bob/pc"), packages));
    assert_eq!(added, Ok(KeyPackagesAdded::Stored(2)));
    storage.claim_key_packages(vec![bob.clone()], SUITE, Give::Next, 0).unwrap();

    let row = (b"root".to_vec(), b"one".to_vec());
    let batch = DirectoryBatch { guard: (row.0.clone(), None), rows: vec![row] };
    assert_eq!(storage.put_directory(batch), Ok(Put::Written));
    storage.mark_published(vec![(alice.user.clone(), 1)]).unwrap();

    let effects = CommitEffects {
        added: vec![bob.clone()],
        welcomes: vec![(b"welcome".as_slice().into(), vec![bob.clone()])],
        ratchet_tree: Some(b"tree".as_slice().into()),
        group_info: Some(b"info".as_slice().into()),
        ..CommitEffects::default()
    };
    won(storage, commit(&group, alice, 1, 0, effects));
    won(storage, entry(&group, alice, 2));
    group
}

fn holds_all(storage: &impl Storage, group: &GroupId, alice: &DeviceId, bob: &DeviceId) {
    let record = storage.group(group).unwrap().expect("the group");
    assert_eq!((record.epoch, record.head, record.handshake), (1, 2, 1));
    assert_eq!(storage.membership(group, alice), Ok(Membership::Member));
    assert_eq!(storage.membership(group, bob), Ok(Membership::Member));
    assert_eq!(storage.log(group, 0, 9, 9, usize::MAX).unwrap().len(), 2);
    assert!(storage.public_state(group).unwrap().is_some());
    assert_eq!(storage.inbox(bob, 9, 999).unwrap().1, 1);

    let rows = storage.directory_rows(&[b"root".to_vec()]);
    assert_eq!(rows, Ok(vec![Some(b"one".to_vec())]), "the directory's records");
    let unpublished = storage.unpublished(9).unwrap();
    assert_eq!(unpublished.len(), 1, "what was published is forgotten, or what was not");

    let left = storage.key_packages(bob, 0).unwrap();
    assert_eq!(left.len(), 1, "a package that was given out is back, or one is missing");
    assert_eq!(left[0].message, package(2).message);
    assert_eq!(storage.key_package_owner(&package(1).reference), Ok(Some(bob.clone())));
}
