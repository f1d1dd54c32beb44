//! Credentials (section 5.3).

use crate::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer, codec};
use crate::ids::{Bytes, CredentialType};
use alloc::vec::Vec;

/// One DER-encoded X.509 certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The certificate's DER encoding, not looked into here.
    pub cert_data: Bytes,
}
codec!(Certificate { cert_data });

/// What a member presents to say who it is. Whether it is true is for the authentication service
/// to say (section 5.3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A bare assertion of an identity, in a format of the application.
    Basic {
        /// The identity.
        identity: Bytes,
    },
    /// A chain, its first certificate being the end entity's.
    X509 {
        /// The chain.
        certificates: Vec<Certificate>,
    },
    /// A credential of another type, for the application to read. Its body is taken to be one
    /// vector, as the body of every type registered so far is; a type with another body cannot be
    /// carried.
    Other {
        /// The type; neither basic nor X.509.
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

    /// The type of this credential.
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
