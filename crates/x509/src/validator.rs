//! The authentication service.

use crate::algorithm::{MORE_ALGORITHMS, ProviderAlgorithm, key_algorithm};
use crate::certificate::Parsed;
use crate::{
    IdentityPolicy, ObjectIdentifier, Predecessor, PresentedIdentifiers, RevocationPolicy,
    Settings, SetupError, X509Error,
};
use conclave_mls::crypto::Suite;
use conclave_mls::wire::Certificate;
use conclave_mls::{Credential, CredentialRequest, CredentialSubject, Verdict};
use core::cell::Cell;
use core::fmt;
use core::time::Duration;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, ExtendedKeyUsageValidator, KeyPurposeId,
    KeyPurposeIdIter, KeyUsage, OwnedCertRevocationList, RequiredEkuNotFoundContext,
    RevocationCheckDepth, RevocationOptions, RevocationOptionsBuilder, UnknownStatusPolicy,
    VerifiedPath, anchor_from_trusted_cert,
};
use x509_cert::der::asn1::AnyRef;
use x509_cert::der::{Decode, SliceReader};
use x509_cert::time::Time;

/// How often the time of a path is set back: once for each certificate of the longest path.
const MAX_ROUNDS: usize = 8;

/// Judges X.509 credentials (section 5.3.1): against trust roots, a time and a policy. It has no
/// clock and asks nobody; many threads can share one.
pub struct X509Validator {
    roots: Vec<TrustAnchor<'static>>,
    intermediates: Vec<CertificateDer<'static>>,
    lists: Vec<RevocationList>,
    revocation: RevocationPolicy,
    policy: Box<dyn IdentityPolicy>,
    settings: Settings,
}

/// A revocation list with when its successor is due, in Unix time.
struct RevocationList {
    list: CertRevocationList<'static>,
    next_update: u64,
}

impl fmt::Debug for X509Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("X509Validator")
            .field("roots", &self.roots.len())
            .field("intermediates", &self.intermediates.len())
            .field("lists", &self.lists.len())
            .field("revocation", &self.revocation)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Whom a credential authenticates.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Authenticated {
    /// The identity by the application's policy.
    pub identity: Vec<u8>,
    /// The names that it is derived from.
    pub presented: PresentedIdentifiers,
    /// The last second that the end entity's certificate is valid, in Unix time: until then its
    /// owner should have replaced it (section 5.3.2).
    pub not_after: u64,
}

impl X509Validator {
    /// A validator that trusts the holders of the given certificates (DER) to name members, with
    /// default settings. Of a root, its name, key and name constraints count; that it is still to
    /// be trusted, expiry included, is for the caller to say.
    ///
    /// # Errors
    /// If there is none, or one is malformed.
    pub fn new(
        roots: &[impl AsRef<[u8]>],
        policy: impl IdentityPolicy + 'static,
    ) -> Result<Self, SetupError> {
        if roots.is_empty() {
            return Err(SetupError::NoRoots);
        }
        let anchor = |(i, der): (usize, &[u8])| {
            anchor_from_trusted_cert(&CertificateDer::from(der))
                .map(|anchor| anchor.to_owned())
                .map_err(|_| SetupError::Root(i))
        };
        let roots = roots.iter().map(AsRef::as_ref).enumerate().map(anchor);
        Ok(Self {
            roots: roots.collect::<Result<_, _>>()?,
            intermediates: Vec::new(),
            lists: Vec::new(),
            revocation: RevocationPolicy::default(),
            policy: Box::new(policy),
            settings: Settings::default(),
        })
    }

    /// With other limits and policies.
    #[must_use]
    pub fn with_settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Intermediate certificates (DER) that credentials may leave out (section 5.3). They are not
    /// trusted by themselves.
    ///
    /// # Errors
    /// If one is malformed.
    pub fn with_intermediates(
        mut self,
        intermediates: &[impl AsRef<[u8]>],
    ) -> Result<Self, SetupError> {
        let mut known = Vec::with_capacity(intermediates.len());
        for (i, der) in intermediates.iter().map(AsRef::as_ref).enumerate() {
            Parsed::parse(der, i).map_err(|_| SetupError::Intermediate(i))?;
            known.push(CertificateDer::from(der.to_vec()));
        }
        self.intermediates = known;
        Ok(self)
    }

