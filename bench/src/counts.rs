//! Allocations and instructions of single operations in small groups. These figures do not depend on the load
//! of the machine, so that CI notices a change for the worse.
//!
//! Valgrind counts instructions. It runs this program once for each operation, and counts within [`measured`]
//! on one thread. Only Conclave is counted, because the other stacks use thread pools.

use crate::arguments::list;
use crate::client::{Client, Commit, Result};
use crate::op::Op;
use crate::ops::{self, Pair};
use crate::stack::Stack::Conclave;
use serde_json::{Value, json};
use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// The argument that makes this module run.
pub const NAME: &str = "counts";
/// The argument that makes the program the child of one measurement.
pub const CHILD: &str = "--count-one";

pub const USAGE: &str = "\
  counts            counts allocations and (with valgrind) instructions of single operations:
                    --members N,...  default 2,10,100
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

// ── the allocator ────────────────────────────────────────────────────────────────────────────

/// The system's allocator, which counts allocations during a measurement.
pub struct Counting;

static COUNTS: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

fn note(bytes: usize) {
    if COUNTS.load(Relaxed) {
        ALLOCATIONS.fetch_add(1, Relaxed);
        BYTES.fetch_add(bytes as u64, Relaxed);
    }
}

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller keeps the contract of the same method.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller keeps the contract of the same method.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size.saturating_sub(layout.size()));
        // SAFETY: the caller keeps the contract of the same method.
        unsafe { System.realloc(block, layout, size) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of the same method.
        unsafe { System.dealloc(block, layout) }
    }
}

// ── one measurement ──────────────────────────────────────────────────────────────────────────

/// The only function in which valgrind counts.
#[inline(never)]
fn measured<T>(f: impl FnOnce() -> Result<T>) -> Result<T> {
    std::hint::black_box(f())
}

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
        ALLOCATIONS.store(0, Relaxed);
        BYTES.store(0, Relaxed);
        COUNTS.store(true, Relaxed);
        let value = measured(f);
        COUNTS.store(false, Relaxed);
        self.found = Some((ALLOCATIONS.load(Relaxed), BYTES.load(Relaxed)));
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
    let [op, members] = args else { return Err("what to count?".into()) };
    let op = OPS.into_iter().find(|o| o.name() == op).ok_or("no such operation")?;
    let (allocations, bytes) = one(op, members.parse()?)?;
    println!("{allocations} {bytes}");
    Ok(())
}

// ── all of them ──────────────────────────────────────────────────────────────────────────────

/// The counts of one operation, by their kind.
type Counts = BTreeMap<&'static str, u64>;
/// An operation, the members of its group, and its counts.
type Row = (Op, usize, Counts);

const KINDS: [&str; 3] = ["allocations", "bytes", "instructions"];

fn output(command: &mut Command) -> Result<(String, String)> {
    let output = command.output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok((text(&output.stdout), text(&output.stderr)))
    } else {
        Err(format!("{command:?}: {}", text(&output.stderr)).into())
    }
}

fn count(op: Op, members: usize, valgrind: bool) -> Result<Counts> {
    let own = std::env::current_exe()?;
    let args = [CHILD.into(), op.name().into(), members.to_string()];
    let (stdout, _) = output(Command::new(&own).args(&args))?;
    let mut counts = Counts::new();
    for (kind, number) in KINDS.into_iter().zip(stdout.split_whitespace()) {
        counts.insert(kind, number.parse()?);
    }

    if valgrind {
        let (_, stderr) = output(
            Command::new("valgrind")
                .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
                .arg("--toggle-collect=*counts::measured*")
                .arg(own)
                .args(&args),
        )?;
        let collected = stderr.lines().find_map(|line| line.split("Collected : ").nth(1));
        let collected: u64 = collected.ok_or("valgrind has counted nothing")?.trim().parse()?;
        if collected == 0 {
            return Err("valgrind has counted nothing: is the symbol `measured` gone?".into());
        }
        counts.insert("instructions", collected);
    }

    Ok(counts)
}

/// The options of the subcommand.
pub struct Options {
    members: Vec<usize>,
    write: Option<PathBuf>,
    check: Option<PathBuf>,
}

impl Options {
    pub fn parse(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self { members: vec![2, 10, 100], write: None, check: None };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} what?"));
            match arg.as_str() {
                "--members" => options.members = list(&value()?, |n| n.parse().ok())?,
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

    println!("| operation | members | allocations | bytes | instructions |");
    println!("|---|---|---|---|---|");
    let mut rows = Vec::new();
    for &members in &options.members {
        for op in OPS.into_iter().filter(|op| members > 3 || !bare(*op)) {
            let counts = count(op, members, valgrind)?;
            let cell = |kind| counts.get(kind).map_or("–".into(), u64::to_string);
            let [allocations, bytes, instructions] = KINDS.map(cell);
            println!("| {} | {members} | {allocations} | {bytes} | {instructions} |", op.title());
            rows.push((op, members, counts));
        }
    }

    if let Some(file) = &options.write {
        let row = |(op, members, counts): &Row| json!({"operation": op.name(), "members": members, "counts": counts});
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
    for (op, members, counts) in rows {
        let row =
            baseline.iter().find(|row| row["operation"] == op.name() && row["members"] == *members);
        let row =
            row.ok_or_else(|| format!("{} has no {} of {members}", file.display(), op.name()))?;
        for (kind, now) in counts {
            let was = row["counts"][kind].as_u64().ok_or_else(|| format!("no {kind}: {row}"))?;
            let margin = was * MARGIN_PERCENT / 100 + 2;
            if *now > was + margin {
                worse.push(format!("{}, {members} members: {kind} {was} -> {now}", op.title()));
            }
            better += u32::from(now + margin < was);
        }
    }

    let at = file.display();
    if better > 0 {
        println!("{better} counts are well below {at}: `cargo bench-peers counts --write {at}`");
    }

    if worse.is_empty() {
        println!("no count exceeds {at} by more than {MARGIN_PERCENT} %");
        return Ok(());
    }

    let worse = worse.join("\n");
    Err(format!("these exceed {at} by more than {MARGIN_PERCENT} %:\n{worse}").into())
}
