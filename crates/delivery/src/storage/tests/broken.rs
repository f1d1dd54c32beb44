//! The kit finds what is wrong with a storage: each of these has one fault.

use super::Folder;
use crate::api::*;
use crate::storage::conformance::{Place, check};
use crate::storage::*;
use conclave_mls::crypto::Secret;
use conclave_mls::storage::RowKey;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// The secret is another each time.
    SecretRedrawn,
    /// Another registration takes a device's name.
    NameTaken,
    /// A claimed package is given out again.
    ClaimedTwice,
    /// Expired packages are given out.
    ExpiredGivenOut,
    /// Packages that were stored before the refused one stay.
    PartOfPackages,
    /// Packages are withdrawn whoever has them.
    AnyoneWithdraws,
    /// The limit of groups is ignored.
    GroupsUnlimited,
    /// A commit need not know the last handshake message.
    HandshakeIgnored,
    /// An entry is appended again.
    EntryTwice,
    /// Whoever was removed is a stranger.
    FormerForgotten,
    /// A commit's effects are written without the rest when it is refused.
    EffectsOnLoss,
    /// A page ignores how long it is.
    PageUnlimited,
    /// A GroupInfo outlives the commit after it.
    GroupInfoKept,
    /// Items of others are acknowledged, too.
    AnyoneAcknowledges,
    /// What was written last is lost with the opening.
    LastWriteLost,
}

struct Broken {
    fault: Fault,
    folder: Folder,
}

struct Opened {
    fault: Fault,
    storage: SqliteStorage,
}

impl Place for Broken {
    type Storage = Opened;

    fn open(&self) -> Result<Opened, StorageError> {
        Ok(Opened { fault: self.fault, storage: self.folder.open()? })
    }
}

impl Opened {
    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }
}

impl Storage for Opened {
    fn secret(&self) -> Result<Secret, StorageError> {
        if self.has(Fault::SecretRedrawn) {
            let mut secret = Secret::zero(32);
            getrandom::fill(secret.expose_mut()).unwrap();
            return Ok(secret);
        }
        self.storage.secret()
    }

    fn register(&self, device: &DeviceInfo) -> Result<DeviceInfo, StorageError> {
        let stored = self.storage.register(device)?;
        Ok(if self.has(Fault::NameTaken) { device.clone() } else { stored })
    }

    fn device(&self, id: &DeviceId) -> Result<Option<DeviceInfo>, StorageError> {
        self.storage.device(id)
    }

    fn devices(&self, user: &Name) -> Result<Vec<DeviceInfo>, StorageError> {
        self.storage.devices(user)
    }

    fn add_key_packages(
        &self,
        owner: &DeviceId,
        packages: Vec<KeyPackageRecord>,
        cap: u32,
        now: u64,
    ) -> Result<KeyPackagesAdded, StorageError> {
        if self.has(Fault::PartOfPackages) {
            for package in packages.iter().take(1) {
                self.storage.add_key_packages(owner, vec![package.clone()], cap, now)?;
            }
        }
        self.storage.add_key_packages(owner, packages, cap, now)
    }

    fn key_packages(
        &self,
        owner: &DeviceId,
        now: u64,
    ) -> Result<Vec<StoredKeyPackage>, StorageError> {
        self.storage.key_packages(owner, now)
    }

    fn withdraw_key_packages(
        &self,
        owner: &DeviceId,
        numbers: Vec<i64>,
    ) -> Result<u32, StorageError> {
        if self.has(Fault::AnyoneWithdraws) {
            for user in ["alice/pc", "bob/pc"] {
                self.storage.withdraw_key_packages(&user.parse().unwrap(), numbers.clone())?;
            }
            return Ok(1);
        }
        self.storage.withdraw_key_packages(owner, numbers)
    }

    fn claim_key_packages(
        &self,
        owners: Vec<DeviceId>,
        suite: CipherSuite,
        now: u64,
    ) -> Result<Vec<Option<Bytes>>, StorageError> {
        if self.has(Fault::ClaimedTwice) {
            let first =
                |owner| Some(self.storage.key_packages(owner, now).ok()?.first()?.message.clone());
            return Ok(owners.iter().map(first).collect());
        }
        let now = if self.has(Fault::ExpiredGivenOut) { 0 } else { now };
        self.storage.claim_key_packages(owners, suite, now)
    }

    fn key_package_owner(
        &self,
        reference: &KeyPackageRef,
    ) -> Result<Option<DeviceId>, StorageError> {
        self.storage.key_package_owner(reference)
    }

