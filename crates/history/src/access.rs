//! Finding rows.

use crate::error::HistoryError;
use crate::history::History;
use crate::rows::{
    BODY, MARK, MESSAGE, Mark, MessageRow, NUMBER, ORDER, REACTION, RECEIPT, ROOM, ReactionRow,
    RoomNumber, RoomRow, WORDS, decode_reactions, decode_receipts, number_of,
};
use crate::segment::{self, MAX_MESSAGES, Segment, decode_order};
use crate::store::Rows;
use crate::view::View;
use conclave_content::MessageId;
use conclave_store::{GroupId, Secret};

/// How many messages after the last segment are read: one more than are ever there.
pub(crate) const MAX_TAIL: usize = MAX_MESSAGES + 1;

/// The rows of a history.
#[derive(Debug)]
pub(crate) struct Access<'a> {
    pub(crate) history: &'a History,
    pub(crate) view: View<'a>,
    pub(crate) open: Option<OpenSegment>,
}

/// The segment in which messages are put one after another: it is decoded and encoded once for all of them.
#[derive(Debug)]
pub(crate) struct OpenSegment {
    pub(crate) room: RoomNumber,
    pub(crate) segment_number: u64,
    /// The numbers of messages that belong into it.
    pub(crate) range: core::ops::Range<u64>,
    pub(crate) segment: Segment,
    pub(crate) is_changed: bool,
}

impl<'a> Access<'a> {
    pub(crate) fn new(history: &'a History, store: &'a dyn Rows) -> Self {
        Self { history, view: View::new(store), open: None }
    }

    pub(crate) fn find_room(&self, group: &GroupId) -> Result<Option<RoomRow>, HistoryError> {
        let row = self.view.get(ROOM, group.as_ref())?;
        row.as_ref().map(RoomRow::decode).transpose()
    }

    pub(crate) fn room(&self, group: &GroupId) -> Result<RoomRow, HistoryError> {
        self.find_room(group)?.ok_or(HistoryError::NoRoom)
    }

    pub(crate) fn rooms(&self) -> Result<Vec<(GroupId, RoomRow)>, HistoryError> {
        let rows = self.view.scan(ROOM, &[], &[], usize::MAX)?;
        let room =
            |(group, row): (Vec<u8>, Secret)| Ok((GroupId::from(group), RoomRow::decode(&row)?));
        rows.into_iter().map(room).collect()
    }

    /// The group of a room.
    pub(crate) fn group_of(&self, room: RoomNumber) -> Result<Option<GroupId>, HistoryError> {
        let group = self.view.get(NUMBER, &room.key())?;
        Ok(group.map(|group| GroupId::from(group.expose())))
    }

    pub(crate) fn message(
        &self,
        room: RoomNumber,
        number: u64,
    ) -> Result<Option<MessageRow>, HistoryError> {
        let row = self.view.get(MESSAGE, &room.key_of(number))?;
        row.map(|row| self.decoded(room, number, &row)).transpose()
    }

    pub(crate) fn decoded(
        &self,
        room: RoomNumber,
        number: u64,
        row: &Secret,
    ) -> Result<MessageRow, HistoryError> {
        MessageRow::decode(row, || self.view.get(BODY, &room.key_of(number)))
    }

    /// A message without its content, if that has a row of its own.
    pub(crate) fn message_head(
        &self,
        room: RoomNumber,
        number: u64,
    ) -> Result<Option<MessageRow>, HistoryError> {
        let row = self.view.get(MESSAGE, &room.key_of(number))?;
        row.as_ref().map(decoded_head).transpose()
    }

    /// The messages from a number on, ascending, without content that has a row of its own.
    pub(crate) fn heads(
        &self,
        room: RoomNumber,
        from: u64,
        limit: usize,
    ) -> Result<Vec<(u64, MessageRow)>, HistoryError> {
        let rows = self.view.scan(MESSAGE, &room.key(), &room.key_of(from), limit)?;
        rows.iter().map(|(key, row)| Ok((number_of(key)?, decoded_head(row)?))).collect()
    }

