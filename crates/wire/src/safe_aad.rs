//! Authenticated data of several components (draft-ietf-mls-extensions-10, "Safe Additional
//! Authenticated Data").

use crate::code_points::ComponentId;
use crate::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer, codec};
use crate::ids::Bytes;
use alloc::vec::Vec;

/// The authenticated data of one component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SafeAadItem {
    /// The component.
    pub component_id: ComponentId,
    /// Its data.
    pub aad_item_data: Bytes,
}
codec!(SafeAadItem { component_id, aad_item_data });

/// The `authenticated_data` of every message in a group whose GroupContext has the component
/// `safe_aad`: the data of components, by ascending component, at most one item for each.
///
/// ```
/// use conclave_wire::{ComponentId, Decode, Encode, SafeAad};
///
/// let aad = SafeAad::default().with(ComponentId(0x8001), b"for all to see".as_slice());
/// let authenticated_data = aad.to_bytes()?;
///
/// let received = SafeAad::from_bytes(&authenticated_data)?;
/// assert_eq!(received.get(ComponentId(0x8001)), Some(b"for all to see".as_slice()));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SafeAad(Vec<SafeAadItem>);

impl SafeAad {
    /// The items, by ascending component.
    #[must_use]
    pub fn items(&self) -> &[SafeAadItem] {
        &self.0
    }

    /// The data of a component. None if it has no item.
    #[must_use]
    pub fn get(&self, component_id: ComponentId) -> Option<&[u8]> {
        let place = self.place_of(component_id).ok()?;
        self.0.get(place).map(|item| &*item.aad_item_data)
    }

    /// The same items, with this one for its component.
    #[must_use]
    pub fn with(mut self, component_id: ComponentId, data: impl Into<Bytes>) -> Self {
        let item = SafeAadItem { component_id, aad_item_data: data.into() };
        match self.place_of(component_id) {
            Ok(place) => {
                if let Some(old) = self.0.get_mut(place) {
                    *old = item;
                }
            }
            Err(place) => self.0.insert(place, item),
        }
        self
    }

    fn place_of(&self, component_id: ComponentId) -> Result<usize, usize> {
        self.0.binary_search_by_key(&component_id, |item| item.component_id)
    }
}

impl Encode for SafeAad {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.0.encode(w)
    }
}

impl Decode for SafeAad {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let items = Vec::<SafeAadItem>::decode(r)?;
        let unsorted = items.windows(2).find_map(|pair| match pair {
            [a, b] if a.component_id >= b.component_id => Some(b.component_id),
            _ => None,
        });
        match unsorted {
            Some(component) => {
                let value = component.0.into();
                Err(DecodeError::InvalidValue { field: "SafeAAD order", value })
            }
            None => Ok(Self(items)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safe_aad_that_is_unsorted_or_has_a_component_twice_is_refused() {
        let item = |id| SafeAadItem { component_id: ComponentId(id), aad_item_data: [1].into() };
        let sorted = [item(1), item(2)].to_bytes().unwrap();
        assert!(SafeAad::from_bytes(&sorted).is_ok());

        for wrong in [[item(2), item(1)], [item(1), item(1)]] {
            let error = SafeAad::from_bytes(&wrong.to_bytes().unwrap()).unwrap_err();
            assert_eq!(error, DecodeError::InvalidValue { field: "SafeAAD order", value: 1 });
        }
    }

    #[test]
    fn items_are_put_in_their_place_whatever_the_order() {
        let aad = [7, 1, 4]
            .into_iter()
            .fold(SafeAad::default(), |aad, id: u16| aad.with(ComponentId(id), id.to_be_bytes()));
        let aad = aad.with(ComponentId(4), [9]);
        let found: Vec<u16> = aad.items().iter().map(|item| item.component_id.0).collect();
        assert_eq!(found, [1, 4, 7]);
        assert_eq!(aad.get(ComponentId(4)), Some([9].as_slice()));
        assert_eq!(aad.get(ComponentId(5)), None);
    }

    #[test]
    fn no_items_are_one_zero_byte_and_no_bytes_are_no_safe_aad() {
        assert_eq!(SafeAad::default().to_bytes().unwrap(), [0]);
        assert_eq!(SafeAad::from_bytes(&[]), Err(DecodeError::Truncated));
    }
}
