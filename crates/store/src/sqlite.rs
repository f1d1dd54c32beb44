//! The store in one SQLite file.
//!
//! WAL with `synchronous=FULL`, so a commit is on disk when it returns; the file is held by an
//! exclusive lock, which ends with the process however it ends; `secure_delete` overwrites what is
//! deleted, and the log is emptied after every commit, so that the keys that it erased are in neither.
//! Values are stored as they are: nothing here encrypts.

use crate::{Batch, GroupId, RowKey, Secret, Store, StoreError, Table, WriteSet};
use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params,
};
use std::fs::{File, OpenOptions};
#[cfg(unix)]
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The format that this version writes: SQLite's `user_version`.
const FORMAT: u32 = 1;
/// Tells our files from other programs': SQLite's `application_id`, "CCLV".
const APPLICATION_ID: u32 = 0x4343_4c56;

const SCHEMA: &str = "
    CREATE TABLE mls_group (id INTEGER PRIMARY KEY, group_id BLOB NOT NULL UNIQUE);
    CREATE TABLE mls_row (
        grp INTEGER NOT NULL, epoch INTEGER NOT NULL, tbl INTEGER NOT NULL, idx INTEGER NOT NULL,
        value BLOB NOT NULL, PRIMARY KEY (grp, epoch, tbl, idx)
    ) WITHOUT ROWID;
    CREATE TABLE app (
        namespace TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL,
        PRIMARY KEY (namespace, key)
    ) WITHOUT ROWID;
";

/// A store in a file that survives the death of the process at any moment.
///
/// **The file is not encrypted.** It holds private keys, epoch secrets and whatever the application
/// stores, all in plaintext; the file's mode is all that protects them. Put it on an encrypted volume, or
/// write a [`Store`] that encrypts its values. SQLite's page cache holds the same plaintext in memory,
/// and does not wipe it.
#[derive(Debug)]
pub struct SqliteStore {
    db: Connection,
    path: PathBuf,
}

impl SqliteStore {
    /// Opens a store, and creates it if there is no such file.
    ///
    /// On Unix only the owner can access the file and those that SQLite keeps beside it: a store that
    /// others could access, say a copy, loses those permissions here. Whoever has read it before then
    /// still has its keys.
    ///
    /// # Errors
    /// If another process has it open ([`StoreError::InUse`]), if it is of a later format, or is
    /// no store, or if the file cannot be opened, or others can access it and its mode cannot be changed.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref().to_path_buf();
        let open_error = |e: &dyn core::fmt::Display| StoreError::Open {
            path: path.clone(),
            reason: e.to_string(),
        };
        create_private(&path).map_err(|e| open_error(&e))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(&path, flags).map_err(|e| open_error(&e))?;
        let mut store = Self { db, path };
        match store.prepare() {
            Ok(()) => Ok(store),
            Err(Problem::Sqlite(e)) => Err(store.opening(&e)),
            Err(Problem::Store(e)) => Err(e),
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn prepare(&mut self) -> Result<(), Problem> {
        let db = &mut self.db;
        // Long enough for a process that is just dying, short enough for one who waits.
        db.busy_timeout(Duration::from_millis(500))?;
        // Before the first access, so that the lock is taken with it and never given back.
        db.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        let known: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0))?;
        let application: u32 = db.pragma_query_value(None, "application_id", |r| r.get(0))?;
        let found: u32 = db.pragma_query_value(None, "user_version", |r| r.get(0))?;
        if known > 0 && application != APPLICATION_ID {
            return Err(Problem::Store(StoreError::NotAStore(self.path.clone())));
        }
        if found > FORMAT {
            let path = self.path.clone();
            let e = StoreError::NewerFormat { path, found, known: FORMAT };
            return Err(Problem::Store(e));
        }
        // Not before it is known to be a store: another program's file keeps its mode.
        make_private(&self.path).map_err(|e| {
            let reason = format!("others can access it, and its mode cannot be changed: {e}");
            Problem::Store(StoreError::Open { path: self.path.clone(), reason })
        })?;

        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update(None, "secure_delete", "ON")?;
        db.pragma_update(None, "journal_size_limit", 0)?;
        // Taking the write lock says at once whether somebody else has it.
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if known == 0 {
            tx.execute_batch(SCHEMA)?;
            tx.pragma_update(None, "application_id", APPLICATION_ID)?;
            tx.pragma_update(None, "user_version", FORMAT)?;
        }
        tx.commit()?;
        empty_log(db)?;
        Ok(())
    }

    fn opening(&self, e: &rusqlite::Error) -> StoreError {
        let path = self.path.clone();
        match e.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::InUse(path),
            Some(ErrorCode::NotADatabase) => StoreError::NotAStore(path),
            _ => StoreError::Open { path, reason: e.to_string() },
        }
    }
}