    /// Replaces the revocation lists (DER). With none, nothing is looked up. Of several of one
    /// issuer and scope, the first counts: hand over the newest of each.
    ///
    /// # Errors
    /// If one is malformed or of a kind that is not supported; the former lists are kept.
    pub fn set_revocation_lists(
        &mut self,
        lists: &[impl AsRef<[u8]>],
        policy: RevocationPolicy,
    ) -> Result<(), SetupError> {
        let list = |(i, der): (usize, &[u8])| {
            let list = OwnedCertRevocationList::from_der(der).ok();
            list.zip(next_update(der))
                .map(|(list, next_update)| RevocationList { list: list.into(), next_update })
                .ok_or(SetupError::RevocationList(i))
        };
        let lists = lists.iter().map(AsRef::as_ref).enumerate().map(list);
        self.lists = lists.collect::<Result<_, _>>()?;
        self.revocation = policy;
        Ok(())
    }

    /// Judges a credential for a group of this suite, `now` in Unix time.
    #[must_use]
    pub fn judge(&self, suite: &Suite<'_>, now: u64, request: &CredentialRequest) -> Verdict {
        match self.validate(suite, now, request) {
            Ok(_) => Verdict::Accept,
            Err(e) => Verdict::refuse(&e.to_string()),
        }
    }

    /// Judges credentials, with a verdict for each in their order.
    #[must_use]
    pub fn judge_all(
        &self,
        suite: &Suite<'_>,
        now: u64,
        requests: &[CredentialRequest],
    ) -> Vec<Verdict> {
        requests.iter().map(|request| self.judge(suite, now, request)).collect()
    }

