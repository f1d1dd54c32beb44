//! Entries of lists, as lines: groups, members, devices, links.

use super::super::words::stuck;
use super::profiles::{called_line, quoted};
use super::suites::{suite_text, suite_words};
use super::text::{escaped, plain};
use super::time::{clock, timestamp};
use conclave_delivery_api::DeviceId;
use conclave_engine::{
    Admitted, DeviceView, GroupView, LinkView, Member, PairCode, Phase, Warrant,
};

/// What marks this device among others.
fn mark(own: bool) -> &'static str {
    if own { " (you)" } else { "" }
}

/// What there is to say of a group beside its size.
fn state_of(group: &GroupView) -> String {
    match &group.phase {
        Phase::Removed => "removed".into(),
        Phase::Left => "left".into(),
        Phase::Ended => "ended: a member begins it anew with /reset, and invites you".into(),
        Phase::Stuck { reason } => format!("stuck: {}", stuck(reason)),
        Phase::Leaving => "leaving".into(),
        Phase::Invited { by } => format!("invited by {by}: /accept or /decline"),
        Phase::Creating | Phase::Member if group.to_do > 0 => format!("{} to send", group.to_do),
        Phase::Creating | Phase::Member => String::new(),
    }
}

pub(super) fn group_line(group: &GroupView, current: bool) -> String {
    let epoch = group.epoch.map_or("-".to_string(), |epoch| epoch.to_string());
    let (name, members, suite) = (&group.name, group.members, suite_words(group.suite));
    let current = if current { " current" } else { "" };
    let state = escaped(&state_of(group));
    format!("group {name} epoch {epoch} members {members} {suite}{current} {state}")
        .trim_end()
        .to_string()
}

pub(super) fn group_text(group: &GroupView, current: bool) -> String {
    let mark = if current { '>' } else { ' ' };
    let state = plain(&state_of(group));
    let state = if state.is_empty() { state } else { format!(", {state}") };
    let suite = group.suite.map(|suite| format!(", {}", suite_text(suite))).unwrap_or_default();
    let (name, members) = (&group.name, group.members);
    match group.epoch {
        Some(epoch) => format!("{mark} {name}: {members} devices, epoch {epoch}{suite}{state}"),
        None => format!("{mark} {name}{state}"),
    }
}

pub(super) fn member_line(group: &str, member: &Member, called: &str) -> String {
    let Member { device, own, code, admitted } = member;
    let since = admitted.as_ref().map(|Admitted { since, by }| {
        format!(" since {} by {}", timestamp(*since), by_word(by.as_deref()))
    });
    let called = called_line(group, device.user.as_str(), called);
    format!("member {group} {device} {code}{}{}{called}", since.unwrap_or_default(), mark(*own))
}

pub(super) fn member_text(member: &Member, called: &str) -> String {
    let Member { device, own, code, admitted } = member;
    let since = admitted.as_ref().map(|Admitted { since, by }| {
        format!(", since {}{}", clock(*since), by_text(by.as_deref()))
    });
    let called = match called {
        "" => String::new(),
        called => format!("\n    {} is shown as {}", device.user, quoted(called)),
    };
    let device = format!("{device}{}", mark(*own));
    format!("  {device:<28} {code}{}{called}", since.unwrap_or_default())
}

fn by_word(by: Option<&str>) -> String {
    by.unwrap_or("-").replace(' ', "-")
}

fn by_text(by: Option<&str>) -> String {
    by.map(|by| format!(", added by {by}")).unwrap_or_default()
}

pub(super) fn device_line(DeviceView { device, own, code, warrant }: &DeviceView) -> String {
    let own = mark(*own);
    match warrant {
        Warrant::Account(Admitted { since, by }) => {
            let by = by_word(by.as_deref());
            format!("device {device} {} by {by} {code}{own}", timestamp(*since))
        }
        Warrant::Certificate { since, until } => {
            let (since, until) = (timestamp(*since), timestamp(*until));
            format!("certified {device} {since} until {until} {code}{own}")
        }
    }
}

pub(super) fn device_text(DeviceView { device, own, code, warrant }: &DeviceView) -> String {
    let device = format!("{device}{}", mark(*own));
    match warrant {
        Warrant::Account(Admitted { since, by }) => {
            let by = by_text(by.as_deref());
            format!("  {device:<28} {code}, since {}{by}", timestamp(*since))
        }
        Warrant::Certificate { since, until } => {
            let (since, until) = (timestamp(*since), timestamp(*until));
            format!("  {device:<28} {code}, certified since {since} until {until}")
        }
    }
}

pub(super) fn link_line(group: &str, link: &LinkView) -> String {
    let LinkView { number, maker, uses, max_uses, expires_at, over } = link;
    let state = if *over { " over" } else { "" };
    let until = timestamp(*expires_at);
    format!("link-into {group} {number} {maker} used {uses} of {max_uses} until {until}{state}")
}

pub(super) fn link_text(link: &LinkView) -> String {
    let LinkView { number, maker, uses, max_uses, expires_at, over } = link;
    let state = if *over { ": nobody joins by it any more" } else { "" };
    let until = clock(*expires_at);
    format!("  link {number} of {maker}, used {uses} of {max_uses} times, until {until}{state}")
}

pub(super) fn pair_text(me: &DeviceId, PairCode { other, code }: &PairCode) -> String {
    let (first, second) = code.split_at_checked(35).unwrap_or((code, ""));
    format!("  {me} and {other} both see, if nobody stands between them:\n    {first}\n   {second}")
}
