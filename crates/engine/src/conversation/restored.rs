//! What a service that was restored from a backup has lost of a group's log, given back to it.
//!
//! The logs that it shows are then of another life of its state than what this device has of them. If its log ends
//! earlier, or has gone on in another way since, this device goes back to where both are the same, and gives the
//! service the entries after that as it had them, with its receipt. The log holds each of them once, however many members
//! give them back. Nothing else is sent in the group before that, and this device passes over what it has read before. So
//! members who were away find in the log what the others know, and no epoch gets a second commit. If another commit came
//! first all the same, the group cannot go on, and the user is told so.

use super::Conversation;
use super::call::{Call, Next};
use super::context::Context;
use super::entries::chained;
use super::kept::kept_up_to;
use super::restoring::{LONGEST_WAIT, Restoring};
use super::{LogEnd, Standing};
use crate::book::{Book, Change};
use crate::chance::random;
use crate::error::EngineError;
use crate::notice::Notice;
use crate::reason::Reason;
use crate::record::{GroupRecord, Kept, News};
use conclave_delivery_api::{
    CallError, ChainHash, ContentType, ErrorCode, Incarnation, LogPage, LogRestored, MAX_PAGE,
    PAGE_BYTES, Receipt, RestoreLog, sha256,
};
use conclave_mls::GroupId;
use conclave_store::Store;

/// The time over which members spread the moment at which they begin to give back, in milliseconds, so that few give back the
/// same.
const SPREAD: u64 = 2_000;
/// The wait before the service is offered again what it did not take, in milliseconds; each doubles, up to
/// [`LONGEST_WAIT`].
const FIRST_WAIT: u64 = 2_000;
/// After how many refusals the user is told.
const QUIET_TRIES: u32 = 3;

impl Conversation {
    /// Whether what this device has of the log is from another life of the service's state than `current`.
    fn is_of_former_life<S: Store>(&self, cx: &Context<'_, S>, current: Incarnation) -> bool {
        let receipt = self.receipt.as_ref();
        receipt.map_or(cx.was_restored, |receipt| receipt.incarnation != current)
    }

