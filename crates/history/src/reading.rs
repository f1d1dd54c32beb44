//! Looking at what was said.

use crate::access::Access;
use crate::entry::Entry;
use crate::error::HistoryError;
use crate::history::History;
use crate::index::searched;
use crate::marker::Unsent;
use crate::rows::{MESSAGE, MessageRow, RoomRow, TOPIC, number_of};
use crate::segment;
use crate::store::Rows;
use crate::words::words;
use conclave_content::MessageId;
use conclave_store::{GroupId, Secret};

/// How many messages a page has at most, and after how many octets of content it ends early.
const MAX_PAGE: usize = 500;
const MAX_PAGE_SIZE: usize = 8 << 20;
/// How many words of a query count, and after how many messages a search stops and says where to go on.
const MAX_TERMS: usize = 16;
const MAX_READ: usize = 1000;

/// A place between messages of a room, from which a page goes on. It stays good whatever comes and goes.
///
/// As text it is the number of a message, and parses from that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(pub u64);

impl Cursor {
    /// Before all messages.
    pub const FIRST: Self = Self(0);
    /// After all messages, including those still to come.
    pub const LAST: Self = Self(u64::MAX);
}

/// Messages of a room, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The messages.
    pub entries: Vec<Entry>,
    /// Where the page before this one ends; none if there is none.
    pub earlier: Option<Cursor>,
    /// Where the page after this one begins; none if there is none.
    pub later: Option<Cursor>,
}

/// What a search has found, the latest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The messages.
    pub entries: Vec<Entry>,
    /// Before which place to go on; none if the search is complete.
    pub before: Option<Cursor>,
}

/// A room, as a list of rooms shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// Its group.
    pub group: GroupId,
    /// Its URI.
    pub uri: String,
    /// How many messages are here.
    pub messages: u64,
    /// How many of them the user has not read: said by others, not deleted, not expired.
    pub unread: u64,
    /// How many of the unread ones mention the user.
    pub mentions: u64,
    /// The number up to which the user has read.
    pub read_up_to: u64,
    /// The number of the last message.
    pub latest: u64,
    /// The number of the last entry of the log that was taken.
    pub last_taken: u64,
}

/// Looks at what was said, as it is in the store.
#[derive(Debug)]
pub struct Reading<'a> {
    pub(crate) access: Access<'a>,
}

impl History {
    /// Looks at what was said.
    #[must_use]
    pub fn read<'a>(&'a self, store: &'a dyn Rows) -> Reading<'a> {
        Reading { access: Access::new(self, store) }
    }
}

fn room_of(group: GroupId, row: RoomRow) -> Room {
    Room {
        group,
        uri: row.uri,
        messages: row.messages,
        unread: row.unread,
        mentions: row.mentions,
        read_up_to: row.read,
        latest: row.latest,
        last_taken: row.last,
    }
}

