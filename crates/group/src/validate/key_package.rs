//! The rules of section 10.1 for key packages, except lifetime and credential.

use crate::error::{Error, Rejection};
use crate::limits::Limits;
use crate::validate::leaf;
use alloc::vec::Vec;
use conclave_crypto::{Suite, VerifyItem};
use conclave_tree::{TreeError, leaf_sign_content};
use conclave_wire::{
    Encode, GroupId, KeyPackage, KeyPackageTbs, LeafIndex, LeafNodeContext, LeafNodeSource,
    ProtocolVersion, SignaturePublicKey,
};

/// The label of a key package's signature (section 10).
pub(crate) const KEY_PACKAGE_LABEL: &[u8] = b"KeyPackageTBS";

/// Checks the part of section 10.1 that depends on the group that the key package is used in and on
/// its limits.
pub(crate) fn check_key_package_fits(
    suite: &Suite<'_>,
    limits: &Limits,
    kp: &KeyPackage,
) -> Result<(), Error> {
    if kp.version != ProtocolVersion::MLS_1_0 {
        return Err(Rejection::WrongVersion(kp.version).into());
    }
    if kp.cipher_suite != suite.cipher_suite() {
        return Err(Rejection::WrongCipherSuite(kp.cipher_suite).into());
    }
    leaf::check_leaf_bytes(limits, &kp.leaf_node)?;
    leaf::check_extension_list(limits, &kp.extensions)
}

/// Checks a key package by section 10.1, except for lifetime and credential.
///
/// The leaf's capabilities must list the key package's extensions: that binds its maker (section
/// 10). A receiver ignores the extensions that it does not know, listed or not (section 13.4).
pub(crate) fn check_key_package(
    suite: &Suite<'_>,
    limits: &Limits,
    kp: &KeyPackage,
) -> Result<(), Error> {
    check_key_packages(suite, limits, core::iter::once(kp)).map_err(|(_, error)| error)
}

/// How many key packages are verified together: enough for a provider's batches, few enough that
/// their signed contents take little memory.
const TOGETHER: usize = 1024;

/// [`check_key_package`] for many. The error holds the index of the key package.
pub(crate) fn check_key_packages<'a>(
    suite: &Suite<'_>,
    limits: &Limits,
    list: impl Iterator<Item = &'a KeyPackage>,
) -> Result<(), (usize, Error)> {
    let mut signed = Vec::new();
    let mut checked = 0;
    for (i, kp) in list.enumerate() {
        let signatures = check_unsigned(suite, limits, kp).and_then(|()| signatures(kp));
        signed.extend(signatures.map_err(|error| (i, error))?);
        if signed.len() >= 2 * TOGETHER {
            verify_together(suite, &signed).map_err(|(n, error)| (checked + n, error))?;
            signed.clear();
            checked = i + 1;
        }
    }
    verify_together(suite, &signed).map_err(|(n, error)| (checked + n, error))
}

/// A SignContent with its key and signature.
type Signed<'a> = (&'a SignaturePublicKey, Vec<u8>, &'a [u8]);

/// The two signed contents of a key package: its leaf node, and the whole.
fn signatures(kp: &KeyPackage) -> Result<[Signed<'_>; 2], Error> {
    let nowhere = GroupId::default();
    let context = LeafNodeContext { group_id: &nowhere, leaf_index: LeafIndex(0) };
    let leaf = leaf_sign_content(&kp.leaf_node, context)?;
    let whole = Suite::sign_content(KEY_PACKAGE_LABEL, &KeyPackageTbs(kp).to_bytes()?)?;
    let key = &kp.leaf_node.signature_key;
    Ok([(key, leaf, &kp.leaf_node.signature), (key, whole, &kp.signature)])
}

/// Verifies the [`signatures`] of some key packages; the error holds the index of one among them.
fn verify_together(suite: &Suite<'_>, signed: &[Signed<'_>]) -> Result<(), (usize, Error)> {
    let items: Vec<VerifyItem<'_>> = signed
        .iter()
        .map(|(public_key, message, signature)| VerifyItem { public_key, message, signature })
        .collect();
    suite.verify_many(&items).map_err(|(bad, error)| {
        let broken = if bad.is_multiple_of(2) {
            Rejection::Tree(TreeError::LeafSignature { leaf: LeafIndex(0) })
        } else {
            Rejection::KeyPackageSignature
        };
        (bad / 2, Error::of_input(error, broken))
    })
}

/// [`check_key_package`] without the signatures.
fn check_unsigned(suite: &Suite<'_>, limits: &Limits, kp: &KeyPackage) -> Result<(), Error> {
    check_key_package_fits(suite, limits, kp)?;
    if !matches!(kp.leaf_node.leaf_node_source, LeafNodeSource::KeyPackage(_)) {
        return Err(Rejection::KeyPackageLeafSource.into());
    }
    if kp.init_key == kp.leaf_node.encryption_key {
        return Err(Rejection::InitKeyReused.into());
    }
    leaf::check_leaf_unsigned(suite, limits, &kp.leaf_node)?;
    leaf::check_public_key(suite, &kp.init_key)
}
