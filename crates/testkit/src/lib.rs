//! What the other crates are tested with: seeded randomness; the working group's test vectors,
//! checked and generated; a simulated world; members that do what a test says and show it their
//! rows; members that break rules; the functions that fuzzers feed; stored states of every format;
//! and a check of the documents against the sources.

pub mod accepting;
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
