//! What an engine has to provide to keep the service's state.
//!
//! Each method is one atomic step, durable when it returns; there are no transactions across
//! methods. Order among writers comes from [`Storage::append`], which compares and sets: a group's
//! log takes an entry only if the last handshake message is still the one that the caller saw.
//! That is little enough for an engine that is spread over several machines.

pub mod administration;
#[cfg(any(test, feature = "testing"))]
pub mod conformance;
mod quota;
mod records;
mod sqlite;
#[cfg(test)]
mod tests;

use conclave_delivery_api::{
    Bytes, ChainHash, CipherSuite, ContentType, DeviceId, Ending, GroupId, InboxItem, Incarnation,
    KeyPackageRef, LogEntry, LogPosition, MarkState, Name, StateMarked,
};
pub use conclave_directory::server::{Batch as DirectoryBatch, Put};
use conclave_mls::credential::SignaturePublicKey;
use conclave_mls::crypto::{Secret, SignatureScheme};
use conclave_mls::storage::{Batch, RowKey};
use core::fmt;
pub use quota::Quota;
pub use records::DirectoryRecords;
pub use sqlite::{Counts, SqliteStorage, Upgrade};
use std::sync::Arc;

/// A device of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// The device: accept its credential only with this identity and key.
    pub device: DeviceId,
    /// Its key's signature scheme.
    pub scheme: SignatureScheme,
    /// Its key; the last one, if it was revoked.
    pub signature_key: SignaturePublicKey,
    /// Whether it has not been revoked.
    pub active: bool,
}

/// Why the engine could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StorageError {
    /// Another process has this data directory open.
    InUse(String),
    /// The data was written by a later version, or is not the service's.
    Format(String),
    /// The files are damaged; nothing was written.
    Damaged(String),
    /// The engine failed; nothing was written.
    Failed(String),
    /// The engine failed while it wrote: the step may have happened. Read before trying again.
    Unknown(String),
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse(path) => write!(f, "{path} is in use by another process"),
            Self::Format(what) => f.write_str(what),
            Self::Damaged(what) => write!(
                f,
                "the service's delivery.db is damaged ({what}): stop the service, look at what `conclave admin check` \
                 finds, and restore a backup with `conclave restore`"
            ),
            Self::Failed(reason) => write!(f, "storage failed: {reason}"),
            Self::Unknown(reason) => write!(f, "storage failed while writing: {reason}"),
        }
    }
}

impl core::error::Error for StorageError {}

/// A user's account, as the service has checked its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRecord {
    /// How many entries the log has.
    pub length: u64,
    /// The encoded [`Account`](conclave_account::Account).
    pub state: Bytes,
}

/// Entries to be added to an account log, with all that they change. They were checked.
#[derive(Clone, Debug)]
pub struct AccountExtension {
    /// Whose log it is.
    pub user: Name,
    /// What the user's name looks like: two names that look alike have the same.
    pub skeleton: String,
    /// How many entries the log has, as the caller knows it; 0 for a new account.
    pub expected_length: u64,
    /// The entries.
    pub entries: Vec<Bytes>,
    /// The encoded account after them.
    pub state: Bytes,
    /// The user's devices after them, those included that were revoked.
    pub devices: Vec<DeviceInfo>,
    /// The devices that they revoke. One that is active in `devices` all the same has only the name in common.
    pub revoked: Vec<DeviceId>,
    /// The hash of the invitation that a new account uses up.
    pub invitation: Option<[u8; 32]>,
}

/// What became of an [`AccountExtension`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extended {
    /// It is stored.
    Stored,
    /// The log has another length by now. Nothing was written.
    Raced,
    /// Another account, this one, has a name that looks alike. Nothing was written.
    NameTaken(String),
    /// The invitation was used before. Nothing was written.
    InvitationUsed,
}

/// A device's certificate, which was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRecord {
    /// The device, with the certificate's key.
    pub info: DeviceInfo,
    /// The chain, as an encoded X.509 credential.
    pub chain: Bytes,
    /// The first second at which it is valid.
    pub not_before: u64,
    /// The last one.
    pub not_after: u64,
}

/// What became of a certificate that was to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certified {
    /// It is the device's from now on.
    Stored,
    /// It was the device's before.
    Known,
    /// The device has this one, which was issued later. Nothing was written.
    Superseded(CertificateRecord),
    /// The user would have more devices than the limit. Nothing was written.
    TooMany,
}

