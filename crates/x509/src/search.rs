//! The search for paths from a certificate to the trust roots.
//!
//! The search goes from the roots down: a certificate is considered only once a trusted key could have
//! signed it. A certificate that no trusted key signed costs one check for each trusted key of its
//! issuer's name, no matter how many such certificates there are and how they refer to each other.

use crate::X509Error;
use crate::certificate::Parsed;
use crate::distinguished::CanonicalName;
use crate::names::PresentedIdentifiers;
use crate::signatures::{Failure, Origin, Verifier};
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer, TrustAnchor};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use x509_cert::der::Decode;

/// The most intermediate certificates on a path: as many as the certificate library follows, and one more,
/// for which it reports an error.
const MAX_INTERMEDIATES: usize = 7;

/// The most steps that the search for paths takes once all signatures are verified. Only CAs that certify
/// each other many times need more than a few.
const MAX_STEPS: usize = 256;

/// A trust root.
pub(crate) struct Root {
    pub(crate) anchor: TrustAnchor<'static>,
    pub(crate) der: CertificateDer<'static>,
    pub(crate) key: SubjectPublicKeyInfoDer<'static>,
    pub(crate) name: CanonicalName,
    pub(crate) presented: PresentedIdentifiers,
    /// Whether the root constrains the mail addresses in certificates below it.
    pub(crate) constrains_mail: bool,
}

impl Root {
    /// Parses a root. None if the certificate is malformed.
    pub(crate) fn parse(der: &[u8]) -> Option<Self> {
        let der = CertificateDer::from(der.to_vec());
        let anchor = webpki::anchor_from_trusted_cert(&der).ok()?.to_owned();
        let key = webpki::spki_for_anchor(&anchor);
        let fields = x509_cert::Certificate::from_der(&der).ok()?;
        let name = CanonicalName::of(fields.tbs_certificate().subject())?;
        let presented = PresentedIdentifiers::of_authority(&fields);
        let constrains_mail = crate::certificate::constrains_mail(&fields);
        Some(Self { anchor, der, key, name, presented, constrains_mail })
    }
}

/// The intermediate certificates that the application knows.
#[derive(Default)]
pub(crate) struct Intermediates {
    certificates: Vec<Parsed>,
    by_subject: BTreeMap<CanonicalName, Vec<usize>>,
}

impl Intermediates {
    pub(crate) fn new(certificates: Vec<Parsed>) -> Self {
        let mut by_subject: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (i, certificate) in certificates.iter().enumerate() {
            by_subject.entry(certificate.subject.clone()).or_default().push(i);
        }
        Self { certificates, by_subject }
    }

    pub(crate) fn len(&self) -> usize {
        self.certificates.len()
    }

    /// The largest number of certificates that share a name.
    pub(crate) fn most_of_one_name(&self) -> usize {
        self.by_subject.values().map(Vec::len).max().unwrap_or(0)
    }

    fn of_subject(&self, name: &CanonicalName) -> impl Iterator<Item = &Parsed> {
        let places = self.by_subject.get(name).into_iter().flatten();
        places.filter_map(|i| self.certificates.get(*i))
    }
}

/// A path whose signatures verify. Nothing else about it has been checked.
#[derive(Clone)]
pub(crate) struct Path<'a> {
    /// The end entity's certificate, then those of the intermediate CAs above it.
    pub(crate) certificates: Vec<&'a Parsed>,
    pub(crate) root: &'a Root,
    /// The root's place in the application's list.
    pub(crate) root_index: usize,
}

/// A certificate that may be on a path.
struct Candidate<'a> {
    certificate: &'a Parsed,
    origin: Origin,
    /// The trusted key that signed the certificate, once found.
    signer: Option<&'a SubjectPublicKeyInfoDer<'static>>,
    /// The number of trusted keys that have been tried.
    tried: usize,
}

/// The key of a root, or a key that a path from a root leads to.
struct TrustedKey<'a> {
    name: &'a CanonicalName,
    key: &'a SubjectPublicKeyInfoDer<'static>,
    key_id: Option<Vec<u8>>,
}

/// Finds the paths from a certificate to the roots, in an order that depends on nothing but the
/// certificates: the shortest first, then by their bytes.
///
/// # Errors
/// If there is no path, with the reason why the most promising one failed.
pub(crate) fn find_paths<'a>(
    chain: &'a [Parsed],
    intermediates: &'a Intermediates,
    roots: &'a [Root],
    verifier: &Verifier<'_>,
) -> Result<Vec<Path<'a>>, X509Error> {
    let mut search = Search {
        roots,
        candidates: candidates(chain, intermediates, roots),
        trusted: Vec::new(),
        failure: None,
        steps: 0,
    };
    search.verify(verifier);

    let mut paths = search.paths();
    paths.sort_by_cached_key(|path| {
        let certificates = path.certificates.iter().map(|c| c.der().to_vec());
        (path.certificates.len(), certificates.collect::<Vec<_>>(), path.root.der.to_vec())
    });
    if paths.is_empty() {
        let failure = search.failure.map_or(X509Error::UnknownIssuer, Into::into);
        return Err(if search.steps > MAX_STEPS { X509Error::PathTooComplex } else { failure });
    }
    Ok(paths)
}

