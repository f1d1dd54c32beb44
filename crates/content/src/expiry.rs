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

/// What a room's policy says of the expiry of its messages, in seconds. A bound of more than a year counts as a year: what
/// expires later makes no sense ([`Expiration::is_sensible`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExpiryPolicy {
    /// Nothing: the sender's choice counts.
    #[default]
    Open,
    /// No message expires.
    Never,
    /// Messages may expire, or must.
    Within {
        /// Whether they must.
        required: bool,
        /// After how long at the earliest.
        min: u32,
        /// After how long at the latest.
        max: u32,
        /// After how long if the sender chooses nothing; if this is missing and they must, at the latest.
        default: Option<u32>,
    },
}

impl ExpiryPolicy {
    /// The expiration that counts for a message that came in at a time in seconds since 1970, whatever its sender chose: the
    /// same one on all devices, as they know the policy and the time. The policy's bounds count from that time, or from
    /// reading if the sender chose that.
    ///
    /// A choice that makes no sense stays: such a message is discarded.
    #[must_use]
    pub fn bounded(&self, chosen: Option<Expiration>, received_at: u64) -> Option<Expiration> {
        if chosen.is_some_and(|expires| !expires.is_sensible(received_at)) {
            return chosen;
        }
        let (required, min, max) = match *self {
            Self::Open => return chosen,
            Self::Never => return None,
            Self::Within { required, min, max, .. } => (required, in_a_year(min), in_a_year(max)),
        };

        let after = |seconds: u64| received_at.saturating_add(seconds);
        Some(match chosen {
            None if required => Expiration::at(within_u32(after(max))),
            None => return None,
            Some(Expiration { relative: true, time }) => {
                Expiration::after_reading(within_u32(u64::from(time).max(min).min(max)))
            }
            Some(Expiration { relative: false, time }) => {
                Expiration::at(within_u32(u64::from(time).max(after(min)).min(after(max))))
            }
        })
    }

    /// The expiration of a message that is sent at a time in seconds since 1970: the sender's choice within the policy's
    /// bounds, or what the policy has for those who choose nothing.
    #[must_use]
    pub fn to_send(&self, chosen: Option<Expiration>, now: u64) -> Option<Expiration> {
        let usual = match *self {
            Self::Within { required, max, default, .. } => default.or(required.then_some(max)),
            Self::Open | Self::Never => None,
        };
        let usual =
            usual.map(|seconds| Expiration::at(within_u32(now.saturating_add(in_a_year(seconds)))));
        self.bounded(chosen.or(usual), now)
    }

    /// Whether a sender may choose this expiration for a message that is sent at a time in seconds since 1970: it makes sense,
    /// and no bound of the policy changes it.
    #[must_use]
    pub fn allows(&self, chosen: Expiration, now: u64) -> bool {
        chosen.is_sensible(now) && self.bounded(Some(chosen), now) == Some(chosen)
    }

    /// Until when a message that came in at a time expires a while after reading if nobody reads it, both in seconds since
    /// 1970: as long as the policy lets any message live, and a year where it sets no bound. The draft gives an unread message
    /// no end; a year is the longest that it lets any expiry be (section 9.1).
    #[must_use]
    pub fn unread_until(&self, received_at: u64) -> u64 {
        received_at.saturating_add(match *self {
            Self::Within { max, .. } => in_a_year(max),
            Self::Open | Self::Never => YEAR,
        })
    }
}

fn in_a_year(seconds: u32) -> u64 {
    u64::from(seconds).min(YEAR)
}

