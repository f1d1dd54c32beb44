//! The cost of many pending proposals that nobody can commit, counted in allocations.
//!
//! Any member decides how many proposals are pending. Work that multiplies them by the proposals of a
//! commit also copies them that often, so that the test need not measure time.
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::print_stdout)]

use conclave_group::{CommitOptions, Config, Framing, LeafParams, NewProposal, Rules};
use conclave_testkit::party::*;
use conclave_wire::{Credential, Extension};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

/// Counts the allocations of each thread.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: the system's allocator does all the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(block, layout) }
    }
}

fn allocations_of<T>(what: impl FnOnce() -> T) -> (u64, T) {
    let before = ALLOCATIONS.get();
    let result = what();
    (ALLOCATIONS.get() - before, result)
}

/// Alice and bob, in a group whose members must support an extension, with this many pending Adds of
/// clients that do not support it and so cannot be added. If `mixed`, an Add that can be committed
/// follows each of them.
fn with_misfits(n: u64, mixed: bool) -> Vec<Peer> {
    let rules = Rules { cover_all_pending: true, ..Rules::default() };
    let config = Config { policy: Arc::new(rules), ..config() };
    let setup = Setup { config, ..Setup::of(SUITE) };
    let mut peers = setup.group(["alice", "bob"].map(|name| leaf_params(name, SUITE)).into());
    let extension = Extension { extension_type: CUSTOM, extension_data: [1].as_slice().into() };
    commits(&mut peers, 0, commit_of(vec![NewProposal::GroupContextExtensions(vec![extension])]));

    for i in 0..n {
        let leaf = LeafParams::new(Credential::basic(format!("misfit {i}").as_bytes()), &[SUITE]);
        let mut owns = vec![key_package_of(leaf, SUITE, 10_000 + i)];
        if mixed {
            owns.push(key_package(&format!("good {i}"), 20_000 + i));
        }
        for own in &owns {
            let proposal = peers[1].propose(add(own), &Framing::default());
            peers[0].receive(&proposal);
        }
    }
    peers
}

/// The cost for bob to make, and for alice to receive, a commit of this many Adds while this many
/// misfits are pending.
fn cost(misfits: u64, adds: u64) -> [u64; 2] {
    let mut peers = with_misfits(misfits, false);
    let owns: Vec<_> = (0..adds).map(|i| key_package(&format!("good {i}"), 50_000 + i)).collect();
    let options = CommitOptions { received: false, ..commit_of(owns.iter().map(add).collect()) };

    let Peer { group, rng, provider, .. } = &mut peers[1];
    let (made, step) = allocations_of(|| group.commit(*provider, rng, NOW, options).unwrap());
    let messages = peers[1].take(step);
    let (received, step) = allocations_of(|| peers[0].process(&messages.commit).unwrap());
    assert!(step.is_some());
    [made, received]
}

#[test]
fn covering_all_pending_takes_less_than_quadratic_work() {
    let small = cost(60, 30);
    let large = cost(240, 120);
    println!("60 misfits, 30 Adds: {small:?} allocations; 240 and 120: {large:?}");
    for (small, large) in small.into_iter().zip(large) {
        // Four times as many of both take about 4 · log times the work, not 16 times.
        assert!(large < 6 * small, "{small} and {large}");
    }
}

/// The cost for alice to commit the pending proposals, half of which nobody can commit.
fn cost_of_choosing(misfits: u64) -> u64 {
    let mut peers = with_misfits(misfits, true);
    let Peer { group, rng, provider, .. } = &mut peers[0];
    let options = CommitOptions::default();
    let (made, step) = allocations_of(|| group.commit(*provider, rng, NOW, options).unwrap());
    peers[0].take(step);
    assert_eq!(peers[0].group.pending_commit_references().count() as u64, misfits);
    made
}

#[test]
fn choosing_among_misfits_takes_less_than_quadratic_work() {
    let small = cost_of_choosing(30);
    let large = cost_of_choosing(120);
    println!("30 misfits among 30 that fit: {small} allocations; 120 among 120: {large}");
    assert!(large < 6 * small, "{small} and {large}");
}
