//! The worlds' cryptography: the portable provider, in most worlds with hashes in place of its curve.
//!
//! Curve arithmetic takes a good part of a world's time, and no invariant is about it. What stands in for it keeps what
//! the protocol relies on between clients that do not forge: a signature is good for one key and one message, both ends of
//! a key agreement get the same secret, and another private key gets another one. Keys and signatures have the usual
//! lengths. Anybody could forge a signature, and compute each secret.

use conclave_crypto::{
    Aead, CryptoError, CryptoProvider, CryptoRng, DhGroup, Digest, Hash, Kdf, Kem, Seal, SealItem,
    Secret, SignatureKeyPair, SignatureScheme, Suites,
};
use conclave_engine::SUITES;
use conclave_mls::wire::{HpkeCiphertext, SignaturePublicKey};
use conclave_provider_rustcrypto::RustCrypto;

/// The length of all keys of the curve.
const KEY_LEN: usize = 32;

/// The provider of a world, for its devices and its service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WorldCrypto {
    real: RustCrypto,
    has_curve: bool,
    /// Which recipients of what is encrypted to many get garbage: one bit each, repeating after 64.
    garbled: u64,
}

impl WorldCrypto {
    /// The provider with its curve, or with hashes in place of it.
    pub(crate) fn new(has_curve: bool) -> Self {
        Self { real: RustCrypto::new().with_suites(SUITES), has_curve, garbled: 0 }
    }

    /// The provider of a modified client: of those to whom it encrypts at once, the ones whose bit is set get garbage.
    pub(crate) fn garbling(self, garbled: u64) -> Self {
        Self { garbled, ..self }
    }

    fn replaces_group(&self, group: DhGroup) -> bool {
        !self.has_curve && group == DhGroup::X25519
    }

    fn replaces_scheme(&self, scheme: SignatureScheme) -> bool {
        !self.has_curve && scheme == SignatureScheme::Ed25519
    }

    fn hashed(&self, hash: Hash, parts: &[&[u8]]) -> Result<Vec<u8>, CryptoError> {
        Ok(self.real.hash(hash, parts)?.to_vec())
    }

    /// The public key of a private key, for one of the two uses that the curve has.
    fn public_key(&self, of: &str, private: &Secret) -> Result<Vec<u8>, CryptoError> {
        if private.expose().len() != KEY_LEN {
            return Err(CryptoError::InvalidPrivateKey);
        }
        self.hashed(Hash::Sha256, &[of.as_bytes(), private.expose()])
    }

    /// The secret that both ends of a key agreement get: a function of both public keys, in either order.
    fn agreement(&self, own: &[u8], other: &[u8]) -> Result<Secret, CryptoError> {
        self.dh_validate_public_key(DhGroup::X25519, other)?;
        let parts = [b"agreement".as_slice(), own.min(other), own.max(other)];
        self.hashed(Hash::Sha256, &parts).map(Secret::new)
    }

    fn signature(&self, public: &[u8], message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.hashed(Hash::Sha512, &[b"signature", public, message])
    }
}

