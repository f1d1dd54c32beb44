//! A member that breaks rules: its messages have malformed content, and are signed, MACed and encrypted
//! as a member's messages are.
//!
//! An [`Insider`] takes a member's secrets from its stored rows, and so can send messages that no
//! honest client sends. It cannot make a valid confirmation tag, as it does not know the secrets of an
//! epoch that does not exist.
#![allow(clippy::expect_used, clippy::panic)]

mod path;
mod welcome;

pub use path::PathFor;
pub use welcome::OpenWelcome;

use crate::SeededRng;
use conclave_crypto::{CryptoProvider, Secret, SignatureKeyPair, Suite};
use conclave_framing::{
    Padding, open_sender_data, protect_private, protect_public, verify_signature,
};
use conclave_group::Group;
use conclave_group::rows::{RowKey, Table, content};
use conclave_schedule::{
    MembershipKey, MessageKey, RatchetKind, SecretTree, SecretTreeRow, SenderDataSecret,
    sender_data_key_nonce,
};
use conclave_tree::{RatchetTree, TreeRead, sign_leaf};
use conclave_wire::{
    AuthenticatedContent, AuthenticatedContentTbm, Bytes, Commit, Content, Decode, Encode,
    FramedContent, FramedContentAuthData, FramedContentTbs, GroupContext, GroupId, GroupInfo,
    GroupInfoTbs, KeyPackage, KeyPackageTbs, LeafIndex, LeafNode, LeafNodeContext, Mac, MlsMessage,
    MlsMessageBody, PrivateContentAad, PrivateMessage, PrivateMessageContent, Proposal,
    ProposalOrRef, PublicMessage, ReInit, Reader, Sender, SenderData, SenderDataAad, UpdatePath,
    WireFormat,
};
use rand_core::Rng;

/// A member's secrets of the current epoch.
pub struct Insider {
    /// The current epoch's context.
    pub context: GroupContext,
    /// The member's leaf.
    pub own_leaf: LeafIndex,
    /// The member's signature key pair.
    pub signer: SignatureKeyPair,
    /// The current epoch's ratchet tree.
    pub tree: RatchetTree,
    membership_key: MembershipKey,
    sender_data: SenderDataSecret,
    secret_tree: SecretTree,
    stored: Vec<(&'static str, Secret)>,
}

impl std::fmt::Debug for Insider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Insider({})", self.own_leaf)
    }
}

