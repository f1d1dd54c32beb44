//! The records as `akd` sees them during one operation.

use super::error::DirectoryError;
use super::records::{Records, RecordsError};
use super::rows::{self, Current, Row};
use akd::errors::StorageError;
use akd::storage::types::{DbRecord, KeyData, ValueState, ValueStateRetrievalFlag};
use akd::storage::{Database, DbSetState, Storable};
use akd::tree_node::{TreeNode, TreeNodeWithPreviousValue};
use akd::{AkdLabel, AkdValue, Azks, NodeLabel};
use async_trait::async_trait;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What one operation has read, and what it would write.
///
/// Nothing that `akd` writes goes to the records: the directory takes it from here, adds the signed root, and
/// writes all of it at once.
pub(super) struct Snapshot<R> {
    records: Arc<R>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The tree as a whole; none before there is one.
    tree: Option<(u64, u64)>,
    read: HashMap<Vec<u8>, Option<Vec<u8>>>,
    written: HashMap<Vec<u8>, Vec<u8>>,
    /// An error of the records, which `akd` would pass on as a text.
    failed: Option<RecordsError>,
}

/// A snapshot that an operation and `akd` share.
pub(super) struct Shared<R>(Arc<Snapshot<R>>);

impl<R> Clone for Shared<R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<R: Records> Shared<R> {
    /// A snapshot of the directory as it is now.
    pub(super) fn new(records: &Arc<R>, current: Option<&Current>) -> Self {
        let tree = current.map(|current| (current.root.epoch, current.nodes));
        let state = Mutex::new(State { tree, ..State::default() });
        Self(Arc::new(Snapshot { records: Arc::clone(records), state }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value of a key, as this operation would leave it.
    pub(super) fn row(&self, key: &[u8]) -> Result<Option<Vec<u8>>, RecordsError> {
        let mut state = self.state();
        if let Some(value) = state.written.get(key) {
            return Ok(Some(value.clone()));
        }
        if let Some(value) = state.read.get(key) {
            return Ok(value.clone());
        }

        match self.0.records.get(key) {
            Ok(value) => {
                state.read.insert(key.to_vec(), value.clone());
                Ok(value)
            }
            Err(error) => {
                state.failed = Some(error.clone());
                Err(error)
            }
        }
    }

    /// Reads many rows at once, so that [`Self::row`] finds them.
    pub(super) fn prefetch(&self, keys: &[Vec<u8>]) -> Result<(), RecordsError> {
        let values = self.0.records.get_many(keys)?;
        self.state().read.extend(keys.iter().cloned().zip(values));
        Ok(())
    }

    /// A node of the tree. Each that is asked for is there, or records were lost.
    pub(super) fn node(&self, label: &NodeLabel) -> Result<TreeNode, DirectoryError> {
        let bytes = self.row(&rows::node_key(label))?;
        let bytes = bytes.ok_or(DirectoryError::Damaged("a node of the tree is missing"))?;
        rows::decode_node(*label, &bytes).map_err(|_| DirectoryError::Damaged("a node of the tree"))
    }

    /// The error of the records that an operation met, if it met one.
    pub(super) fn failure(&self) -> Option<RecordsError> {
        self.state().failed.clone()
    }

    /// The tree's epoch and number of nodes, and all rows that were written.
    pub(super) fn written(&self) -> (Option<(u64, u64)>, Vec<Row>) {
        let mut state = self.state();
        (state.tree, core::mem::take(&mut state.written).into_iter().collect())
    }

    /// A version of a name's entry, or its newest one.
    fn value(&self, user: &[u8], version: Option<u64>) -> Result<Option<ValueState>, StorageError> {
        let key = version
            .map_or_else(|| rows::newest_key(user), |version| rows::entry_key(user, version));
        let Some(bytes) = self.row(&key).map_err(other)? else { return Ok(None) };
        let (entry, leaf) = rows::decode_entry(&bytes).map_err(other)?;
        Ok(Some(rows::value_state(user, &entry, leaf)))
    }
}

fn other(error: impl ToString) -> StorageError {
    StorageError::Other(error.to_string())
}

fn none() -> StorageError {
    StorageError::NotFound(String::new())
}

#[async_trait]
impl<R: Records> Database for Shared<R> {
    async fn set(&self, record: DbRecord) -> Result<(), StorageError> {
        self.batch_set(vec![record], DbSetState::General).await
    }

    async fn batch_set(
        &self,
        records: Vec<DbRecord>,
        _state: DbSetState,
    ) -> Result<(), StorageError> {
        for record in &records {
            let rows = rows::of_record(record).map_err(|_| other("a record cannot be encoded"))?;
            let mut state = self.state();
            if let DbRecord::Azks(Azks { latest_epoch, num_nodes }) = record {
                state.tree = Some((*latest_epoch, *num_nodes));
            }
            state.written.extend(rows);
        }
        Ok(())
    }

    async fn get<St: Storable>(&self, id: &St::StorageKey) -> Result<DbRecord, StorageError> {
        let key = St::get_full_binary_key_id(id);
        match St::data_type() {
            akd::storage::types::StorageType::Azks => {
                let (epoch, nodes) = self.state().tree.ok_or_else(none)?;
                Ok(rows::tree_record(epoch, nodes))
            }
            akd::storage::types::StorageType::TreeNode => {
                // Not `NotFound`, which `akd` takes for a child that is not there.
                let label = TreeNodeWithPreviousValue::key_from_full_binary(&key).map_err(other)?;
                self.node(&label.0).map(rows::node_record).map_err(other)
            }
            akd::storage::types::StorageType::ValueState => {
                let key = ValueState::key_from_full_binary(&key).map_err(other)?;
                let flag = ValueStateRetrievalFlag::SpecificEpoch(key.1);
                self.get_user_state(&AkdLabel(key.0), flag).await.map(DbRecord::ValueState)
            }
        }
    }

    async fn batch_get<St: Storable>(
        &self,
        ids: &[St::StorageKey],
    ) -> Result<Vec<DbRecord>, StorageError> {
        let mut records = Vec::with_capacity(ids.len());
        for id in ids {
            match self.get::<St>(id).await {
                Ok(record) => records.push(record),
                Err(StorageError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(records)
    }

    async fn get_user_data(&self, username: &AkdLabel) -> Result<KeyData, StorageError> {
        let newest = self.value(username, None)?.ok_or_else(none)?;
        let keys: Vec<_> = (1..newest.version).map(|v| rows::entry_key(username, v)).collect();
        self.prefetch(&keys).map_err(other)?;

        let mut states = Vec::new();
        for version in 1..newest.version {
            let state = self.value(username, Some(version))?;
            states.push(state.ok_or_else(|| other("a version is missing"))?);
        }
        states.push(newest);
        Ok(KeyData { states })
    }

    async fn get_user_state(
        &self,
        username: &AkdLabel,
        flag: ValueStateRetrievalFlag,
    ) -> Result<ValueState, StorageError> {
        let newest = self.value(username, None)?.ok_or_else(none)?;
        let wanted = |state: &ValueState| match flag {
            ValueStateRetrievalFlag::SpecificVersion(version) => state.version == version,
            ValueStateRetrievalFlag::SpecificEpoch(epoch) => state.epoch == epoch,
            ValueStateRetrievalFlag::LeqEpoch(epoch) => state.epoch <= epoch,
            ValueStateRetrievalFlag::MaxEpoch => true,
            ValueStateRetrievalFlag::MinEpoch => state.version == 1,
        };

        let mut state = newest;
        while !wanted(&state) {
            let before = state.version.checked_sub(1).filter(|version| *version > 0);
            let version = before.ok_or_else(none)?;
            state = self.value(username, Some(version))?.ok_or_else(none)?;
        }
        Ok(state)
    }

    async fn get_user_state_versions(
        &self,
        usernames: &[AkdLabel],
        flag: ValueStateRetrievalFlag,
    ) -> Result<HashMap<AkdLabel, (u64, AkdValue)>, StorageError> {
        let mut versions = HashMap::with_capacity(usernames.len());
        for username in usernames {
            match self.get_user_state(username, flag).await {
                Ok(state) => {
                    versions.insert(username.clone(), (state.version, state.value));
                }
                Err(StorageError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(versions)
    }
}
