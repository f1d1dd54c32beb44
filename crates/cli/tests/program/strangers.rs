//! Whom the messenger lets in, and whose groups it speaks in.

use crate::common::People;

const REPORT: &str = "nightly report: all fine\n";

/// A bot that is in no group, brought into one by somebody whom its user never heard of.
fn brought_in() -> People {
    let people = People::new();
    people.chat("bot/main", "");
    people.chat("mallory/main", "/new trap\n/invite bot\n");
    people
}

#[test]
fn a_strangers_group_gets_nothing_before_it_is_accepted() {
    let people = brought_in();
    let bot = people.chat("bot/main", REPORT);
    assert!(bot.has("joined trap 1 by mallory/main"), "{bot:?}");
    let asked = bot.line("invited trap 1 by mallory/main ").unwrap();
    assert!(bot.line("error ").unwrap().contains("/accept trap"), "{bot:?}");
    assert!(!bot.has("message"), "{bot:?}");
    let group = people.chat("bot/main", "/groups\n");
    assert!(group.line("group trap").unwrap().contains("invited by mallory/main"), "{group:?}");

    // The inviter's key is shown, so that one can ask the person.
    let mallory = people.chat("mallory/main", "/members\n");
    let code = mallory.line("member trap mallory/main ").unwrap().splitn(4, ' ').nth(3).unwrap();
    assert!(code.starts_with(asked.splitn(6, ' ').nth(5).unwrap()), "{asked} {code}");
    assert!(!mallory.has("message"), "{mallory:?}");
}

#[test]
fn whoever_was_accepted_once_is_no_stranger_any_more() {
    let people = brought_in();
    let bot = people.chat("bot/main", format!("/accept\n{REPORT}"));
    assert!(bot.says("message trap 3 bot/main ", " all fine"), "{bot:?}");
    people.chat("mallory/main", "/new second\n/invite bot\n");
    let bot = people.chat("bot/main", REPORT);
    assert!(bot.has("joined second") && !bot.has("invited"), "{bot:?}");
    assert!(bot.has("message trap 4 bot/main"), "lines go where they went before: {bot:?}");

    // The user's other devices were not accepted.
    people.link("mallory/other", "mallory/main");
    people.chat("mallory/other", "/new third\n/invite bot\n");
    assert!(people.chat("bot/main", "").has("invited third 3 by mallory/other"));
}

#[test]
fn to_switch_to_a_strangers_group_is_to_accept_it() {
    let people = brought_in();
    let bot = people.chat("bot/main", format!("/switch trap\n{REPORT}"));
    assert!(bot.says("message trap 3 bot/main ", " all fine"), "{bot:?}");
}

#[test]
fn whom_one_invites_is_no_stranger() {
    let people = People::new();
    people.chat("bob/main", "");
    people.chat("alice/main", "/new lunch\n/invite bob\n");
    people.chat("bob/main", "/new dinner\n/invite alice\n");
    let alice = people.chat("alice/main", "");
    assert!(alice.has("joined dinner") && !alice.has("invited"), "{alice:?}");
}

#[test]
fn a_declined_group_is_left_by_this_device_alone() {
    let people = People::new();
    people.chat("bot/main", "");
    people.link("bot/other", "bot/main");
    people.chat("mallory/main", "/new trap\n/invite bot\n");
    people.chat("bot/other", "/accept\n");
    people.chat("bot/main", "/decline\n");
    let mallory = people.chat("mallory/main", "/members\n");
    let removed: Vec<_> = mallory.lines.iter().filter(|l| l.starts_with("removed trap")).collect();
    assert!(removed.len() == 1 && removed[0].contains(" bot/main "), "{mallory:?}");
    assert!(people.chat("bot/main", "").has("left trap"));
    assert!(people.chat("bot/other", "here\n").has("message trap"));
}

#[test]
fn who_has_left_is_asked_before_it_is_in_again() {
    let people = brought_in();
    people.chat("bot/main", "/accept\n/leave\n");
    people.chat("mallory/main", "");
    assert!(people.chat("bot/main", "").has("left trap"));
    people.chat("mallory/main", "/invite bot\n");
    let bot = people.chat("bot/main", REPORT);
    assert!(bot.has("invited trap") && !bot.has("message"), "{bot:?}");
}

