//! Uploads of attachments.

use super::super::{NewUpload, UploadBegun, UploadRecord};
use super::result::Sql;
use conclave_delivery_api::Name;
use rusqlite::{Connection, OptionalExtension, Row, params};

/// Under which name the bytes of all are counted: no user has it.
const ALL: &str = "";

fn record(row: &Row<'_>) -> Sql<UploadRecord> {
    Ok(UploadRecord {
        size: row.get(0)?,
        received: row.get(1)?,
        complete: row.get(2)?,
        expires_at: row.get(3)?,
    })
}

pub(super) fn find(db: &Connection, hash: &[u8; 32], user: &str) -> Sql<Option<UploadRecord>> {
    db.prepare_cached(
        "SELECT size, received, complete, expires_at FROM upload WHERE hash = ? AND user = ?",
    )?
    .query_row(params![hash, user], record)
    .optional()
}

/// The length of an attachment that is there whole.
pub(super) fn attachment(db: &Connection, hash: &[u8; 32]) -> Sql<Option<u64>> {
    db.prepare_cached("SELECT size FROM upload WHERE hash = ? AND complete LIMIT 1")?
        .query_row([hash], |row| row.get(0))
        .optional()
}

fn counted(db: &Connection, user: &str) -> Sql<u64> {
    db.prepare_cached("SELECT bytes FROM upload_bytes WHERE user = ?")?
        .query_row([user], |row| row.get(0))
        .optional()
        .map(Option::unwrap_or_default)
}

/// Counts bytes of a user's, or takes them back.
fn count(db: &Connection, user: &str, bytes: i64) -> Sql<()> {
    for of in [user, ALL] {
        db.prepare_cached(
            "INSERT INTO upload_bytes (user, bytes) VALUES (?, ?)
             ON CONFLICT (user) DO UPDATE SET bytes = bytes + excluded.bytes",
        )?
        .execute(params![of, bytes])?;
    }
    db.prepare_cached("DELETE FROM upload_bytes WHERE user = ? AND bytes <= 0")?.execute([user])?;
    Ok(())
}

pub(super) fn begin(db: &Connection, new: &NewUpload, quota: u64, total: u64) -> Sql<UploadBegun> {
    let (hash, user) = (&new.hash, new.user.as_str());
    if let Some(mut known) = find(db, hash, user)? {
        if known.complete {
            known.complete = new.is_there;
            known.received = if new.is_there { known.size } else { 0 };
            known.expires_at = match new.is_there {
                true => known.expires_at.max(new.complete_expires_at),
                false => new.expires_at,
            };
            db.prepare_cached(
                "UPDATE upload SET complete = ?, received = ?, expires_at = ? WHERE hash = ? AND user = ?",
            )?
            .execute(params![known.complete, known.received, known.expires_at, hash, user])?;
        }
        return Ok(UploadBegun::There(known));
    }

    // Somebody else may have uploaded it: who knows its hash and length has it.
    let complete = new.is_there && attachment(db, hash)? == Some(new.size);
    if counted(db, user)?.saturating_add(new.size) > quota {
        return Ok(UploadBegun::OverQuota);
    }
    if counted(db, ALL)?.saturating_add(new.size) > total {
        return Ok(UploadBegun::Full);
    }
    let begun = UploadRecord {
        size: new.size,
        received: if complete { new.size } else { 0 },
        complete,
        expires_at: if complete { new.complete_expires_at } else { new.expires_at },
    };
    db.prepare_cached(
        "INSERT INTO upload (hash, user, size, received, complete, expires_at)
         VALUES (?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![hash, user, begun.size, begun.received, complete, begun.expires_at])?;
    count(db, user, new.size.cast_signed())?;
    Ok(UploadBegun::There(begun))
}

pub(super) fn advance(db: &Connection, hash: &[u8; 32], user: &str, received: u64) -> Sql<()> {
    db.prepare_cached(
        "UPDATE upload SET received = max(received, ?) WHERE hash = ? AND user = ? AND NOT complete",
    )?
    .execute(params![received, hash, user])?;
    Ok(())
}

pub(super) fn complete(db: &Connection, hash: &[u8; 32], user: &str, expires_at: u64) -> Sql<bool> {
    let changed = db
        .prepare_cached(
            "UPDATE upload SET complete = 1, received = size, expires_at = ? WHERE hash = ? AND user = ?",
        )?
        .execute(params![expires_at, hash, user])?;
    Ok(changed > 0)
}

pub(super) fn remove(db: &Connection, hash: &[u8; 32], user: &str) -> Sql<bool> {
    let size: Option<i64> = db
        .prepare_cached("DELETE FROM upload WHERE hash = ? AND user = ? RETURNING size")?
        .query_row(params![hash, user], |row| row.get(0))
        .optional()?;
    if let Some(size) = size {
        count(db, user, -size)?;
    }
    Ok(size.is_some())
}

pub(super) fn expired(db: &Connection, now: u64, limit: u32) -> Sql<Vec<([u8; 32], Name)>> {
    db.prepare_cached(
        "SELECT hash, user FROM upload WHERE expires_at <= ? ORDER BY expires_at LIMIT ?",
    )?
    .query_map(params![now, limit], |row| Ok((row.get(0)?, super::read::name(row, 1)?)))?
    .collect()
}
