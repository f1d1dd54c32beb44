//! The exporter tree of the current epoch (draft-ietf-mls-extensions-10, "Exported Secrets"): when there
//! is one, how it changes, and its rows.
//!
//! A group whose members do not use the draft pays nothing for it: the tree is derived only if our own
//! leaf advertises `app_data_dictionary`. It ends with its epoch, even if the epoch is kept as a past one.

use crate::error::Error;
use crate::store::row_codec::StoredRows;
use crate::store::rows::{Batch, RowKey, Table};
use alloc::format;
use conclave_crypto::{CryptoError, Suite};
use conclave_schedule::{EpochSecrets, ExporterTree, ExporterTreeDelta, MemberSecret};
use conclave_tree::{Feature, TreeRead};
use conclave_wire::{Epoch, ExtensionType, LeafIndex};

/// Whether the client at a leaf derives the secrets of components: whether its leaf advertises
/// `app_data_dictionary`.
pub(crate) fn exports(tree: &impl TreeRead, leaf: LeafIndex) -> bool {
    let dictionary = ExtensionType::APP_DATA_DICTIONARY;
    // The count is cheap, and in a group that does not use the draft it is zero.
    tree.members_with(Feature::Extension(dictionary)) > 0
        && tree.leaf(leaf).is_some_and(|leaf| leaf.capabilities.extensions.contains(&dictionary))
}

/// The secrets of an epoch, with those of components if our leaf in its tree asks for them.
pub(crate) fn epoch_secrets(
    suite: &Suite<'_>,
    member: MemberSecret,
    context: &[u8],
    exports: bool,
) -> Result<EpochSecrets, CryptoError> {
    if exports {
        member.epoch_with_application_export(suite, context)
    } else {
        member.epoch(suite, context)
    }
}

/// A change of the current exporter tree.
#[derive(Default)]
pub(crate) enum ExporterChange {
    #[default]
    Keep,
    /// A component exports.
    Part(ExporterTreeDelta),
    /// The epoch changes, or the group is deleted.
    Whole(Option<ExporterTree>),
}

impl ExporterChange {
    /// Exchanges the change with what it changes. Twice is the identity.
    pub(crate) fn swap(&mut self, tree: &mut Option<ExporterTree>) {
        match self {
            Self::Keep => {}
            Self::Part(part) => {
                if let Some(tree) = tree {
                    tree.swap(part);
                }
            }
            Self::Whole(whole) => core::mem::swap(whole, tree),
        }
    }

    /// Whether there is a tree after the change. `now` says whether there is one before it.
    pub(crate) fn is_some_after(&self, now: bool) -> bool {
        match self {
            Self::Keep | Self::Part(_) => now,
            Self::Whole(whole) => whole.is_some(),
        }
    }
}

fn row_key(epoch: Epoch, node: u64) -> RowKey {
    RowKey::of_epoch(Table::ExporterNode, epoch.0, node)
}

/// Writes all rows of a tree.
pub(crate) fn put_rows(epoch: Epoch, tree: &ExporterTree, batch: &mut Batch) {
    for (node, content) in tree.rows() {
        batch.put(row_key(epoch, node), content);
    }
}

/// Writes the rows that an export changes.
pub(crate) fn put_change(epoch: Epoch, change: &ExporterTreeDelta, batch: &mut Batch) {
    for (node, content) in change.rows() {
        batch.set(row_key(epoch, node), content);
    }
}

/// Deletes all rows of a tree whose epoch ends.
pub(crate) fn delete_rows(epoch: Epoch, tree: &ExporterTree, batch: &mut Batch) {
    if !batch.deleted_epochs.contains(&epoch.0) {
        tree.rows().for_each(|(node, _)| batch.delete(row_key(epoch, node)));
    }
}

/// The tree of the current epoch from its rows. None if it has none; the ledger knows whether it
/// should.
pub(crate) fn load(rows: &StoredRows, epoch: Epoch) -> Result<Option<ExporterTree>, Error> {
    let mut stored = rows.of_epochs(Table::ExporterNode);
    if stored.next_epoch().is_none() {
        return Ok(None);
    }

    let current = stored.take(epoch.0).contents().map(|(key, content)| (key.index, content));
    let tree = ExporterTree::load(current)
        .map_err(|e| Error::storage(format!("exporter tree of epoch {epoch}: {e}")))?;
    match stored.next_epoch() {
        Some(stray) => Err(Error::storage(format!("exporter tree of another epoch {stray}"))),
        None => Ok(Some(tree)),
    }
}
