//! Whether the service can do its work: it has read and written its storage not long ago, and is not stopping.

use super::app::{App, Observed};
use crate::storage::Storage;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often the storage is tried.
const EVERY: Duration = Duration::from_secs(5);
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
    fn tried(&self, result: Result<(), String>) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_other = last.0 != result;
        *last = (result, Instant::now());
        is_other
    }
}

/// Tries the storage in intervals, until the server is stopped.
pub(super) async fn watch<S: Storage>(app: Arc<App<S>>) {
    let mut stopping = app.stopping.clone();
    loop {
        let trying = app.clone();
        // A panic is no answer, so what was known grows stale.
        let _ = tokio::task::spawn_blocking(move || try_now(&trying)).await;
        let stop = stopping.wait_for(|stop| *stop);
        if tokio::time::timeout(EVERY, stop).await.is_ok() {
            return;
        }
    }
}

pub(super) fn try_now<S: Storage>(app: &App<S>) {
    let result = app.service.probe().map_err(|e| e.to_string());
    let (status, summary) = match &result {
        Ok(()) => (200, "the storage answers".to_string()),
        Err(e) => (503, format!("the storage fails: {e}")),
    };
    if app.health.tried(result) {
        app.observe(&Observed::of_server("health", status, summary));
    }
}
