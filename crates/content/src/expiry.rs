//! When messages expire (sections 4.1, 5.8 and 9.1). The caller brings the time.

use crate::content::Expiration;

/// Times further away than this make no sense (section 9.1): a year, in seconds.
const YEAR: u64 = 366 * 24 * 3600;

/// Whether a message may still be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Until somebody reads it, and then for a while.
    UntilRead,
    /// Until then, in seconds since 1970.
    Until(u64),
    /// Not any more: it is to be deleted.
    Over,
}

impl Expiration {
    /// An expiration at a time in seconds since 1970.
    #[must_use]
    pub fn at(time: u32) -> Self {
        Self { relative: false, time }
    }

    /// An expiration so many seconds after the message was read.
    #[must_use]
    pub fn after_reading(seconds: u32) -> Self {
        Self { relative: true, time: seconds }
    }

    /// Whether the expiration makes sense in a message that comes in at a time in seconds since 1970: it lies at most a
    /// year ahead and, if it is absolute, at most a year back. A message for which it does not is discarded.
    #[must_use]
    pub fn is_sensible(&self, received_at: u64) -> bool {
        let time = u64::from(self.time);
        if self.relative { time <= YEAR } else { time.abs_diff(received_at) <= YEAR }
    }

    /// Whether the message may be shown at a time in seconds since 1970, if the user read it at `read_at`.
    #[must_use]
    pub fn lifetime(&self, now: u64, read_at: Option<u64>) -> Lifetime {
        let end = match (self.relative, read_at) {
            (false, _) => u64::from(self.time),
            (true, None) => return Lifetime::UntilRead,
            (true, Some(read_at)) => read_at.saturating_add(u64::from(self.time)),
        };
        if now < end { Lifetime::Until(end) } else { Lifetime::Over }
    }
}
