//! What a user is told, as lines.

use crate::command::HELP;
use crate::record::News;
use crate::suites::{is_post_quantum, suite_text, suite_words};
use conclave_delivery::api::DeviceId;
use conclave_mls::CipherSuite;

/// Something to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Something that happened. It is stored until [`Engine::shown`](crate::Engine::shown) says
    /// that it was printed.
    News {
        /// What to call it then.
        key: u64,
        /// The group's name; empty for news of no group.
        group: String,
        /// What happened.
        news: News,
    },
    /// An answer to a command, or the state of the connection. Not stored.
    Answer(Answer),
}

/// An answer to a command, or the state of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The device is registered at the service, and its key packages are there, of all suites that
    /// the service takes: it can be invited.
    Ready {
        /// Which device.
        device: DeviceId,
    },
    /// The service does not answer. What is to be sent is kept.
    Offline {
        /// What happened, and what will.
        reason: String,
    },
    /// The service answers again.
    Online,
    /// A command could not be carried out.
    Error(String),
    /// The commands.
    Help,
    /// A group.
    Group {
        /// Its name.
        name: String,
        /// Whether commands are about it.
        current: bool,
        /// Its epoch, if this device is in it.
        epoch: Option<u64>,
        /// How many devices are in it.
        members: usize,
        /// Its suite, if this device is in it.
        suite: Option<CipherSuite>,
        /// What else there is to say: `removed`, `left`, `leaving`, `3 to send`.
        state: String,
    },
    /// The code of the current group's epoch, equal for all members.
    Epoch {
        /// The group.
        group: String,
        /// The epoch.
        epoch: u64,
        /// The code.
        code: String,
        /// The group's suite.
        suite: CipherSuite,
    },
    /// A member of the current group.
    Member {
        /// The group.
        group: String,
        /// Who.
        device: DeviceId,
        /// Whether that is this device.
        own: bool,
        /// The code of its name and key.
        code: String,
    },
    /// A code to compare.
    Pair {
        /// This device.
        me: DeviceId,
        /// The other one.
        other: DeviceId,
        /// The code.
        code: String,
    },
    /// An old message.
    History {
        /// The group.
        group: String,
        /// The message.
        news: News,
    },
}

/// Text on one line that a terminal takes for nothing but text: what would move a cursor, end a
/// line or turn the direction of writing is written as an escape, `\` as `\\`.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if is_harmful(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// Whether a character moves or turns what stands around it.
pub(crate) fn is_harmful(c: char) -> bool {
    let direction =
        matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
    let line = matches!(c, '\u{2028}' | '\u{2029}');
    c.is_control() || direction || line
}

/// Text for people: harmful characters are replaced, all else is as it was written.
fn plain(text: &str) -> String {
    text.chars().map(|c| if is_harmful(c) { '\u{fffd}' } else { c }).collect()
}

impl Output {
    /// As one line for scripts, without its end: words that are separated by spaces, the first of
    /// them the kind. Free text comes last, and [escaped].
    ///
    /// A group's suite is two words, `post-quantum` or `pre-quantum` and the suite's name, or `- -`:
    /// the last two of `created`, `joined` and `epoch`, those after the number of members of
    /// `group`.
    #[must_use]
    pub fn to_line(&self) -> String {
        match self {
            Self::News { group, news, .. } => news_line(group, news),
            Self::Answer(answer) => answer.to_line(),
        }
    }

    /// For people: one or more lines.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::News { group, news, .. } => news_text(group, news),
            Self::Answer(answer) => answer.to_text(),
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
    let group = if group.is_empty() { "-" } else { group };
    match news {
        News::Message { seq, sender, text, .. } => {
            format!("message {group} {seq} {sender} {}", escaped(text))
        }
        News::Created { suite } => format!("created {group} {}", suite_words(*suite)),
        News::Joined { seq, by, suite } => {
            format!("joined {group} {seq} by {by} {}", suite_words(*suite))
        }
        News::Added { seq, who, by, code } => {
            format!("added {group} {seq} {who} by {by} {code}").trim_end().to_string()
        }
        News::Namesake { seq, who, by, code } => {
            let by = by.as_ref().map_or("-".to_string(), DeviceId::to_string);
            format!("warning {group} {seq} {who} by {by} {code}")
        }
        News::Invited { seq, by, code } => format!("invited {group} {seq} by {by} {code}"),
        News::Removed { seq, who, by } => format!("removed {group} {seq} {who} by {by}"),
        News::Leaving { seq, who } => format!("leaving {group} {seq} {who}"),
        News::Out { seq, by, left: false } => format!("out {group} {seq} by {by}"),
        News::Out { seq, by, left: true } => format!("left {group} {seq} by {by}"),
        News::Unreadable { seq, sender, reason } => {
            format!("unreadable {group} {seq} {sender} {}", escaped(reason))
        }
        News::Failed { what } => format!("failed {group} {}", escaped(what)),
        News::Note { what } => format!("note {group} {}", escaped(what)),
    }
}

