//! Tests of the whole crate: long runs against the oracle, deceptive trees, and update paths
//! between members.

mod deceptive_trees;
mod long_runs;
mod paths;
mod received;
mod rules;
mod staging;
