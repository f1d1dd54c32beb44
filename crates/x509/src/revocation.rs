//! Revocation lists (RFC 5280 section 5): which of them cover a certificate, and what they say about it.

use crate::certificate::{Parsed, Signed};
use crate::distinguished::CanonicalName;
use crate::search::Path;
use crate::signatures::Verifier;
use crate::time::unix_time;
use crate::{RevocationPolicy, X509Error};
use conclave_mls::UnixTime;
use rustls_pki_types::SubjectPublicKeyInfoDer;
use std::sync::{Mutex, PoisonError};
use webpki::{CertRevocationList, OwnedCertRevocationList};
use x509_cert::der::asn1::AnyRef;
use x509_cert::der::{Decode, Reader, SliceReader};
use x509_cert::ext::pkix::crl::dp::{DistributionPoint, IssuingDistributionPoint};
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::name::Name;
use x509_cert::time::Time;

/// The number of keys for which a list remembers whether they signed it.
const MAX_SIGNERS: usize = 32;

/// A revocation list.
pub(crate) struct RevocationList {
    list: CertRevocationList<'static>,
    der: Vec<u8>,
    issuer: CanonicalName,
    /// When the list was issued.
    this_update: UnixTime,
    /// When its successor is due.
    next_update: UnixTime,
    /// The part of the issuer's certificates that the list covers. None: all of them.
    scope: Option<IssuingDistributionPoint>,
    /// Keys that were tried on the signature: the provider, the key, and the result.
    signers: Mutex<Vec<(&'static str, Vec<u8>, bool)>>,
}

impl RevocationList {
    /// Parses a list. None if it is malformed or of a kind that is not supported.
    pub(crate) fn parse(der: &[u8]) -> Option<Self> {
        let list = CertRevocationList::from(OwnedCertRevocationList::from_der(der).ok()?);
        let scope = list.issuing_distribution_point().map(IssuingDistributionPoint::from_der);
        let scope = scope.transpose().ok()?;

        // The library accepted the list as one of version 2, so the version is present.
        let Signed { message, .. } = Signed::split(der)?;
        let mut r = SliceReader::new(AnyRef::from_der(message).ok()?.value()).ok()?;
        let _version = r.tlv_bytes().ok()?;
        let _signature_algorithm = r.tlv_bytes().ok()?;
        let issuer = CanonicalName::of(&Name::decode(&mut r).ok()?)?;
        let this_update = unix_time(Time::decode(&mut r).ok()?.to_unix_duration());
        let next_update = unix_time(Time::decode(&mut r).ok()?.to_unix_duration());

        let der = der.to_vec();
        let signers = Mutex::default();
        Some(Self { list, der, issuer, this_update, next_update, scope, signers })
    }

    /// Whether this key signed the list. Each key is tried once.
    fn is_signed_by(&self, key: &SubjectPublicKeyInfoDer<'_>, verifier: &Verifier<'_>) -> bool {
        let Some(signed) = Signed::split(&self.der) else { return false };
        if verifier.algorithm(key, &signed).is_none() {
            return false;
        }
        let provider = verifier.provider_name();
        let known = |signers: &[(&str, Vec<u8>, bool)]| {
            let found = signers.iter().find(|(p, k, _)| *p == provider && **k == **key);
            found.map(|(_, _, valid)| *valid)
        };
        if let Some(valid) = known(&self.signers.lock().unwrap_or_else(PoisonError::into_inner)) {
            return valid;
        }

        let valid = verifier.verify_list(key, &signed).is_ok();
        let mut signers = self.signers.lock().unwrap_or_else(PoisonError::into_inner);
        if signers.len() < MAX_SIGNERS && known(&signers).is_none() {
            signers.push((provider, key.to_vec(), valid));
        }
        valid
    }

    /// Whether a certificate of the list's issuer is in the list's scope (RFC 5280 section 6.3.3, steps b.2
    /// and c). If that cannot be decided, it is not: the list of one distribution point says nothing about a
    /// certificate that names no point.
    fn covers(&self, certificate: &Parsed) -> bool {
        let Some(scope) = &self.scope else { return true };
        if scope.only_contains_ca_certs && !certificate.is_ca()
            || scope.only_contains_user_certs && certificate.is_ca()
            || scope.only_contains_attribute_certs
            || scope.indirect_crl
            || scope.only_some_reasons.is_some()
        {
            return false;
        }
        let names = match &scope.distribution_point {
            None => return true,
            Some(DistributionPointName::FullName(names)) => names,
            Some(DistributionPointName::NameRelativeToCRLIssuer(_)) => return false,
        };

        let points = certificate.distribution_points();
        let points = points.iter().flat_map(|points| &points.0);
        // Points of other issuers or for a part of the reasons do not belong to this list.
        let points = points.filter(|p| p.crl_issuer.is_none() && p.reasons.is_none());
        let published =
            points.filter_map(|point: &DistributionPoint| match &point.distribution_point {
                Some(DistributionPointName::FullName(names)) => Some(names),
                _ => None,
            });
        published.flatten().any(|name| names.iter().any(|own| is_same_name(own, name)))
    }

