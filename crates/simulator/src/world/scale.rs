//! One large conversation, measured.

use super::{Event, World};
use crate::chance::Chance;
use crate::client::{self, Ask};
use crate::cost::Cost;
use crate::heap;
use crate::knobs::DAY;
use conclave_engine::GroupId;
use std::time::Instant;

/// The most heap that a client may take at any time.
const MAX_CLIENT: i64 = 16 << 20;
/// The most that it may take when it begins and when it has caught up, without what it holds for each user.
const MAX_AT_REST: i64 = 64 << 10;
/// The most that it may take for each user of the conversation then.
const MAX_AT_REST_A_USER: i64 = 2 << 10;

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
    /// and bounds that were broken.
    pub(crate) fn scale(mut self, awake: usize, tell: &mut dyn FnMut(String)) -> Vec<String> {
        heap::count();
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
        heap::begin_peak();
        let before = heap::live();
        self.at(self.now, Event::Start { device: one });
        self.settle("catching up");
        let peak = heap::peak() - before;
        tell(self.figures("catching up a week", one, &begun));

        self.check();
        tell(self.memory(one, peak));
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

    /// Holds the heap of the client of `one` to its bounds, and says how much it takes: when it begins, when it has caught
    /// up, and at most while it catches up (`peak`, with what the service makes for it).
    fn memory(&mut self, one: usize, peak: i64) -> String {
        let device = &mut self.devices[one];
        let before = heap::live();
        drop(device.engine.take());
        let caught_up = before - heap::live();

        let before = heap::live();
        let rng = Chance::of(self.seed, "memory");
        let opened = client::open(&device.id, self.provider.clone(), rng, &device.disk);
        let begins = heap::live() - before;
        drop(opened);

        let stored = device.disk.bytes_held();
        let at_rest = MAX_AT_REST + MAX_AT_REST_A_USER * self.knobs.users as i64;
        let at_rest = at_rest.min(MAX_CLIENT);
        for (what, bytes, most) in [
            ("that begins", begins, at_rest),
            ("that has caught up", caught_up, at_rest),
            ("that catches up", peak, MAX_CLIENT),
        ] {
            // Without an allocator that counts, nothing is shown: that fails, too.
            if bytes <= 0 || bytes > most {
                self.break_with(format!(
                    "a client {what} takes {bytes} bytes, and may take {most}"
                ));
            }
        }
        format!(
            "bytes of heap: {begins} of a client that begins, {caught_up} of the one that has caught up, {peak} at most while it \
             did; its groups have {stored} bytes of rows"
        )
    }
}

/// How many seconds of CPU time this process has taken. Linux counts them in hundredths.
fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = text.rsplit(')').next()?.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / 100.0)
}
