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
    /// Which part of its issuer's certificates it covers: an extension in DER, empty for all of them.
    pub(crate) scope: Vec<u8>,
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
            scope,
            version: (version, seconds(&content.this_update)?),
            next_update: seconds(content.next_update.as_ref()?)?,
            revoked: content.revoked_certificates.as_ref().map_or(0, Vec::len),
        })
    }
}

/// The place of the root that signed a list; none if none of these did. Two roots may have one name.
pub(crate) fn signer(
    provider: &dyn CryptoProvider,
    roots: &[Vec<u8>],
    der: &[u8],
) -> Option<usize> {
    let list = CertificateList::<x509_cert::certificate::Rfc5280>::from_der(der).ok()?;
    let content = list.tbs_cert_list.to_der().ok()?;
    let signature = list.signature.as_bytes()?;
    let issuer = list.tbs_cert_list.issuer.to_der().ok()?;
    roots.iter().position(|root| {
        let Some(root) = EndEntity::from_der(root) else { return false };
        let Some(scheme) = root.scheme else { return false };
        root.presented.subject == issuer
            && provider.verify(scheme, &root.key, &content, signature).is_ok()
    })
}
