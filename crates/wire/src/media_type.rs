//! Media types of application messages (draft-ietf-mls-extensions-10, "Content Advertisement").

use crate::code_points::ComponentId;
use crate::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer, codec};
use crate::component::AppDataDictionary;
use crate::ids::Bytes;
use alloc::vec;
use alloc::vec::Vec;

/// A parameter of a media type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// The name.
    pub parameter_name: Bytes,
    /// The value, without the quotation marks and the escaping backslashes of a quoted string.
    pub parameter_value: Bytes,
}
codec!(Parameter { parameter_name, parameter_value });

/// One of IANA's media types with its parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaType {
    /// Type, a slash, and subtype: the draft's `type`. Empty in an [`ApplicationFraming`] that leaves
    /// the media type to the group.
    pub type_and_subtype: Bytes,
    /// The parameters.
    pub parameters: Vec<Parameter>,
}
codec!(MediaType { type_and_subtype, parameters });

impl MediaType {
    /// A media type without parameters.
    ///
    /// ```
    /// use conclave_wire::MediaType;
    ///
    /// let text = MediaType::new("text/plain").with_parameter("charset", "UTF-8");
    /// assert_eq!(text.parameters.len(), 1);
    /// ```
    #[must_use]
    pub fn new(type_and_subtype: &str) -> Self {
        let type_and_subtype = type_and_subtype.as_bytes().into();
        Self { type_and_subtype, parameters: Vec::new() }
    }

    /// The same media type with one more parameter.
    #[must_use]
    pub fn with_parameter(mut self, name: &str, value: &str) -> Self {
        self.parameters.push(Parameter {
            parameter_name: name.as_bytes().into(),
            parameter_value: value.as_bytes().into(),
        });
        self
    }
}

/// The content of the component `content_media_types`: at least one media type. In a leaf node, what the
/// client can receive; in the GroupContext, what all members must be able to receive, the first being
/// the group's default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaTypeList(Vec<MediaType>);

impl MediaTypeList {
    /// A list that starts with a media type.
    #[must_use]
    pub fn new(first: MediaType) -> Self {
        Self(vec![first])
    }

    /// The same list with one more media type at its end.
    #[must_use]
    pub fn and(mut self, next: MediaType) -> Self {
        self.0.push(next);
        self
    }

    /// The media types. There is at least one.
    #[must_use]
    pub fn media_types(&self) -> &[MediaType] {
        &self.0
    }

    /// The list in a dictionary. None if the dictionary has none.
    ///
    /// # Errors
    /// If the entry is malformed or empty.
    pub fn find(dictionary: &AppDataDictionary) -> Result<Option<Self>, DecodeError> {
        let data = dictionary.get(ComponentId::CONTENT_MEDIA_TYPES);
        data.map(|data| Self::from_bytes(data)).transpose()
    }
}

impl Encode for MediaTypeList {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.0.encode(w)
    }
}

impl Decode for MediaTypeList {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let list = Vec::<MediaType>::decode(r)?;
        if list.is_empty() {
            return Err(DecodeError::InvalidValue { field: "MediaTypeList length", value: 0 });
        }
        Ok(Self(list))
    }
}

/// The `application_data` of a group whose GroupContext has the component `content_media_types`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationFraming {
    /// The content's media type. With an empty type it is the group's first one:
    /// [`Self::media_type_in`].
    pub media_type: MediaType,
    /// The content.
    pub inner_application_content: Bytes,
}
codec!(ApplicationFraming { media_type, inner_application_content });

impl ApplicationFraming {
    /// Content of the group's default media type.
    #[must_use]
    pub fn of_default(content: impl Into<Bytes>) -> Self {
        let inner_application_content = content.into();
        Self { media_type: MediaType::default(), inner_application_content }
    }

    /// The content's media type in a group that requires these.
    ///
    /// ```
    /// use conclave_wire::{ApplicationFraming, MediaType, MediaTypeList};
    ///
    /// let required = MediaTypeList::new(MediaType::new("text/plain"));
    /// let hello = ApplicationFraming::of_default(b"hello".as_slice());
    /// assert_eq!(hello.media_type_in(&required), &MediaType::new("text/plain"));
    /// ```
    #[must_use]
    pub fn media_type_in<'a>(&'a self, required: &'a MediaTypeList) -> &'a MediaType {
        if self.media_type.type_and_subtype.is_empty() {
            required.0.first().unwrap_or(&self.media_type)
        } else {
            &self.media_type
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> MediaType {
        MediaType::new("text/plain").with_parameter("charset", "UTF-8")
    }

    #[test]
    fn a_list_without_a_media_type_is_refused() {
        let list = MediaTypeList::new(text()).and(MediaType::new("image/png"));
        assert_eq!(MediaTypeList::from_bytes(&list.to_bytes().unwrap()), Ok(list));
        let error = MediaTypeList::from_bytes(&[0]).unwrap_err();
        let field = "MediaTypeList length";
        assert_eq!(error, DecodeError::InvalidValue { field, value: 0 });
    }

    #[test]
    fn content_without_a_media_type_is_of_the_groups_first() {
        let required = MediaTypeList::new(text()).and(MediaType::new("image/png"));
        let png = ApplicationFraming {
            media_type: MediaType::new("image/png"),
            inner_application_content: [1].into(),
        };
        assert_eq!(png.media_type_in(&required), &MediaType::new("image/png"));

        let bare = ApplicationFraming::of_default([1]);
        assert_eq!(bare.to_bytes().unwrap(), [0, 0, 1, 1]);
        assert_eq!(bare.media_type_in(&required), &text());
    }
}
