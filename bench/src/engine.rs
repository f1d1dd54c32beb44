//! What the engine costs beside the library: each step from its input to what it stores, asks for and says.
//!
//! The service is the one of the engine's example, in this process: its work is not counted. It uses another provider of
//! cryptography than the engine, so that a profile tells whose is whose.

#[path = "../../crates/engine/examples/own_service/service.rs"]
mod service;

use crate::client::Result;
use crate::conclave::provider;
use crate::counting::{counted, sums};
use crate::rng;
use conclave_engine::{
    CLASSIC, CertificateFiles, Command, Content, Engine, GroupId, News, Output, RoomChange, SUITES,
    Setup, StreamEvent, Who,
};
use conclave_mls::storage::RowKey;
use conclave_provider_rustcrypto::RustCrypto;
use conclave_store::{MemoryStore, Secret, Store, StoreError, WriteSet};
use service::OwnService;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How long a message is, in bytes.
const MESSAGE: usize = 1024;

/// A step of the engine that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Send,
    Receive,
    Commit,
    TakeCommit,
    Open,
}

impl Op {
    pub const ALL: [Self; 5] =
        [Self::Send, Self::Receive, Self::Commit, Self::TakeCommit, Self::Open];

    pub fn name(self) -> &'static str {
        match self {
            Self::Send => "engine-send",
            Self::Receive => "engine-receive",
            Self::Commit => "engine-commit",
            Self::TakeCommit => "engine-take-commit",
            Self::Open => "engine-open",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::Send => "engine: a message, 1 KiB, from the command to the acknowledged event",
            Self::Receive => "engine: the same, received",
            Self::Commit => "engine: a room's topic, from the command to the acknowledged event",
            Self::TakeCommit => "engine: the same, of another member",
            Self::Open => "engine: open a device in so many groups",
        }
    }

    /// The largest size that is counted: each member of a group is an engine, which looks up all others.
    pub fn largest(self) -> usize {
        if self == Self::Open { 100 } else { 10 }
    }
}

/// A store that outlives its engine.
#[derive(Clone, Debug, Default)]
struct Shared(Arc<Mutex<MemoryStore>>);

impl Shared {
    fn state(&self) -> MutexGuard<'_, MemoryStore> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Shared {
    fn load(&self, group: &GroupId) -> std::result::Result<Vec<(RowKey, Secret)>, StoreError> {
        self.state().load(group)
    }
    fn write(&mut self, set: &WriteSet) -> std::result::Result<(), StoreError> {
        self.state().write(set)
    }
    fn groups(&self) -> std::result::Result<Vec<GroupId>, StoreError> {
        Store::groups(&*self.state())
    }
    fn get(&self, space: &str, key: &[u8]) -> std::result::Result<Option<Secret>, StoreError> {
        self.state().get(space, key)
    }
    fn scan(
        &self,
        space: &str,
        from: &[u8],
        limit: usize,
    ) -> std::result::Result<Vec<(Vec<u8>, Secret)>, StoreError> {
        self.state().scan(space, from, limit)
    }
}

struct Device {
    engine: Engine<Shared>,
    store: Shared,
    joined: usize,
}

impl Device {
    fn open(name: &str, store: Shared) -> Result<Self> {
        let engine = Engine::open(Setup {
            device: name.parse()?,
            cipher_suite: Some(CLASSIC),
            provider: Arc::new(provider()),
            rng: Box::new(rng::of_name(name)),
            store: store.clone(),
            invitation: None,
            certificates: CertificateFiles::default(),
            keys: Default::default(),
            evidence_place: String::new(),
        })?;
        Ok(Self { engine, store, joined: 0 })
    }
}

struct World {
    service: OwnService,
    now: u64,
}

/// Counts what a step does, if it is wanted.
fn step<T>(counts: bool, f: impl FnOnce() -> Result<T>) -> Result<T> {
    if counts { counted(f) } else { f() }
}

