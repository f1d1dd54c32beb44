//! What a history of 100,000 messages costs: `cargo bench-history`.
//!
//! It fills one room in a sealed `SqliteStore`, and measures what a messenger does with it: opens the store and the
//! room, turns pages, searches, counts what is unread. Each figure is the median and the worst of many runs, over the
//! file system of `--dir DIR` (the system's folder for temporary files). `--messages N` fills another number. At last all of it
//! is given to another device, which has a few messages itself: each step of that is what its messenger waits for.
//!
//! The floor beside it is the same content as rows of an SQLite file in the clear, by number, with nothing else.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a program for whoever measures"
)]

use conclave_content::{
    Draft, ExpiryPolicy, MIMI_CONTENT, MessageId, MessageStatus, MessageStatusReport, Salt,
};
use conclave_history::{
    Cursor, Event, GIVEN_KEY_LEN, Giver, Giving, GroupId, History, Receiving, RoomPlace,
    RoomToGive, nobody,
};
use conclave_provider_aws_lc::AwsLc;
use conclave_store::{Secret, SqliteStore, Store, WriteSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

const USERS: [&str; 5] = [
    "mimi://example.com/u/alice",
    "mimi://example.com/u/bob",
    "mimi://example.com/u/cathy",
    "mimi://example.com/u/dave",
    "mimi://example.com/u/erin",
];
const ROOM: &str = "mimi://example.com/r/0123456789abcdef0123456789abcdef";
const NOW: u64 = 1_800_000_000;
/// The table of the floor.
const FLOOR: &str = "floor";
/// How many messages are written in one step while the room is filled.
const BATCH: u64 = 500;

/// Text of a dozen words, of which some are in every third message and some in one alone.
struct Texts(u64);

impl Texts {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    /// A word: the lower its number, the more often.
    fn word(&mut self) -> String {
        let most = 1 << (3 + self.below(12));
        let mut n = self.below(most) + 1;
        let mut word = String::new();
        while n > 0 {
            word.push_str(["ka", "lo", "mi", "ne", "ru", "ta", "vi", "so"][(n % 8) as usize]);
            n /= 8;
        }
        word
    }

    fn text(&mut self, number: u64) -> String {
        let words: Vec<String> = (0..6 + self.below(12)).map(|_| self.word()).collect();
        let mut text = words.join(" ");
        if number.is_multiple_of(25_000) {
            text.push_str(&format!(" needle{number}"));
        }
        text
    }
}

struct Figures {
    dir: PathBuf,
    messages: u64,
}

fn arguments() -> Figures {
    let mut figures = Figures { dir: std::env::temp_dir(), messages: 100_000 };
    let mut arguments = std::env::args().skip(1);
    while let (Some(name), Some(value)) = (arguments.next(), arguments.next()) {
        match &*name {
            "--dir" => figures.dir = value.into(),
            "--messages" => figures.messages = value.parse().unwrap(),
            _ => println!("--dir DIR, --messages N"),
        }
    }
    figures
}

/// The median and the worst time of some runs.
fn measure(what: &str, runs: usize, mut run: impl FnMut(usize)) {
    let time = |n| {
        let start = Instant::now();
        run(n);
        start.elapsed()
    };
    show(what, (0..runs).map(time).collect());
}

/// The median and the worst of some times.
fn show(what: &str, mut times: Vec<Duration>) {
    let runs = times.len();
    times.sort_unstable();
    let ms = |time: &Duration| time.as_secs_f64() * 1000.0;
    println!("| {what} | {:.2} | {:.2} |", ms(&times[runs / 2]), ms(&times[runs - 1]));
}

fn main() {
    let Figures { dir, messages } = arguments();
    let folder = tempfile::tempdir_in(&dir).unwrap();
    let path = folder.path().join("history.db");
    let key = Secret::new(vec![7; 32]);
    let open = || SqliteStore::open_encrypted(&path, &key, Arc::new(AwsLc::new())).unwrap();
    let mut rng = conclave_crypto::testing::TestRng(1);
    let group = GroupId::from([5; 16].as_slice());
    let mut store = open();
    let history = History::open(&mut store, &mut rng).unwrap();

    let floor_path = folder.path().join("floor.db");
    let mut floor = SqliteStore::open(&floor_path).unwrap();

    let mut texts = Texts(0x9e37_79b9_7f4a_7c15);
    let (mut ids, mut text_bytes, mut content_bytes) = (Vec::new(), 0, 0);
    let start = Instant::now();
    let mut number = 0;
    while number < messages {
        let mut recording = history.record(&store, NOW);
        let mut plain = WriteSet::new();
        for _ in 0..BATCH.min(messages - number) {
            number += 1;
            let text = texts.text(number);
            let user = USERS[texts.below(5) as usize];
            let draft = match number % 20 {
                0 => Draft::markdown(&text).in_reply_to(*ids.last().unwrap()),
                _ => Draft::markdown(&text),
            };
            let salt = Salt(rng.bytes(16).try_into().unwrap());
            let sent = draft.finish(salt, user, ROOM).unwrap();
            ids.push(sent.id);
            text_bytes += text.len();
            content_bytes += sent.bytes.len();
            take(&mut recording, &group, number, user, &sent.bytes);
            plain.put(FLOOR, number.to_be_bytes(), sent.bytes);
        }
        let set = recording.finish();
        store.write(&set).unwrap();
        floor.write(&plain).unwrap();
    }
    println!(
        "{messages} messages, taken and written {BATCH} at a time in {:.1} s\n",
        start.elapsed().as_secs_f64()
    );
    drop((store, floor));

    let size = std::fs::metadata(&path).unwrap().len();
    let floor_size = std::fs::metadata(&floor_path).unwrap().len();
    let each = |bytes: u64| bytes as f64 / messages as f64;
    println!("| bytes of a message | |\n|---|---|");
    println!("| its text | {:.0} |", each(text_bytes as u64));
    println!("| its MIMI content | {:.0} |", each(content_bytes as u64));
    println!("| the floor: content alone, in the clear | {:.0} |", each(floor_size));
    println!("| in the sealed store, with index and marks | {:.0} |\n", each(size));

    println!("| milliseconds | median | worst |\n|---|---|---|");
    measure("open the store, the room, and its last 50 messages", 20, |_| {
        let store = open();
        let reading = history.read(&store);
        assert_eq!(reading.room(&group).unwrap().unwrap().messages, messages);
        assert_eq!(reading.before(&group, Cursor::LAST, 50).unwrap().entries.len(), 50);
    });
    measure("the floor: open the file, read its last 50 rows", 20, |_| {
        let floor = SqliteStore::open(&floor_path).unwrap();
        assert_eq!(rows(&floor, messages - 49, 50), 50);
    });
    let floor = SqliteStore::open(&floor_path).unwrap();
    measure("the floor: read any 50 rows", 200, |_| {
        assert_eq!(rows(&floor, 1 + texts.below(messages - 100), 50), 50);
    });
    measure("the floor: look into every row for a word", 5, |_| {
        let all = floor.scan(FLOOR, &[], usize::MAX).unwrap();
        let has_word = |row: &[u8]| row.windows(8).any(|word| word == b"haystack");
        assert!(!all.iter().any(|(_, row)| has_word(row.expose())));
    });
    let mut store = open();
    let reading = history.read(&store);
    measure("the last 50 messages", 50, |_| {
        assert_eq!(reading.before(&group, Cursor::LAST, 50).unwrap().entries.len(), 50);
    });
    measure("50 messages before any other", 200, |_| {
        let cursor = Cursor(100 + texts.below(messages - 100));
        assert_eq!(reading.before(&group, cursor, 50).unwrap().entries.len(), 50);
    });
    measure("50 messages after any other", 200, |_| {
        let cursor = Cursor(texts.below(messages - 100));
        assert_eq!(reading.after(&group, cursor, 50).unwrap().entries.len(), 50);
    });
    let search = |query: &str| reading.search(&group, query, Cursor::LAST, 20).unwrap();
    measure("search a word that each fifth message has", 50, |_| {
        assert_eq!(search("lo").entries.len(), 20);
    });
    measure("search a word that four messages have", 50, |n| {
        let number = messages / 4 * (n as u64 % 4 + 1);
        let expected = usize::from(number.is_multiple_of(25_000));
        assert_eq!(search(&format!("needle{number}")).entries.len(), expected);
    });
    measure("search a word that no message has", 50, |_| {
        assert!(search("haystack").entries.is_empty());
    });
    measure("search three words, until 20 are found", 50, |_| {
        let three = format!("{} {} {}", texts.word(), texts.word(), texts.word());
        let _ = search(&three);
    });
    measure("how many are unread, as a list of rooms shows", 50, |_| {
        assert!(reading.rooms().unwrap()[0].unread > 0);
    });
    measure("count what is unread after any message", 100, |_| {
        let mut recording = history.record(&store, NOW);
        recording.mark_read(&group, 1 + texts.below(messages - 1)).unwrap();
    });
    measure("take a message, without the write", 200, |n| {
        let sent = Draft::markdown(&texts.text(1)).finish(Salt([n as u8; 16]), USERS[1], ROOM);
        let mut recording = history.record(&store, NOW);
        take(&mut recording, &group, messages + 1, USERS[1], &sent.unwrap().bytes);
    });
    measure("edit any message, without the write", 200, |n| {
        let at = texts.below(messages) as usize;
        let draft = Draft::markdown("another text").replacing(ids[at]);
        // Whoever wrote it.
        let entry = reading.entry(&group, at as u64 + 1).unwrap().unwrap();
        let sent = draft.finish(Salt([n as u8; 16]), &entry.user, ROOM).unwrap();
        let mut recording = history.record(&store, NOW);
        take(&mut recording, &group, messages + 1, &entry.user, &sent.bytes);
    });
    measure("a report of the user that 256 messages are read", 50, |_| {
        let last: Vec<MessageId> = ids[ids.len() - 256..].to_vec();
        let report = Draft::status(&MessageStatusReport::of(MessageStatus::READ, last));
        let sent = report.finish(Salt([1; 16]), USERS[0], ROOM).unwrap();
        let mut recording = history.record(&store, NOW);
        take(&mut recording, &group, messages + 1, USERS[0], &sent.bytes);
    });
    let mut number = messages;
    measure("take a message and write it", 50, |n| {
        number += 1;
        let sent = Draft::markdown(&texts.text(1)).finish(Salt([n as u8; 16]), USERS[1], ROOM);
        let mut recording = history.record(&store, NOW);
        take(&mut recording, &group, number, USERS[1], &sent.unwrap().bytes);
        let set = recording.finish();
        store.write(&set).unwrap();
    });
    let other = folder.path().join("other.db");
    let other = SqliteStore::open_encrypted(&other, &key, Arc::new(AwsLc::new())).unwrap();
    give(&history, &store, &group, other);
}

/// Gives all messages to another device, which has taken the last ones from the log itself.
fn give(history: &History, store: &SqliteStore, group: &GroupId, mut other: SqliteStore) {
    let (provider, key) = (AwsLc::new(), Secret::new(vec![9; GIVEN_KEY_LEN]));
    let mut giving = Giving::new(key.clone(), vec![RoomToGive { group: group.clone(), since: 0 }]);
    let (mut file, mut times) = (Vec::new(), Vec::new());
    let mut is_over = false;
    while !is_over {
        let start = Instant::now();
        is_over = giving.step(&history.read(store), (&provider, &mut file), NOW).unwrap();
        times.push(start.elapsed());
    }
    show("give 200 messages to another device", times);

    let new = History::open(&mut other, &mut conclave_crypto::testing::TestRng(2)).unwrap();
    let messages = history.read(store).room(group).unwrap().unwrap().latest;
    for number in messages - 9..=messages {
        let entry = history.read(store).entry(group, number).unwrap().unwrap();
        let sent = Draft::markdown(entry.body.text()).finish(Salt([3; 16]), USERS[1], ROOM);
        let mut recording = new.record(&other, NOW);
        take(&mut recording, group, number, USERS[1], &sent.unwrap().bytes);
        let set = recording.finish();
        other.write(&set).unwrap();
    }

    let place = |_: &GroupId| {
        Some(RoomPlace {
            uri: ROOM.into(),
            me: USERS[0].into(),
            before: u64::MAX,
            since: 0,
            bounds_expiry: false,
        })
    };
    let giver = Giver { device: "alice/main", place: &place };
    let mut receiving = Receiving::new(key, std::io::Cursor::new(file));
    let (start, mut times, mut given) = (Instant::now(), Vec::new(), None);
    while given.is_none() {
        let start = Instant::now();
        given = receiving.step(&new, &mut other, (&provider, &giver), NOW).unwrap();
        times.push(start.elapsed());
    }
    let total = start.elapsed();
    // The first half of the steps checks the file.
    show("take 200 messages from another device", times.split_off(times.len() / 2));
    let found = new.read(&other).search(group, "needle25000", Cursor::LAST, 20).unwrap();
    assert_eq!(found.entries.len(), usize::from(messages >= 25_000));
    println!("\n{} messages are taken in {:.1} s", given.unwrap().messages, total.as_secs_f64());
}

/// Reads so many rows of the floor from a number on; how many there are.
fn rows(floor: &SqliteStore, from: u64, limit: usize) -> usize {
    floor.scan(FLOOR, &from.to_be_bytes(), limit).unwrap().len()
}

fn take(
    recording: &mut conclave_history::Recording<'_>,
    group: &GroupId,
    number: u64,
    user: &str,
    bytes: &[u8],
) {
    let device = format!("{}/phone", user.rsplit('/').next().unwrap());
    let event = Event {
        group,
        room: ROOM,
        me: USERS[0],
        number,
        time: NOW,
        user,
        device: &device,
        media_type: MIMI_CONTENT,
        bytes,
        may_replace: &nobody,
        expiry: ExpiryPolicy::Open,
    };
    recording.take(&event).unwrap();
}
