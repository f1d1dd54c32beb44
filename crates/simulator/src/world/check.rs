//! What has to hold in the end. `docs/simulation.md` states it.

use super::{Device, Said, Standing, World};
use crate::client::{self, View};
use crate::knobs::{Hostile, Knobs, Processes};
use crate::trace::short;
use conclave_delivery_api::DeviceId;
use conclave_engine::{GroupId, News, Reason};
use std::collections::{BTreeMap, BTreeSet};

/// A message of a group: who said what.
type Messages = BTreeMap<(GroupId, u64), (DeviceId, String)>;

impl Device {
    /// Whether it has said in an event why something of a group is not as it should be.
    fn explains(&self, group: &GroupId) -> bool {
        let told = self.shown.values().any(|(of, news)| {
            let about = matches!(
                news,
                News::Waits { .. } | News::Alarm { .. } | News::RejoinLimited { .. }
            );
            about && of.as_ref() == Some(group)
        });
        told || self.stuck.contains(group)
    }

    /// Whether it has told its user why an invitation into a group did not bring it in.
    fn was_invited_in_vain(&self, group: &GroupId) -> bool {
        let group = short(group);
        self.shown.values().any(|(_, news)| {
            let News::Failed { reason } = news else { return false };
            match reason {
                Reason::KeyPackageGone { group: of, .. }
                | Reason::InvitationRefused { group: of, .. } => of.starts_with(&group),
                _ => false,
            }
        })
    }
}

impl World {
    /// Whether a group need not be as it should be on a device: its user was told why, or it was brought into another group
    /// by a member who is the only one to know that.
    fn explains(&self, i: usize, group: &GroupId) -> bool {
        self.devices[i].explains(group) || self.is_misled(i, group)
    }

    fn is_misled(&self, i: usize, group: &GroupId) -> bool {
        self.misled.contains(&(i, group.clone()))
    }

    /// The messages that a device has shown: group, number, sender and text, in the order in which they were shown.
    fn messages(&self, i: usize) -> impl Iterator<Item = (&GroupId, u64, &DeviceId, String)> {
        self.devices[i].shown.values().filter_map(|(group, news)| match news {
            News::Message { seq, sender, content, .. } => {
                let text = content.text().unwrap_or_default().to_string();
                Some((group.as_ref()?, *seq, sender, text))
            }
            _ => None,
        })
    }

    /// The numbers between which a device was in a group: from the commit that brought it in to the one that took it out.
    fn stays(&self, i: usize, of: &GroupId) -> Vec<(u64, u64)> {
        let mut stays: Vec<(u64, u64)> = Vec::new();
        let here = |(group, _): &&(Option<GroupId>, News)| group.as_ref() == Some(of);
        for (_, news) in self.devices[i].shown.values().filter(here) {
            let came = match news {
                News::Created { .. } => Some(0),
                News::Joined { seq, .. }
                | News::Invited { seq, .. }
                | News::JoinedByLink { seq, .. } => Some(*seq),
                _ => None,
            };
            // Whoever is asked first was told before that it is in.
            let is_new = |came: &u64| stays.last().is_none_or(|(from, _)| from < came);
            if let Some(came) = came.filter(is_new) {
                stays.push((came, u64::MAX));
            }
            if let (News::Out { seq, .. }, Some(last)) = (news, stays.last_mut()) {
                last.1 = *seq;
            }
        }
        stays
    }

    /// Whether a device could not read an entry of a group's log because it had to come back: the entry stands between the
    /// last one that it could follow and the commit by which it came back, or was sealed before that commit and came late.
    fn was_cut_off(&self, i: usize, group: &GroupId, seq: u64) -> bool {
        let is_of_before = |back: u64| {
            let epochs = self.log.epoch(group, seq).zip(self.log.epoch(group, back));
            epochs.is_none_or(|(sealed, back)| sealed <= back)
        };
        let mut times = self.devices[i].came_back.get(group).into_iter().flatten();
        times.any(|(after, back)| *after < seq && (seq < *back || is_of_before(*back)))
    }

