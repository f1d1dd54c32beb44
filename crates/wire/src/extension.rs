//! Extensions (sections 7.2, 11.1, 12.1.8.1 and 13.4).

use crate::codec::{Decode, codec};
use crate::credential::Credential;
use crate::ids::{Bytes, CredentialType, ExtensionType, ProposalType, SignaturePublicKey};
use crate::{DecodeError, Encode, EncodeError};
use alloc::vec::Vec;

/// One extension, its data not looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// What it is.
    pub extension_type: ExtensionType,
    /// Its contents.
    pub extension_data: Bytes,
}
codec!(Extension { extension_type, extension_data });

impl Extension {
    /// An extension that holds an encoded value.
    ///
    /// # Errors
    /// If the value is too long to encode.
    pub fn new(extension_type: ExtensionType, value: &impl Encode) -> Result<Self, EncodeError> {
        Ok(Self { extension_type, extension_data: value.to_bytes()?.into() })
    }
}

/// The data of the extension of a type, decoded, if the list has it.
///
/// # Errors
/// If the list has it and its data is no encoding of a `T`.
pub fn find_extension<T: Decode>(
    list: &[Extension],
    extension_type: ExtensionType,
) -> Result<Option<T>, DecodeError> {
    list.iter()
        .find(|e| e.extension_type == extension_type)
        .map(|e| T::from_bytes(&e.extension_data))
        .transpose()
}

/// The first type that a list has twice, which no list may (section 13.4).
#[must_use]
pub fn duplicate_extension(list: &[Extension]) -> Option<ExtensionType> {
    let mut types: Vec<ExtensionType> = list.iter().map(|e| e.extension_type).collect();
    types.sort_unstable();
    types.windows(2).find_map(|pair| match pair {
        [a, b] if a == b => Some(*a),
        _ => None,
    })
}

/// What all members of a group must support beyond the defaults (section 11.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequiredCapabilities {
    /// Required types of extension.
    pub extension_types: Vec<ExtensionType>,
    /// Required types of proposal.
    pub proposal_types: Vec<ProposalType>,
    /// Required types of credential.
    pub credential_types: Vec<CredentialType>,
}
codec!(RequiredCapabilities { extension_types, proposal_types, credential_types });

/// Somebody outside the group who may send it proposals (section 12.1.8.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalSender {
    /// The key that verifies its proposals.
    pub signature_key: SignaturePublicKey,
    /// Who it is.
    pub credential: Credential,
}
codec!(ExternalSender { signature_key, credential });
