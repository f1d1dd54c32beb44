//! Marks of states: of two copies one goes on, and what the other sends is refused in the step that appends.

use super::place::Place;
use super::samples::{create, entry, extension, info, register, won};
use crate::storage::{Append, Appended, DeviceInfo, NewMark, Storage};
use conclave_delivery_api::{MarkState, StateMark};

const fn mark(number: u64, id: u8) -> StateMark {
    StateMark { number, id: [id; 16] }
}

pub(super) fn check<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let [alice, bob] = register(&storage, ["alice/pc", "bob/pc"]);
    let group = create(&storage, 1, &[&alice, &bob]);
    let set = |before: &[StateMark], mark| {
        let owner = storage.device(&alice).unwrap().unwrap();
        let request = MarkState { before: before.to_vec(), mark };
        let marked = storage.mark_state(NewMark { owner, request, now: mark.number });
        marked.unwrap().map(|marked| (marked.latest, marked.marked_at))
    };
    let by_alice =
        |n, mark| Append { state_mark: mark, by_member: true, ..entry(&group, &alice, n) };

    // Copies of a state that was never marked cannot be told apart.
    assert_eq!(storage.state_mark(&alice), Ok(None));
    won(&storage, by_alice(1, Some(0)));
    let (first, second) = (mark(1, 1), mark(2, 2));
    assert_eq!(set(&[], first), Some((first, 1)));
    assert_eq!(storage.append(by_alice(2, Some(0))), Ok(Appended::Overtaken));
    won(&storage, by_alice(2, Some(1)));
    assert_eq!(set(&[first], second), Some((second, 2)));
    assert_eq!(set(&[first], second), Some((second, 2)), "the answer was lost");
    let latest = storage.state_mark(&alice).unwrap().unwrap();
    assert_eq!((latest.latest, latest.marked_at), (second, 2));

    // Nothing of the other copy is taken; what the log had before is known.
    assert_eq!(set(&[first], mark(2, 9)), Some((second, 2)));
    assert_eq!(storage.append(by_alice(3, Some(1))), Ok(Appended::Overtaken));
    assert!(matches!(storage.append(by_alice(2, Some(1))), Ok(Appended::Known(_))));
    won(&storage, by_alice(3, Some(2)));
    won(&storage, Append { state_mark: Some(0), ..entry(&group, &bob, 4) });
    won(&storage, by_alice(5, None));

    // The mark is there when the storage is opened again, and gone when the device has another key.
    drop(storage);
    let storage = place.open().unwrap();
    assert_eq!(storage.state_mark(&alice).unwrap().unwrap().latest, second);
    let other = DeviceInfo { signature_key: b"another key".as_slice().into(), ..info("alice/pc") };
    let request = MarkState { before: vec![second], mark: mark(3, 3) };
    let new = NewMark { owner: other.clone(), request, now: 9 };
    assert_eq!(storage.mark_state(new.clone()), Ok(None));
    storage.extend_account(extension("alice", 1, vec![other])).unwrap();
    assert_eq!(storage.state_mark(&alice), Ok(None));
    let request = MarkState { before: vec![], mark: first };
    let anew = storage.mark_state(NewMark { request, ..new }).unwrap();
    assert_eq!(anew.unwrap().latest, first);
}
