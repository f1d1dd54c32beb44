//! What a room says of itself, and how it is changed, as lines.

use super::expiring::{YEAR, parse_expiry_time};
use super::text::{escaped, plain};
use super::time::duration;
use conclave_delivery_api::{DeviceId, Name};
use conclave_engine::{
    MessageExpiration, Optionality, RoomChange, RoomPolicy, RoomView, StatusNotificationPolicy,
};

/// More seconds than there are: all that was ever said.
pub(super) const ALL_TIME: u32 = u32::MAX;

/// Reads a policy for expiry; none if the words are not one.
pub(super) fn parse_expiry(words: &[&str]) -> Option<RoomPolicy> {
    let policy = match words {
        ["off"] => MessageExpiration::OPEN,
        ["forbid"] => MessageExpiration::Forbidden,
        [time] => MessageExpiration::after(parse_expiry_time(time)?),
        [min, max] => {
            let (min, max) = (parse_expiry_time(min)?, parse_expiry_time(max)?);
            MessageExpiration::Allowed { required: true, min, max, default: Some(max) }
        }
        _ => return None,
    };
    policy.is_consistent().then_some(RoomPolicy::Expiry(policy))
}

/// Reads a policy for reports; none if the words are not one.
pub(super) fn parse_reports(words: &[&str]) -> Option<RoomPolicy> {
    let (delivered, read) = match words {
        [both] => (both, both),
        [delivered, read] => (delivered, read),
        _ => return None,
    };
    Some(RoomPolicy::Reports(StatusNotificationPolicy {
        delivery_notifications: parse_optionality(delivered)?,
        read_receipts: parse_optionality(read)?,
    }))
}

fn parse_optionality(word: &str) -> Option<Optionality> {
    match word {
        "allow" => Some(Optionality::Optional),
        "require" => Some(Optionality::Required),
        "forbid" => Some(Optionality::Forbidden),
        _ => None,
    }
}

/// Reads a change of the list of preauthorized users; none if the words are not one.
pub(super) fn parse_preauth(words: &[&str]) -> Option<RoomChange> {
    let (user, role) = match words {
        ["add", user] => (user, Some("member")),
        ["add", user, role] => (user, Some(*role)),
        ["remove", user] => (user, None),
        _ => return None,
    };
    Some(RoomChange::Preauthorized { user: user.parse().ok()?, role: role.map(String::from) })
}

/// Whether something is optional, required or forbidden, for scripts.
#[must_use]
pub fn optionality_word(optionality: Optionality) -> &'static str {
    match optionality {
        Optionality::Optional => "optional",
        Optionality::Required => "required",
        Optionality::Forbidden => "forbidden",
    }
}

/// A room, for scripts: what kind it is, our role, its URI, its picture or a dash, and its topic.
pub(super) fn room_line(group: &str, room: &RoomView) -> String {
    let kind = if room.direct { "direct" } else { "open" };
    // Free text comes last; what others may have put a space into is still one word.
    let word = |text: &str| match escaped(text).replace(' ', "_") {
        word if word.is_empty() => "-".to_string(),
        word => word,
    };
    let (own, uri, picture) = (word(&room.own_role), word(&room.uri), word(&room.picture));
    let topic = escaped(&room.topic);
    format!("room {group} {kind} {own} {uri} {picture} {topic}").trim_end().to_string()
}

pub(super) fn room_text(group: &str, room: &RoomView) -> String {
    let kind = if room.direct { "a direct chat" } else { "a group" };
    let mut text = format!("  {group} is {kind}; your role: {}", plain(&room.own_role));
    if !room.topic.is_empty() {
        text.push_str(&format!("\n  topic: {}", plain(&room.topic)));
    }
    if !room.picture.is_empty() {
        text.push_str(&format!("\n  picture: {}", plain(&room.picture)));
    }
    text
}

/// A policy of a room, for scripts.
pub(super) fn policy_line(group: &str, policy: &RoomPolicy) -> String {
    let (kind, words) = policy_words(policy);
    format!("policy {group} {kind} {words}")
}

/// A policy of a room, for people.
pub(super) fn policy_text(policy: &RoomPolicy) -> String {
    format!("  {}", policy_sentence(policy))
}

/// A preauthorized user, for scripts.
pub(super) fn preauthorized_line(group: &str, user: &Name, role: &str) -> String {
    format!("preauthorized-user {group} {user} {}", escaped(role))
}

/// The same, for people.
pub(super) fn preauthorized_text(user: &Name, role: &str) -> String {
    format!("  {user} may join by a link, as {}", plain(role))
}

/// A change of a room, for scripts: what is free text comes last, and may be empty.
pub(super) fn room_change_line(
    group: &str,
    (seq, by): (u64, &DeviceId),
    change: &RoomChange,
) -> String {
    let (kind, text) = match change {
        RoomChange::Name(text) => ("renamed", text.as_str()),
        RoomChange::Topic(text) => ("topic", text.as_str()),
        RoomChange::Picture(text) => ("picture", text.as_str()),
        RoomChange::Role { user, role } => {
            return format!("role-changed {group} {seq} by {by} {user} {}", escaped(role));
        }
        RoomChange::Preauthorized { user, role } => {
            let role = role.as_deref().map_or("-".into(), escaped);
            return format!("preauthorized {group} {seq} by {by} {user} {role}");
        }
        RoomChange::Policy(policy) => {
            let (kind, words) = policy_words(policy);
            return format!("{kind}-policy {group} {seq} by {by} {words}");
        }
    };
    format!("{kind} {group} {seq} by {by} {}", escaped(text)).trim_end().to_string()
}

