//! What the service asks for when it refuses a commit, done before the commit is made again.

use super::log::device_of;
use super::{Engine, EngineError};
use conclave_delivery_api::{Bytes, CallError, Details, MissingProposal, Name};
use conclave_mls::GroupId;
use conclave_mls::group::{PendingProposal, Proposal};
use conclave_store::Store;

/// How often in an epoch it is done: a service that asks for more and more is not followed for ever.
const MAX_REMEDIES: u32 = 4;

impl<S: Store> Engine<S> {
    /// Does what a refusal of the own commit asks for, and sees to it that the commit is made again; whether it did.
    pub(super) fn remedy(&mut self, id: &GroupId, error: &CallError) -> Result<bool, EngineError> {
        let known =
            self.conversations.get(id).is_some_and(|live| live.attempt.remedies < MAX_REMEDIES);
        let Some(details) = error.details().filter(|_| known) else { return Ok(false) };
        let asked: Vec<Name> = match details {
            Details::Proposals { missing, .. } => {
                self.demand(id, missing);
                self.doubted_users(id)
            }
            // The next key packages are claimed after the accounts have been looked at.
            Details::Devices { devices, .. } => {
                devices.iter().map(|one| one.device.user.clone()).collect()
            }
            _ => return Ok(false),
        };
        self.lookups.extend(asked.iter().cloned());

        self.reject_commit(id, true)?;
        if let Some(live) = self.conversations.get_mut(id) {
            live.attempt.remedies += 1;
            live.log.sync = true;
            live.inviting.look_again();
            live.inviting.forget(&asked);
            // A renewal of the own leaf is tried again, too.
            live.renewed_in = None;
        }
        Ok(true)
    }

    fn demand(&mut self, id: &GroupId, missing: &[MissingProposal]) {
        let Some(live) = self.conversations.get_mut(id) else { return };
        live.attempt.demanded.extend(missing.iter().map(|one| one.reference.clone().into()));
    }

    /// Whose devices the service wants removed, as revoked, of which this device does not know that they were.
    fn doubted_users(&self, id: &GroupId) -> Vec<Name> {
        let Some(live) = self.conversations.get(id) else { return Vec::new() };
        let user = |pending: PendingProposal<'_>| {
            let Proposal::Remove(leaf) = pending.proposal else { return None };
            let member = live.group.member(*leaf).filter(|_| self.is_doubted(live, &pending))?;
            Some(device_of(&member.credential)?.user)
        };
        live.group.view().proposals().filter_map(user).collect()
    }

    /// The proposals that the service is to be told the own commit leaves out on purpose: those that this device cannot
    /// or will not take; and those that the service has asked for and its log does not show to this device, as they were
    /// refused when they were read.
    pub(super) fn left_out_on_purpose(&self, id: &GroupId) -> Vec<Bytes> {
        let Some(live) = self.conversations.get(id) else { return Vec::new() };
        let view = live.group.view();
        let unread = live
            .attempt
            .demanded
            .iter()
            .filter(|wanted| view.proposals().all(|pending| pending.reference != *wanted));
        let mut left_out: Vec<Bytes> = unread.map(|reference| reference.0.clone()).collect();
        if !self.takes_received(id) {
            left_out.extend(view.proposals().map(|pending| pending.reference.0.clone()));
        }
        left_out
    }
}
