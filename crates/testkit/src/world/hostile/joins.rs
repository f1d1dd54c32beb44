//! Damaged Welcomes, GroupInfos, ratchet trees and key packages.

use super::*;
use conclave_group::JoinStage;
use conclave_wire::{
    Bytes, Decode, Encode, EncryptedGroupSecrets, KeyPackageRef, MlsMessage, MlsMessageBody,
    Welcome,
};

const WELCOME: &str = "joining: Welcome";
const WELCOME_INFO: &str = "joining: Welcome's GroupInfo";
const WELCOME_SECRETS: &str = "joining: Welcome's secrets";
const WELCOME_WITHOUT: &str = "joining: Welcome without the joiner";
const WELCOME_TREE: &str = "joining: Welcome with another tree";
const GROUP_INFO: &str = "joining: GroupInfo";
const GROUP_INFO_TREE: &str = "joining: GroupInfo with another tree";
const OBSERVED_INFO: &str = "joining: GroupInfo for the observer";
const KEY_PACKAGE: &str = "joining: KeyPackage";

pub(super) const KINDS: [&str; 10] = [
    WELCOME,
    WELCOME_INFO,
    WELCOME_SECRETS,
    WELCOME_WITHOUT,
    WELCOME_TREE,
    GROUP_INFO,
    GROUP_INFO_TREE,
    OBSERVED_INFO,
    KEY_PACKAGE,
    OBSERVED,
];

/// A bit flipped, some bytes cut off, or some appended.
fn damaged(bytes: &[u8], rng: &mut SeededRng) -> Vec<u8> {
    let mut damaged: Bytes = bytes.into();
    match rng.below(3) {
        0 => damaged = bytes[..rng.below(bytes.len() as u64) as usize].into(),
        1 => damaged = [bytes, &vec![0; 1 + rng.below(4) as usize]].concat().into(),
        _ => drop(damage::flip(&mut damaged, rng)),
    }
    damaged.to_vec()
}

fn edited_welcome(bytes: &[u8], edit: impl FnOnce(&mut Welcome)) -> Vec<u8> {
    let mut message = MlsMessage::from_bytes(bytes).expect("a real message");
    let MlsMessageBody::Welcome(welcome) = &mut message.body else { panic!("no Welcome") };
    edit(welcome);
    message.to_bytes().expect("an encoding")
}

impl World {
    /// Checks that a newcomer cannot join by a damaged Welcome.
    pub(in crate::world) fn spoil_welcome(
        &mut self,
        provider: &dyn CryptoProvider,
        own: &OwnKeyPackage,
        message: &[u8],
        tree: &[u8],
    ) {
        let psks = self.joiner_psks();
        let join = |message: &[u8], tree: &[u8]| {
            WelcomeStage::open(provider, Config::default(), message, own)
                .and_then(|stage| stage.join(provider, &psks, Some(tree), None))
        };

        let kinds = &KINDS[..5];
        let kind = self.hostile.rarer(kinds, |kind| kind);
        let rng = &mut self.hostile.rng;
        let mut spoilt_tree = tree.to_vec();
        let mine = own.reference();
        let spoilt = match kind {
            WELCOME => damaged(message, rng),
            WELCOME_INFO => edited_welcome(message, |welcome| {
                damage::flip(&mut welcome.encrypted_group_info, rng);
            }),
            WELCOME_SECRETS => edited_welcome(message, |welcome| {
                let entry = welcome.secrets.iter_mut().find(|entry| entry.new_member == *mine);
                let sealed = &mut entry.expect("an entry").encrypted_group_secrets;
                if rng.one_in(2) {
                    damage::flip(&mut sealed.ciphertext, rng);
                } else {
                    damage::flip(&mut sealed.kem_output, rng);
                }
            }),
            WELCOME_WITHOUT => edited_welcome(message, |welcome| {
                welcome.secrets.retain(|entry| entry.new_member != *mine);
            }),
            _ => {
                spoilt_tree = damaged(tree, rng);
                message.to_vec()
            }
        };

        if let Ok(joined) = join(&spoilt, &spoilt_tree) {
            // The damage hit the entry of another newcomer.
            assert_eq!(kind, WELCOME, "it lets in");
            let real = join(message, tree).expect("the real one lets in");
            let rows = |stage: JoinStage| {
                let verdicts = accepting::all(stage.credentials());
                stage.resolve(&verdicts).map(|new| new.batch().rows.clone())
            };
            assert_eq!(rows(joined), rows(real), "{kind}: into another group");
            assert_ne!(welcome_of_all_others(&spoilt, mine), welcome_of_all_others(message, mine));
            return;
        }
        self.hostile.count(kind);
    }

    /// Checks that a newcomer cannot join by a damaged GroupInfo, and that the observer refuses one.
    pub(in crate::world) fn spoil_group_info(
        &mut self,
        provider: &dyn CryptoProvider,
        info: &[u8],
        tree: Option<&[u8]>,
    ) {
        let opens = |info: &[u8], tree: Option<&[u8]>| {
            ExternalJoinStage::open(provider, Config::default(), info, tree).is_ok()
                || ObserverStage::open(provider, Config::default(), info, tree).is_ok()
        };
        let spoilt = damaged(info, &mut self.hostile.rng);
        assert!(!opens(&spoilt, tree), "a damaged GroupInfo lets a newcomer in");
        self.hostile.count(GROUP_INFO);

        if let Some(tree) = tree {
            let spoilt = damaged(tree, &mut self.hostile.rng);
            assert!(!opens(info, Some(&spoilt)), "a damaged tree lets a newcomer in");
            self.hostile.count(GROUP_INFO_TREE);
        }

        self.spoil_observed_info(provider, info);
    }

    /// Checks that the observer refuses a damaged GroupInfo.
    pub(in crate::world) fn spoil_observed_info(
        &mut self,
        provider: &dyn CryptoProvider,
        info: &[u8],
    ) {
        let Some(watcher) = &self.watcher else { return };
        let spoilt = damaged(info, &mut self.hostile.rng);
        let before = watcher.memory();
        assert!(watcher.observer.take_group_info(provider, &spoilt).is_err(), "it is taken");
        assert!(watcher.memory() == before, "a refused GroupInfo left a trace");
        self.hostile.count(OBSERVED_INFO);
    }

    /// Checks that a damaged key package is not valid.
    pub(in crate::world) fn spoil_key_package(&mut self, own: &OwnKeyPackage) {
        let provider = provider_for(self.suite, true);
        let body = MlsMessageBody::KeyPackage(Box::new(own.key_package().clone()));
        let message = MlsMessage::from(body).to_bytes().expect("an encoding");
        self.hostile.archive.keep(&message);
        let spoilt = damaged(&message, &mut self.hostile.rng);
        if let Ok(MlsMessage { body: MlsMessageBody::KeyPackage(kp) }) =
            MlsMessage::from_bytes(&spoilt)
        {
            let checked = ValidKeyPackage::check(provider, self.now, &self.config, *kp);
            assert!(checked.is_err(), "a damaged key package is valid");
        }
        self.hostile.count(KEY_PACKAGE);
    }
}

/// The entries of a Welcome that are not for this key package.
fn welcome_of_all_others(message: &[u8], mine: &KeyPackageRef) -> Vec<EncryptedGroupSecrets> {
    match MlsMessage::from_bytes(message).expect("it was accepted").body {
        MlsMessageBody::Welcome(welcome) => {
            welcome.secrets.into_iter().filter(|entry| entry.new_member != *mine).collect()
        }
        _ => Vec::new(),
    }
}
