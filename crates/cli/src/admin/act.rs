//! What an administrator asks, as a line of text.

use crate::serve::values::{Size, Value};
use conclave_delivery::service::Act;
use conclave_delivery::storage::Quota;
use conclave_delivery_api::{GroupId, parse_hex, to_hex};
use std::ops::RangeInclusive;

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
        Act::Quota(user, quotas) => {
            let words = quotas.iter().map(|(quota, most)| {
                let most = most.map_or(DEFAULT.into(), |most| most.to_string());
                format!(" {}={most}", quota.name())
            });
            format!("quota {user}{}", words.collect::<String>())
        }
        Act::Quotas => "quotas".into(),
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
        ["quota", name, ref quotas @ ..] => {
            let quotas = quotas.iter().map(|word| quota(word)).collect::<Result<_, _>>()?;
            Act::Quota(user(name)?, quotas)
        }
        ["quotas"] => Act::Quotas,
        ["reset", id] => Act::Reset(parse_group(id)?),
        ["compact"] => Act::Compact,
        _ => return Err("this service cannot do that: is it of another version?".into()),
    })
}

/// Stands for what everybody has.
const DEFAULT: &str = "default";

/// What a user is given of something, as `groups=5` or `groups=default`.
fn quota(word: &str) -> Result<(Quota, Option<u64>), String> {
    let unknown = || format!("{word}: this service knows no such quota");
    let (name, most) = word.split_once('=').ok_or_else(unknown)?;
    let quota = Quota::from_name(name).ok_or_else(unknown)?;
    match most {
        DEFAULT => Ok((quota, None)),
        most => Ok((quota, Some(most.parse().map_err(|e| format!("{word}: {e}"))?))),
    }
}

/// Reads how many of something a user is given; none for what everybody has.
pub(super) fn parse_count(text: &str) -> Result<Given, String> {
    given(text, |text| u64::parse(text, &ANY))
}

/// The same for bytes.
pub(super) fn parse_size(text: &str) -> Result<Given, String> {
    given(text, |text| Size::parse(text, &ANY).map(|size| size.0))
}

fn given(text: &str, parse: impl Fn(&str) -> Result<u64, String>) -> Result<Given, String> {
    match text {
        DEFAULT => Ok(Given(None)),
        text => parse(text).map(|most| Given(Some(most))),
    }
}

/// What a user is given of something: so much, or what everybody has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given(pub(super) Option<u64>);

/// The service knows the ranges.
const ANY: RangeInclusive<u64> = 0..=u64::MAX;

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
            Act::Quota(alice(), vec![]),
            Act::Quota(alice(), Quota::ALL.map(|quota| (quota, Some(u64::MAX))).to_vec()),
            Act::Quota(alice(), vec![(Quota::Claims, None), (Quota::Groups, Some(0))]),
            Act::Quotas,
            Act::Reset([7; 16].into()),
            Act::Compact,
        ];
        for act in all {
            assert_eq!(from_text(&to_text(&act)), Ok(act));
        }
        let wrong = [
            "quota",
            "quota alice groups",
            "quota alice groups=",
            "quota alice groups=-1",
            "quota alice x=1",
            "quota alice  groups=1",
            "quotas alice",
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
