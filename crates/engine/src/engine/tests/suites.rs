//! Which suites groups have: nobody but their makers says.

use super::*;
use crate::suites::{HYBRID, suite_name, suite_number};
use conclave_delivery_api::{ClaimKeyPackages, CountKeyPackages, PublishKeyPackages};
use conclave_mls::wire::codec::Decode;
use conclave_mls::wire::{MlsMessage, MlsMessageBody};
use std::collections::BTreeSet;

const PQ_NAME: &str = "MLS_128_MLKEM768X25519_AES256GCM_SHA384_Ed25519";
const CLASSIC_NAME: &str = "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519";

fn suite_of(world: &World, i: usize) -> CipherSuite {
    let device = &world.devices[i];
    device.engine.conversations.get(&device.current()).unwrap().group().cipher_suite()
}

pub(super) fn suite_of_key_package(message: &[u8]) -> CipherSuite {
    let body = MlsMessage::from_bytes(message).unwrap().body;
    let MlsMessageBody::KeyPackage(package) = body else { panic!() };
    package.cipher_suite
}

impl World {
    /// Lets a device call until it has nothing to call for; what reaches the service is changed on
    /// the way.
    fn with_requests_of(&mut self, i: usize, mut change: impl FnMut(&mut Request)) {
        for _ in 0..1000 {
            let Some(mut request) = self.devices[i].engine.next_request(self.now).unwrap() else {
                return;
            };
            change(&mut request);
            self.call_and_answer(i, request);
        }
        panic!("no end is in sight");
    }
}

#[test]
fn new_groups_are_post_quantum_and_all_are_told() {
    let mut world = World::new(20);
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    world.group("g", &[a, b]);
    assert_eq!([suite_of(&world, a), suite_of(&world, b)], [HYBRID; 2]);
    assert!(world.devices[a].has_line(&format!("created g post-quantum {PQ_NAME}")));
    assert!(world.devices[b].has_line(&format!("joined g 1 by a/pc post-quantum {PQ_NAME}")));
    for i in [a, b] {
        world.say(i, "/groups");
        world.say(i, "/members");
        world.settle();
        let lines = world.devices[i].lines();
        let group = lines.iter().find(|line| line.starts_with("group g ")).unwrap();
        assert!(group.contains(&format!(" members 2 post-quantum {PQ_NAME}")), "{group}");
        let epoch = lines.iter().find(|line| line.starts_with("epoch g ")).unwrap();
        assert!(epoch.ends_with(&format!(" post-quantum {PQ_NAME}")), "{epoch}");
    }
}

#[test]
fn a_group_is_classic_if_its_maker_says_so_and_all_are_told() {
    let mut world = World::new(21);
    let (a, b) = (world.add("a/pc"), world.add_classic("b/pc"));
    world.group("g classic", &[a, b]);
    world.agree(&[a, b]);
    assert_eq!([suite_of(&world, a), suite_of(&world, b)], [CLASSIC; 2]);
    for (i, begin) in [(a, "created g"), (b, "joined g 1 by a/pc")] {
        let device = &world.devices[i];
        assert!(
            device.has_line(&format!("{begin} pre-quantum {CLASSIC_NAME}")),
            "{:?}",
            device.lines()
        );
        let told = |shown: &Shown| {
            let text = shown.to_text();
            text.contains(&format!("NOT post-quantum ({CLASSIC_NAME})"))
                && text.contains("who records what is said there can read it")
        };
        assert!(device.shown.iter().any(told), "people are told in plain words");
    }
    world.say(b, "hi");
    world.settle();
    assert_eq!(world.devices[a].messages().len(), 1);
}

#[test]
fn a_device_without_a_key_package_of_the_suite_is_named_and_left_out() {
    let mut world = World::new(22);
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    let phone = world.add_classic("b/phone");
    world.settle();
    world.say(a, "/new g");
    world.say(a, "/invite b/phone");
    world.settle();
    let why = format!(
        " b/phone is not invited: the service has no key package of it for this group's suite, \
         {PQ_NAME}: it does not use that suite, was away for long, or the service holds it back. \
         Only if it does not matter who can read it later: /new NAME classic makes a group that is \
         NOT post-quantum, and invite it there"
    );
    let failed = format!("failed g{why}");
    assert!(world.devices[a].lines().contains(&failed), "{:?}", world.devices[a].lines());
    world.agree(&[a]);
    // Others of the same user come in.
    world.say(a, "/invite b");
    world.settle();
    let noted = format!("note g{why}");
    assert!(world.devices[a].lines().contains(&noted), "{:?}", world.devices[a].lines());
    world.agree(&[a, b]);
    assert!(!world.devices[phone].has_line("joined"));
}

