//! Pure ML-DSA (FIPS 204) with an empty context, from AWS-LC. Private keys are seeds, and signatures are
//! hedged with AWS-LC's own randomness.

use aws_lc_rs::signature::{
    KeyPair, ML_DSA_44, ML_DSA_44_SIGNING, ML_DSA_65, ML_DSA_65_SIGNING, ML_DSA_87,
    ML_DSA_87_SIGNING, PqdsaKeyPair, PqdsaSigningAlgorithm, PqdsaVerificationAlgorithm,
    UnparsedPublicKey,
};
use conclave_crypto::{CryptoError, Secret, SignatureKeyPair};
use conclave_wire::SignaturePublicKey;

/// AWS-LC's algorithms of a parameter set.
pub(crate) struct ParameterSet {
    signing: &'static PqdsaSigningAlgorithm,
    verification: &'static PqdsaVerificationAlgorithm,
}

pub(crate) static ML_DSA_44_SET: ParameterSet =
    ParameterSet { signing: &ML_DSA_44_SIGNING, verification: &ML_DSA_44 };
pub(crate) static ML_DSA_65_SET: ParameterSet =
    ParameterSet { signing: &ML_DSA_65_SIGNING, verification: &ML_DSA_65 };
pub(crate) static ML_DSA_87_SET: ParameterSet =
    ParameterSet { signing: &ML_DSA_87_SIGNING, verification: &ML_DSA_87 };

impl ParameterSet {
    fn key_pair(&self, seed: &[u8]) -> Result<PqdsaKeyPair, CryptoError> {
        PqdsaKeyPair::from_seed(self.signing, seed).map_err(|_| CryptoError::InvalidPrivateKey)
    }

    pub(crate) fn public_key(&self, seed: &[u8]) -> Result<Vec<u8>, CryptoError> {
        Ok(self.key_pair(seed)?.public_key().as_ref().to_vec())
    }

    /// Expands a private key and computes its public key once: that takes a third as long as a signature.
    fn prepare(
        &self,
        seed: &Secret,
        public: &SignaturePublicKey,
    ) -> Result<PqdsaKeyPair, CryptoError> {
        let pair = self.key_pair(seed.expose())?;
        let same = pair.public_key().as_ref() == &**public;
        same.then_some(pair).ok_or(CryptoError::InvalidPrivateKey)
    }

    pub(crate) fn sign(
        &self,
        key_pair: &SignatureKeyPair,
        message: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let pair = key_pair.prepared(|seed, public| self.prepare(seed, public))?;

        let mut signature = vec![0; self.signing.signature_len()];
        pair.sign(message, &mut signature)
            .map_err(|_| CryptoError::Provider("ML-DSA signing failed"))?;
        Ok(signature)
    }

    pub(crate) fn verify(
        &self,
        public: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        // AWS-LC reads other lengths as DER.
        if public.len() != self.signing.public_key_len() {
            return Err(CryptoError::InvalidPublicKey);
        }

        UnparsedPublicKey::new(self.verification, public)
            .verify(message, signature)
            .map_err(|_| CryptoError::InvalidSignature)
    }
}
