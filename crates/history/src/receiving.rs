//! What another device of the user's has given: a file that is read through once to check it, and then taken.
//!
//! That device vouches for what the messages say and who said it: it is the user's own. Its bytes are hostile all the same.
//! All of the file is checked before anything of it is taken, what does not fit its identifier is left out, and what this
//! device has itself stays as it is.

use crate::body::Body;
use crate::codec::In;
use crate::effects::{MAX_EDITS, MAX_REACTIONS, MAX_RECEIPTS};
use crate::error::HistoryError;
use crate::giving::{AEAD, Given};
use crate::history::History;
use crate::recording::{From, Recording};
use crate::records::{GIVEN_ROOM_RECORD, MESSAGE_RECORD, MessageRecord, VERSION};
use crate::rows::{BATCH, Media, MessageRow, ReactionRow, RoomRow};
use crate::store::RowsMut;
use crate::stream::{Opening, StreamError};
use conclave_content::{Lifetime, Limits, MAX_REACTION, MessageId, MimiContent, Salt};
use conclave_mls::crypto::CryptoProvider;
use conclave_store::{GroupId, Secret};
use core::fmt;
use std::collections::BTreeSet;
use std::io::{Read, Seek, SeekFrom};

/// The longest URI, name of a device or media type, topic, and content that is taken, in octets.
const MAX_NAME: usize = 4096;
const MAX_TOPIC: usize = 4096;
const MAX_CONTENT: usize = 1 << 20;
/// How many rooms a file has at most. It names each once.
const MAX_ROOMS: usize = 1 << 16;

/// A room, as the device knows it that messages are given to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomPlace {
    /// The room's URI.
    pub uri: String,
    /// The URI that the user has there.
    pub me: String,
    /// The number of the log from which this device takes messages itself, if it has taken none yet.
    pub before: u64,
    /// Messages that the service accepted before this time, in seconds since 1970, are not taken.
    pub since: u64,
    /// Whether the room has a policy for expiry. Then a message may expire at another time than its sender chose.
    pub bounds_expiry: bool,
}

/// Who gives, and what may be taken.
#[derive(Clone, Copy)]
pub struct Giver<'a> {
    /// The device, as the host names it.
    pub device: &'a str,
    /// The rooms of which messages are taken.
    pub place: &'a dyn Fn(&GroupId) -> Option<RoomPlace>,
}

/// A file that another device has given.
pub struct Receiving<R> {
    input: R,
    key: Secret,
    opening: Opening,
    /// Whether it was read through once.
    is_checked: bool,
    room: Option<Current>,
    /// The rooms that were named.
    named: BTreeSet<GroupId>,
    /// How long their identifiers are together.
    named_bytes: usize,
    given: Given,
}

/// The room whose messages are read.
struct Current {
    group: GroupId,
    /// Its URI, as the other device has it.
    uri: String,
    /// None if messages of it are not taken.
    place: Option<RoomPlace>,
    last: u64,
    has_added: bool,
}

impl<R> fmt::Debug for Receiving<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiving").field("given", &self.given).finish_non_exhaustive()
    }
}

impl<R: Read + Seek> Receiving<R> {
    /// A file under a key.
    #[must_use]
    pub fn new(key: Secret, input: R) -> Self {
        let opening = Opening::new(AEAD, key.clone(), 0);
        let (room, named, given) = (None, BTreeSet::new(), Given::default());
        Self { input, key, opening, is_checked: false, room, named, named_bytes: 0, given }
    }

