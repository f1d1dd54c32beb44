//! What the doctor finds.

use super::*;
use crate::findings::Problem;

impl World {
    /// What is found of a device, as `GROUP problem`.
    fn findings(&self, i: usize) -> Vec<(String, Problem)> {
        let found = self.devices[i].engine.doctor(self.now).into_iter();
        found
            .map(|finding| {
                assert!(!finding.what.is_empty() && !finding.remedy.is_empty(), "{finding:?}");
                (finding.group.unwrap_or_default(), finding.problem)
            })
            .collect()
    }

    fn finds(&self, i: usize, group: &str, problem: Problem) {
        let findings = self.findings(i);
        assert!(findings.contains(&(group.into(), problem)), "no {problem:?}: {findings:?}");
    }
}

#[test]
fn a_device_that_is_well_has_no_findings() {
    let mut world = World::new(7);
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    world.group("g", &[a, b]);
    world.say(a, "hello");
    world.settle();
    assert_eq!((world.findings(a), world.findings(b)), (vec![], vec![]));
}

#[test]
fn the_doctor_says_what_a_device_and_its_groups_wait_for() {
    let mut world = World::new(8);
    let a = world.add("a/pc");
    world.finds(a, "", Problem::NotRegistered);
    world.settle();
    let b = world.add("b/pc");
    world.group("g", &[a, b]);

    world.fault = Some(Box::new(|_| Some(unreachable())));
    world.say(a, "later");
    world.say(a, "/new h");
    for _ in 0..50 {
        world.step(a);
        world.now += 100;
    }
    world.finds(a, "g", Problem::Unsent);
    world.finds(a, "h", Problem::NotCreated);
    world.finds(a, "", Problem::Offline);
    world.fault = None;
    world.settle();
    assert_eq!(world.findings(a), vec![]);

    world.devices[a].engine.service_ahead = -90_000;
    world.finds(a, "", Problem::ClockOff);
    world.devices[a].engine.service_ahead = 0;
    let id = world.devices[a].current();
    world.devices[a].engine.stick(&id, Reason::LogReordered).unwrap();
    world.finds(a, "h", Problem::Stuck);

    // An invitation that nobody has answered, and a departure that nobody has committed.
    let c = world.add("c/pc");
    world.settle();
    world.say(b, "/switch g");
    world.say(b, "/invite c");
    world.settle();
    world.finds(c, "g", Problem::Unanswered);
    world.say(c, "/accept g");
    world.settle();
    world.say(c, "/leave");
    world.off(&[a, b]);
    for _ in 0..50 {
        world.step(c);
    }
    world.finds(c, "g", Problem::WaitingForDeparture);
}

#[test]
fn the_doctor_knows_a_copy() {
    let mut world = World::new(9);
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    world.group("g", &[a, b]);
    world.kill(a);
    world.lie_about_marks(a);
    world.settle();
    world.finds(a, "", Problem::CopiedState);
    world.finds(a, "", Problem::RenewalLimited);
    world.finds(a, "g", Problem::ComingBack);
    // It takes no service to see that.
    world.kill(a);
    world.finds(a, "", Problem::CopiedState);
}
