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
    /// The application cannot tell now, because a directory does not answer, say. The message stays
    /// unprocessed: it uses up no key and changes no state, and can be processed again later.
    Later,
}

impl Verdict {
    /// A refusal.
    #[must_use]
    pub fn refuse(reason: &str) -> Self {
        Self::Refuse(reason.into())
    }
}

/// Checks that all requests were accepted. A refusal takes precedence over an open question.
pub(crate) fn check_verdicts(
    requests: &[CredentialRequest],
    verdicts: &[Verdict],
) -> Result<(), Error> {
    if requests.len() != verdicts.len() {
        let (wanted, given) = (requests.len(), verdicts.len());
        return Err(Misuse::VerdictCount { wanted, given }.into());
    }
    let mut undecided = None;
    for (request, verdict) in requests.iter().zip(verdicts) {
        let subject = request.subject;
        match verdict {
            Verdict::Accept => {}
            Verdict::Later => undecided = undecided.or(Some(subject)),
            Verdict::Refuse(reason) => {
                let reason = reason.clone();
                return Err(Rejection::CredentialRefused { subject, reason }.into());
            }
        }
    }
    undecided.map_or(Ok(()), |subject| Err(Error::Undecided(subject)))
}
