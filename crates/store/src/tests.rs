use crate::{Batch, GroupId, MemoryStore, RowKey, Secret, SqliteStore, Store, StoreError};
use crate::{Table, WriteSet};
use std::path::PathBuf;
use tempfile::TempDir;

fn dir() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.db");
    (dir, path)
}

fn group(name: &str) -> GroupId {
    name.as_bytes().into()
}

fn put(batch: &mut Batch, table: Table, epoch: u64, index: u64, value: &[u8]) {
    batch.rows.insert(RowKey { table, epoch, index }, Some(Secret::copy_from(value)));
}

/// A small deterministic generator: the tests print the seed by failing with it.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

fn random_set(dice: &mut Dice) -> WriteSet {
    let mut set = WriteSet::new();
    for _ in 0..dice.roll(3) {
        let mut batch = Batch::new(group(["a", "b", "c"][dice.roll(3) as usize]));
        batch.clear = dice.roll(12) == 0;
        for _ in 0..dice.roll(2) {
            batch.deleted_epochs.insert(dice.roll(4));
        }
        for _ in 0..dice.roll(6) {
            let table = [Table::Header, Table::Tree, Table::Ratchet][dice.roll(3) as usize];
            let epoch = [0, 1, 2, 3, u64::MAX][dice.roll(5) as usize];
            let index = [0, 1, 1 << 40, u64::MAX][dice.roll(4) as usize];
            let key = RowKey { table, epoch, index };
            let value = vec![dice.roll(256) as u8; dice.roll(40) as usize];
            batch.rows.insert(key, (dice.roll(4) > 0).then(|| Secret::new(value)));
        }
        set.batch(batch);
    }
    for _ in 0..dice.roll(4) {
        let namespace = ["cursor", "history"][dice.roll(2) as usize];
        let key = vec![dice.roll(3) as u8; dice.roll(3) as usize];
        match dice.roll(3) {
            0 => set.delete(namespace, key),
            _ => set.put(namespace, key, vec![7; dice.roll(9) as usize]),
        }
    }
    set
}

fn assert_same(a: &dyn Store, b: &dyn Store) {
    assert_eq!(a.groups(), b.groups());
    for name in ["a", "b", "c"] {
        assert_eq!(a.load(&group(name)), b.load(&group(name)));
    }
    for namespace in ["cursor", "history"] {
        for from in [&[][..], &[1], &[1, 1], &[9]] {
            for limit in [0, 1, usize::MAX] {
                assert_eq!(a.scan(namespace, from, limit), b.scan(namespace, from, limit));
            }
            assert_eq!(a.get(namespace, from), b.get(namespace, from));
        }
    }
}

#[test]
fn sqlite_and_memory_hold_the_same_after_any_sets_and_reopening() {
    for seed in 1..=3 {
        println!("seed {seed}");
        let (_dir, path) = dir();
        let mut dice = Dice(seed);
        let mut model = MemoryStore::new();
        let mut store = SqliteStore::open(&path).unwrap();
        for _ in 0..60 {
            let set = random_set(&mut dice);
            model.write(&set).unwrap();
            store.write(&set).unwrap();
            if dice.roll(8) == 0 {
                drop(store);
                store = SqliteStore::open(&path).unwrap();
            }
            assert_same(&model, &store);
        }
    }
}

#[test]
fn a_batch_clears_then_deletes_epochs_then_writes() {
    let (_dir, path) = dir();
    let mut store = SqliteStore::open(&path).unwrap();
    let mut first = Batch::new(group("g"));
    put(&mut first, Table::Tree, u64::MAX, 4, b"old");
    put(&mut first, Table::Ratchet, 1, 0, b"epoch 1");
    let mut second = Batch::new(group("g"));
    second.deleted_epochs.insert(1);
    put(&mut second, Table::Ratchet, 1, 9, b"new in epoch 1");
    let set = WriteSet { batches: vec![first, second], app: vec![] };
    store.write(&set).unwrap();
    let rows = store.load(&group("g")).unwrap();
    let values: Vec<&[u8]> = rows.iter().map(|(_, v)| v.expose()).collect();
    assert_eq!(values, [&b"old"[..], b"new in epoch 1"]);

    let mut last = Batch::new(group("g"));
    last.clear = true;
    store.write(&WriteSet { batches: vec![last], app: vec![] }).unwrap();
    assert_eq!(store.groups().unwrap(), []);
}

