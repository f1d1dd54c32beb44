use super::*;
use crate::testing::{PORTABLE, TestRng, hex, secret, suite};
use RatchetKind::{Application, Handshake};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use alloc::{format, vec};
use conclave_crypto::Secret;
use conclave_crypto::testing::{Counter, Hooked, Operation};
use conclave_provider_rustcrypto::RustCrypto;

const LIMITS: RatchetLimits =
    RatchetLimits { max_forward: 2000, max_skipped: 2000, max_skipped_in_epoch: 8192 };

fn tree(leaves: u32) -> SecretTree {
    let root = EncryptionSecret::from_secret(Secret::new(vec![0xe5; 32]));
    SecretTree::new(TreeSize::for_leaves(leaves).unwrap(), root)
}

/// Receives a message and swaps in the delta.
fn take(
    tree: &mut SecretTree,
    leaf: u32,
    kind: RatchetKind,
    generation: u32,
    limits: RatchetLimits,
) -> Result<MessageKey, RatchetError> {
    let suite = suite(&PORTABLE);
    let (key, mut delta) = tree.receive(&suite, LeafIndex(leaf), kind, generation, limits)?;
    tree.swap(&mut delta);
    Ok(key)
}

fn load(
    size: TreeSize,
    rows: impl IntoIterator<Item = (SecretTreeRow, Secret)>,
) -> Result<SecretTree, RatchetError> {
    let rows: Vec<_> = rows.into_iter().collect();
    SecretTree::load(size, rows.iter().map(|(row, value)| (*row, value.expose())))
}

fn names(tree: &SecretTree) -> Vec<SecretTreeRow> {
    tree.rows().into_iter().map(|(row, _)| row).collect()
}

fn ratchet(leaf: u32, kind: RatchetKind) -> SecretTreeRow {
    SecretTreeRow::Ratchet { leaf: LeafIndex(leaf), kind }
}

fn skipped(leaf: u32, kind: RatchetKind, generation: u32) -> SecretTreeRow {
    SecretTreeRow::Skipped { leaf: LeafIndex(leaf), kind, generation }
}

#[test]
fn keys_match_the_secret_tree_vector() {
    let suite = suite(&PORTABLE);
    let root = secret("9d4ecb550dc4fbcbaae66d120a2215cbeca20d45d66791df5b4349eace30fd3f");
    let tree =
        SecretTree::new(TreeSize::for_leaves(8).unwrap(), EncryptionSecret::from_secret(root));
    for (kind, key, nonce) in [
        (Application, "fd92f2214b1e1db1c27c07eb6345acd4", "afbfc19ed33f8fd702cf09cc"),
        (Handshake, "bb14adbf47b685521aede7ec58c08a32", "15e43e424202aa29ab7f1d65"),
    ] {
        let found = tree.leaf_keys(&suite, LeafIndex(3), kind, 15).unwrap();
        assert_eq!((found.key.expose(), found.nonce.expose()), (&*hex(key), &*hex(nonce)));
    }
}

#[test]
fn consumed_values_are_deleted_as_in_the_figure_of_section_9_1() {
    let mut tree = tree(4);
    assert_eq!(names(&tree), [SecretTreeRow::Node(3)]);

    // Generation 1 of D arrives before generation 0. This consumes G, F, D, AR0 and AR1; E, C, HR0,
    // AR2 and the key of generation 0 remain.
    take(&mut tree, 3, Application, 1, LIMITS).unwrap();
    let left = [
        SecretTreeRow::Node(1),
        SecretTreeRow::Node(4),
        ratchet(3, Handshake),
        ratchet(3, Application),
        skipped(3, Application, 0),
    ];
    assert_eq!(names(&tree), left);
    assert_eq!(tree.next_generation(LeafIndex(3), Application), 2);
    assert_eq!(tree.next_generation(LeafIndex(3), Handshake), 0);

    take(&mut tree, 3, Application, 0, LIMITS).unwrap();
    take(&mut tree, 0, Handshake, 0, LIMITS).unwrap();
    let left = [
        SecretTreeRow::Node(2),
        SecretTreeRow::Node(4),
        ratchet(0, Handshake),
        ratchet(0, Application),
        ratchet(3, Handshake),
        ratchet(3, Application),
    ];
    assert_eq!(names(&tree), left);
}

