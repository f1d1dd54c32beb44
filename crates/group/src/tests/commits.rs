//! Commits: what they need, what they change, and what an invalid one leaves (section 12.4).

use super::fixture::*;
use crate::{
    Answers, CommitOptions, Config, CredentialSubject, Error, Framing, GroupInfoOptions,
    LeafUpdate, Misuse, NewProposal, Received, Rejection, Status, Verdict,
};
use alloc::vec;
use alloc::vec::Vec;
use conclave_crypto::Secret;
use conclave_framing::protect_public;
use conclave_tree::TreeRead;
use conclave_wire::{
    Content, Encode, Epoch, LeafIndex, MlsMessage, MlsMessageBody, ProtocolVersion, PskType, ReInit,
};

/// A member's pending commit with a change and a fresh membership tag.
fn tampered(peer: &Peer, change: impl FnOnce(&mut conclave_wire::AuthenticatedContent)) -> Vec<u8> {
    let mut content = peer.group.pending_commit.as_ref().unwrap().content.clone().into();
    change(&mut content);
    let key = &peer.group.secrets().unwrap().membership_key;
    let message = protect_public(&suite(), content, peer.group.context(), key).unwrap();
    MlsMessage::from(MlsMessageBody::PublicMessage(message.into())).to_bytes().unwrap()
}

#[test]
fn a_bad_confirmation_tag_changes_neither_memory_nor_rows() {
    let mut peers = group_of(&["alice", "bob", "carol", "dave"]);
    let commit = peers[0].commit(commit_of(vec![NewProposal::Remove(LeafIndex(3))])).commit;
    for length in [0, 1, 31, 32, 33] {
        let bad = tampered(&peers[0], |content| {
            let mut tag = content.auth.confirmation_tag.clone().unwrap().to_vec();
            tag[0] ^= u8::from(length == 32);
            tag.resize(length, 0);
            content.auth.confirmation_tag = Some(tag.as_slice().into());
        });
        assert_eq!(rejection(peers[1].error(&bad)), Rejection::ConfirmationTag, "{length}");
    }
    peers[1].receive(&commit);
}

#[test]
fn a_path_that_does_not_open_is_the_committers_fault() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    peers[0].commit(CommitOptions::default());

    // Signed again, so that only the ciphertext is wrong.
    let mut commit = peers[0].group.pending_commit.as_ref().unwrap().content.content.commit.clone();
    for node in &mut commit.path.as_mut().unwrap().nodes {
        for secret in &mut node.encrypted_path_secret {
            secret.ciphertext = vec![0; secret.ciphertext.len()].into();
        }
    }

    let mut content = peers[0].group.sign(&suite(), Content::Commit(commit), &encrypted()).unwrap();
    content.auth.confirmation_tag = Some([0; 32].into());
    let forged = peers[0].forge(content, &encrypted());
    let refused = peers[1].refuses(&forged);
    assert_eq!(rejection(refused.error), Rejection::PathOpen);
    assert!(refused.key_deletion.is_some());
}

#[test]
fn a_commit_that_rotates_keys_is_signed_by_the_right_ones() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let rotated = |name, seed| {
        Some(LeafUpdate { params: leaf_params(name), signer: signer(&mut TestRng(seed)) })
    };
    let update = peers[1].propose_update(rotated("bob", 201), &Default::default());
    deliver(&mut peers, 1, &update);
    let old = peers.iter().map(|p| p.group.signer.public.clone()).collect::<Vec<_>>();

    let dave = key_package("dave", 80);
    let options = CommitOptions {
        leaf: rotated("alice", 200),
        group_info: Some(GroupInfoOptions { ratchet_tree: true, external_pub: true }),
        ..commit_of(vec![NewProposal::Add(valid(&dave))])
    };
    let messages = commits(&mut peers, 0, options);
    peers.push(Peer::join(&messages.welcomes[0].message, &dave, Config::default(), 8));
    crate::ObserverStage::open(&PROVIDER, Config::default(), &messages.group_info.unwrap(), None)
        .unwrap();
    agree(&peers);
    for place in 0..peers.len() {
        peers[place].reload();
        let leaf = LeafIndex(place as u32);
        let key = peers[place].group.signer.public.clone();
        assert_eq!(peers[place].group.tree().signature_key(leaf), Some(key.clone()));
        assert_eq!(old.get(place) != Some(&key), place != 2);
        let message = peers[place].say(b"signed by the new key");
        for other in (0..peers.len()).filter(|other| *other != place) {
            assert_eq!(peers[other].reads(&message).sender.signature_key, key);
        }
        commits(&mut peers, place, CommitOptions::default());
        agree(&peers);
    }
}

