//! The rules for proposals and lists of them (sections 12.1 and 12.2).

use super::fixture::*;
use crate::commit::choose::committable;
use crate::view::proposals::ListedProposal;
use crate::{
    CommitOptions, Error, KeyPackageParams, LeafRule, LeafUpdate, Misuse, NewProposal,
    OwnKeyPackage, ProposalMessage, Rejection, Status,
};
use alloc::vec;
use alloc::vec::Vec;
use conclave_crypto::{Secret, SignatureKeyPair};
use conclave_tree::{TreeError, TreeRead};
use conclave_wire::{
    Bytes, Content, DecodeError, Epoch, Extension, ExtensionType, GroupId, LeafIndex,
    LeafNodeContext, LeafNodeSource, PreSharedKeyId, Proposal, ProposalOrRef, ProposalRef,
    ProposalType, ProtocolVersion, PskType, ReInit, RequiredCapabilities, ResumptionPskUsage,
    Sender,
};

fn by_value(proposals: Vec<Proposal>) -> Vec<ProposalOrRef> {
    proposals.into_iter().map(ProposalOrRef::Proposal).collect()
}

fn psk(psktype: PskType, nonce: usize) -> Proposal {
    Proposal::PreSharedKey(PreSharedKeyId { psktype, psk_nonce: vec![9; nonce].into() })
}

fn external_psk(name: &[u8]) -> PskType {
    PskType::External { psk_id: name.into() }
}

fn resumption(usage: ResumptionPskUsage) -> PskType {
    PskType::Resumption { usage, psk_group_id: b"a group".as_slice().into(), psk_epoch: Epoch(0) }
}

fn reinit(version: ProtocolVersion) -> ReInit {
    let group_id = GroupId::from(*b"next");
    ReInit { group_id, version, cipher_suite: SUITE, extensions: Vec::new() }
}

#[test]
fn lists_that_break_a_rule_are_refused() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let knows = (external_psk(b"x"), Secret::zero(32));
    peers[1].psks.push(knows);
    let remove = |leaf| Proposal::Remove(LeafIndex(leaf));
    let extensions = || Proposal::GroupContextExtensions(custom_extensions());
    let update = {
        let mut leaf = peers[0].group.tree().leaf(LeafIndex(0)).unwrap();
        leaf.leaf_node_source = LeafNodeSource::Update;
        leaf
    };

    let add = Proposal::Add(key_package("dave", 50).key_package().clone().into());
    let twice = custom_extensions().into_iter().chain(custom_extensions()).collect();
    let mls10 = ProtocolVersion::MLS_1_0;
    for (list, rule) in [
        (vec![remove(0)], Rejection::CommitterRemoved),
        (vec![remove(7)], Rejection::RemoveOfNobody(LeafIndex(7))),
        (vec![remove(u32::MAX)], Rejection::RemoveOfNobody(LeafIndex(u32::MAX))),
        (vec![remove(1 << 31)], Rejection::RemoveOfNobody(LeafIndex(1 << 31))),
        (vec![remove(2), remove(2)], Rejection::SeveralChangesOfLeaf(LeafIndex(2))),
        (vec![Proposal::Update(update.into())], Rejection::CommitterUpdates),
        (vec![extensions(), extensions()], Rejection::SeveralGroupContextExtensions),
        (vec![Proposal::GroupContextExtensions(twice)], Rejection::DuplicateExtension(CUSTOM)),
        (vec![Proposal::ExternalInit(Bytes::default())], Rejection::ExternalInitByMember),
        (vec![psk(external_psk(b"x"), 32), psk(external_psk(b"x"), 32)], Rejection::DuplicatePsk),
        (vec![psk(external_psk(b"x"), 31)], Rejection::PskNonceLength),
        (vec![psk(external_psk(b"x"), 0)], Rejection::PskNonceLength),
        (vec![psk(resumption(ResumptionPskUsage::Reinit), 32)], Rejection::PskUsage),
        (vec![psk(resumption(ResumptionPskUsage::Branch), 32)], Rejection::PskUsage),
        (vec![Proposal::ReInit(reinit(mls10)), remove(2)], Rejection::ReInitNotAlone),
        (
            vec![Proposal::ReInit(reinit(ProtocolVersion(0)))],
            Rejection::ReInitVersion(ProtocolVersion(0)),
        ),
        (vec![], Rejection::PathMissing),
        (vec![remove(2)], Rejection::PathMissing),
        (vec![extensions()], Rejection::PathMissing),
        // The list is valid, the tag is not.
        (vec![add], Rejection::ConfirmationTag),
        (vec![psk(external_psk(b"x"), 32)], Rejection::ConfirmationTag),
        (vec![Proposal::ReInit(reinit(mls10))], Rejection::ConfirmationTag),
    ] {
        for framing in [Default::default(), encrypted()] {
            let forged = peers[0].forge_commit(by_value(list.clone()), &framing);
            let refused = peers[1].refuses(&forged);
            assert_eq!(rejection(refused.error), rule, "{list:?}");
            assert_eq!(refused.key_deletion.is_some(), framing.encrypt);
            if let Some(deletion) = refused.key_deletion {
                peers[1].take(*deletion);
            }
        }
    }
}

