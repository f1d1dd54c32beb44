//! Runs Conclave, OpenMLS and mls-rs through the same work, side by side in one process. See the README.

mod arguments;
mod client;
mod clock;
mod conclave;
mod counting;
mod counts;
mod engine;
mod floor;
mod forge;
mod measure;
mod memory;
#[cfg(feature = "peers")]
mod mls_rs_client;
mod op;
#[cfg(feature = "peers")]
mod openmls_client;
mod ops;
mod plot;
mod rng;
mod stack;
mod table;

use arguments::list;
use client::Result;
use floor::Primitives;
use op::Op;
use ops::Run;
use stack::Stack;
use std::path::PathBuf;
use std::time::Duration;
use table::Table;

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

/// The largest group in which a stack takes less than minutes for a step.
fn most_members(stack: Stack) -> usize {
    match stack {
        Stack::Conclave => usize::MAX,
        Stack::MlsRs => 50_000,
        Stack::OpenMls => 10_000,
    }
}

const USAGE: &str = "\
Runs Conclave, mls-rs and OpenMLS through the same work and prints a Markdown table.

  --members N,...   sizes; default 2,100,1000,10000
  --ops NAME,...    operations by their names in the JSON, or create, bare, populated, bytes, memory;
                    default all
  --stacks NAME,... of conclave, mls-rs, openmls; default all
  --rounds N        the most repetitions; the default depends on the size
  --seconds N       start no repetition of a part after this time; default 20
  --suite NAME      a suite instead of 1, by its number or a part of a post-quantum suite's name
                    (MLKEM768X25519_AES256); only Conclave runs
  --slow            also run what takes a peer minutes: create, more than 50,000 members, and more than
                    10,000 with OpenMLS
  --json FILE       write one row for each operation, size and stack
  --svg DIR         write one plot for each operation
  --quick           2 and 50 members with few repetitions, as a check that everything runs
";

struct Options {
    members: Vec<usize>,
    ops: Vec<Op>,
    stacks: Vec<Stack>,
    rounds: Option<usize>,
    seconds: u64,
    slow: bool,
    json: Option<PathBuf>,
    svg: Option<PathBuf>,
}

fn options(mut args: impl Iterator<Item = String>) -> Result<Options> {
    let mut options = Options {
        members: vec![2, 100, 1_000, 10_000],
        ops: Op::ALL.map(|(op, ..)| op).to_vec(),
        stacks: Stack::ALL.to_vec(),
        rounds: None,
        seconds: 20,
        slow: false,
        json: None,
        svg: None,
    };

    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} what?"));
        match arg.as_str() {
            "--members" => options.members = list(&value()?, |n| n.parse().ok())?,
            "--ops" => options.ops = list(&value()?, Op::named)?.concat(),
            "--stacks" => options.stacks = list(&value()?, Stack::from_name)?,
            "--rounds" => options.rounds = Some(value()?.parse()?),
            "--seconds" => options.seconds = value()?.parse()?,
            "--suite" => {
                conclave::choose_suite(&value()?)?;
                options.stacks = vec![Stack::Conclave];
            }
            "--slow" => options.slow = true,
            "--json" => options.json = Some(value()?.into()),
            "--svg" => options.svg = Some(value()?.into()),
            "--quick" => {
                options.members = vec![2, 50];
                options.rounds = Some(3);
            }
            _ => return Err(format!("{USAGE}\n{}", counts::USAGE).into()),
        }
    }

    Ok(options)
}

fn rounds(members: usize) -> usize {
    match members {
        0..=50_000 => (50_000 / members.max(1)).clamp(5, 200),
        _ => 2,
    }
}

/// The stacks that run at this size.
fn stacks(options: &Options, members: usize) -> Vec<Stack> {
    let runs = |stack: &&Stack| options.slow || members <= most_members(**stack);
    options.stacks.iter().filter(runs).copied().collect()
}

/// The options. Reports options that cannot be parsed, and ends the program.
fn understood<T>(options: Result<T>) -> T {
    options.unwrap_or_else(|e| {
        eprintln!("{e}");
        std::process::exit(2);
    })
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1).peekable();
    if args.next_if(|arg| arg == memory::CHILD).is_some() {
        return memory::child(&args.collect::<Vec<_>>());
    }

    if args.next_if(|arg| arg == counts::CHILD).is_some() {
        return counts::child(&args.collect::<Vec<_>>());
    }

    if args.next_if(|arg| arg == counts::NAME).is_some() {
        return counts::main(&understood(counts::Options::parse(args)));
    }

    let options = understood(options(args));
    let primitives = Primitives::measure()?;
    println!("{}", measure::machine());
    println!("{}.", Stack::ALL.map(|stack| format!("{stack} {}", stack.version())).join(", "));
    println!("Cipher suite {:#06x}.", conclave::suite().0);
    println!("Primitives of Conclave's provider, CPU: {}.", primitives.describe());

    let mut table = Table::default();
    for members in options.members.iter().copied() {
        let stacks = stacks(&options, members);
        if stacks.len() == options.stacks.len() {
            eprintln!("{members} members");
        } else {
            eprintln!("{members} members; --slow runs all stacks");
        }
        Run {
            members,
            stacks: &stacks,
            ops: &options.ops,
            rounds: options.rounds.unwrap_or_else(|| rounds(members)),
            time: Duration::from_secs(options.seconds),
            slow: options.slow,
            primitives: &primitives,
        }
        .run(&mut table)?;
    }

    print!("{}", table.markdown());
    if let Some(file) = options.json {
        std::fs::write(file, serde_json::to_string_pretty(&table.json())?)?;
    }

    if let Some(folder) = options.svg {
        std::fs::create_dir_all(&folder)?;
        for (op, name, _) in Op::ALL {
            if let Some(svg) = plot::svg(&table, op) {
                std::fs::write(folder.join(format!("{name}.svg")), svg)?;
            }
        }
    }

    Ok(())
}
