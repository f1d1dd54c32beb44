//! Copies of a database: consistent, checked, on the disk, and under their name only then.

use super::result::Sql;
use crate::files::{private_file, remove, sync_folder};
use rusqlite::{Connection, OpenFlags};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A file's path with something added to its name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Opens a database that nobody writes.
pub(super) fn open_copy(path: &Path) -> Sql<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags)
}

/// Looks at all pages, rows and indices.
pub(super) fn check_pages(db: &Connection) -> Result<(), String> {
    let problems = |db: &Connection| -> Sql<Vec<String>> {
        db.prepare("PRAGMA integrity_check(5)")?.query_map([], |r| r.get(0))?.collect()
    };
    match problems(db) {
        Ok(found) if found == ["ok"] => Ok(()),
        Ok(found) => Err(found.join("; ")),
        Err(e) => Err(e.to_string()),
    }
}

/// Writes what a database holds at this moment to a file, which it replaces. Writers of the database go on meanwhile.
/// When this returns, the copy has been checked and is on the disk.
pub(super) fn write(db: &Connection, to: &Path) -> Result<(), String> {
    let part = beside(to, ".part");
    let written = write_part(db, &part).and_then(|()| {
        std::fs::rename(&part, to).map_err(|e| format!("{} cannot be written: {e}", to.display()))
    });
    if written.is_err() {
        // What is there of it takes room that may be short.
        let _ = std::fs::remove_file(&part);
    }
    written?;
    sync_folder(to).map_err(|e| format!("the folder of {} cannot be written: {e}", to.display()))
}

fn write_part(db: &Connection, part: &Path) -> Result<(), String> {
    let shown = part.display();
    let cannot = |e: &dyn std::fmt::Display| format!("{shown} cannot be written: {e}");
    // One that was cut off earlier.
    remove(part).map_err(|e| cannot(&e))?;
    // SQLite takes an empty file as it is, with its permissions.
    let file = private_file(part).map_err(|e| cannot(&e))?;
    let name = part.to_str().ok_or_else(|| format!("{shown} is no name that SQLite takes"))?;
    db.execute("VACUUM INTO ?", [name]).map_err(|e| cannot(&e))?;
    file.sync_all().map_err(|e| cannot(&e))?;

    let copy = open_copy(part).map_err(|e| cannot(&e))?;
    check_pages(&copy).map_err(|e| format!("the copy {shown} is damaged: {e}"))
}
