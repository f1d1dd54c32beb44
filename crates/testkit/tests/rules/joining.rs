//! Welcomes and GroupInfos (sections 11.2, 11.3, 12.4.3, 12.4.3.1 and 12.4.3.3).

use super::scene::*;
use conclave_crypto::Secret;
use conclave_group::{
    Config, Error, Group, GroupInfoOptions, Link, LinkFault, Misuse, NewProposal, OwnKeyPackage,
    Rejection, WelcomeStage,
};
use conclave_testkit::forge::{Insider, OpenWelcome};
use conclave_tree::{TreeError, TreeRead};
use conclave_wire::{
    Bytes, CipherSuite, Decode, Encode, Epoch, Extension, ExtensionType, GroupInfo, LeafIndex,
    MlsMessage, MlsMessageBody, PreSharedKeyId, ProtocolVersion, PskType, ReInit, Reader,
    ResumptionPskUsage, Writer,
};

const ALIEN: ExtensionType = ExtensionType(0xf00d);

fn alien() -> Extension {
    Extension { extension_type: ALIEN, extension_data: b"whatever".as_slice().into() }
}

/// A Welcome for frank of a commit with a path, and its maker.
struct Invitation {
    scene: Scene,
    host: Insider,
    frank: OwnKeyPackage,
    welcome: Vec<u8>,
}

impl Invitation {
    fn new() -> Self {
        let mut scene = Scene::new();
        let frank = key_package("frank", 40);
        let psk = NewProposal::ExternalPsk { psk_id: b"x".as_slice().into() };
        let mut options = commit_of(vec![new_add(&frank), psk]);
        options.force_path = true;
        let psktype = PskType::External { psk_id: b"x".as_slice().into() };
        options.psks = vec![(psktype, Secret::copy_from(&PSK))];
        let welcome = commits(&mut scene.alice, options).welcomes.remove(0).message;
        let host = Insider::of(&scene.alice);
        Self { scene, host, frank, welcome }
    }

    fn open(&self) -> OpenWelcome {
        OpenWelcome::of(&PROVIDER, &self.welcome, &self.frank, &Secret::copy_from(&PSK))
    }

    /// The Welcome with a change, confirmed and signed again.
    fn forged(&self, change: impl FnOnce(&mut OpenWelcome)) -> Vec<u8> {
        let mut welcome = self.open();
        change(&mut welcome);
        welcome.confirm(&suite());
        welcome.sign(&suite(), &self.host.signer);
        welcome.seal(&suite(), &mut rng(4))
    }

    #[track_caller]
    fn refused(&self, what: &str, welcome: &[u8], rule: impl Fn(&Rejection) -> bool) {
        let found = rejection(joins(welcome, &self.frank).expect_err(what));
        assert!(rule(&found), "{what}: {found:?}");
    }
}

#[test]
fn a_welcome_that_does_not_open_is_refused() {
    let invitation = Invitation::new();
    let unchanged = invitation.forged(|_| {});
    joins(&unchanged, &invitation.frank).unwrap();
    let MlsMessageBody::Welcome(welcome) = MlsMessage::from_bytes(&unchanged).unwrap().body else {
        panic!("no Welcome")
    };

    let mut info = welcome.clone();
    info.encrypted_group_info = vec![0; info.encrypted_group_info.len()].into();
    let mut secrets = welcome.clone();
    secrets.secrets[0].encrypted_group_secrets.ciphertext = [0; 80].into();
    for bad in [info, secrets] {
        let bad = MlsMessage::from(MlsMessageBody::Welcome(bad)).to_bytes().unwrap();
        invitation.refused("flipped", &bad, is(Rejection::WelcomeOpen));
    }

    // Under another PSK than the joiner has.
    let other = invitation.forged(|w| w.psks[0].1 = Secret::zero(32));
    invitation.refused("psk", &other, is(Rejection::WelcomeOpen));

    // For another key package.
    let grace = key_package("grace", 41);
    let failed = joins(&unchanged, &grace).unwrap_err();
    assert_eq!(rejection(failed), Rejection::WelcomeNotForKeyPackage);

    // Without the PSK.
    let stage =
        WelcomeStage::open(&PROVIDER, Config::default(), &unchanged, &invitation.frank).unwrap();
    let failed = stage.join(&PROVIDER, &[], None, None).unwrap_err();
    assert!(matches!(failed, Error::Misuse(Misuse::PskUnavailable(_))), "{failed}");
}

