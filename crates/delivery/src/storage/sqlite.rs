//! The service's state in one SQLite file.
//!
//! WAL with `synchronous=FULL`: what was answered is on disk. One connection writes, on a thread of
//! its own; others read beside it.

use super::writer::Writer;
use super::{
    Append, Appended, CommitEffects, Found, GroupRecord, KeyPackageRecord, KeyPackagesAdded,
    Membership, NewGroup, Storage, StorageError,
};
use crate::api::{
    Bytes, CipherSuite, ContentType, DeviceId, DeviceInfo, GroupId, InboxItem, KeyPackageCount,
    KeyPackageRef, LogEntry, Name, WelcomeItem,
};
use conclave_crypto::Secret;
use conclave_group::rows::{Batch, RowKey, Table};
use rusqlite::types::Type;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The format that this version writes: SQLite's `user_version`.
const FORMAT: u32 = 1;
/// Tells our files from other programs': SQLite's `application_id`, "CDLV".
const APPLICATION_ID: u32 = 0x4344_4c56;
/// How many connections read.
const READERS: usize = 4;
const SCHEMA: &str = include_str!("schema.sql");

type Sql<T> = rusqlite::Result<T>;

/// The service's state in a directory.
#[derive(Debug)]
pub struct SqliteStorage {
    // Dropped in this order: the lock last.
    writer: Writer,
    readers: Vec<Mutex<Connection>>,
    next: std::sync::atomic::AtomicUsize,
    _lock: File,
}

pub(super) fn failed(e: rusqlite::Error) -> StorageError {
    StorageError::Failed(e.to_string())
}

fn private_file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn connect(path: &Path, read_only: bool) -> Sql<Connection> {
    let access = if read_only {
        OpenFlags::SQLITE_OPEN_READ_ONLY
    } else {
        OpenFlags::SQLITE_OPEN_READ_WRITE
    };
    let db = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(db)
}

/// Brings the file to the current format. `Ok(Err(_))` says why it cannot.
fn prepare(db: &Connection, path: &Path) -> Sql<Result<(), StorageError>> {
    let format = |what: String| Ok(Err(StorageError::Format(what)));
    let known: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0))?;
    let application: u32 = db.pragma_query_value(None, "application_id", |r| r.get(0))?;
    let found: u32 = db.pragma_query_value(None, "user_version", |r| r.get(0))?;
    let shown = path.display();
    if known > 0 && application != APPLICATION_ID {
        return format(format!("{shown} is not a Conclave delivery service's"));
    }
    if found > FORMAT {
        return format(format!(
            "{shown} was written by a later version (format {found}; this one knows up to {FORMAT})"
        ));
    }
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "wal_autocheckpoint", 4000)?;
    if known == 0 {
        let mut secret = Secret::zero(32);
        if let Err(e) = getrandom::fill(secret.expose_mut()) {
            return Ok(Err(StorageError::Failed(format!("no randomness: {e}"))));
        }
        db.execute_batch("BEGIN IMMEDIATE")?;
        db.execute_batch(SCHEMA)?;
        db.execute("INSERT INTO service (secret) VALUES (?)", [secret.expose()])?;
        db.pragma_update(None, "application_id", APPLICATION_ID)?;
        db.pragma_update(None, "user_version", FORMAT)?;
        db.execute_batch("COMMIT")?;
    }
    Ok(Ok(()))
}

impl SqliteStorage {
    /// Opens the state in a directory, and creates both if there are none. Only the user can read
    /// the files.
    ///
    /// # Errors
    /// If another process has it open, if it is of a later format, or cannot be opened.
    pub fn open(directory: &Path) -> Result<Self, StorageError> {
        let file = |e: std::io::Error| {
            StorageError::Failed(format!("{} cannot be opened: {e}", directory.display()))
        };
        std::fs::create_dir_all(directory).map_err(file)?;
        let lock_path = directory.join("delivery.lock");
        let lock = private_file(&lock_path).map_err(file)?;
        lock.try_lock().map_err(|e| match e {
            TryLockError::WouldBlock => StorageError::InUse(directory.display().to_string()),
            TryLockError::Error(e) => file(e),
        })?;
        let path: PathBuf = directory.join("delivery.db");
        private_file(&path).map_err(file)?;
        let db = connect(&path, false).map_err(failed)?;
        prepare(&db, &path).map_err(failed)??;
        let readers = (0..READERS).map(|_| connect(&path, true).map(Mutex::new));
        let readers = readers.collect::<Sql<_>>().map_err(failed)?;
        let writer = Writer::start(db)?;
        Ok(Self { writer, readers, next: 0.into(), _lock: lock })
    }

