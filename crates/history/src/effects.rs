//! What one message does to another.

use crate::access::Access;
use crate::body::Body;
use crate::error::HistoryError;
use crate::recording::{From, Recording, Taken};
use crate::rows::{
    Mark, Media, MessageRow, REACTION, RECEIPT, ReactionRow, RoomRow, encode_reactions,
    encode_receipts,
};
use conclave_content::{
    Chosen, MAX_REACTION, MessageId, MessageStatus, MessageStatusReport, MimiContent, choose, safe,
    text_rank,
};

/// How many edits of a message can be referred to: edits should name the first version anyway.
pub(crate) const MAX_EDITS: usize = 16;
/// How many reactions of a message are kept, and how many of one user.
pub(crate) const MAX_REACTIONS: usize = 512;
const MAX_REACTIONS_OF_ONE: usize = 8;
/// How many users are noted who have a message, and how many entries of a report count.
pub(crate) const MAX_RECEIPTS: usize = 256;
const MAX_REPORTED: usize = 512;

impl Recording<'_> {
    /// Gives a message another body. The caller has checked that the sender may.
    pub(crate) fn edit(
        &mut self,
        room: &mut RoomRow,
        from: &From<'_>,
        of: MessageId,
        (content, bytes): (&MimiContent, &[u8]),
    ) -> Result<Taken, HistoryError> {
        let number = match self.access.mark(room.number, &of)? {
            Some(Mark::Said(number)) => number,
            Some(Mark::Reacted { number, .. }) => {
                self.withdraw(room, number, of)?;
                let chosen = choose(&content.nested_part, &text_rank);
                return self.react_to(room, from, number, &chosen);
            }
            Some(Mark::Edited { .. }) | None => return Ok(Taken::Nothing),
        };
        let Some(before) = self.access.message(room.number, number)? else {
            return Ok(Taken::Nothing);
        };

        let mut row = before.clone();
        (row.media, row.content) = (Media::Mimi, bytes.to_vec());
        row.mentions = Body::of(&row).mentions(from.me);
        row.edits.push(from.id);
        if row.edits.len() > MAX_EDITS {
            let oldest = row.edits.remove(0);
            self.access.forget_mark(room, &oldest);
        }
        let author = from.user.into();
        let mark = Mark::Edited { number, id: from.id, author, first: of };
        self.access.put_mark(room, &from.id, &mark);
        self.access.replace(room, number, (&before, &row))?;
        Ok(Taken::Edited(Box::new(self.access.entry(room.number, number, row)?)))
    }

    /// Deletes a message, or takes a reaction back. The caller has checked that the sender may.
    pub(crate) fn delete(
        &mut self,
        room: &mut RoomRow,
        from: &From<'_>,
        of: MessageId,
    ) -> Result<Taken, HistoryError> {
        let number = match self.access.mark(room.number, &of)? {
            Some(Mark::Said(number)) => number,
            Some(Mark::Reacted { number, .. }) => {
                let symbols = self.withdraw(room, number, of)?;
                return Ok(Taken::Reacted { number, symbols, taken_back: true });
            }
            Some(Mark::Edited { .. }) | None => return Ok(Taken::Nothing),
        };
        let Some(before) = self.access.message(room.number, number)? else {
            return Ok(Taken::Nothing);
        };

        self.access.remove_beside(room, number, &before)?;
        let row = MessageRow {
            deleted_by: Some(from.device.into()),
            mentions: false,
            edits: Vec::new(),
            content: Vec::new(),
            ..before.clone()
        };
        self.access.replace(room, number, (&before, &row))?;
        Ok(Taken::Deleted { number })
    }

    /// Adds reactions to a message.
    pub(crate) fn react(
        &mut self,
        room: &RoomRow,
        from: &From<'_>,
        to: MessageId,
        with: &Chosen<'_>,
    ) -> Result<Taken, HistoryError> {
        match self.access.find(room.number, &to)? {
            Some((number, row)) if row.deleted_by.is_none() => {
                self.react_to(room, from, number, with)
            }
            _ => Ok(Taken::Nothing),
        }
    }

    fn react_to(
        &mut self,
        room: &RoomRow,
        from: &From<'_>,
        number: u64,
        with: &Chosen<'_>,
    ) -> Result<Taken, HistoryError> {
        let symbols = with.leaves.iter().filter_map(|leaf| leaf.text());
        let fits = |symbol: &&str| {
            let is_short = symbol.len() <= MAX_REACTION && !symbol.trim().is_empty();
            is_short && !symbol.contains(['\n', '\r'])
        };
        let symbols: Vec<&str> = symbols.filter(fits).take(MAX_REACTIONS_OF_ONE).collect();
        let mut reactions = self.access.reaction_rows(room.number, number)?;
        let of_user = reactions.iter().filter(|reaction| reaction.user == from.user).count();
        let mut added = Vec::new();
        for symbol in symbols {
            let same = |r: &&mut ReactionRow| r.user == from.user && r.symbol == symbol;
            if let Some(reaction) = reactions.iter_mut().find(same) {
                // A user who takes it back names the latest message that made it.
                self.access.forget_mark(room, &reaction.by);
                reaction.by = from.id;
            } else if reactions.len() < MAX_REACTIONS
                && of_user + added.len() < MAX_REACTIONS_OF_ONE
            {
                let (symbol, user) = (symbol.to_string(), from.user.to_string());
                reactions.push(ReactionRow { symbol, user, by: from.id });
            } else {
                continue;
            }
            added.push(safe::line(symbol, MAX_REACTION));
        }
        if added.is_empty() {
            return Ok(Taken::Nothing);
        }

        self.access.put_reactions(room, number, &reactions);
        let mark = Mark::Reacted { number, id: from.id, author: from.user.into() };
        self.access.put_mark(room, &from.id, &mark);
        Ok(Taken::Reacted { number, symbols: added, taken_back: false })
    }

    /// Takes back the reactions that a message has added to another.
    fn withdraw(
        &mut self,
        room: &RoomRow,
        number: u64,
        by: MessageId,
    ) -> Result<Vec<String>, HistoryError> {
        let mut reactions = self.access.reaction_rows(room.number, number)?;
        let gone = reactions.iter().filter(|reaction| reaction.by == by);
        let symbols = gone.map(|reaction| safe::line(&reaction.symbol, MAX_REACTION)).collect();
        reactions.retain(|reaction| reaction.by != by);
        self.access.put_reactions(room, number, &reactions);
        self.access.forget_mark(room, &by);
        Ok(symbols)
    }

    /// Takes a report of what became of messages: from another device of the user, how far it has read; from others,
    /// that they have what this user has said.
    pub(crate) fn report(
        &mut self,
        room: &mut RoomRow,
        from: &From<'_>,
        report: &MessageStatusReport,
    ) -> Result<Taken, HistoryError> {
        let is_own = from.user == from.me;
        let mut numbers = Vec::new();
        let mut all_read = true;
        // The last entry about a message counts.
        for entry in report.0.iter().rev().take(MAX_REPORTED) {
            let read = entry.status == MessageStatus::READ;
            if !read && (is_own || entry.status != MessageStatus::DELIVERED) {
                continue;
            }
            let Some((number, row)) = self.access.find(room.number, &entry.message_id)? else {
                continue;
            };
            if is_own {
                numbers.push(number);
            } else if row.own && row.deleted_by.is_none() {
                self.note_receipt(room, number, from.user, read)?;
                numbers.push(number);
                all_read &= read;
            }
        }
        numbers.sort_unstable();
        numbers.dedup();

        match numbers.last() {
            None => Ok(Taken::Nothing),
            Some(up_to) if is_own && *up_to <= room.read => Ok(Taken::Nothing),
            Some(up_to) if is_own => {
                let up_to = *up_to;
                self.read_up_to(room, up_to, from.time)?;
                Ok(Taken::ReadElsewhere { up_to })
            }
            Some(_) => Ok(Taken::Receipt { read: all_read, numbers }),
        }
    }

    fn note_receipt(
        &mut self,
        room: &RoomRow,
        number: u64,
        user: &str,
        read: bool,
    ) -> Result<(), HistoryError> {
        let mut receipts = self.access.receipts(room.number, number)?;
        if let Some((_, was_read)) = receipts.iter_mut().find(|(other, _)| other == user) {
            *was_read |= read;
        } else if receipts.len() < MAX_RECEIPTS {
            receipts.push((user.into(), read));
        } else {
            return Ok(());
        }
        let key = room.number.key_of(number);
        self.access.view.put(RECEIPT, key, encode_receipts(&receipts));
        Ok(())
    }
}

impl Access<'_> {
    fn put_reactions(&mut self, room: &RoomRow, number: u64, reactions: &[ReactionRow]) {
        let key = room.number.key_of(number);
        if reactions.is_empty() {
            self.view.delete(REACTION, key);
        } else {
            self.view.put(REACTION, key, encode_reactions(reactions));
        }
    }
}
