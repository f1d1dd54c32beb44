//! Taking what comes in.

use crate::access::Access;
use crate::body::Body;
use crate::entry::Entry;
use crate::error::HistoryError;
use crate::history::History;
use crate::known::{Known, MayReplace};
use crate::rows::{
    BATCH, DRAFT, Envelope, MESSAGE, META, Mark, Media, MessageRow, NEXT_ROOM, NUMBER, ORDER,
    PENDING, PendingRow, ROOM, RoomNumber, RoomRow, UNREAD_EXPIRY, WORDS, decode_pending,
    encode_pending, number_of,
};
use crate::store::{Rows, RowsMut};
use conclave_content::{
    Arrival, ExpiryPolicy, Ignored, Lifetime, Limits, MIMI_CONTENT, Meaning, MessageId,
    MimiContent, Profile, Reference, ReferenceState, Salt, TEXT_PLAIN, essence, interpret,
    is_media_type, text_rank,
};
use conclave_store::{GroupId, Secret, WriteSet};

/// For how many missing messages of a room something is kept, how many messages are kept for one of them, and how many
/// octets each has at most.
const MAX_PENDING: u64 = 256;
const MAX_PENDING_OF_ONE: usize = 8;
const MAX_PENDING_SIZE: usize = 16 << 10;

/// A message of a room's log, as its group has authenticated it.
#[derive(Clone, Copy)]
pub struct Event<'a> {
    /// The room's group.
    pub group: &'a GroupId,
    /// The room's URI. Identifiers of messages derive from it: it is the same for all members.
    pub room: &'a str,
    /// The URI that the user whose history this is has in the room: messages of that user are own ones, and links to it
    /// are mentions.
    pub me: &'a str,
    /// The message's number in the log.
    pub number: u64,
    /// When the service accepted it, in seconds since 1970.
    pub time: u64,
    /// The URI of the user who sent it.
    pub user: &'a str,
    /// The device that sent it, as the host names devices.
    pub device: &'a str,
    /// How its bytes are to be read.
    pub media_type: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Whether the room's policy lets somebody replace what somebody else has written.
    pub may_replace: MayReplace<'a>,
    /// What the room's policy said of expiry at the message's place in the log.
    pub expiry: ExpiryPolicy,
}

/// The policy by which nobody replaces what somebody else has written.
pub fn nobody(_: &conclave_content::Replacing<'_>) -> bool {
    false
}

/// What a message did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It was taken before.
    Known,
    /// It is shown, as this.
    Said(Box<Entry>),
    /// It gave a message another body.
    Edited(Box<Entry>),
    /// It deleted a message.
    Deleted {
        /// The number of that message.
        number: u64,
    },
    /// It reacted to a message.
    Reacted {
        /// The number of that message.
        number: u64,
        /// The symbols, each on one line and safe to show.
        symbols: Vec<String>,
        /// Whether the reaction was taken back.
        taken_back: bool,
    },
    /// Somebody else has received or read messages of this user's.
    Receipt {
        /// Whether they were read, not just received.
        read: bool,
        /// Their numbers, ascending.
        numbers: Vec<u64>,
    },
    /// Another device of this user's has read as far as this number.
    ReadElsewhere {
        /// The number.
        up_to: u64,
    },
    /// It is about a message that is not here. If that comes, it takes effect.
    Waiting,
    /// It has no effect, and why.
    Ignored(Ignored),
    /// It is what its sender's user says of themselves, which the host keeps. It says nothing in the room.
    Profile(Box<Profile>),
    /// It says nothing.
    Nothing,
}

/// Takes what comes in, as rows that the host writes in one step with its own.
#[derive(Debug)]
pub struct Recording<'a> {
    pub(crate) access: Access<'a>,
    pub(crate) now: u64,
}

/// What is known of a message beside what it says.
#[derive(Clone, Copy)]
pub(crate) struct From<'a> {
    pub(crate) number: u64,
    pub(crate) id: MessageId,
    pub(crate) time: u64,
    pub(crate) user: &'a str,
    pub(crate) device: &'a str,
    pub(crate) me: &'a str,
    /// Until when it is kept if it expires a while after reading and nobody reads it, in seconds since 1970.
    pub(crate) unread_until: u64,
}

