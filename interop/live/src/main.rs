//! Groups that Conclave, OpenMLS, mls-rs and ts-mls share, driven through random scripts.
//!
//! After every commit all members have the same epoch, epoch authenticator, exported secret, roster
//! and GroupContext extensions, and read each other's messages. A failure is
//! printed with the command that repeats exactly the same steps.

mod conclave;
mod drafts;
mod failure;
mod feature;
mod known;
mod matrix;
mod member;
mod mls_rs;
mod openmls;
mod ratchets;
mod rng;
mod script;
mod stack;
mod steps;
mod suite;
mod tally;
mod ts_mls;
mod world;

use clap::Parser;
use feature::Feature;
use script::Script;
use stack::Stack;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use suite::Suite;
use tally::Tally;

/// Groups that Conclave, OpenMLS, mls-rs and ts-mls share, driven through random scripts.
#[derive(Parser)]
struct Arguments {
    /// The seed of the first script; each following script takes the next number.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The number of random scripts in each suite.
    #[arg(long, default_value_t = 3)]
    scripts: u64,
    /// The number of steps of a script.
    #[arg(long, default_value_t = 25)]
    steps: usize,
    /// How long to run scripts (90s, 10m, 2h), instead of a number of them.
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    time: Option<Duration>,
    /// The suites: 1 to 7 of RFC 9420; 1x to 3x the same, by clients that also implement the drafts of
    /// extensions and of targeted messages; 1r to 7r the same, with SelfRemove as in RCS; TBD1 to TBD11 of the post-quantum draft, as the stacks publish
    /// them; TBD1+ to TBD11+ the same, with what each stack's provider lacks of the draft supplied.
    #[arg(long, value_delimiter = ',', default_values_t = Suite::all())]
    suites: Vec<Suite>,
    /// The stacks; by default, all that are installed.
    #[arg(long, value_delimiter = ',', value_parser = stack)]
    stacks: Vec<Stack>,
    /// Also shows every feature between every two stacks, in every suite that they share, that the random
    /// scripts did not show, and looks for the known differences.
    #[arg(long)]
    complete: bool,
    /// Writes the matrix of results into this file, between its markers. Implies --complete.
    #[arg(long, value_name = "FILE")]
    matrix: Option<PathBuf>,
    /// Shows only this feature, in a small group. Needs --actor and --receiver.
    #[arg(long, value_parser = feature, requires_all = ["actor", "receiver"])]
    feature: Option<Feature>,
    /// The stack that does it.
    #[arg(long, value_parser = stack)]
    actor: Option<Stack>,
    /// The stack that has to understand it.
    #[arg(long, value_parser = stack)]
    receiver: Option<Stack>,
    /// Prints what the other stacks lose when a member seals messages with another's keys, instead of running
    /// scripts.
    #[arg(long)]
    ratchets: bool,
    /// Prints each step.
    #[arg(long, short)]
    verbose: bool,
}

fn time(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.len().saturating_sub(1));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err("give a number and s, m or h".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "give a number and s, m or h".to_owned())?;
    Ok(Duration::from_secs(number * seconds))
}

fn stack(name: &str) -> Result<Stack, String> {
    Stack::from_name(name).ok_or_else(|| format!("one of {:?}", Stack::ALL.map(Stack::name)))
}

fn feature(key: &str) -> Result<Feature, String> {
    let keys: Vec<&str> = Feature::ALL.iter().map(|feature| feature.key()).collect();
    Feature::from_key(key).ok_or_else(|| format!("one of {}", keys.join(", ")))
}

