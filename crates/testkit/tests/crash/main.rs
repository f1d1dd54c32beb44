//! Crashes at every write: a member's process dies before the write, or after it and before its outcome
//! has left or the memory has changed; or the write fails. A member that comes back is in the state
//! before or after the write, never between. No message is lost or read twice, and no ratchet key
//! encrypts two messages that leave.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::print_stdout)]

mod branches;
mod disks;
mod world;

use conclave_group::rows::{Batch, RowKey, Table};
use conclave_store::{MemoryStore, Secret, SqliteStore, Store, WriteSet};
use disks::{Disk, File, Recording, Reporting, contents, group_id, rows_of};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::ops::Range;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::Duration;
use world::{Cut, DiskMaker, World};

fn memory() -> DiskMaker {
    Box::new(|| Box::new(MemoryStore::new()))
}

/// Runs worlds of these seeds, and cuts their writes in these ways.
fn survive(seeds: Range<u64>, steps: u64, kinds: &[Cut], disks: fn() -> DiskMaker) {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for seed in seeds {
        println!("seed {seed}");
        let mut world = World::new(seed, 25, kinds, disks());
        world.run(steps);
        world.settle_all();
        world.counts.into_iter().for_each(|(what, n)| *counts.entry(what).or_default() += n);
    }

    println!("{counts:?}");
    let cuts = kinds.iter().map(|kind| format!("{kind:?}"));
    let steps = [
        "Application accepted",
        "Application lost",
        "Commit accepted",
        "Commit lost",
        "Commit refused",
        "Proposal accepted",
        "fold",
        "join",
        "read",
        "remove",
    ];
    for what in cuts.chain(steps.map(Into::into)) {
        assert!(counts.get(&what).is_some_and(|n| *n > 0), "{what}: {counts:?}");
    }
}

#[test]
fn a_crash_before_a_write_leaves_the_state_before_it() {
    survive(1..4, 500, &[Cut::Before], memory);
}

#[test]
fn a_crash_after_a_write_leaves_the_state_after_it_and_reuses_no_key() {
    survive(11..14, 500, &[Cut::After], memory);
}

#[test]
fn a_failed_write_leaves_the_state_before_it() {
    survive(21..24, 500, &[Cut::Fails], memory);
}

#[test]
fn crashes_at_any_write_lose_no_message_and_repeat_none() {
    survive(31..36, 600, &[Cut::Before, Cut::After, Cut::Fails], memory);
}

#[test]
#[should_panic(expected = "neither the state before nor the state after")]
fn a_torn_write_is_noticed() {
    survive(41..42, 400, &[Cut::Torn], memory);
}

#[test]
fn a_sqlite_image_at_any_write_is_the_state_before_or_after_it() {
    survive(51..53, 400, &[Cut::Before, Cut::After], || Box::new(|| Box::new(File::new())));
}

#[test]
fn a_member_that_goes_back_and_on_survives_a_crash_at_any_write() {
    branches::survive(|| Box::new(MemoryStore::new()));
    branches::survive(|| Box::new(File::new()));
}

// ── a killed process ─────────────────────────────────────────────────────────────────────────

const FILE: &str = "CONCLAVE_TEST_FILE";
const SEED: u64 = 61;
const STEPS: u64 = 150;

/// Gives the founder this disk, and the others disks in memory.
fn first_is(disk: Box<dyn Disk>) -> DiskMaker {
    let mut first = Some(disk);
    Box::new(move || first.take().unwrap_or_else(|| Box::new(MemoryStore::new())))
}

/// Not a test of its own: the process that another test kills.
#[test]
#[ignore = "run by the test that kills it"]
fn child_that_runs_a_world() {
    let Some(path) = std::env::var_os(FILE) else { return };
    let disk = Reporting::open(Path::new(&path));
    World::new(SEED, 0, &[], first_is(Box::new(disk))).run(STEPS);
}

/// Not a test of its own: a process that rewrites all 3,000 rows of a group again and again.
#[test]
#[ignore = "run by the test that kills it"]
fn child_that_writes_large_sets() {
    let Some(path) = std::env::var_os(FILE) else { return };
    let mut disk = Reporting::open(Path::new(&path));
    for round in 0..u8::MAX {
        disk.commit(&large_set(round));
    }
}

fn large_set(round: u8) -> WriteSet {
    let mut batch = Batch::new(group_id());
    batch.clear = round.is_multiple_of(2);
    for index in 0..3000 {
        batch.rows.insert(RowKey::new(Table::Tree, index), Some(Secret::new(vec![round; 1000])));
    }
    let mut set = WriteSet::new();
    set.batch(batch);
    set
}

fn spawn(child: &str, path: &Path) -> Child {
    let exe = std::env::current_exe().expect("this test");
    let args = ["--exact", child, "--ignored", "--nocapture"];
    let mut command = Command::new(exe);
    command.args(args).env(FILE, path).stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().expect("started")
}

/// Kills a child some microseconds after it has reported this many writes. Returns how many writes it
/// had reported in the end.
fn kill_after(child: &str, path: &Path, writes: usize, micros: u64) -> usize {
    let mut child = spawn(child, path);
    let mut out = BufReader::new(child.stdout.take().expect("piped"));

    let mut line = String::new();
    let mut reported = 0;
    while reported < writes && out.read_line(&mut line).expect("read") > 0 {
        reported += usize::from(line.trim_end().ends_with("written"));
        line.clear();
    }
    std::thread::sleep(Duration::from_micros(micros));
    child.kill().expect("killed");
    child.wait().expect("gone");

    let mut rest = String::new();
    out.read_to_string(&mut rest).expect("read");
    reported + rest.matches("written").count()
}

#[test]
fn a_killed_process_finds_its_last_write_or_the_next_one_whole() {
    let recording = Recording::default();
    let states = Rc::clone(&recording.all);
    World::new(SEED, 0, &[], first_is(Box::new(recording))).run(STEPS);
    let states = states.borrow();
    assert!(states.len() > 40, "{} writes", states.len());

    let folder = tempfile::tempdir().expect("a folder");
    let mut ahead = 0;
    for run in 0..25u64 {
        let path = folder.path().join(format!("{run}.db"));
        let writes = 1 + (run as usize * 7) % (states.len() - 2);
        let reported = kill_after("child_that_runs_a_world", &path, writes, (run * 317) % 3000);

        let store = SqliteStore::open(&path).expect("the file opens");
        let found = contents(&store);
        let state = (reported..=reported + 1).find(|n| found == contents(&states[n - 1]));
        ahead += usize::from(state.expect("the state after a whole write") > reported);
    }
    println!("{ahead} of 25 processes had written once more than they had reported");
}

#[test]
fn a_large_write_that_is_killed_midway_has_not_happened() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut killed_inside = 0;
    for run in 0..12u64 {
        let path = folder.path().join(format!("{run}.db"));
        let reported = kill_after("child_that_writes_large_sets", &path, 2, run * 1900 + 300);
        let log = std::fs::metadata(path.with_extension("db-wal")).map_or(0, |m| m.len());
        killed_inside += usize::from(log > 0);

        let store = SqliteStore::open(&path).expect("the file opens");
        let rows = rows_of(&store);
        assert_eq!(rows.len(), 3000);
        let round = rows.values().next().expect("a row").expose()[0];
        assert!(rows.values().all(|row| row.expose() == [round; 1000]), "torn");
        let rounds = [reported - 1, reported];
        assert!(rounds.contains(&round.into()), "{round} after {reported} writes");
        assert!(store.get("outbox", b"").is_ok());
    }
    assert!(killed_inside > 0, "no process was killed while it wrote");
}
