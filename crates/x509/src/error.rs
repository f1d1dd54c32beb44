//! Errors: why a credential was refused, and why a validator could not be set up.

use crate::time::unix_time;
use conclave_mls::UnixTime;
use conclave_mls::crypto::SignatureScheme;
use core::fmt;
use core::time::Duration;

/// The rule that an X.509 credential breaks. Sections are those of RFC 9420 unless stated otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum X509Error {
    /// The credential is of another type.
    NotX509,
    /// The chain is empty. It must contain the end entity's certificate (section 5.3).
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
    /// A certificate is not DER of version 3, has a malformed extension, or has a name with control
    /// characters (section 5.3; RFC 5280 section 4).
    Malformed {
        /// Its place in the chain.
        index: usize,
    },
    /// A certificate has two extensions of the same type (RFC 5280 section 4.2).
    DuplicateExtension {
        /// Its place in the chain.
        index: usize,
    },
    /// A certificate has an unknown critical extension (RFC 5280 section 4.2).
    UnsupportedCriticalExtension,
    /// The end entity presents more identifiers than
    /// [`Settings::max_identifiers`](crate::Settings::max_identifiers).
    TooManyIdentifiers {
        /// How many it presents.
        count: usize,
    },
    /// The end entity's key does not belong to the cipher suite's signature algorithm (section 5.3).
    WrongKeyAlgorithm {
        /// The suite's signature scheme.
        scheme: SignatureScheme,
    },
    /// The end entity's key is not the `signature_key` (section 5.3).
    WrongKey,
    /// The end entity's key may not be used for digital signatures (RFC 5280 section 4.2.1.3).
    KeyUsage,
    /// A certificate on the path is limited to purposes outside
    /// [`Settings::key_purposes`](crate::Settings::key_purposes) (RFC 5280 section 4.2.1.12).
    KeyPurpose,
    /// A certificate on the path has expired (section 5.3.2).
    Expired {
        /// The last second at which it was valid.
        not_after: UnixTime,
    },
    /// A certificate on the path is not yet valid.
    NotYetValid {
        /// The first second at which it is valid.
        not_before: UnixTime,
    },
    /// A certificate on the path expires before it becomes valid.
    InvalidValidity,
    /// No path leads to a trust root because an issuer is unknown.
    UnknownIssuer,
    /// A signature on the path does not verify.
    InvalidSignature,
    /// A signature on the path uses an algorithm that is not supported, or one that does not match the
    /// issuer's key. RSA, and ECDSA over a hash other than the curve's own, need
    /// `X509Validator::with_aws_lc`.
    UnsupportedSignatureAlgorithm,
    /// A signature on the path was made with an RSA key of fewer than 2048 bits.
    WeakIssuerKey {
        /// The length of the key in bits.
        bits: usize,
    },
    /// The end entity is a CA (RFC 5280 section 4.2.1.9).
    EndEntityIsCa,
    /// An issuer is not a CA (RFC 5280 section 4.2.1.9).
    IssuerNotCa,
    /// An issuer's key may not be used to sign certificates (RFC 5280 section 4.2.1.3).
    IssuerKeyUsage,
    /// There are more CAs below an issuer than it allows (RFC 5280 section 4.2.1.9).
    PathLength,
    /// A name violates an issuer's name constraints (RFC 5280 section 4.2.1.10). Constraints on mail
    /// addresses, URIs and directory names are not evaluated: a certificate with such a name is refused if
    /// an issuer constrains names of that kind.
    NameConstraint,
    /// The path is longer than the certificate library follows, too many certificates could have issued each
    /// other, or [`Settings::max_signature_checks`](crate::Settings) are used up.
    PathTooComplex,
    /// A certificate on the path is revoked (section 5.3.2).
    Revoked,
    /// No known revocation list covers a certificate on the path.
    RevocationUnknown,
    /// The revocation lists for a certificate on the path have expired.
    RevocationListExpired {
        /// When the successor of the latest list was due.
        next_update: UnixTime,
    },
    /// There are revocation lists in the name of a certificate's issuer, but the key that signed the
    /// certificate signed none of them, or must not sign lists.
    RevocationListInvalid,
    /// The policy maps the identifiers to no identity (section 5.3.1).
    IdentityRefused,
    /// The credential to be replaced cannot be read.
    PredecessorUnreadable,
    /// The policy does not accept the identifiers as a valid successor to those of the credential to be
    /// replaced (section 5.3.1).
    IdentityChanged,
    /// The chain breaks another rule of the certificate library.
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
                return write!(f, "certificate {index} has the same extension twice");
            }
            Self::WeakIssuerKey { bits } => {
                return write!(f, "an issuer's RSA key of {bits} bits is too short");
            }
            Self::TooManyIdentifiers { count } => {
                return write!(f, "{count} identifiers are too many");
            }
            Self::WrongKeyAlgorithm { scheme } => {
                return write!(f, "the certificate's key is not a key for {scheme:?}");
            }
            Self::Expired { not_after } => {
                return write!(f, "a certificate expired at {}", not_after.as_secs());
            }
            Self::NotYetValid { not_before } => {
                return write!(f, "a certificate is not valid before {}", not_before.as_secs());
            }
            Self::RevocationListExpired { next_update } => {
                return write!(f, "a revocation list expired at {}", next_update.as_secs());
            }
            Self::NotX509 => "the credential is not an X.509 credential",
            Self::EmptyChain => "the chain is empty",
            Self::UnsupportedCriticalExtension => "a certificate has an unknown critical extension",
            Self::WrongKey => "the certificate belongs to another key",
            Self::KeyUsage => "the key is not for digital signatures",
            Self::KeyPurpose => "a certificate is limited to other purposes",
            Self::InvalidValidity => "a certificate expires before it becomes valid",
            Self::UnknownIssuer => "no path leads to a trust root",
            Self::InvalidSignature => "a certificate's signature does not verify",
            Self::UnsupportedSignatureAlgorithm => "a signature algorithm is not supported",
            Self::EndEntityIsCa => "the end entity is a CA",
            Self::IssuerNotCa => "an issuer is not a CA",
            Self::IssuerKeyUsage => "an issuer's key is not for signing certificates",
            Self::PathLength => "there are more CAs below an issuer than it allows",
            Self::NameConstraint => "a name violates an issuer's name constraints",
            Self::PathTooComplex => "finding a path takes too many steps",
            Self::Revoked => "a certificate is revoked",
            Self::RevocationUnknown => "a certificate's revocation status is unknown",
            Self::RevocationListInvalid => {
                "no revocation list in an issuer's name was signed by its key"
            }
            Self::IdentityRefused => {
                "the certificate's names belong to nobody whom the policy accepts"
            }
            Self::PredecessorUnreadable => "the credential to be replaced cannot be read",
            Self::IdentityChanged => {
                "the new credential belongs to another identity than the old one"
            }
            Self::Refused => "the chain is not valid",
        };
        f.write_str(text)
    }
}

