//! Extension fields of a message (section 4.3).

use crate::cbor::{Item, MapKeys, Reader, Value, Writer, read_key};
use crate::error::{ContentError, Fault};
use crate::limits::{Limit, Limits};
use alloc::collections::BTreeMap;
use alloc::string::String;
use core::cmp::Ordering;

/// The levels of tags, maps and arrays in a value: the map of extensions is the first of four (section 6.3).
const VALUE_LEVELS: usize = 3;

/// The key of an extension.
///
/// The order is that of their deterministic encodings: integers from 0 up, negative ones from −1 down, and text, the
/// shorter before the longer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ExtensionKey {
    /// An integer between −(2^53 − 1) and 2^53 − 1. The IANA assigns the positive ones; the negative ones are for
    /// private use, and 0 is reserved.
    Integer(i64),
    /// Text of 1 to 255 octets, for private use.
    Text(String),
}

impl ExtensionKey {
    /// `senderUri`: the sender as a participant in MIMI.
    pub const SENDER_URI: Self = Self::Integer(1);
    /// `roomUri`: the room.
    pub const ROOM_URI: Self = Self::Integer(2);

    fn read(reader: &mut Reader<'_>) -> Result<Self, ContentError> {
        let start = reader.offset();
        let key = match read_key(reader)? {
            Item::Unsigned(n) => i64::try_from(n).ok().map(Self::Integer),
            Item::Negative(n) => i64::try_from(n).ok().map(|n| Self::Integer(-1 - n)),
            Item::Text(text) if (1..=255).contains(&text.len()) => Some(Self::Text(text.into())),
            _ => None,
        };
        key.ok_or(Fault::MapKey.at(start))
    }

    fn write(&self, writer: &mut Writer) {
        match self {
            Self::Integer(n) => match u64::try_from(*n) {
                Ok(n) => writer.unsigned(n),
                Err(_) => writer.negative(n.unsigned_abs() - 1),
            },
            Self::Text(text) => writer.text(text),
        }
    }

    /// What keys are compared by.
    fn rank(&self) -> (u8, u64, &str) {
        match self {
            Self::Integer(n @ 0..) => (0, n.unsigned_abs(), ""),
            Self::Integer(n) => (1, n.unsigned_abs(), ""),
            Self::Text(text) => (2, text.len() as u64, text),
        }
    }
}

impl PartialOrd for ExtensionKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ExtensionKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

/// The extension fields of a message, by their keys. Those that nobody here knows are kept as they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions(pub BTreeMap<ExtensionKey, Value>);

impl Extensions {
    /// The extensions of a message that names its sender and its room, as the draft's examples do.
    #[must_use]
    pub fn of(sender: &str, room: &str) -> Self {
        let uris = [(ExtensionKey::SENDER_URI, sender), (ExtensionKey::ROOM_URI, room)];
        Self(uris.map(|(key, uri)| (key, Value::text(uri))).into())
    }

    /// `senderUri`, as the sender claims it.
    #[must_use]
    pub fn sender_uri(&self) -> Option<&str> {
        self.0.get(&ExtensionKey::SENDER_URI).and_then(Value::as_text)
    }

    /// `roomUri`, as the sender claims it.
    #[must_use]
    pub fn room_uri(&self) -> Option<&str> {
        self.0.get(&ExtensionKey::ROOM_URI).and_then(Value::as_text)
    }

    pub(crate) fn read(reader: &mut Reader<'_>, limits: &Limits) -> Result<Self, ContentError> {
        let start = reader.offset();
        let count = reader.map()?;
        if count > limits.extensions {
            return Err(Fault::OverLimit(Limit::Extensions).at(start));
        }

        let mut extensions = BTreeMap::new();
        let mut keys = MapKeys::default();
        for _ in 0..count {
            let key = keys.read(reader, ExtensionKey::read)?;
            reader.charge(size_of::<(ExtensionKey, Value)>() + 255)?;
            let at = reader.offset();
            let value = Value::read(reader, VALUE_LEVELS)?;
            let is_uri = matches!(key, ExtensionKey::SENDER_URI | ExtensionKey::ROOM_URI);
            if is_uri && value.as_text().is_none() {
                return Err(Fault::WrongType("text, as senderUri and roomUri are").at(at));
            }
            extensions.insert(key, value);
        }
        Ok(Self(extensions))
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.map(self.0.len());
        for (key, value) in &self.0 {
            key.write(writer);
            writer.raw(value.as_cbor());
        }
    }
}
