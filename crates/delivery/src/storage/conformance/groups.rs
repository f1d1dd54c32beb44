//! Groups: created once, with members who come and go.

use super::place::Place;
use super::samples::{commit, create, entry, id, new_group, register, won};
use crate::storage::{
    Appended, CommitEffects, GroupAdded, GroupRecord, Membership, NewGroup, Storage,
};
use conclave_delivery_api::{ChainHash, DeviceId, Ending, GroupId, LogPosition};
use conclave_mls::crypto::Secret;
use conclave_mls::storage::{Batch, RowKey, Table};

pub(super) fn check<P: Place>(new: &dyn Fn() -> P) {
    creation(new);
    members(new);
    places(new);
    resets(new);
    ends_without_successor(new);
    rows(new);
    public_state(new);
}

fn creation<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let [alice, bob] = register(&storage, ["alice/pc", "bob/pc"]);
    let new = NewGroup { tracked: true, epoch: 1 << 63, ..new_group(1, &alice) };
    assert_eq!(storage.group(&new.group_id), Ok(None));
    assert_eq!(storage.create_group(new.clone(), 1), Ok(GroupAdded::There));
    let (chain, ending) = (ChainHash::EMPTY, None);
    let record =
        GroupRecord { tracked: true, epoch: 1 << 63, head: 0, chain, handshake: 0, ending };
    assert_eq!(storage.group(&new.group_id), Ok(Some(record.clone())));

    // The same request again does no harm, also over the limit. Another one does not take the place.
    assert_eq!(storage.create_group(new.clone(), 1), Ok(GroupAdded::There));
    let other = NewGroup { request_hash: [9; 32], epoch: 5, ..new_group(1, &bob) };
    assert_eq!(storage.create_group(other, 1), Ok(GroupAdded::Another));
    assert_eq!(storage.group(&new.group_id), Ok(Some(record)));
    assert_eq!(storage.members(&new.group_id), Ok([alice.clone()].into()));

    // The limit is the creator's, and counts groups that the creator has left.
    assert_eq!(storage.create_group(new_group(2, &alice), 1), Ok(GroupAdded::TooMany));
    assert_eq!(storage.group(&GroupId::from([2])), Ok(None));
    let leaving = CommitEffects { removed: vec![alice.clone()], ..CommitEffects::default() };
    won(&storage, commit(&new.group_id, &alice, 1, 1 << 63, leaving));
    assert_eq!(storage.create_group(new_group(2, &alice), 1), Ok(GroupAdded::TooMany));
    assert_eq!(storage.create_group(new_group(2, &bob), 1), Ok(GroupAdded::There));

    // A group with a member whom the service does not know fails, and leaves nothing.
    let strange = NewGroup { members: vec![bob.clone(), id("x/y")], ..new_group(3, &bob) };
    assert!(storage.create_group(strange, 9).is_err());
    assert_eq!(storage.group(&GroupId::from([3])), Ok(None));
    assert_eq!(storage.groups_of(&bob).unwrap().len(), 1);
}

fn sorted(devices: std::sync::Arc<[DeviceId]>) -> Vec<DeviceId> {
    let mut devices = devices.to_vec();
    devices.sort();
    devices
}

/// Groups since a place: those with later entries, and no others.
fn places<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let [alice, bob] = register(&storage, ["alice/pc", "bob/pc"]);
    let groups = [1, 2, 3].map(|n| create(&storage, n, &[&alice, &bob]));
    for group in &groups {
        won(&storage, entry(group, &alice, 1));
    }
    let since = |device: &DeviceId, place| storage.groups_since(device, place).unwrap();
    let (all, end) = since(&bob, None);
    assert_eq!(all, storage.groups_of(&bob).unwrap());
    // One that counts no places always gives all.
    let Some(end) = end else { return };
    assert_eq!(since(&bob, Some(end)), (vec![], Some(end)));
    assert_eq!(since(&bob, Some(0)).0, all);
    for later in [end + 1, u64::from(u32::MAX), u64::MAX] {
        assert_eq!(since(&bob, Some(later)), (all.clone(), Some(end)), "a place that there is not");
    }

    // An entry, a removal, an addition, and a group without an entry.
    won(&storage, entry(&groups[1], &alice, 2));
    let removal = CommitEffects { removed: vec![bob.clone()], ..CommitEffects::default() };
    won(&storage, commit(&groups[2], &alice, 2, 0, removal));
    let told = |device, place| -> Vec<GroupId> {
        since(device, place).0.into_iter().map(|(group, _)| group).collect()
    };
    assert_eq!(told(&bob, Some(end)), groups[1..]);
    let (_, end) = since(&bob, None);
    won(&storage, entry(&groups[2], &alice, 3));
    assert!(told(&bob, end).is_empty(), "it is no member there any more");
    assert_eq!(told(&alice, end), groups[2..]);
    let adding = CommitEffects { added: vec![bob.clone()], ..CommitEffects::default() };
    let (_, end) = since(&bob, None);
    won(&storage, commit(&groups[2], &alice, 4, 1, adding));
    assert_eq!(told(&bob, end), groups[2..]);
    let (_, end) = since(&bob, None);
    let new = create(&storage, 4, &[&alice, &bob]);
    assert_eq!(told(&bob, end), [new]);
}

