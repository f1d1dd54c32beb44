//! Who is in no group and has a say in it: the service, which proposes to remove revoked devices, and those who have
//! none.

use super::gossip::published;
use super::*;
use crate::authority::Authority;
use crate::directory::{Directory, NOBODY_FROM_OUTSIDE};
use conclave_delivery_api::{ChainInput, ContentType, FetchGroupInfo, FetchLog, LogEntry};
use conclave_mls::crypto::{CryptoRng, Suite};
use conclave_mls::join::{ExternalJoinOptions, ExternalJoinStage, ExternalTarget};
use conclave_mls::key_package::{KeyPackageParams, OwnKeyPackage};
use conclave_mls::wire::{LeafIndex, Proposal};
use conclave_mls::{Config, Verdict};

impl World {
    /// A group of b, c, d, e and a's phone; a's other device is not in it. All numbers but the phone's, which comes last.
    fn with_phone(seed: u64, names_service: bool) -> (Self, usize, Vec<usize>, usize) {
        let mut world = Self::new(seed);
        let main = world.add("a/pc");
        let members: Vec<usize> =
            ["b", "c", "d", "e"].map(|user| world.add(&format!("{user}/pc"))).into();
        let phone = world.add("a/phone");
        world.settle();
        if !names_service {
            let directory = Directory::default();
            world.devices[members[0]].engine.authority = Authority::Accounts(directory);
        }
        world.group("g", &members);
        world.say(members[0], "/invite a/phone");
        world.settle();
        assert!(world.devices[phone].has_line("joined g"));
        (world, main, members, phone)
    }

    pub(super) fn group_id(&self, i: usize) -> GroupId {
        self.devices[i].engine.conversations.keys().next().unwrap().clone()
    }

    /// Runs an operation as a device that the service takes for it.
    pub(super) fn run_as<O: Operation>(&self, i: usize, op: O) -> O::Reply {
        let holder = Some(Holder::Device(self.devices[i].info()));
        op.run(&self.service, &Caller::new(holder, self.time())).unwrap().reply
    }

    fn log(&self, i: usize) -> Vec<LogEntry> {
        let fetch = FetchLog { group_id: self.group_id(i), after: 0, limit: 1000 };
        self.run_as(i, fetch).entries
    }

    fn kinds(&self, i: usize, kind: ContentType) -> usize {
        self.log(i).iter().filter(|entry| entry.content_type == kind).count()
    }

    /// From now on the service shows one entry more in the group's log than it has, and signs for it.
    fn smuggle(&mut self, by: usize, content_type: ContentType, message: Vec<u8>) {
        self.smuggle_at(by, content_type, message, 0);
    }

    /// The same, as if it had come at a time, in seconds since 1970.
    pub(super) fn smuggle_at(
        &mut self,
        by: usize,
        content_type: ContentType,
        message: Vec<u8>,
        received_at: u64,
    ) {
        let (sender, seq) = (self.devices[by].id.clone(), self.log(0).len() as u64 + 1);
        let epoch = self.devices[0].engine.conversations.values().next().unwrap().group().epoch().0;
        let entry =
            LogEntry { seq, epoch, content_type, sender, received_at, message: message.into() };
        let next = epoch + u64::from(content_type == ContentType::Commit);
        let group = self.group_id(0);
        self.lie = Some(Box::new(move |reply| {
            if let Reply::FetchLog(page) = reply
                && page.head < seq
            {
                let chain = ChainInput::of(&group, &entry).after(&page.end.position.chain).unwrap();
                page.end.position = LogPosition { seq, epoch: next, chain };
                page.entries.push(entry.clone());
                page.head = seq;
            }
        }));
        for device in &mut self.devices {
            device.engine.conversations.values_mut().for_each(|live| live.read_on());
        }
    }

    fn target(&self, i: usize) -> ExternalTarget {
        self.devices[i].engine.conversations.values().next().unwrap().group().external_target()
    }
}

