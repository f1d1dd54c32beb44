//! What a message means to a client.

use crate::choose::{Chosen, Leaf, Rank, choose};
use crate::content::MimiContent;
use crate::error::ContentError;
use crate::expiry::Lifetime;
use crate::history::{History, Replacing, chain_is_sound, first_version};
use crate::id::MessageId;
use crate::limits::Limits;
use crate::media::is_media_type;
use crate::part::{Disposition, NestedPart, Part};
use crate::profile::{Profile, ProfileFault};
use crate::status::{MIMI_MESSAGE_STATUS, MessageStatusReport};

/// The most octets of a text that counts as a reaction: emoji of several people take some forty. A longer one is shown
/// as a reply (section 5.3), so that nobody can hang a page of text on a message.
pub const MAX_REACTION: usize = 64;

/// What is known of a message that came in, by MLS and the service and not by the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival<'a> {
    /// The message's identifier, [derived](MessageId::derive) from its bytes.
    pub id: MessageId,
    /// The authenticated sender's URI.
    pub sender: &'a str,
    /// The room's URI.
    pub room: &'a str,
    /// When the message was accepted, in seconds since 1970.
    pub accepted_at: u64,
}

/// A message that another one refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Its identifier.
    pub id: MessageId,
    /// Whether it can be shown.
    pub state: ReferenceState,
}

impl Reference {
    /// A reference that leads into no loop.
    fn to(id: MessageId, history: &dyn History) -> Self {
        let is_known = history.message(&id).is_some();
        let state = if is_known { ReferenceState::Known } else { ReferenceState::Missing };
        Self { id, state }
    }
}

/// Whether a message that another one refers to can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferenceState {
    /// It is known.
    Known,
    /// It is not known. It may have been sent before this client joined (section 9.1), or come later.
    Missing,
    /// Its replies lead back to themselves (section 4.1). They are not to be followed.
    Loop,
}

/// What a message means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning<'a> {
    /// Something is said. There may be attachments beside it.
    Text(Chosen<'a>),
    /// Something is said, or attached, in reply to another message.
    Reply {
        /// The message that this one replies to.
        to: Reference,
        /// The body.
        body: Chosen<'a>,
    },
    /// Reactions to another message, one in each part.
    Reaction {
        /// The message that they are about; none if this message does not name it, as in the draft's appendix B.2.
        to: Option<Reference>,
        /// The reactions.
        with: Chosen<'a>,
    },
    /// A new body for an earlier message, by its author or by somebody whom [`History::authorizes`] allows. Nothing
    /// else of that message changes: its topic, expiration, and what it replies to stay, whatever this message says
    /// of them (section 9.3).
    Edit {
        /// The first version of the message. If it is missing, keep the edit until it comes, and ask again.
        of: Reference,
        /// The new body.
        body: Chosen<'a>,
    },
    /// An earlier message, or a reaction, is deleted by its author or by somebody whom [`History::authorizes`] allows.
    Delete {
        /// The first version of the message. If it is missing, keep the deletion until it comes, and ask again.
        of: Reference,
    },
    /// Content that is somewhere else, or meant to be stored.
    Attachment(Chosen<'a>),
    /// An invitation into a call or conference.
    Session(Chosen<'a>),
    /// What became of messages, according to the sender.
    Status(MessageStatusReport),
    /// What the sender's user says of themselves. It is nothing that was said in the room.
    Profile(Profile),
    /// A message with an empty body, which replaces nothing.
    Empty,
    /// Something that this client cannot show. Say that there is something.
    Unknown(Unknown),
    /// Nothing is to be shown or changed: log it.
    Ignored(Ignored),
}

/// Why a client cannot show a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// It has fields that a later version of the format adds, and may mean anything.
    Later,
    /// The client shows none of its parts, or not all that belong together.
    Parts,
    /// It should be a status report, and is none.
    Status(ContentError),
}

/// Why a message has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// It was received already (section 9.1).
    Duplicate,
    /// It names another sender than the one who sent it.
    Sender,
    /// It names another room than the one that it came in.
    Room,
    /// It expires more than a year from when it came (section 9.1).
    Expiration,
    /// It expired before it came.
    Expired,
    /// It edits or deletes a message of somebody else (section 9.3).
    NotTheAuthor(MessageId),
    /// It edits or deletes a message that was deleted.
    Deleted(MessageId),
    /// It edits or deletes a message whose versions form a loop.
    Versions(MessageId),
    /// It claims to be a profile, and is not a valid one.
    Profile(ProfileFault),
}