#[test]
fn a_device_that_cannot_be_added_is_named_and_keeps_nobody_out() {
    let mut world = World::new(35);
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    world.add_classic("b/phone");
    world.group("g", &[a, b]);
    world.agree(&[a, b]);
    let device = &world.devices[a];
    assert!(device.has_line("note g b/phone is not invited: "), "{:?}", device.lines());
}

/// The lies of a service that wants a conversation that it can read later.
#[test]
fn a_service_that_withholds_key_packages_downgrades_no_group() {
    fn nothing(reply: &mut Reply) {
        if let Reply::ClaimKeyPackages(claimed) = reply {
            claimed.devices.iter_mut().for_each(|device| device.key_package = None);
        }
    }
    fn left_out(reply: &mut Reply) {
        if let Reply::ClaimKeyPackages(claimed) = reply {
            claimed.devices.clear();
        }
    }
    for lie in [nothing as fn(&mut Reply), left_out] {
        let mut world = World::new(23);
        let (a, b) = (world.add("a/pc"), world.add("b/pc"));
        world.settle();
        world.lie = Some(Box::new(lie));
        world.group("g", &[a, b]);
        assert_eq!(suite_of(&world, a), HYBRID, "the group stays what it was made");
        world.agree(&[a]);
        assert!(!world.devices[b].has_line("joined"));
        assert!(world.devices[a].has_line("failed g b/pc is not invited: "));
        // What is said meanwhile is post-quantum, and the invitation can be repeated.
        world.lie = None;
        world.say(a, "/invite b");
        world.settle();
        world.accept(b, "g");
        world.agree(&[a, b]);
        assert_eq!(suite_of(&world, b), HYBRID);
    }
}

#[test]
fn a_service_that_gives_out_classic_key_packages_instead_is_refused() {
    let mut world = World::new(24);
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    world.settle();
    world.say(a, "/new g");
    world.say(a, "/invite b");
    // The service does not keep to the suite that was asked for.
    world.with_requests_of(a, |request| {
        if let Request::ClaimKeyPackages(ClaimKeyPackages { cipher_suite, .. }) = request {
            assert_eq!(*cipher_suite, HYBRID);
            *cipher_suite = CLASSIC;
        }
    });
    world.settle();
    let refused = format!(
        "failed g b/pc is not invited: its key package: the service gives out one of \
         {CLASSIC_NAME} instead of {PQ_NAME}"
    );
    assert!(world.devices[a].has_line(&refused), "{:?}", world.devices[a].lines());
    assert!(!world.devices[b].has_line("joined"));
    assert_eq!(suite_of(&world, a), HYBRID);
}

#[test]
fn a_key_package_of_somebody_else_brings_nobody_in() {
    let mut world = World::new(25);
    let [a, b, mallory] = ["a/pc", "b/pc", "mallory/pc"].map(|id| world.add(id));
    world.settle();
    world.say(a, "/new g");
    world.say(a, "/invite b");
    world.with_requests_of(a, |request| {
        if let Request::ClaimKeyPackages(claim) = request {
            claim.user = "mallory".parse().unwrap();
        }
    });
    world.settle();
    assert!(world.devices[a].has_line("failed g b/pc is not invited: "));
    assert!(!world.devices[mallory].has_line("joined") && !world.devices[b].has_line("joined"));
    world.agree(&[a]);
}

