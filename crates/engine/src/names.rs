//! What a group can be called, and which names look alike.

use crate::characters::is_harmful;
use std::collections::BTreeSet;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_security::confusable_detection::skeleton;

/// The longest name of a group, in bytes.
pub const MAX_GROUP_NAME: usize = 64;

/// Whether a group can have this name: one word that shows what it is made of, leaves the rest of
/// its line as it is, and is not punctuation alone. (`-` stands for "no group" in lines for scripts.)
#[must_use]
pub fn is_group_name(name: &str) -> bool {
    name.len() <= MAX_GROUP_NAME && is_readable(name)
}

/// The same, whatever its length: a number may have been added to it.
pub(crate) fn is_readable(name: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || is_harmful(c) || is_unseen(c);
    let is_punctuation = |text: &str| text.chars().all(|c| c.is_ascii_punctuation());

    !name.is_empty()
        && !name.contains(odd)
        && !name.starts_with(is_combining_mark)
        && !is_punctuation(name)
        && !is_punctuation(&look(name))
}

/// Whether a character has no shape, or none that fonts agree on: Unicode's
/// `Default_Ignorable_Code_Point`, the blank Braille pattern, the object replacement character, and
/// private use.
fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{e000}'..='\u{f8ff}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffc}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
            | '\u{f0000}'..='\u{10ffff}'
    )
}

/// Whether people can take one name for the other: they differ in case alone, or are made of
/// characters that Unicode lists as confusable (UTS #39).
#[must_use]
pub fn look_alike(a: &str, b: &str) -> bool {
    let mut looks = Looks::default();
    looks.add(a);
    looks.has(b)
}

/// What names look like, each computed once however many are compared with it.
#[derive(Default)]
pub(crate) struct Looks(BTreeSet<(bool, String)>);

impl Looks {
    /// As it is, and in lower case.
    fn of(name: &str) -> [(bool, String); 2] {
        [(false, look(name)), (true, look(&name.to_lowercase()))]
    }

    pub(crate) fn add(&mut self, name: &str) {
        self.0.extend(Self::of(name));
    }

    /// Whether one of the names looks like this one.
    pub(crate) fn has(&self, name: &str) -> bool {
        Self::of(name).iter().any(|look| self.0.contains(look))
    }
}

/// Equal for names that look the same.
fn look(name: &str) -> String {
    let compatible: String = name.nfkc().collect();
    skeleton(&compatible).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_name_is_one_visible_word() {
        for name in ["lunch", "Mittagessen", "ארוחה", "\u{1f35c}", "a-b", ".net", "e\u{301}te"]
        {
            assert!(is_group_name(name), "{name}");
        }
        for name in ["", "a b", "a\u{202e}b", "\u{2066}", "a\u{200f}", "a\u{2028}b", "\u{1b}[2J"] {
            assert!(!is_group_name(name), "{name:?}");
        }
        for name in ["-", "--", ".", "..", "*", "!", "|", "\u{2010}", "\u{301}a"] {
            assert!(!is_group_name(name), "{name:?}");
        }
        for c in
            "\u{ad}\u{34f}\u{61c}\u{180e}\u{200b}\u{200d}\u{2060}\u{3164}\u{fe0f}\u{feff}\u{e0041}"
                .chars()
        {
            assert!(!is_group_name(&format!("lunch{c}")), "{c:?}");
            assert!(!is_group_name(&c.to_string()), "{c:?}");
        }
    }

    #[test]
    fn names_that_look_alike_are_found() {
        for name in ["lunch", "lun\u{441}h", "Lunch", "LUNCH", "Iunch", "\u{ff4c}unch", "1unch"] {
            assert!(look_alike("lunch", name), "{name}");
        }
        for name in ["lunch-2", "launch", "dinner", "lunches"] {
            assert!(!look_alike("lunch", name), "{name}");
        }
        assert!(look_alike("caf\u{e9}", "cafe\u{301}"));
        assert!(!look_alike("caf\u{e9}", "cafe"));
    }
}
