//! Rooms, between processes: what is changed, who may, and who is told.

use crate::common::{People, run};

#[test]
fn a_room_says_what_it_is_called_and_who_may_what() {
    let people = People::new();
    people.chat("bob/main", "");
    people.chat("carol/main", "");
    people.chat(
        "alice/main",
        "/new lunch\n/invite bob carol\n/topic soup at noon\n/role bob moderator\n",
    );
    let bob = people.chat("bob/main", "/accept\n/room\n/rename dinner\n");
    assert!(bob.has("room lunch open moderator mimi://"), "{bob:?}");
    assert!(bob.has("role lunch alice owner") && bob.has("role lunch carol member"), "{bob:?}");

    // A member may not remove anybody; a moderator may.
    let carol = people.chat("carol/main", "/accept\n/remove bob\n");
    assert!(carol.line("error ").unwrap().contains("the role member does not allow"), "{carol:?}");
    assert!(carol.says("renamed ", "by bob/main dinner"), "{carol:?}");
    people.chat("bob/main", "/remove carol\n");
    assert!(people.chat("carol/main", "").has("out dinner "));
    let alice = people.chat("alice/main", "/room\n");
    assert!(alice.says("room dinner open owner ", "soup at noon"), "{alice:?}");
    assert!(!alice.has("role dinner carol"), "{alice:?}");
}

#[test]
fn a_moderator_deletes_what_others_say_and_a_member_does_not() {
    let people = People::new();
    people.chat("bob/main", "");
    people.chat("carol/main", "");
    people.chat("alice/main", "/new lunch\n/invite bob carol\n");
    people.chat("bob/main", "/accept\nbuy my coins\n");
    let carol = people.chat("carol/main", "/accept\n");
    let number = carol.line("message lunch ").unwrap().split(' ').nth(2).unwrap().to_string();

    let carol = people.chat("carol/main", format!("/delete {number}\n"));
    assert!(carol.line("error ").unwrap().contains("is not yours"), "{carol:?}");
    people.chat("alice/main", format!("/delete {number}\n"));
    for who in ["bob/main", "carol/main"] {
        let done = people.chat(who, "");
        assert!(done.has(&format!("deleted lunch {number} alice")), "{done:?}");
    }
    // What the owner says is hers alone to edit, and what others say is not.
    let alice = people.chat("alice/main", format!("/edit {number} buy nothing\n"));
    assert!(alice.has("error "), "{alice:?}");
}

#[test]
fn a_direct_chat_has_two_users() {
    let people = People::new();
    people.chat("bob/main", "");
    people.chat("carol/main", "");
    let alice = people.chat("alice/main", "/direct bob\npsst\n/invite carol\n");
    assert!(alice.line("failed bob ").unwrap().contains("never change"), "{alice:?}");
    let bob = people.chat("bob/main", "/accept\n/room\n");
    assert!(bob.says("message alice ", " psst") && bob.has("room alice direct member "), "{bob:?}");
}

#[test]
fn messages_disappear_from_all_devices_when_the_room_says_so() {
    let people = People::new();
    people.chat("bob/main", "");
    people.chat("alice/main", "/new lunch\n/invite bob\nthis stays\n/expiry 8s\n");
    let bob = people.chat("bob/main", "/accept\n/expiry off\n/room\n");
    assert!(bob.says("expiry-policy lunch ", " by alice/main required 8 8 8"), "{bob:?}");
    assert!(bob.has("policy lunch expiry required 8 8 8"), "{bob:?}");
    assert!(bob.says("error ", "does not allow deciding when messages disappear"), "{bob:?}");
    people.link_into(1, "alice/phone", "alice/main");

    let (mut phone, mut bob) = (people.stay("alice/phone"), people.stay("bob/main"));
    let alice = people.chat("alice/main", "this goes\n");
    let number = alice.line("message lunch ").unwrap().split(' ').nth(2).unwrap().to_string();
    for device in [&phone, &bob] {
        device.until(&format!("message lunch {number} alice/main "));
        device.until(&format!("expired lunch {number}"));
    }
    for device in [&mut phone, &mut bob] {
        assert_eq!(device.end_now(), Some(0));
    }

    // And from one that did not run.
    let file = people.data().join("said.txt");
    let export = format!("/history\n/search this\n/export {}\n", file.display());
    for who in ["alice/main", "alice/phone", "bob/main"] {
        let done = people.chat(who, &export);
        assert!(!done.lines.iter().any(|line| line.ends_with("this goes")), "{done:?}");
        let said = std::fs::read_to_string(&file).unwrap();
        assert!(!said.contains("this goes"), "{said}");
        assert_eq!(said.contains("this stays"), who != "alice/phone", "{said}");
        std::fs::remove_file(&file).unwrap();
    }
}

#[test]
fn a_preauthorized_user_joins_by_a_link_in_the_role_of_the_list() {
    let people = People::new();
    people.chat("bob/main", "");
    people.chat("carol/main", "");
    let alice = people.chat(
        "alice/main",
        "/new lunch\n/preauth add bob moderator\n/preauth\n/invite-link --uses 2\n",
    );
    assert!(alice.says("preauthorized lunch ", " by alice/main bob moderator"), "{alice:?}");
    assert!(alice.has("preauthorized-user lunch bob moderator"), "{alice:?}");
    let link = alice.line("invite-link lunch ").unwrap().split(' ').nth(2).unwrap().to_string();
    people.chat("carol/main", format!("/join {link}\n"));
    let bob = people.chat("bob/main", format!("/join {link}\n"));
    assert!(bob.has("joined lunch "), "{bob:?}");
    let bob = people.chat("bob/main", "/room\n/remove carol\n");
    assert!(bob.has("role lunch bob moderator") && bob.has("role lunch carol member"), "{bob:?}");
    assert!(people.chat("carol/main", "").has("out lunch "));
}

#[test]
fn members_who_reach_the_service_by_different_hosts_agree_on_messages() {
    let mut people = People::new();
    let elsewhere = |people: &People, who: &str, input: &str| {
        let args = people.args(who).into_iter().map(|arg| {
            if arg.starts_with("http://") { arg.replace("127.0.0.1", "localhost") } else { arg }
        });
        run(&args.collect::<Vec<_>>(), input.as_bytes())
    };
    elsewhere(&people, "bob/main", "");
    people.chat("alice/main", "/new lunch\n/invite bob\nsoup or pasta?\n");
    let bob = elsewhere(&people, "bob/main", "/accept\n/room\n");
    let authority = people.server.url().replace("http://", "");
    assert!(bob.has(&format!("room lunch open member mimi://{authority}/r/")), "{bob:?}");
    let number = bob.line("message lunch ").unwrap().split(' ').nth(2).unwrap().to_string();
    let react = format!("/reply {number} soup\n/react {number} +1\n");
    elsewhere(&people, "bob/main", &react);

    // Both name alice's message alike, so her device finds it.
    let alice = people.chat("alice/main", "");
    assert!(alice.says("reply lunch ", &format!(" to {number}")), "{alice:?}");

    // A domain of the service's own goes before both hosts, for rooms that are made from now on.
    people.server.restart_under(&["--domain", "chat.example.org"]);
    let bob = elsewhere(&people, "bob/main", "/new dinner\n/room\n/switch lunch\n/room\n");
    assert!(bob.has("room dinner open owner mimi://chat.example.org/r/"), "{bob:?}");
    assert!(bob.has(&format!("room lunch open member mimi://{authority}/r/")), "{bob:?}");
}
