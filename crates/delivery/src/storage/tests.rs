//! What only a storage in files can do, and the conformance kit on sound and broken storages.

mod broken;

use super::conformance::{Place, check};
use super::*;
use std::path::Path;

fn open(path: &Path) -> SqliteStorage {
    SqliteStorage::open(path).unwrap()
}

/// A folder with a storage.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

impl Place for Folder {
    type Storage = SqliteStorage;

    fn open(&self) -> Result<SqliteStorage, StorageError> {
        SqliteStorage::open(self.0.path())
    }

    fn crash(&self, _: &SqliteStorage) -> Option<Self> {
        let copy = Self::new();
        for name in ["delivery.db", "delivery.db-wal"] {
            std::fs::copy(self.0.path().join(name), copy.0.path().join(name)).unwrap();
        }
        Some(copy)
    }
}

#[test]
fn the_sqlite_storage_conforms() {
    check(Folder::new);
}

#[test]
fn a_later_format_and_foreign_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));

    let path = dir.path().join("delivery.db");
    let db = rusqlite::Connection::open(&path).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    let error = SqliteStorage::open(dir.path()).unwrap_err();
    assert!(matches!(&error, StorageError::Format(what) if what.contains("format 99")), "{error}");

    let other = tempfile::tempdir().unwrap();
    let db = rusqlite::Connection::open(other.path().join("delivery.db")).unwrap();
    db.execute_batch("CREATE TABLE t (x)").unwrap();
    drop(db);
    let error = SqliteStorage::open(other.path()).unwrap_err();
    assert!(matches!(error, StorageError::Format(_)), "{error}");
}

/// Before account logs, anybody could register a device for any user: nothing of that can be taken over.
#[test]
fn a_folder_from_before_account_logs_is_refused_with_advice() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let path = dir.path().join("delivery.db");
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch("DROP TABLE account; DROP TABLE account_entry; DROP TABLE invitation")
        .unwrap();
    db.pragma_update(None, "user_version", 1).unwrap();
    drop(db);
    let before = std::fs::read(&path).unwrap();

    let error = SqliteStorage::open(dir.path()).unwrap_err();
    let StorageError::Format(what) = &error else { panic!("{error}") };
    assert!(what.contains("format 1") && what.contains("move it away"), "{error}");
    assert!(what.contains(path.to_str().unwrap()), "it names the file: {error}");
    assert_eq!(std::fs::read(&path).unwrap(), before, "it was changed");
}

/// The database of format 3 in a folder of its own.
fn format_3() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let db = rusqlite::Connection::open(dir.path().join("delivery.db")).unwrap();
    db.execute_batch(include_str!("../../../../vectors/delivery/format-3.sql")).unwrap();
    dir
}

#[test]
fn an_upgrade_whose_copy_cannot_be_kept_changes_nothing() {
    let dir = format_3();
    let obstacle = dir.path().join("delivery.db.format-3.part");
    std::fs::create_dir(&obstacle).unwrap();
    let error = SqliteStorage::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("Nothing was changed"), "{error}");
    assert!(error.contains(obstacle.to_str().unwrap()), "it names the file: {error}");
    let db = rusqlite::Connection::open(dir.path().join("delivery.db")).unwrap();
    let format: u32 = db.pragma_query_value(None, "user_version", |r| r.get(0)).unwrap();
    assert_eq!(format, 3);
    drop(db);

    std::fs::remove_dir(&obstacle).unwrap();
    let storage = open(dir.path());
    let kept = &storage.upgraded().unwrap().kept;
    assert_eq!(*kept, dir.path().join("delivery.db.format-3"));
    assert!(!obstacle.exists());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(kept.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn an_upgrade_that_fails_half_way_changes_nothing() {
    let dir = format_3();
    let path = dir.path().join("delivery.db");
    let db = rusqlite::Connection::open(&path).unwrap();
    // The last statement of the step to format 4 finds its index gone.
    db.execute_batch("DROP INDEX member_by_device").unwrap();
    drop(db);
    let error = SqliteStorage::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("from format 3") && error.contains("unchanged"), "{error}");
    let db = rusqlite::Connection::open(&path).unwrap();
    let format: u32 = db.pragma_query_value(None, "user_version", |r| r.get(0)).unwrap();
    assert_eq!(format, 3);
    let columns = "SELECT count(*) FROM pragma_table_info('mls_group') WHERE name = 'group_info'";
    assert_eq!(db.query_row(columns, [], |r| r.get::<_, u32>(0)).unwrap(), 1);
}

