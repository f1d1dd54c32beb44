//! The service's secret, account logs and the devices that they hold.

use super::place::Place;
use super::samples::{
    SUITE, commit, create, current, extension, id, info, package, packages_of, register, won,
};
use crate::storage::DeviceInfo;
use crate::storage::{
    AccountExtension, AccountRecord, CommitEffects, Extended, Give, KeyPackagesAdded, Membership,
    Storage,
};
use conclave_delivery_api::{Bytes, DeviceId, GroupId};
use conclave_mls::crypto::SignatureScheme;

pub(super) fn check<P: Place>(new: &dyn Fn() -> P) {
    secret(new);
    logs(new);
    pages(new);
    names(new);
    invitations(new);
    devices(new);
    revocations(new);
    revoked_members(new);
    rotations(new);
    around(new);
    races(new);
}

fn secret<P: Place>(new: &dyn Fn() -> P) {
    let (place, other) = (new(), new());
    let storage = place.open().unwrap();
    let secret = storage.secret().unwrap();
    assert_eq!(secret.len(), 32);
    assert_eq!(storage.secret().unwrap(), secret, "the secret changes");
    assert_ne!(other.open().unwrap().secret().unwrap(), secret, "two services share a secret");

    drop(storage);
    assert_eq!(place.open().unwrap().secret().unwrap(), secret, "the secret is drawn again");
}

fn stored(storage: &impl Storage, extension: AccountExtension) {
    assert_eq!(storage.extend_account(extension), Ok(Extended::Stored));
}

fn all_entries(storage: &impl Storage, user: &str) -> Vec<Bytes> {
    storage.account_entries(&user.parse().unwrap(), 0, 100, usize::MAX).unwrap()
}

/// What there is of an account: where its log ends, the log, the devices.
fn whole(
    storage: &impl Storage,
    user: &str,
) -> (Option<AccountRecord>, Vec<Bytes>, Vec<DeviceInfo>) {
    let name = user.parse().unwrap();
    let devices = storage.devices(&name).unwrap();
    (storage.account(&name).unwrap(), all_entries(storage, user), devices)
}

fn logs<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    assert_eq!(whole(&storage, "alice"), (None, vec![], vec![]));

    let several = AccountExtension {
        entries: vec![b"one".as_slice().into(), b"two".as_slice().into()],
        ..extension("alice", 0, vec![info("alice/pc")])
    };
    stored(&storage, several.clone());
    let bob = extension("bob", 0, vec![info("bob/pc")]);
    stored(&storage, bob.clone());
    let record = AccountRecord { length: 2, state: several.state.clone() };
    let expected = (Some(record), several.entries.clone(), vec![info("alice/pc")]);
    assert_eq!(whole(&storage, "alice"), expected);

    // Who does not know the log's length changes nothing.
    for wrong in [0, 1, 3] {
        let late = extension("alice", wrong, vec![info("alice/phone")]);
        assert_eq!(storage.extend_account(late), Ok(Extended::Raced));
        assert_eq!(whole(&storage, "alice"), expected);
    }
    let strange = extension("carol", 1, vec![info("carol/pc")]);
    assert_eq!(storage.extend_account(strange), Ok(Extended::Raced), "there is no such account");
    assert_eq!(whole(&storage, "carol"), (None, vec![], vec![]));

    let next = extension("alice", 2, vec![info("alice/pc")]);
    stored(&storage, next.clone());
    let record = AccountRecord { length: 3, state: next.state.clone() };
    let log = [several.entries, next.entries].concat();
    let expected = (Some(record), log, vec![info("alice/pc")]);
    assert_eq!(whole(&storage, "alice"), expected);
    assert_eq!(all_entries(&storage, "bob"), bob.entries, "another user's log");

    drop(storage);
    assert_eq!(whole(&place.open().unwrap(), "alice"), expected, "after a restart");
}