#[test]
fn a_client_cannot_be_added_twice() {
    let mut peers = group_of(&["alice", "bob"]);
    let dave = key_package("dave", 50);
    let add = || Proposal::Add(dave.key_package().clone().into());
    let forged = peers[0].forge_commit(by_value(vec![add(), add()]), &Default::default());
    let twice = |e| matches!(e, Rejection::Tree(TreeError::DuplicateEncryptionKey { .. }));
    assert!(twice(rejection(peers[1].error(&forged))));

    // A member's signature key with new encryption keys.
    let bob = peers[1].group.signer.clone();
    let mut leaf = peers[1].group.tree().leaf(LeafIndex(1)).unwrap();
    leaf.leaf_node_source = LeafNodeSource::KeyPackage(LIFETIME);
    let params = KeyPackageParams {
        cipher_suite: SUITE,
        leaf: leaf_params("bob"),
        lifetime: LIFETIME,
        extensions: Vec::new(),
        last_resort: false,
    };

    let again = OwnKeyPackage::generate(&PROVIDER, &mut TestRng(51), params, bob).unwrap();
    let add = Proposal::Add(again.key_package().clone().into());
    let forged = peers[0].forge_commit(by_value(vec![add]), &Default::default());
    let error = rejection(peers[1].error(&forged));
    assert!(matches!(error, Rejection::Tree(TreeError::DuplicateSignatureKey { .. })), "{error}");

    // It is valid if the member is removed in the same commit.
    let options =
        commit_of(vec![NewProposal::Remove(LeafIndex(1)), NewProposal::Add(valid(&again))]);
    let messages = peers[0].commit(options);
    peers[0].accepted();
    peers[1].is_removed(&messages.commit);
    let welcome = &messages.welcomes[0].message;

    let back = Peer::join(welcome, &again, Default::default(), 3);
    peers[1] = back;
    agree(&peers);
}

#[test]
fn a_key_package_in_a_received_commit_is_checked() {
    let mut peers = group_of(&["alice", "bob"]);
    let good = key_package("dave", 50);
    type Change = fn(&mut conclave_wire::KeyPackage);
    type Wanted = fn(&Rejection) -> bool;
    let changes: [(Change, Wanted); 5] = [
        (
            |kp| {
                let extension_type = ExtensionType(0xf0a0);
                kp.leaf_node.extensions =
                    vec![Extension { extension_type, extension_data: Bytes::default() }];
            },
            |r| *r == Rejection::LeafRule(LeafRule::ExtensionNotListed(ExtensionType(0xf0a0))),
        ),
        (|kp| kp.signature = [0; 64].into(), |r| *r == Rejection::KeyPackageSignature),
        (
            |kp| kp.version = ProtocolVersion(2),
            |r| *r == Rejection::WrongVersion(ProtocolVersion(2)),
        ),
        (
            |kp| kp.init_key = kp.leaf_node.encryption_key.clone(),
            |r| *r == Rejection::InitKeyReused,
        ),
        (
            |kp| kp.leaf_node.encryption_key = [1; 3].as_slice().into(),
            |r| *r == Rejection::InvalidPublicKey,
        ),
    ];

    for (change, is_expected) in changes {
        let mut bad = good.key_package().clone();
        change(&mut bad);
        let list = by_value(vec![Proposal::Add(bad.into())]);
        let forged = peers[0].forge_commit(list, &Default::default());
        let found = rejection(peers[1].error(&forged));
        assert!(is_expected(&found), "{found}");
    }
}

