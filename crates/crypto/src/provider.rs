use crate::{
    Aead, CryptoError, DhGroup, Digest, Hash, HpkeKeyPair, Kdf, Kem, MlKem, Secret,
    SignatureKeyPair, SignatureScheme, SuiteParams, Suites,
};
use alloc::vec::Vec;
use conclave_wire::{CipherSuite, HpkeCiphertext, HpkePublicKey, SignaturePublicKey};
use core::fmt;
use rand_core::CryptoRng;

/// One signature for [`CryptoProvider::verify_many`]. It prints without the message.
#[derive(Clone, Copy)]
pub struct VerifyItem<'a> {
    /// The signer's public key.
    pub public_key: &'a SignaturePublicKey,
    /// The signed message: a SignContent.
    pub message: &'a [u8],
    /// The signature.
    pub signature: &'a [u8],
}

/// One recipient for [`CryptoProvider::seal_many`]. It prints without the plaintext.
#[derive(Clone, Copy)]
pub struct SealItem<'a> {
    /// The recipient's key.
    pub public_key: &'a HpkePublicKey,
    /// The plaintext to encrypt.
    pub plaintext: &'a [u8],
    /// Randomness for the encapsulation: [`Kem::encap_seed_len`] fresh bytes.
    pub seed: &'a Secret,
}

/// Derives one key pair of a batch; for [`CryptoProvider::derive_many`].
pub type Derive<'a> = dyn Fn(&Secret) -> Result<HpkeKeyPair, CryptoError> + Sync + 'a;

/// Encrypts to one recipient of a batch; for [`CryptoProvider::seal_many`].
pub type Seal<'a> = dyn Fn(&SealItem<'_>) -> Result<HpkeCiphertext, CryptoError> + Sync + 'a;

impl fmt::Debug for VerifyItem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyItem").field("public_key", self.public_key).finish_non_exhaustive()
    }
}

impl fmt::Debug for SealItem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealItem").field("public_key", self.public_key).finish_non_exhaustive()
    }
}

const NO_ML_KEM: CryptoError = CryptoError::UnsupportedComponent("ML-KEM");

/// The primitives that MLS is composed of.
///
/// A provider implements components, not suites; [`CryptoProvider::suite`] says which suites follow. KEMs and
/// HPKE are composed of them, in [`kem`](crate::kem) and [`hpke`](crate::hpke). All operations are
/// deterministic in their inputs, except signing with schemes that the provider randomises, and none blocks
/// for long. The batch operations default to loops; a native provider may run them on several cores, with the
/// same results.
///
/// What a provider has to accept, refuse and answer is tested by `conclave-provider-test`.
pub trait CryptoProvider: Send + Sync {
    /// The provider's name, for messages to people.
    fn name(&self) -> &'static str;

    /// Whether the provider has this KEM.
    fn has_kem(&self, kem: Kem) -> bool;
    /// Whether the provider has this KDF.
    fn has_kdf(&self, kdf: Kdf) -> bool;
    /// Whether the provider has this AEAD.
    fn has_aead(&self, aead: Aead) -> bool;
    /// Whether the provider has this hash function and its HMAC.
    fn has_hash(&self, hash: Hash) -> bool;
    /// Whether the provider has this signature scheme.
    fn has_signature(&self, scheme: SignatureScheme) -> bool;

    /// The table of suites that the provider knows, whether or not it has their components.
    ///
    /// A provider with suites beyond RFC 9420's overrides this.
    fn suites(&self) -> Suites {
        Suites::RFC_9420
    }

    /// The components of a suite, if it is known and the provider has all of them.
    fn suite(&self, cipher_suite: CipherSuite) -> Option<SuiteParams> {
        self.suites().get(cipher_suite).filter(|s| {
            self.has_kem(s.kem)
                && self.has_kdf(s.kdf)
                && self.has_aead(s.aead)
                && self.has_hash(s.hash)
                && self.has_signature(s.signature)
        })
    }

    /// The hash of the concatenation of `parts`.
    ///
    /// # Errors
    /// If the provider lacks the hash function.
    fn hash(&self, hash: Hash, parts: &[&[u8]]) -> Result<Digest, CryptoError>;

    /// The HMAC of the concatenation of `parts`.
    ///
    /// # Errors
    /// If the provider lacks the hash function.
    fn hmac(&self, hash: Hash, key: &Secret, parts: &[&[u8]]) -> Result<Digest, CryptoError>;

    /// `KDF.Extract(salt, ikm)`, with the input keying material as the concatenation of `ikm`.
    ///
    /// # Errors
    /// If the provider lacks the KDF.
    fn extract(&self, kdf: Kdf, salt: &[u8], ikm: &[&[u8]]) -> Result<Secret, CryptoError>;

    /// `KDF.Expand(prk, info, length)`, with the info as the concatenation of `info`.
    ///
    /// # Errors
    /// [`CryptoError::InvalidLength`] if `length` exceeds the KDF's limit; or if the provider lacks the KDF.
    fn expand(
        &self,
        kdf: Kdf,
        prk: &Secret,
        info: &[&[u8]],
        length: usize,
    ) -> Result<Secret, CryptoError>;