/// All that is said of these key packages is true but for one thing: whose they are.
#[test]
fn a_key_package_under_another_devices_name_brings_nobody_in() {
    let mut world = World::new(34);
    let [a, b, phone] = ["a/pc", "b/pc", "b/phone"].map(|id| world.add(id));
    let mallory = world.add("mallory/pc");
    // Mallory's key is pinned.
    world.group("known", &[a, mallory]);
    world.agree(&[a, mallory]);
    world.say(a, "/new g");
    let claim = |user: &str| {
        let (user, devices) = (user.parse().unwrap(), Vec::new());
        Request::ClaimKeyPackages(ClaimKeyPackages { user, cipher_suite: HYBRID, devices })
    };
    for owner in [mallory, phone] {
        let device = world.devices[owner].id.clone();
        let reply = world.call(a, claim(device.user.as_str())).unwrap();
        let Reply::ClaimKeyPackages(all) = reply else { panic!("{reply:?}") };
        let found = all.devices.into_iter().find(|claimed| claimed.device == device);
        let others = found.unwrap().key_package.unwrap();
        world.lie = Some(Box::new(move |reply| {
            if let Reply::ClaimKeyPackages(claimed) = reply {
                assert_eq!(claimed.devices.len(), 1);
                claimed.devices[0].key_package = Some(others.clone());
            }
        }));
        world.say(a, "/invite b/pc");
        world.settle();
        world.lie = None;
        world.agree(&[a]);
        let refused = |line: &String| {
            line.starts_with("failed g b/pc is not invited: its key package: ")
                && line.contains("it is another device's")
        };
        let lines = world.devices[a].lines();
        assert!(lines.iter().any(refused), "{lines:?}");
        world.devices[a].shown.clear();
    }
    for i in [b, phone, mallory] {
        assert!(!world.devices[i].has_line("joined g "));
    }
}

#[test]
fn groups_are_made_in_suites_of_the_device_alone() {
    let mut world = World::new(26);
    let (a, b) = (world.add("a/pc"), world.add_classic("b/pc"));
    world.settle();
    world.say(a, "/new g mldsa87");
    world.say(b, "/new g hybrid");
    world.settle();
    let lines = world.devices[a].lines();
    let error = format!(
        "error this device uses {PQ_NAME} and {CLASSIC_NAME} only. Another device can use \
         MLS_256_MLKEM1024_AES256GCM_SHA384_MLDSA87: conclave chat a --device NAME --suite 0xf0cb"
    );
    assert!(lines.contains(&error), "{lines:?}");
    let error = format!(
        "error this device uses {CLASSIC_NAME} only. Another device can use {PQ_NAME}: conclave \
         chat b --device NAME"
    );
    assert!(world.devices[b].lines().contains(&error));
    assert!(world.devices.iter().all(|device| device.engine.conversations.is_empty()));
    world.say(b, "/new g");
    world.settle();
    assert_eq!(suite_of(&world, b), CLASSIC);
}

/// A suite whose signatures, too, are post-quantum: keys and signatures are about forty
/// times as large as Ed25519's.
#[test]
fn devices_of_one_suite_make_groups_of_it() {
    let mut world = World::new(27);
    let suite = Some(lines::find_suite("mldsa44").unwrap());
    let [a, b] = ["a/pc", "b/pc"].map(|id| world.add_with(id, suite, Disk::default()));
    world.group("g", &[a, b]);
    world.agree(&[a, b]);
    assert_eq!(Some(suite_of(&world, b)), suite);
    world.say(b, "hi");
    world.settle();
    assert_eq!(world.devices[a].messages().len(), 1);
}

#[test]
fn leaves_and_key_packages_say_which_suites_a_device_uses() {
    let mut world = World::new(28);
    let a = world.add("a/pc");
    let mut published = Vec::new();
    world.with_requests_of(a, |request| {
        let Request::PublishKeyPackages(PublishKeyPackages { key_packages }) = request else {
            return;
        };
        let mut suites = Vec::new();
        for message in key_packages {
            let body = MlsMessage::from_bytes(message).unwrap().body;
            let MlsMessageBody::KeyPackage(package) = body else { panic!() };
            assert_eq!(package.leaf_node.capabilities.cipher_suites, [HYBRID, CLASSIC]);
            suites.push(package.cipher_suite);
        }
        assert_eq!(suites.len(), 11);
        suites.dedup();
        assert_eq!(suites.len(), 1, "a refusal of one suite holds back no other");
        published.extend(suites);
    });
    published.sort();
    assert_eq!(published, [CLASSIC, HYBRID]);
}