fn pages<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let entries: Vec<Bytes> = (0..10).map(|n| vec![n; 100].into()).collect();
    stored(&storage, AccountExtension { entries, ..extension("alice", 0, vec![]) });
    let user = "alice".parse().unwrap();
    let page = |after, limit, bytes| -> Vec<u8> {
        let page = storage.account_entries(&user, after, limit, bytes).unwrap();
        page.iter().map(|entry| entry[0]).collect()
    };
    assert_eq!(page(2, 100, 250), [2, 3, 4], "at least one, and no more after enough");
    assert_eq!(page(0, 100, 1), [0]);
    assert_eq!(page(6, 3, 10_000), [6, 7, 8]);
    assert_eq!(page(9, 3, 10_000), [9]);
    assert!(page(10, 3, 10_000).is_empty());
    assert!(page(u64::MAX, 3, 10_000).is_empty());
}

fn names<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let alike = |user: &str, length| AccountExtension {
        skeleton: "looks like this".into(),
        ..extension(user, length, vec![])
    };
    stored(&storage, alike("alice", 0));
    let taken = storage.extend_account(alike("a1ice", 0));
    assert_eq!(taken, Ok(Extended::NameTaken("alice".into())));
    assert_eq!(whole(&storage, "a1ice"), (None, vec![], vec![]));
    stored(&storage, alike("alice", 1));
}

fn invitations<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let invited = |user: &str, skeleton: &str, invitation| AccountExtension {
        skeleton: skeleton.into(),
        invitation: Some([invitation; 32]),
        ..extension(user, 0, vec![info(&format!("{user}/pc"))])
    };
    stored(&storage, invited("alice", "alice", 1));
    let used = storage.extend_account(invited("bob", "bob", 1));
    assert_eq!(used, Ok(Extended::InvitationUsed));
    assert_eq!(whole(&storage, "bob"), (None, vec![], vec![]));

    // What is refused for another reason uses up none.
    let taken = storage.extend_account(invited("a1ice", "alice", 2));
    assert_eq!(taken, Ok(Extended::NameTaken("alice".into())));
    let raced = AccountExtension { expected_length: 4, ..invited("bob", "bob", 2) };
    assert_eq!(storage.extend_account(raced), Ok(Extended::Raced));
    stored(&storage, invited("bob", "bob", 2));

    drop(storage);
    let again = place.open().unwrap().extend_account(invited("carol", "carol", 2));
    assert_eq!(again, Ok(Extended::InvitationUsed), "after a restart");
}

fn devices<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let alice = "alice".parse().unwrap();
    assert_eq!(storage.device(&id("alice/pc")), Ok(None));
    assert_eq!(storage.devices(&alice), Ok(vec![]));

    // In the order in which their names were first used, whatever they are called.
    register(&storage, ["alice/pc", "bob/pc", "alice/laptop", "alice/phone"]);
    let mut devices = ["alice/pc", "alice/laptop", "alice/phone"].map(info);
    assert_eq!(storage.devices(&alice), Ok(devices.to_vec()));
    assert_eq!(storage.device(&id("bob/pc")), Ok(Some(info("bob/pc"))));

    // A revoked one stays, and its name can be used again, by whatever key.
    devices[0].active = false;
    stored(&storage, extension("alice", 3, devices.to_vec()));
    assert_eq!(storage.device(&id("alice/pc")), Ok(Some(devices[0].clone())));
    devices[0].active = true;
    devices[0].signature_key = vec![9; 4].into();
    devices[0].scheme = SignatureScheme::EcdsaSecp256r1Sha256;
    stored(&storage, extension("alice", 4, devices.to_vec()));
    assert_eq!(storage.device(&id("alice/pc")), Ok(Some(devices[0].clone())));
    assert_eq!(storage.devices(&alice), Ok(devices.to_vec()));
}