    /// Compares the first page of the log in this life of the service's state with what this device has of it. Returns
    /// whether the page does not go on from where this device is. Then this has dealt with it, and the page is of no
    /// further use.
    pub(crate) fn has_lost<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        page: &LogPage,
    ) -> Result<bool, EngineError> {
        if !self.is_of_former_life(cx, page.end.incarnation) {
            return Ok(false);
        }
        let Some(record) = cx.book.record(&self.id).cloned() else { return Ok(false) };
        let compares = self.restoring.compare.is_some();
        let (end, cursor) = (page.end.position, record.cursor);
        if !compares && end.seq >= cursor && chained(&self.id, record.place(), page).is_ok() {
            return Ok(false);
        }

        let kept = kept_up_to(cx.book, &self.id, cursor)?;
        let lowest = kept.first().map_or(cursor, |first| first.entry.seq.saturating_sub(1));
        let common = places(&self.id, page).into_iter().rev().find(|(seq, chain)| {
            let known = match kept.iter().find(|kept| kept.entry.seq == seq.saturating_add(1)) {
                Some(next) => Some(next.before),
                None if *seq == cursor => record.chain,
                None => None,
            };
            known == Some(*chain)
        });
        match common {
            Some((seq, chain)) => self.go_back(cx, record, (seq, chain), kept)?,
            None if !compares && lowest < cursor => {
                self.restoring.compare = Some(lowest);
                self.log.sync = true;
            }
            // This device does not have what the service has lost. Others may.
            None => {
                self.wait_for_members(cx, Reason::LogBehind { end: end.seq, seen: cursor })?;
            }
        }
        Ok(true)
    }

    /// Goes back to the last place that the service's log and this device's log have in common.
    fn go_back<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        record: GroupRecord,
        (seq, chain): (u64, ChainHash),
        kept: Vec<Kept>,
    ) -> Result<(), EngineError> {
        let mut changes = Vec::new();
        for kept in kept.into_iter().filter(|kept| kept.entry.seq > seq) {
            let lost = kept.entry.seq;
            changes.push(Change::Kept(self.id.clone(), lost, None));
            changes.push(Change::Missing(self.id.clone(), lost, Some(Box::new(kept))));
        }
        let record = GroupRecord { cursor: seq, chain: Some(chain), receipt: None, ..record };
        changes.push(Change::Record(self.id.clone(), record));
        cx.book.commit(None, changes)?;

        let give_at = cx.clock.now.saturating_add(random(cx.rng) % SPREAD);
        let hold_until = self.restoring.hold_until;
        self.restoring = Restoring { hold_until, give_at, ..Restoring::default() };
        (self.receipt, self.log, self.attempt.delivered) = (None, LogEnd::UNKNOWN, false);
        Ok(())
    }

    /// The group cannot be read until somebody else has given back what the service lost.
    fn wait_for_members<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        reason: Reason,
    ) -> Result<(), EngineError> {
        // The next entry of the log ends the wait.
        self.log = LogEnd::UNKNOWN;
        self.restoring.compare = None;
        self.wait_stuck(cx, reason)
    }

    /// The group is stuck for a while, which the user is told once.
    fn wait_stuck<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        reason: Reason,
    ) -> Result<(), EngineError> {
        self.standing = Standing::Stuck(reason.clone());
        if !core::mem::replace(&mut self.restoring.told, true) {
            cx.book.commit(None, vec![Change::news(&self.id, News::Waits { reason })])?;
        }
        Ok(())
    }

    /// Takes the service's refusal to show the log. If the service was restored, it may have lost that this device is in the
    /// group. Then a member who knows this gives it back.
    pub(crate) fn log_refused<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        error: &CallError,
    ) -> Result<(), EngineError> {
        let former = cx.book.incarnation().is_some_and(|now| self.is_of_former_life(cx, now));
        match error.code() {
            Some(ErrorCode::NotMember) if former => {
                self.wait_for_members(cx, Reason::MembershipLost)
            }
            Some(ErrorCode::LogTruncated) => self.wait_for_members(cx, Reason::LogTruncated),
            _ => self.stick(cx, Reason::ServiceRefuses { why: error.to_string() }),
        }
    }

    /// Whether the group waits until the service has back what it lost.
    pub(crate) fn is_missing_something<S: Store>(&self, book: &Book<S>) -> bool {
        book.missing(&self.id).is_some()
    }

    /// When something is to be given back next; none if there is nothing, or it cannot be given back.
    pub(crate) fn give_at<S: Store>(&self, book: &Book<S>) -> Option<u64> {
        let may = !matches!(self.standing, Standing::Asks)
            && (self.stuck().is_none() || self.restoring.waits);
        (may && self.is_missing_something(book)).then_some(self.restoring.give_at)
    }

    /// Tries again to give back what the service has refused, if it is time.
    pub(crate) fn resume_giving(&mut self, now: u64) {
        if self.restoring.waits && self.restoring.give_at <= now {
            self.try_again();
        }
    }

    /// The call that gives back the next part of what the service has lost.
    pub(crate) fn next_given_back<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> Result<Next, EngineError> {
        if self.restoring.give_at > cx.clock.now {
            return Ok(None);
        }
        let missing = cx.book.missing_entries(&self.id)?;
        let Some((count, end)) = provable(&missing) else {
            self.leave_missing(cx, "this device has no receipt for it")?;
            return Ok(None);
        };
        let before = missing.first().map_or(ChainHash::EMPTY, |first| first.before);
        let entries = missing.into_iter().take(count).map(|kept| kept.entry).collect();
        let request = RestoreLog { group_id: self.id.clone(), before, entries, end };
        Ok(Some((request.into(), Call::Restore)))
    }

    /// The service has dealt with what it was given back. The log shows what has become of it.
    pub(crate) fn given_back<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        restored: &LogRestored,
    ) -> Result<(), EngineError> {
        self.take_receipt(cx, &restored.receipt, None)?;
        let first = cx.book.missing(&self.id).and_then(|missing| missing.keys().next().copied());
        let last = first.map(|first| first.saturating_add(restored.taken.into()).saturating_sub(1));
        let end = restored.receipt.position.seq;
        self.restoring.given = last.map(|last| (last, end));
        self.restoring.tries = 0;
        self.restoring.give_at = cx.clock.now.saturating_add(FIRST_WAIT);
        self.log.sync = true;
        self.log.reaches(end);
        Ok(())
    }

    /// The service does not take back what it has lost, or cannot yet.
    pub(crate) fn not_given_back<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        error: &CallError,
    ) -> Result<(), EngineError> {
        let handshake = |kept: &Kept| kept.entry.content_type != ContentType::Application;
        let moves_on = cx.book.missing_entries(&self.id)?.iter().any(handshake);

        // Others may have given it back, or gone on in another way.
        self.log.sync = true;
        self.restoring.tries += 1;
        let tries = self.restoring.tries;
        let wait = FIRST_WAIT.saturating_mul(1 << tries.min(8)).min(LONGEST_WAIT);
        self.restoring.give_at = cx.clock.now.saturating_add(wait);

        if tries < QUIET_TRIES {
            return Ok(());
        }
        if !moves_on {
            return self.leave_missing(cx, &error.to_string());
        }
        self.restoring.waits = true;
        self.wait_stuck(cx, Reason::NotTakenBack { why: error.to_string() })
    }

    /// Goes on without what the service has lost.
    fn leave_missing<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        why: &str,
    ) -> Result<(), EngineError> {
        let Some(missing) = cx.book.missing(&self.id) else { return Ok(()) };
        let count = missing.len();
        let mut changes: Vec<Change> =
            missing.keys().map(|seq| Change::Missing(self.id.clone(), *seq, None)).collect();
        let notice = Notice::MessagesLost { count: count as u64, why: why.into() };
        changes.push(Change::news(&self.id, News::Note { notice }));
        Ok(cx.book.commit(None, changes)?)
    }

    /// Notes which of the missing entries a page has. Forgets those that are missing no more: all, once all were found, or
    /// those that the service has dealt with.
    pub(crate) fn note_found<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        page: &LogPage,
        after: u64,
    ) -> Result<(), EngineError> {
        let cursor = self.cursor(cx.book);
        let Some(missing) = cx.book.missing(&self.id) else { return Ok(()) };
        for entry in page.entries.iter().filter(|entry| (after + 1..=cursor).contains(&entry.seq)) {
            let hash = sha256(&entry.message);
            let same = missing.iter().filter(|(_, lost)| **lost == hash);
            self.restoring.found.extend(same.map(|(seq, _)| *seq));
        }

        let found = &self.restoring.found;
        let dealt_with = self.restoring.given.filter(|(_, end)| *end <= cursor);
        let up_to = if missing.keys().all(|seq| found.contains(seq)) {
            u64::MAX
        } else {
            dealt_with.map_or(0, |(last, _)| last)
        };
        let over: Vec<u64> = missing.range(..=up_to).map(|(seq, _)| *seq).collect();
        if over.is_empty() {
            return Ok(());
        }

        let is_all = over.len() == missing.len();
        self.restoring.given = None;
        self.restoring.waits &= !is_all;
        let mut changes: Vec<Change> =
            over.into_iter().map(|seq| Change::Missing(self.id.clone(), seq, None)).collect();
        if is_all {
            changes.push(Change::news(&self.id, News::Note { notice: Notice::GivenBack }));
        }
        Ok(cx.book.commit(None, changes)?)
    }
}

/// The places of the log that a page shows, in ascending order, each with the hash of the log there; empty if the hashes do
/// not add up.
fn places(id: &GroupId, page: &LogPage) -> Vec<(u64, ChainHash)> {
    let after = page.end.position.seq.saturating_sub(page.entries.len() as u64);
    let (Some(before), Some(chains)) = (page.before, page.chains(id, None)) else {
        return Vec::new();
    };
    (after..).zip(core::iter::once(before).chain(chains)).collect()
}

/// How many of the missing entries can be given back at once, and the receipt that proves them: those up to the last receipt
/// among the entries that fit into a page.
fn provable(missing: &[Kept]) -> Option<(usize, Receipt)> {
    let mut bytes = 0;
    let fits = |kept: &&Kept| {
        let before = bytes;
        bytes += kept.entry.message.len();
        before < PAGE_BYTES
    };
    let fitting = missing.iter().take(MAX_PAGE as usize).take_while(fits);
    let with_receipt = |(index, kept): (usize, &Kept)| Some((index + 1, kept.receipt.clone()?));
    fitting.enumerate().filter_map(with_receipt).last()
}
