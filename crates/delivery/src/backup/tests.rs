//! Backups of a database that was used for a while.

use super::*;
use crate::storage::Storage;
use crate::testing::*;

fn golden() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let db = rusqlite::Connection::open(dir.path().join("delivery.db")).unwrap();
    db.execute_batch(include_str!("../../../../vectors/delivery/format-3.sql")).unwrap();
    dir
}

fn sql(data: &Path, text: &str) {
    let db = rusqlite::Connection::open(data.join("delivery.db")).unwrap();
    db.execute_batch(text).unwrap();
}

fn backup_of(data: &Path, to: &Path) -> Result<Inventory, BackupError> {
    backup(data, to, provider(), NOW)
}

#[test]
fn a_backup_of_a_running_service_is_restored_as_it_was() {
    let data = golden();
    let desk = Desk::open(data.path());
    let room = tempfile::tempdir().unwrap();
    let [first, second] = ["first", "second"].map(|name| room.path().join(name));
    let made = backup_of(data.path(), &first).unwrap();
    assert_eq!((made.counts.accounts, made.counts.groups, made.root), (5, 3, 2), "{made}");
    // The service goes on, and the backup does not change.
    let late = Own::new("late/pc", &mut Dice(9));
    desk.register(&late);

    let restored = restore(&first, &second, provider(), NOW).unwrap();
    assert_eq!(restored.counts, made.counts);
    assert!(!room.path().join("first.part").exists() && !room.path().join("second.part").exists());
    let storage = SqliteStorage::open(&second).unwrap();
    assert_eq!(storage.secret().unwrap(), SqliteStorage::read_secret(data.path()).unwrap());
    // Whoever has receipts of the first life does not take the second one for a lie.
    let begun = SqliteStorage::open(&first).unwrap().incarnation().unwrap();
    let anew = storage.incarnation().unwrap();
    assert_eq!((begun.number, anew.number), (1, 2));
    assert_ne!(begun.id, anew.id);
    assert!(storage.account(&late.id.user).unwrap().is_none());
}

#[test]
fn a_backup_of_an_earlier_format_is_upgraded_when_it_is_restored() {
    let (data, room) = (golden(), tempfile::tempdir().unwrap());
    let to = room.path().join("data");
    restore(data.path(), &to, provider(), NOW).unwrap();
    assert!(SqliteStorage::open(&to).unwrap().upgraded().is_none());
    assert!(!to.join("delivery.db.format-3").exists(), "the backup is that");
}

#[test]
fn what_is_there_is_not_overwritten() {
    let (data, room) = (golden(), tempfile::tempdir().unwrap());
    drop(SqliteStorage::open(data.path()).unwrap());
    let to = room.path().join("backup");
    backup_of(data.path(), &to).unwrap();
    assert!(matches!(backup_of(data.path(), &to), Err(BackupError::Exists(_))));
    let error = restore(&to, data.path(), provider(), NOW);
    assert!(matches!(error, Err(BackupError::Exists(_))), "{error:?}");
    std::fs::create_dir(room.path().join("empty")).unwrap();
    restore(&to, &room.path().join("empty"), provider(), NOW).unwrap();
}

#[test]
fn a_state_that_does_not_hold_is_no_backup_and_not_restored() {
    let faults = [
        ("UPDATE account_entry SET entry = zeroblob(9) WHERE user = 'bob'", "account of bob"),
        ("UPDATE account SET length = 2 WHERE user = 'bob'", "not what its log says"),
        ("UPDATE device SET active = 1 WHERE name = 'tablet'", "devices are not those"),
        ("DELETE FROM directory WHERE key = x'010000000000000001'", "directory"),
        ("UPDATE service SET secret = zeroblob(32)", "directory"),
        ("DELETE FROM log WHERE seq = 2", "has a gap"),
    ];
    for (fault, said) in faults {
        let (data, room) = (golden(), tempfile::tempdir().unwrap());
        drop(SqliteStorage::open(data.path()).unwrap());
        sql(data.path(), fault);
        let to = room.path().join("to");
        let error = backup_of(data.path(), &to).unwrap_err().to_string();
        assert!(error.contains(said), "{fault}: {error}");
        let error = restore(data.path(), &to, provider(), NOW).unwrap_err().to_string();
        assert!(error.contains(said), "{fault}: {error}");
        assert_eq!(std::fs::read_dir(room.path()).unwrap().count(), 0, "nothing is left");
    }
}

#[test]
fn backups_hold_that_are_made_while_others_write() {
    let (data, room) = (golden(), tempfile::tempdir().unwrap());
    let desk = Desk::open(data.path());
    let over = std::sync::atomic::AtomicBool::new(false);
    let made = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut dice = Dice(5);
            for n in 0.. {
                desk.register(&Own::new(&format!("user-{n}/pc"), &mut dice));
                if over.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
            }
        });
        let made: Vec<_> =
            (0..3).map(|n| backup_of(data.path(), &room.path().join(n.to_string()))).collect();
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        made
    });
    let users: Vec<u64> = made.into_iter().map(|made| made.unwrap().counts.accounts).collect();
    assert!(users.is_sorted() && users[0] < users[2], "nobody wrote meanwhile: {users:?}");
}
