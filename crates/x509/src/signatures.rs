//! Verification of signatures on certificates and revocation lists: a bounded number for each credential,
//! and signatures that many credentials share only once.

use crate::X509Error;
use crate::algorithm::{Algorithms, ProviderAlgorithm};
use crate::certificate::Signed;
use conclave_mls::crypto::CryptoProvider;
use core::cell::Cell;
use core::fmt;
use rustls_pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer,
    alg_id,
};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use webpki::RawPublicKeyEntity;
use x509_cert::der::asn1::{AnyRef, UintRef};
use x509_cert::der::{Decode, SliceReader};
use x509_cert::spki::SubjectPublicKeyInfoRef;

/// The shortest RSA key whose signatures are accepted, in bits.
const MIN_RSA_BITS: usize = 2048;

/// Why a signature was not accepted. Later variants say more about the credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Failure {
    Invalid,
    Unsupported,
    WeakKey { bits: usize },
    Exhausted,
}

impl From<Failure> for X509Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Invalid => Self::InvalidSignature,
            Failure::Unsupported => Self::UnsupportedSignatureAlgorithm,
            Failure::WeakKey { bits } => Self::WeakIssuerKey { bits },
            Failure::Exhausted => Self::PathTooComplex,
        }
    }
}

/// Where a certificate comes from, which decides how its signature check is accounted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The credential: each check counts against its budget.
    Credential,
    /// The credential, and probably others as well: each check counts, and signatures that verify are
    /// remembered.
    Shared,
    /// The application: nothing counts, and all results are remembered.
    Application,
}

/// Verifies signatures for one credential.
pub(crate) struct Verifier<'a> {
    provider: &'a dyn CryptoProvider,
    schemes: Vec<ProviderAlgorithm<'a>>,
    others: Algorithms,
    cache: &'a SignatureCache,
    remaining: Cell<usize>,
}

impl<'a> Verifier<'a> {
    pub(crate) fn new(
        provider: &'a dyn CryptoProvider,
        others: Algorithms,
        cache: &'a SignatureCache,
        budget: usize,
    ) -> Self {
        let schemes = ProviderAlgorithm::all(provider);
        Self { provider, schemes, others, cache, remaining: Cell::new(budget) }
    }

    pub(crate) fn algorithms(&self) -> impl Iterator<Item = &dyn SignatureVerificationAlgorithm> {
        let schemes = self.schemes.iter().map(|s| s as &dyn SignatureVerificationAlgorithm);
        schemes.chain(self.others.iter().copied())
    }

    /// Verifies a certificate's signature by a key.
    pub(crate) fn verify(
        &self,
        key: &SubjectPublicKeyInfoDer<'_>,
        signed: &Signed<'_>,
        origin: Origin,
    ) -> Result<(), Failure> {
        // Before the cache is consulted: what one provider has verified is not accepted for another that
        // lacks the algorithm.
        let algorithm = self.algorithm(key, signed).ok_or(Failure::Unsupported)?;

        // Remembered signatures count, too: the answer must not depend on which credentials were judged
        // before, or members would disagree.
        if origin != Origin::Application {
            let left = self.remaining.get().checked_sub(1).ok_or(Failure::Exhausted)?;
            self.remaining.set(left);
        }
        let entry = (origin != Origin::Credential).then(|| self.entry(key, signed));
        if let Some(valid) = entry.as_ref().and_then(|entry| self.cache.get(entry)) {
            return if valid { Ok(()) } else { Err(failure_by(key)) };
        }
        let result = compute(algorithm, key, signed);

        // A credential's failures are not remembered: anybody can produce any number of them.
        if let Some(entry) = entry
            && (result.is_ok() || origin == Origin::Application)
        {
            self.cache.put(entry, result.is_ok());
        }
        result
    }

    /// Verifies a revocation list's signature. Nothing is counted or remembered: a list may be long, and it
    /// remembers the results itself.
    pub(crate) fn verify_list(
        &self,
        key: &SubjectPublicKeyInfoDer<'_>,
        signed: &Signed<'_>,
    ) -> Result<(), Failure> {
        let algorithm = self.algorithm(key, signed).ok_or(Failure::Unsupported)?;
        compute(algorithm, key, signed)
    }

