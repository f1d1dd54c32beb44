//! Certified devices.

use super::super::{CertificateRecord, Certified};
use super::accounts::{revoke, set_device};
use super::read::{bytes, device_info, find_device, known_device};
use super::result::Sql;
use conclave_delivery_api::{DeviceId, Name};
use rusqlite::{Connection, OptionalExtension, Row, params};

const COLUMNS: &str =
    "user, name, scheme, signature_key, active, chain, not_before, not_after, device.id";

fn record(row: &Row<'_>) -> Sql<CertificateRecord> {
    Ok(CertificateRecord {
        info: device_info(row)?,
        chain: bytes(row, 5)?,
        not_before: row.get(6)?,
        not_after: row.get(7)?,
    })
}

fn find(db: &Connection, device: &DeviceId) -> Sql<Option<CertificateRecord>> {
    db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM device JOIN certificate ON certificate.device = device.id
         WHERE user = ? AND name = ? AND active"
    ))?
    .query_row([device.user.as_str(), device.device.as_str()], record)
    .optional()
}

pub(super) fn of_user(db: &Connection, user: &Name) -> Sql<Vec<CertificateRecord>> {
    db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM device JOIN certificate ON certificate.device = device.id
         WHERE user = ? AND active ORDER BY device.id"
    ))?
    .query_map([user.as_str()], record)?
    .collect()
}

pub(super) fn page(db: &Connection, after: i64, limit: u32) -> Sql<Vec<(i64, CertificateRecord)>> {
    db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM device JOIN certificate ON certificate.device = device.id
         WHERE device.id > ? AND active ORDER BY device.id LIMIT ?"
    ))?
    .query_map(params![after, limit], |row| Ok((row.get(8)?, record(row)?)))?
    .collect()
}

/// How certificates of one device are ordered: the later one counts.
fn order(record: &CertificateRecord) -> (u64, u64, &[u8]) {
    (record.not_before, record.not_after, &record.chain)
}

pub(super) fn certify(db: &Connection, new: &CertificateRecord, cap: usize) -> Sql<Certified> {
    let device = &new.info.device;
    match find(db, device)? {
        Some(old) if old == *new => return Ok(Certified::Known),
        Some(old) if order(&old) > order(new) => return Ok(Certified::Superseded(old)),
        Some(_) => {}
        None => {
            let active: usize = db
                .prepare_cached("SELECT count(*) FROM device WHERE user = ? AND active")?
                .query_row([device.user.as_str()], |row| row.get(0))?;
            if active >= cap {
                return Ok(Certified::TooMany);
            }
        }
    }

    set_device(db, &new.info)?;
    db.prepare_cached(
        "INSERT INTO certificate (device, chain, not_before, not_after) VALUES (?, ?, ?, ?)
         ON CONFLICT (device) DO UPDATE
         SET chain = excluded.chain, not_before = excluded.not_before, not_after = excluded.not_after",
    )?
    .execute(params![known_device(db, device)?, &*new.chain, new.not_before, new.not_after])?;
    Ok(Certified::Stored)
}

pub(super) fn end(db: &Connection, record: &CertificateRecord) -> Sql<bool> {
    let device = &record.info.device;
    if find(db, device)?.as_ref() != Some(record) {
        return Ok(false);
    }
    revoke(db, device)?;
    if let Some(mut info) = find_device(db, device)? {
        info.active = false;
        set_device(db, &info)?;
    }
    Ok(true)
}
