//! How far the user has read, what expires, and what is being written.

use crate::access::Access;
use crate::codec::{In, Out};
use crate::error::HistoryError;
use crate::recording::Recording;
use crate::rows::{
    DRAFT, EXPIRY, RoomRow, UNREAD_EXPIRY, expiry_key, expiry_of, number_of, optional_id,
};
use conclave_content::MessageId;
use conclave_store::GroupId;

/// What the user is writing in a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unsent {
    /// The text; empty if nothing is being written.
    pub text: String,
    /// The message that it replies to.
    pub in_reply_to: Option<MessageId>,
}

/// A message that has expired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired {
    /// Its room's group.
    pub group: GroupId,
    /// Its number.
    pub number: u64,
}

impl Recording<'_> {
    /// Takes note that the user has read a room up to a number. What expires a while after it is read begins to.
    /// Returns whether that is further than before.
    ///
    /// # Errors
    /// If there is no such room, or the store cannot be read.
    pub fn mark_read(&mut self, group: &GroupId, up_to: u64) -> Result<bool, HistoryError> {
        let mut room = self.access.room(group)?;
        let up_to = up_to.min(room.last);
        if up_to <= room.read {
            return Ok(false);
        }
        self.read_up_to(&mut room, up_to, self.now)?;
        self.put_room(group, &room);
        Ok(true)
    }

    pub(crate) fn read_up_to(
        &mut self,
        room: &mut RoomRow,
        up_to: u64,
        read_at: u64,
    ) -> Result<(), HistoryError> {
        room.read = up_to;
        (room.unread, room.mentions) =
            if up_to >= room.latest { (0, 0) } else { self.access.count_after(room, up_to)? };

        let key = room.number.key();
        for (key, seconds) in self.access.view.scan(UNREAD_EXPIRY, &key, &key, usize::MAX)? {
            let number = number_of(&key)?;
            if number > up_to {
                break;
            }
            self.access.view.delete(UNREAD_EXPIRY, key);
            let seconds = seconds.expose().try_into().map(u32::from_be_bytes);
            let seconds = seconds.map_err(|_| HistoryError::Damaged("when a message expires"))?;
            let Some(mut row) = self.access.message(room.number, number)? else { continue };
            // Until it was read, it had the deadline of an unread message.
            self.access.view.delete(EXPIRY, expiry_key(row.deadline, room.number, number));
            row.deadline = read_at.saturating_add(u64::from(seconds)).max(1);
            self.access.put_expiry(room, number, row.deadline);
            self.access.put_message(room, number, &row);
        }
        Ok(())
    }

    /// Deletes messages that have expired, with all that the history has of them: so many at most. There may be more,
    /// if as many are returned.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn expire(&mut self, limit: usize) -> Result<Vec<Expired>, HistoryError> {
        let mut expired = Vec::new();
        for (key, _) in self.access.view.scan(EXPIRY, &[], &[], limit)? {
            let (at, number_of_room, number) = expiry_of(&key)?;
            if at > self.now {
                break;
            }
            self.access.view.delete(EXPIRY, key);
            let Some(group) = self.access.group_of(number_of_room)? else { continue };
            let mut room = self.access.room(&group)?;
            let Some(row) = self.access.message_head(room.number, number)? else { continue };
            self.access.remove(&mut room, number, &row)?;
            self.put_room(&group, &room);
            expired.push(Expired { group, number });
        }
        Ok(expired)
    }

    /// Keeps what the user is writing in a room, by its group and URI, whether or not something was said there; nothing, if
    /// the text is empty.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn keep_unsent(
        &mut self,
        (group, uri): (&GroupId, &str),
        unsent: &Unsent,
    ) -> Result<(), HistoryError> {
        if unsent.text.is_empty() {
            if let Some(room) = self.access.find_room(group)? {
                self.access.view.delete(DRAFT, room.number.key());
            }
            return Ok(());
        }
        let room = self.room_or_new(group, uri)?;
        self.put_room(group, &room);
        let key = room.number.key();
        let mut out = Out::new(1);
        out.optional(unsent.in_reply_to.as_ref().map(|id| &id.0[..]));
        out.raw(unsent.text.as_bytes());
        self.access.view.put(DRAFT, key, out.finish());
        Ok(())
    }
}

impl Access<'_> {
    pub(crate) fn unsent(&self, room: &RoomRow) -> Result<Unsent, HistoryError> {
        let Some(row) = self.view.get(DRAFT, &room.number.key())? else {
            return Ok(Unsent::default());
        };
        let mut row = In::new("what is being written", 1, row.expose())?;
        let in_reply_to = optional_id(&mut row)?;
        let text = core::str::from_utf8(row.rest()).map_err(|_| row.damaged())?;
        Ok(Unsent { text: text.into(), in_reply_to })
    }

    /// When the next message expires.
    pub(crate) fn next_expiry(&self) -> Result<Option<u64>, HistoryError> {
        let first = self.view.scan(EXPIRY, &[], &[], 1)?;
        let first = first.first().map(|(key, _)| expiry_of(key));
        Ok(first.transpose()?.map(|(at, _, _)| at))
    }
}
