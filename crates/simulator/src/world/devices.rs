//! Devices: processes that begin, are asked for something, wake up, and end.

use super::{Device, Event, Said, Standing, World};
use crate::act::Act;
use crate::chance::Chance;
use crate::client::{self, Ask, Told};
use crate::cost::Cost;
use crate::disk::Disk;
use crate::trace::Place;
use conclave_delivery_api::{DeviceId, ErrorCode};
use conclave_engine::{Engine, EngineError, GroupId, News};
use std::collections::{BTreeMap, BTreeSet};

/// How long a user takes to set a clock that is wrong, in milliseconds.
const UNTIL_CLOCK_IS_SET: (u64, u64) = (1_000, 60_000);

impl Device {
    /// What its clock shows.
    pub(super) fn local(&self, now: u64) -> u64 {
        now.saturating_add_signed(self.ahead)
    }

    pub(super) fn is_running(&self) -> bool {
        self.engine.is_some()
    }

    /// Whether it may run again.
    pub(super) fn is_left(&self) -> bool {
        self.gone.is_none()
    }
}

impl World {
    /// Adds a device, which begins when it is started.
    pub(super) fn add_device(&mut self, id: DeviceId) -> usize {
        let disk = Disk::new(self.provider.clone());
        self.add_device_with(id, disk)
    }

    pub(super) fn add_device_with(&mut self, id: DeviceId, disk: Disk) -> usize {
        self.devices.push(Device {
            id,
            disk,
            engine: None,
            life: 0,
            ahead: 0,
            session: None,
            cost: Cost::default(),
            calls: BTreeMap::new(),
            stream: None,
            listens: false,
            wake: None,
            cut_off: 0,
            ready: false,
            code: None,
            offers: 0,
            is_trusted: true,
            kept: None,
            gone: None,
            shown: BTreeMap::new(),
            stuck: BTreeSet::new(),
            came_back: BTreeMap::new(),
            groups: BTreeMap::new(),
        });
        self.devices.len() - 1
    }

    /// The first devices of all users, and then the others.
    pub(super) fn populate(&mut self) {
        let (users, devices) = (self.knobs.users, self.knobs.devices);
        for n in 0..devices {
            let (user, device) = (n % users, n / users);
            let id = format!("u{user}/d{device}").parse().expect("a device's name");
            let i = self.add_device(id);
            // Whoever comes later is admitted by an earlier one.
            let at = self.now + 10 * n as u64 + if device > 0 { 2_000 } else { 0 };
            self.at(at, Event::Start { device: i });
        }
    }

    /// Begins a device's process.
    pub(super) fn start(&mut self, i: usize) {
        let device = &mut self.devices[i];
        if device.engine.is_some() || device.gone.is_some() {
            return;
        }
        device.life += 1;
        let name = format!("{} {i} {}", device.id, device.life);
        let rng = Chance::of(self.seed, &name);
        let opened = client::open(&device.id, self.provider.clone(), rng, &device.disk);
        let died = device.disk.take_death();
        let again = self.used.take(&self.provider.hook, died);
        self.note(i, "start", &Place::default(), "");
        self.key_used_twice(i, again);
        match opened {
            Ok(engine) => {
                self.devices[i].engine = Some(engine);
                self.pump(i);
            }
            Err(error) => self.ended(i, error, died),
        }
    }

    /// Ends a device's process, whatever it does.
    pub(super) fn kill(&mut self, i: usize) {
        let device = &mut self.devices[i];
        device.disk.arm(None);
        (device.engine, device.session) = (None, None);
        device.calls.clear();
        (device.stream, device.wake) = (None, None);
        (device.listens, device.ready, device.code) = (false, false, None);
    }