fn within_u32(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;
    const DAY: u32 = 24 * 3600;

    fn at(seconds: u32) -> Option<Expiration> {
        Some(Expiration::at(within_u32(NOW + u64::from(seconds))))
    }

    fn within(required: bool, default: Option<u32>) -> ExpiryPolicy {
        ExpiryPolicy::Within { required, min: DAY, max: 7 * DAY, default }
    }

    #[test]
    fn a_message_lives_as_long_as_its_room_lets_it_whatever_its_sender_says() {
        let must = within(true, Some(2 * DAY));
        // None where one is required, too long, too short, and one that is fine.
        assert_eq!(must.bounded(None, NOW), at(7 * DAY));
        assert_eq!(must.bounded(at(8 * DAY), NOW), at(7 * DAY));
        assert_eq!(must.bounded(at(1), NOW), at(DAY));
        assert_eq!(must.bounded(Some(Expiration::at(NOW as u32 - 1)), NOW), at(DAY));
        assert_eq!(must.bounded(at(3 * DAY), NOW), at(3 * DAY));
        // Those that count from reading still do.
        for (chosen, counts) in [(0, DAY), (2 * DAY, 2 * DAY), (30 * DAY, 7 * DAY)] {
            let chosen = Some(Expiration::after_reading(chosen));
            assert_eq!(must.bounded(chosen, NOW), Some(Expiration::after_reading(counts)));
        }

        let may = within(false, None);
        assert_eq!((may.bounded(None, NOW), may.bounded(at(8 * DAY), NOW)), (None, at(7 * DAY)));
        assert_eq!(ExpiryPolicy::Never.bounded(at(1), NOW), None);
        assert_eq!(ExpiryPolicy::Open.bounded(at(1), NOW), at(1));
    }

    #[test]
    fn a_sender_may_choose_what_no_bound_of_the_room_changes() {
        let must = within(true, None);
        let allowed = |policy: ExpiryPolicy, chosen| policy.allows(chosen, NOW);
        for seconds in [DAY, 3 * DAY, 7 * DAY] {
            assert!(allowed(must, at(seconds).unwrap()), "{seconds}");
            assert!(allowed(must, Expiration::after_reading(seconds)), "{seconds}");
        }
        for seconds in [DAY - 1, 7 * DAY + 1] {
            assert!(!allowed(must, at(seconds).unwrap()), "{seconds}");
            assert!(!allowed(must, Expiration::after_reading(seconds)), "{seconds}");
            assert!(allowed(ExpiryPolicy::Open, at(seconds).unwrap()), "{seconds}");
        }
        assert!(!allowed(ExpiryPolicy::Never, at(DAY).unwrap()));
        assert!(!allowed(ExpiryPolicy::Open, at(367 * DAY).unwrap()));
    }

    #[test]
    fn a_message_that_nobody_reads_ends_when_any_other_would() {
        assert_eq!(within(false, None).unread_until(NOW), NOW + 7 * u64::from(DAY));
        for open in [ExpiryPolicy::Open, ExpiryPolicy::Never] {
            assert_eq!(open.unread_until(NOW), NOW + YEAR);
        }
        assert_eq!(ExpiryPolicy::Open.unread_until(u64::MAX), u64::MAX);
    }

    #[test]
    fn bounds_of_more_than_a_year_are_bounds_of_a_year() {
        let long = ExpiryPolicy::Within { required: true, min: 0, max: u32::MAX, default: None };
        let counts = long.bounded(None, NOW).unwrap();
        assert!(counts.is_sensible(NOW) && counts.time == NOW as u32 + YEAR as u32);
        assert_eq!(long.to_send(None, NOW), Some(counts));
        // What makes no sense is discarded for that, under any policy.
        for nonsense in [Expiration::at(1), Expiration::after_reading(u32::MAX)] {
            for policy in [long, ExpiryPolicy::Never, ExpiryPolicy::Open] {
                assert_eq!(policy.bounded(Some(nonsense), NOW), Some(nonsense));
            }
        }
    }

    #[test]
    fn a_sender_who_chooses_nothing_sends_what_the_room_has_for_that() {
        assert_eq!(within(true, Some(2 * DAY)).to_send(None, NOW), at(2 * DAY));
        assert_eq!(within(true, None).to_send(None, NOW), at(7 * DAY));
        assert_eq!(within(false, Some(2 * DAY)).to_send(None, NOW), at(2 * DAY));
        assert_eq!(within(false, None).to_send(None, NOW), None);
        assert_eq!(within(true, None).to_send(at(30 * DAY), NOW), at(7 * DAY));
        assert_eq!(ExpiryPolicy::Never.to_send(at(DAY), NOW), None);
        assert_eq!(ExpiryPolicy::Open.to_send(None, NOW), None);
    }
}
