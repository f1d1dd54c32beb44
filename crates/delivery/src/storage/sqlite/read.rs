//! Reading: numbers, columns and pages.

use super::super::{Found, GroupRecord};
use super::result::Sql;
use crate::storage::DeviceInfo;
use conclave_delivery_api::{
    Bytes, ChainHash, ContentType, DeviceId, GroupId, InboxItem, LogEntry, LogPosition, Name,
    WelcomeItem,
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
        "SELECT id, tracked, handshake, head, epoch, chain, successor FROM mls_group
         WHERE group_id = ?",
    )?
    .query_row([id.as_ref()], |r| Ok((r.get(0)?, group_record(r)?)))
    .optional()
}

/// The group of a row whose first columns are those of [`find_group`].
fn group_record(row: &Row<'_>) -> Sql<GroupRecord> {
    let LogPosition { seq: head, epoch, chain } = position(row, 3)?;
    let (tracked, handshake) = (row.get(1)?, row.get(2)?);
    let ending = optional_bytes(row, 6)?.map(|successor| GroupId::from(successor).into());
    Ok(GroupRecord { tracked, epoch, head, chain, handshake, ending })
}

/// A group and a device, each by its number, and whether the one is a member of the other.
pub(super) struct FoundSender {
    pub(super) group: i64,
    pub(super) record: GroupRecord,
    pub(super) sender: i64,
    pub(super) is_member: bool,
    /// The epoch in which it came in last; 0 if that was not noted.
    pub(super) member_since: u64,
    /// The number of the mark that the sender's state has; 0 if it has none.
    pub(super) state_mark: u64,
}

pub(super) const SENDER: &str =
    "SELECT mls_group.id, tracked, handshake, head, epoch, chain, successor, device.id,
        member.device NOT NULL AND removed_seq IS NULL, ifnull(number, 0), since
     FROM mls_group JOIN device ON user = ? AND name = ?
     LEFT JOIN member ON member.grp = mls_group.id AND member.device = device.id
     LEFT JOIN state_mark ON state_mark.device = device.id
     WHERE group_id = ?";

/// All that is asked before an entry is appended, in one search.
pub(super) fn find_sender(
    db: &Connection,
    id: &GroupId,
    sender: &DeviceId,
) -> Sql<Option<FoundSender>> {
    db.prepare_cached(SENDER)?
        .query_row(params![sender.user.as_str(), sender.device.as_str(), id.as_ref()], |r| {
            let (group, record) = (r.get(0)?, group_record(r)?);
            let (sender, is_member, state_mark) = (r.get(7)?, r.get(8)?, r.get(9)?);
            let member_since = r.get::<_, Option<i64>>(10)?.map_or(0, unordered);
            Ok(FoundSender { group, record, sender, is_member, member_since, state_mark })
        })
        .optional()
}

pub(super) fn find_entry(db: &Connection, id: &GroupId, hash: &[u8; 32]) -> Sql<Option<Found>> {
    db.prepare_cached(&format!(
        "SELECT {POSITION}, user, name, received_at FROM log
         JOIN mls_group ON mls_group.id = grp JOIN device ON device.id = sender
         WHERE group_id = ? AND hash = ?"
    ))?
    .query_row(params![id.as_ref(), hash], |r| {
        let (position, sender, received_at) = (position(r, 0)?, device_id(r, 3)?, r.get(5)?);
        Ok(Found { position, sender, received_at })
    })
    .optional()
}

/// The columns of an entry's place, for [`position`]. The group was in the epoch that the next commit ended, which
/// comes few epochs after the one that a late message was made in.
const POSITION: &str = "log.seq,
    ifnull((SELECT next.epoch FROM log AS next
        WHERE next.content_type = 3 AND next.grp = log.grp AND next.epoch >= log.epoch AND next.seq > log.seq
        ORDER BY next.epoch LIMIT 1), mls_group.epoch),
    log.chain";

/// The place whose number, epoch and hash are the columns from `at` on.
pub(super) fn position(row: &Row<'_>, at: usize) -> Sql<LogPosition> {
    let (epoch, chain) = (unordered(row.get(at + 1)?), ChainHash(row.get(at + 2)?));
    Ok(LogPosition { seq: row.get(at)?, epoch, chain })
}

pub(super) fn find_position(db: &Connection, id: &GroupId, seq: u64) -> Sql<Option<LogPosition>> {
    if seq > 0 {
        let seq = i64::try_from(seq).unwrap_or(i64::MAX);
        return db
            .prepare_cached(&format!(
                "SELECT {POSITION} FROM log JOIN mls_group ON mls_group.id = grp
                 WHERE group_id = ? AND seq = ?"
            ))?
            .query_row(params![id.as_ref(), seq], |r| position(r, 0))
            .optional();
    }
    db.prepare_cached(
        "SELECT ifnull((SELECT log.epoch FROM log WHERE content_type = 3 AND grp = mls_group.id
            ORDER BY log.epoch LIMIT 1), epoch)
         FROM mls_group WHERE group_id = ?",
    )?
    .query_row([id.as_ref()], |r| Ok(LogPosition::beginning(unordered(r.get(0)?))))
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

pub(super) fn content_type(row: &Row<'_>, column: usize) -> Sql<ContentType> {
    match row.get(column)? {
        1u8 => Ok(ContentType::Application),
        2 => Ok(ContentType::Proposal),
        3 => Ok(ContentType::Commit),
        _ => Err(damaged(column, "no content type")),
    }
}

pub(super) fn log_entry(row: &Row<'_>) -> Sql<(LogEntry, usize)> {
    let message = bytes(row, 6)?;
    let size = message.len();
    let entry = LogEntry {
        seq: row.get(0)?,
        epoch: unordered(row.get(1)?),
        content_type: content_type(row, 2)?,
        sender: device_id(row, 3)?,
        received_at: row.get(5)?,
        message,
    };
    Ok((entry, size))
}

pub(super) fn inbox_item(row: &Row<'_>) -> Sql<(InboxItem, usize)> {
    let (welcome, ratchet_tree) = (bytes(row, 7)?, optional_bytes(row, 8)?);
    let size = welcome.len() + ratchet_tree.as_ref().map_or(0, |t| t.len());
    let welcome = WelcomeItem {
        group_id: bytes(row, 1)?.into(),
        position: position(row, 2)?,
        sender: device_id(row, 5)?,
        welcome,
        ratchet_tree,
    };
    Ok((InboxItem { id: row.get(0)?, welcome }, size))
}
