//! Whether a GroupInfo fits the state of an observer, and if not, where.

use crate::error::{Error, Rejection};
use crate::join::by_welcome::check_group_info_signature;
use crate::state::public::PublicState;
use crate::validate::leaf::{check_group_info_extensions, check_public_key};
use alloc::vec::Vec;
use conclave_crypto::Suite;
use conclave_tree::TreeRead;
use conclave_wire::{
    Bytes, Encode, ExtensionType, GroupContext, GroupInfo, HpkePublicKey, extension_of_type,
    find_extension,
};

/// A part of a GroupInfo that does not fit the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupInfoMisfit {
    /// Its name in RFC 9420, such as `tree_hash`; of an extension of the GroupInfo, the extension's.
    pub field: &'static str,
    /// What the group has, encoded; none if only its members know, or it has nothing of the kind.
    pub expected: Option<Bytes>,
    /// What the GroupInfo has, encoded; none if that is missing.
    pub found: Option<Bytes>,
    /// What a GroupInfo is refused with in which this is the first misfit.
    pub(crate) error: Error,
}

/// An encoded value, or none if it cannot be encoded: nobody else could have it then.
fn encoded(value: &impl Encode) -> Option<Bytes> {
    value.to_bytes().ok().map(Bytes::from)
}

/// Compares a field that the group has, too.
fn compare<T: Encode + PartialEq>(
    field: &'static str,
    (expected, found): (&T, &T),
    error: Rejection,
) -> Option<GroupInfoMisfit> {
    (expected != found).then(|| GroupInfoMisfit {
        field,
        expected: encoded(expected),
        found: encoded(found),
        error: error.into(),
    })
}

/// The fields of a GroupContext that differ.
fn context_misfits(own: &GroupContext, given: &GroupContext) -> Vec<GroupInfoMisfit> {
    let wrong_epoch = Rejection::WrongEpoch { message: given.epoch, current: own.epoch };
    let other = || Rejection::TreeHash;
    let (hash, given_hash) = (&own.confirmed_transcript_hash, &given.confirmed_transcript_hash);
    let misfits = [
        compare("group_id", (&own.group_id, &given.group_id), Rejection::WrongGroup),
        compare("epoch", (&own.epoch, &given.epoch), wrong_epoch),
        compare("version", (&own.version, &given.version), other()),
        compare("cipher_suite", (&own.cipher_suite, &given.cipher_suite), other()),
        compare("tree_hash", (&own.tree_hash, &given.tree_hash), other()),
        compare("confirmed_transcript_hash", (hash, given_hash), other()),
        compare("extensions", (&own.extensions, &given.extensions), other()),
    ];
    misfits.into_iter().flatten().collect()
}

/// A member has to have signed it.
fn signer_misfit(
    suite: &Suite<'_>,
    public: &PublicState,
    info: &GroupInfo,
) -> Result<Option<GroupInfoMisfit>, Error> {
    let Some(key) = public.tree.signature_key(info.signer) else {
        let (expected, found) = (None, encoded(&info.signer));
        let error = Rejection::GroupInfoSigner.into();
        return Ok(Some(GroupInfoMisfit { field: "signer", expected, found, error }));
    };
    let found = Some(info.signature.clone());
    match check_group_info_signature(suite, info, &key) {
        Ok(()) => Ok(None),
        Err(error @ (Error::Rejected(_) | Error::Malformed(_))) => {
            Ok(Some(GroupInfoMisfit { field: "signature", expected: None, found, error }))
        }
        Err(other) => Err(other),
    }
}

/// It has to hold a key to join by, that of an earlier GroupInfo of the epoch.
fn external_pub_misfit(
    suite: &Suite<'_>,
    before: Option<&HpkePublicKey>,
    info: &GroupInfo,
) -> Result<Option<GroupInfoMisfit>, Error> {
    let error = match can_be_joined_by(suite, info) {
        Ok(key) if before.is_none_or(|before| *before == key) => return Ok(None),
        Ok(_) => Rejection::ExternalPubChanged.into(),
        Err(error @ (Error::Rejected(_) | Error::Malformed(_))) => error,
        Err(other) => return Err(other),
    };
    let extension = extension_of_type(&info.extensions, ExtensionType::EXTERNAL_PUB);
    let found = extension.map(|extension| extension.extension_data.clone());
    let expected = before.and_then(encoded);
    Ok(Some(GroupInfoMisfit { field: "external_pub", expected, found, error }))
}

/// If it holds a ratchet tree, that has to be the group's.
fn tree_misfit(public: &PublicState, info: &GroupInfo) -> Option<GroupInfoMisfit> {
    let given = extension_of_type(&info.extensions, ExtensionType::RATCHET_TREE)?;
    let own = public.tree.to_extension_bytes().ok().map(Bytes::from);
    (own.as_ref() != Some(&given.extension_data)).then(|| GroupInfoMisfit {
        field: "ratchet_tree",
        expected: own,
        found: Some(given.extension_data.clone()),
        error: Rejection::TreeHash.into(),
    })
}

/// All in which a GroupInfo does not fit a group's state, of which there was one with this key before in the epoch. Of
/// one of another group, suite or epoch, only the GroupContext is looked at: the rest cannot fit.
///
/// # Errors
/// If it breaks a rule by itself, whatever the state, or the provider fails.
pub(crate) fn group_info_misfits(
    suite: &Suite<'_>,
    public: &PublicState,
    before: Option<&HpkePublicKey>,
    info: &GroupInfo,
) -> Result<Vec<GroupInfoMisfit>, Error> {
    let (own, given) = (&public.epoch.context, &info.group_context);
    let mut misfits = context_misfits(own, given);
    let is_of =
        |context: &GroupContext| (context.group_id.clone(), context.epoch, context.cipher_suite);
    if is_of(own) != is_of(given) {
        return Ok(misfits);
    }
    let tags = (&public.epoch.confirmation_tag, &info.confirmation_tag);
    misfits.extend(compare("confirmation_tag", tags, Rejection::ConfirmationTag));
    misfits.extend(signer_misfit(suite, public, info)?);
    if misfits.is_empty() {
        check_group_info_extensions(&public.config.limits, &info.extensions)?;
    }
    misfits.extend(external_pub_misfit(suite, before, info)?);
    misfits.extend(tree_misfit(public, info));
    Ok(misfits)
}

/// The key by which clients join from outside. It fails if the GroupInfo has none (section
/// 12.4.3.2).
pub(crate) fn can_be_joined_by(
    suite: &Suite<'_>,
    info: &GroupInfo,
) -> Result<HpkePublicKey, Error> {
    let key = find_extension(&info.extensions, ExtensionType::EXTERNAL_PUB)?
        .ok_or(Rejection::ExternalPubMissing)?;
    check_public_key(suite, &key)?;
    Ok(key)
}
