//! Peeking with real processes: one has a device and writes, others read what waits and are killed at any moment.
//!
//! `CONCLAVE_PEEK_SECONDS=600 cargo test -p conclave-cli --test program peek:: -- --nocapture` does so for ten minutes;
//! `CONCLAVE_TEST_SEED=N` chooses the moments.

#![cfg(target_os = "linux")]

use crate::common::chats::{Chat, Dice, seed};
use crate::common::{CONCLAVE, DONE, Done, People, Process, Server, from_environment, run, signal};
use serde_json::{Value, json};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const NOTHING: Option<i32> = Some(3);

fn args(user: &str, url: &str, data: &Path, options: &[&str]) -> Vec<String> {
    let data = data.to_str().unwrap();
    let args = ["peek", "--user", user, "--server", url, "--data", data];
    args.iter().chain(options).map(|arg| arg.to_string()).collect()
}

fn peek(people: &People, user: &str, options: &[&str]) -> Done {
    run(&args(user, &people.server.url(), &people.data(), options), b"")
}

/// What a peek shows, without cursors and times.
fn shown(done: &Done) -> Vec<String> {
    let without_time = |line: &String| {
        let words: Vec<&str> = line.splitn(7, ' ').collect();
        [words[1..5].join(" "), words[6].into()].join(" ")
    };
    done.lines.iter().map(without_time).collect()
}

/// A messenger that holds its state, and does nothing until it is woken.
struct Asleep(Process);

impl Asleep {
    fn of(people: &People, user: &str) -> Self {
        let process = people.stay(user);
        process.until("ready ");
        signal(&process.child, "-STOP");
        Self(process)
    }

    fn wake(self) -> Process {
        signal(&self.0.child, "-CONT");
        self.0
    }
}

/// The files that copies of a state are in, and how long they are.
fn copies(folder: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().contains(".copy-") {
            // It may lose its name now.
            let length = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
            found.push((path, length));
        }
    }
    found
}

#[test]
fn a_peek_shows_what_waits_and_the_messenger_shows_it_all_the_same() {
    let people = People::new();
    for user in ["bob", "carol"] {
        people.chat(user, "");
    }
    people.chat("alice", "/new lunch\n/invite bob\nwelcome\n");
    people.chat("bob", "/accept\n");
    assert_eq!(peek(&people, "bob", &[]).code, NOTHING);

    let bob = Asleep::of(&people, "bob");
    let said = people.chat("alice", "**soup**\n/topic at noon\n");
    let soup = said.line("message lunch ").unwrap().split(' ').nth(2).unwrap();
    people.chat("alice", format!("/react {soup} +1\nor pasta?\n"));
    people.chat("carol", "/new dinner\n/invite bob\n");
    let done = peek(&people, "bob", &[]);
    assert_eq!(done.code, DONE, "{done:?}");
    // The topic is a commit between the two.
    let at = |n: u64| soup.parse::<u64>().unwrap() + n;
    assert_eq!(
        shown(&done),
        [
            format!("text lunch {} alice/main **soup**", at(0)),
            format!("reaction lunch {} alice/main +1", at(2)),
            format!("text lunch {} alice/main or pasta?", at(3)),
            "invitations - - - 1".into(),
        ]
    );
    assert_eq!(done.stderr, "", "{done:?}");
    assert_eq!(peek(&people, "bob", &[]).lines, done.lines, "it is there as before");

    let as_json = peek(&people, "bob", &["--json"]);
    let events: Vec<Value> =
        as_json.lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let pasta = &events[2];
    assert_eq!(pasta["text"], "or pasta?");
    assert_eq!(pasta["sender"], json!({ "user": "alice", "device": "main" }));
    assert_eq!((&pasta["room"]["name"], &pasta["cursor"]), (&json!("lunch"), &Value::Null));
    let invitations = events.last().unwrap();
    assert_eq!((&invitations["kind"], &invitations["count"]), (&json!("invitations"), &json!(1)));

    // What is said by a device itself does not wait for it.
    let mut bob = bob.wake();
    bob.until("invited ");
    bob.write("pasta");
    bob.until(&format!("message lunch {} bob/main", at(4)));
    assert_eq!(shown(&peek(&people, "bob", &[])), [""; 0]);
    assert_eq!(bob.end_now(), DONE);
    let all = people.chat("bob", "/history\n").lines.join("\n");
    for text in ["welcome", "**soup**", "or pasta?", "pasta"] {
        let count = all.lines().filter(|line| line.ends_with(&format!(" {text}"))).count();
        assert_eq!(count, 1, "{text}: {all}");
    }
}

