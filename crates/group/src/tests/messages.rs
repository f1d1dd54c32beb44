//! Application data and the keys that messages consume (sections 6, 9.2 and 15).

use super::fixture::*;
use crate::store::rows::{RowKey, Table};
use crate::{
    CommitOptions, Config, Event, Framing, LeafUpdate, Limits, Misuse, NewProposal, Received,
    Rejection,
};
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use conclave_crypto::Secret;
use conclave_framing::FramingError;
use conclave_schedule::{RatchetError, RatchetKind};
use conclave_wire::{
    Content, Decode, Encode, Epoch, LeafIndex, MlsMessage, MlsMessageBody, Proposal, ProposalOrRef,
};
use core::time::Duration;

#[test]
fn a_message_of_another_group_is_refused() {
    let mut other = Peer::found_with("alice", Config::default(), b"another group");
    let peers = group_of(&["alice", "bob"]);
    let message = other.say(b"hello");
    assert_eq!(rejection(peers[1].error(&message)), Rejection::WrongGroup);
    let proposal = other.propose(NewProposal::Remove(LeafIndex(0)), &encrypted());
    assert_eq!(rejection(peers[1].error(&proposal)), Rejection::WrongGroup);
}

#[test]
fn a_handshake_message_of_another_epoch_is_refused() {
    for framing in [Default::default(), encrypted()] {
        let mut peers = group_of(&["alice", "bob", "carol"]);
        let late = peers[0].propose(NewProposal::Remove(LeafIndex(2)), &framing);
        commits(&mut peers[1..], 0, CommitOptions::default());
        let wrong = Rejection::WrongEpoch { message: Epoch(1), current: Epoch(2) };
        assert_eq!(rejection(peers[1].error(&late)), wrong);
        // A message from a future epoch.
        let early = peers[1].propose(NewProposal::Remove(LeafIndex(2)), &framing);
        let wrong = Rejection::WrongEpoch { message: Epoch(2), current: Epoch(1) };
        assert_eq!(rejection(peers[0].error(&early)), wrong);
    }
}

#[test]
fn replays_are_refused_after_a_restart_and_after_the_epoch() {
    let mut peers = group_of(&["alice", "bob"]);
    let message = peers[0].say(b"once");
    assert_eq!(peers[1].reads(&message).data, b"once");
    let gone = Rejection::Ratchet(RatchetError::KeyGone { leaf: LeafIndex(0), generation: 0 });
    for _ in 0..2 {
        assert_eq!(rejection(peers[1].error(&message)), gone);
        peers[1].reload();
    }
    commits(&mut peers, 1, CommitOptions::default());
    assert_eq!(rejection(peers[1].error(&message)), gone);
}

#[test]
fn membership_tags_of_other_lengths_or_values_are_refused() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let proposal = peers[0].propose(NewProposal::Remove(LeafIndex(2)), &Default::default());
    let commit = peers[0].commit(CommitOptions::default()).commit;
    for message in [proposal, commit] {
        let message = MlsMessage::from_bytes(&message).unwrap();
        let MlsMessageBody::PublicMessage(public) = message.body else { panic!("private") };
        let tag = public.membership_tag.clone().unwrap().to_vec();
        for length in (0..tag.len()).chain([tag.len() + 1]) {
            let mut public = public.clone();
            let mut cut = tag.clone();
            cut.resize(length, 0);
            public.membership_tag = Some(cut.as_slice().into());
            let bad = MlsMessage::from(MlsMessageBody::PublicMessage(public)).to_bytes().unwrap();
            let invalid = Rejection::Framing(FramingError::InvalidMembershipTag);
            assert_eq!(rejection(peers[1].error(&bad)), invalid);
        }
    }
}

#[test]
fn our_own_messages_are_known_when_they_come_back() {
    for framing in [Default::default(), encrypted()] {
        let mut peers = group_of(&["alice", "bob", "carol"]);
        let said = peers[0].say(b"hello");
        let proposed = peers[0].propose(NewProposal::Remove(LeafIndex(2)), &framing);
        for _ in 0..2 {
            for message in [&said, &proposed] {
                assert!(peers[0].process(message).unwrap().is_none());
            }
            peers[0].reload();
        }
    }
}

