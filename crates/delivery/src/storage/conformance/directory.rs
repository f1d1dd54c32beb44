//! What is published of accounts, and the directory's records.

use super::place::Place;
use super::samples::{extension, info};
use crate::storage::{AccountExtension, DirectoryRecords, Extended, Storage};
use conclave_directory::server::conformance;
use core::cell::RefCell;
use std::sync::Arc;

pub(super) fn check<P: Place>(new: &dyn Fn() -> P) {
    // A place is gone when it is dropped.
    let places = RefCell::new(Vec::new());
    conformance(|| {
        let place = new();
        let storage = place.open().unwrap();
        places.borrow_mut().push(place);
        DirectoryRecords(Arc::new(storage))
    });
    published(new);
}

/// The users whose logs are longer than was published, with the lengths of their logs, in the order of names.
fn unpublished(storage: &impl Storage) -> Vec<(String, u64)> {
    let mut found: Vec<_> = storage
        .unpublished(100)
        .unwrap()
        .into_iter()
        .map(|(user, record)| {
            assert_eq!(storage.account(&user), Ok(Some(record.clone())), "another account");
            (user.to_string(), record.length)
        })
        .collect();
    found.sort();
    found
}

fn published<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let grow = |extension: AccountExtension| {
        assert_eq!(storage.extend_account(extension), Ok(Extended::Stored));
    };
    let publish = |lengths: &[(&str, u64)]| {
        let lengths = lengths.iter().map(|(user, length)| (user.parse().unwrap(), *length));
        storage.mark_published(lengths.collect()).unwrap();
    };
    let all = |wanted: &[(&str, u64)]| -> Vec<(String, u64)> {
        wanted.iter().map(|(user, length)| ((*user).to_string(), *length)).collect()
    };
    assert_eq!(unpublished(&storage), []);

    grow(extension("alice", 0, vec![info("alice/pc")]));
    grow(extension("bob", 0, vec![]));
    assert_eq!(unpublished(&storage), all(&[("alice", 1), ("bob", 1)]));
    assert_eq!(storage.unpublished(1).unwrap().len(), 1, "more than were asked for");

    // What comes while a batch is published is left for the next one.
    grow(extension("alice", 1, vec![info("alice/pc")]));
    publish(&[("alice", 1), ("bob", 1)]);
    assert_eq!(unpublished(&storage), all(&[("alice", 2)]));
    publish(&[("alice", 2), ("nobody", 7)]);
    assert_eq!(unpublished(&storage), []);

    // It does not go back, and is still known when the log grows.
    publish(&[("alice", 1)]);
    assert_eq!(unpublished(&storage), []);
    grow(extension("bob", 1, vec![]));
    assert_eq!(unpublished(&storage), all(&[("bob", 2)]));

    drop(storage);
    let storage = place.open().unwrap();
    assert_eq!(unpublished(&storage), all(&[("bob", 2)]), "after a restart");
}
