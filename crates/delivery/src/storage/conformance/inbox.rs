//! Inboxes: Welcomes wait until their recipients have stored them.

use super::place::Place;
use super::samples::{commit, create, register, won};
use crate::storage::{CommitEffects, Storage};
use conclave_delivery_api::{Bytes, DeviceId, InboxItem};

pub(super) fn check<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let [alice, bob, carol] = register(&storage, ["alice/pc", "bob/pc", "carol/pc"]);
    let group = create(&storage, 1, &[&alice]);
    let items = |device: &DeviceId, limit, bytes| storage.inbox(device, limit, bytes).unwrap();
    let ids = |items: &[InboxItem]| -> Vec<u64> { items.iter().map(|item| item.id).collect() };
    assert_eq!(items(&bob, 9, 999), (vec![], 0));
    assert_eq!(storage.inbox_size(&bob), Ok((0, 0)));

    // A Welcome for two, one for one of them; the tree comes with both.
    let effects = CommitEffects {
        added: vec![bob.clone(), carol.clone()],
        welcomes: vec![
            (b"for two".as_slice().into(), vec![bob.clone(), carol.clone()]),
            (b"for bob".as_slice().into(), vec![bob.clone()]),
        ],
        ratchet_tree: Some(b"tree".as_slice().into()),
        ..CommitEffects::default()
    };
    let seq = won(&storage, commit(&group, &alice, 1, 0, effects));
    let later = CommitEffects {
        welcomes: vec![(b"later".as_slice().into(), vec![bob.clone()])],
        ..CommitEffects::default()
    };
    won(&storage, commit(&group, &alice, 2, 1, later));

    let (of_bob, total) = items(&bob, 9, 999);
    assert_eq!(total, 3);
    let welcomes: Vec<&[u8]> = of_bob.iter().map(|item| &*item.welcome.welcome).collect();
    assert_eq!(welcomes, [&b"for two"[..], b"for bob", b"later"]);
    let first = &of_bob[0].welcome;
    let position = storage.position(&group, seq).unwrap().unwrap();
    assert_eq!((&first.group_id, first.position, position.epoch), (&group, position, 1));
    assert_eq!(first.sender, alice);
    assert_eq!(first.ratchet_tree, Some(Bytes::from(b"tree".as_slice())));
    assert_eq!(of_bob[2].welcome.ratchet_tree, None);
    assert_eq!(storage.inbox_size(&bob), Ok((3, 7 + 4 + 7 + 4 + 5)));
    assert_eq!(storage.inbox_size(&carol), Ok((1, 7 + 4)));

    // Pages: how many there are in all is said with each.
    assert_eq!(items(&bob, 0, 0), (vec![], 3));
    assert_eq!(ids(&items(&bob, 2, 999).0), ids(&of_bob[..2]));
    assert_eq!(ids(&items(&bob, 9, 1).0), ids(&of_bob[..1]), "at least one");
    assert_eq!(ids(&items(&bob, 9, 12).0), ids(&of_bob[..2]), "no more after enough");

    // Only a device's own items go, and what others still need stays.
    let of_carol = items(&carol, 9, 999).0;
    let asked = vec![of_bob[0].id, of_carol[0].id, of_bob[0].id, u64::MAX];
    storage.ack_inbox(&bob, asked).unwrap();
    assert_eq!(ids(&items(&bob, 9, 999).0), ids(&of_bob[1..]));
    assert_eq!(items(&carol, 9, 999), (of_carol, 1));

    // A number is not given to another item.
    let all = ids(&of_bob);
    storage.ack_inbox(&bob, all.clone()).unwrap();
    let again = CommitEffects {
        welcomes: vec![(b"again".as_slice().into(), vec![bob.clone()])],
        ..CommitEffects::default()
    };
    won(&storage, commit(&group, &alice, 3, 2, again));
    let (items, total) = items(&bob, 9, 999);
    assert_eq!(total, 1);
    assert!(!all.contains(&items[0].id));
}
