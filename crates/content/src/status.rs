//! What became of messages (draft-mahy-mimi-message-status-01, which the draft names in section 2).

use crate::cbor::{Reader, Writer};
use crate::error::{ContentError, Fault};
use crate::id::MessageId;
use crate::limits::{Limit, Limits};
use alloc::vec::Vec;

/// The media type of an encoded [`MessageStatusReport`].
pub const MIMI_MESSAGE_STATUS: &str = "application/mimi-message-status";

/// What became of a message at its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageStatus(pub u8);

impl MessageStatus {
    /// The reporting user has not read it yet.
    pub const UNREAD: Self = Self(0);
    /// A client of the reporting user received it.
    pub const DELIVERED: Self = Self(1);
    /// The reporting user read it.
    pub const READ: Self = Self(2);
    /// It expired, and cannot be read.
    pub const EXPIRED: Self = Self(3);
    /// It was deleted, by the reporting client or by somebody who may retract it.
    pub const DELETED: Self = Self(4);
    /// It was hidden by the reporting client.
    pub const HIDDEN: Self = Self(5);
    /// Its receipt failed.
    pub const ERROR: Self = Self(6);

    /// Its name in the registry; none if it is unknown.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::UNREAD => "unread",
            Self::DELIVERED => "delivered",
            Self::READ => "read",
            Self::EXPIRED => "expired",
            Self::DELETED => "deleted",
            Self::HIDDEN => "hidden",
            Self::ERROR => "error",
            _ => return None,
        })
    }
}

/// What became of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerMessageStatus {
    /// The message.
    pub message_id: MessageId,
    /// What became of it.
    pub status: MessageStatus,
}

/// What became of messages of one room, as one of its members says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageStatusReport(pub Vec<PerMessageStatus>);

impl MessageStatusReport {
    /// A report that says the same of several messages.
    pub fn of(status: MessageStatus, messages: impl IntoIterator<Item = MessageId>) -> Self {
        let all = messages.into_iter();
        Self(all.map(|message_id| PerMessageStatus { message_id, status }).collect())
    }

    /// What the report says of a message: its last word, if there are several.
    #[must_use]
    pub fn status(&self, id: &MessageId) -> Option<MessageStatus> {
        let of_it = self.0.iter().rev().find(|entry| entry.message_id == *id);
        of_it.map(|entry| entry.status)
    }

    /// Decodes a report. A message's identifier may have any first octet: the report is for other formats, too.
    ///
    /// # Errors
    /// [`ContentError`] if the bytes are not the deterministic encoding of a report, or beyond the limits.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, ContentError> {
        let mut reader = Reader::new(bytes, limits)?;
        let count = reader.array()?;
        if count > limits.statuses {
            return Err(Fault::OverLimit(Limit::Statuses).at(0));
        }

        let entries = (0..count).map(|_| {
            reader.charge(size_of::<PerMessageStatus>())?;
            reader.array_of(2, "the status of a message")?;
            let message_id = MessageId::read_any(&mut reader)?;
            Ok(PerMessageStatus { message_id, status: MessageStatus(reader.number("a status")?) })
        });
        let entries = entries.collect::<Result<_, _>>()?;

        reader.finish()?;
        Ok(Self(entries))
    }

    /// Encodes the report.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.array(self.0.len());
        for entry in &self.0 {
            writer.array(2);
            entry.message_id.write(&mut writer);
            writer.unsigned(entry.status.0);
        }
        writer.finish()
    }
}
