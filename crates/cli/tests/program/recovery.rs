//! What the messenger does when the service has forgotten something, or the device has.

use crate::common::{People, Process, copy_folder, run};
use std::time::Duration;

/// Somebody sets the service back to a backup that was made before the device registered.
#[test]
fn a_listener_that_the_service_forgot_registers_again_and_is_invited() {
    let mut people = People::new();
    people.chat("alice/main", "");
    people.server.process.kill_9();
    copy_folder(&people.service_data("service"), &people.service_data("backup"));
    people.restart_service_with("service");
    let bob = people.stay("bob/main");
    bob.until("ready");

    people.restart_service_with("backup");
    // He says nothing and is back.
    let invited = (0..10).any(|i| {
        let alice = people.chat("alice/main", format!("/new g{i}\n/invite bob\n"));
        std::thread::sleep(Duration::from_millis(500));
        alice.has(&format!("added g{i}"))
    });
    assert!(invited, "bob is unknown to the service");
    bob.until("joined g");
}

#[test]
fn a_device_that_the_service_forgot_goes_on_when_it_says_something() {
    let mut people = People::new();
    let mut bob = people.stay("bob/main");
    bob.until("ready");
    people.restart_service_with("empty");
    bob.write("/new x");
    bob.until("created x");
    bob.write("hello");
    assert!(bob.until("message x 1 bob/main ").ends_with(" hello"));
}

#[test]
fn a_group_that_the_service_has_lost_is_forgotten_by_leaving_it() {
    let mut people = People::new();
    people.chat("alice/main", "");
    assert_eq!(people.chat("bob/main", "/new g\n/invite alice\nhello\n").code, Some(0));
    people.restart_service_with("empty");
    let left = people.chat("bob/main", "/leave\n/groups\n");
    assert!(left.has("left g"), "{left:?}");
    assert!(left.line("group g").unwrap().ends_with(" left"), "{left:?}");
    assert_eq!(left.code, Some(0));
    let other = people.chat("bob/main", "/new other\nhello\n");
    assert!(other.says("message other 1 bob/main ", " hello"), "{other:?}");
    assert!(!other.has("error"), "{other:?}");
    assert_eq!(other.code, Some(0));
}

#[test]
fn a_script_fails_for_what_it_asked_and_not_for_what_was_asked_before() {
    let mut people = People::new();
    people.chat("bob/main", "/new g\n");
    people.server.process.kill_9();
    let offline = people.chat("bob/main", "never sent\n/quit\n");
    assert_ne!(offline.code, Some(0), "its own text is not sent");
    // The group is lost, and the text with it.
    people.restart_service_with("empty");
    let other = people.chat("bob/main", "/new other\nhello\n");
    assert!(other.says("message other 1 bob/main ", " hello"), "{other:?}");
    assert_eq!(other.code, Some(0), "{other:?}");
    // A group that is not made yet is something that was asked, too.
    people.server.process.kill_9();
    assert_ne!(people.chat("bob/main", "/new third\n/quit\n").code, Some(0));
}

/// A folder is copied while its messenger runs, and another messenger begins in the copy.
#[test]
fn of_two_messengers_in_copies_of_one_folder_one_goes_on() {
    let people = People::new();
    let mut bob = people.stay("bob/main");
    bob.until("ready");
    let mut alice = people.stay("alice/main");
    alice.write("/new g");
    alice.until("created g");
    alice.write("/invite bob");
    bob.until("invited g");
    bob.write("/accept g");
    bob.until("note g accepted");
    alice.until("added g");
    alice.write("before the copy");
    bob.until("message g");

    let (copies, own) = (people.service_data("copies"), people.data().join("alice/main"));
    copy_folder(&own, &copies.join("alice/main"));
    let url = people.server.url();
    let data = copies.to_str().unwrap();
    let mut copy = Process::start(&["chat", "alice", "--server", &url, "--data", data, "--stay"]);
    copy.until("ready");
    copy.write("from the copy");
    assert!(bob.until("message g").ends_with(" from the copy"));

    // The first one finds out when it says something, and comes back with a key of its own.
    alice.write("from the first");
    alice.until("copied - ");
    alice.until("key-renewed");
    alice.until("rejoined g");
    assert!(bob.until("message g").ends_with(" from the first"));
    alice.until("message g");
    copy.write("never read");
    while copy.line().is_some() {}
    assert_ne!(copy.child.wait().unwrap().code(), Some(0), "it says why, and ends");
    alice.write("the end");
    assert!(bob.until("message g").ends_with(" the end"));
}

