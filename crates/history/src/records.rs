//! Messages as records of a file, each with all that hangs on it.

use crate::access::Access;
use crate::codec::{In, Out};
use crate::error::HistoryError;
use crate::recording::Recording;
use crate::rows::{
    BODY, Mark, MessageRow, REACTION, RECEIPT, ReactionRow, RoomRow, UNREAD_EXPIRY,
    decode_reactions, decode_receipts, encode_reactions, encode_receipts, number_of,
};
use conclave_store::Secret;

pub(crate) const VERSION: u8 = 1;

/// A room of a backup.
#[cfg(feature = "backup")]
pub(crate) const ROOM_RECORD: u8 = 0;
/// A message of the room before it.
pub(crate) const MESSAGE_RECORD: u8 = 1;
/// A room that is given to another device.
pub(crate) const GIVEN_ROOM_RECORD: u8 = 2;

/// A message with all that hangs on it.
pub(crate) struct MessageRecord {
    pub(crate) number: u64,
    pub(crate) row: MessageRow,
    pub(crate) reactions: Vec<ReactionRow>,
    pub(crate) receipts: Vec<(String, bool)>,
    /// After how many seconds it expires, if it is to be read first.
    pub(crate) seconds: Option<Secret>,
}

impl MessageRecord {
    /// Reads a record whose version and kind were read.
    pub(crate) fn read(record: &mut In<'_>) -> Result<Self, HistoryError> {
        let number = record.number()?;
        let row = Secret::copy_from(record.bytes()?);
        let [body, reactions, receipts, seconds] =
            [record.optional()?, record.optional()?, record.optional()?, record.optional()?]
                .map(|row| row.map(Secret::copy_from));
        let row = MessageRow::decode(&row, || Ok(body))?;
        let reactions = reactions.as_ref().map(decode_reactions).transpose()?.unwrap_or_default();
        let receipts = receipts.as_ref().map(decode_receipts).transpose()?.unwrap_or_default();
        Ok(Self { number, row, reactions, receipts, seconds })
    }
}

impl Access<'_> {
    /// The record of a message, by its key and row.
    pub(crate) fn message_record(&self, key: &[u8], row: &Secret) -> Result<Out, HistoryError> {
        let mut record = Out::new(VERSION);
        record.byte(MESSAGE_RECORD);
        record.number(number_of(key)?);
        record.bytes(row.expose());
        for namespace in [BODY, REACTION, RECEIPT, UNREAD_EXPIRY] {
            record.optional(self.view.get(namespace, key)?.as_ref().map(Secret::expose));
        }
        Ok(record)
    }
}

impl Recording<'_> {
    /// Adds a message that the room lacks, with all that hangs on it.
    pub(crate) fn add_record(
        &mut self,
        room: &mut RoomRow,
        record: MessageRecord,
    ) -> Result<(), HistoryError> {
        let MessageRecord { number, row, reactions, receipts, seconds } = record;
        let key = room.number.key_of(number);
        if row.deadline > 0 {
            self.access.put_expiry(room, number, row.deadline);
        }
        if let Some(seconds) = seconds.filter(|seconds| seconds.len() == 4) {
            self.access.view.put(UNREAD_EXPIRY, key.clone(), seconds);
        }
        self.put_marks(room, number, &row, &reactions);
        if !reactions.is_empty() {
            self.access.view.put(REACTION, key.clone(), encode_reactions(&reactions));
        }
        if !receipts.is_empty() {
            self.access.view.put(RECEIPT, key, encode_receipts(&receipts));
        }
        self.access.insert(room, number, &row)
    }

    fn put_marks(
        &mut self,
        room: &RoomRow,
        number: u64,
        row: &MessageRow,
        reactions: &[ReactionRow],
    ) {
        let access: &mut Access<'_> = &mut self.access;
        let first = row.envelope.id;
        access.put_mark(room, &first, &Mark::Said(number));
        for id in &row.edits {
            // Who made the edit is not in the record. The author of the message may edit it again.
            let (id, author) = (*id, row.user.clone());
            access.put_mark(room, &id, &Mark::Edited { number, id, author, first });
        }
        for reaction in reactions {
            let (id, author) = (reaction.by, reaction.user.clone());
            access.put_mark(room, &id, &Mark::Reacted { number, id, author });
        }
        if !row.envelope.topic.is_empty() {
            access.put_topic(room, &row.envelope.topic, number);
        }
    }
}
