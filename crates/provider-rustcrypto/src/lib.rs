//! A portable crypto provider: pure Rust without the standard library, for every machine that Rust
//! compiles for, browsers and microcontrollers included.
//!
//! It has all suites of RFC 9420, and the post-quantum suites that [`RustCrypto::with_suites`] gives code
//! points. Ed25519 and X25519 come from the dalek crates, X448 and Ed448 from `ed448-goldilocks-plus`, the
//! rest from the RustCrypto project. It is slower than the native provider, accepts and refuses exactly the
//! same, and gives the same results, except that its ECDSA and ML-DSA signatures are deterministic
//! (RFC 6979; FIPS 204 section 3.4).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod aead;
mod ed25519;
mod ed448;
mod ml_dsa;
mod ml_kem;
mod nist;
mod xdh;

use ::ml_dsa::{MlDsa44, MlDsa65, MlDsa87};
use alloc::vec::Vec;
use conclave_crypto::{
    Aead, CryptoError, CryptoProvider, CryptoRng, DhGroup, Digest, Hash, Kdf, Kem, MlKem, Secret,
    SignatureKeyPair, SignatureScheme, Suites, VerifyItem,
};
use conclave_provider_common::{self as common, has, hash, sha3};
use conclave_wire::SignaturePublicKey;

/// The portable provider. It holds nothing but its table of suites.
#[derive(Clone, Copy, Debug, Default)]
pub struct RustCrypto {
    suites: Suites,
}

impl RustCrypto {
    /// A provider of RFC 9420's suites.
    #[must_use]
    pub const fn new() -> Self {
        Self { suites: Suites::RFC_9420 }
    }

    /// This provider with another table of suites: RFC 9420's, and post-quantum ones.
    #[must_use]
    pub const fn with_suites(mut self, suites: Suites) -> Self {
        self.suites = suites;
        self
    }
}

