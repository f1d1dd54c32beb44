use conclave_crypto::CryptoError;
use conclave_wire::{
    CipherSuite, CredentialType, DecodeError, EncodeError, ExtensionType, LeafIndex, NodeIndex,
};
use core::fmt;

/// A rule of section 7.2 or 7.3 that one leaf node breaks, whatever the rest of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeafRule {
    /// The capabilities of our own leaf do not list MLS 1.0 (section 7.2).
    VersionNotListed,
    /// The capabilities of our own leaf do not list the cipher suite in use (section 7.2).
    CipherSuiteNotListed(CipherSuite),
    /// The capabilities do not list the type of the leaf's own credential (section 7.2).
    CredentialTypeNotListed(CredentialType),
    /// The capabilities do not list the type of one of the leaf's extensions (sections 7.2 and
    /// 7.3).
    ExtensionNotListed(ExtensionType),
    /// Two of the leaf's extensions have the same type (section 13.4).
    DuplicateExtension(ExtensionType),
}

impl fmt::Display for LeafRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::VersionNotListed => f.write_str("its capabilities do not list MLS 1.0"),
            Self::CipherSuiteNotListed(v) => {
                write!(f, "its capabilities do not list cipher suite {v}")
            }
            Self::CredentialTypeNotListed(v) => {
                write!(f, "its capabilities do not list its credential's type, {v}")
            }
            Self::ExtensionNotListed(v) => {
                write!(f, "its capabilities do not list its extension {v}")
            }
            Self::DuplicateExtension(v) => write!(f, "it has extension {v} twice"),
        }
    }
}

impl core::error::Error for LeafRule {}

