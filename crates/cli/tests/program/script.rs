//! What scripts meet at `conclave chat`: their lines, their exit codes, the names they may use.

use crate::common::{CONCLAVE, DONE, Done, People, REFUSED, USAGE, WAITING, replace_bytes, run};

/// The longest line, in bytes.
const MAX_LINE: usize = 65_536;

fn has_error(done: &Done, text: &str) -> bool {
    done.lines.iter().any(|line| line.starts_with("error ") && line.contains(text))
}

/// Whether this is `2026-01-31T18:30:00Z`.
fn is_time(word: &str) -> bool {
    word.len() == 20
        && word.bytes().zip(b"0000-00-00T00:00:00Z").all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            other => byte == *other,
        })
}

#[test]
fn the_rest_of_a_long_line_is_never_a_command() {
    let people = People::new();
    for length in [MAX_LINE + 1, MAX_LINE + 2, MAX_LINE + 3, 3 * MAX_LINE] {
        for command in ["/leave", "/members"] {
            let input = format!(
                "/new g{length}{}\n{}{command}\nafter\n",
                &command[1..],
                "x".repeat(length)
            );
            let done = people.chat("alice", input);
            assert_eq!(done.code, REFUSED, "{length}");
            assert!(has_error(&done, "65536"), "the limit is named: {:?}", done.lines);
            assert!(!done.has("left") && !done.has("leaving") && !done.has("member"));
            let group = format!("g{length}{}", &command[1..]);
            assert_eq!(done.texts(&group), ["after"], "nothing of it is said");
        }
    }
}

#[test]
fn a_line_of_the_longest_length_is_said_whole() {
    let people = People::new();
    let longest = "x".repeat(MAX_LINE - 2) + "é";
    let done = people.chat("alice", format!("/new g\n{longest}\n{longest}\r\n"));
    assert_eq!(done.code, DONE);
    assert_eq!(done.texts("g"), [&longest, &longest]);
    // The end of the input is the end of a line, too.
    let done = people.chat("alice", &longest);
    assert_eq!(done.texts("g"), [&longest]);
    assert_eq!(people.chat("alice", longest + "x").code, REFUSED);
}

#[test]
fn bytes_that_are_no_utf8_are_refused() {
    let people = People::new();
    let done = people.chat("alice", b"/new g\ncaf\xe9\nafter\n");
    assert_eq!(done.code, REFUSED);
    assert!(has_error(&done, "UTF-8"), "{:?}", done.lines);
    assert_eq!(done.texts("g"), ["after"]);
}

#[test]
fn say_reads_back_what_the_output_escapes() {
    let people = People::new();
    let text = r"foo\nbar\\n\tbaz\u{1b}[2J";
    let done = people.chat("alice", format!("/new g\n/say {text}\nfoo\\nbar\n"));
    assert_eq!(done.code, DONE);
    assert_eq!(done.texts("g"), [text, r"foo\\nbar"], "other lines are said as they are");
    let done = people.chat("alice", "/say foo\\bar\n/say\n");
    assert_eq!((done.code, done.texts("g").len()), (REFUSED, 0));
    assert!(has_error(&done, "/say TEXT"), "{:?}", done.lines);
    // Where a user looks for it.
    assert!(people.chat("alice", "/help\n").lines.iter().any(|line| line.contains("/say TEXT")));
    let help = run(&["chat", "--help"], b"").lines.join("\n");
    assert!(help.contains("/say TEXT") && help.contains(r"\n"), "{help}");
}

#[test]
fn the_exit_code_says_if_something_was_refused() {
    let people = People::new();
    assert_eq!(people.chat("nobody", "hello\n").code, REFUSED, "in no group");
    assert_eq!(people.chat("nobody", "/groups\n").code, DONE, "an empty list is an answer");
    let done = people.chat("alice", "/new g\n/invite nosuch\n");
    assert!(done.has("failed g nosuch is not invited"), "{:?}", done.lines);
    assert_eq!(done.code, REFUSED, "accepted, and refused later");
    for line in [
        "/invite nosuch",
        "/remove nosuch",
        "/remove alice",
        "/nosuch",
        "/switch nosuch",
        "/new g",
        "/new a b c",
        "/invite Bob",
        "/verify nosuch",
        "/history x",
    ] {
        let done = people.chat("alice", format!("{line}\nhello\n"));
        assert_eq!(done.code, REFUSED, "{line}");
        assert_eq!(done.texts("g"), ["hello"], "{line} holds nothing up");
    }
    let done = people.chat("alice", "hello\n/members\n/groups\n/history\n/help\n\n/quit\n");
    assert_eq!(done.code, DONE, "what was refused in other runs does not count");
}

