//! Leaf nodes and key packages (sections 7.2, 7.3 and 10), and what members support (11.1, 13.4).

use super::scene::*;
use conclave_group::{Config, LeafRule, Rejection, ValidKeyPackage};
use conclave_testkit::forge::{PathFor, sign_key_package};
use conclave_tree::TreeError;
use conclave_wire::{
    Bytes, CipherSuite, Content, Credential, CredentialType, Encode, Extension, ExtensionType,
    HpkePublicKey, KeyPackage, KeyPackageTbs, LeafIndex, LeafNode, LeafNodeSource, Lifetime,
    Proposal, ProposalType, ProtocolVersion, RequiredCapabilities,
};

const ALIEN: ExtensionType = ExtensionType(0xf00d);

fn alien() -> Extension {
    Extension { extension_type: ALIEN, extension_data: Bytes::default() }
}

fn no_key() -> HpkePublicKey {
    // The neutral element of X25519, with which no agreement succeeds.
    HpkePublicKey::from([0; 32])
}

type Change<T> = fn(&mut T);
type Rules<T> = Vec<(&'static str, Change<T>, Rejection)>;

/// Changes that make any leaf node invalid by itself.
fn leaf_rules() -> Rules<LeafNode> {
    let rule = Rejection::LeafRule;
    vec![
        (
            "credential type",
            |leaf| leaf.capabilities.credentials = vec![CredentialType::X509],
            rule(LeafRule::CredentialTypeNotListed(CredentialType::BASIC)),
        ),
        (
            "extension",
            |leaf| leaf.extensions = vec![alien()],
            rule(LeafRule::ExtensionNotListed(ALIEN)),
        ),
        (
            "extension twice",
            |leaf| {
                leaf.capabilities.extensions.push(ALIEN);
                leaf.extensions = vec![alien(), alien()];
            },
            rule(LeafRule::DuplicateExtension(ALIEN)),
        ),
        ("no key", |leaf| leaf.encryption_key = no_key(), Rejection::InvalidPublicKey),
    ]
}

/// Changes that make a key package invalid.
fn package_rules() -> Rules<KeyPackage> {
    vec![
        (
            "version",
            |kp| kp.version = ProtocolVersion(2),
            Rejection::WrongVersion(ProtocolVersion(2)),
        ),
        ("update", |kp| kp.leaf_node.leaf_node_source = LeafNodeSource::Update, SOURCE),
        (
            "commit",
            |kp| kp.leaf_node.leaf_node_source = LeafNodeSource::Commit(Bytes::default()),
            SOURCE,
        ),
        (
            "init key",
            |kp| kp.init_key = kp.leaf_node.encryption_key.clone(),
            Rejection::InitKeyReused,
        ),
        ("no init key", |kp| kp.init_key = no_key(), Rejection::InvalidPublicKey),
        (
            "extension twice",
            |kp| {
                kp.leaf_node.capabilities.extensions.push(ALIEN);
                kp.extensions = vec![alien(), alien()];
            },
            Rejection::DuplicateExtension(ALIEN),
        ),
    ]
}

const SOURCE: Rejection = Rejection::KeyPackageLeafSource;

/// Checks that a key package is refused alone, in a proposal and in a commit.
fn package_is_refused(scene: &Scene, what: &str, package: KeyPackage, rule: &Rejection) {
    let alone = ValidKeyPackage::check(&PROVIDER, NOW, &Config::default(), package.clone());
    assert_eq!(rejection(alone.unwrap_err()), *rule, "{what}");
    let add = Proposal::Add(Box::new(package));
    scene.refused_by_all(what, commit(vec![add.clone()], None), SeenBy::All, is(rule.clone()));
    scene.refused_by_all(what, Content::Proposal(add), SeenBy::All, is(rule.clone()));
}

#[test]
fn a_key_package_that_breaks_a_rule_is_refused_everywhere() {
    let scene = Scene::new();
    let own = key_package("frank", 40);
    for (what, change, rule) in package_rules() {
        let mut package = own.key_package().clone();
        change(&mut package);
        sign_key_package(&suite(), &mut package, own.signer());
        package_is_refused(&scene, what, package, &rule);
    }

    for (what, change, rule) in leaf_rules() {
        let mut package = own.key_package().clone();
        change(&mut package.leaf_node);
        sign_key_package(&suite(), &mut package, own.signer());
        package_is_refused(&scene, what, package, &rule);
    }

    let mut package = own.key_package().clone();
    package.signature = [0; 64].into();
    package_is_refused(&scene, "signature", package, &Rejection::KeyPackageSignature);

    // A wrong signature of the leaf node, under a right one of the key package.
    let mut package = own.key_package().clone();
    package.leaf_node.signature = [0; 64].into();
    let tbs = KeyPackageTbs(&package).to_bytes().unwrap();
    let signature = suite().sign_with_label(own.signer(), b"KeyPackageTBS", &tbs).unwrap();
    package.signature = signature.into();
    let rule = Rejection::Tree(TreeError::LeafSignature { leaf: LeafIndex(0) });
    package_is_refused(&scene, "leaf signature", package, &rule);
}

#[test]
fn a_key_package_of_another_suite_does_not_fit_the_group() {
    let scene = Scene::new();
    let own = key_package("frank", 40);
    let mut package = own.key_package().clone();
    package.cipher_suite = CipherSuite(3);
    package.leaf_node.capabilities.cipher_suites.push(CipherSuite(3));
    sign_key_package(&suite(), &mut package, own.signer());
    let rule = Rejection::WrongCipherSuite(CipherSuite(3));
    let add = Proposal::Add(Box::new(package));
    scene.refused_by_all("suite", commit(vec![add], None), SeenBy::All, is(rule));
}

#[test]
fn a_lifetime_longer_than_the_application_accepts_is_refused() {
    let own = key_package("frank", 40);
    let config = Config::default();
    let mut package = own.key_package().clone();
    let not_before = LIFETIME.not_before;
    for (longer, wanted) in [(0, None), (1, Some(Rejection::LifetimeTooLong))] {
        let not_after = not_before + config.limits.lifetime.as_secs() + longer;
        let lifetime = Lifetime { not_before, not_after };
        package.leaf_node.leaf_node_source = LeafNodeSource::KeyPackage(lifetime);
        sign_key_package(&suite(), &mut package, own.signer());
        let checked = ValidKeyPackage::check(&PROVIDER, NOW, &config, package.clone());
        assert_eq!(checked.err().map(rejection), wanted);
    }
}

#[test]
fn an_update_that_breaks_a_rule_is_refused_by_members_and_observers() {
    let scene = Scene::new();
    let propose = |mut leaf: LeafNode| {
        scene.insider.sign_leaf(&PROVIDER, &mut leaf, LeafIndex(0));
        Content::Proposal(Proposal::Update(Box::new(leaf)))
    };
    let old = leaf_of(&scene.alice, LeafIndex(0));
    let mut good = old.clone();
    good.leaf_node_source = LeafNodeSource::Update;
    good.encryption_key = suite().hpke_key_pair(&mut rng(6)).unwrap().public;

    for (what, change, rule) in leaf_rules() {
        let mut leaf = good.clone();
        change(&mut leaf);
        scene.refused_by_all(what, propose(leaf), SeenBy::All, is(rule));
    }
    for source in [LeafNodeSource::KeyPackage(LIFETIME), LeafNodeSource::Commit([1; 32].into())] {
        let leaf = LeafNode { leaf_node_source: source, ..good.clone() };
        let rule = is(Rejection::UpdateLeafSource);
        scene.refused_by_all("source", propose(leaf), SeenBy::All, rule);
    }

    let same = LeafNode { encryption_key: old.encryption_key, ..good.clone() };
    let rule = is(Rejection::UpdateKeyUnchanged);
    scene.refused_by_all("same key", propose(same), SeenBy::All, rule);

    // An Update signed for another leaf.
    let mut elsewhere = good;
    scene.insider.sign_leaf(&PROVIDER, &mut elsewhere, BOB);
    let content = Content::Proposal(Proposal::Update(Box::new(elsewhere)));
    let rule = of_tree(|e| *e == TreeError::LeafSignature { leaf: LeafIndex(0) });
    scene.refused_by_all("elsewhere", content, SeenBy::All, rule);
}

#[test]
fn a_path_leaf_that_breaks_a_rule_is_refused_by_members_and_observers() {
    let scene = Scene::new();
    let of = PathFor::default();
    let (leaf, path) = scene.insider.path(&PROVIDER, &mut rng(8), of, |_| {});
    let said = |change: &dyn Fn(&mut LeafNode), signed: bool| {
        let mut path = path.clone();
        change(&mut path.leaf_node);
        if signed {
            scene.insider.sign_leaf(&PROVIDER, &mut path.leaf_node, leaf);
        }
        commit(Vec::new(), Some(path))
    };

    for (what, change, rule) in leaf_rules() {
        scene.refused_by_all(what, said(&change, true), SeenBy::All, is(rule));
    }
    for source in [LeafNodeSource::KeyPackage(LIFETIME), LeafNodeSource::Update] {
        let content = said(&|leaf| leaf.leaf_node_source = source.clone(), true);
        let rule = is(Rejection::CommitLeafSource);
        scene.refused_by_all("source", content, SeenBy::All, rule);
    }

    let content = said(&|leaf| leaf.credential = Credential::basic(b"somebody"), false);
    let rule = of_tree(|e| *e == TreeError::LeafSignature { leaf: LeafIndex(0) });
    scene.refused_by_all("signature", content, SeenBy::All, rule);

    // Unchanged, only the tag is wrong.
    let rule = is(Rejection::ConfirmationTag);
    scene.refused_by_all("good", said(&|_| {}, true), SeenBy::Members, rule);
}

/// A commit that changes the extensions, with the path that it needs.
fn with_extensions(scene: &Scene, extensions: Vec<Extension>) -> Content {
    let of = PathFor::default();
    let (_, path) = scene.insider.path(&PROVIDER, &mut rng(8), of, |_| {});
    commit(vec![Proposal::GroupContextExtensions(extensions)], Some(path))
}

#[test]
fn features_that_a_member_lacks_cannot_be_required() {
    let scene = Scene::new();
    let required = |extension_types, proposal_types, credential_types| {
        let required = RequiredCapabilities { extension_types, proposal_types, credential_types };
        vec![Extension::new(ExtensionType::REQUIRED_CAPABILITIES, &required).unwrap()]
    };
    let proposal = ProposalType(0xf00d);
    let credential = CredentialType(0xf00d);
    for (what, extensions, rule) in [
        ("in use", vec![alien()], Rejection::UnsupportedExtension(ALIEN)),
        (
            "extension",
            required(vec![ALIEN], vec![], vec![]),
            Rejection::UnsupportedExtension(ALIEN),
        ),
        (
            "proposal",
            required(vec![], vec![proposal], vec![]),
            Rejection::UnsupportedProposal(proposal),
        ),
        (
            "credential",
            required(vec![], vec![], vec![credential]),
            Rejection::UnsupportedCredential(credential),
        ),
    ] {
        let content = with_extensions(&scene, extensions);
        scene.refused_by_all(what, content, SeenBy::All, is(rule));
    }

    // Leaves need not list default types.
    let defaults = required(
        vec![ExtensionType::RATCHET_TREE, ExtensionType::EXTERNAL_SENDERS],
        vec![ProposalType::REINIT],
        vec![CredentialType::BASIC],
    );
    let allowed = |r: &Rejection| matches!(r, Rejection::PathOpen | Rejection::ConfirmationTag);
    let content = with_extensions(&scene, defaults);
    scene.refused_by_all("defaults", content, SeenBy::Members, allowed);
}

#[test]
fn credential_types_in_use_are_supported_by_all() {
    let scene = Scene::new();
    // Frank lists only his own type of credential; the others use another.
    let own = key_package("frank", 40);
    let mut package = own.key_package().clone();
    package.leaf_node.credential = Credential::X509 { certificates: Vec::new() };
    package.leaf_node.capabilities.credentials = vec![CredentialType::X509];
    sign_key_package(&suite(), &mut package, own.signer());
    let add = Proposal::Add(Box::new(package));
    let rule = is(Rejection::UnsupportedCredential(CredentialType::BASIC));
    scene.refused_by_all("frank", commit(vec![add], None), SeenBy::All, rule);

    // Alice takes a type that no other member lists.
    let of = PathFor::default();
    let (leaf, mut path) = scene.insider.path(&PROVIDER, &mut rng(8), of, |_| {});
    let strange = CredentialType(0xf00d);
    path.leaf_node.credential =
        Credential::Other { credential_type: strange, data: Bytes::default() };
    path.leaf_node.capabilities.credentials = vec![CredentialType::BASIC, strange];
    scene.insider.sign_leaf(&PROVIDER, &mut path.leaf_node, leaf);
    let rule = is(Rejection::UnsupportedCredential(strange));
    scene.refused_by_all("alice", commit(Vec::new(), Some(path)), SeenBy::All, rule);
}