    fn create_group(&self, group: NewGroup, cap: u32) -> Result<GroupAdded, StorageError> {
        let cap = if self.has(Fault::GroupsUnlimited) { u32::MAX } else { cap };
        self.storage.create_group(group, cap)
    }

    fn group(&self, id: &GroupId) -> Result<Option<GroupRecord>, StorageError> {
        self.storage.group(id)
    }

    fn membership(&self, id: &GroupId, device: &DeviceId) -> Result<Membership, StorageError> {
        let found = self.storage.membership(id, device)?;
        match found {
            Membership::Former(_) if self.has(Fault::FormerForgotten) => Ok(Membership::Stranger),
            found => Ok(found),
        }
    }

    fn members(&self, id: &GroupId) -> Result<Vec<DeviceId>, StorageError> {
        self.storage.members(id)
    }

    fn groups_of(&self, device: &DeviceId) -> Result<Vec<(GroupId, u64, u64)>, StorageError> {
        self.storage.groups_of(device)
    }

    fn append(&self, mut append: Append) -> Result<Appended, StorageError> {
        match self.fault {
            Fault::HandshakeIgnored => append.expected_handshake = None,
            Fault::EntryTwice => getrandom::fill(&mut append.hash).unwrap(),
            Fault::LastWriteLost if append.hash == [2; 32] => return Ok(Appended::Won(2)),
            Fault::GroupInfoKept => {
                let kept = self.storage.public_state(&append.group_id)?;
                if let (Some(commit), Some((info, tree))) = (&mut append.commit, kept) {
                    commit.group_info.get_or_insert(info);
                    commit.ratchet_tree.get_or_insert(tree);
                }
            }
            _ => {}
        }

        let result = self.storage.append(append.clone())?;
        if self.has(Fault::EffectsOnLoss) && matches!(result, Appended::Lost(_)) {
            let sneaked = Append { expected_handshake: None, epoch: 1 << 40, ..append };
            self.storage.append(sneaked)?;
        }
        Ok(result)
    }

    fn find(&self, id: &GroupId, hash: &[u8; 32]) -> Result<Option<Found>, StorageError> {
        self.storage.find(id, hash)
    }

    fn epoch_ended(&self, id: &GroupId, epoch: u64) -> Result<Option<u64>, StorageError> {
        self.storage.epoch_ended(id, epoch)
    }

    fn log(
        &self,
        id: &GroupId,
        after: u64,
        up_to: u64,
        limit: u32,
        bytes: usize,
    ) -> Result<Vec<LogEntry>, StorageError> {
        let bytes = if self.has(Fault::PageUnlimited) { usize::MAX } else { bytes };
        self.storage.log(id, after, up_to, limit, bytes)
    }

    fn public_state(&self, id: &GroupId) -> Result<Option<(Bytes, Bytes)>, StorageError> {
        self.storage.public_state(id)
    }

    fn rows(&self, id: &GroupId) -> Result<Vec<(RowKey, Secret)>, StorageError> {
        self.storage.rows(id)
    }

    fn inbox(
        &self,
        device: &DeviceId,
        limit: u32,
        bytes: usize,
    ) -> Result<(Vec<InboxItem>, u32), StorageError> {
        self.storage.inbox(device, limit, bytes)
    }

    fn inbox_size(&self, device: &DeviceId) -> Result<(u32, u64), StorageError> {
        self.storage.inbox_size(device)
    }

    fn ack_inbox(&self, device: &DeviceId, ids: Vec<u64>) -> Result<(), StorageError> {
        if self.has(Fault::AnyoneAcknowledges) {
            self.storage.ack_inbox(&"carol/pc".parse().unwrap(), ids.clone())?;
        }
        self.storage.ack_inbox(device, ids)
    }
}

fn passes(fault: Fault) -> bool {
    let new = || Broken { fault, folder: Folder::new() };
    catch_unwind(AssertUnwindSafe(|| check(new))).is_ok()
}

#[test]
fn a_storage_without_a_fault_passes() {
    assert!(passes(Fault::None));
}

#[test]
fn each_fault_of_a_storage_is_found() {
    for fault in [
        Fault::SecretRedrawn,
        Fault::NameTaken,
        Fault::ClaimedTwice,
        Fault::ExpiredGivenOut,
        Fault::PartOfPackages,
        Fault::AnyoneWithdraws,
        Fault::GroupsUnlimited,
        Fault::HandshakeIgnored,
        Fault::EntryTwice,
        Fault::FormerForgotten,
        Fault::EffectsOnLoss,
        Fault::PageUnlimited,
        Fault::GroupInfoKept,
        Fault::AnyoneAcknowledges,
        Fault::LastWriteLost,
    ] {
        assert!(!passes(fault), "{fault:?} was not found");
    }
}
