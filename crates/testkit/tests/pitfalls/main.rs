//! Faults of other stacks, each as a named test. `docs/pitfalls.md` lists the classes of faults and their
//! tests, here and elsewhere. The tests here need several floors at once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod debug;
mod judged;
mod low_order;
mod made_up;
mod mix;
mod order;
mod table;
mod truncated;
mod welcome;
mod work;