impl CryptoProvider for RustCrypto {
    fn name(&self) -> &'static str {
        "RustCrypto"
    }

    fn has_kem(&self, kem: Kem) -> bool {
        has::kem(kem)
    }

    fn has_kdf(&self, kdf: Kdf) -> bool {
        has::kdf(kdf)
    }

    fn has_aead(&self, aead: Aead) -> bool {
        has::aead(aead)
    }

    fn has_hash(&self, hash: Hash) -> bool {
        has::hash(hash)
    }

    fn has_signature(&self, scheme: SignatureScheme) -> bool {
        has::signature(scheme)
    }

    fn suites(&self) -> Suites {
        self.suites
    }

    fn hash(&self, hash: Hash, parts: &[&[u8]]) -> Result<Digest, CryptoError> {
        hash::hash(hash, parts)
    }

    fn hmac(&self, hash: Hash, key: &Secret, parts: &[&[u8]]) -> Result<Digest, CryptoError> {
        hash::hmac(hash, key, parts)
    }

    fn extract(&self, kdf: Kdf, salt: &[u8], ikm: &[&[u8]]) -> Result<Secret, CryptoError> {
        hash::extract(kdf, salt, ikm)
    }

    fn expand(
        &self,
        kdf: Kdf,
        prk: &Secret,
        info: &[&[u8]],
        length: usize,
    ) -> Result<Secret, CryptoError> {
        hash::expand(kdf, prk, info, length)
    }

    fn expand_many(
        &self,
        kdf: Kdf,
        prk: &Secret,
        items: &[(&[u8], usize)],
    ) -> Result<Vec<Secret>, CryptoError> {
        hash::expand_many(kdf, prk, items)
    }

    fn aead_seal(
        &self,
        aead: Aead,
        key: &Secret,
        nonce: &[u8],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        aead::seal(aead, key.expose(), nonce, aad, plaintext)
    }

    fn aead_open(
        &self,
        aead: Aead,
        key: &Secret,
        nonce: &[u8],
        aad: &[u8],
        ciphertext: &[u8],
    ) -> Result<Secret, CryptoError> {
        aead::open(aead, key.expose(), nonce, aad, ciphertext)
    }

    fn dh_public_key(&self, group: DhGroup, private: &Secret) -> Result<Vec<u8>, CryptoError> {
        match group {
            DhGroup::P256 => nist::p256::public_key(private.expose()),
            DhGroup::P384 => nist::p384::public_key(private.expose()),
            DhGroup::P521 => nist::p521::public_key(private.expose()),
            DhGroup::X25519 => xdh::x25519_public_key(private.expose()),
            DhGroup::X448 => xdh::x448_public_key(private.expose()),
        }
    }

    fn dh(&self, group: DhGroup, private: &Secret, public: &[u8]) -> Result<Secret, CryptoError> {
        match group {
            DhGroup::P256 => nist::p256::dh(private.expose(), public),
            DhGroup::P384 => nist::p384::dh(private.expose(), public),
            DhGroup::P521 => nist::p521::dh(private.expose(), public),
            DhGroup::X25519 => xdh::x25519_agreement(private.expose(), public),
            DhGroup::X448 => xdh::x448_agreement(private.expose(), public),
        }
    }

    fn dh_validate_public_key(&self, group: DhGroup, public: &[u8]) -> Result<(), CryptoError> {
        match group {
            DhGroup::P256 => nist::p256::validate(public),
            DhGroup::P384 => nist::p384::validate(public),
            DhGroup::P521 => nist::p521::validate(public),
            DhGroup::X25519 | DhGroup::X448 => common::xdh::validate_public_key(group, public),
        }
    }

    fn sha3_256(&self, parts: &[&[u8]]) -> Result<Secret, CryptoError> {
        Ok(sha3::sha3_256(parts))
    }

    fn shake256(&self, parts: &[&[u8]], length: usize) -> Result<Secret, CryptoError> {
        Ok(sha3::shake256(parts, length))
    }

    fn ml_kem_public_key(&self, ml_kem: MlKem, private: &Secret) -> Result<Vec<u8>, CryptoError> {
        match ml_kem {
            MlKem::MlKem768 => ml_kem::ml_kem_768::public_key(private),
            MlKem::MlKem1024 => ml_kem::ml_kem_1024::public_key(private),
        }
    }

    fn ml_kem_encap(
        &self,
        ml_kem: MlKem,
        public: &[u8],
        randomness: &Secret,
    ) -> Result<(Vec<u8>, Secret), CryptoError> {
        match ml_kem {
            MlKem::MlKem768 => ml_kem::ml_kem_768::encap(public, randomness),
            MlKem::MlKem1024 => ml_kem::ml_kem_1024::encap(public, randomness),
        }
    }

    fn ml_kem_decap(
        &self,
        ml_kem: MlKem,
        private: &Secret,
        ciphertext: &[u8],
    ) -> Result<Secret, CryptoError> {
        match ml_kem {
            MlKem::MlKem768 => ml_kem::ml_kem_768::decap(private, ciphertext),
            MlKem::MlKem1024 => ml_kem::ml_kem_1024::decap(private, ciphertext),
        }
    }

    fn ml_kem_validate_public_key(&self, ml_kem: MlKem, public: &[u8]) -> Result<(), CryptoError> {
        match ml_kem {
            MlKem::MlKem768 => ml_kem::ml_kem_768::validate(public),
            MlKem::MlKem1024 => ml_kem::ml_kem_1024::validate(public),
        }
    }

    fn signature_key_pair(
        &self,
        scheme: SignatureScheme,
        rng: &mut dyn CryptoRng,
    ) -> Result<SignatureKeyPair, CryptoError> {
        common::signature_key_pair(self, scheme, rng)
    }

    fn signature_public_key(
        &self,
        scheme: SignatureScheme,
        private: &Secret,
    ) -> Result<SignaturePublicKey, CryptoError> {
        use SignatureScheme as S;
        let private = private.expose();
        let public = match scheme {
            S::Ed25519 => ed25519::public_key(private),
            S::Ed448 => ed448::public_key(private),
            S::EcdsaSecp256r1Sha256 => nist::p256::public_key(private),
            S::EcdsaSecp384r1Sha384 => nist::p384::public_key(private),
            S::EcdsaSecp521r1Sha512 => nist::p521::public_key(private),
            S::MlDsa44 => ml_dsa::public_key::<MlDsa44>(private),
            S::MlDsa65 => ml_dsa::public_key::<MlDsa65>(private),
            S::MlDsa87 => ml_dsa::public_key::<MlDsa87>(private),
            _ => Err(CryptoError::UnsupportedComponent(scheme.name())),
        };
        public.map(Into::into)
    }

    fn sign(
        &self,
        scheme: SignatureScheme,
        key_pair: &SignatureKeyPair,
        message: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        use SignatureScheme as S;
        let private = key_pair.private.expose();
        let public = &*key_pair.public;
        match scheme {
            S::Ed25519 => ed25519::sign(key_pair, message),
            S::Ed448 => ed448::sign(key_pair, message),
            S::EcdsaSecp256r1Sha256 => nist::p256::sign(private, public, message),
            S::EcdsaSecp384r1Sha384 => nist::p384::sign(private, public, message),
            S::EcdsaSecp521r1Sha512 => nist::p521::sign(private, public, message),
            S::MlDsa44 => ml_dsa::sign::<MlDsa44>(key_pair, message),
            S::MlDsa65 => ml_dsa::sign::<MlDsa65>(key_pair, message),
            S::MlDsa87 => ml_dsa::sign::<MlDsa87>(key_pair, message),
            _ => Err(CryptoError::UnsupportedComponent(scheme.name())),
        }
    }

    fn verify(
        &self,
        scheme: SignatureScheme,
        public_key: &SignaturePublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        use SignatureScheme as S;
        match scheme {
            S::Ed25519 => common::ed25519::verify(public_key, message, signature),
            S::Ed448 => ed448::verify(public_key, message, signature),
            S::EcdsaSecp256r1Sha256 => nist::p256::verify(public_key, message, signature),
            S::EcdsaSecp384r1Sha384 => nist::p384::verify(public_key, message, signature),
            S::EcdsaSecp521r1Sha512 => nist::p521::verify(public_key, message, signature),
            S::MlDsa44 => ml_dsa::verify::<MlDsa44>(public_key, message, signature),
            S::MlDsa65 => ml_dsa::verify::<MlDsa65>(public_key, message, signature),
            S::MlDsa87 => ml_dsa::verify::<MlDsa87>(public_key, message, signature),
            _ => Err(CryptoError::UnsupportedComponent(scheme.name())),
        }
    }

    fn verify_many(&self, scheme: SignatureScheme, items: &[VerifyItem<'_>]) -> Result<(), usize> {
        if scheme == SignatureScheme::Ed25519 && common::ed25519::all_verify(items) {
            return Ok(());
        }

        let bad = items.iter().position(|item| {
            self.verify(scheme, item.public_key, item.message, item.signature).is_err()
        });
        bad.map_or(Ok(()), Err)
    }
}
