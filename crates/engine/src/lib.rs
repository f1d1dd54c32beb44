//! The engine: all that a client of the delivery service decides, for any application.
//!
//! **The contract: give the engine one input, then drain what it wants, until it says when to wake it.** Inputs are a
//! [`Command`], the reply to a [`Request`], a hint that the service pushes ([`StreamEvent`]), and the time, which comes
//! with each of them. It wants requests to be made ([`Engine::next`]; those of several groups may be made at once),
//! evidence to be kept ([`Engine::next_evidence`]) and what it has to say to be taken ([`Engine::outputs`]); [`Engine::wake_at`]
//! says when there may be more though nothing comes in. It has no thread, clock, file, socket or randomness of its own: each
//! run is a function of its inputs. It knows no terminal: commands, events and answers are types, and each that is about a
//! group names it by its [`GroupId`]: what a host lists, [`Engine::groups`] and the like return.
//!
//! What is refused, fails or is to be known is a value, too: [`Reason`], [`Warning`] and [`Notice`] have a code that never
//! changes, a neutral text in English, and what can be done ([`Remedy`]); `docs/engine-reasons.md` lists them. A host words
//! them by its own commands and in its users' language. (A [`Finding`] has a code, but its words are still sentences that
//! name the messenger's commands.)
//!
//! # What is promised
//!
//! * Each step is one atomic write to the [`Store`](conclave_store::Store) that the engine was given. It is made before the
//!   step's request or event leaves the engine. So a process may end at any moment: what is decided next follows from
//!   what is stored.
//! * A message that somebody else sent is stored, as an event and in the history, in the write that deletes its key and
//!   moves the group's cursor. Our own is stored as ciphertext in the write that advances the ratchet, and sent until it
//!   is seen in the group's log.
//! * Events ([`Output::News`]) are numbered, kept until [acknowledged](Engine::acknowledge), and given again after a crash,
//!   with the same number. So a host that stores them knows one that it has by its number; one that shows them may show
//!   the last ones twice. Answers ([`Output::Answer`]) are not stored.
//! * The host's own rows ([`AppRows`]) are in the same store, sealed with the rest, in tables that the engine never
//!   touches. [`Engine::acknowledge_with`] writes them in one step with the acknowledgement, so that what an event
//!   leads to is stored exactly once.
//! * All members get the same messages of a group in the same order. What a message says is bytes with a media type
//!   ([`Content`]), which the engine does not read.
//! * A second process may read what waits, from a copy of the store, and disturbs nothing: [`Peek`].
//! * After an error the engine is to be dropped and opened anew from its store: memory may be behind the disk.
//!
//! # The loop
//!
//! All that a host does, here with threads that listen; `cargo run -p conclave-engine --example shared_list` runs it.
//! The messenger's (`conclave-client`) is the same with a user.
//!
#![doc = "```"]
#![doc = include_str!("../examples/shared_list/host.rs")]
#![doc = "```"]
//!
//! # Inside
//!
//! Each group that the device is in is a machine of its own (`conversation/`): it decides which call it needs next, and takes
//! the reply. The engine (`engine/`) is the loop around them, and has what concerns more than one group: the session,
//! accounts, key packages and the inbox. Both decide from what is stored (`book.rs`). The documentation in `engine/mod.rs`
//! leads from a command to the reply of the service, and that in `conversation/mod.rs` says which file does what.
//!
//! # Another service
//!
//! Whatever answers a [`Request`] with its [`Reply`], or refuses it, is a service. `--example own_service` has one of its own,
//! which shares nothing with `conclave-delivery`; `docs/embedding.md` says what the engine needs of it.
#![forbid(unsafe_code)]

// The messenger's lines, which the tests use, name this crate as others do.
#[cfg(test)]
extern crate self as conclave_engine;

mod authority;
mod book;
mod certified;
mod chance;
mod characters;
mod clock;
mod code;
mod coding;
mod command;
mod content;
mod conversation;
mod copies;
mod directory;
mod engine;
mod enrolment;
mod error;
mod findings;
mod names;
mod notice;
mod output;
mod policy;
mod reason;
mod record;
mod request;
mod returns;
mod rows;
mod seen;
mod suites;
mod view;
mod watch;
mod watching;
mod who;
mod words;

pub use characters::{is_harmful, is_line_end};
pub use code::{epoch_code, member_code, pair_code};
pub use command::Command;
pub use conclave_delivery_api::{CallError, DeviceId, Name, NameError, StreamEvent};
pub use conclave_mls::GroupId;
pub use conclave_room::{
    Capability, HistoryReach, MessageExpiration, Optionality, StatusNotificationPolicy,
    StatusReports,
};
pub use content::{Content, InvalidMediaType, MAX_CONTENT, TEXT, UNKNOWN_KIND};
pub use engine::{
    CallId, CommandError, Engine, EngineError, Evidence, Expired, MAX_CALLS, Peek, PeekError,
    Peeked, PeekedGroup, PeekedMessage, Setup,
};
pub use enrolment::{CertificateFiles, certificate_request};
pub use findings::{Finding, Problem};
pub use names::{MAX_GROUP_NAME, is_group_name, look_alike};
pub use notice::{Notice, Warning};
pub use output::{Answer, Output};
pub use policy::KeyPolicy;
pub use reason::{Reason, Remedy};
pub use record::{News, RoomChange, RoomPolicy};
pub use request::{Reply, Request, Transport};
pub use rows::AppRows;
pub use suites::{CLASSIC, HYBRID, SUITES, is_post_quantum, suite_name, suite_number};
pub use view::{
    Admitted, DeviceView, GroupView, LinkView, Member, PairCode, Phase, RoomView, Roster, Warrant,
};
pub use who::Who;
