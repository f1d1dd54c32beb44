//! What only a store in a file can do; the conformance kit tests the rest.

mod encrypted;
mod hostile;
#[cfg(unix)]
mod snapshot;

use crate::{Batch, GroupId, RowKey, Secret, SqliteStore, Store, StoreError, Table, WriteSet};
use conclave_provider_rustcrypto::RustCrypto;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

fn dir() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.db");
    (dir, path)
}

fn group(name: &str) -> GroupId {
    name.as_bytes().into()
}

fn key(n: u8) -> Secret {
    Secret::new(vec![n; 32])
}

fn provider() -> Arc<RustCrypto> {
    Arc::new(RustCrypto::new())
}

fn open_encrypted(path: &Path) -> SqliteStore {
    SqliteStore::open_encrypted(path, &key(1), provider()).unwrap()
}

/// A set that writes one row of the group `g`.
fn row(table: Table, epoch: u64, index: u64, value: &[u8]) -> WriteSet {
    let mut batch = Batch::new(group("g"));
    batch.rows.insert(RowKey { table, epoch, index }, Some(Secret::copy_from(value)));
    let mut set = WriteSet::new();
    set.batch(batch);
    set
}

fn app(namespace: &str, key: &str, value: Option<&[u8]>) -> WriteSet {
    let mut set = WriteSet::new();
    match value {
        Some(value) => set.put(namespace, key, value),
        None => set.delete(namespace, key),
    }
    set
}

/// Changes the file of a store that is closed, as somebody without the key can.
fn edit(path: &Path, sql: &str) -> usize {
    let db = Connection::open(path).unwrap();
    db.execute(sql, []).unwrap()
}

/// Whether a file of a folder holds these bytes.
fn any_file_holds(dir: &Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(dir).unwrap().any(|entry| {
        let file = std::fs::read(entry.unwrap().path()).unwrap();
        file.windows(bytes.len()).any(|window| window == bytes)
    })
}

#[test]
fn a_second_opening_is_refused_as_in_use() {
    let (_dir, path) = dir();
    let store = SqliteStore::open(&path).unwrap();

    let error = SqliteStore::open(&path).unwrap_err();
    assert_eq!(error, StoreError::InUse(path.clone()));
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");

    drop(store);
    SqliteStore::open(&path).unwrap();
}

#[test]
fn a_later_format_and_foreign_files_are_refused_and_left_alone() {
    let (_dir, path) = dir();
    drop(SqliteStore::open(&path).unwrap());
    edit(&path, "PRAGMA user_version = 7");
    let error = SqliteStore::open(&path).unwrap_err();
    assert_eq!(error, StoreError::NewerFormat { path: path.clone(), found: 7, known: 1 });

    let text = path.with_file_name("notes.txt");
    std::fs::write(&text, "my shopping list, which is longer than a header").unwrap();
    assert_eq!(SqliteStore::open(&text).unwrap_err(), StoreError::NotAStore(text.clone()));
    assert!(std::fs::read_to_string(&text).unwrap().starts_with("my shopping"));

    let other = path.with_file_name("other.db");
    edit(&other, "CREATE TABLE t (x)");
    assert_eq!(SqliteStore::open(&other).unwrap_err(), StoreError::NotAStore(other));
}

#[test]
fn a_row_with_an_unknown_table_is_named() {
    let (_dir, path) = dir();
    let mut store = SqliteStore::open(&path).unwrap();
    store.write(&row(Table::Tree, 3, 5, b"x")).unwrap();
    drop(store);

    edit(&path, "UPDATE mls_row SET tbl = 99");
    let error = SqliteStore::open(&path).unwrap().load(&group("g")).unwrap_err();
    assert!(error.to_string().contains("table 99, epoch 3, index 5"), "{error}");
}

#[test]
fn a_value_or_key_that_is_not_bytes_is_damage() {
    let (_dir, path) = dir();
    let mut store = SqliteStore::open(&path).unwrap();
    store.write(&app("n", "k", Some(b"v"))).unwrap();
    drop(store);

    edit(&path, "UPDATE app SET value = 'text'");
    let store = SqliteStore::open(&path).unwrap();
    assert!(matches!(store.get("n", b"k"), Err(StoreError::Damaged(_))));
    assert!(matches!(store.verify(), Err(StoreError::Damaged(_))));
    drop(store);

    edit(&path, "UPDATE app SET key = 'text'");
    let store = SqliteStore::open(&path).unwrap();
    assert!(matches!(store.verify(), Err(StoreError::Damaged(_))));
}

