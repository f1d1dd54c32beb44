//! Welcomes by a committer that breaks rules: opened, changed, signed and sealed anew, so that
//! nothing is wrong but what was changed.
#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing)]
// Each panics if the Welcome is not of one that a test has made; that is what a test wants.
#![allow(clippy::missing_panics_doc)]

use crate::SeededRng;
use crate::party::{PROVIDER, Peer};
use conclave_crypto::{HpkeKeyPair, HpkePrivateKey, Secret, SignatureKeyPair, Suite};
use conclave_group::{Error, OwnKeyPackage};
use conclave_schedule::{JoinerSecret, MemberSecret, confirmation_tag, psk_secret};
use conclave_tree::UnverifiedTree;
use conclave_wire::{
    Decode, Encode, EncryptedGroupSecrets, ExtensionType, GroupInfo, GroupInfoTbs, GroupSecrets,
    MlsMessage, MlsMessageBody, Node, RatchetTreeExtension, Reader, Welcome, Writer,
};

/// A Welcome for one new member, open.
pub struct ForgedWelcome {
    own: OwnKeyPackage,
    /// The committer's key.
    signer: SignatureKeyPair,
    /// What it says of the group.
    pub info: GroupInfo,
    /// What it says to the new member alone.
    pub secrets: GroupSecrets,
}

/// The Welcome in an encoded MLSMessage.
#[must_use]
pub fn decode(welcome: &[u8]) -> Welcome {
    match MlsMessage::from_bytes(welcome).unwrap().body {
        MlsMessageBody::Welcome(welcome) => welcome,
        _ => panic!("no Welcome"),
    }
}

/// An encoded MLSMessage.
#[must_use]
pub fn encode(welcome: Welcome) -> Vec<u8> {
    MlsMessage::from(MlsMessageBody::Welcome(welcome)).to_bytes().unwrap()
}

fn init_key(own: &OwnKeyPackage) -> HpkeKeyPair {
    let stored = own.to_secret().unwrap();
    let mut r = Reader::new(stored.expose());
    r.opaque().unwrap();
    let private = HpkePrivateKey(Secret::copy_from(r.opaque().unwrap()));
    HpkeKeyPair { private, public: own.key_package().init_key.clone() }
}

impl std::fmt::Debug for ForgedWelcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ForgedWelcome({:?})", self.info.group_context.group_id)
    }
}

impl ForgedWelcome {
    /// Opens the Welcome of one new member, by a committer of this key pair, without PSKs.
    #[must_use]
    pub fn open(welcome: &[u8], own: &OwnKeyPackage, signer: SignatureKeyPair) -> Self {
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
    pub fn confirm(&mut self) {
        let suite = Suite::new(&PROVIDER, self.own.key_package().cipher_suite).unwrap();
        let context = self.info.group_context.to_bytes().unwrap();
        let epoch = Self::member(&suite, &self.secrets).epoch(&suite, &context).unwrap();
        let confirmed = &self.info.group_context.confirmed_transcript_hash;
        let tag = confirmation_tag(&suite, &epoch.confirmation_key, confirmed).unwrap();
        self.info.confirmation_tag = tag;
    }

    /// Changes a node of the tree inside, and the tree hash with it.
    pub fn change_node(&mut self, node: usize, change: impl FnOnce(&mut Node)) {
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
    #[must_use]
    pub fn close(&self) -> Vec<u8> {
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
        let entry = EncryptedGroupSecrets {
            new_member: self.own.reference().clone(),
            encrypted_group_secrets: sealed,
        };
        let cipher_suite = kp.cipher_suite;
        encode(Welcome { cipher_suite, secrets: vec![entry], encrypted_group_info: info.into() })
    }

    /// Why the new member refuses it.
    #[must_use]
    pub fn refused(&self) -> Error {
        Peer::join(&self.close(), &self.own, 1).expect_err("a Welcome that breaks a rule")
    }
}