#[test]
fn a_sent_and_forgotten_message_is_read_and_its_key_not_reused() {
    let mut peers = group_of(&["alice", "bob"]);
    let backup = peers[0].rows.clone();
    let said = peers[0].say(b"forgotten");
    peers[0].rows = backup;
    peers[0].reload();
    assert_eq!(peers[0].reads(&said).data, b"forgotten");
    let next = peers[0].say(b"next");
    for (message, data) in [(&said, b"forgotten".as_slice()), (&next, b"next")] {
        assert_eq!(peers[1].reads(message).data, data);
    }
}

#[test]
fn a_proposal_under_a_new_key_is_known_and_its_key_deleted() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let remove = || NewProposal::Remove(LeafIndex(2));
    // The signature is the same, so the proposal is the same in another ciphertext.
    let first = peers[0].propose(remove(), &encrypted());
    let second = peers[0].propose(remove(), &encrypted());
    assert_ne!(first, second);
    assert_eq!(peers[0].group.pending_proposals(), 1);
    peers[1].receive(&first);
    let event = peers[1].receive(&second);
    assert_eq!((event, peers[1].group.pending_proposals()), (Event::KeyDeleted, 1));
    let gone = Rejection::Ratchet(RatchetError::KeyGone { leaf: LeafIndex(0), generation: 1 });
    assert_eq!(rejection(peers[1].error(&second)), gone);
}

#[test]
fn forged_messages_consume_no_key() {
    let mut peers = group_of(&["alice", "bob"]);
    let message = peers[0].say(b"hello");
    let MlsMessageBody::PrivateMessage(private) = MlsMessage::from_bytes(&message).unwrap().body
    else {
        panic!("public")
    };

    for bit in [0, 7, 8 * private.ciphertext.len() - 1] {
        let mut bad = private.clone();
        let mut ciphertext = bad.ciphertext.to_vec();
        ciphertext[bit / 8] ^= 1 << (bit % 8);
        bad.ciphertext = ciphertext.into();
        let bad = MlsMessage::from(MlsMessageBody::PrivateMessage(bad)).to_bytes().unwrap();
        assert!(peers[1].refuses(&bad).key_deletion.is_none());
    }
    assert_eq!(peers[1].reads(&message).data, b"hello");
}

#[test]
fn a_message_that_does_not_verify_consumes_no_key() {
    let mut peers = group_of(&["alice", "bob"]);
    // Every member can encrypt with the key of Alice's next message and sign something else.
    let mut content =
        peers[0].group.sign(&suite(), Content::Application([1].into()), &encrypted()).unwrap();
    content.content.content = Content::Application([2].into());
    let forged = peers[0].forge(content, &encrypted());

    for _ in 0..2 {
        let refused = peers[1].refuses(&forged);
        let invalid = Rejection::Framing(FramingError::InvalidSignature);
        assert_eq!(rejection(refused.error), invalid);
        assert!(refused.key_deletion.is_none());
        peers[1].reload();
    }

    let message = peers[0].say(b"still here");
    assert_eq!(peers[1].reads(&message).data, b"still here");
}

#[test]
fn a_refused_encrypted_commit_loses_its_key_and_nothing_else() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let forged = peers[0]
        .forge_commit(vec![ProposalOrRef::Proposal(Proposal::Remove(LeafIndex(0)))], &encrypted());
    let refused = peers[1].refuses(&forged);
    assert_eq!(rejection(refused.error), Rejection::CommitterRemoved);
    peers[1].take(*refused.key_deletion.unwrap());
    peers[1].reload();
    let gone = Rejection::Ratchet(RatchetError::KeyGone { leaf: LeafIndex(0), generation: 0 });
    assert_eq!(rejection(peers[1].error(&forged)), gone);
    assert_eq!(peers[1].group.epoch(), Epoch(1));
}

