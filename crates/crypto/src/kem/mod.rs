//! The KEMs of HPKE, composed over a provider's key agreements, ML-KEM and hashes. [`Kem::parts`] says how
//! each is built.

mod dh;
mod hybrid;

use crate::labeled::{SuiteId, labeled_derive};
use crate::{CryptoError, CryptoProvider, HpkeKeyPair, HpkePrivateKey, Kem, KemParts, Secret};
use alloc::vec::Vec;
use conclave_wire::HpkePublicKey;
use dh::DhKem;
use hybrid::Hybrid;

/// `DeriveKeyPair(ikm)`: RFC 9180 section 7.1.3; draft-ietf-hpke-pq sections 3 and 4.
///
/// # Errors
/// If the provider lacks the KEM.
pub fn derive_key_pair(
    provider: &dyn CryptoProvider,
    kem: Kem,
    ikm: &Secret,
) -> Result<HpkeKeyPair, CryptoError> {
    if let KemParts::Dh { group, kdf } = kem.parts() {
        return DhKem::new(provider, kem, group, kdf).derive_key_pair(ikm);
    }

    let n = kem.seed_len();
    let seed = labeled_derive(provider, &SuiteId::kem(kem), ikm, b"DeriveKeyPair", n)?;
    let private = HpkePrivateKey(seed);
    let public = public_key(provider, kem, &private)?;
    Ok(HpkeKeyPair { private, public })
}

/// [`derive_key_pair`] for many seeds, in their order.
///
/// # Errors
/// If the provider lacks the KEM.
pub fn derive_key_pairs(
    provider: &dyn CryptoProvider,
    kem: Kem,
    ikms: &[Secret],
) -> Result<Vec<HpkeKeyPair>, CryptoError> {
    provider.derive_many(kem, ikms, &|ikm| derive_key_pair(provider, kem, ikm))
}

/// `Encap(public)` with [`Kem::encap_seed_len`] bytes of randomness passed in:
/// `(kem_output, shared_secret)`.
///
/// # Errors
/// If the key is invalid, or the provider lacks the KEM.
pub fn encap(
    provider: &dyn CryptoProvider,
    kem: Kem,
    public: &HpkePublicKey,
    seed: &Secret,
) -> Result<(Vec<u8>, Secret), CryptoError> {
    match kem.parts() {
        KemParts::Dh { group, kdf } => DhKem::new(provider, kem, group, kdf).encap(public, seed),
        KemParts::MlKem(ml_kem) => provider.ml_kem_encap(ml_kem, public, seed),
        KemParts::Hybrid(parts) => Hybrid { provider, parts }.encap(public, seed),
    }
}

/// `Decap(kem_output, private)`. The key pair's public half is passed in to save computing it.
///
/// # Errors
/// If the encapsulation is invalid, or the provider lacks the KEM.
pub fn decap(
    provider: &dyn CryptoProvider,
    kem: Kem,
    key_pair: &HpkeKeyPair,
    kem_output: &[u8],
) -> Result<Secret, CryptoError> {
    let private = &key_pair.private.0;
    match kem.parts() {
        KemParts::Dh { group, kdf } => {
            DhKem::new(provider, kem, group, kdf).decap(key_pair, kem_output)
        }
        KemParts::MlKem(ml_kem) => provider.ml_kem_decap(ml_kem, private, kem_output),
        KemParts::Hybrid(parts) => {
            Hybrid { provider, parts }.decap(private, &key_pair.public, kem_output)
        }
    }
}

/// The public key of a private key.
///
/// # Errors
/// If the private key is invalid, or the provider lacks the KEM.
pub fn public_key(
    provider: &dyn CryptoProvider,
    kem: Kem,
    private: &HpkePrivateKey,
) -> Result<HpkePublicKey, CryptoError> {
    let public = match kem.parts() {
        KemParts::Dh { group, .. } => provider.dh_public_key(group, &private.0)?,
        KemParts::MlKem(ml_kem) => provider.ml_kem_public_key(ml_kem, &private.0)?,
        KemParts::Hybrid(parts) => Hybrid { provider, parts }.public_key(&private.0)?,
    };
    Ok(public.into())
}

/// Checks that a public key is valid for the KEM.
///
/// # Errors
/// If it is not, or the provider lacks the KEM.
pub fn validate_public_key(
    provider: &dyn CryptoProvider,
    kem: Kem,
    public: &HpkePublicKey,
) -> Result<(), CryptoError> {
    match kem.parts() {
        KemParts::Dh { group, .. } => provider.dh_validate_public_key(group, public),
        KemParts::MlKem(ml_kem) => provider.ml_kem_validate_public_key(ml_kem, public),
        KemParts::Hybrid(parts) => Hybrid { provider, parts }.validate_public_key(public),
    }
}