impl Reading<'_> {
    /// All rooms, ascending by their groups' identifiers.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn rooms(&self) -> Result<Vec<Room>, HistoryError> {
        let rooms = self.access.rooms()?.into_iter();
        Ok(rooms.map(|(group, row)| room_of(group, row)).collect())
    }

    /// A room; none if nothing was taken there.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn room(&self, group: &GroupId) -> Result<Option<Room>, HistoryError> {
        let row = self.access.find_room(group)?;
        Ok(row.map(|row| room_of(group.clone(), row)))
    }

    /// A message by its number.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn entry(&self, group: &GroupId, number: u64) -> Result<Option<Entry>, HistoryError> {
        let Some(room) = self.access.find_room(group)? else { return Ok(None) };
        let row = self.access.message(room.number, number)?;
        row.map(|row| self.access.entry(room.number, number, row)).transpose()
    }

    /// The number of a message, also by the identifier of an edit of it.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn number_of(&self, group: &GroupId, id: &MessageId) -> Result<Option<u64>, HistoryError> {
        let Some(room) = self.access.find_room(group)? else { return Ok(None) };
        Ok(self.access.find(room.number, id)?.map(|(number, _)| number))
    }

    /// The last messages before a place: so many, or fewer if they are large. A room that is not here is empty.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn before(
        &self,
        group: &GroupId,
        before: Cursor,
        limit: usize,
    ) -> Result<Page, HistoryError> {
        let Some(room) = self.access.find_room(group)? else { return Ok(Page::default()) };
        let limit = limit.clamp(1, MAX_PAGE);
        let mut numbers = self.access.numbers_before(&room, before.0, limit + 1)?;
        let mut more = numbers.len() > limit;
        numbers.reverse();
        numbers.truncate(limit);

        let (mut entries, mut size) = (Vec::new(), 0);
        for (key, row) in self.rows(&room, numbers.last().copied(), numbers.len())?.iter().rev() {
            let number = number_of(key)?;
            let row = self.access.decoded(room.number, number, row)?;
            size += row.content.len();
            entries.push(self.access.entry(room.number, number, row)?);
            if size > MAX_PAGE_SIZE && entries.len() < numbers.len() {
                more = true;
                break;
            }
        }
        entries.reverse();
        let earlier = entries.first().filter(|_| more).map(|entry| Cursor(entry.number));
        let last = entries.last().filter(|entry| entry.number < room.latest);
        let later = last.map(|entry| Cursor(entry.number));
        Ok(Page { entries, earlier, later })
    }

    /// The first messages after a place: so many, or fewer if they are large. A room that is not here is empty.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn after(
        &self,
        group: &GroupId,
        after: Cursor,
        limit: usize,
    ) -> Result<Page, HistoryError> {
        let Some(room) = self.access.find_room(group)? else { return Ok(Page::default()) };
        let limit = limit.clamp(1, MAX_PAGE);
        let rows = self.rows(&room, after.0.checked_add(1), limit + 1)?;
        let (mut entries, mut size): (Vec<Entry>, usize) = (Vec::new(), 0);
        for (key, row) in rows.iter().take(limit) {
            if size > MAX_PAGE_SIZE {
                break;
            }
            let number = number_of(key)?;
            let row = self.access.decoded(room.number, number, row)?;
            size += row.content.len();
            entries.push(self.access.entry(room.number, number, row)?);
        }
        let later = entries.last().filter(|_| entries.len() < rows.len());
        let later = later.map(|entry| Cursor(entry.number));
        let first = entries.first().map_or(after.0.saturating_add(1), |entry| entry.number);
        let has_earlier = !self.access.numbers_before(&room, first, 1)?.is_empty();
        let earlier = entries.first().filter(|_| has_earlier).map(|entry| Cursor(entry.number));
        Ok(Page { entries, earlier, later })
    }

    fn rows(
        &self,
        room: &RoomRow,
        from: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Secret)>, HistoryError> {
        let Some(from) = from else { return Ok(Vec::new()) };
        self.access.view.scan(MESSAGE, &room.number.key(), &room.number.key_of(from), limit)
    }

    /// The first messages of a topic after a place.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn topic(
        &self,
        group: &GroupId,
        topic: &[u8],
        after: Cursor,
        limit: usize,
    ) -> Result<Page, HistoryError> {
        let Some(room) = self.access.find_room(group)? else { return Ok(Page::default()) };
        let limit = limit.clamp(1, MAX_PAGE);
        let Some(from) = after.0.checked_add(1) else { return Ok(Page::default()) };
        let from = self.access.topic_key(&room, topic, from);
        let prefix = from.get(..from.len() - 8).unwrap_or_default();
        let keys = self.access.view.scan(TOPIC, prefix, &from, limit + 1)?;

        let mut entries: Vec<Entry> = Vec::new();
        for (key, _) in keys.iter().take(limit) {
            let number = number_of(key)?;
            let Some(row) = self.access.message(room.number, number)? else { continue };
            entries.push(self.access.entry(room.number, number, row)?);
        }
        let later = entries.last().filter(|_| keys.len() > limit);
        let later = later.map(|entry| Cursor(entry.number));
        Ok(Page { entries, earlier: None, later })
    }

    /// The messages that mention the user, were said by others and are not deleted, the latest first: so many at most,
    /// and before a place.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn mentions(
        &self,
        group: &GroupId,
        before: Cursor,
        limit: usize,
    ) -> Result<Found, HistoryError> {
        let Some(room) = self.access.find_room(group)? else { return Ok(Found::default()) };
        let limit = limit.clamp(1, MAX_PAGE);
        let numbers = self.access.mentions_before(&room, before.0, limit + 1)?;
        let mut found = Found::default();
        for number in numbers.iter().take(limit) {
            let Some(row) = self.access.message(room.number, *number)? else { continue };
            found.entries.push(self.access.entry(room.number, *number, row)?);
        }
        let last = found.entries.last().filter(|_| numbers.len() > limit);
        found.before = last.map(|entry| Cursor(entry.number));
        Ok(found)
    }

    /// The messages that have, for each word of a query, a word that begins so, the latest first: so many at most, and
    /// before a place. Case and accents do not count. A word of the query that is several here (`don't`, `東京`) has to
    /// stand in the message like that.
    ///
    /// A search that would read too many messages at once says where to go on.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn search(
        &self,
        group: &GroupId,
        query: &str,
        before: Cursor,
        limit: usize,
    ) -> Result<Found, HistoryError> {
        let query = Query::of(query);
        let Some(room) = self.access.find_room(group)? else { return Ok(Found::default()) };
        if query.phrases.is_empty() {
            return Ok(Found::default());
        }
        let mut search = Search {
            reading: self,
            room: &room,
            query: &query,
            limit: limit.clamp(1, MAX_PAGE),
            read: 0,
            found: Found::default(),
        };

        if !search.take(&self.access.tail_before(&room, before.0)?)? {
            return Ok(search.found);
        }

        let beginnings: Vec<String> = query.phrases.iter().flatten().cloned().collect();
        for at in self.access.segments_before(&room, before.0)? {
            let row = self.access.segment(room.number, at)?;
            let mut numbers = segment::Rows::new(&row)?.search(&beginnings)?;
            numbers.retain(|number| *number < before.0);
            if !search.take(&numbers)? {
                break;
            }
        }
        Ok(search.found)
    }

    /// The identifiers of messages of others between two numbers, the last ones: so many at most, ascending. For
    /// reports that they were received or read.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn said_by_others(
        &self,
        group: &GroupId,
        (after, up_to): (u64, u64),
        limit: usize,
    ) -> Result<Vec<MessageId>, HistoryError> {
        let Some(room) = self.access.find_room(group)? else { return Ok(Vec::new()) };
        let limit = limit.clamp(1, MAX_PAGE);
        let numbers = self.access.numbers_before(&room, up_to.saturating_add(1), limit)?;
        let mut ids = Vec::new();
        for number in numbers.into_iter().filter(|number| *number > after) {
            let row = self.access.message_head(room.number, number)?;
            ids.extend(row.filter(MessageRow::counts).map(|row| row.envelope.id));
        }
        Ok(ids)
    }

    /// The messages by which a user, named by its URI in the room, has reacted to a message, as far as the reactions
    /// were not taken back.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn reactions_of(
        &self,
        user: &str,
        group: &GroupId,
        number: u64,
    ) -> Result<Vec<MessageId>, HistoryError> {
        let Some(room) = self.access.find_room(group)? else { return Ok(Vec::new()) };
        let rows = self.access.reaction_rows(room.number, number)?;
        let theirs = rows.into_iter().filter(|row| row.user == user);
        let mut by: Vec<MessageId> = theirs.map(|row| row.by).collect();
        by.sort_unstable();
        by.dedup();
        Ok(by)
    }

    /// What the user is writing in a room.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn unsent(&self, group: &GroupId) -> Result<Unsent, HistoryError> {
        match self.access.find_room(group)? {
            Some(room) => self.access.unsent(&room),
            None => Ok(Unsent::default()),
        }
    }

    /// When the next message expires, in seconds since 1970: [`Recording::expire`](crate::Recording::expire) is to be
    /// called then.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn wake_at(&self) -> Result<Option<u64>, HistoryError> {
        self.access.next_expiry()
    }
}