    /// As [`Self::judge`], and tells whom the credential authenticates.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn validate(
        &self,
        suite: &Suite<'_>,
        now: u64,
        request: &CredentialRequest,
    ) -> Result<Authenticated, X509Error> {
        let Credential::X509 { certificates } = &request.credential else {
            return Err(X509Error::NotX509);
        };
        let end_entity = self.check_form(certificates)?;
        let presented = end_entity.presented().ok_or(X509Error::Malformed { index: 0 })?;
        let count = presented.count();
        if count > self.settings.max_identifiers {
            return Err(X509Error::TooManyIdentifiers { count });
        }
        check_key(suite, &end_entity, request)?;
        self.check_path(suite, now, self.grace(request), certificates)?;
        let identity = self.policy.identity(&presented).ok_or(X509Error::IdentityRefused)?;
        if let Some(old) = &request.replaces {
            self.check_successor(old, &presented)?;
        }
        Ok(Authenticated { identity, presented, not_after: end_entity.not_after() })
    }

    /// Limits, and each certificate by itself; gives the end entity's.
    fn check_form(&self, chain: &[Certificate]) -> Result<Parsed, X509Error> {
        let count = chain.len();
        if count > self.settings.max_chain {
            return Err(X509Error::ChainTooLong { count });
        }
        let lengths = chain.iter().map(|certificate| certificate.cert_data.len());
        let largest = self.settings.max_certificate_len;
        if let Some((index, len)) = lengths.enumerate().find(|(_, len)| *len > largest) {
            return Err(X509Error::CertificateTooLarge { index, len });
        }
        let parse = |(i, c): (usize, &Certificate)| Parsed::parse(&c.cert_data, i);
        let mut parsed = chain.iter().enumerate().map(parse);
        let end_entity = parsed.next().ok_or(X509Error::EmptyChain)??;
        parsed.try_for_each(|issuer| issuer.map(drop))?;
        Ok(end_entity)
    }

    /// For how long after its expiry the credential is accepted: section 5.3.2 makes a difference
    /// between what comes into a group and what is there.
    fn grace(&self, request: &CredentialRequest) -> u64 {
        match (request.subject, &request.replaces) {
            (CredentialSubject::Member(_), None) => self.settings.member_grace,
            _ => 0,
        }
    }

    /// A path to a root, whose certificates were valid together at some time of the last `grace`
    /// seconds.
    fn check_path(
        &self,
        suite: &Suite<'_>,
        now: u64,
        grace: u64,
        chain: &[Certificate],
    ) -> Result<(), X509Error> {
        let own = chain.iter().map(|certificate| certificate.cert_data.as_ref());
        let known = self.intermediates.iter().map(AsRef::as_ref);
        let mut certificates = own.chain(known).map(CertificateDer::from);
        let end_entity = certificates.next().ok_or(X509Error::EmptyChain)?;
        let issuers: Vec<_> = certificates.collect();
        let earliest = now.saturating_sub(grace);
        let mut time = now;
        // Each round goes back to when the certificate that had expired still was valid.
        for _ in 0..MAX_ROUNDS {
            match self.find_path(suite, now, time, &end_entity, &issuers) {
                Err(X509Error::Expired { not_after }) if (earliest..time).contains(&not_after) => {
                    time = not_after;
                }
                result => return result,
            }
        }
        Err(X509Error::Expired { not_after: time })
    }

    /// A path whose certificates are valid at `time`, which is `now` or before.
    fn find_path(
        &self,
        suite: &Suite<'_>,
        now: u64,
        time: u64,
        end_entity: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
    ) -> Result<(), X509Error> {
        let schemes = ProviderAlgorithm::all(suite.provider());
        let mut algorithms: Vec<&dyn SignatureVerificationAlgorithm> = Vec::new();
        algorithms.extend(schemes.iter().map(|s| s as &dyn SignatureVerificationAlgorithm));
        algorithms.extend(MORE_ALGORITHMS);
        let lists = self.usable_lists(now, time)?;
        let issuer_refused = Cell::new(false);
        let check_issuers = |path: &VerifiedPath<'_>| {
            let fit = issuers_may_issue(path);
            issuer_refused.set(!fit);
            if fit { Ok(()) } else { Err(webpki::Error::EndEntityUsedAsCa) }
        };
        EndEntityCert::try_from(end_entity)
            .and_then(|end_entity| {
                end_entity
                    .verify_for_usage(
                        &algorithms,
                        &self.roots,
                        issuers,
                        UnixTime::since_unix_epoch(Duration::from_secs(time)),
                        Purposes(&self.settings.key_purposes),
                        self.revocation_options(&lists),
                        Some(&check_issuers),
                    )
                    .map(drop)
            })
            .map_err(|error| match error {
                webpki::Error::EndEntityUsedAsCa if issuer_refused.get() => {
                    X509Error::IssuerKeyUsage
                }
                error => X509Error::of_path(error),
            })
    }

    /// The revocation lists to look into. A list is judged by the time of the path: before now, only
    /// those count that would also count now. Else a revoked member would have a longer grace than one
    /// whose certificate is still valid, by keeping the newer list away.
    fn usable_lists(
        &self,
        now: u64,
        time: u64,
    ) -> Result<Vec<&CertRevocationList<'static>>, X509Error> {
        let RevocationPolicy { accept_unknown, accept_expired_lists, .. } = self.revocation;
        let counts =
            |list: &&RevocationList| time == now || accept_expired_lists || list.next_update > now;
        let lists: Vec<_> = self.lists.iter().filter(counts).map(|list| &list.list).collect();
        // Where there is no list at all, nothing is looked up.
        match lists.is_empty() && !self.lists.is_empty() && !accept_unknown {
            true => Err(X509Error::RevocationUnknown),
            false => Ok(lists),
        }
    }

    fn revocation_options<'a>(
        &self,
        lists: &'a [&'a CertRevocationList<'a>],
    ) -> Option<RevocationOptions<'a>> {
        let RevocationPolicy { whole_chain, accept_unknown, accept_expired_lists } =
            self.revocation;
        let depth = match whole_chain {
            true => RevocationCheckDepth::Chain,
            false => RevocationCheckDepth::EndEntity,
        };
        let unknown = match accept_unknown {
            true => UnknownStatusPolicy::Allow,
            false => UnknownStatusPolicy::Deny,
        };
        let expired = match accept_expired_lists {
            true => ExpirationPolicy::Ignore,
            false => ExpirationPolicy::Enforce,
        };
        let options = RevocationOptionsBuilder::new(lists).ok()?;
        let options = options.with_depth(depth).with_status_policy(unknown);
        Some(options.with_expiration_policy(expired).build())
    }

    /// Whether the policy takes the identifiers for a successor to those of the old credential,
    /// which was accepted when it was new.
    fn check_successor(
        &self,
        old: &Credential,
        new: &PresentedIdentifiers,
    ) -> Result<(), X509Error> {
        let accepted = match old {
            Credential::X509 { certificates } => {
                let old = certificates
                    .first()
                    .and_then(|certificate| {
                        Parsed::parse(&certificate.cert_data, 0).ok()?.presented()
                    })
                    .ok_or(X509Error::PredecessorUnreadable)?;
                self.policy.is_successor(Predecessor::X509(&old), new)
            }
            Credential::Basic { identity } => {
                self.policy.is_successor(Predecessor::Basic(identity), new)
            }
            _ => return Err(X509Error::PredecessorUnreadable),
        };
        if accepted { Ok(()) } else { Err(X509Error::IdentityChanged) }
    }
}

