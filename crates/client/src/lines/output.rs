//! What a user is told, as lines.

use super::listed::{
    device_line, device_text, group_line, group_text, link_line, link_text, member_line,
    member_text, pair_text,
};
use super::profiles::{called_line, quoted};
use super::rooms::{
    policy_line, policy_text, preauthorized_line, preauthorized_text, room_change_line,
    room_change_text, room_line, room_text,
};
use super::shown::Shown;
use super::suites::{suite_text, suite_words};
use super::text::{escaped, plain, plain_lines};
use super::time::{clock, is_late, timestamp};
use conclave_delivery_api::{DeviceId, short_group};
use conclave_engine::{Answer, Content, News, PairCode, Reason, is_post_quantum};
use conclave_mls::CipherSuite;

/// How what a user is told is shown.
pub trait Render {
    /// As one line for scripts, without its end: words that are separated by spaces, the first of
    /// them the kind. Free text comes last, and [escaped]. The word before a message's text is when
    /// the service received it, in UTC as RFC 3339 writes it.
    ///
    /// A group's suite is two words, `post-quantum` or `pre-quantum` and the suite's name, or `- -`:
    /// the last two of `created`, `joined` and `epoch`, those after the number of members of
    /// `group`.
    #[must_use]
    fn to_line(&self) -> String;

    /// For people: one or more lines.
    #[must_use]
    fn to_text(&self) -> String;
}

impl Render for Shown {
    fn to_line(&self) -> String {
        match self {
            Self::News { group, news, .. } => news_line(group, news),
            Self::Failed { group, what, .. } => {
                format!("failed {} {}", or_dash(group), escaped(what))
            }
            Self::Alarm { group, what, .. } => {
                format!("alarm {} {}", or_dash(group), escaped(what))
            }
            Self::Answer(answer) => answer_line(answer),
            Self::Group { group, current } => group_line(group, *current),
            Self::Epoch { group, epoch, code, suite } => {
                format!("epoch {group} {epoch} {code} {}", suite_words(Some(*suite)))
            }
            Self::Member { group, member, called } => member_line(group, member, called),
            Self::Room { group, room } => room_line(group, room),
            Self::RoomUser { group, user, role, called } => {
                let called = called_line(group, user.as_str(), called);
                format!("role {group} {user} {}{called}", escaped(role))
            }
            Self::RoomPolicy { group, policy } => policy_line(group, policy),
            Self::Preauthorized { group, user, role } => preauthorized_line(group, user, role),
            Self::Device(device) => device_line(device),
            Self::JoinLink { group, link } => link_line(group, link),
            Self::Pair { me, pair: PairCode { other, code } } => {
                format!("verify {me} {other} {code}")
            }
            Self::History { group, news } => format!("history {}", news_line(group, news)),
            Self::Said(said) => said.to_line(),
            Self::Did { group, did } => did.to_line(group),
            Self::Profile { group, profile } => profile.to_line(or_dash(group)),
            Self::File { group, file } => file.to_line(group),
            Self::Note { group, what } => format!("note {} {}", or_dash(group), escaped(what)),
            Self::Refused(why) => format!("error {}", escaped(why)),
        }
    }

    fn to_text(&self) -> String {
        match self {
            Self::News { group, news, .. } => news_text(group, news),
            Self::Failed { group, what, .. } => failure_text(group, what),
            Self::Alarm { what, .. } => alarm_text(what),
            Self::Answer(answer) => answer_text(answer),
            Self::Group { group, current } => group_text(group, *current),
            Self::Epoch { group, epoch, code, suite } => {
                let suite = suite_text(*suite);
                format!("  {group}, epoch {epoch}, {suite}. All members see this code: {code}")
            }
            Self::Member { member, called, .. } => member_text(member, called),
            Self::Room { group, room } => room_text(group, room),
            Self::RoomUser { user, role, called, .. } if called.is_empty() => {
                format!("  {user}: {}", plain(role))
            }
            Self::RoomUser { user, role, called, .. } => {
                format!("  {user} {}: {}", quoted(called), plain(role))
            }
            Self::RoomPolicy { policy, .. } => policy_text(policy),
            Self::Preauthorized { user, role, .. } => preauthorized_text(user, role),
            Self::Device(device) => device_text(device),
            Self::JoinLink { link, .. } => link_text(link),
            Self::Pair { me, pair } => pair_text(me, pair),
            Self::History { group, news: News::Message { time, sender, own, content, .. } } => {
                message_text(group, Some(*time), sender, *own, content)
            }
            Self::History { group, news } => news_text(group, news),
            Self::Said(said) => said.to_text(),
            Self::Did { group, did } => did.to_text(group),
            Self::Profile { group, profile } => profile.to_text(group),
            Self::File { group, file } => file.to_text(group),
            Self::Note { group, what } => note_text(group, what),
            Self::Refused(why) => format!("! {}", plain(why)),
        }
    }
}