#[test]
fn nothing_in_the_file_runs() {
    let (_dir, path) = dir();
    let mut store = SqliteStore::open(&path).unwrap();
    store.write(&app("n", "k", Some(b"v"))).unwrap();
    drop(store);

    edit(&path, "CREATE TRIGGER t AFTER INSERT ON app BEGIN DELETE FROM app; END");
    let mut store = SqliteStore::open(&path).unwrap();
    store.write(&app("n", "another", Some(b"w"))).unwrap();
    assert!(store.get("n", b"k").unwrap().is_some());
}

#[test]
fn an_error_has_the_databases_error_as_its_source() {
    let (dir, _) = dir();
    let error = SqliteStore::open(dir.path()).unwrap_err();
    let source = std::error::Error::source(&error).expect("a source");
    assert!(source.is::<std::io::Error>(), "{source:?}");

    let mut store = SqliteStore::open(dir.path().join("state.db")).unwrap();
    store.db.execute_batch("DROP TABLE app").unwrap();
    let error = store.write(&app("n", "k", Some(b"v"))).unwrap_err();
    let source = std::error::Error::source(&error).expect("a source");
    assert!(source.is::<rusqlite::Error>(), "{source:?}");
}

/// A store that holds a value, in plaintext and encrypted.
fn both(path: &Path) -> [SqliteStore; 2] {
    let encrypted = path.with_file_name("encrypted.db");
    let mut both = [SqliteStore::open(path).unwrap(), open_encrypted(&encrypted)];
    for store in &mut both {
        store.write(&row(Table::Tree, 1, 1, b"before")).unwrap();
        store.write(&app("n", "k", Some(b"before"))).unwrap();
    }
    both
}

fn assert_as_before(store: &SqliteStore) {
    store.verify().unwrap();
    assert_eq!(store.load(&group("g")).unwrap()[0].1.expose(), b"before");
    assert_eq!(store.get("n", b"k").unwrap().unwrap().expose(), b"before");
}

#[test]
fn a_full_disk_fails_the_write_and_leaves_nothing_of_it() {
    let (_dir, path) = dir();
    for mut store in both(&path) {
        let pages: i64 = store.db.query_row("PRAGMA page_count", [], |r| r.get(0)).unwrap();
        store.db.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).unwrap();

        let mut set = app("n", "k", Some(b"after"));
        set.merge(row(Table::Tree, 1, 1, &[7; 1 << 20]));
        let error = store.write(&set).unwrap_err();
        assert!(matches!(&error, StoreError::Failed(_)), "{error:?}");
        assert!(!crate::WriteError::may_have_written(&error));
        assert_as_before(&store);

        let path = store.path().to_path_buf();
        let encrypted = store.is_encrypted();
        drop(store);
        let store =
            if encrypted { open_encrypted(&path) } else { SqliteStore::open(&path).unwrap() };
        assert_as_before(&store);
    }
}

#[test]
fn a_failure_of_the_last_step_is_reported_as_unknown() {
    let (_dir, path) = dir();
    for mut store in both(&path) {
        // A foreign key that is checked at COMMIT, and a trigger that violates it.
        store.db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, true).unwrap();
        let sql = "PRAGMA foreign_keys = ON;
            CREATE TEMP TABLE parent (id INTEGER PRIMARY KEY);
            CREATE TEMP TABLE child (id REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
            CREATE TEMP TRIGGER fails AFTER UPDATE ON main.app BEGIN
                INSERT INTO child VALUES (1);
            END;";
        store.db.execute_batch(sql).unwrap();

        let error = store.write(&app("n", "k", Some(b"after"))).unwrap_err();
        assert!(matches!(&error, StoreError::Unknown(_)), "{error:?}");
        assert!(crate::WriteError::may_have_written(&error));
        assert_as_before(&store);
    }
}

