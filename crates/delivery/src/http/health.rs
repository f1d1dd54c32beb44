//! Whether the service can do its work: it has read and written its storage not long ago, and is not stopping.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// After how long a trial that was good counts no more: the one after it has come to no end.
const STALE: Duration = Duration::from_secs(20);

/// What is known of the service's health.
#[derive(Debug)]
pub(super) struct Health {
    /// What became of the last trial, and when.
    last: Mutex<(Result<(), String>, Instant)>,
    leaving: AtomicBool,
}

impl Health {
    pub(super) fn new() -> Self {
        let untried = Err("the storage has not been tried yet".into());
        Self { last: Mutex::new((untried, Instant::now())), leaving: AtomicBool::new(false) }
    }

    /// It is about to stop: nobody new should come.
    pub(super) fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Whether it is ready, and if not, why.
    pub(super) fn ready(&self) -> Result<(), String> {
        if self.leaving.load(Ordering::Relaxed) {
            return Err("the service is stopping".into());
        }
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (result, at) = &*last;
        if result.is_ok() && at.elapsed() > STALE {
            let seconds = at.elapsed().as_secs();
            return Err(format!("the storage has not answered for {seconds} s"));
        }
        result.clone()
    }

    /// Notes what became of a trial; whether that is another outcome than the last.
    pub(super) fn tried(&self, result: Result<(), String>) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_other = last.0 != result;
        *last = (result, Instant::now());
        is_other
    }
}
