//! A service that lies, with all its own keys: who notices, when, what they see, and what they can prove.

use super::gossip::published;
use super::transparency::forked;
use super::*;
use conclave_account::{Account, Author, Change, DeviceKey, Entry};
use conclave_delivery_api::{AccountPage, Bytes, Encode, Event, Name, SubmitAccount};
use conclave_directory::{Finding, Head};
use conclave_mls::crypto::{CryptoProvider, SignatureKeyPair, SignatureScheme};

const MINUTE: u64 = 60_000;
const SCHEME: SignatureScheme = SignatureScheme::Ed25519;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn key_pair(seed: u64) -> SignatureKeyPair {
    provider().signature_key_pair(SCHEME, &mut TestRng(seed)).unwrap()
}

fn device_key(user: &str, device: &str, pair: &SignatureKeyPair) -> DeviceKey {
    DeviceKey::proved(&*provider(), &name(user), name(device), SCHEME, pair).unwrap()
}

/// The entry that adds a device called ghost to an account, signed in the name of its device `pc`.
fn add_ghost(account: &Account, signer: &SignatureKeyPair, ghost: &SignatureKeyPair) -> Entry {
    let add = Change::AddDevice(device_key(account.user().as_str(), "ghost", ghost));
    let time = account.last_change();
    account.draft(&*provider(), Author::Device(name("pc")), signer, add, time).unwrap()
}

/// The first entry of a false account, with one device called `pc`.
fn false_creation(user: &str, now: UnixTime) -> Entry {
    let attacker = key_pair(10);
    let key = device_key(user, "pc", &attacker);
    Account::draft_creation(&*provider(), &name(user), key, &attacker, now).unwrap()
}

/// Somebody registers a false account under a user's name.
fn create_falsely(service: &Service<SqliteStorage>, user: &str, now: UnixTime) {
    let entry = false_creation(user, now);
    let submit = SubmitAccount {
        user: name(user),
        entries: vec![entry.to_bytes().unwrap().into()],
        invitation: None,
    };
    submit.run(service, &Caller::new(None, now)).unwrap();
}

/// Where a log ends with this entry.
fn head(entry: &Entry) -> Head {
    Head { length: entry.sequence + 1, hash: entry.hash(&*provider()).unwrap() }
}

impl World {
    /// What an account is, as one of its devices has it.
    fn account(&self, of: usize) -> Account {
        self.devices[of].engine.own_account().unwrap().clone()
    }

    /// The service changes what it says of an account.
    fn lie_about(&mut self, user: &'static str, lie: impl Fn(&mut AccountPage) + 'static) {
        let user = name(user);
        self.lie = Some(Box::new(move |reply| {
            if let Reply::FetchAccount(page) = reply {
                let entry = page.entries.first().and_then(|e| Entry::from_bytes(e).ok());
                if entry.is_some_and(|entry| entry.user == user) {
                    lie(page);
                }
            }
        }));
    }

    /// The service publishes something for a user, whatever the user's log is.
    fn publish_for(&self, user: &str, head: Head) {
        let batch = [(user.as_bytes().to_vec(), head)];
        self.service.directory().publish(&batch, self.time().as_secs()).unwrap();
    }

    fn alarms(&self, i: usize) -> Vec<String> {
        self.devices[i].lines().into_iter().filter(|line| line.starts_with("alarm")).collect()
    }
}

/// Noticed by whoever looks the user up, before anything is said.
#[test]
fn a_ghost_device_that_the_service_signs_for_is_refused_at_once() {
    let (mut world, [a, b, _]) = published(1);
    let (ghost, services) = (key_pair(10), key_pair(11));
    let entry = add_ghost(&world.account(b), &services, &ghost);
    let bytes: Bytes = entry.to_bytes().unwrap().into();
    world.lie_about("b", move |page| {
        page.entries.push(bytes.clone());
        page.length += 1;
    });
    world.say(a, "/new h");
    world.say(a, "/invite b");
    world.settle();
    let alarms = world.alarms(a);
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    assert!(alarms[0].contains("contradicts what it said before") && alarms[0].contains("of b"));
    assert!(!world.devices[a].lines().iter().any(|line| line.contains("b/ghost")));
    assert!(world.devices[b].has_line("joined h"), "the device that is known is invited");
    assert!(world.evidence(a).is_empty(), "entries are signed by devices, not by the service");
}

