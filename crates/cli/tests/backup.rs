//! Backups of a service that runs, in real processes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "the helpers of tests, too, are tests"
)]

mod common;

use common::{People, Server, run};

#[test]
fn a_backup_of_a_busy_service_lets_its_users_go_on() {
    let mut people = People::new();
    let [data, backup, restored] =
        ["service", "backup", "restored"].map(|name| people.service_data(name));
    let [data, backup, restored] = [&data, &backup, &restored].map(|path| path.to_str().unwrap());
    assert_eq!(people.chat("bob", "/quit\n").code, Some(0));
    let before = people.chat("alice", "/new tea\n/invite bob\nbefore\n");
    assert_eq!(before.code, Some(0), "{before:?}");

    let made = run(&["backup", backup, "--data", data], b"");
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(made.has("2 users with 2 devices") && made.has("1 groups with 3 messages"), "{made:?}");
    let again = run(&["backup", backup, "--data", data], b"");
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.stderr.contains("not empty"), "{again:?}");
    let over = run(&["restore", backup, "--data", data], b"");
    assert_eq!(over.code, Some(1), "a service uses that folder: {over:?}");

    let back = run(&["restore", backup, "--data", restored], b"");
    assert_eq!(back.code, Some(0), "{back:?}");
    assert!(back.has("2 users with 2 devices"), "{back:?}");
    people.restart_service_with("restored");
    let bob = people.chat("bob", "/accept tea\nafter\n");
    assert_eq!(bob.code, Some(0), "{bob:?}");
    assert!(bob.texts("tea").contains(&"before"), "{bob:?}");
    let alice = people.chat("alice", "");
    assert!(alice.texts("tea").contains(&"after"), "{alice:?}");
}

#[test]
fn a_service_whose_database_is_gone_acknowledges_nothing() {
    let mut people = People::new();
    assert_eq!(people.chat("alice", "/quit\n").code, Some(0));
    let data = people.service_data("service");
    std::fs::remove_file(data.join("delivery.db")).unwrap();
    let bob = people.chat("bob", "/quit\n");
    let said = bob.line("offline the service refuses").unwrap();
    assert!(said.contains("delivery.db was deleted"), "{said}");
    people.server.process.kill_9();
    // Bob's account is in no file, and was not acknowledged.
    let restarted = Server::start(&data);
    let args = ["admin", "users", "--data", data.to_str().unwrap()];
    assert_eq!(run(&args, b"").lines, ["there are none"]);
    drop(restarted);
}

#[test]
fn a_stopped_service_is_whole_in_its_database_alone() {
    let folder = tempfile::tempdir().unwrap();
    let [data, copy] = ["data", "copy"].map(|name| folder.path().join(name));
    let mut server = Server::start(&data);
    let url = server.url();
    let chat = |text: &[u8]| {
        let users = folder.path().join("users");
        run(&["chat", "alice", "--server", &url, "--data", users.to_str().unwrap()], text)
    };
    assert_eq!(chat(b"/new tea\nwritten\n").code, Some(0));
    assert_eq!(server.process.terminate(), 0);
    std::fs::create_dir(&copy).unwrap();
    std::fs::copy(data.join("delivery.db"), copy.join("delivery.db")).unwrap();
    let made = run(
        &[
            "backup",
            folder.path().join("backup").to_str().unwrap(),
            "--data",
            copy.to_str().unwrap(),
        ],
        b"",
    );
    assert!(made.has("1 users with 1 devices") && made.has("1 groups with 1 messages"), "{made:?}");
}
