//! The receipts for a group's log: the service is held to what it has signed.

use super::Conversation;
use super::context::Context;
use crate::book::Change;
use crate::error::EngineError;
use crate::notice::Warning;
use crate::record::{GroupRecord, News};
use crate::watching::keep;
use conclave_delivery_api::{ChainHash, Link, LogEvidence, LogPage, Receipt};
use conclave_store::Store;

/// What shows that the kept receipt and a new one cannot both be true; `page` is the page that ends with the new one. Returns
/// the hash of the new one's log at the place of the kept one, and the entries in between.
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

impl Conversation {
    /// Takes a receipt for a place in the log, with the page that ends there, if there is one: compares it with the kept
    /// receipt, and keeps the later of the two.
    pub(crate) fn take_receipt<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        receipt: &Receipt,
        page: Option<&LogPage>,
    ) -> Result<(), EngineError> {
        let Some(kept) = self.receipt.clone() else {
            self.receipt = Some(receipt.clone());
            return Ok(());
        };
        if let Some(shown) = contradiction(&kept, receipt, page) {
            return self.convict_of_log(cx, (kept, receipt.clone()), shown);
        }
        let later = receipt.position.seq >= kept.position.seq;
        if later || receipt.incarnation != kept.incarnation {
            self.receipt = Some(receipt.clone());
        }
        Ok(())
    }

    /// The service has gone on with the log in two ways: tells the user, with the evidence. Forgets the kept receipt, so that
    /// the user is not told the same again.
    fn convict_of_log<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        (first, second): (Receipt, Receipt),
        (before, links): (ChainHash, Vec<Link>),
    ) -> Result<(), EngineError> {
        let Some(service_key) = cx.service_key.cloned() else { return Ok(()) };
        let evidence = LogEvidence { service_key, first, second, before, links };
        let (file, kept) = keep(cx.evidence_place, &evidence, cx.book.evidence_count())?;
        let warning = Warning::TwoLogs { evidence: kept };
        let mut changes: Vec<Change> = file.into_iter().collect();
        changes.push(Change::news(&self.id, News::Alarm { warning }));
        if let Some(record) = cx.book.record(&self.id) {
            let record = GroupRecord { receipt: None, ..record.clone() };
            changes.push(Change::Record(self.id.clone(), record));
        }
        self.receipt = None;
        Ok(cx.book.commit(None, changes)?)
    }
}
