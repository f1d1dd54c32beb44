//! Characters that affect the text around them.

/// Whether a character moves the cursor of a terminal, ends a line or changes the direction of the text around it.
#[must_use]
pub fn is_harmful(c: char) -> bool {
    c.is_control() || is_bidi_control(c) || is_line_end(c) || matches!(c, '\u{fff9}'..='\u{fffb}')
}

fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether a character ends a line.
#[must_use]
pub fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}
