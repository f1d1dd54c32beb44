//! Formats of the database, and the steps from each to the next.
//!
//! A new format is a new entry of [`STEPS`], the same change in `schema.sql`, and a golden database of it in
//! `vectors/delivery`; `CONTRIBUTING.md` says how.

mod chain;

use super::copy::{self, beside};
use super::incarnation;
use super::result::{Sql, failed};
use crate::storage::StorageError;
use conclave_mls::crypto::Secret;
use core::fmt;
use rusqlite::Connection;
use std::path::{Path, PathBuf};

/// Tells our files from other programs': SQLite's `application_id`, "CDLV".
const APPLICATION_ID: u32 = 0x4344_4c56;
/// The oldest format that can be upgraded: before it there were no account logs.
const OLDEST: u32 = 3;

/// A change of schema and contents, within a transaction.
type Step = fn(&Connection) -> Sql<()>;

/// The steps from [`OLDEST`] on, each to the format that follows. One that was released never changes.
const STEPS: &[Step] = &[
    |db| db.execute_batch(include_str!("formats/4.sql")),
    |db| db.execute_batch(include_str!("formats/5.sql")),
    |db| db.execute_batch(include_str!("formats/6.sql")),
    chain::step,
    |db| db.execute_batch(include_str!("formats/8.sql")),
    |db| db.execute_batch(include_str!("formats/9.sql")),
    |db| db.execute_batch(include_str!("formats/10.sql")),
    |db| db.execute_batch(include_str!("formats/11.sql")),
    |db| db.execute_batch(include_str!("formats/12.sql")),
    |db| db.execute_batch(include_str!("formats/13.sql")),
    |db| db.execute_batch(include_str!("formats/14.sql")),
];

/// The format that this version writes: SQLite's `user_version`.
const FORMAT: u32 = OLDEST + STEPS.len() as u32;
const SCHEMA: &str = include_str!("schema.sql");

/// A database that was brought to the current format when it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// The format that it had.
    pub from: u32,
    /// The format that it has.
    pub to: u32,
    /// A copy of it as it was.
    pub kept: PathBuf,
}

impl fmt::Display for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, kept } = self;
        write!(
            f,
            "the state was upgraded from format {from} to {to}; {} holds it as it was",
            kept.display()
        )
    }
}

fn is_empty(db: &Connection) -> Sql<bool> {
    db.query_row("SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)", [], |r| r.get(0))
}

/// The format of a database of ours. Of a later version's or another program's, `Ok(Err(_))` says what it is.
pub(super) fn known_format(db: &Connection, path: &Path) -> Sql<Result<u32, StorageError>> {
    let application: u32 = db.pragma_query_value(None, "application_id", |r| r.get(0))?;
    let format: u32 = db.pragma_query_value(None, "user_version", |r| r.get(0))?;
    let shown = path.display();
    let refusal = if application != APPLICATION_ID {
        format!("{shown} is not a Conclave delivery service's")
    } else if format > FORMAT {
        format!(
            "{shown} was written by a later version of Conclave (format {format}; this one knows up to {FORMAT}): \
             run that version, or restore a backup that this one wrote"
        )
    } else if format < OLDEST {
        format!(
            "{shown} is of a version before the directory of accounts (format {format}; this one writes {FORMAT}): \
             move it away, and messengers register anew"
        )
    } else {
        return Ok(Ok(format));
    };
    Ok(Err(StorageError::Format(refusal)))
}

fn configure(db: &Connection) -> Sql<()> {
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "wal_autocheckpoint", 4000)?;
    // The first look makes the WAL, which is watched from then on.
    is_empty(db).map(drop)
}

/// Refuses a database that is not of the current format, for whoever only looks.
pub(super) fn check_current(db: &Connection, path: &Path) -> Result<(), StorageError> {
    let format = known_format(db, path).map_err(failed)??;
    if format == FORMAT {
        return Ok(());
    }
    Err(StorageError::Format(format!(
        "{} has format {format}, and this version looks into format {FORMAT} alone: use the version that wrote it, or \
         let `conclave serve` upgrade it",
        path.display()
    )))
}

/// Makes the database of a new service.
fn create(db: &Connection) -> Result<(), StorageError> {
    let mut secret = Secret::zero(32);
    getrandom::fill(secret.expose_mut())
        .map_err(|e| StorageError::Failed(format!("there is no randomness: {e}")))?;
    // Before there are tables: later it takes a copy of the whole database.
    db.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(failed)?;
    in_transaction(db, || {
        db.execute_batch(SCHEMA)?;
        db.execute(
            "INSERT INTO service (secret, incarnation, incarnations) VALUES (?, x'', 0)",
            [secret.expose()],
        )?;
        incarnation::begin(db)?;
        db.pragma_update(None, "application_id", APPLICATION_ID)?;
        db.pragma_update(None, "user_version", FORMAT)
    })
    .map_err(failed)
}

/// Writes the database's first page, and flushes it, although it is what it was. (A row that is updated to what it was is
/// not written.)
pub(super) fn write_again(db: &Connection) -> Sql<()> {
    db.pragma_update(None, "application_id", APPLICATION_ID)
}

fn in_transaction(db: &Connection, work: impl FnOnce() -> Sql<()>) -> Sql<()> {
    db.execute_batch("BEGIN IMMEDIATE")?;
    let result = work().and_then(|()| db.execute_batch("COMMIT"));
    if result.is_err() {
        // If the commit itself failed, the transaction may be over already.
        let _ = db.execute_batch("ROLLBACK");
    }
    result
}

/// Brings a database to the current format, and says from which. A copy of the database as it was is beside it by
/// then: checked and on the disk.
pub(super) fn prepare(db: &Connection, path: &Path) -> Result<Option<Upgrade>, StorageError> {
    if is_empty(db).map_err(failed)? {
        create(db)?;
        configure(db).map_err(failed)?;
        return Ok(None);
    }
    let from = known_format(db, path).map_err(failed)??;
    configure(db).map_err(failed)?;
    if from == FORMAT {
        return Ok(None);
    }

    let kept = beside(path, &format!(".format-{from}"));
    copy::write(db, &kept).map_err(|reason| {
        let shown = path.display();
        let needed = std::fs::metadata(path).map_or(0, |m| m.len() >> 20) + 1;
        StorageError::Failed(format!(
            "{shown} has format {from} and needs an upgrade to {FORMAT}, which keeps a copy of it: {reason}. \
             Nothing was changed. Free {needed} MiB in that folder, and start the service again"
        ))
    })?;
    let steps = STEPS.iter().skip(from.abs_diff(OLDEST) as usize);
    in_transaction(db, || {
        for step in steps {
            step(db)?;
        }
        db.pragma_update(None, "user_version", FORMAT)
    })
    .map_err(|e| {
        StorageError::Failed(format!(
            "{} cannot be upgraded from format {from} to {FORMAT}: {e}. It is unchanged",
            path.display()
        ))
    })?;
    Ok(Some(Upgrade { from, to: FORMAT, kept }))
}
