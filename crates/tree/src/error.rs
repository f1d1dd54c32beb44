use conclave_crypto::CryptoError;
use conclave_wire::{
    CipherSuite, CredentialType, DecodeError, EncodeError, ExtensionType, LeafIndex, NodeIndex,
    ProposalType,
};
use core::fmt;

/// The rule of section 7.2 or 7.3 that a leaf node breaks by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeafRule {
    /// The capabilities of an own leaf do not list MLS 1.0 (section 7.2).
    VersionNotListed,
    /// The capabilities of an own leaf do not list the cipher suite in use (section 7.2).
    CipherSuiteNotListed(CipherSuite),
    /// The capabilities do not list the type of the leaf's own credential (section 7.2).
    CredentialTypeNotListed(CredentialType),
    /// The capabilities do not list the type of one of the leaf's extensions (sections 7.2 and 7.3).
    ExtensionNotListed(ExtensionType),
    /// Two of the leaf's extensions have the same type (section 13.4).
    DuplicateExtension(ExtensionType),
}

impl fmt::Display for LeafRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::VersionNotListed => f.write_str("its capabilities do not list MLS 1.0"),
            Self::CipherSuiteNotListed(v) => write!(f, "its capabilities do not list {v:?}"),
            Self::CredentialTypeNotListed(v) => {
                write!(f, "its capabilities do not list its credential's type, {v:?}")
            }
            Self::ExtensionNotListed(v) => {
                write!(f, "its capabilities do not list its extension {v:?}")
            }
            Self::DuplicateExtension(v) => write!(f, "it has the extension {v:?} twice"),
        }
    }
}

impl core::error::Error for LeafRule {}

/// What capabilities lack of what a group requires (section 11.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingCapability {
    /// A type of extension.
    Extension(ExtensionType),
    /// A type of proposal.
    Proposal(ProposalType),
    /// A type of credential.
    Credential(CredentialType),
}

impl fmt::Display for MissingCapability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Extension(v) => write!(f, "the extension {v:?} is required"),
            Self::Proposal(v) => write!(f, "the proposal {v:?} is required"),
            Self::Credential(v) => write!(f, "the credential {v:?} is required"),
        }
    }
}

impl core::error::Error for MissingCapability {}

