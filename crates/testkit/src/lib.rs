//! What the other crates are tested with: randomness from a seed, and the working group's test
//! vectors, checked and generated.

mod rng;
pub mod vectors;
pub mod world;

pub use rng::SeededRng;
