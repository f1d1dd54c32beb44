//! Leaf nodes (section 7.2).

use crate::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer, codec};
use crate::credential::Credential;
use crate::extension::Extension;
use crate::ids::{
    Bytes, CipherSuite, CredentialType, ExtensionType, GroupId, HpkePublicKey, ProposalType,
    ProtocolVersion, SignaturePublicKey,
};
use crate::tree_math::LeafIndex;
use alloc::vec::Vec;

/// What a client says that it supports beyond the defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Protocol versions.
    pub versions: Vec<ProtocolVersion>,
    /// Cipher suites.
    pub cipher_suites: Vec<CipherSuite>,
    /// Non-default types of extension.
    pub extensions: Vec<ExtensionType>,
    /// Non-default types of proposal.
    pub proposals: Vec<ProposalType>,
    /// Types of credential.
    pub credentials: Vec<CredentialType>,
}
codec!(Capabilities { versions, cipher_suites, extensions, proposals, credentials });

/// When a leaf node from a KeyPackage is valid, in seconds since 1970-01-01T00:00:00Z, both ends
/// included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// The first second.
    pub not_before: u64,
    /// The last second.
    pub not_after: u64,
}
codec!(Lifetime { not_before, not_after });

impl Lifetime {
    /// Whether a moment is within.
    #[must_use]
    pub fn contains(&self, now: u64) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }
}

/// How a leaf node came into the tree, with what depends on that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeafNodeSource {
    /// From a KeyPackage.
    KeyPackage(Lifetime),
    /// From an Update proposal.
    Update,
    /// From the path of a Commit: the leaf's parent hash.
    Commit(Bytes),
}

impl Encode for LeafNodeSource {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        match self {
            Self::KeyPackage(lifetime) => {
                1u8.encode(w)?;
                lifetime.encode(w)
            }
            Self::Update => 2u8.encode(w),
            Self::Commit(parent_hash) => {
                3u8.encode(w)?;
                parent_hash.encode(w)
            }
        }
    }
}

impl Decode for LeafNodeSource {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::decode(r)? {
            1 => Ok(Self::KeyPackage(Decode::decode(r)?)),
            2 => Ok(Self::Update),
            3 => Ok(Self::Commit(Decode::decode(r)?)),
            other => {
                Err(DecodeError::InvalidValue { field: "LeafNodeSource", value: other.into() })
            }
        }
    }
}

/// One client's appearance in a group or a KeyPackage, signed by that client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafNode {
    /// The key that path secrets are encrypted to.
    pub encryption_key: HpkePublicKey,
    /// The key that verifies the client's signatures.
    pub signature_key: SignaturePublicKey,
    /// Who the client is.
    pub credential: Credential,
    /// What the client supports.
    pub capabilities: Capabilities,
    /// How the node came to be.
    pub leaf_node_source: LeafNodeSource,
    /// Extensions.
    pub extensions: Vec<Extension>,
    /// `SignWithLabel(., "LeafNodeTBS", LeafNodeTBS)`.
    pub signature: Bytes,
}
codec!(LeafNode {
    encryption_key,
    signature_key,
    credential,
    capabilities,
    leaf_node_source,
    extensions,
    signature
});

/// Where a leaf node stands, which its signature covers unless it is from a KeyPackage.
#[derive(Clone, Copy, Debug)]
pub struct LeafNodeContext<'a> {
    /// The group.
    pub group_id: &'a GroupId,
    /// The leaf.
    pub leaf_index: LeafIndex,
}

/// LeafNodeTBS: what a leaf node's signature covers.
#[derive(Clone, Copy, Debug)]
pub struct LeafNodeTbs<'a> {
    /// The node; its signature field is not covered.
    pub leaf_node: &'a LeafNode,
    /// Its place. Covered if the node's source is `update` or `commit`, else ignored.
    pub context: LeafNodeContext<'a>,
}

impl Encode for LeafNodeTbs<'_> {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        let node = self.leaf_node;
        node.encryption_key.encode(w)?;
        node.signature_key.encode(w)?;
        node.credential.encode(w)?;
        node.capabilities.encode(w)?;
        node.leaf_node_source.encode(w)?;
        node.extensions.encode(w)?;
        match node.leaf_node_source {
            LeafNodeSource::KeyPackage(_) => Ok(()),
            LeafNodeSource::Update | LeafNodeSource::Commit(_) => {
                self.context.group_id.encode(w)?;
                self.context.leaf_index.encode(w)
            }
        }
    }
}