#[test]
fn nothing_changes_until_a_delta_is_swapped_in() {
    let suite = suite(&PORTABLE);
    let mut tree = tree(8);
    take(&mut tree, 5, Application, 3, LIMITS).unwrap();
    let before = tree.clone();

    for generation in [0, 2, 4, 9] {
        let receive = || tree.receive(&suite, LeafIndex(5), Application, generation, LIMITS);
        let (first, _) = receive().unwrap();
        let (again, _) = receive().unwrap();
        assert_eq!(first, again);
    }
    let sent = || tree.send(&suite, LeafIndex(2), Application).unwrap();
    assert_eq!(sent(), sent());
    assert_eq!(tree, before);
}

#[test]
fn replays_of_timely_and_of_late_messages_are_refused() {
    let mut tree = tree(2);
    let gone = |generation| Err(RatchetError::KeyGone { leaf: LeafIndex(1), generation });
    take(&mut tree, 1, Application, 0, LIMITS).unwrap();
    take(&mut tree, 1, Application, 2, LIMITS).unwrap();
    take(&mut tree, 1, Application, 1, LIMITS).unwrap();

    let before = tree.clone();
    for generation in 0..3 {
        assert_eq!(take(&mut tree, 1, Application, generation, LIMITS), gone(generation));
    }
    assert_eq!(tree, before);

    // The sender's other ratchet is independent.
    take(&mut tree, 1, Handshake, 1, LIMITS).unwrap();
}

#[test]
fn the_last_generation_costs_nothing_and_is_refused() {
    let counting = Hooked::new(RustCrypto::new(), Counter::of(Operation::Expand));
    let suite = suite(&counting);
    let tree = tree(1024);
    for generation in [2001, u32::MAX - 1, u32::MAX] {
        let receive = || tree.receive(&suite, LeafIndex(7), Handshake, generation, LIMITS);
        let (derivations, result) = counting.hook.during(receive);
        let too_far = RatchetError::TooFarAhead { leaf: LeafIndex(7), generation, by: generation };
        assert_eq!((derivations, result), (0, Err(too_far)));
    }

    // No limits let a ratchet pass its last generation.
    let limits = RatchetLimits {
        max_forward: u32::MAX,
        max_skipped: u32::MAX,
        max_skipped_in_epoch: u32::MAX,
    };
    let receive = || tree.receive(&suite, LeafIndex(7), Handshake, u32::MAX, limits);
    let (derivations, result) = counting.hook.during(receive);
    assert_eq!((derivations, result), (0, Err(RatchetError::Exhausted { leaf: LeafIndex(7) })));
}

#[test]
fn a_ratchet_at_its_end_sends_no_more() {
    let suite = suite(&PORTABLE);
    let mut tree = tree(1);
    take(&mut tree, 0, Application, 0, LIMITS).unwrap();
    let id = RatchetId { leaf: LeafIndex(0), kind: Application };
    tree.ratchets.get_mut(&id).unwrap().next = u32::MAX - 1;

    let (generation, _, mut delta) = tree.send(&suite, LeafIndex(0), Application).unwrap();
    assert_eq!(generation, u32::MAX - 1);
    tree.swap(&mut delta);

    let exhausted = RatchetError::Exhausted { leaf: LeafIndex(0) };
    assert_eq!(tree.send(&suite, LeafIndex(0), Application).unwrap_err(), exhausted);
    assert_eq!(take(&mut tree, 0, Application, u32::MAX, LIMITS), Err(exhausted));
    assert!(tree.send(&suite, LeafIndex(0), Handshake).is_ok());
}

#[test]
fn a_ratchet_that_passes_generations_goes_on_without_their_keys() {
    let suite = suite(&PORTABLE);
    let leaf = LeafIndex(5);
    let mut sender = tree(8);
    let mut passing = tree(8);
    for _ in 0..4 {
        sender.swap(&mut sender.send(&suite, leaf, Application).unwrap().2);
    }

    passing.swap(&mut passing.pass(&suite, leaf, Application, 4).unwrap());
    assert!(passing == sender, "it is as if the messages had been sent");
    for generation in 0..=4 {
        let nothing = passing.pass(&suite, leaf, Application, generation).unwrap();
        assert!(nothing.rows().is_empty(), "a ratchet never goes back");
    }
    let outside = passing.pass(&suite, LeafIndex(8), Application, 1).unwrap_err();
    assert_eq!(outside, RatchetError::NoSuchLeaf(LeafIndex(8)));
}

