//! MIMI content, as it comes into a group's room.

use conclave_content::{
    Arrival, Chosen, Disposition, Expiration, GFM_MIMI, Limits, MIMI_CONTENT, Meaning, MessageId,
    MimiContent, Part, interpret, is_media_type, markdown, mention, text_rank,
};
use conclave_delivery_api::{DeviceId, Name, is_successor, parse_hex};
use conclave_engine::{Content, Engine, News, PeekedGroup, PeekedMessage};
use conclave_history::{Body, Entry};
use conclave_mls::GroupId;
use conclave_mls::crypto::CryptoProvider;
use conclave_room::{LOCAL_AUTHORITY, room_authority, room_uri, user_authority, user_of, user_uri};
use conclave_store::Store;

/// A group's room, by the URIs that its members give to it and to each other there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    room: String,
    authority: String,
}

impl Place {
    /// The room of this URI.
    pub(crate) fn new(room: String) -> Self {
        let authority = room_authority(&room).unwrap_or(LOCAL_AUTHORITY).into();
        Self { room, authority }
    }

    /// The room that a group is, as far as this device knows.
    pub(crate) fn of<S: Store>(engine: &Engine<S>, group: &GroupId) -> Self {
        let uri = engine.room_uri(group);
        Self::new(uri.unwrap_or_else(|| room_uri(LOCAL_AUTHORITY, group)))
    }

    /// The room in which content that came in a group was meant to be said.
    ///
    /// * What waited while a group was begun anew names the old one, and is said in its successor.
    /// * A device that is no longer in a group does not know the room's state. Then the content says which authority
    ///   the room has.
    pub(crate) fn of_content<S: Store>(
        engine: &Engine<S>,
        group: &GroupId,
        content: &Content,
    ) -> Self {
        Self::meant(&*engine.provider(), (group, engine.room_uri(group)), content)
    }

    /// The same, for a group whose room has this URI as far as this device knows.
    fn meant(
        provider: &dyn CryptoProvider,
        (group, known): (&GroupId, Option<String>),
        content: &Content,
    ) -> Self {
        let here = known.clone().unwrap_or_else(|| room_uri(LOCAL_AUTHORITY, group));
        let Some(claimed) = claimed_room(content).filter(|claimed| *claimed != here) else {
            return Self::new(here);
        };

        let is_same_group = || group_in(&claimed).as_ref() == Some(group);
        let is_former = || {
            group_in(&claimed)
                .is_some_and(|old| is_successor(provider, group, &old).unwrap_or(false))
        };
        let has_authority = known.as_deref().map(room_authority);
        let is_meant = match has_authority {
            Some(authority) => authority == room_authority(&claimed) && is_former(),
            None => is_same_group() || is_former(),
        };
        Self::new(if is_meant { claimed } else { here })
    }

    /// The URI of the room.
    pub(crate) fn room(&self) -> &str {
        &self.room
    }

    /// The URI of a user there.
    pub(crate) fn user(&self, user: &Name) -> String {
        user_uri(&self.authority, user.as_str())
    }
}

pub(crate) fn is_mimi(content: &Content) -> bool {
    is_media_type(content.media_type(), MIMI_CONTENT)
}

/// The room that MIMI content says it is for.
fn claimed_room(content: &Content) -> Option<String> {
    if !is_mimi(content) {
        return None;
    }
    let content = MimiContent::decode(content.bytes(), &Limits::default()).ok()?;
    content.mimi_extensions.room_uri().map(str::to_owned)
}

/// The group whose room has this URI, if it is written as this messenger does.
fn group_in(uri: &str) -> Option<GroupId> {
    let (_, hex) = uri.rsplit_once("/r/")?;
    let group = GroupId::from(parse_hex(hex)?);
    (room_uri(room_authority(uri)?, &group) == uri).then_some(group)
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
    /// Reads what a device sent in a group, at a time in seconds since 1970. None if it is not MIMI content.
    #[must_use]
    pub fn read<S: Store>(
        engine: &Engine<S>,
        group: &GroupId,
        (sender, time): (&DeviceId, u64),
        content: &Content,
    ) -> Option<Self> {
        if !is_mimi(content) {
            return None;
        }
        let place = Place::of_content(engine, group, content);
        Self::said_in(place, (sender, time), content)
    }

    /// Reads a message that waits in a group, as a [`Peek`](conclave_engine::Peek) found it. None if it is not MIMI content.
    #[must_use]
    pub fn peeked(
        provider: &dyn CryptoProvider,
        group: &PeekedGroup,
        said: &PeekedMessage,
    ) -> Option<Self> {
        let PeekedMessage { time, sender, content, .. } = said;
        if !is_mimi(content) {
            return None;
        }
        let known = (&group.group, Some(group.room_uri.clone()));
        Self::said_in(Place::meant(provider, known, content), (sender, *time), content)
    }

    fn said_in(place: Place, (sender, time): (&DeviceId, u64), content: &Content) -> Option<Self> {
        let (bytes, sender) = (content.bytes(), place.user(&sender.user));
        let content = MimiContent::decode(bytes, &Limits::default()).ok()?;
        let id = MessageId::derive(&sender, place.room(), bytes, &content.salt).ok()?;
        Some(Self { id, content, sender, room: place.room, time })
    }

    /// The message's identifier.
    #[must_use]
    pub fn id(&self) -> MessageId {
        self.id
    }

    /// Whether it is a profile, or should be one.
    pub(crate) fn is_profile(&self) -> bool {
        self.content.nested_part.disposition == Disposition::PROFILE
    }

    /// When it expires, as its sender chose.
    pub(crate) fn chosen_expiration(&self) -> Option<Expiration> {
        self.content.expires
    }

    /// What it means to a client that knows no other message.
    #[must_use]
    pub fn meaning(&self) -> Meaning<'_> {
        let Self { id, sender, room, time, .. } = self;
        let arrival = Arrival { id: *id, sender, room, accepted_at: *time };
        interpret(&self.content, &arrival, &(), &text_rank)
    }

    /// The texts of its body.
    #[must_use]
    pub fn texts(&self, body: &Chosen<'_>) -> Texts {
        let authority = room_authority(&self.room).unwrap_or(LOCAL_AUTHORITY);
        let (mut texts, mut sent, mut mentions) = (Vec::new(), Vec::new(), Vec::new());
        let mut is_markdown = false;
        for leaf in &body.leaves {
            let (Part::Single(single), Some(text)) = (&leaf.part.part, leaf.text()) else {
                continue;
            };
            sent.push(text);
            if !is_media_type(&single.content_type, GFM_MIMI) {
                texts.push(text.to_owned());
                continue;
            }
            is_markdown = true;
            texts.push(mention::readable(text));
            add_mentions(&mut mentions, text, authority);
        }
        let markdown = is_markdown.then(|| sent.join("\n\n"));
        Texts { text: texts.join("\n\n"), markdown, mentions }
    }
}

