//! Commands about what was said.

use super::expiring::{ChosenExpiry, parse_chosen};
use super::text::split_word;

/// Something about what was said in the current group. Messages are known by their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChatCommand {
    /// Answer a message.
    Reply {
        /// Which.
        to: u64,
        /// By what.
        text: String,
    },
    /// React to a message.
    React {
        /// Which.
        to: u64,
        /// By which symbols.
        symbols: Vec<String>,
    },
    /// Take back all own reactions to a message.
    Unreact(u64),
    /// Give an own message another text.
    Edit {
        /// Which.
        of: u64,
        /// Which text.
        text: String,
    },
    /// Delete a message.
    Delete(u64),
    /// Say something that disappears.
    Expire {
        /// When.
        expiry: ChosenExpiry,
        /// What.
        text: String,
    },
    /// Show messages.
    Page {
        /// How many.
        limit: usize,
        /// Those before this number.
        before: u64,
    },
    /// Show messages that have these words.
    Search {
        /// The words.
        words: String,
        /// Those before this number; the last ones, if none is named.
        before: Option<u64>,
    },
    /// Show messages that mention this user.
    Mentions {
        /// Those before this number.
        before: u64,
    },
    /// Say how much is unread.
    Unread,
    /// All is read up to this number, or all there is.
    Read(Option<u64>),
    /// Whether others are told what was received and read.
    Receipts(bool),
    /// Write all that was said to a file.
    Export(String),
    /// Something about the text that is not sent yet.
    Draft(DraftCommand),
}

impl ChatCommand {
    /// Whether it says something in the group.
    pub(crate) fn says_something(&self) -> bool {
        matches!(
            self,
            Self::Reply { .. } | Self::React { .. } | Self::Edit { .. } | Self::Expire { .. }
        )
    }
}

/// Something about the text that the user is writing in the current group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DraftCommand {
    /// Show it.
    Show,
    /// Keep this one.
    Keep(String),
    /// Throw it away.
    Clear,
}

/// Reads a line; none if it is no such command. The error is how the command is written.
pub(super) fn parse_chat(line: &str) -> Option<Result<ChatCommand, &'static str>> {
    let (command, rest) = split_word(line);
    let words: Vec<&str> = rest.split_whitespace().collect();
    Some(match command {
        "/reply" => numbered(rest)
            .map(|(to, text)| ChatCommand::Reply { to, text })
            .ok_or("/reply N TEXT, N being the number of a message"),
        "/edit" => numbered(rest)
            .map(|(of, text)| ChatCommand::Edit { of, text })
            .ok_or("/edit N TEXT, N being the number of a message of yours"),
        "/react" => match words.split_first() {
            Some((to, symbols)) if !symbols.is_empty() => {
                let symbols = symbols.iter().map(ToString::to_string).collect();
                to.parse().map(|to| ChatCommand::React { to, symbols }).ok()
            }
            _ => None,
        }
        .ok_or("/react N SYMBOL..., N being the number of a message"),
        "/unreact" => one(&words).map(ChatCommand::Unreact).ok_or("/unreact N"),
        "/delete" => {
            one(&words).map(ChatCommand::Delete).ok_or("/delete N, N being the number of a message")
        }
        "/expire" => parse_chosen(rest)
            .filter(|(_, text)| !text.is_empty())
            .map(|(expiry, text)| ChatCommand::Expire { expiry, text: text.to_string() })
            .ok_or("/expire TIME TEXT or /expire read TIME TEXT, TIME as 30s, 30m, 12h, 7d or 4w, up to 52w"),
        // Without a place it is as old as the messenger.
        "/history" if words.contains(&"before") => {
            let usage = "/history [N] [before M], M being the number of a message";
            let page = |limit: &str, before: &str| {
                Some(ChatCommand::Page { limit: limit.parse().ok()?, before: before.parse().ok()? })
            };
            match words.as_slice() {
                ["before", before] => page("20", before),
                [limit, "before", before] => page(limit, before),
                _ => None,
            }
            .ok_or(usage)
        }
        "/search" => {
            let (words, before) = match words.as_slice() {
                [words @ .., "before", number] if number.parse::<u64>().is_ok() => {
                    (words.join(" "), number.parse().ok())
                }
                words => (words.join(" "), None),
            };
            if words.is_empty() {
                Err("/search WORDS [before N]")
            } else {
                Ok(ChatCommand::Search { words, before })
            }
        }
        "/mentions" => match words.as_slice() {
            [] => Some(u64::MAX),
            ["before", number] => number.parse().ok(),
            _ => None,
        }
        .map(|before| ChatCommand::Mentions { before })
        .ok_or("/mentions [before N]"),
        "/unread" if words.is_empty() => Ok(ChatCommand::Unread),
        "/read" if words.is_empty() => Ok(ChatCommand::Read(None)),
        "/read" => one(&words).map(|to| ChatCommand::Read(Some(to))).ok_or("/read [N]"),
        "/receipts" => match words.as_slice() {
            ["on"] => Ok(ChatCommand::Receipts(true)),
            ["off"] => Ok(ChatCommand::Receipts(false)),
            _ => Err("/receipts on, or /receipts off"),
        },
        // `/draft send` is `Command::SendDraft`.
        "/draft" if rest.trim_end() == "--" => Err("/draft -- TEXT"),
        "/draft" if rest.trim_end() != "send" => Ok(ChatCommand::Draft(match rest.trim_end() {
            "" => DraftCommand::Show,
            "clear" => DraftCommand::Clear,
            _ => DraftCommand::Keep(rest.strip_prefix("-- ").unwrap_or(rest).trim_start().into()),
        })),
        "/export" if rest.trim_end().is_empty() => Err("/export FILE"),
        "/export" => Ok(ChatCommand::Export(rest.trim_end().into())),
        _ => return None,
    })
}

