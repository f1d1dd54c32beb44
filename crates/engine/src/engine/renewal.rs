//! Fresh keys of this device in its groups: a commit of its own with a new path, when its leaf is old or much was sent
//! since it was new (RFC 9750 section 8.2.2). [`KeyPolicy`](crate::KeyPolicy) says when.
//!
//! A group's record holds since when the leaf has been in use, and how much was sent since. The leaf itself determines where
//! within its time it is replaced, so that no restart forgets it, and members commit at the same time only by chance.

use super::{Engine, EngineError, Purpose};
use crate::book::Change;
use crate::conversation::Conversation;
use crate::conversation::leaves::{own_leaf, size_of};
use crate::reason::Reason;
use crate::record::{GroupRecord, OwnKey, Stage, Work};
use crate::request::Request;
use conclave_delivery_api::sha256;
use conclave_mls::GroupId;
use conclave_mls::group::NewProposal;
use conclave_store::Store;

type Next = Option<(Request, Purpose)>;

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

impl<S: Store> Engine<S> {
    /// Plans when this device's keys are replaced, in the groups where that is not known. A key counts as new if its time
    /// lies ahead, as the clock was set back, or was not noted by the version that wrote the record.
    pub(super) fn plan_renewals(&mut self) -> Result<(), EngineError> {
        let now = self.now;
        let is_unknown = |record: &GroupRecord| {
            record.stage == Stage::Active && !(1..=now).contains(&record.own_key.since)
        };
        let mut changes = Vec::new();
        for (id, live) in &mut self.conversations {
            let Some(record) = self.book.record(id).filter(|record| is_unknown(record)) else {
                continue;
            };
            live.renew_at = None;
            let own_key = OwnKey { since: now, ..record.own_key };
            changes.push(Change::Record(id.clone(), GroupRecord { own_key, ..record.clone() }));
        }
        if !changes.is_empty() {
            self.book.commit(None, changes)?;
        }

        for (id, live) in &mut self.conversations {
            let Some(record) = self.book.record(id).filter(|_| live.renew_at.is_none()) else {
                continue;
            };
            let Some(leaf) = own_leaf(&live.group) else { continue };
            let members = size_of(&live.group);
            let due = if record.own_key.sent >= self.keys.max_messages.max(1) {
                now
            } else {
                self.keys.renewed_at(record.own_key.since, members, place_of(leaf))
            };
            let more = u64::from(members.saturating_sub(MEMBERS_AT_ONCE));
            let spread = LONGEST_SPREAD.min(more * SPREAD_PER_MEMBER);
            live.renew_at = Some(if due <= now && spread > 0 {
                now + super::outgoing::random(&mut *self.rng) % spread
            } else {
                due
            });
        }
        Ok(())
    }

    /// Whether this device's keys in a group are to be replaced now.
    fn is_renewal_due(&self, id: &GroupId, live: &Conversation) -> bool {
        live.renew_at.is_some_and(|at| at <= self.now)
            && live.renewed_in != Some(live.group.epoch().0)
            && size_of(&live.group) > 1
            && self.may_commit_unasked(id, live)
    }

    /// Whether this device may make a commit now that nobody has asked for. Where something else has to come first, that
    /// has a time of its own, and these commits wake nobody meanwhile.
    pub(super) fn may_commit_unasked(&self, id: &GroupId, live: &Conversation) -> bool {
        let Some(record) = self.book.record(id) else { return false };
        let is_member = record.stage == Stage::Active && record.asked_by.is_none();
        let is_read = live.log.is_read(record.cursor);
        // What is encrypted already is sent first. What waits is encrypted after the commit.
        let is_sending = self.book.front(id).is_some_and(|(_, item)| {
            matches!(item.work, Work::Send { sealed: Some(_), .. } | Work::Leave { .. })
        });
        is_member
            && is_read
            && !is_sending
            && live.stuck().is_none()
            && !live.attempt.delivered
            && live.group.pending_commit().is_none()
            && live.restoring.held_until(self.now).is_none()
            && !self.is_missing_something(id)
            && !self.comes_back(id)
    }

    /// Makes such a commit. If the service refuses it, nothing that waits to be sent is to blame.
    pub(super) fn commit_unasked(
        &mut self,
        id: &GroupId,
        proposals: Vec<NewProposal>,
        also: Vec<Change>,
        force_path: bool,
    ) -> Result<Next, EngineError> {
        match self.commit_with(id, proposals, None, also, force_path)? {
            Ok(next) => {
                if let Some(live) = self.conversations.get_mut(id) {
                    live.attempt.is_unasked = true;
                }
                Ok(next)
            }
            Err(e) => {
                self.failed(Some(id), Reason::CommitFailed { why: e.to_string() });
                Ok(None)
            }
        }
    }

    /// The commit by which this device replaces its keys in a group, if it is time.
    pub(super) fn next_fresh_key(&mut self, id: &GroupId) -> Result<Next, EngineError> {
        if !self.conversations.get(id).is_some_and(|live| self.is_renewal_due(id, live)) {
            return Ok(None);
        }
        if let Some(live) = self.conversations.get_mut(id) {
            live.renewed_in = Some(live.group.epoch().0);
        }
        self.commit_unasked(id, Vec::new(), Vec::new(), true)
    }

    /// When the next key is to be replaced.
    pub(super) fn renewal_wake(&self) -> Option<u64> {
        let due = self.conversations.iter().filter_map(|(id, live)| {
            // What is due and cannot be done waits for something else.
            let at = live.renew_at?;
            (at > self.now || self.is_renewal_due(id, live)).then_some(at)
        });
        due.min()
    }
}
