//! Somebody who follows every root of a service from outside.

use crate::entry::take_list;
use crate::error::{ProofError, RootError};
use crate::evidence::Evidence;
use crate::extension::Extension;
use crate::root::{Root, ServiceKey, SignedRoot, take_epoch};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use conclave_mls::crypto::CryptoProvider;
use conclave_mls::wire::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer};
use core::fmt;

/// The version of a stored [`Auditor`].
const VERSION: u8 = 1;
/// The number of roots that are kept, to compare others with.
const MAX_KEPT: usize = 1024;

/// What a root amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Audited {
    /// It is the first one, or holds all that the last one held: it is now the last.
    Extends,
    /// It is of an epoch that was audited before, and not another root than then, as far as is remembered.
    Behind,
    /// The service lied.
    Lied(Box<Evidence>),
}

/// Why a root could not be audited.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuditError {
    /// The service did not sign the root.
    Root(RootError),
    /// The bytes are no proof that the service signed.
    Proof(ProofError),
    /// The proof that leads from the last root to this one is missing.
    NeedsProof {
        /// The last root's epoch.
        from: u64,
        /// This root's epoch.
        to: u64,
    },
}

impl fmt::Display for AuditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(error) => error.fmt(f),
            Self::Proof(error) => error.fmt(f),
            Self::NeedsProof { from, to } => {
                write!(f, "a proof from epoch {from} to epoch {to} is missing")
            }
        }
    }
}

impl core::error::Error for AuditError {}

/// An auditor of one service.
///
/// It takes roots in the order of their epochs, each with the proof that leads to it from the one before, and
/// never sees a name or a key. One that starts at epoch 0 knows the whole tree to be well formed; one that
/// starts later knows it of what came since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auditor {
    key: Arc<ServiceKey>,
    /// The epoch of the first root.
    first: u64,
    /// The last roots, ascending.
    roots: Vec<SignedRoot>,
}

impl Auditor {
    /// An auditor that has seen nothing yet.
    #[must_use]
    pub fn new(key: ServiceKey) -> Self {
        Self { key: Arc::new(key), first: 0, roots: Vec::new() }
    }

    /// The service's key.
    #[must_use]
    pub fn key(&self) -> &ServiceKey {
        &self.key
    }

    /// The last root.
    #[must_use]
    pub fn last(&self) -> Option<&SignedRoot> {
        self.roots.last()
    }

    /// The epoch of the first root.
    #[must_use]
    pub fn first_epoch(&self) -> u64 {
        self.first
    }

    /// Takes a root, and the proof that leads to it from the [last](Self::last) one.
    ///
    /// # Errors
    /// [`AuditError`]: the auditor is as it was before, and nothing is proved against the service.
    pub fn step(
        &mut self,
        provider: &dyn CryptoProvider,
        signed: SignedRoot,
        proof: Option<&[u8]>,
    ) -> Result<Audited, AuditError> {
        let new = self.verified(provider, &signed)?;
        let Some(last) = self.roots.last() else {
            self.first = signed.epoch;
            self.roots.push(signed);
            return Ok(Audited::Extends);
        };

        if signed.epoch <= last.epoch {
            return Ok(self.compare(signed));
        }

        let (from, to) = (last.epoch, signed.epoch);
        let proof = proof.ok_or(AuditError::NeedsProof { from, to })?;
        let extension = Extension::read(proof).map_err(AuditError::Proof)?;
        extension.verify_signature(provider, &self.key).map_err(AuditError::Proof)?;

        let old = self.verified(provider, last)?;
        match extension.verify(provider, &old, &new) {
            Ok(()) => {}
            Err(error @ (ProofError::OtherEpochs | ProofError::Crypto(_))) => {
                return Err(AuditError::Proof(error));
            }
            Err(_) => {
                let (key, old) = (Arc::clone(&self.key), last.clone());
                let evidence = Evidence::broken_extension(key, old, signed, proof.to_vec());
                return Ok(Audited::Lied(Box::new(evidence)));
            }
        }

        if self.roots.len() == MAX_KEPT {
            self.roots.remove(0);
        }
        self.roots.push(signed);
        Ok(Audited::Extends)
    }

    /// Compares a root with one of the same epoch, if it is remembered.
    fn compare(&self, signed: SignedRoot) -> Audited {
        let known = self.roots.iter().find(|root| root.epoch == signed.epoch);
        match known {
            Some(known) if known.root != signed.root => {
                let key = Arc::clone(&self.key);
                Audited::Lied(Box::new(Evidence::two_roots(key, known.clone(), signed)))
            }
            _ => Audited::Behind,
        }
    }

    fn verified(
        &self,
        provider: &dyn CryptoProvider,
        root: &SignedRoot,
    ) -> Result<Root, AuditError> {
        root.verify(provider, &self.key).map_err(AuditError::Root)
    }
}

impl Encode for Auditor {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.put(&[VERSION]);
        self.key.encode(w)?;
        self.first.encode(w)?;
        self.roots.encode(w)
    }
}

impl Decode for Auditor {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let version = u8::decode(r)?;
        if version != VERSION {
            return Err(DecodeError::InvalidValue { field: "Auditor", value: version.into() });
        }
        let key = Arc::new(ServiceKey::decode(r)?);
        let first = take_epoch(r)?;
        let roots: Vec<SignedRoot> = take_list(r, MAX_KEPT, "roots")?;
        if roots.windows(2).any(|pair| matches!(pair, [a, b] if a.epoch >= b.epoch)) {
            return Err(DecodeError::InvalidValue { field: "Auditor", value: roots.len() as u64 });
        }
        Ok(Self { key, first, roots })
    }
}