/// The reason why an operation on a tree failed.
///
/// A failed operation never changes a tree. It may change a [`StagedTree`](crate::StagedTree),
/// which must then be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TreeError {
    /// The bytes do not encode a ratchet tree (section 12.4.3.3).
    Decode(DecodeError),
    /// The tree has no nodes (section 12.4.3.3).
    Empty,
    /// The tree has more leaves than [`TreeSize::MAX`](conclave_wire::TreeSize::MAX).
    TooLarge,
    /// The tree has more leaves than the caller allows.
    OverLimit {
        /// A lower bound of the number of leaves, including blank ones.
        leaves: usize,
    },
    /// The last node of an encoded tree is blank (section 12.4.3.3).
    LastNodeBlank,
    /// A leaf is in the place of a parent, or a parent in the place of a leaf (section 12.4.3.3).
    WrongNodeType {
        /// The place.
        node: NodeIndex,
    },
    /// A non-blank parent has no member below it who could have set it (section 7.9.2).
    ParentWithoutLeaves {
        /// The parent.
        node: NodeIndex,
    },
    /// A leaf node breaks a rule, whatever the rest of the tree (section 7.3).
    LeafRule {
        /// The leaf.
        leaf: LeafIndex,
        /// The rule.
        rule: LeafRule,
    },
    /// A leaf node's signature does not verify (section 7.3).
    LeafSignature {
        /// The leaf.
        leaf: LeafIndex,
    },
    /// A node's encryption key is not a valid key of the cipher suite's KEM.
    InvalidEncryptionKey {
        /// The node.
        node: NodeIndex,
    },
    /// Two nodes have the same encryption key (sections 7.3 and 12.4.3.1).
    DuplicateEncryptionKey {
        /// One of them.
        node: NodeIndex,
        /// The other.
        other: NodeIndex,
    },
    /// Two members have the same signature key (section 7.3).
    DuplicateSignatureKey {
        /// One of them.
        leaf: LeafIndex,
        /// The other.
        other: LeafIndex,
    },
    /// A member uses a credential type that another does not support (section 7.3).
    CredentialUnsupported(CredentialType),
    /// A parent's unmerged leaves are not in strictly ascending order (section 7.1).
    UnmergedLeavesUnsorted {
        /// The parent.
        node: NodeIndex,
    },
    /// A parent's unmerged leaf is not below it (section 12.4.3.1).
    UnmergedLeafNotBelow {
        /// The parent.
        node: NodeIndex,
        /// The leaf.
        leaf: LeafIndex,
    },
    /// A parent's unmerged leaf is blank (section 12.4.3.1).
    UnmergedLeafBlank {
        /// The parent.
        node: NodeIndex,
        /// The leaf.
        leaf: LeafIndex,
    },
    /// A leaf is unmerged at a parent but not at a node between (section 12.4.3.1).
    UnmergedLeafMissing {
        /// The node between, where the leaf is missing.
        node: NodeIndex,
        /// The leaf.
        leaf: LeafIndex,
    },
    /// A parent is not parent-hash valid (section 7.9.2).
    ParentHash {
        /// The parent.
        node: NodeIndex,
    },
    /// The leaf of an expected member is blank or outside the tree.
    NoSuchMember {
        /// The leaf.
        leaf: LeafIndex,
    },
    /// A leaf to fill is outside the tree.
    NoSuchLeaf {
        /// The leaf.
        leaf: LeafIndex,
    },
    /// An Update keeps the encryption key that it must replace (section 7.3).
    EncryptionKeyUnchanged {
        /// The leaf.
        leaf: LeafIndex,
    },
    /// An update path's leaf node has a source other than `commit` (section 7.3).
    PathLeafSource,
    /// An update path does not have one node per node of the filtered direct path (section 7.6).
    PathLength {
        /// The length of the filtered direct path.
        expected: usize,
        /// The length of the update path.
        found: usize,
    },
    /// A node of an update path does not have one ciphertext per node in the resolution of the
    /// copath child without the new leaves (section 7.6).
    PathCiphertexts {
        /// The node.
        node: NodeIndex,
        /// The length of the resolution.
        expected: usize,
        /// The number of ciphertexts.
        found: usize,
    },
    /// An encryption key in an update path is already in the tree (section 12.4.2).
    PathKeyInTree {
        /// The node that would get the key.
        node: NodeIndex,
        /// The node that has the key.
        other: NodeIndex,
    },
    /// An update path has the same encryption key twice (section 12.4.2).
    PathKeyRepeated {
        /// The second node that would get the key.
        node: NodeIndex,
    },
    /// The parent hash in an update path's leaf node does not match the path (section 7.9.2).
    PathParentHash,
    /// A member is the sender of the update path, or none of the path's secrets is for its part of
    /// the tree (section 7.5).
    NotARecipient {
        /// The leaf.
        leaf: LeafIndex,
    },
    /// The caller gave no private key for any node at or above the member's leaf that the update
    /// path's secret is encrypted to (section 7.5).
    NoPrivateKey {
        /// The leaf.
        leaf: LeafIndex,
    },
    /// A path secret is not `KDF.Nh` bytes long (section 7.4).
    PathSecretLength,
    /// The key derived from a path secret differs from the one in the tree (sections 7.5 and
    /// 12.4.3.1).
    PathKeyMismatch {
        /// The node.
        node: NodeIndex,
    },
    /// A stored row is damaged, has an unknown version, or should not exist.
    DamagedRow {
        /// The row's node.
        node: NodeIndex,
    },
    /// A stored row is missing.
    MissingRow {
        /// The row's node.
        node: NodeIndex,
    },
    /// A cached value is wrong.
    WrongCache {
        /// The node; the root for a value of the whole tree.
        node: NodeIndex,
    },
    /// The crypto provider failed.
    Crypto(CryptoError),
}

