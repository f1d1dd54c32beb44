//! Messages that came before, or belong elsewhere.

use super::variant::{Because, Kind, Scene, Variant};
use crate::SeededRng;
use crate::world::archive::Past;
use conclave_group::{RatchetError, Rejection};
use conclave_wire::{Decode, Encode, MlsMessage, MlsMessageBody};

pub(super) const KINDS: &[Kind] = &[
    Kind { name: "replay: handshake of an earlier epoch", make: stale },
    Kind { name: "replay: proposal of this epoch", make: same_epoch },
    Kind { name: "replay: message that was read", make: read_before },
    Kind { name: "replay: own message", make: own },
    Kind { name: "replay: own commit that was given up", make: given_up },
    Kind { name: "elsewhere: message of another group", make: foreign },
    Kind { name: "elsewhere: message of another group under this one's name", make: relabelled },
    Kind { name: "elsewhere: Welcome", make: |s| not_a_message(&s.archive.welcomes, s.rng) },
    Kind { name: "elsewhere: GroupInfo", make: |s| not_a_message(&s.archive.group_infos, s.rng) },
    Kind { name: "elsewhere: KeyPackage", make: |s| not_a_message(&s.archive.key_packages, s.rng) },
];

fn of_epoch(scene: &mut Scene<'_>, fits: fn(u64, u64) -> bool) -> Option<Vec<u8>> {
    let group = &scene.victim.group;
    let past: Vec<&Past> = scene
        .archive
        .handshakes
        .iter()
        .filter(|past| past.group_id == *group.group_id() && fits(past.epoch, group.epoch().0))
        .collect();
    Some(scene.rng.pick(&past)?.message.clone())
}

fn stale(scene: &mut Scene<'_>) -> Option<Variant> {
    let message = of_epoch(scene, |message, now| message < now)?;
    let old: Because = |r| matches!(r, Rejection::WrongEpoch { .. });
    Some(Variant::of(message).because(old))
}

/// A proposal of this epoch: known if it is public or our own; else its key is gone.
fn same_epoch(scene: &mut Scene<'_>) -> Option<Variant> {
    let message = of_epoch(scene, |message, now| message == now)?;
    Some(Variant { known: true, ..Variant::of(message).because(gone) })
}

fn gone(r: &Rejection) -> bool {
    matches!(r, Rejection::Ratchet(RatchetError::KeyGone { .. }))
}

fn gone_or_old(r: &Rejection) -> bool {
    gone(r) || matches!(r, Rejection::WrongEpoch { .. })
}

fn read_or_old(r: &Rejection) -> bool {
    gone_or_old(r) || matches!(r, Rejection::ReplayedTargetedMessage)
}

fn read_before(scene: &mut Scene<'_>) -> Option<Variant> {
    let message = scene.rng.pick(&scene.victim.past.read)?.clone();
    Some(Variant::of(message).because(read_or_old))
}

fn own(scene: &mut Scene<'_>) -> Option<Variant> {
    let message = scene.rng.pick(&scene.victim.past.sent)?.clone();
    Some(Variant { known: true, ..Variant::of(message).because(gone_or_old) })
}

/// A commit that was given up. An observer may accept it in its epoch, as it does not know the delivery
/// service's verdict.
fn given_up(scene: &mut Scene<'_>) -> Option<Variant> {
    let message = scene.rng.pick(&scene.victim.past.given_up)?.clone();
    // A commit that has not lost yet may still win.
    let pending = scene.victim.group.pending_commit();
    if pending.is_some_and(|messages| messages.commit == message) {
        return None;
    }
    Some(Variant { observable: false, ..Variant::of(message) })
}

fn foreign(scene: &mut Scene<'_>) -> Option<Variant> {
    let message = scene.rng.pick(&scene.archive.foreign)?.clone();
    Some(Variant::of(message).because(|r| matches!(r, Rejection::WrongGroup)))
}

/// A message of another group, under the name of this group and its epoch.
fn relabelled(scene: &mut Scene<'_>) -> Option<Variant> {
    let mut message = MlsMessage::from_bytes(scene.rng.pick(&scene.archive.foreign)?).ok()?;
    let group = &scene.victim.group;
    let (group_id, epoch) = match &mut message.body {
        MlsMessageBody::PublicMessage(m) => (&mut m.content.group_id, &mut m.content.epoch),
        MlsMessageBody::PrivateMessage(m) => (&mut m.group_id, &mut m.epoch),
        _ => return None,
    };
    group_id.clone_from(group.group_id());
    *epoch = group.epoch();
    Some(Variant::of(message.to_bytes().ok()?))
}

fn not_a_message(list: &[Vec<u8>], rng: &mut SeededRng) -> Option<Variant> {
    let message = rng.pick(list)?.clone();
    Some(Variant::of(message).because(|r| matches!(r, Rejection::UnexpectedMessage)))
}