#[test]
fn a_removed_member_keeps_nothing_and_reads_nothing_more() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let before = (peers[2].group.secret_trees[&Epoch(1)].clone(), peers[2].group.past.len());
    let options = CommitOptions {
        framing: encrypted(),
        ..commit_of(vec![NewProposal::Remove(LeafIndex(2))])
    };
    peers[2].commit(CommitOptions::default());

    let messages = peers[0].commit(options);
    peers[0].accepted();
    let change = peers[2].is_removed(&messages.commit);
    assert_eq!((change.epoch, change.removed.len()), (Epoch(2), 1));

    peers[1].receive(&messages.commit);
    let secret = peers[0].say(b"without carol");
    assert_eq!(peers[1].reads(&secret).data, b"without carol");

    let carol = &peers[2];
    assert!(carol.rows.is_empty() && carol.group.status() == Status::Deleted);
    assert_eq!(carol.error(&secret), Misuse::Deleted.into());
    assert!(carol.group.private_keys.is_empty() && carol.group.secret_trees.is_empty());
    assert_eq!((carol.group.past.len(), before.1), (0, 0));
    assert!(carol.group.pending_commit.is_none() && carol.group.signer.private.is_empty());
    assert_eq!(carol.group.delete().err(), Some(Misuse::Deleted.into()));

    let no = Some(Error::from(Misuse::Deleted));
    let rng = &mut TestRng(0);
    let group = &carol.group;
    assert_eq!(group.encrypt(&PROVIDER, rng, b"x", &encrypted()).err(), no);
    assert_eq!(group.commit(&PROVIDER, rng, NOW, CommitOptions::default()).err(), no);

    let removal = NewProposal::Remove(LeafIndex(0));
    assert_eq!(group.propose(&PROVIDER, rng, NOW, removal, &encrypted()).err(), no);
    assert_eq!(group.propose_update(&PROVIDER, rng, None, &encrypted()).err(), no);
}

#[test]
fn a_removal_that_peers_refuse_leaves_the_member_in_the_group() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    for encrypt in [false, true] {
        let framing = Framing { encrypt, ..Framing::default() };
        let mut mallory = peers[0].twin();
        mallory.commit(commit_of(vec![NewProposal::Remove(LeafIndex(1))]));
        let pending = &mallory.group.pending_commit.as_ref().unwrap().content;
        let content = Content::Commit(pending.content.commit.clone());
        let mut content = mallory.group.sign(&suite(), content, &framing).unwrap();
        content.auth.confirmation_tag = Some(vec![0; 32].into());
        let forged = mallory.forge(content, &framing);
        assert_eq!(rejection(peers[2].error(&forged)), Rejection::ConfirmationTag);

        // Bob cannot know that. He is notified and keeps his state, also after a restart.
        let before = peers[1].group.members().count();
        let change = peers[1].learns_of_removal(&forged);
        assert_eq!(
            (change.epoch, change.removed.len()),
            (peers[1].group.epoch().next().unwrap(), 1)
        );
        peers[1].reload();
        assert_eq!(peers[1].group.status(), Status::Active);
        assert_eq!(peers[1].group.members().count(), before);

        // The epoch's real commit shows that he is still a member.
        let message = peers[1].say(b"am I out?");
        assert_eq!(peers[2].reads(&message).data, b"am I out?");
        commits(&mut peers, 2, CommitOptions::default());
        agree(&peers);
    }
}

