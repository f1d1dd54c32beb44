#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of tests, too, are tests"
)]

mod golden;
mod hostile;
mod samples;
