//! What was said, as scripts see it: replies, reactions, edits, deletions, search, unread counts, export.

use crate::common::{DONE, Done, People, REFUSED, number, two_people};
use std::path::Path;

/// Whether a file in a folder holds these bytes.
fn holds(folder: &Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, bytes);
        }
        let content = std::fs::read(path).unwrap();
        content.windows(bytes.len()).any(|window| window == bytes)
    })
}

#[test]
fn a_draft_is_shown_where_its_writer_comes_and_sent_once() {
    let (people, _) = two_people("hello all\n");
    let alice =
        people.chat("alice", "/new quiet\n/draft  not  yet\n/groups\n/draft\n/switch g\n/draft\n");
    assert_eq!(alice.code, DONE, "{:?}", alice.lines);
    let drafts = |done: &Done| done.lines.iter().filter(|line| line.starts_with("draft ")).count();
    assert_eq!(drafts(&alice), 2, "{:?}", alice.lines);
    assert!(alice.has("draft quiet not  yet"));
    assert!(alice.says("note g nothing waits to be sent", "keeps TEXT"), "{:?}", alice.lines);

    // Another text takes its place, after a restart as before.
    let alice =
        people.chat("alice", "/switch quiet\n/draft that is it\n/switch g\n/switch quiet\n");
    assert_eq!(alice.lines.iter().filter(|line| *line == "draft quiet not  yet").count(), 1);
    assert!(alice.has("draft quiet that is it"), "{:?}", alice.lines);

    // It is sent once, after which there is none.
    let alice = people.chat("alice", "/draft send\n/draft send\n/draft\n");
    assert_eq!(alice.code, REFUSED);
    assert_eq!(alice.lines[0], "draft quiet that is it");
    assert_eq!(alice.texts("quiet"), ["that is it"]);
    assert!(alice.says("error nothing waits to be sent", "keeps TEXT"), "{:?}", alice.lines);

    let alice = people.chat("alice", "/draft evanescent\n/draft clear\n/draft\n/switch quiet\n");
    assert_eq!((alice.code, drafts(&alice)), (DONE, 0), "{:?}", alice.lines);
    assert!(!holds(&people.data(), b"evanescent"));
}

#[test]
fn messages_are_answered_changed_and_found_by_their_numbers() {
    let (people, alice) = two_people("hello all\nregrettable words\n");
    let (hello, words) = (number(&alice, "hello all"), number(&alice, "regrettable words"));

    let input = format!("/accept\n/unread\n/reply {hello} hi alice\n/react {hello} 👍\n/unread\n");
    let bob = people.chat("bob", input);
    assert_eq!(bob.code, DONE, "{:?}", bob.lines);
    assert!(bob.has("unread g 2 0"), "{:?}", bob.lines);
    let reply = number(&bob, "hi alice");
    assert!(bob.has(&format!("reply g {reply} to {hello}")), "{:?}", bob.lines);
    assert!(bob.has(&format!("reaction g {hello} bob/main 👍")), "{:?}", bob.lines);

    let input =
        format!("/edit {hello} hello everybody\n/delete {words}\n/search everyb\n/history\n");
    let alice = people.chat("alice", input);
    assert_eq!(alice.code, DONE, "{:?}", alice.lines);
    assert!(alice.has(&format!("reply g {reply} to {hello}")), "{:?}", alice.lines);
    assert!(alice.has(&format!("reaction g {hello} bob/main 👍")));
    for (begin, end) in [
        ("edited", "hello everybody"),
        ("history message", "hello everybody"),
        ("found message", "hello everybody"),
        ("history message", "hi alice"),
    ] {
        assert!(alice.says(begin, end), "{begin}: {:?}", alice.lines);
    }
    assert!(alice.has(&format!("deleted g {words} alice/main")));
    assert!(alice.has(&format!("history deleted g {words} alice/main")));
    assert!(alice.has(&format!("history reactions g {hello} 1 👍")));
    assert!(!alice.says("history", "regrettable words"));

    // Everybody sees the same, and nobody changes what others said.
    let bob = people.chat("bob", format!("/edit {hello} mine\n/delete {hello}\n/history\n"));
    assert_eq!(bob.code, REFUSED);
    assert!(bob.says(&format!("edited g {hello} alice/main "), " hello everybody"));
    assert!(bob.has(&format!("deleted g {words} alice/main")));
    assert_eq!(bob.lines.iter().filter(|line| line.starts_with("error ")).count(), 2);
    assert!(bob.says("history message", "hello everybody"));
    // What was deleted or replaced is nowhere in anybody's state.
    assert!(holds(&people.data(), b"hello everybody"));
    assert!(!holds(&people.data(), b"regrettable") && !holds(&people.data(), b"hello all"));
}