/// A flag that Ctrl-C sets; pressed again, Ctrl-C ends the process.
fn interrupted() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = flag.clone();
    std::thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else {
            return;
        };
        while runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            if set.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
            eprintln!("stopping after this script");
        }
    });

    flag
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let stop = interrupted();
    let mut tally = Tally::default();
    let mut stacks = arguments.stacks.clone();
    if stacks.is_empty() {
        stacks = Stack::ALL.to_vec();
    }

    stacks.retain(|stack| match stack.available() {
        Ok(()) => true,
        Err(reason) => {
            println!("without {stack}: {reason}");
            false
        }
    });

    let versions: Vec<String> = stacks.iter().map(|s| format!("{s} {}", s.version())).collect();
    println!("{}", versions.join(", "));

    if arguments.ratchets {
        let suite = arguments.suites.first().copied().unwrap_or(Suite::Rfc(1));
        return match ratchets::print(&stacks, suite) {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => {
                println!("{e}");
                ExitCode::FAILURE
            }
        };
    }

    if let (Some(feature), Some(actor), Some(receiver)) =
        (arguments.feature, arguments.actor, arguments.receiver)
    {
        for &suite in &arguments.suites {
            let only = Some((feature, actor, receiver));
            let stacks = vec![actor, receiver];
            let script = Script { suite, stacks, steps: 1, seed: arguments.seed, only };
            script.run(&mut tally, true);
        }
        return summary(&tally);
    }

    random(&arguments, &stacks, &stop, &mut tally);
    if (arguments.complete || arguments.matrix.is_some()) && !stop.load(Ordering::SeqCst) {
        complete(&arguments, &stacks, &stop, &mut tally);
        script::probe(&mut tally, &stacks, &arguments.suites, arguments.seed);
    }

    if let Some(file) = &arguments.matrix
        && let Err(e) = matrix::write(file, &tally, &stacks, &arguments.suites)
    {
        println!("{}: {e}", file.display());
        return ExitCode::FAILURE;
    }

    summary(&tally)
}

fn random(arguments: &Arguments, stacks: &[Stack], stop: &AtomicBool, tally: &mut Tally) {
    let begin = Instant::now();
    let mut seed = arguments.seed;
    let mut round = 0;
    while arguments.time.map_or(round < arguments.scripts, |time| begin.elapsed() < time) {
        round += 1;
        for &suite in &arguments.suites {
            let over = arguments.time.is_some_and(|time| begin.elapsed() >= time);
            if over || stop.load(Ordering::SeqCst) {
                return;
            }
            let stacks = known::company(stacks, suite);
            if stacks.len() < 2 {
                continue;
            }
            let script = Script { suite, stacks, steps: arguments.steps, seed, only: None };
            let epochs = tally.epochs;
            let messages = tally.messages;
            let passed = script.run(tally, arguments.verbose);
            println!(
                "seed {seed}, suite {suite}: {} epochs, {} messages{}",
                tally.epochs - epochs,
                tally.messages - messages,
                if passed { "" } else { ", FAILED" }
            );
            seed += 1;
        }
    }
}

fn complete(arguments: &Arguments, stacks: &[Stack], stop: &AtomicBool, tally: &mut Tally) {
    for &suite in &arguments.suites {
        let stacks = stack::having(stacks, suite);
        let begin = Instant::now();
        for &actor in &stacks {
            for &receiver in stacks.iter().filter(|&&receiver| receiver != actor) {
                for &feature in Feature::ALL.iter().filter(|feature| feature.is_shown(suite)) {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    let cell = (feature, actor, receiver, suite);
                    let known = known::find(cell).is_some();
                    if known || tally.has_passed(cell) {
                        continue;
                    }
                    let only = Some((feature, actor, receiver));
                    let stacks = vec![actor, receiver];
                    let seed = arguments.seed;
                    let script = Script { suite, stacks, steps: 1, seed, only };
                    if script.run(tally, arguments.verbose) && !tally.has_passed(cell) {
                        println!("not shown: suite {suite}: {feature}, {actor} to {receiver}");
                    }
                }
            }
        }
        println!("suite {suite}: completed in {:.1} s", begin.elapsed().as_secs_f64());
    }
}

fn summary(tally: &Tally) -> ExitCode {
    for (failure, suite) in &tally.shown {
        let feature = failure.feature;
        let actor = failure.actor;
        let receiver = failure.receiver;
        println!("known: suite {suite}: {feature}, {actor} to {receiver}: {}", failure.reason);
    }

    for (feature, actor, receiver, suite) in &tally.gone {
        println!(
            "a known difference is gone: suite {suite}: {feature}, {actor} to {receiver}: \
             remove it from known.rs"
        );
    }

    println!(
        "{} scripts, {} epochs, {} messages, {} failures",
        tally.scripts,
        tally.epochs,
        tally.messages,
        tally.failed.len()
    );
    if tally.failed.is_empty() && tally.gone.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
