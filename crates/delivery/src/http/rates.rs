//! How fast requests and bytes come, for each device, user and address.
//!
//! Of a request the bytes are known when it is over, so they may lead further ahead than the burst is long, and the next
//! request waits.

use super::limits::{FrontLimits, Rate};
use super::refusal::Refusal;
use crate::meters::{AtRest, MAX_METERS, Meter, Meters};
use crate::service::Holder;
use conclave_delivery_api::{DeviceId, Name};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The longest that an owner has to wait for bytes that came already.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How long this much takes at a rate.
fn takes(amount: u64, per_second: u64) -> Duration {
    let nanos = u128::from(amount) * 1_000_000_000 / u128::from(per_second.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Meters of requests and of bytes.
#[derive(Clone, Copy, Debug)]
struct Both {
    requests: Meter,
    bytes: Meter,
}

impl Both {
    /// Counts a request, unless it is one too many; then, how long to wait.
    fn take(&mut self, rate: Rate, burst: Duration, now: Instant) -> Result<(), Duration> {
        let one = takes(1, rate.requests);
        let of_bytes = self.bytes.wait(Duration::ZERO, burst, now);
        let wait = self.requests.wait(one, burst, now).max(of_bytes);
        if !wait.is_zero() {
            return Err(wait);
        }
        self.requests.add(one, Duration::MAX, now);
        Ok(())
    }

    fn spend(&mut self, rate: Rate, burst: Duration, bytes: u64, now: Instant) {
        self.bytes.add(takes(bytes, rate.bytes), burst + LONGEST_WAIT, now);
    }
}

impl AtRest for Both {
    fn at_rest(now: Instant) -> Self {
        Self { requests: Meter::at_rest(now), bytes: Meter::at_rest(now) }
    }

    fn is_at_rest(&self, now: Instant) -> bool {
        self.requests.is_at_rest(now) && self.bytes.is_at_rest(now)
    }
}

/// What all owners of a kind may have, and have had.
#[derive(Debug)]
struct Owners<K> {
    meters: Mutex<Meters<K, Both>>,
    rate: Rate,
    burst: Duration,
}

impl<K: Hash + Eq + Clone> Owners<K> {
    fn new(rate: Rate, burst: Duration, most: usize) -> Self {
        Self { meters: Mutex::new(Meters::new(most)), rate, burst }
    }

    fn locked(&self) -> MutexGuard<'_, Meters<K, Both>> {
        self.meters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, owner: &K, now: Instant) -> Result<(), Duration> {
        self.locked().of(owner, now).take(self.rate, self.burst, now)
    }

    fn spend(&self, owner: &K, bytes: u64, now: Instant) {
        self.locked().of(owner, now).spend(self.rate, self.burst, bytes, now);
    }
}

/// All meters of a server.
#[derive(Debug)]
pub(super) struct Rates {
    devices: Owners<DeviceId>,
    users: Owners<Name>,
    addresses: Owners<IpAddr>,
    anonymous: Owners<IpAddr>,
}

impl Rates {
    pub(super) fn new(limits: &FrontLimits) -> Self {
        let burst = limits.burst;
        Self {
            devices: Owners::new(limits.device, burst, MAX_METERS),
            users: Owners::new(limits.user, burst, MAX_METERS),
            addresses: Owners::new(limits.address, burst, MAX_METERS),
            anonymous: Owners::new(limits.anonymous, burst, MAX_METERS),
        }
    }

    /// Counts a request without a session, or one whose session is not proved.
    pub(super) fn anonymous(&self, address: &IpAddr, now: Instant) -> Result<(), Refusal> {
        let taken = self.anonymous.take(address, now);
        taken.map_err(|wait| Refusal::too_fast("rate of an address without a session", wait))
    }

    /// Counts a request of a session for its address.
    pub(super) fn address(&self, address: &IpAddr, now: Instant) -> Result<(), Refusal> {
        let taken = self.addresses.take(address, now);
        taken.map_err(|wait| Refusal::too_fast("rate of an address", wait))
    }

    /// Counts a request of a session that is proved.
    pub(super) fn holder(&self, holder: &Holder, now: Instant) -> Result<(), Refusal> {
        if let Holder::Device(info) = holder {
            let taken = self.devices.take(&info.device, now);
            taken.map_err(|wait| Refusal::too_fast("rate of a device", wait))?;
        }
        let taken = self.users.take(holder.user(), now);
        taken.map_err(|wait| Refusal::too_fast("rate of a user", wait))
    }

    /// Counts the bytes of a request and its reply.
    pub(super) fn spend(
        &self,
        address: &IpAddr,
        holder: Option<&Holder>,
        bytes: u64,
        now: Instant,
    ) {
        let Some(holder) = holder else {
            return self.anonymous.spend(address, bytes, now);
        };
        self.addresses.spend(address, bytes, now);
        self.users.spend(holder.user(), bytes, now);
        if let Holder::Device(info) = holder {
            self.devices.spend(&info.device, bytes, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { requests: 10, bytes: 1000 };
    const BURST: Duration = Duration::from_secs(2);

    #[test]
    fn a_burst_is_taken_whole_and_then_the_rate_and_each_owner_has_its_own() {
        let meters = Owners::new(RATE, BURST, 10);
        let begin = Instant::now();
        assert_eq!((0..100).filter(|_| meters.take(&"a", begin).is_ok()).count(), 20);
        assert_eq!(meters.take(&"a", begin), Err(Duration::from_millis(100)));
        assert!(meters.take(&"b", begin).is_ok());

        let at = |millis| begin + Duration::from_millis(millis);
        assert!(meters.take(&"a", at(99)).is_err());
        assert!(meters.take(&"a", at(100)).is_ok() && meters.take(&"a", at(100)).is_err());
        let later = (0..100).filter(|n| meters.take(&"a", at(100 + n * 10)).is_ok()).count();
        assert_eq!(later, 9, "in 990 ms");

        // Whoever waits long has the whole burst again, and no more.
        let rested = at(3_600_000);
        assert_eq!((0..100).filter(|_| meters.take(&"a", rested).is_ok()).count(), 20);
    }

    #[test]
    fn bytes_are_paid_for_afterwards_and_hold_up_the_next_request() {
        let meters = Owners::new(RATE, BURST, 10);
        let begin = Instant::now();
        meters.spend(&"a", 2000, begin);
        assert!(meters.take(&"a", begin).is_ok(), "at the edge");
        meters.spend(&"a", 1000, begin);
        assert_eq!(meters.take(&"a", begin), Err(Duration::from_secs(1)));
        assert!(meters.take(&"a", begin + Duration::from_secs(1)).is_ok());
        meters.spend(&"a", u64::MAX, begin);
        assert_eq!(meters.take(&"a", begin), Err(LONGEST_WAIT), "nobody is locked out for hours");
        assert!(meters.take(&"a", begin + LONGEST_WAIT).is_ok());
    }

    #[test]
    fn owners_beyond_the_room_share_a_meter_until_others_are_at_rest() {
        let meters = Owners::new(RATE, BURST, 2);
        let begin = Instant::now();
        for owner in 0..100 {
            let _ = meters.take(&owner, begin);
        }
        assert_eq!(meters.locked().count(), 2);
        assert!(meters.take(&0, begin).is_ok(), "it has a meter of its own");
        assert!(meters.take(&100, begin).is_err(), "98 have used up what they share");
        assert!(meters.take(&100, begin + Duration::from_secs(5)).is_ok());
        assert_eq!(meters.locked().count(), 1, "the others' are gone");
    }
}
