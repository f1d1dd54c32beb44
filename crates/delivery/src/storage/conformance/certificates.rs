//! Certified devices.

use super::Place;
use super::samples::{id, info, packages_of};
use crate::storage::{
    CertificateRecord, Certified, KeyPackagesAdded, KeyPackagesRefused, Membership, NewGroup,
    Storage,
};
use conclave_delivery_api::DeviceId;

/// The most devices of a user here.
const CAP: usize = 2;

fn record(name: &str, key: &str, not_before: u64) -> CertificateRecord {
    let mut info = info(name);
    info.signature_key = key.as_bytes().into();
    let chain = format!("chain of {name} from {not_before}").into_bytes().into();
    CertificateRecord { info, chain, not_before, not_after: 9_000 }
}

fn put(storage: &impl Storage, record: &CertificateRecord) {
    assert_eq!(storage.certify(record.clone(), CAP), Ok(Certified::Stored), "{record:?}");
}

pub(super) fn check<P: Place>(new: &dyn Fn() -> P) {
    later_certificates_count(&new().open().unwrap());
    a_device_that_ends_loses_all(&new().open().unwrap());
    pages(&new().open().unwrap());
}

fn later_certificates_count(storage: &impl Storage) {
    let first = record("alice/pc", "key", 100);
    put(storage, &first);
    assert_eq!(storage.certify(first.clone(), CAP), Ok(Certified::Known));
    let same_key = record("alice/pc", "key", 200);
    put(storage, &same_key);
    let superseded = Ok(Certified::Superseded(same_key.clone()));
    assert_eq!(storage.certify(first.clone(), CAP), superseded, "an older certificate counts");
    assert_eq!(storage.certificates(&first.info.device.user), Ok(vec![same_key.clone()]));
    assert_eq!(storage.device(&first.info.device), Ok(Some(same_key.info.clone())));

    // Another key ends the former one.
    let other_key = record("alice/pc", "another key", 300);
    put(storage, &other_key);
    assert_eq!(storage.device(&first.info.device), Ok(Some(other_key.info)));
    let added = storage.add_key_packages(packages_of(&same_key.info, vec![]));
    assert_eq!(added, Ok(KeyPackagesAdded::Refused(KeyPackagesRefused::Ended)));

    put(storage, &record("alice/phone", "key of the phone", 100));
    let third = record("alice/tablet", "key of the tablet", 100);
    assert_eq!(storage.certify(third, CAP), Ok(Certified::TooMany));
    assert_eq!(storage.has_accounts(), Ok(false));
}

fn a_device_that_ends_loses_all(storage: &impl Storage) {
    let (alice, bob) = (record("alice/pc", "a", 100), record("bob/pc", "b", 100));
    put(storage, &alice);
    put(storage, &bob);
    let members: Vec<DeviceId> = vec![id("alice/pc"), id("bob/pc")];
    let group = NewGroup {
        group_id: b"group".to_vec().into(),
        tracked: false,
        epoch: 0,
        request_hash: [0; 32],
        creator: id("alice/pc"),
        members,
        rows: None,
        predecessor: None,
        now: 1,
    };
    let group_id = group.group_id.clone();
    storage.create_group(group, 9).unwrap();

    // Only the certificate that is known to have ended ends the device.
    let renewed = record("bob/pc", "b", 200);
    put(storage, &renewed);
    assert_eq!(storage.end_certified(bob.clone()), Ok(false));
    assert_eq!(storage.membership(&group_id, &id("bob/pc")), Ok(Membership::Member));
    assert_eq!(storage.end_certified(renewed.clone()), Ok(true));
    assert_eq!(storage.end_certified(renewed), Ok(false));
    assert_eq!(
        storage.membership(&group_id, &id("bob/pc")),
        Ok(Membership::Stranger),
        "a device that has ended is in a group"
    );
    assert_eq!(storage.certificates(&bob.info.device.user), Ok(vec![]));
    assert!(!storage.device(&id("bob/pc")).unwrap().unwrap().active);

    // A certificate for another key brings the name back, without what it had.
    put(storage, &record("bob/pc", "new", 300));
    assert_eq!(storage.membership(&group_id, &id("bob/pc")), Ok(Membership::Stranger));
}

fn pages(storage: &impl Storage) {
    let names = ["a/1", "b/1", "c/1", "d/1"];
    names.iter().for_each(|name| put(storage, &record(name, name, 100)));
    storage.end_certified(record("b/1", "b/1", 100)).unwrap();
    let mut seen = Vec::new();
    let mut after = i64::MIN;
    loop {
        let page = storage.all_certificates(after, 2).unwrap();
        assert!(page.len() <= 2);
        let Some((last, _)) = page.last() else { break };
        after = *last;
        seen.extend(page.into_iter().map(|(_, record)| record.info.device));
    }
    assert_eq!(seen, ["a/1", "c/1", "d/1"].map(id));
}
