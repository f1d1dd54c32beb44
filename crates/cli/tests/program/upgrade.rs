//! A service whose database is of an earlier format is upgraded while people wait for it: real processes, whose states
//! are as old as the database.
//!
//! `vectors/live/format-N` holds what was left when a service of format N and its users were stopped: its database,
//! their states, and the time. `cargo test -p conclave-cli --test program upgrade:: -- --ignored` writes that of the current
//! format.

#![cfg(unix)]

use crate::common::{CONCLAVE, PATIENCE, Process, preloaded, run};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Who is in the group from its beginning to its end.
const FRIENDS: [&str; 3] = ["alice", "bob", "carol"];

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/live")
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A service and its users, whose clocks show one time.
struct Town {
    folder: tempfile::TempDir,
    address: String,
    clock: Option<(PathBuf, String)>,
}

impl Town {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("service")).unwrap();
        // A port that is free now.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        Self { folder, address, clock: None }
    }

    /// The one that was left at a time, an hour later; none where clocks cannot be set.
    fn left_in(golden: &Path) -> Option<Self> {
        let mut town = Self::new();
        let library = preloaded("clock")?;
        let time: i64 =
            std::fs::read_to_string(golden.join("time")).unwrap().trim().parse().unwrap();
        let off = time + 3600 - i64::try_from(now()).unwrap();
        town.clock = Some((library, off.to_string()));
        std::fs::copy(golden.join("service.db"), town.database()).unwrap();
        for user in FRIENDS.iter().chain(&["dave"]) {
            let state = town.state(user);
            std::fs::create_dir_all(state.parent().unwrap()).unwrap();
            std::fs::copy(golden.join(format!("{user}.sqlite")), state).unwrap();
        }
        Some(town)
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("service/delivery.db")
    }

    fn state(&self, user: &str) -> PathBuf {
        self.folder.path().join("users").join(user).join("main/state.sqlite")
    }

    fn start(&self, name: &str, args: &[&str], folder: &str) -> Process {
        let mut command = Command::new(CONCLAVE);
        command.args(args).arg("--data").arg(self.folder.path().join(folder));
        if let Some((library, off)) = &self.clock {
            command.env("LD_PRELOAD", library).env("CONCLAVE_CLOCK", off);
        }
        Process::of(name.into(), command)
    }

    fn service(&self) -> Process {
        let service = self.start("service", &["serve", "--listen", &self.address], "service");
        service.until("listening on");
        service
    }

    fn chat(&self, name: &'static str) -> Person {
        let url = format!("http://{}", self.address);
        let args = ["chat", name, "--server", &url, "--stay"];
        Person { name, process: self.start(name, &args, "users"), seen: BTreeMap::new() }
    }
}

/// Somebody's messenger that stays.
struct Person {
    name: &'static str,
    process: Process,
    /// By number: who said what.
    seen: BTreeMap<u64, (String, String)>,
}

impl Person {
    /// Reads until a line that begins like this. Whatever is shown on the way comes once, in order, and is no error.
    fn until(&mut self, begin: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < deadline, "{}: no {begin:?}", self.name);
            let line = self.process.line().unwrap();
            let words: Vec<&str> = line.splitn(6, ' ').collect();
            match *words.as_slice() {
                ["message", "tea", seq, sender, _, text] => {
                    let seq = seq.parse().unwrap();
                    let last = self.seen.last_key_value().map_or(0, |(seq, _)| *seq);
                    assert!(seq > last, "{}: {line} after {last}", self.name);
                    self.seen.insert(seq, (sender.into(), text.into()));
                }
                ["failed" | "unreadable" | "error" | "reset" | "rejoined", ..] => {
                    panic!("{}: {line}", self.name)
                }
                _ => {}
            }
            if line.starts_with(begin) {
                return line;
            }
        }
    }

    fn until_said(&mut self, text: &str) {
        while !self.seen.values().any(|(_, said)| said == text) {
            self.until("message tea ");
        }
    }

    fn says(&mut self, text: &str) {
        self.process.write(text);
    }

    fn leaves(mut self) {
        assert_eq!(self.process.end_now(), Some(0), "{}", self.name);
    }
}

/// Everybody says something, and everybody reads it.
fn all_talk(people: &mut [Person], about: &str) {
    let said: Vec<String> = people.iter().map(|p| format!("{} on {about}", p.name)).collect();
    people.iter_mut().zip(&said).for_each(|(person, text)| person.says(text));
    for person in people.iter_mut() {
        said.iter().for_each(|text| person.until_said(text));
    }
}

/// All have seen the same, as far as they were there.
fn all_agree(people: &[Person]) {
    let whole = &people.iter().max_by_key(|person| person.seen.len()).unwrap().seen;
    for person in people {
        let first = person.seen.first_key_value().map_or(0, |(seq, _)| *seq);
        let since: BTreeMap<_, _> = whole.range(first..).collect();
        assert_eq!(person.seen.iter().collect::<BTreeMap<_, _>>(), since, "{}", person.name);
    }
}

