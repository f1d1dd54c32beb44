//! A group's tree, as far as it says how this device and the others stand.

use conclave_mls::Group;
use conclave_mls::group::TreeRead;

/// This device's leaf, encoded. It changes when its key does.
pub(crate) fn own_leaf(group: &Group) -> Option<&[u8]> {
    group.tree().node(group.own_leaf().node())
}

/// How many members a group has.
pub(crate) fn size_of(group: &Group) -> u32 {
    let tree = group.tree();
    tree.leaf_count_below(tree.size().root())
}
