//! HPKE's base mode (RFC 9180), composed over a provider's components.
//!
//! `psk_id_hash` and `info_hash` depend on the suite and the info alone. [`SharedInfo`] holds them, so that
//! encrypting to many recipients extracts the info once.

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
        let labeled = Labeled { provider, kdf: suite.kdf, suite_id: SuiteId::hpke(suite) };
        let psk_id_hash = labeled.extract(&[], b"psk_id_hash", &[])?;
        let info_hash = labeled.extract(&[], b"info_hash", info)?;

        let mut context = Vec::with_capacity(1 + psk_id_hash.len() + info_hash.len());
        context.push(MODE_BASE);
        context.extend_from_slice(psk_id_hash.expose());
        context.extend_from_slice(info_hash.expose());
        Ok(Self { context })
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
        info: &'a SharedInfo,
    ) -> Result<Self, CryptoError> {
        let labeled = Labeled { provider, kdf: suite.kdf, suite_id: SuiteId::hpke(suite) };
        let secret = labeled.extract(shared_secret.expose(), b"secret", &[])?;
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

    let context = Context::new(provider, suite, &shared_secret, info)?;
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

    let context = Context::new(provider, suite, &shared_secret, info)?;
    let (key, nonce) = context.key_and_nonce()?;
    provider.aead_open(suite.aead, &key, nonce.expose(), &[], &ciphertext.ciphertext)
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
    let context = Context::new(provider, suite, &shared_secret, &info)?;
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
    Context::new(provider, suite, &shared_secret, &info)?.export(exporter_context, length)
}
