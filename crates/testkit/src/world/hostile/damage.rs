//! Damaged messages, as anybody between sender and receiver can make them.

use super::variant::{Kind, Scene, Variant};
use crate::SeededRng;
use conclave_wire::{
    Bytes, ContentType, Decode, Encode, Epoch, LeafIndex, MlsMessage, MlsMessageBody,
    PrivateMessage, PublicMessage, Sender, TargetedMessage, Writer,
};

macro_rules! kinds {
    ($($name:literal: $make:expr,)*) => {
        &[$(Kind { name: $name, make: |scene| Some(Variant::of($make(scene)?)) },)*]
    };
}

pub(super) const KINDS: &[Kind] = kinds! {
    "damaged: bit flipped": bit_flipped,
    "damaged: cut short": cut_short,
    "damaged: bytes appended": bytes_appended,
    "damaged: byte lost": byte_lost,
    "damaged: wire format": wire_format,
    "damaged: group id": |s| edited(s, |m, r| flip(&mut m.content.group_id.0, r),
        |m, r| flip(&mut m.group_id.0, r)),
    "damaged: epoch": |s| edited(s, |m, r| shift(&mut m.content.epoch, r),
        |m, r| shift(&mut m.epoch, r)),
    "damaged: content type": content_type,
    "damaged: authenticated data": |s| edited(s, |m, r| flip(&mut m.content.authenticated_data, r),
        |m, r| flip(&mut m.authenticated_data, r)),
    "damaged: sender": |s| public(s, another_sender),
    "damaged: signature": |s| public(s, |m, r| flip(&mut m.auth.signature, r)),
    "damaged: confirmation tag": |s| public(s, |m, r| {
        m.auth.confirmation_tag.as_mut().is_some_and(|tag| flip(&mut tag.0, r))
    }),
    "damaged: membership tag": |s| public(s, |m, r| {
        m.membership_tag.as_mut().is_some_and(|tag| flip(&mut tag.0, r))
    }),
    "damaged: membership tag cut short": |s| public(s, |m, r| {
        m.membership_tag.as_mut().is_some_and(|tag| shorten(&mut tag.0, r))
    }),
    "damaged: ciphertext": |s| private(s, |m, r| flip(&mut m.ciphertext, r)),
    "damaged: ciphertext cut short": |s| private(s, |m, r| shorten(&mut m.ciphertext, r)),
    "damaged: encrypted sender data": |s| private(s, |m, r| flip(&mut m.encrypted_sender_data, r)),
    "damaged: encrypted sender data cut short": |s| private(s, |m, r| {
        shorten(&mut m.encrypted_sender_data, r)
    }),
    "targeted: header": |s| targeted(s, |m, r| match r.below(3) {
        0 => shift(&mut m.epoch, r),
        1 => flip(&mut m.authenticated_data, r),
        _ => {
            m.recipient_leaf_index.0 ^= 1 << r.below(5);
            true
        }
    }),
    "targeted: sealed parts": |s| targeted(s, |m, r| match r.below(3) {
        0 => flip(&mut m.ciphertext, r),
        1 => shorten(&mut m.ciphertext, r),
        _ => flip(&mut m.encrypted_sender_auth_data, r),
    }),
};

/// Flips a bit; adds a byte if there is none.
pub(super) fn flip(bytes: &mut Bytes, rng: &mut SeededRng) -> bool {
    let mut flipped = bytes.to_vec();
    match flipped.len() {
        0 => flipped.push(7),
        n => flipped[rng.below(n as u64) as usize] ^= 1 << rng.below(8),
    }
    *bytes = flipped.into();
    true
}

fn shorten(bytes: &mut Bytes, rng: &mut SeededRng) -> bool {
    let keep = rng.below(bytes.len() as u64) as usize;
    *bytes = bytes[..keep].into();
    true
}

fn shift(epoch: &mut Epoch, rng: &mut SeededRng) -> bool {
    let places = [1, 2, u64::MAX, u64::MAX - 1, 1 << 40];
    epoch.0 = epoch.0.wrapping_add(*rng.pick(&places).unwrap_or(&1));
    true
}

fn bit_flipped(scene: &mut Scene<'_>) -> Option<Vec<u8>> {
    let mut bytes = scene.message.into();
    flip(&mut bytes, scene.rng);
    Some(bytes.to_vec())
}

fn cut_short(scene: &mut Scene<'_>) -> Option<Vec<u8>> {
    let keep = scene.rng.below(scene.message.len() as u64) as usize;
    Some(scene.message[..keep].to_vec())
}

