//! A service in a process, and what can happen to it.

use super::disk::{Disk, Failing, IO_ERROR, NO_SPACE};
use crate::common::{CONCLAVE, run, signal};
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
    /// It dies with its machine: what was not flushed is lost in part.
    PowerLost,
    /// It goes on, and its disk fails for a while.
    Disk(Failing),
    /// Its disk fails, and it dies with its machine then.
    DiskAndPowerLost(Failing),
}

use Fault::{DiskAndPowerLost, Frozen, Full, Killed, PowerLost, Terminated, Torn};

/// What can happen to any service.
const FAULTS: [Fault; 6] = [Killed, Killed, Torn, Terminated, Frozen, Full];

/// What can happen to a service whose disk does what it is told, besides.
const FAULTS_OF_DISKS: [Fault; 9] = [
    PowerLost,
    PowerLost,
    PowerLost,
    Fault::Disk(Failing::Write(NO_SPACE)),
    Fault::Disk(Failing::Write(IO_ERROR)),
    Fault::Disk(Failing::HalfWrites(NO_SPACE)),
    Fault::Disk(Failing::Flush),
    DiskAndPowerLost(Failing::Flush),
    DiskAndPowerLost(Failing::HalfWrites(IO_ERROR)),
];

pub(crate) struct Service {
    folder: tempfile::TempDir,
    address: String,
    metrics: String,
    pub(crate) disk: Option<Disk>,
    child: Option<Child>,
    seed: u64,
}

impl Service {
    pub(crate) fn start(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("data")).unwrap();
        // Ports that are free now.
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [address, metrics] = listeners.map(|l| l.local_addr().unwrap().to_string());
        let disk = Disk::under(&folder.path().join("data"));
        let mut service = Self { folder, address, metrics, disk, child: None, seed };
        service.run(None);
        service
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it is watched.
    pub(crate) fn metrics(&self) -> &str {
        &self.metrics
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn child(&mut self) -> &mut Child {
        self.child.as_mut().unwrap()
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

    pub(crate) fn kill_9(&mut self) {
        self.child().kill().unwrap();
        self.child().wait().unwrap();
    }

    /// Loses what was not flushed of a service that is dead.
    fn cut_power(&mut self) {
        let disk = self.disk.take().unwrap();
        disk.mend();
        // Everything is lost, or something.
        let odds = self.dice(3);
        disk.cut_power(|| self.dice(2) < odds);
        self.disk = Some(disk);
    }

    pub(crate) fn suffer(&mut self) -> Fault {
        let with_disks = FAULTS.into_iter().chain(FAULTS_OF_DISKS);
        let faults = if self.disk.is_some() { with_disks.collect() } else { FAULTS.to_vec() };
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
                signal(self.child(), "-TERM");
                assert!(self.child().wait().unwrap().success());
            }
            Frozen => {
                signal(self.child(), "-STOP");
                std::thread::sleep(Duration::from_millis(700));
                signal(self.child(), "-CONT");
            }
            Full => {
                self.kill_9();
                // Some room is left, so that it runs full while it works.
                let length =
                    |name: &str| std::fs::metadata(self.data().join(name)).map_or(0, |m| m.len());
                let longest = length("delivery.db").max(length("delivery.db-wal"));
                let room = longest + 200_000 + self.dice(400_000);
                self.run(Some(room));
                std::thread::sleep(Duration::from_secs(2));
                self.kill_9();
            }
            PowerLost => {
                self.kill_9();
                self.cut_power();
            }
            Fault::Disk(failing) => {
                self.disk.as_ref().unwrap().fail(failing);
                self.run_for_a_while();
                self.disk.as_ref().unwrap().mend();
            }
            DiskAndPowerLost(failing) => {
                self.disk.as_ref().unwrap().fail(failing);
                self.run_for_a_while();
                self.kill_9();
                self.cut_power();
            }
        }
        fault
    }

    /// Starts it again, unless it runs.
    pub(crate) fn recover(&mut self) {
        if self.child().try_wait().unwrap().is_some() {
            self.run(None);
        }
    }

    /// Stops it, and has it checked whether all that is stored holds.
    pub(crate) fn check_state(mut self) {
        signal(self.child(), "-TERM");
        assert!(self.child().wait().unwrap().success());
        let checked = run(&["admin", "check", "--data", self.data().to_str().unwrap()], b"");
        assert!(checked.has("all is well"), "{checked:?}");
    }

    /// Starts it. No file of it becomes longer than `room` bytes.
    fn run(&mut self, room: Option<u64>) {
        let mut child = self.command(room).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert!(line.starts_with("listening on"), "{line}");
        // It has somebody to talk to as long as it runs.
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        self.child = Some(child);
    }

    /// What starts it.
    pub(crate) fn command(&self, room: Option<u64>) -> Command {
        // A signal that is ignored makes the write fail instead.
        let limit =
            room.map_or(String::new(), |room| format!("trap '' XFSZ; ulimit -f {};", room / 512));
        let script = format!("{limit} exec \"$@\"");
        let data = self.data();
        let arguments = ["serve", "--listen", &self.address, "--metrics", &self.metrics];
        let mut command = Command::new("sh");
        command
            .args(["-c", &script, "sh", CONCLAVE])
            .args(arguments)
            .args(["--publish-every", "1", "--data", data.to_str().unwrap()])
            .args(unlimited())
            .stdin(Stdio::null());
        if let Some(disk) = &self.disk {
            disk.hold(&mut command);
        }
        command
    }
}

/// What one address may do is not what this is about.
pub(crate) fn unlimited() -> Vec<&'static str> {
    let counts = [
        "--device-requests",
        "--user-requests",
        "--address-requests",
        "--anonymous-requests",
        "--claims-per-pair",
        "--claims-per-asker",
        "--claims-per-target",
    ];
    let bytes = ["--device-bytes", "--user-bytes", "--address-bytes", "--anonymous-bytes"];
    let counts = counts.into_iter().flat_map(|count| [count, "1000000"]);
    counts.chain(bytes.into_iter().flat_map(|rate| [rate, "1 GiB"])).collect()
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
