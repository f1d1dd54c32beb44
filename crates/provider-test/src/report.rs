use std::fmt;

/// The part of a provider that a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Area {
    /// The table of suites.
    Suites,
    /// SHA-2, HMAC, HKDF, SHA-3 and SHAKE.
    Hashes,
    /// Authenticated encryption.
    Aeads,
    /// ECDH, X25519 and X448.
    KeyAgreement,
    /// ML-KEM.
    MlKem,
    /// KEMs and HPKE.
    Hpke,
    /// Signing and verifying.
    Signatures,
    /// Signatures that implementations of EdDSA disagree on.
    CraftedSignatures,
    /// Batch operations.
    Batches,
}

impl Area {
    /// All areas.
    pub const ALL: &[Self] = &[
        Self::Suites,
        Self::Hashes,
        Self::Aeads,
        Self::KeyAgreement,
        Self::MlKem,
        Self::Hpke,
        Self::Signatures,
        Self::CraftedSignatures,
        Self::Batches,
    ];
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Suites => "Suites",
            Self::Hashes => "Hashes",
            Self::Aeads => "AEADs",
            Self::KeyAgreement => "Key agreement",
            Self::MlKem => "ML-KEM",
            Self::Hpke => "HPKE",
            Self::Signatures => "Signatures",
            Self::CraftedSignatures => "Crafted signatures",
            Self::Batches => "Batches",
        })
    }
}

/// A check that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The part of the provider.
    pub area: Area,
    /// The primitive, such as `AES-128-GCM`.
    pub primitive: String,
    /// The vector or case.
    pub case: String,
    /// The answer that a correct provider gives.
    pub expected: String,
    /// The provider's answer.
    pub found: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { primitive, case, expected, found, .. } = self;
        write!(f, "{primitive}: {case}: expected {expected}, found {found}")
    }
}

/// The result of a run.
///
/// It prints as a list of the failures, abridged where one primitive has many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The provider's name.
    pub provider: String,
    /// The number of checks that were made.
    pub checks: usize,
    /// The checks that failed.
    pub failures: Vec<Failure>,
    /// The primitives that were left out because the provider says that it lacks them.
    pub left_out: Vec<String>,
}

/// The most failures of one primitive that a report lists.
const LISTED: usize = 5;

impl Report {
    pub(crate) fn new(provider: &str) -> Self {
        Self { provider: provider.to_owned(), checks: 0, failures: vec![], left_out: vec![] }
    }

    /// Panics with the report if a check failed, or none was made.
    ///
    /// # Panics
    /// If a check failed, or none was made.
    pub fn assert(&self) {
        assert!(self.failures.is_empty(), "{self}");
        assert!(self.checks > 0, "no check was made: {self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { provider, checks, failures, left_out } = self;
        if failures.is_empty() {
            write!(f, "{provider} passed {checks} checks")?;
        } else {
            writeln!(f, "{} of {checks} checks of {provider} failed", failures.len())?;
        }

        let same = |a: &Failure, b: &Failure| a.area == b.area && a.primitive == b.primitive;
        let mut area = None;
        for of_primitive in failures.chunk_by(same) {
            let first = of_primitive.first().map(|failure| failure.area);
            if let Some(now) = first.filter(|_| first != area) {
                write!(f, "\n{now}")?;
                area = first;
            }
            for failure in of_primitive.iter().take(LISTED) {
                write!(f, "\n  {failure}")?;
            }
            if let Some(more) = of_primitive.len().checked_sub(LISTED).filter(|more| *more > 0) {
                write!(f, "\n  … and {more} more like these")?;
            }
        }

        if !left_out.is_empty() {
            write!(f, "\nnot provided, so not checked: {}", left_out.join(", "))?;
        }
        Ok(())
    }
}
