//! Steps are computed first, then written, then applied.

extern crate std;

use super::fixture::*;
use crate::{
    Answers, ApplicationMessage, ApplyError, CachedProposal, CommitMessages, CommitOptions,
    Committed, Config, EpochChange, Event, Group, Misuse, NewProposal, Outcome, ProposalMessage,
    Received, Transition, apply, begin,
};
use alloc::vec::Vec;
use conclave_wire::{LeafIndex, ProposalType, Sender, UnixTime};

#[test]
fn a_step_is_not_applied_when_its_write_fails() {
    let mut peers = group_of(&["alice", "bob"]);
    let message = peers[0].say(b"hello");
    let step = peers[1].process(&message).unwrap().unwrap();
    let failed = apply(&mut peers[1].group, step, |_| Err(NotWritten));
    assert_eq!(failed, Err(ApplyError::Write(NotWritten)));
    peers[1].check();
    assert_eq!(peers[1].reads(&message).data, b"hello");
}

/// A write that was stored but seems to have failed, as after a lost connection.
#[derive(Debug, PartialEq)]
struct Unknown;

impl crate::WriteError for Unknown {
    fn may_have_written(&self) -> bool {
        true
    }
}

/// Applies a step, and checks that the write sees its outcome.
fn seen<O: Outcome<Event> + Into<Event> + Clone>(peer: &mut Peer, step: Transition<Group, O>) -> O {
    let mut events = Vec::new();
    let rows = &mut peer.rows;
    let outcome = apply(&mut peer.group, step, |write| {
        events.extend_from_slice(write.events);
        stored(rows, write.batch)
    });
    let outcome = outcome.unwrap();
    assert_eq!(events, [outcome.clone().into()]);
    outcome
}

/// Applies a step without an outcome, and returns what the write sees.
fn silently(peer: &mut Peer, step: Transition<Group>) -> Vec<Event> {
    let mut events = Vec::new();
    let rows = &mut peer.rows;
    let applied = apply(&mut peer.group, step, |write| {
        events.extend_from_slice(write.events);
        stored(rows, write.batch)
    });
    assert_eq!(applied, Ok(()));
    events
}

#[test]
fn a_write_sees_the_typed_outcome_of_every_step() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let [alice, bob, carol] = &mut peers[..] else { panic!("three") };
    let framing = encrypted();
    let rng = &mut TestRng(1);

    // Messages.
    let step = alice.group.encrypt(&PROVIDER, rng, b"hello", &framing).unwrap();
    let message: Vec<u8> = seen(alice, step);
    let Ok(Received::Application(step)) = bob.group.process(&PROVIDER, NOW, &message) else {
        panic!("no data")
    };
    let read: ApplicationMessage = seen(bob, step);
    assert_eq!(read.data, b"hello");

    // Proposals. The second message holds the same proposal under another key.
    let step = alice.group.propose_update(&PROVIDER, rng, None, &framing).unwrap();
    let update: ProposalMessage = seen(alice, step);
    let remove = || NewProposal::Remove(LeafIndex(2));
    let mut propose = || {
        let step = alice.group.propose(&PROVIDER, rng, NOW, remove(), &framing).unwrap();
        seen(alice, step)
    };

    let first: ProposalMessage = propose();
    let again: ProposalMessage = propose();
    assert_eq!(first.reference, again.reference);

    let receive = |peer: &mut Peer, message: &[u8]| {
        let Ok(Received::Proposal(stage)) = peer.group.process(&PROVIDER, NOW, message) else {
            panic!("no proposal")
        };
        let step = stage.resolve(&peer.group, &[]).unwrap();
        seen(peer, step)
    };

    let sender = Sender::Member(LeafIndex(0));
    let proposal_type = ProposalType::REMOVE;
    let cached = CachedProposal { sender, reference: first.reference, proposal_type };
    for peer in [&mut *bob, &mut *carol] {
        let reference = receive(peer, &update.message).map(|cached| cached.reference);
        assert_eq!(reference.as_ref(), Some(&update.reference));
        assert_eq!(receive(peer, &first.message).as_ref(), Some(&cached));
        assert_eq!(receive(peer, &again.message), None);
    }

    // Commits: given up, made, accepted, received by a member that stays and one that goes.
    let step = bob.try_commit(CommitOptions::default()).unwrap();
    let messages: CommitMessages = seen(bob, step);
    let step = bob.group.commit_rejected(&messages.id).unwrap();
    assert_eq!(silently(bob, step), [Event::Discarded]);

    let step = bob.try_commit(CommitOptions { framing, ..CommitOptions::default() }).unwrap();
    let messages: CommitMessages = seen(bob, step);
    let follow = |peer: &mut Peer| {
        let Ok(Received::Commit(stage)) = peer.group.process(&PROVIDER, NOW, &messages.commit)
        else {
            panic!("no commit")
        };
        let step = stage.resolve(&peer.group, &PROVIDER, NOW, &Answers::default()).unwrap();
        seen(peer, step)
    };

    let theirs: Committed = follow(alice);
    let last: Committed = follow(carol);
    let Ok(Received::OwnCommit(step)) = bob.group.process(&PROVIDER, NOW, &messages.commit) else {
        panic!("not our own")
    };
    let ours: EpochChange = seen(bob, step);
    assert_eq!(theirs, Committed::Epoch(EpochChange { own: false, ..ours }));
    assert!(matches!(last, Committed::Removal(change) if change.removed.len() == 1));

    // Steps without an outcome.
    let step = carol.group.delete().unwrap();
    assert_eq!(silently(carol, step), [Event::Deleted]);

    let step = alice.group.discard_proposals().unwrap();
    assert_eq!(silently(alice, step), [Event::Discarded]);
    let step = alice.group.expire_past_epochs(UnixTime::MAX).unwrap();
    assert_eq!(silently(alice, step), [Event::Discarded]);
    agree(&peers[..2]);
}

