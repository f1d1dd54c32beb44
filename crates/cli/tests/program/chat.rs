//! The `conclave` command as people run it: real processes, real pipes, real `kill -9`.
//!
//! `CONCLAVE_TEST_SEED=N` repeats a run; each prints its seed.

use crate::common::chats::{Chat, Dice, seed, without_time};
use crate::common::{CONCLAVE, Process, Server};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, sleep};
use std::time::Duration;

/// The suite of new groups, and the one that `classic` chooses.
const HYBRID: &str = "MLS_128_MLKEM768X25519_AES256GCM_SHA384_Ed25519";
const CLASSIC: &str = "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519";

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
        assert_eq!(chat.answer("/groups", "group"), [group]);
        let epoch = chat.answer("/members", "epoch").remove(0);
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
        let lines = chat.answer("/groups", "group");
        assert_eq!(lines.len(), groups, "{lines:?}");
        let dinner = format!("group dinner epoch 1 members 2 pre-quantum {CLASSIC} current");
        assert!(lines.contains(&dinner), "{lines:?}");
        let epoch = chat.answer("/members", "epoch").remove(0);
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
