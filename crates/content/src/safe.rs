//! Other people's text, made safe to show and to store.

use alloc::string::String;

/// How many octets a file name has at most, so that every file system takes it.
const MAX_FILE_NAME: usize = 200;

/// Names that Windows gives to devices, in whatever folder and with whatever extension.
const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];

/// Whether a character moves the cursor, ends a line, or changes the direction of the text around it.
#[must_use]
pub fn is_harmful(c: char) -> bool {
    let is_direction = matches!(c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let is_line_end = matches!(c, '\u{2028}' | '\u{2029}');
    c.is_control() || is_direction || is_line_end || matches!(c, '\u{fff9}'..='\u{fffb}')
}

/// Text on as many lines as it has. Harmful characters but line feeds and tabs are replaced by U+FFFD, so that no text
/// can pass for what stands around it.
#[must_use]
pub fn text(text: &str) -> String {
    let safe = |c: char| if is_harmful(c) && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c };
    text.replace("\r\n", "\n").chars().map(safe).collect()
}

/// Text on one line, as for a description: its first `most` characters, then `…` if there are more.
#[must_use]
pub fn line(text: &str, most: usize) -> String {
    let safe = |c: char| match c {
        '\n' | '\t' => ' ',
        c if is_harmful(c) => '\u{fffd}',
        c => c,
    };
    let mut line: String = text.chars().take(most).map(safe).collect();
    if text.chars().nth(most).is_some() {
        line.push('…');
    }
    line
}

/// A file name to store an attachment by, of what its sender suggests: one name without a path, of characters that
/// every file system takes, neither hidden nor a device's, of at most 200 octets with its extension.
///
/// Returns nothing if nothing is left of it. The name may still be of a program: it decides nothing about what may
/// be opened, and a file of that name may exist.
#[must_use]
pub fn file_name(suggested: &str) -> Option<String> {
    let name = suggested.rsplit(['/', '\\']).next().unwrap_or_default();
    let safe = |c: char| match c {
        ':' | '<' | '>' | '"' | '|' | '?' | '*' => '_',
        c => c,
    };
    let name: String = name.chars().filter(|c| !is_harmful(*c)).map(safe).collect();
    // Windows drops dots and spaces at the end; a dot at the beginning hides a file.
    let name = name.trim().trim_matches(['.', ' ']);
    if name.is_empty() {
        return None;
    }

    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if extension.len() < 20 => (stem, Some(extension)),
        _ => (name, None),
    };
    let room = MAX_FILE_NAME - extension.map_or(0, |extension| extension.len() + 1);
    let mut safe = String::from(if is_device(stem) { "_" } else { "" });
    for c in stem.chars() {
        if safe.len() + c.len_utf8() > room {
            break;
        }
        safe.push(c);
    }
    if let Some(extension) = extension {
        safe.push('.');
        safe.push_str(extension);
    }
    Some(safe)
}

fn is_device(stem: &str) -> bool {
    let stem = stem.split('.').next().unwrap_or_default().trim_end().to_ascii_lowercase();
    let is_port = |name| {
        stem.strip_prefix(name).is_some_and(|n| {
            matches!(n, "¹" | "²" | "³") || (n.len() == 1 && n.bytes().all(|b| b.is_ascii_digit()))
        })
    };
    DEVICES.contains(&stem.as_str()) || is_port("com") || is_port("lpt")
}
