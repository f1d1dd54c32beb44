//! The words of a text as a search compares them: without case and accents.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// How many characters of a word count.
const MAX_WORD: usize = 32;

/// Whether a mark is an accent or a vowel sign that people leave out when they search.
fn is_accent(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{487}' | '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}'..='\u{5c7}'
        | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{6d6}'..='\u{6ed}'
        | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{fe20}'..='\u{fe2f}')
}

/// Whether a script writes its words without spaces: each character is a word of its own.
fn stands_alone(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// How people spell a letter that decomposition and lower case leave as it is.
fn spelled(c: char) -> Option<&'static str> {
    Some(match c {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'ł' => "l",
        'đ' | 'ð' => "d",
        'þ' => "th",
        'ı' => "i",
        'ς' => "σ",
        _ => return None,
    })
}

/// The words of a text in order, one after another.
struct Words<I: Iterator<Item = char>> {
    characters: core::iter::Peekable<I>,
}

impl<I: Iterator<Item = char>> Iterator for Words<I> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let is_part = |c: &char| c.is_alphanumeric() || is_combining_mark(*c);
        while self.characters.next_if(|c| !is_part(c)).is_some() {}

        let first = self.characters.next()?;
        let mut word = String::new();
        let mut length = 0;
        let mut push = |word: &mut String, c: char| {
            if length < MAX_WORD {
                match spelled(c) {
                    Some(letters) => word.push_str(letters),
                    None => word.push(c),
                }
                length += 1;
            }
        };
        push(&mut word, first);
        if !stands_alone(first) {
            while let Some(c) = self.characters.next_if(|c| is_part(c) && !stands_alone(*c)) {
                push(&mut word, c);
            }
        }
        Some(word)
    }
}

/// The words of a text in order, as often as they come.
pub(crate) fn words(text: &str) -> impl Iterator<Item = String> {
    let characters = text.nfkd().filter(|c| !is_accent(*c)).flat_map(char::to_lowercase);
    // Lower case may bring marks back: `İ` is `i` and a dot.
    let characters = characters.filter(|c| !is_accent(*c)).peekable();
    Words { characters }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<String> {
        words(text).collect()
    }

    #[test]
    fn words_are_compared_without_case_and_accents() {
        for (text, expected) in [
            ("Café au LAIT, s'il vous plaît!", "cafe au lait s il vous plait"),
            ("Straße ŁÓDŹ Ærø", "strasse lodz aero"),
            ("İstanbul ISTANBUL ıstanbul", "istanbul istanbul istanbul"),
            ("ΟΔΥΣΣΕΎΣ Οδυσσεύς", "οδυσσευσ οδυσσευσ"),
            ("ﬁne ２０２６ x²", "fine 2026 x2"),
            ("שָׁלוֹם مَرْحَبًا", "שלום مرحبا"),
            ("हिन्दी की", "हिन्दी की"),
            ("don\u{2019}t-stop_now", "don t stop now"),
            ("東京タワー2号", "東 京 タ ワ ー 2 号"),
            ("👍 \u{202e}\u{0}", ""),
        ] {
            assert_eq!(of(text).join(" "), expected, "{text}");
        }
    }

    #[test]
    fn a_long_word_is_cut_off_and_counts_as_one() {
        let long = "a".repeat(1_000_000);
        assert_eq!(of(&long), ["a".repeat(MAX_WORD)]);
        let accents = format!("e{}", "\u{301}".repeat(1_000));
        assert_eq!(of(&accents), ["e"]);
    }
}
