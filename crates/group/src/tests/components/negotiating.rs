//! What leaves support and groups require.

use super::*;
use crate::validate::components::{check_component_support, check_joined_tree};
use crate::{
    CommitOptions, ExternalJoinOptions, ExternalJoinStage, Framing, KeyPackageParams, LeafUpdate,
    Misuse, NewProposal, Observer, Rejection, ValidKeyPackage, WelcomeStage,
};
use conclave_tree::RatchetTree;
use conclave_wire::{
    ExtensionType, KeyPackage, LeafIndex, Proposal, ProposalOrRef, ProposalType, WireFormat,
    WireFormats, is_grease,
};

fn requires_polls() -> Extension {
    dictionary(ComponentId::APP_COMPONENTS, &list(&[POLLS]))
}

fn wire_formats(extension_type: ExtensionType, formats: &[u16]) -> Extension {
    let wire_formats = formats.iter().copied().map(WireFormat).collect();
    Extension::new(extension_type, &WireFormats { wire_formats }).unwrap()
}

/// A leaf that supports `FILES` alone.
fn without_polls(name: &str) -> LeafParams {
    leaf_params(name).with_components(&[FILES]).unwrap()
}

fn changed(leaf: LeafParams) -> LeafUpdate {
    LeafUpdate { params: leaf, signer: signer(&mut TestRng(99)) }
}

#[test]
fn a_creator_supports_what_it_requires() {
    let config = Config::default;
    let create =
        |leaf, extension| try_found(leaf, vec![extension], config()).map(|_| ()).map_err(rejection);
    assert_eq!(create(with_components("alice"), requires_polls()), Ok(()));
    let error = create(without_polls("alice"), requires_polls());
    assert_eq!(error, Err(Rejection::UnsupportedComponent(POLLS)));

    let aad = dictionary(ComponentId::SAFE_AAD, &list(&[FILES]));
    let error = create(with_components("alice"), aad.clone());
    assert_eq!(error, Err(Rejection::UnsupportedSafeAad(FILES)));
    let leaf = with_components("alice").with_component(ComponentId::SAFE_AAD, list(&[FILES]));
    assert_eq!(create(leaf.unwrap(), aad), Ok(()));

    // Every client understands the wire formats of RFC 9420.
    let required = wire_formats(ExtensionType::REQUIRED_WIRE_FORMATS, &[1, 2, 3, 4, 5, 0xf006]);
    let mut leaf = leaf_params("alice");
    leaf.capabilities.extensions.push(ExtensionType::REQUIRED_WIRE_FORMATS);
    let error = create(leaf, required.clone());
    assert_eq!(error, Err(Rejection::UnsupportedWireFormat(WireFormat(0xf006))));
    let leaf = leaf_params("alice").with_wire_formats(&[WireFormat(0xf006)]).unwrap();
    assert_eq!(create(leaf, required), Ok(()));
}

#[test]
fn a_client_that_lists_components_supports_the_lists_themselves() {
    let required = list(&[ComponentId::APP_COMPONENTS, ComponentId::SAFE_AAD]);
    let required = dictionary(ComponentId::APP_COMPONENTS, &required);
    let bare = leaf_params("alice").with_component(ComponentId::APP_COMPONENTS, list(&[]));
    assert!(try_found(bare.unwrap(), vec![required], Config::default()).is_ok());
}

#[test]
fn a_client_that_lacks_a_required_component_is_not_added() {
    let leaves = vec![with_components("alice"), with_components("bob")];
    let mut peers = group(leaves, vec![requires_polls()]);
    for leaf in [without_polls("carol"), leaf_params("carol")] {
        let own = key_package_with(leaf, 300);
        let options = commit_of(vec![NewProposal::Add(valid(&own))]);
        let rule = rejection(peers[0].try_commit(options).unwrap_err());
        let add = Proposal::Add(own.key_package().clone().into());
        let forged = peers[0].forge_commit(vec![ProposalOrRef::Proposal(add)], &encrypted());
        assert_eq!(rejection(peers[1].error(&forged)), rule);
        if rule != Rejection::UnsupportedExtension(ExtensionType::APP_DATA_DICTIONARY) {
            assert_eq!(rule, Rejection::UnsupportedComponent(POLLS));
        }
    }

    // A proposal to add one waits, and commits leave it out.
    let own = key_package_with(without_polls("carol"), 300);
    let proposal = peers[1].propose(NewProposal::Add(valid(&own)), &Framing::default());
    deliver(&mut peers, 1, &proposal);
    let messages = commits(&mut peers, 0, CommitOptions::default());
    assert!(messages.welcomes.is_empty());
}

