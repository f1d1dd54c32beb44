//! Welcomes by a committer that breaks rules.

use conclave_crypto::{Secret, SignatureKeyPair, Suite};
use conclave_group::{CommitOptions, Error, OwnKeyPackage, Rejection, TreeError};
use conclave_testkit::forge::{Insider, OpenWelcome};
use conclave_testkit::party::*;
use conclave_wire::{Bytes, LeafIndex, LeafNode, Node, Welcome};

/// Four members, and the Welcome of a commit with a path by which eve joins them.
pub(super) fn invited() -> (Vec<Peer>, OwnKeyPackage, Vec<u8>, SignatureKeyPair) {
    let mut peers = group_of(&["alice", "bob", "carol", "dave"]);
    // Every parent gets a key.
    for place in 0..4 {
        commits(&mut peers, place, CommitOptions::default());
    }

    let eve = key_package("eve", 90);
    let signer = Insider::of(&peers[1].group).signer;
    let options = CommitOptions { force_path: true, ..commit_of(vec![add(&eve)]) };
    let messages = commits(&mut peers, 1, options);
    (peers, eve, messages.welcomes[0].message.clone(), signer)
}

/// An opened Welcome for one new member, with its suite, the new member, and the signer.
pub(super) struct Forged<'a> {
    pub(super) welcome: OpenWelcome,
    pub(super) suite: Suite<'static>,
    own: &'a OwnKeyPackage,
    signer: &'a SignatureKeyPair,
}

impl<'a> Forged<'a> {
    pub(super) fn open(
        welcome: &[u8],
        own: &'a OwnKeyPackage,
        signer: &'a SignatureKeyPair,
    ) -> Self {
        let welcome = OpenWelcome::of(&PROVIDER, welcome, own, &Secret::zero(0));
        let suite = Suite::new(&PROVIDER, welcome.cipher_suite).unwrap();
        Self { welcome, suite, own, signer }
    }

    /// Adapts the confirmation tag to the current context.
    pub(super) fn confirm(&mut self) {
        self.welcome.confirm(&self.suite);
    }

    pub(super) fn change_node(&mut self, node: usize, change: impl FnOnce(&mut Node)) {
        self.welcome.change_node(&self.suite, node, change);
    }

    pub(super) fn close(&mut self) -> Vec<u8> {
        self.welcome.close(&self.suite, self.signer)
    }

    /// The error by which the new member refuses the Welcome.
    pub(super) fn refused(&mut self) -> Error {
        Peer::join(&self.close(), self.own, 1).expect_err("a Welcome that breaks a rule")
    }
}

#[test]
fn a_reopened_and_resealed_welcome_lets_its_newcomer_in() {
    let (mut peers, eve, welcome, signer) = invited();
    let mut forged = Forged::open(&welcome, &eve, &signer);
    forged.confirm();
    peers.push(Peer::join(&forged.close(), &eve, 5).unwrap());
    agree(&peers);
}

#[test]
fn a_welcome_with_another_confirmation_tag_is_refused() {
    let (_, eve, welcome, signer) = invited();
    let mut forged = Forged::open(&welcome, &eve, &signer);
    let tag = forged.welcome.info.confirmation_tag.to_vec();
    for n in (0..tag.len()).chain([tag.len() + 1, 64]) {
        let mut other = tag.clone();
        other.resize(n, 0);
        forged.welcome.info.confirmation_tag = other.as_slice().into();
        assert_eq!(forged.refused(), Rejection::ConfirmationTag.into(), "{n} bytes");
    }

    for bit in 0..8 * tag.len() {
        let mut flipped = tag.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        forged.welcome.info.confirmation_tag = flipped.as_slice().into();
        assert_eq!(forged.refused(), Rejection::ConfirmationTag.into(), "bit {bit}");
    }
}

#[test]
fn a_welcome_with_ciphertexts_of_another_length_is_refused() {
    let (_, eve, welcome, _) = invited();
    let original = OpenWelcome::decode(&welcome);
    type Part = fn(&mut Welcome) -> &mut Bytes;
    let parts: [Part; 3] = [
        |welcome| &mut welcome.encrypted_group_info,
        |welcome| &mut welcome.secrets[0].encrypted_group_secrets.ciphertext,
        |welcome| &mut welcome.secrets[0].encrypted_group_secrets.kem_output,
    ];

    for part in parts {
        let bytes = part(&mut original.clone()).to_vec();
        for n in (0..bytes.len()).chain([bytes.len() + 1]) {
            let mut other = bytes.clone();
            other.resize(n, 0);
            let mut changed = original.clone();
            *part(&mut changed) = other.into();
            let refused = Peer::join(&OpenWelcome::encode(changed), &eve, 1).unwrap_err();
            assert_eq!(refused, Rejection::WelcomeOpen.into(), "{n} of {}", bytes.len());
        }
    }
    Peer::join(&OpenWelcome::encode(original), &eve, 1).unwrap();
}

#[test]
fn a_welcome_with_secrets_of_another_length_is_refused() {
    let (_, eve, welcome, signer) = invited();
    for n in (0..32).chain([33, 64]) {
        let mut forged = Forged::open(&welcome, &eve, &signer);
        forged.welcome.secrets.path_secret.as_mut().unwrap().path_secret.resize(n, 0);
        let wrong = Rejection::Tree(TreeError::PathSecretLength);
        assert_eq!(forged.refused(), wrong.into(), "{n} bytes");
    }
    let mut forged = Forged::open(&welcome, &eve, &signer);
    forged.welcome.secrets.path_secret.as_mut().unwrap().path_secret[7] ^= 1;
    let error = rejection(forged.refused());
    assert!(matches!(error, Rejection::Tree(TreeError::PathKeyMismatch { .. })), "{error}");
}

#[test]
fn refusing_a_welcome_with_a_bad_leaf_names_the_leaf() {
    // No member has committed a path, so that no parent hash covers a leaf.
    let mut peers = group_of(&["alice", "bob", "carol", "dave"]);
    let eve = key_package("eve", 90);
    let signer = Insider::of(&peers[1].group).signer;
    let messages = commits(&mut peers, 1, commit_of(vec![add(&eve)]));
    let welcome = &messages.welcomes[0].message;
    for leaf in 0..4usize {
        let changes: [fn(&mut LeafNode); 2] = [
            |leaf| {
                let mut signature = leaf.signature.to_vec();
                signature[3] ^= 1;
                leaf.signature = signature.into();
            },
            |leaf| leaf.capabilities.credentials.clear(),
        ];
        for change in changes {
            let mut forged = Forged::open(welcome, &eve, &signer);
            forged.change_node(2 * leaf, |node| {
                let Node::Leaf(leaf) = node else { panic!("no leaf") };
                change(leaf);
            });
            let error = forged.refused().to_string();
            assert!(error.contains(&LeafIndex(leaf as u32).to_string()), "leaf {leaf}: {error}");
        }
    }
}
