//! How many key packages are claimed, by whom and of whom.
//!
//! A claim takes one key package of each device. Nobody can drain another's: what one user claims of another is limited,
//! and what one user claims at all. Many users together could all the same, so of a user of whom too much is claimed
//! each device gives its key package of last resort, and the others stay for when it is over. Users claim of their own
//! devices as they like.
//!
//! Nothing is stored: after a restart all begin anew.

use super::error::ServiceError;
use crate::meters::{AtRest, MAX_METERS, Meter, Meters};
use crate::storage::Give;
use conclave_delivery_api::Name;
use conclave_mls::UnixTime;
use core::time::Duration;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// How many claims are served. Each number may come at once, and comes again, evenly, within [`Self::period`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimLimits {
    /// Of one user's by another. Default 30.
    pub pair: u32,
    /// By one user, of all others. Default 1,000.
    pub asker: u32,
    /// Of one user's, by all others, until its devices give their key packages of last resort alone. Default 200.
    pub target: u32,
    /// How long it takes until as many can be made again, in whole seconds. Default one hour.
    pub period: Duration,
}

impl Default for ClaimLimits {
    fn default() -> Self {
        Self { pair: 30, asker: 1000, target: 200, period: Duration::from_secs(3600) }
    }
}

/// What one claim takes of a limit.
fn share(period: Duration, count: u32) -> Duration {
    period / count.max(1)
}

#[derive(Debug)]
struct All {
    pairs: Meters<(Name, Name), Meter>,
    askers: Meters<Name, Meter>,
    targets: Meters<Name, Meter>,
}

/// The claims of late.
#[derive(Debug)]
pub(super) struct Claims {
    all: Mutex<All>,
    /// One moment by two clocks.
    begun: (UnixTime, Instant),
}

/// A claim that was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    /// What it gets.
    pub(super) give: Give,
    /// When it gets more, if that is not all.
    pub(super) wait: Duration,
}

impl Claims {
    pub(super) fn new(now: UnixTime) -> Self {
        let all = All {
            pairs: Meters::new(MAX_METERS),
            askers: Meters::new(MAX_METERS),
            targets: Meters::new(MAX_METERS),
        };
        Self { all: Mutex::new(all), begun: (now, Instant::now()) }
    }

    /// Lets a user begin anew who can claim more or less from now on.
    pub(super) fn forget(&self, asker: &Name) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).askers.forget(asker);
    }

    /// Counts a claim, unless it is one too many. A refused one counts for nothing.
    pub(super) fn take(
        &self,
        limits: &ClaimLimits,
        (asker, target): (&Name, &Name),
        now: UnixTime,
    ) -> Result<Counted, ServiceError> {
        if asker == target {
            return Ok(Counted { give: Give::Next, wait: Duration::ZERO });
        }
        let period = limits.period;
        let since = now.as_secs().saturating_sub(self.begun.0.as_secs());
        let now = self.begun.1.checked_add(Duration::from_secs(since)).unwrap_or(self.begun.1);
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let All { pairs, askers, targets } = &mut *all;
        let of_pair = (pairs.of(&(asker.clone(), target.clone()), now), limits.pair);
        let of_asker = (askers.of(asker, now), limits.asker);
        let of_target = (targets.of(target, now), limits.target);
        let mut meters = [of_pair, of_asker, of_target];
        for (meter, _) in &mut meters {
            // A clock that was put back locks nobody out.
            if meter.is_beyond(period, now) {
                **meter = Meter::at_rest(now);
            }
        }
        let wait =
            |(meter, count): &(&mut Meter, u32)| meter.wait(share(period, *count), period, now);
        let names = ["claims of one user by another", "claims by one user"];
        for (name, meter) in names.into_iter().zip(&meters) {
            let wait = wait(meter);
            if !wait.is_zero() {
                return Err(ServiceError::too_fast("claims of key packages", name, wait));
            }
        }

        let [of_pair, of_asker, of_target] = meters;
        let wait = wait(&of_target);
        let give = if wait.is_zero() { Give::Next } else { Give::LastResort };
        // What takes none of the target's is not counted for it.
        let of_target = (give == Give::Next).then_some(of_target);
        for (meter, count) in [of_pair, of_asker].into_iter().chain(of_target) {
            meter.add(share(period, count), period, now);
        }
        Ok(Counted { give, wait })
    }
}