#[test]
fn a_new_group_does_not_take_a_known_groups_place() {
    let (_dir, path) = dir();
    let stores: [Box<dyn Store>; 2] =
        [Box::new(MemoryStore::new()), Box::new(SqliteStore::open(&path).unwrap())];
    for mut store in stores {
        let new = |value: &[u8]| {
            let mut batch = Batch::new(group("g"));
            batch.new = true;
            batch.clear = true;
            put(&mut batch, Table::Header, u64::MAX, 0, value);
            let mut set = WriteSet::new();
            set.put("cursor", "g", value);
            set.batch(batch);
            set
        };
        store.write(&new(b"mine")).unwrap();
        let before = store.load(&group("g")).unwrap();

        // Nothing of the set is written, also not what stands beside the group.
        let refused = store.write(&new(b"somebody else's"));
        assert_eq!(refused, Err(StoreError::GroupExists(group("g"))));
        assert_eq!(store.load(&group("g")).unwrap(), before);
        assert_eq!(store.get("cursor", b"g").unwrap().unwrap().expose(), b"mine");

        // One that is meant to take the place does; and a deleted group leaves its place free, also
        // to one in the same set.
        let mut replacing = new(b"mine again");
        replacing.batches[0].new = false;
        store.write(&replacing).unwrap();
        let deletion = || {
            let mut batch = Batch::new(group("g"));
            batch.clear = true;
            let mut set = WriteSet::new();
            set.batch(batch);
            set
        };
        let mut exchange = deletion();
        exchange.merge(new(b"another"));
        store.write(&exchange).unwrap();
        store.write(&deletion()).unwrap();

        // Of two that come in one set, the second is refused as if it came later.
        let mut both = new(b"first");
        both.merge(new(b"second"));
        assert_eq!(store.write(&both), Err(StoreError::GroupExists(group("g"))));
        assert_eq!(store.load(&group("g")).unwrap(), []);
    }
}

#[test]
fn a_second_opening_is_told_that_the_file_is_in_use() {
    let (_dir, path) = dir();
    let store = SqliteStore::open(&path).unwrap();
    let error = SqliteStore::open(&path).unwrap_err();
    assert_eq!(error, StoreError::InUse(path.clone()));
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    drop(store);
    SqliteStore::open(&path).unwrap();
}

#[test]
fn a_later_format_and_a_strange_file_are_refused_and_left_alone() {
    let (_dir, path) = dir();
    drop(SqliteStore::open(&path).unwrap());
    let db = rusqlite::Connection::open(&path).unwrap();
    db.pragma_update(None, "user_version", 7).unwrap();
    drop(db);
    let error = SqliteStore::open(&path).unwrap_err();
    assert_eq!(error, StoreError::NewerFormat { path: path.clone(), found: 7, known: 1 });

    let text = path.with_file_name("notes.txt");
    std::fs::write(&text, "my shopping list, which is longer than a header").unwrap();
    assert_eq!(SqliteStore::open(&text).unwrap_err(), StoreError::NotAStore(text.clone()));
    assert!(std::fs::read_to_string(&text).unwrap().starts_with("my shopping"));

    let other = path.with_file_name("other.db");
    let db = rusqlite::Connection::open(&other).unwrap();
    db.execute_batch("CREATE TABLE t (x)").unwrap();
    drop(db);
    assert_eq!(SqliteStore::open(&other).unwrap_err(), StoreError::NotAStore(other));
}

#[test]
fn a_row_with_an_unknown_table_is_named() {
    let (_dir, path) = dir();
    let mut store = SqliteStore::open(&path).unwrap();
    let mut batch = Batch::new(group("g"));
    put(&mut batch, Table::Tree, 3, 5, b"x");
    store.write(&WriteSet { batches: vec![batch], app: vec![] }).unwrap();
    drop(store);
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute("UPDATE mls_row SET tbl = 99", []).unwrap();
    drop(db);
    let error = SqliteStore::open(&path).unwrap().load(&group("g")).unwrap_err();
    assert!(error.to_string().contains("table 99, epoch 3, index 5"), "{error}");
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_the_files() {
    let (dir, path) = dir();
    let mut store = SqliteStore::open(&path).unwrap();
    let mut set = WriteSet::new();
    set.put("n", "k", "v");
    store.write(&set).unwrap();
    let mut seen = 0;
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let file = entry.unwrap().path();
        assert_eq!(mode(&file), 0o600, "{file:?}");
        seen += 1;
    }
    assert!(seen >= 2, "the database and its log");
}

