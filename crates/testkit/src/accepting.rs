//! Takes every stage to its end as a client that accepts all credentials: the shared part of the
//! [`party`](crate::party), the [`world`](crate::world), the fuzzers' stage and the vectors' cast.

use crate::SeededRng;
use conclave_crypto::{CryptoProvider, CryptoRng, Secret};
use conclave_group::{
    Answers, AppDataRequest, CommitMessages, CommitOptions, Config, CredentialRequest, Error,
    Event, ExternalCommit, ExternalJoinOptions, ExternalJoinStage, Group, Link, NewGroup, Observer,
    ObserverEvent, ObserverStage, OwnKeyPackage, Received, Refused, Transition, Verdict,
    WelcomeStage,
};
use conclave_wire::{Bytes, PreSharedKeyId, PskType, UnixTime};

/// PSKs with where they come from.
pub type Psks = Vec<(PskType, Secret)>;

/// A verdict on each credential: accepted.
#[must_use]
pub fn all(credentials: &[CredentialRequest]) -> Vec<Verdict> {
    vec![Verdict::Accept; credentials.len()]
}

/// The rule of every component here: updates are appended, and the last 64 bytes are kept.
#[must_use]
pub fn app_data(requests: &[AppDataRequest]) -> Vec<Bytes> {
    let append = |request: &AppDataRequest| {
        let mut data = request.current.as_deref().unwrap_or_default().to_vec();
        request.updates.iter().for_each(|(_, update)| data.extend_from_slice(update));
        let surplus = data.len().saturating_sub(64);
        data.split_off(surplus).into()
    };
    requests.iter().map(append).collect()
}

/// A commit of a group, with the components' answers.
///
/// # Errors
/// If the commit cannot be made.
pub fn commit(
    group: &Group,
    provider: &dyn CryptoProvider,
    rng: &mut dyn CryptoRng,
    now: UnixTime,
    options: CommitOptions,
) -> Result<Transition<Group, CommitMessages>, Error> {
    let draft = group.draft_commit(provider, rng, now, options)?;
    let app_data = app_data(draft.app_data());
    draft.seal(rng, app_data)
}

/// Answers every request for PSKs with these, whatever is requested.
pub fn known(psks: &[(PskType, Secret)]) -> impl Fn(&[PreSharedKeyId]) -> Psks {
    move |_| psks.to_vec()
}

/// Answers every request for PSKs with the same value.
pub fn same_psk(value: &[u8]) -> impl Fn(&[PreSharedKeyId]) -> Psks {
    move |ids| ids.iter().map(|id| (id.psktype.clone(), Secret::copy_from(value))).collect()
}

/// The step that a message leads to; none if the message is known.
///
/// # Errors
/// If the message is refused.
///
/// # Panics
/// On an outcome that this function does not know.
#[allow(clippy::panic)]
pub fn process(
    group: &Group,
    provider: &dyn CryptoProvider,
    now: UnixTime,
    message: &[u8],
    psks: impl Fn(&[PreSharedKeyId]) -> Psks,
) -> Result<Option<Transition<Group, Event>>, Refused> {
    Ok(Some(match group.process(provider, now, message)? {
        Received::Application(step) => step.untyped(),
        Received::Targeted(step) => step.untyped(),
        Received::OwnCommit(step) => step.untyped(),
        Received::OwnProposal(step) => step.untyped(),
        Received::Proposal(stage) => {
            let verdicts = all(stage.credentials());
            stage.resolve(group, &verdicts)?.untyped()
        }
        Received::Commit(stage) => {
            let answers = Answers {
                verdicts: all(stage.credentials()),
                psks: psks(stage.psks()),
                app_data: app_data(stage.app_data()),
            };
            stage.resolve(group, provider, now, &answers)?.untyped()
        }
        Received::Known => return Ok(None),
        other => panic!("no way to resolve {other:?}"),
    }))
}

/// The step that a message leads an observer to.
///
/// # Errors
/// If the observer refuses the message.
pub fn observe(
    observer: &Observer,
    provider: &dyn CryptoProvider,
    message: &[u8],
) -> Result<Transition<Observer, ObserverEvent>, Error> {
    let stage = observer.process(provider, message)?;
    let verdicts = all(stage.credentials());
    let app_data = app_data(stage.app_data());
    stage.resolve(observer, provider, &Answers { verdicts, app_data, ..Answers::default() })
}

/// The group that a Welcome leads to. `tree` is the ratchet tree, if the Welcome does not hold it.
///
/// # Errors
/// If the Welcome does not let the client in.
pub fn join(
    provider: &dyn CryptoProvider,
    config: Config,
    welcome: &[u8],
    own: &OwnKeyPackage,
    psks: impl Fn(&[PreSharedKeyId]) -> Psks,
    tree: Option<&[u8]>,
    link: Option<&Link>,
) -> Result<NewGroup, Error> {
    let stage = WelcomeStage::open(provider, config, welcome, own)?;
    let psks = psks(stage.psks());
    let stage = stage.join(provider, &psks, tree, link)?;
    let verdicts = all(stage.credentials());
    stage.resolve(&verdicts)
}

/// An external commit by a GroupInfo. `tree` is the ratchet tree, if the GroupInfo does not hold
/// it.
///
/// # Errors
/// If the GroupInfo does not let the client in.
pub fn join_from_outside(
    provider: &dyn CryptoProvider,
    rng: &mut SeededRng,
    config: Config,
    info: &[u8],
    tree: Option<&[u8]>,
    options: ExternalJoinOptions,
) -> Result<ExternalCommit, Error> {
    let stage = ExternalJoinStage::open(provider, config, info, tree)?;
    let verdicts = all(stage.credentials());
    stage.commit(provider, rng, &verdicts, options)
}

/// The observer of the group that a GroupInfo describes.
///
/// # Errors
/// If the GroupInfo is not valid, or does not hold the ratchet tree.
pub fn watch(
    provider: &dyn CryptoProvider,
    config: Config,
    info: &[u8],
) -> Result<Observer, Error> {
    let stage = ObserverStage::open(provider, config, info, None)?;
    let verdicts = all(stage.credentials());
    stage.resolve(&verdicts)
}