impl History {
    /// Begins to take what comes in, at a time in seconds since 1970.
    #[must_use]
    pub fn record<'a>(&'a self, store: &'a dyn Rows, now: u64) -> Recording<'a> {
        Recording { access: Access::new(self, store), now }
    }

    /// Completes the index where an earlier version has put messages between others and ended before it had indexed them.
    /// A process that ends too early here goes on when it calls this again.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    pub fn mend(&self, store: &mut dyn RowsMut) -> Result<(), HistoryError> {
        let rooms = Access::new(self, &*store).rooms()?;
        for (group, _) in rooms.into_iter().filter(|(_, room)| room.unindexed) {
            let mut next = Some(0);
            while let Some(from) = next {
                let mut recording = self.record(&*store, 0);
                next = recording.mend_from(&group, from)?;
                let set = recording.finish();
                store.write(&set)?;
            }
        }
        Ok(())
    }
}

impl<'a> Recording<'a> {
    /// The rows, to be written in one step.
    #[must_use]
    pub fn finish(self) -> WriteSet {
        self.access.into_set()
    }

    /// Takes a message. Messages of a room come in the order of their numbers; one that was taken before changes
    /// nothing.
    ///
    /// # Errors
    /// If the store cannot be read, or a URI is too long.
    pub fn take(&mut self, event: &Event<'_>) -> Result<Taken, HistoryError> {
        let mut room = self.room_or_new(event.group, event.room)?;
        if event.number <= room.last {
            return Ok(Taken::Known);
        }
        if room.last == 0 {
            room.since = event.number;
            self.make_way(&mut room, event.number)?;
        }
        room.last = event.number;
        // Identifiers derive from the URI that the room has now; earlier ones are stored.
        if room.uri != event.room {
            room.uri = event.room.into();
        }
        let taken = self.take_new(&mut room, event)?;
        self.put_room(event.group, &room);
        Ok(taken)
    }

    fn take_new(&mut self, room: &mut RoomRow, event: &Event<'_>) -> Result<Taken, HistoryError> {
        let Event { number, time, user, device, me, bytes, .. } = *event;
        let content = is_media_type(event.media_type, MIMI_CONTENT)
            .then(|| MimiContent::decode(bytes, &Limits::default()).ok());
        // Older versions sent no salt: all members know the number.
        let salt = match &content {
            Some(Some(content)) => content.salt,
            _ => Salt(u128::from(number).to_be_bytes()),
        };
        let id = MessageId::derive(user, &room.uri, bytes, &salt);
        let id = id.map_err(|_| HistoryError::RoomUri)?;
        let unread_until = event.expiry.unread_until(time);
        let from = From { number, id, time, user, device, me, unread_until };
        let media = match &content {
            Some(_) => Media::Mimi,
            None if is_media_type(event.media_type, TEXT_PLAIN) => Media::Text,
            None => Media::Other(essence(event.media_type).into()),
        };
        match content.flatten() {
            Some(mut content) => {
                // The policy counts from here on. The identifier and the bytes that are kept are those that were sent.
                content.expires = event.expiry.bounded(content.expires, time);
                self.take_content(room, &from, (&content, bytes), event.may_replace)
            }
            None => {
                let expires = event.expiry.bounded(None, time);
                let envelope = Envelope { id, in_reply_to: None, topic: Vec::new(), expires };
                self.say(room, &from, (media, bytes), envelope)
            }
        }
    }

