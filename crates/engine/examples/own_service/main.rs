//! An application with its own service: three people talk over `service`, which is not Conclave's.
//!
//! Time is a number that the example counts up and passes to the engine and the service, so nothing sleeps.

mod service;

use conclave_engine::{
    CertificateFiles, Command, Content, Engine, GroupId, News, Output, SUITES, Setup, StreamEvent,
    Who,
};
use conclave_provider_rustcrypto::RustCrypto;
use conclave_store::SqliteStore;
use service::OwnService;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// A world of one service and its devices, each with a file for its state.
struct World {
    service: OwnService,
    provider: Arc<RustCrypto>,
    folder: PathBuf,
    now: u64,
}

/// A device that runs.
struct Device {
    engine: Engine<SqliteStore>,
    group: Option<GroupId>,
    heard: Vec<String>,
}

impl World {
    fn start(&self, id: &str) -> Result<Device> {
        let engine = Engine::open(Setup {
            device: id.parse()?,
            cipher_suite: None,
            provider: self.provider.clone(),
            rng: Box::new(rand_core::UnwrapErr(getrandom::SysRng)),
            store: SqliteStore::open(self.folder.join(id.replace('/', "-")))?,
            invitation: None,
            certificates: CertificateFiles::default(),
            keys: Default::default(),
            evidence_place: String::new(),
        })?;
        Ok(Device { engine, group: None, heard: Vec::new() })
    }

    /// Tells a device what there is to look at, lets it make its calls, and takes its outputs.
    fn turn(&mut self, device: &mut Device) -> Result {
        let id = device.engine.device().clone();
        for event in self.service.watch(&id) {
            device.engine.heard(self.now, StreamEvent::Event(event));
        }
        while let Some((call, request)) = device.engine.next(self.now)? {
            let reply = self.service.answer(self.now, &id, request);
            device.engine.reply(self.now, call, reply)?;
        }

        let outputs = device.engine.outputs(self.now);
        device.engine.acknowledge(&outputs)?;
        for output in outputs {
            let Output::News { group, news, .. } = output else { continue };
            match news {
                News::Invited { .. } => {
                    let group = group.ok_or("an invitation to no group")?;
                    device.engine.command(self.now, Command::Accept(group))?;
                }
                News::Created { .. } | News::Joined { .. } => device.group = group,
                News::Message { sender, content, .. } => {
                    let text = content.text().unwrap_or_default();
                    device.heard.push(format!("{}: {text}", sender.user));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Lets time pass, an hour at most, until something holds for all devices and they are caught up.
    fn until(&mut self, devices: &mut [&mut Device], holds: impl Fn(&Device) -> bool) -> Result {
        let end = self.now + 60 * 60 * 1000;
        while !devices.iter().all(|device| holds(device) && device.engine.is_caught_up()) {
            if self.now > end {
                return Err("an hour has passed in vain".into());
            }
            self.now += 100;
            for device in devices.iter_mut() {
                self.turn(device)?;
            }
        }
        Ok(())
    }

    fn say(&self, device: &mut Device, text: &str) -> Result {
        let group = device.group.clone().ok_or("not in a group")?;
        Ok(device.engine.send(self.now, &group, vec![Content::from_text(text)])?)
    }
}

/// Makes a world, and lets three people meet, one of whom is away for a while.
fn run(folder: &Path) -> Result {
    let provider = Arc::new(RustCrypto::new().with_suites(SUITES));
    let now = 1_800_000_000_000;
    let service = OwnService::new(provider.clone(), now)?;
    let mut world = World { service, provider, folder: folder.into(), now };
    let mut alice = world.start("alice/phone")?;
    let mut bob = world.start("bob/laptop")?;
    let mut carol = world.start("carol/tablet")?;
    world.until(&mut [&mut alice, &mut bob, &mut carol], |_| true)?;

    let make = Command::New { name: "walks".into(), suite: None };
    let group = alice.engine.command(world.now, make)?.ok_or("no group is made")?;
    let who = |user: &str| -> Result<Who> { Ok(Who { user: user.parse()?, device: None }) };
    let who = vec![who("bob")?, who("carol")?];
    alice.engine.command(world.now, Command::Invite { group, who })?;
    let everybody = &mut [&mut alice, &mut bob, &mut carol];
    world.until(everybody, |device| device.group.is_some())?;
    world.say(&mut carol, "Saturday?")?;
    world.until(&mut [&mut alice, &mut bob, &mut carol], |device| !device.heard.is_empty())?;

    // Bob's process ends. When he is back, he reads what the others have said and decided meanwhile, and answers.
    drop(bob);
    world.say(&mut alice, "at nine")?;
    let room = conclave_engine::RoomChange::Name("long-walks".into());
    let group = alice.group.clone().ok_or("not in a group")?;
    alice.engine.command(world.now, Command::ChangeRoom { group, change: room })?;
    world.say(&mut carol, "fine")?;
    world.until(&mut [&mut alice, &mut carol], |device| device.heard.len() >= 3)?;
    let mut bob = world.start("bob/laptop")?;
    bob.group.clone_from(&alice.group);
    world.until(&mut [&mut bob], |bob| bob.heard.len() == 2)?;
    world.say(&mut bob, "I am in")?;
    world.until(&mut [&mut alice, &mut bob, &mut carol], |device| {
        device.heard.last().is_some_and(|last| last == "bob: I am in")
    })?;

    assert_eq!(bob.heard, ["alice: at nine", "carol: fine", "bob: I am in"]);
    assert!(alice.heard == carol.heard && alice.heard.ends_with(&bob.heard));
    let names: Vec<String> = [alice, bob, carol]
        .iter()
        .map(|device| device.engine.groups().into_iter().map(|group| group.name).collect())
        .collect();
    assert_eq!(names, ["long-walks"; 3]);

    // The engine reports what the service does not offer: here, a second device of Bob's.
    let mut phone = world.start("bob/phone")?;
    let refused = world.turn(&mut phone).err().map(|error| error.to_string());
    assert!(refused.is_some_and(|why| why.contains("this service has no PutRelay")));
    Ok(())
}

fn main() -> Result {
    run(tempfile::tempdir()?.path())
}
