use crate::testing::{Plan, World, suite};
use crate::{StagedTree, TreeRead};
use alloc::vec::Vec;
use conclave_wire::{LeafIndex, NodeIndex, TreeSize};

fn random_plan(world: &mut World, sender: u32) -> Plan {
    let mut others = world.oracle.members();
    others.retain(|l| *l != sender);
    let mut plan = Plan { path: world.rng.below(4) > 0, ..Plan::default() };
    let take = |world: &mut World, from: &mut Vec<u32>, n: usize| -> Vec<u32> {
        let n = n.min(from.len());
        (0..n).map(|_| from.swap_remove(world.rng.below(from.len()))).collect()
    };

    let room = 40usize.saturating_sub(others.len() + 1);
    match world.rng.below(8) {
        0 | 1 => plan.adds = 1 + world.rng.below(3),
        2 => plan.adds = world.rng.below(9),
        3 => plan.removes = take(world, &mut others, 1),
        4 => {
            let n = world.rng.below(others.len() + 1);
            plan.removes = take(world, &mut others, n);
        }
        5 => plan.updates = take(world, &mut others, 2),
        6 => {
            plan.updates = take(world, &mut others, 1);
            plan.removes = take(world, &mut others, 2);
            plan.adds = world.rng.below(5);
        }
        _ => {}
    }
    plan.adds = plan.adds.min(room);
    // Without a path after updates and removes, parents stay blank. Both cases are tested.
    plan.path |= world.rng.below(3) > 0;
    plan
}

fn run(seed: u64, steps: usize) {
    let mut world = World::new(seed);
    for _ in 0..steps {
        let members = world.oracle.members();
        let sender = world.rng.pick(&members);
        let plan = random_plan(&mut world, sender);
        world.commit(sender, &plan);
        world.check();
    }
}

#[test]
fn long_runs_agree_with_the_oracle_1() {
    run(1, 120);
}

#[test]
fn long_runs_agree_with_the_oracle_2() {
    run(2, 120);
}

#[test]
fn long_runs_agree_with_the_oracle_3() {
    run(3, 120);
}

#[test]
fn populated_trees_agree_with_the_oracle() {
    let mut world = World::populated(4, 13);
    world.check();

    // Unmerged leaves at all heights, some of them far from the next path.
    world.commit(0, &Plan { removes: Vec::from([2, 5, 6, 9]), path: true, ..Plan::default() });
    world.commit(12, &Plan { adds: 3, ..Plan::default() });
    world.check();
    world.commit(8, &Plan { adds: 2, path: true, ..Plan::default() });
    world.check();
    world.commit(1, &Plan { path: true, ..Plan::default() });
    world.check();
}

#[test]
fn the_order_of_removes_does_not_matter() {
    for order in [[12, 9, 8, 11, 10], [8, 9, 10, 11, 12], [10, 12, 8, 11, 9]] {
        let world = World::populated(5, 13);
        let mut one_by_one = StagedTree::new(&world.tree);
        for leaf in order {
            one_by_one.remove_leaves(&[LeafIndex(leaf)]).unwrap();
        }
        assert_eq!(one_by_one.size(), TreeSize::for_leaves(8).unwrap());

        let mut at_once = StagedTree::new(&world.tree);
        at_once.remove_leaves(&order.map(LeafIndex)).unwrap();

        let mut oracle = world.oracle.clone();
        order.into_iter().for_each(|leaf| oracle.remove(leaf));
        let suite = suite();
        let want = oracle.root.tree_hash();
        assert_eq!(&*one_by_one.tree_hash(&suite).unwrap(), want);
        assert_eq!(&*at_once.tree_hash(&suite).unwrap(), want);
        let rows = one_by_one.into_delta(&suite).unwrap().rows();
        assert_eq!(rows, at_once.into_delta(&suite).unwrap().rows());
    }
}

#[test]
fn a_tree_that_shrinks_and_grows_in_one_commit_has_a_blank_root() {
    let mut world = World::populated(6, 9);
    world.check();

    // Removing the ninth leaf halves the tree; two new members double it again.
    world.commit(3, &Plan { removes: Vec::from([8]), adds: 2, ..Plan::default() });
    assert_eq!(world.tree.size().leaf_count(), 16);
    world.check();
    let root = world.tree.size().root();
    assert!(world.tree.node(root).is_none());
}

#[test]
fn adding_one_by_one_or_all_at_once_gives_the_same_tree() {
    let mut world = World::populated(7, 6);
    world.commit(0, &Plan { removes: Vec::from([1, 4]), path: true, ..Plan::default() });
    let new: Vec<_> = (0..5).map(|_| crate::testing::member(&mut world.rng).0).collect();

    let mut one_by_one = StagedTree::new(&world.tree);
    let places: Vec<_> = new.iter().map(|leaf| one_by_one.add_leaf(leaf).unwrap()).collect();
    assert_eq!(places, [1, 4, 6, 7, 8].map(LeafIndex));
    let mut at_once = StagedTree::new(&world.tree);
    assert_eq!(at_once.add_leaves(&new.iter().collect::<Vec<_>>()).unwrap(), places);

    let suite = suite();
    let rows = one_by_one.into_delta(&suite).unwrap().rows();
    assert_eq!(rows, at_once.into_delta(&suite).unwrap().rows());
}

#[test]
fn a_commit_among_a_thousand_members_writes_one_path_of_rows() {
    let mut world = World::bare(8, 1000);
    let path = Plan { path: true, ..Plan::default() };
    for sender in [0, 999, 512, 77] {
        // The leaf and ten parents.
        assert_eq!(world.commit(sender, &path), 11);
    }

    let rows = world.commit(3, &Plan { removes: Vec::from([500]), path: true, ..Plan::default() });
    assert!(rows <= 2 * 11, "{rows}");
    let rows = world.commit(3, &Plan { adds: 1, path: true, ..Plan::default() });
    assert!(rows <= 2 * 11, "{rows}");
    world.tree.check_caches(&suite()).unwrap();
}

#[test]
fn the_hashes_of_blank_subtrees_are_computed_once_and_never_stored() {
    let mut world = World::bare(9, 32);
    let rows = world.commit(0, &Plan { adds: 1, ..Plan::default() });
    // The new leaf and its path. The 31 blank leaves beside it have no rows.
    assert_eq!(rows, 7);
    let blank = NodeIndex(111);
    assert_eq!(world.tree.leaf_count_below(blank), 0);
    assert!(world.tree.node_hash(blank).is_some());

    // Staging another change does not touch them again.
    let mut staged = StagedTree::new(&world.tree);
    staged.set_leaf_blanking_path(LeafIndex(32), &world.template(32)).unwrap();
    assert_eq!(staged.into_delta(&suite()).unwrap().rows().len(), 7);
    world.check();
}

#[test]
fn replaced_leaves_lead_back_to_the_old_tree() {
    let mut world = World::populated(10, 6);
    let before = world.tree.clone();
    let update = world.update_of(2);

    let mut staged = StagedTree::new(&before);
    staged.update_leaf(LeafIndex(2), &update).unwrap();
    staged.remove_leaves(&[LeafIndex(5)]).unwrap();
    let (new, _) = crate::testing::member(&mut world.rng);
    staged.add_leaf(&new).unwrap();
    staged.add_leaf(&new).unwrap();

    let old = |leaf: u32| before.node(LeafIndex(leaf).node()).map(<[u8]>::to_vec);
    let want: Vec<_> = [2, 5, 6].map(|leaf| (LeafIndex(leaf), old(leaf))).into();
    assert_eq!(staged.replaced_leaves(), want);
}
