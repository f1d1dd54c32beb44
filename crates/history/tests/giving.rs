//! What one device gives another of the same user.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "these are tests"
)]

mod room;

use conclave_content::{Draft, Expiration, ExpiryPolicy, MIMI_CONTENT};
use conclave_crypto::testing::TestRng;
use conclave_history::{
    Cursor, Entry, GIVEN_KEY_LEN, Given, Giver, Giving, History, Receiving, RoomPlace, RoomToGive,
    StreamError,
};
use conclave_provider_rustcrypto::RustCrypto;
use conclave_store::{MemoryStore, Secret};
use room::{ALICE, BOB, CATHY, NOW, ROOM, World, group};
use std::io::Cursor as Bytes;

const PHONE: &str = "bob/phone";

fn key() -> Secret {
    Secret::new(vec![9; GIVEN_KEY_LEN])
}

/// What a device gives of the room.
fn give(world: &World, since: u64) -> Vec<u8> {
    let mut giving = Giving::new(key(), vec![RoomToGive { group: group(), since }]);
    let mut file = Vec::new();
    loop {
        let reading = world.history.read(&world.store);
        if giving.step(&reading, (&RustCrypto::new(), &mut file), world.now).unwrap() {
            return file;
        }
    }
}

/// A device that came in by entry `before` of the log.
fn newcomer(before: u64) -> World {
    let mut world = World::new();
    world.store = MemoryStore::new();
    world.history = History::open(&mut world.store, &mut TestRng(2)).unwrap();
    world.last = before;
    world
}

fn place(before: u64) -> RoomPlace {
    RoomPlace { uri: ROOM.into(), me: BOB.into(), before, since: 0, bounds_expiry: false }
}

/// Takes a file, at most so many steps of it.
fn take_steps(
    world: &mut World,
    file: &[u8],
    place: &RoomPlace,
    steps: usize,
) -> Result<Option<Given>, StreamError> {
    let mut receiving = Receiving::new(key(), Bytes::new(file));
    let at = |id: &conclave_history::GroupId| (*id == group()).then(|| place.clone());
    let giver = Giver { device: PHONE, place: &at };
    for _ in 0..steps {
        let (history, store) = (&world.history, &mut world.store);
        let taken = receiving.step(history, store, (&RustCrypto::new(), &giver), world.now)?;
        if taken.is_some() {
            return Ok(taken);
        }
    }
    Ok(None)
}

fn take(world: &mut World, file: &[u8], place: &RoomPlace) -> Result<Given, StreamError> {
    take_steps(world, file, place, usize::MAX).map(Option::unwrap_or_default)
}

fn all(world: &World) -> Vec<Entry> {
    let (mut entries, mut after) = (Vec::new(), Some(Cursor::FIRST));
    while let Some(cursor) = after {
        let page = world.after(cursor, 500);
        (entries, after) = ([entries, page.entries].concat(), page.later);
    }
    entries
}

fn without_giver(entries: &[Entry]) -> Vec<Entry> {
    let mut entries = entries.to_vec();
    entries.iter_mut().for_each(|entry| entry.given_by = None);
    entries
}

/// More than a chunk and more than a segment, with all kinds of rows.
fn lively() -> World {
    let mut world = World::new();
    for n in 0..600 {
        let text = format!("n{n} {}", "padding ".repeat(20));
        let draft = match n {
            40 => Draft::markdown(&format!("[@bob]({BOB}), n40?")),
            50 => Draft::plain(&text).topic(b"topic"),
            _ => Draft::plain(&text),
        };
        let (id, _) = world.say(if n % 2 == 0 { ALICE } else { BOB }, draft);
        if n % 100 == 0 {
            world.say(CATHY, Draft::reaction(id, &["👍"]).unwrap());
            world.say(if n % 2 == 0 { ALICE } else { BOB }, Draft::plain("edited").replacing(id));
        }
        if n == 70 {
            world.say(ALICE, Draft::deletion(id));
        }
    }
    world.say(ALICE, Draft::plain(&"large ".repeat(20_000)));
    world.take(ALICE, "image/png", b"not content");
    world
}

