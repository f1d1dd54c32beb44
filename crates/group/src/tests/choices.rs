//! Choices that an application has beyond the defaults.

use super::fixture::*;
use crate::{
    CommitOptions, Config, Error, ExternalCommit, ExternalJoinOptions, ExternalJoinStage, Framing,
    Misuse, NewProposal, ObserverStage, Received, Rejection, Verdict, WelcomeStage,
};
use alloc::vec;
use alloc::vec::Vec;
use conclave_crypto::Secret;
use conclave_wire::{Extension, ExtensionType, LeafIndex, Proposal, ProposalRef, Sender};

fn note() -> Extension {
    Extension { extension_type: CUSTOM, extension_data: b"note".as_slice().into() }
}

#[test]
fn chosen_proposals_are_committed_and_the_others_wait() {
    let mut peers = group_of(&["alice", "bob", "carol", "dave"]);
    let info = peers[0].group.group_info(&PROVIDER, ALL).unwrap();
    let removals = [2, 3].map(|leaf| NewProposal::Remove(LeafIndex(leaf)));
    let mut references: Vec<ProposalRef> = Vec::new();
    for removal in removals {
        let message = peers[1].propose(removal, &Framing::default());
        references.push(peers[0].caches(&message).reference);
    }

    let listed: Vec<_> = peers[0].group.proposals().collect();
    assert_eq!(listed.len(), 2);
    for (place, item) in listed.iter().enumerate() {
        assert_eq!(item.reference, &references[place]);
        assert_eq!(item.sender, Sender::Member(LeafIndex(1)));
        assert_eq!(*item.proposal, Proposal::Remove(LeafIndex(2 + place as u32)));
    }

    // Only the chosen one is committed. An unknown one is an error.
    let chosen = |references: &[ProposalRef]| CommitOptions {
        references: Some(references.to_vec()),
        ..CommitOptions::default()
    };
    let unknown: ProposalRef = b"unknown".as_slice().into();
    let refused = peers[0].try_commit(chosen(&[references[0].clone(), unknown.clone()]));
    assert_eq!(refused.err(), Some(Rejection::UnknownProposal(unknown).into()));

    peers[0].commit(chosen(&references[1..]));
    assert!(peers[0].group.pending_commit_references().eq(&references[1..]));
    assert_eq!(peers[0].accepted().removed[0].index, LeafIndex(3));

    // Chosen proposals that conflict are an error. None is left out.
    let stage = ObserverStage::open(&PROVIDER, Config::default(), &info, None).unwrap();
    let observer = stage.resolve(&vec![Verdict::Accept; 4]).unwrap();
    assert_eq!(observer.proposals().count(), 0);

    let twice = [0, 0].map(|_| peers[1].propose(NewProposal::Remove(LeafIndex(2)), &encrypted()));
    drop(twice);
    let all: Vec<ProposalRef> =
        peers[1].group.proposals().map(|item| item.reference.clone()).collect();
    let refused = peers[1].try_commit(chosen(&all)).err();
    assert_eq!(refused, Some(Rejection::SeveralChangesOfLeaf(LeafIndex(2)).into()));
}

#[test]
fn a_group_info_carries_the_applications_extensions() {
    let mut peers = group_of(&["alice", "bob"]);
    let carol = key_package("carol", 90);
    let options = CommitOptions {
        group_info: Some(ALL),
        group_info_extensions: vec![note()],
        ..commit_of(vec![NewProposal::Add(valid(&carol))])
    };
    let messages = peers[0].commit(options);
    let welcome = &messages.welcomes[0].message;
    let stage = WelcomeStage::open(&PROVIDER, Config::default(), welcome, &carol).unwrap();
    let join = stage.join(&PROVIDER, &[], None, None).unwrap();
    assert_eq!(join.group_info_extensions(), [note()]);
    let info = messages.group_info.unwrap();
    let outside = ExternalJoinStage::open(&PROVIDER, Config::default(), &info, None).unwrap();
    assert_eq!(outside.group_info_extensions(), [note()]);

    // Extensions that RFC 9420 defines are not the application's, and none may occur twice.
    let made =
        |extensions: &[Extension]| peers[1].group.group_info_with(&PROVIDER, ALL, extensions).err();
    let tree = Extension { extension_type: ExtensionType::RATCHET_TREE, ..note() };
    assert!(matches!(made(&[tree]), Some(Error::Misuse(Misuse::NotPossible(_)))));
    assert_eq!(made(&[note(), note()]), Some(Rejection::DuplicateExtension(CUSTOM).into()));
}

#[test]
fn a_proposal_from_outside_authenticates_data() {
    let peers = group_of(&["alice", "bob"]);
    let carol = key_package("carol", 91);
    let target = peers[0].group.external_target().with_authenticated_data(*b"ticket 4711");
    let knock = target.propose_self(&PROVIDER, NOW, &carol).unwrap();
    let received = peers[1].group.process(&PROVIDER, NOW, &knock).unwrap();
    let Received::Proposal(stage) = received else { panic!("no proposal") };
    assert_eq!(stage.authenticated_data(), b"ticket 4711");
}

#[test]
fn a_pending_external_commit_survives_a_restart() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let info = peers[0].group.group_info(&PROVIDER, ALL).unwrap();
    for replaces in [None, Some(LeafIndex(1))] {
        let stage = ExternalJoinStage::open(&PROVIDER, Config::default(), &info, None).unwrap();
        let verdicts = vec![Verdict::Accept; stage.credentials().len()];
        let rng = &mut TestRng(92);
        let options = ExternalJoinOptions {
            replaces,
            group_info: Some(ALL),
            ..ExternalJoinOptions::new(leaf_params("bob"), signer(&mut TestRng(93)))
        };
        let made = stage.commit(&PROVIDER, rng, &verdicts, options).unwrap();
        let stored = made.to_secret().unwrap();
        let load =
            |stored: &Secret| ExternalCommit::from_secret(&PROVIDER, Config::default(), stored);
        let loaded = load(&stored).unwrap();
        assert_eq!((&loaded.commit, &loaded.group_info), (&made.commit, &made.group_info));
        assert_eq!(loaded.group.batch(), made.group.batch());
        assert_eq!(loaded.group.batch().new, replaces.is_none());

        // Damaged bytes are not read.
        for cut in (0..stored.len()).step_by(97) {
            let cut = Secret::copy_from(&stored.expose()[..cut]);
            assert!(matches!(load(&cut), Err(Error::Storage(_))));
        }
        let mut damaged = stored.clone();
        damaged.expose_mut()[40] ^= 1;
        assert!(matches!(load(&damaged), Err(Error::Storage(_))));

        // The group does not lose its policy.
        let rules = crate::Rules { keep_identity: true, ..Default::default() };
        let other = Config { policy: alloc::sync::Arc::new(rules), ..Config::default() };
        let failed = ExternalCommit::from_secret(&PROVIDER, other, &stored).err();
        assert_eq!(failed, Some(Misuse::OtherPolicy.into()));

        if replaces.is_some() {
            let bob = Peer::settle(loaded.group, 94);
            peers.remove(1);
            for peer in &mut peers {
                peer.receive(&loaded.commit);
            }
            peers.push(bob);
            agree(&peers);
        }
    }
}
