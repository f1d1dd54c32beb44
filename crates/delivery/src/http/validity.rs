//! Until when the certificate in use is valid.

use super::clock::now;
use std::sync::atomic::{AtomicU64, Ordering};

/// The last second of a certificate's validity, since 1970; 0 if that is not known, or there is none.
#[derive(Debug, Default)]
pub(super) struct Validity(AtomicU64);

impl Validity {
    pub(super) fn set(&self, not_after: Option<u64>) {
        self.0.store(not_after.unwrap_or_default(), Ordering::Relaxed);
    }

    pub(super) fn not_after(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|at| *at > 0)
    }

    /// Whether there is a certificate that is valid now.
    pub(super) fn holds(&self) -> bool {
        self.not_after().is_some_and(|at| now().as_secs() < at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_or_over_does_not_hold() {
        let validity = Validity::default();
        for (not_after, holds) in [(None, false), (Some(1), false), (Some(u64::MAX), true)] {
            validity.set(not_after);
            assert_eq!((validity.not_after(), validity.holds()), (not_after, holds));
        }
    }
}