#[test]
fn a_new_device_has_what_was_said_before_it_came_and_who_gave_it() {
    let old = lively();
    let file = give(&old, 0);
    let mut new = newcomer(old.last);
    let first = new.last + 1;
    for n in 0..3 {
        new.said(ALICE, &format!("live {n}"));
    }
    assert_eq!(new.unread(), (3, 0));

    let given = take(&mut new, &file, &place(0)).unwrap();
    assert_eq!(given, Given { rooms: 1, messages: 602, left_out: 0 });
    let entries = all(&new);
    let (before, live) = entries.split_at(602);
    assert_eq!(without_giver(before), all(&old));
    assert!(before.iter().all(|entry| entry.given_by.as_deref() == Some(PHONE)));
    assert!(live.iter().all(|entry| entry.given_by.is_none() && entry.number >= first));

    // Nothing of it is unread, and all of it is found.
    assert_eq!(new.unread(), (3, 0));
    for query in ["n599", "edited", "large", "live"] {
        assert!(!new.search(query).is_empty(), "{query}");
    }
    assert_eq!(new.search("n59"), old.search("n59"));
    let reading = new.history.read(&new.store);
    let mentions = reading.mentions(&group(), Cursor::LAST, 10).unwrap();
    assert_eq!(mentions.entries.len(), 1);
    let (mut count, mut before) = (0, Some(Cursor::LAST));
    while let Some(cursor) = before {
        let page = new.before(cursor, 100);
        (count, before) = (count + page.entries.len(), page.earlier);
    }
    assert_eq!(count, 605);

    // What comes next may be about it.
    let id = new.entry(1).unwrap().id;
    new.say(ALICE, Draft::deletion(id));
    assert_eq!(new.entry(1).unwrap().body.text(), "");
    let again = take(&mut new, &file, &place(0)).unwrap();
    assert_eq!(again.messages, 0);
    assert_eq!(new.entry(1).unwrap().body.text(), "");
}

#[test]
fn messages_around_the_end_of_the_index_come_into_the_right_segment() {
    let (mut old, mut some) = (World::new(), World::new());
    for n in 0..1_500 {
        let text = format!("n{n} words");
        old.said(ALICE, &text);
        if n % 3 == 0 {
            some.said(ALICE, &text);
        } else {
            some.last += 1;
        }
    }

    // The last messages of the first file are in no segment until a step of the second one, which also fills the segment
    // before them.
    let mut new = newcomer(1_500);
    take(&mut new, &give(&some, 0), &place(1_501)).unwrap();
    take(&mut new, &give(&old, 0), &place(1_501)).unwrap();
    assert_eq!(all(&new).len(), 1_500);
    is_found(&new);

    // An edit changes the segment in which the message should be.
    for number in 770..=800 {
        let id = new.entry(number).unwrap().id;
        new.say(ALICE, Draft::plain(&format!("changed{number}")).replacing(id));
        assert_eq!(new.search(&format!("changed{number}")), [number]);
    }
}

#[test]
fn a_room_in_which_nothing_was_said_since_is_given_too() {
    let old = lively();
    let mut new = newcomer(old.last);
    let file = give(&old, 0);
    // Entries that this device takes from the log itself are not given.
    let given = take(&mut new, &file, &place(old.last)).unwrap();
    assert_eq!(given.messages, 601);
    assert_eq!((new.unread(), new.room().messages), ((0, 0), 601));
    new.last = old.last - 1;
    new.take(ALICE, "image/png", b"not content");
    assert_eq!(new.unread(), (1, 0));
    assert_eq!(all(&new).last().unwrap().given_by, None);
}

#[test]
fn what_this_device_takes_itself_replaces_what_was_given() {
    let old = lively();
    let mut new = newcomer(old.last - 1);
    take(&mut new, &give(&old, 0), &place(u64::MAX)).unwrap();
    assert_eq!(new.room().messages, 602);
    new.take(ALICE, "image/png", b"not content");
    assert_eq!(new.room().messages, 602);
    assert_eq!(new.entry(old.last).unwrap().given_by, None);
    assert_eq!(new.unread(), (1, 0));
}

