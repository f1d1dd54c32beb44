//! Clocks that are far off for a while: what they cost, and for how long.

use super::*;
use crate::suites::HYBRID;
use conclave_delivery_api::{ClaimKeyPackages, CountKeyPackages};

const HOUR: u64 = 60 * 60 * 1000;
const DAY: u64 = 24 * HOUR;

impl World {
    /// Lets a device do what it can by another clock than all others.
    pub(super) fn alone_at(&mut self, i: usize, now: u64) {
        let right = self.now;
        for _ in 0..100 {
            // The service has the right time.
            let device = &mut self.devices[i];
            if let Some(request) = device.engine.next_request(now).unwrap() {
                let reply = self.call(i, request);
                self.devices[i].engine.answer(now, reply).unwrap();
                continue;
            }
            if !device.take_outputs(now) {
                break;
            }
        }
        self.now = right;
    }

    /// How many key packages the service has of each suite, without the last resort.
    fn available(&mut self, i: usize) -> Vec<u32> {
        let reply = self.call(i, CountKeyPackages {}.into()).unwrap();
        let Reply::CountKeyPackages(counts) = reply else { panic!("{reply:?}") };
        counts.counts.iter().map(|count| count.available).collect()
    }
}

#[test]
fn a_clock_that_is_ahead_for_a_moment_costs_no_invitation() {
    for days in [30, 200, 365] {
        let mut world = World::new(4);
        let (a, b) = (world.add("a/pc"), world.add("b/pc"));
        world.settle();
        world.alone_at(b, world.now + days * DAY);
        // The clock is right again.
        world.now += HOUR;
        world.settle();
        for n in 0..14 {
            world.say(a, &format!("/new h{n}"));
            world.say(a, "/invite b");
            world.settle();
            world.now += 2 * HOUR;
            world.settle();
        }
        assert_eq!(world.devices[a].count("added h"), 14, "{days} days");
        assert_eq!(world.devices[b].count("joined h"), 14, "{days} days");
    }
}

#[test]
fn key_packages_that_nobody_can_use_any_more_are_forgotten() {
    let mut world = World::new(5);
    let b = world.add("b/pc");
    world.settle();
    let stored = |world: &World| {
        Store::scan(&world.devices[b].disk, "key-package", &[], usize::MAX).unwrap().len()
    };
    assert_eq!(stored(&world), 22);
    for days in [91, 92] {
        world.now += days * DAY;
        world.kill(b);
        world.settle();
    }
    assert!(stored(&world) <= 44, "{}", stored(&world));
}

#[test]
fn key_packages_that_were_refused_once_are_made_again() {
    let mut world = World::new(6);
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    world.settle();
    for cipher_suite in [HYBRID, CLASSIC] {
        for _ in 0..8 {
            let (user, devices) = ("b".parse().unwrap(), Vec::new());
            let claim = ClaimKeyPackages { user, cipher_suite, devices };
            world.call(a, claim.into()).unwrap();
        }
    }
    assert_eq!(world.available(b), [2, 2]);
    world.alone_at(b, world.now + 100 * DAY);
    assert!(world.devices[b].has_line("error the service does not take key packages"));
    assert_eq!(world.available(b), [2, 2]);
    // The clock is right again, and the next count comes.
    for _ in 0..2 {
        world.now += HOUR;
        world.settle();
    }
    assert_eq!(world.available(b), [10, 10]);
}
