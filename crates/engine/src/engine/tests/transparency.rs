//! What messengers make of a service that is set up anew, goes back, or does not show what it should.

use super::*;
use crate::engine::Purpose;
use conclave_delivery_api::{AccountPage, ExtensionProof, FetchAccount};
use conclave_directory::{Evidence, Finding, Head};
use std::path::Path;

const MINUTE: u64 = 60_000;

/// A copy of a service, which goes its own way from now on. It has the same keys.
pub(super) fn forked(folder: &Path) -> (Service<SqliteStorage>, tempfile::TempDir) {
    let copy = tempfile::tempdir().unwrap();
    for name in ["delivery.db", "delivery.db-wal"] {
        std::fs::copy(folder.join(name), copy.path().join(name)).unwrap();
    }
    let storage = SqliteStorage::open(copy.path()).unwrap();
    let begun = UnixTime::from_secs(1_700_000_000).unwrap();
    let limits = Limits::default();
    (Service::new(storage, provider(), limits, Registration::Open, begun).unwrap(), copy)
}

impl World {
    /// The service becomes another one, with which no device has a session; what it was is returned.
    pub(super) fn swap(&mut self, service: Service<SqliteStorage>) -> Service<SqliteStorage> {
        self.publish_at = self.now;
        for device in &mut self.devices {
            device.session = None;
            device.hints.clear();
        }
        core::mem::replace(&mut self.service, service)
    }

    /// Time passes, the service publishes, and what is due then is done.
    pub(super) fn pass(&mut self, milliseconds: u64) {
        self.settle();
        self.now += milliseconds;
        self.publish();
        self.settle();
    }

    /// Lets devices go on until one shows a line, which is returned.
    pub(super) fn until(&mut self, i: usize, begin: &str) -> String {
        for _ in 0..10_000 {
            if let Some(line) = self.devices[i].line(begin) {
                return line;
            }
            if (0..self.devices.len()).filter(|i| self.step(*i)).count() == 0 {
                self.now += 500;
            }
        }
        let states: Vec<String> = self.devices.iter().map(|d| d.engine.state()).collect();
        panic!("no {begin:?}: {:#?} {states:#?}", self.devices[i].lines());
    }

    /// The evidence that a device has, checked as others would.
    pub(super) fn evidence(&mut self, i: usize) -> Vec<Finding> {
        let mut findings = Vec::new();
        while let Some(crate::Evidence { bytes, .. }) =
            self.devices[i].engine.next_evidence().unwrap()
        {
            let evidence = Evidence::read(&bytes).unwrap();
            assert_eq!(&evidence.key().public, self.devices[i].engine.book.watch().unwrap().key());
            findings.push(evidence.check(&*provider()).unwrap());
        }
        findings
    }

    /// The service gives no proof that its directory only grew.
    fn withhold(&mut self) {
        self.fault = Some(Box::new(|request| match request {
            Request::FetchExtension(_) => Some(unreachable()),
            _ => None,
        }));
    }

    /// What the service says of a user.
    pub(super) fn page(&self, user: &str) -> AccountPage {
        let asker = Holder::Device(self.devices[0].info());
        let request = FetchAccount { user: user.parse().unwrap(), after: 0 };
        let caller = Caller::new(Some(asker), self.time());
        request.run(&self.service, &caller).unwrap().reply
    }
}

impl Device {
    pub(super) fn line(&self, begin: &str) -> Option<String> {
        self.lines().into_iter().find(|line| line.starts_with(begin))
    }
}

const NOT_SHOWN: &str = "alarm - the service does not show that its directory is the one of before";

