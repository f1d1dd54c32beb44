//! MIMI content, as it comes into a group's room.

use conclave_content::{Arrival, Limits, Meaning, MessageId, MimiContent, interpret, text_rank};
use conclave_delivery_api::{DeviceId, Name};
use conclave_engine::News;
use conclave_mls::GroupId;
use conclave_room::{LOCAL_AUTHORITY, room_uri, user_uri};

/// The URI of a user, as all members derive it.
pub(crate) fn uri_of_user(user: &Name) -> String {
    user_uri(LOCAL_AUTHORITY, user.as_str())
}

/// The URI of a group's room, as all members derive it.
pub(crate) fn uri_of_room(group: &GroupId) -> String {
    room_uri(LOCAL_AUTHORITY, group)
}

/// A message in MIMI's format that came into a room, for a program that keeps no history.
#[derive(Clone, Debug)]
pub struct MimiMessage {
    id: MessageId,
    content: MimiContent,
    sender: String,
    room: String,
    time: u64,
}

impl MimiMessage {
    /// Reads the bytes that a device sent, at a time in seconds since 1970. None if they are not MIMI content.
    #[must_use]
    pub fn read(room: &GroupId, sender: &DeviceId, time: u64, bytes: &[u8]) -> Option<Self> {
        let content = MimiContent::decode(bytes, &Limits::default()).ok()?;
        let (sender, room) = (uri_of_user(&sender.user), uri_of_room(room));
        let id = MessageId::derive(&sender, &room, bytes, &content.salt).ok()?;
        Some(Self { id, content, sender, room, time })
    }

    /// The message's identifier.
    #[must_use]
    pub fn id(&self) -> MessageId {
        self.id
    }

    /// What it means to a client that knows no other message.
    #[must_use]
    pub fn meaning(&self) -> Meaning<'_> {
        let Self { id, sender, room, time, .. } = self;
        let arrival = Arrival { id: *id, sender, room, accepted_at: *time };
        interpret(&self.content, &arrival, &(), &text_rank)
    }
}

/// The text that somebody says in a room by a message or a reply, plain or as MIMI content; none for all else.
#[must_use]
pub fn text_of(room: &GroupId, news: &News) -> Option<String> {
    let News::Message { sender, time, content, .. } = news else { return None };
    if let Some(text) = content.text() {
        return Some(text.into());
    }

    let message = MimiMessage::read(room, sender, *time, content.bytes())?;
    match message.meaning() {
        Meaning::Text(body) | Meaning::Reply { body, .. } => {
            body.leaves.first()?.text().map(str::to_owned)
        }
        _ => None,
    }
}
