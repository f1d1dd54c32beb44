//! The material of vectors: well-formed structures with random contents.

use super::hex::Hex;
use super::problem::Problem;
use crate::SeededRng;
use conclave_crypto::{HpkeKeyPair, Secret, SignatureKeyPair, Suite};
use conclave_wire::{
    Bytes, Capabilities, CipherSuite, Commit, Credential, CredentialType, Encode, Epoch, Extension,
    ExtensionType, GroupContext, GroupId, HpkeCiphertext, KeyPackage, KeyPackageTbs, LeafIndex,
    LeafNode, LeafNodeContext, LeafNodeSource, LeafNodeTbs, Lifetime, PreSharedKeyId, Proposal,
    ProposalOrRef, ProtocolVersion, PskType, ReInit, ResumptionPskUsage, UpdatePath,
    UpdatePathNode,
};

/// `KDF.Nh` random bytes.
pub(super) fn secret(suite: &Suite<'_>, rng: &mut SeededRng) -> Secret {
    Secret::random(suite.nh(), rng)
}

/// A GroupContext without extensions.
pub(super) fn context(
    suite: &Suite<'_>,
    group_id: &[u8],
    epoch: u64,
    tree_hash: &[u8],
    confirmed_transcript_hash: &[u8],
) -> GroupContext {
    GroupContext {
        version: ProtocolVersion::MLS_1_0,
        cipher_suite: suite.cipher_suite(),
        group_id: group_id.into(),
        epoch: Epoch(epoch),
        tree_hash: tree_hash.into(),
        confirmed_transcript_hash: confirmed_transcript_hash.into(),
        extensions: Vec::new(),
    }
}

/// A lifetime that is always valid.
pub(super) const LIFETIME: Lifetime = Lifetime { not_before: 0, not_after: u64::MAX };

/// The private keys of a client, and the leaf node that they belong to.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) signer: SignatureKeyPair,
    pub(super) init: HpkeKeyPair,
    pub(super) leaf: HpkeKeyPair,
    pub(super) key_package: KeyPackage,
}

impl Client {
    /// A client with fresh keys and a signed key package.
    pub(super) fn new(suite: &Suite<'_>, name: &str, rng: &mut SeededRng) -> Result<Self, Problem> {
        let signer = suite.signature_key_pair(rng)?;
        let init = suite.hpke_key_pair(rng)?;
        let leaf = suite.hpke_key_pair(rng)?;
        let mut leaf_node = LeafNode {
            encryption_key: leaf.public.clone(),
            signature_key: signer.public.clone(),
            credential: Credential::basic(name.as_bytes()),
            capabilities: Capabilities {
                versions: vec![ProtocolVersion::MLS_1_0],
                cipher_suites: vec![suite.cipher_suite()],
                extensions: Vec::new(),
                proposals: Vec::new(),
                credentials: vec![CredentialType::BASIC],
            },
            leaf_node_source: LeafNodeSource::KeyPackage(LIFETIME),
            extensions: Vec::new(),
            signature: Bytes::default(),
        };

        sign_leaf(suite, &mut leaf_node, &signer, &GroupId::default(), LeafIndex(0))?;
        let mut key_package = KeyPackage {
            version: ProtocolVersion::MLS_1_0,
            cipher_suite: suite.cipher_suite(),
            init_key: init.public.clone(),
            leaf_node,
            extensions: Vec::new(),
            signature: Bytes::default(),
        };

        let tbs = KeyPackageTbs(&key_package).to_bytes()?;
        key_package.signature = suite.sign_with_label(&signer, b"KeyPackageTBS", &tbs)?.into();
        Ok(Self { signer, init, leaf, key_package })
    }
}

/// Signs a leaf node for its place, which does not matter for one from a key package.
pub(super) fn sign_leaf(
    suite: &Suite<'_>,
    leaf_node: &mut LeafNode,
    signer: &SignatureKeyPair,
    group_id: &GroupId,
    leaf_index: LeafIndex,
) -> Result<(), Problem> {
    let context = LeafNodeContext { group_id, leaf_index };
    let tbs = LeafNodeTbs { leaf_node, context }.to_bytes()?;
    leaf_node.signature = suite.sign_with_label(signer, b"LeafNodeTBS", &tbs)?.into();
    Ok(())
}

// ── structures of random bytes without a meaning ─────────────────────────────────────────────

