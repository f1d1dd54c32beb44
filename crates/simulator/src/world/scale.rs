//! One large conversation, measured.

use super::{Event, World};
use crate::chance::Chance;
use crate::client::{self, Ask};
use crate::cost::Cost;
use crate::knobs::DAY;
use conclave_engine::GroupId;
use std::time::Instant;

/// How many clients are opened in a round that measures their memory, and how many rounds there are at most.
const CLIENTS_IN_A_ROUND: usize = 20;
const ROUNDS: usize = 20;

/// How many say something, and how many texts each.
const SPEAKERS: usize = 20;
const TEXTS: u64 = 5;
/// How many users leave.
const LEAVERS: usize = 10;
/// How many devices run during the week in which a device is away, at most.
const AWAKE_FOR_A_WEEK: usize = 60;
/// How many texts are said each day of the week in which a device is away.
const DAILY: u64 = 50;

/// Where a phase began.
struct Begun {
    clock: Instant,
    cpu: Option<f64>,
    now: u64,
    cost: Cost,
    written: u64,
}

impl World {
    /// Lets all users talk in one group, and tells what each phase takes when it is over. `awake` devices run, and the one
    /// that is measured; the others stop when they can be invited, and are members that are away. Returns the invariants
    /// that were broken.
    pub(crate) fn scale(mut self, awake: usize, tell: &mut dyn FnMut(String)) -> Vec<String> {
        tell(format!(
            "{:<22} {:>8} {:>9} {:>7} {:>10} {:>10} {:>10}",
            "phase", "cpu s", "virtual s", "calls", "sent", "received", "written"
        ));
        // One that is in all phases, and is not the one that invites.
        let one = self.knobs.devices - 1;
        let begun = self.begin(one);
        self.populate();
        self.settle("setting up");
        tell(self.figures("setting up", one, &begun));
        self.let_sleep(awake, one);

        let begun = self.begin(one);
        let Some(group) = self.ask_for(0, Ask::Make { name: "all".into() }) else {
            return self.broken;
        };
        let users = self.users();
        self.ask(0, Ask::Invite { group: group.clone(), users });
        self.settle("inviting");
        self.accept_all();
        self.settle("accepting");
        tell(self.figures("inviting all", one, &begun));

        let begun = self.begin(one);
        for i in 0..SPEAKERS.min(self.devices.len()) {
            self.say_some(i, &group, TEXTS);
        }
        self.settle("talking");
        tell(self.figures("talking", one, &begun));

        let begun = self.begin(one);
        for i in 1..=LEAVERS.min(self.knobs.users / 2) {
            self.ask(i, Ask::Leave { group: group.clone() });
        }
        self.settle("leaving");
        tell(self.figures("leaving", one, &begun));

        self.let_sleep(AWAKE_FOR_A_WEEK, one);
        self.kill(one);
        for _ in 0..7 {
            self.now += DAY;
            self.say_some(0, &group, DAILY);
            self.settle("a day");
        }
        let begun = self.begin(one);
        self.at(self.now, Event::Start { device: one });
        self.settle("catching up");
        tell(self.figures("catching up a week", one, &begun));

        tell(self.memory(one));
        self.check();
        self.broken
    }

    /// Stops all devices but `one` and the first `awake`. A device that joins looks up all other users, and in a week each
    /// device that runs replaces its keys, which all others process: the work grows with the square of their number.
    fn let_sleep(&mut self, awake: usize, one: usize) {
        for i in (awake..self.devices.len()).filter(|i| *i != one) {
            self.kill(i);
            let device = &mut self.devices[i];
            device.is_trusted = false;
            device.gone = Some("it sleeps".into());
        }
    }

    fn say_some(&mut self, i: usize, group: &GroupId, count: u64) {
        let texts = self.texts(count);
        self.ask(i, Ask::Say { group: group.clone(), texts });
    }

    fn begin(&self, one: usize) -> Begun {
        let device = self.devices.get(one);
        Begun {
            clock: Instant::now(),
            cpu: cpu_seconds(),
            now: self.now,
            cost: device.map(|device| device.cost).unwrap_or_default(),
            written: device.map(|device| device.disk.bytes_written()).unwrap_or_default(),
        }
    }

    fn figures(&self, phase: &str, one: usize, begun: &Begun) -> String {
        let device = &self.devices[one];
        let (cost, before) = (device.cost, begun.cost);
        let cpu = cpu_seconds().zip(begun.cpu).map(|(now, before)| now - before);
        format!(
            "{phase:<22} {:>8.1} {:>9.1} {:>7} {:>10} {:>10} {:>10}",
            cpu.unwrap_or_else(|| begun.clock.elapsed().as_secs_f64()),
            (self.now - begun.now) as f64 / 1000.0,
            cost.calls - before.calls,
            cost.sent - before.sent,
            cost.received - before.received,
            device.disk.bytes_written() - begun.written,
        )
    }

    /// The memory that a client takes, as the system counts it for clients that are opened from the disk of `one`.
    fn memory(&self, one: usize) -> String {
        let device = &self.devices[one];
        let mut engines = Vec::new();
        let mut open = || {
            let before = resident()?;
            for _ in 0..CLIENTS_IN_A_ROUND {
                let rng = Chance::of(self.seed, "memory");
                let disk = device.disk.clone();
                engines.push(client::open(&device.id, self.provider.clone(), rng, &disk).ok()?);
            }
            Some(resident()?.saturating_sub(before) / CLIENTS_IN_A_ROUND as u64)
        };
        // The first clients use memory that the world has freed: the third round in a row that makes the process grow counts.
        let mut last = [0; 3];
        for _ in 0..ROUNDS {
            let Some(each) = open() else { return "memory is not measured on this system".into() };
            last = [last[1], last[2], each];
            if last.iter().all(|each| *each > 0) {
                break;
            }
        }
        let (each, stored) = (last[2], device.disk.bytes_held());
        format!("{each} bytes of memory a client that begins, with {stored} bytes stored")
    }
}

/// How many bytes of memory this process has.
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(text.split(' ').nth(1)?.parse::<u64>().ok()? * 4096)
}

/// How many seconds of CPU time this process has taken. Linux counts them in hundredths.
fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = text.rsplit(')').next()?.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / 100.0)
}
