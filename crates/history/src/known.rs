//! What is known of the messages that one refers to, as the rules of MIMI content ask for it.

use crate::access::Access;
use crate::error::HistoryError;
use crate::rows::{Mark, RoomNumber};
use conclave_content::{History, KnownMessage, MessageId, MimiContent, Replacing};
use std::collections::BTreeMap;

struct Owned {
    author: String,
    replaces: Option<MessageId>,
    in_reply_to: Option<MessageId>,
    is_deleted: bool,
}

/// Whether the room's policy lets a user replace another user's message.
pub type MayReplace<'a> = &'a dyn Fn(&Replacing<'_>) -> bool;

/// The messages that one message refers to, and those that they refer to.
pub(crate) struct Known<'a> {
    messages: BTreeMap<MessageId, Owned>,
    may_replace: MayReplace<'a>,
}

impl<'a> Known<'a> {
    /// What is known for a message of this identifier and content. References are followed two steps: an edit's row
    /// names the first version, and a loop of replies would take a collision of the hash.
    pub(crate) fn of(
        access: &Access<'_>,
        room: RoomNumber,
        (id, content): (MessageId, &MimiContent),
        may_replace: MayReplace<'a>,
    ) -> Result<Self, HistoryError> {
        let mut known = Self { messages: BTreeMap::new(), may_replace };
        let ids = [Some(id), content.replaces, content.in_reply_to];
        for id in ids.into_iter().flatten() {
            known.look_up(access, room, id)?;
            let referred = known.messages.get(&id).map(|found| [found.replaces, found.in_reply_to]);
            for id in referred.into_iter().flatten().flatten() {
                known.look_up(access, room, id)?;
            }
        }
        Ok(known)
    }

    fn look_up(
        &mut self,
        access: &Access<'_>,
        room: RoomNumber,
        id: MessageId,
    ) -> Result<(), HistoryError> {
        let of_mark =
            |author, replaces| Owned { author, replaces, in_reply_to: None, is_deleted: false };
        let found = match access.mark(room, &id)? {
            Some(Mark::Said(number)) => match access.message_head(room, number)? {
                Some(row) if row.envelope.id == id => Some(Owned {
                    author: row.user,
                    replaces: None,
                    in_reply_to: row.envelope.in_reply_to,
                    is_deleted: row.deleted_by.is_some(),
                }),
                _ => None,
            },
            Some(Mark::Edited { id: found, author, first, .. }) if found == id => {
                Some(of_mark(author, Some(first)))
            }
            Some(Mark::Reacted { id: found, author, .. }) if found == id => {
                Some(of_mark(author, None))
            }
            _ => None,
        };
        self.messages.extend(found.map(|found| (id, found)));
        Ok(())
    }
}

impl History for Known<'_> {
    fn message(&self, id: &MessageId) -> Option<KnownMessage<'_>> {
        self.messages.get(id).map(|found| KnownMessage {
            author: &found.author,
            replaces: found.replaces,
            in_reply_to: found.in_reply_to,
            is_deleted: found.is_deleted,
        })
    }

    fn authorizes(&self, replacing: &Replacing<'_>) -> bool {
        (self.may_replace)(replacing)
    }
}
