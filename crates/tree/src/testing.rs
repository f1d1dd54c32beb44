//! Shared by the tests of several modules: seeded randomness, members, and a group of them whose
//! tree is compared with an oracle's.

mod oracle;
mod world;

use alloc::vec::Vec;
use conclave_crypto::{SignatureKeyPair, Suite};
use conclave_provider_rustcrypto::RustCrypto;
use conclave_wire::{
    Capabilities, CipherSuite, Credential, CredentialType, GroupId, LeafIndex, LeafNode,
    LeafNodeContext, LeafNodeSource, Lifetime, ProtocolVersion,
};
use core::convert::Infallible;
use rand_core::{TryCryptoRng, TryRng};

pub(crate) use oracle::Oracle;
pub(crate) use world::{Plan, World};

static PROVIDER: RustCrypto = RustCrypto::new();

/// The suite of most tests.
pub(crate) fn suite() -> Suite<'static> {
    Suite::new(&PROVIDER, CipherSuite(1)).unwrap()
}

pub(crate) fn group_id() -> GroupId {
    GroupId::from(*b"a group")
}

/// SplitMix64: reproducible from its seed, and not secret.
pub(crate) struct TestRng(pub(crate) u64);

impl TestRng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let a = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let b = (a ^ a >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        b ^ b >> 31
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

impl TryRng for TestRng {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.next() as u32)
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.next())
    }
    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        for chunk in to.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_be_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for TestRng {}

/// A leaf node with fresh keys, as in a key package, and its signature key pair. The private half
/// of its encryption key is discarded.
pub(crate) fn member(rng: &mut TestRng) -> (LeafNode, SignatureKeyPair) {
    let signer = suite().signature_key_pair(rng).unwrap();
    let mut key = [0; 32];
    rng.try_fill_bytes(&mut key).unwrap();
    let mut leaf = LeafNode {
        encryption_key: key.into(),
        signature_key: signer.public.clone(),
        credential: Credential::basic(&rng.next().to_be_bytes()),
        capabilities: Capabilities {
            versions: Vec::from([ProtocolVersion::MLS_1_0]),
            cipher_suites: Vec::from([CipherSuite(1)]),
            credentials: Vec::from([CredentialType::BASIC]),
            ..Capabilities::default()
        },
        leaf_node_source: LeafNodeSource::KeyPackage(Lifetime { not_before: 0, not_after: 9 }),
        extensions: Vec::new(),
        signature: Default::default(),
    };
    sign(&mut leaf, &signer, LeafIndex(0));
    (leaf, signer)
}

/// Signs a leaf for its place in the test group.
pub(crate) fn sign(leaf: &mut LeafNode, signer: &SignatureKeyPair, leaf_index: LeafIndex) {
    let context = LeafNodeContext { group_id: &group_id(), leaf_index };
    crate::sign_leaf(&suite(), leaf, signer, context).unwrap();
}