    /// Whether the service loses what it had without a word, or lies.
    fn service_is_false(&self) -> bool {
        let Knobs { service, hostile, .. } = &self.knobs;
        service.rolled_back + service.anew + hostile.pages + hostile.logs > 0
    }

    /// Whether a device was removed from a group by a commit that the service may have dropped since. It keeps nothing of
    /// the group, so it cannot find that out.
    fn was_taken_out_elsewhere(&self, i: usize, group: &GroupId) -> bool {
        let Knobs { service, hostile, .. } = &self.knobs;
        let drops = service.rolled_back + service.anew + hostile.logs > 0;
        drops && self.devices[i].groups.get(group) == Some(&Standing::Out)
    }

    /// Whether a device was taken out of a group in a log that the service may have shown to some users alone. What it was
    /// shown there, and has said, is gone with that log, which it cannot find out.
    fn was_taken_out_of_another_log(&self, i: usize, group: &GroupId) -> bool {
        self.knobs.hostile.logs > 0 && self.was_taken_out_elsewhere(i, group)
    }

    /// Whether a device was the last in a group when it left, which nobody could commit, and the next thing in the
    /// group's log is that somebody came by a link.
    fn was_revived(&self, i: usize, group: &GroupId) -> bool {
        let left = |(of, news): &(Option<GroupId>, News)| match news {
            News::Out { seq, by, left: true } if of.as_ref() == Some(group) => {
                (*by == self.devices[i].id).then_some(*seq)
            }
            _ => None,
        };
        let Some(last) = self.devices[i].shown.values().filter_map(left).next_back() else {
            return false;
        };
        let joined = |(of, news): &(Option<GroupId>, News)| {
            let came = matches!(news, News::JoinedByLink { seq, .. } if *seq == last + 1);
            came && of.as_ref() == Some(group)
        };
        self.devices.iter().any(|device| device.shown.values().any(joined))
    }

    /// Checks that, where members' clients were modified, no commit that the service takes ends the group for another
    /// device. `why` is what such a device says.
    pub(super) fn check_shut_out(&mut self, i: usize, group: &GroupId, why: &Reason) {
        let is_shut_out = matches!(why, Reason::CommitRefused { .. });
        let Hostile { modified, lawless, .. } = self.knobs.hostile;
        let is_promised = modified > 0 && !lawless && self.devices[i].is_trusted;
        if is_shut_out && is_promised && !self.is_misled(i, group) {
            let (id, group) = (self.devices[i].id.clone(), short(group));
            self.break_with(format!("{id} is shut out of {group}: {why}"));
        }
    }

    /// Checks all invariants that hold at the end.
    pub(super) fn check(&mut self) {
        self.check_settled();
        let views = self.views();
        let (messages, mut broken) = self.check_order();
        broken.extend(self.check_agreement(&views));
        broken.extend(self.check_delivery(&messages));
        broken.extend(self.check_said(&messages));
        broken.extend(self.check_standing(&views));
        broken.extend(self.check_rules(&views));
        broken.into_iter().for_each(|what| self.break_with(what));
    }

    /// Everybody has done all that there was to do.
    fn check_settled(&mut self) {
        for i in 0..self.devices.len() {
            let device = &self.devices[i];
            let Some(engine) = &device.engine else {
                if device.is_left() {
                    let id = device.id.clone();
                    self.break_with(format!("{id} does not run"));
                }
                continue;
            };
            if !device.is_trusted {
                continue;
            }
            let excused = device.groups.keys().any(|group| self.explains(i, group));
            if !engine.is_settled() && !excused && device.ready {
                let (id, waiting) = (device.id.clone(), engine.waiting());
                self.break_with(format!("{id} is not settled, {waiting} waiting"));
            }
        }
    }

