//! What is done to a world: when its users ask for something, and when what goes wrong.

use super::{Event, World};
use crate::act::Act;
use crate::disk::Death;
use crate::knobs::{DAY, HOUR, MINUTE, YEAR};
use crate::server::Server;
use crate::trace::Place;

/// How long some devices cannot reach the service, in milliseconds.
const PARTITION: (u64, u64) = (1_000, 2 * MINUTE);
/// How long a device is away.
const ABSENCE: (u64, u64) = (HOUR, 3 * DAY);
/// At which of its next writes a process dies, at most.
const NEXT_WRITES: (u64, u64) = (1, 12);

impl World {
    /// Spreads commands and faults over time.
    pub(super) fn draw_acts(&mut self) {
        let knobs = &self.knobs;
        let acts = [
            (Act::Command, knobs.commands),
            (Act::Crash, knobs.processes.crashes),
            (Act::Partition, knobs.network.partitions),
            (Act::SetClock, knobs.processes.clocks_set),
            (Act::Absence, knobs.processes.absences),
            (Act::Restart, knobs.service.restarts),
            (Act::Anew, knobs.service.anew),
            (Act::CopyState, knobs.processes.copies),
            (Act::Misbehave, knobs.hostile.members),
            (Act::Betray, knobs.hostile.modified),
        ];
        let (set_back, rolled_back) = (knobs.service.set_back, knobs.service.rolled_back);
        let (old_states, logs) = (knobs.processes.old_states, knobs.hostile.logs);
        for (act, count) in acts {
            for _ in 0..count {
                let at = self.now + self.chance.below(self.knobs.span);
                self.at(at, Event::Act(act));
            }
        }

        (0..set_back).for_each(|_| self.draw_pair(Act::BackUp, Act::SetBack));
        (0..rolled_back).for_each(|_| self.draw_pair(Act::BackUp, Act::RollBack));
        (0..logs).for_each(|_| self.draw_pair(Act::Split, Act::Unite));
        for _ in 0..old_states {
            let i = self.chance.index(self.devices.len());
            self.draw_pair(Act::KeepState(i), Act::OldState(i));
        }

        let off = self.knobs.processes.clocks_off;
        for i in 0..self.devices.len() {
            if off > 0 {
                let ahead = self.chance.between((0, 2 * off)) as i64 - off as i64;
                self.set_clock(i, ahead);
            }
        }
        self.first_groups();
    }

    /// Draws times for two acts, the second after the first.
    fn draw_pair(&mut self, first: Act, second: Act) {
        let half = self.knobs.span / 2;
        let at = self.now + self.chance.below(half);
        let later = at + 1 + self.chance.below(half);
        self.at(at, Event::Act(first));
        self.at(later, Event::Act(second));
    }

    pub(super) fn act(&mut self, act: Act) {
        match act {
            Act::Admit(i) => self.admit(i),
            Act::MendClock(i) => self.mend_clock(i),
            // Too late: faults are over.
            _ if self.calm => {}
            Act::Command => self.command(),
            Act::Crash => self.crash(),
            Act::Partition => self.partition(),
            Act::SetClock => self.set_some_clock(),
            Act::Absence => self.absence(),
            Act::Restart => self.change_service("restart", |server, now| server.restart(now)),
            Act::BackUp => self.server.back_up(),
            Act::SetBack => self.change_service("set back", |s, now| s.put_back(now, true)),
            Act::RollBack => self.change_service("rolled back", |s, now| s.put_back(now, false)),
            Act::Anew => self.change_service("anew", |server, now| server.set_up_anew(now)),
            Act::KeepState(i) => self.keep_state(i),
            Act::OldState(i) => self.put_state_back(i),
            Act::CopyState => self.copy_state(),
            Act::Misbehave => self.misbehave(),
            Act::Betray => self.betray(),
            Act::Split => self.split(),
            Act::Unite => self.unite(),
        }
    }

    fn crash(&mut self) {
        let i = self.chance.index(self.devices.len());
        let at_write = self.chance.between(NEXT_WRITES) as u32;
        let written = self.chance.coin();
        self.devices[i].disk.arm(Some(Death { at_write, written }));
    }

    fn partition(&mut self) {
        let until = self.now + self.chance.between(PARTITION);
        for i in 0..self.devices.len() {
            if self.chance.coin() {
                self.note(i, "cut off", &Place::default(), "");
                self.devices[i].cut_off = until;
                self.break_stream(i);
            }
        }
    }

    fn set_some_clock(&mut self) {
        let i = self.chance.index(self.devices.len());
        let ahead = self.chance.between((0, 2 * YEAR)) as i64 - YEAR as i64;
        let ahead = if self.chance.coin() { 0 } else { ahead };
        self.set_clock(i, ahead);
    }

    fn mend_clock(&mut self, i: usize) {
        self.set_clock(i, 0);
        self.start(i);
    }

    fn set_clock(&mut self, i: usize, ahead: i64) {
        self.note(i, "clock", &Place::default(), &format!("{} s ahead", ahead / 1000));
        self.devices[i].ahead = ahead;
        // What it wanted to be woken at was by the other clock.
        self.devices[i].wake = None;
        self.pump(i);
    }

    fn absence(&mut self) {
        let i = self.chance.index(self.devices.len());
        if self.devices[i].is_running() {
            self.note(i, "away", &Place::default(), "");
            self.kill(i);
            let at = self.now + self.chance.between(ABSENCE);
            self.at(at, Event::Start { device: i });
        }
    }

    /// The service's process ends, and another begins, perhaps with another state.
    fn change_service(&mut self, what: &str, change: impl FnOnce(&mut Server, u64)) {
        let now = self.now;
        self.trace.add(now, "service", what, &Place::default(), "");
        change(&mut self.server, now);
        for i in 0..self.devices.len() {
            self.break_stream(i);
        }
    }

    fn keep_state(&mut self, i: usize) {
        let device = &mut self.devices[i];
        device.kept = Some((device.disk.copied(), device.shown.clone(), device.groups.clone()));
    }

    fn put_state_back(&mut self, i: usize) {
        let Some((disk, shown, groups)) = self.devices[i].kept.take() else { return };
        self.note(i, "old state", &Place::default(), "");
        self.kill(i);
        let device = &mut self.devices[i];
        device.disk.restore(&disk);
        (device.shown, device.groups, device.is_trusted) = (shown, groups, false);
        self.start(i);
    }

    fn copy_state(&mut self) {
        let i = self.chance.index(self.devices.len());
        let device = &mut self.devices[i];
        device.is_trusted = false;
        let (id, disk) = (device.id.clone(), device.disk.copied());
        let (shown, groups) = (device.shown.clone(), device.groups.clone());
        self.note(i, "copied", &Place::default(), "");
        let copy = self.add_device_with(id, disk);
        let device = &mut self.devices[copy];
        (device.shown, device.groups, device.is_trusted) = (shown, groups, false);
        self.start(copy);
    }

    /// From now on nothing goes wrong.
    pub(super) fn end_faults(&mut self) {
        self.calm = true;
        self.unite();
        for i in 0..self.devices.len() {
            let device = &mut self.devices[i];
            device.disk.arm(None);
            device.cut_off = 0;
            if device.is_left() && !device.is_running() {
                self.start(i);
            }
            self.pump(i);
        }
    }
}
