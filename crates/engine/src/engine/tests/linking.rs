//! Devices that come into an account and go out of it: whatever the service makes of their words, and whoever is away.

use super::*;
use conclave_delivery_api::RelayContent;

const MINUTE: u64 = 60_000;

impl World {
    /// A new device of a known user that shows a code; its number, and the code.
    fn waiting(&mut self, id: &str) -> (usize, String) {
        let new = self.switch_on(id, None, Disk::default());
        while !self.devices[new].has_line("link ") {
            if !self.step(new) {
                self.now += 1_000;
            }
        }
        (new, self.code(new))
    }

    /// The service hands out other contents of the relay, where `instead` names one for the true one.
    fn relay_lies(&mut self, instead: impl Fn(&[u8]) -> Option<Vec<u8>> + 'static) {
        self.lie = Some(Box::new(move |reply| {
            if let Reply::FetchRelay(RelayContent { content: Some(content) }) = reply
                && let Some(other) = instead(content)
            {
                *content = other.as_slice().into();
            }
        }));
    }

    /// The code that a device has shown last.
    fn code(&self, i: usize) -> String {
        let lines = self.devices[i].lines();
        let shown = lines.iter().rev().find_map(|line| line.strip_prefix("link ")).unwrap();
        shown.split(' ').nth(1).unwrap().to_string()
    }

    /// Lets devices work for a while.
    fn for_a_while(&mut self, milliseconds: u64) {
        let end = self.now + milliseconds;
        while self.now < end {
            while (0..self.devices.len()).any(|i| self.step(i)) {}
            self.now += 500;
        }
    }

    /// The same without one device, which is switched on again then.
    fn without(&mut self, absent: usize, act: impl FnOnce(&mut Self)) {
        assert_eq!(absent, self.devices.len() - 1, "the others keep their numbers");
        let device = self.devices.remove(absent);
        act(self);
        self.settle();
        self.devices.push(device);
        self.kill(absent);
    }

    fn log_length(&self, i: usize) -> u64 {
        self.devices[i].engine.own_account().map_or(0, |account| account.head().length)
    }
}

#[test]
fn a_code_that_has_expired_admits_nobody() {
    let mut world = World::new(70);
    let main = world.add("a/pc");
    world.settle();
    let (phone, old) = world.waiting("a/phone");
    world.now += 11 * MINUTE;
    world.say(main, &format!("/link {old}"));
    world.for_a_while(5_000);
    assert!(world.devices[main].has_line("error no device waits with this code"));
    assert_eq!(world.devices[main].engine.failures(), 1);
    assert_eq!(world.log_length(main), 1);

    // The phone says so, and shows another one.
    assert!(world.devices[phone].has_line("note - nobody has used the code"));
    let new = world.code(phone);
    assert_ne!(new, old);
    world.say(main, &format!("/link {new}"));
    world.settle();
    assert!(world.devices[phone].has_line("ready a/phone"));
}

#[test]
fn a_relay_that_changes_the_offer_admits_nobody() {
    let mut world = World::new(71);
    let main = world.add("a/pc");
    world.settle();
    let (_, first) = world.waiting("a/first");
    let (_, second) = world.waiting("a/second");
    let slot = |code: &str| {
        let code: conclave_account::LinkCode = code.parse().unwrap();
        let slot = code.slot(&*provider(), conclave_account::Parcel::Offer).unwrap();
        conclave_delivery_api::FetchRelay { slot: slot.into() }.into()
    };
    let Reply::FetchRelay(seconds) = world.call(main, slot(&second)).unwrap() else { panic!() };
    let contents = [seconds.content.unwrap().to_vec(), vec![7; 300], Vec::new()];
    for content in contents {
        world.relay_lies(move |_| Some(content.clone()));
        world.say(main, &format!("/link {first}"));
        world.for_a_while(2_000);
    }
    let told = "error nothing is admitted: what lies at the service is not what the code speaks of";
    assert_eq!(world.devices[main].count(told), 3, "{:?}", world.devices[main].lines());
    assert_eq!(world.log_length(main), 1);
}

