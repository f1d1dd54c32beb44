//! A new device is given what was said before it came in, by another device of its user's.

use crate::common::{DONE, Done, PATIENCE, People, REFUSED, number, two_people};
use std::time::{Duration, Instant};

/// The texts of a page, and who has given each.
fn page(done: &Done, group: &str) -> Vec<(String, Option<String>)> {
    let mut found: Vec<(String, Option<String>)> = Vec::new();
    for line in &done.lines {
        let words: Vec<&str> = line.splitn(7, ' ').collect();
        match words.as_slice() {
            ["history", "message", of, _, _, _, text] if *of == group => {
                found.push(((*text).into(), None));
            }
            ["history", "deleted", of, ..] if *of == group => found.push(("deleted".into(), None)),
            ["history", "given", of, _, "by", by] if *of == group => {
                found.last_mut().unwrap().1 = Some((*by).into());
            }
            _ => {}
        }
    }
    found
}

/// What a device has of the current group.
fn export(people: &People, who: &str) -> serde_json::Value {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("g.json");
    let done = people.chat(who, format!("/switch g\n/export {}\n", file.display()));
    assert_eq!(done.code, DONE, "{:?}", done.lines);
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

/// Alice and bob in a group `g`, in which alice has said these lines, and bob has answered.
fn two_who_talk(lines: &str) -> (People, Done) {
    let (people, alice) = two_people(lines);
    assert_eq!(people.chat("bob", "/accept\nhello alice\n").code, DONE);
    (people, alice)
}

#[test]
fn a_new_device_is_given_what_the_rooms_allow_and_says_by_whom() {
    let (people, alice) = two_who_talk("first words\nregrettable words\nshort words\n");
    let (regretted, short) = (number(&alice, "regrettable words"), number(&alice, "short words"));
    let input = format!(
        "/delete {regretted}\n/react {short} 👍\n/new shut\nbehind closed doors\n/history forbid\n\
         /new recent\nnot long ago\n/history allow 52w\n/switch g\n/unread\n"
    );
    let alice = people.chat("alice", input);
    assert_eq!(alice.code, DONE, "{:?}", alice.lines);
    assert!(alice.has("history-policy shut ") && alice.has("history-policy recent "));
    people.link_into(3, "alice/phone", "alice");

    // The phone sees nothing from before, and nobody gives without being asked.
    let phone = people.chat("alice/phone", "/switch g\n/history\n");
    assert!(page(&phone, "g").is_empty(), "{:?}", phone.lines);
    let early = people.chat("alice", "/history give phone\n");
    assert_eq!(early.code, REFUSED);
    assert_eq!(people.chat("alice/phone", "/switch g\n/history ask\n").code, DONE);

    let alice = people.chat("alice", "");
    assert!(alice.has("history-asked g alice/phone"), "{:?}", alice.lines);
    let alice = people.chat("alice", "/history give phone\n");
    assert_eq!(alice.code, DONE, "{:?}", alice.lines);
    assert!(alice.has("history-given g alice/phone 5 2 "), "{:?}", alice.lines);
    assert!(alice.says("note - of shut nothing is given", "forbids it"), "{:?}", alice.lines);
    let again = people.chat("alice", "/history give phone\n");
    assert_eq!(again.code, REFUSED, "one question has one answer");

    let phone = people.chat("alice/phone", "");
    assert_eq!(phone.code, DONE, "{:?}", phone.lines);
    assert!(phone.has("history-comes g alice/main"), "{:?}", phone.lines);
    assert!(phone.has("history-taken g alice/main 5 2 0"), "{:?}", phone.lines);
    let phone = people.chat("alice/phone", "/switch g\n/unread\n/history\n/search short\n");
    let given = |text: &str| (text.to_string(), Some("alice/main".to_string()));
    let all = ["first words", "deleted", "short words", "hello alice"].map(given);
    assert_eq!(page(&phone, "g"), all, "{:?}", phone.lines);
    assert!(phone.has(&format!("history reactions g {short} 1 👍")), "{:?}", phone.lines);
    assert!(phone.has(&format!("found given g {short} by alice/main")), "{:?}", phone.lines);
    assert!(!phone.lines.iter().any(|line| line.starts_with("unread ")), "{:?}", phone.lines);
    assert!(phone.has("note - nothing is unread"), "{:?}", phone.lines);
    let json = export(&people, "alice/phone");
    assert_eq!(json["messages"][0]["given_by"], "alice/main");
    let phone = people.chat("alice/phone", "/switch shut\n/history\n/switch recent\n/history\n");
    assert!(page(&phone, "shut").is_empty(), "{:?}", phone.lines);
    assert_eq!(page(&phone, "recent"), [given("not long ago")]);

    // What passed between alice's devices shows nothing to bob.
    let bob = people.chat("bob", "/unread\n/history\n");
    let texts: Vec<String> = page(&bob, "g").into_iter().map(|(text, _)| text).collect();
    assert_eq!(texts, ["first words", "deleted", "short words", "hello alice"]);
    for strange in ["content ", "attachment ", "history-", "note g "] {
        assert!(!bob.has(strange), "{:?}", bob.lines);
    }

    // The phone goes on with it as with what it has itself.
    let phone = people.chat("alice/phone", format!("/switch g\n/delete {short}\n/history\n"));
    assert_eq!(phone.code, DONE, "{:?}", phone.lines);
    assert_eq!(page(&phone, "g")[2].0, "deleted");
}

#[test]
fn a_question_stays_until_it_is_answered() {
    let (people, _) = two_who_talk("first words\n");
    people.link_into(1, "alice/phone", "alice");
    assert_eq!(people.chat("alice/phone", "/switch g\n/history ask\n").code, DONE);
    assert!(people.chat("alice", "").has("history-asked g alice/phone"));

    // Giving is stopped before there is anything to take, and begun again.
    let give = "/history give phone\n";
    let alice = people.chat("alice", format!("{give}{give}/cancel\n"));
    assert_eq!(alice.code, REFUSED);
    assert!(alice.has("error alice/phone is being given it already"), "{:?}", alice.lines);
    assert!(alice.says("note - stopped: what was said", "alice/phone"), "{:?}", alice.lines);
    let alice = people.chat("alice", give);
    assert!(alice.has("history-given g alice/phone 2 1 "), "{:?}", alice.lines);
    assert_eq!(people.chat("alice", give).code, REFUSED, "one question has one answer");
    assert!(people.chat("alice/phone", "").has("history-taken g alice/main 2 1 0"));
}

#[test]
fn a_device_that_nobody_has_linked_is_given_nothing() {
    let (people, _) = two_who_talk("first words\n");
    // Bob's device asks: it is not alice's.
    people.link_into(1, "bob/phone", "bob");
    assert_eq!(people.chat("bob/phone", "/switch g\n/history ask\n").code, DONE);
    let alice = people.chat("alice", "/history give phone\n");
    assert_eq!(alice.code, REFUSED, "{:?}", alice.lines);
    assert!(!alice.has("history-asked"), "{:?}", alice.lines);

    // One that was shut out since is not given what it has asked for.
    assert!(people.chat("bob", "").has("history-asked g bob/phone"));
    assert_eq!(people.chat("bob", "/revoke phone\n").code, DONE);
    assert_eq!(people.chat("bob", "/history give phone\n").code, REFUSED);
    // Nor is there anybody to ask where no other device is.
    assert_eq!(people.chat("alice", "/history ask\n").code, REFUSED);
}

#[test]
fn giving_and_taking_go_on_however_often_the_processes_are_killed() {
    const MESSAGES: usize = 2_000;
    let lines: String = (0..MESSAGES).map(|n| format!("line {n} of what was said\n")).collect();
    let (people, _) = two_who_talk(&lines);
    people.link_into(1, "alice/phone", "alice");
    assert_eq!(people.chat("alice/phone", "/switch g\n/history ask\n").code, DONE);
    assert!(people.chat("alice", "").has("history-asked"));

    let mut giver = people.stay("alice");
    giver.write("/history give phone");
    giver.until("note - what was said in 1 groups is given");
    giver.kill_9();
    for n in 0..6_u64 {
        let mut giver = people.stay("alice");
        std::thread::sleep(Duration::from_millis(60 * n));
        giver.kill_9();
    }
    assert_eq!(people.chat("alice", "").code, DONE);

    for n in 0..8_u64 {
        let mut phone = people.stay("alice/phone");
        std::thread::sleep(Duration::from_millis(70 * n));
        phone.kill_9();
    }
    let end = Instant::now() + PATIENCE;
    let messages = loop {
        assert_eq!(people.chat("alice/phone", "").code, DONE);
        let json = export(&people, "alice/phone");
        let messages = json["messages"].as_array().unwrap().clone();
        if messages.len() > MESSAGES {
            break messages;
        }
        assert!(Instant::now() < end, "{} messages", messages.len());
    };
    let texts: Vec<&str> = messages.iter().map(|m| m["text"].as_str().unwrap()).collect();
    assert_eq!(texts.len(), MESSAGES + 1);
    assert_eq!((texts[0], texts[MESSAGES]), ("line 0 of what was said", "hello alice"));
    let phone = people.chat("alice/phone", "/switch g\n/unread\n/history 3\n/search 1999\n");
    assert_eq!(page(&phone, "g").len(), 3);
    assert!(phone.says("found message g ", "line 1999 of what was said"), "{:?}", phone.lines);
    assert!(phone.has("note - nothing is unread"), "{:?}", phone.lines);
}