pub(super) fn room_change_text(by: &DeviceId, change: &RoomChange) -> String {
    match change {
        RoomChange::Name(text) => format!("{by} renamed the group: {}", plain(text)),
        RoomChange::Topic(text) if text.is_empty() => format!("{by} removed the topic"),
        RoomChange::Topic(text) => format!("{by} set the topic: {}", plain(text)),
        RoomChange::Picture(text) if text.is_empty() => format!("{by} removed the picture"),
        RoomChange::Picture(text) => format!("{by} set the picture: {}", plain(text)),
        RoomChange::Role { user, role } if role == "banned" => format!("{by} banned {user}"),
        RoomChange::Role { user, role } => {
            format!("{user} has the role {} now (by {by})", plain(role))
        }
        RoomChange::Preauthorized { user, role: Some(role) } => {
            format!("{by} has decided: {user} may join by a link, as {}", plain(role))
        }
        RoomChange::Preauthorized { user, role: None } => {
            format!("{by} has decided: {user} joins by a link like everybody else")
        }
        RoomChange::Policy(policy) => format!("{by} has decided: {}", policy_sentence(policy)),
    }
}

/// A policy for scripts: its kind and what it says, in seconds.
fn policy_words(policy: &RoomPolicy) -> (&'static str, String) {
    let number = |seconds: Option<u32>| seconds.map_or("-".into(), |seconds| seconds.to_string());
    match policy {
        RoomPolicy::History(seconds) => ("history", number(*seconds)),
        RoomPolicy::Expiry(MessageExpiration::Forbidden) => ("expiry", "forbidden - - -".into()),
        RoomPolicy::Expiry(MessageExpiration::Allowed { required, min, max, default }) => {
            let word = if *required { "required" } else { "optional" };
            ("expiry", format!("{word} {min} {max} {}", number(*default)))
        }
        RoomPolicy::Reports(StatusNotificationPolicy { delivery_notifications, read_receipts }) => {
            let words = [delivery_notifications, read_receipts].map(|o| optionality_word(*o));
            ("reports", words.join(" "))
        }
    }
}

/// What a policy says, for people.
#[must_use]
pub fn policy_sentence(policy: &RoomPolicy) -> String {
    match policy {
        RoomPolicy::History(None) => "new devices are given nothing of what was said before".into(),
        RoomPolicy::History(Some(ALL_TIME)) => {
            "new devices may be given all that was said before".into()
        }
        RoomPolicy::History(Some(seconds)) => {
            let hours = seconds.div_ceil(3600);
            format!("new devices may be given what was said in the last {hours} hours")
        }
        RoomPolicy::Expiry(policy) => expiry_sentence(policy),
        RoomPolicy::Reports(policy) => reports_sentence(policy),
    }
}

fn expiry_sentence(policy: &MessageExpiration) -> String {
    let MessageExpiration::Allowed { required, min, max, default } = policy else {
        return "no message disappears by itself".into();
    };
    if *required && min == max {
        return format!("messages disappear after {}", duration(*max));
    }

    let usual = match default {
        Some(default) => format!("messages disappear after {}", duration(*default)),
        None if *required => format!("messages disappear after {}", duration(*max)),
        None => "messages stay".into(),
    };
    let bounds = match (min, max) {
        (0, YEAR..) => String::new(),
        (0, max) => format!(" {} at most", duration(*max)),
        (min, YEAR..) => format!(" {} at least", duration(*min)),
        (min, max) => format!(" {} to {}", duration(*min), duration(*max)),
    };
    let chosen = if bounds.is_empty() { " otherwise".into() } else { bounds };
    format!("{usual}, unless their sender chooses{chosen}")
}

fn reports_sentence(policy: &StatusNotificationPolicy) -> String {
    let StatusNotificationPolicy { delivery_notifications, read_receipts } = policy;
    let words = |optionality: &Optionality| match optionality {
        Optionality::Optional => "each member chooses whether others are told",
        Optionality::Required => "others are told",
        Optionality::Forbidden => "nobody is told",
    };
    if delivery_notifications == read_receipts {
        return format!("{} what members have received and read", words(read_receipts));
    }
    let (received, read) = (words(delivery_notifications), words(read_receipts));
    format!("{received} what members have received, and {read} what they have read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_told_in_words_and_in_numbers() {
        let expiry = |words: &[&str]| parse_expiry(words);
        for (words, told, numbers) in [
            (&["7d"][..], "messages disappear after 7 days", "required 604800 604800 604800"),
            (&["1m"], "messages disappear after 1 minute", "required 60 60 60"),
            (
                &["1h", "2w"],
                "messages disappear after 14 days, unless their sender chooses 1 hour to 14 days",
                "required 3600 1209600 1209600",
            ),
            (
                &["off"],
                "messages stay, unless their sender chooses otherwise",
                "optional 0 4294967295 -",
            ),
            (&["forbid"], "no message disappears by itself", "forbidden - - -"),
        ] {
            let policy = expiry(words).unwrap();
            assert_eq!(policy_words(&policy), ("expiry", numbers.into()));
            assert_eq!(policy_sentence(&policy), told);
        }
        for wrong in [&[][..], &["7"], &["0d"], &["2w", "1h"], &["53w"], &["7d", "off"]] {
            assert_eq!(expiry(wrong), None, "{wrong:?}");
        }

        let told = policy_sentence(&parse_reports(&["forbid"]).unwrap());
        assert_eq!(told, "nobody is told what members have received and read");
        let policy = parse_reports(&["require", "allow"]).unwrap();
        assert_eq!(policy_line("g", &policy), "policy g reports required optional");
        assert_eq!(
            policy_sentence(&policy),
            "others are told what members have received, and each member chooses whether others are told what they have read"
        );
        assert!(parse_reports(&[]).is_none() && parse_reports(&["on"]).is_none());
    }
}
