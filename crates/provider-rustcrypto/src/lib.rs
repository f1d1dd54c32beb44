//! A portable crypto provider: pure Rust, without the standard library, for every machine that
//! Rust compiles for, browsers and microcontrollers included.
//!
//! All suites of RFC 9420, and the post-quantum ones to which [`RustCrypto::with_suites`] gives code
//! points. Ed25519 and X25519 come from the dalek crates, the rest from the RustCrypto project; X448
//! and Ed448 are pre-releases there, so that their versions are pinned. Of the two providers this is
//! the slower one; it accepts and refuses exactly what the native one does, and gives the same
//! results, signatures of ECDSA and ML-DSA excepted: they are deterministic here (RFC 6979; FIPS
//! 204 section 3.4).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

// The tests are in the native provider's crate: one suite, run over both.
mod aead;
mod ed25519;
mod ed448;
mod hash;
mod ml_dsa;
mod ml_kem;
mod nist;
mod sha3;
mod xdh;

use ::ml_dsa::{MlDsa44, MlDsa65, MlDsa87};
use alloc::vec::Vec;
use conclave_crypto::{
    Aead, CryptoError, CryptoProvider, CryptoRng, DhGroup, Digest, Hash, Kdf, Kem, MlKem, Secret,
    SignatureKeyPair, SignatureScheme, Suites, VerifyItem, has_low_order,
};
use conclave_wire::SignaturePublicKey;
use sha2::{Sha256, Sha384, Sha512};

