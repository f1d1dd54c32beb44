//! The rules of single leaves, of staging, and of stored rows.

use crate::testing::{Plan, TestRng, World, group_id, member, sign, suite};
use crate::view::{LeafView, ParentView};
use crate::{
    Feature, LeafRule, RatchetTree, StagedTree, TreeError, TreeRead, check_leaf_rules,
    check_own_leaf_rules, verify_leaf_signature,
};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use conclave_wire::{
    Certificate, CipherSuite, Credential, CredentialType, Decode, Encode, Extension, ExtensionType,
    GroupId, LeafIndex, LeafNode, LeafNodeContext, LeafNodeSource, NodeIndex, ParentNode,
    ProposalType, ProtocolVersion, TreeSize,
};

fn rich_leaf(rng: &mut TestRng) -> LeafNode {
    let (mut leaf, signer) = member(rng);
    let certificate = |n: usize| Certificate { cert_data: alloc::vec![3; n].into() };
    leaf.credential = Credential::X509 { certificates: [certificate(3), certificate(70)].into() };
    leaf.capabilities.extensions = [ExtensionType(0x0a0a), ExtensionType(0xf00d)].into();
    leaf.capabilities.proposals = [ProposalType(0xf00e)].into();
    leaf.capabilities.credentials.push(CredentialType::X509);
    let extension_data = [1, 2].into();
    leaf.extensions.push(Extension { extension_type: ExtensionType(0xf00d), extension_data });
    leaf.leaf_node_source = LeafNodeSource::Commit([5; 32].into());
    sign(&mut leaf, &signer, LeafIndex(0));
    leaf
}

#[test]
fn views_accept_what_the_decoders_accept() {
    let mut rng = TestRng(1);
    let (simple, _) = member(&mut rng);

    for leaf in [simple, rich_leaf(&mut rng)] {
        let bytes = leaf.to_bytes().unwrap();
        let view = LeafView::parse(&bytes).unwrap();
        assert_eq!(view.signature, &leaf.signature[..]);
        assert_eq!(view.credential_type, leaf.credential.credential_type());

        let same = |bytes: &[u8]| {
            assert_eq!(LeafView::parse(bytes).is_ok(), LeafNode::from_bytes(bytes).is_ok());
        };
        (0..bytes.len()).for_each(|n| same(&bytes[..n]));
        for at in 0..bytes.len() {
            for change in [1u8, 2, 3, 4, 0x40, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[at] ^= change;
                same(&changed);
            }
        }
    }

    let parent = ParentNode {
        encryption_key: [1; 32].into(),
        parent_hash: [2; 32].into(),
        unmerged_leaves: [3, 4].map(LeafIndex).into(),
    };
    let bytes = parent.to_bytes().unwrap();
    let unmerged: Vec<u32> = ParentView::parse(&bytes).unwrap().unmerged_leaves().collect();
    assert_eq!(unmerged, [3, 4]);

    for at in 0..bytes.len() {
        for change in 0..=255 {
            let mut changed = bytes.clone();
            changed[at] ^= change;
            let decoded = ParentNode::from_bytes(&changed).is_ok();
            assert_eq!(ParentView::parse(&changed).is_ok(), decoded);
        }
    }
}

#[test]
fn views_have_the_decoders_memory_budget() {
    let accepted = |leaf: &LeafNode| {
        let bytes = leaf.to_bytes().unwrap();
        let decoded = LeafNode::from_bytes(&bytes).is_ok();
        assert_eq!(LeafView::parse(&bytes).is_ok(), decoded);
        decoded
    };
    let (leaf, _) = member(&mut TestRng(1));

    // The budget is 16 MiB and two bytes for each encoded byte. An empty extension takes three
    // encoded bytes, an empty certificate one.
    let empty = Extension { extension_type: ExtensionType(9), extension_data: [].into() };
    let most = (16 << 20) / (size_of::<Extension>() - 6);
    let extensions =
        |n: usize| LeafNode { extensions: alloc::vec![empty.clone(); n], ..leaf.clone() };
    assert!(accepted(&extensions(most)));
    assert!(!accepted(&extensions(most + 100)));

    let empty = Certificate { cert_data: [].into() };
    let most = (16 << 20) / (size_of::<Certificate>() - 2);
    let chain = |n: usize| {
        let credential = Credential::X509 { certificates: alloc::vec![empty.clone(); n] };
        LeafNode { credential, ..leaf.clone() }
    };
    assert!(accepted(&chain(most)));
    assert!(!accepted(&chain(most + 100)));
}

