//! What leaf nodes and groups say about components and wire formats (draft-ietf-mls-extensions-10,
//! "Negotiating Extensions and Components").

use crate::error::{Error, Misuse, Rejection};
use alloc::vec::Vec;
use conclave_tree::{Feature, TreeRead};
use conclave_wire::{
    AppDataDictionary, ComponentId, ComponentsList, Extension, ExtensionType, LeafIndex, LeafNode,
    WireFormat, WireFormats, find_extension,
};

/// What a GroupContext requires of its members' leaf nodes, beyond the types of `Capabilities`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Requirements(Supported);

impl Requirements {
    pub(crate) fn of(extensions: &[Extension]) -> Result<Self, Error> {
        Supported::required(extensions).map(Self)
    }

    /// Whether a leaf node meets them.
    pub(crate) fn met_by(&self, leaf: &LeafNode) -> bool {
        self.0.requires_nothing()
            || Supported::of_leaf(leaf).is_ok_and(|leaf| leaf.check(&self.0).is_ok())
    }
}

/// What a leaf node supports, or what a GroupContext requires, beyond the types of `Capabilities`. All
/// lists are sorted: they come from outside, and searching them stays cheap.
#[derive(Debug, Default, PartialEq, Eq)]
struct Supported {
    components: Vec<ComponentId>,
    safe_aad: Vec<ComponentId>,
    wire_formats: Vec<WireFormat>,
    /// Whether there is an entry `app_components`.
    lists_components: bool,
}

impl Supported {
    /// What a list of extensions says, with the type that it has for wire formats.
    fn of(extensions: &[Extension], wire_formats: ExtensionType) -> Result<Self, Error> {
        if extensions.is_empty() {
            return Ok(Self::default());
        }
        let formats: Option<WireFormats> = find_extension(extensions, wire_formats)?;
        let dictionary = AppDataDictionary::find(extensions)?.unwrap_or_default();
        let components = ComponentsList::find(&dictionary, ComponentId::APP_COMPONENTS)?;
        let safe_aad = ComponentsList::find(&dictionary, ComponentId::SAFE_AAD)?;

        let lists_components = components.is_some();
        let list = |list: Option<ComponentsList>| sorted(list.unwrap_or_default().component_ids);
        Ok(Self {
            components: list(components),
            safe_aad: list(safe_aad),
            wire_formats: sorted(formats.unwrap_or_default().wire_formats),
            lists_components,
        })
    }

    fn of_leaf(leaf: &LeafNode) -> Result<Self, Error> {
        Self::of(&leaf.extensions, ExtensionType::SUPPORTED_WIRE_FORMATS)
    }

    fn required(extensions: &[Extension]) -> Result<Self, Error> {
        Self::of(extensions, ExtensionType::REQUIRED_WIRE_FORMATS)
    }

    /// Checks that this holds what is required. Every client that lists its components understands
    /// `app_components` and `safe_aad`, and every client the wire formats of RFC 9420.
    fn check(&self, required: &Self) -> Result<(), Rejection> {
        let always = |id: &ComponentId| {
            self.lists_components
                && [ComponentId::APP_COMPONENTS, ComponentId::SAFE_AAD].contains(id)
        };
        let missing = |id: &&ComponentId| self.components.binary_search(id).is_err() && !always(id);
        if let Some(missing) = required.components.iter().find(missing) {
            return Err(Rejection::UnsupportedComponent(*missing));
        }

        let missing = |id: &&ComponentId| self.safe_aad.binary_search(id).is_err();
        if let Some(missing) = required.safe_aad.iter().find(missing) {
            return Err(Rejection::UnsupportedSafeAad(*missing));
        }

        let default = |format: &WireFormat| (1..=5).contains(&format.0);
        let missing = |format: &&WireFormat| {
            !default(format) && self.wire_formats.binary_search(format).is_err()
        };
        match required.wire_formats.iter().find(missing) {
            Some(missing) => Err(Rejection::UnsupportedWireFormat(*missing)),
            None => Ok(()),
        }
    }

    fn requires_nothing(&self) -> bool {
        self.components.is_empty() && self.safe_aad.is_empty() && self.wire_formats.is_empty()
    }

    /// Whether whoever satisfies `other` satisfies this too.
    fn is_within(&self, other: &Self) -> bool {
        let all = |mine: &[ComponentId], theirs: &[ComponentId]| {
            mine.iter().all(|id| theirs.binary_search(id).is_ok())
        };
        all(&self.components, &other.components)
            && all(&self.safe_aad, &other.safe_aad)
            && self.wire_formats.iter().all(|f| other.wire_formats.binary_search(f).is_ok())
    }
}

fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort_unstable();
    list.dedup();
    list
}

/// Checks that a dictionary in a list of extensions, and what it says about components, can be read.
pub(crate) fn check_dictionary(extensions: &[Extension]) -> Result<(), Error> {
    Supported::required(extensions).map(|_| ())
}

/// Checks that what a leaf node says about components and wire formats can be read.
pub(crate) fn check_leaf_components(leaf: &LeafNode) -> Result<(), Error> {
    Supported::of_leaf(leaf).map(|_| ())
}

/// Checks a leaf node of our own: with `app_data_dictionary`, it lists its components ("Attaching
/// Application Data to MLS Messages").
pub(crate) fn check_own_components(leaf: &LeafNode) -> Result<(), Error> {
    let supported = Supported::of_leaf(leaf)?;
    let dictionary = ExtensionType::APP_DATA_DICTIONARY;
    if leaf.capabilities.extensions.contains(&dictionary) && !supported.lists_components {
        return Err(Misuse::ComponentsNotListed.into());
    }
    Ok(())
}

/// Checks all leaf nodes of a tree from outside, and that they support what the group requires. A group
/// that does not use the draft pays for two look-ups.
pub(crate) fn check_joined_tree(
    tree: &impl TreeRead,
    extensions: &[Extension],
) -> Result<(), Error> {
    let advertised = |t| tree.members_with(Feature::Extension(t)) > 0;
    if advertised(ExtensionType::APP_DATA_DICTIONARY)
        || advertised(ExtensionType::SUPPORTED_WIRE_FORMATS)
    {
        tree.members()
            .filter_map(|leaf| tree.leaf(leaf))
            .try_for_each(|leaf| check_leaf_components(&leaf))?;
    }
    check_component_support(tree, extensions, &[], core::iter::empty())
}

/// Checks that all members support the components, safe AAD and wire formats that a group requires.
///
/// `old` holds the extensions of the epoch before, whose requirements all members of that epoch met. If
/// there are no others now, only the `changed` leaves are looked at. Blank ones may be among them.
pub(crate) fn check_component_support(
    tree: &impl TreeRead,
    extensions: &[Extension],
    old: &[Extension],
    mut changed: impl Iterator<Item = LeafIndex>,
) -> Result<(), Error> {
    let required = Supported::required(extensions)?;
    if required.requires_nothing() {
        return Ok(());
    }

    let check = |leaf: LeafIndex| match tree.leaf(leaf) {
        Some(leaf) => Ok(Supported::of_leaf(&leaf)?.check(&required)?),
        None => Ok(()),
    };
    if extensions == old || required.is_within(&Supported::required(old)?) {
        changed.try_for_each(check)
    } else {
        tree.members().try_for_each(check)
    }
}