    /// An engine has ended with an error.
    fn ended(&mut self, i: usize, error: EngineError, died: bool) {
        self.kill(i);
        if died {
            self.count("crashes");
            self.note(i, "crash", &Place::default(), &error.to_string());
            let at = self.now + self.chance.between((10, 5_000));
            self.at(at, Event::Start { device: i });
            return;
        }

        let text = error.to_string();
        self.note(i, "end", &Place::default(), &text);
        let code = match error {
            EngineError::NotRegistered { code, .. } => Some(code),
            _ => None,
        };
        if code == Some(ErrorCode::Clock) {
            self.mend_clock_later(i);
            return;
        }

        // A service that was set up anew takes whoever comes first for the user.
        let lost = code == Some(ErrorCode::AccountForked) && self.knobs.service.anew > 0;
        if code != Some(ErrorCode::Revoked) && !lost && self.devices[i].is_trusted {
            let id = self.devices[i].id.clone();
            self.break_with(format!("{id} ended: {text}"));
        }
        self.devices[i].gone = Some(text);
    }

    /// The user is told that the clock is wrong, and sets it after a while.
    fn mend_clock_later(&mut self, i: usize) {
        let at = self.now + self.chance.between(UNTIL_CLOCK_IS_SET);
        self.at(at, Event::Act(Act::MendClock(i)));
    }

    pub(super) fn note(&mut self, i: usize, what: &str, place: &Place, detail: &str) {
        if self.trace.is_kept() {
            let who = self.devices[i].id.to_string();
            self.trace.add(self.now, &who, what, place, detail);
        }
    }

    fn key_used_twice(&mut self, i: usize, again: usize) {
        // (A device whose state was copied or set back may seal with a key again before it knows. The service's log has
        // one of the two messages.)
        if again > 0 && self.devices[i].is_trusted {
            let id = self.devices[i].id.clone();
            self.break_with(format!("{id} seals something with a key that was used before"));
        }
    }

    /// Lets an engine do something, and sees whether it dies of it.
    pub(super) fn with<R>(
        &mut self,
        i: usize,
        step: impl FnOnce(&mut Engine<Disk>, u64) -> Result<R, EngineError>,
    ) -> Option<R> {
        let device = &mut self.devices[i];
        let now = device.local(self.now);
        let done = step(device.engine.as_mut()?, now);
        let died = device.disk.take_death();
        let again = self.used.take(&self.provider.hook, died);
        self.key_used_twice(i, again);
        match done {
            Ok(_) if died => {
                let id = self.devices[i].id.clone();
                self.break_with(format!("{id} goes on after a write that failed"));
                None
            }
            Ok(done) => Some(done),
            Err(error) => {
                self.ended(i, error, died);
                None
            }
        }
    }

    /// Asks a device for something.
    pub(super) fn ask(&mut self, i: usize, ask: Ask) {
        self.ask_for(i, ask);
    }

    /// The same; returns the group that is made.
    pub(super) fn ask_for(&mut self, i: usize, ask: Ask) -> Option<GroupId> {
        if !self.devices[i].is_running() {
            return None;
        }
        let (what, group, detail) = ask.told();
        self.note(i, what, &group.map(Place::group).unwrap_or_default(), &detail);
        self.count(what);

        let texts = match &ask {
            Ask::Say { group, texts } => Some((group.clone(), texts.clone())),
            _ => None,
        };
        let asked = self.with(i, |engine, now| client::ask(engine, now, ask)).unwrap_or_default();
        if let Some(why) = &asked.refused {
            self.note(i, "refused", &Place::default(), why);
        }

        if let Some((group, texts)) = texts
            && asked.taken == texts.len()
        {
            let said = texts.into_iter().map(|text| Said { device: i, group: group.clone(), text });
            self.said.extend(said);
        }
        self.pump(i);
        asked.made
    }

    pub(super) fn wake(&mut self, i: usize, life: u64) {
        let device = &mut self.devices[i];
        if device.life == life && device.wake.is_some_and(|at| at <= self.now) {
            device.wake = None;
            self.pump(i);
        }
    }