#[test]
fn a_peek_needs_a_state_and_its_service_and_makes_nothing() {
    let mut people = People::new();
    let none = peek(&people, "bob", &[]);
    assert!(none.code == Some(1) && none.stderr.contains("state.sqlite is missing"), "{none:?}");
    assert!(!people.data().join("bob").exists(), "no folder was made");

    people.chat("bob", "");
    let nobody = run(&args("bob", "http://127.0.0.1:1", &people.data(), &[]), b"");
    assert!(nobody.code == Some(1) && nobody.stderr.contains("does not answer"), "{nobody:?}");
    // Another service at the address of the one that the device knows.
    people.restart_service_with("other");
    let other = peek(&people, "bob", &[]);
    assert!(other.code == Some(1) && other.stderr.contains("another service"), "{other:?}");
}

#[test]
fn a_device_that_a_messenger_was_killed_with_is_peeked_at() {
    let people = People::new();
    people.chat("bob", "");
    people.chat("alice", "/new lunch\n/invite bob\n");
    people.chat("bob", "/accept\n");
    let mut dice = Dice(seed(7));
    for n in 0..6 {
        let mut bob = people.stay("bob");
        bob.until("ready ");
        (0..20).for_each(|line| bob.write(&format!("{n} {line}")));
        thread::sleep(Duration::from_millis(dice.below(60)));
        bob.kill_9();
        people.chat("alice", format!("round {n}\n"));
        let done = peek(&people, "bob", &[]);
        assert!(shown(&done).iter().any(|line| line.ends_with(&format!(" round {n}"))), "{done:?}");
        assert!(!done.lines.iter().any(|line| line.contains("bob/main")), "{done:?}");
    }
}

/// Peeks at a user's device again and again until a given time, and kills every second peek at a random moment.
struct Peeker {
    args: Vec<String>,
    folder: PathBuf,
    /// How many peeks ended by themselves, how many were killed, and how many of the first showed something.
    counts: [u64; 3],
}

impl Peeker {
    fn new(user: &str, url: &str, data: &Path) -> Self {
        let folder = data.join(user).join("main");
        Self { args: args(user, url, data, &[]), folder, counts: [0; 3] }
    }

