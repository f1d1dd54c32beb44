//! Cipher suites: which of them the engine knows, and what they give.

use conclave_mls::CipherSuite;
use conclave_mls::crypto::Suites;

/// The suites of the engine, for the provider of whoever takes part in its groups and of its
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

/// A suite's number, as people write it: those for private use in hexadecimal.
#[must_use]
pub fn suite_number(suite: CipherSuite) -> String {
    match suite.0 {
        n @ 0..=0xff => n.to_string(),
        n => format!("{n:#06x}"),
    }
}

/// A suite's name; its number, if it is none of [`SUITES`].
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
}
