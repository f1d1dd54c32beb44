//! Messages made from any bytes, signed, MACed and sealed as a member's messages are.

use super::input::Input;
use super::stage::Stage;
use super::{built, stage};
use crate::SeededRng;
use crate::forge::{Insider, PathFor, sign_key_package};
use crate::party::{PROVIDER, SUITE};
use conclave_crypto::Suite;
use conclave_tree::TreeRead;
use conclave_wire::{
    Commit, Content, ContentType, Decode, Encode, FramedContent, FramedContentAuthData, LeafIndex,
    MlsMessage, MlsMessageBody, PrivateMessageContent, Proposal, ProposalOrRef, Reader, Sender,
    WireFormat, Writer,
};

/// A message, and what is known about it.
pub(super) struct Forged {
    pub(super) message: Vec<u8>,
    /// Whether it is a real message that was edited: no member may accept it.
    pub(super) edited: bool,
    /// Whether it is a commit with a wrong confirmation tag: only a member that it removes may accept
    /// it, as that member cannot check the tag.
    pub(super) unconfirmed: bool,
    /// Whether everybody can read it.
    pub(super) public: bool,
}

pub(super) fn content_type(byte: u8) -> ContentType {
    match byte % 3 {
        0 => ContentType::Proposal,
        1 => ContentType::Commit,
        _ => ContentType::Application,
    }
}

/// The content of a type that the bytes encode or, if they encode none, build.
fn content(stage: &Stage, kind: u8, bytes: &[u8]) -> Content {
    let config = stage::config();
    let kind = content_type(kind);
    let mut reader = Reader::with_proposals(bytes, &config.proposals);
    match Content::decode_body(kind, &mut reader) {
        Ok(content) if reader.is_empty() => content,
        _ => built::content(stage, kind, &mut Input(bytes)),
    }
}

/// One of the real messages, edited. The first byte picks the message; each three bytes after it are
/// a place and a value to XOR there; a single byte that is left cuts the message short.
fn edited(messages: &[Vec<u8>], bytes: &[u8]) -> Option<Forged> {
    let (pick, edits) = bytes.split_first()?;
    let original = messages.get(usize::from(*pick) % messages.len())?;

    let mut message = original.clone();
    let mut chunks = edits.chunks_exact(3);
    for edit in &mut chunks {
        if let [high, low, xor] = edit {
            let at = usize::from(u16::from_be_bytes([*high, *low])) % message.len();
            if let Some(byte) = message.get_mut(at) {
                *byte ^= xor;
            }
        }
    }
    if let [cut] = chunks.remainder() {
        message.truncate(message.len().saturating_sub(usize::from(*cut)));
    }

    let public = MlsMessage::from_bytes(&message)
        .is_ok_and(|m| matches!(m.body, MlsMessageBody::PublicMessage(_)));
    Some(Forged { edited: message != *original, unconfirmed: false, message, public })
}

/// The message that a kind and bytes stand for; none if they stand for none.
///
/// The kind modulo 8 decides how the message is made; the higher bits are a parameter of that way.
pub(super) fn forged(stage: &Stage, kind: u8, bytes: &[u8]) -> Option<Forged> {
    let insider = &stage.insider;
    let more = kind / 8;
    let (message, public) = match kind % 8 {
        0 => return edited(&stage.messages, bytes),
        1 => (bytes.to_vec(), false),
        2 => (public(insider, insider.framed(content(stage, more, bytes))), true),
        3 => (private(stage, more, bytes)?, false),
        4 => (sealed(insider, more, bytes)?, false),
        5 => {
            let config = stage::config();
            let reader = Reader::with_proposals(bytes, &config.proposals);
            (public(insider, FramedContent::from_reader(reader).ok()?), true)
        }
        6 => {
            let mut content = content(stage, more, bytes);
            repair(stage, &mut content, more & 16 != 0);
            (public(insider, insider.framed(content)), true)
        }
        _ => (outside(stage, more, bytes), true),
    };

    let commit = |m: &MlsMessage| m.content_type() == Some(ContentType::Commit);
    let config = stage::config();
    let reader = Reader::with_proposals(&message, &config.proposals);
    let unconfirmed = kind % 8 != 1 && MlsMessage::from_reader(reader).is_ok_and(|m| commit(&m));
    Some(Forged { message, edited: false, unconfirmed, public })
}

fn public(insider: &Insider, content: FramedContent) -> Vec<u8> {
    let signed = insider.sign(&PROVIDER, WireFormat::PUBLIC_MESSAGE, content);
    insider.tagged(&PROVIDER, signed)
}

/// Correctly signed content in a PrivateMessage of the generation in the first byte.
fn private(stage: &Stage, kind: u8, bytes: &[u8]) -> Option<Vec<u8>> {
    let insider = &stage.insider;
    let (generation, body) = bytes.split_first()?;
    let mut content = content(stage, kind, body);
    if kind & 8 != 0 {
        repair(stage, &mut content, kind & 4 != 0);
    }

    let header = insider.framed(content);
    let signed = insider.sign(&PROVIDER, WireFormat::PRIVATE_MESSAGE, header.clone());
    let content = PrivateMessageContent { content: signed.content.content, auth: signed.auth };
    let mut w = Writer::new();
    content.encode_padded(usize::from(kind & 16), &mut w).ok()?;
    let mut rng = SeededRng::from_u64(0);
    insider.sealed(&PROVIDER, &mut rng, &header, &w.finish(), (generation & 63).into())
}

