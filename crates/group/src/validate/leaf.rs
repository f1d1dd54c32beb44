//! The rules of sections 7.3, 11.1 and 13.4 for leaf nodes and what the members support.

use crate::error::limit::Limit;
use crate::error::{Error, Misuse, Rejection};
use crate::limits::Limits;
use crate::validate::bindings;
use crate::validate::components::{check_dictionary, check_leaf_components, check_own_components};
use alloc::vec::Vec;
use conclave_crypto::Suite;
use conclave_tree::{TreeRead, check_leaf_rules, check_own_leaf_rules, verify_leaf_signature};
use conclave_wire::{
    CustomProposal, Encode, Extension, ExtensionType, ExternalSender, HpkePublicKey, LeafNode,
    LeafNodeContext, MultiCredential, ProposalType, RequiredCapabilities, duplicate_extension,
    find_extension, is_grease,
};

/// Checks a leaf node by itself: its own lists, its key, its signature.
pub(crate) fn check_leaf(
    suite: &Suite<'_>,
    limits: &Limits,
    leaf: &LeafNode,
    context: LeafNodeContext<'_>,
) -> Result<(), Error> {
    check_leaf_unsigned(suite, limits, leaf)?;
    Ok(verify_leaf_signature(suite, leaf, context)?)
}

/// [`check_leaf`] without the signature.
pub(crate) fn check_leaf_unsigned(
    suite: &Suite<'_>,
    limits: &Limits,
    leaf: &LeafNode,
) -> Result<(), Error> {
    check_leaf_bytes(limits, leaf)?;
    check_leaf_rules(leaf).map_err(Rejection::LeafRule)?;
    check_leaf_components(leaf)?;
    bindings::check_shape(limits, &leaf.credential)?;
    check_public_key(suite, &leaf.encryption_key)
}

/// Checks what the RFC asks of the maker of a leaf node, which is more than receivers check. The
/// signature is our own and needs no check.
pub(crate) fn check_own_leaf(
    suite: &Suite<'_>,
    limits: &Limits,
    implemented: &[CustomProposal],
    leaf: &LeafNode,
) -> Result<(), Error> {
    check_leaf_bytes(limits, leaf)?;
    check_advertised(implemented, leaf)?;
    check_own_components(leaf)?;
    bindings::check_shape(limits, &leaf.credential)?;
    Ok(check_own_leaf_rules(leaf, suite.cipher_suite()).map_err(Rejection::LeafRule)?)
}

/// Checks that this client implements the proposal types that its leaf advertises (section 13.4).
/// This can be known for proposals only: extensions and credentials of any type are carried, and
/// are the application's business.
pub(crate) fn check_advertised(
    implemented: &[CustomProposal],
    leaf: &LeafNode,
) -> Result<(), Error> {
    let implemented = |wanted: ProposalType| {
        wanted.is_known() || implemented.iter().any(|known| known.proposal_type == wanted)
    };
    let mut advertised = leaf.capabilities.proposals.iter().copied();
    match advertised.find(|t| !t.is_default() && !is_grease(t.0) && !implemented(*t)) {
        Some(t) => Err(Misuse::NotImplemented(t).into()),
        None => Ok(()),
    }
}

/// Checks that a leaf node is within its limit.
pub(crate) fn check_leaf_bytes(limits: &Limits, leaf: &LeafNode) -> Result<(), Error> {
    Ok(limits.check(Limit::LeafBytes, leaf.to_bytes()?.len())?)
}

/// Checks that an HPKE public key is valid in the suite.
pub(crate) fn check_public_key(suite: &Suite<'_>, key: &HpkePublicKey) -> Result<(), Error> {
    suite.validate_hpke_public_key(key).map_err(|e| Error::of_input(e, Rejection::InvalidPublicKey))
}

/// Checks that a list of extensions is within its limit and holds no type twice (section 13.4), and that
/// its data of components can be read.
pub(crate) fn check_extension_list(limits: &Limits, list: &[Extension]) -> Result<(), Error> {
    check_extension_bytes(limits, list.iter())?;
    match duplicate_extension(list) {
        Some(twice) => Err(Rejection::DuplicateExtension(twice).into()),
        None => check_dictionary(list),
    }
}

