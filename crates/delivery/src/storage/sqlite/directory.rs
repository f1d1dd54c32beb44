//! The directory's records: keys and values.

use super::super::DirectoryBatch;
use super::result::Sql;
use conclave_directory::server::Put;
use rusqlite::{Connection, OptionalExtension, params};

fn find(db: &Connection, key: &[u8]) -> Sql<Option<Vec<u8>>> {
    db.prepare_cached("SELECT value FROM directory WHERE key = ?")?
        .query_row([key], |r| r.get(0))
        .optional()
}

pub(super) fn rows(db: &Connection, keys: &[Vec<u8>]) -> Sql<Vec<Option<Vec<u8>>>> {
    keys.iter().map(|key| find(db, key)).collect()
}

/// Writes a batch, if its guard has its value.
pub(super) fn put(db: &Connection, batch: &DirectoryBatch) -> Sql<Put> {
    let (guard, value) = &batch.guard;
    if find(db, guard)? != *value {
        return Ok(Put::Guarded);
    }
    let mut insert = db.prepare_cached(
        "INSERT INTO directory (key, value) VALUES (?, ?)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    )?;
    for (key, value) in &batch.rows {
        insert.execute(params![key, value])?;
    }
    Ok(Put::Written)
}