#[test]
fn what_was_deleted_or_has_expired_here_does_not_come_back() {
    let mut old = World::new();
    let regretted = old.said(ALICE, "regretted");
    let corrected = old.said(ALICE, "wrogn");
    let file_of_before = give(&old, 0);
    let burns = Draft::plain("burns").expiring(Expiration::after_reading(30));
    let burns = old.draft(ALICE, burns).bytes;
    old.take(ALICE, MIMI_CONTENT, &burns);

    // The new device has come in before the message that burns, has read it, and has lost it.
    let mut new = newcomer(2);
    new.take(ALICE, MIMI_CONTENT, &burns);
    new.say(ALICE, Draft::deletion(regretted));
    new.say(ALICE, Draft::plain("wrong").replacing(corrected));
    new.read_up_to(u64::MAX);
    new.now += 30;
    assert_eq!(new.expire(), [3]);
    for file in [file_of_before, give(&old, 0)] {
        take(&mut new, &file, &place(0)).unwrap();
        assert_eq!(new.numbers(), [1, 2]);
        assert_eq!((new.text(1).as_str(), new.text(2).as_str()), ("", "wrong"));
        assert!(!new.holds(b"regretted") && !new.holds(b"burns") && !new.holds(b"wrogn"));
    }
}

#[test]
fn expiry_is_obeyed_where_a_message_is_given() {
    let mut old = World::new();
    let at = |seconds: u64| Expiration::at(u32::try_from(NOW + seconds).unwrap());
    old.say(ALICE, Draft::plain("minute").expiring(at(60)));
    old.say(ALICE, Draft::plain("hour").expiring(at(3600)));
    old.say(ALICE, Draft::plain("read").expiring(Expiration::after_reading(300)));
    old.read_up_to(3);
    old.say(ALICE, Draft::plain("unread").expiring(Expiration::after_reading(300)));
    let file = give(&old, 0);

    let mut new = newcomer(4);
    new.now = NOW + 100;
    assert_eq!(take(&mut new, &file, &place(5)).unwrap().messages, 3);
    assert!(!new.holds(b"minute"));
    new.now = NOW + 300;
    assert_eq!(new.expire(), [3]);
    new.now = NOW + 400;
    assert_eq!(new.expire(), [4]);
    new.now = NOW + 3600;
    assert_eq!(new.expire(), [2]);
    // The giver leaves out what has expired there.
    old.now = NOW + 60;
    assert!(give(&old, 0).len() < file.len());
}

#[test]
fn what_a_room_makes_expire_does_so_where_it_is_given() {
    let mut old = World::new();
    old.expiry = ExpiryPolicy::Within { required: true, min: 60, max: 3600, default: None };
    old.said(ALICE, "chose nothing");
    let late = Expiration::after_reading(100_000);
    old.say(ALICE, Draft::plain("burns late").expiring(late));
    old.take(ALICE, "text/plain", b"of an older version");
    let file = give(&old, 0);

    let bounding = RoomPlace { bounds_expiry: true, ..place(5) };
    let mut new = newcomer(4);
    new.now = NOW + 100;
    assert_eq!(take(&mut new, &file, &bounding).unwrap().messages, 3);
    new.now = NOW + 3600;
    let mut expired = new.expire();
    expired.sort_unstable();
    // The second one counts as read when it was given, and ends no later than where it came from.
    assert_eq!(expired, [1, 2, 3]);
    assert!(new.numbers().is_empty());

    // What is over where it comes is not taken, nor what has another expiry than its room can have given it.
    let mut new = newcomer(4);
    new.now = NOW + 3600;
    assert_eq!(take(&mut new, &file, &bounding).unwrap().messages, 0);
    let given = take(&mut newcomer(4), &file, &place(5)).unwrap();
    assert_eq!((given.messages, given.left_out), (1, 2));
}

