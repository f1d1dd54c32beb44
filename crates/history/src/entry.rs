//! A message as it is shown, with all that happened to it.

use crate::access::Access;
use crate::body::Body;
use crate::error::HistoryError;
use crate::rows::{MessageRow, RoomNumber, UNREAD_EXPIRY};
use conclave_content::{Expiration, Limits, MessageId, MimiContent, safe};

/// How many characters of a message are quoted where it is replied to.
const MAX_QUOTE: usize = 80;

/// A message as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number in the room's log.
    pub number: u64,
    /// Its identifier: that of its first version, if it was edited.
    pub id: MessageId,
    /// When the service accepted it, in seconds since 1970.
    pub time: u64,
    /// The URI of its author.
    pub user: String,
    /// The device that sent it, as the host names it.
    pub device: String,
    /// Whether the author is this history's user.
    pub own: bool,
    /// Whether it mentions this history's user.
    pub mentions_me: bool,
    /// Whether its author, or somebody who may, has edited it.
    pub edited: bool,
    /// Which device of the user's gave it to this one, as the host names it: that device vouches for what it says. None if
    /// this device has taken it from the room's log.
    pub given_by: Option<String>,
    /// The topic, or thread, that it belongs to; empty if there is none.
    pub topic: Vec<u8>,
    /// When it expires, in seconds since 1970, if it does. One that expires a while after reading, and is unread, expires then
    /// at the latest.
    pub expires_at: Option<u64>,
    /// How many seconds after reading it expires, if that is what its sender chose and it is unread.
    pub expires_after_reading: Option<u32>,
    /// What it replies to.
    pub reply_to: Option<Quote>,
    /// What it says.
    pub body: Body,
    /// Reactions, in the order in which they came first.
    pub reactions: Vec<Reaction>,
    /// How many others have reported that they have received it. Only the user's own messages have such reports.
    pub delivered_to: usize,
    /// How many of those have read it.
    pub read_by: usize,
    pub(crate) content: Vec<u8>,
}

/// A message that is replied to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Its identifier.
    pub id: MessageId,
    /// What is known of it; none if it is not here: it was sent before this device came in, has expired, or never was.
    pub message: Option<Quoted>,
}

/// What is quoted of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quoted {
    /// Its number.
    pub number: u64,
    /// The device that sent it, as the host names it.
    pub device: String,
    /// Its beginning, on one line and safe to show; empty if it was deleted or is no text.
    pub excerpt: String,
}

/// A symbol, and the users who reacted with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaction {
    /// The symbol, on one line and safe to show.
    pub symbol: String,
    /// The URIs of the users who reacted.
    pub users: Vec<String>,
}

impl Entry {
    /// The whole content, if the message is MIMI content and not deleted: an attachment's key is there.
    #[must_use]
    pub fn content(&self) -> Option<MimiContent> {
        MimiContent::decode(&self.content, &Limits::default()).ok()
    }
}

impl Access<'_> {
    /// A message with what belongs to it.
    pub(crate) fn entry(
        &self,
        room: RoomNumber,
        number: u64,
        row: MessageRow,
    ) -> Result<Entry, HistoryError> {
        let reply_to = row.envelope.in_reply_to.map(|id| self.quote(room, id)).transpose()?;
        let receipts = self.receipts(room, number)?;
        let expires_after_reading = match row.envelope.expires {
            Some(Expiration { relative: true, time }) => {
                let waits = self.view.get(UNREAD_EXPIRY, &room.key_of(number))?;
                waits.map(|_| time)
            }
            _ => None,
        };
        Ok(Entry {
            number,
            id: row.envelope.id,
            time: row.time,
            own: row.own,
            mentions_me: row.mentions,
            edited: !row.edits.is_empty(),
            expires_at: Some(row.deadline).filter(|at| *at > 0),
            expires_after_reading,
            reply_to,
            body: Body::of(&row),
            reactions: self.reactions(room, number)?,
            delivered_to: receipts.len(),
            read_by: receipts.iter().filter(|(_, read)| *read).count(),
            user: row.user,
            device: row.device,
            given_by: row.given_by,
            topic: row.envelope.topic,
            content: row.content,
        })
    }

    fn quote(&self, room: RoomNumber, id: MessageId) -> Result<Quote, HistoryError> {
        let message = self.find(room, &id)?.map(|(number, row)| Quoted {
            number,
            excerpt: safe::line(&Body::of(&row).readable(), MAX_QUOTE),
            device: row.device,
        });
        Ok(Quote { id, message })
    }

    fn reactions(&self, room: RoomNumber, number: u64) -> Result<Vec<Reaction>, HistoryError> {
        let mut reactions: Vec<Reaction> = Vec::new();
        for row in self.reaction_rows(room, number)? {
            let symbol = safe::line(&row.symbol, usize::MAX);
            match reactions.iter_mut().find(|reaction| reaction.symbol == symbol) {
                Some(reaction) => reaction.users.push(row.user),
                None => reactions.push(Reaction { symbol, users: vec![row.user] }),
            }
        }
        Ok(reactions)
    }
}
