//! Pending proposals that a commit has to cover.
//!
//! RFC 9420 section 12.4 asks a committer to take all proposals that it has received, and cannot ask for more, as it
//! may not have received them. The service knows which came before. It insists on those that somebody's safety
//! depends on and that nobody has a reason to refuse: its own, which remove revoked devices, and those of members who
//! leave. Otherwise every commit that crosses them would put them off.
//!
//! A member may be unable to take one all the same, as its membership tag is wrong, which the service cannot see; or
//! it may not believe that a device was revoked. It says so, and leaves it out.

use super::framed::proposal_ref;
use super::{Service, ServiceError};
use crate::storage::{GroupRecord, Storage};
use conclave_delivery_api::{
    Details, ErrorCode, GroupId, MAX_LISTED, MAX_PAGE, MissingProposal, PAGE_BYTES,
};
use conclave_mls::crypto::Suite;
use conclave_mls::group::PendingProposal;
use conclave_mls::observe::{ObservedStage, Observer};
use conclave_mls::wire::{Proposal, ProposalRef, Sender};
use std::collections::BTreeSet;

/// Whether no commit may leave a proposal out.
fn has_to_be_covered(pending: &PendingProposal<'_>) -> bool {
    match (pending.sender, pending.proposal) {
        (Sender::Member(own), Proposal::Remove(leaf)) => own == *leaf,
        (Sender::External(_), Proposal::Remove(_)) | (_, Proposal::SelfRemove(_)) => true,
        _ => false,
    }
}

/// The proposals that a commit has to cover and does not.
pub(super) fn uncovered(observer: &Observer, commit: &ObservedStage) -> BTreeSet<ProposalRef> {
    let wanted = observer.proposals().filter(has_to_be_covered);
    commit.left_out(observer, wanted).iter().map(|pending| pending.reference.clone()).collect()
}

impl<S: Storage> Service<S> {
    /// The refusal of a commit that leaves these out.
    pub(super) fn proposals_missing(
        &self,
        (id, group): (&GroupId, &GroupRecord),
        suite: &Suite<'_>,
        mut wanted: BTreeSet<ProposalRef>,
    ) -> Result<ServiceError, ServiceError> {
        let total = u32::try_from(wanted.len()).unwrap_or(u32::MAX);
        let mut missing = Vec::new();
        for entry in self.storage.proposals(id, group.epoch, MAX_PAGE, PAGE_BYTES)? {
            if missing.len() == MAX_LISTED {
                break;
            }
            let reference = proposal_ref(suite, &entry.message)?;
            // Each once, even if its sender has submitted it twice.
            if wanted.remove(&reference) {
                missing.push(MissingProposal { reference: reference.0, seq: entry.seq });
            }
        }
        let numbers: Vec<String> = missing.iter().map(|one| one.seq.to_string()).collect();
        let detail = format!(
            "the commit leaves out {total} proposals that it has to cover, of revoked devices or members who leave: \
             numbers {} of the log",
            numbers.join(", ")
        );
        let details = Details::Proposals { end: group.position(), missing, total };
        Ok(ServiceError::new(ErrorCode::ProposalsMissing, detail).with(details))
    }
}
