//! What an administrator needs of a storage beside the service's own questions.

use super::{Counts, Quota, Storage, StorageError};
use conclave_delivery_api::{GroupId, Name};

/// A user as an administrator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSummary {
    /// The user.
    pub user: Name,
    /// How many devices are active.
    pub devices: u64,
    /// How many groups they have made.
    pub groups: u64,
    /// Whether the user is blocked.
    pub blocked: bool,
    /// Whether it has more or less of something than everybody.
    pub own_quota: bool,
}

/// A group as an administrator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSummary {
    /// The group.
    pub group_id: GroupId,
    /// Whether the service follows it.
    pub tracked: bool,
    /// The epoch.
    pub epoch: u64,
    /// How many devices are in it.
    pub members: u64,
    /// How many messages of its log are kept.
    pub entries: u64,
    /// The bytes of these.
    pub bytes: u64,
    /// Whether it has ended: a member or an administrator has reset it.
    pub ended: bool,
}

/// An invitation that was made and is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvitationSummary {
    /// Its hash.
    pub hash: [u8; 32],
    /// When it was made, in seconds since 1970.
    pub issued_at: u64,
    /// When it expires, in seconds since 1970.
    pub expires_at: u64,
}

/// The state of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageStatus {
    /// The format.
    pub format: u32,
    /// How much there is.
    pub counts: Counts,
    /// The size of the database, in bytes.
    pub bytes: u64,
    /// How many of them are free for what comes.
    pub free_bytes: u64,
    /// The size of the log that is not in the database yet, in bytes.
    pub wal_bytes: u64,
}

/// What is dropped: of each group's log the messages that are too old, and those that are too many; of inboxes the
/// Welcomes that are too old.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Messages that came before this time, in seconds since 1970.
    pub before: Option<u64>,
    /// All but the newest so many.
    pub entries: Option<u64>,
    /// Welcomes that came before this time.
    pub welcomes_before: Option<u64>,
}

/// What was dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// How many messages.
    pub entries: u64,
    /// From how many groups.
    pub groups: u64,
    /// How many Welcomes.
    pub welcomes: u64,
}

/// A storage that can be administered.
#[allow(clippy::missing_errors_doc, reason = "all fail with StorageError alone")]
pub trait Administration: Storage {
    /// Users by name, those after one: `limit` at most.
    fn users(&self, after: &str, limit: u32) -> Result<Vec<UserSummary>, StorageError>;

    /// Groups, those with the most bytes in their logs first: `limit` at most.
    fn largest_groups(&self, limit: u32) -> Result<Vec<GroupSummary>, StorageError>;

    /// Notes that an invitation was made.
    fn record_invitation(&self, invitation: InvitationSummary) -> Result<(), StorageError>;

    /// Invitations that are neither used nor expired, those that expire first before the others; those that have
    /// expired are forgotten.
    fn open_invitations(&self, now: u64) -> Result<Vec<InvitationSummary>, StorageError>;

    /// Blocks a user, or lets it in again; whether there is such a user.
    fn set_blocked(&self, user: &Name, blocked: bool) -> Result<bool, StorageError>;

    /// Gives a user so much of something, or what everybody has; whether there is such a user. What is not named stays
    /// as it is.
    fn set_quotas(
        &self,
        user: &Name,
        quotas: Vec<(Quota, Option<u64>)>,
    ) -> Result<bool, StorageError>;

    /// What one user, or each, has more or less of than everybody, by user and quota.
    fn quotas(&self, user: Option<&Name>) -> Result<Vec<(Name, Quota, u64)>, StorageError>;

    /// Drops the beginnings of logs, the last message of each excepted, and what has waited in inboxes for too long.
    /// Others write meanwhile.
    fn compact(&self, retention: Retention) -> Result<Compacted, StorageError>;

    /// The state of the files. It counts every row.
    fn status(&self) -> Result<StorageStatus, StorageError>;
}