#[test]
fn an_honest_service_alarms_nobody_whatever_is_published_when() {
    let mut world = World::new(1);
    let all = ["a/pc", "b/pc", "c/pc"].map(|id| world.add(id));
    let [a, b, _] = all;
    world.group("g", &all);
    assert!(!world.devices[a].engine.book.behind().is_empty(), "all of it is published at once");
    for n in 0..3 {
        world.pass(3 * MINUTE);
        world.add(&format!("b/phone-{n}"));
        world.devices.pop();
        world.say(b, &format!("/revoke phone-{n}"));
        world.settle();
        world.pass(60 * MINUTE);
    }
    for i in all {
        let device = &world.devices[i];
        assert_eq!(device.engine.book.behind().len(), 0, "{}", device.id);
        let watch = device.engine.book.watch().unwrap();
        assert!(watch.newest_epoch() > 3 && watch.owed().is_empty());
        assert_eq!(watch.checked, watch.newest_epoch(), "{} checks its own name", device.id);
        assert!(!device.has_line("alarm"), "{:?}", device.lines());
    }
}

#[test]
fn a_service_with_another_key_is_told_once_and_gone_on_with() {
    let mut world = World::new(2);
    let a = world.add("a/pc");
    world.group("g", &[a]);
    let (other, _folder) = service(provider());
    let first = world.swap(other);
    world.kill(a);
    let alarm = world.until(a, "alarm - the service has another key than before (");
    assert!(alarm.contains("set up anew") && alarm.contains("/acknowledge service"), "{alarm}");
    world.say(a, "/new h");
    world.until(a, "created h");

    // It lasts until it is acknowledged, and is no further alarm.
    let reminder = "note - the service was set up anew or set back";
    world.kill(a);
    world.until(a, reminder);
    world.swap(first);
    world.kill(a);
    world.settle();
    assert_eq!(world.devices[a].count("alarm"), 1, "{:?}", world.devices[a].lines());
    assert_eq!(world.devices[a].count(reminder), 2);
    world.say(a, "/acknowledge service");
    world.kill(a);
    world.settle();
    assert_eq!(world.devices[a].count(reminder), 2);
    world.say(a, "/acknowledge service");
    world.settle();
    assert!(world.devices[a].has_line("error there is nothing to acknowledge of the service"));
}

/// A group of a and b that has invited c. Then the service is restored from a backup of before c registered.
fn restored(seed: u64) -> (World, usize, usize, tempfile::TempDir) {
    let mut world = World::new(seed);
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    world.group("g", &[a, b]);
    world.pass(20_000);
    let (copy, folder) = forked(world.folder.path());
    world.add("c/pc");
    world.pass(20_000);
    world.say(a, "/invite c");
    world.settle();
    assert_eq!(world.devices[a].count("added g"), 2, "{:?}", world.devices[a].lines());

    world.devices.pop();
    world.swap(copy);
    (world, a, b, folder)
}

#[test]
fn a_directory_that_went_back_is_told_once_and_gone_on_with() {
    let (mut world, a, b, _folder) = restored(6);
    let alarm = world.until(a, "alarm - the service's directory went back");
    assert!(alarm.contains("number 1") && alarm.contains("number 2"), "{alarm}");
    assert!(world.evidence(a).is_empty(), "an old root proves nothing");
    world.say(a, "/new h");
    world.say(a, "/invite b");
    world.until(b, "joined h");

    // What it publishes instead contradicts what it has shown: that is kept, and stops nobody.
    let d = world.add("d/pc");
    world.settle();
    world.pass(20_000);
    world.say(a, "/invite d");
    world.until(d, "invited h");
    assert!(matches!(world.evidence(a)[..], [Finding::TwoRoots { .. }]));
    let kept = "note - what the service shows since it went back contradicts";
    assert_eq!(world.devices[a].count(kept), 1);
    assert_eq!(world.devices[a].count("alarm"), 1, "{:?}", world.devices[a].lines());
}