/// What can go wrong on opening.
enum Problem {
    Sqlite(rusqlite::Error),
    Store(StoreError),
}

impl From<rusqlite::Error> for Problem {
    fn from(e: rusqlite::Error) -> Self {
        Self::Sqlite(e)
    }
}

/// What SQLite appends to a database's name for the files that it keeps beside it.
#[cfg(unix)]
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Takes all access from others to a database and the files beside it, as far as they are there.
#[cfg(unix)]
fn make_private(database: &Path) -> std::io::Result<()> {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    // SQLite keeps them beside the file, not beside a link to it.
    let database = database.canonicalize()?;
    for suffix in std::iter::once("").chain(COMPANIONS) {
        let mut file = database.clone().into_os_string();
        file.push(suffix);
        let mode = match std::fs::metadata(&file) {
            Ok(metadata) => metadata.permissions().mode(),
            Err(e) if e.kind() == ErrorKind::NotFound => continue,
            Err(e) => return Err(e),
        };
        if mode & 0o077 != 0 {
            std::fs::set_permissions(&file, Permissions::from_mode(mode & 0o700))?;
        }
    }
    Ok(())
}

/// Elsewhere a file has the permissions of its folder.
#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps)]
fn make_private(_database: &Path) -> std::io::Result<()> {
    Ok(())
}

/// Creates the file, if there is none, for its owner alone. SQLite gives the log the same mode.
fn create_private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Moves the log into the database and cuts it to nothing.
fn empty_log(db: &Connection) -> rusqlite::Result<()> {
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// A `u64` as SQLite's signed integer, in the same order.
fn ordered(n: u64) -> i64 {
    (n ^ 1 << 63).cast_signed()
}

fn unordered(n: i64) -> u64 {
    n.cast_unsigned() ^ 1 << 63
}

fn failed(e: rusqlite::Error) -> StoreError {
    match e.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Damaged(e.to_string())
        }
        _ => StoreError::Failed(e.to_string()),
    }
}

fn group_number(db: &Connection, group: &GroupId) -> rusqlite::Result<Option<i64>> {
    db.prepare_cached("SELECT id FROM mls_group WHERE group_id = ?")?
        .query_row([group.as_ref()], |r| r.get(0))
        .optional()
}

fn write_batch(tx: &Transaction<'_>, batch: &Batch) -> rusqlite::Result<()> {
    let group = match group_number(tx, &batch.group_id)? {
        Some(id) => id,
        None => tx
            .prepare_cached("INSERT INTO mls_group (group_id) VALUES (?) RETURNING id")?
            .query_row([batch.group_id.as_ref()], |r| r.get(0))?,
    };
    if batch.clear {
        tx.prepare_cached("DELETE FROM mls_row WHERE grp = ?")?.execute([group])?;
    }
    let mut delete = tx.prepare_cached("DELETE FROM mls_row WHERE grp = ? AND epoch = ?")?;
    for epoch in &batch.deleted_epochs {
        delete.execute(params![group, ordered(*epoch)])?;
    }
    let mut put = tx.prepare_cached(
        "INSERT INTO mls_row (grp, epoch, tbl, idx, value) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET value = excluded.value",
    )?;
    let mut delete = tx.prepare_cached(
        "DELETE FROM mls_row WHERE grp = ? AND epoch = ? AND tbl = ? AND idx = ?",
    )?;
    for (key, value) in &batch.rows {
        let (epoch, table, index) = (ordered(key.epoch), key.table as u8, ordered(key.index));
        match value {
            Some(value) => put.execute(params![group, epoch, table, index, value.expose()])?,
            None => delete.execute(params![group, epoch, table, index])?,
        };
    }
    tx.prepare_cached(
        "DELETE FROM mls_group WHERE id = ?1
         AND NOT EXISTS (SELECT 1 FROM mls_row WHERE grp = ?1)",
    )?
    .execute([group])?;
    Ok(())
}

