use super::ratchet::{MessageKey, Ratchet, RatchetId};
use super::row::{SecretTreeRow, encode_key, encode_node, encode_ratchet};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use conclave_crypto::Secret;
use conclave_wire::NodeIndex;
use core::fmt;

/// The change of a secret tree by the use of one message key: a few entries, each with its new
/// value or none.
///
/// Store its [`rows`](Self::rows), then [swap](super::SecretTree::swap) it in. It fits only the state that
/// it was made from.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretTreeDelta {
    pub(super) nodes: BTreeMap<NodeIndex, Option<Secret>>,
    pub(super) ratchets: BTreeMap<RatchetId, Option<Ratchet>>,
    pub(super) skipped: BTreeMap<(RatchetId, u32), Option<MessageKey>>,
}

impl fmt::Debug for SecretTreeDelta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretTreeDelta")
            .field("nodes", &self.nodes.len())
            .field("ratchets", &self.ratchets.len())
            .field("skipped", &self.skipped.len())
            .finish()
    }
}

impl SecretTreeDelta {
    /// The rows to store with their new contents; `None` deletes a row. A sender's first message
    /// has O(log n) rows. A later one has one, and one for each key that is newly skipped, used or
    /// dropped.
    ///
    /// Call this before the delta is swapped in. Afterwards it holds the old values.
    #[must_use]
    pub fn rows(&self) -> Vec<(SecretTreeRow, Option<Secret>)> {
        let nodes = self
            .nodes
            .iter()
            .map(|(node, value)| (SecretTreeRow::Node(node.0), value.as_ref().map(encode_node)));
        let ratchets =
            self.ratchets.iter().map(|(id, value)| (id.row(), value.as_ref().map(encode_ratchet)));
        let skipped = self.skipped.iter().map(|((id, generation), value)| {
            (id.skipped_row(*generation), value.as_ref().map(encode_key))
        });
        nodes.chain(ratchets).chain(skipped).collect()
    }
}
