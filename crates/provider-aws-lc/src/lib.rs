//! The native crypto provider: AWS-LC's assembly, and several cores for batches.
//!
//! All suites of RFC 9420, and the post-quantum ones to which [`AwsLc::with_suites`] gives code points.
//! X448 and Ed448, which AWS-LC does not have, come from crrl: constant time, but research code that
//! does not wipe its copies of private keys. ML-KEM comes from libcrux, whose code is verified in
//! part. HMAC and HKDF come from the RustCrypto project, whose set-up costs less, which counts for
//! inputs as short as MLS's; SHA-3, too.
//!
//! Signatures of ECDSA and ML-DSA take randomness from AWS-LC's own generator, not from the
//! caller's; everything else is a function of its inputs.
#![forbid(unsafe_code)]

mod aead;
mod batch;
mod curve25519;
mod curve448;
mod hash;
mod ml_dsa;
mod ml_kem;
mod nist;
mod sha3;
#[cfg(test)]
mod tests;

use batch::Threads;
use conclave_crypto::hpke::{self, SharedInfo};
use conclave_crypto::{
    Aead, CryptoError, CryptoProvider, CryptoRng, DhGroup, Digest, Hash, HpkeKeyPair, Kdf, Kem,
    MlKem, SealItem, Secret, SignatureKeyPair, SignatureScheme, SuiteParams, Suites, VerifyItem,
    has_low_order,
};
use conclave_wire::{HpkeCiphertext, SignaturePublicKey};
use sha2::{Sha256, Sha384, Sha512};

/// The native provider.
///
/// Batch operations run on up to a given number of threads if the batch is worth it. The threads
/// live as long as the call.
#[derive(Clone, Copy, Debug)]
pub struct AwsLc {
    threads: Threads,
    suites: Suites,
}

impl AwsLc {
    /// A provider that uses all cores for batches, up to eight.
    #[must_use]
    pub fn new() -> Self {
        const MAX_THREADS: usize = 8;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::with_threads(cores.min(MAX_THREADS))
    }

    /// A provider that uses up to `n` threads for batches, the caller's being one of them.
    ///
    /// With 1 (or 0) it never starts a thread.
    #[must_use]
    pub fn with_threads(n: usize) -> Self {
        Self { threads: Threads::new(n), suites: Suites::RFC_9420 }
    }

    /// This provider with the suites of a table: those of RFC 9420, and post-quantum ones.
    #[must_use]
    pub const fn with_suites(mut self, suites: Suites) -> Self {
        self.suites = suites;
        self
    }
}

impl Default for AwsLc {
    fn default() -> Self {
        Self::new()
    }
}

