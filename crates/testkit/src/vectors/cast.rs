//! The members of a group around a passive client: they propose and commit, and all follow.

use super::hex::Hex;
use super::problem::{At, Problem, ensure};
use super::sample::{Client, LIFETIME};
use crate::party::NOW;
use crate::{SeededRng, accepting};
use conclave_crypto::{CryptoProvider, Secret, Suite};
use conclave_group::{
    CommitMessages, CommitOptions, Config, Event, Framing, Group, GroupParams, LeafParams, Limits,
    NewProposal, Outcome, OwnKeyPackage, Padding, ProvidedPsks, Status, Transition,
    ValidKeyPackage, Verdict, apply,
};
use conclave_wire::{Credential, Extension, ExtensionType, ExternalSender, KeyPackage, PskType};
use std::convert::Infallible;
use std::time::Duration;

/// Applies a step without storing it.
fn take<O: Outcome<Event>>(group: &mut Group, step: Transition<Group, O>) -> Result<O, Problem> {
    Ok(apply(group, step, |_| Ok::<_, Infallible>(()))?)
}

/// Receives a message as a member that accepts all credentials and has these PSKs; none if the
/// message is known.
pub(super) fn receive(
    provider: &dyn CryptoProvider,
    group: &mut Group,
    message: &[u8],
    psks: &ProvidedPsks,
) -> Result<Option<Event>, Problem> {
    let step = accepting::process(group, provider, NOW, message, accepting::known(psks));
    let Some(step) = step.map_err(|refused| refused.error)? else { return Ok(None) };

    let event = take(group, step)?;
    if let Event::Removal(_) = event {
        // The script's order is the delivery service's, so this commit is the epoch's.
        let deletion = group.delete()?;
        take(group, deletion)?;
    }
    Ok(Some(event))
}

/// The events of one epoch.
#[derive(Clone, Copy)]
pub(super) enum Round {
    /// An empty commit.
    Empty,
    /// An Add.
    Add,
    /// A Remove of a member other than the passive client.
    Remove,
    /// An Update, which must be by reference.
    Update,
    /// An external PSK, by value and without a path.
    ExternalPsk,
    /// The group's own resumption PSK.
    ResumptionPsk,
    /// Other GroupContext extensions.
    Extensions,
    /// All kinds, most of them by reference.
    All,
    /// Random kinds.
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

/// The members of the group apart from the passive client.
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
        let group_id = rng.bytes(16).into();
        let leaf = LeafParams::new(Credential::basic(b"creator"), &[suite.cipher_suite()]);
        let params = GroupParams::new(group_id, suite.cipher_suite(), leaf, LIFETIME);
        let signer = suite.signature_key_pair(rng)?;
        let group = Group::create(suite.provider(), rng, Self::config(), params, signer)?;
        let group = group.store(|_| Ok::<_, Infallible>(()))?;
        Ok(Self { suite: *suite, psks, members: vec![group], added: 0 })
    }

    fn config() -> Config {
        let limits = Limits { lifetime: Duration::MAX, ..Limits::default() };
        Config { limits, ..Config::default() }
    }

    fn provider(&self) -> &'a dyn CryptoProvider {
        self.suite.provider()
    }

    /// A member, for what all agree on.
    pub(super) fn lead(&self) -> Result<&Group, Problem> {
        self.members.first().at("the group has no member")
    }

    /// The epoch authenticator, which must be the same for all members.
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
        let proposals = vec![self.add(&client.key_package)?];
        let options = CommitOptions { proposals, ..CommitOptions::default() };
        let messages = self.commit(committer, options, rng)?;
        self.join(&client, &messages)
    }

    /// Adds the passive client, injects the PSKs if there are any, and returns the Welcome.
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

        let options = CommitOptions {
            proposals,
            force_path: rng.one_in(2),
            welcome_ratchet_tree,
            ..CommitOptions::default()
        };
        let messages = self.commit(0, options, rng)?;
        let welcome = messages.welcomes.into_iter().next().at("the commit has no Welcome")?;
        Ok(welcome.message)
    }

    /// Lets the member at a place commit, and all follow.
    fn commit(
        &mut self,
        committer: usize,
        mut options: CommitOptions,
        rng: &mut SeededRng,
    ) -> Result<CommitMessages, Problem> {
        options.psks.clone_from(&self.psks);
        let provider = self.provider();
        let member = self.members.get_mut(committer).at("no such member")?;
        let step = member.commit(provider, rng, NOW, options)?;
        let messages = take(member, step)?;

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
        let welcome = &messages.welcomes.first().at("the commit has no Welcome")?.message;
        let config = Config::default();
        let psks = accepting::known(&self.psks);
        let new = accepting::join(provider, config, welcome, &own, psks, None, None)?;
        self.members.push(new.store(|_| Ok::<_, Infallible>(()))?);
        Ok(())
    }

    /// Lets the member at a place propose, and all others receive the proposal. None is an Update.
    fn propose(
        &mut self,
        proposer: usize,
        proposal: Option<NewProposal>,
        framing: &Framing,
        rng: &mut SeededRng,
    ) -> Result<Vec<u8>, Problem> {
        let provider = self.provider();
        let member = self.members.get_mut(proposer).at("no such member")?;
        let step = match proposal {
            Some(proposal) => member.propose(provider, rng, NOW, proposal, framing)?,
            None => member.propose_update(provider, rng, None, framing)?,
        };
        let message = take(member, step)?.message;

        for (i, member) in self.members.iter_mut().enumerate() {
            if i != proposer {
                receive(provider, member, &message, &self.psks)?;
            }
        }
        Ok(message)
    }

    /// Plays one epoch; returns the proposals that were sent, and the commit.
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
            ..CommitOptions::default()
        };
        let commit = self.commit(plan.committer, options, rng)?;
        for client in &plan.joining {
            self.join(client, &commit)?;
        }
        Ok((messages, commit.commit))
    }
}

