//! The authentication service.

use crate::algorithm::{Algorithms, key_algorithm};
use crate::certificate::Parsed;
use crate::revocation::{Revocation, RevocationList};
use crate::search::{Intermediates, Path, Root, find_paths};
use crate::signatures::{SignatureCache, Verifier};
use crate::{
    Certified, IdentityPolicy, Moment, Predecessor, PresentedIdentifiers, RevocationPolicy,
    Settings, SetupError, X509Error,
};
use conclave_mls::credential::{CredentialRequest, CredentialSubject};
use conclave_mls::crypto::{CryptoProvider, SignatureScheme, Suite};
use conclave_mls::wire::Certificate;
use conclave_mls::{Credential, UnixTime, Verdict};
use core::fmt;
use std::collections::BTreeMap;

/// Judges X.509 credentials (section 5.3.1) by trust roots, a time and a policy. It has no clock and no
/// network access. Many threads can share one.
///
/// The answer does not depend on the order of the certificates in a credential, of those that the application
/// knows, or of its revocation lists.
pub struct X509Validator {
    roots: Vec<Root>,
    intermediates: Intermediates,
    revocation: Revocation,
    policy: Box<dyn IdentityPolicy>,
    settings: Settings,
    other_algorithms: Algorithms,
    cache: SignatureCache,
}

impl fmt::Debug for X509Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("X509Validator")
            .field("roots", &self.roots.len())
            .field("intermediates", &self.intermediates.len())
            .field("lists", &self.revocation.lists.len())
            .field("revocation", &self.revocation.policy)
            .field("settings", &self.settings)
            .field("other_algorithms", &self.other_algorithms)
            .finish_non_exhaustive()
    }
}

/// The person or device that a credential authenticates.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Authenticated {
    /// The identity according to the application's policy.
    pub identity: Vec<u8>,
    /// The names from which the identity is derived, and the CAs that vouch for them.
    pub certified: Certified,
    /// The last second at which the end entity's certificate is valid. Its owner should replace it before
    /// (section 5.3.2).
    pub not_after: UnixTime,
    /// Whether the end entity's certificate is revoked. Only true with
    /// [`Settings::accept_revoked_members`].
    pub revoked: bool,
}

impl X509Validator {
    /// Creates a validator with default settings that trusts the owners of the given certificates (DER) to
    /// name members. Only a root's name, key and name constraints are used. Whether a root is still to be
    /// trusted, its expiry included, is the caller's decision.
    ///
    /// # Errors
    /// If there is no root, or one is malformed.
    pub fn new(
        roots: &[impl AsRef<[u8]>],
        policy: impl IdentityPolicy + 'static,
    ) -> Result<Self, SetupError> {
        if roots.is_empty() {
            return Err(SetupError::NoRoots);
        }

        let root = |(i, der)| Root::parse(der).ok_or(SetupError::Root(i));
        let roots = roots.iter().map(AsRef::as_ref).enumerate().map(root);
        Ok(Self {
            roots: roots.collect::<Result<_, _>>()?,
            intermediates: Intermediates::default(),
            revocation: Revocation::default(),
            policy: Box::new(policy),
            settings: Settings::default(),
            other_algorithms: &[],
            cache: SignatureCache::default(),
        })
    }

    /// Replaces the limits and policies.
    #[must_use]
    pub fn with_settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Accepts signatures of RSA keys of 2048 to 8192 bits and of ECDSA with a hash other than the curve's own
    /// on certificates and revocation lists, as many CAs make them. AWS-LC verifies these, whatever provider
    /// the group has. All members have to accept the same, or a commit that some of them refuse splits the
    /// group.
    #[cfg(feature = "aws-lc-rs")]
    #[must_use]
    pub fn with_aws_lc(mut self) -> Self {
        self.other_algorithms = crate::algorithm::AWS_LC;
        self
    }

