//! How far a conversation has come with giving back what a restored service lost.

use std::collections::BTreeSet;

/// How long nothing new is sent in any group after the service was restored, in milliseconds: members who have what it
/// lost come first.
const GRACE: u64 = 10_000;
/// The longest wait before the service is offered again what it did not take, in milliseconds.
pub(crate) const LONGEST_WAIT: u64 = 300_000;

/// How far a conversation has come with giving back.
#[derive(Debug, Default)]
pub(crate) struct Restoring {
    /// The entry after which the log is fetched, to see where it became another one.
    pub(crate) compare: Option<u64>,
    /// Until when nothing new is sent.
    pub(crate) hold_until: u64,
    /// When something is given back next.
    pub(crate) give_at: u64,
    /// How often in a row the service has not taken it.
    pub(crate) tries: u32,
    /// The former numbers of missing entries that were found in the log again.
    pub(crate) found: BTreeSet<u64>,
    /// The former number of the last entry that the service has dealt with, and where its log ended then.
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

    /// Until when nothing new may be sent; none if it may be sent now.
    pub(crate) fn held_until(&self, now: u64) -> Option<u64> {
        (self.hold_until > now).then_some(self.hold_until)
    }

    /// Brings forward times that lie further ahead than they are ever set: they do if the clock was set back.
    pub(crate) fn clamp(&mut self, now: u64) {
        self.hold_until = self.hold_until.min(now.saturating_add(GRACE));
        self.give_at = self.give_at.min(now.saturating_add(LONGEST_WAIT));
    }
}
