//! Errors, and what to do about them.

use akd_core::verify::VerificationError;
use alloc::string::{String, ToString};
use conclave_mls::crypto::CryptoError;
use conclave_mls::wire::codec::DecodeError;
use core::fmt;

/// A signed root was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RootError {
    /// The bytes are no signed root.
    Malformed(DecodeError),
    /// The service's key did not sign it. It says nothing about the service: anybody may have made it.
    NotSigned,
    /// The provider failed.
    Crypto(CryptoError),
}

/// A proof was not accepted.
///
/// This proves nothing about the service, unless the proof was signed and comes with an
/// [`Evidence`](crate::Evidence): anybody can make a proof that is wrong. The client does not use what
/// it was to prove, asks again, and tells the user if that does not help.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProofError {
    /// The bytes are no proof of this kind.
    Malformed(DecodeError),
    /// The proof is longer than proofs of its kind get: the number of bytes.
    TooLong(usize),
    /// The proof was made for another root than the one that it came with.
    OtherRoot,
    /// The roots are of two services.
    OtherService,
    /// The proof is for other epochs than those of the roots.
    OtherEpochs,
    /// The proof is for another name, or another version of its entry.
    OtherName,
    /// The hashes do not lead to the root.
    OtherTree,
    /// The nodes that the proof names cannot stand in one tree like this.
    Shape(&'static str),
    /// The proof breaks one of the directory's rules.
    Rule(&'static str),
    /// The tree's verification refuses the proof for this reason.
    Refused(String),
    /// The service did not sign the proof.
    NotSigned,
    /// The provider failed.
    Crypto(CryptoError),
}

impl fmt::Display for RootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => write!(f, "these bytes are no signed root: {error}"),
            Self::NotSigned => f.write_str("the service did not sign this root"),
            Self::Crypto(error) => write!(f, "cannot check the root's signature: {error}"),
        }
    }
}

impl fmt::Display for ProofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => write!(f, "these bytes are no such proof: {error}"),
            Self::TooLong(bytes) => write!(f, "a proof of {bytes} bytes is too long"),
            Self::OtherRoot => f.write_str("the proof was made for another root"),
            Self::OtherService => f.write_str("the two roots are of different services"),
            Self::OtherEpochs => f.write_str("the proof is for other epochs than the roots"),
            Self::OtherName => {
                f.write_str("the proof is for another name, or for another version of its entry")
            }
            Self::OtherTree => f.write_str("the proof's hashes do not lead to the root"),
            Self::Shape(what) => write!(f, "the proof's nodes make no tree: {what}"),
            Self::Rule(what) => write!(f, "the proof breaks a rule of the directory: {what}"),
            Self::Refused(why) => write!(f, "the proof does not verify: {why}"),
            Self::NotSigned => f.write_str("the service did not sign the proof"),
            Self::Crypto(error) => write!(f, "cannot check the proof: {error}"),
        }
    }
}

impl core::error::Error for RootError {}
impl core::error::Error for ProofError {}

impl From<DecodeError> for RootError {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

impl From<DecodeError> for ProofError {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

impl From<CryptoError> for ProofError {
    fn from(error: CryptoError) -> Self {
        Self::Crypto(error)
    }
}

/// Why the tree's verification refused a proof.
pub(crate) fn refused(error: VerificationError) -> ProofError {
    match error {
        VerificationError::Vrf(_) => ProofError::OtherName,
        VerificationError::MembershipProof(_) | VerificationError::NonMembershipProof(_) => {
            ProofError::OtherTree
        }
        other => ProofError::Refused(other.to_string()),
    }
}