    /// Sets the intermediate certificates (DER) that credentials may leave out (section 5.3). They are not
    /// trusted in themselves.
    ///
    /// # Errors
    /// If one is malformed.
    pub fn with_intermediates(
        mut self,
        intermediates: &[impl AsRef<[u8]>],
    ) -> Result<Self, SetupError> {
        let mut known = Vec::with_capacity(intermediates.len());
        for (i, der) in intermediates.iter().map(AsRef::as_ref).enumerate() {
            let parsed = Parsed::parse(der, i).map_err(|_| SetupError::Intermediate(i))?;
            known.push(parsed);
        }
        self.intermediates = Intermediates::new(known);
        Ok(self)
    }

    /// Replaces the revocation lists (DER). Without lists, nothing is looked up.
    ///
    /// A list speaks for the CA whose key signed it, not for others of that CA's name. Of several lists for one
    /// certificate the newest counts. The list of one distribution point (RFC 5280 section 5.2.5) covers the
    /// certificates that name this point. A certificate that no list covers is refused, unless
    /// [`RevocationPolicy::accept_unknown`] is set.
    ///
    /// # Errors
    /// If a list is malformed or of a kind that is not supported. The former lists are kept.
    pub fn set_revocation_lists(
        &mut self,
        lists: &[impl AsRef<[u8]>],
        policy: RevocationPolicy,
    ) -> Result<(), SetupError> {
        let list = |(i, der)| RevocationList::parse(der).ok_or(SetupError::RevocationList(i));
        let lists = lists.iter().map(AsRef::as_ref).enumerate().map(list);
        let lists = lists.collect::<Result<_, _>>()?;
        self.revocation = Revocation { lists, policy };
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn remembered(&self) -> usize {
        self.cache.bytes()
    }

    /// Judges a credential for a group of this suite. The moment is the time of judging, or a [`Moment`] for
    /// a message that was sent earlier.
    ///
    /// Returns [`Verdict::Later`] if all that is missing is a fresh revocation list: set new lists and process
    /// the message again.
    #[must_use]
    pub fn judge(
        &self,
        suite: &Suite<'_>,
        moment: impl Into<Moment>,
        request: &CredentialRequest,
    ) -> Verdict {
        match self.validate(suite, moment, request) {
            Ok(_) => Verdict::Accept,
            Err(e) if e.needs_revocation_list() => Verdict::Later,
            Err(e) => Verdict::refuse(&e.to_string()),
        }
    }

    /// Judges credentials that stand or fall together, such as those of one commit, and returns a verdict for
    /// each in their order. Once a credential is not accepted, those after it get the same kind of verdict
    /// unseen. To judge each of them, call [`Self::judge`] for each.
    #[must_use]
    pub fn judge_all(
        &self,
        suite: &Suite<'_>,
        moment: impl Into<Moment>,
        requests: &[CredentialRequest],
    ) -> Vec<Verdict> {
        let moment = moment.into();
        let mut verdicts = Vec::with_capacity(requests.len());
        for request in requests {
            let verdict = self.judge(suite, moment, request);
            let others = match &verdict {
                Verdict::Accept => None,
                Verdict::Later => Some(Verdict::Later),
                Verdict::Refuse(_) => {
                    Some(Verdict::refuse("a credential before this one was refused"))
                }
            };
            verdicts.push(verdict);
            if let Some(others) = others {
                verdicts.resize(requests.len(), others);
                break;
            }
        }
        verdicts
    }

    /// Judges a credential as [`Self::judge`] does, and returns whom it authenticates.
    ///
    /// # Errors
    /// The rule that the credential breaks. [`X509Error::needs_revocation_list`] shows whether it may be
    /// acceptable later.
    pub fn validate(
        &self,
        suite: &Suite<'_>,
        moment: impl Into<Moment>,
        request: &CredentialRequest,
    ) -> Result<Authenticated, X509Error> {
        self.validate_key(suite.provider(), suite.params().signature, moment, request)
    }

    /// Judges a credential as [`Self::validate`] does, with a key of this signature scheme, outside of any
    /// group.
    ///
    /// # Errors
    /// As [`Self::validate`].
    pub fn validate_key(
        &self,
        provider: &dyn CryptoProvider,
        scheme: SignatureScheme,
        moment: impl Into<Moment>,
        request: &CredentialRequest,
    ) -> Result<Authenticated, X509Error> {
        let Credential::X509 { certificates } = &request.credential else {
            return Err(X509Error::NotX509);
        };
        let chain = self.parse(certificates)?;

        let end_entity = chain.first().ok_or(X509Error::EmptyChain)?;
        let presented = end_entity.presented().ok_or(X509Error::Malformed { index: 0 })?;
        let count = presented.count();
        if count > self.settings.max_identifiers {
            return Err(X509Error::TooManyIdentifiers { count });
        }

        check_key(scheme, end_entity, request)?;
        if self.settings.require_key_purpose && !end_entity.has_key_purposes() {
            return Err(X509Error::KeyPurpose);
        }

        let authenticated =
            self.authenticate(provider, moment.into(), request, &chain, presented)?;
        if let Some(old) = &request.replaces {
            self.check_successor(provider, old, &authenticated.certified)?;
        }
        Ok(authenticated)
    }

    /// Parses the certificates of a chain that is within the limits.
    fn parse(&self, chain: &[Certificate]) -> Result<Vec<Parsed>, X509Error> {
        let count = chain.len();
        if count > self.settings.max_chain {
            return Err(X509Error::ChainTooLong { count });
        }

        let lengths = chain.iter().map(|certificate| certificate.cert_data.len());
        let largest = self.settings.max_certificate_len;
        if let Some((index, len)) = lengths.enumerate().find(|(_, len)| *len > largest) {
            return Err(X509Error::CertificateTooLarge { index, len });
        }

        chain.iter().enumerate().map(|(i, c)| Parsed::parse(&c.cert_data, i)).collect()
    }

    /// Returns a verifier for the signatures of one credential.
    fn verifier<'a>(&'a self, provider: &'a dyn CryptoProvider) -> Verifier<'a> {
        let mut roots: BTreeMap<_, usize> = BTreeMap::new();
        for root in &self.roots {
            *roots.entry(&root.name).or_default() += 1;
        }
        let of_one_name = roots.values().copied().max().unwrap_or(0);
        let more = of_one_name.max(1) - 1 + self.intermediates.most_of_one_name();
        let budget = self.settings.max_signature_checks.saturating_add(more);
        Verifier::new(provider, self.other_algorithms, &self.cache, budget)
    }

    /// Returns whom a chain authenticates.
    fn authenticate(
        &self,
        provider: &dyn CryptoProvider,
        moment: Moment,
        request: &CredentialRequest,
        chain: &[Parsed],
        presented: PresentedIdentifiers,
    ) -> Result<Authenticated, X509Error> {
        let verifier = self.verifier(provider);
        let paths = find_paths(chain, &self.intermediates, &self.roots, &verifier)?;

        // First of all: a certificate that is revoked on one path is revoked, whatever other paths there are.
        let status =
            |path: &Path<'_>| self.revocation.check_end_entity(path, moment.now, &verifier);
        let statuses: Vec<_> = paths.iter().map(status).collect();
        let revoked = statuses.contains(&Err(X509Error::Revoked));
        if revoked && !(is_member(request) && self.settings.accept_revoked_members) {
            return Err(X509Error::Revoked);
        }

        let mut refusal = X509Error::UnknownIssuer;
        let mut progress = None;
        for (path, status) in paths.iter().zip(statuses) {
            let status = if revoked { Ok(()) } else { status };
            let certified = path.certified(presented.clone());
            // Revocation comes last, so that a missing list does not put off a refusal.
            let identified = self
                .check_rules(path, moment, request, &verifier)
                .and_then(|()| self.policy.identity(&certified).ok_or(X509Error::IdentityRefused))
                .and_then(|identity| {
                    self.revocation.check_issuers(path, moment.now, &verifier)?;
                    status.map(|()| identity)
                });
            match identified {
                Ok(identity) => {
                    let not_after = chain.first().map_or(UnixTime::MIN, Parsed::not_after);
                    return Ok(Authenticated { identity, certified, not_after, revoked });
                }
                Err(error) if Some(error.progress()) > progress => {
                    progress = Some(error.progress());
                    refusal = error;
                }
                Err(_) => {}
            }
        }
        Err(refusal)
    }

    /// Checks the path itself, without revocation and the policy.
    fn check_rules(
        &self,
        path: &Path<'_>,
        moment: Moment,
        request: &CredentialRequest,
        verifier: &Verifier<'_>,
    ) -> Result<(), X509Error> {
        let latest = moment.now.saturating_add(self.settings.clock_skew);
        let time = path.time(self.earliest(moment, request), moment.now, latest)?;
        path.check(time, &self.settings.key_purposes, verifier)
    }

    /// The earliest time at which it suffices that the certificates were valid. Section 5.3.2 distinguishes
    /// credentials that come into a group from those that are in it, and lets a client that was offline accept
    /// what was valid when it was sent.
    fn earliest(&self, moment: Moment, request: &CredentialRequest) -> UnixTime {
        let Moment { now, sent } = moment;
        let in_message = sent.unwrap_or(now).max(now.saturating_sub(self.settings.max_delay));
        if is_present(request) {
            in_message.min(now.saturating_sub(self.settings.member_grace))
        } else {
            in_message.min(now)
        }
    }

    /// Checks that the policy accepts the end entity as a successor of the owner of the old credential, which
    /// was accepted when it was new.
    fn check_successor(
        &self,
        provider: &dyn CryptoProvider,
        old: &Credential,
        new: &Certified,
    ) -> Result<(), X509Error> {
        let accepted = match old {
            Credential::X509 { certificates } => {
                let old = self
                    .predecessor(provider, certificates)
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

    /// Returns what an old credential says, and who vouched for it, if a path can be verified at the last time
    /// at which it was valid. None if the credential cannot be read.
    fn predecessor(
        &self,
        provider: &dyn CryptoProvider,
        chain: &[Certificate],
    ) -> Option<Certified> {
        let end_entity = Parsed::parse(&chain.first()?.cert_data, 0).ok()?;
        let presented = end_entity.presented()?;
        let certificate = end_entity.der().to_vec();
        let unverified =
            || Certified { presented: presented.clone(), certificate, issuers: vec![], root: None };

        let verifier = self.verifier(provider);
        let Ok(chain) = self.parse(chain) else { return Some(unverified()) };
        let paths = find_paths(&chain, &self.intermediates, &self.roots, &verifier);
        let purposes = &self.settings.key_purposes;
        let valid = |path: &Path<'_>| path.check(path.not_after(), purposes, &verifier).is_ok();
        let mut certified: Vec<_> = paths
            .unwrap_or_default()
            .iter()
            .filter(|path| valid(path))
            .map(|path| path.certified(presented.clone()))
            .collect();

        // It was accepted by a path that the policy accepts.
        let accepted = certified.iter().position(|c| self.policy.identity(c).is_some());
        if certified.is_empty() {
            return Some(unverified());
        }
        Some(certified.swap_remove(accepted.unwrap_or(0)))
    }
}

/// Whether the credential belongs to a member of a group that this client joins.
fn is_member(request: &CredentialRequest) -> bool {
    matches!((request.subject, &request.replaces), (CredentialSubject::Member(_), None))
}

/// Whether the credential is already part of a group that this client joins. A new external sender cannot be
/// told from an existing one.
fn is_present(request: &CredentialRequest) -> bool {
    is_member(request) || matches!(request.subject, CredentialSubject::ExternalSender(_))
}

/// Checks that the end entity's key is the leaf's (section 5.3).
fn check_key(
    scheme: SignatureScheme,
    end_entity: &Parsed,
    request: &CredentialRequest,
) -> Result<(), X509Error> {
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