/// The service stops and comes back under them, while all of them say something.
fn outlives_a_restart(town: &Town, mut service: Process, people: &mut [Person]) -> Process {
    assert_eq!(service.terminate(), 0);
    people.iter_mut().for_each(|person| {
        person.until("offline");
        person.says(&format!("{} while it is away", person.name));
    });
    let service = town.service();
    let said: Vec<String> = people.iter().map(|p| format!("{} while it is away", p.name)).collect();
    for person in people.iter_mut() {
        said.iter().for_each(|text| person.until_said(text));
    }
    service
}

fn goes_on(golden: &Path) {
    let Some(town) = Town::left_in(golden) else { return };
    let format = golden.file_name().unwrap().to_str().unwrap();
    // They are there before it is, with what they wrote before.
    let mut people: Vec<Person> = FRIENDS.iter().map(|name| town.chat(name)).collect();
    people.iter_mut().for_each(|person| drop(person.until("offline")));
    people[0].says("alice while it is upgraded");

    let service = town.service();
    let kept = town.folder.path().join(format!("service/delivery.db.{format}"));
    let is_current = format == format!("format-{}", current_format());
    assert!(is_current || service.until("the state was upgraded from").contains("format"));
    assert!(is_current || kept.exists(), "the database as it was");

    for person in &mut people {
        for text in
            ["alice before the upgrade", "bob before the upgrade", "alice while it is upgraded"]
        {
            person.until_said(text);
        }
    }
    // Carol was not there when they spoke.
    for text in ["one", "two", "three"] {
        people[2].until_said(text);
    }
    // Somebody's invitation has waited for him.
    let mut dave = town.chat("dave");
    dave.until("invited tea");
    dave.says("/accept tea");
    dave.until("note tea accepted");
    people.push(dave);
    all_talk(&mut people, "the upgrade");

    // Old key packages are good for a new group.
    people[0].says("/new cake");
    people[0].until("created cake");
    people[0].says("/invite carol");
    people[2].until("joined cake");
    [0, 2].into_iter().for_each(|who| people[who].says("/switch tea"));
    let mut service = outlives_a_restart(&town, service, &mut people);
    all_talk(&mut people, "the restart");
    all_agree(&people);
    people.into_iter().for_each(Person::leaves);
    assert_eq!(service.terminate(), 0);
    let data = town.database();
    let checked = run(&["admin", "check", "--data", data.parent().unwrap().to_str().unwrap()], b"");
    assert!(checked.has("all is well"), "{checked:?}");
}

/// The format that this version writes.
fn current_format() -> u32 {
    let folder = tempfile::tempdir().unwrap();
    drop(conclave_delivery::storage::SqliteStorage::open(folder.path()).unwrap());
    let db = Connection::open(folder.path().join("delivery.db")).unwrap();
    db.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

#[test]
fn people_talk_on_when_their_service_is_upgraded_under_them() {
    let mut tested = 0;
    for golden in std::fs::read_dir(vectors()).unwrap() {
        let golden = golden.unwrap().path();
        if golden.is_dir() {
            println!("{}", golden.display());
            goes_on(&golden);
            tested += 1;
        }
    }
    assert!(tested > 0);
}

/// The file's content without room for more.
fn keep(from: &Path, to: &Path) {
    let db = Connection::open(from).unwrap();
    let _ = std::fs::remove_file(to);
    db.execute("VACUUM INTO ?", [to.to_str().unwrap()]).unwrap();
}

#[test]
#[ignore = "it writes files that other versions read"]
fn write_what_a_service_and_its_users_leave() {
    let town = Town::new();
    let mut service = town.service();
    let mut dave = town.chat("dave");
    dave.until("ready");
    dave.leaves();
    let [mut alice, mut bob, mut carol] = FRIENDS.map(|name| town.chat(name));
    bob.until("ready");
    carol.until("ready");
    alice.says("/new tea classic");
    alice.until("created tea");
    for (name, friend) in [("bob", &mut bob), ("carol", &mut carol)] {
        alice.says(&format!("/invite {name}"));
        friend.until("invited tea");
        friend.says("/accept tea");
        friend.until("note tea accepted");
    }
    carol.leaves();
    alice.says("one");
    bob.until_said("one");
    bob.says("two");
    alice.until_said("two");
    alice.says("/invite dave");
    alice.until("added tea");
    alice.says("three");
    bob.until_said("three");

    assert_eq!(service.terminate(), 0);
    for person in [&mut alice, &mut bob] {
        person.until("offline");
        person.says(&format!("{} before the upgrade", person.name));
        person.says("/groups");
        assert!(person.until("group tea").ends_with("1 to send"));
    }
    // As a machine that stops.
    alice.process.kill_9();
    bob.process.kill_9();

    let golden = vectors().join(format!("format-{}", current_format()));
    std::fs::create_dir_all(&golden).unwrap();
    std::fs::write(golden.join("time"), format!("{}\n", now())).unwrap();
    keep(&town.database(), &golden.join("service.db"));
    for user in FRIENDS.iter().chain(&["dave"]) {
        keep(&town.state(user), &golden.join(format!("{user}.sqlite")));
    }
}