    fn read<R>(&self, f: impl FnOnce(&Connection) -> Sql<R>) -> Result<R, StorageError> {
        let free = self.readers.iter().find_map(|r| r.try_lock().ok());
        let db = match free {
            Some(db) => db,
            None => {
                let n = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let Some(reader) = self.readers.get(n % READERS) else {
                    return Err(StorageError::Failed("no reader".into()));
                };
                reader.lock().unwrap_or_else(PoisonError::into_inner)
            }
        };
        f(&db).map_err(failed)
    }
}

/// A `u64` as SQLite's signed integer, in the same order.
fn ordered(n: u64) -> i64 {
    (n ^ 1 << 63).cast_signed()
}

fn unordered(n: i64) -> u64 {
    n.cast_unsigned() ^ 1 << 63
}

fn damaged(column: usize, what: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, what.into())
}

/// The device whose user and name are the columns from `at` on.
fn device_id(row: &Row<'_>, at: usize) -> Sql<DeviceId> {
    let name = |column: usize| -> Sql<Name> {
        let text: String = row.get(column)?;
        text.parse().map_err(|_| damaged(column, "no name"))
    };
    Ok(DeviceId::new(name(at)?, name(at + 1)?))
}

fn bytes(row: &Row<'_>, column: usize) -> Sql<Bytes> {
    Ok(row.get_ref(column)?.as_blob()?.into())
}

fn optional_bytes(row: &Row<'_>, column: usize) -> Sql<Option<Bytes>> {
    Ok(row.get_ref(column)?.as_blob_or_null()?.map(Into::into))
}

const DEVICE_COLUMNS: &str = "user, name, suite, signature_key, registered_at";

fn device_info(row: &Row<'_>) -> Sql<DeviceInfo> {
    Ok(DeviceInfo {
        device: device_id(row, 0)?,
        cipher_suite: CipherSuite(row.get(2)?),
        signature_key: bytes(row, 3)?.into(),
        registered_at: row.get(4)?,
    })
}

fn find_device(db: &Connection, id: &DeviceId) -> Sql<Option<DeviceInfo>> {
    db.prepare_cached(&format!("SELECT {DEVICE_COLUMNS} FROM device WHERE user = ? AND name = ?"))?
        .query_row([id.user.as_str(), id.device.as_str()], device_info)
        .optional()
}

fn device_number(db: &Connection, id: &DeviceId) -> Sql<Option<i64>> {
    db.prepare_cached("SELECT id FROM device WHERE user = ? AND name = ?")?
        .query_row([id.user.as_str(), id.device.as_str()], |r| r.get(0))
        .optional()
}

/// The number of a device that was registered.
fn known_device(db: &Connection, id: &DeviceId) -> Sql<i64> {
    device_number(db, id)?.ok_or(rusqlite::Error::QueryReturnedNoRows)
}

fn group_number(db: &Connection, id: &GroupId) -> Sql<Option<i64>> {
    db.prepare_cached("SELECT id FROM mls_group WHERE group_id = ?")?
        .query_row([id.as_ref()], |r| r.get(0))
        .optional()
}

