//! This version reads stored states of every format: the files of `vectors/state`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use conclave_crypto::{CryptoProvider, Secret};
use conclave_group::rows::{FORMAT, Table};
use conclave_group::{
    Event, ExternalCommit, Group, Identity, Link, Observer, ObserverEvent, OwnKeyPackage,
    ValidKeyPackage, Verdict, key_package_from_message,
};
use conclave_testkit::party::{LIFETIME, NOW, Peer, config, native, observe, portable, rows_of};
use conclave_testkit::states::{
    EXPORTED, ExternalCommitState, IdentityState, KeyPackageState, LinkState, MemberState,
    ObserverState, SUITES, States, file, from_json, make, stored, to_json,
};
use conclave_testkit::vectors::hex::Hex;
use conclave_testkit::{SeededRng, accepting};
use conclave_wire::Encode;
use std::collections::BTreeSet;
use std::fs::read_to_string;

/// The files of a format.
fn files(format: u8) -> [States; 3] {
    SUITES.map(|suite| {
        let file = file(format, suite);
        let text = read_to_string(&file).unwrap_or_else(|e| {
            panic!("{}: {e}. Every format has its files: `cargo vectors states`", file.display())
        });
        let states = from_json(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        assert_eq!((states.format, states.cipher_suite), (format, suite), "{}", file.display());
        states
    })
}

fn all_files() -> Vec<States> {
    (1..=FORMAT).flat_map(files).collect()
}

fn load(provider: &'static dyn CryptoProvider, state: &MemberState) -> Peer {
    let rows = stored(&state.rows);
    let group = Group::load(provider, config(), rows.clone())
        .unwrap_or_else(|e| panic!("{}: {e}", state.what));
    Peer { group, rows, rng: SeededRng::from_u64(1), psks: Vec::new(), provider }
}

fn authenticator(peer: &Peer) -> &[u8] {
    peer.group.epoch_authenticator().unwrap().as_secret().expose()
}

fn check_member(provider: &'static dyn CryptoProvider, format: u8, state: &MemberState) {
    let peer = load(provider, state);
    if format == FORMAT {
        peer.check();
    }
    assert_eq!(peer.group.context().to_bytes().unwrap(), *state.context);
    assert_eq!(authenticator(&peer), &*state.epoch_authenticator);
    let (label, context, length) = EXPORTED;
    let exported = peer.group.export(provider, label, context, length).unwrap();
    assert_eq!(exported.expose(), &*state.exported);
    assert_eq!(peer.group.own_leaf().0, state.own_leaf);
    assert_eq!(peer.group.pending_commit().is_some(), state.commit.is_none());

    if let Some(checkpoint) = peer.group.checkpoints().next() {
        let mut peer = load(provider, state);
        let step = peer.group.rewind(provider, checkpoint).unwrap();
        peer.take(step);
        for message in &state.since_checkpoint {
            peer.receive(message);
        }
        assert_eq!(authenticator(&peer), &*state.epoch_authenticator, "{}", state.what);
        commit(&mut peer, state);
        assert_eq!(authenticator(&peer), &*state.next_epoch_authenticator, "{}", state.what);
    }

    for commit_first in [false, true] {
        let mut peer = load(provider, state);
        if commit_first {
            commit(&mut peer, state);
        }
        for unread in &state.unread {
            assert_eq!(peer.reads(&unread.message).data, *unread.data);
        }
        if !commit_first {
            commit(&mut peer, state);
        }
        assert_eq!(authenticator(&peer), &*state.next_epoch_authenticator, "{}", state.what);
    }
}

/// Enters the next epoch.
fn commit(peer: &mut Peer, state: &MemberState) {
    match &state.commit {
        None => {
            peer.accepted();
        }
        Some(commit) => {
            let event = peer.receive(commit);
            assert!(matches!(event, Event::Epoch(_)), "{event:?}");
        }
    }
}

fn check_observer(provider: &'static dyn CryptoProvider, format: u8, state: &ObserverState) {
    let rows = stored(&state.rows);
    let mut observer = Observer::load(provider, config(), rows.clone()).unwrap();
    if format == FORMAT {
        assert_eq!(rows_of(observer.rows()), rows);
    }
    assert_eq!(observer.context().to_bytes().unwrap(), *state.context);
    assert_eq!(observer.group_info(), Some(&*state.group_info));

    let event = observe(&mut observer, &state.commit).unwrap();
    assert!(matches!(event, ObserverEvent::Epoch(_)), "{event:?}");
    assert_eq!(observer.context().to_bytes().unwrap(), *state.next_context);
}

/// Checks that a value of the current format is stored as the same bytes again.
fn check_bytes<E: std::fmt::Debug>(format: u8, again: Result<Secret, E>, stored: &Hex) {
    if format == FORMAT {
        assert_eq!(again.unwrap().expose(), &**stored);
    }
}

fn secret(stored: &Hex) -> Secret {
    Secret::copy_from(stored)
}

fn check_key_package(provider: &dyn CryptoProvider, format: u8, state: &KeyPackageState) {
    let own = OwnKeyPackage::from_secret(provider, &secret(&state.stored)).unwrap();
    check_bytes(format, own.to_secret(), &state.stored);
    assert_eq!(own.reference()[..], state.reference[..]);

    let peer = Peer::join(&state.welcome, &own, 1).unwrap();
    assert_eq!(authenticator(&peer), &*state.epoch_authenticator);
}

fn check_link(provider: &dyn CryptoProvider, format: u8, state: &LinkState) {
    let link = Link::from_secret(&secret(&state.stored)).unwrap();
    check_bytes(format, link.to_secret(), &state.stored);
    assert_eq!(*link.group_id().0, *state.group_id);

    let own = OwnKeyPackage::from_secret(provider, &secret(&state.key_package)).unwrap();
    let none = accepting::known(&[]);
    let new = accepting::join(provider, config(), &state.welcome, &own, none, None, Some(&link));
    let peer = Peer::settle(new.unwrap_or_else(|e| panic!("{}: {e}", state.what)), 1);
    assert_eq!(authenticator(&peer), &*state.epoch_authenticator, "{}", state.what);
}

fn check_external_commit(
    provider: &'static dyn CryptoProvider,
    format: u8,
    state: &ExternalCommitState,
) {
    let made = ExternalCommit::from_secret(provider, config(), &secret(&state.stored)).unwrap();
    check_bytes(format, made.to_secret(), &state.stored);
    assert_eq!(made.commit, *state.commit);
    assert_eq!(made.group_info.as_deref(), Some(&*state.group_info));

    let mut peer = Peer { provider, ..Peer::settle(made.group, 1) };
    assert_eq!(authenticator(&peer), &*state.epoch_authenticator);
    assert_eq!(peer.reads(&state.unread.message).data, *state.unread.data);
}

/// A key package of the loaded identity is valid, and its leaf is like that of the old one.
fn check_identity(provider: &dyn CryptoProvider, format: u8, state: &IdentityState) {
    let identity = Identity::from_secret(&secret(&state.stored)).unwrap();
    check_bytes(format, identity.to_secret(), &state.stored);

    let rng = &mut SeededRng::from_u64(1);
    let params = identity.key_package_params(LIFETIME);
    let own = OwnKeyPackage::generate(provider, rng, params, identity.signer).unwrap();
    let old = key_package_from_message(&state.key_package).unwrap();
    let mut leaf = own.key_package().leaf_node.clone();
    leaf.encryption_key = old.leaf_node.encryption_key.clone();
    leaf.signature = old.leaf_node.signature.clone();
    assert_eq!(leaf, old.leaf_node);
    for package in [own.key_package().clone(), old] {
        let stage = ValidKeyPackage::check(provider, NOW, &config(), package).unwrap();
        stage.resolve(Verdict::Accept).unwrap();
    }
}

fn check(states: &States) {
    for provider in [portable(), native()] {
        for member in &states.members {
            check_member(provider, states.format, member);
        }
        check_observer(provider, states.format, &states.observer);
        check_key_package(provider, states.format, &states.key_package);
        for link in &states.links {
            check_link(provider, states.format, link);
        }
        check_external_commit(provider, states.format, &states.external_commit);
        check_identity(provider, states.format, &states.identity);
    }
}

#[test]
fn stored_states_of_every_format_load_and_go_on() {
    for states in all_files() {
        check(&states);
    }
}

#[test]
fn stored_states_have_rows_in_every_table() {
    // None of these states has a named policy; `group::tests::policy` has such rows.
    let elsewhere = [Table::Policy];
    let tables = (0..=u8::MAX).filter_map(Table::from_number);
    let all: BTreeSet<Table> = tables.filter(|table| !elsewhere.contains(table)).collect();
    for states in files(FORMAT) {
        let members = states.members.iter().flat_map(|member| &member.rows);
        let rows = members.chain(&states.observer.rows);
        let there: BTreeSet<Table> = rows.map(|row| row.key.table).collect();
        assert_eq!(there, all, "suite {}", states.cipher_suite);
    }
}

#[test]
fn the_same_seed_makes_the_same_valid_states() {
    for suite in SUITES {
        let states = make(suite, &SeededRng::from_u64(1));
        assert_eq!(states, make(suite, &SeededRng::from_u64(1)));
        assert_ne!(states, make(suite, &SeededRng::from_u64(2)));
        assert_eq!(from_json(&to_json(&states).unwrap()).unwrap(), states);
        check(&states);
    }
}
