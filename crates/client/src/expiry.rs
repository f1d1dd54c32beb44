//! When messages expire, by their senders' choice and by a room's policy.

use crate::lines::{ChosenExpiry, policy_sentence};
use crate::mimi::MimiMessage;
use crate::service::now;
use conclave_content::{Expiration, ExpiryPolicy};
use conclave_engine::{Engine, MessageExpiration, RoomPolicy};
use conclave_mls::GroupId;
use conclave_store::Store;

/// What a room's policy says of expiry.
pub(crate) fn expiry_policy(policy: Option<MessageExpiration>) -> ExpiryPolicy {
    match policy {
        None => ExpiryPolicy::Open,
        Some(MessageExpiration::Forbidden) => ExpiryPolicy::Never,
        Some(MessageExpiration::Allowed { required, min, max, default }) => {
            ExpiryPolicy::Within { required, min, max, default }
        }
    }
}

/// What the policy of a group's room says of expiry now.
pub(crate) fn room_expiry<S: Store>(engine: &Engine<S>, group: &GroupId) -> ExpiryPolicy {
    expiry_policy(engine.message_expiration(group))
}

/// The expiration of a message that is sent at a time in seconds since 1970.
pub(crate) fn expiration_of(chosen: ChosenExpiry, now: u64) -> Expiration {
    match chosen {
        ChosenExpiry::AfterSending(seconds) => {
            let at = now.saturating_add(seconds.into());
            Expiration::at(u32::try_from(at).unwrap_or(u32::MAX))
        }
        ChosenExpiry::AfterReading(seconds) => Expiration::after_reading(seconds),
    }
}

/// The expiration of a message that is sent in a group now.
///
/// # Errors
/// If the room's policy does not allow it, or it is longer than a year: why.
pub fn choose_expiry<S: Store>(
    engine: &Engine<S>,
    group: &GroupId,
    chosen: ChosenExpiry,
) -> Result<Expiration, String> {
    let now = now() / 1000;
    let expiration = expiration_of(chosen, now);
    if room_expiry(engine, group).allows(expiration, now) {
        return Ok(expiration);
    }
    Err(match engine.message_expiration(group) {
        Some(policy) => {
            let (name, rule) = (engine.group_name(group), RoomPolicy::Expiry(policy));
            format!("{name} does not allow that expiry: {}", policy_sentence(&rule))
        }
        None => "a message expires within a year of being sent or read".into(),
    })
}

/// When a message that came in at a time expires, both in seconds since 1970, by its sender's choice and by what the room's
/// policy said of expiry then. One that expires a while after reading counts as read when it came in; one whose expiry makes
/// no sense expires at once. A profile does not expire: a newer one takes its place.
#[must_use]
pub fn expires_at(
    message: Option<&MimiMessage>,
    policy: Option<MessageExpiration>,
    time: u64,
) -> Option<u64> {
    if message.is_some_and(MimiMessage::is_profile) {
        return None;
    }
    let chosen = message.and_then(|message| message.chosen_expiration());
    let expires = expiry_policy(policy).bounded(chosen, time)?;
    if !expires.is_sensible(time) {
        return Some(time);
    }
    let start = if expires.relative { time } else { 0 };
    Some(start.saturating_add(expires.time.into()))
}
