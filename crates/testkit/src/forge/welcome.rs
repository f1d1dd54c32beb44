//! Welcomes that no honest committer makes.

use super::{Insider, sign_group_info};
use crate::SeededRng;
use conclave_crypto::{
    CryptoProvider, HpkeKeyPair, HpkePrivateKey, Secret, SignatureKeyPair, Suite,
};
use conclave_group::OwnKeyPackage;
use conclave_schedule::{JoinerSecret, MemberSecret, confirmation_tag, psk_secret};
use conclave_tree::UnverifiedTree;
use conclave_wire::{
    CipherSuite, Decode, Encode, EncryptedGroupSecrets, ExtensionType, GroupInfo, GroupSecrets,
    HpkePublicKey, KeyPackageRef, MlsMessage, MlsMessageBody, Node, PreSharedKeyId,
    RatchetTreeExtension, Reader, Welcome,
};

/// The contents of a Welcome, to be changed and sealed again. The maker of the Welcome knows all of
/// them.
#[derive(Debug)]
pub struct OpenWelcome {
    /// The suite that the Welcome names.
    pub cipher_suite: CipherSuite,
    /// The key package that it is for.
    pub new_member: KeyPackageRef,
    /// The secrets that are encrypted to the new member.
    pub secrets: GroupSecrets,
    /// The group, as the Welcome describes it.
    pub info: GroupInfo,
    /// The PSKs that the Welcome is encrypted under.
    pub psks: Vec<(PreSharedKeyId, Secret)>,
    init_key: HpkePublicKey,
}

impl OpenWelcome {
    /// Opens a Welcome with the new member's keys; `value` is the value of every PSK that it lists.
    ///
    /// # Panics
    /// If it is not for this key package, or does not open.
    #[must_use]
    pub fn of(
        provider: &dyn CryptoProvider,
        message: &[u8],
        own: &OwnKeyPackage,
        value: &Secret,
    ) -> Self {
        let welcome = Self::decode(message);
        let suite = Suite::new(provider, welcome.cipher_suite).expect("a supported suite");
        let stored = own.to_secret().expect("a key package");
        let mut r = Reader::new(stored.expose());
        let _package = r.opaque().expect("the key package");
        let private = HpkePrivateKey(Secret::copy_from(r.opaque().expect("the init key")));
        let public = own.key_package().init_key.clone();
        let keys = HpkeKeyPair { private, public: public.clone() };
        let entry = welcome.secrets.iter().find(|entry| entry.new_member == *own.reference());
        let sealed = &entry.expect("an entry").encrypted_group_secrets;
        let context = &welcome.encrypted_group_info;
        let secrets = suite.decrypt_with_label(&keys, b"Welcome", context, sealed).expect("opens");
        let secrets = GroupSecrets::from_bytes(secrets.expose()).expect("GroupSecrets");
        let psks: Vec<_> = secrets.psks.iter().map(|id| (id.clone(), value.clone())).collect();
        let (key, nonce) = member(&suite, &secrets, &psks).welcome_key(&suite).expect("a key");
        let info = suite.aead_open(&key, nonce.expose(), &[], context).expect("opens");
        Self {
            cipher_suite: welcome.cipher_suite,
            new_member: own.reference().clone(),
            info: GroupInfo::from_bytes(info.expose()).expect("a GroupInfo"),
            init_key: public,
            secrets,
            psks,
        }
    }

