//! Credentials (section 5.3).

use crate::code_points::CredentialType;
use crate::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer, codec};
use crate::ids::Bytes;
use alloc::vec::Vec;

/// One DER-encoded X.509 certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The certificate's DER encoding, which is not parsed here.
    pub cert_data: Bytes,
}
codec!(Certificate { cert_data });

/// A member's claim of an identity. The authentication service decides whether the claim is true
/// (section 5.3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// An identity without proof, in a format of the application's.
    Basic {
        /// The identity.
        identity: Bytes,
    },
    /// A certificate chain that starts with the end entity's certificate.
    X509 {
        /// The chain.
        certificates: Vec<Certificate>,
    },
    /// A credential of another type, which the application interprets. Its body must be one vector,
    /// as it is for every type registered so far; a type with another body cannot be represented.
    Other {
        /// The type, which is neither basic nor X.509.
        credential_type: CredentialType,
        /// The contents of the vector.
        data: Bytes,
    },
}

impl Credential {
    /// A basic credential for an identity.
    #[must_use]
    pub fn basic(identity: &[u8]) -> Self {
        Self::Basic { identity: identity.into() }
    }

    /// The credential's type.
    #[must_use]
    pub fn credential_type(&self) -> CredentialType {
        match self {
            Self::Basic { .. } => CredentialType::BASIC,
            Self::X509 { .. } => CredentialType::X509,
            Self::Other { credential_type, .. } => *credential_type,
        }
    }

    /// The identity of a basic credential.
    #[must_use]
    pub fn identity(&self) -> Option<&[u8]> {
        match self {
            Self::Basic { identity } => Some(identity),
            Self::X509 { .. } | Self::Other { .. } => None,
        }
    }
}

impl Encode for Credential {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.credential_type().encode(w)?;
        match self {
            Self::Basic { identity } => identity.encode(w),
            Self::X509 { certificates } => certificates.encode(w),
            Self::Other { data, .. } => data.encode(w),
        }
    }
}

impl Decode for Credential {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match CredentialType::decode(r)? {
            CredentialType::BASIC => Ok(Self::Basic { identity: Decode::decode(r)? }),
            CredentialType::X509 => Ok(Self::X509 { certificates: Decode::decode(r)? }),
            credential_type => Ok(Self::Other { credential_type, data: Decode::decode(r)? }),
        }
    }
}