/// It can publish one all the same. The user's own devices notice, and whoever looks the user up.
#[test]
fn a_ghost_device_in_the_directory_is_told_to_the_user_and_to_who_looks() {
    let (mut world, [a, b, _]) = published(2);
    let (ghost, services) = (key_pair(10), key_pair(11));
    let entry = add_ghost(&world.account(b), &services, &ghost);
    world.publish_for("b", head(&entry));
    world.look_up(a);
    let about = "alarm - what the service shows of b and what it publishes differ: its directory has \
                 entries of the account that it keeps back";
    assert_eq!(world.devices[a].count(about), 1, "{:?}", world.alarms(a));

    // Before ten minutes have passed, without being told.
    world.look_up(b);
    world.pass(10 * MINUTE);
    let own =
        "alarm - what the service publishes under your name is not what your devices have made";
    assert_eq!(world.devices[b].count(own), 1, "{:?}", world.alarms(b));
}

/// The service covers it up: it publishes the true log after the wrong one. Only the owner sees the history.
#[test]
fn an_entry_that_was_published_for_a_while_is_seen_by_its_owner() {
    let (mut world, [_, b, _]) = published(3);
    world.publish_for("b", Head { length: 2, hash: [9; 32] });
    let phone = world.add("b/phone");
    world.add("b/tablet");
    world.pass(20_000);
    let d = world.add("d/pc");
    world.settle();
    world.say(d, "/new h");
    world.say(d, "/invite b");
    world.settle();
    assert_eq!(world.devices[d].count("added h"), 3, "what it has now is right");
    assert_eq!(world.alarms(d).len(), 0);
    world.look_up(b);
    world.pass(10 * MINUTE);
    world.add("e/pc");
    world.pass(20 * MINUTE);
    world.look_up(b);
    for i in [b, phone] {
        let own = "alarm - what the service publishes under your name is not what your devices have \
                   made: its directory number 2 had";
        assert_eq!(world.devices[i].count(own), 1, "{:?}", world.alarms(i));
    }
}

/// Somebody who has never seen this user is shown another account under the name.
#[test]
fn a_replaced_first_key_is_refused_where_the_directory_has_the_true_one() {
    let (mut world, [a, ..]) = published(4);
    world.add("d/pc");
    world.pass(20_000);
    let entry = false_creation("d", world.time());
    let bytes: Bytes = entry.to_bytes().unwrap().into();
    world.lie_about("d", move |page| page.entries = vec![bytes.clone()]);
    world.say(a, "/invite d");
    world.settle();
    let alarms = world.alarms(a);
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    assert!(alarms[0].contains("has another account under this name"), "{alarms:?}");
    assert!(world.devices[a].engine.book.account(&name("d")).is_none());
    assert_eq!(world.devices[a].count("added g"), 2, "d is not invited");
}

/// The directory is another one for the victim, so that the wrong account fits. That lasts until one of the two says
/// something to the other.
#[test]
fn a_replaced_first_key_in_a_forked_directory_is_proved_by_the_first_message() {
    let (mut world, [a, b, c]) = published(5);
    world.fork_for(c);
    // The true d registers, and at the fork a false one.
    world.add("d/pc");
    let fork = &world.other.as_ref().unwrap().service;
    create_falsely(fork, "d", world.time());
    fork.publish(world.time()).unwrap();
    world.pass(20_000);
    world.look_up(a);
    world.look_up(b);

    // c believes it, and does not find the key package of that device.
    world.say(c, "/invite d");
    world.settle();
    assert!(world.devices[c].engine.book.account(&name("d")).is_some());
    assert_eq!(world.alarms(c).len(), 0);
    world.say(c, "have a look");
    world.settle();
    for i in [a, b] {
        assert!(world.alarms(i)[0].contains("c/pc was shown another directory"), "{i}");
        assert!(matches!(world.evidence(i)[..], [Finding::TwoRoots { .. }]));
    }
    world.say(a, "yes");
    world.settle();
    assert!(world.alarms(c)[0].contains("a/pc was shown another directory"));
    assert!(matches!(world.evidence(c)[..], [Finding::TwoRoots { .. }]));
}

#[test]
fn a_log_that_is_rolled_back_is_told_at_once() {
    let (mut world, [a, b, _]) = published(6);
    let before = world.page("b");
    world.add("b/phone");
    world.pass(20_000);
    world.look_up(a);
    assert_eq!(world.account(b).head().length, 2);
    // The log alone; with the directory of then, too.
    for with_directory in [false, true] {
        let before = before.clone();
        world.lie_about("b", move |page| {
            page.entries = before.entries.clone();
            page.length = before.length;
            if with_directory {
                page.directory = before.directory.clone();
            }
        });
        world.look_up(a);
        world.look_up(a);
        world.lie = None;
    }
    let alarms = world.alarms(a);
    assert_eq!(alarms.len(), 2, "{alarms:?}");
    assert!(alarms[0].contains("its log had 2 entries, and the service shows 1"), "{alarms:?}");
    assert!(alarms[1].contains("the service's directory went back"), "{alarms:?}");
    let known = world.devices[a].engine.book.account(&name("b")).unwrap();
    assert_eq!(known.head().length, 2, "what is known stays known");
}

