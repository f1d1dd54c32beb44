//! Leaf nodes (section 7.2).

use crate::code_points::{
    CipherSuite, CredentialType, ExtensionType, ProposalType, ProtocolVersion, grease, put_in,
};
use crate::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer, codec};
use crate::credential::Credential;
use crate::extension::Extension;
use crate::ids::{Bytes, GroupId, HpkePublicKey, SignaturePublicKey};
use crate::time::UnixTime;
use crate::tree_math::LeafIndex;
use alloc::vec::Vec;
use core::time::Duration;

/// The features that a client claims to support beyond the defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Supported protocol versions.
    pub versions: Vec<ProtocolVersion>,
    /// Supported cipher suites.
    pub cipher_suites: Vec<CipherSuite>,
    /// Supported extension types, without the default ones.
    pub extensions: Vec<ExtensionType>,
    /// Supported proposal types, without the default ones.
    pub proposals: Vec<ProposalType>,
    /// Supported credential types.
    pub credentials: Vec<CredentialType>,
}
codec!(Capabilities { versions, cipher_suites, extensions, proposals, credentials });

impl Capabilities {
    /// Adds a GREASE value to each of the cipher suites, extensions, proposals and credentials, as
    /// a client should before it publishes its capabilities. This exposes peers that do not ignore
    /// unknown values (sections 7.2 and 13.5).
    ///
    /// `random` should be fresh random bytes, two for each list: they pick the value and its place.
    /// A value that is already listed is not added again.
    ///
    /// Use this only for capabilities that are sent to peers. To find common features, a client
    /// uses its capabilities without GREASE.
    #[must_use]
    pub fn with_grease(mut self, random: [u8; 8]) -> Self {
        let [a, at_a, b, at_b, c, at_c, d, at_d] = random;

        put_in(&mut self.cipher_suites, CipherSuite(grease(a)), at_a);
        put_in(&mut self.extensions, ExtensionType(grease(b)), at_b);
        put_in(&mut self.proposals, ProposalType(grease(c)), at_c);
        put_in(&mut self.credentials, CredentialType(grease(d)), at_d);
        self
    }
}

/// The time in which a leaf node from a KeyPackage is valid, in seconds since 1970-01-01T00:00:00Z.
/// Both ends are included. A lifetime from outside may hold any values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// The first valid second.
    pub not_before: u64,
    /// The last valid second.
    pub not_after: u64,
}
codec!(Lifetime { not_before, not_after });

impl Lifetime {
    /// A lifetime that starts at a time and lasts for a duration.
    #[must_use]
    pub const fn starting_at(start: UnixTime, duration: Duration) -> Self {
        let end = start.saturating_add(duration);
        Self { not_before: start.as_secs(), not_after: end.as_secs() }
    }

    /// Whether a time is within this lifetime.
    #[must_use]
    pub const fn contains(&self, time: UnixTime) -> bool {
        self.not_before <= time.as_secs() && time.as_secs() <= self.not_after
    }
}

/// The way in which a leaf node came into the tree, with the data that depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeafNodeSource {
    /// The leaf node is from a KeyPackage.
    KeyPackage(Lifetime),
    /// The leaf node is from an Update proposal.
    Update,
    /// The leaf node is from the path of a Commit; holds its parent hash.
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

/// The public data of a client in a group or a KeyPackage, signed by that client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafNode {
    /// The key that path secrets are encrypted to.
    pub encryption_key: HpkePublicKey,
    /// The key that verifies the client's signatures.
    pub signature_key: SignaturePublicKey,
    /// The client's identity.
    pub credential: Credential,
    /// The client's capabilities.
    pub capabilities: Capabilities,
    /// The origin of the node.
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

/// The place of a leaf node, which its signature covers unless it is from a KeyPackage.
#[derive(Clone, Copy, Debug)]
pub struct LeafNodeContext<'a> {
    /// The group.
    pub group_id: &'a GroupId,
    /// The leaf.
    pub leaf_index: LeafIndex,
}

/// LeafNodeTBS: the input of a leaf node's signature.
#[derive(Clone, Copy, Debug)]
pub struct LeafNodeTbs<'a> {
    /// The node; its signature field is not covered.
    pub leaf_node: &'a LeafNode,
    /// The node's place. It is covered if the node's source is `update` or `commit`, and ignored
    /// otherwise.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code_points::is_grease;
    use alloc::vec;

    #[test]
    fn a_lifetime_contains_both_of_its_ends() {
        let at = |seconds| UnixTime::from_secs(seconds).unwrap();
        let lifetime = Lifetime::starting_at(at(100), Duration::from_secs(60));
        assert_eq!(lifetime, Lifetime { not_before: 100, not_after: 160 });
        for (time, contained) in [(99, false), (100, true), (160, true), (161, false)] {
            assert_eq!(lifetime.contains(at(time)), contained, "{time}");
        }

        let endless = Lifetime::starting_at(at(100), Duration::MAX);
        assert!(endless.contains(UnixTime::MAX));
        let from_outside = Lifetime { not_before: 0, not_after: u64::MAX };
        assert!(from_outside.contains(UnixTime::MAX));
    }

    #[test]
    fn grease_goes_into_four_lists_once_and_changes_nothing_else() {
        let plain = Capabilities {
            versions: vec![ProtocolVersion::MLS_1_0],
            cipher_suites: vec![CipherSuite(1), CipherSuite(2)],
            extensions: vec![ExtensionType(0xf001)],
            proposals: Vec::new(),
            credentials: vec![CredentialType::BASIC, CredentialType::X509],
        };
        for pick in 0..=u8::MAX {
            let random = [pick, pick, pick / 2, pick, 255 - pick, 1, 7, pick];
            let greased = plain.clone().with_grease(random);
            assert_eq!(greased.cipher_suites.len(), 3);
            assert_eq!(greased.extensions.len(), 2);
            assert_eq!(greased.proposals.len(), 1);
            assert_eq!(greased.credentials.len(), 3);
            assert_eq!(greased.clone().with_grease(random), greased);

            let mut without = greased;
            without.cipher_suites.retain(|v| !is_grease(v.0));
            without.extensions.retain(|v| !is_grease(v.0));
            without.proposals.retain(|v| !is_grease(v.0));
            without.credentials.retain(|v| !is_grease(v.0));
            assert_eq!(without, plain);
        }

        let places = |at| plain.clone().with_grease([0, at, 0, 0, 0, 0, 0, 0]).cipher_suites;
        let at = |at| places(at).iter().position(|v| is_grease(v.0));
        assert_eq!((at(0), at(1), at(2), at(3)), (Some(0), Some(1), Some(2), Some(0)));
    }
}
