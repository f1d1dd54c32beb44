//! The application's verdict, which no credential gets around (section 5.3.1).

use crate::error::reasons::CredentialSubject;
use crate::error::{Error, Misuse, Rejection};
use alloc::boxed::Box;
use conclave_wire::{Credential, SignaturePublicKey};

/// A credential that the application is to judge. Does it legitimately represent its identifiers,
/// does the key belong to them, and is that party welcome here?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialRequest {
    /// The owner.
    pub subject: CredentialSubject,
    /// The credential.
    pub credential: Credential,
    /// The signature key that comes with it.
    pub signature_key: SignaturePublicKey,
    /// The credential that it would replace. Is the new one a valid successor?
    pub replaces: Option<Credential>,
}

/// The application's answer to a [`CredentialRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The credential is valid and acceptable.
    Accept,
    /// The credential is not, for this reason.
    Refuse(Box<str>),
    /// The application cannot tell now, for example because a directory does not answer. The
    /// message stays unprocessed: it consumes no key and changes no state, and can be processed
    /// again later.
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
        let wanted = requests.len();
        let given = verdicts.len();
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
