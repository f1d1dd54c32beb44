//! The rows of a history: their namespaces, keys and values.
//!
//! A room has a number here, so that keys are short. A store does not hide keys: they hold identifiers of groups, numbers of
//! rooms and of messages, times at which messages expire, and keyed hashes.

use crate::codec::{In, Out};
use crate::error::HistoryError;
use conclave_content::{Expiration, MessageId};
use conclave_store::Secret;

/// How many messages are read or written together.
pub(crate) const BATCH: usize = 200;
/// The key of hashes, and the number of the next room.
pub(crate) const META: &str = "h.meta";
/// Rooms by their group's identifier.
pub(crate) const ROOM: &str = "h.room";
/// Their groups' identifiers by their number.
pub(crate) const NUMBER: &str = "h.number";
/// Messages that are shown: by room and number.
pub(crate) const MESSAGE: &str = "h.message";
/// The content of large ones: by room and number.
pub(crate) const BODY: &str = "h.body";
/// All messages that can be referred to: by room and hash of the identifier.
pub(crate) const MARK: &str = "h.mark";
/// Reactions to a message: by room and number.
pub(crate) const REACTION: &str = "h.reaction";
/// The users who have received and read a message of ours: by room and number.
pub(crate) const RECEIPT: &str = "h.receipt";
/// Segments of the index of words: by room and number of the segment.
pub(crate) const WORDS: &str = "h.words";
/// The order of a room's segments, if it is not that of their numbers: by room.
pub(crate) const ORDER: &str = "h.order";
/// Messages that expire: by time, room and number.
pub(crate) const EXPIRY: &str = "h.expiry";
/// Unread messages that expire a while after they are read: by room and number.
pub(crate) const UNREAD_EXPIRY: &str = "h.unread";
/// Messages of a topic: by room, hash of the topic, and number.
pub(crate) const TOPIC: &str = "h.topic";
/// What is about messages that are not here: by room and hash of the identifier.
pub(crate) const PENDING: &str = "h.pending";
/// What the user is writing: by room.
pub(crate) const DRAFT: &str = "h.draft";

/// The key of the row of hashes' key, and of the next room's number, in [`META`].
pub(crate) const KEY: &[u8] = b"key";
pub(crate) const NEXT_ROOM: &[u8] = b"next-room";

/// The number of a room in this history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RoomNumber(pub(crate) u32);

impl RoomNumber {
    pub(crate) fn key(self) -> Vec<u8> {
        self.0.to_be_bytes().to_vec()
    }

    /// The key of what belongs to a message, or the number of a segment.
    pub(crate) fn key_of(self, number: u64) -> Vec<u8> {
        [&self.0.to_be_bytes()[..], &number.to_be_bytes()].concat()
    }

    /// The key of what is found by a hash.
    pub(crate) fn key_by(self, hash: &[u8]) -> Vec<u8> {
        [&self.0.to_be_bytes()[..], hash].concat()
    }
}

/// The number at the end of a key.
pub(crate) fn number_of(key: &[u8]) -> Result<u64, HistoryError> {
    let number = key.last_chunk().ok_or(HistoryError::Damaged("a key"))?;
    Ok(u64::from_be_bytes(*number))
}

/// The key of a message that expires.
pub(crate) fn expiry_key(at: u64, room: RoomNumber, number: u64) -> Vec<u8> {
    [&at.to_be_bytes()[..], &room.key_of(number)].concat()
}

/// The time, room and number of a message that expires.
pub(crate) fn expiry_of(key: &[u8]) -> Result<(u64, RoomNumber, u64), HistoryError> {
    let damaged = HistoryError::Damaged("the key of a message that expires");
    let key: [u8; 20] = key.try_into().map_err(|_| damaged.clone())?;
    let (at, rest) = key.split_first_chunk().ok_or_else(|| damaged.clone())?;
    let (room, rest) = rest.split_first_chunk().ok_or_else(|| damaged.clone())?;
    let number = rest.try_into().map_err(|_| damaged)?;
    let room = RoomNumber(u32::from_be_bytes(*room));
    Ok((u64::from_be_bytes(*at), room, u64::from_be_bytes(number)))
}

