//! The gRPC service: every call of the interface over `conclave-mls`.
//!
//! A call locks the whole service, which is for conformance, not for load. An id never changes its meaning: a
//! commit leads a state to its next epoch under the same id.

mod commits;
mod failure;
mod member;
mod outside;
mod proposals;
pub mod serve;
mod states;
mod successors;
mod tables;
mod tools;
mod ways_in;

use crate::proto::mls_client_server::MlsClient;
use crate::proto::*;
use conclave_mls::crypto::CryptoProvider;
use failure::Failure;
use std::sync::{Mutex, PoisonError};
use tables::Tables;
use tonic::{Request, Response, Status};
use tools::Tools;

/// The service.
pub struct Service {
    server: Mutex<Server>,
}

/// The state that calls work on.
pub(crate) struct Server {
    name: String,
    tools: Tools,
    tables: Tables,
}

impl Service {
    /// A service that computes with a provider. With `reload`, each group is dropped and loaded from its rows
    /// after every step.
    #[must_use]
    pub fn new(provider: Box<dyn CryptoProvider>, reload: bool) -> Self {
        let name = format!("conclave ({})", provider.name());
        let tools = Tools::new(provider, reload);
        Self { server: Mutex::new(Server { name, tools, tables: Tables::default() }) }
    }

    fn call<T>(
        &self,
        work: impl FnOnce(&mut Server) -> Result<T, Failure>,
    ) -> Result<Response<T>, Status> {
        let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut server).map(Response::new).map_err(|Failure(status)| status)
    }
}

impl Server {
    fn name(&mut self, _: NameRequest) -> Result<NameResponse, Failure> {
        Ok(NameResponse { name: self.name.clone() })
    }

    fn supported_ciphersuites(
        &mut self,
        _: SupportedCiphersuitesRequest,
    ) -> Result<SupportedCiphersuitesResponse, Failure> {
        let ciphersuites = self.tools.suites().iter().map(|suite| suite.0.into()).collect();
        Ok(SupportedCiphersuitesResponse { ciphersuites })
    }

    fn free(&mut self, request: FreeRequest) -> Result<FreeResponse, Failure> {
        self.tables.free(request.state_id)?;
        Ok(FreeResponse {})
    }
}

macro_rules! calls {
    ($($call:ident: $request:ty => $response:ty;)*) => {
        #[tonic::async_trait]
        impl MlsClient for Service {
            $(
                async fn $call(
                    &self,
                    request: Request<$request>,
                ) -> Result<Response<$response>, Status> {
                    self.call(|server| server.$call(request.into_inner()))
                }
            )*
        }
    };
}

calls! {
    name: NameRequest => NameResponse;
    supported_ciphersuites: SupportedCiphersuitesRequest => SupportedCiphersuitesResponse;
    create_group: CreateGroupRequest => CreateGroupResponse;
    create_key_package: CreateKeyPackageRequest => CreateKeyPackageResponse;
    join_group: JoinGroupRequest => JoinGroupResponse;
    external_join: ExternalJoinRequest => ExternalJoinResponse;
    group_info: GroupInfoRequest => GroupInfoResponse;
    state_auth: StateAuthRequest => StateAuthResponse;
    export: ExportRequest => ExportResponse;
    protect: ProtectRequest => ProtectResponse;
    unprotect: UnprotectRequest => UnprotectResponse;
    store_psk: StorePskRequest => StorePskResponse;
    add_proposal: AddProposalRequest => ProposalResponse;
    update_proposal: UpdateProposalRequest => ProposalResponse;
    remove_proposal: RemoveProposalRequest => ProposalResponse;
    external_psk_proposal: ExternalPskProposalRequest => ProposalResponse;
    resumption_psk_proposal: ResumptionPskProposalRequest => ProposalResponse;
    group_context_extensions_proposal: GroupContextExtensionsProposalRequest => ProposalResponse;
    commit: CommitRequest => CommitResponse;
    handle_commit: HandleCommitRequest => HandleCommitResponse;
    handle_pending_commit: HandlePendingCommitRequest => HandleCommitResponse;
    re_init_proposal: ReInitProposalRequest => ProposalResponse;
    re_init_commit: CommitRequest => CommitResponse;
    handle_pending_re_init_commit: HandlePendingCommitRequest => HandleReInitCommitResponse;
    handle_re_init_commit: HandleCommitRequest => HandleReInitCommitResponse;
    re_init_welcome: ReInitWelcomeRequest => CreateSubgroupResponse;
    handle_re_init_welcome: HandleReInitWelcomeRequest => JoinGroupResponse;
    create_branch: CreateBranchRequest => CreateSubgroupResponse;
    handle_branch: HandleBranchRequest => HandleBranchResponse;
    new_member_add_proposal: NewMemberAddProposalRequest => NewMemberAddProposalResponse;
    create_external_signer: CreateExternalSignerRequest => CreateExternalSignerResponse;
    add_external_signer: AddExternalSignerRequest => ProposalResponse;
    external_signer_proposal: ExternalSignerProposalRequest => ProposalResponse;
    free: FreeRequest => FreeResponse;
}
