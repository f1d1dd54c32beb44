//! A history as a file under a passphrase.
#![cfg(feature = "backup")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "these are tests")]

mod room;
#[path = "room/without_aes.rs"]
mod without_aes;

use conclave_content::{Draft, Expiration};
use conclave_history::{BackupError, Cursor, History, Restored, Unsent};
use conclave_provider_rustcrypto::RustCrypto;
use conclave_store::{KeyFileError, MemoryStore, Secret, Store};
use room::{ALICE, BOB, CATHY, NOW, ROOM, World, group, numbers};
use without_aes::WithoutAes;

fn passphrase(text: &str) -> Secret {
    Secret::copy_from(text.as_bytes())
}

fn back_up(world: &World) -> Vec<u8> {
    let mut file = Vec::new();
    let reading = world.history.read(&world.store);
    reading.back_up(&RustCrypto::new(), &passphrase("right"), &mut file).unwrap();
    file
}

/// A new device, with a history of its own.
fn elsewhere() -> World {
    let mut world = World::new();
    world.store = MemoryStore::new();
    let mut rng = conclave_crypto::testing::TestRng(2);
    world.history = History::open(&mut world.store, &mut rng).unwrap();
    world
}

fn restore(world: &mut World, file: &[u8]) -> Result<Restored, BackupError> {
    let provider = RustCrypto::new();
    let now = world.now;
    let sealed_by = (&provider as _, &passphrase("right"));
    world.history.restore(&mut world.store, sealed_by, &mut &*file, now)
}

/// More than a chunk and more than a segment, with all kinds of rows.
fn lively() -> World {
    let mut world = World::new();
    for n in 0..600 {
        let text = format!("n{n} {}", "padding ".repeat(20));
        let draft = Draft::plain(&text).topic(if n == 50 { b"topic" } else { b"" });
        let (id, _) = world.say(if n % 2 == 0 { ALICE } else { BOB }, draft);
        if n % 100 == 0 {
            world.say(CATHY, Draft::reaction(id, &["👍"]).unwrap());
            world.say(ALICE, Draft::plain(&format!("n{n} edited")).replacing(id));
        }
    }
    let expires = Expiration::at(u32::try_from(NOW + 60).unwrap());
    world.say(ALICE, Draft::plain("soon gone").expiring(expires));
    world.say(ALICE, Draft::plain("burns").expiring(Expiration::after_reading(30)));
    world.say(ALICE, Draft::plain(&"large ".repeat(20_000)));
    world.read_up_to(300);
    world
}

#[test]
fn a_restored_history_is_the_one_that_was_backed_up() {
    let world = lively();
    let file = back_up(&world);
    let mut restored = elsewhere();
    let written = restore(&mut restored, &file).unwrap();
    assert_eq!(written, Restored { rooms: 1, messages: 603 });

    let all = |world: &World| {
        let mut entries = world.after(Cursor::FIRST, 500).entries;
        entries.extend(world.after(Cursor(entries.last().unwrap().number), 500).entries);
        entries
    };
    assert_eq!(all(&restored), all(&world));
    assert_eq!(restored.room(), world.room());
    assert_eq!(restored.rows(), world.rows());
    for query in ["n599", "edited", "soon", "large"] {
        assert_eq!(restored.search(query), world.search(query), "{query}");
    }

    // It goes on: references are found, and what expires does.
    restored.last = world.last;
    let first = restored.entry(1).unwrap();
    restored.say(ALICE, Draft::deletion(first.id));
    assert!(!restored.search("edited").contains(&1));
    restored.now = NOW + 60;
    assert_eq!(restored.expire().len(), 1);
}

#[test]
fn a_restoration_adds_what_is_missing_and_changes_nothing_else() {
    let mut world = lively();
    let file = back_up(&world);
    // It has gone on, and lost the first half.
    let newer = world.said(ALICE, "newer");
    let mut restored = elsewhere();
    restored.last = world.last;
    restored.take(ALICE, "application/mimi-content", b"");
    restored.say(ALICE, Draft::plain("newer n1"));
    assert_ne!(restored.entry(restored.last).unwrap().id, newer);

    let written = restore(&mut restored, &file).unwrap();
    assert_eq!(written.messages, 603);
    assert_eq!(restored.room().messages, 605);
    assert_eq!(restored.search("newer"), [restored.last]);
    assert_eq!(restored.search("n59").len(), 11);
    let (mut all, mut before) = (0, Some(Cursor::LAST));
    while let Some(cursor) = before {
        let page = restored.before(cursor, 100);
        (all, before) = (all + page.entries.len(), page.earlier);
    }
    assert_eq!(all, 605);

    // A second time, there is nothing to add.
    let again = restore(&mut restored, &file).unwrap();
    assert_eq!(again.messages, 0);
    assert_eq!(restored.room().messages, 605);
}

