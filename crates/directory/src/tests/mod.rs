#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod akd_alone;
mod audits;
mod honest;
mod hostile;
mod liars;
mod model;
mod storage;

use crate::server::{Directory, MemoryRecords, NameKey, Page};
use crate::{
    Claim, Evidence, Finding, Head, Lookup, ProofError, Root, ServiceKey, SignedRoot, Signer,
    Statement, verify_lookup,
};
use conclave_crypto::testing::TestRng;
use conclave_mls::crypto::{CryptoProvider, Secret, SignatureScheme};
use conclave_mls::wire::codec::{Decode, Encode};
use conclave_provider_rustcrypto::RustCrypto;
use std::sync::Arc;

/// When the first root is signed.
const START: u64 = 1_800_000_000;

/// A service with its keys, which tests can make lie.
struct Service {
    provider: Arc<dyn CryptoProvider>,
    signer: Signer,
    names: NameKey,
    records: MemoryRecords,
    directory: Directory<MemoryRecords>,
}

fn signer(seed: u64) -> Signer {
    let scheme = SignatureScheme::Ed25519;
    let pair = RustCrypto::new().signature_key_pair(scheme, &mut TestRng(seed)).unwrap();
    Signer::new(scheme, pair)
}

fn names(byte: u8) -> NameKey {
    NameKey::new(Secret::copy_from(&[byte; 32])).unwrap()
}

impl Service {
    fn new() -> Self {
        Self::with(signer(1), names(7), MemoryRecords::new())
    }

    fn with(signer: Signer, names: NameKey, records: MemoryRecords) -> Self {
        let provider: Arc<dyn CryptoProvider> = Arc::new(RustCrypto::new());
        let (shared, for_it) = (Arc::clone(&provider), signer.clone());
        let directory =
            Directory::open(records.clone(), shared, for_it, names.clone(), START).unwrap();
        Self { provider, signer, names, records, directory }
    }

    /// A service with the same keys and records, that goes its own way from here.
    fn fork(&self) -> Self {
        Self::with(self.signer.clone(), self.names.clone(), self.records.fork())
    }

    fn key(&self) -> Arc<ServiceKey> {
        Arc::new(self.directory.key())
    }

    /// Publishes names, each with a log of this length. Its hash follows from name, length and `flavour`.
    fn publish_as(&self, flavour: u8, batch: &[(&str, u64)]) -> SignedRoot {
        let batch: Vec<_> = batch
            .iter()
            .map(|(user, length)| (user.as_bytes().to_vec(), head(flavour, user, *length)))
            .collect();
        let now = START + 60 * (1 + self.directory.root().unwrap().epoch);
        self.directory.publish(&batch, now).unwrap()
    }

    fn publish(&self, batch: &[(&str, u64)]) -> SignedRoot {
        self.publish_as(0, batch)
    }

    /// Publishes this many batches that have nothing to do with anybody.
    fn pass_time(&self, batches: u64) {
        for _ in 0..batches {
            let epoch = self.directory.root().unwrap().epoch;
            self.publish(&[(&format!("passer-by-{epoch}"), 1)]);
        }
    }

    fn verified(&self, root: &SignedRoot) -> Root {
        root.verify(&*self.provider, &self.key()).unwrap()
    }

    fn newest(&self) -> Root {
        self.verified(&self.directory.root().unwrap())
    }

    fn check(&self, user: &str, page: &Page) -> Result<Lookup, ProofError> {
        verify_lookup(&*self.provider, &self.verified(&page.root), user.as_bytes(), &page.proof)
    }

    /// What the directory says about a name, verified.
    fn lookup(&self, user: &str) -> Lookup {
        self.check(user, &self.directory.lookup(user.as_bytes()).unwrap()).unwrap()
    }

    /// What the directory says about a name, to be kept.
    fn statement(&self, user: &str) -> Statement {
        let Page { root, proof } = self.directory.lookup(user.as_bytes()).unwrap();
        Statement { root, claim: Claim::Lookup(proof) }
    }
}

fn head(flavour: u8, user: &str, length: u64) -> Head {
    let mut hash = [flavour; 32];
    for (byte, from) in hash[1..].iter_mut().zip(user.bytes().chain(length.to_be_bytes())) {
        *byte ^= from;
    }
    Head { length, hash }
}

/// Checks a file as somebody does who has nothing but the file.
fn third_party(evidence: &Evidence) -> Finding {
    let file = evidence.to_bytes().unwrap();
    let read = Evidence::read(&file).unwrap();
    assert_eq!(read, *evidence);

    let provider = RustCrypto::new();
    let finding = read.check(&provider).unwrap();
    assert!(read.report(&provider).unwrap().starts_with(&finding.to_string()));
    finding
}

/// Every edit of some bytes that a test of a decoder tries: each bit flipped, each length cut off, one byte
/// more.
fn edits(bytes: &[u8], step: usize) -> impl Iterator<Item = Vec<u8>> {
    let flips = (0..bytes.len() * 8).step_by(step).map(|bit| {
        let mut edited = bytes.to_vec();
        edited[bit / 8] ^= 1 << (bit % 8);
        edited
    });
    let cuts = (0..bytes.len()).step_by(step).map(|length| bytes[..length].to_vec());
    flips.chain(cuts).chain([[bytes, &[0]].concat()])
}

/// Decoding and encoding again leads to the same bytes.
fn is_canonical<T: Decode + Encode>(bytes: &[u8]) {
    if let Ok(value) = T::from_bytes(bytes) {
        assert_eq!(value.to_bytes().unwrap(), bytes);
    }
}
