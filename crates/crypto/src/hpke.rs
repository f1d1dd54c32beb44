//! HPKE's base mode (RFC 9180), composed over a provider's components.
//!
//! `psk_id_hash` and `info_hash` depend on the suite and the info alone; [`SharedInfo`] holds them,
//! so that encrypting to many recipients extracts the info once.

use crate::{
    CryptoError, CryptoProvider, HpkeKeyPair, HpkePrivateKey, Kem, SealItem, Secret, SuiteParams,
};
use alloc::vec::Vec;
use conclave_wire::{HpkeCiphertext, HpkePublicKey};

const VERSION: &[u8] = b"HPKE-v1";

/// RFC 9180's `suite_id` of a KEM or of a whole suite.
struct SuiteId {
    bytes: [u8; 10],
    len: usize,
}

impl SuiteId {
    fn kem(kem: Kem) -> Self {
        let [a, b] = kem.code_point().to_be_bytes();
        Self { bytes: [b'K', b'E', b'M', a, b, 0, 0, 0, 0, 0], len: 5 }
    }

    fn hpke(suite: &SuiteParams) -> Self {
        let [a, b] = suite.kem.code_point().to_be_bytes();
        let [c, d] = suite.kdf.code_point().to_be_bytes();
        let [e, f] = suite.aead.code_point().to_be_bytes();
        Self { bytes: [b'H', b'P', b'K', b'E', a, b, c, d, e, f], len: 10 }
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// The provider, KDF and suite identifier of labelled derivations (RFC 9180 section 4).
struct Labeled<'a> {
    provider: &'a dyn CryptoProvider,
    kdf: crate::Kdf,
    suite_id: SuiteId,
}

impl Labeled<'_> {
    fn extract(&self, salt: &[u8], label: &[u8], ikm: &[u8]) -> Result<Secret, CryptoError> {
        self.provider.extract(self.kdf, salt, &[VERSION, self.suite_id.as_slice(), label, ikm])
    }

    fn expand(
        &self,
        prk: &Secret,
        label: &[u8],
        info: &[&[u8]],
        length: usize,
    ) -> Result<Secret, CryptoError> {
        let n = u16::try_from(length).map_err(|_| CryptoError::InvalidLength)?.to_be_bytes();
        let mut parts: Vec<&[u8]> = Vec::with_capacity(info.len() + 4);
        parts.extend([n.as_slice(), VERSION, self.suite_id.as_slice(), label]);
        parts.extend_from_slice(info);
        self.provider.expand(self.kdf, prk, &parts, length)
    }
}

/// The private key that DHKEM's `DeriveKeyPair` (RFC 9180 section 7.1.3) makes of `ikm`, and what
/// `set_up` makes of it: a candidate that `set_up` calls an invalid private key is passed over.
fn dhkem_derive_key<T>(
    provider: &dyn CryptoProvider,
    kem: Kem,
    ikm: &Secret,
    set_up: impl Fn(&Secret) -> Result<T, CryptoError>,
) -> Result<(Secret, T), CryptoError> {
    use crate::DhGroup;
    let group = kem.dh_group();
    let labeled = Labeled { provider, kdf: kem.kdf(), suite_id: SuiteId::kem(kem) };
    let dkp_prk = labeled.extract(&[], b"dkp_prk", ikm.expose())?;
    let n = group.private_key_len();
    let mask = match group {
        DhGroup::X25519 | DhGroup::X448 => {
            let private = labeled.expand(&dkp_prk, b"sk", &[], n)?;
            let made = set_up(&private)?;
            return Ok((private, made));
        }
        DhGroup::P256 | DhGroup::P384 => 0xff,
        DhGroup::P521 => 0x01,
    };
    for counter in 0..=u8::MAX {
        let mut private = labeled.expand(&dkp_prk, b"candidate", &[&[counter]], n)?;
        if let Some(first) = private.expose_mut().first_mut() {
            *first &= mask;
        }
        match set_up(&private) {
            Ok(made) => return Ok((private, made)),
            Err(CryptoError::InvalidPrivateKey) => {}
            Err(other) => return Err(other),
        }
    }
    Err(CryptoError::KeyDerivationFailed)
}

/// DHKEM's `DeriveKeyPair` (RFC 9180 section 7.1.3).
///
/// # Errors
/// If the provider does not have the KEM.
pub fn dhkem_derive_key_pair(
    provider: &dyn CryptoProvider,
    kem: Kem,
    ikm: &Secret,
) -> Result<HpkeKeyPair, CryptoError> {
    let set_up = |private: &Secret| provider.dh_public_key(kem.dh_group(), private);
    let (private, public) = dhkem_derive_key(provider, kem, ikm, set_up)?;
    Ok(HpkeKeyPair { private: HpkePrivateKey(private), public: public.into() })
}

