//! Other people's text, made safe to show; the escapes that scripts use; the words of a line.

use conclave_engine::{is_harmful, is_line_end};

/// Text on one line that a terminal takes for nothing but text. Characters that would end a line,
/// move the cursor or change the writing direction become escapes, and `\` becomes `\\`.
///
/// [`unescaped`] is the inverse.
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

/// The text that [`escaped`] wrote like this: reads `\n`, `\t`, `\\` and `\u{HEX}`.
///
/// Returns nothing if a `\` begins anything else.
#[must_use]
pub fn unescaped(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;

    while let Some((before, escape)) = rest.split_once('\\') {
        out.push_str(before);
        let mut chars = escape.chars();
        match chars.next()? {
            '\\' => out.push('\\'),
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'u' => {
                let (hex, after) = chars.as_str().strip_prefix('{')?.split_once('}')?;
                // `from_str_radix` takes a sign, too.
                if hex.starts_with('+') {
                    return None;
                }
                out.push(char::from_u32(u32::from_str_radix(hex, 16).ok()?)?);
                rest = after;
                continue;
            }
            _ => return None,
        }
        rest = chars.as_str();
    }

    out.push_str(rest);
    Some(out)
}

/// Text for people, on one line: harmful characters are replaced, line ends are shown as `⏎`.
#[must_use]
pub fn plain(text: &str) -> String {
    let shown = |c| match c {
        '\t' => ' ',
        c if is_line_end(c) => '⏎',
        c if is_harmful(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    text.replace("\r\n", "\n").chars().map(shown).collect()
}

/// Text for people, on as many lines as it has. Each line but the first begins with `margin`, so
/// that no text can pass for another message.
pub(crate) fn plain_lines(text: &str, margin: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let lines: Vec<String> = text.trim_end().split(is_line_end).map(plain).collect();
    lines.join(&format!("\n{margin}"))
}

/// The first word of a text, and what is behind it without leading spaces.
pub(super) fn split_word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read_back_as_they_were_written() {
        for text in ["", "a\nb", "\\n", "tab\there", "\u{1b}[2J\u{202e}", "C:\\new\\", "é\u{2028}"]
        {
            let line = escaped(text);
            assert!(!line.contains(is_harmful), "{line:?}");
            assert_eq!(unescaped(&line).as_deref(), Some(text), "{line:?}");
        }
        for wrong in
            ["\\", "\\x", "a\\", "\\u", "\\u{", "\\u{}", "\\u{+41}", "\\u{d800}", "\\u{110000}"]
        {
            assert_eq!(unescaped(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn further_lines_of_a_text_keep_to_their_margin() {
        let text = "list:\n- milk\r\n- eggs\rg | bob: no\u{2028}end\n";
        let shown = plain_lines(text, "  | ");
        assert_eq!(shown, "list:\n  | - milk\n  | - eggs\n  | g | bob: no\n  | end");
        assert_eq!(plain("a\nb\r\nc\td\u{1b}"), "a⏎b⏎c d\u{fffd}");
    }
}
