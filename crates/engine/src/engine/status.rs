//! How much is done, and when there is more to do.

use super::{Engine, NAME_WAIT};
use crate::record::{Line, Stage, Work};
use conclave_mls::GroupId;
use conclave_store::Store;

impl<S: Store> Engine<S> {
    /// When [`Self::next`] or [`Self::outputs`] may have something new even if nothing comes in,
    /// in milliseconds since 1970.
    #[must_use]
    pub fn wake_at(&self) -> Option<u64> {
        let names = self.book.lines().values().filter_map(|line| self.hidden_until(line));
        names.chain(self.call_at()).min()
    }

    /// When there may be a call to make even if nothing comes in.
    fn call_at(&self) -> Option<u64> {
        if !self.under_way.is_empty() {
            return None;
        }
        if self.retry_at > self.now {
            // Everything that is due waits for that.
            return Some(self.retry_at);
        }
        if !self.registered {
            return self.look_at();
        }
        if self.book.copied().is_some() {
            return self.copied_wake().into_iter().chain([self.session_until]).min();
        }
        let conversations = self.conversations.values();
        let conversations =
            conversations.filter_map(|conversation| conversation.wake_at(&self.book, self.now));
        conversations
            .chain([self.count_at, self.session_until])
            .chain(self.newcomers_at)
            .chain(self.account_wake())
            .chain(self.watch_wake())
            .min()
    }

    /// Whether all that can be done now is done: nothing is to be sent, fetched or shown.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.is_caught_up() && self.book.lines().is_empty() && self.answers.is_empty()
    }

    /// Does as [`Self::is_settled`], but for what is still to be shown: what a host looks at is what the service has.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        self.registered
            && self.is_marked()
            && self.under_way.is_empty()
            && self.count_at > self.now
            && !self.inbox_due
            && self.inbox.is_empty()
            && self.acks.is_empty()
            && self.account_is_settled()
            && self.newcomers_at.is_none()
            && self.tell_ready.is_none()
            && self.lookups.is_empty()
            && self.book.joining().is_empty()
            && self.watch_is_settled()
            && self.to_replace.is_empty()
            && self.book.unpublished().is_empty()
            && self
                .conversations
                .values()
                .all(|conversation| conversation.is_settled(&self.book, self.now))
    }

    /// Whether what the user says next, after something else, can build on that: all that can be
    /// done now is done, or nothing can, as the service or a device that was admitted does not answer.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.is_settled() || self.is_held_up()
    }

    /// Whether nothing can be done now, as the service or a device that was admitted does not answer.
    #[must_use]
    pub fn is_held_up(&self) -> bool {
        self.is_stopped_as_copy()
            || (self.admitted_is_late() && self.under_way.is_empty())
            || (self.offline && self.under_way.is_empty())
            || self.waiting_link.as_ref().is_some_and(|waiting| waiting.placed)
    }

    /// How many things that the user asked for since this process began are not done yet, but for
    /// departures that only somebody else can complete. To be admitted to the account is one of them.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let items = self.book.asked(|work| {
            !matches!(
                work,
                Work::Leave { proposed: Some(_), .. } | Work::Invite { by_itself: true, .. }
            )
        });
        let creating = |group: &&GroupId| {
            let record = self.book.record(group);
            record.is_some_and(|record| matches!(record.stage, Stage::Creating(_)))
        };
        let admission = self.waiting_link.is_some() || self.is_bringing_in();
        let account = usize::from(admission) + self.open_revocations();
        items + self.made.iter().filter(creating).count() + account
    }

    /// How many things that the user has asked for since [`Self::open`] failed after they were accepted, as
    /// [`News::Failed`](crate::News::Failed) or [`Answer::Failed`](crate::Answer::Failed) says.
    #[must_use]
    pub fn failures(&self) -> usize {
        self.book.failures() + self.account_failures
    }

    /// Until when a line waits for its group's name.
    pub(super) fn hidden_until(&self, line: &Line) -> Option<u64> {
        let record = self.book.record(line.group.as_ref()?)?;
        let until = record.joined_at.saturating_add(NAME_WAIT);
        // It joined before now, unless the clock was set back.
        let waits = record.name.is_empty() && (record.joined_at..until).contains(&self.now);
        waits.then_some(until)
    }
}