impl fmt::Display for TreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decode(e) => fmt::Display::fmt(e, f),
            Self::Empty => f.write_str("the tree has no nodes"),
            Self::OverLimit { leaves } => {
                write!(f, "the tree has at least {leaves} leaves, over the limit")
            }
            Self::TooLarge => f.write_str("the tree has too many leaves"),
            Self::LastNodeBlank => f.write_str("the tree's last node is blank"),
            Self::WrongNodeType { node } => write!(f, "{node} has the wrong type for its place"),
            Self::ParentWithoutLeaves { node } => write!(f, "{node} has no member below it"),
            Self::LeafRule { leaf, rule } => write!(f, "{leaf} is invalid: {rule}"),
            Self::LeafSignature { leaf } => write!(f, "the signature of {leaf} does not verify"),
            Self::InvalidEncryptionKey { node } => {
                write!(f, "the encryption key of {node} is invalid")
            }
            Self::DuplicateEncryptionKey { node, other } => {
                write!(f, "{node} and {other} have the same encryption key")
            }
            Self::DuplicateSignatureKey { leaf, other } => {
                write!(f, "{leaf} and {other} have the same signature key")
            }
            Self::CredentialUnsupported(kind) => {
                write!(f, "not all members support the credential type {kind}, which is in use")
            }
            Self::UnmergedLeavesUnsorted { node } => {
                write!(f, "the unmerged leaves of {node} are not in ascending order")
            }
            Self::UnmergedLeafNotBelow { node, leaf } => {
                write!(f, "{leaf} is unmerged at {node} but not below it")
            }
            Self::UnmergedLeafBlank { node, leaf } => {
                write!(f, "{leaf} is unmerged at {node} but blank")
            }
            Self::UnmergedLeafMissing { node, leaf } => {
                write!(f, "{leaf} is unmerged above {node} but not at it")
            }
            Self::ParentHash { node } => write!(f, "{node} is not parent-hash valid"),
            Self::NoSuchMember { leaf } => write!(f, "there is no member at {leaf}"),
            Self::NoSuchLeaf { leaf } => write!(f, "the tree has no {leaf}"),
            Self::EncryptionKeyUnchanged { leaf } => {
                write!(f, "the update of {leaf} keeps its encryption key")
            }
            Self::PathLeafSource => f.write_str("the update path's leaf is not from a commit"),
            Self::PathLength { expected, found } => {
                write!(f, "the update path has {found} nodes instead of {expected}")
            }
            Self::PathCiphertexts { node, expected, found } => {
                write!(f, "the update path has {found} ciphertexts at {node} instead of {expected}")
            }
            Self::PathKeyInTree { node, other } => {
                write!(f, "the update path's key for {node} is already the key of {other}")
            }
            Self::PathKeyRepeated { node } => {
                write!(f, "the update path's key for {node} is in the path twice")
            }
            Self::PathParentHash => {
                f.write_str("the parent hash of the update path's leaf is wrong")
            }
            Self::NotARecipient { leaf } => write!(f, "the update path has no secret for {leaf}"),
            Self::NoPrivateKey { leaf } => {
                write!(f, "no private key for {leaf} opens the update path")
            }
            Self::PathSecretLength => f.write_str("a path secret has the wrong length"),
            Self::PathKeyMismatch { node } => {
                write!(f, "the key derived from the path secret differs from the key of {node}")
            }
            Self::DamagedRow { node } => write!(f, "the stored row of {node} is damaged"),
            Self::MissingRow { node } => write!(f, "the stored row of {node} is missing"),
            Self::WrongCache { node } => write!(f, "a cached value of {node} is wrong"),
            Self::Crypto(e) => fmt::Display::fmt(e, f),
        }
    }
}

impl core::error::Error for TreeError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Decode(e) => Some(e),
            Self::LeafRule { rule, .. } => Some(rule),
            Self::Crypto(e) => Some(e),
            _ => None,
        }
    }
}

impl TreeError {
    /// The error of an operation on keys or signatures from outside: `fault`, unless the provider
    /// failed.
    pub(crate) fn of_input(error: CryptoError, fault: Self) -> Self {
        if error.is_of_input() { fault } else { Self::Crypto(error) }
    }
}

impl From<CryptoError> for TreeError {
    fn from(e: CryptoError) -> Self {
        Self::Crypto(e)
    }
}

impl From<EncodeError> for TreeError {
    fn from(e: EncodeError) -> Self {
        Self::Crypto(CryptoError::Encode(e))
    }
}

