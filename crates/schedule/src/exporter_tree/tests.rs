use super::*;
use crate::testing::{PORTABLE, TestRng, suite};
use crate::{EncryptionSecret, EpochSecrets, RatchetKind, SecretTree};
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

type Rows = BTreeMap<u64, Vec<u8>>;

fn root() -> ApplicationExportSecret {
    ApplicationExportSecret::from_secret(Secret::copy_from(&[7; 32]))
}

fn rows(tree: &ExporterTree) -> Rows {
    tree.rows().map(|(node, content)| (node, content.to_vec())).collect()
}

fn load(rows: &Rows) -> Result<ExporterTree, ExporterError> {
    ExporterTree::load(rows.iter().map(|(node, content)| (*node, &**content)))
}

/// A tree from which some components have exported, and the rows that the exports wrote.
fn exported(ids: &[u16]) -> (ExporterTree, Rows) {
    let suite = suite(&PORTABLE);
    let mut tree = ExporterTree::new(root());
    let mut stored = rows(&tree);
    for id in ids {
        let (_, mut delta) = tree.export(&suite, ComponentId(*id)).unwrap();
        for (node, content) in delta.rows() {
            match content {
                Some(content) => stored.insert(node, content.to_vec()),
                None => stored.remove(&node),
            };
        }
        tree.swap(&mut delta);
    }
    (tree, stored)
}

/// The secret of a component by the definition: "left" and "right" along the bits of its identifier.
fn by_definition(id: u16) -> Secret {
    let suite = suite(&PORTABLE);
    (0..16).rev().fold(root().into_secret(), |secret, bit| {
        let side: &[u8] = if id >> bit & 1 == 0 { b"left" } else { b"right" };
        suite.expand_with_label(&secret, b"tree", side, suite.nh()).unwrap()
    })
}

#[test]
fn a_components_secret_is_that_of_its_leaf() {
    let suite = suite(&PORTABLE);
    let tree = ExporterTree::new(root());
    for id in [0, 1, 2, 0x7fff, 0x8000, 0x8001, 0xffff] {
        let (secret, _) = tree.export(&suite, ComponentId(id)).unwrap();
        assert_eq!(secret, by_definition(id), "{id:#x}");
    }
}

#[test]
fn what_others_exported_before_does_not_matter() {
    let suite = suite(&PORTABLE);
    let (tree, _) = exported(&[0x8000, 0x8002, 5]);
    for id in [0x8001, 0x8003, 4, 0xffff] {
        assert_eq!(tree.export(&suite, ComponentId(id)).unwrap().0, by_definition(id));
    }
}

#[test]
fn a_component_exports_once() {
    let suite = suite(&PORTABLE);
    let ids = [3, 0x8001, 0xffff, 0];
    let (tree, stored) = exported(&ids);
    for id in ids.map(ComponentId) {
        let again = tree.export(&suite, id);
        assert_eq!(again, Err(ExporterError::Consumed(id)));
        assert_eq!(load(&stored).unwrap().export(&suite, id), again);
    }
}

#[test]
fn nothing_above_an_exported_secret_is_left() {
    let (tree, _) = exported(&[0x8001]);
    let leaf = LeafIndex(0x8001).node();
    assert!(tree.nodes.keys().all(|node| !node.covers(leaf)));
    assert_eq!(tree.nodes.len(), 16);
}

#[test]
fn an_export_writes_the_rows_of_the_change_and_no_more() {
    let suite = suite(&PORTABLE);
    let (tree, stored) = exported(&[9, 0x8001]);
    assert_eq!(rows(&tree), stored);
    let (_, delta) = tree.export(&suite, ComponentId(0x8002)).unwrap();
    assert!(delta.rows().count() <= 17);
    // The sibling of a leaf that has exported holds its secret itself: one row changes.
    let (_, delta) = tree.export(&suite, ComponentId(8)).unwrap();
    assert_eq!(delta.rows().collect::<Vec<_>>(), [(16, Some(&[][..]))]);
}

#[test]
fn a_second_swap_restores_the_tree() {
    let suite = suite(&PORTABLE);
    let (mut tree, stored) = exported(&[9]);
    for id in [8, 0xffff] {
        let (_, mut delta) = tree.export(&suite, ComponentId(id)).unwrap();
        tree.swap(&mut delta);
        assert_ne!(rows(&tree), stored);
        tree.swap(&mut delta);
        assert_eq!(rows(&tree), stored);
    }
}

