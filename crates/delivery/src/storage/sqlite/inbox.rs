//! Deleting what waits in inboxes.

use super::result::Sql;
use rusqlite::{Connection, OptionalExtension, params};

/// Deletes items of a device's inbox, and what no other inbox holds of theirs.
pub(super) fn remove(db: &Connection, device: i64, ids: &[i64]) -> Sql<()> {
    for id in ids {
        let gone = db
            .prepare_cached(
                "DELETE FROM inbox WHERE id = ? AND device = ? RETURNING welcome, tree",
            )?
            .query_row([*id, device], |r| {
                Ok([r.get::<_, Option<i64>>(0)?, r.get::<_, Option<i64>>(1)?])
            })
            .optional()?;
        for blob in gone.into_iter().flatten().flatten() {
            db.prepare_cached(
                "DELETE FROM blob WHERE id = ?1 AND NOT EXISTS
                 (SELECT 1 FROM inbox WHERE welcome = ?1 OR tree = ?1)",
            )?
            .execute([blob])?;
        }
    }
    Ok(())
}

/// Deletes items that came before a time, the oldest first: `limit` at most. How many there were.
pub(super) fn drop_before(db: &Connection, before: u64, limit: u32) -> Sql<usize> {
    let old: Vec<(i64, i64)> = db
        .prepare_cached(
            "SELECT device, id FROM inbox WHERE received_at < ? ORDER BY received_at LIMIT ?",
        )?
        .query_map(params![before, limit], |r| Ok((r.get(0)?, r.get(1)?)))?
        .collect::<Sql<_>>()?;
    for (device, id) in &old {
        remove(db, *device, &[*id])?;
    }
    Ok(old.len())
}

/// Empties a device's inbox.
pub(super) fn clear(db: &Connection, device: i64) -> Sql<()> {
    let ids: Vec<i64> = db
        .prepare_cached("SELECT id FROM inbox WHERE device = ?")?
        .query_map([device], |r| r.get(0))?
        .collect::<Sql<_>>()?;
    remove(db, device, &ids)
}
