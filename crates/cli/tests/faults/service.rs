//! A service in a process, and what can happen to it.

use crate::common::{CONCLAVE, run};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// It dies at once.
    Killed,
    /// It dies, and the end of what it wrote is half a transaction.
    Torn,
    /// It stops as it should.
    Terminated,
    /// It does not run for a while.
    Frozen,
    /// Files cannot grow any more: writes fail.
    Full,
}

pub(crate) struct Service {
    folder: tempfile::TempDir,
    address: String,
    child: Child,
    seed: u64,
}

impl Service {
    pub(crate) fn start(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // A port that is free now.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let data = folder.path().join("data");
        let child = serve(&data, &address, None);
        Self { folder, address, child, seed }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn dice(&mut self, n: u64) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.seed ^ self.seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb) >> 33) % n
    }

    pub(crate) fn run_for_a_while(&mut self) {
        let while_ = 200 + self.dice(800);
        std::thread::sleep(Duration::from_millis(while_));
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    fn kill_9(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn suffer(&mut self) -> Fault {
        use Fault::{Frozen, Full, Killed, Terminated, Torn};
        let faults = [Killed, Killed, Torn, Terminated, Frozen, Full];
        let fault = faults[self.dice(faults.len() as u64) as usize];
        match fault {
            Killed => self.kill_9(),
            Torn => {
                self.kill_9();
                let wal = self.data().join("delivery.db-wal");
                let garbage: Vec<u8> =
                    (0..1 + self.dice(9000)).map(|_| self.dice(256) as u8).collect();
                if let Ok(mut wal) = std::fs::OpenOptions::new().append(true).open(wal) {
                    wal.write_all(&garbage).unwrap();
                }
            }
            Terminated => {
                self.signal("-TERM");
                assert!(self.child.wait().unwrap().success());
            }
            Frozen => {
                self.signal("-STOP");
                std::thread::sleep(Duration::from_millis(700));
                self.signal("-CONT");
            }
            Full => {
                self.kill_9();
                // Some room is left, so that it runs full while it works.
                let length =
                    |name: &str| std::fs::metadata(self.data().join(name)).map_or(0, |m| m.len());
                let longest = length("delivery.db").max(length("delivery.db-wal"));
                let room = longest + 200_000 + self.dice(400_000);
                self.child = serve(&self.data(), &self.address, Some(room));
                std::thread::sleep(Duration::from_secs(2));
                self.kill_9();
            }
        }
        fault
    }

    pub(crate) fn recover(&mut self) {
        if self.child.try_wait().unwrap().is_some() {
            self.child = serve(&self.data(), &self.address, None);
        }
    }

    /// Stops it, and has it checked whether all that is stored holds.
    pub(crate) fn check_state(mut self) {
        self.signal("-TERM");
        assert!(self.child.wait().unwrap().success());
        let checked = run(&["admin", "check", "--data", self.data().to_str().unwrap()], b"");
        assert!(checked.has("all is well"), "{checked:?}");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a service. No file of it becomes longer than `room` bytes.
fn serve(data: &std::path::Path, address: &str, room: Option<u64>) -> Child {
    // A signal that is ignored makes the write fail instead.
    let limit =
        room.map_or(String::new(), |room| format!("trap '' XFSZ; ulimit -f {};", room / 512));
    let script = format!("{limit} exec \"$@\"");
    let many = "1000000";
    // What it lets one address do is not what this is about.
    let rates =
        ["--device-requests", "--user-requests", "--address-requests", "--anonymous-requests"];
    let claims = ["--claims-per-pair", "--claims-per-asker", "--claims-per-target"];
    let arguments = ["serve", "--listen", address, "--data", data.to_str().unwrap()];
    let bytes = ["--device-bytes", "--user-bytes", "--address-bytes", "--anonymous-bytes"];
    let limits = rates
        .into_iter()
        .chain(claims)
        .map(|rate| [rate, many])
        .chain(bytes.map(|rate| [rate, "1 GiB"]));
    let mut child = Command::new("sh")
        .args(["-c", &script, "sh", CONCLAVE])
        .args(arguments)
        .args(limits.flatten())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert!(line.starts_with("listening on"), "{line}");
    // It has somebody to talk to as long as it runs.
    std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
    child
}
