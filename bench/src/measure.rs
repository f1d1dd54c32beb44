//! Clocks and counters of the process.

use std::time::{Duration, Instant};

/// How long something took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// Time on all cores together, in microseconds.
    pub cpu: f64,
    /// Time that passed, in microseconds.
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
    // SAFETY: the pointer is to a timespec that lives through the call.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Runs something and says how long it took.
pub fn timed<T>(f: impl FnOnce() -> T) -> (T, Sample) {
    let (wall, cpu) = (Instant::now(), process_cpu());
    let value = f();
    let cpu = process_cpu() - cpu;
    let wall = wall.elapsed();
    (value, Sample { cpu: cpu.as_secs_f64() * 1e6, wall: wall.as_secs_f64() * 1e6 })
}

/// Lets the idle threads of another stack's pool fall asleep, so that their spinning is not taken
/// for this one's work.
pub fn settle() {
    std::thread::sleep(Duration::from_millis(2));
}

/// Gives memory that is free back to the system, so that what is resident is what is held.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it has no preconditions.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// A line of /proc/self/status, in bytes: `VmRSS` or `VmHWM`.
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

/// The middle of some values.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match (values.len(), values.len() / 2) {
        (0, _) => f64::NAN,
        (n, half) if n % 2 == 0 => (values[half - 1] + values[half]) / 2.0,
        (_, half) => values[half],
    }
}
