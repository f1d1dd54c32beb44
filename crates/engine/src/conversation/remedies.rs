//! What the service asks for when it refuses a commit, done before the commit is made again.

use super::Conversation;
use super::context::Context;
use crate::book::Book;
use crate::error::EngineError;
use conclave_certificates::device_of;
use conclave_delivery_api::{Bytes, CallError, Details, MissingProposal, Name};
use conclave_mls::group::{PendingProposal, Proposal};
use conclave_store::Store;

/// How often in an epoch this is done: a service that asks for more and more is not followed endlessly.
const MAX_REMEDIES: u32 = 4;

impl Conversation {
    /// Does what a refusal of our commit asks for, and has the commit made again. Returns whether it did.
    pub(crate) fn remedy<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        error: &CallError,
    ) -> Result<bool, EngineError> {
        let may_try = self.attempt.remedies < MAX_REMEDIES;
        let Some(details) = error.details().filter(|_| may_try) else { return Ok(false) };
        let asked: Vec<Name> = match details {
            Details::Proposals { missing, .. } => {
                self.demand(missing);
                self.doubted_users(cx.book)
            }
            // The next key packages are claimed after the accounts have been fetched.
            Details::Devices { devices, .. } => {
                devices.iter().map(|one| one.device.user.clone()).collect()
            }
            _ => return Ok(false),
        };
        cx.lookups.extend(asked.iter().cloned());

        self.reject_commit(cx, true)?;
        self.attempt.remedies += 1;
        self.log.sync = true;
        self.inviting.look_again();
        self.inviting.forget(&asked);
        // A renewal of the own leaf is tried again, too.
        self.renewed_in = None;
        Ok(true)
    }

    fn demand(&mut self, missing: &[MissingProposal]) {
        self.attempt.demanded.extend(missing.iter().map(|one| one.reference.clone().into()));
    }

    /// The users whose devices the service wants removed as revoked, and of whose revocation this device does not know.
    fn doubted_users<S: Store>(&self, book: &Book<S>) -> Vec<Name> {
        let user = |pending: PendingProposal<'_>| {
            let Proposal::Remove(leaf) = pending.proposal else { return None };
            let member = self.group.member(*leaf).filter(|_| self.is_doubted(book, &pending))?;
            Some(device_of(&member.credential)?.user)
        };
        self.group.view().proposals().filter_map(user).collect()
    }

    /// The proposals that our commit leaves out on purpose, as the service is told: those that this device cannot or will not
    /// include, and those that the service has asked for but this device has refused when it read them.
    pub(crate) fn left_out_on_purpose<S: Store>(&self, book: &Book<S>) -> Vec<Bytes> {
        let view = self.group.view();
        let unread = self
            .attempt
            .demanded
            .iter()
            .filter(|wanted| view.proposals().all(|pending| pending.reference != *wanted));
        let mut left_out: Vec<Bytes> = unread.map(|reference| reference.0.clone()).collect();
        if !self.takes_received(book) {
            left_out.extend(view.proposals().map(|pending| pending.reference.0.clone()));
        }
        left_out
    }
}
