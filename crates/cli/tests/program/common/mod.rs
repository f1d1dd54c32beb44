//! Real processes: services, messengers that are given their input at once, and those that stay.

pub(crate) mod chats;

use conclave_delivery::http_client::Client;
use conclave_delivery_api::FetchRoots;
use conclave_store::{SqliteStore, Store, WriteSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio, id};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

pub(crate) const CONCLAVE: &str = env!("CARGO_BIN_EXE_conclave");
/// The exit codes of a command that did what it was told, of a wrong command line, of one that was refused something, and
/// of one whose messages still wait to be sent.
pub(crate) const DONE: Option<i32> = Some(0);
pub(crate) const USAGE: Option<i32> = Some(2);
pub(crate) const REFUSED: Option<i32> = Some(3);
pub(crate) const WAITING: Option<i32> = Some(4);
/// Longer than anything here takes on a machine that has much else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// Sends a signal, as `kill` names it.
#[cfg(unix)]
pub(crate) fn signal(process: &Child, signal: &str) {
    let id = process.id().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
}

/// A number from the environment, for tests that can run for longer.
pub(crate) fn from_environment(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap())
}

/// A running command: its input, and its output line by line.
pub(crate) struct Process {
    /// For the output of a test that fails.
    name: String,
    pub(crate) child: Child,
    pub(crate) input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Process {
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_with_stderr(args, Stdio::inherit())
    }

    pub(crate) fn start_with_stderr(args: &[&str], stderr: impl Into<Stdio>) -> Self {
        let mut command = Command::new(CONCLAVE);
        command.args(args).stderr(stderr);
        Self::of(args.iter().take(2).copied().collect::<Vec<_>>().join(" "), command)
    }

    /// Starts a command that is set up apart from its input and output.
    pub(crate) fn of(name: String, mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let (to, lines) = channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            // A line that the process did not come to end is none.
            while output.read_line(&mut line).is_ok_and(|_| line.ends_with('\n')) {
                let _ = to.send(line.trim_end().to_string());
                line.clear();
            }
        });
        Self { name, input: child.stdin.take(), child, lines }
    }

    pub(crate) fn write(&mut self, line: &str) {
        println!("{} < {line}", self.name);
        // It fails if the process is dead, which the reader notices.
        let _ = writeln!(self.input.as_mut().unwrap(), "{line}");
    }

    /// The next line; none if the process has ended.
    pub(crate) fn line(&self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => {
                println!("{} > {line}", self.name);
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("{} says nothing for {PATIENCE:?}", self.name),
        }
    }

    /// Reads until a line that begins like this, which is returned.
    pub(crate) fn until(&self, begin: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < end, "{}: no {begin:?}", self.name);
            let line = self.line().unwrap_or_else(|| panic!("{} has ended", self.name));
            if line.starts_with(begin) {
                return line;
            }
        }
    }

    /// Ends the input, and waits for the process to end.
    pub(crate) fn end(&mut self) -> Option<i32> {
        drop(self.input.take());
        self.child.wait().unwrap().code()
    }

    /// The user ends it.
    pub(crate) fn end_now(&mut self) -> Option<i32> {
        self.write("/quit");
        self.child.wait().unwrap().code()
    }

    pub(crate) fn kill_9(&mut self) {
        println!("{} is killed", self.name);
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    #[cfg(unix)]
    pub(crate) fn terminate(&mut self) -> i32 {
        signal(&self.child, "-TERM");
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A running service.
pub(crate) struct Server {
    pub(crate) process: Process,
    address: String,
    data: PathBuf,
}

impl Server {
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_at(data, "127.0.0.1:0", &[])
    }

    pub(crate) fn start_at(data: &Path, listen: &str, options: &[&str]) -> Self {
        let args = ["serve", "--listen", listen, "--data", data.to_str().unwrap()];
        let process = Process::start(&[&args, options].concat());
        let first = process.line().unwrap();
        let address = first.strip_prefix("listening on http://").unwrap().to_string();
        Self { process, address, data: data.to_path_buf() }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Dies, and comes back at the same address.
    pub(crate) fn kill_9_and_restart(&mut self) {
        self.restart_with(&self.data.clone());
    }

    /// Dies, and comes back at the same address with other data.
    pub(crate) fn restart_with(&mut self, data: &Path) {
        self.process.kill_9();
        *self = Self::start_at(data, &self.address, &[]);
    }

    /// Dies, and comes back at the same address with these options.
    pub(crate) fn restart_under(&mut self, options: &[&str]) {
        self.process.kill_9();
        *self = Self::start_at(&self.data.clone(), &self.address, options);
    }

    /// The same; what it says of them.
    pub(crate) fn restart_as(&mut self, options: &[&str]) -> String {
        self.restart_under(options);
        self.process.line().unwrap()
    }
}

/// The answer to a GET.
pub(crate) fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply
}

/// A library of `preload`, built once a run, that stands between a command and its system; none where that cannot be.
pub(crate) fn preloaded(name: &str) -> Option<PathBuf> {
    static BUILDING: Mutex<()> = Mutex::new(());
    let _building = BUILDING.lock().unwrap();
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}.so", id()));
    if library.exists() {
        return Some(library);
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/preload/{name}.c"));
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let mut build = Command::new(compiler);
    build.args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"]);
    build.arg(&library).arg(source);
    if cfg!(target_os = "linux") && build.status().is_ok_and(|status| status.success()) {
        return Some(library);
    }
    println!("NOT TESTED: what takes {name}.c. It is built on Linux, by a C compiler");
    None
}

/// Waits until a service has published the root of this number.
pub(crate) fn wait_for_root(url: &str, root: u64) {
    let client = Client::new(url);
    let begun = Instant::now();
    while client.call(&FetchRoots { from: 0 }).unwrap().newest < root {
        assert!(begun.elapsed() < PATIENCE, "root {root} is not published");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What a messenger that was given its input at once has printed, and how it has ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) lines: Vec<String>,
    pub(crate) stderr: String,
}

impl Done {
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

    /// The texts of all messages that were shown in a group.
    pub(crate) fn texts(&self, group: &str) -> Vec<&str> {
        let text = |line: &'_ String| -> Option<usize> {
            let words: Vec<&str> = line.splitn(6, ' ').collect();
            match *words.as_slice() {
                ["message", of, _, _, _, text] if of == group => Some(line.len() - text.len()),
                _ => None,
            }
        };
        self.lines.iter().filter_map(|line| line.get(text(line)?..)).collect()
    }
}

