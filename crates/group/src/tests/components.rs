//! Components of the application (draft-ietf-mls-extensions-10).

mod content;
mod exporting;
mod keys;
mod negotiating;
mod safe_aad;

use super::fixture::*;
use crate::{
    Config, Error, Group, GroupInfoOptions, GroupParams, LeafParams, NewProposal, Observer,
    ObserverStage, OwnKeyPackage, Verdict,
};
use alloc::vec;
use alloc::vec::Vec;
use conclave_wire::{AppDataDictionary, ComponentId, ComponentsList, Encode, Extension};

const POLLS: ComponentId = ComponentId(0x8001);
const FILES: ComponentId = ComponentId(0x8002);
const ALL: GroupInfoOptions = GroupInfoOptions { ratchet_tree: true, external_pub: true };

/// A leaf that supports two components.
fn with_components(name: &str) -> LeafParams {
    leaf_params(name).with_components(&[POLLS, FILES]).unwrap()
}

/// A list of components as data.
fn list(ids: &[ComponentId]) -> Vec<u8> {
    ComponentsList::of(ids).to_bytes().unwrap()
}

/// A dictionary with this data for one component.
fn dictionary(component: ComponentId, data: &[u8]) -> Extension {
    AppDataDictionary::default().with(component, data).to_extension().unwrap()
}

fn try_found(leaf: LeafParams, extensions: Vec<Extension>, config: Config) -> Result<Peer, Error> {
    let mut rng = TestRng(7);
    let mut params = GroupParams::new(b"a group".as_slice().into(), SUITE, leaf, LIFETIME);
    params.extensions = extensions;
    let signer = signer(&mut rng);
    Ok(Peer::settle(Group::create(&PROVIDER, &mut rng, config, params, signer)?, 1))
}

fn key_package_with(leaf: LeafParams, seed: u64) -> OwnKeyPackage {
    key_package_of(leaf, &mut TestRng(seed))
}

/// A group of members with these leaves and extensions.
fn group(leaves: Vec<LeafParams>, extensions: Vec<Extension>) -> Vec<Peer> {
    group_under(leaves, extensions, Config::default())
}

fn group_under(leaves: Vec<LeafParams>, extensions: Vec<Extension>, config: Config) -> Vec<Peer> {
    let mut leaves = leaves.into_iter();
    let founder = leaves.next().unwrap();
    let mut peers = vec![try_found(founder, extensions, config.clone()).unwrap()];
    for (leaf, seed) in leaves.zip(100..) {
        let own = key_package_with(leaf, seed);
        let options = commit_of(vec![NewProposal::Add(valid(&own))]);
        let messages = peers[0].commit(options);
        deliver(&mut peers, 0, &messages.commit);
        peers[0].accepted();
        peers.push(Peer::join(&messages.welcomes[0].message, &own, config.clone(), seed));
    }
    agree(&peers);
    peers
}

fn observer_of(peer: &Peer) -> Observer {
    let info = peer.group.group_info(&PROVIDER, ALL).unwrap();
    let stage = ObserverStage::open(&PROVIDER, Config::default(), &info, None).unwrap();
    let verdicts = vec![Verdict::Accept; stage.credentials().len()];
    stage.resolve(&verdicts).unwrap()
}

fn alice_and_bob() -> Vec<Peer> {
    group(vec![with_components("alice"), with_components("bob")], vec![])
}
