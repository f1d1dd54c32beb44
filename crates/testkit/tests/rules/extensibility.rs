//! Unknown values are ignored or refused, each where the RFC says so (sections 7.2, 10, 12.4.3, 13.4 and
//! 13.5).

use super::scene::*;
use conclave_group::{
    CommitOptions, Config, Error, ExternalJoinOptions, ExternalJoinStage, Group, GroupParams,
    KeyPackageParams, LeafParams, LeafRule, LeafUpdate, OwnKeyPackage, Rejection,
};
use conclave_testkit::accepting;
use conclave_testkit::forge::{Insider, PathFor, sign_key_package};
use conclave_wire::{
    CipherSuite, Content, Credential, CredentialType, CustomProposal, Decode, DecodeError,
    Extension, ExtensionType, KeyPackage, LeafIndex, LeafNode, LeafNodeSource, MlsMessage,
    Proposal, ProposalType, ProtocolVersion, Sender,
};

const GREASE: u16 = 0x0a0a;

fn grease() -> Extension {
    let extension_data = b"noise".as_slice().into();
    Extension { extension_type: ExtensionType(GREASE), extension_data }
}

/// Frank, who lists and uses unknown values.
fn greased() -> OwnKeyPackage {
    let mut leaf = leaf_params("frank");
    let capabilities = &mut leaf.capabilities;
    capabilities.versions.push(ProtocolVersion(GREASE));
    capabilities.cipher_suites.push(CipherSuite(GREASE));
    capabilities.extensions.push(ExtensionType(GREASE));
    capabilities.proposals.push(ProposalType(GREASE));
    capabilities.credentials.push(CredentialType(GREASE));
    leaf.extensions = vec![grease()];
    let params = KeyPackageParams {
        extensions: vec![grease()],
        ..KeyPackageParams::new(SUITE, leaf, LIFETIME)
    };
    OwnKeyPackage::generate(&PROVIDER, &mut rng(40), params, signer(41)).unwrap()
}

#[test]
fn unknown_values_in_leaves_and_key_packages_are_ignored() {
    let mut scene = Scene::new();
    let frank = greased();
    let messages = commits(&mut scene.alice, commit_of(vec![new_add(&frank)]));
    scene.all_take(&messages.commit);
    let joined = joins(&messages.welcomes[0].message, &frank).unwrap();
    assert_eq!(joined.epoch_authenticator(), scene.judges[0].epoch_authenticator());
}

/// A changed key package, signed again, with its private keys: one that another stack may make.
fn changed(own: &OwnKeyPackage, change: impl FnOnce(&mut KeyPackage)) -> OwnKeyPackage {
    let mut package = own.key_package().clone();
    change(&mut package);
    sign_key_package(&suite(), &mut package, own.signer());
    let keys = [&own.init_key().0, &own.leaf_key().0, &own.signer().private];
    let [init, leaf, signature] = keys.map(Clone::clone);
    OwnKeyPackage::from_parts(&PROVIDER, package, init, leaf, signature).unwrap()
}

/// Checks that everybody accepts a key package: in a proposal, and in a commit by which its owner joins.
#[track_caller]
fn accepted_by_all(own: &OwnKeyPackage) {
    let mut scene = Scene::new();
    let add = Proposal::Add(Box::new(own.key_package().clone()));
    let proposal = scene.insider.public(&PROVIDER, Content::Proposal(add));
    for judge in &scene.judges {
        assert!(received(judge, &proposal).is_ok());
    }
    scene.observer.process(&PROVIDER, &proposal).unwrap();

    let messages = commits(&mut scene.alice, commit_of(vec![new_add(own)]));
    scene.all_take(&messages.commit);
    let joined = joins(&messages.welcomes[0].message, own).unwrap();
    assert_eq!(joined.epoch_authenticator(), scene.judges[0].epoch_authenticator());
}

#[test]
fn unlisted_extensions_of_a_key_package_are_ignored() {
    for code in [0x8a8a, 0xf123, ExtensionType::LAST_RESORT.0] {
        let extension_data = b"xyz".as_slice().into();
        let extension = Extension { extension_type: ExtensionType(code), extension_data };
        let own = changed(&key_package("frank", 40), |kp| kp.extensions.push(extension));
        assert!(
            !own.key_package().leaf_node.capabilities.extensions.contains(&ExtensionType(code))
        );
        accepted_by_all(&own);
    }
}

