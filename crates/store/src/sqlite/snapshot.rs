//! A read-only copy of a store that another process may have open.
//!
//! The process that writes notices nothing: this takes no lock and waits for none. It reads that process's files, and
//! keeps what it read if nothing was written meanwhile. SQLite writes a transaction into the log before it changes the database, and leaves it
//! there until the database has all of it; so at each moment the database with the log's pages in place of its own is the
//! state after some write, also when a process was killed in the middle of one.
//!
//! The copy is a file that loses its name before it gets any content. So this process leaves at most an empty file
//! whenever it is killed, and the next snapshot removes it.

use super::SqliteStore;
use super::files::{beside, create_new_private};
use super::log::Log;
use super::open::{KeyAndProvider, opening, prepare_copy};
use crate::error::Cause;
use crate::{Secret, StoreError};
use conclave_mls::crypto::CryptoProvider;
use rusqlite::{Connection, OpenFlags};
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Seek};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long to wait for a moment in which nothing is written.
const PATIENCE: Duration = Duration::from_secs(5);
/// The wait between two attempts.
const PAUSE: Duration = Duration::from_millis(3);
/// How much is read at once.
const PART: usize = 64 << 10;
/// How many files are created for a copy in turn, if other snapshots remove each of them as a leftover.
const MAX_FILES: usize = 100;
/// What stands between a database's name and random digits in the name that a copy's file has at first.
const SUFFIX: &str = ".copy-";

/// Where the header of a database has the length of its pages, and the formats for writing and reading it.
const PAGE_LEN_AT: u64 = 16;
const FORMATS_AT: u64 = 18;
/// The formats of a database without a log.
const WITHOUT_LOG: [u8; 2] = [1, 1];

impl SqliteStore {
    /// Copies a plaintext store as it is now, and opens the copy to read it. The store may be open in another process,
    /// which is not disturbed, or have been left by one that was killed.
    ///
    /// The copy is a file without a name, beside the store: it needs as much room, there is no path to open it by, and it
    /// is gone with this value or this process. It is not written to the disk on purpose; the system may do so if it lives
    /// for long. A snapshot cannot be written to.
    ///
    /// Do not call it in the process that has the store open: under POSIX a process that closes a file loses all its locks
    /// on it, even if it has the file open elsewhere.
    ///
    /// # Errors
    /// [`StoreError::Busy`] if the store was written to all the time for five seconds; and as [`Self::open`], but never
    /// [`StoreError::InUse`].
    pub fn snapshot(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::snapshot_with(path.as_ref(), None)
    }

    /// The same for an encrypted store. The copy is encrypted as the store is.
    ///
    /// # Errors
    /// As [`Self::snapshot`], and as [`Self::open_encrypted`].
    pub fn snapshot_encrypted(
        path: impl AsRef<Path>,
        key: &Secret,
        provider: Arc<dyn CryptoProvider>,
    ) -> Result<Self, StoreError> {
        Self::snapshot_with(path.as_ref(), Some((key, provider)))
    }

    fn snapshot_with(path: &Path, key: Option<KeyAndProvider<'_>>) -> Result<Self, StoreError> {
        let cannot =
            |e: io::Error| StoreError::Open { path: path.to_path_buf(), cause: Cause::new(e) };
        // SQLite keeps the log beside the file, not beside a link to it.
        let database = path.canonicalize().map_err(cannot)?;
        let (db, mut copy) = nameless(&database).map_err(cannot)?;
        if !copy_when_still(&database, &mut copy).map_err(cannot)? {
            return Err(StoreError::Busy(path.to_path_buf()));
        }
        drop(copy);

        let sealer = prepare_copy(&db, path, key).map_err(|fault| opening(fault, path))?;
        Ok(Self { db, path: path.to_path_buf(), sealer })
    }
}

/// A new file for a copy, open in SQLite for reading and here for writing. It has lost its name already.
fn nameless(database: &Path) -> io::Result<(Connection, File)> {
    remove_left(database)?;
    let mut last = None;
    for _ in 0..MAX_FILES {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let name = beside(database, &format!("{SUFFIX}{:016x}", u64::from_be_bytes(random)));
        let file = create_new_private(&name)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(&name, flags);
        remove(&name)?;
        match db {
            Ok(db) => return Ok((db, file)),
            // Another snapshot, which has just begun, removed it.
            Err(e) => last = Some(e),
        }
    }
    Err(io::Error::other(last.map_or_else(String::new, |e| e.to_string())))
}

