//! Clocks and counters of the process.

use std::time::{Duration, Instant};

/// The time that a call took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// CPU time of the process on all cores, in microseconds.
    pub cpu: f64,
    /// Wall-clock time, in microseconds.
    pub wall: f64,
}

impl std::ops::Add for Sample {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { cpu: self.cpu + other.cpu, wall: self.wall + other.wall }
    }
}

impl std::ops::Div<usize> for Sample {
    type Output = Self;
    fn div(self, n: usize) -> Self {
        Self { cpu: self.cpu / n as f64, wall: self.wall / n as f64 }
    }
}

fn process_cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the timespec that the pointer refers to outlives the call.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Calls a function and measures its time.
pub fn timed<T>(f: impl FnOnce() -> T) -> (T, Sample) {
    let wall = Instant::now();
    let cpu = process_cpu();
    let value = f();
    let cpu = process_cpu() - cpu;
    let wall = wall.elapsed();
    let sample = Sample { cpu: cpu.as_secs_f64() * 1e6, wall: wall.as_secs_f64() * 1e6 };
    (value, sample)
}

/// Waits until the idle threads of another stack's pool sleep: their spinning would count as work of the next
/// stack.
pub fn settle() {
    std::thread::sleep(Duration::from_millis(2));
}

/// Returns free memory to the system, so that resident memory is memory in use.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the call has no preconditions.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// A field of /proc/self/status, in bytes: `VmRSS:` or `VmHWM:`.
pub fn status(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(field));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// The processor, its cores and memory, in a sentence.
pub fn machine() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = meminfo.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "{}, {cores} cores, {} GiB.",
        model.unwrap_or("An unknown processor"),
        kib.unwrap_or(0) >> 20
    )
}

/// The median of some values.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);

    match (values.len(), values.len() / 2) {
        (0, _) => f64::NAN,
        (n, half) if n % 2 == 0 => (values[half - 1] + values[half]) / 2.0,
        (_, half) => values[half],
    }
}
