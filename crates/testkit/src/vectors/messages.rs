//! The syntax of messages, regardless of their meaning (RFC 9420 sections 6 to 12).

use super::PlainVector;
use super::compare::same;
use super::hex::Hex;
use super::problem::{At, Problem, ensure};
use super::sample;
use crate::SeededRng;
use conclave_wire::{Bytes, CipherSuite, Epoch};
use conclave_wire::{
    Commit, Content, ContentType, Decode, Encode, EncryptedGroupSecrets, Extension, FramedContent,
    FramedContentAuthData, GroupInfo, GroupSecrets, KeyPackage, LeafIndex, LeafNode,
    LeafNodeSource, Mac, MlsMessage, MlsMessageBody, Node, ParentNode, PathSecret, PreSharedKeyId,
    PrivateMessage, Proposal, ProposalType, PublicMessage, RatchetTreeExtension, ReInit, Reader,
    Sender, Welcome, WireFormat, Writer,
};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(super) struct Messages {
    mls_welcome: Hex,
    mls_group_info: Hex,
    mls_key_package: Hex,

    ratchet_tree: Hex,
    group_secrets: Hex,

    add_proposal: Hex,
    update_proposal: Hex,
    remove_proposal: Hex,
    pre_shared_key_proposal: Hex,
    re_init_proposal: Hex,
    external_init_proposal: Hex,
    group_context_extensions_proposal: Hex,

    commit: Hex,

    public_message_application: Hex,
    public_message_proposal: Hex,
    public_message_commit: Hex,
    private_message: Hex,
}

/// Checks that bytes are the one encoding of a `T`.
fn round_trip<T: Decode + Encode>(what: &str, bytes: &Hex) -> Result<T, Problem> {
    let value: T = bytes.decode(what)?;
    let again = value.to_bytes().at(format_args!("{what} does not encode again"))?;
    same(format_args!("{what}, encoded again,"), &again, bytes)?;
    Ok(value)
}

/// A message of a wire format and, if it is framed, of a content type.
fn message(
    what: &str,
    bytes: &Hex,
    wire_format: WireFormat,
    content_type: Option<ContentType>,
) -> Result<(), Problem> {
    let message: MlsMessage = round_trip(what, bytes)?;
    let found = message.wire_format();
    ensure(found == wire_format, format_args!("{what} is of {found:?}, not {wire_format:?}"))?;
    match content_type {
        Some(wanted) => ensure(
            message.content_type() == Some(wanted),
            format_args!("{what} has not the content type {wanted:?}"),
        ),
        None => Ok(()),
    }
}

/// The body of a proposal of a type.
fn proposal(what: &str, bytes: &Hex, kind: ProposalType) -> Result<(), Problem> {
    let decode = || -> Result<Proposal, Problem> {
        let mut r = Reader::new(bytes);
        let proposal = Proposal::decode_body(kind, &mut r)?;
        ensure(r.is_empty(), format_args!("{} bytes follow it", r.rest().len()))?;
        Ok(proposal)
    };
    let mut w = Writer::new();
    decode().at(format_args!("{what} does not decode"))?.encode_body(&mut w)?;
    same(format_args!("{what}, encoded again,"), &w.finish(), bytes)
}

impl PlainVector for Messages {
    fn check(&self) -> Result<(), Problem> {
        message("mls_welcome", &self.mls_welcome, WireFormat::WELCOME, None)?;
        message("mls_group_info", &self.mls_group_info, WireFormat::GROUP_INFO, None)?;
        message("mls_key_package", &self.mls_key_package, WireFormat::KEY_PACKAGE, None)?;

        round_trip::<RatchetTreeExtension>("ratchet_tree", &self.ratchet_tree)?;
        round_trip::<GroupSecrets>("group_secrets", &self.group_secrets)?;

        // Decode the structure itself, and inside the enumeration that commits hold.
        round_trip::<KeyPackage>("add_proposal", &self.add_proposal)?;
        round_trip::<LeafNode>("update_proposal", &self.update_proposal)?;
        round_trip::<LeafIndex>("remove_proposal", &self.remove_proposal)?;
        round_trip::<PreSharedKeyId>("pre_shared_key_proposal", &self.pre_shared_key_proposal)?;
        round_trip::<ReInit>("re_init_proposal", &self.re_init_proposal)?;
        round_trip::<Bytes>("external_init_proposal", &self.external_init_proposal)?;
        let gce = &self.group_context_extensions_proposal;
        round_trip::<Vec<Extension>>("group_context_extensions_proposal", gce)?;
        proposal("add_proposal", &self.add_proposal, ProposalType::ADD)?;
        proposal("update_proposal", &self.update_proposal, ProposalType::UPDATE)?;
        proposal("remove_proposal", &self.remove_proposal, ProposalType::REMOVE)?;
        proposal("pre_shared_key_proposal", &self.pre_shared_key_proposal, ProposalType::PSK)?;
        proposal("re_init_proposal", &self.re_init_proposal, ProposalType::REINIT)?;
        let external_init = &self.external_init_proposal;
        proposal("external_init_proposal", external_init, ProposalType::EXTERNAL_INIT)?;
        let kind = ProposalType::GROUP_CONTEXT_EXTENSIONS;
        proposal("group_context_extensions_proposal", gce, kind)?;

        round_trip::<Commit>("commit", &self.commit)?;

        let public = WireFormat::PUBLIC_MESSAGE;
        let public = |what, bytes, content| message(what, bytes, public, Some(content));
        let application = &self.public_message_application;
        public("public_message_application", application, ContentType::Application)?;
        public("public_message_proposal", &self.public_message_proposal, ContentType::Proposal)?;
        public("public_message_commit", &self.public_message_commit, ContentType::Commit)?;
        message("private_message", &self.private_message, WireFormat::PRIVATE_MESSAGE, None)
    }