/// What a group's suite gives, for people; plainly, if it does not.
fn promise(suite: CipherSuite) -> String {
    let text = suite_text(suite);
    match is_post_quantum(suite) {
        true => text,
        false => format!(
            "{text}: who records what is said there can read it with a quantum computer of later"
        ),
    }
}

fn news_line(group: &str, news: &News) -> String {
    let group = or_dash(group);
    match news {
        News::Message { seq, time, sender, content, .. } => {
            let time = timestamp(*time);
            match content.text() {
                Some(text) => format!("message {group} {seq} {sender} {time} {}", escaped(text)),
                None => {
                    let (len, media_type) = (content.bytes().len(), content.media_type());
                    format!("content {group} {seq} {sender} {time} {len} {}", escaped(media_type))
                }
            }
        }
        News::Created { suite } => format!("created {group} {}", suite_words(*suite)),
        News::Joined { seq, by, suite } => {
            format!("joined {group} {seq} by {by} {}", suite_words(*suite))
        }
        News::Added { seq, who, by, code } => {
            format!("added {group} {seq} {who} by {by} {code}").trim_end().to_string()
        }
        News::JoinedByLink { seq, maker, suite } => {
            format!("joined {group} {seq} link {maker} {}", suite_words(Some(*suite)))
        }
        News::AddedByLink { seq, who, maker, code } => {
            format!("added {group} {seq} {who} link {maker} {code}").trim_end().to_string()
        }
        News::LinkMade { text, max_uses, expires_at } => {
            format!("invite-link {group} {text} uses {max_uses} until {}", timestamp(*expires_at))
        }
        News::Invited { seq, by, code } => format!("invited {group} {seq} by {by} {code}"),
        News::Removed { seq, who, by } => format!("removed {group} {seq} {who} by {by}"),
        News::Room { seq, by, change } => room_change_line(group, (*seq, by), change),
        News::Leaving { seq, who } => format!("leaving {group} {seq} {who}"),
        News::Out { seq, by, left: false } => format!("out {group} {seq} by {by}"),
        News::Out { seq, by, left: true } => format!("left {group} {seq} by {by}"),
        News::StateCopied { since, by_itself } => {
            let since = since.map_or("-".to_string(), timestamp);
            format!("copied - {since} {}", if *by_itself { "recovers" } else { "stopped" })
        }
        News::KeyRenewed => "key-renewed -".into(),
        News::Rejoined { seq, missed } => format!("rejoined {group} {seq} missed {missed}"),
        News::RejoinLimited { until } => format!("rejoin-limited {group} {}", timestamp(*until)),
        News::Unreadable { seq, sender, reason } => {
            format!("unreadable {group} {seq} {sender} {}", escaped(reason))
        }
        // The messenger has words for these.
        News::Alarm { warning } => format!("alarm {group} {}", escaped(&warning.to_string())),
        News::Note { notice } => format!("note {group} {}", escaped(&notice.to_string())),
        News::Failed { reason } => format!("failed {group} {}", escaped(&reason.to_string())),
        News::NotDone { reason } | News::Waits { reason } => {
            format!("note {group} {}", escaped(&reason.to_string()))
        }
        News::Ended { .. } => format!("note {group} it has ended"),
        News::Replaces { old } => {
            format!("note {group} it takes the place of {}", short_group(old))
        }
    }
}

