//! What was said, as lines.

use super::expiring::after_reading;
use super::files::size_text;
use super::profiles::quoted;
use super::text::{escaped, plain, plain_lines};
use super::time::{clock, timestamp};

/// What somebody said, with all that belongs to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Why it is shown, as the first word for scripts: empty for news, `history` or `found`.
    pub why: &'static str,
    /// The group's name.
    pub group: String,
    /// Its number.
    pub number: u64,
    /// When the service received it, in seconds since 1970.
    pub time: u64,
    /// The device that sent it.
    pub sender: String,
    /// The display name of its user, for people to see; empty for none.
    pub called: String,
    /// Whether that is this device.
    pub own: bool,
    /// Whether it mentions this user.
    pub mentions_me: bool,
    /// Whether it was edited.
    pub edited: bool,
    /// The text; none if there is none to show.
    pub text: Option<String>,
    /// What it replies to: the number and beginning of that message, if it is here.
    pub reply_to: Option<Option<(u64, String)>>,
    /// Who deleted it.
    pub deleted_by: Option<String>,
    /// How many bytes of which media type cannot be shown.
    pub unknown: Option<(usize, String)>,
    /// Attachments: the media type, the size, and a name for each.
    pub attachments: Vec<(String, Option<u64>, String)>,
    /// Symbols, and how many have reacted by each.
    pub reactions: Vec<(String, usize)>,
    /// How many have read it, if anybody says so.
    pub read_by: usize,
    /// When it disappears, in seconds since 1970, if it does.
    pub expires_at: Option<u64>,
    /// How many seconds after reading it disappears, if it is unread and that is what its sender chose.
    pub expires_after_reading: Option<u32>,
    /// Which device of the user's gave it, and whether people are shown a line about that: they are if the message before it
    /// was not given by that device.
    pub given_by: Option<(String, bool)>,
}

/// What happened to something that was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Did {
    /// It was deleted.
    Deleted {
        /// Which.
        number: u64,
        /// By which device.
        by: String,
    },
    /// Somebody reacted to it, or took that back.
    Reacted {
        /// Which.
        number: u64,
        /// Which device.
        by: String,
        /// By which symbols.
        symbols: Vec<String>,
        /// Whether it was taken back.
        taken_back: bool,
    },
    /// Somebody has received or read it.
    Receipt {
        /// Which, ascending.
        numbers: Vec<u64>,
        /// Which device says so.
        by: String,
        /// Whether it was read.
        read: bool,
    },
    /// Another device of this user's has read so far.
    Read {
        /// Up to which number.
        up_to: u64,
    },
    /// It has expired.
    Expired {
        /// Which.
        number: u64,
    },
    /// How much is unread.
    Unread {
        /// How many messages.
        count: u64,
        /// How many of them mention this user.
        mentions: u64,
    },
    /// Another device of this user's asks for what was said.
    HistoryAsked {
        /// Which.
        by: String,
        /// What the user calls it.
        device: String,
    },
    /// Another device of this user's gives that.
    HistoryComes {
        /// Which.
        by: String,
    },
    /// What was said is sealed for another device.
    HistoryGiven {
        /// Which.
        to: String,
        /// Of how many groups.
        rooms: u64,
        /// How many messages.
        messages: u64,
        /// How many bytes.
        size: u64,
    },
    /// What another device has given is here.
    HistoryTaken {
        /// Which.
        by: String,
        /// In how many groups there was something new.
        rooms: u64,
        /// How many messages were missing.
        messages: u64,
        /// How many were left out: they are not the messages that they claim to be.
        left_out: u64,
    },
    /// The user has written something and not sent it.
    Draft {
        /// The text.
        text: String,
    },
    /// There are more messages than were shown.
    More {
        /// Those before this number.
        before: u64,
    },
}

/// How many columns a line has before its text at most if a display name stands there: that leaves room for the text in 80.
const MAX_HEAD: usize = 56;

/// How many columns a text takes at most: characters beyond ASCII may be wide.
fn columns(text: &str) -> usize {
    text.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum()
}

/// The further lines of a message begin under its first one.
fn margin(group: &str) -> String {
    format!("{:width$} | ", "", width = group.chars().count())
}