#[test]
fn exit_codes_are_listed_and_true() {
    let help = run(&["chat", "--help"], b"").lines.join("\n");
    let codes = help.split("Exit codes:").nth(1).unwrap();
    for code in 0..=4 {
        assert!(codes.contains(&format!("\n  {code}  ")), "{codes}");
    }
    let text = help.split("At a terminal").nth(1).unwrap();
    assert!(text.lines().all(|line| line.len() <= 80), "{text}");
    let people = People::new();
    people.chat("alice", "/new g\n");
    let mut args = people.args("alice");
    args[3] = "http://127.0.0.1:9".into();
    let done = run(&args, b"later\n/quit\n");
    assert_eq!(done.code, WAITING, "{}", done.stderr);
    assert_eq!(people.chat("alice", "").code, DONE);
    args[1] = "Alice".into();
    assert_eq!(run(&args, b"").code, USAGE);
}

#[test]
fn input_that_cannot_be_read_is_no_end_of_input() {
    let people = People::new();
    let folder = std::fs::File::open(people.data().parent().unwrap()).unwrap();
    let output = std::process::Command::new(CONCLAVE)
        .args(people.args("alice"))
        .stdin(folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("error the input cannot be read"), "{said}");
    assert_eq!(output.status.code(), REFUSED);
}

#[test]
fn names_never_lead_out_of_the_state_folder() {
    let people = People::new();
    for (user, device) in [("..", ".."), ("..", "main"), ("eve", ".."), ("eve", "."), ("...", "a")]
    {
        let done = people.chat(&format!("{user}/{device}"), "");
        assert_eq!(done.code, USAGE, "{user} {device}");
        assert!(done.stderr.contains("dots"), "{}", done.stderr);
    }
    assert!(!people.data().exists(), "nothing is made");
    assert_eq!(people.chat("alice", "/new g\n/invite ..\n").code, REFUSED);
    assert_eq!(people.chat(".a.", "").code, DONE);
}

#[test]
fn no_users_state_lies_in_the_services_folder() {
    let folder = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(CONCLAVE)
        .args(["chat", "service", "--device", "delivery.db"])
        .env("XDG_DATA_HOME", folder.path())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("--data"), "{said}");
    assert!(!folder.path().join("conclave").exists(), "nothing is made");
    assert_eq!(People::new().chat("service", "").code, DONE, "elsewhere it is a name");
}

#[test]
fn names_that_cannot_be_seen_are_refused() {
    let people = People::new();
    let mut names: Vec<String> = "\u{200b}\u{2060}\u{ad}\u{61c}\u{feff}\u{200d}\u{34f}\u{fe0f}\u{180e}\u{e0041}\u{3164}\u{2800}"
        .chars()
        .flat_map(|c| [format!("lunch{c}"), c.to_string(), format!("lu{c}nch")])
        .collect();
    names.extend(["-", "--", ".", "..", "*", "!", "\u{2010}"].map(str::to_string));
    let input: String = names.iter().map(|name| format!("/new {name}\n")).collect();
    let done = people.chat("carol", format!("/new lunch\n{input}/groups\n"));
    assert_eq!(done.code, REFUSED);
    let errors = done.lines.iter().filter(|line| line.starts_with("error a group's name")).count();
    assert_eq!(errors, names.len());
    assert_eq!(done.lines.iter().filter(|line| line.starts_with("group ")).count(), 1);
}