    /// The reactions to a message.
    pub(crate) fn reaction_rows(
        &self,
        room: RoomNumber,
        number: u64,
    ) -> Result<Vec<ReactionRow>, HistoryError> {
        let row = self.view.get(REACTION, &room.key_of(number))?;
        Ok(row.as_ref().map(decode_reactions).transpose()?.unwrap_or_default())
    }

    /// The users who have a message of ours, with whether they have read it.
    pub(crate) fn receipts(
        &self,
        room: RoomNumber,
        number: u64,
    ) -> Result<Vec<(String, bool)>, HistoryError> {
        let row = self.view.get(RECEIPT, &room.key_of(number))?;
        Ok(row.as_ref().map(decode_receipts).transpose()?.unwrap_or_default())
    }

    pub(crate) fn mark_key(&self, room: RoomNumber, id: &MessageId) -> Vec<u8> {
        room.key_by(&self.history.hash(&id.0))
    }

    pub(crate) fn mark(
        &self,
        room: RoomNumber,
        id: &MessageId,
    ) -> Result<Option<Mark>, HistoryError> {
        let row = self.view.get(MARK, &self.mark_key(room, id))?;
        row.as_ref().map(Mark::decode).transpose()
    }

    /// The number and row of a message that is shown, without content that has a row of its own.
    pub(crate) fn find(
        &self,
        room: RoomNumber,
        id: &MessageId,
    ) -> Result<Option<(u64, MessageRow)>, HistoryError> {
        let number = match self.mark(room, id)? {
            Some(Mark::Said(number)) => number,
            Some(Mark::Edited { number, .. }) => number,
            Some(Mark::Reacted { .. }) | None => return Ok(None),
        };
        Ok(self.message_head(room, number)?.map(|row| (number, row)))
    }

    /// The numbers of a room's segments, in the order of their messages.
    pub(crate) fn segments(&self, room: &RoomRow) -> Result<Vec<u64>, HistoryError> {
        let Some(row) = self.view.get(ORDER, &room.number.key())? else {
            return Ok((0..room.segments).collect());
        };
        let segments = decode_order(&row)?;
        let is_whole = segments.len() as u64 == room.segments;
        if is_whole { Ok(segments) } else { Err(HistoryError::Damaged("the order of the index")) }
    }

    pub(crate) fn segment(&self, room: RoomNumber, number: u64) -> Result<Secret, HistoryError> {
        if let Some(open) = self.open_segment(room, number) {
            return Ok(open.segment.encode());
        }
        let row = self.view.get(WORDS, &room.key_of(number))?;
        row.ok_or(HistoryError::Damaged("the index"))
    }

    /// The number at which a segment begins.
    pub(crate) fn first_of_segment(
        &self,
        room: RoomNumber,
        number: u64,
    ) -> Result<u64, HistoryError> {
        match self.open_segment(room, number) {
            Some(open) => Ok(open.segment.first),
            None => Ok(segment::Rows::new(&self.segment(room, number)?)?.first),
        }
    }

    fn open_segment(&self, room: RoomNumber, number: u64) -> Option<&OpenSegment> {
        self.open.as_ref().filter(|open| (open.room, open.segment_number) == (room, number))
    }