#[test]
fn a_welcome_with_other_parameters_than_the_key_package_is_refused() {
    let invitation = Invitation::new();
    let other = CipherSuite(3);
    let outer = invitation.forged(|w| w.cipher_suite = other);
    invitation.refused("outside", &outer, is(Rejection::WrongCipherSuite(other)));
    let inner = invitation.forged(|w| w.info.group_context.cipher_suite = other);
    invitation.refused("inside", &inner, is(Rejection::WrongCipherSuite(other)));
    let version = ProtocolVersion(2);
    let bad = invitation.forged(|w| w.info.group_context.version = version);
    invitation.refused("version", &bad, is(Rejection::WrongVersion(version)));
}

#[test]
fn a_welcomes_confirmation_tag_is_checked() {
    let invitation = Invitation::new();
    let mut welcome = invitation.open();
    welcome.info.confirmation_tag = [0; 32].into();
    welcome.sign(&suite(), &invitation.host.signer);
    let bad = welcome.seal(&suite(), &mut rng(4));
    invitation.refused("tag", &bad, is(Rejection::ConfirmationTag));
}

#[test]
fn a_welcomes_path_secret_must_match_the_tree() {
    let invitation = Invitation::new();
    let other = invitation.forged(|w| {
        w.secrets.path_secret.as_mut().unwrap().path_secret[0] ^= 1;
    });
    let rule = of_tree(|e| matches!(e, TreeError::PathKeyMismatch { .. }));
    invitation.refused("other", &other, rule);
    for length in [0, 31, 33] {
        let cut = invitation.forged(|w| {
            w.secrets.path_secret.as_mut().unwrap().path_secret.resize(length, 0);
        });
        invitation.refused("length", &cut, of_tree(|e| *e == TreeError::PathSecretLength));
    }
}

#[test]
fn a_welcome_without_the_needed_path_secret_lets_nobody_in() {
    let invitation = Invitation::new();
    let without = invitation.forged(|w| w.secrets.path_secret = None);
    let rule = |r: &Rejection| matches!(r, Rejection::PathSecretMissing(_));
    invitation.refused("none", &without, rule);
}

#[test]
fn a_joiner_finds_its_own_leaf() {
    let mut invitation = Invitation::new();
    // The Welcome names a key package whose leaf was not added.
    let grace = key_package("grace", 41);
    let mut welcome = invitation.open();
    welcome.redirect(&grace);
    let bad = welcome.seal(&suite(), &mut rng(4));
    invitation.frank = grace;
    invitation.refused("grace", &bad, is(Rejection::OwnLeafMissing));
}

#[test]
fn a_linked_group_has_one_link_and_begins_in_epoch_1() {
    let invitation = Invitation::new();
    let link = |usage| PreSharedKeyId {
        psktype: PskType::Resumption {
            usage,
            psk_group_id: b"a group".as_slice().into(),
            psk_epoch: Epoch(0),
        },
        psk_nonce: vec![1; hash_len()].into(),
    };
    let branch = ResumptionPskUsage::Branch;
    let reinit = ResumptionPskUsage::Reinit;
    for (a, b) in [(branch, branch), (branch, reinit), (reinit, reinit)] {
        let two = invitation.forged(|w| w.secrets.psks.extend([link(a), link(b)]));
        invitation.refused("two", &two, is(Rejection::LinkNotAlone));
    }

    // A single link, in a group that is not in its first epoch.
    let bob = &invitation.scene.judges[0];
    let known = bob.branch_link().unwrap();
    let id = PreSharedKeyId {
        psktype: PskType::Resumption {
            usage: branch,
            psk_group_id: bob.group_id().clone(),
            psk_epoch: bob.epoch(),
        },
        psk_nonce: vec![1; hash_len()].into(),
    };
    let psk = bob.resumption_psk(bob.epoch()).unwrap().as_secret().clone();
    let wanted = |change: &dyn Fn(&mut GroupInfo)| {
        let welcome = invitation.forged(|w| {
            w.secrets.psks = vec![id.clone()];
            w.psks = vec![(id.clone(), psk.clone())];
            change(&mut w.info);
        });
        let stage =
            WelcomeStage::open(&PROVIDER, Config::default(), &welcome, &invitation.frank).unwrap();
        let joined = stage.join(&PROVIDER, &[], None, Some(&known));
        rejection(joined.unwrap_err())
    };
    let rule = Rejection::LinkMismatch(LinkFault::NotEpochOne);
    assert_eq!(wanted(&|_| {}), rule);
    assert_eq!(wanted(&|info| info.group_context.epoch = Epoch(0)), rule);
}

