//! The rows of a store, with changes that are not written yet.

use crate::error::HistoryError;
use crate::store::Rows;
use conclave_store::{Secret, WriteSet};
use core::fmt;
use std::collections::BTreeMap;

type Changes = BTreeMap<Vec<u8>, Option<Secret>>;

/// The rows of a store as they will be.
pub(crate) struct View<'a> {
    store: &'a dyn Rows,
    changes: BTreeMap<&'static str, Changes>,
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count: usize = self.changes.values().map(BTreeMap::len).sum();
        write!(f, "View({count} changes)")
    }
}

impl<'a> View<'a> {
    pub(crate) fn new(store: &'a dyn Rows) -> Self {
        Self { store, changes: BTreeMap::new() }
    }

    pub(crate) fn get(
        &self,
        namespace: &'static str,
        key: &[u8],
    ) -> Result<Option<Secret>, HistoryError> {
        match self.changes.get(namespace).and_then(|changes| changes.get(key)) {
            Some(changed) => Ok(changed.clone()),
            None => Ok(self.store.get(namespace, key)?),
        }
    }

    /// The first `limit` rows from a key on whose keys begin with a prefix, ascending.
    pub(crate) fn scan(
        &self,
        namespace: &'static str,
        prefix: &[u8],
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Secret)>, HistoryError> {
        let changed = self.changes.get(namespace).into_iter();
        let mut changed = changed
            .flat_map(|changes| changes.range(from.to_vec()..))
            .take_while(|(key, _)| key.starts_with(prefix))
            .peekable();
        let mut found = Vec::new();
        let mut from = from.to_vec();

        'pages: loop {
            let wanted = limit.saturating_sub(found.len());
            let page = self.store.scan(namespace, &from, wanted)?;
            let is_last = page.len() < wanted;
            for (key, value) in page {
                if !key.starts_with(prefix) {
                    break 'pages;
                }
                while let Some((changed, value)) = changed.next_if(|(changed, _)| **changed < key) {
                    found.extend(value.clone().map(|value| (changed.clone(), value)));
                }
                from = [key.as_slice(), &[0]].concat();
                match changed.next_if(|(changed, _)| **changed == key) {
                    Some((_, value)) => found.extend(value.clone().map(|value| (key, value))),
                    None => found.push((key, value)),
                }
            }
            if is_last || found.len() >= limit {
                break;
            }
        }
        // What comes after the last row of the store, unless that is further on than asked for.
        for (key, value) in changed {
            if found.len() >= limit {
                break;
            }
            found.extend(value.clone().map(|value| (key.clone(), value)));
        }
        found.truncate(limit);
        Ok(found)
    }

    pub(crate) fn put(&mut self, namespace: &'static str, key: Vec<u8>, value: Secret) {
        self.changes.entry(namespace).or_default().insert(key, Some(value));
    }

    pub(crate) fn delete(&mut self, namespace: &'static str, key: Vec<u8>) {
        self.changes.entry(namespace).or_default().insert(key, None);
    }

    /// The changes, to be written in one step.
    pub(crate) fn into_set(self) -> WriteSet {
        let mut set = WriteSet::new();
        for (namespace, changes) in self.changes {
            for (key, value) in changes {
                match value {
                    Some(value) => set.put_secret(namespace, key, value),
                    None => set.delete(namespace, key),
                }
            }
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::RowsMut;
    use conclave_store::MemoryStore;

    #[test]
    fn a_scan_sees_what_is_not_written_yet() {
        let mut store = MemoryStore::new();
        let mut set = WriteSet::new();
        for key in ["a1", "a3", "a5", "b1"] {
            set.put("n", key, key);
        }
        RowsMut::write(&mut store, &set).unwrap();
        let mut view = View::new(&store);
        for key in ["a0", "a4", "a6", "b0"] {
            view.put("n", key.into(), Secret::copy_from(key.as_bytes()));
        }
        view.delete("n", b"a3".to_vec());

        let keys = |from: &str, limit| -> Vec<String> {
            let rows = view.scan("n", b"a", from.as_bytes(), limit).unwrap();
            rows.into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect()
        };
        assert_eq!(keys("a", 10), ["a0", "a1", "a4", "a5", "a6"]);
        assert_eq!(keys("a", 2), ["a0", "a1"]);
        assert_eq!(keys("a2", 2), ["a4", "a5"]);
        assert_eq!(keys("a2", 1), ["a4"]);
        assert_eq!(keys("a6", 9), ["a6"]);
        assert_eq!(view.get("n", b"a3").unwrap(), None);
        assert!(view.get("n", b"a4").unwrap().is_some());
    }
}
