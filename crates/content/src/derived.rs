//! What a receiver knows of a message beside its content (section 4.6).

use crate::cbor::{Item, Reader, Value, Writer};
use crate::error::{ContentError, Fault};
use crate::id::MessageId;
use crate::limits::Limits;
use crate::part::LATER_LEVELS;
use alloc::string::String;
use alloc::vec::Vec;

/// The tag of extended times (RFC 9581 section 3).
const EXTENDED_TIME: u64 = 1001;

/// When the hub accepted a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Timestamp {
    /// Milliseconds since 1970.
    Milliseconds(u64),
    /// An extended time of RFC 9581, with its tag.
    Extended(Value),
}

/// What follows from how a message came (`MessageDerivedValues`). It is not sent with the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageDerivedValues {
    /// The message's identifier.
    pub message_id: MessageId,
    /// When the hub accepted it.
    pub hub_accepted_timestamp: Timestamp,
    /// The MLS group.
    pub mls_group_id: Vec<u8>,
    /// The sender's leaf.
    pub sender_leaf_index: u32,
    /// The sender's device.
    pub sender_client_url: String,
    /// The sender.
    pub sender_user_url: String,
    /// The room.
    pub room_url: String,
}

impl MessageDerivedValues {
    /// Decodes the values.
    ///
    /// # Errors
    /// [`ContentError`] if the bytes are not their deterministic encoding, or beyond the limits.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, ContentError> {
        let mut reader = Reader::new(bytes, limits)?;
        reader.array_of(7, "the derived values of a message")?;
        let values = Self {
            message_id: MessageId::read(&mut reader)?,
            hub_accepted_timestamp: Timestamp::read(&mut reader)?,
            mls_group_id: reader.bytes()?.into(),
            sender_leaf_index: reader.number("a leaf index")?,
            sender_client_url: reader.text()?.into(),
            sender_user_url: reader.text()?.into(),
            room_url: reader.text()?.into(),
        };
        reader.finish()?;
        Ok(values)
    }

    /// Encodes the values.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.array(7);
        self.message_id.write(&mut writer);
        match &self.hub_accepted_timestamp {
            Timestamp::Milliseconds(time) => writer.unsigned(*time),
            Timestamp::Extended(time) => writer.raw(time.as_cbor()),
        }
        writer.bytes(&self.mls_group_id);
        writer.unsigned(self.sender_leaf_index);
        writer.text(&self.sender_client_url);
        writer.text(&self.sender_user_url);
        writer.text(&self.room_url);
        writer.finish()
    }
}

impl Timestamp {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ContentError> {
        let start = reader.offset();
        let value = Value::read(reader, LATER_LEVELS)?;
        match value.first_item()? {
            Item::Unsigned(time) => Ok(Self::Milliseconds(time)),
            Item::Tag(EXTENDED_TIME) => Ok(Self::Extended(value)),
            _ => Err(Fault::WrongType("a time").at(start)),
        }
    }
}
