//! The transcript of the README, by messengers that run: two people, three devices, and what they see.

use crate::common::People;
use crate::pty::Terminal;
use std::path::Path;

const WIDTH: usize = 80;

/// A device at a terminal that can show lines alone.
struct Seat {
    /// The line above what it shows.
    title: String,
    terminal: Terminal,
    /// How much of the screen was taken.
    taken: usize,
}

impl Seat {
    fn new(people: &People, title: &str, who: &str) -> Self {
        Self { title: title.into(), terminal: Terminal::open(people, who, "dumb"), taken: 0 }
    }

    /// What is shown up to the end of the line that has this.
    fn take(&mut self, until: &str) -> String {
        let taken = self.taken;
        self.terminal.wait_until(until, |terminal| {
            let shown = terminal.shown();
            let rest = shown[taken..].split_once(until).map(|(_, rest)| rest);
            rest.is_some_and(|rest| rest.contains('\n'))
        });
        let shown = self.terminal.shown();
        let found = shown[taken..].find(until).unwrap() + taken;
        self.taken = found + shown[found..].find('\n').unwrap() + 1;
        shown[taken..self.taken].to_string()
    }
}

/// What the README shows.
#[derive(Default)]
struct Transcript {
    lines: Vec<String>,
    /// Whose terminal it was last.
    at: String,
}

impl Transcript {
    /// Adds what a device shows, up to the line that has this.
    fn sees(&mut self, seat: &mut Seat, until: &str) {
        let shown = seat.take(until);
        if self.at != seat.title {
            self.lines.push(seat.title.clone());
            self.at.clone_from(&seat.title);
        }
        // Standard error, once for each new device.
        let shown = shown.lines().filter(|line| !line.starts_with("conclave: "));
        self.lines.extend(shown.flat_map(|line| wrapped(&masked(line))));
    }

    /// The same, after a line was typed.
    fn does(&mut self, seat: &mut Seat, line: &str, until: &str) {
        // The terminal shows the line itself.
        seat.terminal.write(&format!("{line}\n"));
        self.sees(seat, until);
    }
}

/// A line in which what differs from run to run stands as one example: times, codes of keys, and codes that link devices.
fn masked(line: &str) -> String {
    const DIGITS: [&str; 3] = ["83836", "45431", "94463"];
    const LINK: &str = "sd3n-9764-x5ct-4yrw-9meh-0t5f-5ezg-7zne";
    let mut digits = DIGITS.iter().cycle();
    let is_digits = |word: &str| word.len() == 5 && word.bytes().all(|b| b.is_ascii_digit());
    let words = line.split(' ').map(|word| {
        let bare = word.trim_matches(['(', ')', ',', '.']);
        match bare.as_bytes() {
            [_, _, b':', _, _] => word.replace(bare, "18:30"),
            _ if is_digits(bare) => word.replace(bare, digits.next().unwrap()),
            _ if bare.len() == LINK.len() && bare.matches('-').count() == 7 => LINK.into(),
            _ => word.into(),
        }
    });
    words.collect::<Vec<String>>().join(" ")
}

/// A line in lines of a page.
fn wrapped(line: &str) -> Vec<String> {
    let rest = line.trim_start();
    let mut lines = vec![line[..line.len() - rest.len()].to_string()];
    for word in rest.split(' ') {
        let last = lines.last_mut().unwrap();
        let gap = if last.trim().is_empty() { "" } else { " " };
        if last.chars().count() + gap.len() + word.chars().count() <= WIDTH {
            *last += &format!("{gap}{word}");
        } else {
            lines.push(format!("      {word}"));
        }
    }
    lines
}

fn transcript() -> String {
    let people = People::new();
    let mut told = Transcript::default();
    told.lines.push("$ cargo run -- serve".into());
    assert!(people.server.url().starts_with("http://127.0.0.1:"));
    told.lines.push("listening on http://127.0.0.1:4820".into());

    let mut bob = Seat::new(&people, "$ cargo run -- chat bob", "bob");
    told.sees(&mut bob, "you are bob/main");
    let mut alice = Seat::new(&people, "$ cargo run -- chat alice", "alice");
    told.sees(&mut alice, "you are alice/main");
    told.does(&mut alice, "/new lunch", "the group is made");
    told.does(&mut alice, "/invite bob", "added bob/main");
    told.does(&mut alice, "soup or pasta, @bob?", "(you): ");

    bob.title = "# bob".into();
    told.sees(&mut bob, "alice/main: soup or pasta");
    told.does(&mut bob, "/accept", "accepted");
    told.does(&mut bob, "/reply 3 soup", "(they said: ");
    alice.take("(they said: ");

    let mut phone = Seat::new(&people, "$ cargo run -- chat alice --device phone", "alice/phone");
    told.sees(&mut phone, "    /link ");
    let code = phone.terminal.shown();
    let code = code.rsplit("    /link ").next().unwrap().split_whitespace().next().unwrap();
    alice.title = "# alice".into();
    told.does(&mut alice, &format!("/link {code}"), "lunch * alice/main added alice/phone");
    phone.take("lunch * ");
    told.does(&mut alice, "/picture https://example.org/soup.png", "set the picture: ");
    told.does(&mut alice, "/search sou", "alice/main (you): soup or pasta");
    told.does(&mut alice, "/remove bob", "bob/main is out");
    bob.take("set the picture");
    told.sees(&mut bob, "removed you");
    phone.take("bob/main is out");
    told.lines.join("\n") + "\n"
}

/// With `CONCLAVE_RENDER=1`, writes the transcript to the README instead.
#[test]
fn a_newcomer_sees_what_the_readme_shows() {
    let made = transcript();
    println!("{made}");
    assert!(made.lines().all(|line| line.chars().count() <= WIDTH), "{made}");
    assert!(made.lines().count() <= 45, "{made}");

    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let text = std::fs::read_to_string(&readme).unwrap();
    let (begin, end) = ("<!-- transcript: begin -->\n```text\n", "```\n<!-- transcript: end -->");
    let (before, rest) = text.split_once(begin).unwrap();
    let (there, after) = rest.split_once(end).unwrap();
    if std::env::var_os("CONCLAVE_RENDER").is_some() {
        std::fs::write(&readme, format!("{before}{begin}{made}{end}{after}")).unwrap();
        return;
    }
    assert!(
        there == made,
        "the README is behind: CONCLAVE_RENDER=1 cargo test -p conclave-cli --test program transcript::"
    );
}
