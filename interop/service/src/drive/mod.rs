//! Drives clients of the interface through scripts, in all suites and modes.

mod clients;
mod continued;
mod membership;
mod messages;
mod random;
mod record;
mod report;
mod run;
mod script;
mod tally;

pub use random::deep_random;
pub use run::Tree;
pub use script::{Scenario, Script};
pub use tally::Tally;

use clients::{Client, Process, common_suites};
use conclave_mls::crypto::{CryptoRng, Secret};
use run::{Cell, Results};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// The scenarios that come with this program. The random one is made on demand.
const SCENARIOS: [(&str, &str); 7] = [
    ("welcome_join", include_str!("../../scenarios/welcome_join.json")),
    ("external_join", include_str!("../../scenarios/external_join.json")),
    ("application", include_str!("../../scenarios/application.json")),
    ("commit", include_str!("../../scenarios/commit.json")),
    ("external_proposals", include_str!("../../scenarios/external_proposals.json")),
    ("reinit", include_str!("../../scenarios/reinit.json")),
    ("branch", include_str!("../../scenarios/branch.json")),
];

/// The name of the random scenario.
const DEEP_RANDOM: &str = "deep_random";

/// Whether proposals and commits of members are encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Handshake {
    /// PublicMessages.
    Public,
    /// PrivateMessages.
    Private,
}

/// How actors are distributed over clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Roles {
    /// In turn, once beginning with each client.
    Turns,
    /// In every way, for scripts with at most ten ways; in turn for others.
    All,
}

/// The options of a run.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The services, as host:port. Default: two processes of this program, one for each provider of
    /// cryptography.
    #[arg(long, value_delimiter = ',')]
    pub clients: Vec<String>,
    /// Cipher suites, by number. Default: all suites that all services support.
    #[arg(long, value_delimiter = ',')]
    pub suites: Vec<u32>,
    /// Files of scripts in the working group's format, instead of the scenarios that come with the program.
    #[arg(long)]
    pub config: Vec<PathBuf>,
    /// Runs only scenarios or scripts with this name: `commit`, or `commit/update`.
    #[arg(long)]
    pub scenario: Vec<String>,
    /// How handshakes are framed.
    #[arg(long, value_delimiter = ',', default_value = "public,private")]
    pub handshake: Vec<Handshake>,
    /// How ratchet trees travel.
    #[arg(long, value_delimiter = ',', default_value = "inside,outside")]
    pub tree: Vec<Tree>,
    /// How actors are distributed over clients.
    #[arg(long, default_value = "turns")]
    pub roles: Roles,
    /// The seed of the random scenario; each cell has a script of its own.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The number of commits in a random script.
    #[arg(long, default_value_t = 30)]
    pub commits: u32,
    /// The most members of a random script's group.
    #[arg(long, default_value_t = 12)]
    pub members: usize,
    /// The number of parallel runs: 1 for clients that cannot serve parallel calls, such as that of MLS++.
    #[arg(long, default_value_t = 4)]
    pub jobs: usize,
    /// Processes that this program starts drop each group after every step and load it from its rows.
    #[arg(long)]
    pub reload: bool,
    /// The directory for `passive-client` vectors of the run: a file for each scenario.
    #[arg(long)]
    pub record: Option<PathBuf>,
}

/// Runs scripts and reports on the standard output.
///
/// # Errors
/// If the run cannot begin, or a script failed.
pub async fn drive(options: Options) -> Result<Tally, String> {
    let scenarios = chosen(&options)?;
    let (processes, clients) = connect(&options).await?;
    let common = common_suites(&clients);
    let suites: Vec<u32> = match options.suites.as_slice() {
        [] => common,
        some => some.to_vec(),
    };

    let clients = Arc::new(clients);
    let mut tally = Tally::default();
    let mut failed = 0;
    for scenario in scenarios {
        let results = run_all(&options, &scenario, &suites, &clients).await?;
        let (sum, failures) = report::scenario(&scenario.name, &suites, &results);
        tally += sum;
        failed += failures;
        if let Some(folder) = &options.record {
            let vectors = results.into_values().flatten().flat_map(|(_, run)| run.vectors);
            record::write(folder, &scenario.name, vectors.collect())?;
        }
    }

    drop(processes);
    report::total(&tally, failed);
    match failed {
        0 if tally.runs > 0 => Ok(tally),
        0 => Err("nothing was run".to_owned()),
        n => Err(format!("{n} of {} runs failed", tally.runs)),
    }
}

