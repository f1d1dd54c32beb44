//! Whole systems in virtual time: real engines with the real service's core, many users and devices, and all that goes
//! wrong between them, from one seed.
//!
//! A [world](run) is a function of its seed and its [`Knobs`]. `docs/simulation.md` says what holds in each.
#![deny(unsafe_code)]
// It is a test: what it cannot do, it panics at.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod act;
mod chance;
mod client;
mod cost;
mod crypto;
mod disk;
mod heap;
mod knobs;
mod logs;
mod modified;
pub mod scenarios;
mod sealing;
mod server;
mod trace;
mod world;

pub use heap::CountingHeap;
pub use knobs::{Hostile, Knobs, Network, Processes, Troubles};
pub use trace::COLUMNS;
pub use world::Report;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs a world. A panic in it breaks an invariant, too.
#[must_use]
pub fn run(seed: u64, knobs: Knobs, traced: bool) -> Report {
    let run = || world::World::new(seed, knobs, traced).run();
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default();
        Report { broken: vec![format!("a panic: {text}")], ..Report::default() }
    })
}

/// Lets so many users, with two devices each, talk in one conversation. `awake` of the devices run, and one that is measured;
/// the others are members that are away. After each phase it tells what that took, and in the end how much memory a client takes,
/// which only a program with [`CountingHeap`] as its global allocator can measure. Returns the invariants and bounds that were
/// broken.
pub fn scale(users: usize, awake: usize, tell: &mut dyn FnMut(String)) -> Vec<String> {
    let knobs = Knobs { users, devices: 2 * users, ..Knobs::default() };
    world::World::new(1, knobs, false).scale(awake, tell)
}
