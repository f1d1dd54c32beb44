//! What components do with keys: signatures, ciphertexts, PSKs.

use super::*;
use crate::{Answers, CommitOptions, Misuse, Obstacle, Received, Rejection};
use alloc::boxed::Box;
use conclave_crypto::{Secret, Suite};
use conclave_wire::{
    Decode, ExtensionType, GroupInfo, HpkePublicKey, LeafIndex, MlsMessage, MlsMessageBody,
    PskType, find_extension,
};

#[test]
fn a_components_signature_is_bound_to_component_operation_content_and_member() {
    let peers = alice_and_bob();
    let alice = peers[0].group.own_leaf();
    let signature = peers[0].group.component(POLLS).sign(&PROVIDER, b"ballot", b"yes").unwrap();
    let verify = |id, leaf, operation: &[u8], content: &[u8], signature: &[u8]| {
        let view = peers[1].group.view().component(id);
        view.verify(&PROVIDER, leaf, operation, content, signature).map_err(rejection)
    };
    assert_eq!(verify(POLLS, alice, b"ballot", b"yes", &signature), Ok(()));

    let wrong = Err(Rejection::ComponentSignature);
    assert_eq!(verify(FILES, alice, b"ballot", b"yes", &signature), wrong);
    assert_eq!(verify(POLLS, alice, b"count", b"yes", &signature), wrong);
    assert_eq!(verify(POLLS, alice, b"ballot", b"no", &signature), wrong);
    assert_eq!(verify(POLLS, LeafIndex(1), b"ballot", b"yes", &signature), wrong);
    assert_eq!(verify(POLLS, alice, b"ballot", b"yes", &signature[1..]), wrong);
    let nobody = LeafIndex(2);
    let blank = Err(Rejection::SenderNotMember(nobody));
    assert_eq!(verify(POLLS, nobody, b"ballot", b"yes", &signature), blank);
}

/// A component that calls its operation as MLS calls one of its own gets another signature.
#[test]
fn a_components_signature_is_none_of_mls() {
    let peers = alice_and_bob();
    let label: &[u8] = b"FramedContentTBS";
    let signature = peers[0].group.component(POLLS).sign(&PROVIDER, label, b"x").unwrap();
    let suite = Suite::new(&PROVIDER, SUITE).unwrap();
    let key = &peers[0].group.signer.public;
    assert!(suite.verify_with_label(key, label, b"x", &signature).is_err());
}

#[test]
fn what_is_encrypted_to_a_member_opens_for_that_component_and_member_alone() {
    let mut peers = alice_and_bob();
    let mut rng = TestRng(3);
    let bob = peers[1].group.own_leaf();
    let to = peers[0].group.component(POLLS).public();
    let sealed = to.encrypt_to_member(&PROVIDER, &mut rng, bob, b"key", b"c", b"1234").unwrap();

    let open = |peer: &Peer, id, operation: &[u8], context: &[u8]| {
        let component = peer.group.component(id);
        component.decrypt(&PROVIDER, operation, context, &sealed).map_err(rejection)
    };
    assert_eq!(open(&peers[1], POLLS, b"key", b"c").unwrap().expose(), b"1234");
    let wrong = Err(Rejection::ComponentOpen);
    assert_eq!(open(&peers[1], FILES, b"key", b"c"), wrong);
    assert_eq!(open(&peers[1], POLLS, b"other", b"c"), wrong);
    assert_eq!(open(&peers[1], POLLS, b"key", b"d"), wrong);
    assert_eq!(open(&peers[0], POLLS, b"key", b"c"), wrong);

    // To another component, and to nobody.
    let to = to.other(FILES);
    let sealed = to.encrypt_to_member(&PROVIDER, &mut rng, bob, b"key", b"", b"5").unwrap();
    let opened = peers[1].group.component(FILES).decrypt(&PROVIDER, b"key", b"", &sealed);
    assert_eq!(opened.unwrap().expose(), b"5");
    let error = to.encrypt_to_member(&PROVIDER, &mut rng, LeafIndex(2), b"", b"", b"");
    assert_eq!(error, Err(Misuse::NotPossible(Obstacle::NoSuchMember).into()));

    // Bob renews his key.
    let options = CommitOptions { force_path: true, ..CommitOptions::default() };
    commits(&mut peers, 1, options);
    let opened = peers[1].group.component(FILES).decrypt(&PROVIDER, b"key", b"", &sealed);
    assert_eq!(opened.map_err(rejection), wrong);
}

