//! Public keys of small order, with which every agreement gives zero. They are refused wherever a peer's
//! key comes in, with X25519 and with X448.

use crate::welcome::Forged;
use conclave_crypto::{DhGroup, Suite, has_low_order};
use conclave_group::{
    CommitOptions, Config, Error, Observer, Rejection, TreeError, ValidKeyPackage,
};
use conclave_testkit::forge::{Insider, OpenWelcome, sign_key_package};
use conclave_testkit::party::*;
use conclave_testkit::{SeededRng, accepting};
use conclave_tree::{StagedTree, TreeRead, create_path, seal_path, sign_leaf};
use conclave_wire::{
    Bytes, CipherSuite, Commit, Content, Decode, Encode, Extension, ExtensionType, GroupInfoTbs,
    HpkePublicKey, LeafIndex, LeafNode, LeafNodeContext, LeafNodeSource, MlsMessage,
    MlsMessageBody, Node, NodeIndex, Proposal, ProposalOrRef, Sender, UpdatePath,
};

const SUITES: [(CipherSuite, DhGroup); 2] =
    [(CipherSuite(1), DhGroup::X25519), (CipherSuite(4), DhGroup::X448)];

/// Coordinates of small order: 0, 1, -1 and the field's prime, and for X25519 one of order 8. (The
/// providers' own tests have all.)
fn low_order(group: DhGroup) -> Vec<Vec<u8>> {
    let n = group.public_key_len();
    let mut zero = vec![0; n];
    let mut one = vec![0; n];
    let mut p = vec![0xff; n];
    one[0] = 1;
    let mut all = Vec::new();
    match group {
        DhGroup::X25519 => {
            (p[0], p[31]) = (0xed, 0x7f);
            let mut set_top = zero.clone();
            set_top[31] = 0x80;
            all.push(set_top);
            let order_8 = "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800";
            all.push(
                (0..64)
                    .step_by(2)
                    .map(|at| u8::from_str_radix(&order_8[at..at + 2], 16).unwrap())
                    .collect(),
            );
        }
        _ => p[28] = 0xfe,
    }

    let mut minus_one = p.clone();
    minus_one[0] -= 1;
    all.extend([core::mem::take(&mut zero), one, p, minus_one]);
    assert!(all.iter().all(|key| has_low_order(group, key)));
    all
}

fn each(test: impl Fn(CipherSuite, Vec<u8>)) {
    for (suite, group) in SUITES {
        for key in low_order(group) {
            test(suite, key);
        }
    }
}

fn invalid() -> Error {
    Rejection::InvalidPublicKey.into()
}

/// The error by which both a member and an observer refuse a public message.
fn both(peer: &Peer, observer: &Observer, message: &[u8]) -> Error {
    let observed = accepting::observe(observer, &PROVIDER, message).map(drop);
    let refused = peer.refuses(message).error;
    assert_eq!(observed, Err(refused.clone()));
    refused
}

#[test]
fn a_key_package_with_a_key_of_low_order_is_refused() {
    for (cipher_suite, group) in SUITES {
        let suite = Suite::new(&PROVIDER, cipher_suite).unwrap();
        let peers = group_in(cipher_suite, &["alice", "bob"]);
        let observer = watch(&peers[0].group_info());
        let alice = Insider::of(&peers[0].group);
        let own = key_package_of(leaf_params("eve", cipher_suite), cipher_suite, 40);
        for key in low_order(group) {
            for of_leaf in [false, true] {
                let mut kp = own.key_package().clone();
                if of_leaf {
                    kp.leaf_node.encryption_key = key.as_slice().into();
                } else {
                    kp.init_key = key.as_slice().into();
                }
                sign_key_package(&suite, &mut kp, own.signer());

                let checked =
                    ValidKeyPackage::check(&PROVIDER, NOW, &Config::default(), kp.clone());
                assert_eq!(checked.err(), Some(invalid()), "{key:02x?}");

                let add = Proposal::Add(Box::new(kp));
                let proposal = alice.public(&PROVIDER, Content::Proposal(add.clone()));
                assert_eq!(both(&peers[1], &observer, &proposal), invalid());
                let commit = alice.public(&PROVIDER, Insider::commit(vec![add], None));
                assert_eq!(both(&peers[1], &observer, &commit), invalid());
            }
        }
    }
}

