//! Times of certificates as times of MLS.

use conclave_mls::UnixTime;
use core::time::Duration;

/// A time in a certificate or a list, [`UnixTime::MAX`] at most. A certificate without an end names the year
/// 9999 (RFC 5280 section 4.1.2.5).
pub(crate) fn unix_time(since_1970: Duration) -> UnixTime {
    UnixTime::since_unix_epoch(since_1970).unwrap_or(UnixTime::MAX)
}