#[test]
fn an_unknown_proposal_reference_is_refused() {
    let mut peers = group_of(&["alice", "bob"]);
    let reference = ProposalRef::from([5; 32]);
    let list = vec![ProposalOrRef::Reference(reference.clone())];
    let forged = peers[0].forge_commit(list, &Default::default());
    assert_eq!(rejection(peers[1].error(&forged)), Rejection::UnknownProposal(reference));
}

#[test]
fn repeated_references_do_not_copy_a_proposal() {
    let mut peers = group_of(&["alice", "bob"]);
    let long = NewProposal::ExternalPsk { psk_id: vec![7; 1 << 20].into() };
    let step = peers[0].group.propose(&PROVIDER, &mut TestRng(1), NOW, long, &Default::default());
    let ProposalMessage { message, reference } = peers[0].take(step.unwrap());
    peers[1].receive(&message);
    let often = vec![ProposalOrRef::Reference(reference.clone()); 256];
    let forged = peers[0].forge_commit(often, &Default::default());
    assert_eq!(rejection(peers[1].error(&forged)), Rejection::RepeatedReference(reference));
}

#[test]
fn a_proposal_is_valid_in_its_own_epoch_alone() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let step = peers[0].group.propose(
        &PROVIDER,
        &mut TestRng(1),
        NOW,
        NewProposal::Remove(LeafIndex(2)),
        &Default::default(),
    );

    let ProposalMessage { message, reference } = peers[0].take(step.unwrap());
    deliver(&mut peers, 0, &message);
    commits(&mut peers, 1, CommitOptions { received: false, ..CommitOptions::default() });
    let list = vec![ProposalOrRef::Reference(reference.clone())];
    let forged = peers[0].forge_commit(list, &Default::default());
    assert_eq!(rejection(peers[1].error(&forged)), Rejection::UnknownProposal(reference));
}

#[test]
fn a_leaf_is_changed_once_in_a_commit_by_reference_too() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let mut updates = Vec::new();
    for _ in 0..2 {
        let message = peers[1].propose_update(None, &Default::default());
        peers[0].receive(&message);
        updates.push(ProposalOrRef::Reference(peers[2].caches(&message).reference));
    }

    let remove = ProposalOrRef::Proposal(Proposal::Remove(LeafIndex(1)));
    for list in [updates.clone(), vec![updates[0].clone(), remove]] {
        let forged = peers[0].forge_commit(list, &Default::default());
        let twice = Rejection::SeveralChangesOfLeaf(LeafIndex(1));
        assert_eq!(rejection(peers[2].error(&forged)), twice);
    }
}

/// A proposal of this member, valid or not.
fn propose(peer: &mut Peer, proposal: Proposal) -> Vec<u8> {
    let content = Content::Proposal(proposal);
    let content = peer.group.sign(&suite(), content, &Default::default()).unwrap();
    peer.forge(content, &Default::default())
}

#[test]
fn a_removal_of_a_blank_leaf_is_refused_as_a_proposal() {
    let mut peers = group_of(&["alice", "bob"]);
    let nobody = LeafIndex(2);
    let rng = &mut TestRng(1);
    let remove = NewProposal::Remove(nobody);
    let failed = peers[0].group.propose(&PROVIDER, rng, NOW, remove, &Default::default());
    assert_eq!(rejection(failed.unwrap_err()), Rejection::RemoveOfNobody(nobody));
    let message = propose(&mut peers[0], Proposal::Remove(nobody));
    assert_eq!(rejection(peers[1].error(&message)), Rejection::RemoveOfNobody(nobody));
}