/// A room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RoomRow {
    pub(crate) number: RoomNumber,
    /// The URI by which its messages' identifiers are derived.
    pub(crate) uri: String,
    /// The last number in the log that was taken: messages up to it are here already.
    pub(crate) last: u64,
    /// The number of the last message that is shown.
    pub(crate) latest: u64,
    /// How many messages are here.
    pub(crate) messages: u64,
    /// The number up to which the user has read.
    pub(crate) read: u64,
    pub(crate) unread: u64,
    /// How many of the unread ones mention the user.
    pub(crate) mentions: u64,
    /// How many segments the index of words has.
    pub(crate) segments: u64,
    /// The number up to which messages are in them.
    pub(crate) indexed: u64,
    /// How many messages came after that, and the length of their text.
    pub(crate) tail: u64,
    pub(crate) tail_bytes: u64,
    /// For how many messages that are not here something is kept.
    pub(crate) pending: u64,
    /// The number from which this device has taken all messages from the log itself; 0 if it has taken none, or an earlier
    /// version has not noted it.
    pub(crate) since: u64,
    /// Whether an earlier version has put messages between others and not into the index.
    pub(crate) unindexed: bool,
}

impl RoomRow {
    pub(crate) fn new(number: RoomNumber, uri: &str) -> Self {
        Self {
            number,
            uri: uri.into(),
            last: 0,
            latest: 0,
            messages: 0,
            read: 0,
            unread: 0,
            mentions: 0,
            segments: 0,
            indexed: 0,
            tail: 0,
            tail_bytes: 0,
            pending: 0,
            since: 0,
            unindexed: false,
        }
    }

    pub(crate) fn encode(&self) -> Secret {
        let mut out = Out::new(2);
        out.number(u64::from(self.number.0));
        out.bytes(self.uri.as_bytes());
        for n in [
            self.last,
            self.latest,
            self.messages,
            self.read,
            self.unread,
            self.mentions,
            self.segments,
            self.indexed,
            self.tail,
            self.tail_bytes,
            self.pending,
            self.since,
            u64::from(self.unindexed),
        ] {
            out.number(n);
        }
        out.finish()
    }

    pub(crate) fn decode(bytes: &Secret) -> Result<Self, HistoryError> {
        let (mut row, version) = In::up_to("a room", 2, bytes.expose())?;
        let number = u32::try_from(row.number()?).map_err(|_| row.damaged())?;
        let decoded = Self {
            number: RoomNumber(number),
            uri: row.text()?,
            last: row.number()?,
            latest: row.number()?,
            messages: row.number()?,
            read: row.number()?,
            unread: row.number()?,
            mentions: row.number()?,
            segments: row.number()?,
            indexed: row.number()?,
            tail: row.number()?,
            tail_bytes: row.number()?,
            pending: row.number()?,
            since: if version < 2 { 0 } else { row.number()? },
            unindexed: version >= 2 && row.number()? == 1,
        };
        row.finish()?;
        Ok(decoded)
    }
}

/// How a message's content is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    /// `application/mimi-content`.
    Mimi,
    /// Text without markup, as older versions sent it.
    Text,
    /// Something else.
    Other(String),
}

/// What of a message stays when its content is replaced or gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub(crate) id: MessageId,
    pub(crate) in_reply_to: Option<MessageId>,
    pub(crate) topic: Vec<u8>,
    pub(crate) expires: Option<Expiration>,
}

/// A message that is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MessageRow {
    /// When the service accepted it, in seconds since 1970.
    pub(crate) time: u64,
    /// The URI of its author.
    pub(crate) user: String,
    /// The device that sent it, as the host names it.
    pub(crate) device: String,
    /// Whether the author is this history's user.
    pub(crate) own: bool,
    /// Whether it mentions this history's user.
    pub(crate) mentions: bool,
    /// The messages that have edited it last, the latest at the end.
    pub(crate) edits: Vec<MessageId>,
    /// Whose device deleted it.
    pub(crate) deleted_by: Option<String>,
    /// Which device of the user's gave it to this one, if this one has not taken it from the log.
    pub(crate) given_by: Option<String>,
    /// When it expires; 0 if it does not. Earlier versions gave 0 to those that are to be read first.
    pub(crate) deadline: u64,
    pub(crate) envelope: Envelope,
    pub(crate) media: Media,
    /// The content; empty if it is deleted.
    pub(crate) content: Vec<u8>,
}

