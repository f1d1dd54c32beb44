//! Files that are sent and saved: the commands, and what a user is told.

use super::expiring::{ChosenExpiry, parse_chosen};
use super::text::{escaped, plain, split_word};

/// Something about files in the current group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileCommand {
    /// Send a file.
    Send {
        /// Where it is.
        path: String,
        /// What is said with it; may be empty.
        text: String,
        /// When the message disappears, if its sender chooses that.
        expiry: Option<ChosenExpiry>,
    },
    /// Save the files that came with a message.
    Save {
        /// The message's number.
        number: u64,
        /// Where to; the current folder, if none.
        path: Option<String>,
    },
    /// Stop a transfer; the only one, if none is named.
    Cancel(Option<u64>),
}

/// Reads a line; none if it is another command. The error is the command's usage.
pub(super) fn parse_files(line: &str) -> Option<Result<FileCommand, &'static str>> {
    let (command, rest) = split_word(line);
    let rest = rest.trim_end();
    Some(match command {
        "/send" => parse_send(rest).ok_or(
            "/send [--expires TIME] FILE [TEXT], with quotes around a name that has spaces; TIME as 12h, or read 12h",
        ),
        "/save" => parse_save(rest).ok_or(
            "/save N [PATH], N being the number of a message, with quotes around a name that has spaces",
        ),
        "/cancel" if rest.is_empty() => Ok(FileCommand::Cancel(None)),
        "/cancel" => {
            let id = rest.parse().map(|id| FileCommand::Cancel(Some(id)));
            id.map_err(|_| "/cancel [N], N being the number of a file that is under way")
        }
        _ => return None,
    })
}

/// Reads what is behind `/send`.
fn parse_send(rest: &str) -> Option<FileCommand> {
    let (expiry, rest) = match split_word(rest) {
        ("--expires", rest) => {
            let (expiry, rest) = parse_chosen(rest)?;
            (Some(expiry), rest)
        }
        _ => (None, rest),
    };
    let (path, text) = first_word(rest)?;
    Some(FileCommand::Send { path, text: text.into(), expiry })
}

/// Reads what is behind `/save`: a number, perhaps a path, and nothing else.
fn parse_save(rest: &str) -> Option<FileCommand> {
    let (number, rest) = split_word(rest);
    let number = number.parse().ok()?;
    match rest.trim() {
        "" => Some(FileCommand::Save { number, path: None }),
        rest => match first_word(rest)? {
            (path, "") => Some(FileCommand::Save { number, path: Some(path) }),
            _ => None,
        },
    }
}

/// A word, perhaps in quotes, and what is behind it. None if there is none, or its quotes are not closed.
pub(super) fn first_word(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''));
    let (word, rest) = match quote {
        Some(quote) => text.get(1..)?.split_once(quote)?,
        None => text.split_once(char::is_whitespace).unwrap_or((text, "")),
    };
    // What follows a closing quote without a space is a mistake.
    let is_apart = rest.is_empty() || quote.is_none() || rest.starts_with(char::is_whitespace);
    (!word.is_empty() && is_apart).then(|| (word.to_string(), rest.trim_start()))
}

/// What a user is told of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileShown {
    /// It is under way.
    Moved {
        /// The transfer's number.
        id: u64,
        /// Whether it is sent; otherwise it is saved.
        sends: bool,
        /// What it is called.
        name: String,
        /// How much is there, in percent.
        percent: u8,
        /// How many bytes it has.
        size: u64,
        /// Whether that is worth a line.
        is_step: bool,
    },
    /// It is saved.
    Saved {
        /// The number of its message.
        number: u64,
        /// How many bytes it has.
        size: u64,
        /// Where it is.
        path: String,
    },
}

/// A size for people.
pub(super) fn size_text(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} bytes");
    }
    let (mut value, mut unit) = (bytes as f64 / 1024.0, "KiB");
    for larger in ["MiB", "GiB", "TiB"] {
        // What is rounded to 1024.0 is 1.0 of the next unit.
        if value < 1023.95 {
            break;
        }
        (value, unit) = (value / 1024.0, larger);
    }
    format!("{value:.1} {unit}")
}

/// How many columns the bar itself takes of a bar's line.
const BAR: usize = 20;

impl FileShown {
    /// For scripts.
    pub(super) fn to_line(&self, group: &str) -> String {
        match self {
            Self::Moved { id, sends, name, percent, .. } => {
                let what = if *sends { "upload" } else { "download" };
                format!("{what} {group} {id} {percent} {}", escaped(name))
            }
            Self::Saved { number, size, path } => {
                format!("saved {group} {number} {size} {}", escaped(path))
            }
        }
    }