#[test]
fn a_leaf_must_list_what_it_uses() {
    let suite = CipherSuite(1);
    let good = rich_leaf(&mut TestRng(2));
    assert_eq!(check_leaf_rules(&good), Ok(()));
    assert_eq!(check_own_leaf_rules(&good, suite), Ok(()));
    let broken = |change: &dyn Fn(&mut LeafNode)| {
        let mut leaf = good.clone();
        change(&mut leaf);
        let rule = check_leaf_rules(&leaf).unwrap_err();
        assert_eq!(check_own_leaf_rules(&leaf, suite), Err(rule));
        rule
    };

    let rule = broken(&|l| l.capabilities.credentials = [CredentialType::BASIC].into());
    assert_eq!(rule, LeafRule::CredentialTypeNotListed(CredentialType::X509));
    let rule = broken(&|l| l.capabilities.extensions.truncate(1));
    assert_eq!(rule, LeafRule::ExtensionNotListed(ExtensionType(0xf00d)));
    let rule = broken(&|l| l.extensions.push(l.extensions[0].clone()));
    assert_eq!(rule, LeafRule::DuplicateExtension(ExtensionType(0xf00d)));

    // Section 7.2 forbids listing default types, but this is tolerated.
    let mut leaf = good.clone();
    leaf.capabilities.extensions.push(ExtensionType::APPLICATION_ID);
    assert_eq!(check_leaf_rules(&leaf), Ok(()));
}

#[test]
fn only_our_own_leaves_must_list_version_and_suite() {
    let suite = CipherSuite(1);
    let good = rich_leaf(&mut TestRng(2));
    let tolerated = |change: &dyn Fn(&mut LeafNode)| {
        let mut leaf = good.clone();
        change(&mut leaf);
        assert_eq!(check_leaf_rules(&leaf), Ok(()));
        check_own_leaf_rules(&leaf, suite).unwrap_err()
    };

    let rule = tolerated(&|l| l.capabilities.versions = [ProtocolVersion(2)].into());
    assert_eq!(rule, LeafRule::VersionNotListed);
    let rule = tolerated(&|l| l.capabilities.cipher_suites = [CipherSuite(2)].into());
    assert_eq!(rule, LeafRule::CipherSuiteNotListed(suite));
}

#[test]
fn a_commit_leaf_is_signed_for_its_place() {
    let leaf = rich_leaf(&mut TestRng(4));
    let verify = |group_id: &GroupId, leaf_index| {
        verify_leaf_signature(&suite(), &leaf, LeafNodeContext { group_id, leaf_index })
    };

    assert_eq!(verify(&group_id(), LeafIndex(0)), Ok(()));
    let error = TreeError::LeafSignature { leaf: LeafIndex(1) };
    assert_eq!(verify(&group_id(), LeafIndex(1)), Err(error));
    let error = TreeError::LeafSignature { leaf: LeafIndex(0) };
    assert_eq!(verify(&GroupId::from(*b"another"), LeafIndex(0)), Err(error));
}

#[test]
fn only_members_are_updated_or_removed() {
    let mut world = World::populated(5, 6);
    let update = world.update_of(2);
    for leaf in [LeafIndex(6), LeafIndex(8), LeafIndex(u32::MAX)] {
        let mut staged = StagedTree::new(&world.tree);
        let error = TreeError::NoSuchMember { leaf };
        assert_eq!(staged.remove_leaves(&[leaf]), Err(error));
        assert_eq!(staged.update_leaf(leaf, &update), Err(error));
    }

    let leaf = LeafIndex(2);
    let mut staged = StagedTree::new(&world.tree);
    let twice = staged.remove_leaves(&[leaf, LeafIndex(1), leaf]);
    assert_eq!(twice, Err(TreeError::NoSuchMember { leaf }));

    let mut staged = StagedTree::new(&world.tree);
    staged.remove_leaves(&[leaf]).unwrap();
    assert_eq!(staged.remove_leaves(&[leaf]), Err(TreeError::NoSuchMember { leaf }));
}

