//! Key packages: stored all or none, taken one by one.

use super::super::{
    Give, KeyPackagesAdded, KeyPackagesRefused, NewKeyPackages, REMEMBERED, StoredKeyPackage,
};
use super::read::{bytes, find_device, known_device};
use super::result::Sql;
use conclave_delivery_api::{Bytes, CipherSuite, DeviceId};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeSet;

/// Stores key packages, all or none.
pub(super) fn add_key_packages(db: &Connection, new: &NewKeyPackages) -> Sql<KeyPackagesAdded> {
    db.execute_batch("SAVEPOINT packages")?;
    let added = add_all(db, new)?;
    if matches!(added, KeyPackagesAdded::Refused(_)) {
        db.execute_batch("ROLLBACK TO packages")?;
    }
    db.execute_batch("RELEASE packages")?;
    Ok(added)
}

fn add_all(db: &Connection, new: &NewKeyPackages) -> Sql<KeyPackagesAdded> {
    let NewKeyPackages { owner, packages, replaced, cap, now } = new;
    if find_device(db, &owner.device)?.as_ref() != Some(owner) {
        return Ok(KeyPackagesAdded::Refused(KeyPackagesRefused::Ended));
    }
    let owner = known_device(db, &owner.device)?;
    db.prepare_cached("DELETE FROM key_package WHERE device = ? AND not_after < ?")?
        .execute(params![owner, now])?;
    forget_expired(db, *now)?;
    if let Some(suite) = replaced {
        let kept: BTreeSet<&[u8]> = packages.iter().map(|package| &*package.message).collect();
        delete_others(db, owner, *suite, &kept)?;
    }
    let mut stored = 0;
    for (i, package) in packages.iter().enumerate() {
        let known = db
            .prepare_cached("SELECT reference FROM known_key_package WHERE init_key = ?")?
            .query_row([package.init_key_hash], |r| bytes(r, 0))
            .optional()?;
        match known {
            Some(reference) if reference == package.reference.0 => continue,
            Some(_) => return Ok(KeyPackagesAdded::Refused(KeyPackagesRefused::InitKeyReused(i))),
            None => {}
        }
        let reference: &[u8] = &package.reference;
        let suite = package.cipher_suite.0;
        // Later than anybody lives is for ever.
        let not_after = i64::try_from(package.not_after).unwrap_or(i64::MAX);
        db.prepare_cached(
            "INSERT INTO known_key_package (reference, init_key, device, not_after)
             VALUES (?, ?, ?, ?)",
        )?
        .execute(params![reference, package.init_key_hash, owner, not_after])?;
        if package.last_resort {
            db.prepare_cached(
                "DELETE FROM key_package WHERE device = ? AND suite = ? AND last_resort",
            )?
            .execute(params![owner, suite])?;
        }
        db.prepare_cached(
            "INSERT INTO key_package (device, suite, last_resort, not_after, message)
             VALUES (?, ?, ?, ?, ?)",
        )?
        .execute(params![
            owner,
            suite,
            package.last_resort,
            not_after,
            package.message.as_slice(),
        ])?;
        let count: u32 = db
            .prepare_cached(
                "SELECT count(*) FROM key_package
                 WHERE device = ? AND suite = ? AND NOT last_resort",
            )?
            .query_row(params![owner, suite], |r| r.get(0))?;
        if count > *cap {
            return Ok(KeyPackagesAdded::Refused(KeyPackagesRefused::TooMany(*cap)));
        }
        stored += 1;
    }
    Ok(KeyPackagesAdded::Stored(stored))
}

/// Forgets some of those that have expired, whosever they are, and what is remembered of those that are gone. More
/// than any call adds, so that in the end all are forgotten.
fn forget_expired(db: &Connection, now: u64) -> Sql<()> {
    db.prepare_cached(
        "DELETE FROM key_package WHERE id IN
            (SELECT id FROM key_package WHERE not_after < ? ORDER BY not_after LIMIT 1000)",
    )?
    .execute([now])?;
    db.prepare_cached(
        "DELETE FROM known_key_package WHERE reference IN
            (SELECT reference FROM known_key_package WHERE not_after < ? ORDER BY not_after LIMIT 1000)",
    )?
    .execute([now.saturating_sub(REMEMBERED)])?;
    Ok(())
}

/// Deletes a device's key packages of a suite but these.
fn delete_others(
    db: &Connection,
    owner: i64,
    suite: CipherSuite,
    kept: &BTreeSet<&[u8]>,
) -> Sql<()> {
    let stored: Vec<(i64, Bytes)> = db
        .prepare_cached("SELECT id, message FROM key_package WHERE device = ? AND suite = ?")?
        .query_map(params![owner, suite.0], |r| Ok((r.get(0)?, bytes(r, 1)?)))?
        .collect::<Sql<_>>()?;
    let mut delete = db.prepare_cached("DELETE FROM key_package WHERE id = ?")?;
    for (id, _) in stored.iter().filter(|(_, message)| !kept.contains(&**message)) {
        delete.execute([id])?;
    }
    Ok(())
}

pub(super) fn claim(
    db: &Connection,
    owner: &DeviceId,
    suite: CipherSuite,
    give: Give,
    now: u64,
) -> Sql<Option<Bytes>> {
    let owner = known_device(db, owner)?;
    let popped = match give {
        Give::Next => pop(db, owner, suite, now)?,
        Give::LastResort => None,
    };
    if popped.is_some() {
        return Ok(popped);
    }
    db.prepare_cached(
        "SELECT message FROM key_package
         WHERE device = ? AND suite = ? AND last_resort AND not_after >= ?",
    )?
    .query_row(params![owner, suite.0, now], |r| bytes(r, 0))
    .optional()
}

/// Takes the oldest that is not of last resort.
fn pop(db: &Connection, owner: i64, suite: CipherSuite, now: u64) -> Sql<Option<Bytes>> {
    db.prepare_cached(
        "DELETE FROM key_package WHERE id = (
                SELECT id FROM key_package
                WHERE device = ? AND suite = ? AND NOT last_resort AND not_after >= ?
                ORDER BY id LIMIT 1
             ) RETURNING message",
    )?
    .query_row(params![owner, suite.0, now], |r| bytes(r, 0))
    .optional()
}

pub(super) fn key_packages(
    db: &Connection,
    owner: &DeviceId,
    now: u64,
) -> Sql<Vec<StoredKeyPackage>> {
    db.prepare_cached(
        "SELECT id, suite, last_resort, message FROM key_package
         WHERE device = ? AND not_after >= ? ORDER BY id",
    )?
    .query_map(params![known_device(db, owner)?, now], |r| {
        Ok(StoredKeyPackage {
            number: r.get(0)?,
            cipher_suite: CipherSuite(r.get(1)?),
            last_resort: r.get(2)?,
            message: bytes(r, 3)?,
        })
    })?
    .collect()
}

pub(super) fn withdraw(db: &Connection, owner: &DeviceId, numbers: &[i64]) -> Sql<u32> {
    let owner = known_device(db, owner)?;
    let mut delete = db.prepare_cached("DELETE FROM key_package WHERE device = ? AND id = ?")?;
    let mut withdrawn = 0;
    for number in numbers {
        withdrawn += u32::from(delete.execute(params![owner, number])? > 0);
    }
    Ok(withdrawn)
}
