//! What a device promises, over a store that can fail.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use conclave_device::{
    Device, Error, JoinOptions, KEY_PACKAGES, MemoryStore, Received, Room, Settings, Store,
    WriteSet,
};
use conclave_mls::component::{AppDataRequest, ComponentId};
use conclave_mls::credential::CredentialRequest;
use conclave_mls::group::{NewProposal, ProposalType};
use conclave_mls::storage::ApplyError;
use conclave_mls::{CipherSuite, Credential, Event, Verdict};
use conclave_provider_rustcrypto::RustCrypto;
use conclave_store::StoreError;
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::sync::Arc;

const SUITE: CipherSuite = CipherSuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_ED25519;

fn accept(_: &CredentialRequest) -> Verdict {
    Verdict::Accept
}

fn device() -> Device {
    Device::new(Settings::new(RustCrypto::new()))
}

/// Two members of a room, with their stores.
struct Pair {
    alice: Room,
    alices: MemoryStore,
    bob: Room,
    bobs: MemoryStore,
}

fn pair() -> Pair {
    let device = device();
    let (mut alices, mut bobs) = (MemoryStore::new(), MemoryStore::new());
    let me = device.identity(&mut bobs, "me", Credential::basic(b"bob"), SUITE).unwrap();
    let published = device.key_packages(&me, 1).unwrap().write(&mut bobs).unwrap();
    let me = device.identity(&mut alices, "me", Credential::basic(b"alice"), SUITE).unwrap();
    let mut alice =
        device.create(&me, b"room".as_slice().into()).unwrap().write(&mut alices).unwrap();
    let client = device.check_key_package(&published[0]).unwrap().resolve(Verdict::Accept).unwrap();
    let step = alice.change(|_, change| change.add(&client)).unwrap().unwrap();
    let sent = step.write(&mut alices).unwrap();
    alice.accepted(&sent.id).unwrap().write(&mut alices).unwrap();
    let joining = device.join(&bobs, &sent.welcomes[0].message, JoinOptions::default()).unwrap();
    let (bob, from) = joining.judge(accept).unwrap().write(&mut bobs).unwrap();
    assert_eq!(from, alice.epoch());
    Pair { alice, alices, bob, bobs }
}