#[test]
fn a_loaded_tree_is_the_stored_one() {
    let mut rng = TestRng(1);
    for count in [0, 1, 2, 40] {
        let ids: BTreeSet<u16> = (0..count).map(|_| rng.below(1 << 16) as u16).collect();
        let ids: Vec<u16> = ids.into_iter().collect();
        let (tree, stored) = exported(&ids);
        assert_eq!(load(&stored).unwrap(), tree);
    }
}

#[test]
fn each_missing_row_is_noticed() {
    let (_, stored) = exported(&[0, 1, 0x8001]);
    for node in stored.keys() {
        let mut less = stored.clone();
        less.remove(node);
        assert!(matches!(load(&less), Err(ExporterError::MissingRow(_))), "{node}");
    }
    let root = u64::from(ExporterTree::size().root().0);
    assert_eq!(load(&Rows::new()), Err(ExporterError::MissingRow(root)));
}

#[test]
fn each_row_that_contradicts_the_others_is_noticed() {
    let (_, stored) = exported(&[0, 1, 0x8001]);
    let root = u64::from(ExporterTree::size().root().0);
    let contradictions = [
        // The root, which was consumed, and a node whose parent is there.
        (root, vec![1; 32]),
        (u64::from(LeafIndex(0xffff).node().0), vec![1; 32]),
        (u64::from(LeafIndex(0xffff).node().0), vec![]),
        // An inner node cannot be exported, and these are no nodes.
        (3, vec![]),
        (2 * u64::from(LEAVES) - 1, vec![1; 32]),
        (1 << 32, vec![1; 32]),
    ];
    for (node, content) in contradictions {
        let mut more = stored.clone();
        more.insert(node, content);
        assert!(matches!(load(&more), Err(ExporterError::DamagedRow(_))), "{node}");
    }
    let twice = stored.iter().chain(stored.first_key_value());
    let twice = twice.map(|(node, content)| (*node, &**content));
    assert_eq!(ExporterTree::load(twice), Err(ExporterError::DamagedRow(0)));
}

#[test]
fn the_root_is_derived_only_if_asked_for_and_changes_nothing_else() {
    let suite = suite(&PORTABLE);
    let epoch = || Secret::copy_from(&[3; 32]);
    let without = EpochSecrets::from_epoch_secret(&suite, epoch()).unwrap();
    assert_eq!(without.application_export, None);

    let mut with = EpochSecrets::with_application_export(&suite, epoch()).unwrap();
    let export = with.application_export.take().unwrap();
    assert_eq!(with, without);
    let want = suite.derive_secret(&epoch(), b"application_export").unwrap();
    assert_eq!(export.as_secret(), &want);
}

#[test]
fn the_tree_is_derived_as_a_secret_tree_is() {
    let suite = suite(&PORTABLE);
    let size = ExporterTree::size();
    let secret_tree = SecretTree::new(size, EncryptionSecret::from_secret(root().into_secret()));
    let leaf = LeafIndex(0x8001);
    let key = secret_tree.leaf_keys(&suite, leaf, RatchetKind::Application, 0).unwrap();
    let (secret, _) = ExporterTree::new(root()).export(&suite, ComponentId(0x8001)).unwrap();
    let ratchet = suite.expand_with_label(&secret, b"application", &[], suite.nh()).unwrap();
    let len = suite.params().aead.key_len();
    assert_eq!(key.key, suite.derive_tree_secret(&ratchet, b"key", 0, len).unwrap());
}

#[test]
fn errors_and_trees_print_what_they_are_about_and_no_secrets() {
    let (tree, _) = exported(&[0x8001]);
    let shown = format!("{tree:?}");
    assert!(
        shown.contains("16") && shown.contains("0x8001") && !shown.contains("Secret"),
        "{shown}"
    );
    for (error, says) in [
        (ExporterError::Consumed(ComponentId(0x8001)), "0x8001"),
        (ExporterError::DamagedRow(4711), "damaged: the secret of node 4711"),
        (ExporterError::MissingRow(4711), "missing: the secret of node 4711"),
        (ExporterError::from(CryptoError::InvalidLength), "length"),
    ] {
        assert!(format!("{error}").contains(says), "{error}");
    }
}
