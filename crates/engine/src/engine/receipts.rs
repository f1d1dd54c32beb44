//! The receipts in answers: the service has to have signed them.

use super::{Engine, Purpose};
use crate::conversation::call::Call;
use crate::request::Reply;
use conclave_delivery_api::{CallError, Outcome, Receipt, SentMessages};
use conclave_mls::GroupId;
use conclave_store::Store;

/// The receipt in an answer, if it has one.
fn receipt_of(reply: &Reply) -> Option<&Receipt> {
    match reply {
        Reply::CreateGroup(created) => Some(&created.receipt),
        Reply::ResetGroup(reset) => reset.receipt.as_ref(),
        Reply::SubmitCommit(outcome)
        | Reply::SubmitProposal(outcome)
        | Reply::SendMessage(outcome) => Some(outcome.receipt()),
        Reply::SendMessages(sent) => Some(sent.outcome.receipt()),
        Reply::FetchLog(page) => Some(&page.end),
        Reply::FetchLinkedGroup(state) => Some(&state.receipt),
        Reply::RestoreLog(restored) => Some(&restored.receipt),
        _ => None,
    }
}

/// The group that a call is about, if its answer has a receipt.
fn group_of(purpose: &Purpose) -> Option<&GroupId> {
    match purpose {
        Purpose::Of(
            id,
            Call::Create
            | Call::Log
            | Call::Restore
            | Call::Commit
            | Call::Message
            | Call::Proposal,
        )
        | Purpose::LinkedGroup(id)
        | Purpose::JoinCommit(id) => Some(id),
        _ => None,
    }
}

impl<S: Store> Engine<S> {
    /// An answer, unless the service has not signed its receipt: then it makes no sense.
    pub(super) fn checked_receipt(
        &self,
        purpose: &Purpose,
        reply: Reply,
    ) -> Result<Reply, CallError> {
        let unsigned = Err(CallError::Strange("a receipt that the service has not signed".into()));
        if let Reply::SendMessages(SentMessages { taken, outcome }) = &reply
            && (*taken == 0) == matches!(outcome, Outcome::Accepted { .. })
        {
            return Err(CallError::Strange("an answer that contradicts itself".into()));
        }
        let Some(group) = group_of(purpose) else { return Ok(reply) };
        let Some(receipt) = receipt_of(&reply) else {
            // The successor that another device has made of a group is not this device's yet.
            let lacks = matches!(&reply, Reply::ResetGroup(reset) if reset.successor == *group);
            return if lacks { unsigned } else { Ok(reply) };
        };
        let signed = self.service_key.as_ref().is_some_and(|key| {
            receipt.group_id == *group && receipt.verify(&*self.provider, key).is_ok()
        });
        match signed {
            true => Ok(reply),
            false => unsigned,
        }
    }
}