#[test]
fn a_relay_that_changes_the_log_makes_no_device() {
    let mut world = World::new(72);
    let main = world.add("a/pc");
    world.group("g", &[main]);
    let (phone, code) = world.waiting("a/phone");
    world.relay_lies(|true_one| (true_one.len() > 300).then(|| vec![7; true_one.len()]));
    world.say(main, &format!("/link {code}"));
    world.for_a_while(5_000);
    let lines = world.devices[phone].lines();
    assert!(world.devices[phone].has_line("error what came back cannot be read: "), "{lines:?}");
    assert!(!world.devices[phone].has_line("ready"), "{lines:?}");

    // The other code brings it in: it is in the log already.
    world.lie = None;
    let new = world.code(phone);
    assert_ne!(new, code);
    world.say(main, &format!("/link {new}"));
    world.settle();
    assert!(world.devices[main].has_line("note - a/phone ("), "it is said to be one already");
    world.agree(&[main, phone]);
    assert_eq!(world.log_length(main), 2);
}

#[test]
fn a_relay_that_changes_the_last_word_is_named_and_costs_an_invitation() {
    let mut world = World::new(73);
    let main = world.add("a/pc");
    world.group("g", &[main]);
    let (phone, code) = world.waiting("a/phone");
    world.relay_lies(|true_one| (true_one.len() < 60).then(|| vec![7; true_one.len()]));
    world.say(main, &format!("/link {code}"));
    world.for_a_while(5_000);
    let told = "error the service has changed what a/phone left there";
    assert!(world.devices[main].has_line(told), "{:?}", world.devices[main].lines());
    assert!(!world.devices[phone].has_line("joined"));
    world.say(main, "/invite a");
    world.settle();
    world.agree(&[main, phone]);
}

#[test]
fn linking_and_revoking_outlive_lost_calls_and_answers() {
    for seed in 100..110 {
        let mut world = World::new(seed);
        let (main, bob) = (world.add("a/pc"), world.add("b/pc"));
        world.group("g", &[main, bob]);
        world.loss = 4;
        let (phone, code) = world.waiting("a/phone");
        world.say(main, &format!("/link {code}"));
        world.settle();
        world.loss = 0;
        world.settle();
        world.agree(&[main, bob, phone]);
        world.loss = 4;
        world.say(main, "/revoke phone");
        world.for_a_while(30_000);
        world.loss = 0;
        assert!(!world.devices[main].has_line("error"), "{seed} {:?}", world.devices[main].lines());
        assert_eq!(world.devices[main].engine.failures(), 0);
        assert_eq!(world.log_length(main), 3);
    }
}

/// The phone was told that it is in, and dies before it has said that it can be invited; or the other
/// device dies then.
#[test]
fn who_dies_between_the_log_and_the_groups_goes_on_from_there() {
    for (seed, dies) in [(74, 0), (75, 1)] {
        let mut world = World::new(seed);
        let main = world.add("a/pc");
        world.group("g", &[main]);
        let (phone, code) = world.waiting("a/phone");
        world.say(main, &format!("/link {code}"));
        while world.devices[phone].engine.tell_ready.is_none() {
            if !(world.step(main) || world.step(phone)) {
                world.now += 500;
            }
            assert!(!world.devices[phone].has_line("joined"));
        }
        world.kill(if dies == 0 { main } else { phone });
        world.settle();
        world.agree(&[main, phone]);
    }
}

/// Commit by commit, who was away follows the group: also where that added a device that was revoked since.
#[test]
fn a_device_that_was_revoked_since_cuts_nobody_off() {
    let mut world = World::new(76);
    let (main, phone, bob) = (world.add("a/pc"), world.add("a/phone"), world.add("b/pc"));
    let carol = world.add("c/pc");
    world.group("g", &[bob, carol]);
    world.without(carol, |world| {
        world.say(bob, "/invite a");
        world.settle();
        world.say(main, "/revoke phone");
    });
    world.settle();
    let lines = world.devices[carol].lines();
    assert!(!world.devices[carol].has_line("error"), "{lines:?}");
    assert!(world.devices[bob].has_line("removed g "));
    world.agree(&[main, bob, carol]);
    assert!(world.devices[phone].has_line("joined g"));
}

/// A revoked device's key is gone as soon as any member is there, even if none was when it was revoked.
#[test]
fn a_revoked_device_is_removed_by_who_comes_next() {
    let mut world = World::new(77);
    let (main, phone) = (world.add("a/pc"), world.add("a/phone"));
    let bob = world.add("b/pc");
    world.settle();
    world.say(bob, "/new g");
    world.say(bob, "/invite a/phone");
    world.settle();
    assert!(world.devices[phone].has_line("joined g"));
    world.without(bob, |world| world.say(main, "/revoke phone"));

    world.settle();
    assert!(world.devices[bob].has_line("removed g "), "{:?}", world.devices[bob].lines());
    world.agree(&[bob]);
}

