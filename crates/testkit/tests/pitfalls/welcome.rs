//! Welcomes by a committer that breaks rules: opened, changed, signed and sealed anew, so that
//! nothing is wrong but what was changed.

use conclave_crypto::{HpkeKeyPair, HpkePrivateKey, Secret, SignatureKeyPair, Suite};
use conclave_group::{Error, OwnKeyPackage, Rejection};
use conclave_schedule::{JoinerSecret, MemberSecret, confirmation_tag, psk_secret};
use conclave_testkit::SeededRng;
use conclave_testkit::forge::Insider;
use conclave_testkit::party::*;
use conclave_tree::UnverifiedTree;
use conclave_wire::{
    Decode, Encode, ExtensionType, GroupInfo, GroupInfoTbs, GroupSecrets, LeafIndex, LeafNode,
    MlsMessage, MlsMessageBody, Node, RatchetTreeExtension, Reader, Welcome, Writer,
};

/// A Welcome for one new member, open.
pub(super) struct Forged {
    own: OwnKeyPackage,
    /// The committer's key.
    signer: SignatureKeyPair,
    pub(super) info: GroupInfo,
    pub(super) secrets: GroupSecrets,
}

fn decode(welcome: &[u8]) -> Welcome {
    match MlsMessage::from_bytes(welcome).unwrap().body {
        MlsMessageBody::Welcome(welcome) => welcome,
        _ => panic!("no Welcome"),
    }
}

fn encode(welcome: Welcome) -> Vec<u8> {
    MlsMessage::from(MlsMessageBody::Welcome(welcome)).to_bytes().unwrap()
}

fn init_key(own: &OwnKeyPackage) -> HpkeKeyPair {
    let stored = own.to_secret().unwrap();
    let mut r = Reader::new(stored.expose());
    r.opaque().unwrap();
    let private = HpkePrivateKey(Secret::copy_from(r.opaque().unwrap()));
    HpkeKeyPair { private, public: own.key_package().init_key.clone() }
}

impl Forged {
    pub(super) fn open(welcome: &[u8], own: &OwnKeyPackage, signer: SignatureKeyPair) -> Self {
        let welcome = decode(welcome);
        let suite = Suite::new(&PROVIDER, welcome.cipher_suite).unwrap();
        let entry = &welcome.secrets[0].encrypted_group_secrets;
        let context = &welcome.encrypted_group_info;
        let secrets = suite.decrypt_with_label(&init_key(own), b"Welcome", context, entry);
        let secrets = GroupSecrets::from_bytes(secrets.unwrap().expose()).unwrap();
        let (key, nonce) = Self::member(&suite, &secrets).welcome_key(&suite).unwrap();
        let info = suite.aead_open(&key, nonce.expose(), &[], context).unwrap();
        let info = GroupInfo::from_bytes(info.expose()).unwrap();
        Self { own: own.clone(), signer, info, secrets }
    }

    fn member(suite: &Suite<'_>, secrets: &GroupSecrets) -> MemberSecret {
        let joiner = JoinerSecret::from_secret(Secret::copy_from(&secrets.joiner_secret));
        MemberSecret::derive(suite, &joiner, &psk_secret(suite, &[]).unwrap()).unwrap()
    }

    /// Makes the confirmation tag that of the context as it is now.
    pub(super) fn confirm(&mut self) {
        let suite = Suite::new(&PROVIDER, self.own.key_package().cipher_suite).unwrap();
        let context = self.info.group_context.to_bytes().unwrap();
        let epoch = Self::member(&suite, &self.secrets).epoch(&suite, &context).unwrap();
        let confirmed = &self.info.group_context.confirmed_transcript_hash;
        let tag = confirmation_tag(&suite, &epoch.confirmation_key, confirmed).unwrap();
        self.info.confirmation_tag = tag;
    }

    /// Changes a node of the tree inside, and the tree hash with it.
    pub(super) fn change_node(&mut self, node: usize, change: impl FnOnce(&mut Node)) {
        let suite = Suite::new(&PROVIDER, self.own.key_package().cipher_suite).unwrap();
        let kind = ExtensionType::RATCHET_TREE;
        let extension = self.info.extensions.iter_mut().find(|e| e.extension_type == kind).unwrap();
        let mut tree = RatchetTreeExtension::from_bytes(&extension.extension_data).unwrap();
        change(tree.nodes[node].as_mut().unwrap());
        let bytes = tree.to_bytes().unwrap();
        let hash = UnverifiedTree::decode(&suite, &bytes).unwrap().tree_hash().to_vec();
        extension.extension_data = bytes.into();
        self.info.group_context.tree_hash = hash.into();
        self.confirm();
    }

