//! How many long proofs are made at once: anybody may ask for them.

use super::error::ServiceError;
use conclave_delivery_api::ErrorCode;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many long proofs are made at once. Whoever comes while so many are is to try again: such a proof may take
/// seconds, and nobody has to have a session to ask for one.
pub(super) const MAX_LONG_PROOFS: usize = 2;

/// How many long proofs are being made.
#[derive(Debug, Default)]
pub(super) struct LongProofs(AtomicUsize);

/// The right to make one.
pub(super) struct Turn<'a>(&'a AtomicUsize);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl LongProofs {
    pub(super) fn begin(&self) -> Result<Turn<'_>, ServiceError> {
        if self.0.fetch_add(1, Ordering::AcqRel) >= MAX_LONG_PROOFS {
            self.0.fetch_sub(1, Ordering::AcqRel);
            let detail = "other proofs are being made: try again in a moment";
            return Err(ServiceError::new(ErrorCode::Unavailable, detail));
        }
        Ok(Turn(&self.0))
    }
}