fn read(room: &mut Room, store: &mut MemoryStore, message: &[u8]) -> Event {
    match room.receive(message).unwrap().judge(accept) {
        Received::Step(step) => step.write(store).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// A store whose writes fail with an outcome that is unknown, although they happened.
struct Doubtful(MemoryStore);

impl Store for Doubtful {
    fn load(
        &self,
        group: &conclave_mls::GroupId,
    ) -> Result<Vec<(conclave_store::RowKey, conclave_store::Secret)>, StoreError> {
        self.0.load(group)
    }
    fn write(&mut self, set: &WriteSet) -> Result<(), StoreError> {
        self.0.write(set)?;
        Err(StoreError::unknown("a time-out"))
    }
    fn groups(&self) -> Result<Vec<conclave_mls::GroupId>, StoreError> {
        self.0.groups()
    }
    fn get(&self, ns: &str, key: &[u8]) -> Result<Option<conclave_store::Secret>, StoreError> {
        self.0.get(ns, key)
    }
    fn scan(
        &self,
        ns: &str,
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, conclave_store::Secret)>, StoreError> {
        self.0.scan(ns, from, limit)
    }
}

#[test]
fn an_identity_is_stored_once_and_another_credential_is_refused() {
    let (device, mut store) = (device(), MemoryStore::new());
    let alice = Credential::basic(b"alice");
    let first = device.identity(&mut store, "me", alice.clone(), SUITE).unwrap();
    assert_eq!(device.identity(&mut store, "me", alice, SUITE).unwrap(), first);
    let other = device.identity(&mut store, "me", Credential::basic(b"bob"), SUITE);
    assert_eq!(other.unwrap_err(), Error::OtherIdentity);
}

#[test]
fn joining_uses_up_the_key_package_in_the_same_write() {
    let Pair { bobs, .. } = pair();
    assert!(bobs.scan(KEY_PACKAGES, &[], 9).unwrap().is_empty());
}

#[test]
fn a_lost_race_asks_the_intent_again_which_may_find_nothing_to_do() {
    let Pair { mut alice, mut alices, mut bob, mut bobs } = pair();
    let start = alice.epoch();
    let once = |room: conclave_mls::group::GroupView<'_>, change: &mut conclave_device::Changes| {
        if room.epoch() == start {
            change.renew();
        }
    };
    let won = bob.change(once).unwrap().unwrap().write(&mut bobs).unwrap();
    let lost = alice.change(once).unwrap().unwrap().write(&mut alices).unwrap();
    bob.accepted(&won.id).unwrap().write(&mut bobs).unwrap();

    let Event::Epoch(change) = read(&mut alice, &mut alices, &won.commit) else { panic!() };
    assert!(change.discarded_own_commit);
    assert!(alice.change(once).unwrap().is_none());
    // A late verdict on the lost commit is no verdict on anything else.
    assert!(matches!(alice.accepted(&lost.id), Err(Error::Mls(_))));
    assert_eq!(
        alice.group().epoch_authenticator().unwrap(),
        bob.group().epoch_authenticator().unwrap()
    );
}

#[test]
fn a_commit_without_a_verdict_is_found_after_a_restart() {
    let Pair { mut alice, mut alices, .. } = pair();
    let sent = alice.change(|_, c| c.renew()).unwrap().unwrap().write(&mut alices).unwrap();
    let id = alice.id().clone();
    drop(alice);

    let mut alice = device().load(&alices, &id).unwrap().unwrap();
    assert_eq!(alice.pending(), Some(&sent));
    let epoch = alice.epoch();
    alice.accepted(&sent.id).unwrap().write(&mut alices).unwrap();
    assert!(alice.epoch() > epoch);
}

#[test]
fn after_an_unknown_write_the_room_goes_on_only_when_it_is_loaded_again() {
    let Pair { mut alice, alices, mut bob, mut bobs } = pair();
    let mut doubtful = Doubtful(alices);
    let failed = alice.encrypt(b"one").unwrap().write(&mut doubtful);
    assert!(matches!(failed, Err(Error::Store(StoreError::Unknown(_)))));
    let again = alice.encrypt(b"two").unwrap().write(&mut doubtful.0);
    assert_eq!(again.unwrap_err(), Error::Reload);

    // The key of the first message is used up on disk: the next one has another.
    let mut store = doubtful.0;
    let mut alice = device().load(&store, bob.id()).unwrap().unwrap();
    let message = alice.encrypt(b"two").unwrap().write(&mut store).unwrap();
    let Event::Application(text) = read(&mut bob, &mut bobs, &message) else { panic!() };
    assert_eq!((text.generation, text.data.as_slice()), (1, b"two".as_slice()));
}

#[test]
fn a_future_dropped_before_its_write_leaves_no_trace_and_later_stops_the_room() {
    let Pair { mut alice, .. } = pair();
    let mut context = Context::from_waker(Waker::noop());

    let step = alice.encrypt(b"never polled").unwrap();
    drop(step.write_with(async |_, _| Ok::<_, StoreError>(())));

    let step = alice.encrypt(b"cancelled").unwrap();
    {
        let pending = step.write_with(async |_, _| {
            core::future::pending::<()>().await;
            Ok::<_, StoreError>(())
        });
        assert!(matches!(pin!(pending).poll(&mut context), Poll::Pending));
    }
    let step = alice.encrypt(b"after it").unwrap();
    let written = pin!(step.write_with(async |_, _| Ok::<_, StoreError>(())));
    let Poll::Ready(result) = written.poll(&mut context) else { panic!("it does not wait") };
    assert_eq!(result.unwrap_err(), ApplyError::Reload);
}

#[test]
fn a_rejoin_replaces_the_old_leaf_and_survives_a_restart() {
    let Pair { mut alice, mut alices, bob, mut bobs } = pair();
    let device = device();
    let id = bob.id().clone();
    drop(bob);
    let me = device.identity(&mut bobs, "me", Credential::basic(b"bob"), SUITE).unwrap();
    let info = alice.group_info().unwrap();
    let rejoining = device.rejoin(&me, &info).unwrap();
    let commit = {
        let pending = rejoining.judge(accept).unwrap().write(&mut bobs).unwrap();
        pending.commit().to_vec()
    };

    // The program ends between sending the commit and its verdict.
    let pending = device.pending_rejoin(&bobs, &id).unwrap().unwrap();
    assert_eq!(pending.commit(), commit);
    let Event::Epoch(change) = read(&mut alice, &mut alices, &commit) else { panic!() };
    assert_eq!((change.removed.len(), change.added.len()), (1, 1));
    let bob = pending.accepted().write(&mut bobs).unwrap();
    assert!(device.pending_rejoin(&bobs, &id).unwrap().is_none());
    assert_eq!(bob.group().members().count(), 2);
    assert_eq!(
        alice.group().epoch_authenticator().unwrap(),
        bob.group().epoch_authenticator().unwrap()
    );
}

#[test]
fn a_refused_message_gives_the_deletion_of_its_key() {
    let Pair { mut alice, mut alices, mut bob, mut bobs } = pair();
    // An encrypted commit that Bob's policy of credentials refuses.
    let device = device();
    let mut carols = MemoryStore::new();
    let me = device.identity(&mut carols, "me", Credential::basic(b"carol"), SUITE).unwrap();
    let published = device.key_packages(&me, 1).unwrap().write(&mut carols).unwrap();
    let client = device.check_key_package(&published[0]).unwrap().resolve(Verdict::Accept).unwrap();
    let change = alice.change(|_, change| {
        change.add(&client);
        change.options().framing.encrypt = true;
    });
    let sent = change.unwrap().unwrap().write(&mut alices).unwrap();
    let refused = bob.receive(&sent.commit).unwrap().judge(|_| Verdict::refuse("not carol"));
    let Received::Refused(refusal) = refused else { panic!("it was taken") };
    refusal.step.expect("the key was used").write(&mut bobs).unwrap();

    // The key is gone: the same bytes do not open again.
    let Received::Refused(refusal) = bob.receive(&sent.commit).unwrap() else { panic!() };
    assert!(refusal.step.is_none());
}

const TOPIC: ComponentId = ComponentId(0x8001);

/// A topic is the last update, if none of them shouts.
fn topics() -> Device {
    let components = |request: &AppDataRequest| {
        let mut updates = request.updates.iter().map(|(_, update)| update);
        if request.component_id != TOPIC || updates.any(|update| update.ends_with(b"!")) {
            return None;
        }
        request.updates.last().map(|(_, update)| update.clone())
    };
    Device::new(Settings { components: Arc::new(components), ..Settings::new(RustCrypto::new()) })
}

#[test]
fn components_decide_in_commits_of_ours_and_of_others() {
    let able = |device: &Device, store: &mut MemoryStore, name: &[u8]| {
        let mut me = device.identity(store, "me", Credential::basic(name), SUITE).unwrap();
        me.leaf = me.leaf.with_components(&[TOPIC]).unwrap();
        me.leaf.capabilities.proposals.push(ProposalType::APP_DATA_UPDATE);
        device.store_identity("me", me).unwrap().write(store).unwrap()
    };
    let set =
        |topic: &[u8]| NewProposal::AppDataUpdate { component_id: TOPIC, update: topic.into() };
    let (mut alices, mut bobs) = (MemoryStore::new(), MemoryStore::new());
    let (device, deaf) = (topics(), device());
    let me = able(&device, &mut bobs, b"bob");
    let published = device.key_packages(&me, 1).unwrap().write(&mut bobs).unwrap();
    let me = able(&device, &mut alices, b"alice");
    let mut alice =
        device.create(&me, b"room".as_slice().into()).unwrap().write(&mut alices).unwrap();
    let client = device.check_key_package(&published[0]).unwrap().resolve(Verdict::Accept).unwrap();
    let step = alice.change(|_, change| change.add(&client)).unwrap().unwrap();
    let sent = step.write(&mut alices).unwrap();
    alice.accepted(&sent.id).unwrap().write(&mut alices).unwrap();
    let welcome = &sent.welcomes[0].message;
    let joining = device.join(&bobs, welcome, JoinOptions::default()).unwrap();
    let (mut bob, _) = joining.judge(accept).unwrap().write(&mut bobs).unwrap();

    // Bob's shout waits, and Alice's commit leaves it out. Her own would not be made.
    let shout = bob.propose(set(b"tea!")).unwrap().write(&mut bobs).unwrap().message;
    read(&mut alice, &mut alices, &shout);
    assert!(alice.change(|_, change| change.propose(set(b"milk!"))).is_err());
    let step = alice.change(|_, change| change.propose(set(b"tea"))).unwrap().unwrap();
    let sent = step.write(&mut alices).unwrap();
    alice.accepted(&sent.id).unwrap().write(&mut alices).unwrap();

    // A device whose program does not know the component refuses the commit, and Bob's follows it.
    let mut unaware = deaf.load(&bobs, bob.id()).unwrap().unwrap();
    match unaware.receive(&sent.commit).unwrap().judge(accept) {
        Received::Refused(refusal) => assert!(refusal.error.to_string().contains("component")),
        other => panic!("{other:?}"),
    }
    match read(&mut bob, &mut bobs, &sent.commit) {
        Event::Epoch(change) => assert_eq!(change.app_data[0].new.as_deref(), Some(&b"tea"[..])),
        other => panic!("{other:?}"),
    }
    assert_eq!(bob.group().extensions(), alice.group().extensions());
}