/// Any bytes, sealed as the content of a PrivateMessage.
fn sealed(insider: &Insider, kind: u8, bytes: &[u8]) -> Option<Vec<u8>> {
    let (generation, plaintext) = bytes.split_first()?;
    let content = match content_type(kind) {
        ContentType::Application => Content::Application(Vec::new().into()),
        ContentType::Proposal => Content::Proposal(Proposal::Remove(LeafIndex(0))),
        ContentType::Commit => Insider::commit(Vec::new(), None),
    };
    let header = insider.framed(content);
    let mut rng = SeededRng::from_u64(0);
    insider.sealed(&PROVIDER, &mut rng, &header, plaintext, (generation & 63).into())
}

/// A message from outside: a new member's commit or proposal, or an external sender's proposal.
fn outside(stage: &Stage, kind: u8, bytes: &[u8]) -> Vec<u8> {
    let Stage { insider, stranger, .. } = stage;
    let (who, sender, commit) = match kind % 4 {
        0 => (stranger, Sender::NewMemberCommit, true),
        1 => (stranger, Sender::NewMemberProposal, false),
        kind => (insider, Sender::External(u32::from(kind) - 2), false),
    };
    let mut content = content(stage, u8::from(commit), bytes);
    match &mut content {
        Content::Commit(commit) if kind & 4 != 0 => outside_path(stage, commit),
        content if kind & 4 != 0 => repair(stage, content, false),
        _ => {}
    }
    who.from_outside(&PROVIDER, sender, content)
}

fn proposals(commit: &mut Commit) -> impl Iterator<Item = &mut Proposal> {
    commit.proposals.iter_mut().filter_map(|item| match item {
        ProposalOrRef::Proposal(proposal) => Some(proposal),
        ProposalOrRef::Reference(_) => None,
    })
}

/// The members other than alice that a commit removes.
fn removed(stage: &Stage, commit: &mut Commit) -> Vec<LeafIndex> {
    let mut removes: Vec<_> = proposals(commit)
        .filter_map(|proposal| match proposal {
            Proposal::Remove(leaf) => Some(*leaf),
            _ => None,
        })
        .filter(|leaf| *leaf != stage.insider.own_leaf && stage.insider.tree.leaf(*leaf).is_some())
        .collect();
    removes.sort();
    removes.dedup();
    removes
}

/// Gives a new member's commit a path that opens.
fn outside_path(stage: &Stage, commit: &mut Commit) {
    let removes = removed(stage, commit);
    if let Some(path) = &mut commit.path {
        let joiner = Some(path.leaf_node.clone());
        let mut rng = SeededRng::from_u64(0);
        let of = PathFor { removes, joiner };
        (_, **path) = stage.stranger.path(&PROVIDER, &mut rng, of, |_| {});
    }
}

/// Signs everything in content that has a signature of its own. A `fresh` path replaces the commit's
/// path, so that it opens.
fn repair(stage: &Stage, content: &mut Content, fresh: bool) {
    match content {
        Content::Application(_) => {}
        Content::Proposal(proposal) => sign_within(stage, proposal),
        Content::Commit(commit) => {
            proposals(commit).for_each(|proposal| sign_within(stage, proposal));
            let removes = removed(stage, commit);
            match &mut commit.path {
                Some(path) if fresh => {
                    let mut rng = SeededRng::from_u64(0);
                    let of = PathFor { removes, joiner: None };
                    (_, **path) = stage.insider.path(&PROVIDER, &mut rng, of, |_| {});
                }
                Some(path) => {
                    let own = stage.insider.own_leaf;
                    path.leaf_node.signature_key = stage.insider.signer.public.clone();
                    stage.insider.sign_leaf(&PROVIDER, &mut path.leaf_node, own);
                }
                None => {}
            }
        }
    }
}

/// Signs the key package or leaf of a proposal.
pub(super) fn sign_within(stage: &Stage, proposal: &mut Proposal) {
    match proposal {
        Proposal::Add(package) => {
            let suite = Suite::new(&PROVIDER, SUITE).expect("suite 1");
            package.leaf_node.signature_key = stage.stranger.signer.public.clone();
            sign_key_package(&suite, package, &stage.stranger.signer);
        }
        Proposal::Update(leaf) => {
            leaf.signature_key = stage.insider.signer.public.clone();
            stage.insider.sign_leaf(&PROVIDER, leaf, stage.insider.own_leaf);
        }
        _ => {}
    }
}

/// Several proposals, each after its length.
pub(super) fn proposal_list(stage: &Stage, input: &mut Input<'_>) -> Vec<Proposal> {
    let config = stage::config();
    let mut list = Vec::new();
    while !input.is_empty() && list.len() < 8 {
        let chunk = input.chunk();
        let decoded = Proposal::from_reader(Reader::with_proposals(chunk, &config.proposals));
        let mut proposal = decoded.unwrap_or_else(|_| built::proposal(stage, &mut Input(chunk)));
        sign_within(stage, &mut proposal);
        list.push(proposal);
    }
    list
}

/// The plaintext of content with any authentication data, for seeds.
pub(super) fn plaintext(content: Content, auth: FramedContentAuthData) -> Vec<u8> {
    let mut w = Writer::new();
    PrivateMessageContent { content, auth }.encode_padded(0, &mut w).expect("an encoding");
    w.finish()
}

/// The encoding of a value that has one.
pub(super) fn encoded(value: &impl Encode) -> Vec<u8> {
    value.to_bytes().expect("an encoding")
}
