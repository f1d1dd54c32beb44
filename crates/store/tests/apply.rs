//! Steps of groups, written to a store with what the application keeps beside them.
#![allow(clippy::unwrap_used)]

use conclave_mls::group::{Framing, NewGroup};
use conclave_mls::key_package::Lifetime;
use conclave_mls::storage::ApplyError;
use conclave_mls::{CipherSuite, Config, Credential, Event, Group, Identity};
use conclave_provider_rustcrypto::RustCrypto;
use conclave_store::{
    GroupId, MemoryStore, RowKey, Secret, Store, StoreError, WriteSet, apply, apply_fold, apply_new,
};

const CRYPTO: RustCrypto = RustCrypto::new();
const SUITE: CipherSuite = CipherSuite(1);

fn rng() -> rand_core::UnwrapErr<getrandom::SysRng> {
    rand_core::UnwrapErr(getrandom::SysRng)
}

fn id() -> GroupId {
    b"a group".as_slice().into()
}

fn group(store: &mut impl Store) -> Group {
    apply_new(store, new_group(), |_, _| {}).unwrap()
}

fn new_group() -> NewGroup {
    let credential = Credential::basic(b"alice");
    let alice = Identity::generate(&CRYPTO, &mut rng(), credential, SUITE).unwrap();
    let params = alice.group_params(id(), Lifetime { not_before: 0, not_after: 1000 });
    Group::create(&CRYPTO, &mut rng(), Config::default(), params, alice.signer).unwrap()
}

/// Keeps a message that is to be sent.
fn outbox(set: &mut WriteSet, event: &Event) {
    if let Event::Message(message) = event {
        set.put("outbox", message.clone(), b"waits".as_slice());
    }
}

/// A store whose writes fail.
struct Failing(StoreError);

impl Store for Failing {
    fn load(&self, _: &GroupId) -> Result<Vec<(RowKey, Secret)>, StoreError> {
        Err(self.0.clone())
    }
    fn write(&mut self, _: &WriteSet) -> Result<(), StoreError> {
        Err(self.0.clone())
    }
    fn groups(&self) -> Result<Vec<GroupId>, StoreError> {
        Err(self.0.clone())
    }
    fn get(&self, _: &str, _: &[u8]) -> Result<Option<Secret>, StoreError> {
        Err(self.0.clone())
    }
    fn scan(&self, _: &str, _: &[u8], _: usize) -> Result<Vec<(Vec<u8>, Secret)>, StoreError> {
        Err(self.0.clone())
    }
}

#[test]
fn a_step_is_written_with_what_stands_beside_it_in_one_write() {
    let mut store = MemoryStore::new();
    let mut group = group(&mut store);
    let writes = store.writes();

    let step = group.encrypt(&CRYPTO, &mut rng(), b"hello", &Framing::default()).unwrap();
    let message = apply(&mut store, &mut group, step, outbox).unwrap();

    assert_eq!(store.writes(), writes + 1);
    assert!(store.get("outbox", &message).unwrap().is_some());
    let loaded = Group::load(&CRYPTO, Config::default(), store.load(&id()).unwrap()).unwrap();
    assert_eq!(loaded.rows().unwrap(), group.rows().unwrap());
}

#[test]
fn a_new_group_is_written_with_what_stands_beside_it_in_one_write() {
    let mut store = MemoryStore::new();
    let group = apply_new(&mut store, new_group(), |set, group| {
        set.put("cursor", group.group_id().as_ref(), b"0".as_slice());
    })
    .unwrap();

    assert_eq!(store.writes(), 1);
    assert!(store.get("cursor", id().as_ref()).unwrap().is_some());
    let loaded = Group::load(&CRYPTO, Config::default(), store.load(&id()).unwrap()).unwrap();
    assert_eq!(loaded.rows().unwrap(), group.rows().unwrap());
}

#[test]
fn a_new_group_takes_no_known_groups_place_unless_it_replaces_it() {
    let mut store = MemoryStore::new();
    group(&mut store);
    let before = store.clone();

    let refused = apply_new(&mut store, new_group(), |set, _| {
        set.put("cursor", id().as_ref(), b"0".as_slice());
    });
    assert_eq!(refused.unwrap_err(), StoreError::GroupExists(id()));
    assert_eq!(store, before);

    let group = apply_new(&mut store, new_group().replacing(), |_, _| {}).unwrap();
    let loaded = Group::load(&CRYPTO, Config::default(), store.load(&id()).unwrap()).unwrap();
    assert_eq!(loaded.rows().unwrap(), group.rows().unwrap());
}

#[test]
fn the_steps_of_a_fold_are_written_at_once_and_in_order() {
    let mut store = MemoryStore::new();
    let mut group = group(&mut store);
    let writes = store.writes();

    let mut fold = group.fold();
    for text in [b"one", b"two"] {
        let step = fold.state().encrypt(&CRYPTO, &mut rng(), text, &Framing::default());
        fold.push(step.unwrap()).unwrap();
    }
    let mut seen = Vec::new();
    let events = apply_fold(&mut store, fold, |set, event| {
        outbox(set, event);
        seen.push(event.clone());
    });
    assert_eq!(events.unwrap(), seen);

    assert_eq!(store.writes(), writes + 1);
    assert_eq!(store.scan("outbox", &[], 9).unwrap().len(), 2);
    let loaded = Group::load(&CRYPTO, Config::default(), store.load(&id()).unwrap()).unwrap();
    assert_eq!(loaded.rows().unwrap(), group.rows().unwrap());
}

#[test]
fn a_write_that_fails_applies_nothing_and_an_unknown_one_ends_the_group() {
    let mut store = MemoryStore::new();
    let mut group = group(&mut store);
    let rows = group.rows().unwrap();
    let encrypt =
        |group: &Group| group.encrypt(&CRYPTO, &mut rng(), b"hello", &Framing::default()).unwrap();

    let error = StoreError::failed("the disk is full");
    let step = encrypt(&group);
    let failed = apply(&mut Failing(error.clone()), &mut group, step, outbox);
    assert_eq!(failed.unwrap_err(), ApplyError::Write(error));
    assert_eq!(group.rows().unwrap(), rows);
    let step = encrypt(&group);
    apply(&mut store, &mut group, step, outbox).unwrap();

    let error = StoreError::unknown("the connection was lost");
    let step = encrypt(&group);
    let failed = apply(&mut Failing(error.clone()), &mut group, step, outbox);
    assert_eq!(failed.unwrap_err(), ApplyError::Write(error));
    let step = encrypt(&group);
    assert_eq!(apply(&mut store, &mut group, step, outbox).unwrap_err(), ApplyError::Reload);
}
