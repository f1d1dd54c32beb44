//! The words by which people choose a suite, and how they are told what it gives.

use conclave_engine::{CLASSIC, HYBRID, SUITES, is_post_quantum, suite_name, suite_number};
use conclave_mls::CipherSuite;
use conclave_mls::crypto::SuiteParams;
use core::fmt;

/// Words for suites, besides their numbers and names.
const WORDS: [(&str, CipherSuite); 2] = [("hybrid", HYBRID), ("classic", CLASSIC)];

/// A word that does not name one suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuiteError {
    word: String,
    /// Those that it may mean; all, if it means none.
    candidates: Vec<SuiteParams>,
    ambiguous: bool,
}

impl fmt::Display for SuiteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ambiguous {
            true => write!(f, "{:?} is part of several suites' names: ", self.word)?,
            false => write!(f, "{:?} names no suite. There are hybrid, classic, ", self.word)?,
        }
        for (i, suite) in self.candidates.iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            write!(f, "{comma}{} {}", suite_number(suite.cipher_suite), suite.name)?;
        }
        Ok(())
    }
}

impl core::error::Error for SuiteError {}

/// Finds the suite that a word names: its number, its name or a part of it that no other has, or
/// `hybrid` or `classic`.
///
/// # Errors
/// If it names none, or several.
pub fn find_suite(word: &str) -> Result<CipherSuite, SuiteError> {
    let error = |candidates: Vec<SuiteParams>, ambiguous| {
        Err(SuiteError { word: word.to_string(), candidates, ambiguous })
    };
    let lower = word.to_lowercase();
    if let Some((_, suite)) = WORDS.iter().find(|(known, _)| *known == lower) {
        return Ok(*suite);
    }
    let number = match lower.strip_prefix("0x") {
        Some(hex) => u16::from_str_radix(hex, 16).ok(),
        None => lower.parse().ok(),
    };
    if let Some(suite) = number.and_then(|n| SUITES.get(CipherSuite(n))) {
        return Ok(suite.cipher_suite);
    }
    // What is written as a number is not part of a name.
    if number.is_some() || lower.is_empty() {
        return error(SUITES.iter().collect(), false);
    }
    let found: Vec<SuiteParams> =
        SUITES.iter().filter(|suite| suite.name.to_lowercase().contains(&lower)).collect();
    match found.as_slice() {
        [suite] => Ok(suite.cipher_suite),
        [] => error(SUITES.iter().collect(), false),
        _ => match found.iter().find(|suite| suite.name.eq_ignore_ascii_case(word)) {
            Some(suite) => Ok(suite.cipher_suite),
            None => error(found, true),
        },
    }
}

/// All suites, one a line, for people.
#[must_use]
pub fn suite_list() -> String {
    let line = |suite: SuiteParams| {
        let word = WORDS.iter().find(|(_, named)| *named == suite.cipher_suite);
        let word = word.map(|(word, _)| format!("; or: {word}")).unwrap_or_default();
        let (number, security) = (suite_number(suite.cipher_suite), security(suite.cipher_suite));
        format!("{number:<6}  {:<54}  {security}{word}", suite.name)
    };
    SUITES.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Not `classic`, which is one suite's word; and no part of one word is the other.
fn security(suite: CipherSuite) -> &'static str {
    if is_post_quantum(suite) { "post-quantum" } else { "pre-quantum" }
}

/// For scripts: `post-quantum` or `pre-quantum`, and the name; two dashes if it is not known.
pub(crate) fn suite_words(suite: Option<CipherSuite>) -> String {
    match suite {
        Some(suite) => format!("{} {}", security(suite), suite_name(suite)),
        None => "- -".into(),
    }
}

/// For people.
pub(crate) fn suite_text(suite: CipherSuite) -> String {
    let not = if is_post_quantum(suite) { "" } else { "NOT " };
    format!("{not}post-quantum ({})", suite_name(suite))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_is_found_by_number_name_and_any_part_that_no_other_has() {
        for suite in SUITES.iter() {
            let at = suite.cipher_suite;
            let (hex, lower) = (format!("{:#x}", at.0), suite.name.to_lowercase());
            for word in [&at.0.to_string(), &suite_number(at), &hex, suite.name, &lower] {
                assert_eq!(find_suite(word), Ok(at), "{word}");
            }
        }
        assert_eq!(find_suite("classic"), Ok(CLASSIC));
        assert_eq!(find_suite("Hybrid"), Ok(HYBRID));
        assert_eq!(find_suite("mlkem768x25519_aes256"), Ok(HYBRID));
        assert_eq!(find_suite("mldsa87"), Ok(CipherSuite(0xf0cb)));
    }

    #[test]
    fn what_is_said_of_suites_in_output_is_not_taken_for_the_name_of_one() {
        for suite in SUITES.iter() {
            let words = suite_words(Some(suite.cipher_suite));
            let (first, name) = words.split_once(' ').unwrap();
            assert!(find_suite(first).is_err(), "{words}");
            assert_eq!(find_suite(name), Ok(suite.cipher_suite));
        }
    }

    #[test]
    fn an_unknown_or_ambiguous_suite_is_answered_with_the_list() {
        for word in ["8", "0", "0x", "", "rsa", "65536", "0xf0c0"] {
            let said = find_suite(word).unwrap_err().to_string();
            assert!(said.contains("names no suite"), "{said}");
            assert!(SUITES.iter().all(|suite| said.contains(suite.name)), "{said}");
        }
        let said = find_suite("aes256gcm_sha384_ed25519").unwrap_err().to_string();
        assert!(said.contains("several"), "{said}");
        assert!(said.contains("0xf0c2") && !said.contains("MLDSA"), "{said}");
    }
}
