//! A world: devices, a service and what is between them, in virtual time.
//!
//! All that happens is an event in one queue, ordered by its time. A world is a function of its seed and its knobs.

mod acts;
mod calls;
mod check;
mod commands;
mod days;
mod devices;
mod hints;
mod hostile;
mod scale;

use crate::act::Act;
use crate::chance::Chance;
use crate::cost::Cost;
use crate::crypto::WorldCrypto;
use crate::disk::Disk;
use crate::knobs::{HOUR, Knobs, MINUTE};
use crate::logs::Logs;
use crate::sealing::{Provider, UsedKeys};
use crate::server::{Server, Signer};
use crate::trace::{Place, Trace};
use conclave_delivery_api::{CallError, DeviceId, StreamEvent, Token};
use conclave_engine::{CallId, Engine, GroupId, News, Reply, Request};
use conclave_mls::crypto::SignatureKeyPair;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// When worlds begin.
const BEGIN: u64 = 1_700_000_000_000;
/// A world is at rest when its devices wake no sooner than this: what they do then, they do again and again.
const SOON: u64 = 3 * MINUTE;
/// How long healing may take, in virtual time.
const LONGEST_HEALING: u64 = 2 * HOUR;

/// Something that happens.
enum Event {
    /// A call reaches the service.
    Arrive(Call),
    /// A device learns what became of its call.
    Answer { device: usize, life: u64, call: u64, reply: Result<Reply, CallError> },
    /// A device hears something.
    Hint { device: usize, life: u64, stream: u64, hint: StreamEvent },
    /// A device opens its stream of events.
    Listen { device: usize, life: u64 },
    /// A device does what is due.
    Wake { device: usize, life: u64 },
    /// A device's process begins.
    Start { device: usize },
    /// Something is done to the world.
    Act(Act),
}

/// A call on its way.
#[derive(Clone)]
struct Call {
    id: u64,
    device: usize,
    life: u64,
    request: Request,
    signer: Option<Signer>,
    /// Whether the network brings it a second time.
    repeated: bool,
    /// Whether the device has given it up.
    abandoned: bool,
}

/// A device's session, and the number of its next request.
struct Session {
    token: Token,
    key: SignatureKeyPair,
    next: u64,
}

impl Session {
    /// What signs the next request.
    fn signer(&mut self) -> Signer {
        let number = self.next;
        self.next += 1;
        Signer { token: self.token.clone(), key: self.key.clone(), number }
    }
}

/// One device, over all the processes that it takes.
struct Device {
    id: DeviceId,
    disk: Disk,
    /// Its process, if there is one.
    engine: Option<Engine<Disk>>,
    /// How many processes there were.
    life: u64,
    /// How far its clock is ahead, in milliseconds.
    ahead: i64,
    session: Option<Session>,
    /// What its calls have cost.
    cost: Cost,
    /// The calls under way, with the engine's numbers.
    calls: BTreeMap<u64, CallId>,
    /// The stream of events that it listens to.
    stream: Option<u64>,
    /// Whether that is open.
    listens: bool,
    /// When it is to be woken.
    wake: Option<u64>,
    /// Until when it cannot reach the service.
    cut_off: u64,
    /// Whether it can be invited.
    ready: bool,
    /// The code that it shows until it is admitted.
    code: Option<String>,
    /// How often somebody has read it into another device.
    offers: u32,
    /// Whether it is what its user believes it to be: not a copy, not set back, not a client that breaks rules.
    is_trusted: bool,
    /// A copy of an earlier state, with what it had shown by then.
    kept: Option<Kept>,
    /// Why it will never run again.
    gone: Option<String>,
    /// All events that it was given, by number.
    shown: Shown,
    /// The groups that it said it cannot follow any further.
    stuck: BTreeSet<GroupId>,
    /// The groups that it said it has come back into: each time, the last entry that it could follow, and the commit by which
    /// it came back.
    came_back: BTreeMap<GroupId, Vec<(u64, u64)>>,
    /// The groups that it is in, and those that it was invited into.
    groups: BTreeMap<GroupId, Standing>,
}

/// Events by their numbers, with their groups.
type Shown = BTreeMap<u64, (Option<GroupId>, News)>;
type Kept = (Disk, Shown, BTreeMap<GroupId, Standing>);

/// How a device stands to a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Member,
    Invited,
    Out,
}

/// A text that an engine took to be sent.
struct Said {
    device: usize,
    group: GroupId,
    text: String,
}

/// What a run came to.
#[derive(Debug, Default)]
pub struct Report {
    /// Which invariants were broken, in words.
    pub broken: Vec<String>,
    /// All events, one a line, if they were asked for.
    pub lines: Vec<String>,
    /// How much happened.
    pub counts: BTreeMap<&'static str, u64>,
}

/// A service that went its own way from a copy of the state, and the devices that see it in place of the first.
struct Other {
    server: Server,
    to: BTreeSet<usize>,
}

