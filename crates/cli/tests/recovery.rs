//! What the messenger does when the service has forgotten something, or the device has.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "the helpers of tests, too, are tests"
)]

mod common;

use common::{People, copy_folder};
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
