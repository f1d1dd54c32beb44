//! Devices that are not seen for long: who removes them, and who does not.

use super::*;
use crate::KeyPolicy;

const DAY: u64 = 24 * 60 * 60 * 1000;

impl World {
    /// Lets days pass, one after another. All who run begin anew each day, and read what there is.
    fn pass_days(&mut self, days: u64) {
        self.pass_days_with(days, KeyPolicy::default());
    }

    /// The same, with this key policy on all devices.
    fn pass_days_with(&mut self, days: u64, keys: KeyPolicy) {
        self.pass_days_by(days, |_| keys);
    }

    /// The same, with a key policy of its own on each device.
    fn pass_days_by(&mut self, days: u64, keys: impl Fn(usize) -> KeyPolicy) {
        for _ in 0..days {
            self.now += DAY;
            for i in 0..self.devices.len() {
                if !self.devices[i].revoked {
                    self.kill(i);
                }
                self.devices[i].engine.keys = keys(i);
            }
            self.settle();
        }
    }

    /// Whether a device has seen another one being removed by somebody.
    fn has_seen_removed(&self, i: usize, who: &str, by: &str) -> bool {
        let end = format!(" {who} by {by}");
        let is_it = |line: &String| line.starts_with("removed g ") && line.ends_with(&end);
        self.devices[i].lines().iter().any(is_it)
    }

    /// A group of a with one device, and of b and c with two each.
    fn of_five(seed: u64) -> (Self, [usize; 5]) {
        let mut world = Self::new(seed);
        let all = ["a/pc", "b/pc", "b/pad", "c/pc", "c/pad"].map(|id| world.add_classic(id));
        world.group("g", &[all[0], all[1], all[3]]);
        // A device on which nobody has accepted the group shows nothing of itself.
        all.iter().for_each(|i| world.accept(*i, "g"));
        world.settle();
        world.agree(&all);
        (world, all)
    }
}

#[test]
fn a_device_that_is_away_for_long_is_removed_by_its_users_other_one() {
    let (mut world, [a, b, pad, c, d]) = World::of_five(1);
    world.off(&[pad]);
    world.pass_days(88);
    assert_eq!(world.devices[a].count("removed g "), 0, "{:?}", world.devices[a].lines());
    world.pass_days(5);
    assert!(world.has_seen_removed(a, "b/pad", "b/pc"), "{:?}", world.devices[a].lines());
    // Whoever only reads is seen when it renews its keys.
    assert_eq!(world.devices[c].count("removed g "), 1, "{:?}", world.devices[c].lines());
    let told = "note g b/pad was not seen here for 9";
    assert_eq!(world.devices[b].count(told), 1, "{:?}", world.devices[b].lines());

    world.on(&[pad]);
    world.settle();
    let lines = world.devices[pad].lines();
    assert!(world.devices[pad].has_line("out g "), "{lines:?}");
    assert!(world.devices[pad].has_line("note g this device had been away for "), "{lines:?}");
    // Its user's other one brings it back, unasked.
    world.pass_days(1);
    assert_eq!(world.devices[pad].count("joined g "), 2, "{:?}", world.devices[pad].lines());
    let again = |line: &String| line.starts_with("added g ") && line.contains(" b/pad by b/pc ");
    assert!(world.devices[a].lines().iter().any(again), "{:?}", world.devices[a].lines());
    world.agree(&[a, b, pad, c, d]);
}

#[test]
fn a_silent_device_comes_back_when_it_runs_again_and_not_before() {
    let (mut world, [a, b, pad, c, d]) = World::of_five(8);
    let absence = Some(Duration::from_secs(30 * 24 * 60 * 60));
    let keys = KeyPolicy { max_absence: absence, ..KeyPolicy::default() };
    let added = world.devices[a].count("added g ");
    let errors = world.devices[b].count("error");
    world.off(&[pad]);
    // The service has key packages of it that are valid for 90 days.
    world.pass_days_with(40, keys);
    assert!(world.has_seen_removed(a, "b/pad", "b/pc"), "{:?}", world.devices[a].lines());
    assert_eq!(world.devices[a].count("added g "), added, "{:?}", world.devices[a].lines());
    // No failed look for it is reported.
    assert_eq!(world.devices[b].count("error"), errors, "{:?}", world.devices[b].lines());

    world.on(&[pad]);
    world.settle();
    world.pass_days_with(1, keys);
    assert_eq!(world.devices[pad].count("joined g "), 2, "{:?}", world.devices[pad].lines());
    world.say(pad, "I am back");
    world.settle();
    assert!(world.texts(c).contains(&"I am back".to_string()));

    // It stays, and nobody adds it once more.
    world.pass_days_with(40, keys);
    assert_eq!(world.devices[a].count("removed g "), 1, "{:?}", world.devices[a].lines());
    assert_eq!(world.devices[a].count("added g "), added + 1, "{:?}", world.devices[a].lines());
    world.agree(&[a, b, pad, c, d]);
}

