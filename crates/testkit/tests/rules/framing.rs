//! Messages: group, epoch, sender, signature and tag (sections 6, 12.1 and 12.4.2).

use super::scene::*;
use conclave_group::{FramingError, NewProposal, Rejection};
use conclave_testkit::forge::Insider;
use conclave_wire::{
    Content, Decode, Encode, Epoch, MlsMessage, MlsMessageBody, Proposal, ProtocolVersion,
    PublicMessage, ReInit, Sender, WireFormat,
};

fn remove() -> Content {
    Content::Proposal(Proposal::Remove(CAROL))
}

/// The insider's proposal in the clear, with a change of the outer message.
fn edited(scene: &Scene, change: impl FnOnce(&mut PublicMessage)) -> Vec<u8> {
    let message = scene.insider.public(&PROVIDER, remove());
    let mut message = MlsMessage::from_bytes(&message).unwrap();
    let MlsMessageBody::PublicMessage(public) = &mut message.body else { panic!("private") };
    change(public);
    message.to_bytes().unwrap()
}

#[test]
fn a_message_of_another_group_or_epoch_is_refused_by_observers_too() {
    let scene = Scene::new();
    let current = scene.alice.epoch();
    for epoch in [0, current.0 - 1, current.0 + 1, u64::MAX].map(Epoch) {
        let rule = is(Rejection::WrongEpoch { message: epoch, current });
        let mut insider = Insider::of(&scene.alice);
        insider.context.epoch = epoch;
        let forged = insider.public(&PROVIDER, remove());
        scene.refused_by_all("epoch", forged, SeenBy::All, rule);
    }

    let mut insider = Insider::of(&scene.alice);
    insider.context.group_id = b"another group".as_slice().into();
    let forged = insider.public(&PROVIDER, remove());
    scene.refused_by_all("group", forged, SeenBy::All, is(Rejection::WrongGroup));
}

#[test]
fn a_signature_by_another_key_or_of_another_context_is_refused() {
    let mut scene = Scene::new();
    let invalid = || is(Rejection::Framing(FramingError::InvalidSignature));
    let own = scene.insider.signer.clone();
    scene.insider.signer = signer(77);
    scene.refused_by_all("another key", remove(), SeenBy::All, invalid());
    scene.refused_by_all("commit", commit(Vec::new(), None), SeenBy::All, invalid());

    scene.insider.signer = own;
    scene.insider.own_leaf = EVE;
    scene.refused_by_all("another's leaf", edited(&scene, |_| {}), SeenBy::All, invalid());

    scene.insider = Insider::of(&scene.alice);
    scene.insider.context.tree_hash = [0; 32].into();
    let forged = edited(&scene, |_| {});
    // The membership tag covers the context, too; an observer, which cannot check the tag, checks the
    // signature.
    let rule = |r: &Rejection| {
        matches!(
            r,
            Rejection::Framing(FramingError::InvalidSignature | FramingError::InvalidMembershipTag)
        )
    };
    scene.refused_by_all("another context", forged, SeenBy::All, rule);
}

#[test]
fn a_sender_that_is_not_a_member_is_refused() {
    let mut scene = Scene::new();
    scene.insider.own_leaf = NOBODY;
    scene.refused_by_all("blank", remove(), SeenBy::All, is(Rejection::SenderNotMember(NOBODY)));
    let commit = commit(vec![Proposal::Remove(CAROL)], None);
    scene.refused_by_all("blank", commit, SeenBy::All, is(Rejection::SenderNotMember(NOBODY)));
}

#[test]
fn only_members_refuse_a_wrong_membership_tag() {
    let scene = Scene::new();
    let rule = || is(Rejection::Framing(FramingError::InvalidMembershipTag));
    let forged = edited(&scene, |m| m.membership_tag = Some([0; 32].into()));
    scene.refused_by_all("wrong", forged, SeenBy::Members, rule());
    let forged = edited(&scene, |m| m.membership_tag = Some([0; 0].into()));
    scene.refused_by_all("empty", forged, SeenBy::Members, rule());
}

#[test]
fn application_data_in_the_clear_is_refused() {
    let scene = Scene::new();
    let insider = &scene.insider;
    let framed = insider.framed(Content::Application(b"hello".as_slice().into()));
    let format = WireFormat::PUBLIC_MESSAGE;
    let signed = insider.sign(&PROVIDER, format, framed);
    let tag = Some([0; 32].into());
    let message = PublicMessage { content: signed.content, auth: signed.auth, membership_tag: tag };
    let forged = MlsMessage::from(MlsMessageBody::PublicMessage(Box::new(message)));
    let rule = is(Rejection::Framing(FramingError::ApplicationDataInPublicMessage));
    scene.refused_by_all("data", forged.to_bytes().unwrap(), SeenBy::All, rule);
}

#[test]
fn a_member_cannot_pose_as_an_external_sender() {
    let scene = Scene::new();
    // A message from outside has no place for a membership tag.
    let forged = scene.insider.from_outside(&PROVIDER, Sender::External(0), remove());
    let rule = is(Rejection::Framing(FramingError::InvalidSignature));
    scene.refused_by_all("no tag", forged, SeenBy::All, rule);
}

#[test]
fn other_kinds_of_messages_are_not_processed() {
    let mut scene = Scene::new();
    let info = scene.alice.group_info(&PROVIDER, ALL).unwrap();
    let own = key_package("frank", 40);
    let package = MlsMessage::from(MlsMessageBody::KeyPackage(own.key_package().clone().into()));
    let messages = commits(&mut scene.alice, commit_of(vec![new_add(&own)]));
    let welcome = messages.welcomes[0].message.clone();
    for message in [info, package.to_bytes().unwrap(), welcome] {
        let rule = is(Rejection::UnexpectedMessage);
        scene.refused_by_all("kind", message, SeenBy::All, rule);
    }
}

#[test]
fn a_closed_group_refuses_handshake_messages() {
    let mut scene = Scene::new();
    let reinit = ReInit {
        group_id: b"next".as_slice().into(),
        version: ProtocolVersion::MLS_1_0,
        cipher_suite: SUITE,
        extensions: Vec::new(),
    };
    let closing = commits(&mut scene.alice, commit_of(vec![NewProposal::ReInit(reinit)])).commit;
    scene.all_take(&closing);

    scene.insider = Insider::of(&scene.alice);
    for content in [remove(), commit(Vec::new(), None)] {
        let clear = scene.insider.public(&PROVIDER, content.clone());
        let encrypted = scene.insider.private(&PROVIDER, &mut rng(3), content, 0);
        let rule = is(Rejection::GroupReinitialized);
        scene.refused_by_all("closed", clear, SeenBy::All, &rule);
        for judge in &scene.judges {
            let refused = received(judge, &encrypted).unwrap_err();
            assert!(rule(&rejection(refused.error)));
        }
    }
}
