//! Runs worlds: `cargo simulate --help`.
#![allow(clippy::print_stdout)]

use clap::Parser;
use conclave_simulator::scenarios::{scenario, scenarios};
use conclave_simulator::{COLUMNS, CountingHeap, Knobs, Report, run, scale};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Counts for `--scale`, which measures the memory of clients.
#[global_allocator]
static HEAP: CountingHeap = CountingHeap;

/// Runs random worlds until one breaks an invariant, and says how to see it again.
#[derive(Parser)]
struct Args {
    /// Run the world of this seed.
    #[arg(long)]
    seed: Option<u64>,
    /// Run worlds of this scenario, instead of random ones; `--list` says which there are.
    #[arg(long)]
    scenario: Option<String>,
    /// List the scenarios.
    #[arg(long)]
    list: bool,
    /// Print each event of that world.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// The seed of the first world.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// How many worlds to run.
    #[arg(long, default_value_t = 1_000)]
    worlds: u64,
    /// Run worlds for so many hours, instead of a number of them.
    #[arg(long, conflicts_with = "worlds")]
    hours: Option<f64>,
    /// How many worlds run at once; as many as there are cores, if it is not given.
    #[arg(long)]
    jobs: Option<usize>,
    /// Measure one conversation of so many users, with two devices each; of 1,000 if no number is given.
    #[arg(long, num_args = 0..=1, default_missing_value = "1000")]
    scale: Option<usize>,
    /// How many of its devices run beside the one that is measured; the others are members that are away.
    #[arg(long, requires = "scale", default_value_t = 60)]
    awake: usize,
    /// Go on after a world that breaks an invariant.
    #[arg(long)]
    go_on: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if args.list {
        scenarios().iter().for_each(|scenario| println!("{}", scenario.name));
        return ExitCode::SUCCESS;
    }
    if let Some(name) = args.scenario.as_ref().filter(|name| scenario(name).is_none()) {
        println!("there is no scenario {name}: --list says which there are");
        return ExitCode::FAILURE;
    }
    if let Some(users) = args.scale {
        let broken = scale(users, args.awake, &mut |line| println!("{line}"));
        broken.iter().for_each(|line| println!("{line}"));
        return if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    match args.seed {
        Some(seed) => one(&args, seed),
        None => many(&args),
    }
}

impl Args {
    fn knobs(&self, seed: u64) -> Knobs {
        let named = self.scenario.as_deref().and_then(scenario);
        named.map_or_else(|| Knobs::draw(seed), |scenario| scenario.knobs)
    }

    /// What shows a world again.
    fn command(&self, seed: u64) -> String {
        let scenario = self.scenario.as_ref().map(|name| format!(" --scenario {name}"));
        format!("cargo simulate{} --seed {seed} --trace", scenario.unwrap_or_default())
    }
}

/// Runs one world.
fn one(args: &Args, seed: u64) -> ExitCode {
    let knobs = args.knobs(seed);
    println!("{knobs:?}");
    let report = run(seed, knobs, args.trace);
    if args.trace {
        println!("{COLUMNS}");
    }
    report.lines.iter().for_each(|line| println!("{line}"));
    println!("{:?}", report.counts);
    tell_broken(args, seed, &report)
}

fn tell_broken(args: &Args, seed: u64, report: &Report) -> ExitCode {
    if report.broken.is_empty() {
        return ExitCode::SUCCESS;
    }
    report.broken.iter().for_each(|what| println!("seed {seed}: {what}"));
    println!("to see it again: {}", args.command(seed));
    ExitCode::FAILURE
}

/// What is known of all worlds so far.
#[derive(Default)]
struct Sum {
    counts: BTreeMap<&'static str, u64>,
    worlds: u64,
    broken: u64,
}

/// Runs worlds, several at once.
fn many(args: &Args) -> ExitCode {
    let begun = Instant::now();
    let end = args.hours.map(|hours| begun + Duration::from_secs_f64(hours * 3600.0));
    let last = if end.is_some() { u64::MAX } else { args.from.saturating_add(args.worlds) };
    let next = AtomicU64::new(args.from);
    let sum = Mutex::new(Sum::default());
    let stop = AtomicBool::new(false);

    let work = || loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        let over = end.is_some_and(|end| Instant::now() > end);
        if seed >= last || over || (stop.load(Ordering::Relaxed) && !args.go_on) {
            return;
        }

        let report = run(seed, args.knobs(seed), false);
        let Ok(mut sum) = sum.lock() else { return };
        sum.worlds += 1;
        for (what, count) in &report.counts {
            *sum.counts.entry(what).or_default() += count;
        }
        if tell_broken(args, seed, &report) == ExitCode::FAILURE {
            sum.broken += 1;
            stop.store(true, Ordering::Relaxed);
        }
        if sum.worlds % 250 == 0 {
            let rate = sum.worlds as f64 / begun.elapsed().as_secs_f64();
            println!("{} worlds, {rate:.1} a second, up to seed {seed}", sum.worlds);
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..args.jobs.unwrap_or(cores) {
            scope.spawn(work);
        }
    });

    let Ok(sum) = sum.into_inner() else { return ExitCode::FAILURE };
    let seconds = begun.elapsed().as_secs_f64();
    let rate = sum.worlds as f64 / seconds;
    println!("{} worlds in {seconds:.0} s, {rate:.1} a second: {:?}", sum.worlds, sum.counts);
    if sum.broken > 0 {
        println!("{} of them broke an invariant", sum.broken);
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
