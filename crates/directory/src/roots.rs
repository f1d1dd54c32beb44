//! What a client remembers of a service's directory.

use crate::entry::take_list;
use crate::error::{ProofError, RootError};
use crate::evidence::Evidence;
use crate::extension::Extension;
use crate::root::{Root, ServiceKey, SignedRoot};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use conclave_mls::crypto::CryptoProvider;
use conclave_mls::wire::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer};

/// The version of a stored [`Roots`].
const VERSION: u8 = 1;
/// The number of roots that are remembered from before the newest.
const MAX_PAST: usize = 32;
/// The number of roots that may wait for a proof.
const MAX_WAITING: usize = 16;

/// Who handed a root over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The service itself.
    Service,
    /// A member of a group, inside an encrypted message.
    Gossip,
}

/// What a root, or a proof between roots, amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Seen {
    /// The first root of this service. There is nothing to compare it with, so it is taken on trust.
    First,
    /// The newest root, again.
    Same,
    /// A root that is now the newest: it holds all that the one before held.
    Newer,
    /// A root of before: the newest holds all that it held.
    Older,
    /// The service itself shows a root of before. It may be a reply that was overtaken by another. The client
    /// does not use the reply, and asks again; if it gets no further, it tells the user.
    Rollback {
        /// The epoch of the newest root.
        newest: u64,
        /// The epoch that was shown.
        shown: u64,
    },
    /// The client cannot say yet: it asks the service to prove that its directory only grew between these two
    /// epochs, and passes the answer to [`Roots::prove`]. Until then the root is not used.
    NeedsProof {
        /// The earlier epoch.
        from: u64,
        /// The later epoch.
        to: u64,
    },
    /// The service lied.
    Conflict(Box<Evidence>),
}

/// The roots that a client has seen of one service.
///
/// All roots up to the newest one are linked: each holds what those before it held. A root that is not linked
/// yet waits, and is used for nothing. A service that does not answer when it is asked for a proof has proved
/// nothing false, so there is no evidence; [`Roots::waiting`] says for which roots the client is owed an answer,
/// and the client asks again, stays with its newest root, and tells the user after a while that the service
/// does not show how the directory that somebody else saw became this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    key: Arc<ServiceKey>,
    newest: Option<SignedRoot>,
    /// Linked to the newest, ascending.
    past: Vec<SignedRoot>,
    /// Signed, and not linked.
    waiting: Vec<SignedRoot>,
}

impl Roots {
    /// Nothing seen yet of the service with this key.
    #[must_use]
    pub fn new(key: ServiceKey) -> Self {
        Self { key: Arc::new(key), newest: None, past: Vec::new(), waiting: Vec::new() }
    }

    /// The service's key.
    #[must_use]
    pub fn key(&self) -> &Arc<ServiceKey> {
        &self.key
    }

    /// The newest root: what the client passes on to the members of its groups.
    #[must_use]
    pub fn newest(&self) -> Option<&SignedRoot> {
        self.newest.as_ref()
    }

    /// The epochs between which the service still owes a proof.
    pub fn waiting(&self) -> impl Iterator<Item = (u64, u64)> {
        let newest = self.newest.as_ref().map_or(0, |root| root.epoch);
        self.waiting.iter().map(move |root| (newest.min(root.epoch), newest.max(root.epoch)))
    }

    /// Whether a root is one of these: linked to the newest, or waiting for a proof.
    #[must_use]
    pub fn has(&self, signed: &SignedRoot) -> bool {
        self.of_epoch(signed.epoch).is_some_and(|known| known.root == signed.root)
    }

    /// The evidence that a root and one of these cannot both be true, as they are of one epoch. Takes nothing: this
    /// is for roots that a client no longer goes by, and still holds against the service.
    ///
    /// # Errors
    /// [`RootError`] if the service did not sign the root.
    pub fn contradicts(
        &self,
        provider: &dyn CryptoProvider,
        signed: &SignedRoot,
    ) -> Result<Option<Box<Evidence>>, RootError> {
        signed.verify(provider, &self.key)?;
        let other = self.of_epoch(signed.epoch).filter(|known| known.root != signed.root);
        let evidence = |other: &SignedRoot| {
            Box::new(Evidence::two_roots(Arc::clone(&self.key), other.clone(), signed.clone()))
        };
        Ok(other.map(evidence))
    }

    /// The root of an epoch, if it is remembered.
    fn of_epoch(&self, epoch: u64) -> Option<&SignedRoot> {
        let all = self.newest.iter().chain(&self.past).chain(&self.waiting);
        all.into_iter().find(|root| root.epoch == epoch)
    }

