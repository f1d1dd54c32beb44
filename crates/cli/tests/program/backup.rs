//! Backups of a service that runs, in real processes.

use crate::common::{People, Server, run};

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
fn what_a_restored_service_lost_is_given_back_by_its_users() {
    let mut people = People::new();
    let [data, backup, restored] =
        ["service", "backup", "restored"].map(|name| people.service_data(name));
    let [data, backup, restored] = [&data, &backup, &restored].map(|path| path.to_str().unwrap());
    for user in ["bob", "carol", "dave"] {
        assert_eq!(people.chat(user, "/quit\n").code, Some(0));
    }
    people.chat("alice", "/new tea\n/invite bob\n/invite carol\n");
    for user in ["bob", "carol"] {
        assert_eq!(people.chat(user, "/accept tea\n").code, Some(0));
    }
    assert_eq!(run(&["backup", backup, "--data", data], b"").code, Some(0));

    // Messages and a commit that the backup does not have, and that carol has not seen.
    people.chat("alice", "lost one\n/invite dave\nlost two\n");
    people.chat("dave", "/accept tea\n");
    people.chat("bob", "lost three\n");
    assert_eq!(run(&["restore", backup, "--data", restored], b"").code, Some(0));
    people.restart_service_with("restored");

    let bob = people.chat("bob", "");
    assert_eq!(bob.code, Some(0), "{bob:?}");
    assert!(bob.has("note - the service was restored from a backup"), "{bob:?}");
    assert!(bob.has("note tea the service has back what it had lost"), "{bob:?}");
    let carol = people.chat("carol", "after\n");
    assert_eq!(carol.code, Some(0), "{carol:?}");
    for text in ["lost one", "lost two", "lost three"] {
        assert!(carol.texts("tea").contains(&text), "{carol:?}");
    }
    for user in ["dave", "alice"] {
        let read = people.chat(user, "");
        assert_eq!(read.code, Some(0), "{read:?}");
        assert!(read.texts("tea").contains(&"after"), "{read:?}");
        assert!(!read.has("error"), "{read:?}");
    }
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
