use crate::error::Error;
use crate::settings::Settings;
use crate::step::Step;
use conclave_mls::credential::CredentialRequest;
use conclave_mls::crypto::Secret;
use conclave_mls::group::{Answers, CommitStage, PreSharedKeyId, ProposalStage, PskType, Refused};
use conclave_mls::{Event, Group, Verdict};
use std::sync::Arc;

/// What a received message leads to.
#[derive(Debug)]
#[must_use = "a message changes nothing until its step is written"]
pub enum Received<'r> {
    /// Write the step to see what was received: an [`Event`].
    Step(Step<'r, Event>),
    /// A proposal or commit brings credentials, or needs PSKs: answer first ([`Received::judge`]).
    Asks(Asking<'r>),
    /// There is nothing to do: the message is this device's own, or a copy.
    Nothing,
    /// The message was refused.
    Refused(Refusal<'r>),
}

impl Received<'_> {
    /// Answers the questions of a message, if it asks any. A message that needs PSKs is answered by
    /// [`Asking::resolve`] instead; without them this refuses it.
    pub fn judge(self, judge: impl FnMut(&CredentialRequest) -> Verdict) -> Self {
        match self {
            Self::Asks(asking) => {
                let verdicts = asking.credentials().iter().map(judge).collect();
                asking.resolve(verdicts, Vec::new())
            }
            other => other,
        }
    }
}

/// A refused message.
#[derive(Debug)]
#[must_use = "the key of a refused message has to be deleted"]
pub struct Refusal<'r> {
    /// Why, and [what to do](conclave_mls::Error::remedy).
    pub error: conclave_mls::Error,
    /// If the message was encrypted and its sender verified: the step that deletes its key (RFC 9420 section
    /// 9.2). Write it.
    pub step: Option<Step<'r, ()>>,
}

impl<'r> Refusal<'r> {
    pub(crate) fn new(group: &'r mut Group, refused: Refused) -> Self {
        let Refused { error, key_deletion } = refused;
        Self { error, step: key_deletion.map(|step| Step::new(group, *step)) }
    }
}

/// A proposal or commit that asks whom to accept, and for PSKs.
#[derive(Debug)]
pub struct Asking<'r> {
    group: &'r mut Group,
    settings: Arc<Settings>,
    stage: Stage,
}

#[derive(Debug)]
pub(crate) enum Stage {
    Proposal(ProposalStage),
    Commit(CommitStage),
}

impl<'r> Asking<'r> {
    pub(crate) fn new(group: &'r mut Group, settings: Arc<Settings>, stage: Stage) -> Self {
        Self { group, settings, stage }
    }

    /// The credentials to judge, perhaps by a directory that is awaited.
    #[must_use]
    pub fn credentials(&self) -> &[CredentialRequest] {
        match &self.stage {
            Stage::Proposal(stage) => stage.credentials(),
            Stage::Commit(stage) => stage.credentials(),
        }
    }

    /// The PSKs that a commit injects. Resumption PSKs of the room need not be provided.
    #[must_use]
    pub fn psks(&self) -> &[PreSharedKeyId] {
        match &self.stage {
            Stage::Proposal(_) => &[],
            Stage::Commit(stage) => stage.psks(),
        }
    }

    /// Answers: one verdict for each of [`Self::credentials`], in that order, and the PSKs by where they come
    /// from. For components, [`Settings::components`](crate::Settings::components) answers.
    pub fn resolve(self, verdicts: Vec<Verdict>, psks: Vec<(PskType, Secret)>) -> Received<'r> {
        let Self { group, settings, stage } = self;
        let step = match stage {
            Stage::Proposal(stage) => stage.resolve(group, &verdicts).map(|step| step.untyped()),
            Stage::Commit(stage) => match settings.decide(stage.app_data()) {
                Ok(app_data) => {
                    let answers = Answers { verdicts, psks, app_data };
                    let step = stage.resolve(group, &*settings.provider, settings.now(), &answers);
                    step.map(|step| step.untyped())
                }
                Err(_) => {
                    Err(stage.refuse(group, "a component finds an update of its data invalid"))
                }
            },
        };
        match step {
            Ok(step) => Received::Step(Step::new(group, step)),
            Err(refused) => Received::Refused(Refusal::new(group, refused)),
        }
    }
}

/// An error that is this device's own and not the message's.
pub(crate) fn is_ours(error: &conclave_mls::Error) -> bool {
    use conclave_mls::Error as E;
    matches!(error, E::Misuse(_) | E::Crypto(_) | E::Storage(_))
}

/// A message that was refused, or the error of a device that cannot receive.
pub(crate) fn refused(group: &mut Group, refused: Refused) -> Result<Received<'_>, Error> {
    if is_ours(&refused.error) {
        return Err(refused.error.into());
    }
    Ok(Received::Refused(Refusal::new(group, refused)))
}