fn news_text(group: &str, news: &News) -> String {
    match news {
        News::Message { sender, text, own: true, .. } => {
            format!("{group} | {sender} (you): {}", plain(text))
        }
        News::Message { sender, text, .. } => format!("{group} | {sender}: {}", plain(text)),
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
        News::Namesake { who, by, code, .. } => {
            let by = by.as_ref().map_or("is here".into(), |by| format!("was added by {by}"));
            format!(
                "{group} ! WARNING: in your name, {who} ({code}) {by}. If it is not yours: /remove \
                 {who}"
            )
        }
        News::Invited { by, code, .. } => format!(
            "{group} ? {by} ({code}) is new to you: /accept to talk here, /decline to leave, or \
             /block {}",
            by.user
        ),
        News::Removed { who, by, .. } => format!("{group} * {who} is out (committed by {by})"),
        News::Leaving { who, .. } => format!("{group} * {who} wants to leave"),
        News::Out { by, left: false, .. } => format!("{group} * {by} removed you"),
        News::Out { left: true, .. } => format!("{group} * you have left"),
        News::Unreadable { seq, sender, reason } => {
            format!("{group} ! message {seq} from {sender} cannot be read: {}", plain(reason))
        }
        News::Failed { what } if group.is_empty() => format!("! {}", plain(what)),
        News::Failed { what } => format!("{group} ! {}", plain(what)),
        News::Note { what } if group.is_empty() => format!("* {}", plain(what)),
        News::Note { what } => format!("{group} * {}", plain(what)),
    }
}

impl Answer {
    fn to_line(&self) -> String {
        match self {
            Self::Ready { device } => format!("ready {device}"),
            Self::Offline { reason } => format!("offline {}", escaped(reason)),
            Self::Online => "online".into(),
            Self::Error(what) => format!("error {}", escaped(what)),
            Self::Help => {
                let commands: Vec<&str> = HELP.iter().map(|(command, _)| *command).collect();
                format!("help {}", commands.join("; "))
            }
            Self::Group { name, current, epoch, members, suite, state } => {
                let epoch = epoch.map_or("-".to_string(), |epoch| epoch.to_string());
                let current = if *current { " current" } else { "" };
                let state = if state.is_empty() { String::new() } else { format!(" {state}") };
                let suite = suite_words(*suite);
                format!("group {name} epoch {epoch} members {members} {suite}{current}{state}")
            }
            Self::Epoch { group, epoch, code, suite } => {
                format!("epoch {group} {epoch} {code} {}", suite_words(Some(*suite)))
            }
            Self::Member { group, device, own, code } => {
                let own = if *own { " (you)" } else { "" };
                format!("member {group} {device} {code}{own}")
            }
            Self::Pair { me, other, code } => format!("verify {me} {other} {code}"),
            Self::History { group, news } => format!("history {}", news_line(group, news)),
        }
    }

    fn to_text(&self) -> String {
        match self {
            Self::Ready { device } => format!("* you are {device}; /help lists the commands"),
            Self::Offline { reason } => format!("! {}", plain(reason)),
            Self::Online => "* the service answers again".into(),
            Self::Error(what) => format!("! {}", plain(what)),
            Self::Help => {
                let line = |(command, what): &(&str, &str)| format!("  {command:<18} {what}");
                HELP.iter().map(line).collect::<Vec<_>>().join("\n")
            }
            Self::Group { name, current, epoch, members, suite, state } => {
                let mark = if *current { '>' } else { ' ' };
                let state = if state.is_empty() { String::new() } else { format!(", {state}") };
                let suite = suite.map(|suite| format!(", {}", suite_text(suite)));
                let suite = suite.unwrap_or_default();
                match epoch {
                    Some(epoch) => {
                        format!("{mark} {name}: {members} devices, epoch {epoch}{suite}{state}")
                    }
                    None => format!("{mark} {name}{state}"),
                }
            }
            Self::Epoch { group, epoch, code, suite } => {
                let suite = suite_text(*suite);
                format!("  {group}, epoch {epoch}, {suite}. All members see this code: {code}")
            }
            Self::Member { device, own, code, .. } => {
                let own = if *own { " (you)" } else { "" };
                format!("  {:<28} {code}", format!("{device}{own}"))
            }
            Self::Pair { me, other, code } => {
                let (first, second) = code.split_at_checked(35).unwrap_or((code, ""));
                format!(
                    "  {me} and {other} both see, if nobody stands between them:\n    \
                     {first}\n   {second}"
                )
            }
            Self::History { group, news } => news_text(group, news),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_elses_text_moves_the_terminal() {
        let text = "a\u{1b}[2J\u{202e}b\n\\";
        assert_eq!(escaped(text), "a\\u{1b}[2J\\u{202e}b\\n\\\\");
        let sender: DeviceId = "bob/pc".parse().unwrap();
        let news = News::Message { seq: 1, time: 0, sender, own: false, text: text.into() };
        let output = Output::News { key: 0, group: "g".into(), news };
        assert!(!output.to_text().contains('\u{1b}') && !output.to_line().contains('\u{1b}'));
        assert!(!output.to_line().contains('\n') && !output.to_text().contains('\u{202e}'));
    }

    #[test]
    fn a_line_names_kind_group_number_and_sender_first() {
        let sender: DeviceId = "bob/pc".parse().unwrap();
        let news = News::Message { seq: 7, time: 0, sender, own: false, text: "hi there".into() };
        let output = Output::News { key: 0, group: "lunch".into(), news };
        assert_eq!(output.to_line(), "message lunch 7 bob/pc hi there");
    }
}
