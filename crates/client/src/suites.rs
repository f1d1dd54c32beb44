//! Cipher suites: which of them this messenger knows, by which words people choose one, and how
//! they are told what it gives.

use conclave_mls::CipherSuite;
use conclave_mls::crypto::{SuiteParams, Suites};
use core::fmt;

/// The suites of this messenger, for the provider of whoever takes part in its groups and of its
/// service: a code point is all that travels, so they must all have the same.
pub const SUITES: Suites = Suites::CONCLAVE;

/// The suite of new groups, unless it is chosen:
/// `MLS_128_MLKEM768X25519_AES256GCM_SHA384_Ed25519`.
///
/// A hybrid: what is recorded today stays secret unless both ML-KEM and X25519 are broken. With
/// AES-256 rather than AES-128 (the other suite of these KEM and signatures): it is the one that
/// other stacks have, and a few cycles more are all that it costs.
pub const HYBRID: CipherSuite = CipherSuite(0xf0c2);

/// The suite for groups with those that have no [`HYBRID`]: suite 1, which RFC 9420 makes
/// mandatory. Its signatures are those of the hybrid, so that a device has one key for both.
pub const CLASSIC: CipherSuite = CipherSuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_ED25519;

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

/// A suite's number, as people write it: those for private use in hexadecimal.
#[must_use]
pub fn suite_number(suite: CipherSuite) -> String {
    match suite.0 {
        n @ 0..=0xff => n.to_string(),
        n => format!("{n:#06x}"),
    }
}

/// A suite's name; its number, if it is none of this messenger's.
#[must_use]
pub fn suite_name(suite: CipherSuite) -> String {
    SUITES.get(suite).map_or_else(|| suite_number(suite), |known| known.name.to_string())
}

/// Whether what is said in a suite stays secret from a quantum computer of later. Of a suite that
/// is not known, nothing is promised.
#[must_use]
pub fn is_post_quantum(suite: CipherSuite) -> bool {
    SUITES.get(suite).is_some_and(|known| known.kem.is_post_quantum())
}

/// The names of suites, for people.
pub(crate) fn suite_names(suites: impl Iterator<Item = CipherSuite>) -> String {
    suites.map(suite_name).collect::<Vec<_>>().join(" and ")
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
    use conclave_mls::crypto::{PqSuite, SignatureScheme};

    #[test]
    fn the_two_suites_of_a_device_are_what_they_are_called_and_share_a_key() {
        let (hybrid, classic) = (SUITES.get(HYBRID).unwrap(), SUITES.get(CLASSIC).unwrap());
        assert_eq!(hybrid.name, PqSuite::MlKem768X25519Aes256Ed25519.name());
        assert_eq!(classic.name, "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519");
        assert_eq!([hybrid.signature, classic.signature], [SignatureScheme::Ed25519; 2]);
        // A signed leaf does not say its suite: the length of its HPKE key does.
        assert_eq!([hybrid.kem.public_key_len(), classic.kem.public_key_len()], [1216, 32]);
        assert!(is_post_quantum(HYBRID) && !is_post_quantum(CLASSIC));
        assert!(!is_post_quantum(CipherSuite(0x1234)), "nothing is promised of what is not known");
    }

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