#[test]
fn a_member_keeps_supporting_what_is_required() {
    let leaves = vec![with_components("alice"), with_components("bob")];
    let mut peers = group(leaves, vec![requires_polls()]);
    let missing = Rejection::UnsupportedComponent(POLLS);
    let options =
        CommitOptions { leaf: Some(changed(without_polls("alice"))), ..CommitOptions::default() };
    assert_eq!(rejection(peers[0].try_commit(options).unwrap_err()), missing);

    // An Update waits, and a commit that takes it is refused.
    let update = peers[1].propose_update(Some(changed(without_polls("bob"))), &Framing::default());
    let reference = peers[0].caches(&update).reference;
    let options =
        CommitOptions { references: Some(vec![reference.clone()]), ..CommitOptions::default() };
    assert_eq!(rejection(peers[0].try_commit(options).unwrap_err()), missing);
    let observer = {
        let mut observer = observer_of(&peers[0]);
        let stage = observer.process(&PROVIDER, &update).unwrap();
        let step = stage.resolve(&observer, &PROVIDER, &vec![Verdict::Accept].into()).unwrap();
        crate::apply(&mut observer, step, |_| Ok::<_, core::convert::Infallible>(())).unwrap();
        observer
    };
    assert_eq!(observer.members().count(), 2);
}

#[test]
fn a_requirement_is_not_added_while_a_member_lacks_it() {
    let able = |mut leaf: LeafParams| {
        leaf.capabilities.proposals.push(ProposalType::APP_DATA_UPDATE);
        leaf
    };
    let leaves = vec![able(with_components("alice")), able(without_polls("bob"))];
    let mut peers = group(leaves, vec![]);
    let component_id = ComponentId::APP_COMPONENTS;
    let require = |ids: &[ComponentId]| {
        let update = list(ids).into();
        commit_of(vec![NewProposal::AppDataUpdate { component_id, update }])
    };
    let error = peers[0].try_commit(require(&[POLLS])).unwrap_err();
    assert_eq!(rejection(error), Rejection::UnsupportedComponent(POLLS));
    commits(&mut peers, 0, require(&[FILES]));
    // To require less is always possible.
    commits(&mut peers, 1, commit_of(vec![NewProposal::AppDataRemoval { component_id }]));
}

/// A commit does not cost as much as there are members if it requires nothing new.
#[test]
fn only_changed_leaves_are_looked_at_while_requirements_stay() {
    let peers = group(vec![with_components("alice"), without_polls("bob")], vec![]);
    let tree = peers[0].group.tree();
    let required = [requires_polls()];
    let changed = |leaves: &[u32]| leaves.iter().copied().map(LeafIndex).collect::<Vec<_>>();
    let check = |old: &[Extension], leaves: &[u32]| {
        let leaves = changed(leaves).into_iter();
        check_component_support(tree, &required, old, leaves).map_err(rejection)
    };
    let lacks = Err(Rejection::UnsupportedComponent(POLLS));
    assert_eq!(check(&required, &[]), Ok(()));
    assert_eq!(check(&required, &[0, 5]), Ok(()));
    assert_eq!(check(&required, &[0, 1]), lacks);
    let more = [dictionary(ComponentId::APP_COMPONENTS, &list(&[FILES, POLLS]))];
    assert_eq!(check(&more, &[]), Ok(()));
    let other = [dictionary(ComponentId::APP_COMPONENTS, &list(&[FILES]))];
    assert_eq!(check(&other, &[]), lacks);
    assert_eq!(check(&[], &[]), lacks);
}

#[test]
fn a_client_from_outside_supports_what_is_required() {
    let peers = group(vec![with_components("alice")], vec![requires_polls()]);
    let info = peers[0].group.group_info(&PROVIDER, ALL).unwrap();
    let join = |leaf| {
        let stage = ExternalJoinStage::open(&PROVIDER, Config::default(), &info, None).unwrap();
        let mut rng = TestRng(17);
        let options = ExternalJoinOptions::new(leaf, signer(&mut rng));
        stage.commit(&PROVIDER, &mut rng, &[Verdict::Accept], options)
    };
    let error = join(without_polls("carol")).unwrap_err();
    assert_eq!(rejection(error), Rejection::UnsupportedComponent(POLLS));
    assert!(join(with_components("carol")).is_ok());
}