/// None of the user's devices is in the group, and nobody speaks.
#[test]
fn a_revoked_device_leaves_by_the_services_proposal_and_one_commit() {
    for seed in 0..8 {
        let (mut world, main, members, phone) = World::with_phone(seed, true);
        let before = world.kinds(members[0], ContentType::Commit);
        let since = world.now;
        world.say(main, "/revoke phone");
        world.devices.remove(phone);
        world.settle();
        assert_eq!(world.kinds(members[0], ContentType::Proposal), 1, "{seed}");
        assert_eq!(world.kinds(members[0], ContentType::Commit), before + 1, "{seed}");
        assert!(world.now < since + 3_000, "they do not wait until they do it themselves");
        for i in &members {
            assert_eq!(world.devices[*i].count("removed g "), 1, "{:?}", world.devices[*i].lines());
            assert_eq!(world.devices[*i].count("failed") + world.devices[*i].count("error"), 0);
        }
        world.agree(&members);
    }
}

#[test]
fn whoever_speaks_next_removes_a_revoked_device_first() {
    let (mut world, main, members, phone) = World::with_phone(20, true);
    world.devices.remove(phone);
    // The others are away.
    let [b, c] = [members[0], members[1]];
    world.say(main, "/revoke phone");
    while world.kinds(b, ContentType::Proposal) == 0 {
        if !world.step(main) {
            world.now += 1_000;
        }
    }
    world.say(c, "hello");
    let said = world.kinds(b, ContentType::Application);
    while world.kinds(b, ContentType::Application) == said {
        assert!(world.step(c), "{}", world.devices[c].engine.state());
    }
    let kinds: Vec<ContentType> = world.log(b).iter().map(|entry| entry.content_type).collect();
    let end = [ContentType::Proposal, ContentType::Commit, ContentType::Application];
    assert_eq!(kinds[kinds.len() - 3..], end);
    world.settle();
    world.agree(&members);
}

/// The group is from before, or was made while the service was not known.
#[test]
fn a_group_that_does_not_name_the_service_removes_revoked_devices_itself() {
    let (mut world, main, members, phone) = World::with_phone(21, false);
    world.say(main, "/revoke phone");
    world.devices.remove(phone);
    world.settle();
    assert_eq!(world.kinds(members[0], ContentType::Proposal), 0);
    assert!(world.devices[members[3]].has_line("removed g "));
    world.agree(&members);
}

#[test]
fn what_a_lying_service_proposes_nobody_commits() {
    let (mut world, [a, b, c]) = published(22);
    let key = world.service.sender().clone();
    let victim = LeafIndex(2);
    let target = world.target(a);
    let removal = target.propose(&*provider(), 0, &key, Proposal::Remove(victim)).unwrap();
    world.smuggle(c, ContentType::Proposal, removal);
    for i in [a, b, c] {
        // Until there is nothing more to do, and longer than members wait.
        while world.step(i) {}
    }
    world.now += 60_000;
    world.lie = None;
    for i in [a, b, c] {
        while world.step(i) {}
        let told = "note g the service proposes to remove c/pc, which nobody has revoked";
        assert_eq!(world.devices[i].count(told), 1, "{:?}", world.devices[i].lines());
        assert!(
            world.devices[i]
                .engine
                .conversations
                .values()
                .all(|l| l.group().pending_commit().is_none())
        );
    }
    assert!(!world.devices[a].has_line("removed g "));
}

#[test]
fn what_the_service_may_not_propose_is_refused() {
    let (mut world, [a, b, c]) = published(23);
    let key = world.service.sender().clone();
    let target = world.target(a);
    let end = Proposal::GroupContextExtensions(vec![]);
    let message = target.propose(&*provider(), 0, &key, end).unwrap();
    world.smuggle(c, ContentType::Proposal, message);
    for i in [a, b, c] {
        while world.step(i) {}
        assert!(world.devices[i].has_line("unreadable g "), "{:?}", world.devices[i].lines());
        let engine = &world.devices[i].engine;
        assert!(engine.conversations.values().all(|live| live.group().pending_proposals() == 0));
    }
}

/// Not even if the service takes what a stranger proposes: a proposal is as good as a commit.
#[test]
fn a_stranger_that_proposes_itself_is_refused() {
    let (mut world, [a, b, c]) = published(24);
    let m = world.add("m/pc");
    world.settle();
    let (lifetime, leaf) = (world.devices[m].engine.lifetime(), world.devices[m].engine.leaf());
    let signer = world.devices[m].engine.book.identity().signer.clone();
    let target = world.target(a);
    let params = KeyPackageParams {
        cipher_suite: target.cipher_suite,
        leaf,
        lifetime,
        extensions: vec![],
        last_resort: false,
    };
    let rng: &mut dyn CryptoRng = &mut TestRng(9);
    let own = OwnKeyPackage::generate(&*provider(), rng, params, signer).unwrap();
    let message = target.propose_self(&*provider(), world.time(), &own).unwrap();
    world.smuggle(m, ContentType::Proposal, message);
    for i in [a, b, c] {
        while world.step(i) {}
        assert!(world.devices[i].has_line("unreadable g "), "{:?}", world.devices[i].lines());
        let engine = &world.devices[i].engine;
        assert!(engine.conversations.values().all(|live| live.group().pending_proposals() == 0));
    }
}

