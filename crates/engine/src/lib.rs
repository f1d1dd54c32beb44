//! What a client decides, for whatever application: an engine without I/O.
#![forbid(unsafe_code)]

// The messenger's lines, which the tests use, name this crate as others do.
#[cfg(test)]
extern crate self as conclave_engine;

mod authority;
mod book;
mod certified;
mod characters;
mod code;
mod command;
mod content;
mod directory;
mod engine;
mod enrolment;
mod names;
mod output;
mod record;
mod request;
mod suites;
mod watch;
mod words;

pub use characters::{is_harmful, is_line_end};
pub use code::{epoch_code, member_code, pair_code};
pub use command::Command;
pub use conclave_delivery_api::{CallError, DeviceId, Name, NameError, StreamEvent};
pub use content::{Content, MAX_CONTENT, NoMediaType, TEXT, UNKNOWN_KIND};
pub use engine::{Engine, EngineError, Evidence, Setup};
pub use enrolment::{CertificateFiles, certificate_request};
pub use names::{MAX_GROUP_NAME, is_group_name};
pub use output::{Answer, Output};
pub use record::{News, Who};
pub use request::{Reply, Request, Transport};
pub use suites::{CLASSIC, HYBRID, SUITES, is_post_quantum, suite_name, suite_number};
