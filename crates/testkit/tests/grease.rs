//! Unknown code points, among them those reserved for GREASE. They are carried unchanged and ignored
//! where section 13.5 says so, and refused where it says so; GREASE values are nowhere special.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use conclave_crypto::{Secret, Suite};
use conclave_group::{
    CommitOptions, Error, ExternalJoinStage, Framing, KeyPackageParams, LeafParams, LeafRule,
    LeafUpdate, NewProposal, Observer, OwnKeyPackage, Rejection, ValidKeyPackage,
};
use conclave_testkit::SeededRng;
use conclave_testkit::forge::{Insider, OpenWelcome};
use conclave_testkit::party::*;
use conclave_tree::{TreeRead, UnverifiedTree};
use conclave_wire::{
    Bytes, CipherSuite, Content, Credential, CredentialType, Decode, Encode, Extension,
    ExtensionType, GroupInfoTbs, LeafIndex, MlsMessage, MlsMessageBody, Proposal, ProposalType,
    RequiredCapabilities, grease, is_grease,
};

/// GREASE values, a value next to one, one of private use, and one that may be registered one day.
fn unknown() -> Vec<u16> {
    (0..15).map(grease).chain(CUSTOM_PROPOSALS.map(|t| t.0)).collect()
}

fn extension(code: u16, data: &[u8]) -> Extension {
    Extension { extension_type: ExtensionType(code), extension_data: data.into() }
}

/// A leaf that lists and uses all unknown values.
fn greased(name: &str) -> LeafParams {
    let mut leaf = leaf_params(name, SUITE);
    let capabilities = &mut leaf.capabilities;
    for code in unknown() {
        capabilities.cipher_suites.insert(0, CipherSuite(code));
        capabilities.extensions.insert(0, ExtensionType(code));
        capabilities.proposals.push(ProposalType(code));
        capabilities.credentials.insert(0, CredentialType(code));
        leaf.extensions.push(extension(code, &code.to_be_bytes()));
    }
    leaf
}

/// Checks that all have a leaf as it was published, and that the tree hash is that of the encoding.
fn carried(peers: &[Peer], observer: &Observer, leaf: u32, params: &LeafParams) {
    let suite = Suite::new(&PROVIDER, SUITE).unwrap();
    let trees = peers.iter().map(|peer| peer.group.tree()).chain([observer.tree()]);
    let mut encodings = Vec::new();
    for tree in trees {
        let found = tree.leaf(LeafIndex(leaf)).unwrap();
        assert_eq!(found.capabilities, params.capabilities);
        assert_eq!(found.extensions, params.extensions);
        assert_eq!(found.to_bytes().unwrap(), tree.node(LeafIndex(leaf).node()).unwrap());
        let bytes = tree.to_extension_bytes().unwrap();
        let recomputed = UnverifiedTree::decode(&suite, &bytes).unwrap();
        assert_eq!(recomputed.tree_hash(), tree.tree_hash());
        recomputed.verify(&suite, peers[0].group.group_id()).unwrap();
        encodings.push(bytes);
    }
    encodings.dedup();
    assert_eq!(encodings.len(), 1);
}

fn all_follow(peers: &mut [Peer], observer: &mut Observer, who: usize, options: CommitOptions) {
    let messages = commits(peers, who, options);
    observe(observer, &messages.commit).unwrap();
    agree(peers);
}