#[test]
fn an_invalid_update_is_refused() {
    let mut peers = group_of(&["alice", "bob"]);
    let mut leaf = peers[0].group.tree().leaf(LeafIndex(0)).unwrap();
    let same_source = propose(&mut peers[0], Proposal::Update(leaf.clone().into()));
    assert_eq!(rejection(peers[1].error(&same_source)), Rejection::UpdateLeafSource);

    leaf.leaf_node_source = LeafNodeSource::Update;
    let same_key = propose(&mut peers[0], Proposal::Update(leaf.clone().into()));
    assert_eq!(rejection(peers[1].error(&same_key)), Rejection::UpdateKeyUnchanged);

    leaf.encryption_key = [3; 32].into();
    let unsigned = propose(&mut peers[0], Proposal::Update(leaf.clone().into()));
    let invalid = Rejection::Tree(TreeError::LeafSignature { leaf: LeafIndex(0) });
    assert_eq!(rejection(peers[1].error(&unsigned)), invalid);

    // Signed for another leaf.
    let group_id = peers[0].group.group_id().clone();
    let context = LeafNodeContext { group_id: &group_id, leaf_index: LeafIndex(1) };
    conclave_tree::sign_leaf(&suite(), &mut leaf, &peers[0].group.signer, context).unwrap();
    let elsewhere = propose(&mut peers[0], Proposal::Update(leaf.into()));
    assert_eq!(rejection(peers[1].error(&elsewhere)), invalid);
}

#[test]
fn malformed_extensions_are_refused_as_a_proposal() {
    let mut peers = group_of(&["alice", "bob"]);
    for extension_type in [ExtensionType::REQUIRED_CAPABILITIES, ExtensionType::EXTERNAL_SENDERS] {
        let list = vec![Extension { extension_type, extension_data: [5].into() }];
        let rng = &mut TestRng(1);
        let new = NewProposal::GroupContextExtensions(list.clone());
        let failed = peers[0].group.propose(&PROVIDER, rng, NOW, new, &Default::default());
        let truncated = Error::Malformed(DecodeError::Truncated);
        assert_eq!(failed.unwrap_err(), truncated);
        let message = propose(&mut peers[0], Proposal::GroupContextExtensions(list));
        assert_eq!(peers[1].error(&message), truncated);
    }

    // So they are not among the proposals to commit.
    commits(&mut peers, 1, CommitOptions::default());
}

/// Delivers a proposal to all members that do not know it.
fn all_take(peers: &mut [Peer], message: &[u8]) {
    for peer in peers {
        if let Some(step) = peer.process(message).unwrap() {
            peer.take(step);
        }
    }
}

#[test]
fn no_proposal_can_keep_the_group_from_committing() {
    let mut peers = group_of(&["alice", "bob", "carol", "dave"]);
    // This Update is valid alone, but not in the tree.
    let bad_update = peers[2].update_with_key_of(LeafIndex(3));

    // Nobody supports this extension, and nobody has this PSK.
    let alien =
        Extension { extension_type: ExtensionType(0xf0f0), extension_data: Bytes::default() };
    let alien = NewProposal::GroupContextExtensions(vec![alien]);
    let alien = peers[2].propose(alien, &Default::default());
    let unknown = NewProposal::ExternalPsk { psk_id: b"?".as_slice().into() };
    let unknown = peers[2].propose(unknown, &Default::default());

    // Valid ones in between.
    let good = peers[1].propose_update(None, &Default::default());
    let eve = key_package("eve", 60);
    let add = peers[1].propose(NewProposal::Add(valid(&eve)), &Default::default());
    for message in [&alien, &unknown, &bad_update, &good, &add] {
        all_take(&mut peers, message);
    }

    let commit = peers[0].commit(CommitOptions::default()).commit;
    let change = peers[0].accepted();
    assert_eq!((change.updated.len(), change.added.len()), (1, 1));
    assert!(!change.extensions_changed);

    deliver(&mut peers, 0, &commit);
    agree(&peers);
}

#[test]
fn a_commit_takes_an_update_and_what_it_makes_valid() {
    let mut peers = group_of(&["alice", "bob", "carol", "dave"]);
    let carols = |params, seed| LeafUpdate { params, signer: signer(&mut TestRng(seed)) };
    let mut unable = leaf_params("carol");
    unable.capabilities.extensions.clear();
    let leaf = Some(carols(unable, 80));
    commits(&mut peers, 2, CommitOptions { leaf, ..CommitOptions::default() });

    // It is proposed before Carol supports it, which she does by her Update in the same commit.
    let extensions = NewProposal::GroupContextExtensions(custom_extensions());
    let extensions = peers[1].propose(extensions, &Default::default());
    let update = Some(carols(leaf_params("carol"), 81));
    let update = peers[2].propose_update(update, &Default::default());
    let bad = peers[3].update_with_key_of(LeafIndex(1));

    for message in [&extensions, &update, &bad] {
        all_take(&mut peers, message);
    }

    let commit = peers[0].commit(CommitOptions::default()).commit;
    let change = peers[0].accepted();
    assert!(change.extensions_changed);
    assert!(change.updated.iter().map(|member| member.index).eq([LeafIndex(2)]));

    deliver(&mut peers, 0, &commit);
    agree(&peers);
}

