//! What a store keeps of a group: rows, and batches of changes to them.
//!
//! A store has two operations: load the rows of a group, and write a [`Batch`]. It knows nothing of
//! MLS, and may encrypt values.
//!
//! A row is its content, the version of the [format](FORMAT), and a checksum that binds it to its
//! group and key. [`Group::load`](crate::Group::load) names a row that is damaged, missing or in
//! the wrong place.

use crate::error::Error;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;
use conclave_crypto::Secret;
use conclave_wire::GroupId;
use core::fmt;

/// The kinds of rows. Their numbers are part of the stored format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Table {
    /// The epoch header: context, own leaf, epoch secrets, signature key. One row.
    Header = 1,
    /// A node of the ratchet tree, by node index.
    Tree = 2,
    /// A private key of the ratchet tree, by node index.
    PrivateKey = 3,
    /// An unconsumed node of an epoch's secret tree, by node index.
    SecretTreeNode = 4,
    /// A ratchet of an epoch's secret tree.
    Ratchet = 5,
    /// A message key that was skipped over.
    SkippedKey = 6,
    /// A cached proposal, by order of arrival.
    Proposal = 7,
    /// The header of a past epoch.
    PastEpoch = 8,
    /// A leaf as it was in a past epoch, by leaf index, if it has changed since.
    PastLeaf = 9,
    /// The private key of an Update proposal of ours, by the proposal's place.
    PendingUpdate = 10,
    /// Our commit that waits for the delivery service's verdict. One row.
    PendingCommit = 11,
    /// An observer's header: the public part of the epoch. One row.
    ObserverHeader = 12,
    /// The last GroupInfo that an observer took. One row.
    GroupInfo = 13,
    /// The number of rows of the kinds that come and go within an epoch. One row.
    Ledger = 14,
    /// The name of the group's [policy](crate::Policy::id), unless it is empty. One row.
    Policy = 15,
    /// What components can still export in the current epoch (draft-ietf-mls-extensions-10): a secret
    /// of its exporter tree, or nothing for a component that has exported, by node index.
    ExporterNode = 16,
    /// The data of a component in the GroupContext's `app_data_dictionary`, by component.
    AppData = 17,
    /// A component's data as it was in a past epoch, by component, if it has changed since.
    PastAppData = 18,
    /// What opens targeted messages to us of a past epoch. One row for an epoch that may have some.
    TargetedKeys = 19,
    /// The hash of a targeted message that was read, by order of arrival.
    TargetedRead = 20,
    /// A copy of the rows of an epoch to which the group can be rewound, by epoch.
    Checkpoint = 21,
    /// Something of our own since the oldest checkpoint, in order: a commit, a proposal, or how far our
    /// ratchets were when an epoch ended.
    OwnRecord = 22,
}

impl Table {
    /// The kind with a number.
    #[must_use]
    pub fn from_number(n: u8) -> Option<Self> {
        Some(match n {
            1 => Self::Header,
            2 => Self::Tree,
            3 => Self::PrivateKey,
            4 => Self::SecretTreeNode,
            5 => Self::Ratchet,
            6 => Self::SkippedKey,
            7 => Self::Proposal,
            8 => Self::PastEpoch,
            9 => Self::PastLeaf,
            10 => Self::PendingUpdate,
            11 => Self::PendingCommit,
            12 => Self::ObserverHeader,
            13 => Self::GroupInfo,
            14 => Self::Ledger,
            15 => Self::Policy,
            16 => Self::ExporterNode,
            17 => Self::AppData,
            18 => Self::PastAppData,
            19 => Self::TargetedKeys,
            20 => Self::TargetedRead,
            21 => Self::Checkpoint,
            22 => Self::OwnRecord,
            _ => return None,
        })
    }
}

/// The key of a row within its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey {
    /// The kind of row.
    pub table: Table,
    /// The epoch that it belongs to and is deleted with, or [`RowKey::NO_EPOCH`].
    pub epoch: u64,
    /// Its place among the rows of its kind.
    pub index: u64,
}

impl RowKey {
    /// The epoch of rows that belong to no epoch.
    pub const NO_EPOCH: u64 = u64::MAX;

    /// A row that belongs to no epoch.
    #[must_use]
    pub fn new(table: Table, index: u64) -> Self {
        Self { table, epoch: Self::NO_EPOCH, index }
    }

    /// A row that is deleted with its epoch.
    #[must_use]
    pub fn of_epoch(table: Table, epoch: u64, index: u64) -> Self {
        Self { table, epoch, index }
    }
}

impl fmt::Display for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} row {}", self.table, self.index)?;
        match self.epoch {
            Self::NO_EPOCH => Ok(()),
            epoch => write!(f, " of epoch {epoch}"),
        }
    }
}

/// The version of the stored format: the fifth byte from the end of every row, every [key
/// package](crate::OwnKeyPackage::to_secret), every [identity](crate::Identity::to_secret), every
/// [link](crate::Link::to_secret) and every [external commit](crate::ExternalCommit::to_secret).
pub const FORMAT: u8 = 1;

/// The length of what follows a stored value's content: [`FORMAT`], and a CRC-32 over the kind of
/// value and all bytes before it. The checksum finds values that were damaged, misplaced or mixed
/// up by accident. Against intent, a store encrypts and authenticates its values.
const TRAILER: usize = 1 + 4;

/// The kind of a stored value, to which its checksum binds it.
#[derive(Clone, Copy)]
pub(crate) enum Stored<'a> {
    /// The row of a group at a key.
    Row(&'a GroupId, &'a RowKey),
    /// A key package with its private keys.
    KeyPackage,
    /// An external commit that waits for its verdict.
    ExternalCommit,
    /// A link to a group.
    Link,
    /// A client's identity.
    Identity,
}