    /// Takes MIMI content, whose encoding is `bytes`.
    pub(crate) fn take_content(
        &mut self,
        room: &mut RoomRow,
        from: &From<'_>,
        (content, bytes): (&MimiContent, &[u8]),
        may_replace: MayReplace<'_>,
    ) -> Result<Taken, HistoryError> {
        let known = Known::of(&self.access, room.number, (from.id, content), may_replace)?;
        let (sender, uri) = (from.user, room.uri.clone());
        let arrival = Arrival { id: from.id, sender, room: &uri, accepted_at: from.time };
        let is_missing = |of: &Reference| of.state != ReferenceState::Known;

        match interpret(content, &arrival, &known, &text_rank) {
            Meaning::Ignored(reason) => Ok(Taken::Ignored(reason)),
            Meaning::Empty => Ok(Taken::Nothing),
            Meaning::Profile(profile) => Ok(Taken::Profile(Box::new(profile))),
            Meaning::Edit { of, .. } | Meaning::Delete { of } if is_missing(&of) => {
                self.keep(room, from, (of.id, bytes))
            }
            Meaning::Edit { of, .. } => self.edit(room, from, of.id, (content, bytes)),
            Meaning::Delete { of } => self.delete(room, from, of.id),
            Meaning::Reaction { to: Some(to), .. } if to.state == ReferenceState::Missing => {
                self.keep(room, from, (to.id, bytes))
            }
            Meaning::Reaction { to: Some(to), with } => self.react(room, from, to.id, &with),
            Meaning::Status(report) => self.report(room, from, &report),
            Meaning::Text(_)
            | Meaning::Reply { .. }
            | Meaning::Reaction { to: None, .. }
            | Meaning::Attachment(_)
            | Meaning::Session(_)
            | Meaning::Unknown(_) => {
                let envelope = Envelope {
                    id: from.id,
                    in_reply_to: content.in_reply_to,
                    topic: content.topic_id.clone(),
                    expires: content.expires,
                };
                self.say(room, from, (Media::Mimi, bytes), envelope)
            }
        }
    }

    /// Adds a message that is shown.
    fn say(
        &mut self,
        room: &mut RoomRow,
        from: &From<'_>,
        (media, bytes): (Media, &[u8]),
        envelope: Envelope,
    ) -> Result<Taken, HistoryError> {
        let own = from.user == from.me;
        // What we said, we have read.
        let lifetime = envelope.expires.map(|e| e.lifetime(self.now, own.then_some(from.time)));
        let (deadline, seconds_after_reading) = match lifetime {
            Some(Lifetime::Over) => return Ok(Taken::Ignored(Ignored::Expired)),
            Some(Lifetime::UntilRead) if from.unread_until <= self.now => {
                return Ok(Taken::Ignored(Ignored::Expired));
            }
            Some(Lifetime::Until(at)) => (at, None),
            Some(Lifetime::UntilRead) => (from.unread_until, envelope.expires.map(|e| e.time)),
            None => (0, None),
        };

        let mut row = MessageRow {
            time: from.time,
            user: from.user.into(),
            device: from.device.into(),
            own,
            mentions: false,
            edits: Vec::new(),
            deleted_by: None,
            given_by: None,
            deadline,
            envelope,
            media,
            content: bytes.to_vec(),
        };
        row.mentions = Body::of(&row).mentions(from.me);

        if deadline > 0 {
            self.access.put_expiry(room, from.number, deadline);
        }
        if let Some(seconds) = seconds_after_reading {
            let key = room.number.key_of(from.number);
            self.access.view.put(UNREAD_EXPIRY, key, Secret::copy_from(&seconds.to_be_bytes()));
        }
        self.access.put_mark(room, &from.id, &Mark::Said(from.number));
        if !row.envelope.topic.is_empty() {
            self.access.put_topic(room, &row.envelope.topic, from.number);
        }
        self.access.add(room, from.number, &row)?;
        self.take_pending(room, from)?;

        let row = self.access.message(room.number, from.number)?.unwrap_or(row);
        Ok(Taken::Said(Box::new(self.access.entry(room.number, from.number, row)?)))
    }

    /// Keeps what is about a message that is not here.
    fn keep(
        &mut self,
        room: &mut RoomRow,
        from: &From<'_>,
        (of, content): (MessageId, &[u8]),
    ) -> Result<Taken, HistoryError> {
        let key = self.access.mark_key(room.number, &of);
        let row = self.access.view.get(PENDING, &key)?;
        let is_new = row.is_none();
        let mut pending = row.as_ref().map(decode_pending).transpose()?.unwrap_or_default();
        let is_full = pending.len() >= MAX_PENDING_OF_ONE || is_new && room.pending >= MAX_PENDING;
        if !is_full && content.len() <= MAX_PENDING_SIZE {
            room.pending += u64::from(is_new);
            pending.push(PendingRow {
                number: from.number,
                time: from.time,
                user: from.user.into(),
                device: from.device.into(),
                content: content.to_vec(),
            });
            self.access.view.put(PENDING, key, encode_pending(&pending));
        }
        Ok(Taken::Waiting)
    }