/// Longer content has a row of its own, which is read only to be shown.
const INLINE: usize = 32 << 10;

const OWN: u8 = 1;
const MENTIONS: u8 = 1 << 1;
const EDITED: u8 = 1 << 2;
const DELETED: u8 = 1 << 3;
const APART: u8 = 1 << 4;
const GIVEN: u8 = 1 << 5;

impl MessageRow {
    /// Whether others said it, and it is there.
    fn is_of_others(&self) -> bool {
        !self.own && self.deleted_by.is_none()
    }

    /// Whether it counts as unread before the user has read it. What another device gave is not news.
    pub(crate) fn counts(&self) -> bool {
        self.is_of_others() && self.given_by.is_none()
    }

    /// Whether others mention the user in it.
    pub(crate) fn is_mention(&self) -> bool {
        self.is_of_others() && self.mentions
    }

    pub(crate) fn counts_as_mention(&self) -> bool {
        self.counts() && self.mentions
    }

    /// The row, and the content if that has a row of its own.
    pub(crate) fn encode(&self) -> (Secret, Option<Secret>) {
        let apart = self.content.len() > INLINE;
        let mut flags = 0;
        for (flag, is_set) in [
            (OWN, self.own),
            (MENTIONS, self.mentions),
            (EDITED, !self.edits.is_empty()),
            (DELETED, self.deleted_by.is_some()),
            (APART, apart),
            (GIVEN, self.given_by.is_some()),
        ] {
            flags |= if is_set { flag } else { 0 };
        }

        // What was not given is as earlier versions have it.
        let mut out = Out::new(if self.given_by.is_some() { 2 } else { 1 });
        out.byte(flags);
        out.number(self.time);
        out.bytes(self.user.as_bytes());
        out.bytes(self.device.as_bytes());
        if let Some(by) = &self.deleted_by {
            out.bytes(by.as_bytes());
        }
        if let Some(by) = &self.given_by {
            out.bytes(by.as_bytes());
        }
        if !self.edits.is_empty() {
            out.number(self.edits.len() as u64);
            self.edits.iter().for_each(|id| out.raw(&id.0));
        }
        out.number(self.deadline);
        self.envelope.encode(&mut out);
        match &self.media {
            Media::Mimi => out.byte(0),
            Media::Text => out.byte(1),
            Media::Other(media_type) => {
                out.byte(2);
                out.bytes(media_type.as_bytes());
            }
        }
        if apart {
            (out.finish(), Some(Secret::copy_from(&self.content)))
        } else {
            out.raw(&self.content);
            (out.finish(), None)
        }
    }

    /// Reads a row. `body` is asked for the content if that has a row of its own.
    pub(crate) fn decode(
        bytes: &Secret,
        body: impl FnOnce() -> Result<Option<Secret>, HistoryError>,
    ) -> Result<Self, HistoryError> {
        let (mut row, version) = In::up_to("a message", 2, bytes.expose())?;
        let flags = row.byte()?;
        let has = |flag| flags & flag != 0;
        let (time, user, device) = (row.number()?, row.text()?, row.text()?);
        let deleted_by = if has(DELETED) { Some(row.text()?) } else { None };
        let given_by = if version >= 2 && has(GIVEN) { Some(row.text()?) } else { None };
        let edits = if has(EDITED) { row.count()? } else { 0 };
        let edits = (0..edits).map(|_| row.array().map(MessageId)).collect::<Result<_, _>>()?;
        let deadline = row.number()?;
        let envelope = Envelope::decode(&mut row)?;
        let media = match row.byte()? {
            0 => Media::Mimi,
            1 => Media::Text,
            2 => Media::Other(row.text()?),
            _ => return Err(row.damaged()),
        };
        let content = if has(APART) {
            let apart = body()?.ok_or(HistoryError::Damaged("the content of a message"))?;
            row.finish()?;
            apart.expose().to_vec()
        } else {
            row.rest().to_vec()
        };
        Ok(Self {
            time,
            user,
            device,
            own: has(OWN),
            mentions: has(MENTIONS),
            edits,
            deleted_by,
            given_by,
            deadline,
            envelope,
            media,
            content,
        })
    }
}

