//! Snapshots: what is read while another process has the store.

use super::*;
use conclave_mls::storage::WriteError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn value(store: &SqliteStore, key: &str) -> Option<Vec<u8>> {
    store.get("n", key.as_bytes()).unwrap().map(|value| value.expose().to_vec())
}

fn names(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap();
    names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// A database with a log that was not moved into it, as a process leaves it that is killed between the two. The values
/// of `a` and `b` were written one after another.
fn with_log(dir: &Path, path: &Path) {
    let there = dir.join("there.db");
    let mut store = SqliteStore::open(&there).unwrap();
    store.write(&app("n", "a", Some(b"old"))).unwrap();
    store.write(&app("n", "b", Some(b"old"))).unwrap();
    drop(store);
    let db = Connection::open(&there).unwrap();
    db.pragma_update(None, "journal_mode", "WAL").unwrap();
    db.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    db.execute("UPDATE app SET value = x'0a' WHERE key = x'61'", []).unwrap();
    // So long that the database gets new pages.
    db.execute("UPDATE app SET value = zeroblob(20000) WHERE key = x'62'", []).unwrap();
    std::fs::copy(&there, path).unwrap();
    std::fs::copy(dir.join("there.db-wal"), dir.join("state.db-wal")).unwrap();
}

#[test]
fn a_snapshot_has_the_last_write_of_an_open_store_and_leaves_it_alone() {
    let (dir, path) = dir();
    let mut store = SqliteStore::open(&path).unwrap();
    store.write(&app("n", "a", Some(b"1"))).unwrap();
    store.write(&row(Table::Tree, 1, 2, b"row")).unwrap();
    let before = std::fs::read(&path).unwrap();

    let mut snapshot = SqliteStore::snapshot(&path).unwrap();
    assert_eq!(value(&snapshot, "a").unwrap(), b"1");
    assert_eq!(snapshot.load(&group("g")).unwrap().len(), 1);
    let refused = snapshot.write(&app("n", "a", Some(b"2"))).unwrap_err();
    assert!(!refused.may_have_written(), "{refused}");
    store.write(&app("n", "b", Some(b"3"))).unwrap();
    assert_eq!((value(&snapshot, "a").unwrap(), value(&snapshot, "b")), (b"1".to_vec(), None));
    drop(snapshot);
    assert_eq!(value(&SqliteStore::snapshot(&path).unwrap(), "b").unwrap(), b"3");
    assert_ne!(std::fs::read(&path).unwrap(), before);
    drop(store);

    let there = names(dir.path());
    assert!(there.iter().all(|name| !name.contains("copy")), "{there:?}");
}

#[test]
fn a_log_that_a_killed_process_left_counts_as_far_as_it_was_committed() {
    let (dir, path) = dir();
    with_log(dir.path(), &path);
    let log = dir.path().join("state.db-wal");
    let whole = std::fs::read(&log).unwrap();
    let snapshot = SqliteStore::snapshot(&path).unwrap();
    assert_eq!(value(&snapshot, "a").unwrap(), [10]);
    assert_eq!(value(&snapshot, "b").unwrap(), [0; 20000]);
    snapshot.verify().unwrap();
    assert_eq!(std::fs::read(&log).unwrap(), whole, "it is left to the process that writes");

    // The last transaction is not whole, or was changed.
    let cut = &whole[..whole.len() - 1];
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() ^= 1;
    for torn in [cut, &changed] {
        std::fs::write(&log, torn).unwrap();
        let snapshot = SqliteStore::snapshot(&path).unwrap();
        assert_eq!(
            (value(&snapshot, "a").unwrap(), value(&snapshot, "b").unwrap()),
            ([10].to_vec(), b"old".to_vec())
        );
    }
    for no_log in [&b""[..], &[7; 40], &whole[..20]] {
        std::fs::write(&log, no_log).unwrap();
        assert_eq!(value(&SqliteStore::snapshot(&path).unwrap(), "a").unwrap(), b"old");
    }
    // SQLite itself agrees.
    std::fs::write(&log, &whole).unwrap();
    assert_eq!(value(&SqliteStore::open(&path).unwrap(), "a").unwrap(), [10]);
}

#[test]
fn snapshots_beside_a_busy_writer_are_of_one_moment() {
    let (_dir, path) = dir();
    let mut store = open_encrypted(&path);
    // So much that the store is written to while it is read.
    store.write(&app("n", "0", Some(&vec![1; 8 << 20]))).unwrap();
    let is_over = AtomicBool::new(false);
    let (mut snapshots, mut busy) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0_u32.. {
                let mut set = WriteSet::new();
                // On several pages.
                for key in ["a", "b", "c"] {
                    set.put("n", key, vec![n.to_le_bytes(); 2000].concat());
                }
                store.write(&set).unwrap();
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(if n % 16 == 0 {
                    300
                } else {
                    u64::from(n % 16) * 4
                }));
            }
        });
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(3) {
            let snapshot = match SqliteStore::snapshot_encrypted(&path, &key(1), provider()) {
                Ok(snapshot) => snapshot,
                Err(StoreError::Busy(_)) => {
                    busy += 1;
                    continue;
                }
                Err(e) => panic!("{e}"),
            };
            let [a, b, c] = ["a", "b", "c"].map(|key| value(&snapshot, key));
            assert!(a == b && b == c, "they are of different moments");
            snapshot.verify().unwrap();
            snapshots += 1;
        }
        is_over.store(true, Ordering::Relaxed);
    });
    println!("{snapshots} snapshots, {busy} times none");
    assert!(snapshots > 0, "{busy}");
}