impl Said {
    /// For scripts: a line, and one more for each thing that belongs to the message.
    pub(super) fn to_line(&self) -> String {
        let Self { group, number, sender, .. } = self;
        let why = if self.why.is_empty() { String::new() } else { format!("{} ", self.why) };
        let time = timestamp(self.time);
        let mut lines = vec![match (&self.text, &self.deleted_by, &self.unknown) {
            (_, Some(by), _) => format!("{why}deleted {group} {number} {by}"),
            (_, None, Some((size, media_type))) => {
                let media_type = escaped(media_type);
                format!("{why}content {group} {number} {sender} {time} {size} {media_type}")
            }
            (text, None, None) => {
                // What changes a message that was shown is no new one.
                let kind = if self.edited && self.why.is_empty() { "edited" } else { "message" };
                let text = escaped(text.as_deref().unwrap_or_default());
                format!("{why}{kind} {group} {number} {sender} {time} {text}")
            }
        }];
        if let Some(to) = &self.reply_to {
            let to = to.as_ref().map_or("-".into(), |(number, _)| number.to_string());
            lines.push(format!("{why}reply {group} {number} to {to}"));
        }
        for (media_type, size, name) in &self.attachments {
            let size = size.map_or("-".into(), |size| size.to_string());
            let (media_type, name) = (escaped(media_type), escaped(name));
            lines.push(format!("{why}attachment {group} {number} {size} {media_type} {name}"));
        }
        if let Some((by, _)) = &self.given_by {
            lines.push(format!("{why}given {group} {number} by {by}"));
        }
        if let Some(at) = self.expires_at {
            let reading = self.expires_after_reading.map(|seconds| format!(" read {seconds}"));
            let reading = reading.unwrap_or_default();
            lines.push(format!("{why}expires {group} {number} {}{reading}", timestamp(at)));
        }
        if self.mentions_me && self.why.is_empty() {
            lines.push(format!("mention {group} {number}"));
        }
        for (symbol, count) in &self.reactions {
            lines.push(format!("{why}reactions {group} {number} {count} {}", escaped(symbol)));
        }
        lines.join("\n")
    }

    /// For people.
    pub(super) fn to_text(&self) -> String {
        let Self { group, number, sender, .. } = self;
        let (own, time) = (if self.own { " (you)" } else { "" }, clock(self.time));
        let margin = margin(group);
        let mut head = format!("{group} | {number} {time} {sender}{own}");
        let called = if self.called.is_empty() { String::new() } else { quoted(&self.called) };
        if !called.is_empty() && columns(&head) + columns(&called) < MAX_HEAD {
            head = format!("{head} {called}");
        }
        let mut lines = Vec::new();
        if let Some((by, true)) = &self.given_by {
            lines.push(format!("{group} * what follows was given by {by}"));
        }
        let what = match (&self.text, &self.deleted_by, &self.unknown) {
            (_, Some(by), _) => format!("{head}: (deleted by {})", plain(by)),
            (_, None, Some((size, media_type))) => {
                let media_type = plain(media_type);
                format!(
                    "{head} sent {size} bytes of {media_type}, which this messenger does not show"
                )
            }
            (text, None, None) => {
                let edited = if self.edited { " (edited)" } else { "" };
                let text = text.as_deref().unwrap_or_default();
                let to = match &self.reply_to {
                    Some(Some((to, _))) => format!(" to {to}"),
                    Some(None) => " to a message that is not here".into(),
                    None => String::new(),
                };
                format!("{head}{to}{edited}: {}", plain_lines(text, &margin))
            }
        };
        lines.push(what.trim_end().to_string());
        if let Some(Some((_, excerpt))) = &self.reply_to
            && !excerpt.is_empty()
            && self.deleted_by.is_none()
        {
            lines.push(format!("{margin}(they said: {})", plain(excerpt)));
        }
        for (media_type, size, name) in &self.attachments {
            let size = size.map(|size| format!(", {size} bytes")).unwrap_or_default();
            lines.push(format!("{margin}attached: {} ({}{size})", plain(name), plain(media_type)));
        }
        if !self.reactions.is_empty() {
            let each = |(symbol, count): &(String, usize)| format!("{} {count}", plain(symbol));
            let all: Vec<String> = self.reactions.iter().map(each).collect();
            lines.push(format!("{margin}reactions: {}", all.join(", ")));
        }
        if let Some(at) = self.expires_at {
            let when = self.expires_after_reading.map_or_else(|| clock(at), after_reading);
            lines.push(format!("{margin}disappears {when}"));
        }
        if self.read_by > 0 {
            lines.push(format!("{margin}read by {}", self.read_by));
        }
        lines.join("\n")
    }
}

