//! Devices, groups and entries to store.

use crate::storage::DeviceInfo;
use crate::storage::{
    AccountExtension, Append, Appended, CommitEffects, Extended, GroupAdded, KeyPackageRecord,
    NewGroup, NewKeyPackages, Storage,
};
use conclave_delivery_api::{CipherSuite, ContentType, DeviceId, GroupId};
use conclave_mls::crypto::SignatureScheme;

/// The suite of all key packages that need no other.
pub(super) const SUITE: CipherSuite = CipherSuite(1);

/// A device name.
pub(super) fn id(name: &str) -> DeviceId {
    name.parse().unwrap()
}

/// An active device with a key of its own.
pub(super) fn info(name: &str) -> DeviceInfo {
    DeviceInfo {
        device: id(name),
        scheme: SignatureScheme::Ed25519,
        signature_key: name.as_bytes().into(),
        active: true,
    }
}

/// An account after `expected_length` entries and one more, with these devices.
pub(super) fn extension(
    user: &str,
    expected_length: u64,
    devices: Vec<DeviceInfo>,
) -> AccountExtension {
    AccountExtension {
        user: user.parse().unwrap(),
        skeleton: user.into(),
        expected_length,
        entries: vec![format!("entry {expected_length} of {user}").into_bytes().into()],
        state: format!("{user} after {expected_length}").into_bytes().into(),
        devices,
        revoked: vec![],
        invitation: None,
    }
}

/// Makes the accounts of these devices, or adds the devices to them.
pub(super) fn register<const N: usize>(storage: &impl Storage, names: [&str; N]) -> [DeviceId; N] {
    names.map(|name| {
        let info = info(name);
        let user = &info.device.user;
        let length = storage.account(user).unwrap().map_or(0, |account| account.length);
        let mut devices = storage.devices(user).unwrap();
        devices.push(info.clone());
        let extended = storage.extend_account(extension(user.as_str(), length, devices));
        assert_eq!(extended, Ok(Extended::Stored));
        info.device
    })
}

/// A device as the storage has it.
pub(super) fn current(storage: &impl Storage, id: &DeviceId) -> DeviceInfo {
    storage.device(id).unwrap().expect("the device")
}

/// A group of one member.
pub(super) fn new_group(n: u8, creator: &DeviceId) -> NewGroup {
    NewGroup {
        group_id: GroupId::from([n]),
        tracked: false,
        epoch: 0,
        request_hash: [n; 32],
        creator: creator.clone(),
        members: vec![creator.clone()],
        rows: None,
        predecessor: None,
        now: 7,
    }
}

/// Creates a group of these members, the first being the creator.
pub(super) fn create(storage: &impl Storage, n: u8, members: &[&DeviceId]) -> GroupId {
    let names = members.iter().copied().cloned().collect();
    let new = NewGroup { members: names, ..new_group(n, members[0]) };
    let group_id = new.group_id.clone();
    assert_eq!(storage.create_group(new, 100), Ok(GroupAdded::There));
    group_id
}

/// An application message, different for each number.
pub(super) fn entry(group_id: &GroupId, sender: &DeviceId, n: u8) -> Append {
    Append {
        group_id: group_id.clone(),
        expected_handshake: None,
        by_member: false,
        state_mark: None,
        in_epoch: false,
        epoch: 0,
        content_type: ContentType::Application,
        sender: sender.clone(),
        received_at: 100 + u64::from(n),
        hash: [n; 32],
        message: vec![n; 3].into(),
        commit: None,
        rows: None,
    }
}

/// A commit of an epoch with these effects.
pub(super) fn commit(
    group_id: &GroupId,
    sender: &DeviceId,
    n: u8,
    epoch: u64,
    effects: CommitEffects,
) -> Append {
    Append {
        epoch,
        content_type: ContentType::Commit,
        commit: Some(effects),
        ..entry(group_id, sender, n)
    }
}

/// Appends an entry that has to win; its number.
pub(super) fn won(storage: &impl Storage, append: Append) -> u64 {
    match storage.append(append).unwrap() {
        Appended::Won(position) => position.seq,
        other => panic!("the entry is not appended: {other:?}"),
    }
}

/// What comes of something that does not hold up the thread.
pub(super) fn waited<T>(what: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(what)
}

/// A key package, different for each number.
pub(super) fn package(n: u8) -> KeyPackageRecord {
    KeyPackageRecord {
        reference: vec![n; 32].into(),
        init_key_hash: [n; 32],
        cipher_suite: SUITE,
        not_after: 1000,
        last_resort: false,
        message: vec![n; 5].into(),
    }
}

/// These key packages of a device, which has at most 100.
pub(super) fn packages_of(owner: &DeviceInfo, packages: Vec<KeyPackageRecord>) -> NewKeyPackages {
    NewKeyPackages { owner: owner.clone(), packages, replaced: None, cap: 100, now: 0 }
}