fn or_dash(group: &str) -> &str {
    if group.is_empty() { "-" } else { group }
}

/// A text about a group, or about none, behind a mark.
fn marked(group: &str, mark: char, what: &str) -> String {
    match group {
        "" => format!("{mark} {}", plain(what)),
        group => format!("{group} {mark} {}", plain(what)),
    }
}

fn failure_text(group: &str, what: &str) -> String {
    marked(group, '!', what)
}

fn alarm_text(what: &str) -> String {
    format!("!!! WARNING: {}", plain(what))
}

fn note_text(group: &str, what: &str) -> String {
    marked(group, '*', what)
}

fn news_text(group: &str, news: &News) -> String {
    match news {
        News::Message { time, sender, own, content, .. } => {
            message_text(group, is_late(*time).then_some(*time), sender, *own, content)
        }
        News::Created { suite } => {
            let suite = suite.map(|suite| format!(", {}", promise(suite))).unwrap_or_default();
            format!("{group} * the group is made{suite}; /invite USER to add somebody")
        }
        News::Joined { by, suite, .. } => {
            let suite = suite.map(|suite| format!("it is {}; ", promise(suite)));
            let suite = suite.unwrap_or_default();
            format!("{group} * {by} added you; {suite}/members shows who is here")
        }
        News::Added { who, by, code, .. } => {
            let code = if code.is_empty() { String::new() } else { format!(" ({code})") };
            match who == by {
                true => format!("{group} * {who}{code} came back by itself"),
                false => format!("{group} * {by} added {who}{code}"),
            }
        }
        News::JoinedByLink { maker, suite, .. } => format!(
            "{group} * you have joined by a link of {maker}; it is {}; /members shows who is here",
            promise(*suite)
        ),
        News::AddedByLink { who, maker, code, .. } => {
            let code = if code.is_empty() { String::new() } else { format!(" ({code})") };
            format!("{group} * {who}{code} joined by a link of {maker}")
        }
        News::LinkMade { text, max_uses, expires_at } => {
            let devices =
                if *max_uses == 1 { "One device".into() } else { format!("{max_uses} devices") };
            format!(
                "{group} * Whoever has this link can join. {devices} can, until {}. It is not shown again; /links lists \
                 it, /unlink revokes it:\n    /join {text}",
                clock(*expires_at)
            )
        }
        News::Invited { by, code, .. } => format!(
            "{group} ? {by} ({code}) wants you here: /accept to talk here, /decline to leave, or \
             /block {}",
            by.user
        ),
        News::Removed { who, by, .. } => format!("{group} * {who} is out (committed by {by})"),
        News::Room { by, change, .. } => format!("{group} * {}", room_change_text(by, change)),
        News::Leaving { who, .. } => format!("{group} * {who} wants to leave"),
        News::Out { by, left: false, .. } => format!("{group} * {by} removed you"),
        News::Out { left: true, .. } => format!("{group} * you have left"),
        News::StateCopied { since, by_itself } => {
            let since = since.map(|at| format!(", since {}", clock(at))).unwrap_or_default();
            let what = match by_itself {
                true => {
                    "This one takes a new key and comes back into your groups; the other copy is shut out"
                }
                false => {
                    "Nothing is sent from here. Stop the other one; to go on here, ask the CA for a certificate with a \
                     new key, and start with --certificate FILE"
                }
            };
            format!(
                "!!! WARNING: this device's folder was copied or restored, and another process goes on from it{since}. {what}"
            )
        }
        News::KeyRenewed => "* this device has a new key, and comes back into your groups".into(),
        News::Rejoined { missed: 0, .. } => format!("{group} * you are here again"),
        News::Rejoined { missed, .. } => {
            format!("{group} * you are here again; {missed} messages before that cannot be read")
        }
        News::RejoinLimited { until } => {
            let what = format!(
                "this device came back too often, and waits until {}: either its folder was copied, and the other copy runs, \
                 or a member's client makes commits that cannot be followed",
                clock(*until)
            );
            failure_text(group, &what)
        }
        News::Unreadable { seq, sender, reason } => {
            format!("{group} ! message {seq} from {sender} cannot be read: {}", plain(reason))
        }
        // The messenger has words for these.
        News::Alarm { warning } => alarm_text(&warning.to_string()),
        News::Note { notice } => note_text(group, &notice.to_string()),
        News::Failed { reason } => failure_text(group, &reason.to_string()),
        News::NotDone { reason } | News::Waits { reason } => note_text(group, &reason.to_string()),
        News::Ended { .. } => note_text(group, "it has ended"),
        News::Replaces { old } => {
            note_text(group, &format!("it takes the place of {}", short_group(old)))
        }
    }
}

