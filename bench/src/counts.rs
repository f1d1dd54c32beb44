//! Allocations and instructions of single operations in small groups, of the library and of the engine. These figures do
//! not depend on the load of the machine, so that CI notices a change for the worse.
//!
//! Valgrind counts instructions. It runs this program once for each operation, and counts within [`measured`](crate::counting)
//! on one thread. Only Conclave is counted, because the other stacks use thread pools.

use crate::arguments::list;
use crate::client::{Client, Commit, Result};
use crate::counting::{counted, sums};
use crate::engine;
use crate::op::Op;
use crate::ops::{self, Pair};
use crate::stack::Stack::Conclave;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The argument that makes this module run.
pub const NAME: &str = "counts";
/// The argument that makes the program the child of one measurement.
pub const CHILD: &str = "--count-one";

pub const USAGE: &str = "\
  counts            counts allocations and (with valgrind) instructions of single operations:
                    --members N,...  default 2,10,100
                    --only NAME      of those alone whose name in the baseline begins like this
                    --write FILE     writes the counts as a baseline
                    --check FILE     fails if a count exceeds the baseline by more than a margin
";

/// The operations that are counted, in the order of the table.
const OPS: [Op; 15] = [
    Op::Create,
    Op::Join,
    Op::Update,
    Op::Process,
    Op::Add,
    Op::AddProcess,
    Op::Remove,
    Op::RemoveProcess,
    Op::UpdateBare,
    Op::ProcessBare,
    Op::EncryptFirst,
    Op::Encrypt,
    Op::DecryptFirst,
    Op::Decrypt,
    Op::Load,
];

/// The margin over the baseline: compilers and processors differ.
const MARGIN_PERCENT: u64 = 10;

// ── one measurement ──────────────────────────────────────────────────────────────────────────

/// Measures one operation of a run.
struct Gauge {
    wanted: Op,
    found: Option<(u64, u64)>,
}

impl Gauge {
    fn step<T>(&mut self, op: Op, f: impl FnOnce() -> Result<T>) -> Result<T> {
        if op != self.wanted || self.found.is_some() {
            return f();
        }
        let value = counted(f);
        self.found = Some(sums());
        value
    }
}

/// A commit by a, which b processes.
fn commit(
    gauge: &mut Gauge,
    (make, process): (Op, Op),
    Pair { a, b }: &mut Pair,
    f: impl FnOnce(&mut dyn Client) -> Result<Commit>,
) -> Result<Commit> {
    let commit = gauge.step(make, || {
        let commit = f(&mut **a)?;
        a.accept()?;
        Ok(commit)
    })?;
    gauge.step(process, || b.process(&commit.commit))?;
    Ok(commit)
}

fn message(gauge: &mut Gauge, (send, read): (Op, Op), Pair { a, b }: &mut Pair) -> Result<()> {
    let message = gauge.step(send, || a.encrypt(&[7; 1024]))?;
    gauge.step(read, || b.decrypt(&message)).map(|_| ())
}

/// Runs the operations and returns the allocations of the wanted one, and their bytes.
fn one(wanted: Op, members: usize) -> Result<(u64, u64)> {
    let mut gauge = Gauge { wanted, found: None };
    run(&mut gauge, members)?;
    gauge.found.ok_or_else(|| "not measured".into())
}

fn run(gauge: &mut Gauge, members: usize) -> Result<()> {
    if gauge.wanted == Op::Create {
        // One more than beside a second client of the stack.
        let key_packages = ops::key_packages(members + 1)?;
        let mut a = Conclave.client("alice")?;
        return gauge.step(Op::Create, || {
            a.create(ops::GROUP)?;
            a.add(&key_packages)?;
            a.accept()
        });
    }

    let bare = bare(gauge.wanted);
    let (info, _) = ops::forge(members, !bare)?;
    let mut pair = ops::pair(Conclave, members, &info)?;
    if bare {
        let ops = (Op::UpdateBare, Op::ProcessBare);
        return commit(gauge, ops, &mut pair, |a| a.update()).map(|_| ());
    }

    // No operation is the first of its kind, as in the middle of a group's life.
    let mut unmeasured = Gauge { wanted: Op::MemoryHeld, found: None };
    for _ in 0..4 {
        commit(&mut unmeasured, (Op::Update, Op::Process), &mut pair, |a| a.update())?;
    }

    commit(gauge, (Op::Update, Op::Process), &mut pair, |a| a.update())?;

    let mut joiner = Conclave.client("joiner")?;
    let key_package = [joiner.key_package()?];
    let ops = (Op::Add, Op::AddProcess);
    let added = commit(gauge, ops, &mut pair, |a| a.add(&key_package))?;
    gauge.step(Op::Join, || joiner.join(&added.welcome))?;

    let leaf = joiner.leaf();
    commit(gauge, (Op::Remove, Op::RemoveProcess), &mut pair, |a| a.remove(leaf))?;

    message(gauge, (Op::EncryptFirst, Op::DecryptFirst), &mut pair)?;
    message(gauge, (Op::Encrypt, Op::Decrypt), &mut pair)?;

    gauge.step(Op::Load, || pair.b.reload())
}

