//! Indices that make questions about all members cheap: the nodes of each key, and the number of
//! members with each feature.

use crate::view::{self, Codes, LeafView};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use conclave_wire::{CredentialType, ExtensionType, ProposalType};

/// The nodes of each key, by the key's fingerprint. Fingerprints may collide, so a caller must
/// compare the key itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyIndex {
    encryption: BTreeSet<(u32, u32)>,
    signature: BTreeSet<(u32, u32)>,
}

/// A hash that spreads honest keys. Keys that were made to collide only cost their group a longer
/// search, with one comparison per colliding key: a search for many keys visits each fingerprint
/// once.
pub(crate) fn fingerprint(key: &[u8]) -> u32 {
    let (words, rest) = key.as_chunks::<8>();
    let mut last = [0u8; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }

    let words = words.iter().chain(core::iter::once(&last));
    let hash = words.fold(key.len() as u64, |h, word| mix(h, u64::from_le_bytes(*word)));
    (hash >> 32) as u32
}

fn mix(h: u64, word: u64) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mixed = (h ^ word).wrapping_mul(ODD);
    mixed ^ mixed >> 29
}

fn is_leaf(node: u32) -> bool {
    node & 1 == 0
}

impl KeyIndex {
    /// Builds the index of all non-blank nodes.
    pub(crate) fn of_nodes<'a>(nodes: impl Iterator<Item = (u32, &'a [u8])>) -> Self {
        let mut encryption = Vec::new();
        let mut signature = Vec::new();
        for (node, encoded) in nodes {
            if let Some(key) = view::encryption_key(encoded) {
                encryption.push((fingerprint(key), node));
            }
            if let Some(key) = view::signature_key(encoded).filter(|_| is_leaf(node)) {
                signature.push((fingerprint(key), node));
            }
        }

        // From sorted sequences, the sets are built in one go.
        encryption.sort_unstable();
        signature.sort_unstable();
        Self {
            encryption: encryption.into_iter().collect(),
            signature: signature.into_iter().collect(),
        }
    }

    pub(crate) fn insert(&mut self, node: u32, encoded: &[u8]) {
        if let Some(key) = view::encryption_key(encoded) {
            self.encryption.insert((fingerprint(key), node));
        }
        if let Some(key) = view::signature_key(encoded).filter(|_| is_leaf(node)) {
            self.signature.insert((fingerprint(key), node));
        }
    }

    pub(crate) fn remove(&mut self, node: u32, encoded: &[u8]) {
        if let Some(key) = view::encryption_key(encoded) {
            self.encryption.remove(&(fingerprint(key), node));
        }
        if let Some(key) = view::signature_key(encoded).filter(|_| is_leaf(node)) {
            self.signature.remove(&(fingerprint(key), node));
        }
    }

    /// The nodes that may have this encryption key.
    pub(crate) fn encryption<'a>(&'a self, key: &[u8]) -> impl Iterator<Item = u32> + use<'a> {
        with_fingerprint(&self.encryption, key)
    }

    /// The leaves, as nodes, that may have this signature key.
    pub(crate) fn signature<'a>(&'a self, key: &[u8]) -> impl Iterator<Item = u32> + use<'a> {
        with_fingerprint(&self.signature, key)
    }

    /// Two nodes with the same encryption key, if there are any.
    pub(crate) fn equal_encryption_keys<'a>(
        &self,
        key_of: impl Fn(u32) -> Option<&'a [u8]>,
    ) -> Option<(u32, u32)> {
        first_equal(&self.encryption, key_of)
    }

    /// Two leaves, as nodes, with the same signature key, if there are any.
    pub(crate) fn equal_signature_keys<'a>(
        &self,
        key_of: impl Fn(u32) -> Option<&'a [u8]>,
    ) -> Option<(u32, u32)> {
        first_equal(&self.signature, key_of)
    }
}

fn with_fingerprint<'a>(
    set: &'a BTreeSet<(u32, u32)>,
    key: &[u8],
) -> impl Iterator<Item = u32> + use<'a> {
    let f = fingerprint(key);
    set.range((f, 0)..=(f, u32::MAX)).map(|(_, node)| *node)
}