impl Insider {
    /// The secrets of a member.
    ///
    /// # Panics
    /// If the member was removed from its group.
    #[must_use]
    pub fn of(group: &Group) -> Self {
        let rows = group.rows().expect("a group has rows").rows;

        let header = rows.get(&RowKey::new(Table::Header, 0)).cloned().flatten();
        let header = header.expect("a member has a header");
        let mut r = Reader::new(content(&header).expect("a whole row"));
        // Stored without the data of components, so the group's own is taken.
        let _stored = GroupContext::decode(&mut r).expect("context");
        let context = group.context().clone();
        let _interim = Bytes::decode(&mut r).expect("interim transcript hash");
        let _tag = Mac::decode(&mut r).expect("confirmation tag");
        let _reinit = Option::<ReInit>::decode(&mut r).expect("reinit");
        let own_leaf = LeafIndex::decode(&mut r).expect("own leaf");
        let _size = u32::decode(&mut r).expect("tree size");
        let mut secret = || Secret::copy_from(r.opaque().expect("a secret"));
        let private = secret();
        let public = secret().expose().to_vec().into();
        let names = [
            "init_secret",
            "sender_data_secret",
            "exporter_secret",
            "external_secret",
            "membership_key",
            "resumption_psk",
            "epoch_authenticator",
        ];
        let mut stored: Vec<_> = names.into_iter().map(|name| (name, secret())).collect();
        let find = |wanted| {
            let found = stored.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, secret): &(_, Secret)| secret.clone()).expect("it was read")
        };
        let sender_data = find("sender_data_secret");
        let membership = find("membership_key");
        stored.push(("signature private key", private.clone()));
        let secret_tree = rows.iter().filter_map(|(key, row)| {
            let kind = match key.table {
                Table::SecretTreeNode => 0,
                Table::Ratchet => 1,
                Table::SkippedKey => 2,
                _ => return None,
            };
            let place = SecretTreeRow::from_index(kind, key.index)?;
            let row = content(row.as_ref()?).ok()?;
            (key.epoch == context.epoch.0).then_some((place, row))
        });
        let size = group.tree().size();
        Self {
            own_leaf,
            signer: SignatureKeyPair::new(private, public),
            tree: group.tree().clone(),
            membership_key: MembershipKey::from_secret(membership),
            sender_data: SenderDataSecret::from_secret(sender_data),
            secret_tree: SecretTree::load(size, secret_tree).expect("a secret tree"),
            stored,
            context,
        }
    }

    /// The secrets that the header row holds, by name.
    #[must_use]
    pub fn stored_secrets(&self) -> &[(&'static str, Secret)] {
        &self.stored
    }

    /// One of [`Self::stored_secrets`].
    ///
    /// # Panics
    /// If the header row holds no secret of this name.
    #[must_use]
    pub fn stored_secret(&self, name: &str) -> &Secret {
        let found = self.stored.iter().find(|(n, _)| *n == name);
        found.map(|(_, secret)| secret).expect("a name from the key schedule")
    }

    /// The part of the current epoch's secret tree that is not consumed yet.
    #[must_use]
    pub fn secret_tree(&self) -> &SecretTree {
        &self.secret_tree
    }

    /// Opens the sender data of a message of the current epoch: its sender and generation.
    ///
    /// # Panics
    /// If it is no PrivateMessage of this epoch.
    #[must_use]
    pub fn sender_data(&self, provider: &dyn CryptoProvider, message: &[u8]) -> SenderData {
        let message = MlsMessage::from_bytes(message).expect("an MLSMessage");
        let MlsMessageBody::PrivateMessage(message) = message.body else {
            panic!("not a PrivateMessage")
        };
        open_sender_data(&self.suite(provider), &message, &self.sender_data).expect("sender data")
    }

    /// A commit of these proposals by value and this path.
    #[must_use]
    pub fn commit(proposals: Vec<Proposal>, path: Option<UpdatePath>) -> Content {
        Content::Commit(Commit {
            proposals: proposals.into_iter().map(ProposalOrRef::Proposal).collect(),
            path: path.map(Box::new),
        })
    }

    /// A message as this member would frame it.
    #[must_use]
    pub fn framed(&self, content: Content) -> FramedContent {
        FramedContent {
            group_id: self.context.group_id.clone(),
            epoch: self.context.epoch,
            sender: Sender::Member(self.own_leaf),
            authenticated_data: Bytes::default(),
            content,
        }
    }

    /// Signs any content, regardless of the rules of framing; a commit gets a confirmation tag of zeros.
    ///
    /// # Panics
    /// If the provider cannot sign.
    #[must_use]
    pub fn sign(
        &self,
        provider: &dyn CryptoProvider,
        wire_format: WireFormat,
        content: FramedContent,
    ) -> AuthenticatedContent {
        let suite = self.suite(provider);
        let tbs = FramedContentTbs { wire_format, content: &content, context: &self.context };
        let tbs = tbs.to_bytes().expect("an encoding");
        let signature =
            suite.sign_with_label(&self.signer, b"FramedContentTBS", &tbs).expect("a signature");
        let commit = matches!(content.content, Content::Commit(_));
        let confirmation_tag = commit.then(|| vec![0; suite.nh()].into());
        let auth = FramedContentAuthData { signature: signature.into(), confirmation_tag };
        AuthenticatedContent { wire_format, content, auth }
    }

    /// Content as a PublicMessage with a valid signature and membership tag: an encoded
    /// MLSMessage.
    ///
    /// # Panics
    /// If the content cannot be framed in this way.
    #[must_use]
    pub fn public(&self, provider: &dyn CryptoProvider, content: Content) -> Vec<u8> {
        let signed = self.sign(provider, WireFormat::PUBLIC_MESSAGE, self.framed(content));
        let suite = self.suite(provider);
        let message = protect_public(&suite, signed, &self.context, &self.membership_key);
        Self::encode(MlsMessageBody::PublicMessage(Box::new(message.expect("protected"))))
    }

    /// The secrets of this member under the name and signature key of another.
    #[must_use]
    pub fn posing_as(self, other: &Self) -> Self {
        Self { own_leaf: other.own_leaf, signer: other.signer.clone(), ..self }
    }

    /// The key that a PrivateMessage of the current epoch names: its owner, ratchet and generation.
    /// None if the message is of another kind or epoch.
    #[must_use]
    pub fn place(
        &self,
        provider: &dyn CryptoProvider,
        message: &[u8],
    ) -> Option<(LeafIndex, RatchetKind, u32)> {
        let MlsMessageBody::PrivateMessage(m) = MlsMessage::from_bytes(message).ok()?.body else {
            return None;
        };
        let data = open_sender_data(&self.suite(provider), &m, &self.sender_data).ok()?;
        Some((data.leaf_index, RatchetKind::from(m.content_type), data.generation))
    }

    /// The content of a message of the current epoch in the insider's name, and the generation of its
    /// key if it is a PrivateMessage. None if its key is gone, or it is in another member's name.
    #[must_use]
    pub fn open(
        &self,
        provider: &dyn CryptoProvider,
        message: &[u8],
    ) -> Option<(AuthenticatedContent, Option<u32>)> {
        let suite = self.suite(provider);
        match MlsMessage::from_bytes(message).ok()?.body {
            MlsMessageBody::PublicMessage(m) => {
                let own = m.content.sender == Sender::Member(self.own_leaf);
                let PublicMessage { content, auth, .. } = *m;
                let wire_format = WireFormat::PUBLIC_MESSAGE;
                own.then_some((AuthenticatedContent { wire_format, content, auth }, None))
            }
            MlsMessageBody::PrivateMessage(m) => {
                let place = open_sender_data(&suite, &m, &self.sender_data).ok()?;
                let leaf = place.leaf_index;
                let kind = RatchetKind::from(m.content_type);
                let key = self.secret_tree.leaf_keys(&suite, leaf, kind, place.generation).ok()?;
                let content = self.opened(&suite, &m, &place, key)?;
                verify_signature(&suite, &content, &self.context, &self.signer.public).ok()?;
                Some((content, Some(place.generation)))
            }
            _ => None,
        }
    }

    /// The signed content of a PrivateMessage.
    fn opened(
        &self,
        suite: &Suite<'_>,
        message: &PrivateMessage,
        place: &SenderData,
        MessageKey { key, mut nonce }: MessageKey,
    ) -> Option<AuthenticatedContent> {
        let PrivateMessage { group_id, epoch, content_type, authenticated_data, .. } = message;
        let epoch = *epoch;
        let content_type = *content_type;
        let aad = PrivateContentAad { group_id, epoch, content_type, authenticated_data };
        let guard = nonce.expose_mut().iter_mut().zip(place.reuse_guard);
        guard.for_each(|(byte, guard)| *byte ^= guard);
        let aad = aad.to_bytes().ok()?;
        let opened = suite.aead_open(&key, nonce.expose(), &aad, &message.ciphertext).ok()?;

        let reader = Reader::new(opened.expose());
        let opened = PrivateMessageContent::decode_padded(content_type, reader).ok()?;
        let content = FramedContent {
            group_id: group_id.clone(),
            epoch,
            sender: Sender::Member(place.leaf_index),
            authenticated_data: authenticated_data.clone(),
            content: opened.content,
        };
        let wire_format = WireFormat::PRIVATE_MESSAGE;
        Some(AuthenticatedContent { wire_format, content, auth: opened.auth })
    }

    /// Any signed content with a valid membership tag, regardless of the rules that it breaks: an
    /// encoded MLSMessage.
    ///
    /// # Panics
    /// If it has no encoding.
    #[must_use]
    pub fn tagged(&self, provider: &dyn CryptoProvider, signed: AuthenticatedContent) -> Vec<u8> {
        let AuthenticatedContent { wire_format, content, auth } = signed;
        let content_tbs =
            FramedContentTbs { wire_format, content: &content, context: &self.context };
        let tbm = AuthenticatedContentTbm { content_tbs, auth: &auth }.to_bytes();
        let tag = self
            .suite(provider)
            .mac(self.membership_key.as_secret(), &tbm.expect("an encoding"))
            .expect("a tag");
        let membership_tag = matches!(content.sender, Sender::Member(_)).then_some(tag);
        let message = PublicMessage { content, auth, membership_tag };
        Self::encode(MlsMessageBody::PublicMessage(Box::new(message)))
    }

    /// Any bytes, sealed as a PrivateMessage's content with a key of the header's sender: an encoded
    /// MLSMessage. None if the key of that generation is gone.
    ///
    /// # Panics
    /// If the provider cannot seal.
    #[must_use]
    pub fn sealed(
        &self,
        provider: &dyn CryptoProvider,
        rng: &mut SeededRng,
        header: &FramedContent,
        plaintext: &[u8],
        generation: u32,
    ) -> Option<Vec<u8>> {
        let suite = self.suite(provider);
        let Sender::Member(leaf_index) = header.sender else { return None };
        let FramedContent { group_id, epoch, authenticated_data, content, .. } = header;
        let epoch = *epoch;
        let content_type = content.content_type();
        let kind = RatchetKind::from(content_type);
        let MessageKey { key, mut nonce } =
            self.secret_tree.leaf_keys(&suite, leaf_index, kind, generation).ok()?;

        let mut reuse_guard = [0; 4];
        rng.fill_bytes(&mut reuse_guard);
        nonce.expose_mut().iter_mut().zip(reuse_guard).for_each(|(byte, guard)| *byte ^= guard);
        let aad = PrivateContentAad { group_id, epoch, content_type, authenticated_data };
        let aad = aad.to_bytes().expect("an encoding");
        let ciphertext =
            suite.aead_seal(&key, nonce.expose(), &aad, plaintext).expect("a ciphertext");

        let place = SenderData { leaf_index, generation, reuse_guard }.to_bytes();
        let MessageKey { key, nonce } =
            sender_data_key_nonce(&suite, &self.sender_data, &ciphertext).expect("a key");
        let aad = SenderDataAad { group_id, epoch, content_type }.to_bytes();
        let encrypted_sender_data = suite
            .aead_seal(
                &key,
                nonce.expose(),
                &aad.expect("an encoding"),
                &place.expect("an encoding"),
            )
            .expect("a ciphertext");
        Some(Self::encode(MlsMessageBody::PrivateMessage(PrivateMessage {
            group_id: group_id.clone(),
            epoch,
            content_type,
            authenticated_data: authenticated_data.clone(),
            encrypted_sender_data: encrypted_sender_data.into(),
            ciphertext: ciphertext.into(),
        })))
    }

    /// A PublicMessage from outside the group, signed with the insider's key: an encoded
    /// MLSMessage.
    ///
    /// # Panics
    /// If it has no encoding.
    #[must_use]
    pub fn from_outside(
        &self,
        provider: &dyn CryptoProvider,
        sender: Sender,
        content: Content,
    ) -> Vec<u8> {
        let framed = FramedContent { sender, ..self.framed(content) };
        let AuthenticatedContent { content, auth, .. } =
            self.sign(provider, WireFormat::PUBLIC_MESSAGE, framed);
        let message = PublicMessage { content, auth, membership_tag: None };
        Self::encode(MlsMessageBody::PublicMessage(Box::new(message)))
    }

    /// Content as a PrivateMessage of any of the insider's generations: an encoded MLSMessage.
    ///
    /// # Panics
    /// If the key of that generation is gone, or the content cannot be framed in this way.
    #[must_use]
    pub fn private(
        &self,
        provider: &dyn CryptoProvider,
        rng: &mut SeededRng,
        content: Content,
        generation: u32,
    ) -> Vec<u8> {
        let kind = RatchetKind::from(content.content_type());
        let signed = self.sign(provider, WireFormat::PRIVATE_MESSAGE, self.framed(content));
        let suite = self.suite(provider);
        let key: MessageKey = self
            .secret_tree
            .leaf_keys(&suite, self.own_leaf, kind, generation)
            .expect("an unused generation");
        let secret = &self.sender_data;
        let message = protect_private(&suite, &signed, generation, key, secret, Padding::None, rng);
        Self::encode(MlsMessageBody::PrivateMessage(message.expect("protected")))
    }

    /// Signs a leaf node with the insider's key, as the node of `leaf`.
    ///
    /// # Panics
    /// If the provider cannot sign.
    pub fn sign_leaf(&self, provider: &dyn CryptoProvider, node: &mut LeafNode, leaf: LeafIndex) {
        let context = LeafNodeContext { group_id: &self.context.group_id, leaf_index: leaf };
        sign_leaf(&self.suite(provider), node, &self.signer, context).expect("a signature");
    }

    /// Signs a GroupInfo with the insider's key: an encoded MLSMessage.
    ///
    /// # Panics
    /// If the provider cannot sign.
    #[must_use]
    pub fn group_info(&self, provider: &dyn CryptoProvider, mut info: GroupInfo) -> Vec<u8> {
        sign_group_info(&self.suite(provider), &mut info, &self.signer);
        Self::encode(MlsMessageBody::GroupInfo(Box::new(info)))
    }

    fn suite<'a>(&self, provider: &'a dyn CryptoProvider) -> Suite<'a> {
        Suite::new(provider, self.context.cipher_suite).expect("a supported suite")
    }

    fn encode(body: MlsMessageBody) -> Vec<u8> {
        MlsMessage::from(body).to_bytes().expect("an encoding")
    }
}

/// Signs a key package and the leaf node in it, regardless of their content.
///
/// # Panics
/// If the provider cannot sign.
pub fn sign_key_package(suite: &Suite<'_>, package: &mut KeyPackage, signer: &SignatureKeyPair) {
    let nowhere = GroupId::default();
    let context = LeafNodeContext { group_id: &nowhere, leaf_index: LeafIndex(0) };
    sign_leaf(suite, &mut package.leaf_node, signer, context).expect("a signature");
    let tbs = KeyPackageTbs(package).to_bytes().expect("an encoding");
    let signature = suite.sign_with_label(signer, b"KeyPackageTBS", &tbs).expect("a signature");
    package.signature = signature.into();
}

fn sign_group_info(suite: &Suite<'_>, info: &mut GroupInfo, signer: &SignatureKeyPair) {
    let tbs = GroupInfoTbs(info).to_bytes().expect("an encoding");
    let signature = suite.sign_with_label(signer, b"GroupInfoTBS", &tbs).expect("a signature");
    info.signature = signature.into();
}