fn list(numbers: &[u64]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

impl Did {
    pub(super) fn to_line(&self, group: &str) -> String {
        match self {
            Self::Deleted { number, by } => format!("deleted {group} {number} {by}"),
            Self::Reacted { number, by, symbols, taken_back } => {
                let kind = if *taken_back { "unreaction" } else { "reaction" };
                format!("{kind} {group} {number} {by} {}", escaped(&symbols.join(" ")))
            }
            Self::Receipt { numbers, by, read } => {
                let what = if *read { "read" } else { "delivered" };
                format!("receipt {group} {by} {what} {}", list(numbers))
            }
            Self::Read { up_to } => format!("read {group} {up_to}"),
            Self::Expired { number } => format!("expired {group} {number}"),
            Self::Unread { count, mentions } => format!("unread {group} {count} {mentions}"),
            Self::HistoryAsked { by, .. } => format!("history-asked {group} {by}"),
            Self::HistoryComes { by } => format!("history-comes {group} {by}"),
            Self::HistoryGiven { to, rooms, messages, size } => {
                format!("history-given {group} {to} {messages} {rooms} {size}")
            }
            Self::HistoryTaken { by, rooms, messages, left_out } => {
                format!("history-taken {group} {by} {messages} {rooms} {left_out}")
            }
            Self::Draft { text } => format!("draft {group} {}", escaped(text)),
            Self::More { before } => format!("more {group} before {before}"),
        }
    }

    pub(super) fn to_text(&self, group: &str) -> String {
        match self {
            Self::Deleted { number, by } => format!("{group} * {by} deleted message {number}"),
            Self::Reacted { number, by, symbols, taken_back } => {
                let what = if *taken_back { "took back" } else { "reacted to" };
                format!("{group} * {by} {what} {number}: {}", plain(&symbols.join(" ")))
            }
            Self::Receipt { numbers, by, read } => {
                let what = if *read { "has read" } else { "has received" };
                format!("{group} * {by} {what} {}", list(numbers))
            }
            Self::Read { up_to } => {
                format!("{group} * another device of yours has read up to {up_to}")
            }
            Self::Expired { number } => format!("{group} * message {number} has expired"),
            Self::Unread { count, mentions: 0 } => format!("  {group}: {count} unread"),
            Self::Unread { count, mentions } => {
                format!("  {group}: {count} unread, {mentions} mention you")
            }
            Self::HistoryAsked { by, device } => format!(
                "{group} * {by} asks for what was said before it came in: if that is your device, /history give {device}"
            ),
            Self::HistoryComes { by } => {
                format!("{group} * {by} gives what was said before this device came in")
            }
            Self::HistoryGiven { to, rooms, messages, size } => {
                let size = size_text(*size);
                format!("* {messages} messages of {rooms} groups are sealed for {to} ({size})")
            }
            Self::HistoryTaken { by, rooms, messages, left_out } => {
                let left_out = match left_out {
                    0 => String::new(),
                    n => format!(
                        "; {n} were left out: they are not the messages that they claim to be"
                    ),
                };
                format!("* {by} has given {messages} messages of {rooms} groups{left_out}")
            }
            Self::Draft { text } => {
                format!("{group} * not sent yet (/draft send sends it): {}", plain(text))
            }
            Self::More { before } => {
                format!("{group} * there is more: the same with 'before {before}'")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Said {
        Said {
            group: "g".into(),
            number: 7,
            sender: "bob/pc".into(),
            text: Some(text.into()),
            ..Said::default()
        }
    }

    #[test]
    fn a_message_that_is_nothing_else_has_the_line_that_it_always_had() {
        assert_eq!(said("hi there").to_line(), "message g 7 bob/pc 1970-01-01T00:00:00Z hi there");
        let old = Said { why: "history", ..said("hi\n") };
        assert_eq!(old.to_line(), "history message g 7 bob/pc 1970-01-01T00:00:00Z hi\\n");
    }

    #[test]
    fn what_belongs_to_a_message_stands_on_lines_of_its_own() {
        let reply_to = Some(Some((3, "why?".into())));
        let attachments = vec![("image/png".into(), Some(5), "a b.png".into())];
        let message = Said { reply_to, mentions_me: true, attachments, ..said("so") };
        let lines = message.to_line();
        let lines: Vec<&str> = lines.lines().skip(1).collect();
        assert_eq!(lines, ["reply g 7 to 3", "attachment g 7 5 image/png a b.png", "mention g 7"]);
        assert_eq!(
            Said { reply_to: Some(None), ..said("so") }.to_line().lines().last(),
            Some("reply g 7 to -")
        );
        let text = message.to_text();
        let mut lines = text.lines();
        assert!(lines.next().is_some_and(|line| line.ends_with(" bob/pc to 3: so")), "{text}");
        assert_eq!(lines.next(), Some("  | (they said: why?)"));
    }

    #[test]
    fn a_display_name_stands_behind_its_user_and_only_where_there_is_room() {
        let called = |name: &str| Said { called: name.into(), ..said("hi") };
        let first = |name: &str| called(name).to_text();
        assert!(first("Bob K.").ends_with(" bob/pc “Bob K.”: hi"), "{}", first("Bob K."));
        let without = first("");
        assert!(without.ends_with(" bob/pc: hi"), "{without}");
        assert_eq!(first(&"x".repeat(64)), without);
        assert_eq!(first(&"寿".repeat(20)), without);
        // Scripts see what they always saw.
        assert_eq!(called("Bob K.").to_line(), said("hi").to_line());
    }

    #[test]
    fn nobody_passes_for_another_line_in_a_history() {
        let text = "x\u{1b}[2J\nmessage g 8 alice/pc: no\u{202e}";
        let message = Said {
            reactions: vec![("👍\nmessage".into(), 1)],
            attachments: vec![("a\nb".into(), None, "c\nd".into())],
            ..said(text)
        };
        let line = message.to_line();
        assert!(
            line.lines().all(|l| l.starts_with("message g 7 ") || l.contains(" g 7 ")),
            "{line}"
        );
        assert_eq!(line.lines().count(), 3);
        let text = message.to_text();
        assert!(text.lines().skip(1).all(|line| line.starts_with("  | ")), "{text}");
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'));
    }
}
