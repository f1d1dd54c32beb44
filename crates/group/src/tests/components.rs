//! Components of the application (draft-ietf-mls-extensions-10).

mod content;
mod exporting;
mod keys;
mod negotiating;
mod safe_aad;

use super::fixture::*;
use crate::{Config, Error, Group, GroupParams, LeafParams, NewProposal, OwnKeyPackage, Verdict};
use alloc::vec;
use alloc::vec::Vec;
use conclave_wire::{AppDataDictionary, ComponentId, ComponentsList, Encode, Extension};

const POLLS: ComponentId = ComponentId(0x8001);
const FILES: ComponentId = ComponentId(0x8002);

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
    let mut params = GroupParams::new(b"a group".as_slice().into(), SUITE, leaf, LIFETIME);
    params.extensions = extensions;
    Peer::try_found(params, config)
}

fn key_package_with(leaf: LeafParams, seed: u64) -> OwnKeyPackage {
    key_package_of(leaf, &mut TestRng(seed))
}

/// A group of members with these leaves and extensions.
fn group(leaves: Vec<LeafParams>, extensions: Vec<Extension>) -> Vec<Peer> {
    group_from(leaves, extensions, &Config::default())
}

fn alice_and_bob() -> Vec<Peer> {
    group(vec![with_components("alice"), with_components("bob")], vec![])
}