#[test]
fn a_leaf_with_unknown_code_points_lives_through_a_group_unchanged() {
    let params = greased("bob");
    let mut peers = group_of_leaves(
        vec![leaf_params("alice", SUITE), params.clone(), leaf_params("carol", SUITE)],
        SUITE,
    );
    let mut observer = watch(&peers[0].group_info());
    carried(&peers, &observer, 1, &params);

    // The leaf is updated and committed.
    let update = peers[1].propose_update(None, &Framing::default());
    deliver(&mut peers, 1, &update);
    observe(&mut observer, &update).unwrap();
    all_follow(&mut peers, &mut observer, 0, CommitOptions::default());
    carried(&peers, &observer, 1, &params);
    all_follow(&mut peers, &mut observer, 1, CommitOptions::default());
    carried(&peers, &observer, 1, &params);

    // Its next version has other values.
    let mut other = leaf_params("bob", SUITE);
    other.capabilities = other.capabilities.with_grease([1, 2, 3, 4, 5, 6, 7, 8]);
    let leaf = Some(LeafUpdate { params: other.clone(), signer: signer(SUITE, 80) });
    let options = CommitOptions { leaf, ..CommitOptions::default() };
    all_follow(&mut peers, &mut observer, 1, options);
    carried(&peers, &observer, 1, &other);

    for peer in &mut peers {
        peer.reload();
    }
    let said = peers[1].say(b"hello");
    assert_eq!(peers[2].reads(&said).data, b"hello");
    all_follow(&mut peers, &mut observer, 0, CommitOptions::default());
    carried(&peers, &observer, 1, &other);

    // Another one joins from outside.
    let info = peers[0].group_info();
    let params = greased("dave");
    let (dave, commit) = Peer::join_from_outside(&info, params.clone(), None, 81).unwrap();
    observe(&mut observer, &commit).unwrap();
    for peer in &mut peers {
        peer.receive(&commit);
    }
    peers.push(dave);
    agree(&peers);
    carried(&peers, &observer, 3, &params);

    // The first one is removed.
    let removed = peers.remove(1);
    let message = peers[0].commit(commit_of(vec![NewProposal::Remove(LeafIndex(1))])).unwrap();
    observe(&mut observer, &message.commit).unwrap();
    deliver(&mut peers, 0, &message.commit);
    peers[0].accepted();
    agree(&peers);
    removed.process(&message.commit).unwrap();
    carried(&peers, &observer, 3, &params);
}

#[test]
fn a_founders_leaf_may_have_unknown_code_points() {
    let params = greased("alice");
    let mut peers = group_of_leaves(vec![params.clone(), leaf_params("bob", SUITE)], SUITE);
    let mut observer = watch(&peers[0].group_info());
    carried(&peers, &observer, 0, &params);
    all_follow(&mut peers, &mut observer, 1, CommitOptions::default());
    carried(&peers, &observer, 0, &params);
}

#[test]
fn an_unknown_extension_of_a_leaf_that_does_not_list_it_is_refused() {
    for code in unknown() {
        let mut leaf = leaf_params("eve", SUITE);
        leaf.extensions.push(extension(code, b""));
        let params = KeyPackageParams::new(SUITE, leaf.clone(), LIFETIME);
        let rng = &mut SeededRng::from_u64(1);
        let failed = OwnKeyPackage::generate(&PROVIDER, rng, params, signer(SUITE, 1)).unwrap_err();
        let missing = LeafRule::ExtensionNotListed(ExtensionType(code));
        assert_eq!(failed, Rejection::LeafRule(missing).into());
        leaf.capabilities.extensions.push(ExtensionType(code));
        let _listed = key_package_of(leaf, SUITE, 1);
    }
}

#[test]
fn unknown_extensions_of_a_key_package_are_ignored_and_carried() {
    let extensions: Vec<Extension> =
        unknown().iter().map(|code| extension(*code, &[7; 40])).collect();
    let params = KeyPackageParams {
        extensions: extensions.clone(),
        last_resort: true,
        ..KeyPackageParams::new(SUITE, greased("bob"), LIFETIME)
    };
    let rng = &mut SeededRng::from_u64(2);
    let own = OwnKeyPackage::generate(&PROVIDER, rng, params, signer(SUITE, 2)).unwrap();
    let read = OwnKeyPackage::from_secret(&PROVIDER, &own.to_secret().unwrap()).unwrap();
    assert_eq!(read, own);
    assert_eq!(own.key_package().extensions[..extensions.len()], extensions);

    let mut peers = group_of(&["alice"]);
    let mut observer = watch(&peers[0].group_info());
    let messages = peers[0].commit(commit_of(vec![add(&own)])).unwrap();
    observe(&mut observer, &messages.commit).unwrap();
    peers[0].accepted();
    peers.push(Peer::join(&messages.welcomes[0].message, &own, 3).unwrap());
    agree(&peers);
}

/// A member's GroupInfo with more extensions, signed again.
fn info_with(peer: &Peer, extensions: &[Extension]) -> Vec<u8> {
    let MlsMessageBody::GroupInfo(mut info) =
        MlsMessage::from_bytes(&peer.group_info()).unwrap().body
    else {
        panic!("no GroupInfo")
    };
    info.extensions.extend_from_slice(extensions);
    let suite = Suite::new(&PROVIDER, SUITE).unwrap();
    let tbs = GroupInfoTbs(&info).to_bytes().unwrap();
    let signer = Insider::of(&peer.group).signer;
    info.signature = suite.sign_with_label(&signer, b"GroupInfoTBS", &tbs).unwrap().into();
    MlsMessage::from(MlsMessageBody::GroupInfo(info)).to_bytes().unwrap()
}

