//! The time, and how long key packages and leaves are valid.

use crate::client::Result;
use conclave_mls::UnixTime;
use conclave_mls::key_package::Lifetime;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const HOUR: Duration = Duration::from_secs(3600);

pub fn now() -> Result<UnixTime> {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH)?;
    UnixTime::since_unix_epoch(elapsed).ok_or_else(|| "the clock is wrong".into())
}

/// The lifetime of a leaf that is made now, in every stack: 80 days, and an hour for clocks that lag behind.
pub fn lifetime() -> Result<Lifetime> {
    let start = now()?.saturating_sub(HOUR);
    Ok(Lifetime::starting_at(start, 80 * 24 * HOUR + HOUR))
}
