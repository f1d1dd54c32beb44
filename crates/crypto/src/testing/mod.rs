//! For tests: [`Hooked`], a provider that reports every call; [`TestRng`], reproducible randomness, and
//! [`StuckRng`], a source that is broken.

mod hooked;
mod rng;

pub use hooked::{Counter, Hook, Hooked, Operation};
pub use rng::{StuckRng, TestRng};
