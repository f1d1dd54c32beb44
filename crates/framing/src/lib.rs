//! Message framing (RFC 9420 section 6): how messages are signed, protected and opened.
//!
//! ```text
//!  FramedContent ─sign_content─▶ AuthenticatedContent ─protect_public──▶ PublicMessage
//!                                                     └protect_private─▶ PrivateMessage
//!
//!  PublicMessage ──open_public─────────────────────┐
//!  PrivateMessage ─open_sender_data─▶ open_private─┴▶ UnverifiedContent ─verify─▶ Verified
//! ```
//!
//! Nothing here knows a group: the GroupContext, keys and secrets come in as arguments, and which
//! they are is for the floor above to say. What was opened can be read only once its signature was
//! verified, for there is no other way to a [`Verified`] message.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod content;
mod error;
mod padding;
mod private;
mod public;
mod rules;
mod sign;

pub use content::{
    UnverifiedContent, Verified, VerifiedApplication, VerifiedCommit, VerifiedProposal,
};
pub use error::FramingError;
pub use padding::Padding;
pub use private::{open_private, open_sender_data, protect_private};
pub use public::{open_public, protect_public, protect_public_from_outside};
pub use sign::{sign_content, sign_proposal_from_outside, verify_signature};

#[cfg(test)]
mod testing;
