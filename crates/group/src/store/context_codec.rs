//! How a GroupContext is stored: its `app_data_dictionary` (draft-ietf-mls-extensions-10) has a row for
//! each component, so that a change of one writes that one.
//!
//! In the row of an epoch's header, the dictionary is replaced by a marker: how many entries it has, and
//! how many of them differ from the epoch after it. No dictionary encodes to the marker, since a vector's
//! length cannot begin with the bits 11.

use crate::error::Error;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;
use conclave_wire::{
    AppDataDictionary, Bytes, ComponentId, Encode, Extension, ExtensionType, GroupContext, Writer,
    extension_of_type,
};

/// The first byte of the marker.
const MARKER: u8 = 0xff;

/// The data of components, by component.
pub(crate) type AppData = BTreeMap<ComponentId, Bytes>;

/// What a component's data is replaced by, or None where it ends.
pub(crate) type AppDataChanges = BTreeMap<ComponentId, Option<Bytes>>;

/// Encodes a context without the data of its components, of which so many have changed since.
pub(crate) fn put_context(
    w: &mut Writer,
    context: &GroupContext,
    changed: usize,
) -> Result<(), Error> {
    if dictionary_in(&context.extensions).is_none() {
        return Ok(context.encode(w)?);
    }

    let entries = dictionary(&context.extensions)?.len();
    let mut marker = alloc::vec![MARKER];
    for count in [entries, changed] {
        marker.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
    }
    let stored = |extension: &Extension| {
        let mut stored = extension.clone();
        if is_dictionary(extension) {
            stored.extension_data = marker.as_slice().into();
        }
        stored
    };
    let context = GroupContext {
        version: context.version,
        cipher_suite: context.cipher_suite,
        group_id: context.group_id.clone(),
        epoch: context.epoch,
        tree_hash: context.tree_hash.clone(),
        confirmed_transcript_hash: context.confirmed_transcript_hash.clone(),
        extensions: context.extensions.iter().map(stored).collect(),
    };
    Ok(context.encode(w)?)
}

/// Puts the data of the components into a context that was stored without. `changed` is the number of
/// rows that say what has changed since.
pub(crate) fn restore_context(
    context: &mut GroupContext,
    data: &AppData,
    changed: usize,
) -> Result<(), Error> {
    // Without a dictionary, everything that was added since is gone again.
    let Some(extension) = context.extensions.iter_mut().find(|e| is_dictionary(e)) else {
        return check_count("components have data", data.len(), 0);
    };

    let [MARKER, a, b, c, d, e, f, g, h] = *extension.extension_data else {
        return Err(Error::storage("its dictionary is not in rows of its own"));
    };
    check_count("components have data", data.len(), u32::from_be_bytes([a, b, c, d]))?;
    check_count("PastAppData rows", changed, u32::from_be_bytes([e, f, g, h]))?;
    let mut dictionary = AppDataDictionary::default();
    for (component_id, data) in data {
        dictionary.set(*component_id, data.clone());
    }
    *extension = dictionary.to_extension()?;
    Ok(())
}

fn check_count(what: &str, found: usize, wanted: u32) -> Result<(), Error> {
    if u32::try_from(found) == Ok(wanted) {
        Ok(())
    } else {
        Err(Error::storage(format!("{found} {what}, not {wanted}")))
    }
}

/// The data of the components in a list of extensions.
pub(crate) fn dictionary(extensions: &[Extension]) -> Result<AppData, Error> {
    let dictionary = AppDataDictionary::find(extensions)?.unwrap_or_default();
    let entries = dictionary.entries().iter();
    Ok(entries.map(|entry| (entry.component_id, entry.data.clone())).collect())
}

/// The components whose data differs between two lists of extensions, with their data in the first.
pub(crate) fn differences(from: &[Extension], to: &[Extension]) -> Result<AppDataChanges, Error> {
    if dictionary_in(from) == dictionary_in(to) {
        return Ok(AppDataChanges::new());
    }

    let from = dictionary(from)?;
    let to = dictionary(to)?;
    let all: Vec<&ComponentId> = from.keys().chain(to.keys()).collect();
    let differ = all.into_iter().filter(|id| from.get(id) != to.get(id));
    Ok(differ.map(|id| (*id, from.get(id).cloned())).collect())
}

/// The `app_data_dictionary` extension in a list, encoded.
pub(crate) fn dictionary_in(extensions: &[Extension]) -> Option<&Extension> {
    extension_of_type(extensions, ExtensionType::APP_DATA_DICTIONARY)
}

fn is_dictionary(extension: &Extension) -> bool {
    extension.extension_type == ExtensionType::APP_DATA_DICTIONARY
}