/// Reads the identifier of a message, if there is one.
pub(crate) fn optional_id(row: &mut In<'_>) -> Result<Option<MessageId>, HistoryError> {
    let id = row.optional()?.map(|id| id.try_into().map(MessageId));
    id.transpose().map_err(|_| row.damaged())
}

impl Envelope {
    fn encode(&self, out: &mut Out) {
        out.raw(&self.id.0);
        out.optional(self.in_reply_to.as_ref().map(|id| &id.0[..]));
        out.bytes(&self.topic);
        match self.expires {
            None => out.byte(0),
            Some(Expiration { relative, time }) => {
                out.byte(1 + u8::from(relative));
                out.number(u64::from(time));
            }
        }
    }

    fn decode(row: &mut In<'_>) -> Result<Self, HistoryError> {
        let id = MessageId(row.array()?);
        let in_reply_to = optional_id(row)?;
        let topic = row.bytes()?.to_vec();
        let expires = match row.byte()? {
            0 => None,
            kind @ (1 | 2) => {
                let time = u32::try_from(row.number()?).map_err(|_| row.damaged())?;
                Some(Expiration { relative: kind == 2, time })
            }
            _ => return Err(row.damaged()),
        };
        Ok(Self { id, in_reply_to, topic, expires })
    }
}

/// What is known of a message that others may refer to, apart from the row of a message that is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// It is shown, under this number: that row says the rest.
    Said(u64),
    /// It edited a message.
    Edited {
        number: u64,
        id: MessageId,
        author: String,
        /// The first version of that message.
        first: MessageId,
    },
    /// It reacted to a message.
    Reacted { number: u64, id: MessageId, author: String },
}

impl Mark {
    pub(crate) fn encode(&self) -> Secret {
        let mut out = Out::new(1);
        match self {
            Self::Said(number) => {
                out.byte(0);
                out.number(*number);
            }
            Self::Edited { number, id, author, first } => {
                out.byte(1);
                out.number(*number);
                out.raw(&id.0);
                out.bytes(author.as_bytes());
                out.raw(&first.0);
            }
            Self::Reacted { number, id, author } => {
                out.byte(2);
                out.number(*number);
                out.raw(&id.0);
                out.bytes(author.as_bytes());
            }
        }
        out.finish()
    }

    pub(crate) fn decode(bytes: &Secret) -> Result<Self, HistoryError> {
        let mut row = In::new("the mark of a message", 1, bytes.expose())?;
        let kind = row.byte()?;
        let number = row.number()?;
        let mark = match kind {
            0 => Self::Said(number),
            1 => {
                let (id, author) = (MessageId(row.array()?), row.text()?);
                Self::Edited { number, id, author, first: MessageId(row.array()?) }
            }
            2 => Self::Reacted { number, id: MessageId(row.array()?), author: row.text()? },
            _ => return Err(row.damaged()),
        };
        row.finish()?;
        Ok(mark)
    }
}

/// One reaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReactionRow {
    pub(crate) symbol: String,
    /// The URI of the user who reacted.
    pub(crate) user: String,
    /// The message that made it.
    pub(crate) by: MessageId,
}

pub(crate) fn encode_reactions(reactions: &[ReactionRow]) -> Secret {
    let mut out = Out::new(1);
    out.number(reactions.len() as u64);
    for ReactionRow { symbol, user, by } in reactions {
        out.bytes(symbol.as_bytes());
        out.bytes(user.as_bytes());
        out.raw(&by.0);
    }
    out.finish()
}

