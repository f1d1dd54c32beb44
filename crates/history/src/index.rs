//! Messages as they come into the index, change and go.
//!
//! The newest messages are in no segment: a search reads them. When there are enough of them, they become a segment.

use crate::access::{Access, MAX_TAIL};
use crate::body::Body;
use crate::error::HistoryError;
use crate::rows::{
    BODY, EXPIRY, MARK, MESSAGE, Mark, MessageRow, REACTION, RECEIPT, RoomRow, TOPIC,
    UNREAD_EXPIRY, WORDS, expiry_key, number_of,
};
use crate::segment::{MAX_MESSAGES, MAX_TEXT, Placed, Segment};
use conclave_content::MessageId;
use conclave_store::Secret;

/// How much of a text is searched, in octets.
const MAX_SEARCHED: usize = 64 << 10;

/// The text of a message that a search compares.
pub(crate) fn searched(row: &MessageRow) -> String {
    let mut text = Body::of(row).searched();
    let end = (0..=MAX_SEARCHED).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or_default());
    text
}

fn placed(number: u64, row: &MessageRow) -> Placed {
    Placed { number, counts: row.counts(), mentions: row.is_mention() }
}

impl Access<'_> {
    pub(crate) fn put_message(&mut self, room: &RoomRow, number: u64, row: &MessageRow) {
        let key = room.number.key_of(number);
        let (head, body) = row.encode();
        self.view.put(MESSAGE, key.clone(), head);
        match body {
            Some(body) => self.view.put(BODY, key, body),
            None => self.view.delete(BODY, key),
        }
    }

    /// Adds a message after all others.
    pub(crate) fn add(
        &mut self,
        room: &mut RoomRow,
        number: u64,
        row: &MessageRow,
    ) -> Result<(), HistoryError> {
        self.put_message(room, number, row);
        room.latest = number;
        room.messages += 1;
        recount(room, number, None, Some(row));
        self.extend_tail(room, number, row)
    }

    /// Counts a message among those that are in no segment, and makes a segment of them if there are enough.
    fn extend_tail(
        &mut self,
        room: &mut RoomRow,
        number: u64,
        row: &MessageRow,
    ) -> Result<(), HistoryError> {
        room.tail += 1;
        room.tail_bytes = room.tail_bytes.saturating_add(searched(row).len() as u64);
        if room.tail >= MAX_MESSAGES as u64 || room.tail_bytes >= MAX_TEXT {
            self.close_segment(room, number)?;
        }
        Ok(())
    }

    /// Makes a segment of the messages that are in none, up to a number.
    fn close_segment(&mut self, room: &mut RoomRow, up_to: u64) -> Result<(), HistoryError> {
        let mut segment = Segment::default();
        let from = room.number.key_of(room.indexed.saturating_add(1));
        let tail = self.view.scan(MESSAGE, &room.number.key(), &from, MAX_TAIL)?;
        for (key, row) in tail.iter().take(MAX_MESSAGES) {
            let number = number_of(key)?;
            if number > up_to {
                break;
            }
            let row = self.decoded(room.number, number, row)?;
            segment.push(placed(number, &row), &searched(&row));
            room.indexed = number;
        }
        if !segment.messages.is_empty() {
            self.view.put(WORDS, room.number.key_of(room.segments), segment.encode());
            room.segments += 1;
        }
        (room.tail, room.tail_bytes) = (0, 0);
        Ok(())
    }

    /// Indexes the messages that are not in the index yet, however few, so that they are found until it is made anew.
    /// Messages that are inserted between them are not.
    pub(crate) fn close_tail(&mut self, room: &mut RoomRow) -> Result<(), HistoryError> {
        if room.tail > 0 { self.close_segment(room, u64::MAX) } else { Ok(()) }
    }

    /// Adds a message that may stand before others. Then the index lacks it until [`Self::reindex`] is called.
    pub(crate) fn insert(
        &mut self,
        room: &mut RoomRow,
        number: u64,
        row: &MessageRow,
    ) -> Result<(), HistoryError> {
        if number > room.latest {
            return self.add(room, number, row);
        }
        self.put_message(room, number, row);
        room.messages += 1;
        room.unindexed = true;
        recount(room, number, None, Some(row));
        Ok(())
    }

    /// Makes the index of a room anew.
    pub(crate) fn reindex(&mut self, room: &mut RoomRow) -> Result<(), HistoryError> {
        for at in 0..room.segments {
            self.view.delete(WORDS, room.number.key_of(at));
        }
        (room.segments, room.indexed, room.tail, room.tail_bytes) = (0, 0, 0, 0);
        room.unindexed = false;
        let mut next = 0;
        loop {
            let from = room.number.key_of(next);
            let rows = self.view.scan(MESSAGE, &room.number.key(), &from, MAX_MESSAGES)?;
            for (key, row) in &rows {
                let number = number_of(key)?;
                let row = self.decoded(room.number, number, row)?;
                next = number.saturating_add(1);
                self.extend_tail(room, number, &row)?;
            }
            if rows.len() < MAX_MESSAGES {
                return Ok(());
            }
        }
    }

    /// Takes note of what a message says now, and whether it counts.
    pub(crate) fn replace(
        &mut self,
        room: &mut RoomRow,
        number: u64,
        (before, now): (&MessageRow, &MessageRow),
    ) -> Result<(), HistoryError> {
        self.put_message(room, number, now);
        recount(room, number, Some(before), Some(now));
        if number > room.indexed {
            room.tail_bytes = room.tail_bytes.saturating_add(searched(now).len() as u64);
            return Ok(());
        }
        self.change_segment(room, number, |segment| {
            segment.replace(placed(number, now), &searched(now));
        })
    }

    /// Deletes all that there is of a message.
    pub(crate) fn remove(
        &mut self,
        room: &mut RoomRow,
        number: u64,
        row: &MessageRow,
    ) -> Result<(), HistoryError> {
        recount(room, number, Some(row), None);
        room.messages = room.messages.saturating_sub(1);
        self.remove_beside(room, number, row)?;
        let key = room.number.key_of(number);
        for namespace in [MESSAGE, UNREAD_EXPIRY] {
            self.view.delete(namespace, key.clone());
        }
        if row.deadline > 0 {
            self.view.delete(EXPIRY, expiry_key(row.deadline, room.number, number));
        }
        if !row.envelope.topic.is_empty() {
            self.view.delete(TOPIC, self.topic_key(room, &row.envelope.topic, number));
        }
        self.view.delete(MARK, self.mark_key(room.number, &row.envelope.id));
        if number > room.indexed {
            room.tail = room.tail.saturating_sub(1);
            return Ok(());
        }
        self.change_segment(room, number, |segment| segment.remove(number))
    }

    /// Deletes what others have added to a message, and its content if that has a row of its own.
    pub(crate) fn remove_beside(
        &mut self,
        room: &RoomRow,
        number: u64,
        row: &MessageRow,
    ) -> Result<(), HistoryError> {
        let reactions = self.reaction_rows(room.number, number)?;
        let by = reactions.iter().map(|reaction| &reaction.by);
        by.chain(&row.edits).for_each(|id| self.forget_mark(room, id));
        let key = room.number.key_of(number);
        for namespace in [BODY, REACTION, RECEIPT] {
            self.view.delete(namespace, key.clone());
        }
        Ok(())
    }

    pub(crate) fn put_mark(&mut self, room: &RoomRow, id: &MessageId, mark: &Mark) {
        self.view.put(MARK, self.mark_key(room.number, id), mark.encode());
    }

    pub(crate) fn forget_mark(&mut self, room: &RoomRow, id: &MessageId) {
        self.view.delete(MARK, self.mark_key(room.number, id));
    }

    /// The key of a message of a topic; without a number's octets, that of all of them.
    pub(crate) fn topic_key(&self, room: &RoomRow, topic: &[u8], number: u64) -> Vec<u8> {
        let hash = self.history.hash(&[b"topic ", topic].concat());
        [room.number.key_by(&hash), number.to_be_bytes().to_vec()].concat()
    }

    pub(crate) fn put_topic(&mut self, room: &RoomRow, topic: &[u8], number: u64) {
        let key = self.topic_key(room, topic, number);
        self.view.put(TOPIC, key, Secret::copy_from(&[1]));
    }

    /// Takes note of when a message expires, in seconds since 1970.
    pub(crate) fn put_expiry(&mut self, room: &RoomRow, number: u64, deadline: u64) {
        let key = expiry_key(deadline, room.number, number);
        self.view.put(EXPIRY, key, Secret::copy_from(&[1]));
    }

    fn change_segment(
        &mut self,
        room: &RoomRow,
        number: u64,
        change: impl FnOnce(&mut Segment),
    ) -> Result<(), HistoryError> {
        let Some(at) = self.segment_of(room, number)? else { return Ok(()) };
        let mut segment = Segment::decode(&self.segment(room.number, at)?)?;
        change(&mut segment);
        self.view.put(WORDS, room.number.key_of(at), segment.encode());
        Ok(())
    }
}

/// Keeps the room's counts true while a message changes.
fn recount(room: &mut RoomRow, number: u64, before: Option<&MessageRow>, now: Option<&MessageRow>) {
    if number <= room.read {
        return;
    }
    let count =
        |of: fn(&MessageRow) -> bool, row: Option<&MessageRow>| u64::from(row.is_some_and(of));
    let changed = |n: u64, of| (n + count(of, now)).saturating_sub(count(of, before));
    room.unread = changed(room.unread, MessageRow::counts);
    room.mentions = changed(room.mentions, MessageRow::counts_as_mention);
}
