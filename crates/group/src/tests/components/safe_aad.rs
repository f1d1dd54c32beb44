//! Authenticated data in a group that requires it to be a SafeAAD.

use super::*;
use crate::{
    CommitOptions, ExternalJoinOptions, ExternalJoinStage, ExternalTarget, Framing, Misuse,
    Padding, Rejection,
};
use conclave_wire::{
    Commit, Content, Decode, DecodeError, LeafIndex, MlsMessage, MlsMessageBody, Proposal,
    ProposalOrRef, ProposalType, SafeAad, SelfRemove,
};

fn about(data: &[u8], encrypt: bool) -> Framing {
    Framing { encrypt, authenticated_data: data.into(), padding: Padding::default() }
}

fn leaf(name: &str) -> LeafParams {
    let safe_aad = list(&[POLLS]);
    with_components(name).with_component(ComponentId::SAFE_AAD, safe_aad).unwrap()
}

/// A group that requires safe AAD.
fn safe_group(names: &[&str]) -> Vec<Peer> {
    let required = dictionary(ComponentId::SAFE_AAD, &list(&[POLLS]));
    group(names.iter().map(|name| leaf(name)).collect(), vec![required])
}

const EMPTY: [u8; 1] = [0];

fn says(peer: &mut Peer, framing: &Framing) -> Vec<u8> {
    let step = peer.group.encrypt(&PROVIDER, &mut peer.rng, b"hello", framing).unwrap();
    peer.take(step)
}

#[test]
fn no_authenticated_data_becomes_the_safe_aad_without_items() {
    let mut peers = safe_group(&["alice", "bob"]);
    let message = peers[0].say(b"hello");
    assert_eq!(&*peers[1].reads(&message).authenticated_data, EMPTY);

    let aad = SafeAad::default().with(POLLS, [7]).to_bytes().unwrap();
    let framing = about(&aad, true);
    let message = says(&mut peers[0], &framing);
    assert_eq!(&*peers[1].reads(&message).authenticated_data, aad);

    let proposal = peers[0].propose(NewProposal::Remove(LeafIndex(1)), &Framing::default());
    let Ok(MlsMessageBody::PublicMessage(message)) =
        MlsMessage::from_bytes(&proposal).map(|message| message.body)
    else {
        panic!("another message")
    };
    assert_eq!(&*message.content.authenticated_data, EMPTY);
}

#[test]
fn malformed_safe_aad_is_not_sent() {
    let mut peers = safe_group(&["alice", "bob"]);
    let wrong = about(&[1], false);
    let peer = &mut peers[0];
    let misuse = Error::from(Misuse::NotSafeAad(DecodeError::Truncated));
    let error = peer.group.encrypt(&PROVIDER, &mut peer.rng, b"x", &wrong).unwrap_err();
    assert_eq!(error, misuse);
    let remove = NewProposal::Remove(LeafIndex(1));
    let error = peer.group.propose(&PROVIDER, &mut peer.rng, NOW, remove, &wrong).unwrap_err();
    assert_eq!(error, misuse);
    let options = CommitOptions { framing: wrong, ..CommitOptions::default() };
    assert_eq!(peer.try_commit(options).unwrap_err(), misuse);

    let target = peer.group.external_target().with_authenticated_data([1]);
    let own = key_package_with(leaf("carol"), 300);
    assert_eq!(target.propose_self(&PROVIDER, NOW, &own).unwrap_err(), misuse);
}

/// A message of a member with any authenticated data.
fn forge(peer: &mut Peer, content: Content, framing: &Framing) -> Vec<u8> {
    let signer = &peer.group.signer;
    let wire_format = if framing.encrypt {
        conclave_wire::WireFormat::PRIVATE_MESSAGE
    } else {
        conclave_wire::WireFormat::PUBLIC_MESSAGE
    };
    let is_commit = matches!(content, Content::Commit(_));
    let content = conclave_wire::FramedContent {
        group_id: peer.group.group_id().clone(),
        epoch: peer.group.epoch(),
        sender: conclave_wire::Sender::Member(peer.group.own_leaf()),
        authenticated_data: framing.authenticated_data.as_slice().into(),
        content,
    };
    let context = peer.group.context();
    let mut signed =
        conclave_framing::sign_content(&suite(), wire_format, content, context, signer).unwrap();
    if is_commit {
        signed.auth.confirmation_tag = Some([0; 32].into());
    }
    peer.forge(signed, framing)
}