/// [`check_extension_list`] for a GroupInfo, whose ratchet tree has its own limit.
pub(crate) fn check_group_info_extensions(
    limits: &Limits,
    list: &[Extension],
) -> Result<(), Error> {
    if let Some(twice) = duplicate_extension(list) {
        return Err(Rejection::DuplicateExtension(twice).into());
    }
    let others = list.iter().filter(|e| e.extension_type != ExtensionType::RATCHET_TREE);
    check_extension_bytes(limits, others)?;
    check_dictionary(list)
}

/// Whether RFC 9420 defines an extension for GroupInfos, so that it is not the application's to
/// set.
pub(crate) fn is_of_group_info(extension: &Extension) -> bool {
    [ExtensionType::RATCHET_TREE, ExtensionType::EXTERNAL_PUB].contains(&extension.extension_type)
}

fn check_extension_bytes<'a>(
    limits: &Limits,
    list: impl Iterator<Item = &'a Extension>,
) -> Result<(), Rejection> {
    // A type, a length header (section 2.1.2), and the data.
    let size = |e: &Extension| match e.extension_data.len() {
        n @ ..0x40 => n.saturating_add(3),
        n @ ..0x4000 => n.saturating_add(4),
        n => n.saturating_add(6),
    };
    limits.check(Limit::ExtensionsBytes, list.map(size).fold(0, usize::saturating_add))
}

/// Checks that the extensions are well-formed, and that all members support them, what they
/// require, and each other's credentials.
pub(crate) fn check_group_support(
    limits: &Limits,
    tree: &impl TreeRead,
    extensions: &[Extension],
) -> Result<(), Error> {
    check_extension_support(limits, tree, extensions)?;
    let in_use = tree.credential_types_in_use();
    if let Some(t) = in_use.iter().find(|t| !tree.all_support_credential(**t)) {
        return Err(Rejection::UnsupportedCredential(*t).into());
    }
    if in_use.into_iter().any(MultiCredential::is_type) {
        bindings::check_support(limits, tree)?;
    }
    Ok(())
}

/// Checks that the extensions are well-formed, and that all members support them and what they
/// require.
pub(crate) fn check_extension_support(
    limits: &Limits,
    tree: &impl TreeRead,
    extensions: &[Extension],
) -> Result<(), Error> {
    check_extension_list(limits, extensions)?;
    external_senders(extensions)?;

    let unsupported = |t: &ExtensionType| !t.is_default() && !tree.all_support_extension(*t);
    if let Some(t) = extensions.iter().map(|e| e.extension_type).find(unsupported) {
        return Err(Rejection::UnsupportedExtension(t).into());
    }

    let Some(required) = required_capabilities(extensions)? else { return Ok(()) };
    if let Some(t) = required.extension_types.iter().copied().find(unsupported) {
        return Err(Rejection::UnsupportedExtension(t).into());
    }
    let proposals = required.proposal_types.iter().filter(|t| !t.is_default());
    if let Some(t) = proposals.copied().find(|t| !tree.all_support_proposal(*t)) {
        return Err(Rejection::UnsupportedProposal(t).into());
    }
    let mut credentials = required.credential_types.iter().copied();
    if let Some(t) = credentials.find(|t| !tree.all_support_credential(*t)) {
        return Err(Rejection::UnsupportedCredential(t).into());
    }
    Ok(())
}

/// What this client knows of a proposal type that this library does not define.
pub(crate) fn custom_proposal(
    implemented: &[CustomProposal],
    wanted: ProposalType,
) -> Result<&CustomProposal, Rejection> {
    let known = implemented.iter().find(|known| known.proposal_type == wanted);
    known
        .filter(|known| !wanted.is_known() && known.self_remove.is_none())
        .ok_or(Rejection::UnsupportedProposal(wanted))
}

/// The content of the `required_capabilities` extension, if there is one.
pub(crate) fn required_capabilities(
    extensions: &[Extension],
) -> Result<Option<RequiredCapabilities>, Error> {
    Ok(find_extension(extensions, ExtensionType::REQUIRED_CAPABILITIES)?)
}

/// The senders in the `external_senders` extension; none without it.
pub(crate) fn external_senders(extensions: &[Extension]) -> Result<Vec<ExternalSender>, Error> {
    Ok(find_extension(extensions, ExtensionType::EXTERNAL_SENDERS)?.unwrap_or_default())
}