fn dhkem_shared_secret(
    provider: &dyn CryptoProvider,
    kem: Kem,
    dh: &Secret,
    kem_output: &[u8],
    public: &[u8],
) -> Result<Secret, CryptoError> {
    let labeled = Labeled { provider, kdf: kem.kdf(), suite_id: SuiteId::kem(kem) };
    let eae_prk = labeled.extract(&[], b"eae_prk", dh.expose())?;
    labeled.expand(&eae_prk, b"shared_secret", &[kem_output, public], kem.secret_len())
}

/// DHKEM's `Encap` (RFC 9180 section 4.1) with the ephemeral key pair derived from `seed`.
///
/// # Errors
/// If the provider does not have the KEM, or the key is invalid.
pub fn dhkem_encap(
    provider: &dyn CryptoProvider,
    kem: Kem,
    public: &HpkePublicKey,
    seed: &Secret,
) -> Result<(Vec<u8>, Secret), CryptoError> {
    let set_up = |private: &Secret| provider.dh_both(kem.dh_group(), private, public);
    let (_, (kem_output, dh)) = dhkem_derive_key(provider, kem, seed, set_up)?;
    let secret = dhkem_shared_secret(provider, kem, &dh, &kem_output, public)?;
    Ok((kem_output, secret))
}

/// DHKEM's `Decap` (RFC 9180 section 4.1).
///
/// # Errors
/// If the provider does not have the KEM, or the encapsulation is invalid.
pub fn dhkem_decap(
    provider: &dyn CryptoProvider,
    kem: Kem,
    key_pair: &HpkeKeyPair,
    kem_output: &[u8],
) -> Result<Secret, CryptoError> {
    let dh = provider.dh(kem.dh_group(), &key_pair.private.0, kem_output)?;
    dhkem_shared_secret(provider, kem, &dh, kem_output, &key_pair.public)
}

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
    /// If the provider does not have the KDF.
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

/// An HPKE context right after set-up (RFC 9180 section 5.1), for one message or one export.
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
/// If the recipient's key is invalid, or the provider does not have the suite.
pub fn seal(
    provider: &dyn CryptoProvider,
    suite: &SuiteParams,
    info: &SharedInfo,
    item: &SealItem<'_>,
) -> Result<HpkeCiphertext, CryptoError> {
    let (kem_output, shared_secret) = provider.kem_encap(suite.kem, item.public_key, item.seed)?;
    let context = Context::new(provider, suite, &shared_secret, info)?;
    let (key, nonce) = context.key_and_nonce()?;
    let ciphertext = provider.aead_seal(suite.aead, &key, nonce.expose(), &[], item.plaintext)?;
    Ok(HpkeCiphertext { kem_output: kem_output.into(), ciphertext: ciphertext.into() })
}

/// `OpenBase` with an empty AAD (RFC 9180 section 6.1).
///
/// # Errors
/// If it does not open, or the provider does not have the suite.
pub fn open(
    provider: &dyn CryptoProvider,
    suite: &SuiteParams,
    info: &SharedInfo,
    key_pair: &HpkeKeyPair,
    ciphertext: &HpkeCiphertext,
) -> Result<Secret, CryptoError> {
    let shared_secret = provider.kem_decap(suite.kem, key_pair, &ciphertext.kem_output)?;
    let context = Context::new(provider, suite, &shared_secret, info)?;
    let (key, nonce) = context.key_and_nonce()?;
    provider.aead_open(suite.aead, &key, nonce.expose(), &[], &ciphertext.ciphertext)
}

/// `SetupBaseS` with an empty info, then `Export`: `(kem_output, exported)`.
///
/// # Errors
/// If the recipient's key is invalid, or the provider does not have the suite.
pub fn export_to(
    provider: &dyn CryptoProvider,
    suite: &SuiteParams,
    public: &HpkePublicKey,
    seed: &Secret,
    exporter_context: &[u8],
    length: usize,
) -> Result<(Vec<u8>, Secret), CryptoError> {
    let info = SharedInfo::new(provider, suite, &[])?;
    let (kem_output, shared_secret) = provider.kem_encap(suite.kem, public, seed)?;
    let context = Context::new(provider, suite, &shared_secret, &info)?;
    Ok((kem_output, context.export(exporter_context, length)?))
}

/// `SetupBaseR` with an empty info, then `Export`.
///
/// # Errors
/// If the encapsulation is invalid, or the provider does not have the suite.
pub fn export_from(
    provider: &dyn CryptoProvider,
    suite: &SuiteParams,
    key_pair: &HpkeKeyPair,
    kem_output: &[u8],
    exporter_context: &[u8],
    length: usize,
) -> Result<Secret, CryptoError> {
    let info = SharedInfo::new(provider, suite, &[])?;
    let shared_secret = provider.kem_decap(suite.kem, key_pair, kem_output)?;
    Context::new(provider, suite, &shared_secret, &info)?.export(exporter_context, length)
}
