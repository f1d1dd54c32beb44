//! What clients have stored is read by this version: the files of `vectors/state`, of every format
//! that there has been.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use conclave_crypto::{CryptoProvider, Secret};
use conclave_group::rows::{FORMAT, Table};
use conclave_group::{Event, Group, Observer, ObserverEvent, OwnKeyPackage};
use conclave_provider_aws_lc::AwsLc;
use conclave_testkit::SeededRng;
use conclave_testkit::party::{PROVIDER, Peer, Rows, config, observe};
use conclave_testkit::states::{
    EXPORTED, KeyPackageState, MemberState, ObserverState, SUITES, States, file, from_json, make,
    stored, to_json,
};
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

fn providers() -> [&'static dyn CryptoProvider; 2] {
    [&PROVIDER, Box::leak(Box::new(AwsLc::with_threads(1)))]
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

/// Goes into the next epoch.
fn commit(peer: &mut Peer, state: &MemberState) {
    match &state.commit {
        None => drop(peer.accepted()),
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
        let mut again = Rows::new();
        observer.rows().unwrap().apply_to(&mut again);
        assert_eq!(again, rows);
    }
    assert_eq!(observer.context().to_bytes().unwrap(), *state.context);
    assert_eq!(observer.group_info(), Some(&*state.group_info));
    let event = observe(&mut observer, &state.commit).unwrap();
    assert!(matches!(event, ObserverEvent::Epoch(_)), "{event:?}");
    assert_eq!(observer.context().to_bytes().unwrap(), *state.next_context);
}

fn check_key_package(provider: &dyn CryptoProvider, format: u8, state: &KeyPackageState) {
    let stored = Secret::copy_from(&state.stored);
    let own = OwnKeyPackage::from_secret(provider, &stored).unwrap();
    if format == FORMAT {
        assert_eq!(own.to_secret().unwrap().expose(), stored.expose());
    }
    assert_eq!(own.reference()[..], state.reference[..]);
    let peer = Peer::join(&state.welcome, &own, 1).unwrap();
    assert_eq!(authenticator(&peer), &*state.epoch_authenticator);
}

fn check(states: &States) {
    for provider in providers() {
        for member in &states.members {
            check_member(provider, states.format, member);
        }
        check_observer(provider, states.format, &states.observer);
        check_key_package(provider, states.format, &states.key_package);
    }
}

#[test]
fn the_stored_states_of_every_format_are_read_and_go_on() {
    for states in all_files() {
        check(&states);
    }
}

#[test]
fn the_stored_states_have_something_in_every_table() {
    // None of them is under a policy of a name: `group::tests::policy` has such rows.
    let named = |table: &Table| *table != Table::Policy;
    let tables = (0..=u8::MAX).filter_map(Table::from_number);
    let all: BTreeSet<Table> = tables.filter(named).collect();
    for states in files(FORMAT) {
        let members = states.members.iter().flat_map(|member| &member.rows);
        let rows = members.chain(&states.observer.rows);
        let there: BTreeSet<Table> = rows.map(|row| row.key.table).collect();
        assert_eq!(there, all, "suite {}", states.cipher_suite);
    }
}

#[test]
fn the_same_seed_makes_the_same_stored_states_and_they_are_good() {
    for suite in SUITES {
        let states = make(suite, &SeededRng::from_u64(1));
        assert_eq!(states, make(suite, &SeededRng::from_u64(1)));
        assert_ne!(states, make(suite, &SeededRng::from_u64(2)));
        assert_eq!(from_json(&to_json(&states).unwrap()).unwrap(), states);
        check(&states);
    }
}