    fn start(&self) -> Child {
        let mut command = Command::new(CONCLAVE);
        command.args(&self.args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    fn run_until(mut self, end: Instant, mut dice: Dice) -> Self {
        let mut usual = Duration::from_millis(200);
        while Instant::now() < end {
            let begun = Instant::now();
            let done = self.start().wait_with_output().unwrap();
            usual = (usual + begun.elapsed()) / 2;
            let (code, why) = (done.status.code(), String::from_utf8(done.stderr).unwrap());
            assert!([DONE, NOTHING].contains(&code), "{code:?}: {why}");
            self.counts[0] += 1;
            self.counts[2] += u64::from(code == DONE);

            let mut killed = self.start();
            let after = dice.below(u64::try_from(usual.as_micros()).unwrap());
            thread::sleep(Duration::from_micros(after));
            killed.kill().unwrap();
            killed.wait().unwrap();
            self.counts[1] += 1;
            for (file, length) in copies(&self.folder) {
                assert_eq!(length, 0, "{} can be read", file.display());
            }
        }
        self
    }
}

#[test]
fn peeks_that_are_killed_at_any_moment_change_nothing_for_those_who_talk() {
    let span = Duration::from_secs(from_environment("CONCLAVE_PEEK_SECONDS", 12));
    let seed = seed(70);
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("service"));
    let names = ["alice", "bob"];
    let mut chats = names.map(|name| Chat::start(name, &server, folder.path()));
    chats.iter_mut().for_each(|chat| drop(chat.until("ready")));
    let [alice, bob] = &mut chats;
    alice.process.write("/new lunch");
    alice.process.write("/invite bob");
    bob.until("invited lunch");
    bob.process.write("/accept lunch");
    bob.until("note lunch accepted");

    let end = Instant::now() + span;
    let peekers = thread::scope(|scope| {
        let peekers = [1, 2].map(|n| {
            let peeker = Peeker::new(names[1], &server.url(), folder.path());
            let dice = Dice(seed.wrapping_mul(2 * n + 1));
            scope.spawn(move || peeker.run_until(end, dice))
        });
        let mut dice = Dice(seed);
        let mut said = 0;
        while Instant::now() < end {
            let chat = &mut chats[usize::try_from(dice.below(2)).unwrap()];
            let text = format!("{said} of {}", chat.name);
            chat.process.write(&text);
            chat.until_said(&text);
            said += 1;
            // So there is something to be seen by the peeks, and a messenger that wakes up beside them.
            if dice.below(8) == 0 {
                let [alice, bob] = &mut chats;
                signal(&bob.process.child, "-STOP");
                for n in 0..3 {
                    let text = format!("{said} while bob is asleep, {n}");
                    alice.process.write(&text);
                    alice.until_said(&text);
                }
                said += 3;
                thread::sleep(Duration::from_millis(dice.below(800)));
                signal(&bob.process.child, "-CONT");
            }
        }
        for chat in &mut chats {
            while chat.seen.len() < said {
                chat.until("message");
            }
        }
        println!("{said} messages");
        peekers.map(|peeker| peeker.join().unwrap())
    });

    let [alice, bob] = &mut chats;
    assert_eq!(alice.seen, bob.seen);
    assert_eq!((alice.replays, bob.replays), (0, 0));
    // Nothing is left, neither of peeks nor unsent.
    let last = run(&peekers[0].args, b"");
    assert_eq!(last.code, NOTHING, "{last:?}");
    assert_eq!(copies(&peekers[0].folder), []);
    bob.sent_all();
    let counts = peekers.map(|peeker| peeker.counts);
    println!("peeks that ended, were killed, have shown something: {counts:?}");
    assert!(counts.iter().all(|[ended, killed, _]| *ended > 1 && *killed > 1), "{counts:?}");
    assert!(counts.iter().any(|[_, _, shown]| *shown > 0), "{counts:?}");
}

#[test]
fn a_sealed_state_is_peeked_at_by_its_passphrase_and_shows_nothing() {
    let people = People::new();
    let files = tempfile::tempdir().unwrap();
    let file = |passphrase: &str| {
        let path = files.path().join(passphrase);
        std::fs::write(&path, format!("{passphrase}\n")).unwrap();
        path.to_str().unwrap().to_string()
    };
    let (right, wrong) = (file("right-passphrase"), file("wrong-passphrase"));
    let sealed = |input: &str| {
        let args = [people.args("bob"), vec!["--passphrase-file".into(), right.clone()]].concat();
        assert_eq!(run(&args, input.as_bytes()).code, DONE);
    };
    sealed("");
    people.chat("alice", "/new lunchroom\n/invite bob\n");
    sealed("/accept\nhello\n");
    people.chat("alice", "marzipan\n");

    let named = ["--passphrase-file", right.as_str()];
    let done = peek(&people, "bob", &named);
    assert!(done.code == DONE && done.says("- text lunchroom ", " marzipan"), "{done:?}");
    let refused = peek(&people, "bob", &["--passphrase-file", wrong.as_str()]);
    assert!(refused.code == Some(1) && refused.stderr.contains("does not open"), "{refused:?}");
    let unnamed = peek(&people, "bob", &[]);
    assert!(unnamed.code == Some(1) && unnamed.stderr.contains("--passphrase"), "{unnamed:?}");
    let unsealed = peek(&people, "alice", &named);
    assert!(unsealed.code == Some(1) && unsealed.stderr.contains("not sealed"), "{unsealed:?}");

    // Killed at any moment, it leaves nothing that can be read.
    let folder = people.data().join("bob/main");
    let mut dice = Dice(seed(3));
    for _ in 0..10 {
        let mut command = Command::new(CONCLAVE);
        command.args(args("bob", &people.server.url(), &people.data(), &named));
        let mut killed = command.stdout(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_millis(dice.below(600)));
        killed.kill().unwrap();
        killed.wait().unwrap();
        for entry in std::fs::read_dir(&folder).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap_or_default();
            for text in ["marzipan", "lunchroom"] {
                let is_shown = bytes.windows(text.len()).any(|part| part == text.as_bytes());
                assert!(!is_shown, "{text}");
            }
        }
    }
    assert!(copies(&folder).iter().all(|(_, length)| *length == 0));
}

