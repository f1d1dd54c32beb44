//! Members of a group in one process, each with the rows that it has written, for tests that say
//! step by step what happens. Everything goes through the public interface. (A
//! [`World`](crate::world::World) decides on its own what happens.)
#![allow(clippy::panic, clippy::expect_used, clippy::indexing_slicing)]

mod client;
mod peer;
mod setup;

pub use client::*;
pub use peer::{Peer, agree};
pub use setup::Setup;

use crate::accepting;
use conclave_group::{
    CommitMessages, CommitOptions, Error, Event, LeafParams, Observer, ObserverEvent, OwnKeyPackage,
};
use conclave_wire::CipherSuite;

/// A key package of a leaf; the seed decides its keys.
///
/// # Panics
/// If the leaf breaks a rule.
#[must_use]
pub fn key_package_of(leaf: LeafParams, suite: CipherSuite, seed: u64) -> OwnKeyPackage {
    Setup::of(suite).key_package(leaf, seed)
}

/// A client's key package in [`SUITE`].
#[must_use]
pub fn key_package(name: &str, seed: u64) -> OwnKeyPackage {
    key_package_of(leaf_params(name, SUITE), SUITE, seed)
}

/// A group of members with these leaves, each at the leaf of its place in the list.
///
/// # Panics
/// If it cannot be made.
#[must_use]
pub fn group_of_leaves(leaves: Vec<LeafParams>, suite: CipherSuite) -> Vec<Peer> {
    Setup::of(suite).group(leaves)
}

/// A group of members with these names, in a suite.
#[must_use]
pub fn group_in(suite: CipherSuite, names: &[&str]) -> Vec<Peer> {
    group_of_leaves(names.iter().map(|name| leaf_params(name, suite)).collect(), suite)
}

/// A group of members with these names, in [`SUITE`].
#[must_use]
pub fn group_of(names: &[&str]) -> Vec<Peer> {
    group_in(SUITE, names)
}

/// Delivers a message to all members but one. As the order of delivery is the delivery service's, a
/// member that the message removes deletes its group.
pub fn deliver(peers: &mut [Peer], from: usize, message: &[u8]) {
    for (_, peer) in peers.iter_mut().enumerate().filter(|(place, _)| *place != from) {
        if let Event::Removal(_) = peer.receive(message) {
            let deletion = peer.group.delete().expect("a member");
            peer.take(deletion);
        }
    }
}

/// Lets one member commit, and all others follow.
///
/// # Panics
/// If one of them does not.
pub fn commits(peers: &mut [Peer], who: usize, options: CommitOptions) -> CommitMessages {
    let messages = peers[who].commit(options).expect("a commit");
    deliver(peers, who, &messages.commit);
    peers[who].accepted();
    messages
}

/// An observer of the group that a GroupInfo describes.
///
/// # Panics
/// If the GroupInfo is not valid.
#[must_use]
pub fn watch(info: &[u8]) -> Observer {
    accepting::watch(&PROVIDER, config(), info).expect("an observer")
}

/// Lets an observer follow a public message.
///
/// # Errors
/// If the observer refuses the message.
pub fn observe(observer: &mut Observer, message: &[u8]) -> Result<ObserverEvent, Error> {
    let step = accepting::observe(observer, &PROVIDER, message)?;
    Ok(take_unstored(observer, step))
}
