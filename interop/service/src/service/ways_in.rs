//! Ways to become a member: creating a group, accepting an invitation, joining from outside.

use super::Server;
use super::failure::Failure;
use super::member::{Member, join, leaf_of};
use super::tables::Join;
use super::tools::{cipher_suite, given, judge_all, lifetime, rng};
use crate::proto::*;
use conclave_mls::crypto::Secret;
use conclave_mls::group::{GroupParams, PskType};
use conclave_mls::join::{ExternalJoinOptions, ExternalJoinStage};
use conclave_mls::{Credential, Group};

impl Server {
    pub(crate) fn create_group(
        &mut self,
        request: CreateGroupRequest,
    ) -> Result<CreateGroupResponse, Failure> {
        let tools = &self.tools;
        let suite = cipher_suite(request.cipher_suite)?;
        let leaf = tools.leaf(Credential::basic(&request.identity));
        let group_id = request.group_id.as_slice().into();
        let params = GroupParams::new(group_id, suite, leaf, lifetime());
        let config = tools.config.clone();
        let signer = tools.signer(suite)?;
        let new = Group::create(tools.crypto(), &mut rng(), config, params, signer)?;
        let member = Member::new(tools, new, Vec::new(), request.encrypt_handshake);
        Ok(CreateGroupResponse { state_id: self.tables.add_member(member)? })
    }

    pub(crate) fn create_key_package(
        &mut self,
        request: CreateKeyPackageRequest,
    ) -> Result<CreateKeyPackageResponse, Failure> {
        let suite = cipher_suite(request.cipher_suite)?;
        let own = self.tools.key_package(suite, Credential::basic(&request.identity))?;
        let key_package = own.message()?;
        let init_priv = own.init_key().0.expose().to_vec();
        let encryption_priv = own.leaf_key().0.expose().to_vec();
        let signature_priv = own.signer().private.expose().to_vec();
        let transaction_id = self.tables.add_join(Join { own, psks: Vec::new() })?;
        Ok(CreateKeyPackageResponse {
            transaction_id,
            key_package,
            init_priv,
            encryption_priv,
            signature_priv,
        })
    }

    pub(crate) fn join_group(
        &mut self,
        request: JoinGroupRequest,
    ) -> Result<JoinGroupResponse, Failure> {
        let Join { own, psks } = self.tables.join(request.transaction_id)?;
        let tree = given(&request.ratchet_tree);
        let new = join(&self.tools, own, &request.welcome, tree, psks, None)?;
        let member = Member::new(&self.tools, new, psks.clone(), request.encrypt_handshake);
        let epoch_authenticator = member.authenticator()?;
        self.tables.joined(request.transaction_id);
        Ok(JoinGroupResponse { state_id: self.tables.add_member(member)?, epoch_authenticator })
    }

    pub(crate) fn external_join(
        &mut self,
        request: ExternalJoinRequest,
    ) -> Result<ExternalJoinResponse, Failure> {
        let tools = &self.tools;
        let info = &request.group_info;
        let tree = given(&request.ratchet_tree);
        let stage = ExternalJoinStage::open(tools.crypto(), tools.config.clone(), info, tree)?;
        let replaces = if request.remove_prior {
            Some(leaf_of(stage.members(), &request.identity)?)
        } else {
            None
        };

        let psk = |psk: PreSharedKey| {
            (PskType::External { psk_id: psk.psk_id.into() }, Secret::new(psk.psk_secret))
        };

        let psks: Vec<_> = request.psks.into_iter().map(psk).collect();

        let leaf = tools.leaf(Credential::basic(&request.identity));
        let signer = tools.signer(stage.context().cipher_suite)?;
        let verdicts = judge_all(stage.credentials());
        let options = ExternalJoinOptions {
            replaces,
            psks: psks.clone(),
            ..ExternalJoinOptions::new(leaf, signer)
        };

        let made = stage.commit(tools.crypto(), &mut rng(), &verdicts, options)?;
        let member = Member::new(tools, made.group, psks, request.encrypt_handshake);
        let epoch_authenticator = member.authenticator()?;
        let state_id = self.tables.add_member(member)?;
        Ok(ExternalJoinResponse { state_id, commit: made.commit, epoch_authenticator })
    }
}