/// The portable provider. All it holds is which suites there are.
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

    /// This provider with the suites of a table: those of RFC 9420, and post-quantum ones.
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
        use Kem as K;
        matches!(
            kem,
            K::DhP256
                | K::DhP384
                | K::DhP521
                | K::DhX25519
                | K::DhX448
                | K::MlKem768
                | K::MlKem1024
                | K::MlKem768P256
                | K::MlKem1024P384
                | K::MlKem768X25519
        )
    }

    fn has_kdf(&self, kdf: Kdf) -> bool {
        matches!(kdf, Kdf::HkdfSha256 | Kdf::HkdfSha384 | Kdf::HkdfSha512)
    }

    fn has_aead(&self, aead: Aead) -> bool {
        matches!(aead, Aead::Aes128Gcm | Aead::Aes256Gcm | Aead::ChaCha20Poly1305)
    }

    fn has_hash(&self, hash: Hash) -> bool {
        matches!(hash, Hash::Sha256 | Hash::Sha384 | Hash::Sha512)
    }

    fn has_signature(&self, scheme: SignatureScheme) -> bool {
        use SignatureScheme as S;
        matches!(
            scheme,
            S::Ed25519
                | S::Ed448
                | S::EcdsaSecp256r1Sha256
                | S::EcdsaSecp384r1Sha384
                | S::EcdsaSecp521r1Sha512
                | S::MlDsa44
                | S::MlDsa65
                | S::MlDsa87
        )
    }

    fn suites(&self) -> Suites {
        self.suites
    }

    fn hash(&self, hash: Hash, parts: &[&[u8]]) -> Result<Digest, CryptoError> {
        match hash {
            Hash::Sha256 => hash::digest::<Sha256>(parts),
            Hash::Sha384 => hash::digest::<Sha384>(parts),
            Hash::Sha512 => hash::digest::<Sha512>(parts),
            _ => Err(CryptoError::UnsupportedComponent("this hash function")),
        }
    }

    fn hmac(&self, hash: Hash, key: &Secret, parts: &[&[u8]]) -> Result<Digest, CryptoError> {
        match hash {
            Hash::Sha256 => hash::hmac::<hash::HmacSha256>(key.expose(), parts),
            Hash::Sha384 => hash::hmac::<hash::HmacSha384>(key.expose(), parts),
            Hash::Sha512 => hash::hmac::<hash::HmacSha512>(key.expose(), parts),
            _ => Err(CryptoError::UnsupportedComponent("this hash function")),
        }
    }

    fn extract(&self, kdf: Kdf, salt: &[u8], ikm: &[&[u8]]) -> Result<Secret, CryptoError> {
        match kdf {
            Kdf::HkdfSha256 => hash::extract::<hash::HmacSha256>(salt, ikm),
            Kdf::HkdfSha384 => hash::extract::<hash::HmacSha384>(salt, ikm),
            Kdf::HkdfSha512 => hash::extract::<hash::HmacSha512>(salt, ikm),
            _ => Err(CryptoError::UnsupportedComponent("this KDF")),
        }
    }

    fn expand(
        &self,
        kdf: Kdf,
        prk: &Secret,
        info: &[&[u8]],
        length: usize,
    ) -> Result<Secret, CryptoError> {
        match kdf {
            Kdf::HkdfSha256 => hash::expand::<hash::HmacSha256>(prk.expose(), info, length),
            Kdf::HkdfSha384 => hash::expand::<hash::HmacSha384>(prk.expose(), info, length),
            Kdf::HkdfSha512 => hash::expand::<hash::HmacSha512>(prk.expose(), info, length),
            _ => Err(CryptoError::UnsupportedComponent("this KDF")),
        }
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
            DhGroup::X25519 => xdh::x25519(private.expose(), public),
            DhGroup::X448 => xdh::x448(private.expose(), public),
        }
    }

    fn dh_validate_public_key(&self, group: DhGroup, public: &[u8]) -> Result<(), CryptoError> {
        match group {
            DhGroup::P256 => nist::p256::validate(public),
            DhGroup::P384 => nist::p384::validate(public),
            DhGroup::P521 => nist::p521::validate(public),
            DhGroup::X25519 | DhGroup::X448 => {
                let right = public.len() == group.public_key_len() && !has_low_order(group, public);
                right.then_some(()).ok_or(CryptoError::InvalidPublicKey)
            }
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

    /// An EdDSA or ML-DSA seed is the next 32 (for Ed448 57) bytes of the randomness; an ECDSA
    /// scalar is its first 32, 48 or 66 bytes (of which the first seven bits masked for P-521) that
    /// are in range.
    fn signature_key_pair(
        &self,
        scheme: SignatureScheme,
        rng: &mut dyn CryptoRng,
    ) -> Result<SignatureKeyPair, CryptoError> {
        use SignatureScheme as S;
        let (n, mask) = match scheme {
            S::Ed25519 => (ed25519::SEED_LEN, 0xff),
            S::Ed448 => (ed448::SEED_LEN, 0xff),
            S::MlDsa44 | S::MlDsa65 | S::MlDsa87 => (ml_dsa::SEED_LEN, 0xff),
            S::EcdsaSecp256r1Sha256 => (nist::p256::SCALAR_LEN, 0xff),
            S::EcdsaSecp384r1Sha384 => (nist::p384::SCALAR_LEN, 0xff),
            S::EcdsaSecp521r1Sha512 => (nist::p521::SCALAR_LEN, 0x01),
            _ => return Err(UNSUPPORTED_SIGNATURE),
        };
        // One attempt suffices but for 1 in 2^32; more than a few mean that the rng is none.
        for _ in 0..u8::MAX {
            let mut private = Secret::random(n, rng);
            if let Some(first) = private.expose_mut().first_mut() {
                *first &= mask;
            }
            match self.signature_public_key(scheme, &private) {
                Ok(public) => return Ok(SignatureKeyPair::new(private, public)),
                Err(CryptoError::InvalidPrivateKey) => {}
                Err(other) => return Err(other),
            }
        }
        Err(CryptoError::KeyDerivationFailed)
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
            _ => Err(UNSUPPORTED_SIGNATURE),
        };
        public.map(Into::into)
    }

    /// Refuses a key pair whose halves do not belong together
    /// ([`CryptoError::InvalidPrivateKey`]).
    fn sign(
        &self,
        scheme: SignatureScheme,
        key_pair: &SignatureKeyPair,
        message: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        use SignatureScheme as S;
        let (private, public) = (key_pair.private.expose(), &*key_pair.public);
        match scheme {
            S::Ed25519 => ed25519::sign(key_pair, message),
            S::Ed448 => ed448::sign(private, public, message),
            S::EcdsaSecp256r1Sha256 => nist::p256::sign(private, public, message),
            S::EcdsaSecp384r1Sha384 => nist::p384::sign(private, public, message),
            S::EcdsaSecp521r1Sha512 => nist::p521::sign(private, public, message),
            S::MlDsa44 => ml_dsa::sign::<MlDsa44>(key_pair, message),
            S::MlDsa65 => ml_dsa::sign::<MlDsa65>(key_pair, message),
            S::MlDsa87 => ml_dsa::sign::<MlDsa87>(key_pair, message),
            _ => Err(UNSUPPORTED_SIGNATURE),
        }
    }

    /// Verifies by the one rule that both providers have, so that members never disagree.
    ///
    /// * Ed25519: RFC 8032 section 5.1.7 with the cofactor: `[8][S]B = [8]R + [8][k]A`, key and `R`
    ///   canonically encoded, `S` below the order, the key not of small order.
    /// * Ed448: RFC 8032 section 5.2.7 with the cofactor: `[4][S]B = [4]R + [4][k]A`, key and `R`
    ///   canonically encoded, `S` below the order, the key not of small order. The context is
    ///   empty.
    /// * ECDSA: SEC 1, the signature in strict DER, both of `s` and `n - s` accepted; the key an
    ///   uncompressed point.
    /// * ML-DSA: FIPS 204's `ML-DSA.Verify`, the context empty. A signature has one encoding.
    fn verify(
        &self,
        scheme: SignatureScheme,
        public_key: &SignaturePublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        use SignatureScheme as S;
        match scheme {
            S::Ed25519 => conclave_ed25519::verify(public_key, message, signature),
            S::Ed448 => ed448::verify(public_key, message, signature),
            S::EcdsaSecp256r1Sha256 => nist::p256::verify(public_key, message, signature),
            S::EcdsaSecp384r1Sha384 => nist::p384::verify(public_key, message, signature),
            S::EcdsaSecp521r1Sha512 => nist::p521::verify(public_key, message, signature),
            S::MlDsa44 => ml_dsa::verify::<MlDsa44>(public_key, message, signature),
            S::MlDsa65 => ml_dsa::verify::<MlDsa65>(public_key, message, signature),
            S::MlDsa87 => ml_dsa::verify::<MlDsa87>(public_key, message, signature),
            _ => Err(UNSUPPORTED_SIGNATURE),
        }
    }

    fn verify_many(&self, scheme: SignatureScheme, items: &[VerifyItem<'_>]) -> Result<(), usize> {
        if scheme == SignatureScheme::Ed25519 && conclave_ed25519::all_verify(items) {
            return Ok(());
        }
        let bad = items.iter().position(|item| {
            self.verify(scheme, item.public_key, item.message, item.signature).is_err()
        });
        bad.map_or(Ok(()), Err)
    }

    fn as_dyn(&self) -> &dyn CryptoProvider {
        self
    }
}

const UNSUPPORTED_SIGNATURE: CryptoError =
    CryptoError::UnsupportedComponent("this signature scheme");
