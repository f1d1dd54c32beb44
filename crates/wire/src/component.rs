//! Data of application components (draft-ietf-mls-extensions-10, "The Safe Application Interface" and
//! "Negotiating Extensions and Components").

use crate::code_points::{ComponentId, ExtensionType, grease_component, put_in};
use crate::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer, codec};
use crate::extension::{Extension, extension_of_type, find_extension};
use crate::ids::Bytes;
use alloc::vec::Vec;

/// The data of one component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentData {
    /// The component.
    pub component_id: ComponentId,
    /// Its data, in a format of the component's own.
    pub data: Bytes,
}
codec!(ComponentData { component_id, data });

/// The content of an `app_data_dictionary` extension: the data of components, sorted by component, at
/// most one entry for each.
///
/// ```
/// use conclave_wire::{AppDataDictionary, ComponentId, Decode, Encode};
///
/// let dictionary = AppDataDictionary::default()
///     .with(ComponentId(0x8002), b"b".as_slice())
///     .with(ComponentId(0x8001), b"a".as_slice());
/// assert_eq!(dictionary.entries()[0].component_id, ComponentId(0x8001));
///
/// let bytes = dictionary.to_bytes()?;
/// assert_eq!(AppDataDictionary::from_bytes(&bytes)?, dictionary);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppDataDictionary(Vec<ComponentData>);

impl AppDataDictionary {
    /// The `app_data_dictionary` extension in a list, decoded. None if the list has none.
    ///
    /// # Errors
    /// If its content is malformed.
    pub fn find(extensions: &[Extension]) -> Result<Option<Self>, DecodeError> {
        find_extension(extensions, ExtensionType::APP_DATA_DICTIONARY)
    }

    /// The data of a component in the `app_data_dictionary` extension of a list. Nothing is copied, and
    /// entries behind it are not read: it is for lists that were checked. None if there is no entry.
    ///
    /// # Errors
    /// If the content is malformed as far as it is read.
    pub fn find_data(
        extensions: &[Extension],
        component_id: ComponentId,
    ) -> Result<Option<&[u8]>, DecodeError> {
        let dictionary = extension_of_type(extensions, ExtensionType::APP_DATA_DICTIONARY);
        let Some(extension) = dictionary else { return Ok(None) };

        let mut entries = Reader::new(Reader::new(&extension.extension_data).opaque()?);
        while !entries.is_empty() {
            let id = ComponentId::decode(&mut entries)?;
            if id > component_id {
                break;
            }
            let data = entries.opaque()?;
            if id == component_id {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// The extension with this content.
    ///
    /// # Errors
    /// If the content is too long to encode.
    pub fn to_extension(&self) -> Result<Extension, EncodeError> {
        Extension::new(ExtensionType::APP_DATA_DICTIONARY, self)
    }

    /// The entries, by ascending component.
    #[must_use]
    pub fn entries(&self) -> &[ComponentData] {
        &self.0
    }

    /// The data of a component. None if it has no entry.
    #[must_use]
    pub fn get(&self, component_id: ComponentId) -> Option<&Bytes> {
        let place = self.place_of(component_id).ok()?;
        self.0.get(place).map(|entry| &entry.data)
    }

    /// Sets the data of a component. Returns the data that it replaces.
    pub fn set(&mut self, component_id: ComponentId, data: Bytes) -> Option<Bytes> {
        match self.place_of(component_id) {
            Ok(place) => {
                let entry = self.0.get_mut(place)?;
                Some(core::mem::replace(&mut entry.data, data))
            }
            Err(place) => {
                self.0.insert(place, ComponentData { component_id, data });
                None
            }
        }
    }

    /// The same dictionary with this data for a component.
    #[must_use]
    pub fn with(mut self, component_id: ComponentId, data: impl Into<Bytes>) -> Self {
        self.set(component_id, data.into());
        self
    }

    /// Removes the entry of a component. Returns its data.
    pub fn remove(&mut self, component_id: ComponentId) -> Option<Bytes> {
        let place = self.place_of(component_id).ok()?;
        Some(self.0.remove(place).data)
    }

    /// The same dictionary with an entry for a component that is reserved for GREASE. The random bytes
    /// pick the component, and are its data. It does nothing if the component has an entry already.
    #[must_use]
    pub fn with_grease(mut self, random: [u8; 2]) -> Self {
        let [pick, _] = random;
        let component = ComponentId(grease_component(pick));
        if self.get(component).is_none() {
            self.set(component, random.into());
        }
        self
    }

    fn place_of(&self, component_id: ComponentId) -> Result<usize, usize> {
        self.0.binary_search_by_key(&component_id, |entry| entry.component_id)
    }
}

impl Encode for AppDataDictionary {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.0.encode(w)
    }
}

impl Decode for AppDataDictionary {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let entries = Vec::<ComponentData>::decode(r)?;
        let unsorted = entries.windows(2).find_map(|pair| match pair {
            [a, b] if a.component_id >= b.component_id => Some(b.component_id),
            _ => None,
        });
        match unsorted {
            Some(component) => {
                let value = component.0.into();
                Err(DecodeError::InvalidValue { field: "AppDataDictionary order", value })
            }
            None => Ok(Self(entries)),
        }
    }
}

/// A list of components: the content of the components `app_components` and `safe_aad`.
///
/// In a leaf node it lists what the client supports, in the GroupContext what the group requires.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ComponentsList {
    /// The components.
    pub component_ids: Vec<ComponentId>,
}
codec!(ComponentsList { component_ids });

impl ComponentsList {
    /// The list of these components.
    #[must_use]
    pub fn of(component_ids: &[ComponentId]) -> Self {
        Self { component_ids: component_ids.to_vec() }
    }

