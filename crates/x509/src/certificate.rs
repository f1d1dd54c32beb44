//! A single certificate, parsed by both libraries: one verifies paths, the other gives access to the
//! fields.

use crate::distinguished::CanonicalName;
use crate::time::unix_time;
use crate::{PresentedIdentifiers, X509Error};
use conclave_mls::UnixTime;
use rustls_pki_types::{AlgorithmIdentifier, CertificateDer, SubjectPublicKeyInfoDer};
use std::collections::BTreeSet;
use webpki::EndEntityCert;
use x509_cert::Certificate;
use x509_cert::der::asn1::{AnyRef, BitStringRef, ObjectIdentifier};
use x509_cert::der::{Decode, Encode, Reader, SliceReader};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, CrlDistributionPoints, ExtendedKeyUsage, KeyUsage,
    NameConstraints, SubjectAltName, SubjectKeyIdentifier,
};

/// `emailAddress` (RFC 5280 appendix A.1): a mail address inside a distinguished name.
const EMAIL_ADDRESS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.1");

/// A well-formed certificate. Nothing about it has been verified.
pub(crate) struct Parsed {
    der: CertificateDer<'static>,
    fields: Certificate,
    pub(crate) subject: CanonicalName,
    pub(crate) issuer: CanonicalName,
    /// The subject's key.
    pub(crate) key: SubjectPublicKeyInfoDer<'static>,
    /// The serial number, as a revocation list holds it.
    pub(crate) serial: Vec<u8>,
}

impl Parsed {
    /// Parses the certificate at a place of a chain.
    pub(crate) fn parse(der: &[u8], index: usize) -> Result<Self, X509Error> {
        let malformed = || X509Error::Malformed { index };
        let der = CertificateDer::from(der.to_vec());
        let certificate = EndEntityCert::try_from(&der).map_err(|e| match e {
            webpki::Error::UnsupportedCriticalExtension => X509Error::UnsupportedCriticalExtension,
            webpki::Error::ExtensionValueInvalid => X509Error::DuplicateExtension { index },
            _ => malformed(),
        })?;
        let key = certificate.subject_public_key_info();
        let serial = certificate.serial().to_vec();

        let fields = Certificate::from_der(&der).map_err(|_| malformed())?;
        let tbs = fields.tbs_certificate();

        // RFC 5280 section 4.2: "A certificate MUST NOT include more than one instance of a
        // particular extension." The library checks this only for the extensions that it knows.
        let mut seen = BTreeSet::new();
        if !tbs.extensions().into_iter().flatten().all(|e| seen.insert(e.extn_id)) {
            return Err(X509Error::DuplicateExtension { index });
        }

        let subject = CanonicalName::of(tbs.subject()).ok_or_else(malformed)?;
        let issuer = CanonicalName::of(tbs.issuer()).ok_or_else(malformed)?;
        Ok(Self { der, fields, subject, issuer, key, serial })
    }