/// A service, devices and time.
pub(crate) struct World {
    seed: u64,
    knobs: Knobs,
    chance: Chance,
    now: u64,
    queue: BTreeMap<(u64, u64), Event>,
    tickets: u64,
    server: Server,
    /// The other service, while there are two logs.
    other: Option<Other>,
    crypto: WorldCrypto,
    provider: Arc<Provider>,
    used: UsedKeys,
    devices: Vec<Device>,
    /// Whether faults are over.
    calm: bool,
    said: Vec<Said>,
    links: Vec<String>,
    log: Logs,
    /// The commits that the service has taken: in which group, of which device, and when.
    commits: Vec<(GroupId, usize, u64)>,
    /// The devices that a modified client has brought into a group which nobody else is in, under the name of another one.
    misled: BTreeSet<(usize, GroupId)>,
    /// The commits against the rules that a service which keeps none has taken: the first one of each group.
    breaches: BTreeMap<GroupId, u64>,
    /// Messages and commits as they were sent, for whoever sends them again.
    overheard: Vec<Request>,
    made: u32,
    texts: u32,
    trace: Trace,
    broken: Vec<String>,
    counts: BTreeMap<&'static str, u64>,
}

impl World {
    pub(crate) fn new(seed: u64, knobs: Knobs, traced: bool) -> Self {
        let crypto = WorldCrypto::new(knobs.has_curve);
        let is_lawless = knobs.hostile.lawless;
        Self {
            seed,
            knobs,
            chance: Chance::new(seed),
            now: BEGIN,
            queue: BTreeMap::new(),
            tickets: 0,
            server: Server::new(BEGIN, crypto, is_lawless),
            other: None,
            crypto,
            provider: Arc::new(Provider::new(crypto, Default::default())),
            used: UsedKeys::default(),
            devices: Vec::new(),
            calm: true,
            said: Vec::new(),
            links: Vec::new(),
            log: Logs::default(),
            commits: Vec::new(),
            misled: BTreeSet::new(),
            breaches: BTreeMap::new(),
            overheard: Vec::new(),
            made: 0,
            texts: 0,
            trace: Trace::new(BEGIN, traced),
            broken: Vec::new(),
            counts: BTreeMap::new(),
        }
    }

    /// Runs the world to its end, and says what came out.
    pub(crate) fn run(mut self) -> Report {
        self.populate();
        self.settle("setting up");
        self.calm = false;
        self.draw_acts();
        self.settle("commands and faults");
        self.end_faults();
        self.settle("healing");
        self.accept_all();
        self.settle("accepting");
        self.pass_days();
        self.last_words();
        self.settle("last words");
        self.check();
        Report { broken: self.broken, lines: self.trace.into_lines(), counts: self.counts }
    }

    fn at(&mut self, time: u64, event: Event) {
        self.tickets += 1;
        self.queue.insert((time.max(self.now), self.tickets), event);
    }

    fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn break_with(&mut self, what: String) {
        let now = self.now;
        self.trace.add(now, "-", "BROKEN", &Place::default(), &what);
        self.broken.push(what);
    }

    /// Lets things happen until nothing is left to do soon.
    fn settle(&mut self, phase: &'static str) {
        self.trace.add(self.now, "-", "phase", &Place::default(), phase);
        let begun = self.now;
        let most = 20_000 + 3_000 * self.devices.len() as u64;
        for _ in 0..most {
            let Some((&(time, _), event)) = self.queue.first_key_value() else { return };
            if matches!(event, Event::Wake { .. }) && time > self.now + SOON {
                return;
            }
            if self.calm && time > begun + LONGEST_HEALING {
                break;
            }

            let Some(((time, _), event)) = self.queue.pop_first() else { return };
            self.now = self.now.max(time);
            self.count("events");
            self.happen(event);
        }

        let busy: Vec<String> = self.busy();
        self.break_with(format!("{phase}: no end is in sight, {}", busy.join("; ")));
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive(call) => self.arrive(call),
            Event::Answer { device, life, call, reply } => self.answered(device, life, call, reply),
            Event::Hint { device, life, stream, hint } => self.hear(device, life, stream, hint),
            Event::Listen { device, life } => self.listen(device, life),
            Event::Wake { device, life } => self.wake(device, life),
            Event::Start { device } => self.start(device),
            Event::Act(act) => self.act(act),
        }
    }

    fn publish(&mut self) {
        let notices = self.server.publish(self.now);
        self.tell(notices, false);
        if let Some(other) = &mut self.other {
            let notices = other.server.publish(self.now);
            self.tell(notices, true);
        }
    }

    /// Whether a device is shown the other log.
    fn is_elsewhere(&self, i: usize) -> bool {
        self.other.as_ref().is_some_and(|other| other.to.contains(&i))
    }

    /// The service that a device sees.
    fn server_of(&self, i: usize) -> &Server {
        match &self.other {
            Some(other) if other.to.contains(&i) => &other.server,
            _ => &self.server,
        }
    }

    /// How long one way takes.
    fn delay(&mut self) -> u64 {
        let usual = if self.calm { (2, 20) } else { self.knobs.network.delay };
        self.chance.between(usual)
    }

    /// Whether a fault happens, which none does when faults are over.
    fn strikes(&mut self, permille: u32) -> bool {
        !self.calm && self.chance.happens(permille)
    }
}
