//! A group that cannot go on is begun anew.

use super::*;
use crate::record::Stage;
use conclave_delivery::service::Act;
use conclave_delivery_api::successor_id;

impl World {
    /// A group g of a, b and c, in which everybody has said something.
    fn with_history(seed: u64) -> (Self, [usize; 3]) {
        let mut world = Self::new(seed);
        let all = ["a/pc", "b/pc", "c/pc"].map(|id| world.add(id));
        world.group("g", &all);
        for i in all {
            world.say(i, &format!("before {i}"));
            world.settle();
        }
        (world, all)
    }

    /// The groups that a device is in.
    fn active(&self, i: usize) -> Vec<GroupId> {
        let records = self.devices[i].engine.book.records().iter();
        records.filter(|(_, r)| r.stage == Stage::Active).map(|(id, _)| id.clone()).collect()
    }

    fn all_go_on(&mut self, all: &[usize], old: &GroupId) {
        self.agree(all);
        for i in all {
            let active = self.active(*i);
            assert_eq!(active.len(), 1, "{:?}", self.devices[*i].lines());
            assert_ne!(active[0], *old);
            assert_eq!(self.devices[*i].current_name().as_deref(), Some("g"));
            self.say(*i, &format!("after {i}"));
            self.settle();
        }
        for i in all {
            let device = &self.devices[*i];
            for text in all.iter().flat_map(|i| [format!("before {i}"), format!("after {i}")]) {
                let found = device.messages().iter().filter(|message| message.3 == text).count();
                assert_eq!(found, 1, "{text}: {:?}", device.lines());
            }
            let history = device.engine.book.history(old, 10).unwrap();
            assert_eq!(history.len(), all.len(), "what was said stays");
            assert_eq!(device.count("failed"), 0, "{:?}", device.lines());
            assert!(device.count("invited ") <= 1, "nobody is asked again: {:?}", device.lines());
        }
    }
}

#[test]
fn a_group_that_somebody_cannot_follow_goes_on_with_all_its_members() {
    let (mut world, all) = World::with_history(1);
    let old = world.active(0)[0].clone();
    world.devices[1].engine.stick(&old, made_so()).unwrap();
    assert!(world.devices[1].engine.is_gone(&old));
    world.say(1, "/reset");
    // What is said meanwhile is not lost.
    world.settle();
    world.all_go_on(&all, &old);
    assert_eq!(world.devices[0].count("note g this group takes the place of g-old"), 1);
}

#[test]
fn what_was_to_be_sent_in_a_group_that_ended_is_sent_in_its_successor() {
    let (mut world, all) = World::with_history(2);
    world.say(0, "/reset");
    while world.step(0) {
        // The others have not heard of it.
        if world.devices[0].has_line("created g") && world.active(0).len() == 1 {
            let id = &world.active(0)[0];
            if world.devices[0].engine.book.record(id).is_some_and(|r| r.name == "g") {
                break;
            }
        }
    }
    world.say(2, "meanwhile");
    world.settle();
    for i in all {
        let count = world.devices[i].messages().iter().filter(|m| m.3 == "meanwhile").count();
        assert_eq!(count, 1, "{:?}", world.devices[i].lines());
    }
    world.agree(&all);
}

#[test]
fn of_two_who_begin_a_group_anew_one_does() {
    for seed in 3..9 {
        let (mut world, all) = World::with_history(seed);
        let old = world.active(0)[0].clone();
        world.say(0, "/reset");
        world.say(1, "/reset");
        world.settle();
        world.all_go_on(&all, &old);
    }
}

#[test]
fn a_successor_that_the_service_has_not_signed_for_is_none_yet() {
    let (mut world, all) = World::with_history(12);
    let old = world.active(0)[0].clone();
    world.lie = Some(Box::new(|reply| {
        if let Reply::ResetGroup(reset) = reply {
            reset.receipt = None;
        }
    }));
    world.say(0, "/reset");
    while !world.devices[0].has_line("offline ") {
        world.step(0);
    }
    let why = "a receipt that the service has not signed";
    assert!(world.devices[0].lines().iter().any(|line| line.contains(why)));
    world.lie = None;
    world.settle();
    world.all_go_on(&all, &old);
}

/// The service's administrator ends a group, and its members are told.
fn end(world: &mut World, group: &GroupId) {
    let act = Act::Reset(group.clone());
    let done = world.service.administer(act, world.time()).unwrap();
    world.tell(done.notices);
    world.settle();
}

#[test]
fn a_group_that_the_administrator_ends_goes_on_once_a_member_says_so() {
    let (mut world, all) = World::with_history(13);
    let old = world.active(0)[0].clone();
    let uri = world.devices[0].engine.room_uri(&old);
    end(&mut world, &old);
    for i in all {
        assert_eq!(world.active(i), [], "no device begins by itself");
        let known = world.devices[i].engine.room_uri(&old);
        assert!(known.is_some() && known == uri, "{known:?}: what is said meanwhile names it");
        assert_eq!(
            world.devices[i].count("note g the administrator of the service has ended g"),
            1
        );
    }
    world.say(2, "meanwhile");
    world.settle();
    world.kill(1);
    world.say(1, "/reset");
    world.settle();
    world.all_go_on(&all, &old);
    for i in all {
        let count = world.devices[i].messages().iter().filter(|m| m.3 == "meanwhile").count();
        assert_eq!(count, 1, "{:?}", world.devices[i].lines());
    }
}

#[test]
fn of_two_who_begin_anew_what_the_administrator_ended_one_does() {
    for seed in 14..18 {
        let (mut world, all) = World::with_history(seed);
        let old = world.active(0)[0].clone();
        end(&mut world, &old);
        world.say(0, "/reset");
        world.say(1, "/reset");
        world.settle();
        world.all_go_on(&all, &old);
    }
}

/// The service was set up anew, or set back to a time before the group.
#[test]
fn a_group_that_the_service_has_lost_is_begun_anew_all_the_same() {
    let (mut world, all) = World::with_history(10);
    let old = world.active(0)[0].clone();
    world.fault = Some(Box::new(|request| {
        let refused = CallError::refused(ErrorCode::UnknownGroup, "it was made so");
        matches!(request, Request::ResetGroup(_)).then_some(refused)
    }));
    world.say(0, "/reset");
    world.settle();
    world.all_go_on(&all, &old);
}

/// Whoever knows the group's identifier could invite its members past the question whether they trust them.
#[test]
fn a_stranger_makes_no_successor() {
    let (mut world, [a, ..]) = World::with_history(11);
    let m = world.add("m/pc");
    world.settle();
    let old = world.active(a)[0].clone();
    let id = successor_id(&*provider(), &old, [1; 16]).unwrap();
    let engine = &mut world.devices[m].engine;
    engine.create_group((id, "g".into()), CLASSIC, None, Vec::new()).unwrap();
    world.settle();
    world.say(m, "/invite a");
    world.settle();
    assert!(world.devices[a].lines().iter().any(|line| line.starts_with("invited ")));
    assert!(world.active(a).contains(&old), "the group is as it was");
    assert_eq!(world.devices[a].current_name().as_deref(), Some("g"));
    world.say(a, "still here");
    world.settle();
    assert!(!world.devices[m].messages().iter().any(|message| message.3 == "still here"));
}
