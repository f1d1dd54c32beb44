//! The key schedule (RFC 9420 section 8) and the secret tree (section 9).
//!
//! ```text
//!  init_secret, commit_secret ─▶ JoinerSecret ─▶ MemberSecret ─▶ EpochSecrets
//!                                    ▲                ▲              │
//!                              (in a Welcome)     psk_secret         ├─▶ SecretTree ─▶ MessageKey
//!                                                                    └─▶ tags, exporter, next init
//! ```
//!
//! Each secret is a type of its own, so none can be mistaken for another. A step consumes the
//! secrets that only it may use. All functions compute from their arguments and change nothing: the
//! secret tree yields [`SecretTreeDelta`]s, which its owner stores and then swaps in.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod epoch;
mod exporter_tree;
mod external;
mod node_secrets;
mod psk;
mod secret_tree;
mod secrets;
mod sender_data;
mod transcript;

pub use epoch::{EpochSecrets, MemberSecret, export};
pub use exporter_tree::{ExporterError, ExporterTree, ExporterTreeDelta};
pub use external::{external_init_from, external_init_to, external_key_pair};
pub use psk::psk_secret;
pub use secret_tree::{
    MessageKey, RatchetError, RatchetKind, RatchetLimits, SecretTree, SecretTreeDelta,
    SecretTreeRow,
};
pub use secrets::{
    ApplicationExportSecret, CommitSecret, ConfirmationKey, EncryptionSecret, EpochAuthenticator,
    ExporterSecret, ExternalSecret, InitSecret, JoinerSecret, MembershipKey, PskSecret,
    ResumptionPsk, SenderDataSecret, WelcomeSecret,
};
pub use sender_data::sender_data_key_nonce;
pub use transcript::{
    confirmation_tag, confirmation_tag_matches, confirmed_transcript_hash, interim_transcript_hash,
};

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