/// Says what a message means to a client that knows this history and shows parts by this rank.
///
/// It is called before the message itself becomes part of the history.
#[must_use]
pub fn interpret<'a>(
    content: &'a MimiContent,
    arrival: &Arrival<'_>,
    history: &dyn History,
    rank: Rank<'_>,
) -> Meaning<'a> {
    if let Some(reason) = ignored(content, arrival, history) {
        return Meaning::Ignored(reason);
    }
    if !content.later.is_empty() {
        return Meaning::Unknown(Unknown::Later);
    }

    let body = &content.nested_part;
    if let Some(profile) = Profile::of(content) {
        return profile.map_or_else(|e| Meaning::Ignored(Ignored::Profile(e)), Meaning::Profile);
    }
    if let Some(replaced) = content.replaces {
        let deletes = body.part == Part::Null;
        let of = match replaced_message(replaced, deletes, arrival, history) {
            Ok(of) => of,
            Err(reason) => return Meaning::Ignored(reason),
        };
        if deletes {
            return Meaning::Delete { of };
        }
        return shown(body, rank).map_or_else(Meaning::Unknown, |body| Meaning::Edit { of, body });
    }

    if let Some(report) = status_report(body) {
        return report.map_or_else(|e| Meaning::Unknown(Unknown::Status(e)), Meaning::Status);
    }
    if body.part == Part::Null {
        return Meaning::Empty;
    }
    let to = content.in_reply_to.map(|id| replied_to(id, arrival.id, history));
    shown(body, rank).map_or_else(Meaning::Unknown, |chosen| said(body, to, chosen))
}

/// Why a message counts for nothing, whatever it says.
fn ignored(content: &MimiContent, arrival: &Arrival<'_>, history: &dyn History) -> Option<Ignored> {
    let extensions = &content.mimi_extensions;
    let differs = |claimed: Option<&str>, real| claimed.is_some_and(|claimed| claimed != real);
    if history.message(&arrival.id).is_some() {
        return Some(Ignored::Duplicate);
    }
    if differs(extensions.sender_uri(), arrival.sender) {
        return Some(Ignored::Sender);
    }
    if differs(extensions.room_uri(), arrival.room) {
        return Some(Ignored::Room);
    }

    let expires = content.expires?;
    // A deletion counts even if it has expired, within the year that is sensible.
    let deletes = content.replaces.is_some() && content.nested_part.part == Part::Null;
    if !expires.is_sensible(arrival.accepted_at) {
        Some(Ignored::Expiration)
    } else if !deletes && expires.lifetime(arrival.accepted_at, None) == Lifetime::Over {
        Some(Ignored::Expired)
    } else {
        None
    }
}

/// The first version of the message that is edited or deleted, if the sender may do that.
fn replaced_message(
    replaced: MessageId,
    deletes: bool,
    arrival: &Arrival<'_>,
    history: &dyn History,
) -> Result<Reference, Ignored> {
    let first = first_version(replaced, history).ok_or(Ignored::Versions(replaced))?;
    // Every version that is known has to be the sender's.
    let versions = core::iter::once(replaced).chain((first != replaced).then_some(first));
    for id in versions {
        let Some(message) = history.message(&id) else { continue };
        let replacing = Replacing { of: id, author: message.author, by: arrival.sender, deletes };
        if message.author != arrival.sender && !history.authorizes(&replacing) {
            return Err(Ignored::NotTheAuthor(id));
        }
        if message.is_deleted {
            return Err(Ignored::Deleted(id));
        }
    }
    Ok(Reference::to(first, history))
}

fn replied_to(id: MessageId, by: MessageId, history: &dyn History) -> Reference {
    if chain_is_sound(id, by, history) {
        Reference::to(id, history)
    } else {
        Reference { id, state: ReferenceState::Loop }
    }
}

fn status_report(body: &NestedPart) -> Option<Result<MessageStatusReport, ContentError>> {
    let Part::Single(single) = &body.part else { return None };
    is_media_type(&single.content_type, MIMI_MESSAGE_STATUS)
        .then(|| MessageStatusReport::decode(&single.content, &Limits::default()))
}

fn shown<'a>(body: &'a NestedPart, rank: Rank<'_>) -> Result<Chosen<'a>, Unknown> {
    let chosen = choose(body, rank);
    if chosen.leaves.is_empty() { Err(Unknown::Parts) } else { Ok(chosen) }
}

fn said<'a>(body: &NestedPart, to: Option<Reference>, chosen: Chosen<'a>) -> Meaning<'a> {
    let disposition = body.disposition.known();
    if disposition == Disposition::REACTION && chosen.leaves.iter().all(is_short) {
        return Meaning::Reaction { to, with: chosen };
    }
    if let Some(to) = to {
        return Meaning::Reply { to, body: chosen };
    }
    if disposition == Disposition::SESSION {
        return Meaning::Session(chosen);
    }
    if chosen.leaves.iter().all(is_attached) {
        Meaning::Attachment(chosen)
    } else {
        Meaning::Text(chosen)
    }
}

/// Whether a part can hang on a message as a reaction: a symbol, or something that is no text.
fn is_short(leaf: &Leaf<'_>) -> bool {
    leaf.text().is_none_or(|text| text.len() <= MAX_REACTION && !text.contains(['\n', '\r']))
}

fn is_attached(leaf: &Leaf<'_>) -> bool {
    matches!(leaf.part.part, Part::External(_)) || leaf.part.disposition == Disposition::ATTACHMENT
}
