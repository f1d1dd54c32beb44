//! The kit finds what is wrong with a storage: each of these has one fault.

use super::Folder;
use crate::storage::conformance::{Place, check};
use crate::storage::*;
use conclave_delivery_api::*;
use conclave_mls::crypto::Secret;
use conclave_mls::storage::RowKey;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// The secret is another each time.
    SecretRedrawn,
    /// An extension that does not know the log's length is taken.
    LengthIgnored,
    /// A page of a log ignores how long it is.
    AccountPageUnlimited,
    /// Names that look alike are taken.
    AlikeTaken,
    /// An invitation is used again.
    InvitationTwice,
    /// An invitation is used up by an account that is refused.
    InvitationLost,
    /// A revoked device's key packages are given out.
    RevokedClaimed,
    /// A device that is revoked keeps its inbox.
    RevokedInbox,
    /// A device that is revoked stays in its groups.
    RevokedMember,
    /// A revoked device becomes a member.
    RevokedAdded,
    /// Key packages with a former key are stored.
    EndedPublishes,
    /// A device that has another key keeps its key packages.
    RotatedClaimed,
    /// A device that has another key loses its inbox.
    RotatedInbox,
    /// A claimed package is given out again.
    ClaimedTwice,
    /// Expired packages are given out.
    ExpiredGivenOut,
    /// Packages that were stored before the refused one stay.
    PartOfPackages,
    /// Packages that were replaced stay.
    NothingReplaced,
    /// Others are given out in the place of the last resort.
    LastResortSpared,
    /// Key packages of a commit that loses are stored.
    StagedOnLoss,
    /// Packages are withdrawn whoever has them.
    AnyoneWithdraws,
    /// The limit of groups is ignored.
    GroupsUnlimited,
    /// A commit need not know the last handshake message.
    HandshakeIgnored,
    /// Whoever is no member appends.
    StrangerAppends,
    /// Whoever was removed and came back appends what it encrypted before.
    ReturnedAppends,
    /// A mark is set whatever was there.
    CopyMarks,
    /// A copy of a state appends.
    CopyAppends,
    /// A mark of another key is set.
    OtherKeyMarks,
    /// A mark outlives its key.
    MarkKept,
    /// A message of an epoch that is over counts as one of the current epoch.
    EpochIgnored,
    /// An entry is appended again.
    EntryTwice,
    /// Whoever was removed is a stranger.
    FormerForgotten,
    /// A group whose log has grown since a place is not told.
    GrownUntold,
    /// Whoever was removed is told of the accounts of those who are in the group.
    AccountsOfFormer,
    /// A commit's effects are written without the rest when it is refused.
    EffectsOnLoss,
    /// A page ignores how long it is.
    PageUnlimited,
    /// Proposals of other epochs come, too.
    ProposalsOfOthers,
    /// A GroupInfo outlives the commit after it.
    GroupInfoKept,
    /// Items of others are acknowledged, too.
    AnyoneAcknowledges,
    /// A group that was reset takes messages.
    EndedTakes,
    /// The successor of a group is replaced by another.
    SucceededTwice,
    /// A group that has a successor ends again, without one.
    SucceededEndsAgain,
    /// The removal of a revoked device is due in a group that it has left.
    RemovalKept,
    /// What was proposed in an epoch that has ended counts.
    RemovalTooEarly,
    /// The directory's records are written whatever the guard says.
    GuardIgnored,
    /// What was published is not noted.
    PublishedForgotten,
    /// What has come since counts as published, too.
    PublishedWhole,
    /// An older certificate takes the place of a newer one.
    OlderCertifies,
    /// A certified device that ends stays in its groups.
    EndedStays,
    /// A user's uploads may be longer than the quota.
    QuotaIgnored,
    /// An upload is given out before it is complete.
    UnfinishedGivenOut,
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
    kept: Mutex<Kept>,
}