/// A key package that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPackageRecord {
    /// Its hash, by which a Welcome names it.
    pub reference: KeyPackageRef,
    /// SHA-256 of its init key.
    pub init_key_hash: [u8; 32],
    /// Its suite.
    pub cipher_suite: CipherSuite,
    /// The last second of its lifetime.
    pub not_after: u64,
    /// Whether it is one of last resort.
    pub last_resort: bool,
    /// The MLSMessage.
    pub message: Bytes,
}

/// Key packages of one device, to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKeyPackages {
    /// The device, as the caller knows it.
    pub owner: DeviceInfo,
    /// The key packages. Those that were stored before are passed over.
    pub packages: Vec<KeyPackageRecord>,
    /// The suite of which the device keeps none but these.
    pub replaced: Option<CipherSuite>,
    /// The most of one suite, those of last resort not counted.
    pub cap: u32,
    /// The time: those that have expired are deleted first.
    pub now: u64,
}

/// A key package that waits to be claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKeyPackage {
    /// Its number in the storage, never given to another.
    pub number: i64,
    /// Its suite.
    pub cipher_suite: CipherSuite,
    /// Whether it is one of last resort.
    pub last_resort: bool,
    /// The MLSMessage.
    pub message: Bytes,
}

/// How long after a key package has expired it is known whose it was, in seconds: a Welcome may be under way.
pub const REMEMBERED: u64 = 24 * 60 * 60;

/// Which key packages are given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Give {
    /// The oldest, which is gone then; the one of last resort if there is no other.
    Next,
    /// That of last resort alone, which stays.
    LastResort,
}

/// What became of key packages that were to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPackagesAdded {
    /// This many were new and are stored.
    Stored(u32),
    /// None was stored.
    Refused(KeyPackagesRefused),
}

/// Why key packages are not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPackagesRefused {
    /// The one of this index has an init key that another package had.
    InitKeyReused(usize),
    /// There would be more than the limit of one suite: this one.
    TooMany(u32),
    /// The device has been revoked, or has another key.
    Ended,
}

/// A group as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRecord {
    /// Whether handshake messages are public and checked.
    pub tracked: bool,
    /// The epoch.
    pub epoch: u64,
    /// The number of the last entry of its log.
    pub head: u64,
    /// The hash of its log.
    pub chain: ChainHash,
    /// The number of the last commit or proposal in its log; 0 if there is none.
    pub handshake: u64,
    /// How it ended, if it has.
    pub ending: Option<Ending>,
}

impl GroupRecord {
    /// Where its log ends.
    #[must_use]
    pub fn position(&self) -> LogPosition {
        LogPosition { seq: self.head, epoch: self.epoch, chain: self.chain }
    }
}

/// A group to be created.
#[derive(Clone, Debug)]
pub struct NewGroup {
    /// The group.
    pub group_id: GroupId,
    /// Whether handshake messages are public and checked.
    pub tracked: bool,
    /// Its epoch.
    pub epoch: u64,
    /// SHA-256 of the request that creates it.
    pub request_hash: [u8; 32],
    /// Who creates it.
    pub creator: DeviceId,
    /// Its members, the creator among them.
    pub members: Vec<DeviceId>,
    /// The observer's rows.
    pub rows: Option<Batch>,
    /// The group that ends as this one begins.
    pub predecessor: Option<GroupId>,
    /// When.
    pub now: u64,
}

/// What became of a group that was to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupAdded {
    /// It is there: made now, or by the same request before.
    There,
    /// There is one with this identifier that another request created.
    Another,
    /// Its creator would have made more than the limit.
    TooMany,
    /// Its predecessor has another successor, this one. Nothing was written.
    Succeeded(GroupId),
}

/// Whether a device is in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// It is, and may see all.
    Member,
    /// It was, and may see the log up to and with this number: the commit that removed it.
    Former(u64),
    /// It never was.
    Stranger,
}

/// A mark of a device's state, to be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMark {
    /// The device, as the caller knows it.
    pub owner: DeviceInfo,
    /// The mark, and those before it.
    pub request: MarkState,
    /// When.
    pub now: u64,
}