/// As a restored service does, too, that went on before this device came back: only the user can know.
#[test]
fn after_a_proof_of_two_directories_no_new_device_is_believed() {
    let (mut world, a, b, _folder) = restored(16);

    // Another one with the same number.
    let d = world.add("d/pc");
    world.until(d, "ready");
    world.now += 20_000;
    world.publish();
    let alarm = world.until(a, "alarm - THE SERVICE HAS SHOWN TWO DIRECTORIES");
    let file = "/folder/of/a/pc/evidence-1.bin";
    assert!(alarm.contains(&format!("conclave audit --evidence {file}")), "{alarm}");
    assert!(matches!(world.evidence(a)[..], [Finding::TwoRoots { .. }]));
    world.say(a, "/new h");
    world.say(a, "/invite d");
    world.say(a, "/invite b");
    world.settle();
    assert!(world.devices[a].has_line("failed h d is not invited: the service has shown two"));
    assert!(world.devices[b].has_line("joined h"), "who is known is invited");

    // That outlives the process.
    world.kill(a);
    world.until(a, "note - the service has shown two directories");
    world.say(a, "/switch h");
    world.say(a, "/invite d");
    world.settle();
    assert_eq!(world.devices[a].count("failed h d is not invited"), 2);
    assert_eq!(world.devices[a].count("alarm - THE SERVICE"), 1, "it is told once");
    assert!(!world.devices[d].has_line("invited h"));
    assert_eq!(world.evidence(a).len(), 1, "it is given out again by each process");

    world.say(a, "/acknowledge service");
    world.say(a, "/invite d");
    world.settle();
    assert!(world.devices[d].has_line("invited h"), "{:?}", world.devices[a].lines());
}

#[test]
fn a_convicted_service_is_believed_where_devices_go_out() {
    let mut world = World::new(17);
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    world.add("b/phone");
    world.group("g", &[a, b]);
    assert_eq!(world.devices[a].count("added g"), 2);
    let mut watch = world.devices[a].engine.book.watch().unwrap().clone();
    watch.standing = crate::watch::Standing::Convicted;
    world.devices[a].engine.book.commit(None, vec![Change::Watch(watch)]).unwrap();

    world.say(b, "/revoke phone");
    world.settle();
    assert!(world.devices[a].has_line("note - b/phone was revoked by b/pc"));
    world.add("b/tablet");
    world.settle();
    assert!(!world.devices[a].has_line("note - b/tablet"), "{:?}", world.devices[a].lines());
}

#[test]
fn a_proof_of_somebody_elses_entry_is_none() {
    let mut world = World::new(3);
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    world.settle();
    world.pass(20_000);

    let of_b = world.page("b");
    world.lie = Some(Box::new(move |reply| {
        if let Reply::FetchAccount(told) = reply
            && told.entries != of_b.entries
        {
            told.directory = of_b.directory.clone();
        }
    }));
    world.add("c/pc");
    world.say(a, "/new g");
    world.say(a, "/invite c");
    world.settle();
    let what = "alarm - what the service shows of c and what it publishes differ";
    assert_eq!(world.devices[a].count(what), 1, "{:?}", world.devices[a].lines());
    assert!(!world.devices[a].has_line("added g"));
    assert!(world.evidence(a).is_empty(), "it proves nothing to others");

    world.lie = None;
    world.pass(10 * MINUTE);
    world.say(a, "/invite c");
    world.say(a, "/invite b");
    world.settle();
    assert_eq!(world.devices[a].count("added g"), 2, "{:?}", world.devices[a].lines());
    assert!(world.devices[b].has_line("joined g"));
}