fn first_equal<'a>(
    set: &BTreeSet<(u32, u32)>,
    key_of: impl Fn(u32) -> Option<&'a [u8]>,
) -> Option<(u32, u32)> {
    let all: Vec<(u32, u32)> = set.iter().copied().collect();
    all.chunk_by(|a, b| a.0 == b.0).filter(|same| same.len() > 1).find_map(|same| {
        // Sorting keeps many colliding fingerprints from costing O(n²).
        let mut keys: Vec<_> = same.iter().map(|(_, node)| (key_of(*node), *node)).collect();
        keys.sort_unstable();
        keys.windows(2).find_map(|pair| match pair {
            [(a, m), (b, n)] if a == b => Some((*m, *n)),
            _ => None,
        })
    })
}

/// A feature that members support according to their capabilities, or use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// Support of an extension type.
    Extension(ExtensionType),
    /// Support of a proposal type.
    Proposal(ProposalType),
    /// Support of a credential type.
    Credential(CredentialType),
    /// Use of a credential of this type.
    CredentialInUse(CredentialType),
}

/// The number of members with each feature; in a delta, the change of that number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FeatureCounts(BTreeMap<Feature, i64>);

/// Visits each code point of a list once.
fn for_each_distinct(codes: Codes<'_>, mut visit: impl FnMut(u16)) {
    // Most lists are short enough to be compared with themselves. Sorting takes an allocation.
    const SHORT: usize = 8;
    if codes.iter().nth(SHORT).is_none() {
        let first = |(at, v): &(usize, u16)| !codes.iter().take(*at).any(|before| before == *v);
        codes.iter().enumerate().filter(first).for_each(|(_, v)| visit(v));
        return;
    }

    let mut codes: Vec<u16> = codes.iter().collect();
    codes.sort_unstable();
    codes.dedup();
    codes.into_iter().for_each(visit);
}

impl FeatureCounts {
    fn add(&mut self, feature: Feature, change: i64) {
        let n = self.0.entry(feature).or_default();
        *n = n.saturating_add(change);
        if *n == 0 {
            self.0.remove(&feature);
        }
    }

    /// Counts a leaf in (`change` 1) or out (`change` -1). A code point that it lists twice counts
    /// once.
    pub(crate) fn add_leaf(&mut self, encoded: &[u8], change: i64) {
        let Ok(leaf) = LeafView::parse(encoded) else { return };

        for (codes, feature) in [
            (leaf.extension_types, (|v| Feature::Extension(ExtensionType(v))) as fn(u16) -> _),
            (leaf.proposal_types, |v| Feature::Proposal(ProposalType(v))),
            (leaf.credential_types, |v| Feature::Credential(CredentialType(v))),
        ] {
            for_each_distinct(codes, |v| self.add(feature(v), change));
        }
        self.add(Feature::CredentialInUse(leaf.credential_type), change);
    }

    pub(crate) fn get(&self, feature: Feature) -> i64 {
        self.0.get(&feature).copied().unwrap_or(0)
    }

    /// Adds a delta's counts.
    pub(crate) fn add_all(&mut self, other: &Self) {
        other.0.iter().for_each(|(feature, change)| self.add(*feature, *change));
    }

    /// Reverses a delta.
    pub(crate) fn negate(&mut self) {
        self.0.values_mut().for_each(|n| *n = n.saturating_neg());
    }

    /// The credential types with a count of use.
    pub(crate) fn credential_types(&self) -> impl Iterator<Item = CredentialType> + '_ {
        let all = Feature::CredentialInUse(CredentialType(0))
            ..=Feature::CredentialInUse(CredentialType(u16::MAX));