#[test]
fn a_device_that_was_revoked_since_keeps_nobody_from_joining() {
    let mut world = World::new(81);
    let (main, phone, carol) = (world.add("a/pc"), world.add("a/phone"), world.add("c/pc"));
    let bob = world.add("b/pc");
    world.settle();
    world.say(bob, "/new g");
    world.say(bob, "/invite a/phone");
    world.settle();
    assert!(world.devices[phone].has_line("joined g"));
    world.without(bob, |world| world.say(main, "/revoke phone"));

    // Before the phone is out.
    world.say(bob, "/invite c");
    world.settle();
    assert!(world.devices[carol].has_line("joined g"), "{:?}", world.devices[carol].lines());
    world.agree(&[bob, carol]);
    assert_eq!(world.devices[bob].engine.failures(), 0);
}

/// All members see that a device was revoked, and one of them removes it.
#[test]
fn members_that_remove_a_revoked_device_at_once_are_told_of_no_failure() {
    for seed in 80..90 {
        let mut world = World::new(seed);
        let (main, phone) = (world.add("a/pc"), world.add("a/phone"));
        let members: Vec<usize> =
            ["b", "c", "d", "e"].map(|u| world.add(&format!("{u}/pc"))).into();
        world.group("g", &members);
        world.say(members[0], "/invite a/phone");
        // Members whose role does not allow removals leave them to others.
        for user in ["c", "d", "e"] {
            world.say(members[0], &format!("/role {user} moderator"));
        }
        world.settle();
        assert!(world.devices[phone].has_line("joined g"));
        world.say(main, "/revoke phone");
        let planned = |world: &World, i: &usize| !world.devices[*i].engine.removals.is_empty();
        while !members.iter().all(|i| planned(&world, i)) {
            assert!((0..world.devices.len()).fold(false, |busy, i| world.step(i) | busy));
        }
        // All of them at the same time.
        for i in &members {
            let engine = &mut world.devices[*i].engine;
            engine.removals.values_mut().for_each(|due| *due = 0);
            engine.due_removals().unwrap();
        }
        world.devices.remove(phone);
        world.settle();
        for device in &world.devices {
            assert!(!device.has_line("failed"), "{seed} {:?}", device.lines());
        }
    }
}

#[test]
fn the_own_account_is_not_given_up_for_what_the_service_says() {
    let mut world = World::new(78);
    let main = world.add("a/pc");
    world.settle();
    world.say(main, "/acknowledge a");
    world.settle();
    assert!(world.devices[main].has_line("error this is your own account"));
    assert_eq!(world.log_length(main), 1);
}

#[test]
fn a_warning_is_acknowledged_in_a_later_process_too() {
    let mut world = World::new(79);
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    world.group("g", &[a, b]);
    let disk = world.devices[a].disk.clone();
    let mut other = World::new(90);
    let (a, b) = (other.add_with("a/pc", None, disk), other.add("b/pc"));
    other.group("h", &[a, b]);
    let about_b = "alarm - what the service says of b contradicts";
    assert_eq!(other.devices[a].count(about_b), 1);
    other.kill(a);
    other.settle();
    assert_eq!(other.devices[a].count(about_b), 1, "it is told once");
    other.say(a, "/acknowledge b");
    other.say(a, "/invite b");
    other.settle();
    assert!(other.devices[b].has_line("joined h"), "{:?}", other.devices[a].lines());
}

impl World {
    fn epoch(&self, i: usize, name: &str) -> u64 {
        let engine = &self.devices[i].engine;
        let id = engine.book.records().keys().find(|id| engine.group_name(id) == name).unwrap();
        engine.conversations[id].group().epoch().0
    }
}

#[test]
fn a_new_group_has_all_devices_of_its_user_before_anything_is_said() {
    let mut world = World::new(91);
    let main = world.add("a/pc");
    world.settle();
    world.say(main, "/new alone");
    world.settle();
    assert_eq!(world.epoch(main, "alone"), 0, "there is nobody to bring in");
    let (phone, pad) = (world.add("a/phone"), world.add("a/pad"));
    world.say(main, "/new g");
    world.say(main, "soup?");
    world.settle();
    assert_eq!(world.epoch(main, "g"), 1, "one commit");
    for i in [phone, pad] {
        assert_eq!(world.devices[i].messages().last().unwrap().3, "soup?");
        assert!(!world.devices[i].has_line("invited g"), "it is not asked");
    }
    for i in [phone, pad] {
        world.say(i, "/switch g");
    }
    world.agree(&[main, phone, pad]);
}