#[cfg(unix)]
fn mode(path: &std::path::Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[cfg(unix)]
fn set_mode(path: &std::path::Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(unix)]
#[test]
fn a_store_that_others_can_read_becomes_its_owners_alone() {
    let (dir, path) = dir();
    drop(SqliteStore::open(&path).unwrap());
    set_mode(&path, 0o644);

    // What another tool, or a process that was killed, left beside it. The log that is there already
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
    let mut set = WriteSet::new();
    set.put("n", "k", "v");
    store.write(&set).unwrap();

    assert_eq!(mode(&path), 0o600);
    assert!(beside.iter().all(|file| !file.exists() || mode(file) == 0o600));
    assert!(beside[0].exists(), "the log");
}

#[cfg(unix)]
#[test]
fn another_programs_file_keeps_its_mode() {
    let (_dir, path) = dir();
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch("CREATE TABLE t (x)").unwrap();
    drop(db);
    set_mode(&path, 0o644);

    assert_eq!(SqliteStore::open(&path).unwrap_err(), StoreError::NotAStore(path.clone()));
    assert_eq!(mode(&path), 0o644);
}

#[test]
fn an_erased_value_is_in_no_file() {
    let (dir, path) = dir();
    let mut store = SqliteStore::open(&path).unwrap();
    let secret: Vec<u8> = (0..32).map(|i| 0xc0 ^ (i * 7)).collect();
    let mut batch = Batch::new(group("g"));
    put(&mut batch, Table::Ratchet, 1, 0, &secret);
    store.write(&WriteSet { batches: vec![batch], app: vec![] }).unwrap();
    let holds = || {
        std::fs::read_dir(dir.path()).unwrap().any(|entry| {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            bytes.windows(secret.len()).any(|w| w == secret)
        })
    };
    assert!(holds(), "the test would find it");

    let mut batch = Batch::new(group("g"));
    put(&mut batch, Table::Ratchet, 1, 0, &[1; 32]);
    store.write(&WriteSet { batches: vec![batch], app: vec![] }).unwrap();
    assert!(!holds(), "overwritten");

    // The application's keys, without any change to a group: the secrets of key packages are such.
    let mut app = |value: Option<&[u8]>| {
        let mut set = WriteSet::new();
        match value {
            Some(value) => set.put("key package", "k", value),
            None => set.delete("key package", "k"),
        }
        store.write(&set).unwrap();
    };
    app(Some(&secret));
    assert!(holds());
    app(None);
    assert!(!holds(), "deleted");
    app(Some(&secret));
    assert!(holds());
    app(Some(&[1; 32]));
    assert!(!holds(), "overwritten");
}

#[test]
fn a_set_counts_its_bytes() {
    let mut set = WriteSet::new();
    assert_eq!(set.bytes(), 0);
    let mut batch = Batch::new(group("g"));
    put(&mut batch, Table::Tree, 3, 5, b"12345");
    batch.rows.insert(RowKey::new(Table::Tree, 6), None);
    set.batch(batch);
    set.put("ns", "key", "value");
    assert_eq!(set.bytes(), 5 + 17 + 17 + 2 + 3 + 5);
}

/// Not a check but a measurement: `cargo test -p conclave-store --release -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn how_long_a_commit_takes() {
    let (_dir, path) = dir();
    let mut store = SqliteStore::open(&path).unwrap();
    for (what, rows) in [("application keys alone", 0), ("a group's rows", 20)] {
        let start = std::time::Instant::now();
        for i in 0..100u64 {
            let mut set = WriteSet::new();
            set.put("cursor", "k", i.to_be_bytes());
            let mut batch = Batch::new(group("g"));
            (0..rows).for_each(|r| put(&mut batch, Table::Tree, u64::MAX, r, &[i as u8; 200]));
            if rows > 0 {
                set.batch(batch);
            }
            store.write(&set).unwrap();
        }
        println!("{what}: {:?} a commit", start.elapsed() / 100);
    }
}