#[test]
fn a_begun_write_is_ended_by_its_outcome() {
    let mut peers = group_of(&["alice", "bob"]);
    for (folded, written) in [(false, true), (false, false), (true, true), (true, false)] {
        let Peer { group, rows, rng, .. } = &mut peers[0];
        let step = group.encrypt(&PROVIDER, rng, b"awaited", &Default::default()).unwrap();
        let before = group.rows().unwrap();
        let given_out = if folded {
            let mut fold = group.fold();
            fold.push(step).unwrap();
            let writing = fold.begin();
            let events = writing.write().events.to_vec();
            if written {
                stored(rows, writing.write().batch).unwrap();
                assert_eq!(writing.written(), events);
            } else {
                writing.failed(&NotWritten);
            }
            events
        } else {
            let writing = begin(group, step).unwrap();
            let events = writing.write().events.to_vec();
            if written {
                stored(rows, writing.write().batch).unwrap();
                assert_eq!(events, [Event::Message(writing.written())]);
            } else {
                writing.failed(&NotWritten);
            }
            events
        };

        // A failed step is undone, and the next takes its place.
        assert_eq!(group.rows().unwrap() == before, !written);
        peers[0].check();
        let [Event::Message(message)] = &given_out[..] else { panic!("one message") };
        let next = peers[0].say(b"next");
        if written {
            assert_eq!(peers[1].reads(message).data, b"awaited");
        }
        assert_eq!(peers[1].reads(&next).data, b"next");
    }

    // A step of another state is not begun.
    let Peer { group, rng, .. } = &mut peers[0];
    let stale = group.encrypt(&PROVIDER, rng, b"x", &Default::default()).unwrap();
    peers[0].say(b"y");
    assert_eq!(begin(&mut peers[0].group, stale).map(drop), Err(ApplyError::Stale));
}

#[test]
fn a_begun_write_of_unknown_outcome_blocks_a_group() {
    let mut peers = group_of(&["alice", "bob"]);
    for folded in [false, true] {
        let Peer { group, rng, .. } = &mut peers[0];
        let mut encrypt =
            |group: &Group| group.encrypt(&PROVIDER, rng, b"x", &Default::default()).unwrap();
        let step = encrypt(group);
        if folded {
            let mut fold = group.fold();
            fold.push(step).unwrap();
            fold.begin().failed(&Unknown);
        } else {
            begin(group, step).unwrap().failed(&Unknown);
        }
        let again = encrypt(group);
        assert_eq!(begin(group, again).map(drop), Err(ApplyError::Reload));
        peers[0].reload();
        peers[0].say(b"y");
    }
}

