//! How far a group has come with what a restored service lost of it.

use std::collections::BTreeSet;

/// How long nothing new is said in any group after the service was restored, in milliseconds: members who have what it
/// lost are to come first.
const GRACE: u64 = 10_000;
/// The longest wait before the service is offered again what it did not take, in milliseconds.
pub(crate) const LONGEST_WAIT: u64 = 300_000;

/// How far a group has come with giving back.
#[derive(Debug, Default)]
pub(crate) struct Restoring {
    /// From where on the log is read, to see where it became another one.
    pub(crate) compare: Option<u64>,
    /// Until when nothing new is said.
    pub(crate) hold_until: u64,
    /// When something is given back next.
    pub(crate) give_at: u64,
    /// How often in a row the service did not take it.
    pub(crate) tries: u32,
    /// The former numbers of entries that were read in the log again.
    pub(crate) found: BTreeSet<u64>,
    /// The former number of the last entry that the service dealt with, and where its log ended then.
    pub(crate) given: Option<(u64, u64)>,
    /// Whether the group waits for the service to take what it refused.
    pub(crate) waits: bool,
    /// Whether the user was told that the group waits.
    pub(crate) told: bool,
}

impl Restoring {
    /// The service was restored just now.
    pub(crate) fn begin(&mut self, now: u64) {
        *self = Self { hold_until: now.saturating_add(GRACE), ..Self::default() };
    }

    /// Until when nothing new may be said; none if it may.
    pub(crate) fn held_until(&self, now: u64) -> Option<u64> {
        (self.hold_until > now).then_some(self.hold_until)
    }

    /// No time lies further ahead than it is ever set: it does if the clock was set back.
    pub(crate) fn clamp(&mut self, now: u64) {
        self.hold_until = self.hold_until.min(now.saturating_add(GRACE));
        self.give_at = self.give_at.min(now.saturating_add(LONGEST_WAIT));
    }
}
