//! Texts of PEM (RFC 7468).

use conclave_x509::{LoadError, certificates_from_pem, revocation_lists_from_pem};
use x509_cert::der::pem::{self, LineEnding};

/// The label of certificates.
pub const CERTIFICATE: &str = "CERTIFICATE";
/// The label of certificate requests.
pub const REQUEST: &str = "CERTIFICATE REQUEST";
/// The label of revocation lists.
pub const REVOCATION_LIST: &str = "X509 CRL";

/// DER as a section of PEM; none if it is too long or the label is none.
#[must_use]
pub fn to_pem(label: &'static str, der: &[u8]) -> Option<String> {
    pem::encode_string(label, LineEnding::LF, der).ok()
}

/// The DER of a text that is one section with this label.
///
/// # Errors
/// If it is not.
pub fn from_pem(label: &str, text: &[u8]) -> Result<Vec<u8>, LoadError> {
    let (found, der) = pem::decode_vec(text).map_err(|_| LoadError::Pem)?;
    if found == label { Ok(der) } else { Err(LoadError::Empty) }
}

/// The certificates and revocation lists of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    /// Its certificates in DER, in their order.
    pub certificates: Vec<Vec<u8>>,
    /// Its revocation lists in DER.
    pub lists: Vec<Vec<u8>>,
}

impl Bundle {
    /// Reads a text; sections of other kinds are passed over.
    ///
    /// # Errors
    /// If it is not PEM, or holds neither.
    pub fn from_pem(text: &[u8]) -> Result<Self, LoadError> {
        let some = |found: Result<Vec<Vec<u8>>, LoadError>| match found {
            Err(LoadError::Empty) => Ok(Vec::new()),
            other => other,
        };
        let certificates = some(certificates_from_pem(text))?;
        let lists = some(revocation_lists_from_pem(text))?;
        match certificates.is_empty() && lists.is_empty() {
            true => Err(LoadError::Empty),
            false => Ok(Self { certificates, lists }),
        }
    }
}
