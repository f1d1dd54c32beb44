//! Proofs that a directory only grew between two epochs.

use crate::error::ProofError;
use crate::label;
#[cfg(feature = "server")]
use crate::root::Signer;
use crate::root::{Opening, Root, ServiceKey, SignedRoot, take_bounded, take_epoch};
use crate::tree::{self, Node};
use alloc::vec::Vec;
use conclave_mls::crypto::{CryptoError, CryptoProvider, Hash};
use conclave_mls::wire::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer};
use core::iter::Peekable;

/// The longest proof in bytes: some hundred thousand changes.
pub const MAX_EXTENSION: usize = 32 << 20;
/// Separates this signature from everything else that the key may sign.
const LABEL: &[u8] = b"Conclave directory extension 1";

/// A leaf that came in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Added {
    pub(crate) label: [u8; 32],
    pub(crate) commitment: [u8; 32],
    pub(crate) epoch: u64,
}

impl Added {
    fn node(&self) -> Node {
        let hash = tree::leaf_hash(self.commitment, self.epoch);
        Node { label: label::leaf(self.label), hash }
    }
}

impl Encode for Added {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.put(&self.label);
        w.put(&self.commitment);
        self.epoch.encode(w)
    }
}

impl Decode for Added {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let label = r.take_array()?;
        let commitment = r.take_array()?;
        Ok(Self { label, commitment, epoch: take_epoch(r)? })
    }
}

/// That the directory of one epoch became that of a later one by additions alone: the old tree's subtrees that
/// stayed as they were, and the leaves that came in. Its size grows with the changes between the two, and not
/// with the number of epochs.
///
/// The service signs it. A proof that is signed and wrong therefore convicts the service.
///
/// ```text
/// struct {
///     uint64 from;
///     uint64 to;
///     opaque vrf_key[32];
///     opaque from_tree_root[32];
///     opaque to_tree_root[32];
///     Node kept<V>;           // ascending by their bits
///     Added added<V>;         // ascending by their bits
///     opaque signature<V>;    // SignWithLabel(key, "Conclave directory extension 1", SHA-256(all before))
/// } Extension;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extension {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) vrf_key: [u8; 32],
    pub(crate) from_tree: [u8; 32],
    pub(crate) to_tree: [u8; 32],
    pub(crate) kept: Vec<Node>,
    pub(crate) added: Vec<Added>,
    pub(crate) signature: Vec<u8>,
}

impl Extension {
    fn put_content(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.from.encode(w)?;
        self.to.encode(w)?;
        w.put(&self.vrf_key);
        w.put(&self.from_tree);
        w.put(&self.to_tree);
        self.kept.encode(w)?;
        self.added.encode(w)
    }

    /// The hash that is signed.
    fn digest(&self, provider: &dyn CryptoProvider) -> Result<Vec<u8>, CryptoError> {
        let mut w = Writer::new();
        self.put_content(&mut w)?;
        Ok(provider.hash(Hash::Sha256, &[w.written()])?.to_vec())
    }

    /// Signs the proof.
    #[cfg(feature = "server")]
    pub(crate) fn sign(
        &mut self,
        provider: &dyn CryptoProvider,
        signer: &Signer,
    ) -> Result<(), CryptoError> {
        self.signature = signer.sign(provider, LABEL, &self.digest(provider)?)?;
        Ok(())
    }

    /// Decodes a proof.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, ProofError> {
        if bytes.len() > MAX_EXTENSION {
            return Err(ProofError::TooLong(bytes.len()));
        }
        Ok(Self::from_bytes(bytes)?)
    }

    /// Checks that the service signed the proof.
    pub(crate) fn verify_signature(
        &self,
        provider: &dyn CryptoProvider,
        key: &ServiceKey,
    ) -> Result<(), ProofError> {
        let digest = self.digest(provider)?;
        key.verify(provider, LABEL, &digest, &self.signature).map_err(|error| {
            if error.is_of_input() { ProofError::NotSigned } else { ProofError::Crypto(error) }
        })
    }

    /// Checks that the proof leads from one root to another.
    pub(crate) fn verify(
        &self,
        provider: &dyn CryptoProvider,
        old: &Root,
        new: &Root,
    ) -> Result<(), ProofError> {
        if old.key() != new.key() {
            return Err(ProofError::OtherService);
        }
        if self.from != old.epoch() || self.to != new.epoch() || self.from >= self.to {
            return Err(ProofError::OtherEpochs);
        }

        let opening = |tree| Opening { vrf_key: self.vrf_key, tree };
        let opens_old = opening(self.from_tree).opens(provider, old)?;
        let opens_new = opening(self.to_tree).opens(provider, new)?;
        if !opens_old || !opens_new {
            return Err(ProofError::OtherRoot);
        }
        self.verify_trees()
    }

    fn verify_trees(&self) -> Result<(), ProofError> {
        let disorder = |_| ProofError::Shape("subtrees out of order, or one below another");
        if self.from == 0 && !self.kept.is_empty() {
            return Err(ProofError::Rule("the directory was not empty at its beginning"));
        }
        if self.added.iter().any(|leaf| leaf.epoch <= self.from || leaf.epoch > self.to) {
            return Err(ProofError::Rule("a new leaf is not from an epoch in between"));
        }

        if tree::root(self.kept.iter().copied()).map_err(disorder)? != self.from_tree {
            return Err(ProofError::OtherTree);
        }
        let both = Merged {
            kept: self.kept.iter().copied().peekable(),
            added: self.added.iter().map(Added::node).peekable(),
        };
        if tree::root(both).map_err(disorder)? != self.to_tree {
            return Err(ProofError::OtherTree);
        }
        Ok(())
    }
}

impl Encode for Extension {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.put_content(w)?;
        w.put_opaque(&self.signature)
    }
}

impl Decode for Extension {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            from: take_epoch(r)?,
            to: take_epoch(r)?,
            vrf_key: r.take_array()?,
            from_tree: r.take_array()?,
            to_tree: r.take_array()?,
            kept: Vec::decode(r)?,
            added: Vec::decode(r)?,
            signature: take_bounded(r, SignedRoot::MAX_SIGNATURE, "signature")?.to_vec(),
        })
    }
}

/// Two ascending lists as one.
struct Merged<A: Iterator<Item = Node>, B: Iterator<Item = Node>> {
    kept: Peekable<A>,
    added: Peekable<B>,
}

impl<A: Iterator<Item = Node>, B: Iterator<Item = Node>> Iterator for Merged<A, B> {
    type Item = Node;

    fn next(&mut self) -> Option<Node> {
        let added_first = match (self.kept.peek(), self.added.peek()) {
            (Some(kept), Some(added)) => added.label.label_val < kept.label.label_val,
            (kept, _) => kept.is_none(),
        };
        if added_first { self.added.next() } else { self.kept.next() }
    }
}

/// Checks that a directory only grew from one root to a later one: what was in it is in it still, unchanged.
///
/// # Errors
/// [`ProofError`]: nothing is proved. [`ProofError::NotSigned`] and [`ProofError::Malformed`] say nothing about
/// the service; with any other error, the service signed a wrong proof, which
/// [`Evidence::broken_extension`](crate::Evidence::broken_extension) shows to others.
pub fn verify_append_only(
    provider: &dyn CryptoProvider,
    old: &Root,
    new: &Root,
    proof: &[u8],
) -> Result<(), ProofError> {
    let extension = Extension::read(proof)?;
    extension.verify_signature(provider, old.key())?;
    extension.verify(provider, old, new)
}