/// Removes the files of snapshots that were killed before these lost their names.
fn remove_left(database: &Path) -> io::Result<()> {
    let (Some(folder), Some(name)) = (database.parent(), database.file_name()) else {
        return Ok(());
    };
    let begin = [name.as_encoded_bytes(), SUFFIX.as_bytes()].concat();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let digits = name.as_encoded_bytes().strip_prefix(begin.as_slice());
        let is_ours = digits.is_some_and(|d| d.len() == 16 && d.iter().all(u8::is_ascii_hexdigit));
        if !is_ours {
            continue;
        }
        // A copy has content only when it has no name.
        match entry.metadata() {
            Ok(metadata) if metadata.is_file() && metadata.len() == 0 => remove(&entry.path())?,
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    Ok(())
}

fn remove(file: &Path) -> io::Result<()> {
    match std::fs::remove_file(file) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Copies a database at a moment in which nothing is written; false if there is none for a while.
fn copy_when_still(database: &Path, copy: &mut File) -> io::Result<bool> {
    let begun = Instant::now();
    loop {
        match copy_if_still(database, copy) {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            // A file was truncated while it was being read.
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => {}
            Err(e) => return Err(e),
        }
        if begun.elapsed() > PATIENCE {
            return Ok(false);
        }
        std::thread::sleep(PAUSE);
    }
}

/// What changes about a file when it is written to. A file system may count time in steps of milliseconds, so the content
/// is read twice as well.
type Stamp = (u64, u64, u64, (i64, i64), (i64, i64));

fn stamp(file: &Path) -> io::Result<Option<Stamp>> {
    let of = |m: Metadata| {
        let (modified, changed) = ((m.mtime(), m.mtime_nsec()), (m.ctime(), m.ctime_nsec()));
        (m.dev(), m.ino(), m.len(), modified, changed)
    };
    match std::fs::metadata(file) {
        Ok(metadata) => Ok(Some(of(metadata))),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Copies a database with what its log has; false if something was written meanwhile, and the copy is of no use.
fn copy_if_still(database: &Path, copy: &mut File) -> io::Result<bool> {
    let [log_file, journal] = ["-wal", "-journal"].map(|suffix| beside(database, suffix));
    let stamps = || io::Result::Ok((stamp(database)?, stamp(&log_file)?, stamp(&journal)?));
    let before = stamps()?;
    let (Some((_, _, len, ..)), log, None) = before else {
        // There is a journal only before the database has a log, while it is being created.
        return Ok(false);
    };
    if len == 0 {
        return Ok(false);
    }

    copy.set_len(0)?;
    let file = File::open(database)?;
    copy_parts(&file, len, copy)?;
    let Some(page_len) = page_len_in(copy)? else {
        return Ok(is_copied(&file, len, copy)? && stamps()? == before);
    };

    // The log is read between the two looks at the database. What is moved from the log into the database after the first
    // changes what the second sees; what is moved after the log was read is in the log as it was read.
    let mut log_file = log.map(|_| File::open(&log_file)).transpose()?;
    let log = log_file.as_ref().map(|file| Log::read(file, page_len)).transpose()?;
    if !is_copied(&file, len, copy)? {
        return Ok(false);
    }
    if let (Some(log_file), Some(log)) = (&mut log_file, log) {
        put_pages(&log, log_file, page_len, copy)?;
        log_file.rewind()?;
        if Log::read(&*log_file, page_len)? != log {
            return Ok(false);
        }
    }
    copy.write_all_at(&WITHOUT_LOG, FORMATS_AT)?;
    Ok(stamps()? == before)
}

/// The parts in which a file is read: where each begins, and its length.
fn parts(len: u64) -> impl Iterator<Item = (u64, usize)> {
    let begins = (0..len).step_by(PART);
    begins.map(move |at| (at, usize::try_from(len - at).map_or(PART, |left| left.min(PART))))
}

fn copy_parts(file: &File, len: u64, copy: &File) -> io::Result<()> {
    let mut part = Secret::zero(PART);
    for (at, size) in parts(len) {
        let (part, _) = part.expose_mut().split_at_mut(size);
        file.read_exact_at(part, at)?;
        copy.write_all_at(part, at)?;
    }
    Ok(())
}

/// Whether a file is still the same as its copy.
fn is_copied(file: &File, len: u64, copy: &File) -> io::Result<bool> {
    let mut part = Secret::zero(PART);
    let mut again = Secret::zero(PART);
    for (at, size) in parts(len) {
        let (part, _) = part.expose_mut().split_at_mut(size);
        let (again, _) = again.expose_mut().split_at_mut(size);
        file.read_exact_at(part, at)?;
        copy.read_exact_at(again, at)?;
        if part != again {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The length of a database's pages; none if it is no database.
fn page_len_in(copy: &File) -> io::Result<Option<usize>> {
    let mut bytes = [0; 2];
    match copy.read_exact_at(&mut bytes, PAGE_LEN_AT) {
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    // 65,536 does not fit, and is written as 1.
    let len = match u16::from_be_bytes(bytes) {
        1 => 1 << 16,
        len => usize::from(len),
    };
    Ok(Some(len).filter(|len| len.is_power_of_two() && *len >= 512))
}

/// Puts the pages of a log into a database.
fn put_pages(log: &Log, file: &File, page_len: usize, database: &File) -> io::Result<()> {
    let mut page = Secret::zero(page_len);
    for (number, at) in &log.pages {
        file.read_exact_at(page.expose_mut(), *at)?;
        let to = u64::from(number.saturating_sub(1)) * page_len as u64;
        database.write_all_at(page.expose(), to)?;
    }
    match log.database_pages {
        Some(pages) => database.set_len(u64::from(pages) * page_len as u64),
        None => Ok(()),
    }
}
