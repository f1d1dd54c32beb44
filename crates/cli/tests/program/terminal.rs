//! `conclave chat` at a terminal: a real one, as far as the process can tell.

use crate::common::{CONCLAVE, PATIENCE, People, run};
use crate::pty::Terminal;
use pty_process::blocking::Command;
use rustix::termios::{LocalModes, tcgetattr};
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[test]
fn lines_that_are_typed_ahead_are_all_read() {
    let people = People::new();
    for end in ["\r", "\n"] {
        let user = if end == "\r" { "alice" } else { "bob" };
        let mut terminal = Terminal::start(&people, user, "xterm");
        terminal.write(&format!("/new g{end}"));
        terminal.wait_for("the group is made");
        terminal.write(&format!("raw 1{end}raw 2{end}raw 3{end}raw 4{end}/quit{end}"));
        assert!(terminal.child.wait().unwrap().success());
        let history = people.chat(user, "/history\n");
        let said: Vec<&str> =
            history.lines.iter().filter_map(|line| line.rsplit_once("Z ").map(|l| l.1)).collect();
        assert_eq!(said, ["raw 1", "raw 2", "raw 3", "raw 4"]);
    }
}

#[test]
fn the_terminal_is_restored_after_every_signal() {
    let people = People::new();
    for (name, number) in [("-TERM", 15), ("-HUP", 1), ("-INT", 2), ("-QUIT", 3)] {
        let mut terminal = Terminal::start(&people, "alice", "xterm");
        terminal.wait_until("line editor", Terminal::is_raw);
        terminal.signal(name);
        let status = terminal.child.wait().unwrap();
        assert!(terminal.is_usable(), "{name}");
        assert_eq!(status.signal(), Some(number), "{name}");
        terminal.wait_for("\u{1b}[?2004l");
    }
}

#[test]
fn the_terminal_is_restored_after_ctrl_c_and_ctrl_d() {
    let people = People::new();
    for key in ["\u{3}", "\u{4}"] {
        let mut terminal = Terminal::start(&people, "alice", "xterm");
        terminal.wait_until("line editor", Terminal::is_raw);
        terminal.write(key);
        assert!(terminal.child.wait().unwrap().success());
        assert!(terminal.is_usable());
    }
}

#[test]
fn a_passphrase_is_asked_for_and_not_shown() {
    let people = People::new();
    let passphrase = "correct horse battery staple";
    let file = people.data().join("passphrase");
    std::fs::create_dir_all(people.data()).unwrap();
    std::fs::write(&file, passphrase).unwrap();
    let mut args = people.args("alice");
    args.extend(["--passphrase-file".into(), file.to_string_lossy().into_owned()]);
    assert_eq!(run(&args, b"").code, Some(0));

    let terminal = Terminal::open(&people, "alice", "xterm");
    terminal.wait_for("Passphrase: ");
    terminal.write(&format!("{passphrase}\r"));
    terminal.wait_for("you are alice/main");
    assert!(!terminal.shown().contains(passphrase), "{}", terminal.shown());

    // Whoever gives up gets the echo back.
    drop(terminal);
    let mut terminal = Terminal::open(&people, "alice", "xterm");
    terminal.wait_for("Passphrase: ");
    terminal.write("\u{3}");
    assert_eq!(terminal.child.wait().unwrap().signal(), Some(2));
    assert!(terminal.is_usable());
}

#[test]
fn the_terminal_is_restored_after_an_error() {
    let people = People::new();
    people.chat("alice/main", "");
    people.link("alice/phone", "alice/main");
    assert_eq!(people.chat("alice/main", "/revoke phone\n").code, Some(0));
    let (pty, pts) = pty_process::blocking::open().unwrap();
    let mut child = Command::new(CONCLAVE)
        .args(people.args("alice/phone"))
        .env("TERM", "xterm")
        .spawn(pts)
        .unwrap();
    let screen = Arc::new(Mutex::new(Vec::new()));
    let (pty, to) = (Arc::new(pty), screen.clone());
    let from = pty.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(n) = (&*from).read(&mut buffer) {
            to.lock().unwrap().extend_from_slice(&buffer[..n]);
        }
    });
    let end = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > end {
            child.kill().unwrap();
            panic!("it does not end: {:?}", String::from_utf8_lossy(&screen.lock().unwrap()));
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(status.code(), Some(1));
    let modes = tcgetattr(&*pty).unwrap().local_modes;
    assert!(modes.contains(LocalModes::ECHO | LocalModes::ICANON));
}