#[test]
fn an_update_replaces_the_encryption_key() {
    let mut world = World::populated(6, 3);
    let mut update = world.update_of(2);
    update.encryption_key = world.tree.encryption_key(NodeIndex(4)).unwrap();

    let mut staged = StagedTree::new(&world.tree);
    let error = TreeError::EncryptionKeyUnchanged { leaf: LeafIndex(2) };
    assert_eq!(staged.update_leaf(LeafIndex(2), &update), Err(error));
}

#[test]
fn keys_are_unique_across_staged_and_unchanged_nodes() {
    let mut world = World::populated(7, 5);
    let (new, _) = member(&mut world.rng);
    let clash = |change: &dyn Fn(&RatchetTree, &mut LeafNode)| {
        let mut staged = StagedTree::new(&world.tree);
        let mut new = new.clone();
        change(&world.tree, &mut new);
        staged.add_leaf(&new).unwrap();
        staged.check_unique_keys()
    };
    assert_eq!(clash(&|_, _| {}), Ok(()));

    let leaf = LeafIndex(5);
    let node = leaf.node();
    for other in [NodeIndex(2), NodeIndex(3)] {
        let error = TreeError::DuplicateEncryptionKey { node, other };
        let same = clash(&|tree, new| new.encryption_key = tree.encryption_key(other).unwrap());
        assert_eq!(same, Err(error));
    }

    let other = LeafIndex(3);
    let same = clash(&|tree, new| new.signature_key = tree.signature_key(other).unwrap());
    assert_eq!(same, Err(TreeError::DuplicateSignatureKey { leaf, other }));

    // Both leaves are staged.
    let mut staged = StagedTree::new(&world.tree);
    staged.add_leaves(&[&new, &new]).unwrap();
    assert!(staged.check_unique_keys().is_err());

    // A key is free if its member is removed in the same commit.
    let mut staged = StagedTree::new(&world.tree);
    let mut again = new.clone();
    again.signature_key = world.tree.signature_key(LeafIndex(3)).unwrap();
    staged.remove_leaves(&[LeafIndex(3)]).unwrap();
    assert_eq!(staged.add_leaf(&again).unwrap(), LeafIndex(3));
    assert_eq!(staged.check_unique_keys(), Ok(()));
    assert_eq!(staged.member_with_signature_key(&again.signature_key), Some(LeafIndex(3)));
    assert_eq!(staged.node_with_encryption_key(&again.encryption_key), Some(NodeIndex(6)));
}

#[test]
fn features_of_members_are_counted() {
    let mut rng = TestRng(8);
    let (plain, _) = member(&mut rng);
    let rich = rich_leaf(&mut rng);
    let extension = ExtensionType(0xf00d);
    let proposal = ProposalType(0xf00e);

    let mut tree = RatchetTree::new(&suite(), &rich).unwrap();
    assert!(tree.all_support_extension(extension) && tree.all_support_proposal(proposal));
    assert!(tree.all_support_extension(ExtensionType::EXTERNAL_SENDERS));
    assert!(tree.all_support_proposal(ProposalType::REINIT));
    assert_eq!(tree.credential_types_in_use(), [CredentialType::X509]);

    let mut staged = StagedTree::new(&tree);
    staged.add_leaf(&plain).unwrap();
    let check = |tree: &dyn TreeRead| {
        assert!(!tree.all_support_extension(extension) && !tree.all_support_proposal(proposal));
        assert!(tree.all_support_credential(CredentialType::BASIC));
        assert_eq!(tree.members_with(Feature::Extension(extension)), 1);
        assert_eq!(tree.credential_types_in_use(), [CredentialType::BASIC, CredentialType::X509]);
        let error = TreeError::CredentialUnsupported(CredentialType::X509);
        assert_eq!(tree.check_credential_support(), Err(error));
    };
    check(&staged);
    let mut delta = staged.into_delta(&suite()).unwrap();
    tree.swap(&mut delta);
    check(&tree);

    let mut staged = StagedTree::new(&tree);
    staged.remove_leaves(&[LeafIndex(0)]).unwrap();
    assert_eq!(staged.credential_types_in_use(), [CredentialType::BASIC]);
    assert_eq!(staged.check_credential_support(), Ok(()));
}

