//! Messengers that outlive their processes: they are killed, go on, and show each message once.

use super::{PATIENCE, Process, Server};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A small generator of numbers (xorshift64*): which moments are tried depends on the seed alone.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }
}

pub(crate) fn seed(default: u64) -> u64 {
    let seed = std::env::var("CONCLAVE_TEST_SEED").ok().and_then(|s| s.parse().ok());
    let seed = seed.unwrap_or(default).max(1);
    println!("seed {seed}");
    seed
}

/// `message GROUP NUMBER SENDER TIME TEXT` without the time; other lines as they are.
pub(crate) fn without_time(line: String) -> String {
    let words: Vec<&str> = line.splitn(6, ' ').collect();
    match words.as_slice() {
        ["message", group, seq, sender, _, text] => {
            format!("message {group} {seq} {sender} {text}")
        }
        _ => line,
    }
}

/// A `conclave chat`, whatever number of processes it takes.
pub(crate) struct Chat {
    pub(crate) name: String,
    url: String,
    data: String,
    /// What its processes are started with besides.
    options: &'static [&'static str],
    pub(crate) process: Process,
    /// Messages by number: `sender text`. Each is said once, in order.
    pub(crate) seen: BTreeMap<u64, String>,
    pub(crate) last: u64,
    /// The last number when this process was started: what comes again is not older.
    replay_from: u64,
    /// How many messages may be printed at once, and so once more if the process dies then.
    pub(crate) may_repeat: u64,
    pub(crate) replays: usize,
    pub(crate) joined: BTreeSet<String>,
}

impl Chat {
    pub(crate) fn start(name: &str, server: &Server, data: &Path) -> Self {
        Self::start_with(name, server, data, &[])
    }

    pub(crate) fn start_with(
        name: &str,
        server: &Server,
        data: &Path,
        options: &'static [&'static str],
    ) -> Self {
        let (url, data) = (server.url(), data.to_str().unwrap().to_string());
        let process = Self::process(name, &url, &data, options);
        let seen = BTreeMap::new();
        Self {
            name: name.to_string(),
            url,
            data,
            options,
            process,
            seen,
            last: 0,
            replay_from: 0,
            may_repeat: 8,
            replays: 0,
            joined: BTreeSet::new(),
        }
    }

    fn process(name: &str, url: &str, data: &str, options: &[&str]) -> Process {
        let args = ["chat", name, "--server", url, "--data", data, "--stay"];
        Process::start(&[&args, options].concat())
    }

    /// The next line; none if the process has ended. Messages are without their time, which
    /// sender and receiver may have from different clocks.
    pub(crate) fn line(&self) -> Option<String> {
        self.process.line().map(without_time)
    }

    /// Takes note of a line.
    fn note(&mut self, line: &str) {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words.as_slice() {
            ["message", _, seq, said] => {
                let seq: u64 = seq.parse().unwrap();
                match self.seen.get(&seq) {
                    // Printed, but killed before that could be noted: it says so by its number.
                    Some(before) => {
                        assert_eq!(before, said, "{}: another message {seq}", self.name);
                        assert!(seq >= self.replay_from, "{}: {seq} once more", self.name);
                        self.replays += 1;
                    }
                    None => {
                        assert!(seq > self.last, "{}: {seq} after {}", self.name, self.last);
                        self.seen.insert(seq, (*said).to_string());
                        self.last = seq;
                    }
                }
            }
            ["joined", ..] => {
                self.joined.insert(line.to_string());
            }
            ["failed" | "unreadable" | "error", ..] => panic!("{}: {line}", self.name),
            _ => {}
        }
    }

    /// Reads until a line that begins like this, which is returned.
    pub(crate) fn until(&mut self, begin: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < end, "{}: no {begin:?}", self.name);
            let line = self.line().unwrap_or_else(|| panic!("{} has ended", self.name));
            self.note(&line);
            if line.starts_with(begin) {
                return line;
            }
        }
    }

    /// Reads until this device has said this.
    pub(crate) fn until_said(&mut self, text: &str) {
        while !self.has_said(text) {
            self.until("message");
        }
    }

    /// `kill -9`, and a new process with the old state.
    pub(crate) fn kill_9_and_restart(&mut self) {
        self.process.kill_9();
        while let Some(line) = self.line() {
            self.note(&line);
        }
        // What was printed last may come again.
        self.replay_from = self.last.saturating_sub(self.may_repeat);
        self.process = Self::process(&self.name, &self.url, &self.data, self.options);
    }

    /// Waits until nothing is to be sent any more.
    pub(crate) fn sent_all(&mut self) -> String {
        loop {
            self.process.write("/groups");
            let line = self.until("group ");
            if !line.ends_with("to send") {
                return line;
            }
            sleep(Duration::from_millis(50));
        }
    }

    /// Whether this device has said this.
    pub(crate) fn has_said(&self, text: &str) -> bool {
        let said = format!("{}/main {text}", self.name);
        self.seen.values().any(|seen| *seen == said)
    }

    /// The lines that begin like this with which a command is answered.
    pub(crate) fn answer(&mut self, command: &str, begin: &str) -> Vec<String> {
        self.process.write(command);
        self.process.write("/help");
        let mut found = Vec::new();
        loop {
            let line = self.line().unwrap();
            self.note(&line);
            if line.starts_with("help") {
                return found;
            }
            if line.starts_with(begin) {
                found.push(line);
            }
        }
    }

    /// Is killed this long after a line was written, goes on, and writes the line again if no process has read it.
    pub(crate) fn die_saying(&mut self, text: &str, after: Duration) {
        sleep(after);
        self.kill_9_and_restart();
        self.sent_all();
        // The line may still have been in the pipe.
        if !self.has_said(text) {
            self.process.write(text);
        }
    }

    /// Says lines, and is killed at some of them.
    pub(crate) fn talk(&mut self, lines: u64, kills: u64, dice: &mut Dice) {
        for i in 1..=lines {
            let text = format!("line {i} of {}", self.name);
            self.process.write(&text);
            if dice.below(lines) < kills {
                self.die_saying(&text, Duration::from_micros(dice.below(40_000)));
            }
            self.until_said(&text);
        }
    }
}
