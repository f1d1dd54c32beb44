//! Writing a set in one transaction.

use super::seal::{Place, SALT_LEN, Sealer, Sum};
use super::{Fault, SqliteStore, Sums, empty_log, group_number, ordered, sealed_sum, unordered};
use crate::write_set::AppWrite;
use crate::{Batch, GroupId, Secret, StoreError, WriteSet};
use rusqlite::{Connection, OptionalExtension, Params, TransactionBehavior, params};
use std::borrow::Cow;

impl SqliteStore {
    pub(super) fn write_set(&mut self, set: &WriteSet) -> Result<(), StoreError> {
        if set.is_empty() {
            return Ok(());
        }

        let behavior = TransactionBehavior::Immediate;
        let tx = self.db.transaction_with_behavior(behavior).map_err(Fault::from)?;
        set.check_new_groups(|group| Ok(group_number(&tx, group).map_err(Fault::from)?.is_some()))?;
        write_all(&tx, self.sealer.as_ref(), set)?;
        // A COMMIT that failed may have reached the disk: only reading the file again can tell.
        tx.commit().map_err(StoreError::unknown)?;

        // The set is durable already; if the log stays, the next write empties it. Whatever a set
        // writes may replace a secret, and what it deletes may be one.
        let _ = empty_log(&self.db);
        Ok(())
    }
}

fn write_all(db: &Connection, sealer: Option<&Sealer>, set: &WriteSet) -> Result<(), Fault> {
    let mut sums = match sealer {
        Some(sealer) => Some((sealer, Sums::read(db, sealer)?)),
        None => None,
    };

    for batch in &set.batches {
        let groups = sums.as_mut().map(|(sealer, sums)| Summed::new(sealer, &mut sums.groups));
        write_batch(db, groups, batch)?;
    }
    for write in &set.app {
        let values = sums.as_mut().map(|(sealer, sums)| Summed::new(sealer, &mut sums.app));
        write_app(db, values, write)?;
    }

    match sums {
        Some((sealer, sums)) => sums.write(db, sealer),
        None => Ok(()),
    }
}

/// Values of an encrypted store with their sum.
pub(super) struct Summed<'a> {
    sealer: &'a Sealer,
    sum: &'a mut Sum,
}

impl<'a> Summed<'a> {
    pub(super) fn new(sealer: &'a Sealer, sum: &'a mut Sum) -> Self {
        Self { sealer, sum }
    }

    /// Seals a value.
    fn seal(&mut self, place: Place<'_>, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.sealer.seal(place, value, self.sum)
    }

    /// Takes out a value that is replaced or deleted, if there is one.
    fn take_out(&mut self, place: Place<'_>, old: Option<Vec<u8>>) -> Result<(), StoreError> {
        match old {
            Some(old) => self.sealer.subtract(place, &old, self.sum),
            None => Ok(()),
        }
    }
}

/// The start of a value that is stored, as much as a sum needs of it.
fn start_of_value(
    db: &Connection,
    table_and_place: &str,
    params: impl Params,
) -> rusqlite::Result<Option<Vec<u8>>> {
    let select = format!("SELECT substr(value, 1, {SALT_LEN}) FROM {table_and_place}");
    db.prepare_cached(&select)?.query_row(params, |r| r.get(0)).optional()
}

/// What is stored for a value.
fn stored<'a>(
    values: Option<&mut Summed<'_>>,
    place: Place<'_>,
    value: &'a Secret,
) -> Result<Cow<'a, [u8]>, StoreError> {
    match values {
        Some(values) => Ok(Cow::Owned(values.seal(place, value.expose())?)),
        None => Ok(Cow::Borrowed(value.expose())),
    }
}

fn write_app(
    db: &Connection,
    mut values: Option<Summed<'_>>,
    write: &AppWrite,
) -> Result<(), Fault> {
    let AppWrite { namespace, key, value } = write;
    let place = Place::App { namespace, key };
    if let Some(values) = &mut values {
        let at = "app WHERE namespace = ? AND key = ?";
        values.take_out(place, start_of_value(db, at, params![namespace, key])?)?;
    }

    match value {
        Some(value) => {
            let value = stored(values.as_mut(), place, value)?;
            db.prepare_cached(
                "INSERT INTO app (namespace, key, value) VALUES (?, ?, ?)
                 ON CONFLICT DO UPDATE SET value = excluded.value",
            )?
            .execute(params![namespace, key, value])?;
        }
        None => {
            db.prepare_cached("DELETE FROM app WHERE namespace = ? AND key = ?")?
                .execute(params![namespace, key])?;
        }
    }
    Ok(())
}

