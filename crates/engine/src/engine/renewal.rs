//! Fresh keys of this device in its groups: a commit of its own with a new path, when its leaf is old or much was sent
//! since it was new (RFC 9750 section 8.2.2). [`KeyPolicy`](crate::KeyPolicy) says when.
//!
//! A group's record holds since when the leaf is in use, and how much was sent since. From the leaf itself follows where
//! within its time it is replaced: so no process forgets that, and no two members commit at once but by chance.

use super::leaves::{own_leaf, size_of};
use super::{Engine, EngineError, Live, Purpose};
use crate::book::Change;
use crate::reason::Reason;
use crate::record::{GroupRecord, OwnKey, Stage, Work};
use crate::request::Request;
use conclave_delivery_api::sha256;
use conclave_mls::GroupId;
use conclave_store::Store;

type Next = Option<(Request, Purpose)>;

/// Of so many members, all may commit at once when they all come back with keys that are too old: after the service
/// was away for long, say. For each one more, this device waits up to so long at random, in milliseconds.
const MEMBERS_AT_ONCE: u32 = 8;
const SPREAD_PER_MEMBER: u64 = 500;
const LONGEST_SPREAD: u64 = 10 * 60 * 1000;

/// Where within its time a leaf is replaced.
fn place_of(leaf: &[u8]) -> u32 {
    let [a, b, c, d, ..] = sha256(leaf);
    u32::from_be_bytes([a, b, c, d])
}

impl<S: Store> Engine<S> {
    /// Plans when this device's keys are replaced, in the groups where that is not known. A key that is in use since
    /// a time to come counts as new: the clock was set back, or the record is older than such times are.
    pub(super) fn plan_renewals(&mut self) -> Result<(), EngineError> {
        let now = self.now;
        let is_unknown = |record: &GroupRecord| !(1..=now).contains(&record.own_key.since);
        let unknown: Vec<Change> = self
            .groups
            .keys()
            .filter_map(|id| Some((id, self.book.record(id)?)))
            .filter(|(_, record)| is_unknown(record) && record.stage == Stage::Active)
            .map(|(id, record)| {
                let own_key = OwnKey { since: now, ..record.own_key };
                Change::Record(id.clone(), GroupRecord { own_key, ..record.clone() })
            })
            .collect();
        for change in &unknown {
            let Change::Record(id, _) = change else { continue };
            if let Some(live) = self.groups.get_mut(id) {
                live.renew_at = None;
            }
        }
        if !unknown.is_empty() {
            self.book.commit(None, unknown)?;
        }

        for (id, live) in &mut self.groups {
            let Some(record) = self.book.record(id).filter(|_| live.renew_at.is_none()) else {
                continue;
            };
            let Some(leaf) = own_leaf(&live.group) else { continue };
            let members = size_of(&live.group);
            let due = match record.own_key.sent >= self.keys.max_messages.max(1) {
                true => now,
                false => self.keys.renewed_at(record.own_key.since, members, place_of(leaf)),
            };
            let more = u64::from(members.saturating_sub(MEMBERS_AT_ONCE));
            let spread = LONGEST_SPREAD.min(more * SPREAD_PER_MEMBER);
            live.renew_at = Some(match due <= now && spread > 0 {
                true => now + super::outgoing::random(&mut *self.rng) % spread,
                false => due,
            });
        }
        Ok(())
    }

    /// Whether this device's keys in a group are to be replaced now.
    fn is_renewal_due(&self, id: &GroupId, live: &Live) -> bool {
        let (Some(due), Some(record)) = (live.renew_at, self.book.record(id)) else { return false };
        let is_member = record.stage == Stage::Active && record.asked_by.is_none();
        let was_tried = live.renewed_in == Some(live.group.epoch().0);
        // What is encrypted already is sent first. What waits is encrypted after the commit.
        let is_sending = self.book.front(id).is_some_and(|(_, item)| {
            matches!(item.work, Work::Send { sealed: Some(_), .. } | Work::Leave { .. })
        });
        due <= self.now
            && is_member
            && !was_tried
            && !is_sending
            && live.stuck.is_none()
            && !live.delivered
            && live.group.pending_commit().is_none()
            && size_of(&live.group) > 1
    }

    /// The commit by which this device replaces its keys in a group, if it is time.
    pub(super) fn next_fresh_key(&mut self, id: &GroupId) -> Result<Next, EngineError> {
        if !self.groups.get(id).is_some_and(|live| self.is_renewal_due(id, live)) {
            return Ok(None);
        }
        if let Some(live) = self.groups.get_mut(id) {
            live.renewed_in = Some(live.group.epoch().0);
            live.is_renewing = true;
        }
        match self.commit_with(id, Vec::new(), None, Vec::new(), true)? {
            Ok(next) => Ok(next),
            Err(e) => {
                self.failed(Some(id), Reason::CommitFailed { why: e.to_string() });
                Ok(None)
            }
        }
    }

    /// When the next key is to be replaced.
    pub(super) fn renewal_wake(&self) -> Option<u64> {
        let due = self.groups.iter().filter_map(|(id, live)| {
            // What is due and cannot be done waits for something else.
            let at = live.renew_at?;
            (at > self.now || self.is_renewal_due(id, live)).then_some(at)
        });
        due.min()
    }
}