/// The order in which suites are published depends on hashes: both are tried.
#[test]
fn a_device_is_ready_once_the_service_takes_one_suites_key_packages() {
    let mut last = BTreeSet::new();
    for seed in 30..38 {
        for (refused, other) in [(HYBRID, CLASSIC), (CLASSIC, HYBRID)] {
            let mut world = World::new(seed);
            world.refused_suite = Some(refused);
            let (a, b) = (world.add("a/pc"), world.add("b/pc"));
            let mut published = Vec::new();
            world.with_requests_of(b, |request| {
                if let Request::PublishKeyPackages(publish) = request {
                    published.push(suite_of_key_package(&publish.key_packages[0]));
                }
            });
            last.insert(refused == published[1]);
            world.settle();
            let counts = world.call(b, Request::CountKeyPackages(CountKeyPackages {})).unwrap();
            let Reply::CountKeyPackages(counts) = counts else { panic!("{counts:?}") };
            let suites: Vec<CipherSuite> = counts.counts.iter().map(|c| c.cipher_suite).collect();
            assert_eq!(suites, [other]);
            assert!(world.devices[b].has_line("ready b/pc"), "before it is added anywhere");
            // Whenever it is added it counts them again.
            for name in ["g", "h"] {
                world.group(&format!("{name} {}", suite_number(other)), &[a, b]);
                assert!(world.devices[b].has_line(&format!("joined {name} ")));
            }
            let lines = world.devices[b].lines();
            let said = |begin: &str| lines.iter().filter(|line| line.starts_with(begin)).count();
            assert_eq!([said("ready b/pc"), said("error ")], [1, 1], "{lines:?}");
            let error =
                format!("error the service does not take key packages of {}", suite_name(refused));
            assert_eq!(said(&error), 1, "{lines:?}");
        }
    }
    assert_eq!(last.len(), 2, "the refused suite was always the first, or always the last");
}

#[test]
fn a_device_of_which_no_key_package_is_taken_is_not_ready() {
    let mut world = World::new(31);
    let a = world.add_classic("a/pc");
    world.refused_suite = Some(CLASSIC);
    world.settle();
    let lines = world.devices[a].lines();
    assert!(
        lines.len() == 1 && lines[0].starts_with("error the service does not take"),
        "{lines:?}"
    );
}

/// What is registered is a key, and suite 1 has the same.
#[test]
fn a_service_without_post_quantum_suites_registers_a_device_all_the_same() {
    let mut world = World::with_service_of(32, Arc::new(RustCrypto::new()));
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    world.group("g classic", &[a, b]);
    world.agree(&[a, b]);
    world.kill(b);
    world.say(b, "still here");
    world.settle();
    assert_eq!(world.devices[a].messages().len(), 1);
    let error = format!("error the service does not take key packages of {PQ_NAME}");
    for i in [a, b] {
        assert!(world.devices[i].has_line("ready ") && world.devices[i].has_line(&error));
    }
}

/// The identity of a device of suite 1, as it was stored when a device had one suite.
const OLD_IDENTITY: &str = "01036f6c64046d61696e00012076cdc286d3aa1c20f4ae9c5ee2dd761bf98812f1b75dd3ab59f1a1\
     05cdda781b20ab1e20221272f99ec959e36697f6d715ac89956934df018837ab557de0382c08";

#[test]
fn a_folder_from_before_accounts_is_refused_with_advice() {
    let mut old = Disk::default();
    let mut set = WriteSet::new();
    let byte = |at| u8::from_str_radix(&OLD_IDENTITY[at..at + 2], 16).unwrap();
    let bytes: Vec<u8> = (0..OLD_IDENTITY.len()).step_by(2).map(byte).collect();
    set.put("meta", b"identity".to_vec(), bytes);
    old.write(&set).unwrap();
    let opened = Engine::open(Setup {
        device: "old/main".parse().unwrap(),
        cipher_suite: None,
        provider: provider(),
        rng: Box::new(TestRng(0)),
        store: old,
        invitation: None,
        certificates: Default::default(),
        keys: Default::default(),
        evidence_place: String::new(),
    });
    let refused = opened.unwrap_err().to_string();
    assert!(refused.contains("move it away, and the messenger begins anew"), "{refused}");
}
