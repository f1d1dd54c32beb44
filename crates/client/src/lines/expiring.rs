//! How long a message stays, by its sender's choice.

use super::text::split_word;
use super::time::{duration, parse_duration};

/// The longest time after which messages expire, in seconds: nothing expires later.
pub(super) const YEAR: u32 = 366 * 24 * 3600;

/// When a message is to disappear, as its sender chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChosenExpiry {
    /// So many seconds after it is sent.
    AfterSending(u32),
    /// So many seconds after somebody has read it: each of its readers for themselves.
    AfterReading(u32),
}

/// A time after which messages expire, in seconds; none if the word is no time, or one of more than a year.
pub(super) fn parse_expiry_time(word: &str) -> Option<u32> {
    let seconds = u32::try_from(parse_duration(word)?).ok()?;
    (seconds <= YEAR).then_some(seconds)
}

/// Reads `TIME`, or `read TIME`, and returns what is behind it.
pub(super) fn parse_chosen(text: &str) -> Option<(ChosenExpiry, &str)> {
    let (word, rest) = split_word(text);
    if word != "read" {
        return Some((ChosenExpiry::AfterSending(parse_expiry_time(word)?), rest));
    }
    let (word, rest) = split_word(rest);
    Some((ChosenExpiry::AfterReading(parse_expiry_time(word)?), rest))
}

/// How long a message stays after somebody has read it, for people.
pub(super) fn after_reading(seconds: u32) -> String {
    format!("{} after you have read it", duration(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_a_time_after_sending_or_after_reading() {
        let hour = ChosenExpiry::AfterSending(3600);
        assert_eq!(parse_chosen("1h two  words"), Some((hour, "two  words")));
        assert_eq!(parse_chosen("60m"), Some((hour, "")));
        let read = ChosenExpiry::AfterReading(30);
        assert_eq!(parse_chosen("read  30s  read 1h"), Some((read, "read 1h")));
        for wrong in ["", "read", "soon", "read soon", "0s", "53w", "1h30m text", "-1h"] {
            assert_eq!(parse_chosen(wrong), None, "{wrong}");
        }
    }
}