impl CryptoProvider for WorldCrypto {
    fn name(&self) -> &'static str {
        if self.has_curve { self.real.name() } else { "simulated curve" }
    }

    fn has_kem(&self, kem: Kem) -> bool {
        self.real.has_kem(kem)
    }

    fn has_kdf(&self, kdf: Kdf) -> bool {
        self.real.has_kdf(kdf)
    }

    fn has_aead(&self, aead: Aead) -> bool {
        self.real.has_aead(aead)
    }

    fn has_hash(&self, hash: Hash) -> bool {
        self.real.has_hash(hash)
    }

    fn has_signature(&self, scheme: SignatureScheme) -> bool {
        self.real.has_signature(scheme)
    }

    fn suites(&self) -> Suites {
        self.real.suites()
    }

    fn hash(&self, hash: Hash, parts: &[&[u8]]) -> Result<Digest, CryptoError> {
        self.real.hash(hash, parts)
    }

    fn hmac(&self, hash: Hash, key: &Secret, parts: &[&[u8]]) -> Result<Digest, CryptoError> {
        self.real.hmac(hash, key, parts)
    }

    fn extract(&self, kdf: Kdf, salt: &[u8], ikm: &[&[u8]]) -> Result<Secret, CryptoError> {
        self.real.extract(kdf, salt, ikm)
    }

    fn expand(
        &self,
        kdf: Kdf,
        prk: &Secret,
        info: &[&[u8]],
        length: usize,
    ) -> Result<Secret, CryptoError> {
        self.real.expand(kdf, prk, info, length)
    }

    fn expand_many(
        &self,
        kdf: Kdf,
        prk: &Secret,
        items: &[(&[u8], usize)],
    ) -> Result<Vec<Secret>, CryptoError> {
        self.real.expand_many(kdf, prk, items)
    }

    fn aead_seal(
        &self,
        aead: Aead,
        key: &Secret,
        nonce: &[u8],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        self.real.aead_seal(aead, key, nonce, aad, plaintext)
    }

    fn aead_open(
        &self,
        aead: Aead,
        key: &Secret,
        nonce: &[u8],
        aad: &[u8],
        ciphertext: &[u8],
    ) -> Result<Secret, CryptoError> {
        self.real.aead_open(aead, key, nonce, aad, ciphertext)
    }

    fn dh_public_key(&self, group: DhGroup, private: &Secret) -> Result<Vec<u8>, CryptoError> {
        if self.replaces_group(group) {
            return self.public_key("agreement key", private);
        }
        self.real.dh_public_key(group, private)
    }

    fn dh(&self, group: DhGroup, private: &Secret, public: &[u8]) -> Result<Secret, CryptoError> {
        if self.replaces_group(group) {
            let own = self.dh_public_key(group, private)?;
            return self.agreement(&own, public);
        }
        self.real.dh(group, private, public)
    }

    fn dh_validate_public_key(&self, group: DhGroup, public: &[u8]) -> Result<(), CryptoError> {
        self.real.dh_validate_public_key(group, public)
    }

    fn signature_key_pair(
        &self,
        scheme: SignatureScheme,
        rng: &mut dyn CryptoRng,
    ) -> Result<SignatureKeyPair, CryptoError> {
        if self.replaces_scheme(scheme) {
            let private = Secret::random(KEY_LEN, rng);
            let public = self.signature_public_key(scheme, &private)?;
            return Ok(SignatureKeyPair::new(private, public));
        }
        self.real.signature_key_pair(scheme, rng)
    }

    fn signature_public_key(
        &self,
        scheme: SignatureScheme,
        private: &Secret,
    ) -> Result<SignaturePublicKey, CryptoError> {
        if self.replaces_scheme(scheme) {
            return self.public_key("signature key", private).map(Into::into);
        }
        self.real.signature_public_key(scheme, private)
    }

    fn sign(
        &self,
        scheme: SignatureScheme,
        key_pair: &SignatureKeyPair,
        message: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        if self.replaces_scheme(scheme) {
            if self.signature_public_key(scheme, &key_pair.private)? != key_pair.public {
                return Err(CryptoError::InvalidPrivateKey);
            }
            return self.signature(&key_pair.public, message);
        }
        self.real.sign(scheme, key_pair, message)
    }

    fn verify(
        &self,
        scheme: SignatureScheme,
        public_key: &SignaturePublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        if self.replaces_scheme(scheme) {
            if public_key.len() != KEY_LEN {
                return Err(CryptoError::InvalidPublicKey);
            }
            let matches = self.signature(public_key, message)? == signature;
            return matches.then_some(()).ok_or(CryptoError::InvalidSignature);
        }
        self.real.verify(scheme, public_key, message, signature)
    }

    fn seal_many(
        &self,
        _: Kem,
        items: &[SealItem<'_>],
        seal: &Seal<'_>,
    ) -> Result<Vec<HpkeCiphertext>, CryptoError> {
        let sealed = |(n, item): (usize, &SealItem<'_>)| {
            let is_garbled = self.garbled >> (n % 64) & 1 == 1;
            let garbage = vec![0xaa; item.plaintext.len()];
            let plaintext = if is_garbled { &garbage } else { item.plaintext };
            seal(&SealItem { plaintext, ..*item })
        };
        items.iter().enumerate().map(sealed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conclave_crypto::testing::TestRng;

    const SCHEME: SignatureScheme = SignatureScheme::Ed25519;
    const GROUP: DhGroup = DhGroup::X25519;

    #[test]
    fn a_signature_is_good_for_one_key_and_one_message() {
        let provider = WorldCrypto::new(false);
        let mut rng = TestRng(1);
        let [one, other] = [(); 2].map(|()| provider.signature_key_pair(SCHEME, &mut rng).unwrap());
        let signature = provider.sign(SCHEME, &one, b"message").unwrap();
        let verify = |key: &SignatureKeyPair, message: &[u8], signature: &[u8]| {
            provider.verify(SCHEME, &key.public, message, signature)
        };

        verify(&one, b"message", &signature).unwrap();
        assert!(verify(&other, b"message", &signature).is_err());
        assert!(verify(&one, b"another", &signature).is_err());
        let mut changed = signature.clone();
        changed[0] ^= 1;
        assert!(verify(&one, b"message", &changed).is_err());
        assert!(verify(&one, b"message", &signature[..63]).is_err());

        let mixed = SignatureKeyPair::new(one.private.clone(), other.public.clone());
        assert!(provider.sign(SCHEME, &mixed, b"message").is_err());
    }

    #[test]
    fn both_ends_agree_on_a_secret_that_no_other_key_gives() {
        let provider = WorldCrypto::new(false);
        let mut rng = TestRng(1);
        let [one, other, third] = [(); 3].map(|()| Secret::random(KEY_LEN, &mut rng));
        let public = |private: &Secret| provider.dh_public_key(GROUP, private).unwrap();
        let dh = |private: &Secret, with: &Secret| provider.dh(GROUP, private, &public(with));

        let agreed = dh(&one, &other).unwrap();
        assert_eq!(dh(&other, &one).unwrap(), agreed);
        assert_ne!(dh(&third, &other).unwrap(), agreed);
        assert_ne!(dh(&one, &third).unwrap(), agreed);
        assert!(provider.dh(GROUP, &one, &public(&other)[1..]).is_err());
    }

    #[test]
    fn lengths_are_those_of_the_curve() {
        let mut rng = TestRng(1);
        let lengths = [true, false].map(|has_curve| {
            let provider = WorldCrypto::new(has_curve);
            let key = provider.signature_key_pair(SCHEME, &mut rng).unwrap();
            let signature = provider.sign(SCHEME, &key, b"message").unwrap();
            let private = Secret::random(KEY_LEN, &mut rng);
            let public = provider.dh_public_key(GROUP, &private).unwrap();
            let secret = provider.dh(GROUP, &private, &public).unwrap();
            [key.private.len(), key.public.len(), signature.len(), public.len(), secret.len()]
        });
        assert_eq!(lengths[0], lengths[1]);
    }
}