/// A message to be appended to a group's log, with all that must happen with it.
#[derive(Clone, Debug)]
pub struct Append {
    /// The group.
    pub group_id: GroupId,
    /// The group's [`GroupRecord::handshake`] as the caller knows it, if the message depends on
    /// it: for proposals and commits.
    pub expected_handshake: Option<u64>,
    /// Whether the sender has to be a member, in the very step that appends: a device that was revoked or removed
    /// before it adds nothing, whatever the caller has read.
    pub by_member: bool,
    /// The number of the mark that the sender's state has to have in the very step that appends, 0 if it was never
    /// marked; none if the state of the device that submits it does not matter. So only one of two copies of a state sends.
    pub state_mark: Option<u64>,
    /// Whether the group has to be in the epoch that the message was made in.
    pub in_epoch: bool,
    /// The epoch that the message was made in.
    pub epoch: u64,
    /// What it holds.
    pub content_type: ContentType,
    /// The device that submitted it.
    pub sender: DeviceId,
    /// When.
    pub received_at: u64,
    /// SHA-256 of the message.
    pub hash: [u8; 32],
    /// The MLSMessage.
    pub message: Bytes,
    /// What a commit changes.
    pub commit: Option<CommitEffects>,
    /// Changes to the observer's rows.
    pub rows: Option<Batch>,
}

/// What a commit changes besides the log.
#[derive(Clone, Debug, Default)]
pub struct CommitEffects {
    /// Devices that become members.
    pub added: Vec<DeviceId>,
    /// Devices that are members no longer.
    pub removed: Vec<DeviceId>,
    /// Welcomes, each with those whom it is for.
    pub welcomes: Vec<(Bytes, Vec<DeviceId>)>,
    /// The tree that goes with the Welcomes, and with the GroupInfo.
    pub ratchet_tree: Option<Bytes>,
    /// The GroupInfo of an opaque group, replacing the one before even if there is none. The
    /// observer keeps that of a tracked group.
    pub group_info: Option<Bytes>,
    /// Key packages that are stored with the commit.
    pub key_packages: Option<NewKeyPackages>,
}

/// The sizes up to which batches are counted in [`WriterLoad::batches`].
pub const BATCH_SIZES: [u64; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];

/// What a storage's writer has to do, and has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriterLoad {
    /// Steps that wait, or are being written.
    pub waiting: u64,
    /// Steps that were written so far.
    pub steps: u64,
    /// Transactions that they took.
    pub transactions: u64,
    /// Transactions that could not be written, or not for certain.
    pub failed: u64,
    /// How many transactions had up to [`BATCH_SIZES`] steps each.
    pub batches: [u64; BATCH_SIZES.len()],
}

/// What became of an [`Append`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is in the log, at this place.
    Won(LogPosition),
    /// A message with this hash was in the log already. Nothing was written.
    Known(Found),
    /// Another handshake message came first, or the group is in another epoch than it has to be; this is the group
    /// now. Nothing was written.
    Lost(GroupRecord),
    /// The sender has to be a member and is none, or was none between the message's epoch, which need not be the group's,
    /// and now; or there is no such group to be a member of. Nothing was written.
    NoMember,
    /// The sender's state has another mark by now: another process has gone on from a copy of it. Nothing was written.
    Overtaken,
    /// The group has ended, in this way. Nothing was written.
    Ended(Ending),
    /// The key packages that come with it cannot be stored. Nothing was written.
    KeyPackages(KeyPackagesRefused),
}

/// Appends one after another, up to the first that is not taken.
fn append_each<A, E>(
    appends: impl IntoIterator<Item = A>,
    mut append: impl FnMut(A) -> Result<Appended, E>,
) -> Result<Vec<Appended>, E> {
    let mut all = Vec::new();
    for each in appends {
        all.push(append(each)?);
        if !matches!(all.last(), Some(Appended::Won(_) | Appended::Known(_))) {
            break;
        }
    }
    Ok(all)
}

/// An entry of a log, found by its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its place.
    pub position: LogPosition,
    /// Who submitted it.
    pub sender: DeviceId,
    /// When it came, in seconds since 1970.
    pub received_at: u64,
}

/// A user's upload of an attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadRecord {
    /// The attachment's length, in bytes.
    pub size: u64,
    /// How many bytes are there.
    pub received: u64,
    /// Whether the attachment is there whole, and has its hash.
    pub complete: bool,
    /// Until when it is kept, in seconds since 1970.
    pub expires_at: u64,
}

/// An upload to be begun.
#[derive(Clone, Debug)]
pub struct NewUpload {
    /// SHA-256 of the content.
    pub hash: [u8; 32],
    /// Who uploads it.
    pub user: Name,
    /// Its length, in bytes.
    pub size: u64,
    /// Whether the content is there. If not, a complete upload begins anew.
    pub is_there: bool,
    /// Until when it is kept if it is not completed.
    pub expires_at: u64,
    /// Until when it is kept if the attachment is there already, uploaded by somebody else.
    pub complete_expires_at: u64,
}

