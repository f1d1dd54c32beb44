//! Messages to a live member and to an observer.

use super::built;
use super::forged::{Forged, forged, proposal_list};
use super::input::Input;
use super::stage::{self, GROUP, Stage, TIME};
use crate::SeededRng;
use crate::party::{ALL, NotWritten, PROVIDER, Rows, SUITE, pending_id};
use conclave_crypto::{Secret, Suite};
use conclave_group::rows::Batch;
use conclave_group::{
    Answers, CommitOptions, Error, Event, Fold, Framing, Group, NewProposal, Observer,
    ObserverStage, Received, Refused, State, Transition, ValidKeyPackage, Verdict,
};
use conclave_tree::RatchetTree;
use conclave_wire::{Decode, GroupInfo, PreSharedKeyId, Proposal, PskType, ResumptionPskUsage};

/// How many messages one run delivers, each to the state after the last.
const MESSAGES: usize = 4;

/// What a message leads to at a member, all credentials accepted and all PSKs known.
pub(super) fn received(
    group: &Group,
    message: &[u8],
) -> Result<Option<Transition<Group>>, Refused> {
    Ok(Some(match group.process(&PROVIDER, TIME, message)? {
        Received::Application(step) | Received::OwnCommit(step) => step,
        Received::Known => return Ok(None),
        Received::Proposal(stage) => {
            let verdicts = vec![Verdict::Accept; stage.credentials().len()];
            stage.resolve(group, &verdicts)?
        }
        Received::Commit(stage) => {
            let verdicts = vec![Verdict::Accept; stage.credentials().len()];
            let psks = stage.psks().iter().map(known).collect();
            stage.resolve(group, &PROVIDER, TIME, &Answers { verdicts, psks })?
        }
    }))
}

/// Everybody knows every PSK: it is zero.
fn known(id: &PreSharedKeyId) -> (PskType, Secret) {
    (id.psktype.clone(), Secret::zero(32))
}

/// What a public message leads to at an observer, all credentials accepted.
pub(super) fn observed(observer: &Observer, message: &[u8]) -> Result<Transition<Observer>, Error> {
    let stage = observer.process(&PROVIDER, message)?;
    let verdicts = vec![Verdict::Accept; stage.credentials().len()];
    stage.resolve(observer, &PROVIDER, &verdicts)
}

/// Undoes a fold. Until then, what it would have written and the state have to be one, and what is
/// cached has to be what can be computed.
fn undo<S: State>(
    fold: Fold<'_, S>,
    mut stored: Rows,
    all: impl Fn(&S) -> Result<Batch, Error>,
    tree: impl Fn(&S) -> &RatchetTree,
) {
    let suite = Suite::new(&PROVIDER, SUITE).expect("suite 1");
    tree(fold.state()).check_caches(&suite).expect("cached values are right");
    let mut rows = Rows::new();
    all(fold.state()).expect("rows").apply_to(&mut rows);
    let undone = fold.commit(|write| {
        write.batch.apply_to(&mut stored);
        Err::<(), _>(NotWritten)
    });
    assert!(undone.is_err());
    assert_eq!(stored, rows, "what would be stored is not what the state is");
}

/// What became of a message.
#[derive(PartialEq, Eq)]
enum Taken {
    /// It changed nothing.
    Nothing,
    /// It was refused and its key deleted.
    Key,
    /// It was accepted.
    Message,
}

/// Gives a member a message and takes the step that it leads to.
fn take(fold: &mut Fold<'_, Group>, forged: &Forged) -> Taken {
    let (step, taken) = match received(fold.state(), &forged.message) {
        Ok(step) => (step, Taken::Message),
        Err(refused) => (refused.key_deletion.map(|step| *step), Taken::Key),
    };
    let Some(step) = step else { return Taken::Nothing };
    let epoch = fold.state().epoch();
    fold.push(step).expect("computed from this state");
    if taken == Taken::Message {
        assert!(!forged.edited, "an edited message was accepted");
        let moved = fold.state().epoch() != epoch;
        assert!(!moved || !forged.unconfirmed, "a commit that nobody confirms was accepted");
    }
    taken
}

