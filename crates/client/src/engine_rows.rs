//! The history's rows in the engine's store, and what of them a program without a messenger can ask for.

use crate::service::os_rng;
use conclave_engine::{AppRows, Engine, EngineError};
use conclave_history::{Cursor, Entry, History, HistoryError, Rows, RowsMut};
use conclave_mls::GroupId;
use conclave_store::{Secret, Store, StoreError, WriteSet};

/// The table of what the messenger's user has chosen.
pub(crate) const TABLE: &str = "chat";
/// The row that is there if what the engine has kept was taken over.
pub(crate) const ADOPTED: &[u8] = b"adopted";

/// The application's rows in the engine's store.
pub(crate) struct EngineRows<'a, S>(pub(crate) &'a Engine<S>);
pub(crate) struct EngineRowsMut<'a, S>(pub(crate) &'a mut Engine<S>);

fn store_error(e: EngineError) -> StoreError {
    match e {
        EngineError::Store(e) => e,
        e => StoreError::failed(e.to_string()),
    }
}

impl<S: Store> Rows for EngineRows<'_, S> {
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Secret>, StoreError> {
        self.0.app_row(table, key).map_err(store_error)
    }

    fn scan(
        &self,
        table: &str,
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Secret)>, StoreError> {
        self.0.app_rows(table, from, limit).map_err(store_error)
    }
}

impl<S: Store> Rows for EngineRowsMut<'_, S> {
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Secret>, StoreError> {
        EngineRows(self.0).get(table, key)
    }

    fn scan(
        &self,
        table: &str,
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Secret)>, StoreError> {
        EngineRows(self.0).scan(table, from, limit)
    }
}

impl<S: Store> RowsMut for EngineRowsMut<'_, S> {
    fn write(&mut self, set: &WriteSet) -> Result<(), StoreError> {
        self.0.write_app_rows(rows_of(set)).map_err(store_error)
    }
}

/// Rows of the history, as rows of the application.
pub(crate) fn rows_of(set: &WriteSet) -> AppRows {
    let mut rows = AppRows::new();
    for write in &set.app {
        match &write.value {
            Some(value) => rows.put_secret(&write.namespace, write.key.clone(), value.clone()),
            None => rows.delete(&write.namespace, write.key.clone()),
        }
    }
    rows
}

/// A message of a group that a messenger on this device has kept, by its number: none if there was no messenger.
///
/// # Errors
/// If the state cannot be read or written.
pub fn message_kept_by_messenger<S: Store>(
    engine: &mut Engine<S>,
    group: &GroupId,
    number: u64,
) -> Result<Option<Entry>, HistoryError> {
    match messengers_history(engine)? {
        Some(history) => history.read(&EngineRows(engine)).entry(group, number),
        None => Ok(None),
    }
}

/// The history that a messenger on this device keeps, if there was one.
fn messengers_history<S: Store>(engine: &mut Engine<S>) -> Result<Option<History>, HistoryError> {
    if engine.app_row(TABLE, ADOPTED).map_err(store_error)?.is_none() {
        return Ok(None);
    }
    History::open(&mut EngineRowsMut(engine), &mut *os_rng()).map(Some)
}

/// The last messages of a group that a messenger on this device has kept: none if there was no messenger. What it keeps is
/// not in [`Engine::history`].
///
/// # Errors
/// If the state cannot be read or written.
pub fn kept_by_messenger<S: Store>(
    engine: &mut Engine<S>,
    group: &GroupId,
    limit: usize,
) -> Result<Vec<Entry>, HistoryError> {
    let Some(history) = messengers_history(engine)? else { return Ok(Vec::new()) };
    let rows = EngineRows(engine);
    let (mut entries, mut before) = (Vec::new(), Some(Cursor::LAST));
    // A page may end early.
    while let Some(cursor) = before
        && entries.len() < limit
    {
        let page = history.read(&rows).before(group, cursor, limit - entries.len())?;
        before = page.earlier;
        entries.splice(0..0, page.entries);
    }
    Ok(entries)
}