fn bytes_appended(scene: &mut Scene<'_>) -> Option<Vec<u8>> {
    let n = 1 + scene.rng.below(8) as usize;
    let more = if scene.rng.one_in(2) { vec![0; n] } else { scene.rng.bytes(n) };
    Some([scene.message, &more].concat())
}

fn byte_lost(scene: &mut Scene<'_>) -> Option<Vec<u8>> {
    let mut bytes = scene.message.to_vec();
    bytes.remove(scene.rng.below(bytes.len() as u64) as usize);
    Some(bytes)
}

/// The message under another wire format.
fn wire_format(scene: &mut Scene<'_>) -> Option<Vec<u8>> {
    let mut bytes = scene.message.to_vec();
    let others: Vec<u8> = (0..=7).filter(|n| *n != bytes[3]).collect();
    bytes[3] = *scene.rng.pick(&others)?;
    Some(bytes)
}

fn encoded(body: MlsMessageBody) -> Option<Vec<u8>> {
    MlsMessage::from(body).to_bytes().ok()
}

fn edited(
    scene: &mut Scene<'_>,
    public: fn(&mut PublicMessage, &mut SeededRng) -> bool,
    private: fn(&mut PrivateMessage, &mut SeededRng) -> bool,
) -> Option<Vec<u8>> {
    let mut body = MlsMessage::from_bytes(scene.message).ok()?.body;
    let changed = match &mut body {
        MlsMessageBody::PublicMessage(m) => public(m, scene.rng),
        MlsMessageBody::PrivateMessage(m) => private(m, scene.rng),
        _ => false,
    };
    if changed { encoded(body) } else { None }
}

fn public(
    scene: &mut Scene<'_>,
    edit: fn(&mut PublicMessage, &mut SeededRng) -> bool,
) -> Option<Vec<u8>> {
    edited(scene, edit, |_, _| false)
}

fn private(
    scene: &mut Scene<'_>,
    edit: fn(&mut PrivateMessage, &mut SeededRng) -> bool,
) -> Option<Vec<u8>> {
    edited(scene, |_, _| false, edit)
}

fn targeted(
    scene: &mut Scene<'_>,
    edit: fn(&mut TargetedMessage, &mut SeededRng) -> bool,
) -> Option<Vec<u8>> {
    let mut body = MlsMessage::from_bytes(scene.message).ok()?.body;
    let MlsMessageBody::TargetedMessage(message) = &mut body else { return None };
    if edit(message, scene.rng) { encoded(body) } else { None }
}

fn another_sender(m: &mut PublicMessage, rng: &mut SeededRng) -> bool {
    let old = m.content.sender;
    m.content.sender = match rng.below(6) {
        0 => Sender::External(rng.below(2) as u32),
        1 => Sender::NewMemberProposal,
        2 => Sender::NewMemberCommit,
        _ => Sender::Member(LeafIndex(rng.below(48) as u32)),
    };
    m.membership_tag = match (m.content.sender, m.membership_tag.take()) {
        (Sender::Member(_), None) => Some(vec![0; 32].into()),
        (Sender::Member(_), tag) => tag,
        _ => None,
    };
    m.content.sender != old
}

/// The same content under another type.
fn content_type(scene: &mut Scene<'_>) -> Option<Vec<u8>> {
    let types = [ContentType::Application, ContentType::Proposal, ContentType::Commit];
    let mut body = MlsMessage::from_bytes(scene.message).ok()?.body;
    match &mut body {
        MlsMessageBody::PrivateMessage(m) => {
            m.content_type = *scene.rng.pick(&types)?;
            encoded(body)
        }
        MlsMessageBody::PublicMessage(m) => {
            let content = &m.content;
            let mut before = Writer::new();
            content.group_id.encode(&mut before).ok()?;
            content.epoch.encode(&mut before).ok()?;
            content.sender.encode(&mut before).ok()?;
            content.authenticated_data.encode(&mut before).ok()?;
            let mut bytes = scene.message.to_vec();
            // After version and wire format.
            let at = 4 + before.finish().len();
            assert_eq!(bytes[at], content.content.content_type() as u8, "the encoding is known");
            bytes[at] = scene.rng.below(5) as u8;
            Some(bytes)
        }
        _ => None,
    }
}

/// Whether two PublicMessages have the same content and signature, which is all that an observer can
/// check.
pub(super) fn differs_in_tags_alone(one: &[u8], other: &[u8]) -> bool {
    let signed = |bytes: &[u8]| match MlsMessage::from_bytes(bytes).ok()?.body {
        MlsMessageBody::PublicMessage(m) => Some((m.content, m.auth.signature)),
        _ => None,
    };
    signed(one).is_some_and(|content| signed(other) == Some(content))
}