    /// [`Self::expand`] of the same secret for many pairs of an info and a length, in their order. A provider
    /// that overrides this sets up the secret once.
    ///
    /// # Errors
    /// Those of [`Self::expand`].
    fn expand_many(
        &self,
        kdf: Kdf,
        prk: &Secret,
        items: &[(&[u8], usize)],
    ) -> Result<Vec<Secret>, CryptoError> {
        items.iter().map(|(info, length)| self.expand(kdf, prk, &[info], *length)).collect()
    }

    /// Encrypts. The ciphertext ends in the tag.
    ///
    /// # Errors
    /// [`CryptoError::InvalidLength`] if the key or nonce has the wrong length; or if the provider lacks the
    /// AEAD.
    fn aead_seal(
        &self,
        aead: Aead,
        key: &Secret,
        nonce: &[u8],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, CryptoError>;

    /// Decrypts what [`Self::aead_seal`] encrypted.
    ///
    /// # Errors
    /// [`CryptoError::OpenFailed`] if the ciphertext does not authenticate or is shorter than a tag; otherwise
    /// as [`Self::aead_seal`].
    fn aead_open(
        &self,
        aead: Aead,
        key: &Secret,
        nonce: &[u8],
        aad: &[u8],
        ciphertext: &[u8],
    ) -> Result<Secret, CryptoError>;

    /// The public key of a private key.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPrivateKey`] if the private key is out of range or has the wrong length; or if the
    /// provider lacks the group.
    fn dh_public_key(&self, group: DhGroup, private: &Secret) -> Result<Vec<u8>, CryptoError>;

    /// The Diffie-Hellman secret; for the NIST curves, the x-coordinate.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPrivateKey`] and [`CryptoError::InvalidPublicKey`] if a key is invalid,
    /// [`CryptoError::InvalidSharedSecret`] if the result is all zeros; or if the provider lacks the group.
    fn dh(&self, group: DhGroup, private: &Secret, public: &[u8]) -> Result<Secret, CryptoError>;

    /// [`Self::dh_public_key`] and [`Self::dh`] of one private key, as an encapsulation needs them. A provider
    /// for which loading a private key is expensive overrides this.
    ///
    /// # Errors
    /// As for the two.
    fn dh_both(
        &self,
        group: DhGroup,
        private: &Secret,
        public: &[u8],
    ) -> Result<(Vec<u8>, Secret), CryptoError> {
        Ok((self.dh_public_key(group, private)?, self.dh(group, private, public)?))
    }

    /// Checks that a public key has the right length and, for the NIST curves, is an uncompressed point of
    /// the curve or, for X25519 and X448, is [not of low order](crate::has_low_order).
    ///
    /// # Errors
    /// [`CryptoError::InvalidPublicKey`] if it fails the check; or if the provider lacks the group.
    fn dh_validate_public_key(&self, group: DhGroup, public: &[u8]) -> Result<(), CryptoError>;

    /// The SHA3-256 hash of the concatenation of `parts`, which are secret. Hybrid KEMs combine their
    /// secrets with it.
    ///
    /// # Errors
    /// If the provider lacks it. A provider without hybrid KEMs does not need it.
    fn sha3_256(&self, parts: &[&[u8]]) -> Result<Secret, CryptoError> {
        let _ = parts;
        Err(CryptoError::UnsupportedComponent("SHA3-256"))
    }

    /// `length` bytes of SHAKE256 of the concatenation of `parts`, which are secret. The KEMs beyond DHKEM
    /// derive keys with it.
    ///
    /// # Errors
    /// If the provider lacks it. A provider that only has DHKEMs does not need it.
    fn shake256(&self, parts: &[&[u8]], length: usize) -> Result<Secret, CryptoError> {
        let _ = (parts, length);
        Err(CryptoError::UnsupportedComponent("SHAKE256"))
    }

    /// The public key (FIPS 203's encapsulation key) of a private key, which is the seed `d ‖ z` of
    /// [`MlKem::SEED_LEN`] bytes.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPrivateKey`] if the private key has the wrong length; or if the provider lacks
    /// ML-KEM. A provider that only has DHKEMs does not need it.
    fn ml_kem_public_key(&self, ml_kem: MlKem, private: &Secret) -> Result<Vec<u8>, CryptoError> {
        let _ = (ml_kem, private);
        Err(NO_ML_KEM)
    }

    /// `ML-KEM.Encaps_internal(public, randomness)` (FIPS 203 section 6.2), after
    /// [`Self::ml_kem_validate_public_key`]: the ciphertext and the shared secret. The randomness is
    /// [`MlKem::RANDOMNESS_LEN`] bytes.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPublicKey`] if the public key is invalid, [`CryptoError::InvalidLength`] if the
    /// randomness has the wrong length; or if the provider lacks ML-KEM.
    fn ml_kem_encap(
        &self,
        ml_kem: MlKem,
        public: &[u8],
        randomness: &Secret,
    ) -> Result<(Vec<u8>, Secret), CryptoError> {
        let _ = (ml_kem, public, randomness);
        Err(NO_ML_KEM)
    }

    /// `ML-KEM.Decaps` (FIPS 203 section 7.3) with the private key as a seed.
    ///
    /// A damaged ciphertext, or one for another key, gives a secret that nobody else has (implicit rejection),
    /// not an error.
    ///
    /// # Errors
    /// [`CryptoError::OpenFailed`] if the ciphertext has the wrong length, [`CryptoError::InvalidPrivateKey`]
    /// if the seed has; or if the provider lacks ML-KEM.
    fn ml_kem_decap(
        &self,
        ml_kem: MlKem,
        private: &Secret,
        ciphertext: &[u8],
    ) -> Result<Secret, CryptoError> {
        let _ = (ml_kem, private, ciphertext);
        Err(NO_ML_KEM)
    }

    /// Checks that a public key has the right length and all its coefficients are below the modulus (FIPS 203
    /// section 7.2).
    ///
    /// # Errors
    /// [`CryptoError::InvalidPublicKey`] if it fails the check; or if the provider lacks ML-KEM.
    fn ml_kem_validate_public_key(&self, ml_kem: MlKem, public: &[u8]) -> Result<(), CryptoError> {
        let _ = (ml_kem, public);
        Err(NO_ML_KEM)
    }

    /// A fresh signature key pair, as a function of the randomness alone.
    ///
    /// # Errors
    /// [`CryptoError::KeyDerivationFailed`] if the randomness never gives a private key in range, as a broken
    /// source may; or if the provider lacks the scheme.
    fn signature_key_pair(
        &self,
        scheme: SignatureScheme,
        rng: &mut dyn CryptoRng,
    ) -> Result<SignatureKeyPair, CryptoError>;

    /// The public key of a private key.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPrivateKey`] if the private key is out of range or has the wrong length; or if the
    /// provider lacks the scheme.
    fn signature_public_key(
        &self,
        scheme: SignatureScheme,
        private: &Secret,
    ) -> Result<SignaturePublicKey, CryptoError>;

    /// Signs.
    ///
    /// # Errors
    /// [`CryptoError::InvalidPrivateKey`] if the private key is invalid or the public key is not its own; or
    /// if the provider lacks the scheme.
    fn sign(
        &self,
        scheme: SignatureScheme,
        key_pair: &SignatureKeyPair,
        message: &[u8],
    ) -> Result<Vec<u8>, CryptoError>;

    /// Verifies a signature by the one rule that all providers follow, so that members never disagree.
    ///
    /// * Ed25519: RFC 8032 section 5.1.7 with the cofactor: `[8][S]B = [8]R + [8][k]A`, with the key and
    ///   `R` canonically encoded, `S` below the order, and the key not of small order.
    /// * Ed448: RFC 8032 section 5.2.7 with the cofactor: `[4][S]B = [4]R + [4][k]A`, with the key and `R`
    ///   canonically encoded, `S` below the order, and the key not of small order. The context is empty.
    /// * ECDSA: SEC 1, with the signature in strict DER, both `s` and `n - s` accepted, and the key an
    ///   uncompressed point.
    /// * ML-DSA: FIPS 204's `ML-DSA.Verify` with an empty context. A signature has one encoding.
    ///
    /// # Errors
    /// [`CryptoError::InvalidSignature`] if the signature does not verify,
    /// [`CryptoError::InvalidPublicKey`] if the rule refuses the key; or if the provider lacks the scheme.
    fn verify(
        &self,
        scheme: SignatureScheme,
        public_key: &SignaturePublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError>;

    /// Verifies many signatures, each by the rule of [`Self::verify`].
    ///
    /// # Errors
    /// The index of the first signature that does not verify.
    fn verify_many(&self, scheme: SignatureScheme, items: &[VerifyItem<'_>]) -> Result<(), usize> {
        let bad = items.iter().position(|item| {
            self.verify(scheme, item.public_key, item.message, item.signature).is_err()
        });
        bad.map_or(Ok(()), Err)
    }

    /// Hashes many inputs.
    ///
    /// # Errors
    /// If the provider lacks the hash function.
    fn hash_many(&self, hash: Hash, inputs: &[&[u8]]) -> Result<Vec<Digest>, CryptoError> {
        inputs.iter().map(|input| self.hash(hash, &[input])).collect()
    }

    /// The key pair that `derive` makes of each seed, in their order.
    ///
    /// # Errors
    /// The error of the first seed that fails.
    fn derive_many(
        &self,
        kem: Kem,
        ikms: &[Secret],
        derive: &Derive<'_>,
    ) -> Result<Vec<HpkeKeyPair>, CryptoError> {
        let _ = kem;
        ikms.iter().map(derive).collect()
    }

    /// The ciphertext that `seal` makes for each recipient, in their order.
    ///
    /// # Errors
    /// The error of the first recipient that fails.
    fn seal_many(
        &self,
        kem: Kem,
        items: &[SealItem<'_>],
        seal: &Seal<'_>,
    ) -> Result<Vec<HpkeCiphertext>, CryptoError> {
        let _ = kem;
        items.iter().map(seal).collect()
    }
}