    /// Checks the next messages or, once all were checked, takes those that are missing here, in one write: they are shown
    /// and found from then on. Returns how much was taken at the end of the file, and none before. After a process that
    /// ended too early, another one begins with the file again, and takes the rest.
    ///
    /// # Errors
    /// [`StreamError`]. If the file makes no sense, nothing of it was taken.
    pub fn step(
        &mut self,
        history: &History,
        store: &mut dyn RowsMut,
        (provider, giver): (&dyn CryptoProvider, &Giver<'_>),
        now: u64,
    ) -> Result<Option<Given>, StreamError> {
        let mut recording = history.record(&*store, now);
        let (mut is_over, mut bytes) = (false, 0);
        for _ in 0..BATCH {
            if bytes > MAX_BYTES {
                break;
            }
            let record = self.opening.record((provider, &mut self.input))?;
            let Some(record) = record else {
                self.end_room();
                is_over = true;
                break;
            };
            bytes += record.expose().len();
            let taken = self.take_record(&mut recording, &record, giver);
            taken.map_err(|e| match e {
                // Until all of the file was checked, nothing else is read.
                HistoryError::Damaged(_) | HistoryError::Newer(_) if !self.is_checked => {
                    self.opening.damaged()
                }
                e => e.into(),
            })?;
        }
        let set = recording.finish();
        if self.is_checked {
            store.write(&set)?;
        }
        if !is_over {
            return Ok(None);
        }
        if self.is_checked {
            return Ok(Some(self.given));
        }

        // From its beginning, now for good.
        self.input.seek(SeekFrom::Start(0))?;
        self.opening = Opening::new(AEAD, self.key.clone(), 0);
        self.named.clear();
        self.named_bytes = 0;
        self.is_checked = true;
        Ok(None)
    }

    fn end_room(&mut self) {
        let has_added = self.room.take().is_some_and(|room| room.has_added);
        self.given.rooms += u64::from(has_added);
    }

    fn take_record(
        &mut self,
        recording: &mut Recording<'_>,
        record: &Secret,
        giver: &Giver<'_>,
    ) -> Result<(), HistoryError> {
        let mut record = In::new(RECORD, VERSION, record.expose())?;
        match record.byte()? {
            GIVEN_ROOM_RECORD => {
                self.end_room();

                let (group, uri) = (GroupId::from(record.bytes()?), record.text()?);
                if uri.len() > MAX_NAME || group.as_ref().len() > MAX_NAME {
                    return Err(record.damaged());
                }
                self.named_bytes += group.as_ref().len();
                let is_too_much =
                    self.named.len() == MAX_ROOMS || self.named_bytes > MAX_NAMED_BYTES;
                if is_too_much || !self.named.insert(group.clone()) {
                    return Err(record.damaged());
                }

                let place = if self.is_checked { (giver.place)(&group) } else { None };
                if place.is_some() {
                    recording.begin_room(&group)?;
                }
                self.room = Some(Current { group, uri, place, last: 0, has_added: false });
                record.finish()
            }
            MESSAGE_RECORD => {
                let message = MessageRecord::read(&mut record)?;
                let Some(room) = &mut self.room else { return Err(record.damaged()) };
                if message.number <= room.last || !is_bounded(&message) {
                    return Err(record.damaged());
                }
                room.last = message.number;
                record.finish()?;

                let Some(place) = &room.place else { return Ok(()) };
                let of = (&room.group, room.uri.as_str());
                match recording.take_given(of, message, place, giver.device)? {
                    TakenGiven::Added => {
                        self.given.messages += 1;
                        room.has_added = true;
                    }
                    TakenGiven::LeftOut => self.given.left_out += 1,
                    TakenGiven::NotTaken => {}
                }
                Ok(())
            }
            _ => Err(record.damaged()),
        }
    }
}

/// After how many bytes a write is made, however few messages they are.
const MAX_BYTES: usize = 8 << 20;
/// How long the identifiers of a file's rooms may be together, as all of them stay in memory.
const MAX_NAMED_BYTES: usize = 4 << 20;
const RECORD: &str = "a record that was given";

/// What became of a message that was given.
enum TakenGiven {
    Added,
    /// It is here already, was here once, or is not to be here.
    NotTaken,
    /// It is not the message whose identifier it has.
    LeftOut,
}

impl Recording<'_> {
    /// Sees to it that a room says which messages this device has taken itself.
    fn begin_room(&mut self, group: &GroupId) -> Result<(), HistoryError> {
        let Some(mut room) = self.access.find_room(group)? else { return Ok(()) };
        if room.since == 0 && room.last > 0 {
            // An earlier version has not noted it: what is here is the log's.
            let first = self.access.heads(room.number, 0, 1)?;
            room.since = first.first().map_or(room.last.saturating_add(1), |(number, _)| *number);
        }
        self.put_room(group, &room);
        Ok(())
    }

