//! What the contents of rows of several kinds have in common.

use crate::error::Error;
use crate::rows::RowKey;
use alloc::format;
use alloc::string::String;
use conclave_crypto::Secret;
use conclave_tree::TreeError;
use conclave_wire::{Decode, DecodeError, Reader, TreeSize, Writer};

/// The version of the rows' contents.
pub(crate) const ROW_VERSION: u8 = 1;

pub(crate) fn check_row_version(r: &mut Reader<'_>) -> Result<(), Error> {
    match u8::decode(r)? {
        ROW_VERSION => Ok(()),
        other => Err(Error::storage(format!("a row has format {other}, not {ROW_VERSION}"))),
    }
}

/// Appends a secret as an `opaque<V>`.
pub(crate) fn put_secret(w: &mut Writer, secret: &Secret) -> Result<(), Error> {
    Ok(w.put_opaque(secret.expose())?)
}

pub(crate) fn take_secret(r: &mut Reader<'_>) -> Result<Secret, Error> {
    Ok(Secret::copy_from(r.opaque()?))
}

/// The size of a tree, stored as its number of leaves.
pub(crate) fn tree_size(r: &mut Reader<'_>) -> Result<TreeSize, Error> {
    let leaves = u32::decode(r)?;
    TreeSize::for_leaves(leaves)
        .filter(|size| size.leaf_count() == leaves)
        .ok_or_else(|| Error::storage(format!("no tree has {leaves} leaves")))
}

/// That a row holds no more than it should.
pub(crate) fn nothing_left(r: &Reader<'_>) -> Result<(), Error> {
    match r.rest().len() {
        0 => Ok(()),
        n => Err(DecodeError::TrailingBytes(n).into()),
    }
}

/// Stored trees are nobody's message: what is wrong with one is wrong with the store.
pub(crate) fn damaged_tree(e: TreeError) -> Error {
    match e {
        TreeError::Crypto(e) => e.into(),
        other => Error::storage(format!("ratchet tree: {other}")),
    }
}

/// The node or leaf that a row is of. One that no tree has stays one.
pub(crate) fn node_index(key: &RowKey) -> u32 {
    u32::try_from(key.index).unwrap_or(u32::MAX)
}

/// Says which row an error is about.
pub(crate) fn named<T>(key: &RowKey, result: Result<T, Error>) -> Result<T, Error> {
    result.map_err(|e| {
        let epoch = match key.epoch {
            RowKey::NO_EPOCH => String::new(),
            epoch => format!(" of epoch {epoch}"),
        };
        Error::storage(format!("{:?} row {}{epoch}: {e}", key.table, key.index))
    })
}
