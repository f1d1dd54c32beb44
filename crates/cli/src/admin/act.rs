//! What an administrator asks, as a line of text.

use conclave_delivery::service::Act;
use conclave_delivery_api::{GroupId, parse_hex, to_hex};

pub(super) fn to_text(act: &Act) -> String {
    match act {
        Act::Status => "status".into(),
        Act::Users => "users".into(),
        Act::Devices(user) => format!("devices {user}"),
        Act::Groups => "groups".into(),
        Act::Invite(days) => format!("invite {days}"),
        Act::Invitations => "invitations".into(),
        Act::Block(user) => format!("block {user}"),
        Act::Unblock(user) => format!("unblock {user}"),
        Act::Reset(group) => format!("reset {}", to_hex(group)),
        Act::Compact => "compact".into(),
    }
}

pub(super) fn from_text(text: &str) -> Result<Act, String> {
    let user = |word: &str| word.parse().map_err(|e| format!("{word}: {e}"));
    let words: Vec<&str> = text.split(' ').collect();
    Ok(match *words.as_slice() {
        ["status"] => Act::Status,
        ["users"] => Act::Users,
        ["devices", name] => Act::Devices(user(name)?),
        ["groups"] => Act::Groups,
        ["invite", days] => Act::Invite(days.parse().map_err(|e| format!("{days}: {e}"))?),
        ["invitations"] => Act::Invitations,
        ["block", name] => Act::Block(user(name)?),
        ["unblock", name] => Act::Unblock(user(name)?),
        ["reset", id] => Act::Reset(parse_group(id)?),
        ["compact"] => Act::Compact,
        _ => return Err("this service cannot do that: is it of another version?".into()),
    })
}

/// Reads a group's identifier as `conclave admin groups` prints it.
pub(super) fn parse_group(text: &str) -> Result<GroupId, String> {
    let id = parse_hex(text).filter(|id| !id.is_empty());
    id.map(GroupId::from)
        .ok_or_else(|| "a group is what `conclave admin groups` prints, in hexadecimal".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_understood() {
        let alice = || "alice".parse().unwrap();
        let all = [
            Act::Status,
            Act::Users,
            Act::Devices(alice()),
            Act::Groups,
            Act::Invite(7),
            Act::Invitations,
            Act::Block(alice()),
            Act::Unblock(alice()),
            Act::Reset([7; 16].into()),
            Act::Compact,
        ];
        for act in all {
            assert_eq!(from_text(&to_text(&act)), Ok(act));
        }
        let wrong = [
            "",
            "users ",
            "invite",
            "invite -1",
            "block",
            "block a b",
            "block A\u{7}",
            "reset",
            "reset ",
            "reset 7",
            "reset 07 08",
            "reset xy",
        ];
        for wrong in wrong {
            assert!(from_text(wrong).is_err(), "{wrong:?}");
        }
    }
}
