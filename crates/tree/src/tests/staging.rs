//! A staged tree's answers about its own changes.

use crate::testing::{TestRng, World, member, suite};
use crate::{Feature, StagedTree, TreeRead};
use conclave_wire::{ExtensionType, LeafIndex, NodeIndex};

#[test]
fn a_leaf_changed_several_times_counts_in_its_final_form() {
    let mut world = World::populated(1, 5);
    let first = ExtensionType(0xf00a);
    let second = ExtensionType(0xf00b);
    let mut update = |extension| {
        let mut leaf = world.update_of(2);
        leaf.capabilities.extensions.push(extension);
        leaf
    };
    let early = update(first);
    let late = update(second);

    let mut staged = StagedTree::new(&world.tree);
    let count = |tree: &dyn TreeRead| {
        [first, second].map(|kind| tree.members_with(Feature::Extension(kind)))
    };
    staged.update_leaf(LeafIndex(2), &early).unwrap();
    assert_eq!(count(&staged), [1, 0]);
    staged.update_leaf(LeafIndex(2), &late).unwrap();
    assert_eq!(count(&staged), [0, 1]);

    let mut delta = staged.into_delta(&suite()).unwrap();
    world.tree.swap(&mut delta);
    assert_eq!(count(&world.tree), [0, 1]);
    world.tree.check_caches(&suite()).unwrap();

    let mut staged = StagedTree::new(&world.tree);
    staged.update_leaf(LeafIndex(2), &early).unwrap();
    staged.remove_leaves(&[LeafIndex(2)]).unwrap();
    assert_eq!(count(&staged), [0, 0]);
}

#[test]
fn only_leaves_that_differ_are_replaced_leaves() {
    let mut world = World::populated(2, 6);
    let update = world.update_of(3);
    let unchanged = world.template(4);
    let mut staged = StagedTree::new(&world.tree);
    staged.update_leaf(LeafIndex(3), &update).unwrap();
    staged.remove_leaves(&[LeafIndex(1)]).unwrap();
    staged.set_leaf_blanking_path(LeafIndex(4), &unchanged).unwrap();

    let replaced = staged.replaced_leaves();
    let old = |leaf: u32| (LeafIndex(leaf), world.tree.node(LeafIndex(leaf).node()));
    assert!(replaced.iter().map(|(l, n)| (*l, n.as_deref())).eq([1, 3].map(old)));
}

#[test]
fn a_truncated_staged_tree_hides_the_base_beyond_its_end() {
    let mut world = World::populated(1, 5);
    let last = LeafIndex(4);
    assert_eq!(world.tree.leaf_count_below(last.node()), 1);

    let mut staged = StagedTree::new(&world.tree);
    staged.remove_leaves(&[last]).unwrap();
    assert!(!staged.size().has_leaf(last));
    for node in (staged.size().node_count()..world.tree.size().node_count()).map(NodeIndex) {
        assert_eq!((staged.leaf_count_below(node), staged.node(node)), (0, None), "{node}");
    }

    let mut delta = staged.into_delta(&suite()).unwrap();
    world.tree.swap(&mut delta);
    assert_eq!(world.tree.leaf_count_below(last.node()), 0);
}

#[test]
fn a_tree_hash_computed_between_two_changes_is_not_reused() {
    let world = World::populated(1, 5);
    let leaves = [5, 6].map(|seed| member(&mut TestRng(seed)).0);
    let mut staged = StagedTree::new(&world.tree);
    let mut asked = StagedTree::new(&world.tree);

    for leaf in &leaves {
        staged.add_leaf(leaf).unwrap();
        asked.add_leaf(leaf).unwrap();
        asked.tree_hash(&suite()).unwrap();
    }
    assert_eq!(asked.tree_hash(&suite()), staged.tree_hash(&suite()));
}