#[test]
fn a_verdict_is_about_the_commit_that_it_names() {
    let mut peers = group_of(&["alice", "bob"]);
    // A time-out is taken for a rejection. Then the first commit is accepted after all.
    let first = peers[0].commit(CommitOptions::default());
    let step = peers[0].group.commit_rejected(&first.id).unwrap();
    peers[0].take(step);
    let second = peers[0].commit(CommitOptions { force_path: true, ..CommitOptions::default() });
    assert_ne!(first.id, second.id);

    let other = Some(Error::from(Misuse::NotThisCommit));
    let before = peers[0].rows.clone();
    for _ in 0..2 {
        assert_eq!(peers[0].group.commit_accepted(&PROVIDER, NOW, &first.id).err(), other);
        assert_eq!(peers[0].group.commit_rejected(&first.id).err(), other);
        assert_eq!(peers[0].rows, before);
        // The pending commit keeps its name over a restart.
        peers[0].reload();
        assert_eq!(peers[0].group.pending_commit().unwrap().id, second.id);
    }

    // A verdict about the pending commit is accepted.
    peers[1].receive(&second.commit);
    let step = peers[0].group.commit_accepted(&PROVIDER, NOW, &second.id).unwrap();
    peers[0].take(step);
    agree(&peers);
}

#[test]
fn an_undecided_credential_costs_nothing_and_can_be_asked_again() {
    let mut peers = group_of(&["alice", "bob"]);
    let add = NewProposal::Add(valid(&key_package("carol", 60)));
    let options = CommitOptions { framing: encrypted(), ..commit_of(vec![add]) };
    let commit = peers[0].commit(options).commit;
    peers[0].accepted();
    let resolve = |peer: &Peer, verdict: Verdict| {
        let received = peer.group.process(&PROVIDER, NOW, &commit).unwrap();
        let Received::Commit(stage) = received else { panic!("no commit") };
        let answers = Answers { verdicts: vec![verdict], ..Answers::default() };
        stage.resolve(&peer.group, &PROVIDER, NOW, &answers)
    };

    for _ in 0..2 {
        let refused = resolve(&peers[1], Verdict::Later).unwrap_err();
        assert_eq!(refused.error, Error::Undecided(CredentialSubject::NewMember));
        assert!(refused.key_deletion.is_none());
        peers[1].check();
        peers[1].reload();
    }
    let step = resolve(&peers[1], Verdict::Accept).unwrap();
    peers[1].take(step);
    agree(&peers);
}

#[test]
fn expired_key_packages_are_neither_proposed_nor_committed() {
    let mut peers = group_of(&["alice", "bob"]);
    let late = at(LIFETIME.not_after + 1);
    let carol = key_package("carol", 60);
    let add = || NewProposal::Add(valid(&carol));
    let expired = Some(Error::from(Rejection::LifetimeExpired { not_after: LIFETIME.not_after }));
    let group = &peers[0].group;
    let rng = &mut TestRng(5);
    let commit = |rng: &mut TestRng| group.commit(&PROVIDER, rng, late, commit_of(vec![add()]));
    assert_eq!(commit(rng).err(), expired);
    let proposed = group.propose(&PROVIDER, rng, late, add(), &Framing::default());
    assert_eq!(proposed.err(), expired);
    let target = group.external_target();
    assert_eq!(target.propose_self(&PROVIDER, late, &carol).err(), expired);

    // A late committer leaves out what others proposed in time.
    let knock = target.propose_self(&PROVIDER, NOW, &carol).unwrap();
    peers.iter_mut().for_each(|peer| drop(peer.receive(&knock)));
    let rng = &mut TestRng(6);
    let step = peers[0].group.commit(&PROVIDER, rng, late, CommitOptions::default()).unwrap();
    let messages = peers[0].take(step);
    assert!(peers[0].accepted().added.is_empty());
    peers[1].receive(&messages.commit);
    agree(&peers);
}