impl World {
    /// Lets a device do all that there is to do, and takes and acknowledges what it says. Says whether there was anything.
    fn turn(&mut self, device: &mut Device, counts: bool) -> Result<bool> {
        let (now, id) = (self.now, device.engine.device().clone());
        let events = self.service.watch(&id);
        let engine = &mut device.engine;
        step(counts, || {
            events.into_iter().for_each(|event| engine.heard(now, StreamEvent::Event(event)));
            Ok(())
        })?;

        let mut asked = false;
        while let Some((call, request)) = step(counts, || Ok(engine.next(now)?))? {
            asked = true;
            let reply = self.service.answer(now, &id, request);
            step(counts, || Ok(engine.reply(now, call, reply)?))?;
        }

        let outputs = step(counts, || {
            let outputs = engine.outputs(now);
            engine.acknowledge(&outputs)?;
            Ok(outputs)
        })?;
        for output in outputs {
            let Output::News { group: Some(group), news, .. } = output else { continue };
            match news {
                News::Invited { .. } => {
                    device.engine.command(now, Command::Accept(group))?;
                }
                News::Created { .. } | News::Joined { .. } => device.joined += 1,
                _ => {}
            }
        }
        Ok(asked)
    }

    /// Lets devices run until none has anything to do, and it holds.
    fn until(&mut self, devices: &mut [Device], holds: impl Fn(&Device) -> bool) -> Result<()> {
        for _ in 0..100_000 {
            self.now += 100;
            let mut busy = false;
            for device in devices.iter_mut() {
                busy |= self.turn(device, false)?;
            }
            let settled = |device: &Device| holds(device) && device.engine.is_caught_up();
            if !busy && devices.iter().all(settled) {
                return Ok(());
            }
        }
        Err("the devices do not come to rest".into())
    }
}

/// Counts one step: its allocations and their bytes.
pub fn one(op: Op, size: usize) -> Result<(u64, u64)> {
    let now = 1_800_000_000_000;
    let provider = Arc::new(RustCrypto::new().with_suites(SUITES));
    let service = OwnService::new(provider, now).map_err(|e| e.to_string())?;
    let mut world = World { service, now };
    match op {
        Op::Open => open(&mut world, size)?,
        _ => in_group(&mut world, op, size)?,
    }
    Ok(sums())
}

fn open(world: &mut World, groups: usize) -> Result<()> {
    let mut device = [Device::open("alice/phone", Shared::default())?];
    world.until(&mut device, |_| true)?;
    for n in 0..groups {
        let make = Command::New { name: format!("group-{n}"), suite: None };
        device[0].engine.command(world.now, make)?;
        world.until(&mut device, |device| device.joined > n)?;
    }

    let [Device { engine, store, .. }] = device;
    drop(engine);
    counted(|| Device::open("alice/phone", store)).map(|_| ())
}

fn in_group(world: &mut World, op: Op, members: usize) -> Result<()> {
    let start = |n: usize| Device::open(&format!("user-{n}/phone"), Shared::default());
    let mut devices = (0..members).map(start).collect::<Result<Vec<_>>>()?;
    world.until(&mut devices, |_| true)?;
    let make = Command::New { name: "all".into(), suite: None };
    let group = devices[0].engine.command(world.now, make)?.ok_or("no group is made")?;
    let who = |n: usize| Ok(Who { user: format!("user-{n}").parse()?, device: None });
    let who = (1..members).map(who).collect::<Result<Vec<_>>>()?;
    devices[0].engine.command(world.now, Command::Invite { group: group.clone(), who })?;
    world.until(&mut devices, |device| device.joined > 0)?;

    // Neither is the first of its kind, as in the middle of a group's life. What the first one does with its own is done in
    // its turn, before the others hear of it.
    for round in 0..3 {
        let last = round == 2;
        let now = world.now;
        let by_one = last && matches!(op, Op::Send | Op::Commit);
        let engine = &mut devices[0].engine;
        step(by_one, || {
            match op {
                Op::Send | Op::Receive => {
                    engine.send(
                        now,
                        &group,
                        vec![Content::new("text/plain", vec![b'x'; MESSAGE])?],
                    )?;
                }
                _ => {
                    let change = RoomChange::Topic(format!("topic {round}"));
                    engine.command(now, Command::ChangeRoom { group: group.clone(), change })?;
                }
            }
            Ok(())
        })?;
        world.turn(&mut devices[0], by_one)?;
        world.turn(&mut devices[1], last && !by_one)?;
        world.until(&mut devices, |_| true)?;
    }
    Ok(())
}
