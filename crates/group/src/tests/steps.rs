//! The discipline of steps: computed apart, written first, applied then.

extern crate std;

use super::fixture::*;
use crate::{
    ApplyError, CommitOptions, Config, Event, Group, Misuse, NewProposal, Received, apply,
};
use alloc::vec::Vec;
use conclave_wire::LeafIndex;

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

/// The write happened and failed all the same, as a lost connection makes it seem.
#[derive(Debug, PartialEq)]
struct Unknown;

impl crate::WriteError for Unknown {
    fn may_have_written(&self) -> bool {
        true
    }
}

#[test]
fn after_a_write_of_unknown_outcome_a_group_takes_no_step_until_it_is_loaded() {
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
fn after_a_write_that_panics_a_group_takes_no_step_until_it_is_loaded() {
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
    let (first, second) = (peers[0].say(b"1"), peers[0].say(b"2"));
    let (one, two) = (peers[1].process(&first).unwrap().unwrap(), peers[1].process(&second));
    peers[1].take(one);
    let late = two.unwrap().unwrap();
    let late =
        apply(&mut peers[1].group, late, |_| -> Result<(), NotWritten> { panic!("written") });
    assert_eq!(late, Err(ApplyError::Stale));
    peers[1].check();
    assert_eq!(peers[1].reads(&second).data, b"2");
}

#[test]
fn a_stage_from_an_earlier_state_is_stale_and_costs_no_key() {
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

/// Everything is undone, and can be done again.
#[test]
fn a_fold_whose_write_fails_undoes_all_and_the_messages_can_be_processed_again() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let mut messages: Vec<_> = (0..100u8).map(|n| peers[usize::from(n % 2)].say(&[n])).collect();
    // Out of order, too, so that keys are skipped and used.
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

fn process_in(group: &Group, message: &[u8]) -> crate::Transition<Group> {
    match group.process(&PROVIDER, NOW, message).unwrap() {
        Received::Application(step) => step,
        Received::Proposal(stage) => stage.resolve(group, &[]).unwrap(),
        Received::Commit(stage) => {
            stage.resolve(group, &PROVIDER, NOW, &Default::default()).unwrap()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_step_that_was_computed_in_a_fold_is_stale_when_that_was_undone() {
    let mut peers = group_of(&["alice", "bob"]);
    let (first, second) = (peers[0].say(b"1"), peers[0].say(b"2"));
    let one = peers[1].process(&first).unwrap().unwrap();
    let before = peers[1].process(&second).unwrap().unwrap();
    let mut fold = peers[1].group.fold();
    fold.push(one).unwrap();
    let inside = process_in(fold.state(), &second);
    drop(fold);
    let none = |_: crate::Write<'_, _>| Ok::<_, NotWritten>(());
    assert_eq!(apply(&mut peers[1].group, inside, none), Err(ApplyError::Stale));
    // One from before the fold is still good.
    peers[1].take(before);
}