/// Whether an operation runs in a group in which nobody has committed.
fn bare(op: Op) -> bool {
    matches!(op, Op::UpdateBare | Op::ProcessBare)
}

/// The child: measures one operation and prints its counts.
pub fn child(args: &[String]) -> Result<()> {
    let [op, size] = args else { return Err("what to count?".into()) };
    let of_engine = engine::Op::ALL.into_iter().find(|o| o.name() == op);
    let of_library = OPS.into_iter().find(|o| o.name() == op);
    let (allocations, bytes) = match (of_engine, of_library) {
        (Some(op), _) => engine::one(op, size.parse()?)?,
        (None, Some(op)) => one(op, size.parse()?)?,
        (None, None) => return Err("no such operation".into()),
    };
    println!("{allocations} {bytes}");
    Ok(())
}

// ── all of them ──────────────────────────────────────────────────────────────────────────────

/// The counts of one operation, by their kind.
type Counts = BTreeMap<&'static str, u64>;
/// What is counted: its name, what the table calls it, and how many members its group has, or groups it opens.
type Work = (&'static str, &'static str, usize);
type Row = (Work, Counts);

/// What calls of the provider cost is shown, and not checked: it depends on the processor.
const CRYPTOGRAPHY: &str = "cryptography";
const KINDS: [&str; 4] = ["allocations", "bytes", "instructions", CRYPTOGRAPHY];

fn output(command: &mut Command) -> Result<(String, String)> {
    let output = command.output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok((text(&output.stdout), text(&output.stderr)))
    } else {
        Err(format!("{command:?}: {}", text(&output.stderr)).into())
    }
}

/// What calls of the provider have cost, as valgrind's profile says: all that they call belongs to them.
fn cryptography(profile: &str) -> Result<u64> {
    let is_provider = |name: &str| name.contains("AwsLc as") && name.contains("CryptoProvider");
    let mut names = BTreeMap::new();
    // A name is written once, and later only its number.
    let mut name_of = |text: &str| {
        let (number, name) = text.split_once(' ').unwrap_or((text, ""));
        let known = names.entry(number.to_string()).or_insert_with(|| name.to_string());
        is_provider(known)
    };
    let (mut from_provider, mut to_provider, mut sum) = (false, false, 0);
    let mut lines = profile.lines();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("fn=") {
            from_provider = name_of(name);
        } else if let Some(name) = line.strip_prefix("cfn=") {
            to_provider = name_of(name);
        } else if line.starts_with("calls=") {
            let cost = lines.next().and_then(|line| line.split_whitespace().nth(1));
            let cost: u64 = cost.ok_or("a call without its cost")?.parse()?;
            sum += if to_provider && !from_provider { cost } else { 0 };
        }
    }
    Ok(sum)
}

fn count((name, _, size): Work, valgrind: bool) -> Result<Counts> {
    let own = std::env::current_exe()?;
    let args = [CHILD.into(), name.into(), size.to_string()];
    let (stdout, _) = output(Command::new(&own).args(&args))?;
    let mut counts = Counts::new();
    for (kind, number) in KINDS.into_iter().zip(stdout.split_whitespace()) {
        counts.insert(kind, number.parse()?);
    }

    if valgrind {
        let profile = std::env::temp_dir().join(format!("counts-{}.callgrind", std::process::id()));
        let (_, stderr) = output(
            Command::new("valgrind")
                .arg("--tool=callgrind")
                .arg(format!("--callgrind-out-file={}", profile.display()))
                .arg("--toggle-collect=*counting::measured*")
                .arg(own)
                .args(&args),
        )?;
        let collected = stderr.lines().find_map(|line| line.split("Collected : ").nth(1));
        let collected: u64 = collected.ok_or("valgrind has counted nothing")?.trim().parse()?;
        if collected == 0 {
            return Err("valgrind has counted nothing: is the symbol `measured` gone?".into());
        }
        let text = std::fs::read_to_string(&profile)?;
        std::fs::remove_file(&profile)?;
        if engine::Op::ALL.iter().any(|op| op.name() == name) {
            // What the library adds to it, the other rows say.
            let cryptography = cryptography(&text)?;
            counts.insert("instructions", collected.saturating_sub(cryptography));
            counts.insert(CRYPTOGRAPHY, cryptography);
        } else {
            counts.insert("instructions", collected);
        }
    }

    Ok(counts)
}