fn find_group(db: &Connection, id: &GroupId) -> Sql<Option<(i64, GroupRecord)>> {
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

fn find_entry(db: &Connection, id: &GroupId, hash: &[u8; 32]) -> Sql<Option<Found>> {
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

fn write_rows(db: &Connection, group: i64, batch: &Batch) -> Sql<()> {
    if batch.clear {
        db.prepare_cached("DELETE FROM observer WHERE grp = ?")?.execute([group])?;
    }
    for epoch in &batch.deleted_epochs {
        db.prepare_cached("DELETE FROM observer WHERE grp = ? AND epoch = ?")?
            .execute([group, ordered(*epoch)])?;
    }
    let mut put = db.prepare_cached(
        "INSERT INTO observer (grp, epoch, tbl, idx, value) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET value = excluded.value",
    )?;
    let mut delete = db.prepare_cached(
        "DELETE FROM observer WHERE grp = ? AND epoch = ? AND tbl = ? AND idx = ?",
    )?;
    for (key, value) in &batch.rows {
        let (epoch, table, index) = (ordered(key.epoch), key.table as u8, ordered(key.index));
        match value {
            Some(value) => put.execute(params![group, epoch, table, index, value.expose()])?,
            None => delete.execute(params![group, epoch, table, index])?,
        };
    }
    Ok(())
}

fn add_members(db: &Connection, group: i64, members: &[DeviceId]) -> Sql<()> {
    let mut add = db.prepare_cached(
        "INSERT INTO member (grp, device, removed_seq) VALUES (?, ?, NULL)
         ON CONFLICT DO UPDATE SET removed_seq = NULL",
    )?;
    for member in members {
        add.execute([group, known_device(db, member)?])?;
    }
    Ok(())
}

fn commit_effects(
    db: &Connection,
    group: i64,
    seq: u64,
    append: &Append,
    effects: &CommitEffects,
) -> Sql<()> {
    let mut remove = db.prepare_cached(
        "UPDATE member SET removed_seq = ? WHERE grp = ? AND device = ? AND removed_seq IS NULL",
    )?;
    for member in &effects.removed {
        remove.execute(params![seq, group, known_device(db, member)?])?;
    }
    // Who is removed and added by one commit stays.
    add_members(db, group, &effects.added)?;
    let tree = effects.ratchet_tree.as_ref().filter(|_| effects.group_info.is_some());
    db.prepare_cached("UPDATE mls_group SET group_info = ?, ratchet_tree = ? WHERE id = ?")?
        .execute(params![effects.group_info.as_deref(), tree.map(|t| t.as_slice()), group])?;
    let put_blob = |blob: &Bytes| -> Sql<i64> {
        db.prepare_cached("INSERT INTO blob (bytes) VALUES (?) RETURNING id")?
            .query_row([blob.as_slice()], |r| r.get(0))
    };
    if effects.welcomes.is_empty() {
        return Ok(());
    }
    let tree = effects.ratchet_tree.as_ref().map(put_blob).transpose()?;
    let sender = known_device(db, &append.sender)?;
    let mut deliver = db.prepare_cached(
        "INSERT INTO inbox (device, grp, epoch, seq, sender, welcome, tree)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )?;
    let epoch = ordered(append.epoch.saturating_add(1));
    for (welcome, recipients) in &effects.welcomes {
        let welcome = put_blob(welcome)?;
        for recipient in recipients {
            let device = known_device(db, recipient)?;
            deliver.execute(params![device, group, epoch, seq, sender, welcome, tree])?;
        }
    }
    Ok(())
}

fn append(db: &Connection, append: &Append) -> Sql<Appended> {
    let (group, record) =
        find_group(db, &append.group_id)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    if let Some(found) = find_entry(db, &append.group_id, &append.hash)? {
        return Ok(Appended::Known(found));
    }
    if append.expected_handshake.is_some_and(|expected| expected != record.handshake) {
        return Ok(Appended::Lost(record));
    }
    let seq = record.head.saturating_add(1);
    db.prepare_cached(
        "INSERT INTO log (grp, seq, epoch, content_type, sender, received_at, hash, message)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        group,
        seq,
        ordered(append.epoch),
        append.content_type as u8,
        known_device(db, &append.sender)?,
        append.received_at,
        append.hash,
        append.message.as_slice(),
    ])?;
    let epoch = record.epoch.saturating_add(u64::from(append.commit.is_some()));
    let handshake = match append.content_type {
        ContentType::Application => record.handshake,
        ContentType::Proposal | ContentType::Commit => seq,
    };
    db.prepare_cached("UPDATE mls_group SET epoch = ?, head = ?, handshake = ? WHERE id = ?")?
        .execute(params![ordered(epoch), seq, handshake, group])?;
    if let Some(effects) = &append.commit {
        commit_effects(db, group, seq, append, effects)?;
    }
    if let Some(batch) = &append.rows {
        write_rows(db, group, batch)?;
    }
    Ok(Appended::Won(seq))
}

fn create_group(db: &Connection, group: &NewGroup) -> Sql<bool> {
    let existing = db
        .prepare_cached("SELECT request_hash FROM mls_group WHERE group_id = ?")?
        .query_row([group.group_id.as_ref()], |r| r.get::<_, [u8; 32]>(0))
        .optional()?;
    if let Some(hash) = existing {
        return Ok(hash == group.request_hash);
    }
    let number: i64 = db
        .prepare_cached(
            "INSERT INTO mls_group (group_id, tracked, epoch, head, handshake, creator,
                request_hash, created_at)
             VALUES (?, ?, ?, 0, 0, ?, ?, ?) RETURNING id",
        )?
        .query_row(
            params![
                group.group_id.as_ref(),
                group.tracked,
                ordered(group.epoch),
                known_device(db, &group.creator)?,
                group.request_hash,
                group.now,
            ],
            |r| r.get(0),
        )?;
    add_members(db, number, &group.members)?;
    if let Some(rows) = &group.rows {
        write_rows(db, number, rows)?;
    }
    Ok(true)
}

fn add_key_packages(
    db: &Connection,
    owner: &DeviceId,
    packages: &[KeyPackageRecord],
    cap: u32,
    now: u64,
) -> Sql<KeyPackagesAdded> {
    let owner = known_device(db, owner)?;
    db.prepare_cached("DELETE FROM key_package WHERE device = ? AND not_after < ?")?
        .execute(params![owner, now])?;
    let mut stored = 0;
    for (i, package) in packages.iter().enumerate() {
        let known = db
            .prepare_cached("SELECT reference FROM init_key WHERE hash = ?")?
            .query_row([package.init_key_hash], |r| bytes(r, 0))
            .optional()?;
        match known {
            Some(reference) if reference == package.reference.0 => continue,
            Some(_) => return Ok(KeyPackagesAdded::InitKeyReused(i)),
            None => {}
        }
        let reference: &[u8] = &package.reference;
        let suite = package.cipher_suite.0;
        db.prepare_cached("INSERT INTO init_key (hash, reference) VALUES (?, ?)")?
            .execute(params![package.init_key_hash, reference])?;
        db.prepare_cached("INSERT INTO key_package_owner (reference, device) VALUES (?, ?)")?
            .execute(params![reference, owner])?;
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
            // Later than anybody lives is for ever.
            i64::try_from(package.not_after).unwrap_or(i64::MAX),
            package.message.as_slice(),
        ])?;
        let count: u32 = db
            .prepare_cached(
                "SELECT count(*) FROM key_package
                 WHERE device = ? AND suite = ? AND NOT last_resort",
            )?
            .query_row(params![owner, suite], |r| r.get(0))?;
        if count > cap {
            return Ok(KeyPackagesAdded::TooMany);
        }
        stored += 1;
    }
    Ok(KeyPackagesAdded::Stored(stored))
}

