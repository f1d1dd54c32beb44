//! What a message says, in MIMI's format: draft-ietf-mimi-content-08.
//!
//! MLS delivers octets. What they mean has to be the same for all members of a group, whichever messenger each of them
//! uses; the working group on More Instant Messaging Interoperability (MIMI) defines it. A [`MimiContent`] holds what a
//! message does (it replies, edits, expires) and its body, a [`NestedPart`], which may contain further parts. Messages
//! refer to each other by their [`MessageId`]. A [`MessageStatusReport`] says which messages were delivered or read.
//!
//! * **One encoding.** A message is deterministic CBOR (section 6.1): what decodes encodes to the same bytes, and
//!   anything else is refused, with the octet where it goes wrong.
//! * **Bounds.** [`Limits`] bounds all that a sender can make grow, before anything is kept of it.
//! * **Nothing is lost.** Dispositions, extensions, kinds of parts and fields that the draft does not know are kept as
//!   they came.
//!
//! The crate has no I/O, no clock and no randomness, and works without `std`. Sections in its documentation are the
//! draft's, if nothing else is said.
//!
//! ```
//! use conclave_content::{Disposition, Extensions, Limits, MessageId, MimiContent, NestedPart, Salt};
//!
//! let (alice, room) = ("mimi://example.com/u/alice", "mimi://example.com/r/lunch");
//! let content = MimiContent {
//!     salt: Salt([7; 16]), // random, in a real message
//!     replaces: None,
//!     topic_id: Vec::new(),
//!     expires: None,
//!     in_reply_to: None,
//!     mimi_extensions: Extensions::of(alice, room),
//!     nested_part: NestedPart::single(Disposition::RENDER, "text/plain;charset=utf-8", b"Hungry?"),
//!     later: Vec::new(),
//! };
//!
//! // What is encrypted and sent, and by what other messages refer to it.
//! let bytes = content.encode()?;
//! let id = MessageId::derive(alice, room, &bytes, &content.salt)?;
//!
//! // What the others receive.
//! let received = MimiContent::decode(&bytes, &Limits::default())?;
//! assert_eq!(received, content);
//! assert_eq!(MessageId::derive(alice, room, &bytes, &received.salt)?, id);
//! # Ok::<_, Box<dyn core::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod error;
mod limits;

mod cbor;

mod extensions;
mod external;
mod id;
mod part;

mod content;
mod derived;
mod status;

#[cfg(any(test, feature = "testing"))]
pub mod fuzz;

pub use cbor::Value;
pub use conclave_crypto::Secret;
pub use content::{Expiration, MIMI_CONTENT, MimiContent};
pub use derived::{MessageDerivedValues, Timestamp};
pub use error::{ContentError, Fault};
pub use extensions::{ExtensionKey, Extensions};
pub use external::{Aead, Decryption, ExternalFault, ExternalPart, Fetch, HashAlgorithm};
pub use id::{MessageId, Salt, UriTooLong};
pub use limits::{Limit, Limits, MAX_DEPTH};
pub use part::{Disposition, MultiPart, NestedPart, Part, PartSemantics, SinglePart, UnknownPart};
pub use status::{MIMI_MESSAGE_STATUS, MessageStatus, MessageStatusReport, PerMessageStatus};