#[test]
fn an_update_to_a_key_of_low_order_is_refused() {
    each(|cipher_suite, key| {
        let suite = Suite::new(&PROVIDER, cipher_suite).unwrap();
        let peers = group_in(cipher_suite, &["alice", "bob"]);
        let observer = watch(&peers[0].group_info());
        let alice = Insider::of(&peers[0].group);
        let mut leaf = peers[0].group.tree().leaf(LeafIndex(0)).unwrap();
        leaf.encryption_key = key.as_slice().into();
        leaf.leaf_node_source = LeafNodeSource::Update;
        let group_id = peers[0].group.group_id();
        let context = LeafNodeContext { group_id, leaf_index: LeafIndex(0) };
        sign_leaf(&suite, &mut leaf, &alice.signer, context).unwrap();
        let update = Content::Proposal(Proposal::Update(Box::new(leaf)));
        assert_eq!(both(&peers[1], &observer, &alice.public(&PROVIDER, update)), invalid());
    });
}

/// A commit by alice with a correct path, until `change` changes it.
fn commit_with_path(
    suite: &Suite<'_>,
    peers: &[Peer],
    change: impl FnOnce(&mut UpdatePath, &dyn Fn(&mut LeafNode)),
) -> Vec<u8> {
    let alice = Insider::of(&peers[0].group);
    let group = &peers[0].group;
    let me = LeafIndex(0);
    let mut tree = StagedTree::new(group.tree());
    let template = tree.leaf(me).unwrap();
    let rng = &mut SeededRng::from_u64(8);
    let signer = &alice.signer;
    let path = create_path(suite, &mut tree, me, template, signer, group.group_id(), rng).unwrap();

    let mut context = group.context().clone();
    context.epoch.0 += 1;
    context.tree_hash = tree.tree_hash(suite).unwrap().to_vec().into();
    let context = context.to_bytes().unwrap();
    let mut path = seal_path(suite, &tree, me, &path, &context, &[], rng).unwrap();
    change(&mut path, &|leaf| {
        let context = LeafNodeContext { group_id: group.group_id(), leaf_index: me };
        sign_leaf(suite, leaf, signer, context).unwrap();
    });
    alice.public(&PROVIDER, Insider::commit(Vec::new(), Some(path)))
}

#[test]
fn a_path_with_a_key_of_low_order_is_refused() {
    each(|cipher_suite, key| {
        let suite = Suite::new(&PROVIDER, cipher_suite).unwrap();
        let peers = group_in(cipher_suite, &["alice", "bob", "carol"]);
        let observer = watch(&peers[0].group_info());
        let in_leaf = commit_with_path(&suite, &peers, |path, sign| {
            path.leaf_node.encryption_key = key.as_slice().into();
            sign(&mut path.leaf_node);
        });
        assert_eq!(both(&peers[1], &observer, &in_leaf), invalid());

        let in_node = commit_with_path(&suite, &peers, |path, _| {
            path.nodes[1].encryption_key = key.as_slice().into();
        });
        let node = NodeIndex(3);
        let invalid = Rejection::Tree(TreeError::InvalidEncryptionKey { node });
        assert_eq!(both(&peers[1], &observer, &in_node), invalid.into());

        // An encapsulation is a key, too. Bob's is of the first node.
        let in_kem_output = commit_with_path(&suite, &peers, |path, _| {
            path.nodes[0].encrypted_path_secret[0].kem_output = key.as_slice().into();
        });
        assert_eq!(peers[1].refuses(&in_kem_output).error, Rejection::PathOpen.into());
    });
}

