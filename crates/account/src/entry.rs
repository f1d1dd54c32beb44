//! Entries of an account log, as they are signed, stored and sent.
//!
//! ```text
//! enum { create(1), add_device(2), revoke_device(3), rotate_key(4), replace_recovery(5), (255) } ChangeType;
//! enum { device(1), recovery(2), (255) } AuthorType;
//!
//! struct { opaque name<V>; uint16 scheme; opaque key<V>; opaque proof<V>; } DeviceKey;
//! struct { uint16 scheme; opaque key<V>; opaque proof<V>; } RecoveryKey;
//!
//! struct {
//!     uint8 version = 1;
//!     opaque user<V>;
//!     uint64 sequence;
//!     opaque previous<V>;        // SHA-256 of the entry before; empty in the first
//!     uint64 issued_at;          // seconds since 1970
//!     ChangeType change_type;
//!     select (Entry.change_type) {
//!         case create:           DeviceKey device; optional<RecoveryKey> recovery;
//!         case add_device:       DeviceKey device;
//!         case revoke_device:    opaque name<V>;
//!         case rotate_key:       DeviceKey device;
//!         case replace_recovery: optional<RecoveryKey> recovery;
//!     };
//!     AuthorType author_type;
//!     select (Entry.author_type) {
//!         case device:           opaque name<V>;
//!         case recovery:         struct {};
//!     };
//!     opaque signature<V>;       // SignWithLabel(., "Conclave account entry", the fields above)
//! } Entry;
//! ```
//!
//! A signature is over a `SignContent` (RFC 9420 section 5.1.2), so a device can sign entries with the key of its
//! leaf nodes: no message of MLS has one of these labels.

use crate::error::EntryFault;
use crate::limits::{MAX_ENTRY, MAX_KEY, MAX_SIGNATURE};
use crate::names::Name;
use alloc::vec::Vec;
use conclave_mls::UnixTime;
use conclave_mls::credential::SignaturePublicKey;
use conclave_mls::crypto::{
    CryptoError, CryptoProvider, Hash, SignatureKeyPair, SignatureScheme, Suite,
};
use conclave_mls::wire::Bytes;
use conclave_mls::wire::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer};

const VERSION: u8 = 1;
const ENTRY_LABEL: &[u8] = b"Conclave account entry";
const DEVICE_LABEL: &[u8] = b"Conclave account device key";
const RECOVERY_LABEL: &[u8] = b"Conclave account recovery key";
const HASH_LABEL: &[u8] = b"Conclave account entry hash 1";

/// A device's key, and the device's proof that it has the private key.
///
/// Without the proof, a user could add somebody else's key and pass their devices off as their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceKey {
    /// Which of the user's devices it is.
    pub name: Name,
    /// The key's signature scheme.
    pub scheme: SignatureScheme,
    /// The key, as in the device's leaf nodes.
    pub key: SignaturePublicKey,
    /// `SignWithLabel(key, "Conclave account device key", user, name, scheme, key)`.
    pub proof: Bytes,
}

/// The key that recovers an account, with the proof that its maker has the private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryKey {
    /// The key's signature scheme.
    pub scheme: SignatureScheme,
    /// The key.
    pub key: SignaturePublicKey,
    /// `SignWithLabel(key, "Conclave account recovery key", user, scheme, key)`.
    pub proof: Bytes,
}

/// What an entry changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Creates the account with its first device, which signs the entry.
    Create {
        /// The first device.
        device: DeviceKey,
        /// The recovery key, if the user has one from the beginning.
        recovery: Option<RecoveryKey>,
    },
    /// Adds a device.
    AddDevice(DeviceKey),
    /// Revokes a device. Its key is never accepted again.
    RevokeDevice(Name),
    /// Gives a device another key. Only the device itself or the recovery key can do so.
    RotateKey(DeviceKey),
    /// Replaces the recovery key. If there is one, only that key can do so: whoever holds a stolen device cannot
    /// take from its owner the means to revoke it.
    ReplaceRecovery(Option<RecoveryKey>),
}

/// Who signed an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Author {
    /// A device, active when it signed.
    Device(Name),
    /// The recovery key.
    Recovery,
}

/// An entry of an account log, as it came: nothing of it is checked but its form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose log it belongs to.
    pub user: Name,
    /// Its number, from 0.
    pub sequence: u64,
    /// The hash of the entry before it; none in the first.
    pub previous: Option<[u8; 32]>,
    /// When it was signed, by its author's clock.
    pub issued_at: UnixTime,
    /// What it changes.
    pub change: Change,
    /// Who signed it.
    pub author: Author,
    /// `SignWithLabel(., "Conclave account entry", the fields above)`.
    pub signature: Bytes,
}

fn invalid(field: &'static str, value: u64) -> DecodeError {
    DecodeError::InvalidValue { field, value }
}

