//! A messenger for one device, at a terminal or in a script: the engine ([`conclave_engine`]) and what moves it.
//!
//! * [`run`]: the shell around the engine: a thread that calls the service, a thread that listens to it;
//! * [`Messenger`]: which group lines go to, and names instead of identifiers;
//! * [`parse_line`]: what a user can type;
//! * [`Render`]: what a user is told, as a line for scripts or for people.
//!
//! Events are given to the [`Screen`] first and acknowledged then: a process that dies between the two shows the last
//! ones again when it comes back, with the same group and number. What a screen has not drawn yet when the process is
//! killed, as a terminal's while a line is being edited, is not shown again; messages are in the history.
#![forbid(unsafe_code)]

mod catch_up;
mod chat;
mod files;
#[cfg(test)]
mod hostile;
mod lines;
mod messenger;
mod shell;
mod telling;
mod words;

pub use catch_up::catch_up;
pub use conclave_engine::{
    Answer, CLASSIC, CertificateFiles, Content, DeviceId, Engine, EngineError, Evidence, Finding,
    HYBRID, Name, NameError, News, Problem, Reply, Request, SUITES, Setup, Who,
    certificate_request, epoch_code, is_post_quantum, member_code, pair_code, suite_name,
    suite_number,
};
pub use files::write_private;
pub use lines::{
    ChatCommand, Command, Did, Input, LineError, MAX_LINE, Render, Said, Shown, SuiteError,
    escaped, find_suite, help_line, help_text, parse_line, plain, suite_list, timestamp, unescaped,
};
pub use messenger::Messenger;
pub use shell::{Ended, Message, Options, RunError, Screen, os_rng, run};
