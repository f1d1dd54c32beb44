//! Days in which little happens: what devices do of their own accord in a long time.

use super::{Event, Standing, World};
use crate::client::Ask;
use crate::knobs::DAY;
use conclave_engine::{GroupId, KeyPolicy};

/// On how many of a thousand days somebody says something, and on how many a device is restarted.
const TALKATIVE: u32 = 200;
const RESTARTED: u32 = 200;

impl World {
    /// Lets days pass, and looks at how often devices have replaced their keys in them.
    pub(super) fn pass_days(&mut self) {
        let begun = self.now;
        for _ in 0..self.knobs.days {
            self.now += DAY;
            let i = self.chance.index(self.devices.len());
            let groups = self.groups_of(i, Standing::Member);
            if let Some(group) = self.chance.pick(&groups)
                && self.chance.happens(TALKATIVE)
            {
                let texts = self.texts(1);
                self.ask(i, Ask::Say { group, texts });
            }
            if self.chance.happens(RESTARTED) {
                let i = self.chance.index(self.devices.len());
                self.kill(i);
                self.at(self.now, Event::Start { device: i });
            }
            self.settle("a day");
        }
        if self.knobs.days > 0 {
            self.check_renewals(begun);
        }
    }

    /// Checks that no key got older than it may, and that no device has replaced its keys more often than every three days
    /// on average. (A device does what is due once a day.)
    fn check_renewals(&mut self, begun: u64) {
        let longest = KeyPolicy::default().max_age.as_millis() as u64 + DAY;
        let most = 1 + u64::from(self.knobs.days) * DAY / (longest / 2 - DAY);
        for i in 0..self.devices.len() {
            for group in self.groups_of(i, Standing::Member) {
                if self.devices_in(&group) < 2 {
                    continue;
                }
                let of_device = |(of, by, at): &(GroupId, usize, u64)| {
                    (*of == group && *by == i && *at >= begun).then_some(*at)
                };
                let times: Vec<u64> = self.commits.iter().filter_map(of_device).collect();
                let all = [&[begun], times.as_slice(), &[self.now]].concat();
                let gap = all.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default();
                let count = times.len() as u64;
                if gap > longest || count > most {
                    let (id, days) = (self.devices[i].id.clone(), gap / DAY);
                    self.break_with(format!(
                        "{id} has renewed a key {count} times, once after {days} days"
                    ));
                }
                *self.counts.entry("keys renewed").or_default() += count;
            }
        }
    }

    fn devices_in(&self, group: &GroupId) -> usize {
        let is_in = |standing: &Standing| *standing == Standing::Member;
        self.devices.iter().filter(|d| d.groups.get(group).is_some_and(is_in)).count()
    }
}
