//! Encrypted stores whose files somebody without the key has changed.

use super::*;
use std::fmt::Debug;

fn is_damaged<T: Debug>(result: Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::Damaged(_))), "{result:?}");
}

/// A store with two groups, two rows each, and application values.
fn sample(path: &Path) {
    let mut store = open_encrypted(path);
    for name in ["g", "h"] {
        let mut set = row(Table::Ratchet, 1, 1, b"one");
        set.merge(row(Table::Ratchet, 1, 2, b"two"));
        set.merge(row(Table::SkippedKey, 2, 1, b"six"));
        for batch in &mut set.batches {
            batch.group_id = group(name);
        }
        store.write(&set).unwrap();
    }
    for (namespace, key) in [("n", "k"), ("n", "l"), ("m", "k")] {
        store.write(&app(namespace, key, Some(b"app"))).unwrap();
    }
}

/// Exchanges the values of the rows that two conditions find.
fn swap(path: &Path, table: &str, one: &str, other: &str) {
    let db = Connection::open(path).unwrap();
    let value = |at: &str| -> Vec<u8> {
        let select = format!("SELECT value FROM {table} WHERE {at}");
        db.query_row(&select, [], |r| r.get(0)).unwrap()
    };
    let values = [(one, value(other)), (other, value(one))];
    for (at, value) in values {
        let update = format!("UPDATE {table} SET value = ? WHERE {at}");
        assert_eq!(db.execute(&update, [value]).unwrap(), 1);
    }
}

#[test]
fn values_do_not_open_at_another_place() {
    let row = |number: u8, epoch: u64, table: u8, index: u64| {
        let epoch = crate::sqlite::ordered(epoch);
        let index = crate::sqlite::ordered(index);
        format!("(grp = {number} AND epoch = {epoch} AND tbl = {table} AND idx = {index})")
    };
    let here = row(1, 1, Table::Ratchet as u8, 1);
    for (what, there) in [
        ("index", row(1, 1, Table::Ratchet as u8, 2)),
        ("table and epoch", row(1, 2, Table::SkippedKey as u8, 1)),
        ("group", row(2, 1, Table::Ratchet as u8, 1)),
    ] {
        println!("{what}");
        let (_dir, path) = dir();
        sample(&path);
        swap(&path, "mls_row", &here, &there);
        let store = open_encrypted(&path);
        is_damaged(store.load(&group("g")));
        is_damaged(store.verify());
    }

    let here = "(namespace = 'n' AND key = x'6b')";
    for there in ["(namespace = 'n' AND key = x'6c')", "(namespace = 'm' AND key = x'6b')"] {
        let (_dir, path) = dir();
        sample(&path);
        swap(&path, "app", here, there);
        let store = open_encrypted(&path);
        is_damaged(store.get("n", b"k"));
        is_damaged(store.scan("n", &[], 9));
        is_damaged(store.verify());
    }

    let (_dir, path) = dir();
    sample(&path);
    edit(&path, "UPDATE app SET value = (SELECT value FROM mls_row LIMIT 1) WHERE namespace = 'm'");
    is_damaged(open_encrypted(&path).get("m", b"k"));
}

#[test]
fn keys_cannot_be_renamed() {
    for sql in [
        "UPDATE mls_row SET tbl = 6 WHERE tbl = 5",
        "UPDATE mls_row SET epoch = epoch + 100",
        "UPDATE mls_row SET grp = grp + 5",
        "UPDATE mls_row SET idx = idx - 1 WHERE idx = (SELECT min(idx) FROM mls_row)",
    ] {
        let (_dir, path) = dir();
        sample(&path);
        assert_ne!(edit(&path, sql), 0);
        let store = open_encrypted(&path);
        is_damaged(store.load(&group("g")));
    }

    for sql in [
        "UPDATE app SET namespace = 'x' WHERE namespace = 'm'",
        "UPDATE app SET key = x'78' WHERE namespace = 'm'",
    ] {
        let (_dir, path) = dir();
        sample(&path);
        assert_eq!(edit(&path, sql), 1);
        is_damaged(open_encrypted(&path).verify());
    }

    for sql in [
        "UPDATE mls_group SET group_id = x'69' WHERE id = 1",
        "UPDATE mls_group SET id = 3 WHERE id = 1",
    ] {
        let (_dir, path) = dir();
        sample(&path);
        assert_eq!(edit(&path, sql), 1);
        is_damaged(SqliteStore::open_encrypted(&path, &key(1), provider()));
    }
}