impl From<DecodeError> for TreeError {
    fn from(e: DecodeError) -> Self {
        Self::Decode(e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TreeError as E;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    #[test]
    fn each_error_has_its_own_text_with_the_place() {
        let node = NodeIndex(4711);
        let other = NodeIndex(815);
        let leaf = LeafIndex(4711);
        let extension = ExtensionType(0x4711);
        let credential = CredentialType(0x4711);
        let rule = |rule| E::LeafRule { leaf, rule };
        let errors = [
            (E::from(DecodeError::TrailingBytes(4711)), "4711 bytes follow"),
            (E::Empty, "no node"),
            (E::OverLimit { leaves: 4711 }, "at least 4711 leaves"),
            (E::TooLarge, "too many"),
            (E::LastNodeBlank, "last node"),
            (E::WrongNodeType { node }, "node 4711 has the wrong type"),
            (E::ParentWithoutLeaves { node }, "node 4711 has no member"),
            (
                rule(LeafRule::VersionNotListed),
                "leaf 4711 is invalid: its capabilities do not list MLS",
            ),
            (rule(LeafRule::CipherSuiteNotListed(CipherSuite(0x4711))), "cipher suite 0x4711"),
            (rule(LeafRule::CredentialTypeNotListed(credential)), "credential's type, 0x4711"),
            (rule(LeafRule::ExtensionNotListed(extension)), "do not list its extension 0x4711"),
            (rule(LeafRule::DuplicateExtension(extension)), "extension 0x4711 twice"),
            (E::LeafSignature { leaf }, "signature of leaf 4711"),
            (E::InvalidEncryptionKey { node }, "key of node 4711 is invalid"),
            (E::DuplicateEncryptionKey { node, other }, "node 4711 and node 815"),
            (E::DuplicateSignatureKey { leaf, other: LeafIndex(815) }, "leaf 4711 and leaf 815"),
            (E::CredentialUnsupported(credential), "type 0x4711"),
            (E::UnmergedLeavesUnsorted { node }, "node 4711 are not in ascending"),
            (
                E::UnmergedLeafNotBelow { node: other, leaf },
                "leaf 4711 is unmerged at node 815 but not",
            ),
            (E::UnmergedLeafBlank { node: other, leaf }, "node 815 but blank"),
            (E::UnmergedLeafMissing { node: other, leaf }, "leaf 4711 is unmerged above node 815"),
            (E::ParentHash { node }, "node 4711 is not parent-hash valid"),
            (E::NoSuchMember { leaf }, "no member at leaf 4711"),
            (E::NoSuchLeaf { leaf }, "no leaf 4711"),
            (E::EncryptionKeyUnchanged { leaf }, "update of leaf 4711"),
            (E::PathLeafSource, "not from a commit"),
            (E::PathLength { expected: 4711, found: 815 }, "815 nodes instead of 4711"),
            (
                E::PathCiphertexts { node: other, expected: 4711, found: 33 },
                "33 ciphertexts at node 815 instead of 4711",
            ),
            (E::PathKeyInTree { node, other }, "key for node 4711 is already the key of node 815"),
            (E::PathKeyRepeated { node }, "key for node 4711 is in the path twice"),
            (E::PathParentHash, "parent hash"),
            (E::NotARecipient { leaf }, "no secret for leaf 4711"),
            (E::NoPrivateKey { leaf }, "no private key for leaf 4711"),
            (E::PathSecretLength, "wrong length"),
            (E::PathKeyMismatch { node }, "differs from the key of node 4711"),
            (E::DamagedRow { node }, "node 4711 is damaged"),
            (E::MissingRow { node }, "node 4711 is missing"),
            (E::WrongCache { node }, "cached value of node 4711"),
            (E::from(EncodeError { length: 4711 }), "too long to encode"),
        ];
        let texts: Vec<String> = errors.iter().map(|(e, _)| e.to_string()).collect();
        for ((_, says), text) in errors.iter().zip(&texts) {
            assert!(text.contains(says), "{text}");
            assert_eq!(texts.iter().filter(|other| *other == text).count(), 1, "{text}");
        }
    }

    #[test]
    fn a_wrapped_error_is_the_source() {
        use core::error::Error;

        let rule = LeafRule::VersionNotListed;
        let decode = DecodeError::TrailingBytes(4711);
        for (error, source) in [
            (E::Decode(decode), decode.to_string()),
            (E::LeafRule { leaf: LeafIndex(0), rule }, rule.to_string()),
            (E::Crypto(CryptoError::InvalidLength), CryptoError::InvalidLength.to_string()),
        ] {
            assert_eq!(error.source().unwrap().to_string(), source);
        }
        assert!(E::Empty.source().is_none());
    }

    #[test]
    fn a_provider_failure_is_not_blamed_on_the_keys_sender() {
        let fault = E::PathParentHash;
        assert_eq!(E::of_input(CryptoError::InvalidSignature, fault), fault);
        assert_eq!(E::of_input(CryptoError::InvalidPublicKey, fault), fault);
        let failed = CryptoError::Provider("no memory");
        assert_eq!(E::of_input(failed, fault), E::Crypto(failed));
    }
}