#[test]
fn our_pending_update_and_commit_end_with_the_epoch() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let update = peers[1].propose_update(None, &Default::default());
    deliver(&mut peers, 1, &update);
    let mine = peers[1].commit(CommitOptions::default()).commit;
    let commit = peers[0].commit(CommitOptions::default()).commit;
    peers[1].reload();
    let change = peers[1].follows(&commit);
    assert!(change.discarded_own_commit && change.updated.len() == 1);

    peers[2].receive(&commit);
    peers[0].accepted();
    peers[1].reload();
    agree(&peers);
    assert!(peers[1].group.pending_commit().is_none() && peers[1].group.pending_updates.is_empty());

    let late = peers[1].group.commit_accepted(&PROVIDER, NOW, &pending_id(&peers[1].group));
    assert_eq!(late.err(), Some(Misuse::NoCommitPending.into()));
    let wrong = Rejection::WrongEpoch { message: Epoch(1), current: Epoch(2) };
    assert_eq!(rejection(peers[1].error(&mine)), wrong);

    commits(&mut peers, 1, CommitOptions::default());
    agree(&peers);
}

#[test]
fn a_pending_commit_lists_the_proposals_it_refers_to() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let first = peers[1].propose_update(None, &encrypted());
    let last = peers[1].propose_update(None, &Framing::default());
    let remove = peers[1].propose(NewProposal::Remove(LeafIndex(2)), &Framing::default());
    let [first, last, remove] =
        [first, last, remove].map(|message| peers[0].caches(&message).reference);
    assert_eq!(peers[0].group.pending_commit_references().next(), None);

    let grow = NewProposal::GroupContextExtensions(Vec::new());
    peers[0].commit(commit_of(vec![grow]));

    // The later of a member's two Updates counts. Proposals by value have no reference.
    for _ in 0..2 {
        let references: Vec<_> = peers[0].group.pending_commit_references().cloned().collect();
        assert_eq!(references, [last.clone(), remove.clone()]);
        assert!(!references.contains(&first));
        peers[0].reload();
    }

    peers[0].accepted();
    assert_eq!(peers[0].group.pending_commit_references().next(), None);
}

#[test]
fn a_rejected_commit_leaves_only_its_used_generation() {
    let mut peers = group_of(&["alice", "bob"]);
    let before = peers[0].rows.clone();
    peers[0].commit(CommitOptions::default());
    peers[0].rejected();
    assert_eq!(peers[0].rows, before);
    assert_eq!(
        peers[0].group.commit_rejected(&pending_id(&peers[0].group)).err(),
        Some(Misuse::NoCommitPending.into())
    );

    // An encrypted commit has used a generation, which is not used again.
    for generation in 0..2 {
        let options = CommitOptions { framing: encrypted(), ..CommitOptions::default() };
        peers[0].commit(options);
        peers[0].reload();
        let kind = conclave_schedule::RatchetKind::Handshake;
        let next = peers[0].group.secret_trees[&Epoch(1)].next_generation(LeafIndex(0), kind);
        assert_eq!(next, generation + 1);
        peers[0].rejected();
    }

    commits(&mut peers, 0, CommitOptions::default());
    agree(&peers);
}

#[test]
fn our_commit_survives_a_restart_and_is_accepted_on_its_return() {
    for framing in [Default::default(), encrypted()] {
        let mut peers = group_of(&["alice", "bob"]);
        let update = CommitOptions { framing, ..CommitOptions::default() };
        let commit = peers[0].commit(update).commit;
        peers[0].reload();
        assert_eq!(peers[0].group.pending_commit().unwrap().commit, commit);
        let change = peers[0].follows(&commit);
        assert!(change.own && !change.discarded_own_commit);
        peers[1].receive(&commit);
        agree(&peers);
    }
}

