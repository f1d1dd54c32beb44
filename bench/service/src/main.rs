//! The delivery service under load, and one client: real requests over loopback to a service in a process of its own,
//! beside what the disk and the protocol library take for the same work in the same run.

mod client;
mod commits;
mod fanout;
mod floor;
mod messages;
mod people;
mod plot;
mod prepared;
mod process;
mod results;

use process::Service;
use results::Results;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How much is measured.
pub struct Size {
    /// How long each load lasts.
    pub seconds: Duration,
    /// How many listeners, each in a run of its own.
    pub listeners: &'static [usize],
    /// Groups and users of the large service.
    pub large: (usize, usize),
    /// Commits of each group.
    pub commits: usize,
    /// What one client has to do.
    pub client: client::Load,
}

const FULL: Size = Size {
    seconds: Duration::from_secs(8),
    listeners: &[1000, 5000],
    large: (100_000, 10_000),
    commits: 150,
    client: client::Load { lines: 2_000, missed: 10_000, users: 200 },
};
const QUICK: Size = Size {
    seconds: Duration::from_millis(1500),
    listeners: &[200],
    large: (2_000, 500),
    commits: 20,
    client: client::Load { lines: 200, missed: 500, users: 8 },
};

const HELP: &str =
    "cargo bench-service [--quick] [--client] [--json FILE] [--svg FOLDER] [--dir FOLDER]

  --quick       under a minute: whether it still works
  --client      only what one client takes, without a plot
  --json FILE   all results as JSON
  --svg FOLDER  a plot of messages a second
  --dir FOLDER  where databases are written [default: the system's folder for temporary files]
";

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let (mut size, mut json, mut svg, mut dir) = (FULL, None, None, std::env::temp_dir());
    let mut client_alone = false;
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().map(PathBuf::from).ok_or("an option lacks its value");
        match argument.as_str() {
            // The service itself, in a process of its own.
            "serve" => return process::serve(&value()?),
            "--quick" => size = QUICK,
            "--client" => client_alone = true,
            "--json" => json = Some(value()?),
            "--svg" => svg = Some(value()?),
            "--dir" => dir = value()?,
            _ => {
                print!("{HELP}");
                return Ok(());
            }
        }
    }
    // In the same file system for all, so that it is the same disk.
    let dir = tempfile::Builder::new().prefix("bench-service-").tempdir_in(dir)?;

    let mut results = Results::default();
    if !client_alone {
        under_load(&mut results, dir.path(), &size)?;
    }
    client::measure(&mut results, dir.path(), size.client)?;

    print!("{}", results.table());
    if let Some(path) = json {
        std::fs::write(path, results.json())?;
    }
    if let Some(folder) = svg.filter(|_| !client_alone) {
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("service-messages.svg"), plot::svg(&results))?;
    }
    Ok(())
}

/// What the service does for many.
fn under_load(results: &mut Results, dir: &Path, size: &Size) -> Result<(), Failure> {
    floor::messages(results, dir, size.seconds)?;
    let service = Service::start(&dir.join("small"))?;
    messages::rates(results, &service, size.seconds)?;
    prepared::rates(results, &service, size.seconds)?;
    messages::together(results, &service, size.seconds)?;
    messages::half_load(results, &service, size.seconds)?;
    commits::tracked(results, &service, size.commits)?;
    drop(service);
    for listeners in size.listeners {
        let service = Service::start(&dir.join(format!("listeners-{listeners}")))?;
        fanout::measure(results, &service, *listeners)?;
    }
    messages::large(results, dir, size.large, size.seconds)
}