#[cfg(unix)]
#[test]
fn files_that_others_can_read_become_their_owners_alone() {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let files =
        ["delivery.lock", "delivery.db", "delivery.db-wal"].map(|file| dir.path().join(file));
    for file in &files {
        if !file.exists() {
            std::fs::write(file, "").unwrap();
        }
        std::fs::set_permissions(file, Permissions::from_mode(0o644)).unwrap();
    }

    let _storage = open(dir.path());
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let file = entry.unwrap().path();
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{file:?}");
    }
}

#[test]
fn after_a_clean_stop_the_database_is_whole_without_its_wal() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let secret = storage.secret().unwrap();
    // Somebody who reads keeps SQLite from deleting the WAL, but not from emptying it.
    let reader = SqliteStorage::open_read_only(dir.path()).unwrap();
    assert_eq!(reader.secret().unwrap(), secret);
    drop(storage);

    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(dir.path().join("delivery.db"), copy.path().join("delivery.db")).unwrap();
    assert_eq!(open(copy.path()).secret().unwrap(), secret);
}

#[test]
fn a_probe_writes_to_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let length = || std::fs::metadata(dir.path().join("delivery.db-wal")).unwrap().len();
    let before = length();
    storage.probe().unwrap();
    assert!(length() > before, "what it says of the disk is a guess");
}

#[cfg(unix)]
#[test]
fn nothing_is_acknowledged_once_the_database_or_its_wal_is_gone() {
    for file in ["delivery.db", "delivery.db-wal"] {
        let dir = tempfile::tempdir().unwrap();
        let storage = open(dir.path());
        storage.mark_published(vec![]).unwrap();

        let (path, aside) = (dir.path().join(file), dir.path().join("aside"));
        std::fs::rename(&path, &aside).unwrap();
        let error = storage.mark_published(vec![]).unwrap_err();
        assert!(matches!(&error, StorageError::Unknown(what) if what.contains(file)), "{error}");
        std::fs::copy(&aside, &path).unwrap();
        assert!(storage.mark_published(vec![]).is_err(), "another file, if with the same contents");

        std::fs::rename(&aside, &path).unwrap();
        storage.mark_published(vec![]).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn a_removed_lock_file_lets_no_second_process_in() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    std::fs::remove_file(dir.path().join("delivery.lock")).unwrap();
    let error = SqliteStorage::open(dir.path()).unwrap_err();
    assert!(matches!(error, StorageError::InUse(_)), "{error}");
    drop(storage);
    open(dir.path());
}

#[test]
fn damaged_pages_are_found_and_named() {
    use std::io::{Seek, SeekFrom, Write};
    let dir = format_3();
    drop(open(dir.path()));
    open(dir.path()).check().unwrap();

    let path = dir.path().join("delivery.db");
    let pages = std::fs::metadata(&path).unwrap().len() / 4096;
    let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    for page in 1..pages {
        file.seek(SeekFrom::Start(page * 4096)).unwrap();
        file.write_all(&[0xff; 64]).unwrap();
    }
    drop(file);
    let error = SqliteStorage::open_read_only(dir.path()).and_then(|s| s.check()).unwrap_err();
    assert!(matches!(error, StorageError::Damaged(_)), "{error}");
    let text = error.to_string();
    for part in ["delivery.db", "admin check", "conclave restore"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn rows_that_contradict_each_other_are_found() {
    let faults = [
        ("UPDATE mls_group SET head = head + 1", "the log of group"),
        ("DELETE FROM log WHERE seq = 2", "has a gap"),
        ("DELETE FROM blob", "Welcome is missing"),
        ("DELETE FROM device WHERE name = 'pc'", "no device"),
    ];
    for (fault, said) in faults {
        let dir = format_3();
        let db = rusqlite::Connection::open(dir.path().join("delivery.db")).unwrap();
        db.execute_batch(fault).unwrap();
        drop(db);
        let error = open(dir.path()).check().unwrap_err().to_string();
        assert!(error.contains(said), "{fault}: {error}");
    }
}
