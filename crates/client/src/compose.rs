//! What people and programs write, as what is sent.

use crate::expiry::room_expiry;
use crate::mimi::Place;
use crate::service::now;
use conclave_content::{Draft, Expiration, MIMI_CONTENT, Salt, mention};
use conclave_delivery_api::Name;
use conclave_engine::{Content, Engine};
use conclave_mls::GroupId;
use conclave_mls::crypto::CryptoRng;
use conclave_store::Store;
use std::collections::BTreeSet;

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Markup {
    /// As it is shown.
    Plain,
    /// In Markdown.
    Markdown,
}

/// The users who can be mentioned in a group.
fn users<S: Store>(engine: &Engine<S>, group: &GroupId) -> BTreeSet<Name> {
    if let Some(room) = engine.room(group) {
        return room.users.into_iter().map(|(user, _)| user).collect();
    }
    // Nobody is mentioned if that cannot be read now.
    let roster = engine.roster(group).ok().flatten();
    let members = roster.map(|roster| roster.members).unwrap_or_default();
    members.into_iter().map(|member| member.device.user).collect()
}

/// A text that is said in a group: each `@name` of one of its users is a mention. Text that mentions nobody goes as it
/// is.
pub(crate) fn draft_of<S: Store>(
    engine: &Engine<S>,
    (group, place): (&GroupId, &Place),
    text: &str,
    markup: Markup,
) -> Draft {
    let users = if text.contains('@') { users(engine, group) } else { BTreeSet::new() };
    let uri_of = |name: &str| users.get(&name.parse::<Name>().ok()?).map(|user| place.user(user));
    match markup {
        Markup::Plain => mention::with_mentions(text, &uri_of)
            .map_or_else(|| Draft::plain(text), |text| Draft::markdown(&text)),
        Markup::Markdown => Draft::markdown(&mention::with_mentions_in_markdown(text, &uri_of)),
    }
}

/// Whether a message in a group expires by the room's policy if its sender chooses nothing.
#[must_use]
pub fn expires_by_policy<S: Store>(engine: &Engine<S>, group: &GroupId) -> bool {
    room_expiry(engine, group).to_send(None, now() / 1000).is_some()
}

/// MIMI content of a draft for a group, with the expiration that the room's policy demands; or why there is none.
pub(crate) fn content_of<S: Store>(
    engine: &Engine<S>,
    group: &GroupId,
    draft: Draft,
    rng: &mut dyn CryptoRng,
) -> Result<Content, String> {
    let mut salt = [0; 16];
    rng.fill_bytes(&mut salt);

    let place = Place::of(engine, group);
    let user = place.user(&engine.device().user);
    let draft = draft.under(&room_expiry(engine, group), now() / 1000);
    let sent = draft.finish(Salt(salt), &user, place.room()).map_err(|e| e.to_string())?;
    Content::new(MIMI_CONTENT, sent.bytes).map_err(|e| e.to_string())
}

/// A text that is said in a group, as MIMI content in which each `@name` of one of its users is a mention. It expires as its
/// sender chooses, within the bounds of the room's policy.
///
/// # Errors
/// If it is too long: why.
pub fn compose<S: Store>(
    engine: &Engine<S>,
    group: &GroupId,
    (text, markup): (&str, Markup),
    expires: Option<Expiration>,
    rng: &mut dyn CryptoRng,
) -> Result<Content, String> {
    let place = Place::of(engine, group);
    let mut draft = draft_of(engine, (group, &place), text, markup);
    if let Some(expires) = expires {
        draft = draft.expiring(expires);
    }
    content_of(engine, group, draft, rng)
}
