#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod batches;
mod choices;
mod commits;
mod covering;
mod custom;
mod errors;
mod fixture;
mod identity;
mod joining;
mod key_packages;
mod limits;
mod messages;
mod observing;
mod policy;
mod proposals;
mod reports;
mod rules;
mod steps;
mod stored;
mod wrong_states;
