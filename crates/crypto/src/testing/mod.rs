//! For tests: [`Hooked`], a provider that reports every call, and [`TestRng`], reproducible randomness.

mod hooked;
mod rng;

pub use hooked::{Counter, Hook, Hooked, Operation};
pub use rng::TestRng;
