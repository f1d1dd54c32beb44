//! What users ask for.

use super::{Event, Standing, World};
use crate::act::Act;
use crate::client::Ask;
use conclave_delivery_api::{DeviceId, Name};
use conclave_engine::{GroupId, Who};

/// How many groups are made by commands, at most.
const MAX_GROUPS: u32 = 4;
/// How long it takes to read a code into another device, in milliseconds.
const UNTIL_ADMITTED: (u64, u64) = (2_000, 15_000);
/// How often a new device's code is read into another one before its user gives up.
const MAX_OFFERS: u32 = 30;
/// How many texts are said in one go, at most.
const MAX_BURST: u64 = 12;

impl World {
    /// A device that runs and can be asked for something.
    fn somebody(&mut self) -> Option<usize> {
        let running = |i: &usize| self.devices[*i].is_running() && self.devices[*i].ready;
        let all: Vec<usize> = (0..self.devices.len()).filter(running).collect();
        self.chance.pick(&all)
    }

    /// The groups to which a device stands in this way.
    pub(super) fn groups_of(&self, i: usize, standing: Standing) -> Vec<GroupId> {
        let here =
            |(group, known): (&GroupId, &Standing)| (*known == standing).then(|| group.clone());
        self.devices[i].groups.iter().filter_map(here).collect()
    }

    pub(super) fn users(&self) -> Vec<Name> {
        let mut users: Vec<Name> =
            self.devices.iter().map(|device| device.id.user.clone()).collect();
        users.sort();
        users.dedup();
        users
    }

    fn some_users(&mut self, most: usize) -> Vec<Name> {
        let mut users = self.users();
        let count = 1 + self.chance.index(most);
        while users.len() > count {
            let index = self.chance.index(users.len());
            users.swap_remove(index);
        }
        users
    }

    /// Groups to begin with: a world in which nobody shares one is dull.
    pub(super) fn first_groups(&mut self) {
        for _ in 0..1 + self.chance.index(2) {
            let Some(i) = self.somebody() else { return };
            let users = self.users().len();
            let users = self.some_users(users);
            if let Some(group) = self.make_group(i) {
                self.ask(i, Ask::Invite { group, users });
            }
        }
    }

    fn make_group(&mut self, i: usize) -> Option<GroupId> {
        self.made += 1;
        let name = format!("g{}", self.made);
        self.ask_for(i, Ask::Make { name })
    }

    pub(super) fn texts(&mut self, count: u64) -> Vec<String> {
        let text = |n: u32| format!("t{n}");
        let from = self.texts + 1;
        self.texts += count as u32;
        (from..=self.texts).map(text).collect()
    }

    /// Somebody asks for something.
    pub(super) fn command(&mut self) {
        let Some(i) = self.somebody() else { return };
        let groups = self.groups_of(i, Standing::Member);
        let Some(group) = self.chance.pick(&groups) else {
            self.come_in(i);
            return;
        };

        let departures = self.knobs.departures;
        match self.chance.below(100) {
            0..=1 if self.made < MAX_GROUPS => {
                self.make_group(i);
            }
            2..=16 => {
                let users = self.some_users(3);
                self.ask(i, Ask::Invite { group, users });
            }
            17..=21 if departures => self.remove_somebody(i, group),
            22..=25 if departures => self.ask(i, Ask::Leave { group }),
            26..=29 if self.knobs.join_links => {
                let uses = 1 + self.chance.below(5) as u32;
                self.ask(i, Ask::MakeLink { group, uses });
            }
            30..=32 if self.knobs.join_links => self.come_in(i),
            33..=35 if self.knobs.new_devices => self.new_device(i),
            36 if self.knobs.new_devices && departures => self.revoke_somebody(i),
            37..=46 => {
                let count = 2 + self.chance.below(MAX_BURST - 1);
                let texts = self.texts(count);
                self.ask(i, Ask::Say { group, texts });
            }
            _ => {
                let texts = self.texts(1);
                self.ask(i, Ask::Say { group, texts });
            }
        }
    }

