//! How a device keeps the keys of its groups fresh.

use core::time::Duration;

const DAY: u64 = 24 * 60 * 60;

/// When a device replaces its own keys in a group, and when others count as gone.
///
/// A thief of a device's state reads a group until the device commits keys that it has made since (RFC 9750 section
/// 8.2.2). So a device that is running replaces its keys in each of its groups by a commit of its own, even if its user says
/// nothing there. Any other commit by which it does so counts as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPolicy {
    /// How old a key gets. Each is replaced at a time of its own in the second half of this, so that not all members
    /// commit at once. Default 7 days.
    pub max_age: Duration,
    /// How many messages a device sends before it replaces its key. Default 1,000.
    pub max_messages: u32,
    /// How many of these commits a group sees a day. Where it has more members than that allows, keys get older: with
    /// the default of 96, those of 10,000 members up to 209 days. The bound is on the average of a day, and does not hold for
    /// keys that are replaced because of [`max_messages`](Self::max_messages).
    pub max_renewals_per_day: u32,
    /// How long another device may be silent in a group's log before it is removed: by another device of its user's, or a
    /// day later by a member whose role allows that; never a user's only device there. Default 90 days; `None` removes
    /// nobody. It is twice the age that a key gets there if that is longer: a device that only reads is seen when it
    /// replaces its key. The user's own devices that were removed for that come back when they run again, whatever this says.
    pub max_absence: Option<Duration>,
}

impl Default for KeyPolicy {
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(7 * DAY),
            max_messages: 1_000,
            max_renewals_per_day: 96,
            max_absence: Some(Duration::from_secs(90 * DAY)),
        }
    }
}

impl KeyPolicy {
    /// How old a key gets in a group of so many members, in milliseconds.
    pub(crate) fn age_in(&self, members: u32) -> u64 {
        let day = 1_000 * DAY;
        // In the second half of this time all members renew their keys once.
        let of_size = 2 * day * u64::from(members) / u64::from(self.max_renewals_per_day.max(1));
        let of_policy = u64::try_from(self.max_age.as_millis()).unwrap_or(u64::MAX);
        of_policy.max(of_size)
    }

    /// After how many days without a sign another device in a group of so many members is gone; none if it never is.
    pub(crate) fn absence_in(&self, members: u32) -> Option<u32> {
        let day = 1_000 * DAY;
        let absence = u64::try_from(self.max_absence?.as_millis()).unwrap_or(u64::MAX);
        let most = absence.max(self.age_in(members).saturating_mul(2)) / day;
        Some(u32::try_from(most).unwrap_or(u32::MAX))
    }

    /// After how many silent days a removed device of the user's is waited for: the limit at which this device removes others
    /// or, if it removes nobody, the default one, at which others may have removed it.
    pub(crate) fn awaited_after(&self, members: u32) -> u32 {
        let max_absence = self.max_absence.or(Self::default().max_absence);
        Self { max_absence, ..*self }.absence_in(members).unwrap_or(u32::MAX)
    }

    /// When to replace a key that has been in use since a time, both in milliseconds since 1970. `place` says where in the
    /// second half of its life, as a fraction of 2^32: always the same for one key, and different for each.
    pub(crate) fn renewed_at(&self, since: u64, members: u32, place: u32) -> u64 {
        let half = self.age_in(members) / 2;
        let part = (u128::from(half) * u128::from(place)) >> 32;
        since.saturating_add(half).saturating_add(u64::try_from(part).unwrap_or(half))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_replaced_in_the_second_half_of_its_life() {
        let (policy, day) = (KeyPolicy::default(), 1_000 * DAY);
        assert_eq!(policy.renewed_at(day, 2, 0), day + 7 * day / 2);
        assert!((7 * day..8 * day).contains(&policy.renewed_at(day, 2, u32::MAX)));
        assert_eq!(policy.renewed_at(u64::MAX, 2, 7), u64::MAX);
    }

    #[test]
    fn members_of_a_large_group_renew_their_keys_less_often() {
        let (policy, day) = (KeyPolicy::default(), 1_000 * DAY);
        assert_eq!(policy.age_in(336), 7 * day);
        // Whatever their number, all renew once within half of the time: so many a day.
        for members in [1_000, 10_000, 1 << 20] {
            let a_day = u64::from(members) * day / (policy.age_in(members) / 2);
            assert!((95..=96).contains(&a_day), "{members}: {a_day}");
        }
        let never = KeyPolicy { max_renewals_per_day: 0, ..policy };
        assert_eq!(never.age_in(1_000), 2_000 * day);
    }
}