#[test]
fn a_terminal_that_cannot_edit_works_without() {
    let people = People::new();
    for term in ["dumb", "emacs", "cons25"] {
        let mut terminal = Terminal::start(&people, term, term);
        terminal.write("/new g\nhello\n");
        terminal.wait_for(&format!(" {term}/main (you): hello\n"));
        assert!(!terminal.shown().contains('\u{1b}'), "{:?}", terminal.shown());
        terminal.write("/quit\n");
        assert!(terminal.child.wait().unwrap().success());
        assert!(terminal.is_usable());
    }
}

#[test]
fn a_pasted_text_is_shown_with_its_lines() {
    let people = People::new();
    let bob = Terminal::start(&people, "bob", "xterm");
    let alice = Terminal::start(&people, "alice", "xterm");
    alice.write("/new g\r");
    alice.wait_for("the group is made");
    alice.write("/invite bob\r");
    bob.wait_for("added you");
    alice.write("\u{1b}[200~shopping:\r- milk\r\t- eggs\u{1b}[201~\r");
    let lines = "shopping:\n  | - milk\n  |  - eggs\n";
    alice.wait_for(&format!(" alice/main (you): {lines}"));
    bob.wait_for(&format!(" alice/main: {lines}"));
    assert!(!alice.shown().contains('\u{fffd}'));
    // A command does not hide behind a line end.
    alice.write("\u{1b}[200~/leave\r/leave\u{1b}[201~\r");
    alice.wait_for("! a command takes one line");
}

#[test]
fn messages_are_shown_with_their_number_and_time() {
    let people = People::new();
    people.chat("alice", "/new g\nhello\n");
    let terminal = Terminal::start(&people, "alice", "xterm");
    terminal.write("/history\r");
    terminal.wait_for(" alice/main (you): hello");
    let shown = terminal.shown();
    let (before, _) = shown.split_once(" alice/main (you): hello").unwrap();
    let (number, time) = before.rsplit("g | ").next().unwrap().split_once(' ').unwrap();
    assert!(number.parse::<u64>().is_ok(), "{number:?}");
    let form = |(i, c): (usize, char)| if i == 2 { c == ':' } else { c.is_ascii_digit() };
    assert!(time.len() == 5 && time.chars().enumerate().all(form), "{time:?}");
}

#[test]
fn a_code_for_linking_is_shown_as_text_and_to_cameras() {
    let people = People::new();
    people.chat("alice/main", "");
    let phone = Terminal::open(&people, "alice/phone", "xterm");
    phone.wait_for("your recovery key");
    phone.wait_until("picture", |phone| phone.shown().matches("\u{1b}[40;97m").count() == 17);
    let shown = phone.shown();
    let (_, code) = shown.split_once("/link ").unwrap();
    let code = code.split_whitespace().next().unwrap().to_string();
    assert_eq!(code.len(), 39, "{code}");
    drop(phone);

    // A terminal that can show lines alone gets the text alone, as a script does.
    let dumb = Terminal::open(&people, "alice/phone", "dumb");
    dumb.wait_for("your recovery key");
    assert!(dumb.shown().contains("/link ") && !dumb.shown().contains('█'), "{}", dumb.shown());
}

#[test]
fn a_bar_is_drawn_where_it_stands_and_a_terminal_that_cannot_gets_lines() {
    let people = People::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.bin");
    std::fs::write(&path, vec![7; 5 << 20]).unwrap();
    let send = format!("/send {}\n", path.display());
    // Up to the line before, and all of it anew.
    let over = "\u{1b}[1A\r\u{1b}[2K[#";

    let terminal = Terminal::start(&people, "alice", "xterm");
    terminal.write("/new g\n");
    terminal.wait_for("g * the group is made");
    terminal.write(&send);
    terminal.wait_for("sending large.bin (5.0 MiB); /cancel 1 stops it");
    terminal.wait_for(over);
    terminal.wait_for("attached: large.bin");
    drop(terminal);

    let terminal = Terminal::start(&people, "bob", "dumb");
    terminal.write("/new h\n");
    terminal.wait_for("h * the group is made");
    terminal.write(&send);
    terminal.wait_for("% of 5.0 MiB sent: large.bin");
    terminal.wait_for("attached: large.bin");
    assert!(!terminal.shown().contains('\u{1b}'), "{:?}", terminal.shown());
}