/// What an extension that shows notifications may take on a telephone, in KiB.
const MEMORY: u64 = 24 << 10;
/// What a peek takes of that for itself: its heap, its stack and the program's data. The rest are pages of the program's
/// file, which processes share, and which the system drops when it needs room. How many of these are in memory depends on
/// how large the program is, and how many the system brings along with one that is needed: in a build without
/// optimisation they are 21 MiB, of which `conclave --version` has 14.
const OWN_MEMORY: u64 = 6 << 10;

/// What a messenger that stays may take for itself, in KiB: the same, without the pages of the program's file.
const OWN_CLIENT_MEMORY: u64 = 10 << 10;

/// The most memory that a process has had, and how much it has of its program's file, in KiB.
fn memory(process: &Child) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let value = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    };
    (value("VmHWM:"), value("RssFile:"))
}

#[test]
fn a_messenger_in_ten_rooms_takes_less_memory_than_its_bound() {
    let people = People::new();
    people.chat("bob", "");
    people.chat("alice", "/new room-0\n/invite bob\n");
    people.chat("bob", "/accept\n");
    for room in 1..10 {
        people.chat("alice", format!("/new room-{room}\n/invite bob\n"));
    }
    let line = "soup ".repeat(16);
    people.chat("alice", format!("{line}\n").repeat(1_000) + "that is all\n");

    // It joins ten rooms, and reads what was said.
    let messenger = people.stay("bob");
    while !messenger.until("message ").ends_with("that is all") {}
    let (peak, program) = memory(&messenger.child);
    println!("a messenger in ten rooms: {peak} KiB, {program} of them the program's file");
    assert!(peak - program < OWN_CLIENT_MEMORY, "{peak} KiB without {program} KiB");
}

#[test]
fn a_peek_takes_less_memory_than_an_extension_has() {
    let people = People::new();
    people.chat("bob", "");
    people.chat("alice", "/new lunch\n/invite bob\n");
    people.chat("bob", "/accept\n");
    let bob = Asleep::of(&people, "bob");
    let long = "soup ".repeat(2000);
    people.chat("alice", format!("{long}\n").repeat(60));

    let mut command = Command::new(CONCLAVE);
    command.args(args("bob", &people.server.url(), &people.data(), &[])).stdout(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let mut output = process.stdout.take().unwrap();
    // Everything is read by then, and there is more to be shown than a pipe takes: so it waits.
    output.read_exact(&mut [0]).unwrap();
    let (peak, program) = memory(&process);
    let kept = 60 * long.len() / 1024;
    println!("a peek at {kept} KiB of messages: {peak} KiB, {program} of them the program's file");
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert!(rest.len() > 600_000 && process.wait().unwrap().success());
    assert!(peak - program < OWN_MEMORY, "{peak} KiB without {program} KiB");
    assert!(peak < MEMORY || cfg!(debug_assertions), "{peak} KiB");
    drop(bob);
}
