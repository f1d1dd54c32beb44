//! What the contents of rows of several kinds have in common.

use crate::error::Error;
use crate::rows::{self, Batch, RowKey, Stored, Table};
use alloc::format;
use alloc::vec::Vec;
use conclave_crypto::Secret;
use conclave_tree::TreeError;
use conclave_wire::{Decode, DecodeError, GroupId, Reader, TreeSize, Writer};
use core::fmt::Display;

/// What a store gave back for a group, ordered by key; of rows with the same key the last counts.
pub(crate) struct StoredRows(Vec<(RowKey, Secret)>);

impl StoredRows {
    pub(crate) fn new(rows: impl IntoIterator<Item = (RowKey, Secret)>) -> Self {
        let mut rows: Vec<(RowKey, Secret)> = rows.into_iter().collect();
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

    /// The content of the one row of a table, which must be there.
    pub(crate) fn single(&self, table: Table) -> Result<&[u8], Error> {
        let key = RowKey::new(table, 0);
        let row = self.0.binary_search_by_key(&key, |(key, _)| *key).ok();
        let row = row.and_then(|at| self.0.get(at));
        let (_, row) = row.ok_or_else(|| Error::storage(format!("{key} is missing")))?;
        named(&key, rows::content(row))
    }

    /// That every row is whole, of this group, and at the place that it was written to.
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
        let (first, last) = (RowKey::new(table, 0), RowKey::new(table, u64::MAX));
        let start = self.0.partition_point(|(key, _)| *key < first);
        let end = self.0.partition_point(|(key, _)| *key <= last);
        let all = self.0.get(start..end).unwrap_or_default().iter();
        all.filter_map(|(key, row)| Some((key, rows::content(row).ok()?)))
    }
}

/// How many rows there are of those that come and go within an epoch, so that a missing one is
/// noticed. A row of its own: few bytes, written when it changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    pub(crate) past_epochs: u32,
    pub(crate) proposals: u32,
    pub(crate) pending_updates: u32,
    /// A pending commit; for an observer, a GroupInfo.
    pub(crate) single: bool,
    /// The name of a policy.
    pub(crate) policy: bool,
}

impl Ledger {
    pub(crate) fn put(self, batch: &mut Batch) {
        let counts = [self.past_epochs, self.proposals, self.pending_updates];
        let mut row: Vec<u8> = counts.iter().flat_map(|count| count.to_be_bytes()).collect();
        row.push(u8::from(self.single) | u8::from(self.policy) << 1);
        batch.put(RowKey::new(Table::Ledger, 0), &row);
    }

    /// That as many rows were loaded as there should be.
    pub(crate) fn check(self, rows: &StoredRows) -> Result<(), Error> {
        let mut r = Reader::new(rows.single(Table::Ledger)?);
        let (past, proposals) = (u32::decode(&mut r)?, u32::decode(&mut r)?);
        let (updates, flags) = (u32::decode(&mut r)?, u8::decode(&mut r)?);
        nothing_left(&r)?;
        for (what, found, wanted) in [
            ("PastEpoch", self.past_epochs, past),
            ("Proposal", self.proposals, proposals),
            ("PendingUpdate", self.pending_updates, updates),
            ("PendingCommit or GroupInfo", self.single.into(), (flags & 1).into()),
            ("Policy", self.policy.into(), (flags >> 1).into()),
        ] {
            if found != wanted {
                return Err(Error::storage(format!("{found} {what} rows, not {wanted}")));
            }
        }
        Ok(())
    }
}

/// How many entries a map will have after changes to it.
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
        _ => count,
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

/// That a row holds no more than it should.
pub(crate) fn nothing_left(r: &Reader<'_>) -> Result<(), Error> {
    match r.rest().len() {
        0 => Ok(()),
        n => Err(DecodeError::TrailingBytes(n).into()),
    }
}

/// Stored trees are nobody's message: what is wrong with one is wrong with the store.
pub(crate) fn damaged_tree(e: TreeError) -> Error {
    match e {
        TreeError::Crypto(e) => e.into(),
        other => Error::storage(format!("ratchet tree: {other}")),
    }
}

/// The node or leaf that a row is of. One that no tree has stays one.
pub(crate) fn node_index(key: &RowKey) -> u32 {
    u32::try_from(key.index).unwrap_or(u32::MAX)
}

/// Says which row, or other stored value, an error is about.
pub(crate) fn named<T>(what: &dyn Display, result: Result<T, Error>) -> Result<T, Error> {
    result.map_err(|e| match e {
        Error::Storage(why) => Error::storage(format!("{what}: {why}")),
        other => Error::storage(format!("{what}: {other}")),
    })
}
