//! Time, as it comes in from the caller.

use core::time::Duration;

/// A time in whole seconds since 1970-01-01T00:00:00Z, without leap seconds.
///
/// The range ends at 2^36 seconds, in the year 4147. Milliseconds since 1970 exceed it for every
/// date after 6 March 1972, so a caller who confuses the units gets no time instead of a wrong one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(u64);

impl UnixTime {
    /// 1970-01-01T00:00:00Z.
    pub const MIN: Self = Self(0);
    /// The last second that this type can hold.
    pub const MAX: Self = Self((1 << 36) - 1);

    /// A time from seconds since 1970; none if it is after [`Self::MAX`].
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Option<Self> {
        if seconds <= Self::MAX.0 { Some(Self(seconds)) } else { None }
    }

    /// A time from the duration since 1970, rounded down to seconds; none if it is after
    /// [`Self::MAX`].
    #[must_use]
    pub const fn since_unix_epoch(elapsed: Duration) -> Option<Self> {
        Self::from_secs(elapsed.as_secs())
    }

    /// The seconds since 1970.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// The time that is later by the whole seconds of a duration, [`Self::MAX`] at most.
    #[must_use]
    pub const fn saturating_add(self, duration: Duration) -> Self {
        let seconds = self.0.saturating_add(duration.as_secs());
        if seconds <= Self::MAX.0 { Self(seconds) } else { Self::MAX }
    }

    /// The time that is earlier by the whole seconds of a duration, [`Self::MIN`] at least.
    #[must_use]
    pub const fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration.as_secs()))
    }
}

/// The system's clock shows a time that [`UnixTime`] cannot hold: before 1970 or after
/// [`UnixTime::MAX`].
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeOutOfRange;

#[cfg(feature = "std")]
impl core::fmt::Display for TimeOutOfRange {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the time is before 1970 or too far in the future: check the system's clock")
    }
}

#[cfg(feature = "std")]
impl core::error::Error for TimeOutOfRange {}

#[cfg(feature = "std")]
impl TryFrom<std::time::SystemTime> for UnixTime {
    type Error = TimeOutOfRange;

    fn try_from(time: std::time::SystemTime) -> Result<Self, TimeOutOfRange> {
        let elapsed = time.duration_since(std::time::UNIX_EPOCH).map_err(|_| TimeOutOfRange)?;
        Self::since_unix_epoch(elapsed).ok_or(TimeOutOfRange)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 60 * 60;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::from_secs(seconds).unwrap()
    }

    #[test]
    fn times_end_before_two_to_the_36_seconds() {
        assert_eq!(at((1 << 36) - 1), UnixTime::MAX);
        assert_eq!(UnixTime::from_secs(1 << 36), None);
        assert_eq!(UnixTime::from_secs(u64::MAX), None);
        assert_eq!(UnixTime::since_unix_epoch(Duration::from_secs(1 << 36)), None);
    }

    #[test]
    fn milliseconds_are_refused_as_seconds() {
        let in_1972 = 803 * DAY;
        let in_2026 = 20_700 * DAY;
        for seconds in [in_1972, in_2026] {
            assert!(UnixTime::from_secs(seconds).is_some());
            assert_eq!(UnixTime::from_secs(seconds * 1000), None);
        }
    }

    #[test]
    fn a_duration_since_1970_is_rounded_down() {
        let elapsed = Duration::from_millis(4_711_999);
        assert_eq!(UnixTime::since_unix_epoch(elapsed), Some(at(4711)));
        assert_eq!(at(4711).as_secs(), 4711);
    }

    #[test]
    fn sums_and_differences_stay_in_range() {
        let (minute, forever) = (Duration::from_secs(60), Duration::MAX);
        assert_eq!(at(100).saturating_add(minute), at(160));
        assert_eq!(at(100).saturating_sub(minute), at(40));
        assert_eq!(at(10).saturating_sub(minute), UnixTime::MIN);
        assert_eq!(at(10).saturating_add(forever), UnixTime::MAX);
        assert_eq!(UnixTime::MAX.saturating_add(minute), UnixTime::MAX);
    }

    #[cfg(feature = "std")]
    #[test]
    fn a_system_time_converts_if_it_is_in_range() {
        use std::time::UNIX_EPOCH;

        let day = Duration::from_secs(DAY);
        assert_eq!(UnixTime::try_from(UNIX_EPOCH + day), Ok(at(DAY)));
        assert_eq!(UnixTime::try_from(UNIX_EPOCH - day), Err(TimeOutOfRange));
        let late = UNIX_EPOCH + Duration::from_secs(1 << 36);
        assert_eq!(UnixTime::try_from(late), Err(TimeOutOfRange));
    }
}
