use super::records::{Batch, Put, Records, RecordsError};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Records in memory. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryRecords(Arc<RwLock<HashMap<Vec<u8>, Vec<u8>>>>);

impl MemoryRecords {
    /// No records.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy that goes its own way.
    #[must_use]
    pub fn fork(&self) -> Self {
        let rows = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        Self(Arc::new(RwLock::new(rows)))
    }

    /// How many records there are, and the bytes of their keys and values.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        let rows = self.0.read().unwrap_or_else(PoisonError::into_inner);
        (rows.len(), rows.iter().map(|(key, value)| key.len() + value.len()).sum())
    }

    /// All keys.
    #[cfg(test)]
    pub(crate) fn keys(&self) -> Vec<Vec<u8>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// Replaces all records by those of a backup.
    #[cfg(test)]
    pub(crate) fn restore(&self, backup: &Self) {
        let rows = backup.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = rows;
    }

    /// Loses a record.
    #[cfg(test)]
    pub(crate) fn remove(&self, key: &[u8]) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

impl Records for MemoryRecords {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, RecordsError> {
        Ok(self.0.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned())
    }

    fn put(&self, batch: Batch) -> Result<Put, RecordsError> {
        let mut rows = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let (key, value) = batch.guard;
        if rows.get(&key) != value.as_ref() {
            return Ok(Put::Guarded);
        }
        rows.extend(batch.rows);
        Ok(Put::Written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_does_what_records_do() {
        super::super::conformance(MemoryRecords::new);
    }
}
