//! Proposals of members, as messages and as descriptions.

use super::Server;
use super::failure::Failure;
use super::member::Member;
use super::tools::{Tools, cipher_suite, extensions};
use crate::proto::*;
use conclave_mls::credential::ExternalSender;
use conclave_mls::group::{Extension, ExtensionType, NewProposal, ProtocolVersion, ReInit};
use conclave_mls::wire::{Decode, find_extension};
use conclave_mls::{Epoch, Group};

impl Server {
    pub(crate) fn add_proposal(
        &mut self,
        request: AddProposalRequest,
    ) -> Result<ProposalResponse, Failure> {
        let add = add(&self.tools, &request.key_package)?;
        self.propose(request.state_id, |_| Ok(add))
    }

    pub(crate) fn update_proposal(
        &mut self,
        request: UpdateProposalRequest,
    ) -> Result<ProposalResponse, Failure> {
        let member = self.tables.member(request.state_id)?;
        Ok(ProposalResponse { proposal: member.propose_update(&self.tools)? })
    }

    pub(crate) fn remove_proposal(
        &mut self,
        request: RemoveProposalRequest,
    ) -> Result<ProposalResponse, Failure> {
        let identity = request.removed_id;
        self.propose(request.state_id, |member| Ok(NewProposal::Remove(member.leaf_of(&identity)?)))
    }

    pub(crate) fn external_psk_proposal(
        &mut self,
        request: ExternalPskProposalRequest,
    ) -> Result<ProposalResponse, Failure> {
        let psk_id = request.psk_id.into();
        self.propose(request.state_id, |_| Ok(NewProposal::ExternalPsk { psk_id }))
    }

    pub(crate) fn resumption_psk_proposal(
        &mut self,
        request: ResumptionPskProposalRequest,
    ) -> Result<ProposalResponse, Failure> {
        let epoch = Epoch(request.epoch_id);
        self.propose(request.state_id, |member| resumption_psk(member.group(), epoch))
    }

    pub(crate) fn group_context_extensions_proposal(
        &mut self,
        request: GroupContextExtensionsProposalRequest,
    ) -> Result<ProposalResponse, Failure> {
        let extensions = extensions(request.extensions)?;
        self.propose(request.state_id, |_| Ok(NewProposal::GroupContextExtensions(extensions)))
    }

    pub(crate) fn re_init_proposal(
        &mut self,
        request: ReInitProposalRequest,
    ) -> Result<ProposalResponse, Failure> {
        let ReInitProposalRequest { state_id, cipher_suite, group_id, extensions } = request;
        let reinit = reinit(group_id, cipher_suite, extensions)?;
        self.propose(state_id, |_| Ok(NewProposal::ReInit(reinit)))
    }

    /// Proposes to list one more external sender.
    pub(crate) fn add_external_signer(
        &mut self,
        request: AddExternalSignerRequest,
    ) -> Result<ProposalResponse, Failure> {
        let sender = ExternalSender::from_bytes(&request.external_sender)?;
        self.propose(request.state_id, |member| {
            let kind = ExtensionType::EXTERNAL_SENDERS;
            let mut extensions = member.group().extensions().to_vec();
            let listed: Option<Vec<ExternalSender>> = find_extension(&extensions, kind)?;
            let mut senders = listed.unwrap_or_default();
            senders.push(sender);
            extensions.retain(|extension| extension.extension_type != kind);
            extensions.push(Extension::new(kind, &senders)?);
            Ok(NewProposal::GroupContextExtensions(extensions))
        })
    }

    fn propose(
        &mut self,
        state_id: u32,
        what: impl FnOnce(&Member) -> Result<NewProposal, Failure>,
    ) -> Result<ProposalResponse, Failure> {
        let member = self.tables.member(state_id)?;
        let proposal = what(member)?;
        Ok(ProposalResponse { proposal: member.propose(&self.tools, proposal)? })
    }
}

/// The proposal of a description, made by a member.
pub(crate) fn described(
    tools: &Tools,
    member: &Member,
    it: ProposalDescription,
) -> Result<NewProposal, Failure> {
    Ok(match it.proposal_type.as_slice() {
        b"add" => add(tools, &it.key_package)?,
        b"remove" => NewProposal::Remove(member.leaf_of(&it.removed_id)?),
        b"externalPSK" => NewProposal::ExternalPsk { psk_id: it.psk_id.into() },
        b"resumptionPSK" => resumption_psk(member.group(), Epoch(it.epoch_id))?,
        b"groupContextExtensions" => {
            NewProposal::GroupContextExtensions(extensions(it.extensions)?)
        }
        b"reinit" => NewProposal::ReInit(reinit(it.group_id, it.cipher_suite, it.extensions)?),
        other => return Err(unknown_type(other)),
    })
}

pub(crate) fn unknown_type(name: &[u8]) -> Failure {
    let name = String::from_utf8_lossy(name);
    Failure::invalid(format!("there is no proposal type {name:?}"))
}

pub(crate) fn reinit(
    group_id: Vec<u8>,
    suite: u32,
    list: Vec<crate::proto::Extension>,
) -> Result<ReInit, Failure> {
    Ok(ReInit {
        group_id: group_id.as_slice().into(),
        version: ProtocolVersion::MLS_1_0,
        cipher_suite: cipher_suite(suite)?,
        extensions: extensions(list)?,
    })
}

fn add(tools: &Tools, key_package: &[u8]) -> Result<NewProposal, Failure> {
    Ok(NewProposal::Add(Box::new(tools.valid(key_package)?)))
}

fn resumption_psk(group: &Group, epoch: Epoch) -> Result<NewProposal, Failure> {
    // No member could commit the proposal, and the harness would blame the committer.
    if group.resumption_psk(epoch).is_none() {
        let why = format!("this member has no resumption PSK of epoch {epoch}");
        return Err(Failure::not_now(why));
    }
    Ok(NewProposal::ResumptionPsk { group_id: group.group_id().clone(), epoch })
}