#[test]
fn a_proof_that_is_withheld_holds_up_nothing_else() {
    let mut world = World::new(7);
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    world.group("g", &[a, b]);
    world.withhold();
    world.pass(20_000);
    world.add("c/pc");
    world.pass(20_000);
    world.say(a, "/invite c");
    world.say(a, "are you there?");
    let begun = world.now;
    world.until(b, "message g");
    assert!(world.now - begun < MINUTE, "{}", world.now - begun);
    assert!(world.devices[a].has_line("failed g c is not invited: the service does not show"));
    assert!(!world.devices[a].has_line("offline"), "{:?}", world.devices[a].lines());
    assert_eq!(world.devices[a].count(NOT_SHOWN), 1);
    world.say(a, "/new h");
    world.say(a, "/invite b");
    world.settle();
    assert!(world.devices[a].has_line("failed h b is not invited"), "at once, as it is known");

    // It is asked for ever more rarely.
    let asked = std::rc::Rc::new(std::cell::Cell::new(0));
    let count = asked.clone();
    world.fault = Some(Box::new(move |request| {
        let about = matches!(request, Request::FetchExtension(_));
        count.set(count.get() + u32::from(about));
        about.then(|| CallError::Strange("it was made so".into()))
    }));
    let begun = world.now;
    for _ in 0..60 {
        world.pass(MINUTE);
    }
    let rounds = u32::try_from((world.now - begun) / (5 * MINUTE)).unwrap();
    // Three devices, each of which begins in shorter intervals.
    assert!((rounds..3 * (rounds + 20)).contains(&asked.get()), "{} in {rounds}", asked.get());
    assert_eq!(world.devices[a].count(NOT_SHOWN), 1, "it is told once");

    world.fault = None;
    world.pass(6 * MINUTE);
    let settled = "note - the service shows that its directory is the one of before";
    assert_eq!(world.devices[a].count(settled), 1, "{:?}", world.devices[a].lines());
    world.say(a, "/invite b");
    world.settle();
    assert!(world.devices[b].has_line("joined h"), "{:?}", world.devices[a].lines());
    assert!(world.evidence(a).is_empty());
}

/// The others go on without this device, whose group waits for the account of somebody new.
#[test]
fn a_group_that_a_withheld_proof_has_stopped_goes_on_when_it_comes() {
    let mut world = World::new(8);
    let (a, b, c) = (world.add("a/pc"), world.add("b/pc"), world.add("c/pc"));
    world.group("g", &[a, b]);
    world.pass(20_000);
    world.add("c/phone");
    world.pass(20_000);
    // It withholds the proof from a alone.
    let fork = forked(world.folder.path());
    let from_a =
        move |i, request: &Request| i == a && matches!(request, Request::FetchExtension(_));
    world.other = Some(Other { service: fork.0, answers: Box::new(from_a), _folder: fork.1 });
    world.lie = None;
    world.add("c/tablet");
    world.pass(20_000);
    world.say(b, "/invite c");
    world.until(a, "error g cannot go on");
    world.say(b, "hello, c");
    world.pass(MINUTE);
    assert_eq!(world.devices[a].count("message g"), 0);

    world.other = None;
    world.pass(6 * MINUTE);
    assert_eq!(world.devices[a].count("message g"), 1, "{:?}", world.devices[a].lines());
    assert!(world.devices[c].has_line("invited g"));
    world.accept(c, "g");
    world.agree(&[a, b, c, c + 1, c + 2]);
}

#[test]
fn a_proof_that_comes_after_the_user_has_acknowledged_alarms_nobody() {
    let mut world = World::new(9);
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    world.settle();
    world.withhold();
    world.pass(20_000);
    world.add("c/pc");
    world.pass(20_000);
    world.say(a, "/new g");
    world.say(a, "/invite b");
    world.until(a, NOT_SHOWN);
    // The question is under way.
    world.fault = None;
    let request = loop {
        match world.devices[a].engine.next_request(world.now).unwrap() {
            Some(request @ Request::FetchExtension(_)) => break request,
            Some(other) => world.call_and_answer(a, other),
            None => world.now += 1_000,
        }
    };
    world.say(a, "/acknowledge service");
    world.call_and_answer(a, request);
    assert_eq!(world.devices[a].engine.watching.failed, 0, "it counts as no failure");
    world.settle();
    assert_eq!(world.devices[a].count("alarm"), 1, "{:?}", world.devices[a].lines());
    world.say(a, "/invite b");
    world.settle();
    assert!(world.devices[b].has_line("joined g"));
    let watch = world.devices[a].engine.book.watch().unwrap();
    assert!(watch.owed().is_empty() && !watch.withheld);
}

