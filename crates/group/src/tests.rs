#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod commits;
mod fixture;
mod joining;
mod messages;
mod proposals;
mod rules;
mod steps;
mod stored;
