//! What Conclave's own crypto providers have in common, so that it exists once.
//!
//! * [`ed25519`]: one acceptance rule for single signatures and batches;
//! * [`hash`], [`sha3`]: SHA-2, HMAC, HKDF, SHA-3 and SHAKE over inputs in parts;
//! * [`xdh`]: which public keys and shared secrets of X25519 and X448 are refused;
//! * [`has`]: the components that both providers have;
//! * [`signature_key_pair`]: how a key pair is drawn from randomness.
//!
//! A provider of your own may use any of it, or none.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod ed25519;
pub mod has;
pub mod hash;
mod key_pair;
pub mod sha3;
pub mod xdh;

pub use key_pair::signature_key_pair;
