//! Messages as they come into the index, change and go.
//!
//! The newest messages are in no segment: a search reads them. When there are enough of them, they become a segment.

use crate::access::{Access, MAX_TAIL, OpenSegment};
use crate::body::Body;
use crate::error::HistoryError;
use crate::rows::{
    BODY, EXPIRY, MARK, MESSAGE, Mark, MessageRow, ORDER, REACTION, RECEIPT, RoomRow, TOPIC,
    UNREAD_EXPIRY, WORDS, expiry_key, number_of,
};
use crate::segment::{MAX_MESSAGES, MAX_TEXT, Placed, Segment, encode_order};
use conclave_content::MessageId;
use conclave_store::{Secret, WriteSet};

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
        self.extend_tail(room, row)
    }

    /// Counts a message among those that are in no segment, and makes a segment of them if there are enough.
    fn extend_tail(&mut self, room: &mut RoomRow, row: &MessageRow) -> Result<(), HistoryError> {
        room.tail += 1;
        room.tail_bytes = room.tail_bytes.saturating_add(searched(row).len() as u64);
        if room.tail >= MAX_MESSAGES as u64 || room.tail_bytes >= MAX_TEXT {
            self.close_segment(room)?;
        }
        Ok(())
    }

    /// Makes a segment of the messages that are in none.
    fn close_segment(&mut self, room: &mut RoomRow) -> Result<(), HistoryError> {
        let mut segment = Segment::default();
        let from = room.number.key_of(room.indexed.saturating_add(1));
        let tail = self.view.scan(MESSAGE, &room.number.key(), &from, MAX_TAIL)?;
        for (key, row) in tail.iter().take(MAX_MESSAGES) {
            let number = number_of(key)?;
            let row = self.decoded(room.number, number, row)?;
            segment.push(placed(number, &row), &searched(&row));
            room.indexed = number;
        }
        if !segment.messages.is_empty() {
            let place = usize::try_from(room.segments).unwrap_or(usize::MAX);
            let number = self.add_segment(room, place)?;
            self.view.put(WORDS, room.number.key_of(number), segment.encode());
        }
        (room.tail, room.tail_bytes) = (0, 0);
        Ok(())
    }

    /// Adds a segment at a place among the others, and returns its number.
    fn add_segment(&mut self, room: &mut RoomRow, place: usize) -> Result<u64, HistoryError> {
        let mut segments = self.segments(room)?;
        let number = room.segments;
        let is_last = place >= segments.len();
        segments.insert(place.min(segments.len()), number);
        room.segments += 1;
        let key = room.number.key();
        if !is_last || self.view.get(ORDER, &key)?.is_some() {
            self.view.put(ORDER, key, encode_order(&segments));
        }
        Ok(number)
    }

    /// Adds a message that may stand before others.
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
        recount(room, number, None, Some(row));
        if number > room.indexed {
            return self.extend_tail(room, row);
        }
        self.insert_indexed(room, number, row)
    }

    /// Puts a message into the segment that has those around it, unless it is there.
    pub(crate) fn insert_indexed(
        &mut self,
        room: &mut RoomRow,
        number: u64,
        row: &MessageRow,
    ) -> Result<(), HistoryError> {
        self.open_segment_for(room, number)?;
        let Some(open) = &self.open else { return Ok(()) };
        if open.segment.has(number) {
            return Ok(());
        }
        if open.segment.is_full() {
            self.split_segment(room, number)?;
        }
        if let Some(open) = &mut self.open {
            open.segment.insert(placed(number, row), &searched(row));
            open.is_changed = true;
        }
        Ok(())
    }

    /// Opens the segment into which a number belongs.
    fn open_segment_for(&mut self, room: &mut RoomRow, number: u64) -> Result<(), HistoryError> {
        let is_it = |open: &OpenSegment| open.room == room.number && open.range.contains(&number);
        if self.open.as_ref().is_some_and(is_it) {
            return Ok(());
        }

        self.close_open_segment();
        let mut segments = self.segments(room)?;
        if segments.is_empty() {
            let number = self.add_segment(room, 0)?;
            self.view.put(WORDS, room.number.key_of(number), Segment::default().encode());
            segments.push(number);
        }
        let at = self.segment_of(room, &segments, number)?.unwrap_or_default();
        let segment_number = segments.get(at).copied().unwrap_or_default();
        let segment = Segment::decode(&self.segment(room.number, segment_number)?)?;
        let from = if at == 0 { 0 } else { segment.first };
        let until = match segments.get(at + 1) {
            Some(next) => self.first_of_segment(room.number, *next)?,
            // What comes later is in no segment yet, and becomes one of its own.
            None => room.indexed.saturating_add(1),
        };
        let range = from..until;
        self.open = Some(OpenSegment {
            room: room.number,
            segment_number,
            range,
            segment,
            is_changed: false,
        });
        Ok(())
    }

    /// Makes room for a number in the open segment, which is full: what comes after the number becomes a segment of its
    /// own. If that is nothing, a new segment is open.
    fn split_segment(&mut self, room: &mut RoomRow, number: u64) -> Result<(), HistoryError> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        let segments = self.segments(room)?;
        let place = segments.iter().position(|segment| *segment == open.segment_number);
        let place = place.map_or(segments.len(), |at| at + 1);
        let segment_number = self.add_segment(room, place)?;

        let later = open.segment.split_off(number);
        let until = open.range.end;
        open.is_changed = true;
        if later.messages.is_empty() {
            open.range.end = number;
            self.open = Some(open);
            self.close_open_segment();
            self.open = Some(OpenSegment {
                room: room.number,
                segment_number,
                range: number..until,
                segment: later,
                is_changed: true,
            });
        } else {
            open.range.end = later.first;
            self.open = Some(open);
            self.view.put(WORDS, room.number.key_of(segment_number), later.encode());
        }
        Ok(())
    }

    /// Forgets the open segment, whose room is deleted.
    pub(crate) fn forget_open_segment(&mut self, room: &RoomRow) {
        self.open.take_if(|open| open.room == room.number);
    }

    fn close_open_segment(&mut self) {
        if let Some(open) = self.open.take().filter(|open| open.is_changed) {
            let key = open.room.key_of(open.segment_number);
            self.view.put(WORDS, key, open.segment.encode());
        }
    }

    /// The changes, to be written in one step.
    pub(crate) fn into_set(mut self) -> WriteSet {
        self.close_open_segment();
        self.view.into_set()
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
        let segments = self.segments(room)?;
        let Some(at) = self.segment_of(room, &segments, number)? else { return Ok(()) };
        let at = segments.get(at).copied().unwrap_or_default();
        if let Some(open) = &mut self.open
            && (open.room, open.segment_number) == (room.number, at)
        {
            change(&mut open.segment);
            open.is_changed = true;
            return Ok(());
        }
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