/// A message for people, with the time if that is worth telling.
fn message_text(
    group: &str,
    time: Option<u64>,
    sender: &DeviceId,
    own: bool,
    content: &Content,
) -> String {
    let time = time.map(|time| clock(time) + " ").unwrap_or_default();
    let own = if own { " (you)" } else { "" };
    let Some(text) = content.text() else {
        let (len, media_type) = (content.bytes().len(), plain(content.media_type()));
        return format!(
            "{group} ! {time}{sender}{own} sent {len} bytes of {media_type}, which this messenger does not show"
        );
    };
    let margin = format!("{:width$} | ", "", width = group.chars().count());
    format!("{group} | {time}{sender}{own}: {}", plain_lines(text, &margin))
}

fn expiry(device: &DeviceId, at: u64) -> String {
    let at = timestamp(at);
    format!("the certificate of {device} expires at {at}: ask the CA to renew it in time")
}

fn offline(reason: &Reason) -> String {
    format!("{reason}. It is tried again; what you write is kept and sent when it answers")
}

fn answer_line(answer: &Answer) -> String {
    match answer {
        Answer::Ready { device } => format!("ready {device}"),
        Answer::Offline { reason } => format!("offline {}", escaped(&offline(reason))),
        Answer::Online => "online".into(),
        Answer::Link { device, code } => format!("link {device} {code}"),
        Answer::RecoveryWords { words, places: [one, two] } => {
            format!("recovery-words {one} {two} {words}")
        }
        Answer::Admitting { device, code } => format!("admitting {device} {code}"),
        Answer::CertificateExpires { device, at } => {
            format!("note - {}", escaped(&expiry(device, *at)))
        }
        Answer::Note { notice, .. } => format!("note - {}", escaped(&notice.to_string())),
        Answer::Failed { reason, .. } | Answer::Stuck { reason, .. } => {
            format!("error {}", escaped(&reason.to_string()))
        }
    }
}