#[test]
fn an_external_init_of_low_order_is_refused() {
    each(|cipher_suite, key| {
        let peers = group_in(cipher_suite, &["alice", "bob"]);
        let leaf = leaf_params("eve", cipher_suite);
        let info = peers[0].group_info();
        let (_, commit) = Peer::join_from_outside(&info, leaf, None, 30).unwrap();
        let MlsMessageBody::PublicMessage(m) = MlsMessage::from_bytes(&commit).unwrap().body else {
            panic!("private")
        };
        let Content::Commit(Commit { mut proposals, path }) = m.content.content else { panic!() };

        proposals[0] = ProposalOrRef::Proposal(Proposal::ExternalInit(key.as_slice().into()));
        let mut eve = Insider::of(&peers[0].group);
        eve.signer = signer(cipher_suite, 30);
        let content = Content::Commit(Commit { proposals, path });
        let forged = eve.from_outside(&PROVIDER, Sender::NewMemberCommit, content);
        assert_eq!(peers[1].refuses(&forged).error, Rejection::ExternalInitOpen.into());
    });
}

#[test]
fn a_group_info_with_an_external_pub_of_low_order_lets_nobody_in() {
    each(|cipher_suite, key| {
        let suite = Suite::new(&PROVIDER, cipher_suite).unwrap();
        let peers = group_in(cipher_suite, &["alice", "bob"]);
        let MlsMessageBody::GroupInfo(mut info) =
            MlsMessage::from_bytes(&peers[0].group_info()).unwrap().body
        else {
            panic!("no GroupInfo")
        };

        let kind = ExtensionType::EXTERNAL_PUB;
        let place = info.extensions.iter().position(|e| e.extension_type == kind).unwrap();
        let key = HpkePublicKey::from(key.as_slice());
        info.extensions[place] = Extension::new(kind, &key).unwrap();
        let tbs = GroupInfoTbs(&info).to_bytes().unwrap();
        let signer = Insider::of(&peers[0].group).signer;
        info.signature = suite.sign_with_label(&signer, b"GroupInfoTBS", &tbs).unwrap().into();
        let info = MlsMessage::from(MlsMessageBody::GroupInfo(info)).to_bytes().unwrap();
        let leaf = leaf_params("eve", cipher_suite);
        let joined = Peer::join_from_outside(&info, leaf, None, 30);
        assert_eq!(joined.err(), Some(invalid()));
    });
}

#[test]
fn a_welcome_with_a_key_of_low_order_is_refused() {
    for (cipher_suite, group) in SUITES {
        let mut peers = group_in(cipher_suite, &["alice", "bob", "carol"]);
        let eve = key_package_of(leaf_params("eve", cipher_suite), cipher_suite, 40);
        let signer = Insider::of(&peers[0].group).signer;
        let options = CommitOptions { force_path: true, ..commit_of(vec![add(&eve)]) };
        let messages = commits(&mut peers, 0, options);
        let welcome = &messages.welcomes[0].message;
        for key in low_order(group) {
            let mut sealed = Forged::open(welcome, &eve, &signer);
            sealed.confirm();
            let mut changed = OpenWelcome::decode(&sealed.close());
            changed.secrets[0].encrypted_group_secrets.kem_output = Bytes::from(key.as_slice());
            let refused = Peer::join(&OpenWelcome::encode(changed), &eve, 1).unwrap_err();
            assert_eq!(refused, Rejection::WelcomeOpen.into());

            // In the tree: a leaf, and a parent.
            for node in [2usize, 3] {
                let mut forged = Forged::open(welcome, &eve, &signer);
                forged.change_node(node, |node| match node {
                    Node::Leaf(leaf) => leaf.encryption_key = key.as_slice().into(),
                    Node::Parent(parent) => parent.encryption_key = key.as_slice().into(),
                });
                let node = NodeIndex(node as u32);
                let invalid = Rejection::Tree(TreeError::InvalidEncryptionKey { node });
                assert_eq!(forged.refused(), invalid.into());
            }
        }
    }
}