#[test]
fn joiners_and_observers_ignore_unknown_group_info_extensions() {
    let mut peers = group_of(&["alice", "bob"]);
    let extensions: Vec<Extension> =
        unknown().iter().map(|code| extension(*code, &[9; 30])).collect();
    let info = info_with(&peers[0], &extensions);
    let mut observer = watch(&info);
    assert_eq!(observer.group_info(), Some(&info[..]));

    // Given again later, it is accepted and stored as it is.
    let step = observer.take_group_info(&PROVIDER, &info).unwrap();
    take_unstored(&mut observer, step);
    let mut observer = Observer::load(&PROVIDER, config(), rows_of(observer.rows())).unwrap();
    assert_eq!(observer.group_info(), Some(&info[..]));

    let leaf = leaf_params("carol", SUITE);
    let (carol, commit) = Peer::join_from_outside(&info, leaf, None, 82).unwrap();
    observe(&mut observer, &commit).unwrap();
    for peer in &mut peers {
        peer.receive(&commit);
    }
    peers.push(carol);
    agree(&peers);

    // Like any extension, an unknown one may be there only once.
    let twice = [extensions[0].clone(), extensions[0].clone()];
    let info = info_with(&peers[0], &twice);
    let rule = Rejection::DuplicateExtension(twice[0].extension_type);
    assert_eq!(ExternalJoinStage::open(&PROVIDER, config(), &info, None).err(), Some(rule.into()));

    // The same in a Welcome.
    let dave = key_package("dave", 83);
    let signer = Insider::of(&peers[1].group).signer;
    let messages = commits(&mut peers, 1, commit_of(vec![add(&dave)]));
    let message = &messages.welcomes[0].message;
    let mut welcome = OpenWelcome::of(&PROVIDER, message, &dave, &Secret::zero(0));
    welcome.info.extensions.splice(0..0, extensions);
    let message = welcome.close(&Suite::new(&PROVIDER, SUITE).unwrap(), &signer);
    peers.push(Peer::join(&message, &dave, 4).unwrap());
    agree(&peers);
}

fn required(code: u16, kind: usize) -> NewProposal {
    let mut required = RequiredCapabilities::default();
    match kind {
        0 => required.extension_types.push(ExtensionType(code)),
        1 => required.proposal_types.push(ProposalType(code)),
        _ => required.credential_types.push(CredentialType(code)),
    }
    let kind = ExtensionType::REQUIRED_CAPABILITIES;
    NewProposal::GroupContextExtensions(vec![Extension::new(kind, &required).unwrap()])
}

fn unsupported(code: u16, kind: usize) -> Error {
    match kind {
        0 => Rejection::UnsupportedExtension(ExtensionType(code)).into(),
        1 => Rejection::UnsupportedProposal(ProposalType(code)).into(),
        _ => Rejection::UnsupportedCredential(CredentialType(code)).into(),
    }
}

/// A leaf that lists an unknown code point in one of the three lists.
fn listing(name: &str, code: u16, kind: usize) -> LeafParams {
    let mut leaf = leaf_params(name, SUITE);
    match kind {
        0 => leaf.capabilities.extensions.push(ExtensionType(code)),
        1 => leaf.capabilities.proposals.push(ProposalType(code)),
        _ => leaf.capabilities.credentials.push(CredentialType(code)),
    }
    leaf
}