/// A stage asks for everything at once. A forgotten answer can be given at a second attempt.
#[test]
fn a_commit_stage_waits_for_all_its_answers() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let psktype = PskType::External { psk_id: b"shared".as_slice().into() };
    let secret = (psktype.clone(), Secret::new(vec![0x5a; 32]));
    let proposal = NewProposal::ExternalPsk { psk_id: b"shared".as_slice().into() };
    let proposal = peers[2].propose(proposal, &encrypted());
    deliver(&mut peers, 2, &proposal);
    let leaf =
        LeafUpdate { params: leaf_params("alice the second"), signer: signer(&mut TestRng(9)) };

    let options = CommitOptions {
        leaf: Some(leaf),
        framing: encrypted(),
        psks: vec![secret.clone()],
        ..CommitOptions::default()
    };
    let commit = peers[0].commit(options).commit;
    peers[0].accepted();

    let stage = |peer: &Peer| match peer.group.process(&PROVIDER, NOW, &commit).unwrap() {
        Received::Commit(stage) => stage,
        other => panic!("{other:?}"),
    };
    let before = peers[1].rows.clone();
    let ask = stage(&peers[1]);
    assert_eq!((ask.psks().len(), ask.credentials().len()), (1, 1));
    assert_eq!(ask.psks()[0].psktype, psktype);

    let request = &ask.credentials()[0];
    assert_eq!(request.credential.identity(), Some(b"alice the second".as_slice()));
    assert_eq!(request.replaces.as_ref().unwrap().identity(), Some(b"alice".as_slice()));

    let accept = vec![Verdict::Accept];
    let answers = |verdicts: &[Verdict], psks: &[(PskType, Secret)]| Answers {
        verdicts: verdicts.to_vec(),
        psks: psks.to_vec(),
        ..Answers::default()
    };
    let given = core::slice::from_ref(&secret);
    let resolve =
        |peer: &Peer, answers: &Answers| stage(peer).resolve(&peer.group, &PROVIDER, NOW, answers);

    // A forgotten answer does not condemn the message, and nothing is lost.
    let missing = resolve(&peers[1], &answers(&accept, &[])).unwrap_err();
    assert!(matches!(missing.error, Error::Misuse(Misuse::PskUnavailable(_))));
    assert!(missing.key_deletion.is_none());
    for (verdicts, given_count) in [(vec![], 0), (vec![Verdict::Accept; 2], 2)] {
        let count = resolve(&peers[1], &answers(&verdicts, given)).unwrap_err();
        let wanted = Misuse::VerdictCount { wanted: 1, given: given_count };
        assert_eq!(count.error, wanted.into());
        assert!(count.key_deletion.is_none());
    }
    assert_eq!(peers[1].rows, before);

    // A wrong value breaks the confirmation tag.
    let wrong = [(psktype, Secret::new(vec![0x5b; 32]))];
    let refused = resolve(&peers[1], &answers(&accept, &wrong)).unwrap_err();
    assert_eq!(rejection(refused.error), Rejection::ConfirmationTag);

    // A refusal is final and says why.
    let refused = resolve(&peers[2], &answers(&[Verdict::refuse("not alice")], given)).unwrap_err();
    let Rejection::CredentialRefused { reason, .. } = rejection(refused.error) else { panic!() };
    assert_eq!(&*reason, "not alice");

    peers[2].check();
    peers[2].take(*refused.key_deletion.unwrap());
    assert_eq!(peers[2].group.epoch(), Epoch(1));

    // With all answers there is a step.
    let step = resolve(&peers[1], &answers(&accept, given)).unwrap();
    peers[1].take(step);
    agree(&peers[..2]);
}

#[test]
fn resumption_psks_come_from_the_epochs_that_are_kept() {
    let mut peers = group_of(&["alice", "bob"]);
    commits(&mut peers, 0, CommitOptions::default());
    let group_id = peers[0].group.group_id().clone();
    for epoch in [1, 2] {
        let psk = NewProposal::ResumptionPsk { group_id: group_id.clone(), epoch: Epoch(epoch) };
        commits(&mut peers, 0, commit_of(vec![psk]));
        agree(&peers);
    }
    let gone = NewProposal::ResumptionPsk { group_id, epoch: Epoch(0) };
    let failed = peers[0].try_commit(commit_of(vec![gone])).unwrap_err();
    assert!(matches!(failed, Error::Misuse(Misuse::PskUnavailable(_))));
}