#[test]
fn the_step_of_an_encrypted_commit_deletes_its_key() {
    let mut peers = group_of(&["alice", "bob"]);
    let options = CommitOptions { framing: encrypted(), ..CommitOptions::default() };
    let commit = peers[0].commit(options).commit;
    peers[1].receive(&commit);
    for _ in 0..2 {
        let alice = LeafIndex(0);
        let kind = RatchetKind::Handshake;
        let past = &peers[1].group.secret_trees[&Epoch(1)];
        assert_eq!(past.next_generation(alice, kind), 1);
        assert!(past.leaf_keys(&suite(), alice, kind, 0).is_err());
        peers[1].reload();
    }
}

#[test]
fn no_stored_row_leads_to_a_message_key_after_reading() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let messages: Vec<_> = (0..3).map(|n| peers[0].say(&[n])).collect();
    let tree = &peers[1].group.secret_trees[&Epoch(1)];
    let key = |generation| {
        let kind = RatchetKind::Application;
        tree.leaf_keys(&suite(), LeafIndex(0), kind, generation).unwrap()
    };

    let keys: Vec<_> = (0..3).map(key).collect();
    let root = tree.rows()[0].1.clone();
    peers[1].reads(&messages[1]);
    let holds = |rows: &Rows, secret: &Secret| {
        let secret = secret.expose();
        rows.values().any(|row| row.expose().windows(secret.len()).any(|w| w == secret))
    };

    // The message's key is gone, and the skipped key is kept.
    assert!(!holds(&peers[1].rows, &keys[1].key) && !holds(&peers[1].rows, &keys[1].nonce));
    assert!(holds(&peers[1].rows, &keys[0].key));

    // The secrets that it was derived from are gone too: root, path, the ratchet's earlier heads.
    assert!(!holds(&peers[1].rows, &Secret::copy_from(&root.expose()[1..])));
    let secret_nodes = peers[1].rows.keys().filter(|key| key.table == Table::SecretTreeNode);
    assert!(secret_nodes.map(|key| key.index).eq([2, 5]));

    peers[1].reads(&messages[0]);
    assert!(!holds(&peers[1].rows, &keys[0].key));
    peers[1].reads(&messages[2]);
    let table_count = |table| peers[1].rows.keys().filter(|key| key.table == table).count();
    assert_eq!((table_count(Table::SkippedKey), table_count(Table::Ratchet)), (0, 2));
}

#[test]
fn received_proposals_block_data_until_a_commit_is_made() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let proposal = peers[0].propose(NewProposal::Remove(LeafIndex(2)), &Default::default());
    peers[1].receive(&proposal);
    for peer in &mut peers[..2] {
        let sent = peer.group.encrypt(&PROVIDER, &mut peer.rng, b"x", &Default::default());
        assert_eq!(sent.err(), Some(Misuse::ProposalsPending.into()));
    }

    let commit = peers[1].commit(CommitOptions::default()).commit;
    peers[1].say(b"a commit is made");
    peers[0].receive(&commit);
    peers[0].say(b"a commit was received");
    let again = peers[1].try_commit(CommitOptions::default());
    assert_eq!(again.err(), Some(Misuse::CommitPending.into()));
}

#[test]
fn a_late_message_from_a_reused_leaf_names_its_old_owner() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let bobs = peers[1].say(b"by bob");

    // The leaf is Bob's, then nobody's, then Dave's.
    let mut bob = peers.remove(1);
    let remove = commit_of(vec![NewProposal::Remove(LeafIndex(1))]);
    bob.receive(&peers[0].commit(remove).commit);
    let commit = peers[0].group.pending_commit().unwrap().commit.clone();
    peers[1].receive(&commit);
    peers[0].accepted();

    let dave = key_package("dave", 500);
    let messages = commits(&mut peers, 0, commit_of(vec![NewProposal::Add(valid(&dave))]));
    let mut dave = Peer::join(&messages.welcomes[0].message, &dave, Config::default(), 9);
    assert_eq!(dave.group.own_leaf(), LeafIndex(1));

    let daves = dave.say(b"by dave");
    peers[1].reload();
    for (message, name, data) in
        [(&daves, b"dave".as_slice(), b"by dave".as_slice()), (&bobs, b"bob", b"by bob")]
    {
        for peer in &mut peers {
            let read = peer.reads(message);
            assert_eq!(read.sender.credential.identity(), Some(name));
            assert_eq!((read.sender.index, &*read.data), (LeafIndex(1), data));
        }
    }
}

