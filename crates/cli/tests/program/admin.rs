//! Administering a service, running and stopped, in real processes.

use crate::common::{Done, People, run};
use std::os::unix::fs::PermissionsExt;

struct Admin(String);

impl Admin {
    fn run(&self, args: &[&str]) -> Done {
        run(&[&["admin"], args, &["--data", &self.0]].concat(), b"")
    }
}

#[test]
fn an_administrator_looks_invites_and_blocks() {
    let mut people = People::new();
    let data = people.service_data("service");
    let admin = Admin(data.to_str().unwrap().into());
    let mode = std::fs::metadata(data.join("admin.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(admin.run(&["users"]).lines, ["there are none"]);
    assert_eq!(people.chat("bob", "/quit\n").code, Some(0));
    assert_eq!(people.chat("alice", "/new tea\n/invite bob\nhello\n").code, Some(0));

    let users = admin.run(&["users", "--json"]);
    assert_eq!(
        users.lines,
        [
            r#"{"user":"alice","devices":1,"groups_made":1,"blocked":false,"own_quota":false}"#,
            r#"{"user":"bob","devices":1,"groups_made":0,"blocked":false,"own_quota":false}"#,
        ]
    );
    assert!(admin.run(&["groups"]).says("members", "2"));
    assert!(admin.run(&["devices", "alice"]).says("device", "alice/main"));

    assert_eq!(admin.run(&["block", "bob"]).code, Some(0));
    let bob = people.chat("bob", "/quit\n");
    assert!(format!("{bob:?}").contains("is blocked"), "{bob:?}");
    // It is so for a service that was started anew, and when none runs.
    people.server.kill_9_and_restart();
    let restarted = admin.run(&["users", "--json"]);
    assert!(restarted.lines[1].contains(r#""blocked":true"#), "{restarted:?}");
    people.server.process.terminate();
    assert!(!data.join("admin.sock").exists());
    assert_eq!(admin.run(&["unblock", "bob"]).code, Some(0));

    let invited = admin.run(&["invite", "--days", "2"]);
    assert_eq!(invited.lines.len(), 1);
    assert_eq!(invited.lines[0].len(), 80, "an invitation and nothing else: {invited:?}");
    assert!(admin.run(&["invitations"]).has("hash"));
    assert!(admin.run(&["check"]).has("all is well: 2 users"));
    let nobody = admin.run(&["devices", "nobody"]);
    assert_eq!(nobody.code, Some(1));
    assert!(nobody.stderr.contains("there is no user nobody"), "{nobody:?}");
}

#[test]
fn an_administrator_gives_a_user_more_or_less_than_everybody() {
    let mut people = People::new();
    let data = people.service_data("service");
    let admin = Admin(data.to_str().unwrap().into());
    assert_eq!(people.chat("alice", "/new tea\n").code, Some(0));
    assert_eq!(admin.run(&["quotas"]).lines, ["there are none"]);
    let nothing = admin.run(&["quota", "alice", "--json"]);
    let shown = r#"{"user":"alice","groups":"default","key_packages":"default","attachments":"default","claims":"default"}"#;
    assert_eq!(nothing.lines, [shown]);

    let given =
        admin.run(&["quota", "alice", "--groups", "1", "--attachments", "2 MiB", "--claims", "9"]);
    assert!(given.says("groups", "1") && given.says("attachments", "2097152"), "{given:?}");
    let refused = people.chat("alice", "/new coffee\n");
    assert!(
        format!("{refused:?}").contains("may make 1 groups, and has made as many or more"),
        "{refused:?}"
    );
    // A service that was started anew keeps it, and so does one that does not run.
    people.server.kill_9_and_restart();
    assert!(admin.run(&["quotas"]).says("claims", "9"));
    people.server.process.terminate();
    let cleared = admin.run(&["quota", "alice", "--clear", "--groups", "2", "--json"]);
    assert_eq!(cleared.lines, [shown.replace(r#""groups":"default""#, r#""groups":2"#)]);
    assert!(admin.run(&["users"]).says("own_quota", "yes"));
    assert!(admin.run(&["quota", "alice", "--groups", "default"]).says("groups", "default"));

    for wrong in
        [["--groups", "-1"], ["--groups", "many"], ["--claims", "0"], ["--attachments", "1 TB"]]
    {
        let refused = admin.run(&["quota", "alice", wrong[0], wrong[1]]);
        assert_ne!(refused.code, Some(0), "{refused:?}");
    }
    assert!(admin.run(&["quota", "nobody"]).stderr.contains("there is no user nobody"));
}

/// What `docs/operating.md` says of a device that comes when its Welcome is gone.
#[test]
fn a_device_that_comes_after_its_welcome_was_dropped_is_invited_again() {
    let mut people = People::new();
    let data = people.service_data("service");
    let admin = Admin(data.to_str().unwrap().into());
    assert_eq!(people.chat("bob", "/quit\n").code, Some(0));
    assert_eq!(people.chat("alice", "/new tea\n/invite bob\nhello\n").code, Some(0));
    assert!(admin.run(&["status"]).says("welcomes", "1"));
    std::thread::sleep(std::time::Duration::from_secs(2));
    people.server.restart_under(&["--inbox-age", "1 s"]);
    let is_gone = || {
        std::thread::sleep(std::time::Duration::from_millis(50));
        admin.run(&["status"]).says("welcomes", "0")
    };
    assert!((0..200).any(|_| is_gone()), "it is still there");

    let bob = people.chat("bob", "/groups\n");
    assert!(!bob.has("invited") && bob.code == Some(0), "{bob:?}");
    people.server.kill_9_and_restart();
    let alice = people.chat("alice", "/remove bob\n/invite bob\nagain\n");
    assert_eq!(alice.code, Some(0), "{alice:?}");
    let bob = people.chat("bob", "/accept tea\n");
    assert!(bob.has("joined tea") && bob.texts("tea").contains(&"again"), "{bob:?}");
}

#[test]
fn a_folder_without_a_state_is_not_made_one() {
    let folder = tempfile::tempdir().unwrap();
    let status = Admin(folder.path().to_str().unwrap().into()).run(&["status"]);
    assert_eq!(status.code, Some(1));
    assert!(status.stderr.contains("no service's state"), "{status:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_group_that_the_administrator_ends_is_begun_anew_by_a_member() {
    let people = People::new();
    let data = people.service_data("service");
    let admin = Admin(data.to_str().unwrap().into());
    assert_eq!(people.chat("bob", "/quit\n").code, Some(0));
    assert_eq!(people.chat("alice", "/new tea\n/invite bob\nhello\n").code, Some(0));
    assert!(people.chat("bob", "/accept tea\nhi\n").has("joined tea"));
    let mut bob = people.stay("bob");
    bob.until("ready ");
    let groups = admin.run(&["groups", "--json"]);
    assert!(groups.lines[0].ends_with(r#""ended":false}"#), "{groups:?}");
    let id = groups.lines[0].split('"').nth(3).unwrap();

    for wrong in ["xy", "", "00"] {
        let refused = admin.run(&["reset", wrong]);
        assert_ne!(refused.code, Some(0), "{refused:?}");
    }
    let ended = admin.run(&["reset", id]);
    assert!(ended.says("members", "2") && ended.says("successor", "none"), "{ended:?}");
    assert!(admin.run(&["groups"]).says("ended", "yes"));
    bob.until("note tea the administrator of the service has ended tea");
    let mut alice = people.stay("alice");
    alice.until("note tea the administrator of the service has ended tea");
    alice.write("are you there?");
    bob.write("/reset");
    alice.until("note tea this group takes the place of tea-old");
    assert!(bob.until("message tea ").ends_with(" are you there?"));
    assert_eq!([alice.end_now(), bob.end_now()], [Some(0); 2]);

    // What has a successor keeps it, also if the service is asked again.
    people_know_the_successor(&admin, id);
}

fn people_know_the_successor(admin: &Admin, id: &str) {
    let again = admin.run(&["reset", id]);
    assert_eq!(again.code, Some(0));
    let successor = again.line("successor").unwrap().split_whitespace().nth(1).unwrap();
    assert_eq!(successor.len(), 64, "{again:?}");
    let groups = admin.run(&["groups", "--json"]);
    let row = groups.lines.iter().find(|line| line.contains(successor)).unwrap();
    assert!(row.ends_with(r#""ended":false}"#), "{groups:?}");
}
