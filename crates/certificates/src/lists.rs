//! Revocation lists as they come: what they are called, and who signed them.

use conclave_mls::UnixTime;
use conclave_mls::crypto::CryptoProvider;
use conclave_x509::EndEntity;
use x509_cert::crl::CertificateList;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::CrlNumber;
use x509_cert::ext::pkix::crl::IssuingDistributionPoint;

/// What a revocation list says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListInfo {
    /// Its issuer's name in DER, and which part of the issuer's certificates it covers.
    pub(crate) slot: (Vec<u8>, Vec<u8>),
    /// Its number, as big-endian bytes of one length, and its time: of two lists, the greater is the newer one.
    pub(crate) version: ([u8; 20], UnixTime),
    /// When its successor is due.
    pub next_update: UnixTime,
    /// How many certificates it revokes.
    pub revoked: usize,
}

impl ListInfo {
    /// Reads a list in DER, without checking its signature. None if it is malformed, or has no number or no date of
    /// the next one.
    #[must_use]
    pub fn of(der: &[u8]) -> Option<Self> {
        let list = CertificateList::<x509_cert::certificate::Rfc5280>::from_der(der).ok()?;
        let content = &list.tbs_cert_list;
        let extension = |oid| {
            let all = content.crl_extensions.iter().flatten();
            all.into_iter().find(move |e| e.extn_id == oid).map(|e| e.extn_value.as_bytes())
        };
        use x509_cert::der::oid::AssociatedOid;
        let CrlNumber(number) = CrlNumber::from_der(extension(CrlNumber::OID)?).ok()?;
        // RFC 5280 section 5.2.3: at most 20 bytes.
        let mut version = [0; 20];
        let bytes = number.as_bytes();
        version.get_mut(20usize.checked_sub(bytes.len())?..)?.copy_from_slice(bytes);

        let scope = extension(IssuingDistributionPoint::OID).unwrap_or_default().to_vec();
        let seconds =
            |time: &x509_cert::time::Time| UnixTime::from_secs(time.to_unix_duration().as_secs());
        Some(Self {
            slot: (content.issuer.to_der().ok()?, scope),
            version: (version, seconds(&content.this_update)?),
            next_update: seconds(content.next_update.as_ref()?)?,
            revoked: content.revoked_certificates.as_ref().map_or(0, Vec::len),
        })
    }
}

/// Whether one of these roots signed a list.
pub(crate) fn is_signed_by(provider: &dyn CryptoProvider, roots: &[Vec<u8>], der: &[u8]) -> bool {
    let read = || {
        let list = CertificateList::<x509_cert::certificate::Rfc5280>::from_der(der).ok()?;
        let content = list.tbs_cert_list.to_der().ok()?;
        let signature = list.signature.as_bytes()?.to_vec();
        let issuer = list.tbs_cert_list.issuer.to_der().ok()?;
        Some((content, signature, issuer))
    };
    let Some((content, signature, issuer)) = read() else { return false };
    roots.iter().filter_map(|root| EndEntity::from_der(root)).any(|root| {
        let Some(scheme) = root.scheme else { return false };
        root.presented.subject == issuer
            && provider.verify(scheme, &root.key, &content, &signature).is_ok()
    })
}
