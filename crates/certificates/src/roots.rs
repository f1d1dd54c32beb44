//! Whom to believe.

use crate::lists::{ListInfo, signer};
use crate::names::{device_in, domain_in};
use crate::pem::Bundle;
use conclave_account::DeviceId;
use conclave_mls::credential::{CredentialRequest, CredentialSubject, SignaturePublicKey};
use conclave_mls::crypto::{CryptoProvider, SignatureScheme};
use conclave_mls::group::LeafIndex;
use conclave_mls::{Credential, UnixTime};
use conclave_x509::{
    Certified, EndEntity, LoadError, Moment, RevocationPolicy, Settings, X509Error, X509Validator,
};
use core::fmt;
use core::time::Duration;

/// The most roots.
const MAX_ROOTS: usize = 16;
/// The most revocation lists: a CA may have several, each for a part of its certificates.
const MAX_LISTS: usize = 64;
/// The longest revocation list, in bytes: some 100,000 certificates.
const MAX_LIST: usize = 4 << 20;
/// For how long before it becomes valid a certificate is taken: the clocks of a CA and a device may differ.
const CLOCK_SKEW: Duration = Duration::from_secs(600);

/// Why certificates are no roots to trust.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RootsError {
    /// The text cannot be read.
    Load(LoadError),
    /// There is no certificate, or there are more than 16.
    Count(usize),
    /// The certificate at this place is malformed.
    Malformed(usize),
    /// The certificate at this place names no domain.
    NoDomain(usize),
    /// Two roots speak for different domains.
    Domains(String, String),
}

impl fmt::Display for RootsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load(e) => fmt::Display::fmt(e, f),
            Self::Count(0) => f.write_str("there is no root certificate"),
            Self::Count(n) => write!(f, "{n} root certificates are too many: {MAX_ROOTS} at most"),
            Self::Malformed(i) => write!(f, "root certificate {i} is malformed"),
            Self::NoDomain(i) => write!(
                f,
                "root certificate {i} does not say for which domain it speaks: it needs one URI among its \
                 alternative names, mimi://DOMAIN, as `conclave ca root` writes it"
            ),
            Self::Domains(a, b) => write!(
                f,
                "one root speaks for {a} and another for {b}: devices of two domains could have one name"
            ),
        }
    }
}

impl core::error::Error for RootsError {}

/// Why a member's certificate counts no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It is on a list of its CA.
    Revoked,
    /// Its last second was this one.
    Expired(UnixTime),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Revoked => f.write_str("its certificate was revoked"),
            Self::Expired(_) => f.write_str("its certificate has expired"),
        }
    }
}

/// Whether a member's certificate still counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    Active,
    /// It does not.
    Ended(Ended),
    /// It cannot be told just now, or it never counted.
    Unknown(X509Error),
}

/// CAs that are trusted to name the devices of a domain, and their revocation lists.
///
/// Once there is a list of a root, certificates are accepted only under a list that is current: whoever passes lists
/// on and keeps back the newest one is noticed when the last one that is known has run out.
#[derive(Debug)]
pub struct Roots {
    certificates: Vec<Vec<u8>>,
    domain: String,
    lists: Vec<Vec<u8>>,
    /// The place of the root that signed each of them.
    signers: Vec<usize>,
    validator: X509Validator,
}

/// The settings for certificates of devices: they say that they are for messaging. A revoked member does not keep
/// others from joining; it is removed.
fn settings() -> Settings {
    Settings {
        accept_revoked_members: true,
        require_key_purpose: true,
        clock_skew: CLOCK_SKEW,
        ..Settings::default()
    }
}

impl Roots {
    /// Trusts the owners of these certificates (DER). The owner of the trust has to see to it that they are the
    /// right ones.
    ///
    /// # Errors
    /// If they cannot be roots of one domain.
    pub fn new(certificates: Vec<Vec<u8>>) -> Result<Self, RootsError> {
        if certificates.is_empty() || certificates.len() > MAX_ROOTS {
            return Err(RootsError::Count(certificates.len()));
        }
        let mut domain: Option<String> = None;
        for (i, der) in certificates.iter().enumerate() {
            let read = EndEntity::from_der(der).ok_or(RootsError::Malformed(i))?;
            let named = domain_in(&read.presented).ok_or(RootsError::NoDomain(i))?;
            match &domain {
                Some(other) if other != named => {
                    return Err(RootsError::Domains(other.clone(), named.to_string()));
                }
                _ => domain = Some(named.to_string()),
            }
        }
        let domain = domain.unwrap_or_default();

        let of_domain = domain.clone();
        let policy = move |certified: &Certified| {
            let (domain, device) = device_in(&certified.presented)?;
            (domain == of_domain).then(|| device.identity())
        };
        let validator =
            X509Validator::new(&certificates, policy).map_err(|_| RootsError::Malformed(0))?;
        let validator = validator.with_settings(settings());
        Ok(Self { certificates, domain, lists: Vec::new(), signers: Vec::new(), validator })
    }