/// The refusal of a claim that only last resorts could serve, of a user whose devices have none.
pub(super) fn none_left(wait: Duration) -> ServiceError {
    ServiceError::too_fast("claims of key packages", "claims of one user by all", wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ClaimLimits =
        ClaimLimits { pair: 2, asker: 4, target: 5, period: Duration::from_secs(60) };
    const BEGIN: u64 = 1_800_000_000;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::from_secs(BEGIN + seconds).unwrap()
    }

    /// What becomes of a claim: what it gets, or after how many seconds it does.
    fn claim(claims: &Claims, asker: &str, target: &str, seconds: u64) -> Result<Give, u64> {
        let (asker, target) = (asker.parse().unwrap(), target.parse().unwrap());
        let taken = claims.take(&LIMITS, (&asker, &target), at(seconds));
        taken.map(|counted| counted.give).map_err(|e| e.limit.unwrap().wait.as_secs())
    }

    #[test]
    fn one_user_claims_so_much_of_another_and_so_much_of_all() {
        let claims = Claims::new(at(0));
        let next = Ok(Give::Next);
        assert_eq!([0, 0].map(|s| claim(&claims, "alice", "bob", s)), [next, next]);
        assert_eq!(claim(&claims, "alice", "bob", 0), Err(30));
        assert_eq!(claim(&claims, "alice", "bob", 29), Err(1));
        assert_eq!(claim(&claims, "bob", "alice", 29), next, "the other way round is another pair");
        assert_eq!(claim(&claims, "alice", "bob", 30), next);
        assert_eq!(claim(&claims, "alice", "bob", 30), Err(30));

        // By 30 half of what was claimed first counts no more.
        let others = ["carol", "dave", "erin", "frank"];
        assert_eq!(others.map(|of| claim(&claims, "alice", of, 30)), [next, next, next, Err(15)]);
        assert_eq!(claim(&claims, "alice", "frank", 45), next);
        assert_eq!((0..9).filter(|_| claim(&claims, "alice", "alice", 45) == next).count(), 9);
    }

    #[test]
    fn of_whom_too_much_is_claimed_the_last_resort_is_given() {
        let claims = Claims::new(at(0));
        let claim_of = |n: usize, s| claim(&claims, &format!("user-{n}"), "bob", s);
        assert!((0..5).all(|n| claim_of(n, 0) == Ok(Give::Next)));
        assert!((5..50).all(|n| claim_of(n, 0) == Ok(Give::LastResort)));
        // However many came, it is over as soon as after those that were served.
        assert_eq!(
            [11, 12, 12].map(|s| claim_of(60 + s as usize, s)).map(Result::unwrap),
            [Give::LastResort, Give::Next, Give::LastResort]
        );
        assert_eq!(claim(&claims, "user-0", "carol", 12), Ok(Give::Next));
    }

    #[test]
    fn a_refused_claim_counts_for_nothing() {
        let claims = Claims::new(at(0));
        for _ in 0..9 {
            let _ = claim(&claims, "alice", "bob", 0);
        }
        let askers =
            ["carol", "dave", "erin", "frank"].map(|asker| claim(&claims, asker, "bob", 0));
        assert_eq!(
            askers.map(Result::unwrap),
            [Give::Next, Give::Next, Give::Next, Give::LastResort]
        );
        assert_eq!(["carol", "dave"].map(|of| claim(&claims, "alice", of, 0)), [Ok(Give::Next); 2]);
    }

    #[test]
    fn a_clock_that_goes_back_locks_nobody_out() {
        let claims = Claims::new(at(0));
        for _ in 0..2 {
            assert_eq!(claim(&claims, "alice", "bob", 1_000_000), Ok(Give::Next));
        }
        assert_eq!(claim(&claims, "alice", "bob", 1_000_000), Err(30));
        assert_eq!([0, 0].map(|s| claim(&claims, "alice", "bob", s)), [Ok(Give::Next); 2]);
        assert_eq!(claim(&claims, "alice", "bob", 0), Err(30));
    }
}