/// Why an operation on a tree gave no result.
///
/// A tree is never changed by an operation that failed; a [`StagedTree`](crate::StagedTree) is,
/// and has to be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TreeError {
    /// The bytes are no encoding of a ratchet tree (section 12.4.3.3).
    Decode(DecodeError),
    /// The tree has no node (section 12.4.3.3).
    Empty,
    /// The tree has more leaves than [`TreeSize::MAX`](conclave_wire::TreeSize::MAX).
    TooLarge,
    /// The tree has more leaves than the caller takes: at least this many.
    OverLimit {
        /// The leaves, blank ones included.
        leaves: usize,
    },
    /// The last node of an encoded tree is blank (section 12.4.3.3).
    LastNodeBlank,
    /// A leaf stands where a parent has to, or the other way round (section 12.4.3.3).
    WrongNodeType {
        /// Where.
        node: NodeIndex,
    },
    /// A parent that is not blank has no member below it, so nobody set it (section 7.9.2).
    ParentWithoutLeaves {
        /// The parent.
        node: NodeIndex,
    },
    /// A leaf node breaks a rule by itself (section 7.3).
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
    /// A node's encryption key is none of the cipher suite's KEM.
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
    /// A member uses a type of credential that another does not support (section 7.3).
    CredentialUnsupported(CredentialType),
    /// A parent's unmerged leaves do not strictly increase (section 7.1).
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
        /// The node between, which lacks the leaf.
        node: NodeIndex,
        /// The leaf.
        leaf: LeafIndex,
    },
    /// A parent is not parent-hash valid (section 7.9.2).
    ParentHash {
        /// The parent.
        node: NodeIndex,
    },
    /// A leaf is blank or outside of the tree where a member is meant.
    NoSuchMember {
        /// The leaf.
        leaf: LeafIndex,
    },
    /// A leaf to be filled is outside of the tree.
    NoSuchLeaf {
        /// The leaf.
        leaf: LeafIndex,
    },
    /// An Update keeps the encryption key that it has to replace (section 7.3).
    EncryptionKeyUnchanged {
        /// The leaf.
        leaf: LeafIndex,
    },
    /// An update path's leaf node has a source other than `commit` (section 7.3).
    PathLeafSource,
    /// An update path has not one node for each of the filtered direct path (section 7.6).
    PathLength {
        /// The length of the filtered direct path.
        expected: usize,
        /// The length of the update path.
        found: usize,
    },
    /// A node of an update path has not one ciphertext for each of the copath child's resolution,
    /// less the new leaves (section 7.6).
    PathCiphertexts {
        /// The node.
        node: NodeIndex,
        /// The length of the resolution.
        expected: usize,
        /// The number of ciphertexts.
        found: usize,
    },
    /// An encryption key in an update path is in the tree already (section 12.4.2).
    PathKeyInTree {
        /// The node that the update path would give the key.
        node: NodeIndex,
        /// The node that has it.
        other: NodeIndex,
    },
    /// An update path has the same encryption key twice (section 12.4.2).
    PathKeyRepeated {
        /// The node that would be the second to have it.
        node: NodeIndex,
    },
    /// The parent hash in an update path's leaf node is not the path's (section 7.9.2).
    PathParentHash,
    /// A leaf's member and the sender of an update path are the same, or the member is not in the
    /// part of the tree that the path's secrets are for (section 7.5).
    NotARecipient {
        /// The leaf.
        leaf: LeafIndex,
    },
    /// No private key was given for any node that an update path's secret is encrypted to and that
    /// is above the member's leaf, or is it (section 7.5).
    NoPrivateKey {
        /// The leaf.
        leaf: LeafIndex,
    },
    /// A path secret is not `KDF.Nh` bytes long (section 7.4).
    PathSecretLength,
    /// The key derived from a path secret is not the one in the tree (sections 7.5 and 12.4.3.1).
    PathKeyMismatch {
        /// The node.
        node: NodeIndex,
    },
    /// A stored row is damaged, has a version that is not known, or should not be there.
    DamagedRow {
        /// The node that the row is of.
        node: NodeIndex,
    },
    /// A stored row is not there.
    MissingRow {
        /// The node that the row should be of.
        node: NodeIndex,
    },
    /// A cached value differs from what it is computed from.
    WrongCache {
        /// The node; the root if the value is of the whole tree.
        node: NodeIndex,
    },
    /// The crypto provider gave an error.
    Crypto(CryptoError),
}

impl fmt::Display for TreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decode(e) => fmt::Display::fmt(e, f),
            Self::Empty => f.write_str("the tree has no node"),
            Self::OverLimit { leaves } => write!(f, "the tree has {leaves} leaves or more"),
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
                write!(f, "{kind:?} is in use and not supported by all members")
            }
            Self::UnmergedLeavesUnsorted { node } => {
                write!(f, "the unmerged leaves of {node} do not increase")
            }
            Self::UnmergedLeafNotBelow { node, leaf } => {
                write!(f, "{leaf} is unmerged at {node} and not below it")
            }
            Self::UnmergedLeafBlank { node, leaf } => {
                write!(f, "{leaf} is unmerged at {node} and blank")
            }
            Self::UnmergedLeafMissing { node, leaf } => {
                write!(f, "{leaf} is unmerged above {node} and not at it")
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
                write!(f, "the update path's key for {node} is the one of {other}")
            }
            Self::PathKeyRepeated { node } => {
                write!(f, "the update path's key for {node} is in the path twice")
            }
            Self::PathParentHash => f.write_str("the update path's leaf has another parent hash"),
            Self::NotARecipient { leaf } => write!(f, "the path has no secret for {leaf}"),
            Self::NoPrivateKey { leaf } => {
                write!(f, "no private key for {leaf} opens the update path")
            }
            Self::PathSecretLength => f.write_str("a path secret has the wrong length"),
            Self::PathKeyMismatch { node } => {
                write!(f, "the path secret gives another key than the tree has at {node}")
            }
            Self::DamagedRow { node } => write!(f, "the stored row of {node} is damaged"),
            Self::MissingRow { node } => write!(f, "the stored row of {node} is missing"),
            Self::WrongCache { node } => write!(f, "a cached value of {node} is wrong"),
            Self::Crypto(e) => fmt::Display::fmt(e, f),
        }
    }
}

