//! Rooms, between processes: what is changed, who may, and who is told.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "the helpers of tests, too, are tests"
)]

mod common;

use common::People;

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
fn a_direct_chat_has_two_users() {
    let people = People::new();
    people.chat("bob/main", "");
    people.chat("carol/main", "");
    let alice = people.chat("alice/main", "/direct bob\npsst\n/invite carol\n");
    assert!(alice.line("failed bob ").unwrap().contains("never change"), "{alice:?}");
    let bob = people.chat("bob/main", "/accept\n/room\n");
    assert!(bob.says("message alice ", " psst") && bob.has("room alice direct member "), "{bob:?}");
}