fn write_batch(
    db: &Connection,
    mut groups: Option<Summed<'_>>,
    batch: &Batch,
) -> Result<(), Fault> {
    let group = &batch.group_id;
    let number = match group_number(db, group)? {
        Some(number) => number,
        None => db
            .prepare_cached("INSERT INTO mls_group (group_id) VALUES (?) RETURNING id")?
            .query_row([group.as_ref()], |r| r.get(0))?,
    };

    let mut sum = match &mut groups {
        Some(groups) => take_out_group(db, groups, group, number)?,
        None => Sum::default(),
    };
    let mut rows = groups.as_ref().map(|groups| Summed::new(groups.sealer, &mut sum));
    if batch.clear {
        db.prepare_cached("DELETE FROM mls_row WHERE grp = ?")?.execute([number])?;
        if let Some(rows) = &mut rows {
            *rows.sum = Sum::default();
        }
    }
    for epoch in &batch.deleted_epochs {
        delete_epoch(db, rows.as_mut(), group, number, *epoch)?;
    }
    write_rows(db, rows, batch, number)?;

    let is_empty = !db.prepare_cached("SELECT 1 FROM mls_row WHERE grp = ?")?.exists([number])?;
    if is_empty {
        db.prepare_cached("DELETE FROM mls_group WHERE id = ?")?.execute([number])?;
    }
    match &mut groups {
        Some(groups) => write_group_sum(db, groups, group, number, (!is_empty).then_some(sum)),
        None => Ok(()),
    }
}

/// The sum of a group's rows, which is taken out of the sum of the groups until it is written anew.
fn take_out_group(
    db: &Connection,
    groups: &mut Summed<'_>,
    group: &GroupId,
    number: i64,
) -> Result<Sum, Fault> {
    let Some(sealed) = sealed_sum(db, number)? else { return Ok(Sum::default()) };
    let sum = groups.sealer.open_value(Place::Group(group), &sealed, &mut Sum::default())?;
    groups.take_out(Place::Group(group), Some(sealed))?;
    Ok(Sum::of(sum.expose()))
}

/// Writes the sum of a group's rows, or deletes it with the group.
pub(super) fn write_group_sum(
    db: &Connection,
    groups: &mut Summed<'_>,
    group: &GroupId,
    number: i64,
    sum: Option<Sum>,
) -> Result<(), Fault> {
    match sum {
        Some(sum) => {
            let sealed = groups.seal(Place::Group(group), &sum.to_bytes())?;
            db.prepare_cached(
                "INSERT INTO group_sum (grp, value) VALUES (?, ?)
                 ON CONFLICT DO UPDATE SET value = excluded.value",
            )?
            .execute(params![number, sealed])?;
        }
        None => {
            db.prepare_cached("DELETE FROM group_sum WHERE grp = ?")?.execute([number])?;
        }
    }
    Ok(())
}

fn delete_epoch(
    db: &Connection,
    rows: Option<&mut Summed<'_>>,
    group: &GroupId,
    number: i64,
    epoch: u64,
) -> Result<(), Fault> {
    let at = params![number, ordered(epoch)];
    if let Some(rows) = rows {
        let select = format!(
            "SELECT tbl, idx, substr(value, 1, {SALT_LEN}) FROM mls_row
             WHERE grp = ? AND epoch = ?"
        );
        let mut statement = db.prepare_cached(&select)?;
        let mut deleted = statement.query(at)?;
        while let Some(row) = deleted.next()? {
            let table = row.get(0)?;
            let index = unordered(row.get(1)?);
            rows.take_out(Place::Row { group, table, epoch, index }, Some(row.get(2)?))?;
        }
    }

    db.prepare_cached("DELETE FROM mls_row WHERE grp = ? AND epoch = ?")?.execute(at)?;
    Ok(())
}

fn write_rows(
    db: &Connection,
    mut rows: Option<Summed<'_>>,
    batch: &Batch,
    number: i64,
) -> Result<(), Fault> {
    let mut put = db.prepare_cached(
        "INSERT INTO mls_row (grp, epoch, tbl, idx, value) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET value = excluded.value",
    )?;
    let mut delete = db.prepare_cached(
        "DELETE FROM mls_row WHERE grp = ? AND epoch = ? AND tbl = ? AND idx = ?",
    )?;
    for (key, value) in &batch.rows {
        let place = Place::row(&batch.group_id, key);
        let epoch = ordered(key.epoch);
        let table = key.table as u8;
        let index = ordered(key.index);
        if let Some(rows) = &mut rows {
            let at = "mls_row WHERE grp = ? AND epoch = ? AND tbl = ? AND idx = ?";
            let old = start_of_value(db, at, params![number, epoch, table, index])?;
            rows.take_out(place, old)?;
        }

        match value {
            Some(value) => {
                let value = stored(rows.as_mut(), place, value)?;
                put.execute(params![number, epoch, table, index, value])?;
            }
            None => {
                delete.execute(params![number, epoch, table, index])?;
            }
        }
    }
    Ok(())
}
