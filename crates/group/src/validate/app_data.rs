//! The rules for AppDataUpdate (draft-ietf-mls-extensions-10, "Updating Application Data in the
//! GroupContext"): what each component is asked, and the dictionary that its answer leads to.

use crate::app_data::{AppDataChange, AppDataRequest};
use crate::error::{Error, Misuse, Rejection};
use crate::store::context_codec::dictionary_in;
use crate::view::GroupView;
use crate::view::proposals::ListedProposal;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use conclave_wire::{
    AppDataDictionary, AppDataUpdate, AppDataUpdateOperation, Bytes, ComponentId, Extension,
    Proposal, Sender, put_extension,
};

/// Checks that a list either removes a component's data once or updates it, and not both.
pub(crate) fn check_operations(list: &[ListedProposal]) -> Result<(), Rejection> {
    let mut updated: BTreeMap<ComponentId, bool> = BTreeMap::new();
    for AppDataUpdate { component_id, operation } in list.iter().filter_map(app_data_update) {
        let removes = matches!(operation, AppDataUpdateOperation::Remove);
        if let Some(removed_before) = updated.insert(*component_id, removes)
            && (removes || removed_before)
        {
            return Err(Rejection::AppDataConflict(*component_id));
        }
    }
    Ok(())
}

/// Checks an AppDataUpdate by itself: there must be data to remove. What an update means is the
/// component's business.
pub(crate) fn check_update(group: GroupView<'_>, update: &AppDataUpdate) -> Result<(), Error> {
    match update.operation {
        AppDataUpdateOperation::Update(_) => Ok(()),
        AppDataUpdateOperation::Remove => {
            match AppDataDictionary::find_data(group.extensions(), update.component_id)? {
                Some(_) => Ok(()),
                None => Err(Rejection::AppDataMissing(update.component_id).into()),
            }
        }
    }
}

/// Checks that a GroupContextExtensions proposal leaves the dictionary as it is. The draft asks for this
/// only where AppDataUpdate is a required proposal type; without that condition nobody can get around a
/// component's own rules (mls-extensions#104).
pub(crate) fn check_context_extensions(
    group: GroupView<'_>,
    extensions: &[Extension],
) -> Result<(), Rejection> {
    if dictionary_in(extensions) == dictionary_in(group.extensions()) {
        Ok(())
    } else {
        Err(Rejection::AppDataByExtensions)
    }
}

/// Whether a proposal may change what components a group requires of its members.
pub(crate) fn may_require(proposal: &Proposal) -> bool {
    let lists = [ComponentId::APP_COMPONENTS, ComponentId::SAFE_AAD];
    matches!(proposal, Proposal::AppDataUpdate(update) if lists.contains(&update.component_id))
}

/// The components whose data a list of proposals updates, in ascending order.
pub(crate) fn app_data_requests(
    group: GroupView<'_>,
    list: &[ListedProposal],
) -> Result<Vec<AppDataRequest>, Error> {
    let mut updates: BTreeMap<ComponentId, Vec<(Sender, Bytes)>> = BTreeMap::new();
    for item in list {
        let Some(AppDataUpdate { component_id, operation }) = app_data_update(item) else {
            continue;
        };
        if let AppDataUpdateOperation::Update(update) = operation {
            updates.entry(*component_id).or_default().push((item.sender, update.clone()));
        }
    }
    if updates.is_empty() {
        return Ok(Vec::new());
    }

    let dictionary = AppDataDictionary::find(group.extensions())?.unwrap_or_default();
    let request = |(component_id, updates)| {
        let current = dictionary.get(component_id).cloned();
        AppDataRequest { component_id, current, updates }
    };
    Ok(updates.into_iter().map(request).collect())
}

/// Checks that there is one answer for each component whose data a list of proposals updates.
pub(crate) fn check_answers(list: &[ListedProposal], answers: &[Bytes]) -> Result<(), Error> {
    let updates = list.iter().filter_map(app_data_update);
    let updates = updates.filter(|u| matches!(u.operation, AppDataUpdateOperation::Update(_)));
    let updated: BTreeSet<ComponentId> = updates.map(|update| update.component_id).collect();

    let (wanted, given) = (updated.len(), answers.len());
    if wanted == given { Ok(()) } else { Err(Misuse::AppDataCount { wanted, given }.into()) }
}

/// Changes the dictionary in a list of extensions as a list of proposals asks; `answers` has the new
/// data of each component that it updates, in ascending order of the components.
pub(crate) fn change_dictionary(
    extensions: &mut Vec<Extension>,
    list: &[ListedProposal],
    answers: &[Bytes],
) -> Result<Vec<AppDataChange>, Error> {
    let mut wanted: BTreeMap<ComponentId, Option<&Bytes>> = BTreeMap::new();
    for AppDataUpdate { component_id, operation } in list.iter().filter_map(app_data_update) {
        let update = match operation {
            AppDataUpdateOperation::Update(update) => Some(update),
            AppDataUpdateOperation::Remove => None,
        };
        wanted.insert(*component_id, update);
    }
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    check_answers(list, answers)?;
    let updated = wanted.values_mut().filter_map(Option::as_mut);
    updated.zip(answers).for_each(|(update, answer)| *update = answer);

    let mut dictionary = AppDataDictionary::find(extensions)?.unwrap_or_default();
    let mut changes = Vec::with_capacity(wanted.len());
    for (component_id, new) in wanted {
        let old = match new {
            Some(data) => dictionary.set(component_id, data.clone()),
            None => dictionary.remove(component_id),
        };
        changes.push(AppDataChange { component_id, old, new: new.cloned() });
    }

    // A dictionary that is new is the last extension.
    put_extension(extensions, dictionary.to_extension()?);
    Ok(changes)
}

fn app_data_update(item: &ListedProposal) -> Option<&AppDataUpdate> {
    match &item.proposal {
        Proposal::AppDataUpdate(update) => Some(update),
        Proposal::Add(_)
        | Proposal::Update(_)
        | Proposal::Remove(_)
        | Proposal::PreSharedKey(_)
        | Proposal::ReInit(_)
        | Proposal::ExternalInit(_)
        | Proposal::GroupContextExtensions(_)
        | Proposal::AppEphemeral(_)
        | Proposal::SelfRemove(_)
        | Proposal::Custom { .. } => None,
    }
}
