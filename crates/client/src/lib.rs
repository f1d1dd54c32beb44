//! A messenger for one device: its state, and what moves it.
//!
//! * [`Engine`]: everything a messenger decides, without I/O of its own but the store it is given.
//!   Time, randomness, what the user types and what the service says come in; requests to the
//!   service and [`Output`]s come out. Each step is one atomic write;
//! * [`run`]: the shell around it: a thread that calls the service, a thread that listens to it;
//! * [`Command`]: what a user can say;
//! * [`Output`]: what a user is told, as a line for scripts or for people.
//!
//! # What is promised
//!
//! A message that somebody else sent is stored in the same write that deletes its key and moves
//! the group's cursor. A message of one's own is stored as ciphertext in the same write that
//! advances the ratchet, and sent until it is seen in the group's log. So `kill -9` at any moment
//! loses nothing. News are given to the [`Screen`] first and forgotten then: a process that dies
//! between the two shows the last ones again when it comes back, with the same group and number. What a
//! screen has not drawn yet when the process is killed, as a terminal's while a line is being edited, is
//! not shown again; messages are in the history.
#![forbid(unsafe_code)]

mod authority;
mod book;
mod certified;
mod code;
mod command;
mod directory;
mod engine;
mod enrolment;
mod files;
mod names;
mod output;
mod record;
mod request;
mod shell;
mod suites;
mod text;
mod time;
mod watch;
mod words;

pub use code::{epoch_code, member_code, pair_code};
pub use command::{Command, CommandError, HELP, MAX_LINE, Who};
pub use conclave_delivery_api::{DeviceId, Name, NameError};
pub use engine::{Engine, EngineError, Setup};
pub use enrolment::{CertificateFiles, certificate_request};
pub use files::write_private;
pub use output::{Answer, Output};
pub use record::News;
pub use request::{Reply, Request};
pub use shell::{Ended, Message, Options, RunError, Screen, os_rng, run};
pub use suites::{
    CLASSIC, HYBRID, SUITES, SuiteError, find_suite, is_post_quantum, suite_list, suite_name,
    suite_number,
};
pub use text::{escaped, plain, unescaped};
pub use time::timestamp;
