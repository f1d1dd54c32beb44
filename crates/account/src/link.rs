//! Linking a device: how a new device and one of the account's speak through a relay that they do not trust.
//!
//! The new device draws a secret and makes an [`Offer`]: its name and key, with the proof that it has the key. It
//! leaves the offer at the relay, sealed under the secret, and shows a [`LinkCode`]: the secret and a commitment to
//! the offer. Whoever reads the code on one device and types it on the other carries both past the relay. The old
//! device opens the offer, shows what it is about to admit, signs the entry, and leaves the account's log in the
//! same way, so that the new device knows whose account it is in. What the relay holds it can neither read nor
//! replace: where things lie and what they are sealed with follow from the secret.
//!
//! A code has 160 bits: 120 of the secret, and 40 of the commitment, so that somebody who sees the code and runs the
//! relay, too, would have to try 2^40 offers within minutes to put in their own.

use crate::base32::{base32, from_base32};
use crate::entry::DeviceKey;
use crate::names::Name;
use alloc::string::String;
use alloc::vec::Vec;
use conclave_mls::crypto::{Aead, CryptoError, CryptoProvider, CryptoRng, Hash, Kdf, Secret};
use conclave_mls::wire::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer};
use core::fmt::{self, Write};
use core::str::FromStr;

const SECRET: usize = 15;
const COMMITMENT: usize = 5;
const CODE: usize = SECRET + COMMITMENT;
const NONCE: usize = 12;
const SALT: &[u8] = b"Conclave link 1";

/// What a new device offers to the account that it is to be in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Whose account.
    pub user: Name,
    /// The device.
    pub device: DeviceKey,
}

impl Encode for Offer {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.user.encode(w)?;
        self.device.encode(w)
    }
}

impl Decode for Offer {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { user: Decode::decode(r)?, device: Decode::decode(r)? })
    }
}

/// What lies at the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parcel {
    /// The [`Offer`].
    Offer,
    /// The account's log with the new device in it, as entries.
    Log,
    /// The new device's word that others can invite it now.
    Ready,
}

impl Parcel {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Offer => b"offer",
            Self::Log => b"log",
            Self::Ready => b"ready",
        }
    }
}

/// A code that links a device, as people read and type it. A secret until it is used.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkCode([u8; CODE]);

impl fmt::Debug for LinkCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkCode(..)")
    }
}

/// Why something is no code, or does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkError {
    /// A code has 32 letters and digits.
    NoCode,
    /// What lies at the relay is not what the code speaks of: somebody has changed it, or the code is mistyped.
    Mismatch,
    /// The provider failed.
    Crypto,
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCode => "a code has 32 letters and digits",
            Self::Mismatch => {
                "what lies at the service is not what the code speaks of: the code is mistyped, or the \
                 service has changed what it was given"
            }
            Self::Crypto => "the code cannot be checked",
        })
    }
}

impl core::error::Error for LinkError {}

impl LinkCode {
    /// How many bytes a code has.
    pub const BYTES: usize = CODE;

    /// A new code for an offer.
    ///
    /// # Errors
    /// If the provider has no SHA-256.
    pub fn new(
        provider: &dyn CryptoProvider,
        rng: &mut dyn CryptoRng,
        offer: &Offer,
    ) -> Result<Self, CryptoError> {
        let mut code = [0; CODE];
        let (secret, commitment) = code.split_at_mut(SECRET);
        rng.fill_bytes(secret);
        let hash = provider.hash(Hash::Sha256, &[SALT, &offer.to_bytes()?])?;
        commitment.copy_from_slice(hash.get(..COMMITMENT).unwrap_or(&[0; COMMITMENT]));
        Ok(Self(code))
    }

    /// The offer that was sealed with this code.
    ///
    /// # Errors
    /// [`LinkError::Mismatch`] if it is another one.
    pub fn open_offer(
        &self,
        provider: &dyn CryptoProvider,
        sealed: &[u8],
    ) -> Result<Offer, LinkError> {
        let bytes = self.open(provider, Parcel::Offer, sealed)?;
        let hash = provider.hash(Hash::Sha256, &[SALT, &bytes]).map_err(|_| LinkError::Crypto)?;
        let (_, commitment) = self.0.split_at(SECRET);
        if hash.get(..COMMITMENT) != Some(commitment) {
            return Err(LinkError::Mismatch);
        }
        Offer::from_bytes(&bytes).map_err(|_| LinkError::Mismatch)
    }

    /// Where a parcel lies at the relay.
    ///
    /// # Errors
    /// If the provider has no HKDF-SHA256.
    pub fn slot(
        &self,
        provider: &dyn CryptoProvider,
        parcel: Parcel,
    ) -> Result<Vec<u8>, CryptoError> {
        Ok(self.derive(provider, b"slot ", parcel, 16)?.expose().to_vec())
    }

    /// Seals a parcel.
    ///
    /// # Errors
    /// If the provider has no AES-256-GCM.
    pub fn seal(
        &self,
        provider: &dyn CryptoProvider,
        rng: &mut dyn CryptoRng,
        parcel: Parcel,
        content: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let key = self.derive(provider, b"key ", parcel, 32)?;
        let mut sealed = [0; NONCE].to_vec();
        rng.fill_bytes(&mut sealed);
        let ciphertext = provider.aead_seal(Aead::Aes256Gcm, &key, &sealed, SALT, content)?;
        sealed.extend(ciphertext);
        Ok(sealed)
    }

    /// Opens a parcel.
    ///
    /// # Errors
    /// [`LinkError::Mismatch`] if it was not sealed with this code, for this purpose.
    pub fn open(
        &self,
        provider: &dyn CryptoProvider,
        parcel: Parcel,
        sealed: &[u8],
    ) -> Result<Vec<u8>, LinkError> {
        let key = self.derive(provider, b"key ", parcel, 32).map_err(|_| LinkError::Crypto)?;
        let (nonce, ciphertext) = sealed.split_at_checked(NONCE).ok_or(LinkError::Mismatch)?;
        let opened = provider.aead_open(Aead::Aes256Gcm, &key, nonce, SALT, ciphertext);
        let opened = opened.map_err(|_| LinkError::Mismatch)?;
        Ok(opened.expose().to_vec())
    }

    fn derive(
        &self,
        provider: &dyn CryptoProvider,
        what: &[u8],
        parcel: Parcel,
        length: usize,
    ) -> Result<Secret, CryptoError> {
        let (secret, _) = self.0.split_at(SECRET);
        let secret = provider.extract(Kdf::HkdfSha256, SALT, &[secret])?;
        provider.expand(Kdf::HkdfSha256, &secret, &[what, parcel.label()], length)
    }
}

/// Eight groups of four.
impl fmt::Display for LinkCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, digit) in base32(&self.0).chars().enumerate() {
            if n > 0 && n % 4 == 0 {
                f.write_str("-")?;
            }
            f.write_char(digit)?;
        }
        Ok(())
    }
}

/// Reads a code whatever its case, with or without hyphens and spaces. `o` counts as `0`, `i` and `l` as `1`.
impl FromStr for LinkCode {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        let letters = text.chars().filter(|c| !matches!(c, '-' | ' '));
        let digit = |letter: char| match letter.to_ascii_lowercase() {
            'o' => '0',
            'i' | 'l' => '1',
            other => other,
        };
        let letters: String = letters.map(digit).collect();
        let code = Secret::new(from_base32(&letters).ok_or(LinkError::NoCode)?);
        let code = code.expose().try_into().map_err(|_| LinkError::NoCode)?;
        Ok(Self(code))
    }
}