#[test]
fn our_leaf_lists_its_components_if_it_advertises_the_dictionary() {
    let advertises = |name: &str| {
        let mut leaf = leaf_params(name);
        leaf.capabilities.extensions.push(ExtensionType::APP_DATA_DICTIONARY);
        leaf
    };
    let misuse = Error::from(Misuse::ComponentsNotListed);
    let founded = try_found(advertises("alice"), vec![], Config::default());
    assert_eq!(founded.map(|_| ()), Err(misuse.clone()));

    let mut rng = TestRng(5);
    let params = KeyPackageParams::new(SUITE, advertises("alice"), LIFETIME);
    let keys = signer(&mut rng);
    let error = OwnKeyPackage::generate(&PROVIDER, &mut rng, params, keys).unwrap_err();
    assert_eq!(error, misuse);

    let mut peers = alice_and_bob();
    let change = changed(advertises("alice"));
    let peer = &mut peers[0];
    let framing = Framing::default();
    let step = peer.group.propose_update(&PROVIDER, &mut peer.rng, Some(change.clone()), &framing);
    assert_eq!(step.unwrap_err(), misuse);
    let options = CommitOptions { leaf: Some(change), ..CommitOptions::default() };
    assert_eq!(peer.try_commit(options).unwrap_err(), misuse);
}

/// Extensions whose data of components cannot be read.
fn malformed() -> Vec<Extension> {
    let unsorted = [1, 0, 2, 0, 0, 1, 0];
    let extension = |data: &[u8]| Extension {
        extension_type: ExtensionType::APP_DATA_DICTIONARY,
        extension_data: data.into(),
    };
    vec![
        extension(&[9]),
        extension(&unsorted),
        dictionary(ComponentId::APP_COMPONENTS, &[1, 1]),
        dictionary(ComponentId::SAFE_AAD, &[9]),
    ]
}

fn is_malformed<T: core::fmt::Debug>(result: Result<T, Error>) {
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Malformed(_)), "{error}");
}

#[test]
fn malformed_data_of_components_is_refused_wherever_it_stands() {
    let mut peers = alice_and_bob();
    let observer: Observer = observer_of(&peers[0]);
    for extension in malformed() {
        // In a leaf.
        let mut leaf = leaf_params("carol");
        leaf.capabilities.extensions.push(ExtensionType::APP_DATA_DICTIONARY);
        leaf.extensions = vec![extension.clone()];
        is_malformed(try_found(leaf.clone(), vec![], Config::default()).map(|_| ()));
        let options = CommitOptions { leaf: Some(changed(leaf)), ..CommitOptions::default() };
        is_malformed(peers[0].try_commit(options));

        // In a key package.
        let mut rng = TestRng(5);
        let mut params = KeyPackageParams::new(SUITE, with_components("carol"), LIFETIME);
        params.extensions = vec![extension.clone()];
        let keys = signer(&mut rng);
        is_malformed(OwnKeyPackage::generate(&PROVIDER, &mut rng, params, keys));
        let own = key_package_with(with_components("carol"), 300);
        let kp = KeyPackage { extensions: vec![extension.clone()], ..own.key_package().clone() };
        is_malformed(ValidKeyPackage::check(&PROVIDER, NOW, &Config::default(), kp));

        // In a GroupContext.
        let extensions = vec![extension.clone()];
        let leaf = with_components("alice");
        is_malformed(try_found(leaf, extensions.clone(), Config::default()).map(|_| ()));
        let proposal = Proposal::GroupContextExtensions(extensions.clone());
        let content = conclave_wire::Content::Proposal(proposal);
        let framing = Framing::default();
        let content = peers[0].group.sign(&suite(), content, &framing).unwrap();
        let message = peers[0].forge(content, &framing);
        is_malformed::<()>(Err(peers[1].error(&message)));
        is_malformed(observer.process(&PROVIDER, &message));

        // In a GroupInfo.
        is_malformed(peers[0].group.group_info_with(&PROVIDER, ALL, &extensions));
    }
    let extension = Extension {
        extension_type: ExtensionType::SUPPORTED_WIRE_FORMATS,
        extension_data: [1, 1].into(),
    };
    let mut leaf = leaf_params("carol");
    leaf.capabilities.extensions.push(ExtensionType::SUPPORTED_WIRE_FORMATS);
    leaf.extensions = vec![extension];
    is_malformed(try_found(leaf, vec![], Config::default()).map(|_| ()));
}

