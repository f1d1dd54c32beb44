//! Code that rows of several kinds share.

use crate::error::Error;
use crate::store::rows::{self, Batch, RowKey, Stored, Table};
use alloc::format;
use alloc::vec::Vec;
use conclave_crypto::Secret;
use conclave_tree::TreeError;
use conclave_wire::{ComponentId, Decode, DecodeError, GroupId, Reader, TreeSize, Writer};
use core::fmt::Display;

/// The rows that a store gave back for a group, ordered by key. Of several rows with one key the
/// last counts.
pub(crate) struct StoredRows(Vec<(RowKey, Secret)>);

impl StoredRows {
    pub(crate) fn new(rows: impl IntoIterator<Item = (RowKey, Secret)>) -> Self {
        // Rows often come from an iterator that cannot tell how many there are. A group of two has about 20,
        // which take less than the KiB from which on glibc first merges the blocks that are free.
        let rows_iter = rows.into_iter();
        let mut rows = Vec::with_capacity(rows_iter.size_hint().0.max(24));
        rows.extend(rows_iter);
        // Stable, and linear for rows that come in order.
        rows.sort_by_key(|(key, _)| *key);
        rows.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                core::mem::swap(later, kept);
            }
            same
        });
        Self(rows)
    }

    /// The content of the only row of a table, which must be there.
    pub(crate) fn single(&self, table: Table) -> Result<&[u8], Error> {
        let key = RowKey::new(table, 0);
        let row = self.0.binary_search_by_key(&key, |(key, _)| *key).ok();
        let row = row.and_then(|at| self.0.get(at));
        let (_, row) = row.ok_or_else(|| Error::storage(format!("{key} is missing")))?;
        named(&key, rows::content(row))
    }

    /// Checks that every row is whole, of this group, and where it was written.
    pub(crate) fn check(&self, group_id: &GroupId) -> Result<(), Error> {
        let open = |(key, row): &(RowKey, Secret)| {
            named(key, Stored::Row(group_id, key).open(row)).map(|_| ())
        };
        self.0.iter().try_for_each(open)
    }

    /// All rows, by key, with their contents.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&RowKey, &[u8])> {
        self.0.iter().filter_map(|(key, row)| Some((key, rows::content(row).ok()?)))
    }

    /// The rows of a table that belong to no epoch.
    pub(crate) fn of(&self, table: Table) -> impl Iterator<Item = (&RowKey, &[u8])> {
        self.between(RowKey::new(table, 0), RowKey::new(table, u64::MAX)).contents()
    }

    /// The rows of a table that belong to epochs, or to none, in ascending order.
    pub(crate) fn of_epochs(&self, table: Table) -> EpochRows<'_> {
        let last = RowKey::new(table, u64::MAX);
        self.between(RowKey::of_epoch(table, 0, 0), last)
    }

    fn between(&self, first: RowKey, last: RowKey) -> EpochRows<'_> {
        let start = self.0.partition_point(|(key, _)| *key < first);
        let end = self.0.partition_point(|(key, _)| *key <= last);
        EpochRows(self.0.get(start..end).unwrap_or_default())
    }
}

/// Rows of one table, by epoch.
#[derive(Clone, Copy)]
pub(crate) struct EpochRows<'a>(&'a [(RowKey, Secret)]);

impl<'a> EpochRows<'a> {
    /// The epoch of the next row.
    pub(crate) fn next_epoch(&self) -> Option<u64> {
        self.0.first().map(|(key, _)| key.epoch)
    }

    /// Takes the rows at the start that belong to an epoch.
    pub(crate) fn take(&mut self, epoch: u64) -> Self {
        let end = self.0.iter().take_while(|(key, _)| key.epoch == epoch).count();
        let (taken, rest) = self.0.split_at_checked(end).unwrap_or_default();
        self.0 = rest;
        Self(taken)
    }

    /// The rows with their contents.
    pub(crate) fn contents(self) -> impl Iterator<Item = (&'a RowKey, &'a [u8])> {
        self.0.iter().filter_map(|(key, row)| Some((key, rows::content(row).ok()?)))
    }
}

/// The number of rows of those kinds that come and go within an epoch, so that a missing one is
/// noticed. It has a row of its own: a few bytes, written when they change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    pub(crate) past_epochs: u32,
    pub(crate) proposals: u32,
    pub(crate) pending_updates: u32,
    /// Past epochs with a TargetedKeys row.
    pub(crate) targeted_keys: u32,
    pub(crate) targeted_read: u32,
    pub(crate) checkpoints: u32,
    pub(crate) own_records: u32,
    /// Whether there is a pending commit; for an observer, a GroupInfo.
    pub(crate) single: bool,
    /// Whether there is the name of a policy.
    pub(crate) policy: bool,
    /// Whether the epoch has an exporter tree, which finds its missing rows by itself.
    pub(crate) exporter: bool,
}

