//! The members of a group around a passive client: they propose and commit, and all follow.

use super::hex::Hex;
use super::problem::{At, Problem, ensure};
use super::sample::{Client, LIFETIME};
use crate::SeededRng;
use conclave_crypto::{CryptoProvider, Secret, Suite};
use conclave_group::{
    Answers, CommitMessages, CommitOptions, Config, Event, Framing, Group, GroupParams, LeafParams,
    Limits, NewProposal, OwnKeyPackage, Padding, ProvidedPsks, Received, Status, Transition,
    ValidKeyPackage, Verdict, WelcomeStage, apply,
};
use conclave_wire::{Credential, Extension, ExtensionType, ExternalSender, KeyPackage, PskType};
use std::convert::Infallible;

/// No lifetime in vectors ends, so any moment will do.
const NOW: u64 = 1_700_000_000;

/// Applies a step without storing it.
fn step(group: &mut Group, transition: Transition<Group>) -> Result<Event, Problem> {
    Ok(apply(group, transition, |_| Ok::<_, Infallible>(()))?)
}

/// Receives a message as a member that accepts all credentials and has these PSKs.
pub(super) fn receive(
    provider: &dyn CryptoProvider,
    group: &mut Group,
    message: &[u8],
    psks: &ProvidedPsks,
) -> Result<Option<Event>, Problem> {
    let transition = match group.process(provider, NOW, message)? {
        Received::Application(transition) | Received::OwnCommit(transition) => transition,
        Received::Proposal(stage) => {
            let verdicts = vec![Verdict::Accept; stage.credentials().len()];
            stage.resolve(group, &verdicts)?
        }
        Received::Commit(stage) => {
            let verdicts = vec![Verdict::Accept; stage.credentials().len()];
            let answers = Answers { verdicts, psks: psks.to_vec() };
            stage.resolve(group, provider, NOW, &answers)?
        }
        Received::Known => return Ok(None),
    };
    let event = step(group, transition)?;
    if let Event::Removal(_) = event {
        // The script's order is the delivery service's.
        let deletion = group.delete()?;
        step(group, deletion)?;
    }
    Ok(Some(event))
}

/// What happens in one epoch.
#[derive(Clone, Copy)]
pub(super) enum Round {
    /// An empty commit.
    Empty,
    /// An Add.
    Add,
    /// A Remove of a member other than the passive client.
    Remove,
    /// An Update, by reference as it has to be.
    Update,
    /// An external PSK, by value and without a path.
    ExternalPsk,
    /// The group's own resumption PSK.
    ResumptionPsk,
    /// Other GroupContext extensions.
    Extensions,
    /// All kinds, most of them by reference.
    All,
    /// Anything.
    Random,
}

impl Round {
    /// Every kind of proposal, and all at once.
    pub(super) const EACH: [Self; 8] = [
        Self::Empty,
        Self::Add,
        Self::Remove,
        Self::Update,
        Self::ExternalPsk,
        Self::ResumptionPsk,
        Self::Extensions,
        Self::All,
    ];
}

/// The members whom the vector's maker plays.
pub(super) struct Cast<'a> {
    suite: Suite<'a>,
    psks: Vec<(PskType, Secret)>,
    members: Vec<Group>,
    added: usize,
}

impl<'a> Cast<'a> {
    /// A group of one.
    pub(super) fn new(
        suite: &Suite<'a>,
        psks: Vec<(PskType, Secret)>,
        rng: &mut SeededRng,
    ) -> Result<Self, Problem> {
        let params = GroupParams {
            group_id: rng.bytes(16).into(),
            cipher_suite: suite.cipher_suite(),
            extensions: Vec::new(),
            leaf: LeafParams::new(Credential::basic(b"creator"), &[suite.cipher_suite()]),
            lifetime: LIFETIME,
        };
        let signer = suite.signature_key_pair(rng)?;
        let group = Group::create(suite.provider(), rng, Self::config(), params, signer)?;
        let group = group.store(|_| Ok::<_, Infallible>(()))?;
        Ok(Self { suite: *suite, psks, members: vec![group], added: 0 })
    }

    fn config() -> Config {
        let limits = Limits { lifetime: u64::MAX, ..Limits::default() };
        Config { limits, ..Config::default() }
    }