    fn take_given(
        &mut self,
        (group, uri): (&GroupId, &str),
        mut message: MessageRecord,
        place: &RoomPlace,
        by: &str,
    ) -> Result<TakenGiven, HistoryError> {
        let number = message.number;
        let known = self.access.find_room(group)?;
        let bound = known.as_ref().map(|room| room.since).filter(|since| *since > 0);
        if number >= bound.unwrap_or(place.before) || message.row.time < place.since {
            return Ok(TakenGiven::NotTaken);
        }
        if !fits(&message, &[uri, &place.uri], place.bounds_expiry) {
            return Ok(TakenGiven::LeftOut);
        }
        let Some(deadline) = deadline(&message.row, self.now) else {
            return Ok(TakenGiven::NotTaken);
        };
        if let Some(room) = &known
            && self.has(room, number, &message.row.envelope.id)?
        {
            return Ok(TakenGiven::NotTaken);
        }

        let mut room = self.room_or_new(group, &place.uri)?;
        let row = &mut message.row;
        row.own = row.user == place.me;
        row.mentions = row.deleted_by.is_none() && Body::of(row).mentions(&place.me);
        row.deadline = deadline;
        row.given_by = Some(by.into());
        // The time has begun, at the latest now.
        message.seconds = None;
        self.keep_marks(&room, &mut message)?;

        let (id, time) = (message.row.envelope.id, message.row.time);
        let (user, device) = (message.row.user.clone(), message.row.device.clone());
        self.add_record(&mut room, message)?;
        let (user, device, me) = (user.as_str(), device.as_str(), place.me.as_str());
        let from = From { number, id, time, user, device, me, unread_until: deadline };
        self.take_pending(&mut room, &from)?;
        self.put_room(group, &room);
        Ok(TakenGiven::Added)
    }

    /// Whether a room has a message, by its number or its identifier.
    fn has(&self, room: &RoomRow, number: u64, id: &MessageId) -> Result<bool, HistoryError> {
        let by_number = self.access.message_head(room.number, number)?;
        Ok(by_number.is_some() || self.access.mark(room.number, id)?.is_some())
    }

    /// Drops the edits and reactions whose identifiers this room knows as those of other messages.
    fn keep_marks(&self, room: &RoomRow, message: &mut MessageRecord) -> Result<(), HistoryError> {
        let mut seen = vec![message.row.envelope.id];
        let mut is_new = |id: MessageId| -> Result<bool, HistoryError> {
            let is_new = !seen.contains(&id) && self.access.mark(room.number, &id)?.is_none();
            seen.push(id);
            Ok(is_new)
        };

        let mut edits = Vec::new();
        for id in &message.row.edits {
            if is_new(*id)? {
                edits.push(*id);
            }
        }

        // One message may react by several symbols.
        let mut reactions: Vec<ReactionRow> = Vec::new();
        for reaction in &message.reactions {
            if reactions.iter().any(|other| other.by == reaction.by) || is_new(reaction.by)? {
                reactions.push(reaction.clone());
            }
        }

        message.row.edits = edits;
        message.reactions = reactions;
        Ok(())
    }
}

/// Whether a message is no larger than this device would have kept it.
fn is_bounded(message: &MessageRecord) -> bool {
    let MessageRecord { row, reactions, receipts, .. } = message;
    let media = match &row.media {
        Media::Other(media_type) => media_type.as_str(),
        Media::Mimi | Media::Text => "",
    };
    let names = [Some(&row.user), Some(&row.device), row.deleted_by.as_ref()];
    let mut names = names.into_iter().flatten().map(String::as_str).chain([media]);
    let deleted_is_gone = row.deleted_by.is_none() || row.content.is_empty();
    names.all(|name| name.len() <= MAX_NAME)
        && deleted_is_gone
        && row.envelope.topic.len() <= MAX_TOPIC
        && row.edits.len() <= MAX_EDITS
        && row.content.len() <= MAX_CONTENT
        && reactions.len() <= MAX_REACTIONS
        && reactions.iter().all(|r| r.symbol.len() <= MAX_REACTION && r.user.len() <= MAX_NAME)
        && receipts.len() <= MAX_RECEIPTS
        && receipts.iter().all(|(user, _)| user.len() <= MAX_NAME)
}