#[test]
fn a_write_of_unknown_outcome_blocks_a_group_until_it_is_loaded() {
    let mut peers = group_of(&["alice", "bob"]);
    for folded in [false, true] {
        let Peer { group, rows, rng, .. } = &mut peers[0];
        let mut encrypt = |group: &Group| {
            group.encrypt(&PROVIDER, rng, b"sent, perhaps", &Default::default()).unwrap()
        };
        let step = encrypt(group);
        let mut sent = Vec::new();
        let written = |write: crate::Write<'_, Event>| {
            write.batch.apply_to(rows);
            sent.extend(write.events.iter().cloned());
            Err::<(), _>(Unknown)
        };
        if folded {
            let mut fold = group.fold();
            fold.push(step).unwrap();
            assert_eq!(fold.commit(written), Err(Unknown));
        } else {
            assert_eq!(apply(group, step, written), Err(ApplyError::Write(Unknown)));
        }

        // The next message would have the generation of the one that was stored.
        let again = encrypt(group);
        let none = |_: crate::Write<'_, _>| -> Result<(), Unknown> { panic!("written") };
        assert_eq!(apply(group, again, none), Err(ApplyError::Reload));
        let again = encrypt(group);
        assert_eq!(group.fold().push(again), Err(ApplyError::Reload));

        peers[0].reload();
        let [Event::Message(sent)] = sent.as_slice() else { panic!("one message") };
        let next = peers[0].say(b"the next");
        let first = peers[1].reads(sent).generation;
        assert_eq!(peers[1].reads(&next).generation, first + 1);
    }
}

#[test]
fn a_write_that_panics_blocks_a_group_until_it_is_loaded() {
    let mut peers = group_of(&["alice", "bob"]);
    for folded in [false, true] {
        let Peer { group, rng, .. } = &mut peers[0];
        let mut encrypt =
            |group: &Group| group.encrypt(&PROVIDER, rng, b"x", &Default::default()).unwrap();
        let step = encrypt(group);
        let panics = |_: crate::Write<'_, _>| -> Result<(), NotWritten> { panic!("no database") };
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            if folded {
                let mut fold = group.fold();
                fold.push(step).unwrap();
                drop(fold.commit(panics));
            } else {
                drop(apply(group, step, panics));
            }
        }));
        assert!(caught.is_err());

        let again = encrypt(group);
        assert_eq!(apply(group, again, |_| Ok::<_, NotWritten>(())), Err(ApplyError::Reload));
        peers[0].reload();
        peers[0].say(b"y");
    }
}

#[test]
fn a_step_from_an_earlier_state_is_stale() {
    let mut peers = group_of(&["alice", "bob"]);
    let first = peers[0].say(b"1");
    let second = peers[0].say(b"2");
    let one = peers[1].process(&first).unwrap().unwrap();
    let two = peers[1].process(&second);
    peers[1].take(one);
    let late = two.unwrap().unwrap();
    let late =
        apply(&mut peers[1].group, late, |_| -> Result<(), NotWritten> { panic!("written") });
    assert_eq!(late, Err(ApplyError::Stale));
    peers[1].check();
    assert_eq!(peers[1].reads(&second).data, b"2");
}