/// Two devices of Alice's, each with a key package and a Welcome; one Welcome is for both. Both are in one group; the
/// phone has left another one.
fn filled(storage: &impl Storage) -> [DeviceId; 2] {
    let [pc, phone] = register(storage, ["alice/pc", "alice/phone"]);
    let group = create(storage, 1, &[&pc, &phone]);
    let left = create(storage, 2, &[&phone]);
    let leaving = CommitEffects { removed: vec![phone.clone()], ..CommitEffects::default() };
    won(storage, commit(&left, &phone, 1, 0, leaving));
    for (n, device) in (1..).zip([&pc, &phone]) {
        let new = packages_of(&current(storage, device), vec![package(n)]);
        let added = storage.add_key_packages(new);
        assert_eq!(added, Ok(KeyPackagesAdded::Stored(1)));
    }
    let effects = CommitEffects {
        welcomes: vec![
            (b"for both".as_slice().into(), vec![pc.clone(), phone.clone()]),
            (b"for one".as_slice().into(), vec![phone.clone()]),
        ],
        ratchet_tree: Some(b"tree".as_slice().into()),
        ..CommitEffects::default()
    };
    won(storage, commit(&group, &pc, 1, 0, effects));
    [pc, phone]
}

fn claimed(storage: &impl Storage, device: &DeviceId) -> Option<Bytes> {
    storage.claim_key_packages(vec![device.clone()], SUITE, Give::Next, 0).unwrap().remove(0)
}

/// Alice revokes her phone; and if there is another device of that name, adds it.
fn revoking(length: u64, phone: DeviceInfo) -> AccountExtension {
    AccountExtension {
        revoked: vec![phone.device.clone()],
        ..extension("alice", length, vec![info("alice/pc"), phone])
    }
}

fn revocations<P: Place>(new: &dyn Fn() -> P) {
    let gone = DeviceInfo { active: false, ..info("alice/phone") };
    let another = DeviceInfo { signature_key: vec![7; 4].into(), ..info("alice/phone") };
    for with_another in [false, true] {
        let place = new();
        let storage = place.open().unwrap();
        let [pc, phone] = filled(&storage);
        if with_another {
            stored(&storage, revoking(2, another.clone()));
        } else {
            stored(&storage, revoking(2, gone.clone()));
            nothing_is_left(&storage, &phone);
            // The name is used again later.
            stored(&storage, extension("alice", 3, vec![info("alice/pc"), another.clone()]));
        }
        nothing_is_left(&storage, &phone);
        assert_eq!(claimed(&storage, &phone), None);
        let owner = storage.key_package_owner(&package(2).reference);
        assert_eq!(owner, Ok(Some(phone.clone())), "whose it was is known all the same");

        // What belongs to the other device stays, the Welcome and the tree that both had included.
        let (items, total) = storage.inbox(&pc, 9, usize::MAX).unwrap();
        assert_eq!(total, 1);
        assert_eq!(&*items[0].welcome.welcome, b"for both");
        assert_eq!(items[0].welcome.ratchet_tree, Some(Bytes::from(b"tree".as_slice())));
        assert_eq!(claimed(&storage, &pc), Some(package(1).message));
        assert_eq!(storage.members(&GroupId::from([1])), Ok([pc].into()));
    }
}

fn nothing_is_left(storage: &impl Storage, device: &DeviceId) {
    assert_eq!(storage.key_packages(device, 0), Ok(vec![]), "key packages are left");
    assert_eq!(storage.inbox_size(device), Ok((0, 0)), "Welcomes are left");
    assert_eq!(storage.groups_of(device), Ok(vec![]), "it is in a group");
    for group in [1, 2] {
        let membership = storage.membership(&GroupId::from([group]), device);
        assert_eq!(membership, Ok(Membership::Stranger));
    }
}

/// Commits and groups that were checked while a device was active.
fn revoked_members<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let [pc, phone] = filled(&storage);
    stored(&storage, revoking(2, DeviceInfo { active: false, ..info("alice/phone") }));

    let group = GroupId::from([1]);
    let effects = CommitEffects {
        added: vec![phone.clone()],
        welcomes: vec![(b"late".as_slice().into(), vec![phone.clone(), pc.clone()])],
        ..CommitEffects::default()
    };
    won(&storage, commit(&group, &pc, 2, 1, effects));
    let removal = CommitEffects { removed: vec![phone.clone()], ..CommitEffects::default() };
    won(&storage, commit(&group, &pc, 3, 2, removal));
    create(&storage, 3, &[&pc, &phone]);
    nothing_is_left(&storage, &phone);
    assert_eq!(storage.members(&GroupId::from([3])), Ok([pc.clone()].into()));
    assert_eq!(storage.inbox_size(&pc).unwrap().0, 2);
}

