//! Reading, and the [`Store`] itself.

use super::seal::{Place, Sum};
use super::{Fault, SqliteStore, Sums, group_number, sealed_sum, unordered};
use crate::{GroupId, RowKey, Secret, Store, StoreError, Table, WriteSet};
use rusqlite::{OptionalExtension, Row, params};

impl SqliteStore {
    /// Reads the whole store and checks that nothing in it is damaged.
    ///
    /// In an encrypted store this finds everything that was changed without the key, also what reading
    /// single values does not show: application values that were removed or set back. The time that it
    /// takes grows with the store.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] with what is damaged; otherwise if the store cannot be read.
    pub fn verify(&self) -> Result<(), StoreError> {
        for group in self.groups()? {
            self.load(&group)?;
        }
        Ok(self.verify_app()?)
    }

    pub(super) fn verify_app(&self) -> Result<(), Fault> {
        let mut sum = Sum::default();
        let mut statement = self.db.prepare("SELECT namespace, key, value FROM app")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let namespace: String = row.get(0)?;
            let key: Vec<u8> = row.get(1)?;
            let place = Place::App { namespace: &namespace, key: &key };
            self.value(place, row, 2, &mut sum)?;
        }

        match &self.sealer {
            Some(sealer) if Sums::read(&self.db, sealer)?.app != sum => {
                let what = "application values were removed, added or set back";
                Err(StoreError::Damaged(what.into()).into())
            }
            _ => Ok(()),
        }
    }

    /// The value in a column, opened and added to a sum if the store is encrypted.
    fn value(
        &self,
        place: Place<'_>,
        row: &Row<'_>,
        column: usize,
        sum: &mut Sum,
    ) -> Result<Secret, Fault> {
        let stored = row.get_ref(column)?;
        let stored = stored
            .as_blob()
            .map_err(|_| StoreError::Damaged(format!("{place} is not made of bytes")))?;
        match &self.sealer {
            Some(sealer) => Ok(sealer.open_value(place, stored, sum)?),
            None => Ok(Secret::copy_from(stored)),
        }
    }

    pub(super) fn load_rows(&self, group: &GroupId) -> Result<Vec<(RowKey, Secret)>, Fault> {
        let Some(number) = group_number(&self.db, group)? else {
            return Ok(Vec::new());
        };

        let mut sum = Sum::default();
        let mut loaded = Vec::new();
        let mut statement =
            self.db.prepare_cached("SELECT tbl, epoch, idx, value FROM mls_row WHERE grp = ?")?;
        let mut rows = statement.query([number])?;
        while let Some(row) = rows.next()? {
            let number: u8 = row.get(0)?;
            let epoch = unordered(row.get(1)?);
            let index = unordered(row.get(2)?);
            let place = Place::Row { group, table: number, epoch, index };
            let table = Table::from_number(number)
                .ok_or_else(|| StoreError::Damaged(format!("unknown table: {place}")))?;
            loaded.push((RowKey { table, epoch, index }, self.value(place, row, 3, &mut sum)?));
        }

        if let Some(sealer) = &self.sealer {
            let sealed = sealed_sum(&self.db, number)?.unwrap_or_default();
            let place = Place::Group(group);
            let expected = sealer.open_value(place, &sealed, &mut Sum::default())?;
            if Sum::of(expected.expose()) != sum {
                let what = format!("rows of {group:?} were removed, added or set back");
                return Err(StoreError::Damaged(what).into());
            }
        }
        loaded.sort_unstable_by_key(|(key, _)| *key);
        Ok(loaded)
    }

    pub(super) fn group_ids(&self) -> rusqlite::Result<Vec<GroupId>> {
        self.db
            .prepare_cached("SELECT group_id FROM mls_group ORDER BY group_id")?
            .query_map([], |r| r.get(0).map(|id: Vec<u8>| GroupId::from(id)))?
            .collect()
    }

    fn get_value(&self, namespace: &str, key: &[u8]) -> Result<Option<Secret>, Fault> {
        let mut statement =
            self.db.prepare_cached("SELECT value FROM app WHERE namespace = ? AND key = ?")?;
        let place = Place::App { namespace, key };
        let found = statement
            .query_row(params![namespace, key], |row| {
                Ok(self.value(place, row, 0, &mut Sum::default()))
            })
            .optional()?;
        found.transpose()
    }

    pub(super) fn scan_values(
        &self,
        namespace: &str,
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Secret)>, Fault> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = self.db.prepare_cached(
            "SELECT key, value FROM app WHERE namespace = ? AND key >= ? ORDER BY key LIMIT ?",
        )?;
        let mut rows = statement.query(params![namespace, from, limit])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let key: Vec<u8> = row.get(0)?;
            let place = Place::App { namespace, key: &key };
            let value = self.value(place, row, 1, &mut Sum::default())?;
            found.push((key, value));
        }
        Ok(found)
    }
}

impl Store for SqliteStore {
    fn load(&self, group: &GroupId) -> Result<Vec<(RowKey, Secret)>, StoreError> {
        Ok(self.load_rows(group)?)
    }

    fn write(&mut self, set: &WriteSet) -> Result<(), StoreError> {
        self.write_set(set)
    }

    fn groups(&self) -> Result<Vec<GroupId>, StoreError> {
        Ok(self.group_ids().map_err(Fault::from)?)
    }

    fn get(&self, namespace: &str, key: &[u8]) -> Result<Option<Secret>, StoreError> {
        Ok(self.get_value(namespace, key)?)
    }

    fn scan(
        &self,
        namespace: &str,
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Secret)>, StoreError> {
        Ok(self.scan_values(namespace, from, limit)?)
    }
}