#[cfg(unix)]
mod permissions {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn only_the_owner_can_read_the_files() {
        let (dir, path) = dir();
        let mut store = SqliteStore::open(&path).unwrap();
        store.write(&app("n", "k", Some(b"v"))).unwrap();

        let mut seen = 0;
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            let file = entry.unwrap().path();
            assert_eq!(mode(&file), 0o600, "{file:?}");
            seen += 1;
        }
        assert!(seen >= 2, "the database and its log");
    }

    #[test]
    fn a_store_that_others_can_read_becomes_its_owners_alone() {
        let (dir, path) = dir();
        drop(SqliteStore::open(&path).unwrap());
        set_mode(&path, 0o644);

        // What another tool, or a process that was killed, left beside it. A log that is there already
        // keeps its mode when SQLite opens it.
        let beside = ["-wal", "-shm"].map(|suffix| {
            let file = dir.path().join(format!("state.db{suffix}"));
            std::fs::write(&file, "").unwrap();
            set_mode(&file, 0o666);
            file
        });

        // Through a link, too: SQLite's own files are beside what it leads to.
        let link_dir = tempfile::tempdir().unwrap();
        let link = link_dir.path().join("link.db");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let mut store = SqliteStore::open(&link).unwrap();
        store.write(&app("n", "k", Some(b"v"))).unwrap();

        assert_eq!(mode(&path), 0o600);
        assert!(beside.iter().all(|file| !file.exists() || mode(file) == 0o600));
        assert!(beside[0].exists(), "the log");
    }

    #[test]
    fn another_programs_file_keeps_its_mode() {
        let (_dir, path) = dir();
        edit(&path, "CREATE TABLE t (x)");
        set_mode(&path, 0o644);

        assert_eq!(SqliteStore::open(&path).unwrap_err(), StoreError::NotAStore(path.clone()));
        assert_eq!(mode(&path), 0o644);
    }
}

#[test]
fn an_erased_value_is_in_no_file() {
    let (dir, path) = dir();
    let mut store = SqliteStore::open(&path).unwrap();
    let secret: Vec<u8> = (0..32).map(|i| 0xc0 ^ (i * 7)).collect();
    let is_there = || any_file_holds(dir.path(), &secret);

    store.write(&row(Table::Ratchet, 1, 0, &secret)).unwrap();
    assert!(is_there(), "the test would find it");
    store.write(&row(Table::Ratchet, 1, 0, &[1; 32])).unwrap();
    assert!(!is_there(), "overwritten");

    // The application's keys, without any change to a group: the secrets of key packages are such.
    store.write(&app("key package", "k", Some(&secret))).unwrap();
    assert!(is_there());
    store.write(&app("key package", "k", None)).unwrap();
    assert!(!is_there(), "deleted");

    store.write(&app("key package", "k", Some(&secret))).unwrap();
    assert!(is_there());
    store.write(&app("key package", "k", Some(&[1; 32]))).unwrap();
    assert!(!is_there(), "overwritten");
}

/// Not a check but a measurement: `cargo test -p conclave-store --release -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn how_long_reads_and_writes_take() {
    let (_dir, path) = dir();
    let provider = Arc::new(conclave_provider_aws_lc::AwsLc::new());
    let encrypted = path.with_file_name("encrypted.db");
    let stores = [
        SqliteStore::open(&path).unwrap(),
        SqliteStore::open_encrypted(&encrypted, &key(1), provider).unwrap(),
    ];

    for mut store in stores {
        println!("encrypted: {}", store.is_encrypted());
        for (what, rows) in
            [("application keys alone", 0), ("20 rows", 20), ("10,000 rows", 10_000)]
        {
            let writes = if rows > 1000 { 2 } else { 100 };
            let start = std::time::Instant::now();
            for i in 0..writes {
                let mut set = app("cursor", "k", Some(&[i; 8]));
                for index in 0..rows {
                    set.merge(row(Table::Tree, u64::MAX, index, &[i; 200]));
                }
                store.write(&set).unwrap();
            }
            println!("  write {what}: {:?}", start.elapsed() / u32::from(writes));
        }
        let start = std::time::Instant::now();
        store.load(&group("g")).unwrap();
        println!("  load 10,000 rows: {:?}", start.elapsed());
    }
}