/// What became of a [`NewUpload`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UploadBegun {
    /// It is there: made now, or before. If it is complete, it lasts until the later of both times.
    There(UploadRecord),
    /// The user's uploads would be longer than the quota. Nothing was written.
    OverQuota,
    /// All uploads would be longer than the service keeps. Nothing was written.
    Full,
}

/// Groups with where their logs end, and the place up to which they are told ([`Storage::groups_since`]).
pub type GroupsSince = (Vec<(GroupId, LogPosition)>, Option<u64>);

/// What a storage engine provides. Methods block, and may be called from several threads.
#[allow(clippy::missing_errors_doc, reason = "all fail with StorageError alone")]
pub trait Storage: Send + Sync + 'static {
    /// A secret of this service, drawn once: 32 bytes.
    fn secret(&self) -> Result<Secret, StorageError>;

    /// Reads, and writes durably, and changes nothing: for whoever asks whether the storage works.
    fn probe(&self) -> Result<(), StorageError>;

    /// How busy its writer is, if it has one.
    fn writer_load(&self) -> Option<WriterLoad> {
        None
    }

    /// Which life of its state this is: another one after it was restored from a backup, and no other time.
    fn incarnation(&self) -> Result<Incarnation, StorageError>;

    /// A user's account.
    fn account(&self, user: &Name) -> Result<Option<AccountRecord>, StorageError>;

    /// Entries of a user's account log after the first `after`: `limit` at most, and no more after they
    /// hold `bytes` bytes.
    fn account_entries(
        &self,
        user: &Name,
        after: u64,
        limit: u32,
        bytes: usize,
    ) -> Result<Vec<Bytes>, StorageError>;

    /// Adds entries to an account log, with all that they change or not at all: a device that is revoked loses its
    /// key packages and its inbox, and is in no group any more, nor ever was; one that has another key loses its key
    /// packages. In tracked groups its removal is due from then on.
    fn extend_account(&self, extension: AccountExtension) -> Result<Extended, StorageError>;

    /// Whether there is any account.
    fn has_accounts(&self) -> Result<bool, StorageError>;

    /// Stores a device's certificate, unless the device is active and has one that was issued later; `cap` active
    /// devices of a user at most. A device that has another key than before loses its key packages.
    fn certify(&self, record: CertificateRecord, cap: usize) -> Result<Certified, StorageError>;

    /// The certificates of a user's active devices, in the order in which the devices' names were first used.
    fn certificates(&self, user: &Name) -> Result<Vec<CertificateRecord>, StorageError>;

    /// Certificates of active devices after a number, ascending, `limit` at most: each with its number.
    fn all_certificates(
        &self,
        after: i64,
        limit: u32,
    ) -> Result<Vec<(i64, CertificateRecord)>, StorageError>;

    /// Ends a device, if its certificate is still this one: it loses its key packages and its inbox, and is in no
    /// group any more, nor ever was. Returns whether it was active.
    fn end_certified(&self, record: CertificateRecord) -> Result<bool, StorageError>;

    /// Accounts whose logs are longer than [`Self::mark_published`] said last: `limit` at most.
    fn unpublished(&self, limit: u32) -> Result<Vec<(Name, AccountRecord)>, StorageError>;

    /// Notes how many entries of these users' logs the directory has, unless more were noted before.
    fn mark_published(&self, published: Vec<(Name, u64)>) -> Result<(), StorageError>;

    /// The values of these keys of the directory's records, in their order.
    fn directory_rows(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StorageError>;

    /// Writes a batch of the directory's records, all or nothing, if its guard still has its value: see
    /// [`Records`](conclave_directory::server::Records).
    fn put_directory(&self, batch: DirectoryBatch) -> Result<Put, StorageError>;

    /// Whether an administrator has blocked a user.
    fn is_blocked(&self, user: &Name) -> Result<bool, StorageError>;

    /// What an administrator has given a user of something; none if it has what everybody has.
    fn quota(&self, user: &Name, of: Quota) -> Result<Option<u64>, StorageError>;

    /// A device, also one that was revoked.
    fn device(&self, id: &DeviceId) -> Result<Option<DeviceInfo>, StorageError>;

    /// A user's devices, in the order in which their names were first used, also those that were revoked.
    fn devices(&self, user: &Name) -> Result<Vec<DeviceInfo>, StorageError>;

    /// Stores key packages of a device that is as the caller knows it, all or none, and deletes those that they replace.
    /// Forgets what is kept of others that expired more than [`REMEMBERED`] ago: more than it adds.
    fn add_key_packages(&self, new: NewKeyPackages) -> Result<KeyPackagesAdded, StorageError>;

    /// The key packages of a device that have not expired, the oldest first.
    fn key_packages(
        &self,
        owner: &DeviceId,
        now: u64,
    ) -> Result<Vec<StoredKeyPackage>, StorageError>;

    /// Deletes key packages of a device by their numbers; how many were there.
    fn withdraw_key_packages(
        &self,
        owner: &DeviceId,
        numbers: Vec<i64>,
    ) -> Result<u32, StorageError>;

    /// Takes one key package of each of these devices, of those that have not expired. One answer for each device,
    /// in order.
    fn claim_key_packages(
        &self,
        owners: Vec<DeviceId>,
        suite: CipherSuite,
        give: Give,
        now: u64,
    ) -> Result<Vec<Option<Bytes>>, StorageError>;

    /// Whose key package this is or was, unless it expired more than [`REMEMBERED`] ago.
    fn key_package_owner(
        &self,
        reference: &KeyPackageRef,
    ) -> Result<Option<DeviceId>, StorageError>;

    /// Creates a group, `cap` of one creator at most, and ends its predecessor, if it has one. Of its members, those that were revoked are passed over.
    fn create_group(&self, group: NewGroup, cap: u32) -> Result<GroupAdded, StorageError>;

    /// Marks a device's state, if the mark [follows](MarkState::follows) on the one that the device has. Returns the mark
    /// that it has afterwards; none if the device has been revoked, or has another key. A mark is deleted with the key of
    /// its device, or when the device is revoked.
    fn mark_state(&self, new: NewMark) -> Result<Option<StateMarked>, StorageError>;

    /// The mark that a device's state has; none if it was never marked.
    fn state_mark(&self, device: &DeviceId) -> Result<Option<StateMarked>, StorageError>;

    /// A group.
    fn group(&self, id: &GroupId) -> Result<Option<GroupRecord>, StorageError>;

    /// Whether a device is in a group.
    fn membership(&self, id: &GroupId, device: &DeviceId) -> Result<Membership, StorageError>;

    /// The members of a group.
    fn members(&self, id: &GroupId) -> Result<Arc<[DeviceId]>, StorageError>;

    /// The groups that a device is in, with where their logs end; and those it was in, with the place
    /// of the commit that removed it.
    fn groups_of(&self, device: &DeviceId) -> Result<Vec<(GroupId, LogPosition)>, StorageError>;

    /// The same without the groups in which nothing was appended after a place, and the place where all logs end now.
    /// Without a place, or for one later than the last entry, it gives all groups. The default gives all groups and no
    /// place.
    ///
    /// A place is a number that grows with each entry of any group, in the order in which entries become visible. What
    /// is told up to a place may hold later entries, too.
    fn groups_since(
        &self,
        device: &DeviceId,
        place: Option<u64>,
    ) -> Result<GroupsSince, StorageError> {
        let _ = place;
        Ok((self.groups_of(device)?, None))
    }

    /// Ends a group for which there is no successor yet. How it has ended then: as it did before, if it had. None if
    /// there is no such group.
    fn end_group(&self, id: &GroupId) -> Result<Option<Ending>, StorageError>;

    /// The groups that a device is in and that have ended, each with how.
    fn ended_groups_of(&self, device: &DeviceId) -> Result<Vec<(GroupId, Ending)>, StorageError>;

    /// This device's own user, and those who have a device in a group that it is in, or had one there that was
    /// revoked, each with the length of the account's log, ascending by name: if they are more than `limit`, some of them.
    fn accounts_around(
        &self,
        device: &DeviceId,
        limit: u32,
    ) -> Result<Vec<(Name, u64)>, StorageError>;

    /// Appends a message to a group's log, which is hashed by [`ChainInput`](conclave_delivery_api::ChainInput), with
    /// all its effects or not at all. Devices that were revoked are passed
    /// over: they become no members and get no Welcomes.
    fn append(&self, append: Append) -> Result<Appended, StorageError>;

    /// The same for messages that are no commits: in this order, and those that the group takes in one step, up to the
    /// first that is neither [`Won`](Appended::Won) nor [`Known`](Appended::Known), whose answer is the last. If
    /// possible it does not hold up the thread until they are durable. They may be written even if nobody waits to the
    /// end.
    fn append_all(
        &self,
        appends: Vec<Append>,
    ) -> impl Future<Output = Result<Vec<Appended>, StorageError>> + Send {
        async { append_each(appends, |append| self.append(append)) }
    }

    /// The place of the entry with this number, or of the beginning for 0; none if there is no such entry.
    fn position(&self, id: &GroupId, seq: u64) -> Result<Option<LogPosition>, StorageError>;

    /// Tracked groups in which the removal of revoked members is due: `limit` at most. It is from the revocation on
    /// until [`Self::removals_proposed`] notes otherwise, and after each commit that leaves such a member in the group.
    fn due_removals(&self, limit: u32) -> Result<Vec<GroupId>, StorageError>;

    /// The revoked members whose removal from a group is due.
    fn due_removals_in(&self, id: &GroupId) -> Result<Vec<DeviceId>, StorageError>;

    /// Notes that no removal from a group is due, if it is still in this epoch.
    fn removals_proposed(&self, id: &GroupId, epoch: u64) -> Result<(), StorageError>;

    /// The entry with a hash.
    fn find(&self, id: &GroupId, hash: &[u8; 32]) -> Result<Option<Found>, StorageError>;

    /// When the commit that ended an epoch came, in seconds since 1970; none if none has.
    fn epoch_ended(&self, id: &GroupId, epoch: u64) -> Result<Option<u64>, StorageError>;

    /// Entries of a log after one and up to another, ascending: `limit` at most, and no more
    /// after they hold `bytes` bytes.
    fn log(
        &self,
        id: &GroupId,
        after: u64,
        up_to: u64,
        limit: u32,
        bytes: usize,
    ) -> Result<Vec<LogEntry>, StorageError>;

    /// The proposals of an epoch in a group's log, ascending: `limit` at most, and no more after they hold `bytes`
    /// bytes. However long the log is, that takes no longer.
    fn proposals(
        &self,
        id: &GroupId,
        epoch: u64,
        limit: u32,
        bytes: usize,
    ) -> Result<Vec<LogEntry>, StorageError>;

    /// An opaque group's GroupInfo and ratchet tree, if the last commit came with both.
    fn public_state(&self, id: &GroupId) -> Result<Option<(Bytes, Bytes)>, StorageError>;

    /// The observer's rows of a group, ascending by key.
    fn rows(&self, id: &GroupId) -> Result<Vec<(RowKey, Secret)>, StorageError>;

    /// The first items of a device's inbox, and how many there are in all.
    fn inbox(
        &self,
        device: &DeviceId,
        limit: u32,
        bytes: usize,
    ) -> Result<(Vec<InboxItem>, u32), StorageError>;

    /// How many items a device's inbox holds, and of how many bytes.
    fn inbox_size(&self, device: &DeviceId) -> Result<(u32, u64), StorageError>;

    /// Deletes items of a device's inbox.
    fn ack_inbox(&self, device: &DeviceId, ids: Vec<u64>) -> Result<(), StorageError>;

    /// Begins a user's upload. The sizes of one user's uploads add up to `quota` bytes at most, those of all to `total`.
    fn begin_upload(
        &self,
        new: NewUpload,
        quota: u64,
        total: u64,
    ) -> Result<UploadBegun, StorageError>;

    /// A user's upload.
    fn upload(&self, hash: &[u8; 32], user: &Name) -> Result<Option<UploadRecord>, StorageError>;

    /// Notes that so many bytes of a user's upload are there, unless more were noted before.
    fn advance_upload(
        &self,
        hash: [u8; 32],
        user: &Name,
        received: u64,
    ) -> Result<(), StorageError>;

    /// Notes that a user's upload is complete, and until when it is kept now; whether there is such an upload.
    fn complete_upload(
        &self,
        hash: [u8; 32],
        user: &Name,
        expires_at: u64,
    ) -> Result<bool, StorageError>;

    /// The length of an attachment, if an upload of it is complete.
    fn attachment(&self, hash: &[u8; 32]) -> Result<Option<u64>, StorageError>;

    /// Forgets a user's upload; whether there was one.
    fn remove_upload(&self, hash: [u8; 32], user: &Name) -> Result<bool, StorageError>;

    /// Uploads that are kept no longer than until `now`: `limit` at most.
    fn expired_uploads(&self, now: u64, limit: u32) -> Result<Vec<([u8; 32], Name)>, StorageError>;
}