    /// The sealed Welcome in an encoded MLSMessage.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn decode(message: &[u8]) -> Welcome {
        match MlsMessage::from_bytes(message).map(|message| message.body) {
            Ok(MlsMessageBody::Welcome(welcome)) => Some(welcome),
            _ => None,
        }
        .expect("a Welcome")
    }

    /// A sealed Welcome as an encoded MLSMessage.
    ///
    /// # Panics
    /// If it cannot be encoded.
    #[must_use]
    pub fn encode(welcome: Welcome) -> Vec<u8> {
        Insider::encode(MlsMessageBody::Welcome(welcome))
    }

    /// Changes a node of the ratchet tree in the GroupInfo, and adapts the tree hash and the
    /// confirmation tag.
    ///
    /// # Panics
    /// If there is no tree, or no such node in it.
    pub fn change_node(&mut self, suite: &Suite<'_>, node: usize, change: impl FnOnce(&mut Node)) {
        let kind = ExtensionType::RATCHET_TREE;
        let mut extensions = self.info.extensions.iter_mut();
        let extension = extensions.find(|e| e.extension_type == kind).expect("a tree");
        let mut tree = RatchetTreeExtension::from_bytes(&extension.extension_data).expect("a tree");
        change(tree.nodes.get_mut(node).and_then(Option::as_mut).expect("a node"));
        let bytes = tree.to_bytes().expect("an encoding");
        let hash = UnverifiedTree::decode(suite, &bytes).expect("a tree").tree_hash().to_vec();
        extension.extension_data = bytes.into();
        self.info.group_context.tree_hash = hash.into();
        self.confirm(suite);
    }

    /// A Welcome for the same key package with other contents.
    #[must_use]
    pub fn with(&self, secrets: GroupSecrets, info: GroupInfo) -> Self {
        Self {
            cipher_suite: self.cipher_suite,
            new_member: self.new_member.clone(),
            psks: self.psks.clone(),
            init_key: self.init_key.clone(),
            secrets,
            info,
        }
    }

    /// Computes a new confirmation tag, as if the GroupContext were true.
    ///
    /// # Panics
    /// If the provider fails.
    pub fn confirm(&mut self, suite: &Suite<'_>) {
        let context = self.info.group_context.to_bytes().expect("an encoding");
        let epoch = member(suite, &self.secrets, &self.psks).epoch(suite, &context);
        let key = epoch.expect("secrets").confirmation_key;
        let confirmed = &self.info.group_context.confirmed_transcript_hash;
        self.info.confirmation_tag = confirmation_tag(suite, &key, confirmed).expect("a tag");
    }

    /// Signs the GroupInfo again.
    ///
    /// # Panics
    /// If the provider cannot sign.
    pub fn sign(&mut self, suite: &Suite<'_>, signer: &SignatureKeyPair) {
        sign_group_info(suite, &mut self.info, signer);
    }

    /// The Welcome, signed again and sealed: an encoded MLSMessage.
    ///
    /// # Panics
    /// If the provider fails.
    #[must_use]
    pub fn close(&mut self, suite: &Suite<'_>, signer: &SignatureKeyPair) -> Vec<u8> {
        self.sign(suite, signer);
        self.seal(suite, &mut SeededRng::from_u64(3))
    }

    /// Addresses the Welcome to another key package.
    pub fn redirect(&mut self, to: &OwnKeyPackage) {
        self.new_member = to.reference().clone();
        self.init_key = to.key_package().init_key.clone();
    }

    /// The Welcome, sealed: an encoded MLSMessage.
    ///
    /// # Panics
    /// If the provider fails.
    #[must_use]
    pub fn seal(&self, suite: &Suite<'_>, rng: &mut SeededRng) -> Vec<u8> {
        let (key, nonce) =
            member(suite, &self.secrets, &self.psks).welcome_key(suite).expect("a key");
        let info = self.info.to_bytes().expect("an encoding");
        let info = suite.aead_seal(&key, nonce.expose(), &[], &info).expect("sealed");
        let secrets = self.secrets.to_bytes().expect("an encoding");
        let sealed = suite.encrypt_with_label(&self.init_key, b"Welcome", &info, &secrets, rng);
        let entry = EncryptedGroupSecrets {
            new_member: self.new_member.clone(),
            encrypted_group_secrets: sealed.expect("sealed"),
        };

        Self::encode(Welcome {
            cipher_suite: self.cipher_suite,
            secrets: vec![entry],
            encrypted_group_info: info.into(),
        })
    }
}

fn member(
    suite: &Suite<'_>,
    secrets: &GroupSecrets,
    psks: &[(PreSharedKeyId, Secret)],
) -> MemberSecret {
    let joiner = JoinerSecret::from_secret(Secret::copy_from(&secrets.joiner_secret));
    let psk = psk_secret(suite, psks).expect("a PSK secret");
    MemberSecret::derive(suite, &joiner, &psk).expect("a secret")
}