#[test]
fn only_what_both_sides_allow_is_given() {
    let mut old = World::new();
    old.said(ALICE, "older");
    old.now += 100;
    old.said(ALICE, "newer");
    let mut new = newcomer(2);
    assert_eq!(take(&mut new, &give(&old, NOW + 1), &place(9)).unwrap().messages, 1);
    assert_eq!(new.numbers(), [2]);

    let mut new = newcomer(2);
    let place = RoomPlace { since: NOW + 1, ..place(9) };
    assert_eq!(take(&mut new, &give(&old, 0), &place).unwrap().messages, 1);
    assert_eq!(new.numbers(), [2]);

    let mut new = newcomer(2);
    let mut receiving = Receiving::new(key(), Bytes::new(give(&old, 0)));
    let giver = Giver { device: PHONE, place: &|_| None };
    let mut given = None;
    while given.is_none() {
        let (history, store) = (&new.history, &mut new.store);
        given = receiving.step(history, store, (&RustCrypto::new(), &giver), NOW).unwrap();
    }
    assert_eq!(given, Some(Given::default()));
    assert!(new.history.read(&new.store).rooms().unwrap().is_empty());
}

#[test]
fn a_file_that_was_cut_or_changed_is_refused_and_changes_nothing() {
    let old = lively();
    let file = give(&old, 0);
    let mut new = newcomer(old.last);
    new.said(ALICE, "live");
    let before = new.rows();
    let mut changed = file.clone();
    *changed.last_mut().unwrap() ^= 1;
    let longer = [&file[..], &[0]].concat();
    for damaged in [&file[..file.len() - 1], &file[..70_000], &[], &longer, &changed] {
        let result = take(&mut new, damaged, &place(0));
        assert!(matches!(result, Err(StreamError::Damaged { .. })), "{result:?}");
        assert_eq!(new.rows(), before);
    }
    let mut wrong = Receiving::new(Secret::new(vec![1; GIVEN_KEY_LEN]), Bytes::new(file));
    let giver = Giver { device: PHONE, place: &|_| Some(place(0)) };
    let by = (&RustCrypto::new() as _, &giver);
    let result = wrong.step(&new.history, &mut new.store, by, NOW);
    assert!(matches!(result, Err(StreamError::Damaged { at: 0 })), "{result:?}");
}

#[test]
fn a_process_that_dies_in_between_goes_on_from_the_file() {
    let old = lively();
    let file = give(&old, 0);
    let mut whole = newcomer(old.last);
    whole.said(ALICE, "live");
    take(&mut whole, &file, &place(0)).unwrap();
    for steps in 1..9 {
        let mut new = newcomer(old.last);
        new.said(ALICE, "live");
        take_steps(&mut new, &file, &place(0), steps).unwrap();
        // What is here already is shown as it was.
        assert!(new.numbers().contains(&new.last), "{steps}");
        assert_eq!(new.unread(), (1, 0));
        take(&mut new, &file, &place(0)).unwrap();
        assert_eq!(new.rows(), whole.rows(), "{steps}");
        assert!(all(&new) == all(&whole), "{steps}");
        assert_eq!(new.search("n59"), whole.search("n59"));

        // Without the file, what was taken is shown and found.
        let mut lost = newcomer(old.last);
        lost.said(ALICE, "live");
        take_steps(&mut lost, &file, &place(0), steps).unwrap();
        is_found(&lost);
    }
}

/// Checks that pages from either end have the same messages, and that these are found.
fn is_found(world: &World) {
    let (mut backward, mut before) = (Vec::new(), Some(Cursor::LAST));
    while let Some(cursor) = before {
        let page = world.before(cursor, 100);
        (backward, before) = ([page.entries, backward].concat(), page.earlier);
    }
    assert!(backward == all(world));
    for entry in backward.iter().step_by(7) {
        let Some(word) = entry
            .body
            .text()
            .split(' ')
            .next()
            .filter(|word| word.chars().next().is_some_and(char::is_alphanumeric))
        else {
            continue;
        };
        let reading = world.history.read(&world.store);
        let found = reading.search(&group(), word, Cursor(entry.number + 1), 1).unwrap();
        assert_eq!(found.entries.first().map(|found| found.number), Some(entry.number), "{word}");
    }
}

