//! Items of any type: what extensions hold, and what later versions of the format may add.

use super::reader::{Item, Reader};
use super::writer::Writer;
use crate::error::{ContentError, Fault};
use crate::limits::{Limit, Limits};
use alloc::vec::Vec;
use core::fmt;

/// The largest integer that may be the key of a map: 2^53 − 1 (section 6.2).
pub(crate) const MAX_KEY: u64 = (1 << 53) - 1;

/// The levels of a [`Value`] that stands for itself: as many as there are below the map of extensions.
const LEVELS: usize = 3;

/// One item of deterministic CBOR, of any type, as its bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(Vec<u8>);

impl Value {
    /// Checks and keeps an encoded item, as an extension may hold it.
    ///
    /// # Errors
    /// If it is not one item in its deterministic encoding, breaks a rule of section 6.2, or has more than three
    /// levels of tags, maps and arrays (section 6.3: the map of extensions is the first of four).
    pub fn from_cbor(bytes: &[u8]) -> Result<Self, ContentError> {
        let mut reader = Reader::new(bytes, &Limits { size: usize::MAX, ..Limits::default() })?;
        skip_value(&mut reader, LEVELS)?;
        reader.finish()?;
        Ok(Self(bytes.to_vec()))
    }

    /// A text string.
    #[must_use]
    pub fn text(text: &str) -> Self {
        let mut writer = Writer::new();
        writer.text(text);
        Self(writer.finish())
    }

    /// A byte string.
    #[must_use]
    pub fn bytes(bytes: &[u8]) -> Self {
        let mut writer = Writer::new();
        writer.bytes(bytes);
        Self(writer.finish())
    }

    /// An unsigned integer.
    #[must_use]
    pub fn unsigned(n: u64) -> Self {
        let mut writer = Writer::new();
        writer.unsigned(n);
        Self(writer.finish())
    }

    /// The encoding.
    #[must_use]
    pub fn as_cbor(&self) -> &[u8] {
        &self.0
    }

    /// The text, if it is a text string.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        if let Ok(Item::Text(text)) = self.first_item() { Some(text) } else { None }
    }

    /// The bytes, if it is a byte string.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        if let Ok(Item::Bytes(bytes)) = self.first_item() { Some(bytes) } else { None }
    }

    /// The number, if it is an unsigned integer.
    #[must_use]
    pub fn as_unsigned(&self) -> Option<u64> {
        if let Ok(Item::Unsigned(n)) = self.first_item() { Some(n) } else { None }
    }

    /// The item, for arrays, maps and tags without what they contain.
    pub(crate) fn first_item(&self) -> Result<Item<'_>, ContentError> {
        Reader::new(&self.0, &Limits { size: usize::MAX, ..Limits::default() })?.item()
    }

    /// Reads an item with at most so many levels of tags, maps and arrays, and keeps it.
    pub(crate) fn read(reader: &mut Reader<'_>, levels: usize) -> Result<Self, ContentError> {
        let before = reader.rest();
        skip_value(reader, levels)?;
        let bytes = before.get(..before.len() - reader.rest().len()).unwrap_or_default();
        reader.charge(bytes.len() + size_of::<Self>())?;
        Ok(Self(bytes.to_vec()))
    }
}

impl fmt::Debug for Value {
    /// Prints the bytes in CBOR's diagnostic notation.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<<h'")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("'>>")
    }
}

/// Reads over one item with at most so many levels of tags, maps and arrays, and checks its encoding.
pub(crate) fn skip_value(reader: &mut Reader<'_>, levels: usize) -> Result<(), ContentError> {
    let start = reader.offset();
    let item = reader.item()?;
    let below = || levels.checked_sub(1).ok_or(Fault::OverLimit(Limit::ItemDepth).at(start));
    match item {
        Item::Array(count) => {
            let below = below()?;
            (0..count).try_for_each(|_| skip_value(reader, below))
        }
        Item::Map(count) => {
            let below = below()?;
            let mut keys = MapKeys::default();
            (0..count).try_for_each(|_| {
                keys.read(reader, |reader| read_key(reader).map(drop))?;
                skip_value(reader, below)
            })
        }
        Item::Tag(2 | 3) => {
            below()?;
            let at = reader.offset();
            match reader.item()? {
                Item::Bytes(bytes) if bytes.len() > 8 && bytes.first() != Some(&0) => Ok(()),
                _ => Err(Fault::Bignum.at(at)),
            }
        }
        Item::Tag(_) => skip_value(reader, below()?),
        Item::Float(float) => float.check().map_err(|fault| fault.at(start)),
        Item::Unsigned(_)
        | Item::Negative(_)
        | Item::Bytes(_)
        | Item::Text(_)
        | Item::Bool(_)
        | Item::Null
        | Item::Simple => Ok(()),
    }
}

/// Reads a key of a map: an integer that is exact as a floating-point number, text, or bytes (section 6.2).
pub(crate) fn read_key<'a>(reader: &mut Reader<'a>) -> Result<Item<'a>, ContentError> {
    let start = reader.offset();
    match reader.item()? {
        key @ (Item::Unsigned(0..=MAX_KEY) | Item::Text(_) | Item::Bytes(_)) => Ok(key),
        // −1 − n; the least is −(2^53 − 1).
        key @ Item::Negative(n) if n < MAX_KEY => Ok(key),
        _ => Err(Fault::MapKey.at(start)),
    }
}

/// The keys of one map, which ascend in the order of their encodings (RFC 8949 section 4.2.1).
#[derive(Default)]
pub(crate) struct MapKeys<'a> {
    last: Option<&'a [u8]>,
}

impl<'a> MapKeys<'a> {
    /// Reads the next key.
    pub(crate) fn read<T>(
        &mut self,
        reader: &mut Reader<'a>,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, ContentError>,
    ) -> Result<T, ContentError> {
        let (start, before) = (reader.offset(), reader.rest());
        let key = read(reader)?;
        let encoded = before.get(..reader.offset() - start).unwrap_or_default();
        match self.last.replace(encoded) {
            Some(last) if last == encoded => Err(Fault::DuplicateKey.at(start)),
            Some(last) if last > encoded => Err(Fault::KeyOrder.at(start)),
            _ => Ok(key),
        }
    }
}