    /// Does what was kept until this message came.
    pub(crate) fn take_pending(
        &mut self,
        room: &mut RoomRow,
        message: &From<'_>,
    ) -> Result<(), HistoryError> {
        let key = self.access.mark_key(room.number, &message.id);
        if room.pending == 0 {
            return Ok(());
        }
        let Some(row) = self.access.view.get(PENDING, &key)? else { return Ok(()) };
        room.pending -= 1;
        self.access.view.delete(PENDING, key);
        for PendingRow { number, time, user, device, content: bytes } in decode_pending(&row)? {
            let Ok(content) = MimiContent::decode(&bytes, &Limits::default()) else { continue };
            let id = MessageId::derive(&user, &room.uri, &bytes, &content.salt);
            let id = id.map_err(|_| HistoryError::RoomUri)?;
            let (user, device, me) = (user.as_str(), device.as_str(), message.me);
            // What is kept for a message is about it, and does not expire by itself.
            let unread_until = ExpiryPolicy::Open.unread_until(time);
            let from = From { number, id, time, user, device, me, unread_until };
            // Which users could replace others' messages at that time is no longer known.
            self.take_content(room, &from, (&content, &bytes), &nobody)?;
        }
        Ok(())
    }

    pub(crate) fn room_or_new(
        &mut self,
        group: &GroupId,
        uri: &str,
    ) -> Result<RoomRow, HistoryError> {
        if let Some(room) = self.access.find_room(group)? {
            return Ok(room);
        }
        let next = self.access.view.get(META, NEXT_ROOM)?;
        let next = match &next {
            Some(next) => next.expose().try_into().map(u32::from_be_bytes),
            None => Ok(0),
        };
        let next = next.map_err(|_| HistoryError::Damaged("the number of the next room"))?;
        let number = RoomNumber(next);
        let view = &mut self.access.view;
        view.put(META, NEXT_ROOM.to_vec(), Secret::copy_from(&(next + 1).to_be_bytes()));
        view.put(NUMBER, number.key(), Secret::copy_from(group.as_ref()));
        Ok(RoomRow::new(number, uri))
    }

    pub(crate) fn put_room(&mut self, group: &GroupId, room: &RoomRow) {
        self.access.view.put(ROOM, group.as_ref().to_vec(), room.encode());
    }

