//! What things cost, counted and not timed, and where counters end.

use crate::welcome::{Forged, invited};
use conclave_crypto::{
    Aead, CryptoError, CryptoProvider, CryptoRng, DhGroup, Digest, Hash, Kdf, Kem, Secret,
    SignatureKeyPair, SignatureScheme, VerifyItem,
};
use conclave_group::{
    Config, Error, ExternalJoinStage, Framing, ObserverStage, Rejection, WelcomeStage,
};
use conclave_testkit::party::*;
use conclave_tree::TreeRead;
use conclave_wire::SignaturePublicKey;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The portable provider, counting.
#[derive(Default)]
struct Counting {
    hashes: AtomicU64,
    verified: AtomicU64,
}

/// How much was hashed and verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Work {
    hashes: u64,
    verified: u64,
}

impl Counting {
    fn during<T>(&self, what: impl FnOnce() -> T) -> (Work, T) {
        self.hashes.store(0, Relaxed);
        self.verified.store(0, Relaxed);
        let result = what();
        let (hashes, verified) = (self.hashes.load(Relaxed), self.verified.load(Relaxed));
        (Work { hashes, verified }, result)
    }
}

impl CryptoProvider for Counting {
    fn name(&self) -> &'static str {
        "counting"
    }
    fn has_kem(&self, kem: Kem) -> bool {
        PROVIDER.has_kem(kem)
    }
    fn has_kdf(&self, kdf: Kdf) -> bool {
        PROVIDER.has_kdf(kdf)
    }
    fn has_aead(&self, aead: Aead) -> bool {
        PROVIDER.has_aead(aead)
    }
    fn has_hash(&self, hash: Hash) -> bool {
        PROVIDER.has_hash(hash)
    }
    fn has_signature(&self, scheme: SignatureScheme) -> bool {
        PROVIDER.has_signature(scheme)
    }
    fn hash(&self, hash: Hash, parts: &[&[u8]]) -> Result<Digest, CryptoError> {
        self.hashes.fetch_add(1, Relaxed);
        PROVIDER.hash(hash, parts)
    }
    fn hmac(&self, hash: Hash, key: &Secret, parts: &[&[u8]]) -> Result<Digest, CryptoError> {
        PROVIDER.hmac(hash, key, parts)
    }
    fn extract(&self, kdf: Kdf, salt: &[u8], ikm: &[&[u8]]) -> Result<Secret, CryptoError> {
        PROVIDER.extract(kdf, salt, ikm)
    }
    fn expand(
        &self,
        kdf: Kdf,
        prk: &Secret,
        info: &[&[u8]],
        length: usize,
    ) -> Result<Secret, CryptoError> {
        PROVIDER.expand(kdf, prk, info, length)
    }
    fn aead_seal(
        &self,
        aead: Aead,
        key: &Secret,
        nonce: &[u8],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        PROVIDER.aead_seal(aead, key, nonce, aad, plaintext)
    }
    fn aead_open(
        &self,
        aead: Aead,
        key: &Secret,
        nonce: &[u8],
        aad: &[u8],
        ciphertext: &[u8],
    ) -> Result<Secret, CryptoError> {
        PROVIDER.aead_open(aead, key, nonce, aad, ciphertext)
    }
    fn dh_public_key(&self, group: DhGroup, private: &Secret) -> Result<Vec<u8>, CryptoError> {
        PROVIDER.dh_public_key(group, private)
    }
    fn dh(&self, group: DhGroup, private: &Secret, public: &[u8]) -> Result<Secret, CryptoError> {
        PROVIDER.dh(group, private, public)
    }
    fn dh_validate_public_key(&self, group: DhGroup, public: &[u8]) -> Result<(), CryptoError> {
        PROVIDER.dh_validate_public_key(group, public)
    }
    fn signature_key_pair(
        &self,
        scheme: SignatureScheme,
        rng: &mut dyn CryptoRng,
    ) -> Result<SignatureKeyPair, CryptoError> {
        PROVIDER.signature_key_pair(scheme, rng)
    }
    fn signature_public_key(
        &self,
        scheme: SignatureScheme,
        private: &Secret,
    ) -> Result<SignaturePublicKey, CryptoError> {
        PROVIDER.signature_public_key(scheme, private)
    }
    fn sign(
        &self,
        scheme: SignatureScheme,
        key_pair: &SignatureKeyPair,
        message: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        PROVIDER.sign(scheme, key_pair, message)
    }
    fn verify(
        &self,
        scheme: SignatureScheme,
        public_key: &SignaturePublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        self.verified.fetch_add(1, Relaxed);
        PROVIDER.verify(scheme, public_key, message, signature)
    }
    fn verify_many(&self, scheme: SignatureScheme, items: &[VerifyItem<'_>]) -> Result<(), usize> {
        self.verified.fetch_add(items.len() as u64, Relaxed);
        PROVIDER.verify_many(scheme, items)
    }
    fn as_dyn(&self) -> &dyn CryptoProvider {
        self
    }
}