/// Gives a live member messages, one after the other: real ones, edited, and any that an insider can
/// make. No edited one is accepted, and no commit without the next epoch's secrets; rows and state
/// stay one.
pub fn process(bytes: &[u8]) {
    stage::with(|stage| {
        let mut input = Input(bytes);
        let mut messages = Vec::new();
        while !input.is_empty() && messages.len() < MESSAGES {
            messages.extend(forged(stage, input.byte(), input.chunk()));
        }
        let bob = &mut stage.bob;
        let mut fold = bob.group.fold();
        let mut steps = 0;
        for message in messages {
            steps += usize::from(take(&mut fold, &message) != Taken::Nothing);
        }
        if steps > 0 {
            undo(fold, bob.rows.clone(), Group::rows, Group::tree);
            bob.check();
        }
    });
}

/// Gives a live member and an observer whatever a member can sign. What a member accepts in public,
/// an observer does; what a member can commit, the others accept, and arrive where it does.
pub fn insider(bytes: &[u8]) {
    stage::with(|stage| {
        let mut input = Input(bytes);
        let kind = input.byte();
        if kind % 8 < 2 {
            return honest(stage, kind / 8, &mut input);
        }
        let Some(forged) = forged(stage, kind, input.0) else { return };
        let taken = take(&mut stage.bob.group.fold(), &forged);
        let observed = observed(&stage.observer, &forged.message);
        if forged.public && taken == Taken::Message {
            assert!(observed.is_ok(), "an observer refuses what a member accepts: {observed:?}");
        }
    });
}

/// The proposal, as one asks for it.
fn wanted(proposal: Proposal) -> Option<NewProposal> {
    Some(match proposal {
        Proposal::Add(package) => {
            let stage = ValidKeyPackage::check(&PROVIDER, TIME, &stage::config(), *package).ok()?;
            NewProposal::Add(Box::new(stage.resolve(Verdict::Accept).ok()?))
        }
        Proposal::Remove(leaf) => NewProposal::Remove(leaf),
        Proposal::ReInit(reinit) => NewProposal::ReInit(reinit),
        Proposal::GroupContextExtensions(list) => NewProposal::GroupContextExtensions(list),
        Proposal::Custom { proposal_type, body } => NewProposal::Custom { proposal_type, body },
        Proposal::PreSharedKey(PreSharedKeyId { psktype, .. }) => match psktype {
            PskType::External { psk_id } => NewProposal::ExternalPsk { psk_id },
            PskType::Resumption { psk_group_id: group_id, psk_epoch: epoch, .. } => {
                NewProposal::ResumptionPsk { group_id, epoch }
            }
        },
        _ => return None,
    })
}

/// The PSKs that proposals name, as a committer provides them.
fn provided(proposals: &[NewProposal]) -> Vec<(PskType, Secret)> {
    let usage = ResumptionPskUsage::Application;
    let psks = proposals.iter().filter_map(|proposal| match proposal.clone() {
        NewProposal::ExternalPsk { psk_id } => Some(PskType::External { psk_id }),
        NewProposal::ResumptionPsk { group_id, epoch } if *group_id != *GROUP => {
            Some(PskType::Resumption { usage, psk_group_id: group_id, psk_epoch: epoch })
        }
        _ => None,
    });
    psks.map(|psk| (psk, Secret::zero(32))).collect()
}

