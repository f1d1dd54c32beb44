//! Cryptography without AES, as on a device whose hardware does not compute it.

use conclave_crypto::{
    Aead, CryptoError, CryptoProvider, DhGroup, Digest, Hash, Kdf, Kem, SignatureKeyPair,
    SignatureScheme,
};
use conclave_mls::credential::SignaturePublicKey;
use conclave_provider_rustcrypto::RustCrypto;
use conclave_store::Secret;
use rand_core::CryptoRng;

type Result<T> = core::result::Result<T, CryptoError>;

/// All of a provider's AEADs but AES. It has nothing else.
#[derive(Debug)]
pub(crate) struct WithoutAes(pub(crate) RustCrypto);

const MISSING: CryptoError = CryptoError::UnsupportedComponent("anything but AEADs");

impl CryptoProvider for WithoutAes {
    fn name(&self) -> &'static str {
        "without AES"
    }

    fn has_kem(&self, _: Kem) -> bool {
        false
    }

    fn has_kdf(&self, _: Kdf) -> bool {
        false
    }

    fn has_aead(&self, aead: Aead) -> bool {
        aead == Aead::ChaCha20Poly1305
    }

    fn has_hash(&self, _: Hash) -> bool {
        false
    }

    fn has_signature(&self, _: SignatureScheme) -> bool {
        false
    }

    fn hash(&self, _: Hash, _: &[&[u8]]) -> Result<Digest> {
        Err(MISSING)
    }

    fn hmac(&self, _: Hash, _: &Secret, _: &[&[u8]]) -> Result<Digest> {
        Err(MISSING)
    }

    fn extract(&self, _: Kdf, _: &[u8], _: &[&[u8]]) -> Result<Secret> {
        Err(MISSING)
    }

    fn expand(&self, _: Kdf, _: &Secret, _: &[&[u8]], _: usize) -> Result<Secret> {
        Err(MISSING)
    }

    fn aead_seal(
        &self,
        aead: Aead,
        key: &Secret,
        nonce: &[u8],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>> {
        assert!(self.has_aead(aead), "{aead:?}");
        self.0.aead_seal(aead, key, nonce, aad, plaintext)
    }

    fn aead_open(
        &self,
        aead: Aead,
        key: &Secret,
        nonce: &[u8],
        aad: &[u8],
        ciphertext: &[u8],
    ) -> Result<Secret> {
        assert!(self.has_aead(aead), "{aead:?}");
        self.0.aead_open(aead, key, nonce, aad, ciphertext)
    }

    fn dh_public_key(&self, _: DhGroup, _: &Secret) -> Result<Vec<u8>> {
        Err(MISSING)
    }

    fn dh(&self, _: DhGroup, _: &Secret, _: &[u8]) -> Result<Secret> {
        Err(MISSING)
    }

    fn dh_validate_public_key(&self, _: DhGroup, _: &[u8]) -> Result<()> {
        Err(MISSING)
    }

    fn signature_key_pair(
        &self,
        _: SignatureScheme,
        _: &mut dyn CryptoRng,
    ) -> Result<SignatureKeyPair> {
        Err(MISSING)
    }

    fn signature_public_key(&self, _: SignatureScheme, _: &Secret) -> Result<SignaturePublicKey> {
        Err(MISSING)
    }

    fn sign(&self, _: SignatureScheme, _: &SignatureKeyPair, _: &[u8]) -> Result<Vec<u8>> {
        Err(MISSING)
    }

    fn verify(&self, _: SignatureScheme, _: &SignaturePublicKey, _: &[u8], _: &[u8]) -> Result<()> {
        Err(MISSING)
    }
}
