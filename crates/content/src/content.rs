//! A whole message (section 4).

use crate::cbor::{Reader, Value, Writer};
use crate::error::{ContentError, Fault};
use crate::extensions::Extensions;
use crate::id::{MessageId, Salt};
use crate::limits::{Limit, Limits, MAX_DEPTH};
use crate::part::{LATER_LEVELS, NestedPart, PartLimits};
use alloc::vec::Vec;

/// The fields of a message.
const FIELDS: usize = 7;

/// The media type of an encoded [`MimiContent`].
pub const MIMI_CONTENT: &str = "application/mimi-content";

/// A message: what it does and what it contains (`mimiContent`, section 4.1).
///
/// This is plain data, as it was received or is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MimiContent {
    /// Random octets.
    pub salt: Salt,
    /// The message that this one edits or deletes.
    pub replaces: Option<MessageId>,
    /// The topic, or thread, that the message belongs to; empty if to none.
    pub topic_id: Vec<u8>,
    /// When it should be deleted.
    pub expires: Option<Expiration>,
    /// The message that this one is a reply or a reaction to.
    pub in_reply_to: Option<MessageId>,
    /// Extension fields.
    pub mimi_extensions: Extensions,
    /// The body.
    pub nested_part: NestedPart,
    /// Items after the seventh, which the draft does not know and a later version may add. Kept as they came.
    pub later: Vec<Value>,
}

/// When a message should be deleted (section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Expiration {
    /// Whether the time counts from when the message is read.
    pub relative: bool,
    /// Seconds: since 1970, or since the message was read.
    pub time: u32,
}

impl MimiContent {
    /// Decodes a message.
    ///
    /// # Errors
    /// [`ContentError`] if the bytes are not the one deterministic encoding of a message (section 6.1), break a rule
    /// that section 9.1 has messages discarded for, or are beyond the limits.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, ContentError> {
        let mut reader = Reader::new(bytes, limits)?;
        let fields = reader.array()?;
        let later = fields.checked_sub(FIELDS).ok_or(Fault::WrongLength("a message").at(0))?;

        let salt = Salt::read(&mut reader)?;
        let replaces = optional(&mut reader, MessageId::read)?;
        let topic_id = read_topic(&mut reader, limits)?;
        let expires = optional(&mut reader, Expiration::read)?;
        let in_reply_to = optional(&mut reader, MessageId::read)?;
        let mimi_extensions = Extensions::read(&mut reader, limits)?;
        let nested_part = NestedPart::read(&mut reader, &mut PartLimits::new(limits))?;
        let later = (0..later).map(|_| Value::read(&mut reader, LATER_LEVELS));
        let later = later.collect::<Result<_, _>>()?;

        reader.finish()?;
        Ok(Self {
            salt,
            replaces,
            topic_id,
            expires,
            in_reply_to,
            mimi_extensions,
            nested_part,
            later,
        })
    }

    /// Encodes the message. What was decoded within the default [`Limits`] encodes to the same bytes.
    ///
    /// The bytes hold the keys of attachments: keep them where nobody else reads them.
    ///
    /// # Errors
    /// [`ContentError`] if others would refuse the message, within the default [`Limits`] and those of the draft.
    pub fn encode(&self) -> Result<Vec<u8>, ContentError> {
        let bytes = self.encode_unchecked()?;
        // What the types allow and the draft does not is found by the one place that knows the rules.
        Self::decode(&bytes, &Limits::default())?;
        Ok(bytes)
    }

    /// Encodes the message, whatever others think of it.
    pub(crate) fn encode_unchecked(&self) -> Result<Vec<u8>, ContentError> {
        let mut writer = Writer::new();
        writer.array(FIELDS + self.later.len());
        self.salt.write(&mut writer);
        or_null(&mut writer, self.replaces.as_ref(), |id, writer| id.write(writer));
        writer.bytes(&self.topic_id);
        or_null(&mut writer, self.expires.as_ref(), Expiration::write);
        or_null(&mut writer, self.in_reply_to.as_ref(), |id, writer| id.write(writer));
        self.mimi_extensions.write(&mut writer);
        self.nested_part.write(&mut writer, MAX_DEPTH)?;
        self.later.iter().for_each(|item| writer.raw(item.as_cbor()));
        Ok(writer.finish())
    }
}

impl Expiration {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ContentError> {
        reader.array_of(2, "an expiration")?;
        Ok(Self { relative: reader.bool()?, time: reader.number("the time of expiration")? })
    }

    fn write(&self, writer: &mut Writer) {
        writer.array(2);
        writer.bool(self.relative);
        writer.unsigned(self.time);
    }
}

fn read_topic(reader: &mut Reader<'_>, limits: &Limits) -> Result<Vec<u8>, ContentError> {
    let start = reader.offset();
    let topic = reader.bytes()?;
    if topic.len() > limits.topic {
        return Err(Fault::OverLimit(Limit::Topic).at(start));
    }
    Ok(topic.into())
}

fn optional<'a, T>(
    reader: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, ContentError>,
) -> Result<Option<T>, ContentError> {
    if reader.null() { Ok(None) } else { read(reader).map(Some) }
}

fn or_null<T>(writer: &mut Writer, value: Option<&T>, write: impl FnOnce(&T, &mut Writer)) {
    match value {
        Some(value) => write(value, writer),
        None => writer.null(),
    }
}