#[test]
fn a_message_costs_as_many_steps_as_it_is_ahead() {
    let counting = Hooked::new(RustCrypto::new(), Counter::of(Operation::Expand));
    let suite = suite(&counting);
    let mut tree = tree(1024);
    let mut cost = |generation, limits| {
        let receive = || tree.receive(&suite, LeafIndex(9), Application, generation, limits);
        let (derivations, result) = counting.hook.during(receive);
        tree.swap(&mut result.unwrap().1);
        derivations
    };

    // Two derivations per level and one per ratchet; then key, nonce and next secret.
    assert_eq!(cost(0, LIMITS), 2 * 10 + 2 + 3);
    assert_eq!(cost(1, LIMITS), 3);
    assert_eq!(cost(12, LIMITS), 11 * 3);
    // A skipped key has already been derived.
    assert_eq!(cost(5, LIMITS), 0);
    // Keys that would not be kept are not derived.
    assert_eq!(cost(113, RatchetLimits { max_skipped: 10, ..LIMITS }), 100 + 10 * 2 + 3);
}

#[test]
fn a_senders_first_message_writes_a_path_and_later_ones_a_row() {
    let suite = suite(&PORTABLE);
    let mut tree = tree(1 << 16);
    let mut rows = |leaf, generation| {
        let (_, mut delta) =
            tree.receive(&suite, LeafIndex(leaf), Application, generation, LIMITS).unwrap();
        let rows = delta.rows();
        tree.swap(&mut delta);
        rows
    };

    // The root, a sibling on each of 16 levels, and two ratchets.
    assert_eq!(rows(77, 0).len(), 1 + 16 + 2);
    // The neighbour's leaf secret is already derived: it is replaced by two ratchets.
    assert_eq!(rows(76, 0).len(), 1 + 2);
    for generation in 1..50 {
        let written = rows(77, generation);
        assert_eq!(written.len(), 1);
        assert_eq!(written[0].0, ratchet(77, Application));
    }

    // Each skipped key has a row of its own, and the ratchet's row counts them.
    assert_eq!(rows(77, 53).len(), 1 + 3);
    let used = rows(77, 51);
    assert_eq!(used[0].0, ratchet(77, Application));
    assert_eq!(used[1..], [(skipped(77, Application, 51), None)]);
}

#[test]
fn sending_counts_up_and_keeps_no_skipped_key() {
    let suite = suite(&PORTABLE);
    let mut sender = tree(8);
    let mut receiver = tree(8);
    for kind in [Application, Handshake] {
        for want in 0..20 {
            let (generation, key, mut delta) = sender.send(&suite, LeafIndex(6), kind).unwrap();
            sender.swap(&mut delta);
            assert_eq!(generation, want);
            assert_eq!(take(&mut receiver, 6, kind, generation, LIMITS), Ok(key));
        }
    }
    assert!(sender.skipped.is_empty());
    assert_eq!(sender, receiver);
}

#[test]
fn skipped_keys_are_kept_up_to_the_limit_and_the_oldest_dropped() {
    let limits = RatchetLimits { max_forward: 100, max_skipped: 5, ..LIMITS };
    let mut tree = tree(2);
    let pristine = tree.clone();
    let kept = |tree: &SecretTree| -> Vec<u32> {
        tree.skipped_of(RatchetId { leaf: LeafIndex(0), kind: Application }).collect()
    };

    take(&mut tree, 0, Application, 3, limits).unwrap();
    assert_eq!(kept(&tree), [0, 1, 2]);
    take(&mut tree, 0, Application, 8, limits).unwrap();
    assert_eq!(kept(&tree), [2, 4, 5, 6, 7]);
    take(&mut tree, 0, Application, 100, limits).unwrap();
    assert_eq!(kept(&tree), [95, 96, 97, 98, 99]);

    // Kept keys are the right ones; dropped ones are refused.
    let suite = suite(&PORTABLE);
    let want = pristine.leaf_keys(&suite, LeafIndex(0), Application, 97);
    assert_eq!(take(&mut tree, 0, Application, 97, limits), want);
    assert!(take(&mut tree, 0, Application, 94, limits).is_err());

    // A message in order drops no key.
    take(&mut tree, 0, Application, 101, limits).unwrap();
    assert_eq!(kept(&tree), [95, 96, 98, 99]);

    // The limit applies to each ratchet separately, and may be 0.
    take(&mut tree, 0, Handshake, 5, limits).unwrap();
    assert_eq!(kept(&tree), [95, 96, 98, 99]);
    take(&mut tree, 0, Application, 103, RatchetLimits { max_skipped: 0, ..limits }).unwrap();
    assert_eq!(kept(&tree), []);
}