#[test]
fn an_unknown_code_point_can_be_required_like_a_known_one() {
    for code in unknown() {
        for kind in 0..3 {
            // One of two members lacks it.
            let one = vec![listing("alice", code, kind), leaf_params("bob", SUITE)];
            let mut peers = group_of_leaves(one, SUITE);
            let failed = peers[0].commit(commit_of(vec![required(code, kind)])).unwrap_err();
            assert_eq!(failed, unsupported(code, kind));

            // Both have it. Newcomers must have it, and members must keep it.
            let both = ["alice", "bob"].map(|name| listing(name, code, kind));
            let mut peers = group_of_leaves(both.to_vec(), SUITE);
            let mut observer = watch(&peers[0].group_info());
            let options = commit_of(vec![required(code, kind)]);
            all_follow(&mut peers, &mut observer, 0, options);

            let without = key_package("carol", 84);
            let failed = peers[0].commit(commit_of(vec![add(&without)])).unwrap_err();
            assert_eq!(failed, unsupported(code, kind));

            let params = leaf_params("bob", SUITE);
            let leaf = Some(LeafUpdate { params, signer: signer(SUITE, 85) });
            let options = CommitOptions { leaf, ..CommitOptions::default() };
            assert_eq!(peers[1].commit(options).unwrap_err(), unsupported(code, kind));

            let outside = leaf_params("carol", SUITE);
            let failed = Peer::join_from_outside(&peers[0].group_info(), outside, None, 86);
            assert_eq!(failed.err(), Some(unsupported(code, kind)));

            let with = key_package_of(listing("carol", code, kind), SUITE, 87);
            let options = commit_of(vec![add(&with)]);
            let messages = commits(&mut peers, 0, options);
            observe(&mut observer, &messages.commit).unwrap();
            peers.push(Peer::join(&messages.welcomes[0].message, &with, 5).unwrap());
            agree(&peers);
        }
    }
}

#[test]
fn all_must_support_an_unknown_extension_of_the_group() {
    for code in unknown() {
        let mut peers = group_of(&["alice", "bob"]);
        let list = || vec![extension(code, b"data")];
        let failed = peers[0].commit(commit_of(vec![NewProposal::GroupContextExtensions(list())]));
        assert_eq!(failed.unwrap_err(), unsupported(code, 0));

        // A member that does it all the same is refused.
        let insider = Insider::of(&peers[0].group);
        let commit = Insider::commit(vec![Proposal::GroupContextExtensions(list())], None);
        let refused = peers[1].refuses(&insider.public(&PROVIDER, commit)).error;
        assert!(matches!(refused, Error::Rejected(_)), "{refused}");
    }
}

#[test]
fn an_unknown_type_of_credential_is_refused_unless_all_support_it() {
    for code in unknown() {
        let credential_type = CredentialType(code);
        let credential = Credential::Other { credential_type, data: Bytes::from([1, 2, 3]) };
        let mut strange = leaf_params("", SUITE);
        strange.credential = credential;
        strange.capabilities.credentials.push(credential_type);
        let own = key_package_of(strange, SUITE, 88);

        let mut peers = group_of(&["alice", "bob"]);
        let failed = peers[0].commit(commit_of(vec![add(&own)])).unwrap_err();
        assert_eq!(failed, unsupported(code, 2));

        let both = ["alice", "bob"].map(|name| listing(name, code, 2));
        let mut peers = group_of_leaves(both.to_vec(), SUITE);
        let messages = commits(&mut peers, 0, commit_of(vec![add(&own)]));
        peers.push(Peer::join(&messages.welcomes[0].message, &own, 6).unwrap());
        agree(&peers);
    }
}

#[test]
fn a_proposal_of_an_unknown_type_is_refused_even_if_all_list_it() {
    for code in (0..15).map(grease) {
        let both = ["alice", "bob"].map(|name| listing(name, code, 1));
        let peers = group_of_leaves(both.to_vec(), SUITE);
        let observer = watch(&peers[0].group_info());
        let insider = Insider::of(&peers[0].group);
        let custom = || {
            let proposal_type = ProposalType(code);
            Proposal::Custom { proposal_type, body: Bytes::default() }
        };
        for content in [Content::Proposal(custom()), Insider::commit(vec![custom()], None)] {
            let message = insider.public(&PROVIDER, content);
            let refused = peers[1].refuses(&message).error;
            assert!(matches!(refused, Error::Malformed(_)), "{refused}");
            assert!(observer.process(&PROVIDER, &message).is_err());
        }
    }
}

#[test]
fn key_packages_for_an_unknown_cipher_suite_are_refused() {
    let own = key_package("eve", 89);
    for code in unknown() {
        let mut kp = own.key_package().clone();
        kp.cipher_suite = CipherSuite(code);
        let checked = ValidKeyPackage::check(&PROVIDER, NOW, &config(), kp);
        assert!(checked.is_err(), "{code:#06x}");
    }
    assert!(unknown().iter().filter(|code| is_grease(**code)).count() == 15);
}
