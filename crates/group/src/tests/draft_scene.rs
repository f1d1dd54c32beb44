//! Groups whose members support the proposals of draft-ietf-mls-extensions-10.

use super::fixture::*;
use crate::{
    Answers, Config, Error, Group, GroupInfoOptions, GroupParams, LeafParams, NewProposal,
    Observer, ObserverEvent, ObserverStage, OwnKeyPackage, ValidKeyPackage, Verdict, apply,
};
use alloc::vec;
use alloc::vec::Vec;
use conclave_wire::{
    AppDataDictionary, ComponentId, ComponentsList, Encode, Extension, ExtensionType, ProposalType,
};
use core::convert::Infallible;

pub(super) const ALL: GroupInfoOptions =
    GroupInfoOptions { ratchet_tree: true, external_pub: true };
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
    let mut leaf = leaf_params(name);
    leaf.capabilities.extensions.push(ExtensionType::APP_DATA_DICTIONARY);
    leaf.capabilities.proposals =
        vec![ProposalType::APP_DATA_UPDATE, ProposalType::APP_EPHEMERAL, ProposalType::SELF_REMOVE];
    leaf.capabilities.proposals.extend(more);
    let known = ComponentsList { component_ids: vec![TOPIC, ROLES] }.to_bytes().unwrap();
    leaf.extensions.push(dictionary(&[(ComponentId::APP_COMPONENTS, &known)]));
    leaf
}

pub(super) fn able(name: &str) -> LeafParams {
    able_with(name, &[])
}

pub(super) fn add_with(own: &OwnKeyPackage, config: &Config) -> NewProposal {
    let kp = own.key_package().clone();
    let stage = ValidKeyPackage::check(&PROVIDER, NOW, config, kp).unwrap();
    NewProposal::Add(stage.resolve(Verdict::Accept).unwrap().into())
}

/// Members with these leaves, in order.
pub(super) fn scene_with(
    leaves: Vec<LeafParams>,
    extensions: Vec<Extension>,
    config: &Config,
) -> Vec<Peer> {
    let mut rng = TestRng(7);
    let mut leaves = leaves.into_iter();
    let params = GroupParams {
        group_id: b"a group".as_slice().into(),
        cipher_suite: SUITE,
        extensions,
        leaf: leaves.next().unwrap(),
        lifetime: LIFETIME,
    };
    let keys = signer(&mut rng);
    let new = Group::create(&PROVIDER, &mut rng, config.clone(), params, keys).unwrap();
    let mut peers = vec![Peer::settle(new, 1)];

    let owns: Vec<_> =
        leaves.zip(100..).map(|(leaf, seed)| key_package_of(leaf, &mut TestRng(seed))).collect();
    let adds = owns.iter().map(|own| add_with(own, config)).collect();
    let messages = peers[0].commit(commit_of(adds));
    peers[0].accepted();
    for (own, seed) in owns.iter().zip(2..) {
        peers.push(Peer::join(&messages.welcomes[0].message, own, config.clone(), seed));
    }
    agree(&peers);
    peers
}

/// Alice, Bob and Carol in a group with a dictionary of these entries.
pub(super) fn scene(entries: &[(ComponentId, &[u8])]) -> Vec<Peer> {
    let extensions = if entries.is_empty() { Vec::new() } else { vec![dictionary(entries)] };
    scene_with(["alice", "bob", "carol"].map(able).into(), extensions, &Config::default())
}

/// The dictionary of a peer's group. Empty if it has none.
pub(super) fn data_of(group: &Group) -> Vec<(ComponentId, Vec<u8>)> {
    let dictionary = AppDataDictionary::find(group.extensions()).unwrap().unwrap_or_default();
    dictionary.entries().iter().map(|entry| (entry.component_id, entry.data.to_vec())).collect()
}

pub(super) fn watch(peer: &Peer) -> Observer {
    let info = peer.group.group_info(&PROVIDER, ALL).unwrap();
    let config = peer.group.config().clone();
    let stage = ObserverStage::open(&PROVIDER, config, &info, None).unwrap();
    let verdicts = vec![Verdict::Accept; stage.credentials().len()];
    stage.resolve(&verdicts).unwrap()
}

/// Gives an observer a message, and loads it anew from its rows.
pub(super) fn observe(observer: &mut Observer, message: &[u8]) -> Result<ObserverEvent, Error> {
    let stage = observer.process(&PROVIDER, message)?;
    let verdicts = vec![Verdict::Accept; stage.credentials().len()];
    let app_data = appended(stage.app_data());
    let answers = Answers { verdicts, app_data, ..Answers::default() };
    let step = stage.resolve(observer, &PROVIDER, &answers)?;

    let mut rows = Rows::new();
    observer.rows().unwrap().apply_to(&mut rows);
    let event = apply(observer, step, |write| {
        write.batch.apply_to(&mut rows);
        Ok::<_, Infallible>(())
    })
    .unwrap();
    let config = observer.public.config.clone();
    let loaded = Observer::load(&PROVIDER, config, rows).unwrap();
    assert_eq!(loaded.rows().unwrap(), observer.rows().unwrap());
    Ok(event)
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