#[test]
fn a_removed_member_needs_no_psks_of_the_commit() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let psk_id = b"not carol's".as_slice();
    let psks = vec![(PskType::External { psk_id: psk_id.into() }, Secret::new(vec![1; 32]))];
    let proposals =
        vec![NewProposal::Remove(LeafIndex(2)), NewProposal::ExternalPsk { psk_id: psk_id.into() }];
    let commit = peers[0].commit(CommitOptions { psks: psks.clone(), ..commit_of(proposals) });
    peers[0].accepted();
    peers[2].is_removed(&commit.commit);

    let missing = peers[1].error(&commit.commit);
    assert!(matches!(missing, Error::Misuse(Misuse::PskUnavailable(_))), "{missing}");
    peers[1].psks = psks;
    peers[1].receive(&commit.commit);
    agree(&peers[..2]);
}

#[test]
fn psks_count_in_the_order_of_the_commit() {
    let mut peers = group_of(&["alice", "bob"]);
    let named = |name: &[u8]| NewProposal::ExternalPsk { psk_id: name.into() };
    let value = |name: &[u8], byte| {
        (PskType::External { psk_id: name.into() }, Secret::new(vec![byte; 32]))
    };
    let psks = vec![value(b"b", 2), value(b"a", 1), value(b"c", 3)];
    peers[1].psks = psks.iter().rev().cloned().collect();

    let proposal = peers[1].propose(named(b"c"), &Default::default());
    peers[0].receive(&proposal);
    let carol = key_package("carol", 90);
    let mut options = commit_of(vec![named(b"a"), NewProposal::Add(valid(&carol)), named(b"b")]);
    options.psks = psks.clone();
    let messages = commits(&mut peers, 0, options);
    let stage = crate::WelcomeStage::open(
        &PROVIDER,
        Config::default(),
        &messages.welcomes[0].message,
        &carol,
    )
    .unwrap();

    let join = stage.join(&PROVIDER, &psks, None, None).unwrap();
    let verdicts = vec![Verdict::Accept; join.credentials().len()];
    peers.push(Peer::settle(join.resolve(&verdicts).unwrap(), 4));
    agree(&peers);
}

#[test]
fn a_closed_group_still_reads_and_does_nothing_else() {
    let mut peers = group_of(&["alice", "bob"]);
    let early = peers[0].say(b"before");
    let reinit = ReInit {
        group_id: b"next".as_slice().into(),
        version: ProtocolVersion::MLS_1_0,
        cipher_suite: SUITE,
        extensions: Vec::new(),
    };

    let proposal = peers[1].forge_commit(Vec::new(), &Default::default());
    commits(&mut peers, 0, commit_of(vec![NewProposal::ReInit(reinit.clone())]));
    for peer in &mut peers {
        peer.reload();
        assert_eq!(
            (peer.group.status(), peer.group.reinit()),
            (Status::Reinitialized, Some(&reinit))
        );
        let rng = &mut peer.rng;
        let closed = Some(Misuse::Reinitialized.into());
        assert_eq!(peer.group.encrypt(&PROVIDER, rng, b"x", &encrypted()).err(), closed);
        assert_eq!(peer.group.commit(&PROVIDER, rng, NOW, CommitOptions::default()).err(), closed);
        assert_eq!(peer.group.propose_update(&PROVIDER, rng, None, &encrypted()).err(), closed);
    }
    assert_eq!(peers[1].reads(&early).data, b"before");
    assert!(matches!(rejection(peers[1].error(&proposal)), Rejection::WrongEpoch { .. }));

    // A commit in the closed epoch, by a member that ignores the rule.
    let late = peers[0].forge_commit(Vec::new(), &encrypted());
    assert_eq!(rejection(peers[1].error(&late)), Rejection::GroupReinitialized);
}
