//! Texts and URIs of bounded length, and other small types of the drafts.

use alloc::boxed::Box;
use alloc::vec::Vec;
use conclave_mls::wire::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer};
use core::fmt;

/// The longest text or URI in a room's components, in bytes.
pub const MAX_TEXT: usize = 4096;

/// A text of UTF-8 without NUL (`UTF8String`), or a URI: at most [`MAX_TEXT`] bytes.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Box<str>);

/// A text is too long for a room's component, or has a NUL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadText;

impl fmt::Display for BadText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a text of a room has at most {MAX_TEXT} bytes, and no NUL")
    }
}

impl core::error::Error for BadText {}

impl Text {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<&str> for Text {
    type Error = BadText;
    fn try_from(text: &str) -> Result<Self, BadText> {
        if text.len() > MAX_TEXT || text.contains('\0') {
            Err(BadText)
        } else {
            Ok(Self(text.into()))
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Encode for Text {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.put_opaque(self.0.as_bytes())
    }
}

impl Decode for Text {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bytes = r.opaque()?;
        let text = core::str::from_utf8(bytes).ok().and_then(|text| Self::try_from(text).ok());
        text.ok_or_else(|| invalid("UTF8String", bytes.len()))
    }
}

/// Whether something may be done, must be, or must not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Optionality {
    /// It may.
    #[default]
    Optional,
    /// It must.
    Required,
    /// It must not.
    Forbidden,
}

impl Encode for Optionality {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        let value: u8 = match self {
            Self::Optional => 0,
            Self::Required => 1,
            Self::Forbidden => 2,
        };
        value.encode(w)
    }
}

impl Decode for Optionality {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::decode(r)? {
            0 => Ok(Self::Optional),
            1 => Ok(Self::Required),
            2 => Ok(Self::Forbidden),
            other => Err(invalid("Optionality", other.into())),
        }
    }
}

/// Appends a `bool` of the draft.
pub(crate) fn put_bool(w: &mut Writer, value: bool) -> Result<(), EncodeError> {
    u8::from(value).encode(w)
}

/// Reads a `bool` of the draft: 0 or 1.
pub(crate) fn get_bool(r: &mut Reader<'_>) -> Result<bool, DecodeError> {
    match u8::decode(r)? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(invalid("bool", other.into())),
    }
}

/// Reads a vector of at most so many elements.
pub(crate) fn get_list<T: Decode>(
    r: &mut Reader<'_>,
    most: usize,
    field: &'static str,
) -> Result<Vec<T>, DecodeError> {
    let mut body = r.vector()?;
    let mut list = Vec::new();
    while !body.is_empty() {
        if list.len() == most {
            return Err(invalid(field, most.saturating_add(1)));
        }
        list.push(T::decode(&mut body)?);
    }
    Ok(list)
}

/// The error of a field whose value is not allowed.
pub(crate) fn invalid(field: &'static str, value: usize) -> DecodeError {
    DecodeError::InvalidValue { field, value: u64::try_from(value).unwrap_or(u64::MAX) }
}

/// Implements the codec of a struct, field by field in the draft's order.
macro_rules! fields {
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl conclave_mls::wire::codec::Encode for $name {
            fn encode(
                &self,
                w: &mut conclave_mls::wire::codec::Writer,
            ) -> Result<(), conclave_mls::wire::codec::EncodeError> {
                $(conclave_mls::wire::codec::Encode::encode(&self.$field, w)?;)*
                Ok(())
            }
        }
        impl conclave_mls::wire::codec::Decode for $name {
            fn decode(
                r: &mut conclave_mls::wire::codec::Reader<'_>,
            ) -> Result<Self, conclave_mls::wire::codec::DecodeError> {
                $(let $field = conclave_mls::wire::codec::Decode::decode(r)?;)*
                Ok(Self { $($field),* })
            }
        }
    };
}
pub(crate) use fields;