fn members<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let [alice, bob, carol] = register(&storage, ["alice/pc", "bob/pc", "carol/pc"]);
    let group = create(&storage, 1, &[&alice, &bob]);
    let other = create(&storage, 2, &[&carol]);
    let membership = |device: &DeviceId| storage.membership(&group, device).unwrap();
    assert_eq!(sorted(storage.members(&group).unwrap()), [alice.clone(), bob.clone()]);
    assert_eq!(membership(&bob), Membership::Member);
    assert_eq!(membership(&carol), Membership::Stranger);
    assert_eq!(membership(&id("x/y")), Membership::Stranger);

    // One goes, one comes. The one that went may read up to the commit that removed it.
    won(&storage, entry(&group, &alice, 1));
    let effects = CommitEffects {
        added: vec![carol.clone()],
        removed: vec![bob.clone()],
        ..CommitEffects::default()
    };
    assert_eq!(won(&storage, commit(&group, &alice, 2, 0, effects)), 2);
    won(&storage, entry(&group, &alice, 3));
    assert_eq!(sorted(storage.members(&group).unwrap()), [alice.clone(), carol.clone()]);
    assert_eq!(membership(&bob), Membership::Former(2));
    assert_eq!(membership(&carol), Membership::Member);
    let place = |seq| storage.position(&group, seq).unwrap().unwrap();
    assert_eq!((place(2).epoch, place(3).epoch), (1, 1));
    assert_eq!(storage.groups_of(&alice), Ok(vec![(group.clone(), place(3))]));
    assert_eq!(storage.groups_of(&bob), Ok(vec![(group.clone(), place(2))]));
    let of_carol = storage.groups_of(&carol).unwrap();
    assert_eq!(of_carol.len(), 2);
    assert!(of_carol.contains(&(group.clone(), place(3))));
    assert!(of_carol.contains(&(other, LogPosition::beginning(0))));

    // It returns; and one that a commit removes and adds again stays.
    let effects = CommitEffects {
        added: vec![bob.clone(), carol.clone()],
        removed: vec![carol.clone()],
        ..CommitEffects::default()
    };
    won(&storage, commit(&group, &alice, 4, 1, effects));
    assert_eq!(membership(&bob), Membership::Member);
    assert_eq!(membership(&carol), Membership::Member);

    // A former member that is removed once more keeps what it may read.
    let remove = |device: &DeviceId| CommitEffects {
        removed: vec![device.clone()],
        ..CommitEffects::default()
    };
    won(&storage, commit(&group, &alice, 5, 2, remove(&bob)));
    won(&storage, commit(&group, &alice, 6, 3, remove(&bob)));
    assert_eq!(membership(&bob), Membership::Former(5));
}

/// A group ends as another takes its place.
fn resets<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let [alice, bob, carol] = register(&storage, ["alice/pc", "bob/pc", "carol/pc"]);
    let old = create(&storage, 1, &[&alice, &bob, &carol]);
    let removal = CommitEffects { removed: vec![carol.clone()], ..CommitEffects::default() };
    won(&storage, commit(&old, &alice, 20, 0, removal));
    let message = entry(&old, &alice, 21);
    won(&storage, message.clone());
    let successor =
        |n, by: &DeviceId| NewGroup { predecessor: Some(old.clone()), ..new_group(n, by) };
    assert_eq!(storage.create_group(successor(2, &alice), 1), Ok(GroupAdded::TooMany));
    assert_eq!(storage.group(&old).unwrap().unwrap().ending, None, "nothing was written");
    assert_eq!(storage.create_group(successor(2, &bob), 1), Ok(GroupAdded::There));
    assert_eq!(storage.create_group(successor(2, &bob), 1), Ok(GroupAdded::There), "repeated");
    let first = GroupId::from([2]);
    let late = storage.create_group(successor(3, &alice), 9);
    assert_eq!(late, Ok(GroupAdded::Succeeded(first.clone())));
    assert_eq!(storage.group(&GroupId::from([3])), Ok(None));

    // Nothing comes into it any more, and what is in it stays.
    drop(storage);
    let storage = place.open().unwrap();
    let append = |n| storage.append(entry(&old, &alice, n)).unwrap();
    let ending = Ending::Succeeded(first);
    assert_eq!(append(22), Appended::Ended(ending.clone()));
    assert!(matches!(append(21), Appended::Known(_)));
    assert_eq!(storage.log(&old, 0, 9, 9, 999).unwrap().len(), 2);
    let record = storage.group(&old).unwrap().unwrap();
    assert_eq!((record.head, record.ending), (2, Some(ending.clone())));
    assert_eq!(storage.ended_groups_of(&alice), Ok(vec![(old.clone(), ending.clone())]));
    assert_eq!(storage.ended_groups_of(&carol), Ok(vec![]), "it was out before");
    assert_eq!(storage.end_group(&old), Ok(Some(ending.clone())), "it has ended before");
    assert_eq!(storage.ended_groups_of(&alice), Ok(vec![(old, ending)]));
}

