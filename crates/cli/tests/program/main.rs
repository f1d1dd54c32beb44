//! The program as its users run it: real services, messengers and bots, killed, restarted, cut off and lied to.
//!
//! It is one test binary, so that it is linked once and tests that wait do so at the same time: `--test program peek::`
//! runs one file's.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "the helpers of tests, too, are tests"
)]

mod accounts;
mod admin;
mod audit;
mod backup;
mod bots;
mod certificates;
mod chat;
mod common;
mod crowd;
mod directory;
mod faults;
mod files;
mod giving;
mod history;
mod inspect;
mod keys;
mod links;
mod operating;
mod peek;
mod profiles;
mod pty;
mod recovery;
mod rooms;
mod script;
mod sealed;
mod serve;
mod shell;
mod strangers;
mod terminal;
mod transcript;
mod upgrade;
mod validate;
