use crate::hpke::{self, SharedInfo};
use crate::{
    Aead, CryptoError, DhGroup, Digest, Hash, HpkeKeyPair, HpkePrivateKey, Kdf, Kem, Secret,
    SignatureKeyPair, SignatureScheme, SuiteParams,
};
use alloc::vec::Vec;
use conclave_wire::{CipherSuite, HpkeCiphertext, HpkePublicKey, SignaturePublicKey};
use core::fmt;
use rand_core::CryptoRng;

/// One signature to verify in [`CryptoProvider::verify_many`]. What was signed is never printed.
#[derive(Clone, Copy)]
pub struct VerifyItem<'a> {
    /// The signer's public key.
    pub public_key: &'a SignaturePublicKey,
    /// What was signed: a SignContent.
    pub message: &'a [u8],
    /// The signature.
    pub signature: &'a [u8],
}

/// One recipient of [`CryptoProvider::seal_many`]. What is encrypted is never printed.
#[derive(Clone, Copy)]
pub struct SealItem<'a> {
    /// The recipient's key.
    pub public_key: &'a HpkePublicKey,
    /// What to encrypt.
    pub plaintext: &'a [u8],
    /// Randomness for the encapsulation: [`Kem::seed_len`] fresh bytes.
    pub seed: &'a Secret,
}

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

/// The primitives that MLS is composed of.
///
/// A provider implements components, not suites; [`CryptoProvider::suite`] says which suites
/// follow. All operations are deterministic in their inputs, except signing with schemes that the
/// provider randomises, and none blocks for long. The batch operations default to loops; a native
/// provider may run them on several cores, with the same results.
pub trait CryptoProvider: Send + Sync {
    /// A name for messages to people.
    fn name(&self) -> &'static str;

    /// Whether the provider has a KEM.
    fn has_kem(&self, kem: Kem) -> bool;
    /// Whether the provider has a KDF.
    fn has_kdf(&self, kdf: Kdf) -> bool;
    /// Whether the provider has an AEAD.
    fn has_aead(&self, aead: Aead) -> bool;
    /// Whether the provider has a hash function and its HMAC.
    fn has_hash(&self, hash: Hash) -> bool;
    /// Whether the provider has a signature scheme.
    fn has_signature(&self, scheme: SignatureScheme) -> bool;