    /// What all devices that run see of their groups.
    fn views(&mut self) -> BTreeMap<usize, Vec<View>> {
        let mut all = BTreeMap::new();
        for i in 0..self.devices.len() {
            if !self.devices[i].is_trusted {
                continue;
            }
            if let Some(views) = self.with(i, |engine, _| client::views(engine)) {
                all.insert(i, views);
            }
        }
        all
    }

    /// All members of a group are in the same epoch and see the same members, and all whom they see are members.
    fn check_agreement(&self, views: &BTreeMap<usize, Vec<View>>) -> Vec<String> {
        let mut of_group: BTreeMap<&GroupId, Vec<(usize, &View)>> = BTreeMap::new();
        for (i, views) in views {
            for view in views {
                of_group.entry(&view.group).or_default().push((*i, view));
            }
        }

        let mut broken = Vec::new();
        for (group, seen) in of_group {
            let healthy =
                |(i, view): &&(usize, &View)| view.stuck.is_none() && !self.explains(*i, group);
            let healthy: Vec<&(usize, &View)> = seen.iter().filter(healthy).collect();
            let Some((first, expected)) = healthy.first() else { continue };
            for (i, view) in &healthy {
                if view.epoch != expected.epoch || view.members != expected.members {
                    let (one, other) = (&self.devices[*first].id, &self.devices[*i].id);
                    broken.push(format!(
                        "{one} and {other} see different groups {}: {:?} {:?} and {:?} {:?}",
                        short(group),
                        expected.epoch,
                        expected.members,
                        view.epoch,
                        view.members
                    ));
                }
            }

            let inside: BTreeSet<&DeviceId> =
                seen.iter().map(|(i, _)| &self.devices[*i].id).collect();
            for member in &expected.members {
                let device = self.devices.iter().position(|device| device.id == *member);
                let explained = device.is_some_and(|device| {
                    !self.devices[device].is_trusted
                        || self.explains(device, group)
                        || ((self.service_is_false() || self.knobs.hostile.modified > 0)
                            && self.devices[device].was_invited_in_vain(group))
                        || self.was_taken_out_elsewhere(device, group)
                        || self.was_revived(device, group)
                });
                if !inside.contains(member) && !explained {
                    broken.push(format!("{member} is a member of {} and not in it", short(group)));
                }
            }
        }
        broken
    }

    /// All messages of all groups. Each device shows those of a group in order, each once, and all show the same. A device
    /// that has explained why a group is not as it should be may show other messages there, if the service is false; and so may
    /// one that was taken out of another log.
    fn check_order(&self) -> (Messages, Vec<String>) {
        let mut messages = Messages::new();
        let mut broken = Vec::new();
        for (i, device) in self.devices.iter().enumerate().filter(|(_, d)| d.is_trusted) {
            let mut last: BTreeMap<&GroupId, u64> = BTreeMap::new();
            for (group, seq, sender, text) in self.messages(i) {
                let before = last.insert(group, seq).unwrap_or_default();
                if before >= seq {
                    let group = short(group);
                    broken.push(format!("{} shows {group} {seq} after {before}", device.id));
                }
                let is_told = self.service_is_false() && device.explains(group);
                let is_misled = self.is_misled(i, group);
                if is_told || is_misled || self.was_taken_out_of_another_log(i, group) {
                    continue;
                }
                let said = (sender.clone(), text);
                let place = (group.clone(), seq);
                let known = messages.entry(place).or_insert_with(|| said.clone());
                if *known != said {
                    let (id, group) = (&device.id, short(group));
                    broken.push(format!("{id} shows {said:?} as {group} {seq}, not {known:?}"));
                }
            }
        }
        (messages, broken)
    }

