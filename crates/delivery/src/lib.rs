//! A delivery service for MLS groups (RFC 9750 section 5) with a thin authentication service.
//!
//! It keeps what clients need from one another and cannot hand over themselves: key packages, the
//! one order of each group's messages, and Welcomes. It sees who talks in which group, when and
//! how much; it never sees what.
//!
//! * [`api`]: every request, reply and event, and how they are encoded; no I/O;
//! * `service` (feature `server`): the rules, over a `storage` trait, with the time passed in;
//! * `storage` (feature `server`): what an engine has to provide, and SQLite;
//! * `http` (feature `server`): the HTTP server, [`serve`];
//! * `http_client` (feature `client`): a blocking client with an event stream.
//!
//! A group is *tracked* or *opaque*. In a tracked group handshake messages are PublicMessages: the
//! service follows the group as an observer without secrets, refuses commits that members would
//! refuse, and knows the members. Such a group has no external senders, which messengers refuse, and
//! injects no PSKs, as the service cannot know whether all members have them. In an opaque group
//! handshake messages are PrivateMessages: the service sees epoch and content type, which suffice to
//! order commits, and is told who comes and goes.
#![forbid(unsafe_code)]

pub mod api;
#[cfg(feature = "server")]
pub mod http;
#[cfg(feature = "client")]
pub mod http_client;
#[cfg(feature = "server")]
pub mod service;
#[cfg(feature = "server")]
pub mod storage;
#[cfg(test)]
#[cfg(feature = "server")]
mod testing;

#[cfg(feature = "server")]
pub use http::{Config, Observed, Server, serve};
