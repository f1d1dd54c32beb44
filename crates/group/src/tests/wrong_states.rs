//! A step or stage fits only the state that it was computed from. Each kind is tried on every state
//! that looks like it: a later one, the same rows loaded again, another member's, the next epoch's,
//! another group's.

use super::fixture::*;
use crate::{
    Answers, ApplyError, CommitOptions, Config, Event, Framing, Group, Misuse, NewProposal,
    Observer, Outcome, Received, State, Transition, apply, begin,
};
use alloc::vec;
use alloc::vec::Vec;
use conclave_wire::{LeafIndex, UnixTime};

const CAROL: LeafIndex = LeafIndex(2);

/// Alice, Bob and Carol, with a past epoch, and messages of Alice that Bob has not seen.
struct Scene {
    peers: Vec<Peer>,
    said: Vec<u8>,
    proposal: Vec<u8>,
    commit: Vec<u8>,
    /// An encrypted and signed commit that breaks a rule.
    forbidden: Vec<u8>,
}

impl Scene {
    fn new() -> Self {
        let mut peers = group_of(&["alice", "bob", "carol"]);
        commits(&mut peers, 0, CommitOptions::default());
        peers[1].checkpoint();
        let alice = &mut peers[0];
        let said = alice.say(b"hello");
        let forbidden = alice.forge_commit(
            vec![conclave_wire::ProposalOrRef::Proposal(conclave_wire::Proposal::Remove(
                LeafIndex(0),
            ))],
            &encrypted(),
        );

        let proposal = alice.propose(NewProposal::Remove(CAROL), &encrypted());
        let commit = alice.commit(CommitOptions { received: false, ..CommitOptions::default() });
        Self { peers, said, proposal, commit: commit.commit, forbidden }
    }

    /// The stages of Alice's proposal and commit.
    fn stages(&self, group: &Group) -> (crate::ProposalStage, crate::CommitStage) {
        let process = |message: &[u8]| group.process(&PROVIDER, NOW, message).unwrap();
        match (process(&self.proposal), process(&self.commit)) {
            (Received::Proposal(proposal), Received::Commit(commit)) => (proposal, commit),
            other => panic!("{other:?}"),
        }
    }

    /// Every kind of step that a member can compute while no commit of its own is pending.
    fn steps(&self, group: &Group) -> Vec<(&'static str, Transition<Group, Event>)> {
        let rng = &mut TestRng(1);
        let framing = Framing::default();
        let remove = NewProposal::Remove(CAROL);
        let Ok(Received::Application(read)) = group.process(&PROVIDER, NOW, &self.said) else {
            panic!("no data")
        };
        let (proposal, commit) = self.stages(group);

        let refused = group.process(&PROVIDER, NOW, &self.forbidden).unwrap_err();
        vec![
            ("encrypt", group.encrypt(&PROVIDER, rng, b"x", &framing).unwrap().untyped()),
            ("propose", group.propose(&PROVIDER, rng, NOW, remove, &framing).unwrap().untyped()),
            (
                "propose_update",
                group.propose_update(&PROVIDER, rng, None, &framing).unwrap().untyped(),
            ),
            (
                "commit",
                group.commit(&PROVIDER, rng, NOW, CommitOptions::default()).unwrap().untyped(),
            ),
            ("discard_proposals", group.discard_proposals().unwrap().untyped()),
            ("expire_past_epochs", group.expire_past_epochs(UnixTime::MAX).unwrap().untyped()),
            ("checkpoint", group.checkpoint().unwrap().untyped()),
            ("rewind", group.rewind(&PROVIDER, group.epoch()).unwrap().untyped()),
            ("drop_checkpoint", group.drop_checkpoint(group.epoch()).unwrap().untyped()),
            ("delete", group.delete().unwrap().untyped()),
            ("read", read.untyped()),
            ("proposal", proposal.resolve(group, &[]).unwrap().untyped()),
            (
                "commit of another",
                commit.resolve(group, &PROVIDER, NOW, &Answers::default()).unwrap().untyped(),
            ),
            ("key deletion", refused.key_deletion.unwrap().untyped()),
        ]
    }

