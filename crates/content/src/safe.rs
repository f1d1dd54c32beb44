//! Other people's text, made safe to show and to store.

use alloc::string::String;

/// The longest display name, in characters.
pub const MAX_DISPLAY_NAME: usize = 64;

/// How many marks a letter of a display name carries at most: Hebrew and Vietnamese need three and two.
const MAX_MARKS: usize = 3;

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

/// A display name, as its owner wrote it: on one line, with single spaces within, of characters that are seen, of at most
/// [`MAX_DISPLAY_NAME`] characters and no tower of marks. Double quotation marks become single ones, so that no name can end
/// the quotation in which it is shown.
///
/// It may be empty then. It may also be another user's name, or look like one: show it beside its user's name, and never
/// instead of that.
#[must_use]
pub fn display_name(name: &str) -> String {
    let (mut shown, mut length, mut marks) = (String::new(), 0, 0);
    let mut is_apart = false;
    for c in name.chars() {
        // A blank pattern of Braille is drawn as a space.
        if c.is_whitespace() || c == '\u{2800}' {
            is_apart = length > 0;
            continue;
        }
        if is_harmful(c) || is_unseen(c) {
            continue;
        }

        if is_mark(c) {
            // A mark without a letter would stand on what comes before the name.
            if length == 0 || is_apart || marks == MAX_MARKS {
                continue;
            }
            marks += 1;
        } else {
            marks = 0;
        }

        if length + usize::from(is_apart) >= MAX_DISPLAY_NAME {
            break;
        }
        if core::mem::take(&mut is_apart) {
            shown.push(' ');
            length += 1;
        }
        shown.push(if is_double_quote(c) { '\'' } else { c });
        length += 1;
    }
    shown
}

fn is_double_quote(c: char) -> bool {
    matches!(c, '"' | '\u{201c}'..='\u{201f}' | '\u{301d}'..='\u{301f}' | '\u{ff02}' | '«' | '»' | '\u{2033}')
}

/// Whether a character has no shape, or none that fonts agree on: Unicode's `Default_Ignorable_Code_Point`, the object
/// replacement character, and private use.
fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{e000}'..='\u{f8ff}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffc}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}' | '\u{f0000}'..='\u{10ffff}')
}

/// Whether a character is a mark on the one before it, in the scripts whose marks pile up.
fn is_mark(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}'..='\u{5c2}'
        | '\u{5c4}'..='\u{5c5}' | '\u{5c7}' | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{670}'
        | '\u{6d6}'..='\u{6dc}' | '\u{6df}'..='\u{6e4}' | '\u{6e7}'..='\u{6e8}' | '\u{6ea}'..='\u{6ed}'
        | '\u{711}' | '\u{730}'..='\u{74a}' | '\u{7a6}'..='\u{7b0}' | '\u{816}'..='\u{82d}' | '\u{8d3}'..='\u{902}'
        | '\u{93a}' | '\u{93c}' | '\u{941}'..='\u{948}' | '\u{94d}' | '\u{951}'..='\u{957}' | '\u{e31}'
        | '\u{e34}'..='\u{e3a}' | '\u{e47}'..='\u{e4e}' | '\u{eb1}' | '\u{eb4}'..='\u{ebc}' | '\u{ec8}'..='\u{ece}'
        | '\u{f18}'..='\u{f19}' | '\u{f35}' | '\u{f37}' | '\u{f39}' | '\u{f71}'..='\u{f7e}' | '\u{f80}'..='\u{f84}'
        | '\u{f8d}'..='\u{fbc}' | '\u{102d}'..='\u{1030}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20f0}' | '\u{2de0}'..='\u{2dff}' | '\u{302a}'..='\u{302f}' | '\u{3099}'..='\u{309a}'
        | '\u{a66f}'..='\u{a67d}' | '\u{a8e0}'..='\u{a8f1}' | '\u{fe20}'..='\u{fe2f}' | '\u{1d165}'..='\u{1d169}'
        | '\u{1d16d}'..='\u{1d172}' | '\u{1e000}'..='\u{1e02a}')
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