#[test]
fn a_blocked_user_brings_one_into_no_group() {
    let people = brought_in();
    let bot = people.chat("bot/main", "/block mallory\n/groups\n");
    assert!(!bot.line("group trap").unwrap().contains("invited"), "{bot:?}");
    people.chat("mallory/main", "/new second\n/invite bot\n");
    people.link("mallory/other", "mallory/main");
    people.chat("mallory/other", "/new third\n/invite bot\n");
    let bot = people.chat("bot/main", format!("/groups\n{REPORT}"));
    for group in ["second", "third"] {
        assert!(!bot.lines.iter().any(|line| line.contains(group)), "{bot:?}");
    }
    assert!(!bot.has("joined") && !bot.has("message"), "{bot:?}");
    assert_eq!(bot.line("group ").map(|line| line.contains(" left")), Some(true), "{bot:?}");

    // Nor is what goes wrong with such an invitation told.
    people.lose_key_packages("bot/main");
    people.chat("mallory/main", "/new broken\n/invite bot\n");
    let bot = people.chat("bot/main", "");
    assert!(!bot.has("failed") && !bot.has("joined"), "{bot:?}");

    // Whom one invites, one no longer blocks.
    people.chat("bot/main", "/new mine\n/invite mallory\n");
    people.chat("mallory/main", "/new fourth\n/invite bot\n");
    assert!(people.chat("bot/main", "").has("joined fourth"));
}

/// The code of a device, as everybody sees it who lists the members.
fn code(people: &People, lister: &str, device: &str) -> String {
    let listed = people.chat(lister, "/members\n");
    let line = listed.lines.iter().find(|line| line.contains(&format!(" {device} "))).unwrap();
    line.splitn(4, ' ').nth(3).unwrap().to_string()
}

/// Bob's devices come in one after another; everybody is told which, by whom and with what code.
#[test]
fn every_device_that_comes_in_is_shown_with_its_code() {
    let people = People::new();
    for device in ["bob/main", "carol/main"] {
        people.chat(device, "");
    }
    people.link("bob/x", "bob/main");
    let alice = people.chat("alice/main", "/new g\n/invite carol\n/invite bob\n");
    // By the same commit as bob/main.
    people.chat("bob/main", "/accept\n");
    let short = code(&people, "bob/main", "bob/x")[..17].to_string();
    let carol = people.chat("carol/main", "");
    for who in [&alice, &carol] {
        assert!(who.says("added g ", &format!(" bob/x by alice/main {short}")), "{who:?}");
        assert!(!who.has("note - bob/x"), "she knew of no other devices: {who:?}");
    }

    // Later than bob/main.
    people.link("bob/y", "bob/main");
    let short = code(&people, "bob/main", "bob/y")[..17].to_string();
    let carol = people.chat("carol/main", "");
    let note = format!("note - bob/y ({short}) is a new device of bob, added by bob/main");
    assert!(carol.has(&note), "{carol:?}");
    assert!(carol.says("added g ", &format!(" bob/y by bob/main {short}")), "{carol:?}");
}

/// Bob's first device was set up from Eve's store, or Eve has taken his name with the key that she is
/// in with.
#[test]
fn a_device_with_a_members_key_keeps_nobody_else_out() {
    let people = People::new();
    people.chat("eve/x", "");
    people.chat("alice/main", "/new g\n/invite eve\n");
    people.chat("eve/x", "");
    people.copy_identity("eve/x", "bob/x");
    assert_eq!(people.chat("bob/x", "").code, Some(0));
    people.link("bob/good", "bob/x");
    let alice = people.chat("alice/main", "/invite bob\n");
    assert!(alice.lines.iter().any(|line| line.contains(" bob/x is not invited: ")), "{alice:?}");
    assert!(alice.lines.iter().any(|line| line.contains(" bob/good by alice/main")), "{alice:?}");
    assert!(people.chat("bob/good", "").has("joined g"));
}

/// Two devices were set up from one store.
#[test]
fn a_device_with_anothers_key_is_not_admitted() {
    let people = People::new();
    people.chat("bob/old", "");
    people.copy_identity("bob/old", "bob/new");
    let (mut new, code) = people.waiting_device("bob/new");
    let old = people.chat("bob/old", format!("/link {code}\n/devices\n"));
    assert!(old.line("error ").unwrap().contains("has or had this key already"), "{old:?}");
    assert!(old.has("device bob/old") && !old.has("device bob/new"), "{old:?}");
    assert_eq!(old.code, Some(3));
    new.kill_9();
}
