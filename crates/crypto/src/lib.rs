//! Cipher suites as data, the trait that a crypto provider implements, and the labelled operations of
//! RFC 9420 section 5 composed over it.
//!
//! * [`CryptoProvider`]: the primitives (hash, KDF, AEAD, Diffie-Hellman group, ML-KEM, signature), each
//!   by its code point, and batch operations that a provider may spread over cores;
//! * [`SuiteParams`]: the components that a cipher suite names (section 17.1);
//! * [`Suites`]: the table of known suites, with the post-quantum ones at code points that the
//!   application chooses;
//! * [`kem`] and [`hpke`]: HPKE's KEMs and RFC 9180's base and PSK modes, composed over a provider;
//! * [`Suite`]: a provider and a cipher suite together, with all labelled operations;
//! * [`Secret`] and the key types: wiped on drop, compared in constant time, never printed.
//!
//! This crate has no primitive of its own and no source of randomness: both are passed in. A provider of
//! your own is tested by `conclave-provider-test`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod components;
mod digest;
mod error;
pub mod hpke;
pub mod kem;
mod keys;
mod labeled;
mod low_order;
mod provider;
mod secret;
mod suite;
mod suite_params;
mod suites;
#[cfg(feature = "testing")]
pub mod testing;

pub use components::{Aead, DhGroup, Hash, HybridKem, Kdf, Kem, KemParts, MlKem, SignatureScheme};
pub use digest::{Digest, MAX_DIGEST_LEN};
pub use error::CryptoError;
pub use keys::{HpkeKeyPair, HpkePrivateKey, SignatureKeyPair};
pub use low_order::has_low_order;
pub use provider::{CryptoProvider, Derive, Seal, SealItem, VerifyItem};
pub use rand_core::CryptoRng;
pub use secret::Secret;
pub use suite::Suite;
pub use suite_params::SuiteParams;
pub use suites::{CodePointTaken, PqSuite, Suites};