    /// Trusts the certificates of a PEM text, and takes the revocation lists in it that they have signed.
    ///
    /// # Errors
    /// If the text cannot be read, or they cannot be roots of one domain.
    pub fn from_pem(provider: &dyn CryptoProvider, text: &[u8]) -> Result<Self, RootsError> {
        let Bundle { certificates, lists } = Bundle::from_pem(text).map_err(RootsError::Load)?;
        let mut roots = Self::new(certificates)?;
        roots.learn(provider, &lists);
        Ok(roots)
    }

    /// The roots' certificates in DER.
    #[must_use]
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
    }

    /// The domain for which they speak.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The newest revocation lists, in DER.
    #[must_use]
    pub fn lists(&self) -> &[Vec<u8>] {
        &self.lists
    }

    /// When the first of the lists runs out; none if there is none.
    #[must_use]
    pub fn lists_until(&self) -> Option<UnixTime> {
        self.lists.iter().filter_map(|list| Some(ListInfo::of(list)?.next_update)).min()
    }

    /// Takes revocation lists (DER) that a root has signed and that are newer than those that are known. Returns
    /// whether there was one, and passes over all others: who passes lists on can neither make nor bring back one.
    pub fn learn(&mut self, provider: &dyn CryptoProvider, lists: &[Vec<u8>]) -> bool {
        let (mut known, mut signers) = (self.lists.clone(), self.signers.clone());
        let mut is_new = false;
        for list in lists.iter().filter(|list| list.len() <= MAX_LIST) {
            if known.contains(list) {
                continue;
            }
            let Some(info) = ListInfo::of(list) else { continue };
            let Some(signer) = signer(provider, &self.certificates, list) else { continue };
            let old = known.iter().zip(&signers).position(|(old, by)| {
                *by == signer && ListInfo::of(old).is_some_and(|old| old.scope == info.scope)
            });
            match old {
                Some(i) => {
                    let Some(old) = known.get_mut(i) else { continue };
                    if ListInfo::of(old).is_none_or(|old| old.version < info.version) {
                        *old = list.clone();
                        is_new = true;
                    }
                }
                None if known.len() < MAX_LISTS => {
                    known.push(list.clone());
                    signers.push(signer);
                    is_new = true;
                }
                None => {}
            }
        }

        let policy = RevocationPolicy::default();
        if !is_new || self.validator.set_revocation_lists(&known, policy).is_err() {
            return false;
        }
        (self.lists, self.signers) = (known, signers);
        true
    }

    /// Judges a credential with a key of this scheme, and returns the device that it authenticates.
    ///
    /// # Errors
    /// The rule that it breaks. [`X509Error::needs_revocation_list`] says whether a newer revocation list may change
    /// that.
    pub fn judge(
        &self,
        provider: &dyn CryptoProvider,
        scheme: SignatureScheme,
        moment: impl Into<Moment>,
        request: &CredentialRequest,
    ) -> Result<DeviceId, X509Error> {
        let valid = self.validator.validate_key(provider, scheme, moment, request)?;
        DeviceId::from_identity(&valid.identity).map_err(|_| X509Error::IdentityRefused)
    }

    /// Whether the certificate of a device that is in a group still counts.
    #[must_use]
    pub fn standing(
        &self,
        provider: &dyn CryptoProvider,
        now: UnixTime,
        credential: &Credential,
        key: &SignaturePublicKey,
    ) -> Standing {
        let Some(read) = EndEntity::of(credential) else {
            return Standing::Unknown(X509Error::NotX509);
        };
        let Some(scheme) = read.scheme else {
            return Standing::Unknown(X509Error::IdentityRefused);
        };
        let request = CredentialRequest {
            subject: CredentialSubject::Member(LeafIndex(0)),
            credential: credential.clone(),
            signature_key: key.clone(),
            replaces: None,
        };
        match self.validator.validate_key(provider, scheme, now, &request) {
            Ok(valid) if valid.revoked => Standing::Ended(Ended::Revoked),
            Ok(valid) if valid.not_after < now => Standing::Ended(Ended::Expired(valid.not_after)),
            Ok(_) => Standing::Active,
            Err(X509Error::Expired { not_after }) => Standing::Ended(Ended::Expired(not_after)),
            Err(X509Error::Revoked) => Standing::Ended(Ended::Revoked),
            Err(e) => Standing::Unknown(e),
        }
    }
}