#[test]
fn an_answer_that_takes_no_session_does_not_show_that_the_session_is_good() {
    let mut world = World::new(10);
    let a = world.add("a/pc");
    world.settle();
    let page = world.page("a").directory;
    let engine = &mut world.devices[a].engine;
    engine.sessions_refused = 3;
    engine.under_way.begin(Purpose::Extension { from: 0, to: 1 });
    let proof = ExtensionProof { proof: Vec::new().into() };
    engine.answer(world.now, Ok(Reply::FetchExtension(proof))).unwrap();
    assert_eq!(engine.sessions_refused, 3);
    engine.under_way.begin(Purpose::History);
    engine.answer(world.now, Ok(Reply::FetchHistory(page))).unwrap();
    assert_eq!(world.devices[a].engine.sessions_refused, 0);
}

#[test]
fn a_device_that_waits_to_be_admitted_goes_on_with_a_service_that_was_set_up_anew() {
    let mut world = World::new(11);
    let a = world.add("a/pc");
    world.settle();
    let phone = world.add_alone("a/phone");
    let (other, _folder) = service(provider());
    world.swap(other);
    world.kill(a);
    world.until(a, "alarm - the service has another key");
    world.say(a, "/new g");
    world.until(a, "created g");
    world.kill(phone);
    world.until(phone, "alarm - the service has another key");
    world.until(phone, "link ");
    world.say(phone, "/acknowledge service");
    world.until(phone, "note - the service with the key");
    assert!(!world.devices[phone].has_line("error"), "{:?}", world.devices[phone].lines());
}

#[test]
fn an_account_that_the_directory_never_has_is_told() {
    let mut world = World::new(5);
    let (a, _b) = (world.add("a/pc"), world.add("b/pc"));
    world.publish_at = u64::MAX;
    world.group("g", &[a]);
    world.say(a, "/invite b");
    world.settle();
    assert!(world.devices[a].has_line("added g"), "it is used at once");

    // Other batches come, in other processes of the device.
    for n in 0..3 {
        assert!(!world.devices[a].has_line("alarm"), "{n}");
        let head = Head { length: 1, hash: [n; 32] };
        world
            .service
            .directory()
            .publish(&[(vec![b'x', n], head)], world.time().as_secs())
            .unwrap();
        world.kill(a);
        world.pass(3 * MINUTE);
    }
    let about_b =
        "alarm - what the service shows of b and what it publishes differ: its directory still";
    assert!(world.devices[a].has_line(about_b), "{:?}", world.devices[a].lines());
}

#[test]
fn a_directory_that_publishes_nothing_for_a_day_is_told() {
    let mut world = World::new(15);
    let (a, _b) = (world.add("a/pc"), world.add("b/pc"));
    world.publish_at = u64::MAX;
    world.group("g", &[a]);
    world.say(a, "/invite b");
    world.settle();
    world.pass(24 * 60 * MINUTE);
    assert!(!world.devices[a].has_line("alarm"), "{:?}", world.devices[a].lines());
    world.pass(2 * 60 * MINUTE);
    assert!(world.devices[a].has_line("alarm - what the service shows of b"));
}

#[test]
fn what_is_known_of_a_service_is_read_as_it_was_written() {
    use conclave_delivery_api::{Decode, Encode};
    let mut world = World::new(18);
    let a = world.add("a/pc");
    world.settle();
    world.pass(20_000);
    world.add("b/pc");
    world.pass(20_000);
    let mut watch = world.devices[a].engine.book.watch().unwrap().clone();
    watch.begin_anew();
    watch.withheld = true;
    assert_eq!(crate::watch::Watch::from_bytes(&watch.to_bytes().unwrap()), Ok(watch));
}
