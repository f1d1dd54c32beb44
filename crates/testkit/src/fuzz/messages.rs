//! Messages to a live member and to an observer.

use super::built;
use super::forged::{Forged, forged, proposal_list};
use super::input::Input;
use super::stage::{self, GROUP, Stage};
use crate::party::{ALL, NOW, NotWritten, PROVIDER, Rows, SUITE, pending_id, rows_of};
use crate::{SeededRng, accepting};
use conclave_crypto::{Secret, Suite};
use conclave_group::rows::Batch;
use conclave_group::{
    CommitOptions, Error, Event, Fold, Framing, Group, NewProposal, Observer, ObserverEvent,
    Refused, State, Transition, ValidKeyPackage, Verdict,
};
use conclave_tree::RatchetTree;
use conclave_wire::{Decode, GroupInfo, PreSharedKeyId, Proposal, PskType, ResumptionPskUsage};

/// How many messages one run delivers, each to the state after the last.
const MESSAGES: usize = 4;

/// The step that a message leads a member to. All clients know every PSK: it is zero.
pub(super) fn received(
    group: &Group,
    message: &[u8],
) -> Result<Option<Transition<Group, Event>>, Refused> {
    accepting::process(group, &PROVIDER, NOW, message, accepting::same_psk(&[0; 32]))
}

/// The step that a public message leads an observer to.
pub(super) fn observed(
    observer: &Observer,
    message: &[u8],
) -> Result<Transition<Observer, ObserverEvent>, Error> {
    accepting::observe(observer, &PROVIDER, message)
}

/// Undoes a fold, after a check that the rows which it would write are those of the state, and that
/// cached values are right.
fn undo<S: State>(
    fold: Fold<'_, S>,
    mut stored: Rows,
    all: impl Fn(&S) -> Result<Batch, Error>,
    tree: impl Fn(&S) -> &RatchetTree,
) {
    let suite = Suite::new(&PROVIDER, SUITE).expect("suite 1");
    tree(fold.state()).check_caches(&suite).expect("cached values are right");
    let rows = rows_of(all(fold.state()));
    let undone = fold.commit(|write| {
        write.batch.apply_to(&mut stored);
        Err::<(), _>(NotWritten)
    });
    assert!(undone.is_err());
    assert_eq!(stored, rows, "the rows to write are not those of the state");
}

/// The outcome of a message.
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
        Err(refused) => (refused.key_deletion.map(|step| step.untyped()), Taken::Key),
    };
    let Some(step) = step else { return Taken::Nothing };

    let epoch = fold.state().epoch();
    fold.push(step).expect("computed from this state");
    if taken == Taken::Message {
        assert!(!forged.edited, "an edited message was accepted");
        let moved = fold.state().epoch() != epoch;
        assert!(!moved || !forged.unconfirmed, "a commit without a confirmation was accepted");
    }
    taken
}

/// Gives a live member messages, one after the other: real ones, edited ones, and any that an insider
/// can make. The member accepts no edited message and no commit made without the next epoch's
/// secrets, and its rows stay those of its state.
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

/// Gives a live member and an observer anything that a member can sign. An observer accepts every
/// public message that a member accepts. The others accept whatever a member can commit, and reach
/// the same epoch.
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

/// A proposal as its proposer asks for it.
fn wanted(proposal: Proposal) -> Option<NewProposal> {
    Some(match proposal {
        Proposal::Add(package) => {
            let stage = ValidKeyPackage::check(&PROVIDER, NOW, &stage::config(), *package).ok()?;
            NewProposal::Add(Box::new(stage.resolve(Verdict::Accept).ok()?))
        }
        Proposal::Remove(leaf) => NewProposal::Remove(leaf),
        Proposal::ReInit(reinit) => NewProposal::ReInit(reinit),
        Proposal::GroupContextExtensions(list) => NewProposal::GroupContextExtensions(list),
        Proposal::Custom { proposal_type, body } => NewProposal::Custom { proposal_type, body },
        Proposal::PreSharedKey(PreSharedKeyId { psktype, .. }) => match psktype {
            PskType::External { psk_id } => NewProposal::ExternalPsk { psk_id },
            PskType::Application { component_id, psk_id } => {
                NewProposal::ApplicationPsk { component_id, psk_id }
            }
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
        NewProposal::ApplicationPsk { component_id, psk_id } => {
            Some(PskType::Application { component_id, psk_id })
        }
        NewProposal::ResumptionPsk { group_id, epoch } if *group_id != *GROUP => {
            Some(PskType::Resumption { usage, psk_group_id: group_id, psk_epoch: epoch })
        }
        _ => None,
    });
    psks.map(|psk| (psk, Secret::zero(32))).collect()
}

/// Lets alice commit the proposals that the bytes list. If she can, the others accept the commit.
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
    let Ok(step) = alice.group.commit(&PROVIDER, &mut rng, NOW, options) else { return };
    let mut fold = alice.group.fold();
    fold.push(step).expect("computed from this state");
    let id = pending_id(fold.state());
    let step = fold.state().commit_accepted(&PROVIDER, NOW, &id);
    fold.push(step.expect("it accepts its own commit")).expect("computed from this state");
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
    // A removed member stays in its epoch.
    if fold.state().epoch() != before {
        let here = fold.state().epoch_authenticator().expect("a member");
        assert_eq!(*here, authenticator, "the members disagree");
    }
    undo(fold, bob.rows.clone(), Group::rows, Group::tree);

    if !encrypt {
        let observed = observed(&stage.observer, &commit);
        assert!(observed.is_ok(), "an observer refuses what a member commits: {observed:?}");
    }
}

/// Gives an observer messages, one after the other, as [`process`] gives them to a member, and
/// GroupInfos that a member signed. The observer's rows stay those of its state.
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

        let stored = rows_of(stage.observer.rows());
        let mut fold = stage.observer.fold();
        let mut steps = 0;
        for (message, info) in given {
            let pushed = if info {
                taken(fold.state(), &message).map(|step| fold.push(step))
            } else {
                observed(fold.state(), &message).ok().map(|step| fold.push(step))
            };
            if let Some(pushed) = pushed {
                pushed.expect("computed from this state");
                steps += 1;
            }
        }
        if steps > 0 {
            undo(fold, stored.clone(), Observer::rows, Observer::tree);
            assert_eq!(rows_of(stage.observer.rows()), stored);
        }
    });
}

/// A GroupInfo that a member has signed.
fn group_info(stage: &Stage, bytes: &[u8]) -> Vec<u8> {
    let mut info = GroupInfo::from_bytes(bytes)
        .unwrap_or_else(|_| built::group_info(stage, &mut Input(bytes), &stage.info));
    info.signer = stage.insider.own_leaf;
    stage.insider.group_info(&PROVIDER, info)
}

/// Gives a GroupInfo to the observer, and to another one that does not know the group.
fn taken(observer: &Observer, message: &[u8]) -> Option<Transition<Observer>> {
    if let Ok(other) = accepting::watch(&PROVIDER, stage::config(), message) {
        let suite = Suite::new(&PROVIDER, SUITE).expect("suite 1");
        other.tree().check_caches(&suite).expect("cached values are right");
        reloads(&other);
    }
    observer.take_group_info(&PROVIDER, message).ok()
}

/// Checks that an observer's rows load as the same observer.
fn reloads(observer: &Observer) {
    let rows = rows_of(observer.rows());
    let again = Observer::load(&PROVIDER, stage::config(), rows.clone()).expect("its own rows");
    assert_eq!(rows_of(again.rows()), rows);
}