#[test]
fn grease_components_are_put_in_and_ignored() {
    for random in [[0; 6], [1, 2, 3, 4, 5, 6], [255; 6]] {
        let safe_aad = list(&[POLLS]);
        let grease = |name: &str| {
            let leaf = with_components(name).with_component(ComponentId::SAFE_AAD, &*safe_aad);
            leaf.unwrap().with_component_grease(random).unwrap()
        };
        let leaf = grease("alice");
        let dictionary = AppDataDictionary::find(&leaf.extensions).unwrap().unwrap();
        let greased = dictionary.entries().iter().filter(|e| is_grease(e.component_id.0));
        assert_eq!(greased.count(), 1);
        for id in [ComponentId::APP_COMPONENTS, ComponentId::SAFE_AAD] {
            let list = ComponentsList::find(&dictionary, id).unwrap().unwrap();
            assert_eq!(list.component_ids.iter().filter(|id| is_grease(id.0)).count(), 1);
        }

        let required = super::dictionary(ComponentId::APP_COMPONENTS, &list(&[POLLS, FILES]));
        let mut peers = group(vec![grease("alice"), grease("bob")], vec![required]);
        commits(&mut peers, 1, CommitOptions::default());
    }
    // A leaf without a dictionary gets none.
    let leaf = leaf_params("alice");
    assert_eq!(leaf.clone().with_component_grease([1; 6]).unwrap(), leaf);
}

#[test]
fn a_key_package_is_marked_as_last_resort_as_its_maker_asks() {
    let make = |leaf: LeafParams, component: bool, extension: bool| {
        let mut params = KeyPackageParams::new(SUITE, leaf, LIFETIME);
        params.last_resort = extension;
        if component {
            params = params.with_last_resort_component().unwrap();
        }
        let mut rng = TestRng(5);
        let keys = signer(&mut rng);
        OwnKeyPackage::generate(&PROVIDER, &mut rng, params, keys)
    };
    for (component, extension) in [(false, false), (false, true), (true, false), (true, true)] {
        let own = make(with_components("alice"), component, extension).unwrap();
        let kp = own.key_package();
        assert_eq!(kp.is_last_resort(), component || extension);
        let has = |t| kp.extensions.iter().any(|e| e.extension_type == t);
        assert_eq!(has(ExtensionType::LAST_RESORT), extension);
        assert_eq!(has(ExtensionType::APP_DATA_DICTIONARY), component);
        valid(&own);
    }
    // The component takes a leaf that knows components.
    let error = make(leaf_params("alice"), true, false).unwrap_err();
    assert_eq!(error, Misuse::ComponentsNotListed.into());
}

#[test]
fn a_joiner_refuses_a_group_whose_members_lack_what_it_requires() {
    // A founder that checks nothing: its context requires what its leaf does not support.
    let peers = group(vec![without_polls("alice")], vec![]);
    let error =
        check_component_support(peers[0].group.tree(), &[requires_polls()], &[], [].into_iter());
    assert_eq!(rejection(error.unwrap_err()), Rejection::UnsupportedComponent(POLLS));

    // A leaf of it says what cannot be read.
    for extension in malformed() {
        let own = key_package_with(with_components("alice"), 300);
        let mut leaf = own.key_package().leaf_node.clone();
        leaf.extensions = vec![extension];
        let tree = RatchetTree::new(&suite(), &leaf).unwrap();
        is_malformed(check_joined_tree(&tree, &[]));
    }

    // One that keeps to the rules is joined.
    let mut peers = group(vec![with_components("alice")], vec![requires_polls()]);
    let own = key_package_with(with_components("bob"), 300);
    let messages = peers[0].commit(commit_of(vec![NewProposal::Add(valid(&own))]));
    let welcome = &messages.welcomes[0].message;
    let stage = WelcomeStage::open(&PROVIDER, Config::default(), welcome, &own).unwrap();
    assert!(stage.join(&PROVIDER, &[], None, None).is_ok());
}
