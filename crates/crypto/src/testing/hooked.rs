use crate::{
    Aead, CryptoError, CryptoProvider, DhGroup, Digest, Hash, Kdf, Kem, MlKem, Secret,
    SignatureKeyPair, SignatureScheme, Suites,
};
use alloc::vec::Vec;
use conclave_wire::SignaturePublicKey;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use rand_core::CryptoRng;

/// What a call to a [`CryptoProvider`] computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names of the methods")]
pub enum Operation {
    Hash,
    Hmac,
    Extract,
    Expand,
    AeadSeal,
    AeadOpen,
    DhPublicKey,
    Dh,
    DhValidatePublicKey,
    Sha3,
    Shake,
    MlKemPublicKey,
    MlKemEncap,
    MlKemDecap,
    MlKemValidatePublicKey,
    SignatureKeyPair,
    SignaturePublicKey,
    Sign,
    Verify,
}

/// Observes the calls to a [`Hooked`] provider: a test can count them, look at their secrets, or make one
/// fail.
pub trait Hook: Send + Sync {
    /// Runs before a call.
    ///
    /// # Errors
    /// An error that the call returns instead of its result.
    fn before(&self, operation: Operation) -> Result<(), CryptoError> {
        let _ = operation;
        Ok(())
    }

    /// Runs after a call that succeeded. `inputs` are the secrets among its arguments, in order: keys and
    /// seeds; for Extract the salt and all parts of the input keying material; for SHA-3 the shared secrets.
    /// `output` is the secret that the call returns, if it returns one.
    fn after(&self, operation: Operation, inputs: &[&[u8]], output: Option<&[u8]>) {
        let _ = (operation, inputs, output);
    }

    /// A signature to return instead of making one.
    fn sign(&self, key_pair: &SignatureKeyPair, message: &[u8]) -> Option<Vec<u8>> {
        let _ = (key_pair, message);
        None
    }
}

/// A provider that reports every call to another provider to a [`Hook`].
///
/// Batches are the default loops of [`CryptoProvider`], whatever the other provider does instead, so that the
/// hook sees each primitive below them.
#[derive(Debug, Default)]
pub struct Hooked<P, H> {
    provider: P,
    /// The observer of the calls.
    pub hook: H,
}

impl<P: CryptoProvider, H: Hook> Hooked<P, H> {
    /// A provider whose calls `hook` observes.
    pub const fn new(provider: P, hook: H) -> Self {
        Self { provider, hook }
    }

    fn call<T>(
        &self,
        operation: Operation,
        inputs: &[&[u8]],
        call: impl FnOnce(&P) -> Result<T, CryptoError>,
    ) -> Result<T, CryptoError> {
        self.hook.before(operation)?;
        let result = call(&self.provider)?;
        self.hook.after(operation, inputs, None);
        Ok(result)
    }

    /// [`Self::call`] for an operation that returns a secret.
    fn call_for_secret(
        &self,
        operation: Operation,
        inputs: &[&[u8]],
        call: impl FnOnce(&P) -> Result<Secret, CryptoError>,
    ) -> Result<Secret, CryptoError> {
        self.hook.before(operation)?;
        let secret = call(&self.provider)?;
        self.hook.after(operation, inputs, Some(secret.expose()));
        Ok(secret)
    }
}