/// Changes after which a leaf does not list values that it uses, as leaves of other stacks.
fn unlisted() -> [fn(&mut LeafNode); 2] {
    [
        |leaf| leaf.capabilities.cipher_suites = vec![CipherSuite(0x7777)],
        |leaf| leaf.capabilities.versions.clear(),
    ]
}

/// The leaf is in a key package, in a commit by which its owner joins, and in the tree that the owner
/// verifies.
#[test]
fn a_leaf_that_does_not_list_the_suite_is_accepted_in_adds_and_trees() {
    for change in unlisted() {
        let own = changed(&key_package("frank", 40), |kp| change(&mut kp.leaf_node));
        accepted_by_all(&own);
    }
}

#[test]
fn a_leaf_that_does_not_list_the_suite_is_accepted_in_updates_and_paths() {
    for change in unlisted() {
        let scene = Scene::new();
        let mut leaf = leaf_of(&scene.alice, LeafIndex(0));
        leaf.leaf_node_source = LeafNodeSource::Update;
        leaf.encryption_key = suite().hpke_key_pair(&mut rng(6)).unwrap().public;
        change(&mut leaf);
        scene.insider.sign_leaf(&PROVIDER, &mut leaf, LeafIndex(0));
        let update = Content::Proposal(Proposal::Update(Box::new(leaf)));
        let update = scene.insider.public(&PROVIDER, update);
        for judge in &scene.judges {
            assert!(received(judge, &update).is_ok());
        }
        scene.observer.process(&PROVIDER, &update).unwrap();

        // The leaf is accepted. The path secrets do not open: they are for the tree with the old leaf.
        let rule = is(Rejection::PathOpen);
        let of = PathFor::default();
        let (leaf, mut path) = scene.insider.path(&PROVIDER, &mut rng(8), of, |_| {});
        change(&mut path.leaf_node);
        scene.insider.sign_leaf(&PROVIDER, &mut path.leaf_node, leaf);
        scene.refused_by_all("path", commit(Vec::new(), Some(path)), SeenBy::Members, rule);
    }
}

#[test]
fn a_leaf_that_does_not_list_the_suite_is_accepted_from_outside() {
    for change in unlisted() {
        let scene = Scene::new();
        let joiner = key_package("frank", 40);
        let mut outsider = Insider::of(&scene.alice);
        outsider.signer = joiner.signer().clone();
        let of =
            PathFor { joiner: Some(joiner.key_package().leaf_node.clone()), ..PathFor::default() };
        let (leaf, mut path) = outsider.path(&PROVIDER, &mut rng(8), of, |_| {});
        change(&mut path.leaf_node);
        outsider.sign_leaf(&PROVIDER, &mut path.leaf_node, leaf);
        let kem_output = suite().hpke_key_pair(&mut rng(9)).unwrap().public.to_vec().into();
        let content = commit(vec![Proposal::ExternalInit(kem_output)], Some(path));
        let message = outsider.from_outside(&PROVIDER, Sender::NewMemberCommit, content);
        let rule = is(Rejection::PathOpen);
        scene.refused_by_all("outside", message, SeenBy::Members, rule);
    }
}

#[test]
fn our_leaves_list_the_suite() {
    let leaf = LeafParams::new(Credential::basic(b"frank"), &[CipherSuite(0x7777)]);
    let rule = Rejection::LeafRule(LeafRule::CipherSuiteNotListed(SUITE));
    let params = KeyPackageParams::new(SUITE, leaf.clone(), LIFETIME);
    let made = OwnKeyPackage::generate(&PROVIDER, &mut rng(40), params, signer(41));
    assert_eq!(rejection(made.unwrap_err()), rule);

    let params = GroupParams::new(b"new".as_slice().into(), SUITE, leaf.clone(), LIFETIME);
    let founded = Group::create(&PROVIDER, &mut rng(1), Config::default(), params, signer(1));
    assert_eq!(rejection(founded.unwrap_err()), rule);

    let scene = Scene::new();
    let info = scene.alice.group_info(&PROVIDER, ALL).unwrap();
    let options = ExternalJoinOptions::new(leaf.clone(), signer(41));
    let config = Config::default();
    let joined = accepting::join_from_outside(&PROVIDER, &mut rng(2), config, &info, None, options);
    assert_eq!(rejection(joined.unwrap_err()), rule);

    let leaf = Some(LeafUpdate { params: leaf, signer: signer(42) });
    let options = CommitOptions { leaf, ..CommitOptions::default() };
    let committed = scene.alice.commit(&PROVIDER, &mut rng(3), NOW, options);
    assert_eq!(rejection(committed.unwrap_err()), rule);
}