    /// A device comes into a group by a link, if there is one, or makes a group.
    fn come_in(&mut self, i: usize) {
        match self.chance.pick(&self.links) {
            Some(link) => self.ask(i, Ask::Join { link }),
            None if self.made < MAX_GROUPS => {
                let Some(group) = self.make_group(i) else { return };
                let users = self.some_users(3);
                self.ask(i, Ask::Invite { group, users });
            }
            None => {}
        }
    }

    fn remove_somebody(&mut self, i: usize, group: GroupId) {
        let me = self.devices[i].id.clone();
        let others: Vec<DeviceId> =
            self.devices.iter().map(|d| d.id.clone()).filter(|id| id.user != me.user).collect();
        let Some(other) = self.chance.pick(&others) else { return };
        let device = self.chance.coin().then(|| other.device.clone());
        self.ask(i, Ask::Remove { group, who: Who { user: other.user, device } });
    }

    /// A user gets another device.
    fn new_device(&mut self, i: usize) {
        let user = self.devices[i].id.user.clone();
        let count = self.devices.iter().filter(|device| device.id.user == user).count();
        let id = format!("{user}/d{}", count + 1).parse().expect("a device's name");
        let new = self.add_device(id);
        self.start(new);
    }

    fn revoke_somebody(&mut self, i: usize) {
        let me = self.devices[i].id.clone();
        let own = self.devices.iter().map(|device| device.id.clone());
        let own: Vec<DeviceId> = own.filter(|id| id.user == me.user && *id != me).collect();
        if let Some(other) = self.chance.pick(&own) {
            self.ask(i, Ask::Revoke { device: other.device });
        }
    }

    /// A new device shows a code, which its user reads into another one in a while.
    pub(super) fn admit_later(&mut self, i: usize) {
        let at = self.now + self.chance.between(UNTIL_ADMITTED);
        self.at(at, Event::Act(Act::Admit(i)));
    }

    /// A user reads a new device's code into another one, if one is at hand.
    pub(super) fn admit(&mut self, i: usize) {
        let device = &self.devices[i];
        let Some(code) = device.code.clone().filter(|_| device.is_running() && !device.ready)
        else {
            return;
        };
        let user = device.id.user.clone();
        let ready = |other: &usize| {
            let device = &self.devices[*other];
            *other != i && device.id.user == user && device.ready && device.is_running()
        };
        let others: Vec<usize> = (0..self.devices.len()).filter(ready).collect();
        self.devices[i].offers += 1;
        let given_up = self.devices[i].offers > MAX_OFFERS;
        match self.chance.pick(&others).filter(|_| !given_up) {
            Some(other) => {
                self.ask(other, Ask::Admit { code });
                self.admit_later(i);
            }
            None if given_up || self.calm => {
                self.kill(i);
                self.devices[i].gone = Some("it was never admitted".into());
            }
            None => self.admit_later(i),
        }
    }

    /// A user is asked whether to accept a group, and does so at once, later, or at the end.
    pub(super) fn invited(&mut self, i: usize, group: GroupId) {
        if self.calm || self.chance.coin() {
            self.accept(i, group);
        }
    }

    fn accept(&mut self, i: usize, group: GroupId) {
        self.ask(i, Ask::Accept { group: group.clone() });
        self.devices[i].groups.insert(group, Standing::Member);
    }

    /// All who are asked accept.
    pub(super) fn accept_all(&mut self) {
        for i in 0..self.devices.len() {
            for group in self.groups_of(i, Standing::Invited) {
                self.accept(i, group);
            }
        }
    }

    /// Each device says something in each of its groups, which shows that it can.
    pub(super) fn last_words(&mut self) {
        for i in 0..self.devices.len() {
            for group in self.groups_of(i, Standing::Member) {
                let texts = self.texts(1);
                self.ask(i, Ask::Say { group, texts });
            }
        }
    }

    /// What is not done, for a world that does not come to rest.
    pub(super) fn busy(&self) -> Vec<String> {
        let busy = |event: &Event| match event {
            Event::Wake { device, .. } => format!("{} wakes", self.devices[*device].id),
            Event::Answer { device, .. } => format!("{} waits", self.devices[*device].id),
            Event::Arrive(call) => format!("{} calls", self.devices[call.device].id),
            _ => "something else".into(),
        };
        self.queue.values().take(5).map(busy).collect()
    }
}