#[test]
fn a_room_that_was_here_for_its_draft_gets_its_places_from_the_backup_and_keeps_the_draft() {
    let world = lively();
    let file = back_up(&world);
    let mut other = elsewhere();
    let here = Unsent { text: "written here".into(), in_reply_to: None };
    let mut recording = other.history.record(&other.store, NOW);
    recording.keep_unsent((&group(), ROOM), &here).unwrap();
    let set = recording.finish();
    other.store.write(&set).unwrap();

    restore(&mut other, &file).unwrap();

    let [before, after] = [&world, &other].map(|world| {
        let room = world.history.read(&world.store).room(&group()).unwrap().unwrap();
        (room.messages, room.unread, room.read_up_to, room.last_taken)
    });
    assert_eq!(before, after);
    assert_eq!(other.history.read(&other.store).unsent(&group()).unwrap(), here);
}

#[test]
fn a_cut_or_changed_file_restores_what_was_before() {
    let world = lively();
    let file = back_up(&world);
    let mut longer = file.clone();
    longer.push(0);
    let mut changed = file.clone();
    changed[70_000] ^= 1;
    // The first two chunks, exchanged.
    let (head, chunk) = (conclave_store::KeyFile::LEN, (64 << 10) + 16);
    let mut exchanged = file[..head].to_vec();
    exchanged.extend(&file[head + chunk..head + 2 * chunk]);
    exchanged.extend(&file[head..head + chunk]);
    exchanged.extend(&file[head + 2 * chunk..]);
    for damaged in [&file[..file.len() - 1], &file[..head + chunk], &longer, &changed, &exchanged] {
        let mut restored = elsewhere();
        let result = restore(&mut restored, damaged);
        assert!(matches!(result, Err(BackupError::Damaged { .. })), "{result:?}");
    }

    let mut restored = elsewhere();
    let half = restore(&mut restored, &file[..head + chunk + 100]);
    assert!(matches!(half, Err(BackupError::Damaged { .. })));
    let there = restored.room().messages;
    assert!((100..600).contains(&there), "{there}");
    let rest = restore(&mut restored, &file).unwrap();
    assert_eq!(there + rest.messages, 603);
    assert_eq!(restored.search("n599"), world.search("n599"));
    assert_eq!(restored.rows(), world.rows());
}

#[test]
fn a_backup_shows_nothing_and_opens_by_its_passphrase_alone() {
    let world = lively();
    let file = back_up(&world);
    assert!(!file.windows(5).any(|window| window == b"alice" || window == b"large"));
    let mut restored = elsewhere();
    let provider = RustCrypto::new();
    let wrong = (&provider as _, &passphrase("wrong"));
    let result = restored.history.restore(&mut restored.store, wrong, &mut &*file, NOW);
    assert!(matches!(result, Err(BackupError::Key(KeyFileError::WrongPassphrase))));
    for not_a_backup in [&b""[..], &[0; 1000], &file[..50]] {
        let result = restore(&mut restored, not_a_backup);
        assert!(matches!(result, Err(BackupError::Key(KeyFileError::Format))));
    }
}

#[test]
fn what_has_expired_since_is_not_restored() {
    let world = lively();
    let file = back_up(&world);
    let mut restored = elsewhere();
    restored.now = NOW + 60;
    assert_eq!(restore(&mut restored, &file).unwrap().messages, 602);
    assert!(restored.search("gone").is_empty());
    assert!(!numbers(&restored.before(Cursor::LAST, 10).entries).is_empty());
    assert_eq!(
        restored.history.read(&restored.store).room(&group()).unwrap().unwrap().messages,
        602
    );
}

#[test]
fn a_backup_opens_by_the_aead_that_it_was_made_with() {
    let mut world = World::new();
    world.said(ALICE, "made without AES");
    let mut file = Vec::new();
    let reading = world.history.read(&world.store);
    let provider = WithoutAes(RustCrypto::new());
    reading.back_up(&provider, &passphrase("right"), &mut file).unwrap();
    let mut restored = elsewhere();
    assert_eq!(restore(&mut restored, &file).unwrap().messages, 1);
    assert_eq!(restored.search("AES"), [1]);
}