    fn provider(&self) -> &'a dyn CryptoProvider {
        self.suite.provider()
    }

    /// A member; all agree.
    pub(super) fn lead(&self) -> Result<&Group, Problem> {
        self.members.first().at("the group has no member")
    }

    /// The epoch authenticator, on which all must agree.
    pub(super) fn authenticator(&self) -> Result<Hex, Problem> {
        let first = self.lead()?.epoch_authenticator()?;
        for member in &self.members {
            ensure(member.epoch_authenticator()? == first, "the members disagree")?;
        }
        Ok(Hex::of(first.expose()))
    }

    fn add(&self, key_package: &KeyPackage) -> Result<NewProposal, Problem> {
        let stage =
            ValidKeyPackage::check(self.provider(), NOW, &Self::config(), key_package.clone())?;
        Ok(NewProposal::Add(Box::new(stage.resolve(Verdict::Accept)?)))
    }

    fn client(&mut self, rng: &mut SeededRng) -> Result<Client, Problem> {
        self.added += 1;
        Client::new(&self.suite, &format!("member {}", self.added), rng)
    }

    /// Adds a member.
    pub(super) fn grow(&mut self, rng: &mut SeededRng) -> Result<(), Problem> {
        let client = self.client(rng)?;
        let committer = rng.below(self.members.len() as u64) as usize;
        let options =
            CommitOptions { proposals: vec![self.add(&client.key_package)?], ..Default::default() };
        let messages = self.commit(committer, options, rng)?;
        self.join(&client, &messages)
    }

    /// Adds the passive client and returns its Welcome; PSKs, if there are any, are injected.
    pub(super) fn add_passive(
        &mut self,
        key_package: &KeyPackage,
        welcome_ratchet_tree: bool,
        rng: &mut SeededRng,
    ) -> Result<Vec<u8>, Problem> {
        let mut proposals = vec![self.add(key_package)?];
        for (kind, _) in &self.psks {
            if let PskType::External { psk_id } = kind {
                proposals.push(NewProposal::ExternalPsk { psk_id: psk_id.clone() });
            }
        }
        let force_path = rng.one_in(2);
        let options =
            CommitOptions { proposals, force_path, welcome_ratchet_tree, ..Default::default() };
        let messages = self.commit(0, options, rng)?;
        let welcome = messages.welcomes.into_iter().next().at("the commit has no Welcome")?;
        Ok(welcome.message)
    }

    /// One commit of the member at a place, followed by all.
    fn commit(
        &mut self,
        committer: usize,
        mut options: CommitOptions,
        rng: &mut SeededRng,
    ) -> Result<CommitMessages, Problem> {
        options.psks.clone_from(&self.psks);
        let provider = self.provider();
        let member = self.members.get_mut(committer).at("no such member")?;
        let transition = member.commit(provider, rng, NOW, options)?;
        let Event::Commit(messages) = step(member, transition)? else {
            return Err(Problem::new("a commit gave something else"));
        };
        // The committer gets its own commit back, as from a delivery service.
        for member in &mut self.members {
            receive(provider, member, &messages.commit, &self.psks)?;
        }
        self.members.retain(|member| member.status() == Status::Active);
        Ok(messages)
    }

    /// Lets an added client join.
    fn join(&mut self, client: &Client, messages: &CommitMessages) -> Result<(), Problem> {
        let provider = self.provider();
        let own = OwnKeyPackage::from_parts(
            provider,
            client.key_package.clone(),
            client.init.private.0.clone(),
            client.leaf.private.0.clone(),
            client.signer.private.clone(),
        )?;
        let welcome = messages.welcomes.first().at("the commit has no Welcome")?;
        let stage = WelcomeStage::open(provider, Config::default(), &welcome.message, &own)?;
        let stage = stage.join(provider, &self.psks, None, None)?;
        let verdicts = vec![Verdict::Accept; stage.credentials().len()];
        let group = stage.resolve(&verdicts)?.store(|_| Ok::<_, Infallible>(()))?;
        self.members.push(group);
        Ok(())
    }

    /// A proposal of the member at a place, received by all.
    fn propose(
        &mut self,
        proposer: usize,
        proposal: Option<NewProposal>,
        framing: &Framing,
        rng: &mut SeededRng,
    ) -> Result<Vec<u8>, Problem> {
        let provider = self.provider();
        let member = self.members.get_mut(proposer).at("no such member")?;
        let transition = match proposal {
            Some(proposal) => member.propose(provider, rng, NOW, proposal, framing)?,
            None => member.propose_update(provider, rng, None, framing)?,
        };
        let Event::Proposal { message, .. } = step(member, transition)? else {
            return Err(Problem::new("a proposal gave something else"));
        };
        for (i, member) in self.members.iter_mut().enumerate() {
            if i != proposer {
                receive(provider, member, &message, &self.psks)?;
            }
        }
        Ok(message)
    }

    /// One epoch: the proposals that were sent, and the commit.
    pub(super) fn round(
        &mut self,
        round: Round,
        rng: &mut SeededRng,
    ) -> Result<(Vec<Vec<u8>>, Vec<u8>), Problem> {
        let plan = self.plan(round, rng)?;
        let framing = Framing {
            encrypt: rng.one_in(2),
            authenticated_data: rng.bytes(5),
            padding: Padding::ToMultipleOf(32),
        };
        let mut messages = Vec::new();
        for (proposer, proposal) in plan.sent {
            messages.push(self.propose(proposer, proposal, &framing, rng)?);
        }
        let options = CommitOptions {
            proposals: plan.by_value,
            force_path: plan.force_path,
            framing,
            ..Default::default()
        };
        let commit = self.commit(plan.committer, options, rng)?;
        for client in &plan.joining {
            self.join(client, &commit)?;
        }
        Ok((messages, commit.commit))
    }
}