#[test]
fn pages_and_exports_show_all_that_was_said() {
    let lines: String = (0..30).map(|n| format!("line {n}\n")).collect();
    let (people, alice) = two_people(&lines);
    let (first, tenth) = (number(&alice, "line 0"), number(&alice, "line 10"));
    let texts = |done: &Done| -> Vec<String> {
        let old = done.lines.iter().filter(|line| line.starts_with("history message g "));
        old.map(|line| line.splitn(7, ' ').nth(6).unwrap().to_string()).collect()
    };
    let page = people.chat("alice", "/history 5\n");
    assert_eq!(texts(&page), ["line 25", "line 26", "line 27", "line 28", "line 29"]);
    let before = number(&alice, "line 25");
    assert!(page.has(&format!("more g before {before}")), "{:?}", page.lines);
    let page = people.chat("alice", format!("/history 3 before {tenth}\n"));
    assert_eq!(texts(&page), ["line 7", "line 8", "line 9"]);
    let page = people.chat("alice", format!("/history before {first}\n"));
    assert!(texts(&page).is_empty() && !page.has("more"));

    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let (text, json) = (file("g.txt"), file("g.json"));
    let done = people.chat("alice", format!("/export {text}\n/export {json}\n/export {json}\n"));
    assert_eq!(done.code, REFUSED, "a file is not written over");
    let text = std::fs::read_to_string(text).unwrap();
    assert_eq!(text.lines().count(), 30);
    assert!(text.lines().next().unwrap().ends_with(" alice/main: line 0"));
    let json = std::fs::read_to_string(json).unwrap();
    assert!(json.contains("\"text\":\"line 29\""));
}

#[test]
fn receipts_are_sent_if_the_user_wants_them_and_not_before() {
    let (people, _) = two_people("one\n");
    people.chat("bob", "/accept\n/read\n");
    let alice = people.chat("alice", "two\n");
    assert!(!alice.has("receipt "), "{:?}", alice.lines);
    let two = number(&alice, "two");

    people.chat("bob", "/receipts on\n/read\n");
    let alice = people.chat("alice", "three\n");
    assert!(alice.has(&format!("receipt g bob/main read {two}")), "{:?}", alice.lines);
    let three = number(&alice, "three");
    people.chat("bob", "");
    let alice = people.chat("alice", "");
    assert!(alice.has(&format!("receipt g bob/main delivered {three}")), "{:?}", alice.lines);

    // They go out at once, not with what this device happens to do next.
    let (bob, mut alice) = (people.stay("bob"), people.stay("alice"));
    bob.until("ready");
    alice.write("four");
    alice.until("receipt g bob/main delivered ");
}

#[test]
fn what_one_device_reads_and_edits_reaches_the_users_others() {
    let (people, _) = two_people("");
    people.chat("bob", "/accept\n/receipts on\n");
    people.link_into(1, "bob/phone", "bob");
    let alice = people.chat("alice", "first\n");
    let first = number(&alice, "first");
    let phone = people.chat("bob/phone", "/unread\n");
    assert!(phone.has("unread g 1 0"), "{:?}", phone.lines);

    let main = people.chat("bob", format!("/read\n/reply {first} mine\n"));
    let mine = number(&main, "mine");
    let phone = people.chat("bob/phone", format!("/unread\n/edit {mine} ours\n"));
    assert!(phone.has(&format!("read g {first}")), "{:?}", phone.lines);
    assert!(phone.has("note - nothing is unread"), "{:?}", phone.lines);
    assert!(phone.says(&format!("edited g {mine} "), " ours"), "{:?}", phone.lines);
    let main = people.chat("bob", "/history 1\n");
    assert!(main.says("history message g", " ours"), "{:?}", main.lines);
}

#[test]
fn whoever_is_named_in_a_room_is_mentioned_and_nobody_else_is() {
    let people = People::new();
    people.chat("bob/main", "");
    people.chat("alice/main", "/new lunch\n/invite bob\n");
    people.chat("bob/main", "/accept\n");
    let said = "@bob, *2 < 3*?\n@carol bob@bob.example @bobby\n";
    people.chat("alice/main", said);
    let bob = people.chat("bob/main", "/unread\n/mentions\n");
    assert_eq!(bob.texts("lunch"), ["@bob, *2 < 3*?", "@carol bob@bob.example @bobby"]);
    let mentions: Vec<_> = bob.lines.iter().filter(|line| line.starts_with("mention ")).collect();
    assert_eq!(mentions.len(), 1, "{bob:?}");
    assert!(bob.says("found message lunch ", " @bob, *2 < 3*?"), "{bob:?}");

    // An answer mentions, too, and what was said is found by the name.
    let number = bob.line("mention lunch ").unwrap().split(' ').nth(2).unwrap();
    people.chat("bob/main", format!("/reply {number} yes, @alice.\n"));
    let alice = people.chat("alice/main", "/mentions\n/search alice\n");
    assert!(alice.has("mention lunch "), "{alice:?}");
    assert!(alice.says("found message lunch ", " yes, @alice."), "{alice:?}");
    assert!(!alice.lines.iter().any(|line| line.contains("mimi://")), "{alice:?}");
}
