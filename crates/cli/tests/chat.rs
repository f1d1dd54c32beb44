//! The `conclave` command as people run it: real processes, real pipes, real `kill -9`.
//!
//! `CONCLAVE_TEST_SEED=N` repeats a run; each prints its seed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "the helpers of tests, too, are tests"
)]

mod common;

use common::{CONCLAVE, PATIENCE, Process, Server};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

/// The suite of new groups, and the one that `classic` chooses.
const HYBRID: &str = "MLS_128_MLKEM768X25519_AES256GCM_SHA384_Ed25519";
const CLASSIC: &str = "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519";

/// A small generator of numbers (xorshift64*): which moments are tried depends on the seed alone.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }
}

fn seed(default: u64) -> u64 {
    let seed = std::env::var("CONCLAVE_TEST_SEED").ok().and_then(|s| s.parse().ok());
    let seed = seed.unwrap_or(default).max(1);
    println!("seed {seed}");
    seed
}

/// `message GROUP NUMBER SENDER TIME TEXT` without the time; other lines as they are.
fn without_time(line: String) -> String {
    let words: Vec<&str> = line.splitn(6, ' ').collect();
    match words.as_slice() {
        ["message", group, seq, sender, _, text] => {
            format!("message {group} {seq} {sender} {text}")
        }
        _ => line,
    }
}

/// A `conclave chat`, over all the processes that it takes.
struct Chat {
    name: &'static str,
    url: String,
    data: String,
    /// What its processes are started with besides.
    options: &'static [&'static str],
    process: Process,
    /// Messages by number: `sender text`. Each is said once, in order.
    seen: BTreeMap<u64, String>,
    last: u64,
    /// The last number when this process was started: what comes again is not older.
    replay_from: u64,
    replays: usize,
    joined: BTreeSet<String>,
}

impl Chat {
    fn start(name: &'static str, server: &Server, data: &Path) -> Self {
        Self::start_with(name, server, data, &[])
    }

