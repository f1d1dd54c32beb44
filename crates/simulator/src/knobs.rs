//! What a world is like: how large, what its users do, and what goes wrong in it.

use crate::chance::Chance;

/// A minute, an hour, a day and a year, in milliseconds.
pub(crate) const MINUTE: u64 = 60_000;
pub(crate) const HOUR: u64 = 60 * MINUTE;
pub(crate) const DAY: u64 = 24 * HOUR;
pub(crate) const YEAR: u64 = 365 * DAY;

/// A world's knobs. All faults are off by default. Shares are per thousand, times in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knobs {
    /// How many users there are.
    pub users: usize,
    /// How many devices they have, at least one each.
    pub devices: usize,
    /// How many commands are drawn.
    pub commands: u32,
    /// Over which time commands and faults are spread.
    pub span: u64,
    /// How many days pass after that, in each of which little happens.
    pub days: u32,
    /// Whether there are commands that take somebody out of a group or an account.
    pub departures: bool,
    /// Whether there are join links.
    pub join_links: bool,
    /// Whether devices are linked and revoked while others talk.
    pub new_devices: bool,
    /// Whether the cryptography is real as a whole. Otherwise hashes stand in for its curve, which takes less time.
    pub has_curve: bool,
    /// What the network does.
    pub network: Network,
    /// What happens to devices.
    pub processes: Processes,
    /// What happens to the service.
    pub service: Troubles,
    /// Who breaks the rules.
    pub hostile: Hostile,
}

/// What the network does with calls, answers and hints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// How long one way takes, from and to.
    pub delay: (u64, u64),
    /// How many calls get lost.
    pub lost_calls: u32,
    /// How many answers.
    pub lost_answers: u32,
    /// How many calls arrive only after the device has given them up.
    pub late_calls: u32,
    /// How many calls arrive twice.
    pub repeated_calls: u32,
    /// How many hints get lost, and the stream with them.
    pub lost_hints: u32,
    /// How many hints arrive twice.
    pub repeated_hints: u32,
    /// How many hints others overtake.
    pub overtaken_hints: u32,
    /// How often some devices cannot reach the service for a while.
    pub partitions: u32,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            delay: (5, 80),
            lost_calls: 0,
            lost_answers: 0,
            late_calls: 0,
            repeated_calls: 0,
            lost_hints: 0,
            repeated_hints: 0,
            overtaken_hints: 0,
            partitions: 0,
        }
    }
}

/// What happens to devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Processes {
    /// How often a process dies at a write.
    pub crashes: u32,
    /// How often a host does not acknowledge the events that it has taken, as if it had died in between.
    pub forgotten: u32,
    /// How far clocks are off, at most, either way.
    pub clocks_off: u64,
    /// How often a clock is set.
    pub clocks_set: u32,
    /// How often a device is away for long: for hours, while others go on.
    pub absences: u32,
    /// How often a device's state is set back to a copy of an earlier one.
    pub old_states: u32,
    /// How often a device's state is copied to another process, which goes on beside it.
    pub copies: u32,
}

/// What happens to the service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Troubles {
    /// How often it is started again.
    pub restarts: u32,
    /// How often it is restored from a backup.
    pub set_back: u32,
    /// How often its files are put back as they were, so that it does not know that it was restored.
    pub rolled_back: u32,
    /// How often it is set up anew.
    pub anew: u32,
}

/// Who breaks the rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hostile {
    /// How often a member's client sends what no honest client sends.
    pub members: u32,
    /// How often a member's modified client does something that is validly signed and against the rules.
    pub modified: u32,
    /// Whether the service takes what the rules of rooms forbid.
    pub lawless: bool,
    /// How many pages of logs the service falsifies.
    pub pages: u32,
    /// How often the service goes on from a copy of its state for some users, who then see another log than the rest.
    pub logs: u32,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            users: 4,
            devices: 5,
            commands: 30,
            span: 2 * MINUTE,
            days: 0,
            departures: true,
            join_links: true,
            new_devices: true,
            has_curve: true,
            network: Network::default(),
            processes: Processes::default(),
            service: Troubles::default(),
            hostile: Hostile::default(),
        }
    }
}

impl Knobs {
    /// A world's knobs from its seed.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut chance = Chance::new(seed ^ 0x6b6e_6f62);
        let chance = &mut chance;
        let mut knobs = Self::of_size(chance);
        knobs.departures = chance.happens(700);
        knobs.join_links = chance.happens(500);
        knobs.new_devices = chance.happens(500);
        knobs.network = Network::draw(chance);
        knobs.processes = Processes::draw(chance);
        knobs.service.restarts = some(chance, 200, 3);
        if chance.happens(200) {
            knobs.draw_worse(chance);
        }
        knobs.has_curve = chance.happens(100);
        knobs
    }

    /// One thing that takes more than patience to mend.
    fn draw_worse(&mut self, chance: &mut Chance) {
        let worse = chance.below(8);
        let times = chance.between((1, 100)) as u32;
        let Self { processes, service, hostile, .. } = self;
        match worse {
            0 => processes.old_states = 1,
            1 => processes.copies = 1,
            2 => service.rolled_back = 1,
            3 => service.anew = 1,
            4 => hostile.members = 1 + times % 12,
            5 => hostile.pages = times,
            6 => hostile.modified = 1 + times % 12,
            _ => hostile.logs = 1,
        }
    }

    /// Most worlds are small, so that there are many; one in 200 has 50 users with up to 100 devices.
    fn of_size(chance: &mut Chance) -> Self {
        let (users, devices, commands) = match chance.below(200) {
            0 => (50, 50 + chance.index(51), 120),
            1..=19 => (6 + chance.index(8), 8 + chance.index(16), 60),
            _ => (2 + chance.index(4), 2 + chance.index(6), 16 + chance.below(24) as u32),
        };
        let span = chance.between((10_000, 5 * MINUTE));
        Self { users, devices: devices.max(users), commands, span, ..Self::default() }
    }
}

/// A number from 1 to `most` in `permille` of a thousand worlds, 0 in the others.
fn some(chance: &mut Chance, permille: u32, most: u64) -> u32 {
    if chance.happens(permille) { chance.between((1, most)) as u32 } else { 0 }
}

impl Network {
    fn draw(chance: &mut Chance) -> Self {
        let slowest = *[20, 80, 400, 3_000].get(chance.index(4)).unwrap_or(&80);
        Self {
            delay: (2, slowest),
            lost_calls: some(chance, 400, 200),
            lost_answers: some(chance, 400, 200),
            late_calls: some(chance, 300, 150),
            repeated_calls: some(chance, 300, 300),
            lost_hints: some(chance, 300, 150),
            repeated_hints: some(chance, 300, 300),
            overtaken_hints: some(chance, 300, 500),
            partitions: some(chance, 250, 3),
        }
    }
}

impl Processes {
    fn draw(chance: &mut Chance) -> Self {
        Self {
            crashes: some(chance, 500, 12),
            forgotten: some(chance, 300, 300),
            clocks_off: if chance.happens(250) { chance.below(YEAR) } else { 0 },
            clocks_set: some(chance, 150, 3),
            absences: some(chance, 150, 2),
            ..Self::default()
        }
    }
}
