//! What the tests share: a suite whose derivations are counted, reproducible randomness.

use alloc::vec::Vec;
use conclave_crypto::{
    Aead, CryptoError, CryptoProvider, CryptoRng, DhGroup, Digest, Hash, Kdf, Kem, Secret,
    SignatureKeyPair, SignatureScheme, Suite,
};
use conclave_provider_rustcrypto::RustCrypto;
use conclave_wire::{CipherSuite, SignaturePublicKey};
use core::convert::Infallible;
use core::sync::atomic::{AtomicUsize, Ordering};
use rand_core::{TryCryptoRng, TryRng};

pub(crate) fn hex(digits: &str) -> Vec<u8> {
    let digit = |c: u8| char::from(c).to_digit(16).unwrap() as u8;
    digits.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

pub(crate) fn secret(digits: &str) -> Secret {
    Secret::new(hex(digits))
}

pub(crate) fn suite(provider: &dyn CryptoProvider) -> Suite<'_> {
    Suite::new(provider, CipherSuite(1)).unwrap()
}

/// SplitMix64: the same numbers for the same seed, and no secrets.
pub(crate) struct TestRng(pub(crate) u64);

impl TestRng {
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.try_next_u64().unwrap() % n
    }
}

impl TryRng for TestRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.try_next_u64()? as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Ok(z ^ (z >> 31))
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        for chunk in dst.chunks_mut(8) {
            let bytes = self.try_next_u64()?.to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for TestRng {}

/// The portable provider.
pub(crate) static PORTABLE: RustCrypto = RustCrypto::new();

/// [`RustCrypto`], with its calls of KDF.Expand counted.
#[derive(Default)]
pub(crate) struct Counting {
    expands: AtomicUsize,
}

impl Counting {
    /// How many derivations `action` takes.
    pub(crate) fn during<T>(&self, action: impl FnOnce() -> T) -> (usize, T) {
        let before = self.expands.load(Ordering::Relaxed);
        let result = action();
        (self.expands.load(Ordering::Relaxed) - before, result)
    }
}

impl CryptoProvider for Counting {
    fn name(&self) -> &'static str {
        "counting"
    }
    fn has_kem(&self, kem: Kem) -> bool {
        PORTABLE.has_kem(kem)
    }
    fn has_kdf(&self, kdf: Kdf) -> bool {
        PORTABLE.has_kdf(kdf)
    }
    fn has_aead(&self, aead: Aead) -> bool {
        PORTABLE.has_aead(aead)
    }
    fn has_hash(&self, hash: Hash) -> bool {
        PORTABLE.has_hash(hash)
    }
    fn has_signature(&self, scheme: SignatureScheme) -> bool {
        PORTABLE.has_signature(scheme)
    }
    fn hash(&self, hash: Hash, parts: &[&[u8]]) -> Result<Digest, CryptoError> {
        PORTABLE.hash(hash, parts)
    }
    fn hmac(&self, hash: Hash, key: &Secret, parts: &[&[u8]]) -> Result<Digest, CryptoError> {
        PORTABLE.hmac(hash, key, parts)
    }
    fn extract(&self, kdf: Kdf, salt: &[u8], ikm: &[&[u8]]) -> Result<Secret, CryptoError> {
        PORTABLE.extract(kdf, salt, ikm)
    }
    fn expand(
        &self,
        kdf: Kdf,
        prk: &Secret,
        info: &[&[u8]],
        length: usize,
    ) -> Result<Secret, CryptoError> {
        self.expands.fetch_add(1, Ordering::Relaxed);
        PORTABLE.expand(kdf, prk, info, length)
    }
    fn aead_seal(
        &self,
        aead: Aead,
        key: &Secret,
        nonce: &[u8],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        PORTABLE.aead_seal(aead, key, nonce, aad, plaintext)
    }
    fn aead_open(
        &self,
        aead: Aead,
        key: &Secret,
        nonce: &[u8],
        aad: &[u8],
        ciphertext: &[u8],
    ) -> Result<Secret, CryptoError> {
        PORTABLE.aead_open(aead, key, nonce, aad, ciphertext)
    }
    fn dh_public_key(&self, group: DhGroup, private: &Secret) -> Result<Vec<u8>, CryptoError> {
        PORTABLE.dh_public_key(group, private)
    }
    fn dh(&self, group: DhGroup, private: &Secret, public: &[u8]) -> Result<Secret, CryptoError> {
        PORTABLE.dh(group, private, public)
    }
    fn dh_validate_public_key(&self, group: DhGroup, public: &[u8]) -> Result<(), CryptoError> {
        PORTABLE.dh_validate_public_key(group, public)
    }
    fn signature_key_pair(
        &self,
        scheme: SignatureScheme,
        rng: &mut dyn CryptoRng,
    ) -> Result<SignatureKeyPair, CryptoError> {
        PORTABLE.signature_key_pair(scheme, rng)
    }
    fn signature_public_key(
        &self,
        scheme: SignatureScheme,
        private: &Secret,
    ) -> Result<SignaturePublicKey, CryptoError> {
        PORTABLE.signature_public_key(scheme, private)
    }
    fn sign(
        &self,
        scheme: SignatureScheme,
        key_pair: &SignatureKeyPair,
        message: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        PORTABLE.sign(scheme, key_pair, message)
    }
    fn verify(
        &self,
        scheme: SignatureScheme,
        public_key: &SignaturePublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        PORTABLE.verify(scheme, public_key, message, signature)
    }
    fn as_dyn(&self) -> &dyn CryptoProvider {
        self
    }
}
