//! Why a GroupInfo or a ratchet tree does not fit a group.

use super::ServiceError;
use super::framed::decode_message;
use conclave_delivery_api::{Details, ErrorCode, FieldMisfit, GroupId};
use conclave_mls::Error;
use conclave_mls::crypto::CryptoProvider;
use conclave_mls::group::TreeRead;
use conclave_mls::observe::Observer;
use conclave_mls::wire::{Epoch, GroupInfo, MlsMessageBody};

fn mismatch(what: &str, misfits: Vec<FieldMisfit>) -> ServiceError {
    let fields: Vec<_> =
        misfits.iter().map(|misfit| String::from_utf8_lossy(&misfit.field)).collect();
    let detail = format!("{what} does not fit the group after this commit: {}", fields.join(", "));
    ServiceError::new(ErrorCode::GroupInfoMismatch, detail).with(Details::GroupInfo(misfits))
}

/// What is given as a GroupInfo.
pub(super) fn decode_group_info(message: &[u8]) -> Result<GroupInfo, ServiceError> {
    match decode_message(message)? {
        MlsMessageBody::GroupInfo(info) => Ok(*info),
        _ => Err(ServiceError::invalid("what is given as a GroupInfo is none")),
    }
}

/// Checks what can be checked of a GroupInfo in an opaque group: that it is one, of this group and epoch.
pub(super) fn check_group_info(
    message: &[u8],
    group: &GroupId,
    epoch: u64,
) -> Result<(), ServiceError> {
    let context = decode_group_info(message)?.group_context;
    let mut misfits = Vec::new();
    if context.group_id != *group {
        misfits.push(FieldMisfit::of("group_id", Some(group), Some(&context.group_id)));
    }
    if context.epoch != Epoch(epoch) {
        let (expected, found) = (epoch.to_be_bytes(), context.epoch.0.to_be_bytes());
        misfits.push(FieldMisfit::of("epoch", Some(&expected), Some(&found)));
    }
    match misfits.is_empty() {
        true => Ok(()),
        false => Err(mismatch("the GroupInfo", misfits)),
    }
}

/// The refusal of a GroupInfo that an observer does not take.
pub(super) fn group_info_refused(
    observer: &Observer,
    provider: &dyn CryptoProvider,
    group_info: &[u8],
    error: &Error,
) -> ServiceError {
    if let Err(refused) = decode_group_info(group_info) {
        return refused;
    }
    let misfits = observer.group_info_misfits(provider, group_info).unwrap_or_default();
    if misfits.is_empty() {
        return ServiceError::invalid(error);
    }
    let of = |misfit: &conclave_mls::observe::GroupInfoMisfit| {
        FieldMisfit::of(misfit.field, misfit.expected.as_deref(), misfit.found.as_deref())
    };
    mismatch("the GroupInfo", misfits.iter().map(of).collect())
}

/// Checks that a ratchet tree that is to go to new members is the group's.
pub(super) fn check_tree(observer: &Observer, given: &[u8]) -> Result<(), ServiceError> {
    let own = observer.tree().to_extension_bytes().map_err(ServiceError::invalid)?;
    if own == given {
        return Ok(());
    }
    let misfit = FieldMisfit::of("ratchet_tree", Some(&own), Some(given));
    Err(mismatch("the ratchet tree", vec![misfit]))
}
