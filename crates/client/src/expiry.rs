//! When messages expire, by a room's policy.

use crate::mimi::MimiMessage;
use conclave_content::ExpiryPolicy;
use conclave_engine::{Engine, MessageExpiration};
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

/// When a message that came in at a time expires, both in seconds since 1970, by its sender's choice and by what the room's
/// policy said of expiry then. One that expires a while after reading counts as read when it came in.
#[must_use]
pub fn expires_at(
    message: Option<&MimiMessage>,
    policy: Option<MessageExpiration>,
    time: u64,
) -> Option<u64> {
    let chosen = message.and_then(|message| message.chosen_expiration());
    let expires = expiry_policy(policy).bounded(chosen, time)?;
    let start = if expires.relative { time } else { 0 };
    Some(start.saturating_add(expires.time.into()))
}
