//! Fresh keys of this device in its groups: a commit of its own with a new path, when its leaf is old or much was sent
//! since it was new (RFC 9750 section 8.2.2). [`KeyPolicy`](crate::KeyPolicy) says when.
//!
//! A group's record holds since when the leaf has been in use, and how much was sent since. The leaf itself determines where
//! within its time it is replaced, so that no restart forgets it, and members commit at the same time only by chance.

use super::Conversation;
use super::call::Next;
use super::context::Context;
use super::leaves::{own_leaf, size_of};
use crate::book::{Book, Change};
use crate::chance::random;
use crate::error::EngineError;
use crate::reason::Reason;
use crate::record::{GroupRecord, OwnKey, Stage, Work};
use conclave_delivery_api::sha256;
use conclave_mls::group::NewProposal;
use conclave_store::Store;

/// How many members may commit at once when all come back with overdue keys: after the service was away for long, say. For
/// each member beyond that, this device waits up to this much longer, at random, in milliseconds.
const MEMBERS_AT_ONCE: u32 = 8;
const SPREAD_PER_MEMBER: u64 = 500;
const LONGEST_SPREAD: u64 = 10 * 60 * 1000;

/// Where within its time a leaf is replaced.
fn place_of(leaf: &[u8]) -> u32 {
    let [a, b, c, d, ..] = sha256(leaf);
    u32::from_be_bytes([a, b, c, d])
}

impl Conversation {
    /// The change that notes since when this device's key has been in use, if that is not known. A key counts as new if the
    /// time lies ahead, as the clock was set back, or was not noted by the version that wrote the record.
    pub(crate) fn date_key<S: Store>(&mut self, book: &Book<S>, now: u64) -> Option<Change> {
        let is_unknown = |record: &&GroupRecord| {
            record.stage == Stage::Active && !(1..=now).contains(&record.own_key.since)
        };
        let record = book.record(&self.id).filter(is_unknown)?;
        self.renew_at = None;
        let own_key = OwnKey { since: now, ..record.own_key };
        Some(Change::Record(self.id.clone(), GroupRecord { own_key, ..record.clone() }))
    }

    /// Plans when this device's keys are replaced, if that is not planned.
    pub(crate) fn plan_renewal<S: Store>(&mut self, cx: &mut Context<'_, S>) {
        let Some(record) = cx.book.record(&self.id).filter(|_| self.renew_at.is_none()) else {
            return;
        };
        let Some(leaf) = own_leaf(&self.group) else { return };
        let members = size_of(&self.group);
        let due = if record.own_key.sent >= cx.key_policy.max_messages.max(1) {
            cx.clock.now
        } else {
            cx.key_policy.renewed_at(record.own_key.since, members, place_of(leaf))
        };
        let more = u64::from(members.saturating_sub(MEMBERS_AT_ONCE));
        let spread = LONGEST_SPREAD.min(more * SPREAD_PER_MEMBER);
        self.renew_at = Some(if due <= cx.clock.now && spread > 0 {
            cx.clock.now + random(cx.rng) % spread
        } else {
            due
        });
    }

    /// Whether this device's keys in a group are to be replaced now.
    fn is_renewal_due<S: Store>(&self, book: &Book<S>, now: u64) -> bool {
        self.renew_at.is_some_and(|at| at <= now)
            && self.renewed_in != Some(self.group.epoch().0)
            && size_of(&self.group) > 1
            && self.may_commit_unasked(book, now)
    }

    /// Whether this device may make a commit now that nobody has asked for. Where something else has to come first, that
    /// has a time of its own, and these commits wake nobody meanwhile.
    pub(crate) fn may_commit_unasked<S: Store>(&self, book: &Book<S>, now: u64) -> bool {
        let Some(record) = book.record(&self.id) else { return false };
        let is_member = record.stage == Stage::Active && record.asked_by.is_none();
        let is_read = self.log.is_read(record.cursor);
        // What is encrypted already is sent first. What waits is encrypted after the commit.
        let is_sending = book.front(&self.id).is_some_and(|(_, item)| {
            matches!(item.work, Work::Send { sealed: Some(_), .. } | Work::Leave { .. })
        });
        is_member
            && is_read
            && !is_sending
            && self.stuck().is_none()
            && !self.attempt.delivered
            && self.group.pending_commit().is_none()
            && self.restoring.held_until(now).is_none()
            && !self.is_missing_something(book)
            && !self.comes_back(book)
    }

    /// Makes such a commit. If the service refuses it, nothing that waits to be sent is to blame.
    pub(crate) fn commit_unasked<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        proposals: Vec<NewProposal>,
        also: Vec<Change>,
        force_path: bool,
    ) -> Result<Next, EngineError> {
        match self.commit_with(cx, proposals, None, also, force_path)? {
            Ok(next) => {
                self.attempt.is_unasked = true;
                Ok(next)
            }
            Err(e) => {
                cx.failed(&self.id, Reason::CommitFailed { why: e.to_string() });
                Ok(None)
            }
        }
    }

    /// The commit by which this device replaces its keys in a group, if it is time.
    pub(crate) fn next_fresh_key<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> Result<Next, EngineError> {
        if !self.is_renewal_due(cx.book, cx.clock.now) {
            return Ok(None);
        }
        self.renewed_in = Some(self.group.epoch().0);
        self.commit_unasked(cx, Vec::new(), Vec::new(), true)
    }

    /// When this device's keys are to be replaced, if something can be done then: what is due and cannot be done waits for
    /// something else.
    pub(crate) fn renewal_wake<S: Store>(&self, book: &Book<S>, now: u64) -> Option<u64> {
        let at = self.renew_at?;
        (at > now || self.is_renewal_due(book, now)).then_some(at)
    }
}
