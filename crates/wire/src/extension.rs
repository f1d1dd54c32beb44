//! Extensions (sections 7.2, 11.1, 12.1.8.1 and 13.4).

use crate::code_points::{CredentialType, ExtensionType, ProposalType, WireFormat};
use crate::codec::{Decode, codec};
use crate::credential::Credential;
use crate::ids::{Bytes, SignaturePublicKey};
use crate::{DecodeError, Encode, EncodeError};
use alloc::vec::Vec;

/// One extension with its undecoded data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// The type.
    pub extension_type: ExtensionType,
    /// The encoded contents.
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

/// Puts an extension into a list, in place of one of its type.
pub fn put_extension(list: &mut Vec<Extension>, extension: Extension) {
    match list.iter_mut().find(|e| e.extension_type == extension.extension_type) {
        Some(old) => *old = extension,
        None => list.push(extension),
    }
}

/// The extension of a type in a list, with its data encoded.
#[must_use]
pub fn extension_of_type(list: &[Extension], extension_type: ExtensionType) -> Option<&Extension> {
    list.iter().find(|e| e.extension_type == extension_type)
}

/// Finds the extension of a type in a list and decodes its data.
///
/// # Errors
/// If the list has the extension and its data is not an encoded `T`.
pub fn find_extension<T: Decode>(
    list: &[Extension],
    extension_type: ExtensionType,
) -> Result<Option<T>, DecodeError> {
    extension_of_type(list, extension_type).map(|e| T::from_bytes(&e.extension_data)).transpose()
}

/// A type that occurs twice in a list, which is not allowed (section 13.4): the smallest one.
#[must_use]
pub fn duplicate_extension(list: &[Extension]) -> Option<ExtensionType> {
    let mut types: Vec<ExtensionType> = list.iter().map(|e| e.extension_type).collect();
    types.sort_unstable();
    types.windows(2).find_map(|pair| match pair {
        [a, b] if a == b => Some(*a),
        _ => None,
    })
}

/// The capabilities beyond the defaults that all members of a group must have (section 11.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequiredCapabilities {
    /// Required extension types.
    pub extension_types: Vec<ExtensionType>,
    /// Required proposal types.
    pub proposal_types: Vec<ProposalType>,
    /// Required credential types.
    pub credential_types: Vec<CredentialType>,
}
codec!(RequiredCapabilities { extension_types, proposal_types, credential_types });

/// A sender outside the group that may send it proposals (section 12.1.8.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalSender {
    /// The key that verifies its proposals.
    pub signature_key: SignaturePublicKey,
    /// The sender's identity.
    pub credential: Credential,
}
codec!(ExternalSender { signature_key, credential });

/// Wire formats beyond those of RFC 9420: the content of `supported_wire_formats` in a leaf node, and of
/// `required_wire_formats` in a GroupContext (draft-ietf-mls-extensions-10, "Negotiating Extensions and
/// Components").
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WireFormats {
    /// The formats.
    pub wire_formats: Vec<WireFormat>,
}
codec!(WireFormats { wire_formats });
