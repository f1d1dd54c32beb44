//! What a service that was restored from a backup has lost of a group's log, given back to it.
//!
//! The logs that it shows are then of another life of its state than what this device has of them. If its log ends
//! earlier, or has gone on in another way since, this device goes back to where both are the same, and gives the
//! service the entries after that as it had them, with its receipt. Whoever gives them back, and however many do, the
//! log holds each once. Nothing else is said in the group before that, and this device passes over what it has read
//! before. So members who were away find in the log what the others know, and no epoch gets a second commit: if another
//! one came first all the same, the group cannot go on, which the user is told.

use super::log::chained;
use super::outgoing::random;
use super::{Engine, EngineError, Purpose};
use crate::book::Change;
use crate::conversation::restoring::{LONGEST_WAIT, Restoring};
use crate::conversation::{Conversation, Standing};
use crate::notice::Notice;
use crate::reason::Reason;
use crate::record::{GroupRecord, Kept, News};
use crate::request::Request;
use conclave_delivery_api::{
    CallError, ChainHash, ContentType, ErrorCode, Incarnation, LogPage, LogRestored, PAGE_BYTES,
    RestoreLog, sha256,
};
use conclave_mls::GroupId;
use conclave_store::Store;

/// Within how many milliseconds members begin to give back, at random, so that few give back the same.
const SPREAD: u64 = 2_000;
/// The wait before the service is offered again what it did not take, in milliseconds; each doubles, up to
/// [`LONGEST_WAIT`].
const FIRST_WAIT: u64 = 2_000;
/// After how many refusals the user is told.
const QUIET_TRIES: u32 = 3;

impl<S: Store> Engine<S> {
    /// Whether what this device has of a group's log is of another life of the service's state than this one.
    fn is_of_former_life(&self, id: &GroupId, current: Incarnation) -> bool {
        let receipt = self.conversations.get(id).and_then(|live| live.receipt.as_ref());
        receipt.map_or(self.was_restored, |receipt| receipt.incarnation != current)
    }

    /// Compares the first page of a log in this life of the service's state with what this device has of it. If it does
    /// not go on where this device is, that is seen to, and the page is of no further use.
    pub(super) fn has_lost(&mut self, id: &GroupId, page: &LogPage) -> Result<bool, EngineError> {
        if !self.is_of_former_life(id, page.end.incarnation) {
            return Ok(false);
        }
        let Some(record) = self.book.record(id).cloned() else { return Ok(false) };
        let Some(live) = self.conversations.get(id) else { return Ok(false) };
        let compares = live.restoring.compare.is_some();
        let (end, cursor) = (page.end.position, record.cursor);
        if !compares && end.seq >= cursor && chained(id, &record, page).is_ok() {
            return Ok(false);
        }

        let kept = self.kept_up_to(id, cursor)?;
        let lowest = kept.first().map_or(cursor, |first| first.entry.seq.saturating_sub(1));
        let common = places(id, page).into_iter().rev().find(|(seq, chain)| {
            let known = match kept.iter().find(|kept| kept.entry.seq == seq.saturating_add(1)) {
                Some(next) => Some(next.before),
                None if *seq == cursor => record.chain,
                None => None,
            };
            known == Some(*chain)
        });
        match common {
            Some((seq, chain)) => self.go_back(id, record, (seq, chain), kept)?,
            None if !compares && lowest < cursor => {
                if let Some(live) = self.conversations.get_mut(id) {
                    live.restoring.compare = Some(lowest);
                    live.log.sync = true;
                }
            }
            None => self.cannot_compare(id, end.seq, cursor)?,
        }
        Ok(true)
    }

    /// Goes back to the last place that the service's log and this device's have in common.
    fn go_back(
        &mut self,
        id: &GroupId,
        record: GroupRecord,
        (seq, chain): (u64, ChainHash),
        kept: Vec<Kept>,
    ) -> Result<(), EngineError> {
        let mut changes = Vec::new();
        for kept in kept.into_iter().filter(|kept| kept.entry.seq > seq) {
            let lost = kept.entry.seq;
            changes.push(Change::Kept(id.clone(), lost, None));
            changes.push(Change::Missing(id.clone(), lost, Some(Box::new(kept))));
        }
        let record = GroupRecord { cursor: seq, chain: Some(chain), receipt: None, ..record };
        changes.push(Change::Record(id.clone(), record));
        self.book.commit(None, changes)?;
        let give_at = self.now.saturating_add(random(&mut *self.rng) % SPREAD);
        if let Some(live) = self.conversations.get_mut(id) {
            let hold_until = live.restoring.hold_until;
            live.restoring = Restoring { hold_until, give_at, ..Restoring::default() };
            (live.receipt, live.log.sync, live.attempt.delivered) = (None, true, false);
            (live.log.head, live.log.asked_head) = (0, 0);
        }
        Ok(())
    }

