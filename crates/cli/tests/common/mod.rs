//! A service, and messengers that are given their input at once.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

pub const CONCLAVE: &str = env!("CARGO_BIN_EXE_conclave");

/// A running service, and the folder that all state of a test is in.
pub struct Service {
    child: Child,
    /// Held open, as the service would notice that nobody reads.
    _output: BufReader<ChildStdout>,
    pub url: String,
    folder: tempfile::TempDir,
}

impl Service {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(CONCLAVE)
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(folder.path().join("service"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut first).unwrap();
        let url = first.trim_end().strip_prefix("listening on ").unwrap().to_string();
        Self { child, _output: output, url, folder }
    }

    /// Where messengers keep their state.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("users")
    }

    pub fn args(&self, user: &str) -> Vec<String> {
        let data = self.data().to_str().unwrap().to_string();
        ["chat", user, "--server", &self.url, "--data", &data].map(str::to_string).to_vec()
    }

    /// Runs a messenger with this input.
    pub fn chat(&self, user: &str, input: impl AsRef<[u8]>) -> Done {
        run(&self.args(user), input.as_ref())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What became of a messenger.
#[derive(Debug)]
pub struct Done {
    pub code: Option<i32>,
    pub lines: Vec<String>,
    pub stderr: String,
}

impl Done {
    pub fn has(&self, begin: &str) -> bool {
        self.lines.iter().any(|line| line.starts_with(begin))
    }

    /// The texts of all messages that were shown in a group.
    pub fn texts(&self, group: &str) -> Vec<&str> {
        let text = |line: &'_ String| {
            let words: Vec<&str> = line.splitn(6, ' ').collect();
            match *words.as_slice() {
                ["message", of, _, _, _, text] if of == group => Some(text.len()),
                _ => None,
            }
        };
        let tail = |line: &'_ String| Some(line.len() - text(line)?);
        self.lines.iter().filter_map(|line| line.get(tail(line)?..)).collect()
    }
}

/// Runs the command with this input, and until it ends.
pub fn run(args: &[impl AsRef<std::ffi::OsStr>], input: &[u8]) -> Done {
    let mut child = Command::new(CONCLAVE)
        .args(args)
        .env("TZ", "UTC")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // It may end without reading all of it.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let lines = text(output.stdout).lines().map(str::to_string).collect();
    let done = Done { code: output.status.code(), lines, stderr: text(output.stderr) };
    println!("{done:.200?}");
    done
}

/// Replaces bytes wherever they stand in a file, by as many others.
pub fn replace_bytes(path: &Path, old: &[u8], new: &[u8]) {
    assert_eq!(old.len(), new.len());
    let mut bytes = std::fs::read(path).unwrap();
    let mut found = 0;
    for at in 0..=bytes.len() - old.len() {
        if bytes[at..].starts_with(old) {
            bytes[at..at + old.len()].copy_from_slice(new);
            found += 1;
        }
    }
    assert!(found > 0, "nothing to replace in {}", path.display());
    std::fs::write(path, bytes).unwrap();
}