#[test]
fn values_of_another_store_with_the_same_key_do_not_open() {
    let (_dir, path) = dir();
    let other = path.with_file_name("other.db");
    sample(&path);
    sample(&other);

    let db = Connection::open(&path).unwrap();
    db.execute("ATTACH ? AS other", [other.to_str().unwrap()]).unwrap();
    let sql = "UPDATE app SET value = (SELECT value FROM other.app AS o
               WHERE o.namespace = app.namespace AND o.key = app.key)";
    assert_eq!(db.execute(sql, []).unwrap(), 3);
    drop(db);
    is_damaged(open_encrypted(&path).get("n", b"k"));
}

#[test]
fn cut_and_changed_values_do_not_open() {
    let (_dir, path) = dir();
    sample(&path);
    let db = Connection::open(&path).unwrap();
    let select = "SELECT value FROM app WHERE namespace = 'm'";
    let sealed: Vec<u8> = db.query_row(select, [], |r| r.get(0)).unwrap();
    drop(db);

    let cut = (0..sealed.len()).map(|len| sealed[..len].to_vec());
    let changed = (0..sealed.len()).map(|at| {
        let mut changed = sealed.clone();
        changed[at] ^= 1 << (at % 8);
        changed
    });
    let longer = [sealed.as_slice(), &[0]].concat();

    let mut store = open_encrypted(&path);
    for hostile in cut.chain(changed).chain([longer]) {
        let sql = "UPDATE app SET value = ? WHERE namespace = 'm'";
        store.db.execute(sql, [&hostile]).unwrap();
        is_damaged(store.get("m", b"k"));
        is_damaged(store.verify());
    }

    // A row cannot be replaced or deleted while it is damaged, as nobody knows what it was; its group can.
    store.db.execute("UPDATE mls_row SET value = x'00' WHERE grp = 1", []).unwrap();
    is_damaged(store.load(&group("g")));
    is_damaged(store.write(&row(Table::Ratchet, 1, 1, b"new")));
    let mut set = row(Table::Ratchet, 1, 1, b"new");
    set.batches[0].clear = true;
    store.write(&set).unwrap();
    assert_eq!(store.load(&group("g")).unwrap().len(), 1);
}

/// Keeps what a table holds, to bring it back.
fn keep(path: &Path, table: &str) {
    edit(path, &format!("CREATE TABLE old_{table} AS SELECT * FROM {table}"));
}

fn bring_back(path: &Path, table: &str, rows: &str) -> usize {
    edit(path, &format!("INSERT OR REPLACE INTO {table} SELECT * FROM old_{table} WHERE {rows}"))
}

const TABLES: [&str; 3] = ["mls_group", "mls_row", "group_sum"];

#[test]
fn an_older_row_is_found_when_its_group_is_loaded() {
    let (_dir, path) = dir();
    sample(&path);
    keep(&path, "mls_row");
    let mut store = open_encrypted(&path);
    store.write(&row(Table::Ratchet, 1, 1, b"new")).unwrap();
    drop(store);

    assert_eq!(bring_back(&path, "mls_row", "grp = 1"), 3);
    let store = open_encrypted(&path);
    is_damaged(store.load(&group("g")));
    assert_eq!(store.load(&group("h")).unwrap().len(), 3, "the other group is whole");
    is_damaged(store.verify());
}

#[test]
fn missing_and_resurrected_rows_are_found() {
    let (_dir, path) = dir();
    sample(&path);
    assert_eq!(edit(&path, "DELETE FROM mls_row WHERE grp = 1 AND tbl = 6"), 1);
    is_damaged(open_encrypted(&path).load(&group("g")));

    let (_dir, path) = dir();
    sample(&path);
    keep(&path, "mls_row");
    let mut store = open_encrypted(&path);
    let mut batch = Batch::new(group("g"));
    batch.deleted_epochs.insert(2);
    let mut set = WriteSet::new();
    set.batch(batch);
    store.write(&set).unwrap();
    assert_eq!(store.load(&group("g")).unwrap().len(), 2);
    drop(store);

    bring_back(&path, "mls_row", "grp = 1 AND tbl = 6");
    is_damaged(open_encrypted(&path).load(&group("g")));
}

#[test]
fn a_row_that_is_there_three_times_is_found() {
    let (_dir, path) = dir();
    sample(&path);
    keep(&path, "mls_row");
    // Without its primary key, the table takes a row again and again. An even number more would not
    // change an exclusive or.
    let db = Connection::open(&path).unwrap();
    let sql = "CREATE TABLE loose AS SELECT * FROM mls_row; DROP TABLE mls_row;
               ALTER TABLE loose RENAME TO mls_row;
               INSERT INTO mls_row SELECT * FROM old_mls_row WHERE grp = 1 AND tbl = 6;
               INSERT INTO mls_row SELECT * FROM old_mls_row WHERE grp = 1 AND tbl = 6;";
    db.execute_batch(sql).unwrap();
    drop(db);
    is_damaged(open_encrypted(&path).load(&group("g")));
}

