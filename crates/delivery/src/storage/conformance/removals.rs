//! Revoked members, until a commit removes them.

use super::place::Place;
use super::samples::{commit, create, extension, id, new_group, register, won};
use crate::storage::{AccountExtension, CommitEffects, Extended, GroupAdded, NewGroup, Storage};
use conclave_delivery_api::{DeviceId, GroupId};

pub(super) fn check<P: Place>(new: &dyn Fn() -> P) {
    due(new);
    many(new);
}

/// A tracked group of these members.
fn tracked(storage: &impl Storage, n: u8, members: &[&DeviceId]) -> GroupId {
    let names = members.iter().copied().cloned().collect();
    let new = NewGroup { tracked: true, members: names, ..new_group(n, members[0]) };
    let group_id = new.group_id.clone();
    assert_eq!(storage.create_group(new, 100), Ok(GroupAdded::There));
    group_id
}

fn revoke(storage: &impl Storage, device: &DeviceId) {
    let user = device.user.as_str();
    let length = storage.account(&device.user).unwrap().unwrap().length;
    let mut devices = storage.devices(&device.user).unwrap();
    devices.iter_mut().filter(|known| known.device == *device).for_each(|d| d.active = false);
    let revoked = vec![device.clone()];
    let extension = AccountExtension { revoked, ..extension(user, length, devices) };
    assert_eq!(storage.extend_account(extension), Ok(Extended::Stored));
}

fn due<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let [alice, bob, carol] = register(&storage, ["alice/pc", "bob/pc", "carol/pc"]);
    let group = tracked(&storage, 1, &[&alice, &bob, &carol]);
    let former = tracked(&storage, 2, &[&alice, &bob]);
    let removal = CommitEffects { removed: vec![bob.clone()], ..CommitEffects::default() };
    won(&storage, commit(&former, &alice, 10, 0, removal.clone()));
    create(&storage, 3, &[&alice, &bob]);
    assert_eq!(storage.due_removals(10), Ok(vec![]));

    revoke(&storage, &bob);
    assert_eq!(storage.due_removals(10), Ok(vec![group.clone()]), "where it was, and tracked");
    assert_eq!(storage.due_removals_in(&group), Ok(vec![bob.clone()]));
    assert_eq!(storage.due_removals_in(&former), Ok(vec![]));
    drop(storage);
    let storage = place.open().unwrap();
    assert_eq!(storage.due_removals(10), Ok(vec![group.clone()]), "after a restart");

    // What was proposed in an epoch is due again in the next, until it is done.
    storage.removals_proposed(&group, 1).unwrap();
    assert_eq!(storage.due_removals(10), Ok(vec![group.clone()]), "it is in another epoch");
    storage.removals_proposed(&group, 0).unwrap();
    assert_eq!(storage.due_removals(10), Ok(vec![]));
    assert_eq!(storage.due_removals_in(&group), Ok(vec![]));
    won(&storage, commit(&group, &alice, 11, 0, CommitEffects::default()));
    assert_eq!(storage.due_removals_in(&group), Ok(vec![bob]));
    won(&storage, commit(&group, &alice, 12, 1, removal));
    assert_eq!(storage.due_removals(10), Ok(vec![]));
    won(&storage, commit(&group, &alice, 13, 2, CommitEffects::default()));
    assert_eq!(storage.due_removals(10), Ok(vec![]), "it is out");
}

fn many<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let [alice, phone, tablet] = register(&storage, ["alice/pc", "alice/phone", "alice/tablet"]);
    for n in 1..=5 {
        tracked(&storage, n, &[&alice, &phone, &tablet]);
    }
    revoke(&storage, &phone);
    revoke(&storage, &tablet);
    assert_eq!(storage.due_removals(3).unwrap().len(), 3);
    let all = storage.due_removals(100).unwrap();
    assert_eq!(all.len(), 5, "each group once");
    assert_eq!(storage.due_removals_in(&all[0]), Ok(vec![phone, id("alice/tablet")]));
}
