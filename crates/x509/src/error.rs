//! Why a credential was refused, or a validator could not be set up.

use conclave_mls::crypto::SignatureScheme;
use core::fmt;

/// A rule that an X.509 credential breaks. Sections are of RFC 9420 unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum X509Error {
    /// The credential is of another type.
    NotX509,
    /// The chain is empty: the end entity's certificate must be in it (section 5.3).
    EmptyChain,
    /// The chain is longer than [`Settings::max_chain`](crate::Settings::max_chain).
    ChainTooLong {
        /// How many certificates it has.
        count: usize,
    },
    /// A certificate is longer than
    /// [`Settings::max_certificate_len`](crate::Settings::max_certificate_len).
    CertificateTooLarge {
        /// Its place in the chain.
        index: usize,
        /// Its length in bytes.
        len: usize,
    },
    /// A certificate is not one of version 3 in DER, an extension in it is malformed, or a name in
    /// it holds control characters (section 5.3; RFC 5280 section 4).
    Malformed {
        /// Its place in the chain.
        index: usize,
    },
    /// A certificate has two extensions of one type (RFC 5280 section 4.2).
    DuplicateExtension {
        /// Its place in the chain.
        index: usize,
    },
    /// A certificate has a critical extension that is not understood (RFC 5280 section 4.2).
    UnsupportedCriticalExtension,
    /// The end entity presents more identifiers than
    /// [`Settings::max_identifiers`](crate::Settings::max_identifiers).
    TooManyIdentifiers {
        /// How many.
        count: usize,
    },
    /// The end entity's key is not of the algorithm of the group's cipher suite (section 5.3).
    WrongKeyAlgorithm {
        /// The suite's signature scheme.
        scheme: SignatureScheme,
    },
    /// The end entity's key is not the `signature_key` (section 5.3).
    WrongKey,
    /// The end entity's key may not be used for digital signatures (RFC 5280 section 4.2.1.3).
    KeyUsage,
    /// A certificate on the path is for other purposes than
    /// [`Settings::key_purposes`](crate::Settings::key_purposes) (RFC 5280 section 4.2.1.12).
    KeyPurpose,
    /// A certificate on the path has expired (section 5.3.2).
    Expired {
        /// The last second that it was valid, in Unix time.
        not_after: u64,
    },
    /// A certificate on the path is not valid yet.
    NotYetValid {
        /// The first second that it will be valid, in Unix time.
        not_before: u64,
    },
    /// A certificate on the path expires before it becomes valid.
    InvalidValidity,
    /// No path leads to a trust root: an issuer is unknown.
    UnknownIssuer,
    /// A signature on the path does not verify.
    InvalidSignature,
    /// A signature on the path is of an algorithm that cannot be verified here; or its algorithm
    /// and that of the issuer's key do not go together.
    UnsupportedSignatureAlgorithm,
    /// A signature on the path is by an RSA key of less than 2048 bits.
    WeakIssuerKey {
        /// How many bits the key has.
        bits: usize,
    },
    /// The end entity is a CA (RFC 5280 section 4.2.1.9).
    EndEntityIsCa,
    /// An issuer is not a CA (RFC 5280 section 4.2.1.9).
    IssuerNotCa,
    /// An issuer's key may not be used to sign certificates (RFC 5280 section 4.2.1.3).
    IssuerKeyUsage,
    /// More CAs are below an issuer than it allows (RFC 5280 section 4.2.1.9).
    PathLength,
    /// A name is outside of what an issuer may name (RFC 5280 section 4.2.1.10). Constraints on
    /// mail addresses, URIs and directory names are not evaluated: where one meets a name of its
    /// kind, the certificate is refused.
    NameConstraint,
    /// The path is longer than the certificate library follows, too many certificates could be
    /// issuers of each other, or [`Settings::max_signature_checks`](crate::Settings) are spent.
    PathTooComplex,
    /// A certificate on the path is revoked (section 5.3.2).
    Revoked,
    /// No revocation list is known that covers a certificate on the path.
    RevocationUnknown,
    /// The revocation lists for a certificate on the path have expired.
    RevocationListExpired {
        /// When the next was to be issued after the latest, in Unix time.
        next_update: u64,
    },
    /// There are revocation lists in the name of a certificate's issuer, but the key that signed
    /// the certificate did not sign any, or may not.
    RevocationListInvalid,
    /// The policy maps the identifiers to no identity (section 5.3.1).
    IdentityRefused,
    /// The credential that is replaced cannot be read.
    PredecessorUnreadable,
    /// By the policy, the identifiers are no valid successor to those of the credential that is
    /// replaced (section 5.3.1).
    IdentityChanged,
    /// A rule of the certificate library that none of the others names.
    Refused,
}

