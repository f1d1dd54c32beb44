//! A tree of secrets of which what is used is deleted (sections 9 and 9.2): what the secret tree and the
//! exporter tree have in common.

use alloc::collections::BTreeMap;
use conclave_crypto::{CryptoError, Secret, Suite};
use conclave_wire::{LeafIndex, NodeIndex, TreeSize};

/// The secrets of nodes below which nothing has been used.
pub(crate) type NodeSecrets = BTreeMap<NodeIndex, Secret>;

/// Derives a leaf's secret from the lowest secret above it. The changes consume that secret and keep
/// the secrets of the siblings on the way (section 9.2). None if there is no secret above the leaf.
pub(crate) fn consume_path(
    suite: &Suite<'_>,
    size: TreeSize,
    nodes: &NodeSecrets,
    leaf: LeafIndex,
    changes: &mut BTreeMap<NodeIndex, Option<Secret>>,
) -> Result<Option<Secret>, CryptoError> {
    let target = leaf.node();
    let lowest = core::iter::once(target)
        .chain(size.direct_path(target))
        .find_map(|node| Some((node, nodes.get(&node)?)));
    let Some((mut at, secret)) = lowest else { return Ok(None) };
    let mut secret = secret.clone();
    changes.insert(at, None);

    while let Some((left, right)) = at.children() {
        let derive = |side: &[u8]| suite.expand_with_label(&secret, b"tree", side, suite.nh());
        let left_secret = derive(b"left")?;
        let right_secret = derive(b"right")?;

        if left.covers(target) {
            changes.insert(right, Some(right_secret));
            at = left;
            secret = left_secret;
        } else {
            changes.insert(left, Some(left_secret));
            at = right;
            secret = right_secret;
        }
    }
    Ok(Some(secret))
}

/// Exchanges the entries of a map with those of a delta. A second time it restores what was before.
pub(crate) fn swap_entries<K: Ord + Copy, V>(
    map: &mut BTreeMap<K, V>,
    changes: &mut BTreeMap<K, Option<V>>,
) {
    for (key, value) in changes {
        *value = match value.take() {
            Some(new) => map.insert(*key, new),
            None => map.remove(key),
        };
    }
}