/// Returns the end entity's certificate and those that could be above it by their names. The credential's
/// certificates come before the application's, in their order.
fn candidates<'a>(
    chain: &'a [Parsed],
    intermediates: &'a Intermediates,
    roots: &'a [Root],
) -> Vec<Candidate<'a>> {
    let Some((end_entity, given)) = chain.split_first() else { return Vec::new() };
    let candidate = |certificate, origin| Candidate { certificate, origin, signer: None, tried: 0 };
    let mut candidates = vec![candidate(end_entity, Origin::Credential)];

    let mut named = BTreeSet::from([&end_entity.issuer]);
    let mut pending = vec![&end_entity.issuer];
    let mut seen: BTreeSet<&[u8]> = roots.iter().map(|root| root.der.as_ref()).collect();
    seen.insert(end_entity.der());
    while let Some(name) = pending.pop() {
        let known = || intermediates.of_subject(name);
        let is_known = |c: &&Parsed| known().any(|known| known.der() == c.der());
        let given = given.iter().filter(|c| c.subject == *name && !is_known(c));
        let given = given.map(|c| (c, Origin::Shared));

        for (certificate, origin) in given.chain(known().map(|c| (c, Origin::Application))) {
            if !seen.insert(certificate.der()) {
                continue;
            }
            candidates.push(candidate(certificate, origin));
            if named.insert(&certificate.issuer) {
                pending.push(&certificate.issuer);
            }
        }
    }
    candidates
}

struct Search<'a> {
    roots: &'a [Root],
    /// The end entity's first.
    candidates: Vec<Candidate<'a>>,
    trusted: Vec<TrustedKey<'a>>,
    failure: Option<Failure>,
    steps: usize,
}

impl<'a> Search<'a> {
    /// Finds the candidates that a trusted key signed, from the roots down.
    fn verify(&mut self, verifier: &Verifier<'_>) {
        for root in self.roots {
            self.trust(TrustedKey { name: &root.name, key: &root.key, key_id: None });
        }

        let mut progress = true;
        while progress {
            progress = false;
            for i in 1..self.candidates.len() {
                progress |= self.find_signer(i, verifier);
            }
        }
        // The end entity signs nothing, so it comes last.
        self.find_signer(0, verifier);
    }

    fn trust(&mut self, trusted: TrustedKey<'a>) {
        let is_this = |t: &TrustedKey<'_>| t.name == trusted.name && t.key == trusted.key;
        if !self.trusted.iter().any(is_this) {
            self.trusted.push(trusted);
        }
    }

    /// Tries the trusted keys that have not been tried on a candidate. A signature verifies under one key, so
    /// the search ends with the first that fits.
    fn find_signer(&mut self, index: usize, verifier: &Verifier<'_>) -> bool {
        let Some(candidate) = self.candidates.get_mut(index) else { return false };
        if candidate.signer.is_some() {
            return false;
        }
        let certificate = candidate.certificate;
        let untried = self.trusted.iter().skip(candidate.tried);
        let mut untried: Vec<_> = untried.filter(|t| *t.name == certificate.issuer).collect();
        candidate.tried = self.trusted.len();
        if untried.is_empty() {
            return false;
        }

        let Some(signed) = certificate.signed() else { return false };
        // Among many keys of one name, the key identifier points to the right one (RFC 4158 section
        // 3.5.12).
        let wanted = certificate.issuer_key_id();
        untried.sort_by_key(|t| wanted.is_none() || t.key_id != wanted);

        for trusted in untried {
            match verifier.verify(trusted.key, &signed, candidate.origin) {
                Ok(()) => {
                    candidate.signer = Some(trusted.key);
                    let name = &certificate.subject;
                    let key_id = certificate.key_id();
                    self.trust(TrustedKey { name, key: &certificate.key, key_id });
                    return true;
                }
                Err(failure) => self.failure = self.failure.max(Some(failure)),
            }
        }
        false
    }

    /// Follows the signers of the end entity's certificate to the roots, by all paths, the shortest first. No
    /// path has the same name and key twice (RFC 4158 section 5.2).
    fn paths(&mut self) -> Vec<Path<'a>> {
        let mut paths = Vec::new();
        let end_entity = self.candidates.iter().take(1);
        let mut unfinished: VecDeque<Vec<&Candidate<'a>>> = end_entity.map(|c| vec![c]).collect();
        while let Some(path) = unfinished.pop_front() {
            self.steps += 1;
            if self.steps > MAX_STEPS {
                break;
            }
            let Some(Candidate { certificate: head, signer: Some(signer), .. }) = path.last()
            else {
                continue;
            };
            let is_issuer = |c: &Parsed| c.subject == head.issuer && c.key == **signer;
            if path.iter().any(|c| is_issuer(c.certificate)) {
                continue;
            }

            for (root_index, root) in self.roots.iter().enumerate() {
                if root.name == head.issuer && root.key == **signer {
                    let certificates = path.iter().map(|c| c.certificate).collect();
                    paths.push(Path { certificates, root, root_index });
                }
            }
            if path.len() > MAX_INTERMEDIATES {
                continue;
            }
            let issuers = self.candidates.iter().skip(1);
            for issuer in issuers.filter(|c| c.signer.is_some() && is_issuer(c.certificate)) {
                let mut longer = path.clone();
                longer.push(issuer);
                unfinished.push_back(longer);
            }
        }
        paths
    }
}
