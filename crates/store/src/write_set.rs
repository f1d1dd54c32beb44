use crate::{Batch, GroupId, Secret, StoreError};
use core::fmt;
use std::collections::BTreeMap;

/// The write or deletion of one of the application's keys.
#[derive(Clone, PartialEq, Eq)]
pub struct AppWrite {
    /// The kind of key, as the application names it: `cursor`, say.
    pub namespace: String,
    /// The key. Keys of a namespace are ordered as bytes.
    pub key: Vec<u8>,
    /// The new value. None deletes the key.
    pub value: Option<Secret>,
}

impl fmt::Debug for AppWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "put {} ({} bytes)", self.namespace, value.len()),
            None => write!(f, "delete {}", self.namespace),
        }
    }
}

/// What is written in one atomic step. Of two writes of one key, the later wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteSet {
    /// Changes to groups, in order.
    pub batches: Vec<Batch>,
    /// Changes to the application's keys, in order.
    pub app: Vec<AppWrite>,
}

impl WriteSet {
    /// A set that changes nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the set changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty() && self.app.is_empty()
    }

    /// Adds changes to a group.
    pub fn batch(&mut self, batch: Batch) {
        self.batches.push(batch);
    }

    /// Writes one of the application's keys.
    pub fn put(
        &mut self,
        namespace: impl Into<String>,
        key: impl Into<Vec<u8>>,
        value: impl Into<Vec<u8>>,
    ) {
        self.put_secret(namespace, key, Secret::new(value.into()));
    }

    /// Writes one of the application's keys, with a value that is a secret already.
    pub fn put_secret(
        &mut self,
        namespace: impl Into<String>,
        key: impl Into<Vec<u8>>,
        value: Secret,
    ) {
        let write = AppWrite { namespace: namespace.into(), key: key.into(), value: Some(value) };
        self.app.push(write);
    }

    /// Deletes one of the application's keys.
    pub fn delete(&mut self, namespace: impl Into<String>, key: impl Into<Vec<u8>>) {
        let write = AppWrite { namespace: namespace.into(), key: key.into(), value: None };
        self.app.push(write);
    }

    /// Adds the changes of a later set, to be made after those of this one.
    pub fn merge(&mut self, later: Self) {
        self.batches.extend(later.batches);
        self.app.extend(later.app);
    }

    /// Checks that the groups that batches take for [new](Batch::new) are: neither stored, nor written by
    /// an earlier batch of this set. A [`Store`](crate::Store) calls this before it writes.
    ///
    /// # Errors
    /// [`StoreError::GroupExists`], and those of `is_stored`.
    pub fn check_new_groups(
        &self,
        is_stored: impl Fn(&GroupId) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let mut seen: BTreeMap<&GroupId, bool> = BTreeMap::new();
        for batch in &self.batches {
            let id = &batch.group_id;
            let exists = match seen.get(id) {
                Some(exists) => *exists,
                None => is_stored(id)?,
            };
            if batch.new && exists {
                return Err(StoreError::GroupExists(id.clone()));
            }

            let writes = batch.rows.values().any(Option::is_some);
            seen.insert(id, writes || exists && !batch.clear);
        }
        Ok(())
    }

    /// The number of bytes that the set writes: the keys of all rows and application keys, and the values
    /// of those that are not deleted. A row's key counts 17 bytes (table, epoch, index).
    #[must_use]
    pub fn bytes(&self) -> usize {
        const ROW_KEY: usize = 1 + 8 + 8;
        let rows = self.batches.iter().map(|b| b.bytes() + ROW_KEY * b.rows.len());
        let app = self
            .app
            .iter()
            .map(|w| w.namespace.len() + w.key.len() + w.value.as_ref().map_or(0, Secret::len));
        rows.sum::<usize>() + app.sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RowKey, Table};

    #[test]
    fn a_set_counts_its_bytes() {
        let mut set = WriteSet::new();
        assert_eq!(set.bytes(), 0);
        let mut batch = Batch::new(b"g".as_slice().into());
        let value = Secret::copy_from(b"12345");
        batch.rows.insert(RowKey { table: Table::Tree, epoch: 3, index: 5 }, Some(value));
        batch.rows.insert(RowKey::new(Table::Tree, 6), None);
        set.batch(batch);
        set.put("ns", "key", "value");
        assert_eq!(set.bytes(), 5 + 17 + 17 + 2 + 3 + 5);
    }
}