#[test]
fn all_ratchets_of_an_epoch_share_room_for_skipped_keys() {
    let limits = RatchetLimits { max_skipped_in_epoch: 10, ..LIMITS };
    let mut tree = tree(4);
    let kept = |tree: &SecretTree, leaf| -> Vec<u32> {
        tree.skipped_of(RatchetId { leaf: LeafIndex(leaf), kind: Application }).collect()
    };

    // The ratchet that skips most pays, not the latest one and not one that skips few.
    take(&mut tree, 0, Application, 8, limits).unwrap();
    take(&mut tree, 1, Application, 2, limits).unwrap();
    take(&mut tree, 2, Application, 3, limits).unwrap();
    assert_eq!(kept(&tree, 0), [3, 4, 5, 6, 7]);
    assert_eq!(kept(&tree, 1), [0, 1]);
    assert_eq!(kept(&tree, 2), [0, 1, 2]);

    // A ratchet that claims all of the room gets an equal share.
    take(&mut tree, 3, Application, 1000, limits).unwrap();
    assert_eq!(kept(&tree, 0), [5, 6, 7]);
    assert_eq!(kept(&tree, 1), [0, 1]);
    assert_eq!(kept(&tree, 2), [0, 1, 2]);
    assert_eq!(kept(&tree, 3), [998, 999]);

    // A used key makes room. The stored rows are those of the kept keys.
    take(&mut tree, 3, Application, 998, limits).unwrap();
    take(&mut tree, 1, Application, 4, limits).unwrap();
    assert_eq!(kept(&tree, 1), [0, 1, 3]);
    assert_eq!(load(tree.size(), tree.rows()), Ok(tree));
}

/// In any order of skipping, each ratchet keeps its newest keys, together they fill the room, and
/// none gives up a key while another keeps two more.
#[test]
fn room_for_skipped_keys_is_filled_and_shared_evenly() {
    let leaves = (0..4).map(LeafIndex);
    let ids: Vec<_> = leaves
        .flat_map(|leaf| [Handshake, Application].map(|kind| RatchetId { leaf, kind }))
        .collect();
    let kept = |tree: &SecretTree| -> Vec<Vec<u32>> {
        ids.iter().map(|id| tree.skipped_of(*id).collect()).collect()
    };
    let sum = |keys: &[Vec<u32>]| keys.iter().map(Vec::len).sum::<usize>();

    for room in 0..20 {
        let limits = RatchetLimits { max_skipped: 5, max_skipped_in_epoch: room, ..LIMITS };
        let mut rng = TestRng(room.into());
        let mut tree = tree(4);
        for _ in 0..40 {
            let chosen = rng.below(8) as usize;
            let id = ids[chosen];
            let next = tree.next_generation(id.leaf, id.kind);
            let generation = next + rng.below(8) as u32;

            // The keys within the ratchet's own limit.
            let mut offered = kept(&tree);
            offered[chosen].extend(next..generation);
            let excess = offered[chosen].len().saturating_sub(5);
            offered[chosen].drain(..excess);
            take(&mut tree, id.leaf.0, id.kind, generation, limits).unwrap();

            let kept = kept(&tree);
            assert_eq!(sum(&kept), sum(&offered).min(room as usize));
            let most = kept.iter().map(Vec::len).max().unwrap();
            for (offered, kept) in offered.iter().zip(&kept) {
                assert!(offered.ends_with(kept), "{kept:?} of {offered:?}");
                assert!(kept == offered || kept.len() + 1 >= most, "{kept:?} of {offered:?}");
            }
        }
    }
}

