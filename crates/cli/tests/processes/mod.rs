//! Real processes: services, scripts that run to their end, and messengers that stay.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use conclave_store::{SqliteStore, Store, WriteSet};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const CONCLAVE: &str = env!("CARGO_BIN_EXE_conclave");
/// Longer than anything here takes on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(40);

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(CONCLAVE);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// The lines of a process's output as they come.
fn lines_of(child: &mut Child) -> Receiver<String> {
    let output = BufReader::new(child.stdout.take().unwrap());
    let (to, lines) = channel();
    std::thread::spawn(move || {
        output.lines().map_while(Result::ok).try_for_each(|line| to.send(line))
    });
    lines
}

/// A running service.
pub(crate) struct Service {
    child: Child,
    pub(crate) address: String,
    pub(crate) data: PathBuf,
    _lines: Receiver<String>,
}

impl Service {
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_at(data, "127.0.0.1:0")
    }

    pub(crate) fn start_at(data: &Path, listen: &str) -> Self {
        let mut child = command(&["serve", "--listen", listen, "--data", data.to_str().unwrap()])
            .spawn()
            .unwrap();
        let lines = lines_of(&mut child);
        let first = lines.recv_timeout(PATIENCE).unwrap();
        let address = first.strip_prefix("listening on http://").unwrap().to_string();
        Self { child, address, data: data.to_path_buf(), _lines: lines }
    }

    pub(crate) fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Stops it and starts one with other data at the same address.
    pub(crate) fn replaced_by(mut self, data: &Path) -> Self {
        self.stop();
        Self::start_at(data, &self.address.clone())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a script has printed, and its exit code.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) lines: Vec<String>,
    pub(crate) code: i32,
}

impl Ended {
    /// The first line that begins like this.
    pub(crate) fn line(&self, begin: &str) -> Option<&str> {
        self.lines.iter().find(|line| line.starts_with(begin)).map(String::as_str)
    }

    pub(crate) fn has(&self, begin: &str) -> bool {
        self.line(begin).is_some()
    }

    /// Whether a line begins and ends like this.
    pub(crate) fn says(&self, begin: &str, end: &str) -> bool {
        self.lines.iter().any(|line| line.starts_with(begin) && line.ends_with(end))
    }
}

/// People's devices, whose state is in one folder, at one service.
pub(crate) struct People {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) service: Service,
}

impl People {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let service = Service::start(&folder.path().join("service"));
        Self { folder, service }
    }

    /// The service is set up anew, with the data in this folder.
    pub(crate) fn service_anew(mut self, data: &str) -> Self {
        self.service = self.service.replaced_by(&self.folder.path().join(data));
        self
    }

    fn chat(&self, device: &str, more: &[&str]) -> Child {
        let (user, name) = device.split_once('/').unwrap();
        let url = format!("http://{}", self.service.address);
        let data = self.folder.path().to_str().unwrap();
        let args = ["chat", user, "--device", name, "--server", &url, "--data", data];
        command(&[&args, more].concat()).spawn().unwrap()
    }

    /// Runs a device as a script does: lines in, events out.
    pub(crate) fn script(&self, device: &str, input: &str) -> Ended {
        let mut child = self.chat(device, &[]);
        let lines = lines_of(&mut child);
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let code = child.wait().unwrap().code().unwrap();
        let lines: Vec<String> = lines.into_iter().collect();
        println!("{device} < {input:?}: exit {code}");
        lines.iter().for_each(|line| println!("{device} > {line}"));
        Ended { lines, code }
    }

    /// Starts a device that stays.
    pub(crate) fn stay(&self, device: &str) -> Staying {
        let mut child = self.chat(device, &["--stay"]);
        let lines = lines_of(&mut child);
        Staying { name: device.to_string(), input: child.stdin.take().unwrap(), child, lines }
    }

    /// The stored state of a device that is not running.
    pub(crate) fn state(&self, device: &str) -> SqliteStore {
        SqliteStore::open(self.folder.path().join(device).join("state.sqlite")).unwrap()
    }

    /// Deletes the secrets of all key packages of a device that is not running, as a backup of an
    /// older state does.
    pub(crate) fn lose_key_packages(&self, device: &str) {
        let mut store = self.state(device);
        let mut set = WriteSet::new();
        let all = store.scan("key-package", &[], usize::MAX).unwrap();
        assert!(!all.is_empty());
        all.into_iter().for_each(|(key, _)| set.delete("key-package", key));
        store.commit(&set).unwrap();
    }

    /// Sets up a device with another's signature key. Their names are of the same lengths.
    pub(crate) fn copy_identity(&self, from: &str, to: &str) {
        let identity = self.state(from).get("meta", b"identity").unwrap().unwrap();
        let mut bytes = identity.expose().to_vec();
        let mut after = 0;
        for (old, new) in from.split('/').zip(to.split('/')) {
            let found = bytes[after..].windows(old.len()).position(|part| part == old.as_bytes());
            let at = after + found.unwrap();
            after = at + old.len();
            bytes[at..after].copy_from_slice(new.as_bytes());
        }
        std::fs::create_dir_all(self.folder.path().join(to)).unwrap();
        let mut set = WriteSet::new();
        set.put("meta", b"identity".as_slice(), bytes);
        self.state(to).commit(&set).unwrap();
    }
}

/// A messenger that stays until the test ends.
pub(crate) struct Staying {
    name: String,
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Staying {
    pub(crate) fn write(&mut self, line: &str) {
        println!("{} < {line}", self.name);
        writeln!(self.input, "{line}").unwrap();
    }

    /// Reads until a line that begins like this, which is returned.
    pub(crate) fn until(&self, begin: &str) -> String {
        self.before(begin, PATIENCE).unwrap_or_else(|| panic!("{}: no {begin:?}", self.name))
    }

    /// The same; none if no such line comes in time.
    pub(crate) fn before(&self, begin: &str, patience: Duration) -> Option<String> {
        let end = Instant::now() + patience;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).ok()?;
            println!("{} > {line}", self.name);
            if line.starts_with(begin) {
                return Some(line);
            }
        }
    }
}

impl Drop for Staying {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Copies a folder with the files in it.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