    /// Whether the list revokes a certificate of its issuer.
    fn revokes(&self, certificate: &Parsed) -> bool {
        // A list that cannot be read revokes every certificate. It was readable when it was set.
        self.list.find_serial(&certificate.serial).map_or(true, |entry| entry.is_some())
    }
}

/// Whether two names of distribution points are the same.
fn is_same_name(a: &GeneralName, b: &GeneralName) -> bool {
    match (a, b) {
        (GeneralName::DirectoryName(a), GeneralName::DirectoryName(b)) => {
            CanonicalName::of(a).is_some_and(|a| CanonicalName::of(b) == Some(a))
        }
        (a, b) => a == b,
    }
}

/// The application's revocation lists.
#[derive(Default)]
pub(crate) struct Revocation {
    pub(crate) lists: Vec<RevocationList>,
    pub(crate) policy: RevocationPolicy,
}

impl Revocation {
    /// Checks the end entity of a path.
    pub(crate) fn check_end_entity(
        &self,
        path: &Path<'_>,
        now: UnixTime,
        verifier: &Verifier<'_>,
    ) -> Result<(), X509Error> {
        self.check_at(path, 0, now, verifier)
    }

    /// Checks the CAs of a path, if the policy asks for it. A revoked CA is reported rather than a missing
    /// list of another.
    pub(crate) fn check_issuers(
        &self,
        path: &Path<'_>,
        now: UnixTime,
        verifier: &Verifier<'_>,
    ) -> Result<(), X509Error> {
        let count = if self.policy.whole_chain { path.certificates.len() } else { 0 };
        let errors = (1..count).filter_map(|i| self.check_at(path, i, now, verifier).err());
        let errors: Vec<_> = errors.collect();
        let revoked = errors.iter().find(|error| **error == X509Error::Revoked);
        revoked.or(errors.first()).map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Checks one certificate of a path. Lists are always judged by `now`, even if the path is judged by
    /// another time.
    fn check_at(
        &self,
        path: &Path<'_>,
        index: usize,
        now: UnixTime,
        verifier: &Verifier<'_>,
    ) -> Result<(), X509Error> {
        if self.lists.is_empty() {
            return Ok(());
        }
        let Some(certificate) = path.certificates.get(index) else { return Ok(()) };
        let (key, may_sign) = match path.certificates.get(index + 1) {
            Some(issuer) => (&issuer.key, issuer.may_sign_lists() == Some(true)),
            None => (&path.root.key, true),
        };

        // A list's issuer is identified by its key: a name can have many owners, and a CA many keys.
        let named: Vec<_> = self.lists.iter().filter(|l| l.issuer == certificate.issuer).collect();
        let own = named.iter().filter(|list| list.is_signed_by(key, verifier));
        let own: Vec<_> = own.collect();
        let covering: Vec<_> = own.iter().filter(|list| list.covers(certificate)).collect();

        // Only a key that may sign lists can clear a certificate (RFC 5280 section 6.3.3, step f).
        let RevocationPolicy { accept_unknown, accept_expired_lists, .. } = self.policy;
        let can_clear = |list: &RevocationList| {
            may_sign && list.this_update <= now && (accept_expired_lists || list.next_update > now)
        };
        let clearing = covering.iter().filter(|list| can_clear(list));
        let newest = clearing.map(|list| list.this_update).max();

        // Of several lists the newest counts. A list that cannot clear a certificate can still revoke it,
        // unless a newer list clears it.
        let mut recent = covering.iter().filter(|list| Some(list.this_update) >= newest);
        if recent.any(|list| list.revokes(certificate)) {
            return Err(X509Error::Revoked);
        }
        if newest.is_some() || accept_unknown {
            return Ok(());
        }
        let expired = covering.iter().filter(|list| may_sign && list.next_update <= now);
        Err(match expired.map(|list| list.next_update).max() {
            Some(next_update) => X509Error::RevocationListExpired { next_update },
            None if !named.is_empty() && (own.is_empty() || !may_sign) => {
                X509Error::RevocationListInvalid
            }
            None => X509Error::RevocationUnknown,
        })
    }
}