#[test]
fn messages_verify_with_the_key_of_their_epoch() {
    let mut peers = group_of(&["alice", "bob"]);
    let before = peers[0].say(b"old key");
    let new = signer(&mut TestRng(77));
    let leaf = Some(LeafUpdate { params: leaf_params("alice"), signer: new.clone() });
    commits(&mut peers, 0, CommitOptions { leaf, ..CommitOptions::default() });
    let after = peers[0].say(b"new key");
    assert_eq!(peers[1].reads(&after).sender.signature_key, new.public);
    assert_ne!(peers[1].reads(&before).sender.signature_key, new.public);
}

#[test]
fn past_epochs_are_kept_as_the_configuration_says() {
    for past_epochs in 0..3 {
        let limits = Limits { past_epochs, ..Limits::default() };
        let config = Config { limits, ..Config::default() };
        let mut peers = group_with(&["alice", "bob"], config);
        let mut said = Vec::new();
        for _ in 0..4 {
            said.push(peers[0].say(b"late"));
            let framing = encrypted();
            commits(&mut peers, 1, CommitOptions { framing, ..CommitOptions::default() });
        }
        peers[1].reload();
        let past = said.len() - past_epochs;
        for (place, message) in said.iter().enumerate() {
            if place < past {
                let error = rejection(peers[1].error(message));
                assert!(matches!(error, Rejection::WrongEpoch { .. }), "{error}");
            } else {
                assert_eq!(peers[1].reads(message).data, b"late");
            }
        }
        for peer in &peers {
            assert_eq!(peer.group.past.len(), past_epochs);
        }
    }
}

#[test]
fn a_clock_set_back_leaves_no_gap_among_past_epochs() {
    let limits = Limits { past_epochs: 9, ..Limits::default() };
    let mut peers = group_with(&["alice", "bob"], Config { limits, ..Config::default() });
    let week = Config::default().limits.past_epoch_age;
    // The clock was ahead at the first commit. The third comes more than a week after the second.
    for seconds in [2 * week.as_secs(), 0, week.as_secs() + 1] {
        let now = NOW.saturating_add(Duration::from_secs(seconds));
        let id = peers[0].commit(CommitOptions::default()).id;
        let step = peers[0].group.commit_accepted(&PROVIDER, now, &id).unwrap();
        peers[0].take(step);
    }
    assert!(peers[0].group.past.keys().copied().eq([Epoch(3)]));
    peers[0].reload();
}

#[test]
fn an_idle_group_drops_its_expired_past_epochs() {
    let mut peers = group_of(&["alice", "bob"]);
    let early = peers[1].say(b"early");
    commits(&mut peers, 1, CommitOptions::default());
    let end = NOW.saturating_add(Config::default().limits.past_epoch_age);
    assert!(peers[0].group.expire_past_epochs(end).is_none());
    let step =
        peers[0].group.expire_past_epochs(end.saturating_add(Duration::from_secs(1))).unwrap();
    peers[0].take(step);
    assert!(peers[0].rows.keys().all(|key| [2, RowKey::NO_EPOCH].contains(&key.epoch)));
    let wrong = Rejection::WrongEpoch { message: Epoch(1), current: Epoch(2) };
    assert_eq!(rejection(peers[0].error(&early)), wrong);
}

#[test]
fn our_own_commit_is_unknown_once_it_was_given_up() {
    let mut peers = group_of(&["alice", "bob"]);
    let options = CommitOptions { framing: encrypted(), ..CommitOptions::default() };
    let commit = peers[0].commit(options).commit;
    peers[0].rejected();
    let gone = Rejection::Ratchet(RatchetError::KeyGone { leaf: LeafIndex(0), generation: 0 });
    assert_eq!(rejection(peers[0].error(&commit)), gone);
    assert!(matches!(peers[1].group.process(&PROVIDER, NOW, &commit), Ok(Received::Commit(_))));
}

