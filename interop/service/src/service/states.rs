//! Calls that use a member's state between commits.

use super::Server;
use super::failure::Failure;
use super::tools::rng;
use crate::proto::*;
use conclave_mls::crypto::Secret;
use conclave_mls::group::{Framing, PskType, TreeRead};
use conclave_mls::join::GroupInfoOptions;

impl Server {
    pub(crate) fn group_info(
        &mut self,
        request: GroupInfoRequest,
    ) -> Result<GroupInfoResponse, Failure> {
        let group = self.tables.member(request.state_id)?.group();
        let inside = !request.external_tree;
        let options = GroupInfoOptions { ratchet_tree: inside, external_pub: true };
        let group_info = group.group_info(self.tools.crypto(), options)?;
        let ratchet_tree = if inside { Vec::new() } else { group.tree().to_extension_bytes()? };
        Ok(GroupInfoResponse { group_info, ratchet_tree })
    }

    pub(crate) fn state_auth(
        &mut self,
        request: StateAuthRequest,
    ) -> Result<StateAuthResponse, Failure> {
        let member = self.tables.member(request.state_id)?;
        Ok(StateAuthResponse { state_auth_secret: member.authenticator()? })
    }

    pub(crate) fn export(&mut self, request: ExportRequest) -> Result<ExportResponse, Failure> {
        let group = self.tables.member(request.state_id)?.group();
        let length = usize::try_from(request.key_length).map_err(Failure::invalid)?;
        let label = request.label.as_bytes();
        let context = &request.context;
        let secret = group.export(self.tools.crypto(), label, context, length)?;
        Ok(ExportResponse { exported_secret: secret.expose().to_vec() })
    }

    pub(crate) fn protect(&mut self, request: ProtectRequest) -> Result<ProtectResponse, Failure> {
        let member = self.tables.member(request.state_id)?;
        let authenticated_data = request.authenticated_data;
        let framing = Framing { authenticated_data, ..member.framing() };
        let crypto = self.tools.crypto();
        let data = &request.plaintext;
        let step = member.group().encrypt(crypto, &mut rng(), data, &framing)?;
        Ok(ProtectResponse { ciphertext: member.take(&self.tools, step)? })
    }

    pub(crate) fn unprotect(
        &mut self,
        request: UnprotectRequest,
    ) -> Result<UnprotectResponse, Failure> {
        let member = self.tables.member(request.state_id)?;
        let read = member.read(&self.tools, &request.ciphertext)?;
        let authenticated_data = read.authenticated_data.into_vec();
        Ok(UnprotectResponse { authenticated_data, plaintext: read.data })
    }

    pub(crate) fn store_psk(
        &mut self,
        request: StorePskRequest,
    ) -> Result<StorePskResponse, Failure> {
        let psks = self.tables.psks(request.state_or_transaction_id)?;
        let name = PskType::External { psk_id: request.psk_id.into() };
        psks.retain(|(known, _)| *known != name);
        psks.push((name, Secret::new(request.psk_secret)));
        Ok(StorePskResponse {})
    }
}