/// The selected scenarios, with their selected scripts.
fn chosen(options: &Options) -> Result<Vec<Scenario>, String> {
    let mut all = Vec::new();
    for path in &options.config {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        all.push(Scenario::parse(&name, &text)?);
    }

    if options.config.is_empty() {
        for (name, text) in SCENARIOS {
            all.push(Scenario::parse(name, text)?);
        }
        // Each cell makes its own script from this one.
        all.push(Scenario { name: DEEP_RANDOM.to_owned(), scripts: Vec::new() });
    }

    let wanted = |name: &str| options.scenario.iter().any(|s| s == name);
    if !options.scenario.is_empty() {
        for scenario in &mut all {
            let whole = wanted(&scenario.name);
            let name = |script: &Script| format!("{}/{}", scenario.name, script.name);
            scenario.scripts.retain(|script| whole || wanted(&name(script)));
        }
        all.retain(|scenario| !scenario.scripts.is_empty() || wanted(&scenario.name));
    }

    if all.is_empty() { Err("there is no such scenario".to_owned()) } else { Ok(all) }
}

/// The services: given ones, or two processes of our own.
async fn connect(options: &Options) -> Result<(Vec<Process>, Vec<Client>), String> {
    let mut processes = Vec::new();
    let mut addresses = options.clients.clone();
    if addresses.is_empty() {
        for provider in ["aws-lc", "rustcrypto"] {
            let process = Process::start(provider, options.reload)?;
            addresses.push(process.address.clone());
            processes.push(process);
        }
    }

    let mut clients = Vec::new();
    for address in &addresses {
        let client = Client::connect(address).await?;
        report::client(&client.name, &client.suites);
        clients.push(client);
    }

    Ok((processes, clients))
}

/// Runs all cells of a scenario, some in parallel.
async fn run_all(
    options: &Options,
    scenario: &Scenario,
    suites: &[u32],
    clients: &Arc<Vec<Client>>,
) -> Result<Results, String> {
    let places = Arc::new(Semaphore::new(options.jobs.max(1)));
    let mut runs = JoinSet::new();
    for (number, cell) in cells(options, scenario, suites, clients.len())?.into_iter().enumerate() {
        let places = places.clone();
        let clients = clients.clone();
        runs.spawn(async move {
            let _place = places.acquire_owned().await;
            (number, cell.clone(), cell.run(clients).await)
        });
    }

    let mut done = BTreeMap::new();
    while let Some(run) = runs.join_next().await {
        let (number, cell, outcome) = run.map_err(|e| format!("a run broke off: {e}"))?;
        done.insert(number, (cell, outcome));
    }

    let mut results = Results::new();
    for (cell, outcome) in done.into_values() {
        let key = (cell.script.name.clone(), cell.suite);
        results.entry(key).or_default().push((cell, outcome));
    }

    Ok(results)
}

/// Every script in every suite and mode, with every distribution of roles.
fn cells(
    options: &Options,
    scenario: &Scenario,
    suites: &[u32],
    clients: usize,
) -> Result<Vec<Cell>, String> {
    let scripts: Vec<Arc<Script>> = scenario.scripts.iter().cloned().map(Arc::new).collect();
    let mut cells = Vec::new();
    for suite in suites {
        for handshake in &options.handshake {
            for tree in &options.tree {
                let mode = (*suite, *handshake == Handshake::Private, *tree);
                if scenario.name == DEEP_RANDOM && scripts.is_empty() {
                    let seed = options.seed.wrapping_add(cells.len() as u64);
                    let script = deep_random(seed, options.commits, options.members)?;
                    cells.extend(of_script(&Arc::new(script), mode, options.roles, clients));
                }
                for script in &scripts {
                    cells.extend(of_script(script, mode, options.roles, clients));
                }
            }
        }
    }

    Ok(cells)
}

fn of_script(
    script: &Arc<Script>,
    (suite, encrypt, tree): (u32, bool, Tree),
    roles: Roles,
    clients: usize,
) -> Vec<Cell> {
    let actors = script.actors.len();
    let ways: Vec<Vec<usize>> = match roles {
        Roles::All if actors <= 10 => distributions(actors, clients),
        _ => (0..clients)
            .map(|first| (0..actors).map(|actor| (first + actor) % clients.max(1)).collect())
            .collect(),
    };

    let cell = |roles| Cell { script: script.clone(), suite, encrypt, tree, roles };
    ways.into_iter().map(cell).collect()
}

/// Every way to give actors to clients.
fn distributions(actors: usize, clients: usize) -> Vec<Vec<usize>> {
    let mut ways = vec![Vec::new()];
    for _ in 0..actors {
        let longer = ways.iter().flat_map(|way: &Vec<usize>| {
            (0..clients).map(move |client| way.iter().copied().chain([client]).collect())
        });
        ways = longer.collect();
    }
    ways
}

/// 32 unique bytes, for a group's identifier or a PSK.
fn fresh_id() -> Vec<u8> {
    let mut system = rand_core::UnwrapErr(getrandom::SysRng);
    let rng: &mut dyn CryptoRng = &mut system;
    Secret::random(32, rng).expose().to_vec()
}
