//! The stage that no credential gets around: the application's verdict (section 5.3.1).

use crate::error::{CredentialSubject, Error, Misuse, Rejection};
use alloc::boxed::Box;
use conclave_wire::{Credential, SignaturePublicKey};

/// A credential that the application is to judge: does it legitimately represent its identifiers,
/// does the key belong to them, and is that party welcome here?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialRequest {
    /// Whose it is.
    pub subject: CredentialSubject,
    /// The credential.
    pub credential: Credential,
    /// The signature key that it is presented with.
    pub signature_key: SignaturePublicKey,
    /// The credential that it would replace: is the new one a valid successor?
    pub replaces: Option<Credential>,
}

/// The application's answer to one [`CredentialRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The credential is valid and acceptable.
    Accept,
    /// It is not, for this reason.
    Refuse(Box<str>),
}

impl Verdict {
    /// A refusal.
    #[must_use]
    pub fn refuse(reason: &str) -> Self {
        Self::Refuse(reason.into())
    }
}

/// Whether all of the requests were accepted.
pub(crate) fn check_verdicts(
    requests: &[CredentialRequest],
    verdicts: &[Verdict],
) -> Result<(), Error> {
    if requests.len() != verdicts.len() {
        let (wanted, given) = (requests.len(), verdicts.len());
        return Err(Misuse::VerdictCount { wanted, given }.into());
    }
    for (request, verdict) in requests.iter().zip(verdicts) {
        if let Verdict::Refuse(reason) = verdict {
            let reason = reason.clone();
            return Err(Rejection::CredentialRefused { subject: request.subject, reason }.into());
        }
    }
    Ok(())
}
