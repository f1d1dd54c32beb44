//! Opening and creating the file.

use super::files::{create_private, make_private};
use super::seal::{Header, Place, Sealer, Sum};
use super::{Fault, SqliteStore, Sums, empty_log};
use crate::error::Cause;
use crate::{GroupId, Secret, StoreError};
use conclave_mls::crypto::CryptoProvider;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, params};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The format that this version writes: SQLite's `user_version`.
const FORMAT: u32 = 1;

/// Tells our files from other programs': SQLite's `application_id`, "CCLV".
const PLAINTEXT: u32 = 0x4343_4c56;

/// The same of an encrypted store, "CCLE".
const ENCRYPTED: u32 = 0x4343_4c45;

/// How much of a copy SQLite keeps in memory: KiB, as a negative number.
#[cfg(unix)]
const COPY_CACHE: i32 = -256;

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

/// What an encrypted store has besides.
const SEAL_SCHEMA: &str = "
    CREATE TABLE seal (
        id INTEGER PRIMARY KEY CHECK (id = 1), aead INTEGER NOT NULL, salt BLOB NOT NULL,
        key_check BLOB NOT NULL, sums BLOB NOT NULL
    );
    CREATE TABLE group_sum (grp INTEGER PRIMARY KEY, value BLOB NOT NULL);
";

pub(super) type KeyAndProvider<'a> = (&'a Secret, Arc<dyn CryptoProvider>);

impl SqliteStore {
    pub(super) fn open_with(
        path: &Path,
        key: Option<KeyAndProvider<'_>>,
    ) -> Result<Self, StoreError> {
        let cannot = |cause: Cause| StoreError::Open { path: path.to_path_buf(), cause };
        create_private(path).map_err(|e| cannot(Cause::new(e)))?;

        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut db = Connection::open_with_flags(path, flags).map_err(|e| cannot(Cause::new(e)))?;
        let sealer = prepare(&mut db, path, key).map_err(|fault| opening(fault, path))?;
        Ok(Self { db, path: path.to_path_buf(), sealer })
    }
}

/// The error of a store that is being opened.
pub(super) fn opening(fault: Fault, path: &Path) -> StoreError {
    let path = path.to_path_buf();
    match fault {
        Fault::Store(e) => e,
        Fault::Sqlite(e) => match e.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::InUse(path),
            Some(ErrorCode::NotADatabase) => StoreError::NotAStore(path),
            _ => StoreError::Open { path, cause: Cause::new(e) },
        },
    }
}

fn prepare(
    db: &mut Connection,
    path: &Path,
    key: Option<KeyAndProvider<'_>>,
) -> Result<Option<Sealer>, Fault> {
    distrust(db)?;
    // Long enough for a process that is just dying, short enough for a user who waits.
    db.busy_timeout(Duration::from_millis(500))?;
    // Before the first access, so that the lock is taken with it and never given back.
    db.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    let is_new = check_kind(db, path, key.is_some())?;

    // Not before it is known to be a store: another program's file keeps its mode.
    make_private(path).map_err(|e| {
        let cause = format!("others can access it, and its mode cannot be changed: {e}");
        StoreError::Open { path: path.to_path_buf(), cause: Cause::new(cause) }
    })?;

    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "secure_delete", "ON")?;
    db.pragma_update(None, "journal_size_limit", 0)?;

    // Taking the write lock shows at once whether another process has it.
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if is_new {
        tx.execute_batch(SCHEMA)?;
        tx.pragma_update(None, "application_id", PLAINTEXT)?;
        tx.pragma_update(None, "user_version", FORMAT)?;
    }
    let sealer = match key {
        None => None,
        Some((key, provider)) if is_new => {
            let (sealer, header) = Sealer::create(key, provider)?;
            write_header(&tx, &header)?;
            Sums::default().write(&tx, &sealer)?;
            Some(sealer)
        }
        Some(key) => Some(unsealed(&tx, path, key)?),
    };
    tx.commit()?;

    empty_log(db)?;
    Ok(sealer)
}

