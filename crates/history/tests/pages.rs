//! Pages and searches, across the segments of the index.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "these are tests")]

mod room;

use conclave_content::{Draft, Expiration, MessageId, markdown};
use conclave_history::Cursor;
use room::{ALICE, BOB, NOW, World, group, numbers};

/// 1000 messages with gaps between their numbers, of which each third is bob's.
fn long() -> (World, Vec<MessageId>, Vec<u64>) {
    let mut world = World::new();
    let (mut ids, mut at) = (Vec::new(), Vec::new());
    for n in 0..1000 {
        world.last += n % 5;
        let user = if n % 3 == 0 { BOB } else { ALICE };
        let text = format!("message n{n} {}", if n % 100 == 7 { "seven" } else { "" });
        ids.push(world.said(user, &text));
        at.push(world.last);
    }
    (world, ids, at)
}

#[test]
fn pages_in_both_directions_show_each_message_once_and_in_order() {
    let (world, _, at) = long();
    for limit in [1, 7, 100, 500, 10_000] {
        let (mut back, mut before) = (Vec::new(), Some(Cursor::LAST));
        while let Some(cursor) = before {
            let page = world.before(cursor, limit);
            back.splice(0..0, numbers(&page.entries));
            before = page.earlier;
        }
        assert_eq!(back, at, "{limit}");
        let (mut forth, mut after) = (Vec::new(), Some(Cursor::FIRST));
        while let Some(cursor) = after {
            let page = world.after(cursor, limit);
            forth.extend(numbers(&page.entries));
            after = page.later;
        }
        assert_eq!(forth, at, "{limit}");
    }
    let page = world.before(Cursor(at[500]), 3);
    assert_eq!(numbers(&page.entries), &at[497..500]);
    let page = world.after(page.later.unwrap(), 3);
    assert_eq!(numbers(&page.entries), &at[500..503]);
    assert_eq!(page.earlier, Some(Cursor(at[500])));
    assert!(world.before(Cursor::FIRST, 3).entries.is_empty());
    assert!(world.after(Cursor::LAST, 3).entries.is_empty());
}

#[test]
fn a_cursor_stays_good_when_its_message_is_gone() {
    let mut world = World::new();
    let expires = Expiration::at(u32::try_from(NOW + 60).unwrap());
    for n in 0..6 {
        let draft = Draft::plain("x");
        world.say(ALICE, if n == 2 { draft.expiring(expires) } else { draft });
    }
    let page = world.before(Cursor::LAST, 4);
    assert_eq!(page.earlier, Some(Cursor(3)));
    world.now = NOW + 60;
    assert_eq!(world.expire(), [3]);
    assert_eq!(numbers(&world.before(Cursor(3), 4).entries), [1, 2]);
    assert_eq!(numbers(&world.after(Cursor(3), 1).entries), [4]);
}

#[test]
fn a_search_finds_old_and_new_messages_the_latest_first() {
    let (world, _, at) = long();
    let sevens: Vec<u64> = (0..10).rev().map(|n| at[n * 100 + 7]).collect();
    assert_eq!(world.search("SEVEN"), sevens);
    assert_eq!(world.search("sev MESS"), sevens);
    assert_eq!(world.search("n123"), [at[123]]);
    assert_eq!(world.search("n999 message"), [at[999]]);
    assert!(world.search("eight").is_empty() && world.search("n7 seven eight").is_empty());
    assert!(world.search("").is_empty() && world.search(" !? ").is_empty());
}

#[test]
fn a_search_goes_on_where_it_stopped() {
    let (world, _, at) = long();
    let reading = world.history.read(&world.store);
    let (mut found, mut before) = (Vec::new(), Some(Cursor::LAST));
    while let Some(cursor) = before {
        let page = reading.search(&group(), "message", cursor, 30).unwrap();
        assert!(page.entries.len() <= 30);
        found.extend(numbers(&page.entries));
        before = page.before;
    }
    found.reverse();
    assert_eq!(found, at);
}

#[test]
fn a_search_that_reads_too_much_says_where_to_go_on() {
    let mut world = World::new();
    // Each has both words, and none has them next to each other.
    for _ in 0..3000 {
        world.said(ALICE, "don a t");
    }
    world.last += 1;
    let reading = world.history.read(&world.store);
    let mut before = Some(Cursor::LAST);
    let mut calls = 0;
    while let Some(cursor) = before {
        let page = reading.search(&group(), "don't", cursor, 10).unwrap();
        assert!(page.entries.is_empty());
        (before, calls) = (page.before, calls + 1);
    }
    assert_eq!(calls, 3);
}

#[test]
fn words_of_several_parts_are_found_as_they_stand() {
    let mut world = World::new();
    for text in ["I don't know", "don at tea", "東京タワーに行く", "京都と東の山", "Café-Crème"]
    {
        world.said(ALICE, text);
    }
    assert_eq!(world.search("don't"), [1]);
    assert_eq!(world.search("東京"), [3]);
    assert_eq!(world.search("東"), [4, 3]);
    assert_eq!(world.search("cafe-cr"), [5]);
    assert_eq!(world.search("creme cafe"), [5]);
}

#[test]
fn edits_deletions_and_expiry_change_the_index_of_old_messages() {
    let (mut world, ids, at) = long();
    // In the first segment, and in none yet.
    for n in [7, 10, 996] {
        let user = if n % 3 == 0 { BOB } else { ALICE };
        world.say(user, Draft::plain("changed entirely").replacing(ids[n]));
        assert!(world.search(&format!("n{n}")).iter().all(|found| *found != at[n]), "{n}");
    }
    assert_eq!(world.search("entirely"), [at[996], at[10], at[7]]);
    for n in [7, 996] {
        let user = if n % 3 == 0 { BOB } else { ALICE };
        world.say(user, Draft::deletion(ids[n]));
    }
    assert_eq!(world.search("entirely"), [at[10]]);
    assert_eq!(world.numbers().len(), 500);
}

#[test]
fn unread_counts_are_right_wherever_the_marker_goes() {
    let (mut world, ids, at) = long();
    world.say(ALICE, Draft::markdown(&markdown::mention("@bob", BOB)).replacing(ids[400]));
    let by_others = |from: usize| (from..1000).filter(|n| n % 3 != 0).count() as u64;
    assert_eq!(world.unread(), (by_others(0), 1));
    world.say(ALICE, Draft::deletion(ids[500]));
    for n in [0, 100, 399, 400, 800, 998, 999] {
        world.read_up_to(at[n]);
        let deleted = u64::from(n < 500);
        assert_eq!(world.unread(), (by_others(n + 1) - deleted, u64::from(n < 400)), "{n}");
    }
}

#[test]
fn all_of_a_room_can_expire() {
    let mut world = World::new();
    let expires = Expiration::at(u32::try_from(NOW + 60).unwrap());
    for n in 0..600 {
        world.say(ALICE, Draft::plain(&format!("n{n}")).expiring(expires));
    }
    world.now = NOW + 60;
    assert_eq!(world.expire().len(), 600);
    assert_eq!((world.unread(), world.room().messages), ((0, 0), 0));
    assert!(world.numbers().is_empty() && world.search("n5").is_empty());
    // And it goes on.
    world.said(ALICE, "n5 again");
    assert_eq!(world.search("n5"), [601]);
    assert!(!world.holds(b"n59"));
}
