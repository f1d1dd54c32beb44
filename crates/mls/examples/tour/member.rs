//! A member for tasks that are about something else: it stores what it does, and does the ordinary thing with
//! whatever arrives.

use crate::common::{
    CRYPTO, Directory, Result, Rows, SUITE, key_package, leaf, lifetime, now, rng,
};
use conclave_mls::credential::CredentialRequest;
use conclave_mls::group::EpochChange;
use conclave_mls::group::{
    Answers, CommitMessages, CommitOptions, Extension, Framing, GroupParams, NewGroup, NewProposal,
    Padding, Refused,
};
use conclave_mls::join::WelcomeStage;
use conclave_mls::storage::Outcome;
use conclave_mls::{Config, Error, Event, Group, Received, Transition, Verdict, apply};
use std::convert::Infallible;

pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) group: Group,
    pub(crate) rows: Rows,
}

impl Member {
    pub(crate) fn store(name: &str, new: NewGroup) -> Result<Self> {
        let mut rows = Rows::new();
        let group = new.store(|batch| {
            batch.apply_to(&mut rows);
            Ok::<_, Error>(())
        })?;
        Ok(Self { name: name.to_owned(), group, rows })
    }

    pub(crate) fn create(
        name: &str,
        id: &[u8],
        extensions: Vec<Extension>,
        config: &Config,
        directory: &mut Directory,
    ) -> Result<Self> {
        let base = GroupParams::new(id.into(), SUITE, leaf(name), lifetime());
        let params = GroupParams { extensions, ..base };
        let signer = directory.register(name, SUITE)?;
        Self::store(name, Group::create(&CRYPTO, &mut rng(), config.clone(), params, signer)?)
    }

    /// Writes a step, applies it and gives out its outcome.
    pub(crate) fn take<O: Outcome<Event>>(&mut self, step: Transition<Group, O>) -> Result<O> {
        let rows = &mut self.rows;
        Ok(apply(&mut self.group, step, |write| {
            write.batch.apply_to(rows);
            Ok::<_, Infallible>(())
        })?)
    }

    pub(crate) fn encrypt(&mut self, text: &str) -> Result<Vec<u8>> {
        let framing = Framing { padding: Padding::Padme, ..Framing::default() };
        let step = self.group.encrypt(&CRYPTO, &mut rng(), text.as_bytes(), &framing)?;
        self.take(step)
    }

    /// The same member after a restart, with this configuration, which is not stored.
    pub(crate) fn restarted(&self, config: &Config) -> Result<Self> {
        let (name, rows) = (self.name.clone(), self.rows.clone());
        let group = Group::load(&CRYPTO, config.clone(), rows.clone())?;
        Ok(Self { name, group, rows })
    }

    /// Makes a commit, which waits for the delivery service's verdict.
    pub(crate) fn commit(&mut self, options: CommitOptions) -> Result<CommitMessages> {
        let step = self.group.commit(&CRYPTO, &mut rng(), now(), options)?;
        self.take(step)
    }

    /// The delivery service accepted our commit.
    pub(crate) fn accepted(&mut self) -> Result<EpochChange> {
        let id = self.group.pending_commit().ok_or("no commit is pending")?.id.clone();
        let step = self.group.commit_accepted(&CRYPTO, now(), &id)?;
        self.take(step)
    }

    /// Whatever arrives, with no PSKs to provide. None for a message that is known already.
    pub(crate) fn receive(
        &mut self,
        message: &[u8],
        directory: &Directory,
    ) -> Result<Option<Event>> {
        self.receive_judged(message, |request| directory.judge(request))
    }

