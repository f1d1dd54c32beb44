//! The values of the drafts as OpenMLS has them.

use crate::member::{Change, REPLACES, Result, TOPIC, leaf_dictionary, updated};
use conclave_mls::wire::{
    Bytes, LeafIndex, Reader, TargetedMessageContext, TargetedMessageContextData,
};
use conclave_mls::wire::{Decode, Encode};
use openmls::component::ComponentData;
use openmls::framing::{SafeAad, SafeAadItem};
use openmls::group::{AppDataDictionaryUpdater, AppDataUpdates, Propose};
use openmls::prelude::tls_codec::{Deserialize as _, DeserializeBytes as _};
use openmls::prelude::*;
use openmls::schedule::Psk;
use openmls::schedule::psk::ApplicationPsk;
use openmls_traits::types::CryptoError;
use std::collections::BTreeMap;

/// `supported_wire_formats`, which OpenMLS has no name for.
const WIRE_FORMATS: u16 = 7;

/// The extensions that a client advertises.
pub(super) const EXTENSIONS: &[ExtensionType] = &[
    ExtensionType::Unknown(TOPIC),
    ExtensionType::AppDataDictionary,
    ExtensionType::Unknown(WIRE_FORMATS),
];

/// The proposals that a client advertises.
pub(super) const PROPOSALS: &[ProposalType] =
    &[ProposalType::AppDataUpdate, ProposalType::AppEphemeral, ProposalType::SelfRemove];

/// The extensions of a leaf: its dictionary, and that it takes targeted messages.
pub(super) fn leaf_extensions(extended: bool) -> Result<Extensions<LeafNode>> {
    if !extended {
        return Ok(Extensions::empty());
    }
    let dictionary = leaf_dictionary().to_extension()?.to_bytes()?;
    let formats = UnknownExtension(vec![2, 0, 6]);
    Ok(Extensions::from_vec(vec![
        Extension::tls_deserialize_exact(dictionary)?,
        Extension::Unknown(WIRE_FORMATS, formats),
    ])?)
}

/// The application PSK of an identifier.
pub(super) fn psk(id: &[u8]) -> Psk {
    Psk::Application(ApplicationPsk::new(REPLACES, id.into()))
}

/// An AppDataUpdate.
pub(super) fn update(change: &Change) -> Option<AppDataUpdateProposal> {
    match change {
        Change::AppData(component, data) => {
            Some(AppDataUpdateProposal::update(*component, data.clone()))
        }
        Change::AppDataRemoval(component) => Some(AppDataUpdateProposal::remove(*component)),
        _ => None,
    }
}

/// The same, to be proposed.
pub(super) fn propose(proposal: &AppDataUpdateProposal) -> Propose {
    let component_id = proposal.component_id();
    match proposal.operation() {
        AppDataUpdateOperation::Update(update) => {
            Propose::UpdateAppDataComponent { component_id, update: update.as_slice().to_vec() }
        }
        AppDataUpdateOperation::Remove => Propose::RemoveAppDataComponent { component_id },
    }
}

/// The new data of all components, as they mean their updates.
pub(super) fn answers<'a>(
    mut updater: AppDataDictionaryUpdater<'_>,
    proposals: impl Iterator<Item = &'a AppDataUpdateProposal>,
) -> Option<AppDataUpdates> {
    let mut updates: BTreeMap<u16, Vec<&[u8]>> = BTreeMap::new();
    for proposal in proposals {
        match proposal.operation() {
            AppDataUpdateOperation::Update(update) => {
                updates.entry(proposal.component_id()).or_default().push(update.as_slice());
            }
            AppDataUpdateOperation::Remove => updater.remove(&proposal.component_id()),
        }
    }

    for (component, updates) in updates {
        let data = updated(component, updater.old_value(component), updates.into_iter());
        updater.set(ComponentData::from_parts(component, data.into()));
    }
    updater.changes()
}

/// What a commit gives to components.
pub(super) fn ephemeral_of(staged: &StagedCommit) -> Vec<(u16, Vec<u8>)> {
    let all = staged.queued_app_ephemeral_proposals();
    all.map(|queued| {
        let proposal = queued.app_ephemeral_proposal();
        (proposal.component_id(), proposal.data().to_vec())
    })
    .collect()
}

/// Takes the SafeAAD off authenticated data, if the group requires one, and sets it. What is behind it is
/// returned.
pub(super) fn set_safe_aad<'a>(group: &mut MlsGroup, data: &'a [u8]) -> Result<&'a [u8]> {
    let mut required = false;
    if let Some(dictionary) = group.extensions().app_data_dictionary() {
        required = dictionary.dictionary().contains(&crate::member::SAFE_AAD);
    }
    if !required {
        return Ok(data);
    }
    let (aad, behind) = SafeAad::tls_deserialize_bytes(data)?;
    let again = |item: &SafeAadItem| SafeAadItem::new(item.component_id(), item.data().to_vec());
    group.set_safe_aad(aad.items().iter().map(again).collect())?;
    Ok(behind)
}

/// The draft's info and AAD for HPKE, from OpenMLS's AAD.
///
/// draft-ietf-mls-targeted-messages-02, section "Application Data Encryption": the info is a
/// TargetedMessageContext, with both leaves, and the AAD is the `authenticated_data`. OpenMLS takes an
/// EncryptContext without a context as info; its AAD is a TargetedMessageTBM of group_id, epoch, recipient,
/// authenticated_data, sender and kem_output.
pub(super) fn targeted_inputs(tbm: &[u8]) -> std::result::Result<(Vec<u8>, Vec<u8>), CryptoError> {
    let parse = || -> Result<(Vec<u8>, Vec<u8>)> {
        let mut r = Reader::new(tbm);
        let _group_id = Bytes::decode(&mut r)?;
        let _epoch = u64::decode(&mut r)?;
        let recipient_leaf_index = LeafIndex::decode(&mut r)?;
        let authenticated_data = Bytes::decode(&mut r)?;
        let sender_leaf_index = LeafIndex::decode(&mut r)?;
        let context = TargetedMessageContextData { recipient_leaf_index, sender_leaf_index };
        let info = TargetedMessageContext { context }.to_bytes()?;
        Ok((info, authenticated_data.to_vec()))
    };
    parse().map_err(|_| CryptoError::TlsSerializationError)
}