    /// The components of a suite, if the suite is known and the provider has them all.
    ///
    /// A provider that knows suites beyond RFC 9420's overrides this.
    fn suite(&self, cipher_suite: CipherSuite) -> Option<SuiteParams> {
        SuiteParams::registered(cipher_suite).filter(|s| {
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
    /// If the provider does not have the hash function.
    fn hash(&self, hash: Hash, parts: &[&[u8]]) -> Result<Digest, CryptoError>;

    /// The HMAC of the concatenation of `parts`.
    ///
    /// # Errors
    /// If the provider does not have the hash function.
    fn hmac(&self, hash: Hash, key: &Secret, parts: &[&[u8]]) -> Result<Digest, CryptoError>;

    /// `KDF.Extract(salt, ikm)`, with the ikm as the concatenation of `ikm`.
    ///
    /// # Errors
    /// If the provider does not have the KDF.
    fn extract(&self, kdf: Kdf, salt: &[u8], ikm: &[&[u8]]) -> Result<Secret, CryptoError>;

    /// `KDF.Expand(prk, info, length)`, with the info as the concatenation of `info`.
    ///
    /// # Errors
    /// If the provider does not have the KDF, or `length` is over its limit.
    fn expand(
        &self,
        kdf: Kdf,
        prk: &Secret,
        info: &[&[u8]],
        length: usize,
    ) -> Result<Secret, CryptoError>;

    /// Encrypts; the tag is the ciphertext's end.
    ///
    /// # Errors
    /// If the provider does not have the AEAD, or key or nonce have the wrong length.
    fn aead_seal(
        &self,
        aead: Aead,
        key: &Secret,
        nonce: &[u8],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, CryptoError>;

    /// Decrypts what [`Self::aead_seal`] made.
    ///
    /// # Errors
    /// [`CryptoError::OpenFailed`] if it does not authenticate, too short a ciphertext included;
    /// else as [`Self::aead_seal`].
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
    /// If the provider does not have the group, or the private key is out of range.
    fn dh_public_key(&self, group: DhGroup, private: &Secret) -> Result<Vec<u8>, CryptoError>;

    /// The Diffie-Hellman secret: the x-coordinate for NIST curves.
    ///
    /// # Errors
    /// If the provider does not have the group, a key is invalid, or the result is all zeros.
    fn dh(&self, group: DhGroup, private: &Secret, public: &[u8]) -> Result<Secret, CryptoError>;

    /// [`Self::dh_public_key`] and [`Self::dh`] of one private key: what encapsulating takes. A
    /// provider overrides this if setting up a private key costs it something.
    ///
    /// # Errors
    /// As of the two.
    fn dh_both(
        &self,
        group: DhGroup,
        private: &Secret,
        public: &[u8],
    ) -> Result<(Vec<u8>, Secret), CryptoError> {
        Ok((self.dh_public_key(group, private)?, self.dh(group, private, public)?))
    }

    /// Whether a public key has the right length and, for NIST curves, is a point of the curve, or
    /// for the others is [not of small order](crate::has_low_order).
    ///
    /// # Errors
    /// If it does not; or if the provider does not have the group.
    fn dh_validate_public_key(&self, group: DhGroup, public: &[u8]) -> Result<(), CryptoError>;

    /// `DeriveKeyPair(ikm)` (RFC 9180 section 7.1.3).
    ///
    /// # Errors
    /// If the provider does not have the KEM.
    fn kem_derive_key_pair(&self, kem: Kem, ikm: &Secret) -> Result<HpkeKeyPair, CryptoError> {
        hpke::dhkem_derive_key_pair(self.as_dyn(), kem, ikm)
    }

    /// `Encap(public)` with the randomness for the ephemeral key given: `(kem_output,
    /// shared_secret)`.
    ///
    /// # Errors
    /// If the provider does not have the KEM, or the key is invalid.
    fn kem_encap(
        &self,
        kem: Kem,
        public: &HpkePublicKey,
        seed: &Secret,
    ) -> Result<(Vec<u8>, Secret), CryptoError> {
        hpke::dhkem_encap(self.as_dyn(), kem, public, seed)
    }

    /// `Decap(kem_output, private)`. The key pair's public half is given, so that it need not be
    /// computed.
    ///
    /// # Errors
    /// If the provider does not have the KEM, or the encapsulation is invalid.
    fn kem_decap(
        &self,
        kem: Kem,
        key_pair: &HpkeKeyPair,
        kem_output: &[u8],
    ) -> Result<Secret, CryptoError> {
        hpke::dhkem_decap(self.as_dyn(), kem, key_pair, kem_output)
    }

    /// The public key of a private key.
    ///
    /// # Errors
    /// If the provider does not have the KEM, or the private key is invalid.
    fn kem_public_key(
        &self,
        kem: Kem,
        private: &HpkePrivateKey,
    ) -> Result<HpkePublicKey, CryptoError> {
        self.dh_public_key(kem.dh_group(), &private.0).map(Into::into)
    }

    /// Whether a public key is one of the KEM's.
    ///
    /// # Errors
    /// If it is not; or if the provider does not have the KEM.
    fn kem_validate_public_key(&self, kem: Kem, public: &HpkePublicKey) -> Result<(), CryptoError> {
        self.dh_validate_public_key(kem.dh_group(), public)
    }

    /// A fresh signature key pair, from the given randomness alone.
    ///
    /// # Errors
    /// If the provider does not have the scheme.
    fn signature_key_pair(
        &self,
        scheme: SignatureScheme,
        rng: &mut dyn CryptoRng,
    ) -> Result<SignatureKeyPair, CryptoError>;

    /// The public key of a private key.
    ///
    /// # Errors
    /// If the provider does not have the scheme, or the private key is out of range.
    fn signature_public_key(
        &self,
        scheme: SignatureScheme,
        private: &Secret,
    ) -> Result<SignaturePublicKey, CryptoError>;

    /// Signs.
    ///
    /// # Errors
    /// If the provider does not have the scheme, or the key pair is invalid.
    fn sign(
        &self,
        scheme: SignatureScheme,
        key_pair: &SignatureKeyPair,
        message: &[u8],
    ) -> Result<Vec<u8>, CryptoError>;

    /// Verifies a signature.
    ///
    /// # Errors
    /// [`CryptoError::InvalidSignature`] if it does not verify; or if the provider does not have
    /// the scheme, or the key is invalid.
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
    /// The index of the first that does not verify.
    fn verify_many(&self, scheme: SignatureScheme, items: &[VerifyItem<'_>]) -> Result<(), usize> {
        let bad = items.iter().position(|item| {
            self.verify(scheme, item.public_key, item.message, item.signature).is_err()
        });
        bad.map_or(Ok(()), Err)
    }

    /// Hashes many inputs.
    ///
    /// # Errors
    /// If the provider does not have the hash function.
    fn hash_many(&self, hash: Hash, inputs: &[&[u8]]) -> Result<Vec<Digest>, CryptoError> {
        inputs.iter().map(|input| self.hash(hash, &[input])).collect()
    }

    /// Derives many key pairs, as [`Self::kem_derive_key_pair`] does one.
    ///
    /// # Errors
    /// If the provider does not have the KEM.
    fn derive_many(&self, kem: Kem, ikms: &[Secret]) -> Result<Vec<HpkeKeyPair>, CryptoError> {
        ikms.iter().map(|ikm| self.kem_derive_key_pair(kem, ikm)).collect()
    }

    /// HPKE's single-shot encryption to many recipients with the same info.
    ///
    /// # Errors
    /// The first error of any recipient.
    fn seal_many(
        &self,
        suite: &SuiteParams,
        info: &SharedInfo,
        items: &[SealItem<'_>],
    ) -> Result<Vec<HpkeCiphertext>, CryptoError> {
        items.iter().map(|item| hpke::seal(self.as_dyn(), suite, info, item)).collect()
    }

    /// This provider as a trait object: `self`.
    fn as_dyn(&self) -> &dyn CryptoProvider;
}
