//! What time it is.

use conclave_mls::UnixTime;
use std::time::{SystemTime, UNIX_EPOCH};

/// The time by the system's clock.
pub(super) fn now() -> UnixTime {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixTime::since_unix_epoch(elapsed).unwrap_or(UnixTime::MAX)
}