fn write_all(tx: &Transaction<'_>, set: &WriteSet) -> rusqlite::Result<()> {
    for batch in &set.batches {
        write_batch(tx, batch)?;
    }
    let mut put = tx.prepare_cached(
        "INSERT INTO app (namespace, key, value) VALUES (?, ?, ?)
         ON CONFLICT DO UPDATE SET value = excluded.value",
    )?;
    let mut delete = tx.prepare_cached("DELETE FROM app WHERE namespace = ? AND key = ?")?;
    for write in &set.app {
        match &write.value {
            Some(value) => put.execute(params![write.namespace, write.key, value.expose()])?,
            None => delete.execute(params![write.namespace, write.key])?,
        };
    }
    Ok(())
}

impl Store for SqliteStore {
    fn load(&self, group: &GroupId) -> Result<Vec<(RowKey, Secret)>, StoreError> {
        let Some(number) = group_number(&self.db, group).map_err(failed)? else {
            return Ok(Vec::new());
        };
        let mut statement = self
            .db
            .prepare_cached("SELECT tbl, epoch, idx, value FROM mls_row WHERE grp = ?")
            .map_err(failed)?;
        let mut rows = statement.query([number]).map_err(failed)?;
        let mut loaded = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let columns = (|| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get_ref(3)?)))();
            let (table, epoch, index, value): (u8, i64, i64, _) = columns.map_err(failed)?;
            let (epoch, index) = (unordered(epoch), unordered(index));
            let damaged = |what: &str| {
                let place = format!("table {table}, epoch {epoch}, index {index}");
                StoreError::Damaged(format!("{what} in a row of {group:?} ({place})"))
            };
            let table = Table::from_number(table).ok_or_else(|| damaged("unknown table"))?;
            let value = value.as_blob().map_err(|_| damaged("no bytes"))?;
            loaded.push((RowKey { table, epoch, index }, Secret::copy_from(value)));
        }
        loaded.sort_unstable_by_key(|(key, _)| *key);
        Ok(loaded)
    }

    fn write(&mut self, set: &WriteSet) -> Result<(), StoreError> {
        if set.is_empty() {
            return Ok(());
        }
        let behavior = TransactionBehavior::Immediate;
        let tx = self.db.transaction_with_behavior(behavior).map_err(failed)?;
        let is_stored = |group: &GroupId| Ok(group_number(&tx, group).map_err(failed)?.is_some());
        if let Some(group) = set.known_group(is_stored)? {
            return Err(StoreError::GroupExists(group.clone()));
        }
        write_all(&tx, set).map_err(failed)?;
        // A failed COMMIT may have reached the disk: only reading it again tells.
        tx.commit().map_err(|e| StoreError::Unknown(e.to_string()))?;
        // The set is durable already; if the log stays, the next commit empties it. Whatever a set
        // writes may replace a secret, and what it deletes may be one.
        let _ = empty_log(&self.db);
        Ok(())
    }

    fn groups(&self) -> Result<Vec<GroupId>, StoreError> {
        let read = || {
            self.db
                .prepare_cached("SELECT group_id FROM mls_group ORDER BY group_id")?
                .query_map([], |r| r.get(0).map(|id: Vec<u8>| GroupId::from(id)))?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(failed)
    }

    fn get(&self, namespace: &str, key: &[u8]) -> Result<Option<Secret>, StoreError> {
        let read = || {
            self.db
                .prepare_cached("SELECT value FROM app WHERE namespace = ? AND key = ?")?
                .query_row(params![namespace, key], |r| r.get(0).map(Secret::new))
                .optional()
        };
        read().map_err(failed)
    }

    fn scan(
        &self,
        namespace: &str,
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Secret)>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let read = || {
            self.db
                .prepare_cached(
                    "SELECT key, value FROM app WHERE namespace = ? AND key >= ?
                     ORDER BY key LIMIT ?",
                )?
                .query_map(params![namespace, from, limit], |r| {
                    Ok((r.get(0)?, r.get(1).map(Secret::new)?))
                })?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(failed)
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        let _ = empty_log(&self.db);
    }
}