impl<P: CryptoProvider, H: Hook> CryptoProvider for Hooked<P, H> {
    fn name(&self) -> &'static str {
        self.provider.name()
    }

    fn has_kem(&self, kem: Kem) -> bool {
        self.provider.has_kem(kem)
    }

    fn has_kdf(&self, kdf: Kdf) -> bool {
        self.provider.has_kdf(kdf)
    }

    fn has_aead(&self, aead: Aead) -> bool {
        self.provider.has_aead(aead)
    }

    fn has_hash(&self, hash: Hash) -> bool {
        self.provider.has_hash(hash)
    }

    fn has_signature(&self, scheme: SignatureScheme) -> bool {
        self.provider.has_signature(scheme)
    }

    fn suites(&self) -> Suites {
        self.provider.suites()
    }

    fn hash(&self, hash: Hash, parts: &[&[u8]]) -> Result<Digest, CryptoError> {
        self.call(Operation::Hash, &[], |p| p.hash(hash, parts))
    }

    fn hmac(&self, hash: Hash, key: &Secret, parts: &[&[u8]]) -> Result<Digest, CryptoError> {
        self.call(Operation::Hmac, &[key.expose()], |p| p.hmac(hash, key, parts))
    }

    fn extract(&self, kdf: Kdf, salt: &[u8], ikm: &[&[u8]]) -> Result<Secret, CryptoError> {
        let inputs: Vec<&[u8]> = [salt].into_iter().chain(ikm.iter().copied()).collect();
        self.call_for_secret(Operation::Extract, &inputs, |p| p.extract(kdf, salt, ikm))
    }

    fn expand(
        &self,
        kdf: Kdf,
        prk: &Secret,
        info: &[&[u8]],
        length: usize,
    ) -> Result<Secret, CryptoError> {
        let expand = |p: &P| p.expand(kdf, prk, info, length);
        self.call_for_secret(Operation::Expand, &[prk.expose()], expand)
    }

    fn aead_seal(
        &self,
        aead: Aead,
        key: &Secret,
        nonce: &[u8],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let seal = |p: &P| p.aead_seal(aead, key, nonce, aad, plaintext);
        self.call(Operation::AeadSeal, &[key.expose()], seal)
    }

    fn aead_open(
        &self,
        aead: Aead,
        key: &Secret,
        nonce: &[u8],
        aad: &[u8],
        ciphertext: &[u8],
    ) -> Result<Secret, CryptoError> {
        let open = |p: &P| p.aead_open(aead, key, nonce, aad, ciphertext);
        self.call_for_secret(Operation::AeadOpen, &[key.expose()], open)
    }

    fn dh_public_key(&self, group: DhGroup, private: &Secret) -> Result<Vec<u8>, CryptoError> {
        let public = |p: &P| p.dh_public_key(group, private);
        self.call(Operation::DhPublicKey, &[private.expose()], public)
    }

    fn dh(&self, group: DhGroup, private: &Secret, public: &[u8]) -> Result<Secret, CryptoError> {
        let dh = |p: &P| p.dh(group, private, public);
        self.call_for_secret(Operation::Dh, &[private.expose()], dh)
    }

    fn dh_validate_public_key(&self, group: DhGroup, public: &[u8]) -> Result<(), CryptoError> {
        let validate = |p: &P| p.dh_validate_public_key(group, public);
        self.call(Operation::DhValidatePublicKey, &[], validate)
    }

    fn sha3_256(&self, parts: &[&[u8]]) -> Result<Secret, CryptoError> {
        // The shared secrets of a hybrid KEM's two parts come first.
        let secrets = parts.get(..2).unwrap_or(parts);
        self.call_for_secret(Operation::Sha3, secrets, |p| p.sha3_256(parts))
    }

    fn shake256(&self, parts: &[&[u8]], length: usize) -> Result<Secret, CryptoError> {
        let seed = parts.get(..1).unwrap_or(parts);
        self.call_for_secret(Operation::Shake, seed, |p| p.shake256(parts, length))
    }

    fn ml_kem_public_key(&self, ml_kem: MlKem, private: &Secret) -> Result<Vec<u8>, CryptoError> {
        let public = |p: &P| p.ml_kem_public_key(ml_kem, private);
        self.call(Operation::MlKemPublicKey, &[private.expose()], public)
    }

    fn ml_kem_encap(
        &self,
        ml_kem: MlKem,
        public: &[u8],
        randomness: &Secret,
    ) -> Result<(Vec<u8>, Secret), CryptoError> {
        self.hook.before(Operation::MlKemEncap)?;
        let (ciphertext, secret) = self.provider.ml_kem_encap(ml_kem, public, randomness)?;
        let output = Some(secret.expose());
        self.hook.after(Operation::MlKemEncap, &[randomness.expose()], output);
        Ok((ciphertext, secret))
    }

    fn ml_kem_decap(
        &self,
        ml_kem: MlKem,
        private: &Secret,
        ciphertext: &[u8],
    ) -> Result<Secret, CryptoError> {
        let decap = |p: &P| p.ml_kem_decap(ml_kem, private, ciphertext);
        self.call_for_secret(Operation::MlKemDecap, &[private.expose()], decap)
    }

    fn ml_kem_validate_public_key(&self, ml_kem: MlKem, public: &[u8]) -> Result<(), CryptoError> {
        let validate = |p: &P| p.ml_kem_validate_public_key(ml_kem, public);
        self.call(Operation::MlKemValidatePublicKey, &[], validate)
    }

    fn signature_key_pair(
        &self,
        scheme: SignatureScheme,
        rng: &mut dyn CryptoRng,
    ) -> Result<SignatureKeyPair, CryptoError> {
        self.call(Operation::SignatureKeyPair, &[], |p| p.signature_key_pair(scheme, rng))
    }

    fn signature_public_key(
        &self,
        scheme: SignatureScheme,
        private: &Secret,
    ) -> Result<SignaturePublicKey, CryptoError> {
        let public = |p: &P| p.signature_public_key(scheme, private);
        self.call(Operation::SignaturePublicKey, &[private.expose()], public)
    }

    fn sign(
        &self,
        scheme: SignatureScheme,
        key_pair: &SignatureKeyPair,
        message: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let sign = |p: &P| match self.hook.sign(key_pair, message) {
            Some(signature) => Ok(signature),
            None => p.sign(scheme, key_pair, message),
        };
        self.call(Operation::Sign, &[key_pair.private.expose()], sign)
    }

    fn verify(
        &self,
        scheme: SignatureScheme,
        public_key: &SignaturePublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        let verify = |p: &P| p.verify(scheme, public_key, message, signature);
        self.call(Operation::Verify, &[], verify)
    }
}

/// Counts the calls to one operation.
#[derive(Debug)]
pub struct Counter {
    operation: Operation,
    calls: AtomicUsize,
}

impl Counter {
    /// A counter for this operation.
    #[must_use]
    pub const fn of(operation: Operation) -> Self {
        Self { operation, calls: AtomicUsize::new(0) }
    }

    /// Runs an action and returns how many calls it made, with its result.
    pub fn during<T>(&self, action: impl FnOnce() -> T) -> (usize, T) {
        let before = self.calls.load(Relaxed);
        let result = action();
        (self.calls.load(Relaxed) - before, result)
    }
}

impl Hook for Counter {
    fn before(&self, operation: Operation) -> Result<(), CryptoError> {
        self.calls.fetch_add(usize::from(operation == self.operation), Relaxed);
        Ok(())
    }
}

/// Both hooks run; the first one's error takes precedence.
impl<A: Hook, B: Hook> Hook for (A, B) {
    fn before(&self, operation: Operation) -> Result<(), CryptoError> {
        self.0.before(operation)?;
        self.1.before(operation)
    }

    fn after(&self, operation: Operation, inputs: &[&[u8]], output: Option<&[u8]>) {
        self.0.after(operation, inputs, output);
        self.1.after(operation, inputs, output);
    }

    fn sign(&self, key_pair: &SignatureKeyPair, message: &[u8]) -> Option<Vec<u8>> {
        self.0.sign(key_pair, message).or_else(|| self.1.sign(key_pair, message))
    }
}