/// The plan of one epoch. Members are named by their place in [`Cast::members`].
#[derive(Default)]
struct Plan {
    committer: usize,
    by_value: Vec<NewProposal>,
    /// The proposals to send, each with its proposer; none is an Update.
    sent: Vec<(usize, Option<NewProposal>)>,
    joining: Vec<Client>,
    force_path: bool,
}

impl Cast<'_> {
    fn plan(&mut self, round: Round, rng: &mut SeededRng) -> Result<Plan, Problem> {
        // No place is drawn twice: committer, a member that proposes, a member that is removed.
        let mut places: Vec<usize> = (0..self.members.len()).collect();
        let mut draw = || {
            let i = rng.below(places.len() as u64) as usize;
            if i < places.len() { Some(places.swap_remove(i)) } else { None }
        };
        let committer = draw().at("the group has no member")?;
        let other = draw().unwrap_or(committer);
        let removed = draw();

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

        let mut plan = Plan { committer, ..Plan::default() };
        let mut done = Vec::new();
        for round in rounds {
            // Each kind comes once, so that no two proposals contradict each other. An Add and a
            // resumption PSK count as one kind: new members cannot have that PSK.
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
                // Keep enough members for the rounds to come.
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
                NewProposal::ResumptionPsk {
                    group_id: group.group_id().clone(),
                    epoch: group.epoch(),
                }
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

    /// A list of external senders: one, with a new key.
    fn extensions(&self, rng: &mut SeededRng) -> Result<Vec<Extension>, Problem> {
        let sender = ExternalSender {
            signature_key: self.suite.signature_key_pair(rng)?.public,
            credential: Credential::basic(b"external sender"),
        };
        Ok(vec![Extension::new(ExtensionType::EXTERNAL_SENDERS, &vec![sender])?])
    }
}
