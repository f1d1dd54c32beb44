//! Why an entry is refused.

use crate::limits::{MAX_DEVICES, MAX_ENTRIES, MAX_ENTRY};
use crate::names::Name;
use conclave_mls::crypto::CryptoError;
use conclave_mls::wire::codec::{DecodeError, EncodeError};
use core::fmt;

/// A refused entry: which it is, and why. The account is as before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryError {
    /// The entry's number, as it says itself.
    pub sequence: u64,
    /// What is wrong with it.
    pub fault: EntryFault,
}

/// What is wrong with an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntryFault {
    /// The bytes are no entry.
    Malformed(DecodeError),
    /// It is longer than [`MAX_ENTRY`].
    TooLong,
    /// It belongs to another user's log.
    OtherUser(Name),
    /// It is not the next entry: this one is.
    OutOfOrder {
        /// The number of the next entry.
        expected: u64,
    },
    /// It follows another entry than the log's last: the log has forked.
    OtherHistory,
    /// It was signed before the entry that it follows.
    BeforePrevious,
    /// A first entry that creates nothing, or a later one that creates.
    MisplacedCreation,
    /// Its author is no active device of the account.
    AuthorNotActive(Name),
    /// It is signed by a recovery key, and the account has none.
    NoRecoveryKey,
    /// Its author's signature does not verify.
    BadSignature,
    /// A device or a recovery key has not shown that it has the private key.
    BadProof,
    /// The account has or had this key already.
    KeyUsedBefore,
    /// An active device has this name.
    NameInUse(Name),
    /// No active device has this name.
    NoSuchDevice(Name),
    /// Only the device itself or the recovery key gives a device another key.
    NotItsOwnKey(Name),
    /// Only the recovery key replaces the recovery key.
    RecoveryKeyRequired,
    /// It would leave the account without any key that can sign.
    LastKey,
    /// The account would have more devices than [`MAX_DEVICES`].
    TooManyDevices,
    /// The log would have more entries than [`MAX_ENTRIES`].
    TooManyEntries,
    /// The provider cannot do what the check takes, for example because it lacks the signature scheme.
    Crypto(CryptoError),
}

impl From<EncodeError> for EntryFault {
    fn from(e: EncodeError) -> Self {
        Self::Crypto(e.into())
    }
}

impl From<CryptoError> for EntryFault {
    fn from(e: CryptoError) -> Self {
        Self::Crypto(e)
    }
}

impl fmt::Display for EntryFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(e) => write!(f, "it is malformed: {e}"),
            Self::TooLong => write!(f, "it is longer than {} bytes", MAX_ENTRY),
            Self::OtherUser(user) => write!(f, "it belongs to the account of {user}"),
            Self::OutOfOrder { expected } => write!(f, "the next entry is number {expected}"),
            Self::OtherHistory => {
                f.write_str("it follows another entry than the last one here: there are two logs")
            }
            Self::BeforePrevious => f.write_str("it was signed before the entry that it follows"),
            Self::MisplacedCreation => {
                f.write_str("a log begins with the account's creation, and has no other")
            }
            Self::AuthorNotActive(name) => {
                write!(f, "its author {name} is no active device of the account")
            }
            Self::NoRecoveryKey => f.write_str("the account has no recovery key"),
            Self::BadSignature => f.write_str("its author's signature does not verify"),
            Self::BadProof => f.write_str("there is no proof that the new key's owner has it"),
            Self::KeyUsedBefore => f.write_str("the account has or had this key already"),
            Self::NameInUse(name) => write!(f, "there is an active device {name}"),
            Self::NoSuchDevice(name) => write!(f, "there is no active device {name}"),
            Self::NotItsOwnKey(name) => {
                write!(f, "only {name} itself or the recovery key can change that device's key")
            }
            Self::RecoveryKeyRequired => {
                f.write_str("only the recovery key can replace the recovery key")
            }
            Self::LastKey => f.write_str("it would leave nobody who can sign for the account"),
            Self::TooManyDevices => {
                write!(f, "an account has at most {} devices", MAX_DEVICES)
            }
            Self::TooManyEntries => {
                write!(f, "an account's log has at most {} entries", MAX_ENTRIES)
            }
            Self::Crypto(e) => write!(f, "it cannot be checked: {e}"),
        }
    }
}

impl core::error::Error for EntryFault {}

impl fmt::Display for EntryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry {} of the account is refused: {}", self.sequence, self.fault)
    }
}

impl core::error::Error for EntryError {}