    /// Whoever was in a group when something was said there has shown it.
    fn check_delivery(&self, messages: &Messages) -> Vec<String> {
        let mut broken = Vec::new();
        let groups: BTreeSet<&GroupId> = messages.keys().map(|(group, _)| group).collect();

        for (i, device) in self.devices.iter().enumerate() {
            if !device.is_left() || !device.is_trusted {
                continue;
            }
            let shown: BTreeSet<(&GroupId, u64)> =
                self.messages(i).map(|(group, seq, ..)| (group, seq)).collect();

            for group in &groups {
                let stays = self.stays(i, group);
                let here = messages.iter().filter(|((of, _), _)| of == *group);
                for ((_, seq), said) in here {
                    let can_read = |(from, to): &(u64, u64)| {
                        // What was sealed before a device came in is not for it, whenever it arrives.
                        let before = self.log.epoch(group, *from).zip(self.log.epoch(group, *seq));
                        from < seq
                            && seq < to
                            && before.is_none_or(|(came, said)| said > came || *from == 0)
                    };
                    let inside = stays.iter().any(can_read);
                    let excused = self.explains(i, group) || self.was_cut_off(i, group, *seq);
                    if inside && !shown.contains(&(*group, *seq)) && !excused {
                        let (id, group) = (&device.id, short(group));
                        broken.push(format!("{id} has not shown {group} {seq}: {said:?}"));
                    }
                }
            }
        }
        broken
    }

    /// What an engine took to be sent is in the group's log once, or its user was told why not.
    fn check_said(&self, messages: &Messages) -> Vec<String> {
        let mut places: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for ((_, seq), (_, text)) in messages {
            places.entry(text).or_default().push(*seq);
        }

        let mut broken = Vec::new();
        for Said { device: i, group, text } in &self.said {
            let device = &self.devices[*i];
            let told = device.shown.values().any(|(_, news)| match news {
                News::Failed {
                    reason: Reason::NotSent { content } | Reason::ContentRefused { content, .. },
                } => content == text,
                _ => false,
            });

            let places = places.get(text.as_str()).map(Vec::as_slice).unwrap_or_default();
            let count = places.len();
            let excused = !device.is_left()
                || !device.is_trusted
                || self.explains(*i, group)
                || self.was_taken_out_of_another_log(*i, group);
            let lost = count == 0 && !told && !excused;
            // A device whose state is old, copied or used by a modified client may send a text twice.
            let Processes { old_states, copies, .. } = self.knobs.processes;
            let has_twins = old_states + copies + self.knobs.hostile.modified > 0;
            // A device that came back sends again what it could not read in the log: others may not have been able to, either.
            let known = places.iter().filter(|seq| !self.was_cut_off(*i, group, **seq)).count();
            let repeated = known > 1 && (device.is_trusted || !has_twins);
            if lost || repeated || (count == 1 && told) {
                let told = if told { ", as its user was told" } else { "" };
                let (id, group) = (&device.id, short(group));
                broken.push(format!("{id}'s {text} is in {group} {count} times{told}"));
            }
        }
        broken
    }

    /// No device that was in a group before a commit against its rules goes on in it, whether it has read that commit or not.
    fn check_rules(&self, views: &BTreeMap<usize, Vec<View>>) -> Vec<String> {
        let mut broken = Vec::new();
        for (i, views) in views {
            for view in views {
                let Some(breach) = self.breaches.get(&view.group) else { continue };
                let was_in = self
                    .stays(*i, &view.group)
                    .iter()
                    .any(|(from, to)| from < breach && breach < to);
                let epoch = self.log.epoch(&view.group, *breach);
                let goes_on = epoch.is_some_and(|epoch| view.epoch.0 > epoch);
                if was_in && goes_on {
                    let (id, group) = (&self.devices[*i].id, short(&view.group));
                    broken
                        .push(format!("{id} goes on in {group} after {breach}, against its rules"));
                }
            }
        }
        broken
    }

    /// No group is stuck without a word.
    fn check_standing(&self, views: &BTreeMap<usize, Vec<View>>) -> Vec<String> {
        let mut broken = Vec::new();
        for (i, views) in views {
            let device = &self.devices[*i];
            for view in views {
                if let Some(why) = view.stuck.as_ref().filter(|_| !self.explains(*i, &view.group)) {
                    broken.push(format!("{}: {} is stuck: {why}", device.id, short(&view.group)));
                }
            }
        }
        broken
    }
}
