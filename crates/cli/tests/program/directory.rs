//! What people see of a service that goes on in two ways from one state.

use crate::common::{Done, People, copy_folder, run, wait_for_root};

/// The service publishes when it starts.
fn publish(people: &mut People, folder: &str) {
    people.restart_service_with(folder);
}

/// The same, and waits for the root of this number.
fn publish_root(people: &mut People, folder: &str, root: u64) {
    publish(people, folder);
    wait_for_root(&people.server.url(), root);
}

/// Puts the directory of one service in the place of another's.
fn show_directory(people: &People, to: &str, from: &str) {
    let file = |service: &str| people.service_data(service).join("delivery.db");
    let db = rusqlite::Connection::open(file(to)).unwrap();
    db.execute("ATTACH ?1 AS other", [file(from).to_str().unwrap()]).unwrap();
    let replace =
        "DELETE FROM main.directory; INSERT INTO main.directory SELECT * FROM other.directory";
    db.execute_batch(replace).unwrap();
}

fn count(done: &Done, begin: &str) -> usize {
    done.lines.iter().filter(|line| line.starts_with(begin)).count()
}

#[test]
fn two_directories_are_evidence_in_a_file_that_anybody_can_check() {
    let mut people = People::new();
    people.chat("alice/main", "/new lunch\n");
    people.chat("bob/main", "");
    publish(&mut people, "service");
    people.chat("alice/main", "/invite bob\n");
    people.server.process.kill_9();
    copy_folder(&people.service_data("service"), &people.service_data("fork"));

    // One history, which alice sees.
    publish(&mut people, "service");
    people.chat("carol/main", "");
    publish(&mut people, "service");
    let alice = people.chat("alice/main", "soup?\n");
    assert!(!alice.has("alarm") && alice.code == Some(0), "{alice:?}");

    // Another one, with the same key and the same number.
    publish(&mut people, "fork");
    people.chat("dave/main", "");
    publish(&mut people, "fork");
    let alice = people.chat("alice/main", "/new dinner\n/invite dave\n/invite bob\n");
    let alarm = alice.line("alarm - THE SERVICE HAS SHOWN TWO DIRECTORIES").unwrap();
    let failed = alice.line("failed dinner dave is not invited").unwrap();
    assert!(failed.contains("/acknowledge service"), "{failed}");
    assert!(alice.says("added dinner 1 bob/main by alice/main", ""), "who is known: {alice:?}");

    let file = people.data().join("alice/main/evidence-1.bin");
    let path = file.to_str().unwrap();
    assert!(alarm.contains(&format!("conclave audit --evidence {path}")), "{alarm}");
    let checked = run(&["audit", "--evidence", path, &people.server.url()], b"");
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(checked.lines[0].contains("signed two different directories"), "{checked:?}");
    assert!(checked.lines.last().unwrap().ends_with("has this key."), "{checked:?}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "it names no secret, and is its owner's all the same");
    }

    let again = people.chat("alice/main", "");
    assert_eq!(count(&again, "note - the service has shown two directories"), 1, "{again:?}");
    assert!(!again.has("alarm"), "it is told once");
    let on = people.chat("alice/main", "/acknowledge service\n/invite dave\n");
    assert!(on.says("added dinner 3 dave/main by alice/main", "") && on.code == Some(0), "{on:?}");
    assert!(!people.chat("alice/main", "").has("note - the service has"));
}

#[test]
fn a_service_that_was_set_up_anew_is_told_once_and_gone_on_with() {
    let mut people = People::new();
    people.chat("alice/main", "");
    people.restart_service_with("empty");
    let alice = people.chat("alice/main", "/new lunch\nhello\n");
    assert_eq!(count(&alice, "alarm - the service has another key than before"), 1, "{alice:?}");
    assert!(alice.says("message lunch 1 alice/main", "hello") && alice.code == Some(0));
    let again = people.chat("alice/main", "/acknowledge service\n");
    assert_eq!((count(&again, "alarm"), count(&again, "note - the service was")), (0, 1));
    assert!(!people.chat("alice/main", "").has("note - the service was"));
}

#[test]
fn what_one_member_was_shown_convicts_the_service_before_another() {
    let mut people = People::new();
    people.chat("alice/main", "/new lunch\n");
    people.chat("bob/main", "");
    publish_root(&mut people, "service", 1);
    people.chat("alice/main", "/invite bob\n");
    assert!(people.chat("bob/main", "/accept lunch\nhello\n").says("message lunch", "hello"));
    people.server.process.kill_9();
    copy_folder(&people.service_data("service"), &people.service_data("fork"));

    // Alice is shown one directory, and what she says carries its root.
    publish(&mut people, "service");
    people.chat("carol/main", "");
    publish_root(&mut people, "service", 2);
    let alice = people.chat("alice/main", "/new dinner\n/invite carol\n/switch lunch\nsoup?\n");
    assert!(alice.says("message lunch", "soup?"), "{alice:?}");

    // Bob is shown another one, by a service that has her message.
    publish(&mut people, "fork");
    people.chat("dave/main", "");
    publish_root(&mut people, "fork", 2);
    people.server.process.kill_9();
    show_directory(&people, "service", "fork");
    people.restart_service_with("service");
    let mut bob = people.stay("bob/main");
    bob.until("message lunch 4 alice/main");
    let alarm = bob.until("alarm - THE SERVICE HAS SHOWN TWO DIRECTORIES");
    assert!(alarm.contains("alice/main was shown another directory than you"), "{alarm}");
    assert_eq!(bob.end_now(), Some(0));

    let file = people.data().join("bob/main/evidence-1.bin");
    let checked = run(&["audit", "--evidence", file.to_str().unwrap(), &people.server.url()], b"");
    assert_eq!(checked.code, Some(0), "{checked:?}");
}
