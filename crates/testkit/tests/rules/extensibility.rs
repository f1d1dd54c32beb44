//! What is not known is ignored where it has to be, and refused where it has to be (sections 7.2,
//! 10, 12.4.3, 13.4 and 13.5).

use super::scene::*;
use conclave_group::{
    Config, Error, ExternalJoinStage, GroupParams, KeyPackageParams, OwnKeyPackage, Rejection,
};
use conclave_testkit::forge::{PathFor, sign_key_package};
use conclave_wire::{
    CipherSuite, Credential, CredentialType, CustomProposal, DecodeError, Encode, Extension,
    ExtensionType, LeafIndex, MlsMessage, Proposal, ProposalType, ProtocolVersion,
};

const GREASE: u16 = 0x0a0a;

fn grease() -> Extension {
    let extension_data = b"noise".as_slice().into();
    Extension { extension_type: ExtensionType(GREASE), extension_data }
}

/// Frank, who lists and has what nobody knows.
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
        cipher_suite: SUITE,
        leaf,
        lifetime: LIFETIME,
        extensions: vec![grease()],
        last_resort: false,
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

#[test]
fn unknown_extensions_of_a_group_info_are_ignored() {
    let scene = Scene::new();
    let mut info = decoded_group_info(&scene.alice.group_info(&PROVIDER, ALL).unwrap());
    info.extensions.push(grease());
    let info = scene.insider.group_info(&PROVIDER, info);
    ExternalJoinStage::open(&PROVIDER, Default::default(), &info, None).unwrap();
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
fn own_capabilities_do_not_list_what_is_default() {
    let mut leaf = leaf_params("frank");
    leaf.capabilities.extensions = vec![ExtensionType::APPLICATION_ID, ExtensionType(0xf001)];
    leaf.capabilities.proposals = vec![ProposalType::ADD, ProposalType(0xf001)];
    let own = key_package_of(leaf.clone(), 40);
    let proposals = vec![CustomProposal::empty(ProposalType(0xf001))];
    let config = Config { proposals, ..Config::default() };
    let params = GroupParams {
        group_id: b"new".as_slice().into(),
        cipher_suite: SUITE,
        extensions: Vec::new(),
        leaf,
        lifetime: LIFETIME,
    };
    let new = conclave_group::Group::create(&PROVIDER, &mut rng(1), config, params, signer(1));
    let founded = leaf_of(new.unwrap().peek(), LeafIndex(0)).capabilities;
    for listed in [&own.key_package().leaf_node.capabilities, &founded] {
        assert_eq!(listed.extensions, [ExtensionType(0xf001)]);
        assert_eq!(listed.proposals, [ProposalType(0xf001)]);
    }
}

#[test]
fn another_protocol_version_is_not_read() {
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
    let key_package = MlsMessage::from(conclave_wire::MlsMessageBody::KeyPackage(
        key_package("frank", 40).key_package().clone().into(),
    ));
    let mut bytes = key_package.to_bytes().unwrap();
    bytes[1] = 2;
    let read = <MlsMessage as conclave_wire::Decode>::from_bytes(&bytes);
    assert_eq!(read.unwrap_err(), unknown);
}