    /// The same, with another authentication service.
    pub(crate) fn receive_judged(
        &mut self,
        message: &[u8],
        judge: impl Fn(&CredentialRequest) -> Verdict,
    ) -> Result<Option<Event>> {
        let event = match self.step(message, judge) {
            Ok(Some(step)) => self.take(step)?,
            Ok(None) => return Ok(None),
            Err(refused) => return Err(self.refuse(refused)?.into()),
        };

        // Here the delivery service's order is trusted: its commit does remove this member.
        if let Event::Removal(_) = event {
            let deletion = self.group.delete()?;
            self.take(deletion)?;
        }
        Ok(Some(event))
    }

    /// The error of a refused message, whose key is used up all the same (section 9.2).
    pub(crate) fn refuse(&mut self, refused: Refused) -> Result<Error> {
        let Refused { error, key_deletion } = refused;
        if let Some(deletion) = key_deletion {
            self.take(*deletion)?;
        }
        Ok(error)
    }

    /// The step that a message leads to.
    fn step(
        &self,
        message: &[u8],
        judge: impl Fn(&CredentialRequest) -> Verdict,
    ) -> core::result::Result<Option<Transition<Group, Event>>, Refused> {
        Ok(Some(match self.group.process(&CRYPTO, now(), message)? {
            Received::Application(step) => step.untyped(),
            Received::OwnCommit(step) => step.untyped(),
            Received::OwnProposal(step) => step.untyped(),
            Received::Proposal(stage) => {
                let verdicts: Vec<Verdict> = stage.credentials().iter().map(judge).collect();
                stage.resolve(&self.group, &verdicts)?.untyped()
            }
            Received::Commit(stage) => {
                let verdicts = stage.credentials().iter().map(judge).collect();
                let answers = Answers { verdicts, ..Answers::default() };
                stage.resolve(&self.group, &CRYPTO, now(), &answers)?.untyped()
            }
            _ => return Ok(None),
        }))
    }

    /// The text of an application message.
    pub(crate) fn read(&mut self, message: &[u8], directory: &Directory) -> Result<String> {
        match self.receive(message, directory)? {
            Some(Event::Application(read)) => Ok(String::from_utf8(read.data)?),
            other => Err(format!("not an application message: {other:?}").into()),
        }
    }
}

/// A group of these people; the first of them has made it.
pub(crate) fn group_of<const N: usize>(
    names: [&str; N],
    directory: &mut Directory,
) -> Result<[Member; N]> {
    group_with(&Config::default(), names, directory)
}

/// The same, each of them with this configuration.
pub(crate) fn group_with<const N: usize>(
    config: &Config,
    names: [&str; N],
    directory: &mut Directory,
) -> Result<[Member; N]> {
    let (first, others) = names.split_first().ok_or("a group has a member")?;
    let mut first = Member::create(first, b"a group", Vec::new(), config, directory)?;
    let mut packages = Vec::new();
    for name in others {
        packages.push((name, key_package(name, directory.register(name, SUITE)?)?));
    }
    let mut proposals = Vec::new();
    for (_, own) in &packages {
        proposals.push(NewProposal::Add(Box::new(directory.valid(own.key_package())?)));
    }
    let messages = first.commit(CommitOptions { proposals, ..CommitOptions::default() })?;
    first.accepted()?;
    let mut members = vec![first];
    let welcome = messages.welcomes.first().ok_or("a Welcome for those who are added")?;
    for (name, own) in packages {
        let stage = WelcomeStage::open(&CRYPTO, config.clone(), &welcome.message, &own)?;
        let join = stage.join(&CRYPTO, &[], None, None)?;
        let verdicts = directory.judge_all(join.credentials());
        members.push(Member::store(name, join.resolve(&verdicts)?)?);
    }
    members.try_into().map_err(|_| "each of them is a member".into())
}

/// Checks that all members are in one epoch of one group, by the secret that is made for comparing.
pub(crate) fn agree(members: &[&Member]) -> Result {
    for pair in members.windows(2) {
        let [a, b] = pair else { continue };
        assert_eq!(a.group.epoch_authenticator()?, b.group.epoch_authenticator()?);
    }
    Ok(())
}
