//! External commits: how this device comes into a group, or back into it, from outside.

use super::rules::config;
use crate::error::EngineError;
use crate::request::Request;
use conclave_delivery_api::{GroupState, SubmitCommit};
use conclave_mls::crypto::{CryptoProvider, Secret};
use conclave_mls::join::{ExternalCommit, ExternalJoinStage};

/// Why a group is not joined, as the user is told.
pub(crate) struct NotJoined(pub(crate) String);

impl<E: core::fmt::Display> From<E> for NotJoined {
    fn from(e: E) -> Self {
        Self(e.to_string())
    }
}

/// Has an external commit include the SelfRemove proposals of members who have asked to leave, as it must. Other proposals
/// are left out.
pub(crate) fn take_leavers(
    provider: &dyn CryptoProvider,
    stage: &mut ExternalJoinStage,
    state: &GroupState,
) {
    for proposal in &state.proposals {
        let _ = stage.take_self_remove(provider, &proposal.message);
    }
}

/// The request that submits an external commit, which was made and stored before.
pub(crate) fn external_commit(
    provider: &dyn CryptoProvider,
    secret: &Secret,
) -> Result<Request, EngineError> {
    let made = ExternalCommit::from_secret(provider, config(), secret)?;
    let request = SubmitCommit {
        group_info: made.group_info.map(Into::into),
        ..SubmitCommit::new(made.commit.into())
    };
    Ok(request.into())
}