#[test]
fn a_stale_stage_consumes_no_key() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let said = peers[2].say(b"in between");
    let proposal = peers[0].propose(NewProposal::Remove(LeafIndex(2)), &encrypted());
    let options = CommitOptions { framing: encrypted(), ..CommitOptions::default() };
    let commit = peers[0].commit(CommitOptions { received: false, ..options }).commit;
    let process = |message: &[u8]| peers[1].group.process(&PROVIDER, NOW, message).unwrap();
    let (Received::Proposal(proposal_stage), Received::Commit(commit_stage)) =
        (process(&proposal), process(&commit))
    else {
        panic!("neither")
    };
    peers[1].reads(&said);

    let group = &peers[1].group;
    for refused in [
        proposal_stage.resolve(group, &[]).unwrap_err(),
        commit_stage.resolve(group, &PROVIDER, NOW, &Default::default()).unwrap_err(),
    ] {
        assert_eq!(refused.error, Misuse::Stale.into());
        assert!(refused.key_deletion.is_none());
    }

    peers[1].receive(&proposal);
    peers[1].receive(&commit);
}

#[test]
fn steps_and_stages_of_another_group_are_stale() {
    let mut alice = Peer::found_with("alice", Config::default(), b"one");
    let mut other = Peer::found_with("alice", Config::default(), b"two");
    let rng = &mut alice.rng;
    let step = alice.group.encrypt(&PROVIDER, rng, b"x", &Default::default()).unwrap();
    assert_eq!(apply(&mut other.group, step, |_| Ok::<_, NotWritten>(())), Err(ApplyError::Stale));
    let step = alice.group.encrypt(&PROVIDER, rng, b"x", &Default::default()).unwrap();
    assert_eq!(other.group.fold().push(step), Err(ApplyError::Stale));
    other.check();
}

/// Everything is undone and can be done again.
#[test]
fn a_fold_whose_write_fails_undoes_all_its_steps() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let mut messages: Vec<_> = (0..100u8).map(|n| peers[usize::from(n % 2)].say(&[n])).collect();

    // Out of order, so that keys are skipped and used later.
    messages.reverse();
    let proposal = peers[0].propose(NewProposal::Remove(LeafIndex(1)), &encrypted());
    messages.push(proposal.clone());
    peers[1].receive(&proposal);
    let options = CommitOptions { framing: encrypted(), ..CommitOptions::default() };
    messages.push(peers[0].commit(options).commit);
    peers[0].accepted();
    messages.extend((0..10u8).map(|n| peers[0].say(&[n])));

    let carol = &mut peers[2];
    let before = carol.rows.clone();
    let epoch = carol.group.epoch();
    for fails in [true, false] {
        let rows = &mut carol.rows;
        let mut fold = carol.group.fold();
        for message in &messages {
            let step = process_in(fold.state(), message);
            fold.push(step).unwrap();
        }
        assert_eq!(fold.state().epoch(), epoch.next().unwrap());
        let written = fold.commit(|write| {
            if fails {
                return Err(NotWritten);
            }
            stored(rows, write.batch).map_err(|never| match never {})
        });
        let expected = if fails { Err(NotWritten) } else { Ok(messages.len()) };
        assert_eq!(written.map(|events| events.len()), expected);
        carol.check();
        if fails {
            assert_eq!((&carol.rows, carol.group.epoch()), (&before, epoch));
        }
    }

    carol.reload();
    peers.remove(1);
    agree(&peers);
}

fn process_in(group: &Group, message: &[u8]) -> Transition<Group, Event> {
    match group.process(&PROVIDER, NOW, message).unwrap() {
        Received::Application(step) => step.untyped(),
        Received::Proposal(stage) => stage.resolve(group, &[]).unwrap().untyped(),
        Received::Commit(stage) => {
            stage.resolve(group, &PROVIDER, NOW, &Default::default()).unwrap().untyped()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_step_computed_in_an_undone_fold_is_stale() {
    let mut peers = group_of(&["alice", "bob"]);
    let first = peers[0].say(b"1");
    let second = peers[0].say(b"2");
    let one = peers[1].process(&first).unwrap().unwrap();
    let before = peers[1].process(&second).unwrap().unwrap();
    let mut fold = peers[1].group.fold();
    fold.push(one).unwrap();

    let inside = process_in(fold.state(), &second);
    drop(fold);
    let none = |_: crate::Write<'_, _>| Ok::<_, NotWritten>(());
    assert_eq!(apply(&mut peers[1].group, inside, none), Err(ApplyError::Stale));

    // A step from before the fold is still valid.
    peers[1].take(before);
}
