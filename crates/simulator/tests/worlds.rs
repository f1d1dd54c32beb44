//! Random worlds, few enough for each run of the tests; `cargo simulate` runs 1,000, or for hours.
#![allow(clippy::indexing_slicing)]

use conclave_simulator::{Knobs, Report, run};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::ScopedJoinHandle;

/// How many worlds are run, from the first seed on.
const WORLDS: u64 = 100;

fn tell_broken(seed: u64, report: &Report) -> String {
    let broken = report.broken.join("\n  ");
    format!("cargo simulate --seed {seed} --trace\n  {broken}")
}

/// What a thread found. One that panics must not pass for one that found nothing.
fn joined(thread: ScopedJoinHandle<'_, Vec<String>>) -> Vec<String> {
    thread.join().unwrap_or_else(|_| vec!["a thread that runs worlds has panicked".into()])
}

#[test]
fn random_worlds_keep_all_invariants() {
    let next = AtomicU64::new(1);
    let work = || {
        let mut broken = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > WORLDS {
                return broken;
            }
            let report = run(seed, Knobs::draw(seed), false);
            if !report.broken.is_empty() {
                broken.push(tell_broken(seed, &report));
            }
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let broken: Vec<String> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        running.into_iter().flat_map(joined).collect()
    });
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Otherwise no seed would be worth anything.
#[test]
fn a_world_is_a_function_of_its_seed() {
    for seed in [3, 5] {
        let [one, other] = [(); 2].map(|()| run(seed, Knobs::draw(seed), true).lines);
        assert!(one.len() > 100);
        let differs = one.iter().zip(&other).position(|(one, other)| one != other);
        assert_eq!(differs.map(|at| (&one[at], &other[at])), None);
        assert_eq!(one.len(), other.len());
    }
}
