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
//! * **Making.** A [`Draft`] is a text, a reply, a reaction, an edit, a deletion, an attachment, a receipt or a profile. It
//!   refuses a message that peers could not decode, and an attachment that they would not fetch.
//! * **Meaning.** [`interpret`] says what a message is to a client: one of the [`Meaning`]s, each of which a client
//!   has to handle. The draft's rules are behind it: who may edit what, which parts of a body are shown, when a
//!   message expires, and which references form a loop.
//! * **Showing.** What others write is theirs: [`safe`] makes text, lines and file names fit to show and to store, and
//!   [`markdown`] finds links and mentions, and links that lie. [`mention`] makes mentions of what people type.
//!
//! The crate has no I/O, no clock and no randomness, and works without `std`. It encrypts nothing: an [`ExternalPart`]
//! carries what a caller's AEAD needs. Sections in its documentation are the draft's, if nothing else is said.
//!
//! ```
//! use conclave_content::{Arrival, Draft, Limits, Meaning, MessageId, MimiContent, Salt, interpret, text_rank};
//!
//! let (alice, room) = ("mimi://example.com/u/alice", "mimi://example.com/r/lunch");
//! let salt = Salt([7; 16]); // random, in a real message
//! let sent = Draft::markdown("*Hungry?*").finish(salt, alice, room)?;
//!
//! // `sent.bytes` is encrypted and sent; by `sent.id`, other messages refer to it. Bob receives the bytes, and knows
//! // by MLS who sent them.
//! let content = MimiContent::decode(&sent.bytes, &Limits::default())?;
//! let id = MessageId::derive(alice, room, &sent.bytes, &content.salt)?;
//! let arrival = Arrival { id, sender: alice, room, accepted_at: 1_800_000_000 };
//!
//! // `()` is the history of somebody who knows no earlier message, `text_rank` a client that shows text.
//! match interpret(&content, &arrival, &(), &text_rank) {
//!     Meaning::Text(body) => assert_eq!(body.leaves[0].text(), Some("*Hungry?*")),
//!     other => panic!("{other:?}"),
//! }
//! # Ok::<_, Box<dyn core::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod error;
mod limits;
mod media;

mod cbor;

mod extensions;
mod external;
mod id;
mod part;

mod content;
mod derived;
mod status;

pub mod markdown;
pub mod mention;
pub mod safe;

mod profile;

mod choose;
mod compose;
mod expiry;
mod history;
mod meaning;

#[cfg(any(test, feature = "testing"))]
pub mod fuzz;

pub use cbor::Value;
pub use choose::{Chosen, Leaf, Rank, choose, text_rank};
pub use compose::{ComposeError, Draft, Outgoing};
pub use conclave_crypto::Secret;
pub use content::{Expiration, MIMI_CONTENT, MimiContent};
pub use derived::{MessageDerivedValues, Timestamp};
pub use error::{ContentError, Fault};
pub use expiry::{ExpiryPolicy, Lifetime};
pub use extensions::{ExtensionKey, Extensions};
pub use external::{Aead, Decryption, ExternalFault, ExternalPart, Fetch, HashAlgorithm};
pub use history::{History, KnownMessage, Replacing};
pub use id::{MessageId, Salt, UriTooLong};
pub use limits::{Limit, Limits, MAX_DEPTH};
pub use meaning::{
    Arrival, Ignored, MAX_REACTION, Meaning, Reference, ReferenceState, Unknown, interpret,
};
pub use media::{GFM_MIMI, TEXT_PLAIN, essence, is_media_type};
pub use part::{Disposition, MultiPart, NestedPart, Part, PartSemantics, SinglePart, UnknownPart};
pub use profile::{MAX_PICTURE, Picture, PictureFormat, Profile, ProfileFault};
pub use status::{MIMI_MESSAGE_STATUS, MessageStatus, MessageStatusReport, PerMessageStatus};