impl fmt::Display for X509Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::ChainTooLong { count } => {
                return write!(f, "a chain of {count} certificates is too long");
            }
            Self::CertificateTooLarge { index, len } => {
                return write!(f, "certificate {index} of {len} bytes is too large");
            }
            Self::Malformed { index } => return write!(f, "certificate {index} is malformed"),
            Self::DuplicateExtension { index } => {
                return write!(f, "certificate {index} has an extension twice");
            }
            Self::WeakIssuerKey { bits } => {
                return write!(f, "an issuer's RSA key of {bits} bits is too short");
            }
            Self::TooManyIdentifiers { count } => {
                return write!(f, "{count} identifiers are too many");
            }
            Self::WrongKeyAlgorithm { scheme } => {
                return write!(f, "the certificate's key is not one for {scheme:?}");
            }
            Self::Expired { not_after } => {
                return write!(f, "a certificate expired at {not_after}");
            }
            Self::NotYetValid { not_before } => {
                return write!(f, "a certificate is not valid before {not_before}");
            }
            Self::RevocationListExpired { next_update } => {
                return write!(f, "a revocation list expired at {next_update}");
            }
            Self::NotX509 => "the credential is no X.509 credential",
            Self::EmptyChain => "the chain is empty",
            Self::UnsupportedCriticalExtension => "a critical extension is not understood",
            Self::WrongKey => "the certificate is for another key",
            Self::KeyUsage => "the key is not for digital signatures",
            Self::KeyPurpose => "a certificate is for other purposes",
            Self::InvalidValidity => "a certificate expires before it becomes valid",
            Self::UnknownIssuer => "no path leads to a trust root",
            Self::InvalidSignature => "a certificate's signature does not verify",
            Self::UnsupportedSignatureAlgorithm => "a signature algorithm is not supported",
            Self::EndEntityIsCa => "the end entity is a CA",
            Self::IssuerNotCa => "an issuer is not a CA",
            Self::IssuerKeyUsage => "an issuer's key is not for signing certificates",
            Self::PathLength => "more CAs are below an issuer than it allows",
            Self::NameConstraint => "a name is outside of an issuer's name constraints",
            Self::PathTooComplex => "the search for a path was given up",
            Self::Revoked => "a certificate is revoked",
            Self::RevocationUnknown => "a certificate's revocation status is unknown",
            Self::RevocationListInvalid => {
                "no revocation list in an issuer's name is signed by its key"
            }
            Self::IdentityRefused => "the identifiers name nobody that is accepted",
            Self::PredecessorUnreadable => "the credential that is replaced cannot be read",
            Self::IdentityChanged => "the identity is not that of the credential that is replaced",
            Self::Refused => "the chain is not valid",
        };
        f.write_str(text)
    }
}

impl core::error::Error for X509Error {}

impl X509Error {
    /// Whether the credential could not be judged for want of a revocation list that is current,
    /// covers its certificates, and is signed by their issuers. It may be in order: judge it again
    /// once fresh lists are set. All other errors are refusals.
    #[must_use]
    pub const fn needs_revocation_list(&self) -> bool {
        matches!(
            self,
            Self::RevocationUnknown
                | Self::RevocationListExpired { .. }
                | Self::RevocationListInvalid
        )
    }

    /// How far a path came before it was refused: of several paths, the error of the one that came
    /// farthest is told.
    pub(crate) const fn progress(&self) -> u8 {
        match self {
            _ if self.needs_revocation_list() => 5,
            Self::IdentityRefused => 4,
            Self::Revoked => 3,
            Self::Expired { .. } | Self::NotYetValid { .. } => 2,
            Self::PathTooComplex => 0,
            _ => 1,
        }
    }

    /// What the certificate library says of a path; malformed certificates were refused before.
    pub(crate) fn of_path(error: webpki::Error) -> Self {
        use webpki::Error as E;
        match error {
            E::CertExpired { not_after, .. } => Self::Expired { not_after: not_after.as_secs() },
            E::CertNotValidYet { not_before, .. } => {
                Self::NotYetValid { not_before: not_before.as_secs() }
            }
            E::InvalidCertValidity => Self::InvalidValidity,
            E::UnknownIssuer => Self::UnknownIssuer,
            E::InvalidSignatureForPublicKey | E::SignatureAlgorithmMismatch => {
                Self::InvalidSignature
            }
            E::UnsupportedSignatureAlgorithmContext(_)
            | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
                Self::UnsupportedSignatureAlgorithm
            }
            E::CaUsedAsEndEntity => Self::EndEntityIsCa,
            E::EndEntityUsedAsCa => Self::IssuerNotCa,
            E::PathLenConstraintViolated => Self::PathLength,
            E::NameConstraintViolation
            | E::MalformedNameConstraint
            | E::InvalidNetworkMaskConstraint => Self::NameConstraint,
            E::RequiredEkuNotFoundContext(_) | E::EmptyEkuExtension => Self::KeyPurpose,
            E::UnsupportedCriticalExtension => Self::UnsupportedCriticalExtension,
            E::MaximumPathDepthExceeded
            | E::MaximumSignatureChecksExceeded
            | E::MaximumPathBuildCallsExceeded
            | E::MaximumNameConstraintComparisonsExceeded => Self::PathTooComplex,
            E::CertRevoked => Self::Revoked,
            E::UnknownRevocationStatus => Self::RevocationUnknown,
            E::CrlExpired { next_update, .. } => {
                Self::RevocationListExpired { next_update: next_update.as_secs() }
            }
            E::InvalidCrlSignatureForPublicKey
            | E::IssuerNotCrlSigner
            | E::UnsupportedCrlSignatureAlgorithmContext(_)
            | E::UnsupportedCrlSignatureAlgorithmForPublicKeyContext(_) => {
                Self::RevocationListInvalid
            }
            _ => Self::Refused,
        }
    }
}

/// What was handed to an [`X509Validator`](crate::X509Validator) cannot be used. Each variant
/// holds a place in the list that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetupError {
    /// There is no trust root, so that nobody could be accepted.
    NoRoots,
    /// A trust root is not a certificate in DER.
    Root(usize),
    /// An intermediate certificate is not one of version 3 in DER.
    Intermediate(usize),
    /// A revocation list is not a complete, direct one of version 2 in DER.
    RevocationList(usize),
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoots => f.write_str("there is no trust root"),
            Self::Root(i) => write!(f, "trust root {i} is not a certificate"),
            Self::Intermediate(i) => write!(f, "intermediate certificate {i} is malformed"),
            Self::RevocationList(i) => write!(f, "revocation list {i} is not supported"),
        }
    }
}

impl core::error::Error for SetupError {}