impl core::error::Error for TreeError {}

impl TreeError {
    /// An error of an operation on keys or signatures that came from outside: what is wrong with
    /// them, unless the provider failed.
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
        let (node, other, leaf) = (NodeIndex(4711), NodeIndex(815), LeafIndex(4711));
        let (extension, proposal) = (ExtensionType(0x4711), ProposalType(0x4711));
        let credential = CredentialType(0x4711);
        let rule = |rule| E::LeafRule { leaf, rule };
        let errors = [
            (E::from(DecodeError::TrailingBytes(4711)), "4711 bytes follow"),
            (E::Empty, "no node"),
            (E::OverLimit { leaves: 4711 }, "4711 leaves or more"),
            (E::TooLarge, "too many"),
            (E::LastNodeBlank, "last node"),
            (E::WrongNodeType { node }, "node 4711 has the wrong type"),
            (E::ParentWithoutLeaves { node }, "node 4711 has no member"),
            (
                rule(LeafRule::VersionNotListed),
                "leaf 4711 is invalid: its capabilities do not list MLS",
            ),
            (rule(LeafRule::CipherSuiteNotListed(CipherSuite(0x4711))), "4711"),
            (rule(LeafRule::CredentialTypeNotListed(credential)), "credential's type"),
            (rule(LeafRule::ExtensionNotListed(extension)), "do not list its extension"),
            (rule(LeafRule::DuplicateExtension(extension)), "twice"),
            (E::LeafSignature { leaf }, "signature of leaf 4711"),
            (E::InvalidEncryptionKey { node }, "key of node 4711 is invalid"),
            (E::DuplicateEncryptionKey { node, other }, "node 4711 and node 815"),
            (E::DuplicateSignatureKey { leaf, other: LeafIndex(815) }, "leaf 4711 and leaf 815"),
            (E::CredentialUnsupported(credential), "4711"),
            (E::UnmergedLeavesUnsorted { node }, "node 4711 do not increase"),
            (
                E::UnmergedLeafNotBelow { node: other, leaf },
                "leaf 4711 is unmerged at node 815 and not",
            ),
            (E::UnmergedLeafBlank { node: other, leaf }, "node 815 and blank"),
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
            (E::PathKeyInTree { node, other }, "key for node 4711 is the one of node 815"),
            (E::PathKeyRepeated { node }, "key for node 4711 is in the path twice"),
            (E::PathParentHash, "parent hash"),
            (E::NotARecipient { leaf }, "no secret for leaf 4711"),
            (E::NoPrivateKey { leaf }, "no private key for leaf 4711"),
            (E::PathSecretLength, "wrong length"),
            (E::PathKeyMismatch { node }, "than the tree has at node 4711"),
            (E::DamagedRow { node }, "node 4711 is damaged"),
            (E::MissingRow { node }, "node 4711 is missing"),
            (E::WrongCache { node }, "cached value of node 4711"),
            (E::from(EncodeError { length: 4711 }), "vector of 4711 bytes"),
        ];
        let texts: Vec<String> = errors.iter().map(|(e, _)| e.to_string()).collect();
        for ((_, says), text) in errors.iter().zip(&texts) {
            assert!(text.contains(says), "{text}");
            assert_eq!(texts.iter().filter(|other| *other == text).count(), 1, "{text}");
        }

        let missing = [
            MissingCapability::Extension(extension).to_string(),
            MissingCapability::Proposal(proposal).to_string(),
            MissingCapability::Credential(credential).to_string(),
        ];
        for (text, says) in missing.iter().zip(["extension", "proposal", "credential"]) {
            assert!(text.contains(says) && text.contains("4711"), "{text}");
        }
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