    /// Signs the GroupInfo and seals all.
    pub(super) fn close(&self) -> Vec<u8> {
        let kp = self.own.key_package();
        let suite = Suite::new(&PROVIDER, kp.cipher_suite).unwrap();
        let mut info = self.info.clone();
        let tbs = GroupInfoTbs(&info).to_bytes().unwrap();
        info.signature = suite.sign_with_label(&self.signer, b"GroupInfoTBS", &tbs).unwrap().into();
        let (key, nonce) = Self::member(&suite, &self.secrets).welcome_key(&suite).unwrap();
        let info = info.to_bytes().unwrap();
        let info = suite.aead_seal(&key, nonce.expose(), &[], &info).unwrap();
        let mut w = Writer::secret();
        self.secrets.encode(&mut w).unwrap();
        let rng = &mut SeededRng::from_u64(3);
        let sealed =
            suite.encrypt_with_label(&kp.init_key, b"Welcome", &info, &w.finish(), rng).unwrap();
        let entry = conclave_wire::EncryptedGroupSecrets {
            new_member: self.own.reference().clone(),
            encrypted_group_secrets: sealed,
        };
        let cipher_suite = kp.cipher_suite;
        encode(Welcome { cipher_suite, secrets: vec![entry], encrypted_group_info: info.into() })
    }

    pub(super) fn refused(&self) -> Error {
        Peer::join(&self.close(), &self.own, 1).expect_err("a Welcome that breaks a rule")
    }
}

/// Four members and the Welcome by which eve joins them, the commit having a path.
pub(super) fn invited() -> (Vec<Peer>, OwnKeyPackage, Vec<u8>, SignatureKeyPair) {
    let mut peers = group_of(&["alice", "bob", "carol", "dave"]);
    // Every parent gets a key.
    for place in 0..4 {
        commits(&mut peers, place, Default::default());
    }
    let eve = key_package("eve", 90);
    let signer = Insider::of(&peers[1].group).signer;
    let options = conclave_group::CommitOptions { force_path: true, ..commit_of(vec![add(&eve)]) };
    let messages = commits(&mut peers, 1, options);
    (peers, eve, messages.welcomes[0].message.clone(), signer)
}

#[test]
fn a_welcome_that_is_opened_and_closed_again_lets_in() {
    let (mut peers, eve, welcome, signer) = invited();
    let mut forged = Forged::open(&welcome, &eve, signer);
    forged.confirm();
    peers.push(Peer::join(&forged.close(), &eve, 5).unwrap());
    agree(&peers);
}

#[test]
fn a_confirmation_tag_of_any_other_length_or_value_in_a_welcome_is_refused() {
    let (_, eve, welcome, signer) = invited();
    let mut forged = Forged::open(&welcome, &eve, signer);
    let tag = forged.info.confirmation_tag.to_vec();
    for n in (0..tag.len()).chain([tag.len() + 1, 64]) {
        let mut other = tag.clone();
        other.resize(n, 0);
        forged.info.confirmation_tag = other.as_slice().into();
        assert_eq!(forged.refused(), Rejection::ConfirmationTag.into(), "{n} bytes");
    }
    for bit in 0..8 * tag.len() {
        let mut flipped = tag.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        forged.info.confirmation_tag = flipped.as_slice().into();
        assert_eq!(forged.refused(), Rejection::ConfirmationTag.into(), "bit {bit}");
    }
}

#[test]
fn ciphertexts_of_any_other_length_in_a_welcome_are_refused() {
    let (_, eve, welcome, _) = invited();
    let original = decode(&welcome);
    type Part = fn(&mut Welcome) -> &mut conclave_wire::Bytes;
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
            let refused = Peer::join(&encode(changed), &eve, 1).unwrap_err();
            assert_eq!(refused, Rejection::WelcomeOpen.into(), "{n} of {}", bytes.len());
        }
    }
    Peer::join(&encode(original), &eve, 1).unwrap();
}

#[test]
fn secrets_of_any_other_length_in_a_welcome_are_refused() {
    let (_, eve, welcome, signer) = invited();
    for n in (0..32).chain([33, 64]) {
        let mut forged = Forged::open(&welcome, &eve, signer.clone());
        forged.secrets.path_secret.as_mut().unwrap().path_secret.resize(n, 0);
        let error = forged.refused();
        assert!(error.to_string().contains("path secret"), "{n}: {error}");
    }
    let mut forged = Forged::open(&welcome, &eve, signer);
    forged.secrets.path_secret.as_mut().unwrap().path_secret[7] ^= 1;
    let error = forged.refused();
    assert!(matches!(rejection(error.clone()), Rejection::Tree(_)), "{error}");
}

#[test]
fn a_welcome_whose_tree_has_a_bad_leaf_is_refused_by_an_error_that_names_the_leaf() {
    // Nobody has committed a path, so that no parent hash covers a leaf.
    let mut peers = group_of(&["alice", "bob", "carol", "dave"]);
    let (eve, signer) = (key_package("eve", 90), Insider::of(&peers[1].group).signer);
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
            let mut forged = Forged::open(welcome, &eve, signer.clone());
            forged.change_node(2 * leaf, |node| {
                let Node::Leaf(leaf) = node else { panic!("no leaf") };
                change(leaf);
            });
            let error = forged.refused().to_string();
            assert!(error.contains(&LeafIndex(leaf as u32).to_string()), "leaf {leaf}: {error}");
        }
    }
}
