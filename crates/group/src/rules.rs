//! The rules of sections 7.3, 11.1 and 13.4 for leaf nodes and what the members support.

use crate::config::Config;
use crate::error::{Error, Rejection};
use crate::limits::{Limit, Limits};
use alloc::vec::Vec;
use conclave_crypto::Suite;
use conclave_tree::{TreeRead, check_leaf_rules, check_own_leaf_rules, verify_leaf_signature};
use conclave_wire::{
    CustomProposal, Encode, Extension, ExtensionType, ExternalSender, HpkePublicKey, LeafNode,
    LeafNodeContext, LeafNodeSource, ProposalType, RequiredCapabilities, duplicate_extension,
    find_extension,
};

/// What a leaf node must fulfil by itself: its own lists, its key, its signature.
pub(crate) fn check_leaf(
    suite: &Suite<'_>,
    limits: &Limits,
    leaf: &LeafNode,
    context: LeafNodeContext<'_>,
) -> Result<(), Error> {
    check_leaf_unsigned(suite, limits, leaf)?;
    Ok(verify_leaf_signature(suite, leaf, context)?)
}

/// [`check_leaf`] but for the signature.
pub(crate) fn check_leaf_unsigned(
    suite: &Suite<'_>,
    limits: &Limits,
    leaf: &LeafNode,
) -> Result<(), Error> {
    check_leaf_bytes(limits, leaf)?;
    check_leaf_rules(leaf).map_err(Rejection::LeafRule)?;
    check_public_key(suite, &leaf.encryption_key)
}

/// Checks what the RFC asks of the maker of a leaf node, more than others will check, but for what
/// signing the leaf has settled.
pub(crate) fn check_own_leaf(
    suite: &Suite<'_>,
    config: &Config,
    leaf: &LeafNode,
) -> Result<(), Error> {
    check_leaf_bytes(&config.limits, leaf)?;
    config.check_advertised(leaf)?;
    Ok(check_own_leaf_rules(leaf, suite.cipher_suite()).map_err(Rejection::LeafRule)?)
}

/// That a leaf node is within its limit.
pub(crate) fn check_leaf_bytes(limits: &Limits, leaf: &LeafNode) -> Result<(), Error> {
    Ok(limits.check(Limit::LeafBytes, leaf.to_bytes()?.len())?)
}

/// That an HPKE public key is one of the suite.
pub(crate) fn check_public_key(suite: &Suite<'_>, key: &HpkePublicKey) -> Result<(), Error> {
    suite.validate_hpke_public_key(key).map_err(|e| Error::of_input(e, Rejection::InvalidPublicKey))
}

/// A key package's lifetime, at `now` (section 7.3).
///
/// Asked when this client is about to use a key package, as it must be; not of leaf nodes in
/// messages and trees that are received, as it need not be: they may have expired under way, and
/// clients that judge by their clocks would part from the group, or could not join it.
pub(crate) fn check_lifetime(leaf: &LeafNode, now: u64, config: &Config) -> Result<(), Error> {
    let LeafNodeSource::KeyPackage(lifetime) = &leaf.leaf_node_source else { return Ok(()) };
    if lifetime.not_after.saturating_sub(lifetime.not_before) > config.limits.lifetime {
        return Err(Rejection::LifetimeTooLong.into());
    }
    check_within_lifetime(leaf, now, config)
}

/// Checks that `now` is within the lifetime of a key package that was checked before.
pub(crate) fn check_within_lifetime(
    leaf: &LeafNode,
    now: u64,
    config: &Config,
) -> Result<(), Error> {
    let LeafNodeSource::KeyPackage(lifetime) = &leaf.leaf_node_source else { return Ok(()) };
    let (not_before, not_after) = (lifetime.not_before, lifetime.not_after);
    if now.saturating_add(config.clock_skew) < not_before {
        return Err(Rejection::LifetimeNotBegun { not_before }.into());
    }
    if now > not_after {
        return Err(Rejection::LifetimeExpired { not_after }.into());
    }
    Ok(())
}

/// That a list of extensions is within its limit and holds no type twice (section 13.4).
pub(crate) fn check_extension_list(limits: &Limits, list: &[Extension]) -> Result<(), Rejection> {
    check_extension_bytes(limits, list.iter())?;
    match duplicate_extension(list) {
        Some(twice) => Err(Rejection::DuplicateExtension(twice)),
        None => Ok(()),
    }
}

/// The same of a GroupInfo's extensions, whose ratchet tree has a limit of its own.
pub(crate) fn check_group_info_extensions(
    limits: &Limits,
    list: &[Extension],
) -> Result<(), Rejection> {
    if let Some(twice) = duplicate_extension(list) {
        return Err(Rejection::DuplicateExtension(twice));
    }
    let others = list.iter().filter(|e| e.extension_type != ExtensionType::RATCHET_TREE);
    check_extension_bytes(limits, others)
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

/// That the extensions are well-formed and all members support them, what they require, and each
/// other's credentials.
pub(crate) fn check_group_support(
    limits: &Limits,
    tree: &impl TreeRead,
    extensions: &[Extension],
) -> Result<(), Error> {
    check_extension_support(limits, tree, extensions)?;
    let in_use = tree.credential_types_in_use();
    if let Some(t) = in_use.into_iter().find(|t| !tree.all_support_credential(*t)) {
        return Err(Rejection::UnsupportedCredential(t).into());
    }
    Ok(())
}

/// That the extensions are well-formed and all members support them and what they require.
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
    if let Some(required) = required_capabilities(extensions)? {
        if let Some(t) = required.extension_types.iter().copied().find(unsupported) {
            return Err(Rejection::UnsupportedExtension(t).into());
        }
        let proposals = required.proposal_types.iter().filter(|t| !t.is_default());
        if let Some(t) = proposals.copied().find(|t| !tree.all_support_proposal(*t)) {
            return Err(Rejection::UnsupportedProposal(t).into());
        }
        let credentials = required.credential_types.iter().copied();
        if let Some(t) = credentials.into_iter().find(|t| !tree.all_support_credential(*t)) {
            return Err(Rejection::UnsupportedCredential(t).into());
        }
    }
    Ok(())
}

/// What this client knows of a type of proposal that RFC 9420 does not define.
pub(crate) fn custom_proposal(
    config: &Config,
    wanted: ProposalType,
) -> Result<&CustomProposal, Rejection> {
    let known = config.proposals.iter().find(|known| known.proposal_type == wanted);
    known.filter(|_| !wanted.is_default()).ok_or(Rejection::UnsupportedProposal(wanted))
}

/// What a `required_capabilities` extension asks of the members, if there is one.
pub(crate) fn required_capabilities(
    extensions: &[Extension],
) -> Result<Option<RequiredCapabilities>, Error> {
    Ok(find_extension(extensions, ExtensionType::REQUIRED_CAPABILITIES)?)
}

/// The senders that an `external_senders` extension lists; none without the extension.
pub(crate) fn external_senders(extensions: &[Extension]) -> Result<Vec<ExternalSender>, Error> {
    Ok(find_extension(extensions, ExtensionType::EXTERNAL_SENDERS)?.unwrap_or_default())
}