    /// The provider's name.
    pub(crate) fn provider_name(&self) -> &'static str {
        self.provider.name()
    }

    /// The algorithm of both a key and a signature, if they agree and it is supported.
    pub(crate) fn algorithm(
        &self,
        key: &SubjectPublicKeyInfoDer<'_>,
        signed: &Signed<'_>,
    ) -> Option<&dyn SignatureVerificationAlgorithm> {
        self.algorithms()
            .filter(|a| a.signature_alg_id().as_ref() == signed.algorithm)
            .find(|a| is_key_of(key, a.public_key_alg_id()))
    }

    /// Everything that the result depends on, byte for byte.
    fn entry(&self, key: &SubjectPublicKeyInfoDer<'_>, signed: &Signed<'_>) -> Arc<[u8]> {
        let Signed { message, algorithm, signature } = *signed;
        let parts = [self.provider.name().as_bytes(), key, algorithm, message, signature];
        let mut entry = Vec::new();
        for part in parts {
            entry.extend(part.len().to_be_bytes());
            entry.extend(part);
        }
        entry.into()
    }
}

fn compute(
    algorithm: &dyn SignatureVerificationAlgorithm,
    key: &SubjectPublicKeyInfoDer<'_>,
    signed: &Signed<'_>,
) -> Result<(), Failure> {
    RawPublicKeyEntity::try_from(key)
        .and_then(|key| key.verify_signature(algorithm, signed.message, signed.signature))
        .map_err(|_| failure_by(key))
}

/// The reason why a signature by this key did not verify.
fn failure_by(key: &SubjectPublicKeyInfoDer<'_>) -> Failure {
    match rsa_bits(key) {
        Some(bits) if bits < MIN_RSA_BITS => Failure::WeakKey { bits },
        _ => Failure::Invalid,
    }
}

/// Whether a key belongs to an algorithm, parameters included.
fn is_key_of(key: &SubjectPublicKeyInfoDer<'_>, algorithm: AlgorithmIdentifier) -> bool {
    let content = || {
        let mut r = SliceReader::new(AnyRef::from_der(key).ok()?.value()).ok()?;
        Some(AnyRef::decode(&mut r).ok()?.value())
    };
    content() == Some(algorithm.as_ref())
}

/// The length of an RSA key's modulus in bits (RFC 3279 section 2.3.1). None for other keys.
fn rsa_bits(key: &SubjectPublicKeyInfoDer<'_>) -> Option<usize> {
    if !is_key_of(key, alg_id::RSA_ENCRYPTION) {
        return None;
    }
    let spki = SubjectPublicKeyInfoRef::from_der(key).ok()?;
    let sequence = AnyRef::from_der(spki.subject_public_key.as_bytes()?).ok()?;
    let mut r = SliceReader::new(sequence.value()).ok()?;
    let modulus = UintRef::decode(&mut r).ok()?.as_bytes();
    let leading = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
    Some(modulus.len() * 8 - leading)
}

/// Signatures that were verified: the results for the application's certificates, and the valid signatures
/// on credentials' issuers. An entry is found only by the exact bytes that were verified, which include the
/// provider's name. The oldest entries are dropped first.
#[derive(Default)]
pub(crate) struct SignatureCache {
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    results: HashMap<Arc<[u8]>, bool>,
    order: VecDeque<Arc<[u8]>>,
    bytes: usize,
}

impl SignatureCache {
    /// The most bytes in all entries: about a thousand certificates.
    pub(crate) const MAX_BYTES: usize = 2 * 1024 * 1024;

    fn get(&self, entry: &[u8]) -> Option<bool> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).results.get(entry).copied()
    }

    fn put(&self, entry: Arc<[u8]>, valid: bool) {
        if entry.len() > Self::MAX_BYTES {
            return;
        }
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.results.insert(entry.clone(), valid).is_some() {
            return;
        }

        entries.bytes += entry.len();
        entries.order.push_back(entry);
        while entries.bytes > Self::MAX_BYTES {
            let Some(oldest) = entries.order.pop_front() else { break };
            entries.bytes -= oldest.len();
            entries.results.remove(&oldest);
        }
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).bytes
    }
}

/// A verified signature, for the library that checks the rest of a path.
pub(crate) struct Proof<'a> {
    /// The bits of the public key.
    pub(crate) key: &'a [u8],
    pub(crate) message: &'a [u8],
    pub(crate) signature: &'a [u8],
}

/// An algorithm that accepts signatures that were verified before, and computes nothing.
pub(crate) struct Proven<'a> {
    pub(crate) algorithm: &'a dyn SignatureVerificationAlgorithm,
    pub(crate) proofs: &'a [Proof<'a>],
}

impl fmt::Debug for Proven<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, verified before", self.algorithm)
    }
}

impl SignatureVerificationAlgorithm for Proven<'_> {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let is_this = |proof: &Proof<'_>| {
            proof.key == public_key && proof.message == message && proof.signature == signature
        };
        if self.proofs.iter().any(is_this) { Ok(()) } else { Err(InvalidSignature) }
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.signature_alg_id()
    }
}