/// The options of the subcommand.
pub struct Options {
    members: Vec<usize>,
    only: String,
    write: Option<PathBuf>,
    check: Option<PathBuf>,
}

impl Options {
    pub fn parse(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let (members, only) = (vec![2, 10, 100], String::new());
        let mut options = Self { members, only, write: None, check: None };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} what?"));
            match arg.as_str() {
                "--members" => options.members = list(&value()?, |n| n.parse().ok())?,
                "--only" => options.only = value()?,
                "--write" => options.write = Some(value()?.into()),
                "--check" => options.check = Some(value()?.into()),
                _ => return Err(USAGE.into()),
            }
        }
        Ok(options)
    }
}

pub fn main(options: &Options) -> Result<()> {
    let valgrind = Command::new("valgrind").arg("--version").output().is_ok();
    if !valgrind {
        eprintln!("valgrind is missing: instructions are not counted (apt-get install valgrind)");
    }

    println!(
        "| operation | members | allocations | bytes | instructions | of the provider, beside |"
    );
    println!("|---|---|---|---|---|---|");
    let of_library = options.members.iter().flat_map(|&members| {
        let ops = OPS.into_iter().filter(move |op| members > 3 || !bare(*op));
        ops.map(move |op| (op.name(), op.title(), members))
    });
    let of_engine = engine::Op::ALL.into_iter().flat_map(|op| {
        let sizes = options.members.iter().filter(move |size| **size <= op.largest());
        sizes.map(move |size| (op.name(), op.title(), *size))
    });
    let mut rows = Vec::new();
    let wanted = |work: &Work| work.0.starts_with(&options.only);
    for work in of_library.chain(of_engine).filter(wanted) {
        let counts = count(work, valgrind)?;
        let cell = |kind| counts.get(kind).map_or("–".into(), u64::to_string);
        let [allocations, bytes, instructions, cryptography] = KINDS.map(cell);
        let (_, title, size) = work;
        println!(
            "| {title} | {size} | {allocations} | {bytes} | {instructions} | {cryptography} |"
        );
        rows.push((work, counts));
    }

    if let Some(file) = &options.write {
        let row = |((name, _, size), counts): &Row| json!({"operation": name, "members": size, "counts": counts});
        let rows: Vec<Value> = rows.iter().map(row).collect();
        std::fs::write(file, serde_json::to_string_pretty(&rows)? + "\n")?;
    }

    options.check.as_deref().map_or(Ok(()), |file| check(file, &rows))
}

/// Compares every count with a baseline.
fn check(file: &Path, rows: &[Row]) -> Result<()> {
    let baseline: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    let mut worse = Vec::new();
    let mut better = 0;
    for ((name, title, size), counts) in rows {
        let row = baseline.iter().find(|row| row["operation"] == *name && row["members"] == *size);
        let row = row.ok_or_else(|| format!("{} has no {name} of {size}", file.display()))?;
        for (kind, now) in counts.iter().filter(|(kind, _)| **kind != CRYPTOGRAPHY) {
            let was = row["counts"][kind].as_u64().ok_or_else(|| format!("no {kind}: {row}"))?;
            let margin = was * MARGIN_PERCENT / 100 + 2;
            if *now > was + margin {
                worse.push(format!("{title}, {size} members: {kind} {was} -> {now}"));
            }
            better += u32::from(now + margin < was);
        }
    }

    let at = file.display();
    if better > 0 {
        println!("{better} counts are well below {at}: `cargo bench-counts --write {at}`");
    }

    if worse.is_empty() {
        println!("no count exceeds {at} by more than {MARGIN_PERCENT} %");
        return Ok(());
    }

    let worse = worse.join("\n");
    Err(format!("these exceed {at} by more than {MARGIN_PERCENT} %:\n{worse}").into())
}