#[test]
fn a_group_that_looks_like_a_known_one_gets_another_name() {
    let people = People::new();
    people.chat("bob", "/new lunch\n");
    let lookalikes = ["lun\u{441}h", "Lunch", "1unch", "\u{ff4c}unch", "lunch"];
    for (i, name) in lookalikes.iter().enumerate() {
        let done = people.chat(&format!("mallory{i}"), format!("/new {name}\n/invite bob\n"));
        assert_eq!(done.code, DONE, "{name}");
    }
    let bob = people.chat("bob", "/groups\n/new LUNCH\n");
    let mut groups: Vec<&str> = bob
        .lines
        .iter()
        .filter_map(|line| line.strip_prefix("group ")?.split(' ').next())
        .collect();
    groups.sort_unstable();
    assert_eq!(groups.len(), 6);
    assert!(groups.contains(&"lunch"));
    // The others have a number: no two of them look alike, and none looks like `lunch`.
    let number = |name: &&str| name.rsplit_once('-').and_then(|(_, n)| n.parse().ok());
    let mut numbers: Vec<u32> = groups.iter().filter_map(number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [2, 3, 4, 5, 6], "{groups:?}");
    assert!(has_error(&bob, "looks like your group"), "{:?}", bob.lines);
}

#[test]
fn a_peers_invisible_name_is_not_shown() {
    let people = People::new();
    // Mallory's messenger takes any name.
    people.chat("bob", "/new lunch\n");
    people.chat("mallory", "/new lunchXXX\n");
    let state = people.data().join("mallory/main/state.sqlite");
    replace_bytes(&state, b"lunchXXX", "lunch\u{200b}".as_bytes());
    let done = people.chat("mallory", "/invite bob\nhello\n");
    assert!(!done.lines.iter().any(|line| line.contains('\u{200b}')), "{:?}", done.lines);
    let bob = people.chat("bob", "/groups\n");
    assert!(bob.has("joined "), "{:?}", bob.lines);
    assert!(!bob.lines.iter().any(|line| line.contains('\u{200b}')), "{:?}", bob.lines);
    assert_eq!(bob.lines.iter().filter(|line| line.starts_with("group lunch ")).count(), 1);
}

#[test]
fn messages_come_with_their_time() {
    let people = People::new();
    people.chat("bob", "");
    let alice = people.chat("alice", "/new lunch\n/invite bob\nsoup\n/history\n");
    let bob = people.chat("bob", "/history\n");
    for done in [&alice, &bob] {
        for begin in ["message lunch 3 alice/main ", "history message lunch 3 alice/main "] {
            let line = done.lines.iter().find_map(|line| line.strip_prefix(begin)).unwrap();
            let (time, text) = line.split_once(' ').unwrap();
            assert!(is_time(time) && text == "soup", "{line}");
        }
    }
}

#[test]
fn a_huge_time_to_wait_is_for_ever() {
    let people = People::new();
    for wait in ["18446744073709551615", "9223372036854775807"] {
        let mut args = people.args("alice");
        args.extend(["--wait".into(), wait.into()]);
        let done = run(&args, b"/quit\n");
        assert_eq!(done.code, DONE, "{}", done.stderr);
        // At the end of the input it goes on, until it is ended.
        let mut child = std::process::Command::new(CONCLAVE)
            .args(&args)
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_secs(3));
        assert_eq!(child.try_wait().unwrap(), None, "it waits");
        child.kill().unwrap();
        child.wait().unwrap();
    }
    for wait in ["-1", "18446744073709551616", "x"] {
        let mut args = people.args("alice");
        args.push(format!("--wait={wait}"));
        assert_eq!(run(&args, b"").code, USAGE, "{wait}");
    }
    let done = people.chat("alice", "/new g\n/history 18446744073709551615\n");
    assert_eq!(done.code, DONE);
    assert_eq!(people.chat("alice", "/history 18446744073709551616\n").code, REFUSED);
}

#[test]
fn a_service_address_that_nothing_answers_at_is_refused() {
    let people = People::new();
    for url in [
        "http://127.0.0.1:99999",
        "http://127.0.0.1:0",
        "http://127.0.0.1:",
        "http://127.0.0.1:8000/x y",
        "http://256.1.1.1",
        "http://exa mple",
        "http://[::1",
        "http://host:80?x",
    ] {
        let mut args = people.args("alice");
        args[3] = url.into();
        let done = run(&args, b"/quit\n");
        assert_eq!(done.code, USAGE, "{url}");
        assert!(done.stderr.contains("--server"), "{}", done.stderr);
    }
    assert!(!people.data().exists(), "nothing is made");
}
