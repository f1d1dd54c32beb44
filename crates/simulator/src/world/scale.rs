//! One large conversation, measured.

use super::{Event, World};
use crate::client::Ask;
use crate::cost::Cost;
use crate::knobs::DAY;
use conclave_engine::GroupId;
use std::time::Instant;

/// How many say something, and how many texts each.
const SPEAKERS: usize = 20;
const TEXTS: u64 = 5;
/// How many users leave.
const LEAVERS: usize = 10;
/// How many devices run during the week in which a device is away.
const AWAKE: usize = 60;
/// How many texts are said each day of the week in which a device is away.
const DAILY: u64 = 50;

/// Where a phase began.
struct Begun {
    clock: Instant,
    now: u64,
    cost: Cost,
    written: u64,
}

impl World {
    /// Lets all users talk in one group, and tells what each phase takes when it is over. Returns the invariants that were
    /// broken.
    pub(crate) fn scale(mut self, tell: &mut dyn FnMut(String)) -> Vec<String> {
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

        self.let_most_sleep(one);
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

    /// Stops all devices but the first [`AWAKE`] and `one`. In a week each device that runs replaces its keys, and all others
    /// process that, so the work grows with the square of their number.
    fn let_most_sleep(&mut self, one: usize) {
        for i in (AWAKE..self.devices.len()).filter(|i| *i != one) {
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
            now: self.now,
            cost: device.map(|device| device.cost).unwrap_or_default(),
            written: device.map(|device| device.disk.bytes_written()).unwrap_or_default(),
        }
    }

    fn figures(&self, phase: &str, one: usize, begun: &Begun) -> String {
        let device = &self.devices[one];
        let (cost, before) = (device.cost, begun.cost);
        format!(
            "{phase:<22} {:>8.1} {:>9.1} {:>7} {:>10} {:>10} {:>10}",
            begun.clock.elapsed().as_secs_f64(),
            (self.now - begun.now) as f64 / 1000.0,
            cost.calls - before.calls,
            cost.sent - before.sent,
            cost.received - before.received,
            device.disk.bytes_written() - begun.written,
        )
    }

    /// What a client takes in memory, as the system counts it for some clients that begin anew from their disks.
    fn memory(&mut self, one: usize) -> String {
        let runs = |i: &usize| self.devices[*i].is_running();
        let some: Vec<usize> = (0..self.devices.len()).rev().filter(runs).take(20).collect();
        some.iter().for_each(|i| self.kill(*i));
        let before = resident();
        some.iter().for_each(|i| self.start(*i));
        let (Some(before), Some(after)) = (before, resident()) else {
            return "memory is not measured on this system".into();
        };
        let each = after.saturating_sub(before) / some.len().max(1) as u64;
        let stored = self.devices[one].disk.bytes_held();
        self.settle("beginning anew");
        format!("{each} bytes of memory a client that begins, with {stored} bytes stored")
    }
}

/// How many bytes of memory this process has.
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(text.split(' ').nth(1)?.parse::<u64>().ok()? * 4096)
}
