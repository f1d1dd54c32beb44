//! Signature algorithms: the names that X.509 has for MLS's signature schemes, and the verification of
//! certificates signed with them.

use conclave_mls::crypto::{CryptoProvider, SignatureScheme};
use core::fmt;
use rustls_pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};

/// Algorithms that verify without MLS's crypto provider.
pub(crate) type Algorithms = &'static [&'static dyn SignatureVerificationAlgorithm];

/// A signature scheme of MLS in the terms of X.509.
#[derive(Debug)]
pub(crate) struct Scheme {
    scheme: SignatureScheme,
    /// How a subjectPublicKeyInfo names it.
    key: AlgorithmIdentifier,
    /// How a certificate's signatureAlgorithm names it.
    signature: AlgorithmIdentifier,
}

/// The schemes of RFC 9420's suites and of the post-quantum ones. RFC 9881 gives ML-DSA's keys and
/// signatures the same identifier, without parameters, and signs with an empty context string, as MLS
/// does.
static SCHEMES: [Scheme; 8] = {
    const fn row(
        scheme: SignatureScheme,
        key: AlgorithmIdentifier,
        signature: AlgorithmIdentifier,
    ) -> Scheme {
        Scheme { scheme, key, signature }
    }
    use SignatureScheme as S;
    [
        row(S::Ed25519, alg_id::ED25519, alg_id::ED25519),
        row(S::EcdsaSecp256r1Sha256, alg_id::ECDSA_P256, alg_id::ECDSA_SHA256),
        row(S::EcdsaSecp384r1Sha384, alg_id::ECDSA_P384, alg_id::ECDSA_SHA384),
        row(S::EcdsaSecp521r1Sha512, alg_id::ECDSA_P521, alg_id::ECDSA_SHA512),
        row(S::Ed448, alg_id::ED448, alg_id::ED448),
        row(S::MlDsa44, alg_id::ML_DSA_44, alg_id::ML_DSA_44),
        row(S::MlDsa65, alg_id::ML_DSA_65, alg_id::ML_DSA_65),
        row(S::MlDsa87, alg_id::ML_DSA_87, alg_id::ML_DSA_87),
    ]
};

/// Returns the content of the AlgorithmIdentifier of a scheme's keys, or none if X.509 has no keys for the
/// scheme.
pub(crate) fn key_algorithm(scheme: SignatureScheme) -> Option<AlgorithmIdentifier> {
    SCHEMES.iter().find(|row| row.scheme == scheme).map(|row| row.key)
}

/// How X.509 names a signature scheme: the contents of the AlgorithmIdentifiers (DER, without tag and length) of
/// its keys and of its signatures. None if X.509 has no keys for the scheme.
#[must_use]
pub fn algorithm_identifiers(scheme: SignatureScheme) -> Option<(&'static [u8], &'static [u8])> {
    let row = SCHEMES.iter().find(|row| row.scheme == scheme)?;
    Some((row.key.as_ref(), row.signature.as_ref()))
}

/// Returns the signature scheme of keys with this content of the AlgorithmIdentifier.
#[must_use]
pub fn scheme_of(algorithm: &[u8]) -> Option<SignatureScheme> {
    SCHEMES.iter().find(|row| *row.key.as_ref() == *algorithm).map(|row| row.scheme)
}

/// Verifies certificate signatures of one scheme with MLS's crypto provider. MLS and X.509 encode
/// signatures and public keys the same way (section 5.1.2; RFC 5480, RFC 8410, RFC 9881).
#[derive(Clone, Copy)]
pub(crate) struct ProviderAlgorithm<'a> {
    provider: &'a dyn CryptoProvider,
    row: &'static Scheme,
}

impl<'a> ProviderAlgorithm<'a> {
    /// Returns the algorithms that a provider supports.
    pub(crate) fn all(provider: &'a dyn CryptoProvider) -> Vec<Self> {
        let supported = SCHEMES.iter().filter(|row| provider.has_signature(row.scheme));
        supported.map(|row| Self { provider, row }).collect()
    }
}

impl fmt::Debug for ProviderAlgorithm<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} by {}", self.row.scheme, self.provider.name())
    }
}

impl SignatureVerificationAlgorithm for ProviderAlgorithm<'_> {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        self.provider
            .verify(self.row.scheme, &public_key.into(), message, signature)
            .map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.row.key
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.row.signature
    }
}

/// Algorithms of X.509 that no signature scheme of MLS has, verified by AWS-LC.
#[cfg(feature = "aws-lc-rs")]
pub(crate) static AWS_LC: Algorithms = {
    use webpki::aws_lc_rs as a;
    &[
        a::RSA_PKCS1_2048_8192_SHA256,
        a::RSA_PKCS1_2048_8192_SHA384,
        a::RSA_PKCS1_2048_8192_SHA512,
        a::RSA_PKCS1_2048_8192_SHA256_ABSENT_PARAMS,
        a::RSA_PKCS1_2048_8192_SHA384_ABSENT_PARAMS,
        a::RSA_PKCS1_2048_8192_SHA512_ABSENT_PARAMS,
        a::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
        a::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
        a::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
        a::ECDSA_P256_SHA384,
        a::ECDSA_P256_SHA512,
        a::ECDSA_P384_SHA256,
        a::ECDSA_P384_SHA512,
        a::ECDSA_P521_SHA256,
        a::ECDSA_P521_SHA384,
    ]
};