fn answer_text(answer: &Answer) -> String {
    match answer {
        Answer::Ready { device } => format!("* you are {device}; /help lists the commands"),
        Answer::Offline { reason } => format!("! {}", plain(&offline(reason))),
        Answer::Online => "* the service answers again".into(),
        Answer::Link { device, code } => format!(
            "? {} has an account already. To make {device} one of its devices, write on another one of \
             them, within ten minutes:\n    /link {code}\n  If all of them are lost, write here: /recover, and the words of \
             your recovery key",
            device.user
        ),
        Answer::RecoveryWords { words, places: [one, two] } => format!(
            "* Write these words down on paper, in order. They are not shown again:\n\n    {words}\n\n  Whoever \
             has them can add devices to your account and revoke yours, and so read what is said from \
             then on. To confirm, type words {one} and {two}: /recovery confirm WORD WORD"
        ),
        Answer::Admitting { device, code } => {
            format!("* admitting {device} ({code}) to your account; /revoke undoes it")
        }
        Answer::CertificateExpires { device, at } => format!("* {}", expiry(device, *at)),
        Answer::Note { notice, .. } => format!("* {}", plain(&notice.to_string())),
        Answer::Failed { reason, .. } | Answer::Stuck { reason, .. } => {
            format!("! {}", plain(&reason.to_string()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conclave_engine::{GroupView, Phase};

    #[test]
    fn nobody_elses_text_moves_the_terminal() {
        let text = "a\u{1b}[2J\u{202e}b\n\\";
        let sender: DeviceId = "bob/pc".parse().unwrap();
        let news = News::Message {
            seq: 1,
            time: 0,
            sender,
            own: false,
            moderates: false,
            expiration: None,
            content: Content::from_text(text),
        };
        let output = Shown::News { key: 0, group: "g".into(), news };
        assert!(!output.to_text().contains('\u{1b}') && !output.to_line().contains('\u{1b}'));
        assert!(!output.to_line().contains('\n') && !output.to_text().contains('\u{202e}'));
        // The service's words, too.
        let reason = Reason::ServiceRefuses { why: "\u{1b}]0;\nmessage g".into() };
        let group = GroupView {
            id: b"g".as_slice().into(),
            name: "g".into(),
            phase: Phase::Stuck { reason },
            epoch: None,
            members: 0,
            suite: None,
            to_do: 0,
        };
        let shown = Shown::Group { group, current: false };
        let line = shown.to_line();
        assert!(line.ends_with("stuck: \\u{1b}]0;\\nmessage g"), "{line}");
        assert!(!shown.to_text().contains(char::is_control));
    }

    #[test]
    fn nobody_elses_text_passes_for_another_message() {
        let sender: DeviceId = "bob/pc".parse().unwrap();
        let text = "shopping:\n- milk\ng | alice/pc: no".to_string();
        let news = News::Message {
            seq: 1,
            time: u64::MAX,
            sender,
            own: false,
            moderates: false,
            expiration: None,
            content: Content::from_text(text),
        };
        let output = Shown::News { key: 0, group: "g".into(), news };
        assert_eq!(output.to_text(), "g | bob/pc: shopping:\n  | - milk\n  | g | alice/pc: no");
    }

    #[test]
    fn a_message_has_its_time_where_that_is_not_now() {
        let sender: DeviceId = "bob/pc".parse().unwrap();
        let message = |time| News::Message {
            seq: 7,
            time,
            sender: sender.clone(),
            own: false,
            moderates: false,
            expiration: None,
            content: Content::from_text("hi"),
        };
        let shown = |time| {
            let news = message(time);
            Shown::News { key: 0, group: "g".into(), news }.to_text()
        };
        let now = super::super::time::now();
        assert_eq!(shown(now), "g | bob/pc: hi");
        let late = shown(1_700_000_000);
        assert!(late.starts_with("g | 2023-11-1") && late.ends_with(" bob/pc: hi"), "{late}");
        let history = Shown::History { group: "g".into(), news: message(now) };
        let line = history.to_line();
        assert!(line.starts_with("history message g 7 bob/pc 2"), "{line}");
        assert!(history.to_text().ends_with(" bob/pc: hi"));
    }

    #[test]
    fn a_line_names_kind_group_number_and_sender_first() {
        let sender: DeviceId = "bob/pc".parse().unwrap();
        let news = News::Message {
            seq: 7,
            time: 0,
            sender,
            own: false,
            moderates: false,
            expiration: None,
            content: Content::from_text("hi there"),
        };
        let output = Shown::News { key: 0, group: "lunch".into(), news };
        let line = output.to_line();
        assert_eq!(line, "message lunch 7 bob/pc 1970-01-01T00:00:00Z hi there");
    }

    #[test]
    fn what_is_no_text_is_shown_as_what_it_is() {
        let sender: DeviceId = "bob/pc".parse().unwrap();
        let content = Content::new("application/mimi-content", [1, 2, 3]).unwrap();
        let news = News::Message {
            seq: 7,
            time: u64::MAX,
            sender,
            own: false,
            moderates: false,
            expiration: None,
            content,
        };
        let output = Shown::News { key: 0, group: "g".into(), news };
        assert_eq!(output.to_line(), "content g 7 bob/pc - 3 application/mimi-content");
        let text = "g ! bob/pc sent 3 bytes of application/mimi-content, which this messenger does not show";
        assert_eq!(output.to_text(), text);
    }
}