impl Ledger {
    pub(crate) fn put(self, batch: &mut Batch) {
        let counts = [self.past_epochs, self.proposals, self.pending_updates];
        let mut row: Vec<u8> = counts.iter().flat_map(|count| count.to_be_bytes()).collect();
        row.push(u8::from(self.single) | u8::from(self.policy) << 1 | u8::from(self.exporter) << 2);
        // Groups without targeted messages or checkpoints have none of these counts, as before there
        // were any.
        let targeted = [self.targeted_keys, self.targeted_read];
        let rewinding = [self.checkpoints, self.own_records];
        if targeted != [0, 0] || rewinding != [0, 0] {
            row.extend(targeted.iter().flat_map(|count| count.to_be_bytes()));
        }
        if rewinding != [0, 0] {
            row.extend(rewinding.iter().flat_map(|count| count.to_be_bytes()));
        }
        batch.put(RowKey::new(Table::Ledger, 0), &row);
    }

    /// Checks that as many rows were loaded as there should be.
    pub(crate) fn check(self, rows: &StoredRows) -> Result<(), Error> {
        let mut r = Reader::new(rows.single(Table::Ledger)?);
        let past = u32::decode(&mut r)?;
        let proposals = u32::decode(&mut r)?;
        let updates = u32::decode(&mut r)?;
        let flags = u8::decode(&mut r)?;
        let (mut keys, mut read) = (0, 0);
        if !r.is_empty() {
            keys = u32::decode(&mut r)?;
            read = u32::decode(&mut r)?;
        }
        let (mut checkpoints, mut own_records) = (0, 0);
        if !r.is_empty() {
            checkpoints = u32::decode(&mut r)?;
            own_records = u32::decode(&mut r)?;
        }
        nothing_left(&r)?;

        for (what, found, wanted) in [
            ("PastEpoch", self.past_epochs, past),
            ("Proposal", self.proposals, proposals),
            ("PendingUpdate", self.pending_updates, updates),
            ("TargetedKeys", self.targeted_keys, keys),
            ("TargetedRead", self.targeted_read, read),
            ("Checkpoint", self.checkpoints, checkpoints),
            ("OwnRecord", self.own_records, own_records),
            ("PendingCommit or GroupInfo", self.single.into(), (flags & 1).into()),
            ("Policy", self.policy.into(), (flags >> 1 & 1).into()),
            ("sets of ExporterNode", self.exporter.into(), (flags >> 2).into()),
        ] {
            if found != wanted {
                return Err(Error::storage(format!("{found} {what} rows, not {wanted}")));
            }
        }
        Ok(())
    }
}

/// The number of entries that a map will have after changes to it.
pub(crate) fn count_after<'a, K: Ord + 'a, V>(
    before: usize,
    has: impl Fn(&K) -> bool,
    changes: impl Iterator<Item = (&'a K, &'a Option<V>)>,
) -> u32
where
    V: 'a,
{
    let after = changes.fold(before, |count, (key, change)| match (has(key), change) {
        (false, Some(_)) => count.saturating_add(1),
        (true, None) => count.saturating_sub(1),
        (true, Some(_)) | (false, None) => count,
    });
    u32::try_from(after).unwrap_or(u32::MAX)
}

/// Appends a secret as an `opaque<V>`.
pub(crate) fn put_secret(w: &mut Writer, secret: &Secret) -> Result<(), Error> {
    Ok(w.put_opaque(secret.expose())?)
}

pub(crate) fn take_secret(r: &mut Reader<'_>) -> Result<Secret, Error> {
    Ok(Secret::copy_from(r.opaque()?))
}

/// The size of a tree, stored as its number of leaves.
pub(crate) fn tree_size(r: &mut Reader<'_>) -> Result<TreeSize, Error> {
    let leaves = u32::decode(r)?;
    TreeSize::for_leaves(leaves)
        .filter(|size| size.leaf_count() == leaves)
        .ok_or_else(|| Error::storage(format!("no tree has {leaves} leaves")))
}

/// Checks that a row was read to its end.
pub(crate) fn nothing_left(r: &Reader<'_>) -> Result<(), Error> {
    match r.rest().len() {
        0 => Ok(()),
        n => Err(DecodeError::TrailingBytes(n).into()),
    }
}

/// The error of a stored tree. The store is at fault, not a peer.
pub(crate) fn damaged_tree(e: TreeError) -> Error {
    match e {
        TreeError::Crypto(e) => e.into(),
        other => Error::storage(format!("ratchet tree: {other}")),
    }
}

/// The index of a row's node or leaf. An index beyond every tree stays beyond it.
pub(crate) fn node_index(key: &RowKey) -> u32 {
    u32::try_from(key.index).unwrap_or(u32::MAX)
}

/// The component of a row.
pub(crate) fn component_id(key: &RowKey) -> Result<ComponentId, Error> {
    let id = u16::try_from(key.index).map_err(|_| Error::storage("there is no such component"))?;
    Ok(ComponentId(id))
}

/// Puts the name of a row or another stored value before an error.
pub(crate) fn named<T>(what: &dyn Display, result: Result<T, Error>) -> Result<T, Error> {
    result.map_err(|e| match e {
        Error::Storage(why) => Error::storage(format!("{what}: {why}")),
        other => Error::storage(format!("{what}: {other}")),
    })
}