pub(super) fn bytes(rng: &mut SeededRng, n: usize) -> Bytes {
    rng.bytes(n).into()
}

/// Up to two extensions of private-use types.
pub(super) fn extensions(rng: &mut SeededRng) -> Vec<Extension> {
    (0..rng.below(3) as u16)
        .map(|i| Extension {
            extension_type: ExtensionType(0xf100 + i),
            extension_data: bytes(rng, 20),
        })
        .collect()
}

pub(super) fn leaf_node(rng: &mut SeededRng, leaf_node_source: LeafNodeSource) -> LeafNode {
    LeafNode {
        encryption_key: bytes(rng, 32).into(),
        signature_key: bytes(rng, 32).into(),
        credential: Credential::basic(&rng.bytes(12)),
        capabilities: Capabilities {
            versions: vec![ProtocolVersion::MLS_1_0],
            cipher_suites: (1..=7).map(CipherSuite).collect(),
            extensions: vec![ExtensionType(0xf100), ExtensionType(0xf101)],
            proposals: Vec::new(),
            credentials: vec![CredentialType::BASIC, CredentialType::X509],
        },
        leaf_node_source,
        extensions: extensions(rng),
        signature: bytes(rng, 64),
    }
}

pub(super) fn key_package(rng: &mut SeededRng) -> KeyPackage {
    KeyPackage {
        version: ProtocolVersion::MLS_1_0,
        cipher_suite: CipherSuite(1),
        init_key: bytes(rng, 32).into(),
        leaf_node: leaf_node(rng, LeafNodeSource::KeyPackage(LIFETIME)),
        extensions: extensions(rng),
        signature: bytes(rng, 64),
    }
}

pub(super) fn group_context(rng: &mut SeededRng) -> GroupContext {
    GroupContext {
        version: ProtocolVersion::MLS_1_0,
        cipher_suite: CipherSuite(1),
        group_id: bytes(rng, 16).into(),
        epoch: Epoch(rng.below(u64::MAX)),
        tree_hash: bytes(rng, 32),
        confirmed_transcript_hash: bytes(rng, 32),
        extensions: extensions(rng),
    }
}

/// An identifier of either type of PSK.
pub(super) fn psk_id(rng: &mut SeededRng) -> PreSharedKeyId {
    let psktype = if rng.one_in(2) {
        PskType::External { psk_id: bytes(rng, 10) }
    } else {
        PskType::Resumption {
            usage: ResumptionPskUsage::Application,
            psk_group_id: bytes(rng, 16).into(),
            psk_epoch: Epoch(rng.below(u64::MAX)),
        }
    };
    PreSharedKeyId { psktype, psk_nonce: bytes(rng, 32) }
}

pub(super) fn re_init(rng: &mut SeededRng) -> ReInit {
    ReInit {
        group_id: bytes(rng, 16).into(),
        version: ProtocolVersion::MLS_1_0,
        cipher_suite: CipherSuite(1),
        extensions: extensions(rng),
    }
}

pub(super) fn ciphertext(rng: &mut SeededRng) -> HpkeCiphertext {
    HpkeCiphertext { kem_output: bytes(rng, 32), ciphertext: bytes(rng, 48) }
}

fn update_path(rng: &mut SeededRng) -> UpdatePath {
    let parent_hash = bytes(rng, 32);
    let nodes = (0..3).map(|n| UpdatePathNode {
        encryption_key: bytes(rng, 32).into(),
        encrypted_path_secret: (0..n).map(|_| ciphertext(rng)).collect(),
    });
    let nodes = nodes.collect();
    UpdatePath { leaf_node: leaf_node(rng, LeafNodeSource::Commit(parent_hash)), nodes }
}

/// A commit with a path and proposals by value and by reference.
pub(super) fn commit(rng: &mut SeededRng) -> Commit {
    Commit {
        proposals: vec![
            ProposalOrRef::Proposal(Proposal::Remove(LeafIndex(rng.below(1 << 20) as u32))),
            ProposalOrRef::Reference(bytes(rng, 32).into()),
            ProposalOrRef::Proposal(Proposal::PreSharedKey(psk_id(rng))),
        ],
        path: Some(Box::new(update_path(rng))),
    }
}

/// Random bytes with the length of a suite's hash.
pub(super) fn hash(suite: &Suite<'_>, rng: &mut SeededRng) -> Hex {
    Hex(rng.bytes(suite.params().hash.len()))
}
