//! How fresh a device keeps the keys of its groups, as its options say.

use crate::common::{DONE, Done, People, USAGE, run};

/// Alice and bob in a group.
fn people() -> People {
    let people = People::new();
    people.chat("bob", "");
    assert_eq!(people.chat("alice", "/new g\n/invite bob\n").code, DONE);
    assert_eq!(people.chat("bob", "/accept g\n").code, DONE);
    people
}

fn chat_with(people: &People, options: &[&str], input: &str) -> Done {
    let mut args = people.args("alice");
    args.extend(options.iter().map(|option| (*option).to_string()));
    run(&args, input.as_bytes())
}

/// The epoch of the group.
fn epoch(people: &People) -> u64 {
    let done = people.chat("alice", "/members\n");
    done.line("epoch ").unwrap().split(' ').nth(2).unwrap().parse().unwrap()
}

#[test]
fn a_device_replaces_its_keys_as_its_options_say() {
    let people = people();
    // The first commits of a group are not over before everybody has spoken.
    people.chat("alice", "begun\n");
    let begun = epoch(&people);
    assert_eq!(people.chat("alice", "one\ntwo\nthree\n").code, DONE);
    assert_eq!(epoch(&people), begun);

    let sent = chat_with(&people, &["--key-max-messages", "1"], "four\nfive\nsix\n");
    assert_eq!(sent.code, DONE);
    let by_chat = epoch(&people);
    assert!(by_chat >= begun + 2, "{begun}, {by_chat}: {sent:?}");

    // All commands that run a device know the options.
    for text in ["seven", "eight", "nine"] {
        let (url, data) = (people.server.url(), people.data());
        let device = ["--user", "alice", "--server", &url, "--data", data.to_str().unwrap()];
        let words = ["send", "g", text, "--key-max-messages", "1"];
        assert_eq!(run(&[&words[..], &device].concat(), b"").code, DONE);
    }
    assert!(epoch(&people) > by_chat);
}

#[test]
fn options_of_keys_out_of_bounds_are_refused_before_anything_is_done() {
    let people = People::new();
    for (option, value, bounds) in [
        ("--key-max-age", "400d", "from 1h to 365d"),
        ("--key-max-messages", "0", "0 is not in 1..=1000000"),
        ("--key-max-renewals", "many", "invalid digit"),
        ("--device-max-absence", "12h", "from 1d to 3650d, or `never`"),
    ] {
        let refused = chat_with(&people, &[option, value], "/new g\n");
        assert_eq!(refused.code, USAGE);
        assert!(refused.stderr.contains(bounds), "{}", refused.stderr);
    }
    assert!(!people.data().exists());
    let taken = chat_with(&people, &["--device-max-absence", "never", "--key-max-age", "12h"], "");
    assert_eq!(taken.code, DONE);
}
