//! The cipher suites in which the stacks meet.

use conclave_mls::crypto::{PqSuite, Suites};
use std::fmt;
use std::str::FromStr;

/// A cipher suite, and whether the stacks' cryptography is mended for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suite {
    /// One of RFC 9420 (section 17.1), by its number.
    Rfc(u16),
    /// One of draft-ietf-mls-pq-ciphersuites-06, as the stacks publish it.
    Draft(PqSuite),
    /// The same, but each host supplies what its stack lacks of the draft: stacks take their cryptography
    /// from a provider.
    Mended(PqSuite),
    /// One of RFC 9420, by clients that also implement draft-ietf-mls-extensions-10 and
    /// draft-ietf-mls-targeted-messages-02, as far as their stack does.
    Extended(u16),
    /// One of RFC 9420, by clients that also implement SelfRemove, at the code point of the GSMA's RCS.
    Rcs(u16),
}

/// The code points of the post-quantum suites, which are not yet assigned: those of OpenMLS, which are
/// fixed. The other stacks take any.
pub const POINTS: Suites = Suites::OPENMLS;

/// Whether OpenMLS 0.9 has a suite of the draft: all but the hybrids with NIST curves, whose code points
/// are only proposed.
pub fn in_openmls(suite: PqSuite) -> bool {
    !matches!(
        suite,
        PqSuite::MlKem768P256Aes128P256
            | PqSuite::MlKem768P256Aes256P256
            | PqSuite::MlKem1024P384Aes256P384
    )
}

impl Suite {
    /// All suites that at least two stacks may have.
    pub fn all() -> Vec<Self> {
        let of_draft = || PqSuite::ALL.into_iter().filter(|suite| in_openmls(*suite));
        let of_rfc = (1..=7).map(Self::Rfc);
        let post_quantum = of_draft().map(Self::Draft).chain(of_draft().map(Self::Mended));
        let extended = (1..=3).map(Self::Extended).chain([1, 2, 3, 5, 7].map(Self::Rcs));
        of_rfc.chain(post_quantum).chain(extended).collect()
    }

    /// Whether clients advertise the same in both, so that a group can move from one into the other.
    pub fn is_alike(self, other: Self) -> bool {
        let kind = |suite| match suite {
            Self::Rfc(_) | Self::Draft(_) | Self::Mended(_) => 0,
            Self::Extended(_) => 1,
            Self::Rcs(_) => 2,
        };
        kind(self) == kind(other)
    }

    /// The code point on the wire.
    pub fn code_point(self) -> u16 {
        match self {
            Self::Rfc(n) | Self::Extended(n) | Self::Rcs(n) => n,
            Self::Draft(suite) | Self::Mended(suite) => {
                POINTS.code_point(suite).map_or(0, |at| at.0)
            }
        }
    }

    /// All code points, for a client's capabilities.
    pub fn code_points() -> Vec<u16> {
        let mut points: Vec<u16> = Self::all().into_iter().map(Self::code_point).collect();
        points.sort_unstable();
        points.dedup();
        points
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rfc(n) => write!(f, "{n}"),
            Self::Draft(suite) => write!(f, "TBD{}", *suite as usize + 1),
            Self::Mended(suite) => write!(f, "TBD{}+", *suite as usize + 1),
            Self::Extended(n) => write!(f, "{n}x"),
            Self::Rcs(n) => write!(f, "{n}r"),
        }
    }
}

impl FromStr for Suite {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let all = Self::all();
        let found = all.iter().copied().find(|suite| suite.to_string() == name);
        let names: Vec<String> = all.iter().map(Self::to_string).collect();
        found.ok_or_else(|| format!("one of {}", names.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_is_found_by_its_name_and_has_a_code_point() {
        let all = Suite::all();
        assert_eq!(all.len(), 7 + 8 + 8 + 3 + 5);
        for suite in all {
            assert_eq!(suite.to_string().parse(), Ok(suite));
            assert_ne!(suite.code_point(), 0);
        }
        assert_eq!("TBD9+".parse(), Ok(Suite::Mended(PqSuite::MlKem768X25519ChaCha20MlDsa44)));
        assert_eq!("2x".parse(), Ok(Suite::Extended(2)));
        assert!("TBD3".parse::<Suite>().is_err(), "no two stacks have it");
        assert_eq!(Suite::code_points().len(), 7 + 8);
    }
}
