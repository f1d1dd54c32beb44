//! Proposals from outside the group: by new members, and by external signers.

use super::Server;
use super::failure::Failure;
use super::member::leaf_of;
use super::proposals::{reinit, unknown_type};
use super::tables::Join;
use super::tools::{Tools, cipher_suite, extensions, given, group_info, judge_all, now, rng};
use crate::proto::*;
use conclave_mls::credential::{ExternalSender, SignaturePublicKey};
use conclave_mls::crypto::{Secret, Suite};
use conclave_mls::group::{ExtensionType, PreSharedKeyId, Proposal, PskType};
use conclave_mls::join::ExternalTarget;
use conclave_mls::observe::{Observer, ObserverStage};
use conclave_mls::wire::{Encode, ResumptionPskUsage, find_extension};
use conclave_mls::{Credential, Epoch};

impl Server {
    pub(crate) fn new_member_add_proposal(
        &mut self,
        request: NewMemberAddProposalRequest,
    ) -> Result<NewMemberAddProposalResponse, Failure> {
        // The GroupInfo need not be verified: a group with another context refuses the proposal.
        let context = group_info(&request.group_info)?.group_context;
        let credential = Credential::basic(&request.identity);
        let own = self.tools.key_package(context.cipher_suite, credential)?;
        let target = ExternalTarget::new(context.group_id, context.epoch, context.cipher_suite);
        let proposal = target.propose_self(self.tools.crypto(), now(), &own)?;
        let init_priv = own.init_key().0.expose().to_vec();
        let encryption_priv = own.leaf_key().0.expose().to_vec();
        let signature_priv = own.signer().private.expose().to_vec();
        let transaction_id = self.tables.add_join(Join { own, psks: Vec::new() })?;
        Ok(NewMemberAddProposalResponse {
            transaction_id,
            proposal,
            init_priv,
            encryption_priv,
            signature_priv,
        })
    }

    pub(crate) fn create_external_signer(
        &mut self,
        request: CreateExternalSignerRequest,
    ) -> Result<CreateExternalSignerResponse, Failure> {
        let signer = self.tools.signer(cipher_suite(request.cipher_suite)?)?;
        let credential = Credential::basic(&request.identity);
        let sender = ExternalSender { signature_key: signer.public.clone(), credential };
        let external_sender = sender.to_bytes()?;
        let signer_id = self.tables.add_signer(signer)?;
        Ok(CreateExternalSignerResponse { signer_id, external_sender })
    }

    pub(crate) fn external_signer_proposal(
        &mut self,
        request: ExternalSignerProposalRequest,
    ) -> Result<ProposalResponse, Failure> {
        let tools = &self.tools;
        let signer = self.tables.signer(request.signer_id)?;
        let wanted = request.description.ok_or_else(|| Failure::invalid("no description"))?;
        // The tree is verified: a false one would make a Remove hit another member.
        let info = &request.group_info;
        let tree = given(&request.ratchet_tree);
        let stage = ObserverStage::open(tools.crypto(), tools.config.clone(), info, tree)?;
        let verdicts = judge_all(stage.credentials());
        let group = stage.resolve(&verdicts)?;
        let index = place_of(&group, &signer.public, request.signer_index)?;
        let proposal = proposal(tools, &group, wanted)?;
        let target = group.external_target();
        let proposal = target.propose(tools.crypto(), index, signer, proposal)?;
        Ok(ProposalResponse { proposal })
    }
}

/// The place of a signer among the group's external senders: the place that the request names, if it is the
/// signer's, or else the first that is.
fn place_of(group: &Observer, key: &SignaturePublicKey, named: u32) -> Result<u32, Failure> {
    let list = &group.context().extensions;
    let senders: Option<Vec<ExternalSender>> =
        find_extension(list, ExtensionType::EXTERNAL_SENDERS)?;
    let senders = senders.unwrap_or_default();
    let places = (0..).zip(&senders).filter(|(_, sender)| sender.signature_key == *key);
    let places: Vec<u32> = places.map(|(place, _)| place).collect();
    let place = places.iter().find(|place| **place == named).or(places.first());
    place.copied().ok_or_else(|| Failure::not_now("the group does not list this signer"))
}

/// The proposal of a description, made from outside.
fn proposal(tools: &Tools, group: &Observer, it: ProposalDescription) -> Result<Proposal, Failure> {
    let suite = Suite::new(tools.crypto(), group.context().cipher_suite)?;
    let psk = |psktype| {
        let psk_nonce = Secret::random(suite.nh(), &mut rng()).expose().into();
        Proposal::PreSharedKey(PreSharedKeyId { psktype, psk_nonce })
    };

    Ok(match it.proposal_type.as_slice() {
        b"add" => Proposal::Add(Box::new(tools.valid(&it.key_package)?.key_package().clone())),
        b"remove" => Proposal::Remove(leaf_of(group.members(), &it.removed_id)?),
        b"externalPSK" => psk(PskType::External { psk_id: it.psk_id.into() }),
        b"resumptionPSK" => psk(PskType::Resumption {
            usage: ResumptionPskUsage::Application,
            psk_group_id: group.group_id().clone(),
            psk_epoch: Epoch(it.epoch_id),
        }),
        b"groupContextExtensions" => Proposal::GroupContextExtensions(extensions(it.extensions)?),
        b"reinit" => Proposal::ReInit(reinit(it.group_id, it.cipher_suite, it.extensions)?),
        other => return Err(unknown_type(other)),
    })
}
