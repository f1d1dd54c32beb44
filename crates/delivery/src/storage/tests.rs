use super::*;
use std::path::Path;

fn registered(storage: &SqliteStorage, name: &str) -> DeviceId {
    let device = DeviceInfo {
        device: name.parse().unwrap(),
        cipher_suite: CipherSuite(1),
        signature_key: vec![1].into(),
        registered_at: 7,
    };
    storage.register(&device).unwrap().device
}

fn group(storage: &SqliteStorage, creator: &DeviceId) -> GroupId {
    let group_id = GroupId::from([1]);
    let new = NewGroup {
        group_id: group_id.clone(),
        tracked: false,
        epoch: 0,
        request_hash: [0; 32],
        creator: creator.clone(),
        members: vec![creator.clone()],
        rows: None,
        now: 7,
    };
    assert_eq!(storage.create_group(new, 1), Ok(GroupAdded::There));
    group_id
}

fn entry(group_id: &GroupId, sender: &DeviceId, n: u8) -> Append {
    Append {
        group_id: group_id.clone(),
        expected_handshake: None,
        epoch: 0,
        content_type: ContentType::Application,
        sender: sender.clone(),
        received_at: 7,
        hash: [n; 32],
        message: [n].into(),
        commit: None,
        rows: None,
    }
}

fn open(path: &Path) -> SqliteStorage {
    SqliteStorage::open(path).unwrap()
}

#[test]
fn a_commit_must_name_the_last_handshake_message() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let me = registered(&storage, "a/b");
    let id = group(&storage, &me);
    let commit = |expected, n| Append {
        expected_handshake: Some(expected),
        content_type: ContentType::Commit,
        commit: Some(CommitEffects::default()),
        ..entry(&id, &me, n)
    };
    storage.append(entry(&id, &me, 1)).unwrap();
    assert_eq!(storage.append(commit(0, 2)), Ok(Appended::Won(2)), "messages do not count");
    let now = GroupRecord { tracked: false, epoch: 1, head: 2, handshake: 2 };
    assert_eq!(storage.append(commit(0, 3)), Ok(Appended::Lost(now)));
    let found = Found { seq: 2, epoch: 0, sender: me.clone() };
    assert_eq!(storage.append(commit(0, 2)), Ok(Appended::Known(found)), "the same again");
    assert_eq!(storage.group(&id).unwrap().unwrap().head, 2);
}

#[test]
fn a_step_that_fails_leaves_nothing_and_harms_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let me = registered(&storage, "a/b");
    let id = group(&storage, &me);
    let nobody: DeviceId = "x/y".parse().unwrap();
    std::thread::scope(|scope| {
        for n in 0..40 {
            let (storage, id, me, nobody) = (&storage, &id, &me, &nobody);
            scope.spawn(move || {
                // The entry is written before the unknown member is found.
                let added = if n % 2 == 0 { vec![nobody.clone()] } else { vec![me.clone()] };
                let effects = CommitEffects { added, ..CommitEffects::default() };
                let append = Append { epoch: n.into(), commit: Some(effects), ..entry(id, me, n) };
                assert_eq!(storage.append(append).is_ok(), n % 2 == 1);
            });
        }
    });
    let log = storage.log(&id, 0, u64::MAX, 100, usize::MAX).unwrap();
    let seqs: Vec<u64> = log.iter().map(|e| e.seq).collect();
    assert_eq!(seqs, (1..=20).collect::<Vec<_>>());
    assert!(log.iter().all(|e| e.epoch % 2 == 1));
}

#[test]
fn a_later_format_and_a_strange_file_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let path = dir.path().join("delivery.db");
    let db = rusqlite::Connection::open(&path).unwrap();
    db.pragma_update(None, "user_version", 9).unwrap();
    drop(db);
    let error = SqliteStorage::open(dir.path()).unwrap_err();
    assert!(matches!(&error, StorageError::Format(what) if what.contains("format 9")), "{error}");

    let other = tempfile::tempdir().unwrap();
    let db = rusqlite::Connection::open(other.path().join("delivery.db")).unwrap();
    db.execute_batch("CREATE TABLE t (x)").unwrap();
    drop(db);
    let error = SqliteStorage::open(other.path()).unwrap_err();
    assert!(matches!(error, StorageError::Format(_)), "{error}");
}

#[test]
fn a_page_ends_when_it_is_long_enough() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let me = registered(&storage, "a/b");
    let id = group(&storage, &me);
    for n in 0..10 {
        let message = vec![n; 100].into();
        storage.append(Append { message, ..entry(&id, &me, n) }).unwrap();
    }
    let seqs = |after, up_to, limit, bytes| {
        let log = storage.log(&id, after, up_to, limit, bytes).unwrap();
        log.iter().map(|e| e.seq).collect::<Vec<_>>()
    };
    assert_eq!(seqs(2, 9, 100, 250), [3, 4, 5], "at least one, and no more after enough");
    assert_eq!(seqs(0, 2, 100, 1), [1]);
    assert_eq!(seqs(7, 9, 100, 10_000), [8, 9]);
    assert_eq!(seqs(0, 9, 4, 10_000), [1, 2, 3, 4]);
    assert_eq!(seqs(u64::MAX, u64::MAX, 4, 10_000), []);
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