/// What should be gone.
#[derive(Default)]
struct Kept {
    packages: Vec<(DeviceId, StoredKeyPackage)>,
    inboxes: Vec<(DeviceId, (u32, u64))>,
    members: Vec<(GroupId, DeviceId)>,
    removal: Option<GroupId>,
}

impl Place for Broken {
    type Storage = Opened;

    fn open(&self) -> Result<Opened, StorageError> {
        let storage = self.folder.open()?;
        Ok(Opened { fault: self.fault, storage, kept: Mutex::default() })
    }
}

impl Opened {
    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    /// Keeps the key packages of devices that are revoked or have another key.
    fn keep_packages(&self, extension: &AccountExtension) -> Result<(), StorageError> {
        for device in &extension.devices {
            let Some(known) = self.storage.device(&device.device)? else { continue };
            let ends = match self.fault {
                Fault::RevokedClaimed => extension.revoked.contains(&device.device),
                _ => known.signature_key != device.signature_key,
            };
            if ends {
                let packages = self.storage.key_packages(&device.device, 0)?;
                let packages = packages.into_iter().map(|package| (device.device.clone(), package));
                self.kept.lock().unwrap().packages.extend(packages);
            }
        }
        Ok(())
    }

    /// Keeps the inboxes of devices that are revoked.
    fn keep_inboxes(&self, extension: &AccountExtension) -> Result<(), StorageError> {
        for device in &extension.revoked {
            let size = self.storage.inbox_size(device)?;
            self.kept.lock().unwrap().inboxes.push((device.clone(), size));
        }
        Ok(())
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

    fn has_accounts(&self) -> Result<bool, StorageError> {
        self.storage.has_accounts()
    }

    fn certify(&self, record: CertificateRecord, cap: usize) -> Result<Certified, StorageError> {
        if self.has(Fault::OlderCertifies) {
            let record = CertificateRecord { not_before: u64::from(u32::MAX), ..record };
            return self.storage.certify(record, cap);
        }
        self.storage.certify(record, cap)
    }

    fn certificates(&self, user: &Name) -> Result<Vec<CertificateRecord>, StorageError> {
        self.storage.certificates(user)
    }

    fn all_certificates(
        &self,
        after: i64,
        limit: u32,
    ) -> Result<Vec<(i64, CertificateRecord)>, StorageError> {
        self.storage.all_certificates(after, limit)
    }

    fn end_certified(&self, record: CertificateRecord) -> Result<bool, StorageError> {
        if self.has(Fault::EndedStays) {
            return Ok(true);
        }
        self.storage.end_certified(record)
    }

    fn probe(&self) -> Result<(), StorageError> {
        self.storage.probe()
    }

    fn incarnation(&self) -> Result<Incarnation, StorageError> {
        self.storage.incarnation()
    }

    fn account(&self, user: &Name) -> Result<Option<AccountRecord>, StorageError> {
        self.storage.account(user)
    }

    fn account_entries(
        &self,
        user: &Name,
        after: u64,
        limit: u32,
        bytes: usize,
    ) -> Result<Vec<Bytes>, StorageError> {
        let bytes = if self.has(Fault::AccountPageUnlimited) { usize::MAX } else { bytes };
        self.storage.account_entries(user, after, limit, bytes)
    }

    fn extend_account(&self, mut extension: AccountExtension) -> Result<Extended, StorageError> {
        match self.fault {
            Fault::LengthIgnored => {
                let known = self.storage.account(&extension.user)?;
                extension.expected_length = known.map_or(0, |account| account.length);
            }
            Fault::AlikeTaken => extension.skeleton = extension.user.as_str().into(),
            Fault::InvitationTwice => extension.invitation = None,
            Fault::RevokedClaimed | Fault::RotatedClaimed => self.keep_packages(&extension)?,
            Fault::RevokedInbox => self.keep_inboxes(&extension)?,
            Fault::RevokedMember => {
                for device in &extension.revoked {
                    let groups = self.storage.groups_of(device)?.into_iter();
                    let members = groups.map(|(group, ..)| (group, device.clone()));
                    self.kept.lock().unwrap().members.extend(members);
                }
            }
            Fault::RotatedInbox => {
                for device in &extension.devices {
                    let id = &device.device;
                    let known = self.storage.device(id)?;
                    if known.is_some_and(|k| k.signature_key != device.signature_key) {
                        let (items, _) = self.storage.inbox(id, u32::MAX, usize::MAX)?;
                        let ids = items.into_iter().map(|item| item.id).collect();
                        self.storage.ack_inbox(id, ids)?;
                    }
                }
            }
            _ => {}
        }

        let kept = match (&self.fault, extension.devices.first()) {
            (Fault::MarkKept, Some(first)) => self.storage.state_mark(&first.device)?,
            _ => None,
        };
        let extended = self.storage.extend_account(extension.clone())?;
        if let (Some(kept), Some(owner)) = (kept, extension.devices.first().cloned()) {
            let request = MarkState { before: vec![], mark: kept.latest };
            self.storage.mark_state(NewMark { owner, request, now: kept.marked_at })?;
        }
        if self.has(Fault::InvitationLost) && extended != Extended::Stored {
            let user = "nobody".parse().unwrap();
            let lost = AccountExtension { user, skeleton: "nobody".into(), ..extension };
            self.storage.extend_account(lost)?;
        }
        Ok(extended)
    }

    fn unpublished(&self, limit: u32) -> Result<Vec<(Name, AccountRecord)>, StorageError> {
        self.storage.unpublished(limit)
    }

    fn mark_published(&self, mut published: Vec<(Name, u64)>) -> Result<(), StorageError> {
        if self.has(Fault::PublishedForgotten) {
            return Ok(());
        }
        if self.has(Fault::PublishedWhole) {
            for (user, length) in &mut published {
                let known = self.storage.account(user)?;
                *length = known.map_or(*length, |account| account.length);
            }
        }
        self.storage.mark_published(published)
    }

    fn directory_rows(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        self.storage.directory_rows(keys)
    }

    fn put_directory(&self, mut batch: DirectoryBatch) -> Result<Put, StorageError> {
        if self.has(Fault::GuardIgnored) {
            batch.guard.1 = self.storage.directory_rows(&[batch.guard.0.clone()])?.remove(0);
        }
        self.storage.put_directory(batch)
    }

    fn quota(&self, user: &Name, of: Quota) -> Result<Option<u64>, StorageError> {
        self.storage.quota(user, of)
    }

    fn is_blocked(&self, user: &Name) -> Result<bool, StorageError> {
        self.storage.is_blocked(user)
    }

    fn device(&self, id: &DeviceId) -> Result<Option<DeviceInfo>, StorageError> {
        self.storage.device(id)
    }

    fn devices(&self, user: &Name) -> Result<Vec<DeviceInfo>, StorageError> {
        self.storage.devices(user)
    }

    fn add_key_packages(&self, mut new: NewKeyPackages) -> Result<KeyPackagesAdded, StorageError> {
        if self.has(Fault::EndedPublishes) {
            new.owner = self.storage.device(&new.owner.device)?.unwrap_or(new.owner);
        }
        if self.has(Fault::PartOfPackages) {
            let packages = new.packages.iter().take(1).cloned().collect();
            self.storage.add_key_packages(NewKeyPackages { packages, ..new.clone() })?;
        }
        if self.has(Fault::NothingReplaced) {
            new.replaced = None;
        }
        self.storage.add_key_packages(new)
    }

    fn key_packages(
        &self,
        owner: &DeviceId,
        now: u64,
    ) -> Result<Vec<StoredKeyPackage>, StorageError> {
        let mut packages = self.storage.key_packages(owner, now)?;
        let kept = self.kept.lock().unwrap();
        let of_owner = kept.packages.iter().filter(|(device, _)| device == owner);
        packages.extend(of_owner.map(|(_, package)| package.clone()));
        Ok(packages)
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
        give: Give,
        now: u64,
    ) -> Result<Vec<Option<Bytes>>, StorageError> {
        if self.has(Fault::ClaimedTwice) {
            let first =
                |owner| Some(self.storage.key_packages(owner, now).ok()?.first()?.message.clone());
            return Ok(owners.iter().map(first).collect());
        }
        let now = if self.has(Fault::ExpiredGivenOut) { 0 } else { now };
        let give = if self.has(Fault::LastResortSpared) { Give::Next } else { give };
        self.storage.claim_key_packages(owners, suite, give, now)
    }

    fn key_package_owner(
        &self,
        reference: &KeyPackageRef,
    ) -> Result<Option<DeviceId>, StorageError> {
        self.storage.key_package_owner(reference)
    }

    fn create_group(&self, mut group: NewGroup, cap: u32) -> Result<GroupAdded, StorageError> {
        if self.has(Fault::SucceededTwice) {
            let ended = |id: &GroupId| {
                self.storage.group(id).unwrap().is_some_and(|group| group.ending.is_some())
            };
            group.predecessor = group.predecessor.filter(|id| !ended(id));
        }
        let cap = if self.has(Fault::GroupsUnlimited) { u32::MAX } else { cap };
        self.storage.create_group(group, cap)
    }

    fn group(&self, id: &GroupId) -> Result<Option<GroupRecord>, StorageError> {
        self.storage.group(id)
    }

    fn membership(&self, id: &GroupId, device: &DeviceId) -> Result<Membership, StorageError> {
        let found = self.storage.membership(id, device)?;
        let left = &self.kept.lock().unwrap().members;
        match found {
            Membership::Stranger if left.contains(&(id.clone(), device.clone())) => {
                Ok(Membership::Member)
            }
            Membership::Former(_) if self.has(Fault::FormerForgotten) => Ok(Membership::Stranger),
            found => Ok(found),
        }
    }

    fn members(&self, id: &GroupId) -> Result<Arc<[DeviceId]>, StorageError> {
        self.storage.members(id)
    }

    fn groups_of(&self, device: &DeviceId) -> Result<Vec<(GroupId, LogPosition)>, StorageError> {
        self.storage.groups_of(device)
    }

    fn groups_since(
        &self,
        device: &DeviceId,
        place: Option<u64>,
    ) -> Result<GroupsSince, StorageError> {
        let (mut groups, end) = self.storage.groups_since(device, place)?;
        if self.has(Fault::GrownUntold) && place.is_some() {
            groups.pop();
        }
        Ok((groups, end))
    }

    fn end_group(&self, id: &GroupId) -> Result<Option<Ending>, StorageError> {
        if self.has(Fault::SucceededEndsAgain) {
            self.storage.end_group(id)?;
            return Ok(Some(Ending::Unsucceeded));
        }
        self.storage.end_group(id)
    }

    fn ended_groups_of(&self, device: &DeviceId) -> Result<Vec<(GroupId, Ending)>, StorageError> {
        self.storage.ended_groups_of(device)
    }

    fn accounts_around(
        &self,
        device: &DeviceId,
        limit: u32,
    ) -> Result<Vec<(Name, u64)>, StorageError> {
        if !self.has(Fault::AccountsOfFormer) {
            return self.storage.accounts_around(device, limit);
        }
        let mut users = std::collections::BTreeSet::from([device.user.clone()]);
        for (group, ..) in self.storage.groups_of(device)? {
            users.extend(self.storage.members(&group)?.iter().map(|member| member.user.clone()));
        }
        let length = |user: Name| Some((user.clone(), self.storage.account(&user).ok()??.length));
        Ok(users.into_iter().filter_map(length).take(limit as usize).collect())
    }

    fn position(&self, id: &GroupId, seq: u64) -> Result<Option<LogPosition>, StorageError> {
        self.storage.position(id, seq)
    }

    fn append(&self, mut append: Append) -> Result<Appended, StorageError> {
        let ended = self.storage.group(&append.group_id)?.is_some_and(|g| g.ending.is_some());
        if ended && self.has(Fault::EndedTakes) {
            return Ok(Appended::Won(LogPosition::beginning(0)));
        }
        match self.fault {
            Fault::HandshakeIgnored => append.expected_handshake = None,
            Fault::StrangerAppends => append.by_member = false,
            Fault::CopyAppends => append.state_mark = None,
            Fault::ReturnedAppends => {
                let members = self.storage.members(&append.group_id)?;
                append.by_member &= !members.contains(&append.sender);
            }
            Fault::EpochIgnored => append.in_epoch = false,
            Fault::EntryTwice => getrandom::fill(&mut append.hash).unwrap(),
            Fault::RevokedAdded => {
                for device in append.commit.iter().flat_map(|commit| &commit.added) {
                    if self.storage.device(device)?.is_some_and(|known| !known.active) {
                        let member = (append.group_id.clone(), device.clone());
                        self.kept.lock().unwrap().members.push(member);
                    }
                }
            }
            Fault::LastWriteLost if append.hash == [2; 32] => {
                return Ok(Appended::Won(LogPosition { seq: 2, ..LogPosition::beginning(0) }));
            }
            Fault::StagedOnLoss => {
                if let Some(new) = append.commit.iter().find_map(|c| c.key_packages.clone()) {
                    self.storage.add_key_packages(new)?;
                }
            }
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

    fn due_removals(&self, limit: u32) -> Result<Vec<GroupId>, StorageError> {
        let kept = self.kept.lock().unwrap();
        match kept.removal.clone().filter(|_| self.has(Fault::RemovalKept)) {
            Some(group) => Ok(vec![group]),
            None => self.storage.due_removals(limit),
        }
    }

    fn due_removals_in(&self, id: &GroupId) -> Result<Vec<DeviceId>, StorageError> {
        self.kept.lock().unwrap().removal = Some(id.clone());
        self.storage.due_removals_in(id)
    }

    fn removals_proposed(&self, id: &GroupId, epoch: u64) -> Result<(), StorageError> {
        match self.storage.group(id)?.filter(|_| self.has(Fault::RemovalTooEarly)) {
            Some(group) => self.storage.removals_proposed(id, group.epoch),
            None => self.storage.removals_proposed(id, epoch),
        }
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

    fn proposals(
        &self,
        id: &GroupId,
        epoch: u64,
        limit: u32,
        bytes: usize,
    ) -> Result<Vec<LogEntry>, StorageError> {
        if self.has(Fault::ProposalsOfOthers) {
            let all = self.storage.log(id, 0, u64::MAX, limit, bytes)?;
            let is_proposal = |entry: &LogEntry| entry.content_type == ContentType::Proposal;
            return Ok(all.into_iter().filter(is_proposal).collect());
        }
        self.storage.proposals(id, epoch, limit, bytes)
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
        let kept = self.kept.lock().unwrap();
        match kept.inboxes.iter().find(|(owner, _)| owner == device) {
            Some((_, size)) => Ok(*size),
            None => self.storage.inbox_size(device),
        }
    }

    fn mark_state(&self, mut new: NewMark) -> Result<Option<StateMarked>, StorageError> {
        match self.fault {
            Fault::CopyMarks => {
                let known = self.storage.state_mark(&new.owner.device)?;
                new.request.before = known.into_iter().map(|known| known.latest).collect();
            }
            Fault::OtherKeyMarks => {
                new.owner = self.storage.device(&new.owner.device)?.unwrap();
            }
            _ => {}
        }
        self.storage.mark_state(new)
    }

    fn state_mark(&self, device: &DeviceId) -> Result<Option<StateMarked>, StorageError> {
        self.storage.state_mark(device)
    }

    fn ack_inbox(&self, device: &DeviceId, ids: Vec<u64>) -> Result<(), StorageError> {
        if self.has(Fault::AnyoneAcknowledges) {
            self.storage.ack_inbox(&"carol/pc".parse().unwrap(), ids.clone())?;
        }
        self.storage.ack_inbox(device, ids)
    }

    fn begin_upload(
        &self,
        new: NewUpload,
        quota: u64,
        total: u64,
    ) -> Result<UploadBegun, StorageError> {
        let quota = if self.has(Fault::QuotaIgnored) { u64::MAX } else { quota };
        self.storage.begin_upload(new, quota, total)
    }

    fn upload(&self, hash: &[u8; 32], user: &Name) -> Result<Option<UploadRecord>, StorageError> {
        self.storage.upload(hash, user)
    }

    fn advance_upload(
        &self,
        hash: [u8; 32],
        user: &Name,
        received: u64,
    ) -> Result<(), StorageError> {
        self.storage.advance_upload(hash, user, received)
    }

    fn complete_upload(
        &self,
        hash: [u8; 32],
        user: &Name,
        expires_at: u64,
    ) -> Result<bool, StorageError> {
        self.storage.complete_upload(hash, user, expires_at)
    }

    fn attachment(&self, hash: &[u8; 32]) -> Result<Option<u64>, StorageError> {
        if self.has(Fault::UnfinishedGivenOut) {
            let of = |user: &str| self.storage.upload(hash, &user.parse().unwrap());
            if let Some(upload) = of("alice")? {
                return Ok(Some(upload.size));
            }
        }
        self.storage.attachment(hash)
    }

    fn remove_upload(&self, hash: [u8; 32], user: &Name) -> Result<bool, StorageError> {
        self.storage.remove_upload(hash, user)
    }

    fn expired_uploads(&self, now: u64, limit: u32) -> Result<Vec<([u8; 32], Name)>, StorageError> {
        self.storage.expired_uploads(now, limit)
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
        Fault::LengthIgnored,
        Fault::AccountPageUnlimited,
        Fault::AlikeTaken,
        Fault::InvitationTwice,
        Fault::InvitationLost,
        Fault::RevokedClaimed,
        Fault::RevokedInbox,
        Fault::RevokedMember,
        Fault::RevokedAdded,
        Fault::EndedPublishes,
        Fault::RotatedClaimed,
        Fault::RotatedInbox,
        Fault::ClaimedTwice,
        Fault::ExpiredGivenOut,
        Fault::PartOfPackages,
        Fault::NothingReplaced,
        Fault::LastResortSpared,
        Fault::StagedOnLoss,
        Fault::AnyoneWithdraws,
        Fault::GroupsUnlimited,
        Fault::HandshakeIgnored,
        Fault::StrangerAppends,
        Fault::ReturnedAppends,
        Fault::CopyMarks,
        Fault::CopyAppends,
        Fault::OtherKeyMarks,
        Fault::MarkKept,
        Fault::EpochIgnored,
        Fault::EntryTwice,
        Fault::FormerForgotten,
        Fault::GrownUntold,
        Fault::AccountsOfFormer,
        Fault::EffectsOnLoss,
        Fault::PageUnlimited,
        Fault::ProposalsOfOthers,
        Fault::GroupInfoKept,
        Fault::AnyoneAcknowledges,
        Fault::EndedTakes,
        Fault::SucceededTwice,
        Fault::SucceededEndsAgain,
        Fault::RemovalKept,
        Fault::RemovalTooEarly,
        Fault::GuardIgnored,
        Fault::PublishedForgotten,
        Fault::PublishedWhole,
        Fault::OlderCertifies,
        Fault::EndedStays,
        Fault::QuotaIgnored,
        Fault::UnfinishedGivenOut,
        Fault::LastWriteLost,
    ] {
        assert!(!passes(fault), "{fault:?} was not found");
    }
}
