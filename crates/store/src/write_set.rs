use crate::{Batch, GroupId, Secret};
use core::fmt;
use std::collections::BTreeMap;

/// A key of the application's that is written or deleted.
#[derive(Clone, PartialEq, Eq)]
pub struct AppWrite {
    /// What kind of key it is, as the application chooses: `cursor`, say.
    pub namespace: String,
    /// The key. Keys of a namespace are ordered as bytes.
    pub key: Vec<u8>,
    /// The new value; none deletes the key.
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

/// What is written in one atomic step. A later write of a key wins over an earlier one.
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

    /// Writes a key of the application's.
    pub fn put(
        &mut self,
        namespace: impl Into<String>,
        key: impl Into<Vec<u8>>,
        value: impl Into<Vec<u8>>,
    ) {
        self.put_secret(namespace, key, Secret::new(value.into()));
    }

    /// Writes a key of the application's whose value is a secret already.
    pub fn put_secret(
        &mut self,
        namespace: impl Into<String>,
        key: impl Into<Vec<u8>>,
        value: Secret,
    ) {
        let (namespace, key) = (namespace.into(), key.into());
        self.app.push(AppWrite { namespace, key, value: Some(value) });
    }

    /// Deletes a key of the application's.
    pub fn delete(&mut self, namespace: impl Into<String>, key: impl Into<Vec<u8>>) {
        self.app.push(AppWrite { namespace: namespace.into(), key: key.into(), value: None });
    }

    /// Adds what `later` changes, to be changed after what this set changes.
    pub fn merge(&mut self, later: Self) {
        self.batches.extend(later.batches);
        self.app.extend(later.app);
    }

    /// The first group that a batch takes for [new](Batch::new), although it is stored already or an
    /// earlier batch of this set stores it.
    pub(crate) fn known_group<E>(
        &self,
        is_stored: impl Fn(&GroupId) -> Result<bool, E>,
    ) -> Result<Option<&GroupId>, E> {
        let mut seen: BTreeMap<&GroupId, bool> = BTreeMap::new();
        for batch in &self.batches {
            let id = &batch.group_id;
            let known = match seen.get(id) {
                Some(known) => *known,
                None => is_stored(id)?,
            };
            if batch.new && known {
                return Ok(Some(id));
            }
            let writes = batch.rows.values().any(Option::is_some);
            seen.insert(id, writes || known && !batch.clear);
        }
        Ok(None)
    }

    /// The bytes that the set writes: keys and values of all rows and application keys,
    /// deletions being keys alone. A row's key counts 17 bytes (table, epoch, index).
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