#[test]
fn a_linked_group_has_the_parameters_that_its_link_demands() {
    let invitation = Invitation::new();
    let refused = |old: &Group, known: &Link, usage| {
        let id = PreSharedKeyId {
            psktype: PskType::Resumption {
                usage,
                psk_group_id: old.group_id().clone(),
                psk_epoch: old.epoch(),
            },
            psk_nonce: vec![1; hash_len()].into(),
        };
        let psk = old.resumption_psk(old.epoch()).unwrap().as_secret().clone();
        let welcome = invitation.forged(|w| {
            w.secrets.psks = vec![id.clone()];
            w.psks = vec![(id, psk)];
            w.info.group_context.epoch = Epoch(1);
        });
        let stage =
            WelcomeStage::open(&PROVIDER, Config::default(), &welcome, &invitation.frank).unwrap();
        let joined = stage.join(&PROVIDER, &[], None, Some(known));
        rejection(joined.unwrap_err())
    };

    let other = found_in(CipherSuite(3), "frank", b"old", Vec::new());
    let rule = Rejection::LinkMismatch(LinkFault::VersionOrSuite);
    let link = other.branch_link().unwrap();
    assert_eq!(refused(&other, &link, ResumptionPskUsage::Branch), rule);

    let mut closed = found("frank", b"old", Vec::new());
    let reinit = ReInit {
        group_id: b"a group".as_slice().into(),
        version: ProtocolVersion::MLS_1_0,
        cipher_suite: CipherSuite(3),
        extensions: Vec::new(),
    };
    commits(&mut closed, commit_of(vec![NewProposal::ReInit(reinit)]));
    let rule = Rejection::LinkMismatch(LinkFault::AnnouncedVersionOrSuite);
    let link = closed.reinit_link().unwrap();
    assert_eq!(refused(&closed, &link, ResumptionPskUsage::Reinit), rule);

    for (group_id, extensions, what) in [
        (b"another".as_slice(), Vec::new(), LinkFault::AnnouncedGroupId),
        (b"a group".as_slice(), vec![], LinkFault::AnnouncedExtensions),
    ] {
        let mut closed = found("frank", b"old", Vec::new());
        let version = ProtocolVersion::MLS_1_0;
        let cipher_suite = SUITE;
        let reinit = ReInit { group_id: group_id.into(), version, cipher_suite, extensions };
        commits(&mut closed, commit_of(vec![NewProposal::ReInit(reinit)]));
        let link = closed.reinit_link().unwrap();
        let rule = Rejection::LinkMismatch(what);
        assert_eq!(refused(&closed, &link, ResumptionPskUsage::Reinit), rule);
    }
}

