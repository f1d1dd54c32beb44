//! The application's verdict, which no credential gets around (section 5.3.1), and credentials of several
//! (draft-ietf-mls-extensions-10, "Multi-Credentials").

use crate::error::reasons::CredentialSubject;
use crate::error::{Error, Misuse, Rejection};
use alloc::boxed::Box;
use alloc::vec::Vec;
use conclave_crypto::{CryptoProvider, SignatureKeyPair, Suite};
use conclave_wire::{
    Bytes, Capabilities, CipherSuite, Credential, CredentialBinding, CredentialBindingTbs, Encode,
    MultiCredential, SignaturePublicKey,
};

/// The label of a binding's signature.
const BINDING_LABEL: &[u8] = b"CredentialBindingTBS";

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

impl CredentialRequest {
    /// The credentials in a credential of several, as requests of their own: of type `multi` all, of type
    /// `weak-multi` those that a client with these capabilities supports. Their bindings' signatures are
    /// verified. None for a credential of another type.
    ///
    /// Accept this request only if you accept each of those: whether they are to be judged together in some
    /// other way as well, such as that all are of one person, is the application's to say.
    ///
    /// ```
    #[doc = client!()]
    /// use conclave_mls::credential::{Capabilities, CredentialRequest, sign_binding};
    /// use conclave_mls::error::Error;
    /// use conclave_mls::wire::MultiCredential;
    ///
    /// # let provider = &provider;
    /// let judge_one = |asked: &CredentialRequest| match asked.credential.identity() {
    ///     Some(b"alice" | b"employee 7") => Verdict::Accept,
    ///     _ => Verdict::refuse("unknown"),
    /// };
    /// let judge = |asked: &CredentialRequest, ours: &Capabilities| -> Result<Verdict, Error> {
    ///     let Some(bindings) = asked.bindings(provider, ours)? else { return Ok(judge_one(asked)) };
    ///     let refused = bindings.iter().map(judge_one).find(|v| *v != Verdict::Accept);
    ///     Ok(refused.unwrap_or(Verdict::Accept))
    /// };
    ///
    /// // Alice's service and her employer vouch for the key of her leaf.
    /// let alice = identity(b"alice");
    /// let leaf_key = &alice.signer.public;
    /// let employer = identity(b"employee 7");
    /// let by_service = sign_binding(provider, suite, alice.leaf.credential, &alice.signer, leaf_key)?;
    /// let by_employer =
    ///     sign_binding(provider, suite, employer.leaf.credential, &employer.signer, leaf_key)?;
    /// let multi = MultiCredential { weak: false, bindings: vec![by_service, by_employer] };
    /// # let asked = CredentialRequest {
    /// #     subject: conclave_mls::CredentialSubject::NewMember,
    /// #     credential: multi.to_credential()?,
    /// #     signature_key: leaf_key.clone(),
    /// #     replaces: None,
    /// # };
    /// # let ours = &identity(b"bob").leaf.capabilities;
    /// assert_eq!(judge(&asked, ours)?, Verdict::Accept);
    /// # Done::Ok(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Rejection::BindingShape`] and [`Rejection::BindingSignature`] refuse the
    /// credential, as do [`Rejection::NoSupportedBinding`], and [`Rejection::UnsupportedBinding`] if the
    /// provider does not support the suite of a binding. [`Error::Crypto`] if the provider fails.
    pub fn bindings(
        &self,
        provider: &dyn CryptoProvider,
        supported: &Capabilities,
    ) -> Result<Option<Vec<Self>>, Error> {
        let Some(MultiCredential { weak, bindings }) = several(&self.credential)? else {
            return Ok(None);
        };

        let ours = |binding: &&CredentialBinding| {
            supported.cipher_suites.contains(&binding.cipher_suite)
                && supported.credentials.contains(&binding.credential.credential_type())
        };
        let mut requests = Vec::new();
        for binding in bindings.iter().filter(|binding| !weak || ours(binding)) {
            verify_binding(provider, binding, &self.signature_key)?;
            requests.push(Self {
                subject: self.subject,
                credential: binding.credential.clone(),
                signature_key: binding.credential_key.clone(),
                replaces: None,
            });
        }
        if requests.is_empty() {
            return Err(Rejection::NoSupportedBinding.into());
        }
        Ok(Some(requests))
    }
}

/// The body of a credential of several: not empty, and none of its credentials is of several again, which
/// would make the work of verifying it unbounded.
pub(crate) fn several(credential: &Credential) -> Result<Option<MultiCredential>, Error> {
    let Some(multi) = MultiCredential::from_credential(credential)? else { return Ok(None) };
    let again = |b: &CredentialBinding| MultiCredential::is_type(b.credential.credential_type());
    if multi.bindings.is_empty() || multi.bindings.iter().any(again) {
        return Err(Rejection::BindingShape.into());
    }
    Ok(Some(multi))
}

fn verify_binding(
    provider: &dyn CryptoProvider,
    binding: &CredentialBinding,
    leaf_key: &SignaturePublicKey,
) -> Result<(), Error> {
    // Not the provider's fault: with this suite, the credential is none for a group that we are in.
    let unsupported = |_| {
        Rejection::UnsupportedBinding(binding.cipher_suite, binding.credential.credential_type())
    };
    let suite = Suite::new(provider, binding.cipher_suite).map_err(unsupported)?;
    let tbs = CredentialBindingTbs { binding, signature_key: leaf_key }.to_bytes()?;
    suite
        .verify_with_label(&binding.credential_key, BINDING_LABEL, &tbs, &binding.signature)
        .map_err(|e| Error::of_input(e, Rejection::BindingSignature))
}

/// Binds a credential to the signature key of a leaf, with the credential's own key pair, which is of this
/// suite: a part of a [`MultiCredential`]. [`CredentialRequest::bindings`] has an example.
///
/// # Errors
/// If the provider does not support the suite, or the key pair is not of it.
pub fn sign_binding(
    provider: &dyn CryptoProvider,
    cipher_suite: CipherSuite,
    credential: Credential,
    signer: &SignatureKeyPair,
    leaf_key: &SignaturePublicKey,
) -> Result<CredentialBinding, Error> {
    let suite = Suite::new(provider, cipher_suite)?;
    let credential_key = signer.public.clone();
    let signature = Bytes::default();
    let mut binding = CredentialBinding { cipher_suite, credential, credential_key, signature };
    let tbs = CredentialBindingTbs { binding: &binding, signature_key: leaf_key }.to_bytes()?;
    binding.signature = suite.sign_with_label(signer, BINDING_LABEL, &tbs)?.into();
    Ok(binding)
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
