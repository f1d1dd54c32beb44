//! Extensions that were made, kept for the next clients that ask for the same ones.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most bytes of all proofs that are kept.
const MAX_BYTES: usize = 8 << 20;
/// The most proofs that are kept.
const MAX_PROOFS: usize = 256;

/// The proofs that were used last.
///
/// Clients want a proof that leads to the newest epoch, from one of a few earlier ones: if a thousand begin in the same
/// minute, the first one's proof serves all of them.
#[derive(Default)]
pub(super) struct Extensions(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// The least recently used proof is the first one.
    proofs: VecDeque<(Ends, Arc<Vec<u8>>)>,
    bytes: usize,
}

/// The rows of the two roots between which a proof leads.
///
/// They name the epochs and the hashes of both trees, which determine the proof. So if records are restored from a backup
/// under a running directory, and then change differently, nobody is given a proof about what the backup replaced.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) old: Vec<u8>,
    pub(super) new: Vec<u8>,
}

impl Extensions {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The proof between these roots, if it is kept.
    pub(super) fn find(&self, ends: &Ends) -> Option<Arc<Vec<u8>>> {
        let mut kept = self.kept();
        let at = kept.proofs.iter().position(|(other, _)| other == ends)?;
        let found = kept.proofs.remove(at)?;
        let proof = Arc::clone(&found.1);
        kept.proofs.push_back(found);
        Some(proof)
    }

    /// Keeps a proof that was verified, in place of the least recently used ones if there is no room.
    pub(super) fn keep(&self, ends: Ends, proof: &[u8]) {
        if proof.len() > MAX_BYTES {
            return;
        }
        let mut kept = self.kept();
        if kept.proofs.iter().any(|(other, _)| *other == ends) {
            return;
        }
        kept.bytes += proof.len();
        kept.proofs.push_back((ends, Arc::new(proof.to_vec())));
        while kept.bytes > MAX_BYTES || kept.proofs.len() > MAX_PROOFS {
            let Some((_, oldest)) = kept.proofs.pop_front() else { return };
            kept.bytes -= oldest.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(n: usize) -> Ends {
        Ends { old: n.to_be_bytes().to_vec(), new: vec![1] }
    }

    #[test]
    fn kept_extensions_are_bounded_and_the_unwanted_go_first() {
        let extensions = Extensions::default();
        let long = vec![7; MAX_BYTES / 4];
        (0..4).for_each(|n| extensions.keep(ends(n), &long));
        assert!(extensions.find(&ends(0)).is_some());
        extensions.keep(ends(4), &long);
        let there: Vec<_> = (0..5).filter(|n| extensions.find(&ends(*n)).is_some()).collect();
        assert_eq!(there, [0, 2, 3, 4]);

        extensions.keep(ends(5), &vec![7; MAX_BYTES + 1]);
        assert!(extensions.find(&ends(5)).is_none());

        (10..10 + 2 * MAX_PROOFS).for_each(|n| extensions.keep(ends(n), &[1]));
        let kept = extensions.kept();
        assert_eq!(kept.proofs.len(), MAX_PROOFS);
        assert_eq!(kept.bytes, kept.proofs.iter().map(|(_, proof)| proof.len()).sum());
    }
}