    fn start_with(
        name: &'static str,
        server: &Server,
        data: &Path,
        options: &'static [&'static str],
    ) -> Self {
        let (url, data) = (server.url(), data.to_str().unwrap().to_string());
        let process = Self::process(name, &url, &data, options);
        let seen = BTreeMap::new();
        Self {
            name,
            url,
            data,
            options,
            process,
            seen,
            last: 0,
            replay_from: 0,
            replays: 0,
            joined: BTreeSet::new(),
        }
    }

    fn process(name: &str, url: &str, data: &str, options: &[&str]) -> Process {
        let args = ["chat", name, "--server", url, "--data", data, "--stay"];
        Process::start(&[&args, options].concat())
    }

    /// The next line; none if the process has ended. Messages are without their time, which
    /// sender and receiver may have from different clocks.
    fn line(&self) -> Option<String> {
        self.process.line().map(without_time)
    }

    /// Takes note of a line.
    fn note(&mut self, line: &str) {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words.as_slice() {
            ["message", _, seq, said] => {
                let seq: u64 = seq.parse().unwrap();
                match self.seen.get(&seq) {
                    // Printed, but killed before that could be noted: it says so by its number.
                    Some(before) => {
                        assert_eq!(before, said, "{}: another message {seq}", self.name);
                        assert!(seq >= self.replay_from, "{}: {seq} once more", self.name);
                        self.replays += 1;
                    }
                    None => {
                        assert!(seq > self.last, "{}: {seq} after {}", self.name, self.last);
                        self.seen.insert(seq, (*said).to_string());
                        self.last = seq;
                    }
                }
            }
            ["joined", ..] => {
                self.joined.insert(line.to_string());
            }
            ["failed" | "unreadable" | "error", ..] => panic!("{}: {line}", self.name),
            _ => {}
        }
    }

    /// Reads until a line that begins like this, which is returned.
    fn until(&mut self, begin: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < end, "{}: no {begin:?}", self.name);
            let line = self.line().unwrap_or_else(|| panic!("{} has ended", self.name));
            self.note(&line);
            if line.starts_with(begin) {
                return line;
            }
        }
    }

    /// Reads until this device has said this.
    fn until_said(&mut self, text: &str) {
        let said = format!("{}/main {text}", self.name);
        while !self.seen.values().any(|s| *s == said) {
            self.until("message");
        }
    }

    /// `kill -9`, and a new process with the old state.
    fn kill_9_and_restart(&mut self) {
        self.process.kill_9();
        while let Some(line) = self.line() {
            self.note(&line);
        }
        // What was printed last may come again; it is a handful at most.
        self.replay_from = self.last.saturating_sub(8);
        self.process = Self::process(self.name, &self.url, &self.data, self.options);
    }

    /// Waits until nothing is to be sent any more.
    fn sent_all(&mut self) -> String {
        loop {
            self.process.write("/groups");
            let line = self.until("group ");
            if !line.ends_with("to send") {
                return line;
            }
            sleep(Duration::from_millis(50));
        }
    }

    /// Says lines, and is killed at some of them. What is not said by then was never read.
    fn talk(&mut self, lines: u64, kills: u64, dice: &mut Dice) {
        for i in 1..=lines {
            let text = format!("line {i} of {}", self.name);
            self.process.write(&text);
            if dice.below(lines) < kills {
                sleep(Duration::from_micros(dice.below(40_000)));
                self.kill_9_and_restart();
                self.sent_all();
                let said = format!("{}/main {text}", self.name);
                if !self.seen.values().any(|s| *s == said) {
                    self.process.write(&text);
                }
            }
            self.until_said(&text);
        }
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// Two people talk at once; both, and once the service, are killed at random moments.
#[test]
fn nothing_is_lost_shown_twice_or_out_of_order_when_processes_die() {
    const LINES: u64 = 60;
    const KILLS: u64 = 8;
    let seed = seed(2026);
    let folder = folder();
    let server = Server::start(&folder.path().join("service"));
    let mut alice = Chat::start("alice", &server, folder.path());
    let mut bob = Chat::start("bob", &server, folder.path());
    bob.until("ready");
    alice.process.write("/new lunch");
    alice.process.write("/invite bob");
    alice.until("added lunch");
    bob.until("invited lunch");
    bob.process.write("/accept lunch");
    bob.until("note lunch accepted");

    let server = Arc::new(Mutex::new(server));
    let finished = thread::scope(|scope| {
        let a = scope.spawn(move || {
            alice.talk(LINES, KILLS, &mut Dice(seed));
            alice
        });
        let b = scope.spawn(move || {
            bob.talk(LINES, KILLS, &mut Dice(seed ^ 0xb0b));
            bob
        });
        sleep(Duration::from_millis(100 + Dice(seed ^ 5).below(300)));
        server.lock().unwrap().kill_9_and_restart();
        [a.join().unwrap(), b.join().unwrap()]
    });
    let [mut alice, mut bob] = finished;
    let all = (2 * LINES) as usize;
    for chat in [&mut alice, &mut bob] {
        while chat.seen.len() < all {
            chat.until("message");
        }
    }
    println!("replays after a kill: alice {}, bob {}", alice.replays, bob.replays);
    assert_eq!(alice.seen, bob.seen, "they have seen different things");
    for name in ["alice", "bob"] {
        let said = alice.seen.values().filter(|said| said.starts_with(&format!("{name}/main ")));
        let wanted = (1..=LINES).map(|i| format!("{name}/main line {i} of {name}"));
        assert!(said.cloned().eq(wanted), "lost, doubled or out of order: {:?}", alice.seen);
    }
    // A new process has nothing more to say.
    bob.kill_9_and_restart();
    bob.sent_all();
    assert_eq!(bob.seen.len(), all);
    assert_eq!(bob.joined.len(), 1);
}

/// Making a group, inviting and removing are killed at random moments, too.
#[test]
fn a_group_is_made_and_joined_once_whenever_its_maker_dies() {
    let mut dice = Dice(seed(7));
    let folder = folder();
    let server = Server::start(&folder.path().join("service"));
    let mut alice = Chat::start("alice", &server, folder.path());
    let mut bob = Chat::start("bob", &server, folder.path());
    bob.until("ready");
    let deadly = |chat: &mut Chat, dice: &mut Dice, command: &str| {
        chat.process.write(command);
        sleep(Duration::from_micros(dice.below(25_000)));
        chat.kill_9_and_restart();
    };
    for round in 0..6 {
        let name = format!("room{round}");
        let there = |alice: &mut Chat| {
            alice.process.write(&format!("/switch {name}"));
            alice.process.write("/groups");
            alice.process.write("/help");
            let mut found = false;
            loop {
                let line = alice.line().unwrap();
                found |= line.starts_with(&format!("group {name} "));
                if line.starts_with("help") {
                    return found;
                }
            }
        };
        deadly(&mut alice, &mut dice, &format!("/new {name}"));
        if !there(&mut alice) {
            alice.process.write(&format!("/new {name}"));
            alice.until("created");
        }
        let members = |alice: &mut Chat| {
            alice.process.write("/members");
            alice.process.write("/help");
            let mut devices = Vec::new();
            loop {
                let line = alice.line().unwrap();
                if line.starts_with("member ") {
                    devices.push(line.split(' ').nth(2).unwrap().to_string());
                }
                if line.starts_with("help") {
                    return devices;
                }
            }
        };
        deadly(&mut alice, &mut dice, "/invite bob");
        if members(&mut alice).len() == 1 {
            alice.process.write("/invite bob");
        }
        assert_eq!(members(&mut alice), ["alice/main", "bob/main"], "{name}");
        bob.until(&format!("joined {name} "));
        deadly(&mut alice, &mut dice, "/remove bob");
        if members(&mut alice).len() == 2 {
            alice.process.write("/remove bob");
        }
        assert_eq!(members(&mut alice), ["alice/main"], "{name}");
        bob.until(&format!("out {name} "));
    }
    assert_eq!(bob.joined.len(), 6);
}

/// What is written while the service is away is kept, over a `kill -9` too, and sent then.
#[test]
fn what_is_written_offline_is_sent_when_the_service_comes_back() {
    let folder = folder();
    let mut server = Server::start(&folder.path().join("service"));
    let mut alice = Chat::start("alice", &server, folder.path());
    alice.process.write("/new notes");
    alice.until("created");
    server.process.kill_9();
    alice.until("offline");
    alice.process.write("one");
    alice.process.write("two");
    alice.process.write("/groups");
    assert!(alice.until("group").ends_with("2 to send"));
    alice.kill_9_and_restart();
    alice.until("offline");
    server.kill_9_and_restart();
    alice.until_said("one");
    alice.until_said("two");
    assert_eq!(alice.seen.len(), 2);
}

/// Input that ends: all of it is done, then the process ends well.
#[test]
fn a_script_ends_when_all_of_it_is_done() {
    let folder = folder();
    let mut server = Server::start(&folder.path().join("service"));
    let data = folder.path().to_str().unwrap();
    let url = server.url();
    let script = |user: &str, lines: &str| {
        let mut process =
            Process::start(&["chat", user, "--server", &url, "--data", data, "--device", "pad"]);
        process.write(lines);
        drop(process.input.take());
        let mut output = Vec::new();
        while let Some(line) = process.line() {
            output.push(without_time(line));
        }
        let code = if lines.contains("/nonsense") { 3 } else { 0 };
        assert_eq!(process.child.wait().unwrap().code(), Some(code), "{output:?}");
        output
    };
    script("bob", "");
    let alice = script("alice", "/new lunch\n/invite bob\nsoup?\n/verify bob\n//done");
    assert!(alice.contains(&"message lunch 3 alice/pad soup?".to_string()), "{alice:?}");
    assert!(alice.contains(&"message lunch 4 alice/pad /done".to_string()), "{alice:?}");
    let bob = script("bob", "/accept\nyes\n/verify alice\n/nonsense");
    let joined = format!("joined lunch 1 by alice/pad post-quantum {HYBRID}");
    assert!(bob.contains(&joined), "{bob:?}");
    assert!(bob.contains(&"message lunch 3 alice/pad soup?".to_string()), "{bob:?}");
    assert!(bob.contains(&"message lunch 5 bob/pad yes".to_string()), "{bob:?}");
    assert!(bob.iter().any(|line| line.starts_with("error ")), "{bob:?}");
    let code = |lines: &[String]| {
        let line = lines.iter().find(|line| line.starts_with("verify ")).unwrap();
        line.splitn(4, ' ').nth(3).unwrap().to_string()
    };
    assert_eq!(code(&alice), code(&bob), "both see the same code");
    #[cfg(unix)]
    assert_eq!(server.process.terminate(), 0, "the service ends well");
}

/// The lines of `/groups` or `/members` that begin like this.
fn shown(chat: &mut Chat, command: &str, begin: &str) -> Vec<String> {
    chat.process.write(command);
    chat.process.write("/help");
    let mut found = Vec::new();
    loop {
        let line = chat.line().unwrap();
        chat.note(&line);
        if line.starts_with("help") {
            return found;
        }
        if line.starts_with(begin) {
            found.push(line);
        }
    }
}

#[test]
fn two_new_devices_chat_post_quantum_and_both_see_it() {
    let folder = folder();
    let server = Server::start(&folder.path().join("service"));
    let mut alice = Chat::start("alice", &server, folder.path());
    let mut bob = Chat::start("bob", &server, folder.path());
    bob.until("ready");
    alice.process.write("/new lunch");
    assert_eq!(alice.until("created"), format!("created lunch post-quantum {HYBRID}"));
    alice.process.write("/invite bob");
    let joined = format!("joined lunch 1 by alice/main post-quantum {HYBRID}");
    assert_eq!(bob.until("joined"), joined);
    bob.process.write("/accept");
    bob.process.write("soup?");
    alice.until("message lunch 3 bob/main soup?");
    bob.until("message lunch 3 bob/main soup?");
    for chat in [&mut alice, &mut bob] {
        let group = format!("group lunch epoch 1 members 2 post-quantum {HYBRID} current");
        assert_eq!(shown(chat, "/groups", "group"), [group]);
        let epoch = shown(chat, "/members", "epoch").remove(0);
        assert!(epoch.ends_with(&format!(" post-quantum {HYBRID}")), "{epoch}");
    }
}

/// A terminal with post-quantum suites and one without: no group that is post-quantum, and
/// another one only as its maker says so.
#[test]
fn a_device_without_post_quantum_suites_joins_classic_groups_only() {
    let folder = folder();
    let server = Server::start(&folder.path().join("service"));
    let mut alice = Chat::start("alice", &server, folder.path());
    let mut bob = Chat::start_with("bob", &server, folder.path(), &["--suite", "1"]);
    bob.until("ready");
    alice.process.write("/new lunch");
    alice.until("created lunch post-quantum");
    alice.process.write("/invite bob");
    let failed = loop {
        let line = alice.line().unwrap();
        if line.starts_with("failed") {
            break line;
        }
    };
    let why = format!(
        "failed lunch bob/main is not invited: the service has no key package of it for this \
         group's suite, {HYBRID}"
    );
    assert!(failed.starts_with(&why) && failed.contains("/new NAME classic"), "{failed}");
    alice.process.write("/new dinner classic");
    assert_eq!(alice.until("created"), format!("created dinner pre-quantum {CLASSIC}"));
    alice.process.write("/invite bob");
    // The first that he hears of any group.
    let joined = format!("joined dinner 1 by alice/main pre-quantum {CLASSIC}");
    assert_eq!(bob.until("joined"), joined);
    bob.process.write("/accept");
    bob.process.write("soup?");
    alice.until("message dinner 3 bob/main soup?");
    bob.until("message dinner 3 bob/main soup?");
    // A device stays what it was set up as.
    bob.kill_9_and_restart();
    for (chat, groups) in [(&mut alice, 2), (&mut bob, 1)] {
        let lines = shown(chat, "/groups", "group");
        assert_eq!(lines.len(), groups, "{lines:?}");
        let dinner = format!("group dinner epoch 1 members 2 pre-quantum {CLASSIC} current");
        assert!(lines.contains(&dinner), "{lines:?}");
        let epoch = shown(chat, "/members", "epoch").remove(0);
        assert!(epoch.ends_with(&format!(" pre-quantum {CLASSIC}")), "{epoch}");
    }
}

#[test]
fn an_unknown_suite_is_answered_with_the_list_of_suites() {
    let chat = |suite: &str| {
        let args = ["chat", "alice", "--suite", suite, "--data", "/nowhere/to/be/found"];
        Command::new(CONCLAVE).args(args).stdin(Stdio::null()).output().unwrap()
    };
    let list = chat("list");
    assert!(list.status.success());
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    let nobody =
        |args: &[&str]| Command::new(CONCLAVE).args(args).stdin(Stdio::null()).output().unwrap();
    let same = nobody(&["chat", "--suite", "list"]);
    assert!(same.status.success() && String::from_utf8_lossy(&same.stdout) == list);
    for args in [["chat", "--stay"].as_slice(), &["chat", "--suite", "1"]] {
        let refused = nobody(args);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && said.contains("USER is missing"), "{said}");
    }
    assert_eq!(list.lines().count(), 18, "{list}");
    let line = |name: &str| list.lines().find(|line| line.contains(name)).unwrap();
    assert!(line(HYBRID).contains("0xf0c2") && line(HYBRID).contains("post-quantum; or: hybrid"));
    assert!(line(CLASSIC).starts_with("1 ") && line(CLASSIC).contains("pre-quantum; or: classic"));
    for wrong in ["rsa", "mlkem1024"] {
        let refused = chat(wrong);
        assert!(!refused.status.success());
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(said.contains("0xf0cb MLS_256_MLKEM1024_AES256GCM_SHA384_MLDSA87"), "{said}");
    }
}

/// It would look as if the service did not answer, for ever.
#[test]
fn an_address_that_cannot_be_reached_is_refused_at_once_with_what_to_do() {
    let folder = folder();
    for url in ["ftp://example.org", "127.0.0.1:4820", "http://", "http://:4820", ""] {
        let refused = Command::new(CONCLAVE)
            .args(["chat", "alice", "--server", url, "--data"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{url}: {said}");
        assert!(said.contains("https://HOST:PORT"), "{url}: {said}");
        assert!(!folder.path().join("alice").exists(), "nothing is made for {url}");
    }
}

/// The demonstration checks what it tells.
#[test]
fn the_demonstration_is_true() {
    let output = Command::new(CONCLAVE).arg("demo").stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let long = text.lines().find(|line| line.chars().count() > 80);
    assert_eq!(long, None, "fits into 80 columns");
}
