//! All input that can be bytes from outside, cut at every byte and one byte too long, gives an error and no
//! panic.

use conclave_crypto::{Secret, Suite};
use conclave_group::rows::Table;
use conclave_group::{
    CommitOptions, Config, Error, ExternalJoinStage, Framing, Group, NewProposal, Observer,
    ObserverStage, OwnKeyPackage, WelcomeStage, welcome_recipients,
};
use conclave_testkit::party::*;
use conclave_tree::{TreeRead, UnverifiedTree};
use conclave_wire::{
    AuthenticatedContent, Capabilities, Commit, Content, Credential, Decode, Encode,
    EncryptedGroupSecrets, Epoch, ExtensionType, FramedContent, GroupContext, GroupInfo,
    HpkeCiphertext, KeyPackage, LeafIndex, LeafNode, LeafNodeSource, MlsMessage, MlsMessageBody,
    Node, PreSharedKeyId, PrivateMessage, Proposal, ProposalOrRef, ProtocolVersion, PskType,
    PublicMessage, RatchetTreeExtension, ReInit, RequiredCapabilities, ResumptionPskUsage, Sender,
    SenderData, UpdatePath, Welcome, WireFormat,
};

/// All shorter prefixes of some bytes, and the bytes with one more.
fn wrong(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let longer = [bytes, &[0]].concat();
    (0..bytes.len()).map(|n| bytes[..n].to_vec()).chain([longer])
}

fn decodes_only_whole<T: Encode + Decode + PartialEq + std::fmt::Debug>(value: &T) {
    let bytes = value.to_bytes().unwrap();
    assert_eq!(T::from_bytes(&bytes).as_ref(), Ok(value));
    for other in wrong(&bytes) {
        assert!(T::from_bytes(&other).is_err(), "{} of {} bytes", other.len(), bytes.len());
    }
}

/// One message of each kind, from a group with values in every field.
struct Messages {
    peers: Vec<Peer>,
    eve: OwnKeyPackage,
    proposal: Vec<u8>,
    commit: Vec<u8>,
    encrypted_commit: Vec<u8>,
    data: Vec<u8>,
    welcome: Vec<u8>,
    info: Vec<u8>,
}

fn messages() -> Messages {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    for place in 0..3 {
        commits(&mut peers, place, CommitOptions::default());
    }

    let eve = key_package("eve", 41);
    let info = peers[0].group_info();
    let data = peers[0].say(b"data");
    let mut committed = |framing: Framing| {
        let options = CommitOptions {
            framing,
            force_path: true,
            ..commit_of(vec![add(&eve), NewProposal::Remove(LeafIndex(2))])
        };
        let messages = peers[0].commit(options).unwrap();
        peers[0].rejected();
        messages
    };

    let encrypted_commit = committed(encrypted()).commit;
    let public = committed(Framing::default());
    let proposal = peers[0].propose_update(None, &Framing::default());
    let commit = public.commit;
    let welcome = public.welcomes[0].message.clone();
    Messages { peers, eve, proposal, commit, encrypted_commit, data, welcome, info }
}

