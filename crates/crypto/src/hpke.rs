//! HPKE's base and PSK modes (RFC 9180), composed over a provider's components.
//!
//! `psk_id_hash` and `info_hash` depend on the suite, the info and a PSK's identifier alone. [`SharedInfo`]
//! holds them, so that encrypting to many recipients in the base mode extracts the info once.

use crate::labeled::{Labeled, SuiteId};
use crate::{CryptoError, CryptoProvider, HpkeKeyPair, SealItem, Secret, SuiteParams, kem};
use alloc::vec::Vec;
use conclave_wire::{HpkeCiphertext, HpkePublicKey};

/// The part of HPKE's key schedule that depends on the info alone.
#[derive(Clone, Debug)]
pub struct SharedInfo {
    /// `key_schedule_context`: mode, psk_id_hash, info_hash.
    context: Vec<u8>,
}

impl SharedInfo {
    /// Extracts an info for a suite.
    ///
    /// # Errors
    /// If the provider lacks the KDF.
    pub fn new(
        provider: &dyn CryptoProvider,
        suite: &SuiteParams,
        info: &[u8],
    ) -> Result<Self, CryptoError> {
        const MODE_BASE: u8 = 0;
        Self::of_mode(provider, suite, MODE_BASE, &[], info)
    }

    fn of_mode(
        provider: &dyn CryptoProvider,
        suite: &SuiteParams,
        mode: u8,
        psk_id: &[u8],
        info: &[u8],
    ) -> Result<Self, CryptoError> {
        let labeled = Labeled { provider, kdf: suite.kdf, suite_id: SuiteId::hpke(suite) };
        let psk_id_hash = labeled.extract(&[], b"psk_id_hash", psk_id)?;
        let info_hash = labeled.extract(&[], b"info_hash", info)?;

        let mut context = Vec::with_capacity(1 + psk_id_hash.len() + info_hash.len());
        context.push(mode);
        context.extend_from_slice(psk_id_hash.expose());
        context.extend_from_slice(info_hash.expose());
        Ok(Self { context })
    }
}

/// A pre-shared key for the PSK mode, and the name by which both sides know it. Neither may be empty.
///
/// The key must have at least 32 bytes of entropy (RFC 9180 section 5.1.2).
#[derive(Clone, Copy, Debug)]
pub struct Psk<'a> {
    /// The key.
    pub psk: &'a Secret,
    /// Its name.
    pub id: &'a [u8],
}

impl Psk<'_> {
    /// `VerifyPSKInputs` (RFC 9180 section 5.1), then the part of the key schedule that depends on the name
    /// and the info.
    fn shared_info(
        &self,
        provider: &dyn CryptoProvider,
        suite: &SuiteParams,
        info: &[u8],
    ) -> Result<SharedInfo, CryptoError> {
        const MODE_PSK: u8 = 1;
        if self.psk.is_empty() || self.id.is_empty() {
            return Err(CryptoError::InvalidLength);
        }
        SharedInfo::of_mode(provider, suite, MODE_PSK, self.id, info)
    }
}

/// An HPKE context after set-up (RFC 9180 section 5.1), for one message or one export.
struct Context<'a> {
    labeled: Labeled<'a>,
    suite: &'a SuiteParams,
    secret: Secret,
    info: &'a SharedInfo,
}

impl<'a> Context<'a> {
    fn new(
        provider: &'a dyn CryptoProvider,
        suite: &'a SuiteParams,
        shared_secret: &Secret,
        psk: &[u8],
        info: &'a SharedInfo,
    ) -> Result<Self, CryptoError> {
        let labeled = Labeled { provider, kdf: suite.kdf, suite_id: SuiteId::hpke(suite) };
        let secret = labeled.extract(shared_secret.expose(), b"secret", psk)?;
        Ok(Self { labeled, suite, secret, info })
    }

    fn key_and_nonce(&self) -> Result<(Secret, Secret), CryptoError> {
        let context: &[&[u8]] = &[&self.info.context];
        let key = self.labeled.expand(&self.secret, b"key", context, self.suite.aead.key_len())?;
        let nonce = self.labeled.expand(
            &self.secret,
            b"base_nonce",
            context,
            self.suite.aead.nonce_len(),
        )?;
        Ok((key, nonce))
    }

    fn export(&self, exporter_context: &[u8], length: usize) -> Result<Secret, CryptoError> {
        let n = self.suite.kdf.extract_len();
        let exporter = self.labeled.expand(&self.secret, b"exp", &[&self.info.context], n)?;
        self.labeled.expand(&exporter, b"sec", &[exporter_context], length)
    }
}

/// `SealBase` with an empty AAD (RFC 9180 section 6.1).
///
/// # Errors
/// If the recipient's key is invalid, or the provider lacks a component of the suite.
pub fn seal(
    provider: &dyn CryptoProvider,
    suite: &SuiteParams,
    info: &SharedInfo,
    item: &SealItem<'_>,
) -> Result<HpkeCiphertext, CryptoError> {
    let (kem_output, shared_secret) = kem::encap(provider, suite.kem, item.public_key, item.seed)?;

    let context = Context::new(provider, suite, &shared_secret, &[], info)?;
    let (key, nonce) = context.key_and_nonce()?;
    let ciphertext = provider.aead_seal(suite.aead, &key, nonce.expose(), &[], item.plaintext)?;
    Ok(HpkeCiphertext { kem_output: kem_output.into(), ciphertext: ciphertext.into() })
}