pub(crate) fn decode_reactions(bytes: &Secret) -> Result<Vec<ReactionRow>, HistoryError> {
    let mut row = In::new("reactions", 1, bytes.expose())?;
    let mut reactions = Vec::new();
    for _ in 0..row.count()? {
        let (symbol, user) = (row.text()?, row.text()?);
        reactions.push(ReactionRow { symbol, user, by: MessageId(row.array()?) });
    }
    row.finish()?;
    Ok(reactions)
}

/// The users who have a message, by their URIs, with whether they have read it.
pub(crate) fn encode_receipts(receipts: &[(String, bool)]) -> Secret {
    let mut out = Out::new(1);
    out.number(receipts.len() as u64);
    for (user, read) in receipts {
        out.byte(u8::from(*read));
        out.bytes(user.as_bytes());
    }
    out.finish()
}

pub(crate) fn decode_receipts(bytes: &Secret) -> Result<Vec<(String, bool)>, HistoryError> {
    let mut row = In::new("receipts", 1, bytes.expose())?;
    let mut receipts = Vec::new();
    for _ in 0..row.count()? {
        let read = row.byte()? == 1;
        receipts.push((row.text()?, read));
    }
    row.finish()?;
    Ok(receipts)
}

/// A message that is about one that is not here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PendingRow {
    pub(crate) number: u64,
    pub(crate) time: u64,
    pub(crate) user: String,
    pub(crate) device: String,
    pub(crate) content: Vec<u8>,
}

pub(crate) fn encode_pending(pending: &[PendingRow]) -> Secret {
    let mut out = Out::new(1);
    out.number(pending.len() as u64);
    for PendingRow { number, time, user, device, content } in pending {
        out.number(*number);
        out.number(*time);
        out.bytes(user.as_bytes());
        out.bytes(device.as_bytes());
        out.bytes(content);
    }
    out.finish()
}

pub(crate) fn decode_pending(bytes: &Secret) -> Result<Vec<PendingRow>, HistoryError> {
    let mut row = In::new("what is about a message that is not here", 1, bytes.expose())?;
    let mut pending = Vec::new();
    for _ in 0..row.count()? {
        pending.push(PendingRow {
            number: row.number()?,
            time: row.number()?,
            user: row.text()?,
            device: row.text()?,
            content: row.bytes()?.to_vec(),
        });
    }
    row.finish()?;
    Ok(pending)
}

#[cfg(test)]
impl MessageRow {
    /// A message that says "hi".
    pub(crate) fn plain(user: &str, device: &str) -> Self {
        let envelope = Envelope {
            id: MessageId([1; 32]),
            in_reply_to: None,
            topic: Vec::new(),
            expires: None,
        };
        Self {
            time: 1,
            user: user.into(),
            device: device.into(),
            own: false,
            mentions: false,
            edits: Vec::new(),
            deleted_by: None,
            given_by: None,
            deadline: 0,
            envelope,
            media: Media::Text,
            content: b"hi".to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_earlier_versions_are_read() {
        let row =
            RoomRow { last: 7, since: 3, unindexed: true, ..RoomRow::new(RoomNumber(2), "r") };
        assert_eq!(RoomRow::decode(&row.encode()).unwrap(), row);
        let mut out = Out::new(1);
        out.number(2);
        out.bytes(b"r");
        [7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0].into_iter().for_each(|n| out.number(n));
        let before = RoomRow { since: 0, unindexed: false, ..row };
        assert_eq!(RoomRow::decode(&out.finish()).unwrap(), before);
    }

    #[test]
    fn a_message_that_was_not_given_is_stored_as_before() {
        let row = MessageRow::plain("u", "d");
        let given = MessageRow { given_by: Some("u/phone".into()), ..row.clone() };
        for (row, version) in [(row, 1), (given, 2)] {
            let (bytes, _) = row.encode();
            assert_eq!(bytes.expose().first(), Some(&version));
            assert_eq!(MessageRow::decode(&bytes, || Ok(None)).unwrap(), row);
        }
    }
}