    /// Makes the calls of a device, takes what it says, and sees to it that it is woken.
    pub(super) fn pump(&mut self, i: usize) {
        while let Some(Some((call, request))) = self.with(i, |engine, now| engine.next(now)) {
            self.send(i, call, request);
        }
        while let Some(Some(_)) = self.with(i, |engine, _| engine.next_evidence()) {
            self.count("evidence");
        }
        self.take_outputs(i);

        let now = self.now;
        let device = &mut self.devices[i];
        let Some(at) = device.engine.as_ref().and_then(Engine::wake_at) else { return };
        let at = at.saturating_add_signed(-device.ahead).max(now + 1);
        if device.wake.is_none_or(|before| before > at || before <= now) {
            device.wake = Some(at);
            let life = device.life;
            self.at(at, Event::Wake { device: i, life });
        }
    }

    /// Takes what an engine says, as a host does: it keeps all of it, and acknowledges it then.
    fn take_outputs(&mut self, i: usize) {
        let outputs = self.with(i, |engine, now| Ok(engine.outputs(now)));
        let Some(outputs) = outputs.filter(|outputs| !outputs.is_empty()) else { return };
        let told: Vec<Told> = outputs.iter().cloned().map(client::told).collect();
        if !self.strikes(self.knobs.processes.forgotten) {
            self.with(i, |engine, _| engine.acknowledge(&outputs));
        }
        told.into_iter().for_each(|told| self.take_told(i, told));
    }

    fn take_told(&mut self, i: usize, told: Told) {
        match told {
            Told::Event(key, group, news) => self.take_event(i, key, group, news),
            Told::Ready => self.devices[i].ready = true,
            Told::Code(code) => {
                if self.devices[i].code.replace(code).is_none() {
                    self.admit_later(i);
                }
            }
            Told::Error(what) => {
                self.note(i, "error", &Place::default(), &what);
                if what.contains("(clock)") {
                    self.mend_clock_later(i);
                }
            }
            Told::Stuck(group, why) => {
                self.note(i, "stuck", &Place::group(&group), &why.to_string());
                self.check_shut_out(i, &group, &why);
                self.devices[i].stuck.insert(group);
            }
            Told::Other => {}
        }
    }

    /// An event is shown once: with the number that it had before, it is the same.
    fn take_event(&mut self, i: usize, key: u64, group: Option<GroupId>, news: News) {
        if let Some((_, before)) = self.devices[i].shown.get(&key) {
            if *before != news {
                let id = self.devices[i].id.clone();
                self.break_with(format!("{id} gives another event the number {key}: {news:?}"));
            }
            return;
        }

        if self.trace.is_kept() {
            let (what, seq, detail) = client::news_told(&news);
            let place = group.as_ref().map(Place::group).unwrap_or_default();
            self.note(i, what, &Place { seq, ..place }, &detail);
        }
        self.count("shown");

        let standing = match &news {
            News::Created { .. } | News::Joined { .. } | News::JoinedByLink { .. } => {
                Some(Standing::Member)
            }
            News::Invited { .. } => Some(Standing::Invited),
            News::Out { .. } => Some(Standing::Out),
            _ => None,
        };
        let device = &mut self.devices[i];
        device.shown.insert(key, (group.clone(), news.clone()));
        if let (Some(standing), Some(group)) = (standing, &group) {
            device.groups.insert(group.clone(), standing);
        }
        if let (News::Rejoined { seq, missed }, Some(group)) = (&news, &group) {
            device.stuck.remove(group);
            let after = seq.saturating_sub(*missed).saturating_sub(1);
            device.came_back.entry(group.clone()).or_default().push((after, *seq));
        }

        match (news, group) {
            (News::Invited { .. }, Some(group)) => self.invited(i, group),
            (News::LinkMade { text, .. }, _) => self.links.push(text),
            _ => {}
        }
    }
}