impl Stored<'_> {
    fn checksum(self, value: &[u8]) -> [u8; 4] {
        let mut crc = crc32fast::Hasher::new();
        match self {
            Self::Row(group_id, key) => {
                let mut place = [key.table as u8; 8 + 8 + 1];
                let (epoch, rest) = place.split_at_mut(8);
                let (index, _) = rest.split_at_mut(8);
                epoch.copy_from_slice(&key.epoch.to_be_bytes());
                index.copy_from_slice(&key.index.to_be_bytes());
                crc.update(&place);
                crc.update(group_id);
            }
            Self::KeyPackage => crc.update(b"OwnKeyPackage"),
            Self::ExternalCommit => crc.update(b"ExternalCommit"),
            Self::Link => crc.update(b"Link"),
            Self::Identity => crc.update(b"Identity"),
        }
        crc.update(value);
        crc.finalize().to_be_bytes()
    }

    /// A value of this content, followed by its trailer.
    pub(crate) fn seal(self, content: &[u8]) -> Secret {
        let mut value = Vec::with_capacity(content.len().saturating_add(TRAILER));
        value.extend_from_slice(content);
        value.push(FORMAT);
        let crc = self.checksum(&value);
        value.extend_from_slice(&crc);
        Secret::new(value)
    }

    /// The content of a value, if the value is whole and of this kind.
    pub(crate) fn open(self, value: &Secret) -> Result<&[u8], Error> {
        let (sealed, crc) = value
            .expose()
            .split_last_chunk::<4>()
            .ok_or_else(|| Error::storage("it is cut short"))?;
        if self.checksum(sealed) != *crc {
            return Err(Error::storage(match self {
                Self::Row(..) => "it is damaged, or of another group or place",
                Self::KeyPackage => "it is damaged, or not a stored key package",
                Self::ExternalCommit => "it is damaged, or not a stored external commit",
                Self::Link => "it is damaged, or not a stored link",
                Self::Identity => "it is damaged, or not a stored identity",
            }));
        }
        content(value)
    }
}

/// The content of a row or another stored value, without version and checksum.
///
/// # Errors
/// If it is cut short or of another format.
pub fn content(row: &Secret) -> Result<&[u8], Error> {
    let damaged = || Error::storage("it is cut short");
    let (content, trailer) = row.expose().split_last_chunk::<TRAILER>().ok_or_else(damaged)?;
    match trailer {
        [FORMAT, ..] => Ok(content),
        [other, ..] => Err(Error::storage(format!("it has format {other}, not {FORMAT}"))),
    }
}

/// Removes the rows that are deleted with an epoch.
fn remove_epoch<V>(rows: &mut BTreeMap<RowKey, V>, epoch: u64) {
    for table in (0..=u8::MAX).filter_map(Table::from_number) {
        let all = RowKey::of_epoch(table, epoch, 0)..=RowKey::of_epoch(table, epoch, u64::MAX);
        let keys: Vec<RowKey> = rows.range(all).map(|(key, _)| *key).collect();
        for key in keys {
            rows.remove(&key);
        }
    }
}

/// Changes to the rows of one group, to be written in one atomic, durable step: first
/// [`clear`](Self::clear), then [`deleted_epochs`](Self::deleted_epochs), then
/// [`rows`](Self::rows).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The group.
    pub group_id: GroupId,
    /// Whether the group is new. If so, the write must fail if any row of it is stored already.
    /// Otherwise a Welcome that somebody forged under a known group's identifier would replace that
    /// group.
    pub new: bool,
    /// Whether to delete all rows of the group first.
    pub clear: bool,
    /// The epochs whose rows to delete.
    pub deleted_epochs: BTreeSet<u64>,
    /// The rows to write, or to delete if there is no value.
    pub rows: BTreeMap<RowKey, Option<Secret>>,
}

impl Batch {
    /// A batch that changes nothing.
    #[must_use]
    pub fn new(group_id: GroupId) -> Self {
        Self {
            group_id,
            new: false,
            clear: false,
            deleted_epochs: BTreeSet::new(),
            rows: BTreeMap::new(),
        }
    }

    /// Writes a row of this content, followed by its trailer.
    pub(crate) fn put(&mut self, key: RowKey, content: &[u8]) {
        let row = Stored::Row(&self.group_id, &key).seal(content);
        self.rows.insert(key, Some(row));
    }

    /// Writes a row, or deletes it.
    pub(crate) fn set(&mut self, key: RowKey, content: Option<&[u8]>) {
        match content {
            Some(content) => self.put(key, content),
            None => self.delete(key),
        }
    }

    /// Deletes a row.
    pub(crate) fn delete(&mut self, key: RowKey) {
        self.rows.insert(key, None);
    }

    /// Adds the changes of `later` to those of this batch.
    pub fn merge(&mut self, later: Self) {
        let clears_only = self.clear && self.rows.values().all(Option::is_none);
        self.new |= later.new && !clears_only;

        if later.clear {
            self.clear = true;
            self.deleted_epochs.clear();
            self.rows.clear();
        }
        for epoch in later.deleted_epochs {
            remove_epoch(&mut self.rows, epoch);
            self.deleted_epochs.insert(epoch);
        }
        self.rows.extend(later.rows);
    }

    /// The total length of the rows that it writes, without their keys.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.rows.values().flatten().map(Secret::len).sum()
    }

    /// Makes the changes to rows held in memory.
    pub fn apply_to(&self, rows: &mut BTreeMap<RowKey, Secret>) {
        if self.clear {
            rows.clear();
        }
        for epoch in &self.deleted_epochs {
            remove_epoch(rows, *epoch);
        }
        for (key, value) in &self.rows {
            match value {
                Some(value) => rows.insert(*key, value.clone()),
                None => rows.remove(key),
            };
        }
    }
}