#[test]
fn lowered_limits_drop_skipped_keys_at_the_next_skip() {
    let mut tree = tree(2);
    let kept = |tree: &SecretTree, leaf| -> Vec<u32> {
        tree.skipped_of(RatchetId { leaf: LeafIndex(leaf), kind: Application }).collect()
    };

    take(&mut tree, 0, Application, 6, LIMITS).unwrap();
    take(&mut tree, 1, Application, 8, LIMITS).unwrap();
    let limits = RatchetLimits { max_skipped: 5, max_skipped_in_epoch: 11, ..LIMITS };

    // Timely and late messages skip no keys and drop none.
    take(&mut tree, 0, Application, 7, limits).unwrap();
    take(&mut tree, 1, Application, 0, limits).unwrap();
    assert_eq!(kept(&tree, 0), [0, 1, 2, 3, 4, 5]);
    assert_eq!(kept(&tree, 1), [1, 2, 3, 4, 5, 6, 7]);

    // This ratchet drops keys over its own limit; the other then drops those over the epoch's.
    take(&mut tree, 0, Application, 10, limits).unwrap();
    assert_eq!(kept(&tree, 0), [3, 4, 5, 8, 9]);
    assert_eq!(kept(&tree, 1), [2, 3, 4, 5, 6, 7]);
}

#[test]
fn a_key_without_room_is_not_written() {
    let suite = suite(&PORTABLE);
    let limits = RatchetLimits { max_skipped_in_epoch: 2, ..LIMITS };
    let (_, delta) = tree(1).receive(&suite, LeafIndex(0), Application, 5, limits).unwrap();
    let written: Vec<_> = delta.rows().into_iter().map(|(row, _)| row).collect();
    let expected = [
        SecretTreeRow::Node(0),
        ratchet(0, Handshake),
        ratchet(0, Application),
        skipped(0, Application, 3),
        skipped(0, Application, 4),
    ];
    assert_eq!(written, expected);
}

#[test]
fn no_room_for_skipped_keys_is_no_obstacle_to_messages() {
    let limits = RatchetLimits { max_skipped_in_epoch: 0, ..LIMITS };
    let mut tree = tree(2);
    for generation in [5, 6, 9] {
        take(&mut tree, 0, Application, generation, limits).unwrap();
    }
    assert!(tree.skipped.is_empty());
}

#[test]
fn a_message_may_be_as_far_ahead_as_the_limit_and_no_farther() {
    let limits = RatchetLimits { max_forward: 10, max_skipped: 3, ..LIMITS };
    let mut tree = tree(2);
    let too_far =
        |generation| Err(RatchetError::TooFarAhead { leaf: LeafIndex(1), generation, by: 11 });

    assert_eq!(take(&mut tree, 1, Application, 11, limits), too_far(11));
    take(&mut tree, 1, Application, 10, limits).unwrap();
    assert_eq!(take(&mut tree, 1, Application, 22, limits), too_far(22));
    take(&mut tree, 1, Application, 21, limits).unwrap();
}

#[test]
fn leaves_outside_the_tree_are_refused() {
    let suite = suite(&PORTABLE);
    let tree = tree(4);
    for leaf in [4, 5, 1 << 30, u32::MAX].map(LeafIndex) {
        let no_leaf = RatchetError::NoSuchLeaf(leaf);
        assert_eq!(tree.receive(&suite, leaf, Application, 0, LIMITS).unwrap_err(), no_leaf);
        assert_eq!(tree.send(&suite, leaf, Application).unwrap_err(), no_leaf);
    }
}

#[test]
fn a_tree_of_one_leaf_has_its_keys_at_the_root() {
    let mut tree = tree(1);
    take(&mut tree, 0, Application, 0, LIMITS).unwrap();
    assert_eq!(names(&tree), [ratchet(0, Handshake), ratchet(0, Application)]);
}