impl core::error::Error for X509Error {}

impl X509Error {
    /// Whether all that is missing is a revocation list that is current, covers the certificates, and is
    /// signed by their issuers. The credential may be acceptable: judge it again once fresh lists are set. All
    /// other errors are refusals.
    #[must_use]
    pub const fn needs_revocation_list(&self) -> bool {
        matches!(
            self,
            Self::RevocationUnknown
                | Self::RevocationListExpired { .. }
                | Self::RevocationListInvalid
        )
    }

    /// How far a path got before it was refused. Of several paths, the error of the one that got farthest is
    /// reported.
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

    /// Translates the certificate library's verdict on a path. Malformed certificates were refused before.
    pub(crate) fn of_path(error: webpki::Error) -> Self {
        use webpki::Error as E;
        match error {
            E::CertExpired { not_after, .. } => Self::Expired { not_after: of_library(not_after) },
            E::CertNotValidYet { not_before, .. } => {
                Self::NotYetValid { not_before: of_library(not_before) }
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
                Self::RevocationListExpired { next_update: of_library(next_update) }
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

/// The certificate library's time as MLS's.
fn of_library(time: rustls_pki_types::UnixTime) -> UnixTime {
    unix_time(Duration::from_secs(time.as_secs()))
}

/// An input of an [`X509Validator`](crate::X509Validator) that cannot be used. Variants hold its place in
/// the list that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetupError {
    /// There is no trust root, so nobody could be accepted.
    NoRoots,
    /// A trust root is not a DER certificate.
    Root(usize),
    /// An intermediate certificate is not a DER certificate of version 3.
    Intermediate(usize),
    /// A revocation list is not a complete, direct DER list of version 2.
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