#[test]
fn members_are_shown_by_user_with_since_when_and_by_which_device() {
    let mut world = World::new(95);
    let (bob, main) = (world.add("b/pc"), world.add("a/pc"));
    world.settle();
    world.now += 1_000_000;
    world.add("a/phone");
    world.settle();
    world.group("g", &[bob, main]);
    world.say(bob, "/members");
    world.settle();
    let lines = world.devices[bob].lines();
    let members: Vec<&String> = lines.iter().filter(|l| l.starts_with("member g ")).collect();
    let ends = [
        ("a/pc", " since 2023-11-14T22:13:20Z by -"),
        ("a/phone", " since 2023-11-14T22:30:00Z by pc"),
        ("b/pc", " since 2023-11-14T22:13:20Z by - (you)"),
    ];
    assert_eq!(members.len(), ends.len(), "{members:?}");
    for (line, (device, end)) in members.iter().zip(ends) {
        let begin = format!("member g {device} ");
        assert!(line.starts_with(&begin) && line.ends_with(end), "{line} {end}");
    }
}

#[test]
fn an_accepted_group_takes_in_the_users_other_devices() {
    let mut world = World::new(92);
    let (main, phone) = (world.add("a/pc"), world.add("a/phone"));
    let bob = world.add("b/pc");
    world.settle();
    world.say(bob, "/new g");
    world.say(bob, "/invite a/phone");
    world.settle();
    assert!(!world.devices[main].has_line("joined g"), "it is not accepted yet");
    world.say(phone, "/accept g");
    world.settle();
    assert!(world.devices[main].has_line("joined g"), "{:?}", world.devices[phone].lines());
    assert_eq!(world.epoch(bob, "g"), 2, "one commit each");

    // From now on bob is no stranger: it is not asked, and one of the two brings in the third.
    let pad = world.add("a/pad");
    world.say(bob, "/new h");
    world.say(bob, "/invite a/phone");
    world.settle();
    for i in [main, pad] {
        assert!(world.devices[i].has_line("joined h"), "{:?}", world.devices[i].lines());
    }
    assert_eq!(world.epoch(bob, "h"), 2);
    for device in &world.devices {
        assert!(!device.has_line("failed") && !device.has_line("error"), "{:?}", device.lines());
    }
}

#[test]
fn a_device_of_ones_own_that_cannot_be_brought_in_is_no_failure() {
    let mut world = World::new(93);
    let main = world.add("a/pc");
    world.refused_suite = Some(crate::suites::HYBRID);
    world.add("a/phone");
    world.settle();
    world.refused_suite = None;
    world.say(main, "/new g");
    world.say(main, "hello");
    world.settle();
    assert!(world.devices[main].has_line("note g a/phone is not invited"));
    assert!(!world.devices[main].has_line("failed"), "{:?}", world.devices[main].lines());
    assert_eq!(world.devices[main].engine.failures(), 0);
    assert_eq!(world.devices[main].messages().len(), 1);
}

#[test]
fn revocations_outlive_a_service_that_does_not_answer_and_the_process() {
    let mut world = World::new(94);
    let (main, phone, pad) = (world.add("a/pc"), world.add("a/phone"), world.add("a/pad"));
    world.settle();
    world.devices.truncate(pad);
    world.devices.truncate(phone);
    world.fault = Some(Box::new(|_| Some(unreachable())));
    world.say(main, "/new g");
    world.step(main);
    world.say(main, "/revoke phone");
    world.say(main, "/revoke pad");
    for _ in 0..20 {
        world.step(main);
    }
    assert!(world.devices[main].has_line("note - pad is revoked as soon as the service answers"));
    assert_eq!(world.devices[main].engine.waiting(), 3, "the group, two devices");
    assert!(!world.devices[main].engine.is_settled());

    world.kill(main);
    assert_eq!(world.devices[main].engine.waiting(), 0, "this process was asked for nothing");
    world.fault = None;
    world.settle();
    for device in ["phone", "pad"] {
        assert!(world.devices[main].has_line(&format!("note - a/{device} was revoked by a/pc")));
    }
    assert_eq!(world.devices[main].engine.failures(), 0, "{:?}", world.devices[main].lines());
    assert_eq!(world.log_length(main), 5);
    world.kill(main);
    world.settle();
    assert_eq!(world.log_length(main), 5, "they are done");
}
