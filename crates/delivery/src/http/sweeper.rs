//! Certified devices end when their CA says so, or their time has come.

use super::app::App;
use super::clock::now;
use super::observed::Observed;
use crate::storage::Storage;
use conclave_certificates::Bundle;
use core::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the file of revocation lists is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How often devices are looked at whose certificates may have expired.
const SWEEP: Duration = Duration::from_secs(30);
/// The longest file that is read, in bytes.
const MAX_FILE: u64 = 64 << 20;

/// A file of revocation lists, and what was in it last.
pub(super) struct ListFile {
    path: PathBuf,
    last: Vec<u8>,
}

impl fmt::Display for ListFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.path.display(), f)
    }
}

impl ListFile {
    pub(super) fn open(path: PathBuf) -> Result<(Self, Vec<Vec<u8>>), String> {
        let mut file = Self { path, last: Vec::new() };
        let lists = file.changed()?.unwrap_or_default();
        Ok((file, lists))
    }

    /// The lists in the file, if it has changed. What could not be read is read again when it changes again.
    fn changed(&mut self) -> Result<Option<Vec<Vec<u8>>>, String> {
        let read = || {
            let length = std::fs::metadata(&self.path)?.len();
            if length > MAX_FILE {
                return Err(std::io::Error::other("it is too long"));
            }
            std::fs::read(&self.path)
        };
        let text = read().map_err(|e| format!("{self} cannot be read: {e}"))?;
        if text == self.last {
            return Ok(None);
        }
        self.last = text;
        let bundle = Bundle::from_pem(&self.last).map_err(|e| format!("{self}: {e}"))?;
        Ok(Some(bundle.lists))
    }
}

/// Sweeps at once, then whenever there is a new list, and in intervals, until the server is stopped.
pub(super) async fn sweep<S: Storage>(app: Arc<App<S>>, file: Option<ListFile>) {
    let mut stopping = app.stopping.clone();
    let mut file = file;
    let mut next = Instant::now();
    let mut complaint = String::new();
    loop {
        let sweeping = app.clone();
        let (mut seen, mut said) = (file.take(), core::mem::take(&mut complaint));
        let work = move || {
            let is_new = seen.as_mut().is_some_and(|file| look(&sweeping, file, &mut said));
            let due = Instant::now() >= next || is_new;
            if due {
                sweep_now(&sweeping);
            }
            (seen, said, due)
        };
        // After a panic the devices are still looked at, if with the lists of before.
        if let Ok((seen, said, due)) = tokio::task::spawn_blocking(work).await {
            (file, complaint) = (seen, said);
            if due {
                next = Instant::now() + SWEEP;
            }
        }

        let stop = stopping.wait_for(|stop| *stop);
        if tokio::time::timeout(LOOK, stop).await.is_ok() {
            return;
        }
    }
}

fn observe<S: Storage>(app: &App<S>, status: u16, summary: String) {
    app.observe(&Observed::of_server("certificates", status, summary));
}

/// Takes what is new in the file; whether there is a newer list. What is wrong with it is said once.
fn look<S: Storage>(app: &App<S>, file: &mut ListFile, complaint: &mut String) -> bool {
    match file.changed() {
        Ok(None) => false,
        Ok(Some(lists)) => {
            complaint.clear();
            let is_new = app.service.set_revocation_lists(&lists);
            let what = if is_new { "a newer revocation list" } else { "no newer revocation list" };
            observe(app, 200, format!("{file}: {what}"));
            is_new
        }
        Err(what) => {
            if what != *complaint {
                observe(app, 503, what.clone());
                *complaint = what;
            }
            false
        }
    }
}

fn sweep_now<S: Storage>(app: &App<S>) {
    match app.service.sweep(now()) {
        Ok(swept) => {
            swept.notices.iter().for_each(|notice| app.listeners.tell(notice));
            for device in &swept.ended {
                app.listeners.end(device);
                observe(app, 200, format!("{device} has ended: revoked or expired"));
            }
        }
        // It is tried again the next time.
        Err(e) => observe(app, e.code.status(), e.to_string()),
    }
}