/// What it costs to join a group of n, to open it for an external commit, to observe it, and to
/// receive a message in it. Half of the members have populated the tree, the others are unmerged.
fn costs(n: u64) -> [Work; 4] {
    let mut first = Peer::found(leaf_params("first", SUITE), SUITE, Config::default());
    for seed in 1..n / 2 {
        let leaf = leaf_params(&format!("outside {seed}"), SUITE);
        let info = first.group_info();
        let (_, commit) = Peer::join_from_outside(&info, leaf, None, 1000 + seed).unwrap();
        first.receive(&commit);
    }
    let owns: Vec<_> = (0..n / 2).map(|i| key_package(&format!("added {i}"), 5000 + i)).collect();
    let messages = first.commit(commit_of(owns.iter().map(add).collect())).unwrap();
    first.accepted();
    let (last, welcome) = (owns.last().unwrap(), &messages.welcomes[0].message);
    let counting = Counting::default();
    let (join, joined) = counting.during(|| {
        let stage = WelcomeStage::open(&counting, Config::default(), welcome, last).unwrap();
        stage.join(&counting, &[], None, None).unwrap()
    });
    assert_eq!(u64::from(joined.peek().tree().member_count()), n);
    let info = first.group_info();
    let (outside, _) = counting
        .during(|| ExternalJoinStage::open(&counting, Config::default(), &info, None).unwrap());
    let (observe, _) =
        counting.during(|| ObserverStage::open(&counting, Config::default(), &info, None).unwrap());
    let mut last = Peer::join(welcome, last, 3).unwrap();
    let message = last.say(b"hello");
    let (message, received) =
        counting.during(|| first.group.process(&counting, NOW, &message).map(drop));
    received.unwrap();
    [join, outside, observe, message]
}

#[test]
fn joining_hashes_and_verifies_in_proportion_to_the_group() {
    let (small, large) = (costs(32), costs(128));
    println!("32 members: {small:?}\n128 members: {large:?}");
    for (n, costs) in [(32, small), (128, large)] {
        for join in &costs[..3] {
            // Each leaf once, and the GroupInfo.
            assert_eq!(join.verified, n + 1);
            // Each of the 2n nodes, and what the parent hashes cover.
            assert!(join.hashes < 4 * n, "{join:?} for {n}");
        }
        assert_eq!(costs[3], Work { hashes: small[3].hashes, verified: 1 });
    }
    for (small, large) in small.iter().zip(&large).take(3) {
        assert!(large.hashes < 5 * small.hashes, "{small:?}, {large:?}");
    }
}

#[test]
fn an_export_of_more_than_the_kdf_gives_is_refused_and_never_cut() {
    let peers = group_of(&["alice"]);
    let export = |length| peers[0].group.export(&PROVIDER, b"label", b"context", length);
    for length in [0, 1, 32, 33, 255 * 32] {
        assert_eq!(export(length).unwrap().len(), length);
    }
    for length in [255 * 32 + 1, 0xffff, 0x1_0000, 0x1_0001, 0x1_0020, usize::MAX] {
        let refused = export(length).unwrap_err();
        assert!(matches!(refused, Error::Crypto(_)), "{length}: {refused}");
    }
}

#[test]
fn the_last_epoch_ends_with_an_error_and_is_read_and_stored_as_any_other() {
    let (_, eve, welcome, signer) = invited();
    for epoch in [u64::MAX - 1, u64::MAX] {
        let mut forged = Forged::open(&welcome, &eve, &signer);
        forged.welcome.info.group_context.epoch = epoch;
        forged.confirm();
        let mut eve = Peer::join(&forged.close(), &eve, 5).unwrap();
        eve.reload();
        if epoch < u64::MAX {
            eve.say(b"the last but one");
            eve.commit(conclave_group::CommitOptions::default()).unwrap();
            eve.reload();
            eve.accepted();
        }
        assert_eq!(eve.group.epoch(), u64::MAX);
        for _ in 0..2 {
            eve.say(b"the last");
            let ended = eve.commit(conclave_group::CommitOptions::default()).unwrap_err();
            assert_eq!(ended, Rejection::EpochExhausted.into());
            eve.propose_update(None, &Framing::default());
            let step = eve.group.discard_proposals().unwrap();
            eve.take(step);
            eve.reload();
        }
    }
}