#[test]
fn what_is_encrypted_to_an_epoch_opens_for_its_members_in_that_epoch() {
    let mut peers = alice_and_bob();
    let mut rng = TestRng(3);
    let polls = peers[0].group.component(POLLS);
    let sealed = polls.encrypt_to_epoch(&PROVIDER, &mut rng, b"key", b"c", b"1234").unwrap();

    // From outside, by a GroupInfo.
    let info = peers[0].group.group_info(&PROVIDER, ALL).unwrap();
    let Ok(MlsMessageBody::GroupInfo(info)) = MlsMessage::from_bytes(&info).map(|m| m.body) else {
        panic!("another message");
    };
    let GroupInfo { extensions, .. } = *info;
    let key: HpkePublicKey =
        find_extension(&extensions, ExtensionType::EXTERNAL_PUB).unwrap().unwrap();
    let observer = observer_of(&peers[0]);
    let outside = observer.view().component(POLLS);
    let from_outside = outside.encrypt_to_key(&PROVIDER, &mut rng, &key, b"key", b"c", b"5");
    let from_outside = from_outside.unwrap();

    let open = |peer: &Peer, id, ciphertext| {
        let component = peer.group.component(id);
        component.decrypt_of_epoch(&PROVIDER, b"key", b"c", ciphertext).map_err(rejection)
    };
    for peer in &peers {
        assert_eq!(open(peer, POLLS, &sealed).unwrap().expose(), b"1234");
        assert_eq!(open(peer, POLLS, &from_outside).unwrap().expose(), b"5");
        assert_eq!(open(peer, FILES, &sealed), Err(Rejection::ComponentOpen));
    }
    commits(&mut peers, 0, CommitOptions::default());
    assert_eq!(open(&peers[1], POLLS, &sealed), Err(Rejection::ComponentOpen));

    let bad =
        outside.encrypt_to_key(&PROVIDER, &mut rng, &[1].as_slice().to_vec().into(), b"", b"", b"");
    assert_eq!(rejection(bad.unwrap_err()), Rejection::InvalidPublicKey);
}

#[test]
fn a_deleted_group_gives_components_nothing() {
    let mut peer = group(vec![with_components("alice")], vec![]).remove(0);
    let mut rng = TestRng(3);
    let step = peer.group.delete().unwrap();
    peer.take(step.untyped());

    let polls = peer.group.component(POLLS);
    let sealed = conclave_wire::HpkeCiphertext {
        kem_output: Vec::new().into(),
        ciphertext: Vec::new().into(),
    };
    let deleted = Error::from(Misuse::Deleted);
    assert_eq!(polls.sign(&PROVIDER, b"", b"").unwrap_err(), deleted);
    assert_eq!(polls.decrypt(&PROVIDER, b"", b"", &sealed).unwrap_err(), deleted);
    assert_eq!(polls.decrypt_of_epoch(&PROVIDER, b"", b"", &sealed).unwrap_err(), deleted);
    assert_eq!(polls.encrypt_to_epoch(&PROVIDER, &mut rng, b"", b"", b"").unwrap_err(), deleted);
    assert_eq!(polls.export_secret(&PROVIDER).unwrap_err(), deleted);
    assert_eq!(peer.group.exporter, None);
}

#[test]
fn a_components_psk_is_another_than_an_external_one_or_another_components() {
    let mut peers = alice_and_bob();
    let name = || b"shared".as_slice().into();
    let psktype = |component_id| PskType::Application { component_id, psk_id: name() };
    let psk = || Secret::new(vec![0x5a; 32]);
    let proposal = NewProposal::ApplicationPsk { component_id: POLLS, psk_id: name() };

    let with = |psks| CommitOptions { psks, ..commit_of(vec![proposal.clone()]) };
    for wrong in [psktype(FILES), PskType::External { psk_id: name() }] {
        let error = peers[0].try_commit(with(vec![(wrong, psk())])).unwrap_err();
        let Error::Misuse(Misuse::PskUnavailable(id)) = error else { panic!("{error}") };
        assert_eq!(Box::new(psktype(POLLS)), Box::new(id.psktype));
    }

    let commit = peers[0].commit(with(vec![(psktype(POLLS), psk())])).commit;
    peers[0].accepted();
    let resolve = |peer: &Peer, psks| match peer.group.process(&PROVIDER, NOW, &commit).unwrap() {
        Received::Commit(stage) => {
            let answers = Answers { verdicts: vec![], psks, ..Answers::default() };
            stage.resolve(&peer.group, &PROVIDER, NOW, &answers).map_err(|refused| refused.error)
        }
        other => panic!("{other:?}"),
    };
    let other = vec![(psktype(POLLS), Secret::new(vec![0x5b; 32]))];
    assert_eq!(rejection(resolve(&peers[1], other).unwrap_err()), Rejection::ConfirmationTag);
    let step = resolve(&peers[1], vec![(psktype(POLLS), psk())]).unwrap();
    peers[1].take(step);
    agree(&peers);
}