#[test]
fn wire_structures_decode_only_whole() {
    let all = messages();
    let body = |message: &[u8]| MlsMessage::from_bytes(message).unwrap().body;
    let (MlsMessageBody::PublicMessage(commit), MlsMessageBody::PublicMessage(proposal)) =
        (body(&all.commit), body(&all.proposal))
    else {
        panic!("private")
    };
    let MlsMessageBody::PrivateMessage(private) = body(&all.data) else { panic!("public") };
    let MlsMessageBody::Welcome(welcome) = body(&all.welcome) else { panic!("no Welcome") };
    let MlsMessageBody::GroupInfo(info) = body(&all.info) else { panic!("no GroupInfo") };
    let kp = all.eve.key_package();

    // Messages and commits.
    for message in [&all.commit, &all.proposal, &all.data, &all.welcome, &all.info] {
        decodes_only_whole(&MlsMessage::from_bytes(message).unwrap());
    }
    decodes_only_whole(&MlsMessage::from(MlsMessageBody::KeyPackage(Box::new(kp.clone()))));
    decodes_only_whole::<PublicMessage>(&commit);
    decodes_only_whole::<PrivateMessage>(&private);
    decodes_only_whole::<FramedContent>(&commit.content);
    decodes_only_whole(&AuthenticatedContent {
        wire_format: WireFormat::PUBLIC_MESSAGE,
        content: commit.content.clone(),
        auth: commit.auth.clone(),
    });
    decodes_only_whole::<Sender>(&commit.content.sender);
    let Content::Commit(inner) = &commit.content.content else { panic!("no commit") };
    decodes_only_whole::<Commit>(inner);
    inner.proposals.iter().for_each(decodes_only_whole::<ProposalOrRef>);
    let path = inner.path.as_deref().unwrap();
    decodes_only_whole::<UpdatePath>(path);
    decodes_only_whole::<HpkeCiphertext>(&path.nodes[0].encrypted_path_secret[0]);

    // Proposals of each type.
    let Content::Proposal(update) = &proposal.content.content else { panic!("no proposal") };
    let psk_nonce = [7; 32].into();
    let psk = PreSharedKeyId { psktype: PskType::External { psk_id: [8; 3].into() }, psk_nonce };
    let resumption = PskType::Resumption {
        usage: ResumptionPskUsage::Branch,
        psk_group_id: b"another".as_slice().into(),
        psk_epoch: Epoch(5),
    };
    let reinit = ReInit {
        group_id: b"next".as_slice().into(),
        version: ProtocolVersion::MLS_1_0,
        cipher_suite: SUITE,
        extensions: info.extensions.clone(),
    };
    for proposal in [
        update.clone(),
        Proposal::PreSharedKey(psk),
        Proposal::PreSharedKey(PreSharedKeyId { psktype: resumption, psk_nonce: [1; 32].into() }),
        Proposal::ReInit(reinit),
        Proposal::ExternalInit([3; 32].into()),
        Proposal::GroupContextExtensions(info.extensions.clone()),
    ] {
        decodes_only_whole::<Proposal>(&proposal);
    }

    // The structures of joining.
    decodes_only_whole::<Welcome>(&welcome);
    welcome.secrets.iter().for_each(decodes_only_whole::<EncryptedGroupSecrets>);
    decodes_only_whole::<GroupInfo>(&info);
    decodes_only_whole::<GroupContext>(&info.group_context);
    info.extensions.iter().for_each(decodes_only_whole);
    decodes_only_whole::<KeyPackage>(kp);
    decodes_only_whole::<LeafNode>(&kp.leaf_node);
    decodes_only_whole::<LeafNodeSource>(&path.leaf_node.leaf_node_source);
    decodes_only_whole::<Capabilities>(&kp.leaf_node.capabilities);
    decodes_only_whole::<Credential>(&kp.leaf_node.credential);
    decodes_only_whole(&RequiredCapabilities {
        extension_types: vec![ExtensionType(9)],
        ..RequiredCapabilities::default()
    });
    decodes_only_whole(&SenderData {
        leaf_index: LeafIndex(1),
        generation: 2,
        reuse_guard: [3; 4],
    });

    // The tree.
    let tree = all.peers[0].group.tree().to_extension_bytes().unwrap();
    let tree = RatchetTreeExtension::from_bytes(&tree).unwrap();
    decodes_only_whole::<RatchetTreeExtension>(&tree);
    tree.nodes.iter().flatten().for_each(decodes_only_whole::<Node>);
    let suite = Suite::new(&PROVIDER, SUITE).unwrap();
    for other in wrong(&tree.to_bytes().unwrap()) {
        assert!(UnverifiedTree::decode(&suite, &other).is_err());
    }
}