fn rotations<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let [pc, phone] = filled(&storage);

    // To be told the same again changes nothing.
    stored(&storage, extension("alice", 2, vec![info("alice/pc"), info("alice/phone")]));
    assert_eq!(storage.key_packages(&phone, 0).unwrap().len(), 1);

    // Its key packages hold the former key; the Welcomes, it can still open.
    let rotated = DeviceInfo { signature_key: vec![7; 4].into(), ..info("alice/phone") };
    stored(&storage, extension("alice", 3, vec![info("alice/pc"), rotated]));
    assert_eq!(storage.key_packages(&phone, 0), Ok(vec![]), "key packages are left");
    assert_eq!(storage.inbox_size(&phone).unwrap().0, 2);
    assert_eq!(storage.key_packages(&pc, 0).unwrap().len(), 1, "another device's");
    assert_eq!(storage.membership(&GroupId::from([1]), &phone), Ok(Membership::Member));
}

/// Of whose accounts a device is told.
fn around<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let names = ["alice/pc", "alice/phone", "bob/pc", "carol/pc", "dave/pc"];
    let [pc, phone, bob, carol, dave] = register(&storage, names);
    create(&storage, 1, &[&pc, &bob, &carol]);
    let left = create(&storage, 2, &[&pc, &dave]);
    let leaving = CommitEffects { removed: vec![pc.clone()], ..CommitEffects::default() };
    won(&storage, commit(&left, &dave, 1, 0, leaving));

    let around = |device: &DeviceId, limit| -> Vec<(String, u64)> {
        let accounts = storage.accounts_around(device, limit).unwrap().into_iter();
        accounts.map(|(user, length)| (user.to_string(), length)).collect()
    };
    let all = [("alice".into(), 2), ("bob".into(), 1), ("carol".into(), 1)];
    assert_eq!(around(&pc, 9), all);
    let some = around(&pc, 1);
    assert!(some.contains(&all[0]) && some.len() <= 2, "{some:?}");
    assert_eq!(around(&carol, 9), all);
    assert_eq!(around(&phone, 9), all[..1], "another device's groups");
    assert_eq!(around(&dave, 9), [("dave".into(), 1)], "who has left the group");
}

fn races<P: Place>(new: &dyn Fn() -> P) {
    const COUNT: usize = 16;
    let place = new();
    let storage = place.open().unwrap();
    let all = |make: &(dyn Fn(usize) -> AccountExtension + Sync)| -> Vec<Extended> {
        std::thread::scope(|scope| {
            let one = |n| storage.extend_account(make(n)).unwrap();
            let threads: Vec<_> = (0..COUNT).map(|n| scope.spawn(move || one(n))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    };
    let count = |results: &[Extended], wanted: fn(&Extended) -> bool| {
        results.iter().filter(|result| wanted(result)).count()
    };
    let is_stored = |result: &Extended| *result == Extended::Stored;

    // Of those who take names that look alike, one is first.
    let results = all(&|n| AccountExtension {
        skeleton: "the same".into(),
        ..extension(&format!("user-{n}"), 0, vec![])
    });
    assert_eq!(count(&results, is_stored), 1, "{results:?}");
    let is_taken = |result: &Extended| matches!(result, Extended::NameTaken(_));
    assert_eq!(count(&results, is_taken), COUNT - 1, "{results:?}");

    // So it is with one invitation, and with the next entry of one log.
    let results = all(&|n| AccountExtension {
        invitation: Some([7; 32]),
        ..extension(&format!("invited-{n}"), 0, vec![])
    });
    assert_eq!(count(&results, is_stored), 1, "{results:?}");
    let results = all(&|_| extension("alice", 0, vec![]));
    assert_eq!(count(&results, is_stored), 1, "{results:?}");
    assert_eq!(count(&results, |result| *result == Extended::Raced), COUNT - 1, "{results:?}");
    assert_eq!(all_entries(&storage, "alice").len(), 1);
}