/// When the successor of a list is due (RFC 5280 section 5.1): of one of version 2, which is what the
/// path's verification takes.
fn next_update(list: &[u8]) -> Option<u64> {
    let list = AnyRef::from_der(list).ok()?;
    let mut r = SliceReader::new(list.value()).ok()?;
    let to_be_signed = AnyRef::decode(&mut r).ok()?;
    let mut r = SliceReader::new(to_be_signed.value()).ok()?;
    let _version = AnyRef::decode(&mut r).ok()?;
    let _signature_algorithm = AnyRef::decode(&mut r).ok()?;
    let _issuer = AnyRef::decode(&mut r).ok()?;
    let _this_update = Time::decode(&mut r).ok()?;
    Some(Time::decode(&mut r).ok()?.to_unix_duration().as_secs())
}

/// Whether the end entity's key is the leaf's (section 5.3).
fn check_key(
    suite: &Suite<'_>,
    end_entity: &Parsed,
    request: &CredentialRequest,
) -> Result<(), X509Error> {
    let scheme = suite.params().signature;
    if !key_algorithm(scheme).is_some_and(|algorithm| end_entity.has_key_of(algorithm)) {
        return Err(X509Error::WrongKeyAlgorithm { scheme });
    }
    if end_entity.public_key() != Some(&request.signature_key) {
        return Err(X509Error::WrongKey);
    }
    match end_entity.may_sign() {
        Some(true) => Ok(()),
        Some(false) => Err(X509Error::KeyUsage),
        None => Err(X509Error::Malformed { index: 0 }),
    }
}

/// Whether the keys of all intermediate CAs may sign certificates, which the library leaves open.
fn issuers_may_issue(path: &VerifiedPath<'_>) -> bool {
    path.intermediate_certificates().all(|issuer| {
        Parsed::parse(&issuer.der(), 0).is_ok_and(|i| i.may_sign_certificates() == Some(true))
    })
}

/// The extended key usages of which a certificate has to have one, if it has any.
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
        // The library's error has room for one purpose only; it is not shown.
        let required = KeyUsage::client_auth();
        let context = RequiredEkuNotFoundContext { required, present };
        Err(webpki::Error::RequiredEkuNotFoundContext(context))
    }
}