    /// This device does not have what the service has lost. Others may.
    fn cannot_compare(&mut self, id: &GroupId, end: u64, cursor: u64) -> Result<(), EngineError> {
        self.wait_for_members(id, Reason::LogBehind { end, seen: cursor })
    }

    /// A group cannot be read until somebody else has given back what the service lost.
    fn wait_for_members(&mut self, id: &GroupId, reason: Reason) -> Result<(), EngineError> {
        let Some(live) = self.conversations.get_mut(id) else { return Ok(()) };
        // Whatever comes next in the log wakes it.
        (live.log.head, live.log.asked_head, live.log.sync) = (0, 0, true);
        live.restoring.compare = None;
        live.standing = Standing::Stuck(reason.clone());
        if !core::mem::replace(&mut live.restoring.told, true) {
            self.book.commit(None, vec![Self::news(id, News::Waits { reason })])?;
        }
        Ok(())
    }

    /// The service refuses to show a log. If it was restored, it may have lost that this device is in the group: a member
    /// who knows it gives that back.
    pub(super) fn log_refused(
        &mut self,
        id: &GroupId,
        error: &CallError,
    ) -> Result<(), EngineError> {
        let former = self.book.incarnation().is_some_and(|now| self.is_of_former_life(id, now));
        match error.code() {
            Some(ErrorCode::NotMember) if former => {
                self.wait_for_members(id, Reason::MembershipLost)
            }
            Some(ErrorCode::LogTruncated) => self.wait_for_members(id, Reason::LogTruncated),
            _ => self.stick(id, Reason::ServiceRefuses { why: error.to_string() }),
        }
    }

    /// Whether a group waits until the service has back what it lost.
    pub(super) fn is_missing_something(&self, id: &GroupId) -> bool {
        self.book.missing(id).is_some()
    }

    /// When a group has something to give back next; none if it has not, or cannot.
    pub(super) fn give_at(&self, id: &GroupId, live: &Conversation) -> Option<u64> {
        let may = !matches!(live.standing, Standing::Asks)
            && (live.stuck().is_none() || live.restoring.waits);
        (may && self.is_missing_something(id)).then_some(live.restoring.give_at)
    }

    /// A group that waited for the service to take what it refused tries again.
    pub(super) fn resume_giving(&mut self, id: &GroupId) {
        let now = self.now;
        if let Some(live) = self.conversations.get_mut(id)
            && live.restoring.waits
            && live.restoring.give_at <= now
        {
            live.try_again();
        }
    }

    /// The call that gives back the next part of what the service has lost.
    pub(super) fn next_given_back(
        &mut self,
        id: &GroupId,
    ) -> Result<Option<(Request, Purpose)>, EngineError> {
        let Some(live) = self.conversations.get(id) else { return Ok(None) };
        if live.restoring.give_at > self.now {
            return Ok(None);
        }
        let missing = self.book.missing_entries(id)?;
        let Some((count, end)) = provable(&missing) else {
            self.leave_missing(id, "this device has no receipt for it")?;
            return Ok(None);
        };
        let before = missing.first().map_or(ChainHash::EMPTY, |first| first.before);
        let entries = missing.into_iter().take(count).map(|kept| kept.entry).collect();
        let request = RestoreLog { group_id: id.clone(), before, entries, end };
        Ok(Some((request.into(), Purpose::Restore(id.clone()))))
    }

    /// The service has dealt with what it was given back: the log shows what it made of it.
    pub(super) fn given_back(
        &mut self,
        id: &GroupId,
        restored: &LogRestored,
    ) -> Result<(), EngineError> {
        self.take_receipt(id, &restored.receipt, None)?;
        let first = self.book.missing(id).and_then(|missing| missing.keys().next().copied());
        let Some(live) = self.conversations.get_mut(id) else { return Ok(()) };
        let last = first.map(|first| first.saturating_add(restored.taken.into()).saturating_sub(1));
        let end = restored.receipt.position.seq;
        live.restoring.given = last.map(|last| (last, end));
        live.restoring.tries = 0;
        live.restoring.give_at = self.now.saturating_add(FIRST_WAIT);
        live.log.sync = true;
        live.log.reaches(end);
        Ok(())
    }