/// Adds the users of a room's authority whom a Markdown text mentions, each once.
fn add_mentions(mentions: &mut Vec<Name>, text: &str, authority: &str) {
    for link in markdown::links(text) {
        let user = user_of(authority, &link.target);
        let user: Option<Name> = user.and_then(|user| user.parse().ok());
        if let Some(user) = user.filter(|user| !mentions.contains(user)) {
            mentions.push(user);
        }
    }
}

/// The users whom a message that a messenger has kept mentions, each once.
#[must_use]
pub fn mentions_in(entry: &Entry) -> Vec<Name> {
    let Body::Said { text, markdown: true, .. } = &entry.body else { return Vec::new() };
    // The author's URI has the room's authority, even if this device has left the room.
    let authority = user_authority(&entry.user).unwrap_or(LOCAL_AUTHORITY);
    let mut mentions = Vec::new();
    add_mentions(&mut mentions, text, authority);
    mentions
}

/// The texts of a message, with an empty line between its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    /// As people read it without Markdown.
    pub text: String,
    /// As it was sent, if some of it is Markdown.
    pub markdown: Option<String>,
    /// The users whom it mentions.
    pub mentions: Vec<Name>,
}

/// The text that somebody says in a group by a message or a reply, plain or as MIMI content, with an empty line between
/// its parts; none for all else.
#[must_use]
pub fn text_of<S: Store>(engine: &Engine<S>, group: &GroupId, news: &News) -> Option<String> {
    let News::Message { sender, time, content, .. } = news else { return None };
    if let Some(text) = content.text() {
        return Some(text.into());
    }

    let message = MimiMessage::read(engine, group, (sender, *time), content)?;
    let (Meaning::Text(body) | Meaning::Reply { body, .. }) = message.meaning() else {
        return None;
    };
    Some(message.texts(&body).text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expiry::expires_at;
    use conclave_content::{Draft, Salt};
    use conclave_engine::MessageExpiration;

    #[test]
    fn an_expiry_that_makes_no_sense_ends_at_once_and_others_when_they_say() {
        let now = 1_800_000_000;
        let ends = |expires: Expiration, policy| {
            let place = Place::new("mimi://localhost/r/0aff".into());
            let alice: DeviceId = "alice/pc".parse().unwrap();
            let draft = Draft::plain("hi").expiring(expires);
            let sent = draft.finish(Salt([1; 16]), &place.user(&alice.user), place.room()).unwrap();
            let content = Content::new(MIMI_CONTENT, sent.bytes).unwrap();
            let message = MimiMessage::said_in(place, (&alice, now), &content).unwrap();
            expires_at(Some(&message), policy, now)
        };
        let (hour, none) = (Some(MessageExpiration::after(3600)), None);
        for policy in [hour, none] {
            assert_eq!(ends(Expiration::at(1), policy), Some(now));
            assert_eq!(ends(Expiration::after_reading(u32::MAX), policy), Some(now));
        }
        assert_eq!(ends(Expiration::after_reading(60), none), Some(now + 60));
        assert_eq!(ends(Expiration::at(now as u32 + 60), none), Some(now + 60));
        assert_eq!(ends(Expiration::at(now as u32 + 60), hour), Some(now + 3600));
    }

    #[test]
    fn a_rooms_uri_leads_back_to_its_group_and_nothing_else_does() {
        let group = GroupId::from([0x0a, 0xff, 0x10].as_slice());
        for authority in ["localhost", "a.example:4820"] {
            assert_eq!(group_in(&room_uri(authority, &group)), Some(group.clone()));
        }
        for uri in [
            "",
            "mimi://localhost/r/0aff1",
            "mimi://localhost/r/0AFF",
            "mimi://other/x/r/0aff",
            "mimi://localhost/r/zz",
        ] {
            assert_eq!(group_in(uri), None, "{uri}");
        }
    }
}