/// Prepares a copy, which is only read.
#[cfg(unix)]
pub(super) fn prepare_copy(
    db: &Connection,
    path: &Path,
    key: Option<KeyAndProvider<'_>>,
) -> Result<Option<Sealer>, Fault> {
    distrust(db)?;
    db.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    // A process that reads a copy may have little memory, and reads most pages once.
    db.pragma_update(None, "cache_size", COPY_CACHE)?;
    if check_kind(db, path, key.is_some())? {
        return Err(StoreError::NotAStore(path.to_path_buf()).into());
    }
    key.map(|key| unsealed(db, path, key)).transpose()
}

/// Somebody else may have written the file: nothing in it is run.
fn distrust(db: &Connection) -> rusqlite::Result<()> {
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    db.pragma_update(None, "cell_size_check", "ON")
}

/// What opens the values of an encrypted store.
fn unsealed(
    db: &Connection,
    path: &Path,
    (key, provider): KeyAndProvider<'_>,
) -> Result<Sealer, Fault> {
    let sealer = Sealer::open(key, provider, &read_header(db)?)?;
    let sealer = sealer.ok_or_else(|| StoreError::WrongKey(path.to_path_buf()))?;
    check_groups(db, &sealer)?;
    Ok(sealer)
}

/// Checks that the file is a store, of a format that this version knows, and encrypted or not as the
/// caller expects. Returns whether it is empty.
fn check_kind(db: &Connection, path: &Path, encrypted: bool) -> Result<bool, Fault> {
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0))?;
    let application: u32 = db.pragma_query_value(None, "application_id", |r| r.get(0))?;
    let found: u32 = db.pragma_query_value(None, "user_version", |r| r.get(0))?;
    if tables == 0 {
        return Ok(true);
    }

    let path = path.to_path_buf();
    match (application, encrypted) {
        (PLAINTEXT, false) | (ENCRYPTED, true) => {}
        (PLAINTEXT, true) => return Err(StoreError::NotEncrypted(path).into()),
        (ENCRYPTED, false) => return Err(StoreError::Encrypted(path).into()),
        _ => return Err(StoreError::NotAStore(path).into()),
    }
    if found > FORMAT {
        return Err(StoreError::NewerFormat { path, found, known: FORMAT }.into());
    }
    Ok(false)
}

fn read_header(db: &Connection) -> Result<Header, Fault> {
    let header = db.query_row("SELECT aead, salt, key_check FROM seal", [], |r| {
        Ok(Header { aead: r.get(0)?, salt: r.get(1)?, key_check: r.get(2)? })
    });
    header.map_err(|e| StoreError::Damaged(format!("its header cannot be read: {e}")).into())
}

/// Writes the header in place of one before. The sums are to be written next.
pub(super) fn write_header(db: &Connection, header: &Header) -> Result<(), Fault> {
    db.execute_batch("DROP TABLE IF EXISTS seal; DROP TABLE IF EXISTS group_sum;")?;
    db.execute_batch(SEAL_SCHEMA)?;
    let Header { aead, salt, key_check } = header;
    db.execute(
        "INSERT INTO seal (id, aead, salt, key_check, sums) VALUES (1, ?, ?, ?, x'')",
        params![aead, salt, key_check],
    )?;
    db.pragma_update(None, "application_id", ENCRYPTED)?;
    Ok(())
}

/// Checks that the groups are those of the last write.
fn check_groups(db: &Connection, sealer: &Sealer) -> Result<(), Fault> {
    let sums = Sums::read(db, sealer)?;
    let mut found = Sum::default();
    let mut statement = db.prepare(
        "SELECT group_id, value FROM mls_group LEFT JOIN group_sum ON grp = mls_group.id",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let group = GroupId::from(row.get::<_, Vec<u8>>(0)?);
        let sealed: Option<Vec<u8>> = row.get(1)?;
        sealer.open_value(Place::Group(&group), &sealed.unwrap_or_default(), &mut found)?;
    }

    if found == sums.groups {
        Ok(())
    } else {
        Err(StoreError::Damaged("groups were removed, brought back or set back".into()).into())
    }
}
