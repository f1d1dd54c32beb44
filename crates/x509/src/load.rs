//! Loading files of other tools: PEM (RFC 7468) and private keys in PKCS#8 (RFC 5958).

use crate::algorithm::{key_algorithm, scheme_of};
use conclave_mls::crypto::{
    CryptoError, CryptoProvider, Secret, SignatureKeyPair, SignatureScheme, Suite,
};
use core::fmt;
use pkcs8::PrivateKeyInfoRef;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivatePkcs8KeyDer};
use x509_cert::der::asn1::{AnyRef, OctetStringRef};
use x509_cert::der::{Decode, Encode, Reader, SliceReader, Tag, Tagged};
use zeroize::Zeroizing;

/// Errors of loading certificates, lists or a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoadError {
    /// The text is not PEM.
    Pem,
    /// The PEM text has no section of the wanted kind. Keys that are protected by a password
    /// (`ENCRYPTED PRIVATE KEY`) or in an older format (`EC PRIVATE KEY`) do not count: convert them with
    /// `openssl pkcs8 -topk8 -nocrypt`.
    Empty,
    /// The key is not PKCS#8 in DER.
    Malformed,
    /// The key belongs to another algorithm than the cipher suite's.
    WrongKeyAlgorithm {
        /// The suite's signature scheme.
        scheme: SignatureScheme,
    },
    /// An ML-DSA key is stored without its seed, which cannot be computed from the expanded key (RFC 9881
    /// section 6).
    NoSeed,
    /// The crypto provider refuses the key.
    Crypto(CryptoError),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pem => f.write_str("the text is not PEM"),
            Self::Empty => f.write_str("the PEM text has no section of the wanted kind"),
            Self::Malformed => f.write_str("the key is not PKCS#8"),
            Self::WrongKeyAlgorithm { scheme } => write!(f, "the key is not a key for {scheme:?}"),
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

/// Returns the certificates in a PEM text as DER, in their order. Other sections are skipped.
///
/// # Errors
/// If the text is malformed or contains no certificate.
pub fn certificates_from_pem(pem: &[u8]) -> Result<Vec<Vec<u8>>, LoadError> {
    all_from_pem::<CertificateDer<'static>>(pem)
}

/// Returns the revocation lists in a PEM text as DER, in their order. Other sections are skipped.
///
/// # Errors
/// If the text is malformed or contains no list.
pub fn revocation_lists_from_pem(pem: &[u8]) -> Result<Vec<Vec<u8>>, LoadError> {
    all_from_pem::<CertificateRevocationListDer<'static>>(pem)
}

fn all_from_pem<T: PemObject + AsRef<[u8]>>(pem: &[u8]) -> Result<Vec<Vec<u8>>, LoadError> {
    let items = T::pem_slice_iter(pem).map(|item| Ok(item?.as_ref().to_vec()));
    let items = items.collect::<Result<Vec<_>, _>>();
    let items = items.map_err(|_: rustls_pki_types::pem::Error| LoadError::Pem)?;
    if items.is_empty() { Err(LoadError::Empty) } else { Ok(items) }
}

/// Loads a member's signature key pair from the first `PRIVATE KEY` section of a PEM text. The decoded key
/// is wiped; the text and copies that the PEM reader makes are not.
///
/// # Errors
/// As [`key_pair_from_pkcs8`], or if the text is malformed or contains no key.
pub fn key_pair_from_pem(suite: &Suite<'_>, pem: &[u8]) -> Result<SignatureKeyPair, LoadError> {
    let key = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|e| match e {
        rustls_pki_types::pem::Error::NoItemsFound => LoadError::Empty,
        _ => LoadError::Pem,
    })?;
    let key = Zeroizing::new(key);
    key_pair_from_pkcs8(suite, key.secret_pkcs8_der())
}

