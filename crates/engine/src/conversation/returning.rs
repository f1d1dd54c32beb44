//! The user's devices that were removed after a long silence: this device brings them back when they run again.
//!
//! A device that finds itself removed like that replaces its key packages. So its user's devices that are members look from
//! time to time whether the service has a key package of it that was made after its removal, and add it by that one: a key
//! package from before the removal brings nobody back. It comes in as a new member that the group has seen on that day, so
//! it can be removed again only after another silence of that length.

use super::Conversation;
use super::context::Context;
use super::waits::STALE_SPREAD;
use crate::book::{Book, Change};
use crate::chance::random;
use crate::error::EngineError;
use crate::record::{Item, Who, Work};
use crate::returns::Awaited;
use conclave_delivery_api::DeviceId;
use conclave_store::Store;

/// How often a removed device is looked for, in milliseconds: often at first, then after an eighth of the time that has
/// passed since it was removed, and once a day at least. Each look takes a key package of it.
const SHORTEST: u64 = 60 * 60 * 1000;
const LONGEST: u64 = 24 * SHORTEST;
const PART: u64 = 8;

impl Conversation {
    /// Plans when this device looks for those that may have come back, if there are any.
    pub(crate) fn plan_returns<S: Store>(&mut self, cx: &mut Context<'_, S>) {
        let awaited = cx.book.awaited(&self.id);
        let Some(last) = awaited.iter().map(|awaited| awaited.removed_at).max() else {
            self.returns_at = None;
            return;
        };
        if self.returns_at.is_some() {
            return;
        }

        let now = cx.clock.now;
        let at = if self.looked_for_returns {
            let since = now.saturating_sub(last.saturating_mul(1000));
            let wait = (since / PART).clamp(SHORTEST, LONGEST);
            now.saturating_add(wait / 2).saturating_add(random(cx.rng) % (wait / 2))
        } else {
            // One may have come back while this process did not run.
            now.saturating_add(random(cx.rng) % STALE_SPREAD)
        };
        self.returns_at = Some(at);
    }

    fn is_return_due<S: Store>(&self, book: &Book<S>, now: u64) -> bool {
        self.returns_at.is_some_and(|at| at <= now) && self.may_commit_unasked(book, now)
    }

    /// Queues an invitation of each device that may have come back, if it is time to look.
    pub(crate) fn invite_returned<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> Result<(), EngineError> {
        if !self.is_return_due(cx.book, cx.clock.now) {
            return Ok(());
        }
        self.returns_at = None;
        self.looked_for_returns = true;

        // A device that was revoked since does not come back.
        let user = cx.device().user.clone();
        let own = cx.authority.devices_of(cx.book.accounts(), &user);
        let is_own = |awaited: &Awaited| own.iter().any(|(own, _)| own.device == awaited.device);
        let before = cx.book.awaited(&self.id).to_vec();
        let awaited: Vec<Awaited> = before.iter().filter(|a| is_own(a)).cloned().collect();

        let mut changes = Vec::new();
        for one in &awaited {
            let who = Who { user: user.clone(), device: Some(one.device.clone()) };
            let is_queued = cx.book.items(&self.id).any(
                |(_, item)| matches!(&item.work, Work::Invite { who: other, .. } if *other == who),
            );
            if !is_queued {
                let work = Work::Invite { who, committing: false, by_itself: true };
                changes.push(Change::NewItem(Item { group: self.id.clone(), work }));
            }
        }
        if awaited.len() < before.len() {
            changes.push(Change::Awaited(self.id.clone(), awaited));
        }
        cx.book.commit(None, changes)?;
        self.plan_returns(cx);
        Ok(())
    }

    /// When this device looks next, if something can be done then.
    pub(crate) fn returns_wake<S: Store>(&self, book: &Book<S>, now: u64) -> Option<u64> {
        let at = self.returns_at?;
        (at > now || self.is_return_due(book, now)).then_some(at)
    }

    /// The time of an awaited device's removal, in seconds since 1970: a key package brings it back only if it was made after
    /// that. None if the group does not wait for the device.
    pub(crate) fn awaited_since<S: Store>(
        &self,
        cx: &Context<'_, S>,
        device: &DeviceId,
    ) -> Option<u64> {
        let mut awaited = cx.book.awaited(&self.id).iter();
        let is_it = |a: &&Awaited| device.user == cx.device().user && a.device == device.device;
        awaited.find(is_it).map(|awaited| awaited.removed_at)
    }
}