/// A group ends, and another takes its place later.
fn ends_without_successor<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let [alice, bob] = register(&storage, ["alice/pc", "bob/pc"]);
    let old = create(&storage, 1, &[&alice, &bob]);
    let other = create(&storage, 2, &[&alice]);
    won(&storage, entry(&old, &alice, 1));
    assert_eq!(storage.end_group(&GroupId::from([9])), Ok(None));
    for _ in 0..2 {
        assert_eq!(storage.end_group(&old), Ok(Some(Ending::Unsucceeded)));
    }

    drop(storage);
    let storage = place.open().unwrap();
    let refused = storage.append(entry(&old, &bob, 2)).unwrap();
    assert_eq!(refused, Appended::Ended(Ending::Unsucceeded));
    assert_eq!(storage.log(&old, 0, 9, 9, 999).unwrap().len(), 1);
    assert_eq!(storage.ended_groups_of(&bob), Ok(vec![(old.clone(), Ending::Unsucceeded)]));
    won(&storage, entry(&other, &alice, 1));

    let successor = NewGroup { predecessor: Some(old.clone()), ..new_group(3, &bob) };
    assert_eq!(storage.create_group(successor, 9), Ok(GroupAdded::There));
    let ending = Ending::Succeeded([3].into());
    assert_eq!(storage.ended_groups_of(&bob), Ok(vec![(old, ending)]));
}

fn rows<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let [alice] = register(&storage, ["alice/pc"]);
    let key = |table, epoch, index| RowKey { table, epoch, index };
    let header = key(Table::ObserverHeader, u64::MAX, 0);
    let (old, high) = (key(Table::Tree, 3, 1), key(Table::Tree, 1 << 63, u64::MAX));
    let batch = |id: &GroupId, rows: &[(RowKey, Option<&[u8]>)]| {
        let mut batch = Batch::new(id.clone());
        batch.rows = rows.iter().map(|(key, v)| (*key, v.map(Secret::copy_from))).collect();
        batch
    };
    let group = GroupId::from([1]);
    let first: [(RowKey, Option<&[u8]>); 3] =
        [(header, Some(b"one")), (high, Some(b"")), (old, Some(b"old"))];
    let new = NewGroup { rows: Some(batch(&group, &first)), ..new_group(1, &alice) };
    storage.create_group(new, 9).unwrap();
    let ensure = |expected: &[(RowKey, &[u8])]| {
        let rows = storage.rows(&group).unwrap();
        let found: Vec<(RowKey, &[u8])> = rows.iter().map(|(k, v)| (*k, v.expose())).collect();
        assert_eq!(found, expected);
    };
    ensure(&[(old, b"old"), (high, b""), (header, b"one")]);

    // Epochs go before rows are written.
    let mut changes = batch(&group, &[(header, Some(b"two")), (high, None)]);
    changes.deleted_epochs.insert(3);
    let mut append = entry(&group, &alice, 1);
    append.rows = Some(changes);
    won(&storage, append);
    ensure(&[(header, b"two")]);

    let mut replacing = batch(&group, &[(old, Some(b"new"))]);
    replacing.clear = true;
    let mut append = entry(&group, &alice, 2);
    append.rows = Some(replacing);
    won(&storage, append);
    ensure(&[(old, b"new")]);
    assert!(storage.rows(&GroupId::from([9])).unwrap().is_empty());
}

fn public_state<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let [alice] = register(&storage, ["alice/pc"]);
    let group = create(&storage, 1, &[&alice]);
    assert_eq!(storage.public_state(&group), Ok(None));

    let with = |info: Option<&[u8]>, tree: Option<&[u8]>| CommitEffects {
        group_info: info.map(Into::into),
        ratchet_tree: tree.map(Into::into),
        ..CommitEffects::default()
    };
    won(&storage, commit(&group, &alice, 1, 0, with(Some(b"info"), Some(b"tree"))));
    let both = (b"info".as_slice().into(), b"tree".as_slice().into());
    assert_eq!(storage.public_state(&group), Ok(Some(both.clone())));

    // A message changes nothing. A commit without both leaves none.
    won(&storage, entry(&group, &alice, 2));
    assert_eq!(storage.public_state(&group), Ok(Some(both)));
    for (n, epoch, info, tree) in
        [(3, 1, Some(&b"info"[..]), None), (4, 2, None, Some(&b"tree"[..])), (5, 3, None, None)]
    {
        won(&storage, commit(&group, &alice, n, epoch, with(info, tree)));
        assert_eq!(storage.public_state(&group), Ok(None));
    }
}
