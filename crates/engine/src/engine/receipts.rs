//! What the service has signed of groups' logs: it is held to it.

use super::watching::keep;
use super::{Engine, EngineError, Purpose};
use crate::book::Change;
use crate::notice::Warning;
use crate::record::{GroupRecord, News};
use crate::request::Reply;
use conclave_delivery_api::{
    CallError, ChainHash, Link, LogEvidence, LogPage, Outcome, Receipt, SentMessages,
};
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
        Purpose::Create(id)
        | Purpose::Log(id)
        | Purpose::Restore(id)
        | Purpose::Commit(id)
        | Purpose::Message(id)
        | Purpose::Proposal(id)
        | Purpose::LinkedGroup(id)
        | Purpose::JoinCommit(id) => Some(id),
        _ => None,
    }
}

/// What shows that a receipt and one that was kept cannot both be true, the new one with the page that it ends.
/// The result is the hash of the new one's log at the place of the kept one, and the entries between.
fn contradiction(
    kept: &Receipt,
    new: &Receipt,
    page: Option<&LogPage>,
) -> Option<(ChainHash, Vec<Link>)> {
    if kept.contradicts(new) {
        return Some((new.position.chain, Vec::new()));
    }
    let page = page.filter(|_| kept.incarnation == new.incarnation)?;
    let after = new.position.seq.checked_sub(page.entries.len() as u64)?;
    let at = usize::try_from(kept.position.seq.checked_sub(after)?).ok()?;
    let links: Vec<Link> = page.entries.get(at..)?.iter().map(Link::of).collect();
    let chains = page.chains(&new.group_id, None)?;
    let before = match at.checked_sub(1) {
        Some(last) => *chains.get(last)?,
        None => page.before?,
    };
    (!links.is_empty() && before != kept.position.chain).then_some((before, links))
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

    /// Takes the service's word on a place in a group's log, with the page that ends there: compares it with what
    /// the service has signed before, and keeps the later one.
    pub(super) fn take_receipt(
        &mut self,
        id: &GroupId,
        receipt: &Receipt,
        page: Option<&LogPage>,
    ) -> Result<(), EngineError> {
        let Some(live) = self.conversations.get_mut(id) else { return Ok(()) };
        let Some(kept) = live.receipt.clone() else {
            live.receipt = Some(receipt.clone());
            return Ok(());
        };
        if let Some(shown) = contradiction(&kept, receipt, page) {
            return self.convict_of_log(id, (kept, receipt.clone()), shown);
        }
        let later = receipt.position.seq >= kept.position.seq;
        if later || receipt.incarnation != kept.incarnation {
            live.receipt = Some(receipt.clone());
        }
        Ok(())
    }

    /// The service has gone on with a group's log in two ways: tells the user, with the evidence. Its receipts are
    /// kept anew from then on, so that the same is not told again.
    fn convict_of_log(
        &mut self,
        id: &GroupId,
        (first, second): (Receipt, Receipt),
        (before, links): (ChainHash, Vec<Link>),
    ) -> Result<(), EngineError> {
        let Some(service_key) = self.service_key.clone() else { return Ok(()) };
        let evidence = LogEvidence { service_key, first, second, before, links };
        let (file, kept) = keep(&self.evidence_place, &evidence, self.book.evidence_count())?;
        let warning = Warning::TwoLogs { evidence: kept };
        let mut changes: Vec<Change> = file.into_iter().collect();
        changes.push(Self::news(id, News::Alarm { warning }));
        if let Some(record) = self.book.record(id) {
            let record = GroupRecord { receipt: None, ..record.clone() };
            changes.push(Change::Record(id.clone(), record));
        }
        if let Some(live) = self.conversations.get_mut(id) {
            live.receipt = None;
        }
        Ok(self.book.commit(None, changes)?)
    }
}