/// The service has the GroupInfo, and gives it to a stranger, whose commit it takes.
#[test]
fn a_stranger_that_the_service_lets_in_from_outside_is_not_followed() {
    let (mut world, [a, b, c]) = published(25);
    let m = world.add("m/pc");
    world.settle();
    let state = world.run_as(a, FetchGroupInfo { group_id: world.group_id(a) });
    let tree = Some(&*state.ratchet_tree);
    let stage = ExternalJoinStage::open(&*provider(), Config::default(), &state.group_info, tree);
    let stage = stage.unwrap();
    let verdicts = vec![Verdict::Accept; stage.credentials().len()];
    let identity = world.devices[m].engine.book.identity().signer.clone();
    let options = ExternalJoinOptions::new(world.devices[m].engine.leaf(), identity);
    let rng: &mut dyn CryptoRng = &mut TestRng(9);
    let joined = stage.commit(&*provider(), rng, &verdicts, options).unwrap();
    let commit = joined.commit.clone();
    world.smuggle(m, ContentType::Commit, commit);
    for i in [a, b, c] {
        while world.step(i) {}
        let lines = world.devices[i].lines();
        let why = |line: &String| {
            line.starts_with("error g cannot go on") && line.contains(NOBODY_FROM_OUTSIDE)
        };
        assert!(lines.iter().any(why), "{lines:?}");
        assert!(!world.devices[i].has_line("added g 4 m/pc"));
    }
}

/// A group could name a stranger, who would propose with the members' consent.
#[test]
fn a_group_that_names_another_external_sender_is_not_joined() {
    let mut world = World::new(26);
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    world.settle();
    let provider = provider();
    let suite = Suite::new(&*provider, CLASSIC).unwrap();
    let other = suite.signature_key_pair(&mut TestRng(3)).unwrap().public;
    let directory = &mut world.devices[a].engine.authority;
    directory.set_sender(conclave_delivery_api::external_sender(other));
    // The service would refuse it, too: it is told so here.
    world.say(a, "/new g");
    world.settle();
    assert!(world.devices[a].has_line("error g cannot go on"), "{:?}", world.devices[a].lines());

    let own = world.devices[b].engine.authority.sender().unwrap().clone();
    world.devices[a].engine.authority.set_sender(own);
    world.group("h", &[a, b]);
    assert!(world.devices[b].has_line("joined h"));
    let other = suite.signature_key_pair(&mut TestRng(4)).unwrap().public;
    let directory = &mut world.devices[b].engine.authority;
    directory.set_sender(conclave_delivery_api::external_sender(other));
    world.say(a, "/new i");
    world.say(a, "/invite b");
    world.settle();
    assert!(!world.devices[b].has_line("joined i"), "{:?}", world.devices[b].lines());
}

/// Somebody made it while the service was away, which was set up anew meanwhile.
#[test]
fn a_group_that_the_service_does_not_have_yet_names_it_by_the_key_that_it_has() {
    let mut world = World::new(27);
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    world.settle();
    let provider = provider();
    let suite = Suite::new(&*provider, CLASSIC).unwrap();
    let other = suite.signature_key_pair(&mut TestRng(3)).unwrap().public;
    let engine = &mut world.devices[a].engine;
    engine.authority.set_sender(conclave_delivery_api::external_sender(other));
    world.say(a, "/new g");
    world.say(a, "hello");
    // The next process asks the service anew what it is, and has the group from the disk.
    world.kill(a);
    world.settle();
    assert!(!world.devices[a].has_line("error "), "{:?}", world.devices[a].lines());
    let engine = &world.devices[a].engine;
    assert!(engine.conversations[&world.group_id(a)].names_service(&engine.authority));
    world.say(a, "/invite b");
    world.settle();
    assert!(world.devices[b].has_line("joined g"), "{:?}", world.devices[b].lines());
    world.agree(&[a, b]);
}
