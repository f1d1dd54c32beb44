use crate::{GroupId, RowKey, Secret, Store, StoreError, WriteSet};
use std::collections::BTreeMap;

/// A store that lives as long as the process.
///
/// A clone is a copy of what it holds at that moment: what a disk would hold if the process died then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryStore {
    groups: BTreeMap<GroupId, BTreeMap<RowKey, Secret>>,
    app: BTreeMap<String, BTreeMap<Vec<u8>, Secret>>,
    writes: u64,
    bytes: u64,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of sets written.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.writes
    }

    /// The number of bytes written, counted as by [`WriteSet::bytes`].
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        self.bytes
    }
}

impl Store for MemoryStore {
    fn load(&self, group: &GroupId) -> Result<Vec<(RowKey, Secret)>, StoreError> {
        let rows = self.groups.get(group).into_iter().flatten();
        Ok(rows.map(|(key, value)| (*key, value.clone())).collect())
    }

    fn write(&mut self, set: &WriteSet) -> Result<(), StoreError> {
        set.check_new_groups(|group| Ok(self.groups.contains_key(group)))?;

        for batch in &set.batches {
            let rows = self.groups.entry(batch.group_id.clone()).or_default();
            batch.apply_to(rows);
            if rows.is_empty() {
                self.groups.remove(&batch.group_id);
            }
        }
        for write in &set.app {
            let keys = self.app.entry(write.namespace.clone()).or_default();
            match &write.value {
                Some(value) => keys.insert(write.key.clone(), value.clone()),
                None => keys.remove(&write.key),
            };
        }
        self.writes += 1;
        self.bytes += set.bytes() as u64;
        Ok(())
    }

    fn groups(&self) -> Result<Vec<GroupId>, StoreError> {
        Ok(self.groups.keys().cloned().collect())
    }

    fn get(&self, namespace: &str, key: &[u8]) -> Result<Option<Secret>, StoreError> {
        Ok(self.app.get(namespace).and_then(|keys| keys.get(key)).cloned())
    }

    fn scan(
        &self,
        namespace: &str,
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Secret)>, StoreError> {
        let Some(keys) = self.app.get(namespace) else { return Ok(Vec::new()) };
        let found = keys.range(from.to_vec()..).take(limit);
        Ok(found.map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}