/// Lets alice commit what the bytes list. If she can, the others accept it.
fn honest(stage: &mut Stage, flags: u8, input: &mut Input<'_>) {
    let proposals: Vec<_> = proposal_list(stage, input).into_iter().filter_map(wanted).collect();
    let encrypt = flags & 1 != 0;
    let options = CommitOptions {
        psks: provided(&proposals),
        proposals,
        received: flags & 2 == 0,
        force_path: flags & 4 != 0,
        framing: Framing { encrypt, ..Framing::default() },
        welcome_ratchet_tree: flags & 8 == 0,
        group_info: (flags & 16 != 0).then_some(ALL),
        ..CommitOptions::default()
    };
    let alice = &mut stage.alice;
    let mut rng = SeededRng::from_u64(0);
    let Ok(step) = alice.group.commit(&PROVIDER, &mut rng, TIME, options) else { return };
    let mut fold = alice.group.fold();
    fold.push(step).expect("computed from this state");
    let step = fold
        .state()
        .commit_accepted(&PROVIDER, TIME, &pending_id(fold.state()))
        .expect("an own commit is accepted");
    fold.push(step).expect("computed from this state");
    let authenticator = fold.state().epoch_authenticator().expect("a member").clone();
    let mut commit = Vec::new();
    let _ = fold.commit(|write| {
        if let Some(Event::Commit(messages)) = write.events.first() {
            commit = messages.commit.clone();
        }
        Err::<(), _>(NotWritten)
    });
    alice.check();
    let bob = &mut stage.bob;
    let step = received(&bob.group, &commit).expect("a member accepts what a member commits");
    let before = bob.group.epoch();
    let mut fold = bob.group.fold();
    fold.push(step.expect("a new commit")).expect("computed from this state");
    // Whoever is removed stays where it is.
    if fold.state().epoch() != before {
        let here = fold.state().epoch_authenticator().expect("a member");
        assert_eq!(*here, authenticator, "the members part");
    }
    undo(fold, bob.rows.clone(), Group::rows, Group::tree);
    if !encrypt {
        let observed = observed(&stage.observer, &commit);
        assert!(observed.is_ok(), "an observer refuses what a member commits: {observed:?}");
    }
}

/// Gives an observer messages, one after the other, as [`process`] does to a member, and GroupInfos
/// that a member signed. Its rows and state stay one.
pub fn observer(bytes: &[u8]) {
    stage::with(|stage| {
        let mut input = Input(bytes);
        let mut given = Vec::new();
        while !input.is_empty() && given.len() < MESSAGES {
            let kind = input.byte();
            let body = input.chunk();
            given.extend(match kind % 8 {
                3 => Some((group_info(stage, body), true)),
                4 => Some((body.to_vec(), true)),
                _ => forged(stage, kind, body).map(|forged| (forged.message, false)),
            });
        }
        let stored = stage::observer_rows(&stage.observer);
        let mut fold = stage.observer.fold();
        let mut steps = 0;
        for (message, info) in given {
            let step = match info {
                true => taken(fold.state(), &message),
                false => observed(fold.state(), &message).ok(),
            };
            if let Some(step) = step {
                fold.push(step).expect("computed from this state");
                steps += 1;
            }
        }
        if steps > 0 {
            undo(fold, stored.clone(), Observer::rows, Observer::tree);
            assert_eq!(stage::observer_rows(&stage.observer), stored);
        }
    });
}

/// A GroupInfo, signed by a member.
fn group_info(stage: &Stage, bytes: &[u8]) -> Vec<u8> {
    let mut info = GroupInfo::from_bytes(bytes)
        .unwrap_or_else(|_| built::group_info(stage, &mut Input(bytes), &stage.info));
    info.signer = stage.insider.own_leaf;
    stage.insider.group_info(&PROVIDER, info)
}

/// Takes a GroupInfo, and opens it as one who does not know the group.
fn taken(observer: &Observer, message: &[u8]) -> Option<Transition<Observer>> {
    if let Ok(stage) = ObserverStage::open(&PROVIDER, stage::config(), message, None) {
        let verdicts = vec![Verdict::Accept; stage.credentials().len()];
        let other = stage.resolve(&verdicts).expect("accepted");
        let suite = Suite::new(&PROVIDER, SUITE).expect("suite 1");
        other.tree().check_caches(&suite).expect("cached values are right");
        reloads(&other);
    }
    observer.take_group_info(&PROVIDER, message).ok()
}

/// That an observer is what its rows say.
fn reloads(observer: &Observer) {
    let rows = stage::observer_rows(observer);
    let again = Observer::load(&PROVIDER, stage::config(), rows.clone()).expect("its own rows");
    assert_eq!(stage::observer_rows(&again), rows);
}
