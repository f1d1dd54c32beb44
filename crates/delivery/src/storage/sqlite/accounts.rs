//! Account logs, and the devices that they hold.

use super::super::{AccountExtension, AccountRecord, Extended};
use super::inbox;
use super::read::{bytes, damaged, device_number, known_device, name, page};
use super::removals;
use super::result::Sql;
use super::state_marks;
use crate::storage::DeviceInfo;
use conclave_delivery_api::{Bytes, DeviceId, Name};
use rusqlite::{Connection, OptionalExtension, params};

pub(super) fn find_account(db: &Connection, user: &Name) -> Sql<Option<AccountRecord>> {
    db.prepare_cached("SELECT length, state FROM account WHERE user = ?")?
        .query_row([user.as_str()], |r| {
            Ok(AccountRecord { length: r.get(0)?, state: bytes(r, 1)? })
        })
        .optional()
}

/// Accounts with entries that the directory does not have.
pub(super) fn unpublished(db: &Connection, limit: u32) -> Sql<Vec<(Name, AccountRecord)>> {
    db.prepare_cached("SELECT user, length, state FROM account WHERE published < length LIMIT ?")?
        .query_map([limit], |r| {
            let user: String = r.get(0)?;
            let user = user.parse().map_err(|_| damaged(0, "no name"))?;
            Ok((user, AccountRecord { length: r.get(1)?, state: bytes(r, 2)? }))
        })?
        .collect()
}

pub(super) fn mark_published(db: &Connection, published: &[(Name, u64)]) -> Sql<()> {
    let mut update =
        db.prepare_cached("UPDATE account SET published = ?2 WHERE user = ?1 AND published < ?2")?;
    for (user, length) in published {
        update.execute(params![user.as_str(), length])?;
    }
    Ok(())
}

pub(super) fn accounts_around(
    db: &Connection,
    device: &DeviceId,
    limit: u32,
) -> Sql<Vec<(Name, u64)>> {
    // The search in a large group ends when there are enough users.
    let mut statement = db.prepare_cached(
        "SELECT user, length FROM account WHERE user IN (
            SELECT * FROM (
                SELECT DISTINCT device.user FROM member AS mine
                JOIN member AS other ON other.grp = mine.grp
                JOIN device ON device.id = other.device
                WHERE mine.device = ?1 AND mine.removed_seq IS NULL AND other.removed_seq IS NULL
                LIMIT ?3
            )
            UNION ALL SELECT * FROM (
                SELECT DISTINCT user FROM ended_member
                JOIN member AS mine ON mine.grp = ended_member.grp
                WHERE mine.device = ?1 AND mine.removed_seq IS NULL
                LIMIT ?3
            )
            UNION ALL SELECT ?2
         ) ORDER BY user",
    )?;
    let number = known_device(db, device)?;
    statement
        .query_map(params![number, device.user.as_str(), limit], |r| Ok((name(r, 0)?, r.get(1)?)))?
        .collect()
}

pub(super) fn entries(
    db: &Connection,
    user: &Name,
    after: u64,
    limit: u32,
    most: usize,
) -> Sql<Vec<Bytes>> {
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let mut statement = db.prepare_cached(
        "SELECT entry FROM account_entry WHERE user = ? AND sequence >= ? ORDER BY sequence LIMIT ?",
    )?;
    page(&mut statement.query(params![user.as_str(), after, limit])?, most, |row| {
        let entry = bytes(row, 0)?;
        let size = entry.len();
        Ok((entry, size))
    })
}

/// Adds entries with all that they change. The caller undoes it unless it is [`Extended::Stored`].
pub(super) fn extend(db: &Connection, extension: &AccountExtension) -> Sql<Extended> {
    let user = extension.user.as_str();
    let length = find_account(db, &extension.user)?.map_or(0, |account| account.length);
    if length != extension.expected_length {
        return Ok(Extended::Raced);
    }

    if length == 0 {
        let taken: Option<String> = db
            .prepare_cached("SELECT user FROM account WHERE skeleton = ?")?
            .query_row([&extension.skeleton], |r| r.get(0))
            .optional()?;
        if let Some(taken) = taken {
            return Ok(Extended::NameTaken(taken));
        }
        if let Some(invitation) = &extension.invitation {
            let new = db
                .prepare_cached("INSERT INTO invitation (hash) VALUES (?) ON CONFLICT DO NOTHING")?
                .execute([invitation])?;
            if new == 0 {
                return Ok(Extended::InvitationUsed);
            }
        }
    }

    db.prepare_cached(
        "INSERT INTO account (user, skeleton, length, state) VALUES (?, ?, ?, ?)
         ON CONFLICT (user) DO UPDATE SET length = excluded.length, state = excluded.state",
    )?
    .execute(params![
        user,
        extension.skeleton,
        length + extension.entries.len() as u64,
        &*extension.state
    ])?;
    for (sequence, entry) in (length..).zip(&extension.entries) {
        db.prepare_cached("INSERT INTO account_entry (user, sequence, entry) VALUES (?, ?, ?)")?
            .execute(params![user, sequence, &**entry])?;
    }
    extension.revoked.iter().try_for_each(|device| revoke(db, device))?;
    extension.devices.iter().try_for_each(|device| set_device(db, device))?;
    Ok(Extended::Stored)
}

/// Deletes what a revoked device has: another device may take its name.
pub(super) fn revoke(db: &Connection, device: &DeviceId) -> Sql<()> {
    // One that the same extension adds has nothing yet.
    let Some(number) = device_number(db, device)? else { return Ok(()) };
    db.prepare_cached("DELETE FROM key_package WHERE device = ?")?.execute([number])?;
    db.prepare_cached(
        "INSERT OR IGNORE INTO ended_member (grp, user)
         SELECT grp, user FROM member JOIN device ON device.id = member.device
         WHERE device = ? AND removed_seq IS NULL",
    )?
    .execute([number])?;
    removals::revoked(db, number)?;
    db.prepare_cached("DELETE FROM member WHERE device = ?")?.execute([number])?;
    state_marks::clear(db, number)?;
    inbox::clear(db, number)
}

/// Stores a device as its account says. With another key, it loses its key packages, which hold the former one, and
/// its state's mark.
pub(super) fn set_device(db: &Connection, device: &DeviceInfo) -> Sql<()> {
    let DeviceInfo { device: id, scheme, signature_key, active } = device;
    let with_other_key = db
        .prepare_cached("SELECT id FROM device WHERE user = ? AND name = ? AND signature_key <> ?")?
        .query_row(params![id.user.as_str(), id.device.as_str(), &**signature_key], |r| r.get(0))
        .optional()?;
    if let Some(number) = with_other_key {
        db.prepare_cached("DELETE FROM key_package WHERE device = ?")?.execute([number])?;
        state_marks::clear(db, number)?;
    }
    db.prepare_cached(
        "INSERT INTO device (user, name, scheme, signature_key, active) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (user, name) DO UPDATE
         SET scheme = excluded.scheme, signature_key = excluded.signature_key,
             active = excluded.active",
    )?
    .execute(params![
        id.user.as_str(),
        id.device.as_str(),
        scheme.code_point(),
        &**signature_key,
        active
    ])?;
    Ok(())
}
