//! The time, by this device's clock and the service's.

use crate::seen::day;
use conclave_mls::UnixTime;
use core::time::Duration;

/// This device's clock at one moment, and how far the service's is ahead of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// Milliseconds since 1970.
    pub(crate) now: u64,
    /// In milliseconds.
    pub(crate) service_ahead: i64,
}

fn seconds(milliseconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_millis(milliseconds)).unwrap_or(UnixTime::MAX)
}

impl Clock {
    /// The time as MLS and the service want it: in seconds.
    pub(crate) fn time(self) -> UnixTime {
        seconds(self.now)
    }

    /// The time by the service's clock, as the service last told it: a wrong clock here does not keep this device out.
    pub(crate) fn service_time(self) -> UnixTime {
        seconds(self.now.saturating_add_signed(self.service_ahead))
    }

    /// The day under which what is read now is noted: by the later of both clocks.
    pub(crate) fn seen_day(self) -> u32 {
        day(self.now.max(self.service_time().as_secs().saturating_mul(1000)))
    }
}