/// A change of a GroupInfo, and the rule that it breaks.
type InfoRule = (&'static str, fn(&mut GroupInfo), Rejection);

/// Changes after which every reader refuses a GroupInfo.
fn group_info_rules() -> Vec<InfoRule> {
    vec![
        (
            "version",
            |info| info.group_context.version = ProtocolVersion(2),
            Rejection::WrongVersion(ProtocolVersion(2)),
        ),
        (
            "extension twice",
            |info| info.extensions.extend([alien(), alien()]),
            Rejection::DuplicateExtension(ALIEN),
        ),
        (
            "context extension twice",
            |info| info.group_context.extensions = vec![alien(), alien()],
            Rejection::DuplicateExtension(ALIEN),
        ),
        (
            "context extension unsupported",
            |info| info.group_context.extensions = vec![alien()],
            Rejection::UnsupportedExtension(ALIEN),
        ),
        ("blank signer", |info| info.signer = LeafIndex(6), Rejection::GroupInfoSigner),
        ("no signer", |info| info.signer = LeafIndex(1 << 20), Rejection::GroupInfoSigner),
        ("another signer", |info| info.signer = CAROL, Rejection::GroupInfoSignature),
        ("hash", |info| info.group_context.tree_hash = [0; 32].into(), Rejection::TreeHash),
        ("no hash", |info| info.group_context.tree_hash = Bytes::default(), Rejection::TreeHash),
    ]
}

#[test]
fn a_group_info_that_breaks_a_rule_lets_nobody_in() {
    let scene = Scene::new();
    let good = decoded_group_info(&scene.alice.group_info(&PROVIDER, ALL).unwrap());
    let invitation = Invitation::new();
    for (what, change, rule) in group_info_rules() {
        let mut info = good.clone();
        change(&mut info);
        let info = scene.insider.group_info(&PROVIDER, info);
        scene.group_info_refused_by_all(what, &info, is(rule.clone()));
        let welcome = invitation.forged(|w| change(&mut w.info));
        invitation.refused(what, &welcome, is(rule));
    }

    // A signature of the old contents.
    let mut info = good;
    info.extensions.push(alien());
    let info = encoded_info(info);
    scene.group_info_refused_by_all("signature", &info, is(Rejection::GroupInfoSignature));
}

fn encoded_info(info: GroupInfo) -> Vec<u8> {
    MlsMessage::from(MlsMessageBody::GroupInfo(Box::new(info))).to_bytes().unwrap()
}

#[test]
fn a_tree_that_breaks_a_rule_lets_nobody_in() {
    let scene = Scene::new();
    let good = decoded_group_info(&scene.alice.group_info(&PROVIDER, ALL).unwrap());
    let place =
        good.extensions.iter().position(|e| e.extension_type == ExtensionType::RATCHET_TREE);
    let place = place.unwrap();

    // The tree ends in a blank node.
    let tree = scene.alice.tree().to_extension_bytes().unwrap();
    let mut r = Reader::new(&tree);
    let mut nodes = r.vector().unwrap().rest().to_vec();
    nodes.extend([0, 0]);
    let mut w = Writer::new();
    w.put_opaque(&nodes).unwrap();

    let mut info = good;
    info.extensions[place].extension_data = w.finish().into();
    let info = scene.insider.group_info(&PROVIDER, info);
    let rule = of_tree(|e| *e == TreeError::LastNodeBlank);
    scene.group_info_refused_by_all("blank", &info, rule);
}

#[test]
fn an_observer_accepts_only_a_group_info_of_its_epoch() {
    let scene = Scene::new();
    let message = scene.alice.group_info(&PROVIDER, ALL).unwrap();
    let good = decoded_group_info(&message);
    let epoch = scene.alice.epoch();
    let wrong = Rejection::WrongEpoch { message: Epoch(epoch.0 + 1), current: epoch };
    let rules: [InfoRule; 6] = [
        (
            "group",
            |i| i.group_context.group_id = b"another".as_slice().into(),
            Rejection::WrongGroup,
        ),
        ("epoch", |i| i.group_context.epoch.0 += 1, wrong),
        ("context", |i| i.group_context.tree_hash = [0; 32].into(), Rejection::TreeHash),
        ("tag", |i| i.confirmation_tag = [0; 32].into(), Rejection::ConfirmationTag),
        ("signer", |i| i.signer = NOBODY, Rejection::GroupInfoSigner),
        ("signature", |i| i.signer = CAROL, Rejection::GroupInfoSignature),
    ];

    let before = scene.observer.rows().unwrap();
    for (what, change, rule) in rules {
        let mut info = good.clone();
        change(&mut info);
        let info = scene.insider.group_info(&PROVIDER, info);
        let failed = scene.observer.take_group_info(&PROVIDER, &info).unwrap_err();
        assert_eq!(rejection(failed), rule, "{what}");
        assert_eq!(scene.observer.rows().unwrap(), before, "{what}");
    }
    assert!(scene.observer.take_group_info(&PROVIDER, &message).is_ok());
}

#[test]
fn a_tree_is_needed_before_a_welcome_is_processed() {
    let mut scene = Scene::new();
    let frank = key_package("frank", 40);
    let mut options = commit_of(vec![new_add(&frank)]);
    options.welcome_ratchet_tree = false;
    let welcome = commits(&mut scene.alice, options).welcomes.remove(0).message;
    assert_eq!(joins(&welcome, &frank).unwrap_err(), Misuse::TreeMissing.into());
    let info = scene.alice.group_info(&PROVIDER, GroupInfoOptions { ratchet_tree: false, ..ALL });
    assert_eq!(watches(&info.unwrap()).unwrap_err(), Misuse::TreeMissing.into());
}
