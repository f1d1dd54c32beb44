//! Devices that were not seen in a group for long: they are removed, as they may still hold old keys (RFC 9750 section
//! 8.2.2). [`KeyPolicy::max_absence`](crate::KeyPolicy::max_absence) says after how long.
//!
//! Each device notes on which day it last read something of each member's in the group's log: a message, or a commit. By
//! that it judges for itself, and removes the devices that its user's role lets it remove. A user's own devices come first,
//! and other members a day later. No two devices have to agree: the slower one finds nothing left to do.
//!
//! Nobody's clock alone gets anybody removed. What is read is noted by the later of this device's clock and the service's,
//! and judged by the earlier one.

use super::rooms::room_of;
use super::{Engine, EngineError, Purpose};
use crate::book::Change;
use crate::conversation::Conversation;
use crate::conversation::leaves::size_of;
use crate::conversation::waits::{STALE_SPREAD, STALE_TURN};
use crate::notice::Notice;
use crate::record::{News, Stage};
use crate::request::Request;
use crate::seen::day;
use conclave_delivery_api::DeviceId;
use conclave_mls::GroupId;
use conclave_mls::group::{LeafIndex, NewProposal};
use conclave_room::{Capability, RoleIndex};
use conclave_store::Store;
use std::collections::BTreeMap;

type Next = Option<(Request, Purpose)>;

/// How often a group's members are looked at, in milliseconds.
const INTERVAL: u64 = 60 * 60 * 1000;
/// How many days longer others wait than the user's own devices.
const HEAD_START: u32 = 1;
/// How many devices one commit removes, at most. The others follow when the group is looked at again.
const MAX_REMOVED: usize = 200;

/// A member that was not seen for so many days.
struct Stale {
    leaf: LeafIndex,
    device: DeviceId,
    days: u32,
}

impl<S: Store> Engine<S> {
    /// By which day what is read now is noted.
    pub(super) fn seen_day(&self) -> u32 {
        day(self.now.max(self.service_time().as_secs().saturating_mul(1000)))
    }

    /// Plans to remove stale members, if there are any that this device may remove.
    pub(super) fn plan_stale(&mut self, id: &GroupId) -> Result<(), EngineError> {
        let Some(record) = self.book.record(id).filter(|r| r.stage == Stage::Active) else {
            return Ok(());
        };
        let Some(live) = self.conversations.get(id).filter(|_| self.keys.max_absence.is_some())
        else {
            return Ok(());
        };
        let was_just_now = |at: u64| (at..at.saturating_add(INTERVAL)).contains(&self.now);
        let is_planned = live.stale_at.is_some()
            || live.looked_at.is_some_and(was_just_now)
            || record.asked_by.is_some();
        // A day in the future was noted while a clock was ahead: nobody would be removed before it came.
        let is_noted = |begun: u32| begun <= self.seen_day();
        if !self.book.seen(id).and_then(|seen| seen.begun).is_some_and(is_noted) {
            let begun = Change::SeenSince(id.clone(), self.seen_day());
            self.book.commit(None, vec![begun])?;
        }
        if is_planned {
            return Ok(());
        }

        let is_any = !self.stale_in(id).is_empty();
        // Where every member may remove others, most hear of the first commit before their own is due.
        let members = u64::from(size_of(&live.group));
        let spread = STALE_SPREAD.saturating_add(members.saturating_mul(STALE_TURN)).min(INTERVAL);
        let at = self.now.saturating_add(super::outgoing::random(&mut *self.rng) % spread);
        if let Some(live) = self.conversations.get_mut(id) {
            live.looked_at = Some(self.now);
            live.stale_at = is_any.then_some(at);
        }
        Ok(())
    }

    /// The stale members of a group that this device may remove.
    fn stale_in(&self, id: &GroupId) -> Vec<Stale> {
        let (Some(live), Some(seen)) = (self.conversations.get(id), self.book.seen(id)) else {
            return Vec::new();
        };
        let limit = self.keys.absence_in(size_of(&live.group));
        let (Some(limit), Some(receipt)) = (limit, &live.receipt) else { return Vec::new() };
        // The service has signed its time with what was read last; this device's clock may have been set since.
        let today = day(self.now.min(receipt.issued_at.saturating_mul(1000)));

        let (me, own_leaf) = (self.device(), live.group.own_leaf());
        let mut of_user: BTreeMap<_, Vec<Stale>> = BTreeMap::new();
        for member in live.group.members() {
            let Some(device) = super::log::device_of(&member.credential) else { continue };
            let last = seen.day_of(member.index.0).unwrap_or(u32::MAX);
            let days = if member.index == own_leaf { 0 } else { today.saturating_sub(last) };
            let user = device.user.clone();
            of_user.entry(user).or_default().push(Stale { leaf: member.index, device, days });
        }

        let mut stale = Vec::new();
        for (user, mut devices) in of_user {
            let limit = if user == me.user { limit } else { limit.saturating_add(HEAD_START) };
            if !self.may_remove_device_of(live, user.as_str()) {
                continue;
            }
            // A user's only device stays, or the one of them that was seen last.
            devices.sort_by_key(|device| (device.days, device.leaf));
            stale.extend(devices.into_iter().skip(1).filter(|device| device.days > limit));
        }
        stale
    }

    /// Whether this device's user may remove a device of a user who stays.
    fn may_remove_device_of(&self, live: &Conversation, user: &str) -> bool {
        let me = self.device().user.as_str();
        let Some(room) = room_of(&live.group) else { return true };
        if user == me {
            return room.may(me, Capability::REMOVE_OWN_CLIENT)
                || room.may(me, Capability::REMOVE_SELF);
        }
        let (Some(own), Some(theirs)) = (room.role_of(me), room.role_of(user)) else {
            return false;
        };
        own.has(Capability::KICK) && own.may_move(theirs.index, RoleIndex::NONE)
    }

    fn is_removal_due(&self, id: &GroupId, live: &Conversation) -> bool {
        live.stale_at.is_some_and(|at| at <= self.now) && self.may_commit_unasked(id, live)
    }

    /// The commit that removes stale members of a group, if it is time.
    pub(super) fn next_stale(&mut self, id: &GroupId) -> Result<Next, EngineError> {
        if !self.conversations.get(id).is_some_and(|live| self.is_removal_due(id, live)) {
            return Ok(None);
        }
        let mut stale = self.stale_in(id);
        stale.sort_by_key(|stale| core::cmp::Reverse(stale.days));
        stale.truncate(MAX_REMOVED);
        let Some(live) = self.conversations.get_mut(id) else { return Ok(None) };
        live.stale_at = None;
        if stale.is_empty() {
            // Somebody else was faster.
            return Ok(None);
        }

        let removes = stale.iter().map(|stale| NewProposal::Remove(stale.leaf)).collect();
        let told = stale.iter().map(|Stale { device, days, .. }| {
            let notice = Notice::StaleDevice { who: device.clone(), days: *days };
            Self::news(id, News::Note { notice })
        });
        let told = told.collect();
        self.commit_unasked(id, removes, told, false)
    }

    /// When stale members are to be removed next.
    pub(super) fn stale_wake(&self) -> Option<u64> {
        let due = self.conversations.iter().filter_map(|(id, live)| {
            let at = live.stale_at?;
            (at > self.now || self.is_removal_due(id, live)).then_some(at)
        });
        due.min()
    }
}
