//! One certificate, parsed by both libraries: the one that verifies paths and the one that shows
//! fields.

use crate::{PresentedIdentifiers, X509Error};
use rustls_pki_types::{AlgorithmIdentifier, CertificateDer};
use webpki::EndEntityCert;
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::KeyUsage;

/// A certificate that is well-formed by itself; nothing about it is verified.
pub(crate) struct Parsed(Certificate);

impl Parsed {
    /// Parses the certificate at a place of a chain.
    pub(crate) fn parse(der: &[u8], index: usize) -> Result<Self, X509Error> {
        EndEntityCert::try_from(&CertificateDer::from(der)).map_err(|e| match e {
            webpki::Error::UnsupportedCriticalExtension => X509Error::UnsupportedCriticalExtension,
            _ => X509Error::Malformed { index },
        })?;
        Certificate::from_der(der).map(Self).map_err(|_| X509Error::Malformed { index })
    }

    /// Whether the public key is of an algorithm, parameters included.
    pub(crate) fn has_key_of(&self, algorithm: AlgorithmIdentifier) -> bool {
        let spki = &self.0.tbs_certificate().subject_public_key_info().algorithm;
        let parts = (spki.oid.to_der(), spki.parameters.as_ref().map(Encode::to_der).transpose());
        let (Ok(mut content), Ok(parameters)) = parts else { return false };
        content.extend(parameters.unwrap_or_default());
        content == algorithm.as_ref()
    }

    /// The public key's bits, if they are whole bytes.
    pub(crate) fn public_key(&self) -> Option<&[u8]> {
        self.0.tbs_certificate().subject_public_key_info().subject_public_key.as_bytes()
    }

    /// Whether the key may sign messages. None if the extension is malformed.
    pub(crate) fn may_sign(&self) -> Option<bool> {
        self.allows(KeyUsage::digital_signature)
    }

    /// Whether the key may sign certificates. None if the extension is malformed.
    pub(crate) fn may_sign_certificates(&self) -> Option<bool> {
        self.allows(KeyUsage::key_cert_sign)
    }

    /// A key without the extension may be used for everything (RFC 5280 section 4.2.1.3).
    fn allows(&self, usage: impl Fn(&KeyUsage) -> bool) -> Option<bool> {
        let extension = self.0.tbs_certificate().get_extension::<KeyUsage>().ok()?;
        Some(extension.is_none_or(|(_, allowed)| usage(&allowed)))
    }

    /// The last second of validity, in Unix time.
    pub(crate) fn not_after(&self) -> u64 {
        self.0.tbs_certificate().validity().not_after.to_unix_duration().as_secs()
    }

    /// Its names; none if they are malformed.
    pub(crate) fn presented(&self) -> Option<PresentedIdentifiers> {
        PresentedIdentifiers::of(&self.0)
    }
}
