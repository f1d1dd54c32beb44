//! Devices that were not seen in a group for a long time: they are removed, as they may still hold old keys (RFC 9750 section
//! 8.2.2). [`KeyPolicy::max_absence`](crate::KeyPolicy::max_absence) says after how long.
//!
//! Each device notes on which day it last read something of each member's in the group's log: a message, or a commit. By
//! that it judges for itself, and removes the devices that its user's role lets it remove. A user's own devices come first,
//! and other members a day later. No two devices have to agree: the slower one finds nothing left to do.
//!
//! No single clock gets anybody removed. What is read is noted by the later of this device's clock and the service's,
//! and judged by the earlier one.

use super::Conversation;
use super::call::Next;
use super::context::Context;
use super::leaves::size_of;
use super::rooms::room_of;
use super::waits::{STALE_SPREAD, STALE_TURN};
use crate::book::{Book, Change};
use crate::chance::random;
use crate::error::EngineError;
use crate::notice::Notice;
use crate::record::{News, Stage};
use crate::seen::day;
use conclave_certificates::device_of;
use conclave_delivery_api::DeviceId;
use conclave_mls::group::{LeafIndex, NewProposal};
use conclave_room::{Capability, RoleIndex};
use conclave_store::Store;
use std::collections::BTreeMap;

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

impl Conversation {
    /// Plans to remove stale members, if there are any that this device may remove.
    pub(crate) fn plan_stale<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> Result<(), EngineError> {
        let Some(record) = cx.book.record(&self.id).filter(|r| r.stage == Stage::Active) else {
            return Ok(());
        };
        let was_just_now = |at: u64| (at..at.saturating_add(INTERVAL)).contains(&cx.clock.now);
        let is_planned = self.stale_at.is_some()
            || self.looked_at.is_some_and(was_just_now)
            || record.asked_by.is_some();

        // A day in the future was noted while a clock was ahead: nobody would be removed before it came.
        let is_noted = |begun: u32| begun <= cx.clock.seen_day();
        if !cx.book.seen(&self.id).and_then(|seen| seen.begun).is_some_and(is_noted) {
            let begun = Change::SeenSince(self.id.clone(), cx.clock.seen_day());
            cx.book.commit(None, vec![begun])?;
        }
        if is_planned || cx.key_policy.max_absence.is_none() {
            return Ok(());
        }

        let is_any = !self.stale_in(cx).is_empty();
        // Where every member may remove others, most hear of the first commit before their own is due.
        let members = u64::from(size_of(&self.group));
        let spread = STALE_SPREAD.saturating_add(members.saturating_mul(STALE_TURN)).min(INTERVAL);
        let at = cx.clock.now.saturating_add(random(cx.rng) % spread);
        self.looked_at = Some(cx.clock.now);
        self.stale_at = is_any.then_some(at);
        Ok(())
    }

    /// The stale members of a group that this device may remove.
    fn stale_in<S: Store>(&self, cx: &Context<'_, S>) -> Vec<Stale> {
        let Some(seen) = cx.book.seen(&self.id) else { return Vec::new() };
        let limit = cx.key_policy.absence_in(size_of(&self.group));
        let (Some(limit), Some(receipt)) = (limit, &self.receipt) else { return Vec::new() };
        // The service has signed its time with what was read last; this device's clock may have been set since.
        let today = day(cx.clock.now.min(receipt.issued_at.saturating_mul(1000)));

        let (me, own_leaf) = (cx.device(), self.group.own_leaf());
        let mut of_user: BTreeMap<_, Vec<Stale>> = BTreeMap::new();
        for member in self.group.members() {
            let Some(device) = device_of(&member.credential) else { continue };
            let last = seen.day_of(member.index.0).unwrap_or(u32::MAX);
            let days = if member.index == own_leaf { 0 } else { today.saturating_sub(last) };
            let user = device.user.clone();
            of_user.entry(user).or_default().push(Stale { leaf: member.index, device, days });
        }

        let mut stale = Vec::new();
        for (user, mut devices) in of_user {
            let limit = if user == me.user { limit } else { limit.saturating_add(HEAD_START) };
            if !self.may_remove_device_of(me, user.as_str()) {
                continue;
            }
            // A user's only device stays, or of several the one that was seen last.
            devices.sort_by_key(|device| (device.days, device.leaf));
            stale.extend(devices.into_iter().skip(1).filter(|device| device.days > limit));
        }
        stale
    }

    /// Whether this device's user may remove a device of a user who stays.
    fn may_remove_device_of(&self, me: &DeviceId, user: &str) -> bool {
        let me = me.user.as_str();
        let Some(room) = room_of(&self.group) else { return true };
        if user == me {
            return room.may(me, Capability::REMOVE_OWN_CLIENT)
                || room.may(me, Capability::REMOVE_SELF);
        }
        let (Some(own), Some(theirs)) = (room.role_of(me), room.role_of(user)) else {
            return false;
        };
        own.has(Capability::KICK) && own.may_move(theirs.index, RoleIndex::NONE)
    }

    /// Whether stale members are to be removed now.
    fn is_removal_due<S: Store>(&self, book: &Book<S>, now: u64) -> bool {
        self.stale_at.is_some_and(|at| at <= now) && self.may_commit_unasked(book, now)
    }

    /// The commit that removes stale members of a group, if it is time.
    pub(crate) fn next_stale<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> Result<Next, EngineError> {
        if !self.is_removal_due(cx.book, cx.clock.now) {
            return Ok(None);
        }
        let mut stale = self.stale_in(cx);
        stale.sort_by_key(|stale| core::cmp::Reverse(stale.days));
        stale.truncate(MAX_REMOVED);
        self.stale_at = None;
        if stale.is_empty() {
            // Somebody else was faster.
            return Ok(None);
        }

        let removes = stale.iter().map(|stale| NewProposal::Remove(stale.leaf)).collect();
        let told = stale.iter().map(|Stale { device, days, .. }| {
            let notice = Notice::StaleDevice { who: device.clone(), days: *days };
            Change::news(&self.id, News::Note { notice })
        });
        let told = told.collect();
        self.commit_unasked(cx, removes, told, false)
    }

    /// When stale members are to be removed, if something can be done then.
    pub(crate) fn stale_wake<S: Store>(&self, book: &Book<S>, now: u64) -> Option<u64> {
        let at = self.stale_at?;
        (at > now || self.is_removal_due(book, now)).then_some(at)
    }
}