#[test]
fn received_data_that_is_no_safe_aad_is_refused_with_any_content() {
    let mut peers = safe_group(&["alice", "bob", "carol"]);
    let observer = observer_of(&peers[0]);
    let remove = Proposal::Remove(LeafIndex(2));
    let commit = Commit { proposals: vec![ProposalOrRef::Proposal(remove.clone())], path: None };
    let contents = [
        Content::Proposal(remove),
        Content::Commit(commit),
        Content::Application(b"hello".as_slice().into()),
    ];
    let unsorted = [[0x80, 2, 0].as_slice(), &[0x80, 1, 0]].concat();
    let unsorted = [[6].as_slice(), &unsorted].concat();

    for content in contents {
        for encrypt in [true, false] {
            for data in [[].as_slice(), b"anything", &unsorted] {
                let application = matches!(content, Content::Application(_));
                if application && !encrypt {
                    continue;
                }
                let message = forge(&mut peers[0], content.clone(), &about(data, encrypt));
                let refused = peers[1].refuses(&message);
                let rule = rejection(refused.error);
                assert!(matches!(rule, Rejection::SafeAad(_)), "{rule}");
                // Its key is consumed, because it is at fault.
                assert_eq!(refused.key_deletion.is_some(), encrypt);

                if !encrypt {
                    let error = observer.process(&PROVIDER, &message).unwrap_err();
                    assert!(matches!(rejection(error), Rejection::SafeAad(_)));
                }
            }
        }
    }
}

#[test]
fn what_joins_from_outside_brings_safe_aad() {
    let mut peers = safe_group(&["alice", "bob"]);
    let info = peers[0].group.group_info(&PROVIDER, ALL).unwrap();
    let mut rng = TestRng(17);
    let mut join = |data: &[u8]| {
        let stage = ExternalJoinStage::open(&PROVIDER, Config::default(), &info, None).unwrap();
        let verdicts = vec![Verdict::Accept; stage.credentials().len()];
        let mut options = ExternalJoinOptions::new(leaf("carol"), signer(&mut rng));
        options.authenticated_data = data.into();
        stage.commit(&PROVIDER, &mut rng, &verdicts, options)
    };
    let misuse = Error::from(Misuse::NotSafeAad(DecodeError::Truncated));
    assert_eq!(join(&[1]).unwrap_err(), misuse);
    let commit = join(&[]).unwrap().commit;
    peers[0].follows(&commit);
}

#[test]
fn proposals_from_outside_bring_safe_aad_if_the_target_says_so() {
    let peers = safe_group(&["alice", "bob"]);
    let observer = observer_of(&peers[0]);
    let own = key_package_with(leaf("carol"), 300);
    let known = observer.external_target();
    let bare = ExternalTarget::new(known.group_id.clone(), known.epoch, known.cipher_suite);
    let message = bare.propose_self(&PROVIDER, NOW, &own).unwrap();
    let error = observer.process(&PROVIDER, &message).unwrap_err();
    assert_eq!(rejection(error), Rejection::SafeAad(DecodeError::Truncated));

    for target in [known, bare.with_safe_aad()] {
        let message = target.propose_self(&PROVIDER, NOW, &own).unwrap();
        assert!(observer.process(&PROVIDER, &message).is_ok());
    }
}

#[test]
fn other_groups_authenticate_any_data() {
    let mut peers = alice_and_bob();
    let framing = about(b"anything", true);
    let message = says(&mut peers[0], &framing);
    assert_eq!(&*peers[1].reads(&message).authenticated_data, b"anything");
}

#[test]
fn a_self_remove_that_members_refuse_is_not_taken_by_who_joins() {
    let able = |name: &str| {
        let mut leaf = leaf(name);
        leaf.capabilities.proposals.push(ProposalType::SELF_REMOVE);
        leaf
    };
    let required = dictionary(ComponentId::SAFE_AAD, &list(&[POLLS]));
    let mut peers = group(vec![able("alice"), able("bob")], vec![required]);
    let info = peers[0].group.group_info(&PROVIDER, ALL).unwrap();
    let mut stage = ExternalJoinStage::open(&PROVIDER, Config::default(), &info, None).unwrap();

    let leave = Content::Proposal(Proposal::SelfRemove(SelfRemove::DRAFT));
    let wrong = forge(&mut peers[1], leave.clone(), &about(b"anything", false));
    let error = stage.take_self_remove(&PROVIDER, &wrong).unwrap_err();
    assert!(matches!(rejection(error), Rejection::SafeAad(_)));
    let right = forge(&mut peers[1], leave, &about(&EMPTY, false));
    stage.take_self_remove(&PROVIDER, &right).unwrap();
}
