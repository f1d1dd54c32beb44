//! ECDH and ECDSA on the NIST curves, from AWS-LC. Public keys are uncompressed points, private
//! keys scalars in big-endian order and full length.

use aws_lc_rs::agreement::{
    self, ECDH_P256, ECDH_P384, ECDH_P521, ParsedPublicKey, PrivateKey, UnparsedPublicKey, agree,
};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1,
    ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, EcdsaVerificationAlgorithm,
};
use conclave_crypto::{CryptoError, Secret, SignatureKeyPair};
use conclave_wire::SignaturePublicKey;

/// SEC 1's tag of an uncompressed point.
const UNCOMPRESSED: u8 = 4;

/// AWS-LC's algorithms on a curve.
pub(crate) struct Curve {
    /// The length of a private key in bytes.
    scalar_len: usize,
    agreement: &'static agreement::Algorithm,
    signing: &'static EcdsaSigningAlgorithm,
    verification: &'static EcdsaVerificationAlgorithm,
}

pub(crate) static P256: Curve = Curve {
    scalar_len: 32,
    agreement: &ECDH_P256,
    signing: &ECDSA_P256_SHA256_ASN1_SIGNING,
    verification: &ECDSA_P256_SHA256_ASN1,
};

pub(crate) static P384: Curve = Curve {
    scalar_len: 48,
    agreement: &ECDH_P384,
    signing: &ECDSA_P384_SHA384_ASN1_SIGNING,
    verification: &ECDSA_P384_SHA384_ASN1,
};

pub(crate) static P521: Curve = Curve {
    scalar_len: 66,
    agreement: &ECDH_P521,
    signing: &ECDSA_P521_SHA512_ASN1_SIGNING,
    verification: &ECDSA_P521_SHA512_ASN1,
};

fn public_half(private: &PrivateKey) -> Result<Vec<u8>, CryptoError> {
    let public = private.compute_public_key();
    Ok(public.map_err(|_| CryptoError::InvalidPrivateKey)?.as_ref().to_vec())
}

fn shared_secret(private: &PrivateKey, public: ParsedPublicKey) -> Result<Secret, CryptoError> {
    agree(private, public, CryptoError::InvalidSharedSecret, |s| Ok(Secret::copy_from(s)))
}

impl Curve {
    fn private_key(&self, bytes: &[u8]) -> Result<PrivateKey, CryptoError> {
        PrivateKey::from_private_key(self.agreement, bytes)
            .map_err(|_| CryptoError::InvalidPrivateKey)
    }

    /// Refuses every encoding except an uncompressed point: AWS-LC accepts others, DER included.
    fn check_form(&self, public: &[u8]) -> Result<(), CryptoError> {
        let right =
            public.len() == 2 * self.scalar_len + 1 && public.first() == Some(&UNCOMPRESSED);
        right.then_some(()).ok_or(CryptoError::InvalidPublicKey)
    }

    fn point(&self, public: &[u8]) -> Result<ParsedPublicKey, CryptoError> {
        self.check_form(public)?;
        ParsedPublicKey::try_from(UnparsedPublicKey::new(self.agreement, public))
            .map_err(|_| CryptoError::InvalidPublicKey)
    }

    pub(crate) fn public_key(&self, private: &[u8]) -> Result<Vec<u8>, CryptoError> {
        public_half(&self.private_key(private)?)
    }

    pub(crate) fn validate(&self, public: &[u8]) -> Result<(), CryptoError> {
        self.point(public).map(drop)
    }

    pub(crate) fn dh(&self, private: &[u8], public: &[u8]) -> Result<Secret, CryptoError> {
        shared_secret(&self.private_key(private)?, self.point(public)?)
    }

    pub(crate) fn dh_both(
        &self,
        private: &[u8],
        public: &[u8],
    ) -> Result<(Vec<u8>, Secret), CryptoError> {
        let private = self.private_key(private)?;
        let own_public = public_half(&private)?;
        let shared = shared_secret(&private, self.point(public)?)?;
        Ok((own_public, shared))
    }

    /// Loads a private key once: AWS-LC computes its public key again.
    fn prepare(
        &self,
        private: &Secret,
        public: &SignaturePublicKey,
    ) -> Result<EcdsaKeyPair, CryptoError> {
        let private = private.expose();
        if private.len() != self.scalar_len || self.check_form(public).is_err() {
            return Err(CryptoError::InvalidPrivateKey);
        }

        EcdsaKeyPair::from_private_key_and_public_key(self.signing, private, public)
            .map_err(|_| CryptoError::InvalidPrivateKey)
    }

    pub(crate) fn sign(
        &self,
        key_pair: &SignatureKeyPair,
        message: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let pair = key_pair.prepared(|private, public| self.prepare(private, public))?;
        let signature = pair
            .sign(&SystemRandom::new(), message)
            .map_err(|_| CryptoError::Provider("ECDSA signing failed"))?;
        Ok(signature.as_ref().to_vec())
    }

    pub(crate) fn verify(
        &self,
        public: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        self.check_form(public)?;
        signature::UnparsedPublicKey::new(self.verification, public)
            .verify(message, signature)
            .map_err(|_| CryptoError::InvalidSignature)
    }
}
