//! The native crypto provider: AWS-LC's assembly, and several cores for batches.
//!
//! It has all suites of RFC 9420, and the post-quantum suites that [`AwsLc::with_suites`] gives code
//! points. AWS-LC lacks X448 and Ed448: they come from crrl, which runs in constant time but is research
//! code that does not wipe its copies of private keys. ML-KEM comes from libcrux, which is verified in
//! part. SHA-2, HMAC, HKDF and SHA-3 come from the RustCrypto project, whose set-up is cheaper; that
//! counts for inputs as short as MLS's.
//!
//! ECDSA and ML-DSA sign with randomness from AWS-LC's own generator, not from the caller's. Everything
//! else is a function of its inputs.
#![forbid(unsafe_code)]

mod aead;
mod batch;
mod curve25519;
mod curve448;
mod ml_dsa;
mod ml_kem;
mod nist;

use batch::Threads;
use conclave_crypto::{
    Aead, CryptoError, CryptoProvider, CryptoRng, Derive, DhGroup, Digest, Hash, HpkeKeyPair, Kdf,
    Kem, MlKem, Seal, SealItem, Secret, SignatureKeyPair, SignatureScheme, Suites, VerifyItem,
};
use conclave_provider_common::{ed25519, has, hash, sha3, xdh};
use conclave_wire::{HpkeCiphertext, SignaturePublicKey};

/// The native provider.
///
/// A batch that is large enough runs on several threads, which live as long as the call.
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

    /// A provider that uses up to `n` threads for batches, including the caller's.
    ///
    /// With 1 (or 0) it never starts a thread.
    #[must_use]
    pub fn with_threads(n: usize) -> Self {
        Self { threads: Threads::new(n), suites: Suites::RFC_9420 }
    }

    /// This provider with another table of suites: RFC 9420's, and post-quantum ones.
    #[must_use]
    pub const fn with_suites(mut self, suites: Suites) -> Self {
        self.suites = suites;
        self
    }

    /// Encrypts content in place, for what is too long to be copied, such as a file in memory-mapped pages. The last 16 bytes
    /// of `content` are room for the tag.
    ///
    /// # Errors
    /// If the AEAD is not supported, the key or the nonce has another length, or `content` is shorter than a tag.
    pub fn aead_seal_in_place(
        &self,
        aead: Aead,
        key: &Secret,
        (nonce, aad): (&[u8], &[u8]),
        content: &mut [u8],
    ) -> Result<(), CryptoError> {
        aead::seal_in_place(aead, key.expose(), nonce, aad, content)
    }

    /// Decrypts content in place. The last 16 bytes of `content` are the tag, and stay what they are; the others are
    /// unspecified if this fails.
    ///
    /// # Errors
    /// [`CryptoError::OpenFailed`] if it was encrypted differently or changed since; otherwise as [`Self::aead_seal_in_place`].
    pub fn aead_open_in_place(
        &self,
        aead: Aead,
        key: &Secret,
        (nonce, aad): (&[u8], &[u8]),
        content: &mut [u8],
    ) -> Result<(), CryptoError> {
        aead::open_in_place(aead, key.expose(), nonce, aad, content)
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

    /// AWS-LC computes the public key whenever it loads a private key: this loads it once for both.
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
            DhGroup::X25519 | DhGroup::X448 => xdh::validate_public_key(group, public),
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

    fn signature_key_pair(
        &self,
        scheme: SignatureScheme,
        rng: &mut dyn CryptoRng,
    ) -> Result<SignatureKeyPair, CryptoError> {
        conclave_provider_common::signature_key_pair(self, scheme, rng)
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
            _ => Err(CryptoError::UnsupportedComponent(scheme.name())),
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
            S::Ed25519 => curve25519::ed25519_verify(public_key, message, signature),
            S::Ed448 => curve448::ed448_verify(public_key, message, signature),
            S::EcdsaSecp256r1Sha256 => nist::P256.verify(public_key, message, signature),
            S::EcdsaSecp384r1Sha384 => nist::P384.verify(public_key, message, signature),
            S::EcdsaSecp521r1Sha512 => nist::P521.verify(public_key, message, signature),
            S::MlDsa44 => ml_dsa::ML_DSA_44_SET.verify(public_key, message, signature),
            S::MlDsa65 => ml_dsa::ML_DSA_65_SET.verify(public_key, message, signature),
            S::MlDsa87 => ml_dsa::ML_DSA_87_SET.verify(public_key, message, signature),
            _ => Err(CryptoError::UnsupportedComponent(scheme.name())),
        }
    }

    fn verify_many(&self, scheme: SignatureScheme, items: &[VerifyItem<'_>]) -> Result<(), usize> {
        let cost = items.len() * batch::verify_cost(scheme);

        let mut start = 0;
        if scheme == SignatureScheme::Ed25519 && items.len() >= ed25519::MIN_BATCH {
            let size = self.threads.share_of(items.len()).clamp(1, ed25519::MAX_BATCH);
            let batches: Vec<_> = items.chunks(size).collect();
            let verify =
                |batch: &&[VerifyItem<'_>]| ed25519::all_verify(batch).then_some(()).ok_or(());
            match self.threads.try_each(&batches, cost, verify) {
                Ok(()) => return Ok(()),
                // This batch has a bad signature: find it below.
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

    fn derive_many(
        &self,
        kem: Kem,
        ikms: &[Secret],
        derive: &Derive<'_>,
    ) -> Result<Vec<HpkeKeyPair>, CryptoError> {
        let cost = ikms.len() * batch::derive_cost(kem);
        self.threads.try_map(ikms, cost, derive)
    }

    fn seal_many(
        &self,
        kem: Kem,
        items: &[SealItem<'_>],
        seal: &Seal<'_>,
    ) -> Result<Vec<HpkeCiphertext>, CryptoError> {
        let cost = items.len() * batch::seal_cost(kem);
        self.threads.try_map(items, cost, seal)
    }
}
