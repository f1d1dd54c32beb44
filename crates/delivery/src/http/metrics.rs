//! What a server counts, as Prometheus reads it: the text format 0.0.4. Nothing of it names a user, a device, a group or
//! an address.

use super::observed::Observed;
use crate::storage::{BATCH_SIZES, WriterLoad};
use core::fmt::Write;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Up to how many seconds a request of each bucket took, in milliseconds.
const BUCKETS: [u64; 12] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 10_000];

#[derive(Debug, Default, Clone)]
struct Latency {
    buckets: [u64; BUCKETS.len()],
    count: u64,
    sum: Duration,
}

#[derive(Debug, Default)]
struct Counted {
    /// By operation and outcome: `ok`, or the code of the refusal.
    requests: BTreeMap<(&'static str, &'static str), u64>,
    latency: BTreeMap<&'static str, Latency>,
    /// By limit.
    refused: BTreeMap<&'static str, u64>,
    request_bytes: u64,
    reply_bytes: u64,
}

/// What is counted as it happens.
#[derive(Debug)]
pub(super) struct Metrics {
    counted: Mutex<Counted>,
    pub(super) begun: Instant,
    /// When publishing came to its end last, in milliseconds since the beginning.
    published: AtomicU64,
}

impl Metrics {
    pub(super) fn new() -> Self {
        Self { counted: Mutex::default(), begun: Instant::now(), published: AtomicU64::new(0) }
    }

    fn locked(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request, or something that the server did by itself.
    pub(super) fn observe(&self, observed: &Observed) {
        let mut counted = self.locked();
        let outcome = match observed.code {
            Some(code) => code.name(),
            None if observed.status == 200 => "ok",
            None => "failed",
        };
        *counted.requests.entry((observed.operation, outcome)).or_default() += 1;
        if let Some(limit) = observed.limit {
            *counted.refused.entry(limit).or_default() += 1;
        }
        counted.request_bytes += observed.request_bytes as u64;
        counted.reply_bytes += observed.reply_bytes as u64;
        let Some(elapsed) = observed.elapsed else { return };
        let latency = counted.latency.entry(observed.operation).or_default();
        latency.count += 1;
        latency.sum = latency.sum.saturating_add(elapsed);
        for (most, count) in BUCKETS.iter().zip(&mut latency.buckets) {
            *count += u64::from(elapsed <= Duration::from_millis(*most));
        }
    }

    /// Publishing has come to its end.
    pub(super) fn has_published(&self) {
        let at = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.published.store(at, Ordering::Relaxed);
    }

    pub(super) fn since_published(&self) -> Duration {
        let at = Duration::from_millis(self.published.load(Ordering::Relaxed));
        self.begun.elapsed().saturating_sub(at)
    }
}

/// A page in the making.
#[derive(Default)]
pub(super) struct Page(pub(super) String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail.
        let _ = write!(self.0, "# HELP conclave_{name} {help}\n# TYPE conclave_{name} {kind}\n");
    }

    fn value(&mut self, name: &str, labels: &str, value: impl core::fmt::Display) {
        let _ = match labels {
            "" => writeln!(self.0, "conclave_{name} {value}"),
            labels => writeln!(self.0, "conclave_{name}{{{labels}}} {value}"),
        };
    }

    pub(super) fn single(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        value: impl core::fmt::Display,
    ) {
        self.family(name, kind, help);
        self.value(name, "", value);
    }
}

pub(super) fn writer(page: &mut Page, load: &WriterLoad) {
    let help = "Writes that wait for the storage, or are being written.";
    page.single("writer_waiting", "gauge", help, load.waiting);
    let name = "writer_batch";
    page.family(name, "histogram", "How many writes went into one transaction, with one flush.");
    let bucket = format!("{name}_bucket");
    for (most, count) in BATCH_SIZES.iter().zip(&load.batches) {
        page.value(&bucket, &format!("le=\"{most}\""), count);
    }
    page.value(&bucket, "le=\"+Inf\"", load.transactions);
    page.value(&format!("{name}_sum"), "", load.steps);
    page.value(&format!("{name}_count"), "", load.transactions);
    let help = "Transactions that could not be written, or not for certain.";
    page.single("writer_failed_total", "counter", help, load.failed);
}

pub(super) fn requests(page: &mut Page, metrics: &Metrics) {
    let counted = metrics.locked();
    page.family("requests_total", "counter", "Requests by call and outcome.");
    for ((call, outcome), count) in &counted.requests {
        page.value("requests_total", &format!("call=\"{call}\",outcome=\"{outcome}\""), count);
    }
    page.family("refused_total", "counter", "Requests refused by a limit.");
    for (limit, count) in &counted.refused {
        page.value("refused_total", &format!("limit=\"{limit}\""), count);
    }
    let help = "Bytes of the bodies of requests.";
    page.single("request_bytes_total", "counter", help, counted.request_bytes);
    page.single("reply_bytes_total", "counter", "Bytes of replies.", counted.reply_bytes);

    let name = "request_seconds";
    let help = "How long requests took, from the head to the reply's first byte.";
    page.family(name, "histogram", help);
    for (call, latency) in &counted.latency {
        for (most, count) in BUCKETS.iter().zip(&latency.buckets) {
            let seconds = *most as f64 / 1000.0;
            page.value(
                &format!("{name}_bucket"),
                &format!("call=\"{call}\",le=\"{seconds}\""),
                count,
            );
        }
        let labels = format!("call=\"{call}\"");
        page.value(&format!("{name}_bucket"), &format!("{labels},le=\"+Inf\""), latency.count);
        page.value(&format!("{name}_sum"), &labels, latency.sum.as_secs_f64());
        page.value(&format!("{name}_count"), &labels, latency.count);
    }
}

/// What the system says of this process, where it does.
pub(super) fn process(page: &mut Page) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = resident.and_then(|text| text.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    if let Some(kib) = kib {
        let help = "Resident memory of the process.";
        page.single("process_resident_memory_bytes", "gauge", help, kib * 1024);
    }
    if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
        let help = "Open files of the process.";
        page.single("process_open_fds", "gauge", help, files.count());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_in_each_bucket_that_it_fits_in() {
        let metrics = Metrics::new();
        let elapsed = Some(Duration::from_millis(25));
        let observed = Observed { elapsed, ..Observed::of_server("fetch-log", 200, String::new()) };
        metrics.observe(&observed);
        metrics.observe(&Observed { elapsed: Some(Duration::from_secs(60)), ..observed });
        let mut page = Page::default();
        requests(&mut page, &metrics);
        for line in [
            "conclave_requests_total{call=\"fetch-log\",outcome=\"ok\"} 2\n",
            "conclave_request_seconds_bucket{call=\"fetch-log\",le=\"0.01\"} 0\n",
            "conclave_request_seconds_bucket{call=\"fetch-log\",le=\"0.025\"} 1\n",
            "conclave_request_seconds_bucket{call=\"fetch-log\",le=\"10\"} 1\n",
            "conclave_request_seconds_bucket{call=\"fetch-log\",le=\"+Inf\"} 2\n",
            "conclave_request_seconds_sum{call=\"fetch-log\"} 60.025\n",
        ] {
            assert!(page.0.contains(line), "{line}{}", page.0);
        }
    }
}
