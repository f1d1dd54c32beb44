//! Whether the service can do its work: it has read and written its storage not long ago, has a certificate if it gets
//! one by itself, and is not stopping.

use super::validity::Validity;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// After how long a trial that was good counts no more: the one after it has come to no end.
const STALE: Duration = Duration::from_secs(20);

/// What is known of the service's health.
pub(super) struct Health {
    /// What became of the last trial, and when.
    last: Mutex<(Result<(), String>, Instant)>,
    leaving: AtomicBool,
    /// The validity of the certificate, if it comes from a CA.
    certified: OnceLock<Arc<Validity>>,
    /// Why the CA gave none, the last time that it was asked.
    lack: Mutex<Option<String>>,
}

impl Health {
    pub(super) fn new() -> Self {
        let untried = Err("the storage has not been tried yet".into());
        Self {
            last: Mutex::new((untried, Instant::now())),
            leaving: AtomicBool::new(false),
            certified: OnceLock::new(),
            lack: Mutex::default(),
        }
    }

    /// It is about to stop: nobody new should come.
    pub(super) fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// It gets its certificates by itself: without a valid one nobody can connect.
    #[cfg(feature = "acme")]
    pub(super) fn needs_certificate(&self, validity: Arc<Validity>) {
        let _ = self.certified.set(validity);
    }

    /// Notes why there is no new certificate, or that there is one.
    #[cfg(feature = "acme")]
    pub(super) fn lacks_certificate(&self, why: Option<String>) {
        *self.lack.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// Whether it has a certificate that clients take. A renewal that fails is no reason to send clients away as long
    /// as the old one is valid.
    fn is_certified(&self) -> Result<(), String> {
        if self.certified.get().is_none_or(|validity| validity.holds()) {
            return Ok(());
        }
        let lack = self.lack.lock().unwrap_or_else(PoisonError::into_inner);
        let why = lack.as_deref().unwrap_or("the CA has not answered yet");
        Err(format!("there is no valid certificate for TLS: {why}"))
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
        result.clone()?;
        drop(last);
        self.is_certified()
    }

    /// Notes what became of a trial; whether that is another outcome than the last.
    pub(super) fn tried(&self, result: Result<(), String>) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_other = last.0 != result;
        *last = (result, Instant::now());
        is_other
    }
}