#[test]
fn a_commit_refused_by_the_application_loses_only_its_key() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let options = CommitOptions {
        framing: encrypted(),
        proposals: vec![NewProposal::Remove(LeafIndex(2))],
        ..CommitOptions::default()
    };
    let commit = peers[0].commit(options).commit;

    let before = peers[1].all_rows();
    let Ok(Received::Commit(stage)) = peers[1].group.process(&PROVIDER, NOW, &commit) else {
        panic!()
    };
    let refused = stage.refuse(&peers[1].group, "only admins remove");
    let reason = "only admins remove".into();
    assert_eq!(refused.error, Rejection::RefusedByPolicy { reason }.into());
    assert_eq!(peers[1].all_rows(), before);

    let epoch = peers[1].group.epoch();
    let deletion = *refused.key_deletion.expect("its key is consumed");
    assert_eq!(peers[1].take(deletion.untyped()), Event::KeyDeleted);
    assert_eq!(peers[1].group.epoch(), epoch);

    peers[1].reload();
    let gone = rejection(peers[1].error(&commit));
    assert!(matches!(gone, Rejection::Ratchet(_)), "{gone}");
}

#[test]
fn an_encrypted_commit_can_wait_for_its_proposal() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let proposal = peers[0].propose(NewProposal::Remove(LeafIndex(2)), &encrypted());
    let options = CommitOptions { framing: encrypted(), ..CommitOptions::default() };
    let commit = peers[0].commit(options).commit;
    let early = peers[1].group.process(&PROVIDER, NOW, &commit).expect_err("too early");
    assert!(matches!(rejection(early.error), Rejection::UnknownProposal(_)));
    assert!(early.key_deletion.is_none(), "its key would be gone when it is needed");
    peers[1].receive(&proposal);
    peers[1].receive(&commit);
    peers[0].accepted();
    agree(&peers[..2]);
}

#[test]
fn a_proposal_refused_by_the_application_is_not_cached() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let proposal = peers[0].propose(NewProposal::Remove(LeafIndex(2)), &encrypted());
    let open = |peer: &Peer| match peer.group.process(&PROVIDER, NOW, &proposal) {
        Ok(Received::Proposal(stage)) => stage,
        other => panic!("{other:?}"),
    };
    let stale = open(&peers[1]);

    let refused = open(&peers[1]).refuse(&peers[1].group, "only admins remove");
    let reason = "only admins remove".into();
    assert_eq!(refused.error, Rejection::RefusedByPolicy { reason }.into());
    assert_eq!(peers[1].all_rows(), peers[1].rows);

    let deletion = *refused.key_deletion.expect("its key is consumed");
    assert_eq!(peers[1].take(deletion.untyped()), Event::KeyDeleted);
    assert_eq!(peers[1].group.pending_proposals(), 0);

    let gone = rejection(peers[1].error(&proposal));
    assert!(matches!(gone, Rejection::Ratchet(_)), "{gone}");

    // A stage of an earlier state is stale when it refuses, too.
    let refused = stale.refuse(&peers[1].group, "only admins remove");
    assert_eq!(refused.error, Misuse::Stale.into());
    assert!(refused.key_deletion.is_none());
}

#[test]
fn other_kinds_of_message_are_not_processed() {
    let peers = group_of(&["alice", "bob"]);
    let key_package = key_package("carol", 5).key_package().clone();
    let body = MlsMessageBody::KeyPackage(Box::new(key_package));
    let message = MlsMessage::from(body).to_bytes().unwrap();
    assert_eq!(rejection(peers[0].error(&message)), Rejection::UnexpectedMessage);
    let info = peers[1].group.group_info(&PROVIDER, Default::default()).unwrap();
    assert_eq!(rejection(peers[0].error(&info)), Rejection::UnexpectedMessage);
}

#[test]
fn proposals_are_kept_while_our_commit_may_refer_to_them() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let proposal = peers[1].propose(NewProposal::Remove(LeafIndex(2)), &Framing::default());
    peers[0].receive(&proposal);
    peers[0].commit(CommitOptions::default());
    let early = peers[0].group.discard_proposals().unwrap_err();
    assert_eq!(early, Misuse::CommitPending.into());
    peers[0].rejected();
    let step = peers[0].group.discard_proposals().unwrap();
    assert_eq!(peers[0].take(step.untyped()), Event::Discarded);
    assert_eq!(peers[0].group.pending_proposals(), 0);
}
