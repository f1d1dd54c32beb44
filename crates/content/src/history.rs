//! What a client knows of earlier messages, and the rules for following their references.

use crate::id::MessageId;
use alloc::collections::BTreeSet;

/// How many references are followed. A loop would take a collision of the hash; this bounds the work.
const MAX_STEPS: usize = 1000;

/// What a client knows of the messages of a room.
///
/// A client that keeps its messages implements it over its store. `()` knows none.
pub trait History {
    /// A message that was received or sent, deleted ones included.
    fn message(&self, id: &MessageId) -> Option<KnownMessage<'_>>;

    /// Whether the room's policy lets somebody replace a message of somebody else, as a moderator may (section 9.3).
    /// By default nobody may.
    fn authorizes(&self, _replacing: &Replacing<'_>) -> bool {
        false
    }
}

impl History for () {
    fn message(&self, _: &MessageId) -> Option<KnownMessage<'_>> {
        None
    }
}

/// A message that a client knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownMessage<'a> {
    /// The URI of the user who sent it, as MLS authenticated it.
    pub author: &'a str,
    /// The message that it replaced.
    pub replaces: Option<MessageId>,
    /// The message that it replied to.
    pub in_reply_to: Option<MessageId>,
    /// Whether it was deleted, by its author or by somebody whom [`History::authorizes`] allowed.
    pub is_deleted: bool,
}

/// Somebody's attempt to edit or delete a message of somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replacing<'a> {
    /// The message.
    pub of: MessageId,
    /// Who wrote it.
    pub author: &'a str,
    /// Who wants to replace it.
    pub by: &'a str,
    /// Whether it is to be deleted, not edited.
    pub deletes: bool,
}

/// The first version of a message. An edit should name it (section 5.5); if it names a later version, that version's
/// `replaces` leads there.
///
/// None if the versions lead back to themselves.
pub(crate) fn first_version(id: MessageId, history: &dyn History) -> Option<MessageId> {
    let replaced = |id: &MessageId| history.message(id)?.replaces;
    end_of(id, replaced)
}

/// Whether following the replies from a message ends, and not at the message that `by` it is referred to.
pub(crate) fn chain_is_sound(id: MessageId, by: MessageId, history: &dyn History) -> bool {
    let next = |id: &MessageId| if *id == by { Some(by) } else { history.message(id)?.in_reply_to };
    end_of(id, next).is_some()
}

/// The last message that references lead to, or the furthest; none if they lead back to one of themselves.
fn end_of(start: MessageId, next: impl Fn(&MessageId) -> Option<MessageId>) -> Option<MessageId> {
    let mut seen = BTreeSet::from([start]);
    let mut at = start;
    for _ in 0..MAX_STEPS {
        match next(&at) {
            None => return Some(at),
            Some(id) if !seen.insert(id) => return None,
            Some(id) => at = id,
        }
    }
    Some(at)
}