/// In any order of receiving and sending, each key is the one derived from the root, undoing is
/// exact, and the written rows load as the same tree.
#[test]
fn long_random_runs_keep_keys_rows_and_undo_consistent() {
    let suite = suite(&PORTABLE);
    for seed in 0..4 {
        let mut rng = TestRng(seed);
        let leaves = 1 << rng.below(6);
        let mut tree = tree(leaves);
        let pristine = tree.clone();
        let mut stored: BTreeMap<_, _> = tree.rows().into_iter().collect();
        let limits = RatchetLimits { max_forward: 12, max_skipped: 8, max_skipped_in_epoch: 12 };

        for _ in 0..200 {
            let leaf = LeafIndex(rng.below(leaves.into()) as u32);
            let kind = if rng.below(2) == 0 { Handshake } else { Application };
            let (generation, key, mut delta) = if rng.below(4) == 0 {
                tree.send(&suite, leaf, kind).unwrap()
            } else {
                let generation = (tree.next_generation(leaf, kind) + rng.below(14) as u32)
                    .saturating_sub(rng.below(10) as u32);
                match tree.receive(&suite, leaf, kind, generation, limits) {
                    Ok((key, delta)) => (generation, key, delta),
                    Err(RatchetError::KeyGone { .. } | RatchetError::TooFarAhead { .. }) => {
                        continue;
                    }
                    Err(other) => panic!("seed {seed}: {other}"),
                }
            };
            assert_eq!(pristine.leaf_keys(&suite, leaf, kind, generation), Ok(key));

            let before = tree.clone();
            let kept = delta.clone();
            let rows = delta.rows();
            tree.swap(&mut delta);
            let after = tree.clone();
            tree.swap(&mut delta);
            assert_eq!((&tree, &delta), (&before, &kept));
            tree.swap(&mut delta);
            assert_eq!(tree, after);
            assert!(tree.skipped.len() <= 12);

            for (row, value) in rows {
                match value {
                    Some(value) => stored.insert(row, value),
                    None => stored.remove(&row),
                };
            }
        }

        assert_eq!(stored, tree.rows().into_iter().collect());
        let backwards = stored.into_iter().rev();
        assert_eq!(load(tree.size(), backwards), Ok(tree));
    }
}

#[test]
fn a_used_key_is_still_gone_after_loading() {
    let mut tree = tree(4);
    take(&mut tree, 2, Application, 1, LIMITS).unwrap();

    let mut loaded = load(tree.size(), tree.rows()).unwrap();
    assert!(take(&mut loaded, 2, Application, 1, LIMITS).is_err());
    assert!(take(&mut loaded, 2, Application, 0, LIMITS).is_ok());
}

#[test]
fn a_damaged_row_is_named() {
    let mut tree = tree(4);
    take(&mut tree, 3, Application, 1, LIMITS).unwrap();
    let rows = tree.rows();
    let load = |rows: Vec<_>| load(tree.size(), rows);

    for (i, (row, value)) in rows.iter().enumerate() {
        let header = match row {
            SecretTreeRow::Node(_) => 0,
            SecretTreeRow::Ratchet { .. } => 8,
            SecretTreeRow::Skipped { .. } => 1 + 16,
        };
        for damaged in (0..=header).map(|n| Secret::copy_from(&value.expose()[..n])) {
            let mut rows = rows.clone();
            rows[i].1 = damaged;
            assert_eq!(load(rows), Err(RatchetError::DamagedRow(*row)));
        }

        let mut twice = rows.clone();
        twice.push((*row, value.clone()));
        assert_eq!(load(twice), Err(RatchetError::DamagedRow(*row)));
    }
}

#[test]
fn rows_that_contradict_each_other_are_named() {
    let mut tree = tree(4);
    take(&mut tree, 3, Application, 1, LIMITS).unwrap();
    let value = |wanted: SecretTreeRow| {
        tree.rows().into_iter().find_map(|(row, value)| (row == wanted).then_some(value)).unwrap()
    };
    let node = || value(SecretTreeRow::Node(1));
    let key = || value(skipped(3, Application, 0));

    for (row, value) in [
        // A secret that was consumed or lies outside the tree.
        (SecretTreeRow::Node(3), node()),
        (SecretTreeRow::Node(5), node()),
        (SecretTreeRow::Node(6), node()),
        (SecretTreeRow::Node(7), node()),
        (SecretTreeRow::Node(u32::MAX), node()),
        // A ratchet outside the tree, a skipped key of a future generation or without a ratchet.
        (ratchet(4, Handshake), value(ratchet(3, Handshake))),
        (skipped(3, Application, 2), key()),
        (skipped(3, Handshake, 0), key()),
        (skipped(0, Application, 0), key()),
    ] {
        let mut rows = tree.rows();
        rows.push((row, value));
        let loaded = load(tree.size(), rows);
        assert_eq!(loaded, Err(RatchetError::DamagedRow(row)));
    }
}