#[test]
fn a_commit_takes_compatible_proposals_and_the_latest_of_duplicates() {
    let peers = group_of(&["alice", "bob", "carol"]);
    let bobs = peers[1].group.signer.clone();
    let eves = signer(&mut TestRng(81));
    let add = |signer: &SignatureKeyPair, seed| {
        let rng = &mut TestRng(seed);
        let leaf = leaf_params("anybody");
        let params = KeyPackageParams {
            cipher_suite: SUITE,
            leaf,
            lifetime: LIFETIME,
            extensions: Vec::new(),
            last_resort: false,
        };
        let own = OwnKeyPackage::generate(&PROVIDER, rng, params, signer.clone()).unwrap();
        Proposal::Add(own.key_package().clone().into())
    };

    let by = |leaf, proposal| ListedProposal::by_value(Sender::Member(LeafIndex(leaf)), proposal);
    let group = peers[0].group.view();
    let update = |leaf, key: u8| {
        let mut node = group.tree.leaf(LeafIndex(leaf)).unwrap();
        node.encryption_key = [key; 32].into();
        by(leaf, Proposal::Update(node.into()))
    };

    let remove = |leaf| by(1, Proposal::Remove(LeafIndex(leaf)));
    let removes_bob = remove(1);
    let bob_again = by(2, add(&bobs, 82));
    let eve = by(1, add(&eves, 83));
    let eve_again = by(2, add(&eves, 84));
    let extensions = |who| by(who, Proposal::GroupContextExtensions(custom_extensions()));
    let close = |who| by(who, Proposal::ReInit(reinit(ProtocolVersion::MLS_1_0)));

    let psk = |who| by(who, psk(external_psk(b"x"), 32));
    let custom = || {
        let body = Bytes::default();
        by(1, Proposal::Custom { proposal_type: ProposalType(0xf00d), body })
    };
    let external_init = by(1, Proposal::ExternalInit(Bytes::default()));
    type List = Vec<ListedProposal>;

    let cases: Vec<(List, List, &[usize])> = vec![
        // Received and wanted proposals, and the places of the received ones that are kept.
        (vec![], vec![], &[]),
        (vec![remove(2), update(2, 1)], vec![], &[0]),
        (vec![update(2, 1), remove(2)], vec![], &[1]),
        (vec![update(2, 1), update(2, 2), update(1, 3)], vec![], &[1, 2]),
        (vec![by(2, Proposal::Remove(LeafIndex(2))), remove(2)], vec![], &[1]),
        (vec![update(0, 1)], vec![], &[]),
        (vec![remove(0)], vec![], &[]),
        (vec![bob_again.clone()], vec![], &[]),
        (vec![removes_bob.clone(), bob_again.clone()], vec![], &[0, 1]),
        (vec![bob_again.clone(), removes_bob.clone()], vec![], &[0, 1]),
        (vec![bob_again], vec![removes_bob], &[0]),
        (vec![eve.clone(), eve_again.clone()], vec![], &[1]),
        (vec![extensions(1), extensions(2)], vec![], &[1]),
        (vec![psk(1), psk(2)], vec![], &[1]),
        (vec![custom(), custom()], vec![], &[0, 1]),
        (vec![external_init], vec![], &[]),
        (vec![close(1), close(2)], vec![], &[0]),
        (vec![close(1), remove(2)], vec![], &[1]),
        (vec![close(1)], vec![remove(2)], &[]),
        (vec![remove(2), psk(1)], vec![close(0)], &[]),
        (vec![update(2, 1), update(1, 2)], vec![remove(2)], &[1]),
        (vec![remove(2), remove(1)], vec![remove(2)], &[1]),
        (vec![extensions(1), psk(1)], vec![extensions(0), psk(0)], &[]),
        (vec![eve], vec![eve_again], &[]),
    ];

    for (received, wanted, kept) in cases {
        let listed: Vec<_> = received.iter().collect();
        let found = committable(LeafIndex(0), group, &listed, &wanted);
        let kept: List = kept.iter().map(|place| received[*place].clone()).collect();
        assert!(found == kept, "{received:?} with {wanted:?}: {found:?}");
    }
}

