//! Tests of the whole crate: long runs against the oracle, trees made to deceive, and update paths
//! between members.

mod deceptive_trees;
mod long_runs;
mod paths;
mod received;
mod rules;
mod staging;
