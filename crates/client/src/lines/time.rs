//! Times as users see them. They are the service's, so they may be any number.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::time::{SystemTime, UNIX_EPOCH};

/// From what age on a message is shown with its time, in seconds.
const LATE: u64 = 60;

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Whether a message of this time is old news.
pub(crate) fn is_late(time: u64) -> bool {
    time.saturating_add(LATE) < now()
}

fn parsed(time: u64) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(time).ok()?).ok()
}

pub(super) const DAY: u64 = 24 * 60 * 60;

/// A duration as `30s`, `30m`, `12h`, `7d` or `4w`, in seconds; none if it is no such word, or of no length.
#[must_use]
pub fn parse_duration(word: &str) -> Option<u64> {
    let at = word.len().checked_sub(1)?;
    let (number, unit) = word.split_at_checked(at)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => DAY,
        "w" => 7 * DAY,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit).filter(|seconds| *seconds > 0)
}

/// A duration in seconds, in words: "7 days".
pub(super) fn duration(seconds: u32) -> String {
    let seconds = u64::from(seconds);
    let units = [(DAY, "day"), (60 * 60, "hour"), (60, "minute"), (1, "second")];
    let (unit, name) =
        units.into_iter().find(|(unit, _)| seconds % unit == 0).unwrap_or((1, "second"));
    let count = seconds.checked_div(unit).unwrap_or_default();
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {name}{plural}")
}

/// Seconds since 1970 for scripts: UTC as RFC 3339 writes it, or `-` if there is no such time.
#[must_use]
pub fn timestamp(time: u64) -> String {
    parsed(time).map_or_else(|| "-".into(), |time| time.to_string())
}

/// Seconds since 1970 for people: the time of day where this device is, with the date unless it is
/// today's.
pub(crate) fn clock(time: u64) -> String {
    clock_at(time, now(), &TimeZone::system())
}

fn clock_at(time: u64, now: u64, zone: &TimeZone) -> String {
    let Some(time) = parsed(time).map(|time| time.to_zoned_datetime(zone.clone())) else {
        return "(no time)".into();
    };
    let today = parsed(now).map(|now| now.to_zoned_datetime(zone.clone()).date());
    if today == Some(time.date()) {
        time.strftime("%H:%M").to_string()
    } else {
        time.strftime("%Y-%m-%d %H:%M").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_its_date_unless_it_is_todays() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let noon = 1_700_042_400; // 2023-11-15T10:00:00Z
        assert_eq!(timestamp(noon), "2023-11-15T10:00:00Z");
        assert_eq!(clock_at(noon, noon + 60, &zone), "12:00");
        assert_eq!(clock_at(noon, noon + 86_400, &zone), "2023-11-15 12:00");
    }

    #[test]
    fn the_service_may_name_any_time() {
        for time in [u64::MAX, i64::MAX as u64, 300_000_000_000] {
            assert_eq!(timestamp(time), "-");
            assert_eq!(clock(time), "(no time)");
            assert!(!is_late(time));
        }
    }
}
