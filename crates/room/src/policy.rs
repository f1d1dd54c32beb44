//! The judge as a [`Policy`] of groups: for what is sent, received and observed.

use crate::capability::Capability;
use crate::components::COMPONENTS;
use crate::judge::{
    Actor, ClientChange, Demand, LinkUse, Proposed, RoomCommit, judge, judge_proposal,
};
use crate::refusal::Refusal;
use crate::role::Claim;
use crate::state::RoomState;
use crate::text::Text;
use crate::uri::user_uri;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use conclave_mls::Credential;
use conclave_mls::Verdict;
use conclave_mls::component::{AppDataUpdateOperation, ComponentId};
use conclave_mls::group::{GroupView, Proposal, Sender};
use conclave_mls::policy::{Policy, ProposedCommit};
use conclave_mls::wire::{Bytes, CredentialType};

/// The rules of rooms, for [`Config::policy`](conclave_mls::Config::policy). A group that is not a room has no
/// such rules, and nobody can make it a room.
#[derive(Clone, Copy, Debug)]
pub struct RoomPolicy {
    /// The name of the user whom a credential names, without its authority.
    pub user_of: fn(&Credential) -> Option<String>,
    /// The component of links to join by.
    pub links: ComponentId,
    /// What an update of that component does. None if it is malformed.
    pub link_use: fn(&[u8]) -> Option<LinkUse>,
}

impl Policy for RoomPolicy {
    fn id(&self) -> Vec<u8> {
        b"rooms 1".to_vec()
    }

    fn proposal(
        &self,
        group: GroupView<'_>,
        proposed: conclave_mls::policy::Proposed<'_>,
    ) -> Verdict {
        // What comes with a commit is judged with it.
        if !proposed.by_reference {
            return Verdict::Accept;
        }
        verdict(self.judge_proposal(group, proposed.sender, proposed.proposal))
    }

    fn commit(&self, group: GroupView<'_>, commit: &ProposedCommit<'_>) -> Verdict {
        verdict(self.judge_commit(group, commit).map(|_| ()))
    }
}

fn verdict(judged: Result<(), Refusal>) -> Verdict {
    match judged {
        Ok(()) => Verdict::Accept,
        Err(e) => Verdict::refuse(&e.to_string()),
    }
}

impl RoomPolicy {
    /// Judges a commit. The answer is the room after it; none for a group that is not a room.
    ///
    /// # Errors
    /// The reason to refuse it.
    pub fn judge_commit(
        &self,
        group: GroupView<'_>,
        commit: &ProposedCommit<'_>,
    ) -> Result<Option<RoomState>, Refusal> {
        let Some(room) = RoomState::of(group)? else {
            let begins = |p: &Proposal| matches!(p, Proposal::AppDataUpdate(update) if COMPONENTS.contains(&update.component_id));
            return if commit.proposals.iter().any(|proposed| begins(proposed.proposal)) {
                Err(Refusal::UnknownProposal)
            } else {
                Ok(None)
            };
        };

        // Most commits renew keys.
        let renews = |p: &Proposal| matches!(p, Proposal::Update(_));
        let is_member = matches!(commit.sender, Sender::Member(_));
        if is_member && commit.proposals.iter().all(|proposed| renews(proposed.proposal)) {
            return Ok(Some(room));
        }
        let facts = self.facts(group, &room, commit)?;
        judge(&room, &facts).map(Some)
    }

    fn judge_proposal(
        &self,
        group: GroupView<'_>,
        sender: Sender,
        proposal: &Proposal,
    ) -> Result<(), Refusal> {
        let Some(room) = RoomState::of(group)? else { return Ok(()) };
        if matches!(proposal, Proposal::AppDataUpdate(_)) {
            return Err(Refusal::UpdateByReference);
        }
        match self.proposed_by(group, &room, (sender, &Actor::Service), proposal)? {
            Some(proposed) => judge_proposal(&room, &proposed),
            None => Ok(()),
        }
    }