    /// Takes a root.
    ///
    /// # Errors
    /// [`RootError`] if the service did not sign it. It is then forgotten.
    pub fn take(
        &mut self,
        provider: &dyn CryptoProvider,
        signed: SignedRoot,
        source: Source,
    ) -> Result<Seen, RootError> {
        signed.verify(provider, &self.key)?;
        let Some(newest) = &mut self.newest else {
            self.newest = Some(signed);
            return Ok(Seen::First);
        };
        let newest_epoch = newest.epoch;

        if newest.epoch == signed.epoch {
            if newest.root != signed.root {
                return Ok(conflict(&self.key, newest, &signed));
            }
            // The service signs a root again to say that nothing has happened since.
            if newest.published_at < signed.published_at {
                *newest = signed;
            }
            return Ok(Seen::Same);
        }

        let known = |roots: &[SignedRoot]| roots.iter().find(|r| r.epoch == signed.epoch).cloned();
        let past = known(&self.past);
        let waiting = known(&self.waiting);
        if let Some(other) = past.as_ref().or(waiting.as_ref())
            && other.root != signed.root
        {
            return Ok(conflict(&self.key, other, &signed));
        }

        let shown = signed.epoch;
        if source == Source::Service && shown < newest_epoch {
            return Ok(Seen::Rollback { newest: newest_epoch, shown });
        }
        if past.is_some() {
            return Ok(Seen::Older);
        }
        if waiting.is_none() {
            if self.waiting.len() == MAX_WAITING {
                self.waiting.remove(0);
            }
            self.waiting.push(signed);
        }
        Ok(Seen::NeedsProof { from: shown.min(newest_epoch), to: shown.max(newest_epoch) })
    }

    /// Takes the proof that the directory only grew between the newest root and one that waits.
    ///
    /// # Errors
    /// [`ProofError`] if the bytes are not such a proof, signed by the service: they prove nothing, and the
    /// root still waits. A signed proof that is wrong is a [`Seen::Conflict`].
    pub fn prove(
        &mut self,
        provider: &dyn CryptoProvider,
        proof: &[u8],
    ) -> Result<Seen, ProofError> {
        let extension = Extension::read(proof)?;
        extension.verify_signature(provider, &self.key)?;
        let newest = self.newest.clone().ok_or(ProofError::OtherEpochs)?;

        let ends = [extension.from, extension.to];
        let at = self.waiting.iter().position(|root| {
            let pair = [newest.epoch.min(root.epoch), newest.epoch.max(root.epoch)];
            root.epoch != newest.epoch && pair == ends
        });
        let at = at.ok_or(ProofError::OtherEpochs)?;
        let other = self.waiting.get(at).cloned().ok_or(ProofError::OtherEpochs)?;

        let is_newer = other.epoch > newest.epoch;
        let (old, new) = if is_newer { (&newest, &other) } else { (&other, &newest) };
        match extension.verify(
            provider,
            &self.verified(provider, old)?,
            &self.verified(provider, new)?,
        ) {
            Ok(()) => {}
            Err(ProofError::Crypto(error)) => return Err(ProofError::Crypto(error)),
            Err(_) => {
                let (key, old, new) = (Arc::clone(&self.key), old.clone(), new.clone());
                let evidence = Evidence::broken_extension(key, old, new, proof.to_vec());
                return Ok(Seen::Conflict(Box::new(evidence)));
            }
        }

        self.waiting.remove(at);
        if is_newer {
            self.newest = Some(other);
            self.remember(newest);
            return Ok(Seen::Newer);
        }
        self.remember(other);
        Ok(Seen::Older)
    }

    /// The newest root as one to check proofs with.
    ///
    /// # Errors
    /// If the provider fails.
    pub fn verified_newest(
        &self,
        provider: &dyn CryptoProvider,
    ) -> Result<Option<Root>, RootError> {
        self.newest.as_ref().map(|root| root.verify(provider, &self.key)).transpose()
    }

    fn verified(
        &self,
        provider: &dyn CryptoProvider,
        root: &SignedRoot,
    ) -> Result<Root, ProofError> {
        root.verify(provider, &self.key).map_err(|error| match error {
            RootError::Crypto(error) => ProofError::Crypto(error),
            _ => ProofError::NotSigned,
        })
    }

    /// Keeps a linked root, and forgets the oldest if there are too many.
    fn remember(&mut self, root: SignedRoot) {
        let at = self.past.partition_point(|past| past.epoch < root.epoch);
        self.past.insert(at, root);
        if self.past.len() > MAX_PAST {
            self.past.remove(0);
        }
    }
}

fn conflict(key: &Arc<ServiceKey>, first: &SignedRoot, second: &SignedRoot) -> Seen {
    let evidence = Evidence::two_roots(Arc::clone(key), first.clone(), second.clone());
    Seen::Conflict(Box::new(evidence))
}

impl Encode for Roots {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.put(&[VERSION]);
        self.key.encode(w)?;
        self.newest.encode(w)?;
        self.past.encode(w)?;
        self.waiting.encode(w)
    }
}

impl Decode for Roots {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let version = u8::decode(r)?;
        if version != VERSION {
            return Err(DecodeError::InvalidValue { field: "Roots", value: version.into() });
        }
        Ok(Self {
            key: Arc::new(ServiceKey::decode(r)?),
            newest: Option::decode(r)?,
            past: take_list(r, MAX_PAST, "past")?,
            waiting: take_list(r, MAX_WAITING, "waiting")?,
        })
    }
}