#[test]
fn each_step_of_taking_writes_little_however_much_is_here() {
    let mut old = World::new();
    for n in 0..3_000 {
        old.said(ALICE, &format!("n{n} and some words"));
    }
    let whole = give(&old, 0);
    // The device has taken the second half itself.
    let mut new = newcomer(1_500);
    for n in 1_500..3_000 {
        new.said(ALICE, &format!("n{n} and some words"));
    }

    let place = place(0);
    let at = |id: &conclave_history::GroupId| (*id == group()).then(|| place.clone());
    let giver = Giver { device: PHONE, place: &at };
    let mut receiving = Receiving::new(key(), Bytes::new(whole));
    let mut steps = 0;
    loop {
        let before = new.store.bytes_written();
        let by = (&RustCrypto::new() as _, &giver);
        let taken = receiving.step(&new.history, &mut new.store, by, NOW).unwrap();
        // 200 messages, their marks, and three segments at most.
        let written = new.store.bytes_written() - before;
        assert!(written < 200 * 600 + 3 * 8_000, "{written} bytes in a step");
        steps += 1;
        // What was taken until now is shown and found at once.
        let page = new.after(Cursor::FIRST, 1);
        if let Some(entry) = page.entries.first().filter(|entry| entry.number == 1) {
            assert_eq!(entry.body.text(), "n0 and some words");
            assert_eq!(new.search("n0"), [1]);
        }
        assert_eq!(new.search("n2999"), [3_000]);
        if taken.is_some() {
            break;
        }
    }
    assert!(steps >= 2 * 15, "{steps}");
    assert!(all(&new).len() == 3_000);
    is_found(&new);
    let segments = conclave_store::Store::scan(&new.store, "h.words", &[], 100).unwrap().len();
    assert!(segments <= 3_000 / 256 + 3, "{segments} segments");
}

#[test]
fn messages_between_those_that_are_here_are_shown_and_found() {
    let mut old = World::new();
    for n in 0..1_200 {
        old.said(
            if n % 2 == 0 { ALICE } else { CATHY },
            &format!("n{n} {}", "word ".repeat(n % 7)),
        );
    }
    let file = give(&old, 0);
    // One device gave each third message, in blocks, before; the others come from another.
    for block in [1, 5, 300] {
        let mut some = World::new();
        for n in 0..1_200 {
            if n / block % 3 == 0 {
                some.said(
                    if n % 2 == 0 { ALICE } else { CATHY },
                    &format!("n{n} {}", "word ".repeat(n % 7)),
                );
            } else {
                some.last += 1;
            }
        }
        let mut new = newcomer(1_200);
        for n in 0..300 {
            new.said(ALICE, &format!("live{n} x"));
        }
        take(&mut new, &give(&some, 0), &place(0)).unwrap();
        is_found(&new);
        take(&mut new, &file, &place(0)).unwrap();
        assert_eq!(all(&new).len(), 1_500);
        is_found(&new);

        // What changes is changed in the index, too.
        for number in [1, 256, 600, 1_200] {
            let id = new.entry(number).unwrap().id;
            let by = if number % 2 == 1 { ALICE } else { CATHY };
            new.say(by, Draft::plain(&format!("changed{number}")).replacing(id));
            assert_eq!(new.search(&format!("changed{number}")), [number]);
        }
        is_found(&new);
    }
}

#[test]
fn a_message_that_is_not_the_one_of_its_identifier_is_left_out() {
    let mut old = World::new();
    old.said(ALICE, "as it was said");
    old.said(ALICE, "another one");
    // A row of the giver's is changed.
    let mut set = conclave_store::WriteSet::new();
    for (key, row) in conclave_store::Store::scan(&old.store, "h.message", &[], 9).unwrap() {
        let mut row = row.expose().to_vec();
        if let Some(at) = row.windows(4).position(|window| window == b"said") {
            row[at] = b'p';
        }
        set.put("h.message", key, row);
    }
    conclave_store::Store::write(&mut old.store, &set).unwrap();
    let mut new = newcomer(2);
    let given = take(&mut new, &give(&old, 0), &place(9)).unwrap();
    assert_eq!(given, Given { rooms: 1, messages: 1, left_out: 1 });
    assert_eq!(new.numbers(), [2]);
}