fn one(words: &[&str]) -> Option<u64> {
    match words {
        [number] => number.parse().ok(),
        _ => None,
    }
}

/// A number and the text behind it.
fn numbered(rest: &str) -> Option<(u64, String)> {
    let (number, text) = rest.split_once(char::is_whitespace)?;
    let text = text.trim_start();
    Some((number.parse().ok()?, text.to_string())).filter(|(_, text)| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_name_messages_by_number_and_keep_the_text_as_it_is() {
        let parsed = |line: &str| parse_chat(line).and_then(Result::ok);
        let text = "two  spaces".to_string();
        assert_eq!(parsed("/reply 7 two  spaces"), Some(ChatCommand::Reply { to: 7, text }));
        let (expiry, text) = (ChosenExpiry::AfterReading(60), "two  words".to_string());
        let expiring = ChatCommand::Expire { expiry, text };
        assert_eq!(parsed("/expire read 1m two  words"), Some(expiring));
        let symbols = vec!["👍".into(), "❤".into()];
        assert_eq!(parsed("/react 7 👍 ❤"), Some(ChatCommand::React { to: 7, symbols }));
        assert_eq!(parsed("/history before 9"), Some(ChatCommand::Page { limit: 20, before: 9 }));
        assert_eq!(parsed("/history 5 before 9"), Some(ChatCommand::Page { limit: 5, before: 9 }));
        let words = "the day before".to_string();
        assert_eq!(
            parsed("/search the day before"),
            Some(ChatCommand::Search { words, before: None })
        );
        let words = "noon".to_string();
        assert_eq!(
            parsed("/search noon before 9"),
            Some(ChatCommand::Search { words, before: Some(9) })
        );
        let (all, some) = (parsed("/mentions"), parsed("/mentions before 9"));
        assert_eq!(all, Some(ChatCommand::Mentions { before: u64::MAX }));
        assert_eq!(some, Some(ChatCommand::Mentions { before: 9 }));
        assert_eq!(parsed("/read"), Some(ChatCommand::Read(None)));
        let draft = |line: &str| match parsed(line) {
            Some(ChatCommand::Draft(draft)) => draft,
            other => panic!("{other:?}"),
        };
        for word in ["send", "clear", "-- x"] {
            let kept = DraftCommand::Keep(word.to_string());
            assert_eq!(draft(&format!("/draft -- {word}")), kept);
        }
        assert_eq!(draft("/draft clear "), DraftCommand::Clear);
        assert_eq!(draft("/draft "), DraftCommand::Show);
        let text = "send  it on Monday".to_string();
        assert_eq!(draft("/draft send  it on Monday"), DraftCommand::Keep(text));
        for line in ["/draft send", "/history", "/history 7", "/readme", "/replying 7 x"] {
            assert_eq!(parse_chat(line), None, "{line}");
        }
        for line in [
            "/reply 7",
            "/reply x y",
            "/react 7",
            "/edit 7 ",
            "/delete",
            "/search",
            "/export ",
            "/draft -- ",
            "/expire 1h",
            "/expire soon x",
        ] {
            assert!(matches!(parse_chat(line), Some(Err(_))), "{line}");
        }
    }
}