    /// For people.
    pub(super) fn to_text(&self, group: &str) -> String {
        match self {
            Self::Moved { id, sends, name, percent: 0, size, .. } => {
                let what = if *sends { "sending" } else { "fetching" };
                format!(
                    "{group} * {what} {} ({}); /cancel {id} stops it",
                    plain(name),
                    size_text(*size)
                )
            }
            Self::Moved { sends, name, percent, size, .. } => {
                let what = if *sends { "sent" } else { "fetched" };
                format!("{group} * {percent} % of {} {what}: {}", size_text(*size), plain(name))
            }
            Self::Saved { size, path, .. } => {
                format!("{group} * saved: {} ({})", plain(path), size_text(*size))
            }
        }
    }

    /// For people at a terminal that redraws a line: no wider than so many columns. None if this is not about a
    /// transfer's progress.
    #[must_use]
    pub fn to_bar(&self, columns: usize) -> Option<String> {
        let Self::Moved { sends, name, percent, size, .. } = self else { return None };
        let full = usize::from(*percent) * BAR / 100;
        let what = if *sends { "sent" } else { "fetched" };
        let bar = "#".repeat(full) + &"-".repeat(BAR.saturating_sub(full));
        let line =
            format!("[{bar}] {percent:>3} % of {} {what}: {}", size_text(*size), plain(name));
        // Characters of names may be two columns wide.
        let mut used = 0;
        let fits = |c: &char| {
            used += if c.is_ascii() { 1 } else { 2 };
            used <= columns
        };
        Some(line.chars().take_while(fits).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_spaces_stand_in_quotes() {
        let parsed = |line: &str| parse_files(line).and_then(Result::ok);
        let expiring = |path: &str, text: &str, expiry| {
            Some(FileCommand::Send { path: path.into(), text: text.into(), expiry })
        };
        let send = |path: &str, text: &str| expiring(path, text, None);
        assert_eq!(parsed("/send a.png"), send("a.png", ""));
        assert_eq!(parsed("/send a.png look  here "), send("a.png", "look  here"));
        assert_eq!(parsed("/send \"a b.png\" 'look'"), send("a b.png", "'look'"));
        assert_eq!(parsed("/send 'a \"b\"'"), send("a \"b\"", ""));
        let (hour, read) = (ChosenExpiry::AfterSending(3600), ChosenExpiry::AfterReading(60));
        assert_eq!(parsed("/send --expires 1h a.png"), expiring("a.png", "", Some(hour)));
        let look = expiring("a b", "look", Some(read));
        assert_eq!(parsed("/send --expires read 1m 'a b' look"), look);
        let save = |number, path: Option<&str>| {
            Some(FileCommand::Save { number, path: path.map(str::to_string) })
        };
        assert_eq!(parsed("/save 7"), save(7, None));
        assert_eq!(parsed("/save 7  \"a b\""), save(7, Some("a b")));
        assert_eq!(parsed("/cancel"), Some(FileCommand::Cancel(None)));
        assert_eq!(parsed("/cancel 2"), Some(FileCommand::Cancel(Some(2))));
        for line in [
            "/send",
            "/send ",
            "/send \"a",
            "/send \"\"",
            "/send \"a\"b",
            "/send --expires soon a",
            "/send --expires 1h",
            "/send --expires",
            "/send --expires\tsoon a",
            "/save",
            "/save x",
            "/save 7 a b",
            "/cancel x",
            "/save 7 'a",
        ] {
            assert!(matches!(parse_files(line), Some(Err(_))), "{line}");
        }
        assert_eq!(parse_files("/sending a"), None);
    }

    #[test]
    fn a_bar_keeps_to_the_width_of_its_terminal() {
        let moved = |name: &str, percent| FileShown::Moved {
            id: 1,
            sends: true,
            name: name.into(),
            percent,
            size: 3 << 20,
            is_step: true,
        };
        assert_eq!(
            moved("a.png", 55).to_bar(80).unwrap(),
            "[###########---------]  55 % of 3.0 MiB sent: a.png"
        );
        for percent in [0, 1, 99, 100] {
            for name in ["x".repeat(300), "写".repeat(300), "\u{1b}[2J\n".into()] {
                let bar = moved(&name, percent).to_bar(79).unwrap();
                let wide = |c: char| if c.is_ascii() { 1 } else { 2 };
                assert!(bar.chars().map(wide).sum::<usize>() <= 79, "{bar}");
                assert!(!bar.contains(char::is_control), "{bar}");
            }
        }
    }

    #[test]
    fn a_size_has_one_decimal() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1_048_575, "1.0 MiB"),
            (1_610_612_736, "1.5 GiB"),
        ] {
            assert_eq!(size_text(bytes), text);
        }
    }
}