    /// The place, among a room's segments, of the last one that begins at a number or before it; none if there is none.
    pub(crate) fn segment_of(
        &self,
        room: &RoomRow,
        segments: &[u64],
        number: u64,
    ) -> Result<Option<usize>, HistoryError> {
        let (mut low, mut high) = (0, segments.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let segment = segments.get(middle).copied().unwrap_or_default();
            let first = self.first_of_segment(room.number, segment)?;
            if first <= number {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low.checked_sub(1))
    }

    /// A room's segments whose messages may come before a number, the latest first.
    pub(crate) fn segments_before(
        &self,
        room: &RoomRow,
        before: u64,
    ) -> Result<Vec<u64>, HistoryError> {
        let Some(last) = before.checked_sub(1) else { return Ok(Vec::new()) };
        let mut segments = self.segments(room)?;
        let count = self.segment_of(room, &segments, last)?.map_or(0, |at| at + 1);
        segments.truncate(count);
        segments.reverse();
        Ok(segments)
    }

    /// The numbers of the messages after the last segment and before a number, the latest first.
    pub(crate) fn tail_before(
        &self,
        room: &RoomRow,
        before: u64,
    ) -> Result<Vec<u64>, HistoryError> {
        let from = room.number.key_of(room.indexed.saturating_add(1));
        let tail = self.view.scan(MESSAGE, &room.number.key(), &from, MAX_TAIL)?;
        let mut numbers = Vec::new();
        for (key, _) in tail.iter().rev() {
            numbers.push(number_of(key)?);
        }
        numbers.retain(|number| *number < before);
        Ok(numbers)
    }

    /// The numbers of the last messages before a number, so many at most, ascending.
    pub(crate) fn numbers_before(
        &self,
        room: &RoomRow,
        before: u64,
        limit: usize,
    ) -> Result<Vec<u64>, HistoryError> {
        let mut numbers = self.tail_before(room, before)?;
        for at in self.segments_before(room, before)? {
            if numbers.len() >= limit {
                break;
            }
            let segment = segment::Rows::new(&self.segment(room.number, at)?)?.messages;
            let earlier = segment.iter().rev().map(|placed| placed.number);
            numbers.extend(earlier.filter(|number| *number < before));
        }
        numbers.truncate(limit);
        numbers.reverse();
        Ok(numbers)
    }

    /// The numbers of the messages before a number that mention the user, the latest first: so many at most.
    pub(crate) fn mentions_before(
        &self,
        room: &RoomRow,
        before: u64,
        limit: usize,
    ) -> Result<Vec<u64>, HistoryError> {
        let tail = self.heads(room.number, room.indexed.saturating_add(1), MAX_TAIL)?;
        let tail = tail.into_iter().rev().filter(|(_, row)| row.is_mention());
        let mut numbers: Vec<u64> = tail.map(|(number, _)| number).collect();
        numbers.retain(|number| *number < before);

        for at in self.segments_before(room, before)? {
            if numbers.len() >= limit {
                break;
            }
            let segment = segment::Rows::new(&self.segment(room.number, at)?)?.messages;
            let mentions = segment.iter().rev().filter(|placed| placed.mentions);
            numbers.extend(mentions.map(|placed| placed.number).filter(|number| *number < before));
        }
        numbers.truncate(limit);
        Ok(numbers)
    }

    /// How many messages after a number count as unread, and how many of them mention the user.
    pub(crate) fn count_after(
        &self,
        room: &RoomRow,
        number: u64,
    ) -> Result<(u64, u64), HistoryError> {
        let from = number.max(room.indexed).saturating_add(1);
        let tail = self.heads(room.number, from, MAX_TAIL)?;
        let mut unread = tail.iter().filter(|(_, row)| row.counts()).count();
        let mut mentions = tail.iter().filter(|(_, row)| row.counts_as_mention()).count();
        if number >= room.indexed {
            return Ok((unread as u64, mentions as u64));
        }

        let segments = self.segments(room)?;
        let first = self.segment_of(room, &segments, number)?.unwrap_or_default();
        for at in segments.into_iter().skip(first) {
            let segment = segment::Rows::new(&self.segment(room.number, at)?)?.messages;
            let counted = segment.iter().filter(|placed| placed.number > number && placed.counts);
            unread += counted.clone().count();
            mentions += counted.filter(|placed| placed.mentions).count();
        }
        Ok((unread as u64, mentions as u64))
    }
}

fn decoded_head(row: &Secret) -> Result<MessageRow, HistoryError> {
    MessageRow::decode(row, || Ok(Some(Secret::default())))
}