/// What is searched for: phrases of words that follow each other. The last word of a phrase may be a beginning.
struct Query {
    phrases: Vec<Vec<String>>,
}

impl Query {
    fn of(text: &str) -> Self {
        let mut left = MAX_TERMS;
        let mut phrases = Vec::new();
        for word in text.split_whitespace() {
            let phrase: Vec<String> = words(word).take(left).collect();
            left -= phrase.len();
            if !phrase.is_empty() {
                phrases.push(phrase);
            }
        }
        Self { phrases }
    }

    fn matches(&self, text: &str) -> bool {
        let words: Vec<String> = words(text).collect();
        self.phrases.iter().all(|phrase| {
            let Some((last, before)) = phrase.split_last() else { return true };
            words.windows(phrase.len()).any(|window| {
                window.split_last().is_some_and(|(word, earlier)| {
                    word.starts_with(last.as_str()) && earlier == before
                })
            })
        })
    }
}

struct Search<'s, 'a> {
    reading: &'s Reading<'a>,
    room: &'s RoomRow,
    query: &'s Query,
    limit: usize,
    read: usize,
    found: Found,
}

impl Search<'_, '_> {
    /// Reads these messages; returns whether the search goes on after them.
    fn take(&mut self, numbers: &[u64]) -> Result<bool, HistoryError> {
        let access = &self.reading.access;
        for number in numbers {
            if self.found.entries.len() == self.limit || self.read == MAX_READ {
                self.found.before = Some(Cursor(number.saturating_add(1)));
                return Ok(false);
            }
            self.read += 1;
            let Some(row) = access.message(self.room.number, *number)? else { continue };
            if self.query.matches(&searched(&row)) {
                self.found.entries.push(access.entry(self.room.number, *number, row)?);
            }
        }
        Ok(true)
    }
}
