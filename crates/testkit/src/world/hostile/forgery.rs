//! Messages that a member has signed, tagged and encrypted correctly, against the rules.
//!
//! The forger has the victim's keys of the epoch, and the name and signature key of the real
//! message's sender. It lacks the secrets of the next epoch, so that none of its commits has the
//! right confirmation tag. Rules that can be checked in public are checked before the tag.

use super::damage::flip;
use super::variant::{Because, Kind, Scene, Variant};
use crate::forge::Insider;
use conclave_group::{FramingError, Received, Rejection};
use conclave_tree::TreeRead;
use conclave_wire::{
    AuthenticatedContent, Commit, Content, Encode, Epoch, FramedContent, LeafIndex, Mac, Proposal,
    Sender, WireFormat, Writer,
};

pub(super) const KINDS: &[Kind] = &[
    Kind { name: "signed: another epoch", make: another_epoch },
    Kind { name: "signed: another group", make: another_group },
    Kind { name: "signed: another's name", make: anothers_name },
    Kind { name: "signed: another's key", make: anothers_key },
    Kind { name: "signed: for another wire format", make: another_wire_format },
    Kind { name: "signed: from outside", make: from_outside },
    Kind { name: "signed: application data in public", make: application_in_public },
    Kind { name: "sealed: nonsense", make: nonsense },
    Kind { name: "sealed: padding that is not zero", make: padding },
];

/// A forger, and the contents of the real message.
pub(super) struct Forger {
    pub(super) insider: Insider,
    pub(super) content: FramedContent,
    pub(super) tag: Option<Mac>,
    /// The generation of the key, if the message is encrypted.
    pub(super) generation: Option<u32>,
}

impl Forger {
    /// The forger of a message; none if it is not by a member of this epoch, or the victim cannot open
    /// it.
    pub(super) fn of(scene: &mut Scene<'_>) -> Option<Self> {
        let sender = scene.sender?;
        let provider = scene.victim.provider;
        let insider = Insider::of(&scene.victim.group).posing_as(&Insider::of(&sender.group));
        let (message, mut generation) = insider.open(provider, scene.message)?;
        // Use the key of the real message, or a later one.
        if let Some(generation) = &mut generation
            && scene.rng.one_in(2)
        {
            *generation += 1 + scene.rng.below(4) as u32;
        }
        let AuthenticatedContent { content, auth, .. } = message;
        Some(Self { insider, content, tag: auth.confirmation_tag, generation })
    }

    /// The forger of a commit that does not remove the victim: a removed member can check nothing but
    /// the signature.
    pub(super) fn of_commit(scene: &mut Scene<'_>) -> Option<(Self, Commit)> {
        let forger = Self::of(scene)?;
        let Content::Commit(commit) = forger.content.content.clone() else { return None };
        let victim = &scene.victim.group;
        let me = victim.own_leaf();
        let removed = match victim.process(scene.victim.provider, scene.now, scene.message) {
            Ok(Received::Commit(stage)) => stage.removes().any(|leaf| leaf == me),
            _ => false,
        };
        (!removed).then_some((forger, commit))
    }

    pub(super) fn by_member(&self, leaf: LeafIndex) -> bool {
        self.content.sender == Sender::Member(leaf)
    }

    pub(super) fn leaf(&self) -> LeafIndex {
        self.insider.own_leaf
    }

    /// Content signed and protected as the real message is.
    pub(super) fn message(self, scene: &mut Scene<'_>, content: Content) -> Option<Variant> {
        let framed = FramedContent { content, ..self.content.clone() };
        self.framed(scene, framed, |_| {})
    }

    fn framed(
        self,
        scene: &mut Scene<'_>,
        content: FramedContent,
        edit: impl FnOnce(&mut Vec<u8>),
    ) -> Option<Variant> {
        let provider = scene.victim.provider;
        let wire_format = match self.generation {
            Some(_) => WireFormat::PRIVATE_MESSAGE,
            None => WireFormat::PUBLIC_MESSAGE,
        };
        let mut signed = self.insider.sign(provider, wire_format, content);
        if signed.auth.confirmation_tag.is_some() && self.tag.is_some() {
            signed.auth.confirmation_tag.clone_from(&self.tag);
        }
        let Some(generation) = self.generation else {
            return Some(Variant::of(self.insider.tagged(provider, signed)));
        };

        let mut plaintext = plaintext_of(&signed);
        edit(&mut plaintext);
        let header = &signed.content;
        let message = self.insider.sealed(provider, scene.rng, header, &plaintext, generation)?;
        Some(Variant { opens: true, ..Variant::of(message) })
    }

    pub(super) fn commit(self, scene: &mut Scene<'_>, commit: Commit) -> Option<Variant> {
        self.message(scene, Content::Commit(commit))
    }
}

/// The encoded PrivateMessageContent, without padding.
fn plaintext_of(signed: &AuthenticatedContent) -> Vec<u8> {
    let mut w = Writer::new();
    signed.content.content.encode_body(&mut w).expect("an encoding");
    signed.auth.signature.encode(&mut w).expect("an encoding");
    if let Some(tag) = &signed.auth.confirmation_tag {
        tag.encode(&mut w).expect("an encoding");
    }
    w.finish()
}

fn invalid_signature(r: &Rejection) -> bool {
    matches!(r, Rejection::Framing(FramingError::InvalidSignature))
}