    /// The service does not take what it has lost, or cannot yet.
    pub(super) fn not_given_back(
        &mut self,
        id: &GroupId,
        error: &CallError,
    ) -> Result<(), EngineError> {
        let handshake = |kept: &Kept| kept.entry.content_type != ContentType::Application;
        let moves_on = self.book.missing_entries(id)?.iter().any(handshake);
        let Some(live) = self.conversations.get_mut(id) else { return Ok(()) };
        // Others may have given it back, or gone on in another way.
        live.log.sync = true;
        live.restoring.tries += 1;
        let tries = live.restoring.tries;
        let wait = FIRST_WAIT.saturating_mul(1 << tries.min(8)).min(LONGEST_WAIT);
        live.restoring.give_at = self.now.saturating_add(wait);
        if tries < QUIET_TRIES {
            return Ok(());
        }
        if !moves_on {
            return self.leave_missing(id, &error.to_string());
        }
        live.restoring.waits = true;
        let reason = Reason::NotTakenBack { why: error.to_string() };
        live.standing = Standing::Stuck(reason.clone());
        if !core::mem::replace(&mut live.restoring.told, true) {
            self.book.commit(None, vec![Self::news(id, News::Waits { reason })])?;
        }
        Ok(())
    }

    /// Goes on without what the service has lost.
    fn leave_missing(&mut self, id: &GroupId, why: &str) -> Result<(), EngineError> {
        let Some(missing) = self.book.missing(id) else { return Ok(()) };
        let count = missing.len();
        let mut changes: Vec<Change> =
            missing.keys().map(|seq| Change::Missing(id.clone(), *seq, None)).collect();
        let notice = Notice::MessagesLost { count: count as u64, why: why.into() };
        changes.push(Self::news(id, News::Note { notice }));
        Ok(self.book.commit(None, changes)?)
    }

    /// Takes note of what of the missing entries a page has, and forgets them when all are there again, or the service
    /// has dealt with them.
    pub(super) fn note_found(
        &mut self,
        id: &GroupId,
        page: &LogPage,
        after: u64,
    ) -> Result<(), EngineError> {
        let cursor = self.book.record(id).map_or(0, |record| record.cursor);
        let (Some(missing), Some(live)) = (self.book.missing(id), self.conversations.get_mut(id))
        else {
            return Ok(());
        };
        for entry in page.entries.iter().filter(|entry| (after + 1..=cursor).contains(&entry.seq)) {
            let hash = sha256(&entry.message);
            let same = missing.iter().filter(|(_, lost)| **lost == hash);
            live.restoring.found.extend(same.map(|(seq, _)| *seq));
        }
        let found = &live.restoring.found;
        let dealt_with = live.restoring.given.filter(|(_, end)| *end <= cursor);
        let up_to = match missing.keys().all(|seq| found.contains(seq)) {
            true => u64::MAX,
            false => dealt_with.map_or(0, |(last, _)| last),
        };
        let over: Vec<u64> = missing.range(..=up_to).map(|(seq, _)| *seq).collect();
        if over.is_empty() {
            return Ok(());
        }

        let is_all = over.len() == missing.len();
        live.restoring.given = None;
        live.restoring.waits &= !is_all;
        let mut changes: Vec<Change> =
            over.into_iter().map(|seq| Change::Missing(id.clone(), seq, None)).collect();
        if is_all {
            changes.push(Self::news(id, News::Note { notice: Notice::GivenBack }));
        }
        Ok(self.book.commit(None, changes)?)
    }
}

/// The places that a page shows, ascending, each with the hash of the log there; none if it does not add up.
fn places(id: &GroupId, page: &LogPage) -> Vec<(u64, ChainHash)> {
    let after = page.end.position.seq.saturating_sub(page.entries.len() as u64);
    let (Some(before), Some(chains)) = (page.before, page.chains(id, None)) else {
        return Vec::new();
    };
    (after..).zip(core::iter::once(before).chain(chains)).collect()
}

/// How many of these entries the service can be given at once, and the receipt that proves them: those up to the last
/// receipt, as far as they are not longer than a page.
fn provable(missing: &[Kept]) -> Option<(usize, conclave_delivery_api::Receipt)> {
    let mut bytes = 0;
    let fits = |kept: &&Kept| {
        let before = bytes;
        bytes += kept.entry.message.len();
        before < PAGE_BYTES
    };
    let fitting = missing.iter().take(conclave_delivery_api::MAX_PAGE as usize).take_while(fits);
    let with_receipt = |(index, kept): (usize, &Kept)| Some((index + 1, kept.receipt.clone()?));
    fitting.enumerate().filter_map(with_receipt).last()
}