    /// Takes note that this device came into a room by this entry of the log. That matters if it was there before: it lacks
    /// what was said in between.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn came_in(&mut self, group: &GroupId, number: u64) -> Result<(), HistoryError> {
        if let Some(mut room) = self.access.find_room(group)?.filter(|room| room.last > 0) {
            room.since = room.since.max(number);
            self.put_room(group, &room);
        }
        Ok(())
    }

    /// Deletes messages from a number on that were given: this device takes them from the log.
    fn make_way(&mut self, room: &mut RoomRow, from: u64) -> Result<(), HistoryError> {
        for (number, row) in self.access.heads(room.number, from, usize::MAX)? {
            self.access.remove(room, number, &row)?;
        }
        Ok(())
    }

    /// Indexes a batch of a room's messages that an earlier version has left out, from a number on. Returns where to go on.
    fn mend_from(&mut self, group: &GroupId, from: u64) -> Result<Option<u64>, HistoryError> {
        let mut room = self.access.room(group)?;
        let from = room.number.key_of(from);
        let rows = self.access.view.scan(MESSAGE, &room.number.key(), &from, BATCH)?;
        let mut next = None;
        for (key, row) in &rows {
            let number = number_of(key)?;
            next = number.checked_add(1).filter(|next| *next <= room.indexed);
            if number <= room.indexed {
                let row = self.access.decoded(room.number, number, row)?;
                self.access.insert_indexed(&mut room, number, &row)?;
            }
        }
        room.unindexed = next.is_some();
        self.put_room(group, &room);
        Ok(next)
    }

    /// Deletes a room with all that was said there.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn forget(&mut self, group: &GroupId) -> Result<(), HistoryError> {
        let Some(mut room) = self.access.find_room(group)? else { return Ok(()) };
        // Message by message, as each has rows under other keys; the index goes as a whole.
        let key = room.number.key();
        room.indexed = 0;
        for (number, row) in self.access.heads(room.number, 0, usize::MAX)? {
            self.access.remove(&mut room, number, &row)?;
        }
        self.access.forget_open_segment(&room);
        for namespace in [WORDS, ORDER, PENDING, DRAFT] {
            for (key, _) in self.access.view.scan(namespace, &key, &key, usize::MAX)? {
                self.access.view.delete(namespace, key);
            }
        }
        self.access.view.delete(NUMBER, key);
        self.access.view.delete(ROOM, group.as_ref().to_vec());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::Cursor;
    use conclave_crypto::testing::TestRng;
    use conclave_store::{MemoryStore, Store};

    const ALICE: &str = "mimi://example.com/u/alice";
    const ROOM_URI: &str = "mimi://example.com/r/1";

    /// A room of a store, with even numbers up to 2,000.
    fn room_of_even_numbers() -> (MemoryStore, History, GroupId) {
        let (mut store, group) = (MemoryStore::new(), GroupId::from(b"g".as_slice()));
        let history = History::open(&mut store, &mut TestRng(1)).unwrap();
        let mut recording = history.record(&store, 1);
        for number in (2..=2_000).step_by(2) {
            let text = format!("even n{number:04}");
            let event = Event {
                group: &group,
                room: ROOM_URI,
                me: "mimi://example.com/u/bob",
                number,
                time: 1,
                user: ALICE,
                device: "alice/pc",
                media_type: TEXT_PLAIN,
                bytes: text.as_bytes(),
                may_replace: &nobody,
                expiry: ExpiryPolicy::Open,
            };
            recording.take(&event).unwrap();
        }
        let set = recording.finish();
        Store::write(&mut store, &set).unwrap();
        (store, history, group)
    }

    #[test]
    fn what_an_earlier_version_left_out_of_the_index_is_found_once_mended() {
        let (mut store, history, group) = room_of_even_numbers();
        let mut recording = history.record(&store, 1);
        let mut room = recording.access.room(&group).unwrap();
        for number in (1..1_000).step_by(2) {
            let content = format!("odd n{number:04}").into_bytes();
            let row = MessageRow { content, ..MessageRow::plain(ALICE, "alice/pc") };
            recording.access.put_message(&room, number, &row);
            room.messages += 1;
        }
        room.unindexed = true;
        recording.put_room(&group, &room);
        let set = recording.finish();
        Store::write(&mut store, &set).unwrap();

        let found = |store: &MemoryStore, query: &str| {
            let found = history.read(store).search(&group, query, Cursor::LAST, 9).unwrap();
            found.entries.iter().map(|entry| entry.number).collect::<Vec<_>>()
        };
        assert_eq!((found(&store, "n0501"), found(&store, "n0500")), (vec![], vec![500]));
        history.mend(&mut store).unwrap();
        for number in [1, 2, 199, 201, 255, 501, 997, 999, 1_000, 1_998, 2_000] {
            assert_eq!(found(&store, &format!("n{number:04}")).last(), Some(&number));
        }
        let reading = history.read(&store);
        let page = reading.before(&group, Cursor(502), 3).unwrap();
        assert_eq!(page.entries.iter().map(|e| e.number).collect::<Vec<_>>(), [499, 500, 501]);
        let before = store.clone();
        history.mend(&mut store).unwrap();
        let rows = |store: &MemoryStore| Store::scan(store, WORDS, &[], usize::MAX).unwrap();
        assert_eq!(rows(&store), rows(&before), "nothing is left to mend");
    }
}
