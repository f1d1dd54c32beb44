//! Message framing (RFC 9420 section 6): how messages are signed, protected and opened.
//!
//! ```text
//!  FramedContent ─sign_content─▶ AuthenticatedContent ─protect_public──▶ PublicMessage
//!                                                     └protect_private─▶ PrivateMessage
//!
//!  PublicMessage ──open_public─────────────────────┐
//!  PrivateMessage ─open_sender_data─▶ open_private─┴▶ UnverifiedContent ─verify─▶ Verified
//!
//!  TargetedContent ─protect_targeted─▶ TargetedMessage
//!  TargetedMessage ─open_targeted_sender─▶ UnverifiedTargeted ─verify─▶ VerifiedTargeted ─open─▶ data
//! ```
//!
//! Nothing here knows a group: the floor above passes in the GroupContext, keys and secrets. An
//! opened message can be read only after its signature was verified, because there is no other way
//! to a [`Verified`] message.
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
mod targeted;

pub use content::{
    UnverifiedContent, Verified, VerifiedApplication, VerifiedCommit, VerifiedProposal,
};
pub use error::FramingError;
pub use padding::Padding;
pub use private::{open_private, open_sender_data, protect_private};
pub use public::{open_public, protect_public, protect_public_from_outside};
pub use sign::{sign_content, sign_proposal_from_outside, verify_signature};
pub use targeted::{
    TargetedContent, TargetedSecrets, UnverifiedTargeted, VerifiedTargeted, open_targeted_sender,
    protect_targeted,
};

#[cfg(test)]
mod testing;
