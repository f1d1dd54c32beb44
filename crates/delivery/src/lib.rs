//! A delivery service for MLS groups (RFC 9750 section 5) that also keeps the users' account logs.
//!
//! It keeps what clients need from one another and cannot hand over themselves: account logs, key packages, the
//! one order of each group's messages, and Welcomes. It sees who talks in which group, when and
//! how much; it never sees what.
//!
//! * What client and service say to each other is a crate of its own, [`conclave_delivery_api`];
//! * `service` (feature `server`): the rules, over a `storage` trait, with the time passed in;
//! * `storage` (feature `server`): what an engine has to provide, and SQLite;
//! * `backup` (feature `server`): copies of a service's state, checked before they count;
//! * `http` (feature `server`): the HTTP server, [`serve`];
//! * `s3` (features `server` and `client`): attachments in a bucket;
//! * `http_client` (feature `client`): a blocking client with an event stream.
//!
//! A group is *tracked* or *opaque*. In a tracked group handshake messages are PublicMessages: the
//! service follows the group as an observer without secrets, refuses commits that members would
//! refuse, and knows the members. Such a group has no external senders, which messengers refuse, and
//! injects no PSKs, as the service cannot know whether all members have them. In an opaque group
//! handshake messages are PrivateMessages: the service sees epoch and content type, which suffice to
//! order commits, and is told who comes and goes.
//!
//! # Accounts
//!
//! A user is an account, and an account is a log that only the user's own devices and recovery key can extend (crate
//! `conclave-account`). [`SubmitAccount`](conclave_delivery_api::SubmitAccount) creates an account with its first device, adds a device,
//! revokes one or gives it another key; [`FetchAccount`](conclave_delivery_api::FetchAccount) gives the log to whoever has a session,
//! and [`Event::Account`](conclave_delivery_api::Event::Account) tells those whom a change concerns. The service checks each entry as
//! every client can. It takes no second log under a name, and no name that looks like another.
//!
//! When a device is revoked, its sessions and event streams end, and its key packages, its inbox and its memberships
//! are deleted; when it gets another key, its sessions, streams and key packages. Its leaf nodes are the groups'
//! affair: members have to remove them.
//!
//! Anybody may create an account, or whoever has an invitation, or nobody
//! ([`Registration`](conclave_delivery_api::Registration)).
//!
//! # Sessions
//!
//! A device opens a session by a signature of its key ([`OpenSession`](conclave_delivery_api::OpenSession)) and gets a token. Each
//! request is signed with a key that was made for the session ([`Proof`](conclave_delivery_api::Proof)) and has a number that counts once,
//! so neither a stolen token nor an overheard request is worth anything. Sessions last an hour and are kept in memory:
//! after a restart of the service devices open new ones. A session of the recovery key reaches its own account, and
//! nothing else. An event stream that is open outlasts its session, unless the device is revoked or has another key.
//!
//! Devices that are being linked have no session yet: they leave each other sealed messages at places that cannot be
//! guessed ([`PutRelay`](conclave_delivery_api::PutRelay), [`FetchRelay`](conclave_delivery_api::FetchRelay)), for ten minutes.
#![forbid(unsafe_code)]

#[cfg(feature = "server")]
pub mod attachments;
#[cfg(feature = "server")]
pub mod backup;
#[cfg(feature = "server")]
mod files;
#[cfg(any(feature = "server", feature = "client"))]
mod hashing;
#[cfg(feature = "server")]
pub mod http;
#[cfg(feature = "client")]
pub mod http_client;
#[cfg(feature = "server")]
mod meters;
#[cfg(all(feature = "server", feature = "client"))]
pub mod s3;
#[cfg(feature = "server")]
pub mod service;
#[cfg(feature = "server")]
pub mod storage;
#[cfg(test)]
#[cfg(feature = "server")]
mod testing;

#[cfg(feature = "server")]
pub use http::{Config, Observed, Server, serve};
