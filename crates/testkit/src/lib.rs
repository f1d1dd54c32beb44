//! What the other crates are tested with: randomness from a seed, and the working group's test
//! vectors, checked and generated, a simulated world, members to be told what to do and whose rows a
//! test can look into, members that break rules, what fuzzers feed, and the documents against the
//! sources.

pub mod docs;
pub mod forge;
pub mod fuzz;
pub mod party;
mod rng;
pub mod states;
pub mod vectors;
pub mod world;

pub use rng::SeededRng;

/// The front page, so that its code is compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