#[test]
fn a_device_that_removes_nobody_brings_back_devices_that_others_removed() {
    let (mut world, [a, b, pad, c, d]) = World::of_five(10);
    let keys = |i: usize| match i == b {
        true => KeyPolicy { max_absence: None, ..KeyPolicy::default() },
        false => KeyPolicy::default(),
    };
    world.off(&[pad]);
    world.pass_days_by(95, keys);
    assert!(world.has_seen_removed(b, "b/pad", "a/pc"), "{:?}", world.devices[b].lines());
    world.on(&[pad]);
    world.settle();
    world.pass_days_by(1, keys);
    assert_eq!(world.devices[pad].count("joined g "), 2, "{:?}", world.devices[pad].lines());
    world.agree(&[a, b, pad, c, d]);
}

#[test]
fn a_silent_device_that_was_revoked_meanwhile_does_not_come_back() {
    let (mut world, [_, b, pad, ..]) = World::of_five(9);
    world.off(&[pad]);
    world.pass_days(93);
    assert_eq!(world.devices[b].count("removed g "), 1, "{:?}", world.devices[b].lines());
    let group = world.devices[b].engine.groups()[0].id.clone();
    assert_eq!(world.devices[b].engine.book.awaited(&group).len(), 1);
    world.say(b, "/revoke pad");
    world.settle();
    world.pass_days(1);
    assert!(world.devices[b].engine.book.awaited(&group).is_empty());
}

#[test]
fn a_users_only_device_stays_however_long_it_is_away() {
    let (mut world, [_, b, _, c, d]) = World::of_five(2);
    world.off(&[c, d]);
    world.pass_days(98);
    // Its owner removes one of the two, and the other is the only one from then on. One day is left to its user's own.
    assert_eq!(world.devices[b].count("removed g "), 1, "{:?}", world.devices[b].lines());
    assert!(
        world.has_seen_removed(b, "c/pc", "a/pc") || world.has_seen_removed(b, "c/pad", "a/pc")
    );
    world.pass_days(40);
    assert_eq!(world.devices[b].count("removed g "), 1);
}

#[test]
fn members_without_the_right_remove_nobody() {
    let (mut world, [a, b, _, c, d]) = World::of_five(3);
    world.off(&[a, c, d]);
    world.pass_days(100);
    // The owner is away, too, and members remove nobody.
    assert_eq!(world.devices[b].count("removed g "), 0, "{:?}", world.devices[b].lines());
    world.on(&[a]);
    world.settle();
    // It has not looked for as long, and has only read now what it missed.
    world.pass_days(2);
    assert_eq!(world.devices[b].count("removed g "), 1, "{:?}", world.devices[b].lines());
    assert_eq!(world.devices[a].count("error"), 0, "{:?}", world.devices[a].lines());
}

#[test]
fn a_device_that_was_out_for_long_removes_nobody_when_it_is_back() {
    let (mut world, [a, b, pad, c, _]) = World::of_five(6);
    world.say(a, "/remove b/pad");
    world.settle();
    assert!(world.has_seen_removed(c, "b/pad", "a/pc"), "{:?}", world.devices[c].lines());
    world.pass_days(100);
    // Somebody has removed it on purpose, so nobody brings it back unasked.
    assert_eq!(world.devices[pad].count("joined g "), 1, "{:?}", world.devices[pad].lines());
    world.say(b, "/invite b/pad");
    world.settle();
    assert_eq!(world.devices[pad].count("joined g "), 2, "{:?}", world.devices[pad].lines());

    // What others said in the meantime was not for it.
    world.pass_days(8);
    assert_eq!(world.devices[c].count("removed g "), 1, "{:?}", world.devices[c].lines());
}

#[test]
fn no_clock_alone_gets_anybody_removed() {
    let (mut world, [a, b, _, c, _]) = World::of_five(4);
    for ahead in [365 * DAY, 0, 3_650 * DAY] {
        world.say(b, "hello");
        world.settle();
        world.alone_at(a, world.now + ahead);
        world.alone_at(c, world.now + ahead);
        world.now += DAY;
        world.settle();
    }
    assert_eq!(world.devices[b].count("removed g "), 0, "{:?}", world.devices[b].lines());
    world.pass_days(3);
    assert_eq!(world.devices[b].count("removed g "), 0, "{:?}", world.devices[b].lines());
}

#[test]
fn a_clock_that_was_ahead_when_a_device_came_in_hinders_no_removal() {
    let mut world = World::new(7);
    let [a, b, pad] = ["a/pc", "b/pc", "b/pad"].map(|id| world.add_classic(id));
    world.settle();
    world.say(a, "/new g");
    world.say(a, "/invite b");
    for _ in 0..1_000 {
        world.step(a);
        world.now += 10;
    }
    assert!(world.devices[a].has_line("added g 1 b/pc"), "{:?}", world.devices[a].lines());
    world.alone_at(b, world.now + 30 * DAY);
    world.settle();
    [b, pad].into_iter().for_each(|i| world.accept(i, "g"));
    world.settle();
    world.say(pad, "hello");
    world.settle();

    world.off(&[pad]);
    world.pass_days(93);
    assert!(world.has_seen_removed(a, "b/pad", "b/pc"), "{:?}", world.devices[a].lines());
}

#[test]
fn nobody_is_removed_where_that_is_switched_off() {
    let (mut world, [_, b, pad, ..]) = World::of_five(5);
    world.off(&[pad]);
    for _ in 0..100 {
        world.now += DAY;
        for i in 0..world.devices.len() {
            world.devices[i].engine.keys.max_absence = None;
        }
        world.settle();
    }
    assert_eq!(world.devices[b].count("removed g "), 0, "{:?}", world.devices[b].lines());
}