    pub(crate) fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// Splits the certificate into what is signed and the signature.
    pub(crate) fn signed(&self) -> Option<Signed<'_>> {
        Signed::split(&self.der)
    }

    /// The subject in DER.
    pub(crate) fn subject_der(&self) -> Option<Vec<u8>> {
        self.fields.tbs_certificate().subject().to_der().ok()
    }

    /// The issuer in DER.
    pub(crate) fn issuer_der(&self) -> Option<Vec<u8>> {
        self.fields.tbs_certificate().issuer().to_der().ok()
    }

    /// Whether the public key belongs to an algorithm, parameters included.
    pub(crate) fn has_key_of(&self, algorithm: AlgorithmIdentifier) -> bool {
        self.key_algorithm().is_some_and(|content| content == algorithm.as_ref())
    }

    /// The content of the AlgorithmIdentifier of the public key.
    pub(crate) fn key_algorithm(&self) -> Option<Vec<u8>> {
        let spki = &self.fields.tbs_certificate().subject_public_key_info().algorithm;
        let mut content = spki.oid.to_der().ok()?;
        let parameters = spki.parameters.as_ref().map(Encode::to_der).transpose().ok()?;
        content.extend(parameters.unwrap_or_default());
        Some(content)
    }

    /// The public key's bits, if they form whole bytes.
    pub(crate) fn public_key(&self) -> Option<&[u8]> {
        self.fields.tbs_certificate().subject_public_key_info().subject_public_key.as_bytes()
    }

    /// Whether the key may sign messages. None if the extension is malformed.
    pub(crate) fn may_sign(&self) -> Option<bool> {
        self.allows(KeyUsage::digital_signature)
    }

    /// Whether the key may sign certificates. None if the extension is malformed.
    pub(crate) fn may_sign_certificates(&self) -> Option<bool> {
        self.allows(KeyUsage::key_cert_sign)
    }

    /// Whether the key may sign revocation lists. None if the extension is malformed.
    pub(crate) fn may_sign_lists(&self) -> Option<bool> {
        self.allows(KeyUsage::crl_sign)
    }

    /// A key without the extension may be used for everything (RFC 5280 section 4.2.1.3).
    fn allows(&self, usage: impl Fn(&KeyUsage) -> bool) -> Option<bool> {
        let extension = self.fields.tbs_certificate().get_extension::<KeyUsage>().ok()?;
        Some(extension.is_none_or(|(_, allowed)| usage(&allowed)))
    }

    /// Whether the certificate names purposes for its key.
    pub(crate) fn has_key_purposes(&self) -> bool {
        let purposes = self.fields.tbs_certificate().get_extension::<ExtendedKeyUsage>();
        purposes.is_ok_and(|found| found.is_some())
    }

    /// Whether the subject is a CA (RFC 5280 section 4.2.1.9).
    pub(crate) fn is_ca(&self) -> bool {
        let constraints = self.fields.tbs_certificate().get_extension::<BasicConstraints>();
        constraints.is_ok_and(|found| found.is_some_and(|(_, c)| c.ca))
    }

    /// The identifier of the subject's key. It helps to find issuers but proves nothing.
    pub(crate) fn key_id(&self) -> Option<Vec<u8>> {
        let extension = self.fields.tbs_certificate().get_extension::<SubjectKeyIdentifier>();
        let (_, SubjectKeyIdentifier(id)) = extension.ok()??;
        Some(id.as_bytes().to_vec())
    }

    /// The identifier of the issuer's key, which proves nothing either.
    pub(crate) fn issuer_key_id(&self) -> Option<Vec<u8>> {
        let extension = self.fields.tbs_certificate().get_extension::<AuthorityKeyIdentifier>();
        let (_, AuthorityKeyIdentifier { key_identifier, .. }) = extension.ok()??;
        Some(key_identifier?.as_bytes().to_vec())
    }

    /// Where the certificate's revocation lists are published. None if it does not say, or if the extension
    /// is malformed.
    pub(crate) fn distribution_points(&self) -> Option<CrlDistributionPoints> {
        let extension = self.fields.tbs_certificate().get_extension::<CrlDistributionPoints>();
        Some(extension.ok()??.1)
    }

    /// Whether the certificate constrains the mail addresses in certificates below it.
    pub(crate) fn constrains_mail(&self) -> bool {
        constrains_mail(&self.fields)
    }

    /// Whether the only mail address is in the distinguished name. Without alternative names, name
    /// constraints apply to that address (RFC 5280 section 4.2.1.10).
    pub(crate) fn has_mail_in_subject_alone(&self) -> bool {
        let tbs = self.fields.tbs_certificate();
        let alternatives = tbs.get_extension::<SubjectAltName>();
        alternatives.is_ok_and(|found| found.is_none())
            && tbs.subject().iter().any(|a| a.oid == EMAIL_ADDRESS)
    }

    /// The first second of validity.
    pub(crate) fn not_before(&self) -> UnixTime {
        unix_time(self.fields.tbs_certificate().validity().not_before.to_unix_duration())
    }

    /// The last second of validity.
    pub(crate) fn not_after(&self) -> UnixTime {
        unix_time(self.fields.tbs_certificate().validity().not_after.to_unix_duration())
    }

    /// The names that the certificate presents. None if they are malformed.
    pub(crate) fn presented(&self) -> Option<PresentedIdentifiers> {
        PresentedIdentifiers::of(&self.fields)
    }

    /// The names of a CA, without those that are malformed.
    pub(crate) fn presented_by_authority(&self) -> PresentedIdentifiers {
        PresentedIdentifiers::of_authority(&self.fields)
    }
}

/// Whether a certificate constrains the mail addresses in certificates below it. A malformed constraint
/// counts as one.
pub(crate) fn constrains_mail(certificate: &Certificate) -> bool {
    let Ok(constraints) = certificate.tbs_certificate().get_extension::<NameConstraints>() else {
        return true;
    };
    let Some((_, constraints)) = constraints else { return false };
    let NameConstraints { permitted_subtrees, excluded_subtrees } = constraints;
    let subtrees = permitted_subtrees.into_iter().chain(excluded_subtrees).flatten();
    subtrees.into_iter().any(|subtree| matches!(subtree.base, GeneralName::Rfc822Name(_)))
}

/// The three parts of a certificate or a revocation list (RFC 5280 sections 4.1.1 and 5.1.1).
#[derive(Clone, Copy)]
pub(crate) struct Signed<'a> {
    /// The signed part, with its tag and length.
    pub(crate) message: &'a [u8],
    /// The content of the AlgorithmIdentifier.
    pub(crate) algorithm: &'a [u8],
    pub(crate) signature: &'a [u8],
}

impl<'a> Signed<'a> {
    /// Splits DER of this form. None if it has another.
    pub(crate) fn split(der: &'a [u8]) -> Option<Self> {
        let outer = AnyRef::from_der(der).ok()?;
        let mut r = SliceReader::new(outer.value()).ok()?;
        let message = r.tlv_bytes().ok()?;
        let algorithm = AnyRef::decode(&mut r).ok()?.value();
        let signature = BitStringRef::decode(&mut r).ok()?.as_bytes()?;
        Some(Self { message, algorithm, signature })
    }
}
