//! Groups whose members support the proposals of draft-ietf-mls-extensions-10.

use super::fixture::*;
use crate::{Config, Error, Group, LeafParams, NewProposal, OwnKeyPackage};
use alloc::vec;
use alloc::vec::Vec;
use conclave_wire::{AppDataDictionary, ComponentId, Extension, ProposalType};

pub(super) const TOPIC: ComponentId = ComponentId(0x8001);
pub(super) const ROLES: ComponentId = ComponentId(0x8002);

/// A dictionary with these entries.
pub(super) fn dictionary(entries: &[(ComponentId, &[u8])]) -> Extension {
    let mut dictionary = AppDataDictionary::default();
    for (component_id, data) in entries {
        dictionary.set(*component_id, (*data).into());
    }
    dictionary.to_extension().unwrap()
}

/// A leaf that supports the draft's proposals, and these besides.
pub(super) fn able_with(name: &str, more: &[ProposalType]) -> LeafParams {
    let mut leaf = leaf_params(name).with_components(&[TOPIC, ROLES]).unwrap();
    leaf.capabilities.proposals =
        vec![ProposalType::APP_DATA_UPDATE, ProposalType::APP_EPHEMERAL, ProposalType::SELF_REMOVE];
    leaf.capabilities.proposals.extend(more);
    leaf
}

pub(super) fn able(name: &str) -> LeafParams {
    able_with(name, &[])
}

pub(super) fn add_with(own: &OwnKeyPackage, config: &Config) -> NewProposal {
    NewProposal::Add(valid_under(own, config))
}

/// Alice, Bob and Carol in a group with a dictionary of these entries.
pub(super) fn scene(entries: &[(ComponentId, &[u8])]) -> Vec<Peer> {
    let extensions = if entries.is_empty() { Vec::new() } else { vec![dictionary(entries)] };
    group_from(["alice", "bob", "carol"].map(able).into(), extensions, &Config::default())
}

/// The dictionary of a peer's group. Empty if it has none.
pub(super) fn data_of(group: &Group) -> Vec<(ComponentId, Vec<u8>)> {
    let dictionary = AppDataDictionary::find(group.extensions()).unwrap().unwrap_or_default();
    dictionary.entries().iter().map(|entry| (entry.component_id, entry.data.to_vec())).collect()
}

pub(super) fn update(component_id: ComponentId, update: &[u8]) -> NewProposal {
    NewProposal::AppDataUpdate { component_id, update: update.into() }
}

pub(super) fn removal(component_id: ComponentId) -> NewProposal {
    NewProposal::AppDataRemoval { component_id }
}

/// The step of a proposal by this peer fails with an error.
#[track_caller]
pub(super) fn cannot_propose(peer: &mut Peer, proposal: NewProposal) -> Error {
    let framing = crate::Framing::default();
    peer.group.propose(&PROVIDER, &mut peer.rng, NOW, proposal, &framing).unwrap_err()
}