#[test]
fn an_older_group_is_found_at_opening() {
    let change = |path: &Path| {
        let mut store = open_encrypted(path);
        store.write(&row(Table::Ratchet, 1, 1, b"new")).unwrap();
    };
    let delete = |path: &Path| {
        let mut set = WriteSet::new();
        let mut batch = Batch::new(group("g"));
        batch.clear = true;
        set.batch(batch);
        open_encrypted(path).write(&set).unwrap();
    };
    for later in [&change as &dyn Fn(&Path), &delete] {
        let (_dir, path) = dir();
        sample(&path);
        TABLES.iter().for_each(|table| keep(&path, table));
        later(&path);
        for (table, number) in TABLES.iter().zip(["id", "grp", "grp"]) {
            bring_back(&path, table, &format!("{number} = 1"));
        }
        is_damaged(SqliteStore::open_encrypted(&path, &key(1), provider()));
    }
}

#[test]
fn a_group_that_was_removed_is_missed_at_opening() {
    for sql in ["DELETE FROM group_sum WHERE grp = 1", "DELETE FROM mls_group WHERE id = 1"] {
        let (_dir, path) = dir();
        sample(&path);
        assert_eq!(edit(&path, sql), 1);
        is_damaged(SqliteStore::open_encrypted(&path, &key(1), provider()));
    }
}

#[test]
fn an_older_or_missing_application_value_is_found_by_verifying() {
    let (_dir, path) = dir();
    sample(&path);
    keep(&path, "app");
    let mut store = open_encrypted(&path);
    store.write(&app("n", "k", Some(b"new"))).unwrap();
    store.write(&app("n", "l", None)).unwrap();
    store.verify().unwrap();
    drop(store);
    for value in ["6b", "6c"] {
        let copy = path.with_file_name(value);
        std::fs::copy(&path, &copy).unwrap();
        bring_back(&copy, "app", &format!("namespace = 'n' AND key = x'{value}'"));
        let store = open_encrypted(&copy);
        assert_eq!(store.get("n", value.as_bytes()), Ok(None));
        // This is what the documentation says: reading it does not show it.
        store.scan("n", &[], 9).unwrap();
        is_damaged(store.verify());
    }

    edit(&path, "DELETE FROM app WHERE namespace = 'm'");
    is_damaged(open_encrypted(&path).verify());
}

#[test]
fn an_older_copy_of_the_whole_file_opens() {
    let (_dir, path) = dir();
    sample(&path);
    let copy = path.with_file_name("copy.db");
    std::fs::copy(&path, &copy).unwrap();
    let mut store = open_encrypted(&path);
    store.write(&row(Table::Ratchet, 1, 1, b"new")).unwrap();
    drop(store);

    // Not a promise but a limit, which the documentation states.
    std::fs::copy(&copy, &path).unwrap();
    let store = open_encrypted(&path);
    store.verify().unwrap();
    assert_eq!(store.load(&group("g")).unwrap()[0].1.expose(), b"one");
}

#[test]
fn a_changed_header_is_refused() {
    for (sql, is_wrong_key) in [
        ("UPDATE seal SET aead = 3", true),
        ("UPDATE seal SET aead = 1", true),
        ("UPDATE seal SET aead = 99", true),
        ("UPDATE seal SET salt = zeroblob(32)", true),
        ("UPDATE seal SET salt = x''", true),
        ("UPDATE seal SET key_check = zeroblob(32)", true),
        ("UPDATE seal SET key_check = x''", true),
        ("UPDATE seal SET sums = x''", false),
        ("UPDATE seal SET sums = zeroblob(104)", false),
        ("UPDATE seal SET salt = 'text'", false),
        ("DELETE FROM seal", false),
    ] {
        let (_dir, path) = dir();
        sample(&path);
        assert_eq!(edit(&path, sql), 1, "{sql}");
        let result = SqliteStore::open_encrypted(&path, &key(1), provider());
        if is_wrong_key {
            assert_eq!(result.unwrap_err(), StoreError::WrongKey(path), "{sql}");
        } else {
            is_damaged(result);
        }
    }
}

#[test]
fn a_damaged_store_is_not_given_a_new_key() {
    for sql in [
        "UPDATE app SET value = x'00' WHERE namespace = 'm'",
        "DELETE FROM app WHERE namespace = 'm'",
        "DELETE FROM mls_row WHERE grp = 1 AND tbl = 6",
    ] {
        let (_dir, path) = dir();
        sample(&path);
        assert_eq!(edit(&path, sql), 1);
        let mut store = open_encrypted(&path);
        is_damaged(store.rekey(&key(2), provider()));
        drop(store);
        drop(open_encrypted(&path));
    }
}
