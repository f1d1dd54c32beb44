//! Two things that a service proved about a name, and what cannot be true of both.

use crate::entry::{Entry, Lookup};
use crate::error::ProofError;
use crate::finding::Finding;
use crate::history::{Depth, History, MAX_HISTORY, told};
use crate::lookup::{Answer, MAX_LOOKUP, answered};
use crate::root::{Root, SignedRoot, take_bounded};
use alloc::vec;
use alloc::vec::Vec;
use conclave_mls::crypto::CryptoProvider;
use conclave_mls::wire::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer};

/// A proof about a name, with the signed root that it leads to: what a service cannot take back.
///
/// A client that keeps the last one for each contact can show it to others should the next contradict it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The root.
    pub root: SignedRoot,
    /// The proof.
    pub claim: Claim,
}

/// What a service proved about a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The proof of a lookup.
    Lookup(Vec<u8>),
    /// The proof of a complete history.
    History(Vec<u8>),
}

impl Encode for Statement {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.root.encode(w)?;
        let (kind, proof) = match &self.claim {
            Claim::Lookup(proof) => (1, proof),
            Claim::History(proof) => (2, proof),
        };
        w.put(&[kind]);
        w.put_opaque(proof)
    }
}

impl Decode for Statement {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let root = SignedRoot::decode(r)?;
        let claim = match u8::decode(r)? {
            1 => Claim::Lookup(take_bounded(r, MAX_LOOKUP, "Lookup")?.to_vec()),
            2 => Claim::History(take_bounded(r, MAX_HISTORY, "History")?.to_vec()),
            other => return Err(DecodeError::InvalidValue { field: "Claim", value: other.into() }),
        };
        Ok(Self { root, claim })
    }
}

/// What is true if a statement is.
pub(crate) struct Facts {
    /// The epoch of the root.
    at: u64,
    /// The key that hides names.
    vrf_key: [u8; 32],
    /// The newest version at that epoch; 0 if there was none.
    current: u64,
    /// Versions that are known, ascending.
    entries: Vec<Entry>,
}

impl Facts {
    /// Verifies a statement about a name.
    pub(crate) fn verify(
        provider: &dyn CryptoProvider,
        root: &Root,
        user: &[u8],
        claim: &Claim,
    ) -> Result<Self, ProofError> {
        let (opening, entries) = match claim {
            Claim::Lookup(proof) => {
                let (opening, lookup) = answered(provider, root, user, Answer::from_bytes(proof)?)?;
                match lookup {
                    Lookup::Present(entry) => (opening, vec![entry]),
                    Lookup::Absent => (opening, Vec::new()),
                }
            }
            Claim::History(proof) => {
                let history = History::from_bytes(proof)?;
                told(provider, root, user, Depth::Complete, history)?
            }
        };
        let current = entries.last().map_or(0, |entry| entry.version);
        Ok(Self { at: root.epoch(), vrf_key: opening.vrf_key, current, entries })
    }

    /// What cannot be true of both.
    pub(crate) fn contradiction(&self, other: &Self, user: &[u8]) -> Option<Finding> {
        let (earlier, later) = if self.at <= other.at { (self, other) } else { (other, self) };
        let user = user.to_vec();

        if earlier.vrf_key != later.vrf_key {
            return Some(Finding::TwoNameKeys { first: earlier.at, second: later.at });
        }

        let mut all: Vec<Entry> = earlier.entries.iter().chain(&later.entries).copied().collect();
        all.sort_by_key(|entry| entry.version);
        for pair in all.windows(2) {
            let [before, after] = pair else { continue };
            if before.version == after.version && before != after {
                return Some(Finding::EntryChanged { user, version: before.version });
            }
            if before.version < after.version && before.head.length >= after.head.length {
                let (from, to) = (before.head.length, after.head.length);
                return Some(Finding::LogShrank { user, from, to });
            }
        }

        if earlier.at == later.at && earlier.current != later.current {
            let (first, second) = (earlier.current, later.current);
            return Some(Finding::TwoEntries { user, epoch: earlier.at, first, second });
        }
        if later.current == 0 && earlier.current > 0 {
            return Some(Finding::EntryRemoved { user, had: earlier.at, lacks: later.at });
        }
        if later.current < earlier.current {
            let (from, to) = (earlier.current, later.current);
            return Some(Finding::RolledBack { user, from, to });
        }

        // What was published up to the earlier epoch was there then.
        let backdated =
            later.entries.iter().find(|e| e.version > earlier.current && e.epoch <= earlier.at);
        backdated.map(|entry| Finding::Backdated {
            user,
            version: entry.version,
            claimed: entry.epoch,
            lacking: earlier.at,
        })
    }
}