/// [`seal`] for many recipients, in their order, with the same info.
///
/// # Errors
/// The error of the first recipient that fails.
pub fn seal_many(
    provider: &dyn CryptoProvider,
    suite: &SuiteParams,
    info: &SharedInfo,
    items: &[SealItem<'_>],
) -> Result<Vec<HpkeCiphertext>, CryptoError> {
    provider.seal_many(suite.kem, items, &|item| seal(provider, suite, info, item))
}

/// `OpenBase` with an empty AAD (RFC 9180 section 6.1).
///
/// # Errors
/// If the ciphertext does not open, or the provider lacks a component of the suite.
pub fn open(
    provider: &dyn CryptoProvider,
    suite: &SuiteParams,
    info: &SharedInfo,
    key_pair: &HpkeKeyPair,
    ciphertext: &HpkeCiphertext,
) -> Result<Secret, CryptoError> {
    let shared_secret = kem::decap(provider, suite.kem, key_pair, &ciphertext.kem_output)?;

    let context = Context::new(provider, suite, &shared_secret, &[], info)?;
    let (key, nonce) = context.key_and_nonce()?;
    provider.aead_open(suite.aead, &key, nonce.expose(), &[], &ciphertext.ciphertext)
}

/// `SealPSK` (RFC 9180 sections 5.1.2 and 6.1).
///
/// # Errors
/// [`CryptoError::InvalidLength`] if the PSK or its name is empty; or if the recipient's key is invalid, or
/// the provider lacks a component of the suite.
pub fn seal_psk(
    provider: &dyn CryptoProvider,
    suite: &SuiteParams,
    psk: &Psk<'_>,
    info: &[u8],
    aad: &[u8],
    item: &SealItem<'_>,
) -> Result<HpkeCiphertext, CryptoError> {
    let info = psk.shared_info(provider, suite, info)?;
    let (kem_output, shared_secret) = kem::encap(provider, suite.kem, item.public_key, item.seed)?;

    let context = Context::new(provider, suite, &shared_secret, psk.psk.expose(), &info)?;
    let (key, nonce) = context.key_and_nonce()?;
    let ciphertext = provider.aead_seal(suite.aead, &key, nonce.expose(), aad, item.plaintext)?;
    Ok(HpkeCiphertext { kem_output: kem_output.into(), ciphertext: ciphertext.into() })
}

/// `OpenPSK` (RFC 9180 sections 5.1.2 and 6.1), with the parts of an [`HpkeCiphertext`] apart.
///
/// # Errors
/// [`CryptoError::InvalidLength`] if the PSK or its name is empty; or if the ciphertext does not open, or the
/// provider lacks a component of the suite.
#[allow(clippy::too_many_arguments)] // RFC 9180's own
pub fn open_psk(
    provider: &dyn CryptoProvider,
    suite: &SuiteParams,
    psk: &Psk<'_>,
    info: &[u8],
    aad: &[u8],
    key_pair: &HpkeKeyPair,
    kem_output: &[u8],
    ciphertext: &[u8],
) -> Result<Secret, CryptoError> {
    let info = psk.shared_info(provider, suite, info)?;
    let shared_secret = kem::decap(provider, suite.kem, key_pair, kem_output)?;

    let context = Context::new(provider, suite, &shared_secret, psk.psk.expose(), &info)?;
    let (key, nonce) = context.key_and_nonce()?;
    provider.aead_open(suite.aead, &key, nonce.expose(), aad, ciphertext)
}

/// `SetupBaseS` with an empty info, then `Export`: `(kem_output, exported)`.
///
/// # Errors
/// If the recipient's key is invalid, or the provider lacks a component of the suite.
pub fn export_to(
    provider: &dyn CryptoProvider,
    suite: &SuiteParams,
    public: &HpkePublicKey,
    seed: &Secret,
    exporter_context: &[u8],
    length: usize,
) -> Result<(Vec<u8>, Secret), CryptoError> {
    let info = SharedInfo::new(provider, suite, &[])?;
    let (kem_output, shared_secret) = kem::encap(provider, suite.kem, public, seed)?;
    let context = Context::new(provider, suite, &shared_secret, &[], &info)?;
    Ok((kem_output, context.export(exporter_context, length)?))
}

/// `SetupBaseR` with an empty info, then `Export`.
///
/// # Errors
/// If the encapsulation is invalid, or the provider lacks a component of the suite.
pub fn export_from(
    provider: &dyn CryptoProvider,
    suite: &SuiteParams,
    key_pair: &HpkeKeyPair,
    kem_output: &[u8],
    exporter_context: &[u8],
    length: usize,
) -> Result<Secret, CryptoError> {
    let info = SharedInfo::new(provider, suite, &[])?;
    let shared_secret = kem::decap(provider, suite.kem, key_pair, kem_output)?;
    Context::new(provider, suite, &shared_secret, &[], &info)?.export(exporter_context, length)
}