    /// What a room's policy has to know of a commit.
    ///
    /// # Errors
    /// If it has something that rooms do not allow in a commit, or a credential names no user.
    pub fn facts(
        &self,
        group: GroupView<'_>,
        room: &RoomState,
        commit: &ProposedCommit<'_>,
    ) -> Result<RoomCommit, Refusal> {
        let own = match commit.sender {
            Sender::Member(leaf) => group.credential(leaf),
            _ => commit.leaf.map(|leaf| leaf.credential.clone()),
        };
        let own = own.ok_or(Refusal::NoUser)?;
        let user = self.uri_of(room, &own)?;
        let by = match commit.sender {
            Sender::Member(_) => Actor::Member(user.clone()),
            _ => Actor::Joiner(user.clone()),
        };

        let mut facts = RoomCommit {
            by: by.clone(),
            claims: Text::try_from(user.as_str())
                .map(|uri| Claim::of_user(&own, uri))
                .into_iter()
                .collect(),
            clients: self.clients(group, room),
            adds: Vec::new(),
            removes: Vec::new(),
            updates: Vec::new(),
            links: Vec::new(),
            demands: Vec::new(),
        };
        if matches!(by, Actor::Joiner(_)) {
            facts.adds.push(ClientChange { by: by.clone(), user });
        }

        for proposed in &commit.proposals {
            if let Proposal::AppDataUpdate(update) = proposed.proposal {
                if proposed.sender != commit.sender || proposed.by_reference {
                    return Err(Refusal::UpdateByReference);
                }
                let AppDataUpdateOperation::Update(data) = &update.operation else {
                    return Err(Refusal::RemovesComponent(update.component_id));
                };
                self.updated(&mut facts, update.component_id, data)?;
                continue;
            }
            match self.proposed_by(group, room, (proposed.sender, &by), proposed.proposal)? {
                Some(Proposed::Add(add)) => facts.adds.push(add),
                Some(Proposed::Remove(remove)) => facts.removes.push(remove),
                Some(Proposed::Demand(demand)) => facts.demands.push(demand),
                None => {}
            }
        }
        Ok(facts)
    }

    /// An update of a component. Updates of components that are not a room's are judged elsewhere.
    fn updated(
        &self,
        facts: &mut RoomCommit,
        id: ComponentId,
        data: &Bytes,
    ) -> Result<(), Refusal> {
        if COMPONENTS.contains(&id) {
            facts.updates.push((id, data.to_vec()));
        } else if id == self.links {
            facts.links.push((self.link_use)(data).ok_or(Refusal::UnknownProposal)?);
        }
        Ok(())
    }

    /// What a room's policy has to know of a proposal; none if the policy does not concern it.
    ///
    /// `joiner` is the actor of proposals that a client commits as it joins from outside.
    fn proposed_by(
        &self,
        group: GroupView<'_>,
        room: &RoomState,
        (sender, joiner): (Sender, &Actor),
        proposal: &Proposal,
    ) -> Result<Option<Proposed>, Refusal> {
        let by = match sender {
            Sender::Member(leaf) => {
                let credential = group.credential(leaf).ok_or(Refusal::NoUser)?;
                Actor::Member(self.uri_of(room, &credential)?)
            }
            Sender::External(_) => Actor::Service,
            Sender::NewMemberProposal => match proposal {
                Proposal::Add(key_package) => {
                    Actor::Joiner(self.uri_of(room, &key_package.leaf_node.credential)?)
                }
                _ => Actor::Service,
            },
            Sender::NewMemberCommit => joiner.clone(),
        };

        let needs = |needs| Ok(Some(Proposed::Demand(Demand { by: by.clone(), needs })));
        match proposal {
            Proposal::Add(key_package) => {
                let user = self.uri_of(room, &key_package.leaf_node.credential)?;
                Ok(Some(Proposed::Add(ClientChange { by, user })))
            }
            Proposal::Remove(leaf) => {
                let credential = group.credential(*leaf).ok_or(Refusal::NoUser)?;
                let user = self.uri_of(room, &credential)?;
                Ok(Some(Proposed::Remove(ClientChange { by, user })))
            }
            Proposal::SelfRemove(_) => {
                let user = by.user().ok_or(Refusal::NoUser)?.to_string();
                Ok(Some(Proposed::Remove(ClientChange { by, user })))
            }
            Proposal::PreSharedKey(_) => needs(Capability::SEND_MLS_PSK_PROPOSAL),
            Proposal::ReInit(_) => needs(Capability::SEND_MLS_REINIT_PROPOSAL),
            Proposal::GroupContextExtensions(_) => {
                needs(Capability::CHANGE_MLS_OPERATIONAL_POLICIES)
            }
            Proposal::Update(_)
            | Proposal::ExternalInit(_)
            | Proposal::AppDataUpdate(_)
            | Proposal::AppEphemeral(_)
            | Proposal::Custom { .. } => Ok(None),
        }
    }

    fn uri_of(&self, room: &RoomState, credential: &Credential) -> Result<String, Refusal> {
        let user = (self.user_of)(credential).ok_or(Refusal::NoUser)?;
        Ok(user_uri(room.authority(), &user))
    }

    /// How many clients each user has in a group, by the user's URI.
    #[must_use]
    pub fn clients(&self, group: GroupView<'_>, room: &RoomState) -> BTreeMap<String, u32> {
        let mut clients: BTreeMap<String, u32> = BTreeMap::new();
        let users = group.members().filter_map(|member| self.uri_of(room, &member.credential).ok());
        for user in users {
            let count = clients.entry(user).or_default();
            *count = count.saturating_add(1);
        }
        clients
    }
}

impl Claim {
    /// What a credential says of the user of this URI: who it is.
    #[must_use]
    pub fn of_user(credential: &Credential, user_uri: Text) -> Self {
        let CredentialType(credential_type) = credential.credential_type();
        Self { credential_type, id: Text::default(), value: user_uri }
    }
}