    /// Every state that looks like `of` and is another.
    fn wrong_states(of: &Peer) -> Vec<(&'static str, Group)> {
        let mut later = of.twin();
        later.say(b"one more");
        let mut next = of.twin();
        if next.group.pending_commit().is_none() {
            next.commit(CommitOptions::default());
        }

        next.accepted();
        let mut others = Self::new().peers;
        vec![
            ("the same rows loaded again", of.twin().group),
            ("a later state loaded again", later.twin().group),
            ("a later state", later.group),
            ("the next epoch", next.group),
            ("another member", others.remove(0).group),
            ("the same member in another group", others.remove(0).group),
        ]
    }
}

fn refuses_all<S: State<Event: Outcome<S::Event>>>(
    what: &str,
    state: &mut S,
    steps: Vec<(&'static str, Transition<S, S::Event>)>,
) {
    for (step, transition) in steps {
        let applied = apply(state, transition, |_| -> Result<(), NotWritten> { panic!("written") });
        assert_eq!(applied.err(), Some(ApplyError::Stale), "{step}, taken to {what}");
    }
}

/// Begins to write a step, or a fold of it, and stores its rows, but drops the write before it has
/// ended.
fn begins_and_drops(peer: &mut Peer, step: Transition<Group, Event>, folded: bool) {
    if folded {
        let mut fold = peer.group.fold();
        fold.push(step).unwrap();
        let writing = fold.begin();
        stored(&mut peer.rows, writing.write().batch).unwrap();
    } else {
        let writing = begin(&mut peer.group, step).unwrap();
        stored(&mut peer.rows, writing.write().batch).unwrap();
    }
}

#[test]
fn a_dropped_write_blocks_a_group_until_it_is_loaded() {
    for folded in [false, true] {
        let mut scene = Scene::new();
        let before = scene.peers[1].all_rows();
        let (_, step) = scene.steps(&scene.peers[1].group).swap_remove(0);
        begins_and_drops(&mut scene.peers[1], step, folded);
        // Memory is as it was, and may be behind what is stored.
        assert_eq!(scene.peers[1].all_rows(), before);
        assert_ne!(scene.peers[1].rows, before);

        let reload = Some(ApplyError::Reload);
        let steps = || scene.steps(&scene.peers[1].group);
        let applied = steps();
        let begun = steps();
        let pushed = steps();
        let group = &mut scene.peers[1].group;
        for (what, step) in applied {
            let applied = apply(group, step, |_| -> Result<(), NotWritten> { panic!("written") });
            assert_eq!(applied.err(), reload, "{what}, applied");
        }
        for (what, step) in begun {
            let begun = begin(group, step).map(drop);
            assert_eq!(begun, Err(ApplyError::Reload), "{what}, begun");
        }
        for (what, step) in pushed {
            assert_eq!(group.fold().push(step), Err(ApplyError::Reload), "{what}, pushed");
        }

        // The stored step has used a generation, which is not used again.
        scene.peers[1].reload();
        let message = scene.peers[1].say(b"after loading");
        assert_eq!(scene.peers[0].reads(&message).generation, 1);
    }
}

#[test]
fn a_step_fits_only_the_state_it_was_computed_from() {
    let scene = Scene::new();
    let bob = &scene.peers[1];
    for (what, mut wrong) in Scene::wrong_states(bob) {
        let before = wrong.rows().unwrap();
        refuses_all(what, &mut wrong, scene.steps(&bob.group));
        for (step, transition) in scene.steps(&bob.group) {
            let pushed = wrong.fold().push(transition);
            assert_eq!(pushed, Err(ApplyError::Stale), "{step}, folded into {what}");
        }
        assert_eq!(wrong.rows().unwrap(), before, "{what}");
    }

    // Each can be applied to the right state.
    for place in 0..scene.steps(&bob.group).len() {
        let mut scene = Scene::new();
        let (_, step) = scene.steps(&scene.peers[1].group).swap_remove(place);
        scene.peers[1].take(step);
    }
}

#[test]
fn a_verdict_fits_only_the_state_it_was_computed_from() {
    let mut scene = Scene::new();
    let own = scene.peers[1].commit(CommitOptions::default());
    scene.peers[1].reload();
    let bob = &scene.peers[1];
    let steps = || {
        let Ok(Received::OwnCommit(echo)) = bob.group.process(&PROVIDER, NOW, &own.commit) else {
            panic!("not its own")
        };
        vec![
            (
                "commit_accepted",
                bob.group.commit_accepted(&PROVIDER, NOW, &own.id).unwrap().untyped(),
            ),
            ("commit_rejected", bob.group.commit_rejected(&own.id).unwrap().untyped()),
            ("our own commit that comes back", echo.untyped()),
        ]
    };

    for (what, mut wrong) in Scene::wrong_states(bob) {
        refuses_all(what, &mut wrong, steps());
    }
}

#[test]
fn a_stage_fits_only_the_state_it_was_computed_from() {
    let scene = Scene::new();
    let bob = &scene.peers[1];
    for (what, wrong) in Scene::wrong_states(bob) {
        let (proposal, commit) = scene.stages(&bob.group);
        let (refused_proposal, refused_commit) = scene.stages(&bob.group);
        for refused in [
            proposal.resolve(&wrong, &[]).unwrap_err(),
            commit.resolve(&wrong, &PROVIDER, NOW, &Answers::default()).unwrap_err(),
            refused_proposal.refuse(&wrong, "no"),
            refused_commit.refuse(&wrong, "no"),
        ] {
            assert_eq!(refused.error, Misuse::Stale.into(), "{what}");
            assert!(refused.key_deletion.is_none(), "{what}");
        }
    }
}

#[test]
fn an_observers_steps_and_stages_fit_only_its_own_state() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let observer = observer_of(&peers[0]);
    let load = || {
        let mut rows = Rows::new();
        observer.rows().unwrap().apply_to(&mut rows);
        Observer::load(&PROVIDER, Config::default(), rows).unwrap()
    };
    let info = peers[0].group.group_info(&PROVIDER, ALL).unwrap();

    let proposal = peers[2].propose(NewProposal::Remove(LeafIndex(1)), &Framing::default());
    let [first, second] =
        [0, 1].map(|who: usize| peers[who].commit(CommitOptions::default()).commit);
    let stage = |message: &[u8]| observer.process(&PROVIDER, message).unwrap();
    let steps = || {
        let resolve = |message: &[u8]| {
            stage(message).resolve(&observer, &PROVIDER, &Answers::default()).unwrap()
        };
        vec![
            ("proposal", resolve(&proposal)),
            ("commit", resolve(&first)),
            ("GroupInfo", observer.take_group_info(&PROVIDER, &info).unwrap().untyped()),
        ]
    };

    let mut later = load();
    let step = later.process(&PROVIDER, &proposal).unwrap().resolve(
        &later,
        &PROVIDER,
        &Answers::default(),
    );
    apply(&mut later, step.unwrap(), |_| Ok::<_, NotWritten>(())).unwrap();

    // One commit of the epoch was applied in between. The other may not follow.
    let mut next = load();
    let step =
        next.process(&PROVIDER, &second).unwrap().resolve(&next, &PROVIDER, &Answers::default());
    apply(&mut next, step.unwrap(), |_| Ok::<_, NotWritten>(())).unwrap();
    let other = observer_of(&Peer::found_with("alice", Config::default(), b"another group"));
    let wrong = [
        ("the same rows loaded again", load()),
        ("a later state", later),
        ("the next epoch", next),
        ("another group", other),
    ];

    for (what, mut wrong) in wrong {
        for message in [&proposal, &first] {
            let error = stage(message).resolve(&wrong, &PROVIDER, &Answers::default()).unwrap_err();
            assert_eq!(error, Misuse::Stale.into(), "{what}");
        }
        refuses_all(what, &mut wrong, steps());
    }
}
