//! Encrypting a store under another key.

use super::open::write_header;
use super::seal::{Place, Sealer, Sum};
use super::write::{Summed, write_group_sum};
use super::{Fault, SqliteStore, Sums, empty_log, group_number, ordered};
use crate::{GroupId, RowKey, Secret, StoreError};
use conclave_mls::crypto::CryptoProvider;
use rusqlite::params;
use std::sync::Arc;

/// How many of the application's values are in memory at once.
const PAGE: usize = 256;

impl SqliteStore {
    /// Encrypts everything anew under another key, or a plaintext store for the first time, in one
    /// transaction.
    ///
    /// The whole store is read and [verified](Self::verify) on the way. Afterwards the old key opens
    /// nothing in the file. Delete it: it still opens copies of the file that were made before.
    ///
    /// # Errors
    /// As [`Self::open_encrypted`] and [`Self::verify`]; nothing has changed then. After
    /// [`StoreError::Unknown`], keep both keys until one of them opens the file.
    pub fn rekey(
        &mut self,
        key: &Secret,
        provider: Arc<dyn CryptoProvider>,
    ) -> Result<(), StoreError> {
        let (sealer, header) = Sealer::create(key, provider)?;
        // Dropped without a commit, it rolls back.
        let tx = self.db.unchecked_transaction().map_err(Fault::from)?;

        let mut sums = Sums::default();
        self.verify_app()?;
        self.reseal_app(&sealer, &mut sums.app)?;
        let mut resealed = Vec::new();
        for group in self.group_ids().map_err(Fault::from)? {
            let sum = self.reseal_group(&sealer, &group)?;
            resealed.push((group, sum));
        }

        // The old sums are needed until here, to read the groups.
        write_header(&tx, &header)?;
        for (group, sum) in &resealed {
            self.write_new_sum(&sealer, &mut sums.groups, group, *sum)?;
        }
        sums.write(&tx, &sealer)?;
        tx.commit().map_err(StoreError::unknown)?;

        self.sealer = Some(sealer);
        let _ = empty_log(&self.db);
        Ok(())
    }

    fn reseal_group(&self, sealer: &Sealer, group: &GroupId) -> Result<Sum, Fault> {
        let number = group_number(&self.db, group)?;
        let mut sum = Sum::default();
        let mut update = self.db.prepare_cached(
            "UPDATE mls_row SET value = ? WHERE grp = ? AND epoch = ? AND tbl = ? AND idx = ?",
        )?;
        for (key, value) in self.load_rows(group)? {
            let sealed = sealer.seal(Place::row(group, &key), value.expose(), &mut sum)?;
            let RowKey { table, epoch, index } = key;
            update.execute(params![sealed, number, ordered(epoch), table as u8, ordered(index)])?;
        }
        Ok(sum)
    }

    fn write_new_sum(
        &self,
        sealer: &Sealer,
        groups: &mut Sum,
        group: &GroupId,
        sum: Sum,
    ) -> Result<(), Fault> {
        let Some(number) = group_number(&self.db, group)? else { return Ok(()) };
        write_group_sum(&self.db, &mut Summed::new(sealer, groups), group, number, Some(sum))
    }

    fn reseal_app(&self, sealer: &Sealer, sum: &mut Sum) -> Result<(), Fault> {
        let namespaces: Vec<String> = self
            .db
            .prepare("SELECT DISTINCT namespace FROM app")?
            .query_map([], |r| r.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let mut update =
            self.db.prepare("UPDATE app SET value = ? WHERE namespace = ? AND key = ?")?;
        for namespace in &namespaces {
            let mut from = Vec::new();
            loop {
                let page = self.scan_values(namespace, &from, PAGE)?;
                for (key, value) in &page {
                    let sealed = sealer.seal(Place::App { namespace, key }, value.expose(), sum)?;
                    update.execute(params![sealed, namespace, key])?;
                }

                // The next key that there can be.
                let Some((last, _)) = page.last() else { break };
                from = [last.as_slice(), &[0]].concat();
            }
        }
        Ok(())
    }
}
