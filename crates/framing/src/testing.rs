//! Shared by the tests: a group's context, messages of each kind, reproducible randomness.

use crate::{Verified, sign_content};
use alloc::boxed::Box;
use alloc::vec::Vec;
use conclave_crypto::{Secret, SignatureKeyPair, Suite};
use conclave_provider_rustcrypto::RustCrypto;
use conclave_schedule::{MembershipKey, SenderDataSecret};
use conclave_wire::{
    AuthenticatedContent, Bytes, Capabilities, CipherSuite, Commit, Content, Credential, Epoch,
    FramedCommit, FramedContent, GroupContext, KeyPackage, LeafIndex, LeafNode, LeafNodeSource,
    Lifetime, Mac, PreSharedKeyId, Proposal, ProtocolVersion, PskType, ReInit, Sender, UpdatePath,
    WireFormat,
};
use core::convert::Infallible;
use rand_core::{TryCryptoRng, TryRng};

/// SplitMix64: reproducible from its seed, and not secret.
pub(crate) struct TestRng(pub(crate) u64);

impl TryRng for TestRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.try_next_u64()? as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Ok(z ^ (z >> 31))
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        for chunk in dst.chunks_mut(8) {
            let bytes = self.try_next_u64()?.to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for TestRng {}

pub(crate) const MEMBER: Sender = Sender::Member(LeafIndex(5));

/// A group in some epoch, and a member's signature key.
pub(crate) struct Fixture {
    pub(crate) suite: Suite<'static>,
    pub(crate) context: GroupContext,
    pub(crate) signer: SignatureKeyPair,
    pub(crate) membership_key: MembershipKey,
    pub(crate) sender_data_secret: SenderDataSecret,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        static PROVIDER: RustCrypto = RustCrypto::new();
        let suite = Suite::new(&PROVIDER, CipherSuite(1)).unwrap();
        let secret = |byte| Secret::new(alloc::vec![byte; 32]);
        let context = GroupContext {
            version: ProtocolVersion::MLS_1_0,
            cipher_suite: CipherSuite(1),
            group_id: b"group".as_slice().into(),
            epoch: Epoch(7),
            tree_hash: [1; 32].into(),
            confirmed_transcript_hash: [2; 32].into(),
            extensions: Vec::new(),
        };
        Self {
            suite,
            context,
            signer: suite.signature_key_pair(&mut TestRng(1)).unwrap(),
            membership_key: MembershipKey::from_secret(secret(3)),
            sender_data_secret: SenderDataSecret::from_secret(secret(4)),
        }
    }

    /// The context of the next epoch.
    pub(crate) fn next_context(&self) -> GroupContext {
        GroupContext { epoch: Epoch(self.context.epoch.0 + 1), ..self.context.clone() }
    }

    pub(crate) fn framed(&self, sender: Sender, content: Content) -> FramedContent {
        FramedContent {
            group_id: self.context.group_id.clone(),
            epoch: self.context.epoch,
            sender,
            authenticated_data: b"aad".as_slice().into(),
            content,
        }
    }

    /// Signs content and adds a confirmation tag to a commit.
    pub(crate) fn signed(
        &self,
        wire_format: WireFormat,
        sender: Sender,
        content: Content,
    ) -> AuthenticatedContent {
        let content = self.framed(sender, content);
        let mut signed =
            sign_content(&self.suite, wire_format, content, &self.context, &self.signer).unwrap();
        confirm(&mut signed);
        signed
    }

    pub(crate) fn leaf_node(&self) -> LeafNode {
        LeafNode {
            encryption_key: [9; 32].as_slice().into(),
            signature_key: self.signer.public.clone(),
            credential: Credential::basic(b"somebody"),
            capabilities: Capabilities::default(),
            leaf_node_source: LeafNodeSource::KeyPackage(Lifetime { not_before: 0, not_after: 1 }),
            extensions: Vec::new(),
            signature: [8; 64].into(),
        }
    }

    pub(crate) fn add(&self) -> Proposal {
        Proposal::Add(Box::new(KeyPackage {
            version: ProtocolVersion::MLS_1_0,
            cipher_suite: CipherSuite(1),
            init_key: [7; 32].as_slice().into(),
            leaf_node: self.leaf_node(),
            extensions: Vec::new(),
            signature: [6; 64].into(),
        }))
    }

    pub(crate) fn commit(&self, with_path: bool) -> Content {
        let path = UpdatePath { leaf_node: self.leaf_node(), nodes: Vec::new() };
        let path = with_path.then(|| Box::new(path));
        Content::Commit(Commit { proposals: Vec::new(), path })
    }

    /// A proposal of each type.
    pub(crate) fn proposals(&self) -> [Proposal; 7] {
        let psktype = PskType::External { psk_id: b"psk".as_slice().into() };
        [
            self.add(),
            Proposal::Update(Box::new(self.leaf_node())),
            Proposal::Remove(LeafIndex(2)),
            Proposal::PreSharedKey(PreSharedKeyId { psktype, psk_nonce: [0; 32].into() }),
            Proposal::ReInit(ReInit {
                group_id: b"next".as_slice().into(),
                version: ProtocolVersion::MLS_1_0,
                cipher_suite: CipherSuite(1),
                extensions: Vec::new(),
            }),
            Proposal::ExternalInit([5; 32].into()),
            Proposal::GroupContextExtensions(Vec::new()),
        ]
    }
}

/// The parts of a signed message: sender, authenticated data, content and confirmation tag.
pub(crate) type Contents = (Sender, Bytes, Content, Option<Mac>);

/// The parts of a message that was sent, to compare with [`contents`].
pub(crate) fn sent_contents(message: &AuthenticatedContent) -> Contents {
    let AuthenticatedContent { content, auth, .. } = message.clone();
    (content.sender, content.authenticated_data, content.content, auth.confirmation_tag)
}

/// The parts of a verified message.
pub(crate) fn contents(message: &Verified) -> Contents {
    match message.clone() {
        Verified::Proposal(m) => {
            let sender = m.sender();
            let data = m.authenticated_data().into();
            (sender, data, Content::Proposal(m.into_parts().0), None)
        }
        Verified::Commit(m) => {
            let FramedCommit { sender, authenticated_data, commit, .. } = m.content.clone();
            let tag = Some(m.confirmation_tag.clone());
            (sender, authenticated_data, Content::Commit(commit), tag)
        }
        Verified::Application(m) => {
            let sender = Sender::Member(m.sender());
            let (authenticated_data, data) = m.into_parts();
            (sender, authenticated_data, Content::Application(data), None)
        }
    }
}

/// Gives a commit a confirmation tag.
pub(crate) fn confirm(message: &mut AuthenticatedContent) {
    if matches!(message.content.content, Content::Commit(_)) {
        message.auth.confirmation_tag = Some([0xc7; 32].as_slice().into());
    }
}

pub(crate) fn application(data: &[u8]) -> Content {
    Content::Application(data.into())
}

pub(crate) fn remove() -> Content {
    Content::Proposal(Proposal::Remove(LeafIndex(2)))
}
