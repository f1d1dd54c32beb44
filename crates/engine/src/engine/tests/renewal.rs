//! Fresh keys: when a device replaces its own in a group, and what that costs.

use super::*;
use crate::conversation::leaves::own_leaf;

const HOUR: u64 = 60 * 60 * 1000;
const DAY: u64 = 24 * HOUR;

impl World {
    /// A device's leaf in its current group.
    fn leaf(&self, i: usize) -> Vec<u8> {
        let device = &self.devices[i];
        own_leaf(device.engine.conversations[&device.current()].group()).unwrap().to_vec()
    }

    fn epoch_of(&self, i: usize) -> u64 {
        let device = &self.devices[i];
        device.engine.conversations[&device.current()].group().epoch().0
    }

    /// Lets hours pass, one after another.
    fn pass_hours(&mut self, hours: u64) {
        for _ in 0..hours {
            self.now += HOUR;
            self.settle();
        }
    }
}

#[test]
fn keys_are_renewed_though_nobody_says_anything() {
    let mut world = World::new(1);
    let all = ["a/pc", "b/pc", "c/pc"].map(|id| world.add_classic(id));
    world.group("g", &all);
    let before = all.map(|i| world.leaf(i));
    let epoch = world.epoch_of(all[0]);
    world.pass_hours(3 * 24);
    assert_eq!(world.epoch_of(all[0]), epoch, "before the second half of their life");
    let mut renewed = [false; 3];
    for _ in 0..4 * 24 + 1 {
        world.pass_hours(1);
        for n in 0..3 {
            renewed[n] |= world.leaf(all[n]) != before[n];
        }
    }
    assert_eq!(renewed, [true; 3]);
    // Two at most could have renewed theirs twice.
    assert!(world.epoch_of(all[0]) - epoch <= 6, "{}", world.epoch_of(all[0]) - epoch);
    world.agree(&all);
}

#[test]
fn a_restart_neither_forgets_nor_hurries_a_renewal() {
    let mut world = World::new(2);
    let all = ["a/pc", "b/pc"].map(|id| world.add_classic(id));
    world.group("g", &all);
    let (epoch, before) = (world.epoch_of(all[0]), all.map(|i| world.leaf(i)));
    for day in 0..8 {
        world.now += DAY;
        for i in all {
            world.kill(i);
        }
        world.settle();
        assert!(day > 2 || world.epoch_of(all[0]) == epoch, "on day {day}");
    }
    assert!((0..2).all(|n| world.leaf(all[n]) != before[n]));
    assert!(world.epoch_of(all[0]) - epoch <= 4, "{}", world.epoch_of(all[0]) - epoch);
}

#[test]
fn a_device_that_has_said_much_renews_its_key() {
    let mut world = World::new(3);
    let all = ["a/pc", "b/pc"].map(|id| world.add_classic(id));
    world.group("g", &all);
    world.devices[all[0]].engine.keys.max_messages = 10;
    let (epoch, before) = (world.epoch_of(all[0]), all.map(|i| world.leaf(i)));
    for n in 0..35 {
        world.say(all[0], &format!("m{n}"));
        world.settle();
        // What the group is called was a message, too.
        if n == 7 {
            assert_eq!(world.epoch_of(all[0]), epoch);
            // What was said is counted by the next process, too.
            world.kill(all[0]);
            world.devices[all[0]].engine.keys.max_messages = 10;
            world.settle();
        }
    }
    assert_eq!(world.epoch_of(all[0]), epoch + 3);
    assert_ne!(world.leaf(all[0]), before[0]);
    assert_eq!(world.leaf(all[1]), before[1], "who listens need not");
    assert_eq!(world.texts(all[1]).len(), 35);
}

#[test]
fn a_clock_that_jumps_costs_one_commit_a_group() {
    let mut world = World::new(4);
    let all = ["a/pc", "b/pc"].map(|id| world.add_classic(id));
    world.group("g", &all);
    let [a, b] = all;
    let epoch = world.epoch_of(a);
    for _ in 0..3 {
        world.alone_at(b, world.now + 365 * DAY);
        world.settle();
        world.alone_at(b, world.now - 365 * DAY);
        world.settle();
    }
    // Once by each clock that is far ahead of the one before.
    assert!(world.epoch_of(a) <= epoch + 6, "{}", world.epoch_of(a) - epoch);
    let (epoch, leaf) = (world.epoch_of(a), world.leaf(b));
    world.pass_hours(48);
    assert_eq!(world.epoch_of(a), epoch);
    world.pass_hours(6 * 24);
    assert_ne!(world.leaf(b), leaf, "the key is renewed in time again");
    world.agree(&all);
}

#[test]
fn a_renewal_that_the_service_refuses_holds_up_nothing() {
    let mut world = World::new(5);
    let all = ["a/pc", "b/pc"].map(|id| world.add_classic(id));
    world.group("g", &all);
    let [a, b] = all;
    let before = world.leaf(a);
    world.fault = Some(Box::new(|request| {
        let is_commit = matches!(request, Request::SubmitCommit(_));
        is_commit.then(|| CallError::refused(ErrorCode::Invalid, "it was made so"))
    }));
    world.now += 20 * DAY;
    world.say(a, "all the same");
    world.settle();
    assert_eq!(world.texts(b), ["all the same"]);
    assert!(world.devices[a].has_line("error a commit failed: "), "{:?}", world.devices[a].lines());
    assert_eq!(world.leaf(a), before);

    // It is tried again in the next epoch, or by the next process.
    world.fault = None;
    world.kill(a);
    world.settle();
    assert_ne!(world.leaf(a), before);
    world.agree(&all);
}

#[test]
fn a_device_that_is_alone_or_not_accepted_renews_nothing() {
    let mut world = World::new(6);
    let (a, b) = (world.add_classic("a/pc"), world.add_classic("b/pc"));
    world.settle();
    world.say(a, "/new g");
    world.settle();
    let leaf = world.leaf(a);
    world.pass_hours(10 * 24);
    assert_eq!(world.leaf(a), leaf);

    world.say(a, "/invite b");
    world.settle();
    let id = world.devices[a].current();
    let leaf = |world: &World| {
        own_leaf(world.devices[b].engine.conversations[&id].group()).unwrap().to_vec()
    };
    let before = leaf(&world);
    world.pass_hours(10 * 24);
    assert_eq!(leaf(&world), before);
    world.accept(b, "g");
    world.settle();
    assert_ne!(leaf(&world), before);
}