/// Whether a message is the one whose identifier it has. A message that was deleted or edited is not checked: the content
/// from which its identifier derives is gone.
fn fits(message: &MessageRecord, rooms: &[&str], bounds_expiry: bool) -> bool {
    let MessageRecord { number, row, .. } = message;
    if row.deleted_by.is_some() || !row.edits.is_empty() {
        return true;
    }
    let content = match row.media {
        Media::Mimi => MimiContent::decode(&row.content, &Limits::default()).ok(),
        Media::Text | Media::Other(_) => None,
    };
    let envelope = &row.envelope;
    let has_envelope = content.as_ref().is_none_or(|content| {
        content.in_reply_to == envelope.in_reply_to
            && content.topic_id == envelope.topic
            && (bounds_expiry || content.expires == envelope.expires)
    });
    let salt = content.as_ref().map_or(Salt(u128::from(*number).to_be_bytes()), |c| c.salt);
    // What waited while a group was begun anew names the room that it was said for.
    let claimed = content.as_ref().and_then(|content| content.mimi_extensions.room_uri());
    let mut rooms = rooms.iter().copied().chain(claimed);
    let is_id = |room| {
        MessageId::derive(&row.user, room, &row.content, &salt).is_ok_and(|id| id == envelope.id)
    };
    has_envelope && rooms.any(is_id)
}