/// Reads `opaque<V>` of at most this length.
fn bounded(r: &mut Reader<'_>, field: &'static str, max: usize) -> Result<Vec<u8>, DecodeError> {
    let bytes = r.opaque()?;
    if bytes.len() > max {
        return Err(invalid(field, bytes.len() as u64));
    }
    Ok(bytes.to_vec())
}

pub(crate) fn decode_scheme(r: &mut Reader<'_>) -> Result<SignatureScheme, DecodeError> {
    let code = u16::decode(r)?;
    SignatureScheme::from_code_point(code).ok_or(invalid("SignatureScheme", code.into()))
}

pub(crate) fn decode_key(r: &mut Reader<'_>) -> Result<SignaturePublicKey, DecodeError> {
    bounded(r, "SignaturePublicKey", MAX_KEY).map(Into::into)
}

fn decode_signature(r: &mut Reader<'_>) -> Result<Bytes, DecodeError> {
    bounded(r, "signature", MAX_SIGNATURE).map(Into::into)
}

pub(crate) fn decode_time(r: &mut Reader<'_>) -> Result<UnixTime, DecodeError> {
    let seconds = u64::decode(r)?;
    UnixTime::from_secs(seconds).ok_or(invalid("time", seconds))
}

pub(crate) fn decode_hash(r: &mut Reader<'_>) -> Result<[u8; 32], DecodeError> {
    let bytes = r.opaque()?;
    bytes.try_into().map_err(|_| invalid("hash", bytes.len() as u64))
}

impl Encode for DeviceKey {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.name.encode(w)?;
        self.scheme.code_point().encode(w)?;
        self.key.encode(w)?;
        self.proof.encode(w)
    }
}

impl Decode for DeviceKey {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: Name::decode(r)?,
            scheme: decode_scheme(r)?,
            key: decode_key(r)?,
            proof: decode_signature(r)?,
        })
    }
}

impl Encode for RecoveryKey {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.scheme.code_point().encode(w)?;
        self.key.encode(w)?;
        self.proof.encode(w)
    }
}

impl Decode for RecoveryKey {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { scheme: decode_scheme(r)?, key: decode_key(r)?, proof: decode_signature(r)? })
    }
}

impl Encode for Change {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        match self {
            Self::Create { device, recovery } => {
                1u8.encode(w)?;
                device.encode(w)?;
                recovery.encode(w)
            }
            Self::AddDevice(device) => {
                2u8.encode(w)?;
                device.encode(w)
            }
            Self::RevokeDevice(name) => {
                3u8.encode(w)?;
                name.encode(w)
            }
            Self::RotateKey(device) => {
                4u8.encode(w)?;
                device.encode(w)
            }
            Self::ReplaceRecovery(recovery) => {
                5u8.encode(w)?;
                recovery.encode(w)
            }
        }
    }
}

impl Decode for Change {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::decode(r)? {
            1 => Ok(Self::Create { device: Decode::decode(r)?, recovery: Decode::decode(r)? }),
            2 => Ok(Self::AddDevice(Decode::decode(r)?)),
            3 => Ok(Self::RevokeDevice(Decode::decode(r)?)),
            4 => Ok(Self::RotateKey(Decode::decode(r)?)),
            5 => Ok(Self::ReplaceRecovery(Decode::decode(r)?)),
            other => Err(invalid("ChangeType", other.into())),
        }
    }
}

impl Encode for Author {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        match self {
            Self::Device(name) => {
                1u8.encode(w)?;
                name.encode(w)
            }
            Self::Recovery => 2u8.encode(w),
        }
    }
}

impl Decode for Author {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::decode(r)? {
            1 => Ok(Self::Device(Decode::decode(r)?)),
            2 => Ok(Self::Recovery),
            other => Err(invalid("AuthorType", other.into())),
        }
    }
}

impl Entry {
    fn encode_signed_fields(&self, w: &mut Writer) -> Result<(), EncodeError> {
        VERSION.encode(w)?;
        self.user.encode(w)?;
        self.sequence.encode(w)?;
        w.put_opaque(self.previous.as_ref().map_or(&[], |hash| hash.as_slice()))?;
        self.issued_at.as_secs().encode(w)?;
        self.change.encode(w)?;
        self.author.encode(w)
    }
}

impl Encode for Entry {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.encode_signed_fields(w)?;
        self.signature.encode(w)
    }
}

impl Decode for Entry {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let version = u8::decode(r)?;
        if version != VERSION {
            return Err(invalid("account entry version", version.into()));
        }

        let user = Name::decode(r)?;
        let sequence = u64::decode(r)?;
        // The first entry has no predecessor, and each other one has.
        let previous = match r.opaque()? {
            [] if sequence == 0 => None,
            bytes if sequence == 0 => return Err(invalid("previous", bytes.len() as u64)),
            bytes => Some(bytes.try_into().map_err(|_| invalid("previous", bytes.len() as u64))?),
        };