        self.0.range(all).filter_map(|(feature, _)| match feature {
            Feature::CredentialInUse(kind) => Some(*kind),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestRng, World, group_id, member, sign, suite};
    use crate::{StagedTree, TreeError, TreeRead, UnverifiedTree};
    use conclave_wire::{HpkePublicKey, LeafIndex, LeafNode};
    use core::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn fingerprints_spread_keys_that_differ_in_a_bit_or_in_length() {
        let key = [0x5au8; 37];
        let mut seen = BTreeSet::new();
        for len in 0..=key.len() {
            assert!(seen.insert(fingerprint(&key[..len])), "{len}");
        }
        for bit in 0..key.len() * 8 {
            let mut other = key;
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(seen.insert(fingerprint(&other)), "{bit}");
        }

        // Each bit is set in about half of the fingerprints.
        for bit in 0..32 {
            let n = seen.iter().filter(|f| *f >> bit & 1 == 1).count();
            assert!((seen.len() / 4..seen.len() * 3 / 4).contains(&n), "{bit}: {n}");
        }
    }

    /// The n-th other key with the same fingerprint, for n from 1.
    fn colliding(key: &HpkePublicKey, n: u64) -> HpkePublicKey {
        let word = |i: usize| u64::from_le_bytes(key[i * 8..][..8].try_into().unwrap());
        let first = word(0) ^ n;
        let len = key.len() as u64;
        let second = mix(len, word(0)) ^ word(1) ^ mix(len, first);

        let mut other = key.to_vec();
        other[..8].copy_from_slice(&first.to_le_bytes());
        other[8..16].copy_from_slice(&second.to_le_bytes());
        assert_eq!(fingerprint(&other), fingerprint(key));
        other.into()
    }

    #[test]
    fn different_keys_with_equal_fingerprints_are_distinguished() {
        let mut rng = TestRng(1);
        let mut world = World::new(2);
        let mine = world.tree.encryption_key(LeafIndex(0).node()).unwrap();
        let (mut leaf, signer) = member(&mut rng);
        leaf.encryption_key = colliding(&mine, 1);
        sign(&mut leaf, &signer, LeafIndex(1));

        let mut staged = StagedTree::new(&world.tree);
        let place = staged.add_leaf(&leaf).unwrap();
        assert_eq!(staged.check_unique_keys(), Ok(()));
        let look = |tree: &dyn Fn(&HpkePublicKey) -> Option<_>| {
            assert_eq!(tree(&mine), Some(LeafIndex(0).node()));
            assert_eq!(tree(&leaf.encryption_key), Some(place.node()));
        };
        look(&|key| staged.node_with_encryption_key(key));

        let mut delta = staged.into_delta(&suite()).unwrap();
        world.tree.swap(&mut delta);
        look(&|key| world.tree.node_with_encryption_key(key));

        let bytes = world.tree.to_extension_bytes().unwrap();
        let received = UnverifiedTree::decode(&suite(), &bytes).unwrap();
        let verified = received.verify(&suite(), &group_id()).unwrap();
        look(&|key| verified.node_with_encryption_key(key));
    }

    #[test]
    fn many_keys_with_equal_fingerprints_cost_no_quadratic_time() {
        const KEYS: u64 = 200;
        let mut rng = TestRng(2);
        let mut world = World::new(1);
        let mine = world.tree.encryption_key(LeafIndex(0).node()).unwrap();
        let mut leaves: Vec<LeafNode> = (1..=KEYS)
            .map(|n| {
                let mut leaf = member(&mut rng).0;
                leaf.encryption_key = colliding(&mine, n);
                leaf
            })
            .collect();
        let more = leaves.split_off(leaves.len() / 2);

        let mut staged = StagedTree::new(&world.tree);
        staged.add_leaves(&leaves.iter().collect::<Vec<_>>()).unwrap();
        let mut delta = staged.into_delta(&suite()).unwrap();
        world.tree.swap(&mut delta);
        let mut staged = StagedTree::new(&world.tree);
        staged.add_leaves(&more.iter().collect::<Vec<_>>()).unwrap();

        // Each old and each new key is read only a few times.
        static LOOKS: AtomicU64 = AtomicU64::new(0);
        fn counted(encoded: &[u8]) -> Option<&[u8]> {
            LOOKS.fetch_add(1, Ordering::Relaxed);
            view::encryption_key(encoded)
        }
        assert_eq!(staged.encryption_key_twice(counted), None);
        let looks = LOOKS.load(Ordering::Relaxed);
        assert!((KEYS..4 * KEYS).contains(&looks), "{looks} looks");

        // A key that is already in the tree is found among them.
        let mut again = member(&mut rng).0;
        again.encryption_key = leaves.last().unwrap().encryption_key.clone();
        let place = staged.add_leaf(&again).unwrap().node();
        let other = world.tree.node_with_encryption_key(&again.encryption_key).unwrap();
        let found = Err(TreeError::DuplicateEncryptionKey { node: place, other });
        assert_eq!(staged.check_unique_keys(), found);
    }
}
