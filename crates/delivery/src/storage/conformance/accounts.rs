//! The service's secret, and devices.

use super::place::Place;
use super::samples::{id, info, register};
use crate::api::CipherSuite;
use crate::storage::Storage;

pub(super) fn check<P: Place>(new: &dyn Fn() -> P) {
    secret(new);
    devices(new);
}

fn secret<P: Place>(new: &dyn Fn() -> P) {
    let (place, other) = (new(), new());
    let storage = place.open().unwrap();
    let secret = storage.secret().unwrap();
    assert_eq!(secret.len(), 32);
    assert_eq!(storage.secret().unwrap(), secret, "the secret changes");
    assert_ne!(other.open().unwrap().secret().unwrap(), secret, "two services share a secret");

    drop(storage);
    assert_eq!(place.open().unwrap().secret().unwrap(), secret, "the secret is drawn again");
}

fn devices<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let alice = "alice".parse().unwrap();
    assert_eq!(storage.device(&id("alice/pc")), Ok(None));
    assert_eq!(storage.devices(&alice), Ok(vec![]));

    // In the order in which they register, whatever they are called.
    register(&storage, ["alice/pc", "bob/pc", "alice/laptop", "alice/phone"]);
    let names = ["alice/pc", "alice/laptop", "alice/phone"];
    assert_eq!(storage.devices(&alice), Ok(names.map(info).to_vec()));
    assert_eq!(storage.device(&id("bob/pc")), Ok(Some(info("bob/pc"))));

    // A name belongs to the first that registers it.
    let mut another = info("alice/pc");
    another.signature_key = vec![9; 4].into();
    another.cipher_suite = CipherSuite(2);
    assert_eq!(storage.register(&another), Ok(info("alice/pc")));
    assert_eq!(storage.device(&id("alice/pc")), Ok(Some(info("alice/pc"))));
    assert_eq!(storage.devices(&alice).unwrap().len(), 3);
}