#[test]
fn unknown_extensions_of_a_group_info_are_ignored() {
    let scene = Scene::new();
    let mut info = decoded_group_info(&scene.alice.group_info(&PROVIDER, ALL).unwrap());
    info.extensions.push(grease());
    let info = scene.insider.group_info(&PROVIDER, info);
    ExternalJoinStage::open(&PROVIDER, Config::default(), &info, None).unwrap();
    watches(&info).unwrap();
}

#[test]
fn unknown_values_are_refused_where_the_group_would_depend_on_them() {
    let scene = Scene::new();
    let (_, path) = scene.insider.path(&PROVIDER, &mut rng(8), PathFor::default(), |_| {});
    let list = vec![Proposal::GroupContextExtensions(vec![grease()])];
    let rule = is(Rejection::UnsupportedExtension(ExtensionType(GREASE)));
    scene.refused_by_all("context", commit(list, Some(path)), SeenBy::All, rule);

    let own = key_package("frank", 40);
    let mut package = own.key_package().clone();
    let credential_type = CredentialType(GREASE);
    package.leaf_node.credential =
        Credential::Other { credential_type, data: b"who".as_slice().into() };
    package.leaf_node.capabilities.credentials.push(credential_type);
    sign_key_package(&suite(), &mut package, own.signer());
    let add = Proposal::Add(Box::new(package));
    let rule = is(Rejection::UnsupportedCredential(credential_type));
    scene.refused_by_all("credential", commit(vec![add], None), SeenBy::All, rule);
}

#[test]
fn our_capabilities_omit_default_values() {
    let mut leaf = leaf_params("frank");
    leaf.capabilities.extensions = vec![ExtensionType::APPLICATION_ID, ExtensionType(0xf001)];
    leaf.capabilities.proposals = vec![ProposalType::ADD, ProposalType(0xf001)];
    let own = key_package_of(leaf.clone(), 40);
    let proposals = vec![CustomProposal::empty(ProposalType(0xf001))];
    let config = Config { proposals, ..Config::default() };
    let params = GroupParams::new(b"new".as_slice().into(), SUITE, leaf, LIFETIME);
    let new = Group::create(&PROVIDER, &mut rng(1), config, params, signer(1));
    let founded = leaf_of(new.unwrap().peek(), LeafIndex(0)).capabilities;
    for listed in [&own.key_package().leaf_node.capabilities, &founded] {
        assert_eq!(listed.extensions, [ExtensionType(0xf001)]);
        assert_eq!(listed.proposals, [ProposalType(0xf001)]);
    }
}

#[test]
fn messages_of_another_protocol_version_are_refused() {
    let scene = Scene::new();
    let mut message = scene.insider.public(&PROVIDER, commit(Vec::new(), None));
    message[1] = 2;
    let unknown = DecodeError::InvalidValue { field: "ProtocolVersion", value: 2 };
    for judge in &scene.judges {
        let before = judge.rows().unwrap();
        let refused = judge.process(&PROVIDER, NOW, &message).unwrap_err();
        assert_eq!(refused.error, Error::Malformed(unknown));
        assert_eq!(judge.rows().unwrap(), before);
    }
    let failed = scene.observer.process(&PROVIDER, &message).unwrap_err();
    assert_eq!(failed, Error::Malformed(unknown));

    let mut bytes = key_package("frank", 40).message().unwrap();
    bytes[1] = 2;
    assert_eq!(MlsMessage::from_bytes(&bytes).unwrap_err(), unknown);
}