#[test]
fn truncated_messages_are_refused_by_all() {
    let all = messages();
    let bob = &all.peers[1];
    let observer = watch(&all.info);
    for message in [&all.commit, &all.proposal, &all.data, &all.encrypted_commit] {
        for other in wrong(message) {
            let refused = bob.process(&other).unwrap_err();
            assert!(matches!(refused.error, Error::Malformed(_)), "{}", refused.error);
            assert!(refused.key_deletion.is_none());
            let observed = observer.process(&PROVIDER, &other).unwrap_err();
            assert!(matches!(observed, Error::Malformed(_)), "{observed}");
        }
        assert_eq!(bob.all_rows(), bob.rows);
        bob.process(message).unwrap();
    }

    for other in wrong(&all.welcome) {
        assert!(matches!(welcome_recipients(&other), Err(Error::Malformed(_))));
        let opened =
            WelcomeStage::open(&PROVIDER, Config::default(), &other, &all.eve).unwrap_err();
        assert!(matches!(opened, Error::Malformed(_)));
    }

    let tree = bob.group.tree().to_extension_bytes().unwrap();
    for other in wrong(&all.info) {
        assert!(matches!(
            ExternalJoinStage::open(&PROVIDER, Config::default(), &other, None),
            Err(Error::Malformed(_))
        ));
        assert!(matches!(
            ObserverStage::open(&PROVIDER, Config::default(), &other, None),
            Err(Error::Malformed(_))
        ));
        let taken = observer.take_group_info(&PROVIDER, &other).unwrap_err();
        assert!(matches!(taken, Error::Malformed(_)));
    }

    for other in wrong(&tree) {
        assert!(
            ExternalJoinStage::open(&PROVIDER, Config::default(), &all.info, Some(&other)).is_err()
        );
        let join =
            WelcomeStage::open(&PROVIDER, Config::default(), &all.welcome, &all.eve).unwrap();
        assert!(join.join(&PROVIDER, &[], Some(&other), None).is_err());
    }
}

#[test]
fn truncated_rows_are_named_or_harmless() {
    let mut all = messages();
    let bob = &mut all.peers[1];
    bob.receive(&all.data);
    bob.propose_update(None, &Framing::default());
    bob.commit(CommitOptions::default()).unwrap();

    for (key, row) in &bob.rows {
        for other in wrong(row.expose()) {
            let mut rows = bob.rows.clone();
            rows.insert(*key, Secret::new(other.clone()));
            let loaded = Group::load(&PROVIDER, Config::default(), rows);
            match (key.table, loaded) {
                (_, Err(Error::Storage(what))) => {
                    let tree = what.contains("tree");
                    assert!(tree || what.contains(&format!("{:?}", key.table)), "{what}");
                }
                // A secret of another length fails when it is used.
                (
                    Table::PrivateKey | Table::SecretTreeNode | Table::Ratchet | Table::SkippedKey,
                    Ok(group),
                ) => {
                    let message = bob.group.pending_commit().unwrap().commit.clone();
                    let _ = group.process(&PROVIDER, NOW, &message);
                }
                (table, other) => panic!("{table:?}: {other:?}"),
            }
        }
    }

    let stored = all.eve.to_secret().unwrap();
    for other in wrong(stored.expose()) {
        let read = OwnKeyPackage::from_secret(&PROVIDER, &Secret::new(other.clone()));
        assert!(read.is_err(), "{} of {} bytes", other.len(), stored.len());
    }

    let observer = watch(&all.info);
    let rows = rows_of(observer.rows());
    for (key, row) in rows.iter().filter(|(key, _)| key.table != Table::GroupInfo) {
        for other in wrong(row.expose()) {
            let mut rows = rows.clone();
            rows.insert(*key, Secret::new(other));
            assert!(
                matches!(
                    Observer::load(&PROVIDER, Config::default(), rows),
                    Err(Error::Storage(_))
                ),
                "{key:?}"
            );
        }
    }
}
