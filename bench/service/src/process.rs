//! The service, in a process of its own: this program again.

use crate::Failure;
use crate::people;
use conclave_delivery::http::{Config, FrontLimits};
use conclave_delivery::storage::SqliteStorage;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Serves until its input ends.
pub fn serve(data: &Path) -> Result<(), Failure> {
    let mut config = Config::new(people::provider());
    config.addr.set_port(0);
    // What is measured is the service, not how much it lets one address do.
    config.front = FrontLimits::unlimited();
    let server = conclave_delivery::serve(config, SqliteStorage::open(data)?)?;
    println!("{}", server.url());
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    server.shutdown();
    Ok(())
}

pub struct Service {
    child: Child,
    pub url: String,
    /// How long it took until it listened.
    pub start: Duration,
}

impl Service {
    pub fn start(data: &Path) -> Result<Self, Failure> {
        let begun = Instant::now();
        let mut child = Command::new(std::env::current_exe()?)
            .arg("serve")
            .arg(data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let output = child.stdout.take().ok_or("no output")?;
        BufReader::new(output).read_line(&mut line)?;
        Ok(Self { child, url: line.trim_end().to_string(), start: begun.elapsed() })
    }

    /// Resident memory, in KiB.
    pub fn memory(&self) -> Result<f64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        Ok(line.and_then(|line| line.split_whitespace().next()).ok_or("no VmRSS")?.parse()?)
    }

    /// CPU time of the process so far, in seconds.
    pub fn cpu(&self) -> Result<f64, Failure> {
        cpu(&self.child.id().to_string())
    }
}

/// CPU time of a process so far, in seconds: user and system. `self` is this one.
pub fn cpu(process: &str) -> Result<f64, Failure> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|f| f.parse::<f64>().ok()).unwrap_or(f64::NAN);
    Ok((ticks(11) + ticks(12)) / 100.0)
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