/// Runs the command with this input, and until it ends.
pub(crate) fn run(args: &[impl AsRef<std::ffi::OsStr>], input: &[u8]) -> Done {
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

/// People's devices at one service, with all state in one folder.
pub(crate) struct People {
    folder: tempfile::TempDir,
    pub(crate) server: Server,
}

impl People {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(&folder.path().join("service"));
        Self { folder, server }
    }

    /// The service's data of this name.
    pub(crate) fn service_data(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The service dies, and comes back with the data of this name.
    pub(crate) fn restart_service_with(&mut self, name: &str) {
        let data = self.service_data(name);
        self.server.restart_with(&data);
    }

    /// Where messengers keep their state.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("users")
    }

    /// What starts a messenger: a user's device `main`, or the one after the `/`.
    pub(crate) fn args(&self, who: &str) -> Vec<String> {
        let (user, device) = who.split_once('/').unwrap_or((who, "main"));
        let (url, data) = (self.server.url(), self.data().to_str().unwrap().to_string());
        let args = ["chat", user, "--server", &url, "--data", &data, "--device", device];
        args.map(str::to_string).to_vec()
    }

    /// Runs somebody's messenger whose state is in another folder of this name.
    pub(crate) fn chat_elsewhere(&self, folder: &str, who: &str, input: &str) -> Done {
        let mut args = self.args(who);
        let data = self.folder.path().join(folder);
        args[5] = data.to_str().unwrap().to_string();
        run(&args, input.as_bytes())
    }

    /// Runs a messenger as a script does: lines in, events out.
    pub(crate) fn chat(&self, who: &str, input: impl AsRef<[u8]>) -> Done {
        run(&self.args(who), input.as_ref())
    }

    /// Starts a messenger that stays.
    pub(crate) fn stay(&self, who: &str) -> Process {
        let mut args = self.args(who);
        args.push("--stay".into());
        Process::start(&args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Starts a new device of a known user; it, and the code that it shows.
    pub(crate) fn waiting_device(&self, new: &str) -> (Process, String) {
        let args = self.args(new);
        let device = Process::start(&args.iter().map(String::as_str).collect::<Vec<_>>());
        let code = device.until(&format!("link {new} ")).split(' ').nth(2).unwrap().to_string();
        (device, code)
    }

    /// Sets up a further device of a user, which one of the others admits. Neither is running then.
    pub(crate) fn link(&self, new: &str, by: &str) {
        self.link_into(0, new, by);
    }

    /// The same, and waits until the new device has joined so many groups.
    pub(crate) fn link_into(&self, groups: usize, new: &str, by: &str) {
        let (mut device, code) = self.waiting_device(new);
        let linked = self.chat(by, format!("/link {code}\n"));
        assert_eq!(linked.code, Some(0), "{linked:?}");
        device.until(&format!("ready {new}"));
        for _ in 0..groups {
            device.until("joined ");
        }
        assert_eq!(device.end(), Some(0));
    }

    /// The stored state of a device that is not running.
    fn state(&self, device: &str) -> SqliteStore {
        SqliteStore::open(self.data().join(device).join("state.sqlite")).unwrap()
    }

    /// Deletes the secrets of all key packages of a device that is not running, as a backup of an
    /// older state does.
    pub(crate) fn lose_key_packages(&self, device: &str) {
        let mut store = self.state(device);
        let mut set = WriteSet::new();
        let all = store.scan("key-package", &[], usize::MAX).unwrap();
        assert!(!all.is_empty());
        all.into_iter().for_each(|(key, _)| set.delete("key-package", key));
        store.write(&set).unwrap();
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
        std::fs::create_dir_all(self.data().join(to)).unwrap();
        let mut set = WriteSet::new();
        set.put("meta", b"identity".as_slice(), bytes);
        self.state(to).write(&set).unwrap();
    }
}

/// Copies a folder with the files in it, but neither sockets nor folders.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// Replaces bytes wherever they stand in a file, by as many others.
pub(crate) fn replace_bytes(path: &Path, old: &[u8], new: &[u8]) {
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

/// The number of the message with this text in the group `g`.
pub(crate) fn number(done: &Done, text: &str) -> String {
    let line = done
        .lines
        .iter()
        .find(|line| line.starts_with("message g ") && line.splitn(6, ' ').nth(5) == Some(text));
    line.unwrap_or_else(|| panic!("{text}: {:?}", done.lines)).split(' ').nth(2).unwrap().into()
}

/// Two people in a group `g`, with what alice has said there.
pub(crate) fn two_people(lines: &str) -> (People, Done) {
    let people = People::new();
    assert_eq!(people.chat("bob", "").code, Some(0));
    let alice = people.chat("alice", format!("/new g\n/invite bob\n{lines}"));
    assert_eq!(alice.code, Some(0), "{:?}", alice.lines);
    (people, alice)
}