/// When a message expires, 0 for never; none if it has expired, or its expiry makes no sense. One that expires after reading
/// counts as read when it is given, and expires no later than on the device that gives it.
fn deadline(row: &MessageRow, now: u64) -> Option<u64> {
    let Some(expires) = row.envelope.expires else { return Some(0) };
    if !expires.is_sensible(row.time) {
        return None;
    }
    let at = match expires.lifetime(now, Some(now)) {
        Lifetime::Until(at) => at,
        Lifetime::UntilRead | Lifetime::Over => return None,
    };
    let at = if row.deadline > 0 { at.min(row.deadline) } else { at };
    (at > now).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Out;
    use crate::giving::GIVEN_KEY_LEN;
    use crate::rows::Envelope;
    use crate::stream::Sealing;
    use conclave_crypto::testing::TestRng;
    use conclave_provider_rustcrypto::RustCrypto;
    use conclave_store::MemoryStore;
    use std::io::Cursor;

    const ALICE: &str = "mimi://example.com/u/alice";

    fn row() -> MessageRow {
        MessageRow::plain(ALICE, "alice/main")
    }

    fn record(kind: u8) -> Out {
        let mut record = Out::new(VERSION);
        record.byte(kind);
        record
    }

    fn room() -> Out {
        room_of(b"group")
    }

    fn room_of(group: &[u8]) -> Out {
        let mut record = record(GIVEN_ROOM_RECORD);
        record.bytes(group);
        record.bytes(b"mimi://example.com/r/1");
        record
    }

    fn message(number: u64, row: &MessageRow) -> Out {
        let (row, body) = row.encode();
        let mut record = record(MESSAGE_RECORD);
        record.number(number);
        record.bytes(row.expose());
        record.optional(body.as_ref().map(Secret::expose));
        (0..3).for_each(|_| record.optional(None));
        record
    }

    /// What comes of a file of these records, whole and under the right key.
    fn take(records: Vec<Out>) -> Result<(), StreamError> {
        let (provider, key) = (RustCrypto::new(), Secret::new(vec![9; GIVEN_KEY_LEN]));
        let mut sealing = Sealing::new(AEAD, key.clone());
        let mut file = Vec::new();
        for record in records {
            sealing.record(record, (&provider, &mut file)).unwrap();
        }
        sealing.finish((&provider, &mut file)).unwrap();

        let mut store = MemoryStore::new();
        let history = History::open(&mut store, &mut TestRng(1)).unwrap();
        let mut receiving = Receiving::new(key, Cursor::new(file));
        let giver = Giver { device: "alice/main", place: &|_| None };
        while receiving.step(&history, &mut store, (&provider, &giver), 1)?.is_none() {}
        Ok(())
    }

    fn is_refused(records: Vec<Out>) -> bool {
        matches!(take(records), Err(StreamError::Damaged { .. }))
    }

    #[test]
    fn records_that_make_no_sense_are_refused() {
        let other = room_of(b"other");
        take(vec![room(), message(1, &row()), message(3, &row()), other]).unwrap();

        assert!(is_refused(vec![message(1, &row())]), "a message of no room");
        assert!(is_refused(vec![room(), message(0, &row())]), "the number 0");
        for number in [1, 2] {
            let records = vec![room(), message(2, &row()), message(number, &row())];
            assert!(is_refused(records), "{number} after 2");
        }
        assert!(is_refused(vec![room(), record(9)]), "a record of no kind");
        assert!(is_refused(vec![record(MESSAGE_RECORD)]), "an empty message");
        for mut longer in [room(), message(1, &row())] {
            longer.byte(0);
            assert!(is_refused(vec![room(), longer]), "a byte too many");
        }
    }

    #[test]
    fn a_file_that_names_a_room_twice_is_refused() {
        let other = || room_of(b"other");
        take(vec![room(), message(1, &row()), other(), message(1, &row())]).unwrap();
        assert!(is_refused(vec![room(), message(1, &row()), room(), message(2, &row())]));
        assert!(is_refused(vec![room(), other(), room()]));
    }

    #[test]
    fn a_file_cannot_fill_the_memory_with_names_of_rooms() {
        let rooms = |count: usize| -> Vec<Out> {
            let id = |at: usize| [&at.to_be_bytes(), [0; MAX_NAME - 8].as_slice()].concat();
            (0..count).map(|at| room_of(&id(at))).collect()
        };
        let most = MAX_NAMED_BYTES / MAX_NAME;
        take(rooms(most)).unwrap();
        assert!(is_refused(rooms(most + 1)));
    }

    #[test]
    fn a_message_beyond_the_bounds_is_refused() {
        let name = |length: usize| "n".repeat(length);
        let id = MessageId([2; 32]);
        let envelope = |length: usize| Envelope { topic: vec![0; length], ..row().envelope };
        let with = |beyond: usize| {
            [
                MessageRow { user: name(MAX_NAME + beyond), ..row() },
                MessageRow { device: name(MAX_NAME + beyond), ..row() },
                MessageRow {
                    deleted_by: Some(name(MAX_NAME + beyond)),
                    content: Vec::new(),
                    ..row()
                },
                MessageRow { media: Media::Other(name(MAX_NAME + beyond)), ..row() },
                MessageRow { edits: vec![id; MAX_EDITS + beyond], ..row() },
                MessageRow { envelope: envelope(MAX_TOPIC + beyond), ..row() },
                MessageRow { content: vec![0; MAX_CONTENT + beyond], ..row() },
            ]
        };
        for row in with(0) {
            take(vec![room(), message(1, &row)]).unwrap();
        }
        for (at, row) in with(1).iter().enumerate() {
            assert!(is_refused(vec![room(), message(1, row)]), "{at}");
        }

        let deleted = MessageRow { deleted_by: Some(ALICE.into()), ..row() };
        assert!(is_refused(vec![room(), message(1, &deleted)]), "content of a deleted message");
        let mut long = record(GIVEN_ROOM_RECORD);
        long.bytes(&vec![0; 5 << 20]);
        assert!(is_refused(vec![long]), "a record of 5 MiB");
    }
}