/// A device is revoked, and somebody in a group with it is not told.
#[test]
fn a_withheld_revocation_is_noticed_by_the_next_message_of_somebody_who_knows() {
    for (seed, with_proof) in [(7, false), (8, true)] {
        let (mut world, [a, b, c]) = published(seed);
        let phone = world.add("b/phone");
        world.pass(20_000);
        world.look_up(c);
        world.say(c, "/new h");
        world.say(c, "/invite b/phone");
        world.settle();
        assert!(world.devices[phone].has_line("joined h"));

        // For c the service stands still, and gives no hints of accounts.
        let still = world.page("b");
        if with_proof {
            // It shows that the directory grew, and the old log.
            world.lied_to = Some(c);
            world.lie_about("b", move |page| {
                // c has asked for what comes after the first.
                page.entries = still.entries[1..].to_vec();
                page.length = still.length;
            });
        } else {
            world.fork_for(c);
        }
        world.say(b, "/revoke phone");
        for _ in 0..50 {
            world.step(b);
            world.step(a);
        }
        world.devices[c].hints.retain(|h| !matches!(h, StreamEvent::Event(e) if is_account(e)));
        world.pass(20_000);
        world.look_up(b);
        assert_eq!(world.alarms(c), Vec::<String>::new());

        world.say(b, "hello");
        world.pass(2 * MINUTE);
        let alarms = world.alarms(c).join("\n");
        let told = match with_proof {
            true => "its directory has entries of the account that it keeps back here",
            false => "which b/pc was shown one of",
        };
        assert!(alarms.contains(told), "{with_proof} {alarms}");
    }
}

fn is_account(event: &Event) -> bool {
    matches!(event, Event::Account { .. })
}

/// With a stolen key of one of the user's devices the service makes two logs, each of which is valid.
#[test]
fn two_logs_for_two_people_are_told_to_one_of_them() {
    let (mut world, [a, b, c]) = published(9);
    let stolen = world.devices[b].engine.book.identity().signer.clone();
    let account = world.account(b);
    let [one, two] = [20, 21].map(|seed| add_ghost(&account, &stolen, &key_pair(seed)));
    world.publish_for("b", head(&one));
    for (i, entry) in [(a, one), (c, two)] {
        let bytes: Bytes = entry.to_bytes().unwrap().into();
        world.lie_about("b", move |page| {
            page.entries.push(bytes.clone());
            page.length = 2;
        });
        let engine = &mut world.devices[i].engine;
        engine.lookups.insert(name("b"));
        while !world.devices[i].engine.lookups.is_empty()
            || world.devices[i].engine.watching.holds()
        {
            world.step(i);
        }
        world.step(i);
        world.lie = None;
    }
    world.settle();
    assert_eq!(world.alarms(a).len(), 0, "{:?}", world.alarms(a));
    let alarms = world.alarms(c);
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    assert!(alarms[0].contains("has another account under this name"), "{alarms:?}");
    // And b, whose device was stolen, by its own log.
    world.look_up(b);
    world.pass(10 * MINUTE);
    assert!(world.alarms(b)[0].contains("under your name"), "{:?}", world.alarms(b));
}

/// What it can still do: nobody can tell a directory that lied from the first day, to everybody alike, from a true one.
#[test]
fn a_first_key_that_was_false_from_the_first_day_is_seen_by_its_owner_alone() {
    let (mut world, [a, ..]) = published(10);
    create_falsely(&world.service, "d", world.time());
    world.pass(20_000);
    world.say(a, "/invite d");
    world.settle();
    assert_eq!(world.alarms(a).len(), 0);
    assert!(world.devices[a].engine.book.account(&name("d")).is_some());
    // The true d finds the name taken.
    let d = world.add_alone("d/pc");
    assert!(!world.devices[d].has_line("ready"));
}

#[test]
fn a_forked_service_has_the_same_key() {
    let world = World::new(11);
    let (copy, _folder) = forked(world.folder.path());
    let key = |service: &Service<SqliteStorage>| service.directory().key();
    assert_eq!(key(&copy), key(&world.service), "or the tests above show less than they say");
}

/// The service says again and again that it has forgotten the own log: it is told once, and then the user is.
#[test]
fn a_service_that_keeps_back_ones_own_log_is_told_once_what_it_lacks() {
    let (mut world, [_, b, _]) = published(12);
    let before = world.page("b");
    let phone = world.add("b/phone");
    world.pass(20_000);
    world.lie_about("b", move |page| {
        page.entries = before.entries.clone();
        page.length = before.length;
    });
    world.look_up(b);
    for i in [b, phone] {
        let own = "alarm - the service shows another account log under your name";
        assert!(world.devices[i].count(own) <= 1, "{:?}", world.alarms(i));
    }
    assert!(world.alarms(b)[0].contains("its log had 2 entries, and the service shows 1"));
}