    fn generate(rng: &mut SeededRng) -> Result<Vec<Self>, Problem> {
        (0..2).map(|_| Self::generate_one(rng)).collect()
    }
}

impl Messages {
    fn generate_one(rng: &mut SeededRng) -> Result<Self, Problem> {
        let body = |proposal: &Proposal| -> Result<Hex, Problem> {
            let mut w = Writer::new();
            proposal.encode_body(&mut w)?;
            Ok(w.finish().into())
        };

        let message =
            |body: MlsMessageBody| Ok::<Hex, Problem>(MlsMessage { body }.to_bytes()?.into());
        let key_package = sample::key_package(rng);
        let update = sample::leaf_node(rng, LeafNodeSource::Update);
        let commit = sample::commit(rng);
        let removed = Proposal::Remove(LeafIndex(rng.below(1 << 32) as u32));
        let add = Proposal::Add(Box::new(key_package.clone()));
        let key_package_message = MlsMessageBody::KeyPackage(Box::new(key_package));
        let mut public = |content| message(public_message(rng, content));
        Ok(Self {
            public_message_application: public(Content::Application([7; 20].into()))?,
            public_message_proposal: public(Content::Proposal(add.clone()))?,
            public_message_commit: public(Content::Commit(commit.clone()))?,
            private_message: message(private_message(rng))?,
            mls_welcome: message(welcome(rng))?,
            mls_group_info: message(group_info(rng))?,
            mls_key_package: message(key_package_message)?,
            ratchet_tree: ratchet_tree(rng).to_bytes()?.into(),
            group_secrets: group_secrets(rng).to_bytes()?.into(),
            add_proposal: body(&add)?,
            update_proposal: body(&Proposal::Update(Box::new(update)))?,
            remove_proposal: body(&removed)?,
            pre_shared_key_proposal: body(&Proposal::PreSharedKey(sample::psk_id(rng)))?,
            re_init_proposal: body(&Proposal::ReInit(sample::re_init(rng)))?,
            external_init_proposal: body(&Proposal::ExternalInit(sample::bytes(rng, 32)))?,
            group_context_extensions_proposal: body(&Proposal::GroupContextExtensions(
                sample::extensions(rng),
            ))?,
            commit: commit.to_bytes()?.into(),
        })
    }
}

fn public_message(rng: &mut SeededRng, content: Content) -> MlsMessageBody {
    let confirmation_tag = match content.content_type() {
        ContentType::Commit => Some(Mac(sample::bytes(rng, 32))),
        ContentType::Application | ContentType::Proposal => None,
    };

    MlsMessageBody::PublicMessage(Box::new(PublicMessage {
        content: FramedContent {
            group_id: sample::bytes(rng, 16).into(),
            epoch: Epoch(rng.below(u64::MAX)),
            sender: Sender::Member(LeafIndex(rng.below(1 << 32) as u32)),
            authenticated_data: sample::bytes(rng, 20),
            content,
        },
        auth: FramedContentAuthData { signature: sample::bytes(rng, 64), confirmation_tag },
        membership_tag: Some(Mac(sample::bytes(rng, 32))),
    }))
}

fn private_message(rng: &mut SeededRng) -> MlsMessageBody {
    MlsMessageBody::PrivateMessage(PrivateMessage {
        group_id: sample::bytes(rng, 16).into(),
        epoch: Epoch(rng.below(u64::MAX)),
        content_type: ContentType::Application,
        authenticated_data: sample::bytes(rng, 20),
        encrypted_sender_data: sample::bytes(rng, 28),
        ciphertext: sample::bytes(rng, 150),
    })
}

fn welcome(rng: &mut SeededRng) -> MlsMessageBody {
    let secrets = (0..2).map(|_| EncryptedGroupSecrets {
        new_member: sample::bytes(rng, 32).into(),
        encrypted_group_secrets: sample::ciphertext(rng),
    });
    let secrets = secrets.collect();
    let encrypted_group_info = sample::bytes(rng, 200);
    MlsMessageBody::Welcome(Welcome { cipher_suite: CipherSuite(1), secrets, encrypted_group_info })
}

fn group_info(rng: &mut SeededRng) -> MlsMessageBody {
    MlsMessageBody::GroupInfo(Box::new(GroupInfo {
        group_context: sample::group_context(rng),
        extensions: sample::extensions(rng),
        confirmation_tag: Mac(sample::bytes(rng, 32)),
        signer: LeafIndex(rng.below(1 << 32) as u32),
        signature: sample::bytes(rng, 64),
    }))
}

fn ratchet_tree(rng: &mut SeededRng) -> RatchetTreeExtension {
    let leaf = |rng: &mut SeededRng| {
        let source = LeafNodeSource::KeyPackage(sample::LIFETIME);
        Some(Node::Leaf(Box::new(sample::leaf_node(rng, source))))
    };
    let parent = ParentNode {
        encryption_key: sample::bytes(rng, 32).into(),
        parent_hash: Bytes::default(),
        unmerged_leaves: vec![LeafIndex(2)],
    };
    let nodes = vec![leaf(rng), None, leaf(rng), Some(Node::Parent(parent)), leaf(rng)];
    RatchetTreeExtension { nodes }
}

fn group_secrets(rng: &mut SeededRng) -> GroupSecrets {
    let path_secret = rng.one_in(2).then(|| PathSecret { path_secret: rng.bytes(32) });
    GroupSecrets {
        joiner_secret: rng.bytes(32),
        path_secret,
        psks: (0..rng.below(3)).map(|_| sample::psk_id(rng)).collect(),
    }
}