        Ok(Self {
            user,
            sequence,
            previous,
            issued_at: decode_time(r)?,
            change: Change::decode(r)?,
            author: Author::decode(r)?,
            signature: decode_signature(r)?,
        })
    }
}

impl DeviceKey {
    /// A device's key with its proof, which the device itself makes.
    ///
    /// # Errors
    /// If the provider cannot sign with the key.
    pub fn proved(
        provider: &dyn CryptoProvider,
        user: &Name,
        name: Name,
        scheme: SignatureScheme,
        key_pair: &SignatureKeyPair,
    ) -> Result<Self, CryptoError> {
        let key = key_pair.public.clone();
        let mut device = Self { name, scheme, key, proof: Bytes::default() };
        let content = device.proof_content(user)?;
        device.proof = provider.sign(scheme, key_pair, &content)?.into();
        Ok(device)
    }

    /// Whether the device has shown that it has the private key, for this user.
    ///
    /// # Errors
    /// If it has not, or the provider lacks the scheme.
    pub fn verify(&self, provider: &dyn CryptoProvider, user: &Name) -> Result<(), CryptoError> {
        provider.verify(self.scheme, &self.key, &self.proof_content(user)?, &self.proof)
    }

    fn proof_content(&self, user: &Name) -> Result<Vec<u8>, CryptoError> {
        let mut w = Writer::new();
        user.encode(&mut w)?;
        self.name.encode(&mut w)?;
        self.scheme.code_point().encode(&mut w)?;
        self.key.encode(&mut w)?;
        Suite::sign_content(DEVICE_LABEL, w.written())
    }
}

impl RecoveryKey {
    /// A recovery key with its proof.
    ///
    /// # Errors
    /// If the provider cannot sign with the key.
    pub fn proved(
        provider: &dyn CryptoProvider,
        user: &Name,
        scheme: SignatureScheme,
        key_pair: &SignatureKeyPair,
    ) -> Result<Self, CryptoError> {
        let mut recovery = Self { scheme, key: key_pair.public.clone(), proof: Bytes::default() };
        let content = recovery.proof_content(user)?;
        recovery.proof = provider.sign(scheme, key_pair, &content)?.into();
        Ok(recovery)
    }

    pub(crate) fn verify(
        &self,
        provider: &dyn CryptoProvider,
        user: &Name,
    ) -> Result<(), CryptoError> {
        provider.verify(self.scheme, &self.key, &self.proof_content(user)?, &self.proof)
    }

    fn proof_content(&self, user: &Name) -> Result<Vec<u8>, CryptoError> {
        let mut w = Writer::new();
        user.encode(&mut w)?;
        self.scheme.code_point().encode(&mut w)?;
        self.key.encode(&mut w)?;
        Suite::sign_content(RECOVERY_LABEL, w.written())
    }
}

impl Entry {
    /// An entry from its bytes, all of them.
    ///
    /// # Errors
    /// [`EntryFault::Malformed`], or [`EntryFault::TooLong`] beyond [`MAX_ENTRY`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EntryFault> {
        if bytes.len() > MAX_ENTRY {
            return Err(EntryFault::TooLong);
        }
        <Self as Decode>::from_bytes(bytes).map_err(EntryFault::Malformed)
    }

    /// The hash by which the next entry names this one: SHA-256 over a label and the whole entry.
    ///
    /// # Errors
    /// If the provider has no SHA-256.
    pub fn hash(&self, provider: &dyn CryptoProvider) -> Result<[u8; 32], CryptoError> {
        let mut w = Writer::new();
        w.put_opaque(HASH_LABEL)?;
        self.encode(&mut w)?;
        let digest = provider.hash(Hash::Sha256, &[w.written()])?;
        <[u8; 32]>::try_from(&*digest).map_err(|_| CryptoError::InvalidLength)
    }

    /// The entry with its author's signature. [`Account::draft`](crate::Account::draft) fills in the rest, too.
    ///
    /// # Errors
    /// If the provider cannot sign with the key.
    pub fn signed(
        mut self,
        provider: &dyn CryptoProvider,
        scheme: SignatureScheme,
        key_pair: &SignatureKeyPair,
    ) -> Result<Self, CryptoError> {
        let content = self.signed_content()?;
        self.signature = provider.sign(scheme, key_pair, &content)?.into();
        Ok(self)
    }

    pub(crate) fn verify(
        &self,
        provider: &dyn CryptoProvider,
        scheme: SignatureScheme,
        key: &SignaturePublicKey,
    ) -> Result<(), CryptoError> {
        provider.verify(scheme, key, &self.signed_content()?, &self.signature)
    }

    fn signed_content(&self) -> Result<Vec<u8>, CryptoError> {
        let mut w = Writer::new();
        self.encode_signed_fields(&mut w)?;
        Suite::sign_content(ENTRY_LABEL, w.written())
    }
}
