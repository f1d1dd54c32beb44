//! Successions: groups that were made to take the place of others.

use crate::book::Book;
use crate::error::EngineError;
use crate::record::Stage;
use conclave_delivery_api::{CreateGroup, Decode, ResetGroup, is_successor};
use conclave_mls::GroupId;
use conclave_mls::crypto::CryptoProvider;
use conclave_store::Store;

/// The group that another one was made to take the place of, if this device knows it.
pub(crate) fn predecessor<S: Store>(
    book: &Book<S>,
    provider: &dyn CryptoProvider,
    id: &GroupId,
) -> Option<GroupId> {
    let names = |old: &&GroupId| is_successor(provider, id, old).unwrap_or(false);
    book.records().keys().find(names).cloned()
}

/// Whether this device is in a group, or was when it ended, and in no successor of it.
pub(crate) fn is_in<S: Store>(book: &Book<S>, old: &GroupId) -> bool {
    let stage = book.record(old).map(|record| &record.stage);
    matches!(stage, Some(Stage::Active | Stage::Ended))
}

/// The request that creates a group in the place of another one; none if it takes no other's place. `request` is the encoded
/// request that would create the group by itself.
pub(crate) fn reset_request<S: Store>(
    book: &Book<S>,
    provider: &dyn CryptoProvider,
    id: &GroupId,
    request: &[u8],
) -> Result<Option<ResetGroup>, EngineError> {
    let Some(old) = predecessor(book, provider, id).filter(|old| is_in(book, old)) else {
        return Ok(None);
    };
    let successor = CreateGroup::from_bytes(request).map_err(conclave_mls::Error::from)?;
    Ok(Some(ResetGroup { group_id: old, successor }))
}