// ── framing ──────────────────────────────────────────────────────────────────────────────────

fn another_epoch(scene: &mut Scene<'_>) -> Option<Variant> {
    let mut forger = Forger::of(scene)?;
    let shift = if scene.rng.one_in(2) { 1 } else { u64::MAX };
    let epoch = Epoch(forger.content.epoch.0.wrapping_add(shift));
    forger.insider.context.epoch = epoch;
    let content = FramedContent { epoch, ..forger.content.clone() };
    let application = matches!(content.content, Content::Application(_));
    let variant = Variant { opens: false, ..forger.framed(scene, content, |_| {})? };
    // A member still tries to open application data of the last epoch, with keys that do not fit.
    let old: Because = |r| matches!(r, Rejection::WrongEpoch { .. });
    Some(if application { variant } else { variant.because(old) })
}

fn another_group(scene: &mut Scene<'_>) -> Option<Variant> {
    let mut forger = Forger::of(scene)?;
    flip(&mut forger.content.group_id.0, scene.rng);
    forger.insider.context.group_id = forger.content.group_id.clone();
    let content = forger.content.clone();
    let variant = Variant { opens: false, ..forger.framed(scene, content, |_| {})? };
    Some(variant.because(|r| matches!(r, Rejection::WrongGroup)))
}

/// In the name of another member, which has not signed it.
fn anothers_name(scene: &mut Scene<'_>) -> Option<Variant> {
    let forger = Forger::of(scene)?;
    let me = scene.victim.group.own_leaf();
    let others = scene.victim.group.tree().members();
    let others: Vec<LeafIndex> =
        others.filter(|leaf| *leaf != me && *leaf != forger.leaf()).collect();
    let sender = Sender::Member(*scene.rng.pick(&others)?);
    let content = FramedContent { sender, ..forger.content.clone() };
    Some(forger.framed(scene, content, |_| {})?.because(invalid_signature))
}

/// In another member's name, signed with the victim's own key.
fn anothers_key(scene: &mut Scene<'_>) -> Option<Variant> {
    let mut forger = Forger::of(scene)?;
    if forger.by_member(scene.victim.group.own_leaf()) {
        return None;
    }
    forger.insider.signer = Insider::of(&scene.victim.group).signer;
    let content = forger.content.clone();
    Some(forger.framed(scene, content, |_| {})?.because(invalid_signature))
}

fn another_wire_format(scene: &mut Scene<'_>) -> Option<Variant> {
    let forger = Forger::of(scene)?;
    if forger.generation.is_some() {
        return None;
    }
    let provider = scene.victim.provider;
    let content = forger.content.clone();
    let mut signed = forger.insider.sign(provider, WireFormat::PRIVATE_MESSAGE, content);
    signed.auth.confirmation_tag = forger.tag;
    signed.wire_format = WireFormat::PUBLIC_MESSAGE;
    let message = forger.insider.tagged(provider, signed);
    Some(Variant::of(message).because(invalid_signature))
}

/// A member's proposal or commit in the name of an outsider.
fn from_outside(scene: &mut Scene<'_>) -> Option<Variant> {
    let forger = Forger::of(scene)?;
    let sender = match &forger.content.content {
        Content::Application(_) => return None,
        Content::Commit(_) => Sender::NewMemberCommit,
        Content::Proposal(Proposal::Add(_)) => Sender::NewMemberProposal,
        Content::Proposal(_) => Sender::External(scene.rng.below(2) as u32),
    };
    let content = FramedContent { sender, ..forger.content.clone() };
    let provider = scene.victim.provider;
    let mut signed = forger.insider.sign(provider, WireFormat::PUBLIC_MESSAGE, content);
    signed.auth.confirmation_tag = forger.tag;
    Some(Variant::of(forger.insider.tagged(provider, signed)))
}

fn application_in_public(scene: &mut Scene<'_>) -> Option<Variant> {
    let forger = Forger::of(scene)?;
    let content = Content::Application(scene.rng.bytes(20).into());
    let content = FramedContent { content, ..forger.content.clone() };
    let provider = scene.victim.provider;
    let signed = forger.insider.sign(provider, WireFormat::PUBLIC_MESSAGE, content);
    let message = forger.insider.tagged(provider, signed);
    let because: Because =
        |r| matches!(r, Rejection::Framing(FramingError::ApplicationDataInPublicMessage));
    Some(Variant::of(message).because(because))
}

// ── what is sealed ───────────────────────────────────────────────────────────────────────────

/// A ciphertext that opens to no content.
fn nonsense(scene: &mut Scene<'_>) -> Option<Variant> {
    let forger = Forger::of(scene)?;
    forger.generation?;
    let content = forger.content.clone();
    let variant = forger.framed(scene, content, |plaintext| {
        plaintext.truncate(plaintext.len() / 2);
    })?;
    Some(variant.because(|r| matches!(r, Rejection::Framing(FramingError::MalformedContent(_)))))
}

fn padding(scene: &mut Scene<'_>) -> Option<Variant> {
    let forger = Forger::of(scene)?;
    forger.generation?;
    let content = forger.content.clone();
    let variant = forger.framed(scene, content, |plaintext| plaintext.extend([0, 0, 1, 0]))?;
    Some(variant.because(|r| matches!(r, Rejection::Framing(FramingError::NonZeroPadding))))
}
