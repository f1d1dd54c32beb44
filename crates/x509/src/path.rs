//! The rules for a path beyond its signatures: validity, CA flags, path lengths, key usages and purposes,
//! name constraints.

use crate::certificate::{Parsed, Signed};
use crate::search::Path;
use crate::signatures::{Proof, Proven, Verifier};
use crate::{Authority, Certified, ObjectIdentifier, PresentedIdentifiers, X509Error};
use conclave_mls::UnixTime;
use core::time::Duration;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm};
use webpki::{
    EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeId, KeyPurposeIdIter, KeyUsage,
    RequiredEkuNotFoundContext,
};
use x509_cert::der::asn1::{Any, AnyRef};
use x509_cert::der::{Decode, Encode, Reader, SliceReader, Tag};
use x509_cert::spki::SubjectPublicKeyInfoRef;

impl Path<'_> {
    /// The last second before any of the certificates expires.
    pub(crate) fn not_after(&self) -> UnixTime {
        self.certificates.iter().map(|c| c.not_after()).min().unwrap_or(UnixTime::MIN)
    }

    /// Returns the time to judge the path by: the time nearest to `now`, between `earliest` and `latest`, at
    /// which all certificates are valid.
    pub(crate) fn time(
        &self,
        earliest: UnixTime,
        now: UnixTime,
        latest: UnixTime,
    ) -> Result<UnixTime, X509Error> {
        if self.certificates.iter().any(|c| c.not_before() > c.not_after()) {
            return Err(X509Error::InvalidValidity);
        }
        let not_after = self.not_after();
        if not_after < earliest {
            return Err(X509Error::Expired { not_after });
        }
        let not_before = self.certificates.iter().map(|c| c.not_before()).max();
        let not_before = not_before.unwrap_or(UnixTime::MIN);
        if not_before > not_after.min(latest) {
            return Err(X509Error::NotYetValid { not_before });
        }
        Ok(now.clamp(not_before, not_after))
    }

    /// Checks all rules but revocation, at the given time.
    pub(crate) fn check(
        &self,
        time: UnixTime,
        purposes: &[ObjectIdentifier],
        verifier: &Verifier<'_>,
    ) -> Result<(), X509Error> {
        self.check_by_library(time, purposes, verifier)?;

        // The library does not check key usages.
        let issuers = self.certificates.get(1..).unwrap_or_default();
        if issuers.iter().any(|issuer| issuer.may_sign_certificates() != Some(true)) {
            return Err(X509Error::IssuerKeyUsage);
        }

        // RFC 5280 section 4.2.1.10: constraints on mail addresses apply to the distinguished name of a
        // certificate without alternative names. They are not evaluated, as the library does not evaluate
        // them elsewhere: a certificate with such an address is refused.
        let above = |i: usize| self.certificates.iter().skip(i + 1);
        for (i, certificate) in self.certificates.iter().enumerate() {
            let constrained =
                self.root.constrains_mail || above(i).any(|issuer| issuer.constrains_mail());
            if constrained && certificate.has_mail_in_subject_alone() {
                return Err(X509Error::NameConstraint);
            }
        }
        Ok(())
    }

    /// Has the library check the path, and nothing else, with its signatures taken as verified.
    fn check_by_library(
        &self,
        time: UnixTime,
        purposes: &[ObjectIdentifier],
        verifier: &Verifier<'_>,
    ) -> Result<(), X509Error> {
        let links = self.links().ok_or(X509Error::Refused)?;
        let proofs: Option<Vec<_>> = links.iter().map(Link::proof).collect();
        let proofs = proofs.ok_or(X509Error::Refused)?;
        let proven: Vec<_> =
            verifier.algorithms().map(|algorithm| Proven { algorithm, proofs: &proofs }).collect();
        let algorithms: Vec<_> =
            proven.iter().map(|p| p as &dyn SignatureVerificationAlgorithm).collect();

        let mut certificates = links.iter().map(|link| CertificateDer::from(link.der.as_slice()));
        let end_entity = certificates.next().ok_or(X509Error::EmptyChain)?;
        let issuers: Vec<_> = certificates.collect();
        let roots = core::slice::from_ref(&self.root.anchor);

        let since_1970 = Duration::from_secs(time.as_secs());
        let time = rustls_pki_types::UnixTime::since_unix_epoch(since_1970);
        EndEntityCert::try_from(&end_entity)
            .and_then(|end_entity| {
                let purposes = Purposes(purposes);
                end_entity
                    .verify_for_usage(&algorithms, roots, &issuers, time, purposes, None, None)
                    .map(drop)
            })
            .map_err(X509Error::of_path)
    }

    /// The certificates with the keys that signed them.
    fn links(&self) -> Option<Vec<Link>> {
        let above = self.certificates.iter().skip(1);
        let names = above.clone().map(|issuer| issuer.subject_der());
        let root_name = Any::new(Tag::Sequence, self.root.anchor.subject.as_ref()).ok()?;
        let names = names.chain([root_name.to_der().ok()]);
        let keys = above.map(|issuer| issuer.key.to_vec()).chain([self.root.key.to_vec()]);
        let links = self.certificates.iter().zip(names.zip(keys));
        links.map(|(c, (name, key))| Link::new(c, &name?, key)).collect()
    }

    /// What the policy decides by.
    pub(crate) fn certified(&self, presented: PresentedIdentifiers) -> Certified {
        let authority = |c: &&Parsed| Authority {
            presented: c.presented_by_authority(),
            public_key: c.key.to_vec(),
            certificate: c.der().to_vec(),
        };
        let mut issuers: Vec<_> = self.certificates.iter().skip(1).map(authority).collect();
        issuers.push(Authority {
            presented: self.root.presented.clone(),
            public_key: self.root.key.to_vec(),
            certificate: self.root.der.to_vec(),
        });
        let certificate = self.certificates.first().map(|c| c.der().to_vec()).unwrap_or_default();
        Certified { presented, certificate, issuers, root: Some(self.root_index) }
    }
}

