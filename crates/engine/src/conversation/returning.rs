//! The user's devices that were removed as they had been silent for long: this device brings them back when they run again.
//!
//! A device that finds itself removed like that replaces its key packages. So its user's devices that are members look from
//! time to time whether the service has a key package of it that was made after its removal, and add it by that one: whoever
//! merely holds what the service had before gets nobody in. It comes in as a new member, whom the group has seen on that
//! day, so that it can be removed again only after it was silent for as long once more.

use super::Conversation;
use super::context::Context;
use super::waits::STALE_SPREAD;
use crate::book::{Book, Change};
use crate::chance::random;
use crate::error::EngineError;
use crate::record::{Item, Who, Work};
use crate::returns::{Awaited, is_made_since};
use conclave_delivery_api::DeviceId;
use conclave_mls::key_package::ValidKeyPackage;
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
        let at = match self.looked_for_returns {
            // It may have come back while this process did not run.
            false => now.saturating_add(random(cx.rng) % STALE_SPREAD),
            true => {
                let since = now.saturating_sub(last.saturating_mul(1000));
                let wait = (since / PART).clamp(SHORTEST, LONGEST);
                now.saturating_add(wait / 2).saturating_add(random(cx.rng) % (wait / 2))
            }
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
        (self.returns_at, self.looked_for_returns) = (None, true);
        let user = cx.device().user.clone();
        let own = cx.authority.devices_of(cx.book.accounts(), &user);
        let before = cx.book.awaited(&self.id).to_vec();
        // One that was revoked since does not come back.
        let is_own = |awaited: &Awaited| own.iter().any(|(own, _)| own.device == awaited.device);
        let awaited: Vec<Awaited> = before.iter().filter(|a| is_own(a)).cloned().collect();

        let who =
            |awaited: &Awaited| Who { user: user.clone(), device: Some(awaited.device.clone()) };
        let is_queued = |who: &Who| {
            let invites =
                |item: &Item| matches!(&item.work, Work::Invite { who: other, .. } if other == who);
            cx.book.items(&self.id).any(|(_, item)| invites(item))
        };
        let missing = awaited.iter().map(who).filter(|who| !is_queued(who));
        let work = |who| Work::Invite { who, committing: false, by_itself: true };
        let item = |who| Change::NewItem(Item { group: self.id.clone(), work: work(who) });
        let mut changes: Vec<Change> = missing.map(item).collect();
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

    /// Since when a device has to have made its key package to be added, in seconds since 1970; none if it may be any.
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

/// Whether a device that is awaited has come back, by its key package.
pub(crate) fn has_come_back(package: &ValidKeyPackage, removed_at: u64) -> bool {
    is_made_since(package.key_package(), removed_at)
}