impl CryptoProvider for AwsLc {
    fn name(&self) -> &'static str {
        "AWS-LC"
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
        let private = private.expose();
        match group {
            DhGroup::P256 => nist::P256.public_key(private),
            DhGroup::P384 => nist::P384.public_key(private),
            DhGroup::P521 => nist::P521.public_key(private),
            DhGroup::X25519 => curve25519::x25519_public_key(private),
            DhGroup::X448 => curve448::x448_public_key(private),
        }
    }

    fn dh(&self, group: DhGroup, private: &Secret, public: &[u8]) -> Result<Secret, CryptoError> {
        let private = private.expose();
        match group {
            DhGroup::P256 => nist::P256.dh(private, public),
            DhGroup::P384 => nist::P384.dh(private, public),
            DhGroup::P521 => nist::P521.dh(private, public),
            DhGroup::X25519 => curve25519::x25519(private, public),
            DhGroup::X448 => curve448::x448(private, public),
        }
    }

    /// AWS-LC computes the public key whenever it takes a private key in: here, once for both.
    fn dh_both(
        &self,
        group: DhGroup,
        private: &Secret,
        public: &[u8],
    ) -> Result<(Vec<u8>, Secret), CryptoError> {
        match group {
            DhGroup::P256 => nist::P256.dh_both(private.expose(), public),
            DhGroup::P384 => nist::P384.dh_both(private.expose(), public),
            DhGroup::P521 => nist::P521.dh_both(private.expose(), public),
            DhGroup::X25519 => curve25519::x25519_both(private.expose(), public),
            DhGroup::X448 => {
                Ok((self.dh_public_key(group, private)?, self.dh(group, private, public)?))
            }
        }
    }

    fn dh_validate_public_key(&self, group: DhGroup, public: &[u8]) -> Result<(), CryptoError> {
        match group {
            DhGroup::P256 => nist::P256.validate(public),
            DhGroup::P384 => nist::P384.validate(public),
            DhGroup::P521 => nist::P521.validate(public),
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
            MlKem::MlKem768 => ml_kem::mlkem768::public_key(private),
            MlKem::MlKem1024 => ml_kem::mlkem1024::public_key(private),
        }
    }

    fn ml_kem_encap(
        &self,
        ml_kem: MlKem,
        public: &[u8],
        randomness: &Secret,
    ) -> Result<(Vec<u8>, Secret), CryptoError> {
        match ml_kem {
            MlKem::MlKem768 => ml_kem::mlkem768::encap(public, randomness),
            MlKem::MlKem1024 => ml_kem::mlkem1024::encap(public, randomness),
        }
    }

    fn ml_kem_decap(
        &self,
        ml_kem: MlKem,
        private: &Secret,
        ciphertext: &[u8],
    ) -> Result<Secret, CryptoError> {
        match ml_kem {
            MlKem::MlKem768 => ml_kem::mlkem768::decap(private, ciphertext),
            MlKem::MlKem1024 => ml_kem::mlkem1024::decap(private, ciphertext),
        }
    }

    fn ml_kem_validate_public_key(&self, ml_kem: MlKem, public: &[u8]) -> Result<(), CryptoError> {
        match ml_kem {
            MlKem::MlKem768 => ml_kem::mlkem768::validate(public),
            MlKem::MlKem1024 => ml_kem::mlkem1024::validate(public),
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
            S::Ed25519 => (curve25519::SEED_LEN, 0xff),
            S::Ed448 => (curve448::SEED_LEN, 0xff),
            S::MlDsa44 | S::MlDsa65 | S::MlDsa87 => (ml_dsa::SEED_LEN, 0xff),
            S::EcdsaSecp256r1Sha256 => (nist::P256.scalar_len, 0xff),
            S::EcdsaSecp384r1Sha384 => (nist::P384.scalar_len, 0xff),
            S::EcdsaSecp521r1Sha512 => (nist::P521.scalar_len, 0x01),
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
            S::Ed25519 => curve25519::ed25519_public_key(private),
            S::Ed448 => curve448::ed448_public_key(private),
            S::EcdsaSecp256r1Sha256 => nist::P256.public_key(private),
            S::EcdsaSecp384r1Sha384 => nist::P384.public_key(private),
            S::EcdsaSecp521r1Sha512 => nist::P521.public_key(private),
            S::MlDsa44 => ml_dsa::ML_DSA_44_SET.public_key(private),
            S::MlDsa65 => ml_dsa::ML_DSA_65_SET.public_key(private),
            S::MlDsa87 => ml_dsa::ML_DSA_87_SET.public_key(private),
            _ => Err(UNSUPPORTED_SIGNATURE),
        };
        public.map(Into::into)
    }

    /// Refuses a key pair whose halves do not belong together
    /// ([`CryptoError::InvalidPrivateKey`]). ECDSA and ML-DSA take randomness from AWS-LC's generator.
    fn sign(
        &self,
        scheme: SignatureScheme,
        key_pair: &SignatureKeyPair,
        message: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        use SignatureScheme as S;
        match scheme {
            S::Ed25519 => curve25519::ed25519_sign(key_pair, message),
            S::Ed448 => curve448::ed448_sign(key_pair.private.expose(), &key_pair.public, message),
            S::EcdsaSecp256r1Sha256 => nist::P256.sign(key_pair, message),
            S::EcdsaSecp384r1Sha384 => nist::P384.sign(key_pair, message),
            S::EcdsaSecp521r1Sha512 => nist::P521.sign(key_pair, message),
            S::MlDsa44 => ml_dsa::ML_DSA_44_SET.sign(key_pair, message),
            S::MlDsa65 => ml_dsa::ML_DSA_65_SET.sign(key_pair, message),
            S::MlDsa87 => ml_dsa::ML_DSA_87_SET.sign(key_pair, message),
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
            S::Ed25519 => curve25519::ed25519_verify(public_key, message, signature),
            S::Ed448 => curve448::ed448_verify(public_key, message, signature),
            S::EcdsaSecp256r1Sha256 => nist::P256.verify(public_key, message, signature),
            S::EcdsaSecp384r1Sha384 => nist::P384.verify(public_key, message, signature),
            S::EcdsaSecp521r1Sha512 => nist::P521.verify(public_key, message, signature),
            S::MlDsa44 => ml_dsa::ML_DSA_44_SET.verify(public_key, message, signature),
            S::MlDsa65 => ml_dsa::ML_DSA_65_SET.verify(public_key, message, signature),
            S::MlDsa87 => ml_dsa::ML_DSA_87_SET.verify(public_key, message, signature),
            _ => Err(UNSUPPORTED_SIGNATURE),
        }
    }

    fn verify_many(&self, scheme: SignatureScheme, items: &[VerifyItem<'_>]) -> Result<(), usize> {
        let cost = items.len() * batch::verify_cost(scheme);
        let mut start = 0;
        if scheme == SignatureScheme::Ed25519 && items.len() >= conclave_ed25519::WORTH_A_BATCH {
            let size = self.threads.share_of(items.len()).clamp(1, conclave_ed25519::BATCH);
            let batches: Vec<_> = items.chunks(size).collect();
            let verify = |batch: &&[VerifyItem<'_>]| {
                conclave_ed25519::all_verify(batch).then_some(()).ok_or(())
            };
            match self.threads.try_each(&batches, cost, verify) {
                Ok(()) => return Ok(()),
                // Which one it is shows below.
                Err((batch, ())) => start = batch * size,
            }
        }
        let verify = |item: &VerifyItem<'_>| {
            self.verify(scheme, item.public_key, item.message, item.signature)
        };
        let rest = items.get(start..).unwrap_or_default();
        self.threads.try_each(rest, cost, verify).map_err(|(index, _)| start + index)
    }

    fn hash_many(&self, hash: Hash, inputs: &[&[u8]]) -> Result<Vec<Digest>, CryptoError> {
        let cost = batch::hash_cost(inputs);
        self.threads.try_map(inputs, cost, |input| self.hash(hash, &[input]))
    }

    fn derive_many(&self, kem: Kem, ikms: &[Secret]) -> Result<Vec<HpkeKeyPair>, CryptoError> {
        let cost = ikms.len() * batch::derive_cost(kem);
        self.threads.try_map(ikms, cost, |ikm| self.kem_derive_key_pair(kem, ikm))
    }

    fn seal_many(
        &self,
        suite: &SuiteParams,
        info: &SharedInfo,
        items: &[SealItem<'_>],
    ) -> Result<Vec<HpkeCiphertext>, CryptoError> {
        let cost = items.len() * batch::seal_cost(suite.kem);
        self.threads.try_map(items, cost, |item| hpke::seal(self, suite, info, item))
    }

    fn as_dyn(&self) -> &dyn CryptoProvider {
        self
    }
}

const UNSUPPORTED_SIGNATURE: CryptoError =
    CryptoError::UnsupportedComponent("this signature scheme");