/// A folder is put back from a backup, and the messages since then are lost with what it was.
#[test]
fn a_folder_from_a_backup_comes_back_with_a_new_key() {
    let people = People::new();
    let mut bob = people.stay("bob/main");
    bob.until("ready");
    people.chat("alice/main", "/new g\n/invite bob\n");
    bob.until("invited g");
    bob.write("/accept g");
    let (backup, own) = (people.service_data("backup"), people.data().join("alice/main"));
    copy_folder(&own, &backup);
    people.chat("alice/main", "one\ntwo\n");
    for text in [" one", " two"] {
        assert!(bob.until("message g").ends_with(text));
    }

    std::fs::remove_dir_all(&own).unwrap();
    copy_folder(&backup, &own);
    let alice = people.chat("alice/main", "three\n");
    for begin in ["copied - ", "key-renewed", "rejoined g"] {
        assert!(alice.has(begin), "{begin}: {alice:?}");
    }
    assert_eq!(alice.code, Some(0), "{alice:?}");
    assert!(bob.until("message g").ends_with(" three"));
}

#[test]
fn the_doctor_says_what_a_device_waits_for_without_a_service() {
    let mut people = People::new();
    people.chat("alice/main", "/new g\n");
    let folder = people.data().join("alice/main");
    let folder = folder.to_str().unwrap();
    let well = run(&["doctor", folder], b"");
    assert_eq!((well.code, well.lines.len()), (Some(0), 0), "{well:?}");
    assert!(well.stderr.contains("keys of groups: --key-max-age 7d "), "{well:?}");
    let url = people.server.url();
    let asked = run(&["doctor", folder, "--server", &url], b"");
    assert_eq!(asked.code, Some(0), "{asked:?}");

    people.server.process.kill_9();
    people.chat("alice/main", "never sent\n/quit\n");
    let found = run(&["doctor", folder], b"");
    assert_eq!(found.code, Some(3), "{found:?}");
    assert!(found.has("g unsent: one thing waits"), "{found:?}");
    let json = run(&["doctor", folder, "--json"], b"");
    let json: serde_json::Value = serde_json::from_str(&json.lines.join("")).unwrap();
    assert_eq!((&json[0]["group"], &json[0]["code"]), (&"g".into(), &"unsent".into()));
    let elsewhere = run(&["doctor", people.data().to_str().unwrap()], b"");
    assert!(elsewhere.code == Some(1) && elsewhere.stderr.contains("there is no state"));
}

#[test]
fn a_folder_has_one_process_which_a_second_one_names() {
    let people = People::new();
    let mut alice = people.stay("alice/main");
    alice.until("ready");
    let second = people.chat("alice/main", "");
    let who = format!("in use by process {}", alice.child.id());
    assert!(second.code == Some(1) && second.stderr.contains(&who), "{second:?}");
    // A process that was killed blocks nobody.
    alice.kill_9();
    assert_eq!(people.chat("alice/main", "/new g\n").code, Some(0));
    let writer = std::fs::read_to_string(people.data().join("alice/main/writer")).unwrap();
    assert!(writer.ends_with(" 2\n"), "the second that had it: {writer}");
}

#[test]
fn key_packages_whose_secrets_are_gone_are_replaced() {
    let people = People::new();
    people.chat("bob/main", "");
    people.lose_key_packages("bob/main");
    people.chat("alice/main", "/new g\n/invite bob\n");
    let bob = people.chat("bob/main", "");
    let failed = bob.line("failed - alice/main's invitation").unwrap();
    assert!(failed.contains("/remove bob/main") && failed.contains("/invite bob/main"), "{failed}");

    // What the hint says works at once.
    people.chat("alice/main", "/remove bob/main\n/invite bob/main\n");
    let bob = people.chat("bob/main", "");
    assert!(bob.has("joined g"), "{bob:?}");
    assert!(!bob.has("failed"), "{bob:?}");
}

#[test]
fn who_starts_without_its_secrets_is_invited_as_before() {
    let people = People::new();
    people.chat("bob/main", "");
    people.lose_key_packages("bob/main");
    people.chat("bob/main", "");
    for i in 0..3 {
        people.chat("alice/main", format!("/new g{i}\n/invite bob\n"));
        let bob = people.chat("bob/main", "");
        assert!(bob.has(&format!("joined g{i}")), "{bob:?}");
    }
}

#[test]
fn who_invites_a_member_that_never_came_in_is_told_what_to_do() {
    let people = People::new();
    people.chat("bob/main", "");
    let alice = people.chat("alice/main", "/new g\n/invite bob\n/invite bob\n");
    let note = alice.line("note g all devices of bob are in the group").unwrap();
    assert!(note.contains("/remove"), "{note}");
}