#[test]
fn each_missing_row_is_noticed_at_loading() {
    let mut tree = tree(8);
    take(&mut tree, 3, Application, 2, LIMITS).unwrap();
    take(&mut tree, 3, Application, 1, LIMITS).unwrap();
    take(&mut tree, 6, Handshake, 0, LIMITS).unwrap();
    let load = |rows: Vec<_>| load(tree.size(), rows);

    assert!(load(tree.rows()).is_ok());
    assert_eq!(tree.rows().len(), 4 + 4 + 1);
    for (i, (row, _)) in tree.rows().iter().enumerate() {
        let mut rows = tree.rows();
        rows.remove(i);
        let expected = match *row {
            SecretTreeRow::Skipped { leaf, kind, .. } => {
                RatchetError::SkippedKeysMissing { leaf, kind }
            }
            // The skipped key that it leaves behind shows it.
            row if row == ratchet(3, Application) => {
                RatchetError::DamagedRow(skipped(3, Application, 0))
            }
            other => RatchetError::MissingRow(other),
        };
        assert_eq!(load(rows), Err(expected));
    }
    assert_eq!(load(Vec::new()), Err(RatchetError::MissingRow(SecretTreeRow::Node(7))));

    // If both ratchets of a leaf are missing, its node's secret may be the missing one.
    let mut rows = tree.rows();
    let six = LeafIndex(6);
    rows.retain(|(row, _)| !matches!(row, SecretTreeRow::Ratchet { leaf, .. } if *leaf == six));
    assert_eq!(load(rows), Err(RatchetError::MissingRow(SecretTreeRow::Node(six.node().0))));
}

#[test]
fn row_indices_keep_the_order_and_name_their_row() {
    let last = TreeSize::MAX.leaf_count() - 1;
    let mut rows = vec![SecretTreeRow::Node(0), SecretTreeRow::Node(u32::MAX)];
    let leaves = [0, 1, last];
    let kinds = [Handshake, Application];
    rows.extend(leaves.iter().flat_map(|leaf| kinds.map(|kind| ratchet(*leaf, kind))));
    for (leaf, kind) in leaves.iter().flat_map(|leaf| kinds.map(|kind| (*leaf, kind))) {
        rows.extend([0, 1, u32::MAX].map(|generation| skipped(leaf, kind, generation)));
    }

    let indices: Vec<_> = rows.iter().map(|row| row.to_index()).collect();
    assert!(rows.is_sorted() && indices.is_sorted());
    for (row, (table, index)) in rows.into_iter().zip(indices) {
        assert_eq!(SecretTreeRow::from_index(table, index), Some(row));
        assert!(index < 1 << 63);
    }
    for (table, index) in [(0, 1 << 32), (1, 1 << 31), (2, 1 << 63), (3, 0)] {
        assert_eq!(SecretTreeRow::from_index(table, index), None);
    }
}

#[test]
fn a_secret_tree_does_not_print_its_secrets() {
    let suite = suite(&PORTABLE);
    let mut tree = tree(4);
    let (key, mut delta) = tree.receive(&suite, LeafIndex(1), Application, 3, LIMITS).unwrap();
    let rows = delta.rows();
    tree.swap(&mut delta);

    let shown = format!("{tree:?} {delta:?} {key:?} {rows:?} {:?}", tree.rows());
    let secrets = tree.rows().into_iter().map(|(_, secret)| secret).chain([key.key, key.nonce]);
    for secret in secrets {
        let end = &secret.expose()[secret.len() - 4..];
        let in_hex: String = end.iter().map(|b| format!("{b:02x}")).collect();
        let in_decimal = format!("{}, {}", end[0], end[1]);
        assert!(!shown.contains(&in_hex) && !shown.contains(&in_decimal), "{shown}");
    }
    assert!(!shown.contains("e5e5") && !shown.contains("229, 229"));
}
