//! Reading: numbers, columns and pages.

use super::super::{Found, GroupRecord};
use super::result::Sql;
use crate::storage::DeviceInfo;
use conclave_delivery_api::{
    Bytes, ContentType, DeviceId, GroupId, InboxItem, LogEntry, Name, WelcomeItem,
};
use conclave_mls::crypto::SignatureScheme;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};

/// A `u64` as SQLite's signed integer, in the same order.
pub(super) fn ordered(n: u64) -> i64 {
    (n ^ 1 << 63).cast_signed()
}

pub(super) fn unordered(n: i64) -> u64 {
    n.cast_unsigned() ^ 1 << 63
}

pub(super) fn damaged(column: usize, what: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, what.into())
}

/// The device whose user and name are the columns from `at` on.
pub(super) fn device_id(row: &Row<'_>, at: usize) -> Sql<DeviceId> {
    Ok(DeviceId::new(name(row, at)?, name(row, at + 1)?))
}

pub(super) fn name(row: &Row<'_>, column: usize) -> Sql<Name> {
    let text: String = row.get(column)?;
    text.parse().map_err(|_| damaged(column, "no name"))
}

pub(super) fn bytes(row: &Row<'_>, column: usize) -> Sql<Bytes> {
    Ok(row.get_ref(column)?.as_blob()?.into())
}

pub(super) fn optional_bytes(row: &Row<'_>, column: usize) -> Sql<Option<Bytes>> {
    Ok(row.get_ref(column)?.as_blob_or_null()?.map(Into::into))
}

pub(super) const DEVICE_COLUMNS: &str = "user, name, scheme, signature_key, active";

pub(super) fn device_info(row: &Row<'_>) -> Sql<DeviceInfo> {
    let scheme = SignatureScheme::from_code_point(row.get(2)?);
    Ok(DeviceInfo {
        device: device_id(row, 0)?,
        scheme: scheme.ok_or_else(|| damaged(2, "unknown signature scheme"))?,
        signature_key: bytes(row, 3)?.into(),
        active: row.get(4)?,
    })
}

pub(super) fn find_device(db: &Connection, id: &DeviceId) -> Sql<Option<DeviceInfo>> {
    db.prepare_cached(&format!("SELECT {DEVICE_COLUMNS} FROM device WHERE user = ? AND name = ?"))?
        .query_row([id.user.as_str(), id.device.as_str()], device_info)
        .optional()
}

pub(super) fn device_number(db: &Connection, id: &DeviceId) -> Sql<Option<i64>> {
    db.prepare_cached("SELECT id FROM device WHERE user = ? AND name = ?")?
        .query_row([id.user.as_str(), id.device.as_str()], |r| r.get(0))
        .optional()
}

/// The number of a device that was registered.
pub(super) fn known_device(db: &Connection, id: &DeviceId) -> Sql<i64> {
    device_number(db, id)?.ok_or(rusqlite::Error::QueryReturnedNoRows)
}

/// The number of a device that was registered; none if it was revoked.
pub(super) fn active_device(db: &Connection, id: &DeviceId) -> Sql<Option<i64>> {
    let (number, active) = db
        .prepare_cached("SELECT id, active FROM device WHERE user = ? AND name = ?")?
        .query_row([id.user.as_str(), id.device.as_str()], |r| Ok((r.get(0)?, r.get(1)?)))?;
    Ok(Some(number).filter(|_| active))
}

pub(super) fn group_number(db: &Connection, id: &GroupId) -> Sql<Option<i64>> {
    db.prepare_cached("SELECT id FROM mls_group WHERE group_id = ?")?
        .query_row([id.as_ref()], |r| r.get(0))
        .optional()
}

pub(super) fn find_group(db: &Connection, id: &GroupId) -> Sql<Option<(i64, GroupRecord)>> {
    db.prepare_cached(
        "SELECT id, tracked, epoch, head, handshake FROM mls_group WHERE group_id = ?",
    )?
    .query_row([id.as_ref()], |r| {
        let epoch = unordered(r.get(2)?);
        let (tracked, head, handshake) = (r.get(1)?, r.get(3)?, r.get(4)?);
        Ok((r.get(0)?, GroupRecord { tracked, epoch, head, handshake }))
    })
    .optional()
}

pub(super) fn find_entry(db: &Connection, id: &GroupId, hash: &[u8; 32]) -> Sql<Option<Found>> {
    db.prepare_cached(
        "SELECT seq, log.epoch, user, name FROM log
         JOIN mls_group ON mls_group.id = grp JOIN device ON device.id = sender
         WHERE group_id = ? AND hash = ?",
    )?
    .query_row(params![id.as_ref(), hash], |r| {
        let (seq, epoch) = (r.get(0)?, unordered(r.get(1)?));
        Ok(Found { seq, epoch, sender: device_id(r, 2)? })
    })
    .optional()
}

/// Collects rows until they hold enough bytes.
pub(super) fn page<T>(
    rows: &mut rusqlite::Rows<'_>,
    most: usize,
    mut item: impl FnMut(&Row<'_>) -> Sql<(T, usize)>,
) -> Sql<Vec<T>> {
    let (mut items, mut held) = (Vec::new(), 0usize);
    while held < most
        && let Some(row) = rows.next()?
    {
        let (value, size) = item(row)?;
        items.push(value);
        held = held.saturating_add(size);
    }
    Ok(items)
}

pub(super) fn log_entry(row: &Row<'_>) -> Sql<(LogEntry, usize)> {
    let content_type = match row.get(2)? {
        1u8 => ContentType::Application,
        2 => ContentType::Proposal,
        3 => ContentType::Commit,
        _ => return Err(damaged(2, "no content type")),
    };
    let message = bytes(row, 6)?;
    let size = message.len();
    let entry = LogEntry {
        seq: row.get(0)?,
        epoch: unordered(row.get(1)?),
        content_type,
        sender: device_id(row, 3)?,
        received_at: row.get(5)?,
        message,
    };
    Ok((entry, size))
}

pub(super) fn inbox_item(row: &Row<'_>) -> Sql<(InboxItem, usize)> {
    let (welcome, ratchet_tree) = (bytes(row, 6)?, optional_bytes(row, 7)?);
    let size = welcome.len() + ratchet_tree.as_ref().map_or(0, |t| t.len());
    let welcome = WelcomeItem {
        group_id: bytes(row, 1)?.into(),
        epoch: unordered(row.get(2)?),
        seq: row.get(3)?,
        sender: device_id(row, 4)?,
        welcome,
        ratchet_tree,
    };
    Ok((InboxItem { id: row.get(0)?, welcome }, size))
}