/// Loads a signature key pair of any scheme of MLS from the first `PRIVATE KEY` section of a PEM text, such as
/// a CA's key. What is wiped is as with [`key_pair_from_pem`].
///
/// # Errors
/// As [`key_pair_from_pem`]; a key of an algorithm that MLS does not have is
/// [`Malformed`](LoadError::Malformed).
pub fn any_key_pair_from_pem(
    provider: &dyn CryptoProvider,
    pem: &[u8],
) -> Result<(SignatureScheme, SignatureKeyPair), LoadError> {
    let key = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|e| match e {
        rustls_pki_types::pem::Error::NoItemsFound => LoadError::Empty,
        _ => LoadError::Pem,
    })?;
    let key = Zeroizing::new(key);
    let info =
        PrivateKeyInfoRef::from_der(key.secret_pkcs8_der()).map_err(|_| LoadError::Malformed)?;
    let scheme = scheme_of(&algorithm_of(&info)?).ok_or(LoadError::Malformed)?;
    Ok((scheme, key_pair_of(provider, scheme, &info)?))
}

/// Loads a member's signature key pair from a private key in PKCS#8 (DER), for groups of this suite. The
/// provider gets the key in the form that this project's providers take: the seed for EdDSA (RFC 8410) and
/// ML-DSA (RFC 9881), the scalar for ECDSA (RFC 5915).
///
/// # Errors
/// If the key is malformed, belongs to another algorithm than the suite's, or is refused by the provider.
pub fn key_pair_from_pkcs8(suite: &Suite<'_>, key: &[u8]) -> Result<SignatureKeyPair, LoadError> {
    let info = PrivateKeyInfoRef::from_der(key).map_err(|_| LoadError::Malformed)?;
    let scheme = suite.params().signature;
    let algorithm = algorithm_of(&info)?;
    if key_algorithm(scheme).is_none_or(|wanted| *wanted.as_ref() != *algorithm) {
        return Err(LoadError::WrongKeyAlgorithm { scheme });
    }
    key_pair_of(suite.provider(), scheme, &info)
}

/// Returns the content of a key's AlgorithmIdentifier.
fn algorithm_of(info: &PrivateKeyInfoRef<'_>) -> Result<Vec<u8>, LoadError> {
    let mut algorithm = info.algorithm.oid.to_der().map_err(|_| LoadError::Malformed)?;
    let parameters = info.algorithm.parameters.as_ref().map(Encode::to_der).transpose();
    algorithm.extend(parameters.map_err(|_| LoadError::Malformed)?.unwrap_or_default());
    Ok(algorithm)
}

/// Returns a scheme's key pair; the public key is computed.
fn key_pair_of(
    provider: &dyn CryptoProvider,
    scheme: SignatureScheme,
    info: &PrivateKeyInfoRef<'_>,
) -> Result<SignatureKeyPair, LoadError> {
    let private = private_key(scheme, info.private_key.as_bytes())?;
    let private = Secret::new(private.to_vec());
    let public = provider.signature_public_key(scheme, &private).map_err(LoadError::Crypto)?;
    Ok(SignatureKeyPair::new(private, public))
}

/// Returns the seed or scalar inside the structure of a scheme's keys.
fn private_key(scheme: SignatureScheme, key: &[u8]) -> Result<&[u8], LoadError> {
    use SignatureScheme as S;
    let key = AnyRef::from_der(key).map_err(|_| LoadError::Malformed)?;
    let private = match (scheme, key.tag()) {
        (S::Ed25519 | S::Ed448, Tag::OctetString) => Some(key.value()),
        (
            S::EcdsaSecp256r1Sha256 | S::EcdsaSecp384r1Sha384 | S::EcdsaSecp521r1Sha512,
            Tag::Sequence,
        ) => octets_after(key.value(), 1),
        // The seed stands alone, tagged [0], or is followed by the expanded key.
        (S::MlDsa44 | S::MlDsa65 | S::MlDsa87, Tag::ContextSpecific { .. }) => Some(key.value()),
        (S::MlDsa44 | S::MlDsa65 | S::MlDsa87, Tag::Sequence) => octets_after(key.value(), 0),
        (S::MlDsa44 | S::MlDsa65 | S::MlDsa87, Tag::OctetString) => return Err(LoadError::NoSeed),
        _ => None,
    };
    private.ok_or(LoadError::Malformed)
}

/// Returns the octet string that follows a number of other elements in a sequence.
fn octets_after(content: &[u8], others: usize) -> Option<&[u8]> {
    let mut r = SliceReader::new(content).ok()?;
    for _ in 0..others {
        r.tlv_bytes().ok()?;
    }
    Some(<&OctetStringRef>::decode(&mut r).ok()?.as_bytes())
}
