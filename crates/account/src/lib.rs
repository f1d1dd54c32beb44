//! Whose key is it? A user's *account log*, which only the user's own devices can extend.
//!
//! MLS authenticates every message by a signature key, and leaves the question whose key that is to the
//! application (RFC 9420 section 5.3.1). An account log answers it without trusting the service that stores it:
//!
//! * It begins with a first device, and grows by one [`Entry`] at a time: a device is added, revoked or given
//!   another key, or the recovery key is replaced.
//! * Each entry names the one before it by its hash, and is signed by a device that the log holds as active at that
//!   point, or by the recovery key. Nobody else can add a device: not the service, not a stranger, not a
//!   device that was revoked.
//! * An [`Account`] is what a log says when every entry of it has been checked. [`Account::standing`] says whether a
//!   key is an active device's, and [`Account::verdict`] is the answer to MLS's
//!   [`CredentialRequest`](conclave_mls::credential::CredentialRequest).
//!
//! The log does not show that everybody sees the same log. A service can keep back the newest entries, or keep two
//! logs under one name. A client that remembers [`Account::head`] notices the first; the second takes a directory
//! whose roots members compare.
//!
//! The crate has no I/O, no clock and no randomness; service, client and auditor use the same code.
//!
//! ```
//! use conclave_account::{Account, Author, DeviceKey, Standing};
//! use conclave_mls::{UnixTime, crypto::{CryptoProvider, SignatureScheme}};
//! # use conclave_provider_rustcrypto::RustCrypto;
//! # let mut rng = getrandom::rand_core::UnwrapErr(getrandom::SysRng);
//! # let provider = RustCrypto::new();
//! let now = UnixTime::from_secs(1_800_000_000).unwrap();
//! let scheme = SignatureScheme::Ed25519;
//! let laptop = provider.signature_key_pair(scheme, &mut rng)?;
//! let phone = provider.signature_key_pair(scheme, &mut rng)?;
//!
//! // Alice's laptop creates the account, and adds her phone, which has proved that it has its key.
//! let alice = "alice".parse()?;
//! let key = DeviceKey::proved(&provider, &alice, "laptop".parse()?, scheme, &laptop)?;
//! let create = Account::draft_creation(&provider, &alice, key, &laptop, now)?;
//! let mut account = Account::create(&provider, &create)?;
//! let key = DeviceKey::proved(&provider, &alice, "phone".parse()?, scheme, &phone)?;
//! let author = Author::Device("laptop".parse()?);
//! let add = account.draft(&provider, author, &laptop, conclave_account::Change::AddDevice(key), now)?;
//! account.apply(&provider, &add)?;
//!
//! assert!(matches!(account.standing(&"phone".parse()?, &phone.public), Standing::Active(_)));
//! # Ok::<_, Box<dyn core::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod base32;
mod limits;
mod names;

mod entry;
mod error;
mod link;

mod account;
mod draft;
#[cfg(any(test, feature = "testing"))]
pub mod fuzz;
mod rules;
mod stored;
mod verdict;

pub use account::{Account, AccountId, Device, End, Head, Standing};
pub use base32::{base32, from_base32};
pub use entry::{Author, Change, DeviceKey, Entry, RecoveryKey};
pub use error::{EntryError, EntryFault};
pub use limits::{MAX_DEVICES, MAX_ENTRIES, MAX_ENTRY, MAX_KEY, MAX_SIGNATURE};
pub use link::{LinkCode, LinkError, Offer, Parcel};
pub use names::{DeviceId, Name, NameError};