#[test]
fn an_invalid_list_of_our_own_says_why() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let proposal = peers[1].propose(NewProposal::Remove(LeafIndex(2)), &Default::default());
    peers[0].receive(&proposal);
    for (wanted, rule) in [
        (vec![NewProposal::Remove(LeafIndex(0))], Rejection::CommitterRemoved),
        (vec![NewProposal::Remove(LeafIndex(9))], Rejection::RemoveOfNobody(LeafIndex(9))),
        (
            vec![
                NewProposal::ReInit(reinit(ProtocolVersion::MLS_1_0)),
                NewProposal::Remove(LeafIndex(2)),
            ],
            Rejection::ReInitNotAlone,
        ),
    ] {
        let failed = peers[0].try_commit(commit_of(wanted)).unwrap_err();
        assert_eq!(rejection(failed), rule);
    }

    let unknown = NewProposal::ExternalPsk { psk_id: b"?".as_slice().into() };
    let failed = peers[0].try_commit(commit_of(vec![unknown])).unwrap_err();
    assert!(matches!(failed, Error::Misuse(Misuse::PskUnavailable(_))));
}

#[test]
fn our_own_proposals_take_precedence_over_received_ones() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    for message in [
        peers[1].propose(NewProposal::GroupContextExtensions(Vec::new()), &Default::default()),
        peers[1].propose_update(None, &Default::default()),
        peers[1]
            .propose(NewProposal::ReInit(reinit(ProtocolVersion::MLS_1_0)), &Default::default()),
    ] {
        deliver(&mut peers, 1, &message);
    }

    let wanted = vec![
        NewProposal::GroupContextExtensions(custom_extensions()),
        NewProposal::Remove(LeafIndex(1)),
    ];
    let commit = peers[0].commit(commit_of(wanted)).commit;
    let change = peers[0].accepted();
    assert_eq!((change.removed.len(), change.updated.len()), (1, 0));
    assert_eq!((peers[0].group.status(), peers[0].group.extensions().len()), (Status::Active, 1));

    peers[2].receive(&commit);
    peers.remove(1);
    agree(&peers);
}

#[test]
fn required_capabilities_bind_clients_added_in_the_same_commit() {
    let mut peers = group_of(&["alice", "bob"]);
    let required = RequiredCapabilities {
        extension_types: vec![CUSTOM],
        proposal_types: Vec::new(),
        credential_types: Vec::new(),
    };
    let kind = ExtensionType::REQUIRED_CAPABILITIES;

    let required =
        NewProposal::GroupContextExtensions(vec![Extension::new(kind, &required).unwrap()]);
    let mut plain = leaf_params("dave");
    plain.capabilities.extensions.clear();
    let plain = NewProposal::Add(valid(&key_package_of(plain, &mut TestRng(70))));
    let failed = peers[0].try_commit(commit_of(vec![required.clone(), plain])).unwrap_err();
    assert_eq!(rejection(failed), Rejection::UnsupportedExtension(CUSTOM));

    let able = NewProposal::Add(valid(&key_package("dave", 71)));
    commits(&mut peers, 0, commit_of(vec![required, able]));

    // A member cannot drop them later.
    let mut poor = leaf_params("bob");
    poor.capabilities.extensions.clear();
    let leaf = Some(LeafUpdate { params: poor, signer: signer(&mut TestRng(72)) });
    let failed = peers[1].try_commit(CommitOptions { leaf, ..CommitOptions::default() });
    assert_eq!(rejection(failed.unwrap_err()), Rejection::UnsupportedExtension(CUSTOM));
}

#[test]
fn our_own_leaf_is_not_committed_if_peers_would_refuse_it() {
    let mut peers = group_of(&["alice", "bob"]);
    let mut params = leaf_params("alice");
    params.capabilities.credentials.clear();
    let leaf = Some(LeafUpdate { params, signer: signer(&mut TestRng(5)) });
    let failed = peers[0].try_commit(CommitOptions { leaf, ..CommitOptions::default() });
    assert!(matches!(rejection(failed.unwrap_err()), Rejection::LeafRule(_)));
}
