//! The rules of sections 7.2 and 7.3 that depend on a single leaf node.

use crate::error::{LeafRule, TreeError};
use crate::view::LeafView;
use alloc::vec::Vec;
use conclave_crypto::{CryptoError, SignatureKeyPair, Suite};
use conclave_wire::{
    CipherSuite, CredentialType, Encode, ExtensionType, LeafNode, LeafNodeContext, LeafNodeTbs,
    ProtocolVersion,
};

/// The label of a leaf node's signature (section 7.2).
pub(crate) const LEAF_LABEL: &[u8] = b"LeafNodeTBS";

/// The SignContent of a leaf node's signature (section 7.2), for [`Suite::verify_many`]. `context`
/// is as in [`verify_leaf_signature`].
///
/// # Errors
/// If the node is too long to encode.
pub fn leaf_sign_content(
    leaf: &LeafNode,
    context: LeafNodeContext<'_>,
) -> Result<Vec<u8>, CryptoError> {
    let tbs = LeafNodeTbs { leaf_node: leaf, context }.to_bytes().map_err(CryptoError::Encode)?;
    Suite::sign_content(LEAF_LABEL, &tbs)
}

/// Verifies a leaf node's signature with its own key (section 7.3).
///
/// `context` is the node's current or future place. It matters only for nodes from an Update or a
/// Commit.
///
/// # Errors
/// [`TreeError::LeafSignature`]; or if the node is too long to encode.
pub fn verify_leaf_signature(
    suite: &Suite<'_>,
    leaf: &LeafNode,
    context: LeafNodeContext<'_>,
) -> Result<(), TreeError> {
    let tbs = LeafNodeTbs { leaf_node: leaf, context }.to_bytes()?;
    suite
        .verify_with_label(&leaf.signature_key, LEAF_LABEL, &tbs, &leaf.signature)
        .map_err(|e| TreeError::of_input(e, TreeError::LeafSignature { leaf: context.leaf_index }))
}

/// Signs a leaf node and sets its signature (section 7.2). `context` is as in
/// [`verify_leaf_signature`]; the key pair must be that of the node's `signature_key`.
///
/// # Errors
/// If the key pair is invalid, or the node is too long to encode.
pub fn sign_leaf(
    suite: &Suite<'_>,
    leaf: &mut LeafNode,
    signer: &SignatureKeyPair,
    context: LeafNodeContext<'_>,
) -> Result<(), TreeError> {
    let tbs = LeafNodeTbs { leaf_node: leaf, context }.to_bytes().map_err(CryptoError::Encode)?;
    leaf.signature = suite.sign_with_label(signer, LEAF_LABEL, &tbs)?.into();
    Ok(())
}

/// Checks the rules of sections 7.2, 7.3 and 13.4 for a received leaf node: its capabilities must
/// list the credential's type and all non-default extensions, and no extension may occur twice. The
/// signature, lifetime and credential are not checked.
///
/// The rules are the same for leaves in messages and in trees. Deviations that section 7.3 does not
/// name are tolerated, because refusing them would cut this client off from a group that continues:
/// capabilities that list default types, or that lack the version or cipher suite in use.
///
/// # Errors
/// The first rule that is broken.
pub fn check_leaf_rules(leaf: &LeafNode) -> Result<(), LeafRule> {
    check_rules(
        leaf.credential.credential_type(),
        leaf.capabilities.credentials.iter().map(|v| v.0),
        leaf.capabilities.extensions.iter().map(|v| v.0),
        leaf.extensions.iter().map(|e| e.extension_type.0).collect(),
    )
}

/// Checks a leaf node of our own: [`check_leaf_rules`], and that its capabilities list the protocol
/// version and the cipher suite (section 7.2).
///
/// # Errors
/// The first rule that is broken.
pub fn check_own_leaf_rules(leaf: &LeafNode, cipher_suite: CipherSuite) -> Result<(), LeafRule> {
    let capabilities = &leaf.capabilities;
    if !capabilities.versions.contains(&ProtocolVersion::MLS_1_0) {
        return Err(LeafRule::VersionNotListed);
    }
    if !capabilities.cipher_suites.contains(&cipher_suite) {
        return Err(LeafRule::CipherSuiteNotListed(cipher_suite));
    }

    check_leaf_rules(leaf)
}

/// [`check_leaf_rules`] for an encoded leaf.
pub(crate) fn check_view(leaf: &LeafView<'_>) -> Result<(), LeafRule> {
    check_rules(
        leaf.credential_type,
        leaf.credential_types.iter(),
        leaf.extension_types.iter(),
        leaf.extensions.clone(),
    )
}

fn check_rules(
    credential_type: CredentialType,
    mut credential_types: impl Iterator<Item = u16>,
    extension_types: impl Iterator<Item = u16>,
    mut extensions: Vec<u16>,
) -> Result<(), LeafRule> {
    if !credential_types.any(|v| v == credential_type.0) {
        return Err(LeafRule::CredentialTypeNotListed(credential_type));
    }
    if extensions.is_empty() {
        return Ok(());
    }

    // Both lists are attacker-controlled: sorting avoids O(n²).
    extensions.sort_unstable();
    for pair in extensions.windows(2) {
        if let [a, b] = pair
            && a == b
        {
            return Err(LeafRule::DuplicateExtension(ExtensionType(*a)));
        }
    }

    let listed = sorted(extension_types);
    let mut not_default = extensions.into_iter().filter(|v| !ExtensionType(*v).is_default());
    match not_default.find(|v| listed.binary_search(v).is_err()) {
        Some(missing) => Err(LeafRule::ExtensionNotListed(ExtensionType(missing))),
        None => Ok(()),
    }
}

fn sorted(codes: impl Iterator<Item = u16>) -> Vec<u16> {
    let mut codes: Vec<u16> = codes.collect();
    codes.sort_unstable();
    codes
}