#[test]
fn what_a_killed_snapshot_left_is_removed_by_the_next() {
    let (dir, path) = dir();
    drop(SqliteStore::open(&path).unwrap());
    let file = |name: &str, content: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let left = file("state.db.copy-0123456789abcdef", b"");
    let others = [
        file("other.copy-0123456789abcdef", b""),
        file("state.db.copy-before-update", b""),
        file("state.db.copy-fedcba9876543210", b"somebody's own"),
    ];
    drop(SqliteStore::snapshot(&path).unwrap());
    assert!(!left.exists() && others.iter().all(|other| other.exists()));
}

#[test]
fn snapshots_at_the_same_time_do_not_meet() {
    let (_dir, path) = dir();
    let mut store = SqliteStore::open(&path).unwrap();
    store.write(&app("n", "a", Some(&[7; 50_000]))).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert_eq!(
                        value(&SqliteStore::snapshot(&path).unwrap(), "a").unwrap(),
                        [7; 50_000]
                    );
                }
            });
        }
    });
}

#[test]
fn a_snapshot_opens_by_the_right_key_alone() {
    let (dir, path) = dir();
    let mut store = open_encrypted(&path);
    store.write(&app("n", "a", Some(b"secret"))).unwrap();
    let plain = SqliteStore::snapshot(&path).unwrap_err();
    assert_eq!(plain, StoreError::Encrypted(path.clone()));
    let wrong = SqliteStore::snapshot_encrypted(&path, &key(2), provider()).unwrap_err();
    assert_eq!(wrong, StoreError::WrongKey(path.clone()));
    let snapshot = SqliteStore::snapshot_encrypted(&path, &key(1), provider()).unwrap();
    assert_eq!(value(&snapshot, "a").unwrap(), b"secret");
    assert!(!any_file_holds(dir.path(), b"secret"));

    let other = dir.path().join("other");
    std::fs::write(&other, [b'x'; 5000]).unwrap();
    assert_eq!(SqliteStore::snapshot(&other).unwrap_err(), StoreError::NotAStore(other));
    let missing = SqliteStore::snapshot(dir.path().join("missing")).unwrap_err();
    assert!(matches!(missing, StoreError::Open { .. }), "{missing}");
    assert!(!dir.path().join("missing").exists());
}