#[test]
fn damaged_and_missing_rows_are_named() {
    let mut world = World::populated(9, 6);
    world.commit(0, &Plan { removes: Vec::from([4]), path: true, ..Plan::default() });
    let rows: BTreeMap<u32, Vec<u8>> = world.tree.rows().collect();
    let size = world.tree.size();
    let load = |rows: BTreeMap<u32, Vec<u8>>, size| {
        RatchetTree::load(&suite(), size, rows.into_iter()).map(drop)
    };
    assert_eq!(load(rows.clone(), size), Ok(()));

    for (index, row) in &rows {
        let node = NodeIndex(*index);
        let damaged = Err(TreeError::DamagedRow { node });
        let with = |row: &[u8]| {
            let mut rows = rows.clone();
            rows.insert(*index, row.to_vec());
            load(rows, size)
        };

        (0..row.len()).for_each(|n| assert_eq!(with(&row[..n]), damaged, "{n}"));
        assert_eq!(with(&[row, &[0][..]].concat()), damaged);
        for (at, value) in [(0, 2), (1, 2), (2, 1)] {
            let mut row = row.clone();
            row[at] = value;
            assert_eq!(with(&row), damaged);
        }

        let mut rest = rows.clone();
        rest.remove(index);
        assert!(load(rest, size).is_err(), "{node}");
        // Losing a leaf's row together with those above is also noticed.
        let mut rest = rows.clone();
        rest.retain(|i, _| !NodeIndex(*i).covers(node));
        assert!(load(rest, size).is_err(), "{node}");
    }

    let mut rest = rows.clone();
    rest.remove(&5);
    assert_eq!(load(rest, size), Err(TreeError::MissingRow { node: NodeIndex(5) }));

    // A duplicate row, a row for a blank leaf, rows outside the tree, wrong sizes, no rows.
    let twice = rows.clone().into_iter().chain([(0, rows[&0].clone())]);
    let error = RatchetTree::load(&suite(), size, twice).unwrap_err();
    assert_eq!(error, TreeError::DamagedRow { node: NodeIndex(0) });
    for (index, from) in [(8, 7), (13, 7), (15, 7), (u32::MAX, 0)] {
        let mut more = rows.clone();
        more.insert(index, rows[&from].clone());
        assert!(load(more, size).is_err(), "{index}");
    }
    for size in [size.halved().unwrap(), size.doubled().unwrap(), TreeSize::MAX] {
        assert!(load(rows.clone(), size).is_err());
    }
    assert!(load(BTreeMap::new(), TreeSize::ONE).is_err());
    assert!(load(BTreeMap::new(), TreeSize::MAX).is_err());
}

#[test]
fn a_wrong_hash_in_storage_is_found_by_a_check() {
    let world = World::populated(10, 6);
    let mut rows: Vec<(u32, Vec<u8>)> = world.tree.rows().collect();
    *rows[3].1.last_mut().unwrap() ^= 1;

    let node = NodeIndex(rows[3].0);
    let tree = RatchetTree::load(&suite(), world.tree.size(), rows.into_iter()).unwrap();
    assert_eq!(tree.check_caches(&suite()), Err(TreeError::WrongCache { node }));
}

#[test]
fn a_tree_that_shrank_can_release_memory() {
    let mut world = World::populated(11, 9);
    let leaves: Vec<u32> = (3..9).collect();
    world.commit(0, &Plan { removes: leaves, path: true, ..Plan::default() });
    world.tree.shrink_to_fit();
    world.check();

    world.commit(1, &Plan { adds: 8, path: true, ..Plan::default() });
    world.check();
}

#[test]
fn debug_output_is_short() {
    let world = World::populated(12, 4);
    let staged = StagedTree::new(&world.tree);
    let shown = alloc::format!("{:?} {staged:?}", world.tree);
    assert!(shown.contains("members: 4") && shown.len() < 200, "{shown}");
}
