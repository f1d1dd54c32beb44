//! The labels of names in the tree, with the proofs that were made of them.

use super::names::NameKey;
use akd::ecvrf::{Proof, VRFKeyStorage, VrfError};
use akd::{AkdLabel, Configuration, NodeLabel, VersionFreshness};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How many proofs fill one half of what is kept, a few MB.
const HALF: usize = 8192;

/// The verifiable random function, and the proofs that it made last.
///
/// Curve arithmetic is most of what a lookup costs, and its proofs depend on the name, its version and the key alone:
/// if a thousand devices look up the same user, they are made once.
#[derive(Clone)]
pub(super) struct Labels {
    key: NameKey,
    proofs: Arc<Mutex<Kept>>,
}

/// Two halves. When the newer one is full, it becomes the older one, whose proofs are dropped unless they are used again.
#[derive(Default)]
struct Kept {
    newer: HashMap<Vec<u8>, Proof>,
    older: HashMap<Vec<u8>, Proof>,
}

impl Kept {
    fn find(&mut self, input: &[u8]) -> Option<Proof> {
        if let Some(proof) = self.newer.get(input) {
            return Some(*proof);
        }
        let (input, proof) = self.older.remove_entry(input)?;
        self.keep(input, proof);
        Some(proof)
    }

    fn keep(&mut self, input: Vec<u8>, proof: Proof) {
        if self.newer.len() >= HALF {
            self.older = core::mem::take(&mut self.newer);
        }
        self.newer.insert(input, proof);
    }
}

impl Labels {
    pub(super) fn new(key: NameKey) -> Self {
        Self { key, proofs: Arc::default() }
    }

    pub(super) fn public_key(&self) -> [u8; 32] {
        self.key.public()
    }

    fn with_proofs<T>(&self, look: impl FnOnce(&mut Kept) -> T) -> T {
        look(&mut self.proofs.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// `akd` asks for a copy of the key each time, and does not wipe it.
#[async_trait::async_trait]
impl VRFKeyStorage for Labels {
    async fn retrieve(&self) -> Result<Vec<u8>, VrfError> {
        Ok(self.key.secret().expose().to_vec())
    }

    async fn get_label_proof<TC: Configuration>(
        &self,
        label: &AkdLabel,
        freshness: VersionFreshness,
        version: u64,
    ) -> Result<Proof, VrfError> {
        let input = TC::get_hash_from_label_input(label, freshness, version);
        if let Some(proof) = self.with_proofs(|kept| kept.find(&input)) {
            return Ok(proof);
        }
        let proof = self.get_vrf_private_key().await?.prove(&input);
        self.with_proofs(|kept| kept.keep(input, proof));
        Ok(proof)
    }

    // `akd` asks for the proof of a label next.
    async fn get_node_label<TC: Configuration>(
        &self,
        label: &AkdLabel,
        freshness: VersionFreshness,
        version: u64,
    ) -> Result<NodeLabel, VrfError> {
        let proof = self.get_label_proof::<TC>(label, freshness, version).await?;
        Ok(self.get_node_label_from_vrf_proof(proof).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::ready;
    use crate::tree::Hashing;
    use conclave_mls::crypto::Secret;

    const FRESH: VersionFreshness = VersionFreshness::Fresh;
    const STALE: VersionFreshness = VersionFreshness::Stale;

    fn labels(key: u8) -> Labels {
        Labels::new(NameKey::new(Secret::copy_from(&[key; NameKey::LEN])).unwrap())
    }

    fn proof(labels: &Labels, name: &str, freshness: VersionFreshness, version: u64) -> [u8; 80] {
        let label = AkdLabel(name.as_bytes().to_vec());
        let proof = labels.get_label_proof::<Hashing>(&label, freshness, version);
        ready(proof).unwrap().unwrap().to_bytes()
    }

    /// What `akd` computes by itself, without anything kept.
    fn computed(
        labels: &Labels,
        name: &str,
        freshness: VersionFreshness,
        version: u64,
    ) -> [u8; 80] {
        let label = AkdLabel(name.as_bytes().to_vec());
        let key = ready(labels.get_vrf_private_key()).unwrap().unwrap();
        Labels::get_label_proof_with_key::<Hashing>(&key, &label, freshness, version).to_bytes()
    }

    #[test]
    fn a_kept_proof_is_of_this_name_version_and_key() {
        let (one, other) = (labels(1), labels(2));
        for _ in 0..2 {
            for labels in [&one, &other] {
                for name in ["alice", "alic"] {
                    for (freshness, version) in [(FRESH, 1), (FRESH, 2), (STALE, 1)] {
                        let expected = computed(labels, name, freshness, version);
                        assert_eq!(proof(labels, name, freshness, version), expected);
                    }
                }
            }
        }
        assert_eq!(one.with_proofs(|kept| kept.newer.len()), 6);
    }

    #[test]
    fn a_label_is_the_one_that_is_published() {
        let labels = labels(1);
        let label = AkdLabel(b"alice".to_vec());
        let found = ready(labels.get_node_label::<Hashing>(&label, FRESH, 3)).unwrap().unwrap();
        let input = [(label, FRESH, 3, akd::AkdValue(Vec::new()))];
        let published = ready(labels.get_node_labels::<Hashing>(&input)).unwrap().unwrap();
        assert_eq!(found, published[0].1);
    }

    #[test]
    fn kept_proofs_are_bounded_and_the_unused_go_first() {
        let labels = labels(1);
        let sample = ready(labels.get_label_proof::<Hashing>(&AkdLabel(vec![1]), FRESH, 1));
        let sample = sample.unwrap().unwrap();

        let mut kept = Kept::default();
        let input = |n: usize| n.to_be_bytes().to_vec();
        for n in 0..10 * HALF {
            kept.keep(input(n), sample);
            assert!(kept.find(&input(0)).is_some(), "in use");
        }
        assert!(kept.newer.len() + kept.older.len() <= 2 * HALF);
        assert!(kept.find(&input(1)).is_none());
    }
}