/// A certificate and the key that signed it.
struct Link {
    /// The certificate, with its issuer's name in the issuer's own spelling.
    der: Vec<u8>,
    /// The issuer's key.
    key: Vec<u8>,
}

impl Link {
    /// The library compares names byte for byte; RFC 5280 section 7.1 does not. If the spellings differ, the
    /// library gets a copy with the issuer's spelling. The copy's signature counts as verified because the
    /// original's was.
    fn new(certificate: &Parsed, issuer: &[u8], key: Vec<u8>) -> Option<Self> {
        if certificate.issuer_der()? == issuer {
            return Some(Self { der: certificate.der().to_vec(), key });
        }
        let Signed { message, .. } = certificate.signed()?;
        let mut r = SliceReader::new(AnyRef::from_der(message).ok()?.value()).ok()?;
        let version = r.tlv_bytes().ok()?;
        let serial = r.tlv_bytes().ok()?;
        let algorithm = r.tlv_bytes().ok()?;
        let _own_spelling = r.tlv_bytes().ok()?;
        let mut content = [version, serial, algorithm, issuer].concat();
        while !r.is_finished() {
            content.extend(r.tlv_bytes().ok()?);
        }
        let to_be_signed = Any::new(Tag::Sequence, content).ok()?.to_der().ok()?;

        let mut r = SliceReader::new(AnyRef::from_der(certificate.der()).ok()?.value()).ok()?;
        let _original = r.tlv_bytes().ok()?;
        let algorithm = r.tlv_bytes().ok()?;
        let signature = r.tlv_bytes().ok()?;
        let content = [&to_be_signed, algorithm, signature].concat();
        Some(Self { der: Any::new(Tag::Sequence, content).ok()?.to_der().ok()?, key })
    }

    fn proof(&self) -> Option<Proof<'_>> {
        let Signed { message, signature, .. } = Signed::split(&self.der)?;
        let key = SubjectPublicKeyInfoRef::from_der(&self.key).ok()?.subject_public_key;
        Some(Proof { key: key.as_bytes()?, message, signature })
    }
}

/// The accepted extended key usages: a certificate that has any must have one of them.
struct Purposes<'a>(&'a [ObjectIdentifier]);

impl ExtendedKeyUsageValidator for Purposes<'_> {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        let mut present = Vec::new();
        for purpose in purposes {
            let purpose = purpose?;
            if self.0.iter().any(|oid| KeyPurposeId::new(oid.as_bytes()) == purpose) {
                return Ok(());
            }
            present.push(purpose.to_decoded_oid());
        }
        if present.is_empty() {
            return Ok(());
        }

        // The library's error names one required purpose, which is not shown.
        let required = KeyUsage::client_auth();
        let context = RequiredEkuNotFoundContext { required, present };
        Err(webpki::Error::RequiredEkuNotFoundContext(context))
    }
}