    /// The list that a component's entry of a dictionary holds: that of `app_components` or of `safe_aad`.
    /// None if the dictionary has no such entry.
    ///
    /// # Errors
    /// If the entry is not a list of components.
    pub fn find(
        dictionary: &AppDataDictionary,
        component_id: ComponentId,
    ) -> Result<Option<Self>, DecodeError> {
        dictionary.get(component_id).map(|data| Self::from_bytes(data)).transpose()
    }

    /// The same list with a component that is reserved for GREASE, at a place that depends on the random
    /// bytes. It does nothing if it is listed already.
    #[must_use]
    pub fn with_grease(mut self, random: [u8; 2]) -> Self {
        let [pick, place] = random;
        put_in(&mut self.component_ids, ComponentId(grease_component(pick)), place);
        self
    }
}

/// The label of a component's operation with a key of MLS (draft-ietf-mls-extensions-10, "Component
/// IDs"). It keeps the operations of components apart from each other's and from those of MLS.
#[derive(Clone, Copy, Debug)]
pub struct ComponentOperationLabel<'a> {
    /// The component.
    pub component_id: ComponentId,
    /// The component's name for the operation.
    pub label: &'a [u8],
}

impl ComponentOperationLabel<'_> {
    /// What every label starts with.
    pub const BASE_LABEL: &'static [u8] = b"MLS Component";
}

impl Encode for ComponentOperationLabel<'_> {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.put_opaque(Self::BASE_LABEL)?;
        self.component_id.encode(w)?;
        w.put_opaque(self.label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: u16, data: &[u8]) -> ComponentData {
        ComponentData { component_id: ComponentId(id), data: data.into() }
    }

    #[test]
    fn dictionaries_that_are_unsorted_or_have_an_entry_twice_are_refused() {
        let sorted = [entry(1, b"a"), entry(2, b"b")].to_bytes().unwrap();
        assert!(AppDataDictionary::from_bytes(&sorted).is_ok());

        for wrong in [[entry(2, b"b"), entry(1, b"a")], [entry(1, b"a"), entry(1, b"a")]] {
            let bytes = wrong.to_bytes().unwrap();
            let error = AppDataDictionary::from_bytes(&bytes).unwrap_err();
            let field = "AppDataDictionary order";
            assert_eq!(error, DecodeError::InvalidValue { field, value: 1 });
        }
    }

    #[test]
    fn data_is_found_in_a_list_as_in_the_decoded_dictionary() {
        let entries = [entry(1, b"a"), entry(3, b""), entry(0x8001, &[7; 300])];
        let dictionary = AppDataDictionary(entries.into());
        let extensions = [dictionary.to_extension().unwrap()];
        for id in [0, 1, 2, 3, 4, 0x8001, 0xffff].map(ComponentId) {
            let found = AppDataDictionary::find_data(&extensions, id).unwrap();
            assert_eq!(found, dictionary.get(id).map(|data| &**data), "{id}");
        }
        assert_eq!(AppDataDictionary::find_data(&[], ComponentId(1)), Ok(None));

        let empty = [AppDataDictionary::default().to_extension().unwrap()];
        assert_eq!(AppDataDictionary::find_data(&empty, ComponentId(1)), Ok(None));
        let extension_type = ExtensionType::APP_DATA_DICTIONARY;
        let cut = [Extension { extension_type, extension_data: [3, 0, 1, 4].into() }];
        let found = AppDataDictionary::find_data(&cut, ComponentId(1));
        assert_eq!(found, Err(DecodeError::Truncated));
    }

    #[test]
    fn a_label_names_base_component_and_operation() {
        let label = ComponentOperationLabel { component_id: ComponentId(0x8001), label: b"sign" };
        assert_eq!(label.to_bytes().unwrap(), b"\x0dMLS Component\x80\x01\x04sign");
    }

    #[test]
    fn grease_is_put_in_once_and_nothing_else_changes() {
        let lists = ComponentsList { component_ids: [1, 2, 7].map(ComponentId).into() };
        for random in [[0, 0], [7, 1], [200, 3], [255, 255]] {
            let with = lists.clone().with_grease(random);
            let is_grease = |id: &ComponentId| crate::code_points::is_grease(id.0);
            assert_eq!(with.component_ids.iter().filter(|id| is_grease(id)).count(), 1);
            assert_eq!(with.clone().with_grease(random), with);
            let mut left = with.component_ids;
            left.retain(|id| !is_grease(id));
            assert_eq!(left, lists.component_ids);

            let mut dictionary = AppDataDictionary::default();
            dictionary.set(ComponentId(0x8001), [1].into());
            let with = dictionary.clone().with_grease(random);
            assert_eq!(with.entries().len(), 2);
            assert_eq!(with.clone().with_grease(random), with);
            assert!(AppDataDictionary::from_bytes(&with.to_bytes().unwrap()).is_ok());
        }
    }

    #[test]
    fn entries_are_set_in_their_place_and_removed() {
        let mut dictionary = AppDataDictionary::default();
        for id in [7, 1, 4] {
            assert_eq!(dictionary.set(ComponentId(id), [id as u8].into()), None);
        }
        assert_eq!(dictionary.set(ComponentId(4), [9].into()), Some([4].into()));
        assert_eq!(dictionary.remove(ComponentId(1)), Some([1].into()));
        assert_eq!(dictionary.remove(ComponentId(1)), None);
        assert_eq!(dictionary.entries(), [entry(4, &[9]), entry(7, &[7])]);
        assert_eq!(dictionary.get(ComponentId(7)), Some(&[7].into()));
    }
}
