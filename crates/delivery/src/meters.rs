//! How much somebody has had of late: meters, and so many of them at most.
//!
//! A meter holds until when what has come so far would keep its owner busy at the allowed rate. That may lie as far
//! ahead as the burst is long.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// The most owners of a kind that have a meter of their own. Those beyond share one.
pub(crate) const MAX_METERS: usize = 100_000;
/// How often those that are at rest are looked for when there are so many.
const BETWEEN_SWEEPS: Duration = Duration::from_secs(1);

/// What is kept of an owner.
pub(crate) trait AtRest {
    /// Of one of whom nothing has come.
    fn at_rest(now: Instant) -> Self;
    /// Whether it says no more than that.
    fn is_at_rest(&self, now: Instant) -> bool;
}

/// A meter of one thing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meter {
    busy_until: Instant,
}

impl Meter {
    /// How long to wait before so much more fits into the burst.
    pub(crate) fn wait(&self, more: Duration, burst: Duration, now: Instant) -> Duration {
        self.ahead(now).saturating_add(more).saturating_sub(burst)
    }

    /// Counts so much; of what lies further ahead than `longest`, nothing.
    pub(crate) fn add(&mut self, more: Duration, longest: Duration, now: Instant) {
        self.busy_until = now + self.ahead(now).saturating_add(more).min(longest);
    }

    /// Whether it is busy for longer than this: by a clock that was put back.
    pub(crate) fn is_beyond(&self, longest: Duration, now: Instant) -> bool {
        self.ahead(now) > longest
    }

    fn ahead(&self, now: Instant) -> Duration {
        self.busy_until.saturating_duration_since(now)
    }
}

impl AtRest for Meter {
    fn at_rest(now: Instant) -> Self {
        Self { busy_until: now }
    }

    fn is_at_rest(&self, now: Instant) -> bool {
        self.busy_until <= now
    }
}

/// The meters of all owners of a kind.
#[derive(Debug)]
pub(crate) struct Meters<K, M> {
    meters: HashMap<K, M>,
    /// Of those for whom there is no room.
    shared: M,
    swept: Instant,
    most: usize,
}

impl<K: Hash + Eq + Clone, M: AtRest> Meters<K, M> {
    pub(crate) fn new(most: usize) -> Self {
        let now = Instant::now();
        Self { meters: HashMap::new(), shared: M::at_rest(now), swept: now, most }
    }

    /// The meter of an owner.
    pub(crate) fn of(&mut self, owner: &K, now: Instant) -> &mut M {
        if !self.meters.contains_key(owner) {
            let is_full = self.meters.len() >= self.most;
            if is_full && now.saturating_duration_since(self.swept) >= BETWEEN_SWEEPS {
                self.meters.retain(|_, meter| !meter.is_at_rest(now));
                self.swept = now;
            }
            if self.meters.len() < self.most {
                self.meters.insert(owner.clone(), M::at_rest(now));
            }
        }
        self.meters.get_mut(owner).unwrap_or(&mut self.shared)
    }

    /// Lets an owner begin anew.
    pub(crate) fn forget(&mut self, owner: &K) {
        self.meters.remove(owner);
    }

    /// How many have a meter of their own.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.meters.len()
    }
}