fn claim(db: &Connection, owner: &DeviceId, suite: CipherSuite, now: u64) -> Sql<Option<Bytes>> {
    let owner = known_device(db, owner)?;
    let popped = db
        .prepare_cached(
            "DELETE FROM key_package WHERE id = (
                SELECT id FROM key_package
                WHERE device = ? AND suite = ? AND NOT last_resort AND not_after >= ?
                ORDER BY id LIMIT 1
             ) RETURNING message",
        )?
        .query_row(params![owner, suite.0, now], |r| bytes(r, 0))
        .optional()?;
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

/// Collects rows until they hold enough bytes.
fn page<T>(
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

fn log_entry(row: &Row<'_>) -> Sql<(LogEntry, usize)> {
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

fn inbox_item(row: &Row<'_>) -> Sql<(InboxItem, usize)> {
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

impl Storage for SqliteStorage {
    fn secret(&self) -> Result<Secret, StorageError> {
        self.read(|db| {
            db.query_row("SELECT secret FROM service", [], |r| r.get(0).map(Secret::new))
        })
    }

    fn register(&self, device: &DeviceInfo) -> Result<DeviceInfo, StorageError> {
        let device = device.clone();
        self.writer.write(move |db| {
            db.prepare_cached(
                "INSERT INTO device (user, name, suite, signature_key, registered_at)
                 VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            )?
            .execute(params![
                device.device.user.as_str(),
                device.device.device.as_str(),
                device.cipher_suite.0,
                &*device.signature_key,
                device.registered_at,
            ])?;
            find_device(db, &device.device)?.ok_or(rusqlite::Error::QueryReturnedNoRows)
        })
    }

    fn device(&self, id: &DeviceId) -> Result<Option<DeviceInfo>, StorageError> {
        self.read(|db| find_device(db, id))
    }

    fn devices(&self, user: &Name) -> Result<Vec<DeviceInfo>, StorageError> {
        self.read(|db| {
            db.prepare_cached(&format!(
                "SELECT {DEVICE_COLUMNS} FROM device WHERE user = ? ORDER BY id"
            ))?
            .query_map([user.as_str()], device_info)?
            .collect()
        })
    }

    fn add_key_packages(
        &self,
        owner: &DeviceId,
        packages: Vec<KeyPackageRecord>,
        cap: u32,
        now: u64,
    ) -> Result<KeyPackagesAdded, StorageError> {
        let owner = owner.clone();
        self.writer.write(move |db| {
            db.execute_batch("SAVEPOINT packages")?;
            let added = add_key_packages(db, &owner, &packages, cap, now)?;
            if !matches!(added, KeyPackagesAdded::Stored(_)) {
                db.execute_batch("ROLLBACK TO packages")?;
            }
            db.execute_batch("RELEASE packages")?;
            Ok(added)
        })
    }

    fn count_key_packages(
        &self,
        owner: &DeviceId,
        now: u64,
    ) -> Result<Vec<KeyPackageCount>, StorageError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT suite, sum(NOT last_resort), sum(last_resort) FROM key_package
                 WHERE device = ? AND not_after >= ? GROUP BY suite ORDER BY suite",
            )?
            .query_map(params![known_device(db, owner)?, now], |r| {
                Ok(KeyPackageCount {
                    cipher_suite: CipherSuite(r.get(0)?),
                    available: r.get(1)?,
                    last_resort: r.get(2)?,
                })
            })?
            .collect()
        })
    }

    fn claim_key_packages(
        &self,
        owners: Vec<DeviceId>,
        suite: CipherSuite,
        now: u64,
    ) -> Result<Vec<Option<Bytes>>, StorageError> {
        self.writer
            .write(move |db| owners.iter().map(|owner| claim(db, owner, suite, now)).collect())
    }

    fn key_package_owner(
        &self,
        reference: &KeyPackageRef,
    ) -> Result<Option<DeviceId>, StorageError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT user, name FROM key_package_owner JOIN device ON device.id = device
                 WHERE reference = ?",
            )?
            .query_row([reference.as_ref()], |r| device_id(r, 0))
            .optional()
        })
    }

    fn create_group(&self, group: NewGroup) -> Result<bool, StorageError> {
        self.writer.write(move |db| create_group(db, &group))
    }

    fn group(&self, id: &GroupId) -> Result<Option<GroupRecord>, StorageError> {
        self.read(|db| Ok(find_group(db, id)?.map(|(_, record)| record)))
    }

    fn membership(&self, id: &GroupId, device: &DeviceId) -> Result<Membership, StorageError> {
        self.read(|db| {
            let found = db
                .prepare_cached(
                    "SELECT removed_seq FROM member
                     JOIN mls_group ON mls_group.id = grp JOIN device ON device.id = device
                     WHERE group_id = ? AND user = ? AND name = ?",
                )?
                .query_row(
                    params![id.as_ref(), device.user.as_str(), device.device.as_str()],
                    |r| r.get::<_, Option<u64>>(0),
                )
                .optional()?;
            Ok(match found {
                Some(None) => Membership::Member,
                Some(Some(seq)) => Membership::Former(seq),
                None => Membership::Stranger,
            })
        })
    }

    fn user_is_member(&self, id: &GroupId, user: &Name) -> Result<bool, StorageError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT 1 FROM member
                 JOIN mls_group ON mls_group.id = grp JOIN device ON device.id = device
                 WHERE group_id = ? AND user = ? AND removed_seq IS NULL LIMIT 1",
            )?
            .exists(params![id.as_ref(), user.as_str()])
        })
    }

    fn members(&self, id: &GroupId) -> Result<Vec<DeviceId>, StorageError> {
        self.read(|db| {
            let Some(group) = group_number(db, id)? else { return Ok(Vec::new()) };
            db.prepare_cached(
                "SELECT user, name FROM member JOIN device ON device.id = device
                 WHERE grp = ? AND removed_seq IS NULL ORDER BY device",
            )?
            .query_map([group], |r| device_id(r, 0))?
            .collect()
        })
    }

    fn groups_of(&self, device: &DeviceId) -> Result<Vec<(GroupId, u64, u64)>, StorageError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT group_id, epoch, ifnull(removed_seq, head) FROM member
                 JOIN mls_group ON mls_group.id = grp WHERE device = ? ORDER BY grp",
            )?
            .query_map([known_device(db, device)?], |r| {
                Ok((bytes(r, 0)?.into(), unordered(r.get(1)?), r.get(2)?))
            })?
            .collect()
        })
    }

    fn append(&self, entry: Append) -> Result<Appended, StorageError> {
        self.writer.write(move |db| append(db, &entry))
    }

    fn find(&self, id: &GroupId, hash: &[u8; 32]) -> Result<Option<Found>, StorageError> {
        self.read(|db| find_entry(db, id, hash))
    }

    fn log(
        &self,
        id: &GroupId,
        after: u64,
        up_to: u64,
        limit: u32,
        bytes: usize,
    ) -> Result<Vec<LogEntry>, StorageError> {
        let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        self.read(|db| {
            let Some(group) = group_number(db, id)? else { return Ok(Vec::new()) };
            let mut statement = db.prepare_cached(
                "SELECT seq, epoch, content_type, user, name, received_at, message FROM log
                 JOIN device ON device.id = sender
                 WHERE grp = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
            )?;
            let range = params![group, signed(after), signed(up_to), limit];
            page(&mut statement.query(range)?, bytes, log_entry)
        })
    }

    fn public_state(&self, id: &GroupId) -> Result<Option<(Bytes, Bytes)>, StorageError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT group_info, ratchet_tree FROM mls_group
                 WHERE group_id = ? AND group_info NOT NULL AND ratchet_tree NOT NULL",
            )?
            .query_row([id.as_ref()], |r| Ok((bytes(r, 0)?, bytes(r, 1)?)))
            .optional()
        })
    }

    fn rows(&self, id: &GroupId) -> Result<Vec<(RowKey, Secret)>, StorageError> {
        self.read(|db| {
            let Some(group) = group_number(db, id)? else { return Ok(Vec::new()) };
            let mut loaded = db
                .prepare_cached("SELECT tbl, epoch, idx, value FROM observer WHERE grp = ?")?
                .query_map([group], |r| {
                    let table = Table::from_number(r.get(0)?);
                    let table = table.ok_or_else(|| damaged(0, "unknown table"))?;
                    let (epoch, index) = (unordered(r.get(1)?), unordered(r.get(2)?));
                    let value = Secret::copy_from(r.get_ref(3)?.as_blob()?);
                    Ok((RowKey { table, epoch, index }, value))
                })?
                .collect::<Sql<Vec<_>>>()?;
            loaded.sort_unstable_by_key(|(key, _)| *key);
            Ok(loaded)
        })
    }

    fn inbox(
        &self,
        device: &DeviceId,
        limit: u32,
        bytes: usize,
    ) -> Result<(Vec<InboxItem>, u32), StorageError> {
        self.read(|db| {
            let device = known_device(db, device)?;
            let total = db
                .prepare_cached("SELECT count(*) FROM inbox WHERE device = ?")?
                .query_row([device], |r| r.get(0))?;
            let mut statement = db.prepare_cached(
                "SELECT inbox.id, group_id, inbox.epoch, seq, user, name, welcome.bytes, tree.bytes
                 FROM inbox JOIN mls_group ON mls_group.id = grp
                 JOIN device ON device.id = sender
                 JOIN blob AS welcome ON welcome.id = inbox.welcome
                 LEFT JOIN blob AS tree ON tree.id = inbox.tree
                 WHERE inbox.device = ? ORDER BY inbox.id LIMIT ?",
            )?;
            let mut rows = statement.query(params![device, limit])?;
            Ok((page(&mut rows, bytes, inbox_item)?, total))
        })
    }

    fn ack_inbox(&self, device: &DeviceId, ids: Vec<u64>) -> Result<(), StorageError> {
        let device = device.clone();
        self.writer.write(move |db| {
            let device = known_device(db, &device)?;
            for id in ids {
                let id = i64::try_from(id).unwrap_or(i64::MAX);
                let gone = db
                    .prepare_cached(
                        "DELETE FROM inbox WHERE id = ? AND device = ? RETURNING welcome, tree",
                    )?
                    .query_row([id, device], |r| {
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
        })
    }
}
