//! Links into groups, between real processes.

use crate::common::People;

#[test]
fn of_two_people_with_a_link_of_one_use_one_comes_in() {
    let people = People::new();
    let alice = people.chat("alice/main", "/new lunch\n/invite-link\n");
    let made = alice.line("invite-link lunch ").unwrap();
    assert!(made.contains(" uses 1 until "), "{alice:?}");
    let link = made.split(' ').nth(2).unwrap();

    let bob = people.chat("bob/main", format!("/join {link}\nhello\n"));
    assert!(bob.has("joined lunch 2 link alice/main "), "{bob:?}");
    assert!(bob.says("message lunch 3 bob/main ", " hello") && bob.code == Some(0), "{bob:?}");
    let carol = people.chat("carol/main", format!("/join {link}\n"));
    let failed = carol.line("failed - you have not joined lunch: ").unwrap();
    assert!(failed.contains("used up") && carol.code == Some(3), "{carol:?}");
    assert!(!carol.has("joined"), "{carol:?}");

    let alice = people.chat("alice/main", "/links\n/members\n");
    assert!(alice.has("added lunch 2 bob/main link alice/main "), "{alice:?}");
    assert!(alice.says("message lunch 3 bob/main ", " hello"), "{alice:?}");
    assert!(alice.has("link-into lunch 1 alice/main used 1 of 1 until "), "{alice:?}");
    let members = alice.lines.iter().filter(|line| line.starts_with("member lunch "));
    assert_eq!(members.count(), 2, "{alice:?}");
}