/// What is to happen in one epoch. Members are named by their place in [`Cast::members`].
#[derive(Default)]
struct Plan {
    committer: usize,
    by_value: Vec<NewProposal>,
    /// Who sends which proposal; none for an Update.
    sent: Vec<(usize, Option<NewProposal>)>,
    joining: Vec<Client>,
    force_path: bool,
}

impl Cast<'_> {
    fn plan(&mut self, round: Round, rng: &mut SeededRng) -> Result<Plan, Problem> {
        // Places are drawn once: committer, somebody who is removed, somebody who updates.
        let mut places: Vec<usize> = (0..self.members.len()).collect();
        let mut draw = || {
            let i = rng.below(places.len() as u64) as usize;
            if i < places.len() { Some(places.swap_remove(i)) } else { None }
        };
        let committer = draw().at("the group has no member")?;
        let (other, removed) = (draw().unwrap_or(committer), draw());
        let mut plan = Plan { committer, ..Plan::default() };
        let one_of = |rng: &mut SeededRng| rng.below(Round::EACH.len() as u64) as usize;
        let random = [(); 2].map(|()| Round::EACH.get(one_of(rng)).copied());
        let rounds = match round {
            Round::Random => random.into_iter().flatten().collect(),
            Round::All => {
                vec![
                    Round::Update,
                    Round::ExternalPsk,
                    Round::Add,
                    Round::Remove,
                    Round::Extensions,
                ]
            }
            one => vec![one],
        };
        let mut done = Vec::new();
        for round in rounds {
            // A kind comes once, so that no two proposals contradict each other; and nobody joins
            // by a commit with a PSK that new members cannot have.
            let kind = match round {
                Round::ResumptionPsk => std::mem::discriminant(&Round::Add),
                other => std::mem::discriminant(&other),
            };
            if done.contains(&kind) {
                continue;
            }
            done.push(kind);
            self.plan_one(&mut plan, round, other, removed, rng)?;
        }
        plan.force_path = rng.one_in(3);
        Ok(plan)
    }

    fn plan_one(
        &mut self,
        plan: &mut Plan,
        round: Round,
        other: usize,
        removed: Option<usize>,
        rng: &mut SeededRng,
    ) -> Result<(), Problem> {
        let proposal = match round {
            Round::Empty | Round::All | Round::Random => return Ok(()),
            Round::Update => {
                if other != plan.committer {
                    plan.sent.push((other, None));
                }
                return Ok(());
            }
            Round::Add => {
                let client = self.client(rng)?;
                let add = self.add(&client.key_package)?;
                plan.joining.push(client);
                add
            }
            Round::Remove => {
                // Enough members stay for the rounds to come.
                let target = removed.filter(|_| self.members.len() > 2);
                let Some(target) = target.and_then(|i| self.members.get(i)) else { return Ok(()) };
                NewProposal::Remove(target.own_leaf())
            }
            Round::ExternalPsk => match self.psks.first() {
                Some((PskType::External { psk_id }, _)) => {
                    NewProposal::ExternalPsk { psk_id: psk_id.clone() }
                }
                _ => return Ok(()),
            },
            Round::ResumptionPsk => {
                let group = self.lead()?;
                let (group_id, epoch) = (group.group_id().clone(), group.epoch());
                NewProposal::ResumptionPsk { group_id, epoch }
            }
            Round::Extensions => NewProposal::GroupContextExtensions(self.extensions(rng)?),
        };
        if rng.one_in(2) {
            plan.by_value.push(proposal);
        } else {
            plan.sent.push((other, Some(proposal)));
        }
        Ok(())
    }

    /// External senders, one with a new key.
    fn extensions(&self, rng: &mut SeededRng) -> Result<Vec<Extension>, Problem> {
        let sender = ExternalSender {
            signature_key: self.suite.signature_key_pair(rng)?.public,
            credential: Credential::basic(b"external sender"),
        };
        Ok(vec![Extension::new(ExtensionType::EXTERNAL_SENDERS, &vec![sender])?])
    }
}
