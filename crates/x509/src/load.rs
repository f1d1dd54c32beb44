//! Loading what other tools write: PEM files (RFC 7468) and private keys in PKCS#8 (RFC 5958).

use crate::algorithm::key_algorithm;
use conclave_mls::crypto::{CryptoError, Secret, SignatureKeyPair, SignatureScheme, Suite};
use core::fmt;
use pkcs8::PrivateKeyInfoRef;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivatePkcs8KeyDer};
use x509_cert::der::asn1::{AnyRef, OctetStringRef};
use x509_cert::der::{Decode, Encode, Reader, SliceReader, Tag, Tagged};
use zeroize::Zeroizing;

/// Why certificates, lists or a key could not be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoadError {
    /// The text is not PEM.
    Pem,
    /// The PEM text holds nothing of the wanted kind. A key that is protected by a password
    /// (`ENCRYPTED PRIVATE KEY`) or in an older format (`EC PRIVATE KEY`) does not count: `openssl
    /// pkcs8 -topk8 -nocrypt` converts it.
    Empty,
    /// The key is not PKCS#8 in DER.
    Malformed,
    /// The key is not one for the cipher suite.
    WrongKeyAlgorithm {
        /// The suite's signature scheme.
        scheme: SignatureScheme,
    },
    /// An ML-DSA key is there in its expanded form only, which its seed cannot be computed from
    /// (RFC 9881 section 6).
    NoSeed,
    /// The crypto provider does not take the key.
    Crypto(CryptoError),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pem => f.write_str("the text is not PEM"),
            Self::Empty => f.write_str("the PEM text holds nothing of the wanted kind"),
            Self::Malformed => f.write_str("the key is not PKCS#8"),
            Self::WrongKeyAlgorithm { scheme } => write!(f, "the key is not one for {scheme:?}"),
            Self::NoSeed => f.write_str("the ML-DSA key has no seed"),
            Self::Crypto(e) => write!(f, "the key cannot be used: {e}"),
        }
    }
}

impl core::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Crypto(e) => Some(e),
            _ => None,
        }
    }
}

/// The certificates in a PEM text, in DER and in their order; other sections are skipped.
///
/// # Errors
/// If the text is malformed, or holds none.
pub fn certificates_from_pem(pem: &[u8]) -> Result<Vec<Vec<u8>>, LoadError> {
    all_from_pem::<CertificateDer<'static>>(pem)
}

/// The revocation lists in a PEM text, likewise.
///
/// # Errors
/// If the text is malformed, or holds none.
pub fn revocation_lists_from_pem(pem: &[u8]) -> Result<Vec<Vec<u8>>, LoadError> {
    all_from_pem::<CertificateRevocationListDer<'static>>(pem)
}

fn all_from_pem<T: PemObject + AsRef<[u8]>>(pem: &[u8]) -> Result<Vec<Vec<u8>>, LoadError> {
    let items = T::pem_slice_iter(pem).map(|item| Ok(item?.as_ref().to_vec()));
    let items = items.collect::<Result<Vec<_>, _>>();
    let items = items.map_err(|_: rustls_pki_types::pem::Error| LoadError::Pem)?;
    if items.is_empty() { Err(LoadError::Empty) } else { Ok(items) }
}

/// The signature key pair of a member from the first `PRIVATE KEY` section of a PEM text. The
/// decoded key is wiped; the text, and copies that the PEM reader makes, are not.
///
/// # Errors
/// As [`key_pair_from_pkcs8`], or if the text is malformed or holds no key.
pub fn key_pair_from_pem(suite: &Suite<'_>, pem: &[u8]) -> Result<SignatureKeyPair, LoadError> {
    let key = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|e| match e {
        rustls_pki_types::pem::Error::NoItemsFound => LoadError::Empty,
        _ => LoadError::Pem,
    })?;
    let key = Zeroizing::new(key);
    key_pair_from_pkcs8(suite, key.secret_pkcs8_der())
}

/// The signature key pair of a member from a private key in PKCS#8 (DER), for a group of this
/// suite. The key is handed over as the providers of this project take it: seeds of EdDSA (RFC
/// 8410) and ML-DSA (RFC 9881), scalars of ECDSA (RFC 5915).
///
/// # Errors
/// If it is malformed, of another algorithm than the suite's, or refused by the provider.
pub fn key_pair_from_pkcs8(suite: &Suite<'_>, key: &[u8]) -> Result<SignatureKeyPair, LoadError> {
    let info = PrivateKeyInfoRef::from_der(key).map_err(|_| LoadError::Malformed)?;
    let scheme = suite.params().signature;
    let parameters = info.algorithm.parameters.as_ref().map(Encode::to_der).transpose();
    let parts = (info.algorithm.oid.to_der(), parameters);
    let (Ok(mut algorithm), Ok(parameters)) = parts else { return Err(LoadError::Malformed) };
    algorithm.extend(parameters.unwrap_or_default());
    if key_algorithm(scheme).is_none_or(|wanted| *wanted.as_ref() != *algorithm) {
        return Err(LoadError::WrongKeyAlgorithm { scheme });
    }

    let private = private_key(scheme, info.private_key.as_bytes())?;
    let private = Secret::new(private.to_vec());
    let provider = suite.provider();
    let public = provider.signature_public_key(scheme, &private).map_err(LoadError::Crypto)?;
    Ok(SignatureKeyPair::new(private, public))
}

/// The seed or scalar in the structure that a scheme's keys have.
fn private_key(scheme: SignatureScheme, key: &[u8]) -> Result<&[u8], LoadError> {
    use SignatureScheme as S;
    let key = AnyRef::from_der(key).map_err(|_| LoadError::Malformed)?;
    let private = match (scheme, key.tag()) {
        (S::Ed25519 | S::Ed448, Tag::OctetString) => Some(key.value()),
        (
            S::EcdsaSecp256r1Sha256 | S::EcdsaSecp384r1Sha384 | S::EcdsaSecp521r1Sha512,
            Tag::Sequence,
        ) => octets_after(key.value(), 1),
        // The seed is tagged [0], alone; or the first of a pair, the expanded key being the other.
        (S::MlDsa44 | S::MlDsa65 | S::MlDsa87, Tag::ContextSpecific { .. }) => Some(key.value()),
        (S::MlDsa44 | S::MlDsa65 | S::MlDsa87, Tag::Sequence) => octets_after(key.value(), 0),
        (S::MlDsa44 | S::MlDsa65 | S::MlDsa87, Tag::OctetString) => return Err(LoadError::NoSeed),
        _ => None,
    };
    private.ok_or(LoadError::Malformed)
}

/// The octet string after some other elements of a sequence.
fn octets_after(content: &[u8], others: usize) -> Option<&[u8]> {
    let mut r = SliceReader::new(content).ok()?;
    for _ in 0..others {
        r.tlv_bytes().ok()?;
    }
    Some(<&OctetStringRef>::decode(&mut r).ok()?.as_bytes())
}
